/* participate.c - a shard's participant (txn/participant.h) at work: what comes in is told to it
 * under the shard's mutex, and what it wants done is done after that was let go of. It decides who
 * has the writer: batches of autocommit writes, schema changes and what else goes through
 * writer.c, or a transaction (hold.c).
 *
 * Until the shard's file has been opened for the first time the participant is DOWN, and the
 * writer's job is to open it. */
#include "tablet/writer_int.h"

#include <assert.h>
#include <utlist.h>

#include "common/log.h"

/* What is done once the mutex is free. */
struct todo {
        struct engine_txn *answered;
        struct engine_txn *to_look_up;
        struct engine_write *settled;
        bool looks_again;
};

static struct engine_txn *txn_of(struct participant_request *r)
{
        return CONTAINER_OF(r, struct engine_txn, p);
}

/* ---- answers */

void engine_txn_init(struct engine_txn *x, struct engine_shard *shard,
                     const struct engine_stmt *stmt, void (*done)(struct engine_txn *x))
{
        *x = (struct engine_txn){ .shard = shard, .stmt = stmt, .done = done };
}

void engine_txn_done(struct engine_txn *x)
{
        buf_done(&x->result);
        free(TAKE(x->failure));
}

static void set_failure(struct engine_txn *x, const struct err *e)
{
        if (!x->failure)
                x->failure = xmalloc(sizeof *x->failure);
        *x->failure = *e;
}

/* What the participant has answered, as an error. */
static void answer(struct engine_txn *x)
{
        struct err e = ERR_INIT;

        if (x->p.result == TXN_CANCELLED && mono_us() >= x->stmt->deadline_us)
                err_set(&e, ERR_DEADLINE, "DEADLINE_EXCEEDED",
                        "deadline exceeded while waiting for another transaction");
        else if (x->p.result && !(x->p.result == TXN_FAILED && x->failure))
                (void)txn_result_err(x->p.result, engine_shard_label(x->shard), &e);
        if (e.code)
                set_failure(x, &e);
        if (x->failure)
                x->result.n_bytes = 0;
        x->done(x);
}

static void answer_all(struct engine_txn *list)
{
        struct engine_txn *x, *tmp;

        LL_FOREACH_SAFE(list, x, tmp)
        answer(x);
}

/* On the writers' pool. */
static void look_up(struct pool_job *job)
{
        struct engine_txn *x = CONTAINER_OF(job, struct engine_txn, job);
        struct engine_shard *s = x->shard;
        struct err e = ERR_INIT;
        bool applied = false;
        uint64_t ts = 0;

        if (hold_look_up(s, &x->p.age.id, &applied, &ts, &e))
                set_failure(x, &e);
        pthread_mutex_lock(&s->mu);
        participant_looked_up(s->participant, &x->p, x->failure, applied, ts, mono_us());
        participate_pump(s, false);
}

/* ---- what the participant wants */

static void take(struct engine_shard *s, const struct participant_action *a, struct todo *t)
{
        char id[TXN_ID_BYTES];

        switch (a->act) {
        case PARTICIPANT_DO_ANSWER:
                LL_APPEND(t->answered, txn_of(a->request));
                break;
        case PARTICIPANT_DO_OPEN:
        case PARTICIPANT_DO_RUN:
        case PARTICIPANT_DO_UNDO:
        case PARTICIPANT_DO_PREPARE:
        case PARTICIPANT_DO_COMMIT:
        case PARTICIPANT_DO_ROLL_BACK:
        case PARTICIPANT_DO_BATCH:
        case PARTICIPANT_DO_FENCE:
                assert(!s->has_job);
                s->has_job = true;
                s->action = *a;
                if (a->act == PARTICIPANT_DO_OPEN)
                        s->hold_stream = a->request->stream;
                break;
        case PARTICIPANT_DO_LOOK_UP:
                LL_APPEND(t->to_look_up, txn_of(a->request));
                break;
        case PARTICIPANT_DO_RAISE_FLOOR:
                if (a->commit_ts > s->floor_wanted)
                        s->floor_wanted = a->commit_ts;
                break;
        case PARTICIPANT_DO_LOOK_AGAIN:
                t->looks_again = true;
                break;
        case PARTICIPANT_DO_ALARM:
                txn_id_print(&a->age.id, id);
                log_event(LOG_ERROR, "transaction_alarm", "shard=%s transaction=%s what=%s",
                          s->label, id, log_quote(a->text));
                break;
        case PARTICIPANT_DO_REAPPLY:
        case PARTICIPANT_DO_SYNC:
        case PARTICIPANT_DO_ASK:
        case PARTICIPANT_DO_REPORT:
                assert(!"nothing has been prepared");
                break;
        }
}

