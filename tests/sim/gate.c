/* gate.c - a gate: its lease, its sessions' requests, and what their coordinators want sent. */
#include <assert.h>
#include <string.h>

#include "tests/sim/sim.h"

struct gate *gate_of(const struct session *s)
{
        return &w.gates[s->gate];
}

unsigned session_node(const struct session *s)
{
        return node_of_gate(s->gate);
}

/* ---------------------------------------------------------------- the lease */

static void on_heartbeat_due(struct event *e)
{
        struct message m = {
                .kind = MESSAGE_HEARTBEAT,
                .from = e->node,
                .to = node_of_topo((unsigned)chance(N_TOPOS)),
                .epoch = w.gates[gate_of_node(e->node)].epoch,
        };

        post(&m);
        after(20 * MS, e->node, on_heartbeat_due);
}

static void on_session_due(struct event *e)
{
        struct session *s = &w.sessions[e->a];

        if (s->number != e->b || s->is_busy || s->coordinator || w.is_calm)
                return;
        if (gate_of(s)->epoch)
                session_next(s);
        if (!s->is_busy) {
                struct event *again = after((int64_t)chance(5 * MS), e->node, on_session_due);

                again->a = e->a;
                again->b = e->b;
        }
}

static void wake_session(struct session *s)
{
        struct event *e = after((int64_t)chance(3 * MS), session_node(s), on_session_due);

        e->a = s->index;
        e->b = s->number;
}

void gate_start(unsigned gate)
{
        struct gate *g = &w.gates[gate];

        *g = (struct gate){ 0 };
        after(0, node_of_gate(gate), on_heartbeat_due);
        for (unsigned t = 0; t < N_TABLETS; t++)
                connect_later(gate, t);
        for (unsigned i = 0; i < N_SESSIONS; i++) {
                struct session *s = &w.sessions[i];
                uint64_t number = s->number + 1;

                if (i % N_GATES != gate)
                        continue;
                *s = (struct session){ .index = i, .gate = gate, .number = number };
                wake_session(s);
        }
}

void gate_crash(unsigned gate)
{
        for (unsigned i = 0; i < N_SESSIONS; i++) {
                struct session *s = &w.sessions[i];

                if (s->gate != gate)
                        continue;
                s->coordinator = coordinator_free(s->coordinator);
                s->is_busy = false;
                s->number++;
        }
}

void gates_done(void)
{
        for (unsigned i = 0; i < N_SESSIONS; i++)
                w.sessions[i].coordinator = coordinator_free(w.sessions[i].coordinator);
}

uint64_t gate_oldest_counter(unsigned gate)
{
        const struct gate *g = &w.gates[gate];
        uint64_t oldest = g->counter + 1;

        for (unsigned i = 0; i < N_SESSIONS; i++) {
                const struct session *s = &w.sessions[i];
                const struct txn_id *id = &w.works[s->tag].id;

                if (s->gate == gate && s->coordinator && id->epoch == g->epoch &&
                    coordinator_may_decide(s->coordinator) && id->counter < oldest)
                        oldest = id->counter;
        }
        return oldest;
}

/* ---------------------------------------------------------------- requests */

static bool take_open(struct session *s, uint64_t number, struct open_request *ret)
{
        for (size_t i = 0; i < s->n_open; i++) {
                if (s->open[i].number != number)
                        continue;
                *ret = s->open[i];
                s->open[i] = s->open[--s->n_open];
                return true;
        }
        return false;
}

static void on_timeout(struct event *e)
{
        struct session *s = &w.sessions[e->a];
        struct open_request o;

        if (s->number == e->b && take_open(s, e->c, &o))
                session_on_reply(s, &o, NULL);
}

void session_send(struct session *s, struct message *m, enum asked what)
{
        struct gate *g = gate_of(s);
        int64_t timeout = 8 * MS + (int64_t)chance(60 * MS);
        struct event *e;

        m->number = ++w.last_number;
        m->session = s->index;
        m->from = session_node(s);
        m->tag = s->tag;
        assert(s->n_open < MAX_OPEN);
        s->open[s->n_open++] = (struct open_request){
                .number = m->number,
                .shard = what == ASKED_DECIDE ? N_SHARDS : m->shard,
                .what = what,
                .is_write = m->is_write,
        };
        if (what == ASKED_DECIDE) {
                m->to = node_of_topo((unsigned)chance(N_TOPOS));
                post(m);
        } else {
                m->to = tablet_of_shard(m->shard);
                m->stream = g->streams[m->to];
                if (m->stream)
                        post(m);
                else
                        timeout = 0;
        }
        e = after(timeout, session_node(s), on_timeout);
        e->a = s->index;
        e->b = s->number;
        e->c = m->number;
}

