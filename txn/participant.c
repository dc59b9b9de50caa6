/* participant.c - a shard's side of transactions: its states, and where each request goes. */
#include "txn/participant_int.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "common/util.h"

/* What is true in each state:
 *
 * DOWN        Nothing is known of the shard's redo. Nothing is served.
 * RECOVERING  Of the redo that is not applied, topo is asked for all but the last of the log; what
 * is committed is put back in order. Nothing is served. REAPPLYING  A transaction's redo is being
 * put back into a write transaction: at the start, or after its COMMIT failed. Its vote is pending
 * in the clock. No job is under way if that failed and is to be tried again. FREE        No write
 * transaction is open, no job is under way; nobody waits, but for the shard to serve. BATCH
 * Autocommit writes have the writer for one batch. FENCING     A row that keeps a transaction from
 * committing is being written. OPENING     The holder's write transaction is being begun, for its
 * first request. ACTIVE      The holder's write transaction is open, nothing runs in it. It belongs
 * to its stream. RUNNING     A statement runs in it, or a savepoint is being undone. VOTING The
 * holder's vote is chosen, and pending; it prepares. Nobody was told the vote. VOTED       It has
 * told its vote, and has no redo: it commits at its vote or not at all. It belongs to its stream
 * still. PREPARED    It has told its vote, and its redo is durable: nothing but the outcome ends
 * it. If the outcome is not known topo is asked. COMMITTING  The commit is under way; a failure
 * takes what has redo back to REAPPLYING. UNDOING     It is being rolled back. */
#define TO(state) (1u << PARTICIPANT_IS_##state)

static const struct {
        const char *name;
        unsigned to;
} states[PARTICIPANT_N_STATES] = {
        /* clang-format off */
        [PARTICIPANT_IS_DOWN] = { "down", TO(RECOVERING) },
        [PARTICIPANT_IS_RECOVERING] = { "recovering", TO(REAPPLYING) | TO(FREE) },
        [PARTICIPANT_IS_REAPPLYING] = { "reapplying", TO(PREPARED) | TO(COMMITTING) | TO(UNDOING) | TO(RECOVERING) | TO(FREE) | TO(REAPPLYING) },
        [PARTICIPANT_IS_FREE] = { "free", TO(BATCH) | TO(FENCING) | TO(OPENING) },
        [PARTICIPANT_IS_BATCH] = { "batch", TO(FREE) },
        [PARTICIPANT_IS_FENCING] = { "fencing", TO(FREE) },
        [PARTICIPANT_IS_OPENING] = { "opening", TO(RUNNING) | TO(UNDOING) | TO(FREE) },
        [PARTICIPANT_IS_ACTIVE] = { "active", TO(RUNNING) | TO(VOTING) | TO(COMMITTING) | TO(UNDOING) },
        [PARTICIPANT_IS_RUNNING] = { "running", TO(ACTIVE) | TO(UNDOING) | TO(FREE) },
        [PARTICIPANT_IS_VOTING] = { "voting", TO(ACTIVE) | TO(VOTED) | TO(PREPARED) | TO(UNDOING) | TO(FREE) },
        [PARTICIPANT_IS_VOTED] = { "voted", TO(COMMITTING) | TO(UNDOING) },
        [PARTICIPANT_IS_PREPARED] = { "prepared", TO(COMMITTING) | TO(UNDOING) },
        [PARTICIPANT_IS_COMMITTING] = { "committing", TO(FREE) | TO(RECOVERING) | TO(ACTIVE) | TO(UNDOING) | TO(REAPPLYING) },
        [PARTICIPANT_IS_UNDOING] = { "undoing", TO(FREE) | TO(RECOVERING) },
        /* clang-format on */
};

void participant_move(struct participant *p, enum participant_state to)
{
        assert(states[p->state].to & 1u << to);
        assert(!p->has_job);
        p->state = to;
}

/* ---------------------------------------------------------------- life */

static int64_t or_default(int64_t value, int64_t otherwise)
{
        return value ? value : otherwise;
}

struct participant *participant_new(const struct participant_options *o, struct txn_clock *clock,
                                    struct hlc *hlc, uint64_t first_incarnation)
{
        struct participant *p = xcalloc(1, sizeof *p);

        assert(first_incarnation);
        p->o = *o;
        p->o.idle_us = or_default(o->idle_us, INT64_MAX / 4);
        p->o.total_us = or_default(o->total_us, INT64_MAX / 4);
        p->o.ask_after_us = or_default(o->ask_after_us, 1000 * 1000);
        p->o.ask_every_us = or_default(o->ask_every_us, 1000 * 1000);
        p->o.sync_after_us = or_default(o->sync_after_us, 1000 * 1000);
        p->o.max_waiting = o->max_waiting ? o->max_waiting : 1000;
        p->o.max_redo = o->max_redo ? o->max_redo : 10000;
        p->clock = clock;
        p->hlc = hlc;
        p->next_incarnation = first_incarnation;
        p->sync_us = INT64_MAX;
        return p;
}

