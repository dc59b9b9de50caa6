/* test_clock.c - commit timestamps, the floor and pins: what DESIGN, "Commit timestamps", promises
 * of one shard. */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/tablet/faulty_disk.h"
#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

static struct env env;
static _Atomic int64_t clock_offset_us;

static int64_t fake_wall_us(void)
{
        return wall_us() + atomic_load(&clock_offset_us);
}

static void start_clock(void)
{
        hlc_init(&env.hlc, fake_wall_us, 60 * 1000 * 1000);
}

static void set_up(void)
{
        env_init(&env);
        start_clock();
        env_open(&env);
        ck_assert_str_eq(
            env_schema(&env, 1, NULL, "CREATE TABLE t(id INTEGER PRIMARY KEY)", "", false), "OK");
}

static void tear_down(void)
{
        env_done(&env);
}

static uint64_t write_row(void)
{
        struct outcome o;

        env_write_with(&env, "INSERT INTO t DEFAULT VALUES", NULL, 0, &o);
        ck_assert_msg(o.err.code == ERR_OK, "%s", o.err.msg);
        ck_assert_uint_gt(o.commit_ts, 0);
        return o.commit_ts;
}

static struct outcome pin(uint64_t read_ts)
{
        struct engine_stmt st = { .sql = "SELECT count(*) FROM t",
                                  .n_sql_bytes = 22,
                                  .deadline_us = INT64_MAX };
        struct outcome o;

        env_read_with(&env, &st, read_ts, &o);
        ck_assert_msg(o.err.code == ERR_OK, "%s", o.err.msg);
        return o;
}

/* One that is exact at read_ts at least. */
static struct outcome pin_settled(uint64_t read_ts)
{
        if (!engine_pin_is_ready(env.shard, read_ts, true))
                env_ready(&env, read_ts);
        ck_assert(engine_pin_is_ready(env.shard, read_ts, true));
        return pin(read_ts);
}

START_TEST(a_pin_is_exact_on_an_interval)
{
        uint64_t first = write_row(), r = first + hlc_from_us(1000);
        struct outcome o = pin(r);

        ck_assert_uint_eq(o.cut_c, first);
        ck_assert_uint_eq(o.cut_e, r);
        ck_assert_str_eq(o.text, "1;");
        ck_assert_uint_gt(write_row(), r);
        /* Asked for a time before the last commit, it is exact at that commit only. */
        o = pin(first);
        ck_assert_uint_gt(o.cut_c, r);
        ck_assert_uint_eq(o.cut_e, o.cut_c);
        ck_assert_str_eq(o.text, "2;");
}
END_TEST

START_TEST(reads_without_read_ts_raise_nothing)
{
        struct outcome o = pin(0);

        ck_assert_uint_eq(o.cut_c, 0);
        ck_assert_uint_eq(o.cut_e, 0);
}
END_TEST

/* Ways for a shard to come back; with the clock far behind each time. */
static const struct {
        const char *label;
        bool crash;
} returns[] = { { "closed", false }, { "crashed", true } };

START_TEST(the_floor_outlives)
{
        uint64_t r, last;

        write_row();
        for (int i = 0; i < 5; i++) {
                r = hlc_now(&env.hlc) +
                    hlc_from_us(5 * 1000 * 1000); /* ahead of the clock, within the skew */
                ck_assert_uint_ge(pin_settled(r).cut_e, r);
                if (returns[_i].crash)
                        env_crash(&env);
                else
                        env_close(&env);
                atomic_fetch_sub(&clock_offset_us, 20 * 1000 * 1000);
                start_clock();
                env_open(&env);
                last = write_row();
                ck_assert_msg(last > r, "%s: committed at %" PRIu64 ", promised above %" PRIu64,
                              returns[_i].label, last, r);
        }
}
END_TEST

