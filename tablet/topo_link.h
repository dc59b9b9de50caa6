/* topo_link.h - this tablet's line to topo: it watches the topology, which the registry takes over,
 * and sends heartbeats. For ever; while topo is away it tries again. Loop thread. */
#pragma once

#include "common/hlc.h"
#include "rpc/loop.h"
#include "tablet/registry.h"

struct topo_link;

struct topo_link_options {
        struct loop *loop;
        struct registry *registry;
        struct hlc *hlc;
        const char *topo_address;
        const char *id;
        const char *address;  /* where gates reach this tablet; all borrowed for ever */
        uint64_t incarnation; /* random, new with each process */
        uint64_t max_topology_bytes;
        void (*on_topology)(void *arg); /* the registry has taken one over; may be NULL */
        void *arg;
};

/* Begins at once. Never NULL. */
struct topo_link *topo_link_new(const struct topo_link_options *o);
/* Stops; what is under way is forgotten. Accepts NULL, returns NULL. */
struct topo_link *topo_link_free(struct topo_link *l);
