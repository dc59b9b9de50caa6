/* tablet_client.h - requests to tablets. Each tablet has a channel and a few persistent Connect
 * streams that carry many requests with their own id, deadline and cancel; streams come back by
 * themselves. Messages are encoded and decoded by hand (internal.proto). Everything on the loop
 * thread. */
#pragma once

#include <grpc/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/hlc.h"
#include "common/value.h"
#include "rpc/loop.h"
#include "txn/id.h"

struct tablets; /* all the tablets this gate talks to */
struct tablet_client;
struct tablet_stream;

struct tablets_options {
        struct loop *loop;
        struct hlc *hlc;
        unsigned n_streams;       /* to each tablet */
        uint64_t connect_wait_ms; /* how long a request waits for a stream that is not there */
        uint64_t keepalive_ms, keepalive_timeout_ms;
        uint64_t max_reply_bytes;
        size_t max_pending; /* requests under way on one stream; beyond: ERR_EXHAUSTED (reason
                               TOO_MANY_REQUESTS) */
};

struct tablets *tablets_new(const struct tablets_options *o); /* never NULL */
/* Calls under way are forgotten without an event. Accepts NULL, returns NULL. */
struct tablets *tablets_free(struct tablets *t);
/* There is (now) a tablet with this id at this address. At another address than before: its streams
 * are opened anew, and what was under way on the old ones ends as if they had broken. */
void tablets_put(struct tablets *t, const char *id, const char *address);
void tablets_drop(struct tablets *t, const char *id);
/* These are all tablets there are: puts them, drops others. */
struct tablet_address {
        const char *id, *address;
};
void tablets_set(struct tablets *t, const struct tablet_address *list, size_t n);
struct tablet_client *tablets_find(struct tablets *t,
                                   const char *id);  /* NULL if absent; valid until dropped */
size_t tablets_n_connected(const struct tablets *t); /* streams that are up, over all tablets */
struct loop *tablets_loop(const struct tablets *t);

/* ---- requests */

struct tablet_shard {
        const char *name; /* "-80" */
        uint64_t epoch;
};

/* What a transaction knows of its part in a shard (ShardPart of internal.proto). */
struct tablet_part {
        uint64_t incarnation, n_statements;
        uint64_t expect_c, max_c;
};

/* Participation of internal.proto. */
struct tablet_participation {
        struct txn_id id;
        uint64_t age;
        const struct tablet_part *parts; /* one for each shard of the request */
        uint64_t savepoint;
};

/* Execute of internal.proto, which describes the members. All borrowed for the call of
 * tablet_call_execute(). */
struct tablet_execute {
        uint64_t keyspace_id;
        uint64_t schema_version;
        const char *sql;
        size_t n_sql_bytes;
        const struct value *params;
        size_t n_params;
        bool write;
        bool cheap;
        const char *request_id; /* NULL or "": none */
        size_t n_request_id_bytes;
        int64_t now_ms;
        uint64_t read_ts;
        uint64_t pin;
        uint32_t pin_round;
        uint64_t window_bytes, chunk_bytes;
        uint64_t max_rows, max_bytes;
        const uint8_t *request_digest; /* NULL, or n_digest_bytes */
        size_t n_digest_bytes;
        bool probe_request_id;
        const uint8_t *request_note;
        size_t n_note_bytes;
        bool with_columns; /* the opposite of omit_columns */
        bool keep_pin;
        const struct tablet_participation *transaction; /* NULL: none */
};

/* Savepoint, Prepare, Validate, EndTransaction and FindTransaction of internal.proto; each has the
 * members it needs. All borrowed for the call of tablet_call_transaction(). */
enum tablet_verb {
        TABLET_SAVEPOINT = 0,
        TABLET_PREPARE,
        TABLET_VALIDATE,
        TABLET_END,
        TABLET_FIND,
};
struct tablet_transaction {
        enum tablet_verb verb;
        uint64_t keyspace_id;
        struct txn_id id;
        const struct tablet_part *parts; /* one for each shard of the request; or NULL */
        const uint64_t *c;               /* likewise, of Validate */
        const char *const *participants; /* of Prepare */
        size_t n_participants;
        uint64_t savepoint, min_ts, commit_ts, age;
        bool commit, fence;
};

