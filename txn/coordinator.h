/* coordinator.h - a gate's side of a transaction: what it has read and written on which shards, and
 * how it ends. A state machine without I/O: what the session wants and what shards and topo answer
 * goes in, what is to be sent and told comes out. docs/transactions.md tells the whole story.
 *
 * One struct coordinator a transaction; one owner, not locked. After each call the owner takes the
 * actions with coordinator_next().
 *
 *                                          several wrote
 *           +--> PREPARING --> VALIDATING --> DECIDING --> COMMITTING --> ENDED
 *           |        |             |   |          |  ^            ^
 *   ACTIVE -+        |             |   |          v  |            |
 *     ^  |  |        v             v   |        FINDING           |
 *     |  |  |        +-> ABORTING <+   |one       ^  |            |
 *     |  |  |                ^   wrote |          |  +---> ABORTING
 *     |  |  +----------------|---------+-> COMMITTING_ONE -+
 *     |  +-------------------+             |               |
 *     +------------------------------------+ refused       +--> ENDED
 *
 * What is true in each is written above the table in coordinator.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/decision.h"
#include "txn/id.h"
#include "txn/result.h"

enum coordinator_isolation {
        COORDINATOR_READ_COMMITTED = 0,
        COORDINATOR_SNAPSHOT,
        COORDINATOR_SERIALIZABLE,
};

/* Zero: the default in brackets. */
struct coordinator_options {
        int64_t retry_us; /* what got no answer is sent again after this long [100 ms] */
};

enum coordinator_state {
        COORDINATOR_IS_ACTIVE = 0,
        COORDINATOR_IS_PREPARING,
        COORDINATOR_IS_VALIDATING,
        COORDINATOR_IS_DECIDING,
        COORDINATOR_IS_COMMITTING,
        COORDINATOR_IS_COMMITTING_ONE,
        COORDINATOR_IS_FINDING,
        COORDINATOR_IS_ABORTING,
        COORDINATOR_IS_ENDED,
        COORDINATOR_N_STATES,
};

struct coordinator;

/* age: id and start of the first attempt. session_ts: the largest commit that the session has seen,
 * 0: none. */
struct coordinator *coordinator_new(const struct coordinator_options *o, const struct txn_age *age,
                                    enum coordinator_isolation isolation, uint64_t session_ts);
/* At any time, as if the gate had crashed: shards that have not prepared are freed by the streams
 * or their limits, others ask topo. Accepts NULL, returns NULL. */
struct coordinator *coordinator_free(struct coordinator *c);

enum coordinator_state coordinator_state(const struct coordinator *c);
const char *coordinator_state_name(enum coordinator_state state);
/* It may yet ask topo for a decision: its counter bounds DecideTransactions.oldest_counter. */
bool coordinator_may_decide(const struct coordinator *c);
/* Why it cannot commit any more; TXN_OK: it can, as far as is known. */
enum txn_result coordinator_doom(const struct coordinator *c);

/* ---- shards. They are numbered from 0 as they are first named. */

/* The number of the shard that the caller calls `key`; adds it if it is new. */
size_t coordinator_shard(struct coordinator *c, uint64_t key);
size_t coordinator_n_shards(const struct coordinator *c);
uint64_t coordinator_shard_key(const struct coordinator *c, size_t shard);
/* The transaction has, or may have, a write transaction there: from now on everything it reads or
 * writes there runs in that, and it is one of those that a decision names. */
bool coordinator_is_participant(const struct coordinator *c, size_t shard);
size_t coordinator_n_participants(const struct coordinator *c);

/* ---- reading (txn/cut.h): of shards that are no participants */

/* All that the transaction has seen so far, as if it were one pin, exact on [c, E]: it goes into
 * the cut of each statement that pins shards, beside them (cut_on_pin() in round 0). If the cut
 * wants that one pinned again, the transaction is lost (TXN_READ_CONFLICT). READ_COMMITTED: without
 * the pins of earlier statements. What the session has seen is part of it. */
void coordinator_seen(const struct coordinator *c, uint64_t *ret_c, uint64_t *ret_e);
/* A cut was accepted: the shard was pinned, and is exact on [pin_c, pin_e]. Of an isolation above
 * READ_COMMITTED the shard is read from this pin until the end. validate: a constraint depends on
 * what was read, so that it is validated at every level. */
void coordinator_on_pin(struct coordinator *c, size_t shard, uint64_t pin_c, uint64_t pin_e,
                        bool validate);
/* It has a pin, from an earlier statement, to be read from (not READ_COMMITTED). */
bool coordinator_has_pin(const struct coordinator *c, size_t shard);
/* A read without a cut (one shard, no pin kept) or whatever else showed a commit with this
 * timestamp.
 */
void coordinator_on_seen(struct coordinator *c, uint64_t ts);

/* ---- requests in the transaction on a shard (Execute with `transaction`, Savepoint) */

struct coordinator_part { /* as ShardPart */
        uint64_t incarnation, n_statements, expect_c, max_c;
};

