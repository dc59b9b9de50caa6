/* execute_spread.c - writes in a transaction: on one shard of it, or on several. A write that no
 * shard can do alone, outside of one, gets a transaction of its own. Rows of an INSERT go to their
 * shards, each in a statement of its own; any other write goes to all shards as it is. What the
 * shards answer is put together: rows in the order of the INSERT's, changes added up. Loop thread.
 */
#include <assert.h>
#include <string.h>

#include "common/wire.h"
#include "gate/execute_int.h"
#include "gate/session.h"
#include "gate/shard_bits.h"
#include "gate/transaction.h"

enum { FIELD_ROWS = 2, FIELD_ROWS_AFFECTED = 3, FIELD_LAST_INSERT_ID = 4 };

/* In the execution's arena, but for the pieces' bytes. */
struct execute_spread {
        struct buf *pieces; /* what each slot has answered */
        size_t n_pieces, n_ended;
        struct err failure; /* the first; code ERR_OK: none */
        const uint32_t
            *row_slots; /* of an INSERT on several shards: the slot of each row; or NULL */
        size_t n_rows;
};

void execute_drop_spread(struct execution *x)
{
        struct execute_spread *s = TAKE(x->spread);

        for (size_t i = 0; s && i < s->n_pieces; i++)
                buf_done(&s->pieces[i]);
}

/* ---- what shards answer */

/* One slot's pieces, read row by row. */
struct row_reader {
        struct wire_reader r;
        size_t n_rows, n_given;
        uint64_t n_changes;
        int64_t last_id;
};

static struct row_reader read_piece(const struct buf *b)
{
        struct row_reader rr = { 0 };
        struct wire_reader r = wire_reader(b->data, b->n_bytes);
        struct wire_field f;

        while (wire_next(&r, &f)) {
                rr.n_rows += f.number == FIELD_ROWS;
                if (f.number == FIELD_ROWS_AFFECTED && f.type == WIRE_VARINT)
                        rr.n_changes += f.uint;
                else if (f.number == FIELD_LAST_INSERT_ID && f.type == WIRE_VARINT)
                        rr.last_id = (int64_t)f.uint;
        }
        rr.r = wire_reader(b->data, b->n_bytes);
        return rr;
}

static bool add_row(struct row_reader *rr, struct buf *out)
{
        struct wire_field f;

        while (wire_next(&rr->r, &f)) {
                if (f.number != FIELD_ROWS || f.type != WIRE_BYTES)
                        continue;
                wire_add_bytes(out, FIELD_ROWS, f.data, f.n_bytes);
                return true;
        }
        return false;
}

static size_t rows_of_slot(const struct execute_spread *s, size_t slot)
{
        size_t n = 0;

        for (size_t i = 0; i < s->n_rows; i++)
                n += s->row_slots[i] == slot;
        return n;
}

/* RETURNING tells of each row in the order of the statement, as long as each is told of. */
static enum err_code add_rows(const struct execute_spread *s, struct row_reader *readers,
                              struct buf *out, struct err *reterr)
{
        size_t n_told = 0;

        for (size_t i = 0; i < s->n_pieces; i++)
                n_told += readers[i].n_rows;
        for (size_t i = 0; n_told && s->row_slots && i < s->n_pieces; i++)
                if (readers[i].n_rows != rows_of_slot(s, i))
                        return err_set(reterr, ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS",
                                       "RETURNING of an INSERT on several shards that leaves rows "
                                       "out is not there yet: their order would be lost");
        for (size_t i = 0; n_told && i < s->n_rows; i++)
                (void)add_row(&readers[s->row_slots[i]], out);
        for (size_t i = 0; i < s->n_pieces; i++)
                while (add_row(&readers[i], out))
                        ;
        return ERR_OK;
}

/* The rowid of the last row that was inserted: of the last ones of each shard, the one that comes
 * last in the statement. 0: none was. */
static int64_t find_last_id(const struct execution *x, const struct row_reader *readers)
{
        const struct execute_spread *s = x->spread;

        for (size_t i = s->n_rows; i-- > 0;) {
                const struct row_reader *rr = &readers[s->row_slots[i]];
                const struct value *v;

                if (!rr->last_id || !x->run->insert_ids)
                        continue;
                v = &x->values.values[x->run->insert_ids[i]];
                if (v->type == VALUE_INTEGER && v->integer == rr->last_id)
                        return rr->last_id;
        }
        return s->n_pieces == 1 ? readers[0].last_id : 0;
}

