/* finish.c - schedules finishes. The loop thread owns a finish but for what is marked as the job's,
 * which belongs to the pool thread while is_running. */
#include "gate/finish.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

enum {
        /* Small finishes are one trip to the pool: less than this is not worth one of its own. */
        LOAD_BATCH_BYTES = 64 << 10,
        /* A database that has grown beyond this is not kept. */
        MAX_KEPT_BYTES = 512 << 10,
        LOCAL_STOPS = 20,             /* of 1000 operations each, on the loop thread … */
        LOCAL_US = 2000,              /* … in no more than this */
        LOCAL_VALUE_BYTES = 16 << 10, /* larger values are not made there … */
        LOCAL_ROWS_BYTES = 256 << 10, /* … nor larger answers */
};

struct piece {
        struct piece *next;
        size_t part, tag;
        grpc_slice rows;
};

/* A database for later, in order of use. */
struct kept {
        struct kept *next;
        struct plan *plan;
        struct finish_db *db;
};

struct finishes {
        struct finishes_options options;
        size_t n_running;
        size_t n_jobs; /* on the pool, freed ones included */
        bool no_jobs;
        struct finish *first_waiting, **last_waiting;
        struct kept *kept; /* the last used first */
        size_t n_kept;
};

enum finish_state { FINISH_WAITING = 0, FINISH_LOADING, FINISH_READY, FINISH_ENDED };

struct finish {
        struct finishes *all;
        struct finish *next_waiting;
        struct finish_options options;
        struct value *values; /* with the bytes of all behind them */
        struct plan *plan;
        enum finish_state state;
        struct loop_timer turn;
        struct pool_job job;
        struct loop_task done;
        struct piece *first, **last; /* not yet given to the job */
        size_t n_bytes;              /* of those */
        bool all_loaded, wants_chunk;
        bool is_running; /* the job */
        bool is_freed;
        _Atomic bool stop; /* any thread */

        /* The job's. */
        struct finish_db *db;
        struct piece *work;
        bool run, started, finished, used;
        struct buf rows;
        uint64_t n_rows, spilled, worked_us;
        struct err err;
};

/* ---- databases kept */

static void drop_kept(struct finishes *fs, struct kept **p)
{
        struct kept *k = *p;

        *p = k->next;
        finish_db_close(k->db);
        plan_unref(k->plan);
        free(k);
        fs->n_kept--;
}

static struct finish_db *take_kept(struct finishes *fs, const struct plan *plan)
{
        for (struct kept **p = &fs->kept; *p; p = &(*p)->next) {
                struct finish_db *db = (*p)->db;

                if ((*p)->plan != plan)
                        continue;
                (*p)->db = NULL;
                drop_kept(fs, p);
                return db;
        }
        return NULL;
}

static void keep(struct finishes *fs, struct plan *plan, struct finish_db *db)
{
        struct kept *k, **p = &fs->kept;

        if (finish_db_bytes(db) > MAX_KEPT_BYTES || !fs->options.max_kept) {
                finish_db_close(db);
                return;
        }
        finish_db_set_stop(db, NULL, NULL);
        k = xcalloc(1, sizeof(*k));
        k->next = fs->kept;
        k->plan = plan_ref(plan);
        k->db = db;
        fs->kept = k;
        if (++fs->n_kept <= fs->options.max_kept)
                return;
        while ((*p)->next)
                p = &(*p)->next;
        drop_kept(fs, p);
}

/* ---- the job, on a pool thread */

static bool is_stopped(void *arg)
{
        struct finish *f = arg;

        return atomic_load_explicit(&f->stop, memory_order_relaxed) ||
               mono_us() >= f->options.deadline_us;
}

static enum err_code open_db(struct finish *f)
{
        enum err_code rc = ERR_OK;

        if (!f->db)
                rc = finish_db_open(f->plan, &f->all->options.limits, &f->db, &f->err);
        else if (!f->used)
                rc = finish_db_reset(f->db, &f->err);
        f->used = true;
        if (!rc)
                finish_db_set_stop(f->db, is_stopped, f);
        return rc;
}

