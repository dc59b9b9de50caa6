/* test_participant.c - a shard's side of transactions, step by step. What holds under all orders of
 * events is tests/sim's business; here is what each step looks like. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "txn/participant.h"

enum { MS = 1000, START = 1000 };

static struct hlc hlc;
static struct txn_clock clock_;
static struct participant *p;
static int64_t now;
/* The actions since the last look, as words. */
static char log_[2048];
static struct participant_action last;
static struct participant_request requests[40];
static size_t n_requests;

static int64_t wall_now(void)
{
        return now;
}

static const char *const names[] = {
        [PARTICIPANT_DO_ANSWER] = "answer",
        [PARTICIPANT_DO_OPEN] = "open",
        [PARTICIPANT_DO_RUN] = "run",
        [PARTICIPANT_DO_UNDO] = "undo",
        [PARTICIPANT_DO_PREPARE] = "prepare",
        [PARTICIPANT_DO_COMMIT] = "commit",
        [PARTICIPANT_DO_ROLL_BACK] = "roll_back",
        [PARTICIPANT_DO_BATCH] = "batch",
        [PARTICIPANT_DO_FENCE] = "fence",
        [PARTICIPANT_DO_REAPPLY] = "reapply",
        [PARTICIPANT_DO_LOOK_UP] = "look_up",
        [PARTICIPANT_DO_RAISE_FLOOR] = "raise_floor",
        [PARTICIPANT_DO_SYNC] = "sync",
        [PARTICIPANT_DO_ASK] = "ask",
        [PARTICIPANT_DO_REPORT] = "report",
        [PARTICIPANT_DO_LOOK_AGAIN] = NULL,
        [PARTICIPANT_DO_ALARM] = "alarm",
};

/* Answers are "answer COUNTER RESULT", all else "NAME COUNTER"; pins that look again are left out.
 */
static const char *happens(void)
{
        struct participant_action a;
        size_t n = 0;

        log_[0] = '\0';
        while (participant_next(p, &a)) {
                if (!names[a.act])
                        continue;
                last = a;
                n += (size_t)snprintf(log_ + n, sizeof log_ - n, "%s%s", n ? ", " : "",
                                      names[a.act]);
                if (a.act == PARTICIPANT_DO_ANSWER)
                        n += (size_t)snprintf(log_ + n, sizeof log_ - n, " %" PRIu64 " %s",
                                              a.request->age.id.counter,
                                              txn_result_name(a.request->result));
                else if (a.age.id.counter)
                        n += (size_t)snprintf(log_ + n, sizeof log_ - n, " %" PRIu64,
                                              a.age.id.counter);
                ck_assert(n < sizeof log_);
        }
        return log_;
}

#define expect(words) ck_assert_str_eq(happens(), words)

/* Transactions are told by their counter; smaller ones are older. */
static struct participant_request *request(enum participant_kind kind, uint64_t counter)
{
        struct participant_request *r = &requests[n_requests++];

        ck_assert(n_requests <= sizeof requests / sizeof requests[0]);
        *r = (struct participant_request){
                .kind = kind,
                .age = { START + counter, { 1, START + counter, counter } },
                .stream = counter,
        };
        return r;
}

static struct participant_request *send(struct participant_request *r)
{
        participant_request(p, r, now);
        return r;
}

static void done(void)
{
        now++;
        participant_job_done(
            p,
            &(struct participant_outcome){ .last_ts = clock_.last_ts, .position = (uint64_t)now },
            now);
}

static void done_with(struct participant_outcome o)
{
        participant_job_done(p, &o, now);
}

static void set_up_with(const struct participant_redo *redo, size_t n)
{
        struct participant_options o = { .idle_us = 100 * MS, .total_us = 150 * MS };

        now = 50 * MS;
        n_requests = 0;
        hlc_init(&hlc, wall_now, 60 * 1000 * MS);
        txn_clock_init(&clock_, 500, 600);
        p = participant_new(&o, &clock_, &hlc, 7);
        participant_recover(p, redo, n, 0, now);
}

