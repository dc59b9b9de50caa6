/* Ranges of ids: who gets which. */
#include "tests/unit/topo/fixture.h"

static uint64_t keyspace;
static uint64_t epochs[3];
static const char *const gates[] = { "g0", "g1", "g2" };

static void set_up(void)
{
        fx_start();
        fx_tablet("t0");
        for (int i = 0; i < 3; i++)
                epochs[i] = fx_gate(gates[i], 1);
        keyspace = fx_keyspace("main");
        fx_table(keyspace, 0, "g0", epochs[0], "t");
}

static struct fx_answer allocate_as(const char *gate, uint64_t epoch, const char *table,
                                    int64_t above, uint64_t count)
{
        Shoal__V1__AllocateIdsRequest rq = SHOAL__V1__ALLOCATE_IDS_REQUEST__INIT;

        rq.keyspace_id = keyspace;
        rq.table = (char *)(uintptr_t)table;
        rq.gate = (char *)(uintptr_t)gate;
        rq.gate_epoch = epoch;
        rq.above = above;
        rq.count = count;
        return fx_call(&sequences_allocate, &rq.base,
                       &shoal__v1__allocate_ids_response__descriptor);
}

struct range {
        int64_t first, limit;
};

static struct range allocate(int gate, int64_t above, uint64_t count)
{
        struct fx_answer a = allocate_as(gates[gate], epochs[gate], "t", above, count);
        struct range r;

        fx_assert_ok(&a);
        r.first = ((Shoal__V1__AllocateIdsResponse *)a.reply)->first;
        r.limit = ((Shoal__V1__AllocateIdsResponse *)a.reply)->limit;
        ck_assert_int_lt(above, r.first);
        ck_assert_int_lt(r.first, r.limit);
        fx_done(&a);
        return r;
}

/* Other gates fall silent until their leases have ended; the one goes on. */
static void let_others_die(int gate)
{
        for (int i = 0; i < 3; i++) {
                fx_pass_ms(LEASE_MS / 2);
                ck_assert_uint_eq(fx_gate(gates[gate], 1), epochs[gate]);
        }
}

START_TEST(one_gate_gets_max_plus_one)
{
        struct range r = allocate(0, 0, 10);

        ck_assert_int_eq(r.first, 1);
        ck_assert_int_ge(r.limit, 11);
        /* Ten were used, then a client wrote 500 itself, then all rows above 7 were deleted. */
        ck_assert_int_eq(allocate(0, 10, 10).first, 11);
        ck_assert_int_eq(allocate(0, 500, 10).first, 501);
        ck_assert_int_eq(allocate(0, 7, 10).first, 8);
        ck_assert_int_eq(allocate(0, 0, 1).first, 1);
        ck_assert_int_eq(allocate(0, -5, 1).first, -4);
}
END_TEST

START_TEST(restarts_change_nothing_for_one_gate)
{
        uint64_t old;
        struct fx_answer a;

        allocate(0, 0, 1000);
        fx_restart();
        ck_assert_int_eq(allocate(0, 3, 10).first, 4);
        old = epochs[0];
        epochs[0] = fx_gate("g0", 2);
        ck_assert_int_eq(allocate(0, 4, 10).first, 5);
        a = allocate_as("g0", old, "t", 5, 1);
        fx_assert_failed(&a, ERR_UNAVAILABLE, "GATE_LEASE_ENDED");
        fx_restart();
        epochs[0] = fx_gate("g0", 3);
        ck_assert_int_eq(allocate(0, 5, 10).first, 6);
}
END_TEST

START_TEST(the_only_one_writes_when_it_runs_out)
{
        struct range r = allocate(0, 0, 10);
        uint64_t revision = catalog_revision(fx.topo->catalog);

        for (int64_t above = 0; above + 4 < r.limit; above++) {
                struct range again = allocate(0, above, 3);

                ck_assert_int_eq(again.first, above + 1);
                ck_assert_int_eq(again.limit, r.limit);
        }
        ck_assert_uint_eq(catalog_revision(fx.topo->catalog), revision);
        ck_assert_int_gt(allocate(0, r.limit - 3, 3).limit, r.limit);
        ck_assert_uint_eq(catalog_revision(fx.topo->catalog), revision + 1);
}
END_TEST

/* A gate that loads many rows asks ever less often. */
START_TEST(ranges_grow_while_they_are_used_up)
{
        struct range r = { 0, 1 };
        int n = 0;

        while (r.limit < 10000000 && n < 100) {
                r = allocate(0, r.limit - 1, 16);
                ck_assert_int_le(r.limit - r.first, SEQUENCES_MAX_BLOCK);
                n++;
        }
        ck_assert_int_lt(n, 40);
}
END_TEST

