/* schema.c - schema changes: from one version to the next and back, once each. Runs in the writer's
 * open transaction.
 *
 * Messages may come late or twice. A change that was taken back is remembered (rows undone/ID of
 * _shoal_meta), so that an apply of it that comes after does nothing; the row goes when the shard
 * is past that version, or when there are too many. */
#include "tablet/engine_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_UNDONE_KEPT = 256 };

enum err_code schema_mismatch(const struct engine_shard *s, uint64_t planned, uint64_t actual,
                              struct err *reterr)
{
        return err_set(reterr, ERR_ABORTED, "SCHEMA_CHANGED",
                       "shard %s is at schema version %" PRIu64
                       ", the request was planned with %" PRIu64,
                       s->label, actual, planned);
}

static enum err_code run_one(struct conn *c, sqlite3_stmt *stmt, struct err *reterr)
{
        enum err_code code = ERR_OK;
        int rc;

        do {
                rc = sqlite3_step(stmt);
        } while (rc == SQLITE_ROW);
        if (rc != SQLITE_DONE)
                code = conn_fail(c, rc, reterr);
        sqlite3_finalize(stmt);
        return code;
}

/* "CREATE TRIGGER temp.x" gets past the authorizer, and what is TEMP would stay on the connection.
 */
static enum err_code check_temp(struct conn *c, struct err *reterr)
{
        sqlite3_stmt *stmt;
        int rc;

        rc = sqlite3_prepare_v2(c->db, "SELECT 1 FROM sqlite_temp_schema LIMIT 1", -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return conn_fail(c, rc, reterr);
        rc = sqlite3_step(stmt);
        sqlite3_finalize(stmt);
        if (rc == SQLITE_ROW)
                return err_set(reterr, ERR_DENIED, "NOT_ALLOWED", "not allowed: a TEMP object");
        return rc == SQLITE_DONE ? ERR_OK : conn_fail(c, rc, reterr);
}

static enum err_code run_script(struct conn *c, const struct engine_write *w, const char *sql,
                                struct err *reterr)
{
        const struct conn_limits limits = { .deadline_us = w->stmt->deadline_us,
                                            .too_old_us = INT64_MAX,
                                            .cancelled = w->stmt->cancelled };
        enum err_code code = ERR_OK;
        sqlite3_stmt *stmt;
        int rc;

        conn_enter(c, GUARD_SCHEMA, &limits, w->stmt->now_ms);
        while (!code && *sql) {
                rc = sqlite3_prepare_v2(c->db, sql, -1, &stmt, &sql);
                if (rc != SQLITE_OK)
                        code = conn_fail(c, rc, reterr);
                else if (stmt)
                        code = run_one(c, stmt, reterr);
        }
        conn_leave(c);
        return code ? code : check_temp(c, reterr);
}

static int undone_key(const char *change_id, char *ret_key, size_t n_bytes)
{
        int n = snprintf(ret_key, n_bytes, "undone/%s", change_id);

        return n > 0 && (size_t)n < n_bytes ? SQLITE_OK : SQLITE_TOOBIG;
}

struct state {
        uint64_t version;
        char *change_id;
        uint64_t undone; /* 1: this change was taken back before */
};

static void state_done(struct state *s)
{
        free(s->change_id);
}

static int read_state(struct conn *c, const char *change_id, struct state *ret_state)
{
        char key[256];
        int rc = undone_key(change_id, key, sizeof key);

        if (rc == SQLITE_OK)
                rc = meta_get(c, "schema_version", &ret_state->version);
        if (rc == SQLITE_OK)
                rc = meta_get_text(c, "change_id", &ret_state->change_id);
        if (rc == SQLITE_OK)
                rc = meta_get(c, key, &ret_state->undone);
        return rc;
}

static int write_state(struct conn *c, uint64_t version, const char *change_id)
{
        int rc = meta_put(c, "schema_version", version);

        return rc == SQLITE_OK ? meta_put_text(c, "change_id", change_id) : rc;
}

/* Remembers that the change was taken back, and forgets those that cannot come any more. */
static int note_undone(struct conn *c, const struct engine_schema_change *ch)
{
        char key[256];
        int rc = undone_key(ch->change_id, key, sizeof key);

        return rc == SQLITE_OK ? meta_put(c, key, ch->version) : rc;
}

static int trim_undone(struct conn *c, uint64_t below_version)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_UNDONE_TRIM);
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        sqlite3_bind_int64(stmt, 1, (int64_t)below_version);
        sqlite3_bind_int(stmt, 2, MAX_UNDONE_KEPT);
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static enum err_code apply(struct conn *c, const struct engine_write *w, const struct state *at,
                           uint64_t *ret_version, struct err *reterr)
{
        const struct engine_schema_change *ch = w->change;
        enum err_code code;
        int rc;

        *ret_version = at->version;
        if (at->version == ch->version && at->change_id &&
            strcmp(at->change_id, ch->change_id) == 0)
                return ERR_OK;
        if (at->undone)
                return err_set(reterr, ERR_ABORTED, "SCHEMA_CHANGE_UNDONE",
                               "schema change %s was taken back on shard %s", ch->change_id,
                               c->shard->label);
        if (at->version != ch->version - 1)
                return schema_mismatch(c->shard, ch->version - 1, at->version, reterr);
        code = run_script(c, w, ch->sql, reterr);
        if (code)
                return code;
        rc = write_state(c, ch->version, ch->change_id);
        if (rc == SQLITE_OK)
                rc = trim_undone(c, ch->version);
        *ret_version = ch->version;
        return rc == SQLITE_OK ? ERR_OK : conn_fail(c, rc, reterr);
}

static enum err_code undo(struct conn *c, const struct engine_write *w, const struct state *at,
                          uint64_t *ret_version, struct err *reterr)
{
        const struct engine_schema_change *ch = w->change;
        bool is_applied = at->version == ch->version && at->change_id &&
                          strcmp(at->change_id, ch->change_id) == 0;
        enum err_code code = ERR_OK;
        int rc = SQLITE_OK;

        *ret_version = at->version;
        if (!is_applied && at->version >= ch->version)
                return at->undone ? ERR_OK
                                  : schema_mismatch(c->shard, ch->version, at->version, reterr);
        if (is_applied) {
                code = run_script(c, w, ch->undo_sql, reterr);
                if (code)
                        return code;
                rc = write_state(c, ch->version - 1, "");
                *ret_version = ch->version - 1;
        }
        if (rc == SQLITE_OK)
                rc = note_undone(c, ch);
        if (rc == SQLITE_OK)
                rc = trim_undone(c, ch->version);
        return rc == SQLITE_OK ? ERR_OK : conn_fail(c, rc, reterr);
}

enum err_code schema_change(struct conn *c, const struct engine_write *w, uint64_t *ret_version,
                            struct err *reterr)
{
        cleanup_(state_done) struct state at = { 0 };
        enum err_code code;
        int rc;

        if (w->change->version == 0 || !w->change->change_id[0])
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST",
                               "a schema change needs a version and an id");
        code = guard_check_names(w->change->undo ? w->change->undo_sql : w->change->sql, reterr);
        if (code)
                return code;
        rc = read_state(c, w->change->change_id, &at);
        if (rc != SQLITE_OK)
                return conn_fail(c, rc, reterr);
        if (w->change->undo)
                return undo(c, w, &at, ret_version, reterr);
        return apply(c, w, &at, ret_version, reterr);
}
