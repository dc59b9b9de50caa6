"""Random values and writes."""

from randsql.tree import Bind, Many, Maybe, node

WORDS = ["", "a", "A", "b", "ab", "abc", "ABC", "abc ", " abc", "b%", "z_z", "ä", "Ä", "don't"]
NUMERALS = ["1", "01", "1.0", "2.5", "-3", "1e1", "x1", "0x10"]
EXTREME = [2**63 - 1, -2**63, 2**62, 2**53 + 1, float(2**53), 1e300, -1e-300, 1e18, float("inf"), "9223372036854775808",
           "-9223372036854775809", "1e400", "\U0001f600", b"\x00\xff", "a\0b", 9223372036854775807.0]

# What a column's values are taken from. Reals are multiples of 1/4, so that sums of them do not depend on their order.
DOMAINS = {
    "ids": list(range(1, 40)),
    "small": [0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, -1, 10, 100, None],
    "reals": [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, -1.0, -0.75, 3.0, 100.0, None],
    "numbers": [0, 1, 1.0, 2, 2.5, 3, -1, -0.5, 10, None],
    "words": [*WORDS, None],
    "keys": [f"k{i}" for i in range(8)] + ["K1", "k2 ", None],
    "mixed": [0, 1, -1, 2, 3, 1.0, 2.5, 3.0, *WORDS, *NUMERALS, b"", b"a", b"1", b"ab", None, None, None],
    "extreme": [0, 1, 2, 1.5, "a", "b", None, *EXTREME],
    "blobs": [b"", b"a", b"b", b"ab", b"\xff", None],
}

FITTING = {"INTEGER": ["small"], "INT": ["small"], "TEXT": ["words", "keys"], "REAL": ["reals"], "NUMERIC": ["numbers"],
           "BLOB": ["blobs", "mixed"], "": ["small", "words", "mixed"], "ANY": ["mixed", "words"]}


def pick_domain(rng, kind, strict):
    type_name = kind.split()[0] if kind else ""
    if strict or rng.random() < 0.7:
        return rng.choice(FITTING[type_name])
    return "extreme" if rng.random() < 0.35 else "mixed"


def pure_class(type_name, domain):
    """What values of the domain are in such a column, besides NULL: "int", "real", "num" (either), "text", "blob" or "" (anything)."""
    if domain in ("mixed", "extreme"):
        return ""
    if domain == "blobs":
        return "blob"
    if type_name == "TEXT" or domain in ("words", "keys"):
        return "text"
    if type_name == "REAL":
        return "real"
    if domain in ("ids", "small"):
        return "int"
    return "real" if domain == "reals" and type_name in ("", "BLOB", "ANY") else "num"


def pick(rng, domain, type_name="", strict=False):
    if strict and type_name in ("INTEGER", "INT", "REAL", "TEXT", "BLOB") and rng.random() < 0.03:
        return rng.choice(DOMAINS["mixed"])  # mostly refused
    return rng.choice(DOMAINS[domain])


def bind(rng, value):
    return Bind(value, rng.random() < 0.5)


class Writer:
    """Random writes of a table, as trees."""

    def __init__(self, rng, table):
        self.rng = rng
        self.table = table

    def any(self):
        return self.rng.choice([self.insert, self.insert, self.insert, self.update, self.delete, self.update_many, self.delete_many])()

    def insert(self, plain=False):
        t, rng = self.table, self.rng
        columns = [c for c in t.insertable if plain or rng.random() < 0.85 or c.name in t.key] or [t.insertable[0]]
        if t.rowid and t.column(t.rowid) and rng.random() < 0.5 and len(columns) > 1:
            columns = [c for c in columns if c.name != t.rowid]
        values = Many([bind(rng, c.value(rng)) for c in columns], least=len(columns))
        how = "INSERT" if plain else rng.choice(["INSERT"] * 6 + ["INSERT OR IGNORE", "INSERT OR REPLACE", "INSERT OR FAIL", "REPLACE"])
        names = ", ".join(c.name for c in columns)
        return node("write", "{} INTO {} ({}) VALUES ({}){}", how, t.name, names, values,
                    self.upsert() if how == "INSERT" and not plain else "")

    def upsert(self):
        rng, t = self.rng, self.table
        if rng.random() < 0.85:
            return Maybe()
        free = self.free_columns()
        if free and rng.random() < 0.6:
            return Maybe(f" ON CONFLICT DO UPDATE SET {free[0].name} = excluded.{free[0].name}")
        return Maybe(" ON CONFLICT DO NOTHING")

    def free_columns(self):
        t = self.table
        in_key = set(t.key) | set(t.pinned) | {n for n in t.inline} | {c.name for c in t.columns if any(c.name in k for k in t.constraints)}
        return [c for c in t.insertable if c.name not in in_key]

    def where_key(self):
        """Pins one row, or the rows of one shard."""
        rng, t = self.rng, self.table
        tests = []
        for name in sorted(set(t.key) | set(t.pinned)):
            column = t.column(name)
            value = column.value(rng) if column else rng.randrange(1, 40)
            tests.append(node("pred", "{} IS NULL", name) if value is None else node("pred", "{} = {}", name, bind(rng, value)))
        return Many(tests, " AND ")

    def where(self):
        rng = self.rng
        c = rng.choice(self.table.columns)
        return rng.choice([
            lambda: node("pred", "{} = {}", c.name, bind(rng, c.value(rng))), lambda: node("pred", "{} IS NULL", c.name),
            lambda: node("pred", "length({}) = {}", c.name, bind(rng, rng.choice([0, 1, 2, 3])))])()

    def assignment(self):
        rng = self.rng
        c = rng.choice(self.free_columns())
        value = rng.choice([bind(rng, c.value(rng)), f"{c.name} || 'x'", f"coalesce({c.name}, 0) + 1", "NULL"]) \
            if c.values in ("mixed", "extreme") else bind(rng, c.value(rng))
        return node("assignment", "{} = {}", c.name, value)

    def update(self, where=None):
        if not self.free_columns():
            return self.delete(where)
        how = self.rng.choice(["", "", "OR IGNORE "])
        return node("write", "UPDATE {}{} SET {} WHERE {}", how, self.table.name, self.assignment(), where or self.where_key())

    def delete(self, where=None):
        return node("write", "DELETE FROM {} WHERE {}", self.table.name, where or self.where_key())

    def update_many(self):
        return self.update(self.where())

    def delete_many(self):
        return self.delete(self.where())