static void set_up(void)
{
        set_up_with(NULL, 0);
        expect("");
        ck_assert(participant_is_serving(p));
}

static void tear_down(void)
{
        p = participant_free(p);
}

/* The transaction holds the writer, its first statement has run. */
static struct participant_request *hold(uint64_t counter)
{
        struct participant_request *r = send(request(PARTICIPANT_EXECUTE, counter));

        ck_assert_str_eq(happens(), log_);
        ck_assert_int_eq(last.act, PARTICIPANT_DO_OPEN);
        done();
        happens();
        ck_assert_int_eq(last.act, PARTICIPANT_DO_RUN);
        done();
        happens();
        ck_assert_int_eq(r->result, TXN_OK);
        ck_assert_int_eq(participant_state(p), PARTICIPANT_IS_ACTIVE);
        return r;
}

/* The next request of what r was answered for. */
static struct participant_request *next(enum participant_kind kind,
                                        const struct participant_request *r)
{
        struct participant_request *n = request(kind, r->age.id.counter);

        n->incarnation = r->ret_incarnation;
        n->n_statements = r->ret_n_statements;
        return n;
}

static struct participant_request *end(uint64_t counter, bool commit, uint64_t commit_ts)
{
        struct participant_request *r = request(PARTICIPANT_END, counter);

        r->commit = commit;
        r->commit_ts = commit_ts;
        return r;
}

/* It has prepared, with others. */
static struct participant_request *prepare(uint64_t counter)
{
        struct participant_request *r = send(next(PARTICIPANT_PREPARE, hold(counter)));

        happens();
        ck_assert_int_eq(last.act, PARTICIPANT_DO_PREPARE);
        ck_assert_uint_eq(last.commit_ts, txn_clock_pending(&clock_));
        done();
        happens();
        ck_assert_int_eq(r->result, TXN_OK);
        ck_assert_uint_eq(r->ret_commit_ts, txn_clock_pending(&clock_));
        return r;
}

/* ---------------------------------------------------------------- one transaction */

START_TEST(the_only_participant_commits)
{
        struct participant_request *r = hold(1), *c;

        ck_assert_uint_eq(r->ret_incarnation, 7);
        ck_assert_uint_eq(r->ret_n_statements, 1);
        ck_assert_uint_eq(r->ret_last_ts, 500);
        c = next(PARTICIPANT_END, r);
        c->commit = true;
        c->min_ts = UINT64_C(1) << 40;
        send(c);
        expect("commit 1");
        ck_assert(last.sync && last.is_lone);
        ck_assert_uint_gt(last.commit_ts, c->min_ts);
        done();
        expect("answer 1 OK");
        ck_assert_uint_eq(c->ret_commit_ts, clock_.last_ts);
        ck_assert_int_eq(participant_state(p), PARTICIPANT_IS_FREE);
}
END_TEST

START_TEST(a_commit_that_fails_leaves_it_open_or_not)
{
        struct participant_request *r = hold(1), *c = next(PARTICIPANT_END, r);

        c->commit = true;
        send(c);
        happens();
        done_with(
            (struct participant_outcome){ .result = TXN_FAILED, .commit = TXN_COMMIT_NOT_DONE });
        expect("answer 1 BUG");
        ck_assert_uint_eq(c->ret_incarnation, 7);
        ck_assert_uint_eq(txn_clock_pending(&clock_), 0);
        c = next(PARTICIPANT_END, c);
        c->commit = true;
        send(c);
        happens();
        done_with((struct participant_outcome){
            .result = TXN_FAILED, .commit = TXN_COMMIT_IN_DOUBT, .is_gone = true });
        expect("answer 1 OUTCOME_UNKNOWN");
        ck_assert_uint_ne(txn_clock_pending(&clock_), 0);
        ck_assert_int_eq(participant_state(p), PARTICIPANT_IS_FREE);
}
END_TEST

