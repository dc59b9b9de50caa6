/* kv_db.c - the store's SQLite file: the keys as they are, what changed at each revision for
 * watches, and leases. Runs on the store's worker, or before that on the thread that opens it. */
#include "topo/kv_db_int.h"

#include <sqlite3.h>
#include <string.h>

#include "common/log.h"

enum {
        FORMAT = 1,
        COMPACT_EVERY = 8,            /* revisions, so that none of them takes long */
        MAX_HISTORY_BYTES = 64 << 20, /* of values, before the older half is forgotten */
};

enum {
        Q_BEGIN = 0,
        Q_COMMIT,
        Q_ROLLBACK,
        Q_READ,
        Q_READ_PREFIX,
        Q_READ_LEASE,
        Q_PUT,
        Q_DELETE,
        Q_LOG,
        Q_HISTORY,
        Q_META,
        Q_SET_META,
        Q_LEASE_ADD,
        Q_LEASE_HAS,
        Q_LEASE_END,
        Q_COMPACT,
        Q_HISTORY_BYTES,
        Q_CUT_BYTES,
        N_QUERIES,
};

static const char *const queries[N_QUERIES] = {
        [Q_BEGIN] = "BEGIN IMMEDIATE",
        [Q_COMMIT] = "COMMIT",
        [Q_ROLLBACK] = "ROLLBACK",
        [Q_READ] = "SELECT key, value, mod_revision, lease FROM kv WHERE key = ?1",
        [Q_READ_PREFIX] = "SELECT key, value, mod_revision, lease FROM kv WHERE key >= ?1 AND key "
                          "< ?2 ORDER BY key",
        [Q_READ_LEASE] = "SELECT key, value, mod_revision, lease FROM kv WHERE lease = ?1 AND "
                         "lease > 0 ORDER BY key",
        [Q_PUT] = "INSERT INTO kv(key, value, mod_revision, lease) VALUES(?1, ?2, ?3, ?4) "
                  "ON CONFLICT(key) DO UPDATE SET value = ?2, mod_revision = ?3, lease = ?4",
        [Q_DELETE] = "DELETE FROM kv WHERE key = ?1",
        [Q_LOG] = "INSERT INTO history(revision, key, value, lease) VALUES(?3, ?1, ?2, ?4)",
        [Q_HISTORY] = "SELECT key, value, revision, lease FROM history "
                      "WHERE revision >= ?3 AND key >= ?1 AND key < ?2 ORDER BY revision, key",
        [Q_META] = "SELECT value FROM meta WHERE name = ?1",
        [Q_SET_META] = "INSERT INTO meta(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE "
                       "SET value = ?2",
        [Q_LEASE_ADD] = "INSERT INTO lease(ttl_ms) VALUES(?1)",
        [Q_LEASE_HAS] = "SELECT 1 FROM lease WHERE id = ?1",
        [Q_LEASE_END] = "DELETE FROM lease WHERE id = ?1",
        [Q_COMPACT] = "DELETE FROM history WHERE revision <= ?1",
        [Q_HISTORY_BYTES] = "SELECT coalesce(sum(length(value)), 0) FROM history",
        [Q_CUT_BYTES] = "SELECT coalesce(sum(length(value)), 0) FROM history WHERE revision <= ?1",
};

static const char setup[] =
    "PRAGMA locking_mode = EXCLUSIVE;" /* one process; and no shared memory file */
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = FULL;"
    "PRAGMA trusted_schema = OFF;"
    "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS kv(key TEXT PRIMARY KEY, value BLOB NOT NULL, mod_revision INTEGER "
    "NOT NULL,"
    " lease INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS kv_lease ON kv(lease) WHERE lease > 0;"
    "CREATE TABLE IF NOT EXISTS history(revision INTEGER, key TEXT, value BLOB, lease INTEGER NOT "
    "NULL,"
    " PRIMARY KEY(revision, key)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS lease(id INTEGER PRIMARY KEY AUTOINCREMENT, ttl_ms INTEGER NOT "
    "NULL);";

