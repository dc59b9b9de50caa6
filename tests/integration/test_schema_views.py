"""Views, and what a keyspace says of itself: as one SQLite with the same schema."""

import contextlib
import pathlib
import re
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


SCHEMA = ("CREATE TABLE  orders(id INTEGER PRIMARY KEY, -- the key\n  who TEXT NOT NULL DEFAULT 'me', at REAL, UNIQUE (id, who))",
          "CREATE VIEW  first_view AS SELECT who, at  FROM orders",
          "create index byWho on orders(who COLLATE nocase DESC, at) /* here */ ;",
          "CREATE TABLE lines (o INT REFERENCES orders (id) ON DELETE CASCADE, n INT, x AS (o * 2), PRIMARY KEY (o, n)) WITHOUT ROWID",
          "CREATE TABLE strict_one (a INTEGER PRIMARY KEY, b ANY) STRICT",
          "CREATE INDEX IF NOT EXISTS part ON lines (n) WHERE n > 3", "CREATE TABLE IF NOT EXISTS main.[odd name] (\"a b\", c)",
          "CREATE VIEW IF NOT EXISTS main.\"v w\" (p, q) AS SELECT o, n FROM lines", "CREATE TABLE gone (a)", "DROP TABLE gone",
          "CREATE VIEW gone AS SELECT * FROM sqlite_schema WHERE type = 'view'")


