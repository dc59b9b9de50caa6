/* topo.c - topo processes, which keep nothing, and the store behind them, which compares and sets.
 */
#include <assert.h>

#include "tests/sim/sim.h"

static int64_t lease_us(void)
{
        return 100 * MS;
}

/* ---------------------------------------------------------------- leases */

static struct epoch *epoch_of(uint64_t epoch)
{
        assert(epoch && epoch <= w.n_epochs);
        return &w.epochs[epoch - 1];
}

static void end_lease(struct epoch *e)
{
        if (!e->lasts)
                return;
        trace("lease %u of gate %u ends", (unsigned)(e - w.epochs) + 1, e->gate);
        e->lasts = false;
        e->version++;
}

static void on_lease_due(struct event *ev)
{
        struct epoch *e = epoch_of(ev->b);

        if (!e->lasts)
                return;
        if (e->ends_at > w.now) {
                struct event *again = after(e->ends_at - w.now, ev->node, on_lease_due);

                again->boot = 0;
                again->b = ev->b;
        } else {
                end_lease(e);
        }
}

static uint64_t grant(unsigned gate)
{
        struct event *due;

        assert(w.n_epochs < MAX_EPOCHS);
        w.epochs[w.n_epochs++] =
            (struct epoch){ .gate = gate, .lasts = true, .ends_at = w.now + lease_us() };
        due = after(lease_us(), node_of_topo(0), on_lease_due);
        due->boot = 0;
        due->b = w.n_epochs;
        return w.n_epochs;
}

void store_end_lease(unsigned gate)
{
        for (size_t i = 0; i < w.n_epochs; i++) {
                if (w.epochs[i].gate == gate)
                        end_lease(&w.epochs[i]);
        }
}

static void on_heartbeat(struct message *reply)
{
        unsigned gate = gate_of_node(reply->to);
        uint64_t epoch = reply->epoch;

        if (epoch && epoch_of(epoch)->lasts) {
                epoch_of(epoch)->ends_at = w.now + lease_us();
        } else {
                store_end_lease(gate); /* that it does not know of, of an earlier life */
                reply->epoch = grant(gate);
        }
}

/* ---------------------------------------------------------------- records */

static struct decision_view view_of(unsigned tag)
{
        const struct record *r = &w.records[tag];
        const struct epoch *e = epoch_of(w.works[tag].id.epoch);

        return (struct decision_view){
                .record = r->state,
                .commit_ts = r->commit_ts,
                .n_left = (size_t)__builtin_popcount(r->left),
                .counter = w.works[tag].id.counter,
                .mark = e->mark,
                .lease_lasts = e->lasts,
        };
}

static uint8_t participants_of(unsigned tag)
{
        return w.works[tag].participants;
}

static void put(struct record *r, enum decision_record state)
{
        r->state = state;
        r->version++;
        r->is_fresh = true;
}

static void change(unsigned tag, const struct decision_outcome *o, unsigned shard)
{
        struct record *r = &w.records[tag];

        switch (o->change) {
        case DECISION_KEEP:
                return;
        case DECISION_PUT_COMMITTED:
                put(r, DECISION_COMMITTED);
                r->commit_ts = o->commit_ts;
                r->left = participants_of(tag);
                check_decided(tag, DECISION_COMMITTED, o->commit_ts);
                break;
        case DECISION_PUT_ABORTED:
                put(r, DECISION_ABORTED);
                check_decided(tag, DECISION_ABORTED, 0);
                break;
        case DECISION_PUT_LEFT:
                r->left &= (uint8_t) ~(1u << shard);
                r->version++;
                break;
        case DECISION_PUT_DONE:
                put(r, DECISION_DONE);
                break;
        case DECISION_DELETE:
                put(r, DECISION_NONE);
                break;
        }
        trace("store: tag %u is %d, left %x", tag, r->state, r->left);
}

static struct decision_outcome judge(const struct message *m, const struct decision_view *v)
{
        struct decision_outcome o;

        if (m->was == MESSAGE_DECIDE)
                return decision_decide(v, DECISION_COORDINATOR, m->commit, m->commit_ts);
        if (m->was == MESSAGE_REPORT)
                return decision_on_durable(v, w.records[m->tag].left >> m->shard & 1);
        o = m->is_holder ? decision_decide(v, DECISION_HOLDER, false, 0)
                         : decision_on_prepared(v, m->prepared_ms, w.max_prepared_ms);
        if (has_flaw(FLAW_NOT_FOUND_IS_COMMITTED) && v->record == DECISION_NONE &&
            o.change == DECISION_KEEP && o.answer == DECISION_TELL_ABORTED) {
                o.answer = DECISION_TELL_COMMITTED;
                o.commit_ts = m->commit_ts;
        }
        return o;
}

static void read_record(struct event *e);

/* The store transaction: what was read must be as it was. */
static void write_record(struct event *e)
{
        struct message *m = e->m;
        struct record *r = &w.records[m->tag];
        struct epoch *epoch = epoch_of(m->id.epoch);
        struct decision_view *v = &m->view;
        struct decision_outcome o = judge(m, v);
        bool is_same = r->version == m->version && epoch->mark == v->mark;

        if (o.change != DECISION_KEEP && !has_flaw(FLAW_EXPECT_NOTHING) &&
            (!is_same || (o.needs_lease && txn_rule(TXN_RULE_LEASE) && !epoch->lasts))) {
                read_record(e);
                return;
        }
        change(m->tag, &o, m->shard);
        if (m->oldest_counter && epoch->lasts)
                epoch->mark = decision_advance_mark(epoch->mark, m->oldest_counter);
        trace("topo answers %d on tag %u, asked by message %d of node %u, record %d, counter %llu, "
              "mark "
              "%llu, lease %d",
              (int)o.answer, m->tag, (int)m->was, m->to, (int)v->record,
              (unsigned long long)v->counter, (unsigned long long)v->mark, v->lease_lasts);
        m->is_known = true;
        m->answer = o.answer;
        m->commit_ts = o.commit_ts;
        post(m);
}

static void read_record(struct event *e)
{
        struct message *m = e->m;
        struct event *next;

        m->view = view_of(m->tag);
        m->version = w.records[m->tag].version;
        next = after(short_time(), m->from, write_record);
        next->m = m;
        e->m = NULL;
}

void topo_on_message(struct message *m)
{
        struct message reply = *m;
        struct event *e;

        reply.was = m->kind;
        reply.kind = MESSAGE_TOPO_REPLY;
        reply.from = m->to;
        reply.to = m->from;
        if (m->kind == MESSAGE_HEARTBEAT) {
                on_heartbeat(&reply);
                post(&reply);
                return;
        }
        e = after(0, m->to, read_record);
        e->m = message_copy(&reply);
}

void topo_crash(unsigned topo)
{
        for (unsigned i = 0; i < w.n_tags; i++) {
                struct record *r = &w.records[i];

                if (has_flaw(FLAW_DECISION_NOT_DURABLE) && r->is_fresh && chance(2))
                        r->state = DECISION_NONE;
                r->is_fresh = false;
        }
}

void store_collect(void)
{
        for (unsigned tag = 0; tag < w.n_tags; tag++) {
                struct decision_view v;
                struct decision_outcome o;

                if (w.records[tag].state == DECISION_NONE)
                        continue;
                v = view_of(tag);
                o = decision_collect(&v);
                change(tag, &o, 0);
        }
}
