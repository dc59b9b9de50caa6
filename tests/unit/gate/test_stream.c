/* ExecuteStream: rows go on at the client's pace, and the shards feel it. */
#include "common/wire.h"
#include "tests/unit/gate/gate_fixture.h"

static struct gate_fixture fx;

/* ---- a client that reads at its own pace */
struct reader {
        struct rpc_stream *s;
        size_t n_messages, n_rows, n_ends, n_stats, n_bytes;
        size_t n_columns_first; /* of the first message */
        size_t n_rows_first;
        bool paused_at_first;
        struct err e;
};

static void on_message(void *arg, const grpc_slice *slice)
{
        struct reader *r = arg;
        Shoal__V1__ExecuteResponse *m = shoal__v1__execute_response__unpack(
            NULL, GRPC_SLICE_LENGTH(*slice), GRPC_SLICE_START_PTR(*slice));

        ck_assert_ptr_nonnull(m);
        r->n_bytes += GRPC_SLICE_LENGTH(*slice);
        if (!r->n_messages++) {
                r->n_columns_first = m->result->n_columns;
                r->n_rows_first = m->result->n_rows;
                if (r->paused_at_first)
                        rpc_stream_pause(r->s, true);
        } else if (m->result) {
                ck_assert_uint_eq(m->result->n_columns, 0);
        }
        if (m->result)
                r->n_rows += m->result->n_rows;
        r->n_stats += m->stats != NULL;
        shoal__v1__execute_response__free_unpacked(m, NULL);
}

static void on_end(void *arg, const struct err *e)
{
        struct reader *r = arg;

        r->n_ends++;
        r->e = *e;
}

static void start(struct reader *r, const char *sql, const Shoal__V1__ExecuteOptions *o)
{
        static const struct rpc_stream_events events = { .on_message = on_message,
                                                         .on_end = on_end };
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;

        m.sql = (char *)sql;
        m.options = (Shoal__V1__ExecuteOptions *)o;
        r->s = rpc_stream_open(fx.client, "/shoal.v1.Gate/ExecuteStream", &events, r);
        rpc_stream_write(r->s, rpc_pack(&m.base));
        rpc_stream_close_send(r->s);
}

/* ---- tablets with rows without end, as far as their window allows */
enum { ROW_BYTES = 1000, ROWS_A_PIECE = 60 };

static struct {
        size_t n_rows_a_shard;
        size_t n_sent[FAKE_MAX_REQUESTS]; /* bytes, by index of the request */
        int fail_after;                   /* rows of a shard; 0: never */
} source;

static struct buf piece;

static void make_piece(void)
{
        char text[ROW_BYTES];
        struct value v = value_text(text, sizeof(text));

        memset(text, 'x', sizeof(text));
        for (int i = 0; i < ROWS_A_PIECE; i++) {
                size_t at = wire_begin(&piece, 2);

                value_add(&piece, 1, &v);
                wire_end(&piece, at);
        }
}

/* All at once, without regard to the window: as much as there is. */
static void answer_all(struct fake *f, struct fake_request *r)
{
        Shoal__V1__Execute *x = r->m->execute;

        (void)f;
        for (uint32_t i = 0; i < x->n_shards; i++) {
                for (size_t n = 0; n < source.n_rows_a_shard; n += ROWS_A_PIECE)
                        fake_reply(r, i, piece.data, piece.n_bytes, false, false);
                fake_reply(r, i, "", 0, true, i + 1 == x->n_shards);
        }
}

/* As a tablet does: no more than the window, then what there is credit for. */
static void pump(struct fake *f)
{
        size_t n_pieces = source.n_rows_a_shard / ROWS_A_PIECE;

        for (size_t i = 0; i < f->n_requests; i++) {
                struct fake_request *r = &f->requests[i];
                Shoal__V1__Execute *x = r->m->execute;
                size_t *n_sent = &source.n_sent[i];

                /* One request a test: all credit is its. */
                while (*n_sent < n_pieces * piece.n_bytes &&
                       *n_sent < x->window_bytes + f->credited_bytes) {
                        bool last = *n_sent + piece.n_bytes == n_pieces * piece.n_bytes;

                        fake_reply(r, 0, piece.data, piece.n_bytes, last, last);
                        *n_sent += piece.n_bytes;
                }
        }
}

