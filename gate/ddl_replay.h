/* ddl_replay.h - has the schema change that a statement asks for been made already, by an earlier
 * call with the same request_id? What says so is topo, which keeps the id with the change. Asked
 * when the statement cannot be planned: of a CREATE that was done it is the least one can expect
 * that the name exists. Loop thread. */
#pragma once

#include <stdbool.h>

#include "common/err.h"
#include "gate/topology.h"

struct gate;
struct ddl_replay_call;

/* Embedded in the caller's struct, zeroed before first use, and not moved until done has run or
 * ddl_replay_cancel(). */
struct ddl_replay {
        /* Once, never inside ddl_replay_start(). ERR_OK: it has been made or not, and if so this
         * gate's topology shows it. ERR_INVALID (reason REQUEST_ID_REUSED): by another statement.
         * ERR_UNAVAILABLE: nobody knows now. */
        void (*done)(struct ddl_replay *r, const struct err *e, bool made);
        /* private */
        struct gate *gate;
        struct ddl_replay_call *call;
        struct topology_wait wait;
        int64_t deadline_us;
};

/* digest: of the client's statement. deadline_us: mono_us(). */
void ddl_replay_start(struct ddl_replay *r, struct gate *g, uint64_t keyspace_id,
                      const char *request_id, const uint8_t *digest, size_t n_digest_bytes,
                      int64_t deadline_us);
/* done does not run any more. Also when nothing is under way. */
void ddl_replay_cancel(struct ddl_replay *r);
