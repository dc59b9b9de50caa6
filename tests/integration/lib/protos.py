"""The generated Python of proto/, made when first imported, in a directory that goes with the process."""

import atexit
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROTO_DIR = HERE.parents[2] / "proto"
PLUGIN = "/usr/bin/grpc_python_plugin"


def generate():
    out = tempfile.mkdtemp(prefix="shoal-pb-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    subprocess.run(
        ["protoc", f"-I{PROTO_DIR}", f"-I{HERE}", f"--python_out={out}", f"--grpc_python_out={out}",
         f"--plugin=protoc-gen-grpc_python={PLUGIN}",
         "shoal/v1/api.proto", "shoal/v1/internal.proto", "status.proto"], check=True)
    sys.path.insert(0, out)


generate()

import status_pb2  # noqa: E402,F401
from shoal.v1 import api_pb2, api_pb2_grpc, internal_pb2, internal_pb2_grpc  # noqa: E402,F401
