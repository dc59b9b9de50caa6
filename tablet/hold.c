/* hold.c - what the writer's connection does for the transaction that holds it: each function is
 * one of the participant's jobs (txn/participant.h). Runs on a writer's thread, one at a time.
 *
 * Each statement runs in a savepoint of its own, so that one that fails undoes itself and nothing
 * else; what ends the whole transaction in SQLite (OR ROLLBACK, RAISE(ROLLBACK), an interrupted
 * write, a full disk) ends the participation. Deferred constraints are looked at before the
 * commit, as SQLite does. */
#include "tablet/writer_int.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "common/metrics.h"

/* Each open savepoint makes every page that is written for the first time dearer. */
enum { MAX_SAVEPOINTS = 1000 };

static struct engine_txn *txn_of(const struct participant_action *a)
{
        return a->request ? CONTAINER_OF(a->request, struct engine_txn, p) : NULL;
}

static void fail(struct engine_txn *x, struct participant_outcome *o, const struct err *e)
{
        o->result = TXN_FAILED;
        if (!x)
                return;
        free(x->failure);
        x->failure = xmalloc(sizeof *x->failure);
        *x->failure = *e;
}

static enum err_code check(struct engine_shard *s, const struct engine_txn *x, struct err *reterr)
{
        struct engine_write w;

        engine_write_init(&w, ENGINE_WRITE_EXECUTE, s, x->stmt, NULL);
        return member_check(&w, reterr);
}

/* ---- its connection */

static void let_go(struct engine_shard *s)
{
        struct hold *h = &s->hold;

        if (!sqlite3_get_autocommit(h->c->db) && conn_exec(h->c, CONN_ROLLBACK) != SQLITE_OK)
                h->c->is_broken = true;
        checkpoint_maybe(s, h->c);
        conn_release(TAKE(h->c));
        h->n_savepoints = 0;
}

/* Has SQLite ended the transaction by itself, or is the connection of no use any more? */
static bool is_gone(struct engine_shard *s)
{
        if (!sqlite3_get_autocommit(s->hold.c->db) && !s->hold.c->is_broken)
                return false;
        let_go(s);
        return true;
}

void hold_open(struct engine_shard *s, const struct participant_action *a,
               struct participant_outcome *o)
{
        struct engine_txn *x = txn_of(a);
        struct err e = ERR_INIT;
        struct conn *c;
        int rc;

        if (check(s, x, &e) || writer_open(s, &c, &e)) {
                fail(x, o, &e);
                return;
        }
        s->hold.c = c;
        rc = conn_exec(c, CONN_BEGIN_IMMEDIATE);
        if (rc == SQLITE_OK)
                rc = meta_get(c, "last_ts", &o->last_ts);
        if (rc == SQLITE_OK)
                rc = applied_find(c, &a->age.id, &o->applied, &o->applied_ts);
        if (rc == SQLITE_OK)
                return;
        (void)conn_fail(c, rc, &e);
        fail(x, o, &e);
        let_go(s);
}

void hold_roll_back(struct engine_shard *s, struct participant_outcome *o)
{
        let_go(s);
        o->result = TXN_OK;
}

/* ---- statements */

static int exec_savepoint(struct conn *c, const char *verb, uint64_t number)
{
        char sql[64];

        snprintf(sql, sizeof sql, "%s _shoal_s%" PRIu64, verb, number);
        return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

/* The innermost savepoint the statement runs in, if the shard has not heard of it yet. */
static enum err_code enter_savepoint(struct hold *h, uint64_t number, struct err *reterr)
{
        int rc;

        if (!number || (h->n_savepoints && number <= h->savepoints[h->n_savepoints - 1]))
                return ERR_OK;
        if (h->n_savepoints == MAX_SAVEPOINTS)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_SAVEPOINTS",
                               "the transaction has opened %d savepoints on a shard",
                               MAX_SAVEPOINTS);
        if (h->n_savepoints == h->n_allocated) {
                h->n_allocated = h->n_allocated ? 2 * h->n_allocated : 8;
                h->savepoints = xrealloc(h->savepoints, h->n_allocated * sizeof *h->savepoints);
        }
        rc = exec_savepoint(h->c, "SAVEPOINT", number);
        if (rc != SQLITE_OK)
                return conn_fail(h->c, rc, reterr);
        h->savepoints[h->n_savepoints++] = number;
        return ERR_OK;
}

