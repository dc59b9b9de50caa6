/* value.h - one SQL value in one of SQLite's storage classes, and its encoding as shoal.v1.Value /
 * Row. Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct sqlite3_stmt;

/* Numbered like SQLITE_INTEGER … SQLITE_NULL. */
enum value_type {
        VALUE_INTEGER = 1,
        VALUE_REAL = 2,
        VALUE_TEXT = 3,
        VALUE_BLOB = 4,
        VALUE_NULL = 5,
};

/* Text and blob bytes are borrowed from wherever the value came from. */
struct value {
        enum value_type type;
        union {
                int64_t integer;
                double real;
                struct {
                        const void *data; /* not NUL-terminated; may be NULL when n_bytes is 0 */
                        size_t n_bytes;
                };
        };
};

static inline struct value value_null(void)
{
        return (struct value){ .type = VALUE_NULL };
}
static inline struct value value_integer(int64_t i)
{
        return (struct value){ .type = VALUE_INTEGER, .integer = i };
}
static inline struct value value_real(double d)
{
        return (struct value){ .type = VALUE_REAL, .real = d };
}
static inline struct value value_text(const void *p, size_t n_bytes)
{
        return (struct value){ .type = VALUE_TEXT, .data = p, .n_bytes = n_bytes };
}
static inline struct value value_blob(const void *p, size_t n_bytes)
{
        return (struct value){ .type = VALUE_BLOB, .data = p, .n_bytes = n_bytes };
}

/* Same storage class and same bytes (reals by bit pattern). */
bool value_same(const struct value *a, const struct value *b);

/* Bytes of the encoded Value message, without tag and length. */
size_t value_encoded_size(const struct value *v);
/* Writes exactly value_encoded_size() bytes at p, returns the position behind. Text that is not
 * valid UTF-8 or holds a NUL goes out as raw_text. */
uint8_t *value_encode(uint8_t *p, const struct value *v);
/* Appends the value as field `field` of the message being built in b. */
void value_add(struct buf *b, uint32_t field, const struct value *v);

/* Reads an encoded Value message; the value borrows from p. ERR_INVALID (reason BAD_VALUE):
 * malformed, of a kind that is not known, or text that is not UTF-8. Text with a NUL is taken, also
 * when it did not come as raw_text. */
enum err_code value_decode(const void *p, size_t n_bytes, struct value *ret_value,
                           struct err *reterr) must_check_;

/* Reads an encoded Row message of exactly n_values values into the caller's array. ERR_INVALID
 * otherwise. */
enum err_code value_decode_row(const void *p, size_t n_bytes, struct value *values, size_t n_values,
                               struct err *reterr) must_check_;

/* Column i of the current row; borrows until the statement moves on. The statement belongs to the
 * calling thread. Type 0, which is no value's, if SQLite had no memory for the bytes. */
struct value value_of_column(struct sqlite3_stmt *stmt, int i);
/* Appends the current row of stmt as field 2 (rows) of a ResultSet. b->failed if it does not fit,
 * or memory is gone; what was appended is then of no use. */
void value_add_row(struct buf *b, struct sqlite3_stmt *stmt, int n_columns);
/* Appends the columns of stmt as field 1 of a ResultSet. */
void value_add_columns(struct buf *b, struct sqlite3_stmt *stmt);
/* Binds to parameter i (from 1); the bytes are borrowed until the statement is reset and cleared
 * (SQLITE_STATIC). Returns SQLite's result code. */
int value_bind(struct sqlite3_stmt *stmt, int i, const struct value *v) must_check_;
