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
        uint64_t version; /* what the shards are at afterwards; of a question, what they should be at */
        const char *change_id, *sql, *undo_sql;
        enum { DDL_ASK_SHARDS = 0, DDL_APPLY_SHARDS, DDL_UNDO_SHARDS } what;
        const bool *skip; /* shards that are left out, by index; NULL: none */
};

/* Nothing is answered inside topo() or shards(); each is answered exactly once, before the driver is
 * freed or never. A work has one of them under way at a time. Requests to topo are borrowed. */
struct ddl_io {
        void *arg;
        void (*free)(void *arg); /* with the driver; may be NULL */
        int64_t (*now_us)(void *arg);
        /* ddl_tick() is to run then, once. Replaces what was asked for before. */
        void (*wake_at)(void *arg, int64_t at_us);
        /* This gate at topo; false: it has no epoch now. */
        bool (*identity)(void *arg, char **ret_gate, uint64_t *ret_epoch);
        /* As this gate's topology has it; false: the keyspace is gone. */
        bool (*keyspace)(void *arg, uint64_t keyspace_id, uint64_t *ret_version, size_t *ret_n_shards);
        void (*look)(void *arg, struct ddl_work *w, const Shoal__V1__GetSchemaChangeRequest *m);
        void (*begin)(void *arg, struct ddl_work *w, const Shoal__V1__BeginSchemaChangeRequest *m);
        void (*end)(void *arg, struct ddl_work *w, const Shoal__V1__EndSchemaChangeRequest *m);
        void (*shards)(void *arg, struct ddl_work *w, const struct ddl_shards_call *c);
        /* How long what is away is waited for while a client waits. */
        uint64_t patience_us;
};

struct ddl_driver *ddl_driver_new_io(const struct ddl_io *io); /* copied; never NULL */
/* change is NULL when e->code is not ERR_OK. */
void ddl_topo_answered(struct ddl_work *w, const struct err *e, const Shoal__V1__SchemaChange *change);
/* errs by shard; those skipped are ERR_OK. */
void ddl_shards_answered(struct ddl_work *w, const struct err *errs, size_t n_shards);
void ddl_tick(struct ddl_driver *d);
/* The topology has changed. */
void ddl_topology_changed(struct ddl_driver *d);
/* Nothing is under way anywhere. */
bool ddl_driver_is_idle(const struct ddl_driver *d);
