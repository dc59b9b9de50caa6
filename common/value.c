/* value.c - SQL values as shoal.v1.Value and Row, encoded straight from SQLite's columns. Any
 * thread. */
#include "common/value.h"

#include <assert.h>
#include <endian.h>
#include <sqlite3.h>
#include <string.h>

#include "common/utf8.h"
#include "common/wire.h"

_Static_assert((int)VALUE_INTEGER == SQLITE_INTEGER, "");
_Static_assert((int)VALUE_REAL == SQLITE_FLOAT, "");
_Static_assert((int)VALUE_TEXT == SQLITE_TEXT, "");
_Static_assert((int)VALUE_BLOB == SQLITE_BLOB, "");
_Static_assert((int)VALUE_NULL == SQLITE_NULL, "");

/* Field numbers of shoal/v1/api.proto. */
enum {
        VALUE_FIELD_INTEGER = 1,
        VALUE_FIELD_REAL = 2,
        VALUE_FIELD_TEXT = 3,
        VALUE_FIELD_BLOB = 4,
        VALUE_FIELD_RAW_TEXT = 5,
        ROW_FIELD_VALUES = 1,
        COLUMN_FIELD_NAME = 1,
        COLUMN_FIELD_DECLARED_TYPE = 2,
        RESULT_SET_FIELD_COLUMNS = 1,
        RESULT_SET_FIELD_ROWS = 2,
};

bool value_same(const struct value *a, const struct value *b)
{
        if (a->type != b->type)
                return false;
        switch (a->type) {
        case VALUE_INTEGER:
                return a->integer == b->integer;
        case VALUE_REAL:
                return memcmp(&a->real, &b->real, sizeof a->real) == 0;
        case VALUE_TEXT:
        case VALUE_BLOB:
                return a->n_bytes == b->n_bytes &&
                       (a->n_bytes == 0 || memcmp(a->data, b->data, a->n_bytes) == 0);
        case VALUE_NULL:
                return true;
        }
        assert(false);
        return false;
}

static inline size_t encoded_size(const struct value *v)
{
        switch (v->type) {
        case VALUE_INTEGER:
                return 1 + wire_varint_size((uint64_t)v->integer);
        case VALUE_REAL:
                return 1 + sizeof v->real;
        case VALUE_TEXT:
        case VALUE_BLOB:
                return 1 + wire_varint_size(v->n_bytes) + v->n_bytes;
        case VALUE_NULL:
                return 0;
        }
        assert(false);
        return 0;
}

static inline uint8_t *put_real(uint8_t *p, double d)
{
        uint64_t bits;

        memcpy(&bits, &d, sizeof bits);
        bits = htole64(bits);
        memcpy(p, &bits, sizeof bits);
        return p + sizeof bits;
}

static inline uint8_t *put_bytes(uint8_t *p, uint32_t field, const struct value *v)
{
        p = wire_put_tag(p, field, WIRE_BYTES);
        p = wire_put_varint(p, v->n_bytes);
        if (v->n_bytes)
                memcpy(p, v->data, v->n_bytes);
        return p + v->n_bytes;
}

static inline uint8_t *encode(uint8_t *p, const struct value *v)
{
        switch (v->type) {
        case VALUE_INTEGER:
                p = wire_put_tag(p, VALUE_FIELD_INTEGER, WIRE_VARINT);
                return wire_put_varint(p, (uint64_t)v->integer);
        case VALUE_REAL:
                return put_real(wire_put_tag(p, VALUE_FIELD_REAL, WIRE_FIXED64), v->real);
        case VALUE_TEXT:
                if (!utf8_is_plain(v->data, v->n_bytes))
                        return put_bytes(p, VALUE_FIELD_RAW_TEXT, v);
                return put_bytes(p, VALUE_FIELD_TEXT, v);
        case VALUE_BLOB:
                return put_bytes(p, VALUE_FIELD_BLOB, v);
        case VALUE_NULL:
                return p;
        }
        assert(false);
        return p;
}

static inline void add(struct buf *b, uint32_t field, const struct value *v)
{
        uint64_t tag = (uint64_t)field << 3 | WIRE_BYTES;
        size_t n = encoded_size(v);
        uint8_t *p = buf_reserve(b, wire_varint_size(tag) + wire_varint_size(n) + n);

        if (!p)
                return;
        p = wire_put_varint(p, tag);
        p = wire_put_varint(p, n);
        p = encode(p, v);
        b->n_bytes = (size_t)(p - b->data);
}

size_t value_encoded_size(const struct value *v)
{
        return encoded_size(v);
}

uint8_t *value_encode(uint8_t *p, const struct value *v)
{
        return encode(p, v);
}

void value_add(struct buf *b, uint32_t field, const struct value *v)
{
        add(b, field, v);
}

static enum err_code decode_bytes(const struct wire_field *f, struct value *ret_value,
                                  struct err *reterr)
{
        if (f->number == VALUE_FIELD_TEXT && !utf8_is_valid(f->data, f->n_bytes))
                return err_set(reterr, ERR_INVALID, "BAD_VALUE",
                               "text is not valid UTF-8 (raw_text carries such bytes)");
        if (f->number == VALUE_FIELD_BLOB)
                *ret_value = value_blob(f->data, f->n_bytes);
        else
                *ret_value = value_text(f->data, f->n_bytes);
        return ERR_OK;
}

static enum err_code decode_kind(const struct wire_field *f, struct value *ret_value,
                                 struct err *reterr)
{
        uint32_t kind = f->number << 3 | f->type;

