/* test_sqlite_now.c - every way to ask SQLite for the time, and that the VFS is otherwise the
 * default one. */
#include <check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/sqlite_now.h"
#include "tests/unit/unit.h"

/* 2021-03-04 05:06:07.890 UTC */
#define THEN INT64_C(1614834367890)

static sqlite3 *open_at(const char *path)
{
        sqlite3 *db = NULL;

        ck_assert_int_eq(sqlite_now_register(), SQLITE_OK);
        ck_assert_int_eq(
            sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, SQLITE_NOW_VFS),
            SQLITE_OK);
        return db;
}

static void exec(sqlite3 *db, const char *sql)
{
        ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                      sqlite3_errmsg(db));
}

/* The first column of the first row, in static storage. */
static const char *ask(sqlite3 *db, const char *sql)
{
        static char text[200];
        sqlite3_stmt *stmt = NULL;

        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s",
                      sqlite3_errmsg(db));
        ck_assert_msg(sqlite3_step(stmt) == SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
        snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(stmt, 0));
        sqlite3_finalize(stmt);
        return text;
}

static const struct {
        const char *sql, *want;
} cases[] = {
        { "SELECT CURRENT_TIMESTAMP", "2021-03-04 05:06:07" },
        { "SELECT CURRENT_DATE", "2021-03-04" },
        { "SELECT CURRENT_TIME", "05:06:07" },
        { "SELECT datetime('now')", "2021-03-04 05:06:07" },
        { "SELECT datetime()", "2021-03-04 05:06:07" },
        { "SELECT date('now', '+1 day')", "2021-03-05" },
        { "SELECT time('now')", "05:06:07" },
        { "SELECT strftime('%s', 'now')", "1614834367" },
        { "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')", "2021-03-04 05:06:07.890" },
        { "SELECT unixepoch()", "1614834367" },
        { "SELECT printf('%.8f', julianday('now'))", "2459277.71259132" },
        { "SELECT julianday('now') = julianday(1614834367.890, 'unixepoch')", "1" },
        { "SELECT count(DISTINCT julianday('now')) FROM (VALUES (1), (2), (3)) ORDER BY random()",
          "1" },
};

START_TEST(now_case)
{
        sqlite3 *db = open_at(":memory:");

        sqlite_now_set(THEN);
        ck_assert_str_eq(ask(db, cases[_i].sql), cases[_i].want);
        sqlite3_close(db);
}
END_TEST

START_TEST(defaults_and_triggers)
{
        sqlite3 *db = open_at(":memory:");

        exec(db, "CREATE TABLE t (a, at DEFAULT CURRENT_TIMESTAMP);"
                 "CREATE TABLE log (at);"
                 "CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES "
                 "(datetime('now')); END");
        sqlite_now_set(THEN);
        exec(db, "INSERT INTO t (a) VALUES (1), (2)");
        sqlite_now_set(0);
        ck_assert_str_eq(
            ask(db, "SELECT group_concat(at) FROM (SELECT at FROM t UNION ALL SELECT at FROM log)"),
            "2021-03-04 05:06:07,2021-03-04 05:06:07,2021-03-04 05:06:07,2021-03-04 05:06:07");
        sqlite3_close(db);
}
END_TEST

/* The answer is kept within a step and asked for again in the next, also of the same statement. */
START_TEST(each_step_asks_again)
{
        sqlite3 *db = open_at(":memory:");
        sqlite3_stmt *stmt = NULL;

        ck_assert_int_eq(
            sqlite3_prepare_v2(db, "SELECT strftime('%s', 'now') FROM (VALUES (1), (2), (3))", -1,
                               &stmt, NULL),
            SQLITE_OK);
        for (int i = 0; i < 3; i++) {
                sqlite_now_set(THEN);
                ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
                ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "1614834367");
        }
        sqlite3_reset(stmt);
        sqlite_now_set(THEN + 5000);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "1614834372");
        sqlite3_finalize(stmt);
        sqlite3_close(db);
}
END_TEST

static void *ask_elsewhere(void *arg)
{
        sqlite3 *db = open_at(":memory:");
        long at = atol(ask(db, "SELECT strftime('%s', 'now')"));

        *(bool *)arg = at > THEN / 1000 + 1000000;
        sqlite3_close(db);
        return NULL;
}

START_TEST(other_threads_have_the_clock)
{
        bool is_now = false;
        pthread_t thread;

        sqlite_now_set(THEN);
        ck_assert_int_eq(pthread_create(&thread, NULL, ask_elsewhere, &is_now), 0);
        pthread_join(thread, NULL);
        ck_assert(is_now);
}
END_TEST

START_TEST(unset_is_the_clock)
{
        sqlite3 *db = open_at(":memory:");
        long at, before = (long)(wall_us() / 1000000), after;

        sqlite_now_set(THEN);
        sqlite_now_set(0);
        at = atol(ask(db, "SELECT strftime('%s', 'now')"));
        after = (long)(wall_us() / 1000000);
        ck_assert_msg(before <= at && at <= after, "%ld, %ld, %ld", before, at, after);
        sqlite3_close(db);
}
END_TEST

START_TEST(is_not_the_default)
{
        sqlite3 *db = NULL;

        ck_assert_int_eq(sqlite_now_register(), SQLITE_OK);
        ck_assert_int_eq(sqlite_now_register(), SQLITE_OK);
        ck_assert_str_ne(sqlite3_vfs_find(NULL)->zName, SQLITE_NOW_VFS);
        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        sqlite_now_set(THEN);
        ck_assert_str_ne(ask(db, "SELECT CURRENT_DATE"), "2021-03-04");
        sqlite3_close(db);
}
END_TEST

/* Files, locks, WAL and shared memory go through: two connections, one with each VFS, see each
 * other's writes. */
START_TEST(files_go_through)
{
        char dir[80], path[100], command[120];
        sqlite3 *db, *plain = NULL;

        unit_temp_template(dir, sizeof dir, "shoal-now");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/db", dir);
        db = open_at(path);
        ck_assert_str_eq(ask(db, "PRAGMA journal_mode = WAL"), "wal");
        exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(20)); BEGIN IMMEDIATE");
        ck_assert_int_eq(sqlite3_open(path, &plain), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(plain, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
        exec(db, "INSERT INTO t VALUES (1); COMMIT");
        ck_assert_str_eq(ask(plain, "SELECT count(*) FROM t"), "2");
        exec(plain, "INSERT INTO t VALUES (2)");
        ck_assert_str_eq(ask(db, "SELECT count(*) FROM t"), "3");
        ck_assert_str_eq(ask(db, "PRAGMA integrity_check"), "ok");
        sqlite3_close(plain);
        sqlite3_close(db);
        ck_assert_int_ne(access(path, F_OK), -1);
        snprintf(command, sizeof command, "rm -rf %s", dir);
        ck_assert_int_eq(system(command), 0);
}
END_TEST

static Suite *sqlite_now_suite(void)
{
        Suite *s = suite_create("sqlite_now");
        TCase *t = tcase_create("sqlite_now");

        tcase_add_loop_test(t, now_case, 0, ARRAY_LEN(cases));
        tcase_add_test(t, defaults_and_triggers);
        tcase_add_test(t, each_step_asks_again);
        tcase_add_test(t, other_threads_have_the_clock);
        tcase_add_test(t, unset_is_the_clock);
        tcase_add_test(t, is_not_the_default);
        tcase_add_test(t, files_go_through);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(sqlite_now_suite());
}
