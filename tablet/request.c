/* request.c - a gate's request from its frame to its last reply. Loop thread.
 *
 * A cheap read of one shard is answered right here, within the engine's small budget, from the
 * message's own bytes. All else becomes a request with a task a shard, which run on the pool and
 * the writers at the same time. Results go out as they come when they are asked for in chunks, and
 * are gathered into few messages when they are not. */
#include "tablet/held_pin.h"

#include <stdio.h>
#include <string.h>

enum {
        GATHER_BYTES = 256 << 10, /* of replies that wait for the other shards */
        DEFAULT_CHUNK_BYTES = 256 << 10,
        INLINE_REPLY_BYTES = 512,
};

static struct engine_stmt make_stmt(const struct frame *f, int64_t now_us)
{
        return (struct engine_stmt){
                .sql = f->sql.data ? f->sql.data : "",
                .n_sql_bytes = f->sql.n_bytes,
                .params = f->params,
                .n_params = f->n_params,
                .schema_version = f->schema_version,
                .omit_columns = f->omit_columns,
                .now_ms = f->now_ms ? f->now_ms : wall_us() / 1000,
                .max_rows = f->max_rows,
                .max_bytes = f->max_bytes,
                .deadline_us = f->timeout_us && f->timeout_us < (uint64_t)(INT64_MAX - now_us)
                                   ? now_us + (int64_t)f->timeout_us
                                   : INT64_MAX,
        };
}

static void begin_reply(struct service *s, struct buf *b, uint64_t id)
{
        frame_add_head(b, id, hlc_now(s->o.hlc));
}

void request_refuse(struct stream *st, const struct frame *f, const struct err *e)
{
        struct frame_piece piece = { .end = true, .failure = e };
        struct buf b = BUF_INIT(0);

        begin_reply(st->service, &b, f->id);
        for (piece.shard = 0; piece.shard < f->n_shards; piece.shard++) {
                frame_add_piece(&b, &piece);
                meter_error(e->code);
        }
        frame_add_end(&b);
        stream_send(st, &b);
}

/* ---- on the loop thread */

static void answer_inline(struct stream *st, const struct frame *f, struct buf *b,
                          struct frame_open_piece at, const struct engine_read *r,
                          int64_t started_us)
{
        int64_t elapsed_us = mono_us() - started_us;
        struct frame_piece piece = { .end = true,
                                     .elapsed_us = (uint64_t)elapsed_us,
                                     .rows = r->count.n_rows,
                                     .pinned = r->pin,
                                     .cut_c = r->pin ? r->pin->cut_c : 0,
                                     .cut_e = r->pin ? r->pin->cut_e : 0 };

        frame_end_piece(b, at, &piece);
        frame_add_end(b);
        stream_send(st, b);
        meter_request(METER_INLINE, elapsed_us);
}

/* False: it takes more than this. */
static bool try_inline(struct stream *st, const struct frame *f)
{
        struct service *s = st->service;
        int64_t started_us = mono_us();
        struct engine_stmt stmt = make_stmt(f, started_us);
        struct buf b = BUF_INIT(0);
        struct served_shard *served;
        struct frame_open_piece at;
        struct engine_pin pin = { 0 };
        struct engine_read r;
        enum err_code rc;
        bool done = true;

        rc = registry_hold(s->o.registry, f->keyspace_id, f->shards[0].name,
                           f->shards[0].n_name_bytes, f->shards[0].epoch, &served, &s->err);
        if (!rc) {
                done = !f->read_ts || engine_pin_try(&pin, served_shard_engine(served), f->read_ts);
                engine_read_init(&r, served_shard_engine(served), &stmt, f->read_ts ? &pin : NULL);
                buf_reserve(&b, INLINE_REPLY_BYTES);
                begin_reply(s, &b, f->id);
                at = frame_begin_piece(&b, 0);
                if (done)
                        rc = engine_read_try(&r, &b, &done, &s->err);
                engine_pin_close(&pin);
                registry_let_go(served);
        }
        if (done && !rc) {
                answer_inline(st, f, &b, at, &r, started_us);
        } else if (done) {
                request_refuse(st, f, &s->err);
                meter_request(METER_INLINE, mono_us() - started_us);
        }
        buf_done(&b);
        return done;
}

