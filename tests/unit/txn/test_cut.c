/* test_cut.c - the cut by itself, and with simulated shards, writers, clocks and crashes under a
 * seeded scheduler: every cut that is accepted is what was committed up to one time, for ever. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/hlc.h"
#include "common/util.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"
#include "txn/cut.h"

/* ---- step by step */

enum { AHEAD_US = 1000 };

static struct cut_pin pins[4];
static struct cut cut;

START_TEST(one_shard_needs_no_time)
{
        cut_init(&cut, pins, 1, 500, AHEAD_US);
        ck_assert_uint_eq(cut.read_ts, 0);
        ck_assert_int_eq(cut_on_pin(&cut, 0, 7, 7, 500, 500), CUT_ACCEPTED);
        ck_assert_uint_eq(cut_time(&cut), 7);
        ck_assert(cut.is_accepted);
}
END_TEST

START_TEST(quiet_shards_need_one_round)
{
        cut_init(&cut, pins, 3, 500, AHEAD_US);
        ck_assert_uint_eq(cut.read_ts, 500);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 0, 500, 501, 501), CUT_WAIT);
        ck_assert_int_eq(cut_on_pin(&cut, 0, 499, 499, 501, 501), CUT_WAIT);
        ck_assert_int_eq(cut_on_pin(&cut, 2, 3, 500, 501, 501), CUT_ACCEPTED);
        ck_assert_uint_eq(cut_time(&cut), 499);
}
END_TEST

START_TEST(only_those_behind_are_pinned_again)
{
        cut_init(&cut, pins, 3, 500, AHEAD_US);
        cut_on_pin(&cut, 0, 10, 500, 501, 501);
        cut_on_pin(&cut, 1, 600, 600, 501, 501);
        ck_assert_int_eq(cut_on_pin(&cut, 2, 20, 700, 501, 501), CUT_AGAIN);
        ck_assert_uint_eq(cut.round, 1);
        ck_assert(!pins[0].is_known && pins[1].is_known && pins[2].is_known);
        ck_assert_uint_ge(cut.read_ts, 600);
        ck_assert_uint_gt(cut.read_ts, 501);
        /* It has gone past the others meanwhile. */
        ck_assert_int_eq(cut_on_pin(&cut, 0, 650, 800, 502, 502), CUT_AGAIN);
        ck_assert(pins[0].is_known && !pins[1].is_known && pins[2].is_known);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 600, 650, 502, 502), CUT_ACCEPTED);
        ck_assert_uint_eq(cut_time(&cut), 650);
}
END_TEST

/* Accepted of c = 400, E = 500 and c = 300, E = 450. */
static const struct {
        const char *label;
        uint64_t c, e;
        enum cut_step want;
} late[] = {
        { "quiet", 100, 500, CUT_WAIT },
        { "as late as may be", 450, 450, CUT_WAIT },
        { "later than a shard is known", 451, 600, CUT_LOST },
        { "exact at that moment", 0, 400, CUT_WAIT },
        { "something before it is pending", 0, 399, CUT_LOST },
};

START_TEST(a_shard_that_comes_late)
{
        cut_init(&cut, pins, 2, 450, AHEAD_US);
        ck_assert_int_eq(cut_on_pin(&cut, 0, 400, 500, 500, 500), CUT_WAIT);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 300, 450, 500, 500), CUT_ACCEPTED);
        ck_assert_msg(cut_on_late_pin(&cut, late[_i].c, late[_i].e) == late[_i].want, "%s",
                      late[_i].label);
        if (late[_i].want == CUT_LOST)
                return;
        /* The next has to fit this one, too; and who reads it again has to find it as it was. */
        ck_assert_uint_eq(cut.n_pins, 3);
        ck_assert_int_eq(cut_on_pin(&cut, 2, late[_i].c, 900, 900, 900), CUT_WAIT);
        ck_assert_int_eq(cut_on_pin(&cut, 2, late[_i].c + 1, 900, 900, 900), CUT_LOST);
        ck_assert_int_eq(cut_on_late_pin(&cut, late[_i].e + 1, 900), CUT_LOST);
}
END_TEST

START_TEST(the_limits_are_tight)
{
        cut_init(&cut, pins, 2, 500, AHEAD_US);
        cut_on_pin(&cut, 0, 100, 300, 501, 501);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 300, 500, 501, 501), CUT_ACCEPTED);
        cut_init(&cut, pins, 2, 500, AHEAD_US);
        cut_on_pin(&cut, 0, 100, 299, 501, 501);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 300, 500, 501, 501), CUT_AGAIN);
}
END_TEST

