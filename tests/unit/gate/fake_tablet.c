/* fake_tablet.c - see fake_tablet.h. */
#include "tests/unit/gate/fake_tablet.h"

#include "common/wire.h"

/* ---- the tablet */

static void write_next(struct fake_conn *c);

static void on_written(struct rpc_call *call, bool ok)
{
        struct fake_conn *c = rpc_call_data(call);

        c->is_writing = false;
        if (ok)
                write_next(c);
}

static void write_next(struct fake_conn *c)
{
        if (!c->call || c->is_writing || c->n_sent == c->n_queued)
                return;
        c->is_writing = true;
        rpc_call_write(c->call, c->queue[c->n_sent++], on_written);
}

void fake_send(struct fake_conn *c, const Shoal__V1__TabletReply *m)
{
        if (!c->call)
                return;
        c->queue = xrealloc(c->queue, (c->n_queued + 1) * sizeof(*c->queue));
        c->queue[c->n_queued++] = rpc_pack(&m->base);
        write_next(c);
}

void fake_reply(struct fake_request *r, uint32_t shard, const void *result, size_t n_bytes,
                bool shard_end, bool end)
{
        Shoal__V1__TabletReply m = SHOAL__V1__TABLET_REPLY__INIT;
        Shoal__V1__ShardReply piece = SHOAL__V1__SHARD_REPLY__INIT;
        Shoal__V1__ShardReply *pieces[] = { &piece };

        m.id = r->m->id;
        m.end = end;
        m.shards = pieces;
        m.n_shards = 1;
        piece.shard = shard;
        piece.result.data = (uint8_t *)result;
        piece.result.len = n_bytes;
        piece.end = shard_end;
        if (r->m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_EXECUTE &&
            (r->m->execute->read_ts || r->m->execute->pin)) {
                piece.pinned = !r->is_unpinned;
                piece.cut_c = r->cut_c;
                piece.cut_e = r->cut_e ? r->cut_e : UINT64_MAX;
        }
        fake_send(r->conn, &m);
}

void fake_fail(struct fake_request *r, uint32_t shard, int code, const char *reason, bool end)
{
        Shoal__V1__TabletReply m = SHOAL__V1__TABLET_REPLY__INIT;
        Shoal__V1__ShardReply piece = SHOAL__V1__SHARD_REPLY__INIT;
        Shoal__V1__ShardReply *pieces[] = { &piece };
        Shoal__V1__Failure failure = SHOAL__V1__FAILURE__INIT;

        m.id = r->m->id;
        m.end = end;
        m.shards = pieces;
        m.n_shards = 1;
        piece.shard = shard;
        piece.end = true;
        piece.failure = &failure;
        failure.code = code;
        failure.reason = (char *)reason;
        failure.message = (char *)"as the test wants it";
        failure.extended_code = 2067;
        failure.sqlite_message = (char *)"from SQLite";
        failure.offset = 4;
        fake_send(r->conn, &m);
}

static void end_conn(struct fake_conn *c, enum err_code code)
{
        struct err e = ERR_INIT;
        struct rpc_call *call = TAKE(c->call);

        while (c->n_sent < c->n_queued)
                grpc_byte_buffer_destroy(c->queue[c->n_sent++]);
        if (!call)
                return;
        err_set(&e, code, "TEST", "the test ended it");
        rpc_call_fail(call, &e);
}

void fake_break(struct fake_conn *c)
{
        end_conn(c, ERR_UNAVAILABLE);
}

static void take_request(struct fake_conn *c, const uint8_t *p, size_t n_bytes)
{
        struct fake *f = c->fake;
        struct fake_request *r;
        Shoal__V1__TabletRequest *m = shoal__v1__tablet_request__unpack(NULL, n_bytes, p);

        ck_assert(m);
        if (m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_CANCEL) {
                f->n_cancels += m->id != 0;
                f->last_cancelled = m->id;
        } else if (m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_CREDIT) {
                f->n_credits++;
                f->credited_bytes += m->credit->bytes;
        } else {
                ck_assert_uint_lt(f->n_requests, FAKE_MAX_REQUESTS);
                r = &f->requests[f->n_requests++];
                *r = (struct fake_request){ c, m };
                m = NULL;
                if (f->on_request)
                        f->on_request(f, r);
        }
        if (m)
                shoal__v1__tablet_request__free_unpacked(m, NULL);
}

