"""Queries that SQLite refuses, or that fail while they run whatever the plan."""

from randsql.expr import Exprs
from randsql.tree import Many, Maybe, Node, Order, Query, Result, Slice, node


def failing_where(queries):
    """Of one table alone: a join may be made in an order in which it is evaluated for no row."""
    item, source = queries.from_table()
    return node("core", "SELECT {}{} WHERE {} MATCH 'x'", Exprs(queries.rng, [source]).any(1),
                Node("from", " FROM ", item, Many([], "", least=0)), source.refs[0].sql)


def wrong_query(queries):
    """A Query; queries: query.Queries."""
    rng = queries.rng
    from_, sources = queries.from_clause(n=rng.choice([1, 1, 2]))
    e = Exprs(rng, sources)
    a, col = sources[0].alias, sources[0].refs[0].sql
    value, condition = e.any(1), e.predicate(1)
    table = queries.rng.choice(queries.tables).name
    t = lambda pattern, *args: node("core", pattern, *args)  # noqa: E731
    prepared = [
        lambda: t("SELECT {}.nix{}", a, from_), lambda: t("SELECT nix{} WHERE {}", from_, condition),
        lambda: t("SELECT nix.x{}", from_), lambda: t("SELECT {} FROM nix", value), lambda: t("SELECT rowid FROM (SELECT 1) WHERE {}", "x"),
        lambda: t("SELECT s1.{}, s2.{}, {} FROM {} AS s1, {} AS s2", *[sources[0].refs[0].name] * 3, table, table),
        lambda: t("SELECT count(*){} WHERE count(*) > 1", from_), lambda: t("SELECT sum(count({})){}", col, from_),
        lambda: t("SELECT {}{} GROUP BY count(*)", value, from_), lambda: t("SELECT {}{} GROUP BY 9", value, from_),
        lambda: t("SELECT {}{} ORDER BY 9", value, from_), lambda: t("SELECT {}{} HAVING {}", value, from_, condition),
        lambda: t("SELECT abs({}, {}){}", value, value, from_), lambda: t("SELECT nix({}){}", value, from_),
        lambda: t("SELECT substr({}){}", value, from_), lambda: t("SELECT (SELECT 1, 2){}", from_),
        lambda: t("SELECT {} IN (SELECT 1, 2){}", value, from_), lambda: t("SELECT ({}, 1) = 2{}", value, from_),
        lambda: t("SELECT ({}, 1){}", value, from_), lambda: t("SELECT {}{} UNION SELECT 1, 2", value, from_),
        lambda: t("SELECT {}{} UNION ALL SELECT 1 ORDER BY {}", value, from_, "zz"), lambda: t("VALUES (1, 2), (3)"),
        lambda: t("SELECT row_number() OVER (){} WHERE row_number() OVER () = 1", from_), lambda: t("SELECT row_number(){}", from_),
        lambda: t("SELECT {} OVER (){}", "upper('a')", from_), lambda: t("SELECT sum({}) OVER nix{}", col, from_),
        lambda: t("SELECT {} COLLATE nix{}", value, from_), lambda: t("SELECT {}.*{}", "nix", from_),
        lambda: t("SELECT count(DISTINCT {}, {}){}", col, col, from_), lambda: t("SELECT {}{} JOIN {} USING (nix)", value, from_, table),
        lambda: t("WITH w AS (SELECT 1) SELECT * FROM w, w2"), lambda: t("WITH w(x, y) AS (SELECT 1) SELECT * FROM w"),
        lambda: t("SELECT * FROM {} AS z INDEXED BY nix", table), lambda: failing_where(queries),
        lambda: t("SELECT max({}) FILTER (WHERE {}) {}{}", col, condition, "FROM", ""), lambda: t("SELECT group_concat(){}", from_),
        lambda: t("SELECT sum({}) OVER (ORDER BY {} RANGE 1 PRECEDING EXCLUDE){}", col, col, from_),
        lambda: t("SELECT sum({}) OVER (ROWS BETWEEN UNBOUNDED FOLLOWING AND CURRENT ROW){}", col, from_),
        lambda: t("SELECT upper({}) FILTER (WHERE 1){}", col, from_), lambda: t("SELECT DISTINCT{}", from_),
        lambda: t("SELECT raise(ABORT, 'x'){}", from_), lambda: t("SELECT lead() OVER (){}", from_),
    ]
    # the failing expression is evaluated for the first row there is, and for one row if there is none
    running = [
        lambda: "abs(-9223372036854775807 - 1)", lambda: "json('{')", lambda: "json_extract('{}', '$[')",
        lambda: "'a' LIKE 'b' ESCAPE 'xy'", lambda: "zeroblob(2000000000)", lambda: "json_array(x'00')", lambda: "json_object('a')",
        lambda: "json_set('{', '$.a', 1)", lambda: "json_type('[1')", lambda: "json_patch('[', '{}')",
        lambda: "json_quote(x'61')", lambda: "json_object(1, 2)", lambda: "replace(hex(zeroblob(100000)), '0', hex(zeroblob(100000)))",
        lambda: "randomblob(2000000000)",
    ]
    totals = [
        lambda: f"sum(9223372036854775807 - length({col}) + length({col})) + sum(9223372036854775807)",
        lambda: f"ntile(0) OVER (ORDER BY {col})", lambda: f"nth_value({col}, 0) OVER (ORDER BY {col})",
        lambda: f"sum(1) OVER (ORDER BY {col} ROWS -1 PRECEDING)", lambda: f"sum(1) OVER (ORDER BY {col} ROWS 'x' PRECEDING)",
        lambda: "json_group_array(x'00')", lambda: "json_group_object('a', x'00')",
    ]
    choice = rng.random()
    limit = Slice()
    if choice < 0.55:
        core = rng.choice(prepared)()
    elif choice < 0.8:
        core = t("SELECT {}{}", Many([Result(node("expr", "{}", rng.choice(running)()))]), from_)
    elif choice < 0.95:
        core = t("SELECT {}{}", Many([Result(node("expr", "{}", rng.choice(totals)()))]), from_)
    else:
        core = t("SELECT {}{}", Many([Result(value)]), from_)
        limit = Slice(rng.choice([" LIMIT 'x'", " LIMIT 1 OFFSET 'y'", " LIMIT 1.5", " LIMIT NULL", " LIMIT x'00'"]))
    return Query(Maybe(), core, Order(), limit)
