/* test_service.c - requests over streams: replies, flow control, cancel, deadlines, broken streams,
 * draining. */
#include <check.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "common/metrics.h"
#include "tablet/service_int.h"
#include "tests/unit/tablet/fixture.h"
#include "tests/unit/tablet/world.h"
#include "tests/unit/unit.h"

#define ENDLESS "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) "
#define COUNT(n) "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT " #n ") "

static struct world w;
static struct line *l;

static void set_up(void)
{
        world_init(&w);
        world_open(&w);
        l = line_open(&w);
}

static void tear_down(void)
{
        l = line_close(l);
        world_done(&w);
}

static uint64_t n_requests(const char *kind)
{
        char labels[32];
        struct buf b = BUF_INIT(0);
        char *line;
        uint64_t n = 0;

        snprintf(labels, sizeof labels, "_count{kind=\"%s\"} ", kind);
        metrics_write(&b);
        buf_add_byte(&b, '\0');
        line = strstr((char *)b.data, labels);
        if (line)
                n = strtoull(line + strlen(labels), NULL, 10);
        buf_done(&b);
        return n;
}

static void fill(void)
{
        ck_assert_str_eq(
            line_ask(l, 2, true, "INSERT INTO t " COUNT(1000) "SELECT x, 'row ' || x FROM r"),
            "changes=1000 id=1000 /changes=1000 id=1000 /");
}

/* ---- plain requests */

START_TEST(reads_and_writes)
{
        uint64_t n_inline = n_requests("read_inline");
        struct answer answer;
        struct ask a;

        fill();
        ck_assert_str_eq(line_ask(l, 1, false, "SELECT count(*), max(v) FROM t"),
                         "1000|row 999;//");
        ck_assert_str_eq(line_ask(l, 2, false, "SELECT v FROM t WHERE id = 7"), "row 7;/row 7;/");
        ck_assert_str_eq(line_ask(l, 1, true, "DELETE FROM t WHERE id = 7"), "changes=1 //");
        ck_assert_str_eq(line_ask(l, 2, false, "SELECT count(*) FROM t"), "999;/1000;/");
        ck_assert_uint_eq(n_requests("read_inline"), n_inline);

        ask_init(&a, 1, "SELECT v, ?2 FROM t WHERE id = ?1");
        a.x.cheap = true;
        a.x.n_params = 2;
        a.values[0].kind_case = SHOAL__V1__VALUE__KIND_INTEGER;
        a.values[0].integer = 8;
        a.values[1].kind_case = SHOAL__V1__VALUE__KIND_TEXT;
        a.values[1].text = (char *)"and";
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "row 8|and;//");
        ck_assert_uint_eq(answer.n_rows, 1);
        ck_assert_uint_gt(answer.hlc, 0);
        ck_assert_uint_eq(n_requests("read_inline"), n_inline + 1);
}
END_TEST

/* What takes more than the loop thread's budget is done elsewhere, with the same result. */
START_TEST(handed_over)
{
        struct metric *handovers = metric_counter("shoal_tablet_handovers_total", "", "");
        uint64_t before = metric_value(handovers);
        struct answer answer;
        struct ask a;

        line_ask(l, 1, false, "SELECT 1");
        ask_init(&a, 1, COUNT(100000) "SELECT count(*) FROM r");
        a.x.cheap = true;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "100000;//");
        ck_assert_uint_eq(metric_value(handovers), before + 1);
}
END_TEST

START_TEST(one_message_for_all_shards)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 2, "SELECT count(*) FROM t");
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_uint_eq(answer.n_messages, 1);
        ck_assert_uint_eq(answer.n_pieces, 2);
}
END_TEST

/* Of requests that come in one message, those that can be answered at once - refusals need nothing
 * of the shard - have their answers in one message, whatever the others wait for. */
