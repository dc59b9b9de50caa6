/* coordinator.c - a gate's side of a transaction: its states, what it has read and where it has
 * written. */
#include "txn/coordinator_int.h"

#include <assert.h>
#include <stdlib.h>

#include "common/util.h"

/* What is true in each state:
 *
 * ACTIVE          Requests are run. Nothing was prepared. If it is doomed it can only be aborted.
 * PREPARING       All participants were asked to prepare (the only one: to vote); some may have.
 *                 Nothing was decided, and until DECIDING nothing can be but "aborted".
 * VALIDATING      All votes are known, and so the commit's timestamp. What was read is being
 * checked. DECIDING        Topo was asked to commit it. Whether it is committed is not known here.
 * FINDING         Whether it is committed is not known here, and topo cannot tell: a participant is
 *                 asked, the only one with the wish that it never commits if it has not.
 * COMMITTING      It is committed. Participants are told, until each has answered.
 * COMMITTING_ONE  The only participant was asked to commit. Whether it is committed is not known.
 * ABORTING        It is not, and never will be. Participants are told, once.
 * ENDED           The outcome is known, or never will be; nothing is left to do. */
#define TO(state) (1u << COORDINATOR_IS_##state)

static const struct {
        const char *name;
        unsigned to;
} states[COORDINATOR_N_STATES] = {
        /* clang-format off */
        [COORDINATOR_IS_ACTIVE] = { "active", TO(PREPARING) | TO(COMMITTING_ONE) | TO(ABORTING) | TO(ENDED) },
        [COORDINATOR_IS_PREPARING] = { "preparing", TO(ACTIVE) | TO(VALIDATING) | TO(DECIDING) | TO(COMMITTING_ONE) | TO(ABORTING) },
        [COORDINATOR_IS_VALIDATING] = { "validating", TO(DECIDING) | TO(COMMITTING_ONE) | TO(ABORTING) },
        [COORDINATOR_IS_DECIDING] = { "deciding", TO(FINDING) | TO(COMMITTING) | TO(ABORTING) },
        [COORDINATOR_IS_COMMITTING] = { "committing", TO(ENDED) },
        [COORDINATOR_IS_COMMITTING_ONE] = { "committing_one", TO(ACTIVE) | TO(FINDING) | TO(ABORTING) | TO(ENDED) },
        [COORDINATOR_IS_FINDING] = { "finding", TO(COMMITTING) | TO(ABORTING) | TO(ENDED) },
        [COORDINATOR_IS_ABORTING] = { "aborting", TO(ENDED) },
        [COORDINATOR_IS_ENDED] = { "ended", 0 },
        /* clang-format on */
};

void coordinator_move(struct coordinator *c, enum coordinator_state to)
{
        assert(states[c->state].to & 1u << to);
        c->state = to;
        for (size_t i = 0; i < c->n_shards; i++) {
                c->shards[i].owes = c->shards[i].is_done = false;
                c->shards[i].retry_us = INT64_MAX;
        }
}

/* ---------------------------------------------------------------- life */

struct coordinator *coordinator_new(const struct coordinator_options *o, const struct txn_age *age,
                                    enum coordinator_isolation isolation, uint64_t session_ts)
{
        struct coordinator *c = xcalloc(1, sizeof *c);

        c->retry_us = o->retry_us ? o->retry_us : 100 * 1000;
        c->age = *age;
        c->isolation = isolation;
        c->seen_ts = txn_rule(TXN_RULE_SESSION) ? session_ts : 0;
        c->deadline_us = c->decide_us = INT64_MAX;
        return c;
}

struct coordinator *coordinator_free(struct coordinator *c)
{
        if (!c)
                return NULL;
        free(c->shards);
        free(c->actions);
        free(c);
        return NULL;
}

enum coordinator_state coordinator_state(const struct coordinator *c)
{
        return c->state;
}

const char *coordinator_state_name(enum coordinator_state state)
{
        return states[state].name;
}

bool coordinator_may_decide(const struct coordinator *c)
{
        return c->state < COORDINATOR_IS_COMMITTING || c->state == COORDINATOR_IS_FINDING;
}

enum txn_result coordinator_doom(const struct coordinator *c)
{
        return c->doom;
}

