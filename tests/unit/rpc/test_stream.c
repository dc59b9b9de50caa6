/* Streams: both ways, in order, under flow control, and however they end. */
#include <grpc/slice.h>

#include "tests/unit/rpc/fixture.h"

/* ---- servers */

static void echo_next(struct rpc_call *c, bool ok);

static void echo_written(struct rpc_call *c, bool ok)
{
        struct err e;

        if (ok) {
                rpc_call_read(c, echo_next);
                return;
        }
        err_set(&e, ERR_CANCELLED, "CANCELLED", "gone");
        rpc_call_fail(c, &e);
}

static void echo_next(struct rpc_call *c, bool ok)
{
        size_t n;
        const uint8_t *p;

        if (!ok) {
                rpc_call_end(c);
                return;
        }
        p = rpc_call_request(c, &n);
        rpc_call_write(c, bytes_of(p, n), echo_written);
}

/* Sends each message back. */
static void serve_chat(struct rpc_call *c, void *arg)
{
        (void)arg;
        rpc_call_read(c, echo_next);
}

struct counter {
        unsigned n_wanted;
        unsigned n_written;
        size_t n_each;
        bool ended;
        bool was_cancelled;
};

static void count_next(struct rpc_call *c);

static void count_written(struct rpc_call *c, bool ok)
{
        struct counter *k = rpc_call_data(c);

        if (!ok)
                return; /* on_cancel ends it */
        k->n_written++;
        count_next(c);
}

static void count_next(struct rpc_call *c)
{
        struct counter *k = rpc_call_data(c);
        uint8_t *p;

        if (k->n_written == k->n_wanted) {
                k->ended = true;
                rpc_call_end(c);
                return;
        }
        p = xcalloc(1, k->n_each);
        memcpy(p, &k->n_written, sizeof(k->n_written));
        rpc_call_write(c, bytes_of(p, k->n_each), count_written);
        free(p);
}

static void count_cancelled(struct rpc_call *c)
{
        struct counter *k = rpc_call_data(c);
        struct err e;

        k->ended = k->was_cancelled = true;
        err_set(&e, ERR_CANCELLED, "CANCELLED", "gone");
        rpc_call_fail(c, &e);
}

/* Writes n_wanted numbers. */
static void serve_count(struct rpc_call *c, void *arg)
{
        rpc_call_set_data(c, arg);
        rpc_call_on_cancel(c, count_cancelled);
        count_next(c);
}

/* Fails the stream after two messages. */
static void fail_written(struct rpc_call *c, bool ok)
{
        struct err e;

        (void)ok;
        err_set(&e, ERR_PRECONDITION, "CONSTRAINT", "enough");
        e.extended_code = 2067;
        rpc_call_fail(c, &e);
}

static void first_written(struct rpc_call *c, bool ok)
{
        (void)ok;
        rpc_call_write(c, text_of("second"), fail_written);
}

static void serve_failure(struct rpc_call *c, void *arg)
{
        (void)arg;
        rpc_call_write(c, text_of("first"), first_written);
}

/* Fails the stream while a write is under way. */
static void never_called(struct rpc_call *c, bool ok)
{
        (void)c;
        (void)ok;
        ck_abort_msg("a finished call has no events");
}

static void serve_early_failure(struct rpc_call *c, void *arg)
{
        struct err e;

        (void)arg;
        rpc_call_write(c, text_of("first"), never_called);
        err_set(&e, ERR_ABORTED, "TEST", "on second thought");
        rpc_call_fail(c, &e);
}

static struct counter counter;
static const struct rpc_method methods[] = {
        { .path = "/t.T/Chat", .stream_in = true, .on_start = serve_chat },
        { .path = "/t.T/Count", .on_start = serve_count, .arg = &counter },
        { .path = "/t.T/Fail", .on_start = serve_failure },
        { .path = "/t.T/FailEarly", .on_start = serve_early_failure },
        { .path = "/t.T/Echo", .on_start = serve_echo },
};

/* ---- a client */

struct listener {
        struct rpc_stream *stream;
        unsigned n_messages;
        unsigned n_wanted; /* is_enough is set then; 0: never */
        bool is_enough;
        bool pause_then;
        bool is_in_order;
        size_t n_bytes;
        bool is_drained;
        bool is_ended;
        struct err e;
};

static void on_message(void *arg, const grpc_slice *slice)
{
        struct listener *l = arg;
        unsigned number;

        ck_assert(!l->is_ended);
        if (GRPC_SLICE_LENGTH(*slice) >= sizeof(number)) {
                memcpy(&number, GRPC_SLICE_START_PTR(*slice), sizeof(number));
                l->is_in_order = l->is_in_order && number == l->n_messages;
        }
        l->n_messages++;
        l->n_bytes += GRPC_SLICE_LENGTH(*slice);
        if (l->n_messages == l->n_wanted) {
                l->is_enough = true;
                if (l->pause_then)
                        rpc_stream_pause(l->stream, true);
        }
}

