/* bare.h - what the modes of bare_path share: a queue polled by one thread, and tags that know what
 * to do. It sets libgrpc up as rpc/ does but uses nothing of it, so that what rpc/ costs shows in
 * the comparison. */
#pragma once

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <stdbool.h>
#include <stdint.h>

#define BARE_UNARY "/bench.Echo/Unary"
#define BARE_CHAT "/bench.Echo/Chat"

/* Embedded in whatever the batch belongs to. */
struct bare_tag {
        void (*fn)(struct bare_tag *tag, bool ok);
};

struct bare_options {
        const char *listen;   /* server, proxy */
        const char *upstream; /* proxy: where the streams go; load: where the calls go */
        unsigned n_streams;   /* proxy */
        const char *method;   /* load */
        const char *requests; /* load: a file of requests, each behind its length as four bytes, low
                                 one first */
        unsigned n_payload_bytes; /* load without such a file: a request of so many zero bytes */
        unsigned n_calls;         /* load: in flight */
        unsigned n_channels;      /* load */
        double seconds;           /* load */
        double warmup_seconds;
};

/* Each runs until SIGTERM (load: until its time is over) and returns main's result. */
int bare_serve(const struct bare_options *o, bool is_proxy);
int bare_load(const struct bare_options *o);

/* bare_path.c */
extern grpc_completion_queue *bare_cq;
void bare_batch(grpc_call *call, const grpc_op *ops, size_t n_ops, struct bare_tag *tag);
/* Polls until *done, or until a signal if done is NULL. */
void bare_poll(const bool *done);
grpc_channel *bare_channel(const char *address, unsigned number);
