/* reader.c - reads: each on a connection of its own while it lasts, and in pieces, between which it
 * may wait for as long as the receiver needs and go on on another thread.
 *
 * A read must see exactly the schema version it was planned with. The shard's version is in memory,
 * guarded by a counter that is odd while a schema change commits: if it is even and has not moved
 * between looking at the version and the first row (which opened the snapshot), the snapshot is of
 * that version. Otherwise the read begins a transaction and looks at _shoal_meta in its own
 * snapshot. A pin has done that already; its reads take turns on its connection. */
#include "tablet/engine_int.h"

#include <inttypes.h>

enum {
        TRY_MAX_TICKS = 20, /* of CONN_TICK_STEPS */
        TRY_MAX_ROWS = 64,
        TRY_MAX_SQL_BYTES = 4096, /* to be prepared on the loop thread */
};

void engine_read_init(struct engine_read *r, struct engine_shard *shard,
                      const struct engine_stmt *stmt, struct engine_pin *pin)
{
        *r = (struct engine_read){
                .shard = shard, .stmt = stmt, .pin = pin, .cancelled = stmt->cancelled
        };
}

bool engine_read_is_ready(const struct engine_read *r)
{
        return r->pin || atomic_load(&r->shard->open);
}

/* ---- the snapshot */

static enum err_code check_version(const struct engine_read *r, uint64_t version,
                                   struct err *reterr)
{
        uint64_t planned = r->stmt->schema_version;

        if (planned && planned != version)
                return schema_mismatch(r->shard, planned, version, reterr);
        return ERR_OK;
}

/* exact: the schema version is looked up in the snapshot. */
static enum err_code open_snapshot(struct engine_read *r, bool exact, struct err *reterr)
{
        uint64_t version = 0, last_ts = 0;
        int rc;

        if (r->pin)
                return check_version(r, r->pin->schema_version, reterr);
        if (!exact)
                return check_version(r, atomic_load(&r->shard->schema_version), reterr);
        rc = snapshot_begin(r->conn, &r->in_transaction, &last_ts, &version);
        return rc == SQLITE_OK ? check_version(r, version, reterr) : conn_fail(r->conn, rc, reterr);
}

static bool schema_moved(const struct engine_read *r)
{
        return r->stmt->schema_version && !r->in_transaction && !r->pin &&
               atomic_load(&r->shard->schema_seq) != r->schema_seq;
}

/* ---- running */

static void enter(struct engine_read *r, unsigned n_ticks)
{
        const struct conn_limits limits = {
                .deadline_us = r->stmt->deadline_us,
                .too_old_us = r->started_us + (int64_t)r->shard->engine->o.max_read_ms * 1000,
                .cancelled = r->cancelled,
                .n_ticks = n_ticks,
        };

        conn_enter(r->conn, GUARD_STATEMENT, &limits, r->stmt->now_ms);
}

static enum err_code start(struct engine_read *r, unsigned n_ticks, bool exact, struct err *reterr)
{
        enum err_code code;

        r->schema_seq = atomic_load(&r->shard->schema_seq);
        if (r->stmt->schema_version && ((r->schema_seq & 1) || !atomic_load(&r->shard->open)))
                exact = true;
        r->started_us = r->pin ? r->pin->started_us : mono_us();
        code = open_snapshot(r, exact, reterr);
        if (code)
                return code;
        enter(r, n_ticks);
        code = run_prepare(r->conn, r->stmt, &r->cached, reterr);
        if (!code && !sqlite3_stmt_readonly(r->cached->stmt))
                code = err_set(reterr, ERR_INVALID, "NOT_READ_ONLY",
                               "the statement writes but was sent as a read");
        conn_leave(r->conn);
        return code;
}

/* Gives back the statement and the snapshot. */
static void stop(struct engine_read *r)
{
        if (r->cached)
                stmt_cache_put(&r->conn->cache, r->cached);
        r->cached = NULL;
        if (r->in_transaction && conn_exec(r->conn, CONN_COMMIT) != SQLITE_OK)
                r->conn->is_broken = true;
        r->in_transaction = false;
}

struct piece {
        uint64_t chunk_bytes; /* 0: all */
        uint64_t max_rows;    /* in this piece; 0: no limit */
        struct buf *out;
        bool more;
};

static enum err_code add_row(struct engine_read *r, struct piece *p, struct err *reterr)
{
        uint64_t max_bytes = p->chunk_bytes ? 0 : r->shard->engine->o.max_result_bytes;

        return run_add_row(r->stmt, r->cached->stmt, max_bytes, &r->count, p->out, reterr);
}

/* Steps until the rows or the piece end. *ret_moved: the schema changed before the snapshot was
 * opened. */
static enum err_code pull(struct engine_read *r, struct piece *p, bool *ret_moved,
                          struct err *reterr)
{
        size_t n_start = p->out->n_bytes;
        sqlite3_stmt *stmt = r->cached->stmt;
        enum err_code code;
        uint64_t n = 0;
        int rc;

