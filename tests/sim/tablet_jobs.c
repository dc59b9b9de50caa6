/* tablet_jobs.c - what a shard's writer does: jobs take steps, between which it may crash. */
#include <assert.h>

#include "tests/sim/sim.h"

static void step_later(struct shard *s, void (*fn)(struct event *e))
{
        after((int64_t)chance(60), s->tablet, fn)->a = s->number;
}

static void finish(struct shard *s, const struct participant_outcome *o)
{
        clock_of(s->tablet);
        participant_job_done(s->participant, o, w.now);
        shard_pump(s);
}

static void finish_with(struct shard *s, enum txn_result result)
{
        finish(s, &(struct participant_outcome){ .result = result });
}

static struct request *job_request(const struct shard *s)
{
        return s->job.request ? CONTAINER_OF(s->job.request, struct request, r) : NULL;
}

/* ---------------------------------------------------------------- one transaction */

static void on_open(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct participant_outcome o = { .last_ts = shard_last_ts(s) };

        if (chance_of(w.p_fail)) {
                finish_with(s, TXN_FAILED);
                return;
        }
        o.applied = shard_applied(s, &s->job.age.id, &o.applied_ts);
        assert(!s->writing.is_open);
        s->writing.is_open = true;
        s->writing.age = s->job.age;
        s->writing.tag = job_request(s)->m.tag;
        s->writing.n_ops = 0;
        s->writing.n_before = 0;
        s->writing.schema = shard_schema(s);
        finish(s, &o);
}

static uint8_t keys_written(const struct shard *s)
{
        uint8_t keys = 0;

        for (size_t i = 0; i < s->writing.n_ops; i++)
                keys |= s->writing.ops[i].key;
        return keys;
}

static unsigned n_written(const struct shard *s)
{
        return s->writing.n_before ? s->writing.n_before : (unsigned)s->writing.n_ops;
}

static void on_run(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct request *rq = job_request(s);

        assert(s->writing.is_open);
        if (chance_of(w.p_fail)) {
                bool is_gone = chance(3) == 0;

                if (is_gone)
                        s->writing.is_open = false;
                finish(s,
                       &(struct participant_outcome){ .result = TXN_FAILED, .is_gone = is_gone });
                return;
        }
        rq->seen = s->visible;
        rq->m.c = shard_last_ts(s);
        if (rq->m.is_write && s->writing.n_ops < MAX_OPS * 2)
                s->writing.ops[s->writing.n_ops++] =
                    (struct op_done){ .savepoint = rq->m.savepoint, .key = rq->m.key };
        finish_with(s, TXN_OK);
}

static void on_undo(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        uint64_t savepoint = job_request(s)->m.savepoint;
        size_t n = 0;

        for (size_t i = 0; i < s->writing.n_ops; i++) {
                if (s->writing.ops[i].savepoint < savepoint)
                        s->writing.ops[n++] = s->writing.ops[i];
        }
        s->writing.n_ops = n;
        finish_with(s, TXN_OK);
}

static void on_redo_synced(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct tablet *t = &w.tablets[s->tablet];

        if (!has_flaw(FLAW_REDO_NOT_SYNCED))
                t->n_redo_synced = t->n_redo;
        finish(s, &(struct participant_outcome){ .position = e->b });
}

static void on_prepare(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct tablet *t = &w.tablets[s->tablet];
        struct event *next;
        uint64_t ts;

        if (txn_rule(TXN_RULE_FENCE) && shard_applied(s, &s->job.age.id, &ts)) {
                finish_with(s, TXN_FENCED);
                return;
        }
        if (chance_of(w.p_fail)) { /* the disk is full, or a constraint is violated */
                bool is_gone = chance(2);

                if (is_gone)
                        s->writing.is_open = false;
                finish(s,
                       &(struct participant_outcome){ .result = TXN_FAILED, .is_gone = is_gone });
                return;
        }
        if (s->job.is_lone) {
                finish_with(s, TXN_OK);
                return;
        }
        assert(t->n_redo < MAX_REDO);
        t->redo[t->n_redo++] = (struct redo){
                .shard = s->number,
                .position = ++t->last_position,
                .age = s->job.age,
                .vote = s->job.commit_ts,
                .schema = shard_schema(s),
                .tag = s->writing.tag,
                .keys = keys_written(s),
                .n_writes = n_written(s),
        };
        next = after((int64_t)chance(200), s->tablet, on_redo_synced);
        next->a = s->number;
        next->b = t->last_position;
}

