/* The SQLite store as a store. */
#include "tests/unit/topo/store_suite.h"
#include "topo/store_sqlite.h"

static int64_t clock_us = 1;

static int64_t read_clock(void)
{
        return clock_us;
}

static struct store *open_sqlite(struct loop *l, const char *dir, uint64_t keep_revisions)
{
        cleanup_(freep) char *path = xasprintf("%s/store.db", dir);
        struct store_sqlite_options o = { .path = path,
                                          .keep_revisions = keep_revisions,
                                          .now_us = read_clock };
        struct store *s = NULL;
        struct err err = ERR_INIT;

        ck_assert_msg(!store_sqlite_open(l, &o, &s, &err), "%s", err.msg);
        return s;
}

static void pass_ms(struct store *s, uint64_t ms)
{
        clock_us += (int64_t)ms * 1000;
        store_sqlite_end_leases(s);
}

/* ---- what only this kind does */

START_TEST(leases_end_by_themselves_on_the_real_clock)
{
        struct loop *l = loop_new();
        struct temp_dir dir;
        struct store *s = NULL;
        struct err err = ERR_INIT;
        struct seen seen = { 0 };
        struct store_watch *w;
        cleanup_(freep) char *path = NULL;

        temp_dir_make(&dir);
        path = xasprintf("%s/store.db", dir.path);
        ck_assert(!store_sqlite_open(
            l, &(struct store_sqlite_options){ .path = path, .keep_revisions = 10 }, &s, &err));
        put(l, s, "a", "1", grant(l, s, 30));
        w = store_watch_new(s, "a", 2, &seen_events, &seen);
        while (!seen.n)
                settle(l, s);
        assert_seen(&seen, "[2: a deleted@2 ] ");
        store_watch_free(w);
        close_and_wait(l, s);
        loop_free(l);
        temp_dir_remove(&dir);
}
END_TEST

START_TEST(a_second_process_is_refused)
{
        cleanup_(freep) char *path = NULL;
        struct store_sqlite_options o = { .keep_revisions = 10 };
        struct store *second = NULL;
        struct err err = ERR_INIT;

        set_up();
        put(st.loop, st.store, "a", "1", 0);
        o.path = path = xasprintf("%s/store.db", st.dir.path);
        ck_assert_int_eq(store_sqlite_open(st.loop, &o, &second, &err), ERR_UNAVAILABLE);
        ck_assert_str_eq(err.reason, "STORE_UNAVAILABLE");
        tear_down();
}
END_TEST

int main(void)
{
        static const struct store_kind kind = { "topo/store_sqlite", open_sqlite, pass_ms };
        Suite *s = store_suite(&kind);
        TCase *t = tcase_create("sqlite");

        tcase_set_timeout(t, 60);
        tcase_add_test(t, leases_end_by_themselves_on_the_real_clock);
        tcase_add_test(t, a_second_process_is_refused);
        suite_add_tcase(s, t);
        return unit_run(s);
}
