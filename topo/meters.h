/* meters.h - topo's metrics. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Registers all of them, so that they show from the start. Once, before any other function here. */
void meters_init(void);

void meters_count_call(const char *method, enum err_code code, int64_t elapsed_us);
/* outcome of a transaction of the store: committed, conflict, failed. */
void meters_count_commit(enum err_code code, int64_t elapsed_us);
void meters_count_heartbeat(const char *kind); /* tablet, gate */
void meters_count_ids(uint64_t n);
void meters_count_change(const char *state); /* a state of topo/schema.h */
void meters_count_statistics(bool stored);   /* PutStatistics calls */
/* what was written of transactions: committed, aborted, done, forgotten */
void meters_count_decisions(const char *outcome, uint64_t n);
/* A participant has committed what topo knows as aborted, or not at all. */
void meters_count_contradiction(void);
void meters_set_transactions(size_t n_committed, size_t n_aborted, size_t n_done,
                             size_t n_preparing);
void meters_set_version(uint64_t version);
void meters_set_sizes(size_t n_keyspaces, size_t n_shards, size_t n_tables);
void meters_set_tablets(size_t n_healthy, size_t n_all);
void meters_set_gates(size_t n);
void meters_set_watchers(size_t n);
