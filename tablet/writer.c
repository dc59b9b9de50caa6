/* writer.c - a shard's writer: what is queued runs in batches of one transaction, a savepoint each
 * and one commit for all. Nobody is told anything before the commit. One job per shard, on the
 * writers' pool, queued there while there is work.
 *
 * A statement can end the whole transaction (OR ROLLBACK, RAISE(ROLLBACK), an interrupt, a full
 * disk): the others of its batch are then run again, with the 'now' they had, and commit without
 * it. Then it runs in a transaction of its own, where its error, if it comes again, is its answer:
 * what it met the first time was never committed. */
#include "tablet/writer_int.h"

#include <utlist.h>

#include "common/log.h"
#include "common/metrics.h"

enum { TRIM_EVERY_US = 60 * 1000 * 1000 };

/* ---- the queue */

void engine_write_init(struct engine_write *w, enum engine_write_kind kind,
                       struct engine_shard *shard, const struct engine_stmt *stmt,
                       void (*done)(struct engine_write *w))
{
        *w = (struct engine_write){ .kind = kind, .shard = shard, .stmt = stmt, .done = done };
}

void engine_write_done(struct engine_write *w)
{
        buf_done(&w->result);
        buf_done(&w->note);
        free(TAKE(w->failure));
}

static size_t write_bytes(const struct engine_write *w)
{
        size_t n = w->request_id.n_bytes + w->request_note.n_bytes + w->stmt->n_sql_bytes;

        for (size_t i = 0; i < w->stmt->n_params; i++)
                n += value_encoded_size(&w->stmt->params[i]);
        return n;
}

enum err_code engine_write_submit(struct engine_write *w, struct err *reterr)
{
        struct engine_shard *s = w->shard;
        const struct engine_options *o = &s->engine->o;
        bool is_full, wake = false;

        w->n_bytes = write_bytes(w);
        pthread_mutex_lock(&s->mu);
        is_full = w->kind != ENGINE_WRITE_CLOSE && w->kind != ENGINE_WRITE_READY &&
                  (s->n_queued >= o->max_queue ||
                   (s->queue && s->n_queued_bytes + w->n_bytes > o->max_queue_bytes));
        if (!is_full) {
                /* A read waits for it, in no order with the writes. */
                if (w->kind == ENGINE_WRITE_READY)
                        DL_PREPEND(s->queue, w);
                else
                        DL_APPEND(s->queue, w);
                s->n_queued++;
                s->n_queued_bytes += w->n_bytes;
                wake = !s->scheduled;
                s->scheduled = true;
        }
        pthread_mutex_unlock(&s->mu);
        if (is_full)
                return err_set(reterr, ERR_EXHAUSTED, "WRITE_QUEUE_FULL",
                               "too many writes are waiting for shard %s", s->label);
        if (wake)
                pool_submit(o->writers, &s->job);
        return ERR_OK;
}

static void unlink_locked(struct engine_shard *s, struct engine_write *w)
{
        DL_DELETE(s->queue, w);
        w->next = w->prev = NULL;
        s->n_queued--;
        s->n_queued_bytes -= w->n_bytes;
}

bool engine_write_withdraw(struct engine_write *w)
{
        struct engine_shard *s = w->shard;
        struct engine_write *it;
        bool found = false;

        pthread_mutex_lock(&s->mu);
        DL_FOREACH(s->queue, it)
        {
                if (it != w)
                        continue;
                unlink_locked(s, w);
                found = true;
                break;
        }
        pthread_mutex_unlock(&s->mu);
        return found;
}

static struct engine_write *take_queued(struct engine_shard *s)
{
        struct engine_write *w;

        pthread_mutex_lock(&s->mu);
        w = s->queue;
        if (w)
                unlink_locked(s, w);
        pthread_mutex_unlock(&s->mu);
        return w;
}

static struct engine_write *take_redo(struct engine_shard *s)
{
        struct engine_write *w = s->redo;

