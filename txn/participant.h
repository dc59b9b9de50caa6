/* participant.h - a shard's side of transactions: who holds its writer, who waits for it, how a
 * transaction prepares, ends and is found again after a crash. A state machine without I/O:
 * requests and what came of jobs go in, actions come out. docs/transactions.md tells the whole
 * story.
 *
 * One struct participant a shard. The caller serialises all calls for one shard (a tablet: under
 * the shard's mutex); after each it takes the actions with participant_next() and carries them out,
 * after letting go of the mutex if it likes.
 *
 * ## The writer's states
 *
 *   DOWN --> RECOVERING <--> REAPPLYING --> PREPARED
 *                |
 *                v
 *   FREE <--> BATCH, FENCING
 *     |
 *     v
 *   OPENING --> ACTIVE <--> RUNNING
 *                 |
 *                 v
 *               VOTING --> VOTED ----+---> COMMITTING --> FREE
 *                 |                  |
 *                 +------> PREPARED -+                            all of them but COMMITTING:
 *                             ^                                   --> UNDOING --> FREE
 *                             +--- REAPPLYING <-- COMMITTING
 *
 * What is true in each is written above the table in participant.c. A job is what the writer's
 * connection does; there is at most one at a time, and while one is under way (OPENING, RUNNING,
 * VOTING, COMMITTING, UNDOING, BATCH, FENCING, REAPPLYING) what comes in waits for its end.
 *
 * ## Who is served
 *
 * The first EXECUTE of a transaction on the shard asks for the writer. If a transaction holds it,
 * an older one waits and a younger one is answered TXN_WRITE_CONFLICT at once (wait-die). When it
 * is free, the youngest of those that wait gets it, so that the others, being older, may go on
 * waiting; as nobody younger than the next in line is let in, holders get older until nobody waits,
 * and each is served in its turn. Batches of autocommit writes, which never die, take turns with
 * them.
 *
 * ## What the caller keeps for a transaction
 *
 * By its id: the open write transaction and its savepoints; from PREPARE, the participants' names,
 * for the redo and for reports to topo. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hlc.h"
#include "txn/clock.h"
#include "txn/id.h"
#include "txn/result.h"

/* ---------------------------------------------------------------- requests */

enum participant_kind {
        PARTICIPANT_EXECUTE = 0, /* a statement, in the transaction's write transaction; the first
                                  * one (incarnation 0) opens that */
        PARTICIPANT_SAVEPOINT,   /* undoes what was done since `savepoint` */
        PARTICIPANT_PREPARE,
        PARTICIPANT_VALIDATE, /* of a shard that was only read */
        PARTICIPANT_END,
        PARTICIPANT_FIND,
};

/* Embedded in the caller's own request. Borrowed by the participant from participant_request()
 * until its PARTICIPANT_DO_ANSWER, which comes exactly once for each; answers for streams that are
 * gone are for the caller to drop. */
struct participant_request {
        enum participant_kind kind;
        struct txn_age age; /* with the id; first_start of EXECUTE and VALIDATE only */
        uint64_t stream;    /* that it came on; never 0, never used again by another */
        /* EXECUTE, SAVEPOINT, PREPARE, END (of a commit with one participant): as ShardPart. */
        uint64_t incarnation;
        uint64_t n_statements; /* requests that name the incarnation, or began it, sent before this
                                  one */
        uint64_t expect_c;     /* of the first EXECUTE; 0: not asked */
        uint64_t max_c;        /* likewise */
        uint64_t savepoint;    /* SAVEPOINT, EXECUTE; the caller's business */
        uint64_t min_ts;       /* PREPARE, END with one participant */
        bool is_lone;          /* PREPARE: there is no other participant */
        bool commit;           /* END */
        bool fence;            /* FIND */
        uint64_t c;            /* VALIDATE: what was read */
        uint64_t commit_ts;    /* VALIDATE; END: of several participants, 0: there is one */

