/* remote.c - a channel and the waiting. A signal handler can do no more than set a flag, so a timer
 * looks at it. */
#include "cli/remote.h"

#include <signal.h>
#include <string.h>

#include "rpc/server.h"

enum { POLL_US = 50000 };

static volatile sig_atomic_t is_interrupted;

/* Owner: the main thread. */
struct remote {
        struct loop *loop;
        struct rpc_channel *channel;
        uint64_t timeout_ms;
};

static void on_interrupt(int signal_number)
{
        is_interrupted = 1;
}

void remote_catch_interrupts(void)
{
        struct sigaction action = { .sa_handler = on_interrupt };

        sigaction(SIGINT, &action, NULL);
}

bool remote_is_interrupted(void)
{
        return is_interrupted;
}

bool remote_take_interrupt(void)
{
        bool was = is_interrupted;

        is_interrupted = 0;
        return was;
}

struct remote *remote_new(struct loop *l, const char *address, uint64_t timeout_ms)
{
        struct rpc_channel_options o = { .address = address,
                                         .max_reply_bytes = REMOTE_MAX_REPLY_BYTES };
        struct remote *r = xcalloc(1, sizeof *r);

        r->loop = l;
        r->channel = rpc_channel_new(l, &o);
        r->timeout_ms = timeout_ms;
        return r;
}

struct remote *remote_free(struct remote *r)
{
        if (!r)
                return NULL;
        rpc_channel_free(r->channel);
        free(r);
        return NULL;
}

struct rpc_channel *remote_channel(struct remote *r)
{
        return r->channel;
}

struct loop *remote_loop(struct remote *r)
{
        return r->loop;
}

int64_t remote_deadline_us(const struct remote *r)
{
        return r->timeout_ms ? mono_us() + (int64_t)r->timeout_ms * 1000 : INT64_MAX;
}

/* ---- one call, of either kind */

struct wait {
        struct remote *remote;
        struct loop_timer timer;
        struct rpc_request *request; /* of a unary call, or … */
        struct rpc_stream *stream;   /* … of a streaming one */
        int64_t deadline_us;         /* of the stream */
        bool done;
        struct err err;
        /* unary */
        const ProtobufCMessageDescriptor *reply_type;
        ProtobufCMessage *reply;
        /* stream */
        remote_message_fn *fn;
        void *arg;
};

/* Ends a stream for a reason of our own, which the error that follows the cancelling must not
 * replace. */
static void give_up(struct wait *w, enum err_code code, const char *reason, const char *why)
{
        if (w->err.code == ERR_OK)
                err_set(&w->err, code, reason, "%s", why);
        if (w->stream)
                rpc_stream_cancel(w->stream);
        else if (w->request)
                rpc_request_cancel(w->request);
}

static void on_poll(struct loop_timer *timer)
{
        struct wait *w = CONTAINER_OF(timer, struct wait, timer);

        if (w->done)
                return;
        if (remote_is_interrupted())
                give_up(w, ERR_CANCELLED, "", "interrupted");
        else if (w->stream && mono_us() > w->deadline_us)
                give_up(w, ERR_DEADLINE, "", "the answer took longer than --timeout allows");
        loop_timer_set(w->remote->loop, timer, mono_us() + POLL_US);
}

static void wait_done(struct wait *w)
{
        w->timer.fn = on_poll;
        loop_timer_set(w->remote->loop, &w->timer, mono_us() + POLL_US);
        loop_run_until(w->remote->loop, &w->done);
        loop_timer_cancel(w->remote->loop, &w->timer);
}

static void on_unary_done(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct wait *w = arg;

        w->done = true;
        w->request = NULL;
        if (w->err.code == ERR_OK)
                w->err = *e;
        if (w->err.code)
                return;
        w->reply = protobuf_c_message_unpack(w->reply_type, NULL, n_bytes, body);
        if (!w->reply)
                err_set(&w->err, ERR_INTERNAL, "BAD_REPLY",
                        "the server's reply cannot be understood");
}

enum err_code remote_call(struct remote *r, const char *path, const ProtobufCMessage *request,
                          const ProtobufCMessageDescriptor *reply_type,
                          ProtobufCMessage **ret_reply, struct err *reterr)
{
        struct wait w = { .remote = r, .reply_type = reply_type, .err = ERR_INIT };

        w.request = rpc_unary(r->channel, path, rpc_pack(request), remote_deadline_us(r),
                              on_unary_done, &w);
        wait_done(&w);
        if (w.err.code) {
                *reterr = w.err;
                return w.err.code;
        }
        *ret_reply = w.reply;
        return ERR_OK;
}

static void on_stream_message(void *arg, const grpc_slice *slice)
{
        struct wait *w = arg;

        if (w->err.code)
                return;
        if (w->fn(w->arg, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice), &w->err))
                rpc_stream_cancel(w->stream);
}

static void on_stream_end(void *arg, const struct err *e)
{
        struct wait *w = arg;

        w->done = true;
        if (w->err.code == ERR_OK)
                w->err = *e;
}

enum err_code remote_stream(struct remote *r, const char *path, const ProtobufCMessage *request,
                            remote_message_fn *fn, void *arg, struct err *reterr)
{
        static const struct rpc_stream_events events = { .on_message = on_stream_message,
                                                         .on_end = on_stream_end };
        struct wait w = { .remote = r,
                          .fn = fn,
                          .arg = arg,
                          .deadline_us = remote_deadline_us(r),
                          .err = ERR_INIT };

        w.stream = rpc_stream_open(r->channel, path, &events, &w);
        rpc_stream_write(w.stream, rpc_pack(request));
        rpc_stream_close_send(w.stream);
        wait_done(&w);
        rpc_stream_free(w.stream);
        if (w.err.code)
                *reterr = w.err;
        return w.err.code;
}
