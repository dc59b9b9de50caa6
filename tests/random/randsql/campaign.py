"""Seed after seed: tables, rows, writes and queries, asked of both sides."""

import collections
import random

from randsql import schema, shrink
from randsql.compare import ask, ask_unlimited, difference
from randsql.data import Writer
from randsql.sides import Sqlite, TooCostly
from randsql.top import Top
from randsql.tree import node, render
from randsql.wrong import wrong_query

N_ROWS = 24  # of a table, at first
WRITE_EVERY = 8  # queries


def tell_at_once(text):
    print(text, flush=True)


class Counts:
    """What a run has seen."""

    def __init__(self):
        self.n_queries = self.n_errors = self.n_writes = self.n_costly = self.n_row_writes = 0
        self.plans, self.refused, self.refused_writes = (collections.Counter() for _ in range(3))
        self.indefinite, self.differences = [], []

    def lines(self):
        yield f"{self.n_queries} queries ({self.n_errors} of them fail), {self.n_writes} writes, {self.n_costly} left out as too costly"
        yield "plans: " + (", ".join(f"{plan} {n}" for plan, n in self.plans.most_common()) or "not asked for")
        yield "refused queries: " + (", ".join(f"{reason} {n}" for reason, n in self.refused.most_common()) or "none")
        yield f"refused writes: {self.listed_writes()}; done row by row: {self.n_row_writes}"
        yield f"SQLite disagrees with itself under another plan: {len(self.indefinite)}"
        yield f"differences: {len(self.differences)}"

    def listed_writes(self):
        return ", ".join(f"{reason} {n}" for reason, n in self.refused_writes.most_common()) or "none"


