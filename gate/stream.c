/* stream.c - ExecuteStream: rows go on as fast as the client reads, and no faster come from the
 * shards. Loop thread.
 *
 * One message is being written at a time; rows that arrive meanwhile queue. A shard, or the finish,
 * gets its credit back when its rows have been written, or at once while little is queued: so the
 * next rows are made while these are on their way. */
#include <string.h>

#include "common/wire.h"
#include "gate/service_int.h"
#include "gate/session.h"
#include "gate/stats.h"

enum { READ_AHEAD_BYTES = 128 << 10 };

/* Rows to be written. */
struct chunk {
        struct chunk *next;
        grpc_slice rows;
        size_t tag;
        bool consumed; /* the credit has been given back already */
};

/* Owner: the loop thread. */
struct stream_call {
        struct execution x;
        struct rpc_call *call;
        struct chunk *first, **last;
        struct chunk *writing; /* NULL: none, or the message has no rows */
        size_t n_queued_bytes;
        bool is_writing, sent_columns, sent_last, ended;
        struct err error;
};

static void write_next(struct stream_call *s);

static void free_chunk(struct chunk *c)
{
        if (!c)
                return;
        grpc_slice_unref(c->rows);
        free(c);
}

static void drop_chunks(struct stream_call *s)
{
        while (s->first) {
                struct chunk *c = s->first;

                s->first = c->next;
                free_chunk(c);
        }
        s->last = &s->first;
        s->n_queued_bytes = 0;
}

static void free_stream(struct stream_call *s)
{
        struct session *session = s->x.session;

        drop_chunks(s);
        free_chunk(s->writing);
        execution_done(&s->x);
        arena_free(s->x.arena);
        free(s);
        session_leave(session);
}

static void on_stream_written(struct rpc_call *call, bool ok)
{
        struct stream_call *s = rpc_call_data(call);
        struct chunk *c = TAKE(s->writing);

        s->is_writing = false;
        if (c && ok && !c->consumed)
                execution_consumed(&s->x, c->tag, GRPC_SLICE_LENGTH(c->rows));
        free_chunk(c);
        if (ok)
                write_next(s);
        /* Else the call is broken: on_cancel follows, or has been. */
}

static void write_message(struct stream_call *s, struct message *m)
{
        s->is_writing = true;
        rpc_call_write(s->call, message_take(m), on_stream_written);
}

static void write_columns(struct stream_call *s)
{
        struct message m = { 0 };
        struct result r = { .columns = s->x.plan->columns,
                            .n_columns_bytes = s->x.plan->n_columns_bytes };

        s->sent_columns = true;
        message_add_result(&m, 1, &r);
        write_message(s, &m);
}

static void write_chunk(struct stream_call *s)
{
        struct message m = { 0 };
        struct result r = { 0 };
        struct chunk *c = s->first;

        s->first = c->next;
        if (!s->first)
                s->last = &s->first;
        s->n_queued_bytes -= GRPC_SLICE_LENGTH(c->rows);
        result_add(&r, grpc_slice_ref(c->rows));
        message_add_result(&m, 1, &r);
        s->writing = c;
        write_message(s, &m);
}

/* What is told last: where it ran, and how. */
static void write_last(struct stream_call *s)
{
        struct message m = { 0 };

        s->sent_last = true;
        service_add_session(&m.head, s->x.session);
        if (s->x.stats.n_bytes)
                wire_add_bytes(&m.head, 4, s->x.stats.data, s->x.stats.n_bytes);
        write_message(s, &m);
}

/* Writes what is due, or ends the call. s may be gone afterwards. */
static void write_next(struct stream_call *s)
{
        if (s->is_writing)
                return;
        if (s->ended && s->error.code) {
                rpc_call_fail(s->call, &s->error);
                free_stream(s);
        } else if (!s->sent_columns && (s->first || s->ended)) {
                write_columns(s);
        } else if (s->first) {
                write_chunk(s);
        } else if (s->ended && (s->x.stats.n_bytes || s->x.session) && !s->sent_last) {
                write_last(s);
        } else if (s->ended) {
                rpc_call_end(s->call);
                free_stream(s);
        }
}

static void on_stream_rows(struct execution *x, grpc_slice rows, size_t tag)
{
        struct stream_call *s = CONTAINER_OF(x, struct stream_call, x);
        struct chunk *c = xcalloc(1, sizeof(*c));

        c->rows = rows;
        c->tag = tag;
        c->consumed = s->n_queued_bytes < READ_AHEAD_BYTES;
        *s->last = c;
        s->last = &c->next;
        s->n_queued_bytes += GRPC_SLICE_LENGTH(rows);
        write_next(s);
        if (c->consumed)
                execution_consumed(x, tag, GRPC_SLICE_LENGTH(rows));
}

static bool on_stream_restart(struct execution *x)
{
        struct stream_call *s = CONTAINER_OF(x, struct stream_call, x);

        if (s->sent_columns)
                return false;
        drop_chunks(s);
        return true;
}

static void on_stream_execution_end(struct execution *x, const struct err *e)
{
        struct stream_call *s = CONTAINER_OF(x, struct stream_call, x);

        s->ended = true;
        s->error = *e;
        if (e->code)
                drop_chunks(s);
        write_next(s);
}

static void on_stream_cancel(struct rpc_call *call)
{
        struct stream_call *s = rpc_call_data(call);

        execution_cancel(&s->x, service_cancel_code(call));
        service_fail_cancelled(call);
        free_stream(s);
}

void service_execute_stream(struct rpc_call *call, void *arg)
{
        static const struct execution_events events = {
                .on_rows = on_stream_rows,
                .on_restart = on_stream_restart,
                .on_end = on_stream_execution_end,
        };
        struct gate *g = arg;
        struct stream_call *s = xcalloc(1, sizeof(*s));
        struct request_limits limits = service_limits(g);
        struct err e;
        size_t n_bytes;
        const uint8_t *message = rpc_call_request(call, &n_bytes);

        s->last = &s->first;
        s->x.arena = arena_new(SERVICE_ARENA_BYTES);
        if (request_decode_execute(message, n_bytes, &limits, s->x.arena, &s->x.request, &e)) {
                stats_note_statement(g->metrics, -1, &e, 0, 0, 0);
                rpc_call_fail(call, &e);
                free_stream(s);
                return;
        }
        if (!service_enter(call, g, "/shoal.v1.Gate/ExecuteStream", s->x.request.session,
                           s->x.request.n_session_bytes, false, &s->x.session)) {
                free_stream(s);
                return;
        }
        s->call = call;
        s->x.gate = g;
        s->x.events = &events;
        s->x.request.streaming = true;
        s->x.request.deadline_us = rpc_call_deadline_us(call);
        rpc_call_set_data(call, s);
        rpc_call_on_cancel(call, on_stream_cancel);
        execution_start(&s->x);
}
