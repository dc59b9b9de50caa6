"""Random tables: keys of every kind, collations, STRICT, WITHOUT ROWID, generated columns, indexes, and our words."""

import dataclasses

from randsql import data
from randsql.tree import freeze, render


class Column:
    """kind: type and collation. values: where its values come from (data.DOMAINS).

    exact: equal values of it are identical, so that any may stand for a group. pure: see data.pure_class."""

    def __init__(self, name, kind, values, strict=False):
        self.name = name
        self.kind = kind
        self.type = kind.split()[0] if kind else ""
        self.collation = kind.split()[-1] if "COLLATE" in kind else "BINARY"
        self.values = values
        self.pure = data.pure_class(self.type, values)
        # the extremes have a real that is equal to an integer
        self.exact = self.collation == "BINARY" and (
            self.type == "TEXT" or self.pure in ("int", "real", "text", "blob") or
            self.type in ("INTEGER", "INT", "NUMERIC", "REAL") and values != "extreme")
        self.strict = strict
        self.is_generated = False

    def value(self, rng):
        return data.pick(rng, self.values, self.type, self.strict)


KINDS = ["INTEGER", "INTEGER", "TEXT", "TEXT", "REAL", "NUMERIC", "", "BLOB", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "INT"]
STRICT_KINDS = ["INTEGER", "TEXT", "REAL", "BLOB", "ANY", "TEXT COLLATE NOCASE"]
NAMES = ["a", "b", "c", "d", "e"]


class Table:
    """columns; key: the columns that name a row, for a total order; rowid: what the rowid is called, None if there is none;
    pinned: the columns that say on which shard a row lies. statements: (plain SQL, SQL with our words)."""

    def __init__(self, rng, name):
        self.name = name
        self.rng = rng
        self.is_strict = rng.random() < 0.2
        names = rng.sample(NAMES, rng.randrange(2, 6))
        self.columns = [self.random_column(n) for n in names]
        self.rowid, self.key, self.pinned = "rowid", ["rowid"], ["rowid"]
        self.inline, self.constraints, self.words = {}, [], ""
        rng.choice([self.by_integer, self.by_integer, self.by_value, self.by_value, self.by_two, self.by_two, self.by_nothing,
                    self.without_rowid, self.without_rowid])()
        self.insertable = list(self.columns)
        if rng.random() < 0.2 and not self.is_strict:
            self.add_generated()
        self.shard()
        self.statements = [self.create(), *self.indexes()]

    def random_column(self, name, kinds=None):
        kind = self.rng.choice(kinds or (STRICT_KINDS if self.is_strict else KINDS))
        return Column(name, kind, data.pick_domain(self.rng, kind, self.is_strict), self.is_strict)

    def add_generated(self):
        c = self.columns[0]
        g = Column("g", self.rng.choice(["", "TEXT"]), "words")
        g.is_generated, g.exact, g.pure = True, True, "text"
        value = self.rng.choice([f"typeof({c.name})", f"quote({c.name})", f"json_array(quote({c.name}))"])
        g.definition = f"g {g.kind} AS ({value}){self.rng.choice(['', ' STORED', ' VIRTUAL'])}"
        self.columns.append(g)

    # ---- keys

    def by_integer(self):
        self.columns[0] = c = Column(self.columns[0].name, "INTEGER", "ids", self.is_strict)
        self.inline[c.name] = " PRIMARY KEY" + self.rng.choice(["", "", " AUTOINCREMENT", " ON CONFLICT REPLACE"])
        self.rowid, self.key, self.pinned = c.name, [c.name], [c.name]

    def by_value(self):
        c = self.columns[0]
        self.inline[c.name] = " PRIMARY KEY" if self.is_strict or c.type != "INTEGER" else " NOT NULL PRIMARY KEY DESC"
        self.pinned = [c.name]

    def by_two(self):
        x, y = self.columns[:2]
        # SQLite's NOT IN overlooks the NULLs of a column that leads a descending key
        self.constraints.append(f"PRIMARY KEY ({x.name}, {self.key_term(y)})")
        self.pinned = [x.name]

    def by_nothing(self):
        pass

    def without_rowid(self):
        columns = self.columns[:self.rng.choice([1, 2, 2])]
        self.constraints.append(f"PRIMARY KEY ({', '.join(self.key_term(c) for c in columns)})")
        self.words, self.rowid = "WITHOUT ROWID", None
        self.key = [c.name for c in columns]
        self.pinned = self.key[:1]

    def key_term(self, column):
        return column.name + self.rng.choice(["", "", "", " DESC"])

    def shard(self):
        """What SHARD BY or UNSHARDED say differently."""
        self.our_words = ""
        if self.rng.random() < 0.12:
            self.our_words, self.pinned = " UNSHARDED", []
        elif not self.inline and self.rng.random() < 0.4:
            keys = self.key if self.rowid is None else [c.name for c in self.columns[:2]]
            column = self.rng.choice(keys)
            # a key that is not named first, or a table without one
            if not self.constraints or column in self.constraints[0]:
                self.our_words, self.pinned = f" SHARD BY HASH ({column})", [column]

    # ---- SQL

    def constraint(self, column):
        if column.name in self.inline:
            return self.inline[column.name]
        if column.is_generated or column.name in self.key or column.strict or self.rng.random() < 0.6:
            return ""
        default = {"int": "7", "real": "2.5", "num": "7", "text": "'dflt'", "blob": "x'64'", "": "'d'"}[column.pure]
        return self.rng.choice([f" DEFAULT {default}", f" NOT NULL DEFAULT {default}",
                                f" CHECK (length({column.name}) < 12 OR {column.name} IS NULL)"])

    def create(self):
        definitions = [c.definition if c.is_generated else f"{c.name} {c.kind}{self.constraint(c)}" for c in self.columns]
        options = ", ".join(filter(None, ["STRICT" if self.is_strict else "", self.words]))
        plain = f"CREATE TABLE {self.name} ({', '.join(definitions + self.constraints)}) {options}".rstrip()
        return plain, plain + self.our_words

    def indexes(self):
        rng = self.rng
        for i in range(rng.choice([0, 0, 1, 2])):
            c = rng.choice(self.columns)
            term = rng.choice([c.name, f"{c.name} DESC", f"{c.name} COLLATE NOCASE", f"length({c.name})", f"typeof({c.name}), {c.name}"])
            where = rng.choice(["", "", f" WHERE {c.name} IS NOT NULL", f" WHERE {c.name} > 1"])
            sql = f"CREATE INDEX {self.name}_{i} ON {self.name} ({term}){where}"
            yield sql, sql

    def column(self, name):
        return next((c for c in self.columns if c.name == name), None)


