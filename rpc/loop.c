/* loop.c - polls a completion queue, in the thread that calls loop_run(). Other threads reach it
 * through loop_post(). */
#include "rpc/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>

#include "common/log.h"
#include "common/util.h"
#include "rpc/lock_graph.h"
#include "rpc/loop_int.h"

enum { EVENTS_BETWEEN_TIMERS = 16 };

static void log_of_grpc(gpr_log_func_args *a)
{
        static const enum log_level levels[] = {
                [GPR_LOG_SEVERITY_DEBUG] = LOG_DEBUG,
                [GPR_LOG_SEVERITY_INFO] = LOG_INFO,
                [GPR_LOG_SEVERITY_ERROR] = LOG_WARN,
        };

        /* What it calls an error, such as a connection that broke, reaches the caller as one. */
        log_event(levels[a->severity], "grpc", "message=%s", log_quote(a->message));
}

static void run_tasks(struct loop_tag *tag, bool ok)
{
        struct loop *l = CONTAINER_OF(tag, struct loop, tasks_tag);
        struct loop_task *task;

        (void)ok;
        pthread_mutex_lock(&l->mu);
        task = l->first_task;
        l->first_task = NULL;
        l->last_task = &l->first_task;
        pthread_mutex_unlock(&l->mu);
        while (task) {
                struct loop_task *next = task->next;

                task->fn(task);
                task = next;
        }
}

static void ignore_event(struct loop_tag *tag, bool ok)
{
        (void)tag;
        (void)ok;
}

struct loop *loop_new(void)
{
        struct loop *l = xcalloc(1, sizeof(*l));
        sigset_t ours, before;

        /* Threads of libgrpc inherit the mask: signals are for us, not for them. */
        lock_graph_stop();
        gpr_set_log_function(log_of_grpc);
        sigfillset(&ours);
        pthread_sigmask(SIG_BLOCK, &ours, &before);
        grpc_init();
        pthread_sigmask(SIG_SETMASK, &before, NULL);

        l->cq = grpc_completion_queue_create_for_next(NULL);
        l->thread = pthread_self();
        l->tasks_tag.fn = run_tasks;
        l->stop_tag.fn = ignore_event;
        pthread_mutex_init(&l->mu, NULL);
        l->last_task = &l->first_task;
        l->lame_channel = grpc_lame_client_channel_create("wake-up", GRPC_STATUS_UNAVAILABLE, "");
        l->lame_call = grpc_channel_create_call(l->lame_channel, NULL, 0, l->cq,
                                                grpc_slice_from_static_string("/wake-up"), NULL,
                                                gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        return l;
}

static void wake(struct loop *l, struct loop_tag *tag)
{
        grpc_call_error e;

        __tsan_release(tag);
        e = grpc_call_start_batch(l->lame_call, NULL, 0, tag, NULL);
        assert(e == GRPC_CALL_OK);
        (void)e;
}

void loop_post(struct loop *l, struct loop_task *task)
{
        bool was_empty;

        task->next = NULL;
        pthread_mutex_lock(&l->mu);
        was_empty = !l->first_task;
        *l->last_task = task;
        l->last_task = &task->next;
        pthread_mutex_unlock(&l->mu);
        /* Later ones ride on the first one's wake-up, which takes them all. */
        if (was_empty)
                wake(l, &l->tasks_tag);
}

bool loop_is_current(const struct loop *l)
{
        return pthread_equal(((struct loop *)l)->thread, pthread_self());
}

gpr_timespec loop_timespec(int64_t at_us)
{
        if (at_us == INT64_MAX)
                return gpr_inf_future(GPR_CLOCK_MONOTONIC);
        if (at_us < 0)
                at_us = 0;
        return (gpr_timespec){
                .tv_sec = at_us / 1000000,
                .tv_nsec = (int32_t)(at_us % 1000000 * 1000),
                .clock_type = GPR_CLOCK_MONOTONIC,
        };
}

/* Runs what is due, or one event; false once the queue is shut down and empty. */
static bool run_one(struct loop *l)
{
        struct loop_tag *tag;
        grpc_event e;

        /* Reading the clock for each event would cost more than timers that are late by a few
         * events. */
        if (l->n_timers && ++l->n_since_timers >= EVENTS_BETWEEN_TIMERS && loop_timers_run(l))
                return true;
        e = grpc_completion_queue_next(l->cq, loop_timespec(loop_timers_next(l)), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
                return false;
        if (e.type == GRPC_QUEUE_TIMEOUT) {
                loop_timers_run(l);
                return true;
        }
        tag = e.tag;
        __tsan_acquire(tag);
        if (tag != &l->tasks_tag && tag != &l->stop_tag)
                l->n_pending--;
        tag->fn(tag, e.success);
        return true;
}

void loop_run(struct loop *l)
{
        l->thread = pthread_self();
        while (!l->stopped)
                run_one(l);
        l->stopped = false;
}

void loop_run_until(struct loop *l, const bool *done)
{
        l->thread = pthread_self();
        while (!*(const volatile bool *)done)
                run_one(l);
}

void loop_stop(struct loop *l)
{
        if (!atomic_exchange(&l->stopped, true))
                wake(l, &l->stop_tag);
}

static bool has_tasks(struct loop *l)
{
        bool has;

        pthread_mutex_lock(&l->mu);
        has = l->first_task;
        pthread_mutex_unlock(&l->mu);
        return has;
}

struct loop *loop_free(struct loop *l)
{
        if (!l)
                return NULL;
        l->thread = pthread_self();
        loop_signals_stop(l);
        /* Cancelled calls are still to report, and their handlers may start batches, which a queue
         * that is shut down refuses. */
        while (l->n_pending || has_tasks(l))
                run_one(l);
        grpc_call_unref(l->lame_call);
        grpc_channel_destroy(l->lame_channel);
        grpc_completion_queue_shutdown(l->cq);
        while (run_one(l))
                ;
        grpc_completion_queue_destroy(l->cq);
        pthread_mutex_destroy(&l->mu);
        free(l->signals);
        free(l->timers);
        free(l);
        grpc_shutdown();
        return NULL;
}

grpc_completion_queue *loop_cq(struct loop *l)
{
        return l->cq;
}

void loop_batch(struct loop *l, grpc_call *call, const grpc_op *ops, size_t n_ops,
                struct loop_tag *tag)
{
        grpc_call_error e;

        loop_expect(l, tag);
        e = grpc_call_start_batch(call, ops, n_ops, tag, NULL);
        if (e != GRPC_CALL_OK) {
                fprintf(stderr, "loop_batch: %s\n", grpc_call_error_to_string(e));
                abort();
        }
}
