/* test_wire.c - the wire format written and read by hand, and bytes that are no message. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/wire.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static const struct {
        uint64_t v;
        const char *bytes;
        size_t n_bytes;
} varints[] = {
        { 0, "\x00", 1 },
        { 1, "\x01", 1 },
        { 127, "\x7f", 1 },
        { 128, "\x80\x01", 2 },
        { 300, "\xac\x02", 2 },
        { 16383, "\xff\x7f", 2 },
        { 16384, "\x80\x80\x01", 3 },
        { UINT32_MAX, "\xff\xff\xff\xff\x0f", 5 },
        { INT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9 },
        { UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
};

START_TEST(varint_case)
{
        struct buf b = BUF_INIT(0);
        struct wire_reader r;
        struct wire_field f;
        uint64_t v = varints[_i].v;

        ck_assert_uint_eq(wire_varint_size(v), varints[_i].n_bytes);
        wire_add_varint(&b, v);
        ck_assert_uint_eq(b.n_bytes, varints[_i].n_bytes);
        ck_assert_mem_eq(b.data, varints[_i].bytes, b.n_bytes);
        buf_done(&b);

        wire_add_uint(&b, 7, v);
        r = wire_reader(b.data, b.n_bytes);
        ck_assert(wire_next(&r, &f));
        ck_assert_uint_eq(f.number, 7);
        ck_assert_uint_eq(f.type, WIRE_VARINT);
        ck_assert_uint_eq(f.uint, v);
        ck_assert(!wire_next(&r, &f) && !r.failed);
        buf_done(&b);
}
END_TEST

START_TEST(fields_there_and_back)
{
        struct buf b = BUF_INIT(0);
        struct wire_reader r;
        struct wire_field f;

        wire_add_uint_nz(&b, 1, 0); /* not written */
        wire_add_str_nz(&b, 2, "");
        wire_add_str_nz(&b, 2, NULL);
        wire_add_uint_nz(&b, 3, 9);
        wire_add_str(&b, 4, "");
        wire_add_bytes(&b, (1 << 29) - 1, "\0x", 2);
        buf_add(&b, "\x29\1\2\3\4\5\6\7\x08\x2d\1\2\3\4", 14); /* fixed64 and fixed32 of field 5 */

        r = wire_reader(b.data, b.n_bytes);
        ck_assert(wire_next(&r, &f) && f.number == 3 && f.type == WIRE_VARINT && f.uint == 9);
        ck_assert(wire_next(&r, &f) && f.number == 4 && f.type == WIRE_BYTES && f.n_bytes == 0);
        ck_assert(wire_next(&r, &f) && f.number == (1 << 29) - 1 && f.n_bytes == 2);
        ck_assert_mem_eq(f.data, "\0x", 2);
        ck_assert(wire_next(&r, &f) && f.number == 5 && f.type == WIRE_FIXED64);
        ck_assert_uint_eq(f.uint, UINT64_C(0x0807060504030201));
        ck_assert(wire_next(&r, &f) && f.number == 5 && f.type == WIRE_FIXED32);
        ck_assert_uint_eq(f.uint, 0x04030201);
        ck_assert(!wire_next(&r, &f) && !r.failed);
        buf_done(&b);
}
END_TEST

/* ---- sub-messages */

static const size_t lengths[] = { 0, 1, 127, 128, 129, 16383, 16384, 2097151, 2097152 };

START_TEST(begin_end)
{
        size_t n = lengths[_i], at;
        struct buf b = BUF_INIT(0), want = BUF_INIT(0);
        char *bytes = malloc(n + 1);

        memset(bytes, 'a' + _i, n);
        wire_add_uint(&b, 9, 1);
        at = wire_begin(&b, 17);
        buf_add(&b, bytes, n);
        wire_end(&b, at);
        wire_add_uint(&b, 9, 2);

        wire_add_uint(&want, 9, 1);
        wire_add_bytes(&want, 17, bytes, n);
        wire_add_uint(&want, 9, 2);
        ck_assert(!b.failed);
        ck_assert_uint_eq(b.n_bytes, want.n_bytes);
        ck_assert_mem_eq(b.data, want.data, b.n_bytes);
        buf_done(&b);
        buf_done(&want);
        free(bytes);
}
END_TEST

/* With any limit below what is needed the buf fails and stays within it; with enough it does not.
 */
START_TEST(begin_end_within_limits)
{
        enum { N = 300, NEEDED = N + 3 + 3 };

        for (size_t max = 1; max <= NEEDED; max++) {
                struct buf b = BUF_INIT(max);
                size_t outer = wire_begin(&b, 1), inner = wire_begin(&b, 1);
                uint8_t bytes[N] = { 0 };

                buf_add(&b, bytes, N);
                wire_end(&b, inner);
                wire_end(&b, outer);
                ck_assert_msg(b.failed == (max < NEEDED) && b.n_bytes <= max, "%zu of %d", max,
                              NEEDED);
                buf_done(&b);
        }
}
END_TEST

/* ---- malformed */

