/* Requests to a tablet: answers, deadlines, cancels, and every way in which it can go away. */
#include "common/err.h"
#include "gate/tablet_client.h"
#include "tests/unit/gate/fake_tablet.h"

static struct loop *loop;
static struct fake fake;
static struct hlc hlc;
static struct tablets *tablets;

static const struct tablet_shard shards[] = { { "-80", 1 }, { "80-", 1 } };
static const struct tablet_execute read_one = { .sql = "SELECT 1", .n_sql_bytes = 8 };
static const struct tablet_execute write_one = { .sql = "DELETE", .n_sql_bytes = 6, .write = true };

static void make_tablets(uint64_t connect_wait_ms, size_t max_pending)
{
        const struct tablets_options o = {
                .loop = loop,
                .hlc = &hlc,
                .n_streams = 2,
                .connect_wait_ms = connect_wait_ms,
                .max_pending = max_pending,
        };

        tablets = tablets_new(&o);
}

static void setup(void)
{
        memset(&fake, 0, sizeof(fake));
        loop = loop_new();
        hlc_init(&hlc, wall_us, 1000000);
        fake_start(&fake, loop, NULL);
        make_tablets(2000, 100);
}

static void teardown(void)
{
        tablets = tablets_free(tablets);
        fake_stop(&fake);
        loop_free(loop);
}

/* What came of a call. */
struct seen {
        struct tablet_call call;
        size_t n_replies, n_ends;
        char rows[64];
        struct err e;
        bool abandon;
};

static void on_reply(struct tablet_call *c, const struct tablet_reply *r)
{
        struct seen *s = CONTAINER_OF(c, struct seen, call);

        s->n_replies++;
        snprintf(s->rows + strlen(s->rows), sizeof(s->rows) - strlen(s->rows), "%u:%.*s ", r->shard,
                 (int)r->n_result_bytes, (const char *)r->result);
        if (s->abandon)
                tablet_call_abandon(c);
}

static void on_end(struct tablet_call *c, const struct err *e)
{
        struct seen *s = CONTAINER_OF(c, struct seen, call);

        ck_assert(!tablet_call_is_active(c));
        s->n_ends++;
        s->e = *e;
}

static const struct tablet_call_events events = { on_reply, on_end };

static void execute(struct seen *s, const struct tablet_execute *x, size_t n_shards,
                    int64_t deadline_us)
{
        *s = (struct seen){ .call.events = &events };
        tablet_call_execute(&s->call, tablets, tablets_find(tablets, "t"), 0, shards, n_shards, x,
                            deadline_us);
}

static void connect_all(void)
{
        tablets_put(tablets, "t", fake.address);
        while (tablets_n_connected(tablets) < 2)
                fake_linger(loop, 1);
}

static int64_t in_ms(int64_t ms)
{
        return mono_us() + ms * 1000;
}

START_TEST(answers_in_any_order)
{
        struct seen a, b;

        connect_all();
        execute(&a, &read_one, 2, INT64_MAX);
        execute(&b, &write_one, 1, in_ms(60000));
        fake_wait(loop, &fake.n_requests, 2);
        ck_assert_uint_eq(fake.requests[0].m->timeout_us, 0);
        ck_assert_uint_gt(fake.requests[1].m->timeout_us, 50000000);
        ck_assert_uint_gt(fake.requests[0].m->hlc, 0);
        fake_reply(&fake.requests[1], 0, "w", 1, true, true);
        fake_wait(loop, &b.n_ends, 1);
        fake_reply(&fake.requests[0], 1, "x", 1, true, false);
        fake_reply(&fake.requests[0], 0, "y", 1, false, false);
        fake_reply(&fake.requests[0], 0, "z", 1, true, true);
        fake_wait(loop, &a.n_ends, 1);
        ck_assert_str_eq(a.rows, "1:x 0:y 0:z ");
        ck_assert_int_eq(a.e.code, ERR_OK);
        ck_assert_str_eq(b.rows, "0:w ");
        ck_assert_int_eq(b.e.code, ERR_OK);
}
END_TEST

