/* batch.c - ExecuteBatch, not atomic: statements one after the other, each with its own outcome.
 * Loop thread.
 *
 * Consecutive INSERTs of one text that go to one shard each are in flight together: what goes to
 * one shard goes there in order, over one stream into one queue, and what goes to different shards
 * has nothing to do with each other. If one of them would have to be tried again while others are
 * under way, the order would be lost: it is put back instead, the batch waits until nothing is
 * under way, and goes on from the first that was put back, one by one until all of those are done.
 */
#include <stdio.h>
#include <string.h>

#include "common/wire.h"
#include "gate/service_int.h"
#include "gate/session.h"
#include "gate/stats.h"

enum { MAX_IN_FLIGHT = 64, ITEM_ARENA_BYTES = 16 << 20 };

enum item_state { ITEM_WAITING = 0, ITEM_RUNNING, ITEM_DONE };

struct item {
        struct batch *batch;
        enum item_state state;
        bool put_back; /* ends only to be begun again */
        struct running *running;
        struct result result;
        uint8_t *columns; /* of the result: the plan may go */
        int code;
        char *message;
};

/* What an item needs while it runs; used again for the next. */
struct running {
        struct execution x;
        struct item *item;
        char request_id[REQUEST_ID_MAX_BYTES + 24];
        struct running *next_spare;
};

/* Owner: the loop thread. */
struct batch {
        struct gate *gate;
        struct rpc_call *call;
        struct arena *arena;
        struct request_batch request;
        struct item *items;
        size_t next; /* the first that has not been begun, or was put back */
        size_t n_done, n_running, n_put_back;
        size_t n_result_bytes;
        size_t run_item;   /* what is under way has the text of this item … */
        bool run_plain;    /* … and is a plain INSERT */
        bool is_impatient; /* something is away: nothing is waited for any more */
        bool is_pumping;
        struct running *spare;
        struct session *session; /* that its statements run in, with the call inside; or NULL */
};

static void pump(struct batch *b);

/* ---- the end */

static void free_running(struct running *r)
{
        arena_free(r->x.arena);
        free(r);
}

static void free_batch(struct batch *b)
{
        struct session *session = b->session;

        b->gate->n_result_bytes -= b->n_result_bytes;
        for (size_t i = 0; b->items && i < b->request.n_statements; i++) {
                struct item *it = &b->items[i];

                if (it->running) {
                        execution_cancel(&it->running->x, ERR_CANCELLED);
                        execution_done(&it->running->x);
                        free_running(it->running);
                }
                result_clear(&it->result);
                free(it->columns);
                free(it->message);
        }
        while (b->spare) {
                struct running *r = b->spare;

                b->spare = r->next_spare;
                free_running(r);
        }
        arena_free(b->arena);
        free(b);
        session_leave(session);
}

static void add_item(struct message *m, struct item *it)
{
        size_t n_message = it->message ? strlen(it->message) : 0;
        size_t n_result = result_size(&it->result);
        size_t n_bytes = 0;

        if (it->code)
                n_bytes = 1 + wire_varint_size((uint64_t)it->code) + 1 +
                          wire_varint_size(n_message) + n_message;
        else
                n_bytes = 1 + wire_varint_size(n_result) + n_result;
        wire_add_varint(&m->head, 1U << 3 | WIRE_BYTES);
        wire_add_varint(&m->head, n_bytes);
        if (it->code) {
                wire_add_uint(&m->head, 2, (uint64_t)it->code);
                wire_add_bytes(&m->head, 3, it->message, n_message);
        } else {
                message_add_result(m, 1, &it->result);
        }
}

static void reply(struct batch *b)
{
        struct message m = { 0 };

        for (size_t i = 0; i < b->request.n_statements; i++)
                add_item(&m, &b->items[i]);
        service_add_session(&m.head, b->session);
        rpc_call_reply(b->call, message_take(&m));
        free_batch(b);
}

/* ---- one statement */

static struct running *take_running(struct batch *b)
{
        struct running *r = b->spare;

        if (r) {
                b->spare = r->next_spare;
                return r;
        }
        r = xcalloc(1, sizeof(*r));
        r->x.arena = arena_new(ITEM_ARENA_BYTES);
        return r;
}

