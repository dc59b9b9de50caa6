/* wire.h - protobuf's wire format by hand, for the few messages on the hot path (values, rows,
 * result sets, the frames between gate and tablet). Everything else uses protobuf-c. Encoding
 * rules: protobuf.dev, "Encoding". Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { WIRE_VARINT_MAX = 10 };

/* ---- writing. The w_* functions write at p and return the position behind; the caller has made
 * room. */

static inline size_t wire_varint_size(uint64_t v)
{
        return (size_t)(64 - __builtin_clzll(v | 1) + 6) / 7;
}

static inline uint8_t *wire_put_varint(uint8_t *p, uint64_t v)
{
        while (v >= 0x80) {
                *p++ = (uint8_t)(v | 0x80);
                v >>= 7;
        }
        *p++ = (uint8_t)v;
        return p;
}

static inline uint8_t *wire_put_tag(uint8_t *p, uint32_t field, enum wire_type type)
{
        return wire_put_varint(p, (uint64_t)field << 3 | type);
}

/* The same onto a buf. A zero or empty value is written too (inside a oneof it counts). */
void wire_add_varint(struct buf *b, uint64_t v);
void wire_add_uint(struct buf *b, uint32_t field, uint64_t v);
void wire_add_bytes(struct buf *b, uint32_t field, const void *p, size_t n_bytes);
void wire_add_str(struct buf *b, uint32_t field, const char *s);

/* Skips the field if the value is proto3's default. */
static inline void wire_add_uint_nz(struct buf *b, uint32_t field, uint64_t v)
{
        if (v)
                wire_add_uint(b, field, v);
}
static inline void wire_add_str_nz(struct buf *b, uint32_t field, const char *s)
{
        if (s && *s)
                wire_add_str(b, field, s);
}

/* A sub-message whose size is not known yet: begin leaves room for the length, end fills it in. The
 * encoding is canonical; behind more than 127 bytes end moves the sub-message, so do not nest large
 * ones deeply. */
size_t wire_begin(struct buf *b, uint32_t field);
void wire_end(struct buf *b, size_t at_begin);

/* ---- reading */

struct wire_reader {
        const uint8_t *p;
        const uint8_t *end;
        bool failed; /* malformed; nothing more is read */
};

struct wire_field {
        uint32_t number;
        enum wire_type type;
        uint64_t uint;       /* of WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32 */
        const uint8_t *data; /* of WIRE_BYTES: borrowed from the input */
        size_t n_bytes;
};

static inline struct wire_reader wire_reader(const void *p, size_t n_bytes)
{
        /* p may be NULL when n_bytes is 0 */
        return (struct wire_reader){ .p = p, .end = n_bytes ? (const uint8_t *)p + n_bytes : p };
}

/* The next field; false at the end or when malformed (r->failed tells). Groups count as malformed.
 */
bool wire_next(struct wire_reader *r, struct wire_field *ret_field);

/* True if the message nests sub-messages, judged by the bytes alone, at most max_depth deep (a
 * message with only scalars: 0) and holds at most max_fields fields in all: a check before
 * protobuf-c's unpack, which has no limit of either. Length-delimited fields that happen to parse
 * count as messages, so max_fields must be generous where large texts and blobs are expected. True
 * for bytes that are no message: unpack refuses those. Linear in n_bytes. */
bool wire_check_limits(const void *p, size_t n_bytes, unsigned max_depth, size_t max_fields);
