/* tablet.c - a tablet: files that survive or do not, requests, pins, and starting again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

/* ---------------------------------------------------------------- what a shard's file says */

static const struct commit *last_commit(const struct shard *s)
{
        static const struct commit none;

        return s->n_commits ? &s->commits[s->n_commits - 1] : &none;
}

uint64_t shard_last_ts(const struct shard *s)
{
        return last_commit(s)->ts;
}

uint64_t shard_floor(const struct shard *s)
{
        return last_commit(s)->floor;
}

uint64_t shard_horizon(const struct shard *s)
{
        return last_commit(s)->horizon;
}

uint64_t shard_schema(const struct shard *s)
{
        return last_commit(s)->schema;
}

bool shard_applied(const struct shard *s, const struct txn_id *id, uint64_t *ret_ts)
{
        if (id->start <= shard_horizon(s))
                return false;
        for (size_t i = 0; i < s->n_commits; i++) {
                if (txn_id_equal(&s->commits[i].id, id)) {
                        *ret_ts = s->commits[i].applied_ts;
                        return true;
                }
        }
        return false;
}

static void look_at_file(struct shard *s)
{
        s->there = (struct tags){ 0 };
        for (size_t i = 0; i < s->n_commits; i++) {
                for (size_t k = 0; k < s->commits[i].n_members; k++)
                        tags_add(&s->there, s->commits[i].members[k].tag);
        }
        shard_show(s);
}

void shard_show(struct shard *s)
{
        s->n_visible = s->n_commits;
        s->visible = s->there;
}

/* What c does not change stays as it was. */
void shard_append(struct shard *s, struct commit *c)
{
        const struct commit *last = last_commit(s);

        assert(s->n_commits < MAX_COMMITS);
        if (!c->ts)
                c->ts = last->ts;
        else if (c->ts <= last->ts)
                violate("shard %u: commit at %llu after %llu", s->number, (unsigned long long)c->ts,
                        (unsigned long long)last->ts);
        if (c->floor < last->floor)
                c->floor = last->floor;
        if (c->horizon < last->horizon)
                c->horizon = last->horizon;
        c->schema = last->schema + (c->kind == COMMIT_SCHEMA);
        check_commit(s, c);
        s->commits[s->n_commits++] = *c;
        s->has_doubt = false;
        for (size_t k = 0; k < c->n_members; k++)
                tags_add(&s->there, c->members[k].tag);
        w.n_commits++;
}

unsigned tag_of(const struct txn_id *id)
{
        for (unsigned i = 0; i < w.n_tags; i++) {
                if (txn_id_equal(&w.works[i].id, id))
                        return i;
        }
        assert(!"nobody's id");
        return 0;
}

/* ---------------------------------------------------------------- requests */

/* Of all tablets. Those that a crash has left inside a participant go with the schedule. */
enum { MAX_REQUESTS = 4096 };
static struct request requests[MAX_REQUESTS];
static struct request *free_requests;
static size_t n_requests;

static struct request *request_new(const struct message *m)
{
        struct request *rq = free_requests;

        if (rq) {
                free_requests = rq->next_free;
        } else {
                assert(n_requests < MAX_REQUESTS);
                rq = &requests[n_requests++];
        }
        *rq = (struct request){ .is_used = true, .r = m->part, .m = *m };
        rq->r.stream = m->stream;
        return rq;
}

void request_free(struct request *rq)
{
        assert(rq->is_used);
        rq->is_used = false;
        rq->next_free = free_requests;
        free_requests = rq;
}

void shard_reply(struct shard *s, struct request *rq, enum txn_result result, bool is_refused)
{
        struct message reply = rq->m;

        reply.kind = MESSAGE_TABLET_REPLY;
        reply.was = rq->m.kind;
        reply.from = rq->m.to;
        reply.to = rq->m.from;
        reply.part = rq->r;
        reply.result = result;
        reply.is_refused = is_refused;
        reply.seen = rq->seen;
        trace("shard %u answers tag %u, request %llu: %s%s, incarnation %llx, count %llu",
              s->number, rq->m.tag, (unsigned long long)rq->m.number, txn_result_name(result),
              is_refused ? ", refused" : "", (unsigned long long)rq->r.ret_incarnation,
              (unsigned long long)rq->r.ret_n_statements);
        w.works[rq->m.tag].waits_on &= (uint8_t) ~(1u << s->number);
        reply.schema = shard_schema(s);
        if (w.has_stream[rq->m.stream])
                post(&reply);
        request_free(rq);
}

