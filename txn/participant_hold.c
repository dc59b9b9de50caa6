/* participant_hold.c - the transaction that holds the writer: its jobs, its vote and its end. */
#include "txn/participant_int.h"

#include <assert.h>
#include <utlist.h>

#include "common/util.h"

/* ---------------------------------------------------------------- what is asked of it */

static void lose(struct participant *p, struct participant_request *r)
{
        r->ret_incarnation = 0;
        participant_answer(p, r, TXN_PARTICIPANT_LOST);
}

static void prepare(struct participant *p, struct participant_request *r)
{
        struct participant_hold *h = &p->hold;
        struct participant_action *a;

        if (!r->is_lone && p->n_unsettled >= p->o.max_redo) {
                participant_answer(p, r, TXN_TOO_MANY);
                return;
        }
        h->is_lone = r->is_lone;
        h->vote = txn_clock_begin(p->clock, hlc_tick(p->hlc), r->min_ts, &h->age);
        h->has_vote = true;
        r->ret_commit_ts = h->vote;
        a = participant_begin_job(p, PARTICIPANT_DO_PREPARE, PARTICIPANT_IS_VOTING, r);
        a->commit_ts = h->vote;
        a->is_lone = h->is_lone;
}

static void begin_commit(struct participant *p, struct participant_request *r, uint64_t commit_ts)
{
        struct participant_hold *h = &p->hold;
        struct participant_action *a;

        h->commit_ts = commit_ts;
        a = participant_begin_job(p, PARTICIPANT_DO_COMMIT, PARTICIPANT_IS_COMMITTING, r);
        a->commit_ts = commit_ts;
        a->is_lone = a->sync = h->is_lone;
}

/* The only participant. */
static void commit_lone(struct participant *p, struct participant_request *r)
{
        struct participant_hold *h = &p->hold;

        if (p->state == PARTICIPANT_IS_PREPARED) {
                participant_answer(p, r, TXN_UNDECIDED);
                return;
        }
        if (!r->ret_incarnation) {
                /* A copy of a commit that was tried, and failed, while this one waited. */
                h->is_doomed = true;
                DL_PREPEND(h->queue, r);
                return;
        }
        if (p->state == PARTICIPANT_IS_ACTIVE) {
                h->is_lone = true;
                h->vote = txn_clock_begin(p->clock, hlc_tick(p->hlc), r->min_ts, NULL);
                h->has_vote = true;
        }
        begin_commit(p, r, h->vote);
}

static void alarm(struct participant *p, const struct txn_id *id, const char *text)
{
        struct participant_action *a = participant_add_action(p, PARTICIPANT_DO_ALARM);

        a->age.id = *id;
        a->text = text;
}

static void commit_prepared(struct participant *p, struct participant_request *r)
{
        struct participant_hold *h = &p->hold;

        if (p->state != PARTICIPANT_IS_PREPARED) {
                /* The transaction has come back from the dead by a late first request: what was
                 * prepared is not this one. */
                h->is_doomed = true;
                DL_PREPEND(h->queue, r);
        } else if (r->commit_ts < h->vote) {
                alarm(p, &h->age.id, "the commit's timestamp is below the vote");
                participant_answer(p, r, TXN_UNDECIDED);
        } else {
                h->is_decided = h->is_commit = true;
                begin_commit(p, r, r->commit_ts);
        }
}

void participant_serve(struct participant *p, struct participant_request *r, int64_t now_us)
{
        bool is_active = p->state == PARTICIPANT_IS_ACTIVE;

        switch (r->kind) {
        case PARTICIPANT_EXECUTE:
        case PARTICIPANT_SAVEPOINT:
                if (is_active)
                        participant_begin_job(p,
                                              r->kind == PARTICIPANT_EXECUTE ? PARTICIPANT_DO_RUN
                                                                             : PARTICIPANT_DO_UNDO,
                                              PARTICIPANT_IS_RUNNING, r);
                else
                        lose(p, r);
                return;
        case PARTICIPANT_PREPARE:
                if (is_active)
                        prepare(p, r);
                else
                        lose(p, r);
                return;
        case PARTICIPANT_END:
                assert(r->commit); /* otherwise it is doomed, and does not get here */
                if (r->commit_ts)
                        commit_prepared(p, r);
                else
                        commit_lone(p, r);
                return;
        case PARTICIPANT_FIND:
                participant_answer(p, r, TXN_UNDECIDED);
                return;
        case PARTICIPANT_VALIDATE:
                break;
        }
        assert(!"a validation is nobody's in particular");
}

void participant_commit_decided(struct participant *p, int64_t now_us)
{
        begin_commit(p, NULL, p->hold.commit_ts);
}

void participant_undo(struct participant *p, int64_t now_us)
{
        participant_begin_job(p, PARTICIPANT_DO_ROLL_BACK, PARTICIPANT_IS_UNDOING, NULL);
}

