/* tablet_wire.c - the frames between gate and tablet. Field numbers: proto/shoal/v1/internal.proto.
 */
#include "gate/tablet_wire.h"

#include <stdio.h>
#include <string.h>

enum { REQUEST_ID = 1, REQUEST_TIMEOUT_US = 2, REQUEST_HLC = 3 };
enum { REQUEST_EXECUTE = 4, REQUEST_CANCEL = 5, REQUEST_CREDIT = 6, REQUEST_CHANGE_SCHEMA = 7 };
enum { REQUEST_MORE = 8, REQUEST_RELEASE = 9, REQUEST_SAVEPOINT = 10, REQUEST_PREPARE = 11 };
enum { REQUEST_VALIDATE = 12, REQUEST_END = 13, REQUEST_FIND = 14 };
enum { REPLY_ID = 1, REPLY_HLC = 2, REPLY_SHARDS = 3, REPLY_END = 4, REPLY_MORE = 5 };

void tablet_wire_add_head(struct buf *b, uint64_t id, uint64_t timeout_us, uint64_t hlc)
{
        wire_add_uint_nz(b, REQUEST_ID, id);
        wire_add_uint_nz(b, REQUEST_TIMEOUT_US, timeout_us);
        wire_add_uint_nz(b, REQUEST_HLC, hlc);
}

static void add_shards(struct buf *b, const struct tablet_shard *shards, size_t n_shards)
{
        for (size_t i = 0; i < n_shards; i++) {
                size_t at = wire_begin(b, 2);

                wire_add_str_nz(b, 1, shards[i].name);
                wire_add_uint_nz(b, 2, shards[i].epoch);
                wire_end(b, at);
        }
}

static void add_bytes_nz(struct buf *b, uint32_t field, const void *p, size_t n_bytes)
{
        if (n_bytes)
                wire_add_bytes(b, field, p, n_bytes);
}

static void add_id(struct buf *b, uint32_t field, const struct txn_id *id)
{
        size_t at = wire_begin(b, field);

        wire_add_uint_nz(b, 1, id->epoch);
        wire_add_uint_nz(b, 2, id->start);
        wire_add_uint_nz(b, 3, id->counter);
        wire_end(b, at);
}

static void add_parts(struct buf *b, uint32_t field, const struct tablet_part *parts, size_t n)
{
        for (size_t i = 0; parts && i < n; i++) {
                size_t at = wire_begin(b, field);

                wire_add_uint_nz(b, 1, parts[i].incarnation);
                wire_add_uint_nz(b, 2, parts[i].n_statements);
                wire_add_uint_nz(b, 3, parts[i].expect_c);
                wire_add_uint_nz(b, 4, parts[i].max_c);
                wire_end(b, at);
        }
}

static void add_participation(struct buf *b, const struct tablet_participation *t, size_t n_shards)
{
        size_t at = wire_begin(b, 22);

        add_id(b, 1, &t->id);
        wire_add_uint_nz(b, 2, t->age);
        add_parts(b, 3, t->parts, n_shards);
        wire_add_uint_nz(b, 4, t->savepoint);
        wire_end(b, at);
}

void tablet_wire_add_execute(struct buf *b, const struct tablet_shard *shards, size_t n_shards,
                             const struct tablet_execute *x)
{
        size_t at = wire_begin(b, REQUEST_EXECUTE);

        wire_add_uint_nz(b, 1, x->keyspace_id);
        add_shards(b, shards, n_shards);
        wire_add_uint_nz(b, 3, x->schema_version);
        add_bytes_nz(b, 4, x->sql, x->n_sql_bytes);
        for (size_t i = 0; i < x->n_params; i++)
                value_add(b, 5, &x->params[i]);
        wire_add_uint_nz(b, 6, x->write);
        wire_add_uint_nz(b, 7, x->cheap);
        add_bytes_nz(b, 8, x->request_id, x->n_request_id_bytes);
        wire_add_uint_nz(b, 9, (uint64_t)x->now_ms);
        wire_add_uint_nz(b, 10, x->read_ts);
        wire_add_uint_nz(b, 11, x->window_bytes);
        wire_add_uint_nz(b, 12, x->chunk_bytes);
        wire_add_uint_nz(b, 13, x->max_rows);
        wire_add_uint_nz(b, 14, x->max_bytes);
        add_bytes_nz(b, 15, x->request_digest, x->n_digest_bytes);
        wire_add_uint_nz(b, 16, x->probe_request_id);
        add_bytes_nz(b, 17, x->request_note, x->n_note_bytes);
        wire_add_uint_nz(b, 18, !x->with_columns);
        wire_add_uint_nz(b, 19, x->pin);
        wire_add_uint_nz(b, 20, x->pin_round);
        wire_add_uint_nz(b, 21, x->keep_pin);
        if (x->transaction)
                add_participation(b, x->transaction, n_shards);
        wire_end(b, at);
}

