/* test_pool.c - every job runs once, in order, and the end waits for them. */
#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "common/pool.h"
#include "tests/unit/unit.h"

enum { N_JOBS = 5000, N_SUBMITTERS = 4 };

struct numbered {
        struct pool_job job;
        int number;
};

static _Atomic int n_run;
static int order[N_JOBS]; /* written by the one worker */

static void note_order(struct pool_job *job)
{
        order[n_run++] = CONTAINER_OF(job, struct numbered, job)->number;
        free(job);
}

static struct pool_job *new_job(int number, void (*run)(struct pool_job *))
{
        struct numbered *n = xcalloc(1, sizeof *n);

        n->job.run = run;
        n->number = number;
        return &n->job;
}

START_TEST(first_in_first_out)
{
        struct pool *p = pool_new("test", 1);

        for (int i = 0; i < N_JOBS; i++)
                pool_submit(p, new_job(i, note_order));
        ck_assert_ptr_null(pool_free(p));
        ck_assert_int_eq(n_run, N_JOBS);
        for (int i = 0; i < N_JOBS; i++) {
                if (order[i] != i)
                        ck_abort_msg("job %d ran as number %d", order[i], i);
        }
}
END_TEST

static void count(struct pool_job *job)
{
        n_run++;
        free(job);
}

static void *submit(void *arg)
{
        for (int i = 0; i < N_JOBS; i++)
                pool_submit(arg, new_job(i, count));
        return NULL;
}

START_TEST(many_threads_on_both_sides)
{
        struct pool *p = pool_new("test", 3);
        pthread_t threads[N_SUBMITTERS];

        for (int i = 0; i < N_SUBMITTERS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, submit, p), 0);
        for (int i = 0; i < N_SUBMITTERS; i++)
                pthread_join(threads[i], NULL);
        pool_free(p);
        ck_assert_int_eq(n_run, N_SUBMITTERS * N_JOBS);
}
END_TEST

static sem_t started, release_;

static void wait_for_release(struct pool_job *job)
{
        sem_post(&started);
        sem_wait(&release_);
        n_run++;
}

/* Two threads run two jobs at once; the others wait and are counted. A job's struct may be used
 * again. */
START_TEST(depth_counts_who_waits)
{
        struct pool_job jobs[5];

        sem_init(&started, 0, 0);
        sem_init(&release_, 0, 0);
        for (int round = 1; round <= 2; round++) {
                struct pool *p = pool_new("test", 2);

                for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
                        jobs[i].run = wait_for_release;
                        pool_submit(p, &jobs[i]);
                }
                sem_wait(&started);
                sem_wait(&started);
                ck_assert_uint_eq(pool_depth(p), 3);
                for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
                        sem_post(&release_);
                for (size_t i = 2; i < ARRAY_LEN(jobs); i++)
                        sem_wait(&started);
                ck_assert_uint_eq(pool_depth(p), 0);
                pool_free(p);
                ck_assert_int_eq(n_run, round * 5);
        }
}
END_TEST

static char thread_name[16];

static void note_name(struct pool_job *job)
{
        pthread_getname_np(pthread_self(), thread_name, sizeof thread_name);
        sem_post(&started);
}

START_TEST(threads_have_names)
{
        struct pool *p;
        struct pool_job job = { .run = note_name };

        sem_init(&started, 0, 0);
        p = pool_new("a-very-long-name", 1);
        pool_submit(p, &job);
        sem_wait(&started);
        pool_free(p);
        ck_assert_str_eq(thread_name, "a-very-long-0");
}
END_TEST

START_TEST(ends_without_work)
{
        for (int i = 0; i < 20; i++)
                ck_assert_ptr_null(pool_free(pool_new("test", 3)));
        ck_assert_ptr_null(pool_free(NULL));
}
END_TEST

static Suite *pool_suite(void)
{
        Suite *s = suite_create("pool");
        TCase *t = tcase_create("pool");

        tcase_set_timeout(t, 30);
        tcase_add_test(t, first_in_first_out);
        tcase_add_test(t, many_threads_on_both_sides);
        tcase_add_test(t, depth_counts_who_waits);
        tcase_add_test(t, threads_have_names);
        tcase_add_test(t, ends_without_work);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(pool_suite());
}
