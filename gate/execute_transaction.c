/* execute_transaction.c - a statement's place in a transaction: which one it runs in, what its
 * failure means to it, transactions that a write over several shards has to itself; and BEGIN,
 * COMMIT, ROLLBACK and savepoints as statements. Loop thread.
 *
 * In a transaction a failed statement undoes itself and nothing else. So its failure is told only
 * when no shard that takes part is still at work (what has run there must be known), and when what
 * it has done on other shards has been undone. */
#include <assert.h>
#include <string.h>

#include "gate/execute_int.h"
#include "gate/session.h"
#include "gate/shard_bits.h"
#include "gate/transaction.h"

/* In the execution's arena. */
struct execute_in {
        struct execution *x;
        struct transaction *own; /* begun for this statement */
        uint64_t first_start;    /* of the first such */
        uint64_t savepoint;      /* number of the statement itself; 0: none */
        struct err *failing;     /* why it fails; shards are still being stopped */
        struct scatter *undo;
        struct transaction_end end;
        bool is_waiting; /* for the end of `ending` */
        struct transaction *ending;
        struct err outcome; /* of the write, while that is finished */
        void (*done)(struct execution *x, const struct err *e);
};

static struct execute_in *get_in(struct execution *x)
{
        if (!x->in)
                x->in = arena_calloc(x->arena, 1, sizeof(*x->in));
        if (x->in)
                x->in->x = x;
        return x->in;
}

/* ---- may it run? */

static enum err_code check_kind(const struct execution *x, struct err *reterr)
{
        const struct plan *p = x->run ? x->run : x->plan;

        if (p->kind == PLAN_DDL || p->kind == PLAN_ANALYZE)
                return err_set(reterr, ERR_UNIMPLEMENTED, "TRANSACTION_DDL",
                               "schema changes and ANALYZE inside a transaction are not there yet");
        if (x->transaction->read_only && !p->read_only)
                return err_set(reterr, ERR_PRECONDITION, "READ_ONLY",
                               "the statement writes, and the transaction was begun read_only");
        if (!p->read_only && x->request.n_request_id_bytes)
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST",
                               "a request_id is of no use inside a transaction: send the whole "
                               "transaction again");
        return ERR_OK;
}

static enum err_code fail_in_doubt(struct err *reterr)
{
        return err_set(reterr, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                       "it is not known yet whether the transaction was committed: repeat COMMIT");
}

static void limit_time(struct execution *x)
{
        if (x->transaction->deadline_us < x->request.deadline_us)
                x->request.deadline_us = x->transaction->deadline_us;
}

enum err_code execute_enter(struct execution *x, struct err *reterr)
{
        struct session *s = x->session;
        enum err_code rc;

        if (x->plan->kind == PLAN_TRANSACTION)
                return ERR_OK;
        if (s && s->broken.code)
                return err_set(reterr, ERR_ABORTED, "TRANSACTION_ABORTED",
                               "the transaction was given up, and waits for ROLLBACK: %s",
                               s->broken.msg);
        if (s && s->is_in_doubt)
                return fail_in_doubt(reterr);
        if (s)
                x->transaction = s->transaction;
        if (!x->transaction || !x->run)
                return ERR_OK;
        rc = check_kind(x, reterr);
        if (!rc)
                rc = transaction_enter(x->transaction, x->catalog, reterr);
        if (!rc)
                limit_time(x);
        return rc;
}

bool execute_keeps_pins(const struct execution *x)
{
        return x->transaction && x->transaction->isolation != COORDINATOR_READ_COMMITTED;
}

uint64_t execute_savepoint(struct execution *x, size_t n_shards)
{
        struct execute_in *in;

        if (n_shards < 2)
                return x->session ? savepoints_innermost(&x->session->savepoints) : 0;
        in = get_in(x);
        if (in && !in->savepoint)
                in->savepoint = coordinator_new_savepoint(x->transaction->coordinator);
        return in ? in->savepoint : 0;
}

/* ---- failing */

bool execute_is_failing(const struct execution *x)
{
        return x->in && x->in->failing;
}

static size_t stop_parts(struct execution *x)
{
        size_t n = 0;

        for (size_t i = 0; i < x->n_parts; i++)
                if (x->parts[i].takes_part && x->parts[i].scatter &&
                    scatter_stop(x->parts[i].scatter))
                        n++;
        return n;
}

