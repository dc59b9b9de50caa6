/* session.h - what a connection is to SQLite: one call after the other, the transaction they are
 * in, what changes() and last_insert_rowid() answer. A session is named "GATE-EPOCH-128 random
 * bits": its gate and that process's epoch, so that other gates know where it lives, and bits that
 * nobody guesses. Loop thread.
 *
 * A call enters the session and leaves it; only one can be inside. Nobody inside for too long ends
 * a transaction, and later the session itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "common/err.h"
#include "gate/savepoints.h"
#include "rpc/loop.h"
#include "txn/id.h"

struct gate;
struct session;
struct sessions;
struct transaction; /* gate/transaction.h */

enum {
        SESSION_BITS_BYTES = 16,
        SESSION_GATE_BYTES = 64,
        SESSION_NAME_BYTES = SESSION_GATE_BYTES + 1 + 16 + 1 + 2 * SESSION_BITS_BYTES + 1,
};

/* Owner: the loop thread. */
struct session {
        /* To be read, and but for the name to be written, by whoever is inside. */
        char name[SESSION_NAME_BYTES];
        char *keyspace; /* "": main */
        struct savepoints savepoints;
        struct transaction *transaction; /* NULL: none; owned */
        /* The transaction was given up for this: nothing runs in it any more, it waits for
         * ROLLBACK. code ERR_OK: it was not. */
        struct err broken;
        int64_t last_insert_rowid, changes, total_changes;
        uint64_t seen_ts; /* the largest commit it has seen: nothing older is shown to it */
        /* What came of the last COMMIT, to be told again. */
        struct txn_id last_id;
        struct err last_end; /* ERR_OK: committed */
        bool has_ended;
        bool
            is_in_doubt; /* COMMIT is under way, or not known to have been done: only it may come */
        bool ends_with_transaction;

        /* Private. */
        struct sessions *all;
        UT_hash_handle hh;
        uint64_t hash;
        uint8_t bits[SESSION_BITS_BYTES];
        bool is_entered, is_closed;
        bool is_over; /* only told of its last COMMIT */
        int64_t left_us;
        struct loop_timer timer;
};

struct sessions_options {
        struct gate *gate;
        struct loop *loop;
        const char *gate_id; /* borrowed for ever */
        uint64_t max_sessions;
        uint64_t idle_ms;             /* of a session; 0: no limit, as below */
        uint64_t transaction_idle_ms; /* of one with an open transaction */
};

struct sessions *sessions_new(const struct sessions_options *o); /* never NULL */
/* No call is inside any. Accepts NULL, returns NULL. */
struct sessions *sessions_free(struct sessions *all);
size_t sessions_count(const struct sessions *all);

/* A new session, with a call inside. keyspace: borrowed, not NUL-terminated. epoch: the gate's.
 * ERR_EXHAUSTED (reason TOO_MANY_SESSIONS). */
enum err_code sessions_open(struct sessions *all, const char *keyspace, size_t n_bytes,
                            uint64_t epoch, struct session **ret_session,
                            struct err *reterr) must_check_;

/* Which gate has the session of this name, as far as the name tells? */
struct session_place {
        char gate[SESSION_GATE_BYTES];
        uint64_t epoch;
        bool is_here;
};
/* ERR_NOT_FOUND (reason SESSION_NOT_FOUND): it is not the name of a session. */
enum err_code sessions_place(const struct sessions *all, const char *name, size_t n_bytes,
                             struct session_place *ret_place, struct err *reterr) must_check_;
/* A call enters the session. ERR_NOT_FOUND (reason SESSION_NOT_FOUND): it has ended, or never was;
 * ERR_PRECONDITION (reason SESSION_BUSY): another call is inside. over: also one that is only there
 * to tell of its last COMMIT. */
enum err_code sessions_enter(struct sessions *all, const char *name, size_t n_bytes, bool over,
                             struct session **ret_session, struct err *reterr) must_check_;
/* The call leaves it; it may be gone afterwards. Accepts NULL. */
void session_leave(struct session *s);
/* It ends when the call that is inside leaves: its transaction is rolled back. */
void session_close(struct session *s);
/* ERR_NOT_FOUND (reason SESSION_NOT_FOUND). Ends at once, or when the call inside leaves. */
enum err_code sessions_close(struct sessions *all, const char *name, size_t n_bytes,
                             struct err *reterr) must_check_;

/* Its transaction is over, one way or the other: freed, and what it was in the session ends. */
void session_end_transaction(struct session *s);
/* Its transaction cannot go on: shards are freed at once, and until ROLLBACK every statement fails
 * with e. Also when there is none. */
void session_break_transaction(struct session *s, const struct err *e);
/* COMMIT has come to an end, with e. Its transaction is still there. */
void session_note_end(struct session *s, const struct err *e);
/* Is it of the keyspace of that name? 0 bytes: main. */
bool session_is_of(const struct session *s, const char *keyspace, size_t n_bytes);
/* It has seen a commit. */
static inline void session_note_seen(struct session *s, uint64_t ts)
{
        if (ts > s->seen_ts)
                s->seen_ts = ts;
}
