/* test_metrics.c - what is recorded, and how the page looks to Prometheus. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/metrics.h"
#include "tests/unit/unit.h"

static char *page(void)
{
        struct buf b = BUF_INIT(0);

        metrics_write(&b);
        return buf_take_str(&b);
}

/* The line that begins with the words, without its end; in static storage. NULL if the page has
 * none. */
static const char *line_of(const char *begin)
{
        static char line[400];
        cleanup_(freep) char *text = page();

        for (const char *s = text; s; s = strchr(s, '\n')) {
                s += *s == '\n';
                if (strncmp(s, begin, strlen(begin)) == 0) {
                        snprintf(line, sizeof line, "%.*s", (int)strcspn(s, "\n"), s);
                        return line;
                }
                if (!*s)
                        break;
        }
        return NULL;
}

START_TEST(counts)
{
        struct metric *c = metric_counter("shoal_test_calls_total", "", "Calls.");
        struct metric *a = metric_counter("shoal_test_plans_total", "plan=\"a\"", "Plans.");
        struct metric *b = metric_counter("shoal_test_plans_total", "plan=\"b\"", "Plans.");

        metric_add(c, 2);
        metric_add(c, 3);
        metric_add(b, 1);
        ck_assert_ptr_eq(a, metric_counter("shoal_test_plans_total", "plan=\"a\"", "Plans."));
        ck_assert_ptr_ne(a, b);
        ck_assert_uint_eq(metric_value(c), 5);
        ck_assert_str_eq(line_of("shoal_test_calls_total "), "shoal_test_calls_total 5");
        ck_assert_str_eq(line_of("shoal_test_plans_total{plan=\"a\"}"),
                         "shoal_test_plans_total{plan=\"a\"} 0");
        ck_assert_str_eq(line_of("shoal_test_plans_total{plan=\"b\"}"),
                         "shoal_test_plans_total{plan=\"b\"} 1");
        ck_assert_str_eq(line_of("# HELP shoal_test_calls_total"),
                         "# HELP shoal_test_calls_total Calls.");
        ck_assert_str_eq(line_of("# TYPE shoal_test_calls_total"),
                         "# TYPE shoal_test_calls_total counter");
}
END_TEST

START_TEST(gauges)
{
        struct metric *g = metric_gauge("shoal_test_depth", "", "Depth, in jobs.");

        metric_set(g, 3);
        metric_move(g, -5);
        ck_assert_str_eq(line_of("shoal_test_depth"), "shoal_test_depth -2");
}
END_TEST

static double half(void *arg)
{
        return *(double *)arg / 2;
}

START_TEST(callbacks)
{
        double one = 1, ten = 10;

        metric_callback("shoal_test_half_ratio", "", "Half, as a ratio.", "gauge", half, &one);
        ck_assert_str_eq(line_of("shoal_test_half_ratio"), "shoal_test_half_ratio 0.5");
        metric_callback("shoal_test_half_ratio", "", "Half, as a ratio.", "gauge", half, &ten);
        ck_assert_str_eq(line_of("shoal_test_half_ratio"), "shoal_test_half_ratio 5");
}
END_TEST

START_TEST(histograms)
{
        static const double buckets[] = { 0.1, 1, 2.5 };
        struct metric *h = metric_histogram("shoal_test_wait_seconds", "kind=\"x\"",
                                            "Wait in seconds.", buckets, ARRAY_LEN(buckets));

        metric_observe(h, 0.05);
        metric_observe(h, 0.1); /* a bound belongs to its bucket */
        metric_observe(h, 2);
        metric_observe(h, 100);
        ck_assert_str_eq(line_of("shoal_test_wait_seconds_bucket{kind=\"x\",le=\"0.1\"}"),
                         "shoal_test_wait_seconds_bucket{kind=\"x\",le=\"0.1\"} 2");
        ck_assert_str_eq(line_of("shoal_test_wait_seconds_bucket{kind=\"x\",le=\"1\"}"),
                         "shoal_test_wait_seconds_bucket{kind=\"x\",le=\"1\"} 2");
        ck_assert_str_eq(line_of("shoal_test_wait_seconds_bucket{kind=\"x\",le=\"2.5\"}"),
                         "shoal_test_wait_seconds_bucket{kind=\"x\",le=\"2.5\"} 3");
        ck_assert_str_eq(line_of("shoal_test_wait_seconds_bucket{kind=\"x\",le=\"+Inf\"}"),
                         "shoal_test_wait_seconds_bucket{kind=\"x\",le=\"+Inf\"} 4");
        ck_assert_str_eq(line_of("shoal_test_wait_seconds_sum"),
                         "shoal_test_wait_seconds_sum{kind=\"x\"} 102.15");
        ck_assert_str_eq(line_of("shoal_test_wait_seconds_count"),
                         "shoal_test_wait_seconds_count{kind=\"x\"} 4");
}
END_TEST

START_TEST(labels_escape)
{
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *labels = NULL;

        metric_label(&b, "a", "plain");
        metric_label(&b, "b", "q\"b\\n\n");
        labels = buf_take_str(&b);
        ck_assert_str_eq(labels, "a=\"plain\",b=\"q\\\"b\\\\n\\n\"");
        metric_gauge("shoal_test_escaped", labels, "Escapes: \\ and\nnewline.");
        ck_assert_str_eq(line_of("# HELP shoal_test_escaped"),
                         "# HELP shoal_test_escaped Escapes: \\\\ and\\nnewline.");
}
END_TEST

