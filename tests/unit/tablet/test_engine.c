/* test_engine.c - statements on one shard: results, errors, limits, and what lasts. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

static struct env env;

static void set_up(void)
{
        env_init(&env);
        env_open(&env);
        ck_assert_str_eq(env_schema(&env, 1, NULL,
                                    "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT UNIQUE);"
                                    "CREATE TABLE n(x NOT NULL); CREATE INDEX n_x ON n(x)",
                                    "DROP TABLE t", false),
                         "OK");
        env.schema_version = 1;
}

static void tear_down(void)
{
        env_done(&env);
}

/* Rows run in order on one shard. r: as a read, w: as a write. */
static const struct {
        char kind;
        const char *sql, *want;
} statements[] = {
        { 'w', "INSERT INTO t VALUES (1, 'a')", "changes=1 id=1 " },
        { 'w', "INSERT INTO t VALUES (2, 'b'), (3, 'c')", "changes=2 id=3 " },
        { 'w', "UPDATE t SET v = v || 'x' WHERE id > 1", "changes=2 " },
        { 'w', "INSERT INTO t(v) VALUES ('r') RETURNING id, v", "4|r;changes=1 id=4 " },
        { 'r', "SELECT * FROM t ORDER BY id", "1|a;2|bx;3|cx;4|r;" },
        { 'r', "SELECT count(*) FROM t WHERE 0", "0;" },
        { 'r', "SELECT 1 WHERE 0", "" },
        { 'w', "INSERT INTO t VALUES (1, 'z')",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_PRIMARYKEY" },
        { 'w', "INSERT INTO t VALUES (9, 'a')", "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE" },
        { 'w', "INSERT OR IGNORE INTO t VALUES (9, 'a')", "" },
        { 'w', "INSERT OR REPLACE INTO t VALUES (9, 'a')", "changes=1 id=9 " },
        { 'r', "SELECT id FROM t WHERE v = 'a'", "9;" },
        { 'w', "DELETE FROM t WHERE id = 9", "changes=1 " },
        { 'w', "INSERT INTO n VALUES (1), (NULL)",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_NOTNULL" },
        { 'r', "SELECT count(*) FROM n", "0;" },
        /* As in SQLite, OR FAIL keeps what came before. */
        { 'w', "INSERT OR FAIL INTO n VALUES (1), (2), (NULL), (3)",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_NOTNULL" },
        { 'r', "SELECT x FROM n ORDER BY x", "1;2;" },
        { 'w', "INSERT OR ROLLBACK INTO n VALUES (7), (NULL)",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_NOTNULL" },
        { 'r', "SELECT x FROM n ORDER BY x", "1;2;" },
        { 'w', "SELECT 5", "5;" },
        { 'r', "SELECT * FROM", "INVALID_ARGUMENT SYNTAX_ERROR" },
        { 'r', "SELECT * FROM missing", "NOT_FOUND NO_SUCH_TABLE" },
        { 'w', "INSERT INTO missing VALUES (1)", "NOT_FOUND NO_SUCH_TABLE" },
        { 'r', "DELETE FROM t", "INVALID_ARGUMENT NOT_READ_ONLY" },
        { 'r', "SELECT 1; SELECT 2", "INVALID_ARGUMENT SEVERAL_STATEMENTS" },
        { 'w', "DELETE FROM t; DELETE FROM t", "INVALID_ARGUMENT SEVERAL_STATEMENTS" },
        { 'r', "SELECT 1 ; -- and that is all", "1;" },
        { 'r', "SELECT 1;;", "1;" },
        { 'r', "", "INVALID_ARGUMENT EMPTY_STATEMENT" },
        { 'r', "-- nothing", "INVALID_ARGUMENT EMPTY_STATEMENT" },
        { 'w', "", "INVALID_ARGUMENT EMPTY_STATEMENT" },
        { 'r', "SELECT ?1", "INVALID_ARGUMENT BAD_PARAMETERS" },
        { 'r', "SELECT strftime('%s', 'now')", "1700000000;" },
        { 'w', "UPDATE t SET v = CURRENT_TIMESTAMP WHERE id = 4 RETURNING v",
          "2023-11-14 22:13:20;changes=1 " },
        { 'r', "SELECT last_insert_rowid()", "0;" },
        { 'w', "UPDATE t SET v = last_insert_rowid() WHERE id = 2 RETURNING v", "0;changes=1 " },
        { 'r', "SELECT count(*) FROM t", "3;" },
};

START_TEST(statements_in_order)
{
        for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
                const char *got = statements[i].kind == 'r' ? env_read(&env, statements[i].sql)
                                                            : env_write(&env, statements[i].sql);

                ck_assert_msg(strcmp(got, statements[i].want) == 0, "%s: %s (%s), not %s",
                              statements[i].sql, got, env_message(), statements[i].want);
        }
}
END_TEST

START_TEST(what_was_written_lasts)
{
        ck_assert_str_eq(env_write(&env, "INSERT INTO t VALUES (1, 'a')"), "changes=1 id=1 ");
        env_close(&env);
        env_open(&env);
        ck_assert_str_eq(env_read(&env, "SELECT * FROM t"), "1|a;");
        ck_assert_str_eq(env_write(&env, "INSERT INTO t VALUES (2, 'b')"), "changes=1 id=2 ");
        env_crash(&env);
        env_open(&env);
        ck_assert_str_eq(env_read(&env, "SELECT * FROM t ORDER BY id"), "1|a;2|b;");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("engine");
        TCase *t = tcase_create("shard");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, statements_in_order);
        tcase_add_test(t, what_was_written_lasts);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
