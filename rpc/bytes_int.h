/* bytes_int.h - byte buffers of libgrpc as contiguous memory. */
#pragma once

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <stdbool.h>

/* All bytes of bb as one slice. A buffer of one slice, which is what nearly all are, is borrowed
 * from bb and false is returned; otherwise the bytes were copied and the caller unrefs the slice.
 * An inlined slice holds its bytes itself: take their address from *ret_slice where it stays, never
 * from a copy. */
bool bytes_contiguous(grpc_byte_buffer *bb, grpc_slice *ret_slice);

static inline bool bytes_is_one_slice(const grpc_byte_buffer *bb)
{
        return bb->type == GRPC_BB_RAW && bb->data.raw.slice_buffer.count == 1;
}