static void note_counts(struct session *s, uint64_t n_changes, int64_t last_id)
{
        s->changes = (int64_t)n_changes;
        s->total_changes += (int64_t)n_changes;
        if (last_id)
                s->last_insert_rowid = last_id;
}

/* Puts the pieces together as the one that x->held is. */
static enum err_code join_pieces(struct execution *x, struct err *reterr)
{
        struct execute_spread *s = x->spread;
        cleanup_(freep) struct row_reader *readers = xcalloc(s->n_pieces, sizeof(*readers));
        struct buf out = BUF_INIT(0);
        uint64_t n_changes = 0;
        int64_t last_id;
        enum err_code rc;

        for (size_t i = 0; i < s->n_pieces; i++) {
                readers[i] = read_piece(&s->pieces[i]);
                n_changes += readers[i].n_changes;
        }
        rc = add_rows(s, readers, &out, reterr);
        if (!rc && s->n_pieces > 1 && x->max_bytes && out.n_bytes > x->max_bytes)
                rc = err_set(reterr, ERR_EXHAUSTED, "RESULT_TOO_LARGE",
                             "what RETURNING gives is larger than %llu bytes",
                             (unsigned long long)x->max_bytes);
        if (rc) {
                buf_done(&out);
                return rc;
        }
        last_id = find_last_id(x, readers);
        x->write_changes = n_changes;
        x->write_last_id = last_id;
        wire_add_uint_nz(&out, FIELD_ROWS_AFFECTED, n_changes);
        if (!last_id && x->session)
                last_id = x->session->last_insert_rowid;
        wire_add_uint_nz(&out, FIELD_LAST_INSERT_ID, (uint64_t)last_id);
        result_clear(&x->held);
        result_add(&x->held, grpc_slice_new(out.data, out.n_bytes, free));
        return ERR_OK;
}

/* One piece of x->held. */
static bool take_held(struct execution *x)
{
        struct execute_spread *s = arena_calloc(x->arena, 1, sizeof(*s));

        if (s)
                s->pieces = arena_calloc(x->arena, 1, sizeof(*s->pieces));
        if (!s || !s->pieces)
                return false;
        s->n_pieces = 1;
        x->spread = s;
        for (size_t i = 0; i < x->held.n_rows_slices; i++)
                buf_add(&s->pieces[0], GRPC_SLICE_START_PTR(x->held.rows[i]),
                        GRPC_SLICE_LENGTH(x->held.rows[i]));
        return true;
}

void execute_count_held(struct execution *x)
{
        struct err e;

        /* It is done, whatever can be said of it. */
        if (!x->session || (!x->spread && (!take_held(x) || join_pieces(x, &e))))
                return;
        note_counts(x->session, x->write_changes, x->write_last_id);
}

/* ---- the end */

static void on_finished(struct execution *x, const struct err *e)
{
        execute_write_ended(x, e);
}

static void end_spread(struct execution *x)
{
        struct err e = x->spread->failure;

        if (!e.code)
                (void)join_pieces(x, &e);
        if (!execute_finish_write(x, &e, on_finished))
                on_finished(x, &e);
}

static void on_spread_result(void *arg, struct scatter *s, size_t i, const uint8_t *result,
                             size_t n_bytes, const grpc_slice *slice)
{
        struct execution_part *part = arg;
        struct execution *x = part->x;

        (void)s;
        (void)i;
        (void)slice;
        buf_add(&x->spread->pieces[part - x->parts], result, n_bytes);
}

static void on_spread_end(void *arg, struct scatter *s, const struct err *e)
{
        struct execution_part *part = arg;
        struct execution *x = part->x;
        struct execute_spread *sp = x->spread;

        (void)s;
        sp->n_ended++;
        if (e->code && !sp->failure.code)
                sp->failure = *e;
        /* What ends the transaction ends the others, too. */
        if (sp->n_ended == sp->n_pieces || (e->code && transaction_is_fatal(e)))
                end_spread(x);
}

/* ---- the beginning */

static enum err_code make_slots(struct execution *x, size_t n, struct err *reterr)
{
        struct execute_spread *s = arena_calloc(x->arena, 1, sizeof(*s));

