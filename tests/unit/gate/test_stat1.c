/* The shards' statistics put together, and what the planner is told of them. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "gate/plan_cache.h"
#include "gate/stat1.h"
#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

enum { N_SHARDS = 4 };

static struct sim *sim;
static struct arena *arena;

static void run(const char *sql)
{
        struct sim_result r;

        sim_run(sim, sql, NULL, 0, &r);
        ck_assert_msg(r.code == ERR_OK, "%s: %s", sql, r.err.msg);
        sim_result_done(&r);
}

static void set_up(void)
{
        arena = arena_new(1 << 20);
        sim = sim_new(N_SHARDS);
        run("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)");
        run("CREATE INDEX ta ON t (a)");
        run("CREATE INDEX tab ON t (a, b)");
        run("CREATE INDEX tid ON t (b, id)");
        run("CREATE INDEX tx ON t (a + 1, b)");
        run("CREATE INDEX tp ON t (c) WHERE c > 5");
        run("CREATE TABLE w (x TEXT, y, PRIMARY KEY (x, y)) WITHOUT ROWID");
        run("CREATE TABLE u (k, v) UNSHARDED");
}

static void tear_down(void)
{
        sim = sim_free(sim);
        arena = arena_free(arena);
}

static const struct {
        const char *label, *table, *index;
        const char *stat[N_SHARDS]; /* per shard; NULL: nothing */
        const char *want;           /* "rows: index rows, distinct …" */
} cases[] = {
        { "no index", "t", NULL, { "10", "20", NULL, "5" }, "35:" },
        { "a column of few values",
          "t",
          "ta",
          { "1000 100", "1000 100", "1000 100", "1000 100" },
          "4000: ta 4000 10" },
        { "a column of all different values",
          "t",
          "ta",
          { "1000 1", "1000 1", "1000 1", "1000 1" },
          "4000: ta 4000 4000" },
        /* 793 * (1 - exp(-1264 / 793)) = 632 */
        { "a column of values that come a few times",
          "t",
          "ta",
          { "1264 2", "1264 2", "1264 2", "1264 2" },
          "5056: ta 5056 793" },
        { "one shard has them all", "t", "ta", { NULL, "600 2", NULL, NULL }, "600: ta 600 300" },
        { "two columns",
          "t",
          "tab",
          { "100 50 10", "100 50 10", NULL, NULL },
          "200: tab 200 2 10" },
        { "with the sharding key they add up",
          "t",
          "tid",
          { "100 50 1", "100 50 1", "300 150 2", "100 50 1" },
          "600: tid 600 2 450" },
        { "an expression",
          "t",
          "tx",
          { "100 50 10", "100 50 10", NULL, NULL },
          "200: tx 200 2 10" },
        { "a partial index", "t", "tp", { "10 5", "10 5", "10 5", "10 5" }, "40: tp 40 2" },
        { "a primary key WITHOUT ROWID",
          "w",
          "w",
          { "40 2 1", "40 2 1", NULL, NULL },
          "80: w 80 40 80" },
        { "unsharded: one shard", "u", NULL, { "7", "7", "7", "7" }, "7:" },
        { "words behind the numbers",
          "t",
          "ta",
          { "10 5 unordered sz=3 noskipscan", NULL, NULL, NULL },
          "10: ta 10 2" },
        { "nonsense", "t", "ta", { "x", "", "-5 3", "1.5 2" }, "0:" },
        { "huge", "t", "ta", { "18446744073709551615 1", NULL, NULL, NULL }, "huge" },
        { "zeros", "t", "ta", { "0 0", "10 0", NULL, NULL }, "10: ta 10 10" },
        { "an index that is gone", "t", "old", { "10 5", "10 5", NULL, NULL }, "20: old 20" },
        { "a table that is not there", "nope", "x", { "10 5", NULL, NULL, NULL }, NULL },
};

static void describe(const Shoal__V1__TableStatistics *m, char *text, size_t n)
{
        int at = snprintf(text, n, "%llu:", (unsigned long long)m->rows);

        for (size_t i = 0; i < m->n_indexes; i++) {
                at += snprintf(text + at, n - (size_t)at, " %s %llu", m->indexes[i]->name,
                               (unsigned long long)m->indexes[i]->rows);
                for (size_t k = 0; k < m->indexes[i]->n_distinct; k++)
                        at += snprintf(text + at, n - (size_t)at, " %llu",
                                       (unsigned long long)m->indexes[i]->distinct[k]);
        }
}

START_TEST(shards_are_combined)
{
        struct catalog *c = sim_catalog(sim);
        const struct catalog_table *t = catalog_find_table(c, cases[_i].table);
        struct stat1 *s = stat1_new(c, arena);
        struct err e = ERR_INIT;
        char got[200];

        for (size_t i = 0; i < N_SHARDS; i++)
                if (cases[_i].stat[i])
                        ck_assert_int_eq(stat1_add(s, i, cases[_i].table, cases[_i].index,
                                                   cases[_i].stat[i], &e),
                                         ERR_OK);
        if (!t)
                return;
        describe(stat1_combine(s, t), got, sizeof got);
        if (strcmp(cases[_i].want, "huge") != 0)
                ck_assert_msg(strcmp(got, cases[_i].want) == 0, "%s: %s, not %s", cases[_i].label,
                              got, cases[_i].want);
}
END_TEST

