/* The loop by itself: timers, tasks from other threads, stopping, signals. */
#include <pthread.h>
#include <signal.h>

#include "tests/unit/rpc/fixture.h"

static struct loop *loop;

static void setup(void)
{
        loop = loop_new();
}

static void teardown(void)
{
        loop = loop_free(loop);
}

/* ---- timers */

enum { N_TIMERS = 1000 };

struct test_timer {
        struct loop_timer t;
        int64_t due_us;
        bool has_run;
};

static struct test_timer timers[N_TIMERS];
static int64_t last_due_us;
static unsigned n_run;
static bool is_done;

static void run_test_timer(struct loop_timer *t)
{
        struct test_timer *x = CONTAINER_OF(t, struct test_timer, t);

        ck_assert(!x->has_run);
        ck_assert_int_ge(mono_us(), x->due_us);
        ck_assert_int_ge(x->due_us, last_due_us);
        ck_assert_uint_eq(t->heap_index, 0);
        x->has_run = true;
        last_due_us = x->due_us;
        n_run++;
}

static void set_done(struct loop_timer *t)
{
        (void)t;
        is_done = true;
}

static void arm(struct test_timer *x, int64_t due_us)
{
        x->due_us = due_us;
        loop_timer_set(loop, &x->t, due_us);
}

/* In the order of their times, however they were armed, moved and cancelled. */
START_TEST(timer_order)
{
        struct loop_timer last = { .fn = set_done };
        int64_t now_us = mono_us();
        unsigned seed = 7, n_cancelled = 0;

        memset(timers, 0, sizeof(timers));
        last_due_us = n_run = is_done = 0;
        for (int i = 0; i < N_TIMERS; i++) {
                timers[i].t.fn = run_test_timer;
                arm(&timers[i], now_us + rand_r(&seed) % 50000);
        }
        for (int i = 0; i < N_TIMERS; i += 3)
                arm(&timers[i], now_us + rand_r(&seed) % 50000);
        for (int i = 0; i < N_TIMERS; i += 7) {
                loop_timer_cancel(loop, &timers[i].t);
                loop_timer_cancel(loop, &timers[i].t);
                n_cancelled++;
        }
        loop_timer_set(loop, &last, now_us + 60000);
        loop_run_until(loop, &is_done);
        ck_assert_uint_eq(n_run, N_TIMERS - n_cancelled);
        for (int i = 0; i < N_TIMERS; i++)
                ck_assert_int_eq(timers[i].has_run, i % 7 != 0);
}
END_TEST

static struct loop_timer again;

static void run_again(struct loop_timer *t)
{
        if (++n_run == 100)
                is_done = true;
        else
                loop_timer_set(loop, t, n_run % 2 ? 0 : mono_us());
}

START_TEST(timer_arms_itself)
{
        n_run = is_done = 0;
        again = (struct loop_timer){ .fn = run_again };
        loop_timer_set(loop, &again, mono_us() - 5);
        loop_run_until(loop, &is_done);
        ck_assert_uint_eq(n_run, 100);
}
END_TEST

/* ---- tasks */

enum { N_THREADS = 4, N_TASKS = 5000 };

struct test_task {
        struct loop_task task;
        int thread;
        int number;
};

static struct test_task tasks[N_THREADS][N_TASKS];
static int next_number[N_THREADS];
static unsigned n_tasks_run;

static void run_test_task(struct loop_task *task)
{
        struct test_task *t = CONTAINER_OF(task, struct test_task, task);

        ck_assert(loop_is_current(loop));
        ck_assert_int_eq(t->number, next_number[t->thread]++);
        if (++n_tasks_run == N_THREADS * N_TASKS)
                loop_stop(loop);
}

static void *post_tasks(void *arg)
{
        int thread = (int)(intptr_t)arg;

        ck_assert(!loop_is_current(loop));
        for (int i = 0; i < N_TASKS; i++) {
                tasks[thread][i] = (struct test_task){ { .fn = run_test_task }, thread, i };
                loop_post(loop, &tasks[thread][i].task);
        }
        return NULL;
}

START_TEST(tasks_from_threads)
{
        pthread_t threads[N_THREADS];

        memset(next_number, 0, sizeof(next_number));
        n_tasks_run = 0;
        for (int i = 0; i < N_THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, post_tasks, (void *)(intptr_t)i),
                                 0);
        loop_run(loop);
        ck_assert_uint_eq(n_tasks_run, N_THREADS * N_TASKS);
        for (int i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
}
END_TEST

/* What was posted still runs when the loop goes. */
static void count_task(struct loop_task *task)
{
        (void)task;
        n_tasks_run++;
}

START_TEST(tasks_before_the_end)
{
        struct loop_task a = { .fn = count_task }, b = { .fn = count_task };

        n_tasks_run = 0;
        loop_post(loop, &a);
        loop_post(loop, &b);
        loop = loop_free(loop);
        ck_assert_uint_eq(n_tasks_run, 2);
}
END_TEST

static void *stop_soon(void *arg)
{
        (void)arg;
        loop_stop(loop);
        loop_stop(loop);
        return NULL;
}

START_TEST(stop)
{
        pthread_t thread;

        ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, NULL), 0);
        loop_run(loop);
        pthread_join(thread, NULL);
        /* Before it runs counts too; then it can run again. */
        loop_stop(loop);
        loop_run(loop);
        is_done = false;
        again = (struct loop_timer){ .fn = set_done };
        loop_timer_set(loop, &again, mono_us() + 1000);
        loop_run_until(loop, &is_done);
}
END_TEST

/* ---- signals */

static unsigned n_terminated;

static void terminate(void *arg)
{
        ck_assert_ptr_eq(arg, &n_terminated);
        ck_assert(loop_is_current(loop));
        n_terminated++;
        is_done = true;
}

START_TEST(signals)
{
        static const int numbers[] = { SIGTERM, SIGINT };

        n_terminated = 0;
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
                struct loop_timer t = { .fn = set_done };

                is_done = false;
                loop_on_terminate(loop, terminate, &n_terminated);
                raise(numbers[i]);
                loop_run_until(loop, &is_done);
                ck_assert_uint_eq(n_terminated, i + 1);
                /* Once is enough. */
                raise(SIGTERM);
                raise(SIGINT);
                is_done = false;
                loop_timer_set(loop, &t, mono_us() + 20000);
                loop_run_until(loop, &is_done);
                ck_assert_uint_eq(n_terminated, i + 1);
                loop_free(loop);
                loop = loop_new();
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/loop");
        TCase *t = tcase_create("loop");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, timer_order);
        tcase_add_test(t, timer_arms_itself);
        tcase_add_test(t, tasks_from_threads);
        tcase_add_test(t, tasks_before_the_end);
        tcase_add_test(t, stop);
        tcase_add_test(t, signals);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