        DL_DELETE(s->redo, w);
        w->next = w->prev = NULL;
        return w;
}

/* What runs next in this batch; NULL: it is to be committed now. */
static struct engine_write *next_write(struct batch *b)
{
        struct engine_shard *s = b->shard;
        const struct engine_options *o = &s->engine->o;
        struct engine_write *w = s->redo;

        if (b->is_closed || b->n >= o->max_batch ||
            (b->n && mono_us() - b->started_us >= (int64_t)o->max_batch_ms * 1000))
                return NULL;
        if (w && w->alone && b->n)
                return NULL;
        w = w ? take_redo(s) : take_queued(s);
        if (!w)
                return NULL;
        if (w->kind == ENGINE_WRITE_SCHEMA || w->kind == ENGINE_WRITE_CLOSE)
                w->alone = true;
        if (w->alone && b->n) {
                DL_PREPEND(s->redo, w);
                return NULL;
        }
        b->is_closed = w->alone;
        return w;
}

/* ---- telling */

void batch_finish(struct engine_write *w, const struct err *e)
{
        if (e && e->code) {
                w->failure = xmalloc(sizeof *w->failure);
                *w->failure = *e;
                w->result.n_bytes = 0;
        }
        w->next = w->prev = NULL;
        w->done(w);
}

static void tell_all(struct batch *b, const struct err *e)
{
        struct engine_write *w, *tmp;

        DL_FOREACH_SAFE(b->members, w, tmp)
        {
                DL_DELETE(b->members, w);
                if (e) {
                        free(TAKE(w->failure));
                        batch_finish(w, e);
                } else {
                        batch_finish(w, NULL);
                }
        }
        b->n = 0;
}

/* ---- the transaction */

static enum err_code open_shard(struct engine_shard *s, struct conn **ret_conn, struct err *reterr)
{
        struct conn *c;
        enum err_code rc = ERR_OK;

        if (!atomic_load(&s->open))
                rc = shard_check_file(s, reterr);
        if (!rc)
                rc = conn_acquire(s, true, &c, reterr);
        if (rc)
                return rc;
        if (!atomic_load(&s->open))
                rc = shard_prepare(s, c, reterr);
        if (rc) {
                c->is_broken = true;
                conn_release(c);
                return rc;
        }
        *ret_conn = c;
        return ERR_OK;
}

static enum err_code begin(struct batch *b, struct err *reterr)
{
        int rc = conn_exec(b->c, CONN_BEGIN_IMMEDIATE);

        b->is_open = rc == SQLITE_OK;
        return rc == SQLITE_OK ? ERR_OK : conn_fail(b->c, rc, reterr);
}

static void roll_back(struct batch *b)
{
        if (!sqlite3_get_autocommit(b->c->db) && conn_exec(b->c, CONN_ROLLBACK) != SQLITE_OK)
                b->c->is_broken = true;
        b->is_open = false;
}

/* Everything that ran so far runs again in the next batch, in the same order. */
static void requeue_members(struct batch *b)
{
        struct engine_write *w, *tmp;

        DL_FOREACH_SAFE(b->members, w, tmp)
        {
                free(TAKE(w->failure));
                w->result.n_bytes = w->note.n_bytes = 0;
                w->replayed = w->wrote = false;
        }
        DL_CONCAT(b->members, b->shard->redo);
        b->shard->redo = b->members;
        b->members = NULL;
        b->n = 0;
}

/* w has ended the transaction. */
static void recover(struct batch *b, struct engine_write *w, const struct err *e)
{
        bool is_lone =
            !b->members || b->c->stop == CONN_STOP_CANCELLED || b->c->stop == CONN_STOP_DEADLINE;

        metric_add(engine_metrics()->poisoned, 1);
        requeue_members(b);
        if (is_lone) {
                batch_finish(w, e);
        } else {
                w->alone = true;
                w->result.n_bytes = w->note.n_bytes = 0;
                DL_APPEND(b->shard->redo, w);
        }
        roll_back(b);
}

