/* records.h - how transactions over several shards ended: the store's DecisionRecords and marks
 * (topo/keys.h), apart from the catalogue because they are many and short-lived. Like the catalogue
 * it follows the store's watch and nothing else; what it knows besides (what gates tell of their
 * oldest transaction) is lost with the process and told again. Finding, adding and removing one
 * takes a constant time. Owner: the loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/err.h"
#include "topo/store.h"
#include "txn/decision.h"

struct records;

struct record {
        TAILQ_ENTRY(record) link; /* of its state, in the order in which they came to it */
        struct record *next;      /* with the same hash */
        uint64_t epoch, counter, start;
        uint64_t commit_ts;
        uint64_t mod_revision;
        int64_t created_ms; /* wall clock */
        int64_t since_us;   /* when this process saw it come to its state, or loaded it */
        enum decision_record state;
        uint32_t n_participants, n_left; /* that have not reported it durable */
        uint32_t n_bytes;                /* of the following */
        char participants[];             /* for each: ' ' or '+' (durable), its name, NUL */
};
TAILQ_HEAD(record_list, record);

/* Of an epoch. */
struct record_mark {
        uint64_t epoch;
        uint64_t counter;      /* nothing below can be decided any more; 0: no mark is stored */
        uint64_t mod_revision; /* of the stored mark; 0: none */
        uint64_t oldest;       /* what the gate has told: it will decide nothing below any more */
};

struct records *records_new(void);
struct records *records_free(struct records *r); /* accepts NULL, returns NULL */

/* Becomes what a list of all keys gave; others than transactions and marks are passed over.
 * ERR_DATA_LOSS (STORE_DAMAGED): one cannot be read; it is then what it was. */
enum err_code records_replace(struct records *r, const struct store_item *items, size_t n_items,
                              int64_t now_us, struct err *reterr) must_check_;
/* Applies what a revision changed. ERR_DATA_LOSS likewise, but part of it may have been applied. */
enum err_code records_apply(struct records *r, const struct store_item *items, size_t n_items,
                            int64_t now_us, struct err *reterr) must_check_;

/* Borrowed until the next change. */
const struct record *records_find(const struct records *r, uint64_t epoch, uint64_t counter);
/* Those in a state, oldest first, for TAILQ_FOREACH; not to be changed. */
const struct record_list *records_list(const struct records *r, enum decision_record state);
size_t records_count(const struct records *r, enum decision_record state);
size_t records_count_all(const struct records *r);
/* Of the epoch; all 0 if nothing is known. */
struct record_mark records_mark(const struct records *r, uint64_t epoch);

/* The first mark of that epoch or a later one, stored or not; false: there is none. */
bool records_find_mark(const struct records *r, uint64_t epoch, struct record_mark *ret_mark);
size_t records_count_marks(const struct records *r);
/* Of an epoch without a stored mark: what its gate has told is of no use any more. */
void records_forget_mark(struct records *r, uint64_t epoch);

/* A gate has told that it will decide nothing below counter in its epoch. */
void records_tell_oldest(struct records *r, uint64_t epoch, uint64_t counter);
/* Puts a record behind all others in its state. */
void records_put_off(struct records *r, uint64_t epoch, uint64_t counter);

/* For loops over the participants of a record: NULL gives the first; NULL at the end. */
const char *record_next_participant(const struct record *e, const char *participant);
/* Of a participant that came from there: has it reported the commit durable? */
static inline bool record_is_durable_at(const char *participant)
{
        return participant[-1] == '+';
}
