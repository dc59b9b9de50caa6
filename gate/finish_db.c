/* finish_db.c - opens, fills and queries the private database of a finish. One thread at a time. */
#include "gate/finish_db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/partial_agg.h"
#include "common/sqlite_err.h"
#include "common/sqlite_now.h"
#include "common/sqlite_printf.h"
#include "common/wire.h"
#include "gate/memory_quota.h"
#include "gate/spill.h"

enum { OPS_BETWEEN_STOPS = 1000, RESULT_SET_ROWS = 2 };

/* Owner: whoever works with it. */
struct finish_db {
        const struct plan *plan;
        sqlite3 *db;
        sqlite3_stmt **loads; /* one for each part */
        sqlite3_stmt *finish;
        struct value *row; /* as wide as the widest part */
        struct spill_quota quota;
        struct memory_quota memory;
        int64_t now_ms;
        bool (*stop)(void *arg);
        void *stop_arg;
};

/* SQLite's view of the world while this thread works with d. */
static void enter(struct finish_db *d)
{
        spill_use(&d->quota);
        memory_quota_use(&d->memory);
        sqlite_now_set(d->now_ms);
}

static void leave(void)
{
        spill_use(NULL);
        memory_quota_use(NULL);
        sqlite_now_set(0);
}

static enum err_code fail(struct finish_db *d, int rc, struct err *reterr)
{
        if (d->quota.exceeded && (rc & 0xff) == SQLITE_FULL)
                return err_set(reterr, ERR_EXHAUSTED, "SPILL_LIMIT",
                               "the statement needs more than %llu bytes of temporary files at the "
                               "gate",
                               (unsigned long long)d->quota.max_bytes);
        if (d->memory.exceeded &&
            ((rc & 0xff) == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM || (rc & 0xff) == SQLITE_FULL))
                return err_set(reterr, ERR_EXHAUSTED, "FINISH_MEMORY",
                               "the statement needs more than %lld bytes of memory at the gate",
                               (long long)d->memory.max_bytes);
        sqlite_err_set(reterr, d->db, rc);
        /* Of our statement, not the client's. */
        reterr->offset = -1;
        return reterr->code;
}

static int on_progress(void *arg)
{
        struct finish_db *d = arg;

        return d->stop && d->stop(d->stop_arg);
}

static int prepare(struct finish_db *d, const char *sql, sqlite3_stmt **ret_stmt)
{
        return sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_stmt, NULL);
}

static bool has_rtrim(const struct plan *p)
{
        for (size_t i = 0; i < p->n_parts; i++)
                if (strcasestr(p->parts[i].load_ddl, "rtrim"))
                        return true;
        return strcasestr(p->finish_sql, "rtrim") != NULL;
}

/* Where SQLite 3.40 joins with a Bloom filter it hashes the lengths of texts, and misses those that
 * are equal under RTRIM only. */
static void do_without_bloom_filters(struct finish_db *d)
{
        enum { BLOOM_FILTER = 0x00080000 }; /* of sqliteInt.h */

        sqlite3_test_control(SQLITE_TESTCTRL_OPTIMIZATIONS, d->db, BLOOM_FILTER);
}

/* One transaction spans its life: nothing in it is ever to be kept. */
static int set_up(struct finish_db *d, const struct finish_db_limits *limits)
{
        char sql[400];
        int rc = d->plan->on_schema ? SQLITE_OK : partial_agg_register(d->db);

        if (rc == SQLITE_OK && !d->plan->plain_functions)
                rc = sqlite_printf_register(d->db);
        if (rc != SQLITE_OK)
                return rc;
        finish_db_set_value_limit(d, limits->value_bytes);
        if (has_rtrim(d->plan))
                do_without_bloom_filters(d);
        sqlite3_progress_handler(d->db, OPS_BETWEEN_STOPS, on_progress, d);
        snprintf(sql, sizeof(sql),
                 "PRAGMA page_size=4096; PRAGMA cache_size=-%llu; PRAGMA temp_store=FILE;"
                 "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;"
                 "PRAGMA secure_delete=OFF; BEGIN",
                 (unsigned long long)(limits->memory_bytes / 1024 + 1));
        return sqlite3_exec(d->db, sql, NULL, NULL, NULL);
}

