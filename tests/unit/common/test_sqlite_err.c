/* test_sqlite_err.c - what SQLite really answers, and what becomes of it. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/sqlite_err.h"
#include "tests/unit/unit.h"

static const char schema[] =
    "PRAGMA foreign_keys = 1;"
    "CREATE TABLE p (id INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL DEFAULT 0, c CHECK (c < 10));"
    "CREATE TABLE k (a TEXT PRIMARY KEY, p REFERENCES p) WITHOUT ROWID;"
    "CREATE TABLE s (i INTEGER) STRICT;"
    "CREATE INDEX ip ON p (c);"
    "CREATE VIEW v AS SELECT 1;"
    "CREATE TRIGGER tr BEFORE DELETE ON p BEGIN SELECT RAISE(ABORT, 'kept'); END;"
    "INSERT INTO p VALUES (1, 'x', 0, 1);"
    "INSERT INTO k VALUES ('a', 1);";

static const struct {
        const char *sql;
        enum err_code want;
        const char *reason;
        int extended_code, offset;
        const char *msg;
} cases[] = {
        { "INSERT INTO p VALUES (1, 'y', 0, 1)", ERR_PRECONDITION, "SQLITE_CONSTRAINT_PRIMARYKEY",
          SQLITE_CONSTRAINT_PRIMARYKEY, -1, "UNIQUE constraint failed: p.id" },
        { "INSERT INTO p VALUES (2, 'x', 0, 1)", ERR_PRECONDITION, "SQLITE_CONSTRAINT_UNIQUE",
          SQLITE_CONSTRAINT_UNIQUE, -1, "UNIQUE constraint failed: p.u" },
        { "INSERT INTO p VALUES (2, 'y', NULL, 1)", ERR_PRECONDITION, "SQLITE_CONSTRAINT_NOTNULL",
          SQLITE_CONSTRAINT_NOTNULL, -1, "NOT NULL constraint failed: p.n" },
        { "INSERT INTO p VALUES (2, 'y', 0, 10)", ERR_PRECONDITION, "SQLITE_CONSTRAINT_CHECK",
          SQLITE_CONSTRAINT_CHECK, -1, "CHECK constraint failed: c < 10" },
        { "INSERT INTO k VALUES ('b', 77)", ERR_PRECONDITION, "SQLITE_CONSTRAINT_FOREIGNKEY",
          SQLITE_CONSTRAINT_FOREIGNKEY, -1, "FOREIGN KEY constraint failed" },
        { "INSERT INTO k VALUES ('a', 1)", ERR_PRECONDITION, "SQLITE_CONSTRAINT_PRIMARYKEY",
          SQLITE_CONSTRAINT_PRIMARYKEY, -1, "UNIQUE constraint failed: k.a" },
        { "INSERT INTO s VALUES ('text')", ERR_PRECONDITION, "SQLITE_CONSTRAINT_DATATYPE",
          SQLITE_CONSTRAINT_DATATYPE, -1, "cannot store TEXT value in INTEGER column s.i" },
        { "DELETE FROM p", ERR_PRECONDITION, "SQLITE_CONSTRAINT_TRIGGER", SQLITE_CONSTRAINT_TRIGGER,
          -1, "kept" },
        { "INSERT INTO p (id) VALUES ('text')", ERR_PRECONDITION, "SQLITE_MISMATCH",
          SQLITE_MISMATCH, -1, "datatype mismatch" },
        { "SELECT * FROM nowhere", ERR_NOT_FOUND, "NO_SUCH_TABLE", SQLITE_ERROR, -1,
          "no such table: nowhere" },
        { "DROP TABLE nowhere", ERR_NOT_FOUND, "NO_SUCH_TABLE", SQLITE_ERROR, -1,
          "no such table: nowhere" },
        { "DROP INDEX nowhere", ERR_NOT_FOUND, "NO_SUCH_INDEX", SQLITE_ERROR, -1,
          "no such index: nowhere" },
        { "SELECT * FROM p INDEXED BY nowhere", ERR_NOT_FOUND, "NO_SUCH_INDEX", SQLITE_ERROR, -1,
          "no such index: nowhere" },
        { "DROP VIEW nowhere", ERR_NOT_FOUND, "NO_SUCH_VIEW", SQLITE_ERROR, -1,
          "no such view: nowhere" },
        { "DROP TRIGGER nowhere", ERR_NOT_FOUND, "NO_SUCH_TRIGGER", SQLITE_ERROR, -1,
          "no such trigger: nowhere" },
        { "CREATE TABLE p (a)", ERR_EXISTS, "ALREADY_EXISTS", SQLITE_ERROR, 13,
          "table p already exists" },
        { "CREATE INDEX ip ON p (u)", ERR_EXISTS, "ALREADY_EXISTS", SQLITE_ERROR, -1,
          "index ip already exists" },
        { "CREATE TABLE ip (a)", ERR_EXISTS, "ALREADY_EXISTS", SQLITE_ERROR, -1,
          "there is already an index named ip" },
        { "CREATE INDEX p ON k (a)", ERR_EXISTS, "ALREADY_EXISTS", SQLITE_ERROR, -1,
          "there is already a table named p" },
        { "CREATE VIEW v AS SELECT 2", ERR_EXISTS, "ALREADY_EXISTS", SQLITE_ERROR, 12,
          "view v already exists" },
        { "CREATE TRIGGER tr AFTER INSERT ON p BEGIN SELECT 1; END", ERR_EXISTS, "ALREADY_EXISTS",
          SQLITE_ERROR, 15, "trigger tr already exists" },
        { "SELEC 1", ERR_INVALID, "SYNTAX_ERROR", SQLITE_ERROR, 0, "near \"SELEC\": syntax error" },
        { "SELECT 1 FROM", ERR_INVALID, "SYNTAX_ERROR", SQLITE_ERROR, -1, "incomplete input" },
        { "SELECT 'open", ERR_INVALID, "SYNTAX_ERROR", SQLITE_ERROR, 7,
          "unrecognized token: \"'open\"" },
        { "SELECT id, absent FROM p", ERR_INVALID, "SQLITE_ERROR", SQLITE_ERROR, 11,
          "no such column: absent" },
        { "SELECT absent(1)", ERR_INVALID, "SQLITE_ERROR", SQLITE_ERROR, 7,
          "no such function: absent" },
        { "SELECT 1 COLLATE absent ORDER BY 1", ERR_INVALID, "SQLITE_ERROR_MISSING_COLLSEQ",
          SQLITE_ERROR_MISSING_COLLSEQ, -1, "no such collation sequence: absent" },
        { "SELECT abs(-9223372036854775808)", ERR_INVALID, "SQLITE_ERROR", SQLITE_ERROR, -1,
          "integer overflow" },
        { "SELECT json('{')", ERR_INVALID, "SQLITE_ERROR", SQLITE_ERROR, -1, "malformed JSON" },
        { "SELECT sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)", ERR_INVALID,
          "SQLITE_ERROR", SQLITE_ERROR, -1, "integer overflow" },
        { "SELECT zeroblob(2000000)", ERR_EXHAUSTED, "SQLITE_TOOBIG", SQLITE_TOOBIG, -1,
          "string or blob too big" },
        { "COMMIT", ERR_PRECONDITION, "SQLITE_ERROR", SQLITE_ERROR, -1,
          "cannot commit - no transaction is active" },
        { "ROLLBACK", ERR_PRECONDITION, "SQLITE_ERROR", SQLITE_ERROR, -1,
          "cannot rollback - no transaction is active" },
        { "RELEASE absent", ERR_PRECONDITION, "SQLITE_ERROR", SQLITE_ERROR, -1,
          "no such savepoint: absent" },
        { "WITH RECURSIVE f AS (SELECT 1 UNION ALL SELECT 2 FROM f) SELECT count(*) FROM f",
          ERR_CANCELLED, "SQLITE_INTERRUPT", SQLITE_INTERRUPT, -1, "interrupted" },
        { "SELECT load_extension('x')", ERR_DENIED, "NOT_ALLOWED", SQLITE_ERROR, -1,
          "not authorized" },
        { "ATTACH ':memory:' AS other", ERR_DENIED, "SQLITE_AUTH", SQLITE_AUTH, -1,
          "not authorized" },
        { "CREATE TABLE filler AS WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM "
          "n WHERE i < 999)"
          " SELECT zeroblob(10000) FROM n",
          ERR_EXHAUSTED, "DISK_FULL", SQLITE_FULL, -1, "database or disk is full" },
};

static int deny_attach(void *arg, int action, const char *a, const char *b, const char *c,
                       const char *d)
{
        return action == SQLITE_ATTACH ? SQLITE_DENY : SQLITE_OK;
}

static int stop(void *arg)
{
        return 1;
}

static sqlite3 *open_db(void)
{
        sqlite3 *db = NULL;

        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(db, schema, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1000000);
        ck_assert_int_eq(sqlite3_exec(db, "PRAGMA max_page_count = 500", NULL, NULL, NULL),
                         SQLITE_OK);
        sqlite3_set_authorizer(db, deny_attach, NULL);
        sqlite3_progress_handler(db, 100000, stop, NULL);
        return db;
}

/* SQLite's answer to the first statement that fails, at prepare or at step. */
static int run(sqlite3 *db, const char *sql)
{
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

        if (rc != SQLITE_OK)
                return rc;
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
                ;
        sqlite3_finalize(stmt); /* keeps the connection's error */
        return rc;
}

