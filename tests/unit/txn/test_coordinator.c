/* test_coordinator.c - a gate's side of a transaction, step by step. What holds under all orders of
 * events is tests/sim's business. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/unit/unit.h"
#include "txn/coordinator.h"

static const struct txn_age age = { .first_start = 5, .id = { 1, 5, 1 } };
static struct coordinator *c;
static struct coordinator_action last;
static char log_[1024];

static const char *const names[] = {
        [COORDINATOR_SEND_PREPARE] = "prepare", [COORDINATOR_SEND_VALIDATE] = "validate",
        [COORDINATOR_SEND_END] = "end",         [COORDINATOR_SEND_FIND] = "find",
        [COORDINATOR_DECIDE] = "decide",        [COORDINATOR_TELL] = "tell",
        [COORDINATOR_ENDED] = "ended",
};
static const char *const outcomes[] = {
        [COORDINATOR_COMMITTED] = "committed",
        [COORDINATOR_ABORTED] = "aborted",
        [COORDINATOR_UNKNOWN] = "unknown",
        [COORDINATOR_REFUSED] = "refused",
};

/* "prepare SHARD", "end SHARD commit", "tell OUTCOME", … since the last look. */
static const char *happens(void)
{
        struct coordinator_action a;
        size_t n = 0;

        log_[0] = '\0';
        while (coordinator_next(c, &a)) {
                last = a;
                n += (size_t)snprintf(log_ + n, sizeof log_ - n, "%s%s", n ? ", " : "",
                                      names[a.act]);
                if (a.act == COORDINATOR_TELL)
                        n +=
                            (size_t)snprintf(log_ + n, sizeof log_ - n, " %s", outcomes[a.outcome]);
                else if (a.act < COORDINATOR_DECIDE)
                        n += (size_t)snprintf(log_ + n, sizeof log_ - n, " %zu", a.shard);
                if (a.act == COORDINATOR_SEND_END || a.act == COORDINATOR_DECIDE)
                        n += (size_t)snprintf(log_ + n, sizeof log_ - n, " %s",
                                              a.commit ? "commit" : "abort");
        }
        return log_;
}

#define expect(words) ck_assert_str_eq(happens(), words)

static void begin(enum coordinator_isolation isolation, uint64_t session_ts)
{
        struct coordinator_options o = { .retry_us = 10 };

        c = coordinator_free(c);
        c = coordinator_new(&o, &age, isolation, session_ts);
        for (uint64_t key = 0; key < 4; key++)
                ck_assert_uint_eq(coordinator_shard(c, 100 + key), key);
        ck_assert_uint_eq(coordinator_shard(c, 102), 2);
}

static void set_up(void)
{
        begin(COORDINATOR_SNAPSHOT, 0);
}

static void tear_down(void)
{
        c = coordinator_free(c);
}

static void write_on(size_t shard, uint64_t last_ts)
{
        struct coordinator_part part;

        coordinator_take_part(c, shard, 0, &part);
        coordinator_on_part(c, shard, TXN_OK, 70 + shard, part.n_statements + 1, last_ts);
}

/* Two shards have voted 50 and 60; topo is asked. */
static void decide_two(void)
{
        write_on(0, 10);
        write_on(1, 20);
        coordinator_commit(c, 0, 1000);
        expect("prepare 0, prepare 1");
        ck_assert_uint_eq(last.min_ts, 20);
        ck_assert_uint_eq(last.part.incarnation, 71);
        ck_assert_uint_eq(last.part.n_statements, 1);
        coordinator_on_prepared(c, 1, TXN_OK, 71, 60, 0);
        expect("");
        coordinator_on_prepared(c, 0, TXN_OK, 70, 50, 0);
        expect("decide commit");
        ck_assert_uint_eq(last.commit_ts, 60);
}

/* ---------------------------------------------------------------- what it has seen */

START_TEST(all_that_was_seen_is_one_pin)
{
        uint64_t seen_c, seen_e;

        begin(COORDINATOR_SNAPSHOT, 7);
        coordinator_seen(c, &seen_c, &seen_e);
        ck_assert_uint_eq(seen_c, 7);
        ck_assert_uint_eq(seen_e, UINT64_MAX);
        coordinator_on_pin(c, 0, 10, 100, false);
        coordinator_on_pin(c, 1, 20, 90, false);
        coordinator_seen(c, &seen_c, &seen_e);
        ck_assert_uint_eq(seen_c, 20);
        ck_assert_uint_eq(seen_e, 90);
        /* Where it holds the writer nobody else commits. */
        write_on(1, 20);
        write_on(2, 30);
        coordinator_seen(c, &seen_c, &seen_e);
        ck_assert_uint_eq(seen_c, 30);
        ck_assert_uint_eq(seen_e, 100);
}
END_TEST

