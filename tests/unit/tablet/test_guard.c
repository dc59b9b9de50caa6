/* test_guard.c - SQL from outside reaches nothing but its tables. */
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
        ck_assert_str_eq(
            env_schema(
                &env, 1, NULL,
                "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v);"
                "CREATE VIRTUAL TABLE words USING fts5(body);"
                "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);"
                "CREATE VIEW w AS SELECT v FROM t;"
                "CREATE TABLE log(v);"
                "CREATE TRIGGER tr AFTER DELETE ON t BEGIN INSERT INTO log VALUES (old.v); END;"
                "INSERT INTO t(v) VALUES ('a'), ('b')",
                "", false),
            "OK");
}

static void tear_down(void)
{
        env_done(&env);
}

#define DENIED "PERMISSION_DENIED NOT_ALLOWED"

/* r: sent as a read, w: as a write. */
static const struct {
        char kind;
        const char *sql, *want;
} statements[] = {
        /* Files, connections, other databases. */
        { 'w', "ATTACH '/tmp/x.db' AS x", DENIED },
        { 'r', "ATTACH '/tmp/x.db' AS x", DENIED },
        { 'w', "ATTACH ':memory:' AS x", DENIED },
        { 'w', "DETACH main", DENIED },
        { 'w', "VACUUM", "INVALID_ARGUMENT SQLITE_ERROR" },
        { 'w', "VACUUM INTO '/tmp/shoal-evil.db'", "INVALID_ARGUMENT SQLITE_ERROR" },
        { 'r', "VACUUM INTO '/tmp/shoal-evil.db'", "INVALID_ARGUMENT NOT_READ_ONLY" },
        { 'r', "SELECT load_extension('x')", DENIED },
        { 'r', "SELECT fts3_tokenizer('simple')", DENIED },
        { 'r', "SELECT sqlite_log(1, 'x')", DENIED },
        { 'r', "SELECT writefile('/tmp/x', 'x')", "INVALID_ARGUMENT SQLITE_ERROR" },
        { 'r', "SELECT readfile('/etc/passwd')", "INVALID_ARGUMENT SQLITE_ERROR" },
        /* Switches. */
        { 'r', "PRAGMA journal_mode", DENIED },
        { 'w', "PRAGMA journal_mode = DELETE", DENIED },
        { 'w', "PRAGMA writable_schema = 1", DENIED },
        { 'w', "PRAGMA synchronous = OFF", DENIED },
        { 'w', "PRAGMA query_only = 0", DENIED },
        { 'w', "PRAGMA foreign_keys = 1", DENIED },
        { 'r', "PRAGMA table_info(t)", DENIED },
        { 'r', "PRAGMA database_list", DENIED },
        { 'w', "PRAGMA wal_checkpoint", DENIED },
        { 'w', "PRAGMA page_size = 512", DENIED },
        { 'r', "SELECT * FROM pragma_table_info('t')", DENIED },
        { 'r', "SELECT * FROM pragma_database_list", DENIED },
        /* The transaction is not theirs. */
        { 'w', "BEGIN", DENIED },
        { 'w', "COMMIT", DENIED },
        { 'w', "ROLLBACK", DENIED },
        { 'r', "BEGIN", DENIED },
        { 'w', "END", DENIED },
        { 'w', "SAVEPOINT x", DENIED },
        { 'w', "RELEASE _shoal_statement", DENIED },
        { 'w', "ROLLBACK TO _shoal_statement", DENIED },
        /* What is ours. */
        { 'r', "SELECT * FROM _shoal_meta", DENIED },
        { 'r', "SELECT * FROM \"_SHOAL_META\"", DENIED },
        { 'r', "SELECT * FROM '_shoal_meta'", DENIED },
        { 'r', "SELECT * FROM main.[_shoal_request]", DENIED },
        { 'r', "SELECT count(*) FROM _shoal_meta", DENIED },
        { 'r', "WITH _shoal_meta AS (SELECT 1 LIMIT 1) SELECT count(*) FROM _shoal_meta", DENIED },
        { 'r', "WITH _shoal_v1(a) AS (SELECT 1 LIMIT 1) SELECT count(*) FROM _shoal_v1", "1;" },
        { 'r', "SELECT 1 WHERE EXISTS (SELECT 1 FROM _shoal_meta)", DENIED },
        { 'r', "WITH x AS (SELECT * FROM _shoal_meta) SELECT * FROM x", DENIED },
        { 'w', "INSERT INTO _shoal_meta VALUES ('x', 1)", DENIED },
        { 'w', "UPDATE _shoal_meta SET value = 0", DENIED },
        { 'w', "DELETE FROM _shoal_meta", DENIED },
        { 'w', "INSERT INTO t(v) SELECT value FROM _shoal_meta", DENIED },
        { 'w', "UPDATE t SET v = (SELECT max(value) FROM _shoal_meta)", DENIED },
        { 'w', "DELETE FROM t WHERE v IN (SELECT key FROM _shoal_meta) RETURNING v", DENIED },
        /* The catalogue, and virtual tables that tell of the file or of others' statements. */
        { 'r', "SELECT * FROM sqlite_schema", DENIED },
        { 'r', "SELECT sql FROM sqlite_master", DENIED },
        { 'r', "SELECT * FROM sqlite_temp_schema", DENIED },
        { 'r', "SELECT count(*) FROM sqlite_schema", DENIED },
        { 'r', "SELECT rowid FROM sqlite_schema WHERE name LIKE '_shoal%'", DENIED },
        { 'w', "UPDATE sqlite_schema SET sql = 'x'", "INVALID_ARGUMENT SQLITE_ERROR" },
        { 'w', "DELETE FROM sqlite_master", "INVALID_ARGUMENT SQLITE_ERROR" },
        { 'r', "SELECT * FROM dbstat", DENIED },
        { 'r', "SELECT * FROM sqlite_stmt", DENIED },
        { 'w', "UPDATE words_data SET block = x'00'", "INVALID_ARGUMENT SQLITE_ERROR" },
        /* The schema changes by schema changes alone. */
        { 'w', "CREATE TABLE x(a)", DENIED },
        { 'w', "CREATE TABLE x AS SELECT 1", DENIED },
        { 'w', "CREATE TEMP TABLE x(a)", DENIED },
        { 'w', "CREATE TEMP VIEW x AS SELECT 1", DENIED },
        { 'w', "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", DENIED },
        { 'w', "CREATE INDEX x ON t(v)", DENIED },
        { 'w', "CREATE VIEW x AS SELECT 1", DENIED },
        { 'w', "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", DENIED },
        { 'w', "CREATE VIRTUAL TABLE x USING fts5(a)", DENIED },
        { 'w', "DROP TABLE t", DENIED },
        { 'w', "DROP VIEW w", DENIED },
        { 'w', "DROP TRIGGER tr", DENIED },
        { 'w', "ALTER TABLE t RENAME TO x", DENIED },
        { 'w', "ALTER TABLE t ADD COLUMN x", DENIED },
        { 'w', "ALTER TABLE _shoal_meta RENAME TO x", DENIED },
        { 'w', "REINDEX", DENIED },
        { 'r', "ANALYZE", DENIED },
        { 'w', " ANALYZE", DENIED },
        { 'w', "ANALYZE; DROP TABLE t", "INVALID_ARGUMENT SEVERAL_STATEMENTS" },
        { 'w', "ANALYZER", "INVALID_ARGUMENT SYNTAX_ERROR" },
        { 'w', "INSERT INTO sqlite_stat1 VALUES ('t', NULL, '5')", "NOT_FOUND NO_SUCH_TABLE" },
        /* Memory. */
        { 'r', "SELECT length(zeroblob(100000000))", "RESOURCE_EXHAUSTED SQLITE_TOOBIG" },
        { 'r', "SELECT length(randomblob(2000000000))", "RESOURCE_EXHAUSTED SQLITE_TOOBIG" },
        { 'r', "SELECT replace(hex(zeroblob(1000)), '0', zeroblob(100000))",
          "RESOURCE_EXHAUSTED SQLITE_TOOBIG" },
        /* And what is allowed. */
        { 'w', "ANALYZE", "changes=1 " },
        { 'r', "SELECT stat FROM sqlite_stat1 WHERE tbl = 't'", "2;" },
        { 'w', "ANALYZE main.t", "changes=1 " },
        { 'w', "ANALYZE", "changes=1 " },
        { 'r', "SELECT * FROM w ORDER BY v", "a;b;" },
        { 'r', "SELECT seq FROM sqlite_sequence WHERE name = 't'", "2;" },
        { 'w', "UPDATE sqlite_sequence SET seq = 9 WHERE name = 't'", "changes=1 " },
        { 'w', "INSERT INTO t(v) VALUES ('c')", "changes=1 id=10 " },
        { 'w', "DELETE FROM t WHERE id = 10", "changes=1 " },
        { 'r', "SELECT * FROM log", "c;" },
        { 'w', "INSERT INTO words VALUES ('hello world')", "changes=1 id=1 " },
        { 'r', "SELECT body FROM words WHERE words MATCH 'hello'", "hello world;" },
        { 'w', "INSERT INTO boxes VALUES (1, 0, 2)", "changes=1 id=1 " },
        { 'r', "SELECT id FROM boxes WHERE x1 > 1", "1;" },
        { 'r', "SELECT value FROM json_each('[7,8]')", "7;8;" },
        { 'r', "SELECT '_shoal_meta'", "_shoal_meta;" },
        { 'r', "EXPLAIN QUERY PLAN SELECT 1", "1|0|0|SCAN CONSTANT ROW;" },
        { 'r', "SELECT length(randomblob(1000))", "1000;" },
        { 'r', "SELECT * FROM pragma_integrity_check(10)", "ok;" },
        { 'r', "SELECT * FROM pragma_quick_check('t')", "ok;" },
        { 'r', "SELECT * FROM pragma_integrity_check('_shoal_meta')", DENIED },
};

