/* metrics.c - the registry and its two descriptions: the page that Prometheus reads and a table for
 * people. */
#include "common/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum metric_type { METRIC_COUNTER = 0, METRIC_GAUGE = 1, METRIC_HISTOGRAM = 2 };

static const char *const type_names[] = { "counter", "gauge", "histogram" };

/* One series. What is recorded is atomic; fn and arg are guarded by mu; all else is immutable once
 * registered. */
struct metric {
        struct family *family;
        char *labels;
        struct metric *next; /* of the family */
        char *key;           /* name{labels} */
        UT_hash_handle hh;
        double (*fn)(void *arg); /* NULL: value counts */
        void *arg;
        _Atomic uint64_t value;
        const double *buckets;
        size_t n_buckets;
        _Atomic uint64_t sum_bits; /* of a double */
        _Atomic uint64_t counts[]; /* one a bucket, not cumulative, +Inf last */
};

/* All series of one name. Guarded by mu. */
struct family {
        char *name;
        char *help;
        enum metric_type type;
        struct metric *first, **last;
        struct metric *overflow; /* what series beyond the limit are recorded into; not shown */
        struct family *next;
        UT_hash_handle hh;
};

const double METRIC_LATENCY_BUCKETS[] = { 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                          0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                          0.5,     1,      2.5,     5,      10 };
const size_t METRIC_N_LATENCY_BUCKETS = ARRAY_LEN(METRIC_LATENCY_BUCKETS);

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by mu. */
static struct family *families_by_name;
static struct family *first_family, **last_family = &first_family; /* in order of registration */
static struct metric *series_by_key;
static size_t n_dropped;

/* ---- registration */

static bool is_metric_name(const char *s)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

        return *s >= 'a' && *s <= 'z' && s[strspn(s, allowed)] == '\0';
}

static struct family *get_family_locked(const char *name, const char *help, enum metric_type type)
{
        struct family *f;

        HASH_FIND_STR(families_by_name, name, f);
        if (f) {
                assert(f->type == type);
                return f;
        }
        assert(is_metric_name(name) && *help);
        f = xcalloc(1, sizeof *f);
        f->name = xstrdup(name);
        f->help = xstrdup(help);
        f->type = type;
        f->last = &f->first;
        *last_family = f;
        last_family = &f->next;
        HASH_ADD_KEYPTR(hh, families_by_name, f->name, strlen(f->name), f);
        return f;
}

static struct metric *new_metric(struct family *f, const char *labels, const double *buckets,
                                 size_t n_buckets)
{
        struct metric *m = xcalloc(1, sizeof *m + (n_buckets + 1) * sizeof m->counts[0]);

        for (size_t i = 1; i < n_buckets; i++)
                assert(buckets[i - 1] < buckets[i]);
        m->family = f;
        m->labels = xstrdup(labels);
        m->buckets = buckets;
        m->n_buckets = n_buckets;
        return m;
}

static struct metric *get_metric_locked(const char *name, const char *labels, const char *help,
                                        enum metric_type type, const double *buckets,
                                        size_t n_buckets)
{
        struct family *f = get_family_locked(name, help, type);
        cleanup_(freep) char *key = xasprintf("%s{%s}", name, labels);
        struct metric *m;

        HASH_FIND_STR(series_by_key, key, m);
        if (m) {
                assert(m->n_buckets == n_buckets);
                return m;
        }
        if (HASH_COUNT(series_by_key) >= METRICS_MAX_SERIES) {
                n_dropped++;
                if (!f->overflow)
                        f->overflow = new_metric(f, "", buckets, n_buckets);
                return f->overflow;
        }
        m = new_metric(f, labels, buckets, n_buckets);
        m->key = TAKE(key);
        *f->last = m;
        f->last = &m->next;
        HASH_ADD_KEYPTR(hh, series_by_key, m->key, strlen(m->key), m);
        return m;
}

static struct metric *get_metric(const char *name, const char *labels, const char *help,
                                 enum metric_type type, const double *buckets, size_t n_buckets)
{
        struct metric *m;

        pthread_mutex_lock(&mu);
        m = get_metric_locked(name, labels, help, type, buckets, n_buckets);
        pthread_mutex_unlock(&mu);
        return m;
}

struct metric *metric_counter(const char *name, const char *labels, const char *help)
{
        return get_metric(name, labels, help, METRIC_COUNTER, NULL, 0);
}

struct metric *metric_gauge(const char *name, const char *labels, const char *help)
{
        return get_metric(name, labels, help, METRIC_GAUGE, NULL, 0);
}

struct metric *metric_histogram(const char *name, const char *labels, const char *help,
                                const double *buckets, size_t n_buckets)
{
        assert(n_buckets > 0);
        return get_metric(name, labels, help, METRIC_HISTOGRAM, buckets, n_buckets);
}

void metric_callback(const char *name, const char *labels, const char *help, const char *type,
                     double (*fn)(void *arg), void *arg)
{
        bool counter = strcmp(type, "counter") == 0;
        struct metric *m;

        assert(counter || strcmp(type, "gauge") == 0);
        pthread_mutex_lock(&mu);
        m = get_metric_locked(name, labels, help, counter ? METRIC_COUNTER : METRIC_GAUGE, NULL, 0);
        m->fn = fn;
        m->arg = arg;
        pthread_mutex_unlock(&mu);
}

void metric_label(struct buf *labels, const char *name, const char *value)
{
        buf_printf(labels, "%s%s=\"", labels->n_bytes ? "," : "", name);
        for (; *value; value++) {
                if (*value == '\n') {
                        buf_add_str(labels, "\\n");
                        continue;
                }
                if (*value == '"' || *value == '\\')
                        buf_add_byte(labels, '\\');
                buf_add_byte(labels, (uint8_t)*value);
        }
        buf_add_byte(labels, '"');
}