struct coordinator_action *coordinator_add(struct coordinator *c, enum coordinator_act act,
                                           size_t shard)
{
        if (c->n_actions == c->n_actions_allocated) {
                c->n_actions_allocated = c->n_actions_allocated ? 2 * c->n_actions_allocated : 8;
                c->actions = xrealloc(c->actions, c->n_actions_allocated * sizeof c->actions[0]);
        }
        c->actions[c->n_actions] = (struct coordinator_action){ .act = act, .shard = shard };
        return &c->actions[c->n_actions++];
}

bool coordinator_next(struct coordinator *c, struct coordinator_action *ret_action)
{
        if (c->i_action == c->n_actions) {
                c->i_action = c->n_actions = 0;
                return false;
        }
        *ret_action = c->actions[c->i_action++];
        return true;
}

/* ---------------------------------------------------------------- shards */

size_t coordinator_shard(struct coordinator *c, uint64_t key)
{
        for (size_t i = 0; i < c->n_shards; i++) {
                if (c->shards[i].key == key)
                        return i;
        }
        if (c->n_shards == c->n_allocated) {
                c->n_allocated = c->n_allocated ? 2 * c->n_allocated : 8;
                c->shards = xrealloc(c->shards, c->n_allocated * sizeof c->shards[0]);
        }
        c->shards[c->n_shards] = (struct coordinator_shard){ .key = key, .retry_us = INT64_MAX };
        return c->n_shards++;
}

size_t coordinator_n_shards(const struct coordinator *c)
{
        return c->n_shards;
}

static struct coordinator_shard *at(const struct coordinator *c, size_t shard)
{
        assert(shard < c->n_shards);
        return &c->shards[shard];
}

uint64_t coordinator_shard_key(const struct coordinator *c, size_t shard)
{
        return at(c, shard)->key;
}

bool coordinator_is_participant(const struct coordinator *c, size_t shard)
{
        return at(c, shard)->is_participant;
}

size_t coordinator_n_participants(const struct coordinator *c)
{
        size_t n = 0;

        for (size_t i = 0; i < c->n_shards; i++)
                n += c->shards[i].is_participant;
        return n;
}

/* ---------------------------------------------------------------- reading */

void coordinator_on_seen(struct coordinator *c, uint64_t ts)
{
        if (ts > c->seen_ts)
                c->seen_ts = ts;
}

void coordinator_seen(const struct coordinator *c, uint64_t *ret_c, uint64_t *ret_e)
{
        uint64_t e = UINT64_MAX;

        for (size_t i = 0; i < c->n_shards && c->isolation != COORDINATOR_READ_COMMITTED; i++) {
                const struct coordinator_shard *s = &c->shards[i];

                /* While it holds the writer nobody else commits there. */
                if (s->has_pin && !s->is_participant && s->pin_e < e)
                        e = s->pin_e;
        }
        *ret_c = c->seen_ts;
        *ret_e = e;
}

void coordinator_on_pin(struct coordinator *c, size_t shard, uint64_t pin_c, uint64_t pin_e,
                        bool validate)
{
        struct coordinator_shard *s = at(c, shard);

        coordinator_on_seen(c, pin_c);
        if (!s->has_pin || c->isolation == COORDINATOR_READ_COMMITTED) {
                s->has_pin = true;
                s->pin_c = pin_c;
                s->pin_e = pin_e;
        }
        if (validate)
                s->is_validated_always = true;
}

bool coordinator_has_pin(const struct coordinator *c, size_t shard)
{
        return c->isolation != COORDINATOR_READ_COMMITTED && at(c, shard)->has_pin;
}

/* ---------------------------------------------------------------- requests in the transaction */

/* What the first write must find. Timestamps are far above 1, and 0 says nothing. */
static void set_conditions(const struct coordinator *c, const struct coordinator_shard *s,
                           struct coordinator_part *part)
{
        uint64_t seen_c, seen_e;

        if (c->isolation == COORDINATOR_READ_COMMITTED)
                return;
        if (s->has_pin) {
                part->expect_c = s->pin_c;
                part->max_c = s->pin_c ? 0 : 1;
                return;
        }
        coordinator_seen(c, &seen_c, &seen_e);
        if (seen_e != UINT64_MAX)
                part->max_c = seen_e ? seen_e : 1;
}