/* Requests made in one go share messages, and so may their replies. */
START_TEST(several_in_one_message)
{
        enum { N = 50 };
        static struct seen calls[N];
        Shoal__V1__TabletReply outer = SHOAL__V1__TABLET_REPLY__INIT;
        Shoal__V1__TabletReply replies[N];
        Shoal__V1__ShardReply pieces[N], *refs[N];
        ProtobufCBinaryData more[N - 1];
        char rows[N][8], want[16];

        connect_all();
        for (size_t i = 0; i < N; i++)
                execute(&calls[i], &read_one, 1, INT64_MAX);
        fake_wait(loop, &fake.n_requests, N);
        ck_assert_uint_le(fake.n_messages, 2 + 3); /* 2 opened the streams */
        for (size_t i = 0; i < N; i++) {
                shoal__v1__tablet_reply__init(&replies[i]);
                shoal__v1__shard_reply__init(&pieces[i]);
                refs[i] = &pieces[i];
                snprintf(rows[i], sizeof(rows[i]), "r%zu", i);
                pieces[i].result.data = (uint8_t *)rows[i];
                pieces[i].result.len = strlen(rows[i]);
                pieces[i].end = true;
                replies[i].id = fake.requests[i].m->id;
                replies[i].end = true;
                replies[i].shards = &refs[i];
                replies[i].n_shards = 1;
        }
        for (size_t i = 1; i < N; i++) {
                more[i - 1].data = xmalloc(64);
                more[i - 1].len = shoal__v1__tablet_reply__pack(&replies[i], more[i - 1].data);
        }
        outer = replies[0];
        outer.more = more;
        outer.n_more = N - 1;
        fake_send(fake.requests[0].conn, &outer);
        fake_wait(loop, &calls[N - 1].n_ends, 1);
        for (size_t i = 0; i < N; i++) {
                ck_assert_uint_eq(calls[i].n_ends, 1);
                snprintf(want, sizeof(want), "0:r%zu ", i);
                ck_assert_str_eq(calls[i].rows, want);
                if (i)
                        free(more[i - 1].data);
        }
}
END_TEST

/* Before the streams are there, requests wait, and go out in the order in which they came. */
START_TEST(waits_for_the_connection)
{
        static struct seen s[10];

        tablets_put(tablets, "t", fake.address);
        for (size_t i = 0; i < ARRAY_LEN(s); i++) {
                struct tablet_execute x = read_one;

                x.max_rows = i + 1;
                execute(&s[i], &x, 1, INT64_MAX);
        }
        fake_wait(loop, &fake.n_requests, ARRAY_LEN(s));
        for (size_t i = 0; i < ARRAY_LEN(s); i++) {
                ck_assert_uint_eq(fake.requests[i].m->execute->max_rows, i + 1);
                fake_reply(&fake.requests[i], 0, "", 0, true, true);
        }
        for (size_t i = 0; i < ARRAY_LEN(s); i++) {
                fake_wait(loop, &s[i].n_ends, 1);
                ck_assert_int_eq(s[i].e.code, ERR_OK);
        }
}
END_TEST

START_TEST(deadline)
{
        struct seen s;
        uint64_t id;

        connect_all();
        execute(&s, &write_one, 1, in_ms(30));
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_int_eq(s.e.code, ERR_DEADLINE);
        fake_wait(loop, &fake.n_cancels, 1);
        id = fake.requests[0].m->id;
        ck_assert_uint_eq(fake.last_cancelled, id);
        /* The answer that comes all the same meets nobody, not even the next call in its place. */
        execute(&s, &read_one, 1, INT64_MAX);
        fake_wait(loop, &fake.n_requests, 2);
        fake_reply(&fake.requests[0], 0, "late", 4, true, true);
        fake_reply(&fake.requests[1], 0, "right", 5, true, true);
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_str_eq(s.rows, "0:right ");
}
END_TEST

