/* sequence.h - new rowids, unique over the shards of a table. With one client at a time through one
 * gate they are SQLite's own: the largest rowid of the table plus one, or, with AUTOINCREMENT, plus
 * one to the largest there ever was. With several they are unique and rise, with gaps.
 *
 * For each table the gate keeps the largest rowid it knows to exist, the ids it has given out whose
 * INSERT is not over, and the range of ids that topo lets this gate alone give out. The largest
 * rowid is asked from all shards when it is not known: at first, after a schema change, and after
 * whatever may have lowered it or ended in doubt. While other ids are out it is not asked again:
 * ids then just go on upwards. An id whose INSERT has failed is given again unless a later one is
 * out or in use.
 *
 * Rows with explicit rowids may come in through other gates. Where the rowid decides the shard, an
 * id that is taken already fails on the shard and the statement is tried again with a fresh one.
 * Where other columns decide, nothing could tell: there, ids of INSERTs with unknown outcome are
 * not given again until they can no longer arrive.
 *
 * When the largest rowid is 2^63 - 1, AUTOINCREMENT fails as in SQLite ("database or disk is
 * full"), other tables get random ids as in SQLite. Everything on the loop thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "gate/plan.h"

struct gate;
struct sequence;
struct sequences;

struct sequences *sequences_new(struct gate *g); /* never NULL */
/* No use may be waiting. Accepts NULL, returns NULL. */
struct sequences *sequences_free(struct sequences *s);

/* What one execution of a write has to do with rowids: embedded in the caller's struct, zeroed, the
 * first part filled in. Every write to a sharded table has one, also without new rowids: the result
 * may change what the largest rowid is. */
struct sequence_use {
        struct plan *plan;          /* borrowed until sequence_note_result() or _cancel() */
        struct plan_values *values; /* likewise; new rowids are put into it */
        int64_t deadline_us;        /* mono_us() */
        /* Set before sequence_note_result(): the reply was kept from an earlier call with the same
         * request_id, nothing was inserted now. */
        bool replayed;
        /* After SEQUENCE_WAIT: runs once. ERR_OK: filled.
         * ERR_UNAVAILABLE: a shard or topo is away; ERR_EXHAUSTED with SQLITE_FULL; ERR_ABORTED
         * (reason SCHEMA_CHANGED): plan again. On errors it is over. */
        void (*done)(struct sequence_use *u, const struct err *e);
        void *arg; /* of whoever has set done */
        /* private */
        struct sequences *all;
        struct sequence *sequence; /* NULL: not waiting and nothing given out */
        struct sequence_use *prev, *next;
        int *filled; /* indexes into the value vector that were NULL; n_filled of them */
        size_t n_filled, n_done; /* rows that have their rowid */
        int64_t largest;         /* rowid the next row's is above */
        bool has_largest, waiting, out;
        unsigned n_collisions;
};

enum sequence_verdict {
        SEQUENCE_FILLED = 0, /* at once, or nothing was to be filled */
        SEQUENCE_WAIT,       /* u->done will run, later */
        SEQUENCE_FAILED,     /* *reterr says why; it is over */
};

/* Puts a new rowid into every slot that wants one (plan_slot.rowid, and the value is NULL), in the
 * order of the rows. */
enum sequence_verdict sequence_fill(struct sequences *s, struct sequence_use *u,
                                    struct err *reterr) must_check_;

/* The write is over: to be called once after a successful sequence_fill(), before the client is
 * answered, also when it was never sent (with the error that kept it back). e: ERR_OK, or why it
 * failed. True: a rowid that was given out is in use already, and nothing was executed: the slots
 * are NULL again, and the caller goes back to sequence_fill(). Only a few times. */
bool sequence_note_result(struct sequences *s, struct sequence_use *u,
                          const struct err *e) must_check_;

/* ---- writes in a transaction: their rows are there for nobody else, but their ids are taken */

struct sequence_hold;
/* Of one transaction; zeroed: none. */
struct sequence_holds {
        struct sequence_hold *first;
};
/* A write has gone well in a transaction; after sequence_note_result(). savepoint: the innermost
 * that it ran in. */
void sequence_hold(struct sequences *s, const struct plan *p, const struct plan_values *values,
                   struct sequence_holds *holds, uint64_t savepoint);
/* What was done since this savepoint was rolled back. */
void sequence_holds_undo(struct sequence_holds *holds, uint64_t savepoint);
enum sequence_outcome { SEQUENCE_COMMITTED = 0, SEQUENCE_ROLLED_BACK, SEQUENCE_IN_DOUBT };
void sequence_holds_end(struct sequence_holds *holds, enum sequence_outcome outcome);

/* Ends a use that waits, without done, or that has ids but will not say what became of them. Also
 * when there is nothing to end. */
void sequence_cancel(struct sequences *s, struct sequence_use *u);
