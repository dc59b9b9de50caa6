/* gate.h - what everything in the gate's process shares. Made by main.c; used on the loop thread
 * unless a member says otherwise. */
#pragma once

#include <stdint.h>

#include "common/hlc.h"
#include "common/pool.h"
#include "gate/bind.h"
#include "gate/plan_cache.h"
#include "gate/tablet_client.h"
#include "gate/topology.h"
#include "rpc/client.h"
#include "rpc/loop.h"

/* Settings, from flags, file and environment; constant after the start. */
struct gate_options {
        char *id;
        char *listen_address, *http_address, *advertise_address;
        char *topo_address;
        char *log_level;
        char *spill_dir; /* "" : SQLite's choice */

        uint64_t pool_threads;
        uint64_t tablet_streams; /* to each tablet */
        uint64_t connect_wait_ms;
        uint64_t retry_ms;       /* how long a statement is tried again while a tablet is away */
        uint64_t schema_wait_ms; /* how long while the schema is being changed */
        uint64_t keepalive_ms, keepalive_timeout_ms;
        uint64_t statistics_interval_ms; /* 0: they are not refreshed in the background */
        uint64_t drain_ms;
        uint64_t max_skew_ms;

        uint64_t max_request_bytes;
        uint64_t max_statement_bytes;
        uint64_t max_statements; /* under way in this gate */
        uint64_t max_result_rows, max_result_bytes;
        uint64_t results_memory; /* rows of answers in one piece, all together */
        uint64_t max_batch_statements;
        uint64_t max_sessions, session_idle_ms;
        uint64_t transaction_idle_ms, transaction_limit_ms; /* 0: no limit */
        uint64_t plan_cache_bytes;
        uint64_t finish_memory;       /* per statement */
        uint64_t finish_total_memory; /* likewise */
        uint64_t finish_disk;         /* per statement */
        uint64_t max_finishes;        /* at a time */
};

struct sequences;    /* gate/sequence.h */
struct forwards;     /* gate/forward.h */
struct sessions;     /* gate/session.h */
struct transactions; /* gate/transaction.h */
struct ddl_driver;   /* gate/ddl.h */
struct gate_metrics; /* gate/stats.h */
struct finishes;     /* gate/finish.h */
struct refresher;    /* gate/refresher.h */

struct gate {
        struct gate_options options;
        struct loop *loop;
        struct pool *pool; /* any thread */
        struct hlc hlc;    /* any thread */
        struct rpc_channel *topo;
        struct topology *topology;
        struct tablets *tablets;
        struct plan_cache *plans;
        struct finishes *finishes;
        struct binds binds;
        struct sequences *sequences;
        struct sessions *sessions;
        struct forwards *forwards;
        struct transactions *transactions;
        struct ddl_driver *ddl;
        struct refresher *refresher;
        struct gate_metrics *metrics;      /* any thread */
        size_t n_statements;               /* under way */
        uint64_t last_pin;                 /* names of snapshots on tablets */
        size_t n_result_bytes;             /* held for answers in one piece */
        struct topology_listener listener; /* keeps the tablets as topo tells */
};

/* Makes all of it from g->options and g->loop, which are set; address is where clients reach this
 * gate, borrowed. Begins to talk to topo. */
void gate_start(struct gate *g, const char *address);
/* No statement is under way. */
void gate_stop(struct gate *g);
