/* options.c - flags, file and environment of the gate process. */
#include "gate/options.h"

#define MEMBER(name) offsetof(struct gate_options, name)

// clang-format off
static const struct conf_def defs[] = {
        { "id", CONF_STR, MEMBER(id), "gate-0", 0, 0, "NAME",
          "Name of this gate, one of its own in the cluster." },
        { "listen-address", CONF_STR, MEMBER(listen_address), "127.0.0.1:7721", 0, 0, "HOST:PORT",
          "Where to serve gRPC; port 0 picks a free one." },
        { "advertise-address", CONF_STR, MEMBER(advertise_address), "", 0, 0, "HOST:PORT",
          "Where clients reach this gate; empty: the listen address." },
        { "http-address", CONF_STR, MEMBER(http_address), "127.0.0.1:7722", 0, 0, "HOST:PORT",
          "Where to serve /metrics, /healthz and /readyz; port 0 picks a free one." },
        { "topo-address", CONF_STR, MEMBER(topo_address), NULL, 0, 0, "HOST:PORT", "Where topo serves gRPC." },
        { "log-level", CONF_STR, MEMBER(log_level), "info", 0, 0, "LEVEL",
          "Least level that is logged: debug, info, warn, error." },
        { "spill-dir", CONF_STR, MEMBER(spill_dir), "", 0, 0, "DIR",
          "Folder for temporary files of statements that do not fit into memory; empty: SQLite's choice." },

        { "pool-threads", CONF_UINT, MEMBER(pool_threads), "4", 1, 256, "N",
          "Threads on which statements are finished." },
        { "tablet-streams", CONF_UINT, MEMBER(tablet_streams), "2", 1, 64, "N",
          "Streams kept open to each tablet." },
        { "connect-wait", CONF_MS, MEMBER(connect_wait_ms), "1s", 0, 60000, "TIME",
          "How long a request waits for a tablet that is not connected." },
        { "retry", CONF_MS, MEMBER(retry_ms), "2s", 0, 600000, "TIME",
          "How long a statement of which nothing was done is tried again while a tablet or topo is away." },
        { "schema-wait", CONF_MS, MEMBER(schema_wait_ms), "10s", 0, 600000, "TIME",
          "How long a statement is tried again while the schema is being changed." },
        { "keepalive", CONF_MS, MEMBER(keepalive_ms), "2s", 100, 600000, "TIME",
          "A tablet or topo that is silent for so long is pinged." },
        { "keepalive-timeout", CONF_MS, MEMBER(keepalive_timeout_ms), "2s", 100, 600000, "TIME",
          "How long a ping may stay without an answer before the peer counts as gone." },
        { "statistics-interval", CONF_MS, MEMBER(statistics_interval_ms), "30s", 0, 86400000, "TIME",
          "Least time between two looks at the statistics of a table that this gate writes to; 0: only ANALYZE looks." },
        { "drain", CONF_MS, MEMBER(drain_ms), "5s", 0, 600000, "TIME",
          "How long calls under way may take to end after SIGTERM." },
        { "max-skew", CONF_MS, MEMBER(max_skew_ms), "500ms", 1, 60000, "TIME",
          "How far a peer's clock may be ahead of this one's." },

        { "max-request-bytes", CONF_BYTES, MEMBER(max_request_bytes), "16MiB", 1024, 1 << 30, "BYTES",
          "Largest request that is taken." },
        { "max-statement-bytes", CONF_BYTES, MEMBER(max_statement_bytes), "1MiB", 16, 1 << 30, "BYTES",
          "Longest text of a statement." },
        { "max-statements", CONF_UINT, MEMBER(max_statements), "5000", 1, 1000000, "N",
          "Statements that may be under way at a time." },
        { "max-batch-statements", CONF_UINT, MEMBER(max_batch_statements), "10000", 1, 10000000, "N",
          "Statements in one batch." },
        { "max-result-rows", CONF_UINT, MEMBER(max_result_rows), "1000000", 1, 1000000000, "N",
          "Rows of an answer in one piece, where the client sets no limit; ExecuteStream has none." },
        { "max-result-bytes", CONF_BYTES, MEMBER(max_result_bytes), "64MiB", 1024, 1 << 30, "BYTES",
          "Size of an answer in one piece, and of one value; ExecuteStream's answers have no limit." },
        { "results-memory", CONF_BYTES, MEMBER(results_memory), "1GiB", 1024, 1ULL << 40, "BYTES",
          "Memory for the rows of all answers in one piece that are being put together." },
        { "plan-cache", CONF_BYTES, MEMBER(plan_cache_bytes), "64MiB", 0, 1ULL << 40, "BYTES",
          "Memory for plans of statements." },
        { "finish-memory", CONF_BYTES, MEMBER(finish_memory), "8MiB", 64 << 10, 1ULL << 40, "BYTES",
          "Memory for the rows of one statement that the gate finishes; what is more goes to temporary files." },
        { "finish-total-memory", CONF_BYTES, MEMBER(finish_total_memory), "256MiB", 1 << 20, 1ULL << 40, "BYTES",
          "Memory for all that finishing one statement takes, large values included; beyond it the statement fails." },
        { "finish-disk", CONF_BYTES, MEMBER(finish_disk), "4GiB", 0, 1ULL << 50, "BYTES",
          "Size of the temporary files of one statement." },
        { "max-finishes", CONF_UINT, MEMBER(max_finishes), "64", 1, 100000, "N",
          "Statements that the gate finishes at a time; others wait." },
};
// clang-format on

const struct conf_table gate_conf = {
        .program = "gate",
        .summary =
            "Takes clients' SQL, plans it, sends it to the tablets and merges what they answer.",
        .defs = defs,
        .n_defs = ARRAY_LEN(defs),
};
