/* test_plan_json.c - what a function has marked as JSON is still JSON above what shards do: every
 * query on simulated shards and on plain SQLite. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/gate/plan_sim.h"

static struct sim *s;

static void set_up(void)
{
        static const char *const writes[] = {
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a, d TEXT, g TEXT AS (json_array(a)), "
                "h TEXT AS (json_object('g', g, 'id', id)), "
                "z TEXT AS (json_array(a)) STORED)",
                "CREATE TABLE u (id INTEGER PRIMARY KEY, a, d TEXT)",
                "CREATE TABLE k (a TEXT, n INTEGER, PRIMARY KEY (a, n)) WITHOUT ROWID",
                "CREATE VIEW v AS SELECT id, +json_array(a) AS x FROM t",
                "INSERT INTO t (id, a, d) VALUES (1, 'x', '[1]')",
                "INSERT INTO t (id, a, d) VALUES (2, NULL, '{\"k\": [2]}')",
                "INSERT INTO t (id, a, d) VALUES (3, 5, 'no json')",
                "INSERT INTO t (id, a, d) VALUES (4, 'x', NULL)",
                "INSERT INTO t (id, a, d) VALUES (5, '[7]', '[[1]]')",
                "INSERT INTO u VALUES (1, 'x', '[1]')",
                "INSERT INTO u VALUES (3, 3, NULL)",
                "INSERT INTO u VALUES (9, '[7]', 'no json')",
                "INSERT INTO k VALUES ('x', 1)",
                "INSERT INTO k VALUES ('[7]', 2)",
                "INSERT INTO home VALUES (1, 'x')",
                "INSERT INTO home VALUES (2, NULL)",
        };

        struct sim_result r;

        s = sim_new(3);
        sim_run(s, "CREATE TABLE home (id INTEGER PRIMARY KEY, a) UNSHARDED", NULL, 0, &r);
        ck_assert_int_eq(r.code, ERR_OK);
        sim_result_done(&r);
        sim_run_oracle(s, "CREATE TABLE home (id INTEGER PRIMARY KEY, a)", NULL, 0, &r);
        sim_result_done(&r);
        for (size_t i = 0; i < ARRAY_LEN(writes); i++)
                sim_check(s, writes[i], false);
}

static void tear_down(void)
{
        s = sim_free(s);
}

static const char *const queries[] = {
        /* derived tables, views and common table expressions */
        "SELECT json_array(x) FROM (SELECT json_array(a) AS x FROM t)",
        "SELECT json_array(x) FROM (SELECT +json_array(a) AS x FROM t)",
        "SELECT json_array(q.x), u.id FROM (SELECT +json_array(a) AS x FROM t) AS q, u",
        "SELECT json_array(q.x), u.id FROM (SELECT +json_array(a) AS x FROM t WHERE id > 1) AS q, "
        "u",
        "SELECT u.id, json_array(q.x) FROM u LEFT JOIN (SELECT id, json_array(a) AS x FROM t) AS q "
        "ON u.a = q.id",
        "SELECT u.id, json_array(q.x) FROM u LEFT JOIN (SELECT id, json_array(a) AS x FROM t) AS q "
        "ON u.id = q.id, k",
        "SELECT json_group_array(x) FROM (SELECT +json_array(a) AS x FROM home)",
        "SELECT json_object('x', v.x, 'k', k.n) FROM v, k",
        "SELECT json_array(v.x) FROM v JOIN u ON v.id = u.id, k",
        "WITH c AS (SELECT +json(d) AS x FROM t WHERE d LIKE '[%') SELECT json_array(c.x, u.id) "
        "FROM c, u",
        "WITH c AS (SELECT +json_object('a', a) AS x FROM t) SELECT json_array(a.x, b.x) FROM c AS "
        "a, c AS b",
        "SELECT e.value, e.type FROM (SELECT +json_array(a) AS x FROM t) AS q, "
        "json_each(json_array(0, q.x)) AS e",
        /* compounds: each arm for itself */
        "SELECT json_array(x) FROM (SELECT +json_array(a) AS x FROM t UNION ALL SELECT a FROM u)",
        "SELECT json_array(x) FROM (SELECT a AS x FROM t UNION ALL SELECT +json_array(a) FROM u)",
        "SELECT e.value, e.type FROM (SELECT +json_array(1, 'a') AS x FROM home UNION ALL "
        "SELECT NULL FROM t LEFT JOIN u ON t.a = u.a) AS q JOIN json_each(json_array(q.x)) AS e",
        /* subqueries of expressions */
        "SELECT json_array((SELECT json_array(a) FROM u WHERE u.id = 9)), id FROM t",
        "SELECT json_array((SELECT json_group_array(a) FROM u)), id FROM t",
        "SELECT json_array((SELECT json_array(a) FROM home WHERE id = 1)), id FROM t",
        "SELECT json_array((SELECT max(json_array(a)) FROM u)), count(*) FROM t",
        "SELECT json_object('x', coalesce((SELECT json(d) FROM u WHERE u.id = 1), 2)) FROM t, k",
        "SELECT json_quote((SELECT d -> '$' FROM u WHERE u.id = 1)), json_quote((SELECT d ->> '$' "
        "FROM u WHERE u.id = 1)) FROM t",
        "SELECT json_array((SELECT json_type(d) FROM u WHERE u.id = 1)) FROM t",
        "SELECT json_set('{}', '$.a', (SELECT json_array(a) FROM u WHERE id = 3)), "
        "json_insert('{}', '$.a', (SELECT json_array(a) FROM u WHERE id = 3)), "
        "json_replace('{\"a\":1}', '$.a', (SELECT json_array(a) FROM u WHERE id = 3)) FROM t",
        "SELECT json_array((SELECT json(d) FROM u WHERE u.id = 9)), id FROM t",
        /* through functions that hand on what they are given */
        "SELECT json_array(x) FROM (SELECT +iif(id > 2, json_array(a), a) AS x FROM t), k",
        "SELECT json_array(x) FROM (SELECT +CASE WHEN id > 2 THEN json_array(a) ELSE a END AS x "
        "FROM t), k",
        "SELECT json_array(x) FROM (SELECT CASE id WHEN 2 THEN a ELSE json_array(a) END AS x FROM "
        "t), k",
        "SELECT json_array(x) FROM (SELECT +nullif(json_array(a), '[5]') AS x FROM t), k",
        "SELECT json_array(x) FROM (SELECT +min(json_array(a), 'zz') AS x FROM t), k",
        "SELECT json_array(x) FROM (SELECT CAST(json_array(a) AS TEXT) AS x FROM t), k",
        "SELECT json_array(x) FROM (SELECT json_array(a) COLLATE NOCASE AS x FROM t), k",
        "SELECT json_array(x) FROM (SELECT +json_extract(d, '$.k') AS x FROM t WHERE "
        "json_valid(d)), k",
        "SELECT json_array(x) FROM (SELECT e.value AS x FROM t, json_each(json_array(t.a, "
        "json_array(1))) "
        "AS e), k",
        "SELECT json_array(x, y) FROM (SELECT +q.x AS x, q.y FROM (SELECT +json_array(a) AS x, a "
        "AS y "
        "FROM t) AS q), k",
        /* aggregates */
        "SELECT json_array(max(json_array(a))) FROM t",
        "SELECT json_array(max(CAST(json_array(a) AS TEXT))) FROM t",
        "SELECT json_array(min(CAST(json_array(a) AS TEXT))), a FROM t GROUP BY a",
        "SELECT json_array(CAST(json_array(a) AS TEXT)), count(*) FROM t GROUP BY "
        "CAST(json_array(a) AS TEXT)",
        "SELECT json_group_array(json_array(a)), json_array(json_group_object(id, json_array(a))) "
        "FROM "
        "(SELECT * FROM t ORDER BY id)",
        "SELECT json_array(json_group_array(json(d))) FROM home, (SELECT d FROM t WHERE id = 1)",
        /* columns that are computed */
        "SELECT json_array(g), json_array(h), json_array(z) FROM t",
        "SELECT json_array(g), json_array(h), json_array(z), n FROM t, k",
        "SELECT json_array(t.h), n FROM t, k",
        "SELECT json_array(max(g)), json_array(max(z)) FROM t",
        "SELECT json_array(q.g), n FROM (SELECT +g AS g FROM t) AS q, k",
        "SELECT json_array(t.g), n FROM t JOIN u ON t.id = u.id, k",
        "SELECT json_array((SELECT g FROM t WHERE id = 5)), n FROM k",
        "SELECT t.*, json_array(t.g) FROM t, k",
        "SELECT json_array(n), (SELECT count(*) FROM t) FROM k, u",
        "SELECT json_array(k.n) FROM k, t WHERE t.g > '[6]'",
        "SELECT json_array(h), n FROM t, k ORDER BY id, n",
};

