/* What the gate knows of the cluster, and who waits for it to change. */
#include "gate/topology.h"
#include "tests/unit/gate/fake_cluster.h"

static struct loop *loop;
static struct fake fake;
static struct hlc hlc;
static struct rpc_channel *channel;
static struct topology *topology;
static size_t n_changes;

static void count_change(struct topology_listener *l)
{
        (void)l;
        n_changes++;
}

static struct topology_listener listener = { .on_change = count_change };

static void setup(void)
{
        struct rpc_channel_options co = { 0 };
        struct topology_options to = { .gate_id = "g", .advertise_address = "here:1" };

        memset(&fake, 0, sizeof(fake));
        n_changes = 0;
        loop = loop_new();
        hlc_init(&hlc, wall_us, 1000000);
        fake_start(&fake, loop, NULL);
        co.address = fake.address;
        channel = rpc_channel_new(loop, &co);
        to.loop = loop;
        to.topo = channel;
        to.hlc = &hlc;
        topology = topology_new(&to);
        topology_listen(topology, &listener);
}

static void teardown(void)
{
        topology_unlisten(topology, &listener);
        topology = topology_free(topology);
        channel = rpc_channel_free(channel);
        fake_stop(&fake);
        loop_free(loop);
        cluster_free(&fake);
}

static void publish(void)
{
        size_t n = n_changes + 1;

        fake_publish(&fake);
        fake_wait(loop, &n_changes, n);
}

START_TEST(lookups)
{
        cleanup_(catalog_unrefp) struct catalog *c = NULL, *d = NULL;
        struct err e = ERR_INIT;

        ck_assert_int_eq(topology_find(topology, "", 0, &c, &e), ERR_UNAVAILABLE);
        ck_assert_str_eq(e.reason, "NO_TOPOLOGY");
        ck_assert_uint_eq(topology_version(topology), 0);
        cluster_make(&fake, 5);
        cluster_add_keyspace(&fake, 1, "main", 2, 3);
        cluster_add_keyspace(&fake, 2, "other", 1, 1);
        cluster_add_tablet(&fake, "t-0", "a:1");
        publish();
        ck_assert_uint_eq(topology_version(topology), 5);
        ck_assert_uint_eq(topology_n_tablets(topology), 1);
        ck_assert_str_eq(topology_tablet_at(topology, 0)->address, "a:1");
        ck_assert_int_eq(topology_find(topology, "", 0, &c, &e), ERR_OK);
        ck_assert_str_eq(catalog_name(c), "main");
        ck_assert_uint_eq(catalog_schema_version(c), 3);
        ck_assert_uint_eq(shard_map_size(catalog_shards(c)), 2);
        ck_assert_int_eq(topology_find(topology, "otherwise", 5, &d, &e), ERR_OK);
        ck_assert_uint_eq(catalog_id(d), 2);
        ck_assert_ptr_eq(topology_find_id(topology, 1), c);
        ck_assert_ptr_null(topology_find_id(topology, 9));
        ck_assert_int_eq(topology_find(topology, "mai", 3, &d, &e), ERR_NOT_FOUND);
        ck_assert_int_eq(topology_find(topology, "main\0x", 6, &d, &e), ERR_NOT_FOUND);
        ck_assert_str_eq(e.reason, "UNKNOWN_KEYSPACE");
}
END_TEST

/* Catalogs stay as long as nothing about their keyspace changes, and while someone holds them. */
START_TEST(changes)
{
        cleanup_(catalog_unrefp) struct catalog *c = NULL;
        struct err e = ERR_INIT;

        cluster_make(&fake, 1);
        cluster_add_keyspace(&fake, 1, "main", 2, 1);
        cluster_add_keyspace(&fake, 2, "gone", 2, 1);
        cluster_add_tablet(&fake, "t-0", "a:1");
        publish();
        ck_assert_int_eq(topology_find(topology, "main", 4, &c, &e), ERR_OK);
        fake.topology->version = 2;
        publish();
        ck_assert_ptr_eq(topology_find_id(topology, 1), c);
        cluster_free(&fake);
        cluster_make(&fake, 3);
        cluster_add_keyspace(&fake, 1, "main", 2, 2);
        cluster_add_tablet(&fake, "t-1", "b:1");
        publish();
        ck_assert_ptr_ne(topology_find_id(topology, 1), c);
        ck_assert_uint_eq(catalog_schema_version(c), 1);
        ck_assert_ptr_null(topology_find_id(topology, 2));
        ck_assert_uint_eq(topology_n_tablets(topology), 1);
        ck_assert_str_eq(topology_tablet_at(topology, 0)->id, "t-1");
}
END_TEST