/* Prometheus' own checker has nothing to say about a page with one of each. */
START_TEST(promtool_is_content)
{
        cleanup_(freep) char *text = NULL;
        struct buf labels = BUF_INIT(0);
        cleanup_(freep) char *label = NULL;
        struct metric *h;
        double one = 1;
        FILE *f;

        ck_assert_msg(access("/usr/bin/promtool", X_OK) == 0,
                      "package prometheus is not installed");
        metric_label(&labels, "keyspace", "we\"ird\\\n\xc3\xa9");
        label = buf_take_str(&labels);
        metric_add(metric_counter("shoal_test_calls_total", label, "Calls."), 1);
        metric_add(metric_counter("shoal_test_other_total", "", "Others."), 1);
        metric_set(metric_gauge("shoal_test_wal_bytes", "", "Size in bytes."), -1);
        metric_callback("shoal_test_half_ratio", "", "Half, as a ratio.", "gauge", half, &one);
        h = metric_histogram("shoal_test_wait_seconds", "", "Wait in seconds.",
                             METRIC_LATENCY_BUCKETS, METRIC_N_LATENCY_BUCKETS);
        metric_observe(h, 1e-9);
        metric_observe(h, 1e9);
        /* between two series of a family: the page must group them all the same */
        metric_counter("shoal_test_calls_total", "keyspace=\"main\"", "Calls.");
        text = page();
        f = popen("/usr/bin/promtool check metrics 2>&1 | grep . && exit 1 || exit 0", "w");
        ck_assert_ptr_nonnull(f);
        fputs(text, f);
        ck_assert_msg(pclose(f) == 0, "promtool complains about\n%s", text);
}
END_TEST

START_TEST(series_are_limited)
{
        struct metric *last = NULL, *beyond;
        char labels[40];

        for (int i = 0; i < METRICS_MAX_SERIES; i++) {
                snprintf(labels, sizeof labels, "i=\"%d\"", i);
                last = metric_counter("shoal_test_many_total", labels, "Many.");
        }
        metric_add(last, 7);
        ck_assert_ptr_eq(last, metric_counter("shoal_test_many_total", labels, "Many."));
        ck_assert_str_eq(line_of("shoal_metrics_dropped_series"), "shoal_metrics_dropped_series 0");
        beyond = metric_counter("shoal_test_many_total", "i=\"beyond\"", "Many.");
        metric_add(beyond, 1);
        ck_assert_ptr_eq(beyond, metric_counter("shoal_test_many_total", "i=\"more\"", "Many."));
        ck_assert_ptr_null(line_of("shoal_test_many_total{i=\"beyond\"}"));
        ck_assert_str_eq(line_of("shoal_metrics_dropped_series"), "shoal_metrics_dropped_series 2");
}
END_TEST

enum { N_THREADS = 4, N_ROUNDS = 20000 };

static void *record(void *arg)
{
        static const double buckets[] = { 1, 2 };
        struct metric *c = metric_counter("shoal_test_race_total", "", "Races.");
        struct metric *h =
            metric_histogram("shoal_test_race_seconds", "", "Races in seconds.", buckets, 2);

        for (int i = 0; i < N_ROUNDS; i++) {
                metric_add(c, 1);
                metric_observe(h, 2);
                if (i % 5000 == 0)
                        free(page());
        }
        return arg;
}

START_TEST(threads_lose_nothing)
{
        pthread_t threads[N_THREADS];

        for (int i = 0; i < N_THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, record, NULL), 0);
        for (int i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        ck_assert_str_eq(line_of("shoal_test_race_total"), "shoal_test_race_total 80000");
        ck_assert_str_eq(line_of("shoal_test_race_seconds_sum"),
                         "shoal_test_race_seconds_sum 160000");
        ck_assert_str_eq(line_of("shoal_test_race_seconds_bucket{le=\"1\"}"),
                         "shoal_test_race_seconds_bucket{le=\"1\"} 0");
        ck_assert_str_eq(line_of("shoal_test_race_seconds_count"),
                         "shoal_test_race_seconds_count 80000");
}
END_TEST

START_TEST(markdown)
{
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *text = NULL;

        metric_counter("shoal_test_calls_total", "method=\"a,b=\\\"c\",code=\"OK\"", "Calls.");
        metrics_write_markdown(&b);
        text = buf_take_str(&b);
        ck_assert_msg(
            strstr(text, "| `shoal_test_calls_total` | counter | `method`, `code` | Calls. |\n"),
            "%s", text);
}
END_TEST

static Suite *metrics_suite(void)
{
        Suite *s = suite_create("metrics");
        TCase *t = tcase_create("metrics");

        tcase_set_timeout(t, 30);
        tcase_add_test(t, counts);
        tcase_add_test(t, gauges);
        tcase_add_test(t, callbacks);
        tcase_add_test(t, histograms);
        tcase_add_test(t, labels_escape);
        tcase_add_test(t, promtool_is_content);
        tcase_add_test(t, series_are_limited);
        tcase_add_test(t, threads_lose_nothing);
        tcase_add_test(t, markdown);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(metrics_suite());
}