        switch (kind) {
        case VALUE_FIELD_INTEGER << 3 | WIRE_VARINT:
                *ret_value = value_integer((int64_t)f->uint);
                return ERR_OK;
        case VALUE_FIELD_REAL << 3 | WIRE_FIXED64:
                ret_value->type = VALUE_REAL;
                memcpy(&ret_value->real, &f->uint, sizeof ret_value->real);
                return ERR_OK;
        case VALUE_FIELD_TEXT << 3 | WIRE_BYTES:
        case VALUE_FIELD_BLOB << 3 | WIRE_BYTES:
        case VALUE_FIELD_RAW_TEXT << 3 | WIRE_BYTES:
                return decode_bytes(f, ret_value, reterr);
        default:
                /* Skipping it, as protobuf would, makes a NULL of a kind that only newer clients
                 * know. */
                return err_set(reterr, ERR_INVALID, "BAD_VALUE",
                               "value of an unknown kind (field %u)", f->number);
        }
}

enum err_code value_decode(const void *p, size_t n_bytes, struct value *ret_value,
                           struct err *reterr)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct value v = value_null();
        struct wire_field f;
        enum err_code rc;

        while (wire_next(&r, &f)) {
                rc = decode_kind(&f, &v, reterr);
                if (rc)
                        return rc;
        }
        if (r.failed)
                return err_set(reterr, ERR_INVALID, "BAD_VALUE", "malformed value");
        *ret_value = v;
        return ERR_OK;
}

enum err_code value_decode_row(const void *p, size_t n_bytes, struct value *values, size_t n_values,
                               struct err *reterr)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct wire_field f;
        enum err_code rc;
        size_t i = 0;

        while (wire_next(&r, &f)) {
                if (f.number != ROW_FIELD_VALUES || f.type != WIRE_BYTES)
                        continue;
                if (i == n_values)
                        return err_set(reterr, ERR_INVALID, "BAD_VALUE",
                                       "row of more than %zu values", n_values);
                rc = value_decode(f.data, f.n_bytes, &values[i], reterr);
                if (rc)
                        return err_wrap(reterr, rc, "value %zu", i);
                i++;
        }
        if (r.failed)
                return err_set(reterr, ERR_INVALID, "BAD_VALUE", "malformed row");
        if (i != n_values)
                return err_set(reterr, ERR_INVALID, "BAD_VALUE",
                               "row of %zu values where %zu belong", i, n_values);
        return ERR_OK;
}

/* Type 0 if SQLite had no memory for the bytes. A statement belongs to one thread at a time, so
 * that the unprotected value of sqlite3_column_value() may be read: one call into SQLite less per
 * column and lock. */
static inline struct value of_sqlite_value(sqlite3_value *c)
{
        struct value v = { .type = (enum value_type)sqlite3_value_type(c) };

        switch (v.type) {
        case VALUE_INTEGER:
                v.integer = sqlite3_value_int64(c);
                break;
        case VALUE_REAL:
                v.real = sqlite3_value_double(c);
                break;
        case VALUE_TEXT:
                v.data = sqlite3_value_text(c);
                v.n_bytes = (size_t)sqlite3_value_bytes(c);
                if (!v.data)
                        v.type = 0;
                break;
        case VALUE_BLOB:
                v.data = sqlite3_value_blob(c);
                v.n_bytes = (size_t)sqlite3_value_bytes(c);
                if (!v.data && v.n_bytes)
                        v.type = 0;
                break;
        case VALUE_NULL:
                break;
        }
        return v;
}

struct value value_of_column(struct sqlite3_stmt *stmt, int i)
{
        return of_sqlite_value(sqlite3_column_value(stmt, i));
}

void value_add_row(struct buf *b, struct sqlite3_stmt *stmt, int n_columns)
{
        size_t at = wire_begin(b, RESULT_SET_FIELD_ROWS);

        for (int i = 0; i < n_columns; i++) {
                struct value v = of_sqlite_value(sqlite3_column_value(stmt, i));

                if (v.type == 0) {
                        b->failed = true;
                        return;
                }
                add(b, ROW_FIELD_VALUES, &v);
        }
        wire_end(b, at);
}

void value_add_columns(struct buf *b, struct sqlite3_stmt *stmt)
{
        int n = sqlite3_column_count(stmt);

        for (int i = 0; i < n; i++) {
                const char *name = sqlite3_column_name(stmt, i);
                size_t at = wire_begin(b, RESULT_SET_FIELD_COLUMNS);

                if (!name) { /* no memory */
                        b->failed = true;
                        return;
                }
                wire_add_str_nz(b, COLUMN_FIELD_NAME, name);
                wire_add_str_nz(b, COLUMN_FIELD_DECLARED_TYPE, sqlite3_column_decltype(stmt, i));
                wire_end(b, at);
        }
}

int value_bind(struct sqlite3_stmt *stmt, int i, const struct value *v)
{
        switch (v->type) {
        case VALUE_INTEGER:
                return sqlite3_bind_int64(stmt, i, v->integer);
        case VALUE_REAL:
                return sqlite3_bind_double(stmt, i, v->real);
        case VALUE_TEXT:
                /* A null pointer would bind NULL. */
                return sqlite3_bind_text64(stmt, i, v->n_bytes ? v->data : "", v->n_bytes,
                                           SQLITE_STATIC, SQLITE_UTF8);
        case VALUE_BLOB:
                return sqlite3_bind_blob64(stmt, i, v->n_bytes ? v->data : "", v->n_bytes,
                                           SQLITE_STATIC);
        case VALUE_NULL:
                return sqlite3_bind_null(stmt, i);
        }
        assert(false);
        return SQLITE_MISUSE;
}
