"""Schema changes: everywhere or nowhere, in SQLite's words, whatever dies meanwhile."""

import sqlite3
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


class AsSQLite(unittest.TestCase):
    def test_create_and_drop(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                for sql in ["CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT DEFAULT 'x', c REAL CHECK (c >= 0))",
                            "CREATE INDEX i ON t (b)", "CREATE INDEX IF NOT EXISTS i ON t (b)",
                            "CREATE TABLE IF NOT EXISTS t (z)", "DROP INDEX i", "DROP INDEX IF EXISTS i",
                            "CREATE INDEX i ON t (c DESC) WHERE c > 1", "CREATE INDEX j ON t (lower(b))",
                            'CREATE TABLE "odd ""name" ("a b" INTEGER PRIMARY KEY, "c""d")',
                            "CREATE TABLE s (a INTEGER PRIMARY KEY, b ANY) STRICT",
                            "CREATE TABLE w (a TEXT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID",
                            "CREATE TABLE g (a INTEGER PRIMARY KEY, b INT, c AS (b * 2), d AS (b + 1) STORED)",
                            "CREATE TABLE f (a INTEGER PRIMARY KEY, b REFERENCES nowhere (x))",
                            "CREATE TABLE main.m (a PRIMARY KEY)", "DROP TABLE IF EXISTS no_such"]:
                    twin.run(sql)
                twin.run("INSERT INTO t (b, c) VALUES ('y', 1.5)")
                twin.run("INSERT INTO t (c) VALUES (2)")
                twin.run('INSERT INTO "odd ""name" VALUES (1, 2)')
                twin.run("INSERT INTO g (b) VALUES (20)")
                twin.run("INSERT INTO m VALUES ('m')")
                for sql in ["SELECT * FROM t", 'SELECT * FROM "odd ""name"', "SELECT * FROM g", "SELECT * FROM m",
                            "SELECT b FROM t WHERE lower(b) = 'y'"]:
                    twin.same(sql)
                twin.same_error("INSERT INTO t (c) VALUES (-1)")
                twin.same_error("INSERT INTO s VALUES ('x', 1)")
                twin.run("DROP TABLE t")
                twin.same_error("SELECT * FROM t")
                twin.run("CREATE TABLE t (other)")
                twin.same("SELECT * FROM t")

    def test_errors_in_sqlites_words(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
                twin.run("CREATE INDEX i ON t (b)")
                for sql in ["CREATE TABLE t (a)", "CREATE TABLE T (a)", "CREATE INDEX i ON t (a)", "CREATE INDEX j ON t (nope)",
                            "CREATE INDEX j ON nope (a)", "DROP TABLE nope", "DROP INDEX nope", "DROP TABLE i",
                            "CREATE TABLE x (a, a)", "CREATE TABLE x (a PRIMARY KEY, b PRIMARY KEY)", "CREATE TABLE x ()",
                            "CREATE TABLE sqlite_x (a)", "CREATE TABLE x (a INTEGER) WITHOUT ROWID",
                            "CREATE TABLE x (a TEXT PRIMARY KEY AUTOINCREMENT)", "CREATE TABLE x (a NOPE) STRICT",
                            "CREATE INDEX j ON t (random())", "DROP INDEX sqlite_autoindex_t_1", "CREATE TABLE i (a)"]:
                    with self.subTest(sql):
                        error = twin.same_error(sql)
                        with self.assertRaises(sqlite3.Error) as want:
                            twin.oracle.execute(sql)
                        self.assertEqual(error.metadata.get("sqlite_message"), str(want.exception))
                twin.same("SELECT * FROM t")

    def test_columns_are_described(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b VARCHAR(10), c)")
                got = twin.client.describe("SELECT a, b AS bee, c, a + 1, count(*) FROM t WHERE b = :x AND c = ?2")
                self.assertEqual([(c.name, c.declared_type) for c in got.columns],
                                 [("a", "INTEGER"), ("bee", "VARCHAR(10)"), ("c", ""), ("a + 1", ""), ("count(*)", "")])
                self.assertEqual(list(got.parameters), [":x", "?2"])
                self.assertTrue(got.read_only)


class OnAllShards(unittest.TestCase):
    def test_refused_by_one_shard_is_nowhere(self):
        """Duplicates on one shard only: the others must not keep the index."""
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (k TEXT, n INTEGER, v, PRIMARY KEY (k, n))")
                for k in range(12):
                    twin.run("INSERT INTO t VALUES (?, 1, 'v')", (f"key {k}",))
                twin.run("INSERT INTO t VALUES ('key 3', 2, 'v')")
                error = twin.same_error("CREATE UNIQUE INDEX u ON t (k, v)")
                self.assertEqual(error.code, "FAILED_PRECONDITION")
                self.assertTrue(error.metadata["shard"])
                # As before: duplicates may be added, the name is free, and the next change goes through.
                twin.run("INSERT INTO t VALUES ('key 5', 2, 'v')")
                twin.run("CREATE INDEX u ON t (v)")
                twin.run("DROP INDEX u")
                twin.run("DELETE FROM t WHERE k = 'key 3' AND n = 2")
                twin.run("DELETE FROM t WHERE k = 'key 5' AND n = 2")
                twin.run("CREATE UNIQUE INDEX u ON t (k, v)")
                twin.same_error("INSERT INTO t VALUES ('key 3', 2, 'v')")
                twin.same("SELECT * FROM t")

    def test_topo_lists_what_is_there(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
                twin.run("CREATE INDEX i ON t (b)")
                with twin.cluster.topo_client() as topo:
                    keyspace = topo.keyspace(twin.keyspace)
                    self.assertEqual([(t.name, t.sql) for t in keyspace.tables],
                                     twin.oracle.rows("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
                    self.assertEqual([(o.type, o.name, o.table, o.sql) for o in keyspace.objects],
                                     twin.oracle.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type = 'index'"))
                    self.assertEqual(keyspace.schema_version, 2)

    def test_cached_plans_follow(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                for columns, row in [("a INTEGER PRIMARY KEY, b", (1, 2)), ("b TEXT, a TEXT PRIMARY KEY", ("x", "y")),
                                     ("a INTEGER PRIMARY KEY, b, c DEFAULT 7", (3, 4))]:
                    twin.run(f"CREATE TABLE t ({columns})")
                    for _ in range(3):
                        twin.same("SELECT * FROM t")
                    twin.run("INSERT INTO t (a, b) VALUES (?, ?)", row)
                    twin.same("SELECT * FROM t WHERE a = ?", (row[0],))
                    twin.run("DROP TABLE t")


class SeveralGates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(tablets=2, shards=6, gates=2).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def at_once(self, *works):
        errors = []

        def guarded(work):
            try:
                work()
            except BaseException as e:
                errors.append(e)

        threads = [threading.Thread(target=guarded, args=(w,)) for w in works]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if errors:
            raise errors[0]

    def test_one_of_many_creates(self):
        """The same CREATE TABLE at once through both gates: one does it, the others hear that it exists."""
        for round_ in range(4):
            outcomes = []

            def create(gate, name=f"once{round_}"):
                with Client(self.cluster.describe()["gates"][gate]["address"]) as client:
                    try:
                        client.execute(f"CREATE TABLE {name} (a INTEGER PRIMARY KEY)")
                        outcomes.append("created")
                    except SqlError as e:
                        outcomes.append((e.code, e.metadata.get("sqlite_message")))

            self.at_once(*(lambda g=i % 2: create(g) for i in range(6)))
            self.assertEqual(outcomes.count("created"), 1, outcomes)
            self.assertEqual(outcomes.count(("ALREADY_EXISTS", f"table once{round_} already exists")), 5, outcomes)

    def test_different_changes_at_once_all_happen(self):
        def work(i):
            with Client(self.cluster.describe()["gates"][i % 2]["address"]) as client:
                client.execute(f"CREATE TABLE many{i} (a INTEGER PRIMARY KEY, b)")
                client.execute(f"CREATE INDEX many{i}_b ON many{i} (b)")
                client.execute(f"INSERT INTO many{i} VALUES (1, {i})")

        self.at_once(*(lambda n=i: work(n) for i in range(6)))
        for gate in (0, 1):
            client = self.cluster.client(gate=gate)
            for i in range(6):
                self.assertEqual(wait_for("the gate to see the table", lambda: rows_or_none(client, f"SELECT b FROM many{i}")),
                                 [(i,)])

    def test_other_gate_sees_it(self):
        one, two = self.cluster.client(gate=0), self.cluster.client(gate=1)
        one.execute("CREATE TABLE seen (a INTEGER PRIMARY KEY, b)")
        wait_for("the other gate", lambda: rows_or_none(two, "SELECT count(*) FROM seen"))
        two.execute("INSERT INTO seen VALUES (1, 2)")
        # Plans of the other gate are out of date as soon as a shard is: it plans again by itself.
        for i in range(5):
            one.execute("DROP TABLE seen")
            one.execute(f"CREATE TABLE seen (a INTEGER PRIMARY KEY, b, c DEFAULT {i})")
            wait_for("the other gate", lambda: describes(two, "SELECT * FROM seen", 3))
            two.execute("INSERT INTO seen (a) VALUES (1)")
            self.assertEqual(one.rows("SELECT c FROM seen"), [(i,)])

    def test_statements_go_on_while_indexes_come_and_go(self):
        one = self.cluster.client(gate=0)
        one.execute("CREATE TABLE busy (a INTEGER PRIMARY KEY, b)")
        wait_for("the other gate", lambda: rows_or_none(self.cluster.client(gate=1), "SELECT count(*) FROM busy"))
        stop = threading.Event()
        counts = [0, 0]

        def write(gate):
            with Client(self.cluster.describe()["gates"][gate]["address"]) as client:
                while not stop.is_set():
                    client.execute("INSERT INTO busy (b) VALUES (?)", (gate,))
                    counts[gate] += 1
                    client.rows("SELECT b, count(*) FROM busy GROUP BY b")

        def change():
            try:
                with Client(self.cluster.gate) as client:
                    for _ in range(8):
                        client.execute("CREATE INDEX busy_b ON busy (b)")
                        client.execute("DROP INDEX busy_b")
            finally:
                stop.set()

        self.at_once(lambda: write(0), lambda: write(1), change)
        self.assertTrue(all(counts))
        self.assertEqual(one.rows("SELECT count(*) FROM busy"), [(sum(counts),)])


class WhenSomethingIsAway(unittest.TestCase):
    def test_tablet_away(self):
        with Cluster(tablets=2, shards=4) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
            cluster.kill("tablet-1")
            with self.assertRaises(SqlError) as failed:
                client.execute("CREATE INDEX i ON t (b)", timeout=20)
            self.assertEqual(failed.exception.code, "UNAVAILABLE")
            cluster.restart("tablet-1")
            wait_for("the shards", lambda: rows_or_none(client, "SELECT count(*) FROM t"))
            client.execute("CREATE INDEX i ON t (b)")
            client.execute("INSERT INTO t VALUES (1, 2)")
            self.assertEqual(client.rows("SELECT b FROM t INDEXED BY i WHERE b = 2"), [(2,)])

    def test_topo_away(self):
        with Cluster(tablets=1, shards=2) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
            cluster.kill("topo-0")
            with self.assertRaises(SqlError) as failed:
                client.execute("CREATE TABLE u (a)", timeout=20)
            self.assertEqual(failed.exception.code, "UNAVAILABLE")
            client.execute("INSERT INTO t VALUES (1, 2)")
            self.assertEqual(client.rows("SELECT * FROM t"), [(1, 2)])
            cluster.restart("topo-0")
            wait_for("a schema change", lambda: created(client, "CREATE TABLE u (a)"))
            client.execute("INSERT INTO u VALUES (1)")

    def test_killed_in_the_middle(self):
        """Gates die while they change the schema; whoever comes next finishes or undoes it, and shards agree."""
        with Cluster(tablets=2, shards=4, gates=2, flags=["topo:--heartbeat=200ms", "topo:--lease=1s"]) as cluster:
            stop = threading.Event()
            other = cluster.client(gate=1)
            other.execute("CREATE TABLE base (a INTEGER PRIMARY KEY, b)")
            done = []

            def change():
                i = 0
                while not stop.is_set():
                    i += 1
                    with Client(cluster.describe()["gates"][0]["address"], timeout=5) as client:
                        for sql in (f"CREATE TABLE t{i} (a INTEGER PRIMARY KEY)", f"CREATE INDEX i{i} ON t{i} (a)"):
                            try:
                                client.execute(sql)
                                done.append(sql)
                            except SqlError as e:
                                if e.code not in ("UNAVAILABLE", "UNKNOWN", "NOT_FOUND", "ABORTED", "DEADLINE_EXCEEDED"):
                                    raise

            thread = threading.Thread(target=change)
            thread.start()
            try:
                for _ in range(4):
                    n = len(done)
                    wait_for("changes", lambda: len(done) >= n + 2)
                    cluster.kill("gate-0")
                    cluster.restart("gate-0")
            finally:
                stop.set()
                thread.join()
            # The other gate takes over what is left, and then both see the same, on all shards.
            wait_for("a change through the other gate", lambda: created(other, "CREATE TABLE IF NOT EXISTS after (a)"), 60)
            for sql in done:
                if sql.startswith("CREATE TABLE"):
                    name = sql.split()[2]
                    self.assertIsNotNone(wait_for(name, lambda: rows_or_none(other, f"SELECT count(*) FROM {name}")))
            self.assert_shards_agree(cluster)

    def assert_shards_agree(self, cluster):
        cluster.down()
        schemas = {}
        for path in cluster.dir.glob("tablet-*/**/*.db"):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                if db.execute("SELECT count(*) FROM sqlite_schema WHERE name = '_shoal_meta'").fetchone() == (0,):
                    continue
                schemas[path.name] = (db.execute("SELECT value FROM _shoal_meta WHERE key = 'schema_version'").fetchone(),
                                      db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall())
        self.assertEqual(len(schemas), 4, list(cluster.dir.glob("tablet-*/**")))
        first = next(iter(schemas.values()))
        for name, schema in schemas.items():
            self.assertEqual(schema, first, name)


def rows_or_none(client, sql):
    try:
        return client.rows(sql)
    except SqlError as e:
        assert e.code in ("NOT_FOUND", "UNAVAILABLE", "ABORTED", "INVALID_ARGUMENT"), e
        return None


def describes(client, sql, n_columns):
    try:
        return len(client.describe(sql).columns) == n_columns
    except SqlError as e:
        assert e.code == "NOT_FOUND", e
        return False


def created(client, sql):
    try:
        client.execute(sql)
        return True
    except SqlError as e:
        assert e.code in ("UNAVAILABLE", "ABORTED", "UNKNOWN"), e
        return False


if __name__ == "__main__":
    unittest.main()
