/* test_partial_agg.c - sums in pieces against SQLite's own over the whole. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/partial_agg.h"
#include "common/util.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

static sqlite3 *open_db(void)
{
        sqlite3 *db = NULL;

        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        ck_assert_int_eq(partial_agg_register(db), SQLITE_OK);
        return db;
}

static void exec(sqlite3 *db, const char *sql)
{
        ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                      sqlite3_errmsg(db));
}

/* "integer:7 real:7.0 real:3.5", or the error; in static storage. */
static const char *ask(sqlite3 *db, const char *sql)
{
        static char text[300];
        sqlite3_stmt *stmt = NULL;

        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                      sqlite3_errmsg(db));
        if (sqlite3_step(stmt) == SQLITE_ROW)
                snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(stmt, 0));
        else
                snprintf(text, sizeof text, "%s", sqlite3_errmsg(db));
        sqlite3_finalize(stmt);
        return text;
}

#define TYPED(f) "typeof(" f ") || ':' || ifnull(" f ", '')"
/* Three shards, of which one has no rows, and groups of none. */
#define PIECES                                                             \
        "(SELECT _shoal_sum_part(x) AS p FROM t WHERE shard = 0 UNION ALL" \
        " SELECT _shoal_sum_part(x) FROM t WHERE shard = 1 UNION ALL"      \
        " SELECT _shoal_sum_part(x) FROM t WHERE shard = 2)"

static const struct {
        const char *label, *rows, *want; /* want NULL: what SQLite answers over the whole */
} cases[] = {
        { "nothing", "", NULL },
        { "only NULL", "(0, NULL), (1, NULL)", NULL },
        { "integers", "(0, 1), (0, 2), (1, 40)", NULL },
        { "NULL in between", "(0, 1), (0, NULL), (1, NULL), (1, 4)", NULL },
        { "reals", "(0, 1.5), (1, 2.25)", NULL },
        { "an integer and a real", "(0, 1), (1, 2.5)", NULL },
        { "text that is a number", "(0, '12'), (1, ' 3 ')", NULL },
        { "text that is none", "(0, 'abc'), (1, 4)", NULL },
        { "text that begins as one", "(0, '5abc'), (1, 4)", NULL },
        { "blobs", "(0, x'31'), (1, 4)", NULL },
        { "largest", "(0, 9223372036854775807), (1, 0)", NULL },
        { "smallest", "(0, -9223372036854775808), (1, 0)", NULL },
        { "infinity", "(0, 9e999), (1, 1)", NULL },
        { "both infinities", "(0, 9e999), (1, -9e999)", NULL },
        { "overflow", "(0, 9223372036854775807), (1, 1)", "integer overflow" },
        { "overflow below", "(0, -9223372036854775808), (1, -1)", "integer overflow" },
        /* SQLite's own sum() fails here for a prefix, depending on the order */
        { "overflow of a part only", "(0, 9223372036854775807), (0, 5), (1, -5)",
          "integer:9223372036854775807" },
        { "no overflow with a real", "(0, 9223372036854775807), (1, 5), (1, 0.0)",
          "real:9.22337203685478e+18" },
};

START_TEST(sum_case)
{
        static const struct {
                const char *plain, *merged;
        } functions[] = {
                { "SELECT " TYPED("sum(x)") " FROM t",
                  "SELECT " TYPED("_shoal_sum(p)") " FROM " PIECES },
                { "SELECT " TYPED("total(x)") " FROM t",
                  "SELECT " TYPED("_shoal_total(p)") " FROM " PIECES },
                { "SELECT " TYPED("avg(x)") " FROM t",
                  "SELECT " TYPED("_shoal_avg(p)") " FROM " PIECES },
        };
        sqlite3 *db = open_db();
        char sql[400];

        exec(db, "CREATE TABLE t (shard, x)");
        if (*cases[_i].rows) {
                snprintf(sql, sizeof sql, "INSERT INTO t VALUES %s", cases[_i].rows);
                exec(db, sql);
        }
        for (size_t i = 0; i < (cases[_i].want ? 1 : ARRAY_LEN(functions)); i++) {
                char want[300];

                snprintf(want, sizeof want, "%s",
                         cases[_i].want ? cases[_i].want : ask(db, functions[i].plain));
                ck_assert_msg(strcmp(ask(db, functions[i].merged), want) == 0,
                              "%s: \"%s\", not \"%s\"", cases[_i].label,
                              ask(db, functions[i].merged), want);
        }
        sqlite3_close(db);
}
END_TEST

static int64_t random_integer(uint64_t *state)
{
        return (int64_t)random_next(state) >> (random_next(state) % 64);
}

static double random_real(uint64_t *state)
{
        return ldexp((double)(int64_t)random_next(state), (int)(random_next(state) % 40) - 80);
}

