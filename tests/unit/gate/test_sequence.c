/* test_sequence.c - new rowids against SQLite's own: one client step by step, then many at once. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/gate/sequence_world.h"
#include "tests/unit/unit.h"

enum { MAX_ROWS = 3, NO_DEADLINE = 1 };

/* One write: its plan by hand, as the planner makes it. */
struct write {
        struct world_gate *gate;
        struct plan plan;
        struct plan_part part;
        struct plan_slot slots[MAX_ROWS];
        int insert_ids[MAX_ROWS];
        struct value elements[MAX_ROWS];
        struct plan_values values;
        struct sequence_use use;
        int u[MAX_ROWS]; /* of the other column */
        bool filled, failed;
        struct err failure;
};

static void on_filled(struct sequence_use *use, const struct err *e)
{
        struct write *x = CONTAINER_OF(use, struct write, use);

        x->failure = *e;
        x->failed = e->code != ERR_OK;
        x->filled = !e->code;
}

static void init_write(struct write *x, struct world_gate *g, enum plan_rowids rowids,
                       size_t n_rows)
{
        *x = (struct write){ .gate = g };
        x->part.route = g->world->route;
        x->plan = (struct plan){
                .parts = &x->part,
                .n_parts = 1,
                .schema_version = 1,
                .keyspace_id = 7,
                .table = &g->world->table,
                .slots = x->slots,
                .n_slots = n_rows,
                .insert_ids = x->insert_ids,
                .n_insert_ids = n_rows,
                .rowids = rowids,
        };
        for (size_t i = 0; i < n_rows; i++) {
                x->slots[i].rowid = true;
                x->insert_ids[i] = (int)i;
                x->elements[i] = value_null();
        }
        x->values = (struct plan_values){ x->elements, n_rows };
        x->use.plan = &x->plan;
        x->use.values = &x->values;
        x->use.deadline_us = INT64_MAX;
        x->use.done = on_filled;
}

static void begin_fill(struct write *x)
{
        x->filled = x->failed = false;
        switch (sequence_fill(x->gate->sequences, &x->use, &x->failure)) {
        case SEQUENCE_FILLED:
                x->filled = true;
                break;
        case SEQUENCE_FAILED:
                x->failed = true;
                break;
        case SEQUENCE_WAIT:
                break;
        }
}

/* The shard's part of an INSERT. */
static void insert_rows(struct write *x, struct err *ret_err)
{
        char sql[400] = "INSERT INTO t(id, u) VALUES ";

        for (size_t i = 0; i < x->values.n; i++)
                snprintf(sql + strlen(sql), sizeof sql - strlen(sql), "%s(%lld, %d)", i ? ", " : "",
                         (long long)x->elements[i].integer, x->u[i]);
        world_sql(x->gate->world->db, ret_err, "%s", sql);
}

/* An INSERT from beginning to end, with nothing else under way. */
static void run_insert(struct write *x, struct err *ret_err)
{
        struct world *w = x->gate->world;

        for (int n = 0; n < 100; n++) {
                begin_fill(x);
                world_settle(w);
                ck_assert(x->filled || x->failed);
                *ret_err = x->failure;
                if (x->failed)
                        return;
                insert_rows(x, ret_err);
                if (!sequence_note_result(x->gate->sequences, &x->use, ret_err))
                        return;
        }
        ck_abort_msg("collisions without end");
}

static void insert_one(struct world_gate *g, int u, int64_t want)
{
        struct write x;
        struct err e;

        init_write(&x, g, ROWIDS_ADDED, 1);
        x.u[0] = u;
        run_insert(&x, &e);
        ck_assert_msg(e.code == ERR_OK, "%s", e.msg);
        ck_assert_int_eq(x.elements[0].integer, want);
}

static void run_other(struct world_gate *g, enum plan_rowids rowids, const struct value *key,
                      const char *sql)
{
        struct write x;
        struct err e;

        init_write(&x, g, rowids, 0);
        x.part.route.kind = key ? ROUTE_KEYS : ROUTE_ALL;
        x.part.route.n_keys = 1;
        if (key)
                x.elements[0] = *key;
        world_sql(g->world->db, &e, "%s", sql);
        ck_assert(!sequence_note_result(g->sequences, &x.use, &e));
}