/* ---- life */

static enum meter_kind choose_kind(const struct frame *f)
{
        if (f->body == FRAME_CHANGE_SCHEMA)
                return METER_SCHEMA;
        if (f->probe)
                return METER_PROBE;
        return f->write ? METER_WRITE : METER_READ;
}

static void copy_change(struct request *rq)
{
        const struct frame *f = &rq->f;
        size_t n = f->change_id.n_bytes + f->sql.n_bytes + f->undo_sql.n_bytes + 3;
        char *p = rq->strings = xmalloc(n);

        snprintf(p, n, "%.*s%c%.*s%c%.*s", (int)f->change_id.n_bytes,
                 (const char *)f->change_id.data, '\0', (int)f->sql.n_bytes,
                 (const char *)f->sql.data, '\0', (int)f->undo_sql.n_bytes,
                 (const char *)f->undo_sql.data);
        rq->change = (struct engine_schema_change){
                .version = f->version,
                .change_id = p,
                .sql = p + f->change_id.n_bytes + 1,
                .undo_sql = p + f->change_id.n_bytes + f->sql.n_bytes + 2,
                .undo = f->undo,
        };
        /* What the engine counts and limits as statement. */
        rq->stmt.n_sql_bytes = f->sql.n_bytes;
}

static struct request *new_request(struct stream *st, const struct frame *f, const uint8_t *message,
                                   size_t n_bytes)
{
        size_t n_fixed = sizeof(struct request) + f->n_shards * sizeof(struct task);
        struct request *rq = xmalloc(n_fixed + frame_copy_bytes(f, n_bytes));

        memset(rq, 0, n_fixed);
        frame_copy(f, message, n_bytes, (char *)rq + n_fixed, &rq->f);
        rq->service = st->service;
        rq->stream = st;
        rq->id = f->id;
        rq->kind = choose_kind(f);
        rq->started_us = mono_us();
        rq->stmt = make_stmt(&rq->f, rq->started_us);
        rq->stmt.cancelled = &rq->cancelled;
        rq->chunk_bytes = f->chunk_bytes;
        if (f->window_bytes && !rq->chunk_bytes)
                rq->chunk_bytes =
                    f->window_bytes < DEFAULT_CHUNK_BYTES ? f->window_bytes : DEFAULT_CHUNK_BYTES;
        if (rq->kind == METER_SCHEMA)
                copy_change(rq);
        rq->n_tasks = rq->n_left = (uint32_t)f->n_shards;
        for (uint32_t i = 0; i < rq->n_tasks; i++) {
                rq->tasks[i].rq = rq;
                rq->tasks[i].index = i;
        }
        HASH_ADD(hh, st->requests, id, sizeof rq->id, rq);
        rq->service->n_requests++;
        meter_requests_in_flight(1);
        return rq;
}

static void free_request(struct request *rq)
{
        struct service *s = rq->service;

        buf_done(&rq->out);
        free(rq->strings);
        free(rq);
        s->n_requests--;
        meter_requests_in_flight(-1);
        service_check_drained(s);
}

/* ---- replies */

static void add_piece(struct request *rq, const struct frame_piece *piece)
{
        if (piece->failure)
                meter_error(piece->failure->code);
        if (!rq->stream)
                return;
        if (!rq->out.n_bytes)
                begin_reply(rq->service, &rq->out, rq->id);
        frame_add_piece(&rq->out, piece);
}

static void end_task(struct task *t)
{
        t->state = TASK_ENDED;
        t->rq->n_left--;
        free(TAKE(t->failure));
        buf_done(&t->piece);
        engine_write_done(&t->write);
        held_pin_leave(t);
        if (t->served)
                registry_let_go(TAKE(t->served));
}

