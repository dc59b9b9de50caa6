/* frame_txn.c - what transactions add to the messages between gate and tablet: Participation of
 * Execute, Savepoint, Prepare, Validate, EndTransaction and FindTransaction. Field numbers:
 * proto/shoal/v1/internal.proto. */
#include "tablet/frame_int.h"

#include <stdlib.h>

static enum err_code read_id(const struct wire_field *field, struct txn_id *ret_id,
                             struct err *reterr)
{
        struct wire_reader r = wire_reader(field->data, field->n_bytes);
        struct wire_field x;

        while (wire_next(&r, &x)) {
                if (x.type != WIRE_VARINT)
                        continue;
                if (x.number == 1)
                        ret_id->epoch = x.uint;
                else if (x.number == 2)
                        ret_id->start = x.uint;
                else if (x.number == 3)
                        ret_id->counter = x.uint;
        }
        return r.failed ? frame_refuse(reterr) : ERR_OK;
}

static enum err_code new_part(struct frame *f, struct frame_scratch *scratch,
                              struct frame_part **ret_part, struct err *reterr)
{
        if (f->n_parts == FRAME_MAX_SHARDS)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_SHARDS",
                               "a request names more than %d shards", FRAME_MAX_SHARDS);
        if (f->n_parts == scratch->max_parts) {
                scratch->max_parts = scratch->max_parts ? 2 * scratch->max_parts : 16;
                scratch->parts =
                    xrealloc(scratch->parts, scratch->max_parts * sizeof *scratch->parts);
        }
        *ret_part = &scratch->parts[f->n_parts++];
        **ret_part = (struct frame_part){ 0 };
        return ERR_OK;
}

static enum err_code add_part(struct frame *f, struct frame_scratch *scratch,
                              const struct wire_field *field, struct err *reterr)
{
        struct wire_reader r = wire_reader(field->data, field->n_bytes);
        struct frame_part *part = NULL;
        struct wire_field x;
        enum err_code rc = new_part(f, scratch, &part, reterr);

        if (rc)
                return rc;
        while (wire_next(&r, &x)) {
                if (x.type != WIRE_VARINT)
                        continue;
                if (x.number == 1)
                        part->incarnation = x.uint;
                else if (x.number == 2)
                        part->n_statements = x.uint;
                else if (x.number == 3)
                        part->expect_c = x.uint;
                else if (x.number == 4)
                        part->max_c = x.uint;
        }
        return r.failed ? frame_refuse(reterr) : ERR_OK;
}

/* Validate.c, one for each shard. */
static enum err_code add_c(struct frame *f, struct frame_scratch *scratch, uint64_t c,
                           struct err *reterr)
{
        struct frame_part *part = NULL;
        enum err_code rc = new_part(f, scratch, &part, reterr);

        if (!rc)
                part->c = c;
        return rc;
}

static enum err_code add_packed_c(struct frame *f, struct frame_scratch *scratch,
                                  const struct wire_field *field, struct err *reterr)
{
        const uint8_t *p = field->data, *end = p + field->n_bytes;
        enum err_code rc = ERR_OK;
        unsigned shift = 0;
        uint64_t c = 0;

        for (; !rc && p < end; p++) {
                if (shift > 63)
                        return frame_refuse(reterr);
                c |= (uint64_t)(*p & 0x7f) << shift;
                shift += 7;
                if (*p & 0x80)
                        continue;
                rc = add_c(f, scratch, c, reterr);
                c = shift = 0;
        }
        return !rc && shift ? frame_refuse(reterr) : rc;
}

/* ---- bodies */

enum err_code frame_decode_participation(struct frame *f, struct frame_scratch *scratch,
                                         const struct wire_field *field, struct err *reterr)
{
        struct wire_reader r = wire_reader(field->data, field->n_bytes);
        enum err_code rc = ERR_OK;
        struct wire_field x;

        f->in_transaction = true;
        while (!rc && wire_next(&r, &x)) {
                if (x.type == WIRE_BYTES && x.number == 1)
                        rc = read_id(&x, &f->age.id, reterr);
                else if (x.type == WIRE_VARINT && x.number == 2)
                        f->age.first_start = x.uint;
                else if (x.type == WIRE_BYTES && x.number == 3)
                        rc = add_part(f, scratch, &x, reterr);
                else if (x.type == WIRE_VARINT && x.number == 4)
                        f->savepoint = x.uint;
        }
        return !rc && r.failed ? frame_refuse(reterr) : rc;
}