        /* The answer. */
        enum txn_result result; /* TXN_FAILED: as the job failed; the caller has kept the error */
        /* Of what names an incarnation or begins one: the one to be named from now on; 0: the
         * participation is over, or never began. */
        uint64_t ret_incarnation;
        uint64_t ret_n_statements; /* this one included; never 0 */
        uint64_t ret_last_ts;      /* of a first EXECUTE: the last commit before it */
        uint64_t ret_commit_ts;    /* PREPARE: the vote. END, FIND: the commit's. */

        /* The participant's own. */
        struct participant_request *prev, *next;
};

/* ---------------------------------------------------------------- actions */

/* What ends with participant_job_done() is a job, on the writer's connection: at most one at
 * a time. Beside them stands what of the outcome they fill in, besides result. */
enum participant_act {
        /* The request's answer is in it; the participant does not know it any more. */
        PARTICIPANT_DO_ANSWER = 0,

        /* Job, of a request: begin a write transaction for id. Outcome: last_ts in it; applied and
         * applied_ts: what _shoal_applied has of the id. After a failure nothing is open. */
        PARTICIPANT_DO_OPEN,
        /* Job, of a request: its statement, in its savepoint. Outcome: is_gone. */
        PARTICIPANT_DO_RUN,
        /* Job, of a request: back to before its savepoint. Outcome: is_gone. */
        PARTICIPANT_DO_UNDO,
        /* Job, of a request: check that nothing deferred is violated. Unless is_lone, also: the row
         * in _shoal_applied and last_ts, both with commit_ts (the vote), pages flushed, space in
         * the WAL reserved, and last the redo, with id, age and vote, made durable. Outcome:
         * is_gone, position. TXN_FENCED: the id has a row already. After a failure without is_gone
         * the transaction is as before, and no redo is left that could be found again. */
        PARTICIPANT_DO_PREPARE,
        /* Job: commit at commit_ts. sync: durable before it is done; otherwise its redo covers it.
         * is_lone: it has no row in _shoal_applied yet, which is to go with it; TXN_FENCED: the id
         * has one. Otherwise row and last_ts get the final timestamp. Outcome: commit; is_gone, if
         * NOT_DONE: false, it is open still. */
        PARTICIPANT_DO_COMMIT,
        /* Job: undo it all. Cannot fail: whatever happens, nothing is open afterwards. */
        PARTICIPANT_DO_ROLL_BACK,
        /* Job: autocommit writes that are queued, with one synced commit at most, whose timestamp
         * the caller takes from the clock by itself. Outcome: more (are queued), commit. */
        PARTICIPANT_DO_BATCH,
        /* Job, of a request: unless id has a row in _shoal_applied, give it one with timestamp 0,
         * in a synced commit, whose timestamp the caller takes from the clock by itself. Outcome:
         * applied, applied_ts as found; commit. */
        PARTICIPANT_DO_FENCE,
        /* Job: begin a write transaction and put the redo at position back into it, with row and
         * last_ts, as after DO_PREPARE. After a failure nothing is open, and it will be tried
         * again. */
        PARTICIPANT_DO_REAPPLY,

        /* What follows is no job: in any order, at any time. */

        /* Of a request: what has _shoal_applied of id? participant_looked_up(). */
        PARTICIPANT_DO_LOOK_UP,
        /* Make durable that later commits exceed commit_ts; participant_floor_raised(). It must not
         * wait for the transaction that holds the writer: that is what the redo log is for. */
        PARTICIPANT_DO_RAISE_FLOOR,
        /* Make durable what has been committed; participant_synced(). */
        PARTICIPANT_DO_SYNC,
        /* Ask topo what was decided about id. is_holder_abort: as DecideTransactions with ABORTED,
         * otherwise as a report PREPARED with prepared_us and the vote commit_ts.
         * participant_decided(), or nothing if there is no answer. */
        PARTICIPANT_DO_ASK,
        /* Report to topo that id is DURABLE. participant_reported(), or nothing. */
        PARTICIPANT_DO_REPORT,
        /* The floor or what is pending has changed: pins that wait look again. */
        PARTICIPANT_DO_LOOK_AGAIN,
        /* id, text: what cannot be. For the log, and for somebody to look at. */
        PARTICIPANT_DO_ALARM,
};

