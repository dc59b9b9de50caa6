/* store_suite.h - what every kind of store must do, by the words of topo/store.h. A test program of
 * a kind includes it, defines its constructor and runs store_suite(). */
#pragma once

#include "tests/unit/topo/store_calls.h"
#include "tests/unit/topo/temp_dir.h"
#include "tests/unit/unit.h"

/* A kind of store under test. */
struct store_kind {
        const char *name;
        /* dir is empty at first; opening it again finds what was there. */
        struct store *(*open)(struct loop *l, const char *dir, uint64_t keep_revisions);
        /* Lets time pass for leases, and what is due happen. */
        void (*pass_ms)(struct store *s, uint64_t ms);
};

static struct {
        const struct store_kind *kind;
        struct temp_dir dir;
        struct loop *loop;
        struct store *store;
} st;

enum { KEEP_REVISIONS = 50 };

static void open_store(void)
{
        st.store = st.kind->open(st.loop, st.dir.path, KEEP_REVISIONS);
}

static void set_up(void)
{
        temp_dir_make(&st.dir);
        st.loop = loop_new();
        open_store();
}

static void close_store(void)
{
        close_and_wait(st.loop, st.store);
        st.store = NULL;
}

static void tear_down(void)
{
        close_store();
        st.loop = loop_free(st.loop);
        temp_dir_remove(&st.dir);
}

static void reopen(void)
{
        close_store();
        open_store();
}

/* ---------------------------------------------------------------- keys and transactions */

START_TEST(lists_by_prefix_in_order)
{
        put(st.loop, st.store, "b/2", "two", 0);
        put(st.loop, st.store, "b/1", "one", 0);
        put(st.loop, st.store, "b0", "after the slash", 0);
        put(st.loop, st.store, "b", "before it", 0);
        put(st.loop, st.store, "c", "", 0);
        assert_list(st.loop, st.store, "b/", "b/1=one@2 b/2=two@1 ");
        assert_list(st.loop, st.store, "",
                    "b=before it@4 b/1=one@2 b/2=two@1 b0=after the slash@3 c=@5 ");
        assert_list(st.loop, st.store, "x", "");
        assert_list(st.loop, st.store, "c", "c=@5 ");
}
END_TEST

START_TEST(gets_one_key)
{
        struct outcome o = { 0 };

        put(st.loop, st.store, "a/b", "x", 0);
        store_get(st.store, "a/", note_outcome, &o);
        wait_outcome(st.loop, &o);
        ck_assert_uint_eq(o.revision, 1);
        assert_items(&o, "");
        o = (struct outcome){ 0 };
        store_get(st.store, "a/b", note_outcome, &o);
        wait_outcome(st.loop, &o);
        assert_items(&o, "a/b=x@1 ");
}
END_TEST

/* a is at revision 1, b at 2, c absent. */
static const struct {
        const char *label;
        struct {
                const char *key;
                uint64_t revision;
        } expect[3];
        enum err_code want;
} compares[] = {
        { "nothing expected", { { NULL } }, ERR_OK },
        { "right revision", { { "a", 1 } }, ERR_OK },
        { "all right", { { "a", 1 }, { "b", 2 }, { "c", 0 } }, ERR_OK },
        { "old revision", { { "b", 1 } }, ERR_ABORTED },
        { "future revision", { { "b", 3 } }, ERR_ABORTED },
        { "absent but there", { { "a", 0 } }, ERR_ABORTED },
        { "there but absent", { { "c", 2 } }, ERR_ABORTED },
        { "last of three wrong", { { "a", 1 }, { "b", 2 }, { "c", 1 } }, ERR_ABORTED },
        { "first of three wrong", { { "a", 2 }, { "b", 2 }, { "c", 0 } }, ERR_ABORTED },
};

