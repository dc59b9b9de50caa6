/* test_request_log.c - a write that comes again with its request_id is done once. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

enum { KEEP_MS = 24 * 3600 * 1000 };

static struct env env;

static void set_up(void)
{
        env_init(&env);
        env_open(&env);
        ck_assert_str_eq(
            env_schema(&env, 1, NULL, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "", false),
            "OK");
}

static void tear_down(void)
{
        env_done(&env);
}

static struct bytes text(const char *s)
{
        return (struct bytes){ s, s ? strlen(s) : 0 };
}

/* Runs one write; probe: sql NULL. Static storage. */
static const struct outcome *ask(const char *id, const char *digest, const char *note,
                                 const char *sql)
{
        static struct outcome o;
        struct write_try r;

        request_init(&r, &env, sql ? ENGINE_WRITE_EXECUTE : ENGINE_WRITE_PROBE, sql ? sql : "");
        r.w.request_id = text(id);
        r.w.request_digest = text(digest);
        r.w.request_note = text(note);
        request_submit(&r);
        o = *request_wait(&r);
        request_done(&r);
        return &o;
}

/* In order; then the shard is closed or lost and opened again before the last of them. */
static const struct {
        const char *label, *id, *digest, *note, *sql, *want, *want_note;
        bool want_replayed;
        int reopen; /* before it: 1 closed, 2 crashed */
} steps[] = {
        { "probe of nothing", "a", "d1", NULL, NULL, "NOT_FOUND UNKNOWN_REQUEST_ID", "", false, 0 },
        { "first", "a", "d1", NULL, "INSERT INTO t(v) VALUES (1)", "changes=1 id=1 ", "", false,
          0 },
        { "again", "a", "d1", NULL, "INSERT INTO t(v) VALUES (1)", "changes=1 id=1 ", "", true, 0 },
        { "again after a restart", "a", "d1", NULL, "INSERT INTO t(v) VALUES (1)",
          "changes=1 id=1 ", "", true, 1 },
        { "again after a crash", "a", "d1", NULL, "INSERT INTO t(v) VALUES (1)", "changes=1 id=1 ",
          "", true, 2 },
        { "probe", "a", "d1", NULL, NULL, "changes=1 id=1 ", "", true, 0 },
        { "probe without digest", "a", NULL, NULL, NULL, "changes=1 id=1 ", "", true, 0 },
        { "another statement", "a", "d2", NULL, "DELETE FROM t",
          "INVALID_ARGUMENT REQUEST_ID_REUSED", "", false, 0 },
        { "probe for another statement", "a", "d2", NULL, NULL,
          "INVALID_ARGUMENT REQUEST_ID_REUSED", "", false, 0 },
        { "another id", "b", "d1", NULL, "INSERT INTO t(v) VALUES (1) RETURNING id, v",
          "2|1;changes=1 id=2 ", "", false, 0 },
        { "its rows again", "b", "d1", NULL, "INSERT INTO t(v) VALUES (1) RETURNING id, v",
          "2|1;changes=1 id=2 ", "", true, 2 },
        { "an error is not kept", "c", "d1", NULL, "INSERT INTO t(id) VALUES (1)",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_PRIMARYKEY", "", false, 0 },
        { "so it runs again", "c", "d1", NULL, "INSERT INTO t(id) VALUES (9)", "changes=1 id=9 ",
          "", false, 0 },
        { "nothing changed is kept, too", "e", "d1", NULL, "DELETE FROM t WHERE id = 77", "", "",
          false, 0 },
        { "nothing changed again", "e", "d1", NULL, "DELETE FROM t WHERE id = 77", "", "", true,
          0 },
        { "with a note", "f", "d1", "D 10", "INSERT INTO t(id) VALUES (10)", "changes=1 id=10 ", "",
          false, 0 },
        { "the note comes back", "f", "d1", "D 11", "INSERT INTO t(id) VALUES (11)",
          "changes=1 id=10 ", "D 10", true, 0 },
        { "and by a probe", "f", "d1", NULL, NULL, "changes=1 id=10 ", "D 10", true, 1 },
        { "an intent", "g", "d1", "I 20", "", "", "", false, 0 },
        { "the second intent learns of the first", "g", "d1", "I 21", "", "", "I 20", true, 0 },
        { "so does the write", "g", "d1", NULL, "INSERT INTO t(id) VALUES (21)", "", "I 20", true,
          2 },
        { "and a probe", "g", "d1", NULL, NULL, "", "I 20", true, 0 },
        { "an intent for another statement", "g", "d2", "I 22", "",
          "INVALID_ARGUMENT REQUEST_ID_REUSED", "", false, 0 },
};

START_TEST(steps_in_order)
{
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
                const struct outcome *o;

                if (steps[i].reopen == 1)
                        env_close(&env);
                else if (steps[i].reopen == 2)
                        env_crash(&env);
                if (steps[i].reopen)
                        env_open(&env);
                o = ask(steps[i].id, steps[i].digest, steps[i].note, steps[i].sql);
                ck_assert_msg(strcmp(o->text, steps[i].want) == 0, "%s: %s (%s), not %s",
                              steps[i].label, o->text, o->err.msg, steps[i].want);
                ck_assert_msg(strcmp(o->note, steps[i].want_note) == 0, "%s: note %s, not %s",
                              steps[i].label, o->note, steps[i].want_note);
                ck_assert_msg(o->replayed == steps[i].want_replayed, "%s: replayed %d",
                              steps[i].label, o->replayed);
        }
        ck_assert_str_eq(env_read(&env, "SELECT id FROM t ORDER BY id"), "1;2;9;10;");
}
END_TEST

