/* err.h - an error: a code to act on, a reason to match, a message to read. Lives on the request's
 * stack. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

/* Numbered like gRPC's status codes (asserted in rpc/status.c). */
enum err_code {
        ERR_OK = 0,
        ERR_CANCELLED = 1,
        ERR_UNKNOWN = 2,
        ERR_INVALID = 3,
        ERR_DEADLINE = 4,
        ERR_NOT_FOUND = 5,
        ERR_EXISTS = 6,
        ERR_DENIED = 7,
        ERR_EXHAUSTED = 8,
        ERR_PRECONDITION = 9,
        ERR_ABORTED = 10,
        ERR_OUT_OF_RANGE = 11,
        ERR_UNIMPLEMENTED = 12,
        ERR_INTERNAL = 13,
        ERR_UNAVAILABLE = 14,
        ERR_DATA_LOSS = 15,
        ERR_UNAUTHENTICATED = 16,
};

enum {
        ERR_MSG_BYTES = 512,
        ERR_REASON_BYTES = 48,
        ERR_SHARD_BYTES = 40,
};

struct err {
        enum err_code code;
        char reason[ERR_REASON_BYTES]; /* UPPER_SNAKE, stable, listed in docs/errors.md; "" while
                                          unset */
        char msg[ERR_MSG_BYTES];       /* for people; cut at the end when longer; always UTF-8 */
        int extended_code; /* SQLite's extended result code; 0: SQLite has no part in it */
        char sqlite_msg[ERR_MSG_BYTES]; /* sqlite3_errmsg() as it was; "" if none */
        int offset;                     /* byte offset in the client's statement; -1: unknown */
        int statement_index;            /* in a batch; -1: not in one */
        char shard[ERR_SHARD_BYTES];    /* "main/-80"; "" if no shard is to blame */
};

#define ERR_INIT                                    \
        {                                           \
                .offset = -1, .statement_index = -1 \
        }

/* Makes *e a new error and returns its code. e may be NULL. reason is a literal of docs/errors.md.
 */
enum err_code err_set(struct err *e, enum err_code code, const char *reason, const char *fmt, ...)
    printf_(4, 5);

/* Puts "<context>: " before the message, keeps all else and returns code, so that
 * `return err_wrap(reterr, rc, "shard %s", name)` passes an error up. e may be NULL. */
enum err_code err_wrap(struct err *e, enum err_code code, const char *fmt, ...) printf_(3, 4);

/* "UNAVAILABLE" for ERR_UNAVAILABLE; "UNKNOWN" for a number that is none. Static storage. */
const char *err_code_name(enum err_code code);