void gate_on_message(struct message *m)
{
        struct gate *g = &w.gates[gate_of_node(m->to)];
        struct session *s = &w.sessions[m->session];
        struct open_request o;

        /* A gate minds no clock that is far ahead: what it has to go by, shards have accepted. */
        if (hlc_observe(clock_of(m->to), m->hlc, NULL))
                return;
        if (m->kind == MESSAGE_TOPO_REPLY && m->was == MESSAGE_HEARTBEAT) {
                if (m->epoch > g->epoch) {
                        g->epoch = m->epoch;
                        g->counter = 0;
                }
                return;
        }
        if (m->kind == MESSAGE_TABLET_REPLY)
                g->schema[m->shard] = m->schema;
        if (node_of_gate(s->gate) == m->to && take_open(s, m->number, &o))
                session_on_reply(s, &o, m);
}

void gate_on_stream_lost(unsigned gate, unsigned tablet)
{
        for (unsigned i = 0; i < N_SESSIONS; i++) {
                struct session *s = &w.sessions[i];
                struct open_request o;

                if (s->gate != gate)
                        continue;
                for (size_t k = 0; k < s->n_open; k++) {
                        o = s->open[k];
                        if (o.shard < N_SHARDS && tablet_of_shard(o.shard) == tablet &&
                            take_open(s, o.number, &o)) {
                                session_on_reply(s, &o, NULL);
                                k = SIZE_MAX; /* from the start: others may have come and gone */
                        }
                }
                for (size_t k = 0; s->coordinator && k < coordinator_n_shards(s->coordinator);
                     k++) {
                        unsigned shard = (unsigned)coordinator_shard_key(s->coordinator, k);

                        if (tablet_of_shard(shard) == tablet)
                                coordinator_on_lost(s->coordinator, k, w.now);
                }
                session_pump(s);
        }
}

/* ---------------------------------------------------------------- the coordinator */

static void send_for(struct session *s, const struct coordinator_action *a)
{
        static const enum participant_kind kinds[] = {
                [COORDINATOR_SEND_PREPARE] = PARTICIPANT_PREPARE,
                [COORDINATOR_SEND_VALIDATE] = PARTICIPANT_VALIDATE,
                [COORDINATOR_SEND_END] = PARTICIPANT_END,
                [COORDINATOR_SEND_FIND] = PARTICIPANT_FIND,
        };
        static const enum asked asked[] = {
                [COORDINATOR_SEND_PREPARE] = ASKED_PREPARE,
                [COORDINATOR_SEND_VALIDATE] = ASKED_VALIDATE,
                [COORDINATOR_SEND_END] = ASKED_END,
                [COORDINATOR_SEND_FIND] = ASKED_FIND,
        };
        struct work *work = &w.works[s->tag];
        struct message m = {
                .kind = MESSAGE_PART,
                .shard = (unsigned)coordinator_shard_key(s->coordinator, a->shard),
                .part = { .kind = kinds[a->act],
                          .age = { .first_start = s->first_start, .id = work->id },
                          .incarnation = a->part.incarnation,
                          .n_statements = a->part.n_statements,
                          .min_ts = a->min_ts,
                          .is_lone = a->is_lone,
                          .commit = a->commit,
                          .fence = a->fence,
                          .c = a->c,
                          .commit_ts = a->commit_ts },
        };

        if (a->act == COORDINATOR_SEND_PREPARE && !a->is_lone)
                work->participants |= (uint8_t)(1u << m.shard);
        if (a->is_lone)
                work->lone = (uint8_t)(1u << m.shard);
        session_send(s, &m, asked[a->act]);
}

static void send_decide(struct session *s, const struct coordinator_action *a)
{
        struct message m = {
                .kind = MESSAGE_DECIDE,
                .id = w.works[s->tag].id,
                .commit = a->commit,
                .commit_ts = a->commit_ts,
        };

        if (m.id.epoch == gate_of(s)->epoch)
                m.oldest_counter = gate_oldest_counter(s->gate);
        session_send(s, &m, ASKED_DECIDE);
}

void session_pump(struct session *s)
{
        struct coordinator_action a;

        while (s->coordinator && coordinator_next(s->coordinator, &a)) {
                switch (a.act) {
                case COORDINATOR_DECIDE:
                        send_decide(s, &a);
                        break;
                case COORDINATOR_TELL:
                        session_on_told(s, &a);
                        break;
                case COORDINATOR_ENDED:
                        s->coordinator = coordinator_free(s->coordinator);
                        session_on_ended(s);
                        break;
                default:
                        send_for(s, &a);
                }
        }
        if (!s->is_busy && !s->coordinator && s->wakes) {
                s->wakes = false;
                wake_session(s);
        }
}

int64_t session_deadline(const struct session *s)
{
        if (!s->coordinator || w.nodes[session_node(s)].paused_until > w.now)
                return INT64_MAX;
        return coordinator_deadline(s->coordinator);
}

void session_tick(struct session *s)
{
        coordinator_tick(s->coordinator, w.now);
        session_pump(s);
}
