/* execute_int.h - what the files of an execution share. Loop thread. */
#pragma once

#include "gate/execute.h"

/* The tag of rows that come from the finish; others tell part and shard. */
#define EXECUTE_TAG_FINISH SIZE_MAX
/* The tag of rows that nobody waits for. */
#define EXECUTE_TAG_NONE (SIZE_MAX - 1)

/* ---- execute.c */

/* The statement has failed with e, which is copied: it begins again if that may help and harm
 * nothing, else it ends. x may be gone afterwards. */
void execute_fail(struct execution *x, const struct err *e);
/* It ends with e, which is copied, for good. x may be gone afterwards. */
void execute_end(struct execution *x, const struct err *e);
/* It is done and went well. x may be gone afterwards. */
void execute_succeed(struct execution *x);
/* Its run is over with e: it fails, is explained if that was asked for, or succeeds. x may be gone
 * afterwards. */
void execute_settle(struct execution *x, const struct err *e);
/* Hands rows to the owner, or fails for their size. Takes the slice. False: x may be gone. */
bool execute_give(struct execution *x, grpc_slice rows, size_t tag);
/* May it grow to n_more bytes above the limit's count, of which n_new are not in
 * gate.n_result_bytes yet? ERR_EXHAUSTED (RESULT_TOO_LARGE, RESULTS_MEMORY). */
enum err_code execute_check_size(const struct execution *x, size_t n_more, size_t n_new,
                                 struct err *reterr) must_check_;
/* ERR_EXHAUSTED (STATEMENT_TOO_LARGE): the statement's arena is full. */
enum err_code execute_no_memory(struct err *reterr);
/* Stops what runs on shards and in the finish. */
void execute_stop(struct execution *x);

/* ---- execute_read.c */

/* x->run with x->values, without side effects but on what shards it writes to. */
void execute_run_local(struct execution *x);
void execute_run_parts(struct execution *x);
/* What all Execute requests of x have in common. */
void execute_fill_request(const struct execution *x, const struct plan_part *part,
                          struct tablet_execute *ret_request);
/* Sends a part to its shards. ERR_*: it was not. */
enum err_code execute_send_part(struct execution *x, size_t part, const uint64_t *bits,
                                const struct tablet_execute *request,
                                const struct scatter_events *events,
                                struct err *reterr) must_check_;
/* Room for one bit per shard; NULL: the arena is full. */
uint64_t *execute_alloc_bits(struct execution *x) must_check_;

/* Rows of a shard of the part's scatter go to the finish or to the owner. Takes the slice. False: x
 * may be gone. */
bool execute_take_rows(struct execution_part *part, size_t shard, grpc_slice rows);
/* All rows have come. x may be gone afterwards. */
void execute_end_parts(struct execution *x);
/* The request for a slot of x->parts, of a read. */
void execute_make_read(const struct execution *x, size_t slot, struct tablet_execute *ret_request);
/* Sends it to the slot's shards. ERR_*: it was not. */
enum err_code execute_send_read(struct execution *x, size_t slot, struct err *reterr) must_check_;

/* ---- execute_cut.c */

/* The parts are routed: makes x->cut if they have to show one moment. */
enum err_code execute_cut_begin(struct execution *x, struct err *reterr) must_check_;
/* What is read from now on is of the moment that the cut shows. */
bool execute_cut_is_accepted(const struct execution *x);
/* Puts what the cut needs into a request of a part. */
void execute_cut_fill(const struct execution *x, struct tablet_execute *request);
/* Rows of a shard of the part's scatter. True: they are kept for later, or x may be gone; otherwise
 * they may be used now. */
bool execute_cut_hold(struct execution_part *part, size_t shard, grpc_slice rows);
/* The shard is pinned. x may be gone afterwards. */
void execute_cut_on_pin(struct execution_part *part, size_t shard, uint64_t c, uint64_t e);
/* All rows have come: tablets need not keep the snapshots. */
void execute_cut_release(struct execution *x);
/* Before the scatters go. */
void execute_cut_stop(struct execution *x);

