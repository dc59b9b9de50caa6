/* pool.h - worker threads for what may block. */
#pragma once

#include <stddef.h>

#include "common/util.h"

struct pool;

/* Embedded in the work's own struct; in the queue at most once at a time. */
struct pool_job {
        void (*run)(struct pool_job *job); /* on a worker thread; may free the job */
        struct pool_job *next;
};

/* name shows in the threads' names. Never NULL. */
struct pool *pool_new(const char *name, unsigned n_threads);
/* Runs what is queued, then ends the threads; accepts NULL, returns NULL. No job may be submitted
 * any more. */
struct pool *pool_free(struct pool *p);
/* Any thread. First in, first out. */
void pool_submit(struct pool *p, struct pool_job *job);
size_t pool_depth(struct pool *p); /* jobs waiting, not those running */
