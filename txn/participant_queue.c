/* participant_queue.c - who gets the writer next: transactions, fences and batches of autocommit
 * writes. */
#include "txn/participant_int.h"

#include <utlist.h>

#include "common/util.h"

struct participant_request *participant_find_waiting(struct participant *p, const struct txn_id *id)
{
        struct participant_request *r;

        DL_FOREACH(p->waiting, r)
        {
                if (txn_id_equal(&r->age.id, id))
                        return r;
        }
        return NULL;
}

void participant_stop_waiting(struct participant *p, struct participant_request *r,
                              enum txn_result result)
{
        DL_DELETE(p->waiting, r);
        p->n_waiting--;
        r->ret_n_statements = 1;
        participant_answer(p, r, result);
}

enum txn_result participant_check_first(const struct participant *p,
                                        const struct participant_request *r, uint64_t last_ts)
{
        if (r->age.id.start <= p->horizon)
                return TXN_TOO_OLD;
        if (txn_rule(TXN_RULE_EXPECT_C) && r->expect_c && last_ts != r->expect_c)
                return TXN_WRITE_CONFLICT;
        if (txn_rule(TXN_RULE_MAX_C) && r->max_c && last_ts > r->max_c)
                return TXN_WRITE_CONFLICT;
        return TXN_OK;
}

/* As far as is known before the write transaction is open. */
static enum txn_result check_early(const struct participant *p, const struct participant_request *r)
{
        if (p->clock->doubtful_ts)
                return TXN_OK;
        return participant_check_first(p, r, p->clock->last_ts);
}

/* The one that would be served next; everybody in the queue is older than the holder. */
static bool may_wait(const struct participant *p, const struct participant_request *r)
{
        if (!txn_rule(TXN_RULE_WAIT_DIE))
                return true;
        if (participant_has_holder(p))
                return txn_is_older(&r->age, &p->hold.age);
        return !p->waiting || txn_is_older(&r->age, &p->waiting->age);
}

void participant_wait_first(struct participant *p, struct participant_request *r, int64_t now_us)
{
        struct participant_request *after = NULL, *it;
        enum txn_result result = check_early(p, r);

        if (!result && !may_wait(p, r))
                result = TXN_WRITE_CONFLICT;
        if (!result && p->n_waiting >= p->o.max_waiting)
                result = TXN_TOO_MANY;
        if (result) {
                r->ret_n_statements = 1;
                participant_answer(p, r, result);
                return;
        }
        DL_FOREACH(p->waiting, it)
        {
                if (!txn_is_older(&it->age, &r->age))
                        after = it;
        }
        if (after)
                DL_APPEND_ELEM(p->waiting, after, r);
        else
                DL_PREPEND(p->waiting, r);
        p->n_waiting++;
        participant_give_turn(p, now_us);
}

void participant_fence(struct participant *p, struct participant_request *r, int64_t now_us)
{
        if (p->n_waiting >= p->o.max_waiting) {
                participant_answer(p, r, TXN_TOO_MANY);
                return;
        }
        DL_APPEND(p->fences, r);
        p->n_waiting++;
        participant_give_turn(p, now_us);
}

void participant_want_batch(struct participant *p, int64_t now_us)
{
        p->wants_batch = true;
        participant_give_turn(p, now_us);
}

/* ---------------------------------------------------------------- turns */

static void open(struct participant *p, struct participant_request *r, int64_t now_us)
{
        p->hold = (struct participant_hold){
                .age = r->age,
                .stream = r->stream,
                .incarnation = p->next_incarnation,
                .n_statements = 1,
                .begun_us = now_us,
                .used_us = now_us,
        };
        if (!++p->next_incarnation)
                p->next_incarnation = 1;
        participant_begin_job(p, PARTICIPANT_DO_OPEN, PARTICIPANT_IS_OPENING, r);
}

/* The next transaction that still can have the writer; false: there is none. */
static bool open_next(struct participant *p, int64_t now_us)
{
        struct participant_request *r;

        while ((r = p->waiting)) {
                enum txn_result result = check_early(p, r);

                if (result) {
                        participant_stop_waiting(p, r, result);
                        continue;
                }
                DL_DELETE(p->waiting, r);
                p->n_waiting--;
                open(p, r, now_us);
                return true;
        }
        return false;
}

void participant_give_turn(struct participant *p, int64_t now_us)
{
        struct participant_request *r = p->fences;

        if (p->state != PARTICIPANT_IS_FREE)
                return;
        if (r) {
                DL_DELETE(p->fences, r);
                p->n_waiting--;
                r->prev = r->next = NULL;
                participant_begin_job(p, PARTICIPANT_DO_FENCE, PARTICIPANT_IS_FENCING, r);
                return;
        }
        if (p->clock->doubtful_ts) {
                /* What is in doubt may yet come back, and a transaction that has prepared without
                 * having seen it would be put back on top of it: so another commit comes first. */
                if (p->waiting && p->doubt_us <= now_us)
                        p->wants_batch = true;
                p->was_batch = false;
        }
        if (!(p->wants_batch && !p->was_batch) && !p->clock->doubtful_ts && open_next(p, now_us)) {
                p->was_batch = false;
        } else if (p->wants_batch) {
                p->wants_batch = false;
                p->was_batch = true;
                participant_begin_job(p, PARTICIPANT_DO_BATCH, PARTICIPANT_IS_BATCH, NULL);
        }
}
