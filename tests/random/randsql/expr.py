"""Random expressions over what a FROM clause offers."""

import dataclasses

from randsql import data
from randsql.tree import Many, Maybe, expr, pred


@dataclasses.dataclass
class Ref:
    """A column as an expression names it; see schema.Column. is_pinned: it says on which shard a row lies."""

    sql: str
    name: str
    pure: str = ""
    exact: bool = False
    collation: str = "BINARY"
    values: str = "mixed"
    is_pinned: bool = False


@dataclasses.dataclass
class Source:
    """One item of a FROM clause. key: terms that no two of its rows share, or None."""

    alias: str
    refs: list
    key: list
    table: object = None


class Exprs:
    """Makes expressions that say the same on every plan: what they are evaluated for never fails. outer: sources of the query around.
    plus: what stands before a bare column that is a condition or under LIKE."""

    def __init__(self, rng, sources, outer=(), subqueries=None, plus=""):
        self.rng = rng
        self.plus = plus
        self.sources = sources
        self.outer = list(outer)
        self.subqueries = subqueries
        self.refs = [r for s in sources for r in s.refs]
        self.far = [r for s in self.outer for r in s.refs]

    # ---- columns

    def ref(self, *pures, exact=False):
        """A column of one of these kinds, or None; now and then one of the query around."""
        refs = self.far if self.far and self.rng.random() < 0.3 else self.refs
        fitting = [r for r in refs if (not pures or r.pure in pures) and (not exact or r.exact)]
        if self.rng.random() < 0.2:
            fitting = [r for r in fitting if r.is_pinned] or fitting
        return self.rng.choice(fitting) if fitting else None

    def value(self, domain=None):
        domain = domain or self.rng.choice(["small", "words", "mixed", "numbers"])
        return data.bind(self.rng, self.rng.choice(data.DOMAINS[domain]))

    def constant(self, *choices):
        return data.bind(self.rng, self.rng.choice(choices))

    # ---- by kind; NULL is always possible

    def integer(self, depth=0):
        """A small integer."""
        rng = self.rng
        ref = self.ref("int")
        if ref and (depth > 2 or rng.random() < 0.5):
            return expr("{}", ref.sql)
        if depth > 2:
            return self.constant(0, 1, 2, 3, 5)
        more = depth + 1
        return rng.choice([
            lambda: expr("length({})", self.any(more)), lambda: expr("({} + {})", self.integer(more), self.integer(more)),
            lambda: expr("({} - {})", self.integer(more), self.integer(more)), lambda: expr("({} % 5)", self.integer(more)),
            lambda: expr("({} * 3)", self.integer(more)), lambda: expr("instr({}, {})", self.text(more), self.constant("a", "b", "")),
            lambda: expr("({} & {})", self.integer(more), self.constant(1, 2, 3, 255)),
            lambda: expr("({} | {})", self.integer(more), self.constant(0, 1, 4)), lambda: expr("({} << 2)", self.integer(more)),
            lambda: expr("(~{})", self.integer(more)), lambda: expr("(-{})", self.integer(more)),
            lambda: expr("abs({})", self.integer(more)), lambda: expr("({} / {})", self.integer(more), self.constant(0, 1, 2, 3)),
            lambda: expr("coalesce({}, {})", self.integer(more), self.constant(0, 9)),
            lambda: expr("CASE WHEN {} THEN {} ELSE {} END", self.predicate(more), self.integer(more), self.integer(more)),
            lambda: expr("iif({}, {}, {})", self.predicate(more), self.integer(more), self.integer(more)),
            lambda: expr("({})", self.predicate(more)), lambda: expr("unicode({})", self.text(more)),
            lambda: expr("CAST(strftime({}, '2024-02-2' || {}) AS INTEGER)", self.constant("%d", "%j", "%w"),
                         self.constant("1", "9", "8")),
            lambda: expr("json_array_length({})", self.json(more)), lambda: expr("sign({})", self.integer(more)),
            self.scalar_subquery if self.subqueries and depth < 2 else lambda: expr("length({})", self.any(more)),
        ])()

    def text(self, depth=0):
        rng = self.rng
        ref = self.ref("text", exact=True)
        if ref and (depth > 2 or rng.random() < 0.45):
            return expr("{}", ref.sql)
        if depth > 2:
            return self.constant("a", "b", "abc", "")
        more = depth + 1
        return rng.choice([
            lambda: expr("typeof({})", self.any(more)), lambda: expr("quote({})", self.any(more)),
            lambda: expr("hex({})", self.any(more)), lambda: expr("upper({})", self.text(more)),
            lambda: expr("lower({})", self.text(more)), lambda: expr("substr({}, {}, {})", self.text(more), "1", self.constant(1, 2, -1)),
            lambda: expr("({} || {})", self.text(more), self.text(more)), lambda: expr("trim({})", self.text(more)),
            lambda: expr("replace({}, 'a', {})", self.text(more), self.constant("", "xy")),
            lambda: expr("printf('%s-%d', {}, {})", self.text(more), self.integer(more)),
            lambda: expr("coalesce({}, {})", self.text(more), self.constant("none", "")),
            lambda: expr("nullif({}, {})", self.text(more), self.constant("a", "")),
            lambda: expr("CAST({} AS TEXT)", self.integer(more)),
            lambda: expr("CASE {} WHEN 1 THEN 'one' WHEN {} THEN {} END", self.integer(more), self.integer(more), self.text(more)),
            lambda: expr("date('2024-01-31', {} || ' days')", self.integer(more)), lambda: expr("rtrim({}, 'c')", self.text(more)),
            lambda: expr("{}", self.json(more)), lambda: expr("json_extract(json_array({}, 'x'), '$[1]')", self.integer(more)),
            lambda: expr("(+{})", self.json(more)), lambda: expr("iif({}, {}, {})", self.predicate(more), self.json(more), self.text(more)),
            lambda: expr("(json_array({}) ->> '$[0]')", self.text(more)),
            lambda: expr("strftime('%Y-%m', '2023-11-30', {} || ' months')", self.integer(more)),
        ])()

    def json(self, depth):
        return self.rng.choice([lambda: expr("json_array({}, {})", self.integer(depth), self.text(depth)),
                                lambda: expr("json_object('n', {}, 't', json_array({}))", self.number(depth), self.text(depth)),
                                lambda: expr("json_array({})", self.text(depth)), lambda: expr("json_quote({})", self.text(depth))])()

    def number(self, depth=0):
        """An integer, or a multiple of 1/8 of modest size: sums of them are the same in any order."""
        ref = self.ref("real", "num")
        if ref and self.rng.random() < 0.5:
            return expr("{}", ref.sql) if self.rng.random() < 0.7 else expr("({} * 0.5)", ref.sql)
        return self.integer(depth)

    def any(self, depth=0):
        rng = self.rng
        ref = self.ref()
        if ref and (depth > 1 or rng.random() < 0.5):
            return expr("{}", ref.sql)
        if depth > 2 or rng.random() < 0.15:
            return self.value()
        more = depth + 1
        return rng.choice([
            lambda: self.integer(more), lambda: self.text(more), lambda: self.number(more),
            lambda: expr("coalesce({}, {})", self.any(more), self.any(more)), lambda: expr("nullif({}, {})", self.any(more), self.any(more)),
            lambda: expr("({} || {})", self.any(more), self.any(more)),
            lambda: expr("CAST({} AS {})", self.any(more), rng.choice(["TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC"])),
            lambda: expr("CASE WHEN {} THEN {} ELSE {} END", self.predicate(more), self.any(more), self.any(more)),
            lambda: expr("min({}, {})", self.any(more), self.any(more)), lambda: expr("max({}, {})", self.any(more), self.any(more)),
            lambda: expr("({} + 0)", self.any(more)), lambda: expr("(-{})", self.any(more)), lambda: expr("(+{})", self.any(more)),
            lambda: expr("({} {} {})", self.any(more), rng.choice(["+", "-", "*", "/", "%"]), self.any(more)),
            lambda: expr("substr({}, 2)", self.any(more)), lambda: expr("({} IS {})", self.any(more), self.any(more)),
            lambda: expr("round({}, 1)", self.number(more)), lambda: expr("sqrt(abs({}))", self.integer(more)),
        ])()

    def exact(self, depth=0):
        """Of which equal values are identical."""
        ref = self.ref(exact=True)
        if ref and self.rng.random() < 0.6:
            return expr("{}", ref.sql)
        return self.rng.choice([self.integer, self.text])(depth + 1)

    # ---- conditions

    def predicate(self, depth=0):
        rng = self.rng
        if depth < 2 and rng.random() < 0.3:
            more = depth + 1
            return rng.choice([lambda: pred("({} AND {})", self.predicate(more), self.predicate(more)),
                               lambda: pred("({} OR {})", self.predicate(more), self.predicate(more)),
                               lambda: pred("NOT ({})", self.predicate(more)), lambda: pred("({}) IS NOT TRUE", self.predicate(more))])()
        if self.subqueries and depth < 2 and rng.random() < 0.15:
            return self.subqueries.condition(self)
        if self.refs and rng.random() < 0.65:
            return self.about_column(self.ref() or rng.choice(self.refs), depth)
        more = depth + 1
        return rng.choice([
            lambda: pred("{} {} {}", self.any(more), self.operator(), self.any(more)),
            lambda: pred("{} BETWEEN {} AND {}", self.any(more), self.any(more), self.any(more)),
            lambda: pred("{} IN ({})", self.any(more), Many([self.any(more) for _ in range(rng.randrange(1, 4))])),
            lambda: pred("{} {} {}", self.number(more), self.operator(), self.number(more)),
            lambda: pred("{}{}", self.plus, self.integer(more)),
            lambda: pred("({}, {}) {} ({}, {})", self.exact(more), self.integer(more), rng.choice(["=", "<", ">=", "IS", "<>"]),
                         self.exact(more), self.integer(more)),
        ])()

    def operator(self):
        return self.rng.choice(["=", "=", "<", ">", "<=", ">=", "<>", "IS", "IS NOT", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "=="])

    def about_column(self, ref, depth):
        """One column against constants, as shards' keys are looked for."""
        rng = self.rng
        value = lambda: self.value(ref.values)  # noqa: E731
        collate = "" if depth else rng.choice(["", "", "", " COLLATE NOCASE", " COLLATE BINARY", " COLLATE RTRIM"])
        return rng.choice([
            lambda: pred("{}{} = {}", ref.sql, collate, value()), lambda: pred("{} = {}", value(), ref.sql),
            lambda: pred("{}{} {} {}", ref.sql, collate, self.operator(), value()),
            lambda: pred("{} IN ({})", ref.sql, Many([value() for _ in range(rng.randrange(1, 5))])),
            lambda: pred("{} NOT IN ({})", ref.sql, Many([value(), self.value("small")])),
            lambda: pred("{} IS {}NULL", ref.sql, rng.choice(["", "NOT "])), lambda: pred("{} NOTNULL", ref.sql),
            lambda: pred("{} BETWEEN {} AND {}", ref.sql, value(), value()),
            lambda: pred("{}{} {}LIKE {}", self.plus, ref.sql, rng.choice(["", "NOT "]), self.constant("a%", "%b%", "_", "A", "k_", "%")),
            lambda: pred("{}{} LIKE {} ESCAPE '\\'", self.plus, ref.sql, self.constant("b\\%", "%\\_%")),
            lambda: pred("{} GLOB {}", ref.sql, self.constant("a*", "[a-c]*", "k?", "*")),
            lambda: pred("{} {} {}", ref.sql, self.operator(), (self.ref() or ref).sql),
            lambda: pred("typeof({}) = {}", ref.sql, self.constant("integer", "text", "real", "null", "blob")),
            lambda: pred("+{} = {}", ref.sql, value()), lambda: pred("{} > {}", ref.sql, value()),
        ])()

    def scalar_subquery(self):
        return self.subqueries.scalar(self)

    def hanging(self):
        """What ties a row to a row of the query around by what says where they lie, or None."""
        near, far = ([r for r in refs if r.is_pinned] for refs in (self.refs, self.far))
        if not near or not far or self.rng.random() < 0.5:
            return None
        left, right = self.rng.choice(near), self.rng.choice(far)
        return pred("{} = {}", *self.rng.sample([left.sql, right.sql], 2))

    def where(self, chance=0.35):
        hanging = self.hanging()
        if not hanging and self.rng.random() >= chance:
            return Maybe()
        terms = [self.predicate() for _ in range(self.rng.choice([0, 0, 1] if hanging else [1, 1, 1, 2]))] + [hanging] * bool(hanging)
        return Maybe(" WHERE ", Many(terms, " AND ") if len(terms) > 1 else terms[0])


