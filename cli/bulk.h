/* bulk.h - many statements that do not depend on each other's results, sent in batches: while one
 * is under way the next is filled. They are done in order and not atomic; one that fails does not
 * stop the others. Owner: the main thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/remote.h"
#include "common/err.h"
#include "common/value.h"

enum {
        BULK_BATCH_STATEMENTS = 1024,
        BULK_BATCH_BYTES = 1 << 20,
        BULK_MAX_ATTEMPTS = 8, /* of a batch, with a pause that doubles from 50 ms */
};

struct bulk;

/* A statement has failed for good; tag is what bulk_add was given. */
typedef void bulk_failed_fn(void *arg, long tag, const struct err *e);

/* keyspace is borrowed. Never NULL. */
struct bulk *bulk_new(struct remote *gate, const char *keyspace, bulk_failed_fn *failed, void *arg);
/* What is under way is cancelled. Accepts NULL, returns NULL. */
struct bulk *bulk_free(struct bulk *b);
DEFINE_CLEANUP(struct bulk *, bulk_free);

/* Adds a statement, whose bytes are copied. Statements with the same text and other parameters are
 * the fast ones: a gate runs those of a batch together. Waits while a batch is under way and the
 * next is full. An error means that going on is of no use: the gate cannot be reached, does not
 * serve batches, or Ctrl-C was pressed. */
enum err_code bulk_add(struct bulk *b, long tag, const char *sql, size_t n_sql_bytes,
                       const struct value *params, size_t n_params, struct err *reterr) must_check_;
/* Sends what is left and waits for all of it. */
enum err_code bulk_finish(struct bulk *b, struct err *reterr) must_check_;
/* Statements done, rows they have changed, and statements that failed. */
uint64_t bulk_n_done(const struct bulk *b);
uint64_t bulk_n_rows(const struct bulk *b);
uint64_t bulk_n_failed(const struct bulk *b);
