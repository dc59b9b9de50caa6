/* bare_load.c - keeps a number of unary calls in flight for a while and counts: calls a second, how
 * long they took, errors. One thread; libgrpc itself, so that the generator takes as little of the
 * machine as can be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <grpc/support/alloc.h>

#include "common/util.h"
#include "tests/bench/bare.h"

/* Durations in nanoseconds, 32 classes for each doubling: two percent and a half apart at most. */
enum { CLASSES_PER_DOUBLING = 32, N_CLASSES = 64 * CLASSES_PER_DOUBLING };

struct slot {
        struct bare_tag done;
        grpc_call *call;
        grpc_metadata_array initial;
        grpc_metadata_array trailing;
        grpc_byte_buffer *reply;
        grpc_status_code status;
        grpc_slice message;
        unsigned channel;
        int64_t began_ns;
};

static struct load {
        grpc_channel **channels;
        void **methods;
        grpc_slice *requests;
        size_t n_requests;
        size_t next_request;
        int64_t measure_from_ns;
        int64_t measure_to_ns;
        uint64_t classes[N_CLASSES];
        uint64_t n_ok;
        uint64_t n_errors;
        char first_error[200];
        unsigned n_in_flight;
        double cpu_before;
        bool is_over;
} load;

static int64_t now_ns(void)
{
        gpr_timespec t = gpr_now(GPR_CLOCK_MONOTONIC);

        return t.tv_sec * 1000000000 + t.tv_nsec;
}