/* Valid until the next call for the participant; request until it is answered. */
struct participant_action {
        enum participant_act act;
        struct participant_request *request;
        struct txn_age age; /* with the id */
        uint64_t commit_ts;
        uint64_t position; /* of DO_REAPPLY */
        uint64_t seq;      /* of DO_SYNC */
        int64_t prepared_us;
        bool is_lone, sync, is_holder_abort;
        const char *text; /* static */
};

struct participant_outcome {
        enum txn_result result; /* TXN_OK, TXN_FAILED, or as said above */
        bool is_gone; /* the write transaction has ended by itself: nothing is left of it */
        bool applied;
        uint64_t applied_ts; /* 0: fenced */
        uint64_t last_ts;
        uint64_t position; /* of the redo in the log: larger than all before it, not 0 */
        enum txn_commit commit;
        bool more;
};

/* ---------------------------------------------------------------- the shard */

/* Zero: no limit, unless a default is given. */
struct participant_options {
        int64_t idle_us;       /* without a request, until it has prepared */
        int64_t total_us;      /* from the first request, likewise */
        int64_t ask_after_us;  /* prepared, before topo is asked for the first time [1 s] */
        int64_t ask_every_us;  /* and then [1 s]; also reports, and what failed on this machine */
        int64_t sync_after_us; /* commits that only their redo covers are synced [1 s] */
        uint64_t max_waiting;  /* for the writer or a validation [1000] */
        uint64_t max_redo;     /* prepared or committed, and not settled with topo [10000] */
};

enum participant_state {
        PARTICIPANT_IS_DOWN = 0,
        PARTICIPANT_IS_RECOVERING,
        PARTICIPANT_IS_REAPPLYING,
        PARTICIPANT_IS_FREE,
        PARTICIPANT_IS_BATCH,
        PARTICIPANT_IS_FENCING,
        PARTICIPANT_IS_OPENING,
        PARTICIPANT_IS_ACTIVE,
        PARTICIPANT_IS_RUNNING,
        PARTICIPANT_IS_VOTING,
        PARTICIPANT_IS_VOTED,
        PARTICIPANT_IS_PREPARED,
        PARTICIPANT_IS_COMMITTING,
        PARTICIPANT_IS_UNDOING,
        PARTICIPANT_N_STATES,
};

/* A transaction's redo in the log, until that has been cut past it. */
enum participant_redo_state {
        PARTICIPANT_REDO_PREPARED = 0, /* to be committed or rolled back */
        PARTICIPANT_REDO_COMMITTED,    /* its commit is not known to be durable */
        PARTICIPANT_REDO_DURABLE,      /* topo is to be told */
        PARTICIPANT_REDO_ENDED,        /* rolled back, or topo knows: nobody needs the redo */
};

struct participant_redo {
        struct txn_age age;
        uint64_t vote;
        uint64_t position;
        /* Given to participant_recover(): COMMITTED if its row is in _shoal_applied; ENDED if that
         * is a fence's, with timestamp 0; otherwise PREPARED. */
        enum participant_redo_state state;
        uint64_t seq;    /* the participant's own: of the commits; which of them a DO_SYNC covers */
        int64_t told_us; /* when topo was asked or told */
};

struct participant;

/* Borrows clock and hlc, copies the options. It is DOWN. first_incarnation: at random, or otherwise
 * larger than all that were ever used for this shard; not 0. */
struct participant *participant_new(const struct participant_options *o, struct txn_clock *clock,
                                    struct hlc *hlc, uint64_t first_incarnation);
/* No request is under way. Accepts NULL, returns NULL. */
struct participant *participant_free(struct participant *p);

