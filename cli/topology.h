/* topology.h - what topo knows, asked for once. Owner: the main thread. */
#pragma once

#include "cli/remote.h"
#include "common/err.h"
#include "proto/shoal/v1/api.pb-c.h"

/* Freed with topology_free(). */
enum err_code topology_get(struct remote *topo, Shoal__V1__Topology **ret_topology,
                           struct err *reterr) must_check_;
Shoal__V1__Topology *topology_free(Shoal__V1__Topology *t); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(Shoal__V1__Topology *, topology_free);

/* ERR_NOT_FOUND, reason UNKNOWN_KEYSPACE. *ret_keyspace is borrowed. */
enum err_code topology_find(const Shoal__V1__Topology *t, const char *keyspace,
                            Shoal__V1__Keyspace **ret_keyspace, struct err *reterr) must_check_;
/* The table's CREATE statement with the words that say how it is sharded, so that running it makes
 * the same table; malloc'ed. */
char *topology_create_sql(const Shoal__V1__Table *t) must_check_;
/* "hash (id)", "unsharded", "reference"; malloc'ed. */
char *topology_sharding(const Shoal__V1__Table *t) must_check_;
