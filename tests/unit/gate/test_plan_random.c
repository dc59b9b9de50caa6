/* test_plan_random.c - random tables, rows and one-table queries over simulated shards against
 * plain SQLite. A failure names the seed and prints the statement; SHOAL_TEST_SEED runs one seed,
 * SHOAL_TEST_LONG runs many. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/gate/pick.h"
#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

enum { N_SEEDS = 60, N_LONG_SEEDS = 3000, N_ROWS = 40, N_QUERIES = 60, N_COLUMNS = 4 };

/* Sums of values whose sizes differ by more than a double holds depend on the order of addition: a
 * seed has large values or sums. */
static bool has_large;

static void add_value(struct buf *b)
{
        switch (pick(9)) {
        case 0:
                buf_add_str(b, "NULL");
                break;
        case 1:
        case 2:
        case 3:
                buf_printf(b, "%d", (int)pick(9) - 2);
                break;
        case 4:
                buf_printf(b, "%d.%d", (int)pick(5), (int)pick(2) * 5);
                break;
        case 5:
                buf_printf(b, "'%s'", ONE_OF("a", "A", "b", "ab", "", " a", "a ", "zz"));
                break;
        case 6:
                buf_printf(b, "'%s'", ONE_OF("1", "01", "2.0", "1e1", "-3", "x1"));
                break;
        case 7:
                buf_add_str(b, ONE_OF("x'61'", "x''", "x'00'", "x'ff01'"));
                break;
        default:
                if (!has_large) {
                        buf_printf(b, "%d", (int)pick(2000) - 1000);
                        break;
                }
                buf_add_str(b, ONE_OF("9223372036854775807", "-9223372036854775808",
                                      "9007199254740993", "1e300", "-1e-5", "4611686018427387904"));
        }
}

static const char *any_column(void)
{
        return ONE_OF("k", "a", "b", "c");
}

static void add_scalar(struct buf *b, int depth)
{
        switch (pick(depth > 2 ? 3 : 9)) {
        case 0:
        case 1:
                buf_add_str(b, any_column());
                break;
        case 2:
                add_value(b);
                break;
        case 3:
                buf_add_str(b, "(");
                add_scalar(b, depth + 1);
                buf_printf(b, " %s ", ONE_OF("+", "-", "||", "%", "*", "IS", "&"));
                add_scalar(b, depth + 1);
                buf_add_str(b, ")");
                break;
        case 4:
                buf_printf(b, "%s(", ONE_OF("abs", "length", "upper", "typeof", "quote", "hex"));
                add_scalar(b, depth + 1);
                buf_add_str(b, ")");
                break;
        case 5:
                buf_add_str(b, "CAST(");
                add_scalar(b, depth + 1);
                buf_printf(b, " AS %s)", ONE_OF("INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB"));
                break;
        case 6:
                buf_add_str(b, "coalesce(");
                add_scalar(b, depth + 1);
                buf_add_str(b, ", ");
                add_scalar(b, depth + 1);
                buf_add_str(b, ")");
                break;
        case 7:
                buf_add_str(b, "CASE WHEN ");
                add_scalar(b, depth + 1);
                buf_add_str(b, " THEN ");
                add_scalar(b, depth + 1);
                buf_add_str(b, " ELSE ");
                add_scalar(b, depth + 1);
                buf_add_str(b, " END");
                break;
        default:
                buf_printf(b, "%s COLLATE %s", any_column(), ONE_OF("NOCASE", "BINARY", "RTRIM"));
        }
}

