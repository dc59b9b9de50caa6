/* test_hlc.c - timestamps rise, whatever the wall clock and the peers do. */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/hlc.h"
#include "tests/unit/unit.h"

#define T0 INT64_C(1700000000000000)

static _Atomic int64_t now;

static int64_t fake_now(void)
{
        return now;
}

static struct hlc new_clock(void)
{
        struct hlc h;

        now = T0;
        hlc_init(&h, fake_now, 1000);
        return h;
}

START_TEST(follows_the_wall_clock)
{
        struct hlc h = new_clock();

        ck_assert_uint_eq(hlc_tick(&h), hlc_from_us(T0));
        ck_assert_uint_eq(hlc_tick(&h), hlc_from_us(T0) + 1);
        now = T0 + 5;
        ck_assert_uint_eq(hlc_now(&h), hlc_from_us(T0 + 5));
        ck_assert_uint_eq(hlc_tick(&h), hlc_from_us(T0 + 5));
        ck_assert_int_eq(hlc_to_us(hlc_tick(&h)), T0 + 5);
}
END_TEST

START_TEST(never_goes_back)
{
        struct hlc h = new_clock();
        uint64_t last = hlc_tick(&h);

        now = T0 - 1000000;
        for (int i = 0; i < 3000; i++) { /* more than the counter holds: it carries */
                uint64_t ts = hlc_tick(&h);

                if (ts <= last)
                        ck_abort_msg("tick %d went back", i);
                last = ts;
        }
        ck_assert_uint_eq(hlc_now(&h), last);
        ck_assert_int_eq(hlc_to_us(last), T0 + 2);
        now = -5;
        ck_assert_uint_gt(hlc_tick(&h), last);
}
END_TEST

static const struct {
        const char *label;
        int64_t ahead_us;
        enum err_code want;
} peers[] = {
        { "long ago", -1000000, ERR_OK },
        { "now", 0, ERR_OK },
        { "a little ahead", 1, ERR_OK },
        { "as far ahead as it may be", 1000, ERR_OK },
        { "too far ahead", 1001, ERR_OUT_OF_RANGE },
        { "absurd", INT64_C(1) << 52, ERR_OUT_OF_RANGE },
};

START_TEST(peer_case)
{
        struct hlc h = new_clock();
        uint64_t before = hlc_tick(&h), ts = hlc_from_us(T0 + peers[_i].ahead_us) + 3;
        struct err e = ERR_INIT;

        ck_assert_msg(hlc_observe(&h, ts, &e) == peers[_i].want, "%s: %s", peers[_i].label, e.msg);
        if (peers[_i].want) {
                ck_assert_str_eq(e.reason, "CLOCK_SKEW");
                ck_assert_uint_eq(hlc_now(&h), before);
                return;
        }
        ck_assert_uint_gt(hlc_tick(&h), ts > before ? ts : before);
}
END_TEST

START_TEST(none_is_ignored)
{
        struct hlc h = new_clock();

        ck_assert_int_eq(hlc_observe(&h, 0, NULL), ERR_OK);
        ck_assert_uint_eq(h.last, 0);
        ck_assert_int_eq(hlc_observe(&h, UINT64_MAX, NULL), ERR_OUT_OF_RANGE);
}
END_TEST

enum { N_THREADS = 4, N_TICKS = 20000 };

static struct hlc shared;
static uint64_t ticks[N_THREADS][N_TICKS];

static void *tick(void *arg)
{
        uint64_t *mine = arg;

        for (int i = 0; i < N_TICKS; i++) {
                if (i % 16 == 0)
                        now++;
                mine[i] = hlc_tick(&shared);
                if (hlc_observe(&shared, mine[i], NULL))
                        abort();
        }
        return NULL;
}

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

START_TEST(threads_get_different_ones)
{
        const uint64_t *all = &ticks[0][0];
        pthread_t threads[N_THREADS];

        now = T0;
        hlc_init(&shared, fake_now, 1000000);
        for (int i = 0; i < N_THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, tick, ticks[i]), 0);
        for (int i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        for (int i = 0; i < N_THREADS; i++) {
                for (int j = 1; j < N_TICKS; j++) {
                        if (ticks[i][j] <= ticks[i][j - 1])
                                ck_abort_msg("thread %d went back", i);
                }
        }
        qsort(ticks, N_THREADS * N_TICKS, sizeof ticks[0][0], compare);
        for (int i = 1; i < N_THREADS * N_TICKS; i++) {
                if (all[i] == all[i - 1])
                        ck_abort_msg("given out twice");
        }
}
END_TEST

static Suite *hlc_suite(void)
{
        Suite *s = suite_create("hlc");
        TCase *t = tcase_create("hlc");

        tcase_set_timeout(t, 30);
        tcase_add_test(t, follows_the_wall_clock);
        tcase_add_test(t, never_goes_back);
        tcase_add_loop_test(t, peer_case, 0, ARRAY_LEN(peers));
        tcase_add_test(t, none_is_ignored);
        tcase_add_test(t, threads_get_different_ones);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(hlc_suite());
}
