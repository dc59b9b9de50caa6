/* test_plan_views.c - views over simulated shards: as SQLite has them, within limits. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

static const unsigned shard_counts[] = { 1, 3 };

static const char *const setup[] = {
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c)",
        "CREATE TABLE u (k TEXT COLLATE NOCASE PRIMARY KEY, n INT)",
        "CREATE VIEW v AS SELECT a, b, c + 1 FROM t WHERE a > 2",
        "CREATE VIEW named (x, y) AS SELECT a, b FROM t",
        "CREATE VIEW swapped (b, a) AS SELECT a, b FROM t ORDER BY a DESC LIMIT 4",
        "CREATE VIEW two AS SELECT * FROM v JOIN named ON a = x",
        "CREATE VIEW own AS WITH t AS (SELECT 7 AS a) SELECT a FROM t",
        "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
        "CREATE VIEW gone AS SELECT * FROM nowhere",
        "CREATE VIEW me AS SELECT * FROM me",
        "CREATE VIEW few (p, q) AS SELECT a FROM t",
};

static struct sim *make(unsigned n_shards)
{
        struct sim *s = sim_new(n_shards);
        char sql[100];

        for (size_t i = 0; i < ARRAY_LEN(setup); i++)
                sim_check(s, setup[i], false);
        for (int i = 1; i <= 20; i++) {
                snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, 'b%d', %d)", i, i % 3, i % 5);
                sim_check(s, sql, false);
        }
        sim_check(s, "INSERT INTO u VALUES ('B1', 4)", false);
        return s;
}

START_TEST(like_sqlite)
{
        static const char *const queries[] = {
                "SELECT * FROM v",
                "SELECT \"c + 1\" FROM v WHERE a = 5",
                "SELECT b, count(*) FROM v GROUP BY b",
                "SELECT main.v.a FROM main.v WHERE v.b = 'b1'",
                "SELECT x FROM named WHERE y = 'b2'",
                "SELECT * FROM swapped",
                "SELECT * FROM two WHERE y = 'b0'",
                "SELECT * FROM u JOIN named ON k = y",
                "SELECT a FROM t WHERE (a, b) IN named",
                "SELECT a, (SELECT count(*) FROM v WHERE v.b = t.b) FROM t",
                "SELECT a FROM t UNION ALL SELECT a FROM own",
                "WITH t AS (SELECT 0 AS a, 'no' AS b, 0 AS c) SELECT * FROM v, t",
                "WITH v AS (SELECT 0 AS z) SELECT * FROM v",
                "WITH v AS (SELECT 0 AS z) SELECT * FROM main.v",
                "WITH q AS (SELECT * FROM v), t AS (SELECT 1 AS a, 2 AS b, 3 AS c) SELECT * FROM q",
                "SELECT * FROM gone",
                "SELECT * FROM me",
                "SELECT * FROM few",
                "SELECT nope FROM v",
                ("SELECT t.a, s.name, s.sql FROM t JOIN sqlite_schema AS s ON s.type = 'view' "
                 "WHERE t.a < 3"),
                "SELECT b FROM t WHERE 'v' IN (SELECT tbl_name FROM sqlite_master)",
                "SELECT p.* FROM t, pragma_table_info('u') AS p WHERE p.cid = t.a",
                "SELECT a, foreign_keys FROM t, pragma_foreign_keys WHERE a = 5",
                "SELECT nope FROM sqlite_schema, t",
                "INSERT INTO v VALUES (1, 2, 3)",
                "UPDATE v SET a = 1",
                "DELETE FROM v",
                "CREATE VIEW v AS SELECT 1",
                "CREATE TABLE v (a)",
                "CREATE VIEW t AS SELECT 1",
                "DROP TABLE v",
                "DROP VIEW t",
                "DROP TABLE IF EXISTS v",
                "DROP VIEW IF EXISTS nope",
                "DROP TABLE t",
                "SELECT * FROM v",
                "DROP VIEW me",
                "CREATE TABLE me (z)",
                "SELECT * FROM me",
        };
        struct sim *s = make(shard_counts[_i]);

        for (size_t i = 0; i < ARRAY_LEN(queries); i++)
                sim_check(s, queries[i], false);
        sim_free(s);
}
END_TEST

/* SQLite's parser takes 15 subqueries in one another. */
START_TEST(deep)
{
        struct sim *s = make(shard_counts[_i]);
        char sql[200];

        sim_check(s, "CREATE VIEW v0 AS SELECT a FROM t", false);
        for (int i = 1; i <= 30; i++) {
                snprintf(sql, sizeof sql, "CREATE VIEW v%d AS SELECT a FROM v%d WHERE a <> %d", i,
                         i - 1, i);
                sim_check(s, sql, false);
        }
        sim_check(s, "SELECT count(*) FROM v30", false);
        sim_check(s, "SELECT x.a FROM v30 AS x, v15 AS y WHERE x.a IN v20", false);
        sim_check(s, "WITH t AS (SELECT 1 AS a), q AS (SELECT a FROM v30) SELECT * FROM q, t",
                  false);
        sim_free(s);
}
END_TEST

static void check_too_complex(struct sim *s, const char *sql)
{
        struct sim_result r;

        sim_run(s, sql, NULL, 0, &r);
        ck_assert_int_eq(r.code, ERR_EXHAUSTED);
        ck_assert_str_eq(r.err.reason, "STATEMENT_TOO_COMPLEX");
        sim_result_done(&r);
}

/* a_n names a_(n - 1) twice: a_n is 2^(n + 1) - 1 views. One CASE arm of ten runs. */
START_TEST(so_many)
{
        struct sim *s = make(3);
        char sql[200];

        sim_check(s, "CREATE VIEW a0 AS SELECT a FROM t", false);
        for (int i = 1; i <= 9; i++) {
                snprintf(sql, sizeof sql,
                         "CREATE VIEW a%d AS SELECT CASE 1 WHEN 1 THEN (SELECT max(a) FROM a%d) "
                         "ELSE (SELECT 1 FROM a%d) END AS a",
                         i, i - 1, i - 1);
                sim_check(s, sql, false);
        }
        sim_check(s, "SELECT * FROM a8", false);  /* 511 */
        check_too_complex(s, "SELECT * FROM a9"); /* 1023 */
        check_too_complex(s, "SELECT * FROM a8 UNION ALL SELECT * FROM a8");
        sim_free(s);
}
END_TEST

START_TEST(refused)
{
        static const struct {
                const char *sql, *reason;
        } cases[] = {
                { "CREATE TEMP VIEW x AS SELECT 1", "TEMP" },
                { "CREATE VIEW temp.x AS SELECT 1", "TEMP" },
                { "CREATE VIEW _shoal_x AS SELECT 1", "RESERVED_NAME" },
                { "SELECT main.v.a, (SELECT 1 FROM (SELECT 1) AS v) FROM v", "VIEWS" },
        };
        struct sim *s = make(3);

        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct sim_result r;

                sim_run(s, cases[i].sql, NULL, 0, &r);
                ck_assert_msg(r.code && strcmp(r.err.reason, cases[i].reason) == 0, "%s: %s %s",
                              cases[i].sql, r.err.reason, r.err.msg);
                sim_result_done(&r);
        }
        sim_free(s);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_views");
        TCase *tc = tcase_create("plan_views");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, like_sqlite, 0, ARRAY_LEN(shard_counts));
        tcase_add_loop_test(tc, deep, 0, ARRAY_LEN(shard_counts));
        tcase_add_test(tc, so_many);
        tcase_add_test(tc, refused);
        suite_add_tcase(suite, tc);
        return unit_run(suite);
}
