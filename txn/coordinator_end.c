/* coordinator_end.c - how a transaction ends, as its gate sees it. */
#include "txn/coordinator_int.h"

#include <assert.h>

static struct coordinator_shard *at(struct coordinator *c, size_t shard)
{
        assert(shard < c->n_shards);
        return &c->shards[shard];
}

/* The only participant, or the first. */
static size_t first_participant(const struct coordinator *c)
{
        size_t i = 0;

        while (!c->shards[i].is_participant)
                i++;
        assert(i < c->n_shards);
        return i;
}

static bool is_lone(const struct coordinator *c)
{
        return coordinator_n_participants(c) == 1;
}

static bool all_done(const struct coordinator *c)
{
        for (size_t i = 0; i < c->n_shards; i++) {
                if (c->shards[i].owes || (c->shards[i].retry_us != INT64_MAX))
                        return false;
        }
        return true;
}

/* ---------------------------------------------------------------- telling */

static void tell(struct coordinator *c, enum coordinator_outcome outcome, enum txn_result result,
                 size_t shard)
{
        struct coordinator_action *a;

        if (!c->is_awaited)
                return;
        c->is_awaited = false;
        c->deadline_us = INT64_MAX;
        a = coordinator_add(c, COORDINATOR_TELL, shard);
        a->outcome = outcome;
        a->result = result;
        a->commit_ts = outcome == COORDINATOR_COMMITTED ? c->commit_ts : 0;
}

static void end(struct coordinator *c, enum coordinator_outcome outcome, enum txn_result result,
                size_t shard)
{
        c->outcome = outcome;
        c->result = result;
        c->result_shard = shard;
        coordinator_move(c, COORDINATOR_IS_ENDED);
        tell(c, outcome, result, shard);
        coordinator_add(c, COORDINATOR_ENDED, 0);
}

/* ---------------------------------------------------------------- not committing */

static void end_aborting(struct coordinator *c)
{
        if (!all_done(c))
                return;
        /* For those who ask topo because they did not hear of it. No answer is waited for. */
        if (c->has_prepared && c->is_lost)
                coordinator_add(c, COORDINATOR_DECIDE, 0);
        end(c, COORDINATOR_ABORTED, c->result, c->result_shard);
}

void coordinator_give_up(struct coordinator *c, enum txn_result result, size_t shard,
                         int64_t now_us)
{
        coordinator_move(c, COORDINATOR_IS_ABORTING);
        c->result = result;
        c->result_shard = shard;
        tell(c, COORDINATOR_ABORTED, result, shard);
        for (size_t i = 0; i < c->n_shards; i++) {
                if (!c->shards[i].is_participant)
                        continue;
                c->shards[i].owes = true;
                coordinator_add(c, COORDINATOR_SEND_END, i);
        }
        end_aborting(c);
}

void coordinator_abort(struct coordinator *c, enum txn_result reason, int64_t now_us)
{
        assert(c->state == COORDINATOR_IS_ACTIVE);
        c->is_awaited = true;
        coordinator_give_up(c, reason, 0, now_us);
}

/* It is as before the commit was tried. */
static void refuse(struct coordinator *c, enum txn_result result, size_t shard)
{
        coordinator_move(c, COORDINATOR_IS_ACTIVE);
        tell(c, COORDINATOR_REFUSED, result, shard);
}

/* ---------------------------------------------------------------- the last steps */

static void send_end(struct coordinator *c, size_t shard)
{
        struct coordinator_action *a = coordinator_add(c, COORDINATOR_SEND_END, shard);
        struct coordinator_shard *s = at(c, shard);

        s->owes = true;
        s->retry_us = INT64_MAX;
        a->commit = true;
        if (c->state == COORDINATOR_IS_COMMITTING) {
                a->commit_ts = c->commit_ts;
                return;
        }
        a->is_lone = true;
        a->min_ts = c->seen_ts;
        a->part =
            (struct coordinator_part){ .incarnation = s->incarnation, .n_statements = s->n_sent++ };
}

static void commit_one(struct coordinator *c)
{
        coordinator_move(c, COORDINATOR_IS_COMMITTING_ONE);
        send_end(c, first_participant(c));
}

static void commit_all(struct coordinator *c, uint64_t commit_ts)
{
        coordinator_move(c, COORDINATOR_IS_COMMITTING);
        c->commit_ts = commit_ts;
        for (size_t i = 0; i < c->n_shards; i++) {
                if (c->shards[i].is_participant)
                        send_end(c, i);
        }
}

static void send_decide(struct coordinator *c)
{
        struct coordinator_action *a = coordinator_add(c, COORDINATOR_DECIDE, 0);

        a->commit = true;
        a->commit_ts = c->commit_ts;
        c->decide_us = INT64_MAX;
}

/* Everybody agrees. */
static void decide(struct coordinator *c)
{
        if (is_lone(c)) {
                commit_one(c);
                return;
        }
        coordinator_move(c, COORDINATOR_IS_DECIDING);
        send_decide(c);
}

