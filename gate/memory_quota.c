/* memory_quota.c - SQLite's allocator with an account for each thread that has one. Where there is
 * none, what is freed is kept for what is allocated next: planning prepares a statement and lets go
 * of it again, in some hundred small pieces. */
#include "gate/memory_quota.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/poison.h"

enum {
        STEP_BYTES = 32,
        N_SIZES = 128,               /* blocks of STEP_BYTES times 1 to this are kept */
        MAX_SPARE_BYTES = 256 << 10, /* of a thread */
};

static _Thread_local struct memory_quota *quota;

/* Immutable once SQLite has begun. */
static sqlite3_mem_methods base;

/* ---- blocks to spare */

struct spare {
        struct spare *next;
};

/* Owner: the thread. */
static _Thread_local struct {
        struct spare *of_size[N_SIZES + 1];
        size_t n_bytes;
        bool is_told; /* the thread's end frees them */
} spares;

static pthread_key_t thread_end;

static void free_spares(void *arg)
{
        (void)arg;
        for (size_t i = 0; i <= N_SIZES; i++)
                while (spares.of_size[i]) {
                        struct spare *s = spares.of_size[i];

                        spares.of_size[i] = s->next;
                        ASAN_UNPOISON_MEMORY_REGION(s, i * STEP_BYTES);
                        base.xFree(s);
                }
        spares.n_bytes = MAX_SPARE_BYTES; /* what else is freed as the thread ends is not kept */
}

static void *take_spare(size_t size)
{
        struct spare *s = spares.of_size[size];

        if (s) {
                spares.of_size[size] = s->next;
                spares.n_bytes -= size * STEP_BYTES;
                ASAN_UNPOISON_MEMORY_REGION(s, size * STEP_BYTES);
        }
        return s;
}

static bool keep_spare(void *p, size_t size)
{
        struct spare *s = p;

        if (size == 0 || size > N_SIZES || spares.n_bytes + size * STEP_BYTES > MAX_SPARE_BYTES)
                return false;
        if (!spares.is_told) {
                spares.is_told = true;
                pthread_setspecific(thread_end, &spares);
        }
        s->next = spares.of_size[size];
        spares.of_size[size] = s;
        spares.n_bytes += size * STEP_BYTES;
        ASAN_POISON_MEMORY_REGION(s + 1, size * STEP_BYTES - sizeof *s);
        return true;
}

static void *allocate_spare(int n_bytes)
{
        size_t size = ((size_t)n_bytes + STEP_BYTES - 1) / STEP_BYTES;
        void *p;

        if (n_bytes < 0 || size > N_SIZES)
                return base.xMalloc(n_bytes);
        p = take_spare(size);
        return p ? p : base.xMalloc((int)(size * STEP_BYTES));
}

/* ---- the account */

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
                return allocate_spare(n_bytes);
        p = take(n_bytes) ? base.xMalloc(n_bytes) : NULL;
        if (p)
                count(base.xSize(p));
        return p;
}

static void release(void *p)
{
        if (!p)
                return;
        if (quota)
                count(-(int64_t)base.xSize(p));
        else if (keep_spare(p, (size_t)base.xSize(p) / STEP_BYTES))
                return;
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
        int rc = pthread_key_create(&thread_end, free_spares);

        assert(rc == 0);
        rc = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &base);
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
