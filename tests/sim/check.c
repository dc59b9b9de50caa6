/* check.c - what must be true. */
#include <string.h>

#include "tests/sim/sim.h"

/* ---------------------------------------------------------------- at every step */

static const struct work *work_of(unsigned tag)
{
        return &w.works[tag];
}

/* The shards that have it, or none of them has. */
static uint8_t parts_of(unsigned tag)
{
        return work_of(tag)->participants ? work_of(tag)->participants : work_of(tag)->lone;
}

static void check_txn_commit(const struct shard *s, const struct commit *c)
{
        unsigned tag = c->members[0].tag;
        const struct work *work = work_of(tag);

        if (work->is_told && work->told == COORDINATOR_ABORTED)
                violate("tag %u is committed on shard %u, and was told aborted", tag, s->number);
        if (c->members[0].keys != work->writes[s->number])
                violate("tag %u commits keys %x on shard %u, and not %x", tag, c->members[0].keys,
                        s->number, work->writes[s->number]);
        if (c->members[0].n_writes != work->n_writes[s->number])
                violate("tag %u commits %u statements on shard %u, and not %u", tag,
                        c->members[0].n_writes, s->number, work->n_writes[s->number]);
        if (work->fenced_on >> s->number & 1)
                violate("tag %u is committed on shard %u, and was fenced there", tag, s->number);
        if (!work->participants)
                return;
        w.n_two_phase++;
        if (work->decided != DECISION_COMMITTED)
                violate("tag %u is committed on shard %u, which was not decided", tag, s->number);
        else if (work->decided_ts != c->ts)
                violate("tag %u has another timestamp on shard %u", tag, s->number);
        if (work->aborted_on)
                violate("tag %u is committed on shard %u, and undone elsewhere", tag, s->number);
}

void check_commit(struct shard *s, const struct commit *c)
{
        trace("shard %u commits kind %d at %llu, %zu members, first tag %u", s->number,
              (int)c->kind, (unsigned long long)c->ts, c->n_members, c->members[0].tag);
        for (size_t i = 0; i < c->n_members; i++) {
                trace("  tag %u, keys %x", c->members[i].tag, c->members[i].keys);
                for (size_t k = 0; k < i; k++) {
                        if (c->members[k].tag == c->members[i].tag)
                                violate("tag %u is twice in a commit", c->members[i].tag);
                }
                if (tags_has(&s->there, c->members[i].tag))
                        violate("tag %u is committed twice on shard %u", c->members[i].tag,
                                s->number);
        }
        if (c->kind == COMMIT_TXN)
                check_txn_commit(s, c);
}

/* Was it prepared? Then its redo is there; if its row is there, too, what is undone is but a late
 * copy of its first request. */
void check_undone(struct shard *s, const struct txn_id *id)
{
        const struct tablet *t = &w.tablets[s->tablet];
        unsigned tag = tag_of(id);
        uint64_t ts;

        if (tags_has(&s->there, tag) || shard_applied(s, id, &ts))
                return;
        for (size_t i = 0; i < t->n_redo; i++) {
                if (t->redo[i].floor || t->redo[i].shard != s->number ||
                    !txn_id_equal(&t->redo[i].age.id, id))
                        continue;
                trace("shard %u undoes tag %u", s->number, tag);
                if (work_of(tag)->decided == DECISION_COMMITTED)
                        violate("tag %u is undone on shard %u, and was decided to commit", tag,
                                s->number);
                w.works[tag].aborted_on |= (uint8_t)(1u << s->number);
        }
}

/* The tag that holds the shard's writer; -1: none that may wait for others. */
static int holder_of(unsigned shard)
{
        const struct participant *p = w.shards[shard].participant;
        const struct txn_age *age = p ? participant_holder(p) : NULL;

        return age && participant_state(p) == PARTICIPANT_IS_ACTIVE ? (int)tag_of(&age->id) : -1;
}

void check_waiting(unsigned tag)
{
        uint8_t reached = work_of(tag)->waits_on, before = 0;
        int holder;

        while (reached != before) {
                before = reached;
                for (unsigned i = 0; i < N_SHARDS; i++) {
                        holder = reached >> i & 1 ? holder_of(i) : -1;
                        if (holder == (int)tag)
                                violate("tag %u waits for itself", tag);
                        if (holder >= 0)
                                reached |= work_of((unsigned)holder)->waits_on;
                }
        }
}

void check_decided(unsigned tag, enum decision_record record, uint64_t commit_ts)
{
        struct work *work = &w.works[tag];

        trace("tag %u is decided %d", tag, (int)record);
        if (work->decided != DECISION_NONE &&
            (work->decided != record || work->decided_ts != commit_ts))
                violate("the decision on tag %u changes", tag);
        if (record == DECISION_COMMITTED && work->aborted_on)
                violate("tag %u is decided to commit, and was undone", tag);
        if (work->is_told && record == DECISION_COMMITTED && work->told == COORDINATOR_ABORTED)
                violate("tag %u is decided to commit, and was told aborted", tag);
        work->decided = record;
        work->decided_ts = commit_ts;
}