bool execute_must_wait(struct execution *x, const struct err *e)
{
        struct execute_in *in;

        if (!x->transaction || !transaction_has_parts(x->transaction) || transaction_is_fatal(e))
                return false;
        in = get_in(x);
        if (!in || in->failing)
                return false;
        in->failing = arena_memdup(x->arena, e, sizeof(*e));
        if (in->failing && stop_parts(x))
                return true;
        in->failing = NULL;
        return false;
}

void execute_part_stopped(struct execution *x)
{
        struct err *failing = x->in->failing;
        size_t n = 0;

        for (size_t i = 0; i < x->n_parts; i++)
                n += x->parts[i].takes_part && x->parts[i].scatter &&
                     scatter_is_busy(x->parts[i].scatter);
        if (n)
                return;
        execute_fail(x, failing);
}

bool execute_is_free(const struct execution *x)
{
        return !x->transaction || (x->in && x->in->own) || transaction_is_untouched(x->transaction);
}

bool execute_gave_up(struct execution *x, struct err *e)
{
        bool own = x->in && x->in->own;

        if (x->in)
                x->in->failing = NULL;
        if (!x->transaction)
                return false;
        if (own) {
                execute_stop(x);
                execute_leave_transaction(x, false);
                return e->code == ERR_ABORTED;
        }
        if (transaction_is_fatal(e) && !transaction_is_untouched(x->transaction)) {
                execute_stop(x);
                if (e->code == ERR_UNAVAILABLE)
                        e->code = ERR_ABORTED;
                if (x->session)
                        session_break_transaction(x->session, e);
                x->transaction = NULL;
        }
        return false;
}

void execute_leave_transaction(struct execution *x, bool is_cancelled)
{
        struct execute_in *in = x->in;
        struct err e = ERR_INIT;

        if (in) {
                in->undo = scatter_free(in->undo);
                if (in->is_waiting)
                        transaction_forget_wait(in->ending, &in->end);
                in->is_waiting = false;
                if (in->own)
                        x->transaction = NULL;
                in->own = transaction_free(in->own);
                in->savepoint = 0;
        }
        if (!is_cancelled || !x->session || !x->transaction || x->session->is_in_doubt ||
            x->session->transaction != x->transaction || !transaction_has_parts(x->transaction))
                return;
        err_set(&e, ERR_ABORTED, "TRANSACTION_CANCELLED",
                "a call of the transaction was given up while shards were at work for it");
        session_break_transaction(x->session, &e);
        x->transaction = NULL;
}

/* ---- a transaction of its own */

enum err_code execute_begin_own(struct execution *x, struct err *reterr)
{
        struct execute_in *in = get_in(x);
        struct transaction_options o = {
                .gate = x->gate,
                .catalog = x->catalog,
                .isolation = COORDINATOR_SNAPSHOT,
                .session_ts = x->session ? x->session->seen_ts : 0,
        };
        enum err_code rc;

        if (!in)
                return execute_no_memory(reterr);
        o.first_start = in->first_start;
        rc = transaction_new(&o, &in->own, reterr);
        if (rc)
                return rc;
        x->transaction = in->own;
        in->first_start = in->own->age.first_start;
        return ERR_OK;
}

void execute_drop_own(struct execution *x)
{
        if (x->in && x->in->own)
                execute_leave_transaction(x, false);
}

static void on_own_end(struct transaction_end *w, enum coordinator_outcome outcome,
                       uint64_t commit_ts, const struct err *e)
{
        struct execute_in *in = CONTAINER_OF(w, struct execute_in, end);
        struct execution *x = in->x;
        struct err copy = *e;

        (void)outcome;
        in->is_waiting = false;
        if (x->session)
                session_note_seen(x->session, commit_ts);
        in->done(x, &copy);
}

static void on_undone(void *arg, struct scatter *s, const struct err *e)
{
        struct execution *x = arg;
        struct execute_in *in = x->in;
        struct err copy = in->outcome;

        /* What cannot be undone is undone with the transaction. */
        if (e->code)
                err_set(&copy, ERR_ABORTED, "PARTICIPANT_LOST",
                        "the statement failed (%.200s), and what it had done could not be undone: "
                        "begin again",
                        in->outcome.msg);
        in->undo = scatter_free(s);
        in->done(x, &copy);
}

