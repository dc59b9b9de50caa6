/* service_session.c - sessions and transactions as calls: OpenSession, CloseSession, Begin, Commit,
 * Rollback. The last three are statements in other words, and run as such. Loop thread. */
#include <string.h>

#include "common/wire.h"
#include "gate/forward.h"
#include "gate/service_int.h"
#include "gate/session.h"
#include "gate/stats.h"
#include "gate/transaction.h"
#include "proto/shoal/v1/api.pb-c.h"

enum { CONTROL_ARENA_BYTES = 1 << 20 };

/* ---- going in and out */

static bool is_streaming(const char *method)
{
        return strcmp(method, "/shoal.v1.Gate/ExecuteStream") == 0;
}

/* True: the session is here, as far as its name tells. */
static bool stays_here(struct rpc_call *call, struct gate *g, const char *method, const char *name,
                       size_t n_bytes)
{
        struct session_place place;
        struct err e = ERR_INIT;

        if (sessions_place(g->sessions, name, n_bytes, &place, &e)) {
                rpc_call_fail(call, &e);
                return false;
        }
        if (!place.is_here)
                forward_call(g->forwards, call, method, is_streaming(method), &place);
        return place.is_here;
}

bool service_enter(struct rpc_call *call, struct gate *g, const char *method, const char *name,
                   size_t n_bytes, bool over, struct session **ret_session)
{
        struct err e = ERR_INIT;

        *ret_session = NULL;
        if (!n_bytes)
                return true;
        if (!stays_here(call, g, method, name, n_bytes))
                return false;
        if (!sessions_enter(g->sessions, name, n_bytes, over, ret_session, &e))
                return true;
        rpc_call_fail(call, &e);
        return false;
}

void service_add_session(struct buf *b, const struct session *s)
{
        if (!s)
                return;
        wire_add_str(b, 2, s->name);
        wire_add_uint_nz(b, 3, s->savepoints.is_open);
}

/* ---- OpenSession, CloseSession */

static enum err_code open_session(struct gate *g, const char *keyspace,
                                  struct session **ret_session, struct err *reterr)
{
        uint64_t epoch = topology_epoch(g->topology);
        struct catalog *c;
        enum err_code rc = topology_find(g->topology, keyspace, strlen(keyspace), &c, reterr);

        if (rc)
                return rc;
        catalog_unref(c);
        if (!epoch)
                return err_set(reterr, ERR_UNAVAILABLE, "TOPO_AWAY",
                               "topo is away, and without it no session can be opened");
        return sessions_open(g->sessions, keyspace, strlen(keyspace), epoch, ret_session, reterr);
}

void service_open_session(struct rpc_call *call, void *arg)
{
        Shoal__V1__OpenSessionResponse r = SHOAL__V1__OPEN_SESSION_RESPONSE__INIT;
        ProtobufCMessage *m = NULL;
        struct session *s = NULL;
        struct err e;
        enum err_code rc =
            rpc_call_unpack(call, &shoal__v1__open_session_request__descriptor, &m, &e);

        if (!rc)
                rc = open_session(arg, ((Shoal__V1__OpenSessionRequest *)m)->keyspace, &s, &e);
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
        if (rc) {
                rpc_call_fail(call, &e);
                return;
        }
        r.session = s->name;
        rpc_call_reply_message(call, &r.base);
        session_leave(s);
}

void service_close_session(struct rpc_call *call, void *arg)
{
        Shoal__V1__CloseSessionResponse r = SHOAL__V1__CLOSE_SESSION_RESPONSE__INIT;
        struct gate *g = arg;
        ProtobufCMessage *m = NULL;
        const char *name;
        struct err e;

        if (rpc_call_unpack(call, &shoal__v1__close_session_request__descriptor, &m, &e)) {
                rpc_call_fail(call, &e);
                return;
        }
        name = ((Shoal__V1__CloseSessionRequest *)m)->session;
        if (stays_here(call, g, "/shoal.v1.Gate/CloseSession", name, strlen(name))) {
                if (sessions_close(g->sessions, name, strlen(name), &e))
                        rpc_call_fail(call, &e);
                else
                        rpc_call_reply_message(call, &r.base);
        }
        protobuf_c_message_free_unpacked(m, NULL);
}

/* ---- Begin, Commit, Rollback */

/* Owner: the loop thread. */
struct control_call {
        struct execution x;
        struct rpc_call *call;
        enum savepoints_verb verb;
        ProtobufCMessage *message; /* that the request's strings are in; or NULL */
};

static void free_control(struct control_call *c)
{
        struct session *s = c->x.session;

        execution_done(&c->x);
        arena_free(c->x.arena);
        if (c->message)
                protobuf_c_message_free_unpacked(c->message, NULL);
        free(c);
        session_leave(s);
}

static void on_control_rows(struct execution *x, grpc_slice rows, size_t tag)
{
        (void)x;
        (void)tag;
        grpc_slice_unref(rows);
}

static bool on_control_restart(struct execution *x)
{
        (void)x;
        return true;
}

static void reply_control(struct control_call *c)
{
        Shoal__V1__BeginResponse begun = SHOAL__V1__BEGIN_RESPONSE__INIT;
        Shoal__V1__CommitResponse committed = SHOAL__V1__COMMIT_RESPONSE__INIT;
        Shoal__V1__RollbackResponse rolled_back = SHOAL__V1__ROLLBACK_RESPONSE__INIT;
        struct session *s = c->x.session;
        char id[TXN_ID_BYTES];

        switch (c->verb) {
        case SAVEPOINTS_BEGIN:
                txn_id_print(&s->transaction->id, id);
                begun.session = s->name;
                begun.transaction_id = id;
                rpc_call_reply_message(c->call, &begun.base);
                break;
        case SAVEPOINTS_COMMIT:
                txn_id_print(&s->last_id, id);
                committed.transaction_id = id;
                rpc_call_reply_message(c->call, &committed.base);
                break;
        default:
                rpc_call_reply_message(c->call, &rolled_back.base);
                break;
        }
}