void check_told(unsigned tag, enum coordinator_outcome outcome, uint64_t commit_ts)
{
        struct work *work = &w.works[tag];

        if (work->is_told && work->told != COORDINATOR_UNKNOWN && work->told != outcome)
                violate("tag %u is told one outcome and then another", tag);
        if (outcome == COORDINATOR_COMMITTED && work->decided == DECISION_ABORTED)
                violate("tag %u is told committed, and was decided to abort", tag);
        if (outcome == COORDINATOR_ABORTED && work->decided == DECISION_COMMITTED)
                violate("tag %u is told aborted, and was decided to commit", tag);
        work->is_told = true;
        work->told = outcome;
        if (outcome == COORDINATOR_COMMITTED)
                tags_add(&w.told, tag);
        w.n_unknown += outcome == COORDINATOR_UNKNOWN;
}

/* ---------------------------------------------------------------- at the end: who has committed */

static void check_outcomes(void)
{
        for (unsigned tag = 0; tag < w.n_tags; tag++) {
                const struct work *work = work_of(tag);
                uint8_t parts = parts_of(tag), has = 0;

                for (unsigned i = 0; i < N_SHARDS; i++)
                        has |= (uint8_t)(tags_has(&w.shards[i].there, tag) << i);
                if (has && has != parts)
                        violate("tag %u is half there: %x of %x", tag, has, parts);
                if (!work->is_told)
                        continue;
                if (work->told == COORDINATOR_COMMITTED && has != parts)
                        violate("tag %u was told committed, and is lost", tag);
                if (work->told == COORDINATOR_ABORTED && has)
                        violate("tag %u was told aborted, and is there", tag);
        }
}

static bool is_committed(unsigned tag)
{
        uint8_t parts = parts_of(tag);

        return parts && tags_has(&w.shards[__builtin_ctz(parts)].there, tag);
}

/* ---------------------------------------------------------------- what was read as one moment */

/* The transactions whose effects are in the commits up to here are those that were seen, and no
 * others before them. */
static void check_prefix(const struct seen *seen, unsigned shard, uint64_t moment)
{
        const struct shard *s = &w.shards[shard];
        const struct tags *tags = &seen->tags[shard];
        bool is_past = false;

        for (size_t i = 0; i < MAX_TAGS / 64; i++) {
                if (tags->w[i] & ~s->there.w[i])
                        violate("tag %u has read a commit of shard %u that is lost", seen->tag,
                                shard);
        }
        for (size_t i = 0; i < s->n_commits; i++) {
                const struct commit *c = &s->commits[i];

                for (size_t k = 0; k < c->n_members; k++) {
                        bool is_seen = tags_has(tags, c->members[k].tag);

                        if (is_seen && is_past)
                                violate("tag %u has read shard %u with a gap", seen->tag, shard);
                        if (!is_seen && c->ts <= moment && !seen->is_held[shard])
                                violate("tag %u has read shard %u without %u, which is older",
                                        seen->tag, shard, c->members[k].tag);
                        is_past |= !is_seen;
                }
        }
}

/* What is seen on one shard, with all that it depends on, is seen on the others. */
static void check_together(const struct seen *seen, const struct tags *all, bool is_cause)
{
        for (unsigned tag = 0; tag < w.n_tags; tag++) {
                if (!tags_has(all, tag))
                        continue;
                for (unsigned i = 0; i < N_SHARDS; i++) {
                        if (seen->has[i] && parts_of(tag) >> i & 1 &&
                            !tags_has(&seen->tags[i], tag) && tag != seen->tag && is_committed(tag))
                                violate(is_cause ? "tag %u has read the effect of %u without it"
                                                 : "tag %u has read half of %u",
                                        seen->tag, tag);
                }
        }
}

static void check_seen(const struct seen *seen)
{
        struct tags all = { 0 }, causes = { 0 };
        uint64_t moment = 0;

        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (!seen->has[i])
                        continue;
                tags_unite(&all, &seen->tags[i]);
                moment = seen->c[i] > moment ? seen->c[i] : moment;
        }
        for (unsigned tag = 0; tag < w.n_tags; tag++) {
                if (!tags_has(&all, tag))
                        continue;
                tags_unite(&causes, &work_of(tag)->deps);
                for (unsigned i = 0; i < N_SHARDS; i++) {
                        if (work_of(tag)->has_read[i])
                                tags_unite(&causes, &work_of(tag)->read_seen[i]);
                }
        }
        for (unsigned i = 0; i < N_SHARDS; i++) {
                if (!seen->has[i])
                        continue;
                check_prefix(seen, i, moment);
                for (unsigned tag = 0; tag < w.n_tags; tag++) {
                        if (!(parts_of(tag) >> i & 1) || tags_has(&seen->tags[i], tag) ||
                            tag == seen->tag)
                                continue;
                        if (tags_has(&seen->told[i], tag))
                                violate("tag %u has read shard %u without %u, which was told",
                                        seen->tag, i, tag);
                        if (tags_has(&seen->session_seen, tag))
                                violate("tag %u has read shard %u without %u, which its session "
                                        "had seen",
                                        seen->tag, i, tag);
                }
        }
        check_together(seen, &all, false);
        check_together(seen, &causes, true);
}

