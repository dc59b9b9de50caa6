/* test_ddl.c - schema changes over shards and gates that fail: everywhere or nowhere, and the truth
 * told. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "tests/unit/gate/ddl_world.h"
#include "tests/unit/unit.h"

enum { SECOND_US = 1000 * 1000 };

static struct ddl_world w;

/* What it was told was true of what it had done; its repeat may have done it. */
static bool is_repeated(const struct world_request *r)
{
        for (size_t i = 0; r->answer.code && i < w.n_requests; i++)
                if (w.requests[i]->is_repeat && !strcmp(w.requests[i]->sql, r->sql))
                        return true;
        return false;
}

static void check_end(uint64_t seed)
{
        for (size_t i = 0; i < WORLD_SHARDS; i++) {
                struct world_shard *s = &w.shards[i];

                ck_assert_msg(s->version == w.version && s->n_done == w.version,
                              "seed %llu: shard %zu is at version %llu, topo at %llu",
                              (unsigned long long)seed, i, (unsigned long long)s->version,
                              (unsigned long long)w.version);
                ck_assert_msg(memcmp(s->done, w.published, s->n_done * sizeof *s->done) == 0,
                              "seed %llu: shard %zu has another schema", (unsigned long long)seed,
                              i);
        }
        for (size_t i = 0; i < w.n_requests; i++) {
                struct world_request *r = w.requests[i];
                bool done = ddl_world_is_published(&w, r);

                ck_assert_msg(r->answered || r->abandoned, "seed %llu: statement %s has no answer",
                              (unsigned long long)seed, r->sql);
                if (r->answered && r->answer.code != ERR_UNKNOWN &&
                    (!r->is_repeat || r->answer.code == ERR_OK) && !is_repeated(r))
                        ck_assert_msg(done == (r->answer.code == ERR_OK),
                                      "seed %llu: statement %s: told %s (%s), but it is %s",
                                      (unsigned long long)seed, r->sql,
                                      err_code_name(r->answer.code), r->answer.msg,
                                      done ? "done" : "not done");
                if (r->answered && r->answer.code == ERR_UNKNOWN)
                        ck_assert_str_eq(r->answer.reason, "OUTCOME_UNKNOWN");
        }
}

static const struct err *answer(struct world_request *r)
{
        for (int n = 0; !r->answered; n++) {
                ck_assert_msg(n < 100000, "statement %s gets no answer", r->sql);
                ddl_world_step(&w);
        }
        return &r->answer;
}

/* Burns numbers until the next statement is one that shards accept, refuse, or cannot undo. */
static struct world_request *run_kind(size_t gate, int64_t timeout_us, const char *kind)
{
        for (;;) {
                int sql = (int)w.n_requests;
                bool refused = ddl_world_refuses(sql, 2), all = sql % 11 == 4;
                struct world_request *r;

                if (strcmp(kind, "good") == 0             ? !refused && sql % 7 != 2
                    : strcmp(kind, "refused") == 0        ? refused && !all
                    : strcmp(kind, "refused by all") == 0 ? all
                                                          : !refused && sql % 7 == 2)
                        return ddl_world_run(&w, gate, timeout_us);
                r = calloc(1, sizeof *r);
                r->abandoned = true;
                r->world = &w;
                snprintf(r->sql, sizeof r->sql, "%d", sql);
                w.requests[w.n_requests++] = r;
        }
}

static void start(void)
{
        ddl_world_init(&w, 1);
        ddl_world_settle(&w);
}

static void finish(void)
{
        ddl_world_settle(&w);
        check_end(0);
        ddl_world_done(&w);
}

START_TEST(done_on_all_shards)
{
        start();
        ck_assert_int_eq(answer(run_kind(0, 0, "good"))->code, ERR_OK);
        ck_assert_uint_eq(w.gates[0].version, 1);
        ck_assert_int_eq(answer(run_kind(0, 0, "cannot be undone"))->code, ERR_OK);
        ck_assert_uint_eq(w.version, 2);
        finish();
}
END_TEST

