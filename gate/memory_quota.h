/* memory_quota.h - a limit on what SQLite takes from the heap for one statement. Beyond it an
 * allocation fails, which SQLite turns into SQLITE_NOMEM (after giving up pages that can be written
 * to a file). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Changed by the thread that uses it. */
struct memory_quota {
        int64_t max_bytes;
        int64_t used_bytes, peak_bytes;
        bool exceeded; /* an allocation has been refused */
};

/* What SQLite allocates and frees on this thread from now on counts against q; NULL: against none.
 * All work on a connection has to be done under the same one. */
void memory_quota_use(struct memory_quota *q);
