/* Decisions when many come at a time, when the store fails at any step, and at random. */
#include "tests/unit/topo/shaky.h"
#include "tests/unit/topo/txn_calls.h"
#include "topo/keys.h"

static uint64_t epoch;

static void set_up(void)
{
        shaky_start();
        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        shaky.n_commits = 0;
}

/* ---------------------------------------------------------------- together */

enum { N_AT_ONCE = 1000, PER_COMMIT = (STORE_MAX_TXN_STEPS - 2) / 2 };

START_TEST(what_arrives_meanwhile_shares_a_commit)
{
        static struct fx_answer answers[N_AT_ONCE];
        unsigned n_expected = 1 + (N_AT_ONCE - 1 + PER_COMMIT - 1) / PER_COMMIT;

        for (uint64_t i = 0; i < N_AT_ONCE; i++) {
                struct ask ask = { epoch, i + 1, true, 100 + i };

                send_decide("g0", "", &ask, 1, 0, &answers[i]);
        }
        ck_assert_uint_eq(shaky.n_commits, 1);
        for (uint64_t i = 0; i < N_AT_ONCE; i++)
                assert_told(take_decision(&answers[i]), COMMITTED, 100 + i);
        ck_assert_uint_eq(shaky.n_commits, n_expected);
}
END_TEST

/* Reports get on however many decisions there are. */
START_TEST(reports_have_their_share)
{
        static struct fx_answer answers[N_AT_ONCE];
        struct fx_answer report;

        decide("g0", "", epoch, 1, 77, 0);
        for (uint64_t i = 0; i < N_AT_ONCE; i++) {
                struct ask ask = { epoch, i + 2, true, 100 + i };

                send_decide("g0", "", &ask, 1, 0, &answers[i]);
        }
        send_report(SHOAL__V1__TRANSACTION_REPORT__KIND__DURABLE, epoch, 1, "1/-80", 0, &report);
        assert_told(take_report(&report), COMMITTED, 77);
        ck_assert(!answers[N_AT_ONCE - 1].done);
        for (uint64_t i = 0; i < N_AT_ONCE; i++)
                assert_told(take_decision(&answers[i]), COMMITTED, 100 + i);
}
END_TEST

/* All that concerns one transaction goes into one commit, and comes to one end. */
START_TEST(several_at_once_about_one)
{
        struct ask commit = { epoch, 1, true, 77 }, abort = { epoch, 1, false, 0 },
                   other = { epoch, 3, true, 5 };
        struct fx_answer a[6];

        decide("g0", "", epoch, 2, 6, 0);
        shaky.n_commits = 0;
        send_decide("g0", "", &other, 1, 0, &a[0]); /* keeps the store busy */
        send_decide("g0", "", &commit, 1, 0, &a[1]);
        send_decide("", "t0", &abort, 1, 0, &a[2]);
        send_report(SHOAL__V1__TRANSACTION_REPORT__KIND__PREPARED, epoch, 1, "1/-80",
                    MAX_PREPARED_MS + 1, &a[3]);
        send_report(SHOAL__V1__TRANSACTION_REPORT__KIND__DURABLE, epoch, 2, "1/-80", 0, &a[4]);
        send_report(SHOAL__V1__TRANSACTION_REPORT__KIND__DURABLE, epoch, 2, "1/80-", 0, &a[5]);
        assert_told(take_decision(&a[0]), COMMITTED, 5);
        assert_told(take_decision(&a[1]), COMMITTED, 77);
        assert_told(take_decision(&a[2]), COMMITTED, 77);
        assert_told(take_report(&a[3]), COMMITTED, 77);
        assert_told(take_report(&a[4]), DONE, 0);
        assert_told(take_report(&a[5]), DONE, 0);
        ck_assert_uint_eq(shaky.n_commits, 2);
}
END_TEST

/* ---------------------------------------------------------------- the store fails */

START_TEST(nothing_is_told_before_it_is_durable)
{
        struct ask ask = { epoch, 1, true, 77 };
        struct fx_answer a;

        shaky.hold_watch = true;
        send_decide("g0", "", &ask, 1, 0, &a);
        fx_settle();
        ck_assert(!a.done);
        release_watch();
        assert_told(take_decision(&a), COMMITTED, 77);
}
END_TEST

