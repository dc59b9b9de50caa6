/* sqlite_now.h - SQLite's view of the operating system with a clock of our own: the VFS "shoal" is
 * SQLite's default one but for the time, so that 'now' is one instant for a statement wherever it
 * runs. */
#pragma once

#include <stdint.h>

#include "common/util.h"

#define SQLITE_NOW_VFS "shoal"

/* Registers the VFS "shoal", not as the default: name it in sqlite3_open_v2(). May be called again,
 * from any thread. Returns SQLite's result code. */
int sqlite_now_register(void) must_check_;

/* From now on, on this thread, 'now' and CURRENT_TIMESTAMP on connections of that VFS are unix_ms,
 * milliseconds since 1970 UTC; 0: the clock's time again. SQLite asks at the first need in each
 * sqlite3_step() and keeps the answer for that step only, so the time must be set around every step
 * of a statement, and unset behind it. */
void sqlite_now_set(int64_t unix_ms);