/* Whoever waits for a floor needs the writer only if there is no other way: a transaction that
 * holds it may take long. They are at the queue's head. */
static void settle_ready(struct engine_shard *s, struct todo *t)
{
        struct engine_write *w, *tmp;

        if (!atomic_load(&s->open))
                return;
        DL_FOREACH_SAFE(s->queue, w, tmp)
        {
                if (w->kind != ENGINE_WRITE_READY)
                        break;
                if (txn_clock_settle(&s->clock, w->min_ts)) {
                        writer_unlink(s, w);
                        DL_APPEND(t->settled, w);
                } else if (participant_holder(s->participant) && w->min_ts > s->floor_wanted) {
                        s->floor_wanted = w->min_ts;
                }
        }
}

static void finish_settled(struct engine_write *list)
{
        struct engine_write *w, *tmp;

        DL_FOREACH_SAFE(list, w, tmp)
        batch_finish(w, NULL);
}

static int64_t next_tick(const struct engine_shard *s)
{
        int64_t at_us = participant_deadline(s->participant);

        if (s->raise_at_us && s->raise_at_us < at_us)
                at_us = s->raise_at_us;
        return at_us;
}

/* Nothing is under way and nothing will be: the shard's close is over. NULL: not yet, or nobody
 * has asked for it. */
static struct engine_write *take_closing(struct engine_shard *s, bool runs)
{
        enum participant_state state = participant_state(s->participant);

        if (runs || s->is_opening || s->is_raising || s->queue ||
            (state != PARTICIPANT_IS_DOWN && state != PARTICIPANT_IS_FREE))
                return NULL;
        return TAKE(s->closing);
}

bool participate_pump(struct engine_shard *s, bool may_run)
{
        struct pool *pool = s->engine->o.writers;
        struct participant_action a;
        struct todo t = { .answered = TAKE(s->refused) };
        struct engine_txn *x, *tmp;
        struct engine_write *closing;
        bool runs, raises;

        do {
                t.looks_again = false;
                while (participant_next(s->participant, &a))
                        take(s, &a, &t);
                settle_ready(s, &t);
        } while (t.looks_again);
        raises = promise_is_due(s, mono_us());
        atomic_store_explicit(&s->tick_at_us, next_tick(s), memory_order_relaxed);
        runs = s->has_job;
        s->has_job = false;
        may_run = may_run && runs && s->action.act != PARTICIPANT_DO_BATCH && !s->is_opening;
        closing = take_closing(s, runs);
        pthread_mutex_unlock(&s->mu);
        /* Once all are told, and nothing is under way, s may be gone. */
        if (raises)
                pool_submit(pool, &s->floor_job);
        if (runs && !may_run)
                pool_submit(pool, &s->job);
        LL_FOREACH_SAFE(t.to_look_up, x, tmp)
        {
                x->job.run = look_up;
                pool_submit(pool, &x->job);
        }
        answer_all(t.answered);
        finish_settled(t.settled);
        if (closing)
                batch_finish(closing, NULL);
        return may_run;
}

/* ---- what comes in */

static bool is_down(const struct engine_shard *s)
{
        return participant_state(s->participant) == PARTICIPANT_IS_DOWN;
}

static void begin_opening(struct engine_shard *s)
{
        if (s->is_opening)
                return;
        s->is_opening = true;
        s->has_job = true;
}

void participate_want_batch(struct engine_shard *s)
{
        if (is_down(s))
                begin_opening(s);
        else if (participant_state(s->participant) != PARTICIPANT_IS_BATCH)
                participant_want_batch(s->participant, mono_us());
        /* Otherwise the one that is under way takes it, or says that there is more. */
}

