/* test_plan_joins.c - random queries over several tables, on simulated shards and on plain SQLite:
 * joins of every kind, subqueries, derived tables, common table expressions, compounds. Half of
 * them are co-located by the way they are made, and of those next to none may be gathered. A
 * failure names the seed and prints the statement; SHOAL_TEST_SEED runs one seed, SHOAL_TEST_LONG
 * many, SHOAL_TEST_SHOW prints every statement and its plan. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/gate/pick.h"
#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

enum { N_SEEDS = 40, N_LONG_SEEDS = 2500, N_ROWS = 14, N_QUERIES = 50, N_TABLES = 4 };

/* The query being made keeps to what shards can answer by themselves. */
static bool colocated;
static unsigned n_names; /* aliases given out */
/* Keys may be equal and look different: which of them a group shows is SQLite's secret. */
static bool folds_keys;

/* ---- tables: t0 to t3 have columns k, n, a, b; t0 to t2 are sharded by k alike, t3 by another */

static const struct {
        const char *type;
        bool is_text;
} key_types[] = {
        { "INTEGER", false }, { "TEXT", true },     { "TEXT COLLATE NOCASE", true },
        { "REAL", false },    { "NUMERIC", false }, { "", false },
};

static void make_tables(struct sim *s)
{
        static const char *const shapes[] = {
                "(k %s, n INTEGER, a INTEGER, b TEXT, PRIMARY KEY (k, n))",
                "(k %s, n INTEGER, a, b TEXT COLLATE NOCASE, PRIMARY KEY (k, n)) WITHOUT ROWID",
                "(k %s, n, a NUMERIC, b, PRIMARY KEY (k, n))",
        };
        unsigned type = pick(ARRAY_LEN(key_types));
        bool is_integer = type == 0;

        folds_keys = strstr(key_types[type].type, "NOCASE");

        for (unsigned t = 0; t < N_TABLES; t++) {
                struct buf b = BUF_INIT(0);
                char *sql;

                buf_printf(&b, "CREATE TABLE t%u ", t);
                if (t == 3)
                        buf_add_str(&b, "(k, n INTEGER PRIMARY KEY, a INTEGER, b TEXT)");
                else if (is_integer && !pick(2))
                        buf_add_str(&b, "(k INTEGER PRIMARY KEY, n INTEGER, a INTEGER, b TEXT)");
                else
                        buf_printf(&b, shapes[pick(ARRAY_LEN(shapes))], key_types[type].type);
                sql = buf_take_str(&b);
                if (getenv("SHOAL_TEST_SHOW"))
                        fprintf(stderr, "%s\n", sql);
                sim_check(s, sql, false);
                free(sql);
        }
        for (unsigned t = 0; t < N_TABLES; t++)
                for (int i = 0; i < N_ROWS; i++) {
                        struct buf b = BUF_INIT(0);
                        char *sql;

                        buf_printf(&b, "INSERT OR IGNORE INTO t%u VALUES (", t);
                        if (key_types[type].is_text)
                                buf_printf(&b, "'%s'", ONE_OF("a", "A", "b", "B", "c", "1", "d"));
                        else
                                buf_printf(&b, "%u", pick(9));
                        buf_printf(&b, ", %u, %s, %s)", t == 3 ? (unsigned)i : pick(6),
                                   ONE_OF("0", "1", "2", "3", "NULL", "5"),
                                   ONE_OF("'a'", "'A'", "'b'", "NULL", "'1'", "''"));
                        sql = buf_take_str(&b);
                        if (getenv("SHOAL_TEST_SHOW"))
                                fprintf(stderr, "%s\n", sql);
                        sim_check(s, sql, false);
                        free(sql);
                }
}

/* ---- pieces of queries */

struct from {
        unsigned names[4]; /* x<name> */
        unsigned n;
        bool padded[4]; /* an outer join may have made NULL of it */
};

static void add_query(struct buf *b, unsigned n_columns, int depth);

static const char *any_value(void)
{
        return ONE_OF("0", "1", "2", "3", "'a'", "'B'", "NULL", "5", "'1'");
}

