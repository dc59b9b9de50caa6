/* refresh.h - when the statistics of a table are out of date. Without I/O or clock; loop thread.
 *
 * Every write adds its rows to its table's count. A table of which nothing is known is due once
 * anything was written to it, another when as many rows were written as make up a tenth of it, and
 * some more: but no sooner than an interval after the first of those writes, and after it was done
 * last. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        REFRESH_MIN_CHANGES = 100, /* and a tenth of the rows */
        REFRESH_SHARE = 10,
};

struct refresh;

struct refresh *refresh_new(int64_t interval_us); /* never NULL */
struct refresh *refresh_free(struct refresh *r);  /* accepts NULL, returns NULL */

void refresh_note(struct refresh *r, uint64_t keyspace_id, const char *table, uint64_t n_rows,
                  int64_t now_us);

struct refresh_choice {
        uint64_t keyspace_id;
        const char *table; /* borrowed until the next refresh_note(); NULL: none is due */
        int64_t again_us; /* without one: look again then; INT64_MAX: when there has been a write */
};
/* A table that is due; it is then being refreshed, and no other is chosen until refresh_done().
 * rows: how many the table has; negative: nothing is known; REFRESH_GONE: there is no such table.
 */
#define REFRESH_GONE (-2.0)
typedef double refresh_rows_fn(void *arg, uint64_t keyspace_id, const char *table);
struct refresh_choice refresh_choose(struct refresh *r, int64_t now_us, refresh_rows_fn *rows,
                                     void *arg);
/* The table that was chosen last: ok, or it is tried again in an interval. */
void refresh_done(struct refresh *r, bool ok, int64_t now_us);
