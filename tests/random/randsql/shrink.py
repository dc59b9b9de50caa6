"""Makes what differs small: a few statements and one query."""

import pathlib
import re

from randsql.compare import ask, ask_unlimited, difference
from randsql.sides import Sqlite, TooCostly
from randsql.tree import literal, render

MAX_TRIES = 1500


class Case:
    """Statements that set the stage, each (SQL for SQLite, SQL for Shoal, parameters), and a query with its style. kind: of difference."""

    def __init__(self, setup, query, style, kind):
        self.setup, self.query, self.style, self.kind = setup, query, style, kind


def dump(sqlite, tables, views=()):
    """Statements that make the tables as they are now, and the views."""
    setup = [(plain, ours, ()) for view in views for plain, ours in view.statements]
    n_views = len(setup)
    for table in tables:
        setup += [(plain, ours, ()) for plain, ours in table.statements]
        names = [c.name for c in table.columns if not c.is_generated]
        given = names if table.rowid in (None, *names) else ["rowid", *names]
        hidden = len(given) - len(names)
        for row in sqlite.oracle.rows(f"SELECT {', '.join(given)} FROM {table.name} ORDER BY {', '.join(table.key)}"):
            # a rowid may be named where the table is sharded by it, or not at all
            keep = given if not hidden or table.pinned == ["rowid"] or not table.pinned else names
            values = row if keep is given else row[hidden:]
            sql = f"INSERT INTO {table.name} ({', '.join(keep)}) VALUES ({', '.join('?' * len(values))})"
            setup.append((sql, sql, tuple(values)))
    return setup[n_views:] + setup[:n_views]


class Shrinker:
    """make_shoal: gives a fresh side under test."""

    def __init__(self, make_shoal):
        self.make_shoal = make_shoal
        self.tries = 0

    def stage(self, setup):
        """Both sides with the statements done; None for one that refuses some."""
        shoal, sqlite = self.make_shoal(), Sqlite()
        for plain, ours, params in setup:
            sqlite.execute(plain, params)
            shoal.execute(ours, params)
        return shoal, sqlite

    def verdict(self, shoal, sqlite, query, style):
        self.tries += 1
        try:
            want = ask(sqlite, query, style)
            unlimited = ask_unlimited(sqlite, query, style)
        except TooCostly:
            return None
        got = ask(shoal, query, style)
        if got.refused:
            return None
        return difference(query, got, want, unlimited)

    def still(self, setup, query, style, kind):
        shoal, sqlite = self.stage(setup)
        try:
            return self.verdict(shoal, sqlite, query, style) == kind and is_definite(sqlite, setup, query, style)
        finally:
            shoal.close()
            sqlite.close()

    def shrink(self, case):
        """A smaller case with the same kind of difference; the same one if the stage does not show it."""
        if not self.still(case.setup, case.query, case.style, case.kind):
            return None
        while True:
            before = (len(case.setup), case.query.size(), case.style)
            self.shrink_query(case)
            self.shrink_setup(case)
            if (len(case.setup), case.query.size(), case.style) == before or self.tries > MAX_TRIES:
                return case

    def shrink_query(self, case):
        shoal, sqlite = self.stage(case.setup)
        try:
            smaller = True
            while smaller and self.tries < MAX_TRIES:
                smaller = False
                for query in case.query.edits():
                    if self.verdict(shoal, sqlite, query, case.style) == case.kind and \
                            is_definite(sqlite, case.setup, query, case.style):
                        case.query, smaller = query, True
                        break
                    if self.tries >= MAX_TRIES:
                        break
        finally:
            shoal.close()
            sqlite.close()

    def shrink_setup(self, case):
        """Leaves out statements: halves, quarters, … single ones."""
        step = max(1, len(case.setup) // 2)
        while step and self.tries < MAX_TRIES:
            at = 0
            while at < len(case.setup):
                setup = case.setup[:at] + case.setup[at + step:]
                if self.still(setup, case.query, case.style, case.kind):
                    case.setup = setup
                else:
                    at += step
            step //= 2


# What makes SQLite choose other plans: its own answer must be the same under all of them.
OTHER_PLANS = [["PRAGMA reverse_unordered_selects = 1"], ["PRAGMA automatic_index = 0"]]


def without_keys(create):
    """CREATE TABLE but for keys that are not the rowid."""
    create = re.sub(r",? WITHOUT ROWID", "", re.sub(r", PRIMARY KEY \([^()]*\)", "", create))
    return re.sub(r"(?<!INTEGER) PRIMARY KEY( DESC)?( ON CONFLICT \w+)?", "", create)


def is_definite(sqlite, setup, query, style):
    """False if SQLite itself answers otherwise with the rows put in backwards, without indexes, or read backwards; or if it need not know
    which columns are never NULL: 3.40.1 believes that of those that a LEFT JOIN has padded, too, and finds NULL by them in a unique index; or
    without keys, whose indexes hide other mistakes of its LEFT JOIN."""
    try:
        want, unlimited = ask(sqlite, query, style), ask_unlimited(sqlite, query, style)
        tables = [s for s in setup if s[0].startswith("CREATE TABLE")]
        indexes = [s for s in setup if s[0].startswith("CREATE INDEX")]
        views = [s for s in setup if s[0].startswith("CREATE VIEW")]
        rows = [s for s in setup if not s[0].startswith("CREATE")]
        keyless = [(without_keys(plain), ours, params) for plain, ours, params in tables]
        nullable = [(plain.replace(" NOT NULL", ""), ours, params) for plain, ours, params in tables]
        for prepare in OTHER_PLANS:
            for statements in ([*tables, *views, *reversed(rows)], [*tables, *views, *rows, *indexes, ("ANALYZE", "", ())],
                               [*nullable, *views, *rows, *indexes], [*keyless, *views, *rows]):
                other = Sqlite(prepare)
                failed = [plain for plain, _, params in statements if other.execute(plain, params).code]
                got = ask(other, query, style)
                other.close()
                if not failed and difference(query, got, want, unlimited):
                    return False
    except TooCostly:
        return False
    return True


def script(case, shoal_label, got, want, notes=""):
    """The case as SQL for sqlite3, with both answers."""
    lines = [f"-- {line}" for line in notes.splitlines()] + [f"-- {shoal_label}, difference in: {case.kind}"]
    for plain, ours, params in case.setup:
        lines.append(inline(plain, params) + ";")
        if ours not in (plain, ""):
            lines.append(f"--   Shoal: {ours}")
    sql, params = render(case.query, case.style)
    lines += [f"-- {sql}", f"-- parameters {params}"] if params else []
    lines.append(inline(sql, params) + ";")
    for label, answer in [("Shoal", got), ("SQLite", want)]:
        lines += [f"-- {label}: {line}" for line in str(answer).splitlines()]
    return "\n".join(lines) + "\n"


def inline(sql, params):
    """The statement with its parameters in the text."""
    if isinstance(params, dict):
        for name in sorted(params, key=len, reverse=True):
            sql = sql.replace(f":{name}", readable(params[name]))
        return sql
    for i in range(len(params), 0, -1):
        sql = sql.replace(f"?{i}", readable(params[i - 1]))
    parts = sql.split("?")
    if len(parts) == len(params) + 1:
        return "".join(part + (readable(params[i]) if i < len(params) else "") for i, part in enumerate(parts))
    return sql


def readable(value):
    if isinstance(value, str) and "\0" in value:
        return f"CAST(x'{value.encode().hex()}' AS TEXT)"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "9e999" if value > 0 else "-9e999"
    return literal(value)


def write_script(directory, seed, text):
    path = pathlib.Path(directory) / f"seed-{seed}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
