/* When statistics are out of date. */
#include <check.h>
#include <string.h>

#include "common/util.h"
#include "gate/refresh.h"
#include "tests/unit/unit.h"

enum { INTERVAL = 1000 };

static struct refresh *r;
static double known; /* rows of every table but "gone" */

static void set_up(void)
{
        r = refresh_new(INTERVAL);
        known = -1;
}

static void tear_down(void)
{
        r = refresh_free(r);
}

static double rows(void *arg, uint64_t keyspace_id, const char *table)
{
        (void)arg;
        (void)keyspace_id;
        return strcmp(table, "gone") == 0 ? REFRESH_GONE : known;
}

static struct refresh_choice choose(int64_t now_us)
{
        return refresh_choose(r, now_us, rows, NULL);
}

static void assert_none(int64_t now_us, int64_t again_us)
{
        struct refresh_choice c = choose(now_us);

        ck_assert_ptr_null(c.table);
        ck_assert_int_eq(c.again_us, again_us);
}

static void assert_chosen(int64_t now_us, uint64_t keyspace_id, const char *table)
{
        struct refresh_choice c = choose(now_us);

        ck_assert_ptr_nonnull(c.table);
        ck_assert_str_eq(c.table, table);
        ck_assert_uint_eq(c.keyspace_id, keyspace_id);
}

START_TEST(an_unknown_table_is_due_after_its_first_write)
{
        assert_none(0, INT64_MAX);
        refresh_note(r, 1, "t", 0, 10);
        assert_none(20, INT64_MAX);
        refresh_note(r, 1, "t", 1, 10);
        refresh_note(r, 1, "t", 1, 500);
        assert_none(20, 10 + INTERVAL);
        assert_none(9 + INTERVAL, 10 + INTERVAL);
        assert_chosen(10 + INTERVAL, 1, "t");
        /* One at a time. */
        refresh_note(r, 1, "u", 1, 0);
        assert_none(10 * INTERVAL, INT64_MAX);
        refresh_done(r, true, 10 * INTERVAL);
        assert_chosen(10 * INTERVAL, 1, "u");
        refresh_done(r, true, 10 * INTERVAL);
        assert_none(20 * INTERVAL, INT64_MAX);
}
END_TEST

static const struct {
        const char *label;
        double known;
        uint64_t n_written;
        bool due;
} amounts[] = {
        { "few rows of a small table", 0, 99, false },
        { "enough rows of a small table", 0, 100, true },
        { "less than a tenth of a large one", 10000, 1099, false },
        { "a tenth of a large one", 10000, 1100, true },
        { "anything of an unknown one", -1, 1, true },
};

START_TEST(enough_is_a_tenth_of_the_rows)
{
        known = amounts[_i].known;
        refresh_note(r, 7, "t", amounts[_i].n_written, 0);
        ck_assert_msg((choose(2 * INTERVAL).table != NULL) == amounts[_i].due, "%s",
                      amounts[_i].label);
}
END_TEST

START_TEST(not_sooner_than_an_interval_after_the_last_time)
{
        refresh_note(r, 1, "t", 1, 0);
        assert_chosen(INTERVAL, 1, "t");
        refresh_note(r, 1, "t", 1, INTERVAL + 10); /* while it is being looked at */
        refresh_done(r, true, INTERVAL + 50);
        assert_none(INTERVAL + 60, 2 * INTERVAL + 50);
        assert_chosen(2 * INTERVAL + 50, 1, "t");
        refresh_done(r, true, 3 * INTERVAL);
        assert_none(9 * INTERVAL, INT64_MAX);
}
END_TEST

START_TEST(a_failure_is_tried_again)
{
        known = 0;
        refresh_note(r, 1, "t", 150, 0);
        assert_chosen(INTERVAL, 1, "t");
        refresh_done(r, false, INTERVAL);
        assert_none(INTERVAL, 2 * INTERVAL);
        assert_chosen(2 * INTERVAL, 1, "t");
}
END_TEST

START_TEST(the_longest_waiting_comes_first)
{
        refresh_note(r, 1, "b", 1, 5);
        refresh_note(r, 2, "b", 1, 3);
        refresh_note(r, 1, "a", 1, 4);
        assert_chosen(5 * INTERVAL, 2, "b");
        refresh_done(r, true, 5 * INTERVAL);
        assert_chosen(5 * INTERVAL, 1, "a");
        refresh_done(r, true, 5 * INTERVAL);
        assert_chosen(5 * INTERVAL, 1, "b");
}
END_TEST

START_TEST(tables_that_are_gone_are_forgotten)
{
        refresh_note(r, 1, "gone", 1, 0);
        assert_none(5 * INTERVAL, INT64_MAX);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/refresh");
        TCase *t = tcase_create("refresh");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, an_unknown_table_is_due_after_its_first_write);
        tcase_add_loop_test(t, enough_is_a_tenth_of_the_rows, 0, ARRAY_LEN(amounts));
        tcase_add_test(t, not_sooner_than_an_interval_after_the_last_time);
        tcase_add_test(t, a_failure_is_tried_again);
        tcase_add_test(t, the_longest_waiting_comes_first);
        tcase_add_test(t, tables_that_are_gone_are_forgotten);
        suite_add_tcase(s, t);
        return unit_run(s);
}
