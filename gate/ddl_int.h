/* ddl_int.h - schema changes without I/O: topo, the shards and the clock are reached through struct
 * ddl_io, so that tests can play the world. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gate/ddl.h"
#include "proto/shoal/v1/internal.pb-c.h"

/* One change to be brought to shards, or taken back from them. Borrowed for the call. */
struct ddl_shards_call {
        uint64_t keyspace_id;
        uint64_t
            version; /* what the shards are at afterwards; of a question, what they should be at */
        const char *change_id, *sql, *undo_sql;
        enum { DDL_ASK_SHARDS = 0, DDL_APPLY_SHARDS, DDL_UNDO_SHARDS } what;
        const bool *skip; /* shards that are left out, by index; NULL: none */
};

/* Nothing is answered inside topo() or shards(); each is answered exactly once, before the driver
 * is freed or never. A work has one of them under way at a time. Requests to topo are borrowed. */
struct ddl_io {
        void *arg;
        void (*free)(void *arg); /* with the driver; may be NULL */
        int64_t (*now_us)(void *arg);
        /* ddl_tick() is to run then, once. Replaces what was asked for before. */
        void (*wake_at)(void *arg, int64_t at_us);
        /* This gate at topo; false: it has no epoch now. */
        bool (*identity)(void *arg, char **ret_gate, uint64_t *ret_epoch);
        /* As this gate's topology has it; false: the keyspace is gone. */
        bool (*keyspace)(void *arg, uint64_t keyspace_id, uint64_t *ret_version,
                         size_t *ret_n_shards);
        void (*look)(void *arg, struct ddl_work *w, const Shoal__V1__GetSchemaChangeRequest *m);
        void (*begin)(void *arg, struct ddl_work *w, const Shoal__V1__BeginSchemaChangeRequest *m);
        void (*end)(void *arg, struct ddl_work *w, const Shoal__V1__EndSchemaChangeRequest *m);
        void (*shards)(void *arg, struct ddl_work *w, const struct ddl_shards_call *c);
        /* How long what is away is waited for while a client waits. */
        uint64_t patience_us;
};

struct ddl_driver *ddl_driver_new_io(const struct ddl_io *io); /* copied; never NULL */
/* change is NULL when e->code is not ERR_OK. */
void ddl_topo_answered(struct ddl_work *w, const struct err *e,
                       const Shoal__V1__SchemaChange *change);
/* errs by shard; those skipped are ERR_OK. */
void ddl_shards_answered(struct ddl_work *w, const struct err *errs, size_t n_shards);
void ddl_tick(struct ddl_driver *d);
/* The topology has changed. */
void ddl_topology_changed(struct ddl_driver *d);
/* Nothing is under way anywhere. */
bool ddl_driver_is_idle(const struct ddl_driver *d);

/* ---- between ddl.c (requests, time) and ddl_work.c (one keyspace's change) */

/*
 *   IDLE -> LOOKING -> PROBING -> BEGINNING -> APPLYING -> PUBLISHING -> SETTLING -> IDLE
 *              |                      |           |                         |
 *              |                      +-----------|-- (done before) --------+
 *              |                                  |
 *              +-> (takes a change over) -> APPLYING or UNDOING
 *                                                 +-> TURNING -> UNDOING -> CLOSING -> IDLE
 *
 * Up to BEGINNING nothing is recorded. From then on the change is in topo, and every state is tried
 * again until it is through, whether a client still waits or not; a gate that takes it over comes
 * in at APPLYING or UNDOING. From TURNING on it never goes forward again.
 */
enum ddl_state {
        DDL_IDLE = 0,
        DDL_LOOKING,    /* asks topo whether a change is pending, and for it if its gate is gone */
        DDL_PROBING,    /* asks all shards whether they are there, at the version */
        DDL_BEGINNING,  /* topo records the change, pending */
        DDL_APPLYING,   /* the shards make it */
        DDL_PUBLISHING, /* all have it: topo records it as done, and tells the gates */
        DDL_SETTLING,   /* until this gate has been told */
        DDL_TURNING,    /* a shard refuses it: topo records that it is to be undone */
        DDL_UNDOING,    /* the shards take it back */
        DDL_CLOSING,    /* none has it: topo forgets it */
        DDL_N_STATES,
};

/* The change that is under way. Strings are owned; id NULL: none. */
struct ddl_change {
        char *id, *sql, *undo_sql;
        uint64_t version;
};

/* One keyspace. Owner: the loop thread. */
struct ddl_work {
        struct ddl_driver *driver;
        struct ddl_work *next;
        uint64_t keyspace_id;
        enum ddl_state state;
        bool busy;              /* a question is under way */
        bool wants_look;        /* look for a pending change, without a client */
        bool unsure;            /* BEGINNING's outcome for the owner is not known */
        int64_t retry_at_us;    /* enter the state again then; INT64_MAX: not waiting */
        int64_t late_look_us;   /* look then: a request to topo may have been late; INT64_MAX: no */
        int64_t stuck_since_us; /* 0: it moves on */
        unsigned n_retries;
        struct ddl_request *first, *last;
        struct ddl_request *owner; /* whose the change is: the first, or NULL */
        struct ddl_change change;
        struct err cause; /* why it is undone */
        bool *applied;    /* n_applied shards that have answered OK in this state */
        size_t n_applied;
};

struct ddl_driver {
        struct ddl_io io;
        struct ddl_work *works;
        bool ticking;
};

/* Goes on with what can be done now. */
void ddl_work_run(struct ddl_work *w);
/* Ends one request; its memory may be gone afterwards. */
void ddl_work_answer(struct ddl_work *w, struct ddl_request *r, const struct err *e);
/* Answers the requests whose time is up, truthfully. */
void ddl_work_give_up(struct ddl_work *w, int64_t now_us);
void ddl_change_done(struct ddl_change *c);
int64_t ddl_now(const struct ddl_work *w);
/* Arms the clock for the next thing to do. */
void ddl_driver_wake(struct ddl_driver *d);