START_TEST(error_case)
{
        sqlite3 *db = open_db();
        struct err e = ERR_INIT;
        int rc = run(db, cases[_i].sql);

        ck_assert_msg(rc != SQLITE_DONE, "%s: no error", cases[_i].sql);
        ck_assert_msg(sqlite_err_set(&e, db, rc) == cases[_i].want, "%s: %s, %s", cases[_i].sql,
                      err_code_name(e.code), e.msg);
        ck_assert_int_eq(e.code, cases[_i].want);
        ck_assert_str_eq(e.reason, cases[_i].reason);
        ck_assert_str_eq(e.msg, cases[_i].msg);
        ck_assert_str_eq(e.sqlite_msg, cases[_i].msg);
        ck_assert_int_eq(e.extended_code, cases[_i].extended_code);
        ck_assert_int_eq(e.offset, cases[_i].offset);
        ck_assert_int_eq(sqlite_err_set(NULL, db, rc), cases[_i].want);
        sqlite3_close(db);
}
END_TEST

/* Codes that are hard to provoke, without a connection. */
static const struct {
        int rc;
        enum err_code want;
        const char *reason;
} bare[] = {
        { SQLITE_IOERR_FSYNC, ERR_UNAVAILABLE, "DISK_IO_ERROR" },
        { SQLITE_IOERR, ERR_UNAVAILABLE, "DISK_IO_ERROR" },
        { SQLITE_IOERR_NOMEM, ERR_EXHAUSTED, "SQLITE_IOERR_NOMEM" },
        { SQLITE_NOMEM, ERR_EXHAUSTED, "SQLITE_NOMEM" },
        { SQLITE_CORRUPT, ERR_DATA_LOSS, "SQLITE_CORRUPT" },
        { SQLITE_CORRUPT_INDEX, ERR_DATA_LOSS, "SQLITE_CORRUPT_INDEX" },
        { SQLITE_NOTADB, ERR_DATA_LOSS, "SQLITE_NOTADB" },
        { SQLITE_BUSY, ERR_UNAVAILABLE, "SQLITE_BUSY" },
        { SQLITE_BUSY_SNAPSHOT, ERR_UNAVAILABLE, "SQLITE_BUSY_SNAPSHOT" },
        { SQLITE_CANTOPEN_ISDIR, ERR_UNAVAILABLE, "SQLITE_CANTOPEN_ISDIR" },
        { SQLITE_READONLY, ERR_PRECONDITION, "SQLITE_READONLY" },
        { SQLITE_RANGE, ERR_INVALID, "SQLITE_RANGE" },
        { SQLITE_MISUSE, ERR_INTERNAL, "SQLITE_MISUSE" },
        { SQLITE_SCHEMA, ERR_ABORTED, "SQLITE_SCHEMA" },
        { SQLITE_FULL | 7 << 8, ERR_EXHAUSTED, "DISK_FULL" }, /* an extended code still to come */
        { SQLITE_CONSTRAINT | 99 << 8, ERR_PRECONDITION, "SQLITE_CONSTRAINT" },
        { 77, ERR_INTERNAL, "SQLITE_UNKNOWN" },
};

