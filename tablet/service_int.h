/* service_int.h - service, streams and requests. Owner of everything: the loop thread, unless said
 * otherwise. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <xxhash.h>

#include "tablet/frame.h"
#include "tablet/meters.h"
#include "tablet/service.h"

#ifndef HASH_FUNCTION
#define HASH_FUNCTION(key, n, ret) ((ret) = (unsigned)XXH3_64bits((key), (n)))
#endif
#include <uthash.h>

/* ---- one shard's share of a request (task.c) */
enum task_state {
        TASK_WAITING = 0, /* for the receiver to take more, or to be started */
        TASK_RUNNING = 1, /* a pool or a writer has it */
        TASK_ENDED = 2,
};

/* While RUNNING: write, read, piece, failure and more belong to the thread that runs it. */
struct task {
        struct request *rq;
        uint32_t index;
        enum task_state state;
        struct served_shard *served; /* NULL once it has ended */
        struct engine_write write;   /* of a write; of a read, to make the shard ready */
        struct engine_read read;
        enum {
                STEP_READ = 0,  /* or a write */
                STEP_READY = 1, /* its pin's shard passes the writer */
                STEP_OPEN = 2,  /* its pin is being opened, or is about to be */
        } step;
        struct held_pin *pin; /* NULL: none */
        struct task *pin_prev, *pin_next;
        _Atomic bool cancelled;
        struct pool_job job;
        struct buf piece;
        struct err *failure; /* malloc'ed */
        bool more;
        struct task *next_done; /* guarded by service.mu, or of a list under way */
};

/* ---- requests (request.c) */
struct request {
        struct service *service;
        struct stream *stream; /* NULL: broken, nobody wants to know */
        uint64_t id;
        UT_hash_handle hh; /* in stream->requests */
        struct request *dirty_next;
        bool is_dirty;

        struct frame f; /* its bytes lie behind the tasks */
        struct engine_stmt stmt;
        struct engine_schema_change change;
        char *strings; /* what change points to */
        enum meter_kind kind;
        _Atomic bool cancelled;
        int64_t started_us;
        uint64_t chunk_bytes;
        uint64_t n_in_flight; /* bytes sent and not yet credited */
        uint32_t n_running, n_left;
        uint32_t next_task; /* where to look first for one that waits */
        uint32_t n_unready; /* tasks that pass their writers before pins are opened */
        struct task *to_open;
        struct pool_job open_job;
        struct buf out; /* a reply that is being gathered */
        uint32_t n_tasks;
        struct task tasks[];
};

/* Answers or starts what the frame asks for. The frame borrows from message. */
void request_execute(struct stream *st, const struct frame *f, const uint8_t *message,
                     size_t n_bytes);
void request_refuse(struct stream *st, const struct frame *f, const struct err *e);
void request_cancel(struct request *rq);
void request_cancel_shard(struct request *rq, uint32_t index);
void request_credit(struct request *rq, uint64_t n_bytes);
/* The stream's queue has room again, or time has passed. */
void request_resume(struct request *rq);
/* Something waits in it that will never be credited: its deadline has passed, or its snapshot is
 * too old. */
void request_sweep(struct request *rq, int64_t now_us);
/* A step of t has come back to the loop thread. */
void request_on_task(struct task *t);
/* Tells that its pin is open, or has failed with t->failure; starts nothing. */
void request_on_pin(struct task *t);
/* Sends what is to be sent; frees it if it has ended. */
void request_settle(struct request *rq);

/* Starts a task that waits. */
void task_start(struct task *t);
/* Fails it if it has not begun: true. */
bool task_withdraw(struct task *t);
/* Hands t->write over; its done runs if that works, else service_task_done() with the failure. */
void task_submit_write(struct task *t);
void task_set_failure(struct task *t, const struct err *e);

/* ---- streams (stream.c) */
struct stream {
        struct service *service;
        struct rpc_call *call;
        struct stream *prev, *next;
        struct request *requests; /* by id */
        struct held_pin *pins;    /* by name */
        struct queued_reply *out_head, *out_tail;
        size_t n_queued_bytes; /* the one being written included */
        bool is_writing;
        bool is_corked; /* in the service's list */
        struct stream *next_corked;
        bool is_read_paused;
        bool is_half_closed; /* the gate sends no more */
        bool is_over;        /* we take no more */
        bool was_busy;       /* since the last tick of a drain */
};

/* Takes the bytes of b. What is ready at the same time goes out in one message. */
void stream_send(struct stream *st, struct buf *b);
/* Sends what was held back while the service was corked. */
void stream_uncork(struct stream *st);
bool stream_is_full(const struct stream *st);
/* A request has left it. */
void stream_check_end(struct stream *st);
void stream_on_start(struct rpc_call *call, void *arg);
/* While the service drains, now and then: ends a stream that has been silent since the last time,
 * so that what a gate sent before it knew is still answered. May free it. */
void stream_drain_tick(struct stream *st);

/* ---- service.c */
struct service {
        struct service_options o;
        struct rpc_server *server;
        struct frame_scratch scratch;
        struct err err; /* scratch */
        struct stream *streams;
        struct loop_timer sweep;
        uint64_t n_requests; /* whose stream is broken included */
        uint64_t n_pins;
        bool is_draining;
        bool is_server_drained;
        void (*on_drained)(void *arg);
        void *on_drained_arg;

        /* While several requests or outcomes are dealt with in one go, replies are held back, so
         * that they share messages. */
        unsigned n_corks;
        struct stream *corked;

        struct request *dirty; /* to be settled */
        bool is_collecting;
        struct loop_task collect;
        pthread_mutex_t mu; /* guards the following */
        struct task *done_head, *done_tail;
        bool is_posted;
};

/* Any thread: t's step has ended; request_on_task() follows on the loop thread. */
void service_task_done(struct service *s, struct task *t);
/* Likewise a list of them, linked by next_done. */
void service_tasks_done(struct service *s, struct task *head, struct task *tail);
void service_mark_dirty(struct service *s, struct request *rq);
void service_cork(struct service *s);
void service_uncork(struct service *s);
/* A request is gone. */
void service_check_drained(struct service *s);
