/* world.c - chance, time, messages, and what goes wrong with them. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/unit/random.h"

struct world w;

enum { MAX_SKEW_US = 1000 * MS, MAX_CALM_US = 10 * 1000 * MS };

/* ---------------------------------------------------------------- chance and traces */

uint64_t chance(uint64_t n)
{
        return random_next(&w.random) % n;
}

bool chance_of(unsigned thousandths)
{
        return thousandths && chance(1000) < thousandths;
}

void trace(const char *fmt, ...)
{
        va_list ap;

        if (!w.settings.is_traced)
                return;
        printf("%9.3f ms  ", (double)w.now / 1000);
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        putchar('\n');
}

void violate(const char *fmt, ...)
{
        va_list ap;

        if (w.violation[0])
                return;
        va_start(ap, fmt);
        vsnprintf(w.violation, sizeof w.violation, fmt, ap);
        va_end(ap);
        trace("VIOLATION: %s", w.violation);
}

/* ---------------------------------------------------------------- clocks */

static int64_t offset_now; /* of the node that works */

static int64_t wall_now(void)
{
        return INT64_C(1700000000) * 1000 * 1000 + w.now + offset_now;
}

struct hlc *clock_of(unsigned node)
{
        offset_now = w.nodes[node].clock_offset;
        return &w.nodes[node].hlc;
}

/* ---------------------------------------------------------------- events */

struct event *after(int64_t us, unsigned node, void (*fn)(struct event *e))
{
        struct event *e;

        if (w.n_events == MAX_EVENTS) {
                fprintf(stderr, "sim: too many events\n");
                abort();
        }
        e = &w.events[w.n_events++];
        *e = (struct event){ .at = w.now + us,
                             .order = ++w.n_order,
                             .node = node,
                             .boot = w.nodes[node].boot,
                             .fn = fn };
        return e;
}

/* How long what is usual takes. */
int64_t short_time(void)
{
        return 20 + (int64_t)chance(chance_of(w.p_slow) ? 40 * MS : 400);
}

static struct message *free_messages[MAX_EVENTS];
static size_t n_free_messages;

struct message *message_copy(const struct message *m)
{
        struct message *copy =
            n_free_messages ? free_messages[--n_free_messages] : malloc(sizeof *copy);

        *copy = *m;
        return copy;
}

static void message_free(struct message *m)
{
        if (m && n_free_messages < MAX_EVENTS)
                free_messages[n_free_messages++] = m;
        else
                free(m);
}

static bool is_stream_message(const struct message *m)
{
        return m->stream != 0;
}

static void deliver_to(struct message *m)
{
        if (!w.nodes[m->to].is_up)
                return;
        if (m->to < N_TABLETS) {
                if (w.has_stream[m->stream] || m->kind == MESSAGE_TOPO_REPLY)
                        tablet_on_message(m);
        } else if (m->to < N_TABLETS + N_GATES) {
                if (!m->stream || w.gates[gate_of_node(m->to)].streams[m->from] == m->stream)
                        gate_on_message(m);
        } else {
                topo_on_message(m);
        }
}

void deliver(struct event *e)
{
        deliver_to(e->m);
}

static void post_once(const struct message *m)
{
        struct event *e = after(short_time(), m->to, deliver);

        e->boot = 0;
        if (is_stream_message(m) && w.has_streams)
                e->channel = 2 * m->stream + (m->to < N_TABLETS);
        e->m = message_copy(m);
}

void post(struct message *m)
{
        bool keeps_order = is_stream_message(m) && w.has_streams;

        m->hlc = hlc_tick(clock_of(m->from));
        if (chance_of(w.p_drop)) {
                /* What a stream loses, it loses with all that follows. */
                if (keeps_order && m->to < N_TABLETS)
                        break_stream(gate_of_node(m->from), m->to);
                else if (keeps_order)
                        break_stream(gate_of_node(m->to), m->from);
                return;
        }
        post_once(m);
        while (!keeps_order && chance_of(w.p_repeat))
                post_once(m);
}

