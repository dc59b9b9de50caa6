/* metrics.h - counters, gauges and histograms in a process-wide registry, written in Prometheus'
 * text format. Recording is lock-free and may happen on any thread; registration takes a lock. A
 * metric lives until the process ends. There may be METRICS_MAX_SERIES; further ones are recorded
 * into nothing and counted in shoal_metrics_dropped_series. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct metric;

enum { METRICS_MAX_SERIES = 20000 };

/* name: "shoal_gate_queries_total", ending in its unit (_total, _seconds, _bytes) by Prometheus'
 * rules. labels: "plan=\"scatter\"" or "" - series of one name share help and type. The same name
 * and labels give the same metric; its type and buckets must be the same then. help ends with a
 * full stop and names the unit. Never NULL. */
struct metric *metric_counter(const char *name, const char *labels, const char *help);
struct metric *metric_gauge(const char *name, const char *labels, const char *help);
/* buckets: rising upper bounds, +Inf is implied; borrowed for ever. */
struct metric *metric_histogram(const char *name, const char *labels, const char *help,
                                const double *buckets, size_t n_buckets);

void metric_add(struct metric *m, uint64_t n);     /* counter */
void metric_set(struct metric *m, int64_t v);      /* gauge */
void metric_move(struct metric *m, int64_t delta); /* gauge */
void metric_observe(struct metric *m, double v); /* histogram; seconds, bytes, … as the name says */
uint64_t metric_value(const struct metric *m);   /* counter or gauge, for tests */

/* Appends `name="value"`, escaped, behind a comma if b holds something already: for label values
 * that are not literals. Take the result with buf_take_str(); the registration copies it. */
void metric_label(struct buf *labels, const char *name, const char *value);

/* A gauge or counter whose value is asked for when the page is written; fn may run on any thread,
 * with the registry locked. type is "gauge" or "counter". The same name and labels again: the newer
 * fn counts. */
void metric_callback(const char *name, const char *labels, const char *help, const char *type,
                     double (*fn)(void *arg), void *arg);

/* Bounds in seconds from 50 us to 10 s. */
extern const double METRIC_LATENCY_BUCKETS[];
extern const size_t METRIC_N_LATENCY_BUCKETS;

/* Appends the whole page. */
void metrics_write(struct buf *b);
/* Appends a Markdown table of name, type, labels and help, for docs/metrics.md. */
void metrics_write_markdown(struct buf *b);