START_TEST(a_store_that_is_away_decides_nothing)
{
        struct ask asks[] = { { epoch, 1, true, 77 }, { epoch, 2, true, 78 } };
        struct fx_answer a, b;

        log_init("test", LOG_ERROR + 1);
        set_failing(ERR_UNAVAILABLE);
        send_decide("g0", "", &asks[0], 1, 0, &a);
        send_decide("g0", "", &asks[1], 1, 0, &b);
        fx_wait(&a);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "STORE_UNAVAILABLE");
        fx_wait(&b);
        fx_assert_failed(&b, ERR_UNAVAILABLE, "STORE_UNAVAILABLE");
        set_failing(ERR_OK);
        assert_told(decide("", "t0", epoch, 1, 0, 0), ABORTED, 0);
        assert_told(decide("g0", "", epoch, 2, 78, 0), COMMITTED, 78);
}
END_TEST

/* The answer is lost between topo and its store; asking again tells what stands. */
START_TEST(an_unknown_outcome_is_found_out)
{
        struct ask ask = { epoch, 1, true, 77 }, behind = { epoch, 2, true, 78 };
        struct fx_answer a, b;

        shaky.n_lost = 1;
        send_decide("g0", "", &ask, 1, 0, &a);
        send_decide("g0", "", &behind, 1, 0, &b); /* not in that commit */
        fx_wait(&a);
        fx_assert_failed(&a, ERR_UNKNOWN, "OUTCOME_UNKNOWN");
        assert_told(take_decision(&b), COMMITTED, 78);
        assert_told(decide("", "t0", epoch, 1, 0, 0), COMMITTED, 77);
        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
}
END_TEST

START_TEST(conflicts_are_tried_again_but_not_for_ever)
{
        struct ask ask = { epoch, 1, true, 77 };
        struct fx_answer a;

        shaky.n_conflicts = 3;
        assert_told(decide("g0", "", epoch, 2, 78, 0), COMMITTED, 78);
        shaky.n_conflicts = 1000;
        send_decide("g0", "", &ask, 1, 0, &a);
        fx_wait(&a);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "STORE_BUSY");
        shaky.n_conflicts = 0;
        assert_told(decide("g0", "", epoch, 1, 77, 0), COMMITTED, 77);
}
END_TEST

START_TEST(closing_answers_all)
{
        struct ask asks[] = { { epoch, 1, true, 77 }, { epoch, 2, true, 78 } };
        struct fx_answer a, b;

        send_decide("g0", "", &asks[0], 1, 0, &a);
        send_decide("g0", "", &asks[1], 1, 0, &b);
        fx_close();
        ck_assert(a.done && b.done);
        fx_done(&a);
        fx_assert_failed(&b, ERR_UNAVAILABLE, "SHUTTING_DOWN");
        fx_open();
        epoch = fx_gate("g0", 1);
}
END_TEST

/* ---------------------------------------------------------------- at random */

enum { N_GATES = 2, N_TXNS = 12, N_STEPS = 4000 };

/* What the world knows of a transaction. */
struct truth {
        uint64_t epoch, counter;
        unsigned gate;
        bool exists;
        bool may_be_committed, may_be_aborted; /* was asked for and the answer got lost */
        bool is_committed, is_aborted;         /* somebody was told so */
        bool is_durable[2];                    /* topo has taken note */
        bool was_told_durable[2];
};

static struct {
        uint64_t x;
        struct truth txns[N_TXNS];
        uint64_t epochs[N_GATES];
        uint64_t incarnations[N_GATES];
        uint64_t counters[N_GATES];
        unsigned n_committed, n_aborted, n_forgotten, n_done, n_never;
} world;

static uint64_t draw(uint64_t n)
{
        world.x ^= world.x << 13, world.x ^= world.x >> 7, world.x ^= world.x << 17;
        return world.x % n;
}

static const char *gate_name(unsigned i)
{
        return i ? "h1" : "h0";
}

/* is_holder: it has redo, so ABORTED is an answer to "nothing is known" too. */
static void check(struct truth *t, struct told told, bool is_holder)
{
        switch (told.state) {
        case TXN_STATE(COMMITTED):
                ck_assert_uint_eq(told.commit_ts, 1000 + t->counter);
                ck_assert_msg(!t->is_aborted, "committed after it was aborted");
                t->is_committed = true;
                world.n_committed++;
                break;
        case TXN_STATE(ABORTED):
                /* Once all have said that it is durable, nobody holds redo any more. */
                if (!(t->is_committed && t->was_told_durable[0] && t->was_told_durable[1] &&
                      is_holder)) {
                        ck_assert_msg(!t->is_committed, "aborted after it was committed");
                        t->is_aborted = true;
                }
                world.n_aborted++;
                break;
        case TXN_STATE(DONE):
                ck_assert_msg(!t->is_aborted, "done after it was aborted");
                ck_assert(t->was_told_durable[0] && t->was_told_durable[1]);
                world.n_done++;
                break;
        case TXN_STATE(FORGOTTEN):
                ck_assert(!is_holder);
                world.n_forgotten++;
                break;
        default:
                ck_assert_int_eq(told.state, TXN_STATE(PREPARING));
                ck_assert(!t->is_committed && !t->is_aborted);
        }
}