/* ---- recording: any thread, no lock */

void metric_add(struct metric *m, uint64_t n)
{
        atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t v)
{
        atomic_store_explicit(&m->value, (uint64_t)v, memory_order_relaxed);
}

void metric_move(struct metric *m, int64_t delta)
{
        atomic_fetch_add_explicit(&m->value, (uint64_t)delta, memory_order_relaxed);
}

uint64_t metric_value(const struct metric *m)
{
        return atomic_load_explicit(&m->value, memory_order_relaxed);
}

static double of_bits(uint64_t bits)
{
        double d;

        memcpy(&d, &bits, sizeof d);
        return d;
}

static uint64_t to_bits(double d)
{
        uint64_t bits;

        memcpy(&bits, &d, sizeof bits);
        return bits;
}

void metric_observe(struct metric *m, double v)
{
        uint64_t sum = atomic_load_explicit(&m->sum_bits, memory_order_relaxed);
        size_t i = 0;

        while (i < m->n_buckets && !(v <= m->buckets[i]))
                i++;
        atomic_fetch_add_explicit(&m->counts[i], 1, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&m->sum_bits, &sum, to_bits(of_bits(sum) + v),
                                                      memory_order_relaxed, memory_order_relaxed))
                ;
}

/* ---- the page */

static void add_number(struct buf *b, double d)
{
        if (isnan(d))
                buf_add_str(b, "NaN");
        else if (isinf(d))
                buf_add_str(b, d > 0 ? "+Inf" : "-Inf");
        else if (fabs(d) < 1e15 && d == floor(d))
                buf_printf(b, "%.0f", d);
        else
                buf_printf(b, "%.12g", d);
}

static void add_help(struct buf *b, const char *help)
{
        for (; *help; help++) {
                if (*help == '\n')
                        buf_add_str(b, "\\n");
                else if (*help == '\\')
                        buf_add_str(b, "\\\\");
                else
                        buf_add_byte(b, (uint8_t)*help);
        }
}

static void add_value(struct buf *b, const struct metric *m)
{
        uint64_t value = metric_value(m);

        buf_add_str(b, m->family->name);
        if (*m->labels)
                buf_printf(b, "{%s}", m->labels);
        buf_add_byte(b, ' ');
        if (m->fn)
                add_number(b, m->fn(m->arg));
        else if (m->family->type == METRIC_COUNTER)
                buf_printf(b, "%" PRIu64, value);
        else
                buf_printf(b, "%" PRId64, (int64_t)value);
        buf_add_byte(b, '\n');
}

static void add_histogram(struct buf *b, const struct metric *m)
{
        const char *name = m->family->name, *comma = *m->labels ? "," : "";
        uint64_t n = 0;

        for (size_t i = 0; i <= m->n_buckets; i++) {
                n += atomic_load_explicit(&m->counts[i], memory_order_relaxed);
                buf_printf(b, "%s_bucket{%s%sle=\"", name, m->labels, comma);
                add_number(b, i < m->n_buckets ? m->buckets[i] : INFINITY);
                buf_printf(b, "\"} %" PRIu64 "\n", n);
        }
        buf_printf(b, *m->labels ? "%s_sum{%s} " : "%s_sum%s ", name, m->labels);
        add_number(b, of_bits(atomic_load_explicit(&m->sum_bits, memory_order_relaxed)));
        buf_printf(b, *m->labels ? "\n%s_count{%s} " : "\n%s_count%s ", name, m->labels);
        buf_printf(b, "%" PRIu64 "\n", n);
}

static void add_family(struct buf *b, const struct family *f)
{
        buf_printf(b, "# HELP %s ", f->name);
        add_help(b, f->help);
        buf_printf(b, "\n# TYPE %s %s\n", f->name, type_names[f->type]);
        for (const struct metric *m = f->first; m; m = m->next) {
                if (f->type == METRIC_HISTOGRAM)
                        add_histogram(b, m);
                else
                        add_value(b, m);
        }
}

void metrics_write(struct buf *b)
{
        pthread_mutex_lock(&mu);
        for (const struct family *f = first_family; f; f = f->next) {
                if (f->first)
                        add_family(b, f);
        }
        buf_printf(b,
                   "# HELP shoal_metrics_dropped_series Registrations refused because there were "
                   "%d series.\n"
                   "# TYPE shoal_metrics_dropped_series gauge\n"
                   "shoal_metrics_dropped_series %zu\n",
                   METRICS_MAX_SERIES, n_dropped);
        pthread_mutex_unlock(&mu);
}

/* ---- the table for people */

/* Appends the names of the labels in `a="x",b="y"`. */
static void add_label_names(struct buf *b, const char *labels)
{
        const char *separator = "";

        while (*labels) {
                size_t n = strcspn(labels, "=");

                buf_printf(b, "%s`%.*s`", separator, (int)n, labels);
                separator = ", ";
                labels += n;
                labels += strcspn(labels, "\"");
                for (labels += *labels != '\0'; *labels && *labels != '"'; labels++) {
                        if (*labels == '\\' && labels[1])
                                labels++;
                }
                labels += strspn(labels, "\",");
        }
}

void metrics_write_markdown(struct buf *b)
{
        buf_add_str(b, "| name | type | labels | meaning |\n| --- | --- | --- | --- |\n");
        pthread_mutex_lock(&mu);
        for (const struct family *f = first_family; f; f = f->next) {
                buf_printf(b, "| `%s` | %s | ", f->name, type_names[f->type]);
                if (f->first)
                        add_label_names(b, f->first->labels);
                buf_printf(b, " | %s |\n", f->help);
        }
        pthread_mutex_unlock(&mu);
}
