/* Unary calls: there and back, errors, sizes, deadlines and cancellation down to the last hop. */
#include "tests/unit/rpc/fixture.h"
#include "tests/unit/rpc/raw.h"

/* ---- servers */

/* What a handler saw. */
static struct seen {
        struct rpc_call *call; /* kept by serve_hold */
        unsigned n_calls;
        unsigned n_cancelled;
        bool was_cancelled;
        bool is_here; /* a call is being held */
        int64_t deadline_us;
        char metadata[64];
        bool has_metadata;
        char peer[64];
} seen;

static void serve_fail(struct rpc_call *c, void *arg)
{
        struct err e;

        (void)arg;
        err_set(&e, ERR_PRECONDITION, "CONSTRAINT_UNIQUE", "no: ümlaut \"quoted\"\nand a line");
        e.extended_code = 2067;
        snprintf(e.sqlite_msg, sizeof(e.sqlite_msg), "UNIQUE constraint failed: t.a");
        e.offset = 17;
        e.statement_index = 3;
        snprintf(e.shard, sizeof(e.shard), "main/-80");
        rpc_call_fail(c, &e);
}

static void held_cancelled(struct rpc_call *c)
{
        ck_assert(rpc_call_is_cancelled(c));
        seen.n_cancelled++;
        seen.was_cancelled = true;
        fail_with(c, ERR_CANCELLED, "CANCELLED", "nobody is there any more");
}

/* Answers only when it is cancelled. */
static void serve_hold(struct rpc_call *c, void *arg)
{
        (void)arg;
        seen.call = c;
        seen.n_calls++;
        seen.is_here = true;
        seen.deadline_us = rpc_call_deadline_us(c);
        rpc_call_on_cancel(c, held_cancelled);
}

/* Answers when told to, and does not mind being cancelled. */
static void serve_stubborn(struct rpc_call *c, void *arg)
{
        (void)arg;
        seen.call = c;
        seen.is_here = true;
}

static void serve_look(struct rpc_call *c, void *arg)
{
        const char *v = rpc_call_metadata(c, "x-test");

        (void)arg;
        seen.has_metadata = v;
        snprintf(seen.metadata, sizeof(seen.metadata), "%s", v ? v : "");
        ck_assert_ptr_eq(rpc_call_metadata(c, "x-test"), v);
        snprintf(seen.peer, sizeof(seen.peer), "%s", rpc_call_peer(c));
        rpc_call_reply(c, text_of(""));
}

static struct fixture fx;
static struct fixture last_hop;

/* A proxy: passes the call on with its deadline, and its cancellation. */
static void passed_on(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct rpc_call *c = arg;

        rpc_call_on_cancel(c, NULL);
        if (e->code)
                rpc_call_fail(c, e);
        else
                rpc_call_reply(c, bytes_of(body, n_bytes));
}

static void cancel_next_hop(struct rpc_call *c)
{
        rpc_request_cancel(rpc_call_data(c));
}

static void serve_proxy(struct rpc_call *c, void *arg)
{
        size_t n;
        const uint8_t *p = rpc_call_request(c, &n);

        rpc_call_set_data(c, rpc_unary(last_hop.channel, arg, bytes_of(p, n),
                                       rpc_call_deadline_us(c), passed_on, c));
        rpc_call_on_cancel(c, cancel_next_hop);
}

static const struct rpc_method methods[] = {
        { .path = "/t.T/Echo", .on_start = serve_echo },
        { .path = "/t.T/Fail", .on_start = serve_fail },
        { .path = "/t.T/Hold", .on_start = serve_hold },
        { .path = "/t.T/Stubborn", .on_start = serve_stubborn },
        { .path = "/t.T/Look", .on_start = serve_look },
        { .path = "/t.T/Proxy", .on_start = serve_proxy, .arg = (void *)"/t.T/Hold" },
        { .path = "/t.T/ProxyFail", .on_start = serve_proxy, .arg = (void *)"/t.T/Fail" },
};

enum { MAX_REQUEST_BYTES = 100000 };

static void setup(void)
{
        seen = (struct seen){ 0 };
        fixture_start(&fx, methods, ARRAY_LEN(methods),
                      &(struct rpc_server_options){ .max_request_bytes = MAX_REQUEST_BYTES,
                                                    .max_calls = 50 });
        /* The same loop serves both. */
        last_hop = fx;
        last_hop.channel = fixture_channel(&fx);
}

static void teardown(void)
{
        rpc_channel_free(last_hop.channel);
        fixture_stop(&fx);
}

/* ---- tests */