static enum err_code load_pieces(struct finish *f)
{
        for (struct piece *p = f->work; p; p = p->next) {
                enum err_code rc = finish_db_load(f->db, p->part, GRPC_SLICE_START_PTR(p->rows),
                                                  GRPC_SLICE_LENGTH(p->rows), &f->err);

                if (rc)
                        return rc;
        }
        return ERR_OK;
}

static enum err_code fail_too_many_rows(uint64_t max_rows, struct err *reterr)
{
        return err_set(reterr, ERR_EXHAUSTED, "RESULT_TOO_LARGE",
                       "the result has more than %llu rows; ExecuteStream has no such limit",
                       (unsigned long long)max_rows);
}

static enum err_code make_chunk(struct finish *f)
{
        uint64_t max_rows = f->options.max_rows ? f->options.max_rows : UINT64_MAX - 1;
        uint64_t n_rows = 0;
        enum err_code rc = ERR_OK;

        if (!f->started)
                rc = finish_db_start(f->db, f->values, f->options.n_values, f->options.now_ms,
                                     &f->err);
        f->started = true;
        if (!rc)
                rc = finish_db_step(f->db, &f->rows, f->options.chunk_bytes,
                                    max_rows + 1 - f->n_rows, &n_rows, &f->finished, &f->err);
        f->n_rows += n_rows;
        if (!rc && f->n_rows > max_rows)
                rc = fail_too_many_rows(max_rows, &f->err);
        return rc;
}

static void run_job(struct pool_job *job)
{
        struct finish *f = CONTAINER_OF(job, struct finish, job);
        int64_t began_us = mono_us();
        enum err_code rc = ERR_OK;

        if (is_stopped(f))
                rc = err_set(&f->err, ERR_CANCELLED, "CANCELLED", "nobody wants it any more");
        if (!rc && !f->used)
                rc = open_db(f);
        if (!rc)
                rc = load_pieces(f);
        if (!rc && f->run)
                rc = make_chunk(f);
        if (rc == ERR_CANCELLED && mono_us() >= f->options.deadline_us)
                err_set(&f->err, ERR_DEADLINE, "DEADLINE_EXCEEDED", "the deadline has passed");
        if (f->db)
                f->spilled = finish_db_spilled(f->db);
        f->worked_us += (uint64_t)(mono_us() - began_us);
        loop_post(f->all->options.loop, &f->done);
}

/* ---- the loop thread's side */

static void free_pieces(struct piece *p)
{
        while (p) {
                struct piece *next = p->next;

                grpc_slice_unref(p->rows);
                free(p);
                p = next;
        }
}

static void destroy(struct finish *f)
{
        free_pieces(f->first);
        free_pieces(f->work);
        if (f->db && f->state == FINISH_ENDED && !f->err.code)
                keep(f->all, f->plan, f->db);
        else
                finish_db_close(f->db);
        buf_done(&f->rows);
        plan_unref(f->plan);
        free(f->values);
        free(f);
}

/* Gives the job what there is to do, if anything is worth it. */
static void submit(struct finish *f)
{
        bool run = f->all_loaded && f->wants_chunk;

        if (f->is_running || f->state == FINISH_ENDED || f->err.code)
                return;
        if (!run && f->n_bytes < LOAD_BATCH_BYTES)
                return;
        f->work = f->first;
        f->first = NULL;
        f->last = &f->first;
        f->n_bytes = 0;
        f->run = run;
        if (run)
                f->wants_chunk = false;
        f->is_running = true;
        f->all->n_jobs++;
        f->all->no_jobs = false;
        pool_submit(f->all->options.pool, &f->job);
}

static void on_turn(struct loop_timer *timer)
{
        struct finish *f = CONTAINER_OF(timer, struct finish, turn);

        f->options.events->on_turn(f->options.arg);
}

static void take_turn(struct finish *f)
{
        f->all->n_running++;
        f->state = FINISH_LOADING;
        f->db = take_kept(f->all, f->plan);
}