static bool is_known_request(const struct shard *s, uint64_t request_id)
{
        const struct work *work;

        for (size_t i = 0; i < s->n_commits; i++) {
                for (size_t k = 0; k < s->commits[i].n_members; k++) {
                        work = &w.works[s->commits[i].members[k].tag];
                        if (work->request_id == request_id)
                                return true;
                }
        }
        return false;
}

bool shard_has_request(const struct shard *s, uint64_t request_id)
{
        return request_id && !has_flaw(FLAW_REQUEST_IDS) && is_known_request(s, request_id);
}

/* ---------------------------------------------------------------- pins */

static void on_pinned(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct request *rq = s->pinning[e->d];

        s->pinning[e->d] = NULL;
        rq->seen = s->visible;
        rq->m.c = s->n_visible ? s->commits[s->n_visible - 1].ts : 0;
        rq->m.e = txn_clock_exact(rq->m.c, e->b, e->c);
        shard_reply(s, rq, TXN_OK, false);
}

/* Between the clock and the snapshot anything may happen. */
static void pin(struct shard *s, struct request *rq)
{
        struct event *e;
        uint64_t floor, pending, i = 0;

        while (i < MAX_QUEUE && s->pinning[i])
                i++;
        if (i == MAX_QUEUE) {
                shard_reply(s, rq, TXN_FAILED, true);
                return;
        }
        txn_clock_pin(&s->clock, rq->m.read_ts, &floor, &pending);
        s->pinning[i] = rq;
        e = after((int64_t)chance(100), s->tablet, on_pinned);
        e->a = s->number;
        e->b = floor;
        e->c = pending;
        e->d = i;
}

/* Those that wait for the clock. */
static void look_again(struct shard *s)
{
        size_t n = s->n_pins;

        s->n_pins = 0;
        for (size_t i = 0; i < n; i++) {
                struct request *rq = s->pins[i];

                if (txn_clock_settle(&s->clock, rq->m.read_ts)) {
                        pin(s, rq);
                } else {
                        participant_want_floor(s->participant, rq->m.read_ts, w.now);
                        s->pins[s->n_pins++] = rq;
                }
        }
}

static void on_pin(struct shard *s, struct request *rq)
{
        if (hlc_check(clock_of(s->tablet), rq->m.read_ts, NULL) ||
            !participant_is_serving(s->participant) || s->n_pins == MAX_QUEUE) {
                shard_reply(s, rq, TXN_FAILED, true);
                return;
        }
        if (!rq->m.is_settled) {
                participant_want_floor(s->participant, rq->m.read_ts, w.now);
                pin(s, rq);
                return;
        }
        s->pins[s->n_pins++] = rq;
        look_again(s);
}

/* ---------------------------------------------------------------- messages */

static void on_write(struct shard *s, struct request *rq)
{
        if (s->n_queue == MAX_QUEUE) {
                shard_reply(s, rq, TXN_FAILED, true);
                return;
        }
        s->queue[s->n_queue++] = rq;
        participant_want_batch(s->participant, w.now);
}

static void on_topo_reply(unsigned tablet, struct message *m)
{
        struct shard *s = &w.shards[m->shard];

        if (!s->participant || s->tablet != tablet)
                return;
        if (m->was == MESSAGE_REPORT) {
                if (m->answer == DECISION_TELL_COMMITTED || m->answer == DECISION_TELL_FORGOTTEN)
                        participant_reported(s->participant, &m->id, w.now);
                else
                        violate("topo answers %d for tag %u, which shard %u has committed",
                                (int)m->answer, m->tag, m->shard);
        } else if (m->answer == DECISION_TELL_COMMITTED || m->answer == DECISION_TELL_ABORTED) {
                participant_decided(s->participant, &m->id, m->answer == DECISION_TELL_COMMITTED,
                                    m->commit_ts, w.now);
        } else if (m->answer == DECISION_TELL_UNDECIDED && m->boot == w.nodes[tablet].boot) {
                participant_undecided(s->participant, &m->id, w.now);
        } else if (m->answer == DECISION_TELL_FORGOTTEN) {
                violate("topo has forgotten what shard %u has redo of", m->shard);
        }
        shard_pump(s);
}

