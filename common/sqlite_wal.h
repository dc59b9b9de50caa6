/* sqlite_wal.h - what SQLite has no switch for in its write-ahead log: a commit that is not synced
 * though the connection's commits are (`PRAGMA synchronous` cannot be changed within a
 * transaction), a sync of what has been committed so, and space for a commit that must not fail on
 * a full disk. Works on connections of the VFS "shoal" (common/sqlite_now.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct sqlite3;
struct sqlite3_file;

/* The VFS has opened a log. Any thread. */
void sqlite_wal_wrap(struct sqlite3_file *f);

/* From now on, on this thread, SQLite's syncs of logs do nothing. Set it around one COMMIT whose
 * pages were flushed before (sqlite3_db_cacheflush()), so that a log that begins again has synced
 * its header. */
void sqlite_wal_skip_syncs(bool on);

/* Everything committed on the file so far is durable. No transaction is being written on db.
 * SQLite's result code. */
int sqlite_wal_sync(struct sqlite3 *db) must_check_;

/* The file system keeps n_bytes behind the end of the log free for it, until the log is shortened:
 * what this transaction writes from now on finds room. Its size stays. Where the file system does
 * not know how, SQLITE_OK is the answer, and nothing was done. SQLITE_FULL: there is no room. */
int sqlite_wal_reserve(struct sqlite3 *db, uint64_t n_bytes) must_check_;