static void send_find(struct coordinator *c)
{
        size_t shard = first_participant(c);
        struct coordinator_shard *s = at(c, shard);

        s->owes = true;
        s->retry_us = INT64_MAX;
        coordinator_add(c, COORDINATOR_SEND_FIND, shard)->fence = is_lone(c);
}

/* c->result: what is told if it was not committed. */
static void find(struct coordinator *c)
{
        coordinator_move(c, COORDINATOR_IS_FINDING);
        send_find(c);
}

void coordinator_on_decided(struct coordinator *c, bool is_known, enum decision_answer answer,
                            uint64_t commit_ts, int64_t now_us)
{
        if (c->state != COORDINATOR_IS_DECIDING)
                return;
        if (!is_known && !txn_rule(TXN_RULE_ASK_BEFORE_TELL)) {
                coordinator_give_up(c, TXN_ROLLED_BACK, 0, now_us);
                return;
        }
        if (!is_known || answer == DECISION_TELL_UNDECIDED)
                c->decide_us = now_us + c->retry_us;
        else if (answer == DECISION_TELL_COMMITTED)
                commit_all(c, commit_ts);
        else if (answer == DECISION_TELL_ABORTED)
                coordinator_give_up(c, TXN_ROLLED_BACK, 0, now_us);
        else {
                c->result = TXN_ROLLED_BACK;
                find(c);
        }
}

void coordinator_on_found(struct coordinator *c, size_t shard, enum txn_result result,
                          uint64_t commit_ts, int64_t now_us)
{
        struct coordinator_shard *s = at(c, shard);

        if (c->state != COORDINATOR_IS_FINDING || !s->owes)
                return;
        s->owes = false;
        if (result == TXN_OK && is_lone(c)) {
                c->commit_ts = commit_ts;
                end(c, COORDINATOR_COMMITTED, TXN_OK, 0);
        } else if (result == TXN_OK) {
                commit_all(c, commit_ts);
        } else if (result == TXN_NOT_FOUND) {
                coordinator_give_up(c, c->result, shard, now_us);
        } else if (result == TXN_FORGOTTEN) {
                end(c, COORDINATOR_UNKNOWN, TXN_FORGOTTEN, shard);
        } else {
                s->retry_us = now_us + c->retry_us;
        }
}

/* ---------------------------------------------------------------- the end on a shard */

static void ended_one(struct coordinator *c, size_t shard, enum txn_result result,
                      uint64_t incarnation, uint64_t commit_ts, int64_t now_us)
{
        if (result == TXN_OK) {
                c->commit_ts = commit_ts;
                end(c, COORDINATOR_COMMITTED, TXN_OK, 0);
        } else if (result == TXN_FAILED && incarnation) {
                refuse(c, result, shard);
        } else if (txn_result_is_abort(result)) {
                coordinator_give_up(c, result, shard, now_us);
        } else if (!txn_rule(TXN_RULE_ASK_BEFORE_TELL)) {
                coordinator_give_up(c, TXN_ROLLED_BACK, shard, now_us);
        } else {
                /* A failure, too, tells only of this request, and not of what a copy of it may have
                 * done or may yet do. */
                c->result = result == TXN_FAILED ? TXN_FAILED : TXN_ROLLED_BACK;
                find(c);
        }
}

void coordinator_on_ended(struct coordinator *c, size_t shard, enum txn_result result,
                          uint64_t incarnation, uint64_t commit_ts, int64_t now_us)
{
        struct coordinator_shard *s = at(c, shard);

        if (!s->owes)
                return;
        switch (c->state) {
        case COORDINATOR_IS_ABORTING:
                s->owes = false;
                if (result)
                        c->is_lost = true;
                end_aborting(c);
                return;
        case COORDINATOR_IS_COMMITTING_ONE:
                s->owes = false;
                ended_one(c, shard, result, incarnation, commit_ts, now_us);
                return;
        case COORDINATOR_IS_COMMITTING:
                s->owes = false;
                /* It has prepared, and the decision is known: if it knows nothing of it any more,
                 * it has committed it, and all is durable and told. */
                if (result && result != TXN_NOT_FOUND && result != TXN_FORGOTTEN)
                        s->retry_us = now_us + c->retry_us;
                else if (all_done(c))
                        end(c, COORDINATOR_COMMITTED, TXN_OK, 0);
                return;
        default:
                return;
        }
}

/* ---------------------------------------------------------------- preparing */

static bool needs_validation(const struct coordinator *c, const struct coordinator_shard *s)
{
        if (!s->has_pin || s->is_participant)
                return false;
        if (s->is_validated_always)
                return true;
        return c->isolation == COORDINATOR_SERIALIZABLE &&
               (txn_rule(TXN_RULE_VALIDATE_LONE) || !is_lone(c));
}

static bool validates(const struct coordinator *c)
{
        for (size_t i = 0; i < c->n_shards; i++) {
                if (needs_validation(c, &c->shards[i]))
                        return true;
        }
        return false;
}