START_TEST(many_in_one_message)
{
        enum { N = 40 };
        struct buf b = BUF_INIT(0);
        struct answer answer;
        size_t message = 0;

        for (unsigned i = 0; i <= N; i++) {
                uint8_t packed[512];
                struct ask a;
                size_t n;

                ask_init(&a, 1, i == N ? "INSERT INTO t(v) VALUES (1)" : "SELECT 1");
                a.refs[0].epoch = i % 2 ? 2 : 1;
                a.x.cheap = true;
                a.x.write = i == N;
                a.m.id = 1000 + i;
                n = shoal__v1__tablet_request__pack(&a.m, packed);
                if (i)
                        wire_add_bytes(&b, 8, packed, n);
                else
                        buf_add(&b, packed, n);
        }
        line_send_bytes(l, b.data, b.n_bytes);
        buf_done(&b);
        for (unsigned i = 0; i < N; i++) {
                line_wait(l, 1000 + i, &answer);
                ck_assert_str_eq(answer.text, i % 2 ? "UNAVAILABLE SHARD_NOT_SERVED//" : "1;//");
                if (i % 2) {
                        message = message ? message : answer.message;
                        ck_assert_uint_eq(answer.message, message);
                }
        }
        line_wait(l, 1000 + N, &answer);
        ck_assert_str_eq(answer.text, "changes=1 id=1 //");
}
END_TEST

/* ---- errors of one shard or all */

static const struct {
        const char *label;
        uint64_t keyspace_id, epoch;
        const char *name; /* of the second shard */
        bool cheap;       /* then the second shard is the only one */
        const char *want;
} unserved[] = {
        { "another epoch", 1, 2, "80-", false, "1;/UNAVAILABLE SHARD_NOT_SERVED/" },
        { "another shard", 1, 1, "80-c0", false, "1;/UNAVAILABLE SHARD_NOT_SERVED/" },
        { "no name", 1, 1, "", false, "1;/UNAVAILABLE SHARD_NOT_SERVED/" },
        { "a path", 1, 1, "../../80-", false, "1;/UNAVAILABLE SHARD_NOT_SERVED/" },
        { "a long name", 1, 1, "8000000000000000000000000000000000000000000000000000000000000000-",
          false, "1;/UNAVAILABLE SHARD_NOT_SERVED/" },
        { "another keyspace", 2, 1, "80-", false,
          "UNAVAILABLE SHARD_NOT_SERVED/UNAVAILABLE SHARD_NOT_SERVED/" },
        { "another epoch, cheap", 1, 2, "80-", true, "UNAVAILABLE SHARD_NOT_SERVED//" },
        { "another keyspace, cheap", 9, 1, "80-", true, "UNAVAILABLE SHARD_NOT_SERVED//" },
};

START_TEST(not_served)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 2, "SELECT 1");
        a.x.keyspace_id = unserved[_i].keyspace_id;
        a.refs[1].name = (char *)unserved[_i].name;
        a.refs[1].epoch = unserved[_i].epoch;
        if (unserved[_i].cheap) {
                a.x.cheap = true;
                a.x.n_shards = 1;
                a.shards[0] = &a.refs[1];
        }
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_msg(strcmp(answer.text, unserved[_i].want) == 0, "%s: %s", unserved[_i].label,
                      answer.text);
        ck_assert_str_eq(line_ask(l, 2, false, "SELECT 1"), "1;/1;/");
}
END_TEST

START_TEST(failures_carry_all)
{
        const Shoal__V1__Failure *f;
        struct answer answer;
        struct ask a;

        ask_init(&a, 1, "SELECT 1 FRM t");
        a.x.cheap = true;
        line_wait(l, line_send(l, &a.m), &answer);
        f = l->replies[l->n_replies - 1]->shards[0]->failure;
        ck_assert_int_eq(f->code, ERR_INVALID);
        ck_assert_str_eq(f->reason, "SYNTAX_ERROR");
        ck_assert_int_eq(f->offset, 14); /* of "t", and one */
        ck_assert_int_eq(f->extended_code, 1);
        ck_assert(strstr(f->sqlite_message, "near \"t\""));
}
END_TEST