START_TEST(echo)
{
        static const size_t sizes[] = { 0, 1, 22, 23, 24, 1000, 8192, 70000, MAX_REQUEST_BYTES };
        uint8_t *p = xmalloc(MAX_REQUEST_BYTES);

        for (size_t i = 0; i < MAX_REQUEST_BYTES; i++)
                p[i] = (uint8_t)(i * 31);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct answer a = call_and_wait(&fx, "/t.T/Echo", bytes_of(p, sizes[i]), INT64_MAX);

                ck_assert_msg(!a.e.code, "%zu bytes: %s", sizes[i], a.e.msg);
                ck_assert_uint_eq(a.body.n_bytes, sizes[i]);
                if (sizes[i])
                        ck_assert_mem_eq(a.body.data, p, sizes[i]);
                buf_done(&a.body);
        }
        free(p);
}
END_TEST

START_TEST(many_at_once)
{
        enum { N = 50 };
        struct answer answers[N] = { 0 };

        for (int round = 0; round < 20; round++) {
                for (int i = 0; i < N; i++) {
                        char text[32];

                        answers[i].is_done = false;
                        snprintf(text, sizeof(text), "%d", round * N + i);
                        rpc_unary(fx.channel, "/t.T/Echo", text_of(text), INT64_MAX, note_answer,
                                  &answers[i]);
                }
                for (int i = 0; i < N; i++) {
                        char text[32];

                        snprintf(text, sizeof(text), "%d", round * N + i);
                        loop_run_until(fx.loop, &answers[i].is_done);
                        assert_text(&answers[i], text);
                        ck_assert_uint_eq(answers[i].n_done, (unsigned)round + 1);
                        buf_done(&answers[i].body);
                }
        }
}
END_TEST

/* Over one hop and over two. */
START_TEST(failure)
{
        struct answer a =
            call_and_wait(&fx, _i ? "/t.T/ProxyFail" : "/t.T/Fail", text_of("x"), INT64_MAX);

        ck_assert_int_eq(a.e.code, ERR_PRECONDITION);
        ck_assert_str_eq(a.e.reason, "CONSTRAINT_UNIQUE");
        ck_assert_str_eq(a.e.msg, "no: ümlaut \"quoted\"\nand a line");
        ck_assert_int_eq(a.e.extended_code, 2067);
        ck_assert_str_eq(a.e.sqlite_msg, "UNIQUE constraint failed: t.a");
        ck_assert_int_eq(a.e.offset, 17);
        ck_assert_int_eq(a.e.statement_index, 3);
        ck_assert_str_eq(a.e.shard, "main/-80");
}
END_TEST

START_TEST(unknown_method)
{
        /* More than are on offer at a time. */
        for (int i = 0; i < 50; i++) {
                struct answer a =
                    call_and_wait(&fx, i % 2 ? "/t.T/Nope" : "/nope", text_of("x"), in_ms(30000));

                ck_assert_int_eq(a.e.code, ERR_UNIMPLEMENTED);
                ck_assert_str_eq(a.e.reason, "UNKNOWN_METHOD");
        }
}
END_TEST

START_TEST(too_large_a_request)
{
        uint8_t *p = xcalloc(1, MAX_REQUEST_BYTES + 1);
        struct answer a =
            call_and_wait(&fx, "/t.T/Echo", bytes_of(p, MAX_REQUEST_BYTES + 1), in_ms(30000));

        ck_assert_int_eq(a.e.code, ERR_EXHAUSTED);
        a = call_and_wait(&fx, "/t.T/Echo", text_of("still there"), in_ms(30000));
        assert_text(&a, "still there");
        buf_done(&a.body);
        free(p);
}
END_TEST

/* The limit holds for what comes out of gzip, not for what goes in. */
START_TEST(gzip)
{
        grpc_arg args[] = { { .type = GRPC_ARG_INTEGER,
                              .key = (char *)GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM,
                              .value.integer = GRPC_COMPRESS_GZIP } };
        size_t n = _i ? 40000000 : MAX_REQUEST_BYTES;
        uint8_t *p = xcalloc(1, n);
        struct raw r;

        raw_start(&fx, &r, args, 1, "/t.T/Echo", NULL, 0, bytes_of(p, n));
        free(p);
        loop_run_until(fx.loop, &r.is_done);
        ck_assert_int_eq(r.status, _i ? GRPC_STATUS_RESOURCE_EXHAUSTED : GRPC_STATUS_OK);
        if (!_i)
                ck_assert_uint_eq(grpc_byte_buffer_length(r.reply), n);
        raw_finish(&fx, &r);
}
END_TEST

