/* request_intent_int.h - the writes that an intent makes, behind a seam for tests. */
#pragma once

#include "gate/request_intent.h"
#include "gate/tablet_client.h"

/* Sends x to one shard (an index into the keyspace's shard map); answered once, later, by
 * request_intent_answered(), unless it is abandoned before. */
struct request_intent_io {
        void (*send)(struct request_intent *ri, size_t shard, const struct tablet_execute *x);
        void (*abandon)(struct request_intent *ri);
};
extern const struct request_intent_io request_intent_tablets; /* request_intent_io.c */

/* What the shard said. note and result are borrowed. */
void request_intent_answered(struct request_intent *ri, const struct err *e, bool replayed,
                             const uint8_t *note, size_t n_note_bytes, const uint8_t *result,
                             size_t n_result_bytes);