void coordinator_take_part(struct coordinator *c, size_t shard, uint64_t savepoint,
                           struct coordinator_part *ret_part)
{
        struct coordinator_shard *s = at(c, shard);

        assert(c->state == COORDINATOR_IS_ACTIVE);
        assert(!s->n_sent || s->incarnation);
        *ret_part =
            (struct coordinator_part){ .incarnation = s->incarnation, .n_statements = s->n_sent };
        if (!s->n_sent)
                set_conditions(c, s, ret_part);
        s->is_participant = true;
        s->n_sent++;
        s->n_open++;
        if (savepoint > s->savepoint)
                s->savepoint = savepoint;
}

static void doom(struct coordinator *c, size_t shard, enum txn_result why)
{
        if (c->doom)
                return;
        c->doom = why;
        c->doom_shard = shard;
}

static void leave(struct coordinator_shard *s)
{
        s->is_participant = false;
        s->incarnation = s->n_sent = s->savepoint = 0;
}

void coordinator_on_part(struct coordinator *c, size_t shard, enum txn_result result,
                         uint64_t incarnation, uint64_t n_statements, uint64_t last_ts)
{
        struct coordinator_shard *s = at(c, shard);

        if (c->state != COORDINATOR_IS_ACTIVE || !s->n_open)
                return;
        s->n_open--;
        if (result == TXN_NO_ANSWER) {
                doom(c, shard, TXN_PARTICIPANT_LOST);
        } else if (!incarnation && !n_statements) {
                if (!--s->n_sent)
                        leave(s);
        } else if (!incarnation) {
                /* What has waited, or came too early, has not been there; all else was. */
                bool was_there = s->incarnation || result == TXN_FAILED;

                if (txn_result_is_abort(result))
                        doom(c, shard, result);
                else if (was_there)
                        doom(c, shard,
                             result == TXN_FAILED ? TXN_ROLLED_BACK : TXN_PARTICIPANT_LOST);
                else
                        leave(s);
        } else if (txn_result_is_abort(result)) {
                doom(c, shard, result);
        }
        if (incarnation && !s->incarnation) {
                s->incarnation = incarnation;
                coordinator_on_seen(c, last_ts);
        }
}

uint64_t coordinator_new_savepoint(struct coordinator *c)
{
        return ++c->n_savepoints;
}

bool coordinator_knows_savepoint(const struct coordinator *c, size_t shard, uint64_t savepoint)
{
        const struct coordinator_shard *s = at(c, shard);

        return s->is_participant && s->savepoint >= savepoint;
}

void coordinator_on_undone(struct coordinator *c, size_t shard, uint64_t savepoint)
{
        struct coordinator_shard *s = at(c, shard);

        if (s->savepoint >= savepoint)
                s->savepoint = savepoint - 1;
}

void coordinator_on_lost(struct coordinator *c, size_t shard, int64_t now_us)
{
        struct coordinator_shard *s = at(c, shard);

        switch (c->state) {
        case COORDINATOR_IS_ACTIVE:
                s->n_open = 0;
                if (s->is_participant)
                        doom(c, shard, TXN_PARTICIPANT_LOST);
                return;
        case COORDINATOR_IS_PREPARING:
                if (s->owes)
                        coordinator_on_prepared(c, shard, TXN_NO_ANSWER, 0, 0, now_us);
                return;
        case COORDINATOR_IS_VALIDATING:
                if (s->owes)
                        coordinator_on_validated(c, shard, TXN_NO_ANSWER, now_us);
                return;
        case COORDINATOR_IS_FINDING:
                if (s->owes)
                        coordinator_on_found(c, shard, TXN_NO_ANSWER, 0, now_us);
                return;
        case COORDINATOR_IS_COMMITTING:
        case COORDINATOR_IS_COMMITTING_ONE:
        case COORDINATOR_IS_ABORTING:
                if (s->owes)
                        coordinator_on_ended(c, shard, TXN_NO_ANSWER, 0, 0, now_us);
                return;
        case COORDINATOR_IS_DECIDING:
        case COORDINATOR_IS_ENDED:
        case COORDINATOR_N_STATES:
                return;
        }
}