void participate_close(struct engine_shard *s)
{
        if (s->hold_stream)
                participant_stream_lost(s->participant, s->hold_stream, mono_us());
}

void engine_txn_submit(struct engine_txn *x)
{
        struct engine_shard *s = x->shard;

        pthread_mutex_lock(&s->mu);
        if (is_down(s)) {
                LL_APPEND(s->unopened, x);
                begin_opening(s);
        } else {
                participant_request(s->participant, &x->p, mono_us());
        }
        participate_pump(s, false);
}

void engine_txn_cancel(struct engine_txn *x)
{
        struct engine_shard *s = x->shard;

        pthread_mutex_lock(&s->mu);
        if (!is_down(s))
                participant_cancel(s->participant, &x->p, mono_us());
        participate_pump(s, false);
}

void engine_shard_stream_lost(struct engine_shard *s, uint64_t stream)
{
        pthread_mutex_lock(&s->mu);
        if (!is_down(s))
                participant_stream_lost(s->participant, stream, mono_us());
        participate_pump(s, false);
}

void engine_shard_tick(struct engine_shard *s, int64_t now_us)
{
        if (now_us < atomic_load_explicit(&s->tick_at_us, memory_order_relaxed))
                return;
        pthread_mutex_lock(&s->mu);
        if (!is_down(s))
                participant_tick(s->participant, now_us);
        participate_pump(s, false);
}

/* ---- the writer's job */

/* The file is opened for the first time. Returns with the mutex held. */
static void open_first(struct engine_shard *s)
{
        struct engine_txn *list, *x, *tmp;
        struct err e = ERR_INIT;
        struct conn *c;
        bool is_open = false;

        if (!writer_closes_unopened(s)) {
                is_open = writer_open(s, &c, &e) == ERR_OK;
                if (is_open)
                        conn_release(c);
                else
                        writer_refuse_all(s, &e);
        }
        pthread_mutex_lock(&s->mu);
        s->is_opening = false;
        list = TAKE(s->unopened);
        if (is_open)
                participant_recover(s->participant, NULL, 0, s->horizon, mono_us());
        LL_FOREACH_SAFE(list, x, tmp)
        {
                x->next = NULL;
                if (!is_open)
                        set_failure(x, &e);
                if (!is_open)
                        LL_APPEND(s->refused, x);
                else
                        participant_request(s->participant, &x->p, mono_us());
        }
        if (s->queue)
                participate_want_batch(s);
}

static void run_job(struct engine_shard *s, struct participant_outcome *o)
{
        const struct participant_action *a = &s->action;

        switch (a->act) {
        case PARTICIPANT_DO_BATCH:
                o->commit = writer_batch(s);
                break;
        case PARTICIPANT_DO_OPEN:
                hold_open(s, a, o);
                break;
        case PARTICIPANT_DO_RUN:
                hold_run(s, a, o);
                break;
        case PARTICIPANT_DO_UNDO:
                hold_undo(s, a, o);
                break;
        case PARTICIPANT_DO_PREPARE:
                hold_prepare(s, a, o);
                break;
        case PARTICIPANT_DO_COMMIT:
                hold_commit(s, a, o);
                break;
        case PARTICIPANT_DO_ROLL_BACK:
                hold_roll_back(s, o);
                break;
        case PARTICIPANT_DO_FENCE:
                hold_fence(s, a, o);
                break;
        default:
                assert(!"no job");
        }
}

/* Returns with the mutex held. */
static void run_and_tell(struct engine_shard *s)
{
        struct participant_outcome o = { 0 };

        run_job(s, &o);
        pthread_mutex_lock(&s->mu);
        o.more = s->queue || s->redo;
        participant_job_done(s->participant, &o, mono_us());
}

void participate_run(struct pool_job *job)
{
        struct engine_shard *s = CONTAINER_OF(job, struct engine_shard, job);
        bool again;

        do {
                if (s->is_opening)
                        open_first(s);
                else
                        run_and_tell(s);
                again = participate_pump(s, true);
        } while (again);
}