static void on_committed(struct event *e)
{
        struct shard *s = &w.shards[e->a];

        if (s->job.sync && !has_flaw(FLAW_COMMIT_NOT_SYNCED))
                s->n_synced = s->n_commits;
        shard_show(s);
        finish(s, &(struct participant_outcome){ .commit = TXN_COMMIT_DONE });
}

/* Disks that fill do not harm what has prepared, but an I/O error may. */
static bool commit_fails(struct shard *s, const struct commit *c)
{
        struct participant_outcome o = { .result = TXN_FAILED, .commit = TXN_COMMIT_NOT_DONE };

        if (!chance_of(w.p_fail))
                return false;
        if (chance(2)) {
                o.commit = TXN_COMMIT_IN_DOUBT;
                if (!s->has_doubt) {
                        s->has_doubt = true;
                        s->doubt = *c;
                }
        }
        o.is_gone = o.commit == TXN_COMMIT_IN_DOUBT || !s->job.is_lone || chance(2);
        if (o.is_gone)
                s->writing.is_open = false;
        finish(s, &o);
        return true;
}

static void on_commit(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct commit c = { .kind = COMMIT_TXN,
                            .ts = s->job.commit_ts,
                            .id = s->job.age.id,
                            .applied_ts = s->job.commit_ts };
        uint64_t ts;

        assert(s->writing.is_open);
        if (txn_rule(TXN_RULE_FENCE) && shard_applied(s, &c.id, &ts)) {
                finish_with(s, TXN_FENCED);
                return;
        }
        if (s->writing.schema != shard_schema(s))
                violate("shard %u: redo of another schema is committed", s->number);
        c.members[c.n_members].tag = s->writing.tag;
        c.members[c.n_members].n_writes = n_written(s);
        c.members[c.n_members++].keys = keys_written(s);
        if (commit_fails(s, &c))
                return;
        shard_append(s, &c);
        if (!s->job.sync)
                shard_show(s);
        s->writing.is_open = false;
        step_later(s, on_committed);
}

static void on_roll_back(struct event *e)
{
        struct shard *s = &w.shards[e->a];

        s->writing.is_open = false;
        check_undone(s, &s->job.age.id);
        finish_with(s, TXN_OK);
}

static void on_reapply(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct tablet *t = &w.tablets[s->tablet];
        const struct redo *r = NULL;

        for (size_t i = 0; i < t->n_redo; i++) {
                if (!t->redo[i].floor && t->redo[i].position == s->job.position)
                        r = &t->redo[i];
        }
        if (!r) {
                violate("shard %u: redo is gone that is needed", s->number);
                return;
        }
        if (chance_of(w.p_fail)) {
                finish_with(s, TXN_FAILED);
                return;
        }
        assert(!s->writing.is_open);
        s->writing.is_open = true;
        s->writing.age = r->age;
        s->writing.tag = r->tag;
        s->writing.n_ops = r->n_writes > 0;
        s->writing.n_before = r->n_writes;
        s->writing.ops[0] = (struct op_done){ .key = r->keys };
        s->writing.schema = r->schema;
        finish_with(s, TXN_OK);
}

/* ---------------------------------------------------------------- batches and fences */

static void on_batch_synced(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct participant_outcome o = { .commit = TXN_COMMIT_DONE, .more = s->n_queue > 0 };

        s->n_synced = s->n_commits;
        shard_show(s);
        txn_clock_promised(&s->clock, s->committing.floor, 0);
        txn_clock_end(&s->clock, s->committing.ts, TXN_COMMIT_DONE);
        participant_trimmed(s->participant, shard_horizon(s));
        for (size_t i = 0; i < s->n_batch; i++) {
                s->batch[i]->m.commit_ts = s->committing.ts;
                shard_reply(s, s->batch[i], TXN_OK, false);
        }
        s->n_batch = 0;
        finish(s, &o);
}

