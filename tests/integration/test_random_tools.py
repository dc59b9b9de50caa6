"""The generator, the comparison and the shrinker of tests/random: they find what is wrong, and make it small."""

import pathlib
import random
import re
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "random"))

from randsql import schema, shrink  # noqa: E402
from randsql.campaign import Campaign  # noqa: E402
from randsql.compare import difference  # noqa: E402
from randsql.sides import Answer, Sqlite, TooCostly  # noqa: E402
from randsql.top import Top  # noqa: E402
from randsql.tree import Bind, Many, Maybe, Node, Order, Query, Result, Slice, literal, render  # noqa: E402
from randsql.wrong import wrong_query  # noqa: E402


class Faulty(Sqlite):
    """SQLite that does something wrong where a query has a word in it."""

    label = "faulty"

    def __init__(self, word, spoil):
        super().__init__()
        self.word, self.spoil = word, spoil

    def execute(self, sql, params=(), with_plan=False):
        try:
            answer = super().execute(re.sub(r" (UNSHARDED|SHARD BY HASH \(\w+\))$", "", sql), params)
        except TooCostly:
            return Answer(failed="too costly")
        if self.word in sql and sql.startswith(("SELECT", "WITH", "VALUES")):
            self.spoil(answer)
        return answer

    def fresh(self):
        return Faulty(self.word, self.spoil)


def drop_row(answer):
    if len(answer.rows) > 1:
        answer.rows.pop()


def make_real(answer):
    answer.rows = [tuple(float(v) if isinstance(v, int) else v for v in row) for row in answer.rows]


def run_until_difference(side, directory=None, seeds=range(1, 30)):
    campaign = Campaign(side, directory, tell=lambda text: None)
    for seed in seeds:
        campaign.run_seed(seed, 60)
        if campaign.counts.differences:
            return campaign
    return campaign


class Generator(unittest.TestCase):
    def test_same_seed_makes_the_same(self):
        def texts():
            rng = random.Random(7)
            tables = schema.make_tables(rng, "t")
            queries = [render(*Top(rng, tables).statement()) for _ in range(40)]
            return [t.statements for t in tables], queries

        self.assertEqual(texts(), texts())

    def test_queries_are_seldom_wrong_unless_meant_to_be(self):
        n_failed = n_meant = n = 0
        for seed in range(6):
            rng = random.Random(seed)
            tables = schema.make_tables(rng, "t")
            sqlite = Sqlite()
            for table in tables:
                for plain, _ in table.statements:
                    self.assertEqual(sqlite.execute(plain).code, 0, plain)
            for _ in range(50):
                n += 1
                n_failed += bool(sqlite.execute(*render(*Top(rng, tables).statement())).code)
                n_meant += bool(sqlite.execute(*render(wrong_query(Top(rng, tables)))).code)
            sqlite.close()
        self.assertLess(n_failed, n * 0.05)
        self.assertGreater(n_meant, n * 0.5)

    def test_sqlite_against_itself_differs_nowhere(self):
        campaign = run_until_difference(Faulty("no such word", drop_row), seeds=range(40, 46))
        self.assertEqual(campaign.counts.differences, [])
        self.assertGreater(campaign.counts.n_queries, 300)

    def test_every_subject_turns_up(self):
        rng = random.Random(3)
        tables = schema.make_tables(rng, "t")
        text = "\n".join(render(*Top(rng, tables).statement())[0] for _ in range(2500))
        for word in [" LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN ", " CROSS JOIN ", " NATURAL ", " USING (", "EXISTS (", " NOT IN (SELECT",
                     " INTERSECT ", " EXCEPT ", " UNION ALL ", "WITH RECURSIVE", "MATERIALIZED", " OVER (", "GROUPS BETWEEN", "EXCLUDE TIES",
                     " FILTER (", "json_each(", "json_tree(", "VALUES (", " HAVING ", " OFFSET ", "NULLS LAST", "COLLATE NOCASE", " ESCAPE ",
                     " GLOB ", "CAST(", "strftime(", "count(DISTINCT", "group_concat(", ":p1", "?2", " IS NOT DISTINCT FROM "]:
            self.assertIn(word, text)


