/* Leases and epochs of gates. */
#include "tests/unit/topo/fixture.h"

START_TEST(epochs_rise_with_each_incarnation)
{
        uint64_t first = fx_gate("g0", 1), second, other;

        ck_assert_uint_eq(fx_gate("g0", 1), first);
        other = fx_gate("g1", 1);
        ck_assert_uint_gt(other, first);
        second = fx_gate("g0", 2);
        ck_assert_uint_gt(second, other);
        ck_assert_uint_eq(fx_gate("g1", 1), other);
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", second));
        ck_assert(!gates_is_alive(fx.topo->catalog, "g0", first));
        ck_assert(!gates_is_alive(fx.topo->catalog, "g2", 0));
}
END_TEST

START_TEST(beats_do_not_write)
{
        uint64_t epoch = fx_gate("g0", 1);
        uint64_t revision = catalog_revision(fx.topo->catalog);

        for (int i = 0; i < 20; i++) {
                fx_pass_ms(LEASE_MS - 100);
                ck_assert_uint_eq(fx_gate("g0", 1), epoch);
        }
        ck_assert_uint_eq(catalog_revision(fx.topo->catalog), revision);
}
END_TEST

START_TEST(silence_ends_the_lease)
{
        uint64_t epoch = fx_gate("g0", 1), again;
        struct fx_answer a;

        fx_pass_ms(LEASE_MS - 1);
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", epoch));
        fx_pass_ms(2);
        ck_assert(!gates_is_alive(fx.topo->catalog, "g0", epoch));
        again = fx_gate("g0", 1);
        ck_assert_uint_gt(again, epoch);
        a = fx_gate_beat("g0", "127.0.0.1:9", 1);
        fx_assert_ok(&a);
        ck_assert_uint_eq(((Shoal__V1__GateHeartbeatResponse *)a.reply)->lease_ms, LEASE_MS);
        ck_assert_uint_eq(((Shoal__V1__GateHeartbeatResponse *)a.reply)->heartbeat_ms,
                          HEARTBEAT_MS);
        fx_done(&a);
}
END_TEST

START_TEST(a_restart_of_topo_prolongs_leases)
{
        uint64_t epoch = fx_gate("g0", 1), gone = fx_gate("g1", 1);

        fx_pass_ms(LEASE_MS - 100);
        fx_restart();
        fx_pass_ms(LEASE_MS - 100);
        ck_assert(gates_is_alive(fx.topo->catalog, "g1", gone));
        ck_assert_uint_eq(fx_gate("g0", 1), epoch);
        fx_pass_ms(200);
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", epoch));
        ck_assert(!gates_is_alive(fx.topo->catalog, "g1", gone));
}
END_TEST

START_TEST(another_process_takes_the_id)
{
        uint64_t epoch;
        struct fx_answer a;

        fx_gate("g0", 1);
        epoch = fx_gate("g0", 2);
        a = fx_gate_beat("g0", "127.0.0.1:9", 1);
        fx_assert_failed(&a, ERR_PRECONDITION, "REPLACED");
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", epoch));
        /* The lease of the one before ends without harm. */
        for (int i = 0; i < 4; i++) {
                fx_pass_ms(LEASE_MS / 2);
                ck_assert_uint_eq(fx_gate("g0", 2), epoch);
        }
}
END_TEST

/* The lease has ended, but the catalogue has not heard of it yet. */
START_TEST(a_beat_just_too_late_gets_a_new_epoch)
{
        uint64_t epoch = fx_gate("g0", 1), again;

        fx.clock_us += (LEASE_MS + 1) * 1000;
        store_sqlite_end_leases(fx.store);
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", epoch));
        again = fx_gate("g0", 1);
        ck_assert_uint_gt(again, epoch);
        fx_settle();
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", again));
        fx_pass_ms(LEASE_MS - 1);
        ck_assert(gates_is_alive(fx.topo->catalog, "g0", again));
}
END_TEST

START_TEST(two_beats_at_once_are_one_epoch)
{
        Shoal__V1__GateHeartbeatRequest rq = SHOAL__V1__GATE_HEARTBEAT_REQUEST__INIT;
        char id[] = "g0", address[] = "host:1";
        struct fx_answer a[3];
        uint64_t epoch;

        rq.id = id;
        rq.address = address;
        rq.incarnation = 7;
        for (int i = 0; i < 3; i++)
                fx_send(&gates_heartbeat, &rq.base, &shoal__v1__gate_heartbeat_response__descriptor,
                        &a[i]);
        for (int i = 0; i < 3; i++) {
                fx_wait(&a[i]);
                fx_assert_ok(&a[i]);
                fx_done(&a[i]);
        }
        a[0] = fx_gate_beat("g0", address, 7);
        fx_assert_ok(&a[0]);
        epoch = ((Shoal__V1__GateHeartbeatResponse *)a[0].reply)->epoch;
        fx_done(&a[0]);
        for (int i = 0; i < 4; i++) {
                fx_pass_ms(LEASE_MS - 1);
                a[0] = fx_gate_beat("g0", address, 7);
                fx_assert_ok(&a[0]);
                ck_assert_uint_eq(((Shoal__V1__GateHeartbeatResponse *)a[0].reply)->epoch, epoch);
                fx_done(&a[0]);
        }
}
END_TEST

START_TEST(there_is_a_limit)
{
        char id[16];
        struct fx_answer a;

        for (int i = 0; i < TOPO_MAX_GATES; i++) {
                snprintf(id, sizeof id, "g%d", i);
                fx_gate(id, 1);
        }
        a = fx_gate_beat("another", "host:1", 1);
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        fx_gate("g0", 1);
        fx_pass_ms(LEASE_MS + 1);
        fx_gate("another", 1);
        ck_assert_uint_eq(catalog_count(fx.topo->catalog, "gate/"), 1);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/gates");
        TCase *t = tcase_create("gates");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, fx_start, fx_stop);
        tcase_add_test(t, epochs_rise_with_each_incarnation);
        tcase_add_test(t, beats_do_not_write);
        tcase_add_test(t, silence_ends_the_lease);
        tcase_add_test(t, a_restart_of_topo_prolongs_leases);
        tcase_add_test(t, another_process_takes_the_id);
        tcase_add_test(t, a_beat_just_too_late_gets_a_new_epoch);
        tcase_add_test(t, two_beats_at_once_are_one_epoch);
        tcase_add_test(t, there_is_a_limit);
        suite_add_tcase(s, t);
        return unit_run(s);
}
