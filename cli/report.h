/* report.h - what went wrong, for people, and the exit code that says so to a script. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "common/err.h"

enum {
        EXIT_OK = 0,
        EXIT_SQL = 1,         /* a statement, or an admin command, has failed */
        EXIT_USAGE = 2,       /* the command line, or a dot command, is wrong */
        EXIT_UNAVAILABLE = 3, /* the server cannot be reached, or cannot reach others it needs */
        EXIT_INTERRUPTED = 130,
};

int report_exit_code(const struct err *e);

/* Prints an error as SQLite's shell does, and its code and reason:
 *
 *     Parse error near line 3: no such column: x [INVALID_ARGUMENT NO_SUCH_COLUMN]
 *       SELECT x FROM t;
 *              ^--- error here
 *
 * file: NULL for standard input and arguments. line: where the statement begins, from 1; 0: not in
 * a script. sql may be NULL; then e->offset is not shown. */
void report_error(FILE *out, const struct err *e, const char *file, long line, const char *sql,
                  size_t n_bytes);
