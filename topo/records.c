/* records.c - a hash table of records, a list for each state, an array of marks. Loop thread. */
#include "topo/records.h"

#include <string.h>

#include "proto/shoal/v1/store.pb-c.h"
#include "topo/keys.h"

enum { N_STATES = DECISION_DONE + 1 }; /* no record is in DECISION_NONE */

struct records {
        struct record **buckets;
        size_t n_buckets; /* a power of 2, or 0 */
        size_t n_all;
        struct record_list lists[N_STATES];
        size_t n[N_STATES];
        struct record_mark *marks; /* in order of their epochs */
        size_t n_marks, n_marks_allocated;
};

/* ---------------------------------------------------------------- life */

static void init(struct records *r)
{
        *r = (struct records){ 0 };
        for (size_t i = 0; i < N_STATES; i++)
                TAILQ_INIT(&r->lists[i]);
}

static void clear(struct records *r)
{
        for (size_t i = 0; i < N_STATES; i++) {
                struct record *e;

                while ((e = TAILQ_FIRST(&r->lists[i]))) {
                        TAILQ_REMOVE(&r->lists[i], e, link);
                        free(e);
                }
        }
        free(r->buckets);
        free(r->marks);
        init(r);
}

struct records *records_new(void)
{
        struct records *r = xcalloc(1, sizeof *r);

        init(r);
        return r;
}

struct records *records_free(struct records *r)
{
        if (r) {
                clear(r);
                free(r);
        }
        return NULL;
}

/* ---------------------------------------------------------------- the hash table */

/* Counters of an epoch follow each other; the multiplication spreads epochs. */
static struct record **bucket_of(const struct records *r, uint64_t epoch, uint64_t counter)
{
        return &r->buckets[(counter + epoch * 0x9E3779B97F4A7C15u) & (r->n_buckets - 1)];
}

static struct record *find(const struct records *r, uint64_t epoch, uint64_t counter)
{
        struct record *e = r->n_buckets ? *bucket_of(r, epoch, counter) : NULL;

        while (e && (e->epoch != epoch || e->counter != counter))
                e = e->next;
        return e;
}

static void grow(struct records *r)
{
        struct records old = *r;

        r->n_buckets = old.n_buckets ? 2 * old.n_buckets : 64;
        r->buckets = xcalloc(r->n_buckets, sizeof *r->buckets);
        for (size_t i = 0; i < old.n_buckets; i++) {
                struct record *e = old.buckets[i];

                while (e) {
                        struct record *next = e->next;
                        struct record **at = bucket_of(r, e->epoch, e->counter);

                        e->next = *at;
                        *at = e;
                        e = next;
                }
        }
        free(old.buckets);
}

static void insert(struct records *r, struct record *e)
{
        struct record **at;

        if (r->n_all == r->n_buckets)
                grow(r);
        at = bucket_of(r, e->epoch, e->counter);
        e->next = *at;
        *at = e;
        TAILQ_INSERT_TAIL(&r->lists[e->state], e, link);
        r->n[e->state]++;
        r->n_all++;
}

static void remove_record(struct records *r, struct record *e)
{
        struct record **at = bucket_of(r, e->epoch, e->counter);

        while (*at != e)
                at = &(*at)->next;
        *at = e->next;
        TAILQ_REMOVE(&r->lists[e->state], e, link);
        r->n[e->state]--;
        r->n_all--;
        free(e);
}

/* ---------------------------------------------------------------- marks */