static enum err_code run(struct engine_shard *s, struct engine_txn *x, struct err *reterr)
{
        struct batch b = { .shard = s, .c = s->hold.c, .is_transaction = true };
        struct engine_write w;
        enum err_code code;

        engine_write_init(&w, ENGINE_WRITE_EXECUTE, s, x->stmt, NULL);
        w.is_read = !x->write;
        code = member_check(&w, reterr);
        if (!code)
                code = enter_savepoint(&s->hold, x->p.savepoint, reterr);
        if (!code)
                code = member_run(&b, &w, reterr);
        if (!code) {
                x->result = w.result;
                x->n_rows = w.n_rows;
                w.result = (struct buf)BUF_INIT(0);
        }
        engine_write_done(&w);
        return code;
}

void hold_run(struct engine_shard *s, const struct participant_action *a,
              struct participant_outcome *o)
{
        struct engine_txn *x = txn_of(a);
        struct err e = ERR_INIT;

        if (run(s, x, &e))
                fail(x, o, &e);
        o->is_gone = is_gone(s);
        if (o->is_gone && !x->failure) {
                err_set(&e, ERR_ABORTED, "ROLLED_BACK", "the statement has ended the transaction");
                fail(x, o, &e);
        }
}

void hold_undo(struct engine_shard *s, const struct participant_action *a,
               struct participant_outcome *o)
{
        struct engine_txn *x = txn_of(a);
        struct hold *h = &s->hold;
        struct err e = ERR_INIT;
        size_t i = 0;
        int rc;

        while (i < h->n_savepoints && h->savepoints[i] < x->p.savepoint)
                i++;
        if (i == h->n_savepoints)
                return;
        rc = exec_savepoint(h->c, "ROLLBACK TO", h->savepoints[i]);
        if (rc == SQLITE_OK)
                rc = exec_savepoint(h->c, "RELEASE", h->savepoints[i]);
        h->n_savepoints = i;
        if (rc != SQLITE_OK) {
                (void)conn_fail(h->c, rc, &e);
                fail(x, o, &e);
                /* What is left of it is not known. */
                h->c->is_broken = true;
        }
        o->is_gone = is_gone(s);
}

/* ---- its end */

void hold_prepare(struct engine_shard *s, const struct participant_action *a,
                  struct participant_outcome *o)
{
        struct engine_txn *x = txn_of(a);
        enum err_code code;
        struct err e;

        if (a->is_lone)
                code = member_check_foreign_keys(s->hold.c, &e);
        else
                code = err_set(&e, ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS",
                               "transactions that write to several shards are not there yet");
        if (code)
                fail(x, o, &e);
}

/* What goes with the commit. *ret_floor: what it promises as the floor; 0: nothing. */
static int write_marks(struct engine_shard *s, const struct participant_action *a,
                       uint64_t *ret_floor)
{
        struct conn *c = s->hold.c;
        int rc = applied_put(c, &a->age.id, a->commit_ts);

        *ret_floor = clock_floor_due(s, 0, true);
        if (rc == SQLITE_OK)
                rc = meta_put(c, "last_ts", a->commit_ts);
        if (rc == SQLITE_OK && *ret_floor)
                rc = meta_put(c, "floor", *ret_floor);
        return rc;
}

static void commit(struct engine_shard *s, const struct participant_action *a,
                   struct participant_outcome *o, struct err *e)
{
        struct conn *c = s->hold.c;
        int64_t started_us = mono_us();
        bool is_committing;
        uint64_t floor;
        int rc;

