/* held_pin.c - pins of requests. Opening happens in two steps: shards that are not ready (not open,
 * or the pin has to wait for what is pending) pass their writer first; then one job opens the
 * snapshots of all shards of the request, one right after the other, on a thread that does nothing
 * else: the closer together they are, the more often they make a cut (txn/cut.h), and they must
 * not queue behind long reads. Loop thread, unless said otherwise. */
#include "tablet/held_pin.h"

#include <string.h>
#include <utlist.h>

/* ---- life */

static struct held_pin *find_pin(const struct request *rq, const struct task *t)
{
        struct held_pin_key key = { rq->f.pin, t->served };
        struct held_pin *p;

        if (!rq->f.pin)
                return NULL;
        HASH_FIND(hh, rq->stream->pins, &key, sizeof key, p);
        return p;
}

static struct held_pin *new_pin(struct request *rq, const struct task *t)
{
        struct held_pin *p = xcalloc(1, sizeof *p);

        p->service = rq->service;
        p->key = (struct held_pin_key){ rq->f.pin, t->served };
        p->round = rq->f.pin_round;
        p->deadline_us = rq->stmt.deadline_us;
        registry_hold_again(t->served);
        if (rq->f.pin) {
                p->stream = rq->stream;
                HASH_ADD(hh, p->stream->pins, key, sizeof p->key, p);
        }
        rq->service->n_pins++;
        meter_pins(1);
        return p;
}

/* If nobody uses it and nobody can name it. */
static void maybe_free(struct held_pin *p)
{
        if (p->stream || p->tasks)
                return;
        engine_pin_close(&p->pin);
        registry_let_go(p->key.served);
        p->service->n_pins--;
        meter_pins(-1);
        free(p->failure);
        free(p);
}

static void forget(struct held_pin *p)
{
        HASH_DEL(p->stream->pins, p);
        p->stream = NULL;
        maybe_free(p);
}

void held_pin_leave(struct task *t)
{
        struct held_pin *p = TAKE(t->pin);

        if (!p)
                return;
        DL_DELETE2(p->tasks, t, pin_prev, pin_next);
        maybe_free(p);
}

void held_pins_release(struct stream *st, uint64_t id)
{
        struct held_pin *p, *tmp;

        HASH_ITER(hh, st->pins, p, tmp)
        {
                if (p->key.id == id)
                        forget(p);
        }
}

void held_pins_drop(struct stream *st)
{
        while (st->pins)
                forget(st->pins);
}

void held_pins_sweep(struct stream *st, int64_t now_us)
{
        struct held_pin *p, *tmp;

        HASH_ITER(hh, st->pins, p, tmp)
        {
                if (p->state != HELD_PIN_OPENING && !p->is_busy &&
                    (now_us >= p->deadline_us || engine_pin_is_too_old(&p->pin, now_us)))
                        forget(p);
        }
}

/* ---- use */

bool held_pin_is_free(const struct task *t)
{
        return !t->pin || (t->pin->state == HELD_PIN_OPEN && !t->pin->is_busy);
}

void held_pin_take(struct task *t)
{
        if (t->pin)
                t->pin->is_busy = true;
}

void held_pin_put(struct task *t)
{
        struct held_pin *p = t->pin;
        struct task *other, *tmp;

        if (!p)
                return;
        p->is_busy = false;
        DL_FOREACH_SAFE2(p->tasks, other, tmp, pin_next)
        {
                if (other != t && other->state == TASK_WAITING && !p->is_busy)
                        request_resume(other->rq);
        }
}

/* ---- opening */

static bool is_opened_by(const struct task *t)
{
        return t->step == STEP_READY || t->step == STEP_OPEN;
}

/* On the pinner's thread. */
static void open_pins(struct pool_job *job)
{
        struct request *rq = CONTAINER_OF(job, struct request, open_job);
        struct task *tail = NULL;
        struct err e;

        for (struct task *t = rq->to_open; t; t = t->next_done) {
                if (engine_pin_open(&t->pin->pin, served_shard_engine(t->served), rq->f.read_ts,
                                    &e))
                        task_set_failure(t, &e);
                tail = t;
        }
        service_tasks_done(rq->service, rq->to_open, tail);
}

/* All writers have been passed. */
static void submit_open(struct request *rq)
{
        for (uint32_t i = rq->n_tasks; i--;) {
                struct task *t = &rq->tasks[i];

                if (t->state != TASK_RUNNING || t->step != STEP_OPEN)
                        continue;
                t->next_done = rq->to_open;
                rq->to_open = t;
        }
        if (!rq->to_open)
                return;
        rq->open_job.run = open_pins;
        pool_submit(rq->service->o.pinners, &rq->open_job);
}

