/* test_writer.c - group commit: what shares a transaction, who is told what, and what one write may
 * do to the others. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/metrics.h"
#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

enum { MAX_BATCH = 8, N_THREADS = 6, N_PER_THREAD = 60 };

static struct env env;

static void set_up(void)
{
        env_init(&env);
        env.o.foreign_keys = true;
        env_open(&env);
        ck_assert_str_eq(
            env_schema(&env, 1, NULL,
                       "CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE);"
                       "CREATE TABLE now(n, at);"
                       "CREATE TABLE c(p REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED);"
                       "CREATE TABLE i(p REFERENCES t(id));"
                       "CREATE TRIGGER boom BEFORE INSERT ON t WHEN new.v = 'boom' "
                       "BEGIN SELECT RAISE(ROLLBACK, 'boom'); END;"
                       "CREATE TRIGGER crack BEFORE INSERT ON t WHEN new.v = 'crack' "
                       "BEGIN SELECT RAISE(ABORT, 'crack'); END;"
                       "INSERT INTO t VALUES (1, 'x')",
                       "", false),
            "OK");
}

static void tear_down(void)
{
        env_done(&env);
}

/* Submits the statements so that they make one batch, and waits for all. */
static void run_batch(struct write_try *requests, const char *const *sql, size_t n)
{
        env_hold(&env);
        for (size_t i = 0; i < n; i++) {
                request_init(&requests[i], &env, ENGINE_WRITE_EXECUTE, sql[i]);
                request_submit(&requests[i]);
        }
        env_release(&env);
        for (size_t i = 0; i < n; i++)
                request_wait(&requests[i]);
}

static void free_batch(struct write_try *requests, size_t n)
{
        for (size_t i = 0; i < n; i++)
                request_done(&requests[i]);
}

static uint64_t n_undone(void)
{
        return metric_value(metric_counter("shoal_tablet_batches_undone_total", "", ""));
}

#define ENDLESS "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) "

/* One batch each. Every row starts with t holding (1, 'x'), and ends with what `left` selects. */
static const struct {
        const char *label;
        const char *sql[MAX_BATCH];
        const char *want[MAX_BATCH];
        const char *left; /* ids in t */
        bool undoes;      /* the transaction is rolled back on the way */
} batches[] = {
        { "all fine",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT INTO t VALUES (3, 'b')",
            "DELETE FROM t WHERE id = 1" },
          { "changes=1 id=2 ", "changes=1 id=3 ", "changes=1 " },
          "2;3;",
          false },
        { "an ordinary error in the middle",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT INTO t VALUES (3, 'x')",
            "INSERT INTO t VALUES (4, 'b')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE", "changes=1 id=4 " },
          "1;2;4;",
          false },
        { "half of a statement is nothing",
          { "INSERT INTO t VALUES (2, 'a'), (3, 'x')", "INSERT INTO t VALUES (4, 'b')" },
          { "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE", "changes=1 id=4 " },
          "1;4;",
          false },
        { "or rollback",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT OR ROLLBACK INTO t VALUES (3, 'x')",
            "INSERT INTO t VALUES (4, 'b')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE", "changes=1 id=4 " },
          "1;2;4;",
          true },
        { "or rollback first",
          { "INSERT OR ROLLBACK INTO t VALUES (3, 'x')", "INSERT INTO t VALUES (4, 'b')" },
          { "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE", "changes=1 id=4 " },
          "1;4;",
          true },
        { "or rollback last",
          { "INSERT INTO t VALUES (4, 'b')", "INSERT OR ROLLBACK INTO t VALUES (3, 'x')" },
          { "changes=1 id=4 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE" },
          "1;4;",
          true },
        { "or rollback alone",
          { "INSERT OR ROLLBACK INTO t VALUES (3, 'x')" },
          { "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE" },
          "1;",
          true },
        { "several of them",
          { "INSERT OR ROLLBACK INTO t VALUES (3, 'x')", "INSERT INTO t VALUES (4, 'b')",
            "INSERT OR ROLLBACK INTO t VALUES (5, 'x')",
            "INSERT OR ROLLBACK INTO t VALUES (6, 'x')", "INSERT INTO t VALUES (7, 'd')",
            "INSERT OR ROLLBACK INTO t VALUES (8, 'x')" },
          { "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE", "changes=1 id=4 ",
            "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE",
            "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE", "changes=1 id=7 ",
            "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE" },
          "1;4;7;",
          true },
        { "its error came of one that is told so, too",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT OR ROLLBACK INTO t VALUES (3, 'a')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE" },
          "1;2;",
          true },
        { "raise rollback",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT INTO t VALUES (3, 'boom')",
            "INSERT INTO t VALUES (4, 'b')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_TRIGGER", "changes=1 id=4 " },
          "1;2;4;",
          true },
        { "raise abort",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT INTO t VALUES (3, 'crack')",
            "INSERT INTO t VALUES (4, 'b')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_TRIGGER", "changes=1 id=4 " },
          "1;2;4;",
          false },
        { "deferred foreign key",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT INTO c VALUES (99)",
            "INSERT INTO t VALUES (4, 'b')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_FOREIGNKEY",
            "changes=1 id=4 " },
          "1;2;4;",
          false },
        { "deferred foreign key that holds",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT INTO c VALUES (2)",
            "DELETE FROM t WHERE id = 2" },
          { "changes=1 id=2 ", "changes=1 id=1 ",
            "FAILED_PRECONDITION SQLITE_CONSTRAINT_FOREIGNKEY" },
          "1;2;",
          false },
        { "immediate foreign key",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT INTO i VALUES (99)",
            "INSERT INTO t VALUES (4, 'b')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_FOREIGNKEY",
            "changes=1 id=4 " },
          "1;2;4;",
          false },
        { "replace",
          { "INSERT INTO t VALUES (2, 'a')", "INSERT OR REPLACE INTO t VALUES (3, 'a')" },
          { "changes=1 id=2 ", "changes=1 id=3 " },
          "1;3;",
          false },
        { "or fail keeps its first rows",
          { "INSERT INTO t VALUES (2, 'a')",
            "INSERT OR FAIL INTO t VALUES (3, 'b'), (4, 'x'), (5, 'c')",
            "INSERT INTO t VALUES (6, 'd')" },
          { "changes=1 id=2 ", "FAILED_PRECONDITION SQLITE_CONSTRAINT_UNIQUE", "changes=1 id=6 " },
          "1;2;3;6;",
          false },
        { "syntax error",
          { "INSERT INTO t VALUES (2, 'a')", "INSRT", "INSERT INTO t VALUES (4, 'b')" },
          { "changes=1 id=2 ", "INVALID_ARGUMENT SYNTAX_ERROR", "changes=1 id=4 " },
          "1;2;4;",
          false },
};

