"""Views, and what a keyspace says of itself: as one SQLite with the same schema."""

import sqlite3
import unittest

from lib import Clusters, SqlError

clusters = None


def setUpModule():
    global clusters
    clusters = Clusters([(1, 1), (3, 2)])
    clusters.start()


def tearDownModule():
    clusters.stop()


class SchemaTest(unittest.TestCase):
    def same_words(self, twin, sql):
        """Both refuse it in the same words."""
        error = twin.same_error(sql)
        with self.assertRaises(sqlite3.Error) as want:
            twin.oracle.execute(sql)
        self.assertEqual(error.metadata.get("sqlite_message"), str(want.exception), sql)

    def twins(self, *setup):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                for sql in setup:
                    twin.run(sql)
                yield twin

    def same_each(self, twin, *queries):
        for sql in queries:
            with self.subTest(sql):
                twin.same(sql)


def fill(twin):
    twin.run_each("INSERT INTO t VALUES (?, ?, ?)", [(i, f"b{i % 3}", i / 2) for i in range(1, 13)])
    twin.run_each("INSERT INTO u VALUES (?, ?)", [("b0", 1), ("B1", 2), ("b2", None)])


TABLES = ("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL)",
          "CREATE TABLE u (k TEXT COLLATE NOCASE PRIMARY KEY, n INT)")