struct tablet_change_schema {
        uint64_t keyspace_id;
        uint64_t version;
        const char *change_id;
        const char *sql, *undo_sql; /* "" or NULL: none */
        bool undo;
};

/* A piece of what one shard says; all borrowed for the event. */
struct tablet_reply {
        uint32_t shard;        /* index into the request's shards */
        const uint8_t *result; /* encoded ResultSet, or a piece of one */
        size_t n_result_bytes; /* 0: nothing */
        const grpc_slice
            *slice; /* the message that holds result, to keep a part of it by grpc_slice_sub() */
        bool end;   /* this shard's last piece */
        const struct err *failure; /* NULL, or why it failed; then also end */
        uint64_t elapsed_us, rows, commit_ts;
        bool pinned; /* cut_c and cut_e tell */
        uint64_t cut_c, cut_e;
        const uint8_t *request_note;
        size_t n_note_bytes;
        bool replayed;
        uint64_t incarnation, n_statements, last_ts;
};

struct tablet_call;
/* No event runs inside tablet_call_*(). */
struct tablet_call_events {
        void (*on_reply)(struct tablet_call *c, const struct tablet_reply *r);
        /* Once, last. ERR_OK: every shard has said its end. ERR_UNAVAILABLE (reason TABLET_AWAY):
         * nothing was executed, or it was a read, or a write in a transaction, which is undone
         * there. ERR_UNKNOWN (reason OUTCOME_UNKNOWN): a write was sent and its reply is lost.
         * ERR_DEADLINE. */
        void (*on_end)(struct tablet_call *c, const struct err *e);
};

/* One request; embedded in the caller's struct, zeroed before first use, and not moved until on_end
 * or tablet_call_abandon(). */
struct tablet_call {
        const struct tablet_call_events *events;
        /* private */
        struct tablets *all;
        struct tablet_client *tablet;
        struct tablet_stream *stream;
        struct tablet_call *prev, *next; /* of those without a stream yet */
        struct loop_timer timer;
        struct buf *unsent;  /* waits for a stream */
        struct err *failure; /* about to be told */
        uint64_t id;
        int64_t deadline_us;
        uint32_t n_shards, n_ended;
        unsigned lane;
        bool write;
        uint8_t state;
};

/* Sends. Requests with the same lane go over the same stream, and so arrive in the order they were
 * sent. tablet NULL: on_end will say TABLET_AWAY. deadline_us: mono_us(), INT64_MAX: none. */
void tablet_call_execute(struct tablet_call *c, struct tablets *all, struct tablet_client *tablet,
                         unsigned lane, const struct tablet_shard *shards, size_t n_shards,
                         const struct tablet_execute *x, int64_t deadline_us);
void tablet_call_change_schema(struct tablet_call *c, struct tablets *all,
                               struct tablet_client *tablet, const struct tablet_shard *shards,
                               size_t n_shards, const struct tablet_change_schema *x,
                               int64_t deadline_us);
/* A break of the stream is ERR_UNKNOWN (reason OUTCOME_UNKNOWN) of TABLET_END, and ERR_UNAVAILABLE
 * of the others. */
void tablet_call_transaction(struct tablet_call *c, struct tablets *all,
                             struct tablet_client *tablet, unsigned lane,
                             const struct tablet_shard *shards, size_t n_shards,
                             const struct tablet_transaction *x, int64_t deadline_us);
/* The caller has consumed n_bytes of rows (Execute.window_bytes). */
void tablet_call_credit(struct tablet_call *c, uint64_t n_bytes);
/* Asks the tablet to stop, if it was sent; no event runs any more and c may be freed. Also when
 * nothing is under way. */
void tablet_call_abandon(struct tablet_call *c);
/* Asks the tablet to stop on these shards of the request, which end with a failure then. */
void tablet_call_cancel_shards(struct tablet_call *c, const uint32_t *shards, size_t n);
/* Closes the snapshots of a pin that requests of this lane have named. tablet may be NULL. */
void tablet_release_pin(struct tablet_client *tablet, unsigned lane, uint64_t pin);
bool tablet_call_is_active(const struct tablet_call *c);