START_TEST(one_batch)
{
        struct write_try requests[MAX_BATCH];
        uint64_t n_before = n_undone();
        size_t n = 0;

        while (n < MAX_BATCH && batches[_i].sql[n])
                n++;
        run_batch(requests, batches[_i].sql, n);
        for (size_t i = 0; i < n; i++)
                ck_assert_msg(strcmp(requests[i].outcome.text, batches[_i].want[i]) == 0,
                              "%s: %s: %s (%s), not %s", batches[_i].label, batches[_i].sql[i],
                              requests[i].outcome.text, requests[i].outcome.err.msg,
                              batches[_i].want[i]);
        free_batch(requests, n);
        ck_assert_str_eq(env_read(&env, "SELECT id FROM t ORDER BY id"), batches[_i].left);
        ck_assert_msg((n_undone() > n_before) == batches[_i].undoes, "%s: the transaction was %s",
                      batches[_i].label, batches[_i].undoes ? "not undone" : "undone");
        env_crash(&env);
        env_open(&env);
        ck_assert_str_eq(env_read(&env, "SELECT id FROM t ORDER BY id"), batches[_i].left);
}
END_TEST

/* A commit has one timestamp for all, and they rise. */
START_TEST(a_batch_is_one_commit)
{
        static const char *const sql[] = { "INSERT INTO t VALUES (2, 'a')",
                                           "INSERT INTO t VALUES (3, 'x')",
                                           "INSERT INTO t VALUES (4, 'b')" };
        struct write_try requests[3];
        struct outcome later;

        run_batch(requests, sql, 3);
        ck_assert_uint_gt(requests[0].outcome.commit_ts, 0);
        ck_assert_uint_eq(requests[0].outcome.commit_ts, requests[2].outcome.commit_ts);
        ck_assert_uint_eq(requests[1].outcome.commit_ts, 0);
        env_write_with(&env, "DELETE FROM t WHERE id = 4", NULL, 0, &later);
        ck_assert_uint_gt(later.commit_ts, requests[0].outcome.commit_ts);
        free_batch(requests, 3);
}
END_TEST