static void add_outcome(struct task *t)
{
        struct request *rq = t->rq;
        const struct engine_write *w = &t->write;
        struct frame_piece piece = { .shard = t->index,
                                     .end = !t->more || t->failure,
                                     .failure = t->failure };

        if (piece.end)
                piece.elapsed_us = (uint64_t)(mono_us() - rq->started_us);
        if (t->failure) {
                /* No rows, no timestamps. */
        } else if (rq->kind == METER_READ) {
                piece.result = t->piece.data;
                piece.n_result_bytes = t->piece.n_bytes;
                piece.rows = piece.end ? t->read.count.n_rows : 0;
        } else {
                piece.result = w->result.data;
                piece.n_result_bytes = w->result.n_bytes;
                piece.rows = w->n_rows;
                piece.commit_ts = w->commit_ts;
                piece.note = (struct bytes){ w->note.data, w->note.n_bytes };
                piece.replayed = w->replayed;
        }
        add_piece(rq, &piece);
}

void request_on_pin(struct task *t)
{
        struct request *rq = t->rq;
        struct frame_piece piece = { .shard = t->index, .pinned = true };
        bool is_only_pinned = !rq->f.sql.n_bytes;

        if (t->failure) {
                t->more = false;
                add_outcome(t);
                end_task(t);
        } else {
                piece.cut_c = t->pin->pin.cut_c;
                piece.cut_e = t->pin->pin.cut_e;
                piece.end = is_only_pinned;
                add_piece(rq, &piece);
                if (is_only_pinned)
                        end_task(t);
        }
        service_mark_dirty(rq->service, rq);
}

void request_settle(struct request *rq)
{
        struct stream *st = rq->stream;

        rq->is_dirty = false;
        if (rq->n_left) {
                if (st && rq->out.n_bytes && (rq->chunk_bytes || rq->out.n_bytes >= GATHER_BYTES))
                        stream_send(st, &rq->out);
                return;
        }
        meter_request(rq->kind, mono_us() - rq->started_us);
        if (st) {
                HASH_DEL(st->requests, rq);
                if (!rq->out.n_bytes)
                        begin_reply(rq->service, &rq->out, rq->id);
                frame_add_end(&rq->out);
                stream_send(st, &rq->out);
                stream_check_end(st);
        }
        free_request(rq);
}

/* ---- flow control */

static bool may_start(const struct request *rq)
{
        if (!rq->stream || atomic_load_explicit(&rq->cancelled, memory_order_relaxed))
                return true; /* to be ended */
        if (rq->chunk_bytes && stream_is_full(rq->stream))
                return false;
        if (rq->kind == METER_READ && rq->n_running >= rq->service->o.read_parallelism)
                return false; /* request_on_task() asks again */
        if (!rq->f.window_bytes || (!rq->n_running && !rq->n_in_flight))
                return true;
        return rq->n_in_flight + (rq->n_running + 1) * rq->chunk_bytes <= rq->f.window_bytes;
}

void request_resume(struct request *rq)
{
        for (uint32_t n = 0; n < rq->n_tasks; n++) {
                struct task *t = &rq->tasks[rq->next_task];
                bool is_over = atomic_load_explicit(&t->cancelled, memory_order_relaxed);

                if (!is_over && !may_start(rq))
                        return;
                if (t->state == TASK_WAITING && held_pin_is_free(t))
                        task_start(t);
                rq->next_task = rq->next_task + 1 < rq->n_tasks ? rq->next_task + 1 : 0;
        }
}

void request_on_task(struct task *t)
{
        struct request *rq = t->rq;

        rq->n_running--;
        t->state = TASK_WAITING;
        if (t->step != STEP_READ) {
                held_pins_on_task(t);
                return;
        }
        held_pin_put(t);
        if (rq->f.window_bytes)
                rq->n_in_flight += t->piece.n_bytes;
        add_outcome(t);
        if (t->failure || !t->more)
                end_task(t);
        else
                t->piece.n_bytes = 0;
        service_mark_dirty(rq->service, rq);
        if (rq->n_left)
                request_resume(rq);
}

void request_credit(struct request *rq, uint64_t n_bytes)
{
        rq->n_in_flight = n_bytes < rq->n_in_flight ? rq->n_in_flight - n_bytes : 0;
        request_resume(rq);
}

