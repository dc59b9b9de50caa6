/* transaction_int.h - what transaction.c and transaction_end.c share. Loop thread. */
#pragma once

#include "gate/transaction.h"

/* Owner: the loop thread. */
struct transactions {
        struct gate *gate;
        uint64_t epoch, last_counter;
        struct transaction *open;
        struct decision_store store; /* whose answers were acted on */
};

/* No decision will be asked for on a smaller counter of the epoch. */
uint64_t transactions_oldest(const struct transactions *all);
/* Tablets let go of its snapshots. */
void transaction_release_pins(struct transaction *t);
struct tablet_part transaction_part(const struct coordinator_part *p);
/* What a shard's failure, or NULL, means to the protocol. */
enum txn_result transaction_result(const struct err *failure);
/* As if the gate had crashed. */
void transaction_destroy(struct transaction *t);
