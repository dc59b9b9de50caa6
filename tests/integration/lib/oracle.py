"""Plain SQLite as the oracle, and what it means that two answers are the same (DESIGN, Compatibility)."""

import collections
import re
import sqlite3

REAL_TOLERANCE = 1e-12


class RawText(bytes):
    """TEXT that is not UTF-8: equal to no str and to no blob."""

    @classmethod
    def text(cls, data):
        try:
            return data.decode()
        except UnicodeDecodeError:
            return cls(data)

    def __eq__(self, other):
        return type(other) is RawText and bytes.__eq__(self, other)

    def __hash__(self):
        return bytes.__hash__(self)


class Oracle:
    """A private SQLite database, with the client's way of asking."""

    def __init__(self):
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.text_factory = RawText.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.db.close()

    def execute(self, sql, params=()):
        from lib.client import Result
        result = Result()
        cursor = self.db.execute(sql, params)
        if cursor.description:
            result.columns = [d[0] for d in cursor.description]
            result.rows = cursor.fetchall()
        result.rows_affected = self.db.execute("SELECT changes()").fetchone()[0]
        result.last_insert_id = self.db.execute("SELECT last_insert_rowid()").fetchone()[0]
        return result

    def rows(self, sql, params=()):
        return self.execute(sql, params).rows


def same_value(a, b):
    if type(a) is not type(b):
        return False
    if a == b or not isinstance(a, float):
        return a == b
    return abs(a - b) <= REAL_TOLERANCE * max(abs(a), abs(b))


def same_row(a, b):
    return len(a) == len(b) and all(same_value(x, y) for x, y in zip(a, b))


def sort_key(row):
    """Brings rows that are the same next to each other; reals by fewer digits than the tolerance leaves."""
    return [(type(v).__name__, "" if v is None else f"{v:.9e}" if isinstance(v, float) else repr(v)) for v in row]


def same_multiset(got, want):
    if len(got) != len(want):
        return False
    if all(same_row(a, b) for a, b in zip(sorted(got, key=sort_key), sorted(want, key=sort_key))):
        return True
    # Rounding may have put two reals in another order: look for a partner for each of the rest.
    exact_got, exact_want = (collections.Counter(map(typed, rows)) for rows in (got, want))
    left = [row for row, _ in (exact_got - exact_want).elements()]
    rest = [row for row, _ in (exact_want - exact_got).elements()]
    for row in left:
        partner = next((i for i, r in enumerate(rest) if same_row(row, r)), None)
        if partner is None:
            return False
        rest.pop(partner)
    return True


def typed(row):
    return tuple(row), tuple(type(v) for v in row)


def has_order_by(sql):
    """True if the outermost query is ordered."""
    text = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\[[^\]]*\]|--[^\n]*|/\*.*?\*/", " ", sql, flags=re.S)
    while True:
        shorter = re.sub(r"\([^()]*\)", " ", text)
        if shorter == text:
            return re.search(r"\border\s+by\b", text, re.I) is not None
        text = shorter


def same_rows(got, want, ordered, tie_columns=None):
    """ordered: row by row; with tie_columns (numbers of the columns that are ordered by) rows equal in these may come in
    any order. Otherwise as multisets."""
    if not ordered:
        return same_multiset(got, want)
    if tie_columns is None:
        return len(got) == len(want) and all(same_row(a, b) for a, b in zip(got, want))
    keys = [[tuple(row[i] for i in tie_columns) for row in rows] for rows in (got, want)]
    return same_rows(*keys, ordered=True) and same_multiset(got, want)


def assert_same(client, oracle, sql, params=(), *, tie_columns=None, columns=True, label=""):
    """Runs the statement on both and compares columns, rows and storage classes. Returns the client's result."""
    want = oracle.execute(sql, params)
    got = client.execute(sql, params)
    where = f"{label}: {sql}" if label else sql
    if columns:
        assert got.columns == want.columns, f"{where}\n  columns {got.columns}\n  wanted  {want.columns}"
    if not same_rows(got.rows, want.rows, has_order_by(sql), tie_columns):
        raise AssertionError(f"{where}\n  got    {len(got.rows)} rows {got.rows[:12]}\n"
                             f"  wanted {len(want.rows)} rows {want.rows[:12]}")
    return got


def assert_same_error(client, oracle, sql, params=(), *, label=""):
    """Both refuse it, with the same extended result code. Returns the client's error."""
    from lib.client import SqlError
    want = None
    try:
        oracle.execute(sql, params)
    except sqlite3.Error as e:
        want = e
    assert want is not None, f"{label} {sql}: SQLite accepts it"
    try:
        client.execute(sql, params)
    except SqlError as e:
        assert e.extended_code == want.sqlite_errorcode, \
            f"{label} {sql}: extended code {e.extended_code} ({e}), SQLite's is {want.sqlite_errorcode} ({want})"
        return e
    raise AssertionError(f"{label} {sql}: accepted, SQLite says {want}")