        execute_drop_spread(x);
        x->parts = arena_calloc(x->arena, n, sizeof(*x->parts));
        if (s)
                s->pieces = arena_calloc(x->arena, n, sizeof(*s->pieces));
        if (!s || !s->pieces || !x->parts)
                return execute_no_memory(reterr);
        s->failure = (struct err)ERR_INIT;
        s->n_pieces = n;
        x->spread = s;
        x->n_parts = n;
        for (size_t i = 0; i < n; i++) {
                x->parts[i].x = x;
                x->parts[i].takes_part = true;
                x->parts[i].bits = execute_alloc_bits(x);
                if (!x->parts[i].bits)
                        return execute_no_memory(reterr);
                memset(x->parts[i].bits, 0, scatter_n_words(x->catalog) * sizeof(uint64_t));
        }
        return ERR_OK;
}

static enum err_code send_slot(struct execution *x, size_t slot, struct tablet_execute *request,
                               struct err *reterr)
{
        static const struct scatter_events events = { .on_result = on_spread_result,
                                                      .on_end = on_spread_end };

        return execute_send_part(x, slot, x->parts[slot].bits, request, &events, reterr);
}

/* As it is, to all of them. */
static enum err_code send_whole(struct execution *x, const uint64_t *bits, struct err *reterr)
{
        struct tablet_execute request;
        enum err_code rc = make_slots(x, 1, reterr);

        if (rc)
                return rc;
        memcpy(x->parts[0].bits, bits, scatter_n_words(x->catalog) * sizeof(*bits));
        execute_fill_request(x, &x->run->parts[0], &request);
        return send_slot(x, 0, &request, reterr);
}

/* Each row to its shard. */
static enum err_code send_rows(struct execution *x, const uint64_t *bits, size_t n_shards,
                               struct err *reterr)
{
        const struct plan_rows *rows = x->run->rows;
        const struct shard_map *map = catalog_shards(x->catalog);
        uint32_t *slots = arena_calloc(x->arena, rows->n, sizeof(*slots));
        struct plan_values *values;
        enum err_code rc = make_slots(x, n_shards, reterr);

        if (rc)
                return rc;
        values = arena_calloc(x->arena, n_shards, sizeof(*values));
        if (!slots || !values)
                return execute_no_memory(reterr);
        for (size_t i = 0; i < rows->n; i++) {
                size_t shard = route_find(&x->run->parts[0].route, i, map, x->values.values);

                slots[i] = (uint32_t)shard_bits_rank(bits, shard);
                shard_bits_add(x->parts[slots[i]].bits, shard);
        }
        x->spread->row_slots = slots;
        x->spread->n_rows = rows->n;
        for (size_t k = 0; !rc && k < n_shards; k++) {
                struct tablet_execute request;

                execute_fill_request(x, &x->run->parts[0], &request);
                request.sql =
                    plan_rows_print(rows, slots, (uint32_t)k, &x->values, x->arena, &values[k]);
                if (!request.sql)
                        return execute_no_memory(reterr);
                request.n_sql_bytes = strlen(request.sql);
                request.params = values[k].values;
                request.n_params = values[k].n;
                rc = send_slot(x, k, &request, reterr);
        }
        return rc;
}

static enum err_code check_spread(const struct execution *x, size_t n_shards, struct err *reterr)
{
        if (x->request.n_request_id_bytes)
                return err_set(reterr, ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS",
                               "a write with a request_id that touches %zu shards is not there yet",
                               n_shards);
        if (x->run->keeps_rows)
                return err_set(reterr, ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS",
                               "OR FAIL and OR ROLLBACK of a write that touches %zu shards are not "
                               "there yet",
                               n_shards);
        return ERR_OK;
}

enum err_code execute_send_spread(struct execution *x, const uint64_t *bits, size_t n_shards,
                                  struct err *reterr)
{
        enum err_code rc = n_shards > 1 ? check_spread(x, n_shards, reterr) : ERR_OK;

        if (!rc && !x->transaction)
                rc = execute_begin_own(x, reterr);
        if (rc)
                return rc;
        x->n_write_shards = n_shards;
        if (n_shards > 1 && x->run->rows)
                return send_rows(x, bits, n_shards, reterr);
        return send_whole(x, bits, reterr);
}
