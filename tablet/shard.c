/* shard.c - one shard: its file, what the file says of itself, and whether it is damaged. */
#include "tablet/engine_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/metrics.h"
#include "common/sqlite_err.h"

enum { FILE_FORMAT = 1 };

struct engine_shard *engine_shard_new(struct engine *e, uint64_t keyspace_id, const char *name,
                                      bool must_exist)
{
        struct engine_shard *s = xcalloc(1, sizeof *s);

        s->engine = e;
        s->keyspace_id = keyspace_id;
        snprintf(s->name, sizeof s->name, "%s", name);
        snprintf(s->label, sizeof s->label, "%" PRIu64 "/%s", keyspace_id, name);
        s->path = xasprintf("%s/%" PRIu64 "/%s.db", e->o.data_dir, keyspace_id, name);
        atomic_init(&s->must_exist, must_exist);
        s->job.run = writer_run;
        pthread_mutex_init(&s->mu, NULL);
        return s;
}

struct engine_shard *engine_shard_free(struct engine_shard *s)
{
        if (!s)
                return NULL;
        assert(!s->scheduled && !s->queue);
        conn_close_idle(s);
        if (atomic_load(&s->damaged))
                metric_move(engine_metrics()->damaged, -1);
        pthread_mutex_destroy(&s->mu);
        free(s->path);
        free(s);
        return NULL;
}

void engine_shard_set_must_exist(struct engine_shard *s)
{
        atomic_store(&s->must_exist, true);
}

const char *engine_shard_label(const struct engine_shard *s)
{
        return s->label;
}

bool engine_shard_is_damaged(const struct engine_shard *s)
{
        return atomic_load(&s->damaged);
}

