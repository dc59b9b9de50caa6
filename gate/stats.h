/* stats.h - what the gate counts: metrics under shoal_gate_*. Recording: any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/metrics.h"
#include "gate/plan.h"

enum { STATS_N_PLANS = PLAN_N_KINDS + 1, STATS_N_CODES = ERR_UNAUTHENTICATED + 1 };

/* Registered once; the members are for ever. */
struct gate_metrics {
        struct metric *queries[STATS_N_PLANS]; /* by enum plan_kind; the last: not planned */
        struct metric *latency[STATS_N_PLANS];
        struct metric *errors[STATS_N_CODES];
        struct metric *in_flight;
        struct metric *rows, *bytes;
        struct metric *cache_hits, *cache_misses, *cache_bytes, *cache_plans;
        struct metric *retries_schema, *retries_away, *retries_lazy;
        struct metric *spilled, *finishes;
        struct metric *cuts, *cut_rounds, *cut_repins;
        struct metric *streams_connected, *tablets;
        struct metric *refreshes_done, *refreshes_failed, *statistics_tables;
        struct metric *topology_version, *topology_updates;
};

/* Static storage. */
struct gate_metrics *stats_register(void);

/* One statement is over. kind: enum plan_kind, or -1 if it was never planned. */
void stats_note_statement(struct gate_metrics *m, int kind, const struct err *e, int64_t elapsed_us,
                          uint64_t n_rows, uint64_t n_bytes);

struct gate;
/* Sets the gauges that tell of the gate's state; loop thread. */
void stats_refresh(struct gate *g);
