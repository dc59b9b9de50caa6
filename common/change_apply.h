/* change_apply.h - does row changes (row_change.h) again on another copy of the tables, which has
 * the same schema and the rows as they were. Rows are found by rowid, or by primary key in tables
 * WITHOUT ROWID; triggers and foreign keys do nothing, since what they did is among the changes.
 * Stored generated columns are computed again, from the values as they are stored: SQLite 3.40 has
 * computed them from a real where an integer column was given one by a computed column of type
 * REAL. Owner: whoever owns the connection. */
#pragma once

#include "common/err.h"
#include "common/row_change.h"

struct sqlite3;
struct change_apply;

/* Switches triggers, foreign keys and CHECKs off, and writing to the tables of virtual tables on,
 * until it is freed; within a transaction or not. Never NULL. */
struct change_apply *change_apply_new(struct sqlite3 *db);
/* Accepts NULL, returns NULL. Full-text tables may hold in memory what their tables held before:
 * close the connection then. */
struct change_apply *change_apply_free(struct change_apply *a);

/* All of a list, in the caller's transaction. ERR_DATA_LOSS (BAD_ROW_CHANGES): malformed, or the
 * rows are not as they were when they were written down; else SQLite's errors. */
enum err_code change_apply_all(struct change_apply *a, const void *p, size_t n_bytes,
                               struct err *reterr) must_check_;

/* What can be said of a table beforehand: change_capture_check() has the whole of it, and needs no
 * connection of its own. ERR_UNIMPLEMENTED (ROW_CHANGES). */
enum err_code change_apply_check(struct change_apply *a, const char *table, size_t n_table_bytes,
                                 struct err *reterr) must_check_;
