/* frame.c - the messages between gate and tablet. Field numbers: proto/shoal/v1/internal.proto. */
#include "tablet/frame.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

void frame_scratch_done(struct frame_scratch *s)
{
        free(s->shards);
        free(s->params);
        *s = (struct frame_scratch){ 0 };
}

static enum err_code refuse(struct err *reterr)
{
        return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "malformed TabletRequest");
}

/* ---- repeated fields */

static enum err_code add_shard(struct frame *f, struct frame_scratch *scratch,
                               const struct wire_field *field, struct err *reterr)
{
        struct wire_reader r = wire_reader(field->data, field->n_bytes);
        struct frame_shard shard = { .name = "" };
        struct wire_field x;

        while (wire_next(&r, &x)) {
                if (x.number == 1 && x.type == WIRE_BYTES) {
                        shard.name = (const char *)x.data;
                        shard.n_name_bytes = x.n_bytes;
                } else if (x.number == 2 && x.type == WIRE_VARINT) {
                        shard.epoch = x.uint;
                }
        }
        if (r.failed)
                return refuse(reterr);
        if (f->n_shards == FRAME_MAX_SHARDS)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_SHARDS",
                               "a request names more than %d shards", FRAME_MAX_SHARDS);
        if (f->n_shards == scratch->max_shards) {
                scratch->max_shards = scratch->max_shards ? 2 * scratch->max_shards : 16;
                scratch->shards =
                    xrealloc(scratch->shards, scratch->max_shards * sizeof *scratch->shards);
        }
        scratch->shards[f->n_shards++] = shard;
        return ERR_OK;
}

static enum err_code add_param(struct frame *f, struct frame_scratch *scratch,
                               const struct wire_field *field, struct err *reterr)
{
        if (f->n_params == FRAME_MAX_PARAMS)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_PARAMETERS",
                               "a statement has more than %d parameters", FRAME_MAX_PARAMS);
        if (f->n_params == scratch->max_params) {
                scratch->max_params = scratch->max_params ? 2 * scratch->max_params : 16;
                scratch->params =
                    xrealloc(scratch->params, scratch->max_params * sizeof *scratch->params);
        }
        return value_decode(field->data, field->n_bytes, &scratch->params[f->n_params++], reterr);
}

/* ---- bodies */

static void set_number(struct frame *f, uint32_t number, uint64_t v)
{
        switch (number) {
        case 1:
                f->keyspace_id = v;
                break;
        case 3:
                f->schema_version = v;
                break;
        case 6:
                f->write = v;
                break;
        case 7:
                f->cheap = v;
                break;
        case 9:
                f->now_ms = (int64_t)v;
                break;
        case 10:
                f->read_ts = v;
                break;
        case 11:
                f->window_bytes = v;
                break;
        case 12:
                f->chunk_bytes = v;
                break;
        case 13:
                f->max_rows = v;
                break;
        case 14:
                f->max_bytes = v;
                break;
        case 16:
                f->probe = v;
                break;
        case 18:
                f->omit_columns = v;
                break;
        case 19:
                f->pin = v;
                break;
        case 20:
                f->pin_round = (uint32_t)v;
                break;
        default:
                break;
        }
}

static struct bytes bytes_of(const struct wire_field *x)
{
        return (struct bytes){ x->data, x->n_bytes };
}

static enum err_code decode_execute(struct frame *f, struct frame_scratch *scratch,
                                    const struct wire_field *body, struct err *reterr)
{
        struct wire_reader r = wire_reader(body->data, body->n_bytes);
        enum err_code rc = ERR_OK;
        struct wire_field x;

        while (!rc && wire_next(&r, &x)) {
                if (x.type == WIRE_VARINT)
                        set_number(f, x.number, x.uint);
                else if (x.type != WIRE_BYTES)
                        continue;
                else if (x.number == 2)
                        rc = add_shard(f, scratch, &x, reterr);
                else if (x.number == 4)
                        f->sql = bytes_of(&x);
                else if (x.number == 5)
                        rc = add_param(f, scratch, &x, reterr);
                else if (x.number == 8)
                        f->request_id = bytes_of(&x);
                else if (x.number == 15)
                        f->request_digest = bytes_of(&x);
                else if (x.number == 17)
                        f->request_note = bytes_of(&x);
                else if (x.number == 22)
                        f->takes_part = true;
        }
        return !rc && r.failed ? refuse(reterr) : rc;
}

