/* request_log.c - a write that comes again with its request id is done once: its reply is kept in
 * _shoal_request, in the transaction of the write itself, and given again. A row may also be
 * written alone, without SQL: whoever comes second with the id finds its note and no reply
 * (gate/request_intent.h builds on that). Runs in the writer's open transaction. */
#include "tablet/engine_int.h"

#include <string.h>

#include "common/metrics.h"

enum { MAX_KEPT_REPLY_BYTES = 64 << 10, TRIM_ROWS = 256 };

static bool column_is(sqlite3_stmt *stmt, int i, struct bytes b)
{
        size_t n_bytes = (size_t)sqlite3_column_bytes(stmt, i);

        return n_bytes == b.n_bytes &&
               (n_bytes == 0 || memcmp(sqlite3_column_blob(stmt, i), b.data, n_bytes) == 0);
}

static enum err_code take_row(sqlite3_stmt *stmt, struct engine_write *w, bool *ret_found,
                              struct err *reterr)
{
        if (w->request_digest.n_bytes && !column_is(stmt, 0, w->request_digest))
                return err_set(
                    reterr, ERR_INVALID, "REQUEST_ID_REUSED",
                    "this request_id was used for another statement or other parameters");
        buf_add(&w->note, sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1));
        buf_add(&w->result, sqlite3_column_blob(stmt, 2), (size_t)sqlite3_column_bytes(stmt, 2));
        w->replayed = true;
        *ret_found = true;
        return ERR_OK;
}

enum err_code request_log_find(struct conn *c, struct engine_write *w, bool *ret_found,
                               struct err *reterr)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_REQUEST_GET);
        enum err_code code = ERR_OK;
        int rc;

        *ret_found = false;
        if (!stmt)
                return conn_fail(c, sqlite3_extended_errcode(c->db), reterr);
        sqlite3_bind_blob(stmt, 1, w->request_id.data, (int)w->request_id.n_bytes, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
                code = take_row(stmt, w, ret_found, reterr);
        else if (rc != SQLITE_DONE)
                code = conn_fail(c, rc, reterr);
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        if (*ret_found)
                metric_add(engine_metrics()->replays, 1);
        return code;
}

static void bind_bytes(sqlite3_stmt *stmt, int i, struct bytes b)
{
        if (b.n_bytes)
                sqlite3_bind_blob(stmt, i, b.data, (int)b.n_bytes, SQLITE_STATIC);
        else
                sqlite3_bind_null(stmt, i);
}

enum err_code request_log_keep(struct conn *c, const struct engine_write *w, struct err *reterr)
{
        sqlite3_stmt *stmt;
        int rc;

        if (w->result.n_bytes > MAX_KEPT_REPLY_BYTES)
                return err_set(
                    reterr, ERR_EXHAUSTED, "REPLY_TOO_LARGE_FOR_REQUEST_ID",
                    "a reply of %zu bytes cannot be kept for the request_id, %d is the limit",
                    w->result.n_bytes, MAX_KEPT_REPLY_BYTES);
        stmt = conn_sql(c, CONN_REQUEST_PUT);
        if (!stmt)
                return conn_fail(c, sqlite3_extended_errcode(c->db), reterr);
        sqlite3_bind_blob(stmt, 1, w->request_id.data, (int)w->request_id.n_bytes, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 2, wall_us() / 1000);
        bind_bytes(stmt, 3, w->request_digest);
        bind_bytes(stmt, 4, w->request_note);
        bind_bytes(stmt, 5, (struct bytes){ w->result.data, w->result.n_bytes });
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        return rc == SQLITE_DONE ? ERR_OK : conn_fail(c, rc, reterr);
}

enum err_code request_log_trim(struct conn *c, bool *ret_more, struct err *reterr)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_REQUEST_TRIM);
        int64_t keep_ms = (int64_t)c->shard->engine->o.request_keep_ms;
        int rc;

        if (!stmt)
                return conn_fail(c, sqlite3_extended_errcode(c->db), reterr);
        sqlite3_bind_int64(stmt, 1, wall_us() / 1000 - keep_ms);
        sqlite3_bind_int(stmt, 2, TRIM_ROWS);
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        if (rc != SQLITE_DONE)
                return conn_fail(c, rc, reterr);
        *ret_more = sqlite3_changes(c->db) == TRIM_ROWS;
        return ERR_OK;
}
