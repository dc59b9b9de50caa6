/* result.h - what shards and coordinators answer about transactions, and the error that a client
 * sees. Any thread. */
#pragma once

#include "common/err.h"

enum txn_result {
        TXN_OK = 0,
        TXN_FAILED,           /* the engine has failed the request, and says why */
        TXN_WRITE_CONFLICT,   /* ABORTED: another transaction came first on the shard */
        TXN_READ_CONFLICT,    /* ABORTED: what was read has been changed, or may be */
        TXN_PARTICIPANT_LOST, /* ABORTED: the transaction is not there any more, or not as the gate
                               * believes: the shard restarted, the time was up, the stream broke */
        TXN_TOO_OLD,          /* ABORTED: begun so long ago that its end would not be known */
        TXN_FENCED,           /* ABORTED: somebody who asked was told that it never commits */
        TXN_ROLLED_BACK,      /* ABORTED: by its own gate, or by decision */
        TXN_NOT_FOUND,        /* never committed there, and never will be if it was to be fenced */
        TXN_UNDECIDED,        /* still open there, or prepared */
        TXN_FORGOTTEN,        /* so old that it is not known any more */
        TXN_IN_DOUBT,         /* UNKNOWN: it may or may not have been committed */
        TXN_RECOVERING,       /* UNAVAILABLE: the shard waits for topo before it serves */
        TXN_CANCELLED,        /* by participant_cancel(): the caller knows why */
        TXN_TOO_MANY,  /* RESOURCE_EXHAUSTED: too many wait for the shard, or are not settled */
        TXN_NO_ANSWER, /* UNKNOWN: nothing was heard; only between a gate and its coordinator */
        TXN_N_RESULTS,
};

/* The transaction can never commit after this answer to a request of it (other than FIND). */
static inline bool txn_result_is_abort(enum txn_result r)
{
        return r >= TXN_WRITE_CONFLICT && r <= TXN_ROLLED_BACK;
}

/* Code, reason and message of it; `what`: shard or transaction, for the message. Returns the code.
 * Not for TXN_OK and TXN_FAILED. */
enum err_code txn_result_err(enum txn_result r, const char *what, struct err *reterr);
/* "WRITE_CONFLICT": the reason in docs/errors.md. Static storage. */
const char *txn_result_name(enum txn_result r);