void tablet_on_message(struct message *m)
{
        struct shard *s = &w.shards[m->shard];
        struct request *rq;

        if (m->kind == MESSAGE_TOPO_REPLY) {
                on_topo_reply(m->to, m);
                return;
        }
        rq = request_new(m);
        trace("shard %u is asked by tag %u, request %llu: message %d, kind %d, count %llu, %s",
              s->number, m->tag, (unsigned long long)m->number, (int)m->kind, (int)m->part.kind,
              (unsigned long long)m->part.n_statements,
              s->participant ? participant_state_name(participant_state(s->participant)) : "away");
        if (hlc_observe(clock_of(m->to), m->hlc, NULL) || !s->participant ||
            ((m->kind == MESSAGE_WRITE || (m->kind == MESSAGE_PART && !m->part.incarnation &&
                                           m->part.kind == PARTICIPANT_EXECUTE)) &&
             m->schema != shard_schema(s))) {
                shard_reply(s, rq, TXN_FAILED, true);
                return;
        }
        switch (m->kind) {
        case MESSAGE_PIN:
        case MESSAGE_READ:
                on_pin(s, rq);
                break;
        case MESSAGE_WRITE:
                on_write(s, rq);
                break;
        default:
                if (m->part.kind == PARTICIPANT_EXECUTE && !m->part.incarnation)
                        w.works[m->tag].waits_on |= (uint8_t)(1u << s->number);
                participant_request(s->participant, &rq->r, w.now);
        }
        shard_pump(s);
        check_waiting(m->tag);
}

void tablet_on_stream_lost(unsigned tablet, uint64_t stream)
{
        for (unsigned i = 0; i < N_SHARDS; i++) {
                struct shard *s = &w.shards[i];

                if (s->tablet != tablet || !s->participant)
                        continue;
                participant_stream_lost(s->participant, stream, w.now);
                shard_pump(s);
        }
}

void shard_pump(struct shard *s)
{
        struct participant_action a;

        while (s->participant && participant_next(s->participant, &a)) {
                switch (a.act) {
                case PARTICIPANT_DO_ANSWER:
                        shard_reply(s, CONTAINER_OF(a.request, struct request, r),
                                    a.request->result, !a.request->ret_n_statements);
                        break;
                case PARTICIPANT_DO_LOOK_AGAIN:
                        look_again(s);
                        break;
                case PARTICIPANT_DO_ALARM:
                        violate("alarm of shard %u: %s", s->number, a.text);
                        break;
                default:
                        shard_do(s, &a);
                }
        }
}

/* ---------------------------------------------------------------- life */

static void on_recover(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct tablet *t = &w.tablets[s->tablet];
        struct participant_redo redo[MAX_REDO];
        uint64_t floor = shard_floor(s), ts;
        size_t n = 0;

        if (!has_flaw(FLAW_OPENED_UNSYNCED)) {
                s->n_synced = s->n_commits;
                t->n_redo_synced = t->n_redo;
        }
        for (size_t i = 0; i < t->n_redo; i++) {
                const struct redo *r = &t->redo[i];

                if (r->shard != s->number)
                        continue;
                if (r->floor) {
                        floor = r->floor > floor ? r->floor : floor;
                        continue;
                }
                redo[n++] = (struct participant_redo){
                        .age = r->age,
                        .vote = r->vote,
                        .position = r->position,
                        .state = !shard_applied(s, &r->age.id, &ts) ? PARTICIPANT_REDO_PREPARED
                                 : ts                               ? PARTICIPANT_REDO_COMMITTED
                                                                    : PARTICIPANT_REDO_ENDED,
                };
        }
        txn_clock_init(&s->clock, shard_last_ts(s), floor);
        participant_recover(s->participant, redo, n, shard_horizon(s), w.now);
        shard_pump(s);
}