START_TEST(a_commit_of_several_is_not_synced_and_reported_later)
{
        struct participant_request *r = prepare(1);
        uint64_t needed = participant_redo_needed(p);

        ck_assert_uint_ne(needed, UINT64_MAX);
        send(end(1, true, r->ret_commit_ts + 10));
        expect("commit 1");
        ck_assert(!last.sync && !last.is_lone);
        done();
        expect("answer 1 OK");
        ck_assert_uint_eq(clock_.last_ts, r->ret_commit_ts + 10);
        ck_assert_uint_eq(participant_redo_needed(p), needed);
        now = participant_deadline(p);
        participant_tick(p, now);
        expect("sync");
        participant_synced(p, last.seq, now);
        expect("report 1");
        ck_assert_uint_eq(participant_redo_needed(p), needed);
        participant_reported(p, &r->age.id, now);
        ck_assert_uint_eq(participant_redo_needed(p), UINT64_MAX);
        /* Its row stays until the redo is gone. */
        ck_assert_uint_eq(participant_horizon(p, START + 100), START);
        participant_redo_cut(p, needed + 1);
        ck_assert_uint_eq(participant_horizon(p, START + 100), START + 100);
}
END_TEST

START_TEST(a_commit_below_the_vote_is_refused)
{
        struct participant_request *r = prepare(1);

        send(end(1, true, r->ret_commit_ts - 1));
        expect("alarm 1, answer 1 UNDECIDED");
        participant_decided(p, &r->age.id, true, r->ret_commit_ts - 1, now);
        expect("alarm 1");
        ck_assert_int_eq(participant_state(p), PARTICIPANT_IS_PREPARED);
}
END_TEST

START_TEST(a_decided_commit_is_tried_until_it_works)
{
        struct participant_request *r = prepare(1);

        send(end(1, true, r->ret_commit_ts));
        happens();
        done_with((struct participant_outcome){ .commit = TXN_COMMIT_NOT_DONE, .is_gone = true });
        expect("");
        ck_assert_uint_eq(txn_clock_pending(&clock_), r->ret_commit_ts);
        now = participant_deadline(p);
        participant_tick(p, now);
        expect("reapply 1");
        done_with((struct participant_outcome){ .result = TXN_FAILED });
        now = participant_deadline(p);
        participant_tick(p, now);
        expect("reapply 1");
        done();
        expect("commit 1");
        done();
        /* Whoever asked is answered from what is there now. */
        expect("look_up 1");
        participant_looked_up(p, last.request, false, true, r->ret_commit_ts, now);
        expect("answer 1 OK");
}
END_TEST

START_TEST(what_is_open_is_undone_when_its_time_is_up)
{
        struct participant_request *r = hold(1);

        ck_assert_int_eq(participant_deadline(p), now + 100 * MS);
        now += 100 * MS;
        participant_tick(p, now);
        expect("roll_back 1");
        done();
        send(next(PARTICIPANT_EXECUTE, r));
        expect("answer 1 PARTICIPANT_LOST");
}
END_TEST

START_TEST(the_streams_end_undoes_what_has_not_prepared)
{
        struct participant_request *r;

        hold(1);
        participant_stream_lost(p, 1, now);
        expect("roll_back 1");
        done();
        r = prepare(2);
        participant_stream_lost(p, 2, now);
        expect("");
        participant_tick(p, now);
        expect("ask 2");
        participant_decided(p, &r->age.id, false, 0, now);
        expect("roll_back 2");
        done();
        ck_assert_int_eq(participant_state(p), PARTICIPANT_IS_FREE);
        ck_assert_uint_eq(participant_redo_needed(p), UINT64_MAX);
}
END_TEST

START_TEST(a_vote_that_nobody_was_told_may_be_undone)
{
        send(next(PARTICIPANT_PREPARE, hold(1)));
        happens();
        participant_stream_lost(p, 1, now);
        done();
        expect("answer 1 PARTICIPANT_LOST, roll_back 1");
        done();
        ck_assert_uint_eq(txn_clock_pending(&clock_), 0);
        ck_assert_uint_eq(participant_redo_needed(p), UINT64_MAX);
}
END_TEST

