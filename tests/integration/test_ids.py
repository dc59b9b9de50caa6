"""Rowids and AUTOINCREMENT: SQLite's own for one client, unique and rising for many."""

import random
import threading
import unittest

from lib import Client, Cluster, Clusters, SqlError, Twin, wait_for

clusters = None


def setUpModule():
    global clusters
    clusters = Clusters([(1, 1), (8, 2)])
    clusters.start()


def tearDownModule():
    clusters.stop()


class OneClient(unittest.TestCase):
    """Every step on both; the ids must be SQLite's."""

    def test_largest_plus_one(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
                for sql in ["INSERT INTO t (x) VALUES ('first')", "INSERT INTO t VALUES (NULL, 'null')",
                            "INSERT INTO t VALUES (10, 'given')", "INSERT INTO t (x) VALUES ('after it')",
                            "DELETE FROM t WHERE id = 11", "INSERT INTO t (x) VALUES ('again')",
                            "DELETE FROM t WHERE id = 10", "INSERT INTO t (x) VALUES ('not again')",
                            "INSERT INTO t VALUES ('20', 'text')", "INSERT INTO t (x) VALUES ('after text')",
                            "INSERT INTO t VALUES (30.0, 'real')", "INSERT INTO t (x) VALUES ('after real')",
                            "INSERT INTO t DEFAULT VALUES", "INSERT INTO t (x, id) VALUES ('turned', NULL)",
                            "INSERT OR REPLACE INTO t VALUES (NULL, 'replace')",
                            "INSERT OR IGNORE INTO t (x) VALUES ('ignore')",
                            "INSERT INTO t (x) VALUES ('upsert') ON CONFLICT (id) DO UPDATE SET x = 'no'",
                            "INSERT OR IGNORE INTO t VALUES (30, 'ignored')", "INSERT INTO t (x) VALUES ('after ignored')",
                            "REPLACE INTO t VALUES (3, 'three')", "INSERT INTO t (x) VALUES ('last')"]:
                    twin.run(sql)
                twin.same("SELECT * FROM t ORDER BY id")

    def test_rowid_without_a_column(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (x TEXT, rowid TEXT)")
                for i in range(5):
                    twin.run("INSERT INTO t (x) VALUES (?)", (f"x{i}",))
                twin.run("INSERT INTO t (_rowid_, x) VALUES (100, 'given')")
                twin.run("INSERT INTO t (x) VALUES ('after')")
                twin.run("DELETE FROM t WHERE oid = 101")
                twin.run("INSERT INTO t VALUES ('again', 'no rowid')")
                twin.same("SELECT _rowid_, oid, rowid, x FROM t ORDER BY _rowid_")
                twin.same("SELECT x FROM t WHERE oid = 100")

    def test_negative_and_empty(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
                twin.run("INSERT INTO t VALUES (-7, 'a')")
                twin.run("INSERT INTO t (x) VALUES ('b')")
                twin.run("DELETE FROM t WHERE id = -6")
                twin.run("DELETE FROM t WHERE id = -7")
                twin.run("INSERT INTO t (x) VALUES ('c')")
                twin.same("SELECT * FROM t")

    def test_failed_insert_takes_no_id(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                for words in ("", "AUTOINCREMENT"):
                    twin.run(f"CREATE TABLE t{words} (id INTEGER PRIMARY KEY {words}, x CHECK (x > 0))")
                    for x in (1, 2, -1, 3, -1, -1, 4):
                        if x < 0:
                            twin.same_error(f"INSERT INTO t{words} (x) VALUES ({x})")
                        else:
                            twin.run(f"INSERT INTO t{words} (x) VALUES ({x})")
                    twin.same(f"SELECT * FROM t{words} ORDER BY id")

    def test_rows_before_the_one_that_fails(self):
        """OR FAIL keeps them, and so their rowids are taken."""
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INT, b INT, v, PRIMARY KEY (a, b))")
                twin.run("INSERT INTO t VALUES (1, 2, 'two')")
                twin.same_error("INSERT OR FAIL INTO t VALUES (1, 7, 'kept'), (1, 2, 'fails')")
                twin.run("INSERT OR REPLACE INTO t VALUES (1, 10, 'ten')")
                twin.run("INSERT INTO t VALUES (1, 11, 'eleven')")
                twin.same("SELECT rowid, * FROM t ORDER BY rowid")

    def test_autoincrement_gives_no_id_twice(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x)")
                for sql in ["INSERT INTO t (x) VALUES (1)", "INSERT INTO t (x) VALUES (2)", "DELETE FROM t WHERE id = 2",
                            "INSERT INTO t (x) VALUES (3)", "INSERT INTO t VALUES (50, 4)", "DELETE FROM t WHERE id = 50",
                            "INSERT INTO t (x) VALUES (5)", "INSERT INTO t VALUES (-5, 6)", "INSERT INTO t (x) VALUES (7)",
                            "DELETE FROM t WHERE id = 52", "DELETE FROM t WHERE id = 51", "INSERT INTO t (x) VALUES (8)"]:
                    twin.run(sql)
                twin.same("SELECT * FROM t ORDER BY id")

    def test_last_id_there_is(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
                twin.run("INSERT INTO t VALUES (?, 1)", (2**63 - 2,))
                twin.run("INSERT INTO t (x) VALUES (2)")
                # Now ids are drawn at random, from the lower half of the positive ones.
                drawn = [twin.client.execute("INSERT INTO t (x) VALUES (3)").last_insert_id for _ in range(5)]
                self.assertEqual(len(set(drawn)), 5)
                self.assertTrue(all(0 < n <= 2**62 for n in drawn), drawn)
                twin.run("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x)")
                twin.run("INSERT INTO a VALUES (?, 1)", (2**63 - 1,))
                error = twin.same_error("INSERT INTO a (x) VALUES (2)")
                self.assertEqual(error.metadata["sqlite_message"], "database or disk is full")
                twin.same_error("INSERT INTO a VALUES (NULL, 2)")
                twin.run("INSERT INTO a VALUES (5, 2)")

    def test_rows_of_one_statement_one_after_the_other(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                # Where another column decides the shard, several rows with new rowids may lie together.
                twin.run("CREATE TABLE t (k TEXT, n INTEGER, PRIMARY KEY (k, n))")
                twin.run("INSERT INTO t VALUES ('same', 1), ('same', 2), ('same', 3)")
                twin.run("INSERT INTO t VALUES ('other', 1)")
                twin.run("INSERT INTO t VALUES ('other', 2), ('other', 3)")
                twin.same("SELECT rowid, * FROM t ORDER BY rowid")
        with Twin(clusters.clusters[0][1], 1) as twin:
            twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
            twin.run("INSERT INTO t VALUES (NULL, 1), (10, 2), (NULL, 3), (5, 4), (NULL, 5)")
            twin.run("INSERT INTO t VALUES (-3, 1), (NULL, 2)")
            twin.same("SELECT * FROM t ORDER BY id")

    def test_table_made_anew_begins_anew(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                for words in ("", "AUTOINCREMENT"):
                    for _ in range(2):
                        twin.run(f"CREATE TABLE t (id INTEGER PRIMARY KEY {words}, x)")
                        for i in range(3):
                            twin.run("INSERT INTO t (x) VALUES (?)", (i,))
                        twin.same("SELECT * FROM t ORDER BY id")
                        twin.run("DROP TABLE t")

    def test_at_random(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                rng = random.Random(7)
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x CHECK (x < 9))")
                twin.run("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x CHECK (x < 9))")
                for _ in range(150):
                    table, x, key = rng.choice("ta"), rng.randrange(10), rng.randrange(-3, 30)
                    what = rng.random()
                    if what < 0.5:
                        sql = f"INSERT INTO {table} (x) VALUES ({x})"
                    elif what < 0.65:
                        sql = f"INSERT OR IGNORE INTO {table} VALUES ({key}, {x})"
                    else:
                        sql = f"DELETE FROM {table} WHERE id = {key}"
                    if x == 9 and what < 0.5:
                        twin.same_error(sql)
                    else:
                        twin.run(sql)
                twin.same("SELECT 't', * FROM t ORDER BY id")
                twin.same("SELECT 'a', * FROM a ORDER BY id")


class Restarts(unittest.TestCase):
    def test_ids_go_on_over_restarts(self):
        with Cluster(tablets=2, shards=6) as cluster, Twin(cluster, 6) as twin:
            twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
            twin.run("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x)")
            for process in ("gate-0", "tablet-0", "tablet-1", "topo-0", "gate-0"):
                for i in range(4):
                    twin.run("INSERT INTO t (x) VALUES (?)", (i,))
                    twin.run("INSERT INTO a (x) VALUES (?)", (i,))
                largest = twin.oracle.rows("SELECT max(id) FROM a")[0][0]
                twin.run("DELETE FROM a WHERE id = ?", (largest,))
                twin.run("DELETE FROM t WHERE id = ?", (largest,))
                cluster.kill(process)
                cluster.restart(process)
                twin.client.close()
                twin.client = Client(cluster.gate, twin.keyspace)
                wait_for("the cluster to answer", lambda: answers(twin.client))
            twin.same("SELECT * FROM t ORDER BY id")
            twin.same("SELECT * FROM a ORDER BY id")


def answers(client):
    try:
        client.execute("SELECT count(*) FROM t")
        client.execute("SELECT count(*) FROM a")
        return True
    except SqlError as e:
        assert e.code in ("UNAVAILABLE", "NOT_FOUND", "ABORTED"), e
        return False


class ManyClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(tablets=2, shards=8, gates=2).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def run_threads(self, n, work):
        errors = []

        def guarded(i):
            try:
                with Client(self.cluster.describe()["gates"][i % 2]["address"]) as client:
                    work(i, client)
            except BaseException as e:  # a thread's failure is the test's
                errors.append(e)

        threads = [threading.Thread(target=guarded, args=(i,)) for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if errors:
            raise errors[0]

    def await_table(self, table):
        for gate in (0, 1):
            client = self.cluster.client(gate=gate)
            wait_for("the other gate to see the table", lambda c=client: sees(c, table))

    def check_unique_and_rising(self, table, create, insert):
        first = self.cluster.client(gate=0)
        first.execute(create)
        self.await_table(table)
        ids = {}

        def work(i, client):
            ids[i] = [client.execute(insert, (f"{i}/{k}",)).last_insert_id for k in range(25)]

        self.run_threads(8, work)
        given = [n for of_one in ids.values() for n in of_one]
        self.assertEqual(len(set(given)), len(given), "an id was given twice")
        for of_one in ids.values():
            self.assertEqual(of_one, sorted(of_one), "ids of one client fall")
        self.assertEqual(first.rows(f"SELECT count(*), count(DISTINCT rowid), min(rowid) > 0 FROM {table}"),
                         [(200, 200, 1)])

    def test_rowids_are_unique_over_two_gates(self):
        self.check_unique_and_rising("t", "CREATE TABLE t (id INTEGER PRIMARY KEY, x)", "INSERT INTO t (x) VALUES (?)")

    def test_autoincrement_is_unique_over_two_gates(self):
        self.check_unique_and_rising("a", "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x)",
                                     "INSERT INTO a (x) VALUES (?)")

    def test_rowids_that_decide_no_shard_are_unique(self):
        self.check_unique_and_rising("k", "CREATE TABLE k (x TEXT PRIMARY KEY)", "INSERT INTO k VALUES (?)")

    def test_rows_that_another_gate_was_given(self):
        """Explicit rowids through one gate, where the other is about to go: nothing is overwritten, ignored or refused."""
        one, two = self.cluster.client(gate=0), self.cluster.client(gate=1)
        one.execute("CREATE TABLE x (id INTEGER PRIMARY KEY, v)")
        self.await_table("x")
        at = one.execute("INSERT INTO x (v) VALUES ('first')").last_insert_id
        for insert in ["INSERT INTO x (v) VALUES ('made up')", "INSERT OR REPLACE INTO x (v) VALUES ('made up')",
                       "INSERT OR IGNORE INTO x (v) VALUES ('made up')", "INSERT OR FAIL INTO x (v) VALUES ('made up')",
                       "REPLACE INTO x VALUES (NULL, 'made up')",
                       "INSERT INTO x (v) VALUES ('made up') ON CONFLICT (id) DO UPDATE SET v = 'overwritten'",
                       "INSERT INTO x (v) VALUES ('made up') ON CONFLICT DO NOTHING"]:
            with self.subTest(insert):
                before = one.rows("SELECT count(*) FROM x")[0][0]
                for i in range(1, 4):
                    two.execute("INSERT INTO x VALUES (?, 'given')", (at + i,))
                result = one.execute(insert)
                self.assertEqual(result.rows_affected, 1)
                self.assertEqual(one.rows("SELECT v FROM x WHERE id = ?", (result.last_insert_id,)), [("made up",)])
                self.assertEqual(one.rows("SELECT count(*) FROM x WHERE v = 'overwritten'"), [(0,)])
                self.assertEqual(one.rows("SELECT count(*) FROM x")[0][0], before + 4)
                at = max(result.last_insert_id, at + 3)

    def test_request_id_is_done_once(self):
        one, two = self.cluster.client(gate=0), self.cluster.client(gate=1)
        one.execute("CREATE TABLE r (id INTEGER PRIMARY KEY, v)")
        self.await_table("r")
        for i in range(12):
            insert = ("INSERT INTO r (v) VALUES (?)", (f"v{i}",))
            first = one.execute(*insert, request_id=f"request {i}")
            for client in (one, two, one):
                again = client.execute(*insert, request_id=f"request {i}")
                self.assertEqual(again.last_insert_id, first.last_insert_id)
                self.assertEqual(again.rows_affected, 1)
            other = two.execute("INSERT INTO r (v) VALUES ('other') RETURNING id, v")
            self.assertEqual(other.rows, [(other.last_insert_id, "other")])
        self.assertEqual(one.rows("SELECT count(*), count(DISTINCT v) FROM r WHERE v <> 'other'"), [(12, 12)])
        with self.assertRaises(SqlError) as failed:
            two.execute("INSERT INTO r (v) VALUES ('else')", request_id="request 3")
        self.assertEqual((failed.exception.code, failed.exception.reason), ("INVALID_ARGUMENT", "REQUEST_ID_REUSED"))

    def test_request_id_of_schema_changes(self):
        """Sent again they answer as the first time: not that the name is there, or gone."""
        one, two = self.cluster.client(gate=0), self.cluster.client(gate=1)
        statements = ["CREATE TABLE d (id INTEGER PRIMARY KEY, v)", "CREATE INDEX d_v ON d (v)", "CREATE VIEW d_all AS SELECT * FROM d",
                      "DROP VIEW d_all", "DROP INDEX d_v"]
        for i, sql in enumerate(statements):
            for client in (one, two, two, one):
                result = client.execute(sql, request_id=f"change {i}")
                self.assertEqual((result.columns, result.rows, result.rows_affected), ([], [], 0))
        one.execute("INSERT INTO d (v) VALUES (1)")
        # Done before, so not again: neither is the name free, nor does the table go that came later.
        drop = ("DROP TABLE d",)
        one.execute(*drop, request_id="drop")
        one.execute("CREATE TABLE d (id INTEGER PRIMARY KEY, w)")
        for client in (two, one):
            client.execute(*drop, request_id="drop")
            client.execute(statements[0], request_id="change 0")
        self.assertEqual(one.execute("SELECT * FROM d").columns, ["id", "w"])
        for sql, request_id in [("CREATE TABLE d (id INTEGER PRIMARY KEY, v, x)", "change 0"), ("DROP TABLE d", "change 3")]:
            with self.assertRaises(SqlError) as failed:
                two.execute(sql, request_id=request_id)
            self.assertEqual((failed.exception.code, failed.exception.reason), ("INVALID_ARGUMENT", "REQUEST_ID_REUSED"))
        for request_id in ("new", ""):
            with self.assertRaises(SqlError) as failed:
                two.execute(statements[0], request_id=request_id)
            self.assertIn("already exists", str(failed.exception))
        with self.assertRaises(SqlError) as failed:
            two.execute(statements[0], request_id="x" * 129)
        self.assertEqual(failed.exception.reason, "BAD_REQUEST")

    def test_request_id_of_a_schema_change_from_many_at_once(self):
        self.run_threads(6, lambda i, client: client.execute("CREATE TABLE e (a)", request_id="many"))
        self.assertEqual(self.cluster.client(gate=0).rows("SELECT count(*) FROM e"), [(0,)])

    def test_request_id_from_many_at_once(self):
        one = self.cluster.client(gate=0)
        one.execute("CREATE TABLE q (id INTEGER PRIMARY KEY, v)")
        self.await_table("q")
        ids = {}

        def work(i, client):
            ids[i] = [client.execute("INSERT INTO q (v) VALUES (?)", (k,), request_id=f"q{k}").last_insert_id
                      for k in range(10)]

        self.run_threads(6, work)
        self.assertEqual(one.rows("SELECT count(*), count(DISTINCT v) FROM q"), [(10, 10)])
        for i in ids:
            self.assertEqual(ids[i], ids[0])


def sees(client, table):
    try:
        client.execute(f"SELECT 1 FROM {table} LIMIT 0")
        return True
    except SqlError as e:
        assert e.code == "NOT_FOUND", e
        return False


if __name__ == "__main__":
    unittest.main()
