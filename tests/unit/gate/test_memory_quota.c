#include "gate/memory_quota.h"

#include <check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/unit.h"

enum { LARGEST = 6000 };

/* All sizes, all at once, twice: none overlaps another, whether new or kept from the first time. */
static void fill_all(void)
{
        static _Thread_local unsigned char *blocks[LARGEST + 1];

        for (int round = 0; round < 2; round++) {
                for (int n = 1; n <= LARGEST; n++) {
                        blocks[n] = sqlite3_malloc(n);
                        ck_assert_ptr_nonnull(blocks[n]);
                        memset(blocks[n], n & 0xff, (size_t)n);
                }
                for (int n = 1; n <= LARGEST; n++) {
                        for (int i = 0; i < n; i++)
                                if (blocks[n][i] != (n & 0xff))
                                        ck_abort_msg("byte %d of %d, round %d", i, n, round);
                        sqlite3_free(blocks[n]);
                }
        }
}

START_TEST(blocks_do_not_overlap)
{
        fill_all();
}
END_TEST

static void *fill_on_thread(void *arg)
{
        fill_all();
        return arg;
}

/* What a thread has kept goes with it: LeakSanitizer looks. */
START_TEST(threads_keep_their_own)
{
        pthread_t threads[4];

        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, fill_on_thread, NULL), 0);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}
END_TEST

START_TEST(blocks_are_used_again)
{
        void *first = sqlite3_malloc(100), *second;

        sqlite3_free(first);
        second = sqlite3_malloc(97);
        ck_assert_ptr_eq(second, first);
        sqlite3_free(second);
}
END_TEST

START_TEST(what_grows_keeps_its_bytes)
{
        unsigned char *p = NULL;
        int n_before = 0;

        for (int n = 1; n < 100000; n = n * 3 / 2 + 1) {
                p = sqlite3_realloc(p, n);
                ck_assert_ptr_nonnull(p);
                for (int i = 0; i < n_before; i++)
                        ck_assert_int_eq(p[i], i & 0xff);
                for (int i = 0; i < n; i++)
                        p[i] = (unsigned char)i;
                n_before = n;
        }
        sqlite3_free(p);
}
END_TEST

/* Blocks to spare are no way around a quota. */
START_TEST(a_quota_counts_every_block)
{
        struct memory_quota q = { .max_bytes = 1000 };
        void *p;

        sqlite3_free(sqlite3_malloc(2000));
        memory_quota_use(&q);
        ck_assert_ptr_null(sqlite3_malloc(2000));
        ck_assert(q.exceeded);
        p = sqlite3_malloc(500);
        ck_assert_ptr_nonnull(p);
        ck_assert_int_ge(q.used_bytes, 500);
        ck_assert_ptr_null(sqlite3_malloc(600));
        sqlite3_free(p);
        ck_assert_int_eq(q.used_bytes, 0);
        ck_assert_int_ge(q.peak_bytes, 500);
        memory_quota_use(NULL);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/memory_quota");
        TCase *t = tcase_create("memory_quota");

        tcase_add_test(t, blocks_do_not_overlap);
        tcase_add_test(t, threads_keep_their_own);
        tcase_add_test(t, blocks_are_used_again);
        tcase_add_test(t, what_grows_keeps_its_bytes);
        tcase_add_test(t, a_quota_counts_every_block);
        suite_add_tcase(s, t);
        return unit_run(s);
}