static void on_request(struct rpc_call *call, bool ok)
{
        struct fake_conn *c = rpc_call_data(call);
        struct wire_reader reader;
        struct wire_field more;
        size_t n_bytes;
        const uint8_t *p;

        if (!ok) {
                end_conn(c, ERR_CANCELLED);
                return;
        }
        p = rpc_call_request(call, &n_bytes);
        c->fake->n_messages++;
        take_request(c, p, n_bytes);
        reader = wire_reader(p, n_bytes);
        while (c->call && wire_next(&reader, &more))
                if (more.number == 8)
                        take_request(c, more.data, more.n_bytes);
        if (c->call)
                rpc_call_read(call, on_request);
}

static void on_gone(struct rpc_call *call)
{
        end_conn(rpc_call_data(call), ERR_CANCELLED);
}

static void serve_connect(struct rpc_call *call, void *arg)
{
        struct fake *f = arg;
        struct fake_conn *c = xcalloc(1, sizeof(*c));

        c->fake = f;
        c->call = call;
        c->next = f->conns;
        f->conns = c;
        f->n_conns++;
        rpc_call_set_data(call, c);
        rpc_call_on_cancel(call, on_gone);
        rpc_call_read(call, on_request);
}

static void drain_connect(struct rpc_call *call, void *arg)
{
        (void)arg;
        end_conn(rpc_call_data(call), ERR_UNAVAILABLE);
}

/* ---- topo */

static void on_published(struct rpc_call *call, bool ok)
{
        struct fake *f = rpc_call_data(call);

        f->watcher_writing = false;
        if (ok && f->watcher == call && f->watcher_stale)
                fake_publish(f);
}

void fake_publish(struct fake *f)
{
        f->watcher_stale = true;
        if (!f->watcher || f->watcher_writing || !f->topology)
                return;
        f->watcher_stale = false;
        f->watcher_writing = true;
        rpc_call_write(f->watcher, rpc_pack(&f->topology->base), on_published);
}

static void end_watch(struct rpc_call *call)
{
        struct fake *f = rpc_call_data(call);
        struct err e = ERR_INIT;

        if (f->watcher == call)
                f->watcher = NULL;
        f->watcher_writing = false;
        err_set(&e, ERR_UNAVAILABLE, "TEST", "over");
        rpc_call_fail(call, &e);
}

static void drain_watch(struct rpc_call *call, void *arg)
{
        (void)arg;
        end_watch(call);
}

static void serve_watch(struct rpc_call *call, void *arg)
{
        struct fake *f = arg;

        rpc_call_set_data(call, f);
        rpc_call_on_cancel(call, end_watch);
        f->watcher = call;
        f->n_watches++;
        f->watcher_writing = false;
        fake_publish(f);
}

static void serve_heartbeat(struct rpc_call *call, void *arg)
{
        struct fake *f = arg;
        Shoal__V1__GateHeartbeatResponse m = SHOAL__V1__GATE_HEARTBEAT_RESPONSE__INIT;

        f->n_heartbeats++;
        m.heartbeat_ms = 20;
        m.epoch = f->epoch;
        m.lease_ms = f->lease_ms;
        rpc_call_reply_message(call, &m.base);
}

