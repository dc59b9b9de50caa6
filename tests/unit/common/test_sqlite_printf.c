/* test_sqlite_printf.c - printf() as SQLite's own up to the limit, an error beyond it; and that no
 * other function gives a wrong value there. */
#include <check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/sqlite_printf.h"
#include "common/util.h"
#include "tests/unit/unit.h"

enum { LIMIT = 1000 };

/* ours: with the limit, and with our functions. */
static sqlite3 *open_db(bool ours)
{
        sqlite3 *db = NULL;

        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        if (ours) {
                ck_assert_int_eq(sqlite_printf_register(db), SQLITE_OK);
                sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LIMIT);
        }
        return db;
}

/* The value quoted, or "error N"; freed by the caller. */
static char *ask(sqlite3 *db, const char *expr)
{
        char *sql = sqlite3_mprintf("SELECT %s", expr), *answer;
        sqlite3_stmt *stmt = NULL;
        int rc;

        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", expr,
                      sqlite3_errmsg(db));
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
                answer = sqlite3_mprintf("error %d", rc);
        else
                answer = sqlite3_mprintf("%d %Q", sqlite3_column_type(stmt, 0),
                                         sqlite3_column_text(stmt, 0));
        sqlite3_finalize(stmt);
        sqlite3_free(sql);
        return answer;
}

static const char *const like_sqlite[] = {
        "printf()",
        "printf(NULL)",
        "printf(NULL, 1)",
        "printf('')",
        "printf('%s', '')",
        "printf('%s', NULL)",
        "printf('%n')",
        "printf('abc')",
        "format('%d %s %q %Q %w', 1, 'a', 'it''s', 'it''s', 'x\"y')",
        "printf('%5d|%-5d|%05d|%+d|%,d', 7, 7, 7, 7, 1234567)",
        "printf('%.3f %e %g %!.20g', 1.5, 1.5, 1.5, 0.1)",
        "printf('%x %X %o %c %%', 255, 255, 8, 'xyz')",
        "printf('%d', '12abc')",
        "printf('%d', 9223372036854775807)",
        "printf('%s', x'414200')",
        "printf(x'256400', 5)",
        "printf(5)",
        "printf(1.5)",
        "printf('%s %s', 'a')",
        "printf('%*d|%-*d|%.*s', 5, 1, 5, 2, 2, 'abc')",
        "printf('%!.2s', 'äöü')",
        "printf('a' || char(0) || 'b')",
        "typeof(printf(char(0)))",
        "printf(printf('%%%s', 'd'), 3)",
        "printf('%.*c', 999, 'x')",
        "printf('%.*c', 1000, 'x')",
        "printf('%1000d', 1)",
        "printf('%s', zeroblob(10))",
};

START_TEST(same_as_sqlite)
{
        sqlite3 *plain = open_db(false), *ours = open_db(true);
        char *want = ask(plain, like_sqlite[_i]), *got = ask(ours, like_sqlite[_i]);

        ck_assert_msg(strcmp(want, got) == 0, "%s: %s instead of %s", like_sqlite[_i], got, want);
        sqlite3_free(want);
        sqlite3_free(got);
        sqlite3_close(plain);
        sqlite3_close(ours);
}
END_TEST