START_TEST(timestamps_rise_over_restarts)
{
        uint64_t before = write_row();

        for (int i = 0; i < 3; i++) {
                uint64_t ts;

                if (returns[_i].crash)
                        env_crash(&env);
                else
                        env_close(&env);
                atomic_fetch_sub(&clock_offset_us, 20 * 1000 * 1000);
                start_clock();
                env_open(&env);
                ts = write_row();
                ck_assert_uint_gt(ts, before);
                before = ts;
        }
}
END_TEST

/* A floor is never promised beyond what is durable: a pin that does not wait is exact up to there.
 */
START_TEST(a_pin_takes_the_floor_there_is)
{
        uint64_t first = write_row(), far = hlc_now(&env.hlc) + hlc_from_us(30 * 1000 * 1000);
        struct outcome o;

        ck_assert(engine_pin_is_ready(env.shard, far, false));
        ck_assert(!engine_pin_is_ready(env.shard, far, true));
        o = pin(far);
        ck_assert_uint_eq(o.cut_c, first);
        ck_assert_uint_ge(o.cut_e, first);
        ck_assert_uint_lt(o.cut_e, far);
        ck_assert_uint_gt(write_row(), o.cut_e);
        ck_assert_uint_ge(pin_settled(far).cut_e, far);
        ck_assert_uint_gt(write_row(), far);
}
END_TEST

/* What another read has raised the floor to holds for everybody. */
START_TEST(a_pin_gains_from_a_higher_floor)
{
        uint64_t first = write_row(), r = hlc_now(&env.hlc) + hlc_from_us(1000);

        pin_settled(r);
        ck_assert_uint_ge(pin(first).cut_e, r);
}
END_TEST

START_TEST(reads_of_a_pin_see_one_snapshot)
{
        static const char sql[] = "SELECT count(*) FROM t";
        struct engine_stmt st = { .sql = sql,
                                  .n_sql_bytes = sizeof sql - 1,
                                  .omit_columns = true,
                                  .deadline_us = INT64_MAX };
        struct engine_stmt rows = st;
        struct engine_pin p;
        struct engine_read r[3];
        struct buf out[3] = { BUF_INIT(0), BUF_INIT(0), BUF_INIT(0) };
        char text[64];
        bool more;

        write_row();
        write_row();
        ck_assert_int_eq(engine_pin_open(&p, env.shard, hlc_now(&env.hlc), NULL), ERR_OK);
        rows.sql = "SELECT id FROM t";
        rows.n_sql_bytes = strlen(rows.sql);
        /* The same text twice, taking turns, and another in between, with writes around them. */
        for (int i = 0; i < 2; i++)
                engine_read_init(&r[i], env.shard, &rows, &p);
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(engine_read_run(&r[i], 1, &out[i], &more, NULL), ERR_OK);
                ck_assert(more);
                write_row();
        }
        engine_read_init(&r[2], env.shard, &st, &p);
        ck_assert_int_eq(engine_read_run(&r[2], 0, &out[2], &more, NULL), ERR_OK);
        for (int i = 0; i < 2; i++) {
                do
                        ck_assert_int_eq(engine_read_run(&r[i], 1, &out[i], &more, NULL), ERR_OK);
                while (more);
                write_row();
        }
        for (int i = 0; i < 3; i++) {
                text[0] = '\0';
                describe_result(out[i].data, out[i].n_bytes, text, sizeof text, NULL, 0);
                ck_assert_str_eq(text, i < 2 ? "1;2;" : "2;");
                engine_read_done(&r[i]);
                buf_done(&out[i]);
        }
        engine_pin_close(&p);
        ck_assert_str_eq(pin(1).text, "6;");
}
END_TEST

/* Making a floor durable is no commit of data: it must not move what reads are exact on. */
START_TEST(raising_the_floor_leaves_last_ts)
{
        uint64_t last = write_row();

        env_ready(&env, last + hlc_from_us(30 * 1000 * 1000));
        ck_assert_uint_eq(pin(last + 1).cut_c, last);
}
END_TEST

