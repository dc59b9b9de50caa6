/* stmt_cache.c - the prepared statements of one connection. Runs wherever the connection is used.
 */
#include "tablet/stmt_cache_int.h"

#include <string.h>
#include <utlist.h>

#include "common/metrics.h"
#include "tablet/engine_int.h"

void stmt_cache_init(struct stmt_cache *cache, sqlite3 *db, size_t max, size_t max_bytes)
{
        *cache = (struct stmt_cache){ .db = db, .max = max, .max_bytes = max_bytes };
}

static void drop_stmt(struct stmt_cache *cache, struct cached_stmt *cs)
{
        HASH_DEL(cache->by_sql, cs);
        DL_DELETE(cache->by_use, cs);
        cache->n--;
        cache->n_bytes -= cs->n_bytes;
        cs->is_kept = false;
        if (cs->is_in_use)
                return; /* goes when it is put back */
        sqlite3_finalize(cs->stmt);
        free(cs);
}

void stmt_cache_done(struct stmt_cache *cache)
{
        while (cache->by_use)
                drop_stmt(cache, cache->by_use);
}

struct cached_stmt *stmt_cache_find(struct stmt_cache *cache, const char *sql, size_t n_sql_bytes)
{
        struct cached_stmt *cs;

        HASH_FIND(hh, cache->by_sql, sql, n_sql_bytes, cs);
        if (cs && cs->is_in_use)
                return NULL;
        if (cs && cache->by_use->prev != cs) {
                DL_DELETE(cache->by_use, cs);
                DL_APPEND(cache->by_use, cs);
        }
        return cs;
}

/* Is there nothing but white space, comments and semicolons behind the first statement? */
static bool is_last(sqlite3 *db, const char *tail, const char *end)
{
        sqlite3_stmt *stmt;
        int rc;

        while (tail < end) {
                if (*tail == ' ' || *tail == '\n' || *tail == ';' || *tail == '\t' ||
                    *tail == '\r') {
                        tail++;
                        continue;
                }
                rc = sqlite3_prepare_v2(db, tail, (int)(end - tail), &stmt, &tail);
                if (rc != SQLITE_OK || stmt) {
                        sqlite3_finalize(stmt);
                        return false;
                }
        }
        return true;
}

static void keep_stmt(struct stmt_cache *cache, struct cached_stmt *cs)
{
        struct cached_stmt *twin;

        /* Two reads of one pin may run the same text. */
        HASH_FIND(hh, cache->by_sql, cs->sql, cs->n_sql_bytes, twin);
        if (twin)
                return;
        cs->n_bytes = sizeof *cs + cs->n_sql_bytes +
                      (size_t)sqlite3_stmt_status(cs->stmt, SQLITE_STMTSTATUS_MEMUSED, 0);
        if (cs->n_bytes > cache->max_bytes / 2 || cache->max == 0)
                return;
        while (cache->by_use &&
               (cache->n >= cache->max || cache->n_bytes + cs->n_bytes > cache->max_bytes))
                drop_stmt(cache, cache->by_use);
        HASH_ADD_KEYPTR(hh, cache->by_sql, cs->sql, cs->n_sql_bytes, cs);
        DL_APPEND(cache->by_use, cs);
        cache->n++;
        cache->n_bytes += cs->n_bytes;
        cs->is_kept = true;
}

int stmt_cache_prepare(struct stmt_cache *cache, const char *sql, size_t n_sql_bytes,
                       struct cached_stmt **ret_stmt, int *ret_count)
{
        struct cached_stmt *cs;
        const char *tail;
        sqlite3_stmt *stmt;
        int rc;

        metric_add(engine_metrics()->prepares, 1);
        *ret_stmt = NULL;
        *ret_count = 0;
        rc = sqlite3_prepare_v3(cache->db, sql, (int)n_sql_bytes, SQLITE_PREPARE_PERSISTENT, &stmt,
                                &tail);
        if (rc != SQLITE_OK || !stmt)
                return rc;
        if (!is_last(cache->db, tail, sql + n_sql_bytes)) {
                sqlite3_finalize(stmt);
                *ret_count = 2;
                return SQLITE_OK;
        }
        cs = xmalloc(sizeof *cs + n_sql_bytes);
        *cs = (struct cached_stmt){ .stmt = stmt, .n_sql_bytes = n_sql_bytes };
        cs->n_params = sqlite3_bind_parameter_count(stmt);
        memcpy(cs->sql, sql, n_sql_bytes);
        keep_stmt(cache, cs);
        *ret_stmt = cs;
        *ret_count = 1;
        return SQLITE_OK;
}

void stmt_cache_put(struct stmt_cache *cache, struct cached_stmt *cs)
{
        sqlite3_reset(cs->stmt);
        if (cs->n_params)
                sqlite3_clear_bindings(cs->stmt);
        cs->is_in_use = false;
        if (cs->is_kept)
                return;
        sqlite3_finalize(cs->stmt);
        free(cs);
}