/* Runs one member. False: the transaction is gone. */
static bool run_member(struct batch *b, struct engine_write *w)
{
        struct err e = ERR_INIT;
        enum err_code code;

        code = member_run(b, w, &e);
        if (sqlite3_get_autocommit(b->c->db)) {
                recover(b, w, &e);
                return false;
        }
        DL_APPEND(b->members, w);
        b->n++;
        if (code) {
                w->failure = xmalloc(sizeof *w->failure);
                *w->failure = e;
                w->result.n_bytes = 0;
        }
        return true;
}

/* False: that has ended the transaction, and what was in it runs again. */
static bool trim_requests(struct batch *b)
{
        struct engine_shard *s = b->shard;
        int64_t now_us = mono_us();
        struct err e = ERR_INIT;
        bool more = false;

        if (!b->has_written || now_us < s->trim_at_us)
                return true;
        s->trim_at_us = now_us + TRIM_EVERY_US;
        if (request_log_trim(b->c, &more, &e))
                log_event(LOG_WARN, "request_trim_failed", "shard=%s error=%s", s->label,
                          log_quote(e.msg));
        else if (more)
                s->trim_at_us = now_us;
        if (!sqlite3_get_autocommit(b->c->db))
                return true;
        requeue_members(b);
        roll_back(b);
        return false;
}

/* The rows of _shoal_meta that go with a commit. */
static int write_marks(struct batch *b)
{
        int rc = SQLITE_OK;

        b->floor = clock_floor_due(b->shard, b->floor_wanted, b->has_written);
        if (b->has_written) {
                b->ts = clock_begin_commit(b->shard, b->min_ts);
                rc = meta_put(b->c, "last_ts", b->ts);
        }
        if (rc == SQLITE_OK && b->floor)
                rc = meta_put(b->c, "floor", b->floor);
        return rc;
}

static enum commit_outcome judge(const struct batch *b, int rc)
{
        if (rc == SQLITE_OK)
                return b->ts || b->floor ? COMMIT_DONE : COMMIT_NOT_DONE;
        /* A commit whose last write or sync failed may yet be found in the log after a crash. A
         * full disk is no such case: then a page before the end of the transaction could not be
         * written. */
        if (b->is_committing && (rc & 0xff) != SQLITE_FULL && (rc & 0xff) != SQLITE_BUSY &&
            (rc & 0xff) != SQLITE_CONSTRAINT)
                return COMMIT_IN_DOUBT;
        return COMMIT_NOT_DONE;
}

static void fail_commit(struct batch *b, int rc, enum commit_outcome outcome)
{
        struct err e = ERR_INIT;
        enum err_code code = conn_fail(b->c, rc, &e);

        err_wrap(&e, code, "commit");
        if (outcome == COMMIT_IN_DOUBT)
                err_set(&e, ERR_UNKNOWN, "OUTCOME_UNKNOWN", "the commit failed half way: %s",
                        sqlite3_errmsg(b->c->db));
        log_event(LOG_ERROR, "commit_failed", "shard=%s writes=%zu reason=%s error=%s",
                  b->shard->label, b->n, e.reason, log_quote(e.msg));
        roll_back(b);
        tell_all(b, &e);
}