START_TEST(another_request_of_the_pin)
{
        cut_init(&cut, pins, 2, 500, AHEAD_US);
        ck_assert_int_eq(cut_on_pin(&cut, 0, 100, 300, 501, 501), CUT_WAIT);
        ck_assert_int_eq(cut_on_pin(&cut, 0, 100, 300, 501, 501), CUT_WAIT);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 100, 300, 501, 501), CUT_ACCEPTED);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 100, 300, 501, 501), CUT_WAIT);
        ck_assert_int_eq(cut_on_pin(&cut, 1, 101, 300, 501, 501), CUT_LOST);
}
END_TEST

/* The read_ts of later rounds lies ahead, but never further than allowed, of the wall clock; and
 * there is an end. */
START_TEST(rounds_reach_ahead)
{
        uint64_t wall = hlc_from_us(1000000), last = 0, t = wall;
        enum cut_step step = CUT_AGAIN;

        cut_init(&cut, pins, 2, wall, AHEAD_US);
        cut_on_pin(&cut, 0, 1, 1, wall, wall);
        for (uint32_t i = 1; i <= CUT_MAX_ROUNDS; i++) {
                step = cut_on_pin(&cut, i % 2, t, t, wall, wall);
                ck_assert_int_eq(step, CUT_AGAIN);
                ck_assert_uint_ge(cut.read_ts, t);
                ck_assert_uint_ge(cut.read_ts, last);
                ck_assert_uint_le(cut.read_ts, wall + hlc_from_us(AHEAD_US));
                last = cut.read_ts;
                t++;
        }
        ck_assert_uint_eq(last, wall + hlc_from_us(AHEAD_US));
        ck_assert_int_eq(cut_on_pin(&cut, (CUT_MAX_ROUNDS + 1) % 2, t, t, wall, wall), CUT_LOST);
}
END_TEST

/* ---- the simulation */

enum {
        N_SHARDS = 4,
        N_READERS = 3,
        N_WRITERS = 3,
        MAX_LOG = 4000,
        MAX_CUTS = 400,
        N_STEPS = 6000,
        SIM_AHEAD_US = 2000
};

/* What may be left out: each has to show. */
enum broken { SOUND = 0, NO_FLOOR, NO_PENDING, NO_DURABLE, NO_CHECK, N_BROKEN };

static const char *const broken_names[N_BROKEN] = { "sound", "no floor", "no pending",
                                                    "no durable floor", "no check" };

struct commit {
        uint64_t ts;
        int writer, number;
};

struct sim_shard {
        struct commit log[MAX_LOG];
        size_t n;
        uint64_t floor, durable, hlc;
        struct commit pending; /* ts 0: none */
        int skew;
        unsigned incarnation;
};

/* Writes to a random shard, waits for the acknowledgement, writes to the next: each commit is the
 * cause of the writer's next. */
struct sim_writer {
        int shard; /* -1: about to begin */
        int number;
        uint64_t seen;
        unsigned incarnation;
};

struct sim_reader {
        struct cut cut;
        struct cut_pin pins[N_SHARDS];
        struct {
                enum { PIN_SENT = 0, PIN_FLOOR, PIN_DONE } state;
                uint64_t floor, pending;
                size_t n_seen;
                unsigned incarnation;
        } at[N_SHARDS];
        bool is_active;
};

struct sim_cut {
        uint64_t time;
        size_t n_seen[N_SHARDS];
};

static struct sim {
        uint64_t random;
        enum broken broken;
        struct sim_shard shards[N_SHARDS];
        struct sim_writer writers[N_WRITERS];
        struct sim_reader readers[N_READERS];
        struct sim_cut cuts[MAX_CUTS];
        size_t n_cuts, n_rounds, n_lost;
        uint64_t gate_hlc;
        int64_t time;
} sim;

static unsigned pick(unsigned n)
{
        return (unsigned)((random_next(&sim.random) >> 33) % n);
}

