/* Creating and dropping keyspaces. */
#include "tests/unit/topo/fixture.h"

static const struct {
        const char *label, *name, *engine;
        uint32_t n_shards;
        enum err_code want;
        const char *reason;
} requests[] = {
        { "plain", "main", "", 4, ERR_OK, "" },
        { "engine by name", "main", "sqlite", 4, ERR_OK, "" },
        { "one letter", "a", "", 1, ERR_OK, "" },
        { "digits and underscores", "a_1", "", 1, ERR_OK, "" },
        { "63 letters", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", 1,
          ERR_OK, "" },
        { "64 letters", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", 1,
          ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "empty", "", "", 1, ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "capital", "Main", "", 1, ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "digit first", "1a", "", 1, ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "underscore first", "_a", "", 1, ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "slash", "a/b", "", 1, ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "not ASCII", "a\xc3\xa4", "", 1, ERR_INVALID, "BAD_KEYSPACE_NAME" },
        { "unknown engine", "main", "rocksdb", 1, ERR_INVALID, "UNKNOWN_ENGINE" },
        { "most shards", "main", "", TOPO_MAX_SHARDS, ERR_OK, "" },
        { "one more", "main", "", TOPO_MAX_SHARDS + 1, ERR_INVALID, "TOO_MANY_SHARDS" },
        { "very many shards", "main", "", UINT32_MAX, ERR_INVALID, "TOO_MANY_SHARDS" },
};

START_TEST(requests_are_checked)
{
        struct fx_answer a;
        Shoal__V1__Topology *t;

        fx_tablet("t0");
        a = fx_create(requests[_i].name, requests[_i].n_shards, requests[_i].engine);
        ck_assert_msg(a.err.code == requests[_i].want && !strcmp(a.err.reason, requests[_i].reason),
                      "%s: %s %s", requests[_i].label, err_code_name(a.err.code), a.err.reason);
        if (!a.err.code) {
                const Shoal__V1__Keyspace *ks = (Shoal__V1__Keyspace *)a.reply;

                ck_assert_str_eq(ks->name, requests[_i].name);
                ck_assert_str_eq(ks->engine, "sqlite");
                ck_assert_uint_eq(ks->n_shards, requests[_i].n_shards);
                ck_assert_uint_eq(ks->schema_version, 0);
        }
        fx_done(&a);
        t = fx_topology();
        ck_assert_uint_eq(t->n_keyspaces, requests[_i].want ? 0 : 1);
        shoal__v1__topology__free_unpacked(t, NULL);
}
END_TEST

static const struct {
        uint32_t n_shards;
        const char *want; /* "name tablet, …" */
} assignments[] = {
        { 1, "- a, " },
        { 2, "-80 a, 80- b, " },
        { 4, "-40 a, 40-80 b, 80-c0 c, c0- a, " },
        { 8, "-20 a, 20-40 b, 40-60 c, 60-80 a, 80-a0 b, a0-c0 c, c0-e0 a, e0- b, " },
        { 0, "-10 a, 10-20 b, 20-30 c, 30-40 a, 40-50 b, 50-60 c, 60-70 a, 70-80 b, "
             "80-90 c, 90-a0 a, a0-b0 b, b0-c0 c, c0-d0 a, d0-e0 b, e0-f0 c, f0- a, " },
};

START_TEST(shards_go_round_the_healthy_tablets_by_id)
{
        struct buf got = BUF_INIT(0);
        cleanup_(freep) char *text = NULL;
        const Shoal__V1__Keyspace *ks;
        struct fx_answer a;

        fx_tablet("dead");
        fx_pass_ms(4 * HEARTBEAT_MS);
        fx_tablet("c");
        fx_tablet("a");
        fx_tablet("b");
        a = fx_create("main", assignments[_i].n_shards, "");
        fx_assert_ok(&a);
        ks = (Shoal__V1__Keyspace *)a.reply;
        for (size_t i = 0; i < ks->n_shards; i++) {
                buf_printf(&got, "%s %s, ", ks->shards[i]->name, ks->shards[i]->tablet);
                ck_assert_uint_eq(ks->shards[i]->epoch, 1);
                ck_assert(ks->shards[i]->serving);
        }
        text = buf_take_str(&got);
        ck_assert_str_eq(text, assignments[_i].want);
        fx_done(&a);
}
END_TEST

START_TEST(without_tablets_there_is_none)
{
        struct fx_answer a = fx_create("main", 1, "");

        fx_assert_failed(&a, ERR_UNAVAILABLE, "NO_TABLETS");
        fx_tablet("t0");
        fx_pass_ms(4 * HEARTBEAT_MS);
        a = fx_create("main", 1, "");
        fx_assert_failed(&a, ERR_UNAVAILABLE, "NO_TABLETS");
        fx_tablet("t0");
        a = fx_create("main", 1, "");
        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_create("main", 1, "");
        fx_assert_failed(&a, ERR_EXISTS, "KEYSPACE_EXISTS");
}
END_TEST

START_TEST(ids_are_never_used_again)
{
        uint64_t first, second;
        struct fx_answer a;

        fx_tablet("t0");
        first = fx_keyspace("main");
        a = fx_drop("main", false);
        fx_assert_ok(&a);
        fx_done(&a);
        second = fx_keyspace("main");
        ck_assert_uint_gt(second, first);
        a = fx_drop("main", false);
        fx_assert_ok(&a);
        fx_done(&a);
        fx_restart();
        fx_tablet("t0");
        ck_assert_uint_gt(fx_keyspace("main"), second);
}
END_TEST