START_TEST(no_shards)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 0, "SELECT 1");
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "//");
}
END_TEST

START_TEST(clock_skew)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 1, "SELECT 1");
        a.m.hlc = hlc_from_us(wall_us() + 60 * 1000 * 1000);
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "OUT_OF_RANGE CLOCK_SKEW//");
        ask_init(&a, 1, "SELECT 1");
        a.x.read_ts = hlc_from_us(wall_us() + 60 * 1000 * 1000);
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "OUT_OF_RANGE CLOCK_SKEW//");
        ask_init(&a, 1, "SELECT 1");
        a.m.hlc = hlc_from_us(wall_us() + 100 * 1000);
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "1;//");
        ck_assert_uint_ge(answer.hlc, a.m.hlc);
}
END_TEST

/* ---- what a write and a pin answer */

START_TEST(timestamps)
{
        struct answer answer;
        uint64_t ts;
        struct ask a;

        ask_init(&a, 1, "INSERT INTO t VALUES (1, 'a')");
        a.x.write = true;
        line_wait(l, line_send(l, &a.m), &answer);
        ts = answer.commit_ts;
        ck_assert_uint_gt(ts, 0);
        for (int cheap = 0; cheap < 2; cheap++) {
                ask_init(&a, 1, "SELECT count(*) FROM t");
                a.x.read_ts = hlc_now(&w.hlc) + 1;
                a.x.cheap = cheap;
                line_wait(l, line_send(l, &a.m), &answer);
                ck_assert_str_eq(answer.text, "1;//");
                ck_assert_uint_eq(answer.cut_c, ts);
                ck_assert_uint_eq(answer.cut_e, a.x.read_ts);
        }
}
END_TEST

START_TEST(request_ids)
{
        struct answer answer;
        struct ask a;

        for (int i = 0; i < 3; i++) {
                ask_init(&a, 1, "INSERT INTO t(v) VALUES ('a')");
                a.x.write = true;
                a.x.request_id = (char *)"id";
                a.x.request_note.data = (uint8_t *)"note";
                a.x.request_note.len = 4;
                a.x.probe_request_id = i == 2;
                line_wait(l, line_send(l, &a.m), &answer);
                ck_assert_str_eq(answer.text, "changes=1 id=1 //");
                ck_assert_int_eq(answer.is_replayed, i > 0);
                ck_assert_str_eq(answer.note, i ? "note" : "");
        }
        ask_init(&a, 1, "SELECT 1");
        a.x.request_id = (char *)"id";
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "INVALID_ARGUMENT BAD_REQUEST//");
        ask_init(&a, 1, "");
        a.x.probe_request_id = true;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "INVALID_ARGUMENT BAD_REQUEST//");
}
END_TEST

/* ---- flow control */

/* All that was sent before it has been dealt with when the answer is there. */
static void ping(void)
{
        ck_assert_str_eq(line_ask(l, 1, false, "SELECT 1"), "1;//");
}

static const struct {
        unsigned n_shards;
        uint64_t window, chunk;
} windows[] = {
        { 1, 20000, 5000 }, { 2, 20000, 5000 }, { 2, 1, 1000 }, { 1, 3000, 0 }, { 2, 1 << 20, 1000 }
};

enum { ROW_BYTES = 40 };

