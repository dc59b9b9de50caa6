/* options.h - the settings of the tablet process. Constant after the start. */
#pragma once

#include <stdint.h>

#include "common/conf.h"

struct tablet_settings {
        char *id;
        char *listen_address;
        char *advertise_address;
        char *http_address;
        char *topo_address;
        char *data_dir;
        char *log_level;
        uint64_t pool_threads;
        uint64_t writer_threads;
        uint64_t read_parallelism;
        uint64_t max_skew_ms;
        uint64_t drain_ms;
        uint64_t max_message_bytes;
        uint64_t max_requests;
        uint64_t max_queued_bytes;
        uint64_t max_connections;
        uint64_t cache_bytes;
        uint64_t max_statements;
        uint64_t max_statement_bytes;
        uint64_t max_value_bytes;
        uint64_t max_result_bytes;
        uint64_t max_batch;
        uint64_t max_batch_ms;
        uint64_t max_queue;
        uint64_t max_queue_bytes;
        uint64_t checkpoint_bytes;
        uint64_t max_wal_bytes;
        uint64_t max_read_ms;
        uint64_t request_keep_ms;
};

extern const struct conf_table tablet_conf;
