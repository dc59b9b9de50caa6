/* clock.h - a shard's clock: timestamps of its commits, and the floor below which none will come
 * any more (DESIGN, "Commit timestamps"). No I/O: the caller makes durable what has to be, and
 * serialises all calls for one clock (a tablet: under the shard's mutex).
 *
 * What holds at any time:
 *  - Commits become visible with rising timestamps, and last_ts is the largest.
 *  - A timestamp that was chosen and is not visible yet is pending: of a batch that is committing,
 * of a transaction that has voted (its commit will have its vote or more), or of a commit in doubt.
 *    At most one batch or transaction is pending at a time, since both hold the shard's writer; the
 *    doubt may be beside it.
 *  - Timestamps chosen from now on are larger than floor, and than last_ts.
 *  - floor <= floor_durable: what is promised is found again after a crash.
 * So a snapshot that is opened after txn_clock_pin() shows the shard at any time of
 * [its last_ts, E], with E from txn_clock_exact(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "txn/id.h"

struct txn_clock {
        uint64_t last_ts;       /* of the last commit that is visible */
        uint64_t floor;         /* later commits exceed it */
        uint64_t floor_durable; /* how far floor may be raised */
        uint64_t pending_ts;    /* being committed, or a vote; 0: none */
        uint64_t doubtful_ts; /* of a commit that failed in such a way that it may be found after a
                               * crash, unless another one follows; 0: none */
        struct txn_age pending; /* whose vote pending_ts is; none: a batch's */
};

enum txn_commit {
        TXN_COMMIT_DONE = 0,
        TXN_COMMIT_NOT_DONE,
        TXN_COMMIT_IN_DOUBT, /* an I/O error: it may come back after a crash, unless another commit
                              * follows */
};

/* What the files say: the shard has been opened. Nothing is pending. floor: the largest that the
 * shard's file or the redo log promises. */
void txn_clock_init(struct txn_clock *k, uint64_t last_ts, uint64_t floor);
/* The shard's file has been read again after a failure: what is pending or in doubt stays noted. */
void txn_clock_reopen(struct txn_clock *k, uint64_t last_ts, uint64_t floor);

/* ---- reading */

/* Raises the floor to read_ts, as far as that is durable. To be called before a snapshot is opened;
 * *ret_floor and *ret_pending (0: none) are what txn_clock_exact() wants. */
void txn_clock_pin(struct txn_clock *k, uint64_t read_ts, uint64_t *ret_floor,
                   uint64_t *ret_pending);
/* E of a snapshot whose last commit is c. Pure. */
uint64_t txn_clock_exact(uint64_t c, uint64_t floor, uint64_t pending);
/* Raises the floor likewise. True: it has got there, and nothing at or below read_ts is pending, so
 * that a pin now will be exact at read_ts or later. */
bool txn_clock_settle(struct txn_clock *k, uint64_t read_ts);
/* The smallest timestamp that was chosen and may yet become visible; 0: none. */
uint64_t txn_clock_pending(const struct txn_clock *k);

/* ---- committing */

/* Chooses a timestamp above floor, last commit and min_ts, not below now (hlc_tick()), and notes it
 * as pending. Nothing else is pending. who: the transaction that votes; NULL: a batch. */
uint64_t txn_clock_begin(struct txn_clock *k, uint64_t now, uint64_t min_ts,
                         const struct txn_age *who);
/* Notes a vote that was given before a restart. It may lie below the floor of today. */
void txn_clock_restore(struct txn_clock *k, uint64_t vote, const struct txn_age *who);
/* What was pending has ended; a vote that became DONE has the timestamp ts, its vote or more. ts of
 * NOT_DONE: any. IN_DOUBT: it stays noted until another commit is DONE. */
void txn_clock_end(struct txn_clock *k, uint64_t ts, enum txn_commit outcome);

/* ---- the floor's promise */

/* What is to be made durable as the floor, so that `wanted` (0: nothing in particular) is covered;
 * 0: nothing. commits_anyway: there is a commit it can go with, so that it moves ahead in time.
 * ahead: how far ahead of now (hlc_now()) a promise reaches (difference of timestamps). */
uint64_t txn_clock_due(const struct txn_clock *k, uint64_t wanted, uint64_t now, uint64_t ahead,
                       bool commits_anyway);
/* It is durable, in the file or in the redo log; raise: as far the floor goes up at once, too (it
 * stops at what is durable). */
void txn_clock_promised(struct txn_clock *k, uint64_t floor_durable, uint64_t raise);