/* ---------------------------------------------------------------- copies */

START_TEST(requests_that_are_not_next_are_refused)
{
        struct participant_request *r = hold(1), *late = next(PARTICIPANT_EXECUTE, r);

        late->n_statements--;
        send(late);
        expect("answer 1 PARTICIPANT_LOST");
        late = next(PARTICIPANT_EXECUTE, r);
        late->incarnation++;
        send(late);
        expect("answer 1 PARTICIPANT_LOST");
        send(next(PARTICIPANT_EXECUTE, r));
        expect("run 1");
        done();
        expect("answer 1 OK");
}
END_TEST

START_TEST(a_repeated_prepare_tells_the_vote_again)
{
        struct participant_request *r = prepare(1), *copy = request(PARTICIPANT_PREPARE, 1);

        copy->incarnation = r->ret_incarnation;
        copy->n_statements = r->ret_n_statements - 1;
        send(copy);
        expect("answer 1 OK");
        ck_assert_uint_eq(copy->ret_commit_ts, r->ret_commit_ts);
}
END_TEST

START_TEST(a_refused_commit_is_final)
{
        struct participant_request *r = hold(1), *c = next(PARTICIPANT_END, r);

        c->commit = true;
        c->n_statements++;
        send(c);
        expect("answer 1 PARTICIPANT_LOST, roll_back 1");
        done();
        c = next(PARTICIPANT_END, r);
        c->commit = true;
        send(c);
        expect("look_up 1");
        participant_looked_up(p, c, false, false, 0, now);
        expect("answer 1 PARTICIPANT_LOST");
}
END_TEST

START_TEST(a_copy_of_a_commit_that_failed_does_not_commit)
{
        struct participant_request *r = hold(1), *c = next(PARTICIPANT_END, r),
                                   *copy = next(PARTICIPANT_END, r);

        c->commit = copy->commit = true;
        send(c);
        send(copy);
        expect("commit 1");
        done_with(
            (struct participant_outcome){ .result = TXN_FAILED, .commit = TXN_COMMIT_NOT_DONE });
        expect("answer 1 BUG, roll_back 1");
        done();
        expect("look_up 1");
}
END_TEST

START_TEST(what_comes_back_after_its_commit_is_sent_away)
{
        struct participant_request *r = hold(1), *c = next(PARTICIPANT_END, r), *copy;

        c->commit = true;
        send(c);
        happens();
        done();
        happens();
        send(request(PARTICIPANT_EXECUTE, 1));
        expect("open 1");
        copy = next(PARTICIPANT_END, r);
        copy->commit = true;
        send(copy);
        expect("look_up 1");
        participant_looked_up(p, copy, false, true, clock_.last_ts, now);
        expect("answer 1 OK");
        done_with((struct participant_outcome){
            .last_ts = clock_.last_ts, .applied = true, .applied_ts = clock_.last_ts });
        expect("answer 1 PARTICIPANT_LOST, roll_back 1");
}
END_TEST

START_TEST(a_look_up_that_fails_tells_nothing)
{
        struct participant_request *c = end(1, true, 0);

        c->incarnation = 3;
        send(c);
        expect("look_up 1");
        participant_looked_up(p, c, true, false, 0, now);
        expect("answer 1 OUTCOME_UNKNOWN");
}
END_TEST

/* ---------------------------------------------------------------- waiting */

