/* test_value.c - values there and back, by hand and by protobuf-c, and whatever is not a value. */
#include <check.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "common/value.h"
#include "common/wire.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "tests/unit/unit.h"

#define BYTES(s) (s), sizeof(s) - 1

/* ---- UTF-8 */

static const struct {
        const char *label;
        const char *data;
        size_t n_bytes;
        bool utf8, plain;
} utf8_cases[] = {
        { "empty", BYTES(""), true, true },
        { "ascii", BYTES("plain"), true, true },
        { "eight", BYTES("12345678"), true, true },
        { "long", BYTES("0123456789012345678901234567890123456789"), true, true },
        { "DEL", BYTES("12345678\x7f"), true, true },
        { "NUL", BYTES("\0"), true, false },
        { "NUL late", BYTES("0123456789012345678901234567890123456789\0"), true, false },
        { "NUL in a word",
          BYTES("1234\0"
                "678"),
          true, false },
        { "two", BYTES("\xc3\xa9"), true, true },
        { "three", BYTES("\xe2\x82\xac"), true, true },
        { "four", BYTES("\xf0\x9f\x98\x80"), true, true },
        { "mixed",
          BYTES("gr\xc3\xbc\xc3\x9f"
                "e 12345678 \xe2\x82\xac"),
          true, true },
        { "U+10FFFF", BYTES("\xf4\x8f\xbf\xbf"), true, true },
        { "U+110000", BYTES("\xf4\x90\x80\x80"), false, false },
        { "U+D7FF", BYTES("\xed\x9f\xbf"), true, true },
        { "surrogate", BYTES("\xed\xa0\x80"), false, false },
        { "overlong 2", BYTES("\xc0\xaf"), false, false },
        { "overlong 2b", BYTES("\xc1\xbf"), false, false },
        { "overlong 3", BYTES("\xe0\x9f\xbf"), false, false },
        { "overlong 4", BYTES("\xf0\x8f\xbf\xbf"), false, false },
        { "F5", BYTES("\xf5\x80\x80\x80"), false, false },
        { "FF", BYTES("1234567\xff"), false, false },
        { "lone tail", BYTES("12345678\x80"), false, false },
        { "cut 2", BYTES("\xc3"), false, false },
        { "cut 3", BYTES("12345678\xe2\x82"), false, false },
        { "cut 4", BYTES("\xf0\x9f\x98"), false, false },
        { "bad tail", BYTES("\xe2\x28\xac"), false, false },
        { "bad third", BYTES("\xe2\x82\x28"), false, false },
        { "bad fourth", BYTES("\xf0\x9f\x98\x28"), false, false },
};

START_TEST(utf8_case)
{
        size_t n = utf8_cases[_i].n_bytes;
        char *copy = malloc(n ? n : 1); /* exact size: ASan sees a read behind it */

        memcpy(copy, utf8_cases[_i].data, n);
        ck_assert_msg(value_is_utf8(copy, n) == utf8_cases[_i].utf8, "%s", utf8_cases[_i].label);
        ck_assert_msg(value_is_plain_utf8(copy, n) == utf8_cases[_i].plain, "%s",
                      utf8_cases[_i].label);
        free(copy);
}
END_TEST

/* Every code point, placed at every offset to a word, is accepted; cut by a byte it is not. */
START_TEST(utf8_every_code_point)
{
        char s[32];

        for (uint32_t c = 0x80; c < 0x110000; c++) {
                size_t at = c % 11, n = 0;

                if (c == 0xd800)
                        c = 0xe000;
                memset(s, 'x', sizeof s);
                if (c < 0x800) {
                        s[at + n++] = (char)(0xc0 | c >> 6);
                } else if (c < 0x10000) {
                        s[at + n++] = (char)(0xe0 | c >> 12);
                        s[at + n++] = (char)(0x80 | (c >> 6 & 0x3f));
                } else {
                        s[at + n++] = (char)(0xf0 | c >> 18);
                        s[at + n++] = (char)(0x80 | (c >> 12 & 0x3f));
                        s[at + n++] = (char)(0x80 | (c >> 6 & 0x3f));
                }
                s[at + n++] = (char)(0x80 | (c & 0x3f));
                /* each ck_assert is a message to the parent process: too many of them here */
                if (!value_is_plain_utf8(s, at + n) || !value_is_plain_utf8(s, at + n + 9) ||
                    value_is_plain_utf8(s, at + n - 1))
                        ck_abort_msg("U+%04X", c);
        }
}
END_TEST

/* ---- one value there and back */

