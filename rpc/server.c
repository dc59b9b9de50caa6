/* server.c - a server from start to drain: offers libgrpc call objects to fill and hands the filled
 * ones to their methods. Loop thread.
 *
 * Calls of registered methods are never reported to grpc_server_request_call(), and those of
 * unknown methods only there: without an offer of that kind a call of an unknown method would hang
 * until its deadline. */
#include "rpc/server.h"

#include <assert.h>
#include <string.h>

#include <grpc/grpc_security.h>

#include "common/util.h"
#include "rpc/args_int.h"
#include "rpc/built_in_int.h"
#include "rpc/server_int.h"

/* ---- calls and offers */

static struct rpc_call *take_spare(struct rpc_server *s)
{
        struct rpc_call *c = s->spare;

        if (c) {
                s->spare = c->next;
                s->n_spare--;
                return c;
        }
        c = xcalloc(1, sizeof(*c));
        call_init(c, s);
        return c;
}

static void put_spare(struct rpc_server *s, struct rpc_call *c)
{
        call_clear(c);
        if (s->n_spare >= MAX_SPARE_CALLS) {
                call_done(c);
                free(c);
                return;
        }
        c->next = s->spare;
        s->spare = c;
        s->n_spare++;
}

static void on_requested(struct loop_tag *tag, bool ok);

static void offer_call(struct rpc_server *s, struct method *m)
{
        struct rpc_call *c = take_spare(s);
        grpc_call_error e;

        c->method = m;
        c->requested.fn = on_requested;
        loop_expect(s->loop, &c->requested);
        s->n_posted++;
        m->n_offers++;
        if (m->registered) {
                e = grpc_server_request_registered_call(
                    s->server, m->registered, &c->call, &c->deadline, &c->metadata,
                    m->m.stream_in ? NULL : &c->request, s->loop->cq, s->loop->cq, &c->requested);
        } else {
                grpc_call_details_init(&c->details);
                e = grpc_server_request_call(s->server, &c->call, &c->details, &c->metadata,
                                             s->loop->cq, s->loop->cq, &c->requested);
        }
        assert(e == GRPC_CALL_OK);
        (void)e;
}

static void renew_offers(struct rpc_server *s, struct method *m)
{
        if (m->n_live > m->n_wanted && m->n_wanted < MAX_OFFERS)
                m->n_wanted *= 2;
        while (m->n_offers < m->n_wanted)
                offer_call(s, m);
}

static void check_drained(struct rpc_server *s)
{
        if (!s->is_shut_down || s->n_live || s->n_posted || !s->on_drained)
                return;
        TAKE(s->on_drained)(s->on_drained_arg);
}

/* The connections are broken off, not said goodbye to: between a goodbye and the client's hearing
 * of it libgrpc would end the client's new calls as CANCELLED, as if the client had wished it; so
 * they end as UNAVAILABLE. It also does not depend on clients that never read the goodbye. */
static void shut_down(struct loop_timer *t)
{
        struct rpc_server *s = CONTAINER_OF(t, struct rpc_server, grace);

        s->is_shutting_down = true;
        loop_expect(s->loop, &s->shut_down);
        grpc_server_shutdown_and_notify(s->server, s->loop->cq, &s->shut_down);
        grpc_server_cancel_all_calls(s->server);
}

/* With nothing under way the rest of the grace is not needed, but clients are given time to read
 * the last answers: a connection that breaks while they are sending may take those with it. */
static void check_idle(struct rpc_server *s)
{
        int64_t at_us = mono_us() + LINGER_US;

        if (!s->n_accepted && !s->is_shutting_down && at_us < s->grace.at_us)
                loop_timer_set(s->loop, &s->grace, at_us);
}

void server_call_gone(struct rpc_call *c)
{
        struct rpc_server *s = c->server;

        if (s->first_young == c)
                s->first_young = c->next;
        c->prev->next = c->next;
        c->next->prev = c->prev;
        s->n_live--;
        c->method->n_live--;
        if (c->is_accepted)
                s->n_accepted--;
        put_spare(s, c);
        if (s->is_draining)
                check_idle(s);
        check_drained(s);
}

void server_call_lasts(struct rpc_call *c)
{
        struct rpc_server *s = c->server;

        if (s->first_young == &s->live)
                s->first_young = c;
        if (!s->sweep_timer.heap_index)
                loop_timer_set(s->loop, &s->sweep_timer, mono_us() + SWEEP_US);
}

