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

void task_start(struct task *t)
{
        struct request *rq = t->rq;

        t->state = TASK_RUNNING;
        rq->n_running++;
        held_pin_take(t);
        if (rq->kind != METER_READ)
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