/* ---- step by step against SQLite */

static uint64_t seed;

static unsigned draw(unsigned n)
{
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return (unsigned)(seed >> 33) % n;
}

static void compare_tables(sqlite3 *a, sqlite3 *b, const char *what, int step)
{
        sqlite3_stmt *sa, *sb;
        int ra, rb;

        sqlite3_prepare_v2(a, "SELECT id, u FROM t ORDER BY id", -1, &sa, NULL);
        sqlite3_prepare_v2(b, "SELECT id, u FROM t ORDER BY id", -1, &sb, NULL);
        do {
                ra = sqlite3_step(sa);
                rb = sqlite3_step(sb);
                ck_assert_msg(ra == rb, "step %d, %s: another number of rows", step, what);
                if (ra == SQLITE_ROW)
                        ck_assert_msg(sqlite3_column_int64(sa, 0) == sqlite3_column_int64(sb, 0),
                                      "step %d, %s: rowid %lld, SQLite's is %lld", step, what,
                                      sqlite3_column_int64(sa, 0), sqlite3_column_int64(sb, 0));
        } while (ra == SQLITE_ROW);
        sqlite3_finalize(sa);
        sqlite3_finalize(sb);
}

static int64_t draw_id(bool extremes)
{
        static const int64_t odd[] = { INT64_MAX, INT64_MAX - 1, INT64_MIN, 1000000, -1 };

        if (extremes && draw(12) == 0)
                return odd[draw(ARRAY_LEN(odd))];
        return (int64_t)draw(24) - 6;
}

static void step_insert(struct world *w, sqlite3 *oracle, bool extremes, int step)
{
        size_t n = draw(4) ? 1 : 1 + draw(MAX_ROWS);
        char sql[400] = "INSERT INTO t(id, u) VALUES ";
        struct write x;
        struct err got, want;

        init_write(&x, &w->gates[0], ROWIDS_ADDED, n);
        for (size_t i = 0; i < n; i++) {
                size_t at = strlen(sql);

                x.u[i] = (int)draw(60);
                if (draw(3) == 0)
                        x.elements[i] = value_integer(draw_id(extremes));
                if (x.elements[i].type == VALUE_NULL)
                        snprintf(sql + at, sizeof sql - at, "%s(NULL, %d)", i ? ", " : "", x.u[i]);
                else
                        snprintf(sql + at, sizeof sql - at, "%s(%lld, %d)", i ? ", " : "",
                                 (long long)x.elements[i].integer, x.u[i]);
        }
        world_sql(oracle, &want, "%s", sql);
        run_insert(&x, &got);
        /* Which of several failing rows is named is not specified; the gate looks at the ids first.
         */
        if (got.extended_code == SQLITE_FULL && want.code)
                got.extended_code = want.extended_code;
        ck_assert_msg(got.extended_code == want.extended_code,
                      "step %d, %s: %d %s, SQLite's: %d %s", step, sql, got.extended_code, got.msg,
                      want.extended_code, want.msg);
        compare_tables(w->db, oracle, sql, step);
}

static void step_other(struct world *w, sqlite3 *oracle, bool extremes, int step)
{
        char sql[200];
        struct err e;
        struct value key = value_integer(draw_id(extremes));

        switch (draw(4)) {
        case 0:
                snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = %lld", (long long)key.integer);
                break;
        case 1:
                snprintf(sql, sizeof sql, "DELETE FROM t WHERE id >= %lld", (long long)key.integer);
                break;
        case 2:
                snprintf(sql, sizeof sql, "DELETE FROM t WHERE id = (SELECT max(id) FROM t)");
                break;
        default:
                snprintf(sql, sizeof sql, "UPDATE OR IGNORE t SET id = %lld WHERE id = %lld",
                         (long long)draw_id(extremes), (long long)key.integer);
                break;
        }
        world_sql(oracle, &e, "%s", sql);
        run_other(&w->gates[0], sql[0] == 'D' ? ROWIDS_REMOVED : ROWIDS_ANY,
                  strstr(sql, "WHERE id = ") && sql[0] == 'D' && !strstr(sql, "max") ? &key : NULL,
                  sql);
        compare_tables(w->db, oracle, sql, step);
}