static void undo(struct execution *x, const uint64_t *bits, uint64_t savepoint,
                 const struct scatter_events *events)
{
        const struct scatter_options o = {
                .tablets = x->gate->tablets,
                .catalog = x->catalog,
                .shard_bits = bits,
                .deadline_us = x->request.deadline_us,
                .keep_going = true,
                .transaction = x->transaction,
                .takes_part = true,
                .savepoint = savepoint,
                .events = events,
                .arg = x,
        };
        const struct tablet_transaction q = {
                .verb = TABLET_SAVEPOINT,
                .keyspace_id = x->transaction->keyspace_id,
                .id = x->transaction->id,
                .savepoint = savepoint,
        };

        x->in->undo = scatter_undo(&o, &q);
}

/* Of the shards that may have done something since. False: there is none. */
static bool find_to_undo(struct execution *x, uint64_t savepoint, uint64_t *ret_bits)
{
        const struct transaction *t = x->transaction;
        bool found = false;

        memset(ret_bits, 0, scatter_n_words(x->catalog) * sizeof(*ret_bits));
        for (uint32_t i = 0; i < t->n_shards; i++) {
                if (!transaction_takes_part(t, i) ||
                    !coordinator_knows_savepoint(t->coordinator, t->shards[i].number - 1,
                                                 savepoint))
                        continue;
                shard_bits_add(ret_bits, i);
                found = true;
        }
        return found;
}

static void commit_own(struct execution *x)
{
        struct execute_in *in = x->in;

        in->ending = in->own;
        in->end.done = on_own_end;
        in->is_waiting = true;
        transaction_commit(in->own, &in->end, x->request.deadline_us);
}

bool execute_finish_write(struct execution *x, const struct err *e,
                          void (*done)(struct execution *x, const struct err *e))
{
        static const struct scatter_events undo_events = { .on_end = on_undone };
        struct execute_in *in = x->in;
        uint64_t *bits;

        if (!in || !x->transaction)
                return false;
        in->done = done;
        in->outcome = *e;
        if (in->own && !e->code) {
                commit_own(x);
                return true;
        }
        if (in->own || !e->code || !in->savepoint || transaction_is_fatal(e))
                return false;
        bits = execute_alloc_bits(x);
        if (!bits || !find_to_undo(x, in->savepoint, bits))
                return false;
        undo(x, bits, in->savepoint, &undo_events);
        return true;
}

/* ---- BEGIN and its like */

static void end_session_transaction(struct execution *x)
{
        session_end_transaction(x->session);
        x->transaction = NULL;
}

static enum err_code open_session(struct execution *x, struct err *reterr)
{
        struct gate *g = x->gate;
        uint64_t epoch = topology_epoch(g->topology);
        enum err_code rc;

        if (!epoch)
                return err_set(reterr, ERR_UNAVAILABLE, "TOPO_AWAY",
                               "topo is away, and without it no transaction can begin");
        rc = sessions_open(g->sessions, x->request.keyspace, x->request.n_keyspace_bytes, epoch,
                           &x->session, reterr);
        if (!rc)
                x->session->ends_with_transaction = true;
        return rc;
}

static enum err_code begin_transaction(struct execution *x, struct err *reterr)
{
        struct session *s = x->session;
        const struct transaction_options o = {
                .gate = x->gate,
                .catalog = x->catalog,
                .isolation = x->request.isolation,
                .read_only = x->request.read_only,
                .is_limited = true,
                .session_ts = s->seen_ts,
        };

        return transaction_new(&o, &s->transaction, reterr);
}

static void on_commit_end(struct transaction_end *w, enum coordinator_outcome outcome,
                          uint64_t commit_ts, const struct err *e)
{
        struct execute_in *in = CONTAINER_OF(w, struct execute_in, end);
        struct execution *x = in->x;
        struct session *s = x->session;
        struct err copy = *e;

        in->is_waiting = false;
        switch (outcome) {
        case COORDINATOR_COMMITTED:
                session_note_seen(s, commit_ts);
                session_note_end(s, &copy);
                end_session_transaction(x);
                execute_settle(x, &copy);
                return;
        case COORDINATOR_ABORTED:
                session_note_end(s, &copy);
                end_session_transaction(x);
                break;
        case COORDINATOR_UNKNOWN:
                s->is_in_doubt = true;
                break;
        case COORDINATOR_REFUSED:
                s->is_in_doubt = false;
                break;
        }
        execute_end(x, &copy);
}

static void commit(struct execution *x)
{
        struct execute_in *in = get_in(x);
        struct err e;

        if (!in) {
                (void)execute_no_memory(&e);
                execute_end(x, &e);
                return;
        }
        in->ending = x->session->transaction;
        x->session->is_in_doubt = true;
        in->end.done = on_commit_end;
        in->is_waiting = true;
        transaction_commit(in->ending, &in->end, x->request.deadline_us);
}

