/* service.c - Execute and Describe, and the table of methods. Loop thread. */
#include "gate/service.h"

#include <string.h>

#include "common/wire.h"
#include "gate/service_int.h"
#include "gate/session.h"
#include "gate/stats.h"
#include "proto/descriptors.h"

enum { MAX_SPARE_CALLS = 256, MAX_SPARE_ARENA_BYTES = 64 << 10 };

/* An Execute under way, or a spare one. */
struct unary_call {
        struct execution x; /* its arena stays */
        struct rpc_call *call;
        struct result result;
        struct unary_call *next_spare;
};

/* Owner: the loop thread; one in a process. */
static struct {
        struct unary_call *first;
        size_t n;
} spare;

struct request_limits service_limits(const struct gate *g)
{
        return (struct request_limits){
                .max_statement_bytes = g->options.max_statement_bytes,
                .max_batch_statements = g->options.max_batch_statements,
        };
}

enum err_code service_cancel_code(const struct rpc_call *call)
{
        return mono_us() >= rpc_call_deadline_us(call) ? ERR_DEADLINE : ERR_CANCELLED;
}

void service_fail_cancelled(struct rpc_call *call)
{
        struct err e;

        if (service_cancel_code(call) == ERR_DEADLINE)
                err_set(&e, ERR_DEADLINE, "DEADLINE_EXCEEDED", "the deadline has passed");
        else
                err_set(&e, ERR_CANCELLED, "CANCELLED", "the client has gone");
        rpc_call_fail(call, &e);
}

/* ---- Execute */

static struct unary_call *take_unary(void)
{
        struct unary_call *u = spare.first;

        if (u) {
                spare.first = u->next_spare;
                spare.n--;
                return u;
        }
        u = xcalloc(1, sizeof(*u));
        u->x.arena = arena_new(SERVICE_ARENA_BYTES);
        return u;
}

static void free_unary(struct unary_call *u)
{
        arena_free(u->x.arena);
        free(u);
}

static void release_unary(struct unary_call *u)
{
        struct arena *arena = u->x.arena;
        struct session *session = u->x.session;

        execution_done(&u->x);
        session_leave(session);
        result_clear(&u->result);
        if (spare.n >= MAX_SPARE_CALLS || arena_bytes(arena) > MAX_SPARE_ARENA_BYTES) {
                free_unary(u);
                return;
        }
        arena_reset(arena);
        *u = (struct unary_call){ .x.arena = arena, .next_spare = spare.first };
        spare.first = u;
        spare.n++;
}

static void on_unary_rows(struct execution *x, grpc_slice rows, size_t tag)
{
        struct unary_call *u = CONTAINER_OF(x, struct unary_call, x);
        size_t n_bytes = GRPC_SLICE_LENGTH(rows);

        result_add(&u->result, rows);
        execution_consumed(x, tag, n_bytes);
}

static bool on_unary_restart(struct execution *x)
{
        result_clear(&CONTAINER_OF(x, struct unary_call, x)->result);
        return true;
}

static void on_unary_end(struct execution *x, const struct err *e)
{
        struct unary_call *u = CONTAINER_OF(x, struct unary_call, x);
        struct message m = { 0 };

        if (e->code) {
                rpc_call_fail(u->call, e);
                release_unary(u);
                return;
        }
        u->result.columns = x->plan->columns;
        u->result.n_columns_bytes = x->plan->n_columns_bytes;
        message_add_result(&m, 1, &u->result);
        service_add_session(&m.head, x->session);
        if (x->stats.n_bytes)
                wire_add_bytes(&m.head, 4, x->stats.data, x->stats.n_bytes);
        rpc_call_reply(u->call, message_take(&m));
        release_unary(u);
}

static void on_unary_cancel(struct rpc_call *call)
{
        struct unary_call *u = rpc_call_data(call);

        execution_cancel(&u->x, service_cancel_code(call));
        service_fail_cancelled(call);
        release_unary(u);
}

void service_execute(struct rpc_call *call, void *arg)
{
        static const struct execution_events events = {
                .on_rows = on_unary_rows,
                .on_restart = on_unary_restart,
                .on_end = on_unary_end,
        };
        struct gate *g = arg;
        struct unary_call *u = take_unary();
        struct request_limits limits = service_limits(g);
        struct err e;
        size_t n_bytes;
        const uint8_t *message = rpc_call_request(call, &n_bytes);

        if (request_decode_execute(message, n_bytes, &limits, u->x.arena, &u->x.request, &e)) {
                stats_note_statement(g->metrics, -1, &e, 0, 0, 0);
                rpc_call_fail(call, &e);
                release_unary(u);
                return;
        }
        if (!service_enter(call, g, "/shoal.v1.Gate/Execute", u->x.request.session,
                           u->x.request.n_session_bytes, false, &u->x.session)) {
                release_unary(u);
                return;
        }
        u->call = call;
        u->x.gate = g;
        u->x.events = &events;
        u->x.request.deadline_us = rpc_call_deadline_us(call);
        rpc_call_set_data(call, u);
        rpc_call_on_cancel(call, on_unary_cancel);
        execution_start(&u->x);
}