class Views(SchemaTest):
    def test_queries(self):
        for twin in self.twins(
                *TABLES,
                "CREATE VIEW v AS SELECT a, b, c * 2 FROM t WHERE a > 2",
                "CREATE VIEW named (x, y) AS SELECT a, b FROM t",
                "CREATE VIEW swapped (b, a) AS SELECT a, b FROM t ORDER BY a DESC, b LIMIT 4",
                "CREATE VIEW grouped (b, n) AS SELECT b, count(*) FROM t WHERE a <> 3 GROUP BY b HAVING count(*) > 1",
                "CREATE VIEW stars (p, q, r) AS SELECT * FROM t",
                "CREATE VIEW both AS SELECT * FROM t JOIN u ON b = k",
                "CREATE VIEW vals (p, q) AS VALUES (1, 'one'), (2, 'two') UNION ALL SELECT a, b FROM t WHERE a = 3",
                "CREATE VIEW w AS SELECT x.a, y.n FROM v AS x, u AS y WHERE x.b = y.k",
                "CREATE VIEW own_cte AS WITH t AS (SELECT 1 AS a), z AS (SELECT a FROM t) SELECT * FROM t, z",
                "CREATE VIEW windowed AS SELECT a, row_number() OVER (PARTITION BY b ORDER BY a) AS r FROM t",
                'CREATE VIEW "odd ""name" AS SELECT \'it\'\'s\' AS "a b", a AS `c` FROM t',
                "CREATE VIEW IF NOT EXISTS v AS SELECT 1", "CREATE VIEW IF NOT EXISTS t AS SELECT 1",
                "CREATE TABLE IF NOT EXISTS v (z)"):
            fill(twin)
            self.same_each(
                twin, "SELECT * FROM v", "SELECT a FROM v WHERE b = 'b1' ORDER BY a", 'SELECT "c * 2" FROM v WHERE v.a = 5',
                "SELECT count(*), sum(a) FROM v", "SELECT main.v.a FROM main.v", "SELECT v.*, 1 FROM v AS v LIMIT 0",
                "SELECT x, y FROM named WHERE x = 4", "SELECT max(x) FROM named GROUP BY y", "SELECT * FROM swapped",
                "SELECT * FROM grouped ORDER BY 1", "SELECT typeof(p), r FROM stars WHERE q = 'b2'", "SELECT * FROM both",
                "SELECT * FROM vals", "SELECT * FROM w ORDER BY a", "SELECT * FROM own_cte", "SELECT * FROM windowed WHERE r = 2",
                'SELECT "a b", c FROM "odd ""name" WHERE c < 3', "SELECT count(*) FROM stars", "SELECT count(*) FROM vals",
                "SELECT u.n FROM swapped LEFT JOIN u ON 1", "SELECT u.n FROM vals LEFT JOIN u ON 1", "SELECT * FROM v AS one JOIN v AS two USING (a)",
                "SELECT * FROM t LEFT JOIN w ON t.a = w.a", "SELECT * FROM t NATURAL JOIN v", "SELECT a FROM t WHERE (a, b) IN named", "SELECT a FROM t WHERE a NOT IN (SELECT x FROM named WHERE x < 9)",
                "SELECT a, (SELECT count(*) FROM v WHERE v.b = t.b) FROM t", "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM v WHERE v.a = t.a)",
                "SELECT a FROM v UNION SELECT x FROM named", "WITH q AS (SELECT * FROM v) SELECT * FROM q, q AS r WHERE q.a = r.a",
                "SELECT k FROM u WHERE k = (SELECT upper(y) FROM named WHERE x = 3)", "SELECT * FROM (SELECT * FROM v) LIMIT 0",
                "SELECT * FROM v NOT INDEXED WHERE a = 4", "SELECT rowid, a FROM v", "SELECT a FROM v ORDER BY a LIMIT 3 OFFSET 2",
                "SELECT y, group_concat(x) FROM (SELECT * FROM named ORDER BY x) GROUP BY y")
            for sql, params in [("SELECT * FROM v WHERE a = ?", (7,)), ("SELECT y FROM named WHERE x BETWEEN ? AND ?", (2, 4))]:
                twin.same(sql, params)

    def test_names_are_the_schemas(self):
        """A view sees neither the CTEs of the statement nor aliases around it."""
        for twin in self.twins(*TABLES, "CREATE VIEW v AS SELECT a, b FROM t", "CREATE VIEW vv AS WITH u AS (SELECT a FROM v) SELECT * FROM u",
                               "CREATE VIEW j AS SELECT value FROM json_each('[1,2]')"):
            fill(twin)
            self.same_each(
                twin, "WITH t AS (SELECT 'no' AS a, 'no' AS b) SELECT * FROM v", "WITH t AS (SELECT 'no' AS a, 0 AS b) SELECT * FROM v, t",
                "WITH v AS (SELECT 'mine' AS a) SELECT * FROM v", "WITH v AS (SELECT 'mine' AS a) SELECT * FROM main.v",
                "WITH u AS (SELECT 1 AS z), v AS (SELECT 2 AS y) SELECT * FROM vv, u, v", "SELECT * FROM (SELECT 1 AS a) AS t, v",
                "WITH a1 AS (SELECT * FROM v), t AS (SELECT 1 AS a, 2 AS b) SELECT * FROM a1",
                "WITH json_each AS (SELECT 9) SELECT * FROM j", "SELECT (SELECT count(*) FROM v) FROM u AS t",
                "WITH RECURSIVE t(a, b) AS (SELECT 1, 'x' UNION ALL SELECT a + 1, b FROM t WHERE a < 3) SELECT t.a, v.b FROM t JOIN v USING (a)")

    def test_deep(self):
        """SQLite's parser takes 15 subqueries in one another; views go deeper."""
        for twin in self.twins(*TABLES, "CREATE VIEW v0 AS SELECT a, b FROM t WHERE a <> 1",
                               *(f"CREATE VIEW v{i} AS SELECT a, b FROM v{i - 1} WHERE a IN (SELECT a FROM t WHERE a <> {i})"
                                 for i in range(1, 25))):
            fill(twin)
            self.same_each(twin, "SELECT * FROM v24", "SELECT x.a FROM v24 AS x JOIN v10 AS y ON x.a = y.a",
                           "WITH t AS (SELECT 1 AS a) SELECT * FROM v24, t", "SELECT a FROM u, t WHERE (a, b) IN v20 AND n = 1")

    def test_too_many(self):
        for twin in self.twins(*TABLES, "CREATE VIEW v0 AS SELECT a FROM t",
                               *(f"CREATE VIEW v{i} AS SELECT x.a FROM v{i - 1} AS x, v{i - 1} AS y" for i in range(1, 11))):
            twin.same("SELECT * FROM v6 LIMIT 0")
            with self.assertRaises(SqlError) as e:
                twin.client.execute("SELECT * FROM v10")
            self.assertEqual((e.exception.code, e.exception.reason), ("RESOURCE_EXHAUSTED", "STATEMENT_TOO_COMPLEX"))

    def test_errors_in_sqlites_words(self):
        for twin in self.twins(
                *TABLES, "CREATE INDEX i ON t (b)", "CREATE VIEW v AS SELECT a FROM t", "CREATE VIEW gone AS SELECT nope FROM nowhere",
                "CREATE VIEW bad AS SELECT nope FROM t", "CREATE VIEW few (p, q) AS SELECT a FROM t",
                "CREATE VIEW loop AS SELECT * FROM pool", "CREATE VIEW pool AS SELECT * FROM loop", "CREATE VIEW me AS SELECT * FROM me"):
            for sql in ["SELECT * FROM gone", "SELECT * FROM bad", "SELECT * FROM few", "SELECT * FROM loop", "SELECT * FROM me",
                        "SELECT 1 WHERE 1 IN me", "SELECT nope FROM v", "SELECT * FROM v('x')",
                        "SELECT * FROM v INDEXED BY i", "INSERT INTO v VALUES (1)", "UPDATE v SET a = 1", "DELETE FROM v", "REPLACE INTO v VALUES (1)",
                        "CREATE VIEW v AS SELECT 2", "CREATE VIEW t AS SELECT 2", "CREATE VIEW i AS SELECT 2", "CREATE TABLE v (a)",
                        "CREATE INDEX v ON t (a)", "CREATE INDEX IF NOT EXISTS v ON t (a)", "CREATE INDEX j ON v (a)", "DROP TABLE v", "DROP VIEW t",
                        "DROP TABLE IF EXISTS v", "DROP VIEW IF EXISTS t", "DROP INDEX v", "DROP VIEW nope", "DROP VIEW i",
                        "CREATE VIEW x AS SELECT ?", "CREATE VIEW sqlite_v AS SELECT 1", "CREATE VIEW x AS SELECT", "SELECT * FROM main.nope"]:
                with self.subTest(sql):
                    self.same_words(twin, sql)
            for sql in ["DROP VIEW IF EXISTS nope", "DROP VIEW IF EXISTS i", "DROP INDEX IF EXISTS v", "DROP VIEW me", "DROP VIEW main.loop"]:
                twin.run(sql)
            self.same_words(twin, "SELECT * FROM pool")

    def test_life(self):
        """A view outlives its table, and takes what comes in its place."""
        for twin in self.twins(*TABLES, "CREATE VIEW v AS SELECT * FROM t"):
            shell = twin.cluster.shoal("--keyspace", twin.keyspace, text=".tables\n.schema v\n")
            self.assertEqual(shell.stdout, "t\nu\nv\nCREATE VIEW v AS SELECT * FROM t;\n", shell.stderr)
            fill(twin)
            twin.same("SELECT * FROM v")
            twin.run("DROP TABLE t")
            self.same_words(twin, "SELECT * FROM v")
            twin.run("CREATE TABLE t (z TEXT PRIMARY KEY)")
            twin.run("INSERT INTO t VALUES ('new')")
            twin.same("SELECT * FROM v")
            twin.run("DROP VIEW v")
            self.same_words(twin, "SELECT * FROM v")
            twin.run("CREATE TABLE v (a)")
            twin.same("SELECT * FROM v")

    def test_plans(self):
        """A view over one table goes to the shards as its SELECT would."""
        for twin in self.twins(*TABLES, "CREATE VIEW v AS SELECT a, b FROM t"):
            fill(twin)
            for sql in ["SELECT * FROM v WHERE a = 3", "SELECT count(*) FROM v"]:
                self.assertEqual(twin.plan(sql), twin.plan(sql.replace(" v", " (SELECT a, b FROM t) AS v")), sql)

    def test_writes_read_views(self):
        for twin in self.twins():
            twin.run("CREATE TABLE dst (a INTEGER PRIMARY KEY, b TEXT)", shoal_sql="CREATE TABLE dst (a INTEGER PRIMARY KEY, b TEXT) UNSHARDED")
            twin.run("CREATE TABLE one (a INTEGER PRIMARY KEY, b TEXT)", shoal_sql="CREATE TABLE one (a INTEGER PRIMARY KEY, b TEXT) UNSHARDED")
            twin.run("INSERT INTO one VALUES (1, 'x')")
            twin.run("INSERT INTO one VALUES (2, 'y')")
            twin.run("CREATE VIEW v AS SELECT a, b || '!' AS b FROM one")
            twin.run("INSERT INTO dst SELECT * FROM v")
            twin.run("UPDATE dst SET b = (SELECT b FROM v WHERE v.a = dst.a) || a")
            twin.run("DELETE FROM dst WHERE a IN (SELECT a FROM v WHERE b = 'x!')")
            twin.same("SELECT * FROM dst")

    def test_refused(self):
        for twin in self.twins(*TABLES):
            for sql in ["CREATE TEMP VIEW x AS SELECT 1", "CREATE VIEW temp.x AS SELECT 1"]:
                with self.assertRaises(SqlError) as e:
                    twin.client.execute(sql)
                self.assertEqual((e.exception.code, e.exception.reason), ("UNIMPLEMENTED", "TEMP"))
