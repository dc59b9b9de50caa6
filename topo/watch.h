/* watch.h - WatchTopology: each watcher gets the whole topology, then the newest one whenever it
 * has changed and the watcher has taken the one before. Loop thread. */
#pragma once

#include "rpc/server.h"
#include "topo/topo.h"

struct watchers;

struct watchers *watchers_new(struct topo *t);
struct watchers *
watchers_free(struct watchers *all); /* when all calls are over; accepts NULL, returns NULL */
size_t watchers_count(const struct watchers *all);
/* Handles a call of Topo.WatchTopology; arg is the struct topo. */
void watchers_add(struct rpc_call *call, void *arg);
/* The topology has changed. What changes in one round of the loop is sent once. */
void watchers_publish(struct watchers *all);
/* The server drains: ends the call with ERR_UNAVAILABLE (SHUTTING_DOWN). */
void watchers_drain(struct rpc_call *call, void *arg);
