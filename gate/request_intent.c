/* request_intent.c - the rowids of a request_id, bound to its home shard. The header says why. Loop
 * thread. */
#include "gate/request_intent.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "common/buf.h"
#include "common/shard_map.h"
#include "gate/gate.h"
#include "gate/request_intent_int.h"
#include "gate/scatter.h"
#include "gate/sequence_int.h"
#include "gate/shard_bits.h"

/* What a note begins with. */
enum { NOTE_INTENT = 'I', NOTE_DONE = 'D', NOTE_CLOSED = 'X' };

enum { SEPARATOR = 0x1f, KEY_EXTRA_BYTES = 8 };

/* Owner: the loop thread. */
struct intent {
        enum {
                STEP_READY = 0, /* the INSERT is to be sent, or has been */
                STEP_WRITING,   /* the intent, to the home shard */
                STEP_CLOSING,   /* the target, for this attempt's INSERT */
                STEP_FILLING,   /* fresh rowids */
        } step;
        unsigned attempt;
        size_t home, target;
        struct buf note;
        uint8_t *reply;
        void (*use_done)(struct sequence_use *u, const struct err *e); /* the caller's */
        void *use_arg;
        char key[REQUEST_ID_MAX_BYTES + KEY_EXTRA_BYTES];
};

enum err_code request_id_check(const char *id, size_t n_bytes, struct err *reterr)
{
        if (n_bytes > REQUEST_ID_MAX_BYTES)
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST",
                               "a request_id has at most %d bytes", REQUEST_ID_MAX_BYTES);
        for (size_t i = 0; i < n_bytes; i++)
                if ((uint8_t)id[i] < 0x20 || id[i] == 0x7f)
                        return err_set(reterr, ERR_INVALID, "BAD_REQUEST",
                                       "a request_id has no control characters");
        return ERR_OK;
}

bool request_intent_is_needed(const struct plan *p, const struct plan_values *v)
{
        const struct route *r;

        if (!p->n_insert_ids || p->n_parts != 1 || p->parts[0].route.kind != ROUTE_KEYS)
                return false;
        r = &p->parts[0].route;
        for (size_t i = 0; i < r->n_keys * r->table->n_shard_columns; i++)
                for (size_t j = 0; j < p->n_insert_ids; j++)
                        if (r->slots[i] == p->insert_ids[j] &&
                            v->values[p->insert_ids[j]].type == VALUE_NULL)
                                return true;
        return false;
}

/* ---- keys, notes, shards */

/* Under what the attempt's intent and INSERT are kept. */
static void set_key(struct request_intent *ri)
{
        struct intent *in = ri->internal;
        size_t n = ri->n_request_id_bytes;

        memcpy(in->key, ri->request_id, n);
        if (in->attempt)
                n += (size_t)snprintf(in->key + n, KEY_EXTRA_BYTES, "%c%u", SEPARATOR, in->attempt);
        ri->key = in->key;
        ri->n_key_bytes = n;
}

static void set_note(struct request_intent *ri, uint8_t kind)
{
        struct intent *in = ri->internal;
        const struct sequence_use *u = ri->use;

        in->note.n_bytes = 0;
        buf_add_byte(&in->note, kind);
        if (kind != NOTE_CLOSED)
                for (size_t i = 0; i < u->n_filled; i++) {
                        int64_t id = u->values->values[u->filled[i]].integer;

                        buf_add(&in->note, &id, sizeof id);
                }
        ri->note = in->note.data;
        ri->n_note_bytes = in->note.n_bytes;
}

/* Puts the rowids of an intent in the place of those that were made up. False: it is not of this
 * statement. */
static bool follow_note(struct request_intent *ri, const uint8_t *note, size_t n_bytes)
{
        const struct sequence_use *u = ri->use;

        if (n_bytes != 1 + u->n_filled * sizeof(int64_t))
                return false;
        for (size_t i = 0; i < u->n_filled; i++) {
                int64_t id;

                memcpy(&id, note + 1 + i * sizeof id, sizeof id);
                u->values->values[u->filled[i]] = value_integer(id);
        }
        return true;
}

/* The shard that the values lead to; false: none, or several, which the caller finds out by itself.
 */