START_TEST(all_or_nothing)
{
        struct store_txn *x = store_txn_new();
        struct outcome o;

        put(st.loop, st.store, "a", "1", 0);
        put(st.loop, st.store, "b", "2", 0);
        /* Changes before expectations: they are about the state before all the same. */
        store_txn_put(x, "a", "new", 3, 0);
        store_txn_put(x, "d", "new", 3, 0);
        for (size_t i = 0; i < 3 && compares[_i].expect[i].key; i++)
                store_txn_expect(x, compares[_i].expect[i].key, compares[_i].expect[i].revision);
        store_txn_delete(x, "b");
        o = commit(st.loop, st.store, x);
        ck_assert_msg(o.code == compares[_i].want, "%s: %s", compares[_i].label,
                      err_code_name(o.code));
        if (o.code) {
                ck_assert_str_eq(o.reason, "STORE_CONFLICT");
                ck_assert_uint_eq(o.revision, 2);
                assert_list(st.loop, st.store, "", "a=1@1 b=2@2 ");
                return;
        }
        ck_assert_uint_eq(o.revision, 3);
        assert_list(st.loop, st.store, "", "a=new@3 d=new@3 ");
}
END_TEST

START_TEST(deleting_nothing_is_no_revision)
{
        put(st.loop, st.store, "a", "1", 0);
        ck_assert_uint_eq(erase(st.loop, st.store, "b"), 1);
        ck_assert_uint_eq(erase(st.loop, st.store, "a"), 2);
        ck_assert_uint_eq(erase(st.loop, st.store, "a"), 2);
}
END_TEST

START_TEST(deletes_by_prefix)
{
        struct store_txn *x = store_txn_new();
        struct outcome o;

        put(st.loop, st.store, "t/1", "1", 0);
        put(st.loop, st.store, "t/2", "2", 0);
        put(st.loop, st.store, "t0", "3", 0);
        store_txn_delete_prefix(x, "t/");
        store_txn_put(x, "u", "4", 1, 0);
        o = commit(st.loop, st.store, x);
        assert_ok(&o);
        assert_list(st.loop, st.store, "", "t0=3@3 u=4@4 ");
}
END_TEST

static struct store_txn *txn_of_puts(size_t n, size_t n_bytes)
{
        struct store_txn *x = store_txn_new();
        char *value = xcalloc(1, n_bytes);
        char key[16];

        for (size_t i = 0; i < n; i++) {
                snprintf(key, sizeof key, "k%06zu", i);
                store_txn_put(x, key, value, n_bytes, 0);
        }
        free(value);
        return x;
}

START_TEST(has_limits)
{
        static char long_key[STORE_MAX_KEY_BYTES + 2];
        struct store_txn *x;
        struct outcome o;

        o = commit(st.loop, st.store, txn_of_puts(STORE_MAX_TXN_STEPS, 1));
        assert_ok(&o);
        o = commit(st.loop, st.store, txn_of_puts(STORE_MAX_TXN_STEPS + 1, 1));
        ck_assert_str_eq(o.reason, "STORE_LIMIT");
        o = commit(st.loop, st.store, txn_of_puts(1, STORE_MAX_TXN_BYTES - 7));
        assert_ok(&o);
        o = commit(st.loop, st.store, txn_of_puts(1, STORE_MAX_TXN_BYTES - 6));
        ck_assert_int_eq(o.code, ERR_EXHAUSTED);
        memset(long_key, 'k', sizeof long_key - 1);
        x = store_txn_new();
        store_txn_put(x, long_key + 1, "", 0, 0);
        o = commit(st.loop, st.store, x);
        assert_ok(&o);
        x = store_txn_new();
        store_txn_put(x, long_key, "", 0, 0);
        o = commit(st.loop, st.store, x);
        ck_assert_int_eq(o.code, ERR_INVALID);
}
END_TEST

static const struct {
        const char *label;
        const char *put;
        const char *put_too, *delete, *delete_prefix;
} misuses[] = {
        { "a key put twice", "a/b", .put_too = "a/b" },
        { "a key put and deleted", "a/b", .delete = "a/b" },
        { "a key put and deleted by prefix", "a/b", .delete_prefix = "a/" },
        { "no key", "" },
        { "a key with a blank", "a b" },
        { "a key that is not ASCII", "\xc3\xa4" },
};

