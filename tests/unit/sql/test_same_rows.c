/* test_same_rows.c - random queries and changes of a small database: what the printer and what the
 * normaliser make of them does the same to it as they do themselves. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/sql/generate.h"
#include "tests/unit/sql/same_rows.h"
#include "tests/unit/unit.h"

static uint64_t n_statements(void)
{
        const char *n = getenv("SHOAL_SQL_STATEMENTS");

        if (n)
                return strtoull(n, NULL, 10);
        return unit_is_long() ? 200000 : 2000;
}

static void fill(struct same_rows *s)
{
        static const char *const statements[] = {
                "DELETE FROM t",
                "DELETE FROM u",
                "DELETE FROM v",
                "INSERT INTO t VALUES (1, 'x', 2.5), (2, 'Y', NULL), (2, '2', x'00ff')",
                "INSERT INTO t VALUES (NULL, 3, 'it''s'), ('1', 1, 1)",
                "INSERT INTO u VALUES (1, 2), (2, 'z'), (2.5, NULL)",
                "INSERT INTO v VALUES (1, 'one'), (2, 'two'), (3, NULL), (10, 'TEN')",
        };

        for (size_t i = 0; i < ARRAY_LEN(statements); i++)
                ck_assert_ptr_null(same_rows_check(s, statements[i], strlen(statements[i])));
}

START_TEST(random_statements)
{
        const char *first = getenv("SHOAL_SQL_SEED");
        cleanup_(buf_done) struct buf sql = BUF_INIT(0);
        uint64_t n = n_statements();
        struct same_rows s;

        same_rows_init(&s);
        for (uint64_t i = 0; i < n; i++) {
                uint64_t seed = (first ? strtoull(first, NULL, 10) : 1) + i;
                const char *wrong;

                if (i % 100 == 0)
                        fill(&s);
                generate_tame(&seed, &sql);
                wrong = same_rows_check(&s, (const char *)sql.data, sql.n_bytes);
                ck_assert_msg(!wrong, "%s\n%s", (const char *)sql.data, wrong);
        }
        ck_assert_uint_gt(s.n_normalized * 3, n);
        ck_assert_uint_gt(s.n_done * 3, n);
        same_rows_done(&s);
}
END_TEST

static Suite *same_rows_suite(void)
{
        Suite *s = suite_create("same_rows");
        TCase *t = tcase_create("same_rows");

        tcase_set_timeout(t, 0);
        tcase_add_test(t, random_statements);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(same_rows_suite());
}