START_TEST(the_older_waits_and_the_younger_dies)
{
        struct participant_request *r = hold(5);

        send(request(PARTICIPANT_EXECUTE, 6));
        expect("answer 6 WRITE_CONFLICT");
        send(request(PARTICIPANT_EXECUTE, 1));
        send(request(PARTICIPANT_EXECUTE, 3));
        send(request(PARTICIPANT_EXECUTE, 2));
        expect("");
        send(end(5, false, 0));
        expect("roll_back 5");
        done();
        /* The youngest of them, so that the others are still older. */
        expect("answer 5 OK, open 3");
        send(request(PARTICIPANT_EXECUTE, 4));
        expect("answer 4 WRITE_CONFLICT");
        send(end(2, false, 0));
        expect("answer 2 ROLLED_BACK, answer 2 OK");
        ck_assert_uint_eq(r->ret_incarnation, 7);
}
END_TEST

START_TEST(batches_take_turns_with_transactions)
{
        hold(5);
        participant_want_batch(p, now);
        send(request(PARTICIPANT_EXECUTE, 3));
        expect("");
        send(end(5, false, 0));
        happens();
        done();
        expect("answer 5 OK, batch");
        participant_want_batch(p, now);
        send(request(PARTICIPANT_EXECUTE, 4));
        expect("answer 4 WRITE_CONFLICT");
        done_with((struct participant_outcome){ .commit = TXN_COMMIT_NOT_DONE, .more = true });
        expect("open 3");
        done();
        expect("run 3");
        done();
        happens();
        send(end(3, false, 0));
        happens();
        done();
        expect("answer 3 OK, batch");
}
END_TEST

START_TEST(a_first_write_must_find_what_was_read)
{
        static const struct {
                uint64_t expect_c, max_c;
                const char *words;
        } rows[] = {
                { 0, 0, "open 1" },
                { 500, 0, "open 1" },
                { 499, 0, "answer 1 WRITE_CONFLICT" },
                { 501, 0, "answer 1 WRITE_CONFLICT" },
                { 0, 500, "open 1" },
                { 0, 499, "answer 1 WRITE_CONFLICT" },
        };
        struct participant_request *r = request(PARTICIPANT_EXECUTE, 1);

        r->expect_c = rows[_i].expect_c;
        r->max_c = rows[_i].max_c;
        send(r);
        expect(rows[_i].words);
        if (last.act != PARTICIPANT_DO_OPEN)
                return;
        /* The file knows better. */
        done_with((struct participant_outcome){ .last_ts = 502 });
        if (r->expect_c || r->max_c)
                expect("answer 1 WRITE_CONFLICT, roll_back 1");
        else
                expect("run 1");
}
END_TEST

START_TEST(a_commit_in_doubt_is_settled_before_a_transaction_opens)
{
        uint64_t ts;

        participant_want_batch(p, now);
        expect("batch");
        ts = txn_clock_begin(&clock_, 0, 0, NULL);
        txn_clock_end(&clock_, ts, TXN_COMMIT_IN_DOUBT);
        done_with((struct participant_outcome){ .commit = TXN_COMMIT_IN_DOUBT });
        expect("");
        send(request(PARTICIPANT_EXECUTE, 1));
        expect("");
        now = participant_deadline(p);
        participant_tick(p, now);
        expect("batch");
        ck_assert_uint_ne(txn_clock_due(&clock_, 0, 0, 10, false), 0);
        ts = txn_clock_begin(&clock_, 0, 0, NULL);
        txn_clock_end(&clock_, ts, TXN_COMMIT_DONE);
        done_with((struct participant_outcome){ .commit = TXN_COMMIT_DONE });
        expect("open 1");
}
END_TEST

START_TEST(too_many_do_not_wait)
{
        struct participant_options o = { .max_waiting = 2 };

        tear_down();
        p = participant_new(&o, &clock_, &hlc, 7);
        participant_recover(p, NULL, 0, 0, now);
        happens();
        hold(5);
        send(request(PARTICIPANT_EXECUTE, 1));
        participant_cancel(p, send(request(PARTICIPANT_EXECUTE, 2)), now);
        expect("answer 2 CANCELLED");
        send(request(PARTICIPANT_EXECUTE, 3));
        send(request(PARTICIPANT_EXECUTE, 4));
        expect("answer 4 TOO_MANY_TRANSACTIONS");
}
END_TEST

