/* transaction.h - the gate's transactions: txn/coordinator.h, which knows what each has read and
 * written and how it ends, with the tablets and topo that it speaks to (docs/transactions.md). Loop
 * thread.
 *
 * A shard is in one of three states for a transaction:
 *
 *      nothing ──a read──▶ pinned ──a write──▶ takes part
 *         └─────────────────a write──────────────▲
 *
 * pinned      its snapshot belongs to the moment that the transaction shows, and is read again.
 * takes part  its writer is held: reads, too, run in its write transaction, and see what it wrote.
 *
 * With READ_COMMITTED nothing is pinned for longer than a statement. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "gate/catalog.h"
#include "gate/sequence.h"
#include "gate/tablet_client.h"
#include "txn/coordinator.h"
#include "txn/id.h"

struct gate;
struct transactions; /* all of a gate */

struct transaction_shard {
        uint64_t pin; /* name of the snapshot; 0: not pinned */
        uint32_t round;
        uint64_t pin_c; /* the last commit in it */
        size_t number;  /* the coordinator's, plus 1; 0: not named yet */
};

/* Owner: the loop thread. To be read by all, written by nobody else unless it says so. */
struct transaction {
        struct gate *gate;
        struct coordinator *coordinator;
        struct txn_id id;
        struct txn_age age;
        enum coordinator_isolation isolation;
        bool read_only;
        uint64_t keyspace_id;
        struct catalog *catalog; /* as of its last statement */
        size_t n_shards;
        struct transaction_shard *shards; /* by index in the shard map */
        unsigned lane;                    /* of all its requests */
        int64_t deadline_us;              /* mono_us(); INT64_MAX: none */
        struct sequence_holds holds;      /* of whoever writes rows */

        /* Private: transaction_end.c. */
        struct transactions *all;
        struct transaction *prev, *next;
        struct transaction_call *calls;
        struct transaction_decision *decision;
        struct loop_timer timer, soon;
        struct transaction_end *waiting;
        struct err failure; /* as a shard answered */
        bool is_left;       /* nobody but this knows of it */
        bool is_pumping, has_ended, is_committed;
};

struct transaction_options {
        struct gate *gate;
        struct catalog *catalog; /* a reference is taken */
        enum coordinator_isolation isolation;
        bool read_only;
        bool is_limited;      /* in time, as those of clients are */
        uint64_t first_start; /* of its first attempt; 0: this is it */
        uint64_t session_ts;  /* the largest commit that the session has seen */
};

struct transactions *transactions_new(struct gate *g); /* never NULL */
/* As if the gate had crashed. Accepts NULL, returns NULL. */
struct transactions *transactions_free(struct transactions *all);
/* By id, under way; NULL: none. */
struct transaction *transactions_find(const struct transactions *all, const struct txn_id *id);

/* ERR_UNAVAILABLE (reason TOPO_AWAY): the gate has no lease now. */
enum err_code transaction_new(const struct transaction_options *o, struct transaction **ret_txn,
                              struct err *reterr) must_check_;
/* The owner has done with it: it is rolled back unless it has ended or is ending, which goes on by
 * itself. Accepts NULL, returns NULL. */
struct transaction *transaction_free(struct transaction *t);

/* Nothing of it is anywhere but here. */
bool transaction_is_untouched(const struct transaction *t);
/* Some shard may hold its writer for it. */
bool transaction_has_parts(const struct transaction *t);
/* A statement planned with this catalog is about to run. ERR_ABORTED (reason KEYSPACE_CHANGED): the
 * keyspace is another; or why it cannot go on. */
enum err_code transaction_enter(struct transaction *t, struct catalog *c,
                                struct err *reterr) must_check_;

/* ---- shards, by their index in the shard map */

bool transaction_takes_part(const struct transaction *t, uint32_t shard);
static inline bool transaction_is_pinned(const struct transaction *t, uint32_t shard)
{
        return t->shards[shard].pin != 0;
}
/* A cut that it belongs to was accepted. */
void transaction_note_pin(struct transaction *t, uint32_t shard, uint64_t pin, uint32_t round,
                          uint64_t c, uint64_t e);
/* What a request, about to be sent, tells of the transaction's part in the shard. */
struct tablet_part transaction_take_part(struct transaction *t, uint32_t shard, uint64_t savepoint);
/* The shard has answered such a request. failure: NULL, or why it failed. */
void transaction_note_reply(struct transaction *t, uint32_t shard, const struct tablet_reply *r,
                            const struct err *failure);
/* It will not answer. */
void transaction_note_lost(struct transaction *t, uint32_t shard);

/* Does an error end the transaction that it came up in? If not, the statement is undone, and all
 * else stands. */
bool transaction_is_fatal(const struct err *e);

/* ---- the end */

/* Embedded in whoever waits for it. */
struct transaction_end {
        /* Once. outcome: with COMMITTED, e is ERR_OK and commit_ts tells when (0: it wrote
         * nothing); with REFUSED the transaction is open as before; with UNKNOWN it goes on to find
         * out, and may be asked again. */
        void (*done)(struct transaction_end *w, enum coordinator_outcome outcome,
                     uint64_t commit_ts, const struct err *e);
};
/* No request is under way. w->done runs later, never inside. Nobody else may wait. */
void transaction_commit(struct transaction *t, struct transaction_end *w, int64_t deadline_us);
/* w->done does not run any more; what was begun goes on. */
void transaction_forget_wait(struct transaction *t, struct transaction_end *w);

/* Private to transaction*.c: does what the coordinator wants. t may be gone afterwards. */
void transaction_pump(struct transaction *t);
