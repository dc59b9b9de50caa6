/* test_pins.c - snapshots that requests of a stream share: opened, joined, replaced, released,
 * limited, and gone with the stream or their deadline. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/tablet/fixture.h"
#include "tests/unit/tablet/world.h"
#include "tests/unit/unit.h"

#define COUNT_ROWS "SELECT count(*) FROM t"
#define ENDLESS "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) "

enum { MAX_PINS = 4 };

static struct world w;
static struct line *l;

static void set_up(void)
{
        world_init(&w);
        w.so.max_pins = MAX_PINS;
        w.eo.floor_block_ms = 50;
        world_open(&w);
        l = line_open(&w);
}

static void tear_down(void)
{
        l = line_close(l);
        world_done(&w);
}

static bool is_over;

static void on_time(struct loop_timer *timer)
{
        (void)timer;
        is_over = true;
}

/* Runs the loop for a while. */
static void turn(int ms)
{
        struct loop_timer timer = { .fn = on_time };

        is_over = false;
        loop_timer_set(w.loop, &timer, mono_us() + ms * 1000);
        loop_run_until(w.loop, &is_over);
}

static void insert(void)
{
        ck_assert_ptr_nonnull(
            strstr(line_ask(l, 2, true, "INSERT INTO t(v) VALUES ('x')"), "changes=1"));
}

/* A read of both shards that names a pin. */
static const char *read_pinned(struct line *line, uint64_t pin, uint32_t round, const char *sql,
                               struct answer *ret)
{
        struct ask a;

        ask_init(&a, 2, sql);
        a.x.pin = pin;
        a.x.pin_round = round;
        a.x.read_ts = hlc_now(&w.hlc);
        line_wait(line, line_send(line, &a.m), ret);
        return ret->text;
}

static void release(struct line *line, uint64_t pin)
{
        Shoal__V1__TabletRequest m = SHOAL__V1__TABLET_REQUEST__INIT;
        Shoal__V1__Release r = SHOAL__V1__RELEASE__INIT;

        r.pin = pin;
        m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_RELEASE;
        m.release = &r;
        line_send(line, &m);
}

START_TEST(requests_share_a_snapshot)
{
        struct answer first, later;

        insert();
        ck_assert_str_eq(read_pinned(l, 7, 0, COUNT_ROWS, &first), "1;/1;/");
        insert();
        ck_assert_str_eq(read_pinned(l, 7, 0, COUNT_ROWS, &later), "1;/1;/");
        ck_assert_uint_eq(later.cut_c, first.cut_c);
        ck_assert_uint_eq(later.cut_e, first.cut_e);
        ck_assert_str_eq(read_pinned(l, 7, 0, "SELECT id FROM t", &later), "1;/1;/");
        ck_assert_str_eq(read_pinned(l, 8, 0, COUNT_ROWS, &later), "2;/2;/");
        ck_assert_uint_gt(later.cut_c, first.cut_e);
        release(l, 7);
        ck_assert_str_eq(read_pinned(l, 7, 0, COUNT_ROWS, &later), "2;/2;/");
}
END_TEST

START_TEST(a_pin_alone)
{
        struct answer first, later;

        insert();
        ck_assert_str_eq(read_pinned(l, 7, 0, "", &first), "//");
        ck_assert_uint_gt(first.cut_c, 0);
        insert();
        ck_assert_str_eq(read_pinned(l, 7, 0, COUNT_ROWS, &later), "1;/1;/");
        ck_assert_uint_eq(later.cut_c, first.cut_c);
}
END_TEST

START_TEST(pinned_again)
{
        struct answer first, later;

        insert();
        read_pinned(l, 7, 0, COUNT_ROWS, &first);
        insert();
        ck_assert_str_eq(read_pinned(l, 7, 1, COUNT_ROWS, &later), "2;/2;/");
        ck_assert_uint_gt(later.cut_c, first.cut_e);
        ck_assert_str_eq(read_pinned(l, 7, 0, COUNT_ROWS, &later),
                         "CANCELLED CANCELLED/CANCELLED CANCELLED/");
        insert();
        ck_assert_str_eq(read_pinned(l, 7, 1, COUNT_ROWS, &later), "2;/2;/");
}
END_TEST