void tablet_start(unsigned tablet)
{
        struct participant_options o = {
                .idle_us = 100 * MS,
                .total_us = 150 * MS,
                .ask_after_us = 10 * MS,
                .ask_every_us = 10 * MS,
                .sync_after_us = (int64_t)chance(10 * MS) + 1,
        };

        for (unsigned i = 0; i < N_SHARDS; i++) {
                struct shard *s = &w.shards[i];

                if (s->tablet != tablet)
                        continue;
                look_at_file(s);
                s->participant =
                    participant_new(&o, &s->clock, clock_of(tablet), chance(UINT64_MAX - 1) + 1);
                after((int64_t)chance(2 * MS), tablet, on_recover)->a = i;
        }
}

static void forget_requests(struct request **list, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (list[i])
                        request_free(list[i]);
                list[i] = NULL;
        }
}

/* Everything in memory. Requests inside the participant go with the pool. */
static void forget(struct shard *s)
{
        s->participant = participant_free(s->participant);
        for (unsigned i = 0; i < w.n_tags; i++)
                w.works[i].waits_on &= (uint8_t) ~(1u << s->number);
        s->writing.is_open = false;
        forget_requests(s->queue, s->n_queue);
        forget_requests(s->batch, s->n_batch);
        forget_requests(s->pins, s->n_pins);
        forget_requests(s->pinning, MAX_QUEUE);
        s->n_queue = s->n_batch = s->n_pins = 0;
}

void tablet_crash(unsigned tablet, bool loses_power)
{
        struct tablet *t = &w.tablets[tablet];

        for (unsigned i = 0; i < N_SHARDS; i++) {
                struct shard *s = &w.shards[i];

                if (s->tablet != tablet)
                        continue;
                forget(s);
                if (s->has_doubt && chance(2))
                        shard_append(s, &s->doubt);
                s->has_doubt = false;
                if (loses_power) {
                        s->n_commits = s->n_synced + chance(s->n_commits - s->n_synced + 1);
                        s->n_synced = s->n_commits;
                }
                look_at_file(s);
        }
        if (loses_power) {
                t->n_redo = t->n_redo_synced + chance(t->n_redo - t->n_redo_synced + 1);
                t->n_redo_synced = t->n_redo;
        }
}

void tablets_done(void)
{
        for (unsigned i = 0; i < N_SHARDS; i++)
                forget(&w.shards[i]);
        free_requests = NULL;
        n_requests = 0;
}

/* ---------------------------------------------------------------- what may go */

static bool is_needed(const struct redo *r, uint64_t position)
{
        if (r->floor)
                return r->floor > shard_floor(&w.shards[r->shard]);
        return r->position >= position;
}

/* Cuts the log, as far as it may be. */
void tablet_collect(unsigned tablet)
{
        struct tablet *t = &w.tablets[tablet];
        uint64_t position = t->last_position + 1;
        size_t n = 0, n_synced = 0;

        if (!w.nodes[tablet].is_up)
                return;
        for (unsigned i = 0; i < N_SHARDS; i++) {
                struct shard *s = &w.shards[i];
                uint64_t needed;

                if (s->tablet != tablet)
                        continue;
                if (participant_state(s->participant) == PARTICIPANT_IS_DOWN ||
                    participant_state(s->participant) == PARTICIPANT_IS_VOTING)
                        return;
                needed = participant_redo_needed(s->participant);
                position = needed < position ? needed : position;
        }
        for (size_t i = 0; i < t->n_redo; i++) {
                if (!is_needed(&t->redo[i], position))
                        continue;
                n_synced += i < t->n_redo_synced;
                t->redo[n++] = t->redo[i];
        }
        t->n_redo = n;
        t->n_redo_synced = n_synced;
        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (w.shards[i].tablet == tablet)
                        participant_redo_cut(w.shards[i].participant, position);
        }
}