static const struct {
        const char *label;
        bool autoincrement, by_rowid, extremes;
} serial_cases[] = {
        { "rowids", false, true, false },
        { "rowids that decide no shard", false, false, false },
        { "autoincrement", true, true, false },
        { "autoincrement up to the last id", true, true, true },
};

START_TEST(one_client_gets_sqlites_ids)
{
        for (uint64_t s = 0; s < 25; s++) {
                struct world w;
                sqlite3 *oracle;
                struct err e;

                seed = s * 1000003 + (uint64_t)_i;
                world_init(&w, serial_cases[_i].autoincrement, serial_cases[_i].by_rowid);
                world_start_gate(&w, 0);
                ck_assert_int_eq(sqlite3_open(":memory:", &oracle), SQLITE_OK);
                world_sql(oracle, &e, "CREATE TABLE t(id INTEGER PRIMARY KEY %s, u UNIQUE)",
                          w.autoincrement ? "AUTOINCREMENT" : "");
                for (int step = 0; step < 120; step++) {
                        if (draw(25) == 0)
                                world_start_gate(&w, 0);
                        if (draw(3))
                                step_insert(&w, oracle, serial_cases[_i].extremes, step);
                        else
                                step_other(&w, oracle, serial_cases[_i].extremes, step);
                }
                sqlite3_close(oracle);
                world_done(&w);
        }
}
END_TEST

START_TEST(asks_only_when_it_must)
{
        struct value five = value_integer(5), ten = value_integer(10);
        struct world w;

        world_init(&w, false, true);
        world_start_gate(&w, 0);
        for (int i = 1; i <= 10; i++)
                insert_one(&w.gates[0], i, i);
        ck_assert_uint_eq(w.n_asked, 1);
        ck_assert_uint_eq(w.n_allocated, 2);
        run_other(&w.gates[0], ROWIDS_KEPT, NULL, "UPDATE t SET u = u + 100");
        insert_one(&w.gates[0], 11, 11);
        ck_assert_uint_eq(w.n_asked, 1);
        run_other(&w.gates[0], ROWIDS_REMOVED, &five, "DELETE FROM t WHERE id = 5");
        insert_one(&w.gates[0], 12, 12);
        ck_assert_uint_eq(w.n_asked, 1);
        run_other(&w.gates[0], ROWIDS_REMOVED, &ten, "DELETE FROM t WHERE id >= 11");
        ck_assert_uint_eq(w.n_asked, 1);
        run_other(&w.gates[0], ROWIDS_REMOVED, NULL, "SELECT 1");
        insert_one(&w.gates[0], 13, 11);
        ck_assert_uint_eq(w.n_asked, 2);
        world_done(&w);
}
END_TEST

/* The shards were asked, and answer after something else has happened. */
START_TEST(old_answer_is_not_believed)
{
        struct world w;
        struct write x, other;
        struct err e;

        world_init(&w, false, false);
        world_start_gate(&w, 0);
        init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
        begin_fill(&x);
        init_write(&other, &w.gates[0], ROWIDS_ADDED, 1);
        other.elements[0] = value_integer(3);
        insert_rows(&other, &e);
        ck_assert(!sequence_note_result(w.gates[0].sequences, &other.use, &e));
        world_settle(&w);
        ck_assert_int_eq(x.elements[0].integer, 4);
        sequence_cancel(w.gates[0].sequences, &x.use);
        w.now_us += 3 * SEQUENCE_GHOST_US;

        init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
        begin_fill(&x);
        world_sql(w.db, &e, "DELETE FROM t");
        run_other(&w.gates[0], ROWIDS_REMOVED, NULL, "SELECT 1");
        world_settle(&w);
        ck_assert_int_eq(x.elements[0].integer, 4);
        e = (struct err)ERR_INIT;
        err_set(&e, ERR_PRECONDITION, "SQLITE_CONSTRAINT_UNIQUE", "no");
        ck_assert(!sequence_note_result(w.gates[0].sequences, &x.use, &e));
        insert_one(&w.gates[0], 1, 1);
        world_done(&w);
}
END_TEST