static void begin_turns(struct finishes *fs)
{
        while (fs->first_waiting && fs->n_running < fs->options.max_running) {
                struct finish *f = fs->first_waiting;

                fs->first_waiting = f->next_waiting;
                if (!fs->first_waiting)
                        fs->last_waiting = &fs->first_waiting;
                take_turn(f);
                loop_timer_set(fs->options.loop, &f->turn, 0);
        }
}

static void report_consumed(struct finish *f)
{
        struct piece *work = TAKE(f->work);

        for (struct piece *p = work; p && !f->is_freed; p = p->next)
                f->options.events->on_consumed(f->options.arg, p->tag, GRPC_SLICE_LENGTH(p->rows));
        free_pieces(work);
}

/* Everything the job has done is told; any event may free the finish, which then waits for the end
 * of this function. */
static void on_job_done(struct loop_task *task)
{
        struct finish *f = CONTAINER_OF(task, struct finish, done);
        struct finishes *fs = f->all;

        fs->no_jobs = --fs->n_jobs == 0;
        if (!f->is_freed)
                report_consumed(f);
        if (!f->is_freed && !f->err.code && f->rows.n_bytes)
                f->options.events->on_rows(f->options.arg, &f->rows);
        buf_done(&f->rows);
        if (!f->is_freed && (f->err.code || f->finished)) {
                f->state = FINISH_ENDED;
                f->options.events->on_end(f->options.arg, &f->err);
        }
        f->is_running = false;
        if (f->is_freed)
                destroy(f);
        else
                submit(f);
        begin_turns(fs);
}

/* The values, and behind them the bytes that they refer to. */
static struct value *copy_values(const struct value *values, size_t n)
{
        size_t n_bytes = n * sizeof(*values) + 1;
        struct value *copy;
        char *p;

        for (size_t i = 0; i < n; i++) {
                if (values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB)
                        n_bytes += values[i].n_bytes;
        }
        copy = xmalloc(n_bytes);
        p = (char *)(copy + n);
        for (size_t i = 0; i < n; i++) {
                copy[i] = values[i];
                if (values[i].type != VALUE_TEXT && values[i].type != VALUE_BLOB)
                        continue;
                if (values[i].n_bytes)
                        memcpy(p, values[i].data, values[i].n_bytes);
                copy[i].data = p;
                p += values[i].n_bytes;
        }
        return copy;
}

struct finish *finish_new(const struct finish_options *o)
{
        struct finish *f = xcalloc(1, sizeof(*f));
        struct finishes *fs = o->finishes;

        f->all = fs;
        f->options = *o;
        f->plan = plan_ref(o->plan);
        f->values = copy_values(o->values, o->n_values);
        f->last = &f->first;
        f->turn.fn = on_turn;
        f->job.run = run_job;
        f->done.fn = on_job_done;
        f->err = (struct err)ERR_INIT;
        if (fs->n_running < fs->options.max_running) {
                take_turn(f);
        } else {
                *fs->last_waiting = f;
                fs->last_waiting = &f->next_waiting;
        }
        return f;
}

bool finish_has_turn(const struct finish *f)
{
        return f->state != FINISH_WAITING;
}

static void leave_queue(struct finish *f)
{
        struct finish **p = &f->all->first_waiting;

        while (*p != f)
                p = &(*p)->next_waiting;
        *p = f->next_waiting;
        if (!*p)
                f->all->last_waiting = p;
}

struct finish *finish_free(struct finish *f)
{
        struct finishes *fs;

        if (!f)
                return NULL;
        fs = f->all;
        assert(!f->is_freed);
        loop_timer_cancel(fs->options.loop, &f->turn);
        f->is_freed = true;
        atomic_store_explicit(&f->stop, true, memory_order_relaxed);
        if (f->state == FINISH_WAITING)
                leave_queue(f);
        else
                fs->n_running--;
        if (!f->is_running)
                destroy(f);
        begin_turns(fs);
        return NULL;
}

