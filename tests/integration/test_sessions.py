"""Sessions: names, limits, one call at a time, and transactions that only read."""

import random
import sqlite3
import threading
import unittest

from lib import Cluster, SqlError
from lib.protos import api_pb2

FORGED = ["x", "gate-0", "gate-0-1-" + "0" * 32, "gate-0-1-" + "0" * 31, "-1-" + "0" * 32, "a" * 500,
          "gate-0--" + "0" * 32, "gate-0-1-" + "G" * 32]


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(tablets=2, shards=3))
        cls.client = cls.enterClassContext(cls.cluster.client())
        cls.client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        for i in range(20):
            cls.client.execute("INSERT INTO t VALUES (?, ?)", [i, i])

    def open(self):
        return self.client.call(self.client.stub.OpenSession, api_pb2.OpenSessionRequest()).session

    def commit(self, session):
        return self.client.call(self.client.stub.Commit, api_pb2.CommitRequest(session=session))

    def close(self, session):
        self.client.call(self.client.stub.CloseSession, api_pb2.CloseSessionRequest(session=session))

    def rows(self, sql, session, **options):
        return self.client.execute(sql, session=session, **options).rows

    def refused(self, reason, call, *args, **kwargs):
        with self.assertRaises(SqlError) as failed:
            call(*args, **kwargs)
        self.assertEqual(failed.exception.reason, reason)
        return failed.exception

    def test_forged_names(self):
        real = self.open()
        for name in FORGED + [real[:-1] + ("0" if real[-1] != "0" else "1")]:
            with self.subTest(name):
                error = self.refused("SESSION_NOT_FOUND", self.rows, "SELECT 1", name)
                self.assertEqual(error.code, "NOT_FOUND")
                self.refused("SESSION_NOT_FOUND", self.close, name)
        self.close(real)
        self.refused("SESSION_NOT_FOUND", self.rows, "SELECT 1", real)
        self.refused("SESSION_NOT_FOUND", self.close, real)

    def test_snapshot_stays(self):
        session = self.open()
        before = self.rows("SELECT id, v FROM t ORDER BY id", session)
        self.rows("BEGIN", session)
        self.assertEqual(self.rows("SELECT id, v FROM t ORDER BY id", session), before)
        self.client.execute("UPDATE t SET v = v + 100 WHERE id = 3")
        self.client.execute("DELETE FROM t WHERE id = 4")
        self.assertEqual(self.rows("SELECT id, v FROM t ORDER BY id", session), before)
        self.assertEqual(self.rows("SELECT v FROM t WHERE id = 3", session), [(before[3][1],)])
        joined = self.rows("SELECT a.id, b.v FROM t a JOIN t b ON b.id = a.id + 0 ORDER BY 1", session)
        self.assertEqual(joined, before)
        self.rows("COMMIT", session)
        self.assertEqual(len(self.rows("SELECT id FROM t", session)), len(before) - 1)
        self.client.execute("INSERT INTO t VALUES (4, 4)")
        self.close(session)

    def test_read_committed_moves_on(self):
        session = self.client.call(self.client.stub.Begin, api_pb2.BeginRequest(isolation="ISOLATION_READ_COMMITTED")).session
        total = self.rows("SELECT sum(v) FROM t", session)[0][0]
        self.client.execute("UPDATE t SET v = v + 1 WHERE id = 5")
        self.assertEqual(self.rows("SELECT sum(v) FROM t", session), [(total + 1,)])
        self.rows("ROLLBACK", session)
        self.refused("SESSION_NOT_FOUND", self.rows, "SELECT 1", session)

    def test_shards_read_later_show_the_same_moment(self):
        session = self.open()
        for _ in range(20):
            self.rows("BEGIN", session)
            first = self.rows("SELECT v FROM t WHERE id = 1", session)
            try:
                rest = dict(self.rows("SELECT id, v FROM t", session))
                self.assertEqual([(rest[1],)], first)
            except SqlError as e:
                self.assertEqual((e.code, e.reason), ("ABORTED", "READ_CONFLICT"))
                self.refused("TRANSACTION_ABORTED", self.rows, "SELECT 1", session)
            self.rows("ROLLBACK", session)
        self.close(session)

    def test_what_cannot_be_shown_any_more_is_refused(self):
        session = self.open()
        self.rows("BEGIN", session)
        self.rows("SELECT v FROM t WHERE id = 1", session)
        for i in range(20):
            self.client.execute("UPDATE t SET v = v + 1 WHERE id = ?", [i])
        error = self.refused("READ_CONFLICT", self.rows, "SELECT id, v FROM t", session)
        self.assertEqual(error.code, "ABORTED")
        self.refused("TRANSACTION_ABORTED", self.rows, "SELECT 1", session)
        self.refused("TRANSACTION_ABORTED", self.rows, "BEGIN", session)
        self.refused("TRANSACTION_ABORTED", self.rows, "COMMIT", session)
        self.assertEqual(len(self.rows("SELECT id FROM t", session)), 20)
        self.close(session)

    def test_commit_may_be_repeated(self):
        session = self.client.execute("BEGIN").session
        self.assertTrue(session)
        first = self.commit(session).transaction_id
        self.assertEqual(self.commit(session).transaction_id, first)
        self.refused("SESSION_NOT_FOUND", self.rows, "SELECT 1", session)
        self.refused("SQLITE_ERROR", self.commit, "")

    def test_one_call_at_a_time(self):
        session = self.open()
        slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000000) SELECT count(*) FROM c"
        worker = threading.Thread(target=self.rows, args=(slow, session))
        worker.start()
        busy = 0
        while worker.is_alive():
            try:
                self.rows("SELECT 1", session)
            except SqlError as e:
                self.assertEqual((e.code, e.reason), ("FAILED_PRECONDITION", "SESSION_BUSY"))
                busy += 1
        worker.join()
        self.assertGreater(busy, 0)
        self.assertEqual(self.rows("SELECT 1", session), [(1,)])
        self.close(session)

    def test_what_replies_tell(self):
        answer = self.client.call(self.client.stub.Execute, api_pb2.ExecuteRequest(sql="BEGIN IMMEDIATE TRANSACTION"))
        self.assertTrue(answer.in_transaction)
        session = answer.session
        parts = list(self.client.stub.ExecuteStream(api_pb2.ExecuteRequest(sql="SELECT id FROM t", session=session)))
        self.assertEqual((parts[-1].session, parts[-1].in_transaction), (session, True))
        batch = self.client.call(self.client.stub.ExecuteBatch, api_pb2.ExecuteBatchRequest(
            session=session, statements=[api_pb2.Statement(sql=s) for s in ["SELECT 1", "SAVEPOINT a", "nonsense", "END"]]))
        self.assertEqual([r.code for r in batch.results], [0, 0, 3, 0])
        self.assertEqual((batch.session, batch.in_transaction), (session, False))
        batch = self.client.call(self.client.stub.ExecuteBatch, api_pb2.ExecuteBatchRequest(
            statements=[api_pb2.Statement(sql=s) for s in ["BEGIN", "SELECT count(*) FROM t"]]))
        self.assertTrue(batch.in_transaction)
        self.rows("ROLLBACK", batch.session)

    def test_errors_are_sqlites(self):
        session = self.open()
        for sql, message in [("COMMIT", "cannot commit - no transaction is active"),
                             ("ROLLBACK", "cannot rollback - no transaction is active"),
                             ("RELEASE s", "no such savepoint: s"), ("ROLLBACK TO s", "no such savepoint: s")]:
            self.assertEqual(self.refused("SQLITE_ERROR", self.rows, sql, session).message, message)
        self.rows("BEGIN", session)
        error = self.refused("SQLITE_ERROR", self.rows, "BEGIN", session)
        self.assertEqual((error.message, error.extended_code), ("cannot start a transaction within a transaction", 1))
        self.refused("TRANSACTION_DDL", self.rows, "CREATE TABLE u (a)", session)
        self.close(session)

    def test_counters(self):
        self.client.execute("CREATE TABLE n (id INTEGER PRIMARY KEY, v CHECK (v <> 13))")
        session, twin, rng = self.open(), sqlite3.connect(":memory:", isolation_level=None), random.Random(5)
        twin.execute("CREATE TABLE n (id INTEGER PRIMARY KEY, v CHECK (v <> 13))")
        last = 0  # Python sets SQLite's to 0 with every statement
        for _ in range(150):
            key, value = rng.randrange(12), rng.randrange(10, 16)
            sql, params = rng.choice([
                ("INSERT INTO n (v) VALUES (?)", [value]), ("INSERT OR IGNORE INTO n VALUES (?, ?)", [key, value]),
                ("INSERT INTO n VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET v = excluded.v", [key, value]),
                ("UPDATE n SET v = ? WHERE id = ?", [value, key]), ("DELETE FROM n WHERE id = ?", [key]),
                ("UPDATE n SET v = v + changes() WHERE id = ?", [key]), ("nonsense", [])])
            try:
                cursor = twin.execute(sql, params)
            except sqlite3.Error:
                with self.assertRaises(SqlError):
                    self.client.execute(sql, params, session=session)
            else:
                result = self.client.execute(sql, params, session=session)
                last = sql.startswith("INSERT") and cursor.lastrowid or last
                self.assertEqual((result.rows_affected, result.last_insert_id), (cursor.rowcount, last), sql)
            counts = twin.execute("SELECT changes(), total_changes()").fetchone()
            self.assertEqual(self.rows("SELECT changes(), total_changes(), last_insert_rowid()", session), [(*counts, last)], sql)
        self.assertEqual(self.client.rows("SELECT * FROM n ORDER BY id"), twin.execute("SELECT * FROM n ORDER BY id").fetchall())
        self.close(session)
        twin.close()

    def test_through_another_gate(self):
        with Cluster(tablets=1, shards=2, gates=2) as cluster, cluster.client() as here, cluster.client(gate=1) as there:
            here.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            here.execute("INSERT INTO t VALUES (1, 'x')")
            session = here.execute("BEGIN").session
            self.assertEqual(there.execute("SELECT v FROM t", session=session).rows, [("x",)])
            parts = list(there.stub.ExecuteStream(api_pb2.ExecuteRequest(sql="SELECT id FROM t", session=session)))
            self.assertEqual((parts[0].result.columns[0].name, parts[-1].in_transaction), ("id", True))
            with self.assertRaises(SqlError) as failed:
                there.execute("BEGIN", session=session)
            self.assertEqual((failed.exception.reason, failed.exception.extended_code), ("SQLITE_ERROR", 1))
            commit = api_pb2.CommitRequest(session=session)
            self.assertEqual(there.call(there.stub.Commit, commit), here.call(here.stub.Commit, commit))
            other = there.call(there.stub.OpenSession, api_pb2.OpenSessionRequest()).session
            self.assertTrue(other.startswith("gate-1-"))
            batch = here.call(here.stub.ExecuteBatch, api_pb2.ExecuteBatchRequest(
                session=other, statements=[api_pb2.Statement(sql=s) for s in ("BEGIN", "SELECT 7")]))
            self.assertEqual((batch.in_transaction, batch.results[1].result.rows[0].values[0].integer), (True, 7))
            here.call(here.stub.CloseSession, api_pb2.CloseSessionRequest(session=other))
            for client in here, there:
                with self.assertRaises(SqlError) as failed:
                    client.execute("SELECT 1", session=other)
                self.assertEqual(failed.exception.reason, "SESSION_NOT_FOUND")

    def test_limit(self):
        with Cluster(tablets=1, shards=1, flags=["gate:--max-sessions=2"]) as small, small.client() as client:
            names = [client.call(client.stub.OpenSession, api_pb2.OpenSessionRequest()).session for _ in range(2)]
            with self.assertRaises(SqlError) as failed:
                client.execute("BEGIN")
            self.assertEqual(failed.exception.reason, "TOO_MANY_SESSIONS")
            client.call(client.stub.CloseSession, api_pb2.CloseSessionRequest(session=names[0]))
            self.assertTrue(client.execute("BEGIN").session)


if __name__ == "__main__":
    unittest.main()
