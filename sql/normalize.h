/* normalize.h - a statement's text with the literals of WHERE, VALUES, SET and LIMIT taken out, so
 * that statements that differ only in values share a plan. Works on tokens, without a tree. Any
 * thread, a struct to each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/value.h"

enum { SQL_MAX_LITERALS = 4096 }; /* what is beyond stays in the text */

struct sql_normalized {
        /* The literals became ?N, N from first_number on, in the order of values. Blanks and
         * comments outside of result columns are one blank each. Not NUL-terminated. */
        struct buf text;
        uint32_t first_number; /* the statement's own variables are below */
        uint32_t n_values;
        struct value *values; /* texts and blobs lie in bytes; malloc'ed */
        uint32_t n_values_allocated;
        struct buf bytes;   /* strings without quotes, blobs */
        struct buf scratch; /* the text with a NUL behind it */
};

#define SQL_NORMALIZED_INIT                               \
        {                                                 \
                .text = BUF_INIT(0), .bytes = BUF_INIT(0) \
        }

/* Frees what it holds; it is then empty and may be used again. */
void sql_normalized_done(struct sql_normalized *n);

/* Fills *ret_norm, which is emptied first but keeps its memory: use one again and again. The new
 * text gives, the values bound, the same rows under the same column names.
 *
 * Literals stay in the text wherever they, or their text, may mean more than their value: in result
 * columns and all that is inside them, GROUP BY, HAVING, ORDER BY, ON, windows, the target of ON
 * CONFLICT, arguments of functions, behind COLLATE, ESCAPE, IN, -> and ->>; so do numbers that
 * SQLite would not read as a 64-bit integer or that sql_literal_number() leaves to it. A minus
 * before a number becomes part of the value. The statement's own variables keep their numbers and
 * names; a plain ? may become ?N.
 *
 * False: this is not one SELECT, VALUES, INSERT, REPLACE, UPDATE or DELETE (perhaps behind WITH),
 * it has nothing to take out, it says INDEXED BY (a partial index needs the literal), or is no
 * statement: then use the text as it is; *ret_norm means nothing. A text that is a syntax error
 * stays one. */
bool sql_normalize(const char *sql, size_t n_bytes, struct sql_normalized *ret_norm) must_check_;
