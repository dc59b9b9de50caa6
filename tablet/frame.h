/* frame.h - TabletRequest and TabletReply of internal.proto, decoded and encoded by hand. Pure
 * functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/value.h"
#include "common/wire.h"
#include "tablet/engine.h"

enum frame_body {
        FRAME_NONE = 0,
        FRAME_EXECUTE = 4, /* numbered like the fields */
        FRAME_CANCEL = 5,
        FRAME_CREDIT = 6,
        FRAME_CHANGE_SCHEMA = 7,
        FRAME_RELEASE = 9,
};

enum { FRAME_MAX_SHARDS = 4096, FRAME_MAX_PARAMS = 250000, FRAME_MAX_REQUEST_ID_BYTES = 256 };

struct frame_shard {
        const char *name; /* not NUL-terminated */
        size_t n_name_bytes;
        uint64_t epoch;
};

/* A request. Everything points into the message and into the scratch. */
struct frame {
        uint64_t id;
        uint64_t timeout_us;
        uint64_t hlc;
        enum frame_body body;
        size_t
            n_bytes; /* of the message that are its own; further frames follow: frame_next_more() */
        uint64_t credit_bytes;
        struct bytes cancel_shards; /* encoded Cancel; frame_next_cancelled() */

        /* Of Execute and ChangeSchema. */
        uint64_t keyspace_id;
        struct frame_shard *shards;
        size_t n_shards;

        /* Of Execute. */
        uint64_t schema_version;
        struct bytes sql;
        struct value *params;
        size_t n_params;
        bool write;
        bool cheap;
        bool probe;
        bool omit_columns;
        int64_t now_ms;
        uint64_t read_ts;
        uint64_t pin; /* of Release, too */
        uint32_t pin_round;
        uint64_t window_bytes, chunk_bytes;
        uint64_t max_rows, max_bytes;
        struct bytes request_id, request_digest, request_note;
        bool takes_part; /* in a transaction */

        /* Of ChangeSchema; sql as well. */
        uint64_t version;
        struct bytes change_id;
        struct bytes undo_sql;
        bool undo;
};

/* Arrays that grow to what the largest frame needed and are used again. */
struct frame_scratch {
        struct frame_shard *shards;
        struct value *params;
        size_t max_shards, max_params;
};
void frame_scratch_done(struct frame_scratch *s);

/* ERR_INVALID (reason BAD_REQUEST): malformed, or text with a NUL in it. ERR_EXHAUSTED
 * (TOO_MANY_SHARDS, TOO_MANY_PARAMETERS). ret_frame->id is right in any case if it could be read.
 */
enum err_code frame_decode(const uint8_t *p, size_t n_bytes, struct frame_scratch *scratch,
                           struct frame *ret_frame, struct err *reterr) must_check_;

/* The further frames of a message one by one; r reads what is behind the first one's n_bytes. False
 * at the end. */
bool frame_next_more(struct wire_reader *r, struct bytes *ret_frame);

/* The shards a Cancel names one by one, from *at = 0 on. False at the end, or where it is
 * malformed.
 */
bool frame_next_cancelled(const struct frame *f, size_t *at, uint32_t *ret_shard);

/* The same frame with its arrays and bytes copied to `to`, which has frame_copy_bytes(). message:
 * what it was decoded from. */
size_t frame_copy_bytes(const struct frame *f, size_t n_message_bytes);
void frame_copy(const struct frame *f, const uint8_t *message, size_t n_message_bytes, void *to,
                struct frame *ret_copy);

/* ---- replies: begin, pieces, end; each appends to b. */
void frame_add_head(struct buf *b, uint64_t id, uint64_t hlc);
void frame_add_end(struct buf *b);

/* Appends another whole reply to the message in b, which holds one; takes the bytes of more. */
void frame_add_more(struct buf *b, struct buf *more);

/* What one shard has to say. */
struct frame_piece {
        uint32_t shard;
        const uint8_t *result; /* encoded ResultSet or a piece of it */
        size_t n_result_bytes;
        bool end;
        const struct err *failure; /* or NULL */
        uint64_t elapsed_us, rows;
        uint64_t commit_ts;
        bool pinned;
        uint64_t cut_c, cut_e;
        struct bytes note;
        bool replayed;
};
void frame_add_piece(struct buf *b, const struct frame_piece *piece);
/* A piece whose result is yet to be appended to b; then frame_end_piece() adds what else it says.
 */
struct frame_open_piece {
        size_t at_piece, at_result;
};
struct frame_open_piece frame_begin_piece(struct buf *b, uint32_t shard);
void frame_end_piece(struct buf *b, struct frame_open_piece at, const struct frame_piece *piece);
