/* conn.c - connections to shard files: opened on demand, kept while idle, the longest idle one
 * closed when there are too many. */
#include "tablet/engine_int.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "common/metrics.h"
#include "common/partial_agg.h"
#include "common/sqlite_err.h"
#include "common/sqlite_now.h"
#include "common/sqlite_printf.h"

/* Rows of an index that ANALYZE looks at, about, so that it does not hold up the shard's writer for
 * long. */
enum { ANALYSIS_LIMIT = 1000 };

static const char *const conn_sql_text[CONN_N_SQL] = {
        [CONN_BEGIN] = "BEGIN",
        [CONN_BEGIN_IMMEDIATE] = "BEGIN IMMEDIATE",
        [CONN_COMMIT] = "COMMIT",
        [CONN_ROLLBACK] = "ROLLBACK",
        [CONN_SAVEPOINT] = "SAVEPOINT _shoal_statement",
        [CONN_RELEASE] = "RELEASE _shoal_statement",
        [CONN_ROLLBACK_TO] = "ROLLBACK TO _shoal_statement",
        [CONN_META_GET] = "SELECT value FROM _shoal_meta WHERE key = ?1",
        [CONN_META_PUT] = "REPLACE INTO _shoal_meta(key, value) VALUES (?1, ?2)",
        [CONN_META_DELETE] = "DELETE FROM _shoal_meta WHERE key = ?1",
        [CONN_REQUEST_GET] = "SELECT digest, note, reply FROM _shoal_request WHERE id = ?1",
        [CONN_REQUEST_PUT] =
            "INSERT INTO _shoal_request(id, at, digest, note, reply) VALUES (?1, ?2, ?3, ?4, ?5)",
        [CONN_REQUEST_TRIM] = "DELETE FROM _shoal_request WHERE id IN "
                              "(SELECT id FROM _shoal_request WHERE at < ?1 ORDER BY at LIMIT ?2)",
        [CONN_UNDONE_TRIM] =
            "DELETE FROM _shoal_meta WHERE key GLOB 'undone/*' AND (value < ?1 OR key NOT IN "
            "(SELECT key FROM _shoal_meta WHERE key GLOB 'undone/*' ORDER BY value DESC, key DESC "
            "LIMIT ?2))",
};

/* ---- the progress handler */

static int on_progress(void *arg)
{
        struct conn *c = arg;
        int64_t now_us;

        if (c->mode == GUARD_INTERNAL)
                return 0;
        if (c->limits.cancelled &&
            atomic_load_explicit(c->limits.cancelled, memory_order_relaxed)) {
                c->stop = CONN_STOP_CANCELLED;
                return 1;
        }
        if (c->limits.n_ticks && --c->limits.n_ticks == 0) {
                c->stop = CONN_STOP_BUDGET;
                return 1;
        }
        now_us = mono_us();
        if (now_us >= c->limits.deadline_us)
                c->stop = CONN_STOP_DEADLINE;
        else if (now_us >= c->limits.too_old_us)
                c->stop = CONN_STOP_TOO_OLD;
        return c->stop != CONN_STOP_NONE;
}

static int on_busy(void *arg, int n_tries)
{
        struct conn *c = arg;

        c->was_busy = true;
        if (n_tries >= c->max_busy_ms)
                return 0;
        sqlite3_sleep(1);
        return 1;
}

void conn_enter(struct conn *c, enum guard_mode mode, const struct conn_limits *limits,
                int64_t now_ms)
{
        c->mode = mode;
        c->limits = *limits;
        c->stop = CONN_STOP_NONE;
        c->denied[0] = '\0';
        sqlite_now_set(now_ms);
}

void conn_leave(struct conn *c)
{
        c->mode = GUARD_INTERNAL;
        sqlite_now_set(0);
}

/* After these a connection's memory of its file is not to be relied on. */
static bool is_sticky(int primary)
{
        return primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ||
               primary == SQLITE_NOMEM || primary == SQLITE_CANTOPEN || primary == SQLITE_INTERNAL;
}