/* The index of the event that is first in e's channel. */
static size_t first_in_channel(size_t i)
{
        uint64_t channel = w.events[i].channel;

        for (size_t j = 0; channel && j < w.n_events; j++) {
                if (w.events[j].channel == channel && w.events[j].order < w.events[i].order)
                        i = j;
        }
        return i;
}

static void happen(size_t i)
{
        struct event e = w.events[i];
        const struct node *n = &w.nodes[e.node];

        w.events[i] = w.events[--w.n_events];
        if (n->is_up && n->paused_until > w.now && e.m && !e.m->stream && chance(4) == 0) {
                /* It has been waited for too long. */
                message_free(e.m);
                return;
        }
        if (n->is_up && n->paused_until > w.now) {
                struct event *again = after(0, e.node, e.fn);
                uint64_t order = e.order;

                *again = e;
                again->order = order;
                again->at = n->paused_until;
                return;
        }
        if (!e.boot || (n->is_up && e.boot == n->boot))
                e.fn(&e);
        message_free(e.m);
}

/* ---------------------------------------------------------------- streams */

static void on_tablet_lost(struct event *e)
{
        if (!w.has_stream[e->b])
                return;
        w.has_stream[e->b] = false;
        tablet_on_stream_lost(e->node, e->b);
}

static void on_gate_lost(struct event *e)
{
        struct gate *g = &w.gates[gate_of_node(e->node)];

        if (g->streams[e->a] != e->b)
                return;
        g->streams[e->a] = 0;
        gate_on_stream_lost(gate_of_node(e->node), e->a);
        connect_later(gate_of_node(e->node), e->a);
}

static void lose_at_tablet(unsigned tablet, uint64_t stream)
{
        struct event *e = after(short_time(), tablet, on_tablet_lost);

        e->b = stream;
        e->channel = w.has_streams ? 2 * stream + 1 : 0;
}

static void lose_at_gate(unsigned gate, unsigned tablet, uint64_t stream)
{
        struct event *e = after(short_time(), node_of_gate(gate), on_gate_lost);

        e->a = tablet;
        e->b = stream;
        e->channel = w.has_streams ? 2 * stream : 0;
}

void break_stream(unsigned gate, unsigned tablet)
{
        uint64_t stream = w.gates[gate].streams[tablet];

        if (!stream)
                return;
        trace("stream %llu breaks, gate %u, tablet %u", (unsigned long long)stream, gate, tablet);
        lose_at_tablet(tablet, stream);
        lose_at_gate(gate, tablet, stream);
}

static void on_connect(struct event *e)
{
        unsigned gate = gate_of_node(e->node), tablet = e->a;

        if (w.gates[gate].streams[tablet])
                return;
        if (!w.nodes[tablet].is_up || w.last_stream + 1 == MAX_STREAMS) {
                connect_later(gate, tablet);
                return;
        }
        w.has_stream[++w.last_stream] = true;
        w.stream_tablet[w.last_stream] = (uint8_t)tablet;
        w.gates[gate].streams[tablet] = w.last_stream;
}

void connect_later(unsigned gate, unsigned tablet)
{
        after(short_time(), node_of_gate(gate), on_connect)->a = tablet;
}

/* ---------------------------------------------------------------- crashes */

static void on_restart(struct event *e)
{
        struct node *n = &w.nodes[e->node];

        n->is_up = true;
        n->boot++;
        hlc_init(&n->hlc, wall_now, MAX_SKEW_US);
        trace("node %u starts", e->node);
        if (e->node < N_TABLETS)
                tablet_start(e->node);
        else if (e->node < N_TABLETS + N_GATES)
                gate_start(gate_of_node(e->node));
}

