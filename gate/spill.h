/* spill.h - a limit on what SQLite may write to temporary files: the VFS "shoal-spill" is the VFS
 * "shoal" with each file's bytes counted against the quota of the thread that opened it. A write
 * beyond it is SQLITE_FULL. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

#define SPILL_VFS "shoal-spill"

/* Must outlive the connections whose files count against it. Changed by the thread that uses the
 * connection. */
struct spill_quota {
        uint64_t max_bytes;
        uint64_t used_bytes, peak_bytes;
        bool exceeded; /* a write has been refused */
};

/* Registers the VFS, not as the default. Any thread, any number of times. Returns SQLite's result
 * code. */
int spill_register(void) must_check_;

/* Files that this thread opens from now on count against q; NULL: against none. */
void spill_use(struct spill_quota *q);
