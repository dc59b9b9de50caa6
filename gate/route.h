/* route.h - from key values to shards. Loop thread. */
#pragma once

#include <stdint.h>

#include "common/value.h"
#include "gate/catalog.h"

enum route_kind {
        ROUTE_ALL = 0, /* every shard */
        ROUTE_HOME,    /* the shard of tables that are not sharded */
        ROUTE_ANY,     /* any one shard: no table, or reference tables only */
        ROUTE_KEYS,    /* the shards of the listed keys */
};

/* Columns a table may be sharded by together. */
enum { ROUTE_MAX_KEY_COLUMNS = 16 };

/* Immutable part of a plan; lives in its arena. Keys refer to the statement's value vector
 * (plan.h), counted from 0. */
struct route {
        enum route_kind kind;
        const struct catalog_table *table; /* of ROUTE_KEYS */
        int *slots;                        /* n_keys rows of table->n_shard_columns slots each */
        size_t n_keys;                     /* 0: no shard can have such a row */
        int *conditions;                   /* elements without whose truth no row can match */
        size_t n_conditions;
        bool null_matches; /* of a row to be written, or IS: a NULL is a key like any other; else it
                              matches nothing */
};

/* Keyspace id of a row whose sharding columns have these values: each after its column's affinity,
 * folded by its collation, hashed with XXH3-64. */
uint64_t route_keyspace_id(const struct catalog_table *t, const struct value *keys);

/* The shard of the k-th key of ROUTE_KEYS. */
size_t route_find(const struct route *r, size_t k, const struct shard_map *shards,
                  const struct value *values);

/* Sets bit i of ret_bits for each shard i that the route names; ret_bits has room for
 * shard_map_size() bits, and is cleared first. Returns how many there are, at least 1: where no row
 * can match, any shard gives the answer. */
size_t route_resolve(const struct route *r, const struct shard_map *shards,
                     const struct value *values, uint64_t *ret_bits);
