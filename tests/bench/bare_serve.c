/* bare_serve.c - the echo server and the proxy. One thread, one queue.
 *
 * The server answers unary calls with their own bytes, and on a stream sends each message back. The
 * proxy takes unary calls and has them answered over persistent streams: as each stream keeps its
 * order, the first reply on it belongs to the oldest call sent on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/bench/bare.h"

enum { N_OFFERS = 64 };

/* A call, or the offer to take one; reused. */
struct call {
        struct bare_tag requested;
        struct bare_tag done;
        grpc_call *call;
        grpc_metadata_array metadata;
        gpr_timespec deadline;
        grpc_byte_buffer *message;
        int is_cancelled;
        bool sent_initial; /* of a chat */
        struct call *next; /* in the spare list, or in a stream's queue */
};

/* One of the proxy's streams. */
struct upstream {
        struct bare_tag opened;
        struct bare_tag read;
        struct bare_tag written;
        grpc_call *call;
        grpc_metadata_array initial;
        grpc_byte_buffer *reply;
        struct call *to_send, **to_send_end;
        struct call *sent, **sent_end;
        bool is_reading;
        bool is_writing;
        unsigned n_calls;
};

static grpc_server *server;
static void *unary_method, *chat_method;
static struct call *spare;
static struct upstream *upstreams;
static unsigned n_upstreams;
static grpc_channel *upstream_channel;
static bool is_ending;

/* ---- unary calls */

static void on_unary(struct bare_tag *tag, bool ok);
static void on_answered(struct bare_tag *tag, bool ok);

static struct call *take_call(void)
{
        struct call *c = spare;

        if (c) {
                spare = c->next;
                return c;
        }
        c = xcalloc(1, sizeof(*c));
        grpc_metadata_array_init(&c->metadata);
        return c;
}

static void put_call(struct call *c)
{
        if (c->call)
                grpc_call_unref(c->call);
        if (c->message)
                grpc_byte_buffer_destroy(c->message);
        c->call = NULL;
        c->message = NULL;
        c->sent_initial = false;
        c->metadata.count = 0;
        c->next = spare;
        spare = c;
}

static void offer(void *method, void (*fn)(struct bare_tag *tag, bool ok))
{
        struct call *c = take_call();

        c->requested.fn = fn;
        c->done.fn = on_answered;
        if (grpc_server_request_registered_call(server, method, &c->call, &c->deadline,
                                                &c->metadata,
                                                method == unary_method ? &c->message : NULL,
                                                bare_cq, bare_cq, &c->requested) != GRPC_CALL_OK)
                abort();
}

static void on_answered(struct bare_tag *tag, bool ok)
{
        (void)ok;
        put_call(CONTAINER_OF(tag, struct call, done));
}

static void answer(struct call *c, grpc_byte_buffer *body)
{
        grpc_op ops[] = {
                { .op = GRPC_OP_SEND_INITIAL_METADATA },
                { .op = GRPC_OP_SEND_STATUS_FROM_SERVER },
                { .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                  .data.recv_close_on_server.cancelled = &c->is_cancelled },
                { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body },
        };

        if (!body)
                ops[1].data.send_status_from_server.status = GRPC_STATUS_UNAVAILABLE;
        bare_batch(c->call, ops, body ? 4 : 3, &c->done);
}

/* ---- the proxy's streams */

static void read_reply(struct upstream *u)
{
        grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &u->reply };

        u->is_reading = true;
        bare_batch(u->call, &op, 1, &u->read);
}

static void push(struct call ***end, struct call *c)
{
        c->next = NULL;
        **end = c;
        *end = &c->next;
}

static struct call *pop(struct call **first, struct call ***end)
{
        struct call *c = *first;

        *first = c->next;
        if (!*first)
                *end = first;
        return c;
}

