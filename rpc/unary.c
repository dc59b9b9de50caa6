/* unary.c - unary calls of a client: one batch, one event. Loop thread. */
#include <string.h>

#include "common/util.h"
#include "rpc/bytes_int.h"
#include "rpc/client_int.h"

/* Owner: the loop thread. Reused through the channel's spare list. */
struct rpc_request {
        struct client_call base;
        struct loop_tag done_tag;
        grpc_byte_buffer *reply;
        rpc_done_fn *done;
        void *arg;
        struct rpc_request *next_spare;
};

static void request_free(struct rpc_request *r)
{
        grpc_metadata_array_destroy(&r->base.initial);
        grpc_metadata_array_destroy(&r->base.trailing);
        free(r);
}

void request_free_spare(struct rpc_channel *ch)
{
        while (ch->spare) {
                struct rpc_request *next = ch->spare->next_spare;

                request_free(ch->spare);
                ch->spare = next;
        }
}

static void release(struct rpc_request *r)
{
        struct rpc_channel *ch = r->base.channel;

        if (r->reply)
                grpc_byte_buffer_destroy(r->reply);
        r->reply = NULL;
        if (!ch->is_freed && ch->n_spare < MAX_SPARE_REQUESTS) {
                r->next_spare = ch->spare;
                ch->spare = r;
                ch->n_spare++;
                client_call_close(&r->base);
        } else {
                client_call_close(&r->base);
                request_free(r);
        }
}

static void run_done(struct rpc_request *r)
{
        static const struct err fine = ERR_INIT;
        struct err e;

        if (r->base.status == GRPC_STATUS_OK && r->reply) {
                grpc_slice slice;
                bool is_copy = bytes_contiguous(r->reply, &slice);

                r->done(r->arg, &fine, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
                if (is_copy)
                        grpc_slice_unref(slice);
                return;
        }
        if (r->base.status == GRPC_STATUS_OK)
                err_set(&e, ERR_INTERNAL, "INTERNAL", "the server sent no reply message");
        else
                client_call_result(&r->base, &e);
        r->done(r->arg, &e, NULL, 0);
}

static void on_done(struct loop_tag *tag, bool ok)
{
        struct rpc_request *r = CONTAINER_OF(tag, struct rpc_request, done_tag);

        (void)ok; /* a batch that asks for the status always is */
        run_done(r);
        release(r);
}

static struct rpc_request *take_request(struct rpc_channel *ch)
{
        struct rpc_request *r = ch->spare;

        if (r) {
                ch->spare = r->next_spare;
                ch->n_spare--;
                return r;
        }
        r = xcalloc(1, sizeof(*r));
        grpc_metadata_array_init(&r->base.initial);
        grpc_metadata_array_init(&r->base.trailing);
        r->done_tag.fn = on_done;
        return r;
}

struct rpc_request *rpc_unary(struct rpc_channel *ch, const char *path, grpc_byte_buffer *body,
                              int64_t deadline_us, rpc_done_fn *done, void *arg)
{
        struct rpc_request *r = take_request(ch);

        r->done = done;
        r->arg = arg;
        client_call_open(&r->base, ch, path, deadline_us);
        grpc_op ops[] = {
                { .op = GRPC_OP_SEND_INITIAL_METADATA },
                { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body },
                { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
                { .op = GRPC_OP_RECV_INITIAL_METADATA,
                  .data.recv_initial_metadata.recv_initial_metadata = &r->base.initial },
                { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &r->reply },
                client_call_status_op(&r->base),
        };
        loop_batch(ch->loop, r->base.call, ops, ARRAY_LEN(ops), &r->done_tag);
        grpc_byte_buffer_destroy(body);
        return r;
}

void rpc_request_cancel(struct rpc_request *r)
{
        grpc_call_cancel(r->base.call, NULL);
}