START_TEST(json_like_sqlite)
{
        sim_check(s, queries[_i], false);
}
END_TEST

/* Where nobody sees that it is JSON, or only the client, it goes down as anything else does. */
static const struct {
        const char *sql;
        enum plan_kind kind;
        unsigned n_parts;
} sent[] = {
        { "SELECT json_array(a) FROM t", PLAN_SCATTER, 1 },
        { "SELECT json_array(a) AS x FROM t UNION ALL SELECT json_array(a) FROM u ORDER BY 1",
          PLAN_SCATTER, 1 },
        { "SELECT x FROM (SELECT +json_array(a) AS x FROM t), home", PLAN_GATHER, 2 },
        { "SELECT d -> '$', count(*) FROM t GROUP BY g", PLAN_GATHER, 1 },
        { "SELECT g, count(*) FROM t GROUP BY g", PLAN_SCATTER_AGGREGATE, 1 },
        { "SELECT json_object('g', z, 'n', count(*)) FROM t GROUP BY z", PLAN_SCATTER_AGGREGATE,
          1 },
        { "SELECT json_array(q.x) FROM (SELECT id, +json_array(a) AS x FROM t) AS q JOIN u ON "
          "q.id = u.id",
          PLAN_SCATTER, 1 },
};

START_TEST(unseen_is_sent)
{
        struct sim_result r;
        unsigned n_parts = 0;

        sim_check(s, sent[_i].sql, false);
        sim_run(s, sent[_i].sql, NULL, 0, &r);
        while (n_parts < ARRAY_LEN(r.parts) && r.parts[n_parts].n_shards)
                n_parts++;
        ck_assert_msg(r.kind == sent[_i].kind && n_parts == sent[_i].n_parts, "%s: %s, %u parts",
                      sent[_i].sql, plan_kind_name(r.kind), n_parts);
        sim_result_done(&r);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan_json");
        TCase *tc = tcase_create("plan_json");
        SRunner *runner;
        int n_failed;

        tcase_set_timeout(tc, 0);
        tcase_add_unchecked_fixture(tc, set_up, tear_down);
        tcase_add_loop_test(tc, json_like_sqlite, 0, ARRAY_LEN(queries));
        tcase_add_loop_test(tc, unseen_is_sent, 0, ARRAY_LEN(sent));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        n_failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