START_TEST(two_gates_never_share)
{
        struct range a = allocate(0, 0, 10), b, c, d;

        b = allocate(1, 0, 10);
        ck_assert_int_eq(b.first, a.limit);
        c = allocate(0, 2, 10);
        ck_assert_int_ge(c.first, b.limit);
        d = allocate(1, 100000, 10);
        ck_assert_int_eq(d.first, 100001);
        ck_assert_int_ge(allocate(0, 2, 10).first, d.limit);
        fx_restart();
        ck_assert_int_ge(allocate(1, 0, 10).first, d.limit);
}
END_TEST

START_TEST(the_last_that_lives_is_alone_again)
{
        allocate(0, 0, 10);
        allocate(1, 0, 10);
        ck_assert_int_gt(allocate(0, 5, 10).first, 6);
        let_others_die(0);
        ck_assert_int_eq(allocate(0, 5, 10).first, 6);
        /* One that comes back is somebody else. */
        epochs[1] = fx_gate("g1", 1);
        ck_assert_int_gt(allocate(1, 5, 10).first, 15);
        ck_assert_int_gt(allocate(0, 5, 10).first, 15);
}
END_TEST

START_TEST(a_gate_that_restarts_gives_up_its_ranges)
{
        allocate(0, 0, 10);
        allocate(1, 0, 10);
        ck_assert_int_gt(allocate(0, 0, 10).first, 1);
        epochs[1] = fx_gate("g1", 2);
        /* The new g1 has not asked, so g0 is the only one. */
        ck_assert_int_eq(allocate(0, 0, 10).first, 1);
        ck_assert_int_gt(allocate(1, 0, 10).first, 1);
}
END_TEST

START_TEST(an_owner_that_died_leaves_it_to_the_next)
{
        allocate(0, 0, 1000);
        let_others_die(2);
        ck_assert_int_eq(allocate(2, 3, 10).first, 4);
}
END_TEST

START_TEST(tables_have_their_own)
{
        struct fx_answer a;

        fx_table(keyspace, 1, "g0", epochs[0], "Other Table");
        allocate(0, 0, 100);
        a = allocate_as("g1", epochs[1], "OTHER table", 0, 10);
        fx_assert_ok(&a);
        ck_assert_int_eq(((Shoal__V1__AllocateIdsResponse *)a.reply)->first, 1);
        fx_done(&a);
        ck_assert_int_gt(allocate(1, 0, 10).first, 1);
}
END_TEST

START_TEST(a_dropped_table_takes_its_sequence_along)
{
        Shoal__V1__BeginSchemaChangeRequest rq = SHOAL__V1__BEGIN_SCHEMA_CHANGE_REQUEST__INIT;
        char gate[] = "g0", table[] = "T";
        struct fx_answer begun, ended;

        allocate(0, 0, 100);
        rq.keyspace_id = keyspace;
        rq.expected_version = 1;
        rq.gate = gate;
        rq.gate_epoch = epochs[0];
        rq.drop_table = table;
        begun = fx_call(&schema_begin, &rq.base, &shoal__v1__schema_change__descriptor);
        fx_assert_ok(&begun);
        ck_assert_int_gt(allocate(1, 0, 10).first, 100);
        ended = fx_end(keyspace, ((Shoal__V1__SchemaChange *)begun.reply)->id, gate, epochs[0],
                       SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE);
        fx_assert_ok(&ended);
        fx_done(&begun);
        fx_done(&ended);
        ck_assert_uint_eq(catalog_count(fx.topo->catalog, "sequence/"), 0);
        begun = allocate_as("g0", epochs[0], "t", 0, 1);
        fx_assert_failed(&begun, ERR_NOT_FOUND, "UNKNOWN_TABLE");
        fx_table(keyspace, 2, "g0", epochs[0], "t");
        ck_assert_int_eq(allocate(1, 0, 10).first, 1);
}
END_TEST

static const struct {
        const char *label;
        int64_t above;
        uint64_t count;
        int64_t want_limit; /* 0: fails */
        enum err_code want;
} edges[] = {
        { "well below", INT64_MAX - 100, 10, INT64_MAX - 89, ERR_OK },
        { "just enough", INT64_MAX - 11, 10, INT64_MAX, ERR_OK },
        { "one less than asked", INT64_MAX - 10, 10, INT64_MAX, ERR_OK },
        { "the last one", INT64_MAX - 2, 10, INT64_MAX, ERR_OK },
        { "none left", INT64_MAX - 1, 1, 0, ERR_EXHAUSTED },
        { "the largest is in use", INT64_MAX, 1, 0, ERR_OUT_OF_RANGE },
        { "the least there is", INT64_MIN, 10, INT64_MIN + 11, ERR_OK },
        { "none asked", 5, 0, 7, ERR_OK },
        { "everything asked", 0, UINT64_MAX, 1 + SEQUENCES_MAX_BLOCK, ERR_OK },
        { "everything asked near the end", INT64_MAX - 5, UINT64_MAX, INT64_MAX, ERR_OK },
};

