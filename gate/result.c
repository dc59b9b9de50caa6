/* result.c - slices of rows into messages. Loop thread. */
#include "gate/result.h"

#include <grpc/byte_buffer.h>

#include "common/wire.h"
#include "rpc/server.h"

/* Up to here copying is cheaper than another slice in the byte buffer. */
enum { COPY_BYTES = 2048 };

static void grow(grpc_slice **slices, size_t n, size_t *n_allocated)
{
        if (n < *n_allocated)
                return;
        *n_allocated = *n_allocated ? *n_allocated * 2 : 4;
        *slices = xrealloc(*slices, *n_allocated * sizeof(**slices));
}

void result_add(struct result *r, grpc_slice rows)
{
        grow(&r->rows, r->n_rows_slices, &r->n_allocated);
        r->n_rows_bytes += GRPC_SLICE_LENGTH(rows);
        r->rows[r->n_rows_slices++] = rows;
}

void result_clear(struct result *r)
{
        for (size_t i = 0; i < r->n_rows_slices; i++)
                grpc_slice_unref(r->rows[i]);
        free(r->rows);
        *r = (struct result){ 0 };
}

size_t result_size(const struct result *r)
{
        return r->n_columns_bytes + r->n_rows_bytes;
}

static void add_slice(struct message *m, grpc_slice slice)
{
        grow(&m->slices, m->n_slices, &m->n_allocated);
        m->slices[m->n_slices++] = slice;
}

static void end_head(struct message *m)
{
        if (!m->head.n_bytes)
                return;
        add_slice(m, grpc_slice_new(m->head.data, m->head.n_bytes, free));
        m->head = (struct buf)BUF_INIT(0);
}

void message_add_result(struct message *m, uint32_t field, struct result *r)
{
        enum { TAG_AND_LENGTH = 16 };

        buf_reserve(&m->head, r->n_columns_bytes + TAG_AND_LENGTH +
                                  (r->n_rows_bytes <= COPY_BYTES ? r->n_rows_bytes : 0));
        wire_add_varint(&m->head, (uint64_t)field << 3 | WIRE_BYTES);
        wire_add_varint(&m->head, result_size(r));
        buf_add(&m->head, r->columns, r->n_columns_bytes);
        for (size_t i = 0; i < r->n_rows_slices; i++) {
                grpc_slice s = r->rows[i];

                if (GRPC_SLICE_LENGTH(s) <= COPY_BYTES) {
                        buf_add(&m->head, GRPC_SLICE_START_PTR(s), GRPC_SLICE_LENGTH(s));
                        continue;
                }
                end_head(m);
                add_slice(m, grpc_slice_ref(s));
        }
        result_clear(r);
}

struct grpc_byte_buffer *message_take(struct message *m)
{
        grpc_byte_buffer *bb;

        if (!m->n_slices)
                return rpc_from_buf(&m->head);
        end_head(m);
        bb = grpc_raw_byte_buffer_create(m->slices, m->n_slices);
        message_clear(m);
        return bb;
}

void message_clear(struct message *m)
{
        buf_done(&m->head);
        for (size_t i = 0; i < m->n_slices; i++)
                grpc_slice_unref(m->slices[i]);
        free(m->slices);
        *m = (struct message){ 0 };
}
