/* channel.c - a channel, and what unary calls and streams on it have in common. Loop thread. */
#include <assert.h>
#include <string.h>

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "common/util.h"
#include "rpc/args_int.h"
#include "rpc/client_int.h"
#include "rpc/status.h"

enum { MIN_BACKOFF_MS = 50, MAX_BACKOFF_MS = 1000, CONNECT_TIMEOUT_MS = 5000 };

static grpc_channel *create_channel(const struct rpc_channel_options *o)
{
        struct args args = { .n = 0 };
        grpc_channel_credentials *creds;
        grpc_channel_args list;
        grpc_channel *channel;

        args_add(&args, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
        /* Whether a statement may be sent twice is for the gate to judge. */
        args_add(&args, GRPC_ARG_ENABLE_RETRIES, 0);
        /* A connection of its own, not one shared with all channels to the same address. */
        args_add(&args, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        args_add(&args, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
        args_add(&args, GRPC_ARG_ENABLE_CHANNELZ, 0);
        args_add(&args, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, MIN_BACKOFF_MS);
        args_add(&args, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, MAX_BACKOFF_MS);
        /* In spite of its name: how long one attempt to connect may take. */
        args_add(&args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS);
        args_add(&args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                 o->max_reply_bytes ? o->max_reply_bytes : INT_MAX);
        if (o->keepalive_ms) {
                args_add(&args, GRPC_ARG_KEEPALIVE_TIME_MS, o->keepalive_ms);
                args_add(&args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, o->keepalive_timeout_ms);
                args_add(&args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
                args_add(&args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
        }
        list = args_list(&args);
        creds = grpc_insecure_credentials_create();
        channel = grpc_channel_create(o->address, creds, &list);
        grpc_channel_credentials_release(creds);
        return channel;
}

struct rpc_channel *rpc_channel_new(struct loop *l, const struct rpc_channel_options *o)
{
        struct rpc_channel *ch = xcalloc(1, sizeof(*ch));

        ch->loop = l;
        ch->channel = create_channel(o);
        ch->n_refs = 1;
        ch->live.prev = ch->live.next = &ch->live;
        return ch;
}

void channel_unref(struct rpc_channel *ch)
{
        if (--ch->n_refs)
                return;
        request_free_spare(ch);
        grpc_channel_destroy(ch->channel);
        while (ch->paths) {
                struct known_path *next = ch->paths->next;

                free(ch->paths);
                ch->paths = next;
        }
        free(ch);
}

struct rpc_channel *rpc_channel_free(struct rpc_channel *ch)
{
        if (!ch)
                return NULL;
        assert(!ch->is_freed);
        ch->is_freed = true;
        for (struct client_call *c = ch->live.next; c != &ch->live; c = c->next)
                grpc_call_cancel(c->call, NULL);
        channel_unref(ch);
        return NULL;
}

static void *find_path(struct rpc_channel *ch, const char *path)
{
        struct known_path *k;
        size_t n;

        for (k = ch->paths; k; k = k->next)
                if (k->asked == path && !strcmp(k->path, path))
                        return k->handle;
        for (k = ch->paths; k; k = k->next)
                if (!strcmp(k->path, path))
                        return k->handle;
        n = strlen(path) + 1;
        k = xmalloc(sizeof(*k) + n);
        memcpy(k->path, path, n);
        k->asked = path;
        k->handle = grpc_channel_register_call(ch->channel, k->path, NULL, NULL);
        k->next = ch->paths;
        ch->paths = k;
        return k->handle;
}

void client_call_open(struct client_call *c, struct rpc_channel *ch, const char *path,
                      int64_t deadline_us)
{
        assert(!ch->is_freed);
        c->channel = ch;
        ch->n_refs++;
        c->call = grpc_channel_create_registered_call(ch->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                                      ch->loop->cq, find_path(ch, path),
                                                      loop_timespec(deadline_us), NULL);
        c->status_message = grpc_empty_slice();
        c->prev = ch->live.prev;
        c->next = &ch->live;
        c->prev->next = c->next->prev = c;
}

void client_call_close(struct client_call *c)
{
        c->prev->next = c->next;
        c->next->prev = c->prev;
        grpc_slice_unref(c->status_message);
        c->initial.count = c->trailing.count = 0;
        grpc_call_unref(c->call);
        c->call = NULL;
        channel_unref(c->channel);
}

grpc_op client_call_status_op(struct client_call *c)
{
        return (grpc_op){
                .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                .data.recv_status_on_client = {
                        .trailing_metadata = &c->trailing,
                        .status = &c->status,
                        .status_details = &c->status_message,
                },
        };
}

void client_call_result(const struct client_call *c, struct err *ret_err)
{
        const uint8_t *details = NULL;
        size_t n_bytes = 0;
        char *message;

        if (c->status == GRPC_STATUS_OK) {
                *ret_err = (struct err)ERR_INIT;
                return;
        }
        for (size_t i = 0; i < c->trailing.count; i++) {
                const grpc_metadata *m = &c->trailing.metadata[i];

                if (grpc_slice_str_cmp(m->key, STATUS_DETAILS_KEY) != 0)
                        continue;
                details = GRPC_SLICE_START_PTR(m->value);
                n_bytes = GRPC_SLICE_LENGTH(m->value);
        }
        message = grpc_slice_to_c_string(c->status_message);
        status_decode(details, n_bytes, (enum err_code)c->status, message, ret_err);
        gpr_free(message);
}
