/* row_change.h - what a transaction did to rows, as bytes: each change with the row before and
 * after it, in the order they happened. Written by change_capture.h, done again elsewhere by
 * change_apply.h. Owner: one thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/value.h"

enum row_change_op {
        ROW_INSERT = 2,
        ROW_DELETE = 3,
        ROW_UPDATE = 4,
};

/* One change. Columns are those that are stored, in the order of the table's definition: generated
 * ones that are computed when read are left out. */
struct row_change {
        enum row_change_op op;
        const char *table;
        size_t n_table_bytes;
        int64_t old_rowid, new_rowid; /* of tables WITHOUT ROWID: of no meaning */
        size_t n_columns;
        const struct value *before; /* NULL of an insert */
        const struct value *after;  /* NULL of a delete */
};

/* A list that grows. All zero but for bytes.max_bytes: empty. */
struct row_changes {
        struct buf bytes; /* failed: what was added last did not fit */
        uint64_t n_changes;
        struct row_changes_table *tables; /* those named so far */
        size_t n_tables;
};

void row_changes_done(struct row_changes *c);
/* Appends it. If it does not fit, the list's bytes.failed is set until it is cut. */
void row_changes_add(struct row_changes *c, const struct row_change *change);

/* Where the list ends now, and going back to there. */
struct row_changes_mark {
        size_t n_bytes;
        uint64_t n_changes;
};
struct row_changes_mark row_changes_mark(const struct row_changes *c);
void row_changes_cut(struct row_changes *c, struct row_changes_mark mark);

/* Reads the bytes of a list. All zero: nothing allocated. */
struct row_changes_reader {
        const uint8_t *p, *end;
        struct row_changes_table *tables;
        size_t n_tables;
        struct value *values; /* before and after, of the change read last */
        size_t max_values;
        bool failed; /* malformed; nothing more is read */
};
/* bytes are borrowed until row_changes_reader_done(). */
void row_changes_reader_init(struct row_changes_reader *r, const void *p, size_t n_bytes);
/* The next one, valid until the call after; false at the end or when malformed (r->failed). */
bool row_changes_next(struct row_changes_reader *r, struct row_change *ret_change);
void row_changes_reader_done(struct row_changes_reader *r);
