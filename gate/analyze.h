/* analyze.h - finds out how many rows a keyspace's tables have, and how many different values their
 * indexes: every shard runs ANALYZE, what its sqlite_stat1 says then is combined (gate/stat1.h),
 * put into topo and used by this gate at once. Loop thread. */
#pragma once

#include "common/arena.h"
#include "common/err.h"
#include "gate/gate.h"
#include "gate/scatter.h"
#include "gate/stat1.h"

struct analyze_put;

/* Embedded in the caller's struct; the first four are the caller's to set, all else zeroed. */
struct analyze {
        struct gate *gate;
        struct catalog *catalog; /* borrowed until it is over */
        /* Once, never inside analyze_start(). */
        void (*done)(struct analyze *a, const struct err *e);
        bool only_if_changed; /* what is much the same stays as it is */
        /* private */
        const struct catalog_table *table;
        struct arena *arena;
        struct scatter *scatter;
        struct stat1 *stat1;
        struct analyze_put *put;
        struct err failure;
        uint64_t *bits;
        size_t next_table;
        int64_t deadline_us;
};

/* sql: "ANALYZE …", for the shards. table: whose statistics it changes; NULL: all. deadline_us:
 * mono_us(). */
void analyze_start(struct analyze *a, const char *sql, const struct catalog_table *table,
                   int64_t deadline_us);
/* done does not run any more. Also when nothing is under way. */
void analyze_cancel(struct analyze *a);
