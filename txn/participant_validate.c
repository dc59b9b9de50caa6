/* participant_validate.c - SERIALIZABLE: what a transaction has read on a shard that it did not
 * write to stays as it was up to the commit's timestamp. And the floor, which that and pins raise.
 */
#include "txn/participant_int.h"

#include <utlist.h>

void participant_raise_floor(struct participant *p, uint64_t ts, int64_t now_us)
{
        if (p->clock->doubtful_ts) {
                /* It goes when another commit follows. */
                participant_want_batch(p, now_us);
        }
        if (ts <= p->clock->floor_durable || ts <= p->floor_asked)
                return;
        p->floor_asked = ts;
        participant_add_action(p, PARTICIPANT_DO_RAISE_FLOOR)->commit_ts = ts;
}

void participant_want_floor(struct participant *p, uint64_t ts, int64_t now_us)
{
        if (p->is_serving)
                participant_raise_floor(p, ts, now_us);
}

void participant_floor_raised(struct participant *p, uint64_t floor_durable, uint64_t raise,
                              int64_t now_us)
{
        txn_clock_promised(p->clock, floor_durable, raise);
        if (floor_durable >= p->floor_asked)
                p->floor_asked = 0;
        participant_look_again(p, now_us);
}

/* TXN_UNDECIDED: it has to wait. */
static enum txn_result judge(struct participant *p, const struct participant_request *r)
{
        uint64_t pending;
        bool is_settled =
            txn_rule(TXN_RULE_VALIDATE_FLOOR) && txn_clock_settle(p->clock, r->commit_ts);

        if (p->clock->last_ts != r->c)
                return TXN_READ_CONFLICT;
        if (is_settled)
                return TXN_OK;
        pending = txn_clock_pending(p->clock);
        if (!pending || pending > r->commit_ts)
                return txn_rule(TXN_RULE_VALIDATE_FLOOR) ? TXN_UNDECIDED : TXN_OK;
        if (!txn_rule(TXN_RULE_VALIDATE_PENDING))
                return TXN_OK;
        /* A vote, and not a batch or what is in doubt, which end by themselves. */
        if (pending == p->clock->pending_ts && !txn_id_is_none(&p->clock->pending.id) &&
            txn_is_older(&p->clock->pending, &r->age))
                return TXN_READ_CONFLICT;
        return TXN_UNDECIDED;
}

void participant_validate(struct participant *p, struct participant_request *r, int64_t now_us)
{
        enum txn_result result = judge(p, r);

        if (result == TXN_UNDECIDED && p->n_waiting >= p->o.max_waiting)
                result = TXN_TOO_MANY;
        if (result != TXN_UNDECIDED) {
                participant_answer(p, r, result);
                return;
        }
        DL_APPEND(p->validating, r);
        p->n_waiting++;
        participant_raise_floor(p, r->commit_ts, now_us);
}

void participant_judge_validations(struct participant *p, int64_t now_us)
{
        struct participant_request *r, *tmp;

        DL_FOREACH_SAFE(p->validating, r, tmp)
        {
                enum txn_result result = judge(p, r);

                if (result == TXN_UNDECIDED) {
                        participant_raise_floor(p, r->commit_ts, now_us);
                        continue;
                }
                DL_DELETE(p->validating, r);
                p->n_waiting--;
                participant_answer(p, r, result);
        }
}
