/* transaction_end.c - does what a transaction's coordinator wants: requests to shards, the decision
 * in topo, the answer to whoever waits. A transaction that its owner has left goes on here until
 * all of that is done. Loop thread. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "common/log.h"
#include "gate/gate.h"
#include "gate/transaction_int.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/server.h"

enum {
        REQUEST_MS = 10000, /* a request to a shard; one that has prepared is asked again */
        DECIDE_MS = 5000,
        NAMES_BYTES = 1 << 20, /* of the participants: a keyspace has 1024 shards at most */
};

/* A request to one shard. */
struct transaction_call {
        struct tablet_call call;
        struct transaction *transaction;
        struct transaction_call *prev, *next;
        enum coordinator_act act;
        size_t shard; /* the coordinator's number */
        bool is_answered;
};

/* The question to topo; outlives the transaction, for its answer comes in any case. */
struct transaction_decision {
        struct transaction *transaction; /* NULL: it has gone */
};

/* ---- life */

static void free_call(struct transaction_call *tc)
{
        DL_DELETE(tc->transaction->calls, tc);
        free(tc);
}

void transaction_destroy(struct transaction *t)
{
        while (t->calls) {
                struct transaction_call *tc = t->calls;

                tablet_call_abandon(&tc->call);
                free_call(tc);
        }
        if (t->decision)
                t->decision->transaction = NULL;
        sequence_holds_end(&t->holds, SEQUENCE_IN_DOUBT);
        loop_timer_cancel(t->gate->loop, &t->timer);
        loop_timer_cancel(t->gate->loop, &t->soon);
        transaction_release_pins(t);
        coordinator_free(t->coordinator);
        DL_DELETE(t->all->open, t);
        catalog_unref(t->catalog);
        free(t->shards);
        free(t);
}

/* ---- shards */

static uint32_t shard_at(const struct transaction *t, size_t number)
{
        return (uint32_t)coordinator_shard_key(t->coordinator, number);
}

/* Tells the coordinator what came of a request. r: what the shard said; NULL: nothing. */
static void note(struct transaction_call *tc, enum txn_result result, const struct tablet_reply *r)
{
        struct coordinator *c = tc->transaction->coordinator;
        uint64_t incarnation = r ? r->incarnation : 0, commit_ts = r ? r->commit_ts : 0;
        int64_t now_us = mono_us();

        switch (tc->act) {
        case COORDINATOR_SEND_PREPARE:
                coordinator_on_prepared(c, tc->shard, result, incarnation, commit_ts, now_us);
                break;
        case COORDINATOR_SEND_VALIDATE:
                coordinator_on_validated(c, tc->shard, result, now_us);
                break;
        case COORDINATOR_SEND_END:
                coordinator_on_ended(c, tc->shard, result, incarnation, commit_ts, now_us);
                break;
        default:
                coordinator_on_found(c, tc->shard, result, commit_ts, now_us);
                break;
        }
}

static void on_reply(struct tablet_call *call, const struct tablet_reply *r)
{
        struct transaction_call *tc = CONTAINER_OF(call, struct transaction_call, call);
        struct transaction *t = tc->transaction;

        if (!r->end || tc->is_answered)
                return;
        tc->is_answered = true;
        if (r->failure)
                t->failure = *r->failure;
        note(tc, transaction_result(r->failure), r);
}

/* Its stream has broken, there was none, or its time was up. */
static void on_end(struct tablet_call *call, const struct err *e)
{
        struct transaction_call *tc = CONTAINER_OF(call, struct transaction_call, call);
        struct transaction *t = tc->transaction;

        if (!tc->is_answered && (e->code == ERR_UNAVAILABLE || e->code == ERR_UNKNOWN))
                coordinator_on_lost(t->coordinator, tc->shard, mono_us());
        else if (!tc->is_answered)
                note(tc, TXN_NO_ANSWER, NULL);
        free_call(tc);
        transaction_pump(t);
}

static const char **name_participants(const struct transaction *t, struct arena *arena,
                                      size_t *ret_n)
{
        const struct coordinator *c = t->coordinator;
        const char **names = arena_calloc(arena, coordinator_n_shards(c), sizeof(*names));

        *ret_n = 0;
        assert(names);
        for (size_t i = 0; i < coordinator_n_shards(c); i++) {
                const struct shard_map_entry *e =
                    shard_map_at(catalog_shards(t->catalog), shard_at(t, i));

                if (coordinator_is_participant(c, i))
                        names[(*ret_n)++] = arena_printf(
                            arena, "%llu/%s", (unsigned long long)t->keyspace_id, e->name);
        }
        return names;
}

