"""A connection class for an sqllogictest runner (slt.py --conn slt_conn:Shoal): each connection has a keyspace of its own.

The cluster is named by SHOAL_CLUSTER (a directory of deploy/local/cluster), or by SHOAL_GATE and SHOAL_TOPO;
SHOAL_SLT_SHARDS is the number of shards of a keyspace (3).
"""

import itertools
import json
import os
import pathlib
import re
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import Client, SqlError, Topo, wait_for  # noqa: E402

numbers = itertools.count()


class Unsupported(Exception):
    """Refused with UNIMPLEMENTED: not a wrong answer."""

    unsupported = True


def addresses():
    if "SHOAL_CLUSTER" in os.environ:
        described = json.loads((pathlib.Path(os.environ["SHOAL_CLUSTER"]) / "cluster.json").read_text(encoding="utf-8"))
        return described["gates"][0]["address"], described["topos"][0]["address"]
    return os.environ["SHOAL_GATE"], os.environ["SHOAL_TOPO"]


def split_statements(sql):
    """The statements of a text; strings, comments and triggers are understood."""
    pending = ""
    for part in re.findall(r"[^;]*;|[^;]+$", sql):
        pending += part
        if sqlite3.complete_statement(pending):
            if pending.strip(" \t\r\n;"):
                yield pending
            pending = ""
    if pending.strip():
        yield pending


class Shoal:
    name = "sqlite"  # the tests' skipif and onlyif mean the dialect

    def __init__(self):
        gate, topo = addresses()
        self.keyspace = f"slt_{os.getpid()}_{next(numbers)}"
        self.topo = Topo(topo)
        self.client = Client(gate, self.keyspace, timeout=60)
        self.topo.create_keyspace(self.keyspace, int(os.environ.get("SHOAL_SLT_SHARDS", "3")))
        wait_for(f"keyspace {self.keyspace}", self.is_there)

    def is_there(self):
        try:
            self.client.execute("SELECT 1")
            return True
        except SqlError as e:
            if e.code not in ("NOT_FOUND", "UNAVAILABLE"):
                raise
            return False

    def execute(self, sql):
        rows = []
        for statement in split_statements(sql):
            try:
                result = self.client.execute(statement)
            except SqlError as e:
                if e.unsupported:
                    raise Unsupported(str(e)) from None
                raise
            if result.columns:
                rows = result.rows
        return rows

    def close(self):
        try:
            self.topo.drop_keyspace(self.keyspace, force=True)
        finally:
            self.client.close()
            self.topo.close()
