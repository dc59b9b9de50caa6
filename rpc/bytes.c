/* bytes.c - making and reading byte buffers without copying more than there is to copy. Any thread.
 */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>

#include "common/buf.h"
#include "rpc/bytes_int.h"
#include "rpc/server.h"

bool bytes_contiguous(grpc_byte_buffer *bb, grpc_slice *ret_slice)
{
        grpc_byte_buffer_reader reader;

        if (bytes_is_one_slice(bb)) {
                *ret_slice = bb->data.raw.slice_buffer.slices[0];
                return false;
        }
        if (!grpc_byte_buffer_reader_init(&reader, bb)) {
                *ret_slice = grpc_empty_slice();
                return true;
        }
        *ret_slice = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
        return true;
}

/* Takes the slice. */
static grpc_byte_buffer *from_slice(grpc_slice slice)
{
        grpc_byte_buffer *bb = grpc_raw_byte_buffer_create(&slice, 1);

        grpc_slice_unref(slice);
        return bb;
}

grpc_byte_buffer *rpc_pack(const ProtobufCMessage *m)
{
        grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(m));

        protobuf_c_message_pack(m, GRPC_SLICE_START_PTR(slice));
        return from_slice(slice);
}

grpc_byte_buffer *rpc_from_buf(struct buf *b)
{
        grpc_slice slice;

        if (!b->n_bytes) {
                buf_done(b);
                return from_slice(grpc_empty_slice());
        }
        slice = grpc_slice_new(b->data, b->n_bytes, free);
        *b = (struct buf)BUF_INIT(b->max_bytes);
        return from_slice(slice);
}
