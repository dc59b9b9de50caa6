"""What every server owes any gRPC client: health, reflection, clear refusals, an orderly end. Seen from Python, with topo
standing for all three."""

import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from lib import wait_for
from lib.protos import api_pb2, status_pb2
from test_topo_process import Process

GRPC_PROTOS = "/usr/share/grpc-proto"
out = tempfile.TemporaryDirectory(prefix="shoal-grpc-pb-")
subprocess.run(["protoc", f"-I{GRPC_PROTOS}", f"--python_out={out.name}", "grpc/health/v1/health.proto",
                "grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"], check=True)


def load(path):
    """Its package is called grpc, like the library, so it is found by file."""
    import importlib.util
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), os.path.join(out.name, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


health_pb2 = load("grpc/health/v1/health_pb2.py")
reflection_pb2 = {version: load(f"grpc/reflection/{version}/reflection_pb2.py") for version in ("v1", "v1alpha")}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Case(unittest.TestCase):
    def setUp(self):
        self.topo = Process()
        self.addCleanup(self.topo.close)
        self.topo.start()
        self.channel = self.connect()

    def connect(self, **options):
        channel = grpc.insecure_channel(self.topo.address, options=[(f"grpc.{k}", v) for k, v in options.items()])
        self.addCleanup(channel.close)
        return channel

    def call(self, method, request, channel=None, **more):
        """A unary call with bytes as they are."""
        return (channel or self.channel).unary_unary(method)(request, timeout=60, **more)

    def refused(self, method, request, code, channel=None):
        with self.assertRaises(grpc.RpcError) as caught:
            self.call(method, request, channel)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception

    def topology(self):
        return api_pb2.Topology.FromString(self.call("/shoal.v1.Topo/GetTopology", b""))


class Health(Case):
    def check(self, service):
        request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        reply = self.call("/grpc.health.v1.Health/Check", request)
        return health_pb2.HealthCheckResponse.FromString(reply).status

    def test_check(self):
        self.assertEqual(self.check(""), SERVING)
        self.assertEqual(self.check("shoal.v1.Topo"), SERVING)
        request = health_pb2.HealthCheckRequest(service="shoal.v1.Nope").SerializeToString()
        self.refused("/grpc.health.v1.Health/Check", request, grpc.StatusCode.NOT_FOUND)

    def test_watch_until_the_end(self):
        watch = self.channel.unary_stream("/grpc.health.v1.Health/Watch",
                                          response_deserializer=health_pb2.HealthCheckResponse.FromString)
        replies = watch(health_pb2.HealthCheckRequest().SerializeToString(), timeout=60)
        self.assertEqual(next(replies).status, SERVING)
        self.topo.process.send_signal(signal.SIGTERM)
        self.assertEqual(next(replies).status, NOT_SERVING)
        self.assertRaises(StopIteration, next, replies)
        self.assertEqual(self.topo.process.wait(60), 0)


class Reflection(Case):
    def ask(self, version, **request):
        pb2 = reflection_pb2[version]
        stream = self.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=pb2.ServerReflectionResponse.FromString)
        replies = list(stream(iter([pb2.ServerReflectionRequest(**request)]), timeout=60))
        self.assertEqual(len(replies), 1)
        return replies[0]

    def test_services(self):
        for version in ("v1", "v1alpha"):
            with self.subTest(version):
                names = {s.name for s in self.ask(version, list_services="").list_services_response.service}
                self.assertLessEqual({"shoal.v1.Topo", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                      "grpc.reflection.v1alpha.ServerReflection"}, names)

    def test_call_by_reflection(self):
        """As grpcurl does: knowing nothing but the address."""
        for version in ("v1", "v1alpha"):
            with self.subTest(version):
                reply = self.ask(version, file_containing_symbol="shoal.v1.Topo")
                pool = descriptor_pool.DescriptorPool()
                for data in reversed(reply.file_descriptor_response.file_descriptor_proto):
                    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(data))
                service = pool.FindServiceByName("shoal.v1.Topo")
                self.assertIn("CreateKeyspace", service.methods_by_name)
                method = service.methods_by_name["GetTopology"]
                classes = message_factory.MessageFactory(pool)
                request = classes.GetPrototype(method.input_type)().SerializeToString()
                reply = self.call("/shoal.v1.Topo/GetTopology", request)
                topology = classes.GetPrototype(method.output_type).FromString(reply)
                self.assertEqual(topology.SerializeToString(), reply)

    def test_unknown(self):
        reply = self.ask("v1", file_containing_symbol="shoal.v1.Nope")
        self.assertEqual(reply.error_response.error_code, grpc.StatusCode.NOT_FOUND.value[0])


