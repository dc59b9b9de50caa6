/* csv.h - reading comma-separated values as SQLite's shell does: fields may be in double quotes,
 * with line ends in them and "" for ". Owner: one at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/err.h"

enum { CSV_MAX_RECORD_BYTES = 16 << 20, CSV_MAX_FIELDS = 2000 };

struct csv {
        FILE *in;  /* borrowed */
        long line; /* of the input, from 1, where the record begins */
        long next_line;
        size_t n_fields;
        struct buf bytes;   /* of the record, each field with a NUL behind it */
        size_t *ends;       /* of the fields, without the NUL */
        size_t n_allocated; /* of ends */
};

void csv_init(struct csv *c, FILE *in);
void csv_done(struct csv *c);

/* Reads the next record; *ret_more is false at the end. ERR_INVALID: a quote is not closed.
 * ERR_EXHAUSTED: longer than the limits. ERR_UNAVAILABLE: the file cannot be read. */
enum err_code csv_next(struct csv *c, bool *ret_more, struct err *reterr) must_check_;
/* Field i of the record, NUL-terminated, borrowed until the next record. */
const char *csv_field(const struct csv *c, size_t i, size_t *ret_n_bytes);