START_TEST(a_table_has_the_rows_of_its_largest_index)
{
        struct catalog *c = sim_catalog(sim);
        struct stat1 *s = stat1_new(c, arena);
        struct err e = ERR_INIT;
        char got[200];

        ck_assert_int_eq(stat1_add(s, 0, "T", "tp", "10 5", &e), ERR_OK);
        ck_assert_int_eq(stat1_add(s, 1, "t", "tp", "20 5", &e), ERR_OK);
        ck_assert_int_eq(stat1_add(s, 0, "t", "ta", "100 5", &e), ERR_OK);
        ck_assert_int_eq(stat1_add(s, 2, "t", NULL, "3", &e), ERR_OK);
        describe(stat1_combine(s, catalog_find_table(c, "t")), got, sizeof got);
        ck_assert_str_eq(got, "123: ta 100 20 tp 30 4");
}
END_TEST

START_TEST(too_much_is_refused)
{
        struct stat1 *s = stat1_new(sim_catalog(sim), arena);
        struct err e = ERR_INIT;
        enum err_code rc = ERR_OK;

        for (int i = 0; i < 100000 && !rc; i++)
                rc = stat1_add(s, 0, "t", "ta", "100 5", &e);
        ck_assert_int_eq(rc, ERR_EXHAUSTED);
        ck_assert_str_eq(e.reason, "STATEMENT_TOO_LARGE");
}
END_TEST

/* ---- what the planner is told */

static void tell(const char *index, const char *stat)
{
        struct catalog *c = sim_catalog(sim);
        struct stat1 *s = stat1_new(c, arena);
        struct err e = ERR_INIT;

        ck_assert_int_eq(stat1_add(s, 0, "t", index, stat, &e), ERR_OK);
        catalog_set_statistics(c, stat1_combine(s, catalog_find_table(c, "t")));
}

START_TEST(estimates)
{
        struct catalog *c = sim_catalog(sim);
        const struct catalog_table *t = catalog_find_table(c, "t");
        const struct catalog_table *w = catalog_find_table(c, "w");

        ck_assert(!catalog_has_statistics(c, t));
        ck_assert(catalog_table_rows(c, t) > 1000);
        ck_assert(catalog_equal_rows(c, t, 0) == 1);
        ck_assert(catalog_equal_rows(c, t, -1) == 1);
        ck_assert(catalog_equal_rows(c, t, 1) > 1);
        ck_assert(catalog_equal_rows(c, w, 0) > 1); /* but a part of the key */
        tell("ta", "1000 40");
        ck_assert(catalog_has_statistics(c, t));
        ck_assert(!catalog_has_statistics(c, w));
        ck_assert(catalog_table_rows(c, t) == 1000);
        ck_assert(catalog_equal_rows(c, t, 1) == 40);
        ck_assert(catalog_equal_rows(c, t, 3) == 100);
        ck_assert(catalog_equal_rows(c, t, 0) == 1);
        /* No more than there are. */
        tell(NULL, "0");
        ck_assert(catalog_table_rows(c, t) == 0);
        ck_assert(catalog_equal_rows(c, t, 1) == 0);
}
END_TEST

/* What another version of statistics made is planned again; the same told again changes nothing. */
START_TEST(plans_are_made_again)
{
        struct plan_cache *pc = plan_cache_new(1 << 20);
        static const char sql[] = "SELECT a FROM t WHERE id = 5";
        struct catalog *c = sim_catalog(sim);
        static const bool want_cached[] = { false, true, false, true, true };

        for (size_t i = 0; i < ARRAY_LEN(want_cached); i++) {
                const struct value *literals;
                struct plan *plan;
                struct err e = ERR_INIT;
                bool cached;

                if (i == 2 || i == 4)
                        tell("ta", "1000 40");
                ck_assert_int_eq(
                    plan_cache_get(pc, c, sql, strlen(sql), arena, &plan, &literals, &cached, &e),
                    ERR_OK);
                ck_assert_msg(cached == want_cached[i], "%zu", i);
                /* The normalised text's, and the same for the text as it is. */
                ck_assert_uint_eq(plan_cache_count(pc), 2);
                plan_unref(plan);
        }
        plan_cache_free(pc);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/stat1");
        TCase *t = tcase_create("stat1");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_loop_test(t, shards_are_combined, 0, ARRAY_LEN(cases));
        tcase_add_test(t, a_table_has_the_rows_of_its_largest_index);
        tcase_add_test(t, too_much_is_refused);
        tcase_add_test(t, estimates);
        tcase_add_test(t, plans_are_made_again);
        suite_add_tcase(s, t);
        return unit_run(s);
}
