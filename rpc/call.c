/* call.c - one call on the server: what the handler may ask and do, and the batches behind it. Loop
 * thread.
 *
 * libgrpc reports four things, each by a tag: closed (the call is over, perhaps because it was
 * cancelled), read, written and finished (our status has been taken). Asking for closed by itself
 * costs a tenth of a whole call; so the server does that only for calls that have lasted some
 * milliseconds, and for all others it goes with the answer in one batch. */
#include <assert.h>
#include <string.h>

#include <grpc/support/alloc.h>

#include "common/util.h"
#include "rpc/bytes_int.h"
#include "rpc/server_int.h"
#include "rpc/status.h"

static void drop_request(struct rpc_call *c)
{
        if (c->request_is_copied)
                grpc_slice_unref(c->request_slice);
        if (c->request)
                grpc_byte_buffer_destroy(c->request);
        c->request = NULL;
        c->request_is_copied = c->has_request = false;
}

void call_clear(struct rpc_call *c)
{
        drop_request(c);
        while (c->strings) {
                struct call_string *next = c->strings->next;

                free(c->strings);
                c->strings = next;
        }
        free(TAKE(c->pending_end));
        if (c->call)
                grpc_call_unref(c->call);
        c->call = NULL;
        c->metadata.count = 0;
        c->n_refs = 0;
        c->is_cancelled_out = 0;
        c->close_requested = c->is_cancelled = c->is_finished = c->sent_initial = false;
        c->is_reading = c->is_writing = c->is_cancel_posted = false;
        c->data = NULL;
        c->on_cancel = NULL;
}

void call_done(struct rpc_call *c)
{
        grpc_metadata_array_destroy(&c->metadata);
}

void call_ref(struct rpc_call *c)
{
        c->n_refs++;
}

void call_unref(struct rpc_call *c)
{
        if (!--c->n_refs)
                server_call_gone(c);
}

static void start_batch(struct rpc_call *c, const grpc_op *ops, size_t n_ops, struct loop_tag *tag)
{
        c->n_refs++;
        loop_batch(c->server->loop, c->call, ops, n_ops, tag);
}

/* ---- the end */

static grpc_op close_op(struct rpc_call *c)
{
        c->close_requested = true;
        return (grpc_op){
                .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                .data.recv_close_on_server.cancelled = &c->is_cancelled_out,
        };
}

static size_t add_initial(struct rpc_call *c, grpc_op *ops, size_t n_ops)
{
        if (c->sent_initial)
                return n_ops;
        c->sent_initial = true;
        ops[n_ops] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
        return n_ops + 1;
}

static void on_closed(struct loop_tag *tag, bool ok)
{
        struct rpc_call *c = CONTAINER_OF(tag, struct rpc_call, closed);
        void (*fn)(struct rpc_call *) = c->on_cancel;

        (void)ok;
        c->is_cancelled = c->is_cancelled_out;
        c->on_cancel = NULL;
        if (c->is_cancelled && !c->is_finished && fn)
                fn(c);
        call_unref(c);
}

void call_request_close(struct rpc_call *c)
{
        grpc_op op;

        if (c->close_requested)
                return;
        op = close_op(c);
        start_batch(c, &op, 1, &c->closed);
}

static void on_finished(struct loop_tag *tag, bool ok)
{
        (void)ok;
        call_unref(CONTAINER_OF(tag, struct rpc_call, finished));
}

/* Sends the status with all that goes with it. details: the encoded google.rpc.Status, NULL if the
 * call went well. */
