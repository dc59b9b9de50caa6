/* stats.c - names and help of the gate's metrics. */
#include "gate/stats.h"

#include <ctype.h>
#include <stdio.h>

#include "gate/finish.h"
#include "gate/gate.h"

static struct gate_metrics metrics;

static void register_plans(struct gate_metrics *m)
{
        for (int k = 0; k < STATS_N_PLANS; k++) {
                char *labels =
                    xasprintf("plan=\"%s\"",
                              k == STATS_N_PLANS - 1 ? "none" : plan_kind_name((enum plan_kind)k));

                m->queries[k] = metric_counter(
                    "shoal_gate_queries_total", labels,
                    "Statements that are over, by how they were run; none: never planned.");
                m->latency[k] = metric_histogram(
                    "shoal_gate_query_duration_seconds", labels,
                    "Seconds from the arrival of a statement to its answer, by how it was run.",
                    METRIC_LATENCY_BUCKETS, METRIC_N_LATENCY_BUCKETS);
                free(labels);
        }
}

static void register_errors(struct gate_metrics *m)
{
        for (int code = 1; code < STATS_N_CODES; code++) {
                char *labels = xasprintf("code=\"%s\"", err_code_name((enum err_code)code));

                m->errors[code] = metric_counter("shoal_gate_errors_total", labels,
                                                 "Statements that failed, by gRPC status code.");
                free(labels);
        }
}

static struct metric *count_retries(const char *labels)
{
        return metric_counter(
            "shoal_gate_retries_total", labels,
            "Times a statement was begun again before anything of it was done, by reason.");
}

static struct metric *count_refreshes(const char *labels)
{
        return metric_counter(
            "shoal_gate_statistics_refreshes_total", labels,
            "Times the statistics of a table were looked at in the background, by outcome.");
}

static void register_counters(struct gate_metrics *m)
{
        m->rows =
            metric_counter("shoal_gate_rows_total", "", "Rows that shards sent for statements.");
        m->bytes = metric_counter("shoal_gate_result_bytes_total", "",
                                  "Bytes of encoded rows given to clients.");
        m->cache_hits = metric_counter("shoal_gate_plan_cache_hits_total", "",
                                       "Statements whose plan was in the cache.");
        m->cache_misses = metric_counter("shoal_gate_plan_cache_misses_total", "",
                                         "Statements that had to be planned.");
        m->retries_schema = count_retries("reason=\"schema_changed\"");
        m->retries_away = count_retries("reason=\"unavailable\"");
        m->retries_lazy = count_retries("reason=\"computed_too_much\"");
        m->spilled = metric_counter(
            "shoal_gate_spilled_bytes_total", "",
            "Bytes that statements needed of temporary files, the most of each added up.");
        m->refreshes_done = count_refreshes("outcome=\"done\"");
        m->refreshes_failed = count_refreshes("outcome=\"failed\"");
        m->cuts = metric_counter("shoal_gate_cuts_total", "",
                                 "Reads of several snapshots that were found to be one moment.");
        m->cut_rounds = metric_counter(
            "shoal_gate_cut_rounds_total", "",
            "Times that some shards of such a read had to be pinned again, by rounds of a read.");
        m->cut_repins = metric_counter("shoal_gate_cut_repins_total", "",
                                       "Shards that had to be pinned again for such a read.");
        m->topology_updates = metric_counter("shoal_gate_topology_updates_total", "",
                                             "Topologies that topo has pushed.");
}

static void register_gauges(struct gate_metrics *m)
{
        m->in_flight =
            metric_gauge("shoal_gate_statements_in_flight", "", "Statements under way now.");
        m->cache_bytes =
            metric_gauge("shoal_gate_plan_cache_bytes", "", "Bytes that the cached plans take.");
        m->cache_plans = metric_gauge("shoal_gate_plan_cache_plans", "", "Plans in the cache now.");
        m->finishes = metric_gauge("shoal_gate_finishes_in_flight", "",
                                   "Statements that the gate's own SQLite finishes now.");
        m->streams_connected = metric_gauge("shoal_gate_tablet_streams", "",
                                            "Streams to tablets that are connected now.");
        m->tablets = metric_gauge("shoal_gate_tablets", "", "Tablets that topo tells of.");
        m->statistics_tables = metric_gauge("shoal_gate_statistics_tables", "",
                                            "Tables whose statistics this gate knows.");
        m->topology_version = metric_gauge("shoal_gate_topology_version", "",
                                           "Version of the topology in use; 0: none yet.");
}

struct gate_metrics *stats_register(void)
{
        register_plans(&metrics);
        register_errors(&metrics);
        register_counters(&metrics);
        register_gauges(&metrics);
        return &metrics;
}

void stats_note_statement(struct gate_metrics *m, int kind, const struct err *e, int64_t elapsed_us,
                          uint64_t n_rows, uint64_t n_bytes)
{
        if (kind < 0)
                kind = STATS_N_PLANS - 1;
        metric_add(m->queries[kind], 1);
        metric_observe(m->latency[kind], (double)elapsed_us / 1e6);
        if (e->code != ERR_OK && (int)e->code < STATS_N_CODES)
                metric_add(m->errors[e->code], 1);
        metric_add(m->rows, n_rows);
        metric_add(m->bytes, n_bytes);
}

void stats_refresh(struct gate *g)
{
        struct gate_metrics *m = g->metrics;

        metric_set(m->in_flight, (int64_t)g->n_statements);
        metric_set(m->cache_bytes, (int64_t)plan_cache_bytes(g->plans));
        metric_set(m->cache_plans, (int64_t)plan_cache_count(g->plans));
        metric_set(m->finishes, (int64_t)finishes_n_running(g->finishes));
        metric_set(m->streams_connected, (int64_t)tablets_n_connected(g->tablets));
        metric_set(m->tablets, (int64_t)topology_n_tablets(g->topology));
        metric_set(m->statistics_tables,
                   (int64_t)statistics_count(topology_statistics(g->topology)));
        metric_set(m->topology_version, (int64_t)topology_version(g->topology));
}
