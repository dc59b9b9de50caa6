/* Health and reflection, as clients of other languages see them: in bytes. */
#include "common/wire.h"
#include "proto/descriptors.h"
#include "rpc/descriptor_index.h"
#include "tests/unit/rpc/fixture.h"

#define V1 "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

static const struct rpc_method methods[] = {
        { .path = "/shoal.v1.Gate/Execute", .on_start = serve_echo },
        { .path = "/shoal.v1.Gate/Describe", .on_start = serve_echo },
};
static const char *const services[] = { "shoal.v1.Gate", NULL };

static struct fixture fx;

static void setup(void)
{
        fixture_start(
            &fx, methods, ARRAY_LEN(methods),
            &(struct rpc_server_options){ .services = services,
                                          .descriptors = proto_descriptors,
                                          .n_descriptor_bytes = proto_n_descriptor_bytes });
}

static void teardown(void)
{
        fixture_stop(&fx);
}

/* ---- health */

enum { UNKNOWN = 0, SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static grpc_byte_buffer *health_request(const char *service)
{
        struct buf b = BUF_INIT(0);

        wire_add_str_nz(&b, 1, service);
        return rpc_from_buf(&b);
}

static int status_of(const void *p, size_t n_bytes)
{
        struct wire_reader r = wire_reader(n_bytes ? p : "", n_bytes);
        struct wire_field f = { 0 };

        while (wire_next(&r, &f))
                ck_assert_uint_eq(f.number, 1);
        ck_assert(!r.failed);
        return (int)f.uint;
}

static int check_health(const char *service)
{
        struct answer a = call_and_wait(&fx, "/grpc.health.v1.Health/Check",
                                        health_request(service), in_ms(60000));
        int status = a.e.code ? -(int)a.e.code : status_of(a.body.data, a.body.n_bytes);

        buf_done(&a.body);
        return status;
}

START_TEST(health_check)
{
        ck_assert_int_eq(check_health(""), SERVING);
        ck_assert_int_eq(check_health("shoal.v1.Gate"), SERVING);
        ck_assert_int_eq(check_health("shoal.v1.Nope"), -(int)ERR_NOT_FOUND);
        rpc_server_set_serving(fx.server, false);
        ck_assert_int_eq(check_health(""), NOT_SERVING);
        ck_assert_int_eq(check_health("shoal.v1.Gate"), NOT_SERVING);
        rpc_server_set_serving(fx.server, true);
        ck_assert_int_eq(check_health("shoal.v1.Gate"), SERVING);
}
END_TEST

START_TEST(health_garbage)
{
        struct answer a =
            call_and_wait(&fx, _i ? "/grpc.health.v1.Health/Watch" : "/grpc.health.v1.Health/Check",
                          text_of("\x0a\x7f"), in_ms(60000));

        ck_assert_int_eq(a.e.code, ERR_INVALID);
}
END_TEST

struct watch {
        struct rpc_stream *stream;
        int statuses[16];
        unsigned n;
        bool is_told;
        bool is_ended;
        struct err e;
};

static void on_status(void *arg, const grpc_slice *slice)
{
        struct watch *w = arg;

        ck_assert_uint_lt(w->n, ARRAY_LEN(w->statuses));
        w->statuses[w->n++] = status_of(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        w->is_told = true;
}

static void on_watch_end(void *arg, const struct err *e)
{
        struct watch *w = arg;

        w->is_ended = true;
        w->e = *e;
}

static const struct rpc_stream_events watch_events = { .on_message = on_status,
                                                       .on_end = on_watch_end };

static void start_watch(struct watch *w, const char *service)
{
        *w = (struct watch){ .stream = rpc_stream_open(fx.channel, "/grpc.health.v1.Health/Watch",
                                                       &watch_events, w) };
        rpc_stream_write(w->stream, health_request(service));
        rpc_stream_close_send(w->stream);
        loop_run_until(fx.loop, &w->is_told);
}

static void assert_told(struct watch *w, unsigned n, int status)
{
        loop_run_until(fx.loop, &w->is_told);
        w->is_told = false;
        ck_assert_uint_eq(w->n, n);
        ck_assert_int_eq(w->statuses[n - 1], status);
}

START_TEST(health_watch)
{
        struct watch all, gate, nope;

        start_watch(&all, "");
        start_watch(&gate, "shoal.v1.Gate");
        start_watch(&nope, "shoal.v1.Nope");
        assert_told(&all, 1, SERVING);
        assert_told(&gate, 1, SERVING);
        assert_told(&nope, 1, SERVICE_UNKNOWN);
        rpc_server_set_serving(fx.server, true); /* no news */
        rpc_server_set_serving(fx.server, false);
        assert_told(&all, 2, NOT_SERVING);
        assert_told(&gate, 2, NOT_SERVING);
        /* To and fro while the write is under way: only where it ends counts. */
        rpc_server_set_serving(fx.server, true);
        rpc_server_set_serving(fx.server, false);
        rpc_server_set_serving(fx.server, true);
        assert_told(&all, 3, SERVING);
        assert_told(&gate, 3, SERVING);
        gate.stream = rpc_stream_free(gate.stream);
        /* Those who watch hold no drain up, and hear of it. */
        fixture_drain(&fx, 3600 * 1000);
        loop_run_until(fx.loop, &all.is_ended);
        loop_run_until(fx.loop, &nope.is_ended);
        ck_assert_uint_eq(all.n, 4);
        ck_assert_int_eq(all.statuses[3], NOT_SERVING);
        ck_assert_int_eq(all.e.code, ERR_OK);
        ck_assert_uint_eq(nope.n, 1);
        rpc_stream_free(all.stream);
        rpc_stream_free(nope.stream);
}
END_TEST

/* ---- reflection */

/* The last response, taken apart. */
struct reflected {
        struct rpc_stream *stream;
        bool is_here;
        unsigned n_responses;
        struct buf request; /* as it came back */
        char names[64][80]; /* of services or files */
        unsigned n_names;
        int error_code;
        bool has_extension_numbers;
        bool is_ended;
        struct err e;
};

static void add_name(struct reflected *x, const struct wire_field *message)
{
        struct wire_reader r = wire_reader(message->data, message->n_bytes);
        struct wire_field f;

        /* The name is the first field of a FileDescriptorProto as of a ServiceResponse. */
        ck_assert(wire_next(&r, &f) && f.number == 1);
        snprintf(x->names[x->n_names++], sizeof(x->names[0]), "%.*s", (int)f.n_bytes,
                 (const char *)f.data);
}

static void read_names(struct reflected *x, const struct wire_field *list)
{
        struct wire_reader r = wire_reader(list->data, list->n_bytes);
        struct wire_field f;

        while (wire_next(&r, &f)) {
                ck_assert_uint_eq(f.number, 1);
                add_name(x, &f);
        }
        ck_assert(!r.failed);
}

static void on_response(void *arg, const grpc_slice *slice)
{
        struct reflected *x = arg;
        struct wire_reader r = wire_reader(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        struct wire_field f;

        x->is_here = true;
        x->n_responses++;
        x->n_names = 0;
        x->error_code = 0;
        x->has_extension_numbers = false;
        x->request.n_bytes = 0;
        while (wire_next(&r, &f)) {
                if (f.number == 2)
                        buf_add(&x->request, f.data, f.n_bytes);
                else if (f.number == 4 || f.number == 6)
                        read_names(x, &f);
                else if (f.number == 5)
                        x->has_extension_numbers = true;
                else if (f.number == 7)
                        x->error_code = status_of(f.data, 2);
        }
        ck_assert(!r.failed);
}

static void on_reflection_end(void *arg, const struct err *e)
{
        struct reflected *x = arg;

        x->is_ended = true;
        x->e = *e;
}

static const struct rpc_stream_events reflection_events = {
        .on_message = on_response,
        .on_end = on_reflection_end,
};

static void ask(struct reflected *x, uint32_t field, const char *text)
{
        struct buf b = BUF_INIT(0), copy = BUF_INIT(0);

        wire_add_str(&b, 1, "host");
        wire_add_str(&b, field, text);
        buf_add(&copy, b.data, b.n_bytes);
        x->is_here = false;
        rpc_stream_write(x->stream, rpc_from_buf(&b));
        loop_run_until(fx.loop, &x->is_here);
        ck_assert_uint_eq(x->request.n_bytes, copy.n_bytes);
        ck_assert_mem_eq(x->request.data, copy.data, copy.n_bytes);
        buf_done(&copy);
}

static void assert_names(const struct reflected *x, const char *const *want)
{
        unsigned n = 0;

        for (; want[n]; n++) {
                bool found = false;

                for (unsigned i = 0; i < x->n_names; i++)
                        found = found || !strcmp(x->names[i], want[n]);
                ck_assert_msg(found, "%s is missing", want[n]);
        }
        ck_assert_uint_eq(x->n_names, n);
}

enum { BY_FILE = 3, BY_SYMBOL = 4, BY_EXTENSION = 5, EXTENSION_NUMBERS = 6, LIST = 7 };

static const char *const all_services[] = { "shoal.v1.Gate", "grpc.health.v1.Health",
                                            "grpc.reflection.v1.ServerReflection",
                                            "grpc.reflection.v1alpha.ServerReflection", NULL };
static const char *const api[] = { "shoal/v1/api.proto", NULL };
static const char *const internal[] = { "shoal/v1/internal.proto", "shoal/v1/api.proto", NULL };
static const char *const health[] = { "grpc/health/v1/health.proto", NULL };
static const char *const reflection[] = { "grpc/reflection/v1/reflection.proto", NULL };
static const char *const nothing[] = { NULL };

static const struct {
        uint32_t field;
        const char *text;
        int error_code;
        const char *const *names;
} questions[] = {
        { LIST, "", 0, all_services },
        { LIST, "*", 0, all_services },
        { BY_FILE, "shoal/v1/api.proto", 0, api },
        { BY_FILE, "shoal/v1/internal.proto", 0, internal },
        { BY_FILE, "nope.proto", ERR_NOT_FOUND, nothing },
        { BY_FILE, "", ERR_NOT_FOUND, nothing },
        { BY_SYMBOL, "shoal.v1.Gate", 0, api },
        { BY_SYMBOL, "shoal.v1.Gate.ExecuteStream", 0, api },
        { BY_SYMBOL, "shoal.v1.Value", 0, api },
        { BY_SYMBOL, "shoal.v1.Value.text", 0, api },
        { BY_SYMBOL, "shoal.v1.Value.kind", 0, api },
        { BY_SYMBOL, "shoal.v1.ExecuteRequest.NamedParamsEntry", 0, api },
        { BY_SYMBOL, "shoal.v1.Isolation", 0, api },
        { BY_SYMBOL, "shoal.v1.ISOLATION_SNAPSHOT", 0, api },
        { BY_SYMBOL, "shoal.v1.Tablet.Connect", 0, internal },
        { BY_SYMBOL, "grpc.health.v1.Health", 0, health },
        { BY_SYMBOL, "grpc.health.v1.HealthCheckResponse.SERVING", 0, health },
        { BY_SYMBOL, "grpc.reflection.v1.ServerReflection", 0, reflection },
        { BY_SYMBOL, "shoal.v1", ERR_NOT_FOUND, nothing },
        { BY_SYMBOL, ".shoal.v1.Gate", ERR_NOT_FOUND, nothing },
        { BY_SYMBOL, "shoal.v1.Gate.Nope", ERR_NOT_FOUND, nothing },
        { BY_EXTENSION, "", ERR_NOT_FOUND, nothing },
        { EXTENSION_NUMBERS, "shoal.v1.Value", 0, nothing },
        { EXTENSION_NUMBERS, "shoal.v1.Nope", ERR_NOT_FOUND, nothing },
        { 99, "", ERR_INVALID, nothing },
};

START_TEST(reflect)
{
        struct reflected x = { 0 };

        x.stream = rpc_stream_open(fx.channel, _i ? V1ALPHA : V1, &reflection_events, &x);
        for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
                ask(&x, questions[i].field, questions[i].text);
                ck_assert_msg(x.error_code == questions[i].error_code, "%s: %d", questions[i].text,
                              x.error_code);
                assert_names(&x, questions[i].names);
                ck_assert_int_eq(x.has_extension_numbers, questions[i].field == EXTENSION_NUMBERS &&
                                                              !questions[i].error_code);
        }
        rpc_stream_close_send(x.stream);
        loop_run_until(fx.loop, &x.is_ended);
        ck_assert_int_eq(x.e.code, ERR_OK);
        rpc_stream_free(x.stream);
        buf_done(&x.request);
}
END_TEST

static const struct {
        const char *label, *bytes;
        size_t n_bytes;
} garbage[] = {
        { "cut", "\x22\x7f", 2 },
        { "not UTF-8", "\x22\x01\xff", 3 },
        { "too long", NULL, 5000 },
};

START_TEST(reflection_garbage)
{
        struct reflected x = { .stream = rpc_stream_open(fx.channel, V1, &reflection_events, &x) };
        struct buf b = BUF_INIT(0);

        if (garbage[_i].bytes) {
                buf_add(&b, garbage[_i].bytes, garbage[_i].n_bytes);
        } else {
                char *text = xcalloc(1, garbage[_i].n_bytes + 1);

                memset(text, 'x', garbage[_i].n_bytes);
                wire_add_str(&b, BY_SYMBOL, text);
                free(text);
        }
        rpc_stream_write(x.stream, rpc_from_buf(&b));
        loop_run_until(fx.loop, &x.is_ended);
        ck_assert_msg(x.e.code == ERR_INVALID, "%s: %s", garbage[_i].label, x.e.msg);
        ck_assert_uint_eq(x.n_responses, 0);
        rpc_stream_free(x.stream);
}
END_TEST

/* An idle stream of a curious client does not hold a drain up. */
START_TEST(reflection_drain)
{
        struct reflected x = { .stream = rpc_stream_open(fx.channel, V1, &reflection_events, &x) };

        ask(&x, LIST, "");
        fixture_drain(&fx, 3600 * 1000);
        loop_run_until(fx.loop, &x.is_ended);
        ck_assert_int_eq(x.e.code, ERR_UNAVAILABLE);
        rpc_stream_free(x.stream);
        buf_done(&x.request);
}
END_TEST

/* Imports come before what imports them. */
START_TEST(closure)
{
        struct descriptor_index *x =
            descriptor_index_new(proto_descriptors, proto_n_descriptor_bytes);
        struct descriptor_file *files = xcalloc(descriptor_index_count(x), sizeof(*files));
        size_t n = descriptor_index_closure(
            x, descriptor_index_find_file(x, "shoal/v1/internal.proto"), files);

        ck_assert_uint_eq(n, 2);
        ck_assert_mem_eq(files[0].data, "\x0a\x12shoal/v1/api.proto", 20);
        ck_assert_mem_eq(files[1].data, "\x0a\x17shoal/v1/internal.proto", 25);
        free(files);
        descriptor_index_free(x);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/built_in");
        TCase *t = tcase_create("built_in");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, health_check);
        tcase_add_loop_test(t, health_garbage, 0, 2);
        tcase_add_test(t, health_watch);
        tcase_add_loop_test(t, reflect, 0, 2);
        tcase_add_loop_test(t, reflection_garbage, 0, ARRAY_LEN(garbage));
        tcase_add_test(t, reflection_drain);
        tcase_add_test(t, closure);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
