/* buf.c - growth and formatting for buf.h. One owner at a time. */
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>

void buf_done(struct buf *b)
{
        free(b->data);
        *b = (struct buf)BUF_INIT(b->max_bytes);
}

uint8_t *buf_reserve_slow(struct buf *b, size_t n_bytes)
{
        size_t n_wanted = b->n_bytes + n_bytes;
        size_t n_new = b->n_allocated ? b->n_allocated * 2 : 256;
        uint8_t *p;

        if (b->failed || n_wanted < n_bytes || (b->max_bytes && n_wanted > b->max_bytes))
                goto fail;
        if (n_new < n_wanted)
                n_new = n_wanted;
        if (b->max_bytes && n_new > b->max_bytes)
                n_new = b->max_bytes;
        p = realloc(b->data, n_new);
        if (!p)
                goto fail;
        b->data = p;
        b->n_allocated = n_new;
        return b->data + b->n_bytes;

fail:
        b->failed = true;
        return NULL;
}

void buf_add_str(struct buf *b, const char *s)
{
        buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
        va_list ap;
        uint8_t *p;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n < 0) {
                b->failed = true;
                return;
        }
        /* vsnprintf writes a NUL too, which is not counted. */
        p = buf_reserve(b, (size_t)n + 1);
        if (!p)
                return;
        va_start(ap, fmt);
        vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
        va_end(ap);
        b->n_bytes += (size_t)n;
}

char *buf_take_str(struct buf *b)
{
        char *s;

        buf_add_byte(b, 0);
        if (b->failed)
                return NULL;
        s = (char *)b->data;
        *b = (struct buf)BUF_INIT(b->max_bytes);
        return s;
}
