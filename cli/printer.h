/* printer.h - rows as they come, to a file, in one of the output modes. Owner: one at a time.
 * Memory is bounded, however many rows there are: a table takes its widths from the first of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/value.h"

enum print_mode { PRINT_LIST = 0, PRINT_TABLE, PRINT_CSV, PRINT_JSON };

/* "table" for PRINT_TABLE; static. */
const char *print_mode_name(enum print_mode m);
/* False if there is no such mode. */
bool print_mode_parse(const char *s, enum print_mode *ret_mode);

struct print_settings {
        enum print_mode mode;
        bool headers;          /* of list and csv; a table always has them */
        bool color;            /* the terminal may be told to dim a NULL */
        const char *null_text; /* borrowed; JSON has its own */
};

struct printer;

/* out and what *s points to are borrowed. Never NULL. */
struct printer *printer_new(FILE *out, const struct print_settings *s);
struct printer *printer_free(struct printer *p); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct printer *, printer_free);

/* Once, before the rows; names are copied. */
void printer_columns(struct printer *p, const char *const *names, size_t n);
/* As many values as there are columns. */
void printer_row(struct printer *p, const struct value *values);
/* After the last row: what was held back is printed, and closed what has to be. */
void printer_end(struct printer *p);