class Campaign:
    """shoal: the side under test, used for all seeds. directory: where scripts go, None for nowhere."""

    def __init__(self, shoal, directory=None, with_plans=False, tell=tell_at_once):
        self.shoal, self.directory, self.with_plans, self.tell = shoal, directory, with_plans, tell
        self.counts = Counts()

    def run_seed(self, seed, n_queries):
        """Stops at the first difference of the seed."""
        rng = random.Random(seed)
        tables = schema.make_tables(rng, f"t{seed}_")
        self.views = list(schema.make_views(rng, f"t{seed}_", Top(rng, tables)))
        self.sqlite = Sqlite()
        self.history = []
        try:
            if self.create(seed, [*tables, *self.views]) and self.fill(seed, rng, tables):
                self.ask_queries(seed, rng, tables, n_queries)
        finally:
            for view in reversed(self.views):
                self.shoal.execute(f"DROP VIEW IF EXISTS {view.name}")
            for table in tables:
                self.shoal.execute(f"DROP TABLE IF EXISTS {table.name}")
            self.sqlite.close()

    def create(self, seed, objects):
        for thing in objects:
            for plain, ours in thing.statements:
                got, want = self.shoal.execute(ours), self.sqlite.execute(plain)
                self.history.append((plain, ours, ()))
                if got.refused or got.failed or got.code != want.code:
                    self.report(seed, f"{ours}\n  got    {got}\n  wanted {want}")
                    return False
        return True

    def fill(self, seed, rng, tables):
        return all(self.write(seed, Writer(rng, table), Writer(rng, table).insert(plain=True), rng)
                   for table in tables for _ in range(rng.choice([0, 3] + [N_ROWS] * 6)))

    def ask_queries(self, seed, rng, tables, n_queries):
        for i in range(n_queries):
            if i % WRITE_EVERY == WRITE_EVERY - 1:
                writer = Writer(rng, rng.choice(tables))
                if not self.write(seed, writer, writer.any(), rng) or not self.check_table(seed, writer.table):
                    return
            queries = Top(rng, tables, self.views)
            if rng.random() < 0.1:
                query, style = wrong_query(queries), "?"
            else:
                query, style = queries.statement()
            if not self.query(seed, tables, query, style):
                return

    # ---- writes

    def write(self, seed, writer, tree, rng):
        """Whether both did the same. What Shoal refuses is done row by row, the key pinned."""
        sql, params = render(tree, "?")
        got = self.shoal.execute(sql, params)
        self.counts.n_writes += 1
        if got.refused:
            self.counts.refused_writes[got.refused] += 1
            return self.write_by_rows(seed, writer.table, tree, rng)
        return self.same_write(seed, sql, params, got)

    def same_write(self, seed, sql, params, got):
        want = self.sqlite.execute(sql, params)
        self.history.append((sql, sql, params))
        kind = difference(None, got, want)
        if kind == "message":
            kind = None  # which of several failing rows or constraints is named is open
        if kind or not want.code and got.n_affected != want.n_affected:
            self.report(seed, f"{sql} {params}\n  got    {got}, {got.n_affected} rows affected\n  wanted {want}, {want.n_affected}")
            return False
        return True

    def write_by_rows(self, seed, table, tree, rng):
        if not tree.parts[0].startswith(("UPDATE", "DELETE")):
            return True
        where = tree.parts[-1]
        names = sorted({*table.key, *table.pinned})
        test, params = render(where, "?")
        for row in self.sqlite.oracle.rows(f"SELECT {', '.join(names)} FROM {table.name} WHERE {test}", params):
            pins = " AND ".join(f"{n} IS NULL" if v is None else f"{n} = ?" for n, v in zip(names, row))
            one = tree.with_part(len(tree.parts) - 1, node("pred", "({}) AND {}", where, pins))
            sql, values = render(one, "?")
            values += tuple(v for v in row if v is not None)
            got = self.shoal.execute(sql, values)
            self.counts.n_row_writes += 1
            if got.refused:
                self.counts.refused_writes[f"{got.refused} with the key pinned"] += 1
            elif not self.same_write(seed, sql, values, got):
                return False
        return True

    def check_table(self, seed, table):
        """The whole of it is the same on both."""
        shown = "*" if table.rowid != "rowid" else "rowid, *"
        sql = f"SELECT {shown} FROM {table.name} ORDER BY {', '.join(table.key)}"
        got, want = self.shoal.execute(sql), self.sqlite.execute(sql)
        if difference(None, got, want):
            self.report(seed, f"after {self.history[-1]}: {sql}\n  got    {got}\n  wanted {want}")
            return False
        return True

    # ---- queries

    def query(self, seed, tables, query, style):
        try:
            want, unlimited = ask(self.sqlite, query, style), ask_unlimited(self.sqlite, query, style)
        except TooCostly:
            self.counts.n_costly += 1
            return True
        got = ask(self.shoal, query, style, self.with_plans)
        self.counts.n_queries += 1
        self.counts.n_errors += bool(want.code)
        if got.plan:
            self.counts.plans[got.plan] += 1
        if got.refused:
            self.counts.refused[got.refused] += 1
            return True
        kind = difference(query, got, want, unlimited)
        if not kind:
            return True
        setup = shrink.dump(self.sqlite, tables, self.views)
        if not shrink.is_definite(self.sqlite, setup, query, style):
            self.counts.indefinite.append(f"seed {seed}: {render(query, style)}")
            return True
        self.shrink(seed, shrink.Case(setup, query, style, kind), got, want)
        return False

    def shrink(self, seed, case, got, want):
        label = f"seed {seed}, {self.shoal.label}"
        first = shrink.script(case, label, got, want)
        shrinker = shrink.Shrinker(self.shoal.fresh)
        smaller = shrinker.shrink(case)
        if not smaller:  # it takes what happened before
            smaller = shrinker.shrink(shrink.Case(list(self.history), case.query, case.style, case.kind))
        if not smaller:
            self.report(seed, "only after all that happened before:\n" + first)
            return
        shoal, sqlite = shrinker.stage(smaller.setup)
        got, want = ask(shoal, smaller.query, smaller.style), ask(sqlite, smaller.query, smaller.style)
        shoal.close()
        sqlite.close()
        self.report(seed, shrink.script(smaller, label, got, want))

    def report(self, seed, text):
        self.counts.differences.append((seed, text))
        where = ""
        if self.directory:
            where = f" (in {shrink.write_script(self.directory, seed, text)})"
        self.tell(f"---- seed {seed}, {self.shoal.label}: a difference{where}\n{text}")
