"""Random aggregates, groups and windows, for Queries."""

from randsql import data
from randsql.expr import Exprs
from randsql.tree import Bind, Many, Maybe, Node, Out, Result, expr, freeze, node, pred, render


class Aggregates:
    """Half of query.Queries."""

    def aggregate(self, e, kind="any"):
        """An aggregate over what e sees, of that kind; no other query's columns may be in it."""
        rng = self.rng
        e = Exprs(rng, e.sources, (), None)
        integers = [
            lambda: expr("count(*)"), lambda: expr("count({})", e.any(1)), lambda: expr("count(DISTINCT {})", e.any(1)),
            lambda: expr("sum({})", e.integer(1)), lambda: expr("max({})", e.integer(1)), lambda: expr("min({})", e.integer(1)),
            lambda: expr("sum({})", e.predicate(1)), lambda: expr("sum(DISTINCT {})", e.integer(1)),
            lambda: expr("length(group_concat({}))", e.text(1)), lambda: expr("coalesce(sum({}), 0)", e.integer(1)),
            lambda: expr("json_array_length(json_group_array({}))", e.integer(1)),
            lambda: expr("max({}) - min({})", e.integer(1), e.integer(1)),
        ]
        texts = [lambda: expr("max({})", e.text(1)), lambda: expr("min({})", e.text(1)), lambda: expr("typeof(sum({}))", e.number(1)),
                 lambda: expr("upper(max({}))", e.text(1)), lambda: expr("quote(min({}))", e.exact(1))]
        others = [lambda: expr("avg({})", e.number(1)), lambda: expr("total({})", e.number(1)), lambda: expr("sum({})", e.number(1)),
                  lambda: expr("max({})", e.exact(1)), lambda: expr("min({})", e.exact(1)), lambda: expr("avg(DISTINCT {})", e.integer(1)),
                  lambda: expr("sum({}) * 1.0 / count(*)", e.integer(1)), lambda: expr("round(avg({}), 3)", e.number(1))]
        numbers = [lambda: expr("sum({})", e.number(1)), lambda: expr("total({})", e.integer(1)), *integers[:4]]
        made = rng.choice({"int": integers, "text": texts, "num": numbers, "exact": integers + texts,
                           "any": integers + texts + others}[kind])()
        if rng.random() < 0.15 and made.parts[0].startswith(("count(", "sum(", "total(", "avg(")) and made.parts[-1].endswith(")") and \
                " / " not in made.parts[-1]:
            made = expr("{} FILTER (WHERE {})", made, e.predicate(1))
        made.sort = "aggregate"
        return made

    def bag(self, e):
        """An aggregate that puts values together in no particular order: (expression, separator)."""
        e = Exprs(self.rng, e.sources, (), None)
        return self.rng.choice([
            lambda: (expr("group_concat({})", e.integer(1)), ","), lambda: (expr("group_concat({}, '; ')", e.integer(1)), "; "),
            lambda: (expr("group_concat(DISTINCT {})", e.integer(1)), ","), lambda: (expr("json_group_array({})", e.integer(1)), ",")])()

    # ---- groups

    def group_key(self, e, kind):
        """What is grouped by, and as what it is shown."""
        rng = self.rng
        coarse = [r for r in e.refs if r.collation in ("NOCASE", "RTRIM") and r.pure == "text"]
        if coarse and kind in ("any", "text") and rng.random() < 0.4:
            ref = rng.choice(coarse)
            # which of the equal values is shown is open: show what they have in common
            return expr("{}", ref.sql), expr("quote({}({}))", "lower" if ref.collation == "NOCASE" else "rtrim", ref.sql)
        key = freeze(self.make(Exprs(rng, e.sources, (), None), kind if kind in ("int", "text") else "exact"))
        if not is_number(key):
            # in one piece: made smaller in one place alone, it would show an arbitrary row's value in the other
            key = expr(render(key, "?")[0])
        return key, key

    def grouped(self, shape, outer=()):
        """An arm with GROUP BY, or with aggregates alone. Its key is what it groups by."""
        rng = self.rng
        from_, sources = self.from_clause(outer)
        e = self.exprs(sources, outer)
        n_keys = rng.choice([0, 1, 1, 1, 2]) if len(shape) > 1 else rng.choice([0, 1])
        keys, results, shown, refs = [], [], [], self.out_refs(shape)
        for i, kind in enumerate(shape, 1):
            if len(keys) < n_keys and kind != "num":
                key, value = self.group_key(e, kind)
                is_plain = key is value and not is_number(key)
                # an input column of that name would come before the alias
                is_alias = is_plain and all(r.name != f"x{i}" for r in e.refs)
                keys.append(Node("term", str(i) if rng.random() < 0.2 and is_plain else f"x{i}" if rng.random() < 0.2 and is_alias
                                 else node("expr", "({})", key) if is_number(key) else key))
                shown.append(f"x{i}")
                refs[i - 1].exact = True
                results.append(self.result(value, i))
            else:
                results.append(self.result(self.aggregate(e, kind), i))
        by = Many(keys, least=len(keys)) if keys else None
        having = self.having(e) if rng.random() < 0.25 else Maybe()
        parts = ["SELECT ", Many(results), from_, e.where()]
        if by:
            parts += [" GROUP BY ", by, having]
        return Out(Node("core", *parts), refs, shown, sources)

    def result(self, value, i):
        return Result(value, f"x{i}")

    def having(self, e):
        rng = self.rng
        condition = pred("{} {} {}", self.aggregate(e, "int"), rng.choice([">", "<=", "<>", "IS NOT", ">="]),
                         data.bind(rng, rng.choice([0, 1, 2, 3, None])))
        if self.level < 2 and rng.random() < 0.2:
            with self.deeper():
                condition = pred("{} >= {}", self.aggregate(e, "int"), self.scalar_inside(()))
        return Maybe(" HAVING ", condition)

    # ---- windows

    def windowed(self, e, sources, kind):
        """A window function of the kind over the rows of the arm."""
        rng = self.rng
        inner = Exprs(rng, sources, (), None)
        key = self.key_of(sources)
        partition = Maybe("PARTITION BY ", Many([inner.exact(2) for _ in range(rng.choice([1, 1, 2]))]), " ") if rng.random() < 0.6 else Maybe()
        if key and rng.random() < 0.5:
            lead = [self.order_term(inner)] if rng.random() < 0.6 else []
            order = node("order", "ORDER BY {}", Many(lead + [Node("term", k) for k in key], least=len(lead) + len(key)))
            function = self.positional_function(inner, kind)
            frame = self.frame(["ROWS", "ROWS", "GROUPS", "RANGE"], True)
        elif rng.random() < 0.7:
            ref = inner.ref("int")
            order = node("order", "ORDER BY {}{}", ref.sql if ref else inner.exact(2), rng.choice(["", " DESC", " NULLS LAST"]))
            function = self.peer_function(inner, kind)
            frame = self.frame(["RANGE", "GROUPS"], False, bool(ref))
        else:
            order, frame = Node("order"), Maybe()
            function = self.window_aggregate(inner, kind)
        if kind == "text":
            function = expr("typeof({} OVER ({}{}{}))", function, partition, order, frame)
            return expr("{}", function)
        return expr("{} OVER ({}{}{})", function, partition, order, frame)

    def order_term(self, e):
        value = e.any(2)
        return Node("term", node("expr", "({})", value), self.rng.choice(["", " DESC", " NULLS LAST", " DESC NULLS FIRST", " COLLATE NOCASE"]))

    def frame(self, units, total, has_range=False):
        rng = self.rng
        if rng.random() < 0.3:
            return Maybe()
        unit = rng.choice(units)
        near = unit != "RANGE" or has_range and not total
        n = lambda: str(rng.choice([0, 1, 2, 3]))  # noqa: E731
        starts = ["UNBOUNDED PRECEDING", "CURRENT ROW"] + ([f"{n()} PRECEDING"] * 2 if near else [])
        ends = ["UNBOUNDED FOLLOWING", "CURRENT ROW"] + ([f"{n()} FOLLOWING"] * 2 if near else [])
        exclude = rng.choice(["", "", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES", " EXCLUDE NO OTHERS"])
        if rng.random() < 0.2:
            return Maybe(f" {unit} {rng.choice(starts)}{exclude}")
        return Maybe(f" {unit} BETWEEN {rng.choice(starts)} AND {rng.choice(ends)}{exclude}")

    def window_aggregate(self, e, kind):
        rng = self.rng
        integers = [expr("count(*)"), expr("sum({})", e.integer(2)), expr("max({})", e.integer(2)), expr("count({})", e.any(2)),
                    expr("min({})", e.integer(2))]
        if kind in ("int", "num"):
            made = rng.choice(integers)
        else:
            made = rng.choice(integers + [expr("avg({})", e.number(2)), expr("total({})", e.number(2)), expr("max({})", e.text(2)),
                                          expr("min({})", e.exact(2))])
        return expr("{} FILTER (WHERE {})", made, e.predicate(1)) if rng.random() < 0.15 else made

    def peer_function(self, e, kind):
        """Of which rows that are equal in the order get the same."""
        choices = ["rank()", "dense_rank()"] + ([] if kind in ("int", "num") else ["percent_rank()", "cume_dist()"])
        return expr(self.rng.choice(choices)) if self.rng.random() < 0.4 else self.window_aggregate(e, kind)

    def positional_function(self, e, kind):
        rng = self.rng
        value = e.integer(2) if kind in ("int", "num") else e.any(2)
        return rng.choice([
            lambda: expr("row_number()"), lambda: expr("ntile({})", rng.choice(["1", "2", "3"])),
            lambda: expr("lag({})", value), lambda: expr("lead({}, 2, {})", value, "0"), lambda: expr("first_value({})", value),
            lambda: expr("last_value({})", value), lambda: expr("nth_value({}, 2)", value), lambda: self.peer_function(e, kind),
            lambda: self.window_aggregate(e, kind), lambda: self.window_aggregate(e, kind)])()


def is_number(key):
    """A bare number as a term would be the position of a result column."""
    return isinstance(key, Bind)