static void fill_request(const struct transaction *t, const struct coordinator_action *a,
                         struct arena *arena, struct tablet_transaction *x)
{
        switch (a->act) {
        case COORDINATOR_SEND_PREPARE:
                x->verb = TABLET_PREPARE;
                x->min_ts = a->min_ts;
                x->participants = name_participants(t, arena, &x->n_participants);
                break;
        case COORDINATOR_SEND_VALIDATE:
                x->verb = TABLET_VALIDATE;
                x->age = t->age.first_start;
                x->c = &a->c;
                x->commit_ts = a->commit_ts;
                break;
        case COORDINATOR_SEND_END:
                x->verb = TABLET_END;
                x->commit = a->commit;
                x->commit_ts = a->is_lone ? 0 : a->commit_ts;
                x->min_ts = a->min_ts;
                break;
        default:
                x->verb = TABLET_FIND;
                x->fence = a->fence;
                break;
        }
}

static void send(struct transaction *t, const struct coordinator_action *a)
{
        static const struct tablet_call_events events = { on_reply, on_end };
        cleanup_(arena_freep) struct arena *arena = arena_new(NAMES_BYTES);
        const struct shard_map_entry *e =
            shard_map_at(catalog_shards(t->catalog), shard_at(t, a->shard));
        struct transaction_call *tc = xcalloc(1, sizeof(*tc));
        const struct tablet_shard name = { e->name, e->epoch };
        const struct tablet_part part = transaction_part(&a->part);
        struct tablet_transaction x = {
                .keyspace_id = t->keyspace_id,
                .id = t->id,
                .parts = &part,
        };

        tc->transaction = t;
        tc->act = a->act;
        tc->shard = a->shard;
        tc->call.events = &events;
        DL_APPEND(t->calls, tc);
        fill_request(t, a, arena, &x);
        tablet_call_transaction(&tc->call, t->gate->tablets,
                                tablets_find(t->gate->tablets, e->tablet), t->lane, &name, 1, &x,
                                mono_us() + REQUEST_MS * 1000);
}

/* ---- topo */

static enum decision_answer read_answer(const Shoal__V1__TransactionDecision *d)
{
        switch (d->state) {
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED:
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_DONE:
                return DECISION_TELL_COMMITTED;
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_ABORTED:
                return DECISION_TELL_ABORTED;
        case SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_FORGOTTEN:
                return DECISION_TELL_FORGOTTEN;
        default:
                return DECISION_TELL_UNDECIDED;
        }
}

static void take_decision(struct transaction *t, const Shoal__V1__DecideTransactionsResponse *m)
{
        bool known = m && m->n_decisions == 1 &&
                     decision_store_accept(&t->all->store, m->store_id, m->store_revision);

        if (m && !known)
                log_event(LOG_ERROR, "decision_refused", "store=%s revision=%llu", m->store_id,
                          (unsigned long long)m->store_revision);
        coordinator_on_decided(t->coordinator, known,
                               known ? read_answer(m->decisions[0]) : DECISION_TELL_UNDECIDED,
                               known ? m->decisions[0]->commit_ts : 0, mono_us());
}

static void on_decided(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct transaction_decision *d = arg;
        struct transaction *t = d->transaction;
        Shoal__V1__DecideTransactionsResponse *m = NULL;

        free(d);
        if (!t)
                return;
        t->decision = NULL;
        if (e->code == ERR_OK)
                m = shoal__v1__decide_transactions_response__unpack(NULL, n_bytes, body);
        if (e->code && strcmp(e->reason, "GATE_LEASE_ENDED") == 0)
                coordinator_on_decided(t->coordinator, true, DECISION_TELL_FORGOTTEN, 0, mono_us());
        else
                take_decision(t, m);
        if (m)
                shoal__v1__decide_transactions_response__free_unpacked(m, NULL);
        transaction_pump(t);
}

static void decide(struct transaction *t, const struct coordinator_action *a)
{
        cleanup_(arena_freep) struct arena *arena = arena_new(NAMES_BYTES);
        Shoal__V1__DecideTransactionsRequest m = SHOAL__V1__DECIDE_TRANSACTIONS_REQUEST__INIT;
        Shoal__V1__TransactionDecision d = SHOAL__V1__TRANSACTION_DECISION__INIT, *list = &d;
        Shoal__V1__TransactionId id = SHOAL__V1__TRANSACTION_ID__INIT;

        id.epoch = t->id.epoch;
        id.start = t->id.start;
        id.counter = t->id.counter;
        d.id = &id;
        d.state = a->commit ? SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED
                            : SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_ABORTED;
        d.commit_ts = a->commit_ts;
        d.participants = (char **)name_participants(t, arena, &d.n_participants);
        m.gate = (char *)topology_gate_id(t->gate->topology);
        m.decisions = &list;
        m.n_decisions = 1;
        m.oldest_counter = transactions_oldest(t->all);
        t->decision = xcalloc(1, sizeof(*t->decision));
        t->decision->transaction = t;
        rpc_unary(t->gate->topo, "/shoal.v1.TopoInternal/DecideTransactions", rpc_pack(&m.base),
                  mono_us() + DECIDE_MS * 1000, on_decided, t->decision);
}

