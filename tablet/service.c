/* service.c - the gRPC service: one method, the streams, what comes back from other threads. Loop
 * thread. */
#include "tablet/service.h"

#include <utlist.h>

#include "proto/descriptors.h"
#include "tablet/held_pin.h"
#include "tablet/service_int.h"

enum {
        SWEEP_US = 250 * 1000,
        DRAIN_TICK_US = 50 * 1000,
};

/* ---- from other threads */

/* Puts collect() into the loop's queue, once. */
static void post_collect(struct service *s)
{
        bool was_posted;

        pthread_mutex_lock(&s->mu);
        was_posted = s->is_posted;
        s->is_posted = true;
        pthread_mutex_unlock(&s->mu);
        if (!was_posted)
                loop_post(s->o.loop, &s->collect);
}

void service_task_done(struct service *s, struct task *t)
{
        t->next_done = NULL;
        service_tasks_done(s, t, t);
}

void service_tasks_done(struct service *s, struct task *head, struct task *tail)
{
        bool was_posted;

        pthread_mutex_lock(&s->mu);
        if (s->done_head)
                s->done_tail->next_done = head;
        else
                s->done_head = head;
        s->done_tail = tail;
        was_posted = s->is_posted;
        s->is_posted = true;
        pthread_mutex_unlock(&s->mu);
        if (!was_posted)
                loop_post(s->o.loop, &s->collect);
}

void service_mark_dirty(struct service *s, struct request *rq)
{
        if (rq->is_dirty)
                return;
        rq->is_dirty = true;
        rq->dirty_next = s->dirty;
        s->dirty = rq;
        if (!s->is_collecting)
                post_collect(s);
}

void service_cork(struct service *s)
{
        s->n_corks++;
}

void service_uncork(struct service *s)
{
        struct stream *st;

        if (--s->n_corks)
                return;
        while ((st = s->corked)) {
                s->corked = st->next_corked;
                stream_uncork(st);
        }
}

/* Everything that has come back: first all outcomes, so that those of one request share a message,
 * then the messages. */
static void collect(struct loop_task *task)
{
        struct service *s = CONTAINER_OF(task, struct service, collect);
        struct request *rq;
        struct task *t, *next;

        pthread_mutex_lock(&s->mu);
        t = s->done_head;
        s->done_head = s->done_tail = NULL;
        s->is_posted = false;
        pthread_mutex_unlock(&s->mu);
        s->is_collecting = true;
        service_cork(s);
        for (; t; t = next) {
                next = t->next_done;
                request_on_task(t);
        }
        while ((rq = s->dirty)) {
                s->dirty = rq->dirty_next;
                request_settle(rq);
        }
        service_uncork(s);
        s->is_collecting = false;
        service_check_drained(s);
}

/* ---- now and then */

static void on_sweep(struct loop_timer *timer)
{
        struct service *s = CONTAINER_OF(timer, struct service, sweep);
        int64_t now_us = mono_us();
        struct stream *st, *tmp_st;
        struct request *rq, *tmp_rq;

        DL_FOREACH_SAFE(s->streams, st, tmp_st)
        {
                HASH_ITER(hh, st->requests, rq, tmp_rq)
                request_sweep(rq, now_us);
                held_pins_sweep(st, now_us);
                if (s->is_draining)
                        stream_drain_tick(st);
        }
        loop_timer_set(s->o.loop, timer, now_us + (s->is_draining ? DRAIN_TICK_US : SWEEP_US));
}

/* ---- life */

enum err_code service_start(const struct service_options *o, struct service **ret_service,
                            struct err *reterr)
{
        static const char *const names[] = { "shoal.v1.Tablet", NULL };
        struct service *s = xcalloc(1, sizeof *s);
        struct rpc_method method = { .path = "/shoal.v1.Tablet/Connect",
                                     .stream_in = true,
                                     .on_start = stream_on_start,
                                     .arg = s };
        struct rpc_server_options so = {
                .address = o->address,
                .methods = &method,
                .n_methods = 1,
                .services = names,
                .max_request_bytes = o->max_message_bytes,
                .descriptors = proto_descriptors,
                .n_descriptor_bytes = proto_n_descriptor_bytes,
        };
        enum err_code rc;

        s->o = *o;
        s->collect.fn = collect;
        s->sweep.fn = on_sweep;
        pthread_mutex_init(&s->mu, NULL);
        rc = rpc_server_start(o->loop, &so, &s->server, reterr);
        if (rc) {
                pthread_mutex_destroy(&s->mu);
                free(s);
                return rc;
        }
        loop_timer_set(o->loop, &s->sweep, mono_us() + SWEEP_US);
        *ret_service = s;
        return ERR_OK;
}

struct rpc_server *service_server(struct service *s)
{
        return s->server;
}

void service_check_drained(struct service *s)
{
        void (*fn)(void *arg) = s->on_drained;

        if (!fn || !s->is_server_drained || s->n_requests || s->is_collecting)
                return;
        s->on_drained = NULL;
        fn(s->on_drained_arg);
}

static void on_server_drained(void *arg)
{
        struct service *s = arg;

        s->is_server_drained = true;
        service_check_drained(s);
}

void service_drain(struct service *s, uint64_t grace_ms, void (*done)(void *arg), void *arg)
{
        s->is_draining = true;
        s->on_drained = done;
        s->on_drained_arg = arg;
        loop_timer_set(s->o.loop, &s->sweep, mono_us() + DRAIN_TICK_US);
        rpc_server_drain(s->server, grace_ms, on_server_drained, s);
}

struct service *service_free(struct service *s)
{
        if (!s)
                return NULL;
        loop_timer_cancel(s->o.loop, &s->sweep);
        rpc_server_free(s->server);
        frame_scratch_done(&s->scratch);
        pthread_mutex_destroy(&s->mu);
        free(s);
        return NULL;
}
