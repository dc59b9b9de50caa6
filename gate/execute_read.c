/* execute_read.c - sends the parts of a plan to their shards and puts together what comes back.
 * Loop thread. */
#include <assert.h>
#include <string.h>

#include "common/log.h"
#include "common/wire.h"
#include "gate/execute_int.h"
#include "gate/shard_bits.h"
#include "gate/transaction.h"

enum {
        CHUNK_BYTES =
            64 << 10, /* what a tablet aims at in one message of a stream, and the finish too */
        UNARY_CHUNK_BYTES = 256 << 10, /* likewise of an answer in one piece */
        MIN_WINDOW_BYTES = 256 << 10,  /* of rows on their way from one tablet */
        MAX_WINDOW_BYTES = 1 << 20,
        ALL_WINDOWS_BYTES = 8 << 20,
        TAG_PART_SHIFT = 32,
        CHEAP_KEYS = 16, /* so many point reads may run on a tablet's loop thread */
};

/* ---- the finish */

static void send_parts(struct execution *x);

static void on_finish_turn(void *arg)
{
        send_parts(arg);
}

static void on_finish_consumed(void *arg, size_t tag, uint64_t n_bytes)
{
        execution_consumed(arg, tag, n_bytes);
}

static void on_finish_rows(void *arg, struct buf *rows)
{
        struct buf taken = *rows;

        *rows = (struct buf)BUF_INIT(0);
        if (!execute_give(arg, grpc_slice_new(taken.data, taken.n_bytes, free), EXECUTE_TAG_FINISH))
                return;
}

static void on_finish_end(void *arg, const struct err *e)
{
        execute_settle(arg, e);
}

static void start_finish(struct execution *x)
{
        static const struct finish_events events = {
                .on_turn = on_finish_turn,
                .on_consumed = on_finish_consumed,
                .on_rows = on_finish_rows,
                .on_end = on_finish_end,
        };
        struct finish_options o = {
                .finishes = x->gate->finishes,
                .plan = x->run,
                .values = x->values.values,
                .n_values = x->values.n,
                .now_ms = x->now_ms,
                .deadline_us = x->request.deadline_us,
                .max_rows = x->discard_rows ? 0 : x->max_rows,
                .chunk_bytes = x->request.streaming ? CHUNK_BYTES : UNARY_CHUNK_BYTES,
                .events = &events,
                .arg = x,
        };

        x->finish = finish_new(&o);
        if (finish_has_turn(x->finish))
                send_parts(x);
}

void execute_run_local(struct execution *x)
{
        struct finish_local l = {
                .plan = x->run,
                .values = x->values.values,
                .n_values = x->values.n,
                .now_ms = x->now_ms,
                .max_rows = x->discard_rows ? 0 : x->max_rows,
        };
        struct buf rows = BUF_INIT(0);
        enum err_code rc = ERR_OK;
        struct err e = ERR_INIT;

        /* Nothing but blanks and comments is a statement that does nothing. */
        if (*x->run->finish_sql &&
            !(x->run->quick_finish && finish_try_local(x->gate->finishes, &l, &rows, &rc, &e))) {
                buf_done(&rows);
                start_finish(x);
                return;
        }
        if (rc)
                buf_done(&rows);
        else if (rows.n_bytes &&
                 !execute_give(x, grpc_slice_new(rows.data, rows.n_bytes, free), EXECUTE_TAG_NONE))
                return;
        execute_settle(x, &e);
}

/* ---- what comes back */

static uint64_t count_rows(const struct execution *x)
{
        uint64_t n = 0;

        for (size_t i = 0; i < x->n_parts; i++) {
                const struct scatter *s = x->parts[i].scatter;

                for (size_t k = 0; k < scatter_n_shards(s); k++)
                        n += scatter_shard_at(s, k)->rows;
        }
        return n;
}

bool execute_take_rows(struct execution_part *part, size_t shard, grpc_slice rows)
{
        struct execution *x = part->x;
        size_t tag = (size_t)(part - x->parts) << TAG_PART_SHIFT | shard;
        struct err e;

        if (execute_rounds_note(x, part->index, GRPC_SLICE_START_PTR(rows), GRPC_SLICE_LENGTH(rows),
                                &e)) {
                grpc_slice_unref(rows);
                execute_fail(x, &e);
                return false;
        }
        if (!x->finish)
                return execute_give(x, rows, tag);
        finish_load(x->finish, part->index, GRPC_SLICE_START_PTR(rows), GRPC_SLICE_LENGTH(rows),
                    &rows, tag);
        grpc_slice_unref(rows);
        return true;
}

static void on_part_result(void *arg, struct scatter *s, size_t i, const uint8_t *result,
                           size_t n_bytes, const grpc_slice *slice)
{
        size_t at = (size_t)(result - GRPC_SLICE_START_PTR(*slice));
        grpc_slice rows = grpc_slice_sub(*slice, at, at + n_bytes);

        (void)s;
        if (execute_cut_hold(arg, i, rows))
                grpc_slice_unref(rows);
        else
                (void)execute_take_rows(arg, i, rows);
}

