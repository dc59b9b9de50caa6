/* scatter.h - one statement, or one schema change, on some shards of a keyspace: one request for
 * each tablet that serves any of them, what they answer gathered per shard. Everything on the loop
 * thread. */
#pragma once

#include <grpc/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "gate/catalog.h"
#include "gate/tablet_client.h"

struct transaction;

struct scatter;

struct scatter_call;

/* What came of one shard. */
struct scatter_shard {
        uint32_t index; /* in the keyspace's shard map */
        const struct shard_map_entry *entry;
        bool ended;
        bool pinned;
        bool replayed;
        uint64_t rows, bytes, elapsed_us, commit_ts;
        struct err *failure;   /* NULL: none */
        uint8_t *request_note; /* of a probe; NULL: none */
        size_t n_note_bytes;
        struct scatter_call *call; /* private: what is said elsewhere does not count any more */
};

struct scatter_events {
        /* May be NULL. A piece of the rows of shard i (of scatter_shard_at), as encoded ResultSet
         * fields, borrowed for the call; a part can be kept by grpc_slice_sub(*slice, …). */
        void (*on_result)(void *arg, struct scatter *s, size_t i, const uint8_t *result,
                          size_t n_bytes, const grpc_slice *slice);
        /* Once, last, never inside scatter_execute(). e: ERR_OK, or the first failure with the
         * shard's name. Frees the scatter or leaves that for later. */
        void (*on_end)(void *arg, struct scatter *s, const struct err *e);
        /* May be NULL. The snapshot that shard i is read in is exact on [c, e]. Rows of the shard
         * may come before. */
        void (*on_pin)(void *arg, struct scatter *s, size_t i, uint64_t c, uint64_t e);
};

struct scatter_options {
        struct tablets *tablets;
        struct catalog *catalog;    /* a reference is taken */
        const uint64_t *shard_bits; /* bit i: shard i of the catalog's map; at least one is set */
        int64_t deadline_us;        /* mono_us(); INT64_MAX: none */
        bool keep_going;            /* a failure does not stop the other shards */
        bool is_open; /* shards may be pinned again: it does not end well before scatter_close() */
        /* NULL: none. takes_part: the shards run the statement in its write transaction, which is
         * told what they answer. Else those that it has pinned are asked by those pins. */
        struct transaction *transaction;
        bool takes_part;
        uint64_t savepoint; /* with takes_part: the innermost that the statement is in */
        const struct scatter_events *events;
        void *arg;
};

/* x is borrowed for the call. x->max_rows and max_bytes hold per shard; window_bytes per tablet.
 * Never NULL. */
struct scatter *scatter_execute(const struct scatter_options *o, const struct tablet_execute *x);
struct scatter *scatter_change_schema(const struct scatter_options *o,
                                      const struct tablet_change_schema *x);
/* Undoes on shards that take part in o->transaction what x says; x->parts are filled in. */
struct scatter *scatter_undo(const struct scatter_options *o, const struct tablet_transaction *x);
/* Of an open one: the shards with these bits begin anew with x, whatever they have said is void. */
void scatter_pin_again(struct scatter *s, const uint64_t *bits, const struct tablet_execute *x,
                       int64_t deadline_us);
/* Nothing will be pinned again. on_end may run inside. */
void scatter_close(struct scatter *s);
/* The tablets let go of the pin; but for those that `earlier` have told already. */
void scatter_release_pin(const struct scatter *s, uint64_t pin,
                         const struct scatter *const *earlier, size_t n_earlier);
/* Asks the tablets to stop: what has not ended fails soon. on_end comes when all have; or never, if
 * nothing is under way (false). */
bool scatter_stop(struct scatter *s);
/* Is anything under way? */
bool scatter_is_busy(const struct scatter *s);
/* Stops what is still under way, without events. Accepts NULL, returns NULL. */
struct scatter *scatter_free(struct scatter *s);
/* n_bytes of the rows of shard i have been consumed. */
void scatter_credit(struct scatter *s, size_t i, uint64_t n_bytes);

size_t scatter_n_shards(const struct scatter *s);
const struct scatter_shard *scatter_shard_at(const struct scatter *s, size_t i);
/* The shard's failure did not come from running the statement: it is at another schema version; it
 * is served elsewhere, or not now. */
bool scatter_is_schema_changed(const struct err *e);
bool scatter_is_not_served(const struct err *e);

/* Words that hold one bit per shard of c. */
size_t scatter_n_words(const struct catalog *c);
