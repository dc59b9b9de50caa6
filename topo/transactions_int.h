/* transactions_int.h - between transactions.c, which keeps up with the store and answers,
 * transactions_batch.c, which writes, transactions_collect.c, which forgets, and
 * transactions_admin.c, which shows. Loop thread. */
#pragma once

#include <sys/queue.h>

#include "proto/shoal/v1/api.pb-c.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "topo/op.h"
#include "topo/prepared.h"
#include "topo/records.h"
#include "topo/transactions.h"
#include "txn/decision.h"

/* One decision or report of a call. Borrows from its request. */
struct txn_item {
        struct txn_id id;
        enum { TXN_DECIDE = 0, TXN_PREPARED, TXN_DURABLE } kind;
        enum decision_asker asker; /* of TXN_DECIDE */
        bool commit;               /* likewise; and the next one */
        uint64_t commit_ts;
        uint64_t prepared_ms;    /* of TXN_PREPARED */
        const char *participant; /* that reports */
        char **participants;     /* all there are, of a commit or TXN_PREPARED */
        size_t n_participants;
};

/* A call that waits for the store. */
struct txn_call {
        STAILQ_ENTRY(txn_call) link;
        struct op *op;
        void (*item)(const struct op *op, size_t i, struct txn_item *ret_item);
        size_t n_items;
        size_t n_settled; /* the first that need nothing any more */
        bool is_in_batch; /* something of it is being written */
};
STAILQ_HEAD(txn_calls, txn_call);

/* A live gate and its epoch. */
struct txn_lease {
        uint64_t epoch;
        char *gate;
};

/* Owner: the loop thread. */
struct transactions {
        struct topo *topo;
        struct records *records;
        struct prepared_table *prepared;
        struct txn_lease *leases; /* in order of their epochs */
        size_t n_leases;
        bool leases_are_stale; /* gates have come or gone since they were listed */

        struct txn_calls decisions, reports; /* decisions go first */
        bool is_writing;
        size_t n_written[DECISION_DONE + 1]; /* by the batch under way, of each kind of record */

        bool is_collecting;
        size_t n_rounds;    /* of collection since the last tick */
        size_t n_collected; /* by the last round */
};

/* ---- transactions.c: what is known of a transaction */
/* Who holds the lease with the epoch; NULL: nobody. Borrowed until the store changes. */
const char *transactions_holder(struct transactions *all, uint64_t epoch);
struct decision_view transactions_view(struct transactions *all, const struct txn_id *id);
/* Is the record that of another transaction, whose id differs in its start only? */
bool transactions_is_other(const struct transactions *all, const struct txn_id *id);
/* ERR_INVALID (BAD_TRANSACTION), ERR_UNAVAILABLE (STORE_BEHIND). */
enum err_code transactions_check_id(const struct transactions *all, const struct txn_id *id,
                                    struct err *reterr) must_check_;
/* By the rules. is_left: a TXN_DURABLE's participant is among those that have not reported. */
struct decision_outcome transactions_judge(const struct transactions *all,
                                           const struct txn_item *item,
                                           const struct decision_view *view, bool is_left);
/* With what is in the records; is_left comes from there. */
struct decision_outcome transactions_judge_now(struct transactions *all,
                                               const struct txn_item *item);

/* ---- transactions_batch.c */
/* Of a call's prepare: writes what has to be written for its items, then goes on with it. */
void transactions_write(struct op *op, struct txn_calls *queue, size_t n_items,
                        void (*item)(const struct op *op, size_t i, struct txn_item *ret_item));