struct kv_db {
        char *path;
        uint64_t keep_revisions;
        sqlite3 *sqlite; /* NULL after a failure that a reopening has not mended yet */
        sqlite3_stmt *stmts[N_QUERIES];
        uint64_t revision;     /* the last */
        uint64_t compacted;    /* history up to and including this one is gone */
        int64_t history_bytes; /* of the values in it */
        int64_t grown_bytes;   /* by the transaction under way */
};

/* ---------------------------------------------------------------- items */

/* The current row of a statement that selects key, value, revision, lease. */
static void add_row(struct kv_items *list, sqlite3_stmt *q)
{
        const void *value = sqlite3_column_blob(q, 1);

        /* An empty blob comes as NULL, which in an item means a deletion. */
        if (!value && sqlite3_column_type(q, 1) != SQLITE_NULL)
                value = "";
        kv_items_add(list, (const char *)sqlite3_column_text(q, 0), value,
                     (size_t)sqlite3_column_bytes(q, 1), (uint64_t)sqlite3_column_int64(q, 2),
                     (uint64_t)sqlite3_column_int64(q, 3));
}

/* ---------------------------------------------------------------- SQLite */

static enum err_code sqlite_failed(struct kv_db *db, const char *what, struct err *reterr)
{
        int rc = sqlite3_errcode(db->sqlite);
        const char *msg = sqlite3_errmsg(db->sqlite);

        if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
                return err_set(reterr, ERR_DATA_LOSS, "STORE_DAMAGED", "%s: %s: %s", db->path, what,
                               msg);
        return err_set(reterr, ERR_UNAVAILABLE, "STORE_UNAVAILABLE", "%s: %s: %s", db->path, what,
                       msg);
}

static void drop_connection(struct kv_db *db)
{
        for (size_t i = 0; i < N_QUERIES; i++) {
                sqlite3_finalize(db->stmts[i]);
                db->stmts[i] = NULL;
        }
        sqlite3_close(db->sqlite);
        db->sqlite = NULL;
}

/* A statement that is ready to be stepped; it is reset and unbound by reset_query(). NULL: see
 * sqlite_failed(). */
static sqlite3_stmt *get_query(struct kv_db *db, int i)
{
        if (!db->stmts[i] && sqlite3_prepare_v3(db->sqlite, queries[i], -1,
                                                SQLITE_PREPARE_PERSISTENT, &db->stmts[i], NULL))
                return NULL;
        return db->stmts[i];
}

static void reset_query(sqlite3_stmt **q)
{
        if (*q) {
                sqlite3_reset(*q);
                sqlite3_clear_bindings(*q);
        }
}

static int bind_text(sqlite3_stmt *q, int i, const char *s)
{
        return sqlite3_bind_text(q, i, s, -1, SQLITE_STATIC);
}

/* Binds ?1 and ?2 to the bounds of the keys with the prefix. upper is scratch of
 * STORE_MAX_KEY_BYTES + 1. Every text is less than any blob, so an empty one stands for "no upper
 * bound". */
static int bind_prefix(sqlite3_stmt *q, const char *prefix, char *upper)
{
        size_t n = strlen(prefix);
        int rc = bind_text(q, 1, prefix);

        if (rc)
                return rc;
        if (!n || n > STORE_MAX_KEY_BYTES)
                return sqlite3_bind_zeroblob(q, 2, 0);
        memcpy(upper, prefix, n + 1);
        upper[n - 1]++;
        return bind_text(q, 2, upper);
}

static enum err_code run(struct kv_db *db, int i, struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = get_query(db, i);

        if (!q || sqlite3_step(q) != SQLITE_DONE)
                return sqlite_failed(db, queries[i], reterr);
        return ERR_OK;
}

/* Steps q to its end, adding its rows. */
static enum err_code collect(struct kv_db *db, sqlite3_stmt *q, struct kv_items *list,
                             struct err *reterr)
{
        int rc;

        while ((rc = sqlite3_step(q)) == SQLITE_ROW)
                add_row(list, q);
        if (rc != SQLITE_DONE)
                return sqlite_failed(db, "read", reterr);
        return ERR_OK;
}

/* ---------------------------------------------------------------- opening */