/* ---------------------------------------------------------------- who depends on whom */

static struct tags hard[MAX_TAGS],
    anti[MAX_TAGS]; /* edges: writes and reads; what was overwritten */

/* The writers of a key, in order. */
static size_t writers_of(unsigned shard, uint8_t key, unsigned ret_tags[MAX_TAGS])
{
        const struct shard *s = &w.shards[shard];
        size_t n = 0;

        for (size_t i = 0; i < s->n_commits; i++) {
                for (size_t k = 0; k < s->commits[i].n_members; k++) {
                        if (s->commits[i].members[k].keys & key && n < MAX_TAGS)
                                ret_tags[n++] = s->commits[i].members[k].tag;
                }
        }
        return n;
}

/* It was committed, or had nothing to commit. What one that has lost its place on a shard, and does
 * not know yet, reads in its next statements does not count: it is told so before it ends. */
static bool is_reader(unsigned tag, unsigned shard, uint8_t key)
{
        const struct work *work = work_of(tag);

        if (work->kind == WORK_TXN && !is_committed(tag) &&
            (parts_of(tag) || !work->is_told || work->told != COORDINATOR_COMMITTED))
                return false;
        if (work->kind == WORK_WRITE && !is_committed(tag))
                return false;
        return work->has_read[shard] && work->reads[shard] & key;
}

static void add_edges(unsigned shard, uint8_t key)
{
        unsigned writers[MAX_TAGS];
        size_t n = writers_of(shard, key, writers), n_seen;

        for (size_t i = 1; i < n; i++)
                tags_add(&hard[writers[i - 1]], writers[i]);
        for (unsigned tag = 0; tag < w.n_tags; tag++) {
                if (!is_reader(tag, shard, key))
                        continue;
                n_seen = 0;
                while (n_seen < n && tags_has(&work_of(tag)->read_seen[shard], writers[n_seen]))
                        n_seen++;
                if (n_seen && writers[n_seen - 1] != tag)
                        tags_add(&hard[writers[n_seen - 1]], tag);
                if (n_seen < n && writers[n_seen] != tag)
                        tags_add(&anti[tag], writers[n_seen]);
        }
}

static void close_over(struct tags edges[MAX_TAGS])
{
        for (unsigned k = 0; k < w.n_tags; k++) {
                for (unsigned i = 0; i < w.n_tags; i++) {
                        if (tags_has(&edges[i], k))
                                tags_unite(&edges[i], &edges[k]);
                }
        }
}

static void check_graph(void)
{
        static struct tags paths[MAX_TAGS];

        memset(hard, 0, sizeof hard);
        memset(anti, 0, sizeof anti);
        for (unsigned i = 0; i < N_SHARDS; i++) {
                for (unsigned key = 0; key < N_KEYS; key++)
                        add_edges(i, (uint8_t)(1u << key));
        }
        memcpy(paths, hard, sizeof paths);
        close_over(paths);
        for (unsigned a = 0; w.settings.is_traced && a < w.n_tags; a++) {
                for (unsigned b = 0; b < w.n_tags; b++) {
                        if (tags_has(&hard[a], b))
                                trace("%u comes before %u", a, b);
                        if (tags_has(&anti[a], b))
                                trace("%u has overlooked %u", a, b);
                }
        }
        for (unsigned a = 0; a < w.n_tags; a++) {
                if (tags_has(&paths[a], a))
                        violate("G1c: tag %u depends on itself", a);
                for (unsigned b = 0; b < w.n_tags; b++) {
                        if (w.isolation != COORDINATOR_READ_COMMITTED && tags_has(&anti[a], b) &&
                            tags_has(&paths[b], a))
                                violate("G-single: tag %u has overlooked %u and depends on it", a,
                                        b);
                }
        }
        if (w.isolation != COORDINATOR_SERIALIZABLE)
                return;
        for (unsigned a = 0; a < w.n_tags; a++)
                tags_unite(&paths[a], &anti[a]);
        close_over(paths);
        for (unsigned a = 0; a < w.n_tags; a++) {
                if (tags_has(&paths[a], a))
                        violate("G2: tag %u is before itself", a);
        }
}

void check_end(void)
{
        check_outcomes();
        for (size_t i = 0; i < w.n_seen; i++)
                check_seen(&w.seen[i]);
        check_graph();
}
