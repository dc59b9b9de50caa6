/* test_schema.c - schema changes: once each, in order, and back; and requests planned with another
 * version. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

static struct env env;

static void set_up(void)
{
        env_init(&env);
        env_open(&env);
}

static void tear_down(void)
{
        env_done(&env);
}

#define CHANGED "ABORTED SCHEMA_CHANGED"
#define UNDONE "ABORTED SCHEMA_CHANGE_UNDONE"

/* In order on one shard. Change X makes table x and takes it back. */
static const struct {
        const char *label;
        uint64_t version;
        const char *id;
        bool undo;
        const char *want, *tables;
} steps[] = {
        { "first", 1, "a", false, "OK", "a;" },
        { "again", 1, "a", false, "OK", "a;" },
        { "another with its number", 1, "b", false, CHANGED, "a;" },
        { "one is missing between", 3, "b", false, CHANGED, "a;" },
        { "second", 2, "b", false, "OK", "a;b;" },
        { "late repeat of the first", 1, "a", false, CHANGED, "a;b;" },
        { "undo", 2, "b", true, "OK", "a;" },
        { "undo again", 2, "b", true, "OK", "a;" },
        { "late repeat of what was undone", 2, "b", false, UNDONE, "a;" },
        { "undo of what never came", 2, "c", true, "OK", "a;" },
        { "so it must not come any more", 2, "c", false, UNDONE, "a;" },
        { "another instead", 2, "d", false, "OK", "a;d;" },
        { "undo of one before that number", 2, "b", true, "OK", "a;d;" },
        { "undo of one that is not known", 2, "e", true, CHANGED, "a;d;" },
        { "undo of an older one", 1, "a", true, CHANGED, "a;d;" },
        { "next", 3, "f", false, "OK", "a;d;f;" },
        { "a failure leaves nothing", 4, "!", false, "INVALID_ARGUMENT SYNTAX_ERROR", "a;d;f;" },
        { "and may be tried again", 4, "g", false, "OK", "a;d;f;g;" },
        { "no version", 0, "h", false, "INVALID_ARGUMENT BAD_REQUEST", "a;d;f;g;" },
        { "no id", 5, "", false, "INVALID_ARGUMENT BAD_REQUEST", "a;d;f;g;" },
};

static const char *run_step(size_t i)
{
        char sql[128], undo_sql[128];

        snprintf(sql, sizeof sql, "INSERT INTO names VALUES ('%s'); CREATE TABLE %s(x)",
                 steps[i].id, steps[i].id);
        snprintf(undo_sql, sizeof undo_sql, "DROP TABLE %s; DELETE FROM names WHERE name = '%s'",
                 steps[i].id, steps[i].id);
        return env_schema(&env, steps[i].version ? steps[i].version + 1 : 0, steps[i].id, sql,
                          undo_sql, steps[i].undo);
}

START_TEST(steps_in_order)
{
        ck_assert_str_eq(env_schema(&env, 1, "names", "CREATE TABLE names(name)", "", false), "OK");
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
                const char *got;

                if (i % 3 == 1) {
                        env_crash(&env);
                        env_open(&env);
                }
                got = run_step(i);
                ck_assert_msg(strcmp(got, steps[i].want) == 0, "%s: %s (%s), not %s",
                              steps[i].label, got, env_message(), steps[i].want);
                got = env_read(&env, "SELECT name FROM names ORDER BY name");
                ck_assert_msg(strcmp(got, steps[i].tables) == 0, "%s: left %s", steps[i].label,
                              got);
        }
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM g"), "0;");
}
END_TEST

/* Many changes that fail elsewhere and are taken back at the same version do not pile up without
 * end. */
