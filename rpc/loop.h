/* loop.h - a completion queue and the one thread that polls it: everything of gRPC happens on that
 * thread, and it never waits for anything else. Work that may block goes to a pool (common/pool.h)
 * and comes back by loop_post(). */
#pragma once

#include <grpc/grpc.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct loop;

/* What the queue hands back for a completed batch: embedded in whatever the batch belongs to. */
struct loop_tag {
        void (*fn)(struct loop_tag *tag, bool ok);
};

/* A function to be run on the loop thread; in the queue at most once at a time. */
struct loop_task {
        void (*fn)(struct loop_task *task);
        struct loop_task *next;
};

struct loop_timer {
        void (*fn)(struct loop_timer *timer);
        int64_t at_us;     /* mono_us() */
        size_t heap_index; /* 0: not armed */
};

/* grpc_init() is done by the first loop, grpc_shutdown() by the last. Never NULL. */
struct loop *loop_new(void);
/* The queue must be empty of calls: servers and channels are freed first. Accepts NULL, returns
 * NULL. */
struct loop *loop_free(struct loop *l);

/* Polls in the calling thread until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l); /* any thread, or from a signal watcher */
/* Polls until *done is true; for tests and the command line. Loop thread. */
void loop_run_until(struct loop *l, const bool *done);

/* Any thread. Tasks run in the order posted. */
void loop_post(struct loop *l, struct loop_task *task);
bool loop_is_current(const struct loop *l); /* are we on its thread? */

/* Loop thread only. Arming an armed timer moves it. */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_us);
void loop_timer_cancel(struct loop *l, struct loop_timer *t); /* also when it is not armed */

/* Loop thread. SIGTERM and SIGINT reach fn once, on the loop thread. */
void loop_on_terminate(struct loop *l, void (*fn)(void *arg), void *arg);

grpc_completion_queue *loop_cq(struct loop *l);
/* Starts a batch whose completion runs tag->fn on the loop thread. Aborts on a misuse of the API.
 * Loop thread. */
void loop_batch(struct loop *l, grpc_call *call, const grpc_op *ops, size_t n_ops,
                struct loop_tag *tag);
