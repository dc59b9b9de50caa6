/* keyspaces.h - keyspaces and the assignment of their shards. Loop thread. */
#pragma once

#include "topo/op.h"

/* The keyspace with the name, "" meaning main. ERR_NOT_FOUND (UNKNOWN_KEYSPACE). */
enum err_code keyspaces_find(const struct catalog *c, const char *name,
                             const struct catalog_entry **ret_keyspace,
                             struct err *reterr) must_check_;
enum err_code keyspaces_find_id(const struct catalog *c, uint64_t id,
                                const struct catalog_entry **ret_keyspace,
                                struct err *reterr) must_check_;

/* Topo.CreateKeyspace: shard i goes to the (i mod n)-th of the n healthy tablets, in order of their
 * ids. */
extern const struct op_method keyspaces_create;
extern const struct op_method keyspaces_drop;         /* Topo.DropKeyspace */
extern const struct op_method keyspaces_get_topology; /* Topo.GetTopology */