START_TEST(writes_exceed_what_their_session_saw)
{
        uint64_t seen = hlc_now(&env.hlc) + hlc_from_us(10 * 1000 * 1000);
        struct write_try r;

        request_init(&r, &env, ENGINE_WRITE_EXECUTE, "INSERT INTO t DEFAULT VALUES");
        r.w.min_ts = seen;
        request_submit(&r);
        ck_assert_uint_gt(request_wait(&r)->commit_ts, seen);
        request_done(&r);
}
END_TEST

/* A commit under way has its timestamp already: a pin that does not see it is exact only below. */
START_TEST(a_pin_during_a_commit)
{
        uint64_t first = write_row();
        struct outcome during, after;
        struct write_try r;

        pin(first + 1); /* opens a reader's connection */
        faulty_disk_hold_sync();
        request_init(&r, &env, ENGINE_WRITE_EXECUTE, "INSERT INTO t DEFAULT VALUES");
        request_submit(&r);
        faulty_disk_await_sync();
        during = pin(hlc_now(&env.hlc) + 1);
        faulty_disk_release_sync();
        request_wait(&r);
        after = pin(hlc_now(&env.hlc) + 1);
        ck_assert_str_eq(during.text, "1;");
        ck_assert_uint_eq(during.cut_c, first);
        ck_assert_uint_eq(during.cut_e, r.outcome.commit_ts - 1);
        ck_assert_str_eq(after.text, "2;");
        ck_assert_uint_eq(after.cut_c, r.outcome.commit_ts);
        request_done(&r);
}
END_TEST

/* The write that a settled pin waits for is not the whole queue: it passes before it. */
START_TEST(a_settled_pin_waits_for_the_commit)
{
        struct write_try r, ready;
        struct outcome o;
        uint64_t read_ts;

        pin_settled(write_row() + 1);
        faulty_disk_hold_sync();
        request_init(&r, &env, ENGINE_WRITE_EXECUTE, "INSERT INTO t DEFAULT VALUES");
        request_submit(&r);
        faulty_disk_await_sync();
        read_ts = hlc_now(&env.hlc) + hlc_from_us(1000);
        ck_assert(!engine_pin_is_ready(env.shard, read_ts, true));
        request_init(&ready, &env, ENGINE_WRITE_READY, "");
        ready.w.min_ts = read_ts;
        request_submit(&ready);
        ck_assert(!engine_pin_is_ready(env.shard, read_ts, true));
        faulty_disk_release_sync();
        request_wait(&ready);
        ck_assert(engine_pin_is_ready(env.shard, read_ts, true));
        o = pin(read_ts);
        ck_assert_uint_eq(o.cut_c, request_wait(&r)->commit_ts);
        ck_assert_uint_ge(o.cut_e, read_ts);
        ck_assert_uint_gt(write_row(), read_ts);
        request_done(&ready);
        request_done(&r);
}
END_TEST

/* A commit of unknown outcome may come back after a crash: until another one has taken its place,
 * no pin is exact beyond it. */
START_TEST(a_commit_in_doubt)
{
        uint64_t first = write_row(), doubtful;
        struct outcome o;

        pin_settled(hlc_now(&env.hlc)); /* so that the floor is durable for a while */
        faulty_disk_fail_syncs(EIO);
        env_write_with(&env, "INSERT INTO t DEFAULT VALUES", NULL, 0, &o);
        faulty_disk_fail_syncs(0);
        doubtful = hlc_now(&env.hlc); /* or before */
        ck_assert_str_eq(o.text, "UNKNOWN OUTCOME_UNKNOWN");
        o = pin(doubtful + hlc_from_us(1000));
        ck_assert_str_eq(o.text, "1;");
        ck_assert_uint_eq(o.cut_c, first);
        ck_assert_uint_lt(o.cut_e, doubtful);
        /* Whoever waits has another one put in its place. */
        o = pin_settled(doubtful + hlc_from_us(1000));
        ck_assert_str_eq(o.text, "1;");
        ck_assert_uint_eq(o.cut_c, first);
        ck_assert_uint_ge(o.cut_e, doubtful + hlc_from_us(1000));
        ck_assert_uint_gt(write_row(), doubtful + hlc_from_us(1000));
        o = pin(hlc_now(&env.hlc) + 1);
        ck_assert_str_eq(o.text, "2;");
        ck_assert_uint_gt(o.cut_e, doubtful);
}
END_TEST

