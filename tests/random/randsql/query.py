"""Random queries over several tables, and what is known of their rows."""

import contextlib
import dataclasses

from randsql import data
from randsql.aggregates import Aggregates
from randsql.expr import Exprs, Ref, Source
from randsql.tree import Bind, Many, Maybe, Node, Order, Out, Query, Result, Slice, ViewUse, expr, node, pred


MAX_LEVEL = 2  # queries in queries
SHAPE = {"int": ("int", True), "text": ("text", True), "num": ("num", False), "any": ("", False), "exact": ("", True)}


class Queries(Aggregates):
    """Makes queries over tables (schema.Table) and views (schema.View)."""

    def __init__(self, rng, tables, views=()):
        self.rng = rng
        self.tables = tables
        self.views = list(views)
        self.n_aliases = 0
        self.level = 0
        self.ctes = []

    def alias(self, prefix="s"):
        self.n_aliases += 1
        return f"{prefix}{self.n_aliases}"

    @contextlib.contextmanager
    def deeper(self):
        self.level += 1
        n_ctes = len(self.ctes)
        yield
        del self.ctes[n_ctes:]
        self.level -= 1

    def exprs(self, sources, outer=()):
        return Exprs(self.rng, sources, outer, self if self.level < MAX_LEVEL else None)

    # ---- FROM

    def from_table(self, table=None):
        t = table or self.rng.choice(self.tables)
        alias = self.alias()
        refs = [Ref(f"{alias}.{c.name}", c.name, c.pure, c.exact, c.collation, c.values, t.pinned == [c.name]) for c in t.columns]
        if t.rowid == "rowid" and self.rng.random() < 0.15:
            refs.append(Ref(f"{alias}.rowid", "rowid", "int", True, "BINARY", "ids"))
        return Node("table", t.name, f" AS {alias}"), Source(alias, refs, [f"{alias}.{k}" for k in t.key], t)

    def from_named(self, out_name, refs, key, tree=None):
        """A CTE or a view; the tree of a view."""
        alias = self.alias()
        return ViewUse(out_name, alias, tree), Source(
            alias, [dataclasses.replace(r, sql=f"{alias}.{r.name}") for r in refs], key and [f"{alias}.{k}" for k in key])

    def from_query(self, lateral):
        alias = self.alias("q")
        with self.deeper():
            out = self.any_query(lateral)
        return Node("table", "(", out.tree, f") AS {alias}"), Source(
            alias, [dataclasses.replace(r, sql=f"{alias}.{r.name}") for r in out.refs], out.key and [f"{alias}.{k}" for k in out.key])

    def from_json(self, before):
        """json_each or json_tree of what stands before it, or of a constant."""
        rng, alias = self.rng, self.alias("j")
        e = self.exprs(before) if before else None
        array = node("expr", "json_array({}, {}, json_array({}))", e.integer(1), e.text(1), e.number(1)) if e else \
            data.bind(rng, '[1, 2.5, "x", null, true, {"k": [7, 8]}]')
        function = rng.choice(["json_each", "json_tree"])
        refs = [Ref(f"{alias}.{n}", n, pure, exact) for n, pure, exact in [("key", "", False), ("value", "", False), ("type", "text", True),
                                                                          ("fullkey", "text", True), ("atom", "", False)]]
        return node("table", "{}({}) AS {}", function, array, alias), Source(alias, refs, [f"{alias}.fullkey"])

    def from_item(self, before, lateral=()):
        rng = self.rng
        choice = rng.random()
        if self.ctes and choice < 0.3:
            return self.from_named(*rng.choice(self.ctes))
        if self.views and choice < 0.4:
            view = rng.choice(self.views)
            return self.from_named(view.name, view.refs, view.key, view.tree)
        if self.level < MAX_LEVEL and choice < 0.5:
            return self.from_query(())
        if choice < 0.55:
            return self.from_json(before)
        return self.from_table()

    def from_clause(self, outer=(), n=None):
        rng = self.rng
        n = n or rng.choice([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4] if not self.level else [1, 1, 1, 1, 2])
        first, source = self.from_item([])
        sources, joins = [source], []
        for _ in range(n - 1):
            item, source = self.from_item(sources)
            joins.append(self.join(sources, item, source))
            sources.append(source)
        return Node("from", " FROM ", first, Many(joins, "", least=0)), sources

    def join(self, before, item, source):
        rng = self.rng
        is_lateral = source.alias.startswith("j")
        common = sorted({r.name for s in before for r in s.refs} & {r.name for r in source.refs} - {"rowid"})
        kind = rng.choice([" JOIN "] * 6 + [" LEFT JOIN "] * 4 + [" INNER JOIN ", " CROSS JOIN ", ", ", " LEFT OUTER JOIN "] +
                          ([] if is_lateral else [" RIGHT JOIN ", " FULL JOIN ", " FULL OUTER JOIN ", " RIGHT OUTER JOIN "]))
        if common and not is_lateral and kind not in (" CROSS JOIN ", ", ") and rng.random() < 0.2:
            if rng.random() < 0.4:
                return Node("join", " NATURAL" + kind, item)
            using = rng.sample(common, rng.randrange(1, min(2, len(common)) + 1))
            return Node("join", kind, item, f" USING ({', '.join(using)})")
        if kind in (" CROSS JOIN ", ", ") and rng.random() < 0.8 or is_lateral and rng.random() < 0.6:
            return Node("join", kind if kind != ", " or not is_lateral else " JOIN ", item)
        return Node("join", kind, item, " ON ", self.on(before, source))

    def on(self, before, source):
        rng = self.rng
        left = rng.choice([r for s in before for r in s.refs])
        same = [r for r in source.refs if r.pure == left.pure] or source.refs
        right = rng.choice([r for r in same if r.values == left.values] or same)
        where = [r for s in before for r in s.refs if r.is_pinned], [r for r in source.refs if r.is_pinned]
        if all(where) and rng.random() < 0.4:
            left, right = map(rng.choice, where)
        terms = [pred("{} = {}", *rng.sample([left.sql, right.sql], 2))]
        # SQLite 3.40.1 loses rows of a LEFT JOIN whose ON is a column of a subquery that is false, or text LIKE 'a%' looked for in an
        # index under NOCASE.
        e = Exprs(rng, before + [source], plus="+")
        if rng.random() < 0.2:
            terms = [e.predicate(1)]
        elif rng.random() < 0.3:
            terms.append(e.predicate(1))
        return Many(terms, " AND ")

    # ---- arms

    def make(self, e, kind):
        return {"int": e.integer, "text": e.text, "num": e.number, "any": e.any, "exact": e.exact}[kind]()

    def shape(self):
        return [self.rng.choice(["int", "text", "num", "any", "any", "exact"]) for _ in range(self.rng.randrange(1, 4))]

    def out_refs(self, shape):
        return [Ref(f"x{i}", f"x{i}", SHAPE[kind][0], SHAPE[kind][1], values="small" if kind == "int" else "mixed")
                for i, kind in enumerate(shape, 1)]

    def key_of(self, sources):
        """Terms that no two rows of the join share, or None."""
        if any(s.key is None for s in sources):
            return None
        return [k for s in sources for k in s.key]

    def arm_rows(self, shape, outer=(), with_key=False):
        """SELECT … FROM … WHERE; with_key adds what makes its rows different."""
        from_, sources = self.from_clause(outer)
        e = self.exprs(sources, outer)
        values = [self.windowed(e, sources, kind) if kind != "exact" and self.rng.random() < 0.12 else self.make(e, kind)
                  for kind in shape]
        results = [Result(v, f"x{i}") for i, v in enumerate(values, 1)]
        key, refs = None, self.out_refs(shape)
        if with_key and self.key_of(sources):
            terms = self.key_of(sources)
            key = [f"k{i}" for i in range(1, len(terms) + 1)]
            results += [Result(expr("{}", t), k) for t, k in zip(terms, key)]
            refs += [Ref(k, k) for k in key]
        tree = Node("core", "SELECT ", Many(results), from_, e.where())
        return Out(tree, refs, key), sources, e

    def arm_distinct(self, shape, outer=()):
        from_, sources = self.from_clause(outer)
        e = self.exprs(sources, outer)
        shape = [k if k in ("int", "text") else "exact" for k in shape]
        refs = self.out_refs(shape)
        results = [Result(self.make(e, kind), f"x{i}") for i, kind in enumerate(shape, 1)]
        return Out(Node("core", "SELECT ", Maybe("DISTINCT "), Many(results), from_, e.where()), refs, [r.name for r in refs])

    def arm_values(self, shape):
        rng = self.rng
        rows = [node("row", "({})", Many([Bind(self.constant(kind), rng.random() < 0.3) for kind in shape], least=len(shape)))
                for _ in range(rng.randrange(1, 5))]
        refs = [dataclasses.replace(r, name=f"column{i}", sql=f"column{i}") for i, r in enumerate(self.out_refs(shape), 1)]
        return Out(Node("core", "VALUES ", Many(rows)), refs, None)

    def constant(self, kind):
        return self.rng.choice({"int": [0, 1, 2, 3, None], "text": ["a", "b", "abc", "k1", None], "num": [0.5, 1.0, 2.25, None],
                                "any": [1, 1.0, "1", "a", b"a", None], "exact": ["a", "B", None]}[kind])

    # ---- queries

    def any_query(self, outer=(), shape=None):
        """A derived table, a CTE, or the operand of IN."""
        rng = self.rng
        shape = shape or self.shape()
        choice = rng.random()
        if choice < 0.3:
            out = self.grouped(shape, outer)
        elif choice < 0.4:
            out = self.compound(shape, outer)
        elif choice < 0.5:
            out = self.arm_distinct(shape, outer)
        elif choice < 0.58:
            out = self.arm_values(shape)
        else:
            out, _, _ = self.arm_rows(shape, outer, with_key=True)
        return self.sliced(out)

    def sliced(self, out):
        """Makes an arm a query; now and then the first few rows of it."""
        rng = self.rng
        order, limit = Order(), Slice()
        if out.key and rng.random() < 0.3:
            names = [r.name for r in out.refs]
            terms = [Node("term", str(names.index(rng.choice(names)) + 1), rng.choice(["", " DESC"]))] if rng.random() < 0.3 else []
            order = Order(" ORDER BY ", Many(terms + [Node("term", k) for k in out.key], least=len(terms + out.key)))
            if rng.random() < 0.6:
                limit = Slice(" LIMIT ", data.bind(rng, rng.choice([1, 2, 5, 10])), self.offset())
                order, limit = Order(), Slice(*order.parts, *limit.parts)
        return Out(Query(Maybe(), out.tree, order, limit), out.refs, out.key)

    def offset(self):
        return Maybe(" OFFSET ", data.bind(self.rng, self.rng.choice([0, 1, 2, 5]))) if self.rng.random() < 0.4 else Maybe()

    def compound(self, shape, outer=()):
        rng = self.rng
        operators = [rng.choice([" UNION ", " UNION ALL ", " UNION ALL ", " INTERSECT ", " EXCEPT "]) for _ in range(rng.choice([1, 1, 2]))]
        if any(o != " UNION ALL " for o in operators):
            shape = [k if k in ("int", "text") else rng.choice(["int", "text"]) for k in shape]
        arms = []
        for i in range(len(operators) + 1):
            choice = rng.random()
            if choice < 0.15 and i and i < len(operators):  # ORDER BY after VALUES is a syntax error
                arms.append(self.arm_values(shape).tree)
            elif choice < 0.3:
                arms.append(self.grouped(shape, outer).tree)
            else:
                arms.append(self.arm_rows(shape, outer)[0].tree)
        arms = [self.without_affinity(arm) for arm in arms]
        rest = Many([Node("arm", o, arm) for o, arm in zip(operators, arms[1:])], "", least=0)
        refs = self.out_refs(shape)
        return Out(Node("compound", arms[0], rest), refs, [r.name for r in refs] if operators[-1] != " UNION ALL " else None)

    @staticmethod
    def without_affinity(arm):
        """Which arm's affinities the columns of a set operation have is open."""
        for i, part in arm.children():
            if isinstance(part, Many) and part.parts and isinstance(part.parts[0], Result):
                plain = [r.with_part(0, expr("+{}", r.parts[0])) for r in part.parts]
                return arm.with_part(i, Many(plain, least=part.least))
        return arm

    # ---- as an expression

    def condition(self, e):
        """EXISTS, IN and comparisons with a subquery."""
        rng = self.rng
        outer = (e.sources + e.outer) if rng.random() < 0.6 else ()
        with self.deeper():
            kind = rng.random()
            if kind < 0.35:
                arm, _, _ = self.arm_rows(["int"], outer)
                return pred("{}EXISTS ({})", rng.choice(["", "NOT "]), self.sliced(arm).tree)
            if kind < 0.45 and any(r.is_pinned for r in e.refs):
                return self.in_pinned(e)
            if kind < 0.7:
                shape = [rng.choice(["int", "text", "any"])]
                return pred("{} {}IN ({})", self.make(e, shape[0]), rng.choice(["", "NOT "]), self.any_of(shape, outer))
            if kind < 0.85:
                shape = ["int", rng.choice(["text", "int"])]
                return pred("({}, {}) {}IN ({})", self.make(e, "int"), self.make(e, shape[1]), rng.choice(["", "NOT "]),
                            self.any_of(shape, outer))
            return pred("{} {} {}", e.integer(2), e.operator(), self.scalar_inside(outer))

    def in_pinned(self, e):
        """Where a row lies, among where those of another table lie."""
        rng = self.rng
        ref = rng.choice([r for r in e.refs if r.is_pinned])
        item, source = self.from_table()
        other = rng.choice([r for r in source.refs if r.is_pinned] or source.refs)
        core = Node("core", "SELECT ", Many([Result(expr("{}", other.sql))]), Node("from", " FROM ", item, Many([], "", least=0)),
                    self.exprs([source]).where())
        return pred("{} {}IN ({})", ref.sql, rng.choice(["", "", "NOT "]), Query(Maybe(), core, Order(), Slice()))

    def any_of(self, shape, outer):
        rng = self.rng
        choice = rng.random()
        if choice < 0.25:
            out = self.grouped(shape, outer)
        elif choice < 0.35:
            out = self.arm_values(shape)
        elif choice < 0.5:
            out = self.compound(shape, outer)
        else:
            out = self.arm_rows(shape, outer)[0]
        return Query(Maybe(), out.tree, Order(), Slice())

    def scalar(self, e):
        with self.deeper():
            return self.scalar_inside((e.sources + e.outer) if self.rng.random() < 0.6 else ())

    def scalar_inside(self, outer):
        """A subquery of one integer."""
        if self.rng.random() < 0.6:
            from_, sources = self.from_clause(outer)
            e = self.exprs(sources, outer)
            value = self.aggregate(Exprs(self.rng, sources), "int")
            return node("expr", "({})", Query(Maybe(), Node("core", "SELECT ", Many([Result(value)]), from_, e.where(0.8)), Order(), Slice()))
        out, sources, _ = self.arm_rows(["int"], outer)
        key = self.key_of(sources)
        if not key:
            return node("expr", "(SELECT count(*) FROM ({}))", Query(Maybe(), out.tree, Order(), Slice()))
        limit = Slice(" ORDER BY ", Many([Node("term", k) for k in key], least=len(key)), " LIMIT 1")
        return node("expr", "({})", Query(Maybe(), out.tree, Order(), limit))