        for (;;) {
                rc = sqlite3_step(stmt);
                if (!r->is_begun && schema_moved(r)) {
                        *ret_moved = true;
                        return ERR_OK;
                }
                if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                        return conn_fail(r->conn, rc, reterr);
                if (!r->is_begun && !r->stmt->omit_columns)
                        value_add_columns(p->out, stmt);
                r->is_begun = true;
                p->more = rc == SQLITE_ROW;
                if (!p->more)
                        return ERR_OK;
                code = add_row(r, p, reterr);
                if (code)
                        return code;
                if (p->chunk_bytes && p->out->n_bytes - n_start >= p->chunk_bytes)
                        return ERR_OK;
                if (p->max_rows && ++n == p->max_rows)
                        return ERR_OK;
        }
}

/* Starts the statement if need be and fetches a piece; again, looking closely, if the schema
 * changes meanwhile. */
static enum err_code fetch(struct engine_read *r, struct piece *p, unsigned n_ticks,
                           struct err *reterr)
{
        enum err_code code = ERR_OK;
        bool moved = false;

        for (int attempt = 0; attempt < 2; attempt++) {
                moved = false;
                if (!r->cached)
                        code = start(r, n_ticks, attempt > 0, reterr);
                if (!code) {
                        enter(r, n_ticks);
                        code = pull(r, p, &moved, reterr);
                        conn_leave(r->conn);
                }
                /* What looks like an error of the statement may come of a schema it was not planned
                 * for. */
                if (code && !r->is_begun && schema_moved(r))
                        moved = true;
                if (!moved)
                        return code;
                stop(r);
                code = ERR_OK;
        }
        return err_set(reterr, ERR_ABORTED, "SCHEMA_CHANGED", "the schema of shard %s is changing",
                       r->shard->label);
}

enum err_code engine_read_try(struct engine_read *r, struct buf *out, bool *ret_done,
                              struct err *reterr)
{
        struct piece p = { .max_rows = TRY_MAX_ROWS, .out = out };
        size_t n_before = out->n_bytes;
        enum err_code code;

        *ret_done = false;
        if (!engine_read_is_ready(r))
                return ERR_OK;
        r->conn = r->pin ? r->pin->conn : conn_acquire_idle(r->shard);
        if (!r->conn)
                return ERR_OK;
        if (r->stmt->n_sql_bytes > TRY_MAX_SQL_BYTES &&
            !stmt_cache_find(&r->conn->cache, r->stmt->sql, r->stmt->n_sql_bytes)) {
                engine_read_done(r);
                return ERR_OK;
        }
        r->conn->max_busy_ms = 0;
        code = fetch(r, &p, TRY_MAX_TICKS, reterr);
        *ret_done = !p.more && r->conn->stop != CONN_STOP_BUDGET && !r->conn->was_busy;
        engine_read_done(r);
        if (*ret_done)
                return code;
        out->n_bytes = n_before;
        engine_read_init(r, r->shard, r->stmt, r->pin);
        return ERR_OK;
}

/* Cancelled, past its deadline or too old while it was not running. */
static enum err_code check_limits(const struct engine_read *r, struct err *reterr)
{
        int64_t now_us = mono_us();

        if (r->cancelled && atomic_load_explicit(r->cancelled, memory_order_relaxed))
                return err_set(reterr, ERR_CANCELLED, "CANCELLED", "cancelled");
        if (now_us >= r->stmt->deadline_us)
                return err_set(reterr, ERR_DEADLINE, "DEADLINE_EXCEEDED", "deadline exceeded");
        if (r->conn && engine_read_is_too_old(r, now_us))
                return err_set(reterr, ERR_ABORTED, "READ_TOO_OLD",
                               "the read has kept its snapshot for longer than %" PRIu64 " ms",
                               r->shard->engine->o.max_read_ms);
        return ERR_OK;
}

bool engine_read_is_too_old(const struct engine_read *r, int64_t now_us)
{
        return r->started_us &&
               now_us >= r->started_us + (int64_t)r->shard->engine->o.max_read_ms * 1000;
}

enum err_code engine_read_run(struct engine_read *r, uint64_t chunk_bytes, struct buf *out,
                              bool *ret_more, struct err *reterr)
{
        struct piece p = { .chunk_bytes = chunk_bytes, .out = out };
        enum err_code code;

        *ret_more = false;
        code = check_limits(r, reterr);
        if (!code && r->pin)
                r->conn = r->pin->conn;
        else if (!code && !r->conn)
                code = conn_acquire(r->shard, false, &r->conn, reterr);
        if (!code)
                code = fetch(r, &p, 0, reterr);
        if (code || !p.more)
                engine_read_done(r);
        *ret_more = !code && p.more;
        return code;
}

void engine_read_done(struct engine_read *r)
{
        if (!r->conn)
                return;
        stop(r);
        if (r->pin)
                r->conn = NULL;
        else
                conn_release(TAKE(r->conn));
}
