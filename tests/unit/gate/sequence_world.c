/* sequence_world.c - see the header. */
#include "tests/unit/gate/sequence_world.h"

#include <assert.h>
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void world_sql(sqlite3 *db, struct err *ret_err, const char *fmt, ...)
{
        va_list ap;
        char *sql;

        va_start(ap, fmt);
        sql = sqlite3_vmprintf(fmt, ap);
        va_end(ap);
        *ret_err = (struct err)ERR_INIT;
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
                int code = sqlite3_extended_errcode(db);

                err_set(ret_err, (code & 0xff) == SQLITE_FULL ? ERR_EXHAUSTED : ERR_PRECONDITION,
                        "SQLITE", "%s: %s", sqlite3_errmsg(db), sql);
                ret_err->extended_code = code;
        }
        sqlite3_free(sql);
}

/* ---- what sequences ask */

static int64_t now_us(void *arg)
{
        return ((struct world_gate *)arg)->world->now_us;
}

static uint64_t epoch(void *arg)
{
        return ((struct world_gate *)arg)->epoch;
}

static uint64_t random_bits(void *arg)
{
        struct world *w = ((struct world_gate *)arg)->world;
        uint64_t bits = w->next_random ? w->next_random : 0x9e3779b97f4a7c15ULL * ++w->n_random;

        w->next_random = 0;
        return bits;
}

static void add_question(struct world_question q)
{
        struct world *w = q.gate->world;

        ck_assert_uint_lt(w->n_questions, WORLD_MAX_QUESTIONS);
        w->questions[w->n_questions++] = q;
}

static void read_largest(struct world *w, struct world_question *q)
{
        sqlite3_stmt *stmt;

        assert(sqlite3_prepare_v2(w->db,
                                  w->autoincrement
                                      ? "SELECT max(m) FROM (SELECT max(id) AS m FROM t UNION ALL "
                                        "SELECT seq FROM sqlite_sequence WHERE name = 't')"
                                      : "SELECT max(id) FROM t",
                                  -1, &stmt, NULL) == SQLITE_OK);
        assert(sqlite3_step(stmt) == SQLITE_ROW);
        q->has_largest = sqlite3_column_type(stmt, 0) != SQLITE_NULL;
        q->largest = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
}

static void ask(void *arg, struct sequence *q, struct plan *p, int64_t deadline_us)
{
        struct world_gate *g = arg;
        struct world_question question = { .sequence = q, .gate = g };

        g->world->n_asked++;
        read_largest(g->world, &question);
        add_question(question);
}

static void allocate(void *arg, struct sequence *q, uint64_t keyspace_id, const char *table,
                     int64_t above, uint64_t count, int64_t deadline_us)
{
        struct world_gate *g = arg;

        ck_assert_str_eq(table, "t");
        g->world->n_allocated++;
        add_question((struct world_question){
            .sequence = q, .gate = g, .is_allocation = true, .above = above, .count = count });
}

static void answer_allocation(struct world *w, const struct world_question *q)
{
        static const struct err ok = ERR_INIT;
        struct err away = ERR_INIT;
        int64_t high = w->high > q->above + 1 ? w->high : q->above + 1;
        bool others = false;
        int64_t count = (int64_t)q->count, first, limit;

        if (!q->gate->epoch) {
                err_set(&away, ERR_UNAVAILABLE, "GATE_LEASE_ENDED", "no lease");
                sequence_allocated(q->sequence, &away, 0, 0, 0);
                return;
        }
        for (size_t i = 0; i < WORLD_MAX_GATES; i++)
                others |= &w->gates[i] != q->gate && w->gates[i].epoch && w->gates[i].has_range;
        first = others ? high : q->above + 1;
        if (first == INT64_MAX) {
                err_set(&away, ERR_EXHAUSTED, "IDS_EXHAUSTED", "none is left");
                sequence_allocated(q->sequence, &away, q->gate->epoch, 0, 0);
                return;
        }
        if (q->count < WORLD_RANGE)
                count = WORLD_RANGE;
        limit = first > INT64_MAX - count ? INT64_MAX : first + count;
        w->high = limit > high ? limit : high;
        q->gate->has_range = true;
        sequence_allocated(q->sequence, &ok, q->gate->epoch, first, limit > high ? limit : high);
}

void world_answer(struct world *w, size_t i)
{
        static const struct err ok = ERR_INIT;
        struct world_question q = w->questions[i];

        w->questions[i] = w->questions[--w->n_questions];
        if (w->failure.code) {
                struct err e = w->failure;

                if (q.is_allocation)
                        sequence_allocated(q.sequence, &e, 0, 0, 0);
                else
                        sequence_asked(q.sequence, &e, false, 0);
        } else if (q.is_allocation) {
                answer_allocation(w, &q);
        } else {
                sequence_asked(q.sequence, &ok, q.has_largest, q.largest);
        }
}

void world_settle(struct world *w)
{
        for (size_t n = 0; w->n_questions; n++) {
                ck_assert_uint_lt(n, 10000);
                world_answer(w, 0);
        }
}

/* ---- life */

void world_start_gate(struct world *w, size_t i)
{
        struct world_gate *g = &w->gates[i];
        const struct sequence_io io = {
                .arg = g,
                .now_us = now_us,
                .epoch = epoch,
                .random = random_bits,
                .ask = ask,
                .allocate = allocate,
        };

        for (size_t k = 0; k < w->n_questions;)
                if (w->questions[k].gate == g)
                        w->questions[k] = w->questions[--w->n_questions];
                else
                        k++;
        sequences_free(g->sequences);
        g->world = w;
        g->epoch = ++w->last_epoch;
        g->has_range = false;
        g->sequences = sequences_new_io(&io);
}

void world_init(struct world *w, bool autoincrement, bool by_rowid)
{
        struct err e;

        *w = (struct world){ .autoincrement = autoincrement, .now_us = 1000000, .high = INT64_MIN };
        w->shard_column = by_rowid ? 0 : 1;
        w->table = (struct catalog_table){
                .name = "t",
                .rowid_column = 0,
                .rowid_name = "id",
                .autoincrement = autoincrement,
                .sharding = SHARDING_HASH,
                .shard_columns = &w->shard_column,
                .n_shard_columns = 1,
        };
        w->route =
            (struct route){ .kind = ROUTE_KEYS, .table = &w->table, .slots = &w->route_slot };
        assert(sqlite3_open(":memory:", &w->db) == SQLITE_OK);
        world_sql(w->db, &e, "CREATE TABLE t(id INTEGER PRIMARY KEY %s, u UNIQUE)",
                  autoincrement ? "AUTOINCREMENT" : "");
        ck_assert_int_eq(e.code, ERR_OK);
}

void world_done(struct world *w)
{
        for (size_t i = 0; i < WORLD_MAX_GATES; i++)
                w->gates[i].sequences = sequences_free(w->gates[i].sequences);
        sqlite3_close(w->db);
}
