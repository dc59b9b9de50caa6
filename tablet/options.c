/* options.c - flags, file and environment of the tablet process. */
#include "tablet/options.h"

#define MEMBER(name) offsetof(struct tablet_settings, name)
#define MIB (1024 * 1024)

// clang-format off
static const struct conf_def defs[] = {
        { "id", CONF_STR, MEMBER(id), NULL, 0, 0, "NAME", "Name of this tablet in topo and in logs; its data folder belongs to it." },
        { "listen-address", CONF_STR, MEMBER(listen_address), "127.0.0.1:7721", 0, 0, "HOST:PORT",
          "Where to serve gRPC; port 0 picks a free one." },
        { "advertise-address", CONF_STR, MEMBER(advertise_address), "", 0, 0, "HOST:PORT",
          "Where gates reach this tablet; empty: the address it listens on." },
        { "http-address", CONF_STR, MEMBER(http_address), "127.0.0.1:7722", 0, 0, "HOST:PORT",
          "Where to serve /metrics, /healthz and /readyz; port 0 picks a free one." },
        { "topo-address", CONF_STR, MEMBER(topo_address), "127.0.0.1:7701", 0, 0, "HOST:PORT", "Where topo serves gRPC." },
        { "data-dir", CONF_STR, MEMBER(data_dir), NULL, 0, 0, "DIR", "Folder of this process alone, made if it is not there." },
        { "log-level", CONF_STR, MEMBER(log_level), "info", 0, 0, "LEVEL", "Least level that is logged: debug, info, warn, error." },
        { "pool-threads", CONF_UINT, MEMBER(pool_threads), "8", 1, 256, "N", "Threads for reads that are not answered at once." },
        { "writer-threads", CONF_UINT, MEMBER(writer_threads), "8", 1, 256, "N",
          "Threads for the shards' writers: how many commits may wait for the disk at a time." },
        { "read-parallelism", CONF_UINT, MEMBER(read_parallelism), "0", 0, 256, "N",
          "Shards that one statement reads at a time, so that what they sort stays in the processors' caches; 0: one for each processor." },
        { "max-skew", CONF_MS, MEMBER(max_skew_ms), "500ms", 1, 60000, "TIME",
          "How far a peer's clock may be ahead of this one's; its requests are refused beyond." },
        { "drain", CONF_MS, MEMBER(drain_ms), "5s", 0, 600000, "TIME", "How long requests under way may take to end after SIGTERM." },
        { "max-message", CONF_BYTES, MEMBER(max_message_bytes), "64MiB", 64 * 1024, 1024 * MIB, "BYTES", "Largest request taken." },
        { "max-requests", CONF_UINT, MEMBER(max_requests), "10000", 1, 1000000, "N", "Requests under way on one stream." },
        { "max-queued-replies", CONF_BYTES, MEMBER(max_queued_bytes), "32MiB", 64 * 1024, 1024 * MIB, "BYTES",
          "Replies of one stream that may wait for the gate to read them before no more rows are fetched for it." },
        { "max-connections", CONF_UINT, MEMBER(max_connections), "1024", 8, 100000, "N",
          "SQLite connections open at a time over all shards; those idle for longest are closed first." },
        { "page-cache", CONF_BYTES, MEMBER(cache_bytes), "2MiB", 64 * 1024, 1024 * MIB, "BYTES", "Pages one connection keeps in memory." },
        { "max-statements", CONF_UINT, MEMBER(max_statements), "128", 1, 100000, "N", "Prepared statements one connection keeps." },
        { "max-statement-memory", CONF_BYTES, MEMBER(max_statement_bytes), "4MiB", 64 * 1024, 1024 * MIB, "BYTES",
          "Memory they may take together." },
        { "max-value", CONF_BYTES, MEMBER(max_value_bytes), "64MiB", 1024, 1024 * MIB, "BYTES", "Largest value or row." },
        { "max-result", CONF_BYTES, MEMBER(max_result_bytes), "64MiB", 1024, 1024 * MIB, "BYTES",
          "Largest result of a shard that is not read in chunks." },
        { "max-batch", CONF_UINT, MEMBER(max_batch), "256", 1, 100000, "N", "Writes that share one commit at most." },
        { "max-batch-time", CONF_MS, MEMBER(max_batch_ms), "5ms", 1, 10000, "TIME", "No further write joins a batch that is older." },
        { "max-write-queue", CONF_UINT, MEMBER(max_queue), "10000", 1, 10000000, "N", "Writes that may wait for one shard." },
        { "max-write-queue-bytes", CONF_BYTES, MEMBER(max_queue_bytes), "64MiB", 64 * 1024, 0, "BYTES",
          "Statements and parameters that may wait for one shard." },
        { "checkpoint", CONF_BYTES, MEMBER(checkpoint_bytes), "4MiB", 64 * 1024, 1024 * MIB, "BYTES",
          "Write-ahead log of a shard that makes it worth while to move it into the file." },
        { "max-wal", CONF_BYTES, MEMBER(max_wal_bytes), "64MiB", 64 * 1024, 0, "BYTES",
          "Write-ahead log of a shard beyond which its writer waits for short reads to end; its file shrinks to this afterwards." },
        { "max-read-time", CONF_MS, MEMBER(max_read_ms), "5m", 100, 0, "TIME",
          "Longest that a read may keep its snapshot, which holds checkpoints back." },
        { "request-id-keep", CONF_MS, MEMBER(request_keep_ms), "1440m", 1000, 0, "TIME",
          "How long a write's request_id is remembered, so that the write is done once." },
};
// clang-format on

const struct conf_table tablet_conf = {
        .program = "tablet",
        .summary = "Holds shards, one SQLite file each, and runs SQL on them for gates.",
        .defs = defs,
        .n_defs = ARRAY_LEN(defs),
};