/* Those that run again see the 'now' they had, and their rows are told once. */
START_TEST(what_runs_again_is_the_same)
{
        static const char *const sql[] = {
                "INSERT INTO now SELECT 1, strftime('%s', 'now') RETURNING n, at",
                "INSERT INTO now SELECT 2, strftime('%s', 'now') RETURNING n, at",
                "INSERT INTO t VALUES (3, 'boom')",
        };
        struct write_try requests[3];

        env_hold(&env);
        for (int i = 0; i < 3; i++) {
                request_init(&requests[i], &env, ENGINE_WRITE_EXECUTE, sql[i]);
                requests[i].st.now_ms = 1000000000000 + i * 1000;
                request_submit(&requests[i]);
        }
        env_release(&env);
        for (int i = 0; i < 3; i++)
                request_wait(&requests[i]);
        ck_assert_str_eq(requests[0].outcome.text, "1|1000000000;changes=1 id=1 ");
        ck_assert_str_eq(requests[1].outcome.text, "2|1000000001;changes=1 id=2 ");
        ck_assert_uint_eq(requests[1].outcome.n_rows, 1);
        ck_assert_str_eq(env_read(&env, "SELECT * FROM now ORDER BY n"),
                         "1|1000000000;2|1000000001;");
        free_batch(requests, 3);
}
END_TEST

/* A schema change that fails at its very end has not happened. */
START_TEST(a_schema_change_that_breaks_a_key)
{
        ck_assert_str_eq(
            env_schema(&env, 2, NULL, "CREATE TABLE more(x); INSERT INTO c VALUES (99)", "", false),
            "FAILED_PRECONDITION SQLITE_CONSTRAINT_FOREIGNKEY");
        env.schema_version = 1;
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "1;");
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM more"), "NOT_FOUND NO_SUCH_TABLE");
        ck_assert_str_eq(env_write(&env, "INSERT INTO t VALUES (2, 'a')"), "changes=1 id=2 ");
}
END_TEST

/* ---- cancel and deadline */

static const struct {
        const char *label;
        int64_t deadline_ms; /* from now; 0: none */
        bool cancel;
        const char *want;
} stops[] = {
        { "deadline", 60, false, "DEADLINE_EXCEEDED DEADLINE_EXCEEDED" },
        { "cancel", 0, true, "CANCELLED CANCELLED" },
};

/* One that runs is stopped; the others of its batch are not harmed. */
START_TEST(stopped_while_running)
{
        static const char *const sql[] = {
                "INSERT INTO t VALUES (2, 'a')",
                "INSERT INTO now " ENDLESS "SELECT x, x FROM r",
                "INSERT INTO t VALUES (4, 'b')",
        };
        _Atomic bool cancelled = false;
        _Atomic unsigned n_done = 0;
        struct write_try requests[3];

        env_hold(&env);
        for (int i = 0; i < 3; i++) {
                request_init(&requests[i], &env, ENGINE_WRITE_EXECUTE, sql[i]);
                requests[i].n_done = &n_done;
                if (i == 1 && stops[_i].deadline_ms)
                        requests[i].st.deadline_us = mono_us() + stops[_i].deadline_ms * 1000;
                if (i == 1)
                        requests[i].st.cancelled = &cancelled;
                request_submit(&requests[i]);
        }
        env_release(&env);
        request_wait(&requests[0]);
        cancelled = stops[_i].cancel;
        request_wait(&requests[1]);
        request_wait(&requests[2]);
        ck_assert_str_eq(requests[0].outcome.text, "changes=1 id=2 ");
        ck_assert_str_eq(requests[1].outcome.text, stops[_i].want);
        ck_assert_str_eq(requests[2].outcome.text, "changes=1 id=4 ");
        free_batch(requests, 3);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM now"), "0;");
}
END_TEST

START_TEST(stopped_before_it_ran)
{
        _Atomic bool cancelled = false;
        struct write_try r;

        env_hold(&env);
        request_init(&r, &env, ENGINE_WRITE_EXECUTE, "DELETE FROM t");
        if (stops[_i].deadline_ms)
                r.st.deadline_us = mono_us();
        r.st.cancelled = &cancelled;
        request_submit(&r);
        cancelled = stops[_i].cancel;
        env_release(&env);
        ck_assert_str_eq(request_wait(&r)->text, stops[_i].want);
        request_done(&r);
        ck_assert_str_eq(env_read(&env, "SELECT id FROM t"), "1;");
}
END_TEST

START_TEST(withdrawn_from_the_queue)
{
        struct write_try a, b;

        env_hold(&env);
        request_init(&a, &env, ENGINE_WRITE_EXECUTE, "DELETE FROM t");
        request_init(&b, &env, ENGINE_WRITE_EXECUTE, "INSERT INTO t VALUES (2, 'a')");
        request_submit(&a);
        request_submit(&b);
        ck_assert(engine_write_withdraw(&a.w));
        ck_assert(!engine_write_withdraw(&a.w));
        env_release(&env);
        request_wait(&b);
        ck_assert(!engine_write_withdraw(&b.w));
        ck_assert(!a.is_done);
        request_done(&a);
        request_done(&b);
        ck_assert_str_eq(env_read(&env, "SELECT id FROM t ORDER BY id"), "1;2;");
}
END_TEST

