/* buf.h - a growing run of bytes with a limit. Owner: one at a time. Appending to a full one is
 * remembered (failed), so that a caller may append many times and check once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"

struct buf {
        uint8_t *data; /* malloc'ed; NULL while empty */
        size_t n_bytes;
        size_t n_allocated;
        size_t max_bytes; /* 0: no limit */
        bool failed;      /* something did not fit */
};

#define BUF_INIT(max)              \
        {                          \
                .max_bytes = (max) \
        }

/* Frees the bytes; the buf is then empty and may be used again. */
void buf_done(struct buf *b);

/* Room for n_bytes more behind n_bytes; the caller fills it and adds to n_bytes. NULL: over the
 * limit or out of memory, failed is set. */
uint8_t *buf_reserve_slow(struct buf *b, size_t n_bytes);
static inline uint8_t *buf_reserve(struct buf *b, size_t n_bytes)
{
        if (b->n_allocated - b->n_bytes >= n_bytes && !b->failed && b->data)
                return b->data + b->n_bytes;
        return buf_reserve_slow(b, n_bytes);
}

static inline void buf_add(struct buf *b, const void *p, size_t n_bytes)
{
        uint8_t *q = buf_reserve(b, n_bytes);

        if (q && n_bytes) {
                memcpy(q, p, n_bytes);
                b->n_bytes += n_bytes;
        }
}

static inline void buf_add_byte(struct buf *b, uint8_t c)
{
        buf_add(b, &c, 1);
}

static inline void buf_add_str(struct buf *b, const char *s)
{
        buf_add(b, s, strlen(s));
}
void buf_add_number(struct buf *b, uint64_t n); /* in decimal */
void buf_printf(struct buf *b, const char *fmt, ...) printf_(2, 3);

/* The bytes as a string with a NUL behind them, owned by the caller; the buf is empty afterwards.
 * NULL if failed. */
char *buf_take_str(struct buf *b) must_check_;
