"""Random tables, rows, writes and one-table queries: Shoal on 1 and 8 shards against sqlite3.

SHOAL_TEST_SEED runs one seed; --long runs hundreds. What SQLite leaves open is not asked for: which of several equal values
stands for a group, in which order rows without ORDER BY come, how sums of numbers of very different size are rounded.
"""

import os
import random
import re
import sqlite3
import unittest

from lib import Clusters, SqlError, Twin
from lib.oracle import same_rows

clusters = None
if os.environ.get("SHOAL_TEST_SEED"):
    SEEDS = [int(os.environ["SHOAL_TEST_SEED"])]
else:
    SEEDS = range(600 if os.environ.get("SHOAL_TEST_LONG") else 16)
N_ROWS, N_WRITES, N_QUERIES = 30, 25, 50


def setUpModule():
    global clusters
    clusters = Clusters([(1, 1), (8, 2)])
    clusters.start()


def tearDownModule():
    clusters.stop()


# ---- values

SMALL = [0, 1, -1, 2, 3, 5, 7, 10, 1.0, 2.5, -0.5, 3.0, "1", "01", "1.0", "2.5", "x", "X", "abc", "ABC ", "abc ", " abc", "", "zz",
         "ä", "Ä", b"", b"a", b"1", None, None]
EXTREME = [2**63 - 1, -2**63, 2**62, 2**53 + 1, float(2**53), 1e300, -1e-300, 1e18, float("inf"), "9223372036854775808",
           "-9223372036854775809", "1e400", "0x10", "\U0001f600", b"\x00\xff", "a\0b"]


class Column:
    def __init__(self, name, kind, extremes, strict):
        self.name = name
        self.kind = kind
        self.extremes = extremes
        self.strict = strict
        self.type = kind.split()[0] if kind else ""
        # Equal values of it are the same value, so that it may stand for a group.
        self.exact = "COLLATE" not in kind and (self.type == "TEXT" or strict and self.type == "BLOB" or
                                                not extremes and self.type in ("INTEGER", "REAL"))

    def value(self, rng):
        if self.strict and rng.random() < 0.95:
            fitting = {"INTEGER": [0, 1, 2, -3, 10, 77, None], "TEXT": ["", "a", "b", "B", "abc", None],
                       "REAL": [0.5, 1.0, -2.25, 3, None], "BLOB": [b"", b"a", b"\xff", None]}
            return rng.choice(fitting.get(self.type, SMALL))
        return rng.choice(EXTREME if self.extremes and rng.random() < 0.4 else SMALL)


KINDS = ["INTEGER", "TEXT", "REAL", "NUMERIC", "", "BLOB", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "INTEGER", "TEXT"]
STRICT_KINDS = ["INTEGER", "TEXT", "REAL", "BLOB", "ANY", "TEXT COLLATE NOCASE"]


