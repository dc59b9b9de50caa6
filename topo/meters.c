/* meters.c - topo's metrics by name. Any thread; the registry finds a series by its name and
 * labels. */
#include "topo/meters.h"

#include <stdio.h>

#include "common/metrics.h"

#define CALLS "shoal_topo_request_duration_seconds"
#define CALLS_HELP "Time from a request's arrival to its reply, by method, in seconds."
#define ERRORS "shoal_topo_errors_total"
#define ERRORS_HELP "Requests that ended with an error, by gRPC status code."
#define BEATS "shoal_topo_heartbeats_total"
#define BEATS_HELP "Heartbeats received, by the kind of process that sent them."
#define COMMITS "shoal_topo_store_transactions_total"
#define COMMITS_HELP "Transactions of the store, by outcome."
#define CHANGES "shoal_topo_schema_changes_total"
#define CHANGES_HELP "Schema changes, by the state they came to."
#define DECISIONS "shoal_topo_transactions_total"
#define DECISIONS_HELP "Transactions over several shards, by what was written of them."
#define KNOWN "shoal_topo_transactions"
#define STATISTICS "shoal_topo_statistics_total"
#define STATISTICS_HELP "Statistics of tables that gates sent, by what became of them."

/* Series without labels, or with one fixed value. */
static struct {
        struct metric *ids;
        struct metric *version;
        struct metric *keyspaces, *shards, *tables;
        struct metric *tablets_healthy, *tablets_unhealthy;
        struct metric *gates, *watchers;
        struct metric *commit_duration;
        struct metric *contradictions;
        struct metric *committed, *aborted, *ended, *preparing;
} meters;

static struct metric *counter_of(const char *name, const char *label, const char *value,
                                 const char *help)
{
        char labels[96];

        snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
        return metric_counter(name, labels, help);
}

static void register_counters(void)
{
        static const char *const states[] = { "pending", "undoing", "done", "undone" };
        static const char *const outcomes[] = { "committed", "aborted", "done", "forgotten" };

        counter_of(BEATS, "kind", "tablet", BEATS_HELP);
        counter_of(BEATS, "kind", "gate", BEATS_HELP);
        counter_of(COMMITS, "outcome", "committed", COMMITS_HELP);
        counter_of(COMMITS, "outcome", "conflict", COMMITS_HELP);
        counter_of(COMMITS, "outcome", "failed", COMMITS_HELP);
        counter_of(ERRORS, "code", err_code_name(ERR_UNAVAILABLE), ERRORS_HELP);
        counter_of(STATISTICS, "outcome", "stored", STATISTICS_HELP);
        counter_of(STATISTICS, "outcome", "much_the_same", STATISTICS_HELP);
        for (size_t i = 0; i < ARRAY_LEN(states); i++)
                counter_of(CHANGES, "state", states[i], CHANGES_HELP);
        for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
                counter_of(DECISIONS, "outcome", outcomes[i], DECISIONS_HELP);
        meters.contradictions =
            metric_counter("shoal_topo_transaction_contradictions_total", "",
                           "Reports of a commit that topo knows as aborted, or not at all.");
        meters.ids =
            metric_counter("shoal_topo_ids_allocated_total", "", "Row ids given to gates.");
}

static void register_gauges(void)
{
        static const char tablets_help[] = "Registered tablets, by health.";
        static const char known_help[] = "Transactions over several shards that topo knows of, by "
                                         "state; preparing and committed "
                                         "ones are not resolved yet.";

        meters.preparing = metric_gauge(KNOWN, "state=\"preparing\"", known_help);
        meters.committed = metric_gauge(KNOWN, "state=\"committed\"", known_help);
        meters.aborted = metric_gauge(KNOWN, "state=\"aborted\"", known_help);
        meters.ended = metric_gauge(KNOWN, "state=\"done\"", known_help);
        meters.version = metric_gauge("shoal_topo_topology_version", "",
                                      "Version of the topology that was pushed last.");
        meters.keyspaces = metric_gauge("shoal_topo_keyspaces", "", "Keyspaces that exist.");
        meters.shards = metric_gauge("shoal_topo_shards", "", "Shards of all keyspaces.");
        meters.tables = metric_gauge("shoal_topo_tables", "", "Tables of all keyspaces.");
        meters.tablets_healthy =
            metric_gauge("shoal_topo_tablets", "health=\"healthy\"", tablets_help);
        meters.tablets_unhealthy =
            metric_gauge("shoal_topo_tablets", "health=\"unhealthy\"", tablets_help);
        meters.gates = metric_gauge("shoal_topo_gates", "", "Gates that hold a lease.");
        meters.watchers = metric_gauge("shoal_topo_watchers", "", "Open WatchTopology calls.");
}

