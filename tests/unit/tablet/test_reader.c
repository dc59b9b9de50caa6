/* test_reader.c - reads: in pieces, on the loop thread's budget, stopped, too old; and connections
 * in use. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/metrics.h"
#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

#define ENDLESS "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) "
#define COUNT(n) "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT " #n ") "

static struct env env;

static void set_up(void)
{
        env_init(&env);
        env_open(&env);
        ck_assert_str_eq(
            env_schema(&env, 1, NULL,
                       "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t " COUNT(
                           1000) "SELECT x, 'row ' || x FROM r",
                       "", false),
            "OK");
}

static void tear_down(void)
{
        env_done(&env);
}

static struct engine_stmt make(const char *sql)
{
        return (
            struct engine_stmt){ .sql = sql, .n_sql_bytes = strlen(sql), .deadline_us = INT64_MAX };
}

/* ---- pieces */

static const struct {
        uint64_t chunk_bytes;
        int min_pieces, max_pieces;
} chunkings[] = { { 0, 1, 1 }, { 1, 1000, 1001 }, { 1000, 10, 40 }, { 1 << 20, 1, 1 } };

START_TEST(in_pieces)
{
        struct engine_stmt st = make("SELECT id, v FROM t ORDER BY id");
        static char text[65536], columns[256], want[65536];
        struct buf out = BUF_INIT(0);
        struct engine_read r;
        bool more = true;
        int n = 0;

        text[0] = columns[0] = want[0] = '\0';
        for (int i = 1; i <= 1000; i++)
                sprintf(want + strlen(want), "%d|row %d;", i, i);
        engine_read_init(&r, env.shard, &st, NULL);
        for (; more; n++) {
                ck_assert_int_eq(engine_read_run(&r, chunkings[_i].chunk_bytes, &out, &more, NULL),
                                 ERR_OK);
                if (chunkings[_i].chunk_bytes)
                        ck_assert_uint_lt(out.n_bytes, chunkings[_i].chunk_bytes + 100);
                describe_result(out.data, out.n_bytes, text, sizeof text, columns, sizeof columns);
                out.n_bytes = 0;
        }
        ck_assert_str_eq(text, want);
        ck_assert_str_eq(columns, "id:INTEGER,v,");
        ck_assert_uint_eq(r.count.n_rows, 1000);
        ck_assert_int_ge(n, chunkings[_i].min_pieces);
        ck_assert_int_le(n, chunkings[_i].max_pieces);
        engine_read_done(&r);
        buf_done(&out);
}
END_TEST

/* However long it is between two pieces, they are of one snapshot. */
START_TEST(pieces_are_of_one_snapshot)
{
        struct engine_stmt st = make("SELECT id FROM t");
        struct buf out = BUF_INIT(0);
        struct engine_read r;
        bool more = true;

        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, NULL), ERR_OK);
        ck_assert(more);
        ck_assert_str_eq(env_write(&env, "DELETE FROM t"), "changes=1000 ");
        ck_assert_str_eq(env_schema(&env, 2, NULL, "DROP TABLE t", "", false), "OK");
        while (more)
                ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, NULL), ERR_OK);
        ck_assert_uint_eq(r.count.n_rows, 1000);
        engine_read_done(&r);
        buf_done(&out);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "NOT_FOUND NO_SUCH_TABLE");
}
END_TEST

static void *run_rest(void *arg)
{
        struct engine_read *r = arg;
        struct buf out = BUF_INIT(0);
        bool more;

        do {
                out.n_bytes = 0;
                if (engine_read_run(r, 100, &out, &more, NULL))
                        break;
        } while (more);
        buf_done(&out);
        return NULL;
}

START_TEST(goes_on_on_another_thread)
{
        struct engine_stmt st = make("SELECT id, strftime('%s', 'now') FROM t");
        struct buf out = BUF_INIT(0);
        struct engine_read r;
        pthread_t thread;
        bool more;

        st.now_ms = 5000;
        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, NULL), ERR_OK);
        ck_assert_int_eq(pthread_create(&thread, NULL, run_rest, &r), 0);
        pthread_join(thread, NULL);
        ck_assert_uint_eq(r.count.n_rows, 1000);
        buf_done(&out);
}
END_TEST