static void release_running(struct batch *b, struct running *r)
{
        struct arena *arena = r->x.arena;

        execution_done(&r->x);
        arena_reset(arena);
        *r = (struct running){ .x.arena = arena, .next_spare = b->spare };
        b->spare = r;
}

static void on_item_rows(struct execution *x, grpc_slice rows, size_t tag)
{
        struct item *it = CONTAINER_OF(x, struct running, x)->item;
        size_t n_bytes = GRPC_SLICE_LENGTH(rows);

        result_add(&it->result, rows);
        execution_consumed(x, tag, n_bytes);
}

static bool on_item_restart(struct execution *x)
{
        struct item *it = CONTAINER_OF(x, struct running, x)->item;
        struct batch *b = it->batch;

        if (b->is_impatient)
                return false;
        if (b->n_running > 1) {
                it->put_back = true;
                return false;
        }
        result_clear(&it->result);
        return true;
}

static void note_outcome(struct item *it, const struct execution *x, const struct err *e)
{
        struct batch *b = it->batch;

        it->state = ITEM_DONE;
        b->n_done++;
        it->code = e->code;
        if (e->code) {
                result_clear(&it->result);
                it->message = xstrdup(e->msg);
                b->is_impatient |= e->code == ERR_UNAVAILABLE;
                return;
        }
        if (x->plan->n_columns_bytes) {
                it->columns = xmalloc(x->plan->n_columns_bytes);
                memcpy(it->columns, x->plan->columns, x->plan->n_columns_bytes);
        }
        it->result.columns = it->columns;
        it->result.n_columns_bytes = x->plan->n_columns_bytes;
        b->n_result_bytes += result_size(&it->result);
        b->gate->n_result_bytes += result_size(&it->result);
}

static void put_back(struct item *it)
{
        struct batch *b = it->batch;
        size_t i = (size_t)(it - b->items);

        it->put_back = false;
        it->state = ITEM_WAITING;
        result_clear(&it->result);
        b->n_put_back++;
        if (i < b->next)
                b->next = i;
}

static void on_item_end(struct execution *x, const struct err *e)
{
        struct running *r = CONTAINER_OF(x, struct running, x);
        struct item *it = r->item;
        struct batch *b = it->batch;

        b->n_running--;
        b->session = x->session; /* BEGIN has opened one */
        it->running = NULL;
        if (it->put_back)
                put_back(it);
        else
                note_outcome(it, x, e);
        release_running(b, r);
        pump(b);
}

/* The client's id with the statement's number: what a repeated batch has done already is not done
 * again. */
static void derive_request_id(struct batch *b, struct running *r, size_t i)
{
        struct execute_request *q = &r->x.request;
        int n;

        if (!q->n_request_id_bytes)
                return;
        if (q->n_request_id_bytes > REQUEST_ID_MAX_BYTES)
                return; /* refused as it is */
        n = snprintf(r->request_id, sizeof(r->request_id), "%.*s#%zu", (int)q->n_request_id_bytes,
                     b->request.common.request_id, i);
        q->request_id = r->request_id;
        q->n_request_id_bytes = (size_t)n;
}

/* Is it an INSERT of rows that are given, which fails or succeeds by itself? */
static bool is_plain_insert(const struct execution *x)
{
        const struct plan *p = x->plan;

        return p && p->kind == PLAN_SINGLE_SHARD && !p->read_only && p->rowids == ROWIDS_ADDED &&
               !execution_is_binding(x);
}

/* Item i has been begun. */
static void note_begun(struct batch *b, size_t i)
{
        const struct running *r = b->items[i].running;

        if (!r)
                return;
        if (b->n_running == 1)
                b->run_item = i;
        b->run_plain = is_plain_insert(&r->x) && (b->n_running == 1 || b->run_plain);
}

