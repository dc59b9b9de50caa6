/* table_shape.h - what row changes (row_change.h) need to know of a table: which of its columns are
 * stored, and by what a row is found. Owner: one thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct sqlite3;

struct table_column {
        char *name;
        bool is_stored;   /* not a generated one that is computed when it is read */
        bool is_settable; /* a statement may give it a value: not generated at all */
        bool is_real;     /* by its affinity */
        int pk;           /* its place in the primary key, from 1; 0: none */
};

/* Immutable once read. */
struct table_shape {
        char *name;
        size_t n_name_bytes;
        struct table_column *columns; /* in the order of the definition */
        size_t n_columns, n_stored;
        bool has_rowid;
        size_t ipk;        /* the column that is the rowid; n_columns: none */
        const char *rowid; /* a name for it; NULL: none is left, or there is no rowid */
};

/* Of a table of the main database; the name is not NUL-terminated. Prepares statements.
 * ERR_DATA_LOSS (BAD_ROW_CHANGES): there is no such table; else SQLite's errors. */
enum err_code table_shape_read(struct sqlite3 *db, const char *name, size_t n_name_bytes,
                               struct table_shape **ret_shape, struct err *reterr) must_check_;
/* Does SQLite tell the changes of its rows so that they can be done again? ERR_UNIMPLEMENTED
 * (ROW_CHANGES). */
enum err_code table_shape_check(const struct table_shape *t, struct err *reterr) must_check_;
/* That error, with the reason for it: "table t WHY, which …". */
enum err_code table_shape_refuse(const struct table_shape *t, const char *why, struct err *reterr);
/* Accepts NULL, returns NULL. */
struct table_shape *table_shape_free(struct table_shape *t);
DEFINE_CLEANUP(struct table_shape *, table_shape_free);
