/* Topo over gRPC: a server and its clients in one process. */
#include "rpc/client.h"
#include "tests/unit/topo/fixture.h"
#include "topo/service.h"
#include "topo/watch.h"

static struct service *service;
static struct rpc_channel *channel;

static void open_service(void)
{
        struct err err = ERR_INIT;
        char address[64];

        ck_assert_msg(!service_start(fx.topo, "127.0.0.1:0", &service, &err), "%s", err.msg);
        snprintf(address, sizeof address, "127.0.0.1:%d", rpc_server_port(service_server(service)));
        channel = rpc_channel_new(fx.loop, &(struct rpc_channel_options){ .address = address });
}

static void set_up(void)
{
        fx_start();
        open_service();
}

static void drain(void)
{
        bool drained = false;

        rpc_server_drain(service_server(service), 60000, fx_note_true, &drained);
        loop_run_until(fx.loop, &drained);
        service = service_free(service);
}

static void tear_down(void)
{
        channel = rpc_channel_free(channel);
        if (service)
                drain();
        fx_stop();
}

/* ---------------------------------------------------------------- unary calls */

static void note_unary(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct fx_answer *a = arg;

        a->done = true;
        a->err = *e;
        if (!e->code && a->descriptor)
                a->reply = protobuf_c_message_unpack(a->descriptor, NULL, n_bytes, body);
}

static struct fx_answer call(const char *path, const ProtobufCMessage *rq,
                             const ProtobufCMessageDescriptor *reply)
{
        struct fx_answer a = { .err = ERR_INIT, .descriptor = reply };

        rpc_unary(channel, path, rpc_pack(rq), INT64_MAX, note_unary, &a);
        loop_run_until(fx.loop, &a.done);
        return a;
}

START_TEST(calls_arrive)
{
        Shoal__V1__CreateKeyspaceRequest create = SHOAL__V1__CREATE_KEYSPACE_REQUEST__INIT;
        Shoal__V1__TabletHeartbeatRequest beat = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;
        Shoal__V1__GetTopologyRequest get = SHOAL__V1__GET_TOPOLOGY_REQUEST__INIT;
        char name[] = "main", id[] = "t0", address[] = "host:1";
        const Shoal__V1__Topology *t;
        struct fx_answer a;

        create.name = name;
        a = call("/shoal.v1.Topo/CreateKeyspace", &create.base, &shoal__v1__keyspace__descriptor);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "NO_TABLETS");
        beat.id = id;
        beat.address = address;
        a = call("/shoal.v1.TopoInternal/TabletHeartbeat", &beat.base,
                 &shoal__v1__tablet_heartbeat_response__descriptor);
        fx_assert_ok(&a);
        fx_done(&a);
        a = call("/shoal.v1.Topo/CreateKeyspace", &create.base, &shoal__v1__keyspace__descriptor);
        fx_assert_ok(&a);
        ck_assert_uint_eq(((Shoal__V1__Keyspace *)a.reply)->n_shards, TOPO_DEFAULT_SHARDS);
        fx_done(&a);
        a = call("/shoal.v1.Topo/GetTopology", &get.base, &shoal__v1__topology__descriptor);
        fx_assert_ok(&a);
        t = (Shoal__V1__Topology *)a.reply;
        ck_assert_uint_eq(t->n_keyspaces, 1);
        ck_assert_uint_eq(t->n_tablets, 1);
        get.since_version = t->version - 1;
        fx_done(&a);
        a = call("/shoal.v1.Topo/GetTopology", &get.base, &shoal__v1__topology__descriptor);
        fx_assert_ok(&a);
        t = (Shoal__V1__Topology *)a.reply;
        ck_assert_uint_eq(t->n_keyspaces, 1);
        get.since_version = t->version;
        fx_done(&a);
        a = call("/shoal.v1.Topo/GetTopology", &get.base, &shoal__v1__topology__descriptor);
        fx_assert_ok(&a);
        t = (Shoal__V1__Topology *)a.reply;
        ck_assert_uint_eq(t->version, get.since_version);
        ck_assert_uint_eq(t->n_keyspaces, 0);
        fx_done(&a);
}
END_TEST

