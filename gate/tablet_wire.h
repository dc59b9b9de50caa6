/* tablet_wire.h - TabletRequest and TabletReply of internal.proto, encoded and decoded by hand.
 * Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/wire.h"
#include "gate/tablet_client.h"

/* A request is its head, then one body; each appends to b. */
void tablet_wire_add_head(struct buf *b, uint64_t id, uint64_t timeout_us, uint64_t hlc);
void tablet_wire_add_execute(struct buf *b, const struct tablet_shard *shards, size_t n_shards,
                             const struct tablet_execute *x);
void tablet_wire_add_change_schema(struct buf *b, const struct tablet_shard *shards,
                                   size_t n_shards, const struct tablet_change_schema *x);
void tablet_wire_add_transaction(struct buf *b, const struct tablet_shard *shards, size_t n_shards,
                                 const struct tablet_transaction *x);
/* n 0: all of the request. */
void tablet_wire_add_cancel(struct buf *b, const uint32_t *shards, size_t n);
void tablet_wire_add_release(struct buf *b, uint64_t pin);
void tablet_wire_add_credit(struct buf *b, uint64_t n_bytes);
/* Appends another whole request to the message in b, which holds one; takes the bytes of more. */
void tablet_wire_add_more(struct buf *b, struct buf *more);
/* At least what tablet_wire_add_execute() will append, nearly always. */
size_t tablet_wire_execute_size(const struct tablet_shard *shards, size_t n_shards,
                                const struct tablet_execute *x);

/* What a reply says besides its shards' pieces. */
struct tablet_wire_reply {
        uint64_t id;
        uint64_t hlc;
        bool end;
        bool has_more; /* the message holds further replies */
};
/* False: malformed. */
bool tablet_wire_read_reply(const void *p, size_t n_bytes,
                            struct tablet_wire_reply *ret_reply) must_check_;

/* The further replies of a message one by one: begin with wire_reader(message). False at the end.
 */
bool tablet_wire_next_more(struct wire_reader *r, const uint8_t **ret_reply, size_t *ret_n_bytes);

/* The pieces one by one: begin with wire_reader(message). False at the end, or when malformed
 * (*ret_malformed). ret_failure is filled, and ret_reply->failure points to it, when the piece is a
 * failure. ret_reply->slice is left NULL. */
bool tablet_wire_next_piece(struct wire_reader *r, struct tablet_reply *ret_reply,
                            struct err *ret_failure, bool *ret_malformed);