struct participant *participant_free(struct participant *p)
{
        if (!p)
                return NULL;
        free(p->redo);
        free(p->actions);
        free(p);
        return NULL;
}

bool participant_is_serving(const struct participant *p)
{
        return p->is_serving ||
               (p->state != PARTICIPANT_IS_DOWN && !txn_rule(TXN_RULE_ANSWERS_FIRST));
}

enum participant_state participant_state(const struct participant *p)
{
        return p->state;
}

const char *participant_state_name(enum participant_state state)
{
        return states[state].name;
}

const struct txn_age *participant_holder(const struct participant *p)
{
        return participant_has_holder(p) ? &p->hold.age : NULL;
}

/* ---------------------------------------------------------------- actions */

struct participant_action *participant_add_action(struct participant *p, enum participant_act act)
{
        if (p->n_actions == p->n_actions_allocated) {
                p->n_actions_allocated = p->n_actions_allocated ? 2 * p->n_actions_allocated : 8;
                p->actions = xrealloc(p->actions, p->n_actions_allocated * sizeof p->actions[0]);
        }
        p->actions[p->n_actions] = (struct participant_action){ .act = act };
        return &p->actions[p->n_actions++];
}

bool participant_next(struct participant *p, struct participant_action *ret_action)
{
        if (p->i_action == p->n_actions) {
                p->i_action = p->n_actions = 0;
                return false;
        }
        *ret_action = p->actions[p->i_action++];
        return true;
}

struct participant_action *participant_begin_job(struct participant *p, enum participant_act act,
                                                 enum participant_state state,
                                                 struct participant_request *r)
{
        struct participant_action *a;

        participant_move(p, state);
        p->has_job = true;
        p->hold.running = r;
        a = participant_add_action(p, act);
        a->request = r;
        if (participant_has_holder(p))
                a->age = p->hold.age;
        else if (r)
                a->age = r->age;
        return a;
}

void participant_answer(struct participant *p, struct participant_request *r,
                        enum txn_result result)
{
        r->result = result;
        r->prev = r->next = NULL;
        participant_add_action(p, PARTICIPANT_DO_ANSWER)->request = r;
}

void participant_look_again(struct participant *p, int64_t now_us)
{
        participant_add_action(p, PARTICIPANT_DO_LOOK_AGAIN);
        participant_judge_validations(p, now_us);
}

/* ---------------------------------------------------------------- requests */

static bool is_holders(const struct participant *p, const struct participant_request *r)
{
        return participant_has_holder(p) && txn_id_equal(&p->hold.age.id, &r->age.id);
}

/* It names an incarnation, and is counted. */
static bool is_counted(const struct participant_request *r)
{
        return r->kind == PARTICIPANT_EXECUTE || r->kind == PARTICIPANT_SAVEPOINT ||
               r->kind == PARTICIPANT_PREPARE ||
               (r->kind == PARTICIPANT_END && r->commit && !r->commit_ts);
}

static void enqueue(struct participant *p, struct participant_request *r, int64_t now_us)
{
        DL_APPEND(p->hold.queue, r);
        participant_continue(p, now_us);
}

static void look_up(struct participant *p, struct participant_request *r)
{
        struct participant_action *a = participant_add_action(p, PARTICIPANT_DO_LOOK_UP);

        a->request = r;
        a->age = r->age;
}

/* The gate takes the transaction for something else than it is. */
static void refuse_counted(struct participant *p, struct participant_request *r, int64_t now_us)
{
        struct participant_hold *h = &p->hold;
        bool is_same = r->incarnation == h->incarnation;

        if (r->kind == PARTICIPANT_PREPARE && is_same && r->n_statements + 1 == h->n_statements &&
            (p->state == PARTICIPANT_IS_PREPARED || p->state == PARTICIPANT_IS_VOTED)) {
                r->ret_incarnation = h->incarnation;
                r->ret_n_statements = h->n_statements;
                r->ret_commit_ts = h->vote;
                participant_answer(p, r, TXN_OK);
                return;
        }
        if (r->kind == PARTICIPANT_END && is_same) {
                if (p->state == PARTICIPANT_IS_COMMITTING) {
                        /* Most likely this very commit, repeated. */
                        enqueue(p, r, now_us);
                        return;
                }
                /* The answer is final, so it must be true. */
                h->is_doomed = true;
                r->ret_n_statements = h->n_statements;
                participant_answer(p, r, TXN_PARTICIPANT_LOST);
                participant_continue(p, now_us);
                return;
        }
        if (r->kind == PARTICIPANT_END) {
                /* What is here came back by a copy of its first request. What it was once may have
                 * been committed. */
                look_up(p, r);
                return;
        }
        r->ret_n_statements = h->n_statements;
        participant_answer(p, r, TXN_PARTICIPANT_LOST);
}