START_TEST(deadline_before_the_connection)
{
        struct seen s;

        tablets_put(tablets, "t", "127.0.0.1:1");
        execute(&s, &read_one, 1, in_ms(20));
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_int_eq(s.e.code, ERR_DEADLINE);
}
END_TEST

START_TEST(abandoned)
{
        struct seen s, t;

        connect_all();
        execute(&s, &read_one, 1, INT64_MAX);
        execute(&t, &read_one, 2, INT64_MAX);
        t.abandon = true;
        fake_wait(loop, &fake.n_requests, 2);
        tablet_call_abandon(&s.call);
        fake_reply(&fake.requests[0], 0, "x", 1, true, true);
        fake_reply(&fake.requests[1], 0, "x", 1, true, false);
        fake_reply(&fake.requests[1], 1, "y", 1, true, true);
        fake_wait(loop, &fake.n_cancels, 2);
        fake_linger(loop, 20);
        ck_assert_uint_eq(s.n_ends + s.n_replies, 0);
        ck_assert_uint_eq(t.n_replies, 1);
        ck_assert_uint_eq(t.n_ends, 0);
        tablet_call_abandon(&s.call); /* again: nothing */
}
END_TEST

START_TEST(credit_is_passed_on)
{
        struct seen s;

        connect_all();
        execute(&s, &read_one, 1, INT64_MAX);
        tablet_call_credit(&s.call, 5000);
        tablet_call_credit(&s.call, 0);
        fake_wait(loop, &fake.n_credits, 1);
        ck_assert_uint_eq(fake.credited_bytes, 5000);
        fake_wait(loop, &fake.n_requests, 1);
        fake_reply(&fake.requests[0], 0, "", 0, true, true);
        fake_wait(loop, &s.n_ends, 1);
        tablet_call_credit(&s.call, 5000); /* too late: nothing */
        fake_linger(loop, 5);
        ck_assert_uint_eq(fake.n_credits, 1);
}
END_TEST

static void break_all(void)
{
        for (struct fake_conn *c = fake.conns; c; c = c->next)
                fake_break(c);
}

/* A read may be repeated; of a write nobody knows. */
START_TEST(stream_breaks)
{
        struct seen r, w, again;

        connect_all();
        execute(&r, &read_one, 1, INT64_MAX);
        execute(&w, &write_one, 1, INT64_MAX);
        fake_wait(loop, &fake.n_requests, 2);
        break_all();
        fake_wait(loop, &r.n_ends, 1);
        fake_wait(loop, &w.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_UNAVAILABLE);
        ck_assert_str_eq(r.e.reason, "TABLET_AWAY");
        ck_assert_int_eq(w.e.code, ERR_UNKNOWN);
        ck_assert_str_eq(w.e.reason, "OUTCOME_UNKNOWN");
        /* It comes back by itself. */
        execute(&again, &write_one, 1, INT64_MAX);
        fake_wait(loop, &fake.n_requests, 3);
        fake_reply(&fake.requests[2], 0, "", 0, true, true);
        fake_wait(loop, &again.n_ends, 1);
        ck_assert_int_eq(again.e.code, ERR_OK);
}
END_TEST

/* A write that still waits has certainly not been done. */
START_TEST(nobody_there)
{
        struct seen s, t;

        tablets_free(tablets);
        make_tablets(50, 100);
        tablets_put(tablets, "t", "127.0.0.1:1");
        execute(&s, &write_one, 1, INT64_MAX);
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_int_eq(s.e.code, ERR_UNAVAILABLE);
        ck_assert_str_eq(s.e.reason, "TABLET_AWAY");
        /* Away for longer than is waited: told at once. */
        execute(&t, &read_one, 1, INT64_MAX);
        ck_assert_uint_eq(t.n_ends, 0);
        fake_wait(loop, &t.n_ends, 1);
        ck_assert_int_eq(t.e.code, ERR_UNAVAILABLE);
        /* No tablet at all. */
        s = (struct seen){ .call.events = &events };
        tablet_call_execute(&s.call, tablets, NULL, 0, shards, 1, &read_one, INT64_MAX);
        ck_assert_uint_eq(s.n_ends, 0);
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_int_eq(s.e.code, ERR_UNAVAILABLE);
        tablet_call_execute(&s.call, tablets, NULL, 0, shards, 1, &read_one, INT64_MAX);
        tablet_call_abandon(&s.call);
        fake_linger(loop, 5);
        ck_assert_uint_eq(s.n_ends, 1);
}
END_TEST

