/* sqlite_printf.h - printf() and format() that fail when their result is over the connection's
 * SQLITE_LIMIT_LENGTH. SQLite 3.40's own give NULL instead, which is a wrong answer where the limit
 * is ours and not SQLite's; all its other functions fail with SQLITE_TOOBIG. */
#pragma once

struct sqlite3;

/* Puts them in place of SQLite's own, whose work they do. Returns SQLite's result code. Any thread;
 * the connection may be used on any thread. */
int sqlite_printf_register(struct sqlite3 *db) __attribute__((warn_unused_result));
