/* test_explain_query_plan.c - EXPLAIN QUERY PLAN says what SQLite says of a statement that is
 * passed through, and of the others what it says of their parts and finish. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

static struct sim *sim;

static void run(const char *sql, struct sim_result *r)
{
        sim_run(sim, sql, NULL, 0, r);
        ck_assert_msg(r->code == ERR_OK, "%s: %s", sql, r->err.msg);
}

static void setup(void)
{
        static const char *const creates[] = {
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT)",
                "CREATE INDEX t_a ON t (a, b)",
                "CREATE TABLE w (x, y, z, PRIMARY KEY (x, y)) WITHOUT ROWID",
                "CREATE VIEW v AS SELECT a, b FROM t WHERE a > 1",
        };
        struct sim_result r;

        sim = sim_new(3);
        for (size_t i = 0; i < ARRAY_LEN(creates); i++)
                sim_check(sim, creates[i], false);
        run("CREATE TABLE u (k INTEGER PRIMARY KEY, v) UNSHARDED", &r);
        sim_result_done(&r);
        sim_run_oracle(sim, "CREATE TABLE u (k INTEGER PRIMARY KEY, v)", NULL, 0, &r);
        ck_assert_int_eq(r.code, ERR_OK);
        sim_result_done(&r);
}

static void teardown(void)
{
        sim = sim_free(sim);
}

/* The same rows, ids and all; or the same error. */
static const char *const like_sqlite[] = {
        "EXPLAIN QUERY PLAN SELECT 1",
        "EXPLAIN QUERY PLAN VALUES (1), (2)",
        "EXPLAIN QUERY PLAN SELECT a FROM t",
        "EXPLAIN QUERY PLAN SELECT b FROM t WHERE id = 7",
        "EXPLAIN QUERY PLAN SELECT a FROM t WHERE a = 3 AND b > 'x'",
        "EXPLAIN QUERY PLAN SELECT b FROM t WHERE a LIKE 'x%' OR id = 4",
        "EXPLAIN QUERY PLAN SELECT * FROM t WHERE id = ?",
        "EXPLAIN QUERY PLAN SELECT * FROM t WHERE id = 1 AND a IN (SELECT 2 UNION SELECT 3)",
        "EXPLAIN QUERY PLAN SELECT * FROM t WHERE id = 1 ORDER BY b",
        "EXPLAIN QUERY PLAN SELECT y FROM w WHERE x = 1 AND y > 2",
        "EXPLAIN QUERY PLAN SELECT v, count(*) FROM u GROUP BY v ORDER BY 2",
        "EXPLAIN QUERY PLAN SELECT u.k, o.v FROM u JOIN u AS o ON o.v = u.k",
        "EXPLAIN QUERY PLAN WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT "
        "9) "
        "SELECT n FROM c",
        "EXPLAIN QUERY PLAN INSERT INTO t VALUES (1, 2, 3)",
        "EXPLAIN QUERY PLAN UPDATE t SET b = 'x' WHERE id = 4",
        "EXPLAIN QUERY PLAN DELETE FROM t WHERE id = 4",
        "EXPLAIN QUERY PLAN DELETE FROM u WHERE v = 4",
        "EXPLAIN QUERY PLAN SELECT name FROM sqlite_schema WHERE type = 'table'",
        "EXPLAIN QUERY PLAN PRAGMA table_info(t)",
        "EXPLAIN QUERY PLAN CREATE TABLE another (a)",
        "EXPLAIN QUERY PLAN CREATE INDEX another ON t (b)",
        "EXPLAIN QUERY PLAN CREATE VIEW another AS SELECT a FROM t",
        "EXPLAIN QUERY PLAN DROP TABLE IF EXISTS nothing",
        "EXPLAIN QUERY PLAN ANALYZE",
        "EXPLAIN QUERY PLAN ANALYZE t",
        "EXPLAIN QUERY PLAN SELECT nothing FROM t",
        "EXPLAIN QUERY PLAN SELECT * FROM nothing",
        "EXPLAIN QUERY PLAN CREATE TABLE t (a)",
        "EXPLAIN QUERY PLAN SELEC 1",
        "EXPLAIN QUERY PLAN EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN",
};