/* The tablet is started again where it was: requests that wait meanwhile are served. */
START_TEST(restart)
{
        char address[64];
        struct seen s;

        connect_all();
        memcpy(address, fake.address, sizeof(address));
        fake_stop(&fake);
        while (tablets_n_connected(tablets))
                fake_linger(loop, 1);
        execute(&s, &write_one, 1, INT64_MAX);
        fake_start(&fake, loop, address);
        fake_wait(loop, &fake.n_requests, 1);
        fake_reply(&fake.requests[0], 0, "", 0, true, true);
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_int_eq(s.e.code, ERR_OK);
}
END_TEST

START_TEST(moves_and_leaves)
{
        static struct fake other;
        struct seen r, w, moved, left;

        memset(&other, 0, sizeof(other));
        fake_start(&other, loop, NULL);
        connect_all();
        execute(&r, &read_one, 1, INT64_MAX);
        fake_wait(loop, &fake.n_requests, 1);
        tablets_put(tablets, "t", fake.address); /* no change */
        ck_assert_uint_eq(r.n_ends, 0);
        tablets_put(tablets, "t", other.address);
        ck_assert_uint_eq(r.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_UNAVAILABLE);
        execute(&moved, &read_one, 1, INT64_MAX);
        fake_wait(loop, &other.n_requests, 1);
        fake_reply(&other.requests[0], 0, "", 0, true, true);
        fake_wait(loop, &moved.n_ends, 1);
        ck_assert_int_eq(moved.e.code, ERR_OK);
        execute(&w, &write_one, 1, INT64_MAX);
        fake_wait(loop, &other.n_requests, 2);
        tablets_set(tablets, NULL, 0);
        ck_assert_uint_eq(w.n_ends, 1);
        ck_assert_int_eq(w.e.code, ERR_UNKNOWN);
        ck_assert_ptr_null(tablets_find(tablets, "t"));
        tablets_put(tablets, "t", "127.0.0.1:1");
        execute(&left, &write_one, 1, INT64_MAX);
        tablets_drop(tablets, "t");
        ck_assert_uint_eq(left.n_ends, 1);
        ck_assert_int_eq(left.e.code, ERR_UNAVAILABLE);
        fake_stop(&other);
}
END_TEST

/* More than it may have under way. */
START_TEST(too_many)
{
        enum { LIMIT = 128 }; /* slots come in powers of two */
        static struct seen s[LIMIT + 1];

        connect_all();
        for (size_t i = 0; i < ARRAY_LEN(s); i++)
                execute(&s[i], &read_one, 1, INT64_MAX);
        fake_wait(loop, &s[LIMIT].n_ends, 1);
        ck_assert_int_eq(s[LIMIT].e.code, ERR_EXHAUSTED);
        ck_assert_str_eq(s[LIMIT].e.reason, "TOO_MANY_REQUESTS");
        fake_wait(loop, &fake.n_requests, LIMIT);
        for (size_t i = 0; i < LIMIT; i++)
                fake_reply(&fake.requests[i], 0, "", 0, true, true);
        for (size_t i = 0; i < LIMIT; i++)
                fake_wait(loop, &s[i].n_ends, 1);
        execute(&s[LIMIT], &read_one, 1, INT64_MAX);
        fake_wait(loop, &fake.n_requests, LIMIT + 1);
        fake_reply(&fake.requests[LIMIT], 0, "", 0, true, true);
        fake_wait(loop, &s[LIMIT].n_ends, 1);
        ck_assert_int_eq(s[LIMIT].e.code, ERR_OK);
}
END_TEST

