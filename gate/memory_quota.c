/* memory_quota.c - SQLite's allocator with an account for each thread. */
#include "gate/memory_quota.h"

#include <assert.h>
#include <sqlite3.h>
#include <stddef.h>

static _Thread_local struct memory_quota *quota;

/* Immutable once SQLite has begun. */
static sqlite3_mem_methods base;

/* The next two: there is a quota. */
static bool take(int64_t n_bytes)
{
        struct memory_quota *q = quota;

        if (q->used_bytes + n_bytes <= q->max_bytes || n_bytes <= 0)
                return true;
        q->exceeded = true;
        return false;
}

static void count(int64_t n_bytes)
{
        struct memory_quota *q = quota;

        q->used_bytes += n_bytes;
        if (q->used_bytes > q->peak_bytes)
                q->peak_bytes = q->used_bytes;
}

static void *allocate(int n_bytes)
{
        void *p;

        if (!quota)
                return base.xMalloc(n_bytes);
        p = take(n_bytes) ? base.xMalloc(n_bytes) : NULL;
        if (p)
                count(base.xSize(p));
        return p;
}

static void release(void *p)
{
        if (quota && p)
                count(-(int64_t)base.xSize(p));
        base.xFree(p);
}

static void *reallocate(void *p, int n_bytes)
{
        int64_t n_before;
        void *grown;

        if (!quota)
                return base.xRealloc(p, n_bytes);
        n_before = base.xSize(p);
        grown = take(n_bytes - n_before) ? base.xRealloc(p, n_bytes) : NULL;
        if (grown)
                count(base.xSize(grown) - n_before);
        return grown;
}

/* Before main(), since SQLite's allocator cannot be changed any more once it is in use. */
__attribute__((constructor)) static void install(void)
{
        sqlite3_mem_methods methods;
        int rc = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &base);

        assert(rc == SQLITE_OK);
        methods = base;
        methods.xMalloc = allocate;
        methods.xFree = release;
        methods.xRealloc = reallocate;
        rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
        assert(rc == SQLITE_OK);
        /* SQLite's own accounts take a lock that all threads share, at every allocation. */
        rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        assert(rc == SQLITE_OK);
}

void memory_quota_use(struct memory_quota *q)
{
        quota = q;
}
