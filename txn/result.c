/* result.c - what is answered about transactions, as errors. */
#include "txn/result.h"

#include <assert.h>

static const struct {
        enum err_code code;
        const char *name, *message;
} results[TXN_N_RESULTS] = {
        /* clang-format off */
        [TXN_OK] = { ERR_OK, "OK", "" },
        [TXN_FAILED] = { ERR_INTERNAL, "BUG", "the engine's failure has got lost" },
        [TXN_WRITE_CONFLICT] = { ERR_ABORTED, "WRITE_CONFLICT", "another transaction came first; begin again" },
        [TXN_READ_CONFLICT] = { ERR_ABORTED, "READ_CONFLICT", "what the transaction has read has been changed; begin again" },
        [TXN_PARTICIPANT_LOST] = { ERR_ABORTED, "PARTICIPANT_LOST", "the transaction is not there any more; begin again" },
        [TXN_TOO_OLD] = { ERR_ABORTED, "TRANSACTION_TOO_OLD", "the transaction was begun too long ago; begin again" },
        [TXN_FENCED] = { ERR_ABORTED, "TRANSACTION_FENCED", "the transaction was ended by somebody who asked for its outcome" },
        [TXN_ROLLED_BACK] = { ERR_ABORTED, "ROLLED_BACK", "the transaction was rolled back" },
        [TXN_NOT_FOUND] = { ERR_NOT_FOUND, "UNKNOWN_TRANSACTION", "the transaction was not committed" },
        [TXN_UNDECIDED] = { ERR_UNAVAILABLE, "UNDECIDED", "the transaction has not ended yet" },
        [TXN_FORGOTTEN] = { ERR_NOT_FOUND, "FORGOTTEN", "the transaction has ended so long ago that its outcome is not kept any more" },
        [TXN_IN_DOUBT] = { ERR_UNKNOWN, "OUTCOME_UNKNOWN", "the commit failed half way" },
        [TXN_RECOVERING] = { ERR_UNAVAILABLE, "SHARD_RECOVERING", "the shard waits for the outcome of transactions before it serves" },
        [TXN_CANCELLED] = { ERR_CANCELLED, "CANCELLED", "cancelled while waiting" },
        [TXN_NO_ANSWER] = { ERR_UNKNOWN, "OUTCOME_UNKNOWN", "nothing was heard of it" },
        [TXN_TOO_MANY] = { ERR_EXHAUSTED, "TOO_MANY_TRANSACTIONS", "too many transactions wait for the shard" },
        /* clang-format on */
};

enum err_code txn_result_err(enum txn_result r, const char *what, struct err *reterr)
{
        assert(r != TXN_OK && r < TXN_N_RESULTS);
        return err_set(reterr, results[r].code, results[r].name, "%s: %s", what,
                       results[r].message);
}

const char *txn_result_name(enum txn_result r)
{
        assert(r < TXN_N_RESULTS);
        return results[r].name;
}
