"""docs/errors.md: every case by code, reason and the metadata of ErrorInfo; SQLite's own by its code and words as well."""

import pathlib
import re
import sqlite3
import unittest

import grpc

from lib import Client, Clusters, SqlError, Twin
from lib.protos import api_pb2, status_pb2

clusters = None
twin = None

SCHEMA = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 100), txt TEXT)",
    "CREATE TABLE s (id INTEGER PRIMARY KEY, n INTEGER, r REAL) STRICT",
    "CREATE TABLE k (a TEXT, b INTEGER, c, PRIMARY KEY (a, b)) WITHOUT ROWID",
    "CREATE TABLE g (id INTEGER PRIMARY KEY, d AS (n * 2), n)",
    "CREATE INDEX t_n ON t (n)",
]
ROWS = ["INSERT INTO t VALUES (1, 10, 'one')", "INSERT INTO t VALUES (2, 20, 'two')", "INSERT INTO t VALUES (3, 30, 'three')",
        "INSERT INTO k VALUES ('a', 1, 'x')"]


def setUpModule():
    global clusters, twin
    clusters = Clusters([(8, 2)])
    clusters.start()
    twin = Twin(clusters.clusters[0][1], 8)
    for sql in SCHEMA + ROWS:
        twin.run(sql)


def tearDownModule():
    twin.__exit__()
    clusters.stop()


