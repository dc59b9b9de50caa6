/* bulk.c - one batch under way, one being filled. Every batch has a request_id: it is sent again as
 * it was if its answer got lost or some of its statements were not executed, and what had been done
 * is not done twice. */
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

struct batch {
        struct buf statements; /* fields 2 of the request */
        long tags[BULK_BATCH_STATEMENTS];
        size_t n;
};

/* Owner: the main thread. */
struct bulk {
        struct remote *gate;
        const char *keyspace;
        bulk_failed_fn *failed;
        void *arg;
        struct batch filling;
        struct batch sent; /* under way, or waiting to be sent again; n is 0 if there is none */
        unsigned n_attempts;
        char request_id[REQUEST_ID_BYTES];
        struct rpc_request *request;
        struct loop_timer pause, poll;
        bool has_news; /* what waits has reason to look again */
        bool closing;
        struct err broken;
        uint64_t n_done, n_rows, n_failed;
};

static void send_batch(struct bulk *b);

static void make_request_id(struct bulk *b)
{
        uint8_t random[(REQUEST_ID_BYTES - 1) / 2];

        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
                abort(); /* never happens below 256 bytes */
        for (size_t i = 0; i < sizeof random; i++)
                snprintf(b->request_id + 2 * i, 3, "%02x", random[i]);
}

static void on_poll(struct loop_timer *timer)
{
        struct bulk *b = CONTAINER_OF(timer, struct bulk, poll);

        if (remote_is_interrupted() && b->broken.code == ERR_OK)
                err_set(&b->broken, ERR_CANCELLED, "", "interrupted");
        b->has_news = b->has_news || b->broken.code;
        loop_timer_set(remote_loop(b->gate), timer, mono_us() + POLL_US);
}

static void on_pause_over(struct loop_timer *timer)
{
        send_batch(CONTAINER_OF(timer, struct bulk, pause));
}

struct bulk *bulk_new(struct remote *gate, const char *keyspace, bulk_failed_fn *failed, void *arg)
{
        struct bulk *b = xcalloc(1, sizeof *b);

        b->gate = gate;
        b->keyspace = keyspace;
        b->failed = failed;
        b->arg = arg;
        b->broken = (struct err)ERR_INIT;
        b->pause.fn = on_pause_over;
        b->poll.fn = on_poll;
        loop_timer_set(remote_loop(gate), &b->poll, mono_us() + POLL_US);
        return b;
}

/* Polls until something has ended or gone wrong. */
static void wait_for_news(struct bulk *b)
{
        b->has_news = false;
        loop_run_until(remote_loop(b->gate), &b->has_news);
}

struct bulk *bulk_free(struct bulk *b)
{
        if (!b)
                return NULL;
        b->closing = true;
        loop_timer_cancel(remote_loop(b->gate), &b->pause);
        if (b->request)
                rpc_request_cancel(b->request);
        while (b->request)
                wait_for_news(b);
        loop_timer_cancel(remote_loop(b->gate), &b->poll);
        buf_done(&b->filling.statements);
        buf_done(&b->sent.statements);
        free(b);
        return NULL;
}

/* ---- answers */

static void send_later(struct bulk *b)
{
        int64_t pause_us = FIRST_PAUSE_US << b->n_attempts;

        b->n_attempts++;
        loop_timer_set(remote_loop(b->gate), &b->pause,
                       mono_us() + (pause_us < MAX_PAUSE_US ? pause_us : MAX_PAUSE_US));
}

/* Was it not executed, or is it not known whether it was? */
static bool is_open(const Shoal__V1__StatementResult *r)
{
        return r->code == ERR_UNAVAILABLE || r->code == ERR_UNKNOWN;
}

static bool has_open_results(const Shoal__V1__ExecuteBatchResponse *reply)
{
        for (size_t i = 0; i < reply->n_results; i++) {
                if (is_open(reply->results[i]))
                        return true;
        }
        return false;
}

