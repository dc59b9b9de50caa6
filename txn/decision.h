/* decision.h - how transactions over several shards end: topo's rules, as pure functions of what
 * its store holds about one transaction. Any thread.
 *
 * The record of a transaction (transaction/EPOCH/COUNTER) goes through
 *
 *           +--> ABORTED -----------------------+
 *           |                                   v
 *   NONE ---+                                  NONE, for good
 *           |                                   ^
 *           +--> COMMITTED --------> DONE ------+
 *
 * NONE       never decided, or forgotten: the mark and the lease tell which may be the case.
 * COMMITTED  it is committed with commit_ts. Some participant may not have made that durable, and
 *            will ask what to do with its redo.
 * ABORTED    it will never be committed; some participant may yet ask.
 * DONE       a tombstone. It is committed and durable everywhere: nobody who holds redo asks any
 *            more. It stands only so that nothing else can be decided in its place.
 *
 * What makes a decision final:
 *  - A record is written only where there is none, and only by decision_decide() and
 *    decision_on_prepared(); so the first one stands.
 *  - COMMITTED is written only while the gate's lease with the id's epoch lasts and the id is not
 *    below the epoch's mark. Both can only ever get stricter: an epoch is leased once, and marks
 *    rise. So when one of them forbids COMMITTED and there is no record, there never will be one.
 *  - A record goes only when one of them forbids COMMITTED, and, if it is COMMITTED, only after all
 *    participants have reported it durable. So whoever holds redo and finds no record where
 *    COMMITTED is forbidden knows that it is aborted; to all others that means "forgotten".
 *
 * The caller reads all of a view at one revision of the store, and commits what comes out in one
 * store transaction that expects the record and the mark unchanged since then and, if
 * needs_lease, the gate's lease to have that epoch still; if an expectation fails it reads again.
 * An outcome without a change holds as of the view's revision, and needs no store transaction. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "txn/id.h"

enum decision_record {
        DECISION_NONE = 0,
        DECISION_COMMITTED,
        DECISION_ABORTED,
        DECISION_DONE,
};

struct decision_view {
        enum decision_record record;
        uint64_t commit_ts; /* of COMMITTED and DONE */
        size_t n_left;      /* of COMMITTED: participants that have not reported it durable */
        uint64_t counter;   /* of the id */
        uint64_t mark;      /* of the id's epoch: nothing below can be decided any more; 0: none */
        bool lease_lasts;   /* a gate holds a lease with the id's epoch */
};

/* What is told. */
enum decision_answer {
        DECISION_TELL_UNDECIDED = 0, /* not yet, or not known: ask again */
        DECISION_TELL_COMMITTED,     /* with commit_ts */
        DECISION_TELL_ABORTED,
        DECISION_TELL_FORGOTTEN, /* it has ended, is not kept any more, and cannot be decided */
};

/* What becomes of the record. */
enum decision_change {
        DECISION_KEEP = 0,
        DECISION_PUT_COMMITTED, /* new, with commit_ts and all participants */
        DECISION_PUT_ABORTED,   /* new */
        DECISION_PUT_LEFT,      /* the reporting participant is taken off those that are left */
        DECISION_PUT_DONE,      /* instead of COMMITTED */
        DECISION_DELETE,
};

struct decision_outcome {
        enum decision_answer answer; /* once the change is made */
        uint64_t commit_ts;          /* of COMMITTED */
        enum decision_change change;
        bool needs_lease; /* the change may be made only while the lease lasts */
};

/* Who asks to decide. */
enum decision_asker {
        DECISION_COORDINATOR = 0, /* the gate that has begun it */
        DECISION_HOLDER,          /* a participant that has its redo; asks for ABORTED only */
        DECISION_OPERATOR,        /* ResolveTransaction; asks for ABORTED only */
};

/* Nothing can be decided COMMITTED any more, whatever is on its way. */
bool decision_is_closed(const struct decision_view *v);

/* DecideTransactions. commit: asked to be COMMITTED with commit_ts, otherwise ABORTED; the answer
 * is what stands, whether it is what was asked or not. */
struct decision_outcome decision_decide(const struct decision_view *v, enum decision_asker asker,
                                        bool commit, uint64_t commit_ts);
/* ReportTransactions, PREPARED: a participant has had its redo for prepared_ms and knows nothing of
 * the outcome. After max_prepared_ms it is decided ABORTED if it can still be decided. */
struct decision_outcome decision_on_prepared(const struct decision_view *v, uint64_t prepared_ms,
                                             uint64_t max_prepared_ms);
/* ReportTransactions, DURABLE. is_left: the participant is among those that have not reported yet.
 * COMMITTED or FORGOTTEN: topo has taken note, the participant needs not say so again (and with
 * FORGOTTEN nobody will ever ask for it). ABORTED, UNDECIDED: contradicts what topo has; somebody's
 * files are damaged or an old copy. */
struct decision_outcome decision_on_durable(const struct decision_view *v, bool is_left);
/* FindTransactionRecord: for clients. */
struct decision_outcome decision_find(const struct decision_view *v);
/* May the record go? KEEP or DELETE. To be asked of all records of an epoch after its mark has
 * risen or its lease has ended. */
struct decision_outcome decision_collect(const struct decision_view *v);

/* The epoch's mark after a gate, whose lease with that epoch lasts (needs_lease), has told that it
 * will ask for no decision on ids below oldest_counter (0: not told). Marks only rise. */
static inline uint64_t decision_advance_mark(uint64_t mark, uint64_t oldest_counter)
{
        return oldest_counter > mark ? oldest_counter : mark;
}

/* ---- stores that went back */

enum { DECISION_STORE_ID_BYTES = 40 };

/* The store that answers came from, and the highest of its revisions that was acted on. Whoever
 * acts on decisions keeps it durably: a topo restored from an old copy would decide again what it
 * has decided. Zero: none yet. */
struct decision_store {
        char id[DECISION_STORE_ID_BYTES]; /* "": none yet */
        uint64_t revision;
};
/* May an answer be acted on? Then *s has taken note of it, and is to be made durable before
 * anything that only an answer of at least this revision allows. False: it is another store, or the
 * same one has gone back. id: NUL-terminated; longer ones are refused. */
bool decision_store_accept(struct decision_store *s, const char *id, uint64_t revision);