static void send_end(struct rpc_call *c, grpc_byte_buffer *body, const struct err *e)
{
        grpc_slice message = grpc_empty_slice();
        grpc_metadata trailing;
        struct buf details = BUF_INIT(0);
        grpc_op ops[4];
        size_t n = add_initial(c, ops, 0);
        grpc_op *end;

        if (body) {
                ops[n++] =
                    (grpc_op){ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body };
        }
        end = &ops[n++];
        *end = (grpc_op){ .op = GRPC_OP_SEND_STATUS_FROM_SERVER };
        if (e) {
                message = status_message(e);
                status_encode(&details, e);
                trailing = (grpc_metadata){
                        .key = grpc_slice_from_static_string(STATUS_DETAILS_KEY),
                        .value = grpc_slice_from_copied_buffer((const char *)details.data,
                                                               details.n_bytes),
                };
                end->data.send_status_from_server.status = (grpc_status_code)e->code;
                end->data.send_status_from_server.status_details = &message;
                end->data.send_status_from_server.trailing_metadata = &trailing;
                end->data.send_status_from_server.trailing_metadata_count = 1;
        }
        if (!c->close_requested)
                ops[n++] = close_op(c);
        start_batch(c, ops, n, &c->finished);
        if (e) {
                grpc_slice_unref(message);
                grpc_slice_unref(trailing.value);
                buf_done(&details);
        }
}

/* Takes body. */
static void finish(struct rpc_call *c, grpc_byte_buffer *body, const struct err *e)
{
        assert(!c->is_finished && !(c->is_writing && !e));
        c->is_finished = true;
        if (c->is_cancelled) {
                /* Nobody is there to be told. */
        } else if (c->is_writing) {
                c->pending_end = xmalloc(sizeof(*e));
                *c->pending_end = *e;
        } else {
                send_end(c, body, e);
        }
        if (body)
                grpc_byte_buffer_destroy(body);
        call_unref(c);
}

void rpc_call_reply(struct rpc_call *c, grpc_byte_buffer *body)
{
        finish(c, body, NULL);
}

void rpc_call_reply_message(struct rpc_call *c, const ProtobufCMessage *m)
{
        finish(c, rpc_pack(m), NULL);
}

void rpc_call_end(struct rpc_call *c)
{
        finish(c, NULL, NULL);
}

void rpc_call_fail(struct rpc_call *c, const struct err *e)
{
        assert(e->code != ERR_OK);
        finish(c, NULL, e);
}

/* ---- messages */

static void on_written(struct loop_tag *tag, bool ok)
{
        struct rpc_call *c = CONTAINER_OF(tag, struct rpc_call, written);

        c->is_writing = false;
        if (!c->is_finished)
                c->on_written(c, ok);
        else if (c->pending_end && !c->is_cancelled)
                send_end(c, NULL, c->pending_end);
        call_unref(c);
}

void rpc_call_write(struct rpc_call *c, grpc_byte_buffer *body,
                    void (*on_written_fn)(struct rpc_call *c, bool ok))
{
        grpc_op ops[2];
        size_t n = add_initial(c, ops, 0);

        assert(!c->is_finished && !c->is_writing);
        c->is_writing = true;
        c->on_written = on_written_fn;
        ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body };
        start_batch(c, ops, n, &c->written);
        grpc_byte_buffer_destroy(body);
}

static void set_request(struct rpc_call *c)
{
        c->has_request = true;
        c->request_is_copied = bytes_contiguous(c->request, &c->request_slice);
}

static void on_read(struct loop_tag *tag, bool ok)
{
        struct rpc_call *c = CONTAINER_OF(tag, struct rpc_call, read);

        c->is_reading = false;
        if (!c->is_finished) {
                ok = ok && c->request;
                if (ok)
                        set_request(c);
                c->on_read(c, ok);
        }
        call_unref(c);
}

void rpc_call_read(struct rpc_call *c, void (*on_read_fn)(struct rpc_call *c, bool ok))
{
        grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->request };

        assert(c->method->m.stream_in && !c->is_finished && !c->is_reading);
        drop_request(c);
        c->is_reading = true;
        c->on_read = on_read_fn;
        start_batch(c, &op, 1, &c->read);
}