def make_tables(rng, prefix):
    """A few tables; names begin with the prefix."""
    tables = [Table(rng, f"{prefix}{i}") for i in range(rng.choice([2, 3, 3, 4]))]
    if rng.random() < 0.7:
        tables += make_colocated(rng, prefix)
    return tables


def make_colocated(rng, prefix):
    """Two tables sharded by an equal column, or by one that is compared otherwise."""
    pair = []
    kinds = [rng.choice(["INTEGER", "TEXT", "TEXT COLLATE NOCASE"])] * 2
    if rng.random() < 0.5:
        kinds = rng.sample(["INTEGER", "TEXT", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM", "REAL", ""], 2)
    values = "small" if {"INTEGER", "REAL"} & set(kinds) else rng.choice(["keys", "words"])
    for i in range(2):
        t = Table(rng, f"{prefix}co{i}")
        t.is_strict, t.inline, t.words = False, {}, ""
        t.columns = [Column("k", kinds[i], values), Column("n", "INTEGER", "small"), t.random_column("v", KINDS)]
        t.constraints, t.rowid, t.key, t.pinned = ["PRIMARY KEY (k, n)"], "rowid", ["rowid"], ["k"]
        t.insertable, t.our_words = list(t.columns), rng.choice(["", " SHARD BY HASH (k)"])
        t.columns[2].strict = False
        t.statements = [t.create(), *t.indexes()]
        pair.append(t)
    return pair


class View:
    """A query by a name. refs, key: as of any source (expr.Source). tree: the query, None if the view calls its columns otherwise."""

    def __init__(self, rng, name, queries):
        with queries.deeper():
            out = queries.any_query()
        self.name, self.refs, self.key, self.tree = name, out.refs, out.key, freeze(out.tree)
        names = ""
        if rng.random() < 0.3:
            new = {r.name: f"y{i}" for i, r in enumerate(out.refs, 1)}
            self.refs = [dataclasses.replace(r, name=new[r.name], sql=new[r.name]) for r in out.refs]
            self.key = out.key and [new[k] for k in out.key]
            names = f"({', '.join(new.values())})"
        sql = f"CREATE VIEW {name}{names} AS {render(self.tree)[0]}"
        if names:
            self.tree = None
        self.statements = [(sql, sql)]


def make_views(rng, prefix, queries):
    """None, one or two; the second may be over the first. queries: query.Queries."""
    for i in range(rng.choice([0, 1, 2])):
        view = View(rng, f"{prefix}v{i}", queries)
        queries.views.append(view)
        yield view
