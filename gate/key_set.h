/* key_set.h - the keys that a part waits for (plan.h, struct plan_after): collected from the rows
 * of another as they come, then put into requests. Loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/shard_map.h"
#include "common/value.h"
#include "gate/plan.h"

enum {
        KEY_SET_MAX_KEYS = 4000,       /* more, and the part is fetched whole … */
        KEY_SET_MAX_BYTES = 256 << 10, /* … or of more bytes … */
        KEY_SET_MAX_ROWS = 64 << 10,   /* … or looked for in more rows */
        KEY_SET_REQUEST_KEYS = 512,    /* in one request */
        KEY_SET_MAX_REQUESTS = KEY_SET_MAX_KEYS / KEY_SET_REQUEST_KEYS + 1,
};

/* Zeroed, but for the arena, is empty. */
struct key_set {
        struct arena *arena; /* for all of it */
        struct value *keys;  /* each once; none is NULL */
        size_t n;
        bool overflowed; /* it does not have them all */
        /* private */
        size_t n_allocated, n_bytes, n_rows;
        uint32_t *places; /* by hash: index + 1 */
        struct value *row;
};

/* Takes the keys from rows of the part that a->part names, a piece of an encoded ResultSet.
 * ERR_INTERNAL (reason BAD_REPLY): they do not decode. */
enum err_code key_set_add_rows(struct key_set *s, const struct plan *p, const struct plan_after *a,
                               const uint8_t *result, size_t n_bytes,
                               struct err *reterr) must_check_;
/* With as many keys it is better to fetch but their rows. */
bool key_set_pays(const struct key_set *s, const struct plan_after *a);

/* A request for the rows of some keys. */
struct key_request {
        const char *sql;
        const struct value *values; /* the statement's, and the keys behind them */
        size_t n_values;
        uint64_t *bits; /* the shards that can have such rows; of those in the mask */
        size_t n_shards;
};
/* Splits the keys up; all of it lies in the arena. *ret_n may be 0: no shard has such a row. mask:
 * one bit for each shard. ERR_EXHAUSTED (reason STATEMENT_TOO_LARGE). */
enum err_code key_set_split(struct key_set *s, const struct plan_after *a,
                            const struct shard_map *shards, const uint64_t *mask,
                            const struct plan_values *values, struct key_request **ret_requests,
                            size_t *ret_n, struct err *reterr) must_check_;