static void send_next(struct upstream *u)
{
        struct call *c;
        grpc_op op = { .op = GRPC_OP_SEND_MESSAGE };

        if (u->is_writing || !u->to_send)
                return;
        c = pop(&u->to_send, &u->to_send_end);
        push(&u->sent_end, c);
        u->is_writing = true;
        op.data.send_message.send_message = c->message;
        bare_batch(u->call, &op, 1, &u->written);
        if (!u->is_reading)
                read_reply(u);
}

static void on_written(struct bare_tag *tag, bool ok)
{
        struct upstream *u = CONTAINER_OF(tag, struct upstream, written);

        u->is_writing = false;
        if (ok)
                send_next(u);
}

static void on_reply(struct bare_tag *tag, bool ok)
{
        struct upstream *u = CONTAINER_OF(tag, struct upstream, read);
        grpc_byte_buffer *reply = TAKE(u->reply);
        struct call *c;

        u->is_reading = false;
        if (!u->sent) { /* we are ending */
                if (reply)
                        grpc_byte_buffer_destroy(reply);
                return;
        }
        if (!ok || !reply) {
                fputs("bare_path: the upstream server has gone\n", stderr);
                exit(1);
        }
        c = pop(&u->sent, &u->sent_end);
        u->n_calls--;
        if (u->sent)
                read_reply(u);
        answer(c, reply);
        grpc_byte_buffer_destroy(reply);
}

/* Who still waits is told that nothing comes. */
static void abandon(struct upstream *u)
{
        while (u->sent)
                answer(pop(&u->sent, &u->sent_end), NULL);
        while (u->to_send)
                answer(pop(&u->to_send, &u->to_send_end), NULL);
}

static void ignore(struct bare_tag *tag, bool ok)
{
        (void)tag;
        (void)ok;
}

static void open_upstreams(const struct bare_options *o)
{
        n_upstreams = o->n_streams;
        upstream_channel = bare_channel(o->upstream, 0);
        upstreams = xcalloc(n_upstreams, sizeof(*upstreams));
        for (unsigned i = 0; i < n_upstreams; i++) {
                struct upstream *u = &upstreams[i];
                grpc_op ops[] = {
                        { .op = GRPC_OP_SEND_INITIAL_METADATA,
                          .flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY },
                        { .op = GRPC_OP_RECV_INITIAL_METADATA,
                          .data.recv_initial_metadata.recv_initial_metadata = &u->initial },
                };

                u->opened.fn = ignore;
                u->read.fn = on_reply;
                u->written.fn = on_written;
                u->to_send_end = &u->to_send;
                u->sent_end = &u->sent;
                grpc_metadata_array_init(&u->initial);
                u->call = grpc_channel_create_call(upstream_channel, NULL, 0, bare_cq,
                                                   grpc_slice_from_static_string(BARE_CHAT), NULL,
                                                   gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
                bare_batch(u->call, ops, ARRAY_LEN(ops), &u->opened);
        }
}

static void pass_on(struct call *c)
{
        struct upstream *best = &upstreams[0];

        for (unsigned i = 1; i < n_upstreams; i++)
                if (upstreams[i].n_calls < best->n_calls)
                        best = &upstreams[i];
        best->n_calls++;
        push(&best->to_send_end, c);
        send_next(best);
}

static void on_unary(struct bare_tag *tag, bool ok)
{
        struct call *c = CONTAINER_OF(tag, struct call, requested);

        if (!ok) {
                put_call(c);
                return;
        }
        if (!is_ending)
                offer(unary_method, on_unary);
        if (n_upstreams && c->message)
                pass_on(c);
        else
                answer(c, c->message);
}

/* ---- the server's streams */

static void on_chat_ended(struct bare_tag *tag, bool ok)
{
        (void)ok;
        put_call(CONTAINER_OF(tag, struct call, requested));
}

/* One batch a message: sends the last one back and asks for the next. */
static void on_chat_step(struct bare_tag *tag, bool ok)
{
        struct call *c = CONTAINER_OF(tag, struct call, done);
        grpc_byte_buffer *message = TAKE(c->message);
        grpc_op ops[3];
        size_t n = 0;

        if (!ok || !message) {
                if (message)
                        grpc_byte_buffer_destroy(message);
                c->requested.fn = on_chat_ended;
                ops[n++] = (grpc_op){ .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                                      .data.recv_close_on_server.cancelled = &c->is_cancelled };
                grpc_call_cancel(c->call, NULL);
                bare_batch(c->call, ops, n, &c->requested);
                return;
        }
        if (!c->sent_initial)
                ops[n++] = (grpc_op){ .op = GRPC_OP_SEND_INITIAL_METADATA };
        c->sent_initial = true;
        ops[n++] =
            (grpc_op){ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = message };
        ops[n++] =
            (grpc_op){ .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->message };
        bare_batch(c->call, ops, n, &c->done);
        grpc_byte_buffer_destroy(message);
}

static void on_chat(struct bare_tag *tag, bool ok)
{
        struct call *c = CONTAINER_OF(tag, struct call, requested);
        grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->message };

        if (!ok) {
                put_call(c);
                return;
        }
        if (!is_ending)
                offer(chat_method, on_chat);
        c->done.fn = on_chat_step;
        bare_batch(c->call, &op, 1, &c->done);
}