START_TEST(windowed)
{
        uint64_t window = windows[_i].window,
                 chunk = windows[_i].chunk ? windows[_i].chunk : window;
        uint64_t most = (window > chunk ? window : chunk) + windows[_i].n_shards * ROW_BYTES;
        size_t credited = 0;
        struct answer answer;
        struct ask a;
        uint64_t id;

        fill();
        ask_init(&a, windows[_i].n_shards, "SELECT id, v FROM t");
        a.x.window_bytes = window;
        a.x.chunk_bytes = windows[_i].chunk;
        id = line_send(l, &a.m);
        while (!line_has_end(l, id)) {
                ping();
                ck_assert_msg(line_bytes(l, id) <= credited + most,
                              "%zu bytes, %zu credited, %zu allowed", line_bytes(l, id), credited,
                              (size_t)most);
                line_credit(l, id, line_bytes(l, id) - credited);
                credited = line_bytes(l, id);
        }
        line_wait(l, id, &answer);
        ck_assert_uint_eq(answer.n_rows, 1000);
        ck_assert_uint_ge(answer.n_pieces, window < 20000 * windows[_i].n_shards ? 3 : 1);
        ck_assert_uint_gt(line_bytes(l, id), windows[_i].n_shards * 10000);
}
END_TEST

static bool has_bytes(void *arg)
{
        return line_bytes(l, *(uint64_t *)arg) > 0;
}

/* Starts a read that waits for credit, and waits until it does. */
static uint64_t start_parked(uint64_t timeout_us)
{
        struct ask a;
        uint64_t id;

        ask_init(&a, 2, "SELECT id, v FROM t");
        a.x.window_bytes = 500;
        a.x.chunk_bytes = 100;
        a.m.timeout_us = timeout_us;
        id = line_send(l, &a.m);
        world_until(&w, has_bytes, &id);
        ping();
        return id;
}

struct drinking {
        uint64_t id;
        size_t n_bytes; /* credited */
};

static bool drink_some(void *arg)
{
        struct drinking *d = arg;
        size_t n = line_bytes(l, d->id);

        if (n > d->n_bytes)
                line_credit(l, d->id, n - d->n_bytes);
        d->n_bytes = n;
        return line_has_end(l, d->id);
}

/* Credits all that comes for a parked read, to its end. */
static void drink(uint64_t id, struct answer *ret_answer)
{
        struct drinking d = { .id = id };

        world_until(&w, drink_some, &d);
        line_wait(l, id, ret_answer);
}

START_TEST(cancelled_while_parked)
{
        struct answer answer;
        uint64_t id;

        fill();
        id = start_parked(0);
        line_cancel(l, id);
        line_wait(l, id, &answer);
        ck_assert_str_eq(answer.text, "CANCELLED CANCELLED/CANCELLED CANCELLED/");
        line_cancel(l, id); /* too late, and no harm */
        line_credit(l, id, 100);
        ping();
}
END_TEST

START_TEST(deadline_while_parked)
{
        struct answer answer;
        uint64_t id;

        fill();
        id = start_parked(200 * 1000);
        line_wait(l, id, &answer);
        ck_assert_str_eq(
            answer.text,
            "DEADLINE_EXCEEDED DEADLINE_EXCEEDED/DEADLINE_EXCEEDED DEADLINE_EXCEEDED/");
}
END_TEST

/* A snapshot is not kept for ever, whoever waits. */
START_TEST(parked_too_long)
{
        struct answer answer;
        uint64_t id;

        l = line_close(l);
        world_done(&w);
        world_init(&w);
        w.eo.max_read_ms = 100;
        world_open(&w);
        l = line_open(&w);
        fill();
        id = start_parked(0);
        line_wait(l, id, &answer);
        ck_assert_str_eq(answer.text, "ABORTED READ_TOO_OLD/ABORTED READ_TOO_OLD/");
}
END_TEST

/* A gate that does not read holds up no more than the queue's limit. */
START_TEST(slow_reader)
{
        struct answer answer;
        struct ask a;
        uint64_t id;

        l = line_close(l);
        world_done(&w);
        world_init(&w);
        w.so.max_queued_bytes = 1 << 20;
        world_open(&w);
        l = line_open(&w);
        ask_init(&a, 1, COUNT(3000) "SELECT x, hex(zeroblob(5000)) FROM r");
        a.x.chunk_bytes = 100000;
        id = line_send(l, &a.m);
        world_until(&w, has_bytes, &id);
        rpc_stream_pause(l->stream, true);
        for (int i = 0; i < 100; i++) {
                struct line *other = line_open(&w);
                size_t n = w.service->streams->n_queued_bytes;

                ck_assert_msg(n <= (1 << 20) + 200000, "%zu bytes are queued", n);
                ck_assert_str_eq(line_ask(other, 1, false, "SELECT 1"),
                                 "1;//"); /* others are served */
                line_close(other);
        }
        ck_assert(!line_has_end(l, id));
        rpc_stream_pause(l->stream, false);
        line_wait(l, id, &answer);
        ck_assert_uint_eq(answer.n_rows, 3000);
}
END_TEST