static enum err_code decode_change(struct frame *f, struct frame_scratch *scratch,
                                   const struct wire_field *body, struct err *reterr)
{
        struct wire_reader r = wire_reader(body->data, body->n_bytes);
        enum err_code rc = ERR_OK;
        struct wire_field x;

        while (!rc && wire_next(&r, &x)) {
                if (x.type == WIRE_VARINT && x.number == 1)
                        f->keyspace_id = x.uint;
                else if (x.type == WIRE_VARINT && x.number == 3)
                        f->version = x.uint;
                else if (x.type == WIRE_VARINT && x.number == 7)
                        f->undo = x.uint;
                else if (x.type != WIRE_BYTES)
                        continue;
                else if (x.number == 2)
                        rc = add_shard(f, scratch, &x, reterr);
                else if (x.number == 4)
                        f->change_id = bytes_of(&x);
                else if (x.number == 5)
                        f->sql = bytes_of(&x);
                else if (x.number == 6)
                        f->undo_sql = bytes_of(&x);
        }
        return !rc && r.failed ? refuse(reterr) : rc;
}

/* A message whose only field is a number. */
static enum err_code decode_number(const struct wire_field *body, uint64_t *ret_number,
                                   struct err *reterr)
{
        struct wire_reader r = wire_reader(body->data, body->n_bytes);
        struct wire_field x;

        while (wire_next(&r, &x))
                if (x.type == WIRE_VARINT && x.number == 1)
                        *ret_number = x.uint;
        return r.failed ? refuse(reterr) : ERR_OK;
}

bool frame_next_cancelled(const struct frame *f, size_t *at, uint32_t *ret_shard)
{
        struct wire_reader r = wire_reader((const uint8_t *)f->cancel_shards.data + *at,
                                           f->cancel_shards.n_bytes - *at);
        struct wire_field x;

        while (*at < f->cancel_shards.n_bytes && wire_next(&r, &x)) {
                *at = (size_t)(r.p - (const uint8_t *)f->cancel_shards.data);
                if (x.number != 1 || x.type != WIRE_VARINT)
                        continue;
                *ret_shard = (uint32_t)x.uint;
                return true;
        }
        return false;
}

static enum err_code decode_body(struct frame *f, struct frame_scratch *scratch,
                                 const struct wire_field *x, struct err *reterr)
{
        f->body = (enum frame_body)x->number;
        switch (f->body) {
        case FRAME_EXECUTE:
                return decode_execute(f, scratch, x, reterr);
        case FRAME_CHANGE_SCHEMA:
                return decode_change(f, scratch, x, reterr);
        case FRAME_CREDIT:
                return decode_number(x, &f->credit_bytes, reterr);
        case FRAME_RELEASE:
                return decode_number(x, &f->pin, reterr);
        case FRAME_CANCEL:
                f->cancel_shards = bytes_of(x);
                break;
        case FRAME_NONE:
                break;
        }
        return ERR_OK;
}

static bool has_nul(struct bytes b)
{
        return b.n_bytes && memchr(b.data, '\0', b.n_bytes);
}

static enum err_code check_frame(const struct frame *f, struct err *reterr)
{
        if (has_nul(f->sql) || has_nul(f->undo_sql) || has_nul(f->change_id))
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "SQL with a NUL in it");
        if (f->request_id.n_bytes > FRAME_MAX_REQUEST_ID_BYTES)
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST",
                               "request_id is longer than %d bytes", FRAME_MAX_REQUEST_ID_BYTES);
        return ERR_OK;
}

