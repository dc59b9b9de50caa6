/* execute_write.c - statements that write: new rowids, request ids, one shard; and statistics.
 * Loop thread.
 *
 *      execute_write ── ids wanted ──▶ on_filled ── intent needed ──▶ on_intent ──▶ send
 *            ▲                                                                       │
 *            └── an id was taken ◀── end_write ◀── what the shard said is final ◀────┘
 *
 * The shard's answer is held back until it is known to be the answer: an id that was taken, or a
 * request_id that had been used with other ids, sends the statement again. */
#include <assert.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* for a state on the stack */
#include <xxhash.h>

#include "common/wire.h"
#include "gate/execute_int.h"
#include "gate/refresher.h"
#include "gate/session.h"
#include "gate/transaction.h"

static void fill_ids(struct execution *x);
static void on_filled(struct sequence_use *u, const struct err *e);
static void send_write(struct execution *x);

void execute_abandon_write(struct execution *x)
{
        result_clear(&x->held);
        execute_drop_spread(x);
        ddl_abandon(&x->ddl);
        ddl_replay_cancel(&x->replay);
        analyze_cancel(&x->analyze);
        if (x->needs_intent)
                request_intent_done(&x->intent);
        if (x->has_use)
                sequence_cancel(x->gate->sequences, &x->use);
        x->needs_intent = x->sent_intent = x->has_use = false;
}

/* ---- the end of it */

static bool give_held(struct execution *x)
{
        for (size_t i = 0; i < x->held.n_rows_slices; i++) {
                if (!execute_give(x, grpc_slice_ref(x->held.rows[i]), EXECUTE_TAG_NONE))
                        return false;
        }
        return true;
}

/* How many rows the write has changed. */
static uint64_t count_changes(const struct result *held)
{
        enum { ROWS_AFFECTED = 3 }; /* field of ResultSet */
        uint64_t n = 0;

        for (size_t i = 0; i < held->n_rows_slices; i++) {
                struct wire_reader r = wire_reader(GRPC_SLICE_START_PTR(held->rows[i]),
                                                   GRPC_SLICE_LENGTH(held->rows[i]));
                struct wire_field f;

                while (wire_next(&r, &f))
                        if (f.number == ROWS_AFFECTED && f.type == WIRE_VARINT)
                                n += f.uint;
        }
        return n;
}

/* e is the statement's outcome, unless it turns out that it has to be sent again. */
static void end_write(struct execution *x, const struct err *e)
{
        struct err copy = *e;

        if (x->needs_intent)
                request_intent_done(&x->intent);
        x->needs_intent = x->sent_intent = false;
        if (x->has_use && sequence_note_result(x->gate->sequences, &x->use, &copy)) {
                result_clear(&x->held);
                execute_drop_spread(x);
                execute_drop_own(x);
                fill_ids(x);
                return;
        }
        if (x->has_use && !copy.code && x->transaction)
                sequence_hold(x->gate->sequences, x->run, &x->values, &x->transaction->holds,
                              execute_savepoint(x, 1));
        x->has_use = false;
        if (!copy.code)
                execute_count_held(x);
        else if (x->session && copy.extended_code)
                x->session->changes = 0;
        if (!copy.code) {
                if (x->run->table)
                        refresher_note(x->gate->refresher, x->catalog, x->run->table,
                                       count_changes(&x->held));
                if (!give_held(x))
                        return;
                result_clear(&x->held);
        }
        execute_settle(x, &copy);
}

/* ---- request ids */

static void hash_value(XXH3_state_t *h, const struct value *v)
{
        uint8_t type = (uint8_t)v->type;
        uint64_t n_bytes;

        XXH3_128bits_update(h, &type, 1);
        if (v->type == VALUE_INTEGER || v->type == VALUE_REAL) {
                XXH3_128bits_update(h, &v->integer, sizeof(v->integer));
        } else if (v->type == VALUE_TEXT || v->type == VALUE_BLOB) {
                n_bytes = v->n_bytes;
                XXH3_128bits_update(h, &n_bytes, sizeof(n_bytes));
                XXH3_128bits_update(h, v->data, v->n_bytes);
        }
}

