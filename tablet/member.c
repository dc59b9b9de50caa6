/* member.c - one write of a batch, in a savepoint. Runs on a writer's thread. */
#include "tablet/writer_int.h"

#include <stdio.h>

#include "common/wire.h"

/* A statement that takes longer leaves the batch if there are others in it: they are not to wait
 * for it. */
enum { SLOW_US = 50 * 1000 };

enum err_code member_check(const struct engine_write *w, struct err *reterr)
{
        if (w->stmt->cancelled && atomic_load_explicit(w->stmt->cancelled, memory_order_relaxed))
                return err_set(reterr, ERR_CANCELLED, "CANCELLED",
                               "cancelled before it was started");
        if (mono_us() >= w->stmt->deadline_us)
                return err_set(reterr, ERR_DEADLINE, "DEADLINE_EXCEEDED",
                               "deadline exceeded before it was started");
        if (w->kind != ENGINE_WRITE_READY && atomic_load(&w->shard->damaged))
                return err_set(reterr, ERR_DATA_LOSS, "SHARD_DAMAGED",
                               "shard %s is damaged and takes no writes", w->shard->label);
        return ERR_OK;
}

/* ---- statements */

static enum err_code fetch_rows(struct batch *b, struct engine_write *w, sqlite3_stmt *stmt,
                                struct err *reterr)
{
        struct run_count count = { 0 };
        enum err_code code = ERR_OK;
        bool is_begun = false;
        int rc;

        for (;;) {
                rc = sqlite3_step(stmt);
                if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                        return conn_fail(b->c, rc, reterr);
                if (!is_begun && !w->stmt->omit_columns && sqlite3_column_count(stmt))
                        value_add_columns(&w->result, stmt);
                is_begun = true;
                if (rc == SQLITE_DONE)
                        break;
                code = run_add_row(w->stmt, stmt, b->shard->engine->o.max_result_bytes, &count,
                                   &w->result, reterr);
                if (code)
                        return code;
        }
        w->n_rows = count.n_rows;
        return ERR_OK;
}

static void add_counts(struct batch *b, struct engine_write *w)
{
        int64_t n_changes = sqlite3_changes64(b->c->db);
        int64_t id = sqlite3_last_insert_rowid(b->c->db);

        wire_add_uint_nz(&w->result, 3, (uint64_t)n_changes);
        wire_add_uint_nz(&w->result, 4, (uint64_t)id);
}

/* In SQLite, OR FAIL and RAISE(FAIL) end a statement with an error and keep what it has done so
 * far; only then has it changed rows. */
static bool failed_keeping_rows(struct batch *b, const struct err *e)
{
        return e->code && (e->extended_code & 0xff) == SQLITE_CONSTRAINT &&
               !sqlite3_get_autocommit(b->c->db) && sqlite3_changes64(b->c->db) > 0;
}

static enum err_code run_prepared(struct batch *b, struct engine_write *w, struct cached_stmt *cs,
                                  bool *ret_keep, struct err *reterr)
{
        bool is_read_only = sqlite3_stmt_readonly(cs->stmt);
        struct conn *c = b->c;
        enum err_code code;

        if (b->n && !is_read_only)
                c->limits.too_old_us = mono_us() + SLOW_US;
        /* It belongs to the connection, and the statement must not see that of the one before. */
        sqlite3_set_last_insert_rowid(c->db, 0);
        code = fetch_rows(b, w, cs->stmt, reterr);
        stmt_cache_put(&c->cache, cs);
        if (is_read_only)
                return code;
        if (code)
                *ret_keep = failed_keeping_rows(b, reterr);
        else
                add_counts(b, w);
        w->wrote = !code || *ret_keep;
        return code;
}

static enum err_code run_statement(struct batch *b, struct engine_write *w, bool *ret_keep,
                                   struct err *reterr)
{
        const struct conn_limits limits = { .deadline_us = w->stmt->deadline_us,
                                            .too_old_us = INT64_MAX,
                                            .cancelled = w->stmt->cancelled };
        enum guard_mode mode = guard_choose_mode(w->stmt->sql, w->stmt->n_sql_bytes);
        struct cached_stmt *cs;
        enum err_code code;

        conn_enter(b->c, mode, &limits, w->stmt->now_ms);
        b->has_analyzed = b->has_analyzed || mode == GUARD_ANALYZE;
        code = run_prepare(b->c, w->stmt, &cs, reterr);
        if (!code)
                code = run_prepared(b, w, cs, ret_keep, reterr);
        conn_leave(b->c);
        return code;
}