START_TEST(read_committed_keeps_no_pins)
{
        uint64_t seen_c, seen_e;
        struct coordinator_part part;

        begin(COORDINATOR_READ_COMMITTED, 0);
        coordinator_on_pin(c, 0, 10, 100, false);
        ck_assert(!coordinator_has_pin(c, 0));
        coordinator_seen(c, &seen_c, &seen_e);
        ck_assert_uint_eq(seen_c, 10);
        ck_assert_uint_eq(seen_e, UINT64_MAX);
        coordinator_take_part(c, 0, 0, &part);
        ck_assert_uint_eq(part.expect_c, 0);
        ck_assert_uint_eq(part.max_c, 0);
}
END_TEST

START_TEST(a_first_write_names_what_was_read)
{
        struct coordinator_part part;

        coordinator_on_pin(c, 0, 10, 100, false);
        coordinator_on_pin(c, 1, 0, 90, false);
        coordinator_take_part(c, 0, 0, &part);
        ck_assert_uint_eq(part.expect_c, 10);
        ck_assert_uint_eq(part.max_c, 0);
        /* A shard that has no commit at all. */
        coordinator_take_part(c, 1, 0, &part);
        ck_assert_uint_eq(part.expect_c, 0);
        ck_assert_uint_eq(part.max_c, 1);
        coordinator_on_part(c, 0, TXN_OK, 70, 1, 10);
        coordinator_take_part(c, 0, 0, &part);
        ck_assert_uint_eq(part.expect_c, 0);
        ck_assert_uint_eq(part.incarnation, 70);
        ck_assert_uint_eq(part.n_statements, 1);
}
END_TEST

START_TEST(a_shard_not_read_must_fit_what_was)
{
        struct coordinator_part part;

        coordinator_on_pin(c, 0, 10, 100, false);
        coordinator_take_part(c, 2, 0, &part);
        ck_assert_uint_eq(part.expect_c, 0);
        ck_assert_uint_eq(part.max_c, 100);
}
END_TEST

START_TEST(savepoints_are_undone_where_they_are_known)
{
        struct coordinator_part part;
        uint64_t outer = coordinator_new_savepoint(c), inner = coordinator_new_savepoint(c);

        coordinator_take_part(c, 0, outer, &part);
        coordinator_on_part(c, 0, TXN_OK, 70, 1, 10);
        coordinator_take_part(c, 1, inner, &part);
        coordinator_on_part(c, 1, TXN_OK, 71, 1, 10);
        ck_assert(!coordinator_knows_savepoint(c, 0, inner));
        ck_assert(coordinator_knows_savepoint(c, 1, inner));
        ck_assert(coordinator_knows_savepoint(c, 1, outer));
        coordinator_on_undone(c, 1, inner);
        ck_assert(!coordinator_knows_savepoint(c, 1, inner));
        ck_assert(coordinator_knows_savepoint(c, 1, outer));
}
END_TEST

/* ---------------------------------------------------------------- what dooms it */

START_TEST(answers_doom_it_or_not)
{
        static const struct {
                bool is_first;
                enum txn_result result;
                uint64_t incarnation, n_statements;
                enum txn_result doom;
                bool takes_part;
        } rows[] = {
                { true, TXN_OK, 70, 1, TXN_OK, true },
                { true, TXN_FAILED, 70, 1, TXN_OK, true },
                { true, TXN_FAILED, 0, 0, TXN_OK, false },
                { true, TXN_FAILED, 0, 1, TXN_ROLLED_BACK, true },
                { true, TXN_WRITE_CONFLICT, 0, 1, TXN_WRITE_CONFLICT, true },
                { true, TXN_CANCELLED, 0, 0, TXN_OK, false },
                { true, TXN_TOO_MANY, 0, 1, TXN_OK, false },
                { true, TXN_RECOVERING, 0, 1, TXN_OK, false },
                { true, TXN_NO_ANSWER, 0, 0, TXN_PARTICIPANT_LOST, true },
                { false, TXN_FAILED, 70, 2, TXN_OK, true },
                { false, TXN_FAILED, 0, 0, TXN_OK, true },
                { false, TXN_FAILED, 0, 2, TXN_ROLLED_BACK, true },
                { false, TXN_PARTICIPANT_LOST, 0, 2, TXN_PARTICIPANT_LOST, true },
                { false, TXN_RECOVERING, 0, 1, TXN_PARTICIPANT_LOST, true },
        };
        struct coordinator_part part;

        if (!rows[_i].is_first)
                write_on(0, 10);
        coordinator_take_part(c, 0, 0, &part);
        coordinator_on_part(c, 0, rows[_i].result, rows[_i].incarnation, rows[_i].n_statements, 10);
        ck_assert_int_eq(coordinator_doom(c), rows[_i].doom);
        ck_assert_int_eq(coordinator_is_participant(c, 0), rows[_i].takes_part);
}
END_TEST

