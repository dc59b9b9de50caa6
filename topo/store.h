/* store.h - where topo keeps what must not be lost: keys and values under one rising revision,
 * behind an interface that an embedded SQLite file (store_sqlite.h) and etcd v3 can both satisfy.
 *
 * Every function runs on the loop thread, and every completion runs later on the loop thread, never
 * inside the call. A completion runs exactly once. Errors that a completion may report, besides
 * those named below: ERR_UNAVAILABLE (STORE_UNAVAILABLE): the store is away; nothing was changed.
 * ERR_UNKNOWN (OUTCOME_UNKNOWN): the store went away while it was being changed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct store;
struct store_txn;
struct store_watch;

/* What etcd takes too. Larger: ERR_EXHAUSTED (STORE_LIMIT). */
enum {
        STORE_MAX_KEY_BYTES = 2048,
        STORE_MAX_TXN_STEPS = 128,
        STORE_MAX_TXN_BYTES = 3 << 19, /* keys and values, 1.5 MiB */
};

/* A key (printable ASCII) and what it holds. Borrowed for the callback. */
struct store_item {
        const char *key;
        const void *value; /* NULL in a change that deletes the key */
        size_t n_bytes;
        uint64_t mod_revision; /* of the change that wrote the value, or deleted it */
        uint64_t lease;        /* that the key is attached to; 0: none */
};

struct store_result {
        const struct err *err; /* err->code is ERR_OK when it worked */
        uint64_t revision;     /* the store's, when it answered; a watch of "" gets there */
        const struct store_item *items;
        size_t n_items;
        uint64_t lease;
};
typedef void store_done_fn(void *arg, const struct store_result *result);

/* One item, or none if the key is absent. */
void store_get(struct store *s, const char *key, store_done_fn *done, void *arg);
/* All items whose key begins with prefix, in order of the keys' bytes, as of one revision. */
void store_list(struct store *s, const char *prefix, store_done_fn *done, void *arg);

/* ---- transactions: all the changes, in one new revision, if every expectation holds; otherwise
 * none. A key may be changed once in a transaction. Steps are expectations and changes. */
struct store_txn *store_txn_new(void);
struct store_txn *store_txn_free(struct store_txn *x); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct store_txn *, store_txn_free);
/* The key was last written by that revision; 0: it is absent. */
void store_txn_expect(struct store_txn *x, const char *key, uint64_t mod_revision);
/* Copies the value. lease 0: none. */
void store_txn_put(struct store_txn *x, const char *key, const void *value, size_t n_bytes,
                   uint64_t lease);
void store_txn_delete(struct store_txn *x, const char *key); /* an absent key is fine */
void store_txn_delete_prefix(struct store_txn *x, const char *prefix);
size_t store_txn_n_changes(const struct store_txn *x);
/* Takes x. result->revision is the new one, or with ERR_ABORTED (STORE_CONFLICT: an expectation
 * failed) the store's. ERR_NOT_FOUND (LEASE_NOT_FOUND): a put names a lease that has ended. */
void store_commit(struct store *s, struct store_txn *x, store_done_fn *done, void *arg);

/* ---- watches */
struct store_watch_events {
        /* What one revision changed among the keys with the prefix; revisions come in order, none
         * is left out. */
        void (*on_change)(void *arg, uint64_t revision, const struct store_item *items,
                          size_t n_items);
        /* The watch is over; it is still to be freed. ERR_OUT_OF_RANGE (COMPACTED): from_revision,
         * or where the watch had got to, is forgotten: read everything again. ERR_UNAVAILABLE: the
         * store is away. */
        void (*on_end)(void *arg, const struct err *err);
};
/* All changes with from_revision and later. Never NULL. */
struct store_watch *store_watch_new(struct store *s, const char *prefix, uint64_t from_revision,
                                    const struct store_watch_events *events, void *arg);
/* No event runs any more. Accepts NULL, returns NULL. */
struct store_watch *store_watch_free(struct store_watch *w);

/* ---- leases. A key attached to a lease is deleted when that ends. A store that was away extends
 * them. */
void store_lease_grant(struct store *s, uint64_t ttl_ms, store_done_fn *done, void *arg);
/* Begins the ttl anew. ERR_NOT_FOUND (LEASE_NOT_FOUND): it has ended. */
void store_lease_keepalive(struct store *s, uint64_t lease, store_done_fn *done, void *arg);
void store_lease_revoke(struct store *s, uint64_t lease, store_done_fn *done, void *arg);

/* Ends it: what was asked before is completed, then done runs and s is gone. All watches have been
 * freed. */
void store_close(struct store *s, void (*done)(void *arg), void *arg);
