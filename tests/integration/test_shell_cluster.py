"""The command line against a real cluster: admin commands, schemas, imports, a dump of a real database."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from lib import Cluster, Oracle, SqlError, assert_same, same_rows, wait_for
from lib.cluster import ROOT, build_dir
from lib.shared import find_shared

# As Chinook's dump: names in brackets, foreign keys, several rows an INSERT, comments, DROP IF EXISTS.
SMALL_DUMP = """
/*******************************************************************************
   A small shop; with a semicolon in the comment.
********************************************************************************/
DROP TABLE IF EXISTS [Artist];

DROP TABLE IF EXISTS [Album];

CREATE TABLE [Artist]
(
    [ArtistId] INTEGER  NOT NULL,
    [Name] NVARCHAR(120),
    CONSTRAINT [PK_Artist] PRIMARY KEY  ([ArtistId])
);

CREATE TABLE [Album]
(
    [AlbumId] INTEGER  NOT NULL,
    [Title] NVARCHAR(160)  NOT NULL,
    [ArtistId] INTEGER  NOT NULL,
    [Price] NUMERIC(10,2),
    CONSTRAINT [PK_Album] PRIMARY KEY  ([AlbumId]),
    FOREIGN KEY ([ArtistId]) REFERENCES [Artist] ([ArtistId])
\t\tON DELETE NO ACTION ON UPDATE NO ACTION
);

CREATE TABLE [Listing]
(
    [ArtistId] INTEGER  NOT NULL,
    [Place] INTEGER  NOT NULL,
    CONSTRAINT [PK_Listing] PRIMARY KEY  ([ArtistId], [Place])
);

CREATE INDEX [IFK_AlbumArtistId] ON [Album] ([ArtistId]);

INSERT INTO [Artist] ([ArtistId], [Name]) VALUES
    (1, 'AC/DC'),
    (2, 'Antônio Carlos; Jobim'),
    (3, NULL),
    (4, 'Guns N'' Roses');

INSERT INTO [Album] ([AlbumId], [Title], [ArtistId], [Price]) VALUES
    (1, 'For Those About To Rock We Salute You', 1, 8.99),
    (2, 'Warner 25 Anos', 2, 9.5),
    (3, 'Use Your Illusion (I)', 4, 10),
    (4, 'Chronicle, Vol. 1', 1, NULL),
    (5, 'Let There Be Rock', 1, 0.99);

INSERT INTO [Listing] ([ArtistId], [Place]) VALUES
    (1, 1),
    (1, 2),
    (2, 1),
    (4, 3);
