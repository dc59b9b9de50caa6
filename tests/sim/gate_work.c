/* gate_work.c - what sessions do, and what they are told. */
#include <assert.h>
#include <string.h>

#include "tests/sim/sim.h"

enum { MAX_WORKS = 90 };

void work_finish(struct session *s)
{
        s->is_busy = false;
        s->is_cutting = false;
        s->wakes = true;
        s->n_open = 0;
}

unsigned work_new_tag(struct session *s, enum work_kind kind)
{
        assert(w.n_tags < MAX_TAGS);
        w.works[w.n_tags] =
            (struct work){ .kind = kind, .isolation = w.isolation, .deps = s->seen };
        return w.n_tags++;
}

/* ---------------------------------------------------------------- what was seen */

/* A shard of what is read as one moment. */
void work_read_shard(struct session *s, unsigned shard, const struct tags *tags, uint64_t c,
                     const struct tags *told, bool is_held)
{
        s->reading.has[shard] = true;
        s->reading.is_held[shard] = is_held;
        s->reading.tags[shard] = *tags;
        s->reading.c[shard] = c;
        s->reading.told[shard] = *told;
}

void work_begin_reading(struct session *s)
{
        s->reading = (struct seen){ .tag = s->tag, .session_seen = s->seen };
        s->told_before = w.told;
}

void work_end_reading(struct session *s, uint8_t key)
{
        struct work *work = &w.works[s->tag];

        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (!s->reading.has[i])
                        continue;
                if (work->kind == WORK_TXN && work->isolation != COORDINATOR_READ_COMMITTED &&
                    work->has_read[i] &&
                    memcmp(&work->read_seen[i], &s->reading.tags[i], sizeof(struct tags)))
                        violate("tag %u: a second read of shard %u shows something else", s->tag,
                                i);
                if (!work->has_read[i])
                        work->read_seen[i] = s->reading.tags[i];
                work->has_read[i] = true;
                work->reads[i] |= key;
        }
        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (s->reading.has[i])
                        trace("tag %u (kind %d, level %d) reads shard %u as of %llu%s", s->tag,
                              (int)work->kind, (int)work->isolation, i,
                              (unsigned long long)s->reading.c[i],
                              s->reading.is_held[i] ? ", held" : "");
        }
        if (w.n_seen < MAX_SEEN)
                w.seen[w.n_seen++] = s->reading;
}

/* What the session has seen for good. */
void work_remember(struct session *s)
{
        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (s->reading.has[i]) {
                        tags_unite(&s->seen, &s->reading.tags[i]);
                        s->ts = s->reading.c[i] > s->ts ? s->reading.c[i] : s->ts;
                }
        }
}

uint8_t work_some_shards(unsigned n)
{
        uint8_t shards = 0;

        while ((unsigned)__builtin_popcount(shards) < n)
                shards |= (uint8_t)(1u << chance(N_SHARDS));
        return shards;
}

/* ---------------------------------------------------------------- transactions: statements */

static void next_op(struct session *s);

static void end_work(struct session *s)
{
        struct work *work = &w.works[s->tag];

        for (unsigned i = 0; i < N_SHARDS; i++) {
                work->writes[i] = 0;
                work->n_writes[i] = (unsigned)s->n_done[i];
                for (size_t k = 0; k < s->n_done[i]; k++)
                        work->writes[i] |= s->done[i][k].key;
        }
        if (chance(12) == 0)
                coordinator_abort(s->coordinator, TXN_ROLLED_BACK, w.now);
        else
                coordinator_commit(s->coordinator, w.now,
                                   w.now + 10 * MS + (int64_t)chance(60 * MS));
        session_pump(s);
}

static void op_done(struct session *s)
{
        if (s->n_open || s->is_cutting)
                return;
        if (coordinator_doom(s->coordinator)) {
                coordinator_commit(s->coordinator, w.now, INT64_MAX);
                session_pump(s);
                return;
        }
        if (s->ops[s->i_op].kind == OP_READ) {
                work_end_reading(s, s->ops[s->i_op].key);
                work_remember(s);
        }
        s->i_op++;
        next_op(s);
}