START_TEST(undone_changes_are_bounded)
{
        char id[32];

        for (int i = 0; i < 300; i++) {
                snprintf(id, sizeof id, "%08d", i);
                ck_assert_str_eq(env_schema(&env, 1, id, "", "", true), "OK");
        }
        ck_assert_str_eq(env_schema(&env, 1, "00000299", "", "", false), UNDONE);
        ck_assert_str_eq(env_schema(&env, 1, "00000044", "", "", false), UNDONE);
        ck_assert_str_eq(env_schema(&env, 1, "00000043", "", "", false),
                         "OK"); /* 256 are remembered */
}
END_TEST

static const struct {
        const char *label;
        uint64_t planned;
        const char *want_read, *want_write;
} versions[] = {
        { "any", 0, "0;", "changes=1 id=1 " },
        { "the same", 2, "0;", "changes=1 id=1 " },
        { "older", 1, CHANGED, CHANGED },
        { "newer", 3, CHANGED, CHANGED },
};

START_TEST(requests_name_their_version)
{
        ck_assert_str_eq(env_schema(&env, 1, NULL, "CREATE TABLE t(x)", "", false), "OK");
        ck_assert_str_eq(env_schema(&env, 2, NULL, "CREATE TABLE u(x)", "", false), "OK");
        env.schema_version = versions[_i].planned;
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), versions[_i].want_read);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM gone"),
                         strcmp(versions[_i].want_read, CHANGED) == 0 ? CHANGED
                                                                      : "NOT_FOUND NO_SUCH_TABLE");
        ck_assert_str_eq(env_write(&env, "INSERT INTO t VALUES (1)"), versions[_i].want_write);
        if (versions[_i].planned == 1)
                ck_assert(strstr(env_message(), "version 2") && strstr(env_message(), "with 1"));
}
END_TEST

/* ---- reads while the schema changes: each sees exactly the version it was planned with */

enum { N_CHANGES = 40 };

static _Atomic uint64_t current;
static atomic_bool is_over;

/* Columns of t: as many as the version says. Counts what it saw wrongly. */
static void *read_along(void *arg)
{
        unsigned *n_wrong = arg;

        while (!atomic_load(&is_over)) {
                struct engine_stmt st = { .sql = "SELECT * FROM t",
                                          .n_sql_bytes = 15,
                                          .deadline_us = INT64_MAX };
                struct outcome o;
                uint64_t n_columns = 0;

                st.schema_version = atomic_load(&current);
                env_read_with(&env, &st, 0, &o);
                if (o.err.code == ERR_ABORTED && strcmp(o.err.reason, "SCHEMA_CHANGED") == 0)
                        continue;
                for (const char *p = o.columns; *p; p++)
                        n_columns += *p == ',';
                *n_wrong += o.err.code != ERR_OK || n_columns != st.schema_version;
        }
        return NULL;
}

START_TEST(reads_see_the_version_they_name)
{
        pthread_t threads[2];
        unsigned n_wrong[2] = { 0, 0 };
        char sql[64];

        ck_assert_str_eq(
            env_schema(&env, 1, NULL, "CREATE TABLE t(c1); INSERT INTO t VALUES (1)", "", false),
            "OK");
        atomic_store(&current, 1);
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, read_along, &n_wrong[i]), 0);
        for (int v = 2; v <= N_CHANGES; v++) {
                snprintf(sql, sizeof sql, "ALTER TABLE t ADD COLUMN c%d", v);
                ck_assert_str_eq(env_schema(&env, (uint64_t)v, NULL, sql, "", false), "OK");
                atomic_store(&current, (uint64_t)v);
        }
        atomic_store(&is_over, true);
        for (int i = 0; i < 2; i++) {
                pthread_join(threads[i], NULL);
                ck_assert_uint_eq(n_wrong[i], 0);
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("schema");
        TCase *t = tcase_create("changes");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_test(t, steps_in_order);
        tcase_add_test(t, undone_changes_are_bounded);
        tcase_add_loop_test(t, requests_name_their_version, 0, ARRAY_LEN(versions));
        tcase_add_test(t, reads_see_the_version_they_name);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
