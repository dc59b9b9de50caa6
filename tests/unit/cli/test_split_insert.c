/* test_split_insert.c - INSERTs of several rows taken apart, and what must be left alone. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/split_insert.h"
#include "common/util.h"
#include "tests/unit/unit.h"

enum { ARENA_BYTES = 1 << 20 };

/* clang-format off */
static const struct {
        const char *label, *sql;
        const char *want; /* the statements, a newline behind each; "": it is none to split */
} cases[] = {
        { "two rows", "INSERT INTO t VALUES (1), (2);", "INSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2);\n" },
        { "names", "INSERT INTO [main].[a b] ([c], \"d\") VALUES (1, 'x'),(2,'y')",
          "INSERT INTO [main].[a b] ([c], \"d\") VALUES (1, 'x')\nINSERT INTO [main].[a b] ([c], \"d\") VALUES (2,'y')\n" },
        { "nested", "REPLACE INTO t VALUES ((1), f((2,3)>(1,2), ')')), (4, '),(')",
          "REPLACE INTO t VALUES ((1), f((2,3)>(1,2), ')'))\nREPLACE INTO t VALUES (4, '),(')\n" },
        { "upsert", "INSERT INTO t VALUES (1),(2) ON CONFLICT (a) DO UPDATE SET a = 3;",
          "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 3;\n"
          "INSERT INTO t VALUES (2) ON CONFLICT (a) DO UPDATE SET a = 3;\n" },
        { "comments", "INSERT /* x */ OR IGNORE INTO t VALUES -- y\n (1) /* z */ , (2)",
          "INSERT /* x */ OR IGNORE INTO t VALUES -- y\n (1)\nINSERT /* x */ OR IGNORE INTO t VALUES -- y\n (2)\n" },
        { "WITH", "WITH c AS (SELECT 1) INSERT INTO t VALUES ((SELECT * FROM c)), (2)",
          "WITH c AS (SELECT 1) INSERT INTO t VALUES ((SELECT * FROM c))\nWITH c AS (SELECT 1) INSERT INTO t VALUES (2)\n" },
        { "one row", "INSERT INTO t VALUES (1)", "" },
        { "DEFAULT VALUES", "INSERT INTO t DEFAULT VALUES", "" },
        { "SELECT", "INSERT INTO t SELECT 1 UNION SELECT 2", "" },
        { "VALUES UNION", "INSERT INTO t VALUES (1), (2) UNION VALUES (3), (4)", "" },
        { "RETURNING", "INSERT INTO t VALUES (1), (2) RETURNING a", "" },
        { "EXPLAIN", "EXPLAIN INSERT INTO t VALUES (1), (2)", "" },
        { "a query", "VALUES (1), (2)", "" },
        { "an update", "UPDATE t SET a = 1", "" },
        { "an error", "INSERT INTO t VALUES (1), (2", "" },
        { "nothing", "", "" },
};
/* clang-format on */

START_TEST(split_case)
{
        cleanup_(arena_freep) struct arena *a = arena_new(ARENA_BYTES);
        const char *sql = cases[_i].sql;
        cleanup_(freep) char *got = NULL;
        struct split_insert split;
        struct buf b = BUF_INIT(0);

        if (split_insert_parse(a, sql, strlen(sql), &split)) {
                for (size_t i = 0; i < split.n_rows; i++) {
                        split_insert_row(&b, sql, &split, i);
                        buf_add_byte(&b, '\n');
                }
        }
        got = buf_take_str(&b);
        ck_assert_msg(strcmp(got, cases[_i].want) == 0, "%s: <%s>, not <%s>", cases[_i].label, got,
                      cases[_i].want);
}
END_TEST

START_TEST(refusals)
{
        struct err spans = { .code = ERR_UNIMPLEMENTED, .reason = "WRITE_SPANS_SHARDS" };
        struct err other = { .code = ERR_UNIMPLEMENTED, .reason = "JOIN" };
        struct err reason = { .code = ERR_INVALID, .reason = "WRITE_SPANS_SHARDS" };

        struct err large = { .code = ERR_EXHAUSTED };

        ck_assert(split_insert_applies(&spans));
        ck_assert(split_insert_applies(&large));
        ck_assert(!split_insert_applies(&other));
        ck_assert(!split_insert_applies(&reason));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("cli/split_insert");
        TCase *t = tcase_create("split_insert");

        tcase_add_loop_test(t, split_case, 0, ARRAY_LEN(cases));
        tcase_add_test(t, refusals);
        suite_add_tcase(s, t);
        return unit_run(s);
}
