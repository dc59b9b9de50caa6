/* engine_metrics.c - what the engine counts. Any thread. */
#include "tablet/engine_int.h"

#include "common/metrics.h"

static struct engine_metrics metrics;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_metrics(void)
{
        static const double batch_buckets[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 };
        static const char checkpoint_help[] =
            "Attempts to move a shard's write-ahead log into its file, by outcome.";

        metrics = (struct engine_metrics){
                .batch_size = metric_histogram("shoal_tablet_commit_writes", "",
                                               "Writes that one commit made durable.",
                                               batch_buckets, ARRAY_LEN(batch_buckets)),
                .commit_seconds =
                    metric_histogram("shoal_tablet_commit_duration_seconds", "",
                                     "Time of a COMMIT with its fsync, in seconds.",
                                     METRIC_LATENCY_BUCKETS, METRIC_N_LATENCY_BUCKETS),
                .wal_bytes = metric_gauge(
                    "shoal_tablet_wal_bytes", "",
                    "Write-ahead log of all open shards since it last started again, in bytes."),
                .connections = metric_gauge("shoal_tablet_connections", "",
                                            "Open SQLite connections over all shards."),
                .checkpoints_done = metric_counter("shoal_tablet_checkpoints_total",
                                                   "outcome=\"complete\"", checkpoint_help),
                .checkpoints_partial = metric_counter("shoal_tablet_checkpoints_total",
                                                      "outcome=\"partial\"", checkpoint_help),
                .checkpoints_failed = metric_counter("shoal_tablet_checkpoints_total",
                                                     "outcome=\"failed\"", checkpoint_help),
                .replays =
                    metric_counter("shoal_tablet_replays_total", "",
                                   "Requests answered from what is kept under their request_id."),
                .poisoned = metric_counter(
                    "shoal_tablet_batches_undone_total", "",
                    "Batches that one of their writes rolled back, and that were run again."),
                .damaged = metric_gauge("shoal_tablet_damaged_shards", "",
                                        "Shards in whose file damage was found."),
                .prepares = metric_counter("shoal_tablet_prepares_total", "",
                                           "Statements compiled by SQLite."),
        };
}

const struct engine_metrics *engine_metrics(void)
{
        pthread_once(&once, register_metrics);
        return &metrics;
}
