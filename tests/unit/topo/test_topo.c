/* When the store is away, slow, or others are quicker. */
#include "tests/unit/topo/shaky.h"
#include "topo/keys.h"

/* ---------------------------------------------------------------- being away */

START_TEST(away_at_the_start)
{
        struct fx_answer a;

        fx_close();
        open_shaky();
        set_failing(ERR_UNAVAILABLE);
        a = fx_create("main", 1, "");
        fx_assert_failed(&a, ERR_UNAVAILABLE, "STORE_UNAVAILABLE");
        for (int i = 0; i < 3; i++) {
                fx_settle();
                topo_tick(fx.topo);
        }
        set_failing(ERR_OK);
        /* The first that was asked before the store failed may still come through. */
        while (!fx.ready) {
                fx_settle();
                topo_tick(fx.topo);
        }
        fx_tablet("t0");
        fx_keyspace("main");
}
END_TEST

START_TEST(away_for_a_while)
{
        uint64_t version;
        struct fx_answer a;

        fx_tablet("t0");
        fx_keyspace("main");
        version = topo_version(fx.topo);
        set_failing(ERR_UNAVAILABLE);
        /* A write tells first, the probe at the next tick. */
        a = fx_create("other", 1, "");
        fx_assert_failed(&a, ERR_UNAVAILABLE, "STORE_UNAVAILABLE");
        ck_assert(fx.ready);
        topo_tick(fx.topo);
        fx_settle();
        ck_assert(!fx.ready);
        a = fx_beat("t0", "127.0.0.1:1", 1);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "STORE_UNAVAILABLE");
        topo_tick(fx.topo);
        fx_settle();
        ck_assert(!fx.ready);
        set_failing(ERR_OK);
        topo_tick(fx.topo);
        fx_settle();
        fx_settle();
        ck_assert(fx.ready);
        ck_assert_uint_ge(topo_version(fx.topo), version);
        a = fx_create("main", 1, "");
        fx_assert_failed(&a, ERR_EXISTS, "KEYSPACE_EXISTS");
        fx_tablet("t0");
        fx_keyspace("other");
}
END_TEST

/* The watch breaks; what was written meanwhile is found by reading again. */
START_TEST(watch_breaks)
{
        struct err err = ERR_INIT;
        struct store_txn *x = store_txn_new();
        Shoal__V1__TabletRecord record = SHOAL__V1__TABLET_RECORD__INIT;
        char id[] = "t7", address[] = "host:1";
        Shoal__V1__Topology *t;

        shaky.hold_watch = true;
        record.id = id;
        record.address = address;
        op_put(x, key_tablet(id).s, &record.base, 0);
        store_commit(shaky.inner, x, NULL, NULL);
        fx_settle();
        err_set(&err, ERR_OUT_OF_RANGE, "COMPACTED", "made up");
        shaky.events->on_end(shaky.events_arg, &err);
        ck_assert(!fx.ready);
        shaky.hold_watch = false;
        topo_tick(fx.topo);
        fx_settle();
        fx_settle();
        ck_assert(fx.ready);
        t = fx_topology();
        ck_assert_uint_eq(t->n_tablets, 1);
        ck_assert_str_eq(t->tablets[0]->id, id);
        shoal__v1__topology__free_unpacked(t, NULL);
}
END_TEST

START_TEST(a_record_that_cannot_be_read)
{
        struct store_txn *x = store_txn_new();
        struct fx_answer a;

        store_txn_put(x, "keyspace/bad", "\xff\xff", 2, 0);
        store_commit(shaky.inner, x, NULL, NULL);
        fx_settle();
        ck_assert(!fx.ready);
        a = fx_create("main", 1, "");
        fx_assert_failed(&a, ERR_DATA_LOSS, "STORE_DAMAGED");
        topo_tick(fx.topo);
        fx_settle();
        fx_settle();
        ck_assert(!fx.ready);
        x = store_txn_new();
        store_txn_delete(x, "keyspace/bad");
        store_txn_put(x, "of/a/newer/version", "\xff\xff", 2, 0);
        store_commit(shaky.inner, x, NULL, NULL);
        fx_settle();
        topo_tick(fx.topo);
        fx_settle();
        fx_settle();
        ck_assert(fx.ready);
}
END_TEST

/* ---------------------------------------------------------------- others */

