/* participant_redo.c - what is in the redo log for a shard: putting it back after a start, asking
 * topo about it, and letting it go. */
#include "txn/participant_int.h"

#include <assert.h>

#include "common/util.h"

struct participant_redo *participant_find_redo(struct participant *p, const struct txn_id *id)
{
        for (size_t i = p->n_redo; i-- > 0;) {
                if (txn_id_equal(&p->redo[i].age.id, id))
                        return &p->redo[i];
        }
        return NULL;
}

static struct participant_redo *add(struct participant *p, const struct participant_redo *e)
{
        if (p->n_redo == p->n_redo_allocated) {
                p->n_redo_allocated = p->n_redo_allocated ? 2 * p->n_redo_allocated : 8;
                p->redo = xrealloc(p->redo, p->n_redo_allocated * sizeof p->redo[0]);
        }
        p->redo[p->n_redo] = *e;
        p->n_unsettled += e->state != PARTICIPANT_REDO_ENDED;
        return &p->redo[p->n_redo++];
}

void participant_add_redo(struct participant *p, uint64_t position)
{
        assert(!p->n_redo || position > p->redo[p->n_redo - 1].position);
        add(p, &(struct participant_redo){
                   .age = p->hold.age, .vote = p->hold.vote, .position = position });
}

void participant_end_redo(struct participant *p, struct participant_redo *e)
{
        if (e->state != PARTICIPANT_REDO_ENDED)
                p->n_unsettled--;
        e->state = PARTICIPANT_REDO_ENDED;
}

static void note_commit(struct participant *p, struct participant_redo *e, int64_t now_us)
{
        e->state = PARTICIPANT_REDO_COMMITTED;
        e->seq = ++p->seq;
        if (p->sync_us == INT64_MAX)
                p->sync_us = now_us + p->o.sync_after_us;
}

void participant_note_commit(struct participant *p, int64_t now_us)
{
        note_commit(p, participant_find_redo(p, &p->hold.age.id), now_us);
        if (!txn_rule(TXN_RULE_REPORT_SYNCED))
                participant_note_sync(p, p->seq, now_us);
}

static void report(struct participant *p, struct participant_redo *e, int64_t now_us)
{
        struct participant_action *a = participant_add_action(p, PARTICIPANT_DO_REPORT);

        a->age = e->age;
        e->told_us = now_us;
}

void participant_note_sync(struct participant *p, uint64_t seq, int64_t now_us)
{
        bool is_all = true;

        for (size_t i = 0; i < p->n_redo; i++) {
                struct participant_redo *e = &p->redo[i];

                if (e->state != PARTICIPANT_REDO_COMMITTED)
                        continue;
                if (e->seq > seq) {
                        is_all = false;
                        continue;
                }
                e->state = PARTICIPANT_REDO_DURABLE;
                report(p, e, now_us);
        }
        if (is_all)
                p->sync_us = INT64_MAX;
}

void participant_synced(struct participant *p, uint64_t seq, int64_t now_us)
{
        participant_note_sync(p, seq, now_us);
}

void participant_reported(struct participant *p, const struct txn_id *id, int64_t now_us)
{
        struct participant_redo *e = participant_find_redo(p, id);

        if (e && e->state == PARTICIPANT_REDO_DURABLE)
                participant_end_redo(p, e);
}

/* ---------------------------------------------------------------- after a start */

void participant_recover(struct participant *p, const struct participant_redo *redo, size_t n_redo,
                         uint64_t horizon, int64_t now_us)
{
        assert(p->state == PARTICIPANT_IS_DOWN);
        p->horizon = horizon;
        participant_move(p, PARTICIPANT_IS_RECOVERING);
        for (size_t i = 0; i < n_redo; i++) {
                struct participant_redo *e = add(p, &redo[i]);

                e->told_us = now_us;
                if (e->state == PARTICIPANT_REDO_COMMITTED)
                        note_commit(p, e, now_us);
        }
        participant_note_sync(p, p->seq, now_us);
        participant_recover_next(p, now_us);
}