/* The statement did not work out, in such a way that there is no point in going on. */
static void give_up(struct session *s)
{
        s->n_open = 0;
        s->is_cutting = false;
        coordinator_abort(s->coordinator, TXN_ROLLED_BACK, w.now);
        session_pump(s);
}

static void send_part(struct session *s, unsigned shard, enum participant_kind kind, bool is_write,
                      uint8_t key)
{
        size_t k = coordinator_shard(s->coordinator, shard);
        struct coordinator_part part;
        struct message m = { .kind = MESSAGE_PART,
                             .shard = shard,
                             .is_write = is_write,
                             .key = key,
                             .savepoint = s->savepoint,
                             .schema = gate_of(s)->schema[shard] };

        coordinator_take_part(s->coordinator, k, kind == PARTICIPANT_EXECUTE ? s->savepoint : 0,
                              &part);
        m.part = (struct participant_request){
                .kind = kind,
                .age = { .first_start = s->first_start, .id = w.works[s->tag].id },
                .incarnation = part.incarnation,
                .n_statements = part.n_statements,
                .expect_c = part.expect_c,
                .max_c = part.max_c,
                .savepoint = s->savepoint,
        };
        session_send(s, &m, ASKED_PART);
}

static void on_part_reply(struct session *s, const struct open_request *o, const struct message *m)
{
        size_t k = coordinator_shard(s->coordinator, o->shard);
        struct op *op = &s->ops[s->i_op];

        if (!m) {
                coordinator_on_part(s->coordinator, k, TXN_NO_ANSWER, 0, 0, 0);
                op_done(s);
                return;
        }
        coordinator_on_part(s->coordinator, k, m->result,
                            m->is_refused ? 0 : m->part.ret_incarnation,
                            m->is_refused ? 0 : m->part.ret_n_statements, m->part.ret_last_ts);
        if (m->result) {
                if (!coordinator_doom(s->coordinator) && (op->kind != OP_WRITE)) {
                        give_up(s);
                        return;
                }
        } else if (op->kind == OP_WRITE) {
                s->done[o->shard][s->n_done[o->shard]++] =
                    (struct op_done){ .savepoint = s->savepoint, .key = op->key };
        } else if (op->kind == OP_READ) {
                work_read_shard(s, o->shard, &m->seen, m->c, &s->told_before, true);
        } else {
                coordinator_on_undone(s->coordinator, k, s->savepoint);
        }
        op_done(s);
}

/* Those it takes part in, of the statement: only once the others are pinned, since what they answer
 * is of one moment with the pins if nobody else can have committed there before those were taken.
 */
static void read_participants(struct session *s)
{
        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (s->to_ask >> i & 1)
                        send_part(s, i, PARTICIPANT_EXECUTE, false, 0);
        }
        s->to_ask = 0;
}

static void begin_op_read(struct session *s, const struct op *op)
{
        uint64_t seen_c, seen_e;
        uint8_t to_pin = 0;

        work_begin_reading(s);
        s->to_ask = 0;
        for (unsigned i = 0; i < N_SHARDS; i++) {
                size_t k;

                if (!(op->shards >> i & 1))
                        continue;
                k = coordinator_shard(s->coordinator, i);
                if (coordinator_is_participant(s->coordinator, k))
                        s->to_ask |= (uint8_t)(1u << i);
                else if (coordinator_has_pin(s->coordinator, k))
                        work_read_shard(s, i, &s->pinned[i], s->pinned_c[i], &s->pinned_told[i],
                                        false);
                else
                        to_pin |= (uint8_t)(1u << i);
        }
        if (to_pin) {
                coordinator_seen(s->coordinator, &seen_c, &seen_e);
                session_begin_cut(s, to_pin, seen_c, seen_e);
                return;
        }
        read_participants(s);
        op_done(s);
}