START_TEST(bare_case)
{
        struct err e = ERR_INIT;

        ck_assert_int_eq(sqlite_err_set(&e, NULL, bare[_i].rc), bare[_i].want);
        ck_assert_str_eq(e.reason, bare[_i].reason);
        ck_assert_str_eq(e.msg, sqlite3_errstr(bare[_i].rc));
        ck_assert_int_eq(e.extended_code, bare[_i].rc);
}
END_TEST

/* A code that the connection knows absent of does not borrow the message of an earlier error. */
START_TEST(stale_message)
{
        sqlite3 *db = open_db();
        struct err e = ERR_INIT;

        ck_assert_int_eq(run(db, "INSERT INTO p VALUES (1, 'y', 0, 1)"), SQLITE_CONSTRAINT);
        ck_assert_int_eq(sqlite_err_set(&e, db, SQLITE_MISUSE), ERR_INTERNAL);
        ck_assert_str_eq(e.msg, "bad parameter or other API misuse");
        ck_assert_int_eq(e.extended_code, SQLITE_MISUSE);
        sqlite3_close(db);
}
END_TEST

static void overwrite(const char *path, long at, const char *bytes)
{
        FILE *f = fopen(path, "r+b");

        ck_assert_ptr_nonnull(f);
        fseek(f, at, SEEK_SET);
        fputs(bytes, f);
        fclose(f);
}

