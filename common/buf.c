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

void buf_add_number(struct buf *b, uint64_t n)
{
        char digits[24];
        size_t at = sizeof digits;

        do
                digits[--at] = (char)('0' + n % 10);
        while (n /= 10);
        buf_add(b, digits + at, sizeof digits - at);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
        cleanup_(freep) char *longer = NULL;
        char text[256];
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        if (n >= (int)sizeof text) {
                va_start(ap, fmt);
                n = vasprintf(&longer, fmt, ap);
                va_end(ap);
                if (n < 0)
                        longer = NULL; /* its value is undefined then */
        }
        if (n < 0)
                b->failed = true;
        else
                buf_add(b, longer ? longer : text, (size_t)n);
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