/* The first that is to be put back or dropped; NULL: none. */
static struct participant_redo *first_prepared(struct participant *p)
{
        for (size_t i = 0; i < p->n_redo; i++) {
                if (p->redo[i].state == PARTICIPANT_REDO_PREPARED)
                        return &p->redo[i];
        }
        return NULL;
}

static bool is_last(const struct participant *p, const struct participant_redo *e)
{
        return e == &p->redo[p->n_redo - 1];
}

static void ask_abort(struct participant *p, struct participant_redo *e, int64_t now_us)
{
        struct participant_action *a = participant_add_action(p, PARTICIPANT_DO_ASK);

        a->age = e->age;
        a->commit_ts = e->vote;
        a->is_holder_abort = true;
        e->told_us = now_us;
}

static void serve(struct participant *p, int64_t now_us)
{
        p->is_serving = true;
        participant_look_again(p, now_us);
}

void participant_recover_next(struct participant *p, int64_t now_us)
{
        struct participant_redo *e = first_prepared(p);

        if (!e) {
                participant_move(p, PARTICIPANT_IS_FREE);
                serve(p, now_us);
                participant_give_turn(p, now_us);
        } else if (is_last(p, e)) {
                participant_reapply(p, e, now_us);
        } else {
                /* Another one held the writer after it, so it has ended; if not by a commit, which
                 * topo knows, then it was undone. */
                ask_abort(p, e, now_us);
        }
}

void participant_reapply(struct participant *p, struct participant_redo *e, int64_t now_us)
{
        struct participant_hold *h = &p->hold;
        struct participant_action *a;

        if (p->state == PARTICIPANT_IS_RECOVERING) {
                *h = (struct participant_hold){
                        .age = e->age,
                        .incarnation = p->next_incarnation++,
                        .is_decided = h->is_decided,
                        .is_commit = h->is_commit,
                        .commit_ts = h->commit_ts,
                        .vote = e->vote,
                        .has_vote = txn_rule(TXN_RULE_VOTE_IN_REDO),
                        .begun_us = now_us,
                        .prepared_us = now_us,
                };
                if (h->has_vote)
                        txn_clock_restore(p->clock, e->vote, &e->age);
        }
        a = participant_begin_job(p, PARTICIPANT_DO_REAPPLY, PARTICIPANT_IS_REAPPLYING, NULL);
        a->commit_ts = e->vote;
        a->position = e->position;
}

void participant_reapplied(struct participant *p, const struct participant_outcome *o,
                           int64_t now_us)
{
        struct participant_hold *h = &p->hold;

        h->retry_us = now_us + p->o.ask_every_us;
        if (o->result) {
                /* It may not even fit any more, because it was undone before. */
                if (!h->is_decided)
                        participant_ask(p, now_us);
                participant_continue(p, now_us);
                return;
        }
        if (h->is_decided && h->is_commit) {
                participant_commit_decided(p, now_us);
                return;
        }
        participant_move(p, PARTICIPANT_IS_PREPARED);
        h->retry_us = now_us;
        participant_continue(p, now_us);
}

void participant_undecided(struct participant *p, const struct txn_id *id, int64_t now_us)
{
        /* What is still to be committed was told to nobody: what is served now is not stale. */
        if (!p->is_serving && p->state == PARTICIPANT_IS_PREPARED &&
            txn_id_equal(&p->hold.age.id, id))
                serve(p, now_us);
}

static void alarm(struct participant *p, const struct txn_id *id, const char *text)
{
        struct participant_action *a = participant_add_action(p, PARTICIPANT_DO_ALARM);

        a->age.id = *id;
        a->text = text;
}