static void take_result(struct bulk *b, long tag, const Shoal__V1__StatementResult *r)
{
        struct err e = ERR_INIT;

        if (r->code == ERR_OK) {
                b->n_done++;
                b->n_rows += r->result ? (uint64_t)r->result->rows_affected : 0;
                return;
        }
        err_set(&e, (enum err_code)r->code, "", "%s", r->message);
        if (is_open(r)) {
                /* Asked for often enough: what follows would fare no better. */
                b->broken = e;
                return;
        }
        b->n_failed++;
        b->failed(b->arg, tag, &e);
}

static void take_results(struct bulk *b, const Shoal__V1__ExecuteBatchResponse *reply)
{
        if (b->n_attempts < BULK_MAX_ATTEMPTS && has_open_results(reply)) {
                send_later(b);
                return;
        }
        for (size_t i = 0; i < b->sent.n; i++)
                take_result(b, b->sent.tags[i], reply->results[i]);
        b->sent.n = 0;
        b->sent.statements.n_bytes = 0;
}

static void on_done(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct bulk *b = arg;
        Shoal__V1__ExecuteBatchResponse *reply;

        b->request = NULL;
        b->has_news = true;
        if (b->closing || b->broken.code)
                return;
        if (e->code == ERR_UNAVAILABLE && b->n_attempts < BULK_MAX_ATTEMPTS) {
                send_later(b);
                return;
        }
        if (e->code) {
                b->broken = *e;
                return;
        }
        reply = shoal__v1__execute_batch_response__unpack(NULL, n_bytes, body);
        if (reply && reply->n_results == b->sent.n)
                take_results(b, reply);
        else
                err_set(&b->broken, ERR_INTERNAL, "BAD_REPLY",
                        "the gate's reply cannot be understood");
        if (reply)
                shoal__v1__execute_batch_response__free_unpacked(reply, NULL);
}

/* ---- sending */

static void send_batch(struct bulk *b)
{
        struct buf request = BUF_INIT(0);

        wire_add_str_nz(&request, BATCH_FIELD_KEYSPACE, b->keyspace);
        wire_add_str(&request, BATCH_FIELD_REQUEST_ID, b->request_id);
        buf_add(&request, b->sent.statements.data, b->sent.statements.n_bytes);
        b->request = rpc_unary(remote_channel(b->gate), "/shoal.v1.Gate/ExecuteBatch",
                               rpc_from_buf(&request), remote_deadline_us(b->gate), on_done, b);
}

static enum err_code wait_for_sent(struct bulk *b, struct err *reterr)
{
        while (b->sent.n && b->broken.code == ERR_OK)
                wait_for_news(b);
        if (b->broken.code)
                *reterr = b->broken;
        return b->broken.code;
}

/* What was filled goes out once nothing is under way; its place is then empty. */
static enum err_code flush(struct bulk *b, struct err *reterr)
{
        enum err_code rc = wait_for_sent(b, reterr);
        struct buf empty;

        if (rc || b->filling.n == 0)
                return rc;
        empty = b->sent.statements;
        b->sent = b->filling;
        b->filling.statements = empty;
        b->filling.n = 0;
        b->n_attempts = 0;
        make_request_id(b);
        send_batch(b);
        return ERR_OK;
}

enum err_code bulk_add(struct bulk *b, long tag, const char *sql, size_t n_sql_bytes,
                       const struct value *params, size_t n_params, struct err *reterr)
{
        struct batch *batch = &b->filling;
        size_t at = wire_begin(&batch->statements, BATCH_FIELD_STATEMENTS);

        wire_add_bytes(&batch->statements, STATEMENT_FIELD_SQL, sql, n_sql_bytes);
        for (size_t i = 0; i < n_params; i++)
                value_add(&batch->statements, STATEMENT_FIELD_PARAMS, &params[i]);
        wire_end(&batch->statements, at);
        batch->tags[batch->n++] = tag;
        if (batch->n < BULK_BATCH_STATEMENTS && batch->statements.n_bytes < BULK_BATCH_BYTES)
                return ERR_OK;
        return flush(b, reterr);
}

enum err_code bulk_finish(struct bulk *b, struct err *reterr)
{
        enum err_code rc = flush(b, reterr);

        return rc ? rc : wait_for_sent(b, reterr);
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