/* Where the epoch's mark is, or would be. */
static size_t find_mark(const struct records *r, uint64_t epoch)
{
        size_t low = 0, high = r->n_marks;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (r->marks[middle].epoch < epoch)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static struct record_mark *find_or_add_mark(struct records *r, uint64_t epoch)
{
        size_t i = find_mark(r, epoch);

        if (i < r->n_marks && r->marks[i].epoch == epoch)
                return &r->marks[i];
        if (r->n_marks == r->n_marks_allocated) {
                r->n_marks_allocated = r->n_marks_allocated ? 2 * r->n_marks_allocated : 16;
                r->marks = xrealloc(r->marks, r->n_marks_allocated * sizeof *r->marks);
        }
        memmove(&r->marks[i + 1], &r->marks[i], (r->n_marks - i) * sizeof *r->marks);
        r->n_marks++;
        r->marks[i] = (struct record_mark){ .epoch = epoch };
        return &r->marks[i];
}

struct record_mark records_mark(const struct records *r, uint64_t epoch)
{
        size_t i = find_mark(r, epoch);

        if (i < r->n_marks && r->marks[i].epoch == epoch)
                return r->marks[i];
        return (struct record_mark){ .epoch = epoch };
}

bool records_find_mark(const struct records *r, uint64_t epoch, struct record_mark *ret_mark)
{
        size_t i = find_mark(r, epoch);

        if (i < r->n_marks)
                *ret_mark = r->marks[i];
        return i < r->n_marks;
}

size_t records_count_marks(const struct records *r)
{
        return r->n_marks;
}

void records_forget_mark(struct records *r, uint64_t epoch)
{
        size_t i = find_mark(r, epoch);

        if (i == r->n_marks || r->marks[i].epoch != epoch || r->marks[i].mod_revision)
                return;
        r->n_marks--;
        memmove(&r->marks[i], &r->marks[i + 1], (r->n_marks - i) * sizeof *r->marks);
}

void records_tell_oldest(struct records *r, uint64_t epoch, uint64_t counter)
{
        struct record_mark *mark = find_or_add_mark(r, epoch);

        if (counter > mark->oldest)
                mark->oldest = counter;
}

/* ---------------------------------------------------------------- following the store */

static const struct {
        Shoal__V1__TransactionState stored;
        enum decision_record state;
} states[] = {
        { SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED, DECISION_COMMITTED },
        { SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_ABORTED, DECISION_ABORTED },
        { SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_DONE, DECISION_DONE },
};

/* The indexes of those that are durable rise. */
static void copy_participants(struct record *e, const Shoal__V1__DecisionRecord *m)
{
        size_t n_durable = 0;
        char *p = e->participants;

        for (size_t i = 0; i < m->n_participants; i++) {
                bool is_durable = n_durable < m->n_durable && m->durable[n_durable] == i;

                n_durable += is_durable;
                *p++ = is_durable ? '+' : ' ';
                p = stpcpy(p, m->participants[i]) + 1;
        }
        e->n_participants = (uint32_t)m->n_participants;
        e->n_left = e->n_participants - (uint32_t)n_durable;
}

static struct record *make_record(const Shoal__V1__DecisionRecord *m, int64_t now_us)
{
        size_t n_bytes = 0;
        struct record *e;

        for (size_t i = 0; i < m->n_participants; i++)
                n_bytes += strlen(m->participants[i]) + 2;
        e = xcalloc(1, sizeof *e + n_bytes);
        e->n_bytes = (uint32_t)n_bytes;
        e->start = m->start;
        e->commit_ts = m->commit_ts;
        e->created_ms = m->created_unix_ms;
        e->since_us = now_us;
        for (size_t i = 0; i < ARRAY_LEN(states); i++)
                if (states[i].stored == m->state)
                        e->state = states[i].state;
        copy_participants(e, m);
        return e;
}

static enum err_code fail_damaged(const struct store_item *item, struct err *reterr)
{
        return err_set(reterr, ERR_DATA_LOSS, "STORE_DAMAGED", "the record of %s cannot be read",
                       item->key);
}

static enum err_code put_record(struct records *r, uint64_t epoch, uint64_t counter,
                                const struct store_item *item, int64_t now_us, struct err *reterr)
{
        Shoal__V1__DecisionRecord *m =
            shoal__v1__decision_record__unpack(NULL, item->n_bytes, item->value);
        struct record *old = find(r, epoch, counter), *e;

        if (!m)
                return fail_damaged(item, reterr);
        e = make_record(m, now_us);
        shoal__v1__decision_record__free_unpacked(m, NULL);
        if (!e->state) {
                free(e);
                return fail_damaged(item, reterr);
        }
        if (old)
                remove_record(r, old);
        e->epoch = epoch;
        e->counter = counter;
        e->mod_revision = item->mod_revision;
        insert(r, e);
        return ERR_OK;
}

static enum err_code put_mark(struct records *r, uint64_t epoch, const struct store_item *item,
                              struct err *reterr)
{
        Shoal__V1__DecisionMarkRecord *m =
            shoal__v1__decision_mark_record__unpack(NULL, item->n_bytes, item->value);
        struct record_mark *mark;

        if (!m)
                return fail_damaged(item, reterr);
        mark = find_or_add_mark(r, epoch);
        mark->counter = m->counter;
        mark->mod_revision = item->mod_revision;
        shoal__v1__decision_mark_record__free_unpacked(m, NULL);
        return ERR_OK;
}

static void remove_mark(struct records *r, uint64_t epoch)
{
        struct record_mark *mark = find_or_add_mark(r, epoch);

        mark->counter = mark->mod_revision = 0;
}

enum err_code records_apply(struct records *r, const struct store_item *items, size_t n_items,
                            int64_t now_us, struct err *reterr)
{
        enum err_code rc = ERR_OK;

        for (size_t i = 0; !rc && i < n_items; i++) {
                uint64_t epoch, counter;

                if (key_parse_transaction(items[i].key, &epoch, &counter)) {
                        struct record *old = find(r, epoch, counter);

                        if (items[i].value)
                                rc = put_record(r, epoch, counter, &items[i], now_us, reterr);
                        else if (old)
                                remove_record(r, old);
                } else if (key_parse_transaction_mark(items[i].key, &epoch)) {
                        if (items[i].value)
                                rc = put_mark(r, epoch, &items[i], reterr);
                        else
                                remove_mark(r, epoch);
                }
        }
        return rc;
}

enum err_code records_replace(struct records *r, const struct store_item *items, size_t n_items,
                              int64_t now_us, struct err *reterr)
{
        struct records fresh;
        enum err_code rc;

        /* Lists have pointers to their heads: what is fresh cannot be moved. */
        init(&fresh);
        rc = records_apply(&fresh, items, n_items, now_us, reterr);
        clear(&fresh);
        if (rc)
                return rc;
        clear(r);
        return records_apply(r, items, n_items, now_us, reterr);
}

/* ---------------------------------------------------------------- looking and telling */

const struct record *records_find(const struct records *r, uint64_t epoch, uint64_t counter)
{
        return find(r, epoch, counter);
}

const struct record_list *records_list(const struct records *r, enum decision_record state)
{
        return &r->lists[state];
}

size_t records_count(const struct records *r, enum decision_record state)
{
        return r->n[state];
}

size_t records_count_all(const struct records *r)
{
        return r->n_all;
}

void records_put_off(struct records *r, uint64_t epoch, uint64_t counter)
{
        struct record *e = find(r, epoch, counter);

        if (!e)
                return;
        TAILQ_REMOVE(&r->lists[e->state], e, link);
        TAILQ_INSERT_TAIL(&r->lists[e->state], e, link);
}

const char *record_next_participant(const struct record *e, const char *participant)
{
        const char *p = participant ? participant + strlen(participant) + 2 : e->participants + 1;

        return p < e->participants + e->n_bytes ? p : NULL;
}
