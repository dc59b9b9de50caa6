/* stream.c - one Connect call: frames in, replies out, one write at a time. Loop thread. */
#include "tablet/service_int.h"

#include <utlist.h>

#include "common/log.h"
#include "tablet/held_pin.h"

/* A message that waits for the one before, or is being written (then b is empty). */
struct queued_reply {
        struct queued_reply *next;
        struct buf b;
        size_t n_bytes;
};

enum { GATHER_BYTES = 64 << 10 }; /* a message that is larger does not grow any more */

static void free_queue(struct stream *st)
{
        while (st->out_head) {
                struct queued_reply *q = st->out_head;

                st->out_head = q->next;
                buf_done(&q->b);
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
        held_pins_drop(st);
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
        if (st->is_writing || st->is_corked || !st->out_head)
                return;
        st->is_writing = true;
        rpc_call_write(st->call, rpc_from_buf(&st->out_head->b), on_written);
}

void stream_uncork(struct stream *st)
{
        st->is_corked = false;
        write_next(st);
}

static void hold_back(struct stream *st)
{
        struct service *s = st->service;

        if (!s->n_corks || st->is_corked)
                return;
        st->is_corked = true;
        st->next_corked = s->corked;
        s->corked = st;
}

/* Is there a message that waits and may grow by n_bytes? */
static bool can_gather(const struct stream *st, size_t n_bytes)
{
        return st->out_head && st->out_tail->b.n_bytes &&
               st->out_tail->b.n_bytes + n_bytes <= GATHER_BYTES;
}

void stream_send(struct stream *st, struct buf *b)
{
        struct queued_reply *q = st->out_tail;

        st->n_queued_bytes += b->n_bytes;
        if (can_gather(st, b->n_bytes)) {
                q->n_bytes += b->n_bytes;
                frame_add_more(&q->b, b);
                return;
        }
        q = xmalloc(sizeof *q);
        *q = (struct queued_reply){ .b = *b, .n_bytes = b->n_bytes };
        *b = (struct buf)BUF_INIT(b->max_bytes);
        if (st->out_head)
                st->out_tail->next = q;
        else
                st->out_head = q;
        st->out_tail = q;
        hold_back(st);
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

static void cancel(struct request *rq, const struct frame *f)
{
        uint32_t shard;
        size_t at = 0;

        if (!f->cancel_shards.n_bytes)
                request_cancel(rq);
        while (frame_next_cancelled(f, &at, &shard)) {
                if (shard < rq->n_tasks)
                        request_cancel_shard(rq, shard);
        }
}

static enum err_code run_frame(struct stream *st, const struct frame *f, struct bytes message,
                               struct err *reterr)
{
        struct request *rq;
        enum err_code rc;

        if (f->body == FRAME_EXECUTE || f->body == FRAME_CHANGE_SCHEMA) {
                rc = check_id(st, f, reterr);
                if (!rc)
                        request_execute(st, f, message.data, message.n_bytes);
                return rc;
        }
        if (f->body == FRAME_RELEASE)
                held_pins_release(st, f->pin);
        HASH_FIND(hh, st->requests, &f->id, sizeof f->id, rq);
        if (rq && f->body == FRAME_CANCEL)
                cancel(rq, f);
        else if (rq && f->body == FRAME_CREDIT)
                request_credit(rq, f->credit_bytes);
        return ERR_OK;
}

/* *ret_n_bytes: where the further frames of the message begin, or its end. */
static enum err_code take_frame(struct stream *st, struct bytes message, size_t *ret_n_bytes,
                                struct err *reterr)
{
        struct frame f;
        enum err_code rc;

        rc = frame_decode(message.data, message.n_bytes, &st->service->scratch, &f, reterr);
        *ret_n_bytes = message.n_bytes = f.n_bytes;
        if (!rc)
                return run_frame(st, &f, message, reterr);
        if (!f.id || !f.n_shards)
                return rc;
        request_refuse(st, &f, reterr); /* the request's fault, not the stream's */
        return ERR_OK;
}

/* All the frames of a message; their replies share messages, too. */
static enum err_code take_message(struct stream *st, struct bytes message, struct err *reterr)
{
        struct wire_reader r;
        enum err_code rc;
        struct bytes more;
        size_t n_bytes;

        service_cork(st->service);
        rc = take_frame(st, message, &n_bytes, reterr);
        r = wire_reader((const char *)message.data + n_bytes, message.n_bytes - n_bytes);
        while (!rc && frame_next_more(&r, &more))
                rc = take_frame(st, more, &n_bytes, reterr);
        if (!rc && r.failed)
                rc = err_set(reterr, ERR_INVALID, "BAD_REQUEST", "malformed TabletRequest");
        service_uncork(st->service);
        return rc;
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
        struct bytes message;

        if (!ok) {
                st->is_half_closed = true;
                stream_check_end(st);
                return;
        }
        st->was_busy = true;
        message.data = rpc_call_request(call, &message.n_bytes);
        if (take_message(st, message, e)) {
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
