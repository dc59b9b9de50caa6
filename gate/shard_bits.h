/* shard_bits.h - a set of shards: bit i stands for shard i of a shard map. As many words as
 * shard_bits_words() says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t shard_bits_words(size_t n_shards)
{
        return (n_shards + 63) / 64;
}

static inline bool shard_bits_has(const uint64_t *bits, size_t shard)
{
        return bits[shard / 64] >> shard % 64 & 1;
}

static inline void shard_bits_add(uint64_t *bits, size_t shard)
{
        bits[shard / 64] |= UINT64_C(1) << shard % 64;
}

static inline void shard_bits_remove(uint64_t *bits, size_t shard)
{
        bits[shard / 64] &= ~(UINT64_C(1) << shard % 64);
}

static inline size_t shard_bits_count(const uint64_t *bits, size_t n_words)
{
        size_t n = 0;

        for (size_t i = 0; i < n_words; i++)
                n += (size_t)__builtin_popcountll(bits[i]);
        return n;
}

/* How many of the set come before the shard. */
static inline size_t shard_bits_rank(const uint64_t *bits, size_t shard)
{
        uint64_t below = (UINT64_C(1) << shard % 64) - 1;

        return shard_bits_count(bits, shard / 64) +
               (size_t)__builtin_popcountll(bits[shard / 64] & below);
}
