/* test_topo_link.c - the line to topo: the topology comes, heartbeats go, and both come back after
 * topo was away. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/server.h"
#include "tablet/topo_link.h"
#include "tests/unit/unit.h"

enum { HEARTBEAT_MS = 20, MAX_WATCHERS = 16 };

static struct {
        char dir[64];
        struct loop *loop;
        struct hlc hlc;
        struct pool *pool;
        struct engine *engine;
        struct registry *registry;
        struct topo_link *link;
        char address[32];

        /* The topo. */
        struct rpc_server *server;
        bool is_drained;
        struct rpc_call *watchers[MAX_WATCHERS];
        size_t n_watchers;
        uint64_t version; /* of what watchers are told */
        bool send_junk;
        enum err_code refuse_beats;
        size_t n_beats, n_topologies;
        Shoal__V1__TabletHeartbeatRequest *last_beat;
        uint64_t hlc_told;
} w;

/* ---- a topo */

static void on_written(struct rpc_call *call, bool ok)
{
}

static void tell(struct rpc_call *call)
{
        Shoal__V1__Topology topology = SHOAL__V1__TOPOLOGY__INIT;
        Shoal__V1__Keyspace keyspace = SHOAL__V1__KEYSPACE__INIT, *keyspaces[] = { &keyspace };
        Shoal__V1__Shard shard = SHOAL__V1__SHARD__INIT, *shards[] = { &shard };
        struct buf junk = BUF_INIT(0);

        if (w.send_junk) {
                buf_add(&junk, "\x0a\x7fjunk", 6);
                rpc_call_write(call, rpc_from_buf(&junk), on_written);
                return;
        }
        keyspace.id = 1;
        keyspace.n_shards = 1;
        keyspace.shards = shards;
        shard.name = (char *)"-";
        shard.tablet = (char *)"tablet-0";
        shard.epoch = w.version;
        topology.version = w.version;
        topology.n_keyspaces = 1;
        topology.keyspaces = keyspaces;
        rpc_call_write(call, rpc_pack(&topology.base), on_written);
}

static void forget_watcher(struct rpc_call *call)
{
        struct err e;

        for (size_t i = 0; i < w.n_watchers; i++)
                if (w.watchers[i] == call)
                        w.watchers[i] = NULL;
        err_set(&e, ERR_CANCELLED, "CANCELLED", "gone");
        rpc_call_fail(call, &e);
}

static void on_watch(struct rpc_call *call, void *arg)
{
        ck_assert_uint_lt(w.n_watchers, MAX_WATCHERS);
        w.watchers[w.n_watchers++] = call;
        rpc_call_on_cancel(call, forget_watcher);
        tell(call);
}

static void on_beat(struct rpc_call *call, void *arg)
{
        Shoal__V1__TabletHeartbeatResponse rs = SHOAL__V1__TABLET_HEARTBEAT_RESPONSE__INIT;
        ProtobufCMessage *m = NULL;
        struct err e = ERR_INIT;

        w.n_beats++;
        ck_assert_int_eq(
            rpc_call_unpack(call, &shoal__v1__tablet_heartbeat_request__descriptor, &m, &e),
            ERR_OK);
        if (w.last_beat)
                shoal__v1__tablet_heartbeat_request__free_unpacked(w.last_beat, NULL);
        w.last_beat = (Shoal__V1__TabletHeartbeatRequest *)m;
        if (w.refuse_beats) {
                err_set(&e, w.refuse_beats, "TEST", "as the test wants it");
                rpc_call_fail(call, &e);
                return;
        }
        rs.heartbeat_ms = HEARTBEAT_MS;
        rs.hlc = w.hlc_told;
        rpc_call_reply_message(call, &rs.base);
}

static void start_topo(void)
{
        static const struct rpc_method methods[] = {
                { .path = "/shoal.v1.Topo/WatchTopology", .on_start = on_watch },
                { .path = "/shoal.v1.TopoInternal/TabletHeartbeat", .on_start = on_beat },
        };
        struct rpc_server_options o = { .address = w.address,
                                        .methods = methods,
                                        .n_methods = ARRAY_LEN(methods) };
        struct err e = ERR_INIT;

        ck_assert_msg(rpc_server_start(w.loop, &o, &w.server, &e) == ERR_OK, "%s", e.msg);
        snprintf(w.address, sizeof w.address, "127.0.0.1:%d", rpc_server_port(w.server));
        w.is_drained = false;
}

static void on_drained(void *arg)
{
        w.is_drained = true;
}

static void stop_topo(void)
{
        struct err e;

        err_set(&e, ERR_UNAVAILABLE, "TEST", "topo goes");
        for (size_t i = 0; i < w.n_watchers; i++)
                if (w.watchers[i])
                        rpc_call_fail(w.watchers[i], &e);
        w.n_watchers = 0;
        rpc_server_drain(w.server, 100, on_drained, NULL);
        loop_run_until(w.loop, &w.is_drained);
        w.server = rpc_server_free(w.server);
}

/* ---- the tablet's end */

static void on_topology(void *arg)
{
        w.n_topologies++;
}