/* A map comes in any order: the named ones are added up. */
static void add_named(const struct plan_arg *arg, XXH3_state_t *h, XXH128_hash_t *sum)
{
        XXH128_hash_t one;

        XXH3_128bits_reset(h);
        XXH3_128bits_update(h, arg->name, strlen(arg->name));
        hash_value(h, &arg->value);
        one = XXH3_128bits_digest(h);
        sum->low64 += one.low64;
        sum->high64 += one.high64;
}

/* Of the client's statement and parameters, so that a request_id used for something else is
 * noticed. */
static void make_digest(struct execution *x)
{
        const struct execute_request *r = &x->request;
        XXH128_hash_t sum = { 0, 0 }, hash;
        XXH128_canonical_t canonical;
        XXH3_state_t h;

        _Static_assert(sizeof(canonical) == sizeof(x->digest), "");
        for (size_t i = 0; i < r->n_args; i++) {
                if (r->args[i].name)
                        add_named(&r->args[i], &h, &sum);
        }
        XXH3_128bits_reset(&h);
        XXH3_128bits_update(&h, r->sql, r->n_sql_bytes);
        for (size_t i = 0; i < r->n_args; i++) {
                if (!r->args[i].name)
                        hash_value(&h, &r->args[i].value);
        }
        XXH3_128bits_update(&h, &sum, sizeof(sum));
        hash = XXH3_128bits_digest(&h);
        XXH128_canonicalFromHash(&canonical, hash);
        memcpy(x->digest, &canonical, sizeof(canonical));
}

enum err_code execute_check_request_id(struct execution *x, struct err *reterr)
{
        enum err_code rc =
            request_id_check(x->request.request_id, x->request.n_request_id_bytes, reterr);

        if (!rc)
                make_digest(x);
        return rc;
}

void execute_write_ended(struct execution *x, const struct err *e)
{
        end_write(x, e);
}

static void follow_verdict(struct execution *x, int verdict, const struct err *e)
{
        struct request_intent *ri = &x->intent;

        switch (verdict) {
        case INTENT_WAIT:
                break;
        case INTENT_SEND:
                result_clear(&x->held);
                send_write(x);
                break;
        case INTENT_REPLAYED:
                result_clear(&x->held);
                if (ri->n_reply_bytes)
                        result_add(&x->held, grpc_slice_from_copied_buffer((const char *)ri->reply,
                                                                           ri->n_reply_bytes));
                end_write(x, e);
                break;
        default:
                end_write(x, e);
                break;
        }
}

static void on_intent(struct request_intent *ri, const struct err *e, int verdict)
{
        struct execution *x = CONTAINER_OF(ri, struct execution, intent);

        if (e->code)
                end_write(x, e);
        else
                follow_verdict(x, verdict, e);
}

static void start_intent(struct execution *x)
{
        static const struct err fine = ERR_INIT;

        x->intent = (struct request_intent){
                .gate = x->gate,
                .use = &x->use,
                .request_id = x->request.request_id,
                .n_request_id_bytes = x->request.n_request_id_bytes,
                .digest = x->digest,
                .n_digest_bytes = sizeof(x->digest),
                .deadline_us = x->request.deadline_us,
                .done = on_intent,
        };
        follow_verdict(x, request_intent_start(&x->intent), &fine);
}

/* ---- the shard */

static void on_write_result(void *arg, struct scatter *s, size_t i, const uint8_t *result,
                            size_t n_bytes, const grpc_slice *slice)
{
        struct execution_part *part = arg;
        size_t at = (size_t)(result - GRPC_SLICE_START_PTR(*slice));

        (void)s;
        (void)i;
        result_add(&part->x->held, grpc_slice_sub(*slice, at, at + n_bytes));
}

static void on_write_end(void *arg, struct scatter *s, const struct err *e)
{
        struct execution_part *part = arg;
        struct execution *x = part->x;
        const struct scatter_shard *shard = scatter_shard_at(s, 0);
        enum request_intent_verdict verdict = INTENT_FINAL;
        struct err failure;

        if (x->session)
                session_note_seen(x->session, shard->commit_ts);
        if (x->sent_intent)
                verdict = request_intent_result(&x->intent, e, shard->replayed, shard->request_note,
                                                shard->n_note_bytes, &failure);
        else
                x->use.replayed = shard->replayed;
        follow_verdict(x, verdict, verdict == INTENT_FAILED ? &failure : e);
}