class Comparison(unittest.TestCase):
    def query(self, order=None, slice_=None, bag=None):
        return Query(Maybe(), Node("core", "SELECT ", Many([Result("a"), Result("b", bag=bag)])), order or Order(), slice_ or Slice())

    def check(self, same, query, got, want, unlimited=None):
        found = difference(query, Answer(rows=got), Answer(rows=want), unlimited and Answer(rows=unlimited))
        self.assertEqual(found, None if same else "rows")

    def test_rows_without_order(self):
        rows = [(1, "a"), (2, "b"), (2, "b")]
        self.check(True, self.query(), rows[::-1], rows)
        self.check(False, self.query(), rows[:2], rows)
        self.check(False, self.query(), [(1.0, "a"), *rows[1:]], rows)
        self.check(False, self.query(), [(1, b"a"), *rows[1:]], rows)
        self.check(True, self.query(), [(1 / 3 + 1e-16, 1)], [(1 / 3, 1)])
        self.check(False, self.query(), [(1 / 3 + 1e-9, 1)], [(1 / 3, 1)])

    def test_order(self):
        rows = [(1, "a"), (2, "b"), (2, "c")]
        total = self.query(Order(" ORDER BY a, b"))
        self.check(True, total, rows, rows)
        self.check(False, total, [rows[0], rows[2], rows[1]], rows)
        tied = self.query(Order(" ORDER BY a", ties=[0]))
        self.check(True, tied, [rows[0], rows[2], rows[1]], rows)
        self.check(False, tied, [rows[1], rows[0], rows[2]], rows)

    def test_limit_without_order(self):
        whole = [(1, "a"), (2, "b"), (2, "b"), (3, "c")]
        free = self.query(slice_=Slice(" LIMIT 2", free=True))
        self.check(True, free, [whole[3], whole[0]], whole[:2], whole)
        self.check(True, free, [whole[1], whole[2]], whole[:2], whole)
        self.check(False, free, [whole[0], whole[0]], whole[:2], whole)
        self.check(False, free, [whole[0]], whole[:2], whole)

    def test_values_put_together_in_any_order(self):
        query = self.query(bag=",")
        self.check(True, query, [(1, "3,1,2")], [(1, "1,2,3")])
        self.check(False, query, [(1, "3,1,1")], [(1, "1,2,3")])
        self.check(True, query, [(1, "[2,1]")], [(1, "[1,2]")])

    def test_errors(self):
        ok, bad = Answer(rows=[(1,)]), Answer(code=1, message="no such column: x")
        self.assertEqual(difference(None, ok, bad), "error")
        self.assertEqual(difference(None, bad, Answer(code=1, message="other")), "message")
        self.assertEqual(difference(None, bad, bad), None)
        self.assertEqual(difference(None, Answer(failed="UNAVAILABLE"), ok), "failure")
        self.assertEqual(difference(None, Answer(columns=["a"]), Answer(columns=["b"])), "columns")


class Shrinking(unittest.TestCase):
    def check_script(self, word, spoil, max_size):
        with tempfile.TemporaryDirectory(prefix="shoal-random-") as directory:
            campaign = run_until_difference(Faulty(word, spoil), directory)
            self.assertTrue(campaign.counts.differences, "the fault has not been found")
            path, = pathlib.Path(directory).iterdir()
            script = path.read_text(encoding="utf-8")
        self.assertRegex(path.name, r"^seed-\d+\.sql$")
        statements = [line for line in script.splitlines() if not line.startswith("--")]
        self.assertLessEqual(len(statements), max_size, script)
        query = statements[-1]
        self.assertIn(word, query)
        self.assertLess(len(query), 300, script)
        # it runs as it stands, and SQLite's answer in it is right
        db = sqlite3.connect(":memory:")
        for statement in statements[:-1]:
            db.execute(statement)
        for row in db.execute(query).fetchall():
            self.assertIn(f"-- SQLite:     {row}", script)
        db.close()
        return script

    def test_dropped_row(self):
        self.check_script("LEFT JOIN", drop_row, 6)

    def test_wrong_type(self):
        self.check_script("count(DISTINCT", make_real, 5)

    def test_wrong_order(self):
        self.check_script(" ORDER BY ", lambda answer: answer.rows.reverse(), 6)

    def test_literals_are_what_they_say(self):
        values = [None, 1, -2**63, 2**63 - 1, 1.5, -0.25, 1e300, "it's", b"\x00\xff", float("inf"), "a\0b"]
        for value in values:
            sql, params = render(Bind(value))
            self.assertEqual(Sqlite().execute(f"SELECT {sql}", params).rows, [(value,)])
            self.assertEqual(Sqlite().execute(f"SELECT {shrink.readable(value)}").rows, [(value,)])
        self.assertEqual(literal("it's"), "'it''s'")

    def test_styles_of_parameters(self):
        tree = Node("query", "SELECT ", Many([Bind(5, True), Bind("x", True), Bind(5, True), Bind(6)]))
        for style, text, n in [("?", "SELECT ?, ?, ?, 6", 3), ("?1", "SELECT ?1, ?2, ?1, 6", 2), (":a", "SELECT :p1, :p2, :p1, 6", 2)]:
            sql, params = render(tree, style)
            self.assertEqual((sql, len(params)), (text, n))
            self.assertEqual(Sqlite().execute(sql, params).rows, [(5, "x", 5, 6)])
            self.assertEqual(Sqlite().execute(shrink.inline(sql, params)).rows, [(5, "x", 5, 6)])


if __name__ == "__main__":
    unittest.main()