/* ---- whoever waits */

static void make_error(const struct transaction *t, const struct coordinator_action *a,
                       struct err *ret_err)
{
        char id[TXN_ID_BYTES];

        txn_id_print(&t->id, id);
        *ret_err = (struct err)ERR_INIT;
        if (a->outcome == COORDINATOR_COMMITTED)
                return;
        if (a->outcome == COORDINATOR_UNKNOWN)
                err_set(ret_err, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                        "it is not known yet whether transaction %s was committed; COMMIT and "
                        "GetTransaction tell later",
                        id);
        else if (a->result == TXN_FAILED && t->failure.code)
                *ret_err = t->failure;
        else
                (void)txn_result_err(a->result ? a->result : TXN_ROLLED_BACK, id, ret_err);
}

static void tell(struct transaction *t, const struct coordinator_action *a)
{
        struct transaction_end *w = TAKE(t->waiting);
        struct err e;

        t->is_committed = a->outcome == COORDINATOR_COMMITTED;
        if (!w)
                return;
        make_error(t, a, &e);
        w->done(w, a->outcome, a->commit_ts, &e);
}

/* ---- what is to be done */

static void on_timer(struct loop_timer *timer)
{
        struct transaction *t = CONTAINER_OF(timer, struct transaction, timer);

        coordinator_tick(t->coordinator, mono_us());
        transaction_pump(t);
}

static void set_timer(struct transaction *t)
{
        int64_t at_us = coordinator_deadline(t->coordinator);

        t->timer.fn = on_timer;
        if (at_us == INT64_MAX)
                loop_timer_cancel(t->gate->loop, &t->timer);
        else
                loop_timer_set(t->gate->loop, &t->timer, at_us);
}

void transaction_pump(struct transaction *t)
{
        struct coordinator_action a;

        if (t->is_pumping)
                return;
        t->is_pumping = true;
        while (coordinator_next(t->coordinator, &a)) {
                switch (a.act) {
                case COORDINATOR_SEND_PREPARE:
                case COORDINATOR_SEND_VALIDATE:
                case COORDINATOR_SEND_END:
                case COORDINATOR_SEND_FIND:
                        send(t, &a);
                        break;
                case COORDINATOR_DECIDE:
                        decide(t, &a);
                        break;
                case COORDINATOR_TELL:
                        tell(t, &a);
                        break;
                case COORDINATOR_ENDED:
                        t->has_ended = true;
                        break;
                }
        }
        t->is_pumping = false;
        set_timer(t);
        if (t->has_ended && t->is_left)
                transaction_destroy(t);
}

static void on_soon(struct loop_timer *timer)
{
        struct transaction *t = CONTAINER_OF(timer, struct transaction, soon);

        transaction_pump(t);
}

void transaction_commit(struct transaction *t, struct transaction_end *w, int64_t deadline_us)
{
        assert(!t->waiting && !t->is_left);
        t->waiting = w;
        coordinator_commit(t->coordinator, mono_us(), deadline_us);
        t->soon.fn = on_soon;
        loop_timer_set(t->gate->loop, &t->soon, 0);
}

void transaction_forget_wait(struct transaction *t, struct transaction_end *w)
{
        if (t->waiting == w)
                t->waiting = NULL;
}

/* Whoever asks for the largest rowid sees what there is from now on; but for what is in doubt. */
static void end_holds(struct transaction *t)
{
        enum coordinator_state state = coordinator_state(t->coordinator);

        if (t->is_committed)
                sequence_holds_end(&t->holds, SEQUENCE_COMMITTED);
        else if (state == COORDINATOR_IS_ACTIVE || state == COORDINATOR_IS_ENDED ||
                 state == COORDINATOR_IS_ABORTING)
                sequence_holds_end(&t->holds, SEQUENCE_ROLLED_BACK);
        else
                sequence_holds_end(&t->holds, SEQUENCE_IN_DOUBT);
}

struct transaction *transaction_free(struct transaction *t)
{
        if (!t)
                return NULL;
        t->is_left = true;
        t->waiting = NULL;
        end_holds(t);
        if (coordinator_state(t->coordinator) == COORDINATOR_IS_ACTIVE)
                coordinator_abort(t->coordinator, TXN_ROLLED_BACK, mono_us());
        transaction_release_pins(t);
        t->soon.fn = on_soon;
        loop_timer_set(t->gate->loop, &t->soon, 0);
        return NULL;
}
