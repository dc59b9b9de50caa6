/* Registration and health of tablets. */
#include "tests/unit/topo/fixture.h"

static const Shoal__V1__TabletInfo *find(const Shoal__V1__Topology *t, const char *id)
{
        for (size_t i = 0; i < t->n_tablets; i++)
                if (!strcmp(t->tablets[i]->id, id))
                        return t->tablets[i];
        return NULL;
}

/* As a letter: '-' absent, 'h' healthy, 'u' not. */
static char health_of(const char *id)
{
        Shoal__V1__Topology *t = fx_topology();
        const Shoal__V1__TabletInfo *info = find(t, id);
        char health = !info ? '-' : info->healthy ? 'h' : 'u';

        shoal__v1__topology__free_unpacked(t, NULL);
        return health;
}

static bool is_serving(void)
{
        Shoal__V1__Topology *t = fx_topology();
        bool serving = t->keyspaces[0]->shards[0]->serving;

        shoal__v1__topology__free_unpacked(t, NULL);
        return serving;
}

START_TEST(three_missed_beats_are_too_many)
{
        uint64_t version;

        ck_assert_int_eq(health_of("t0"), '-');
        fx_tablet("t0");
        fx_tablet("t1");
        ck_assert_int_eq(health_of("t0"), 'h');
        for (int i = 0; i < 3; i++) {
                fx_pass_ms(HEARTBEAT_MS);
                fx_tablet("t1");
                ck_assert_int_eq(health_of("t0"), 'h');
        }
        version = topo_version(fx.topo);
        fx_pass_ms(1);
        ck_assert_int_eq(health_of("t0"), 'u');
        ck_assert_int_eq(health_of("t1"), 'h');
        ck_assert_uint_gt(topo_version(fx.topo), version);
        version = topo_version(fx.topo);
        fx_pass_ms(1);
        ck_assert_uint_eq(topo_version(fx.topo), version);
        fx_tablet("t0");
        ck_assert_int_eq(health_of("t0"), 'h');
        ck_assert_uint_gt(topo_version(fx.topo), version);
}
END_TEST

START_TEST(a_beat_writes_only_what_is_new)
{
        uint64_t revision, version;
        struct fx_answer a;

        fx_tablet("t0");
        revision = catalog_revision(fx.topo->catalog);
        version = topo_version(fx.topo);
        for (int i = 0; i < 10; i++) {
                fx_pass_ms(HEARTBEAT_MS);
                fx_tablet("t0");
        }
        ck_assert_uint_eq(catalog_revision(fx.topo->catalog), revision);
        ck_assert_uint_eq(topo_version(fx.topo), version);
        a = fx_beat("t0", "127.0.0.1:2", 1);
        fx_assert_ok(&a);
        ck_assert_uint_eq(catalog_revision(fx.topo->catalog), revision + 1);
        ck_assert_uint_eq(((Shoal__V1__TabletHeartbeatResponse *)a.reply)->topology_version,
                          topo_version(fx.topo));
        ck_assert_uint_eq(((Shoal__V1__TabletHeartbeatResponse *)a.reply)->heartbeat_ms,
                          HEARTBEAT_MS);
        fx_done(&a);
        ck_assert_uint_gt(topo_version(fx.topo), version);
}
END_TEST

START_TEST(figures_are_those_of_the_last_beat)
{
        Shoal__V1__TabletHeartbeatRequest rq = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;
        char id[] = "t0", address[] = "[::1]:70";
        Shoal__V1__Topology *t;
        struct fx_answer a;

        rq.id = id;
        rq.address = address;
        for (uint64_t i = 1; i < 4; i++) {
                rq.bytes_used = i;
                rq.bytes_capacity = 1000 * i;
                rq.shard_count = (uint32_t)(10 * i);
                a = fx_call(&tablets_heartbeat, &rq.base,
                            &shoal__v1__tablet_heartbeat_response__descriptor);
                fx_assert_ok(&a);
                fx_done(&a);
                t = fx_topology();
                ck_assert_str_eq(t->tablets[0]->address, address);
                ck_assert_uint_eq(t->tablets[0]->bytes_used, i);
                ck_assert_uint_eq(t->tablets[0]->bytes_capacity, 1000 * i);
                ck_assert_uint_eq(t->tablets[0]->shard_count, 10 * i);
                shoal__v1__topology__free_unpacked(t, NULL);
        }
}
END_TEST