static void renew(struct truth *t)
{
        unsigned gate = (unsigned)draw(N_GATES);

        *t = (struct truth){ .epoch = world.epochs[gate],
                             .counter = ++world.counters[gate],
                             .gate = gate,
                             .exists = true };
}

static uint64_t oldest_of(unsigned gate)
{
        uint64_t oldest = world.counters[gate] + 1;

        for (size_t i = 0; i < N_TXNS; i++)
                if (world.txns[i].exists && world.txns[i].epoch == world.epochs[gate] &&
                    world.txns[i].counter < oldest)
                        oldest = world.txns[i].counter;
        return oldest;
}

static void ask_gate(struct truth *t)
{
        bool commit = draw(2);
        bool oldest = draw(2);

        check(t,
              decide(gate_name(t->gate), "", t->epoch, t->counter, commit ? 1000 + t->counter : 0,
                     oldest ? oldest_of(t->gate) : 0),
              false);
}

/* A participant holds redo until it has reported DURABLE. */
static void ask_participant(struct truth *t)
{
        unsigned i = (unsigned)draw(2);

        if (t->was_told_durable[i])
                return;
        if (draw(2))
                check(t, decide("", "t0", t->epoch, t->counter, 0, 0), true);
        else
                check(t,
                      report_prepared(t->epoch, t->counter, two_participants[i],
                                      (int64_t)draw(2 * MAX_PREPARED_MS)),
                      true);
}

static void say_durable(struct truth *t)
{
        unsigned i = (unsigned)draw(2);

        if (!t->is_committed)
                return;
        t->was_told_durable[i] = true;
        check(t, report_durable(t->epoch, t->counter, two_participants[i]), false);
}

static void look(struct truth *t)
{
        struct told told = find_record(t->epoch, t->counter);

        check(t, told, false);
        if (told.never_decided) {
                ck_assert(!t->is_committed);
                t->is_aborted = true;
                world.n_never++;
        }
}

static void change_gate(void)
{
        unsigned gate = (unsigned)draw(N_GATES);

        world.epochs[gate] = fx_gate(gate_name(gate), ++world.incarnations[gate]);
        world.counters[gate] = 0;
}

/* Keeps the gates alive. */
static void pass(void)
{
        fx_pass_ms(1 + draw(LEASE_MS - 1));
        for (unsigned i = 0; i < N_GATES; i++)
                ck_assert_uint_eq(fx_gate(gate_name(i), world.incarnations[i]), world.epochs[i]);
}

static void step(void)
{
        struct truth *t = &world.txns[draw(N_TXNS)];
        uint64_t what = draw(100);

        if (!t->exists || what < 3)
                renew(t);
        else if (what < 35)
                ask_gate(t);
        else if (what < 60)
                ask_participant(t);
        else if (what < 80)
                say_durable(t);
        else if (what < 90)
                look(t);
        else if (what < 97)
                pass();
        else if (what == 97)
                change_gate();
        else if (what == 98)
                shaky.n_conflicts = 1 + (unsigned)draw(3);
        else
                fx_pass_ms(0);
}

START_TEST(what_was_told_stays_true)
{
        memset(&world, 0, sizeof world);
        world.x = 88172645463325252u + (uint64_t)_i * 7919;
        for (unsigned i = 0; i < N_GATES; i++)
                world.epochs[i] = fx_gate(gate_name(i), ++world.incarnations[i]);
        for (int i = 0; i < N_STEPS; i++)
                step();
        /* It was worth it. */
        ck_assert_uint_gt(world.n_committed, 50);
        ck_assert_uint_gt(world.n_aborted, 50);
        ck_assert_uint_gt(world.n_forgotten, 10);
        ck_assert_uint_gt(world.n_done, 10);
        ck_assert_uint_gt(world.n_never, 10);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/transactions_store");
        TCase *t = tcase_create("transactions_store");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, shaky_stop);
        tcase_add_test(t, what_arrives_meanwhile_shares_a_commit);
        tcase_add_test(t, reports_have_their_share);
        tcase_add_test(t, several_at_once_about_one);
        tcase_add_test(t, nothing_is_told_before_it_is_durable);
        tcase_add_test(t, a_store_that_is_away_decides_nothing);
        tcase_add_test(t, an_unknown_outcome_is_found_out);
        tcase_add_test(t, conflicts_are_tried_again_but_not_for_ever);
        tcase_add_test(t, closing_answers_all);
        tcase_add_loop_test(t, what_was_told_stays_true, 0, 4);
        suite_add_tcase(s, t);
        return unit_run(s);
}
