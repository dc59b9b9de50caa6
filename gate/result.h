/* result.h - a ResultSet in the making: slices of encoded rows, put together without copying them.
 * Loop thread. */
#pragma once

#include <grpc/slice.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/* Zeroed is empty. */
struct result {
        const uint8_t *columns; /* encoded fields 1; borrowed until the result is used */
        size_t n_columns_bytes;
        grpc_slice *rows;
        size_t n_rows_slices, n_allocated;
        size_t n_rows_bytes;
};

/* Takes the slice: encoded ResultSet fields. */
void result_add(struct result *r, grpc_slice rows);
void result_clear(struct result *r);
/* Of the encoded ResultSet. */
size_t result_size(const struct result *r);

/* A message in the making: slices and small bytes in between, in order. Zeroed is empty. */
struct message {
        struct buf head; /* bytes since the last slice */
        grpc_slice *slices;
        size_t n_slices, n_allocated;
};

/* Appends r as a field of the message; small ones are copied, for a slice each costs more. r is
 * empty afterwards. */
void message_add_result(struct message *m, uint32_t field, struct result *r);
/* Its bytes as one byte buffer; m is empty afterwards. */
struct grpc_byte_buffer *message_take(struct message *m);
void message_clear(struct message *m);