/* A deferred constraint that is violated now would be everybody's error at the batch's COMMIT. */
static enum err_code check_foreign_keys(struct batch *b, struct err *reterr)
{
        int n = 0, highest;

        sqlite3_db_status(b->c->db, SQLITE_DBSTATUS_DEFERRED_FKS, &n, &highest, 0);
        if (!n)
                return ERR_OK;
        err_set(reterr, ERR_PRECONDITION, "SQLITE_CONSTRAINT_FOREIGNKEY",
                "FOREIGN KEY constraint failed");
        if (reterr) {
                reterr->extended_code = SQLITE_CONSTRAINT_FOREIGNKEY;
                snprintf(reterr->sqlite_msg, sizeof reterr->sqlite_msg,
                         "FOREIGN KEY constraint failed");
        }
        return ERR_PRECONDITION;
}

/* ---- kinds */

static enum err_code execute(struct batch *b, struct engine_write *w, bool *ret_keep,
                             struct err *reterr)
{
        uint64_t version = atomic_load(&b->shard->schema_version);
        enum err_code code;
        bool found = false;

        if (w->request_id.n_bytes) {
                code = request_log_find(b->c, w, &found, reterr);
                if (code || found)
                        return code;
        } else if (!w->stmt->n_sql_bytes) {
                return err_set(reterr, ERR_INVALID, "EMPTY_STATEMENT", "no statement");
        }
        if (w->stmt->schema_version && w->stmt->schema_version != version)
                return schema_mismatch(b->shard, w->stmt->schema_version, version, reterr);
        if (w->stmt->n_sql_bytes) {
                code = run_statement(b, w, ret_keep, reterr);
                if (code)
                        return code;
        }
        if (w->min_ts > b->min_ts)
                b->min_ts = w->min_ts;
        if (!w->request_id.n_bytes)
                return ERR_OK;
        w->wrote = true;
        return request_log_keep(b->c, w, reterr);
}

static enum err_code probe(struct batch *b, struct engine_write *w, struct err *reterr)
{
        enum err_code code;
        bool found = false;

        code = request_log_find(b->c, w, &found, reterr);
        if (code || found)
                return code;
        return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_REQUEST_ID",
                       "no write with this request_id is known");
}

static enum err_code change_schema(struct batch *b, struct engine_write *w, struct err *reterr)
{
        enum err_code code = schema_change(b->c, w, &b->schema_version, reterr);

        if (code)
                return code;
        b->changes_schema = b->schema_version != atomic_load(&b->shard->schema_version);
        w->wrote = true;
        return ERR_OK;
}

static enum err_code dispatch(struct batch *b, struct engine_write *w, bool *ret_keep,
                              struct err *reterr)
{
        switch (w->kind) {
        case ENGINE_WRITE_EXECUTE:
                return execute(b, w, ret_keep, reterr);
        case ENGINE_WRITE_PROBE:
                return probe(b, w, reterr);
        case ENGINE_WRITE_SCHEMA:
                return change_schema(b, w, reterr);
        case ENGINE_WRITE_READY:
                if (w->min_ts > b->floor_wanted)
                        b->floor_wanted = w->min_ts;
                return ERR_OK;
        case ENGINE_WRITE_CLOSE:
                break;
        }
        return err_set(reterr, ERR_INTERNAL, "BUG", "a write of unknown kind");
}

enum err_code member_run(struct batch *b, struct engine_write *w, struct err *reterr)
{
        enum err_code code;
        bool keep = false;
        int rc;

        w->wrote = false;
        b->c->stop = CONN_STOP_NONE;
        rc = conn_exec(b->c, CONN_SAVEPOINT);
        if (rc != SQLITE_OK)
                return conn_fail(b->c, rc, reterr);
        code = dispatch(b, w, &keep, reterr);
        if (sqlite3_get_autocommit(b->c->db))
                return code;
        if (!code || keep) {
                enum err_code fk = check_foreign_keys(b, reterr);

                code = fk ? fk : code;
                keep = keep && !fk;
        }
        rc = code && !keep ? conn_exec(b->c, CONN_ROLLBACK_TO) : SQLITE_OK;
        if (rc == SQLITE_OK)
                rc = conn_exec(b->c, CONN_RELEASE);
        if (rc != SQLITE_OK)
                return conn_fail(b->c, rc, reterr);
        w->wrote = w->wrote && (!code || keep);
        b->has_written = b->has_written || w->wrote;
        b->changes_schema = b->changes_schema && !code;
        return code;
}