void finish_load(struct finish *f, size_t part, const uint8_t *result, size_t n_bytes,
                 const grpc_slice *slice, size_t tag)
{
        struct piece *p = xcalloc(1, sizeof(*p));
        size_t at = (size_t)(result - GRPC_SLICE_START_PTR(*slice));

        assert(f->state == FINISH_LOADING && !f->all_loaded);
        p->part = part;
        p->tag = tag;
        p->rows = grpc_slice_sub(*slice, at, at + n_bytes);
        *f->last = p;
        f->last = &p->next;
        f->n_bytes += n_bytes;
        submit(f);
}

void finish_run(struct finish *f)
{
        f->all_loaded = true;
        f->state = FINISH_READY;
        f->wants_chunk = true;
        submit(f);
}

void finish_next(struct finish *f)
{
        f->wants_chunk = true;
        submit(f);
}

uint64_t finish_spilled(const struct finish *f)
{
        return f->spilled;
}

uint64_t finish_n_rows(const struct finish *f)
{
        return f->n_rows;
}

uint64_t finish_worked_us(const struct finish *f)
{
        return f->worked_us;
}

size_t finishes_n_running(const struct finishes *fs)
{
        return fs->n_running;
}

/* ---- on the loop thread */

struct local_budget {
        unsigned n_stops;
        int64_t until_us;
};

static bool is_too_long(void *arg)
{
        struct local_budget *b = arg;

        return ++b->n_stops > LOCAL_STOPS || mono_us() > b->until_us;
}

static enum err_code open_local(struct finishes *fs, struct plan *p, struct finish_db **db,
                                struct err *reterr)
{
        *db = take_kept(fs, p);
        return *db ? finish_db_reset(*db, reterr)
                   : finish_db_open(p, &fs->options.limits, db, reterr);
}

/* ERR_CANCELLED, or ERR_EXHAUSTED for a value that is too large here: not in the few steps there
 * are. */
static enum err_code step_local(struct finishes *fs, struct finish_db *db,
                                const struct finish_local *l, struct buf *rows, struct err *reterr)
{
        struct local_budget budget = { .until_us = mono_us() + LOCAL_US };
        uint64_t n_rows = 0;
        enum err_code rc;
        bool done = false;

        finish_db_set_stop(db, is_too_long, &budget);
        finish_db_set_value_limit(db, LOCAL_VALUE_BYTES);
        rc = finish_db_start(db, l->values, l->n_values, l->now_ms, reterr);
        if (!rc)
                rc = finish_db_step(db, rows, rows->n_bytes + LOCAL_ROWS_BYTES, UINT64_MAX, &n_rows,
                                    &done, reterr);
        finish_db_set_stop(db, NULL, NULL);
        finish_db_set_value_limit(db, fs->options.limits.value_bytes);
        if (!rc && (!done || (l->max_rows && n_rows > l->max_rows)))
                rc = ERR_CANCELLED;
        return rc;
}

bool finish_try_local(struct finishes *fs, const struct finish_local *l, struct buf *rows,
                      enum err_code *ret_code, struct err *reterr)
{
        cleanup_(finish_db_closep) struct finish_db *db = NULL;
        size_t n_before = rows->n_bytes;
        struct err e = ERR_INIT;
        enum err_code rc = open_local(fs, l->plan, &db, &e);

        if (!rc)
                rc = step_local(fs, db, l, rows, &e);
        if (rc == ERR_CANCELLED || rc == ERR_EXHAUSTED) {
                rows->n_bytes = n_before;
                rows->failed = false;
                return false;
        }
        if (rc)
                *reterr = e;
        else
                keep(fs, l->plan, TAKE(db));
        *ret_code = rc;
        return true;
}

struct finishes *finishes_new(const struct finishes_options *o)
{
        struct finishes *fs = xcalloc(1, sizeof(*fs));

        fs->options = *o;
        fs->no_jobs = true;
        fs->last_waiting = &fs->first_waiting;
        return fs;
}

struct finishes *finishes_free(struct finishes *fs)
{
        if (!fs)
                return NULL;
        assert(!fs->first_waiting && !fs->n_running);
        loop_run_until(fs->options.loop, &fs->no_jobs);
        while (fs->kept)
                drop_kept(fs, &fs->kept);
        free(fs);
        return NULL;
}
