/* topo.h - the state of one topo process: the catalogue that follows the store, who is alive, who
 * watches. Everything on the loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/hlc.h"
#include "rpc/loop.h"
#include "topo/catalog.h"
#include "topo/store.h"

struct op;
struct tablets;
struct transactions;
struct watchers;

/* What grows with use has a limit; beyond it RESOURCE_EXHAUSTED (TOPO_LIMIT). */
enum {
        TOPO_MAX_KEYSPACES = 256,
        TOPO_MAX_SHARDS = 1024, /* in a keyspace */
        TOPO_DEFAULT_SHARDS = 16,
        TOPO_MAX_TABLETS = 1024,
        TOPO_MAX_GATES = 1024,
        TOPO_MAX_WATCHERS = 4096,
        TOPO_MAX_RELATIONS = 10000, /* tables, indexes, views and triggers of a keyspace */
        TOPO_MAX_TOPOLOGY_BYTES = 48 << 20,
};

struct topo_options {
        uint64_t heartbeat_ms; /* what tablets and gates are told; three missed ones make a tablet
                                  unhealthy */
        uint64_t lease_ms;     /* how long a gate that is silent counts as alive */
        uint64_t max_skew_ms;  /* of a clock ahead of ours */
        uint64_t max_prepared_ms; /* a transaction that its participants report as prepared for
                                    longer is aborted; 0: TRANSACTIONS_MAX_PREPARED_MS */
        uint64_t keep_ms;    /* how transactions ended is kept for so long at least, if there are
                                not too many; 0: TRANSACTIONS_KEEP_MS */
        size_t max_records;  /* of transactions; 0: TRANSACTIONS_MAX_RECORDS */
        size_t max_kept;     /* of those that have ended; 0: TRANSACTIONS_MAX_KEPT */
        size_t max_watchers; /* 0: TOPO_MAX_WATCHERS */
        int64_t (*now_us)(void); /* monotonic; NULL: mono_us(), and time passes by itself */
        /* Told when the store begins or ceases to answer; may be NULL. */
        void (*on_ready)(void *arg, bool ready);
        void *arg;
};

struct topo {
        struct loop *loop;
        struct store *store;
        struct topo_options options;
        struct hlc hlc;

        struct catalog *catalog;
        struct store_watch *watch;
        bool booted;  /* this process has put its mark into the store */
        bool loading; /* a load is under way */
        bool ready;   /* the catalogue is up to date and the store answers */
        bool probing; /* the store has been asked whether it is there */
        bool closing;
        struct err trouble; /* why it is not ready */
        struct loop_timer tick;
        int64_t started_us;

        /* The topology's version: the store's revision of the last change that shows, and a count
         * of changes of health since, which no store knows of. Rises for ever, because each start
         * writes a revision. */
        uint64_t shown_revision;
        uint64_t n_health_changes;

        struct op *waiting; /* for the catalogue to reach a revision */
        size_t n_ops;
        struct tablets *tablets;
        struct transactions *transactions;
        struct watchers *watchers;
        void (*closed)(void *arg);
        void *closed_arg;
};

/* Takes the store; begins to load at once. Never NULL. */
struct topo *topo_new(struct loop *l, struct store *s, const struct topo_options *o);
/* After the server has drained: waits for what is under way, closes the store and frees t; then
 * runs closed. */
void topo_close(struct topo *t, void (*closed)(void *arg), void *arg);
/* What the timer does, twice a heartbeat; for tests that own the clock. */
void topo_tick(struct topo *t);

int64_t topo_now_us(const struct topo *t);
uint64_t topo_version(const struct topo *t);
/* A tablet's health has changed: a new version for all to see. */
void topo_health_changed(struct topo *t);
/* Takes note of a peer's clock; one too far ahead is logged and passed over. Returns ours. */
uint64_t topo_observe_clock(struct topo *t, uint64_t ts, const char *who);