static void on_rolled_back_to(void *arg, struct scatter *s, const struct err *e)
{
        struct execution *x = arg;
        struct err copy = *e;

        x->in->undo = scatter_free(s);
        if (e->code) {
                err_set(&copy, ERR_ABORTED, "PARTICIPANT_LOST",
                        "what was done since the savepoint could not be undone: begin again");
                session_break_transaction(x->session, &copy);
                x->transaction = NULL;
                execute_end(x, &copy);
        } else {
                execute_settle(x, &copy);
        }
}

static void roll_back_to(struct execution *x, uint64_t savepoint)
{
        static const struct scatter_events events = { .on_end = on_rolled_back_to };
        static const struct err fine = ERR_INIT;
        uint64_t *bits = execute_alloc_bits(x);
        struct err e;

        x->transaction = x->session->transaction;
        sequence_holds_undo(&x->transaction->holds, savepoint);
        if (!bits || !get_in(x)) {
                (void)execute_no_memory(&e);
                session_break_transaction(x->session, &e);
                execute_end(x, &e);
        } else if (find_to_undo(x, savepoint, bits)) {
                undo(x, bits, savepoint, &events);
        } else {
                execute_settle(x, &fine);
        }
}

/* Of a COMMIT whose outcome is not known, only that. True: it was refused. */
static bool refuse_in_doubt(struct execution *x)
{
        struct err e;

        if (!x->session || !x->session->is_in_doubt || x->run->control->verb == SAVEPOINTS_COMMIT)
                return false;
        fail_in_doubt(&e);
        execute_end(x, &e);
        return true;
}

/* Of a transaction that was given up only the end is accepted. True: there is nothing more to do.
 */
static bool end_broken(struct execution *x)
{
        static const struct err fine = ERR_INIT;
        struct session *s = x->session;
        struct err e = ERR_INIT;

        if (!s || !s->broken.code)
                return false;
        if (x->run->control->verb == SAVEPOINTS_ROLLBACK) {
                end_session_transaction(x);
                execute_settle(x, &fine);
                return true;
        }
        err_set(&e, ERR_ABORTED, "TRANSACTION_ABORTED", "the transaction was given up%s: %s",
                x->run->control->verb == SAVEPOINTS_COMMIT ? "" : ", and waits for ROLLBACK",
                s->broken.msg);
        if (x->run->control->verb == SAVEPOINTS_COMMIT)
                end_session_transaction(x);
        execute_end(x, &e);
        return true;
}

static void follow(struct execution *x, enum savepoints_step step, uint64_t number)
{
        static const struct err fine = ERR_INIT;
        struct err e = ERR_INIT;

        switch (step) {
        case SAVEPOINTS_OPENED:
                if (begin_transaction(x, &e))
                        savepoints_end(&x->session->savepoints);
                execute_settle(x, &e);
                break;
        case SAVEPOINTS_TO_COMMIT:
                commit(x);
                break;
        case SAVEPOINTS_TO_ROLL_BACK:
                end_session_transaction(x);
                execute_settle(x, &fine);
                break;
        case SAVEPOINTS_TO_UNDO:
                roll_back_to(x, number);
                break;
        case SAVEPOINTS_DONE:
                execute_settle(x, &fine);
                break;
        }
}

void execute_control(struct execution *x)
{
        const struct plan_control *c = x->run->control;
        bool begins = c->verb == SAVEPOINTS_BEGIN || c->verb == SAVEPOINTS_SAVEPOINT;
        struct savepoints none = { 0 };
        enum savepoints_step step = SAVEPOINTS_DONE;
        uint64_t number = 0;
        struct err e = ERR_INIT;

        if (end_broken(x) || refuse_in_doubt(x))
                return;
        if (!x->session && !x->transaction && begins && open_session(x, &e)) {
                execute_fail(x, &e);
                return;
        }
        if (x->transaction && !x->session) {
                (void)savepoints_error(&e, "%s",
                                       begins ? "cannot start a transaction within a transaction"
                                              : "an atomic batch ends by itself");
                execute_end(x, &e);
                return;
        }
        if (savepoints_apply(x->session ? &x->session->savepoints : &none, c->verb, c->name, &step,
                             &number, &e))
                execute_end(x, &e);
        else
                follow(x, step, number);
}