/* ---- cancel and deadline of what runs */

static const struct {
        const char *label, *sql;
        bool write;
} endless[] = {
        { "read", ENDLESS "SELECT count(*) FROM r", false },
        { "write", "INSERT INTO t(v) " ENDLESS "SELECT x FROM r", true },
};

START_TEST(cancelled_while_running)
{
        struct answer answer;
        struct ask a;
        uint64_t id;

        ask_init(&a, 2, endless[_i].sql);
        a.x.write = endless[_i].write;
        id = line_send(l, &a.m);
        if (!endless[_i].write)
                ping();
        line_cancel(l, id);
        line_wait(l, id, &answer);
        ck_assert_str_eq(answer.text, "CANCELLED CANCELLED/CANCELLED CANCELLED/");
        ck_assert_str_eq(line_ask(l, 2, false, "SELECT count(*) FROM t"), "0;/0;/");
}
END_TEST

START_TEST(deadline_while_running)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 2, endless[_i].sql);
        a.x.write = endless[_i].write;
        a.m.timeout_us = 50 * 1000;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(
            answer.text,
            "DEADLINE_EXCEEDED DEADLINE_EXCEEDED/DEADLINE_EXCEEDED DEADLINE_EXCEEDED/");
        ck_assert_str_eq(line_ask(l, 2, false, "SELECT count(*) FROM t"), "0;/0;/");
}
END_TEST

struct gate_job {
        struct pool_job job;
        sem_t started, go;
};

static void run_gate(struct pool_job *job)
{
        struct gate_job *g = CONTAINER_OF(job, struct gate_job, job);

        sem_post(&g->started);
        sem_wait(&g->go);
}

/* A write that waits for its turn is answered at once when it is cancelled. */
START_TEST(cancelled_in_the_queue)
{
        static struct gate_job gates[ENV_WRITER_THREADS];
        struct answer answer;
        struct ask a;
        uint64_t id;

        for (int i = 0; i < ENV_WRITER_THREADS; i++) {
                gates[i].job.run = run_gate;
                sem_init(&gates[i].started, 0, 0);
                sem_init(&gates[i].go, 0, 0);
                pool_submit(w.writers, &gates[i].job);
                sem_wait(&gates[i].started);
        }
        ask_init(&a, 2, "INSERT INTO t(v) VALUES (1)");
        a.x.write = true;
        id = line_send(l, &a.m);
        line_cancel(l, id);
        line_wait(l, id, &answer);
        ck_assert_str_eq(answer.text, "CANCELLED CANCELLED/CANCELLED CANCELLED/");
        for (int i = 0; i < ENV_WRITER_THREADS; i++)
                sem_post(&gates[i].go);
        ck_assert_str_eq(line_ask(l, 2, false, "SELECT count(*) FROM t"), "0;/0;/");
}
END_TEST

/* ---- broken streams and bad frames */

static bool nothing_in_flight(void *arg)
{
        return metric_value(metric_gauge("shoal_tablet_requests_in_flight", "", "")) == 0;
}