START_TEST(refuses_misuse)
{
        struct store_txn *x = store_txn_new();
        struct outcome o;

        store_txn_put(x, misuses[_i].put, "1", 1, 0);
        if (misuses[_i].put_too)
                store_txn_put(x, misuses[_i].put_too, "2", 1, 0);
        if (misuses[_i].delete)
                store_txn_delete(x, misuses[_i].delete);
        if (misuses[_i].delete_prefix)
                store_txn_delete_prefix(x, misuses[_i].delete_prefix);
        o = commit(st.loop, st.store, x);
        ck_assert_msg(o.code == ERR_INVALID, "%s: %s", misuses[_i].label, err_code_name(o.code));
        assert_list(st.loop, st.store, "", "");
}
END_TEST

START_TEST(answers_in_order)
{
        struct outcome o[20] = { 0 };

        for (size_t i = 0; i < ARRAY_LEN(o); i++)
                store_commit(st.store, txn_of_puts(1, i), note_outcome, &o[i]);
        for (size_t i = 0; i < ARRAY_LEN(o); i++) {
                if (!o[i].done)
                        loop_run_until(st.loop, &o[i].done);
                assert_ok(&o[i]);
                ck_assert_uint_eq(o[i].revision, i + 1);
                for (size_t j = 0; j < i; j++)
                        ck_assert(o[j].done);
        }
}
END_TEST

/* ---------------------------------------------------------------- watches */

START_TEST(watch_tells_all_from_a_revision)
{
        struct seen seen = { 0 };
        struct outcome o = { 0 };
        struct store_txn *x = store_txn_new();
        struct store_watch *w;

        put(st.loop, st.store, "a", "1", 0);
        put(st.loop, st.store, "a", "2", 0);
        put(st.loop, st.store, "z", "not watched", 0);
        /* Nothing is waited for from here on: history, what is on its way and what comes later must
         * join without a gap. */
        store_txn_put(x, "a", "4", 1, 0);
        store_txn_put(x, "ab", "", 0, 0);
        store_commit(st.store, x, NULL, NULL);
        w = store_watch_new(st.store, "a", 2, &seen_events, &seen);
        x = store_txn_new();
        store_txn_delete(x, "a");
        store_commit(st.store, x, note_outcome, &o);
        ck_assert_uint_eq(seen.n, 0);
        wait_outcome(st.loop, &o);
        put(st.loop, st.store, "a", "6", 0);
        settle(st.loop, st.store);
        assert_seen(&seen, "[2: a=2@2 ] [4: a=4@4 ab=@4 ] [5: a deleted@5 ] [6: a=6@6 ] ");
        store_watch_free(w);
        put(st.loop, st.store, "a", "7", 0);
        settle(st.loop, st.store);
        ck_assert_uint_eq(seen.n, 4);
        ck_assert(!seen.ended);
}
END_TEST

START_TEST(watch_waits_for_a_future_revision)
{
        struct seen seen = { 0 };
        struct store_watch *w = store_watch_new(st.store, "", 3, &seen_events, &seen);

        for (int i = 0; i < 4; i++)
                put(st.loop, st.store, "a", "x", 0);
        settle(st.loop, st.store);
        assert_seen(&seen, "[3: a=x@3 ] [4: a=x@4 ] ");
        store_watch_free(w);
}
END_TEST

START_TEST(watch_may_be_freed_in_its_event)
{
        struct seen live = { 0 }, old = { 0 }, unheard = { 0 };

        live.free_at_once = store_watch_new(st.store, "", 1, &seen_events, &live);
        put(st.loop, st.store, "a", "1", 0);
        put(st.loop, st.store, "a", "2", 0);
        old.free_at_once = store_watch_new(st.store, "", 1, &seen_events, &old);
        store_watch_free(store_watch_new(st.store, "", 1, &seen_events, &unheard));
        settle(st.loop, st.store);
        settle(st.loop, st.store);
        ck_assert_uint_eq(live.n, 1);
        ck_assert_uint_eq(old.n, 1);
        ck_assert_uint_eq(unheard.n, 0);
        buf_done(&live.text);
        buf_done(&old.text);
}
END_TEST