/* Values of which no two are equal and look different. */
static void add_shown(struct buf *b, const struct from *f)
{
        buf_printf(b, "%s(x%u.%s)", ONE_OF("quote", "quote", "typeof", "hex"), f->names[pick(f->n)],
                   ONE_OF("k", "n", "a", "b"));
}

static void add_table(struct buf *b, unsigned name, int depth)
{
        unsigned t = pick(colocated ? 3 : 4);

        switch (pick(depth > 1 ? 4 : folds_keys ? 7 : 9)) {
        case 4:
                buf_printf(b, "(SELECT * FROM t%u WHERE a %s %u) AS x%u", t, ONE_OF(">", "<>", "<"),
                           pick(5), name);
                break;
        case 8:
                buf_printf(
                    b,
                    "(SELECT k, max(n) AS n, count(*) AS a, min(b) AS b FROM t%u GROUP BY k) "
                    "AS x%u",
                    t, name);
                break;
        case 6:
                buf_printf(
                    b, "(SELECT k, n, a, b FROM t%u UNION ALL SELECT k, a, n, b FROM t%u) AS x%u",
                    t, pick(colocated ? 3 : 4), name);
                break;
        case 7:
                if (colocated) {
                        buf_printf(b, "(SELECT DISTINCT k, a AS n, a, b FROM t%u) AS x%u", t, name);
                        break;
                }
                buf_printf(b, "(SELECT * FROM t%u ORDER BY k, n, a, b LIMIT %u) AS x%u", t, pick(6),
                           name);
                break;
        default:
                buf_printf(b, "t%u AS x%u", t, name);
        }
}

static void add_condition(struct buf *b, const struct from *f, unsigned name, bool by_key)
{
        unsigned other = f->names[pick(f->n)];

        if (by_key)
                buf_printf(b, pick(2) ? "x%u.k = x%u.k" : "x%2$u.k = x%1$u.k", name, other);
        else
                buf_printf(b, "x%u.%s %s x%u.%s", name, ONE_OF("a", "b", "n", "k"),
                           ONE_OF("=", "=", "<", "IS"), other, ONE_OF("a", "b", "n", "k"));
        if (!pick(4))
                buf_printf(b, " AND x%u.a %s %s", name, ONE_OF("=", ">", "<>"), any_value());
}

static void add_from(struct buf *b, struct from *f, struct buf *where, int depth)
{
        unsigned n = 1 + pick(depth ? 2 : 3);
        bool only_left = pick(2);

        f->n = 0;
        for (unsigned i = 0; i < n; i++) {
                unsigned name = n_names++;
                const char *join = only_left
                                       ? ONE_OF("JOIN", "LEFT JOIN", ",", "CROSS JOIN")
                                       : ONE_OF("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN");
                bool by_key = colocated || pick(3);

                f->padded[i] = false;
                if (i)
                        buf_printf(b, " %s ", join);
                add_table(b, name, depth);
                f->names[i] = name;
                if (i && *join == ',') {
                        buf_add_str(where, where->n_bytes ? " AND " : "");
                        add_condition(where, f, name, by_key);
                } else if (i) {
                        buf_add_str(b, " ON ");
                        add_condition(b, f, name, by_key);
                }
                f->n = i + 1;
        }
}