/* One is about to be sent, and will be answered with coordinator_on_part() or
 * coordinator_on_lost(). savepoint: the innermost one, 0: none. The caller sees to it that all
 * requests of a transaction to a shard go through one stream, and that the first is answered before
 * there is a second. */
void coordinator_take_part(struct coordinator *c, size_t shard, uint64_t savepoint,
                           struct coordinator_part *ret_part);
/* Its answer. incarnation and n_statements as the shard answered; both 0: the shard has refused it
 * before its participant came to see it (an epoch, a schema version), and nothing has changed. */
void coordinator_on_part(struct coordinator *c, size_t shard, enum txn_result result,
                         uint64_t incarnation, uint64_t n_statements, uint64_t last_ts);
/* The stream to the shard has broken: what was not answered never will be. In any state. */
void coordinator_on_lost(struct coordinator *c, size_t shard, int64_t now_us);

/* The next savepoint's number. */
uint64_t coordinator_new_savepoint(struct coordinator *c);
/* Was the shard told of this savepoint or a later one, so that undoing it has to be sent there? */
bool coordinator_knows_savepoint(const struct coordinator *c, size_t shard, uint64_t savepoint);
/* It was undone there. */
void coordinator_on_undone(struct coordinator *c, size_t shard, uint64_t savepoint);

/* ---- the end */

/* No request is under way. Tells (COORDINATOR_TELL) once the outcome is known, UNKNOWN at
 * deadline_us (INT64_MAX: none) at the latest. If it was told UNKNOWN or is under way already, this
 * asks again. */
void coordinator_commit(struct coordinator *c, int64_t now_us, int64_t deadline_us);
/* Ends without committing; also whatever is under way on the shards, which the caller has
 * cancelled. Only in ACTIVE. Tells ABORTED. reason: TXN_ROLLED_BACK, or why. */
void coordinator_abort(struct coordinator *c, enum txn_result reason, int64_t now_us);

enum coordinator_outcome {
        COORDINATOR_COMMITTED = 0, /* at commit_ts; 0: it wrote nothing */
        COORDINATOR_ABORTED,       /* result tells why; TXN_FAILED: as `shard` answered */
        COORDINATOR_UNKNOWN,       /* OUTCOME_UNKNOWN: coordinator_commit() may be called again */
        COORDINATOR_REFUSED, /* not committed, for what `shard` answered (a deferred constraint),
                              * and ACTIVE as before */
};

enum coordinator_act {
        /* To a shard; answered by coordinator_on_prepared(). */
        COORDINATOR_SEND_PREPARE = 0, /* part, min_ts, is_lone */
        COORDINATOR_SEND_VALIDATE,    /* c, commit_ts; coordinator_on_validated() */
        COORDINATOR_SEND_END,         /* commit, commit_ts, part and min_ts if is_lone;
                                       * coordinator_on_ended() */
        COORDINATOR_SEND_FIND,        /* fence; coordinator_on_found() */
        /* To topo: commit, commit_ts; the participants are all shards that are. Answered by
         * coordinator_on_decided(). */
        COORDINATOR_DECIDE,
        COORDINATOR_TELL,  /* outcome, result, shard, commit_ts: whoever waits for the end */
        COORDINATOR_ENDED, /* nothing follows, nothing is expected: to be freed */
};

struct coordinator_action {
        enum coordinator_act act;
        size_t shard;
        struct coordinator_part part;
        uint64_t c, commit_ts, min_ts;
        bool is_lone, commit, fence;
        enum coordinator_outcome outcome;
        enum txn_result result;
};

bool coordinator_next(struct coordinator *c, struct coordinator_action *ret_action);
/* When coordinator_tick() is to be called; INT64_MAX: not needed. */
int64_t coordinator_deadline(const struct coordinator *c);
void coordinator_tick(struct coordinator *c, int64_t now_us);

/* Answers. TXN_NO_ANSWER: it may or may not have arrived (coordinator_on_lost() says so for all
 * that a shard owes); TXN_FAILED: the shard could not, or refused before its participant saw it.
 * Late and repeated ones are fine. incarnation: as answered; 0: the participation is over. */
void coordinator_on_prepared(struct coordinator *c, size_t shard, enum txn_result result,
                             uint64_t incarnation, uint64_t vote, int64_t now_us);
void coordinator_on_validated(struct coordinator *c, size_t shard, enum txn_result result,
                              int64_t now_us);
void coordinator_on_ended(struct coordinator *c, size_t shard, enum txn_result result,
                          uint64_t incarnation, uint64_t commit_ts, int64_t now_us);
void coordinator_on_found(struct coordinator *c, size_t shard, enum txn_result result,
                          uint64_t commit_ts, int64_t now_us);
/* is_known false: no answer, or one that decision_store_accept() refuses. UNDECIDED: topo could not
 * (GATE_LEASE_ENDED is FORGOTTEN). */
void coordinator_on_decided(struct coordinator *c, bool is_known, enum decision_answer answer,
                            uint64_t commit_ts, int64_t now_us);
