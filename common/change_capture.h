/* change_capture.h - writes down what a connection does to rows (row_change.h), by
 * sqlite3_preupdate_hook(). Owner: whoever owns the connection.
 *
 * Changes of the main database are taken, triggers' and cascades' among them, also those of the
 * tables that virtual tables keep their rows in. What SQLite 3.40 does not show: rows of CREATE
 * TABLE AS and of ALTER TABLE; a DELETE without WHERE that was prepared before the hook was set
 * (prepare it again); sqlite_sequence, which follows from the rows. Images as SQLite gives them:
 * the row before may have a real for an integer, and NULL for the default of a column that was
 * added later.
 *
 * A statement that is undone, in part or in whole, has been written down already: cut the list back
 * to the mark before it (row_changes_cut()), which also takes back that something did not fit.
 * After any error roll back to before the statement first: what OR FAIL keeps cannot be told from
 * what an error of another kind has undone. */
#pragma once

#include <stdbool.h>

#include "common/row_change.h"

struct sqlite3;

struct change_capture {
        struct sqlite3 *db;         /* NULL: off */
        struct row_changes changes; /* bytes.failed, too, if SQLite had no memory to tell */
        bool (*is_left_out)(const char *table);
        bool failed; /* SQLite has had no memory to tell; for good */
};

/* From here on; the connection has no other preupdate hook, and c stays where it is. max_bytes
 * bounds the list. is_left_out, which may be NULL: tables whose changes are none of the
 * transaction's. */
void change_capture_begin(struct change_capture *c, struct sqlite3 *db, size_t max_bytes,
                          bool (*is_left_out)(const char *table));
/* Also when it is off. Frees the list. */
void change_capture_end(struct change_capture *c);

/* Can all that has been written down be done again? To be called once before the list is relied on,
 * with the tables as they were changed; prepares statements. ERR_EXHAUSTED (TRANSACTION_TOO_LARGE):
 * it is not complete. ERR_UNIMPLEMENTED (ROW_CHANGES): SQLite does not tell the changes of a table
 * rightly. Else SQLite's errors. */
enum err_code change_capture_check(const struct change_capture *c, struct err *reterr) must_check_;