static enum err_code read_meta(struct kv_db *db, const char *name, uint64_t *ret_value,
                               struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = get_query(db, Q_META);
        int rc;

        if (!q || bind_text(q, 1, name))
                return sqlite_failed(db, "read", reterr);
        rc = sqlite3_step(q);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                return sqlite_failed(db, "read", reterr);
        *ret_value = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(q, 0) : 0;
        return ERR_OK;
}

static enum err_code write_meta(struct kv_db *db, const char *name, uint64_t value,
                                struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = get_query(db, Q_SET_META);

        if (!q || bind_text(q, 1, name) || sqlite3_bind_int64(q, 2, (int64_t)value) ||
            sqlite3_step(q) != SQLITE_DONE)
                return sqlite_failed(db, "write", reterr);
        return ERR_OK;
}

static enum err_code count_history(struct kv_db *db, struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = get_query(db, Q_HISTORY_BYTES);

        if (!q || sqlite3_step(q) != SQLITE_ROW)
                return sqlite_failed(db, "read", reterr);
        db->history_bytes = sqlite3_column_int64(q, 0);
        return ERR_OK;
}

static enum err_code open_connection(struct kv_db *db, struct err *reterr)
{
        uint64_t format;
        enum err_code rc;

        if (sqlite3_open_v2(db->path, &db->sqlite,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                            NULL) ||
            sqlite3_exec(db->sqlite, setup, NULL, NULL, NULL))
                return sqlite_failed(db, "open", reterr);
        rc = read_meta(db, "format", &format, reterr);
        if (!rc && format > FORMAT)
                return err_set(reterr, ERR_PRECONDITION, "STORE_FORMAT",
                               "%s has format %llu, this topo knows %d", db->path,
                               (unsigned long long)format, FORMAT);
        if (!rc && format < FORMAT)
                rc = write_meta(db, "format", FORMAT, reterr);
        if (!rc)
                rc = read_meta(db, "revision", &db->revision, reterr);
        if (!rc)
                rc = read_meta(db, "compacted", &db->compacted, reterr);
        if (!rc)
                rc = count_history(db, reterr);
        return rc;
}

/* After a failed COMMIT only a fresh connection knows what the file holds. */
static enum err_code need_connection(struct kv_db *db, struct err *reterr)
{
        enum err_code rc;

        if (db->sqlite)
                return ERR_OK;
        rc = open_connection(db, reterr);
        if (rc)
                drop_connection(db);
        return rc;
}

enum err_code kv_db_open(const char *path, uint64_t keep_revisions, struct kv_db **ret_db,
                         struct err *reterr)
{
        cleanup_(kv_db_closep) struct kv_db *db = xcalloc(1, sizeof *db);
        enum err_code rc;

        db->path = xstrdup(path);
        db->keep_revisions = keep_revisions;
        rc = need_connection(db, reterr);
        if (rc)
                return rc;
        *ret_db = TAKE(db);
        return ERR_OK;
}

struct kv_db *kv_db_close(struct kv_db *db)
{
        if (db) {
                drop_connection(db);
                free(db->path);
                free(db);
        }
        return NULL;
}

uint64_t kv_db_revision(const struct kv_db *db)
{
        return db->revision;
}

/* ---------------------------------------------------------------- reading */

enum err_code kv_db_read(struct kv_db *db, const char *key, bool is_prefix,
                         struct kv_items *ret_items, struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = NULL;
        char upper[STORE_MAX_KEY_BYTES + 1];
        enum err_code rc = need_connection(db, reterr);

        if (rc)
                return rc;
        q = get_query(db, is_prefix ? Q_READ_PREFIX : Q_READ);
        if (!q || (is_prefix ? bind_prefix(q, key, upper) : bind_text(q, 1, key)))
                return sqlite_failed(db, "read", reterr);
        return collect(db, q, ret_items, reterr);
}