START_TEST(watch_gets_a_long_history)
{
        struct seen seen = { 0 };
        struct store_watch *w;
        struct outcome o;

        for (int i = 0; i < 9; i++) {
                o = commit(st.loop, st.store, txn_of_puts(2, 700000));
                assert_ok(&o);
        }
        w = store_watch_new(st.store, "k000001", 1, &seen_events, &seen);
        for (int i = 0; i < 10; i++)
                settle(st.loop, st.store);
        put(st.loop, st.store, "k000001", "last", 0);
        settle(st.loop, st.store);
        ck_assert_uint_eq(seen.n, 10);
        store_watch_free(w);
        buf_done(&seen.text);
}
END_TEST

START_TEST(watch_of_what_is_forgotten_ends)
{
        struct seen old = { 0 }, fresh = { 0 };
        struct store_watch *w, *v;
        uint64_t last = 0;

        for (int i = 0; i < 6 * KEEP_REVISIONS; i++)
                last = put(st.loop, st.store, "a", "x", 0);
        w = store_watch_new(st.store, "", 1, &seen_events, &old);
        v = store_watch_new(st.store, "", last - KEEP_REVISIONS + 1, &seen_events, &fresh);
        settle(st.loop, st.store);
        settle(st.loop, st.store);
        ck_assert(old.ended);
        ck_assert_int_eq(old.end.code, ERR_OUT_OF_RANGE);
        ck_assert_str_eq(old.end.reason, "COMPACTED");
        ck_assert_uint_eq(old.n, 0);
        ck_assert(!fresh.ended);
        ck_assert_uint_eq(fresh.n, KEEP_REVISIONS);
        store_watch_free(w);
        store_watch_free(v);
        buf_done(&fresh.text);
}
END_TEST

/* ---------------------------------------------------------------- leases */

START_TEST(lease_takes_its_keys_along)
{
        struct seen seen = { 0 };
        uint64_t lease = grant(st.loop, st.store, 1000);
        struct store_txn *x = store_txn_new();
        struct store_watch *w;
        struct outcome o;

        store_txn_put(x, "a", "1", 1, lease);
        store_txn_put(x, "b", "1", 1, lease);
        store_txn_put(x, "c", "1", 1, 0);
        o = commit(st.loop, st.store, x);
        assert_ok(&o);
        w = store_watch_new(st.store, "", o.revision + 1, &seen_events, &seen);
        st.kind->pass_ms(st.store, 900);
        settle(st.loop, st.store);
        assert_list(st.loop, st.store, "", "a=1@1 b=1@1 c=1@1 ");
        st.kind->pass_ms(st.store, 200);
        settle(st.loop, st.store);
        assert_list(st.loop, st.store, "", "c=1@1 ");
        assert_seen(&seen, "[2: a deleted@2 b deleted@2 ] ");
        ck_assert_int_eq(keepalive(st.loop, st.store, lease), ERR_NOT_FOUND);
        x = store_txn_new();
        store_txn_put(x, "d", "1", 1, lease);
        o = commit(st.loop, st.store, x);
        ck_assert_int_eq(o.code, ERR_NOT_FOUND);
        ck_assert_str_eq(o.reason, "LEASE_NOT_FOUND");
        assert_list(st.loop, st.store, "", "c=1@1 ");
        store_watch_free(w);
}
END_TEST

START_TEST(lease_can_be_kept_alive)
{
        uint64_t lease = grant(st.loop, st.store, 1000);

        put(st.loop, st.store, "a", "1", lease);
        for (int i = 0; i < 5; i++) {
                st.kind->pass_ms(st.store, 700);
                ck_assert_int_eq(keepalive(st.loop, st.store, lease), ERR_OK);
        }
        assert_list(st.loop, st.store, "", "a=1@1 ");
        st.kind->pass_ms(st.store, 1100);
        settle(st.loop, st.store);
        assert_list(st.loop, st.store, "", "");
}
END_TEST

