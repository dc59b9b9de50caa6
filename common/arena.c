/* arena.c - bump allocation from blocks that double in size. One owner at a time. */
#include "common/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/poison.h"

enum {
        FIRST_BLOCK_BYTES = 976, /* most plans fit, and malloc() still takes it for small */
        MAX_BLOCK_BYTES = 1 << 20
};

struct block {
        struct block *next;
        size_t n_bytes; /* of data */
        alignas(max_align_t) char data[];
};

/* Owner: whoever made it; handed on whole. */
struct arena {
        struct block *blocks; /* the one in use first */
        size_t n_room;        /* at the end of the first block; 0 once it is exhausted */
        size_t n_bytes;       /* of all blocks, their headers included */
        size_t max_bytes;
        bool exhausted;
};

struct arena *arena_new(size_t max_bytes)
{
        struct arena *a = xcalloc(1, sizeof *a);

        a->max_bytes = max_bytes;
        return a;
}

static void free_blocks(struct block *b)
{
        while (b) {
                struct block *next = b->next;

                ASAN_UNPOISON_MEMORY_REGION(b->data, b->n_bytes);
                free(b);
                b = next;
        }
}

struct arena *arena_free(struct arena *a)
{
        if (!a)
                return NULL;
        free_blocks(a->blocks);
        free(a);
        return NULL;
}

void arena_reset(struct arena *a)
{
        if (a->blocks) {
                free_blocks(a->blocks->next);
                a->blocks->next = NULL;
                a->n_bytes = sizeof(struct block) + a->blocks->n_bytes;
                ASAN_POISON_MEMORY_REGION(a->blocks->data, a->blocks->n_bytes);
        }
        a->n_room = a->blocks ? a->blocks->n_bytes : 0;
        a->exhausted = false;
}

static bool add_block(struct arena *a, size_t n_wanted)
{
        size_t n = a->blocks ? a->blocks->n_bytes * 2 : FIRST_BLOCK_BYTES;
        struct block *b;

        if (n > MAX_BLOCK_BYTES)
                n = MAX_BLOCK_BYTES;
        if (n < n_wanted)
                n = n_wanted;
        if (n > a->max_bytes - a->n_bytes || sizeof *b > a->max_bytes - a->n_bytes - n) {
                /* The next size up does not fit any more; what was asked for still may. */
                n = n_wanted;
                if (n > a->max_bytes - a->n_bytes || sizeof *b > a->max_bytes - a->n_bytes - n)
                        return false;
        }
        b = malloc(sizeof *b + n);
        if (!b)
                return false;
        b->n_bytes = n;
        b->next = a->blocks;
        a->blocks = b;
        a->n_room = n;
        a->n_bytes += sizeof *b + n;
        ASAN_POISON_MEMORY_REGION(b->data, n);
        return true;
}

static void *exhaust(struct arena *a)
{
        a->exhausted = true;
        a->n_room = 0;
        return NULL;
}

static void *take(struct arena *a, size_t n_bytes, size_t n)
{
        void *p = a->blocks->data + (a->blocks->n_bytes - a->n_room);

        a->n_room -= n;
        ASAN_UNPOISON_MEMORY_REGION(p, n_bytes);
        return p;
}

/* Where n_bytes, rounded up to n, do not fit into the block in use, or are none. */
static __attribute__((noinline)) void *allocate_slowly(struct arena *a, size_t n_bytes, size_t n)
{
        if (n < n_bytes || a->exhausted)
                return exhaust(a);
        if ((!a->blocks || a->n_room < n) && !add_block(a, n))
                return exhaust(a);
        return take(a, n_bytes, n);
}

static inline void *allocate(struct arena *a, size_t n_bytes)
{
        size_t n = (n_bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

        /* Of more than can be rounded up n is 0, too. */
        return n - 1 < a->n_room ? take(a, n_bytes, n) : allocate_slowly(a, n_bytes, n);
}

void *arena_alloc(struct arena *a, size_t n_bytes)
{
        return allocate(a, n_bytes);
}

void *arena_calloc(struct arena *a, size_t n, size_t n_bytes)
{
        size_t n_all;
        void *p;

        if (__builtin_mul_overflow(n, n_bytes, &n_all))
                return exhaust(a);
        p = allocate(a, n_all);
        if (p)
                memset(p, 0, n_all);
        return p;
}

void *arena_memdup(struct arena *a, const void *p, size_t n_bytes)
{
        void *q = allocate(a, n_bytes);

        if (q && n_bytes)
                memcpy(q, p, n_bytes);
        return q;
}

char *arena_strndup(struct arena *a, const char *s, size_t n_bytes)
{
        char *q;

        if (n_bytes == SIZE_MAX)
                return exhaust(a);
        q = allocate(a, n_bytes + 1);
        if (!q)
                return NULL;
        memcpy(q, s, n_bytes);
        q[n_bytes] = '\0';
        return q;
}

char *arena_strdup(struct arena *a, const char *s)
{
        return arena_strndup(a, s, strlen(s));
}

char *arena_numbered(struct arena *a, const char *prefix, uint64_t number)
{
        size_t n_prefix = strlen(prefix);
        char digits[24];
        size_t at = sizeof digits;
        char *s;

        do
                digits[--at] = (char)('0' + number % 10);
        while (number /= 10);
        s = arena_alloc(a, n_prefix + sizeof digits - at + 1);
        if (!s)
                return NULL;
        memcpy(s, prefix, n_prefix);
        memcpy(s + n_prefix, digits + at, sizeof digits - at);
        s[n_prefix + sizeof digits - at] = '\0';
        return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
        char text[128];
        va_list ap;
        char *s;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        if (n >= 0 && (size_t)n < sizeof text)
                return arena_strndup(a, text, (size_t)n);
        s = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
        if (!s)
                return NULL;
        va_start(ap, fmt);
        vsnprintf(s, (size_t)n + 1, fmt, ap);
        va_end(ap);
        return s;
}

bool arena_grow_(struct arena *a, void *items, size_t n, uint32_t *n_allocated, size_t item_bytes)
{
        enum { FIRST_ROOM = 2 };
        uint32_t n_new = *n_allocated ? *n_allocated * 2 : FIRST_ROOM;
        void *old, *grown;

        if (n_new < *n_allocated) {
                (void)exhaust(a);
                return false;
        }
        grown = arena_calloc(a, n_new, item_bytes);
        if (!grown)
                return false;
        /* A pointer to whatever the items are. */
        memcpy(&old, items, sizeof old);
        if (n)
                memcpy(grown, old, n * item_bytes);
        memcpy(items, &grown, sizeof grown);
        *n_allocated = n_new;
        return true;
}

bool arena_is_exhausted(const struct arena *a)
{
        return a->exhausted;
}

size_t arena_bytes(const struct arena *a)
{
        return a->n_bytes;
}
