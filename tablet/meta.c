/* meta.c - rows of _shoal_meta: what a shard knows of itself. Runs wherever the connection is used.
 */
#include "tablet/engine_int.h"

#include <string.h>

static sqlite3_stmt *select_row(struct conn *c, const char *key)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_META_GET);

        if (stmt)
                sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        return stmt;
}

int meta_get(struct conn *c, const char *key, uint64_t *ret_value)
{
        sqlite3_stmt *stmt = select_row(c, key);
        uint64_t value = 0;
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
                value = (uint64_t)sqlite3_column_int64(stmt, 0);
        sqlite3_reset(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                return rc;
        *ret_value = value;
        return SQLITE_OK;
}

int meta_get_text(struct conn *c, const char *key, char **ret_value)
{
        sqlite3_stmt *stmt = select_row(c, key);
        char *value = NULL;
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL)
                value = xstrdup((const char *)sqlite3_column_text(stmt, 0));
        sqlite3_reset(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                return rc;
        *ret_value = value;
        return SQLITE_OK;
}

static int write_row(sqlite3_stmt *stmt, const char *key)
{
        int rc;

        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int meta_put(struct conn *c, const char *key, uint64_t value)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_META_PUT);

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        sqlite3_bind_int64(stmt, 2, (int64_t)value);
        return write_row(stmt, key);
}

int meta_put_text(struct conn *c, const char *key, const char *value)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_META_PUT);
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
        rc = write_row(stmt, key);
        sqlite3_clear_bindings(stmt);
        return rc;
}

int meta_delete(struct conn *c, const char *key)
{
        sqlite3_stmt *stmt = conn_sql(c, CONN_META_DELETE);

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        return write_row(stmt, key);
}