static void name_request(struct execution *x, struct tablet_execute *request)
{
        if (x->needs_intent) {
                request->request_id = x->intent.key;
                request->n_request_id_bytes = x->intent.n_key_bytes;
                request->request_note = x->intent.note;
                request->n_note_bytes = x->intent.n_note_bytes;
        } else {
                request->request_id = x->request.request_id;
                request->n_request_id_bytes = x->request.n_request_id_bytes;
        }
        if (request->n_request_id_bytes) {
                request->request_digest = x->digest;
                request->n_digest_bytes = sizeof(x->digest);
        }
}

static enum err_code try_send(struct execution *x, struct err *reterr)
{
        static const struct scatter_events events = { on_write_result, on_write_end };
        uint64_t *bits = execute_alloc_bits(x);
        struct tablet_execute request;
        const struct plan_part *part = &x->run->parts[0];
        size_t n_shards;

        if (bits) {
                n_shards = route_resolve(&part->route, catalog_shards(x->run->catalog),
                                         x->values.values, bits);
                if (x->transaction || n_shards > 1)
                        return execute_send_spread(x, bits, n_shards, reterr);
        }
        if (!x->parts)
                x->parts = arena_calloc(x->arena, 1, sizeof(*x->parts));
        if (!bits || !x->parts)
                return execute_no_memory(reterr);
        x->n_parts = 1;
        x->parts[0].x = x;
        x->parts[0].scatter = scatter_free(x->parts[0].scatter);
        execute_fill_request(x, part, &request);
        if (x->session)
                request.read_ts = x->session->seen_ts;
        name_request(x, &request);
        return execute_send_part(x, 0, bits, &request, &events, reterr);
}

/* Also again, with other ids. */
static void send_write(struct execution *x)
{
        struct err e;

        x->sent_intent = x->needs_intent;
        if (try_send(x, &e))
                end_write(x, &e);
}

/* ---- new rowids */

static void on_filled(struct sequence_use *u, const struct err *e)
{
        struct execution *x = CONTAINER_OF(u, struct execution, use);

        if (e->code) {
                x->has_use = false; /* it is over */
                end_write(x, e);
        } else if (x->needs_intent) {
                start_intent(x);
        } else {
                send_write(x);
        }
}

/* Also again, when an id was taken. */
static void fill_ids(struct execution *x)
{
        static const struct err fine = ERR_INIT;
        struct err e;

        x->needs_intent =
            x->request.n_request_id_bytes && request_intent_is_needed(x->run, &x->values);
        switch (sequence_fill(x->gate->sequences, &x->use, &e)) {
        case SEQUENCE_FILLED:
                on_filled(&x->use, &fine);
                break;
        case SEQUENCE_WAIT:
                break;
        case SEQUENCE_FAILED:
                on_filled(&x->use, &e);
                break;
        }
}

static void begin_use(struct execution *x)
{
        x->use = (struct sequence_use){
                .plan = x->run,
                .values = &x->values,
                .deadline_us = x->request.deadline_us,
                .done = on_filled,
        };
        x->has_use = true;
        fill_ids(x);
}

void execute_write(struct execution *x)
{
        const struct catalog_table *table = x->run->table;
        struct err e = ERR_INIT;

        assert(x->run->n_parts == 1 && !x->run->finish_sql);
        if (x->request.n_request_id_bytes && execute_check_request_id(x, &e)) {
                execute_fail(x, &e);
                return;
        }
        x->intent = (struct request_intent){ 0 };
        x->parts = NULL;
        if (table && table->sharding == SHARDING_HASH)
                begin_use(x);
        else
                send_write(x);
}

/* ---- statistics */

static void on_analyze_done(struct analyze *a, const struct err *e)
{
        execute_settle(CONTAINER_OF(a, struct execution, analyze), e);
}

void execute_analyze(struct execution *x)
{
        x->analyze =
            (struct analyze){ .gate = x->gate, .catalog = x->catalog, .done = on_analyze_done };
        analyze_start(&x->analyze, x->run->parts[0].sql, x->run->table, x->request.deadline_us);
}
