/* normalize.h - a statement's text with the literals of WHERE, VALUES, SET and LIMIT taken out, so
 * that statements that differ only in values share a plan. Works on tokens, in one pass, without a
 * tree. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/value.h"

enum { SQL_MAX_LITERALS = 4096 }; /* more are left in the text */

struct sql_normalized {
        /* All literals became ?N, N from first_number on, in the order of values. Whitespace and
         * comments outside of result columns are one blank each. */
        struct buf text;
        uint32_t first_number; /* the statement's own variables are below */
        uint32_t n_values;
        struct value *values; /* text and blobs point into bytes; malloc'ed */
        uint32_t n_values_allocated;
        struct buf bytes; /* unquoted strings and decoded blobs */
};

#define SQL_NORMALIZED_INIT                               \
        {                                                 \
                .text = BUF_INIT(0), .bytes = BUF_INIT(0) \
        }

/* Frees what it holds; it is then empty and may be used again. */
void sql_normalized_done(struct sql_normalized *n);

/* Fills *ret_norm, which is emptied first but keeps its memory: use one again and again. False:
 * this is not a SELECT, VALUES, INSERT, REPLACE, UPDATE or DELETE (perhaps behind WITH), or it
 * holds nothing to take out, or more than one statement, or what cannot be a statement: use the
 * text as it is. *ret_norm is then of no meaning. The text need not end in a NUL. A text that would
 * be a syntax error stays one. */
bool sql_normalize(const char *sql, size_t n_bytes, struct sql_normalized *ret_norm) must_check_;