/* ---- Describe */

static enum err_code describe(struct gate *g, const Shoal__V1__DescribeRequest *q,
                              struct arena *arena, struct buf *b, struct err *reterr)
{
        cleanup_(catalog_unrefp) struct catalog *c = NULL;
        cleanup_(plan_unrefp) struct plan *p = NULL;
        const struct value *literals;
        size_t n_bytes = strlen(q->sql);
        enum err_code rc;
        bool cached;

        if (n_bytes > g->options.max_statement_bytes)
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement has %zu bytes, the limit is %llu", n_bytes,
                               (unsigned long long)g->options.max_statement_bytes);
        rc = topology_find(g->topology, q->keyspace, strlen(q->keyspace), &c, reterr);
        if (!rc)
                rc = plan_cache_get(g->plans, c, q->sql, n_bytes, arena, &p, &literals, &cached,
                                    reterr);
        if (rc)
                return rc;
        /* Columns are field 1 here as they are in a ResultSet. */
        buf_add(b, p->columns, p->n_columns_bytes);
        for (size_t i = 0; i < p->n_params; i++)
                wire_add_str(b, 2, p->param_names[i]);
        wire_add_uint_nz(b, 3, p->read_only);
        wire_add_str(b, 4, plan_kind_name(p->kind));
        return ERR_OK;
}

void service_describe(struct rpc_call *call, void *arg)
{
        cleanup_(arena_freep) struct arena *arena = arena_new(SERVICE_ARENA_BYTES);
        ProtobufCMessage *m = NULL;
        struct buf b = BUF_INIT(0);
        struct err e;
        enum err_code rc;

        rc = rpc_call_unpack(call, &shoal__v1__describe_request__descriptor, &m, &e);
        if (!rc)
                rc = describe(arg, (const Shoal__V1__DescribeRequest *)m, arena, &b, &e);
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        if (rc) {
                buf_done(&b);
                rpc_call_fail(call, &e);
                return;
        }
        rpc_call_reply(call, rpc_from_buf(&b));
}

/* ---- the rest */

static void refuse(struct rpc_call *call, void *arg)
{
        struct err e;

        (void)arg;
        err_set(&e, ERR_UNIMPLEMENTED, "TRANSACTIONS",
                "looking transactions up is not implemented yet");
        rpc_call_fail(call, &e);
}

enum err_code service_start(struct gate *g, struct rpc_server **ret_server, struct err *reterr)
{
        const struct rpc_method methods[] = {
                { .path = "/shoal.v1.Gate/Execute", .on_start = service_execute, .arg = g },
                { .path = "/shoal.v1.Gate/ExecuteStream",
                  .on_start = service_execute_stream,
                  .arg = g },
                { .path = "/shoal.v1.Gate/ExecuteBatch",
                  .on_start = service_execute_batch,
                  .arg = g },
                { .path = "/shoal.v1.Gate/Describe", .on_start = service_describe, .arg = g },
                { .path = "/shoal.v1.Gate/OpenSession",
                  .on_start = service_open_session,
                  .arg = g },
                { .path = "/shoal.v1.Gate/CloseSession",
                  .on_start = service_close_session,
                  .arg = g },
                { .path = "/shoal.v1.Gate/Begin", .on_start = service_begin, .arg = g },
                { .path = "/shoal.v1.Gate/Commit", .on_start = service_commit, .arg = g },
                { .path = "/shoal.v1.Gate/Rollback", .on_start = service_rollback, .arg = g },
                { .path = "/shoal.v1.Gate/GetTransaction", .on_start = refuse },
        };
        static const char *const services[] = { "shoal.v1.Gate", NULL };
        struct rpc_server_options o = {
                .address = g->options.listen_address,
                .methods = methods,
                .n_methods = ARRAY_LEN(methods),
                .services = services,
                .max_request_bytes = g->options.max_request_bytes,
                .descriptors = proto_descriptors,
                .n_descriptor_bytes = proto_n_descriptor_bytes,
        };
        enum err_code rc = rpc_server_start(g->loop, &o, ret_server, reterr);

        return rc ? err_wrap(reterr, rc, "listen on %s", g->options.listen_address) : ERR_OK;
}

void service_stop(struct gate *g)
{
        (void)g;
        while (spare.first) {
                struct unary_call *u = spare.first;

                spare.first = u->next_spare;
                free_unary(u);
        }
        spare.n = 0;
}
