/* plan_sim.h - a keyspace in one process, for tests: each shard an in-memory SQLite, plans run by
 * hand, and one plain SQLite that gets the same statements and is asked what is right. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "gate/plan.h"

struct sim;

struct sim *sim_new(unsigned n_shards);
struct sim *sim_free(struct sim *s);
DEFINE_CLEANUP(struct sim *, sim_free);

/* What a statement gave: rows as text, one string a row; or an error. */
struct sim_result {
        enum err_code code;
        struct err err;
        enum plan_kind kind;
        char **rows;
        size_t n_rows;
        size_t n_shards; /* that the first part went to */
        struct {
                size_t n_shards;
                size_t n_bytes; /* that came back, as encoded */
        } parts[16];
        size_t part;    /* that is being run */
        size_t n_keyed; /* parts of which only the rows of another one's keys were fetched */
};
void sim_result_done(struct sim_result *r);
/* Orders the rows, so that results compare as multisets. */
void sim_result_sort(struct sim_result *r);

/* Runs it through plan_cache_get(). args may be NULL. */
void sim_run(struct sim *s, const char *sql, const struct plan_arg *args, size_t n_args,
             struct sim_result *ret);
/* Runs it on plain SQLite. */
void sim_run_oracle(struct sim *s, const char *sql, const struct plan_arg *args, size_t n_args,
                    struct sim_result *ret);

/* Runs it on both and fails the test unless they agree: same rows (in order if `ordered`), or an
 * error of the same extended code. Returns the plan's kind. Refused as UNIMPLEMENTED: fails unless
 * may_refuse, then *ret_refused is set and the oracle does not run it. */
enum plan_kind sim_check(struct sim *s, const char *sql, bool ordered);
enum plan_kind sim_check_args(struct sim *s, const char *sql, const struct plan_arg *args,
                              size_t n_args, bool ordered, bool may_refuse, bool *ret_refused);

/* Rows of the table on each shard's own file. */
size_t sim_count(struct sim *s, unsigned shard, const char *table);
struct catalog *sim_catalog(struct sim *s);
/* Parts that were fetched by keys, in all that was checked so far. */
size_t sim_n_keyed(const struct sim *s);

/* Calls run for so many seeds, for n_long of them with SHOAL_TEST_LONG, for that of SHOAL_TEST_SEED
 * alone if there is one. Prints each, so that what was printed last has failed. */
void sim_each_seed(unsigned n, unsigned n_long, void (*run)(unsigned seed, void *arg), void *arg);
