/* stream.c - one Connect call: frames in, replies out, one write at a time. Loop thread. */
#include "tablet/service_int.h"

#include <utlist.h>

#include "common/log.h"

struct queued_reply {
        struct queued_reply *next;
        grpc_byte_buffer *body;
        size_t n_bytes;
};

static void free_queue(struct stream *st)
{
        while (st->out_head) {
                struct queued_reply *q = st->out_head;

                st->out_head = q->next;
                if (q->body)
                        grpc_byte_buffer_destroy(q->body);
                free(q);
        }
}

/* The call is finished. Requests go on to their end, unheard. */
static void free_stream(struct stream *st)
{
        struct request *rq, *tmp;

        HASH_ITER(hh, st->requests, rq, tmp)
        {
                HASH_DEL(st->requests, rq);
                rq->stream = NULL;
                buf_done(&rq->out);
                request_cancel(rq);
        }
        DL_DELETE(st->service->streams, st);
        free_queue(st);
        free(st);
        meter_streams(-1);
}

static void on_cancel(struct rpc_call *call)
{
        struct stream *st = rpc_call_data(call);
        struct err e;

        err_set(&e, ERR_CANCELLED, "CANCELLED", "the gate has gone");
        rpc_call_fail(call, &e);
        free_stream(st);
}

bool stream_is_full(const struct stream *st)
{
        return st->n_queued_bytes > st->service->o.max_queued_bytes;
}

/* ---- out */

static void write_next(struct stream *st);
static void on_read(struct rpc_call *call, bool ok);

/* There is room in the queue again. */
static void resume(struct stream *st)
{
        struct request *rq, *tmp;

        HASH_ITER(hh, st->requests, rq, tmp)
        request_resume(rq);
        if (st->is_read_paused) {
                st->is_read_paused = false;
                rpc_call_read(st->call, on_read);
        }
}

static void on_written(struct rpc_call *call, bool ok)
{
        struct stream *st = rpc_call_data(call);
        struct queued_reply *q = st->out_head;
        bool was_full = stream_is_full(st);

        st->is_writing = false;
        st->out_head = q->next;
        st->n_queued_bytes -= q->n_bytes;
        free(q);
        if (!ok)
                return; /* on_cancel follows */
        write_next(st);
        if (was_full && !stream_is_full(st))
                resume(st);
        stream_check_end(st);
}

static void write_next(struct stream *st)
{
        if (st->is_writing || !st->out_head)
                return;
        st->is_writing = true;
        rpc_call_write(st->call, TAKE(st->out_head->body), on_written);
}

void stream_send(struct stream *st, struct buf *b)
{
        struct queued_reply *q = xmalloc(sizeof *q);

        *q = (struct queued_reply){ .n_bytes = b->n_bytes };
        q->body = rpc_from_buf(b);
        if (st->out_head)
                st->out_tail->next = q;
        else
                st->out_head = q;
        st->out_tail = q;
        st->n_queued_bytes += q->n_bytes;
        write_next(st);
}

/* ---- in */

static enum err_code check_id(const struct stream *st, const struct frame *f, struct err *reterr)
{
        struct request *rq;

        HASH_FIND(hh, st->requests, &f->id, sizeof f->id, rq);
        if (rq)
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST",
                               "the id of a request that is under way");
        return ERR_OK;
}

static enum err_code take_frame(struct stream *st, const uint8_t *message, size_t n_bytes,
                                struct err *reterr)
{
        struct frame f;
        struct request *rq;
        enum err_code rc;

        rc = frame_decode(message, n_bytes, &st->service->scratch, &f, reterr);
        if (f.body == FRAME_EXECUTE || f.body == FRAME_CHANGE_SCHEMA) {
                if (rc && f.id && f.n_shards) {
                        request_refuse(st, &f, reterr); /* the request's fault, not the stream's */
                        return ERR_OK;
                }
                rc = rc ? rc : check_id(st, &f, reterr);
                if (!rc)
                        request_execute(st, &f, message, n_bytes);
                return rc;
        }
        if (rc)
                return rc;
        HASH_FIND(hh, st->requests, &f.id, sizeof f.id, rq);
        if (rq && f.body == FRAME_CANCEL)
                request_cancel(rq);
        else if (rq && f.body == FRAME_CREDIT)
                request_credit(rq, f.credit_bytes);
        return ERR_OK;
}

static void fail_stream(struct stream *st, const struct err *e)
{
        log_event(LOG_WARN, "stream_failed", "peer=%s reason=%s error=%s", rpc_call_peer(st->call),
                  e->reason, log_quote(e->msg));
        rpc_call_fail(st->call, e);
        free_stream(st);
}

static void on_read(struct rpc_call *call, bool ok)
{
        struct stream *st = rpc_call_data(call);
        struct err *e = &st->service->err;
        const uint8_t *message;
        size_t n_bytes;

        if (!ok) {
                st->is_half_closed = true;
                stream_check_end(st);
                return;
        }
        st->was_busy = true;
        message = rpc_call_request(call, &n_bytes);
        if (take_frame(st, message, n_bytes, e)) {
                fail_stream(st, e);
                return;
        }
        if (stream_is_full(st))
                st->is_read_paused = true;
        else
                rpc_call_read(call, on_read);
}

/* ---- life */

void stream_check_end(struct stream *st)
{
        if ((!st->is_half_closed && !st->is_over) || st->requests || st->out_head)
                return;
        rpc_call_end(st->call);
        free_stream(st);
}

void stream_on_start(struct rpc_call *call, void *arg)
{
        struct service *s = arg;
        struct stream *st = xcalloc(1, sizeof *st);

        st->service = s;
        st->call = call;
        DL_APPEND(s->streams, st);
        meter_streams(1);
        rpc_call_set_data(call, st);
        rpc_call_on_cancel(call, on_cancel);
        rpc_call_read(call, on_read);
}

void stream_drain_tick(struct stream *st)
{
        st->is_over = !st->was_busy;
        st->was_busy = false;
        stream_check_end(st);
}