        rc = write_marks(s, a, &floor);
        is_committing = rc == SQLITE_OK;
        if (is_committing)
                rc = conn_exec(c, CONN_COMMIT);
        o->commit = rc == SQLITE_OK ? TXN_COMMIT_DONE : writer_judge(is_committing, rc);
        if (rc == SQLITE_OK) {
                clock_promise(s, floor);
                clock_note_commit(s, a->commit_ts);
                metric_observe(engine_metrics()->commit_seconds,
                               (double)(mono_us() - started_us) / 1e6);
        } else {
                (void)conn_fail(c, rc, e);
                err_wrap(e, e->code, "commit");
                log_event(LOG_ERROR, "commit_failed", "shard=%s writes=1 reason=%s error=%s",
                          s->label, e->reason, log_quote(e->msg));
                o->is_gone = true;
        }
        if (o->commit == TXN_COMMIT_IN_DOUBT) {
                /* What we know of the file may be wrong: it is read again before anybody uses it.
                 */
                c->is_broken = true;
                atomic_store(&s->open, false);
        }
        let_go(s);
}

void hold_commit(struct engine_shard *s, const struct participant_action *a,
                 struct participant_outcome *o)
{
        struct engine_txn *x = txn_of(a);
        struct err e = ERR_INIT;
        uint64_t applied_ts;
        bool applied;
        int rc;

        o->commit = TXN_COMMIT_NOT_DONE;
        if (member_check_foreign_keys(s->hold.c, &e)) {
                fail(x, o, &e);
                return;
        }
        rc = applied_find(s->hold.c, &a->age.id, &applied, &applied_ts);
        if (rc == SQLITE_OK && applied) {
                o->result = TXN_FENCED;
                return;
        }
        if (rc == SQLITE_OK) {
                commit(s, a, o, &e);
        } else {
                (void)conn_fail(s->hold.c, rc, &e);
                o->is_gone = true;
                let_go(s);
        }
        if (o->commit != TXN_COMMIT_DONE)
                fail(x, o, &e);
}

/* ---- without a transaction */

static int fence(struct engine_shard *s, struct conn *c, const struct participant_action *a,
                 struct participant_outcome *o)
{
        bool is_committing;
        uint64_t ts;
        int rc;

        rc = conn_exec(c, CONN_BEGIN_IMMEDIATE);
        if (rc == SQLITE_OK)
                rc = applied_find(c, &a->age.id, &o->applied, &o->applied_ts);
        if (rc != SQLITE_OK || o->applied)
                return rc;
        ts = clock_begin_commit(s, 0);
        rc = applied_put(c, &a->age.id, 0);
        if (rc == SQLITE_OK)
                rc = meta_put(c, "last_ts", ts);
        is_committing = rc == SQLITE_OK;
        if (is_committing)
                rc = conn_exec(c, CONN_COMMIT);
        o->commit = rc == SQLITE_OK ? TXN_COMMIT_DONE : writer_judge(is_committing, rc);
        clock_end_commit(s, ts, 0, 0, o->commit);
        if (o->commit == TXN_COMMIT_IN_DOUBT) {
                c->is_broken = true;
                atomic_store(&s->open, false);
        }
        return rc;
}

void hold_fence(struct engine_shard *s, const struct participant_action *a,
                struct participant_outcome *o)
{
        struct engine_txn *x = txn_of(a);
        struct err e = ERR_INIT;
        int rc;

        o->commit = TXN_COMMIT_NOT_DONE;
        if (check(s, x, &e) || writer_open(s, &s->hold.c, &e)) {
                fail(x, o, &e);
                return;
        }
        rc = fence(s, s->hold.c, a, o);
        if (rc != SQLITE_OK) {
                (void)conn_fail(s->hold.c, rc, &e);
                fail(x, o, &e);
        }
        let_go(s);
}

enum err_code hold_look_up(struct engine_shard *s, const struct txn_id *id, bool *ret_applied,
                           uint64_t *ret_ts, struct err *reterr)
{
        enum err_code code;
        struct conn *c;
        int rc;

        if (!atomic_load(&s->open))
                return err_set(reterr, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                               "shard %s: a commit has failed half way", s->label);
        code = conn_acquire(s, false, &c, reterr);
        if (code)
                return code;
        rc = applied_find(c, id, ret_applied, ret_ts);
        if (rc != SQLITE_OK)
                code = conn_fail(c, rc, reterr);
        conn_release(c);
        return code;
}