"""
CHINOOK = find_shared("data/chinook-database__Chinook_Sqlite.sql")


class OnACluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(tablets=2, shards=4))

    def shoal(self, *args, text="", code=0):
        done = self.cluster.shoal(*args, text=text)
        self.assertEqual(done.returncode, code, f"{args} {text[:200]}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def new_keyspace(self, name, shards=5):
        self.shoal("keyspace", "create", name, "--shards", str(shards))
        self.addCleanup(self.shoal, "keyspace", "drop", name, "--force")
        return name


class Admin(OnACluster):
    def test_keyspaces(self):
        self.new_keyspace("shop")
        shown = json.loads(self.shoal("keyspace", "show", "shop", "--json"))
        self.assertEqual((shown["name"], shown["engine"], len(shown["shards"]), shown["tables"]),
                         ("shop", "sqlite", 5, []))
        self.assertTrue(all(s["serving"] for s in shown["shards"]))
        self.assertIn("shop", [k["name"] for k in json.loads(self.shoal("keyspace", "list", "--json"))])
        self.assertRegex(self.shoal("keyspace", "list"), r"(?m)^\| shop +\| +5 \|")
        self.shoal("keyspace", "create", "shop", code=1)
        self.shoal("keyspace", "create", "shop", "--if-not-exists")
        self.shoal("keyspace", "show", "nope", code=1)
        self.shoal("--keyspace", "shop", "CREATE TABLE t (a)")
        self.shoal("keyspace", "drop", "shop", code=1)

    def test_tablets_and_shards(self):
        tablets = json.loads(self.shoal("tablet", "list", "--json"))
        self.assertEqual([(t["id"], t["healthy"]) for t in tablets], [("tablet-0", True), ("tablet-1", True)])
        self.assertEqual(self.shoal("tablet", "list").count("127.0.0.1:"), 2)
        shards = json.loads(self.shoal("shard", "list", "--json"))
        self.assertEqual([s["name"] for s in shards], ["-40", "40-80", "80-c0", "c0-"])

    def test_tables(self):
        k = self.new_keyspace("tables")
        self.shoal("--keyspace", k, "CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT); CREATE TABLE a (x) UNSHARDED;"
                                    "CREATE INDEX b_x ON b (x)")
        tables = {t["name"]: t for t in json.loads(self.shoal("table", "list", "--keyspace", k, "--json"))}
        self.assertEqual(set(tables), {"a", "b"})
        self.assertEqual(tables["b"]["sql"], "CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT)")
        self.assertEqual(tables["b"]["sharding"]["vindexes"][0], {"vindex": "hash", "columns": ["id"]})
        self.assertEqual(tables["a"]["sharding"]["type"], "unsharded")
        self.assertIn("CREATE INDEX b_x ON b (x);", self.shoal("table", "show", "B", "--keyspace", k))
        self.shoal("table", "show", "nope", "--keyspace", k, code=1)
        self.assertEqual(self.shoal("--keyspace", k, text=".tables\n"), "a\nb\n")
        self.assertEqual(self.shoal("--keyspace", k, text=".tables b%\n"), "b\n")
        self.assertEqual(self.shoal("--keyspace", k, text=".schema b\n"),
                         "CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT) SHARD BY HASH (id);\nCREATE INDEX b_x ON b (x);\n")

    def test_schema_makes_the_same_tables(self):
        k = self.new_keyspace("schema")
        self.shoal("--keyspace", k,
                   "CREATE TABLE a (x, y); CREATE TABLE b (x, y, PRIMARY KEY (x, y)) SHARD BY HASH (y);"
                   "CREATE TABLE c (\"order\" TEXT PRIMARY KEY, y) WITHOUT ROWID; CREATE TABLE d (x UNIQUE, y UNIQUE) UNSHARDED;"
                   "CREATE TABLE e (x INTEGER PRIMARY KEY AUTOINCREMENT) STRICT; CREATE INDEX a_y ON a (y DESC)")
        schema = self.shoal("--keyspace", k, text=".schema\n")
        again = self.new_keyspace("schema_again")
        self.shoal("--keyspace", again, text=schema)
        self.assertEqual(self.shoal("--keyspace", again, text=".schema\n"), schema)
        self.assertEqual(*(json.loads(self.shoal("table", "list", "--keyspace", name, "--json")) for name in (k, again)))


class Data(OnACluster):
    def load_and_compare(self, keyspace, dump):
        """Loads the dump through .read, and SQLite's own tables beside it; every table must then be the same."""
        with tempfile.TemporaryDirectory(prefix="shoal-test-") as directory, Oracle() as oracle:
            path = pathlib.Path(directory) / "dump.sql"
            path.write_text(dump, encoding="utf-8")
            done = self.cluster.shoal("--keyspace", keyspace, text=f".read {path}\n", timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(done.stderr.count("not atomically"), 1)
            oracle.db.executescript(dump)
            client = self.cluster.client(keyspace, timeout=60)
            tables = [t for t, in oracle.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            for table in tables:
                with self.subTest(table):
                    got = client.stream(f"SELECT * FROM [{table}]").rows
                    want = oracle.rows(f"SELECT * FROM [{table}]")
                    self.assertTrue(same_rows(got, want, ordered=False), f"{len(got)} rows, {len(want)} wanted")
                    assert_same(client, oracle, f"SELECT count(*), min(rowid), max(rowid) FROM [{table}]")
            return tables, client

    def test_a_small_dump(self):
        tables, _ = self.load_and_compare(self.new_keyspace("small"), SMALL_DUMP)
        self.assertEqual(len(tables), 3)

    @unittest.skipUnless(CHINOOK, "Chinook's dump is not there")
    def test_chinook(self):
        keyspace = self.new_keyspace("chinook")
        tables, client = self.load_and_compare(keyspace, CHINOOK.read_text(encoding="utf-8-sig"))
        self.assertEqual(len(tables), 11)
        self.assertEqual(client.rows("SELECT count(*), sum(Milliseconds) FROM Track"), [(3503, 1378778040)])

    def test_an_insert_too_large_for_the_gate(self):
        k = self.new_keyspace("large")
        with tempfile.TemporaryDirectory(prefix="shoal-test-") as directory:
            path = pathlib.Path(directory) / "large.sql"
            rows = ",\n".join(f"({i}, '{'x' * 1000}')" for i in range(2000))
            path.write_text(f"CREATE TABLE t (a INTEGER PRIMARY KEY, b);\nINSERT INTO t VALUES\n{rows};\n")
            self.shoal("--keyspace", k, text=f".read {path}\n")
            self.assertEqual(self.shoal("--keyspace", k, "SELECT count(*), sum(length(b)) FROM t"), "2000|2000000\n")

    def test_import(self):
        k = self.new_keyspace("import")
        with tempfile.TemporaryDirectory(prefix="shoal-test-") as directory:
            path = pathlib.Path(directory) / "t.csv"
            path.write_text("id,name\n" + "".join(f'{i},"row ""{i}"""\n' for i in range(2000)))
            self.shoal("--keyspace", k, text=f".import {path} t\n.import --skip 1 {path} t\n")
            self.assertEqual(self.shoal("--keyspace", k, "SELECT count(*), count(DISTINCT id), max(name), "
                                                         "count(DISTINCT rowid) FROM t"),
                             '4000|2000|row "999"|4000\n')

    def test_import_outlives_restarts(self):
        """A tablet and then the gate are killed under an import: it waits, and every row is there exactly once."""
        n = 20000
        with Cluster(tablets=2, shards=4) as cluster, tempfile.TemporaryDirectory(prefix="shoal-test-") as directory:
            path = pathlib.Path(directory) / "t.csv"
            path.write_text("".join(f"{i},row {i}\n" for i in range(n)))
            cluster.shoal("CREATE TABLE t (id INTEGER, name TEXT)")
            client = cluster.client()
            env = {**os.environ, "SHOAL_GATE": cluster.gate}
            with subprocess.Popen([str(build_dir() / "cli" / "shoal")], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, env=env) as importing:
                importing.stdin.write(f".import {path} t\n")
                importing.stdin.close()
                for at, process_id in ((1000, "tablet-1"), (5000, "gate-0")):
                    wait_for(f"{at} rows", lambda at=at: self.count(client) >= at)
                    cluster.kill(process_id)
                    cluster.restart(process_id)
                errors = importing.stderr.read()
                self.assertEqual(importing.wait(60), 0, errors)
            wait_for("the client to find the new gate", lambda: self.count(client) >= n)
            self.assertEqual(client.rows("SELECT count(*), count(DISTINCT id), sum(id), count(DISTINCT rowid) FROM t"),
                             [(n, n, n * (n - 1) // 2, n)])

    @staticmethod
    def count(client):
        try:
            return client.rows("SELECT count(*) FROM t")[0][0]
        except SqlError as e:
            if e.code != "UNAVAILABLE":
                raise
            return 0

    def test_results(self):
        k = self.new_keyspace("results")
        self.shoal("--keyspace", k, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
        for value in ("NULL", "1.5", "'x'", "x'00ff'", "9223372036854775807"):
            self.shoal("--keyspace", k, f"INSERT INTO t (b) VALUES ({value})")
        self.assertEqual(self.shoal("--keyspace", k, "SELECT * FROM t ORDER BY a"),
                         "1|\n2|1.5\n3|x\n4|x'00ff'\n5|9223372036854775807\n")
        self.assertIn("plan: scatter", self.shoal("--keyspace", k, "--stats", "SELECT * FROM t ORDER BY a"))
        self.assertIn("| a |", self.shoal("--keyspace", k, "--mode", "table", "SELECT * FROM t"))

    def test_exit_codes(self):
        for args, code in [(("SELECT 1",), 0), (("SELECT * FROM nope",), 1), (("SELEC 1",), 1),
                           (("--keyspace", "nope", "SELECT 1"), 1), (("--gate", "127.0.0.1:1", "SELECT 1"), 3)]:
            with self.subTest(args):
                self.shoal(*args, code=code)


@unittest.skipUnless(os.environ.get("SHOAL_TEST_LONG"), "takes minutes (--long)")
class Quickstart(unittest.TestCase):
    def test_quickstart_twice(self):
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="shoal-test-"))
        cluster = Cluster(directory=directory)
        self.addCleanup(cluster.close)
        for _ in range(2):
            done = self.run_quickstart(directory)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("The cluster keeps running", done.stdout)
            self.assertIn("WHALE", done.stdout)
        self.assertEqual(cluster.client().rows("SELECT count(*) FROM characters"), [(34924,)])

    @staticmethod
    def run_quickstart(directory):
        return subprocess.run([str(ROOT / "deploy" / "local" / "quickstart"), "--dir", directory],
                              capture_output=True, text=True, check=False, timeout=900)
