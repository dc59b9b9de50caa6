/* partial_agg.h - aggregates in two steps: shards compute a partial state, the gate merges the
 * states. Registered on the connections of shards and of the gate's finish; clients cannot name
 * them, since a statement is checked on a schema where they do not exist. _shoal_sum_part(x)  ->
 * blob; exact 128-bit sum of the integers, compensated sum of all, count _shoal_sum(blob),
 * _shoal_total(blob), _shoal_avg(blob)  -> what sum(x), total(x), avg(x) over all rows are sum of
 * integers is exact and fails with "integer overflow" only if the true total does not fit; SQLite's
 * own gives that error when any prefix does not fit. */
#pragma once

struct sqlite3;

/* Returns SQLite's result code. */
int partial_agg_register(struct sqlite3 *db) __attribute__((warn_unused_result));
/* No statement of db is running. It knows them no more. */
void partial_agg_unregister(struct sqlite3 *db);
