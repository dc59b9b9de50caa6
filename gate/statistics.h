/* statistics.h - what topo tells of the rows of all tables (topo/statistics.h), handed to the
 * catalogs. A gate learns by its heartbeat that there is something new, and asks for that. Loop
 * thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gate/catalog.h"
#include "rpc/client.h"

struct statistics;

struct statistics_options {
        struct rpc_channel *topo; /* borrowed, outlives the statistics */
        /* The catalog in use of a keyspace, borrowed; NULL: there is none. */
        struct catalog *(*find_catalog)(void *arg, uint64_t keyspace_id);
        void *arg;
};

struct statistics *statistics_new(const struct statistics_options *o); /* never NULL */
struct statistics *statistics_free(struct statistics *s); /* accepts NULL, returns NULL */

/* topo is at this version: asks for what is new, if anything is. */
void statistics_note_version(struct statistics *s, uint64_t version);
/* What this gate has just found out itself, or been told: kept, and given to the catalog in use. m
 * is borrowed for the call. The table may be one that this gate is yet to hear of. */
void statistics_keep(struct statistics *s, uint64_t keyspace_id,
                     const Shoal__V1__TableStatistics *m);
/* A new catalog is given what is known of its tables; what is known of others in its keyspace is
 * forgotten. */
void statistics_fill(struct statistics *s, struct catalog *c);
void statistics_forget(struct statistics *s, uint64_t keyspace_id); /* the keyspace is gone */
size_t statistics_count(const struct statistics *s); /* tables of which something is known */