static const struct {
        const char *label;
        const uint8_t *data;
        size_t n_bytes;
} malformed[] = {
        { "tag cut", BYTES("\x80") },
        { "field 0", BYTES("\x00\x01") },
        { "field number too large", BYTES("\x80\x80\x80\x80\x10\x00") },
        { "tag of six bytes", BYTES("\x88\x80\x80\x80\x80\x00\x01") },
        { "no value", BYTES("\x08") },
        { "varint cut", BYTES("\x08\xff") },
        { "varint of 11 bytes", BYTES("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00") },
        { "varint of 65 bits", BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02") },
        { "fixed64 cut", BYTES("\x09\1\2\3\4\5\6\7") },
        { "fixed32 cut", BYTES("\x0d\1\2\3") },
        { "no length", BYTES("\x0a") },
        { "length cut", BYTES("\x0a\x80") },
        { "bytes cut", BYTES("\x0a\x02x") },
        { "huge length", BYTES("\x0a\xff\xff\xff\xff\x0fx") },
        { "length of 64 bits", BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x") },
        { "group", BYTES("\x0b\x0c") },
        { "end of group", BYTES("\x0c") },
        { "type 6", BYTES("\x0e") },
        { "type 7", BYTES("\x0f") },
        { "good, then bad", BYTES("\x08\x01\x0a\x05x") },
};

START_TEST(malformed_case)
{
        size_t n = malformed[_i].n_bytes;
        uint8_t *copy = malloc(n); /* exact size: ASan sees a read behind it */
        struct wire_reader r = wire_reader(copy, n);
        struct wire_field f;

        memcpy(copy, malformed[_i].data, n);
        while (wire_next(&r, &f))
                ;
        ck_assert_msg(r.failed, "%s", malformed[_i].label);
        ck_assert_msg(!wire_next(&r, &f), "%s: reads on", malformed[_i].label);
        free(copy);
}
END_TEST

START_TEST(nothing_is_a_message)
{
        struct wire_reader r = wire_reader(NULL, 0);
        struct wire_field f;

        ck_assert(!wire_next(&r, &f) && !r.failed);
        ck_assert(wire_check_limits(NULL, 0, 0, 0));
}
END_TEST

/* ---- limits */

/* Messages within messages, n deep: 0 is one with a number only. */
static struct buf nested(unsigned n)
{
        struct buf b = BUF_INIT(0), outer = BUF_INIT(0);

        wire_add_uint(&b, 1, 1);
        for (unsigned i = 0; i < n; i++) {
                wire_add_bytes(&outer, 1, b.data, b.n_bytes);
                buf_done(&b);
                b = outer;
                outer = (struct buf)BUF_INIT(0);
        }
        return b;
}

START_TEST(depth_is_limited)
{
        static const unsigned depths[] = { 0, 1, 2, 31, 32, 33, 3000 };

        for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
                struct buf b = nested(depths[i]);

                ck_assert_msg(wire_check_limits(b.data, b.n_bytes, 32, 1000) == (depths[i] <= 32),
                              "%u", depths[i]);
                ck_assert_msg(wire_check_limits(b.data, b.n_bytes, depths[i], 1000000), "%u",
                              depths[i]);
                buf_done(&b);
        }
}
END_TEST

START_TEST(fields_are_limited)
{
        struct buf b = BUF_INIT(0), outer = BUF_INIT(0);

        for (int i = 0; i < 1000; i++)
                wire_add_bytes(&b, 1, "", 0); /* two bytes each: what amplifies most */
        ck_assert(wire_check_limits(b.data, b.n_bytes, 8, 1000));
        ck_assert(!wire_check_limits(b.data, b.n_bytes, 8, 999));
        wire_add_bytes(&outer, 1, b.data, b.n_bytes);
        wire_add_bytes(&outer, 1, b.data, b.n_bytes);
        ck_assert(wire_check_limits(outer.data, outer.n_bytes, 8, 2002));
        ck_assert(!wire_check_limits(outer.data, outer.n_bytes, 8, 2001));
        buf_done(&b);
        buf_done(&outer);
}
END_TEST

START_TEST(text_is_no_message)
{
        struct buf b = BUF_INIT(0);

        wire_add_str(&b, 1, "this is no message, so its bytes count as one field");
        ck_assert(wire_check_limits(b.data, b.n_bytes, 0, 1));
        buf_done(&b);
}
END_TEST

/* Bytes of every kind are read to their end without reading behind it; what was read adds up. */
START_TEST(random_bytes)
{
        uint64_t state = 1;

        for (int round = 0; round < 200000; round++) {
                size_t n = random_next(&state) % 40, n_read = 0;
                uint8_t *p = malloc(n ? n : 1);
                struct wire_reader r = wire_reader(p, n);
                struct wire_field f;

                random_fill(&state, p, n);
                while (wire_next(&r, &f)) {
                        n_read++;
                        if (f.type == WIRE_BYTES && (f.data < p || f.data + f.n_bytes > p + n))
                                ck_abort_msg("round %d: bytes from outside", round);
                }
                if (n_read > n / 2)
                        ck_abort_msg("round %d: %zu fields in %zu bytes", round, n_read, n);
                if (!r.failed && r.p != r.end)
                        ck_abort_msg("round %d: stopped early", round);
                if (!wire_check_limits(p, n, 20, 20))
                        ck_abort_msg("round %d: 40 bytes over the limits", round);
                free(p);
        }
}
END_TEST

static Suite *wire_suite(void)
{
        Suite *s = suite_create("wire");
        TCase *t = tcase_create("wire");

        tcase_set_timeout(t, 30);
        tcase_add_loop_test(t, varint_case, 0, ARRAY_LEN(varints));
        tcase_add_test(t, fields_there_and_back);
        tcase_add_loop_test(t, begin_end, 0, ARRAY_LEN(lengths));
        tcase_add_test(t, begin_end_within_limits);
        tcase_add_loop_test(t, malformed_case, 0, ARRAY_LEN(malformed));
        tcase_add_test(t, nothing_is_a_message);
        tcase_add_test(t, depth_is_limited);
        tcase_add_test(t, fields_are_limited);
        tcase_add_test(t, text_is_no_message);
        tcase_add_test(t, random_bytes);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(wire_suite());
}