enum err_code kv_db_history(struct kv_db *db, const char *prefix, uint64_t from, size_t max_bytes,
                            struct kv_items *ret_items, uint64_t *ret_next, struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = NULL;
        char upper[STORE_MAX_KEY_BYTES + 1];
        enum err_code rc = need_connection(db, reterr);
        uint64_t at = from;
        int step;

        if (rc)
                return rc;
        if (from <= db->compacted)
                return err_set(reterr, ERR_OUT_OF_RANGE, "COMPACTED",
                               "revision %llu is forgotten, as all up to %llu",
                               (unsigned long long)from, (unsigned long long)db->compacted);
        q = get_query(db, Q_HISTORY);
        if (!q || bind_prefix(q, prefix, upper) || sqlite3_bind_int64(q, 3, (int64_t)from))
                return sqlite_failed(db, "read", reterr);
        while ((step = sqlite3_step(q)) == SQLITE_ROW) {
                uint64_t revision = (uint64_t)sqlite3_column_int64(q, 2);

                if (revision != at && ret_items->n_bytes >= max_bytes) {
                        *ret_next = revision;
                        return ERR_OK;
                }
                at = revision;
                add_row(ret_items, q);
        }
        if (step != SQLITE_DONE)
                return sqlite_failed(db, "read", reterr);
        *ret_next = db->revision + 1;
        return ERR_OK;
}

/* ---------------------------------------------------------------- writing, inside a transaction */

/* Runs Q_PUT, Q_LOG or Q_DELETE. */
static enum err_code write_item(struct kv_db *db, int i, const struct store_item *item,
                                struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = get_query(db, i);
        int rc;

        if (!q)
                return sqlite_failed(db, "write", reterr);
        rc = bind_text(q, 1, item->key);
        if (!rc && i != Q_DELETE && item->value)
                rc = sqlite3_bind_blob64(q, 2, item->n_bytes ? item->value : "", item->n_bytes,
                                         SQLITE_STATIC);
        if (!rc && i != Q_DELETE)
                rc = sqlite3_bind_int64(q, 3, (int64_t)item->mod_revision);
        if (!rc && i != Q_DELETE)
                rc = sqlite3_bind_int64(q, 4, (int64_t)item->lease);
        if (rc || sqlite3_step(q) != SQLITE_DONE)
                return sqlite_failed(db, "write", reterr);
        return ERR_OK;
}

/* Deletes the keys in found; their deletions are added to changes. */
static enum err_code delete_items(struct kv_db *db, const struct kv_items *found,
                                  struct kv_items *changes, struct err *reterr)
{
        enum err_code rc = ERR_OK;

        for (size_t i = 0; !rc && i < found->n; i++) {
                kv_items_add(changes, found->items[i].key, NULL, 0, db->revision + 1, 0);
                rc = write_item(db, Q_DELETE, &changes->items[changes->n - 1], reterr);
                if (!rc)
                        rc = write_item(db, Q_LOG, &changes->items[changes->n - 1], reterr);
        }
        return rc;
}

static enum err_code check_lease(struct kv_db *db, uint64_t lease, struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = get_query(db, Q_LEASE_HAS);
        int rc;

        if (!q || sqlite3_bind_int64(q, 1, (int64_t)lease))
                return sqlite_failed(db, "read", reterr);
        rc = sqlite3_step(q);
        if (rc == SQLITE_DONE)
                return err_set(reterr, ERR_NOT_FOUND, "LEASE_NOT_FOUND", "lease %llu has ended",
                               (unsigned long long)lease);
        return rc == SQLITE_ROW ? ERR_OK : sqlite_failed(db, "read", reterr);
}

static enum err_code run_put(struct kv_db *db, const struct store_step *step,
                             struct kv_items *changes, struct err *reterr)
{
        enum err_code rc = step->number ? check_lease(db, step->number, reterr) : ERR_OK;
        const struct store_item *item;

        if (rc)
                return rc;
        db->grown_bytes += (int64_t)step->n_bytes;
        kv_items_add(changes, step->key, step->value, step->n_bytes, db->revision + 1,
                     step->number);
        item = &changes->items[changes->n - 1];
        rc = write_item(db, Q_PUT, item, reterr);
        return rc ? rc : write_item(db, Q_LOG, item, reterr);
}

static enum err_code run_step(struct kv_db *db, const struct store_step *step,
                              struct kv_items *changes, struct err *reterr)
{
        cleanup_(kv_items_done) struct kv_items found = { 0 };
        uint64_t mod_revision;
        enum err_code rc;

