/* raw.h - calls made with libgrpc itself, for what rpc/client.h does not let one do. */
#pragma once

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "tests/unit/rpc/fixture.h"

struct raw {
        struct loop_tag tag;
        grpc_channel *channel;
        grpc_call *call;
        grpc_metadata_array initial;
        grpc_metadata_array trailing;
        grpc_byte_buffer *reply;
        grpc_status_code status;
        grpc_slice message;
        bool is_done;
};

static inline void raw_done(struct loop_tag *tag, bool ok)
{
        (void)ok;
        ((struct raw *)(void *)tag)->is_done = true;
}

/* A unary call on a channel of its own with these arguments; body is taken and may be NULL: none is
 * sent then. */
static inline void raw_start(struct fixture *fx, struct raw *r, grpc_arg *args, size_t n_args,
                             const char *path, grpc_metadata *metadata, size_t n_metadata,
                             grpc_byte_buffer *body)
{
        grpc_channel_credentials *creds = grpc_insecure_credentials_create();
        grpc_channel_args list = { .num_args = n_args, .args = args };
        grpc_op ops[6] = {
                { .op = GRPC_OP_SEND_INITIAL_METADATA,
                  .data.send_initial_metadata = { .count = n_metadata, .metadata = metadata } },
                { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
                { .op = GRPC_OP_RECV_INITIAL_METADATA,
                  .data.recv_initial_metadata.recv_initial_metadata = &r->initial },
                { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &r->reply },
                { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                  .data.recv_status_on_client = { .trailing_metadata = &r->trailing,
                                                  .status = &r->status,
                                                  .status_details = &r->message } },
                { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body },
        };

        *r = (struct raw){ .tag.fn = raw_done };
        grpc_metadata_array_init(&r->initial);
        grpc_metadata_array_init(&r->trailing);
        r->channel = grpc_channel_create(fx->address, creds, &list);
        grpc_channel_credentials_release(creds);
        r->call = grpc_channel_create_call(r->channel, NULL, 0, loop_cq(fx->loop),
                                           grpc_slice_from_static_string(path), NULL,
                                           gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        loop_batch(fx->loop, r->call, ops, body ? 6 : 5, &r->tag);
        if (body)
                grpc_byte_buffer_destroy(body);
}

/* Waits; the status is in r then. */
static inline void raw_finish(struct fixture *fx, struct raw *r)
{
        loop_run_until(fx->loop, &r->is_done);
        if (r->reply)
                grpc_byte_buffer_destroy(r->reply);
        grpc_slice_unref(r->message);
        grpc_metadata_array_destroy(&r->initial);
        grpc_metadata_array_destroy(&r->trailing);
        grpc_call_unref(r->call);
        grpc_channel_destroy(r->channel);
}
