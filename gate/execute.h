/* execute.h - one statement from its text to its rows: planned, routed, sent, merged, and tried
 * again where nothing was done yet. A state machine on the loop thread, embedded in whoever wants
 * the answer. */
#pragma once

#include <grpc/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "gate/analyze.h"
#include "gate/bind.h"
#include "gate/ddl.h"
#include "gate/ddl_replay.h"
#include "gate/finish.h"
#include "gate/gate.h"
#include "gate/key_set.h"
#include "gate/plan.h"
#include "gate/request_intent.h"
#include "gate/result.h"
#include "gate/scatter.h"
#include "gate/sequence.h"
#include "gate/topology.h"
#include "txn/coordinator.h"

struct execution;
struct session;
struct transaction;

/* A statement as the client gave it. All borrowed until the execution is over. */
struct execute_request {
        const char *keyspace; /* not NUL-terminated; 0 bytes: "main" */
        size_t n_keyspace_bytes;
        const char *sql; /* likewise; plain UTF-8 */
        size_t n_sql_bytes;
        const struct plan_arg *args;
        size_t n_args;
        const char *request_id;
        size_t n_request_id_bytes;
        uint64_t max_rows;  /* 0: the gate's limit, or none when streaming */
        uint64_t max_bytes; /* of rows; 0: likewise */
        bool with_stats;
        bool read_only;
        enum coordinator_isolation isolation; /* of the transaction that BEGIN begins */
        const char *session; /* name, not NUL-terminated; 0 bytes: none. For the owner to look up */
        size_t n_session_bytes;
        bool streaming;      /* the owner takes rows of any size, at its own pace */
        int64_t deadline_us; /* mono_us(); INT64_MAX: none */
};

/* They may run inside execution_start(). */
struct execution_events {
        /* Rows of the answer (fields 2 to 4 of a ResultSet), one slice, which is the owner's from
         * now on. Unless the owner is quick, execution_consumed() tells later that they have gone.
         */
        void (*on_rows)(struct execution *x, grpc_slice rows, size_t tag);
        /* The statement is tried again: the owner forgets the rows it has. False: it has told the
         * client of some already. */
        bool (*on_restart)(struct execution *x);
        /* Once, last. ERR_OK: all rows have been given; columns, stats and the plan are there until
         * the owner calls execution_done(). */
        void (*on_end)(struct execution *x, const struct err *e);
};

/* What one part of the plan is doing. */
struct execution_part {
        struct execution *x;
        struct scatter *scatter; /* NULL: not sent yet, or never */
        size_t index;            /* of the plan's part */
        uint64_t *bits;          /* the shards it goes to */
        size_t n_shards;
        const struct key_request *keyed; /* NULL: the part as it is */
        /* Of a part's first slot: */
        bool is_started;     /* of one that waits: it does not any more */
        size_t n_open;       /* its requests under way */
        bool takes_part;     /* the shards run it in the transaction's write transactions */
        struct key_set keys; /* those that it waits for */
};

struct execution {
        /* The owner's to set; everything else zeroed. */
        struct gate *gate;
        struct arena *arena; /* for what the execution needs until execution_done() */
        const struct execution_events *events;
        struct execute_request request;
        /* That the statement runs in, with the owner's call inside; or NULL. BEGIN opens one where
         * there is none, and leaves the call inside: the owner leaves it. */
        struct session *session;
        /* That it is part of; a session's is found by itself. Or NULL. */
        struct transaction *transaction;

        /* The owner's to read. */
        struct plan *plan;
        bool cached;
        struct buf stats; /* encoded QueryStats, on_end with request.with_stats */

        /* Private. */
        struct catalog *catalog;
        struct plan *run; /* what is executed: plan, or what it explains; borrowed from plan */
        const struct value *literals;
        struct bind *bind; /* holds the values, unless they are in the arena */
        struct plan_values values;
        int64_t now_ms, started_us;
        unsigned n_tries;
        struct err *eager; /* what shards that compute all they can failed with; it is tried without
                              that */
        bool active;
        uint64_t max_rows, max_bytes;
        uint64_t n_rows, n_bytes; /* rows of shards; bytes given to the owner */
        uint64_t n_counted_bytes; /* of them, those in gate.n_result_bytes */

        struct execution_part *parts; /* first those of the plan: gate/execute_rounds.c */
        size_t n_parts, n_parts_ended;
        struct finish *finish;
        struct execute_cut *cut;  /* execute_cut.c; NULL: one read of one shard */
        struct loop_timer rounds; /* execute_rounds.c */
        unsigned n_lost;          /* times that rounds could not be of one moment */
        struct topology_wait wait;

        struct sequence_use use;
        struct request_intent intent;
        struct ddl_request ddl;
        struct ddl_replay replay;
        struct err unplanned; /* while replay asks */
        struct analyze analyze;
        size_t n_write_shards;         /* of a write in a transaction */
        struct execute_spread *spread; /* execute_spread.c; NULL: it is none */
        uint64_t write_changes;
        int64_t write_last_id;
        bool has_use, needs_intent, sent_intent, discard_rows;
        uint8_t digest[16];
        struct result held; /* a write's answer until it is final */
        bool is_cancelled;
        struct execute_in *in; /* execute_transaction.c; NULL: it has nothing to do with one */
};

void execution_start(struct execution *x);
/* Rows that were given with this tag have gone: more may come. */
void execution_consumed(struct execution *x, size_t tag, uint64_t n_bytes);
/* The client does not want it any more: it stops as soon as may be, on_end does not run. */
void execution_cancel(struct execution *x, enum err_code code);
/* Frees what it holds but for the arena. After on_end or execution_cancel(). */
void execution_done(struct execution *x);
/* Are its values still being computed? What begins now may overtake it. */
bool execution_is_binding(const struct execution *x);
/* Name of the plan as EXPLAIN and QueryStats tell it. */
const char *execution_plan_name(const struct execution *x);