void session_on_cut(struct session *s, bool is_accepted)
{
        bool is_txn = s->kind == WORK_TXN;

        if (!is_accepted) {
                if (is_txn)
                        give_up(s);
                else
                        work_finish(s);
                return;
        }
        for (size_t i = 0; i < s->cut.n_pins; i++) {
                unsigned shard = s->cut_shard[i];

                if (shard == N_SHARDS)
                        continue;
                work_read_shard(s, shard, &s->pinned[shard], s->pinned_c[shard],
                                &s->pinned_told[shard], false);
                if (is_txn)
                        coordinator_on_pin(s->coordinator, coordinator_shard(s->coordinator, shard),
                                           s->pins[i].c, s->pins[i].e, false);
        }
        if (is_txn) {
                read_participants(s);
                op_done(s);
                return;
        }
        work_end_reading(s, 1);
        work_remember(s);
        work_finish(s);
}

static void roll_back_to(struct session *s)
{
        for (unsigned i = 0; i < N_SHARDS; i++) {
                size_t k = coordinator_shard(s->coordinator, i), n = 0;

                if (coordinator_knows_savepoint(s->coordinator, k, s->savepoint))
                        send_part(s, i, PARTICIPANT_SAVEPOINT, false, 0);
                for (size_t j = 0; j < s->n_done[i]; j++) {
                        if (s->done[i][j].savepoint < s->savepoint)
                                s->done[i][n++] = s->done[i][j];
                }
                s->n_done[i] = n;
        }
}

static void next_op(struct session *s)
{
        const struct op *op = &s->ops[s->i_op];

        if (s->i_op == s->n_ops) {
                end_work(s);
                return;
        }
        switch (op->kind) {
        case OP_READ:
                begin_op_read(s, op);
                return;
        case OP_WRITE:
                send_part(s, (unsigned)__builtin_ctz(op->shards), PARTICIPANT_EXECUTE, true,
                          op->key);
                return;
        case OP_SAVEPOINT:
                s->savepoint = coordinator_new_savepoint(s->coordinator);
                break;
        case OP_ROLLBACK_TO:
                if (s->savepoint)
                        roll_back_to(s);
                break;
        }
        op_done(s);
}

/* ---------------------------------------------------------------- transactions: begin and end */

static void begin_txn(struct session *s, bool is_retry)
{
        struct coordinator_options o = { .retry_us = 3 * MS };
        struct gate *g = gate_of(s);
        struct work *work;

        s->tag = work_new_tag(s, WORK_TXN);
        work = &w.works[s->tag];
        work->id = (struct txn_id){ .epoch = g->epoch,
                                    .start = hlc_tick(clock_of(session_node(s))),
                                    .counter = ++g->counter };
        if (!is_retry)
                s->first_start = work->id.start;
        s->coordinator =
            coordinator_new(&o, &(struct txn_age){ .first_start = s->first_start, .id = work->id },
                            w.isolation, s->ts);
        s->i_op = 0;
        s->savepoint = 0;
        memset(s->n_done, 0, sizeof s->n_done);
        s->is_busy = true;
        s->kind = WORK_TXN;
        s->reading = (struct seen){ 0 };
        next_op(s);
}

static void make_ops(struct session *s)
{
        s->n_ops = 1 + chance(MAX_OPS - 1);
        s->n_retries = 0;
        for (size_t i = 0; i < s->n_ops; i++) {
                struct op *op = &s->ops[i];
                uint64_t dice = chance(10);

                *op = (struct op){ .kind = OP_WRITE,
                                   .shards = work_some_shards(1),
                                   .key = (uint8_t)(1u << chance(N_KEYS)) };
                if (dice < 4) {
                        op->kind = OP_READ;
                        op->shards = work_some_shards(1 + (unsigned)chance(3));
                } else if (dice == 4) {
                        op->kind = chance(2) ? OP_SAVEPOINT : OP_ROLLBACK_TO;
                }
        }
}

void session_next(struct session *s)
{
        uint64_t dice = chance(21);

        if (w.n_tags >= MAX_WORKS)
                return;
        s->is_busy = true;
        s->n_open = 0;
        s->reading = (struct seen){ 0 };
        s->kind = dice < 10   ? WORK_TXN
                  : dice < 13 ? WORK_SCATTER
                  : dice < 16 ? WORK_READ
                  : dice < 20 ? WORK_WRITE
                              : WORK_ASK;
        switch (s->kind) {
        case WORK_TXN:
                make_ops(s);
                begin_txn(s, false);
                break;
        case WORK_SCATTER:
                single_begin_scatter(s);
                break;
        case WORK_READ:
                single_begin_read(s);
                break;
        case WORK_WRITE:
                single_begin_write(s);
                break;
        case WORK_ASK:
                if (w.n_tags && w.works[w.n_tags - 1].kind == WORK_TXN)
                        single_begin_ask(s);
                else
                        work_finish(s);
                break;
        }
        session_pump(s);
}