/* The shard has been opened, its clock set: redo is what the log has for it, in order, copied. File
 * and log have been synced since they were opened: what a killed process has written may not be
 * durable, and is about to be seen and built upon. horizon: as trimmed last
 * (participant_trimmed()). The shard serves once participant_is_serving().
 */
void participant_recover(struct participant *p, const struct participant_redo *redo, size_t n_redo,
                         uint64_t horizon, int64_t now_us);
/* Reads may be served, and pins opened. */
bool participant_is_serving(const struct participant *p);
enum participant_state participant_state(const struct participant *p);
const char *participant_state_name(enum participant_state state);
/* The transaction that holds the writer; NULL: none. Valid until the next call. */
const struct txn_age *participant_holder(const struct participant *p);

/* The next thing to do; false: none. */
bool participant_next(struct participant *p, struct participant_action *ret_action);
/* When participant_tick() is to be called; INT64_MAX: not needed. now_us is any clock that does not
 * go back, the same in all calls. */
int64_t participant_deadline(const struct participant *p);
void participant_tick(struct participant *p, int64_t now_us);

/* ---- what happens */
void participant_request(struct participant *p, struct participant_request *r, int64_t now_us);
/* Answers it TXN_CANCELLED if it is waiting. If a job runs for it, that is the caller's to stop.
 * The request is p's, or has been answered already: then nothing happens, and r is only compared.
 */
void participant_cancel(struct participant *p, const struct participant_request *r, int64_t now_us);
/* What belongs to the stream and is not prepared is undone. */
void participant_stream_lost(struct participant *p, uint64_t stream, int64_t now_us);
/* Autocommit writes are queued: a DO_BATCH is wanted. May be repeated. */
void participant_want_batch(struct participant *p, int64_t now_us);
/* A pin wants later commits above ts; it looks again at DO_LOOK_AGAIN. */
void participant_want_floor(struct participant *p, uint64_t ts, int64_t now_us);

void participant_job_done(struct participant *p, const struct participant_outcome *o,
                          int64_t now_us);
/* Of DO_LOOK_UP. failed: it could not be read. */
void participant_looked_up(struct participant *p, struct participant_request *r, bool failed,
                           bool applied, uint64_t applied_ts, int64_t now_us);
/* Whether asked or not: it is durable as the floor. raise: as far the floor goes up at once. */
void participant_floor_raised(struct participant *p, uint64_t floor_durable, uint64_t raise,
                              int64_t now_us);
/* All commits up to that DO_SYNC are durable. */
void participant_synced(struct participant *p, uint64_t seq, int64_t now_us);
/* Topo's answer, accepted by decision_store_accept(). Repeated and late ones are fine. is_commit:
 * COMMITTED at commit_ts, otherwise ABORTED. (FORGOTTEN for one who holds redo is a contradiction,
 * for the log.) */
void participant_decided(struct participant *p, const struct txn_id *id, bool is_commit,
                         uint64_t commit_ts, int64_t now_us);
/* Topo has answered UNDECIDED to a DO_ASK of this struct participant, not of one before. */
void participant_undecided(struct participant *p, const struct txn_id *id, int64_t now_us);
/* Topo has taken note that id is durable here. */
void participant_reported(struct participant *p, const struct txn_id *id, int64_t now_us);

/* ---- what may go */

/* The log may be cut below this position, as far as this shard is concerned; UINT64_MAX: anywhere
 * (records of the floor count for themselves: the largest promise that is not in the file). */
uint64_t participant_redo_needed(const struct participant *p);
/* It has been cut there, durably. */
void participant_redo_cut(struct participant *p, uint64_t position);
/* Rows of _shoal_applied whose id has this start or an earlier one may go, in one commit with the
 * horizon itself; at most `wanted`, 0: none. Transactions begun up to the horizon are not let in
 * any more, and are FORGOTTEN: `wanted` is to lie further back than a transaction lasts. */
uint64_t participant_horizon(const struct participant *p, uint64_t wanted);
void participant_trimmed(struct participant *p, uint64_t horizon);
