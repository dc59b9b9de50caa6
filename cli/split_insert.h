/* split_insert.h - INSERT … VALUES (…), (…) as one INSERT a row, so that dumps can be loaded while
 * the gate refuses writes that span shards (UNIMPLEMENTED, WRITE_SPANS_SHARDS), and such as are too
 * large for it (RESOURCE_EXHAUSTED). Not atomic, and it says so. Transactions make the first reason
 * go away. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/query.h"
#include "cli/shell.h"
#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "sql/tree.h"

/* The gate's refusal is the one that this is for. */
bool split_insert_applies(const struct err *refusal);

/* A statement as head, rows and tail, all of them bytes of its text: head + row + tail is the
 * INSERT of one row. In the arena. */
struct split_insert {
        struct sql_span head, tail;
        struct sql_span *rows;
        size_t n_rows;
};

/* False if the statement is no INSERT of several rows of VALUES, or answers with RETURNING. */
bool split_insert_parse(struct arena *a, const char *sql, size_t n_bytes,
                        struct split_insert *ret_split);
/* Appends the INSERT of row i. */
void split_insert_row(struct buf *b, const char *sql, const struct split_insert *s, size_t i);

/* Sends the rows through ExecuteBatch. A row that fails is reported by itself and the others go on;
 * *e is then what is left to say. If the statement is none that can be split, *e stays the gate's
 * refusal. */
enum err_code split_insert_run(struct shell *sh, const struct origin *from, const char *sql,
                               size_t n_bytes, long line, struct query_result *result,
                               struct err *e);
