/* stream.c - streams of a client. Loop thread.
 *
 * Three kinds of batches: one that brings the status and so ends last, one read at a time unless
 * paused, one write at a time from a queue. on_end runs when all of them are over. */
#include <assert.h>
#include <string.h>

#include "common/util.h"
#include "rpc/bytes_int.h"
#include "rpc/client_int.h"

/* Owner: the loop thread. Counted: one for the caller, one for each batch under way. */
struct rpc_stream {
        struct client_call base;
        const struct rpc_stream_events *events; /* NULL once the caller is done with it */
        void *arg;
        unsigned n_refs;

        struct loop_tag ended;
        struct loop_tag read;
        struct loop_tag written;

        grpc_byte_buffer *message;
        bool has_status;
        bool is_reading;
        bool is_paused;
        bool saw_last_message;

        /* Messages to write: a ring that grows, those from first on, n_queued of them. */
        grpc_byte_buffer **queue;
        size_t n_allocated; /* a power of two */
        size_t first;
        size_t n_queued;
        size_t n_queued_bytes; /* that under way included */
        size_t n_writing_bytes;
        bool is_writing;
        bool is_writing_message; /* and not just the close */
        bool close_wanted;
        bool is_close_sent;
};

static void stream_unref(struct rpc_stream *s)
{
        if (--s->n_refs)
                return;
        assert(!s->n_queued && !s->message);
        client_call_close(&s->base);
        grpc_metadata_array_destroy(&s->base.initial);
        grpc_metadata_array_destroy(&s->base.trailing);
        free(s->queue);
        free(s);
}

static void start_batch(struct rpc_stream *s, const grpc_op *ops, size_t n_ops,
                        struct loop_tag *tag)
{
        s->n_refs++;
        loop_batch(s->base.channel->loop, s->base.call, ops, n_ops, tag);
}

/* ---- the end */

static void drop_queue(struct rpc_stream *s)
{
        while (s->n_queued) {
                grpc_byte_buffer_destroy(s->queue[s->first]);
                s->first = (s->first + 1) & (s->n_allocated - 1);
                s->n_queued--;
        }
        s->n_queued_bytes = s->n_writing_bytes;
}

static void check_ended(struct rpc_stream *s)
{
        const struct rpc_stream_events *events = s->events;
        struct err e;

        if (!s->has_status || s->is_reading || s->is_writing)
                return;
        drop_queue(s);
        if (!events)
                return;
        s->events = NULL;
        client_call_result(&s->base, &e);
        events->on_end(s->arg, &e);
}

static void on_ended(struct loop_tag *tag, bool ok)
{
        struct rpc_stream *s = CONTAINER_OF(tag, struct rpc_stream, ended);

        (void)ok;
        s->has_status = true;
        check_ended(s);
        stream_unref(s);
}

/* ---- reading */

static void start_read(struct rpc_stream *s)
{
        grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &s->message };

        if (s->is_reading || s->saw_last_message || s->has_status || (s->is_paused && s->events))
                return;
        s->is_reading = true;
        start_batch(s, &op, 1, &s->read);
}

static void deliver(struct rpc_stream *s)
{
        grpc_slice slice;
        bool is_copy = bytes_contiguous(s->message, &slice);

        s->events->on_message(s->arg, &slice);
        if (is_copy)
                grpc_slice_unref(slice);
}

static void on_read(struct loop_tag *tag, bool ok)
{
        struct rpc_stream *s = CONTAINER_OF(tag, struct rpc_stream, read);

        if (!ok || !s->message)
                s->saw_last_message = true;
        else if (s->events)
                deliver(s);
        if (s->message)
                grpc_byte_buffer_destroy(TAKE(s->message));
        s->is_reading = false;
        start_read(s);
        check_ended(s);
        stream_unref(s);
}

void rpc_stream_pause(struct rpc_stream *s, bool paused)
{
        s->is_paused = paused;
        start_read(s);
}

/* ---- writing */