START_TEST(without_columns)
{
        struct engine_stmt st = make("SELECT id FROM t LIMIT 1");
        struct outcome o;

        st.omit_columns = true;
        env_read_with(&env, &st, 0, &o);
        ck_assert_str_eq(o.text, "1;");
        ck_assert_str_eq(o.columns, "");
}
END_TEST

/* ---- limits */

static const struct {
        const char *label;
        uint64_t max_rows, max_bytes;
        const char *want;
} limits[] = {
        { "rows at the limit", 1000, 0, "" },
        { "one row more", 999, 0, "RESOURCE_EXHAUSTED RESULT_TOO_LARGE" },
        { "bytes enough", 0, 50000, "" },
        { "too many bytes", 0, 5000, "RESOURCE_EXHAUSTED RESULT_TOO_LARGE" },
};

START_TEST(limited)
{
        struct engine_stmt st = make("SELECT id, v FROM t");
        struct outcome o;

        st.max_rows = limits[_i].max_rows;
        st.max_bytes = limits[_i].max_bytes;
        env_read_with(&env, &st, 0, &o);
        ck_assert_msg((o.err.code ? strcmp(o.text, limits[_i].want) == 0 : !*limits[_i].want),
                      "%s: %s", limits[_i].label, o.text);
}
END_TEST

START_TEST(whole_results_are_bounded)
{
        env_close(&env);
        env.o.max_result_bytes = 10000;
        env_open(&env);
        ck_assert_str_eq(env_read(&env, "SELECT id, v FROM t"),
                         "RESOURCE_EXHAUSTED RESULT_TOO_LARGE");
        ck_assert_str_eq(env_write(&env, "UPDATE t SET v = v RETURNING id, v"),
                         "RESOURCE_EXHAUSTED RESULT_TOO_LARGE");
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t WHERE v = 'row 7'"), "1;");
}
END_TEST

/* ---- on the loop thread's budget */

static const struct {
        const char *label, *sql;
        bool done;
        const char *want; /* text, or the error's reason */
} tries[] = {
        { "one row", "SELECT v FROM t WHERE id = 7", true, "row 7;" },
        { "64 rows", "SELECT 1 FROM t WHERE id <= 63", true, NULL },
        { "more rows", "SELECT 1 FROM t WHERE id <= 65", false, "" },
        { "more steps", COUNT(100000) "SELECT count(*) FROM r", false, "" },
        { "without end", ENDLESS "SELECT count(*) FROM r", false, "" },
        { "an error", "SELECT * FROM", true, "SYNTAX_ERROR" },
        { "a write", "DELETE FROM t", true, "NOT_READ_ONLY" },
        { "not allowed", "SELECT * FROM _shoal_meta", true, "NOT_ALLOWED" },
};

START_TEST(within_a_budget)
{
        struct engine_stmt st = make(tries[_i].sql);
        struct buf out = BUF_INIT(0);
        struct err e = ERR_INIT;
        char text[4096] = "", columns[256] = "";
        struct engine_read r;
        bool done;

        buf_add(&out, "before", 6);
        env_read(&env, "SELECT 1"); /* leaves an idle connection */
        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_try(&r, &out, &done, &e), done && e.code ? e.code : ERR_OK);
        ck_assert_msg(done == tries[_i].done, "%s: done %d", tries[_i].label, done);
        ck_assert_int_eq(memcmp(out.data, "before", 6), 0);
        if (done && !e.code)
                describe_result(out.data + 6, out.n_bytes - 6, text, sizeof text, columns,
                                sizeof columns);
        if (!done)
                ck_assert_uint_eq(out.n_bytes, 6);
        if (tries[_i].want)
                ck_assert_msg(strcmp(done && e.code ? e.reason : text, tries[_i].want) == 0,
                              "%s: %s %s", tries[_i].label, text, e.reason);
        buf_done(&out);
        /* What was left is in order: the connection is used again. */
        ck_assert_str_eq(env_read(&env, "SELECT v FROM t WHERE id = 7"), "row 7;");
}
END_TEST

START_TEST(never_opens_anything)
{
        struct engine_stmt st = make("SELECT 1");
        struct buf out = BUF_INIT(0);
        struct engine_read r;
        bool done;

        env_close(&env);
        env_open(&env);
        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_try(&r, &out, &done, NULL), ERR_OK);
        ck_assert(!done); /* the shard is not open */
        env_ready(&env, 0);
        ck_assert_int_eq(engine_read_try(&r, &out, &done, NULL), ERR_OK);
        ck_assert(!done); /* no connection is idle */
        ck_assert_str_eq(env_read(&env, "SELECT 1"), "1;");
        ck_assert_int_eq(engine_read_try(&r, &out, &done, NULL), ERR_OK);
        ck_assert(done);
        buf_done(&out);
}
END_TEST

