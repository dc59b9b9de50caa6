/* test_arena.c - memory in pieces, its limit, and running out of it at every possible moment; bufs
 * likewise. */
#include <check.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "tests/unit/unit.h"

START_TEST(pieces_are_apart)
{
        cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        unsigned char *pieces[300];

        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
                pieces[i] = arena_alloc(a, i);
                ck_assert_ptr_nonnull(pieces[i]);
                ck_assert_uint_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
                memset(pieces[i], (int)i, i);
        }
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
                for (size_t j = 0; j < i; j++) {
                        if (pieces[i][j] != (unsigned char)i)
                                ck_abort_msg("piece %zu was overwritten", i);
                }
        }
        ck_assert(!arena_is_exhausted(a));
}
END_TEST

START_TEST(copies)
{
        cleanup_(arena_freep) struct arena *a = arena_new(1 << 16);
        int *zeros = arena_calloc(a, 10, sizeof *zeros);
        char longer[5000];

        for (int i = 0; i < 10; i++)
                ck_assert_int_eq(zeros[i], 0);
        ck_assert_str_eq(arena_strdup(a, "shoal"), "shoal");
        ck_assert_str_eq(arena_strdup(a, ""), "");
        ck_assert_str_eq(arena_strndup(a, "shoal", 2), "sh");
        ck_assert_mem_eq(arena_memdup(a, "a\0b", 3), "a\0b", 3);
        ck_assert_str_eq(arena_printf(a, "%s-%d", "x", 7), "x-7");
        ck_assert_str_eq(arena_numbered(a, "x", 0), "x0");
        ck_assert_str_eq(arena_numbered(a, "", UINT64_MAX), "18446744073709551615");
        memset(longer, 'y', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        ck_assert_str_eq(arena_printf(a, "%s", longer), longer);
}
END_TEST

START_TEST(rooms)
{
        enum { N = 1000 };
        cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        uint32_t n_allocated = 0;
        int *items = NULL;

        for (int i = 0; i < N; i++) {
                ck_assert(arena_room(a, items, (size_t)i, n_allocated));
                ck_assert_uint_gt(n_allocated, (unsigned)i);
                for (uint32_t k = (uint32_t)i; k < n_allocated; k++)
                        ck_assert_int_eq(items[k], 0);
                items[i] = i + 1;
        }
        for (int i = 0; i < N; i++)
                ck_assert_int_eq(items[i], i + 1);
}
END_TEST

/* One item more than there is room for. */
START_TEST(room_that_is_refused)
{
        cleanup_(arena_freep) struct arena *a = arena_new(4096);
        uint32_t n_allocated = 0;
        uint64_t *items = NULL, *before;
        size_t n = 0;

        for (; arena_room(a, items, n, n_allocated); n++)
                items[n] = n;
        before = items;
        ck_assert(arena_is_exhausted(a));
        ck_assert_uint_eq(n, n_allocated);
        ck_assert_uint_gt(n, 100);
        ck_assert(!arena_room(a, items, n, n_allocated));
        ck_assert_ptr_eq(items, before);
        for (size_t i = 0; i < n; i++)
                ck_assert_uint_eq(items[i], i);
}
END_TEST

START_TEST(room_that_cannot_be_counted)
{
        cleanup_(arena_freep) struct arena *a = arena_new(4096);
        uint32_t n_allocated = UINT32_MAX / 2 + 1;
        char *items = NULL;

        ck_assert(!arena_room(a, items, n_allocated, n_allocated));
        ck_assert(arena_is_exhausted(a));
        ck_assert_uint_eq(n_allocated, UINT32_MAX / 2 + 1);
        ck_assert_ptr_null(items);
}
END_TEST

/* A statement's worth of allocations; false if one of them was refused. */
static bool build(struct arena *a)
{
        struct node {
                struct node *next;
                char *name;
        } *list = NULL;

        for (int i = 0; i < 200; i++) {
                struct node *n = arena_calloc(a, 1, sizeof *n);

                if (!n)
                        return false;
                n->name = arena_printf(a, "node %d", i);
                if (!n->name)
                        return false;
                n->next = list;
                list = n;
        }
        return arena_memdup(a, list->name, 9) && arena_strdup(a, list->name);
}

/* With a limit that rises from nothing the building fails cleanly, then for ever succeeds. */
START_TEST(out_of_memory_everywhere)
{
        size_t max_bytes = 0;
        bool built = false;

        for (; !built; max_bytes += 16) {
                cleanup_(arena_freep) struct arena *a = arena_new(max_bytes);

                built = build(a);
                if (arena_bytes(a) > max_bytes)
                        ck_abort_msg("%zu bytes of %zu", arena_bytes(a), max_bytes);
                if (arena_is_exhausted(a) == built)
                        ck_abort_msg("limit %zu: exhausted and built do not agree", max_bytes);
                /* once refused, always refused */
                if (!built && arena_alloc(a, 1))
                        ck_abort_msg("limit %zu: gives again", max_bytes);
                ck_assert_uint_lt(max_bytes, 1 << 20);
        }
        ck_assert_uint_gt(max_bytes, 200 * 32);
}
END_TEST

START_TEST(limit_is_exact)
{
        cleanup_(arena_freep) struct arena *probe = arena_new(SIZE_MAX);
        cleanup_(arena_freep) struct arena *fits = NULL;
        cleanup_(arena_freep) struct arena *lacks_one = NULL;

        ck_assert_ptr_nonnull(arena_alloc(probe, 100000));
        fits = arena_new(arena_bytes(probe));
        lacks_one = arena_new(arena_bytes(probe) - 1);
        ck_assert_ptr_nonnull(arena_alloc(fits, 100000));
        ck_assert_ptr_null(arena_alloc(lacks_one, 100000));
        ck_assert(arena_is_exhausted(lacks_one));
        ck_assert_uint_eq(arena_bytes(lacks_one), 0);
}
END_TEST

START_TEST(absurd_sizes_are_refused)
{
        for (int i = 0; i < 4; i++) {
                cleanup_(arena_freep) struct arena *a = arena_new(SIZE_MAX);
                void *p = i == 0   ? arena_alloc(a, SIZE_MAX)
                          : i == 1 ? arena_alloc(a, SIZE_MAX - 100)
                          : i == 2 ? arena_calloc(a, SIZE_MAX / 2, 3)
                                   : arena_strndup(a, "x", SIZE_MAX);

                ck_assert_msg(!p, "case %d", i);
                ck_assert_msg(arena_is_exhausted(a), "case %d", i);
        }
}
END_TEST

START_TEST(reset_starts_anew)
{
        enum { MAX = 20000, PIECE = 96 };
        cleanup_(arena_freep) struct arena *a = arena_new(MAX);

        for (int round = 0; round < 50; round++) {
                size_t n = 0;

                while (arena_alloc(a, PIECE))
                        n++;
                ck_assert(arena_is_exhausted(a));
                ck_assert_msg(n * PIECE > MAX / 2, "round %d: only %zu pieces", round, n);
                arena_reset(a);
                ck_assert(!arena_is_exhausted(a));
        }
        ck_assert_ptr_null(arena_free(NULL));
}
END_TEST

/* ---- bufs */

START_TEST(buf_grows)
{
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *s = NULL;

        for (int i = 0; i < 1000; i++)
                buf_add_byte(&b, 'x');
        buf_add_str(&b, "tail");
        buf_add(&b, NULL, 0);
        ck_assert_uint_eq(b.n_bytes, 1004);
        s = buf_take_str(&b);
        ck_assert_uint_eq(strlen(s), 1004);
        ck_assert_str_eq(s + 1000, "tail");
        ck_assert_uint_eq(b.n_bytes, 0);
        ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(buf_prints)
{
        static const int lengths[] = { 0, 1, 255, 256, 257, 1000 };
        cleanup_(freep) char *s = NULL;
        struct buf b = BUF_INIT(0);
        size_t want = 0;

        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
                buf_printf(&b, "<%*s>", lengths[i], "");
                want += (size_t)lengths[i] + 2;
                ck_assert_uint_eq(b.n_bytes, want);
        }
        s = buf_take_str(&b);
        ck_assert_uint_eq(strlen(s), want);
}
END_TEST

START_TEST(buf_adds_numbers)
{
        cleanup_(freep) char *s = NULL;
        struct buf b = BUF_INIT(0);

        buf_add_number(&b, 0);
        buf_add_str(&b, " ");
        buf_add_number(&b, UINT64_MAX);
        s = buf_take_str(&b);
        ck_assert_str_eq(s, "0 18446744073709551615");
}
END_TEST

/* 100 bytes in different ways with every limit: at 100 all fit, below none gets past the limit. */
START_TEST(buf_limit)
{
        static const char bytes[100] = { 'x' };

        for (size_t max = 1; max <= 101; max++) {
                struct buf a = BUF_INIT(max), b = BUF_INIT(max), c = BUF_INIT(max);

                for (int i = 0; i < 100; i++)
                        buf_add_byte(&a, 'x');
                buf_add(&b, bytes, sizeof bytes);
                buf_printf(&c, "%*s", 99, "");
                buf_printf(&c, "%s", "x");
                ck_assert_msg(a.failed == (max < 100) && a.n_bytes <= max, "bytes, limit %zu", max);
                ck_assert_msg(b.failed == (max < 100) && b.n_bytes <= max, "block, limit %zu", max);
                ck_assert_msg(c.failed == (max < 100) && c.n_bytes <= max, "print, limit %zu", max);
                ck_assert_uint_le(a.n_allocated, max);
                if (a.failed) {
                        size_t n = a.n_bytes;

                        buf_add_byte(&a, 'x');
                        ck_assert_uint_eq(a.n_bytes, n);
                        ck_assert_ptr_null(buf_take_str(&a));
                }
                buf_done(&a);
                buf_done(&b);
                buf_done(&c);
        }
}
END_TEST

START_TEST(buf_absurd_size)
{
        struct buf b = BUF_INIT(0);

        buf_add_byte(&b, 'x');
        ck_assert_ptr_null(buf_reserve(&b, SIZE_MAX));
        ck_assert(b.failed);
        buf_done(&b);
        ck_assert(!b.failed);
        buf_add_byte(&b, 'y');
        ck_assert_uint_eq(b.n_bytes, 1);
        buf_done(&b);
}
END_TEST

static Suite *arena_suite(void)
{
        Suite *s = suite_create("arena");
        TCase *t = tcase_create("arena");

        tcase_add_test(t, pieces_are_apart);
        tcase_add_test(t, copies);
        tcase_add_test(t, rooms);
        tcase_add_test(t, room_that_is_refused);
        tcase_add_test(t, room_that_cannot_be_counted);
        tcase_add_test(t, out_of_memory_everywhere);
        tcase_add_test(t, limit_is_exact);
        tcase_add_test(t, absurd_sizes_are_refused);
        tcase_add_test(t, reset_starts_anew);
        tcase_add_test(t, buf_grows);
        tcase_add_test(t, buf_prints);
        tcase_add_test(t, buf_adds_numbers);
        tcase_add_test(t, buf_limit);
        tcase_add_test(t, buf_absurd_size);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(arena_suite());
}