void meters_init(void)
{
        register_counters();
        register_gauges();
        meters.commit_duration = metric_histogram(
            "shoal_topo_store_transaction_duration_seconds", "",
            "Time a transaction of the store took until it was durable, in seconds.",
            METRIC_LATENCY_BUCKETS, METRIC_N_LATENCY_BUCKETS);
}

void meters_count_call(const char *method, enum err_code code, int64_t elapsed_us)
{
        char labels[96];

        snprintf(labels, sizeof labels, "method=\"%s\"", method);
        metric_observe(metric_histogram(CALLS, labels, CALLS_HELP, METRIC_LATENCY_BUCKETS,
                                        METRIC_N_LATENCY_BUCKETS),
                       (double)elapsed_us / 1e6);
        if (code)
                metric_add(counter_of(ERRORS, "code", err_code_name(code), ERRORS_HELP), 1);
}

void meters_count_commit(enum err_code code, int64_t elapsed_us)
{
        const char *outcome = !code ? "committed" : code == ERR_ABORTED ? "conflict" : "failed";

        metric_add(counter_of(COMMITS, "outcome", outcome, COMMITS_HELP), 1);
        metric_observe(meters.commit_duration, (double)elapsed_us / 1e6);
}

void meters_count_heartbeat(const char *kind)
{
        metric_add(counter_of(BEATS, "kind", kind, BEATS_HELP), 1);
}

void meters_count_ids(uint64_t n)
{
        metric_add(meters.ids, n);
}

void meters_count_change(const char *state)
{
        metric_add(counter_of(CHANGES, "state", state, CHANGES_HELP), 1);
}

void meters_count_statistics(bool stored)
{
        metric_add(
            counter_of(STATISTICS, "outcome", stored ? "stored" : "much_the_same", STATISTICS_HELP),
            1);
}

void meters_count_decisions(const char *outcome, uint64_t n)
{
        if (n)
                metric_add(counter_of(DECISIONS, "outcome", outcome, DECISIONS_HELP), n);
}

void meters_count_contradiction(void)
{
        metric_add(meters.contradictions, 1);
}

void meters_set_transactions(size_t n_committed, size_t n_aborted, size_t n_done,
                             size_t n_preparing)
{
        metric_set(meters.committed, (int64_t)n_committed);
        metric_set(meters.aborted, (int64_t)n_aborted);
        metric_set(meters.ended, (int64_t)n_done);
        metric_set(meters.preparing, (int64_t)n_preparing);
}

void meters_set_version(uint64_t version)
{
        metric_set(meters.version, (int64_t)version);
}

void meters_set_sizes(size_t n_keyspaces, size_t n_shards, size_t n_tables)
{
        metric_set(meters.keyspaces, (int64_t)n_keyspaces);
        metric_set(meters.shards, (int64_t)n_shards);
        metric_set(meters.tables, (int64_t)n_tables);
}

void meters_set_tablets(size_t n_healthy, size_t n_all)
{
        metric_set(meters.tablets_healthy, (int64_t)n_healthy);
        metric_set(meters.tablets_unhealthy, (int64_t)(n_all - n_healthy));
}

void meters_set_gates(size_t n)
{
        metric_set(meters.gates, (int64_t)n);
}

void meters_set_watchers(size_t n)
{
        metric_set(meters.watchers, (int64_t)n);
}
