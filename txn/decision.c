/* decision.c - how transactions over several shards end. */
#include "txn/decision.h"

#include <string.h>

#include "txn/rules_int.h"

static struct decision_outcome tell(enum decision_answer answer)
{
        return (struct decision_outcome){ .answer = answer };
}

/* What the record says, whoever asks. */
static struct decision_outcome tell_record(const struct decision_view *v)
{
        if (v->record == DECISION_ABORTED)
                return tell(DECISION_TELL_ABORTED);
        return (struct decision_outcome){ .answer = DECISION_TELL_COMMITTED,
                                          .commit_ts = v->commit_ts };
}

static struct decision_outcome put_aborted(void)
{
        return (struct decision_outcome){ .answer = DECISION_TELL_ABORTED,
                                          .change = DECISION_PUT_ABORTED,
                                          .needs_lease = true };
}

bool decision_is_closed(const struct decision_view *v)
{
        return !v->lease_lasts || v->counter < v->mark;
}

/* For the one who would commit it. */
static bool is_closed_for(const struct decision_view *v, enum decision_asker asker)
{
        if (asker != DECISION_COORDINATOR)
                return decision_is_closed(v);
        return (!v->lease_lasts && txn_rule(TXN_RULE_LEASE)) ||
               (v->counter < v->mark && txn_rule(TXN_RULE_MARK));
}

struct decision_outcome decision_decide(const struct decision_view *v, enum decision_asker asker,
                                        bool commit, uint64_t commit_ts)
{
        if (v->record != DECISION_NONE && txn_rule(TXN_RULE_WRITE_ONCE))
                return tell_record(v);
        if (is_closed_for(v, asker))
                return tell(asker == DECISION_HOLDER || !txn_rule(TXN_RULE_FORGOTTEN)
                                ? DECISION_TELL_ABORTED
                                : DECISION_TELL_FORGOTTEN);
        if (!commit || asker != DECISION_COORDINATOR)
                return put_aborted();
        return (struct decision_outcome){ .answer = DECISION_TELL_COMMITTED,
                                          .commit_ts = commit_ts,
                                          .change = DECISION_PUT_COMMITTED,
                                          .needs_lease = true };
}

struct decision_outcome decision_on_prepared(const struct decision_view *v, uint64_t prepared_ms,
                                             uint64_t max_prepared_ms)
{
        if (v->record == DECISION_NONE && !decision_is_closed(v) && prepared_ms <= max_prepared_ms)
                return tell(DECISION_TELL_UNDECIDED);
        return decision_decide(v, DECISION_HOLDER, false, 0);
}

struct decision_outcome decision_on_durable(const struct decision_view *v, bool is_left)
{
        struct decision_outcome o;

        switch (v->record) {
        case DECISION_NONE:
                return tell(decision_is_closed(v) ? DECISION_TELL_FORGOTTEN
                                                  : DECISION_TELL_UNDECIDED);
        case DECISION_DONE:
                return tell(DECISION_TELL_FORGOTTEN);
        case DECISION_ABORTED:
                return tell(DECISION_TELL_ABORTED);
        case DECISION_COMMITTED:
                break;
        }
        o = tell_record(v);
        if (v->n_left > (is_left ? 1 : 0) && txn_rule(TXN_RULE_ALL_DURABLE)) {
                o.change = is_left ? DECISION_PUT_LEFT : DECISION_KEEP;
                return o;
        }
        /* The last one. A gate's lease that ends meanwhile does no harm: closed stays closed. */
        o.answer = DECISION_TELL_FORGOTTEN;
        o.commit_ts = 0;
        o.change = decision_is_closed(v) || !txn_rule(TXN_RULE_TOMBSTONE) ? DECISION_DELETE
                                                                          : DECISION_PUT_DONE;
        return o;
}

struct decision_outcome decision_find(const struct decision_view *v)
{
        if (v->record != DECISION_NONE)
                return tell_record(v);
        return tell(decision_is_closed(v) ? DECISION_TELL_FORGOTTEN : DECISION_TELL_UNDECIDED);
}

struct decision_outcome decision_collect(const struct decision_view *v)
{
        struct decision_outcome o = decision_find(v);

        if (v->record != DECISION_NONE && v->record != DECISION_COMMITTED && decision_is_closed(v))
                o.change = DECISION_DELETE;
        return o;
}

bool decision_store_accept(struct decision_store *s, const char *id, uint64_t revision)
{
        size_t n_bytes = strlen(id);

        if (!n_bytes || n_bytes >= sizeof s->id)
                return false;
        if (s->id[0] && (strcmp(s->id, id) || revision < s->revision))
                return false;
        memcpy(s->id, id, n_bytes + 1);
        if (revision > s->revision)
                s->revision = revision;
        return true;
}
