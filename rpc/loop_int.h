/* loop_int.h - what the files of rpc/ share about a loop and nobody else needs to know. */
#pragma once

#include <pthread.h>

#include "rpc/loop.h"

/* libgrpc is not built with ThreadSanitizer, which therefore does not see that a tag handed to it
 * comes back later. */
#if defined(__SANITIZE_THREAD__)
#define RPC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RPC_TSAN 1
#endif
#endif

#ifdef RPC_TSAN
void __tsan_acquire(void *p);
void __tsan_release(void *p);
#else
static inline void __tsan_acquire(void *p)
{
        (void)p;
}
static inline void __tsan_release(void *p)
{
        (void)p;
}
#endif

/* Owner: the loop thread, but for the members named otherwise. */
struct loop {
        grpc_completion_queue *cq;
        _Atomic pthread_t thread; /* who polls; before that, who made it */
        _Atomic bool stopped;
        size_t n_pending; /* completions that are still to come */

        /* An empty batch on a call that leads nowhere is how another thread wakes the queue. */
        grpc_channel *lame_channel;
        grpc_call *lame_call;
        struct loop_tag tasks_tag;
        struct loop_tag stop_tag;

        pthread_mutex_t mu;
        struct loop_task *first_task; /* guarded by mu */
        struct loop_task **last_task; /* guarded by mu */

        struct loop_timer **timers; /* heap, the soonest at 1 */
        size_t n_timers;
        size_t n_timers_allocated;
        unsigned n_since_timers; /* events */

        struct loop_signals *signals; /* NULL: not watched */
};

/* To be called before a tag is handed to libgrpc by any other way than loop_batch(). */
static inline void loop_expect(struct loop *l, struct loop_tag *tag)
{
        l->n_pending++;
        __tsan_release(tag);
}

/* Runs the timers that are due; were there any? */
bool loop_timers_run(struct loop *l);
/* When the next one is due; INT64_MAX: there is none. */
int64_t loop_timers_next(const struct loop *l);

/* mono_us() as libgrpc wants it. */
gpr_timespec loop_timespec(int64_t at_us);

/* Ends the watching, if any. l->signals stays, for its task may still be in the list. */
void loop_signals_stop(struct loop *l);