START_TEST(answers_wait_for_the_catalogue)
{
        Shoal__V1__TabletHeartbeatRequest rq = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;
        char id[] = "t0", address[] = "host:1";
        struct fx_answer a;

        rq.id = id;
        rq.address = address;
        shaky.hold_watch = true;
        fx_send(&tablets_heartbeat, &rq.base, &shoal__v1__tablet_heartbeat_response__descriptor,
                &a);
        fx_settle();
        ck_assert_uint_eq(shaky.n_held, 1);
        ck_assert(!a.done);
        release_watch();
        ck_assert(a.done);
        fx_assert_ok(&a);
        fx_done(&a);
}
END_TEST

/* Another topo has written first: it is decided again, on what that has written. */
START_TEST(others_may_be_first)
{
        Shoal__V1__CreateKeyspaceRequest rq = SHOAL__V1__CREATE_KEYSPACE_REQUEST__INIT;
        Shoal__V1__CounterRecord counter = SHOAL__V1__COUNTER_RECORD__INIT;
        struct store_txn *x = store_txn_new();
        char name[] = "main";
        unsigned n_commits;
        struct fx_answer a;

        fx_tablet("t0");
        n_commits = shaky.n_commits;
        counter.last = 41;
        op_put(x, key_keyspace_counter().s, &counter.base, 0);
        store_commit(shaky.inner, x, NULL, NULL);
        rq.name = name;
        fx_send(&keyspaces_create, &rq.base, &shoal__v1__keyspace__descriptor, &a);
        fx_wait(&a);
        fx_assert_ok(&a);
        ck_assert_uint_eq(((Shoal__V1__Keyspace *)a.reply)->id, 42);
        ck_assert_uint_eq(shaky.n_commits, n_commits + 2);
        fx_done(&a);
}
END_TEST

/* What lies behind a decision goes away, and the catalogue has not heard of it. Once it has, the
 * answer is another one. */
static const struct {
        const char *label;
        bool table; /* the table goes, or else the gate */
        bool allocate;
        Shoal__V1__SchemaChangeState end;
        enum err_code want;
        const char *reason;
} vanishing[] = {
        { "ids, the gate is dead", false, true, 0, ERR_UNAVAILABLE, "GATE_LEASE_ENDED" },
        { "ids, the table is gone", true, true, 0, ERR_NOT_FOUND, "UNKNOWN_TABLE" },
        { "a change begins, the gate is dead", false, false, 0, ERR_UNAVAILABLE,
          "GATE_LEASE_ENDED" },
        { "a change ends, the gate is dead", false, false,
          SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE, ERR_UNAVAILABLE,
          "GATE_LEASE_ENDED" },
};

static void delete_behind_its_back(const char *key)
{
        struct store_txn *x = store_txn_new();

        shaky.hold_watch = true;
        store_txn_delete(x, key);
        store_commit(shaky.inner, x, NULL, NULL);
        fx_settle();
        ck_assert_uint_eq(shaky.n_held, 1);
}

static void send_vanishing(int i, uint64_t keyspace, uint64_t epoch, struct fx_answer *a)
{
        Shoal__V1__AllocateIdsRequest ids = SHOAL__V1__ALLOCATE_IDS_REQUEST__INIT;
        Shoal__V1__BeginSchemaChangeRequest begin = SHOAL__V1__BEGIN_SCHEMA_CHANGE_REQUEST__INIT;
        Shoal__V1__EndSchemaChangeRequest end = SHOAL__V1__END_SCHEMA_CHANGE_REQUEST__INIT;
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT;
        char gate[] = "g0", name[] = "t", id[] = "1.2";

        ids.keyspace_id = begin.keyspace_id = end.keyspace_id = keyspace;
        ids.gate = begin.gate = end.gate = gate;
        ids.gate_epoch = begin.gate_epoch = end.gate_epoch = epoch;
        ids.table = table.name = name;
        begin.expected_version = 1;
        begin.put_table = &table;
        end.id = id;
        end.state = vanishing[i].end;
        if (vanishing[i].allocate)
                fx_send(&sequences_allocate, &ids.base,
                        &shoal__v1__allocate_ids_response__descriptor, a);
        else if (vanishing[i].end)
                fx_send(&schema_end, &end.base, &shoal__v1__schema_change__descriptor, a);
        else
                fx_send(&schema_begin, &begin.base, &shoal__v1__schema_change__descriptor, a);
}