START_TEST(refused_by_a_shard_is_taken_back)
{
        const struct err *e;

        start();
        e = answer(run_kind(0, 0, "refused"));
        ck_assert_int_eq(e->code, ERR_PRECONDITION);
        ck_assert_int_eq(e->extended_code, 2067);
        ck_assert_uint_eq(w.version, 0);
        for (size_t i = 0; i < WORLD_SHARDS; i++)
                ck_assert_uint_eq(w.shards[i].version, 0);
        e = answer(run_kind(1, 0, "refused by all"));
        ck_assert_int_eq(e->code, ERR_PRECONDITION);
        ck_assert_int_eq(answer(run_kind(0, 0, "good"))->code, ERR_OK);
        finish();
}
END_TEST

START_TEST(nothing_is_done_while_a_shard_is_away)
{
        const struct err *e;

        start();
        w.shards[1].away = true;
        e = answer(run_kind(0, SECOND_US, "good"));
        ck_assert_int_eq(e->code, ERR_UNAVAILABLE);
        ck_assert_uint_eq(w.n_changes, 0);
        finish();
}
END_TEST

START_TEST(nothing_is_done_while_topo_is_away)
{
        start();
        w.topo_away = true;
        ck_assert_int_eq(answer(run_kind(0, SECOND_US, "good"))->code, ERR_UNAVAILABLE);
        ck_assert_uint_eq(w.n_changes, 0);
        finish();
}
END_TEST

static void step_until_begun(void)
{
        while (!w.n_changes)
                ddl_world_step(&w);
}

START_TEST(shard_lost_midway_leaves_it_unknown_until_it_is_back)
{
        struct world_request *r;

        start();
        r = run_kind(0, SECOND_US, "good");
        step_until_begun();
        w.shards[1].away = true;
        ck_assert_int_eq(answer(r)->code, ERR_UNKNOWN);
        ck_assert_uint_eq(w.version, 0);
        ddl_world_settle(&w);
        ck_assert(ddl_world_is_published(&w, r));
        finish();
}
END_TEST

START_TEST(no_deadline_is_no_hang)
{
        struct world_request *r, *waiting;

        start();
        r = run_kind(0, 0, "good");
        step_until_begun();
        w.shards[1].away = true;
        waiting = run_kind(0, 0, "good");
        ck_assert_int_eq(answer(r)->code, ERR_UNKNOWN);
        ck_assert_int_eq(answer(waiting)->code, ERR_UNAVAILABLE);
        finish();
}
END_TEST

START_TEST(gate_that_dies_is_replaced)
{
        struct world_request *r;

        start();
        r = run_kind(0, 0, "good");
        step_until_begun();
        ddl_world_restart_gate(&w, 0);
        ddl_world_settle(&w);
        ck_assert(ddl_world_is_published(&w, r));

        r = run_kind(1, 0, "good");
        while (w.n_changes < 2)
                ddl_world_step(&w);
        ddl_world_end_lease(&w, 1);
        ck_assert_int_eq(answer(run_kind(2, 0, "good"))->code, ERR_ABORTED);
        ddl_world_settle(&w);
        ck_assert(ddl_world_is_published(&w, r));
        finish();
}
END_TEST

START_TEST(second_client_plans_again)
{
        struct world_request *a, *b, *c;
        int n_changed = 0;

        start();
        a = run_kind(0, 0, "good");
        b = run_kind(0, 0, "good");
        c = run_kind(1, 0, "good");
        answer(a);
        answer(b);
        answer(c);
        n_changed = (strcmp(a->answer.reason, "SCHEMA_CHANGED") == 0) +
                    (strcmp(b->answer.reason, "SCHEMA_CHANGED") == 0) +
                    (strcmp(c->answer.reason, "SCHEMA_CHANGED") == 0);
        ck_assert_int_eq(n_changed, 2);
        ck_assert_uint_eq(w.version, 1);
        finish();
}
END_TEST

START_TEST(done_once_for_a_request_id)
{
        struct world_request *r, *again;

        start();
        r = run_kind(0, 0, "good");
        ck_assert_int_eq(answer(r)->code, ERR_OK);
        ddl_world_settle(&w);
        for (size_t gate = 0; gate < WORLD_GATES; gate++) {
                again = ddl_world_repeat(&w, r, gate, 0);
                ck_assert_int_eq(answer(again)->code, ERR_OK);
        }
        ck_assert_uint_eq(w.version, 1);
        finish();
}
END_TEST

