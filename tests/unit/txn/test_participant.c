/* test_participant.c - a shard's side of one transaction, step by step. What holds under all orders
 * of events is tests/sim's business; here is what each step looks like. */
#include "tests/unit/txn/participant_fixture.h"

/* ---------------------------------------------------------------- step by step */

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

START_TEST(a_copy_of_a_commit_in_doubt_is_in_doubt)
{
        struct participant_request *r = hold(1), *one = next(PARTICIPANT_END, r),
                                   *copy = next(PARTICIPANT_END, r);

        one->commit = copy->commit = true;
        send(one);
        send(copy);
        expect("commit 1");
        done_with((struct participant_outcome){
            .result = TXN_FAILED, .commit = TXN_COMMIT_IN_DOUBT, .is_gone = true });
        expect("answer 1 OUTCOME_UNKNOWN, look_up 1");
        participant_looked_up(p, copy, false, false, 0, now);
        expect("answer 1 OUTCOME_UNKNOWN");
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
        tcase_add_test(t, a_copy_of_a_commit_in_doubt_is_in_doubt);
        tcase_add_test(t, what_comes_back_after_its_commit_is_sent_away);
        tcase_add_test(t, a_look_up_that_fails_tells_nothing);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