static void start_write(struct rpc_stream *s)
{
        grpc_byte_buffer *body = NULL;
        grpc_op ops[2];
        size_t n = 0;

        if (s->is_writing || s->has_status)
                return;
        if (s->n_queued) {
                body = s->queue[s->first];
                s->first = (s->first + 1) & (s->n_allocated - 1);
                s->n_queued--;
                s->n_writing_bytes = grpc_byte_buffer_length(body);
                ops[n++] =
                    (grpc_op){ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body };
        }
        if (!s->n_queued && s->close_wanted && !s->is_close_sent) {
                s->is_close_sent = true;
                ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
        }
        if (!n)
                return;
        s->is_writing = true;
        s->is_writing_message = body;
        start_batch(s, ops, n, &s->written);
        if (body)
                grpc_byte_buffer_destroy(body);
}

static void on_written(struct loop_tag *tag, bool ok)
{
        struct rpc_stream *s = CONTAINER_OF(tag, struct rpc_stream, written);
        bool wrote_message = s->is_writing_message;

        s->is_writing = s->is_writing_message = false;
        s->n_queued_bytes -= s->n_writing_bytes;
        s->n_writing_bytes = 0;
        if (ok)
                start_write(s);
        else
                drop_queue(s); /* the stream is broken; its status is on the way */
        if (ok && wrote_message && !s->is_writing && s->events && s->events->on_drained)
                s->events->on_drained(s->arg);
        check_ended(s);
        stream_unref(s);
}

static void grow_queue(struct rpc_stream *s)
{
        size_t n = s->n_allocated ? 2 * s->n_allocated : 16;
        grpc_byte_buffer **queue = xmalloc(n * sizeof(*queue));

        for (size_t i = 0; i < s->n_queued; i++)
                queue[i] = s->queue[(s->first + i) & (s->n_allocated - 1)];
        free(s->queue);
        s->queue = queue;
        s->n_allocated = n;
        s->first = 0;
}

void rpc_stream_write(struct rpc_stream *s, grpc_byte_buffer *body)
{
        if (s->has_status || s->saw_last_message || s->close_wanted) {
                grpc_byte_buffer_destroy(body);
                return;
        }
        if (s->n_queued == s->n_allocated)
                grow_queue(s);
        s->queue[(s->first + s->n_queued) & (s->n_allocated - 1)] = body;
        s->n_queued++;
        s->n_queued_bytes += grpc_byte_buffer_length(body);
        start_write(s);
}

size_t rpc_stream_queued_bytes(const struct rpc_stream *s)
{
        return s->n_queued_bytes;
}

void rpc_stream_close_send(struct rpc_stream *s)
{
        s->close_wanted = true;
        start_write(s);
}

/* ---- from beginning to end */

struct rpc_stream *rpc_stream_open(struct rpc_channel *ch, const char *path,
                                   const struct rpc_stream_events *ev, void *arg)
{
        struct rpc_stream *s = xcalloc(1, sizeof(*s));
        grpc_op ops[3] = {
                { .op = GRPC_OP_SEND_INITIAL_METADATA },
                { .op = GRPC_OP_RECV_INITIAL_METADATA,
                  .data.recv_initial_metadata.recv_initial_metadata = &s->base.initial },
                client_call_status_op(&s->base),
        };

        s->events = ev;
        s->arg = arg;
        s->n_refs = 1;
        s->ended.fn = on_ended;
        s->read.fn = on_read;
        s->written.fn = on_written;
        grpc_metadata_array_init(&s->base.initial);
        grpc_metadata_array_init(&s->base.trailing);
        client_call_open(&s->base, ch, path, INT64_MAX);
        start_batch(s, ops, ARRAY_LEN(ops), &s->ended);
        start_read(s);
        return s;
}

void rpc_stream_cancel(struct rpc_stream *s)
{
        grpc_call_cancel(s->base.call, NULL);
}

struct rpc_stream *rpc_stream_free(struct rpc_stream *s)
{
        if (!s)
                return NULL;
        s->events = NULL;
        if (!s->has_status)
                grpc_call_cancel(s->base.call, NULL);
        drop_queue(s);
        /* Unread messages hold the status back. */
        start_read(s);
        stream_unref(s);
        return NULL;
}
