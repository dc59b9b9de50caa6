/* topology.h - what this gate knows of the cluster: pushed by topo over WatchTopology, never polled
 * for; and the gate's own heartbeat, which gives it its epoch. While topo is away the last picture
 * stays in use. Everything on the loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/hlc.h"
#include "gate/catalog.h"
#include "gate/statistics.h"
#include "rpc/client.h"
#include "rpc/loop.h"

struct topology;

struct topology_options {
        struct loop *loop;
        struct rpc_channel *topo; /* borrowed, outlives the topology */
        struct hlc *hlc;
        const char *gate_id; /* borrowed for ever */
        const char
            *advertise_address; /* borrowed for ever: host:port where clients reach this gate */
        uint64_t incarnation;   /* random, new with each process */
};

/* Begins to watch and to send heartbeats, for ever. Never NULL. */
struct topology *topology_new(const struct topology_options *o);
struct topology *
topology_free(struct topology *t); /* waits are forgotten; accepts NULL, returns NULL */

/* *ret_catalog holds a reference. n_bytes 0 means "main". ERR_NOT_FOUND (reason UNKNOWN_KEYSPACE);
 * ERR_UNAVAILABLE (reason NO_TOPOLOGY): topo has never been heard of; ERR_INTERNAL (reason
 * BAD_SCHEMA): the keyspace's schema does not run. */
enum err_code topology_find(struct topology *t, const char *keyspace, size_t n_bytes,
                            struct catalog **ret_catalog, struct err *reterr) must_check_;
/* By id; NULL if absent or unusable. Borrowed until the topology changes. */
struct catalog *topology_find_id(struct topology *t, uint64_t keyspace_id);
/* What is known of the rows of tables; lives as long as t. */
struct statistics *topology_statistics(struct topology *t);
/* The ids of all keyspaces, in no order. */
size_t topology_n_keyspaces(const struct topology *t);
uint64_t topology_keyspace_id_at(const struct topology *t, size_t i);

uint64_t topology_version(const struct topology *t); /* 0: none yet; any thread */
/* This gate's epoch at topo; 0: no heartbeat has been answered yet, or the lease has run out
 * without an answer. */
uint64_t topology_epoch(const struct topology *t);
const char *topology_gate_id(const struct topology *t);

/* ---- tablets as topo tells of them; borrowed until the topology changes */
struct topology_tablet {
        const char *id;
        const char *address;
        bool healthy;
};
size_t topology_n_tablets(const struct topology *t);
const struct topology_tablet *topology_tablet_at(const struct topology *t, size_t i);

/* ---- being told. Embedded in whatever wants to know; runs after each change, catalogs already
 * replaced, and when the gate has got its first epoch. */
struct topology_listener {
        void (*on_change)(struct topology_listener *l);
        struct topology_listener *next;
};
void topology_listen(struct topology *t, struct topology_listener *l);
void topology_unlisten(struct topology *t, struct topology_listener *l);

/* ---- waiting. fn runs once, never inside topology_wait_*(): reached tells whether it came in
 * time. */
struct topology_wait {
        void (*fn)(struct topology_wait *w, bool reached);
        /* private */
        struct topology *topology;
        struct topology_wait *prev, *next;
        uint64_t keyspace_id, at_least;
        struct loop_timer timer;
};
/* Until the keyspace is at schema version at_least (or gone, which counts as reached). deadline_us:
 * mono_us(). */
void topology_wait_schema(struct topology *t, struct topology_wait *w, uint64_t keyspace_id,
                          uint64_t at_least, int64_t deadline_us);
/* Until the whole topology is at version at_least. */
void topology_wait_version(struct topology *t, struct topology_wait *w, uint64_t at_least,
                           int64_t deadline_us);
/* fn does not run any more. Also when it is not waiting (w zeroed, or fn has run). */
void topology_wait_cancel(struct topology_wait *w);

/* What a call to topo failed with, for the client: where nobody answered, code UNAVAILABLE and
 * reason TOPO_AWAY; else as topo said it. */
struct err topology_call_error(const struct err *e);