/* What a later round asks for is reached, whatever is durable yet. */
START_TEST(a_later_round_reaches_its_time)
{
        struct answer answer;
        struct ask a;

        insert();
        for (uint32_t round = 0; round < 2; round++) {
                ask_init(&a, 2, COUNT_ROWS);
                a.x.pin_round = round;
                a.x.read_ts = hlc_now(&w.hlc) + hlc_from_us(400 * 1000);
                line_wait(l, line_send(l, &a.m), &answer);
                ck_assert_str_eq(answer.text, "1;/1;/");
                if (round)
                        ck_assert_uint_ge(answer.cut_e, a.x.read_ts);
                else
                        ck_assert_uint_lt(answer.cut_e, a.x.read_ts);
        }
}
END_TEST

/* The pin is told of before there are rows, so that a long read need not end first. */
START_TEST(the_pin_comes_first)
{
        const Shoal__V1__ShardReply *piece;
        struct answer answer;
        struct ask a;
        uint64_t id;

        ask_init(&a, 2, ENDLESS "SELECT x FROM r");
        a.x.read_ts = hlc_now(&w.hlc);
        a.x.window_bytes = a.x.chunk_bytes = 1000;
        id = line_send(l, &a.m);
        while (l->n_replies < 1 || !line_bytes(l, id))
                turn(10);
        ck_assert_uint_eq(l->replies[0]->n_shards, 2);
        for (size_t i = 0; i < 2; i++) {
                piece = l->replies[0]->shards[i];
                ck_assert(piece->pinned && !piece->end && !piece->result.len);
        }
        line_cancel(l, id);
        line_wait(l, id, &answer);
}
END_TEST

/* Reads of one pin take turns on its connection, each at its own pace. */
START_TEST(two_slow_reads_of_a_pin)
{
        uint64_t ids[2];
        struct answer answer;
        struct ask a;

        ck_assert_ptr_nonnull(strstr(
            line_ask(l, 2, true,
                     "INSERT INTO t WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r "
                     "LIMIT 500) SELECT x, 'row ' || x FROM r"),
            "changes=500"));
        for (size_t i = 0; i < 2; i++) {
                ask_init(&a, 2, "SELECT id, v FROM t");
                a.x.pin = 7;
                a.x.window_bytes = 2000;
                a.x.chunk_bytes = 500;
                ids[i] = line_send(l, &a.m);
        }
        while (!line_bytes(l, ids[0])) /* then the pin is open on both shards */
                turn(10);
        ck_assert_ptr_nonnull(strstr(line_ask(l, 2, true, "DELETE FROM t"), "changes=500"));
        while (!line_has_end(l, ids[0]) || !line_has_end(l, ids[1])) {
                for (size_t i = 0; i < 2; i++)
                        line_credit(l, ids[i], 1000);
                turn(10);
        }
        for (size_t i = 0; i < 2; i++) {
                line_wait(l, ids[i], &answer);
                ck_assert_uint_eq(answer.n_rows, 500);
        }
        ck_assert_str_eq(read_pinned(l, 7, 0, COUNT_ROWS, &answer), "500;/500;/");
}
END_TEST

START_TEST(there_is_a_limit)
{
        struct line *other = line_open(&w);
        struct answer answer;

        /* Four, of two shards each. */
        ck_assert_str_eq(read_pinned(l, 1, 0, COUNT_ROWS, &answer), "0;/0;/");
        ck_assert_str_eq(read_pinned(other, 1, 0, COUNT_ROWS, &answer), "0;/0;/");
        ck_assert_str_eq(read_pinned(l, 2, 0, COUNT_ROWS, &answer),
                         "UNAVAILABLE TOO_MANY_PINS/UNAVAILABLE TOO_MANY_PINS/");
        ck_assert_str_eq(read_pinned(l, 0, 0, COUNT_ROWS, &answer),
                         "UNAVAILABLE TOO_MANY_PINS/UNAVAILABLE TOO_MANY_PINS/");
        /* What is open is used, and other reads go on. */
        ck_assert_str_eq(read_pinned(l, 1, 0, COUNT_ROWS, &answer), "0;/0;/");
        ck_assert_str_eq(line_ask(l, 2, false, COUNT_ROWS), "0;/0;/");
        release(l, 1);
        for (int i = 0; i < 3; i++) /* those without a name go with their request */
                ck_assert_str_eq(read_pinned(l, 0, 0, COUNT_ROWS, &answer), "0;/0;/");
        ck_assert_str_eq(read_pinned(l, 3, 0, COUNT_ROWS, &answer), "0;/0;/");
        line_close(other);
        ck_assert_str_eq(read_pinned(l, 4, 0, COUNT_ROWS, &answer), "0;/0;/");
}
END_TEST