START_TEST(numbers_end)
{
        struct fx_answer a = allocate_as("g0", epochs[0], "t", edges[_i].above, edges[_i].count);
        const Shoal__V1__AllocateIdsResponse *reply;

        ck_assert_msg(a.err.code == edges[_i].want, "%s: %s", edges[_i].label,
                      err_code_name(a.err.code));
        if (edges[_i].want) {
                fx_assert_failed(&a, edges[_i].want, "IDS_EXHAUSTED");
                return;
        }
        reply = (Shoal__V1__AllocateIdsResponse *)a.reply;
        ck_assert_msg(reply->first == edges[_i].above + 1 && reply->limit == edges[_i].want_limit,
                      "%s: [%lld, %lld)", edges[_i].label, (long long)reply->first,
                      (long long)reply->limit);
        fx_done(&a);
}
END_TEST

START_TEST(nothing_is_left_for_a_second_gate)
{
        struct fx_answer a;

        allocate(0, INT64_MAX - 5, 10);
        a = allocate_as("g1", epochs[1], "t", 0, 1);
        fx_assert_failed(&a, ERR_EXHAUSTED, "IDS_EXHAUSTED");
        /* The owner can go on with what it has, and is alone again later. */
        ck_assert_int_eq(allocate(0, 0, 10).first, 1);
}
END_TEST

START_TEST(strangers_get_none)
{
        struct fx_answer a = allocate_as("nobody", 1, "t", 0, 1);

        fx_assert_failed(&a, ERR_UNAVAILABLE, "GATE_LEASE_ENDED");
        a = allocate_as("g0", epochs[0], "nope", 0, 1);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_TABLE");
        keyspace = 99;
        a = allocate_as("g0", epochs[0], "t", 0, 1);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE");
}
END_TEST

/* All ask at once, so that all but one decide again; each time all ranges are apart. */
START_TEST(a_crowd_gets_ranges_apart)
{
        enum { N = 24 };
        Shoal__V1__AllocateIdsRequest rq = SHOAL__V1__ALLOCATE_IDS_REQUEST__INIT;
        struct fx_answer a[N];
        char table[] = "t";

        rq.keyspace_id = keyspace;
        rq.table = table;
        rq.count = 7;
        for (int i = 0; i < N; i++) {
                rq.gate = (char *)(uintptr_t)gates[i % 3];
                rq.gate_epoch = epochs[i % 3];
                fx_send(&sequences_allocate, &rq.base,
                        &shoal__v1__allocate_ids_response__descriptor, &a[i]);
        }
        for (int i = 0; i < N; i++)
                fx_wait(&a[i]);
        for (int i = 0; i < N; i++) {
                const Shoal__V1__AllocateIdsResponse *x =
                    (Shoal__V1__AllocateIdsResponse *)a[i].reply;

                fx_assert_ok(&a[i]);
                for (int j = 0; j < i; j++) {
                        const Shoal__V1__AllocateIdsResponse *y =
                            (Shoal__V1__AllocateIdsResponse *)a[j].reply;

                        /* A gate's own ranges may be the same one. */
                        ck_assert(i % 3 == j % 3 || x->first >= y->limit || y->first >= x->limit);
                }
        }
        for (int i = 0; i < N; i++)
                fx_done(&a[i]);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/sequences");
        TCase *t = tcase_create("sequences");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, fx_stop);
        tcase_add_test(t, one_gate_gets_max_plus_one);
        tcase_add_test(t, restarts_change_nothing_for_one_gate);
        tcase_add_test(t, the_only_one_writes_when_it_runs_out);
        tcase_add_test(t, ranges_grow_while_they_are_used_up);
        tcase_add_test(t, two_gates_never_share);
        tcase_add_test(t, the_last_that_lives_is_alone_again);
        tcase_add_test(t, a_gate_that_restarts_gives_up_its_ranges);
        tcase_add_test(t, an_owner_that_died_leaves_it_to_the_next);
        tcase_add_test(t, tables_have_their_own);
        tcase_add_test(t, a_dropped_table_takes_its_sequence_along);
        tcase_add_loop_test(t, numbers_end, 0, ARRAY_LEN(edges));
        tcase_add_test(t, nothing_is_left_for_a_second_gate);
        tcase_add_test(t, strangers_get_none);
        tcase_add_test(t, a_crowd_gets_ranges_apart);
        suite_add_tcase(s, t);
        return unit_run(s);
}
