"""Joins by key over real processes: one side is fetched first, of the other only the rows that its keys name."""

import threading
import unittest

from lib import Cluster, Oracle, assert_same

JOIN = "SELECT b.name FROM a JOIN b ON b.id = a.b_id WHERE a.id = ?"


class KeyJoins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(tablets=2, shards=3, flags=["gate:--statistics-interval=0"])
        cls.cluster.__enter__()
        cls.client = cls.cluster.client()
        cls.oracle = Oracle()
        for sql in ("CREATE TABLE a (id INTEGER PRIMARY KEY, b_id, t TEXT)",
                    "CREATE TABLE b (id INTEGER PRIMARY KEY, c_code TEXT, name TEXT COLLATE NOCASE)",
                    "CREATE TABLE c (code TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID",
                    "CREATE TABLE few (id INTEGER PRIMARY KEY, v)",
                    "CREATE INDEX a_b ON a (b_id)"):
            cls.run_both(sql)
        for i in range(300):
            cls.run_both("INSERT INTO a VALUES (?, ?, ?)", [i, i * 7 % 300 if i % 10 else None, f"t{i}"])
            cls.run_both("INSERT INTO b VALUES (?, ?, ?)", [i, f"c{i % 50}", f"Name {i}"])
        for i in range(50):
            cls.run_both("INSERT INTO c VALUES (?, ?)", [f"c{i}", i])
        for i, v in enumerate([3, 4.0, "5", None, b"6", "no", 7000]):
            cls.run_both("INSERT INTO few VALUES (?, ?)", [i, v])
        cls.client.execute("ANALYZE")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    @classmethod
    def run_both(cls, sql, params=()):
        cls.oracle.execute(sql, params)
        return cls.client.execute(sql, params)

    def check(self, sql, params=()):
        """Same as SQLite; returns the rows that shards sent, and how many shards were asked."""
        got = self.client.execute(sql, params, stats=True)
        assert_same(self.client, self.oracle, sql, params)
        return sum(s.rows for s in got.stats.shards), len(got.stats.shards)

    def test_only_the_rows_it_needs(self):
        for key in (1, 2, 10, 299, 1000):
            rows, shards = self.check(JOIN, [key])
            self.assertEqual(rows, 1 + (key % 10 != 0) if key < 300 else 0, key)
            self.assertLessEqual(shards, 2, key)

    def test_chains_and_outer_joins(self):
        rows, shards = self.check("SELECT c.n, b.name, a.t FROM c, b, a "
                                  "WHERE a.id = 11 AND b.id = a.b_id AND c.code = b.c_code")
        self.assertEqual((rows, shards), (3, 3))
        rows, _ = self.check("SELECT few.id, b.name FROM few LEFT JOIN b ON b.id = few.v ORDER BY few.id")
        self.assertEqual(rows, 7 + 3)  # '5' is a number to an INTEGER key, x'36' is none
        rows, _ = self.check("SELECT id FROM few WHERE EXISTS (SELECT 1 FROM b WHERE b.id = few.v)")
        self.assertEqual(rows, 7 + 3)
        rows, _ = self.check("SELECT count(*), sum(c.n) FROM few JOIN b ON b.id = few.v JOIN c ON c.code = b.c_code")
        self.assertEqual(rows, 7 + 3 + 3)

    def test_all_rows_where_that_is_less(self):
        rows, _ = self.check("SELECT count(*) FROM a JOIN b ON b.id = a.b_id")
        self.assertEqual(rows, 600)
        # Of both sides only a condition is known, not how much it leaves.
        rows, _ = self.check("SELECT count(*) FROM b JOIN c ON c.code = b.c_code WHERE b.id > 290")
        self.assertLessEqual(rows, 9 + 50)

    def test_streams(self):
        self.assertEqual(self.client.stream(JOIN, [12]).rows, self.oracle.rows(JOIN, [12]))

    def test_explain(self):
        steps = self.client.execute("EXPLAIN " + JOIN.replace("?", "12")).rows
        self.assertEqual([s[0] for s in steps],
                         ["gather", "├─ part 1", "├─ part 2 after part 1 by keys id", "└─ finish"])
        self.assertEqual(steps[2][1], "by key")
        self.assertTrue(steps[2][2].endswith("WHERE `b`.`id` IN (…)"), steps[2])
        steps = self.client.execute("EXPLAIN ANALYZE " + JOIN.replace("?", "12")).rows
        self.assertEqual([s[3] for s in steps if "·" in s[0]], [1, 1])
        steps = self.client.execute("EXPLAIN ANALYZE " + JOIN.replace("?", "10")).rows
        self.assertEqual([s[3] for s in steps if "·" in s[0]], [1])

    def test_while_rows_come_and_go(self):
        """A key whose row is there in every state of the tables is always found."""
        self.run_both("INSERT INTO a VALUES (5000, 5000, 'x')")
        self.run_both("INSERT INTO b VALUES (5000, 'c1', 'x')")
        for i in range(30):
            self.assertEqual(self.client.execute(JOIN, [5000]).rows, [("x",)])
            self.client.execute("UPDATE b SET c_code = ? WHERE id = 5000", [f"c{i}"])
        self.oracle.execute("UPDATE b SET c_code = 'c29' WHERE id = 5000")
        self.check("SELECT c.n FROM a JOIN b ON b.id = a.b_id JOIN c ON c.code = b.c_code WHERE a.id = 5000")

    def test_both_sides_show_one_moment(self):
        """A row of a is never there without the row of b that it names, wherever the two lie."""
        reader, failures, n_read = self.cluster.client(), [], 0
        sql = "SELECT a.id, b.id FROM a LEFT JOIN b ON b.id = a.b_id WHERE a.id = ?"

        def write():
            writer = self.cluster.client()
            try:
                for i in range(150):
                    key, other = 7000 + i % 5, 8000 + i % 7
                    writer.execute("INSERT INTO b VALUES (?, 'c1', 'x')", [other])
                    writer.execute("INSERT INTO a VALUES (?, ?, 'x')", [key, other])
                    writer.execute("DELETE FROM a WHERE id = ?", [key])
                    writer.execute("DELETE FROM b WHERE id = ?", [other])
            except BaseException as e:
                failures.append(e)

        thread = threading.Thread(target=write)
        thread.start()
        while thread.is_alive():
            for key in range(7000, 7005):
                for row in reader.rows(sql, [key]):
                    n_read += 1
                    self.assertIsNotNone(row[1], row)
        thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(n_read, 0)


if __name__ == "__main__":
    unittest.main()