        if (step->kind == STORE_PUT)
                return run_put(db, step, changes, reterr);
        rc = kv_db_read(db, step->key, step->kind == STORE_DELETE_PREFIX, &found, reterr);
        if (rc)
                return rc;
        if (step->kind != STORE_EXPECT)
                return delete_items(db, &found, changes, reterr);
        mod_revision = found.n ? found.items[0].mod_revision : 0;
        if (mod_revision != step->number)
                return err_set(reterr, ERR_ABORTED, "STORE_CONFLICT",
                               "%s is at revision %llu, not %llu", step->key,
                               (unsigned long long)mod_revision, (unsigned long long)step->number);
        return ERR_OK;
}

/* Forgets the revisions up to one. */
static enum err_code cut_history(struct kv_db *db, uint64_t upto, struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *sum = get_query(db, Q_CUT_BYTES);
        cleanup_(reset_query) sqlite3_stmt *cut = get_query(db, Q_COMPACT);

        if (!sum || sqlite3_bind_int64(sum, 1, (int64_t)upto) || sqlite3_step(sum) != SQLITE_ROW)
                return sqlite_failed(db, "read", reterr);
        db->grown_bytes -= sqlite3_column_int64(sum, 0);
        if (!cut || sqlite3_bind_int64(cut, 1, (int64_t)upto) || sqlite3_step(cut) != SQLITE_DONE)
                return sqlite_failed(db, "compact", reterr);
        return write_meta(db, "compacted", upto, reterr);
}

/* Watches from before need not be served for ever. */
static enum err_code compact(struct kv_db *db, uint64_t revision, struct err *reterr)
{
        uint64_t keep = db->keep_revisions;

        if (revision % COMPACT_EVERY)
                return ERR_OK;
        if (db->history_bytes + db->grown_bytes > MAX_HISTORY_BYTES && db->compacted < revision)
                keep =
                    (revision - db->compacted) / 2 < keep ? (revision - db->compacted) / 2 : keep;
        if (revision <= db->compacted + keep)
                return ERR_OK;
        return cut_history(db, revision - keep, reterr);
}

/* ---------------------------------------------------------------- transactions */

/* COMMIT failed, so the file may or may not hold the change. Opening it anew settles that. (A lease
 * that is granted does not show in the revision; one too many is harmless, it ends unused.) */
static enum err_code settle_commit(struct kv_db *db, uint64_t revision, bool changed,
                                   struct err *reterr)
{
        struct err ignored;

        drop_connection(db);
        if (need_connection(db, &ignored))
                return err_set(reterr, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                               "the store failed in COMMIT: %s", ignored.msg);
        if (changed && db->revision >= revision)
                return ERR_OK;
        return err_wrap(reterr, ERR_UNAVAILABLE, "nothing changed");
}

/* Ends the transaction: with rc ERR_OK it is committed as a new revision if it changed anything. */
static enum err_code end_transaction(struct kv_db *db, enum err_code rc, bool changed,
                                     struct err *reterr)
{
        uint64_t revision = db->revision + changed;
        uint64_t compacted = 0;
        struct err ignored;

        if (!rc && changed)
                rc = write_meta(db, "revision", revision, reterr);
        if (!rc && changed)
                rc = compact(db, revision, reterr);
        if (!rc)
                rc = read_meta(db, "compacted", &compacted, reterr);
        if (!rc) {
                rc = run(db, Q_COMMIT, reterr);
                if (rc)
                        return settle_commit(db, revision, changed, reterr);
                db->revision = revision;
                db->compacted = compacted;
                db->history_bytes += db->grown_bytes;
                return ERR_OK;
        }
        /* SQLite itself has rolled back after some errors. */
        if (!sqlite3_get_autocommit(db->sqlite) && run(db, Q_ROLLBACK, &ignored))
                drop_connection(db);
        return rc;
}

static enum err_code begin_transaction(struct kv_db *db, struct err *reterr)
{
        enum err_code rc = need_connection(db, reterr);