static void crash(unsigned node, bool loses_power)
{
        struct node *n = &w.nodes[node];

        if (!n->is_up)
                return;
        trace("node %u crashes%s", node, loses_power ? ", power lost" : "");
        w.n_crashes++;
        n->is_up = false;
        n->boot++;
        n->paused_until = 0;
        after((int64_t)chance(chance(2) ? 20 * MS : MS / 2), node, on_restart)->boot = 0;
        if (node < N_TABLETS) {
                tablet_crash(node, loses_power);
                for (unsigned g = 0; g < N_GATES; g++) {
                        uint64_t stream = w.gates[g].streams[node];

                        if (stream)
                                lose_at_gate(g, node, stream);
                }
                for (uint64_t i = 1; i <= w.last_stream; i++) {
                        /* Only those of this tablet: each is known to one. */
                        if (w.has_stream[i] && w.stream_tablet[i] == node)
                                w.has_stream[i] = false;
                }
        } else if (node < N_TABLETS + N_GATES) {
                struct gate *g = &w.gates[gate_of_node(node)];

                for (unsigned t = 0; t < N_TABLETS; t++) {
                        if (g->streams[t])
                                lose_at_tablet(t, g->streams[t]);
                }
                gate_crash(gate_of_node(node));
        } else {
                topo_crash(node - N_TABLETS - N_GATES);
        }
}

static void go_wrong(void)
{
        unsigned node = (unsigned)chance(N_NODES);

        if (chance_of(w.p_crash))
                crash(node, chance_of(w.p_power));
        if (chance_of(w.p_break))
                break_stream((unsigned)chance(N_GATES), (unsigned)chance(N_TABLETS));
        if (chance_of(w.p_pause)) {
                node = node_of_gate((unsigned)chance(N_GATES));
                w.nodes[node].paused_until = w.now + (int64_t)chance(200 * MS);
                trace("node %u pauses", node);
                if (chance(2))
                        store_end_lease(gate_of_node(node));
        }
        if (chance_of(w.p_clock)) {
                int64_t range = chance(8) ? 20 * MS : 4000 * MS;

                w.nodes[node].clock_offset = (int64_t)chance((uint64_t)range) - range / 2;
                trace("clock of node %u is off by %lld us", node,
                      (long long)w.nodes[node].clock_offset);
        }
        if (chance_of(w.p_collect)) {
                if (chance(2))
                        store_collect();
                else
                        tablet_collect((unsigned)chance(N_TABLETS));
        }
}

/* ---------------------------------------------------------------- time */

static int64_t shard_deadline(const struct shard *s)
{
        return s->participant ? participant_deadline(s->participant) : INT64_MAX;
}

static int64_t next_deadline(void)
{
        int64_t at = INT64_MAX, d;

        for (unsigned i = 0; i < N_SHARDS; i++) {
                d = shard_deadline(&w.shards[i]);
                at = d < at ? d : at;
        }
        for (unsigned i = 0; i < N_SESSIONS; i++) {
                d = session_deadline(&w.sessions[i]);
                at = d < at ? d : at;
        }
        return at;
}

static void tick(void)
{
        for (unsigned i = 0; i < N_SHARDS; i++) {
                struct shard *s = &w.shards[i];

                if (shard_deadline(s) <= w.now) {
                        clock_of(s->tablet);
                        participant_tick(s->participant, w.now);
                        shard_pump(s);
                }
        }
        for (unsigned i = 0; i < N_SESSIONS; i++) {
                if (session_deadline(&w.sessions[i]) <= w.now)
                        session_tick(&w.sessions[i]);
        }
}

/* The event that is next: any of those whose time has come. */
static bool pick(size_t *ret_i)
{
        size_t n = 0;

        for (size_t i = 0; i < w.n_events; i++) {
                if (w.events[i].at <= w.now && chance(++n) == 0)
                        *ret_i = i;
        }
        if (!n)
                return false;
        *ret_i = first_in_channel(*ret_i);
        /* The first of its channel is on its way still. */
        return w.events[*ret_i].at <= w.now;
}

static void step(void)
{
        int64_t at = next_deadline();
        size_t i = 0;

        w.n_steps++;
        if (at <= w.now && chance(2)) {
                tick();
                return;
        }
        if (pick(&i)) {
                happen(i);
                return;
        }
        for (i = 0; i < w.n_events; i++) {
                if (w.events[i].at > w.now && w.events[i].at < at)
                        at = w.events[i].at;
        }
        if (at == INT64_MAX)
                violate("nothing happens any more");
        else if (at > w.now)
                w.now = at;
        else
                tick();
}

/* ---------------------------------------------------------------- a schedule */

static unsigned sometimes(unsigned most)
{
        return chance(3) ? 1 + (unsigned)chance(most) : 0;
}

