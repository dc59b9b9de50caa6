/* clock.c - a shard's clock. */
#include "txn/clock.h"

#include <assert.h>

#include "txn/rules_int.h"

static void raise_floor(struct txn_clock *k, uint64_t ts)
{
        if (ts > k->floor_durable)
                ts = k->floor_durable;
        if (ts > k->floor)
                k->floor = ts;
}

void txn_clock_init(struct txn_clock *k, uint64_t last_ts, uint64_t floor)
{
        /* What was promised may have been used: all of it counts. */
        if (!txn_rule(TXN_RULE_FLOOR_IS_KEPT))
                floor = 0;
        *k = (struct txn_clock){ .last_ts = last_ts, .floor = floor, .floor_durable = floor };
}

void txn_clock_reopen(struct txn_clock *k, uint64_t last_ts, uint64_t floor)
{
        if (last_ts > k->last_ts)
                k->last_ts = last_ts;
        if (floor > k->floor_durable)
                k->floor_durable = floor;
}

/* ---------------------------------------------------------------- reading */

uint64_t txn_clock_pending(const struct txn_clock *k)
{
        if (!txn_rule(TXN_RULE_PENDING_IS_TOLD))
                return 0;
        if (!k->doubtful_ts || (k->pending_ts && k->pending_ts < k->doubtful_ts))
                return k->pending_ts;
        return k->doubtful_ts;
}

void txn_clock_pin(struct txn_clock *k, uint64_t read_ts, uint64_t *ret_floor,
                   uint64_t *ret_pending)
{
        /* One critical section with txn_clock_begin(): a commit either chose its timestamp before,
         * and is told of here, or chooses it later, above the floor. */
        raise_floor(k, read_ts);
        *ret_floor = k->floor;
        *ret_pending = txn_clock_pending(k);
}

uint64_t txn_clock_exact(uint64_t c, uint64_t floor, uint64_t pending)
{
        uint64_t e = c > floor ? c : floor;

        /* What was pending and is not in the snapshot may get that timestamp. */
        if (pending > c && e >= pending)
                e = pending - 1;
        return e;
}

bool txn_clock_settle(struct txn_clock *k, uint64_t read_ts)
{
        uint64_t pending = txn_clock_pending(k);

        raise_floor(k, read_ts);
        return read_ts <= k->floor && (!pending || pending > read_ts);
}

/* ---------------------------------------------------------------- committing */

uint64_t txn_clock_begin(struct txn_clock *k, uint64_t now, uint64_t min_ts,
                         const struct txn_age *who)
{
        uint64_t ts = now;

        assert(!k->pending_ts);
        if (ts <= k->floor && txn_rule(TXN_RULE_FLOOR_HOLDS))
                ts = k->floor + 1;
        if (ts <= k->last_ts)
                ts = k->last_ts + 1;
        if (ts <= min_ts)
                ts = min_ts + 1;
        k->pending_ts = ts;
        k->pending = who ? *who : (struct txn_age){ 0 };
        return ts;
}

void txn_clock_restore(struct txn_clock *k, uint64_t vote, const struct txn_age *who)
{
        assert(!k->pending_ts);
        k->pending_ts = vote;
        k->pending = *who;
}

void txn_clock_end(struct txn_clock *k, uint64_t ts, enum txn_commit outcome)
{
        if (outcome == TXN_COMMIT_DONE) {
                assert(!k->pending_ts || ts >= k->pending_ts);
                k->doubtful_ts = 0;
                if (ts > k->last_ts)
                        k->last_ts = ts;
        } else if (outcome == TXN_COMMIT_IN_DOUBT && k->pending_ts &&
                   (!k->doubtful_ts || k->pending_ts < k->doubtful_ts)) {
                k->doubtful_ts = k->pending_ts;
        }
        k->pending_ts = 0;
        k->pending = (struct txn_age){ 0 };
}

/* ---------------------------------------------------------------- the floor's promise */

uint64_t txn_clock_due(const struct txn_clock *k, uint64_t wanted, uint64_t now, uint64_t ahead,
                       bool commits_anyway)
{
        /* A commit in doubt is to have another one in its place. */
        if (wanted <= k->floor_durable && !k->doubtful_ts &&
            !(commits_anyway && now + ahead / 2 > k->floor_durable))
                return 0;
        return (wanted > now ? wanted : now) + ahead;
}

void txn_clock_promised(struct txn_clock *k, uint64_t floor_durable, uint64_t raise)
{
        if (floor_durable > k->floor_durable)
                k->floor_durable = floor_durable;
        raise_floor(k, raise);
}
