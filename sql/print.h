/* print.h - a tree to SQL text that SQLite reads as the same statement. Any thread. */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"
#include "sql/tree.h"
#include "sql/tree_ddl.h"

struct sql_printer;

/* Asked before a node is printed. True: the hook has printed something in its place with the
 * functions below. False: it is printed as usual. What is printed for an expression must stand in
 * any context: a literal, a name, a call, or something in parentheses. Every kind of node is asked
 * about but SQL_STMT and statements other than SELECT. */
typedef bool sql_print_hook(struct sql_printer *pr, const struct sql_node *node, void *ctx);

struct sql_print_options {
        sql_print_hook *hook; /* may be NULL */
        void *ctx;
        bool
            plain_sqlite; /* leave out what only Shoal reads: SHARD BY …, GLOBAL, EXPLAIN ANALYZE */
        bool numbered_variables; /* every variable as ?N: for parts of a statement */
        bool keep_names; /* result columns of the outermost SELECT keep the names that SQLite gave
                          * them in the original text, as those of subqueries in FROM always do: by
                          * AS if need be */
};

/* Appends the text of node (a statement or any part) to b. options may be NULL. The text of a tree
 * that was parsed gives the same tree again (see sql_equal). ERR_EXHAUSTED: over b's limit, or
 * nested deeper than SQL_MAX_WALK_DEPTH; b then holds a part. */
enum err_code sql_print(struct buf *b, const void *node, const struct sql_print_options *options,
                        struct err *reterr) must_check_;

/* For hooks. A blank goes before the text unless it is punctuation on either side. */
void sql_print_text(struct sql_printer *pr, const char *text);
void sql_print_name(struct sql_printer *pr, const struct sql_name *name);
/* A variable ?number. */
void sql_print_variable(struct sql_printer *pr, uint32_t number);
/* Another node in place; the hook is asked about it, too. */
void sql_print_node(struct sql_printer *pr, const void *node);

/* CREATE TABLE as SQLite is to keep it in sqlite_schema: the user's own bytes, without Shoal's
 * options. st as it was parsed. Over b's limit: b->failed. */
void sql_print_create_table(struct buf *b, const struct sql_stmt *st);

/* Appends the bytes, no NUL among them, as a string literal. */
void sql_quote_string(struct buf *b, const char *s, size_t n_bytes);
/* Appends the name as an identifier in backticks. */
void sql_quote_name(struct buf *b, const char *name);