/* If it waits for a pin, it ends once that is free. */
void request_cancel_shard(struct request *rq, uint32_t index)
{
        struct task *t = &rq->tasks[index];

        atomic_store(&t->cancelled, true);
        if (t->state == TASK_WAITING && held_pin_is_free(t))
                task_start(t);
        else if (t->state == TASK_RUNNING && rq->kind != METER_READ && task_withdraw(t))
                service_task_done(rq->service, t);
}

void request_cancel(struct request *rq)
{
        atomic_store(&rq->cancelled, true);
        for (uint32_t i = 0; i < rq->n_tasks; i++)
                request_cancel_shard(rq, i);
}

void request_sweep(struct request *rq, int64_t now_us)
{
        bool is_late = now_us >= rq->stmt.deadline_us;

        for (uint32_t i = 0; i < rq->n_tasks; i++) {
                struct task *t = &rq->tasks[i];

                if (t->state == TASK_WAITING && held_pin_is_free(t) &&
                    (is_late || engine_read_is_too_old(&t->read, now_us)))
                        task_start(t);
        }
}

/* ---- the beginning */

/* Those shards that are not served here have their answer at once. */
static void hold_shards(struct request *rq)
{
        struct service *s = rq->service;
        struct frame_piece piece = { .end = true, .failure = &s->err };

        for (uint32_t i = 0; i < rq->n_tasks; i++) {
                const struct frame_shard *shard = &rq->f.shards[i];
                struct task *t = &rq->tasks[i];

                if (!registry_hold(s->o.registry, rq->f.keyspace_id, shard->name,
                                   shard->n_name_bytes, shard->epoch, &t->served, &s->err))
                        continue;
                piece.shard = i;
                add_piece(rq, &piece);
                end_task(t);
        }
}

/* Nothing of it has begun. */
static void fail_all(struct request *rq, const struct err *e)
{
        struct frame_piece piece = { .end = true, .failure = e };

        for (piece.shard = 0; piece.shard < rq->n_tasks; piece.shard++) {
                struct task *t = &rq->tasks[piece.shard];

                if (t->state == TASK_ENDED)
                        continue;
                add_piece(rq, &piece);
                end_task(t);
        }
}

static enum err_code check_request(struct stream *st, const struct frame *f, struct err *reterr)
{
        struct service *s = st->service;
        enum err_code rc;

        if (s->is_draining)
                return err_set(reterr, ERR_UNAVAILABLE, "SHARD_NOT_SERVED",
                               "the tablet is shutting down");
        if (HASH_COUNT(st->requests) >= s->o.max_requests)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_REQUESTS",
                               "more than %u requests are under way on this stream",
                               (unsigned)s->o.max_requests);
        /* What was done for it could not be taken back. */
        if (f->takes_part)
                return err_set(reterr, ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS",
                               "writes in transactions, or to several shards, are not there yet");
        if (f->probe && !f->request_id.n_bytes)
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "a probe without a request_id");
        if (f->request_id.n_bytes && !f->probe && !f->write)
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "a read with a request_id");
        if (f->write && (f->pin || f->pin_round))
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST", "a write with a pin");
        rc = hlc_observe(s->o.hlc, f->hlc, reterr);
        /* It may lie ahead on purpose (txn/cut.h): if our clock followed it, commits on shards
         * that are not pinned yet would exceed it at once. */
        return rc ? rc : hlc_check(s->o.hlc, f->read_ts, reterr);
}

void request_execute(struct stream *st, const struct frame *f, const uint8_t *message,
                     size_t n_bytes)
{
        struct service *s = st->service;
        struct request *rq;

        if (check_request(st, f, &s->err)) {
                request_refuse(st, f, &s->err);
                return;
        }
        if (f->body == FRAME_EXECUTE && f->cheap && !f->write && !f->probe && f->n_shards == 1 &&
            !f->window_bytes && !f->pin && !f->pin_round) {
                if (try_inline(st, f))
                        return;
                meter_handover();
        }
        rq = new_request(st, f, message, n_bytes);
        hold_shards(rq);
        if (rq->kind == METER_READ && (f->read_ts || f->pin) && held_pins_begin(rq, &s->err)) {
                meter_pins_refused();
                fail_all(rq, &s->err);
        }
        request_resume(rq);
        service_mark_dirty(s, rq);
}
