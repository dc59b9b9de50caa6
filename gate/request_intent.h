/* request_intent.h - request_id for an INSERT whose shard depends on a rowid that this gate makes
 * up.
 *
 * A write with a request_id is done once because its shard keeps the id with the write and answers
 * a repeat from there. That needs the repeat to come to the same shard. Where the new rowid decides
 * the shard, a repeat would get another rowid, and go elsewhere. So the rowids themselves are bound
 * to the request_id, on a shard that depends on nothing but the request_id: its home, the shard
 * that XXH3(request_id) falls on.
 *
 *   home H            keeps request_id -> 'I' rowids     (the intent, written before the INSERT is
 * sent) target T of them  keeps request_id -> the INSERT's reply
 *
 * Both are kept in the same way, by Execute with a request_id: a write that does nothing if the id
 * is there already and answers what is there (replayed). The intent is one with empty SQL. So
 * whoever comes second, through whichever gate, learns the rowids of the first and goes to the same
 * target, where the second INSERT is found to be done, waits for, or fails like the first.
 *
 * When T is H, no intent is written: the INSERT itself goes to H with the note 'D' and its rowids.
 * It takes the place under request_id that an intent would take, in one step with its effect. A
 * repeat that has drawn other rowids finds it when it writes its intent (or its own INSERT) there,
 * and has the reply. If the repeat comes first with an intent for other rowids, the late INSERT
 * finds the intent instead of being done, and follows it. The intent would only be needed as well
 * if the two could lie under different keys; they never do. That saves one round trip in 1 of n
 * shards.
 *
 * A rowid can turn out to be taken, by a row another gate was given explicitly. The intent cannot
 * be changed any more, others may have read it. So the target is first closed for this attempt, by
 * writing 'X' under request_id where the INSERT would be kept: a late INSERT with these rowids then
 * finds that. After that the next attempt is made, with fresh rowids, under request_id and its
 * number behind a separator that no request_id holds. A repeat walks the same way: intent, target,
 * 'X', next.
 *
 * Where the shard does not depend on the new rowid there is nothing to do: the target's own record
 * answers the repeat with the first one's last_insert_id. Everything on the loop thread. */
#pragma once

#include <grpc/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "gate/plan.h"
#include "gate/sequence.h"

struct gate;
struct intent;
struct request_intent_io;

enum { REQUEST_ID_MAX_BYTES = 128 };

/* ERR_INVALID (reason BAD_REQUEST): too long, or it holds a control character. */
enum err_code request_id_check(const char *id, size_t n_bytes, struct err *reterr) must_check_;

/* Embedded in the execution of an INSERT, zeroed, the first part filled in. */
struct request_intent {
        struct gate *gate;
        const struct request_intent_io *io; /* NULL: the tablets */
        struct sequence_use *use;           /* its plan and values; sequence_fill() has been done */
        const char *request_id;             /* borrowed, like the rest, until the end */
        size_t n_request_id_bytes;
        const uint8_t *digest; /* of the client's statement and parameters */
        size_t n_digest_bytes;
        int64_t deadline_us; /* mono_us() */
        /* Runs once after request_intent_start() or request_intent_result() has returned
         * INTENT_WAIT. verdict: INTENT_SEND or INTENT_REPLAYED; e is not ERR_OK: then it is over,
         * and nothing was executed. */
        void (*done)(struct request_intent *ri, const struct err *e, int verdict);

        /* What the INSERT is to be sent with (tablet_execute.request_id and request_note). */
        const char *key;
        size_t n_key_bytes;
        const uint8_t *note;
        size_t n_note_bytes;
        /* After INTENT_REPLAYED: the encoded ResultSet kept from the first time; owned by ri. */
        const uint8_t *reply;
        size_t n_reply_bytes;
        struct intent *internal;
        void *io_data;
};

enum request_intent_verdict {
        INTENT_WAIT = 0,
        INTENT_SEND, /* send the INSERT with the rowids that are in the values now, key and note */
        INTENT_REPLAYED, /* it was done before: reply is the answer */
        INTENT_FINAL,    /* of request_intent_result(): what the shard said is the answer */
        INTENT_FAILED,   /* of request_intent_result(): *reterr is; nothing was executed */
};

/* Does the shard of this execution depend on a rowid that sequence_fill() is to make up? Asked
 * before it, of writes with a request_id. */
bool request_intent_is_needed(const struct plan *p, const struct plan_values *v);

/* INTENT_SEND at once when target and home are the same, else INTENT_WAIT. */
enum request_intent_verdict request_intent_start(struct request_intent *ri) must_check_;

/* What came of sending. e: ERR_OK or the error; replayed and the note as the shard told. A rowid
 * that is taken already is dealt with here, not by sequence_note_result(), which is called last of
 * all. INTENT_SEND, INTENT_WAIT, INTENT_FINAL or INTENT_FAILED. */
enum request_intent_verdict request_intent_result(struct request_intent *ri, const struct err *e,
                                                  bool replayed, const uint8_t *note,
                                                  size_t n_note_bytes,
                                                  struct err *reterr) must_check_;

/* Ends it at any time, without done, and frees what it holds. Also when never started. */
void request_intent_done(struct request_intent *ri);
