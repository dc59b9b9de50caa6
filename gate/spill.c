/* spill.c - counts the bytes of the files it hands through. Any thread; a file by one thread at a
 * time. */
#include "gate/spill.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>

#include "common/sqlite_now.h"

static _Thread_local struct spill_quota *quota;

/* Immutable once registered. */
static sqlite3_vfs *base;
static sqlite3_vfs vfs;
static int register_rc;

/* SQLite allocates it with room for the base VFS's file behind. */
struct file {
        sqlite3_file head;
        struct spill_quota *quota; /* NULL: not counted */
        uint64_t n_bytes;
        sqlite3_file *real;
};

static struct file *file_of(sqlite3_file *f)
{
        return (struct file *)(void *)f;
}

/* False: over the quota. */
static bool set_size(struct file *f, uint64_t n_bytes)
{
        struct spill_quota *q = f->quota;

        if (q) {
                uint64_t used = q->used_bytes - f->n_bytes + n_bytes;

                if (n_bytes > f->n_bytes && used > q->max_bytes) {
                        q->exceeded = true;
                        return false;
                }
                q->used_bytes = used;
                if (used > q->peak_bytes)
                        q->peak_bytes = used;
        }
        f->n_bytes = n_bytes;
        return true;
}

static int close_file(sqlite3_file *file)
{
        struct file *f = file_of(file);

        set_size(f, 0);
        return f->real->pMethods ? f->real->pMethods->xClose(f->real) : SQLITE_OK;
}

static int read_file(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
        struct file *f = file_of(file);

        return f->real->pMethods->xRead(f->real, p, n, at);
}

static int write_file(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
        struct file *f = file_of(file);
        uint64_t end = (uint64_t)at + (uint64_t)n;

        if (end > f->n_bytes && !set_size(f, end))
                return SQLITE_FULL;
        return f->real->pMethods->xWrite(f->real, p, n, at);
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 n_bytes)
{
        struct file *f = file_of(file);
        int rc = f->real->pMethods->xTruncate(f->real, n_bytes);

        if (rc == SQLITE_OK && (uint64_t)n_bytes < f->n_bytes)
                set_size(f, (uint64_t)n_bytes);
        return rc;
}

/* What is gone with its connection need not be on disk. */
static int sync_file(sqlite3_file *file unused_, int flags unused_)
{
        return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_n_bytes)
{
        struct file *f = file_of(file);

        return f->real->pMethods->xFileSize(f->real, ret_n_bytes);
}

static int lock_file(sqlite3_file *file, int level)
{
        struct file *f = file_of(file);

        return f->real->pMethods->xLock(f->real, level);
}

static int unlock_file(sqlite3_file *file, int level)
{
        struct file *f = file_of(file);

        return f->real->pMethods->xUnlock(f->real, level);
}

static int check_reserved(sqlite3_file *file, int *ret_yes)
{
        struct file *f = file_of(file);

        return f->real->pMethods->xCheckReservedLock(f->real, ret_yes);
}

/* A size hint would make the base VFS allocate behind our back; the rest is advice. */
static int control_file(sqlite3_file *file, int op, void *arg)
{
        struct file *f = file_of(file);

        if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE)
                return SQLITE_NOTFOUND;
        return f->real->pMethods->xFileControl(f->real, op, arg);
}

static int sector_size(sqlite3_file *file)
{
        struct file *f = file_of(file);

        return f->real->pMethods->xSectorSize(f->real);
}

static int characteristics(sqlite3_file *file)
{
        struct file *f = file_of(file);

        return f->real->pMethods->xDeviceCharacteristics(f->real);
}

static const sqlite3_io_methods methods = {
        .iVersion = 1, /* no shared memory, no mapping */
        .xClose = close_file,
        .xRead = read_file,
        .xWrite = write_file,
        .xTruncate = truncate_file,
        .xSync = sync_file,
        .xFileSize = file_size,
        .xLock = lock_file,
        .xUnlock = unlock_file,
        .xCheckReservedLock = check_reserved,
        .xFileControl = control_file,
        .xSectorSize = sector_size,
        .xDeviceCharacteristics = characteristics,
};

static int open_file(sqlite3_vfs *v unused_, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
        struct file *f = file_of(file);
        int rc;

        *f = (struct file){ .quota = quota, .real = (sqlite3_file *)(void *)(f + 1) };
        f->real->pMethods = NULL;
        rc = base->xOpen(base, name, f->real, flags, ret_flags);
        if (f->real->pMethods)
                f->head.pMethods = &methods;
        return rc;
}

static void register_vfs(void)
{
        register_rc = sqlite_now_register();
        if (register_rc != SQLITE_OK)
                return;
        base = sqlite3_vfs_find(SQLITE_NOW_VFS);
        vfs = *base;
        vfs.pNext = NULL;
        vfs.zName = SPILL_VFS;
        vfs.szOsFile = (int)sizeof(struct file) + base->szOsFile;
        vfs.xOpen = open_file;
        register_rc = sqlite3_vfs_register(&vfs, 0);
}

int spill_register(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, register_vfs);
        return register_rc;
}

void spill_use(struct spill_quota *q)
{
        quota = q;
}
