"""Random, truncated, oversized and deeply nested messages to all three servers: an error, or an answer, never a crash or a
hang. The seed is in the failure's text."""

import os
import random
import unittest

import grpc

from lib import Cluster, SqlError
from lib.client import CHANNEL_OPTIONS
from lib.protos import api_pb2, internal_pb2

cluster = None
SEED = int(os.environ.get("SHOAL_TEST_SEED", "1"))
ROUNDS = 6000 if os.environ.get("SHOAL_TEST_LONG") else 250
# What a server may say to nonsense. INTERNAL, UNKNOWN, UNAVAILABLE and DEADLINE_EXCEEDED are none of it.
FINE = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED",
        "OUT_OF_RANGE", "ABORTED", "PERMISSION_DENIED",
        # epochs of gates that have ended, or that the store has not come to
        "UNAVAILABLE: GATE_LEASE_ENDED", "UNAVAILABLE: STORE_BEHIND"}


def setUpModule():
    global cluster
    cluster = Cluster(tablets=2, shards=4).__enter__()
    client = cluster.client()
    client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    for i in range(10):
        client.execute("INSERT INTO t VALUES (?, 'row')", (i,))


def tearDownModule():
    cluster.close()


def methods(file):
    """Every method of the services in a .proto file: (path, request class, is it a stream of requests, of replies)."""
    for service in file.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            streams = {"Connect": (True, True), "ExecuteStream": (False, True), "WatchTopology": (False, True)}
            yield (path, method.input_type._concrete_class, *streams.get(method.name, (False, False)))


GATE = "gate-0"
TARGETS = [(GATE, "shoal.v1.Gate"), ("topo-0", "shoal.v1.Topo"), ("topo-0", "shoal.v1.TopoInternal"), ("tablet-0", "shoal.v1.Tablet")]


def all_methods():
    for process, service in TARGETS:
        for file in (api_pb2, internal_pb2):
            for path, cls, stream_in, stream_out in methods(file):
                if path.startswith(f"/{service}/"):
                    yield process, path, cls, stream_in, stream_out