static void fail_batch(struct shard *s, enum txn_commit commit)
{
        txn_clock_end(&s->clock, s->committing.ts, commit);
        for (size_t i = 0; i < s->n_batch; i++)
                shard_reply(s, s->batch[i],
                            commit == TXN_COMMIT_IN_DOUBT ? TXN_IN_DOUBT : TXN_FAILED, false);
        s->n_batch = 0;
        finish(s, &(struct participant_outcome){ .commit = commit, .more = s->n_queue > 0 });
}

static void on_batch_written(struct event *e)
{
        struct shard *s = &w.shards[e->a];

        if (chance_of(w.p_fail)) {
                enum txn_commit commit = chance(2) ? TXN_COMMIT_IN_DOUBT : TXN_COMMIT_NOT_DONE;

                if (commit == TXN_COMMIT_IN_DOUBT && !s->has_doubt) {
                        s->has_doubt = true;
                        s->doubt = s->committing;
                }
                fail_batch(s, commit);
                return;
        }
        shard_append(s, &s->committing);
        step_later(s, on_batch_synced);
}

/* It is done once the batch is. */
static bool is_in_batch(const struct shard *s, const struct request *rq)
{
        for (size_t i = 0; i < s->n_batch; i++) {
                if (rq->m.request_id && rq->m.request_id == s->batch[i]->m.request_id &&
                    !has_flaw(FLAW_REQUEST_IDS))
                        return true;
        }
        return false;
}

/* Those that are queued, but for what is there already. */
static void take_members(struct shard *s, struct commit *c, uint64_t *min_ts)
{
        while (s->n_queue && s->n_batch < MAX_MEMBERS && !is_in_batch(s, s->queue[0])) {
                struct request *rq = s->queue[0];

                for (size_t i = 1; i < s->n_queue; i++)
                        s->queue[i - 1] = s->queue[i];
                s->n_queue--;
                rq->seen = s->visible;
                if (shard_has_request(s, rq->m.request_id)) {
                        rq->m.commit_ts = shard_last_ts(s);
                        rq->m.is_replayed = true;
                        s->batch[s->n_batch++] = rq;
                        continue;
                }
                for (size_t i = 0; i < c->n_members; i++)
                        tags_add(&rq->seen, c->members[i].tag);
                c->members[c->n_members].tag = rq->m.tag;
                c->members[c->n_members++].keys = rq->m.key;
                if (rq->m.read_ts > *min_ts)
                        *min_ts = rq->m.read_ts;
                s->batch[s->n_batch++] = rq;
        }
}

static void on_batch(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct commit *c = &s->committing;
        uint64_t min_ts = 0, now = hlc_tick(clock_of(s->tablet)), keep = hlc_from_us(w.keep_us);

        *c = (struct commit){ .kind = COMMIT_WRITES };
        s->n_batch = 0;
        take_members(s, c, &min_ts);
        c->floor = txn_clock_due(&s->clock, s->clock.doubtful_ts ? 1 : 0, now, hlc_from_us(2 * MS),
                                 c->n_members > 0);
        if (!c->n_members && !c->floor) {
                for (size_t i = 0; i < s->n_batch; i++)
                        shard_reply(s, s->batch[i], TXN_OK, false);
                s->n_batch = 0;
                finish(s, &(struct participant_outcome){ .commit = TXN_COMMIT_NOT_DONE,
                                                         .more = s->n_queue > 0 });
                return;
        }
        if (chance(8) == 0 && now > keep)
                c->horizon = participant_horizon(s->participant, now - keep);
        if (!c->n_members)
                c->kind = COMMIT_EMPTY;
        else if (c->n_members == 1 && c->members[0].keys == 0)
                c->kind = COMMIT_SCHEMA;
        c->ts = txn_clock_begin(&s->clock, now, min_ts, NULL);
        step_later(s, on_batch_written);
}

static void on_fence_synced(struct event *e)
{
        struct shard *s = &w.shards[e->a];

        s->n_synced = s->n_commits;
        shard_show(s);
        txn_clock_end(&s->clock, s->committing.ts, TXN_COMMIT_DONE);
        finish(s, &(struct participant_outcome){ .commit = TXN_COMMIT_DONE });
}

static void on_fence_written(struct event *e)
{
        struct shard *s = &w.shards[e->a];

        shard_append(s, &s->committing);
        step_later(s, on_fence_synced);
}