static uint64_t file_bytes(const char *path, const char *suffix)
{
        cleanup_(freep) char *name = xasprintf("%s%s", path, suffix);
        struct stat st;

        return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t engine_shard_bytes(const struct engine_shard *s)
{
        return file_bytes(s->path, "") + file_bytes(s->path, "-wal");
}

void shard_note_error(struct engine_shard *s, int rc)
{
        int primary = rc & 0xff;

        if (primary != SQLITE_CORRUPT && primary != SQLITE_NOTADB)
                return;
        if (atomic_exchange(&s->damaged, true))
                return;
        metric_move(engine_metrics()->damaged, 1);
        log_event(LOG_ERROR, "shard_damaged", "shard=%s file=%s sqlite=%s", s->label,
                  log_quote(s->path), sqlite_err_name(rc));
}

/* ---- the file */

static enum err_code make_folder(const char *path, const char *parent, struct err *reterr)
{
        int fd, rc;

        if (mkdir(path, 0700) != 0) {
                if (errno == EEXIST)
                        return ERR_OK;
                return err_set(reterr, ERR_UNAVAILABLE, "DISK_IO_ERROR", "make folder %s: %s", path,
                               strerror(errno));
        }
        /* A folder whose name is not on disk would take its shards' commits with it. */
        fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = fd < 0 ? -1 : fsync(fd);
        if (fd >= 0)
                close(fd);
        if (rc != 0)
                return err_set(reterr, ERR_UNAVAILABLE, "DISK_IO_ERROR", "sync folder %s: %s",
                               parent, strerror(errno));
        return ERR_OK;
}

static enum err_code report_loss(const struct engine_shard *s, const char *what, struct err *reterr)
{
        return err_set(reterr, ERR_DATA_LOSS, "SHARD_FILE_MISSING", "shard %s: its file %s %s",
                       s->label, s->path, what);
}

enum err_code shard_check_file(struct engine_shard *s, struct err *reterr)
{
        cleanup_(freep) char *folder = xstrdup(s->path);

        if (access(s->path, F_OK) == 0)
                return ERR_OK;
        if (atomic_load(&s->must_exist))
                return report_loss(s, "is gone", reterr);
        dirname(folder);
        return make_folder(folder, s->engine->o.data_dir, reterr);
}

static int use_wal(struct conn *c)
{
        sqlite3_stmt *stmt;
        int rc;

        rc = sqlite3_exec(c->db, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE", NULL, NULL,
                          NULL);
        if (rc != SQLITE_OK)
                return rc;
        rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
        if (rc != SQLITE_OK)
                return rc;
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
                rc = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0
                         ? SQLITE_OK
                         : SQLITE_CANTOPEN;
        sqlite3_finalize(stmt);
        return rc;
}

static const char create_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS _shoal_meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS _shoal_request(id BLOB PRIMARY KEY, at INTEGER NOT NULL, "
    "digest BLOB, note BLOB, reply BLOB) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS _shoal_request_at ON _shoal_request(at);"
    "INSERT OR IGNORE INTO _shoal_meta VALUES "
    "('format', 1), ('schema_version', 0), ('change_id', ''), ('last_ts', 0), ('floor', 0);"
    "COMMIT";

static int has_meta(struct conn *c, bool *ret_has)
{
        sqlite3_stmt *stmt;
        int rc;

        rc = sqlite3_prepare_v2(c->db, "SELECT 1 FROM sqlite_schema WHERE name = '_shoal_meta'", -1,
                                &stmt, NULL);
        if (rc != SQLITE_OK)
                return rc;
        rc = sqlite3_step(stmt);
        *ret_has = rc == SQLITE_ROW;
        sqlite3_finalize(stmt);
        return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int read_meta(struct engine_shard *s, struct conn *c, uint64_t *ret_format)
{
        uint64_t schema_version = 0, last_ts = 0, floor = 0;
        int rc;

        rc = meta_get(c, "format", ret_format);
        if (rc == SQLITE_OK)
                rc = meta_get(c, "schema_version", &schema_version);
        if (rc == SQLITE_OK)
                rc = meta_get(c, "last_ts", &last_ts);
        if (rc == SQLITE_OK)
                rc = meta_get(c, "floor", &floor);
        if (rc != SQLITE_OK)
                return rc;
        atomic_store(&s->schema_version, schema_version);
        atomic_fetch_add(&s->schema_seq, 2);
        pthread_mutex_lock(&s->mu);
        s->last_ts = last_ts;
        /* Anything up to here may have been promised by an earlier process. */
        s->floor = s->floor_durable = floor;
        pthread_mutex_unlock(&s->mu);
        return SQLITE_OK;
}

static enum err_code load(struct engine_shard *s, struct conn *c, struct err *reterr)
{
        uint64_t format = 0;
        bool has = false;
        int rc;

        rc = use_wal(c);
        if (rc == SQLITE_OK)
                rc = has_meta(c, &has);
        if (rc == SQLITE_OK && !has && atomic_load(&s->must_exist))
                return report_loss(s, "is empty", reterr);
        if (rc == SQLITE_OK && !has)
                rc = sqlite3_exec(c->db, create_sql, NULL, NULL, NULL);
        if (rc == SQLITE_OK)
                rc = read_meta(s, c, &format);
        if (rc != SQLITE_OK) {
                if (!sqlite3_get_autocommit(c->db))
                        (void)!sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
                return conn_fail(c, rc, reterr);
        }
        if (format != FILE_FORMAT)
                return err_set(reterr, ERR_PRECONDITION, "FILE_FORMAT",
                               "file %s has format %" PRIu64 ", this tablet knows %d", s->path,
                               format, FILE_FORMAT);
        return ERR_OK;
}

enum err_code shard_prepare(struct engine_shard *s, struct conn *c, struct err *reterr)
{
        enum err_code rc;

        rc = load(s, c, reterr);
        if (rc)
                return err_wrap(reterr, rc, "shard %s", s->label);
        atomic_store(&s->open, true);
        log_event(LOG_INFO, "shard_opened", "shard=%s schema_version=%" PRIu64, s->label,
                  (uint64_t)atomic_load(&s->schema_version));
        return ERR_OK;
}