class Refusals(Case):
    def reason(self, error):
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        status = status_pb2.Status.FromString(details)
        self.assertEqual(status.code, error.code().value[0])
        info = status_pb2.ErrorInfo.FromString(status.details[0].value)
        self.assertEqual(info.domain, "shoal")
        return info.reason

    def test_unknown_method(self):
        for method in ("/shoal.v1.Topo/Nope", "/nope.Nope/Nope", "/x"):
            error = self.refused(method, b"", grpc.StatusCode.UNIMPLEMENTED)
            self.assertEqual(self.reason(error), "UNKNOWN_METHOD")

    def test_malformed(self):
        chance = random.Random(3)
        for _ in range(300):
            request = chance.randbytes(chance.randrange(1, 300))
            try:
                self.call("/shoal.v1.Topo/ListTransactions", request)
            except grpc.RpcError as e:
                self.assertIn(e.code(), (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED))
        error = self.refused("/shoal.v1.Topo/CreateKeyspace", b"\x0a\x01\xff", grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.reason(error), "BAD_REQUEST")

    def test_oversized(self):
        request = b"\x0a" + b"\xff\xff\xff\x7f" + bytes(40 << 20)
        channel = self.connect(max_send_message_length=-1)
        self.refused("/shoal.v1.Topo/CreateKeyspace", request, grpc.StatusCode.RESOURCE_EXHAUSTED, channel)
        zipped = self.connect(max_send_message_length=-1, default_compression_algorithm=2)
        self.refused("/shoal.v1.Topo/CreateKeyspace", request, grpc.StatusCode.RESOURCE_EXHAUSTED, zipped)
        self.topology()

    def test_gzip(self):
        request = api_pb2.GetVSchemaRequest(keyspace="k" * 300).SerializeToString()
        zipped = self.connect(default_compression_algorithm=2)
        errors = [self.refused("/shoal.v1.Topo/GetVSchema", request, grpc.StatusCode.NOT_FOUND, channel)
                  for channel in (self.channel, zipped)]
        self.assertIn("kkk", errors[0].details())
        self.assertEqual(errors[0].details(), errors[1].details())

    def test_not_even_http2(self):
        """Bytes of all kinds on the port: the server stays."""
        chance = random.Random(5)
        hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        host, port = self.topo.address.rsplit(":", 1)
        for i in range(100):
            with socket.create_connection((host, int(port)), timeout=60) as s:
                try:
                    s.sendall((hello if i % 2 else b"") + chance.randbytes(chance.randrange(1, 2000)))
                    s.sendall(b"GET / HTTP/1.1\r\n\r\n")
                except OSError:
                    pass  # it may well have hung up
        self.topology()
        self.assertIsNone(self.topo.process.poll())


class End(Case):
    def test_sigterm_under_load(self):
        """Who keeps asking gets answers, and then hears UNAVAILABLE; the process ends well."""
        codes, begun = set(), threading.Semaphore(0)

        def ask():
            with grpc.insecure_channel(self.topo.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                for i in range(1000000):
                    try:
                        self.call("/shoal.v1.Topo/GetTopology", b"", channel)
                    except grpc.RpcError as e:
                        codes.add(e.code())
                        return
                    if i == 50:
                        begun.release()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for t in threads:
            t.start()
        for _ in threads:
            self.assertTrue(begun.acquire(timeout=60))
        self.topo.process.send_signal(signal.SIGTERM)
        for t in threads:
            t.join()
        self.assertEqual(self.topo.process.wait(60), 0)
        self.assertEqual(codes, {grpc.StatusCode.UNAVAILABLE})

    def test_restart(self):
        """A channel finds the server again by itself."""
        self.topology()
        self.topo.kill()
        self.refused("/shoal.v1.Topo/GetTopology", b"", grpc.StatusCode.UNAVAILABLE)
        self.topo.start()

        def answers():
            try:
                return self.topology()
            except grpc.RpcError as e:
                self.assertEqual(e.code(), grpc.StatusCode.UNAVAILABLE)
                return None

        wait_for("an answer", answers)


if __name__ == "__main__":
    unittest.main()
