/* options.c - flags, file and environment of the topo process. */
#include "topo/options.h"

#define MEMBER(name) offsetof(struct topo_settings, name)

// clang-format off
static const struct conf_def defs[] = {
        { "id", CONF_STR, MEMBER(id), "topo-0", 0, 0, "NAME", "Name of this process in logs." },
        { "listen-address", CONF_STR, MEMBER(listen_address), "127.0.0.1:7701", 0, 0, "HOST:PORT",
          "Where to serve gRPC; port 0 picks a free one." },
        { "http-address", CONF_STR, MEMBER(http_address), "127.0.0.1:7702", 0, 0, "HOST:PORT",
          "Where to serve /metrics, /healthz and /readyz; port 0 picks a free one." },
        { "data-dir", CONF_STR, MEMBER(data_dir), NULL, 0, 0, "DIR", "Folder of this process alone, made if it is not there." },
        { "log-level", CONF_STR, MEMBER(log_level), "info", 0, 0, "LEVEL", "Least level that is logged: debug, info, warn, error." },
        { "heartbeat", CONF_MS, MEMBER(heartbeat_ms), "1s", 20, 60000, "TIME",
          "How often tablets and gates send heartbeats; a tablet that misses three is unhealthy." },
        { "lease", CONF_MS, MEMBER(lease_ms), "5s", 100, 600000, "TIME",
          "How long a silent gate counts as alive; several heartbeats." },
        { "max-skew", CONF_MS, MEMBER(max_skew_ms), "500ms", 1, 60000, "TIME",
          "How far a peer's clock may be ahead of this one's." },
        { "drain", CONF_MS, MEMBER(drain_ms), "5s", 0, 600000, "TIME",
          "How long calls under way may take to end after SIGTERM." },
        { "history", CONF_UINT, MEMBER(history), "1000", 1, 1000000, "N",
          "How many revisions of the store are kept for watches to resume from." },
        { "max-prepared", CONF_MS, MEMBER(max_prepared_ms), "30s", 100, 3600000, "TIME",
          "A transaction that is prepared for longer, and not decided by its gate, is aborted." },
        { "keep-outcomes", CONF_MS, MEMBER(keep_outcomes_ms), "10m", 1, 86400000, "TIME",
          "How long it is known how a transaction over several shards ended." },
};
// clang-format on

const struct conf_table topo_conf = {
        .program = "topo",
        .summary = "Knows who serves what: keyspaces, shards, tablets, tables, sequences.",
        .defs = defs,
        .n_defs = ARRAY_LEN(defs),
};

enum err_code topo_settings_check(const struct topo_settings *s, enum log_level *ret_level,
                                  struct err *reterr)
{
        if (s->lease_ms < 2 * s->heartbeat_ms)
                return err_set(reterr, ERR_INVALID, "BAD_SETTING",
                               "lease must be two heartbeats at least, so that one may be lost");
        return log_level_parse(s->log_level, ret_level, reterr);
}
