"""Whole statements: WITH, body, ORDER BY and LIMIT, and in which style parameters are written."""

from randsql import data
from randsql.expr import Exprs, Ref
from randsql.query import Queries
from randsql.tree import Many, Maybe, Node, Order, Out, Query, Result, Slice, expr, node

class Top(Queries):
    """statement() gives a query and the style of its parameters (tree.render)."""

    def statement(self):
        rng = self.rng
        with_ = self.with_clause() if rng.random() < 0.3 else Maybe()
        choice = rng.random()
        if choice < 0.45:
            query = self.top_rows(with_)
        elif choice < 0.7:
            query = self.top_groups(with_)
        elif choice < 0.78:
            query = self.top_listed(with_, self.arm_distinct(self.shape()))
        elif choice < 0.87:
            query = self.top_listed(with_, self.compound(self.shape()))
        elif choice < 0.94:
            query = self.top_paired(with_)
        elif choice < 0.95:
            query = Query(with_, self.arm_values(self.shape()).tree, Order(), Slice())
        else:
            query = self.top_lookup(with_)
        return query, rng.choice(["?", "?", "?1", ":a"])

    # ---- WITH

    def with_clause(self):
        rng = self.rng
        made, recursive = [], False
        for _ in range(rng.choice([1, 1, 2])):
            name = self.alias("w")
            if rng.random() < 0.35:
                recursive = True
                tree, refs, key = rng.choice([self.counter, self.closure])(name)
                made.append(Node("cte", f"{name}({', '.join(r.name for r in refs)}) AS (", tree, ")"))
            else:
                with self.deeper():
                    out = self.any_query()
                refs, key = out.refs, out.key
                hint = rng.choice(["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
                if rng.random() < 0.3:  # columns named anew
                    names = [f"w{i}" for i in range(1, len(refs) + 1)]
                    renamed = {r.name: n for r, n in zip(refs, names)}
                    refs = [Ref(n, n, r.pure, r.exact, r.collation, r.values) for r, n in zip(refs, names)]
                    key = key and [renamed[k] for k in key]
                    made.append(Node("cte", f"{name}({', '.join(names)}) AS {hint}(", out.tree, ")"))
                else:
                    made.append(Node("cte", f"{name} AS {hint}(", out.tree, ")"))
            self.ctes.append((name, refs, key))
        return Maybe("WITH RECURSIVE " if recursive or rng.random() < 0.1 else "WITH ", Many(made), " ")

    def counter(self, name):
        """1, 2, … n."""
        end = data.bind(self.rng, self.rng.choice([1, 3, 8, 20]))
        tree = node("query", "VALUES (1) UNION ALL SELECT n + 1 FROM {} WHERE n < {}", name, end)
        return tree, [Ref("n", "n", "int", True, values="small")], ["n"]

    def closure(self, name):
        """What can be reached from some rows of a table, over another."""
        rng = self.rng
        e_from, sources = self.from_clause(n=1)
        e = Exprs(rng, sources)
        first = node("core", "SELECT {}{}{}", node("expr", "({} % 7)", e.integer(2)), e_from, e.where(0.8))
        step_from, step_sources = self.from_clause(n=1)
        step = Exprs(rng, step_sources)
        n = f"{name}.n"
        second = node("core", "SELECT {}{} JOIN {} ON {} = {}", node("expr", "({} % 7)", step.integer(2)), step_from, name,
                      step.integer(2), n)
        return node("query", "{} UNION {}", first, second), [Ref("n", "n", "int", True, values="small")], ["n"]

    # ---- bodies

    def direction(self):
        return self.rng.choice(["", "", " DESC", " ASC", " NULLS LAST", " DESC NULLS FIRST"])

    def limit(self):
        rng = self.rng
        if rng.random() < 0.5:
            return Slice()
        n = data.bind(rng, rng.choice([0, 1, 2, 3, 10, 100, -1]))
        if rng.random() < 0.1:
            return Slice(" LIMIT ", data.bind(rng, rng.choice([0, 1, 5])), ", ", n)
        return Slice(" LIMIT ", n, self.offset())

    def free_limit(self, chance=0.1):
        """A LIMIT whose rows any of the whole may be."""
        if self.rng.random() >= chance:
            return Slice()
        return Slice(" LIMIT ", data.bind(self.rng, self.rng.choice([0, 1, 3, 10])), self.offset(), free=True)

    def top_rows(self, with_):
        rng = self.rng
        out, sources, e = self.arm_rows(self.shape())
        key = self.key_of(sources)
        if rng.random() < 0.15:
            names = rng.choice([["*"], [f"{rng.choice(sources).alias}.*"]])
            out.tree.parts[1] = Many([Result(n) for n in names])
            out.refs = []
        if key and rng.random() < 0.5:
            plain = Exprs(rng, sources)
            lead = [Node("term", expr("+coalesce({}, NULL)", plain.any(1)), self.direction()) if rng.random() < 0.6 else
                    Node("term", (plain.ref() or rng.choice(plain.refs)).sql, rng.choice(["", " COLLATE NOCASE"]), self.direction())
                    for _ in range(rng.choice([0, 1, 1, 2]))]
            terms = Many(lead + [Node("term", k, rng.choice(["", " DESC"])) for k in key], least=len(lead) + len(key))
            return Query(with_, out.tree, Order(" ORDER BY ", terms), self.limit())
        if rng.random() < 0.5:
            return Query(with_, out.tree, self.tied_order(out), Slice())
        return Query(with_, out.tree, Order(), self.free_limit())

    def tied_order(self, out):
        """ORDER BY some of the result columns of which equal values are identical."""
        rng = self.rng
        exact = [i for i, r in enumerate(out.refs) if r.exact]
        if not exact:
            return Order()
        chosen = rng.sample(exact, rng.randrange(1, len(exact) + 1))
        terms = [Node("term", rng.choice([str(i + 1), out.refs[i].name]), self.direction()) for i in chosen]
        return Order(" ORDER BY ", Many(terms, least=len(terms)), ties=chosen)

    def top_groups(self, with_):
        rng = self.rng
        out = self.grouped(self.shape())
        if rng.random() < 0.12:
            out = self.with_bag(out)
        return self.top_listed(with_, out)

    def with_bag(self, out):
        """With a column that puts values together."""
        value, separator = self.bag(Exprs(self.rng, out.sources))
        results = out.tree.parts[1]
        tree = out.tree.with_part(1, Many([*results.parts, Result(value, "bag", separator)], least=results.least))
        return Out(tree, out.refs, out.key)

    def top_listed(self, with_, out):
        """Ordered by nothing, by some result columns, or by all that make its rows different."""
        rng = self.rng
        if out.key is not None and rng.random() < 0.5:
            names = [r.name for r in out.refs]
            keys = rng.sample(out.key, len(out.key))
            terms = [Node("term", rng.choice([k, str(names.index(k) + 1)]), self.direction()) for k in keys]
            order = Order(" ORDER BY ", Many(terms, least=len(terms))) if terms else Order()
            return Query(with_, out.tree, order, self.limit() if terms else Slice())
        if rng.random() < 0.5:
            return Query(with_, out.tree, self.tied_order(out), Slice())
        return Query(with_, out.tree, Order(), self.free_limit(0.15) if not with_.parts else Slice())

    def top_lookup(self, with_):
        """Rows of one table by its key, and what hangs on them."""
        rng = self.rng
        table = rng.choice(self.tables)
        item, source = self.from_table(table)
        e = self.exprs([source])
        tests = []
        for name in table.pinned or table.key:
            column = table.column(name)
            value = column.value(rng) if column else rng.randrange(1, 40)
            tests.append(node("pred", "{}.{} = {}", source.alias, name, data.bind(rng, value)) if rng.random() < 0.7 else
                         node("pred", "{}.{} IN ({})", source.alias, name,
                              Many([data.bind(rng, value), data.bind(rng, rng.choice(data.DOMAINS["small"]))])))
        joins, sources = [], [source]
        if rng.random() < 0.5:
            other, other_source = self.from_table()
            joins.append(self.join(sources, other, other_source))
            sources.append(other_source)
        e = self.exprs(sources)
        results = [Result(e.any(), f"x{i}") for i in range(1, rng.randrange(2, 4))]
        tree = Node("core", "SELECT ", Many(results), Node("from", " FROM ", item, Many(joins, "", least=0)),
                    Maybe(" WHERE ", Many(tests, " AND ")))
        return Query(with_, tree, Order(), Slice())

    def top_paired(self, with_):
        """Two tables and little else, by what says where their rows lie: joined, or one in a subquery."""
        rng = self.rng
        (one, first), (two, second) = self.from_table(rng.choice(self.tables[-2:])), self.from_table(rng.choice(self.tables[-2:]))
        a, b = (rng.choice([r for r in s.refs if r.is_pinned] or s.refs) for s in (first, second))
        equal = node("pred", "{} = {}", *rng.sample([a.sql, b.sql], 2))
        joins, where, sources = Many([], "", least=0), Maybe(), [first]
        inner = Node("core", "SELECT ", Many([Result(node("expr", b.sql))]), Node("from", " FROM ", two, joins))
        kind = rng.choice(["join", "join", "left", "exists", "in"])
        if kind in ("join", "left"):
            joins, sources = Many([Node("join", " JOIN " if kind == "join" else " LEFT JOIN ", two, " ON ", equal)], "", least=0), [first, second]
        elif kind == "exists":
            where = Maybe(" WHERE ", node("pred", "{}EXISTS ({} WHERE {})", rng.choice(["", "NOT "]), inner, equal))
        else:
            where = Maybe(" WHERE ", node("pred", "{} {}IN ({})", a.sql, rng.choice(["", "NOT "]), inner))
        results = [Result(node("expr", rng.choice(s.refs).sql), f"x{i}") for i, s in enumerate([first, *sources], 1)]
        if rng.random() < 0.3:
            results = [Result(self.aggregate(Exprs(rng, sources), "int"), "x1")]
        return Query(with_, Node("core", "SELECT ", Many(results), Node("from", " FROM ", one, joins), where), Order(), Slice())