static void add_subquery(struct buf *b, const struct from *outer, int depth)
{
        unsigned name = n_names++, t = pick(colocated ? 3 : 4);
        unsigned o = outer->names[pick(outer->n)];
        bool by_key = colocated || pick(2);

        (void)depth;
        switch (pick(5)) {
        case 0:
                buf_printf(
                    b, "%sEXISTS (SELECT 1 FROM t%u AS x%u WHERE x%u.%s = x%u.%s AND x%u.a %s %u)",
                    ONE_OF("", "NOT "), t, name, name, by_key ? "k" : "a", o, by_key ? "k" : "n",
                    name, ONE_OF(">", "<>"), pick(4));
                break;
        case 1:
                if (colocated)
                        buf_printf(b, "x%u.k IN (SELECT x%u.k FROM t%u AS x%u WHERE x%u.a > %u)", o,
                                   name, t, name, name, pick(4));
                else
                        buf_printf(b, "x%u.%s %sIN (SELECT x%u.%s FROM t%u AS x%u)", o,
                                   ONE_OF("k", "a", "b"), ONE_OF("", "NOT "), name,
                                   ONE_OF("k", "a", "b"), t, name);
                break;
        case 2:
                buf_printf(b, "(SELECT %s FROM t%u AS x%u WHERE x%u.%s = x%u.%s) %s %u",
                           ONE_OF("count(*)", "max(a)", "sum(n)", "count(DISTINCT n)"), t, name,
                           name, by_key ? "k" : "b", o, by_key ? "k" : "b", ONE_OF(">", "=", "<"),
                           pick(3));
                break;
        case 3:
                buf_printf(
                    b,
                    "coalesce((SELECT quote(a) FROM t%u AS x%u WHERE x%u.%s = x%u.%s ORDER BY "
                    "a, n, b LIMIT 1), 'none') > '1'",
                    t, name, name, by_key ? "k" : "n", o, by_key ? "k" : "a");
                break;
        default:
                if (colocated)
                        buf_printf(b,
                                   "EXISTS (SELECT 1 FROM t%u AS x%u JOIN t%u AS x%u ON x%u.k = "
                                   "x%u.k WHERE x%u.k = x%u.k)",
                                   t, name, pick(3), n_names, name, n_names, n_names, o);
                else
                        buf_printf(b, "x%u.a %s (SELECT %s(a) FROM t%u)", o, ONE_OF(">", "<="),
                                   ONE_OF("avg", "min", "max", "count"), t);
                n_names++;
        }
}

static void add_predicate(struct buf *b, const struct from *f, int depth, bool with_subqueries)
{
        unsigned x = f->names[pick(f->n)];

        switch (pick(with_subqueries ? 7 : 4)) {
        case 0:
                buf_printf(b, "x%u.%s %s %s", x, ONE_OF("a", "b", "n"), ONE_OF("=", "<", "IS NOT"),
                           any_value());
                break;
        case 1:
                buf_printf(b, "x%u.k %s", x,
                           ONE_OF("= 3", "= 'a'", "IN (1, 'b', 4)", "<> 2", "= 5"));
                break;
        case 2:
                buf_printf(b, "(x%u.a IS NULL OR x%u.n < %u)", x, f->names[pick(f->n)], pick(5));
                break;
        case 3:
                buf_printf(b, "x%u.b IS NOT NULL", x);
                break;
        default:
                add_subquery(b, f, depth);
        }
}

static void add_where(struct buf *b, const struct from *f, const struct buf *joined, int depth)
{
        unsigned n = pick(3);

        if (!joined->n_bytes && !n)
                return;
        buf_add_str(b, " WHERE ");
        buf_add(b, joined->data, joined->n_bytes);
        for (unsigned i = 0; i < n; i++) {
                buf_add_str(b, i || joined->n_bytes ? " AND " : "");
                add_predicate(b, f, depth, depth < 2);
        }
}

static void add_aggregate(struct buf *b, const struct from *f, bool any)
{
        unsigned x = f->names[pick(f->n)];

        switch (pick(any ? 6 : 4)) {
        case 0:
                buf_add_str(b, "count(*)");
                break;
        case 1:
                buf_printf(b, "sum(x%u.n)", x);
                break;
        case 2:
                buf_printf(b, "%s(hex(x%u.b))", ONE_OF("min", "max"), x);
                break;
        case 3:
                buf_printf(b, "count(x%u.%s)", x, ONE_OF("a", "b", "k"));
                break;
        case 4:
                buf_printf(b, "count(DISTINCT x%u.a)", x);
                break;
        default:
                buf_printf(b, "avg(x%u.n)", x);
        }
}

/* ---- arms and queries */