class Servers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.channels = {p: grpc.insecure_channel(cluster.process(p)["address"], options=CHANNEL_OPTIONS)
                        for p in (GATE, "topo-0", "tablet-0")}
        cls.pids = {p: cluster.process(p)["pid"] for p in cls.channels}

    @classmethod
    def tearDownClass(cls):
        for channel in cls.channels.values():
            channel.close()

    def send(self, process, path, body, stream_in, stream_out, timeout=20):
        """What came of one call with these bytes: "OK", or the code, or "UNAVAILABLE: reason" where the server itself says so.
        Of streams, after the first reply."""
        channel = self.channels[process]
        make = {(False, False): channel.unary_unary, (False, True): channel.unary_stream,
                (True, True): channel.stream_stream}[stream_in, stream_out]
        call = make(path, request_serializer=lambda b: b, response_deserializer=lambda b: b)
        try:
            if not stream_out:
                call(body, timeout=timeout)
                return "OK"
            stream = call(iter([body]) if stream_in else body, timeout=timeout)
            for _ in stream:
                stream.cancel()
                break
            return "OK"
        except grpc.RpcError as e:
            failed = SqlError.from_rpc(e)
            if failed.code == "CANCELLED":
                return "OK"
            return f"UNAVAILABLE: {failed.reason}" if failed.code == "UNAVAILABLE" else failed.code

    def check_alive(self):
        for process, pid in self.pids.items():
            self.assertTrue(os.path.exists(f"/proc/{pid}"), f"{process} is gone")
        client = cluster.client()
        self.assertEqual(client.rows("SELECT count(*) FROM t WHERE v = 'row'"), [(10,)])
        client.close()

    def check(self, process, path, body, stream_in, stream_out, label):
        code = self.send(process, path, body, stream_in, stream_out)
        self.assertTrue(code in FINE, f"{path}, {label}: {code}\n{body[:200]!r}")

    def test_random_bytes(self):
        rng = random.Random(SEED)
        for process, path, _, stream_in, stream_out in all_methods():
            for i in range(max(10, ROUNDS // 20)):
                body = rng.randbytes(rng.choice([0, 1, 2, 3, 10, 100, 1000]))
                self.check(process, path, body, stream_in, stream_out, f"seed {SEED}, round {i}")
        self.check_alive()

    def test_mutated_messages(self):
        """Messages that make sense, with bytes changed, cut out, doubled, and cut off."""
        rng = random.Random(SEED + 1)
        for process, path, cls, stream_in, stream_out in all_methods():
            for i in range(max(10, ROUNDS // 10)):
                body = bytearray(random_message(rng, cls.DESCRIPTOR).SerializeToString())
                for _ in range(rng.randrange(4)):
                    mutate(rng, body)
                self.check(process, path, bytes(body), stream_in, stream_out, f"seed {SEED}, round {i}")
        self.check_alive()

    def test_sensible_messages_with_odd_values(self):
        rng = random.Random(SEED + 2)
        for process, path, cls, stream_in, stream_out in all_methods():
            for i in range(max(10, ROUNDS // 10)):
                body = random_message(rng, cls.DESCRIPTOR).SerializeToString()
                self.check(process, path, body, stream_in, stream_out, f"seed {SEED}, round {i}")
        self.check_alive()

    def test_every_truncation(self):
        request = api_pb2.ExecuteRequest(sql="SELECT ?, :a", params=[api_pb2.Value(text="x"), api_pb2.Value(real=1.5)],
                                         options=api_pb2.ExecuteOptions(max_rows=5), request_id="r")
        request.named_params[":a"].integer = 7
        body = request.SerializeToString()
        for n in range(len(body)):
            self.check(GATE, "/shoal.v1.Gate/Execute", body[:n], False, False, f"the first {n} bytes")
        frame = internal_pb2.TabletRequest(id=7, timeout_us=10**6, execute=internal_pb2.Execute(
            keyspace_id=1, shards=[internal_pb2.ShardRef(name="-40", epoch=1)], sql="SELECT ?1",
            params=[api_pb2.Value(text="x")])).SerializeToString()
        for n in range(len(frame)):
            self.check("tablet-0", "/shoal.v1.Tablet/Connect", frame[:n], True, True, f"the first {n} bytes")
        self.check_alive()

    def test_nesting(self):
        """One length-delimited field in another, deeper than any parser's stack."""
        for process, path, _, stream_in, stream_out in all_methods():
            for field in (1, 2, 3, 4, 7):
                for depth in (50, 1000, 20000):
                    body = b""
                    for _ in range(depth if depth < 20000 else 3000):
                        body = bytes([field << 3 | 2]) + varint(len(body)) + body
                    self.check(process, path, body, stream_in, stream_out, f"field {field}, depth {depth}")
        self.check_alive()

    def test_many_small_fields(self):
        """A few megabytes that unpack to a hundred times as much."""
        for process, path, _, stream_in, stream_out in all_methods():
            for tag in (b"\x12\x00", b"\x1a\x00", b"\x22\x00"):
                self.check(process, path, tag * (1 << 20), stream_in, stream_out, f"{tag!r} a million times")
        self.check_alive()

    def test_too_large(self):
        for process, path, _, stream_in, stream_out in all_methods():
            code = self.send(process, path, b"\x0a" + varint(80 << 20) + b"x" * (80 << 20), stream_in, stream_out, 60)
            self.assertEqual(code, "RESOURCE_EXHAUSTED", path)
        self.check_alive()

    def test_gzip_bomb(self):
        channel = grpc.insecure_channel(cluster.gate, options=CHANNEL_OPTIONS, compression=grpc.Compression.Gzip)
        try:
            call = channel.unary_unary("/shoal.v1.Gate/Execute", request_serializer=lambda b: b, response_deserializer=lambda b: b)
            with self.assertRaises(grpc.RpcError) as failed:
                call(b"\x12" + varint(200 << 20) + b" " * (200 << 20), timeout=60)
            self.assertEqual(failed.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        finally:
            channel.close()
        self.check_alive()

    def test_values_that_are_none(self):
        """Text that is not UTF-8 in a string field, NULs, numbers out of range, unknown fields and enums."""
        execute = "/shoal.v1.Gate/Execute"
        for label, body, code in [
                ("not UTF-8 in sql", b"\x12\x02\xff\xfe", "INVALID_ARGUMENT"),
                ("NUL in sql", b"\x12\x03S\0E", "INVALID_ARGUMENT"),
                ("not UTF-8 in a text value", b"\x12\x08SELECT ?\x1a\x03\x1a\x01\xff", "INVALID_ARGUMENT"),
                ("not UTF-8 in raw_text is fine", b"\x12\x08SELECT ?\x1a\x03\x2a\x01\xff", "OK"),
                ("not UTF-8 in the keyspace", b"\x0a\x01\xff\x12\x08SELECT 1", None),
                ("NUL in the keyspace", b"\x0a\x05main\0\x12\x08SELECT 1", None),
                ("unknown fields are passed over", b"\x12\x08SELECT 1\xfa\x07\x03abc\xf8\x07\x01", "OK"),
                ("unknown isolation", b"\x12\x08SELECT 1\x3a\x02\x20\x63", None),
                ("value without a kind is NULL", b"\x12\x08SELECT ?\x1a\x00", "OK"),
                ("the last of a oneof counts", b"\x12\x08SELECT ?\x1a\x04\x08\x01\x08\x02", "OK"),
                ("group", b"\x12\x08SELECT 1\x1b\x1c", "INVALID_ARGUMENT"),
                ("varint of eleven bytes", b"\x12\x08SELECT 1" + b"\xff" * 11, "INVALID_ARGUMENT"),
                ("length beyond the end", b"\x12\x7fSELECT 1", "INVALID_ARGUMENT")]:
            with self.subTest(label):
                got = self.send(GATE, execute, body, False, False)
                if code:
                    self.assertEqual(got, code)
                else:
                    self.assertIn(got, FINE - {"OK"})
        self.check_alive()


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def mutate(rng, body):
    if not body:
        body += rng.randbytes(3)
        return
    at = rng.randrange(len(body))
    what = rng.randrange(5)
    if what == 0:
        body[at] = rng.randrange(256)
    elif what == 1:
        del body[at:at + rng.randrange(1, 8)]
    elif what == 2:
        body[at:at] = body[at:at + rng.randrange(1, 30)]
    elif what == 3:
        del body[at:]
    else:
        body[at:at] = rng.choice([b"\xff" * 10, b"\x00", varint(2**63), varint(2**31), b"\x0b", b"\x7f"])


TEXTS = ["", "main", "t", "SELECT * FROM t", "SELECT ?, :a FROM t ORDER BY 1", "-40", "-", "80-", "nope", "x" * 300, "ä\u2028", "gate-0",
         "tablet-9", "127.0.0.1:1", "DELETE FROM t WHERE id = 1000", "INSERT INTO t VALUES (1, 2)", "'", "/*", "SELECT 1; SELECT 2",
         "hash", "sharded", "CREATE TABLE", "%s%n", "../../etc", "WITH RECURSIVE c AS (SELECT 1) SELECT * FROM c LIMIT ?"]
# Keyspaces that are made, dropped or changed in earnest would be in the way of the other tests.
HARMLESS = {"shoal.v1.CreateKeyspaceRequest": {"name": "No!"}, "shoal.v1.DropKeyspaceRequest": {"name": "nope"},
            "shoal.v1.TabletHeartbeatRequest": {"id": "No id", "address": "x"}, "shoal.v1.GateHeartbeatRequest": {"id": "no id"},
            "shoal.v1.BeginSchemaChangeRequest": {"gate": "nobody"}, "shoal.v1.ChangeSchema": {"keyspace_id": 999999}}


def random_scalar(rng, field):
    kind = field.cpp_type
    if kind in (field.CPPTYPE_STRING,):
        text = rng.choice(TEXTS)
        return text.encode() if field.type == field.TYPE_BYTES else text
    if kind == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if kind in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return rng.choice([0.0, -0.0, 1.5, float("inf"), float("nan"), 1e300])
    if kind == field.CPPTYPE_ENUM:
        return rng.choice([0, 1, 2, 3, 99])
    bits = 32 if kind in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    if kind in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        return rng.choice([0, 1, 2, 7, 2**31, 2**bits - 1])
    return rng.choice([0, 1, -1, 7, 2**(bits - 1) - 1, -2**(bits - 1)])


def random_message(rng, descriptor, depth=0):
    message = descriptor._concrete_class()
    for field in descriptor.fields:
        if rng.random() < 0.4:
            continue
        if field.label == field.LABEL_REPEATED:
            is_map = field.message_type and field.message_type.GetOptions().map_entry
            for _ in range(rng.choice([0, 1, 2, 5])):
                if is_map and field.message_type.fields_by_name["value"].message_type:
                    key = rng.choice(TEXTS)
                    getattr(message, field.name)[key].MergeFrom(
                        random_message(rng, field.message_type.fields_by_name["value"].message_type, depth + 1))
                elif is_map:
                    getattr(message, field.name)[rng.choice(TEXTS)] = rng.choice(TEXTS)
                elif field.message_type:
                    if depth < 5:
                        getattr(message, field.name).add().MergeFrom(random_message(rng, field.message_type, depth + 1))
                else:
                    getattr(message, field.name).append(random_scalar(rng, field))
        elif field.message_type:
            if depth < 5:
                getattr(message, field.name).CopyFrom(random_message(rng, field.message_type, depth + 1))
        else:
            setattr(message, field.name, random_scalar(rng, field))
    for name, value in HARMLESS.get(descriptor.full_name, {}).items():
        setattr(message, name, value)
    return message


if __name__ == "__main__":
    unittest.main()
