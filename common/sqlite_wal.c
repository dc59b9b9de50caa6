/* sqlite_wal.c - see sqlite_wal.h. The log's file is the default VFS's own; only its table of
 * methods is a copy with another xSync. */
#include "common/sqlite_wal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local bool skips;

/* Of the first log that was opened; guarded by mu, then immutable: the default VFS has one table
 * for all logs. */
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static const sqlite3_io_methods *base;
static sqlite3_io_methods wrapped;

static int sync_file(sqlite3_file *f, int flags)
{
        return skips ? SQLITE_OK : base->xSync(f, flags);
}

void sqlite_wal_wrap(struct sqlite3_file *f)
{
        pthread_mutex_lock(&mu);
        if (!base) {
                base = f->pMethods;
                wrapped = *base;
                wrapped.xSync = sync_file;
        }
        /* Another table would mean another kind of file: better synced too often. */
        if (f->pMethods == base)
                f->pMethods = &wrapped;
        pthread_mutex_unlock(&mu);
}

void sqlite_wal_skip_syncs(bool on)
{
        skips = on;
}

int sqlite_wal_sync(struct sqlite3 *db)
{
        sqlite3_file *f = NULL;
        int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f);

        assert(!skips);
        /* Without a file nothing was ever committed to it by this connection, nor read from it. */
        if (rc != SQLITE_OK || !f || !f->pMethods)
                return rc;
        return f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
}

int sqlite_wal_reserve(struct sqlite3 *db, uint64_t n_bytes)
{
        const char *path = sqlite3_filename_wal(sqlite3_db_filename(db, "main"));
        int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        struct stat st;
        int error = 0;

        if (fd < 0)
                return SQLITE_CANTOPEN;
        /* SQLite's locks are on other files, so that closing this one lets go of none. */
        if (fstat(fd, &st) != 0 ||
            fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)n_bytes) != 0)
                error = errno;
        close(fd);
        if (error == ENOSPC || error == EDQUOT)
                return SQLITE_FULL;
        return !error || error == EOPNOTSUPP || error == ENOSYS ? SQLITE_OK : SQLITE_IOERR;
}