class Schema(SchemaTest):
    def test_alone(self):
        """The schema alone: SQLite itself answers, over the same schema."""
        for twin in self.twins(*SCHEMA):
            self.same_each(
                twin, "SELECT rowid, type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid", "SELECT type, name, tbl_name, sql FROM sqlite_master",
                "SELECT type, name, sql FROM main.sqlite_master", "SELECT * FROM sqlite_temp_schema", "SELECT * FROM sqlite_temp_master",
                "SELECT count(*), max(name) FROM sqlite_schema WHERE sql IS NULL", "SELECT name FROM sqlite_schema WHERE rootpage = 0",
                "SELECT m.name, p.name FROM sqlite_schema m, pragma_table_info(m.name) p",
                "SELECT m.name, p.* FROM sqlite_schema AS m JOIN pragma_index_list(m.name) AS p ORDER BY 1, 2", "SELECT name, type FROM gone",
                "SELECT m.name, i.name, x.* FROM sqlite_schema m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) x WHERE m.type = 'table'",
                "SELECT * FROM pragma_table_xinfo('lines')", "SELECT * FROM pragma_foreign_key_list('lines')", "SELECT * FROM pragma_table_list",
                "SELECT name FROM pragma_table_info WHERE arg = 'orders'", "SELECT foreign_keys, user_version FROM pragma_foreign_keys, pragma_user_version",
                "SELECT * FROM pragma_collation_list", "SELECT * FROM pragma_function_list WHERE name IN ('abs', 'printf', 'sum')",
                "SELECT name FROM pragma_function_list WHERE name LIKE '%shoal%'", "WITH q AS (SELECT name FROM sqlite_schema) SELECT * FROM q LIMIT 2",
                "SELECT 'orders' IN (SELECT name FROM sqlite_schema)", "SELECT * FROM pragma_table_info('v w')", "SELECT sql FROM sqlite_schema WHERE name = 'first_view'")
            for sql, params in [("SELECT name FROM sqlite_schema WHERE type = ? AND tbl_name LIKE ?2", ("index", "o%")),
                                ("SELECT name FROM pragma_table_info(?)", ("orders",))]:
                twin.same(sql, params)
            for sql in ["SELECT nope FROM sqlite_schema", "SELECT * FROM pragma_nope", "SELECT * FROM pragma_table_info(1, 2, 3)",
                        "DELETE FROM sqlite_schema", "UPDATE sqlite_master SET sql = ''", "INSERT INTO sqlite_schema VALUES (1,2,3,4,5)",
                        "SELECT * FROM nope.sqlite_schema", "CREATE INDEX i ON sqlite_schema (name)", "DROP TABLE sqlite_schema"]:
                with self.subTest(sql):
                    self.same_words(twin, sql)

    def test_with_tables(self):
        for twin in self.twins(*SCHEMA):
            twin.run_each("INSERT INTO orders VALUES (?, ?, ?)", [(i, w, i / 4) for i, w in enumerate(["orders", "lines", "me", "part"])])
            self.same_each(
                twin, "SELECT o.id, s.type, s.sql FROM orders o JOIN sqlite_schema s ON s.name = o.who",
                "SELECT * FROM orders WHERE who IN (SELECT name FROM sqlite_schema)",
                "SELECT who, (SELECT count(*) FROM sqlite_master WHERE tbl_name = who) FROM orders ORDER BY id",
                "SELECT c.name, o.who FROM pragma_table_info('orders') c, orders o WHERE c.cid = o.id",
                "SELECT o.id FROM orders o LEFT JOIN gone g ON g.name = o.who WHERE g.name IS NULL",
                "SELECT id, p.user_version FROM orders, pragma_user_version AS p", "SELECT typeof(s.type), typeof(t.id) FROM sqlite_schema s, orders t",
                "SELECT o.who FROM orders o, pragma_table_info('nowhere')", "SELECT id FROM orders, sqlite_temp_schema")
            for sql in ["SELECT o.id, m.rowid FROM orders o, sqlite_schema m", "SELECT o.id, p.name FROM orders o, pragma_table_info(o.who) p",
                        "SELECT id FROM orders, pragma_table_info WHERE arg = 'orders'", "SELECT * FROM orders, dbstat", "SELECT * FROM sqlite_stmt",
                        "WITH sqlite_schema AS (SELECT 1) SELECT * FROM sqlite_schema, orders"]:
                with self.subTest(sql), self.assertRaises(SqlError) as e:
                    twin.client.execute(sql)
                self.assertEqual((e.exception.code, e.exception.reason), ("UNIMPLEMENTED", "SCHEMA_TABLES"), sql)

    def test_shell(self):
        for twin in self.twins(*SCHEMA):
            shell = twin.cluster.shoal("--keyspace", twin.keyspace, text="PRAGMA table_info(lines);\nSELECT name FROM sqlite_schema WHERE type = 'view';\n")
            self.assertEqual(shell.stdout, "0|o|INT|1||1\n1|n|INT|1||2\nfirst_view\nv w\ngone\n", shell.stderr)


ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+)` \| (schema|value|tuning|every shard|nothing|refused) \| (.*?) \|$", re.M)


class Pragmas(SchemaTest):
    documented = {name: (way, text) for name, way, text in ROW.findall((ROOT / "docs/pragmas.md").read_text(encoding="utf-8"))}

    def test_all_are_documented(self):
        with sqlite3.connect(":memory:") as db:
            self.assertEqual([name for name, in db.execute("SELECT name FROM pragma_pragma_list ORDER BY name")], list(self.documented))

    def test_ways(self):
        """Each does what docs/pragmas.md says."""
        for twin in self.twins(*SCHEMA):
            for name, (way, text) in self.documented.items():
                with self.subTest(name):
                    if way == "refused":
                        with self.assertRaises(SqlError) as e:
                            twin.client.execute(f"PRAGMA {name}")
                        self.assertEqual((e.exception.code, e.exception.reason), ("UNIMPLEMENTED", "PRAGMA"))
                        self.assertTrue(str(e.exception).endswith(text), f"{e.exception}: {text}")
                    elif way == "nothing":
                        self.assertEqual(twin.client.execute(f"PRAGMA {name}").rows, [])
                    elif way in ("value", "tuning"):
                        self.check_value(twin, name, way, text)
                    elif name != "schema_version":
                        twin.same(f"PRAGMA {name}")

    def check_value(self, twin, name, way, text):
        value = re.match(r"`(.*?)`", text)
        got = twin.client.execute(f"PRAGMA {name}")
        self.assertEqual([str(v) for row in got.rows for v in row], [value.group(1)] if value else [])
        if value:
            self.assertEqual(got.columns, twin.oracle.execute(f"PRAGMA {name}").columns)
            if name not in ("mmap_size", "wal_autocheckpoint"):
                self.assertEqual(twin.client.execute(f"SELECT * FROM pragma_{name}").rows, got.rows)
            twin.client.execute(f"PRAGMA {name} = {value.group(1) if value.group(1) != 'UTF-8' else repr('UTF-8')}")
        if way == "tuning":
            twin.client.execute(f"PRAGMA {name} = 7")
        else:
            with self.assertRaises(SqlError) as e:
                twin.client.execute(f"PRAGMA {name} = 7")
            self.assertEqual((e.exception.code, e.exception.reason), ("UNIMPLEMENTED", "PRAGMA"))
            self.assertTrue(str(e.exception).endswith(text.split("; ", 1)[1] if value else text), f"{e.exception}: {text}")
        self.assertEqual(twin.client.execute(f"PRAGMA {name}").rows, got.rows)

    def test_as_sqlite(self):
        for twin in self.twins(*SCHEMA):
            self.same_each(
                twin, *(f"PRAGMA {p}({t})" for p in ["table_info", "table_xinfo", "index_list", "foreign_key_list", "table_list"]
                        for t in ["orders", "lines", "'odd name'", "first_view", '"v w"', "nowhere", "sqlite_schema", "ORDERS"]),
                *(f"PRAGMA {p}({t})" for p in ["index_info", "index_xinfo"] for t in ["byWho", "part", "sqlite_autoindex_orders_1", "lines", "nope"]),
                "PRAGMA main.table_info(orders)", "PRAGMA temp.table_info(orders)", "PRAGMA table_info = orders", "PRAGMA table_info", "PRAGMA no_such_pragma",
                "PRAGMA no_such_pragma = 1", "PRAGMA main.no_such(1)", "PRAGMA compile_options", "PRAGMA function_list", "PRAGMA integrity_check",
                "PRAGMA quick_check", "PRAGMA integrity_check(5)", "PRAGMA integrity_check(orders)", "PRAGMA foreign_keys = off", "PRAGMA user_version(0)",
                "PRAGMA encoding = 'UTF-8'", "pragma Table_Info('orders')", "PRAGMA table_list")
            for sql in ["PRAGMA nope.table_info(t)", "PRAGMA nope.foreign_keys", "PRAGMA nope.no_such", "PRAGMA integrity_check(nowhere)", "PRAGMA", "PRAGMA 1"]:
                self.same_words(twin, sql)
            self.assertEqual(twin.client.execute("PRAGMA schema_version").rows, [(len(SCHEMA),)])

    def test_refused(self):
        for twin in self.twins("CREATE TABLE t (a INTEGER PRIMARY KEY)"):
            for sql, reason in [("SELECT * FROM pragma_data_version", "PRAGMA"), ("SELECT * FROM pragma_integrity_check", "PRAGMA"),
                                ("SELECT a FROM t, pragma_page_count", "PRAGMA"), ("VACUUM", "VACUUM"), ("VACUUM INTO '/tmp/x'", "VACUUM"),
                                ("REINDEX", "REINDEX"), ("ATTACH ':memory:' AS x", "ATTACH"), ("DETACH x", "ATTACH")]:
                with self.subTest(sql), self.assertRaises(SqlError) as e:
                    twin.client.execute(sql)
                self.assertEqual((e.exception.code, e.exception.reason), ("UNIMPLEMENTED", reason), sql)

    def test_shards_are_checked(self):
        """What is wrong in one shard's file is told."""
        for twin in self.twins("CREATE TABLE t (a INTEGER PRIMARY KEY, b CHECK (b < 100))"):
            twin.run_each("INSERT INTO t VALUES (?, ?)", [(i, i) for i in range(20)])
            self.assertEqual(twin.client.execute("PRAGMA integrity_check").rows, [("ok",)])
            files = [f for f in twin.cluster.dir.glob("tablet-*/*/*.db") if self.has_twins_rows(f)]
            self.assertEqual(len(files), int(twin.label.split()[0]))
            with contextlib.closing(sqlite3.connect(files[-1], isolation_level=None)) as db:
                db.execute("PRAGMA ignore_check_constraints = ON")
                db.execute("INSERT INTO t VALUES (1000, 1000)")
            for pragma in ["integrity_check", "quick_check", "integrity_check(t)"]:
                self.assertEqual(twin.client.execute(f"PRAGMA {pragma}").rows, [("CHECK constraint failed in t",)])

    @staticmethod
    def has_twins_rows(path):
        with contextlib.closing(sqlite3.connect(path)) as db:
            return "b < 100" in str(db.execute("SELECT sql FROM sqlite_schema WHERE name = 't'").fetchall())