/* When the gate goes, its reads end and its writes are undone, whatever state they are in. */
START_TEST(a_stream_breaks)
{
        struct ask a;

        fill();
        start_parked(0);
        ask_init(&a, 2, endless[0].sql);
        line_send(l, &a.m);
        ask_init(&a, 2, endless[1].sql);
        a.x.write = true;
        line_send(l, &a.m);
        ping();
        ck_assert(!nothing_in_flight(NULL));
        line_close(l);
        world_until(&w, nothing_in_flight, NULL);
        l = line_open(&w);
        ck_assert_str_eq(line_ask(l, 2, false, "SELECT count(*) FROM t"), "1000;/1000;/");
}
END_TEST

static bool has_ended(void *arg)
{
        return l->has_ended;
}

static const struct {
        const char *label;
        const char *bytes;
        size_t n_bytes;
} bad_frames[] = {
        { "cut off", "\x08", 1 },
        { "a group", "\x0b", 1 },
        { "an Execute that is cut off", "\x08\x05\x22\x02\x0a\x7f", 6 },
};

START_TEST(bad_frame)
{
        line_send_bytes(l, bad_frames[_i].bytes, bad_frames[_i].n_bytes);
        world_until(&w, has_ended, NULL);
        ck_assert_int_eq(l->end.code, ERR_INVALID);
        ck_assert_str_eq(l->end.reason, "BAD_REQUEST");
        l = line_close(l);
        l = line_open(&w);
        ping();
}
END_TEST

START_TEST(an_id_twice)
{
        struct ask a;

        fill();
        ask_init(&a, 1, "SELECT 1");
        a.m.id = start_parked(0);
        line_send(l, &a.m);
        world_until(&w, has_ended, NULL);
        ck_assert_int_eq(l->end.code, ERR_INVALID);
        world_until(&w, nothing_in_flight, NULL);
        l = line_close(l);
        l = line_open(&w);
}
END_TEST

START_TEST(a_bad_request_is_not_the_streams_end)
{
        struct answer answer;
        struct ask a;
        char sql[] = "SELECT 1\0";

        ask_init(&a, 1, sql);
        a.x.request_id = xcalloc(1, 1000);
        memset(a.x.request_id, 'x', 999);
        a.x.write = true;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "INVALID_ARGUMENT BAD_REQUEST//");
        free(a.x.request_id);
        ping();
}
END_TEST

START_TEST(requests_are_bounded)
{
        struct answer answer;
        struct ask a;
        uint64_t id;

        l = line_close(l);
        world_done(&w);
        world_init(&w);
        w.so.max_requests = 3;
        world_open(&w);
        l = line_open(&w);
        fill();
        start_parked(0);
        start_parked(0);
        ask_init(&a, 2, endless[0].sql);
        id = line_send(l, &a.m);
        ask_init(&a, 2, "SELECT 1");
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(
            answer.text,
            "RESOURCE_EXHAUSTED TOO_MANY_REQUESTS/RESOURCE_EXHAUSTED TOO_MANY_REQUESTS/");
        line_cancel(l, id); /* is still heard */
        line_wait(l, id, &answer);
        ask_init(&a, 2, "SELECT 1");
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "1;/1;/");
}
END_TEST

/* The second shard has next to nothing to do, and waits for the first all the same. */
START_TEST(reads_take_turns)
{
        static const uint64_t parallelism[] = { 1, 2 };
        struct answer answer;
        struct ask a;

        l = line_close(l);
        world_done(&w);
        world_init(&w);
        w.so.read_parallelism = parallelism[_i];
        world_open(&w);
        l = line_open(&w);
        line_ask(l, 1, true, "INSERT INTO t VALUES (1, 3000000)");
        line_ask(l, 2, false, "SELECT 1"); /* both are open */
        ask_init(&a, 2,
                 "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT "
                 "(SELECT ifnull(max(v), 1) FROM t)) SELECT count(*) FROM r");
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "3000000;/1;/");
        ck_assert_uint_eq(answer.last_shard, parallelism[_i] == 1);
}
END_TEST

/* ---- ends */