        db->grown_bytes = 0;
        return rc ? rc : run(db, Q_BEGIN, reterr);
}

enum err_code kv_db_commit(struct kv_db *db, const struct store_txn *x,
                           struct kv_items *ret_changes, struct err *reterr)
{
        enum err_code rc = begin_transaction(db, reterr);

        if (rc)
                return rc;
        /* All expectations are about the state before. */
        for (size_t i = 0; !rc && i < x->n_steps; i++)
                if (x->steps[i].kind == STORE_EXPECT)
                        rc = run_step(db, &x->steps[i], ret_changes, reterr);
        for (size_t i = 0; !rc && i < x->n_steps; i++)
                if (x->steps[i].kind != STORE_EXPECT)
                        rc = run_step(db, &x->steps[i], ret_changes, reterr);
        return end_transaction(db, rc, ret_changes->n > 0, reterr);
}

/* ---------------------------------------------------------------- leases */

static enum err_code insert_lease(struct kv_db *db, uint64_t ttl_ms, uint64_t *ret_lease,
                                  struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *q = get_query(db, Q_LEASE_ADD);

        if (!q || sqlite3_bind_int64(q, 1, (int64_t)ttl_ms) || sqlite3_step(q) != SQLITE_DONE)
                return sqlite_failed(db, "write", reterr);
        *ret_lease = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
        return ERR_OK;
}

enum err_code kv_db_lease_add(struct kv_db *db, uint64_t ttl_ms, uint64_t *ret_lease,
                              struct err *reterr)
{
        enum err_code rc = begin_transaction(db, reterr);
        uint64_t lease = 0;

        if (rc)
                return rc;
        rc = insert_lease(db, ttl_ms, &lease, reterr);
        rc = end_transaction(db, rc, false, reterr);
        if (!rc)
                *ret_lease = lease;
        return rc;
}

static enum err_code delete_lease(struct kv_db *db, uint64_t lease, struct kv_items *changes,
                                  struct err *reterr)
{
        cleanup_(reset_query) sqlite3_stmt *keys = get_query(db, Q_READ_LEASE);
        cleanup_(reset_query) sqlite3_stmt *end = get_query(db, Q_LEASE_END);
        cleanup_(kv_items_done) struct kv_items found = { 0 };
        enum err_code rc;

        if (!keys || !end || sqlite3_bind_int64(keys, 1, (int64_t)lease) ||
            sqlite3_bind_int64(end, 1, (int64_t)lease))
                return sqlite_failed(db, "read", reterr);
        rc = collect(db, keys, &found, reterr);
        if (!rc)
                rc = delete_items(db, &found, changes, reterr);
        if (!rc && sqlite3_step(end) != SQLITE_DONE)
                rc = sqlite_failed(db, "write", reterr);
        return rc;
}

enum err_code kv_db_lease_end(struct kv_db *db, uint64_t lease, struct kv_items *ret_changes,
                              struct err *reterr)
{
        enum err_code rc = begin_transaction(db, reterr);

        if (rc)
                return rc;
        rc = delete_lease(db, lease, ret_changes, reterr);
        return end_transaction(db, rc, ret_changes->n > 0, reterr);
}

enum err_code kv_db_leases(struct kv_db *db, struct kv_lease **ret_leases, size_t *ret_n,
                           struct err *reterr)
{
        struct kv_lease *leases = NULL;
        sqlite3_stmt *q = NULL;
        size_t n = 0;
        int step = SQLITE_ERROR;

        if (!sqlite3_prepare_v2(db->sqlite, "SELECT id, ttl_ms FROM lease", -1, &q, NULL))
                while ((step = sqlite3_step(q)) == SQLITE_ROW) {
                        leases = xrealloc(leases, (n + 1) * sizeof *leases);
                        leases[n++] = (struct kv_lease){ (uint64_t)sqlite3_column_int64(q, 0),
                                                         (uint64_t)sqlite3_column_int64(q, 1) };
                }
        sqlite3_finalize(q);
        if (step != SQLITE_DONE) {
                free(leases);
                return sqlite_failed(db, "read", reterr);
        }
        *ret_leases = leases;
        *ret_n = n;
        return ERR_OK;
}
