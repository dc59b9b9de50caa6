/* change_capture.h - writes down what a connection does to rows (row_change.h), by
 * sqlite3_preupdate_hook(). Owner: whoever owns the connection.
 *
 * What SQLite 3.40 does not show: rows of CREATE TABLE AS and of ALTER TABLE; a DELETE without
 * WHERE that was prepared before the hook was set (keep such statements apart); sqlite_sequence,
 * which follows from the rows. A statement that is undone has been written down already: cut the
 * list back to the mark before it. */
#pragma once

#include <stdbool.h>

#include "common/row_change.h"

struct sqlite3;

struct change_capture {
        struct sqlite3 *db; /* NULL: off */
        struct row_changes changes;
        /* Tables whose changes are none of the transaction's. */
        bool (*is_left_out)(const char *table);
        bool failed; /* SQLite had no memory to tell, or cannot tell this table's rows */
};

/* From here on; the connection has no other preupdate hook, and c stays where it is. is_left_out
 * may be NULL. */
void change_capture_begin(struct change_capture *c, struct sqlite3 *db, size_t max_bytes,
                          bool (*is_left_out)(const char *table));
/* Also when it is off. Frees the list. */
void change_capture_end(struct change_capture *c);
