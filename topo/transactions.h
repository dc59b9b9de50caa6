/* transactions.h - what topo does for transactions over several shards: it keeps how they ended,
 * write-once. The rules are txn/decision.h's; here they are read from, and written to, the store.
 * docs/transactions.md tells the protocol. Loop thread.
 *
 * A decision takes one transaction of the store, so one fsync; those that arrive while the store is
 * busy share the next one. A request may have MAX_ITEMS decisions or reports of MAX_PARTICIPANTS
 * each; records are at most MAX_RECORDS. Beyond that ERR_EXHAUSTED (TOPO_LIMIT).
 *
 * Other errors: ERR_INVALID (BAD_TRANSACTION): an id without epoch or counter, a commit that names
 * no participants, and the like. ERR_UNAVAILABLE (STORE_BEHIND): the id's epoch is later than
 * anything in the store, which may have been restored from an old copy; nothing is decided. */
#pragma once

#include "topo/op.h"

enum {
        TRANSACTIONS_MAX_ITEMS = 1024,
        TRANSACTIONS_MAX_PARTICIPANTS = 1024,
        TRANSACTIONS_MAX_NAME_BYTES = 63, /* of a participant */
        TRANSACTIONS_MAX_RECORDS = 1000000,
        /* Of a list: the first that are not resolved, then the last of the others. */
        TRANSACTIONS_MAX_LISTED = 10000,
        TRANSACTIONS_MAX_LIST_BYTES = 3 << 20,
        TRANSACTIONS_MAX_KEPT = 100000, /* ended ones that are kept for those who ask */
        TRANSACTIONS_KEEP_MS = 600000,  /* for how long, if not told otherwise */
        TRANSACTIONS_MAX_PREPARED_MS = 30000,
};

struct transactions;

struct transactions *transactions_new(struct topo *t);
struct transactions *transactions_free(struct transactions *all); /* accepts NULL, returns NULL */
/* What the catalogue is told, in the same words (topo/catalog.h), and after it. */
enum err_code transactions_replace(struct transactions *all, const struct store_item *items,
                                   size_t n_items, struct err *reterr) must_check_;
enum err_code transactions_apply(struct transactions *all, const struct store_item *items,
                                 size_t n_items, struct err *reterr) must_check_;
/* Now and then: forgets what may be forgotten. */
void transactions_tick(struct transactions *all);

extern const struct op_method transactions_decide;  /* TopoInternal.DecideTransactions */
extern const struct op_method transactions_report;  /* TopoInternal.ReportTransactions */
extern const struct op_method transactions_find;    /* TopoInternal.FindTransactionRecord */
extern const struct op_method transactions_list;    /* Topo.ListTransactions */
extern const struct op_method transactions_resolve; /* Topo.ResolveTransaction */