START_TEST(another_process_takes_the_id)
{
        Shoal__V1__Topology *t;
        struct fx_answer a;

        fx_tablet("t0");
        a = fx_beat("t0", "127.0.0.1:2", 2);
        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_beat("t0", "127.0.0.1:1", 1);
        fx_assert_failed(&a, ERR_PRECONDITION, "REPLACED");
        t = fx_topology();
        ck_assert_uint_eq(t->n_tablets, 1);
        ck_assert_str_eq(t->tablets[0]->address, "127.0.0.1:2");
        shoal__v1__topology__free_unpacked(t, NULL);
        /* Moving does not make it forget whom it has replaced. */
        a = fx_beat("t0", "127.0.0.1:3", 2);
        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_beat("t0", "127.0.0.1:1", 1);
        fx_assert_failed(&a, ERR_PRECONDITION, "REPLACED");
        fx_restart();
        a = fx_beat("t0", "127.0.0.1:1", 1);
        fx_assert_failed(&a, ERR_PRECONDITION, "REPLACED");
        a = fx_beat("t0", "127.0.0.1:1", 3);
        fx_assert_ok(&a);
        fx_done(&a);
}
END_TEST

START_TEST(unknown_after_a_restart_until_heard_of)
{
        uint64_t version;

        fx_tablet("t0");
        fx_tablet("t1");
        fx_keyspace("main");
        version = topo_version(fx.topo);
        fx_restart();
        ck_assert_uint_gt(topo_version(fx.topo), version);
        ck_assert_int_eq(health_of("t0"), 'u');
        ck_assert(is_serving());
        fx_tablet("t1");
        fx_pass_ms(3 * HEARTBEAT_MS);
        ck_assert(is_serving());
        ck_assert_int_eq(health_of("t1"), 'h');
        version = topo_version(fx.topo);
        fx_pass_ms(1);
        ck_assert(!is_serving());
        ck_assert_uint_gt(topo_version(fx.topo), version);
        fx_tablet("t0");
        ck_assert(is_serving());
        ck_assert_int_eq(health_of("t0"), 'h');
}
END_TEST

static const struct {
        const char *label, *id, *address, *reason;
} identities[] = {
        { "plain", "t0", "host:1", "" },
        { "all letters", "aZ09._-", "host:1", "" },
        { "63 letters", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "h:1",
          "" },
        { "64 letters", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "h:1",
          "BAD_ID" },
        { "no id", "", "host:1", "BAD_ID" },
        { "slash", "a/b", "host:1", "BAD_ID" },
        { "blank", "a b", "host:1", "BAD_ID" },
        { "not ASCII", "\xc3\xa4", "host:1", "BAD_ID" },
        { "no address", "t0", "", "BAD_ADDRESS" },
        { "no port", "t0", "host", "BAD_ADDRESS" },
        { "empty port", "t0", "host:", "BAD_ADDRESS" },
        { "empty host", "t0", ":1", "BAD_ADDRESS" },
        { "new line", "t0", "host\n:1", "BAD_ADDRESS" },
};

START_TEST(identities_are_checked)
{
        struct fx_answer a = fx_beat(identities[_i].id, identities[_i].address, 1);

        ck_assert_msg(!strcmp(a.err.reason, identities[_i].reason), "%s: %s", identities[_i].label,
                      a.err.reason);
        fx_done(&a);
        a = fx_gate_beat(identities[_i].id, identities[_i].address, 1);
        ck_assert_msg(!strcmp(a.err.reason, identities[_i].reason), "gate, %s: %s",
                      identities[_i].label, a.err.reason);
        ck_assert_int_eq(a.err.code, *identities[_i].reason ? ERR_INVALID : ERR_OK);
        fx_done(&a);
}
END_TEST

