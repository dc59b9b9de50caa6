/* request.h - requests of clients, decoded by hand: values are borrowed from the message, nothing
 * is copied but names. Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/err.h"
#include "gate/execute.h"

struct request_limits {
        uint64_t max_statement_bytes;  /* of its text; beyond: ERR_EXHAUSTED (reason
                                          STATEMENT_TOO_LARGE) */
        uint64_t max_batch_statements; /* beyond: ERR_EXHAUSTED (reason BATCH_TOO_LARGE) */
};

/* Of an ExecuteRequest. Everything refers to message or lies in the arena. ERR_INVALID (reason
 * BAD_REQUEST, BAD_VALUE): malformed, or text that is not plain UTF-8; ERR_UNIMPLEMENTED (reason
 * TRANSACTIONS). Fills keyspace to isolation, and session. */
enum err_code request_decode_execute(const uint8_t *message, size_t n_bytes,
                                     const struct request_limits *limits, struct arena *arena,
                                     struct execute_request *ret_request,
                                     struct err *reterr) must_check_;

/* Of Isolation in api.proto. */
enum coordinator_isolation request_isolation(uint64_t isolation);

struct request_statement {
        const uint8_t *data; /* a Statement, encoded */
        size_t n_bytes;
};
struct request_batch {
        struct execute_request common; /* what all its statements share */
        struct request_statement *statements;
        size_t n_statements;
        bool atomic;
};
/* Of an ExecuteBatchRequest; its statements are decoded one by one. */
enum err_code request_decode_batch(const uint8_t *message, size_t n_bytes,
                                   const struct request_limits *limits, struct arena *arena,
                                   struct request_batch *ret_batch, struct err *reterr) must_check_;
/* Fills sql and args. */
enum err_code request_decode_statement(const struct request_statement *s,
                                       const struct request_limits *limits, struct arena *arena,
                                       struct execute_request *request,
                                       struct err *reterr) must_check_;
