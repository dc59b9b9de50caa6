/* ddl.h - schema changes: brought to every shard of a keyspace, or taken back from all of them. One
 * driver a gate; in each keyspace it works on one change at a time, its own or one that a gate
 * before it left unfinished. Everything on the loop thread. */
#pragma once

#include <stdint.h>

#include "common/err.h"
#include "gate/plan.h"

struct gate;
struct ddl_driver;
struct ddl_work;

/* Asks of every keyspace, when it is first seen, whether a change is pending whose gate is gone.
 * g's topology and tablets must be there. Never NULL. */
struct ddl_driver *ddl_driver_new(struct gate *g);
/* Requests under way are forgotten; what they began stays pending for the next gate. Accepts NULL,
 * returns NULL. */
struct ddl_driver *ddl_driver_free(struct ddl_driver *d);

/* One statement; embedded in the caller's struct, zeroed before first use, and not moved until done
 * has run or ddl_abandon(). */
struct ddl_request {
        /* Once, never inside ddl_run(). ERR_OK: the change is on all shards and in this gate's
         * topology. ERR_ABORTED (reason SCHEMA_CHANGED): the schema moved on meanwhile and this
         * gate's topology shows it: nothing was done, plan again. ERR_UNAVAILABLE: nothing was
         * done. ERR_UNKNOWN (reason OUTCOME_UNKNOWN): begun, and going on without the caller.
         * Otherwise what a shard refused it for, after it was taken back from all others. */
        void (*done)(struct ddl_request *r, const struct err *e);
        /* The client's; NULL: none. Borrowed until done has run or ddl_abandon(). If a change that
         * was begun with it is done, that is the answer. */
        const char *request_id;
        const uint8_t *digest; /* of the client's statement; n_digest_bytes */
        size_t n_digest_bytes;
        /* private */
        struct ddl_work *work;
        struct ddl_request *next;
        struct plan *plan;
        int64_t since_us, give_up_us;
};

/* p is of kind PLAN_DDL; a reference is taken. deadline_us: mono_us(), INT64_MAX: none. The answer
 * comes a little before it, so that it still reaches the client. */
void ddl_run(struct ddl_driver *d, struct ddl_request *r, struct plan *p, int64_t deadline_us);
/* done does not run any more; what has begun goes on. Also when nothing is under way. */
void ddl_abandon(struct ddl_request *r);

/* A shard has said it is at another schema version than topo's: looks whether a change was left
 * pending by a gate that is gone, and finishes it. Cheap to call often. */
void ddl_nudge(struct ddl_driver *d, uint64_t keyspace_id);