START_TEST(too_large_a_reply)
{
        struct rpc_channel *ch = rpc_channel_new(
            fx.loop, &(struct rpc_channel_options){ .address = fx.address, .max_reply_bytes = 10 });
        struct answer a = { 0 }, b = { 0 };

        rpc_unary(ch, "/t.T/Echo", text_of("0123456789"), INT64_MAX, note_answer, &a);
        rpc_unary(ch, "/t.T/Echo", text_of("0123456789+"), INT64_MAX, note_answer, &b);
        loop_run_until(fx.loop, &a.is_done);
        loop_run_until(fx.loop, &b.is_done);
        assert_text(&a, "0123456789");
        ck_assert_int_eq(b.e.code, ERR_EXHAUSTED);
        buf_done(&a.body);
        rpc_channel_free(ch);
}
END_TEST

START_TEST(no_request_message)
{
        struct raw r;

        raw_start(&fx, &r, NULL, 0, "/t.T/Echo", NULL, 0, NULL);
        raw_finish(&fx, &r);
        ck_assert_int_eq(r.status, GRPC_STATUS_INVALID_ARGUMENT);
}
END_TEST

START_TEST(metadata_and_peer)
{
        grpc_metadata md = {
                .key = grpc_slice_from_static_string("x-test"),
                .value = grpc_slice_from_static_string("a value"),
        };
        struct raw r;
        struct answer a;

        raw_start(&fx, &r, NULL, 0, "/t.T/Look", &md, 1, text_of(""));
        raw_finish(&fx, &r);
        ck_assert_int_eq(r.status, GRPC_STATUS_OK);
        ck_assert_str_eq(seen.metadata, "a value");
        ck_assert_msg(strstr(seen.peer, "127.0.0.1"), "%s", seen.peer);
        a = call_and_wait(&fx, "/t.T/Look", text_of(""), INT64_MAX);
        ck_assert_int_eq(a.e.code, ERR_OK);
        ck_assert(!seen.has_metadata);
}
END_TEST

START_TEST(no_deadline)
{
        struct answer a = { 0 };
        struct rpc_request *r =
            rpc_unary(fx.channel, "/t.T/Hold", text_of(""), INT64_MAX, note_answer, &a);

        loop_run_until(fx.loop, &seen.is_here);
        ck_assert_int_eq(seen.deadline_us, INT64_MAX);
        rpc_request_cancel(r);
        loop_run_until(fx.loop, &a.is_done);
        ck_assert_int_eq(a.e.code, ERR_CANCELLED);
        loop_run_until(fx.loop, &seen.was_cancelled);
}
END_TEST

/* Over one hop and over two: the last one sees the first one's deadline, and is told when it has
 * passed. */
START_TEST(deadline)
{
        int64_t deadline_us = in_ms(300);
        struct answer a =
            call_and_wait(&fx, _i ? "/t.T/Proxy" : "/t.T/Hold", text_of(""), deadline_us);

        ck_assert_int_eq(a.e.code, ERR_DEADLINE);
        loop_run_until(fx.loop, &seen.was_cancelled);
        ck_assert_uint_eq(seen.n_calls, 1);
        ck_assert_uint_eq(seen.n_cancelled, 1);
        /* grpc-timeout is relative and rounded: a hop adds its own delay. */
        ck_assert_int_ge(seen.deadline_us, deadline_us - 5000);
        ck_assert_int_le(seen.deadline_us, deadline_us + 30000000);
        ck_assert_uint_eq(a.n_done, 1);
}
END_TEST

START_TEST(deadline_in_the_past)
{
        struct answer a = call_and_wait(&fx, "/t.T/Echo", text_of(""), mono_us() - 1000000);

        ck_assert_int_eq(a.e.code, ERR_DEADLINE);
}
END_TEST

START_TEST(cancel)
{
        struct answer a = { 0 };
        struct rpc_request *r;

        r = rpc_unary(fx.channel, _i ? "/t.T/Proxy" : "/t.T/Hold", text_of(""), in_ms(60000),
                      note_answer, &a);
        loop_run_until(fx.loop, &seen.is_here);
        ck_assert_uint_eq(seen.n_cancelled, 0);
        rpc_request_cancel(r);
        loop_run_until(fx.loop, &a.is_done);
        ck_assert_int_eq(a.e.code, ERR_CANCELLED);
        loop_run_until(fx.loop, &seen.was_cancelled);
        ck_assert_uint_eq(seen.n_cancelled, 1);
}
END_TEST

