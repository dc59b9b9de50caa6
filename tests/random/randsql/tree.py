"""Statements as trees of text, values and nodes: rendered with parameters of several kinds, and made smaller piece by piece."""

import copy
import dataclasses


# What may be replaced by something of these sorts in it.
SELF_SIMILAR = {"expr": ["expr"], "pred": ["pred"], "query": ["query"], "table": ["table"], "compound": ["compound", "core"]}


class Node:
    """sort: what may stand in for it ("expr", "pred", "query", "result", …). parts: text, Bind or Node."""

    def __init__(self, sort, *parts):
        self.sort = sort
        self.parts = list(parts)

    def children(self):
        return [(i, p) for i, p in enumerate(self.parts) if isinstance(p, Node)]

    def with_part(self, i, part):
        other = copy.copy(self)
        other.parts = list(self.parts)
        other.parts[i] = part
        return other

    def own_edits(self):
        """Smaller things that may stand here."""
        if self.sort in SELF_SIMILAR:
            yield from sorted((n for n in self.walk() if n is not self and n.sort in SELF_SIMILAR[self.sort]), key=Node.size)
        if self.sort == "from":
            yield from self.other_fronts()
        if self.sort == "aggregate" and self.size() > 1:  # what is in it would be an arbitrary row's
            yield Node("aggregate", "count(*)")
        if self.sort == "expr" and self.size() > 1:
            yield Node("expr", "NULL")
            yield Node("expr", "1")
        if self.sort == "pred" and self.size() > 1:
            yield Node("pred", "1")

    def other_fronts(self):
        """A FROM clause that begins with what was joined."""
        before, _, joins = self.parts
        for i, join in enumerate(joins.parts):
            table = next(p for p in join.parts if isinstance(p, Node) and p.sort == "table")
            yield Node("from", before, table, Many(joins.parts[:i] + joins.parts[i + 1:], "", least=0))

    def walk(self):
        yield self
        for _, child in self.children():
            yield from child.walk()

    def size(self):
        """Nodes below it, and itself."""
        return sum(1 for _ in self.walk())

    def edits(self):
        """Copies of the tree with one thing in it made smaller; those that leave least come first."""
        yield from self.own_edits()
        for i, child in sorted(self.children(), key=lambda c: -c[1].size()):
            for smaller in child.edits():
                yield self.with_part(i, smaller)


class Bind(Node):
    """A value: as a literal, or as a parameter."""

    def __init__(self, value, is_param=False):
        super().__init__("expr")
        self.value = value
        self.is_param = is_param or needs_param(value)

    def own_edits(self):
        if self.is_param and not needs_param(self.value):
            yield Bind(self.value)


class Maybe(Node):
    """What can be left out."""

    def __init__(self, *parts, sort="maybe"):
        super().__init__(sort, *parts)

    def own_edits(self):
        if self.parts:
            yield self.emptied()

    def emptied(self):
        other = copy.copy(self)
        other.parts = []
        return other


class Many(Node):
    """Items between separators; at least so many stay."""

    def __init__(self, items, separator=", ", least=1):
        super().__init__("many", *items)
        self.separator = separator
        self.least = least

    def own_edits(self):
        n = len(self.parts)
        step = n // 2
        while step >= 1:
            for at in range(0, n, step):
                left = self.parts[:at] + self.parts[at + step:]
                if len(left) >= self.least and len(left) < n:
                    other = copy.copy(self)
                    other.parts = left
                    yield other
            step //= 2


class ViewUse(Node):
    """A view in a FROM clause. Its query in its place is less: the view is needed no more."""

    def __init__(self, name, alias, tree):
        super().__init__("table", name, f" AS {alias}")
        self.inlined = Node("table", "(", tree, f") AS {alias}") if tree else None

    def own_edits(self):
        if self.inlined:
            yield self.inlined


class Order(Maybe):
    """ORDER BY at the end of a query. ties: None if no two rows are equal in it, or else the numbers of the result columns that it
    names and nothing else."""

    def __init__(self, *parts, ties=None):
        super().__init__(*parts, sort="order")
        self.ties = ties


class Slice(Maybe):
    """A LIMIT. free: without a total order, so that any rows of the whole will do."""

    def __init__(self, *parts, free=False):
        super().__init__(*parts, sort="slice")
        self.free = free


@dataclasses.dataclass
class Out:
    """A query or an arm of one. refs: its columns. key: names of columns that no two rows share, or None. sources: of its FROM."""

    tree: Node
    refs: list
    key: list
    sources: list = ()


class Query(Node):
    """with, body, order, slice. results: the result columns of its first arm."""

    def __init__(self, with_, body, order, limit):
        super().__init__("query", with_, body, order, limit)

    @property
    def order(self):
        return self.parts[2]

    @property
    def slice(self):
        return self.parts[3]

    def unlimited(self):
        return self.with_part(3, Slice())

    def results(self):
        body = self.parts[1]
        while isinstance(body, Node) and body.sort in ("body", "compound"):
            body = body.parts[0]
        many = next((p for p in body.parts if isinstance(p, Many)), None) if isinstance(body, Node) else None
        return many.parts if many and all(isinstance(p, Node) and p.sort == "result" for p in many.parts) else []


class Result(Node):
    """A result column. bag: what separates the values that it concatenates in no particular order."""

    def __init__(self, value, name=None, bag=None):
        super().__init__("result", value, f" AS {name}" if name else "")
        self.bag = bag


def node(sort, pattern, *args):
    """Node from a pattern with {} for each of args, which are nodes or texts."""
    texts = pattern.split("{}")
    assert len(texts) == len(args) + 1, pattern
    parts = [texts[0]]
    for arg, text in zip(args, texts[1:]):
        parts += [arg, text]
    return Node(sort, *(p for p in parts if p != ""))


def expr(pattern, *args):
    return node("expr", pattern, *args)


def pred(pattern, *args):
    return node("pred", pattern, *args)


def freeze(tree):
    """The tree with literals only, so that it is the same expression wherever it stands."""
    if isinstance(tree, Bind):
        return Bind(None if needs_param(tree.value) else tree.value)
    for i, child in tree.children():
        tree = tree.with_part(i, freeze(child))
    return tree


# ---- text

def needs_param(value):
    """No literal says it, or not on every path."""
    return isinstance(value, str) and "\0" in value or isinstance(value, float) and value in (float("inf"), float("-inf"))


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, int) and value == -2**63:
        return "(-9223372036854775807 - 1)"
    return repr(value)


def render(tree, style="?"):
    """(SQL, parameters). style: "?", "?1" (the same value has the same number), ":a"."""
    text, params, names = [], [], {}

    def place(value):
        key = (type(value), value)
        if style == "?":
            params.append(value)
            return "?"
        if key not in names:
            names[key] = len(names) + 1
            params.append(value)
        return f"?{names[key]}" if style == "?1" else f":p{names[key]}"

    def add(part):
        if isinstance(part, str):
            text.append(part)
        elif isinstance(part, Bind):
            text.append(place(part.value) if part.is_param else literal(part.value))
        else:
            separator = part.separator if isinstance(part, Many) else ""
            for i, p in enumerate(part.parts):
                if i and separator:
                    text.append(separator)
                add(p)

    add(tree)
    if style == ":a":
        return "".join(text), {f"p{i}": v for i, v in enumerate(params, 1)}
    return "".join(text), tuple(params)