START_TEST(last_id_then_random_ones)
{
        struct world w;
        struct err e;

        world_init(&w, false, true);
        world_start_gate(&w, 0);
        world_sql(w.db, &e, "INSERT INTO t VALUES(9223372036854775806, 1)");
        insert_one(&w.gates[0], 2, INT64_MAX);
        w.next_random = 41;
        insert_one(&w.gates[0], 3, 42);
        /* One that is taken is drawn again. */
        w.next_random = 41;
        insert_one(&w.gates[0], 4, (int64_t)((0x9e3779b97f4a7c15ULL * 1) & (INT64_MAX >> 1)) + 1);
        world_done(&w);
}
END_TEST

START_TEST(no_id_without_topo_or_shards)
{
        struct world w;
        struct write x;
        struct err e;

        world_init(&w, false, true);
        world_start_gate(&w, 0);
        err_set(&w.failure, ERR_UNAVAILABLE, "TABLET_AWAY", "a tablet is away");
        init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
        run_insert(&x, &e);
        ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
        ck_assert_str_eq(e.reason, "TABLET_AWAY");
        ck_assert_int_eq(x.elements[0].type, VALUE_NULL);
        w.failure.code = ERR_OK;
        insert_one(&w.gates[0], 1, 1);
        w.gates[0].epoch = 0; /* the lease has ended: the range is not this gate's any more */
        init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
        run_insert(&x, &e);
        ck_assert_str_eq(e.reason, "GATE_LEASE_ENDED");
        w.gates[0].epoch = ++w.last_epoch;
        insert_one(&w.gates[0], 2, 2);
        world_done(&w);
}
END_TEST

/* What is not sure to have failed is not given again while it can arrive. */
START_TEST(doubt_leaves_a_gap_for_a_while)
{
        struct world w;
        struct write x;
        struct err e = ERR_INIT;

        world_init(&w, false, false);
        world_start_gate(&w, 0);
        insert_one(&w.gates[0], 1, 1);
        init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
        x.use.deadline_us = w.now_us + 1000;
        begin_fill(&x);
        world_settle(&w);
        ck_assert_int_eq(x.elements[0].integer, 2);
        err_set(&e, ERR_UNKNOWN, "OUTCOME_UNKNOWN", "no answer");
        ck_assert(!sequence_note_result(w.gates[0].sequences, &x.use, &e));
        insert_one(&w.gates[0], 3, 3);
        world_sql(w.db, &e, "DELETE FROM t WHERE id = 3");
        run_other(&w.gates[0], ROWIDS_REMOVED, NULL, "SELECT 1");
        w.now_us += 1000 + SEQUENCE_GHOST_US;
        insert_one(&w.gates[0], 2, 2);
        world_done(&w);
}
END_TEST

START_TEST(another_gates_explicit_rows)
{
        struct world w;
        struct err e;

        world_init(&w, false, true);
        world_start_gate(&w, 0);
        insert_one(&w.gates[0], 1, 1);
        world_sql(w.db, &e, "INSERT INTO t VALUES(2, 20), (3, 30), (4, 40)");
        insert_one(&w.gates[0], 2, 5);
        /* A row that cannot be for another reason is the client's error, and takes no id. */
        {
                struct write x;

                init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
                x.u[0] = 20;
                run_insert(&x, &e);
                ck_assert_int_eq(e.extended_code, SQLITE_CONSTRAINT_UNIQUE);
        }
        insert_one(&w.gates[0], 3, 6);
        world_done(&w);
}
END_TEST

START_TEST(replayed_reply_takes_no_id)
{
        struct world w;
        struct write x;
        struct err e = ERR_INIT;

        world_init(&w, false, true);
        world_start_gate(&w, 0);
        insert_one(&w.gates[0], 1, 1);
        init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
        begin_fill(&x);
        world_settle(&w);
        x.use.replayed = true;
        ck_assert(!sequence_note_result(w.gates[0].sequences, &x.use, &e));
        insert_one(&w.gates[0], 2, 2);
        world_done(&w);
}
END_TEST