/* ---------------------------------------------------------------- validating, asking, fencing */

static struct participant_request *validate(uint64_t counter, uint64_t c, uint64_t commit_ts)
{
        struct participant_request *r = request(PARTICIPANT_VALIDATE, counter);

        r->c = c;
        r->commit_ts = commit_ts;
        return send(r);
}

START_TEST(a_validation_raises_the_floor_first)
{
        validate(1, 499, 550);
        expect("answer 1 READ_CONFLICT");
        validate(1, 500, 550);
        expect("answer 1 OK");
        ck_assert_uint_eq(clock_.floor, 600);
        validate(1, 500, 700);
        expect("raise_floor");
        ck_assert_uint_eq(last.commit_ts, 700);
        participant_floor_raised(p, 800, 0, now);
        expect("answer 1 OK");
        ck_assert_uint_eq(clock_.floor, 700);
}
END_TEST

START_TEST(of_two_that_validate_the_older_waits)
{
        struct participant_request *r = prepare(5);
        uint64_t later = r->ret_commit_ts + 1;

        participant_floor_raised(p, later + 10, 0, now);
        validate(6, 500, later);
        expect("answer 6 READ_CONFLICT");
        validate(4, 500, later);
        validate(3, 500, r->ret_commit_ts - 1);
        expect("answer 3 OK");
        participant_decided(p, &r->age.id, false, 0, now);
        happens();
        done();
        expect("answer 4 OK");
}
END_TEST

START_TEST(a_fence_undoes_what_is_open_and_is_found_later)
{
        struct participant_request *f = request(PARTICIPANT_FIND, 1);

        f->fence = true;
        hold(1);
        send(f);
        expect("roll_back 1");
        done();
        expect("fence 1");
        done_with((struct participant_outcome){ .commit = TXN_COMMIT_DONE });
        expect("answer 1 UNKNOWN_TRANSACTION");
        send(request(PARTICIPANT_EXECUTE, 1));
        expect("open 1");
        done_with((struct participant_outcome){ .last_ts = 500, .applied = true });
        expect("answer 1 TRANSACTION_FENCED, roll_back 1");
}
END_TEST

START_TEST(what_has_prepared_cannot_be_fenced)
{
        struct participant_request *f = request(PARTICIPANT_FIND, 1);

        f->fence = true;
        prepare(1);
        send(f);
        expect("answer 1 UNDECIDED");
}
END_TEST

START_TEST(what_is_trimmed_is_forgotten_and_not_let_in)
{
        struct participant_request *f = request(PARTICIPANT_FIND, 1);

        participant_trimmed(p, START + 1);
        send(f);
        expect("look_up 1");
        participant_looked_up(p, f, false, false, 0, now);
        expect("answer 1 FORGOTTEN");
        send(request(PARTICIPANT_EXECUTE, 1));
        expect("answer 1 TRANSACTION_TOO_OLD");
}
END_TEST

/* ---------------------------------------------------------------- after a start */

static struct participant_redo redo(uint64_t counter, enum participant_redo_state state)
{
        return (struct participant_redo){
                .age = { START + counter, { 1, START + counter, counter } },
                .vote = 600 + 10 * counter,
                .position = counter,
                .state = state,
        };
}

START_TEST(redo_is_put_back_in_order_before_anything_is_served)
{
        struct participant_redo log[] = { redo(1, PARTICIPANT_REDO_COMMITTED),
                                          redo(2, PARTICIPANT_REDO_PREPARED),
                                          redo(3, PARTICIPANT_REDO_PREPARED) };

        tear_down();
        set_up_with(log, 3);
        expect("report 1, ask 2");
        ck_assert(last.is_holder_abort);
        send(request(PARTICIPANT_EXECUTE, 9));
        expect("answer 9 SHARD_RECOVERING");
        participant_decided(p, &log[1].age.id, true, 625, now);
        expect("reapply 2");
        done();
        expect("commit 2");
        done();
        expect("reapply 3");
        ck_assert_uint_eq(txn_clock_pending(&clock_), 630);
        done();
        expect("");
        participant_tick(p, now);
        expect("ask 3");
        ck_assert(!last.is_holder_abort);
        ck_assert(!participant_is_serving(p));
        participant_undecided(p, &log[2].age.id, now);
        ck_assert(participant_is_serving(p));
        ck_assert_uint_eq(clock_.last_ts, 625);
        participant_decided(p, &log[2].age.id, true, 640, now);
        expect("commit 3");
        done();
        ck_assert_int_eq(participant_state(p), PARTICIPANT_IS_FREE);
}
END_TEST