START_TEST(passed_through)
{
        sim_check(sim, like_sqlite[_i], true);
}
END_TEST

/* Details by themselves, each behind as many dots as it has nodes above it. */
static const struct {
        const char *sql, *want;
} cases[] = {
        { "SELECT count(*), sum(id) FROM t",
          "PART 1 ON ALL SHARDS; .SCAN t; FINISH AT THE GATE; .SCAN _shoal_p; " },
        { "SELECT a, avg(id) FROM t GROUP BY a", "PART 1 ON ALL SHARDS; .SCAN t; FINISH AT THE "
                                                 "GATE; .SCAN t; .USE TEMP B-TREE FOR GROUP BY; " },
        { "SELECT a FROM t ORDER BY b",
          "PART 1 ON ALL SHARDS; .SCAN t; FINISH AT THE GATE; .SCAN _shoal_p; "
          ".USE TEMP B-TREE FOR ORDER BY; " },
        { "SELECT u.v, t.b FROM u JOIN t ON t.a = u.v",
          "PART 1 ON THE SHARD OF WHAT IS UNSHARDED; .SCAN u; PART 2 ON ALL SHARDS; .SCAN t; "
          "FINISH AT THE GATE; .SCAN u; .SEARCH t USING AUTOMATIC COVERING INDEX (a=?); " },
        { "SELECT s.b FROM w JOIN t AS s ON s.id = w.z WHERE w.x = 3",
          "PART 1 ON THE SHARDS OF ITS KEYS; .SEARCH w USING PRIMARY KEY (x=?); PART 2 ON ALL "
          "SHARDS, id IN (KEYS OF PART 1); .SEARCH s USING INTEGER PRIMARY KEY (rowid=?); FINISH "
          "AT THE GATE; .SCAN w; .SEARCH s USING INTEGER PRIMARY KEY (rowid=?); " },
        { "SELECT max(a) FROM t WHERE id IN (1, 2, 3)",
          "PART 1 ON THE SHARDS OF ITS KEYS; .SEARCH t USING INTEGER PRIMARY KEY (rowid=?); "
          "FINISH AT THE GATE; .SEARCH t USING INTEGER PRIMARY KEY (rowid=?); " },
};

static unsigned depth(const struct sim_result *r, long long parent)
{
        for (size_t i = 0; parent && i < r->n_rows; i++) {
                long long id, above;

                ck_assert_int_eq(sscanf(r->rows[i], "i%lld|i%lld|", &id, &above), 2);
                if (id == parent)
                        return 1 + depth(r, above);
        }
        ck_assert_msg(parent == 0, "no node has the id %lld", parent);
        return 0;
}

START_TEST(of_parts_and_finish)
{
        char sql[200], got[1000] = "";
        struct sim_result r;

        snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", cases[_i].sql);
        run(sql, &r);
        for (size_t i = 0; i < r.n_rows; i++) {
                size_t at = strlen(got);
                long long id, parent;

                ck_assert_int_eq(sscanf(r.rows[i], "i%lld|i%lld|", &id, &parent), 2);
                snprintf(got + at, sizeof(got) - at, "%.*s%s; ", (int)depth(&r, parent), "........",
                         strchr(r.rows[i], ':') + 1);
        }
        ck_assert_str_eq(got, cases[_i].want);
        sim_result_done(&r);
        /* What the parts may call was known for the while only. */
        sim_run(sim, "SELECT _shoal_sum_part(a) FROM t", NULL, 0, &r);
        ck_assert_int_eq(r.code, ERR_INVALID);
        sim_result_done(&r);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("explain_query_plan");
        TCase *tc = tcase_create("explain_query_plan");

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_loop_test(tc, passed_through, 0, ARRAY_LEN(like_sqlite));
        tcase_add_loop_test(tc, of_parts_and_finish, 0, ARRAY_LEN(cases));
        suite_add_tcase(suite, tc);
        return unit_run(suite);
}
