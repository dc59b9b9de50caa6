"""Shards 1, 3 and 8 over 1, 2 and 4 tablets answer like one plain sqlite3, where other shard routers are known not to."""

import sqlite3
import unittest

from lib import Clusters, SqlError, Twin

clusters = None


def setUpModule():
    global clusters
    clusters = Clusters()
    clusters.start()


def tearDownModule():
    clusters.stop()


WORDS = ["pear", "Apple", "fig", "apple", "Fig", "banana", "", "cherry", "äpfel", "Zebra"]


def people(twin):
    """60 rows with NULLs, ties and mixed types, by INTEGER PRIMARY KEY: on every shard a few."""
    twin.run("CREATE TABLE people (id INTEGER PRIMARY KEY, team TEXT, points INTEGER, height REAL, extra)")
    for i in range(1, 61):
        extra = [None, i, i / 2, f"e{i % 4}", bytes([i % 3])][i % 5]
        twin.run("INSERT INTO people VALUES (?, ?, ?, ?, ?)",
                 (i, WORDS[i % len(WORDS)], None if i % 7 == 0 else (i * 37) % 11, None if i % 9 == 0 else i * 0.25, extra))


class Reads(unittest.TestCase):
    """All over the same table; one keyspace a topology."""

    @classmethod
    def setUpClass(cls):
        cls.twins = []
        for shards, cluster in clusters.clusters:
            twin = Twin(cluster, shards).__enter__()
            people(twin)
            twin.run("CREATE TABLE none (id INTEGER PRIMARY KEY, x INTEGER)")
            cls.twins.append(twin)

    @classmethod
    def tearDownClass(cls):
        for twin in cls.twins:
            twin.__exit__()

    def check(self, *statements, ties=None):
        for twin in self.twins:
            for sql in statements:
                with self.subTest(twin.label, sql=sql):
                    twin.same(sql, tie_columns=ties)

    def test_order_by_over_all_shards(self):
        self.check("SELECT id FROM people ORDER BY id", "SELECT id FROM people ORDER BY id DESC",
                   "SELECT team, id FROM people ORDER BY team COLLATE NOCASE DESC, id",
                   "SELECT id, points FROM people ORDER BY points, id", "SELECT extra, id FROM people ORDER BY extra, id",
                   "SELECT id FROM people ORDER BY points NULLS LAST, -id",
                   "SELECT team AS t, id FROM people ORDER BY t, 2", "SELECT id FROM people ORDER BY height * -1, id")

    def test_order_by_what_is_not_selected(self):
        self.check("SELECT id FROM people ORDER BY team, height, id", "SELECT team FROM people ORDER BY id")

    def test_limit_counts_over_all_shards(self):
        self.check("SELECT id FROM people ORDER BY id LIMIT 7", "SELECT id FROM people ORDER BY team, id LIMIT 1",
                   "SELECT id FROM people ORDER BY id LIMIT 0", "SELECT id FROM people ORDER BY id LIMIT -1",
                   "SELECT id FROM people ORDER BY id LIMIT 2 * 3")
        for twin in self.twins:
            self.assertEqual(len(twin.client.rows("SELECT id FROM people LIMIT 7")), 7)

    def test_offset_is_applied_once(self):
        self.check("SELECT id FROM people ORDER BY id LIMIT 5 OFFSET 3", "SELECT id FROM people ORDER BY id LIMIT 3, 5",
                   "SELECT id FROM people ORDER BY id DESC LIMIT -1 OFFSET 50",
                   "SELECT id FROM people ORDER BY id LIMIT 10 OFFSET 55",
                   "SELECT id FROM people ORDER BY id LIMIT 10 OFFSET 60")
        for twin in self.twins:
            self.assertEqual(len(twin.client.rows("SELECT id FROM people LIMIT -1 OFFSET 50")), 10)

    def test_distinct_over_all_shards(self):
        self.check("SELECT DISTINCT team FROM people", "SELECT DISTINCT points, points IS NULL FROM people",
                   "SELECT DISTINCT team COLLATE NOCASE = 'apple' FROM people",
                   "SELECT DISTINCT team FROM people ORDER BY team LIMIT 3 OFFSET 1")

    def test_having_after_the_sum_over_all_shards(self):
        self.check("SELECT team, count(*) FROM people GROUP BY team HAVING count(*) >= 6",
                   "SELECT team, sum(points) FROM people GROUP BY team HAVING sum(points) > 25",
                   "SELECT team FROM people GROUP BY team HAVING max(height) > 14 AND count(*) = 6",
                   "SELECT count(*) FROM people HAVING count(*) > 59", "SELECT count(*) FROM people HAVING count(*) > 60")

    def test_sum_of_nothing_is_null(self):
        self.check("SELECT sum(x) FROM none", "SELECT sum(x), total(x), count(x), count(*), avg(x), min(x), max(x) FROM none",
                   "SELECT sum(points) FROM people WHERE id < 0", "SELECT sum(points) FROM people WHERE points IS NULL",
                   "SELECT group_concat(x) FROM none", "SELECT team, sum(points) FROM people WHERE id < 0 GROUP BY team")

    def test_avg_is_not_an_avg_of_avgs(self):
        self.check("SELECT avg(points) FROM people", "SELECT avg(height) FROM people WHERE id <= 10",
                   "SELECT team, avg(points), avg(height) FROM people GROUP BY team", "SELECT avg(id) FROM people WHERE id < 4")

    def test_sums_keep_their_type(self):
        self.check("SELECT sum(points), sum(height), sum(id * 1.0), total(points) FROM people",
                   "SELECT typeof(sum(points)), typeof(sum(height)), typeof(total(id)), typeof(avg(id)) FROM people",
                   "SELECT sum(extra), typeof(sum(extra)) FROM people")

    def test_min_and_max_of_text_and_mixed_types(self):
        self.check("SELECT min(team), max(team) FROM people", "SELECT min(team COLLATE NOCASE) FROM people WHERE team <> ''",
                   "SELECT min(extra), max(extra), typeof(min(extra)), typeof(max(extra)) FROM people",
                   "SELECT points, min(team), max(team) FROM people GROUP BY points",
                   "SELECT min(points), max(points), min(height), max(height) FROM people")

    def test_bare_column_comes_from_the_row_of_the_max(self):
        self.check("SELECT id, max(height) FROM people", "SELECT id, min(height) FROM people WHERE id > 30",
                   "SELECT team, id, max(height) FROM people GROUP BY team")

    def test_count_distinct_over_all_shards(self):
        self.check("SELECT count(DISTINCT team), count(DISTINCT points), count(DISTINCT extra) FROM people",
                   "SELECT points, count(DISTINCT team) FROM people GROUP BY points",
                   "SELECT sum(DISTINCT points), avg(DISTINCT points), total(DISTINCT points) FROM people")

    def test_group_concat_has_every_value_once(self):
        for twin in self.twins:
            for sql, separator in [("SELECT group_concat(id) FROM people", ","),
                                   ("SELECT group_concat(team, '; ') FROM people", "; "),
                                   ("SELECT group_concat(DISTINCT team) FROM people", ",")]:
                with self.subTest(twin.label, sql=sql):
                    got, want = twin.client.rows(sql)[0][0], twin.oracle.rows(sql)[0][0]
                    self.assertEqual(sorted(got.split(separator)), sorted(want.split(separator)))

    def test_group_by_an_expression_that_is_not_selected(self):
        self.check("SELECT count(*) FROM people GROUP BY id % 4", "SELECT sum(points) FROM people GROUP BY lower(team)",
                   "SELECT max(id) FROM people GROUP BY height > 7, points IS NULL",
                   "SELECT count(*) FROM people GROUP BY team COLLATE NOCASE", "SELECT count(*), team FROM people GROUP BY 2")

    def test_derived_tables_that_name_an_outer_query(self):
        inner = "SELECT {} AS y FROM people AS p WHERE p.id < 9"
        for outer in ("people AS q", "(SELECT 3 AS id, 4 AS points UNION ALL SELECT 5, 6) AS q"):
            self.check(*(f"SELECT id, (SELECT count(y) + sum(y) {from_}) FROM {outer} WHERE id < 7 ORDER BY id" for from_ in [
                f"FROM ({inner.format('q.id')})", f"FROM (SELECT y FROM ({inner.format('q.id + p.id')}))",
                "FROM (" + inner.format('"q"."points"') + ")", f"FROM ({inner.format('p.points')} AND p.id > q.id)",
                f"FROM (SELECT y FROM ({inner.format('p.id')}) UNION ALL {inner.format('q.id')})",
                f"FROM (WITH w AS ({inner.format('q.id')}) SELECT * FROM w)", f"FROM ({inner.format('max(p.id) + q.id')} GROUP BY p.team)"]),
                       *(f"WITH w AS (SELECT {value} AS y FROM people AS p) SELECT (SELECT sum(y) FROM w WHERE y < id), id FROM {outer} "
                         "ORDER BY id" for value in ("p.id", "p.id % 5")),
                       f"SELECT id FROM {outer} WHERE EXISTS (SELECT 1 FROM ({inner.format('q.id')} AND p.id = q.id + 1)) ORDER BY id",
                       f"SELECT id FROM {outer} WHERE id IN (SELECT y FROM ({inner.format('q.id')} AND p.id < 3)) ORDER BY id")

    def test_or_over_the_key_goes_to_every_shard_it_names(self):
        keys = [(a, b) for a in (1, 17, 40) for b in (2, 3, 18, 59)]
        self.check(*(f"SELECT id, team FROM people WHERE id = {a} OR id = {b}" for a, b in keys),
                   "SELECT id FROM people WHERE id = 1 OR team = 'fig'", "SELECT id FROM people WHERE id IN (1, 2, 3, 99)",
                   "SELECT id FROM people WHERE (id = 4 AND team = 'apple') OR (id = 5 AND points > 0)",
                   "SELECT id FROM people WHERE NOT (id <> 8)", "SELECT id FROM people WHERE id = 1 AND id = 2")

    def test_expressions_and_columns(self):
        self.check("SELECT *, rowid FROM people WHERE id = 12", "SELECT count(*) AS n, 'x' || team FROM people GROUP BY team",
                   "SELECT CASE WHEN points > 5 THEN 'high' ELSE 'low' END AS level, count(*) FROM people GROUP BY level",
                   "SELECT id FROM people WHERE team LIKE 'a%' AND id BETWEEN 3 AND 40",
                   "SELECT id, typeof(extra), length(extra), hex(extra) FROM people WHERE extra IS NOT NULL",
                   "SELECT count(*) FILTER (WHERE points > 4), sum(points) FILTER (WHERE team = 'fig') FROM people",
                   "SELECT abs(sum(points) - 300) + count(*) FROM people", "SELECT 1 + 1 AS two, 'no table'")

    def test_tables_lie_on_several_shards(self):
        for twin in self.twins[1:]:
            with self.subTest(twin.label):
                self.assertGreaterEqual(len(twin.shards_with_rows("people")), 2)

    def test_plans_are_what_they_claim(self):
        for sql, want in [("SELECT * FROM people WHERE id = 5", "single_shard"),
                          ("SELECT * FROM people WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8)", "multi_shard"),
                          ("SELECT id FROM people", "scatter"), ("SELECT count(*) FROM people", "scatter_aggregate")]:
            with self.subTest(sql):
                self.assertEqual(self.twins[-1].plan(sql), want)