/* ---- many at once: what a pin saw is all that was ever committed up to its end, and nothing else
 */

enum { N_WRITERS = 3, N_PINNERS = 3, N_WRITES = 60, MAX_PINS = 2000 };

static uint64_t commits[N_WRITERS][N_WRITES];
static struct {
        uint64_t c, e;
        int n_rows;
} pins[N_PINNERS][MAX_PINS];
static size_t n_pins[N_PINNERS];
static atomic_bool is_over;

static void *write_along(void *arg)
{
        uint64_t *ts = arg;

        for (int i = 0; i < N_WRITES; i++)
                ts[i] = write_row();
        return NULL;
}

static void *pin_along(void *arg)
{
        size_t k = *(size_t *)arg;

        while (!atomic_load(&is_over) && n_pins[k] < MAX_PINS) {
                struct outcome o =
                    pin(hlc_now(&env.hlc) + hlc_from_us((int64_t)(n_pins[k] % 7) * 300));

                pins[k][n_pins[k]].c = o.cut_c;
                pins[k][n_pins[k]].e = o.cut_e;
                pins[k][n_pins[k]++].n_rows = atoi(o.text);
        }
        return NULL;
}

static int committed_up_to(uint64_t ts)
{
        int n = 0;

        for (int i = 0; i < N_WRITERS; i++)
                for (int k = 0; k < N_WRITES; k++)
                        n += commits[i][k] <= ts;
        return n;
}

START_TEST(pins_stay_exact)
{
        pthread_t writers[N_WRITERS], pinners[N_PINNERS];
        size_t numbers[N_PINNERS];

        for (size_t i = 0; i < N_PINNERS; i++) {
                numbers[i] = i;
                ck_assert_int_eq(pthread_create(&pinners[i], NULL, pin_along, &numbers[i]), 0);
        }
        for (int i = 0; i < N_WRITERS; i++)
                ck_assert_int_eq(pthread_create(&writers[i], NULL, write_along, commits[i]), 0);
        for (int i = 0; i < N_WRITERS; i++)
                pthread_join(writers[i], NULL);
        atomic_store(&is_over, true);
        for (size_t i = 0; i < N_PINNERS; i++) {
                pthread_join(pinners[i], NULL);
                ck_assert_uint_gt(n_pins[i], 0);
                for (size_t k = 0; k < n_pins[i]; k++) {
                        ck_assert_int_eq(pins[i][k].n_rows, committed_up_to(pins[i][k].c));
                        ck_assert_int_eq(pins[i][k].n_rows, committed_up_to(pins[i][k].e));
                }
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("clock");
        TCase *t = tcase_create("commits");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_test(t, a_pin_is_exact_on_an_interval);
        tcase_add_test(t, reads_without_read_ts_raise_nothing);
        tcase_add_loop_test(t, the_floor_outlives, 0, ARRAY_LEN(returns));
        tcase_add_loop_test(t, timestamps_rise_over_restarts, 0, ARRAY_LEN(returns));
        tcase_add_test(t, a_pin_takes_the_floor_there_is);
        tcase_add_test(t, a_pin_gains_from_a_higher_floor);
        tcase_add_test(t, reads_of_a_pin_see_one_snapshot);
        tcase_add_test(t, a_settled_pin_waits_for_the_commit);
        tcase_add_test(t, raising_the_floor_leaves_last_ts);
        tcase_add_test(t, writes_exceed_what_their_session_saw);
        tcase_add_test(t, a_pin_during_a_commit);
        tcase_add_test(t, a_commit_in_doubt);
        tcase_add_test(t, pins_stay_exact);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