START_TEST(half_closed)
{
        struct answer answer;
        struct ask a;
        uint64_t id;

        ask_init(&a, 2, COUNT(200000) "SELECT count(*) FROM r");
        id = line_send(l, &a.m);
        rpc_stream_close_send(l->stream);
        world_until(&w, has_ended, NULL);
        ck_assert_int_eq(l->end.code, ERR_OK);
        ck_assert(line_has_end(l, id));
        l->has_ended = false; /* for line_wait() */
        line_wait(l, id, &answer);
        l->has_ended = true;
        ck_assert_str_eq(answer.text, "200000;/200000;/");
}
END_TEST

START_TEST(drained)
{
        struct answer answer;
        struct ask a;
        uint64_t id, late;

        fill();
        id = start_parked(0);
        world_drain(&w, 5000);
        ask_init(&a, 2, "SELECT 1");
        late = line_send(l, &a.m);
        line_wait(l, late, &answer); /* not executed, and told so */
        ck_assert_str_eq(answer.text, "UNAVAILABLE SHARD_NOT_SERVED/UNAVAILABLE SHARD_NOT_SERVED/");
        drink(id, &answer); /* what was under way comes to its end */
        ck_assert_uint_eq(answer.n_rows, 1000);
        world_until(&w, has_ended, NULL);
        ck_assert_int_eq(l->end.code, ERR_OK);
}
END_TEST

/* The drain's limit: what still runs is stopped. */
START_TEST(drained_with_force)
{
        struct ask a;

        ask_init(&a, 2, endless[0].sql);
        line_send(l, &a.m);
        ask_init(&a, 2, endless[1].sql);
        a.x.write = true;
        line_send(l, &a.m);
        ping();
        world_drain(&w, 100);
        world_until(&w, has_ended, NULL);
        ck_assert_int_eq(l->end.code, ERR_UNAVAILABLE);
}
END_TEST

/* A keyspace is dropped while a read of it waits: that one comes to its end, the next is refused.
 */
START_TEST(dropped_under_a_read)
{
        struct answer answer;
        uint64_t id;

        fill();
        id = start_parked(0);
        world_apply(&w, 0, NULL, 0, 0);
        ck_assert_str_eq(line_ask(l, 1, false, "SELECT 1"), "UNAVAILABLE SHARD_NOT_SERVED//");
        drink(id, &answer);
        ck_assert_uint_eq(answer.n_rows, 1000);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("service");
        TCase *t = tcase_create("requests");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_test(t, reads_and_writes);
        tcase_add_test(t, handed_over);
        tcase_add_test(t, one_message_for_all_shards);
        tcase_add_test(t, many_in_one_message);
        tcase_add_loop_test(t, not_served, 0, ARRAY_LEN(unserved));
        tcase_add_test(t, failures_carry_all);
        tcase_add_test(t, no_shards);
        tcase_add_test(t, clock_skew);
        tcase_add_test(t, timestamps);
        tcase_add_test(t, request_ids);
        tcase_add_loop_test(t, windowed, 0, ARRAY_LEN(windows));
        tcase_add_test(t, cancelled_while_parked);
        tcase_add_test(t, deadline_while_parked);
        tcase_add_test(t, parked_too_long);
        tcase_add_test(t, slow_reader);
        tcase_add_loop_test(t, cancelled_while_running, 0, ARRAY_LEN(endless));
        tcase_add_loop_test(t, deadline_while_running, 0, ARRAY_LEN(endless));
        tcase_add_test(t, cancelled_in_the_queue);
        tcase_add_test(t, a_stream_breaks);
        tcase_add_loop_test(t, bad_frame, 0, ARRAY_LEN(bad_frames));
        tcase_add_test(t, an_id_twice);
        tcase_add_test(t, a_bad_request_is_not_the_streams_end);
        tcase_add_test(t, requests_are_bounded);
        tcase_add_loop_test(t, reads_take_turns, 0, 2);
        tcase_add_test(t, half_closed);
        tcase_add_test(t, drained);
        tcase_add_test(t, drained_with_force);
        tcase_add_test(t, dropped_under_a_read);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
