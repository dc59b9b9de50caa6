/* printer_int.h - between printer.c and printer_table.c. */
#pragma once

#include "cli/printer.h"
#include "common/buf.h"

/* A table whose first rows are held back until their widths are known. Owner: the printer. */
struct table {
        FILE *out;
        const struct print_settings *settings;
        size_t n_columns;
        size_t *widths;
        unsigned char *kinds; /* of the values in each column: numbers, others */
        struct cell *cells;   /* of the rows held back, row by row; the names first */
        size_t n_cells, n_allocated, n_held_bytes;
        bool flowing; /* the widths are fixed, rows go out at once */
};

void table_columns(struct table *t, const char *const *names, size_t n);
void table_row(struct table *t, const struct value *values);
void table_end(struct table *t);
void table_done(struct table *t);