void participant_continue(struct participant *p, int64_t now_us)
{
        struct participant_hold *h = &p->hold;
        struct participant_request *r;

        while (!p->has_job && participant_has_holder(p)) {
                if (p->state == PARTICIPANT_IS_REAPPLYING) {
                        /* Nothing is open; if it is aborted, nothing has to be. */
                        if (h->is_decided && !h->is_commit)
                                participant_release(p, now_us);
                        return;
                }
                if (h->is_decided && h->is_commit) {
                        participant_commit_decided(p, now_us);
                        return;
                }
                if (h->is_doomed || h->is_decided) {
                        participant_undo(p, now_us);
                        return;
                }
                r = h->queue;
                if (!r)
                        return;
                DL_DELETE(h->queue, r);
                r->prev = r->next = NULL;
                participant_serve(p, r, now_us);
        }
}

void participant_release(struct participant *p, int64_t now_us)
{
        struct participant_request *queue = TAKE(p->hold.queue), *r, *tmp;
        struct participant_redo *e = participant_find_redo(p, &p->hold.age.id);

        if (p->hold.has_vote)
                txn_clock_end(p->clock, 0, TXN_COMMIT_NOT_DONE);
        if (e && e->state == PARTICIPANT_REDO_PREPARED)
                participant_end_redo(p, e);
        p->hold = (struct participant_hold){ 0 };
        participant_move(p, p->is_serving ? PARTICIPANT_IS_FREE : PARTICIPANT_IS_RECOVERING);
        DL_FOREACH_SAFE(queue, r, tmp)
        {
                DL_DELETE(queue, r);
                participant_dispatch(p, r, now_us);
        }
        participant_look_again(p, now_us);
        if (p->is_serving)
                participant_give_turn(p, now_us);
        else
                participant_recover_next(p, now_us);
}

/* ---------------------------------------------------------------- what became of jobs */

static void opened(struct participant *p, struct participant_request *r,
                   const struct participant_outcome *o, int64_t now_us)
{
        struct participant_hold *h = &p->hold;
        enum txn_result result = TXN_OK;

        r->ret_n_statements = 1;
        if (o->result) {
                participant_answer(p, r, TXN_FAILED);
                participant_release(p, now_us);
                return;
        }
        txn_clock_reopen(p->clock, o->last_ts, 0);
        if (o->applied && txn_rule(TXN_RULE_FENCE))
                result = o->applied_ts ? TXN_PARTICIPANT_LOST : TXN_FENCED;
        if (!result)
                result = participant_check_first(p, r, o->last_ts);
        if (!result && h->is_doomed)
                result = TXN_PARTICIPANT_LOST;
        if (result) {
                participant_answer(p, r, result);
                participant_undo(p, now_us);
                return;
        }
        r->ret_last_ts = o->last_ts;
        r->ret_incarnation = h->incarnation;
        participant_begin_job(p, PARTICIPANT_DO_RUN, PARTICIPANT_IS_RUNNING, r);
}

static void ran(struct participant *p, struct participant_request *r,
                const struct participant_outcome *o, int64_t now_us)
{
        if (o->is_gone) {
                r->ret_incarnation = 0;
                participant_answer(p, r, TXN_FAILED);
                participant_release(p, now_us);
                return;
        }
        participant_answer(p, r, o->result);
        participant_move(p, PARTICIPANT_IS_ACTIVE);
        participant_continue(p, now_us);
}

static void withdraw_vote(struct participant *p)
{
        txn_clock_end(p->clock, 0, TXN_COMMIT_NOT_DONE);
        p->hold.has_vote = false;
}

/* Neither prepared nor committed. */
static void refused(struct participant *p, struct participant_request *r,
                    const struct participant_outcome *o, int64_t now_us)
{
        withdraw_vote(p);
        r->ret_commit_ts = 0;
        if (o->result == TXN_FENCED || o->is_gone)
                r->ret_incarnation = 0;
        participant_answer(p, r, o->result == TXN_FENCED ? TXN_FENCED : TXN_FAILED);
        if (o->is_gone) {
                participant_release(p, now_us);
                return;
        }
        if (o->result == TXN_FENCED)
                p->hold.is_doomed = true;
        participant_move(p, PARTICIPANT_IS_ACTIVE);
        participant_look_again(p, now_us);
        participant_continue(p, now_us);
}

static void prepared(struct participant *p, struct participant_request *r,
                     const struct participant_outcome *o, int64_t now_us)
{
        struct participant_hold *h = &p->hold;

        if (o->result || o->is_gone) {
                refused(p, r, o, now_us);
                return;
        }
        if (h->is_lone) {
                participant_move(p, PARTICIPANT_IS_VOTED);
        } else {
                participant_add_redo(p, o->position);
                h->prepared_us = now_us;
                h->retry_us = now_us + p->o.ask_after_us;
                participant_move(p, PARTICIPANT_IS_PREPARED);
        }
        /* Nobody was told the vote yet: so it may still be undone. */
        if (h->is_doomed)
                lose(p, r);
        else
                participant_answer(p, r, TXN_OK);
        participant_continue(p, now_us);
}