/* All votes are known. */
static void validate(struct coordinator *c)
{
        if (!validates(c)) {
                decide(c);
                return;
        }
        coordinator_move(c, COORDINATOR_IS_VALIDATING);
        for (size_t i = 0; i < c->n_shards; i++) {
                struct coordinator_shard *s = &c->shards[i];
                struct coordinator_action *a;

                if (!needs_validation(c, s))
                        continue;
                s->owes = true;
                a = coordinator_add(c, COORDINATOR_SEND_VALIDATE, i);
                a->c = s->pin_c;
                a->commit_ts = txn_rule(TXN_RULE_VALIDATE_TO_END) ? c->commit_ts : s->pin_e;
        }
}

void coordinator_on_validated(struct coordinator *c, size_t shard, enum txn_result result,
                              int64_t now_us)
{
        struct coordinator_shard *s = at(c, shard);

        if (c->state != COORDINATOR_IS_VALIDATING || !s->owes)
                return;
        s->owes = false;
        if (result)
                coordinator_give_up(c, result, shard, now_us);
        else if (all_done(c))
                decide(c);
}

void coordinator_on_prepared(struct coordinator *c, size_t shard, enum txn_result result,
                             uint64_t incarnation, uint64_t vote, int64_t now_us)
{
        struct coordinator_shard *s = at(c, shard);

        if (c->state != COORDINATOR_IS_PREPARING || !s->owes)
                return;
        s->owes = false;
        if (result == TXN_FAILED && incarnation && is_lone(c)) {
                refuse(c, result, shard);
                return;
        }
        if (result) {
                coordinator_give_up(c, result, shard, now_us);
                return;
        }
        if (vote > c->commit_ts && (txn_rule(TXN_RULE_LARGEST_VOTE) || !c->commit_ts))
                c->commit_ts = vote;
        if (all_done(c))
                validate(c);
}

static void prepare(struct coordinator *c)
{
        bool lone = is_lone(c);

        coordinator_move(c, COORDINATOR_IS_PREPARING);
        c->has_prepared = !lone;
        c->commit_ts = 0;
        for (size_t i = 0; i < c->n_shards; i++) {
                struct coordinator_shard *s = &c->shards[i];
                struct coordinator_action *a;

                if (!s->is_participant)
                        continue;
                s->owes = true;
                a = coordinator_add(c, COORDINATOR_SEND_PREPARE, i);
                a->part = (struct coordinator_part){ .incarnation = s->incarnation,
                                                     .n_statements = s->n_sent++ };
                a->min_ts = c->seen_ts;
                a->is_lone = lone;
        }
}

static void begin_commit(struct coordinator *c, int64_t now_us)
{
        size_t n = coordinator_n_participants(c);

        if (c->doom) {
                coordinator_give_up(c, c->doom, c->doom_shard, now_us);
        } else if (!n) {
                c->commit_ts = 0;
                end(c, COORDINATOR_COMMITTED, TXN_OK, 0);
        } else if (n == 1 && !validates(c)) {
                commit_one(c);
        } else {
                prepare(c);
        }
}

void coordinator_commit(struct coordinator *c, int64_t now_us, int64_t deadline_us)
{
        c->is_awaited = true;
        c->deadline_us = deadline_us;
        if (c->state == COORDINATOR_IS_ACTIVE)
                begin_commit(c, now_us);
        else if (c->state == COORDINATOR_IS_ENDED)
                tell(c, c->outcome, c->result, c->result_shard);
        else if (c->state == COORDINATOR_IS_ABORTING)
                tell(c, COORDINATOR_ABORTED, c->result, c->result_shard);
}

/* ---------------------------------------------------------------- time */

int64_t coordinator_deadline(const struct coordinator *c)
{
        int64_t deadline = c->is_awaited ? c->deadline_us : INT64_MAX;

        if (c->state == COORDINATOR_IS_DECIDING && c->decide_us < deadline)
                deadline = c->decide_us;
        for (size_t i = 0; i < c->n_shards; i++) {
                if (c->shards[i].retry_us < deadline)
                        deadline = c->shards[i].retry_us;
        }
        return deadline;
}

void coordinator_tick(struct coordinator *c, int64_t now_us)
{
        if (c->is_awaited && c->deadline_us <= now_us) {
                if (c->state == COORDINATOR_IS_PREPARING || c->state == COORDINATOR_IS_VALIDATING)
                        coordinator_give_up(c, TXN_CANCELLED, 0, now_us);
                else
                        tell(c, COORDINATOR_UNKNOWN, TXN_NO_ANSWER, 0);
        }
        if (c->state == COORDINATOR_IS_DECIDING && c->decide_us <= now_us)
                send_decide(c);
        for (size_t i = 0; i < c->n_shards; i++) {
                if (c->shards[i].retry_us > now_us)
                        continue;
                if (c->state == COORDINATOR_IS_FINDING)
                        send_find(c);
                else
                        send_end(c, i);
        }
}