START_TEST(table_made_anew)
{
        struct world w;
        struct write x;
        struct err e;

        world_init(&w, true, true);
        world_start_gate(&w, 0);
        for (int i = 1; i < 5; i++)
                insert_one(&w.gates[0], i, i);
        world_sql(w.db, &e, "DELETE FROM t; DELETE FROM sqlite_sequence");
        w.high = 1;
        init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
        x.plan.schema_version = 2;
        run_insert(&x, &e);
        ck_assert_int_eq(x.elements[0].integer, 1);
        world_done(&w);
}
END_TEST

START_TEST(idle_tables_are_forgotten)
{
        struct world w;

        world_init(&w, false, true);
        world_start_gate(&w, 0);
        for (uint64_t k = 0; k < SEQUENCE_MAX_TABLES + 10; k++) {
                struct write x;

                init_write(&x, &w.gates[0], ROWIDS_ADDED, 1);
                x.plan.keyspace_id = k;
                begin_fill(&x);
                world_settle(&w);
                ck_assert(x.filled);
                sequence_cancel(w.gates[0].sequences, &x.use);
        }
        ck_assert_uint_le(sequences_count(w.gates[0].sequences), SEQUENCE_MAX_TABLES);
        world_done(&w);
}
END_TEST

/* ---- many at once */

enum { N_WRITES = 12 };

struct crowd {
        struct world w;
        struct write writes[N_WRITES];
        int live[N_WRITES]; /* 0: free, 1: begun, 2: filled */
        int64_t last_of_gate[WORLD_MAX_GATES];
        int n_inserted, n_u;
};

static void crowd_end(struct crowd *c, int i)
{
        struct write *x = &c->writes[i];
        struct err e;

        x->u[0] = draw(5) ? ++c->n_u : 0;
        if (draw(8) == 0) { /* the reply is lost, before the row is there or behind it */
                if (draw(2))
                        insert_rows(x, &e);
                e = (struct err)ERR_INIT;
                err_set(&e, ERR_UNKNOWN, "OUTCOME_UNKNOWN", "lost");
        } else {
                insert_rows(x, &e);
                ck_assert_msg(e.extended_code != SQLITE_CONSTRAINT_PRIMARYKEY ||
                                  c->w.shard_column == 0,
                              "a rowid was given twice: %s", e.msg);
        }
        if (sequence_note_result(x->gate->sequences, &x->use, &e)) {
                begin_fill(x);
                c->live[i] = 1;
                return;
        }
        c->live[i] = 0;
}

static void crowd_step(struct crowd *c, size_t n_gates)
{
        int i = (int)draw(N_WRITES);

        if (c->w.n_questions && draw(3) == 0)
                world_answer(&c->w, draw((unsigned)c->w.n_questions));
        for (int k = 0; k < N_WRITES; k++)
                if (c->live[k] == 1 && c->writes[k].filled) {
                        struct world_gate *g = c->writes[k].gate;
                        int64_t id = c->writes[k].elements[0].integer;

                        c->live[k] = 2;
                        for (int j = 0; j < N_WRITES; j++)
                                ck_assert_msg(j == k || c->live[j] != 2 ||
                                                  c->writes[j].elements[0].integer != id,
                                              "rowid %lld is out twice", (long long)id);
                        c->last_of_gate[g - c->w.gates] = id;
                } else if (c->live[k] == 1 && c->writes[k].failed) {
                        c->live[k] = 0;
                }
        switch (c->live[i]) {
        case 0:
                init_write(&c->writes[i], &c->w.gates[draw((unsigned)n_gates)], ROWIDS_ADDED, 1);
                begin_fill(&c->writes[i]);
                c->live[i] = 1;
                break;
        case 1:
                if (draw(10) == 0) {
                        sequence_cancel(c->writes[i].gate->sequences, &c->writes[i].use);
                        c->live[i] = 0;
                }
                break;
        default:
                crowd_end(c, i);
                break;
        }
        if (draw(15) == 0)
                run_other(&c->w.gates[draw((unsigned)n_gates)], ROWIDS_REMOVED, NULL,
                          "DELETE FROM t WHERE id = (SELECT max(id) FROM t)");
}