START_TEST(what_was_decided_meanwhile_is_never_served_without)
{
        struct participant_redo log[] = { redo(1, PARTICIPANT_REDO_PREPARED) };

        tear_down();
        set_up_with(log, 1);
        expect("reapply 1");
        participant_decided(p, &log[0].age.id, true, 640, now);
        expect("");
        done();
        expect("commit 1");
        ck_assert(!participant_is_serving(p));
        done();
        ck_assert(participant_is_serving(p));
        ck_assert_uint_eq(clock_.last_ts, 640);
}
END_TEST

START_TEST(redo_that_cannot_be_put_back_may_yet_be_aborted)
{
        struct participant_redo log[] = { redo(1, PARTICIPANT_REDO_PREPARED) };

        tear_down();
        set_up_with(log, 1);
        expect("reapply 1");
        done_with((struct participant_outcome){ .result = TXN_FAILED });
        expect("ask 1");
        participant_decided(p, &log[0].age.id, false, 0, now);
        expect("");
        ck_assert(participant_is_serving(p));
        ck_assert_uint_eq(txn_clock_pending(&clock_), 0);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("participant");
        TCase *t = tcase_create("participant");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, the_only_participant_commits);
        tcase_add_test(t, a_commit_that_fails_leaves_it_open_or_not);
        tcase_add_test(t, a_commit_of_several_is_not_synced_and_reported_later);
        tcase_add_test(t, a_commit_below_the_vote_is_refused);
        tcase_add_test(t, a_decided_commit_is_tried_until_it_works);
        tcase_add_test(t, what_is_open_is_undone_when_its_time_is_up);
        tcase_add_test(t, the_streams_end_undoes_what_has_not_prepared);
        tcase_add_test(t, a_vote_that_nobody_was_told_may_be_undone);
        tcase_add_test(t, requests_that_are_not_next_are_refused);
        tcase_add_test(t, a_repeated_prepare_tells_the_vote_again);
        tcase_add_test(t, a_refused_commit_is_final);
        tcase_add_test(t, a_copy_of_a_commit_that_failed_does_not_commit);
        tcase_add_test(t, what_comes_back_after_its_commit_is_sent_away);
        tcase_add_test(t, a_look_up_that_fails_tells_nothing);
        tcase_add_test(t, the_older_waits_and_the_younger_dies);
        tcase_add_test(t, batches_take_turns_with_transactions);
        tcase_add_loop_test(t, a_first_write_must_find_what_was_read, 0, 6);
        tcase_add_test(t, a_commit_in_doubt_is_settled_before_a_transaction_opens);
        tcase_add_test(t, too_many_do_not_wait);
        tcase_add_test(t, a_validation_raises_the_floor_first);
        tcase_add_test(t, of_two_that_validate_the_older_waits);
        tcase_add_test(t, a_fence_undoes_what_is_open_and_is_found_later);
        tcase_add_test(t, what_has_prepared_cannot_be_fenced);
        tcase_add_test(t, what_is_trimmed_is_forgotten_and_not_let_in);
        tcase_add_test(t, redo_is_put_back_in_order_before_anything_is_served);
        tcase_add_test(t, what_was_decided_meanwhile_is_never_served_without);
        tcase_add_test(t, redo_that_cannot_be_put_back_may_yet_be_aborted);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