/* On the writer's thread. */
static void on_ready(struct engine_write *w)
{
        struct task *t = CONTAINER_OF(w, struct task, write);

        t->failure = TAKE(w->failure);
        service_task_done(t->rq->service, t);
}

static void begin_open(struct task *t)
{
        struct request *rq = t->rq;
        struct engine_shard *shard = served_shard_engine(t->served);
        bool settled = rq->f.pin_round > 0;

        t->state = TASK_RUNNING;
        rq->n_running++;
        t->step = STEP_OPEN;
        if (engine_pin_is_ready(shard, rq->f.read_ts, settled))
                return;
        t->step = STEP_READY;
        rq->n_unready++;
        engine_write_init(&t->write, ENGINE_WRITE_READY, shard, &rq->stmt, on_ready);
        t->write.min_ts = settled ? rq->f.read_ts : 0;
        task_submit_write(t);
}

/* What one of the pin's tasks is told of it. */
static void tell(struct task *t)
{
        const struct held_pin *p = t->pin;

        if (p && p->failure && !t->failure)
                task_set_failure(t, p->failure);
        request_on_pin(t);
}

/* The opening is over, for better or worse. */
static void finish_open(struct task *opener)
{
        struct held_pin *p = opener->pin;
        struct task *t, *tmp;

        p->state = opener->failure ? HELD_PIN_FAILED : HELD_PIN_OPEN;
        if (opener->failure) {
                p->failure = xmalloc(sizeof *p->failure);
                *p->failure = *opener->failure;
        }
        if (p->failure && p->stream) {
                HASH_DEL(p->stream->pins, p);
                p->stream = NULL;
        }
        /* The last of them may take the pin along. */
        DL_FOREACH_SAFE2(p->tasks, t, tmp, pin_next)
        {
                struct request *rq = t->rq;

                tell(t);
                if (rq->n_left)
                        request_resume(rq);
        }
}

void held_pins_on_task(struct task *t)
{
        struct request *rq = t->rq;

        if (t->step == STEP_READY) {
                bool is_last = --rq->n_unready == 0;

                engine_write_done(&t->write);
                t->write = (struct engine_write){ 0 };
                if (!t->failure) {
                        t->step = STEP_OPEN;
                        t->state = TASK_RUNNING;
                        rq->n_running++;
                } else {
                        t->step = STEP_READ;
                        finish_open(t);
                }
                if (is_last)
                        submit_open(rq);
                return;
        }
        t->step = STEP_READ;
        finish_open(t);
}

/* ---- the beginning */

static enum err_code check_room(const struct request *rq, struct err *reterr)
{
        const struct service *s = rq->service;
        uint64_t n = 0;

        for (uint32_t i = 0; i < rq->n_tasks; i++) {
                const struct task *t = &rq->tasks[i];
                const struct held_pin *p = t->served ? find_pin(rq, t) : NULL;

                n += t->served && (!p || p->round < rq->f.pin_round);
        }
        if (s->n_pins + n <= s->o.max_pins)
                return ERR_OK;
        return err_set(reterr, ERR_UNAVAILABLE, "TOO_MANY_PINS",
                       "this tablet keeps %llu snapshots open already",
                       (unsigned long long)s->n_pins);
}

/* Its pin, new or old. False: the request is out of date. */
static bool join(struct task *t)
{
        struct request *rq = t->rq;
        struct held_pin *p = find_pin(rq, t);
        struct err e;

        if (p && p->round > rq->f.pin_round) {
                err_set(&e, ERR_CANCELLED, "CANCELLED", "the shard has been pinned again");
                task_set_failure(t, &e);
                return false;
        }
        if (p && p->round < rq->f.pin_round) {
                forget(p);
                p = NULL;
        }
        t->pin = p ? p : new_pin(rq, t);
        DL_APPEND2(t->pin->tasks, t, pin_prev, pin_next);
        if (!p)
                begin_open(t);
        return true;
}

enum err_code held_pins_begin(struct request *rq, struct err *reterr)
{
        bool opens = false;
        enum err_code rc = check_room(rq, reterr);

        if (rc)
                return rc;
        rq->n_unready++; /* so that none is the last before all have begun */
        for (uint32_t i = 0; i < rq->n_tasks; i++) {
                struct task *t = &rq->tasks[i];

                if (t->state == TASK_ENDED)
                        continue;
                if (!join(t) || t->pin->state == HELD_PIN_OPEN)
                        tell(t);
                opens = opens || is_opened_by(t);
        }
        if (--rq->n_unready == 0 && opens)
                submit_open(rq);
        return ERR_OK;
}