void participant_decided(struct participant *p, const struct txn_id *id, bool is_commit,
                         uint64_t commit_ts, int64_t now_us)
{
        struct participant_redo *e = participant_find_redo(p, id);
        struct participant_hold *h = &p->hold;
        bool is_holder;

        if (!e || e->state != PARTICIPANT_REDO_PREPARED)
                return;
        if (is_commit && commit_ts < e->vote) {
                alarm(p, id, "topo's timestamp is below the vote");
                return;
        }
        is_holder = participant_has_holder(p) && txn_id_equal(&h->age.id, id);
        if (is_holder) {
                if (h->is_decided || p->state == PARTICIPANT_IS_UNDOING)
                        return;
                h->is_decided = true;
                h->is_commit = is_commit;
                h->commit_ts = commit_ts;
                participant_continue(p, now_us);
        } else if (p->state == PARTICIPANT_IS_RECOVERING && e == first_prepared(p)) {
                if (is_commit) {
                        h->is_decided = h->is_commit = true;
                        h->commit_ts = commit_ts;
                        participant_reapply(p, e, now_us);
                } else {
                        participant_end_redo(p, e);
                        participant_recover_next(p, now_us);
                }
        }
}

/* ---------------------------------------------------------------- time */

int64_t participant_redo_deadline(const struct participant *p)
{
        int64_t deadline = p->sync_us;
        bool is_first = true;

        for (size_t i = 0; i < p->n_redo; i++) {
                const struct participant_redo *e = &p->redo[i];
                bool is_due = e->state == PARTICIPANT_REDO_DURABLE;

                /* Of those that are to be decided before the shard serves, one after the other. */
                if (e->state == PARTICIPANT_REDO_PREPARED && is_first) {
                        is_due = p->state == PARTICIPANT_IS_RECOVERING;
                        is_first = false;
                }
                if (is_due && e->told_us + p->o.ask_every_us < deadline)
                        deadline = e->told_us + p->o.ask_every_us;
        }
        return deadline;
}

void participant_redo_tick(struct participant *p, int64_t now_us)
{
        struct participant_redo *e = first_prepared(p);

        if (p->sync_us <= now_us) {
                p->sync_us = now_us + p->o.ask_every_us;
                participant_add_action(p, PARTICIPANT_DO_SYNC)->seq = p->seq;
        }
        if (e && p->state == PARTICIPANT_IS_RECOVERING && e->told_us + p->o.ask_every_us <= now_us)
                ask_abort(p, e, now_us);
        for (size_t i = 0; i < p->n_redo; i++) {
                e = &p->redo[i];
                if (e->state == PARTICIPANT_REDO_DURABLE &&
                    e->told_us + p->o.ask_every_us <= now_us)
                        report(p, e, now_us);
        }
}

/* ---------------------------------------------------------------- what may go */

uint64_t participant_redo_needed(const struct participant *p)
{
        for (size_t i = 0; i < p->n_redo; i++) {
                enum participant_redo_state state = p->redo[i].state;

                if (state == PARTICIPANT_REDO_PREPARED ||
                    (state != PARTICIPANT_REDO_ENDED && txn_rule(TXN_RULE_REDO_KEPT)))
                        return p->redo[i].position;
        }
        return UINT64_MAX;
}

void participant_redo_cut(struct participant *p, uint64_t position)
{
        size_t n = 0;

        for (size_t i = 0; i < p->n_redo; i++) {
                if (p->redo[i].position >= position || p->redo[i].state != PARTICIPANT_REDO_ENDED)
                        p->redo[n++] = p->redo[i];
        }
        p->n_redo = n;
}

uint64_t participant_horizon(const struct participant *p, uint64_t wanted)
{
        if (!p->is_serving)
                return p->horizon;
        if (participant_has_holder(p) && wanted >= p->hold.age.id.start)
                wanted = p->hold.age.id.start - 1;
        for (size_t i = 0; i < p->n_redo && txn_rule(TXN_RULE_ROW_AFTER_REDO); i++) {
                if (wanted >= p->redo[i].age.id.start)
                        wanted = p->redo[i].age.id.start - 1;
        }
        return wanted > p->horizon ? wanted : p->horizon;
}

void participant_trimmed(struct participant *p, uint64_t horizon)
{
        if (horizon > p->horizon)
                p->horizon = horizon;
}