static bool is_as_expected(const struct participant *p, const struct participant_request *r)
{
        if (!txn_rule(TXN_RULE_INCARNATION))
                return true;
        if (r->incarnation != p->hold.incarnation)
                return false;
        return !txn_rule(TXN_RULE_COUNT) || r->n_statements == p->hold.n_statements;
}

/* FIND of the transaction that holds the writer. */
static void find_holder(struct participant *p, struct participant_request *r, int64_t now_us)
{
        if (p->state == PARTICIPANT_IS_COMMITTING && p->hold.is_lone) {
                enqueue(p, r, now_us);
        } else if (!r->fence || participant_find_redo(p, &r->age.id) ||
                   (p->state == PARTICIPANT_IS_VOTING && !p->hold.is_lone)) {
                participant_answer(p, r, TXN_UNDECIDED);
        } else {
                p->hold.is_doomed = true;
                DL_APPEND(p->fences, r);
                p->n_waiting++;
                participant_continue(p, now_us);
        }
}

static void dispatch_to_holder(struct participant *p, struct participant_request *r, int64_t now_us)
{
        if (is_counted(r)) {
                if (!is_as_expected(p, r)) {
                        refuse_counted(p, r, now_us);
                        return;
                }
                r->ret_incarnation = p->hold.incarnation;
                r->ret_n_statements = ++p->hold.n_statements;
        } else if (r->kind == PARTICIPANT_FIND) {
                find_holder(p, r, now_us);
                return;
        } else if (r->kind == PARTICIPANT_END && !r->commit) {
                p->hold.is_doomed = true;
        }
        enqueue(p, r, now_us);
}

/* Nothing is known of the transaction here, but that it may wait. */
static void dispatch_stranger(struct participant *p, struct participant_request *r, int64_t now_us)
{
        struct participant_request *w = participant_find_waiting(p, &r->age.id);

        switch (r->kind) {
        case PARTICIPANT_EXECUTE:
                if (!w && (!r->incarnation || !txn_rule(TXN_RULE_INCARNATION))) {
                        participant_wait_first(p, r, now_us);
                        return;
                }
                r->ret_n_statements = 1;
                participant_answer(p, r, TXN_PARTICIPANT_LOST);
                return;
        case PARTICIPANT_SAVEPOINT:
        case PARTICIPANT_PREPARE:
                r->ret_n_statements = 1;
                participant_answer(p, r, TXN_PARTICIPANT_LOST);
                return;
        case PARTICIPANT_VALIDATE:
                participant_validate(p, r, now_us);
                return;
        case PARTICIPANT_END:
                if (r->commit) {
                        look_up(p, r);
                        return;
                }
                if (w)
                        participant_stop_waiting(p, w, TXN_ROLLED_BACK);
                participant_answer(p, r, TXN_OK);
                return;
        case PARTICIPANT_FIND:
                if (r->fence) {
                        if (w)
                                participant_stop_waiting(p, w, TXN_FENCED);
                        participant_fence(p, r, now_us);
                } else if (w || p->clock->doubtful_ts) {
                        participant_answer(p, r, TXN_UNDECIDED);
                } else {
                        look_up(p, r);
                }
                return;
        }
}

void participant_dispatch(struct participant *p, struct participant_request *r, int64_t now_us)
{
        r->prev = r->next = NULL;
        r->ret_incarnation = r->ret_n_statements = 0;
        r->ret_last_ts = r->ret_commit_ts = 0;
        if (!p->is_serving) {
                r->ret_n_statements = 1;
                participant_answer(p, r, TXN_RECOVERING);
        } else if (is_holders(p, r) && r->kind != PARTICIPANT_VALIDATE) {
                dispatch_to_holder(p, r, now_us);
        } else {
                dispatch_stranger(p, r, now_us);
        }
}

void participant_request(struct participant *p, struct participant_request *r, int64_t now_us)
{
        participant_dispatch(p, r, now_us);
}