/* Every method of both services answers, if only that it is not there yet. */
static const struct {
        const char *path;
        enum err_code want; /* of an empty request, without tablets, gates or keyspaces */
        const char *reason;
} methods[] = {
        { "/shoal.v1.Topo/CreateKeyspace", ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "/shoal.v1.Topo/DropKeyspace", ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "/shoal.v1.Topo/GetTopology", ERR_OK, "" },
        { "/shoal.v1.Topo/GetVSchema", ERR_NOT_FOUND, "UNKNOWN_KEYSPACE" },
        { "/shoal.v1.Topo/ApplyVSchema", ERR_INVALID, "BAD_VSCHEMA" },
        { "/shoal.v1.Topo/ListTransactions", ERR_OK, "" },
        { "/shoal.v1.Topo/ResolveTransaction", ERR_INVALID, "BAD_TRANSACTION" },
        { "/shoal.v1.TopoInternal/DecideTransactions", ERR_INVALID, "BAD_TRANSACTION" },
        { "/shoal.v1.TopoInternal/ReportTransactions", ERR_OK, "" },
        { "/shoal.v1.TopoInternal/FindTransactionRecord", ERR_INVALID, "BAD_TRANSACTION" },
        { "/shoal.v1.TopoInternal/FindGate", ERR_NOT_FOUND, "UNKNOWN_GATE" },
        { "/shoal.v1.TopoInternal/TabletHeartbeat", ERR_INVALID, "BAD_ID" },
        { "/shoal.v1.TopoInternal/GateHeartbeat", ERR_INVALID, "BAD_ID" },
        { "/shoal.v1.TopoInternal/AllocateIds", ERR_UNAVAILABLE, "GATE_LEASE_ENDED" },
        { "/shoal.v1.TopoInternal/BeginSchemaChange", ERR_UNAVAILABLE, "GATE_LEASE_ENDED" },
        { "/shoal.v1.TopoInternal/EndSchemaChange", ERR_NOT_FOUND, "UNKNOWN_KEYSPACE" },
        { "/shoal.v1.TopoInternal/GetSchemaChange", ERR_NOT_FOUND, "UNKNOWN_KEYSPACE" },
        { "/shoal.v1.Topo/Nonsense", ERR_UNIMPLEMENTED, "UNKNOWN_METHOD" },
};

START_TEST(every_method_answers)
{
        Shoal__V1__GetTopologyRequest empty = SHOAL__V1__GET_TOPOLOGY_REQUEST__INIT;
        struct fx_answer a = call(methods[_i].path, &empty.base, NULL);

        ck_assert_msg(a.err.code == methods[_i].want && !strcmp(a.err.reason, methods[_i].reason),
                      "%s: %s %s", methods[_i].path, err_code_name(a.err.code), a.err.reason);
}
END_TEST

/* Truncated and random requests: an answer each, and the server lives. */
START_TEST(nonsense_is_refused)
{
        uint64_t x = 88172645463325252u;

        for (size_t i = 0; i < 40 * ARRAY_LEN(methods); i++) {
                struct fx_answer a = { .err = ERR_INIT };
                struct buf b = BUF_INIT(0);

                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                for (uint64_t n = x % 60; n > 0; n--) {
                        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                        buf_add_byte(&b, (uint8_t)x);
                }
                rpc_unary(channel, methods[i % ARRAY_LEN(methods)].path, rpc_from_buf(&b),
                          INT64_MAX, note_unary, &a);
                loop_run_until(fx.loop, &a.done);
                ck_assert_int_ne(a.err.code, ERR_INTERNAL);
        }
}
END_TEST

/* ---------------------------------------------------------------- watching */

struct watcher {
        struct rpc_stream *stream;
        bool woken; /* something has happened */
        unsigned n;
        uint64_t version;
        size_t n_keyspaces, n_tablets, n_healthy;
        bool ended;
        struct err end;
};

