"""Whether two answers are the same under DESIGN's Compatibility table."""

import collections
import json

from lib import same_rows
from randsql.tree import Query, render


def difference(query, got, want, unlimited=None):
    """None, or what kind of difference: "failure", "error", "message", "columns", "rows".

    unlimited: SQLite's answer without a LIMIT that any rows of the whole satisfy."""
    if got.failed:
        return "failure"
    if got.code != want.code:
        return "error"
    if got.code:
        return None if got.message == want.message else "message"
    if got.columns != want.columns:
        return "columns"
    return None if is_same(query, got.rows, want.rows, unlimited) else "rows"


def is_same(query, got, want, unlimited=None):
    if not isinstance(query, Query):
        return same_rows(got, want, False)
    got, want = without_bags(query, got), without_bags(query, want)
    if query.order.parts:
        return same_rows(got, want, True, query.order.ties)
    if query.slice.parts and query.slice.free and unlimited:
        return len(got) == len(want) and is_part(got, without_bags(query, unlimited.rows))
    return same_rows(got, want, False)


def is_part(rows, whole):
    """Each of rows is one of the whole, as often as it is there."""
    typed = [collections.Counter((row, tuple(map(type, row))) for row in x) for x in (rows, whole)]
    left = list((typed[0] - typed[1]).elements())
    rest = [row for row, _ in (typed[1] - typed[0]).elements()]
    for row, _ in left:
        partner = next((i for i, r in enumerate(rest) if same_rows([row], [r], True)), None)
        if partner is None:
            return False
        rest.pop(partner)
    return True


def without_bags(query, rows):
    """Columns whose values are concatenated in no particular order: sorted."""
    bags = {i: r.bag for i, r in enumerate(query.results()) if getattr(r, "bag", None)}
    if not bags:
        return rows
    return [tuple(sort_bag(v, bags[i]) if i in bags else v for i, v in enumerate(row)) for row in rows]


def sort_bag(value, separator):
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        return json.dumps(sorted(json.loads(value), key=repr))
    return separator.join(sorted(value.split(separator)))


def ask(side, query, style, with_plan=False):
    return side.execute(*render(query, style), with_plan=with_plan)


def ask_unlimited(side, query, style):
    """The answer without the LIMIT, if it matters."""
    if isinstance(query, Query) and query.slice.parts and query.slice.free:
        return ask(side, query.unlimited(), style)
    return None
