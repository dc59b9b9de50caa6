/* prepared.c - a hash table with a list by age of the last report. Loop thread. */
#include "topo/prepared.h"

#include <string.h>

#include "common/util.h"

enum { N_BUCKETS = 4096 };
#define MAX_AGE_MS (INT64_C(1000) * 60 * 60 * 24 * 365)

struct prepared_table {
        struct prepared *buckets[N_BUCKETS];
        struct prepared_list list;
        size_t n, n_names;
};

struct prepared_table *prepared_new(void)
{
        struct prepared_table *t = xcalloc(1, sizeof *t);

        TAILQ_INIT(&t->list);
        return t;
}

static struct prepared **find(const struct prepared_table *t, uint64_t epoch, uint64_t counter)
{
        struct prepared_table *table = (struct prepared_table *)(uintptr_t)t;
        struct prepared **at = &table->buckets[(epoch * 31 + counter) % N_BUCKETS];

        while (*at && ((*at)->epoch != epoch || (*at)->counter != counter))
                at = &(*at)->next;
        return at;
}

static void remove_at(struct prepared_table *t, struct prepared **at)
{
        struct prepared *p = *at;

        *at = p->next;
        TAILQ_REMOVE(&t->list, p, link);
        t->n--;
        t->n_names -= p->n_participants;
        for (size_t i = 0; i < p->n_participants; i++)
                free(p->participants[i]);
        free(p->participants);
        free(p);
}

struct prepared_table *prepared_free(struct prepared_table *t)
{
        struct prepared *p;

        while (t && (p = TAILQ_FIRST(&t->list)))
                remove_at(t, find(t, p->epoch, p->counter));
        free(t);
        return NULL;
}

static struct prepared *add(struct prepared_table *t, struct prepared **at,
                            char *const *participants, size_t n)
{
        struct prepared *p = xcalloc(1, sizeof *p);

        p->participants = xcalloc(n + 1, sizeof *p->participants);
        for (size_t i = 0; i < n; i++)
                p->participants[i] = xstrdup(participants[i]);
        p->n_participants = n;
        *at = p;
        TAILQ_INSERT_TAIL(&t->list, p, link);
        t->n++;
        t->n_names += n;
        return p;
}

void prepared_note(struct prepared_table *t, uint64_t epoch, uint64_t counter, uint64_t start,
                   int64_t prepared_ms, char *const *participants, size_t n_participants,
                   int64_t now_us)
{
        struct prepared **at = find(t, epoch, counter);
        int64_t age_ms = prepared_ms < 0 ? 0 : prepared_ms < MAX_AGE_MS ? prepared_ms : MAX_AGE_MS;
        int64_t since_us = now_us - age_ms * 1000;
        struct prepared *p = *at;

        if (!p && (t->n >= PREPARED_MAX || t->n_names + n_participants > PREPARED_MAX_NAMES))
                return;
        if (!p) {
                p = add(t, at, participants, n_participants);
                p->epoch = epoch;
                p->counter = counter;
                p->start = start;
                p->since_us = since_us;
        }
        if (since_us < p->since_us)
                p->since_us = since_us;
        p->heard_us = now_us;
        TAILQ_REMOVE(&t->list, p, link);
        TAILQ_INSERT_TAIL(&t->list, p, link);
}

void prepared_remove(struct prepared_table *t, uint64_t epoch, uint64_t counter)
{
        struct prepared **at = find(t, epoch, counter);

        if (*at)
                remove_at(t, at);
}

void prepared_check(struct prepared_table *t, int64_t now_us)
{
        struct prepared *p;

        while ((p = TAILQ_FIRST(&t->list)) &&
               p->heard_us < now_us - (int64_t)PREPARED_SILENCE_MS * 1000)
                remove_at(t, find(t, p->epoch, p->counter));
}

const struct prepared *prepared_find(const struct prepared_table *t, uint64_t epoch,
                                     uint64_t counter)
{
        return *find(t, epoch, counter);
}

const struct prepared_list *prepared_list(const struct prepared_table *t)
{
        return &t->list;
}

size_t prepared_count(const struct prepared_table *t)
{
        return t->n;
}
