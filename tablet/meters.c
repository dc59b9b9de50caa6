/* meters.c - what the service counts. Any thread. */
#include "tablet/meters.h"

#include <stdio.h>

#include "common/metrics.h"

enum { N_CODES = ERR_UNAUTHENTICATED + 1 };

static struct {
        struct metric *seconds[METER_N_KINDS];
        struct metric *errors[N_CODES];
        struct metric *handovers;
        struct metric *streams;
        struct metric *in_flight;
        struct metric *pins;
        struct metric *pins_refused;
} meters;

void meters_init(void)
{
        static const char *const kinds[METER_N_KINDS] = { "read_inline", "read", "write", "probe",
                                                          "schema" };
        char labels[64];

        for (int i = 0; i < METER_N_KINDS; i++) {
                snprintf(labels, sizeof labels, "kind=\"%s\"", kinds[i]);
                meters.seconds[i] =
                    metric_histogram("shoal_tablet_request_duration_seconds", labels,
                                     "Time from a request's arrival to its last reply, in seconds.",
                                     METRIC_LATENCY_BUCKETS, METRIC_N_LATENCY_BUCKETS);
        }
        for (int i = ERR_CANCELLED; i < N_CODES; i++) {
                snprintf(labels, sizeof labels, "code=\"%s\"", err_code_name((enum err_code)i));
                meters.errors[i] = metric_counter(
                    "shoal_tablet_errors_total", labels,
                    "Shards that answered a request with an error, by gRPC status code.");
        }
        meters.handovers =
            metric_counter("shoal_tablet_handovers_total", "",
                           "Cheap reads that took more than the loop thread's budget.");
        meters.streams = metric_gauge("shoal_tablet_streams", "", "Open streams of gates.");
        meters.in_flight = metric_gauge("shoal_tablet_requests_in_flight", "",
                                        "Requests under way, but for inline reads.");
        meters.pins = metric_gauge("shoal_tablet_pins", "",
                                   "Snapshots of shards that are kept open for reads.");
        meters.pins_refused =
            metric_counter("shoal_tablet_pins_refused_total", "",
                           "Requests that were sent back because too many snapshots are open.");
}

void meter_request(enum meter_kind kind, int64_t elapsed_us)
{
        metric_observe(meters.seconds[kind], (double)elapsed_us / 1e6);
}

void meter_error(enum err_code code)
{
        if (code > ERR_OK && code <= ERR_UNAUTHENTICATED)
                metric_add(meters.errors[code], 1);
}

void meter_handover(void)
{
        metric_add(meters.handovers, 1);
}

void meter_streams(int delta)
{
        metric_move(meters.streams, delta);
}

void meter_requests_in_flight(int delta)
{
        metric_move(meters.in_flight, delta);
}

void meter_pins(int delta)
{
        metric_move(meters.pins, delta);
}

void meter_pins_refused(void)
{
        metric_add(meters.pins_refused, 1);
}