/* A slow statement leaves the batch, so that the others need not wait for it. */
START_TEST(slow_ones_do_not_hold_the_batch)
{
        static const char *const sql[] = {
                "INSERT INTO t VALUES (2, 'a')",
                "INSERT INTO now " ENDLESS "SELECT x, x FROM r",
        };
        _Atomic bool cancelled = false;
        struct write_try requests[2];

        env_hold(&env);
        for (int i = 0; i < 2; i++) {
                request_init(&requests[i], &env, ENGINE_WRITE_EXECUTE, sql[i]);
                requests[i].st.cancelled = i ? &cancelled : NULL;
                request_submit(&requests[i]);
        }
        env_release(&env);
        ck_assert_str_eq(request_wait(&requests[0])->text,
                         "changes=1 id=2 "); /* while the other one runs */
        cancelled = true;
        ck_assert_str_eq(request_wait(&requests[1])->text, "CANCELLED CANCELLED");
        free_batch(requests, 2);
}
END_TEST

/* ---- limits */

START_TEST(queue_is_bounded)
{
        struct write_try requests[4];

        env_close(&env);
        env.o.max_queue = 3;
        env_open(&env);
        env_hold(&env);
        for (int i = 0; i < 4; i++) {
                request_init(&requests[i], &env, ENGINE_WRITE_EXECUTE,
                             "INSERT INTO now VALUES (1, 1)");
                request_submit(&requests[i]);
        }
        ck_assert_str_eq(request_wait(&requests[3])->text, "RESOURCE_EXHAUSTED WRITE_QUEUE_FULL");
        env_release(&env);
        for (int i = 0; i < 3; i++)
                ck_assert_str_eq(request_wait(&requests[i])->err.reason, "");
        free_batch(requests, 4);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM now"), "3;");
}
END_TEST

START_TEST(queue_is_bounded_in_bytes)
{
        static const char big[3000] = "";
        struct value v = value_blob(big, sizeof big);
        struct write_try requests[3];

        env_close(&env);
        env.o.max_queue_bytes = 7000;
        env_open(&env);
        env_hold(&env);
        for (int i = 0; i < 3; i++) {
                request_init(&requests[i], &env, ENGINE_WRITE_EXECUTE,
                             "INSERT INTO now VALUES (1, ?1)");
                requests[i].st.params = &v;
                requests[i].st.n_params = 1;
                request_submit(&requests[i]);
        }
        ck_assert_str_eq(request_wait(&requests[2])->text, "RESOURCE_EXHAUSTED WRITE_QUEUE_FULL");
        env_release(&env);
        for (int i = 0; i < 2; i++)
                ck_assert_str_eq(request_wait(&requests[i])->err.reason, "");
        free_batch(requests, 3);
}
END_TEST

/* ---- several threads */

static void *write_many(void *arg)
{
        for (int i = 0; i < N_PER_THREAD; i++) {
                struct write_try r;

                request_init(&r, &env, ENGINE_WRITE_EXECUTE,
                             i % 10 == 9 ? "INSERT INTO t VALUES (1000, 'boom')"
                                         : "UPDATE now SET n = n + 1");
                request_submit(&r);
                request_wait(&r);
                if ((i % 10 == 9) != (r.outcome.err.code == ERR_PRECONDITION))
                        *(bool *)arg = true;
                request_done(&r);
        }
        return NULL;
}

START_TEST(threads_share_commits)
{
        pthread_t threads[N_THREADS];
        bool failed[N_THREADS] = { false };
        char want[64];

        ck_assert_str_eq(env_write(&env, "INSERT INTO now VALUES (0, 0)"), "changes=1 id=1 ");
        for (int i = 0; i < N_THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, write_many, &failed[i]), 0);
        for (int i = 0; i < N_THREADS; i++) {
                pthread_join(threads[i], NULL);
                ck_assert(!failed[i]);
        }
        snprintf(want, sizeof want, "%d;", N_THREADS * N_PER_THREAD / 10 * 9);
        ck_assert_str_eq(env_read(&env, "SELECT n FROM now"), want);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("writer");
        TCase *t = tcase_create("batches");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_loop_test(t, one_batch, 0, ARRAY_LEN(batches));
        tcase_add_test(t, a_batch_is_one_commit);
        tcase_add_test(t, what_runs_again_is_the_same);
        tcase_add_test(t, a_schema_change_that_breaks_a_key);
        tcase_add_loop_test(t, stopped_while_running, 0, ARRAY_LEN(stops));
        tcase_add_loop_test(t, stopped_before_it_ran, 0, ARRAY_LEN(stops));
        tcase_add_test(t, withdrawn_from_the_queue);
        tcase_add_test(t, slow_ones_do_not_hold_the_batch);
        tcase_add_test(t, queue_is_bounded);
        tcase_add_test(t, queue_is_bounded_in_bytes);
        tcase_add_test(t, threads_share_commits);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