static int make_schema(struct finish_db *d)
{
        size_t n;
        const char *const *creates = catalog_creates(d->plan->catalog, &n);
        int rc = SQLITE_OK;

        for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
                rc = sqlite3_exec(d->db, creates[i], NULL, NULL, NULL);
        return rc;
}

static int make_tables(struct finish_db *d)
{
        const struct plan *p = d->plan;
        size_t n_columns = 0;
        int rc = SQLITE_OK;

        for (size_t i = 0; i < p->n_parts && rc == SQLITE_OK; i++) {
                rc = sqlite3_exec(d->db, p->parts[i].load_ddl, NULL, NULL, NULL);
                if (rc == SQLITE_OK)
                        rc = prepare(d, p->parts[i].load_sql, &d->loads[i]);
                if (p->parts[i].n_columns > n_columns)
                        n_columns = p->parts[i].n_columns;
        }
        d->row = xcalloc(n_columns + 1, sizeof(*d->row));
        if (rc == SQLITE_OK && p->on_schema)
                rc = make_schema(d);
        if (rc == SQLITE_OK)
                rc = prepare(d, p->finish_sql, &d->finish);
        return rc;
}

enum err_code finish_db_open(const struct plan *p, const struct finish_db_limits *limits,
                             struct finish_db **ret_db, struct err *reterr)
{
        cleanup_(finish_db_closep) struct finish_db *d = xcalloc(1, sizeof(*d));
        int rc = spill_register();

        d->plan = p;
        d->quota.max_bytes = limits->disk_bytes;
        d->memory.max_bytes = (int64_t)limits->total_memory_bytes;
        d->loads = xcalloc(p->n_parts + 1, sizeof(sqlite3_stmt *));
        enter(d);
        if (rc == SQLITE_OK)
                rc = sqlite3_open_v2("", &d->db,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                         SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                                     SPILL_VFS);
        if (rc == SQLITE_OK)
                rc = set_up(d, limits);
        if (rc == SQLITE_OK)
                rc = make_tables(d);
        leave();
        if (rc != SQLITE_OK)
                return err_wrap(reterr, fail(d, rc, reterr), "finish at the gate");
        *ret_db = TAKE(d);
        return ERR_OK;
}

struct finish_db *finish_db_close(struct finish_db *d)
{
        if (!d)
                return NULL;
        enter(d);
        for (size_t i = 0; d->loads && i < d->plan->n_parts; i++)
                sqlite3_finalize(d->loads[i]);
        sqlite3_finalize(d->finish);
        sqlite3_close(d->db);
        leave();
        free(d->loads);
        free(d->row);
        free(d);
        return NULL;
}

void finish_db_set_stop(struct finish_db *d, bool (*stop)(void *arg), void *arg)
{
        d->stop = stop;
        d->stop_arg = arg;
}

void finish_db_set_value_limit(struct finish_db *d, uint64_t n_bytes)
{
        sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, n_bytes > INT32_MAX ? INT32_MAX : (int)n_bytes);
}

static enum err_code load_row(struct finish_db *d, size_t part, const struct wire_field *f,
                              struct err *reterr)
{
        size_t n = d->plan->parts[part].n_columns;
        sqlite3_stmt *stmt = d->loads[part];
        enum err_code code = ERR_OK;
        int rc = SQLITE_OK;

        if (value_decode_row(f->data, f->n_bytes, d->row, n, NULL))
                return err_set(reterr, ERR_INTERNAL, "BAD_REPLY",
                               "a shard sent a row that does not decode");
        for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
                rc = value_bind(stmt, (int)i + 1, &d->row[i]);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        if (rc != SQLITE_DONE)
                code = fail(d, rc, reterr);
        sqlite3_reset(stmt);
        return code;
}

