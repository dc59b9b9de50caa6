/* bulk.c - batches in flight. Every batch has a request_id, so that one whose answer got lost is
 * sent again without being done twice; statements that were not executed go into a batch of their
 * own. */
#include "cli/bulk.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/wire.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "rpc/server.h"

/* Field numbers of shoal/v1/api.proto. */
enum {
        BATCH_FIELD_KEYSPACE = 1,
        BATCH_FIELD_STATEMENTS = 2,
        BATCH_FIELD_REQUEST_ID = 5,
        STATEMENT_FIELD_SQL = 1,
        STATEMENT_FIELD_PARAMS = 2,
};
enum { FIRST_PAUSE_US = 50000, MAX_PAUSE_US = 2000000, POLL_US = 50000, REQUEST_ID_BYTES = 33 };

/* Owner: the bulk, from its first statement until its last answer. */
struct batch {
        struct bulk *bulk;
        struct batch *next;
        struct buf statements;              /* fields 2 of the request */
        size_t ends[BULK_BATCH_STATEMENTS]; /* of each, in statements */
        long tags[BULK_BATCH_STATEMENTS];
        size_t n;
        unsigned n_attempts;
        char request_id[REQUEST_ID_BYTES];
        struct rpc_request *request;
        struct loop_timer pause;
};

/* Owner: the main thread. */
struct bulk {
        struct remote *gate;
        const char *keyspace;
        bulk_failed_fn *failed;
        void *arg;
        struct batch *filling;
        struct batch *under_way;
        size_t n_under_way;
        bool may_go_on; /* what waits in bulk_wait() has reason to look again */
        bool closing;
        struct loop_timer poll;
        struct err broken;
        uint64_t n_done, n_rows, n_failed;
};

static void send_batch(struct batch *batch);

static struct batch *batch_new(struct bulk *b)
{
        struct batch *batch = xcalloc(1, sizeof *batch);

        batch->bulk = b;
        return batch;
}

static void batch_free(struct batch *batch)
{
        if (!batch)
                return;
        buf_done(&batch->statements);
        free(batch);
}

static void make_request_id(struct batch *batch)
{
        uint8_t random[(REQUEST_ID_BYTES - 1) / 2];

        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
                abort(); /* never happens below 256 bytes */
        for (size_t i = 0; i < sizeof random; i++)
                snprintf(batch->request_id + 2 * i, 3, "%02x", random[i]);
}

static void on_poll(struct loop_timer *timer)
{
        struct bulk *b = CONTAINER_OF(timer, struct bulk, poll);

        if (remote_is_interrupted() && b->broken.code == ERR_OK)
                err_set(&b->broken, ERR_CANCELLED, "", "interrupted");
        b->may_go_on = b->may_go_on || b->broken.code;
        loop_timer_set(remote_loop(b->gate), timer, mono_us() + POLL_US);
}

struct bulk *bulk_new(struct remote *gate, const char *keyspace, bulk_failed_fn *failed, void *arg)
{
        struct bulk *b = xcalloc(1, sizeof *b);

        *b = (struct bulk){
                .gate = gate, .keyspace = keyspace, .failed = failed, .arg = arg, .broken = ERR_INIT
        };
        b->poll.fn = on_poll;
        loop_timer_set(remote_loop(gate), &b->poll, mono_us() + POLL_US);
        return b;
}

/* Polls until something has ended or gone wrong. */
static void wait_for_news(struct bulk *b)
{
        b->may_go_on = false;
        loop_run_until(remote_loop(b->gate), &b->may_go_on);
}

struct bulk *bulk_free(struct bulk *b)
{
        if (!b)
                return NULL;
        b->closing = true;
        for (struct batch *batch = b->under_way; batch; batch = batch->next) {
                loop_timer_cancel(remote_loop(b->gate), &batch->pause);
                if (batch->request)
                        rpc_request_cancel(batch->request);
        }
        while (b->under_way) {
                struct batch *batch = b->under_way;

                if (batch->request) {
                        wait_for_news(b);
                        continue;
                }
                b->under_way = batch->next;
                batch_free(batch);
        }
        loop_timer_cancel(remote_loop(b->gate), &b->poll);
        batch_free(b->filling);
        free(b);
        return NULL;
}

/* ---- answers */

static void end_batch(struct batch *batch)
{
        struct bulk *b = batch->bulk;
        struct batch **at = &b->under_way;

        while (*at != batch)
                at = &(*at)->next;
        *at = batch->next;
        b->n_under_way--;
        batch_free(batch);
}

static void begin_batch(struct batch *batch)
{
        struct bulk *b = batch->bulk;

        make_request_id(batch);
        batch->next = b->under_way;
        b->under_way = batch;
        b->n_under_way++;
}

static void on_pause_over(struct loop_timer *timer)
{
        send_batch(CONTAINER_OF(timer, struct batch, pause));
}

static void send_later(struct batch *batch)
{
        int64_t pause_us = FIRST_PAUSE_US << batch->n_attempts;

        batch->n_attempts++;
        batch->pause.fn = on_pause_over;
        loop_timer_set(remote_loop(batch->bulk->gate), &batch->pause,
                       mono_us() + (pause_us < MAX_PAUSE_US ? pause_us : MAX_PAUSE_US));
}