static enum err_code fail_stopped(struct conn *c, struct err *reterr)
{
        if (c->stop == CONN_STOP_CANCELLED)
                return err_set(reterr, ERR_CANCELLED, "CANCELLED", "cancelled while running");
        if (c->stop == CONN_STOP_DEADLINE)
                return err_set(reterr, ERR_DEADLINE, "DEADLINE_EXCEEDED",
                               "deadline exceeded while running");
        return err_set(reterr, ERR_ABORTED, "READ_TOO_OLD",
                       "the read has kept its snapshot for longer than %" PRIu64 " ms",
                       c->shard->engine->o.max_read_ms);
}

enum err_code conn_fail(struct conn *c, int rc, struct err *reterr)
{
        int primary = rc & 0xff;

        /* Stopped and denied are what runs for somebody else; a virtual table may say so in its own
         * way. */
        if (c->mode != GUARD_INTERNAL && c->stop != CONN_STOP_NONE && c->stop != CONN_STOP_BUDGET)
                return fail_stopped(c, reterr);
        if (c->mode != GUARD_INTERNAL && c->denied[0] &&
            (primary == SQLITE_AUTH || primary == SQLITE_ERROR))
                return err_set(reterr, ERR_DENIED, "NOT_ALLOWED", "not allowed: %s", c->denied);
        shard_note_error(c->shard, rc);
        c->is_broken = c->is_broken || is_sticky(primary);
        return sqlite_err_set(reterr, c->db, rc);
}

/* ---- our own statements */

sqlite3_stmt *conn_sql(struct conn *c, enum conn_sql i)
{
        assert(c->mode == GUARD_INTERNAL);
        if (!c->sql[i] && sqlite3_prepare_v3(c->db, conn_sql_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                                             &c->sql[i], NULL) != SQLITE_OK)
                return NULL;
        return c->sql[i];
}