static void on_message(void *arg, const grpc_slice *slice)
{
        struct watcher *w = arg;
        Shoal__V1__Topology *t = shoal__v1__topology__unpack(NULL, GRPC_SLICE_LENGTH(*slice),
                                                             GRPC_SLICE_START_PTR(*slice));

        ck_assert_ptr_nonnull(t);
        ck_assert_uint_gt(t->version, w->version);
        w->n++;
        w->woken = true;
        w->version = t->version;
        w->n_keyspaces = t->n_keyspaces;
        w->n_tablets = t->n_tablets;
        w->n_healthy = 0;
        for (size_t i = 0; i < t->n_tablets; i++)
                w->n_healthy += t->tablets[i]->healthy;
        shoal__v1__topology__free_unpacked(t, NULL);
}

static void on_end(void *arg, const struct err *e)
{
        struct watcher *w = arg;

        w->ended = true;
        w->woken = true;
        w->end = *e;
}

static const struct rpc_stream_events watcher_events = { .on_message = on_message,
                                                         .on_end = on_end };

static void watch(struct watcher *w, uint64_t since_version)
{
        Shoal__V1__GetTopologyRequest rq = SHOAL__V1__GET_TOPOLOGY_REQUEST__INIT;

        *w = (struct watcher){ 0 };
        rq.since_version = since_version;
        w->stream = rpc_stream_open(channel, "/shoal.v1.Topo/WatchTopology", &watcher_events, w);
        rpc_stream_write(w->stream, rpc_pack(&rq.base));
        rpc_stream_close_send(w->stream);
}

static void wait_version(struct watcher *w, uint64_t version)
{
        while (w->version < version && !w->ended) {
                w->woken = false;
                loop_run_until(fx.loop, &w->woken);
        }
        ck_assert_msg(!w->ended, "%s", w->end.msg);
}

START_TEST(watchers_are_told)
{
        struct watcher w, late;

        watch(&w, 0);
        wait_version(&w, topo_version(fx.topo));
        ck_assert_uint_eq(w.n, 1);
        ck_assert_uint_eq(w.n_tablets, 0);
        fx_tablet("t0");
        wait_version(&w, topo_version(fx.topo));
        ck_assert_uint_eq(w.n_healthy, 1);
        fx_keyspace("main");
        wait_version(&w, topo_version(fx.topo));
        ck_assert_uint_eq(w.n_keyspaces, 1);
        watch(&late, w.version);
        fx_pass_ms(4 * HEARTBEAT_MS);
        wait_version(&w, topo_version(fx.topo));
        ck_assert_uint_eq(w.n_healthy, 0);
        ck_assert_uint_eq(w.n_tablets, 1);
        wait_version(&late, topo_version(fx.topo));
        /* It had the version before, so this was its first. */
        ck_assert_uint_eq(late.n, 1);
        ck_assert_uint_eq(late.version, w.version);
        rpc_stream_free(w.stream);
        rpc_stream_free(late.stream);
}
END_TEST

START_TEST(watchers_hear_of_nothing_else)
{
        uint64_t epoch, keyspace;
        struct watcher w;
        unsigned n;

        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        keyspace = fx_keyspace("main");
        watch(&w, 0);
        wait_version(&w, topo_version(fx.topo));
        n = w.n;
        /* Heartbeats, a gate that comes, a change that begins: none of it shows. */
        fx_tablet("t0");
        fx_gate("g1", 1);
        {
                struct fx_answer a = fx_begin(keyspace, 0, "g0", epoch, "t");

                fx_assert_ok(&a);
                fx_done(&a);
        }
        fx_tablet("t1");
        wait_version(&w, topo_version(fx.topo));
        ck_assert_uint_le(w.n, n + 2);
        rpc_stream_free(w.stream);
}
END_TEST

START_TEST(a_slow_watcher_gets_the_newest)
{
        enum { CHANGES = 60 };
        struct watcher w, quick;
        char name[16];

        fx_tablet("t0");
        watch(&w, 0);
        watch(&quick, 0);
        wait_version(&w, 1);
        rpc_stream_pause(w.stream, true);
        for (int i = 0; i < CHANGES; i++) {
                struct fx_answer a;

                snprintf(name, sizeof name, "k%d", i);
                a = fx_create(name, TOPO_MAX_SHARDS, "");
                fx_assert_ok(&a);
                fx_done(&a);
                wait_version(&quick, topo_version(fx.topo));
        }
        ck_assert_uint_gt(quick.n, CHANGES);
        rpc_stream_pause(w.stream, false);
        wait_version(&w, topo_version(fx.topo));
        ck_assert_uint_eq(w.n_keyspaces, CHANGES);
        ck_assert_uint_lt(w.n, CHANGES / 2);
        rpc_stream_free(w.stream);
        rpc_stream_free(quick.stream);
}
END_TEST