class Keys(unittest.TestCase):
    """What SQLite's = calls equal lies on one shard, and is found there."""

    def test_numbers_in_an_integer_key(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INTEGER, b, PRIMARY KEY (a, b))")
                for b, a in enumerate([1, 1.0, "1", "01", " 1 ", "1.0", "1e0", 2, 2.5, "2.5", "x", "X", b"1", None]):
                    twin.run("INSERT INTO t VALUES (?, ?)", (a, b))
                for value in ["1", "1.0", "'1'", "'01'", "+1", "'1.0'", "2.5", "'2.5'", "'x'", "x'31'", "1 + 0"]:
                    twin.same(f"SELECT a, typeof(a), b FROM t WHERE a = {value}")
                for value in [1, 1.0, "1", "01", "1.0", 2.5, "2.50", b"1", "x"]:
                    twin.same("SELECT a, b FROM t WHERE a = ?", (value,))
                    twin.same("SELECT count(*) FROM t WHERE a IN (?, 2)", (value,))
                twin.same("SELECT count(*) FROM t WHERE a IS NULL")

    def test_one_row_for_equal_keys(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
                twin.run("INSERT INTO t VALUES (1, 'one')")
                for value in ["1", "1.0", "'1'", "'01'"]:
                    twin.same_error(f"INSERT INTO t VALUES ({value}, 'again')")
                twin.run("CREATE TABLE u (a NUMERIC PRIMARY KEY, b)")
                twin.run("INSERT INTO u VALUES ('10.0', 'ten')")
                for value in ["10", "1e1", "'10'", "'010'"]:
                    twin.same_error(f"INSERT INTO u VALUES ({value}, 'again')")
                twin.same("SELECT a, typeof(a) FROM u WHERE a = 10")
                twin.run("CREATE TABLE r (a REAL PRIMARY KEY, b)")
                twin.run("INSERT INTO r VALUES (3, 'three')")
                twin.same_error("INSERT INTO r VALUES ('3.0', 'again')")
                twin.same("SELECT a, typeof(a) FROM r WHERE a = 3")
                twin.run("INSERT INTO r VALUES (0.0, 'zero')")
                twin.same_error("INSERT INTO r VALUES (-0.0, 'zero')")
                twin.same("SELECT b FROM r WHERE a = -0.0")
                twin.run("INSERT INTO r VALUES (9223372036854775807, 'large')")
                twin.same_error("INSERT INTO r VALUES (9223372036854775808.0, 'again')")
                twin.run("INSERT INTO r VALUES (9007199254740993, 'rounded')")
                twin.same_error("INSERT INTO r VALUES (9007199254740992, 'again')")
                twin.same("SELECT b FROM r WHERE a = 9007199254740992")

    def test_default_of_a_key(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                for table, key in [("t", "a TEXT DEFAULT (hex(randomblob(8))) PRIMARY KEY"),
                                   ("u", "a INT NOT NULL DEFAULT (random()) PRIMARY KEY")]:
                    twin.client.execute(f"CREATE TABLE {table} ({key}, b)")
                    inserted = [twin.client.rows(f"INSERT INTO {table} (b) VALUES ({i}) RETURNING a") for i in range(9)]
                    if table == "u":
                        inserted.append(twin.client.rows("REPLACE INTO u VALUES (NULL, 9) RETURNING a"))
                    for rows in inserted:
                        self.assertEqual(twin.client.rows(f"SELECT a FROM {table} WHERE a = ?", rows[0]), rows)

    def test_default_instead_of_null(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INT NOT NULL ON CONFLICT REPLACE DEFAULT 7 PRIMARY KEY, b)")
                twin.run("CREATE TABLE u (a INT NOT NULL DEFAULT 7 PRIMARY KEY, b)")
                for table in "tu":
                    twin.run(f"INSERT INTO {table} (b) VALUES (1)")
                    twin.run(f"REPLACE INTO {table} VALUES (NULL, 2)")
                    twin.run(f"INSERT OR REPLACE INTO {table} (a, b) VALUES (?, 3)", (None,))
                    twin.same_error(f"INSERT INTO {table} VALUES (7, 4)")
                    twin.same(f"SELECT * FROM {table}")
                    twin.same(f"SELECT * FROM {table} WHERE a = 7")
                twin.same_error("INSERT INTO u VALUES (NULL, 5)")
                twin.same_error("INSERT INTO t VALUES (NULL, 5)")

    def test_text_key_compared_with_a_number(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a TEXT PRIMARY KEY, b)")
                for b, a in enumerate(["1", "01", "1.0", "2", "one", "1e0"]):
                    twin.run("INSERT INTO t VALUES (?, ?)", (a, b))
                twin.run("INSERT INTO t VALUES (3, 'a number becomes text')")
                for value in ["1", "1.0", "'1'", "'01'", "3", "'3'", "2 - 1", "+1"]:
                    twin.same(f"SELECT a, b FROM t WHERE a = {value}")
                for value in [1, 1.0, "1", "01", b"1", 3]:
                    twin.same("SELECT a, b FROM t WHERE a = ?", (value,))
                twin.same("SELECT a FROM t WHERE +a = 1")
                twin.same("SELECT a FROM t WHERE CAST(a AS INTEGER) = 1")
                twin.same("SELECT a FROM t WHERE a IN (1, '01')")

    def test_blob_key_has_no_affinity(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a, b, PRIMARY KEY (a, b))")
                for b, a in enumerate([1, 1.0, "1", b"1", None, "01", 2**53, float(2**53), -0.0, 0]):
                    twin.run("INSERT INTO t VALUES (?, ?)", (a, b))
                for value in [1, 1.0, "1", b"1", "01", 2**53, float(2**53), 0, 0.0, -0.0]:
                    twin.same("SELECT a, typeof(a), b FROM t WHERE a = ?", (value,))
                twin.same("SELECT a, b FROM t WHERE a = 1")
                twin.same("SELECT b FROM t WHERE a IS NULL")

    def test_nocase_keys(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (name TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER)")
                twin.run("INSERT INTO t VALUES ('Apple', 1), ('apple pie', 2)" if twin.label == "1 shards" else
                         "INSERT INTO t VALUES ('Apple', 1)")
                if twin.label != "1 shards":
                    twin.run("INSERT INTO t VALUES ('apple pie', 2)")
                for name in ["apple", "APPLE", "aPPle"]:
                    twin.same_error(f"INSERT INTO t VALUES ('{name}', 3)")
                    twin.same(f"SELECT * FROM t WHERE name = '{name}'")
                    twin.same(f"SELECT * FROM t WHERE name = '{name}' COLLATE BINARY")
                    twin.same(f"SELECT * FROM t WHERE '{name}' COLLATE BINARY = name")
                    twin.same("SELECT * FROM t WHERE name IN (?, 'x')", (name,))
                twin.run("UPDATE t SET n = n + 10 WHERE name = 'APPLE'")
                twin.run("DELETE FROM t WHERE name = 'APPLE PIE'")
                twin.same("SELECT * FROM t")

    def test_unique_index_coarser_than_its_column(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (name TEXT, n, PRIMARY KEY (name COLLATE NOCASE))")
                twin.run("INSERT INTO t VALUES ('Key', 1)")
                twin.same_error("INSERT INTO t VALUES ('KEY', 2)")
                twin.same("SELECT * FROM t WHERE name = 'Key'")
                twin.same("SELECT * FROM t WHERE name = 'KEY'")
                twin.same("SELECT * FROM t WHERE name = 'KEY' COLLATE NOCASE")

    def test_rtrim_keys(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (name TEXT COLLATE RTRIM PRIMARY KEY, n)")
                twin.run("INSERT INTO t VALUES ('a', 1)")
                twin.same_error("INSERT INTO t VALUES ('a  ', 2)")
                twin.same("SELECT * FROM t WHERE name = 'a   '")

    def test_rtrim_join(self):
        """SQLite's own join of two tables without indexes does not find these."""
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (name TEXT COLLATE RTRIM PRIMARY KEY, n) WITHOUT ROWID")
                twin.run("CREATE TABLE u (name TEXT COLLATE RTRIM, n)")
                for i, name in enumerate(["a", "b ", "c  ", "d"]):
                    twin.run("INSERT INTO t VALUES (?, ?)", (name, i))
                    twin.run("INSERT INTO u VALUES (?, ?)", (name.strip() + " " * i, i))
                for sql in ["SELECT u.name, t.n FROM u JOIN t ON t.name = u.name", "SELECT u.n, t.name FROM u LEFT JOIN t USING (name) ORDER BY 1",
                            "SELECT j.atom FROM u JOIN json_tree(1) AS j LEFT JOIN t ON t.name = u.name GROUP BY t.n, t.name"]:
                    twin.same(sql)

    def test_composite_and_without_rowid(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (x TEXT, y INTEGER, z, PRIMARY KEY (x, y)) WITHOUT ROWID")
                for i in range(24):
                    twin.run("INSERT INTO t VALUES (?, ?, ?)", (f"k{i % 6}", i, i * i))
                twin.same("SELECT * FROM t WHERE x = 'k3'")
                twin.same("SELECT * FROM t WHERE x = 'k3' AND y = 9")
                twin.same("SELECT * FROM t WHERE y = 9")
                twin.same("SELECT x, sum(z) FROM t GROUP BY x ORDER BY x DESC")
                twin.same_error("INSERT INTO t VALUES ('k3', 9, 0)")
                twin.same_error("INSERT INTO t VALUES (NULL, 9, 0)")
                if twin.label != "1 shards":
                    self.assertGreaterEqual(len(twin.shards_with_rows("t")), 2)


class Writes(unittest.TestCase):
    def test_multi_row_insert_goes_where_each_row_belongs(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
                rows = ", ".join(f"({i}, 'r{i}')" for i in range(1, 21))
                try:
                    twin.client.execute(f"INSERT INTO t VALUES {rows}")
                    twin.oracle.execute(f"INSERT INTO t VALUES {rows}")
                except SqlError as e:
                    # Before there are transactions it must be one shard or none.
                    self.assertTrue(e.unsupported, e)
                    self.assertEqual(e.reason, "WRITE_SPANS_SHARDS")
                self.assertTrue(twin.label != "1 shards" or twin.client.rows("SELECT count(*) FROM t") == [(20,)])
                twin.same("SELECT count(*) FROM t")
                for i in range(1, 21):
                    twin.same(f"SELECT * FROM t WHERE a = {i}")
                # Rows that do belong together.
                twin.run("CREATE TABLE u (k TEXT, n INTEGER, PRIMARY KEY (k, n))")
                twin.run("INSERT INTO u VALUES ('same', 1), ('same', 2), ('same', 3)")
                twin.same("SELECT * FROM u WHERE k = 'same'")

    def test_update_and_delete_by_key(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                people(twin)
                twin.run("UPDATE people SET points = points + 1, extra = upper(team) WHERE id = 12")
                twin.run("UPDATE people SET points = 0 WHERE id = 1000")
                twin.run("DELETE FROM people WHERE id = 13")
                twin.run("DELETE FROM people WHERE id = 13")
                twin.run("UPDATE OR IGNORE people SET team = NULL WHERE id = 14")
                twin.run("INSERT OR REPLACE INTO people VALUES (15, 'new', 1, 2, 3)")
                twin.run("INSERT INTO people VALUES (16, 'x', 1, 2, 3) ON CONFLICT (id) DO UPDATE SET points = 99")
                twin.run("INSERT OR IGNORE INTO people VALUES (16, 'y', 1, 2, 3)")
                twin.same("SELECT * FROM people")

    def test_returning(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                people(twin)
                twin.same("INSERT INTO people VALUES (100, 'r', 1, 2, 3) RETURNING *, id + 1 AS next")
                twin.same("UPDATE people SET points = 5 WHERE id = 100 RETURNING id, points")
                twin.same("DELETE FROM people WHERE id = 100 RETURNING team")
                twin.same("SELECT count(*) FROM people")

    def test_writes_over_all_shards_are_whole_or_refused(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                people(twin)
                for sql in ["UPDATE people SET points = 1", "DELETE FROM people WHERE team = 'fig'",
                            "INSERT INTO people SELECT id + 1000, team, points, height, extra FROM people"]:
                    try:
                        twin.client.execute(sql)
                        twin.oracle.execute(sql)
                    except SqlError as e:
                        self.assertTrue(e.unsupported, e)
                    twin.same("SELECT * FROM people")

    def test_sum_overflow_is_an_error_only_when_the_total_is_too_large(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)")
                big = 2**62
                for i, x in enumerate([big, big - 1, -big, 5, -7, big, -big]):
                    twin.run("INSERT INTO t VALUES (?, ?)", (i * 13, x))
                # Within range in the end, whatever the order and wherever the rows lie.
                total = sum([big, big - 1, -big, 5, -7, big, -big])
                self.assertEqual(twin.client.rows("SELECT sum(x) FROM t"), [(total,)])
                twin.run("INSERT INTO t VALUES (1000, ?)", (big,))
                twin.run("INSERT INTO t VALUES (1001, ?)", (big,))
                with self.assertRaises(sqlite3.OperationalError):
                    twin.oracle.execute("SELECT sum(x) FROM t")
                with self.assertRaises(SqlError) as failed:
                    twin.client.execute("SELECT sum(x) FROM t")
                self.assertIn("integer overflow", failed.exception.message)
                twin.same("SELECT total(x), avg(x) FROM t")
                twin.same("SELECT sum(x + 0.0) FROM t")

    def test_generated_ids_do_not_collide(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
                twin.run("CREATE TABLE plain (x)")
                twin.run("CREATE TABLE keyed (k TEXT PRIMARY KEY, x)")
                for i in range(40):
                    twin.run("INSERT INTO t (x) VALUES (?)", (i,))
                    twin.run("INSERT INTO plain VALUES (?)", (i,))
                    twin.run("INSERT INTO keyed VALUES (?, ?)", (f"key {i}", i))
                for table in ("t", "plain", "keyed"):
                    twin.same(f"SELECT rowid, x FROM {table} ORDER BY rowid")
                    twin.same(f"SELECT count(DISTINCT rowid), min(rowid), max(rowid) FROM {table}")
                    twin.same(f"SELECT x FROM {table} WHERE rowid = 17")
                    if twin.label != "1 shards":
                        self.assertGreaterEqual(len(twin.shards_with_rows(table)), 2, table)

    def test_what_sqlite_never_computes_does_not_fail(self):
        """Shards compute more than one database would; errors of that are nobody's."""
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER, j TEXT)")
                twin.run("CREATE TABLE none (id INTEGER PRIMARY KEY, k INTEGER)")
                for i in range(8):
                    twin.run("INSERT INTO t VALUES (?, ?, ?)", (i, 5 if i < 2 else -2**63, "[1]" if i < 2 else "no json"))
                for sql in ["SELECT id, abs(x) FROM t ORDER BY id LIMIT 2",
                            "SELECT coalesce(1, (SELECT abs(x) FROM t))",
                            "SELECT CASE WHEN id > 100 THEN (SELECT max(abs(x)) FROM t) ELSE 'x' END FROM t ORDER BY 1",
                            "SELECT id FROM t WHERE id < 100 OR (SELECT max(abs(x)) FROM t) > 1 ORDER BY id",
                            "SELECT EXISTS (SELECT abs(x) FROM t WHERE id IN (SELECT x FROM t))",
                            "SELECT t.id FROM none CROSS JOIN t ON t.x = none.k WHERE json_extract(t.j, '$[0]') = 1",
                            "SELECT none.id FROM none CROSS JOIN t ON t.id = none.k WHERE t.j MATCH 'x'"]:
                    twin.same(sql)
                for sql in ["SELECT max(abs(x)) FROM t", "SELECT id, abs(x) FROM t ORDER BY 2",
                            "SELECT json_extract(j, '$[0]') AS y, count(*) FROM t GROUP BY 1 ORDER BY 2"]:
                    twin.same_error(sql)

    def test_json_in_a_schema(self):
        """Constraints, generated columns and indexes may call JSON functions."""
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, doc TEXT CHECK (json_valid(doc)), city TEXT AS (doc ->> '$.city'), "
                         "tags TEXT AS (json_extract(doc, '$.tags')) VIRTUAL, n INTEGER AS (json_array_length(doc, '$.tags')) STORED)")
                twin.run("CREATE INDEX t_city ON t (json_extract(doc, '$.city'))")
                twin.run("CREATE VIEW v AS SELECT id, json_array(city, n) AS pair FROM t")
                for i in range(12):
                    twin.run("INSERT INTO t (id, doc) VALUES (?, ?)", (i, f'{{"city": "c{i % 4}", "tags": {[*range(i % 3)]}}}'))
                twin.same_error("INSERT INTO t (id, doc) VALUES (99, 'no json')")
                for sql in ["SELECT * FROM t", "SELECT id FROM t WHERE json_extract(doc, '$.city') = 'c2'", "SELECT * FROM v",
                            "SELECT city, count(*), sum(n), json_group_array(json(doc)) IS NULL FROM t GROUP BY city",
                            "SELECT json_array(a.tags), json_object('a', a.tags, 'n', b.n) FROM t AS a, t AS b WHERE a.id + 1 = b.n",
                            "SELECT json_array(a.tags), json_array(v.pair) FROM t AS a JOIN v ON v.id = a.n"]:
                    twin.same(sql)

    def test_unsharded_table_lies_on_one_shard(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                twin.run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)", shoal_sql="CREATE TABLE t (id INTEGER PRIMARY KEY, x) UNSHARDED")
                twin.run("INSERT INTO t (x) VALUES (1), (2), (3)")
                twin.run("UPDATE t SET x = x * 2")
                twin.same("SELECT * FROM t")
                self.assertEqual(twin.plan("SELECT * FROM t"), "unsharded")
                self.assertEqual(len(twin.shards_with_rows("t")), 1)

    def test_shard_by_hash(self):
        for twin in clusters.twins():
            with self.subTest(twin.label):
                plain = "CREATE TABLE t (id INTEGER, tenant TEXT, x, PRIMARY KEY (tenant, id))"
                twin.run(plain, shoal_sql=plain + " SHARD BY HASH (tenant)")
                for i in range(30):
                    twin.run("INSERT INTO t VALUES (?, ?, ?)", (i, f"tenant {i % 10}", i))
                twin.same("SELECT * FROM t WHERE tenant = 'tenant 3'")
                if twin.label != "1 shards":
                    self.assertEqual(twin.plan("SELECT * FROM t WHERE tenant = 'tenant 3'"), "single_shard")
                twin.run("UPDATE t SET x = -x WHERE tenant = 'tenant 3'")
                twin.run("DELETE FROM t WHERE tenant = 'tenant 4' AND id > 10")
                twin.same("SELECT * FROM t")


if __name__ == "__main__":
    unittest.main()