static void add_predicate(struct buf *b, int depth)
{
        switch (pick(depth > 2 ? 5 : 9)) {
        case 0:
                buf_add_str(b, "k = ");
                add_value(b);
                break;
        case 1:
                buf_printf(b, "%s %s ", any_column(),
                           ONE_OF("=", "<", ">", "<=", ">=", "<>", "IS", "IS NOT"));
                add_value(b);
                break;
        case 2:
                add_scalar(b, 1);
                buf_printf(b, " %s ", ONE_OF("=", "<", ">=", "<>"));
                add_scalar(b, 1);
                break;
        case 3:
                buf_printf(b, "%s %sIN (", ONE_OF("k", "a", "b"), ONE_OF("", "", "NOT "));
                for (unsigned i = 0, n = pick(5); i < n; i++) {
                        buf_add_str(b, i ? ", " : "");
                        add_value(b);
                }
                buf_add_str(b, ")");
                break;
        case 4:
                buf_printf(
                    b, "%s %s", any_column(),
                    ONE_OF("IS NULL", "NOTNULL", "BETWEEN 0 AND 3", "LIKE 'a%'", "GLOB '*1*'"));
                break;
        case 5:
        case 6:
                buf_add_str(b, "(");
                add_predicate(b, depth + 1);
                buf_add_str(b, ONE_OF(" AND ", " OR "));
                add_predicate(b, depth + 1);
                buf_add_str(b, ")");
                break;
        case 7:
                buf_add_str(b, "NOT (");
                add_predicate(b, depth + 1);
                buf_add_str(b, ")");
                break;
        default:
                buf_add_str(b, "k = ");
                add_value(b);
                buf_add_str(b, " OR k = ");
                add_value(b);
        }
}

static void add_where(struct buf *b)
{
        if (!pick(3))
                return;
        buf_add_str(b, " WHERE ");
        add_predicate(b, 0);
}

/* Of values that are equal and look different (2 and 2.0, 'a' and 'A'), which is shown depends on
 * SQLite's path to the rows: groups, DISTINCT, MIN and MAX are over expressions without such
 * values. */
static const char *any_canonical(void)
{
        return ONE_OF("quote(k)", "quote(a)", "length(b)", "a & 3", "typeof(c)",
                      "CAST(a AS INTEGER)", "hex(k)", "upper(b)", "b IS NULL", "k = 1");
}

static void add_aggregate(struct buf *b)
{
        const char *f = has_large ? ONE_OF("count", "min", "max")
                                  : ONE_OF("count", "sum", "total", "avg", "min", "max");

        if (!pick(5)) {
                buf_add_str(b, "count(*)");
                return;
        }
        buf_printf(b, "%s(%s%s)", f, pick(8) ? "" : "DISTINCT ",
                   f[0] == 'm' ? any_canonical()
                               : ONE_OF("k", "a", "b", "a + 1", "length(b)", "-a", "c", "a * 2"));
        if (!pick(6)) {
                buf_add_str(b, " FILTER (WHERE ");
                add_predicate(b, 2);
                buf_add_str(b, ")");
        }
}

/* Rows in any order, or with an order that leaves no ties: every column of the result is sorted by.
 */
static bool add_select(struct buf *b)
{
        unsigned n = 1 + pick(3);
        bool distinct = !pick(3), ordered = pick(2);

        buf_add_str(b, distinct ? "SELECT DISTINCT " : "SELECT ");
        for (unsigned i = 0; i < n; i++) {
                buf_add_str(b, i ? ", " : "");
                if (distinct)
                        buf_add_str(b, any_canonical());
                else
                        add_scalar(b, 1);
                buf_printf(b, " AS r%u", i);
        }
        buf_add_str(b, " FROM t");
        add_where(b);
        if (!ordered)
                return false;
        buf_add_str(b, " ORDER BY ");
        for (unsigned i = 0; i < n; i++)
                switch (pick(3)) {
                case 0:
                        buf_printf(b, "%s%u COLLATE BINARY %s", i ? ", " : "", i + 1,
                                   ONE_OF("", "DESC", "ASC NULLS LAST"));
                        break;
                default:
                        buf_printf(b, "%sr%u COLLATE BINARY %s", i ? ", " : "", i,
                                   ONE_OF("", "DESC", "DESC NULLS FIRST"));
                }
        /* 2 and 2.0 are ties as well. */
        for (unsigned i = 0; i < n && !distinct; i++)
                buf_printf(b, ", typeof(r%u)", i);
        if (pick(2))
                buf_printf(b, " LIMIT %d", (int)pick(12) - 1);
        else if (pick(2))
                buf_printf(b, " LIMIT %d OFFSET %d", (int)pick(12), (int)pick(8) - 1);
        return true;
}