/* What the first source's key is not NULL for: so that its groups are whole. */
static void add_grouped(struct buf *b, unsigned n_columns, int depth)
{
        struct buf where = BUF_INIT(0), from = BUF_INIT(0);
        struct from f;
        bool by_key = pick(2);

        add_from(&from, &f, &where, depth);
        buf_add_str(b, "SELECT ");
        if (by_key)
                buf_printf(b, "quote(x%u.n + 0)", f.names[0]);
        else
                buf_printf(b, "hex(x%u.b)", f.names[0]);
        for (unsigned i = 1; i < n_columns; i++) {
                buf_add_str(b, ", ");
                add_aggregate(b, &f, !colocated);
        }
        buf_add_str(b, " FROM ");
        buf_add(b, from.data, from.n_bytes);
        add_where(b, &f, &where, depth);
        if (by_key)
                buf_printf(b, " GROUP BY quote(x%u.n + 0)", f.names[0]);
        else
                buf_add_str(b, " GROUP BY 1");
        if (!pick(3))
                buf_add_str(b, " HAVING count(*) > 1");
        buf_done(&where);
        buf_done(&from);
}

static void add_plain(struct buf *b, unsigned n_columns, int depth)
{
        struct buf where = BUF_INIT(0), from = BUF_INIT(0);
        struct from f;

        add_from(&from, &f, &where, depth);
        buf_add_str(b, pick(4) ? "SELECT " : "SELECT DISTINCT ");
        for (unsigned i = 0; i < n_columns; i++) {
                buf_add_str(b, i ? ", " : "");
                add_shown(b, &f);
        }
        buf_add_str(b, " FROM ");
        buf_add(b, from.data, from.n_bytes);
        add_where(b, &f, &where, depth);
        buf_done(&where);
        buf_done(&from);
}

static void add_query(struct buf *b, unsigned n_columns, int depth)
{
        if (pick(3))
                add_plain(b, n_columns, depth);
        else
                add_grouped(b, n_columns, depth);
}

static bool add_end(struct buf *b, unsigned n_columns)
{
        if (pick(2))
                return false;
        buf_add_str(b, " ORDER BY ");
        for (unsigned i = 0; i < n_columns; i++)
                buf_printf(b, "%s%u%s", i ? ", " : "", i + 1, ONE_OF("", " DESC"));
        if (pick(2))
                buf_printf(b, " LIMIT %u", pick(8));
        else if (pick(2))
                buf_printf(b, " LIMIT %u OFFSET %u", pick(8), pick(4));
        return true;
}

/* What a subquery gives is compared with columns and values: the affinities and collations that it
 * lends them must outlive that it is answered elsewhere. */
static const char *any_expression(bool is_aggregate)
{
        if (is_aggregate)
                return ONE_OF("count(*)", "max(b)", "sum(n)", "min(a + 0)", "1", "max(hex(k))");
        return ONE_OF("a", "b", "k", "n", "a + 0", "b || ''", "CAST(a AS TEXT)",
                      "CAST(b AS INTEGER)", "b COLLATE RTRIM", "+k", "+b", "max(a, 1)",
                      "coalesce(b, a)", "CAST(k AS BLOB)", "1", "'1'", "NULL");
}

static void add_unit(struct buf *b)
{
        unsigned t = pick(4);
        bool is_aggregate = !pick(4), has_limit;

        buf_printf(b, "SELECT %s AS c, %s AS d FROM t%u", any_expression(is_aggregate),
                   any_expression(is_aggregate), t);
        if (!pick(3))
                buf_printf(b, " WHERE a > %u", pick(3));
        has_limit = pick(2);
        if (has_limit)
                buf_add_str(b, " ORDER BY quote(c), quote(d) LIMIT 100");
}

static void add_comparison(struct buf *b)
{
        switch (pick(4)) {
        case 0:
                buf_add_str(b, "SELECT count(*) FROM (");
                add_unit(b);
                buf_printf(b, ") AS q JOIN t%u AS y ON %s %s q.c WHERE q.d %s %s", pick(4),
                           ONE_OF("y.a", "y.b", "y.k", "y.n"), ONE_OF("=", "<", "IS"),
                           ONE_OF("=", "<>", "<"), any_value());
                break;
        case 1:
                buf_add_str(b, "WITH q AS (");
                add_unit(b);
                buf_printf(
                    b, ") SELECT count(*) FROM q, q AS r, t%u AS y WHERE q.c = r.d AND %s %s q.c",
                    pick(4), ONE_OF("y.a", "y.b", "y.k"), ONE_OF("=", ">="));
                break;
        case 2:
                /* Columns alone: (1, y.k) IN … finds nothing in SQLite where an index on y.k is
                 * used, and what it should where there is none. */
                buf_printf(b, "SELECT count(*) FROM t%u AS y WHERE (%s, %s) %sIN (", pick(4),
                           ONE_OF("y.a", "y.b"), ONE_OF("y.b", "y.k"), ONE_OF("", "NOT "));
                add_unit(b);
                buf_add_str(b, ")");
                break;
        default:
                buf_printf(b, "SELECT count(*) FROM t%u AS y WHERE %s %s (SELECT c FROM (", pick(4),
                           ONE_OF("y.a", "y.b", "y.k", "2", "'1'"), ONE_OF("=", "<", "IN", ">="));
                add_unit(b);
                buf_add_str(b, ") ORDER BY quote(c) LIMIT 1)");
        }
}

