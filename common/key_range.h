/* key_range.h - ranges of 64-bit keyspace ids and their names, as in Vitess: "-80", "80-c0", "c0-",
 * "-". A bound is the hexadecimal digits of its first bytes; what follows is zero. Pure functions;
 * any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum { KEY_RANGE_NAME_BYTES = 40 };

/* [start, end), where end 0 stands for 2^64. */
struct key_range {
        uint64_t start;
        uint64_t end;
};

static inline bool key_range_has(const struct key_range *r, uint64_t id)
{
        return id >= r->start && (r->end == 0 || id < r->end);
}

/* The i-th of n equal ranges, 0 <= i < n, n >= 1. Bounds are cut to as few whole bytes as still
 * tell neighbours apart. */
struct key_range key_range_of_n(uint32_t i, uint32_t n);
/* "80-c0". */
void key_range_name(const struct key_range *r, char ret_name[KEY_RANGE_NAME_BYTES]);
/* ERR_INVALID: not a range's name. */
enum err_code key_range_parse(const char *name, struct key_range *ret_range,
                              struct err *reterr) must_check_;
