/* prepared.h - which transactions tablets have reported as prepared and not known to be decided:
 * for people to look at (Topo.ListTransactions), nothing is decided by it. Kept only here, and only
 * while tablets go on reporting. Owner: the loop thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum {
        PREPARED_MAX = 100000,        /* further ones are not shown */
        PREPARED_MAX_NAMES = 1000000, /* of participants, likewise */
        PREPARED_SILENCE_MS = 60000,  /* not reported for so long: it has ended somehow */
};

struct prepared_table;

struct prepared {
        TAILQ_ENTRY(prepared) link; /* in the order of their last reports */
        struct prepared *next;      /* with the same hash */
        uint64_t epoch, counter, start;
        int64_t since_us; /* prepared since, as far as is known */
        int64_t heard_us; /* the last report */
        size_t n_participants;
        char **participants; /* "KEYSPACE_ID/SHARD" */
};
TAILQ_HEAD(prepared_list, prepared);

struct prepared_table *prepared_new(void);
struct prepared_table *prepared_free(struct prepared_table *t); /* accepts NULL, returns NULL */
/* A report; participants are copied from a first one. prepared_ms: for how long it has been. */
void prepared_note(struct prepared_table *t, uint64_t epoch, uint64_t counter, uint64_t start,
                   int64_t prepared_ms, char *const *participants, size_t n_participants,
                   int64_t now_us);
/* It is decided, or known to be gone. */
void prepared_remove(struct prepared_table *t, uint64_t epoch, uint64_t counter);
/* Drops those that nobody reports any more. */
void prepared_check(struct prepared_table *t, int64_t now_us);
const struct prepared *prepared_find(const struct prepared_table *t, uint64_t epoch,
                                     uint64_t counter);
/* For TAILQ_FOREACH; not to be changed. */
const struct prepared_list *prepared_list(const struct prepared_table *t);
size_t prepared_count(const struct prepared_table *t);