static char *make_query(bool *ret_ordered)
{
        struct buf b = BUF_INIT(0);
        unsigned n_columns = 1 + pick(3);

        n_names = 0;
        colocated = pick(2);
        if (colocated) {
                add_query(&b, n_columns, 0);
        } else {
                switch (pick(7)) {
                case 3:
                        add_comparison(&b);
                        *ret_ordered = false;
                        return buf_take_str(&b);
                case 4:
                        buf_printf(
                            &b,
                            "WITH RECURSIVE q(i) AS (SELECT count(*) FROM t%u UNION ALL SELECT "
                            "i - 1 FROM q WHERE i > (SELECT min(n) FROM t%u)) SELECT count(*) FROM "
                            "q JOIN t%u AS y ON y.n = q.i",
                            pick(4), pick(4), pick(4));
                        *ret_ordered = false;
                        return buf_take_str(&b);
                case 0:
                        add_query(&b, n_columns, 1);
                        buf_printf(&b, " %s ", ONE_OF("UNION", "UNION ALL", "EXCEPT", "INTERSECT"));
                        add_query(&b, n_columns, 1);
                        break;
                case 1:
                        buf_add_str(&b, "WITH q AS (");
                        add_query(&b, n_columns, 1);
                        buf_add_str(&b, ") SELECT * FROM q");
                        if (pick(2))
                                buf_printf(&b, " WHERE 1 < (SELECT count(*) FROM q AS r)");
                        break;
                case 2:
                        buf_add_str(&b, "SELECT * FROM (");
                        add_query(&b, n_columns, 1);
                        add_end(&b, n_columns);
                        buf_add_str(&b, ") AS q");
                        break;
                default:
                        add_query(&b, n_columns, 0);
                }
        }
        *ret_ordered = add_end(&b, n_columns);
        return buf_take_str(&b);
}

struct seen {
        unsigned n_colocated; /* queries that shards can answer by themselves … */
        unsigned n_gathered;  /* … but were not asked to */
};

static void run_seed(unsigned seed, void *arg)
{
        static const unsigned shard_counts[] = { 2, 3, 8 };
        struct seen *seen = arg;
        struct sim *s;

        pick_seed(seed);
        s = sim_new(shard_counts[pick(ARRAY_LEN(shard_counts))]);
        make_tables(s);
        for (int i = 0; i < N_QUERIES; i++) {
                bool ordered;
                char *sql = make_query(&ordered);
                enum plan_kind kind = sim_check(s, sql, ordered);

                seen->n_colocated += colocated;
                seen->n_gathered += colocated && kind == PLAN_GATHER;
                if (getenv("SHOAL_TEST_SHOW"))
                        fprintf(stderr, "%d %s: %s\n", colocated, plan_kind_name(kind), sql);
                free(sql);
        }
        sim_free(s);
}

START_TEST(random_joins)
{
        struct seen seen = { 0 };

        sim_each_seed(N_SEEDS, N_LONG_SEEDS, run_seed, &seen);
        fprintf(stderr, "%u of %u co-located queries were gathered\n", seen.n_gathered,
                seen.n_colocated);
        ck_assert_uint_lt(seen.n_gathered * 20, seen.n_colocated);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_joins");
        TCase *tc = tcase_create("plan_joins");

        tcase_set_timeout(tc, 0);
        tcase_add_test(tc, random_joins);
        suite_add_tcase(suite, tc);
        return unit_run(suite);
}