static void begin_item(struct batch *b, size_t i)
{
        static const struct execution_events events = {
                .on_rows = on_item_rows,
                .on_restart = on_item_restart,
                .on_end = on_item_end,
        };
        struct request_limits limits = service_limits(b->gate);
        struct running *r = take_running(b);
        struct item *it = &b->items[i];
        struct err e;

        it->state = ITEM_RUNNING;
        it->running = r;
        r->item = it;
        r->x.gate = b->gate;
        r->x.events = &events;
        r->x.session = b->session;
        r->x.request = b->request.common;
        r->x.request.deadline_us = rpc_call_deadline_us(b->call);
        r->x.request.max_bytes = b->gate->options.max_result_bytes - b->n_result_bytes;
        b->n_running++;
        if (b->n_result_bytes >= b->gate->options.max_result_bytes) {
                err_set(&e, ERR_EXHAUSTED, "RESULT_TOO_LARGE", "the batch's results are too large");
                on_item_end(&r->x, &e);
        } else if (request_decode_statement(&b->request.statements[i], &limits, r->x.arena,
                                            &r->x.request, &e)) {
                on_item_end(&r->x, &e);
        } else {
                derive_request_id(b, r, i);
                execution_start(&r->x);
        }
}

/* ---- all of them */

static bool same_text(const struct batch *b, size_t i, size_t k)
{
        const struct request_statement *s = &b->request.statements[i];
        const struct request_statement *t = &b->request.statements[k];
        struct wire_reader rs = wire_reader(s->data, s->n_bytes);
        struct wire_reader rt = wire_reader(t->data, t->n_bytes);
        struct wire_field fs, ft;

        /* As clients write it: the text first. */
        return wire_next(&rs, &fs) && wire_next(&rt, &ft) && fs.number == 1 && ft.number == 1 &&
               fs.type == WIRE_BYTES && ft.type == WIRE_BYTES && fs.n_bytes == ft.n_bytes &&
               memcmp(fs.data, ft.data, fs.n_bytes) == 0;
}

/* May item i begin while others are under way? */
static bool may_begin(const struct batch *b, size_t i)
{
        if (!b->n_running)
                return true;
        if (b->session)
                return false;
        return !b->n_put_back && b->n_running < MAX_IN_FLIGHT && b->run_plain &&
               same_text(b, b->run_item, i);
}

static size_t find_waiting(const struct batch *b, size_t i)
{
        while (i < b->request.n_statements && b->items[i].state != ITEM_WAITING)
                i++;
        return i;
}

/* Begins what may be begun; b may be gone afterwards. */
static void pump(struct batch *b)
{
        if (b->is_pumping)
                return;
        b->is_pumping = true;
        for (;;) {
                size_t i = find_waiting(b, b->next);

                if (i == b->request.n_statements || !may_begin(b, i))
                        break;
                b->next = i + 1;
                if (b->n_put_back && !b->n_running)
                        b->n_put_back--;
                begin_item(b, i);
                note_begun(b, i);
        }
        b->is_pumping = false;
        if (b->n_done == b->request.n_statements)
                reply(b);
}

static void on_batch_cancel(struct rpc_call *call)
{
        struct batch *b = rpc_call_data(call);

        free_batch(b);
        service_fail_cancelled(call);
}

void service_execute_batch(struct rpc_call *call, void *arg)
{
        struct gate *g = arg;
        struct batch *b = xcalloc(1, sizeof(*b));
        struct request_limits limits = service_limits(g);
        struct err e;
        size_t n_bytes;
        const uint8_t *message = rpc_call_request(call, &n_bytes);

        b->gate = g;
        b->call = call;
        b->arena = arena_new(SERVICE_ARENA_BYTES);
        if (request_decode_batch(message, n_bytes, &limits, b->arena, &b->request, &e)) {
                b->request.n_statements = 0;
                stats_note_statement(g->metrics, -1, &e, 0, 0, 0);
                rpc_call_fail(call, &e);
                free_batch(b);
                return;
        }
        if (!service_enter(call, g, "/shoal.v1.Gate/ExecuteBatch", b->request.common.session,
                           b->request.common.n_session_bytes, false, &b->session)) {
                b->request.n_statements = 0;
                free_batch(b);
                return;
        }
        b->items = arena_calloc(b->arena, b->request.n_statements + 1, sizeof(*b->items));
        if (!b->items) {
                err_set(&e, ERR_EXHAUSTED, "BATCH_TOO_LARGE", "the batch has too many statements");
                rpc_call_fail(call, &e);
                free_batch(b);
                return;
        }
        for (size_t i = 0; i < b->request.n_statements; i++)
                b->items[i].batch = b;
        rpc_call_set_data(call, b);
        rpc_call_on_cancel(call, on_batch_cancel);
        pump(b);
}