static void insert_random(sqlite3 *db, uint64_t *state, bool reals, __int128 *ret_sum,
                          long double *ret_total, long double *ret_size)
{
        sqlite3_stmt *stmt = NULL;
        uint64_t n = 1 + random_next(state) % 50;

        *ret_sum = 0;
        *ret_total = *ret_size = 0;
        ck_assert_int_eq(sqlite3_prepare_v2(db, "INSERT INTO t VALUES (?1, ?2)", -1, &stmt, NULL),
                         SQLITE_OK);
        for (uint64_t i = 0; i < n; i++) {
                int64_t v = random_integer(state);
                double d = random_real(state);

                sqlite3_bind_int64(stmt, 1, (int64_t)(random_next(state) % 3));
                if (reals)
                        sqlite3_bind_double(stmt, 2, d);
                else
                        sqlite3_bind_int64(stmt, 2, v);
                *ret_sum += v;
                *ret_total += reals ? (long double)d : (long double)v;
                *ret_size += fabsl(reals ? (long double)d : (long double)v);
                sqlite3_step(stmt);
                sqlite3_reset(stmt);
        }
        sqlite3_finalize(stmt);
}

/* Integers: exactly the sum, or an error exactly when it does not fit. */
START_TEST(random_integers)
{
        sqlite3 *db = open_db();
        uint64_t state = 5;
        int n_over = 0;

        exec(db, "CREATE TABLE t (shard, x)");
        for (int round = 0; round < 500; round++) {
                long double total, size;
                char want[60];
                __int128 sum;

                exec(db, "DELETE FROM t; BEGIN");
                insert_random(db, &state, false, &sum, &total, &size);
                exec(db, "COMMIT");
                if (sum > INT64_MAX || sum < INT64_MIN) {
                        snprintf(want, sizeof want, "integer overflow");
                        n_over++;
                } else {
                        snprintf(want, sizeof want, "integer:%lld", (long long)sum);
                }
                if (strcmp(ask(db, "SELECT " TYPED("_shoal_sum(p)") " FROM " PIECES), want) != 0)
                        ck_abort_msg("round %d: not %s", round, want);
        }
        ck_assert_int_gt(n_over, 10);
        sqlite3_close(db);
}
END_TEST

/* Reals: as close to the true sum as its terms allow, closer than 1e-12 of their sizes. */
START_TEST(random_reals)
{
        sqlite3 *db = open_db();
        uint64_t state = 6;

        exec(db, "CREATE TABLE t (shard, x)");
        for (int round = 0; round < 300; round++) {
                long double total, size;
                sqlite3_stmt *stmt = NULL;
                __int128 sum;

                exec(db, "DELETE FROM t; BEGIN");
                insert_random(db, &state, true, &sum, &total, &size);
                exec(db, "COMMIT");
                sqlite3_prepare_v2(db, "SELECT _shoal_sum(p), _shoal_total(p) FROM " PIECES, -1,
                                   &stmt, NULL);
                ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
                for (int i = 0; i < 2; i++) {
                        double got = sqlite3_column_double(stmt, i);

                        if (fabsl(got - total) > size * 1e-15L + fabsl(total) * DBL_EPSILON)
                                ck_abort_msg("round %d: %.17g, not %.20Lg", round, got, total);
                }
                sqlite3_finalize(stmt);
        }
        sqlite3_close(db);
}
END_TEST

/* Adding terms of very different sizes loses nothing, whichever shard has them. */
START_TEST(cancellation)
{
        sqlite3 *db = open_db();

        exec(db, "CREATE TABLE t (shard, x); INSERT INTO t VALUES (0, 1e100), (0, 1.0), (1, 1.0), "
                 "(1, -1e100)");
        ck_assert_str_eq(ask(db, "SELECT _shoal_sum(p) FROM " PIECES), "2.0");
        sqlite3_close(db);
}
END_TEST

START_TEST(malformed_parts)
{
        sqlite3 *db = open_db();

        ck_assert_str_eq(ask(db, "SELECT _shoal_sum(x'00')"), "malformed partial sum");
        ck_assert_str_eq(ask(db, "SELECT _shoal_total(1)"), "malformed partial sum");
        ck_assert_str_eq(ask(db, "SELECT _shoal_avg(zeroblob(1000))"), "malformed partial sum");
        sqlite3_close(db);
}
END_TEST

static Suite *partial_agg_suite(void)
{
        Suite *s = suite_create("partial_agg");
        TCase *t = tcase_create("partial_agg");

        tcase_set_timeout(t, 20);
        tcase_add_loop_test(t, sum_case, 0, ARRAY_LEN(cases));
        tcase_add_test(t, random_integers);
        tcase_add_test(t, random_reals);
        tcase_add_test(t, cancellation);
        tcase_add_test(t, malformed_parts);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(partial_agg_suite());
}