void participant_looked_up(struct participant *p, struct participant_request *r, bool failed,
                           bool applied, uint64_t applied_ts, int64_t now_us)
{
        bool is_lone_end = r->kind == PARTICIPANT_END && !r->commit_ts;

        if (failed) {
                /* What it asks for may have been done by an earlier copy of it. */
                participant_answer(p, r, is_lone_end ? TXN_IN_DOUBT : TXN_FAILED);
        } else if (applied && applied_ts) {
                r->ret_commit_ts = applied_ts;
                participant_answer(p, r, TXN_OK);
        } else if (applied) {
                participant_answer(p, r, is_lone_end ? TXN_FENCED : TXN_NOT_FOUND);
        } else if (p->clock->doubtful_ts && (is_lone_end || r->kind == PARTICIPANT_FIND)) {
                /* It may be what is in doubt, and come back. */
                participant_answer(p, r, is_lone_end ? TXN_IN_DOUBT : TXN_UNDECIDED);
        } else if (r->age.id.start <= p->horizon) {
                participant_answer(p, r, TXN_FORGOTTEN);
        } else {
                participant_answer(p, r, is_lone_end ? TXN_PARTICIPANT_LOST : TXN_NOT_FOUND);
        }
}

static bool remove_from(struct participant_request **list, const struct participant_request *r)
{
        struct participant_request *it;

        DL_FOREACH(*list, it)
        {
                if (it != r)
                        continue;
                DL_DELETE(*list, it);
                return true;
        }
        return false;
}

void participant_cancel(struct participant *p, const struct participant_request *r, int64_t now_us)
{
        struct participant_request *mine = (struct participant_request *)r;

        if (!remove_from(&p->waiting, r) && !remove_from(&p->fences, r) &&
            !remove_from(&p->validating, r))
                return;
        p->n_waiting--;
        mine->ret_n_statements = 0;
        participant_answer(p, mine, TXN_CANCELLED);
}

/* ---------------------------------------------------------------- streams and time */

static void drop_stream(struct participant *p, struct participant_request **list, uint64_t stream)
{
        struct participant_request *r, *tmp;

        DL_FOREACH_SAFE(*list, r, tmp)
        {
                if (r->stream != stream)
                        continue;
                DL_DELETE(*list, r);
                p->n_waiting--;
                participant_answer(p, r, TXN_CANCELLED);
        }
}

void participant_stream_lost(struct participant *p, uint64_t stream, int64_t now_us)
{
        struct participant_hold *h = &p->hold;

        drop_stream(p, &p->waiting, stream);
        drop_stream(p, &p->validating, stream);
        if (!participant_has_holder(p) || h->stream != stream)
                return;
        if (p->state == PARTICIPANT_IS_PREPARED)
                h->retry_us = now_us;
        else if (p->state != PARTICIPANT_IS_REAPPLYING && p->state != PARTICIPANT_IS_COMMITTING)
                h->is_doomed = true;
        participant_continue(p, now_us);
}

/* Topo: how does the holder end? */
void participant_ask(struct participant *p, int64_t now_us)
{
        struct participant_action *a = participant_add_action(p, PARTICIPANT_DO_ASK);

        a->age = p->hold.age;
        a->commit_ts = p->hold.vote;
        a->prepared_us = now_us - p->hold.prepared_us;
}

/* When the holder's time is up, or the writer's next turn is due; INT64_MAX: it is not limited. */
static int64_t hold_deadline(const struct participant *p)
{
        const struct participant_hold *h = &p->hold;
        int64_t idle = h->used_us + p->o.idle_us, total = h->begun_us + p->o.total_us;

        if (p->state == PARTICIPANT_IS_ACTIVE || p->state == PARTICIPANT_IS_VOTED)
                return idle < total ? idle : total;
        if (p->state == PARTICIPANT_IS_PREPARED ||
            (p->state == PARTICIPANT_IS_REAPPLYING && !p->has_job))
                return h->retry_us;
        if (p->state == PARTICIPANT_IS_FREE && p->clock->doubtful_ts && p->waiting)
                return p->doubt_us;
        return INT64_MAX;
}

int64_t participant_deadline(const struct participant *p)
{
        int64_t hold = hold_deadline(p), redo = participant_redo_deadline(p);

        return hold < redo ? hold : redo;
}

void participant_tick(struct participant *p, int64_t now_us)
{
        if (hold_deadline(p) <= now_us) {
                struct participant_hold *h = &p->hold;

                if (p->state == PARTICIPANT_IS_PREPARED) {
                        participant_ask(p, now_us);
                        h->retry_us = now_us + p->o.ask_every_us;
                } else if (p->state == PARTICIPANT_IS_FREE) {
                        participant_give_turn(p, now_us);
                } else if (p->state == PARTICIPANT_IS_REAPPLYING) {
                        participant_reapply(p, participant_find_redo(p, &h->age.id), now_us);
                } else {
                        h->is_doomed = true;
                        participant_continue(p, now_us);
                }
        }
        participant_redo_tick(p, now_us);
}
