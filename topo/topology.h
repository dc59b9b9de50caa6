/* topology.h - the catalogue and the tablets' health as the messages of api.proto. Loop thread. */
#pragma once

#include "common/arena.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "topo/topo.h"

/* Messages live in the arena and borrow from the catalogue, so they are good until that changes.
 * NULL: the arena is exhausted. */
Shoal__V1__Topology *topology_build(const struct topo *t, struct arena *a);
Shoal__V1__Keyspace *topology_build_keyspace(const struct topo *t,
                                             const struct catalog_entry *keyspace, struct arena *a);
/* An arena large enough for any topology within TOPO_MAX_TOPOLOGY_BYTES. */
struct arena *topology_arena(void);
/* ERR_EXHAUSTED (TOPO_LIMIT): with n_more_bytes it would become larger than that. */
enum err_code topology_check_room(const struct topo *t, size_t n_more_bytes,
                                  struct err *reterr) must_check_;
/* Tells the metrics how much there is. */
void topology_count(const struct topo *t);
