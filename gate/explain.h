/* explain.h - a plan as rows for people: EXPLAIN and EXPLAIN ANALYZE. (EXPLAIN QUERY PLAN's rows
 * are made by the planner, see plan.query_plan.) Loop thread. */
#pragma once

#include "common/buf.h"
#include "gate/plan.h"

/* What was measured of one shard of one part; see ShardStats of api.proto. Of a finish: the rows
 * it gave, the bytes in temporary files and the time it worked. */
struct explain_shard {
        size_t part;
        const char *shard;
        const char *tablet;
        uint64_t rows, bytes, elapsed_us;
};

/* Appends the rows (field 2 of a ResultSet) of the explanation of p (kind PLAN_EXPLAIN).
 * shard_bits: per part, the shards it goes to for these values, or NULL if they are not known
 * (parameters not given). measured and finish: of EXPLAIN ANALYZE, else NULL; finish also if it
 * was not measured. Columns are in p->columns. */
void explain_rows(const struct plan *p, const uint64_t *const *shard_bits,
                  const struct explain_shard *measured, size_t n_measured,
                  const struct explain_shard *finish, struct buf *b);
