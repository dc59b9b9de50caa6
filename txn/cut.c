/* cut.c - accepts a cut, or says which shards to pin again. */
#include "txn/cut.h"

#include <assert.h>

#include "common/hlc.h"
#include "txn/rules_int.h"

enum { FIRST_AHEAD_US = 250 }; /* of the second round; doubled each time */

void cut_init(struct cut *cut, struct cut_pin *pins, size_t n_pins, uint64_t now,
              uint64_t max_ahead_us)
{
        assert(n_pins);
        for (size_t i = 0; i < n_pins; i++)
                pins[i] = (struct cut_pin){ 0 };
        *cut = (struct cut){
                .pins = pins,
                .n_pins = n_pins,
                .n_unknown = n_pins,
                .read_ts = n_pins > 1 ? now : 0,
                .max_ahead_us = max_ahead_us,
        };
}

uint64_t cut_time(const struct cut *cut)
{
        uint64_t t = 0;

        for (size_t i = 0; i < cut->n_pins; i++) {
                if (cut->pins[i].c > t)
                        t = cut->pins[i].c;
        }
        return t;
}

static uint64_t ahead_us(const struct cut *cut)
{
        uint64_t us = FIRST_AHEAD_US;

        for (uint32_t i = 1; i < cut->round && us < cut->max_ahead_us; i++)
                us *= 2;
        return us < cut->max_ahead_us ? us : cut->max_ahead_us;
}

/* All pins are known. */
static enum cut_step judge(struct cut *cut, uint64_t now, uint64_t wall)
{
        uint64_t t = cut_time(cut), limit;

        for (size_t i = 0; i < cut->n_pins; i++) {
                cut->pins[i].is_known = cut->pins[i].e >= t || !txn_rule(TXN_RULE_CUT_IS_EXACT);
                cut->n_unknown += !cut->pins[i].is_known;
        }
        if (!cut->n_unknown) {
                cut->is_accepted = true;
                return CUT_ACCEPTED;
        }
        if (++cut->round > CUT_MAX_ROUNDS)
                return CUT_LOST;
        cut->read_ts = now > t ? now : t;
        limit = wall + hlc_from_us((int64_t)cut->max_ahead_us);
        if (cut->read_ts < limit) {
                cut->read_ts += hlc_from_us((int64_t)ahead_us(cut));
                if (cut->read_ts > limit)
                        cut->read_ts = limit;
        }
        return CUT_AGAIN;
}

enum cut_step cut_on_pin(struct cut *cut, size_t shard, uint64_t c, uint64_t e, uint64_t now,
                         uint64_t wall)
{
        struct cut_pin *p = &cut->pins[shard];

        assert(shard < cut->n_pins);
        if (p->is_known) {
                /* The same last commit is the same snapshot. */
                return p->c == c ? CUT_WAIT : CUT_LOST;
        }
        *p = (struct cut_pin){ .c = c, .e = e > c ? e : c, .is_known = true };
        if (--cut->n_unknown)
                return CUT_WAIT;
        return judge(cut, now, wall);
}

enum cut_step cut_on_late_pin(struct cut *cut, uint64_t c, uint64_t e)
{
        uint64_t t = cut_time(cut);

        assert(cut->is_accepted);
        if (e < c)
                e = c;
        if (e < t)
                return CUT_LOST;
        for (size_t i = 0; i < cut->n_pins; i++) {
                if (c > cut->pins[i].e)
                        return CUT_LOST;
        }
        cut->pins[cut->n_pins++] = (struct cut_pin){ .c = c, .e = e, .is_known = true };
        return CUT_WAIT;
}