START_TEST(a_deadline_ends_pins)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 2, COUNT_ROWS);
        a.x.pin = 1;
        a.m.timeout_us = 300 * 1000;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "0;/0;/");
        ck_assert_str_eq(read_pinned(l, 2, 0, COUNT_ROWS, &answer), "0;/0;/");
        do
                read_pinned(l, 3, 0, COUNT_ROWS, &answer);
        while (strstr(answer.text, "TOO_MANY_PINS"));
        ck_assert_str_eq(answer.text, "0;/0;/");
}
END_TEST

static const struct {
        const char *label;
        uint64_t pin;
} kinds[] = { { "named", 5 }, { "without a name", 0 } };

START_TEST(one_shard_is_cancelled)
{
        Shoal__V1__TabletRequest m = SHOAL__V1__TABLET_REQUEST__INIT;
        Shoal__V1__Cancel cancel = SHOAL__V1__CANCEL__INIT;
        uint32_t second[] = { 1, 9 };
        struct answer answer;
        struct ask a;
        uint64_t id;

        ask_init(&a, 2, ENDLESS "SELECT x FROM r LIMIT 2000");
        a.x.pin = kinds[_i].pin;
        a.x.read_ts = hlc_now(&w.hlc);
        a.x.window_bytes = a.x.chunk_bytes = 500;
        id = line_send(l, &a.m);
        while (!line_bytes(l, id))
                turn(10);
        cancel.n_shards = 2;
        cancel.shards = second;
        m.id = id;
        m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CANCEL;
        m.cancel = &cancel;
        line_send(l, &m);
        while (!line_has_end(l, id)) {
                line_credit(l, id, 500);
                turn(10);
        }
        line_wait(l, id, &answer);
        ck_assert_msg(strstr(answer.text, "/CANCELLED CANCELLED/"), "%s: %s", kinds[_i].label,
                      answer.text);
        ck_assert_uint_eq(answer.n_rows, 2000);
}
END_TEST

/* With pins being opened, and reads on them. */
START_TEST(a_stream_breaks)
{
        struct answer answer;
        struct ask a;

        for (int i = 0; i < 20; i++) {
                struct line *other = line_open(&w);

                for (int k = 0; k < 2; k++) {
                        ask_init(&a, 2, k ? ENDLESS "SELECT count(*) FROM r" : COUNT_ROWS);
                        a.x.pin = 1;
                        a.x.pin_round = 1;
                        a.x.read_ts = hlc_now(&w.hlc) + (uint64_t)i;
                        line_send(other, &a.m);
                }
                for (int k = 0; k < i % 4; k++)
                        turn(1);
                line_close(other);
        }
        do
                read_pinned(l, 0, 0, COUNT_ROWS, &answer);
        while (strstr(answer.text, "TOO_MANY_PINS"));
        ck_assert_str_eq(answer.text, "0;/0;/");
}
END_TEST

START_TEST(writes_have_no_pins)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 1, "DELETE FROM t");
        a.x.write = true;
        a.x.pin = 1;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "INVALID_ARGUMENT BAD_REQUEST//");
}
END_TEST

START_TEST(another_schema)
{
        struct answer answer;
        struct ask a;

        ask_init(&a, 2, COUNT_ROWS);
        a.x.pin = 1;
        a.x.schema_version = 9;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "ABORTED SCHEMA_CHANGED/ABORTED SCHEMA_CHANGED/");
        ck_assert_str_eq(read_pinned(l, 1, 0, COUNT_ROWS, &answer), "0;/0;/");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("pins");
        TCase *t = tcase_create("pins");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_test(t, requests_share_a_snapshot);
        tcase_add_test(t, a_pin_alone);
        tcase_add_test(t, pinned_again);
        tcase_add_test(t, a_later_round_reaches_its_time);
        tcase_add_test(t, the_pin_comes_first);
        tcase_add_test(t, two_slow_reads_of_a_pin);
        tcase_add_test(t, there_is_a_limit);
        tcase_add_test(t, a_deadline_ends_pins);
        tcase_add_loop_test(t, one_shard_is_cancelled, 0, ARRAY_LEN(kinds));
        tcase_add_test(t, a_stream_breaks);
        tcase_add_test(t, writes_have_no_pins);
        tcase_add_test(t, another_schema);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