static void note_late_cancel(struct rpc_call *c)
{
        seen.was_cancelled = true;
        rpc_call_reply(c, text_of("too late"));
}

/* One who asks after the fact is told all the same, and may answer in any way. */
START_TEST(reply_after_cancel)
{
        struct answer a = { 0 };
        struct rpc_request *r;

        r = rpc_unary(fx.channel, "/t.T/Stubborn", text_of(""), in_ms(60000), note_answer, &a);
        loop_run_until(fx.loop, &seen.is_here);
        rpc_request_cancel(r);
        loop_run_until(fx.loop, &a.is_done);
        while (!rpc_call_is_cancelled(seen.call)) {
                struct answer other = call_and_wait(&fx, "/t.T/Look", text_of(""), INT64_MAX);

                ck_assert_int_eq(other.e.code, ERR_OK);
        }
        if (_i == 0) {
                rpc_call_reply(seen.call, text_of("too late"));
        } else if (_i == 1) {
                fail_with(seen.call, ERR_ABORTED, "TEST", "too late");
        } else {
                rpc_call_on_cancel(seen.call, note_late_cancel);
                ck_assert(!seen.was_cancelled);
                loop_run_until(fx.loop, &seen.was_cancelled);
        }
        ck_assert_uint_eq(a.n_done, 1);
        ck_assert_int_eq(a.e.code, ERR_CANCELLED);
}
END_TEST

START_TEST(channel_freed_under_calls)
{
        struct answer a = { 0 }, b = { 0 };

        rpc_unary(fx.channel, "/t.T/Hold", text_of(""), INT64_MAX, note_answer, &a);
        rpc_unary(fx.channel, "/t.T/Hold", text_of(""), INT64_MAX, note_answer, &b);
        while (seen.n_calls < 2) {
                seen.is_here = false;
                loop_run_until(fx.loop, &seen.is_here);
        }
        fx.channel = rpc_channel_free(fx.channel);
        ck_assert(!a.is_done && !b.is_done);
        loop_run_until(fx.loop, &a.is_done);
        loop_run_until(fx.loop, &b.is_done);
        ck_assert_int_eq(a.e.code, ERR_CANCELLED);
        ck_assert_int_eq(b.e.code, ERR_CANCELLED);
}
END_TEST

START_TEST(too_many_calls)
{
        enum { N = 60, MAX = 50 };
        struct rpc_request *requests[N];
        struct answer answers[N] = { 0 };
        unsigned n_refused = 0;
        struct answer a;

        for (int i = 0; i < N; i++)
                requests[i] = rpc_unary(fx.channel, "/t.T/Hold", text_of(""), INT64_MAX,
                                        note_answer, &answers[i]);
        while (seen.n_calls < MAX) {
                seen.is_here = false;
                loop_run_until(fx.loop, &seen.is_here);
        }
        a = call_and_wait(&fx, "/t.T/Echo", text_of("one more"), INT64_MAX);
        ck_assert_int_eq(a.e.code, ERR_EXHAUSTED);
        ck_assert_str_eq(a.e.reason, "TOO_MANY_CALLS");
        for (int i = 0; i < N; i++) {
                if (!answers[i].is_done)
                        rpc_request_cancel(requests[i]);
                loop_run_until(fx.loop, &answers[i].is_done);
                n_refused += answers[i].e.code == ERR_EXHAUSTED;
        }
        ck_assert_uint_eq(n_refused, N - MAX);
        while (seen.n_cancelled < MAX) {
                seen.was_cancelled = false;
                loop_run_until(fx.loop, &seen.was_cancelled);
        }
        a = call_and_wait(&fx, "/t.T/Echo", text_of("room again"), INT64_MAX);
        assert_text(&a, "room again");
        buf_done(&a.body);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/unary");
        TCase *t = tcase_create("unary");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, echo);
        tcase_add_test(t, many_at_once);
        tcase_add_loop_test(t, failure, 0, 2);
        tcase_add_test(t, unknown_method);
        tcase_add_test(t, too_large_a_request);
        tcase_add_loop_test(t, gzip, 0, 2);
        tcase_add_test(t, too_large_a_reply);
        tcase_add_test(t, no_request_message);
        tcase_add_test(t, metadata_and_peer);
        tcase_add_test(t, no_deadline);
        tcase_add_loop_test(t, deadline, 0, 2);
        tcase_add_test(t, deadline_in_the_past);
        tcase_add_loop_test(t, cancel, 0, 2);
        tcase_add_loop_test(t, reply_after_cancel, 0, 3);
        tcase_add_test(t, channel_freed_under_calls);
        tcase_add_test(t, too_many_calls);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