static double cpu_seconds(void)
{
        struct rusage r;

        getrusage(RUSAGE_SELF, &r);
        return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
               (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* ---- durations */

static unsigned class_of(uint64_t ns)
{
        unsigned log2;

        if (ns < CLASSES_PER_DOUBLING)
                return (unsigned)ns;
        log2 = 63 - (unsigned)__builtin_clzll(ns);
        return (log2 - 4) * CLASSES_PER_DOUBLING +
               (unsigned)(ns >> (log2 - 5) & (CLASSES_PER_DOUBLING - 1));
}

static double class_us(unsigned c)
{
        unsigned log2;

        if (c < CLASSES_PER_DOUBLING)
                return c / 1e3;
        log2 = c / CLASSES_PER_DOUBLING + 4;
        return (double)((uint64_t)(CLASSES_PER_DOUBLING + c % CLASSES_PER_DOUBLING) << (log2 - 5)) /
               1e3;
}

static double percentile_us(double share)
{
        uint64_t wanted = (uint64_t)((double)load.n_ok * share), seen = 0;

        for (unsigned c = 0; c < N_CLASSES; c++) {
                seen += load.classes[c];
                if (seen > wanted)
                        return class_us(c);
        }
        return 0;
}

/* ---- calls */

static void start_call(struct slot *s, int64_t at_ns)
{
        grpc_byte_buffer *body = grpc_raw_byte_buffer_create(&load.requests[load.next_request], 1);
        gpr_timespec deadline = { .tv_sec = at_ns / 1000000000 + 30,
                                  .clock_type = GPR_CLOCK_MONOTONIC };
        grpc_op ops[] = {
                { .op = GRPC_OP_SEND_INITIAL_METADATA },
                { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = body },
                { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
                { .op = GRPC_OP_RECV_INITIAL_METADATA,
                  .data.recv_initial_metadata.recv_initial_metadata = &s->initial },
                { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &s->reply },
                { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                  .data.recv_status_on_client = { .trailing_metadata = &s->trailing,
                                                  .status = &s->status,
                                                  .status_details = &s->message } },
        };

        load.next_request = (load.next_request + 1) % load.n_requests;
        s->began_ns = at_ns;
        s->message = grpc_empty_slice();
        s->initial.count = s->trailing.count = 0;
        s->call = grpc_channel_create_registered_call(load.channels[s->channel], NULL, 0, bare_cq,
                                                      load.methods[s->channel], deadline, NULL);
        bare_batch(s->call, ops, ARRAY_LEN(ops), &s->done);
        grpc_byte_buffer_destroy(body);
}

static void note_error(struct slot *s)
{
        char *text;

        if (load.n_errors++)
                return;
        text = grpc_slice_to_c_string(s->message);
        snprintf(load.first_error, sizeof(load.first_error), "status %d: %s", (int)s->status, text);
        gpr_free(text);
}

static void count_call(struct slot *s, int64_t now)
{
        if (!load.cpu_before && now >= load.measure_from_ns)
                load.cpu_before = cpu_seconds();
        if (s->status != GRPC_STATUS_OK || !s->reply) {
                note_error(s);
                return;
        }
        if (s->began_ns < load.measure_from_ns || now > load.measure_to_ns)
                return;
        load.n_ok++;
        load.classes[class_of((uint64_t)(now - s->began_ns))]++;
}

static void on_done(struct bare_tag *tag, bool ok)
{
        struct slot *s = CONTAINER_OF(tag, struct slot, done);
        int64_t now = now_ns();

        (void)ok;
        count_call(s, now);
        if (s->reply)
                grpc_byte_buffer_destroy(TAKE(s->reply));
        grpc_slice_unref(s->message);
        grpc_call_unref(s->call);
        if (now < load.measure_to_ns)
                start_call(s, now);
        else
                load.is_over = --load.n_in_flight == 0;
}

/* ---- requests */

static void add_request(grpc_slice request)
{
        if (!(load.n_requests & (load.n_requests - 1)))
                load.requests =
                    xrealloc(load.requests,
                             (load.n_requests ? 2 * load.n_requests : 1) * sizeof(*load.requests));
        load.requests[load.n_requests++] = request;
}

static bool read_requests(const char *path)
{
        FILE *f = fopen(path, "rb");
        unsigned char head[4];

        if (!f) {
                perror(path);
                return false;
        }
        while (fread(head, 1, sizeof(head), f) == sizeof(head)) {
                size_t n =
                    head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
                grpc_slice request = grpc_slice_malloc(n);

                if (fread(GRPC_SLICE_START_PTR(request), 1, n, f) != n) {
                        fprintf(stderr, "%s: cut short\n", path);
                        fclose(f);
                        return false;
                }
                add_request(request);
        }
        fclose(f);
        if (!load.n_requests)
                fprintf(stderr, "%s: no requests\n", path);
        return load.n_requests;
}

static void add_zeroes(unsigned n_bytes)
{
        grpc_slice request = grpc_slice_malloc(n_bytes);

        memset(GRPC_SLICE_START_PTR(request), 0, n_bytes);
        add_request(request);
}

/* ---- the run */

static void open_channels(const struct bare_options *o)
{
        load.channels = xcalloc(o->n_channels, sizeof(*load.channels));
        load.methods = xcalloc(o->n_channels, sizeof(*load.methods));
        for (unsigned i = 0; i < o->n_channels; i++) {
                load.channels[i] = bare_channel(o->upstream, i);
                load.methods[i] =
                    grpc_channel_register_call(load.channels[i], o->method, NULL, NULL);
        }
}

static void run_calls(const struct bare_options *o)
{
        struct slot *slots = xcalloc(o->n_calls, sizeof(*slots));
        int64_t now = now_ns();

        load.measure_from_ns = now + (int64_t)(o->warmup_seconds * 1e9);
        load.measure_to_ns = load.measure_from_ns + (int64_t)(o->seconds * 1e9);
        load.n_in_flight = o->n_calls;
        for (unsigned i = 0; i < o->n_calls; i++) {
                slots[i].done.fn = on_done;
                slots[i].channel = i % o->n_channels;
                grpc_metadata_array_init(&slots[i].initial);
                grpc_metadata_array_init(&slots[i].trailing);
                start_call(&slots[i], now);
        }
        bare_poll(&load.is_over);
        for (unsigned i = 0; i < o->n_calls; i++) {
                grpc_metadata_array_destroy(&slots[i].initial);
                grpc_metadata_array_destroy(&slots[i].trailing);
        }
        free(slots);
}

/* The text of an error, fit for JSON. */
static void print_quoted(const char *s)
{
        putchar('"');
        for (; *s; s++) {
                if (*s == '"' || *s == '\\')
                        putchar('\\');
                putchar((unsigned char)*s < ' ' ? ' ' : *s);
        }
        putchar('"');
}

static void print_result(const struct bare_options *o)
{
        double cpu = load.cpu_before ? cpu_seconds() - load.cpu_before : 0;

        printf("{\"calls\": %u, \"seconds\": %.3f, \"requests\": %llu, \"requests_per_s\": %.1f, "
               "\"p50_us\": %.1f, "
               "\"p99_us\": %.1f, \"errors\": %llu, \"load_cpu_us\": %.2f, \"first_error\": ",
               o->n_calls, o->seconds, (unsigned long long)load.n_ok,
               (double)load.n_ok / o->seconds, percentile_us(0.5), percentile_us(0.99),
               (unsigned long long)load.n_errors, load.n_ok ? cpu / (double)load.n_ok * 1e6 : 0);
        print_quoted(load.first_error);
        puts("}");
}

int bare_load(const struct bare_options *o)
{
        if (!o->requests)
                add_zeroes(o->n_payload_bytes);
        else if (!read_requests(o->requests))
                return 1;
        open_channels(o);
        run_calls(o);
        print_result(o);
        for (unsigned i = 0; i < o->n_channels; i++)
                grpc_channel_destroy(load.channels[i]);
        for (size_t i = 0; i < load.n_requests; i++)
                grpc_slice_unref(load.requests[i]);
        free(load.requests);
        free(load.channels);
        free(load.methods);
        return 0;
}