/* A tablet that makes no sense is not believed. */
START_TEST(senseless_replies)
{
        Shoal__V1__TabletReply m = SHOAL__V1__TABLET_REPLY__INIT;
        struct seen r, w, early;

        connect_all();
        execute(&r, &read_one, 1, INT64_MAX);
        execute(&w, &write_one, 1, INT64_MAX);
        execute(&early, &read_one, 2, INT64_MAX);
        fake_wait(loop, &fake.n_requests, 3);
        fake_reply(&fake.requests[0], 7, "", 0, true, true);
        fake_reply(&fake.requests[1], 7, "", 0, true, true);
        fake_reply(&fake.requests[2], 0, "", 0, true, true); /* and the other shard? */
        m.id = 12345;
        fake_send(fake.requests[0].conn, &m); /* of no request */
        fake_wait(loop, &r.n_ends, 1);
        fake_wait(loop, &w.n_ends, 1);
        fake_wait(loop, &early.n_ends, 1);
        ck_assert_int_eq(r.e.code, ERR_INTERNAL);
        ck_assert_int_eq(w.e.code, ERR_UNKNOWN);
        ck_assert_int_eq(early.e.code, ERR_INTERNAL);
}
END_TEST

/* A shard that lies about the time does not move our clock. */
START_TEST(foreign_clock)
{
        Shoal__V1__TabletReply m = SHOAL__V1__TABLET_REPLY__INIT;
        uint64_t ahead = hlc_from_us(wall_us() + 500000);
        struct seen s;

        connect_all();
        execute(&s, &read_one, 1, INT64_MAX);
        fake_wait(loop, &fake.n_requests, 1);
        m.hlc = ahead;
        fake_send(fake.requests[0].conn, &m);
        m.hlc = hlc_from_us(wall_us() + 3600 * 1000000LL);
        fake_send(fake.requests[0].conn, &m);
        fake_reply(&fake.requests[0], 0, "", 0, true, true);
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_uint_ge(hlc_now(&hlc), ahead);
        ck_assert_uint_lt(hlc_now(&hlc), hlc_from_us(wall_us() + 1000 * 1000000LL));
}
END_TEST

START_TEST(schema_change)
{
        const struct tablet_change_schema x = { .version = 2, .sql = "s" };
        struct seen s = { .call.events = &events };

        connect_all();
        tablet_call_change_schema(&s.call, tablets, tablets_find(tablets, "t"), shards, 2, &x,
                                  in_ms(60000));
        fake_wait(loop, &fake.n_requests, 1);
        ck_assert_uint_eq(fake.requests[0].m->change_schema->n_shards, 2);
        fake_reply(&fake.requests[0], 0, "", 0, true, false);
        fake_fail(&fake.requests[0], 1, ERR_PRECONDITION, "NO", true);
        fake_wait(loop, &s.n_ends, 1);
        ck_assert_uint_eq(s.n_replies, 2);
        ck_assert_int_eq(s.e.code, ERR_OK);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/tablet_client");
        TCase *t = tcase_create("tablet_client");

        tcase_set_timeout(t, 30);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, answers_in_any_order);
        tcase_add_test(t, several_in_one_message);
        tcase_add_test(t, waits_for_the_connection);
        tcase_add_test(t, deadline);
        tcase_add_test(t, deadline_before_the_connection);
        tcase_add_test(t, abandoned);
        tcase_add_test(t, credit_is_passed_on);
        tcase_add_test(t, stream_breaks);
        tcase_add_test(t, nobody_there);
        tcase_add_test(t, restart);
        tcase_add_test(t, moves_and_leaves);
        tcase_add_test(t, too_many);
        tcase_add_test(t, senseless_replies);
        tcase_add_test(t, foreign_clock);
        tcase_add_test(t, schema_change);
        suite_add_tcase(s, t);
        return unit_run(s);
}
