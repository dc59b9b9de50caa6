#include "gate/plan_cache.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

static struct sim *sim;
static struct plan_cache *plans;
static struct arena *arena;

static void set_up(void)
{
        struct sim_result r;

        arena = arena_new(1 << 20);
        sim = sim_new(2);
        sim_run(sim, "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)", NULL, 0, &r);
        ck_assert_int_eq(r.code, ERR_OK);
        sim_result_done(&r);
        plans = plan_cache_new(256 << 10);
}

static void tear_down(void)
{
        plans = plan_cache_free(plans);
        sim = sim_free(sim);
        arena = arena_free(arena);
}

/* The plan, and whether it was there. The caller lets go of the plan. */
static struct plan *get(const char *sql, const struct value **ret_literals, bool *ret_cached)
{
        struct err e = ERR_INIT;
        struct plan *plan;

        ck_assert_msg(plan_cache_get(plans, sim_catalog(sim), sql, strlen(sql), arena, &plan,
                                     ret_literals, ret_cached, &e) == ERR_OK,
                      "%s: %s", sql, e.msg);
        return plan;
}

static bool is_cached(const char *sql)
{
        const struct value *literals;
        bool cached;

        plan_unref(get(sql, &literals, &cached));
        return cached;
}

static void check_literals(const struct plan *plan, const struct value *l, int64_t integer,
                           const char *text)
{
        ck_assert_uint_eq(plan->n_literals, 2);
        ck_assert_int_eq(l[0].type, VALUE_INTEGER);
        ck_assert_int_eq(l[0].integer, integer);
        ck_assert_int_eq(l[1].type, VALUE_TEXT);
        ck_assert_uint_eq(l[1].n_bytes, strlen(text));
        ck_assert(memcmp(l[1].data, text, strlen(text)) == 0);
}

/* Whether a text is found as it is or by its normalised form, the literals are its own. */
START_TEST(literals_belong_to_the_text)
{
        static const char first[] = "SELECT id FROM t WHERE a = 5 AND b = 'five'";
        static const char second[] = "SELECT id FROM t WHERE a = 60 AND b = 'sixty'";
        struct plan *first_plan = NULL;

        for (int i = 0; i < 6; i++) {
                const struct value *literals;
                bool cached;
                struct plan *p = get(i % 2 ? second : first, &literals, &cached);

                ck_assert_msg(cached == (i > 0), "%d", i);
                check_literals(p, literals, i % 2 ? 60 : 5, i % 2 ? "sixty" : "five");
                if (i == 0)
                        first_plan = plan_ref(p);
                ck_assert_ptr_eq(p, first_plan);
                plan_unref(p);
        }
        plan_unref(first_plan);
}
END_TEST

/* What the client is told lies in its own arena. */
START_TEST(literals_outlive_the_cache)
{
        const struct value *literals;
        struct plan *p = NULL;
        bool cached;

        for (int i = 0; i < 3; i++) {
                plan_unref(p);
                p = get("SELECT id FROM t WHERE a = 7 AND b = 'seven'", &literals, &cached);
        }
        plans = plan_cache_free(plans);
        check_literals(p, literals, 7, "seven");
        plan_unref(p);
}
END_TEST

/* Texts that come once do not each take room: a plan, the first text, and those that come again. */
START_TEST(texts_are_kept_when_they_come_again)
{
        char sql[100];

        for (int i = 0; i < 200; i++) {
                snprintf(sql, sizeof sql, "SELECT a FROM t WHERE id = %d", i);
                ck_assert(is_cached(sql) == (i > 0));
        }
        ck_assert_uint_eq(plan_cache_count(plans), 2);
        ck_assert(is_cached(sql));
        ck_assert_uint_eq(plan_cache_count(plans), 3);
        ck_assert(is_cached(sql));
        ck_assert_uint_eq(plan_cache_count(plans), 3);
}
END_TEST

/* A write with the same values again is rare. */
START_TEST(writes_are_kept_once)
{
        for (int i = 0; i < 3; i++)
                ck_assert(is_cached("INSERT INTO t VALUES (1, 2, 3)") == (i > 0));
        ck_assert_uint_eq(plan_cache_count(plans), 1);
}
END_TEST

/* Many times more than fit: the latest are there, the first are gone, and what is left out in the
 * middle does not keep others from being found. */
START_TEST(the_least_recently_used_go)
{
        enum { N = 1000, N_LATEST = 20 };
        char sql[100];

        for (int i = 0; i < N; i++) {
                snprintf(sql, sizeof sql, "SELECT a AS a%d FROM t WHERE id = ?", i);
                ck_assert(!is_cached(sql));
                ck_assert(is_cached("SELECT b FROM t WHERE id = ?") == (i > 0));
                ck_assert_uint_le(plan_cache_bytes(plans), 256 << 10);
        }
        ck_assert_uint_lt(plan_cache_count(plans), N);
        for (int i = N - N_LATEST; i < N; i++) {
                snprintf(sql, sizeof sql, "SELECT a AS a%d FROM t WHERE id = ?", i);
                ck_assert(is_cached(sql));
        }
        ck_assert(!is_cached("SELECT a AS a0 FROM t WHERE id = ?"));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/plan_cache");
        TCase *t = tcase_create("plan_cache");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, literals_belong_to_the_text);
        tcase_add_test(t, literals_outlive_the_cache);
        tcase_add_test(t, texts_are_kept_when_they_come_again);
        tcase_add_test(t, writes_are_kept_once);
        tcase_add_test(t, the_least_recently_used_go);
        suite_add_tcase(s, t);
        return unit_run(s);
}