static const struct {
        const char *label;
        struct value value;
        Shoal__V1__Value__KindCase kind;
} values[] = {
        { "null", { .type = VALUE_NULL }, SHOAL__V1__VALUE__KIND__NOT_SET },
        { "0", { .type = VALUE_INTEGER, .integer = 0 }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "1", { .type = VALUE_INTEGER, .integer = 1 }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "-1", { .type = VALUE_INTEGER, .integer = -1 }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "max", { .type = VALUE_INTEGER, .integer = INT64_MAX }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "min", { .type = VALUE_INTEGER, .integer = INT64_MIN }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "0.0", { .type = VALUE_REAL, .real = 0.0 }, SHOAL__V1__VALUE__KIND_REAL },
        { "-0.0", { .type = VALUE_REAL, .real = -0.0 }, SHOAL__V1__VALUE__KIND_REAL },
        { "1.5", { .type = VALUE_REAL, .real = 1.5 }, SHOAL__V1__VALUE__KIND_REAL },
        { "inf", { .type = VALUE_REAL, .real = INFINITY }, SHOAL__V1__VALUE__KIND_REAL },
        { "text", { .type = VALUE_TEXT, .data = "a", .n_bytes = 1 }, SHOAL__V1__VALUE__KIND_TEXT },
        { "empty text", { .type = VALUE_TEXT }, SHOAL__V1__VALUE__KIND_TEXT },
        { "blob",
          { .type = VALUE_BLOB, .data = "\0\xff", .n_bytes = 2 },
          SHOAL__V1__VALUE__KIND_BLOB },
        { "empty blob", { .type = VALUE_BLOB }, SHOAL__V1__VALUE__KIND_BLOB },
        { "NUL in text",
          { .type = VALUE_TEXT, .data = "a\0b", .n_bytes = 3 },
          SHOAL__V1__VALUE__KIND_RAW_TEXT },
        { "not UTF-8",
          { .type = VALUE_TEXT, .data = "\xff", .n_bytes = 1 },
          SHOAL__V1__VALUE__KIND_RAW_TEXT },
};

static bool same_message(const Shoal__V1__Value *m, const struct value *v)
{
        switch (m->kind_case) {
        case SHOAL__V1__VALUE__KIND_INTEGER:
                return v->type == VALUE_INTEGER && m->integer == v->integer;
        case SHOAL__V1__VALUE__KIND_REAL:
                return v->type == VALUE_REAL && memcmp(&m->real, &v->real, sizeof v->real) == 0;
        case SHOAL__V1__VALUE__KIND_TEXT:
                return v->type == VALUE_TEXT && strlen(m->text) == v->n_bytes &&
                       (v->n_bytes == 0 || memcmp(m->text, v->data, v->n_bytes) == 0);
        case SHOAL__V1__VALUE__KIND_BLOB:
                return v->type == VALUE_BLOB && m->blob.len == v->n_bytes &&
                       (v->n_bytes == 0 || memcmp(m->blob.data, v->data, v->n_bytes) == 0);
        case SHOAL__V1__VALUE__KIND_RAW_TEXT:
                return v->type == VALUE_TEXT && m->raw_text.len == v->n_bytes &&
                       (v->n_bytes == 0 || memcmp(m->raw_text.data, v->data, v->n_bytes) == 0);
        default:
                return v->type == VALUE_NULL;
        }
}

START_TEST(value_there_and_back)
{
        const struct value *v = &values[_i].value;
        size_t n = value_encoded_size(v);
        uint8_t *p = malloc(n ? n : 1), *packed = malloc(n ? n : 1);
        Shoal__V1__Value *m;
        struct value back;

        ck_assert_ptr_eq(value_encode(p, v), p + n);
        ck_assert_int_eq(value_decode(p, n, &back, NULL), ERR_OK);
        ck_assert_msg(value_same(v, &back), "%s", values[_i].label);

        /* protobuf-c reads the same and writes the same bytes */
        m = shoal__v1__value__unpack(NULL, n, p);
        ck_assert_msg(m && m->kind_case == values[_i].kind, "%s", values[_i].label);
        ck_assert_msg(same_message(m, v), "%s", values[_i].label);
        ck_assert_msg(shoal__v1__value__get_packed_size(m) == n, "%s", values[_i].label);
        shoal__v1__value__pack(m, packed);
        ck_assert_msg(memcmp(packed, p, n) == 0, "%s", values[_i].label);
        shoal__v1__value__free_unpacked(m, NULL);
        free(packed);
        free(p);
}
END_TEST

START_TEST(values_differ)
{
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
                for (size_t j = 0; j < ARRAY_LEN(values); j++)
                        ck_assert_msg(value_same(&values[i].value, &values[j].value) == (i == j),
                                      "%s and %s", values[i].label, values[j].label);
        }
}
END_TEST

static Suite *value_suite(void)
{
        Suite *s = suite_create("value");
        TCase *t = tcase_create("value");

        tcase_set_timeout(t, 30);
        tcase_add_loop_test(t, utf8_case, 0, ARRAY_LEN(utf8_cases));
        tcase_add_test(t, utf8_every_code_point);
        tcase_add_loop_test(t, value_there_and_back, 0, ARRAY_LEN(values));
        tcase_add_test(t, values_differ);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(value_suite());
}
