/* task.c - one shard's share of a request: a read, in pieces, or a write. Started on the loop
 * thread, run on a pool or by the shard's writer, and reported back. */
#include "tablet/held_pin.h"

#include <assert.h>
#include <string.h>

void task_set_failure(struct task *t, const struct err *e)
{
        t->failure = xmalloc(sizeof *t->failure);
        *t->failure = *e;
}

/* ---- reads. On the pool. */

static void run_read(struct pool_job *job)
{
        struct task *t = CONTAINER_OF(job, struct task, job);
        struct err e;

        if (engine_read_run(&t->read, t->rq->chunk_bytes, &t->piece, &t->more, &e))
                task_set_failure(t, &e);
        /* Nobody else reads in it. */
        if (t->pin && !t->pin->key.id && (t->failure || !t->more))
                engine_pin_close(&t->pin->pin);
        service_task_done(t->rq->service, t);
}

static void submit_read(struct task *t)
{
        t->job.run = run_read;
        pool_submit(t->rq->service->o.readers, &t->job);
}

/* On the writer's thread: the shard is open. */
static void on_ready(struct engine_write *w)
{
        struct task *t = CONTAINER_OF(w, struct task, write);

        if (w->failure) {
                t->failure = TAKE(w->failure);
                service_task_done(t->rq->service, t);
                return;
        }
        submit_read(t);
}

/* ---- writes */

static void on_written(struct engine_write *w)
{
        struct task *t = CONTAINER_OF(w, struct task, write);

        t->failure = TAKE(w->failure);
        service_task_done(t->rq->service, t);
}

void task_submit_write(struct task *t)
{
        struct err e;

        if (engine_write_submit(&t->write, &e) == ERR_OK)
                return;
        task_set_failure(t, &e);
        service_task_done(t->rq->service, t);
}

static enum engine_write_kind write_kind(const struct request *rq)
{
        if (rq->f.body == FRAME_CHANGE_SCHEMA)
                return ENGINE_WRITE_SCHEMA;
        return rq->f.probe ? ENGINE_WRITE_PROBE : ENGINE_WRITE_EXECUTE;
}

static void start_write(struct task *t)
{
        struct request *rq = t->rq;

        engine_write_init(&t->write, write_kind(rq), served_shard_engine(t->served), &rq->stmt,
                          on_written);
        t->write.change = &rq->change;
        t->write.request_id = rq->f.request_id;
        t->write.request_digest = rq->f.request_digest;
        t->write.request_note = rq->f.request_note;
        t->write.min_ts = rq->f.read_ts;
        task_submit_write(t);
}

static void start_read(struct task *t)
{
        struct request *rq = t->rq;

        assert(t->pin || (!rq->f.pin && !rq->f.read_ts));
        engine_read_init(&t->read, served_shard_engine(t->served), &rq->stmt,
                         t->pin ? &t->pin->pin : NULL);
        t->read.cancelled = &t->cancelled;
        if (engine_read_is_ready(&t->read)) {
                submit_read(t);
                return;
        }
        engine_write_init(&t->write, ENGINE_WRITE_READY, t->read.shard, &rq->stmt, on_ready);
        task_submit_write(t);
}

/* ---- what runs in a transaction, or ends it */

/* On any thread. */
static void on_answered(struct engine_txn *x)
{
        struct task *t = x->arg;

        t->failure = TAKE(x->failure);
        service_task_done(t->rq->service, t);
}

static enum participant_kind txn_kind(const struct frame *f)
{
        switch (f->body) {
        case FRAME_SAVEPOINT:
                return PARTICIPANT_SAVEPOINT;
        case FRAME_PREPARE:
                return PARTICIPANT_PREPARE;
        case FRAME_VALIDATE:
                return PARTICIPANT_VALIDATE;
        case FRAME_END:
                return PARTICIPANT_END;
        case FRAME_FIND:
                return PARTICIPANT_FIND;
        default:
                return PARTICIPANT_EXECUTE;
        }
}

static void fill_txn(const struct task *t, struct participant_request *p)
{
        static const struct frame_part no_part;
        const struct frame *f = &t->rq->f;
        const struct frame_part *part = t->index < f->n_parts ? &f->parts[t->index] : &no_part;

        *p = (struct participant_request){
                .kind = txn_kind(f),
                .age = f->age,
                .stream = t->rq->stream->number,
                .incarnation = part->incarnation,
                .n_statements = part->n_statements,
                .expect_c = part->expect_c,
                .max_c = part->max_c,
                .savepoint = f->savepoint,
                .min_ts = f->min_ts,
                .is_lone = f->n_participants == 1,
                .commit = f->commit,
                .fence = f->fence,
                .c = part->c,
                .commit_ts = f->commit_ts,
        };
}

static void start_txn(struct task *t)
{
        struct request *rq = t->rq;

        t->stmt = rq->stmt;
        t->stmt.cancelled = &t->cancelled;
        t->txn = xmalloc(sizeof *t->txn);
        engine_txn_init(t->txn, served_shard_engine(t->served), &t->stmt, on_answered);
        fill_txn(t, &t->txn->p);
        t->txn->write = rq->f.write;
        t->txn->arg = t;
        engine_txn_submit(t->txn);
}

void task_add_part(const struct task *t, struct frame_piece *piece)
{
        const struct engine_txn *x = t->txn;

        if (!x)
                return;
        piece->incarnation = x->p.ret_incarnation;
        piece->n_statements = x->p.ret_n_statements;
        piece->last_ts = x->p.ret_last_ts;
        if (t->failure)
                return;
        piece->result = x->result.data;
        piece->n_result_bytes = x->result.n_bytes;
        piece->rows = x->n_rows;
        piece->commit_ts = x->p.ret_commit_ts;
}

void task_start(struct task *t)
{
        struct request *rq = t->rq;

        t->state = TASK_RUNNING;
        rq->n_running++;
        held_pin_take(t);
        if (rq->kind == METER_TRANSACTION)
                start_txn(t);
        else if (rq->kind != METER_READ)
                start_write(t);
        else if (t->read.shard)
                submit_read(t); /* goes on */
        else
                start_read(t);
}

bool task_withdraw(struct task *t)
{
        struct err e;

        if (!engine_write_withdraw(&t->write))
                return false;
        err_set(&e, ERR_CANCELLED, "CANCELLED", "cancelled before it was started");
        task_set_failure(t, &e);
        return true;
}