static void set_number(struct frame *f, uint32_t number, uint64_t v)
{
        if (number == 1) {
                f->keyspace_id = v;
                return;
        }
        switch (f->body) {
        case FRAME_SAVEPOINT:
                if (number == 5)
                        f->savepoint = v;
                break;
        case FRAME_PREPARE:
                if (number == 5)
                        f->min_ts = v;
                break;
        case FRAME_VALIDATE:
                if (number == 4)
                        f->age.first_start = v;
                else if (number == 6)
                        f->commit_ts = v;
                break;
        case FRAME_END:
                if (number == 5)
                        f->commit = v;
                else if (number == 6)
                        f->commit_ts = v;
                else if (number == 7)
                        f->min_ts = v;
                break;
        case FRAME_FIND:
                if (number == 4)
                        f->fence = v;
                break;
        default:
                break;
        }
}

static enum err_code take_bytes(struct frame *f, struct frame_scratch *scratch,
                                const struct wire_field *x, struct err *reterr)
{
        bool has_parts =
            f->body == FRAME_SAVEPOINT || f->body == FRAME_PREPARE || f->body == FRAME_END;

        if (x->number == 2)
                return frame_add_shard(f, scratch, x, reterr);
        if (x->number == 3)
                return read_id(x, &f->age.id, reterr);
        if (x->number == 4 && has_parts)
                return add_part(f, scratch, x, reterr);
        if (x->number == 5 && f->body == FRAME_VALIDATE)
                return add_packed_c(f, scratch, x, reterr);
        if (x->number == 6 && f->body == FRAME_PREPARE)
                f->n_participants++;
        return ERR_OK;
}

enum err_code frame_decode_txn(struct frame *f, struct frame_scratch *scratch,
                               const struct wire_field *body, struct err *reterr)
{
        struct wire_reader r = wire_reader(body->data, body->n_bytes);
        enum err_code rc = ERR_OK;
        struct wire_field x;

        f->in_transaction = true;
        f->transaction = (struct bytes){ body->data, body->n_bytes };
        while (!rc && wire_next(&r, &x)) {
                if (x.type == WIRE_BYTES)
                        rc = take_bytes(f, scratch, &x, reterr);
                else if (x.type == WIRE_VARINT && x.number == 5 && f->body == FRAME_VALIDATE)
                        rc = add_c(f, scratch, x.uint, reterr);
                else if (x.type == WIRE_VARINT)
                        set_number(f, x.number, x.uint);
        }
        return !rc && r.failed ? frame_refuse(reterr) : rc;
}

bool frame_next_participant(const struct frame *f, size_t *at, struct bytes *ret_name)
{
        struct wire_reader r =
            wire_reader((const uint8_t *)f->transaction.data + *at, f->transaction.n_bytes - *at);
        struct wire_field x;

        while (*at < f->transaction.n_bytes && wire_next(&r, &x)) {
                *at = (size_t)(r.p - (const uint8_t *)f->transaction.data);
                if (x.number != 6 || x.type != WIRE_BYTES)
                        continue;
                *ret_name = (struct bytes){ x.data, x.n_bytes };
                return true;
        }
        return false;
}

/* ---- what must hold */

static bool needs_parts(const struct frame *f)
{
        return f->body != FRAME_FIND && !(f->body == FRAME_END && (!f->commit || f->commit_ts));
}

static enum err_code refuse_because(const char *why, struct err *reterr)
{
        return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "of a transaction: %s", why);
}

enum err_code frame_check_txn(const struct frame *f, struct err *reterr)
{
        if (!f->in_transaction)
                return ERR_OK;
        if (!f->age.id.epoch || !f->age.id.start || !f->age.id.counter)
                return refuse_because("without its name", reterr);
        if (needs_parts(f) && f->n_parts != f->n_shards)
                return refuse_because("not one part for each shard", reterr);
        if (f->n_participants > FRAME_MAX_SHARDS)
                return refuse_because("too many participants", reterr);
        switch (f->body) {
        case FRAME_EXECUTE:
                if (f->pin || f->pin_round || f->probe || f->request_id.n_bytes)
                        return refuse_because("with a pin, or a request_id", reterr);
                return f->age.first_start ? ERR_OK : refuse_because("without its age", reterr);
        case FRAME_SAVEPOINT:
                return f->savepoint ? ERR_OK : refuse_because("no savepoint", reterr);
        case FRAME_PREPARE:
                return f->n_participants ? ERR_OK : refuse_because("no participants", reterr);
        case FRAME_VALIDATE:
                return f->age.first_start && f->commit_ts
                           ? ERR_OK
                           : refuse_because("without its age, or commit_ts", reterr);
        default:
                return ERR_OK;
        }
}
