/* options.h - the settings of the topo process. Constant after the start. */
#pragma once

#include <stdint.h>

#include "common/conf.h"
#include "common/log.h"

struct topo_settings {
        char *id;
        char *listen_address;
        char *http_address;
        char *data_dir;
        char *log_level;
        uint64_t heartbeat_ms;
        uint64_t lease_ms;
        uint64_t max_skew_ms;
        uint64_t drain_ms;
        uint64_t history;
        uint64_t max_prepared_ms;
        uint64_t keep_outcomes_ms;
};

extern const struct conf_table topo_conf;
/* What no setting by itself can tell. ERR_INVALID. */
enum err_code topo_settings_check(const struct topo_settings *s, enum log_level *ret_level,
                                  struct err *reterr) must_check_;