/* ---- stopping */

struct endless {
        struct engine_stmt st;
        struct outcome o;
};

static void *read_endless(void *arg)
{
        struct endless *e = arg;

        env_read_with(&env, &e->st, 0, &e->o);
        return NULL;
}

START_TEST(cancelled_while_running)
{
        struct endless e = { .st = make(ENDLESS "SELECT count(*) FROM r") };
        _Atomic bool cancelled = false;
        pthread_t thread;

        e.st.cancelled = &cancelled;
        ck_assert_int_eq(pthread_create(&thread, NULL, read_endless, &e), 0);
        cancelled = true;
        pthread_join(thread, NULL);
        ck_assert_str_eq(e.o.text, "CANCELLED CANCELLED");
        ck_assert_str_eq(env_read(&env, "SELECT 1"), "1;");
}
END_TEST

START_TEST(past_its_deadline)
{
        struct endless e = { .st = make(ENDLESS "SELECT count(*) FROM r") };

        e.st.deadline_us = mono_us() + 30000;
        read_endless(&e);
        ck_assert_str_eq(e.o.text, "DEADLINE_EXCEEDED DEADLINE_EXCEEDED");
        e.st.deadline_us = mono_us();
        read_endless(&e);
        ck_assert_str_eq(e.o.text, "DEADLINE_EXCEEDED DEADLINE_EXCEEDED");
}
END_TEST

START_TEST(between_two_pieces)
{
        struct engine_stmt st = make("SELECT id FROM t");
        _Atomic bool cancelled = false;
        struct buf out = BUF_INIT(0);
        struct err e = ERR_INIT;
        struct engine_read r;
        bool more;

        st.cancelled = &cancelled;
        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, &e), ERR_OK);
        cancelled = true;
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, &e), ERR_CANCELLED);
        ck_assert(!more);
        cancelled = false;
        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, &e), ERR_OK);
        st.deadline_us = mono_us();
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, &e), ERR_DEADLINE);
        engine_read_done(&r);
        buf_done(&out);
}
END_TEST

START_TEST(too_old)
{
        struct endless running = { .st = make(ENDLESS "SELECT count(*) FROM r") };
        struct engine_stmt st = make("SELECT id FROM t");
        struct buf out = BUF_INIT(0);
        struct err e = ERR_INIT;
        struct engine_read r;
        bool more;

        env_close(&env);
        env.o.max_read_ms = 20;
        env_open(&env);
        env_ready(&env, 0);
        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert(!engine_read_is_too_old(&r, INT64_MAX)); /* has not begun */
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, &e), ERR_OK);
        read_endless(&running);
        ck_assert_str_eq(running.o.text, "ABORTED READ_TOO_OLD");
        ck_assert(engine_read_is_too_old(&r, mono_us()));
        ck_assert_int_eq(engine_read_run(&r, 100, &out, &more, &e), ERR_ABORTED);
        ck_assert_str_eq(e.reason, "READ_TOO_OLD");
        buf_done(&out);
}
END_TEST

/* ---- connections */

START_TEST(connections_are_bounded)
{
        enum { MAX = 6 };
        struct engine_stmt st = make("SELECT id FROM t");
        struct metric *open = metric_gauge("shoal_tablet_connections", "", "");
        struct buf out = BUF_INIT(0);
        struct engine_read r[MAX + 1];
        struct err e = ERR_INIT;
        bool more;

        env_close(&env);
        env.o.max_connections = MAX;
        env_open(&env);
        env_ready(&env, 0); /* the writer's is one; it is idle, and goes for a reader */
        for (int i = 0; i < MAX; i++) {
                enum err_code rc;

                engine_read_init(&r[i], env.shard, &st, NULL);
                do /* the writer may not have put its connection down yet */
                        rc = engine_read_run(&r[i], 100, &out, &more, &e);
                while (rc && i == MAX - 1);
                ck_assert_int_eq(rc, ERR_OK);
        }
        ck_assert_uint_eq(metric_value(open), MAX);
        engine_read_init(&r[MAX], env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_run(&r[MAX], 100, &out, &more, &e), ERR_EXHAUSTED);
        ck_assert_str_eq(e.reason, "TOO_MANY_READS");
        ck_assert_str_eq(env_write(&env, "DELETE FROM t WHERE id = 1"),
                         "changes=1 "); /* writers are never kept out */
        for (int i = 0; i < MAX; i++)
                engine_read_done(&r[i]);
        ck_assert_int_eq(engine_read_run(&r[MAX], 100, &out, &more, &e), ERR_OK);
        engine_read_done(&r[MAX]);
        buf_done(&out);
}
END_TEST