START_TEST(lease_can_be_revoked)
{
        uint64_t lease = grant(st.loop, st.store, 100000);
        uint64_t other = grant(st.loop, st.store, 100000);
        struct outcome o = { 0 };

        ck_assert_uint_ne(lease, other);
        put(st.loop, st.store, "a", "1", lease);
        put(st.loop, st.store, "moved", "1", lease);
        put(st.loop, st.store, "moved", "2", other);
        put(st.loop, st.store, "let-go", "1", lease);
        put(st.loop, st.store, "let-go", "2", 0);
        store_lease_revoke(st.store, lease, note_outcome, &o);
        wait_outcome(st.loop, &o);
        assert_ok(&o);
        assert_list(st.loop, st.store, "", "let-go=2@5 moved=2@3 ");
        o = (struct outcome){ 0 };
        store_lease_revoke(st.store, lease, note_outcome, &o);
        wait_outcome(st.loop, &o);
        ck_assert_int_eq(o.code, ERR_NOT_FOUND);
}
END_TEST

START_TEST(restart_extends_leases)
{
        uint64_t lease = grant(st.loop, st.store, 1000);

        put(st.loop, st.store, "a", "1", lease);
        st.kind->pass_ms(st.store, 900);
        reopen();
        st.kind->pass_ms(st.store, 900);
        settle(st.loop, st.store);
        assert_list(st.loop, st.store, "", "a=1@1 ");
        ck_assert_int_eq(keepalive(st.loop, st.store, lease), ERR_OK);
        reopen();
        st.kind->pass_ms(st.store, 1100);
        settle(st.loop, st.store);
        assert_list(st.loop, st.store, "", "");
}
END_TEST

/* ---------------------------------------------------------------- restarts */

START_TEST(restart_finds_everything)
{
        struct seen seen = { 0 };
        struct store_watch *w;

        put(st.loop, st.store, "a", "1", 0);
        put(st.loop, st.store, "a", "2", 0);
        erase(st.loop, st.store, "a");
        put(st.loop, st.store, "b", "3", 0);
        reopen();
        assert_list(st.loop, st.store, "", "b=3@4 ");
        w = store_watch_new(st.store, "", 2, &seen_events, &seen);
        ck_assert_uint_eq(put(st.loop, st.store, "b", "4", 0), 5);
        assert_seen(&seen, "[2: a=2@2 ] [3: a deleted@3 ] [4: b=3@4 ] [5: b=4@5 ] ");
        store_watch_free(w);
}
END_TEST

static inline Suite *store_suite(const struct store_kind *kind)
{
        Suite *s = suite_create(kind->name);
        TCase *t = tcase_create("store");

        st.kind = kind;
        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, lists_by_prefix_in_order);
        tcase_add_test(t, gets_one_key);
        tcase_add_loop_test(t, all_or_nothing, 0, ARRAY_LEN(compares));
        tcase_add_test(t, deleting_nothing_is_no_revision);
        tcase_add_test(t, deletes_by_prefix);
        tcase_add_test(t, has_limits);
        tcase_add_loop_test(t, refuses_misuse, 0, ARRAY_LEN(misuses));
        tcase_add_test(t, answers_in_order);
        tcase_add_test(t, watch_tells_all_from_a_revision);
        tcase_add_test(t, watch_waits_for_a_future_revision);
        tcase_add_test(t, watch_may_be_freed_in_its_event);
        tcase_add_test(t, watch_gets_a_long_history);
        tcase_add_test(t, watch_of_what_is_forgotten_ends);
        tcase_add_test(t, lease_takes_its_keys_along);
        tcase_add_test(t, lease_can_be_kept_alive);
        tcase_add_test(t, lease_can_be_revoked);
        tcase_add_test(t, restart_extends_leases);
        tcase_add_test(t, restart_finds_everything);
        suite_add_tcase(s, t);
        return s;
}
