/* test_differential.c - random statements, whole and damaged: what SQLite's parser takes we take
 * and print unharmed, what it refuses we refuse in the same words at the same place. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "sql/parse.h"
#include "tests/unit/sql/generate.h"
#include "tests/unit/sql/oracle.h"
#include "tests/unit/unit.h"

/* More with SHOAL_TEST_LONG=1; as many as one likes with SHOAL_SQL_STATEMENTS. */
static uint64_t n_statements(void)
{
        const char *n = getenv("SHOAL_SQL_STATEMENTS");

        if (n)
                return strtoull(n, NULL, 10);
        return unit_is_long() ? 200000 : 1500;
}

static uint64_t first_seed(void)
{
        const char *n = getenv("SHOAL_SQL_SEED");

        return n ? strtoull(n, NULL, 10) : 1;
}

/* A verdict by SQLite on the statement as it was generated must be a good one most of the time, or
 * the test shows little. */
START_TEST(whole)
{
        cleanup_(buf_done) struct buf sql = BUF_INIT(0);
        sqlite3 *db = oracle_open();
        uint64_t n = n_statements();
        uint64_t n_syntax = 0;

        for (uint64_t i = 0; i < n; i++) {
                uint64_t seed = first_seed() + i;
                struct oracle_answer answer;
                const char *wrong;

                generate_statement(&seed, &sql);
                wrong = oracle_compare(db, (const char *)sql.data, sql.n_bytes);
                ck_assert_msg(!wrong, "seed %llu: %s\n%s", (unsigned long long)(first_seed() + i),
                              (const char *)sql.data, wrong);
                oracle_ask(db, (const char *)sql.data, sql.n_bytes, &answer);
                n_syntax += answer.verdict == VERDICT_SYNTAX;
        }
        ck_assert_uint_lt(n_syntax * 2, n);
        sqlite3_close(db);
}
END_TEST

START_TEST(damaged)
{
        cleanup_(buf_done) struct buf sql = BUF_INIT(0);
        sqlite3 *db = oracle_open();

        for (uint64_t i = 0; i < 2 * n_statements(); i++) {
                uint64_t seed = first_seed() + i / 2;
                const char *wrong;

                generate_statement(&seed, &sql);
                seed += i;
                generate_damage(&seed, &sql);
                if (i % 3 == 0)
                        generate_damage(&seed, &sql);
                wrong = oracle_compare(db, (const char *)sql.data, sql.n_bytes);
                ck_assert_msg(!wrong, "%s\n%s", (const char *)sql.data, wrong);
        }
        sqlite3_close(db);
}
END_TEST

static Suite *differential_suite(void)
{
        Suite *s = suite_create("differential");
        TCase *t = tcase_create("differential");

        tcase_set_timeout(t, 0);
        tcase_add_test(t, whole);
        tcase_add_test(t, damaged);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(differential_suite());
}
