/* print.h - a tree to SQL text that SQLite reads as the same statement. Any thread. */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "sql/tree.h"

struct sql_printer;

/* Asked before a node is printed: true, and the hook has printed something in its place with the
 * functions below; false, and it is printed as usual. What a hook prints for an expression must
 * stand in any context: a literal, a name, a call, or something in parentheses. Nodes that are
 * asked about: expressions, SELECTs, sources, table names, result columns, order terms, arms, rows,
 * column definitions, constraints, windows. */
typedef bool sql_print_hook(struct sql_printer *pr, const struct sql_node *node, void *ctx);

struct sql_print_options {
        sql_print_hook *hook; /* may be NULL */
        void *ctx;
        bool plain_sqlite; /* leave out what only Shoal understands: SHARD BY …, GLOBAL, EXPLAIN
                              ANALYZE */
};

/* Appends the text of node (a statement or any part) to b. options may be NULL. Parsing the text of
 * a parsed tree gives the same tree. ERR_EXHAUSTED: over b's limit, or nested deeper than
 * SQL_MAX_WALK_DEPTH. */
enum err_code sql_print(struct buf *b, const void *node, const struct sql_print_options *options,
                        struct err *reterr) must_check_;

/* For hooks. Text goes out as it is, after a blank if the one before it ends in a word and text
 * begins with one. */
void sql_print_text(struct sql_printer *pr, const char *text);
void sql_print_name(struct sql_printer *pr, const struct sql_name *name);
/* Prints another node there, the hook being asked about it too. */
void sql_print_node(struct sql_printer *pr, const void *node);

/* CREATE TABLE as SQLite is to keep it in sqlite_schema: the user's own bytes, without Shoal's
 * options. st must be unchanged since it was parsed. */
void sql_print_create_table(struct buf *b, const struct sql_stmt *st);

/* Appends the bytes as a string literal, or as an identifier in backticks. */
void sql_quote_string(struct buf *b, const char *s, size_t n_bytes);
void sql_quote_name(struct buf *b, const char *s, size_t n_bytes);
