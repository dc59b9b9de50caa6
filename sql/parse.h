/* parse.h - SQL text to a tree. Pure functions of the text; any thread, an arena to each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/err.h"
#include "sql/tree.h"

enum {
        SQL_MAX_STMT_BYTES = 1000000000, /* as SQLite */
        SQL_MAX_VARIABLE = 250000,       /* largest ?NNN, as Debian's SQLite */
};

/* Parses the first statement of sql, which need not end in a NUL; a NUL inside ends it as it does
 * for SQLite. Leading semicolons and comments are passed over. The tree lies in the arena and does
 * not refer to sql. *ret_tail (may be NULL) is where the next statement begins: behind this one's
 * semicolon, or n_bytes. type SQL_EMPTY: there is no statement; the tail is n_bytes then.
 *
 * ERR_INVALID, reason SYNTAX_ERROR: sqlite_msg is SQLite's (`near "X": syntax error`, `incomplete
 * input`, `unrecognized token: "X"`, and what else SQLite finds while parsing), offset counts from
 * sql, extended_code is 1. ERR_EXHAUSTED, reason STATEMENT_TOO_COMPLEX: nested too deeply, or too
 * long; STATEMENT_TOO_LARGE: the arena is exhausted. */
enum err_code sql_parse(struct arena *a, const char *sql, size_t n_bytes,
                        struct sql_stmt **ret_stmt, size_t *ret_tail,
                        struct err *reterr) must_check_;

/* Length of the first complete statement of a script, its semicolon included: knows strings,
 * comments and the BEGIN … END of triggers. 0: what is there is not complete (or nothing).
 * *ret_is_blank (may be NULL): the statement, or for 0 the whole rest, is nothing but blanks,
 * comments and semicolons. */
size_t sql_split(const char *sql, size_t n_bytes, bool *ret_is_blank) must_check_;