/* All of SQLite's functions that can make much of little. */
static const char *const too_large[] = {
        "printf('%.*c', 1001, 'x')",
        "printf('%.*c', 200000000, 'x') IS NULL",
        "format('%.*c', 200000000, 'x')",
        "printf('%1001d', 1)",
        "printf('%.1001d', 1)",
        "printf('%.1001f', 1.0)",
        "printf('%s%.401c', printf('%.600c', 'x'), 'x')",
        "printf('%s%s', printf('%.600c', 'x'), printf('%.600c', 'x'))",
        "printf('%Q', printf('%.600c', ''''))",
        "coalesce(printf('%.*c', 2000, 'x'), 'wrong')",
        "zeroblob(1001)",
        "hex(zeroblob(501))",
        "quote(zeroblob(501))",
        "randomblob(1001)",
        "zeroblob(600) || zeroblob(600)",
        "printf('%.600c', 'x') || printf('%.600c', 'x')",
        "replace(printf('%.600c', 'x'), 'x', 'xx')",
        "(SELECT group_concat(printf('%.600c', 'x')) FROM (SELECT 1 UNION ALL SELECT 2))",
        "(SELECT group_concat(printf('%.600c', 'x')) OVER () FROM (SELECT 1 UNION ALL SELECT 2))",
        "(SELECT json_group_array(printf('%.600c', 'x')) FROM (SELECT 1 UNION ALL SELECT 2))",
        "(SELECT json_group_object(a, printf('%.600c', 'x')) FROM (SELECT 1 AS a UNION SELECT 2))",
        "json_array(printf('%.600c', 'x'), printf('%.600c', 'x'))",
        "json_object('a', printf('%.600c', 'x'), 'b', printf('%.600c', 'x'))",
        "json_quote(printf('%.600c', '\"'))",
        "json_set('{}', '$.a', printf('%.600c', 'x'), '$.b', printf('%.600c', 'x'))",
        "json_insert(json_array(printf('%.600c', 'x')), '$[1]', printf('%.600c', 'x'))",
        "strftime(replace(printf('%.100c', 'x'), 'x', '%Y-%m-%d %H:%M:%S'), 0)",
        "CAST(zeroblob(1001) AS TEXT)",
};

START_TEST(fails_beyond_the_limit)
{
        sqlite3 *db = open_db(true);
        char *got = ask(db, too_large[_i]);

        ck_assert_msg(strcmp(got, "error 18") == 0, "%s: %s", too_large[_i], got);
        sqlite3_free(got);
        /* What failed leaves nothing behind. */
        got = ask(db, "printf('%d', 1)");
        ck_assert_str_eq(got, "3 '1'");
        sqlite3_free(got);
        sqlite3_close(db);
}
END_TEST

/* It may stand where SQLite wants what never changes, and in a schema that is not trusted. */
START_TEST(in_a_schema)
{
        sqlite3 *db = open_db(true);
        char *got;

        ck_assert_int_eq(sqlite3_exec(db,
                                      "PRAGMA trusted_schema = OFF;"
                                      "CREATE TABLE t(a, g AS (printf('<%s>', a)) STORED,"
                                      " CHECK (printf('%d', a) <> '7'));"
                                      "CREATE INDEX i ON t(format('%05d', a));"
                                      "CREATE VIEW v AS SELECT printf('%03d', a) AS b FROM t;"
                                      "INSERT INTO t(a) VALUES (5)",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        got = ask(db, "g || (SELECT b FROM v) FROM t WHERE format('%05d', a) = '00005'");
        ck_assert_str_eq(got, "3 '<5>005'");
        sqlite3_free(got);
        sqlite3_close(db);
}
END_TEST

static void *use_it(void *arg unused_)
{
        sqlite3 *db = open_db(true);
        char *got = ask(db, "printf('%d', 1)");

        ck_assert_str_eq(got, "3 '1'");
        sqlite3_free(got);
        sqlite3_close(db);
        return NULL;
}

/* What a thread keeps goes with it. */
START_TEST(threads)
{
        pthread_t t[4];

        for (size_t i = 0; i < ARRAY_LEN(t); i++)
                ck_assert_int_eq(pthread_create(&t[i], NULL, use_it, NULL), 0);
        for (size_t i = 0; i < ARRAY_LEN(t); i++)
                ck_assert_int_eq(pthread_join(t[i], NULL), 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("common/sqlite_printf");
        TCase *t = tcase_create("sqlite_printf");

        tcase_add_loop_test(t, same_as_sqlite, 0, ARRAY_LEN(like_sqlite));
        tcase_add_loop_test(t, fails_beyond_the_limit, 0, ARRAY_LEN(too_large));
        tcase_add_test(t, in_a_schema);
        tcase_add_test(t, threads);
        suite_add_tcase(s, t);
        return unit_run(s);
}