enum err_code finish_db_load(struct finish_db *d, size_t part, const uint8_t *result,
                             size_t n_bytes, struct err *reterr)
{
        struct wire_reader r = wire_reader(result, n_bytes);
        enum err_code rc = ERR_OK;
        struct wire_field f;

        enter(d);
        while (!rc && wire_next(&r, &f)) {
                if (f.number == RESULT_SET_ROWS && f.type == WIRE_BYTES)
                        rc = load_row(d, part, &f, reterr);
        }
        leave();
        if (!rc && r.failed)
                return err_set(reterr, ERR_INTERNAL, "BAD_REPLY",
                               "a shard sent rows that do not decode");
        return rc;
}

enum err_code finish_db_start(struct finish_db *d, const struct value *values, size_t n_values,
                              int64_t now_ms, struct err *reterr)
{
        int n = sqlite3_bind_parameter_count(d->finish);
        int rc = SQLITE_OK;

        d->now_ms = now_ms;
        enter(d);
        for (int i = 1; i <= n && (size_t)i <= n_values && rc == SQLITE_OK; i++)
                rc = value_bind(d->finish, i, &values[i - 1]);
        leave();
        return rc == SQLITE_OK ? ERR_OK : fail(d, rc, reterr);
}

enum err_code finish_db_step(struct finish_db *d, struct buf *b, size_t chunk_bytes,
                             uint64_t max_rows, uint64_t *ret_n_rows, bool *ret_done,
                             struct err *reterr)
{
        int n_columns = sqlite3_column_count(d->finish);
        uint64_t n_rows = 0;
        int rc = SQLITE_ROW;

        enter(d);
        while (b->n_bytes < chunk_bytes && n_rows < max_rows && !b->failed) {
                rc = sqlite3_step(d->finish);
                if (rc != SQLITE_ROW)
                        break;
                value_add_row(b, d->finish, n_columns);
                n_rows++;
        }
        leave();
        if (b->failed)
                return err_set(reterr, ERR_EXHAUSTED, "RESULT_TOO_LARGE",
                               "the result is larger than %zu bytes", b->max_bytes);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                return fail(d, rc, reterr);
        *ret_n_rows = n_rows;
        *ret_done = rc == SQLITE_DONE;
        return ERR_OK;
}

static int empty_tables(struct finish_db *d)
{
        sqlite3_stmt *names = NULL;
        int rc = sqlite3_prepare_v2(d->db,
                                    "SELECT format('DELETE FROM \"%w\"', name) FROM sqlite_schema "
                                    "WHERE type='table' AND name NOT LIKE 'sqlite_stat%'",
                                    -1, &names, NULL);

        while (rc == SQLITE_OK && (rc = sqlite3_step(names)) == SQLITE_ROW)
                rc = sqlite3_exec(d->db, (const char *)sqlite3_column_text(names, 0), NULL, NULL,
                                  NULL);
        sqlite3_finalize(names);
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum err_code finish_db_reset(struct finish_db *d, struct err *reterr)
{
        int rc;

        enter(d);
        sqlite3_reset(d->finish);
        sqlite3_clear_bindings(d->finish);
        for (size_t i = 0; i < d->plan->n_parts; i++)
                sqlite3_clear_bindings(d->loads[i]);
        rc = d->plan->n_parts ? empty_tables(d) : SQLITE_OK;
        leave();
        return rc == SQLITE_OK ? ERR_OK : fail(d, rc, reterr);
}

struct sqlite3 *finish_db_handle(struct finish_db *d)
{
        return d->db;
}

uint64_t finish_db_spilled(const struct finish_db *d)
{
        return d->quota.peak_bytes;
}

uint64_t finish_db_bytes(const struct finish_db *d)
{
        int used = 0, high = 0;

        sqlite3_db_status(d->db, SQLITE_DBSTATUS_CACHE_USED, &used, &high, 0);
        return (uint64_t)used + d->quota.used_bytes;
}
