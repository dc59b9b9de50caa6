/* gate_cut.c - reads of several shards as of one moment. */
#include "tests/sim/sim.h"

static void send_pins(struct session *s)
{
        for (size_t i = 0; i < s->cut.n_pins; i++) {
                struct message m = { .kind = MESSAGE_PIN,
                                     .shard = s->cut_shard[i],
                                     .read_ts = s->cut.read_ts,
                                     .is_settled = s->cut.round > 0 };

                if (!s->pins[i].is_known && s->cut_shard[i] != N_SHARDS)
                        session_send(s, &m, ASKED_PIN);
        }
}

void session_begin_cut(struct session *s, uint8_t shards, uint64_t seen_c, uint64_t seen_e)
{
        struct hlc *clock = clock_of(session_node(s));
        uint64_t now = hlc_now(clock);
        size_t n = 0;

        s->is_cutting = true;
        s->told_before = w.told;
        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (shards >> i & 1)
                        s->cut_shard[n++] = i;
        }
        if (seen_c || seen_e != UINT64_MAX)
                s->cut_shard[n++] = N_SHARDS;
        cut_init(&s->cut, s->pins, n, now, 500);
        if (s->cut_shard[n - 1] == N_SHARDS)
                cut_on_pin(&s->cut, n - 1, seen_c, seen_e, now, now);
        send_pins(s);
}

static void end_cut(struct session *s, bool is_accepted)
{
        s->is_cutting = false;
        w.n_cuts += is_accepted;
        session_on_cut(s, is_accepted);
}

/* m NULL: it did not work out. */
void session_on_pin(struct session *s, unsigned shard, const struct message *m)
{
        struct hlc *clock = clock_of(session_node(s));
        size_t i = 0, last = s->cut.n_pins - 1;

        if (!s->is_cutting)
                return;
        if (!m || m->result) {
                end_cut(s, false);
                return;
        }
        while (s->cut_shard[i] != shard)
                i++;
        s->pinned[shard] = m->seen;
        s->pinned_told[shard] = s->told_before;
        s->pinned_c[shard] = m->c;
        switch (cut_on_pin(&s->cut, i, m->c, m->e, hlc_now(clock), hlc_from_us(clock->now_us()))) {
        case CUT_WAIT:
                return;
        case CUT_ACCEPTED:
                end_cut(s, true);
                return;
        case CUT_AGAIN:
                /* What was seen before cannot be seen again otherwise. */
                if (s->cut_shard[last] == N_SHARDS && !s->pins[last].is_known)
                        end_cut(s, false);
                else
                        send_pins(s);
                return;
        case CUT_LOST:
                end_cut(s, false);
        }
}
