/* client_int.h - what channels, unary calls and streams share. */
#pragma once

#include <grpc/grpc.h>

#include "rpc/client.h"
#include "rpc/loop_int.h"

enum { MAX_SPARE_REQUESTS = 1024 };

/* A path the channel has been asked for before. */
struct known_path {
        struct known_path *next;
        const char *asked; /* the caller's pointer, which is nearly always the same literal */
        void *handle;
        char path[]; /* libgrpc needs it as long as the channel lives */
};

/* What a unary call and a stream have in common: a place in the channel's ring of live calls, and
 * the way they end. Owner: the loop thread. */
struct client_call {
        struct rpc_channel *channel;
        grpc_call *call;
        struct client_call *prev;
        struct client_call *next;
        grpc_metadata_array initial;
        grpc_metadata_array trailing;
        grpc_status_code status;
        grpc_slice status_message;
};

/* Owner: the loop thread. Counted: one for the owner, one for each live call. */
struct rpc_channel {
        struct loop *loop;
        grpc_channel *channel;
        unsigned n_refs;
        bool is_freed;
        struct known_path *paths;
        struct client_call live; /* head of the ring */
        struct rpc_request *spare;
        size_t n_spare;
};

void channel_unref(struct rpc_channel *ch);
/* Makes c a call of path; it holds a reference on the channel until client_call_close(). */
void client_call_open(struct client_call *c, struct rpc_channel *ch, const char *path,
                      int64_t deadline_us);
void client_call_close(struct client_call *c);
grpc_op client_call_status_op(struct client_call *c);
/* What the status op has brought, as an error; ERR_OK if it went well. */
void client_call_result(const struct client_call *c, struct err *ret_err);

/* unary.c */
void request_free_spare(struct rpc_channel *ch);
