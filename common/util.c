/* util.c - allocation that cannot fail, and clocks. Any thread. */
#include "common/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void *check_memory(void *p)
{
        if (!p) {
                fputs("out of memory\n", stderr);
                abort();
        }
        return p;
}

void *xmalloc(size_t n_bytes)
{
        return check_memory(malloc(n_bytes ? n_bytes : 1));
}

void *xcalloc(size_t n, size_t n_bytes)
{
        return check_memory(calloc(n ? n : 1, n_bytes ? n_bytes : 1));
}

void *xrealloc(void *p, size_t n_bytes)
{
        return check_memory(realloc(p, n_bytes ? n_bytes : 1));
}

char *xstrdup(const char *s)
{
        return check_memory(strdup(s));
}

char *xstrndup(const char *s, size_t n_bytes)
{
        return check_memory(strndup(s, n_bytes));
}

char *xasprintf(const char *fmt, ...)
{
        va_list ap;
        char *s;
        int n;

        va_start(ap, fmt);
        n = vasprintf(&s, fmt, ap);
        va_end(ap);
        return check_memory(n < 0 ? NULL : s);
}

static int64_t clock_us(clockid_t id)
{
        struct timespec t;

        clock_gettime(id, &t);
        return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t mono_us(void)
{
        return clock_us(CLOCK_MONOTONIC);
}

int64_t wall_us(void)
{
        return clock_us(CLOCK_REALTIME);
}
