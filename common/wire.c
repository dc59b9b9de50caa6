/* wire.c - protobuf's wire format by hand. Pure functions; any thread. */
#include "common/wire.h"

#include <endian.h>

enum {
        MAX_FIELD_NUMBER = (1 << 29) - 1,
        MAX_VARINT32_BYTES = 5, /* tags and lengths, as protobuf-c reads them */
};

void wire_add_varint(struct buf *b, uint64_t v)
{
        uint8_t *p = buf_reserve(b, wire_varint_size(v));

        if (p)
                b->n_bytes = (size_t)(wire_put_varint(p, v) - b->data);
}

void wire_add_uint(struct buf *b, uint32_t field, uint64_t v)
{
        wire_add_varint(b, (uint64_t)field << 3 | WIRE_VARINT);
        wire_add_varint(b, v);
}

void wire_add_bytes(struct buf *b, uint32_t field, const void *p, size_t n_bytes)
{
        wire_add_varint(b, (uint64_t)field << 3 | WIRE_BYTES);
        wire_add_varint(b, n_bytes);
        buf_add(b, p, n_bytes);
}

void wire_add_str(struct buf *b, uint32_t field, const char *s)
{
        wire_add_bytes(b, field, s, strlen(s));
}

/* One byte is left for the length: most messages are short. Behind a longer one the bytes are
 * moved, which costs less than counting twice and keeps the encoding canonical. */
size_t wire_begin(struct buf *b, uint32_t field)
{
        wire_add_varint(b, (uint64_t)field << 3 | WIRE_BYTES);
        buf_add_byte(b, 0);
        return b->n_bytes;
}

void wire_end(struct buf *b, size_t at_begin)
{
        size_t n, n_length;

        if (b->failed)
                return;
        n = b->n_bytes - at_begin;
        n_length = wire_varint_size(n);
        if (n_length > 1) {
                if (!buf_reserve(b, n_length - 1))
                        return;
                memmove(b->data + at_begin + n_length - 1, b->data + at_begin, n);
                b->n_bytes += n_length - 1;
        }
        wire_put_varint(b->data + at_begin - 1, n);
}

/* False: cut short, longer than max_bytes, or more than 64 bits. */
static inline bool read_varint(struct wire_reader *r, unsigned max_bytes, uint64_t *ret_v)
{
        const uint8_t *p = r->p;
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 7 * max_bytes; shift += 7) {
                uint8_t c;

                if (p == r->end)
                        return false;
                c = *p++;
                if (shift == 63 && c > 1)
                        return false;
                v |= (uint64_t)(c & 0x7f) << shift;
                if (c < 0x80) {
                        r->p = p;
                        *ret_v = v;
                        return true;
                }
        }
        return false;
}

static bool read_fixed(struct wire_reader *r, size_t n_bytes, uint64_t *ret_v)
{
        uint64_t v = 0;

        if ((size_t)(r->end - r->p) < n_bytes)
                return false;
        memcpy(&v, r->p, n_bytes);
        r->p += n_bytes;
        *ret_v = n_bytes == 4 ? le32toh((uint32_t)v) : le64toh(v);
        return true;
}

static bool read_bytes(struct wire_reader *r, struct wire_field *f)
{
        uint64_t n;

        if (!read_varint(r, MAX_VARINT32_BYTES, &n) || n > (size_t)(r->end - r->p))
                return false;
        f->data = r->p;
        f->n_bytes = (size_t)n;
        r->p += n;
        return true;
}

static bool read_field(struct wire_reader *r, struct wire_field *f)
{
        uint64_t tag;

        if (!read_varint(r, MAX_VARINT32_BYTES, &tag) || tag >> 3 < 1 ||
            tag >> 3 > MAX_FIELD_NUMBER)
                return false;
        *f = (struct wire_field){ .number = (uint32_t)(tag >> 3), .type = tag & 7 };
        switch (f->type) {
        case WIRE_VARINT:
                return read_varint(r, WIRE_VARINT_MAX, &f->uint);
        case WIRE_FIXED64:
                return read_fixed(r, 8, &f->uint);
        case WIRE_BYTES:
                return read_bytes(r, f);
        case WIRE_FIXED32:
                return read_fixed(r, 4, &f->uint);
        }
        return false;
}

bool wire_next(struct wire_reader *r, struct wire_field *ret_field)
{
        struct wire_field f;

        if (r->failed || r->p == r->end)
                return false;
        if (!read_field(r, &f)) {
                r->failed = true;
                return false;
        }
        *ret_field = f;
        return true;
}

/* Adds the message's own fields to *n_fields; false if it is none. */
static bool count_fields(const void *p, size_t n_bytes, size_t *n_fields)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct wire_field f;
        size_t n = 0;

        while (wire_next(&r, &f))
                n++;
        if (r.failed)
                return false;
        *n_fields += n;
        return true;
}

/* Linear in n_bytes: bytes that are no message are not descended into, and each field of a message
 * is counted against max_fields. depth_left bounds the recursion. */
static bool check_message(const void *p, size_t n_bytes, unsigned depth_left, size_t max_fields,
                          size_t *n_fields)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct wire_field f;

        if (n_bytes == 0 || !count_fields(p, n_bytes, n_fields))
                return true;
        if (*n_fields > max_fields || depth_left == 0)
                return false;
        while (wire_next(&r, &f)) {
                if (f.type != WIRE_BYTES)
                        continue;
                if (!check_message(f.data, f.n_bytes, depth_left - 1, max_fields, n_fields))
                        return false;
        }
        return true;
}

bool wire_check_limits(const void *p, size_t n_bytes, unsigned max_depth, size_t max_fields)
{
        size_t n_fields = 0;

        /* The outermost message is at depth 0. */
        return check_message(p, n_bytes, max_depth + 1, max_fields, &n_fields);
}