static void on_sweep(struct loop_timer *t)
{
        struct rpc_server *s = CONTAINER_OF(t, struct rpc_server, sweep_timer);
        struct rpc_call *c;

        s->sweep++;
        for (c = s->first_young; c != &s->live && s->sweep - c->born > 1; c = c->next)
                call_request_close(c);
        s->first_young = c;
        if (c != &s->live)
                loop_timer_set(s->loop, t, mono_us() + SWEEP_US);
}

static void refuse(struct rpc_call *c, void *arg)
{
        struct err e;

        (void)arg;
        if (c->server->is_draining)
                err_set(&e, ERR_UNAVAILABLE, "SHUTTING_DOWN", "the server is shutting down");
        else if (c->server->n_accepted >= c->server->max_calls)
                err_set(&e, ERR_EXHAUSTED, "TOO_MANY_CALLS", "%zu calls are under way already",
                        c->server->max_calls);
        else if (!c->method->registered)
                err_set(&e, ERR_UNIMPLEMENTED, "UNKNOWN_METHOD", "there is no such method");
        else
                err_set(&e, ERR_INVALID, "BAD_REQUEST", "the call has no request message");
        rpc_call_fail(c, &e);
}

static void on_requested(struct loop_tag *tag, bool ok)
{
        struct rpc_call *c = CONTAINER_OF(tag, struct rpc_call, requested);
        struct rpc_server *s = c->server;
        struct method *m = c->method;

        s->n_posted--;
        m->n_offers--;
        if (!m->registered)
                grpc_call_details_destroy(&c->details);
        if (!ok) {
                put_spare(s, c);
                check_drained(s);
                return;
        }
        c->prev = s->live.prev;
        c->next = &s->live;
        c->prev->next = c->next->prev = c;
        c->born = s->sweep;
        s->n_live++;
        m->n_live++;
        if (!s->is_shutting_down)
                renew_offers(s, m);
        c->is_accepted = !s->is_draining && s->n_accepted < s->max_calls && m->registered &&
                         (m->m.stream_in || c->request);
        s->n_accepted += c->is_accepted;
        call_start(c, c->is_accepted ? m->m.on_start : refuse);
}

/* ---- start */

static uint64_t or (uint64_t v, uint64_t fallback)
{
        return v ? v : fallback;
}