/* Both in one batch: the second is answered from the first, which is not durable before it is told.
 */
START_TEST(twice_in_one_batch)
{
        struct write_try r[3];

        env_hold(&env);
        for (int i = 0; i < 3; i++) {
                request_init(&r[i], &env, ENGINE_WRITE_EXECUTE,
                             i < 2 ? "INSERT INTO t(v) VALUES (1)"
                                   : "INSERT OR ROLLBACK INTO t(id) VALUES (1)");
                if (i < 2)
                        r[i].w.request_id = text("a");
                request_submit(&r[i]);
        }
        env_release(&env);
        ck_assert_str_eq(request_wait(&r[0])->text, "changes=1 id=1 ");
        ck_assert_str_eq(request_wait(&r[1])->text, "changes=1 id=1 ");
        ck_assert(!r[0].outcome.replayed && r[1].outcome.replayed);
        ck_assert_str_eq(request_wait(&r[2])->err.reason,
                         "SQLITE_CONSTRAINT_PRIMARYKEY"); /* all ran twice */
        for (int i = 0; i < 3; i++)
                request_done(&r[i]);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "1;");
}
END_TEST

START_TEST(a_reply_that_is_too_large_undoes_the_write)
{
        static const char sql[] = "INSERT INTO t(v) VALUES (zeroblob(%d)) RETURNING v";
        char at_limit[128], above[128];

        snprintf(at_limit, sizeof at_limit, sql, 65000);
        snprintf(above, sizeof above, sql, 65537);
        ck_assert_str_eq(ask("a", "d", NULL, at_limit)->err.reason, "");
        ck_assert_str_eq(ask("b", "d", NULL, above)->text,
                         "RESOURCE_EXHAUSTED REPLY_TOO_LARGE_FOR_REQUEST_ID");
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "1;");
        ck_assert(ask("a", "d", NULL, at_limit)->replayed);
        ck_assert_str_eq(ask("b", "d", NULL, NULL)->text, "NOT_FOUND UNKNOWN_REQUEST_ID");
}
END_TEST

/* Ids are kept for as long as promised, and go in small batches with other writes. */
START_TEST(old_ids_go)
{
        enum { N = 600 };
        struct write_try *r = xcalloc(N, sizeof *r);
        static char ids[N][16];

        env_close(&env);
        env.o.request_keep_ms = 1;
        env_open(&env);
        env_hold(&env);
        for (int i = 0; i < N; i++) {
                snprintf(ids[i], sizeof ids[i], "id%d", i);
                request_init(&r[i], &env, ENGINE_WRITE_EXECUTE, "INSERT INTO t(v) VALUES (1)");
                r[i].w.request_id = text(ids[i]);
                request_submit(&r[i]);
        }
        env_release(&env);
        for (int i = 0; i < N; i++) {
                request_wait(&r[i]);
                request_done(&r[i]);
        }
        free(r);
        /* Each commit removes some, as long as there are old ones. */
        env_close(&env);
        env_open(&env);
        for (int i = 0; i < 4; i++)
                env_write(&env, "INSERT INTO t(v) VALUES (2)");
        ck_assert_str_eq(ask("id0", NULL, NULL, NULL)->text, "NOT_FOUND UNKNOWN_REQUEST_ID");
        ck_assert_str_eq(ask("id599", NULL, NULL, NULL)->text, "NOT_FOUND UNKNOWN_REQUEST_ID");
}
END_TEST

START_TEST(young_ids_stay)
{
        ask("a", "d", NULL, "INSERT INTO t(v) VALUES (1)");
        env_close(&env);
        env.o.request_keep_ms = KEEP_MS;
        env_open(&env);
        for (int i = 0; i < 4; i++)
                env_write(&env, "INSERT INTO t(v) VALUES (2)");
        ck_assert(ask("a", "d", NULL, NULL)->replayed);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("request_log");
        TCase *t = tcase_create("ids");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, steps_in_order);
        tcase_add_test(t, twice_in_one_batch);
        tcase_add_test(t, a_reply_that_is_too_large_undoes_the_write);
        tcase_add_test(t, old_ids_go);
        tcase_add_test(t, young_ids_stay);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