/* Both decide on the same catalogue; one has to decide again. */
START_TEST(two_at_once_get_different_ids)
{
        Shoal__V1__CreateKeyspaceRequest rq = SHOAL__V1__CREATE_KEYSPACE_REQUEST__INIT;
        char names[3][2] = { "a", "b", "a" };
        struct fx_answer a[3];

        fx_tablet("t0");
        for (int i = 0; i < 3; i++) {
                rq.name = names[i];
                fx_send(&keyspaces_create, &rq.base, &shoal__v1__keyspace__descriptor, &a[i]);
        }
        for (int i = 0; i < 3; i++)
                fx_wait(&a[i]);
        fx_assert_ok(&a[0]);
        fx_assert_ok(&a[1]);
        ck_assert_uint_ne(((Shoal__V1__Keyspace *)a[0].reply)->id,
                          ((Shoal__V1__Keyspace *)a[1].reply)->id);
        fx_done(&a[0]);
        fx_done(&a[1]);
        fx_assert_failed(&a[2], ERR_EXISTS, "KEYSPACE_EXISTS");
}
END_TEST

START_TEST(dropping_takes_everything_along)
{
        uint64_t id, other, epoch;
        Shoal__V1__Topology *t;
        struct fx_answer a;

        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        id = fx_keyspace("main");
        other = fx_keyspace("other");
        fx_table(id, 0, "g0", epoch, "t");
        fx_table(other, 0, "g0", epoch, "t");
        a = fx_drop("main", false);
        fx_assert_failed(&a, ERR_PRECONDITION, "KEYSPACE_NOT_EMPTY");
        a = fx_drop("", true);
        fx_assert_failed(&a, ERR_INVALID, "BAD_KEYSPACE_NAME");
        a = fx_drop("nope", true);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE");
        a = fx_drop("main", true);
        fx_assert_ok(&a);
        fx_done(&a);
        t = fx_topology();
        ck_assert_uint_eq(t->n_keyspaces, 1);
        ck_assert_uint_eq(t->keyspaces[0]->id, other);
        ck_assert_uint_eq(t->keyspaces[0]->n_tables, 1);
        shoal__v1__topology__free_unpacked(t, NULL);
        ck_assert_uint_eq(catalog_count(fx.topo->catalog, "table/"), 1);
        ck_assert_uint_eq(catalog_count(fx.topo->catalog, "shards/"), 1);
        ck_assert_uint_eq(catalog_count(fx.topo->catalog, "change/"), 1);
}
END_TEST

START_TEST(a_pending_change_keeps_it)
{
        struct fx_answer a;
        uint64_t id, epoch;

        fx_tablet("t0");
        epoch = fx_gate("g0", 1);
        id = fx_keyspace("main");
        a = fx_begin(id, 0, "g0", epoch, "t");
        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_drop("main", false);
        fx_assert_failed(&a, ERR_ABORTED, "SCHEMA_CHANGE_PENDING");
        a = fx_drop("main", true);
        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_end(id, "1.1", "g0", epoch,
                   SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE);
        fx_assert_failed(&a, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE");
}
END_TEST

START_TEST(there_is_a_limit)
{
        char name[16];
        struct fx_answer a;

        fx_tablet("t0");
        for (int i = 0; i < TOPO_MAX_KEYSPACES; i++) {
                snprintf(name, sizeof name, "k%d", i);
                a = fx_create(name, 1, "");
                fx_assert_ok(&a);
                fx_done(&a);
        }
        a = fx_create("another", 1, "");
        fx_assert_failed(&a, ERR_EXHAUSTED, "TOPO_LIMIT");
        a = fx_drop("k7", false);
        fx_assert_ok(&a);
        fx_done(&a);
        a = fx_create("another", 1, "");
        fx_assert_ok(&a);
        fx_done(&a);
}
END_TEST

START_TEST(all_is_there_after_a_restart)
{
        Shoal__V1__Topology *before, *after;
        uint64_t epoch;

        fx_tablet("t0");
        fx_tablet("t1");
        epoch = fx_gate("g0", 1);
        fx_table(fx_keyspace("main"), 0, "g0", epoch, "t");
        before = fx_topology();
        fx_restart();
        fx_tablet("t0");
        fx_tablet("t1");
        after = fx_topology();
        ck_assert_uint_gt(after->version, before->version);
        after->version = before->version;
        ck_assert_uint_eq(shoal__v1__topology__get_packed_size(after),
                          shoal__v1__topology__get_packed_size(before));
        ck_assert_str_eq(after->keyspaces[0]->tables[0]->name, "t");
        ck_assert_uint_eq(after->keyspaces[0]->schema_version, 1);
        shoal__v1__topology__free_unpacked(before, NULL);
        shoal__v1__topology__free_unpacked(after, NULL);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/keyspaces");
        TCase *t = tcase_create("keyspaces");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, fx_start, fx_stop);
        tcase_add_loop_test(t, requests_are_checked, 0, ARRAY_LEN(requests));
        tcase_add_loop_test(t, shards_go_round_the_healthy_tablets_by_id, 0,
                            ARRAY_LEN(assignments));
        tcase_add_test(t, without_tablets_there_is_none);
        tcase_add_test(t, ids_are_never_used_again);
        tcase_add_test(t, two_at_once_get_different_ids);
        tcase_add_test(t, dropping_takes_everything_along);
        tcase_add_test(t, a_pending_change_keeps_it);
        tcase_add_test(t, there_is_a_limit);
        tcase_add_test(t, all_is_there_after_a_restart);
        suite_add_tcase(s, t);
        return unit_run(s);
}