START_TEST(what_is_doomed_aborts)
{
        write_on(0, 10);
        coordinator_on_lost(c, 0, 0);
        coordinator_commit(c, 0, 1000);
        expect("tell aborted, end 0 abort");
        coordinator_on_ended(c, 0, TXN_OK, 0, 0, 0);
        expect("ended");
}
END_TEST

/* ---------------------------------------------------------------- the end */

START_TEST(nothing_written_is_committed_at_once)
{
        coordinator_on_pin(c, 0, 10, 100, false);
        coordinator_commit(c, 0, 1000);
        expect("tell committed, ended");
}
END_TEST

START_TEST(one_shard_commits_by_itself)
{
        write_on(0, 10);
        coordinator_commit(c, 0, 1000);
        expect("end 0 commit");
        ck_assert(last.is_lone);
        ck_assert_uint_eq(last.commit_ts, 0);
        ck_assert_uint_eq(last.min_ts, 10);
        coordinator_on_ended(c, 0, TXN_OK, 0, 55, 0);
        expect("tell committed, ended");
}
END_TEST

START_TEST(several_commit_when_all_have_answered)
{
        decide_two();
        coordinator_on_decided(c, true, DECISION_TELL_COMMITTED, 60, 0);
        expect("end 0 commit, end 1 commit");
        coordinator_on_ended(c, 0, TXN_OK, 0, 60, 0);
        coordinator_on_ended(c, 1, TXN_RECOVERING, 0, 0, 5);
        expect("");
        ck_assert_int_eq(coordinator_deadline(c), 15);
        coordinator_tick(c, 15);
        expect("end 1 commit");
        coordinator_on_lost(c, 1, 20);
        coordinator_tick(c, 30);
        expect("end 1 commit");
        coordinator_on_ended(c, 1, TXN_NOT_FOUND, 0, 0, 30);
        expect("tell committed, ended");
}
END_TEST

START_TEST(no_decision_is_no_outcome)
{
        decide_two();
        coordinator_on_decided(c, false, DECISION_TELL_UNDECIDED, 0, 0);
        expect("");
        coordinator_tick(c, 10);
        expect("decide commit");
        coordinator_tick(c, 1000);
        expect("tell unknown");
        coordinator_on_decided(c, true, DECISION_TELL_ABORTED, 0, 1001);
        expect("end 0 abort, end 1 abort");
        coordinator_commit(c, 1002, 2000);
        expect("tell aborted");
}
END_TEST

START_TEST(what_topo_has_forgotten_a_participant_tells)
{
        static const struct {
                enum txn_result found;
                const char *words;
        } rows[] = {
                { TXN_OK, "end 0 commit, end 1 commit" },
                { TXN_NOT_FOUND, "tell aborted, end 0 abort, end 1 abort" },
                { TXN_FORGOTTEN, "tell unknown, ended" },
                { TXN_UNDECIDED, "" },
                { TXN_FAILED, "" },
                { TXN_NO_ANSWER, "" },
        };

        decide_two();
        coordinator_on_decided(c, true, DECISION_TELL_FORGOTTEN, 0, 0);
        expect("find 0");
        ck_assert(!last.fence);
        coordinator_on_found(c, 0, rows[_i].found, 60, 0);
        expect(rows[_i].words);
        if (!rows[_i].words[0]) {
                coordinator_tick(c, 10);
                expect("find 0");
        }
}
END_TEST

START_TEST(one_prepare_that_fails_ends_all)
{
        write_on(0, 10);
        write_on(1, 20);
        coordinator_commit(c, 0, 1000);
        happens();
        coordinator_on_prepared(c, 0, TXN_OK, 70, 50, 0);
        coordinator_on_prepared(c, 1, TXN_FAILED, 71, 0, 0);
        expect("tell aborted, end 0 abort, end 1 abort");
        coordinator_on_ended(c, 0, TXN_NO_ANSWER, 0, 0, 0);
        coordinator_on_ended(c, 1, TXN_OK, 0, 0, 0);
        /* Somebody may have prepared, and not have heard of it. */
        expect("decide abort, ended");
}
END_TEST

