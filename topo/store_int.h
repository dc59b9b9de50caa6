/* store_int.h - what a kind of store implements, and transactions from the inside. */
#pragma once

#include "topo/store.h"

/* The functions of store.h by the same name; see there. Watches carry a pointer to their store's
 * functions. */
struct store_ops {
        const char *kind; /* "sqlite", in metrics */
        void (*get)(struct store *s, const char *key, store_done_fn *done, void *arg);
        void (*list)(struct store *s, const char *prefix, store_done_fn *done, void *arg);
        void (*commit)(struct store *s, struct store_txn *x, store_done_fn *done, void *arg);
        struct store_watch *(*watch_new)(struct store *s, const char *prefix,
                                         uint64_t from_revision,
                                         const struct store_watch_events *events, void *arg);
        void (*watch_free)(struct store_watch *w);
        void (*lease_grant)(struct store *s, uint64_t ttl_ms, store_done_fn *done, void *arg);
        void (*lease_keepalive)(struct store *s, uint64_t lease, store_done_fn *done, void *arg);
        void (*lease_revoke)(struct store *s, uint64_t lease, store_done_fn *done, void *arg);
        void (*close)(struct store *s, void (*done)(void *arg), void *arg);
};

/* First member of every kind's own struct. */
struct store {
        const struct store_ops *ops;
};
struct store_watch {
        const struct store_ops *ops;
};

enum store_step_kind {
        STORE_EXPECT = 0,
        STORE_PUT = 1,
        STORE_DELETE = 2,
        STORE_DELETE_PREFIX = 3,
};

struct store_step {
        enum store_step_kind kind;
        char *key;
        void *value;
        size_t n_bytes;
        uint64_t number; /* the expected revision, or the lease of a put */
};

/* Owner: one at a time; a store passes it to its worker. */
struct store_txn {
        struct store_step *steps;
        size_t n_steps;
        size_t n_allocated;
        size_t n_bytes;
        size_t n_changes;
};

/* ERR_EXHAUSTED (STORE_LIMIT), ERR_INVALID (STORE_KEY: not a key, or a key changed twice). */
enum err_code store_txn_check(const struct store_txn *x, struct err *reterr) must_check_;