static void set_up(void)
{
        struct engine_options eo = { .data_dir = w.dir };
        struct registry_options ro = { .id = "tablet-0", .data_dir = w.dir };
        struct topo_link_options lo = { .id = "tablet-0",
                                        .address = "1.2.3.4:5",
                                        .topo_address = w.address,
                                        .incarnation = 77,
                                        .max_topology_bytes = 1 << 20,
                                        .on_topology = on_topology };
        struct err e = ERR_INIT;

        memset(&w, 0, sizeof w);
        unit_temp_template(w.dir, sizeof w.dir, "shoal-tablet");
        ck_assert(mkdtemp(w.dir) != NULL);
        hlc_init(&w.hlc, wall_us, 500 * 1000);
        snprintf(w.address, sizeof w.address, "127.0.0.1:0");
        w.version = 3;
        w.loop = loop_new();
        start_topo();
        w.pool = pool_new("worker", 2);
        eo.writers = ro.pool = w.pool;
        eo.hlc = lo.hlc = &w.hlc;
        ck_assert_int_eq(engine_new(&eo, &w.engine, &e), ERR_OK);
        ro.engine = w.engine;
        ro.loop = lo.loop = w.loop;
        ck_assert_int_eq(registry_new(&ro, &w.registry, &e), ERR_OK);
        lo.registry = w.registry;
        w.link = topo_link_new(&lo);
}

static void on_closed(void *arg)
{
        *(bool *)arg = true;
}

static void tear_down(void)
{
        bool is_closed = false;
        char command[128];

        w.link = topo_link_free(w.link);
        if (w.server)
                stop_topo();
        registry_close(w.registry, on_closed, &is_closed);
        loop_run_until(w.loop, &is_closed);
        registry_free(w.registry);
        pool_free(w.pool);
        engine_free(w.engine);
        loop_free(w.loop);
        if (w.last_beat)
                shoal__v1__tablet_heartbeat_request__free_unpacked(w.last_beat, NULL);
        snprintf(command, sizeof command, "rm -rf '%s'", w.dir);
        ck_assert_int_eq(system(command), 0);
}

struct looking {
        struct loop_timer timer;
        bool (*cond)(void);
        bool is_true;
};

static void look(struct loop_timer *t)
{
        struct looking *x = CONTAINER_OF(t, struct looking, timer);

        x->is_true = x->cond();
        if (!x->is_true)
                loop_timer_set(w.loop, t, mono_us() + 1000);
}

static void until(bool (*cond)(void))
{
        struct looking x = { .timer.fn = look, .cond = cond };

        look(&x.timer);
        loop_run_until(w.loop, &x.is_true);
}

static bool has_topology(void)
{
        return registry_version(w.registry) == w.version && registry_is_ready(w.registry);
}

static size_t beats_wanted;

static bool has_beats(void)
{
        return w.n_beats >= beats_wanted;
}

static void await_beats(size_t n)
{
        beats_wanted = w.n_beats + n;
        until(has_beats);
}

static bool serves(uint64_t epoch)
{
        struct served_shard *s;
        struct err e;

        if (registry_hold(w.registry, 1, "-", 1, epoch, &s, &e))
                return false;
        registry_let_go(s);
        return true;
}

/* ---- tests */

START_TEST(learns_and_reports)
{
        uint64_t told = hlc_from_us(wall_us() + 300 * 1000);

        until(has_topology);
        ck_assert_uint_eq(w.n_topologies, 1);
        ck_assert(serves(3));
        w.version = 4;
        tell(w.watchers[0]);
        until(has_topology);
        ck_assert(serves(4) && !serves(3));
        w.hlc_told = told;
        await_beats(3);
        ck_assert_str_eq(w.last_beat->id, "tablet-0");
        ck_assert_str_eq(w.last_beat->address, "1.2.3.4:5");
        ck_assert_uint_eq(w.last_beat->incarnation, 77);
        ck_assert_uint_eq(w.last_beat->shard_count, 1);
        ck_assert_uint_gt(w.last_beat->bytes_capacity, 0);
        ck_assert_uint_ge(w.last_beat->hlc, told);
}
END_TEST

static bool watches_again(void)
{
        return w.n_watchers > 0;
}

START_TEST(topo_goes_and_comes_back)
{
        until(has_topology);
        stop_topo();
        ck_assert(serves(3));
        w.version = 9;
        start_topo(); /* at the address it had */
        until(watches_again);
        until(has_topology);
        ck_assert(serves(9));
        await_beats(2);
}
END_TEST

static size_t watchers_wanted;

static bool has_watchers(void)
{
        return w.n_watchers >= watchers_wanted;
}

/* What cannot be read is not acted on; it asks again. */
START_TEST(junk)
{
        until(has_topology);
        w.send_junk = true;
        watchers_wanted = w.n_watchers + 2;
        tell(w.watchers[0]);
        until(has_watchers);
        ck_assert(serves(3));
        w.send_junk = false;
        w.version = 5;
        until(has_topology);
        ck_assert(serves(5));
}
END_TEST

START_TEST(refused_heartbeats)
{
        w.refuse_beats = ERR_UNAVAILABLE;
        await_beats(1);
        w.refuse_beats = ERR_OK;
        await_beats(3);
}
END_TEST

/* A clock that is far ahead is not taken over. */
START_TEST(a_wild_clock)
{
        w.hlc_told = hlc_from_us(wall_us() + 3600LL * 1000 * 1000);
        await_beats(3);
        ck_assert_uint_lt(w.last_beat->hlc, hlc_from_us(wall_us() + 60 * 1000 * 1000));
}
END_TEST

START_TEST(freed_at_once)
{
        w.link = topo_link_free(w.link);
}
END_TEST

START_TEST(freed_in_the_middle)
{
        await_beats(1);
        w.link = topo_link_free(w.link);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("topo_link");
        TCase *t = tcase_create("link");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_test(t, learns_and_reports);
        tcase_add_test(t, topo_goes_and_comes_back);
        tcase_add_test(t, junk);
        tcase_add_test(t, refused_heartbeats);
        tcase_add_test(t, a_wild_clock);
        tcase_add_test(t, freed_at_once);
        tcase_add_test(t, freed_in_the_middle);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