class Table:
    """A random schema. key: the columns that name a row, in SQL."""

    def __init__(self, rng, name):
        self.name = name
        self.strict = rng.random() < 0.2
        kinds = STRICT_KINDS if self.strict else KINDS
        self.columns = [Column(f"c{i}", rng.choice(kinds), rng.random() < 0.25, self.strict) for i in range(rng.randrange(2, 5))]
        self.rowid = None
        make = rng.choice([self.by_integer, self.by_integer, self.by_text, self.by_two, self.by_rowid, self.without_rowid])
        make(rng)
        self.insertable = list(self.columns)
        definitions = [f"{c.name} {c.kind}{self.constraint(rng, c)}" for c in self.columns]
        if rng.random() < 0.15 and not self.strict:
            definitions.append("g AS (typeof(c1))")
        words = ["STRICT"] * self.strict + ["WITHOUT ROWID"] * (self.rowid is None)
        self.sql = f"CREATE TABLE {name} ({', '.join(definitions + self.table_constraints)}) {', '.join(words)}".strip()
        self.indexes = [f"CREATE INDEX {name}_{i} ON {name} ({c.name}{rng.choice(['', ' DESC'])})"
                        f"{rng.choice(['', f' WHERE {c.name} IS NOT NULL'])}"
                        for i, c in enumerate(self.columns) if rng.random() < 0.3]

    def by_integer(self, rng):
        self.columns[0] = Column("c0", "INTEGER", False, self.strict)
        self.table_constraints, self.key, self.rowid = [], ["c0"], "c0"
        self.primary = "PRIMARY KEY" + rng.choice(["", " AUTOINCREMENT"])

    def by_text(self, rng):
        self.columns[0] = Column("c0", rng.choice(["TEXT", "TEXT COLLATE NOCASE"]), False, self.strict)
        self.table_constraints, self.key, self.rowid, self.primary = [], ["c0"], "rowid", "PRIMARY KEY"

    def by_two(self, rng):
        self.table_constraints, self.key, self.rowid, self.primary = ["PRIMARY KEY (c1, c0)"], ["c1", "c0"], "rowid", ""

    def by_rowid(self, rng):
        self.table_constraints, self.key, self.rowid, self.primary = [], ["rowid"], "rowid", ""

    def without_rowid(self, rng):
        self.table_constraints, self.key, self.rowid, self.primary = ["PRIMARY KEY (c0, c1)"], ["c0", "c1"], None, ""

    def constraint(self, rng, column):
        if column is self.columns[0] and self.primary:
            return " " + self.primary
        if column.name in self.key or self.strict:
            return ""
        return rng.choice(["", "", "", " DEFAULT 7", " DEFAULT 'dflt'", " NOT NULL DEFAULT 'n'",
                           f" CHECK (length({column.name}) < 10 OR {column.name} IS NULL)"])

    def total_order(self):
        """Terms that no two rows share."""
        return ", ".join(self.key if self.rowid is None else [self.rowid])


# ---- statements

class Builder:
    """Values are marks in the text until it is finished; those that are left become its parameters."""

    def __init__(self, rng, table):
        self.rng, self.table = rng, table
        self.values = []

    def bind(self, value):
        """The value as a parameter, or as text."""
        if self.rng.random() < 0.5 or isinstance(value, str) and "\0" in value or value == float("inf"):
            self.values.append(value)
            return f"\1{len(self.values) - 1}\1"
        return literal(value)

    def finish(self, sql):
        params = []

        def place(mark):
            params.append(self.values[int(mark.group(1))])
            return "?"

        return re.sub("\1(\\d+)\1", place, sql), tuple(params)


class Writer(Builder):

    def insert(self):
        t, rng = self.table, self.rng
        columns = [c for c in t.insertable if rng.random() < 0.85 or c.name in t.key] or [t.insertable[0]]
        if t.key == ["c0"] and t.rowid == "c0" and rng.random() < 0.5:
            columns = [c for c in columns if c.name != "c0"] or columns
        values = ", ".join("NULL" if c.name == "c0" == t.rowid and rng.random() < 0.3 else self.bind(c.value(rng)) for c in columns)
        names = ", ".join(c.name for c in columns)
        how = rng.choice(["INSERT"] * 6 + ["INSERT OR IGNORE", "INSERT OR REPLACE", "INSERT OR FAIL", "REPLACE"])
        upsert = ""
        if how == "INSERT" and rng.random() < 0.15:
            free = [c for c in t.columns if c.name not in t.key]
            upsert = " ON CONFLICT DO " + (f"UPDATE SET {free[0].name} = excluded.{free[0].name}" if free and rng.random() < 0.6
                                           else "NOTHING")
        return f"{how} INTO {t.name} ({names}) VALUES ({values}){upsert}"

    def where_key(self):
        rng, t = self.rng, self.table
        by_name = {c.name: c for c in t.columns}
        tests = []
        for k in t.key:
            value = by_name[k].value(rng) if k in by_name and not k == t.rowid else rng.randrange(0, 40)
            tests.append(f"{k} = {self.bind(value)}")
        if rng.random() < 0.2:
            tests.append(f"{rng.choice(t.columns).name} IS NOT NULL")
        return " AND ".join(tests)

    def update(self):
        rng, t = self.rng, self.table
        free = [c for c in t.columns if c.name not in t.key]
        if not free:
            return self.delete()
        c = rng.choice(free)
        value = rng.choice([self.bind(c.value(rng)), f"{c.name} || 'x'", f"coalesce({c.name}, 0) + 1", "DEFAULT"][:3])
        return f"UPDATE {rng.choice(['', '', 'OR IGNORE '])}{t.name} SET {c.name} = {value} WHERE {self.where_key()}"

    def delete(self):
        return f"DELETE FROM {self.table.name} WHERE {self.where_key()}"

    def any(self):
        return self.rng.choice([self.insert, self.insert, self.insert, self.update, self.delete])()


