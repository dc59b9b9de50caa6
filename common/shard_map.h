/* shard_map.h - immutable picture of which shard holds a keyspace id and which tablet serves it.
 * Reference counted; readable from any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/key_range.h"

struct shard_map;

struct shard_map_entry {
        const char *name; /* "-80" */
        struct key_range range;
        const char *tablet; /* id; "" if none is assigned */
        uint64_t epoch;
};

/* Copies the entries, in any order. ERR_INVALID: the ranges overlap or leave a gap, or there is
 * none. */
enum err_code shard_map_new(const struct shard_map_entry *entries, size_t n,
                            struct shard_map **ret_map, struct err *reterr) must_check_;
struct shard_map *shard_map_ref(struct shard_map *m);
struct shard_map *shard_map_unref(struct shard_map *m); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct shard_map *, shard_map_unref);

/* Number of shards, and the i-th in order of its range; borrowed while the caller holds m. */
size_t shard_map_size(const struct shard_map *m);
const struct shard_map_entry *shard_map_at(const struct shard_map *m, size_t i);
/* Index of the shard that holds the id. */
size_t shard_map_find(const struct shard_map *m, uint64_t keyspace_id);
