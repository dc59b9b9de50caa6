/* test_participant_shard.c - a shard among its transactions: who waits, who validates, who is
 * fenced, and what becomes of redo after a start. */
#include "tests/unit/txn/participant_fixture.h"

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
        Suite *s = suite_create("participant_shard");
        TCase *t = tcase_create("participant_shard");

        tcase_add_checked_fixture(t, set_up, tear_down);
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
