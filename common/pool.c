/* pool.c - a queue and the threads that empty it. Any thread submits. */
#include "common/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

/* All but the threads' handles is guarded by mu. */
struct pool {
        pthread_mutex_t mu;
        pthread_cond_t not_empty; /* or closing */
        struct pool_job *first;
        struct pool_job **last; /* where the next job is linked in */
        size_t n_jobs;
        unsigned n_idle; /* workers in pthread_cond_wait() */
        bool closing;
        unsigned n_threads;
        pthread_t threads[];
};

static struct pool_job *take_job(struct pool *p)
{
        struct pool_job *job;

        pthread_mutex_lock(&p->mu);
        while (!p->first && !p->closing) {
                p->n_idle++;
                pthread_cond_wait(&p->not_empty, &p->mu);
                p->n_idle--;
        }
        job = p->first;
        if (job) {
                p->first = job->next;
                if (!p->first)
                        p->last = &p->first;
                p->n_jobs--;
        }
        pthread_mutex_unlock(&p->mu);
        return job;
}

static void *run_worker(void *arg)
{
        struct pool *p = arg;
        struct pool_job *job;

        while ((job = take_job(p)))
                job->run(job);
        return NULL;
}

struct pool *pool_new(const char *name, unsigned n_threads)
{
        struct pool *p = xcalloc(1, sizeof *p + n_threads * sizeof p->threads[0]);
        char thread_name[32];

        assert(n_threads > 0);
        pthread_mutex_init(&p->mu, NULL);
        pthread_cond_init(&p->not_empty, NULL);
        p->last = &p->first;
        for (unsigned i = 0; i < n_threads; i++) {
                /* At start-up only, and nothing works without it. */
                if (pthread_create(&p->threads[i], NULL, run_worker, p) != 0) {
                        fputs("cannot create a thread\n", stderr);
                        abort();
                }
                p->n_threads++;
                snprintf(thread_name, sizeof thread_name, "%.11s-%u", name, i);
                thread_name[15] = '\0'; /* the kernel refuses longer ones */
                pthread_setname_np(p->threads[i], thread_name);
        }
        return p;
}

struct pool *pool_free(struct pool *p)
{
        if (!p)
                return NULL;
        pthread_mutex_lock(&p->mu);
        p->closing = true;
        pthread_cond_broadcast(&p->not_empty);
        pthread_mutex_unlock(&p->mu);
        for (unsigned i = 0; i < p->n_threads; i++)
                pthread_join(p->threads[i], NULL);
        assert(!p->first);
        pthread_cond_destroy(&p->not_empty);
        pthread_mutex_destroy(&p->mu);
        free(p);
        return NULL;
}

void pool_submit(struct pool *p, struct pool_job *job)
{
        job->next = NULL;
        pthread_mutex_lock(&p->mu);
        assert(!p->closing);
        *p->last = job;
        p->last = &job->next;
        p->n_jobs++;
        /* Under the lock: behind it the job may have run already and the pool may be gone. */
        if (p->n_idle > 0)
                pthread_cond_signal(&p->not_empty);
        pthread_mutex_unlock(&p->mu);
}

size_t pool_depth(struct pool *p)
{
        size_t n;

        pthread_mutex_lock(&p->mu);
        n = p->n_jobs;
        pthread_mutex_unlock(&p->mu);
        return n;
}