/* A real file, damaged. */
START_TEST(damaged_file)
{
        char path[80];
        sqlite3 *db = NULL;
        struct err e = ERR_INIT;

        unit_temp_template(path, sizeof path, "shoal-sqlite");
        close(mkstemp(path));
        ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
        ck_assert_int_eq(
            sqlite3_exec(db, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", NULL, NULL, NULL),
            SQLITE_OK);
        sqlite3_close(db);
        overwrite(path, 4096, "rubbish"); /* the table's page */
        ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
        ck_assert_int_eq(sqlite_err_set(&e, db, run(db, "SELECT * FROM t")), ERR_DATA_LOSS);
        ck_assert_str_eq(e.reason, "SQLITE_CORRUPT");
        sqlite3_close(db);
        overwrite(path, 0, "rubbish"); /* the header */
        ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
        ck_assert_int_eq(sqlite_err_set(&e, db, run(db, "SELECT * FROM t")), ERR_DATA_LOSS);
        ck_assert_str_eq(e.reason, "SQLITE_NOTADB");
        sqlite3_close(db);
        remove(path);
}
END_TEST

static Suite *sqlite_err_suite(void)
{
        Suite *s = suite_create("sqlite_err");
        TCase *t = tcase_create("sqlite_err");

        tcase_add_loop_test(t, error_case, 0, ARRAY_LEN(cases));
        tcase_add_loop_test(t, bare_case, 0, ARRAY_LEN(bare));
        tcase_add_test(t, stale_message);
        tcase_add_test(t, damaged_file);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(sqlite_err_suite());
}