static bool find_target(struct request_intent *ri)
{
        const struct plan *p = ri->use->plan;
        cleanup_(freep) uint64_t *bits = xcalloc(scatter_n_words(p->catalog), sizeof *bits);
        size_t i = 0, n;

        if (plan_route(p, 0, ri->use->values, bits, &n, NULL) || n != 1)
                return false;
        while (!shard_bits_has(bits, i))
                i++;
        ri->internal->target = i;
        return true;
}

static void send(struct request_intent *ri, size_t shard)
{
        const struct tablet_execute x = {
                .keyspace_id = ri->use->plan->keyspace_id,
                .write = true,
                .request_id = ri->key,
                .n_request_id_bytes = ri->n_key_bytes,
                .request_digest = ri->digest,
                .n_digest_bytes = ri->n_digest_bytes,
                .request_note = ri->note,
                .n_note_bytes = ri->n_note_bytes,
        };

        ri->io->send(ri, shard, &x);
}

/* ---- steps */

/* With the rowids of this attempt in the values: what comes first? */
static enum request_intent_verdict begin_attempt(struct request_intent *ri)
{
        struct intent *in = ri->internal;

        in->step = STEP_READY;
        set_key(ri);
        if (!find_target(ri)) {
                set_note(ri, NOTE_DONE);
                return INTENT_SEND;
        }
        set_note(ri, in->target == in->home ? NOTE_DONE : NOTE_INTENT);
        if (in->target == in->home)
                return INTENT_SEND;
        in->step = STEP_WRITING;
        send(ri, in->home);
        return INTENT_WAIT;
}

enum request_intent_verdict request_intent_start(struct request_intent *ri)
{
        const struct shard_map *shards = catalog_shards(ri->use->plan->catalog);

        assert(!ri->internal && ri->n_request_id_bytes <= REQUEST_ID_MAX_BYTES);
        if (!ri->io)
                ri->io = &request_intent_tablets;
        ri->internal = xcalloc(1, sizeof *ri->internal);
        ri->internal->home =
            shard_map_find(shards, XXH3_64bits(ri->request_id, ri->n_request_id_bytes));
        return begin_attempt(ri);
}

static void finish(struct request_intent *ri, const struct err *e,
                   enum request_intent_verdict verdict)
{
        static const struct err ok = ERR_INIT;

        ri->internal->step = STEP_READY;
        ri->done(ri, e ? e : &ok, verdict);
}

static enum err_code broken(struct err *reterr)
{
        return err_set(reterr, ERR_INTERNAL, "INTERNAL",
                       "what is kept under the request_id does not fit the statement");
}

static void give_back_use(struct request_intent *ri)
{
        ri->use->done = ri->internal->use_done;
        ri->use->arg = ri->internal->use_arg;
}

static void on_filled(struct sequence_use *u, const struct err *e)
{
        struct request_intent *ri = u->arg;
        enum request_intent_verdict verdict;

        give_back_use(ri);
        if (e->code) {
                finish(ri, e, INTENT_FAILED);
                return;
        }
        verdict = begin_attempt(ri);
        if (verdict != INTENT_WAIT)
                finish(ri, NULL, verdict);
}

/* These rowids are of no use: fresh ones, and on under the next key. */
static enum request_intent_verdict next_attempt(struct request_intent *ri, struct err *reterr)
{
        struct intent *in = ri->internal;
        struct sequence_use *u = ri->use;

        if (!sequence_try_again(u)) {
                err_set(reterr, ERR_ABORTED, "ROWIDS_TAKEN",
                        "the rowids that were chosen were taken by others again and again");
                return INTENT_FAILED;
        }
        in->attempt++;
        in->step = STEP_FILLING;
        in->use_done = u->done;
        in->use_arg = u->arg;
        u->done = on_filled;
        u->arg = ri;
        switch (sequence_fill(u->all, u, reterr)) {
        case SEQUENCE_WAIT:
                return INTENT_WAIT;
        case SEQUENCE_FILLED:
                give_back_use(ri);
                return begin_attempt(ri);
        default:
                give_back_use(ri);
                return INTENT_FAILED;
        }
}

/* ---- answers */

static uint8_t note_kind(const uint8_t *note, size_t n_bytes)
{
        return n_bytes ? note[0] : NOTE_DONE; /* of a write that needed no intent: done */
}