static void on_part_pin(void *arg, struct scatter *s, size_t i, uint64_t c, uint64_t e)
{
        (void)s;
        execute_cut_on_pin(arg, i, c, e);
}

void execute_end_parts(struct execution *x)
{
        struct err e = ERR_INIT;

        execute_cut_release(x);
        if (x->finish) {
                finish_run(x->finish);
                return;
        }
        if (x->max_rows && count_rows(x) > x->max_rows && !x->discard_rows)
                err_set(&e, ERR_EXHAUSTED, "RESULT_TOO_LARGE", "the result has more than %llu rows",
                        (unsigned long long)x->max_rows);
        execute_settle(x, &e);
}

/* Of what a cut shows, each shard has to have said so. */
static bool are_all_pinned(const struct execution *x, const struct scatter *s)
{
        for (size_t i = 0; (x->cut || execute_keeps_pins(x)) && i < scatter_n_shards(s); i++)
                if (!scatter_shard_at(s, i)->pinned)
                        return false;
        return true;
}

/* Requests to a shard that takes part in the transaction go one after the other: each tells how
 * many have been answered. */
static enum err_code send_next_to_parts(struct execution *x, struct err *reterr)
{
        for (size_t i = 0; i < x->n_parts; i++)
                if (x->parts[i].takes_part && !x->parts[i].scatter)
                        return execute_send_read(x, i, reterr);
        return ERR_OK;
}

static void on_part_end(void *arg, struct scatter *s, const struct err *e)
{
        struct execution_part *part = arg;
        struct execution *x = part->x;
        struct err unpinned, unsent;

        if (execute_is_failing(x)) {
                execute_part_stopped(x);
                return;
        }
        if (e->code) {
                execute_fail(x, e);
                return;
        }
        if (!part->takes_part && !are_all_pinned(x, s)) {
                err_set(&unpinned, ERR_INTERNAL, "BAD_REPLY",
                        "a tablet has not told what its rows show");
                execute_fail(x, &unpinned);
                return;
        }
        x->n_parts_ended++;
        if (part->takes_part && send_next_to_parts(x, &unsent)) {
                execute_fail(x, &unsent);
                return;
        }
        if (execute_has_rounds(x))
                execute_rounds_ended(x, part->index);
        else if (x->n_parts_ended == x->n_parts)
                execute_end_parts(x);
}

void execution_consumed(struct execution *x, size_t tag, uint64_t n_bytes)
{
        size_t part = tag >> TAG_PART_SHIFT;

        if (tag == EXECUTE_TAG_NONE || !x->active)
                return;
        if (tag == EXECUTE_TAG_FINISH) {
                if (x->finish)
                        finish_next(x->finish);
        } else if (part < x->n_parts && x->parts[part].scatter) {
                scatter_credit(x->parts[part].scatter, (uint32_t)tag, n_bytes);
        }
}

/* ---- what goes out */

uint64_t *execute_alloc_bits(struct execution *x)
{
        return arena_alloc(x->arena, scatter_n_words(x->catalog) * sizeof(uint64_t));
}

void execute_fill_request(const struct execution *x, const struct plan_part *part,
                          struct tablet_execute *ret_request)
{
        bool limited = !x->finish && !x->discard_rows;

        *ret_request = (struct tablet_execute){
                .keyspace_id = x->run->keyspace_id,
                .schema_version = x->run->schema_version,
                .sql = part->sql,
                .n_sql_bytes = strlen(part->sql),
                .params = x->values.values,
                .n_params = x->values.n,
                .write = !x->run->read_only,
                .cheap = part->cheap,
                .now_ms = x->now_ms,
                .max_rows = limited ? x->max_rows : 0,
                .max_bytes = limited ? x->max_bytes : 0,
        };
}

static uint64_t choose_window(const struct execution *x, size_t n_shards)
{
        size_t n = topology_n_tablets(x->gate->topology);
        uint64_t bytes;

        if (n > n_shards)
                n = n_shards;
        bytes = ALL_WINDOWS_BYTES / (n ? n : 1);
        if (bytes > MAX_WINDOW_BYTES)
                bytes = MAX_WINDOW_BYTES;
        return bytes < MIN_WINDOW_BYTES ? MIN_WINDOW_BYTES : bytes;
}

enum err_code execute_send_part(struct execution *x, size_t part, const uint64_t *bits,
                                const struct tablet_execute *request,
                                const struct scatter_events *events, struct err *reterr)
{
        struct scatter_options o = {
                .tablets = x->gate->tablets,
                .catalog = x->catalog,
                .shard_bits = bits,
                .deadline_us = x->request.deadline_us,
                .keep_going = x->parts[part].takes_part,
                .is_open = x->cut && !execute_cut_is_accepted(x) && !x->parts[part].takes_part,
                .transaction = x->transaction,
                .takes_part = x->parts[part].takes_part,
                .events = events,
                .arg = &x->parts[part],
        };

        if (arena_is_exhausted(x->arena))
                return execute_no_memory(reterr);
        if (o.takes_part)
                o.savepoint = execute_savepoint(x, x->run->read_only ? 1 : x->n_write_shards);
        x->parts[part].scatter = scatter_execute(&o, request);
        return ERR_OK;
}