static bool add_group(struct buf *b)
{
        const char *group = any_canonical();
        unsigned n = 1 + pick(3);

        buf_printf(b, "SELECT %s", group);
        for (unsigned i = 0; i < n; i++) {
                buf_add_str(b, ", ");
                add_aggregate(b);
        }
        buf_add_str(b, " FROM t");
        add_where(b);
        buf_printf(b, " GROUP BY %s", pick(2) ? group : "1");
        if (!pick(3)) {
                buf_add_str(b, " HAVING ");
                add_aggregate(b);
                buf_add_str(b, ONE_OF(" > 1", " IS NOT NULL", " <> '1'", " < 5"));
        }
        return false;
}

static bool add_totals(struct buf *b)
{
        buf_add_str(b, "SELECT ");
        for (unsigned i = 0, n = 1 + pick(4); i < n; i++) {
                buf_add_str(b, i ? ", " : "");
                add_aggregate(b);
        }
        buf_add_str(b, " FROM t");
        add_where(b);
        return true;
}

static char *make_query(bool *ret_ordered)
{
        struct buf b = BUF_INIT(0);

        switch (pick(3)) {
        case 0:
                *ret_ordered = add_group(&b);
                break;
        case 1:
                *ret_ordered = add_totals(&b);
                break;
        default:
                *ret_ordered = add_select(&b);
        }
        return buf_take_str(&b);
}

/* Every kind of key: rowid, rowid under a name, text, real, no type, composite, collations, WITHOUT
 * ROWID, STRICT. */
static const char *make_table(void)
{
        return ONE_OF(
            "CREATE TABLE t (k INTEGER PRIMARY KEY, a INTEGER, b TEXT, c)",
            "CREATE TABLE t (k, a, b, c)",
            "CREATE TABLE t (k TEXT PRIMARY KEY, a NUMERIC, b, c REAL)",
            "CREATE TABLE t (k REAL PRIMARY KEY, a INT, b TEXT, c BLOB)",
            "CREATE TABLE t (k PRIMARY KEY, a, b, c)",
            "CREATE TABLE t (k NUMERIC, a INTEGER, b TEXT, c, PRIMARY KEY (k, a)) WITHOUT ROWID",
            "CREATE TABLE t (k TEXT COLLATE NOCASE, a INTEGER, b TEXT, c, PRIMARY KEY (k, b))",
            "CREATE TABLE t (k TEXT, a INTEGER, b TEXT, c, PRIMARY KEY (k COLLATE RTRIM, a, b))",
            "CREATE TABLE t (k INTEGER PRIMARY KEY, a INTEGER, b TEXT, c ANY) STRICT",
            "CREATE TABLE t (k VARCHAR(10) UNIQUE, a INTEGER DEFAULT 3, b TEXT, c AS (a + 1))",
            "CREATE TABLE t (k BLOB, a FLOAT, b CHAR(3), c STRING, UNIQUE (a, k), UNIQUE (k))");
}

static void fill(struct sim *s, const char *table)
{
        bool generated = strstr(table, "c AS") != NULL;

        for (int i = 0; i < N_ROWS; i++) {
                struct buf b = BUF_INIT(0);
                char *sql;

                buf_printf(&b, "INSERT OR IGNORE INTO t (k, a, b%s) VALUES (",
                           generated ? "" : ", c");
                for (int k = 0; k < N_COLUMNS - generated; k++) {
                        buf_add_str(&b, k ? ", " : "");
                        add_value(&b);
                }
                buf_add_str(&b, ")");
                sql = buf_take_str(&b);
                sim_check(s, sql, false);
                free(sql);
        }
}

static void run_seed(unsigned seed, void *arg)
{
        static const unsigned shard_counts[] = { 2, 3, 8 };
        const char *table;
        struct sim *s;

        (void)arg;
        pick_seed(seed);
        s = sim_new(shard_counts[pick(ARRAY_LEN(shard_counts))]);
        table = make_table();
        has_large = !pick(3);
        sim_check(s, table, false);
        fill(s, table);
        for (int i = 0; i < N_QUERIES; i++) {
                bool ordered;
                char *sql = make_query(&ordered);

                sim_check(s, sql, ordered);
                free(sql);
        }
        sim_free(s);
}

START_TEST(random_queries)
{
        sim_each_seed(N_SEEDS, N_LONG_SEEDS, run_seed, NULL);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_random");
        TCase *tc = tcase_create("plan_random");

        tcase_set_timeout(tc, 0);
        tcase_add_test(tc, random_queries);
        suite_add_tcase(suite, tc);
        return unit_run(suite);
}