static const struct {
        const char *label;
        size_t n_gates;
        bool autoincrement, by_rowid;
} crowd_cases[] = {
        { "one gate", 1, false, false },
        { "three gates", 3, false, false },
        { "three gates, shards by rowid", 3, false, true },
        { "three gates, autoincrement", 3, true, false },
};

/* Where the rowid decides no shard, nothing would notice an id that was given twice but this. */
START_TEST(many_clients_get_unique_ids)
{
        for (uint64_t s = 0; s < 60; s++) {
                struct crowd c = { 0 };

                seed = s * 7919 + 13 * (uint64_t)_i;
                world_init(&c.w, crowd_cases[_i].autoincrement, crowd_cases[_i].by_rowid);
                for (size_t g = 0; g < crowd_cases[_i].n_gates; g++)
                        world_start_gate(&c.w, g);
                for (int step = 0; step < 400; step++)
                        crowd_step(&c, crowd_cases[_i].n_gates);
                for (int i = 0; i < N_WRITES; i++)
                        if (c.live[i])
                                sequence_cancel(c.writes[i].gate->sequences, &c.writes[i].use);
                world_settle(&c.w);
                world_done(&c.w);
        }
}
END_TEST

START_TEST(failed_id_is_given_again_unless_overtaken)
{
        struct err refused = ERR_INIT, ok = ERR_INIT;
        struct world w;
        struct write a, b;

        world_init(&w, false, true);
        world_start_gate(&w, 0);
        insert_one(&w.gates[0], 1, 1);
        err_set(&refused, ERR_PRECONDITION, "SQLITE_CONSTRAINT_UNIQUE", "no");
        init_write(&a, &w.gates[0], ROWIDS_ADDED, 1);
        init_write(&b, &w.gates[0], ROWIDS_ADDED, 1);
        begin_fill(&a);
        world_settle(&w);
        begin_fill(&b);
        world_settle(&w);
        ck_assert_int_eq(a.elements[0].integer, 2);
        ck_assert_int_eq(b.elements[0].integer, 3);
        ck_assert(!sequence_note_result(w.gates[0].sequences, &a.use, &refused));
        b.u[0] = 3;
        insert_rows(&b, &ok);
        ck_assert(!sequence_note_result(w.gates[0].sequences, &b.use, &ok));
        insert_one(&w.gates[0], 4, 4);
        init_write(&a, &w.gates[0], ROWIDS_ADDED, 1);
        begin_fill(&a);
        world_settle(&w);
        ck_assert_int_eq(a.elements[0].integer, 5);
        ck_assert(!sequence_note_result(w.gates[0].sequences, &a.use, &refused));
        insert_one(&w.gates[0], 5, 5);
        world_done(&w);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/sequence");
        TCase *t = tcase_create("sequence");

        tcase_set_timeout(t, 60);
        tcase_add_loop_test(t, one_client_gets_sqlites_ids, 0, ARRAY_LEN(serial_cases));
        tcase_add_test(t, asks_only_when_it_must);
        tcase_add_test(t, old_answer_is_not_believed);
        tcase_add_test(t, last_id_then_random_ones);
        tcase_add_test(t, no_id_without_topo_or_shards);
        tcase_add_test(t, doubt_leaves_a_gap_for_a_while);
        tcase_add_test(t, another_gates_explicit_rows);
        tcase_add_test(t, replayed_reply_takes_no_id);
        tcase_add_test(t, table_made_anew);
        tcase_add_test(t, idle_tables_are_forgotten);
        tcase_add_test(t, failed_id_is_given_again_unless_overtaken);
        tcase_add_loop_test(t, many_clients_get_unique_ids, 0, ARRAY_LEN(crowd_cases));
        suite_add_tcase(s, t);
        return unit_run(s);
}