void execute_make_read(const struct execution *x, size_t slot, struct tablet_execute *ret_request)
{
        const struct execution_part *s = &x->parts[slot];
        const struct plan_part *part = &x->run->parts[s->index];

        execute_fill_request(x, part, ret_request);
        if (!s->takes_part)
                execute_cut_fill(x, ret_request);
        if (s->keyed) {
                ret_request->sql = s->keyed->sql;
                ret_request->n_sql_bytes = strlen(s->keyed->sql);
                ret_request->params = s->keyed->values;
                ret_request->n_params = s->keyed->n_values;
                ret_request->cheap =
                    part->after->rows_per_key <= 1 && x->parts[s->index].keys.n <= CHEAP_KEYS;
        }
        /* A handful of rows come at once. */
        if (x->finish && ret_request->cheap && s->n_shards == 1)
                return;
        /* What is collected in one piece is bounded by its size; the rest by what is on the way. */
        if (x->finish || x->request.streaming || x->discard_rows) {
                ret_request->window_bytes = choose_window(x, s->n_shards);
                ret_request->chunk_bytes = CHUNK_BYTES;
        } else {
                ret_request->chunk_bytes = UNARY_CHUNK_BYTES;
        }
}

enum err_code execute_send_read(struct execution *x, size_t slot, struct err *reterr)
{
        static const struct scatter_events events = {
                .on_result = on_part_result,
                .on_pin = on_part_pin,
                .on_end = on_part_end,
        };
        struct tablet_execute request;

        execute_make_read(x, slot, &request);
        return execute_send_part(x, slot, x->parts[slot].bits, &request, &events, reterr);
}

/* What goes to shards that take part in the transaction gets slots of its own. */
static enum err_code split_slots(struct execution *x, struct err *reterr)
{
        size_t n = x->n_parts, n_words = scatter_n_words(x->catalog);

        for (size_t i = 0; i < n; i++) {
                struct execution_part *part = &x->parts[i], *other = &x->parts[x->n_parts];
                size_t n_other = 0;

                *other = *part;
                other->bits = execute_alloc_bits(x);
                if (!other->bits)
                        return execute_no_memory(reterr);
                memset(other->bits, 0, n_words * sizeof(*other->bits));
                for (uint32_t k = 0; k < x->transaction->n_shards; k++) {
                        if (!shard_bits_has(part->bits, k) ||
                            !transaction_takes_part(x->transaction, k))
                                continue;
                        n_other++;
                        shard_bits_add(other->bits, k);
                }
                if (!n_other)
                        continue;
                other->takes_part = true;
                other->n_shards = n_other;
                if (n_other == part->n_shards) {
                        *part = *other;
                        continue;
                }
                for (size_t k = 0; k < n_words; k++)
                        part->bits[k] &= ~other->bits[k];
                part->n_shards -= n_other;
                x->n_parts++;
        }
        return ERR_OK;
}

/* Where each part goes, those that wait for keys at most; and whether they have to show one moment.
 */
static enum err_code route_parts(struct execution *x, struct err *reterr)
{
        size_t n = x->run->n_parts;

        x->parts = arena_calloc(x->arena, 2 * execute_rounds_room(x->run), sizeof(*x->parts));
        for (size_t i = 0; x->parts && i < n; i++) {
                struct execution_part *part = &x->parts[i];
                enum err_code rc;

                part->x = x;
                part->index = i;
                part->n_open = 1;
                part->bits = execute_alloc_bits(x);
                if (!part->bits)
                        break;
                rc = plan_route(x->run, i, &x->values, part->bits, &part->n_shards, reterr);
                if (rc)
                        return rc;
        }
        if (arena_is_exhausted(x->arena))
                return execute_no_memory(reterr);
        x->n_parts = n;
        if (x->transaction && split_slots(x, reterr))
                return reterr->code;
        return execute_cut_begin(x, reterr);
}

static void send_parts(struct execution *x)
{
        enum err_code rc;
        struct err e;

        if (!x->run->n_parts) {
                finish_run(x->finish);
                return;
        }
        rc = route_parts(x, &e);
        for (size_t i = 0; !rc && i < x->n_parts; i++)
                if (!x->parts[i].takes_part && !execute_rounds_waits(x, x->parts[i].index))
                        rc = execute_send_read(x, i, &e);
        if (!rc)
                rc = send_next_to_parts(x, &e);
        if (rc)
                execute_fail(x, &e);
}

void execute_run_parts(struct execution *x)
{
        if (x->run->finish_sql)
                start_finish(x);
        else
                send_parts(x);
}