enum { REQUEST_MORE = 8, REPLY_MORE = 5 };

bool frame_next_more(struct wire_reader *r, struct bytes *ret_frame)
{
        struct wire_field x;

        while (wire_next(r, &x)) {
                if (x.number != REQUEST_MORE || x.type != WIRE_BYTES)
                        continue;
                *ret_frame = bytes_of(&x);
                return true;
        }
        return false;
}

static bool is_body(uint32_t number)
{
        return (number >= FRAME_EXECUTE && number <= FRAME_CHANGE_SCHEMA) ||
               number == FRAME_RELEASE;
}

static enum err_code decode_field(struct frame *f, struct frame_scratch *scratch,
                                  const struct wire_field *x, struct err *reterr)
{
        if (x->type == WIRE_VARINT && x->number == 1)
                f->id = x->uint;
        else if (x->type == WIRE_VARINT && x->number == 2)
                f->timeout_us = x->uint;
        else if (x->type == WIRE_VARINT && x->number == 3)
                f->hlc = x->uint;
        else if (x->type == WIRE_BYTES && is_body(x->number))
                return f->body ? refuse(reterr) : decode_body(f, scratch, x, reterr);
        return ERR_OK;
}

enum err_code frame_decode(const uint8_t *p, size_t n_bytes, struct frame_scratch *scratch,
                           struct frame *ret_frame, struct err *reterr)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct frame *f = ret_frame;
        enum err_code rc = ERR_OK;
        struct wire_field x;

        *f = (struct frame){ 0 };
        for (;;) {
                f->n_bytes = (size_t)(r.p - p);
                if (rc || !wire_next(&r, &x) || x.number == REQUEST_MORE)
                        break;
                rc = decode_field(f, scratch, &x, reterr);
        }
        f->shards = scratch->shards;
        f->params = scratch->params;
        if (!rc && r.failed)
                rc = refuse(reterr);
        return rc ? rc : check_frame(f, reterr);
}

/* ---- copies */

static size_t params_bytes(const struct frame *f)
{
        return f->n_params * sizeof *f->params;
}

static size_t shards_bytes(const struct frame *f)
{
        return f->n_shards * sizeof *f->shards;
}

size_t frame_copy_bytes(const struct frame *f, size_t n_message_bytes)
{
        return params_bytes(f) + shards_bytes(f) + n_message_bytes;
}

/* Moves a pointer into one run of bytes to the same place in its copy; what points elsewhere stays.
 */
struct move {
        const char *from;
        size_t n_bytes;
        const char *to;
};

static const void *moved(const struct move *m, const void *p)
{
        uintptr_t at = (uintptr_t)p, from = (uintptr_t)m->from;

        return at >= from && at < from + m->n_bytes ? m->to + (at - from) : p;
}

void frame_copy(const struct frame *f, const uint8_t *message, size_t n_message_bytes, void *to,
                struct frame *ret_copy)
{
        char *params = to, *shards = params + params_bytes(f), *text = shards + shards_bytes(f);
        struct move m = { (const char *)message, n_message_bytes, text };
        struct frame *c = ret_copy;

        *c = *f;
        c->params = (struct value *)(void *)params;
        c->shards = (struct frame_shard *)(void *)shards;
        if (f->n_params)
                memcpy(params, f->params, params_bytes(f));
        if (f->n_shards)
                memcpy(shards, f->shards, shards_bytes(f));
        memcpy(text, message, n_message_bytes);
        for (size_t i = 0; i < c->n_params; i++)
                if (c->params[i].type == VALUE_TEXT || c->params[i].type == VALUE_BLOB)
                        c->params[i].data = moved(&m, c->params[i].data);
        for (size_t i = 0; i < c->n_shards; i++)
                c->shards[i].name = moved(&m, c->shards[i].name);
        c->sql.data = moved(&m, c->sql.data);
        c->request_id.data = moved(&m, c->request_id.data);
        c->request_digest.data = moved(&m, c->request_digest.data);
        c->request_note.data = moved(&m, c->request_note.data);
        c->change_id.data = moved(&m, c->change_id.data);
        c->undo_sql.data = moved(&m, c->undo_sql.data);
}