/* ---- execute_rounds.c */

/* How many slots a plan may come to need. */
size_t execute_rounds_room(const struct plan *p);
/* Is the part sent only when others have ended? */
bool execute_rounds_waits(const struct execution *x, size_t part);
bool execute_has_rounds(const struct execution *x);
/* Rows of a part have come. */
enum err_code execute_rounds_note(struct execution *x, size_t part, const uint8_t *result,
                                  size_t n_bytes, struct err *reterr) must_check_;
/* A request of a part has ended, and been counted: what has waited for it is sent soon, and
 * execute_end_parts() is called when there is nothing more. */
void execute_rounds_ended(struct execution *x, size_t part);
void execute_rounds_stop(struct execution *x);

/* ---- execute_write.c */

void execute_write(struct execution *x);
/* Of a request_id that is there: ERR_INVALID, or x->digest is made. */
enum err_code execute_check_request_id(struct execution *x, struct err *reterr) must_check_;
void execute_analyze(struct execution *x);
/* Whatever was begun is given up: the client has gone, or it begins again. */
void execute_abandon_write(struct execution *x);

/* ---- execute_ddl.c */

void execute_ddl(struct execution *x);
/* The statement could not be planned, for e: fails, unless it is a schema change that was made by
 * an earlier call with the same request_id. x may be gone afterwards. */
void execute_unplanned(struct execution *x, const struct err *e);

/* What the shard or shards of a write have said is final: gives it to the owner, or fails. */
void execute_write_ended(struct execution *x, const struct err *e);

/* ---- execute_spread.c */

/* A write in a transaction, or on several shards: execute_write_ended() follows. ERR_*: nothing was
 * sent, or what was is over with the attempt. */
enum err_code execute_send_spread(struct execution *x, const uint64_t *bits, size_t n_shards,
                                  struct err *reterr) must_check_;
/* A session counts what x->held tells of, and x->held tells what the session has counted. */
void execute_count_held(struct execution *x);
void execute_drop_spread(struct execution *x);

/* ---- execute_transaction.c */

/* The statement is planned: may it run where it is, and in which transaction? */
enum err_code execute_enter(struct execution *x, struct err *reterr) must_check_;
/* Are the snapshots that it reads from those of a transaction? */
bool execute_keeps_pins(const struct execution *x);
/* BEGIN, COMMIT and their like. x may be gone afterwards. */
void execute_control(struct execution *x);
/* Has the failure to wait for what is under way in the transaction's shards, or for their undoing?
 * Then execute_fail() is called again. It is told of each part that has ended. */
bool execute_must_wait(struct execution *x, const struct err *e);
bool execute_is_failing(const struct execution *x);
void execute_part_stopped(struct execution *x);
/* The statement has failed with *ret_err: does that end its transaction? Then it is over, and what
 * the client is told says so. True: it was the statement's own, and may begin again. */
bool execute_is_free(const struct execution *x); /* nobody would notice a second attempt */
bool execute_gave_up(struct execution *x, struct err *ret_err);
/* A write that no shard can do alone gets a transaction of its own. */
enum err_code execute_begin_own(struct execution *x, struct err *reterr) must_check_;
/* It is sent again, in another one. */
void execute_drop_own(struct execution *x);
/* The write is done, and e what came of it: commits a transaction of its own, or undoes what shards
 * have done. True: done(x, e) runs later. */
bool execute_finish_write(struct execution *x, const struct err *e,
                          void (*done)(struct execution *x, const struct err *e));
/* The innermost savepoint that it runs in. */
uint64_t execute_savepoint(struct execution *x, size_t n_shards);
/* Nothing of it goes on in a transaction; the client's: is_cancelled. */
void execute_leave_transaction(struct execution *x, bool is_cancelled);

/* ---- execute_explain.c */

/* Makes the rows of an EXPLAIN and ends it. measured: it was run, and the parts are still there. */
void execute_explain(struct execution *x, bool measured);
/* Appends QueryStats to x->stats. */
void execute_add_stats(struct execution *x);