const uint8_t *rpc_call_request(const struct rpc_call *c, size_t *ret_n_bytes)
{
        if (!c->has_request) {
                *ret_n_bytes = 0;
                return (const uint8_t *)"";
        }
        *ret_n_bytes = GRPC_SLICE_LENGTH(c->request_slice);
        return GRPC_SLICE_START_PTR(c->request_slice);
}

/* ---- what is known of a call */

int64_t rpc_call_deadline_us(const struct rpc_call *c)
{
        gpr_timespec t = c->deadline;

        if (t.tv_sec == INT64_MAX)
                return INT64_MAX;
        if (t.clock_type != GPR_CLOCK_MONOTONIC)
                t = gpr_convert_clock_type(t, GPR_CLOCK_MONOTONIC);
        return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const char *find_string(const struct rpc_call *c, const void *source)
{
        const struct call_string *s;

        for (s = c->strings; s; s = s->next)
                if (s->source == source)
                        return s->text;
        return NULL;
}

static const char *keep_string(struct rpc_call *c, const void *source, const void *p,
                               size_t n_bytes)
{
        struct call_string *s = xmalloc(sizeof(*s) + n_bytes + 1);

        s->next = c->strings;
        s->source = source;
        memcpy(s->text, p, n_bytes);
        s->text[n_bytes] = '\0';
        c->strings = s;
        return s->text;
}

const char *rpc_call_metadata(struct rpc_call *c, const char *key)
{
        for (size_t i = 0; i < c->metadata.count; i++) {
                const grpc_metadata *m = &c->metadata.metadata[i];
                const char *text;

                if (grpc_slice_str_cmp(m->key, key) != 0)
                        continue;
                text = find_string(c, m);
                if (!text)
                        text = keep_string(c, m, GRPC_SLICE_START_PTR(m->value),
                                           GRPC_SLICE_LENGTH(m->value));
                return text;
        }
        return NULL;
}

const char *rpc_call_peer(struct rpc_call *c)
{
        const char *text = find_string(c, c);
        char *peer;

        if (text)
                return text;
        peer = grpc_call_get_peer(c->call);
        text = keep_string(c, c, peer, strlen(peer));
        gpr_free(peer);
        return text;
}

void rpc_call_set_data(struct rpc_call *c, void *data)
{
        c->data = data;
}

void *rpc_call_data(const struct rpc_call *c)
{
        return c->data;
}

static void run_late_cancel(struct loop_task *task)
{
        struct rpc_call *c = CONTAINER_OF(task, struct rpc_call, cancel_task);
        void (*fn)(struct rpc_call *) = c->on_cancel;

        c->is_cancel_posted = false;
        c->on_cancel = NULL;
        if (!c->is_finished && fn)
                fn(c);
        call_unref(c);
}

void rpc_call_on_cancel(struct rpc_call *c, void (*fn)(struct rpc_call *c))
{
        c->on_cancel = fn;
        if (!c->is_cancelled || !fn || c->is_cancel_posted)
                return;
        /* It happened before anyone wanted to know: tell, but not from inside this function. */
        c->is_cancel_posted = true;
        c->n_refs++;
        loop_post(c->server->loop, &c->cancel_task);
}

bool rpc_call_is_cancelled(const struct rpc_call *c)
{
        return c->is_cancelled;
}

/* ---- the beginning */

void call_init(struct rpc_call *c, struct rpc_server *s)
{
        c->server = s;
        grpc_metadata_array_init(&c->metadata);
        c->closed.fn = on_closed;
        c->read.fn = on_read;
        c->written.fn = on_written;
        c->finished.fn = on_finished;
        c->cancel_task.fn = run_late_cancel;
}

void call_start(struct rpc_call *c, void (*on_start)(struct rpc_call *c, void *arg))
{
        c->n_refs = 2; /* one until it is finished, one for us here */
        if (c->request)
                set_request(c);
        on_start(c, c->method->m.arg);
        if (!c->is_finished)
                server_call_lasts(c);
        call_unref(c);
}