static void setup(void)
{
        memset(&source, 0, sizeof(source));
        gate_fixture_start(&fx, NULL);
        make_piece();
}

static void teardown(void)
{
        gate_fixture_stop(&fx);
        buf_done(&piece);
}

static void serve(uint32_t n_shards, void (*on_request)(struct fake *, struct fake_request *))
{
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fx.fakes[i].on_request = on_request;
        gate_fixture_publish(&fx, n_shards, 1);
}

START_TEST(columns_then_rows)
{
        Shoal__V1__ExecuteOptions o = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        struct reader r = { 0 };

        o.with_stats = true;
        source.n_rows_a_shard = ROWS_A_PIECE * 3;
        serve(4, answer_all);
        start(&r, "SELECT a FROM t", &o);
        fake_wait(fx.loop, &r.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_OK);
        ck_assert_uint_eq(r.n_columns_first, 1);
        ck_assert_uint_eq(r.n_rows_first, 0);
        ck_assert_uint_eq(r.n_rows, 4 * ROWS_A_PIECE * 3);
        ck_assert_uint_eq(r.n_stats, 1);
        rpc_stream_free(r.s);
}
END_TEST

START_TEST(no_rows)
{
        struct reader r = { 0 };

        serve(4, answer_all);
        start(&r, "SELECT a FROM t", NULL);
        fake_wait(fx.loop, &r.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_OK);
        ck_assert_uint_eq(r.n_messages, 1);
        ck_assert_uint_eq(r.n_columns_first, 1);
        rpc_stream_free(r.s);
}
END_TEST

/* While the client does not read, a tablet gets no credit beyond a bounded amount; when it reads,
 * all arrives. */
START_TEST(slow_reader)
{
        enum { N_ROWS = ROWS_A_PIECE * 1000 }; /* 60 MB */
        struct reader r = { .paused_at_first = true };
        size_t n_before = 0, n_now;
        struct fake *f;

        source.n_rows_a_shard = N_ROWS;
        serve(1, NULL);
        f = &fx.fakes[0];
        start(&r, "SELECT a FROM t", NULL);
        fake_wait(fx.loop, &f->n_requests, 1);
        ck_assert_uint_gt(f->requests[0].m->execute->window_bytes, 0);
        ck_assert_uint_gt(f->requests[0].m->execute->chunk_bytes, 0);
        /* Until nothing moves any more. */
        for (int i = 0; i < 20; i++) {
                pump(f);
                fake_linger(fx.loop, 5);
                n_now = source.n_sent[0];
                if (n_now != n_before)
                        i = 0;
                n_before = n_now;
        }
        ck_assert_uint_lt(source.n_sent[0], 12 << 20); /* what gRPC's own windows hold, and ours */
        rpc_stream_pause(r.s, false);
        while (!r.n_ends) {
                pump(f);
                fake_linger(fx.loop, 1);
        }
        ck_assert_int_eq(r.e.code, ERR_OK);
        ck_assert_uint_eq(r.n_rows, N_ROWS);
        rpc_stream_free(r.s);
}
END_TEST

/* The client leaves in the middle: the tablets hear of it. */
START_TEST(reader_leaves)
{
        struct reader r = { .paused_at_first = true };
        struct fake *f = &fx.fakes[0];

        source.n_rows_a_shard = ROWS_A_PIECE * 1000;
        serve(1, NULL);
        start(&r, _i ? "SELECT a FROM t ORDER BY a" : "SELECT a FROM t", NULL);
        fake_wait(fx.loop, &f->n_requests, 1);
        pump(f);
        fake_linger(fx.loop, 20);
        rpc_stream_free(r.s);
        fake_wait(fx.loop, &f->n_cancels, 1);
        while (fx.gate.n_statements)
                fake_linger(fx.loop, 1);
}
END_TEST

