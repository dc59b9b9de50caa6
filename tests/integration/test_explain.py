"""EXPLAIN QUERY PLAN says what plain sqlite3 says of statements that are passed through."""

import unittest

from lib import Clusters, SqlError

clusters = None


def setUpModule():
    global clusters
    clusters = Clusters()
    clusters.start()


def tearDownModule():
    clusters.stop()


PASSED_THROUGH = [
    "SELECT 1",
    "SELECT a FROM t",
    "SELECT b FROM t WHERE id = 7 ORDER BY b",
    "SELECT a FROM t WHERE a = 3 AND b > 'x'",
    "SELECT b FROM t WHERE a LIKE 'x%' OR id = 4",
    "SELECT y FROM w WHERE x = 1 AND y > 2",
    "INSERT INTO t VALUES (1, 2, 3)",
    "UPDATE t SET b = 'x' WHERE id = 4",
    "DELETE FROM t WHERE id = 4",
    "CREATE INDEX another ON t (b)",
    "PRAGMA table_info(t)",
]


class QueryPlan(unittest.TestCase):
    def test_like_sqlite(self):
        for twin in clusters.twins():
            twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT)")
            twin.run("CREATE INDEX t_a ON t (a, b)")
            twin.run("CREATE TABLE w (x, y, z, PRIMARY KEY (x, y)) WITHOUT ROWID")
            for sql in PASSED_THROUGH:
                with self.subTest(twin.label, sql=sql):
                    twin.same("EXPLAIN QUERY PLAN " + sql)
            twin.same_error("EXPLAIN QUERY PLAN SELECT nothing FROM t")
            twin.same_error("EXPLAIN QUERY PLAN SELECT FROM t")
            # It has only looked.
            twin.same("SELECT count(*) FROM t")
            twin.run("CREATE INDEX another ON t (b)")

    def test_of_parts_and_finish(self):
        for twin in clusters.twins():
            twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT)")
            if twin.label == "1 shards":  # everything is passed through
                twin.same("EXPLAIN QUERY PLAN SELECT sum(a) FROM t")
                continue
            result = twin.client.execute("EXPLAIN QUERY PLAN SELECT sum(a) FROM t")
            self.assertEqual(result.columns, ["id", "parent", "notused", "detail"])
            ids = {row[3]: row[0] for row in result.rows}
            self.assertEqual({row[3]: row[1] for row in result.rows},
                             {"PART 1 ON ALL SHARDS": 0, "SCAN t": ids["PART 1 ON ALL SHARDS"],
                              "FINISH AT THE GATE": 0, "SCAN _shoal_p": ids["FINISH AT THE GATE"]})
            twin.client.execute("CREATE TABLE u (k INTEGER PRIMARY KEY, v) UNSHARDED")
            rows = twin.client.rows("EXPLAIN QUERY PLAN SELECT v FROM u WHERE k = 1")
            self.assertEqual([row[3] for row in rows], ["SEARCH u USING INTEGER PRIMARY KEY (rowid=?)"])
            with self.assertRaises(SqlError) as refused:
                twin.client.execute("EXPLAIN QUERY PLAN BEGIN")
            self.assertEqual(refused.exception.reason, "TRANSACTIONS")


class Analyze(unittest.TestCase):
    def test_totals(self):
        for twin in clusters.twins():
            twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT)")
            twin.run_each("INSERT INTO t VALUES (?, ?, ?)", [(i, i % 3, "x") for i in range(40)])
            rows = twin.client.rows("EXPLAIN ANALYZE SELECT a, b FROM t ORDER BY a")
            part = next(row for row in rows if row[0].endswith(" part 1"))
            shards = [row for row in rows if "·" in row[0]]
            self.assertEqual(len(shards), int(twin.label.split()[0]))
            self.assertEqual(part[3], 40)
            self.assertEqual(part[3:5], (sum(row[3] for row in shards), sum(row[4] for row in shards)))
            self.assertEqual(part[5], max(row[5] for row in shards))
            finish = [row for row in rows if row[0].endswith(" finish")]
            self.assertEqual([row[3:5] for row in finish], [] if len(shards) == 1 else [(40, 0)])