static void on_control_end(struct execution *x, const struct err *e)
{
        struct control_call *c = CONTAINER_OF(x, struct control_call, x);

        if (e->code)
                rpc_call_fail(c->call, e);
        else
                reply_control(c);
        free_control(c);
}

static void on_control_cancel(struct rpc_call *call)
{
        struct control_call *c = rpc_call_data(call);

        execution_cancel(&c->x, service_cancel_code(call));
        service_fail_cancelled(call);
        free_control(c);
}

static void run_control(struct control_call *c, struct rpc_call *call, struct gate *g)
{
        static const struct execution_events events = {
                .on_rows = on_control_rows,
                .on_restart = on_control_restart,
                .on_end = on_control_end,
        };
        static const char *const texts[] = {
                [SAVEPOINTS_BEGIN] = "BEGIN",
                [SAVEPOINTS_COMMIT] = "COMMIT",
                [SAVEPOINTS_ROLLBACK] = "ROLLBACK",
        };

        c->call = call;
        c->x.gate = g;
        c->x.arena = arena_new(CONTROL_ARENA_BYTES);
        c->x.events = &events;
        c->x.request.sql = texts[c->verb];
        c->x.request.n_sql_bytes = strlen(texts[c->verb]);
        c->x.request.deadline_us = rpc_call_deadline_us(call);
        rpc_call_set_data(call, c);
        rpc_call_on_cancel(call, on_control_cancel);
        execution_start(&c->x);
}

void service_begin(struct rpc_call *call, void *arg)
{
        struct control_call *c;
        struct session *s;
        ProtobufCMessage *m = NULL;
        Shoal__V1__BeginRequest *q;
        struct err e;

        if (rpc_call_unpack(call, &shoal__v1__begin_request__descriptor, &m, &e)) {
                rpc_call_fail(call, &e);
                return;
        }
        q = (Shoal__V1__BeginRequest *)m;
        if (service_enter(call, arg, "/shoal.v1.Gate/Begin", q->session, strlen(q->session), false,
                          &s)) {
                c = xcalloc(1, sizeof(*c));
                c->verb = SAVEPOINTS_BEGIN;
                c->x.session = s;
                c->x.request.isolation = request_isolation((uint64_t)q->isolation);
                c->x.request.read_only = q->read_only;
                c->x.request.keyspace = q->keyspace;
                c->x.request.n_keyspace_bytes = strlen(q->keyspace);
                c->message = TAKE(m);
                run_control(c, call, arg);
        }
        if (m)
                protobuf_c_message_free_unpacked(m, NULL);
}

static void start_control(struct rpc_call *call, struct gate *g, struct session *s,
                          enum savepoints_verb verb)
{
        struct control_call *c = xcalloc(1, sizeof(*c));

        c->verb = verb;
        c->x.session = s;
        run_control(c, call, g);
}

/* The same answer as before. */
static void repeat_end(struct rpc_call *call, struct session *s)
{
        Shoal__V1__CommitResponse r = SHOAL__V1__COMMIT_RESPONSE__INIT;
        char id[TXN_ID_BYTES];

        if (s->last_end.code) {
                rpc_call_fail(call, &s->last_end);
        } else {
                txn_id_print(&s->last_id, id);
                r.transaction_id = id;
                rpc_call_reply_message(call, &r.base);
        }
        session_leave(s);
}

static void fail_sessionless(struct rpc_call *call, const char *verb)
{
        struct err e;

        (void)savepoints_error(&e, "cannot %s - no transaction is active", verb);
        rpc_call_fail(call, &e);
}

void service_commit(struct rpc_call *call, void *arg)
{
        ProtobufCMessage *m = NULL;
        struct session *s = NULL;
        const char *name;
        struct err e;
        bool inside;

        if (rpc_call_unpack(call, &shoal__v1__commit_request__descriptor, &m, &e)) {
                rpc_call_fail(call, &e);
                return;
        }
        name = ((Shoal__V1__CommitRequest *)m)->session;
        inside = service_enter(call, arg, "/shoal.v1.Gate/Commit", name, strlen(name), true, &s);
        protobuf_c_message_free_unpacked(m, NULL);
        if (!inside)
                return;
        if (!s)
                fail_sessionless(call, "commit");
        else if (!s->savepoints.is_open && s->has_ended)
                repeat_end(call, s);
        else
                start_control(call, arg, s, SAVEPOINTS_COMMIT);
}

void service_rollback(struct rpc_call *call, void *arg)
{
        ProtobufCMessage *m = NULL;
        struct session *s = NULL;
        const char *name;
        struct err e;
        bool inside;

        if (rpc_call_unpack(call, &shoal__v1__rollback_request__descriptor, &m, &e)) {
                rpc_call_fail(call, &e);
                return;
        }
        name = ((Shoal__V1__RollbackRequest *)m)->session;
        inside = service_enter(call, arg, "/shoal.v1.Gate/Rollback", name, strlen(name), false, &s);
        protobuf_c_message_free_unpacked(m, NULL);
        if (!inside)
                return;
        if (!s)
                fail_sessionless(call, "rollback");
        else
                start_control(call, arg, s, SAVEPOINTS_ROLLBACK);
}