static grpc_server *create_server(const struct rpc_server_options *o)
{
        struct args args = { .n = 0 };
        grpc_channel_args list;

        /* Two servers on one port would share its connections: better an error. */
        args_add(&args, GRPC_ARG_ALLOW_REUSEPORT, 0);
        /* Counts every call for a page nobody can see. */
        args_add(&args, GRPC_ARG_ENABLE_CHANNELZ, 0);
        args_add(&args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, or (o->max_request_bytes, 4 << 20));
        args_add(&args, GRPC_ARG_MAX_CONCURRENT_STREAMS, MAX_STREAMS_PER_CONNECTION);
        args_add(&args, GRPC_ARG_KEEPALIVE_TIME_MS, or (o->keepalive_ms, 20000));
        args_add(&args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, or (o->keepalive_timeout_ms, 10000));
        args_add(&args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
        args_add(&args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
        args_add(&args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                 MIN_PING_INTERVAL_MS);
        list = args_list(&args);
        return grpc_server_create(&list, NULL);
}

/* ERR_INTERNAL: a path is there twice. */
static enum err_code register_methods(struct rpc_server *s, struct err *reterr)
{
        for (size_t i = 0; i + 1 < s->n_methods; i++) {
                struct method *m = &s->methods[i];

                m->registered = grpc_server_register_method(
                    s->server, m->m.path, NULL,
                    m->m.stream_in ? GRPC_SRM_PAYLOAD_NONE
                                   : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER,
                    0);
                if (!m->registered)
                        return err_set(reterr, ERR_INTERNAL, "INTERNAL",
                                       "method %s is registered twice", m->m.path);
        }
        return ERR_OK;
}

static enum err_code bind_port(struct rpc_server *s, const char *address, struct err *reterr)
{
        grpc_server_credentials *creds = grpc_insecure_server_credentials_create();

        s->port = grpc_server_add_http2_port(s->server, address, creds);
        grpc_server_credentials_release(creds);
        if (!s->port)
                return err_set(reterr, ERR_UNAVAILABLE, "ADDRESS_UNAVAILABLE",
                               "cannot listen on %s: it is taken or not an address of this host",
                               address);
        return ERR_OK;
}

static void on_shut_down(struct loop_tag *tag, bool ok)
{
        struct rpc_server *s = CONTAINER_OF(tag, struct rpc_server, shut_down);

        (void)ok;
        s->is_shut_down = true;
        check_drained(s);
}

static void fill_methods(struct rpc_server *s, const struct rpc_server_options *o)
{
        struct rpc_method built_in[HEALTH_METHODS + REFLECTION_METHODS];
        size_t n_built_in = HEALTH_METHODS;

        s->health = health_new(o->services, built_in);
        if (o->descriptors) {
                s->reflection = reflection_new(o, built_in + n_built_in);
                n_built_in += REFLECTION_METHODS;
        }
        s->n_methods = o->n_methods + n_built_in + 1;
        s->methods = xcalloc(s->n_methods, sizeof(*s->methods));
        for (size_t i = 0; i < o->n_methods; i++)
                s->methods[i].m = o->methods[i];
        for (size_t i = 0; i < n_built_in; i++)
                s->methods[o->n_methods + i].m = built_in[i];
}

static struct rpc_server *server_new(struct loop *l, const struct rpc_server_options *o)
{
        struct rpc_server *s = xcalloc(1, sizeof(*s));

        s->loop = l;
        s->live.prev = s->live.next = s->first_young = &s->live;
        s->shut_down.fn = on_shut_down;
        s->grace.fn = shut_down;
        s->sweep_timer.fn = on_sweep;
        s->max_request_depth = (unsigned) or (o->max_request_depth, 16);
        s->max_request_fields = or (o->max_request_fields, 100000);
        s->max_calls = or (o->max_calls, 10000);
        fill_methods(s, o);
        s->server = create_server(o);
        grpc_server_register_completion_queue(s->server, l->cq, NULL);
        return s;
}

enum err_code rpc_server_start(struct loop *l, const struct rpc_server_options *o,
                               struct rpc_server **ret_server, struct err *reterr)
{
        struct rpc_server *s = server_new(l, o);
        enum err_code rc;

        rc = register_methods(s, reterr);
        if (!rc)
                rc = bind_port(s, o->address, reterr);
        if (rc) {
                s->is_shut_down = true;
                rpc_server_free(s);
                return rc;
        }
        grpc_server_start(s->server);
        for (size_t i = 0; i < s->n_methods; i++) {
                s->methods[i].n_wanted = FIRST_OFFERS;
                for (unsigned k = 0; k < FIRST_OFFERS; k++)
                        offer_call(s, &s->methods[i]);
        }
        *ret_server = s;
        return ERR_OK;
}

int rpc_server_port(const struct rpc_server *s)
{
        return s->port;
}

void rpc_server_set_serving(struct rpc_server *s, bool serving)
{
        health_set(s->health, serving && !s->is_draining);
}

/* ---- the end */

void rpc_server_drain(struct rpc_server *s, uint64_t grace_ms, void (*done)(void *arg), void *arg)
{
        struct rpc_call *c, *next;

        assert(!s->is_draining);
        s->is_draining = true;
        s->on_drained = done;
        s->on_drained_arg = arg;
        health_set(s->health, false);
        if (grace_ms > MAX_GRACE_MS)
                grace_ms = MAX_GRACE_MS;
        loop_timer_set(s->loop, &s->grace, mono_us() + (int64_t)grace_ms * 1000);
        for (c = s->live.next; c != &s->live; c = next) {
                const struct rpc_method *m = &c->method->m;

                /* Held, so that it is still in the ring when the handler has ended it and others
                 * with it. */
                call_ref(c);
                if (!c->is_finished && m->on_drain)
                        m->on_drain(c, m->arg);
                next = c->next;
                call_unref(c);
        }
        check_idle(s);
}

struct rpc_server *rpc_server_free(struct rpc_server *s)
{
        if (!s)
                return NULL;
        assert(s->is_shut_down && !s->n_live && !s->n_posted);
        loop_timer_cancel(s->loop, &s->sweep_timer);
        grpc_server_destroy(s->server);
        while (s->spare) {
                struct rpc_call *c = s->spare;

                s->spare = c->next;
                call_done(c);
                free(c);
        }
        health_free(s->health);
        reflection_free(s->reflection);
        free(s->methods);
        free(s);
        return NULL;
}
