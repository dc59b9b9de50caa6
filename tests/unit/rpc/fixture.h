/* fixture.h - a server and a client of it in one process, on one loop, for the tests of rpc/. */
#pragma once

#include <check.h>
#include <grpc/grpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/util.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "tests/unit/unit.h"

struct fixture {
        struct loop *loop;
        struct rpc_server *server;
        struct rpc_channel *channel;
        char address[64];
        bool is_drained;
};

static inline void note_true(void *arg)
{
        *(bool *)arg = true;
}

static inline struct rpc_channel *fixture_channel(struct fixture *fx)
{
        return rpc_channel_new(fx->loop, &(struct rpc_channel_options){ .address = fx->address });
}

/* o: what differs from the usual; its address may be NULL. */
static inline void fixture_start(struct fixture *fx, const struct rpc_method *methods,
                                 size_t n_methods, const struct rpc_server_options *o)
{
        struct rpc_server_options all = o ? *o : (struct rpc_server_options){ 0 };
        struct err e = ERR_INIT;

        *fx = (struct fixture){ .loop = loop_new() };
        if (!all.address)
                all.address = "127.0.0.1:0";
        all.methods = methods;
        all.n_methods = n_methods;
        ck_assert_msg(!rpc_server_start(fx->loop, &all, &fx->server, &e), "%s", e.msg);
        snprintf(fx->address, sizeof(fx->address), "127.0.0.1:%d", rpc_server_port(fx->server));
        fx->channel = fixture_channel(fx);
}

static inline void fixture_drain(struct fixture *fx, uint64_t grace_ms)
{
        fx->is_drained = false;
        rpc_server_drain(fx->server, grace_ms, note_true, &fx->is_drained);
        loop_run_until(fx->loop, &fx->is_drained);
        fx->server = rpc_server_free(fx->server);
}

static inline void fixture_stop(struct fixture *fx)
{
        fx->channel = rpc_channel_free(fx->channel);
        if (fx->server)
                fixture_drain(fx, 5000);
        fx->loop = loop_free(fx->loop);
}

/* What a unary call came to. */
struct answer {
        bool is_done;
        unsigned n_done;
        struct err e;
        struct buf body;
};

static inline void note_answer(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct answer *a = arg;

        a->is_done = true;
        a->n_done++;
        a->e = *e;
        if (n_bytes)
                buf_add(&a->body, body, n_bytes);
}

static inline grpc_byte_buffer *bytes_of(const void *p, size_t n_bytes)
{
        struct buf b = BUF_INIT(0);

        buf_add(&b, p, n_bytes);
        return rpc_from_buf(&b);
}

static inline grpc_byte_buffer *text_of(const char *s)
{
        return bytes_of(s, strlen(s));
}

static inline void fail_with(struct rpc_call *c, enum err_code code, const char *reason,
                             const char *msg)
{
        struct err e;

        err_set(&e, code, reason, "%s", msg);
        rpc_call_fail(c, &e);
}

static inline int64_t in_ms(int64_t ms)
{
        return mono_us() + ms * 1000;
}

/* Calls and waits. The answer's body is the caller's: buf_done(). */
static inline struct answer call_and_wait(struct fixture *fx, const char *path,
                                          grpc_byte_buffer *body, int64_t deadline_us)
{
        struct answer a = { .e = ERR_INIT };

        rpc_unary(fx->channel, path, body, deadline_us, note_answer, &a);
        loop_run_until(fx->loop, &a.is_done);
        return a;
}

static inline void assert_text(const struct answer *a, const char *want)
{
        ck_assert_msg(a->e.code == ERR_OK, "%s: %s", err_code_name(a->e.code), a->e.msg);
        ck_assert_uint_eq(a->body.n_bytes, strlen(want));
        ck_assert_mem_eq(a->body.data, want, strlen(want));
}

/* Answers with the request. */
static inline void serve_echo(struct rpc_call *c, void *arg)
{
        size_t n;
        const uint8_t *p = rpc_call_request(c, &n);

        (void)arg;
        rpc_call_reply(c, bytes_of(p, n));
}

/* gRPC and fork do not mix. */
static inline int run_suite(Suite *s)
{
        setenv("CK_FORK", "no", 1);
        return unit_run(s);
}