static void set_up(const struct settings *s)
{
        uint64_t range;

        memset(&w, 0, sizeof w);
        w.settings = *s;
        w.random = s->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        chance(1);
        w.has_streams = chance(2);
        w.p_drop = sometimes(w.has_streams ? 6 : 40);
        w.p_repeat = sometimes(60);
        w.p_slow = sometimes(60);
        w.p_crash = sometimes(8);
        w.p_break = sometimes(4);
        w.p_pause = sometimes(3);
        w.p_clock = sometimes(4);
        w.p_fail = sometimes(40);
        w.p_collect = sometimes(60);
        w.p_power = chance(2) ? 700 : 100;
        w.keep_us = (int64_t)(300 + chance(700)) * MS;
        range = chance(2) ? 4 * MS : 60 * MS;
        w.max_prepared_ms = chance(2) ? 40 : chance(20);
        w.isolation = s->variant && s->variant->is_serializable
                          ? COORDINATOR_SERIALIZABLE
                          : (enum coordinator_isolation)chance(3);
        for (unsigned i = 0; i < N_NODES; i++) {
                struct node *n = &w.nodes[i];

                n->boot = 1;
                n->clock_offset = (int64_t)chance(range) - (int64_t)range / 2;
                hlc_init(&n->hlc, wall_now, MAX_SKEW_US);
                n->is_up = true;
        }
        txn_suspended_rules =
            s->variant && s->variant->rule != TXN_N_RULES ? UINT64_C(1) << s->variant->rule : 0;
        for (unsigned i = 0; i < N_SHARDS; i++) {
                w.shards[i].number = i;
                w.shards[i].tablet = tablet_of_shard(i);
        }
        for (unsigned i = 0; i < N_TABLETS; i++)
                tablet_start(i);
        for (unsigned i = 0; i < N_GATES; i++)
                gate_start(i);
}

/* From now on nothing goes wrong, and nobody begins anything. */
static void calm_down(void)
{
        trace("calm");
        w.is_calm = true;
        w.p_drop = w.p_repeat = w.p_slow = w.p_crash = w.p_break = w.p_pause = w.p_clock = 0;
        w.p_fail = 0;
        for (unsigned i = 0; i < N_NODES; i++)
                w.nodes[i].clock_offset /= 1000;
}

static bool is_over(void)
{
        for (unsigned i = 0; i < N_SESSIONS; i++) {
                if (w.sessions[i].is_busy || w.sessions[i].coordinator)
                        return false;
        }
        for (unsigned i = 0; i < N_SHARDS; i++) {
                const struct participant *p = w.shards[i].participant;

                if (!p || participant_state(p) != PARTICIPANT_IS_FREE ||
                    participant_redo_needed(p) != UINT64_MAX)
                        return false;
        }
        for (unsigned i = 0; i < w.n_tags; i++) {
                if (w.records[i].state == DECISION_COMMITTED)
                        return false;
        }
        return true;
}

static void tear_down(void)
{
        for (size_t i = 0; i < w.n_events; i++)
                message_free(w.events[i].m);
        w.n_events = 0;
        gates_done();
        tablets_done();
        txn_suspended_rules = 0;
}

bool run_schedule(const struct settings *s)
{
        uint64_t n_wild = 0, calm_at = 0;
        int64_t calm_us = 0;

        set_up(s);
        n_wild = 600 + chance(1400);
        while (!w.violation[0]) {
                if (!w.is_calm && w.n_steps >= n_wild) {
                        calm_down();
                        calm_at = w.n_steps;
                        calm_us = w.now;
                }
                if (!w.is_calm)
                        go_wrong();
                step();
                if (!w.is_calm || w.n_steps % 16)
                        continue;
                if (is_over()) {
                        check_end();
                        break;
                }
                if (w.n_steps > calm_at + 20000 || w.now > calm_us + MAX_CALM_US) {
                        violate("it does not come to an end");
                        for (unsigned i = 0; i < N_SHARDS; i++)
                                trace("shard %u is %s", i,
                                      w.shards[i].participant
                                          ? participant_state_name(
                                                participant_state(w.shards[i].participant))
                                          : "away");
                }
        }
        tear_down();
        return !w.violation[0];
}