/* ---- replies */

enum { REPLY_ID = 1, REPLY_HLC = 2, REPLY_SHARDS = 3, REPLY_END = 4 };
enum {
        PIECE_SHARD = 1,
        PIECE_RESULT = 2,
        PIECE_END = 3,
        PIECE_FAILURE = 4,
        PIECE_ELAPSED_US = 5,
        PIECE_ROWS = 6,
        PIECE_COMMIT_TS = 7,
        PIECE_CUT_C = 8,
        PIECE_CUT_E = 9,
        PIECE_NOTE = 10,
        PIECE_REPLAYED = 11,
        PIECE_PINNED = 12
};

void frame_add_head(struct buf *b, uint64_t id, uint64_t hlc)
{
        wire_add_uint(b, REPLY_ID, id);
        wire_add_uint_nz(b, REPLY_HLC, hlc);
}

void frame_add_end(struct buf *b)
{
        wire_add_uint(b, REPLY_END, 1);
}

void frame_add_more(struct buf *b, struct buf *more)
{
        wire_add_bytes(b, REPLY_MORE, more->data, more->n_bytes);
        buf_done(more);
}

static void add_failure(struct buf *b, const struct err *e)
{
        size_t at = wire_begin(b, PIECE_FAILURE);

        wire_add_uint(b, 1, (uint64_t)e->code);
        wire_add_str_nz(b, 2, e->reason);
        wire_add_str_nz(b, 3, e->msg);
        wire_add_uint_nz(b, 4, (uint64_t)(int64_t)e->extended_code);
        wire_add_str_nz(b, 5, e->sqlite_msg);
        wire_add_uint_nz(b, 6, (uint64_t)(int64_t)(e->offset + 1));
        wire_end(b, at);
}

/* All but shard and result. */
static void add_rest(struct buf *b, const struct frame_piece *p)
{
        wire_add_uint_nz(b, PIECE_END, p->end);
        if (p->failure)
                add_failure(b, p->failure);
        wire_add_uint_nz(b, PIECE_ELAPSED_US, p->elapsed_us);
        wire_add_uint_nz(b, PIECE_ROWS, p->rows);
        wire_add_uint_nz(b, PIECE_COMMIT_TS, p->commit_ts);
        wire_add_uint_nz(b, PIECE_CUT_C, p->cut_c);
        wire_add_uint_nz(b, PIECE_CUT_E, p->cut_e);
        if (p->note.n_bytes)
                wire_add_bytes(b, PIECE_NOTE, p->note.data, p->note.n_bytes);
        wire_add_uint_nz(b, PIECE_REPLAYED, p->replayed);
        wire_add_uint_nz(b, PIECE_PINNED, p->pinned);
}

void frame_add_piece(struct buf *b, const struct frame_piece *p)
{
        size_t at = wire_begin(b, REPLY_SHARDS);

        wire_add_uint_nz(b, PIECE_SHARD, p->shard);
        if (p->n_result_bytes)
                wire_add_bytes(b, PIECE_RESULT, p->result, p->n_result_bytes);
        add_rest(b, p);
        wire_end(b, at);
}

struct frame_open_piece frame_begin_piece(struct buf *b, uint32_t shard)
{
        struct frame_open_piece at;

        at.at_piece = wire_begin(b, REPLY_SHARDS);
        wire_add_uint_nz(b, PIECE_SHARD, shard);
        at.at_result = wire_begin(b, PIECE_RESULT);
        return at;
}

void frame_end_piece(struct buf *b, struct frame_open_piece at, const struct frame_piece *p)
{
        wire_end(b, at.at_result);
        add_rest(b, p);
        wire_end(b, at.at_piece);
}