static void on_fence(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct participant_outcome o = { .commit = TXN_COMMIT_NOT_DONE };

        o.applied = shard_applied(s, &s->job.age.id, &o.applied_ts);
        if (o.applied || chance_of(w.p_fail)) {
                o.result = o.applied ? TXN_OK : TXN_FAILED;
                finish(s, &o);
                return;
        }
        s->committing = (struct commit){
                .kind = COMMIT_FENCE,
                .id = s->job.age.id,
                .ts = txn_clock_begin(&s->clock, hlc_tick(clock_of(s->tablet)), 0, NULL),
        };
        step_later(s, on_fence_written);
}

/* ---------------------------------------------------------------- what is no job */

static void on_look_up(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct request *rq = (struct request *)(uintptr_t)e->b;
        uint64_t ts = 0;
        bool applied = shard_applied(s, &rq->r.age.id, &ts);

        participant_looked_up(s->participant, &rq->r, chance_of(w.p_fail), applied, ts, w.now);
        shard_pump(s);
}

static void on_floor_synced(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct tablet *t = &w.tablets[s->tablet];

        t->n_redo_synced = t->n_redo;
        participant_floor_raised(s->participant, e->b, e->c, w.now);
        shard_pump(s);
}

static void on_floor(struct event *e)
{
        struct shard *s = &w.shards[e->a];
        struct tablet *t = &w.tablets[s->tablet];
        uint64_t floor = e->b + (chance(2) ? hlc_from_us(2 * MS) : 0);
        struct event *next;

        assert(t->n_redo < MAX_REDO);
        t->redo[t->n_redo++] =
            (struct redo){ .shard = s->number, .position = ++t->last_position, .floor = floor };
        next = after((int64_t)chance(200), s->tablet, on_floor_synced);
        next->a = s->number;
        next->b = floor;
        next->c = e->b;
}

static void on_sync(struct event *e)
{
        struct shard *s = &w.shards[e->a];

        s->n_synced = s->n_commits;
        participant_synced(s->participant, e->b, w.now);
        shard_pump(s);
}

static void ask_topo(struct shard *s, const struct participant_action *a)
{
        struct message m = {
                .kind = a->act == PARTICIPANT_DO_ASK ? MESSAGE_ASK : MESSAGE_REPORT,
                .from = s->tablet,
                .to = node_of_topo((unsigned)chance(N_TOPOS)),
                .shard = s->number,
                .id = a->age.id,
                .tag = tag_of(&a->age.id),
                .boot = w.nodes[s->tablet].boot,
                .is_holder = a->is_holder_abort,
                .prepared_ms = (uint64_t)a->prepared_us / 1000,
                .commit_ts = a->commit_ts,
        };

        post(&m);
}

void shard_do(struct shard *s, const struct participant_action *a)
{
        static void (*const jobs[])(struct event * e) = {
                [PARTICIPANT_DO_OPEN] = on_open,       [PARTICIPANT_DO_RUN] = on_run,
                [PARTICIPANT_DO_UNDO] = on_undo,       [PARTICIPANT_DO_PREPARE] = on_prepare,
                [PARTICIPANT_DO_COMMIT] = on_commit,   [PARTICIPANT_DO_ROLL_BACK] = on_roll_back,
                [PARTICIPANT_DO_BATCH] = on_batch,     [PARTICIPANT_DO_FENCE] = on_fence,
                [PARTICIPANT_DO_REAPPLY] = on_reapply,
        };
        struct event *e;

        switch (a->act) {
        case PARTICIPANT_DO_LOOK_UP:
                e = after((int64_t)chance(200), s->tablet, on_look_up);
                e->a = s->number;
                e->b = (uintptr_t)CONTAINER_OF(a->request, struct request, r);
                return;
        case PARTICIPANT_DO_RAISE_FLOOR:
                e = after((int64_t)chance(100), s->tablet, on_floor);
                e->a = s->number;
                e->b = a->commit_ts;
                return;
        case PARTICIPANT_DO_SYNC:
                e = after((int64_t)chance(200), s->tablet, on_sync);
                e->a = s->number;
                e->b = a->seq;
                return;
        case PARTICIPANT_DO_ASK:
        case PARTICIPANT_DO_REPORT:
                ask_topo(s, a);
                return;
        default:
                s->job = *a;
                step_later(s, jobs[a->act]);
        }
}
