/* sqlite_now.c - a VFS over SQLite's default one that overrides the clock. Files are the default
 * VFS's own: xOpen hands its objects through (write-ahead logs with a sync that can be skipped:
 * sqlite_wal.h). Any thread. */
#include "common/sqlite_now.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

#include "common/sqlite_wal.h"

/* SQLite counts from noon of 24 November 4714 BC (proleptic Gregorian calendar). */
#define JULIAN_MS_OF_1970 INT64_C(210866760000000)
#define MS_A_DAY 86400000.0

static _Thread_local int64_t now_ms;

/* Immutable once registered. */
static sqlite3_vfs *base;
static sqlite3_vfs vfs;
static int register_rc;

static int open_file(sqlite3_vfs *v unused_, const char *name, sqlite3_file *f, int flags,
                     int *ret_flags)
{
        int rc = base->xOpen(base, name, f, flags, ret_flags);

        if (rc == SQLITE_OK && (flags & SQLITE_OPEN_WAL))
                sqlite_wal_wrap(f);
        return rc;
}

static int delete_file(sqlite3_vfs *v unused_, const char *name, int sync_dir)
{
        return base->xDelete(base, name, sync_dir);
}

static int access_file(sqlite3_vfs *v unused_, const char *name, int flags, int *ret_yes)
{
        return base->xAccess(base, name, flags, ret_yes);
}

static int full_pathname(sqlite3_vfs *v unused_, const char *name, int n_bytes, char *ret_path)
{
        return base->xFullPathname(base, name, n_bytes, ret_path);
}

static void *dl_open(sqlite3_vfs *v unused_, const char *name)
{
        return base->xDlOpen(base, name);
}

static void dl_error(sqlite3_vfs *v unused_, int n_bytes, char *ret_msg)
{
        base->xDlError(base, n_bytes, ret_msg);
}

static void (*dl_sym(sqlite3_vfs *v unused_, void *library, const char *symbol))(void)
{
        return base->xDlSym(base, library, symbol);
}

static void dl_close(sqlite3_vfs *v unused_, void *library)
{
        base->xDlClose(base, library);
}

static int randomness(sqlite3_vfs *v unused_, int n_bytes, char *ret_bytes)
{
        return base->xRandomness(base, n_bytes, ret_bytes);
}

static int sleep_us(sqlite3_vfs *v unused_, int us)
{
        return base->xSleep(base, us);
}

static int last_error(sqlite3_vfs *v unused_, int n_bytes, char *ret_msg)
{
        return base->xGetLastError(base, n_bytes, ret_msg);
}

static int current_time_int64(sqlite3_vfs *v unused_, sqlite3_int64 *ret_julian_ms)
{
        if (!now_ms)
                return base->xCurrentTimeInt64(base, ret_julian_ms);
        *ret_julian_ms = JULIAN_MS_OF_1970 + now_ms;
        return SQLITE_OK;
}

static int current_time(sqlite3_vfs *v, double *ret_julian_days)
{
        sqlite3_int64 ms;
        int rc = current_time_int64(v, &ms);

        if (rc == SQLITE_OK)
                *ret_julian_days = (double)ms / MS_A_DAY;
        return rc;
}

static void register_vfs(void)
{
        register_rc = sqlite3_initialize();
        if (register_rc != SQLITE_OK)
                return;
        base = sqlite3_vfs_find(NULL);
        if (!base || base->iVersion < 2) {
                register_rc = SQLITE_ERROR;
                return;
        }
        vfs = (sqlite3_vfs){
                .iVersion =
                    2, /* 3 adds the replacement of system calls: a matter for tests of SQLite */
                .szOsFile = base->szOsFile,
                .mxPathname = base->mxPathname,
                .zName = SQLITE_NOW_VFS,
                .xOpen = open_file,
                .xDelete = delete_file,
                .xAccess = access_file,
                .xFullPathname = full_pathname,
                .xDlOpen = dl_open,
                .xDlError = dl_error,
                .xDlSym = dl_sym,
                .xDlClose = dl_close,
                .xRandomness = randomness,
                .xSleep = sleep_us,
                .xCurrentTime = current_time,
                .xGetLastError = last_error,
                .xCurrentTimeInt64 = current_time_int64,
        };
        register_rc = sqlite3_vfs_register(&vfs, 0);
}

int sqlite_now_register(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, register_vfs);
        return register_rc;
}

void sqlite_now_set(int64_t unix_ms)
{
        now_ms = unix_ms;
}
