/* kv_db_int.h - the SQLite file behind store_sqlite.c: plain calls that block. Owner: one thread at
 * a time. */
#pragma once

#include "topo/store_int.h"

struct kv_db;

/* Items that own their bytes. */
struct kv_items {
        struct store_item *items;
        size_t n;
        size_t n_allocated;
        size_t n_bytes; /* of the values */
};
void kv_items_done(struct kv_items *list);
/* Copies key and value; value NULL: the key is deleted. */
void kv_items_add(struct kv_items *list, const char *key, const void *value, size_t n_bytes,
                  uint64_t revision, uint64_t lease);

struct kv_lease {
        uint64_t id;
        uint64_t ttl_ms;
};

/* Opens or creates the file, and takes it for this process alone. ERR_UNAVAILABLE
 * (STORE_UNAVAILABLE), ERR_DATA_LOSS (STORE_DAMAGED), ERR_PRECONDITION (STORE_FORMAT: written by a
 * newer version). */
enum err_code kv_db_open(const char *path, uint64_t keep_revisions, struct kv_db **ret_db,
                         struct err *reterr) must_check_;
struct kv_db *kv_db_close(struct kv_db *db); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct kv_db *, kv_db_close);

uint64_t kv_db_revision(const struct kv_db *db);

/* Items whose key is, or with is_prefix begins with, key. */
enum err_code kv_db_read(struct kv_db *db, const char *key, bool is_prefix,
                         struct kv_items *ret_items, struct err *reterr) must_check_;
/* As store_commit(); what was changed is added to *ret_changes, deleted keys with value NULL. */
enum err_code kv_db_commit(struct kv_db *db, const struct store_txn *x,
                           struct kv_items *ret_changes, struct err *reterr) must_check_;
/* What the revisions from `from` on changed, oldest first, whole revisions, until about max_bytes;
 * *ret_next is the revision to go on with. ERR_OUT_OF_RANGE (COMPACTED). */
enum err_code kv_db_history(struct kv_db *db, const char *prefix, uint64_t from, size_t max_bytes,
                            struct kv_items *ret_items, uint64_t *ret_next,
                            struct err *reterr) must_check_;

enum err_code kv_db_lease_add(struct kv_db *db, uint64_t ttl_ms, uint64_t *ret_lease,
                              struct err *reterr) must_check_;
/* Ends the lease and deletes its keys; an unknown one is fine. */
enum err_code kv_db_lease_end(struct kv_db *db, uint64_t lease, struct kv_items *ret_changes,
                              struct err *reterr) must_check_;
/* All leases, malloc'ed. */
enum err_code kv_db_leases(struct kv_db *db, struct kv_lease **ret_leases, size_t *ret_n,
                           struct err *reterr) must_check_;