START_TEST(a_lone_commit_without_an_answer_is_asked_for)
{
        static const struct {
                enum txn_result ended, found;
                const char *words;
        } rows[] = {
                { TXN_NO_ANSWER, TXN_OK, "tell committed, ended" },
                { TXN_NO_ANSWER, TXN_NOT_FOUND, "tell aborted, end 0 abort" },
                { TXN_IN_DOUBT, TXN_OK, "tell committed, ended" },
                { TXN_FAILED, TXN_NOT_FOUND, "tell aborted, end 0 abort" },
                { TXN_FORGOTTEN, TXN_FORGOTTEN, "tell unknown, ended" },
        };

        write_on(0, 10);
        coordinator_commit(c, 0, 1000);
        happens();
        coordinator_on_ended(c, 0, rows[_i].ended, 0, 0, 0);
        expect("find 0");
        ck_assert(last.fence);
        coordinator_on_found(c, 0, rows[_i].found, 55, 0);
        expect(rows[_i].words);
}
END_TEST

START_TEST(a_refused_commit_leaves_it_open)
{
        write_on(0, 10);
        coordinator_commit(c, 0, 1000);
        happens();
        coordinator_on_ended(c, 0, TXN_FAILED, 70, 0, 0);
        expect("tell refused");
        ck_assert_int_eq(coordinator_state(c), COORDINATOR_IS_ACTIVE);
        coordinator_commit(c, 0, 1000);
        expect("end 0 commit");
        ck_assert_uint_eq(last.part.n_statements, 2);
}
END_TEST

START_TEST(time_runs_out)
{
        write_on(0, 10);
        write_on(1, 20);
        coordinator_commit(c, 0, 1000);
        happens();
        ck_assert_int_eq(coordinator_deadline(c), 1000);
        coordinator_tick(c, 1000);
        expect("tell aborted, end 0 abort, end 1 abort");
}
END_TEST

/* ---------------------------------------------------------------- validation */

START_TEST(what_was_read_is_validated_up_to_the_commit)
{
        begin(COORDINATOR_SERIALIZABLE, 0);
        coordinator_on_pin(c, 2, 10, 100, false);
        write_on(0, 10);
        coordinator_commit(c, 0, 1000);
        expect("prepare 0");
        ck_assert(last.is_lone);
        coordinator_on_prepared(c, 0, TXN_OK, 70, 150, 0);
        expect("validate 2");
        ck_assert_uint_eq(last.c, 10);
        ck_assert_uint_eq(last.commit_ts, 150);
        coordinator_on_validated(c, 2, TXN_OK, 0);
        expect("end 0 commit");
        ck_assert(last.is_lone);
        ck_assert_uint_eq(last.part.n_statements, 2);
}
END_TEST

START_TEST(what_was_changed_since_ends_it)
{
        begin(COORDINATOR_SERIALIZABLE, 0);
        coordinator_on_pin(c, 2, 10, 100, false);
        coordinator_on_pin(c, 3, 10, 100, false);
        write_on(0, 10);
        coordinator_commit(c, 0, 1000);
        coordinator_on_prepared(c, 0, TXN_OK, 70, 150, 0);
        happens();
        coordinator_on_validated(c, 3, TXN_READ_CONFLICT, 0);
        expect("tell aborted, end 0 abort");
        ck_assert_int_eq(coordinator_state(c), COORDINATOR_IS_ABORTING);
}
END_TEST

START_TEST(constraints_are_validated_at_every_level)
{
        begin(COORDINATOR_READ_COMMITTED, 0);
        coordinator_on_pin(c, 2, 10, 100, true);
        coordinator_on_pin(c, 3, 10, 100, false);
        write_on(0, 10);
        coordinator_commit(c, 0, 1000);
        coordinator_on_prepared(c, 0, TXN_OK, 70, 150, 0);
        expect("prepare 0, validate 2");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("coordinator");
        TCase *t = tcase_create("coordinator");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, all_that_was_seen_is_one_pin);
        tcase_add_test(t, read_committed_keeps_no_pins);
        tcase_add_test(t, a_first_write_names_what_was_read);
        tcase_add_test(t, a_shard_not_read_must_fit_what_was);
        tcase_add_test(t, savepoints_are_undone_where_they_are_known);
        tcase_add_loop_test(t, answers_doom_it_or_not, 0, 14);
        tcase_add_test(t, what_is_doomed_aborts);
        tcase_add_test(t, nothing_written_is_committed_at_once);
        tcase_add_test(t, one_shard_commits_by_itself);
        tcase_add_test(t, several_commit_when_all_have_answered);
        tcase_add_test(t, no_decision_is_no_outcome);
        tcase_add_loop_test(t, what_topo_has_forgotten_a_participant_tells, 0, 6);
        tcase_add_test(t, one_prepare_that_fails_ends_all);
        tcase_add_loop_test(t, a_lone_commit_without_an_answer_is_asked_for, 0, 5);
        tcase_add_test(t, a_refused_commit_leaves_it_open);
        tcase_add_test(t, time_runs_out);
        tcase_add_test(t, what_was_read_is_validated_up_to_the_commit);
        tcase_add_test(t, what_was_changed_since_ends_it);
        tcase_add_test(t, constraints_are_validated_at_every_level);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