size_t tablet_wire_execute_size(const struct tablet_shard *shards, size_t n_shards,
                                const struct tablet_execute *x)
{
        enum { FIXED = 190, PER_SHARD = 64, PER_PARAM = 24, PER_TRANSACTION = 64, PER_PART = 48 };
        size_t n = FIXED + n_shards * PER_SHARD + x->n_sql_bytes + x->n_request_id_bytes +
                   x->n_digest_bytes + x->n_note_bytes +
                   (x->transaction ? PER_TRANSACTION + n_shards * PER_PART : 0);

        for (size_t i = 0; i < x->n_params; i++) {
                const struct value *v = &x->params[i];

                n += PER_PARAM;
                if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
                        n += v->n_bytes;
        }
        return n;
}

void tablet_wire_add_change_schema(struct buf *b, const struct tablet_shard *shards,
                                   size_t n_shards, const struct tablet_change_schema *x)
{
        size_t at = wire_begin(b, REQUEST_CHANGE_SCHEMA);

        wire_add_uint_nz(b, 1, x->keyspace_id);
        add_shards(b, shards, n_shards);
        wire_add_uint_nz(b, 3, x->version);
        wire_add_str_nz(b, 4, x->change_id);
        wire_add_str_nz(b, 5, x->sql);
        wire_add_str_nz(b, 6, x->undo_sql);
        wire_add_uint_nz(b, 7, x->undo);
        wire_end(b, at);
}

static void add_packed(struct buf *b, uint32_t field, const uint64_t *values, size_t n)
{
        size_t at = wire_begin(b, field);

        for (size_t i = 0; i < n; i++)
                wire_add_varint(b, values[i]);
        wire_end(b, at);
}

/* The fields that only one of them has. */
static void add_verb(struct buf *b, size_t n_shards, const struct tablet_transaction *x)
{
        switch (x->verb) {
        case TABLET_SAVEPOINT:
                add_parts(b, 4, x->parts, n_shards);
                wire_add_uint_nz(b, 5, x->savepoint);
                break;
        case TABLET_PREPARE:
                add_parts(b, 4, x->parts, n_shards);
                wire_add_uint_nz(b, 5, x->min_ts);
                for (size_t i = 0; i < x->n_participants; i++)
                        wire_add_str(b, 6, x->participants[i]);
                break;
        case TABLET_VALIDATE:
                wire_add_uint_nz(b, 4, x->age);
                add_packed(b, 5, x->c, n_shards);
                wire_add_uint_nz(b, 6, x->commit_ts);
                break;
        case TABLET_END:
                add_parts(b, 4, x->parts, n_shards);
                wire_add_uint_nz(b, 5, x->commit);
                wire_add_uint_nz(b, 6, x->commit_ts);
                wire_add_uint_nz(b, 7, x->min_ts);
                break;
        case TABLET_FIND:
                wire_add_uint_nz(b, 4, x->fence);
                break;
        }
}

void tablet_wire_add_transaction(struct buf *b, const struct tablet_shard *shards, size_t n_shards,
                                 const struct tablet_transaction *x)
{
        static const uint32_t fields[] = {
                [TABLET_SAVEPOINT] = REQUEST_SAVEPOINT, [TABLET_PREPARE] = REQUEST_PREPARE,
                [TABLET_VALIDATE] = REQUEST_VALIDATE,   [TABLET_END] = REQUEST_END,
                [TABLET_FIND] = REQUEST_FIND,
        };
        size_t at = wire_begin(b, fields[x->verb]);

        wire_add_uint_nz(b, 1, x->keyspace_id);
        add_shards(b, shards, n_shards);
        add_id(b, 3, &x->id);
        add_verb(b, n_shards, x);
        wire_end(b, at);
}

void tablet_wire_add_cancel(struct buf *b, const uint32_t *shards, size_t n)
{
        size_t at = wire_begin(b, REQUEST_CANCEL);

        for (size_t i = 0; i < n; i++)
                wire_add_uint(b, 1, shards[i]);
        wire_end(b, at);
}

void tablet_wire_add_release(struct buf *b, uint64_t pin)
{
        size_t at = wire_begin(b, REQUEST_RELEASE);

        wire_add_uint_nz(b, 1, pin);
        wire_end(b, at);
}

void tablet_wire_add_credit(struct buf *b, uint64_t n_bytes)
{
        size_t at = wire_begin(b, REQUEST_CREDIT);

        wire_add_uint_nz(b, 1, n_bytes);
        wire_end(b, at);
}

void tablet_wire_add_more(struct buf *b, struct buf *more)
{
        wire_add_bytes(b, REQUEST_MORE, more->data, more->n_bytes);
        buf_done(more);
}

