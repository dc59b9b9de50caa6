/* pick.h - the choices of a random test, the same in every run of a seed. One sequence a test; one
 * thread. */
#pragma once

#include <stdint.h>

#include "common/util.h"

/* xorshift64*, Vigna 2014. */
static uint64_t pick_state;

static inline void pick_seed(unsigned seed)
{
        pick_state = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1);
}

/* A number below n. */
static inline unsigned pick(unsigned n)
{
        pick_state ^= pick_state >> 12;
        pick_state ^= pick_state << 25;
        pick_state ^= pick_state >> 27;
        return (unsigned)((pick_state * UINT64_C(2685821657736338717)) >> 33) % n;
}

/* One of the strings. */
#define ONE_OF(...)                                                 \
        ({                                                          \
                static const char *const list_[] = { __VA_ARGS__ }; \
                list_[pick(ARRAY_LEN(list_))];                      \
        })