START_TEST(decisions_on_what_is_gone_are_not_kept)
{
        uint64_t epoch, keyspace;
        struct fx_answer a;

        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        keyspace = fx_keyspace("main");
        fx_table(keyspace, 0, "g0", epoch, "t");
        if (vanishing[_i].end) {
                a = fx_begin(keyspace, 1, "g0", epoch, "u");
                fx_assert_ok(&a);
                fx_done(&a);
        }
        delete_behind_its_back(vanishing[_i].table ? key_table(keyspace, "t").s : key_gate("g0").s);
        send_vanishing(_i, keyspace, epoch, &a);
        fx_settle();
        ck_assert_msg(!a.done, "%s", vanishing[_i].label);
        release_watch();
        fx_wait(&a);
        fx_assert_failed(&a, vanishing[_i].want, vanishing[_i].reason);
}
END_TEST

/* The lease has ended and the gate, which has not noticed, gets another one before topo has noticed
 * either. */
START_TEST(a_lease_that_ended_unheard)
{
        Shoal__V1__GateHeartbeatRequest rq = SHOAL__V1__GATE_HEARTBEAT_REQUEST__INIT;
        uint64_t epoch = fx_gate("g0", 1);
        char id[] = "g0", address[] = "127.0.0.1:9";
        struct fx_answer a;

        rq.id = id;
        rq.address = address;
        rq.incarnation = 1;
        shaky.hold_watch = true;
        fx.clock_us += (LEASE_MS + 1) * 1000;
        store_sqlite_end_leases(shaky.inner);
        fx_send(&gates_heartbeat, &rq.base, &shoal__v1__gate_heartbeat_response__descriptor, &a);
        for (int i = 0; i < 5; i++)
                fx_settle();
        ck_assert(!a.done);
        release_watch();
        fx_wait(&a);
        fx_assert_ok(&a);
        ck_assert_uint_gt(((Shoal__V1__GateHeartbeatResponse *)a.reply)->epoch, epoch);
        fx_done(&a);
}
END_TEST

START_TEST(it_does_not_try_for_ever)
{
        struct fx_answer a;

        fx_tablet("t0");
        shaky.n_conflicts = 31;
        fx_keyspace("main");
        shaky.n_conflicts = 1000;
        a = fx_create("other", 1, "");
        fx_assert_failed(&a, ERR_UNAVAILABLE, "STORE_BUSY");
        ck_assert_uint_eq(shaky.n_conflicts, 1000 - 32);
        shaky.n_conflicts = 0;
        fx_keyspace("other");
}
END_TEST

/* Closing answers those that wait. */
START_TEST(closing_answers_all)
{
        Shoal__V1__TabletHeartbeatRequest rq = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;
        char ids[8][4], address[] = "host:1";
        struct fx_answer a[8];

        rq.address = address;
        shaky.hold_watch = true;
        for (int i = 0; i < 8; i++) {
                snprintf(ids[i], sizeof ids[i], "t%d", i);
                rq.id = ids[i];
                fx_send(&tablets_heartbeat, &rq.base,
                        &shoal__v1__tablet_heartbeat_response__descriptor, &a[i]);
                if (i == 3)
                        fx_settle();
        }
        fx_close();
        for (int i = 0; i < 8; i++) {
                ck_assert(a[i].done);
                fx_assert_ok(&a[i]); /* all were durable */
                fx_done(&a[i]);
        }
        fx_open();
        ck_assert_uint_eq(catalog_count(fx.topo->catalog, "tablet/"), 8);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/topo");
        TCase *t = tcase_create("topo");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, shaky_start, shaky_stop);
        tcase_add_test(t, away_at_the_start);
        tcase_add_test(t, away_for_a_while);
        tcase_add_test(t, watch_breaks);
        tcase_add_test(t, a_record_that_cannot_be_read);
        tcase_add_test(t, answers_wait_for_the_catalogue);
        tcase_add_test(t, others_may_be_first);
        tcase_add_loop_test(t, decisions_on_what_is_gone_are_not_kept, 0, ARRAY_LEN(vanishing));
        tcase_add_test(t, a_lease_that_ended_unheard);
        tcase_add_test(t, it_does_not_try_for_ever);
        tcase_add_test(t, closing_answers_all);
        suite_add_tcase(s, t);
        return unit_run(s);
}