/* Idle ones of other shards are closed, the longest idle first. */
START_TEST(idle_connections_make_room)
{
        enum { N_SHARDS = 10, MAX = 8 };
        struct engine_shard *own = env.shard, *shards[N_SHARDS];
        char name[16];

        env_close(&env);
        env.o.max_connections = MAX;
        env_open(&env);
        own = env.shard;
        for (int i = 0; i < N_SHARDS; i++) {
                snprintf(name, sizeof name, "%02x-%02x", i, i + 1);
                env.shard = shards[i] = engine_shard_new(env.engine, 2, name, false);
                ck_assert_str_eq(env_schema(&env, 1, NULL, "CREATE TABLE t(x)", "", false), "OK");
        }
        for (int k = 0; k < 3; k++)
                for (int i = 0; i < N_SHARDS; i++) {
                        env.shard = shards[i];
                        ck_assert_str_eq(env_write(&env, "INSERT INTO t VALUES (1)"),
                                         k == 0   ? "changes=1 id=1 "
                                         : k == 1 ? "changes=1 id=2 "
                                                  : "changes=1 id=3 ");
                        ck_assert_int_eq(atoi(env_read(&env, "SELECT count(*) FROM t")), k + 1);
                        ck_assert_uint_le(
                            metric_value(metric_gauge("shoal_tablet_connections", "", "")), MAX);
                }
        for (int i = 0; i < N_SHARDS; i++) {
                struct write_try r;

                env.shard = shards[i];
                request_init(&r, &env, ENGINE_WRITE_CLOSE, "");
                request_submit(&r);
                request_wait(&r);
                request_done(&r);
                engine_shard_free(shards[i]);
        }
        env.shard = own;
}
END_TEST

START_TEST(prepared_statements_are_kept_and_bounded)
{
        struct metric *prepares = metric_counter("shoal_tablet_prepares_total", "", "");
        uint64_t before;
        char sql[64];

        env_close(&env);
        env.o.max_statements = 4;
        env_open(&env);
        env_read(&env, "SELECT 0");
        before = metric_value(prepares);
        for (int k = 0; k < 3; k++)
                for (int i = 0; i < 4; i++) {
                        snprintf(sql, sizeof sql, "SELECT %d", i);
                        ck_assert_int_eq(atoi(env_read(&env, sql)), i);
                }
        ck_assert_uint_eq(metric_value(prepares) - before, 3);
        env_read(&env, "SELECT 4"); /* "SELECT 0" goes */
        env_read(&env, "SELECT 1");
        ck_assert_uint_eq(metric_value(prepares) - before, 4);
        env_read(&env, "SELECT 0");
        ck_assert_uint_eq(metric_value(prepares) - before, 5);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("reader");
        TCase *t = tcase_create("reads");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_loop_test(t, in_pieces, 0, ARRAY_LEN(chunkings));
        tcase_add_test(t, pieces_are_of_one_snapshot);
        tcase_add_test(t, goes_on_on_another_thread);
        tcase_add_test(t, without_columns);
        tcase_add_loop_test(t, limited, 0, ARRAY_LEN(limits));
        tcase_add_test(t, whole_results_are_bounded);
        tcase_add_loop_test(t, within_a_budget, 0, ARRAY_LEN(tries));
        tcase_add_test(t, never_opens_anything);
        tcase_add_test(t, cancelled_while_running);
        tcase_add_test(t, past_its_deadline);
        tcase_add_test(t, between_two_pieces);
        tcase_add_test(t, too_old);
        tcase_add_test(t, connections_are_bounded);
        tcase_add_test(t, idle_connections_make_room);
        tcase_add_test(t, prepared_statements_are_kept_and_bounded);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