class Reader(Builder):
    """Makes (SQL, whether its rows come in one order only); LIMIT comes only where they do."""

    def column(self):
        return self.rng.choice(self.table.columns)

    def scalar(self, depth=0):
        rng, c = self.rng, self.column()
        if depth > 2 or rng.random() < 0.4:
            return rng.choice([c.name, c.name, self.bind(c.value(rng)), f"typeof({c.name})"])
        return rng.choice([
            lambda: f"length({self.scalar(depth + 1)})", lambda: f"upper({self.scalar(depth + 1)})",
            lambda: f"hex({self.scalar(depth + 1)})", lambda: f"quote({self.scalar(depth + 1)})",
            lambda: f"coalesce({self.scalar(depth + 1)}, {self.scalar(depth + 1)})",
            lambda: f"nullif({self.scalar(depth + 1)}, {self.scalar(depth + 1)})",
            lambda: f"({self.scalar(depth + 1)} || {self.scalar(depth + 1)})",
            lambda: f"CAST({self.scalar(depth + 1)} AS {rng.choice(['TEXT', 'INTEGER', 'BLOB', 'NUMERIC'])})",
            lambda: f"CASE WHEN {self.predicate(depth + 1)} THEN {self.scalar(depth + 1)} ELSE {self.scalar(depth + 1)} END",
            lambda: f"({self.scalar(depth + 1)} IS {self.scalar(depth + 1)})",
            lambda: f"substr({self.scalar(depth + 1)}, 1, 2)", lambda: f"{c.name} + 0", lambda: f"-{c.name}",
            lambda: f"min({self.scalar(depth + 1)}, {self.scalar(depth + 1)})",
            lambda: f"iif({self.predicate(depth + 1)}, 1, 'no')", lambda: f"instr({c.name}, 'b')",
        ])()

    def predicate(self, depth=0):
        rng, t, c = self.rng, self.table, self.column()
        key = rng.choice(t.key)
        by_name = {c.name: c for c in t.columns}
        key_value = by_name[key].value(rng) if key in by_name and key != t.rowid else rng.choice([1, 2, 3, 8, "4", 5.0, None, 2.5])
        simple = [
            lambda: f"{key} = {self.bind(key_value)}", lambda: f"{key} IN ({self.bind(key_value)}, {self.bind(c.value(rng))}, 3)",
            lambda: f"{c.name} {rng.choice(['=', '<', '>', '<=', '>=', '<>', 'IS', 'IS NOT'])} {self.bind(c.value(rng))}",
            lambda: f"{c.name} IS {rng.choice(['', 'NOT '])}NULL", lambda: f"{c.name} LIKE {self.bind(rng.choice(['a%', '%b%', '_', 'X']))}",
            lambda: f"{c.name} GLOB 'a*'", lambda: f"{c.name} BETWEEN {self.bind(c.value(rng))} AND {self.bind(c.value(rng))}",
            lambda: f"{c.name} = {self.column().name}", lambda: f"typeof({c.name}) = {self.bind(rng.choice(['integer', 'text', 'real']))}",
            lambda: f"{c.name} COLLATE NOCASE = {self.bind(c.value(rng))}", lambda: f"{key} > {self.bind(key_value)}",
            lambda: f"{c.name} IN ()" if rng.random() < 0.2 else f"{c.name} NOT IN ({self.bind(c.value(rng))})",
        ]
        if depth > 1 or rng.random() < 0.6:
            return rng.choice(simple)()
        return rng.choice([lambda: f"({self.predicate(depth + 1)} AND {self.predicate(depth + 1)})",
                           lambda: f"({self.predicate(depth + 1)} OR {self.predicate(depth + 1)})",
                           lambda: f"NOT ({self.predicate(depth + 1)})",
                           lambda: f"({self.scalar(depth + 1)}) IS ({self.scalar(depth + 1)})"])()

    def where(self):
        return f" WHERE {self.predicate()}" if self.rng.random() < 0.7 else ""

    def limit(self):
        rng = self.rng
        if rng.random() < 0.5:
            return ""
        limit = f" LIMIT {self.bind(rng.choice([0, 1, 3, 10, 100, -1]))}"
        return limit + (f" OFFSET {self.bind(rng.choice([0, 1, 2, 5, 50]))}" if rng.random() < 0.5 else "")

    def rows(self):
        rng, t = self.rng, self.table
        what = rng.choice(["*", ", ".join(self.scalar() for _ in range(rng.randrange(1, 4)))])
        sql = f"SELECT {what} FROM {t.name}{self.where()}"
        if rng.random() < 0.6:
            terms = [f"{self.scalar(1)}{rng.choice(['', ' DESC', ' NULLS LAST', ' COLLATE NOCASE'])}" for _ in range(rng.randrange(0, 3))]
            # A bare number would be a column of the result.
            terms = [term for term in terms if not term.lstrip("-").split()[0].split(".")[0].isdigit()]
            return f"{sql} ORDER BY {', '.join(terms + [t.total_order()])}{self.limit()}", True
        return sql, False

    def aggregate(self, exact_only=False):
        rng = self.rng
        c = self.column()
        exact = [c for c in self.table.columns if c.exact and not c.extremes]
        choices = [lambda: "count(*)", lambda: f"count({c.name})", lambda: f"count(DISTINCT {c.name})",
                   lambda: f"sum(length({c.name}))", lambda: f"count(*) FILTER (WHERE {self.predicate(1)})",
                   lambda: f"total(length({c.name}) > 1)", lambda: f"avg(length({c.name}))", lambda: f"typeof(sum(length({c.name})))",
                   lambda: f"length(group_concat(hex({c.name})))", lambda: f"max(length({c.name})) - min(length({c.name}))",
                   lambda: f"sum({c.name} IS NULL)", lambda: f"count(DISTINCT typeof({c.name}))"]
        if exact:
            e = rng.choice(exact).name
            choices += [lambda: f"min({e})", lambda: f"max({e})", lambda: f"sum({e})", lambda: f"avg({e})", lambda: f"total({e})",
                        lambda: f"max(CAST({e} AS TEXT))", lambda: f"typeof(max({e}))", lambda: f"sum(DISTINCT {e})",
                        lambda: f"count(DISTINCT {e} || 'x')", lambda: f"round(avg({e}), 6)"]
        return rng.choice(choices)()

    def groups(self):
        rng, t = self.rng, self.table
        exact = [c.name for c in t.columns if c.exact]
        keys = [rng.choice([f"typeof({self.column().name})", f"length({self.column().name})", f"{self.column().name} IS NULL",
                            f"length({self.column().name}) % 2", *exact, *exact]) for _ in range(rng.randrange(1, 3))]
        shown = [k for k in keys if rng.random() < 0.8]
        sql = f"SELECT {', '.join(shown + [self.aggregate() for _ in range(rng.randrange(1, 3))])} FROM {t.name}{self.where()}"
        sql += f" GROUP BY {', '.join(keys)}"
        if rng.random() < 0.4:
            sql += f" HAVING {self.aggregate()} {rng.choice(['>', '<=', '<>', 'IS NOT'])} {self.bind(rng.choice([0, 1, 2, None, 3.5]))}"
        if rng.random() < 0.5:
            return f"{sql} ORDER BY {', '.join(keys)}{self.limit()}", True
        return sql, False

    def whole(self):
        aggregates = ", ".join(self.aggregate() for _ in range(self.rng.randrange(1, 4)))
        having = f" HAVING count(*) > {self.rng.choice([0, 5, 1000])}" if self.rng.random() < 0.2 else ""
        return f"SELECT {aggregates} FROM {self.table.name}{self.where()}{having}", False

    def distinct(self):
        rng, t = self.rng, self.table
        exact = [c.name for c in t.columns if c.exact] + [f"typeof({self.column().name})", f"length({self.column().name})"]
        shown = [rng.choice(exact) for _ in range(rng.randrange(1, 3))]
        sql = f"SELECT DISTINCT {', '.join(shown)} FROM {t.name}{self.where()}"
        if rng.random() < 0.5:
            return f"{sql} ORDER BY {', '.join(shown)}{self.limit()}", True
        return sql, False

    def any(self):
        return self.rng.choice([self.rows, self.rows, self.groups, self.whole, self.distinct])()


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, int) and value == -2**63:
        return "(-9223372036854775807 - 1)"
    return repr(value)