void session_on_told(struct session *s, const struct coordinator_action *a)
{
        uint64_t seen_c, seen_e;

        trace("tag %u is told %d (%s) at %llu", s->tag, (int)a->outcome, txn_result_name(a->result),
              (unsigned long long)a->commit_ts);
        coordinator_seen(s->coordinator, &seen_c, &seen_e);
        s->ts = seen_c > s->ts ? seen_c : s->ts;
        s->last_told = a->outcome;
        switch (a->outcome) {
        case COORDINATOR_COMMITTED:
                check_told(s->tag, a->outcome, a->commit_ts);
                tags_add(&s->seen, s->tag);
                s->ts = a->commit_ts > s->ts ? a->commit_ts : s->ts;
                break;
        case COORDINATOR_ABORTED:
                check_told(s->tag, a->outcome, 0);
                break;
        case COORDINATOR_REFUSED:
                coordinator_abort(s->coordinator, TXN_ROLLED_BACK, w.now);
                break;
        case COORDINATOR_UNKNOWN:
                check_told(s->tag, a->outcome, 0);
                if (chance(4) == 0) {
                        /* The session has ended, and nobody is left to ask. */
                        s->coordinator = coordinator_free(s->coordinator);
                        work_finish(s);
                } else if (coordinator_state(s->coordinator) != COORDINATOR_IS_ENDED) {
                        coordinator_commit(s->coordinator, w.now,
                                           w.now + 10 * MS + (int64_t)chance(60 * MS));
                }
                break;
        }
}

void session_on_ended(struct session *s)
{
        s->n_open = 0;
        if (s->last_told == COORDINATOR_ABORTED && s->n_retries < 2 && chance(2) && !w.is_calm &&
            w.n_tags < MAX_WORKS && gate_of(s)->epoch) {
                s->n_retries++;
                w.n_aborts++;
                begin_txn(s, true);
                return;
        }
        work_finish(s);
}

/* ---------------------------------------------------------------- replies */

void session_on_reply(struct session *s, const struct open_request *o, const struct message *m)
{
        struct coordinator *c = s->coordinator;
        size_t k = c && o->shard < N_SHARDS ? coordinator_shard(c, o->shard) : 0;
        enum txn_result result = m ? m->result : TXN_NO_ANSWER;
        bool answers = m && !m->is_refused;

        switch (o->what) {
        case ASKED_PART:
                on_part_reply(s, o, m);
                break;
        case ASKED_PREPARE:
                coordinator_on_prepared(c, k, result, answers ? m->part.ret_incarnation : 0,
                                        m ? m->part.ret_commit_ts : 0, w.now);
                break;
        case ASKED_VALIDATE:
                coordinator_on_validated(c, k, result, w.now);
                break;
        case ASKED_END:
                coordinator_on_ended(c, k, result, answers ? m->part.ret_incarnation : 0,
                                     m ? m->part.ret_commit_ts : 0, w.now);
                break;
        case ASKED_FIND:
                coordinator_on_found(c, k, result, m ? m->part.ret_commit_ts : 0, w.now);
                break;
        case ASKED_DECIDE:
                coordinator_on_decided(c, m, m ? m->answer : DECISION_TELL_UNDECIDED,
                                       m ? m->commit_ts : 0, w.now);
                break;
        case ASKED_PIN:
                session_on_pin(s, o->shard, m);
                break;
        case ASKED_READ:
                single_on_read_reply(s, o->shard, m);
                break;
        case ASKED_WRITE:
                single_on_write_reply(s, m);
                break;
        case ASKED_FENCE:
                single_on_fence_reply(s, o->shard, m);
                break;
        }
        session_pump(s);
}