START_TEST(there_is_a_limit)
{
        static struct fx_answer a[TOPO_MAX_TABLETS + 1];
        Shoal__V1__TabletHeartbeatRequest rq = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;
        char address[] = "host:1", id[16];

        rq.id = id;
        rq.address = address;
        for (size_t i = 0; i <= TOPO_MAX_TABLETS; i++) {
                snprintf(id, sizeof id, "t%zu", i);
                if (i == TOPO_MAX_TABLETS)
                        fx_settle();
                fx_send(&tablets_heartbeat, &rq.base,
                        &shoal__v1__tablet_heartbeat_response__descriptor, &a[i]);
        }
        for (size_t i = 0; i < TOPO_MAX_TABLETS; i++) {
                fx_wait(&a[i]);
                fx_assert_ok(&a[i]);
                fx_done(&a[i]);
        }
        fx_wait(&a[TOPO_MAX_TABLETS]);
        fx_assert_failed(&a[TOPO_MAX_TABLETS], ERR_EXHAUSTED, "TOPO_LIMIT");
        fx_tablet("t0");
}
END_TEST

START_TEST(a_clock_too_far_ahead_is_not_taken)
{
        Shoal__V1__TabletHeartbeatRequest rq = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;
        char id[] = "t0", address[] = "host:1";
        uint64_t near = hlc_from_us(wall_us() + 400000), far = hlc_from_us(wall_us() + 3600000000);
        struct fx_answer a;

        rq.id = id;
        rq.address = address;
        rq.hlc = far;
        a = fx_call(&tablets_heartbeat, &rq.base,
                    &shoal__v1__tablet_heartbeat_response__descriptor);
        fx_assert_ok(&a);
        ck_assert_uint_lt(((Shoal__V1__TabletHeartbeatResponse *)a.reply)->hlc, far);
        fx_done(&a);
        rq.hlc = near;
        a = fx_call(&tablets_heartbeat, &rq.base,
                    &shoal__v1__tablet_heartbeat_response__descriptor);
        fx_assert_ok(&a);
        ck_assert_uint_ge(((Shoal__V1__TabletHeartbeatResponse *)a.reply)->hlc, near);
        fx_done(&a);
}
END_TEST

/* Health may change more often than a version has room for. */
START_TEST(versions_rise_for_ever)
{
        uint64_t before;

        fx_tablet("t0");
        before = topo_version(fx.topo);
        fx.topo->n_health_changes = 0xfffd;
        for (int i = 0; i < 8; i++) {
                uint64_t version = topo_version(fx.topo);

                fx_pass_ms(4 * HEARTBEAT_MS);
                fx_tablet("t0");
                fx_settle();
                ck_assert_uint_gt(topo_version(fx.topo), version);
        }
        ck_assert_uint_gt(topo_version(fx.topo) >> 16, before >> 16);
        /* What is counted here must not run ahead of the store's revisions. */
        before = topo_version(fx.topo);
        fx_tablet("t1");
        ck_assert_uint_gt(topo_version(fx.topo), before);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/tablets");
        TCase *t = tcase_create("tablets");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, fx_start, fx_stop);
        tcase_add_test(t, three_missed_beats_are_too_many);
        tcase_add_test(t, a_beat_writes_only_what_is_new);
        tcase_add_test(t, figures_are_those_of_the_last_beat);
        tcase_add_test(t, another_process_takes_the_id);
        tcase_add_test(t, unknown_after_a_restart_until_heard_of);
        tcase_add_loop_test(t, identities_are_checked, 0, ARRAY_LEN(identities));
        tcase_add_test(t, there_is_a_limit);
        tcase_add_test(t, a_clock_too_far_ahead_is_not_taken);
        tcase_add_test(t, versions_rise_for_ever);
        suite_add_tcase(s, t);
        return unit_run(s);
}