/* What is allowed leans on what ran before. */
START_TEST(statements_in_order)
{
        for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
                const char *got = statements[i].kind == 'r' ? env_read(&env, statements[i].sql)
                                                            : env_write(&env, statements[i].sql);

                ck_assert_msg(strcmp(got, statements[i].want) == 0, "%s: %s (%s), not %s",
                              statements[i].sql, got, env_message(), statements[i].want);
        }
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "2;");
}
END_TEST

/* Schema changes: each tried as version 2 of a fresh shard. */
static const struct {
        const char *sql, *want;
} changes[] = {
        { "CREATE TABLE _shoal_x(a)", DENIED },
        { "CREATE TABLE \"_Shoal_x\"(a)", DENIED },
        { "CREATE TABLE '_shoal_x'(a)", DENIED },
        { "CREATE TABLE x AS SELECT * FROM _shoal_meta", DENIED },
        { "CREATE INDEX x ON _shoal_meta(value)", DENIED },
        { "CREATE INDEX _shoal_i ON t(v)", DENIED },
        { "CREATE VIEW x AS SELECT * FROM _shoal_meta", DENIED },
        { "CREATE VIEW x AS SELECT * FROM '_shoal_meta'", DENIED },
        { "CREATE VIEW x AS SELECT 1 /* \" */ FROM `_shoal_meta`", DENIED },
        { "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO _shoal_meta VALUES (new.v, 1); END",
          DENIED },
        { "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; DELETE FROM [_shoal_meta]; END",
          DENIED },
        { "CREATE TRIGGER x AFTER INSERT ON _shoal_meta BEGIN SELECT 1; END", DENIED },
        { "CREATE VIRTUAL TABLE x USING fts5(value, content='_shoal_meta')", DENIED },
        { "CREATE VIRTUAL TABLE x USING dbstat", DENIED },
        { "CREATE VIRTUAL TABLE x USING sqlite_stmt", DENIED },
        { "DROP TABLE _shoal_meta", DENIED },
        { "DROP INDEX _shoal_request_at", DENIED },
        { "ALTER TABLE _shoal_meta RENAME TO x", DENIED },
        { "ALTER TABLE _shoal_meta ADD COLUMN x", DENIED },
        { "ALTER TABLE t RENAME TO _shoal_x", DENIED },
        { "ALTER TABLE t RENAME COLUMN v TO _shoal_x", DENIED },
        { "CREATE TABLE x(a); DROP TABLE _shoal_meta", DENIED },
        { "CREATE TEMP TABLE x(a)", DENIED },
        { "CREATE TABLE temp.x(a)", DENIED },
        { "CREATE VIEW temp.x AS SELECT 1", DENIED },
        { "CREATE TRIGGER temp.x AFTER INSERT ON t BEGIN SELECT 1; END", DENIED },
        { "CREATE VIRTUAL TABLE temp.x USING fts5(a)", DENIED },
        { "ANALYZE _shoal_meta", DENIED },
        { "REINDEX _shoal_request_at", DENIED },
        { "CREATE TEMP VIEW x AS SELECT 1", DENIED },
        { "ATTACH '/tmp/x.db' AS x", DENIED },
        { "VACUUM", "INVALID_ARGUMENT SQLITE_ERROR" },
        { "PRAGMA writable_schema = 1", DENIED },
        { "COMMIT", DENIED },
        { "CREATE TABLE x(a); COMMIT; CREATE TABLE y(a)", DENIED },
        { "ROLLBACK", DENIED },
        { "SAVEPOINT x", DENIED },
        { "UPDATE sqlite_schema SET sql = 'x'", "INVALID_ARGUMENT SQLITE_ERROR" },
        { "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x(a)')",
          "INVALID_ARGUMENT SQLITE_ERROR" },
        { "CREATE TABLE x(", "INVALID_ARGUMENT SYNTAX_ERROR" },
        { "CREATE TABLE t(a)", "ALREADY_EXISTS ALREADY_EXISTS" },
        /* And what is allowed. */
        { "CREATE TABLE x(a INTEGER PRIMARY KEY, b, UNIQUE(b)); CREATE INDEX xb ON x(b)", "OK" },
        { "CREATE TABLE x(a DEFAULT 'my_shoal_') -- _shoal_ in a comment", "OK" },
        { "CREATE TABLE x AS SELECT * FROM t", "OK" },
        { "CREATE VIEW x AS SELECT v FROM t", "OK" },
        { "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('new'); END", "OK" },
        { "CREATE VIRTUAL TABLE x USING fts5(a)", "OK" },
        { "DROP TABLE words", "OK" },
        { "DROP TABLE boxes", "OK" },
        { "DROP TABLE t", "OK" },
        { "DROP VIEW w", "OK" },
        { "DROP TRIGGER tr", "OK" },
        { "ALTER TABLE t RENAME TO x", "OK" },
        { "ALTER TABLE t RENAME COLUMN v TO x", "OK" },
        { "ALTER TABLE t ADD COLUMN x DEFAULT 5", "OK" },
        { "ALTER TABLE log ADD COLUMN x; ALTER TABLE log DROP COLUMN x", "OK" },
        { "CREATE INDEX x ON t(v); REINDEX x; ANALYZE", "OK" },
        { "", "OK" },
};

START_TEST(schema_change)
{
        const char *got = env_schema(&env, 2, NULL, changes[_i].sql, "", false);

        ck_assert_msg(strcmp(got, changes[_i].want) == 0, "%s: %s (%s), not %s", changes[_i].sql,
                      got, env_message(), changes[_i].want);
        /* Whatever was tried, the shard works. */
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM log"), "0;");
        ck_assert_str_eq(env_write(&env, "INSERT INTO log(v) VALUES (1)"), "changes=1 id=1 ");
}
END_TEST

/* A statement of one gate must not see what that of another left on the connection. */
START_TEST(nothing_leaks_between_statements)
{
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES ('z')"), "changes=1 id=3 ");
        ck_assert_str_eq(
            env_write(&env, "UPDATE t SET v = 'y' WHERE id = 3 RETURNING last_insert_rowid()"),
            "0;changes=1 ");
        ck_assert_str_eq(env_write(&env, "SELECT last_insert_rowid()"), "0;");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("guard");
        TCase *t = tcase_create("sql");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_loop_test(t, schema_change, 0, ARRAY_LEN(changes));
        tcase_add_test(t, statements_in_order);
        tcase_add_test(t, nothing_leaks_between_statements);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