/* One keyspace that makes no sense does not take the others with it. */
START_TEST(unusable_keyspace)
{
        cleanup_(catalog_unrefp) struct catalog *c = NULL;
        struct err e = ERR_INIT;

        cluster_make(&fake, 1);
        cluster_add_keyspace(&fake, 1, "bad", 2, 1);
        cluster_add_table(&fake, 0, "t", "CREATE TABLE nonsense", NULL);
        cluster_add_keyspace(&fake, 2, "main", 2, 1);
        publish();
        ck_assert_int_eq(topology_find(topology, "bad", 3, &c, &e), ERR_INTERNAL);
        ck_assert_str_eq(e.reason, "BAD_SCHEMA");
        ck_assert_int_eq(topology_find(topology, "main", 4, &c, &e), ERR_OK);
}
END_TEST

struct waiting {
        struct topology_wait w;
        size_t n_reached, n_late;
};

static void on_wait(struct topology_wait *w, bool reached)
{
        struct waiting *x = CONTAINER_OF(w, struct waiting, w);

        x->n_reached += reached;
        x->n_late += !reached;
}

static int64_t in_ms(int64_t ms)
{
        return mono_us() + ms * 1000;
}

START_TEST(waits)
{
        struct waiting schema = { .w.fn = on_wait }, version = { .w.fn = on_wait };
        static struct waiting late;
        struct waiting none = { .w.fn = on_wait };
        struct waiting at_once = { .w.fn = on_wait }, gone = { .w.fn = on_wait };

        cluster_make(&fake, 1);
        cluster_add_keyspace(&fake, 1, "main", 2, 1);
        publish();
        topology_wait_schema(topology, &schema.w, 1, 2, in_ms(60000));
        topology_wait_version(topology, &version.w, 2, in_ms(60000));
        late = (struct waiting){ .w.fn = on_wait };
        topology_wait_schema(topology, &late.w, 1, 9, in_ms(20));
        topology_wait_schema(topology, &none.w, 1, 2, in_ms(60000));
        topology_wait_schema(topology, &at_once.w, 1, 1, in_ms(60000));
        topology_wait_schema(topology, &gone.w, 7, 5, in_ms(60000));
        topology_wait_cancel(&none.w);
        topology_wait_cancel(&none.w);
        ck_assert_uint_eq(at_once.n_reached, 0);
        fake_wait(loop, &at_once.n_reached, 1);
        fake_wait(loop, &gone.n_reached, 1);
        fake_wait(loop, &late.n_late, 1);
        ck_assert_uint_eq(schema.n_reached + version.n_reached, 0);
        fake.topology->version = 2;
        fake.topology->keyspaces[0]->schema_version = 2;
        publish();
        fake_wait(loop, &schema.n_reached, 1);
        fake_wait(loop, &version.n_reached, 1);
        ck_assert_uint_eq(none.n_reached + none.n_late, 0);
        /* Left waiting when the topology goes: forgotten. */
        topology_wait_version(topology, &late.w, 99, in_ms(60000));
}
END_TEST

/* While topo is away the gate goes on with what it knows, and finds it again. */
START_TEST(topo_comes_back)
{
        char address[64];

        cluster_make(&fake, 1);
        cluster_add_keyspace(&fake, 1, "main", 2, 1);
        publish();
        memcpy(address, fake.address, sizeof(address));
        fake_stop(&fake);
        fake_linger(loop, 20);
        ck_assert_ptr_nonnull(topology_find_id(topology, 1));
        fake.topology->version = 4;
        fake_start(&fake, loop, address);
        /* Not told by the number of changes: the gate's first epoch is one, too. */
        while (topology_version(topology) != 4)
                fake_linger(loop, 1);
        ck_assert_uint_eq(fake.n_watches, 2);
}
END_TEST

START_TEST(epoch)
{
        ck_assert_uint_eq(topology_epoch(topology), 0);
        fake.epoch = 17;
        fake.lease_ms = 60000;
        while (topology_epoch(topology) != 17)
                fake_linger(loop, 1);
        fake.lease_ms = 1; /* from now on it runs out before the next heartbeat */
        while (topology_epoch(topology))
                fake_linger(loop, 1);
        ck_assert_str_eq(topology_gate_id(topology), "g");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/topology");
        TCase *t = tcase_create("topology");

        tcase_set_timeout(t, 30);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, lookups);
        tcase_add_test(t, changes);
        tcase_add_test(t, unusable_keyspace);
        tcase_add_test(t, waits);
        tcase_add_test(t, topo_comes_back);
        tcase_add_test(t, epoch);
        suite_add_tcase(s, t);
        return unit_run(s);
}
