/* oracle.h - what SQLite itself says of a statement's syntax, and trees that must survive being
 * printed. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "sql/tree.h"

enum verdict {
        VERDICT_FINE = 0, /* prepared */
        VERDICT_SYNTAX,   /* refused for its syntax */
        VERDICT_OTHER,    /* refused for what is no concern of a parser that knows no names */
        VERDICT_TOO_DEEP, /* refused for its nesting */
};

struct oracle_answer {
        enum verdict verdict;
        char msg[ERR_MSG_BYTES]; /* cut off like err's */
        int offset;
        size_t tail;
};

/* A database in memory with some tables: t(a, b, c), u(a, d), v(x INTEGER PRIMARY KEY, y TEXT), a
 * view w, an index t_a. */
sqlite3 *oracle_open(void);
void oracle_ask(sqlite3 *db, const char *sql, size_t n_bytes, struct oracle_answer *ret_answer);

/* NULL if our parser and SQLite agree about the statement; else what they do not agree about, in
 * static storage. Whatever parses is also printed, parsed again and compared. */
const char *oracle_compare(sqlite3 *db, const char *sql, size_t n_bytes);

/* NULL if the tree's text parses to an equal tree with the same text; else what is wrong, in static
 * storage. */
const char *oracle_round_trip(const struct sql_stmt *st);