static void on_end(void *arg, const struct err *e)
{
        struct listener *l = arg;

        ck_assert(!l->is_ended);
        l->is_ended = true;
        l->e = *e;
}

static void on_drained(void *arg)
{
        ((struct listener *)arg)->is_drained = true;
}

static const struct rpc_stream_events events = {
        .on_message = on_message,
        .on_end = on_end,
        .on_drained = on_drained,
};

static void listen_to(struct fixture *fx, struct listener *l, const char *path)
{
        l->is_in_order = true;
        l->stream = rpc_stream_open(fx->channel, path, &events, l);
}

static struct fixture fx;

static void setup(void)
{
        counter = (struct counter){ .n_wanted = 10, .n_each = 100 };
        fixture_start(&fx, methods, ARRAY_LEN(methods), NULL);
}

static void teardown(void)
{
        fixture_stop(&fx);
}

/* ---- tests */

START_TEST(both_ways)
{
        enum { N = 10000 };
        struct listener l = { 0 };

        listen_to(&fx, &l, "/t.T/Chat");
        for (unsigned i = 0; i < N; i++) {
                uint8_t text[100] = { 0 };

                /* Short ones lie inside the slice itself, long ones do not. */
                memcpy(text, &i, sizeof(i));
                rpc_stream_write(l.stream, bytes_of(text, i % 2 ? sizeof(i) : sizeof(text)));
        }
        ck_assert_uint_gt(rpc_stream_queued_bytes(l.stream), 0);
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &l.is_ended);
        ck_assert_int_eq(l.e.code, ERR_OK);
        ck_assert_uint_eq(l.n_messages, N);
        ck_assert_uint_eq(l.n_bytes, N / 2 * (100 + sizeof(unsigned)));
        ck_assert(l.is_in_order && l.is_drained);
        ck_assert_uint_eq(rpc_stream_queued_bytes(l.stream), 0);
        rpc_stream_free(l.stream);
}
END_TEST

START_TEST(no_messages)
{
        struct listener l = { 0 };

        listen_to(&fx, &l, "/t.T/Chat");
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &l.is_ended);
        ck_assert_int_eq(l.e.code, ERR_OK);
        ck_assert_uint_eq(l.n_messages, 0);
        /* It is over: this goes nowhere, and leaks nothing. */
        rpc_stream_write(l.stream, text_of("too late"));
        rpc_stream_free(l.stream);
}
END_TEST

START_TEST(server_streaming)
{
        struct listener l = { 0 };

        counter.n_wanted = 10000;
        listen_to(&fx, &l, "/t.T/Count");
        rpc_stream_write(l.stream, text_of(""));
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &l.is_ended);
        ck_assert_int_eq(l.e.code, ERR_OK);
        ck_assert_uint_eq(l.n_messages, 10000);
        ck_assert(l.is_in_order);
        ck_assert(counter.ended && !counter.was_cancelled);
        rpc_stream_free(l.stream);
}
END_TEST

static void note_time(struct loop_timer *t)
{
        t->at_us = -1;
}

static void run_for(int64_t ms)
{
        struct loop_timer t = { .fn = note_time };
        struct answer a;

        loop_timer_set(fx.loop, &t, in_ms(ms));
        while (t.at_us >= 0) {
                /* Keeps the loop turning. */
                a = call_and_wait(&fx, "/t.T/Echo", text_of("x"), INT64_MAX);
                buf_done(&a.body);
        }
}

/* The server stops writing when nobody reads, and goes on when somebody does. */
START_TEST(slow_reader)
{
        struct listener l = { .n_wanted = 1, .pause_then = true };
        unsigned n_before;

        counter = (struct counter){ .n_wanted = 30000, .n_each = 10000 };
        listen_to(&fx, &l, "/t.T/Count");
        rpc_stream_write(l.stream, text_of(""));
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &l.is_enough);
        do {
                n_before = counter.n_written;
                run_for(50);
        } while (counter.n_written != n_before);
        /* What is in flight is bounded by the client's window, which libgrpc tunes to some
         * megabytes. */
        ck_assert_uint_lt(counter.n_written * counter.n_each, 64 << 20);
        ck_assert_uint_eq(l.n_messages, 1);
        ck_assert(!counter.ended);
        rpc_stream_pause(l.stream, false);
        loop_run_until(fx.loop, &l.is_ended);
        ck_assert_int_eq(l.e.code, ERR_OK);
        ck_assert_uint_eq(l.n_messages, 30000);
        ck_assert(l.is_in_order);
        rpc_stream_free(l.stream);
}
END_TEST