static void copy_statement(struct batch *to, const struct batch *from, size_t i)
{
        size_t start = i ? from->ends[i - 1] : 0;

        buf_add(&to->statements, from->statements.data + start, from->ends[i] - start);
        to->tags[to->n] = from->tags[i];
        to->ends[to->n++] = to->statements.n_bytes;
}

static void take_result(struct batch *batch, size_t i, const Shoal__V1__StatementResult *r,
                        struct batch **again)
{
        struct bulk *b = batch->bulk;
        struct err e = ERR_INIT;

        if (r->code == ERR_OK) {
                b->n_done++;
                b->n_rows += r->result ? (uint64_t)r->result->rows_affected : 0;
        } else if (r->code == ERR_UNAVAILABLE && batch->n_attempts < BULK_MAX_ATTEMPTS) {
                if (!*again) {
                        *again = batch_new(b);
                        (*again)->n_attempts = batch->n_attempts;
                }
                copy_statement(*again, batch, i);
        } else {
                err_set(&e, (enum err_code)r->code, "", "%s", r->message);
                b->n_failed++;
                b->failed(b->arg, batch->tags[i], &e);
        }
}

static void take_reply(struct batch *batch, const uint8_t *body, size_t n_bytes)
{
        Shoal__V1__ExecuteBatchResponse *reply =
            shoal__v1__execute_batch_response__unpack(NULL, n_bytes, body);
        struct batch *again = NULL;

        if (!reply || reply->n_results != batch->n) {
                err_set(&batch->bulk->broken, ERR_INTERNAL, "BAD_REPLY",
                        "the gate's reply cannot be understood");
        } else {
                for (size_t i = 0; i < batch->n; i++)
                        take_result(batch, i, reply->results[i], &again);
        }
        if (again) {
                begin_batch(again);
                send_later(again);
        }
        if (reply)
                shoal__v1__execute_batch_response__free_unpacked(reply, NULL);
}

static void on_done(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct batch *batch = arg;
        struct bulk *b = batch->bulk;

        batch->request = NULL;
        b->may_go_on = true;
        if (b->closing)
                return; /* bulk_free() goes through the list */
        if (e->code == ERR_UNAVAILABLE && batch->n_attempts < BULK_MAX_ATTEMPTS &&
            b->broken.code == ERR_OK) {
                send_later(batch);
                return;
        }
        if (e->code == ERR_OK)
                take_reply(batch, body, n_bytes);
        else if (b->broken.code == ERR_OK)
                b->broken = *e;
        end_batch(batch);
}

/* ---- sending */

static void send_batch(struct batch *batch)
{
        struct bulk *b = batch->bulk;
        struct buf request = BUF_INIT(0);

        wire_add_str_nz(&request, BATCH_FIELD_KEYSPACE, b->keyspace);
        wire_add_str(&request, BATCH_FIELD_REQUEST_ID, batch->request_id);
        buf_add(&request, batch->statements.data, batch->statements.n_bytes);
        batch->request =
            rpc_unary(remote_channel(b->gate), "/shoal.v1.Gate/ExecuteBatch",
                      rpc_from_buf(&request), remote_deadline_us(b->gate), on_done, batch);
}

static enum err_code flush(struct bulk *b, struct err *reterr)
{
        struct batch *batch = TAKE(b->filling);

        while (b->n_under_way >= BULK_MAX_IN_FLIGHT && b->broken.code == ERR_OK)
                wait_for_news(b);
        if (b->broken.code) {
                batch_free(batch);
                *reterr = b->broken;
                return b->broken.code;
        }
        begin_batch(batch);
        send_batch(batch);
        return ERR_OK;
}

static void add_statement(struct batch *batch, long tag, const char *sql, size_t n_sql_bytes,
                          const struct value *params, size_t n_params)
{
        size_t at = wire_begin(&batch->statements, BATCH_FIELD_STATEMENTS);

        wire_add_bytes(&batch->statements, STATEMENT_FIELD_SQL, sql, n_sql_bytes);
        for (size_t i = 0; i < n_params; i++)
                value_add(&batch->statements, STATEMENT_FIELD_PARAMS, &params[i]);
        wire_end(&batch->statements, at);
        batch->tags[batch->n] = tag;
        batch->ends[batch->n++] = batch->statements.n_bytes;
}

enum err_code bulk_add(struct bulk *b, long tag, const char *sql, size_t n_sql_bytes,
                       const struct value *params, size_t n_params, struct err *reterr)
{
        if (!b->filling)
                b->filling = batch_new(b);
        add_statement(b->filling, tag, sql, n_sql_bytes, params, n_params);
        if (b->filling->n < BULK_BATCH_STATEMENTS &&
            b->filling->statements.n_bytes < BULK_BATCH_BYTES)
                return ERR_OK;
        return flush(b, reterr);
}

enum err_code bulk_finish(struct bulk *b, struct err *reterr)
{
        enum err_code rc;

        if (b->filling) {
                rc = flush(b, reterr);
                if (rc)
                        return rc;
        }
        while (b->under_way && b->broken.code == ERR_OK)
                wait_for_news(b);
        if (b->broken.code)
                *reterr = b->broken;
        return b->broken.code;
}

uint64_t bulk_n_done(const struct bulk *b)
{
        return b->n_done;
}

uint64_t bulk_n_rows(const struct bulk *b)
{
        return b->n_rows;
}

uint64_t bulk_n_failed(const struct bulk *b)
{
        return b->n_failed;
}
