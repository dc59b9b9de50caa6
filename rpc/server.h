/* server.h - a gRPC server on a loop: methods by table, unary, server-streaming and bidirectional
 * calls. All functions on the loop thread unless said otherwise. Health, reflection and
 * UNIMPLEMENTED for unknown methods are built in. */
#pragma once

#include <grpc/byte_buffer.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "rpc/loop.h"

struct rpc_server;
struct rpc_call;

/* A method. The request of a unary or server-streaming call is complete when on_start runs; a
 * stream_in call gets its messages through rpc_call_read(). */
struct rpc_method {
        const char *path; /* "/shoal.v1.Gate/Execute" */
        bool stream_in;
        void (*on_start)(struct rpc_call *call, void *arg);
        void *arg;
        /* May be NULL. Runs for each call that is under way when the server begins to drain: a
         * stream that would stay open for ever ends itself, now or when its work is done. */
        void (*on_drain)(struct rpc_call *call, void *arg);
};

struct rpc_server_options {
        const char *address; /* "127.0.0.1:0" picks a free port */
        const struct rpc_method *methods;
        size_t n_methods;
        const char *const *
            services; /* names for the health service, NULL at the end: "shoal.v1.Gate"; borrowed */
        /* Of what follows, 0 stands for the default in parentheses. */
        uint64_t max_request_bytes;  /* RESOURCE_EXHAUSTED beyond; after decompression (4 MiB) */
        unsigned max_request_depth;  /* of nested messages; INVALID_ARGUMENT beyond (16) */
        uint64_t max_request_fields; /* in all, nested ones included: protobuf-c allocates per field
                                        (100,000) */
        uint64_t max_calls;          /* under way at a time; RESOURCE_EXHAUSTED beyond (10,000) */
        uint64_t keepalive_ms;       /* a client silent for so long is pinged (20 s) … */
        uint64_t
            keepalive_timeout_ms; /* … and its connection given up if it does not answer (10 s) */
        const uint8_t *descriptors; /* an encoded FileDescriptorSet, for reflection; borrowed; NULL:
                                       no reflection */
        size_t n_descriptor_bytes;
};

/* ERR_UNAVAILABLE: the address is taken or not ours. */
enum err_code rpc_server_start(struct loop *l, const struct rpc_server_options *o,
                               struct rpc_server **ret_server, struct err *reterr) must_check_;
int rpc_server_port(const struct rpc_server *s);
/* What grpc.health.v1 answers, for "" and all services: serving from the start unless told, never
 * while draining. */
void rpc_server_set_serving(struct rpc_server *s, bool serving);
/* Refuses new calls with UNAVAILABLE, lets those under way end for grace_ms, cancels the rest, then
 * runs done(arg). */
void rpc_server_drain(struct rpc_server *s, uint64_t grace_ms, void (*done)(void *arg), void *arg);
/* After done. Accepts NULL, returns NULL. */
struct rpc_server *rpc_server_free(struct rpc_server *s);

/* ---- a call. It lives from on_start until it has been finished (reply, fail or end) and its last
 * event is over; handlers keep a pointer only until they finish it. */

/* The request's bytes, contiguous; borrowed until the call is finished (for stream_in: until the
 * next read). */
const uint8_t *rpc_call_request(const struct rpc_call *c, size_t *ret_n_bytes);
/* Unpacks the request within the server's limits. ERR_INVALID (reason BAD_REQUEST). Freed with
 * protobuf_c_message_free_unpacked(m, NULL). */
enum err_code rpc_call_unpack(struct rpc_call *c, const ProtobufCMessageDescriptor *d,
                              ProtobufCMessage **ret_message, struct err *reterr) must_check_;
/* Client's deadline as mono_us(); INT64_MAX: none. */
int64_t rpc_call_deadline_us(const struct rpc_call *c);
/* A value of the initial metadata (lower-case key), NUL-terminated, borrowed until the call is
 * finished; NULL if absent. */
const char *rpc_call_metadata(struct rpc_call *c, const char *key);
/* "ipv4:127.0.0.1:43210"; borrowed until the call is finished. */
const char *rpc_call_peer(struct rpc_call *c);
/* The handler's own. */
void rpc_call_set_data(struct rpc_call *c, void *data);
void *rpc_call_data(const struct rpc_call *c);
/* fn runs once if the client cancels, its deadline passes or its connection breaks before the call
 * is finished; this is noticed within 10 ms, and calls that are finished sooner are not bothered.
 * The handler must still finish the call. */
void rpc_call_on_cancel(struct rpc_call *c, void (*fn)(struct rpc_call *c));
bool rpc_call_is_cancelled(const struct rpc_call *c);

/* Unary: the answer, then the end. Takes body. */
void rpc_call_reply(struct rpc_call *c, grpc_byte_buffer *body);
void rpc_call_reply_message(struct rpc_call *c, const ProtobufCMessage *m);
/* The end with an error; its ErrorInfo goes into grpc-status-details-bin (rpc/status.h). */
void rpc_call_fail(struct rpc_call *c, const struct err *e);

/* Streaming out: one write at a time; on_written runs when flow control has taken it (ok) or the
 * call is broken. Takes body. */
void rpc_call_write(struct rpc_call *c, grpc_byte_buffer *body,
                    void (*on_written)(struct rpc_call *c, bool ok));
/* The end of a stream with status OK. No write may be under way. */
void rpc_call_end(struct rpc_call *c);
/* Streaming in: asks for the next message; on_read runs with it (rpc_call_request), or with ok
 * false at the end. */
void rpc_call_read(struct rpc_call *c, void (*on_read)(struct rpc_call *c, bool ok));

/* ---- byte buffers */
grpc_byte_buffer *rpc_pack(const ProtobufCMessage *m); /* never NULL */
/* Takes the bytes of b (which is empty afterwards) without copying. */
struct buf;
grpc_byte_buffer *rpc_from_buf(struct buf *b);
