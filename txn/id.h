/* id.h - names of transactions. Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: none. */
struct txn_id {
        uint64_t epoch;   /* of the lease that the gate held */
        uint64_t start;   /* hybrid logical clock at BEGIN (common/hlc.h) */
        uint64_t counter; /* of the gate's transactions in that epoch, from 1 */
};

enum { TXN_ID_BYTES = 3 * 16 + 2 + 1 };

/* "EPOCH-START-COUNTER", in hexadecimal without leading zeros. */
void txn_id_print(const struct txn_id *id, char ret_text[TXN_ID_BYTES]);
/* text: not NUL-terminated. False: it is not what txn_id_print() writes. */
bool txn_id_parse(const char *text, size_t n_bytes, struct txn_id *ret_id);

/* Epochs and counters tell transactions apart; the start goes with them. */
static inline bool txn_id_equal(const struct txn_id *a, const struct txn_id *b)
{
        return a->epoch == b->epoch && a->counter == b->counter && a->start == b->start;
}
static inline bool txn_id_is_none(const struct txn_id *id)
{
        return !id->epoch && !id->start && !id->counter;
}

/* What a transaction is older or younger by: the start of its first attempt, then its id. A total
 * order. */
struct txn_age {
        uint64_t first_start;
        struct txn_id id;
};
/* a is older than b: b has to give way. */
bool txn_is_older(const struct txn_age *a, const struct txn_age *b);
