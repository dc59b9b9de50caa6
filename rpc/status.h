/* status.h - struct err as a gRPC status: code, message, and google.rpc.Status with one
 * google.rpc.ErrorInfo in grpc-status-details-bin. Field numbers: google/rpc/status.proto,
 * google/rpc/error_details.proto. Any thread. */
#pragma once

#include <grpc/slice.h>

#include "common/buf.h"
#include "common/err.h"

#define STATUS_DETAILS_KEY "grpc-status-details-bin"

/* Appends the encoded google.rpc.Status. ErrorInfo: reason, domain "shoal", metadata sqlite_code,
 * extended_code, sqlite_message, offset, shard, statement_index - each only where known. What is
 * not UTF-8 in a string is replaced. */
void status_encode(struct buf *b, const struct err *e);
/* The other way round: code and msg are given, what the details hold is added. Malformed details
 * are ignored. */
void status_decode(const uint8_t *details, size_t n_bytes, enum err_code code, const char *msg,
                   struct err *ret_err);
/* e->msg as valid UTF-8, owned by the caller. */
grpc_slice status_message(const struct err *e);