bool tablet_wire_next_more(struct wire_reader *r, const uint8_t **ret_reply, size_t *ret_n_bytes)
{
        struct wire_field f;

        while (wire_next(r, &f)) {
                if (f.number != REPLY_MORE || f.type != WIRE_BYTES)
                        continue;
                *ret_reply = f.data;
                *ret_n_bytes = f.n_bytes;
                return true;
        }
        return false;
}

bool tablet_wire_read_reply(const void *p, size_t n_bytes, struct tablet_wire_reply *ret_reply)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct tablet_wire_reply reply = { 0 };
        struct wire_field f;

        while (wire_next(&r, &f)) {
                reply.has_more = reply.has_more || f.number == REPLY_MORE;
                if (f.type != WIRE_VARINT)
                        continue;
                if (f.number == REPLY_ID)
                        reply.id = f.uint;
                else if (f.number == REPLY_HLC)
                        reply.hlc = f.uint;
                else if (f.number == REPLY_END)
                        reply.end = f.uint;
        }
        *ret_reply = reply;
        return !r.failed;
}

static void copy_text(char *to, size_t size, const struct wire_field *f)
{
        size_t n = f->n_bytes < size - 1 ? f->n_bytes : size - 1;

        memcpy(to, f->data, n);
        to[n] = '\0';
}

static bool read_failure(const uint8_t *p, size_t n_bytes, struct err *ret_failure)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct wire_field f;
        struct err e = ERR_INIT;

        e.code = ERR_UNKNOWN;
        while (wire_next(&r, &f)) {
                if (f.type == WIRE_BYTES && f.number == 2)
                        copy_text(e.reason, sizeof(e.reason), &f);
                else if (f.type == WIRE_BYTES && f.number == 3)
                        copy_text(e.msg, sizeof(e.msg), &f);
                else if (f.type == WIRE_BYTES && f.number == 5)
                        copy_text(e.sqlite_msg, sizeof(e.sqlite_msg), &f);
                else if (f.type == WIRE_VARINT && f.number == 1 && f.uint >= ERR_CANCELLED &&
                         f.uint <= ERR_UNAUTHENTICATED)
                        e.code = (enum err_code)f.uint;
                else if (f.type == WIRE_VARINT && f.number == 4)
                        e.extended_code = (int)f.uint;
                else if (f.type == WIRE_VARINT && f.number == 6)
                        e.offset = (int)f.uint - 1;
        }
        *ret_failure = e;
        return !r.failed;
}

static void read_number(const struct wire_field *f, struct tablet_reply *r)
{
        switch (f->number) {
        case 1:
                r->shard = (uint32_t)f->uint;
                break;
        case 3:
                r->end = f->uint;
                break;
        case 5:
                r->elapsed_us = f->uint;
                break;
        case 6:
                r->rows = f->uint;
                break;
        case 7:
                r->commit_ts = f->uint;
                break;
        case 8:
                r->cut_c = f->uint;
                break;
        case 9:
                r->cut_e = f->uint;
                break;
        case 11:
                r->replayed = f->uint;
                break;
        case 12:
                r->pinned = f->uint;
                break;
        case 13:
                r->incarnation = f->uint;
                break;
        case 14:
                r->n_statements = f->uint;
                break;
        case 15:
                r->last_ts = f->uint;
                break;
        default:
                break;
        }
}

static bool read_piece(const uint8_t *p, size_t n_bytes, struct tablet_reply *ret_reply,
                       struct err *ret_failure)
{
        struct wire_reader r = wire_reader(p, n_bytes);
        struct wire_field f;

        *ret_reply = (struct tablet_reply){ 0 };
        while (wire_next(&r, &f)) {
                if (f.type == WIRE_VARINT) {
                        read_number(&f, ret_reply);
                } else if (f.type == WIRE_BYTES && f.number == 2) {
                        ret_reply->result = f.data;
                        ret_reply->n_result_bytes = f.n_bytes;
                } else if (f.type == WIRE_BYTES && f.number == 4) {
                        if (!read_failure(f.data, f.n_bytes, ret_failure))
                                return false;
                        ret_reply->failure = ret_failure;
                        ret_reply->end = true;
                } else if (f.type == WIRE_BYTES && f.number == 10) {
                        ret_reply->request_note = f.data;
                        ret_reply->n_note_bytes = f.n_bytes;
                }
        }
        if (ret_reply->failure)
                ret_reply->end = true;
        return !r.failed;
}

bool tablet_wire_next_piece(struct wire_reader *r, struct tablet_reply *ret_reply,
                            struct err *ret_failure, bool *ret_malformed)
{
        struct wire_field f;

        *ret_malformed = false;
        while (wire_next(r, &f)) {
                if (f.number != REPLY_SHARDS || f.type != WIRE_BYTES)
                        continue;
                if (read_piece(f.data, f.n_bytes, ret_reply, ret_failure))
                        return true;
                *ret_malformed = true;
                return false;
        }
        *ret_malformed = r->failed;
        return false;
}