/* Whatever is asked. */
static void serve_decide(struct rpc_call *call, void *arg)
{
        struct fake *f = arg;
        Shoal__V1__DecideTransactionsResponse r = SHOAL__V1__DECIDE_TRANSACTIONS_RESPONSE__INIT;
        Shoal__V1__DecideTransactionsRequest *q;
        ProtobufCMessage *m;
        struct err e;

        ck_assert(
            !rpc_call_unpack(call, &shoal__v1__decide_transactions_request__descriptor, &m, &e));
        q = (Shoal__V1__DecideTransactionsRequest *)m;
        f->n_decisions += q->n_decisions;
        for (size_t i = 0; i < q->n_decisions; i++) {
                f->n_commits += q->decisions[i]->state ==
                                SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED;
                f->last_commit_ts = q->decisions[i]->commit_ts;
                f->n_last_participants = q->decisions[i]->n_participants;
        }
        r.decisions = q->decisions;
        r.n_decisions = q->n_decisions;
        r.store_id = (char *)"fake";
        r.store_revision = f->n_decisions;
        rpc_call_reply_message(call, &r.base);
        protobuf_c_message_free_unpacked(m, NULL);
}

/* No schema change is pending. */
static void serve_schema_change(struct rpc_call *call, void *arg)
{
        Shoal__V1__SchemaChange m = SHOAL__V1__SCHEMA_CHANGE__INIT;

        (void)arg;
        rpc_call_reply_message(call, &m.base);
}

/* ---- life */

void fake_start(struct fake *f, struct loop *l, const char *address)
{
        const struct rpc_method methods[] = {
                { .path = "/shoal.v1.Tablet/Connect",
                  .stream_in = true,
                  .on_start = serve_connect,
                  .on_drain = drain_connect,
                  .arg = f },
                { .path = "/shoal.v1.Topo/WatchTopology",
                  .on_start = serve_watch,
                  .on_drain = drain_watch,
                  .arg = f },
                { .path = "/shoal.v1.TopoInternal/GetSchemaChange",
                  .on_start = serve_schema_change,
                  .arg = f },
                { .path = "/shoal.v1.TopoInternal/DecideTransactions",
                  .on_start = serve_decide,
                  .arg = f },
                { .path = "/shoal.v1.TopoInternal/GateHeartbeat",
                  .on_start = serve_heartbeat,
                  .arg = f },
        };
        struct rpc_server_options o = {
                .address = address ? address : "127.0.0.1:0",
                .methods = methods,
                .n_methods = ARRAY_LEN(methods),
                .max_request_bytes = 64 << 20,
        };
        struct err e = ERR_INIT;

        f->loop = l;
        f->is_drained = false;
        ck_assert_msg(!rpc_server_start(l, &o, &f->server, &e), "%s", e.msg);
        snprintf(f->address, sizeof(f->address), "127.0.0.1:%d", rpc_server_port(f->server));
}

static void note_true(void *arg)
{
        *(bool *)arg = true;
}

void fake_stop(struct fake *f)
{
        if (f->server) {
                rpc_server_drain(f->server, 0, note_true, &f->is_drained);
                loop_run_until(f->loop, &f->is_drained);
                f->server = rpc_server_free(f->server);
        }
        for (size_t i = 0; i < f->n_requests; i++)
                shoal__v1__tablet_request__free_unpacked(f->requests[i].m, NULL);
        f->n_requests = 0;
        while (f->conns) {
                struct fake_conn *c = f->conns;

                f->conns = c->next;
                free(c->queue);
                free(c);
        }
        f->n_conns = 0;
}

struct alarm {
        struct loop_timer timer;
        bool done;
};

static void on_alarm(struct loop_timer *timer)
{
        CONTAINER_OF(timer, struct alarm, timer)->done = true;
}

void fake_linger(struct loop *l, unsigned ms)
{
        struct alarm a = { .timer.fn = on_alarm };

        loop_timer_set(l, &a.timer, mono_us() + (int64_t)ms * 1000);
        loop_run_until(l, &a.done);
}

/* Looks again after each millisecond: the test's own time limit ends it. */
void fake_wait(struct loop *l, const size_t *n, size_t at_least)
{
        while (*n < at_least)
                fake_linger(l, 1);
}
