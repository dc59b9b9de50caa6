/* client.h - gRPC client calls on a loop: channels, unary calls, persistent bidirectional streams.
 * All on the loop thread. */
#pragma once

#include <grpc/byte_buffer.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "rpc/loop.h"

struct rpc_channel;
struct rpc_stream;

/* Connects when first used and again by itself (back-off 50 ms to 1 s). Keepalive pings notice a
 * peer that is gone within keepalive_ms + keepalive_timeout_ms; 0: none. Proxy variables of the
 * environment are not honoured. Never NULL. */
struct rpc_channel_options {
        const char *address; /* "127.0.0.1:43211" or "unix:/path" */
        uint64_t keepalive_ms;
        uint64_t keepalive_timeout_ms;
        uint64_t max_reply_bytes;
};
struct rpc_channel *rpc_channel_new(struct loop *l, const struct rpc_channel_options *o);
/* Calls that are under way end with CANCELLED; the object goes when the last has ended. Accepts
 * NULL, returns NULL. */
struct rpc_channel *rpc_channel_free(struct rpc_channel *ch);

/* Runs once. e->code tells; body (borrowed for the call, contiguous) is set when it is ERR_OK. */
typedef void rpc_done_fn(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes);
struct rpc_request;
/* Takes body. deadline_us: mono_us(); INT64_MAX: none. The result is for rpc_request_cancel() and
 * valid until done has run. */
struct rpc_request *rpc_unary(struct rpc_channel *ch, const char *path, grpc_byte_buffer *body,
                              int64_t deadline_us, rpc_done_fn *done, void *arg);
void rpc_request_cancel(struct rpc_request *r); /* done still runs */

/* ---- streams (bidirectional, or server-streaming: write the request, then rpc_stream_close_send)
 */
struct rpc_stream_events {
        /* A message, borrowed for the call. slice holds exactly it, for those who want to keep a
         * reference. */
        void (*on_message)(void *arg, const grpc_slice *slice);
        /* Once, last: the stream has ended; e->code is ERR_OK when the server ended it cleanly, and
         * only then all its messages are certain to have come: a failure overtakes those not yet
         * asked for (libgrpc drops them). */
        void (*on_end)(void *arg, const struct err *e);
        /* May be NULL. All queued writes have been taken by flow control. */
        void (*on_drained)(void *arg);
};
struct rpc_stream *rpc_stream_open(struct rpc_channel *ch, const char *path,
                                   const struct rpc_stream_events *ev, void *arg);
/* Queues a message; takes body. Those queued while one is under way go out one after the other.
 * Ignored after the end. */
void rpc_stream_write(struct rpc_stream *s, grpc_byte_buffer *body);
size_t rpc_stream_queued_bytes(const struct rpc_stream *s);
void rpc_stream_close_send(struct rpc_stream *s);
/* Backpressure: while paused no further message is asked for. */
void rpc_stream_pause(struct rpc_stream *s, bool paused);
void rpc_stream_cancel(struct rpc_stream *s); /* on_end follows */
/* The caller is done with it: no event runs any more. After on_end, or at any time (then it is
 * cancelled). */
struct rpc_stream *rpc_stream_free(struct rpc_stream *s);
