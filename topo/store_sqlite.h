/* store_sqlite.h - the store in a SQLite file of this process alone, worked on by a thread of its
 * own. */
#pragma once

#include "common/err.h"
#include "rpc/loop.h"
#include "topo/store.h"

struct store_sqlite_options {
        const char *path;
        uint64_t keep_revisions; /* that watches can begin with; older ones may be forgotten */
        int64_t (*now_us)(
            void); /* monotonic, for leases; NULL: mono_us(), and leases end by themselves */
};

/* Blocks: for the start of the process. ERR_UNAVAILABLE (STORE_UNAVAILABLE), ERR_DATA_LOSS
 * (STORE_DAMAGED), ERR_PRECONDITION (STORE_FORMAT: written by a newer version). */
enum err_code store_sqlite_open(struct loop *l, const struct store_sqlite_options *o,
                                struct store **ret_store, struct err *reterr) must_check_;
/* Ends the leases whose time has come; for tests that own the clock. Loop thread. */
void store_sqlite_end_leases(struct store *s);
