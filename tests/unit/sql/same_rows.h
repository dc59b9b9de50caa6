/* same_rows.h - whether a statement, the printer's text of it and the normaliser's do the same to
 * three copies of a database. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "sql/normalize.h"

struct same_rows {
        sqlite3 *original, *printed, *normalized;
        struct sql_normalized norm;
        size_t n_statements, n_parsed, n_normalized, n_values, n_reordered, n_done;
};

void same_rows_init(struct same_rows *s);
void same_rows_done(struct same_rows *s);

/* Runs one statement in all three ways. NULL: same rows, column names, errors, changes; else what
 * is different, in static storage. */
const char *same_rows_check(struct same_rows *s, const char *sql, size_t n_bytes);