START_TEST(watchers_go_and_come)
{
        struct watcher w[20];

        for (int round = 0; round < 3; round++) {
                for (size_t i = 0; i < ARRAY_LEN(w); i++)
                        watch(&w[i], 0);
                for (size_t i = 0; i < ARRAY_LEN(w); i++)
                        wait_version(&w[i], 1);
                ck_assert_uint_eq(watchers_count(fx.topo->watchers), ARRAY_LEN(w));
                for (size_t i = 0; i < ARRAY_LEN(w); i++) {
                        if (i % 2)
                                rpc_stream_cancel(w[i].stream);
                        else
                                rpc_stream_free(w[i].stream);
                }
                for (size_t i = 1; i < ARRAY_LEN(w); i += 2) {
                        if (!w[i].ended) {
                                w[i].woken = false;
                                loop_run_until(fx.loop, &w[i].woken);
                        }
                        ck_assert_int_eq(w[i].end.code, ERR_CANCELLED);
                        rpc_stream_free(w[i].stream);
                }
                while (watchers_count(fx.topo->watchers))
                        fx_settle();
        }
}
END_TEST

START_TEST(there_is_a_limit_of_watchers)
{
        struct watcher w[3], late;

        fx.topo->options.max_watchers = ARRAY_LEN(w);
        for (size_t i = 0; i < ARRAY_LEN(w); i++) {
                watch(&w[i], 0);
                wait_version(&w[i], 1);
        }
        watch(&late, 0);
        loop_run_until(fx.loop, &late.woken);
        ck_assert(late.ended);
        ck_assert_int_eq(late.end.code, ERR_EXHAUSTED);
        ck_assert_str_eq(late.end.reason, "TOPO_LIMIT");
        rpc_stream_free(late.stream);
        rpc_stream_free(w[0].stream);
        while (watchers_count(fx.topo->watchers) == ARRAY_LEN(w))
                fx_settle();
        watch(&late, 0);
        wait_version(&late, 1);
        rpc_stream_free(late.stream);
        rpc_stream_free(w[1].stream);
        rpc_stream_free(w[2].stream);
}
END_TEST

START_TEST(draining_ends_watchers)
{
        struct watcher w;

        watch(&w, 0);
        wait_version(&w, 1);
        drain();
        if (!w.ended)
                loop_run_until(fx.loop, &w.ended);
        /* The reason may be lost with the connection. */
        ck_assert_int_eq(w.end.code, ERR_UNAVAILABLE);
        rpc_stream_free(w.stream);
}
END_TEST

START_TEST(a_restart_is_a_later_version)
{
        struct watcher w, again;

        fx_tablet("t0");
        watch(&w, 0);
        wait_version(&w, topo_version(fx.topo));
        rpc_stream_free(w.stream);
        channel = rpc_channel_free(channel);
        drain();
        fx_restart();
        open_service();
        watch(&again, w.version);
        again.version = w.version;
        wait_version(&again, w.version + 1);
        ck_assert_uint_eq(again.n_tablets, 1);
        rpc_stream_free(again.stream);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/service");
        TCase *t = tcase_create("service");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, calls_arrive);
        tcase_add_loop_test(t, every_method_answers, 0, ARRAY_LEN(methods));
        tcase_add_test(t, nonsense_is_refused);
        tcase_add_test(t, watchers_are_told);
        tcase_add_test(t, watchers_hear_of_nothing_else);
        tcase_add_test(t, a_slow_watcher_gets_the_newest);
        tcase_add_test(t, watchers_go_and_come);
        tcase_add_test(t, there_is_a_limit_of_watchers);
        tcase_add_test(t, draining_ends_watchers);
        tcase_add_test(t, a_restart_is_a_later_version);
        suite_add_tcase(s, t);
        return unit_run(s);
}
