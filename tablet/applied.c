/* applied.c - rows of _shoal_applied: which transactions the shard has committed, and when, or
 * (commit_ts 0) that one never will be. Runs wherever the connection is used. */
#include "tablet/engine_int.h"

static sqlite3_stmt *with_id(struct conn *c, enum conn_sql i, const struct txn_id *id)
{
        sqlite3_stmt *stmt = conn_sql(c, i);

        if (!stmt)
                return NULL;
        sqlite3_bind_int64(stmt, 1, (int64_t)id->epoch);
        sqlite3_bind_int64(stmt, 2, (int64_t)id->counter);
        sqlite3_bind_int64(stmt, 3, (int64_t)id->start);
        return stmt;
}

int applied_find(struct conn *c, const struct txn_id *id, bool *ret_found, uint64_t *ret_ts)
{
        sqlite3_stmt *stmt = with_id(c, CONN_APPLIED_GET, id);
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        rc = sqlite3_step(stmt);
        *ret_found = rc == SQLITE_ROW;
        *ret_ts = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
        sqlite3_reset(stmt);
        return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int applied_put(struct conn *c, const struct txn_id *id, uint64_t commit_ts)
{
        sqlite3_stmt *stmt = with_id(c, CONN_APPLIED_PUT, id);
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        sqlite3_bind_int64(stmt, 4, (int64_t)commit_ts);
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int applied_trim(struct conn *c, uint64_t horizon, int max_rows)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_APPLIED_TRIM);
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        sqlite3_bind_int64(stmt, 1, (int64_t)horizon);
        sqlite3_bind_int(stmt, 2, max_rows);
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        return rc == SQLITE_DONE ? meta_put(c, "horizon", horizon) : rc;
}
