/* What transactions begin, divide and end with, against SQLite. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "gate/savepoints.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

static const char *const verbs[] = { "BEGIN",     "COMMIT",  "ROLLBACK",
                                     "SAVEPOINT", "RELEASE", "ROLLBACK TO" };
static const char *const names[] = { "a", "b", "A", "\"c d\"" };

/* A model of what shards keep: one number for each statement, and the savepoint it ran in. */
struct model {
        uint64_t at[4096];
        int value[4096];
        size_t n;
};

static void forget_since(struct model *m, uint64_t number)
{
        while (m->n && m->at[m->n - 1] >= number)
                m->n--;
}

static void follow(struct savepoints *s, struct model *m, size_t *kept, enum savepoints_step step,
                   uint64_t number)
{
        switch (step) {
        case SAVEPOINTS_TO_UNDO:
                forget_since(m, number);
                break;
        case SAVEPOINTS_TO_COMMIT:
                savepoints_end(s);
                *kept = m->n;
                break;
        case SAVEPOINTS_TO_ROLL_BACK:
                savepoints_end(s);
                m->n = *kept;
                break;
        default:
                break;
        }
}

static int count(sqlite3 *db)
{
        sqlite3_stmt *stmt;
        int n;

        ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &stmt, NULL), 0);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        n = sqlite3_column_int(stmt, 0);
        sqlite3_finalize(stmt);
        return n;
}

static void step(uint64_t *r, sqlite3 *db, struct savepoints *s, struct model *m, size_t *kept)
{
        enum savepoints_verb verb = (enum savepoints_verb)(random_next(r) % ARRAY_LEN(verbs));
        size_t name = random_next(r) % ARRAY_LEN(names);
        bool has_name = verb >= SAVEPOINTS_SAVEPOINT;
        enum savepoints_step what = SAVEPOINTS_DONE;
        uint64_t number = 0;
        struct err e = ERR_INIT;
        char sql[64];
        int rc;

        snprintf(sql, sizeof(sql), "%s %s", verbs[verb], has_name ? names[name] : "");
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
        if (savepoints_apply(s, verb, name == 3 ? "c d" : names[name], &what, &number, &e)) {
                ck_assert_msg(rc == SQLITE_ERROR, "%s: SQLite takes it", sql);
                ck_assert_str_eq(e.sqlite_msg, sqlite3_errmsg(db));
                ck_assert_str_eq(e.msg, e.sqlite_msg);
                ck_assert_int_eq(e.code, ERR_PRECONDITION);
                ck_assert_int_eq(e.extended_code, SQLITE_ERROR);
        } else {
                ck_assert_msg(rc == SQLITE_OK, "%s: SQLite says %s", sql, sqlite3_errmsg(db));
                follow(s, m, kept, what, number);
        }
        ck_assert_msg(s->is_open == !sqlite3_get_autocommit(db), "after %s", sql);
}

START_TEST(as_sqlite)
{
        uint64_t r = (uint64_t)_i;
        struct savepoints s = { 0 };
        struct model m = { 0 };
        size_t kept = 0;
        sqlite3 *db;

        ck_assert_int_eq(sqlite3_open(":memory:", &db), 0);
        ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE t (a)", NULL, NULL, NULL), 0);
        for (int i = 0; i < 400; i++) {
                step(&r, db, &s, &m, &kept);
                if (random_next(&r) % 2)
                        continue;
                ck_assert_int_eq(sqlite3_exec(db, "INSERT INTO t VALUES (1)", NULL, NULL, NULL), 0);
                m.at[m.n++] = s.is_open ? savepoints_innermost(&s) : 0;
                if (!s.is_open)
                        kept = m.n;
                ck_assert_int_eq((int)m.n, count(db));
        }
        savepoints_done(&s);
        sqlite3_close(db);
}
END_TEST

START_TEST(limit)
{
        struct savepoints s = { 0 };
        enum savepoints_step step;
        uint64_t number;
        struct err e;

        for (int i = 0; i < SAVEPOINTS_MAX; i++)
                ck_assert_int_eq(
                    savepoints_apply(&s, SAVEPOINTS_SAVEPOINT, "a", &step, &number, &e), ERR_OK);
        ck_assert_int_eq(savepoints_apply(&s, SAVEPOINTS_SAVEPOINT, "a", &step, &number, &e),
                         ERR_EXHAUSTED);
        ck_assert_str_eq(e.reason, "TOO_MANY_SAVEPOINTS");
        ck_assert_int_eq(savepoints_apply(&s, SAVEPOINTS_RELEASE, "A", &step, &number, &e), ERR_OK);
        ck_assert_int_eq(savepoints_apply(&s, SAVEPOINTS_SAVEPOINT, "a", &step, &number, &e),
                         ERR_OK);
        savepoints_done(&s);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/savepoints");
        TCase *t = tcase_create("all");

        tcase_add_loop_test(t, as_sqlite, 0, 200);
        tcase_add_test(t, limit);
        suite_add_tcase(s, t);
        return unit_run(s);
}