static uint64_t wall(int skew)
{
        return hlc_from_us(1000 + sim.time / 4 + skew);
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

static void raise_floor(struct sim_shard *s, uint64_t ts)
{
        if (sim.broken == NO_FLOOR)
                return;
        s->floor = max_u64(s->floor, ts < s->durable ? ts : s->durable);
}

static void step_writer(int k)
{
        struct sim_writer *w = &sim.writers[k];
        struct sim_shard *s;

        if (w->shard < 0) {
                int i = (int)pick(N_SHARDS);

                s = &sim.shards[i];
                if (s->pending.ts || s->n == MAX_LOG)
                        return;
                s->hlc = max_u64(max_u64(s->hlc, w->seen), wall(s->skew)) + 1;
                s->pending = (struct commit){ .writer = k, .number = w->number };
                s->pending.ts =
                    max_u64(max_u64(s->hlc, s->floor + 1), s->n ? s->log[s->n - 1].ts + 1 : 0);
                w->shard = i;
                w->incarnation = s->incarnation;
                return;
        }
        s = &sim.shards[w->shard];
        if (w->incarnation == s->incarnation) {
                s->log[s->n++] = s->pending;
                s->hlc = max_u64(s->hlc, s->pending.ts);
                s->pending.ts = 0;
                w->number++;
                w->seen = s->hlc;
        }
        w->shard = -1;
}

/* A crash forgets what was not committed, and the floor but for what is durable; its clock may have
 * been behind all the time. */
static void crash(void)
{
        struct sim_shard *s = &sim.shards[pick(N_SHARDS)];

        s->incarnation++;
        s->pending.ts = 0;
        s->floor = sim.broken == NO_DURABLE ? 0 : s->durable;
        s->hlc = 0;
}

static void finish_cut(struct sim_reader *r)
{
        r->is_active = false;
        if (sim.n_cuts == MAX_CUTS)
                return;
        sim.cuts[sim.n_cuts].time = cut_time(&r->cut);
        for (int i = 0; i < N_SHARDS; i++)
                sim.cuts[sim.n_cuts].n_seen[i] = r->at[i].n_seen;
        sim.n_cuts++;
}

static void tell_pin(struct sim_reader *r, int i)
{
        struct sim_shard *s = &sim.shards[i];
        uint64_t c = s->n ? s->log[s->n - 1].ts : 0, e = max_u64(c, r->at[i].floor);

        if (sim.broken == NO_FLOOR)
                e = max_u64(c, r->cut.read_ts);
        if (r->at[i].pending > c && e >= r->at[i].pending && sim.broken != NO_PENDING)
                e = r->at[i].pending - 1;
        if (sim.broken == NO_CHECK)
                e = UINT64_MAX;
        r->at[i].n_seen = s->n;
        r->at[i].state = PIN_DONE;
        switch (cut_on_pin(&r->cut, (size_t)i, c, e, max_u64(sim.gate_hlc, wall(0)), wall(0))) {
        case CUT_WAIT:
                break;
        case CUT_ACCEPTED:
                finish_cut(r);
                break;
        case CUT_AGAIN:
                sim.n_rounds++;
                for (int k = 0; k < N_SHARDS; k++)
                        if (!r->pins[k].is_known)
                                r->at[k].state = PIN_SENT;
                break;
        case CUT_LOST:
                sim.n_lost++;
                r->is_active = false;
                break;
        }
}

static void begin_reader(struct sim_reader *r)
{
        memset(r, 0, sizeof *r);
        cut_init(&r->cut, r->pins, N_SHARDS, max_u64(sim.gate_hlc, wall(0)), SIM_AHEAD_US);
        r->is_active = true;
}

/* The floor, then the snapshot; with whatever comes in between. */
static void step_reader(struct sim_reader *r)
{
        int i = (int)pick(N_SHARDS);
        struct sim_shard *s = &sim.shards[i];
        uint64_t read_ts = r->cut.read_ts;

        if (!r->is_active) {
                begin_reader(r);
        } else if (r->at[i].state == PIN_SENT) {
                if (r->cut.round) {
                        s->durable = max_u64(s->durable, read_ts);
                        raise_floor(s, read_ts);
                        if (s->pending.ts && s->pending.ts <= read_ts)
                                return; /* it waits */
                }
                raise_floor(s, read_ts);
                r->at[i].floor = sim.broken == NO_DURABLE ? max_u64(s->floor, read_ts) : s->floor;
                if (sim.broken == NO_DURABLE)
                        s->floor = r->at[i].floor;
                r->at[i].pending = s->pending.ts;
                r->at[i].incarnation = s->incarnation;
                r->at[i].state = PIN_FLOOR;
        } else if (r->at[i].state == PIN_FLOOR && r->at[i].incarnation == s->incarnation) {
                tell_pin(r, i);
        } else if (r->at[i].state == PIN_FLOOR) {
                r->is_active = false; /* the stream broke */
        }
}

static size_t committed_up_to(const struct sim_shard *s, uint64_t time)
{
        size_t n = 0;

        while (n < s->n && s->log[n].ts <= time)
                n++;
        return n;
}

/* No commit is there without those that the same writer made before. */
static bool has_causes(const struct sim_cut *c)
{
        int seen[N_WRITERS] = { 0 }, last[N_WRITERS];

        for (int k = 0; k < N_WRITERS; k++)
                last[k] = -1;
        for (int i = 0; i < N_SHARDS; i++) {
                for (size_t n = 0; n < c->n_seen[i]; n++) {
                        const struct commit *x = &sim.shards[i].log[n];

                        seen[x->writer]++;
                        last[x->writer] = x->number > last[x->writer] ? x->number : last[x->writer];
                }
        }
        for (int k = 0; k < N_WRITERS; k++)
                if (seen[k] != last[k] + 1)
                        return false;
        return true;
}

/* How many cuts show no moment at all. */
static size_t count_bad(void)
{
        size_t n_bad = 0;

        for (size_t k = 0; k < sim.n_cuts; k++) {
                const struct sim_cut *c = &sim.cuts[k];
                bool good = has_causes(c);

                for (int i = 0; good && i < N_SHARDS; i++)
                        good = c->n_seen[i] == committed_up_to(&sim.shards[i], c->time);
                n_bad += !good;
        }
        return n_bad;
}

static size_t simulate(uint64_t seed, enum broken broken)
{
        memset(&sim, 0, sizeof sim);
        sim.random = seed * UINT64_C(0x9e3779b97f4a7c15);
        sim.broken = broken;
        for (int i = 0; i < N_SHARDS; i++)
                sim.shards[i].skew = (int)pick(60) - 30;
        for (int k = 0; k < N_WRITERS; k++)
                sim.writers[k].shard = -1;
        for (int n = 0; n < N_STEPS; n++) {
                unsigned what = pick(1000);

                sim.time++;
                if (what < 100)
                        step_writer((int)pick(N_WRITERS));
                else if (what < 900)
                        step_reader(&sim.readers[pick(N_READERS)]);
                else if (what < 905)
                        crash();
                else if (what < 960)
                        sim.shards[what % N_SHARDS].durable =
                            max_u64(sim.shards[what % N_SHARDS].durable, wall(100));
                else
                        sim.gate_hlc = max_u64(sim.gate_hlc, sim.shards[what % N_SHARDS].hlc);
        }
        return count_bad();
}

enum { N_SEEDS = 150 };

START_TEST(every_cut_is_one_moment)
{
        size_t n_bad = 0, n_cuts = 0, n_rounds = 0, n_lost = 0;

        for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
                size_t bad = simulate(seed, (enum broken)_i);

                if (_i == SOUND)
                        ck_assert_msg(!bad, "seed %" PRIu64 ": %zu cuts are no moment", seed, bad);
                n_bad += bad;
                n_cuts += sim.n_cuts;
                n_rounds += sim.n_rounds;
                n_lost += sim.n_lost;
        }
        printf("# %s: %zu cuts, %zu further rounds, %zu lost, %zu bad\n", broken_names[_i], n_cuts,
               n_rounds, n_lost, n_bad);
        ck_assert_uint_gt(n_cuts, 100);
        if (_i == SOUND) {
                ck_assert_uint_gt(n_rounds, 100);
                ck_assert_uint_eq(n_lost, 0);
        } else {
                ck_assert_msg(n_bad > 0, "%s makes no difference", broken_names[_i]);
        }
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("cut");
        TCase *t = tcase_create("rules"), *sims = tcase_create("simulation");

        tcase_add_test(t, one_shard_needs_no_time);
        tcase_add_test(t, quiet_shards_need_one_round);
        tcase_add_test(t, only_those_behind_are_pinned_again);
        tcase_add_test(t, the_limits_are_tight);
        tcase_add_loop_test(t, a_shard_that_comes_late, 0, ARRAY_LEN(late));
        tcase_add_test(t, another_request_of_the_pin);
        tcase_add_test(t, rounds_reach_ahead);
        suite_add_tcase(s, t);
        tcase_set_timeout(sims, 50);
        tcase_add_loop_test(sims, every_cut_is_one_moment, 0, N_BROKEN);
        suite_add_tcase(s, sims);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