static void forget_note(struct request_intent *ri)
{
        ri->note = NULL;
        ri->n_note_bytes = 0;
}

/* Goes to the target of the rowids that are in the note. */
static enum request_intent_verdict follow(struct request_intent *ri, const uint8_t *note,
                                          size_t n_bytes, struct err *reterr)
{
        if (!follow_note(ri, note, n_bytes) || !find_target(ri) ||
            ri->internal->target == ri->internal->home) {
                broken(reterr);
                return INTENT_FAILED;
        }
        forget_note(ri);
        return INTENT_SEND;
}

static enum request_intent_verdict take_reply(struct request_intent *ri, const uint8_t *result,
                                              size_t n_bytes)
{
        free(ri->internal->reply);
        ri->internal->reply = xmalloc(n_bytes + 1);
        if (n_bytes)
                memcpy(ri->internal->reply, result, n_bytes);
        ri->reply = ri->internal->reply;
        ri->n_reply_bytes = n_bytes;
        ri->use->replayed = true;
        return INTENT_REPLAYED;
}

/* Nothing but a note was to be written: whatever became of that, the INSERT was not executed. */
static void finish_failed(struct request_intent *ri, const struct err *e)
{
        struct err known = *e;

        if (known.code == ERR_UNKNOWN) {
                known.code = ERR_UNAVAILABLE;
                snprintf(known.reason, sizeof known.reason, "TABLET_AWAY");
        }
        finish(ri, &known, INTENT_FAILED);
}

void request_intent_answered(struct request_intent *ri, const struct err *e, bool replayed,
                             const uint8_t *note, size_t n_note_bytes, const uint8_t *result,
                             size_t n_result_bytes)
{
        struct intent *in = ri->internal;
        enum request_intent_verdict verdict = INTENT_FAILED;
        struct err failure = ERR_INIT;

        assert(in->step == STEP_WRITING || in->step == STEP_CLOSING);
        if (e->code) {
                finish_failed(ri, e);
                return;
        }
        if (!replayed && in->step == STEP_WRITING) {
                forget_note(ri);
                verdict = INTENT_SEND;
        } else if (!replayed) {
                verdict = next_attempt(ri, &failure);
        } else {
                switch (note_kind(note, n_note_bytes)) {
                case NOTE_INTENT:
                        verdict = follow(ri, note, n_note_bytes, &failure);
                        break;
                case NOTE_CLOSED:
                        verdict = next_attempt(ri, &failure);
                        break;
                case NOTE_DONE:
                        verdict = take_reply(ri, result, n_result_bytes);
                        break;
                default:
                        broken(&failure);
                        break;
                }
        }
        if (verdict == INTENT_FAILED)
                finish(ri, &failure, verdict);
        else if (verdict != INTENT_WAIT)
                finish(ri, NULL, verdict);
}

static enum request_intent_verdict close_target(struct request_intent *ri)
{
        set_note(ri, NOTE_CLOSED);
        ri->internal->step = STEP_CLOSING;
        send(ri, ri->internal->target);
        return INTENT_WAIT;
}

enum request_intent_verdict request_intent_result(struct request_intent *ri, const struct err *e,
                                                  bool replayed, const uint8_t *note,
                                                  size_t n_note_bytes, struct err *reterr)
{
        assert(ri->internal && ri->internal->step == STEP_READY);
        if (sequence_is_collision(ri->use, e))
                return close_target(ri);
        if (e->code || !replayed)
                return INTENT_FINAL;
        switch (note_kind(note, n_note_bytes)) {
        case NOTE_INTENT:
                return follow(ri, note, n_note_bytes, reterr);
        case NOTE_CLOSED:
                return next_attempt(ri, reterr);
        default:
                ri->use->replayed = true;
                return INTENT_FINAL;
        }
}

void request_intent_done(struct request_intent *ri)
{
        struct intent *in = ri->internal;

        if (!in)
                return;
        if (in->step == STEP_WRITING || in->step == STEP_CLOSING)
                ri->io->abandon(ri);
        buf_done(&in->note);
        free(in->reply);
        free(in);
        ri->internal = NULL;
        ri->reply = ri->note = NULL;
        ri->key = NULL;
}
