/* args_int.h - arguments of a channel or a server, all of them integers. */
#pragma once

#include <assert.h>
#include <grpc/grpc.h>
#include <limits.h>
#include <stdint.h>

#include "common/util.h"

struct args {
        grpc_arg items[16];
        size_t n;
};

/* key is borrowed. What is too large for libgrpc is cut to its largest. */
static inline void args_add(struct args *a, const char *key, uint64_t value)
{
        assert(a->n < ARRAY_LEN(a->items));
        a->items[a->n++] = (grpc_arg){
                .type = GRPC_ARG_INTEGER,
                .key = (char *)key,
                .value.integer = value > INT_MAX ? INT_MAX : (int)value,
        };
}

static inline grpc_channel_args args_list(struct args *a)
{
        return (grpc_channel_args){ .num_args = a->n, .args = a->items };
}
