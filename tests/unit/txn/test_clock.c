/* test_clock.c - a shard's clock: what pins are told, and what commits get. */
#include <check.h>

#include "tests/unit/unit.h"
#include "txn/clock.h"

static struct txn_clock clock_;
static const struct txn_age somebody = { .first_start = 5, .id = { 1, 5, 1 } };

static void set_up(void)
{
        txn_clock_init(&clock_, 100, 200);
}

static uint64_t exact(uint64_t read_ts, uint64_t c)
{
        uint64_t floor, pending;

        txn_clock_pin(&clock_, read_ts, &floor, &pending);
        return txn_clock_exact(c, floor, pending);
}

START_TEST(what_was_promised_counts_after_a_start)
{
        ck_assert_uint_eq(txn_clock_begin(&clock_, 0, 0, NULL), 201);
}
END_TEST

START_TEST(a_timestamp_exceeds_all_that_it_must)
{
        ck_assert_uint_eq(txn_clock_begin(&clock_, 300, 0, NULL), 300);
        txn_clock_end(&clock_, 300, TXN_COMMIT_DONE);
        ck_assert_uint_eq(txn_clock_begin(&clock_, 299, 0, NULL), 301);
        txn_clock_end(&clock_, 301, TXN_COMMIT_NOT_DONE);
        ck_assert_uint_eq(txn_clock_begin(&clock_, 299, 400, NULL), 401);
        txn_clock_end(&clock_, 401, TXN_COMMIT_DONE);
        txn_clock_promised(&clock_, 1000, 500);
        ck_assert_uint_eq(txn_clock_begin(&clock_, 0, 0, NULL), 501);
}
END_TEST

START_TEST(the_floor_stops_at_what_is_durable)
{
        ck_assert(!txn_clock_settle(&clock_, 201));
        ck_assert(txn_clock_settle(&clock_, 200));
        ck_assert_uint_eq(exact(5000, 100), 200);
        txn_clock_promised(&clock_, 5000, 0);
        ck_assert_uint_eq(exact(4000, 100), 4000);
        ck_assert_uint_eq(txn_clock_begin(&clock_, 0, 0, NULL), 4001);
}
END_TEST

START_TEST(what_is_pending_bounds_a_pin)
{
        uint64_t vote;

        txn_clock_promised(&clock_, 5000, 0);
        vote = txn_clock_begin(&clock_, 300, 0, &somebody);
        ck_assert_uint_eq(txn_clock_pending(&clock_), vote);
        ck_assert_uint_eq(exact(1000, 100), vote - 1);
        /* It is in the snapshot by now. */
        ck_assert_uint_eq(exact(1000, vote), 1000);
        ck_assert(!txn_clock_settle(&clock_, vote));
        ck_assert(txn_clock_settle(&clock_, vote - 1));
        txn_clock_end(&clock_, vote + 50, TXN_COMMIT_DONE);
        ck_assert_uint_eq(clock_.last_ts, vote + 50);
        ck_assert(txn_clock_settle(&clock_, 1000));
}
END_TEST

START_TEST(doubt_stays_until_another_commit)
{
        uint64_t ts = txn_clock_begin(&clock_, 300, 0, NULL), later;

        txn_clock_end(&clock_, ts, TXN_COMMIT_IN_DOUBT);
        ck_assert_uint_eq(txn_clock_pending(&clock_), ts);
        ck_assert_uint_ne(txn_clock_due(&clock_, 250, 300, 10, false), 0);
        later = txn_clock_begin(&clock_, 400, 0, NULL);
        ck_assert_uint_eq(txn_clock_pending(&clock_), ts);
        txn_clock_end(&clock_, later, TXN_COMMIT_NOT_DONE);
        ck_assert_uint_eq(txn_clock_pending(&clock_), ts);
        later = txn_clock_begin(&clock_, 500, 0, NULL);
        txn_clock_end(&clock_, later, TXN_COMMIT_DONE);
        ck_assert_uint_eq(txn_clock_pending(&clock_), 0);
}
END_TEST

START_TEST(a_vote_of_before_may_lie_below_the_floor)
{
        txn_clock_restore(&clock_, 150, &somebody);
        ck_assert_uint_eq(exact(200, 100), 149);
        txn_clock_end(&clock_, 160, TXN_COMMIT_DONE);
        ck_assert_uint_eq(exact(200, 160), 200);
}
END_TEST

START_TEST(promises_move_ahead_with_commits)
{
        ck_assert_uint_eq(txn_clock_due(&clock_, 0, 150, 100, false), 0);
        ck_assert_uint_eq(txn_clock_due(&clock_, 0, 150, 100, true), 0);
        ck_assert_uint_eq(txn_clock_due(&clock_, 0, 151, 100, true), 251);
        ck_assert_uint_eq(txn_clock_due(&clock_, 200, 100, 100, false), 0);
        ck_assert_uint_eq(txn_clock_due(&clock_, 201, 100, 100, false), 301);
}
END_TEST

START_TEST(a_file_that_is_read_again_takes_nothing_back)
{
        txn_clock_restore(&clock_, 150, &somebody);
        txn_clock_reopen(&clock_, 90, 100);
        ck_assert_uint_eq(clock_.last_ts, 100);
        ck_assert_uint_eq(clock_.floor_durable, 200);
        ck_assert_uint_eq(txn_clock_pending(&clock_), 150);
        txn_clock_reopen(&clock_, 120, 300);
        ck_assert_uint_eq(clock_.last_ts, 120);
        ck_assert_uint_eq(clock_.floor_durable, 300);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("clock");
        TCase *t = tcase_create("clock");

        tcase_add_checked_fixture(t, set_up, NULL);
        tcase_add_test(t, what_was_promised_counts_after_a_start);
        tcase_add_test(t, a_timestamp_exceeds_all_that_it_must);
        tcase_add_test(t, the_floor_stops_at_what_is_durable);
        tcase_add_test(t, what_is_pending_bounds_a_pin);
        tcase_add_test(t, doubt_stays_until_another_commit);
        tcase_add_test(t, a_vote_of_before_may_lie_below_the_floor);
        tcase_add_test(t, promises_move_ahead_with_commits);
        tcase_add_test(t, a_file_that_is_read_again_takes_nothing_back);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