int conn_exec(struct conn *c, enum conn_sql i)
{
        sqlite3_stmt *stmt = conn_sql(c, i);
        int rc;

        if (!stmt)
                return sqlite3_extended_errcode(c->db);
        rc = sqlite3_step(stmt);
        sqlite3_reset(stmt);
        return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- opening and closing */

static int on_wal(void *arg, sqlite3 *db, const char *schema, int n_pages)
{
        struct conn *c = arg;

        c->wal_pages = n_pages;
        return SQLITE_OK;
}

static int exec_pragmas(struct conn *c)
{
        const struct engine_options *o = &c->shard->engine->o;
        char sql[1024];

        snprintf(sql, sizeof sql,
                 "PRAGMA synchronous = FULL;"
                 "PRAGMA secure_delete = 0;"
                 "PRAGMA journal_size_limit = %" PRIu64 ";"
                 "PRAGMA cache_size = -%" PRIu64 ";"
                 "PRAGMA foreign_keys = %d;"
                 "PRAGMA query_only = %d;"
                 "PRAGMA analysis_limit = %d;",
                 o->max_wal_bytes, o->cache_bytes / 1024, o->foreign_keys, !c->is_writer,
                 ANALYSIS_LIMIT);
        return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

static int set_up(struct conn *c)
{
        int rc;

        sqlite3_extended_result_codes(c->db, 1);
        sqlite3_busy_handler(c->db, on_busy, c);
        sqlite3_progress_handler(c->db, CONN_TICK_STEPS, on_progress, c);
        sqlite3_wal_hook(c->db, on_wal, c); /* in place of SQLite's own checkpoints */
        rc = partial_agg_register(c->db);
        if (rc == SQLITE_OK)
                rc = sqlite_printf_register(c->db);
        if (rc != SQLITE_OK)
                return rc;
        rc = exec_pragmas(c);
        if (rc == SQLITE_OK)
                guard_install(c);
        return rc;
}

static void close_conn(struct conn *c)
{
        if (!c)
                return;
        for (int i = 0; i < CONN_N_SQL; i++)
                sqlite3_finalize(c->sql[i]);
        stmt_cache_done(&c->cache);
        sqlite3_close_v2(c->db);
        free(c);
        metric_move(engine_metrics()->connections, -1);
}
DEFINE_CLEANUP(struct conn *, close_conn);

static enum err_code open_conn(struct engine_shard *s, bool is_writer, struct conn **ret_conn,
                               struct err *reterr)
{
        int flags =
            SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (is_writer ? SQLITE_OPEN_CREATE : 0);
        cleanup_(close_connp) struct conn *c = NULL;
        enum err_code code;
        int rc;

        c = xcalloc(1, sizeof *c);
        metric_move(engine_metrics()->connections, 1);
        c->shard = s;
        c->is_writer = is_writer;
        c->max_busy_ms = CONN_BUSY_MS;
        rc = sqlite3_open_v2(s->path, &c->db, flags, SQLITE_NOW_VFS);
        stmt_cache_init(&c->cache, c->db, s->engine->o.max_statements,
                        s->engine->o.max_statement_bytes);
        if (rc == SQLITE_OK)
                rc = set_up(c);
        if (rc != SQLITE_OK) {
                code = conn_fail(c, rc, reterr);
                return err_wrap(reterr, code, "shard %s: open", s->label);
        }
        *ret_conn = TAKE(c);
        return ERR_OK;
}

/* ---- the idle ones */

static struct conn *pop_idle_reader_locked(struct engine_shard *s)
{
        struct conn *c = s->idle_readers;

        if (!c)
                return NULL;
        DL_DELETE2(s->idle_readers, c, shard_prev, shard_next);
        DL_DELETE(s->engine->idle, c);
        return c;
}

static struct conn *pop_idle_locked(struct engine_shard *s, bool is_writer)
{
        struct conn *c;

        if (!is_writer)
                return pop_idle_reader_locked(s);
        c = s->idle_writer;
        if (!c)
                return NULL;
        s->idle_writer = NULL;
        DL_DELETE(s->engine->idle, c);
        return c;
}

static struct conn *pop_oldest_locked(struct engine *e)
{
        struct conn *c = e->idle;

        if (!c)
                return NULL;
        DL_DELETE(e->idle, c);
        if (c->is_writer)
                c->shard->idle_writer = NULL;
        else
                DL_DELETE2(c->shard->idle_readers, c, shard_prev, shard_next);
        return c;
}

struct conn *conn_acquire_idle(struct engine_shard *s)
{
        struct conn *c;

        pthread_mutex_lock(&s->engine->mu);
        c = pop_idle_reader_locked(s);
        pthread_mutex_unlock(&s->engine->mu);
        return c;
}

enum err_code conn_acquire(struct engine_shard *s, bool is_writer, struct conn **ret_conn,
                           struct err *reterr)
{
        struct engine *e = s->engine;
        cleanup_(close_connp) struct conn *evicted = NULL;
        struct conn *c;
        bool may_open = true;
        enum err_code rc;

        pthread_mutex_lock(&e->mu);
        c = pop_idle_locked(s, is_writer);
        if (!c && e->n_connections >= e->o.max_connections) {
                evicted = pop_oldest_locked(e);
                may_open = evicted || is_writer;
        }
        if (!c && !evicted && may_open)
                e->n_connections++;
        pthread_mutex_unlock(&e->mu);
        if (!c && !may_open)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_READS",
                               "all %" PRIu64 " connections of this tablet are in use",
                               e->o.max_connections);
        if (!c) {
                rc = open_conn(s, is_writer, &c, reterr);
                if (rc) {
                        pthread_mutex_lock(&e->mu);
                        e->n_connections--;
                        pthread_mutex_unlock(&e->mu);
                        return rc;
                }
        }
        *ret_conn = c;
        return ERR_OK;
}

static void discard(struct conn *c)
{
        struct engine *e = c->shard->engine;

        close_conn(c);
        pthread_mutex_lock(&e->mu);
        e->n_connections--;
        pthread_mutex_unlock(&e->mu);
}

void conn_release(struct conn *c)
{
        struct engine_shard *s = c->shard;

        if (c->is_broken) {
                discard(c);
                return;
        }
        c->max_busy_ms = CONN_BUSY_MS;
        c->was_busy = false;
        c->stop = CONN_STOP_NONE;
        pthread_mutex_lock(&s->engine->mu);
        DL_APPEND(s->engine->idle, c);
        if (c->is_writer)
                s->idle_writer = c;
        else
                DL_PREPEND2(s->idle_readers, c, shard_prev, shard_next);
        pthread_mutex_unlock(&s->engine->mu);
}

void conn_close_idle(struct engine_shard *s)
{
        struct conn *c;

        do {
                pthread_mutex_lock(&s->engine->mu);
                c = pop_idle_reader_locked(s);
                if (!c)
                        c = pop_idle_locked(s, true);
                pthread_mutex_unlock(&s->engine->mu);
                if (c)
                        discard(c);
        } while (c);
}