/* ---- start and end */

static bool start_server(const struct bare_options *o)
{
        grpc_arg args[] = {
                { .type = GRPC_ARG_INTEGER,
                  .key = (char *)GRPC_ARG_ALLOW_REUSEPORT,
                  .value.integer = 0 },
                { .type = GRPC_ARG_INTEGER,
                  .key = (char *)GRPC_ARG_ENABLE_CHANNELZ,
                  .value.integer = 0 },
        };
        grpc_channel_args list = { .num_args = ARRAY_LEN(args), .args = args };
        grpc_server_credentials *creds = grpc_insecure_server_credentials_create();
        int port;

        server = grpc_server_create(&list, NULL);
        grpc_server_register_completion_queue(server, bare_cq, NULL);
        unary_method = grpc_server_register_method(server, BARE_UNARY, NULL,
                                                   GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
        chat_method =
            grpc_server_register_method(server, BARE_CHAT, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
        port = grpc_server_add_http2_port(server, o->listen, creds);
        grpc_server_credentials_release(creds);
        if (!port) {
                fprintf(stderr, "bare_path: cannot listen on %s\n", o->listen);
                grpc_server_destroy(server);
                return false;
        }
        grpc_server_start(server);
        printf("%d\n", port);
        fflush(stdout);
        return true;
}

static void note_shut_down(struct bare_tag *tag, bool ok);

static struct {
        struct bare_tag tag;
        bool is_done;
} shut_down = { .tag = { .fn = note_shut_down } };

static void note_shut_down(struct bare_tag *tag, bool ok)
{
        (void)tag;
        (void)ok;
        shut_down.is_done = true;
}

static void stop_server(void)
{
        is_ending = true;
        for (unsigned i = 0; i < n_upstreams; i++) {
                abandon(&upstreams[i]);
                grpc_call_cancel(upstreams[i].call, NULL);
        }
        grpc_server_shutdown_and_notify(server, bare_cq, &shut_down.tag);
        grpc_server_cancel_all_calls(server);
        bare_poll(&shut_down.is_done);
        grpc_server_destroy(server);
        for (unsigned i = 0; i < n_upstreams; i++)
                grpc_call_unref(upstreams[i].call);
        if (n_upstreams)
                grpc_channel_destroy(upstream_channel);
}

int bare_serve(const struct bare_options *o, bool is_proxy)
{
        if (!start_server(o))
                return 1;
        if (is_proxy)
                open_upstreams(o);
        for (int i = 0; i < N_OFFERS; i++)
                offer(unary_method, on_unary);
        offer(chat_method, on_chat);
        bare_poll(NULL);
        stop_server();
        return 0;
}
