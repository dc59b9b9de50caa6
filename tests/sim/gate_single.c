/* gate_single.c - what sessions do outside of transactions: reads, writes, and asking about others.
 */
#include "tests/sim/sim.h"

static void send_write(struct session *s)
{
        struct message m = {
                .kind = MESSAGE_WRITE,
                .shard = s->shard,
                .key = s->key,
                .read_ts = txn_rule(TXN_RULE_SESSION) ? s->ts : 0,
                .schema = gate_of(s)->schema[s->shard],
                .request_id = w.works[s->tag].request_id,
                .is_write = true,
        };

        s->n_tries++;
        session_send(s, &m, ASKED_WRITE);
}

void single_begin_write(struct session *s)
{
        s->tag = work_new_tag(s, WORK_WRITE);
        s->shard = (unsigned)chance(N_SHARDS);
        s->key = chance(12) ? (uint8_t)(1u << chance(N_KEYS)) : 0;
        s->n_tries = 0;
        /* Streams do not repeat messages; all else needs an id. */
        w.works[s->tag].request_id = !w.has_streams || chance(2) ? s->tag + 1 : 0;
        w.works[s->tag].writes[s->shard] = s->key;
        w.works[s->tag].lone = (uint8_t)(1u << s->shard);
        send_write(s);
}

void single_on_write_reply(struct session *s, const struct message *m)
{
        struct work *work = &w.works[s->tag];

        if (m && m->result == TXN_OK) {
                check_told(s->tag, COORDINATOR_COMMITTED, 0);
                if (!m->is_replayed) {
                        work->read_seen[s->shard] = m->seen;
                        work->has_read[s->shard] = true;
                        work->reads[s->shard] |= s->key;
                        tags_unite(&work->deps, &m->seen);
                }
                tags_add(&s->seen, s->tag);
                s->ts = m->commit_ts > s->ts ? m->commit_ts : s->ts;
        } else if (m && m->result == TXN_FAILED && s->n_tries == 1 && w.has_streams) {
                /* No copy of it is on its way. */
                check_told(s->tag, COORDINATOR_ABORTED, 0);
        } else if (work->request_id && s->n_tries < 4) {
                send_write(s);
                return;
        } else {
                check_told(s->tag, COORDINATOR_UNKNOWN, 0);
        }
        work_finish(s);
}

void single_begin_read(struct session *s)
{
        struct message m = {
                .kind = MESSAGE_READ,
                .shard = (unsigned)chance(N_SHARDS),
                .read_ts = txn_rule(TXN_RULE_SESSION) ? s->ts : 0,
                .is_settled = true,
        };

        s->tag = work_new_tag(s, WORK_READ);
        work_begin_reading(s);
        session_send(s, &m, ASKED_READ);
}

void single_on_read_reply(struct session *s, unsigned shard, const struct message *m)
{
        if (m && m->result == TXN_OK) {
                work_read_shard(s, shard, &m->seen, m->c, &s->told_before, false);
                work_end_reading(s, 1);
                work_remember(s);
        }
        work_finish(s);
}

/* Somebody wants to know how a transaction has ended, and ends it. */
void single_begin_ask(struct session *s)
{
        struct message m = { .kind = MESSAGE_PART, .shard = (unsigned)chance(N_SHARDS) };

        s->tag = w.n_tags - 1;
        m.part = (struct participant_request){ .kind = PARTICIPANT_FIND,
                                               .age = { .id = w.works[s->tag].id },
                                               .fence = true };
        session_send(s, &m, ASKED_FENCE);
}

void single_on_fence_reply(struct session *s, unsigned shard, const struct message *m)
{
        if (m && m->result == TXN_NOT_FOUND) {
                trace("tag %u is fenced on shard %u", s->tag, shard);
                if (tags_has(&w.shards[shard].there, s->tag))
                        violate("tag %u is there, and its fence says it is not", s->tag);
                w.works[s->tag].fenced_on |= (uint8_t)(1u << shard);
        }
        work_finish(s);
}

void single_begin_scatter(struct session *s)
{
        s->tag = work_new_tag(s, WORK_SCATTER);
        work_begin_reading(s);
        session_begin_cut(s, work_some_shards(2 + (unsigned)chance(2)),
                          txn_rule(TXN_RULE_SESSION) ? s->ts : 0, UINT64_MAX);
}
