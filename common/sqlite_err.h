/* sqlite_err.h - SQLite's result codes as ours: the one place that translates them. Any thread that
 * may use the connection. */
#pragma once

#include "common/err.h"

struct sqlite3;

/* Makes *e (which may be NULL) the error that rc, SQLite's answer to the last call on db, stands
 * for, and returns its code; docs/errors.md has the table. Fills msg, sqlite_msg, extended_code,
 * offset (in the text given to prepare) and reason: the name of the extended code, such as
 * SQLITE_CONSTRAINT_UNIQUE, or where that says little, one of SYNTAX_ERROR, NO_SUCH_TABLE,
 * NO_SUCH_INDEX, ALREADY_EXISTS, DISK_FULL, DISK_IO_ERROR. db may be NULL: the message is then
 * SQLite's text for rc. rc is an error, never SQLITE_OK, SQLITE_ROW or SQLITE_DONE. An interrupted
 * statement is ERR_CANCELLED: whoever interrupted it for its deadline says so afterwards. */
enum err_code sqlite_err_set(struct err *e, struct sqlite3 *db, int rc);

/* "SQLITE_CONSTRAINT_UNIQUE" for 2067; the primary code's name if the extended one is not known,
 * "SQLITE_UNKNOWN" if that is not either. Static storage. */
const char *sqlite_err_name(int extended_code);