/* A failure behind rows that were told already is told, and nothing is begun again. */
static void fail_in_the_middle(struct fake *f, struct fake_request *r)
{
        (void)f;
        fake_reply(r, 0, piece.data, piece.n_bytes, false, false);
        fake_reply(r, 0, piece.data, piece.n_bytes, false, false);
}

START_TEST(failure_in_the_middle)
{
        struct reader r = { 0 };
        struct fake *f = &fx.fakes[0];

        serve(1, fail_in_the_middle);
        start(&r, "SELECT a FROM t", NULL);
        while (r.n_rows < ROWS_A_PIECE * 2)
                fake_linger(fx.loop, 1);
        fake_fail(&f->requests[0], 0, ERR_UNAVAILABLE, "SHARD_NOT_SERVED", true);
        fake_wait(fx.loop, &r.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_UNAVAILABLE);
        ck_assert_str_eq(r.e.reason, "SHARD_NOT_SERVED");
        ck_assert_uint_eq(f->n_requests, 1);
        rpc_stream_free(r.s);
}
END_TEST

/* Before any row it is begun again as ever. */
static void fail_first(struct fake *f, struct fake_request *r)
{
        if (f->n_requests == 1)
                fake_fail(r, 0, ERR_UNAVAILABLE, "SHARD_NOT_SERVED", true);
        else
                answer_all(f, r);
}

START_TEST(failure_at_the_beginning)
{
        struct reader r = { 0 };

        source.n_rows_a_shard = ROWS_A_PIECE;
        serve(1, fail_first);
        start(&r, "SELECT a FROM t", NULL);
        fake_wait(fx.loop, &r.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_OK);
        ck_assert_uint_eq(r.n_rows, ROWS_A_PIECE);
        rpc_stream_free(r.s);
        r = (struct reader){ 0 };
        start(&r, "SELECT a FROM nope", NULL);
        fake_wait(fx.loop, &r.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_NOT_FOUND);
        ck_assert_uint_eq(r.n_messages, 0);
        rpc_stream_free(r.s);
}
END_TEST

/* A finish gives its rows in pieces too; nothing limits their number but what the client asks for.
 */
START_TEST(finished)
{
        Shoal__V1__ExecuteOptions o = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        struct reader r = { 0 };

        source.n_rows_a_shard = ROWS_A_PIECE * 50;
        serve(4, answer_all);
        start(&r, "SELECT a FROM t ORDER BY a", NULL);
        fake_wait(fx.loop, &r.n_ends, 1);
        ck_assert_msg(!r.e.code, "%s", r.e.msg);
        ck_assert_uint_eq(r.n_rows, 4 * ROWS_A_PIECE * 50);
        ck_assert_uint_gt(r.n_messages, 100); /* of 64 KiB */
        ck_assert_uint_eq(r.n_rows_first, 0);
        rpc_stream_free(r.s);
        r = (struct reader){ 0 };
        o.max_rows = 10;
        start(&r, "SELECT a FROM t ORDER BY a", &o);
        fake_wait(fx.loop, &r.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_EXHAUSTED);
        rpc_stream_free(r.s);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/stream");
        TCase *t = tcase_create("stream");

        tcase_set_timeout(t, 50);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, columns_then_rows);
        tcase_add_test(t, no_rows);
        tcase_add_test(t, slow_reader);
        tcase_add_loop_test(t, reader_leaves, 0, 2);
        tcase_add_test(t, failure_in_the_middle);
        tcase_add_test(t, failure_at_the_beginning);
        tcase_add_test(t, finished);
        suite_add_tcase(s, t);
        return unit_run(s);
}