# sql, params, code, reason, offset (None: not looked at). What SQLite says must be what Shoal says.
SQLITE_CASES = [
    ("SELEC 1", (), "INVALID_ARGUMENT", "SYNTAX_ERROR", 0),
    ("SELECT id FRM t", (), "INVALID_ARGUMENT", "SYNTAX_ERROR", 14),
    ("SELECT 'ä', id FROM t WHERE WHERE", (), "INVALID_ARGUMENT", "SYNTAX_ERROR", 29),
    ("SELECT (1", (), "INVALID_ARGUMENT", "SYNTAX_ERROR", None),
    ("SELECT 'open", (), "INVALID_ARGUMENT", "SYNTAX_ERROR", None),
    ("SELECT @", (), "INVALID_ARGUMENT", "SYNTAX_ERROR", None),
    ("INSERT INTO t (id, n) VALUES (1, 2, 3)", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT nope FROM t", (), "INVALID_ARGUMENT", "SQLITE_ERROR", 7),
    ("SELECT 'ä', nope FROM t", (), "INVALID_ARGUMENT", "SQLITE_ERROR", 13),
    ("SELECT t.id, x.id FROM t", (), "INVALID_ARGUMENT", "SQLITE_ERROR", 13),
    ("SELECT nofunction(id) FROM t", (), "INVALID_ARGUMENT", "SQLITE_ERROR", 7),
    ("SELECT abs(1, 2)", (), "INVALID_ARGUMENT", "SQLITE_ERROR", 7),
    ("SELECT id FROM t WHERE count(*) > 1", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT 1 ORDER BY 2", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT id FROM t GROUP BY 5", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT id COLLATE nope FROM t ORDER BY 1", (), "INVALID_ARGUMENT", "SQLITE_ERROR_MISSING_COLLSEQ", None),
    ("INSERT INTO g (id, d) VALUES (1, 2)", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("UPDATE g SET d = 1 WHERE id = 1", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT * FROM nope", (), "NOT_FOUND", "NO_SUCH_TABLE", None),
    ("SELECT * FROM main.nope", (), "NOT_FOUND", "NO_SUCH_TABLE", None),
    ("INSERT INTO nope VALUES (1)", (), "NOT_FOUND", "NO_SUCH_TABLE", None),
    ("DELETE FROM nope", (), "NOT_FOUND", "NO_SUCH_TABLE", None),
    ("DROP TABLE nope", (), "NOT_FOUND", "NO_SUCH_TABLE", None),
    ("DROP INDEX nope", (), "NOT_FOUND", "NO_SUCH_INDEX", None),
    ("SELECT * FROM t INDEXED BY nope", (), "NOT_FOUND", "NO_SUCH_INDEX", None),
    ("CREATE TABLE t (a)", (), "ALREADY_EXISTS", "ALREADY_EXISTS", None),
    ("CREATE INDEX t_n ON t (txt)", (), "ALREADY_EXISTS", "ALREADY_EXISTS", None),
    ("INSERT INTO t VALUES (1, 1, '')", (), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_PRIMARYKEY", None),
    ("INSERT INTO k VALUES ('a', 1, 'y')", (), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_PRIMARYKEY", None),
    ("INSERT INTO t VALUES (9, NULL, '')", (), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_NOTNULL", None),
    ("INSERT INTO t (txt) VALUES ('x')", (), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_NOTNULL", None),
    ("INSERT INTO k VALUES ('a', NULL, 'y')", (), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_NOTNULL", None),
    ("UPDATE t SET n = 100 WHERE id = 2", (), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_CHECK", None),
    ("INSERT INTO t VALUES (?, ?, ?)", (9, 1000, "x"), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_CHECK", None),
    ("INSERT INTO s VALUES (1, 'word', 1)", (), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_DATATYPE", None),
    ("INSERT INTO s VALUES (1, 1, ?)", (b"blob",), "FAILED_PRECONDITION", "SQLITE_CONSTRAINT_DATATYPE", None),
    ("INSERT INTO t VALUES ('word', 1, '')", (), "FAILED_PRECONDITION", "SQLITE_MISMATCH", None),
    ("SELECT abs(-9223372036854775808)", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT sum(id + 9223372036854775800) FROM t", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT json_extract('{', '$')", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
    ("SELECT zeroblob(3000000000)", (), "RESOURCE_EXHAUSTED", "SQLITE_TOOBIG", None),
    ("SELECT id, txt LIKE 'a' ESCAPE 'bc' FROM t", (), "INVALID_ARGUMENT", "SQLITE_ERROR", None),
]

# sql, code, reason; SQLite would take most of them.
OWN_CASES = [
    ("SELECT 1; SELECT 2", "INVALID_ARGUMENT", "SEVERAL_STATEMENTS"),
    ("CREATE TABLE _shoal_x (a)", "INVALID_ARGUMENT", "RESERVED_NAME"),
    ("CREATE TABLE x (a) SHARD BY HASH (nope)", "INVALID_ARGUMENT", "BAD_SHARDING"),
    ("EXPLAIN BEGIN", "UNIMPLEMENTED", "TRANSACTIONS"),
    ("PRAGMA journal_mode = DELETE", "UNIMPLEMENTED", "PRAGMA"), ("ATTACH 'x.db' AS x", "UNIMPLEMENTED", "ATTACH"),
    ("DETACH x", "UNIMPLEMENTED", "ATTACH"), ("VACUUM", "UNIMPLEMENTED", "VACUUM"),
    ("VACUUM INTO '/tmp/x'", "UNIMPLEMENTED", "VACUUM"), ("ANALYZE nope", "NOT_FOUND", "NO_SUCH_TABLE"),
    ("REINDEX", "UNIMPLEMENTED", "REINDEX"), ("CREATE TEMP VIEW v AS SELECT 1", "UNIMPLEMENTED", "TEMP"),
    ("CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END", "UNIMPLEMENTED", "TRIGGERS"),
    ("CREATE VIRTUAL TABLE f USING fts5(a)", "UNIMPLEMENTED", "VIRTUAL_TABLES"),
    ("ALTER TABLE t ADD COLUMN z", "UNIMPLEMENTED", "ALTER_TABLE"),
    ("CREATE TABLE x AS SELECT * FROM t", "UNIMPLEMENTED", "CREATE_TABLE_AS"),
    ("CREATE TEMP TABLE x (a)", "UNIMPLEMENTED", "TEMP"), ("CREATE TABLE x (a) REFERENCE", "UNIMPLEMENTED", "REFERENCE_TABLES"),
    ("CREATE TABLE x (a PRIMARY KEY, b UNIQUE)", "UNIMPLEMENTED", "GLOBAL_UNIQUE"),
    ("CREATE UNIQUE INDEX x ON t (txt)", "UNIMPLEMENTED", "GLOBAL_UNIQUE"),
    ("UPDATE t SET txt = 'all'", "UNIMPLEMENTED", "WRITE_SPANS_SHARDS"), ("DELETE FROM t", "UNIMPLEMENTED", "WRITE_SPANS_SHARDS"),
    ("INSERT INTO t VALUES (10, 1, ''), (11, 1, ''), (12, 1, ''), (13, 1, ''), (14, 1, '')", "UNIMPLEMENTED",
     "WRITE_SPANS_SHARDS"),
    ("INSERT INTO t SELECT id + 10, n, txt FROM t", "UNIMPLEMENTED", "WRITE_READS_SHARDS"),
    ("UPDATE t SET txt = (SELECT max(txt) FROM t) WHERE id = 1", "UNIMPLEMENTED", "WRITE_READS_SHARDS"),
    ("UPDATE t SET id = 50 WHERE id = 1", "UNIMPLEMENTED", "WRITE_MOVES_ROWS"),
    ("SELECT load_extension('x')", "PERMISSION_DENIED", "NOT_ALLOWED"),
    ("SELECT fts3_tokenizer('simple')", "PERMISSION_DENIED", "NOT_ALLOWED"),
    ("SELECT id, FTS3_TOKENIZER('simple') FROM t", "PERMISSION_DENIED", "NOT_ALLOWED"),
    ("SELECT count(*), fts3_tokenizer('simple') FROM t GROUP BY n", "PERMISSION_DENIED", "NOT_ALLOWED"),
    ("INSERT INTO t VALUES (50, sqlite_log(1, 'x'), '')", "PERMISSION_DENIED", "NOT_ALLOWED"),
    ("CREATE TABLE x (a PRIMARY KEY CHECK (a <> fts3_tokenizer('simple')))", "PERMISSION_DENIED", "NOT_ALLOWED"),
    ("SELECT " + "(" * 2000 + "1" + ")" * 2000, "RESOURCE_EXHAUSTED", "STATEMENT_TOO_COMPLEX"),
    ("SELECT '" + "x" * (8 << 20) + "'", "RESOURCE_EXHAUSTED", None),
    # What is too large for us is not NULL.
    ("SELECT printf('%.*c', 200000000, 'x') IS NULL", "RESOURCE_EXHAUSTED", "SQLITE_TOOBIG"),
    ("SELECT format('%.*c', 70000000, 'x') IS NULL FROM t", "RESOURCE_EXHAUSTED", "SQLITE_TOOBIG"),
    ("SELECT printf('%.*c', 70000000, 'x') IS NULL FROM t WHERE id = 1", "RESOURCE_EXHAUSTED", "SQLITE_TOOBIG"),
    ("SELECT count(DISTINCT n), printf('%.*c', 70000000, 'x') IS NULL FROM t", "RESOURCE_EXHAUSTED", "SQLITE_TOOBIG"),
    ("INSERT INTO t VALUES (60 + (printf('%.*c', 70000000, 'x') IS NULL), 1, '')", "RESOURCE_EXHAUSTED", "SQLITE_TOOBIG"),
    ("UPDATE t SET n = printf('%.*c', 70000000, 'x') IS NULL WHERE id = 1", "RESOURCE_EXHAUSTED", "SQLITE_TOOBIG"),
]


class Statements(unittest.TestCase):
    def failure(self, sql, params=(), **options):
        with self.assertRaises(SqlError) as failed:
            twin.client.execute(sql, params, **options)
        return failed.exception

    def test_what_sqlite_refuses(self):
        for sql, params, code, reason, offset in SQLITE_CASES:
            with self.subTest(sql):
                with self.assertRaises(sqlite3.Error) as want:
                    twin.oracle.execute(sql, params)
                e = self.failure(sql, params)
                self.assertEqual((e.code, e.reason), (code, reason))
                self.assertEqual(e.extended_code, want.exception.sqlite_errorcode)
                self.assertEqual(e.metadata["sqlite_message"], str(want.exception))
                self.assertEqual(e.metadata["sqlite_code"], str(want.exception.sqlite_errorcode & 0xFF))
                self.assertIn(str(want.exception), e.message)
                if offset is not None:
                    self.assertEqual(e.metadata.get("offset"), str(offset))
                self.assertEqual(twin.client.rows("SELECT count(*) FROM t"), [(3,)])

    def test_what_shoal_refuses(self):
        for sql, code, reason in OWN_CASES:
            with self.subTest(sql[:60]):
                e = self.failure(sql)
                self.assertEqual(e.code, code, e)
                if reason:
                    self.assertEqual(e.reason, reason, e)
                self.assertGreater(len(e.message), 10)
                self.assertEqual(twin.client.rows("SELECT count(*), sum(n) FROM t"), [(3, 60)])

    def test_constraint_names_its_shard(self):
        e = self.failure("INSERT INTO t VALUES (1, 1, '')")
        [home] = twin.client.execute("SELECT 1 FROM t WHERE id = 1", stats=True).stats.shards
        self.assertEqual(e.metadata["shard"], f"{twin.keyspace}/{home.shard}")

    def test_parameters(self):
        for sql, params in [("SELECT ?", (1, 2)), ("SELECT 1", (1,)), ("SELECT :a", {"b": 1}), ("SELECT :a, @a", {"a": 1}),
                            ("SELECT ?3", (1, 2, 3, 4))]:
            with self.subTest(sql):
                e = self.failure(sql, params)
                self.assertEqual((e.code, e.reason), ("INVALID_ARGUMENT", "BAD_PARAMETERS"))
        for sql, params, want in [("SELECT ?, ?", (1,), (1, None)), ("SELECT :a, @a", {":a": 1, "@a": 2}, (1, 2)),
                                  ("SELECT :a + :a", {"a": 2}, (4,)), ("SELECT ?2, ?1", (1, 2), (2, 1)),
                                  ("SELECT ?3, ?1", (1, 2, 3), (3, 1))]:
            with self.subTest(sql):
                self.assertEqual(twin.client.rows(sql, params), [want])

    def test_keyspace(self):
        e = self.failure("SELECT 1", keyspace="nope")
        self.assertEqual((e.code, e.reason), ("NOT_FOUND", "UNKNOWN_KEYSPACE"))

    def test_read_only(self):
        for sql in ["INSERT INTO t VALUES (9, 9, '')", "DELETE FROM t WHERE id = 1", "CREATE TABLE x (a)", "DROP TABLE t"]:
            with self.subTest(sql):
                e = self.failure(sql, read_only=True)
                self.assertEqual((e.code, e.reason), ("FAILED_PRECONDITION", "READ_ONLY"))
        self.assertEqual(len(twin.client.execute("SELECT * FROM t", read_only=True).rows), 3)

    def test_too_many_rows(self):
        for sql in ["SELECT * FROM t", "SELECT * FROM t ORDER BY n", "SELECT n, count(*) FROM t GROUP BY n"]:
            with self.subTest(sql):
                e = self.failure(sql, max_rows=2)
                self.assertEqual((e.code, e.reason), ("RESOURCE_EXHAUSTED", "RESULT_TOO_LARGE"))
                self.assertEqual(len(twin.client.execute(sql, max_rows=3).rows), 3)

    def test_deadline(self):
        endless = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
        for sql in [endless, "SELECT count(*) FROM t, json_each('[1,2]') WHERE (" + endless + ") > 0",
                    f"UPDATE t SET txt = ({endless}) WHERE id = 1"]:
            with self.subTest(sql):
                e = self.failure(sql, timeout=0.4)
                self.assertIn(e.code, ("DEADLINE_EXCEEDED", "UNIMPLEMENTED"))
                if e.code == "UNIMPLEMENTED":
                    self.assertIn("not", e.message)
        # Nothing is left behind that others would wait for.
        twin.client.execute("UPDATE t SET txt = 'one' WHERE id = 1", timeout=20)

    def test_request_ids(self):
        for request_id in ["x" * 129, "a\nb", "a\x1fb"]:
            with self.subTest(repr(request_id[:4])):
                e = self.failure("UPDATE t SET txt = 'a' WHERE id = 1", request_id=request_id)
                self.assertEqual((e.code, e.reason), ("INVALID_ARGUMENT", "BAD_REQUEST"))
        twin.client.execute("UPDATE t SET txt = 'one' WHERE id = 1", request_id="x" * 128)
        e = self.failure("UPDATE t SET txt = 'two' WHERE id = 1", request_id="x" * 128)
        self.assertEqual((e.code, e.reason), ("INVALID_ARGUMENT", "REQUEST_ID_REUSED"))

    def test_text_that_is_none(self):
        for sql in ["SELECT 1\0, 2", ]:
            e = self.failure(sql)
            self.assertEqual((e.code, e.reason), ("INVALID_ARGUMENT", "BAD_REQUEST"))


class Calls(unittest.TestCase):
    def fail(self, method, request):  # pylint: disable=arguments-differ
        with self.assertRaises(SqlError) as failed:
            twin.client.call(method, request)
        return failed.exception

    def test_what_is_not_there_yet(self):
        stub = twin.client.stub
        for name, request in [("GetTransaction", api_pb2.GetTransactionRequest(transaction_id="x")),
                              ("ExecuteBatch", api_pb2.ExecuteBatchRequest(atomic=True, statements=[api_pb2.Statement(sql="SELECT 1")]))]:
            with self.subTest(name):
                e = self.fail(getattr(stub, name), request)
                self.assertEqual(e.code, "UNIMPLEMENTED")
                self.assertGreater(len(e.message), 10)

    def test_unknown_method(self):
        method = twin.client.channel.unary_unary("/shoal.v1.Gate/Nope", request_serializer=bytes, response_deserializer=bytes)
        with self.assertRaises(grpc.RpcError) as failed:
            method(b"", timeout=20)
        self.assertEqual(failed.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_error_info(self):
        with self.assertRaises(grpc.RpcError) as failed:
            twin.client.stub.Execute(twin.client.request("SELECT id FRM t"), timeout=20)
        [details] = [v for k, v in failed.exception.trailing_metadata() if k == "grpc-status-details-bin"]
        status = status_pb2.Status.FromString(details)
        self.assertEqual((status.code, status.message), (3, failed.exception.details()))
        [detail] = status.details
        self.assertEqual(detail.type_url, "type.googleapis.com/google.rpc.ErrorInfo")
        info = status_pb2.ErrorInfo.FromString(detail.value)
        self.assertEqual((info.reason, info.domain), ("SYNTAX_ERROR", "shoal"))
        self.assertEqual(dict(info.metadata), {"sqlite_code": "1", "extended_code": "1", "offset": "14",
                                               "sqlite_message": 'near "t": syntax error'})

    def test_batch(self):
        results = twin.client.batch(["SELECT 1", "SELEC", ("INSERT INTO t VALUES (?, 1, '')", (1,)), "SELECT count(*) FROM t"])
        self.assertEqual([r.error.code if r.error else None for r in results],
                         [None, "INVALID_ARGUMENT", "FAILED_PRECONDITION", None])
        self.assertIn("UNIQUE constraint failed: t.id", results[2].error.message)
        self.assertEqual(results[3].rows, [(3,)])

    def test_stream(self):
        with self.assertRaises(SqlError) as failed:
            twin.client.stream("SELECT nope FROM t")
        self.assertEqual((failed.exception.code, failed.exception.reason), ("INVALID_ARGUMENT", "SQLITE_ERROR"))
        with self.assertRaises(SqlError) as failed:
            twin.client.stream("SELECT id, abs(id - 2 - 9223372036854775807) FROM t WHERE id = 1")
        self.assertEqual(failed.exception.metadata["sqlite_message"], "integer overflow")


class Topo(unittest.TestCase):
    def test_keyspaces(self):
        with twin.cluster.topo_client() as topo:
            for label, call, code, reason in [
                    ("exists", lambda: topo.create_keyspace(twin.keyspace, 8), "ALREADY_EXISTS", "KEYSPACE_EXISTS"),
                    ("bad name", lambda: topo.create_keyspace("No!"), "INVALID_ARGUMENT", "BAD_KEYSPACE_NAME"),
                    ("too many shards", lambda: topo.create_keyspace("many", 100000), "INVALID_ARGUMENT", "TOO_MANY_SHARDS"),
                    ("not empty", lambda: topo.drop_keyspace(twin.keyspace), "FAILED_PRECONDITION", "KEYSPACE_NOT_EMPTY"),
                    ("unknown", lambda: topo.drop_keyspace("nope"), "NOT_FOUND", "UNKNOWN_KEYSPACE")]:
                with self.subTest(label):
                    with self.assertRaises(SqlError) as failed:
                        call()
                    self.assertEqual((failed.exception.code, failed.exception.reason), (code, reason))


class Away(unittest.TestCase):
    """UNAVAILABLE while a process is away, never a hang; all is well when it is back."""

    def test_each_process(self):
        with Twin(clusters.clusters[0][1], 8) as away:
            cluster = away.cluster
            away.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            for i in range(20):
                away.run("INSERT INTO t VALUES (?, ?)", (i, i))
            cluster.kill("tablet-1")
            with self.assertRaises(SqlError) as failed:
                away.client.execute("SELECT count(*) FROM t", timeout=20)
            self.assertEqual((failed.exception.code, failed.exception.reason), ("UNAVAILABLE", "TABLET_AWAY"))
            cluster.restart("tablet-1")
            self.assertEqual(away.client.rows("SELECT count(*) FROM t"), [(20,)])
            cluster.kill("topo-0")
            self.assertEqual(away.client.rows("SELECT count(*) FROM t"), [(20,)])
            away.run("INSERT INTO t VALUES (100, 1)")
            with self.assertRaises(SqlError) as failed:
                away.client.execute("CREATE TABLE u (a)", timeout=20)
            self.assertEqual(failed.exception.code, "UNAVAILABLE")
            cluster.restart("topo-0")
            cluster.kill("gate-0")
            with Client(cluster.gate) as client, self.assertRaises(SqlError) as failed:
                client.execute("SELECT 1")
            self.assertEqual(failed.exception.code, "UNAVAILABLE")
            cluster.restart("gate-0")
            with Client(cluster.gate, away.keyspace) as client:
                self.assertEqual(client.rows("SELECT count(*) FROM t"), [(21,)])
            twin.client.close()
            twin.client = Client(cluster.gate, twin.keyspace)


class Documentation(unittest.TestCase):
    def test_every_reason_met_here_is_documented(self):
        text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
        documented = set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", text))
        for reason in {c[3] for c in SQLITE_CASES} | {c[2] for c in OWN_CASES if c[2]}:
            if reason.startswith("SQLITE_CONSTRAINT_"):
                reason = "SQLITE_CONSTRAINT_UNIQUE"
            if reason.startswith("SQLITE_ERROR_"):
                reason = "SQLITE_ERROR"
            self.assertIn(reason, documented)


if __name__ == "__main__":
    unittest.main()