/* How a stream is left alone: cancelled, freed without a word, or its channel freed. */
enum { LEAVE_CANCEL = 0, LEAVE_FREE, LEAVE_CHANNEL, N_LEAVES };

START_TEST(slow_reader_leaves)
{
        struct listener l = { .n_wanted = 1, .pause_then = true };

        counter = (struct counter){ .n_wanted = 30000, .n_each = 10000 };
        listen_to(&fx, &l, "/t.T/Count");
        rpc_stream_write(l.stream, text_of(""));
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &l.is_enough);
        if (_i == LEAVE_CANCEL)
                rpc_stream_cancel(l.stream);
        else if (_i == LEAVE_FREE)
                l.stream = rpc_stream_free(l.stream);
        else
                fx.channel = rpc_channel_free(fx.channel);
        loop_run_until(fx.loop, &counter.ended);
        ck_assert(counter.was_cancelled);
        if (_i != LEAVE_FREE) {
                rpc_stream_pause(l.stream, false);
                loop_run_until(fx.loop, &l.is_ended);
                ck_assert_int_eq(l.e.code, ERR_CANCELLED);
        }
        rpc_stream_free(l.stream);
        ck_assert_int_eq(l.is_ended, _i != LEAVE_FREE);
}
END_TEST

/* It may overtake messages, but is never taken for a clean end. */
START_TEST(failure)
{
        struct listener l = { 0 };

        listen_to(&fx, &l, _i ? "/t.T/FailEarly" : "/t.T/Fail");
        rpc_stream_write(l.stream, text_of(""));
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &l.is_ended);
        ck_assert_uint_le(l.n_messages, _i ? 1 : 2);
        ck_assert_int_eq(l.e.code, _i ? ERR_ABORTED : ERR_PRECONDITION);
        ck_assert_str_eq(l.e.msg, _i ? "on second thought" : "enough");
        ck_assert_str_eq(l.e.reason, _i ? "TEST" : "CONSTRAINT");
        ck_assert_int_eq(l.e.extended_code, _i ? 0 : 2067);
        rpc_stream_free(l.stream);
}
END_TEST

START_TEST(nobody_there)
{
        struct listener l = { 0 };

        fixture_drain(&fx, 1000);
        listen_to(&fx, &l, "/t.T/Chat");
        for (int i = 0; i < 100; i++)
                rpc_stream_write(l.stream, text_of("hello?"));
        loop_run_until(fx.loop, &l.is_ended);
        ck_assert_int_eq(l.e.code, ERR_UNAVAILABLE);
        ck_assert(!l.is_drained);
        rpc_stream_free(l.stream);
}
END_TEST

/* Freeing from inside an event is allowed. */
static void free_on_message(void *arg, const grpc_slice *slice)
{
        struct listener *l = arg;

        ck_assert_uint_eq(GRPC_SLICE_LENGTH(*slice), 100);
        ck_assert_uint_eq(l->n_messages++, 0);
        l->stream = rpc_stream_free(l->stream);
}

START_TEST(freed_in_an_event)
{
        static const struct rpc_stream_events ev = { .on_message = free_on_message,
                                                     .on_end = on_end };
        struct listener l = { 0 };

        counter.n_wanted = 1000000;
        l.stream = rpc_stream_open(fx.channel, "/t.T/Count", &ev, &l);
        rpc_stream_write(l.stream, text_of(""));
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &counter.ended);
        ck_assert(counter.was_cancelled && !l.is_ended);
        ck_assert_uint_eq(l.n_messages, 1);
}
END_TEST

/* A message in many pieces arrives as one. */
START_TEST(large_messages)
{
        struct listener l = { .n_wanted = 1 };
        size_t n = 3 << 20;
        uint8_t *p = xcalloc(1, n);

        listen_to(&fx, &l, "/t.T/Chat");
        rpc_stream_write(l.stream, bytes_of(p, n));
        free(p);
        loop_run_until(fx.loop, &l.is_enough);
        ck_assert_uint_eq(l.n_bytes, n);
        rpc_stream_close_send(l.stream);
        loop_run_until(fx.loop, &l.is_ended);
        ck_assert_int_eq(l.e.code, ERR_OK);
        rpc_stream_free(l.stream);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/stream");
        TCase *t = tcase_create("stream");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, both_ways);
        tcase_add_test(t, no_messages);
        tcase_add_test(t, server_streaming);
        tcase_add_test(t, slow_reader);
        tcase_add_loop_test(t, slow_reader_leaves, 0, N_LEAVES);
        tcase_add_loop_test(t, failure, 0, 2);
        tcase_add_test(t, nobody_there);
        tcase_add_test(t, freed_in_an_event);
        tcase_add_test(t, large_messages);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