static void commit(struct batch *b)
{
        struct engine_shard *s = b->shard;
        int64_t started_us = mono_us();
        enum commit_outcome outcome;
        int rc;

        rc = write_marks(b);
        if (rc == SQLITE_OK && b->changes_schema)
                atomic_fetch_add(&s->schema_seq, 1);
        b->is_committing = rc == SQLITE_OK;
        if (rc == SQLITE_OK)
                rc = conn_exec(b->c, b->ts || b->floor ? CONN_COMMIT : CONN_ROLLBACK);
        outcome = judge(b, rc);
        clock_end_commit(s, b->ts, b->floor_wanted, b->floor, outcome);
        if (outcome == COMMIT_IN_DOUBT) {
                /* What we know of the file may be wrong: it is read again before anybody uses it.
                 */
                b->c->is_broken = true;
                atomic_store(&s->open, false);
        }
        if (b->changes_schema && b->is_committing) {
                if (rc == SQLITE_OK)
                        atomic_store(&s->schema_version, b->schema_version);
                atomic_fetch_add(&s->schema_seq, 1);
        }
        if (rc != SQLITE_OK) {
                fail_commit(b, rc, outcome);
                return;
        }
        b->is_open = false;
        metric_observe(engine_metrics()->batch_size, (double)b->n);
        metric_observe(engine_metrics()->commit_seconds, (double)(mono_us() - started_us) / 1e6);
        for (struct engine_write *w = b->members; w; w = w->next)
                w->commit_ts = w->wrote ? b->ts : 0;
        tell_all(b, NULL);
}

/* ---- the job */

static void close_shard(struct batch *b, struct engine_write *w)
{
        roll_back(b);
        checkpoint_all(b->shard, b->c);
        conn_release(TAKE(b->c));
        conn_close_idle(b->shard);
        atomic_store(&b->shard->open, false);
        b->shard->closing = w;
}

static void run_batch(struct engine_shard *s, struct conn *c)
{
        struct batch b = { .shard = s, .c = c, .started_us = mono_us() };
        struct err e = ERR_INIT;
        struct engine_write *w;
        enum err_code code;

        while ((w = next_write(&b))) {
                if (w->kind == ENGINE_WRITE_CLOSE) {
                        close_shard(&b, w);
                        return;
                }
                code = member_check(w, &e);
                if (!code && w->kind == ENGINE_WRITE_READY && clock_settle(s, w->min_ts)) {
                        batch_finish(w, NULL);
                        continue;
                }
                if (!code && !b.is_open)
                        code = begin(&b, &e);
                if (code) {
                        batch_finish(w, &e);
                        b.is_closed = false;
                        continue;
                }
                if (!run_member(&b, w))
                        break;
        }
        if (b.is_open && trim_requests(&b))
                commit(&b);
        /* Statistics are read when a connection first looks at the schema. */
        if (b.has_analyzed)
                conn_close_idle(s);
        checkpoint_maybe(s, c);
        conn_release(c);
}

/* The file cannot be opened: everybody who waits is told so. */
static void refuse_all(struct engine_shard *s, const struct err *e)
{
        struct engine_write *w;

        while ((w = s->redo ? take_redo(s) : take_queued(s))) {
                if (w->kind == ENGINE_WRITE_CLOSE)
                        s->closing = w;
                else
                        batch_finish(w, e);
        }
}

/* Nothing was ever asked of the shard: no file is made only to be closed. */
static bool closes_unopened(struct engine_shard *s)
{
        struct engine_write *w;

        if (atomic_load(&s->open) || s->redo)
                return false;
        pthread_mutex_lock(&s->mu);
        w = s->queue;
        if (w && w->kind == ENGINE_WRITE_CLOSE)
                unlink_locked(s, w);
        else
                w = NULL;
        pthread_mutex_unlock(&s->mu);
        s->closing = w;
        return w;
}

void writer_run(struct pool_job *job)
{
        struct engine_shard *s = CONTAINER_OF(job, struct engine_shard, job);
        struct engine_write *closing;
        struct err e = ERR_INIT;
        struct conn *c;
        bool again;

        if (closes_unopened(s))
                conn_close_idle(s);
        else if (open_shard(s, &c, &e) == ERR_OK)
                run_batch(s, c);
        else
                refuse_all(s, &e);
        closing = TAKE(s->closing);
        pthread_mutex_lock(&s->mu);
        again = s->queue || s->redo;
        s->scheduled = again;
        pthread_mutex_unlock(&s->mu);
        if (again)
                pool_submit(s->engine->o.writers, &s->job);
        else if (closing)
                batch_finish(closing, NULL);
}
