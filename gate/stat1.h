/* stat1.h - the shards' sqlite_stat1 combined into statistics of whole tables. No I/O; loop thread.
 *
 * A row of sqlite_stat1 says "N a1 a2 …": the index has N rows in its shard, and on average ak of
 * them have the same values in the first k columns, so there are dk = N / ak different ones. Over
 * the shards:
 *
 *   rows      the sum of N over the shards.
 *   distinct  If the first k columns contain all sharding columns, equal values lie on one shard,
 * and the dk of the shards add up. Otherwise a value may be on several shards. Rows are spread by
 *             a hash of other columns, so a shard's n rows (on average) are drawn at random: of D
 *             different values, such a draw shows D * (1 - exp(-n / D)). D is the number for which
 *             that is what the shards show on average; it is never less than the largest dk nor
 *             more than their sum. A column that is unique, or nearly so, comes out at the sum, a
 *             column of a few values at the largest. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "gate/catalog.h"

struct stat1;

/* Of the tables of c, which is borrowed. All that is kept lies in the arena. NULL: it is full. */
struct stat1 *stat1_new(const struct catalog *c, struct arena *a) must_check_;
/* A row of shard's sqlite_stat1; index NULL: of the table itself. The strings are borrowed. Tables
 * and indexes that are not the catalog's are passed over. ERR_EXHAUSTED (reason
 * STATEMENT_TOO_LARGE). */
enum err_code stat1_add(struct stat1 *s, size_t shard, const char *table, const char *index,
                        const char *stat, struct err *reterr) must_check_;
/* Of one table, in the arena; a table of which no shard has said anything is empty. NULL: the arena
 * is full. */
Shoal__V1__TableStatistics *stat1_combine(const struct stat1 *s,
                                          const struct catalog_table *t) must_check_;