START_TEST(nothing_to_do_needs_nobody)
{
        struct world_request *r;

        start();
        w.topo_away = true;
        r = run_kind(0, 0, "good");
        r->ddl.verb = DDL_NOTHING;
        r->abandoned = true; /* on_done() would look for it among what is published */
        r->request.done = NULL;
        while (r->request.work)
                ddl_world_step(&w);
        ck_assert_uint_eq(w.n_sent, 0);
        finish();
}
END_TEST

START_TEST(abandoned_goes_on_or_never_begins)
{
        struct world_request *r;

        start();
        r = run_kind(0, 0, "good");
        r->abandoned = true;
        ddl_abandon(&r->request);
        ddl_abandon(&r->request);
        ddl_world_settle(&w);
        ck_assert(!ddl_world_is_published(&w, r));
        r = run_kind(0, 0, "good");
        step_until_begun();
        r->abandoned = true;
        ddl_abandon(&r->request);
        ddl_world_settle(&w);
        ck_assert(ddl_world_is_published(&w, r));
        finish();
}
END_TEST

/* ---- schedules at random */

static void disturb(void)
{
        switch (ddl_world_draw(&w, 60)) {
        case 0:
                ddl_world_restart_gate(&w, ddl_world_draw(&w, WORLD_GATES));
                break;
        case 1:
                ddl_world_end_lease(&w, ddl_world_draw(&w, WORLD_GATES));
                break;
        case 2:
        case 3:
                w.shards[ddl_world_draw(&w, WORLD_SHARDS)].away ^= true;
                break;
        case 4:
                w.topo_away ^= true;
                break;
        case 5: {
                struct world_request *r = w.requests[w.n_requests - 1];

                if (!r->answered && !r->abandoned) {
                        r->abandoned = true;
                        ddl_abandon(&r->request);
                }
                break;
        }
        default:
                break;
        }
}

static void run_schedule(uint64_t seed)
{
        ddl_world_init(&w, seed);
        ddl_world_run(&w, 0, 0);
        for (int step = 0; step < 600; step++) {
                if (ddl_world_draw(&w, 12) == 0 && w.n_requests < 60)
                        ddl_world_run(&w, ddl_world_draw(&w, WORLD_GATES),
                                      ddl_world_draw(&w, 3)
                                          ? (int64_t)(1 + ddl_world_draw(&w, 3000)) * 1000
                                          : 0);
                else if (ddl_world_draw(&w, 30) == 0 && w.n_requests < 60)
                        ddl_world_repeat(&w, w.requests[ddl_world_draw(&w, (unsigned)w.n_requests)],
                                         ddl_world_draw(&w, WORLD_GATES), 0);
                disturb();
                ddl_world_step(&w);
        }
        ddl_world_settle(&w);
        check_end(seed);
        ddl_world_done(&w);
}

START_TEST(schedules_at_random)
{
        enum { PER_CASE = 500 };
        const char *text = getenv("DDL_SEEDS"); /* how many thousand more; for nights */
        uint64_t n = text ? strtoull(text, NULL, 10) * 1000 : PER_CASE;

        for (uint64_t s = 0; s < n; s++)
                run_schedule(s * 4 + (uint64_t)_i);
}
END_TEST

int main(void)
{
        Suite *s;
        TCase *t;

        log_init("test", LOG_ERROR);
        s = suite_create("gate/ddl");
        t = tcase_create("ddl");

        tcase_set_timeout(t, getenv("DDL_SEEDS") ? 3600 : 60);
        tcase_add_test(t, done_on_all_shards);
        tcase_add_test(t, refused_by_a_shard_is_taken_back);
        tcase_add_test(t, nothing_is_done_while_a_shard_is_away);
        tcase_add_test(t, nothing_is_done_while_topo_is_away);
        tcase_add_test(t, shard_lost_midway_leaves_it_unknown_until_it_is_back);
        tcase_add_test(t, no_deadline_is_no_hang);
        tcase_add_test(t, gate_that_dies_is_replaced);
        tcase_add_test(t, second_client_plans_again);
        tcase_add_test(t, done_once_for_a_request_id);
        tcase_add_test(t, nothing_to_do_needs_nobody);
        tcase_add_test(t, abandoned_goes_on_or_never_begins);
        tcase_add_loop_test(t, schedules_at_random, 0, 4);
        suite_add_tcase(s, t);
        return unit_run(s);
}