# ---- running

class Outcome:
    def __init__(self, run):
        self.error, self.result = None, None
        try:
            self.result = run()
        except sqlite3.Error as e:
            self.error = e.sqlite_errorcode
        except SqlError as e:
            if e.unsupported:
                raise
            assert e.extended_code, e
            self.error = e.extended_code


class Random(unittest.TestCase):
    def check_write(self, twin, sql, params, where):
        try:
            got = Outcome(lambda: twin.client.execute(sql, params))
        except SqlError as e:
            return e.reason  # refused, so not done here either
        want = Outcome(lambda: twin.oracle.execute(sql, params))
        self.assertEqual(got.error, want.error, f"{where}: {sql} {params}")
        if not want.error:
            self.assertEqual(got.result.rows_affected, want.result.rows_affected, f"{where}: {sql} {params}")
        return None

    def check_query(self, twin, sql, params, ordered, where):
        want = Outcome(lambda: twin.oracle.execute(sql, params))
        try:
            got = Outcome(lambda: twin.client.execute(sql, params))
        except SqlError as e:
            return e.reason
        self.assertEqual(got.error, want.error, f"{where}: {sql} {params}")
        if not want.error:
            self.assertEqual(got.result.columns, want.result.columns, f"{where}: {sql} {params}")
            self.assertTrue(same_rows(got.result.rows, want.result.rows, ordered),
                            f"{where}: {sql} {params}\n  got    {got.result.rows[:12]}\n  wanted {want.result.rows[:12]}")
        return None

    def run_seed(self, twin, seed, refused):
        rng = random.Random(seed)
        table = Table(rng, f"t{seed}")
        where = f"SHOAL_TEST_SEED={seed}, {twin.label}, {table.sql}"
        for sql in [table.sql, *table.indexes]:
            twin.run(sql)
        for i in range(N_ROWS + N_WRITES):
            writer = Writer(rng, table)
            self.check_write(twin, *writer.finish(writer.insert() if i < N_ROWS else writer.any()), where)
        order = ", ".join(table.key if table.rowid is None else [f"{table.name}.{table.rowid}"])
        shown = "*" if table.rowid in (None, "c0") else "rowid, *"
        self.assertIsNone(self.check_query(twin, f"SELECT {shown} FROM {table.name} ORDER BY {order}", (), True, where))
        for _ in range(N_QUERIES):
            reader = Reader(rng, table)
            sql, ordered = reader.any()
            refused.append(self.check_query(twin, *reader.finish(sql), ordered, where))
        twin.run(f"DROP TABLE {table.name}")

    def test_against_sqlite(self):
        for twin in clusters.twins():
            refused = []
            for seed in SEEDS:
                with self.subTest(twin.label, seed=seed):
                    self.run_seed(twin, seed, refused)
            reasons = [r for r in refused if r]
            self.assertLessEqual(len(reasons), len(refused) * 0.02, f"refused: {sorted(set(reasons))}")


if __name__ == "__main__":
    unittest.main()
