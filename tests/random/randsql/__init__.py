"""Random schemas, rows, writes and queries; what Shoal says of them against what plain SQLite says; small scripts of what differs.

    tree     statements as trees, so that they can be made smaller
    schema   random tables                      data     random values, writes
    expr     random expressions                 query    random queries           wrong    queries that fail
    sides    the two that are asked             compare  whether they agree       shrink   a small script of a difference
    campaign all of it, seed by seed

Queries are made so that SQLite leaves nothing of their answer open but the order of rows: what stands for a group, a set or an
extreme is exact (equal means identical), sums of reals are sums of multiples of 1/4, and LIMIT, row_number() and their like come
with an order that no two rows share.
"""