static void committed_lone(struct participant *p, struct participant_request *r,
                           const struct participant_outcome *o, int64_t now_us)
{
        uint64_t ts = p->hold.commit_ts;

        if (!o->result && o->commit == TXN_COMMIT_DONE) {
                txn_clock_end(p->clock, ts, TXN_COMMIT_DONE);
                p->hold.has_vote = false;
                participant_note_sync(p, p->seq, now_us);
                r->ret_incarnation = 0;
                r->ret_commit_ts = ts;
                participant_answer(p, r, TXN_OK);
                participant_release(p, now_us);
        } else if (o->commit == TXN_COMMIT_IN_DOUBT) {
                txn_clock_end(p->clock, ts, TXN_COMMIT_IN_DOUBT);
                p->hold.has_vote = false;
                r->ret_incarnation = 0;
                participant_answer(p, r, TXN_IN_DOUBT);
                participant_release(p, now_us);
        } else {
                refused(p, r, o, now_us);
        }
}

static void committed(struct participant *p, struct participant_request *r,
                      const struct participant_outcome *o, int64_t now_us)
{
        struct participant_hold *h = &p->hold;

        if (o->commit == TXN_COMMIT_DONE) {
                txn_clock_end(p->clock, h->commit_ts, TXN_COMMIT_DONE);
                h->has_vote = false;
                participant_note_commit(p, now_us);
                if (r) {
                        r->ret_commit_ts = h->commit_ts;
                        participant_answer(p, r, TXN_OK);
                }
                participant_release(p, now_us);
                return;
        }
        /* It is decided, so it goes on until it works. Whoever asked hears of it then. */
        if (r)
                DL_PREPEND(h->queue, r);
        participant_move(p, PARTICIPANT_IS_REAPPLYING);
        h->retry_us = now_us + p->o.ask_every_us;
}

static void fenced(struct participant *p, struct participant_request *r,
                   const struct participant_outcome *o, int64_t now_us)
{
        participant_move(p, PARTICIPANT_IS_FREE);
        if (!o->result && o->applied && o->applied_ts) {
                r->ret_commit_ts = o->applied_ts;
                participant_answer(p, r, TXN_OK);
        } else if (!o->result && (o->applied || o->commit == TXN_COMMIT_DONE)) {
                participant_answer(p, r,
                                   r->age.id.start <= p->horizon ? TXN_FORGOTTEN : TXN_NOT_FOUND);
        } else {
                participant_answer(p, r, TXN_FAILED);
        }
        if (!o->applied && o->commit == TXN_COMMIT_DONE)
                participant_note_sync(p, p->seq, now_us);
        participant_look_again(p, now_us);
        participant_give_turn(p, now_us);
}

static void batch_done(struct participant *p, const struct participant_outcome *o, int64_t now_us)
{
        participant_move(p, PARTICIPANT_IS_FREE);
        if (o->commit == TXN_COMMIT_DONE)
                participant_note_sync(p, p->seq, now_us);
        else
                p->doubt_us = now_us + p->o.ask_every_us;
        if (o->more)
                p->wants_batch = true;
        participant_look_again(p, now_us);
        participant_give_turn(p, now_us);
}

void participant_job_done(struct participant *p, const struct participant_outcome *o,
                          int64_t now_us)
{
        struct participant_request *r = TAKE(p->hold.running);

        assert(p->has_job);
        p->has_job = false;
        p->hold.used_us = now_us;
        switch (p->state) {
        case PARTICIPANT_IS_OPENING:
                opened(p, r, o, now_us);
                return;
        case PARTICIPANT_IS_RUNNING:
                ran(p, r, o, now_us);
                return;
        case PARTICIPANT_IS_VOTING:
                prepared(p, r, o, now_us);
                return;
        case PARTICIPANT_IS_COMMITTING:
                if (p->hold.is_lone)
                        committed_lone(p, r, o, now_us);
                else
                        committed(p, r, o, now_us);
                return;
        case PARTICIPANT_IS_UNDOING:
                participant_release(p, now_us);
                return;
        case PARTICIPANT_IS_BATCH:
                batch_done(p, o, now_us);
                return;
        case PARTICIPANT_IS_FENCING:
                fenced(p, r, o, now_us);
                return;
        case PARTICIPANT_IS_REAPPLYING:
                participant_reapplied(p, o, now_us);
                return;
        default:
                assert(!"a job ends in a state that has none");
        }
}
