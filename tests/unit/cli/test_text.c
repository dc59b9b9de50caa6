/* test_text.c - values as text, JSON, CSV and cells. */
#include <check.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"
#include "common/util.h"
#include "tests/unit/unit.h"

#define TEXT(s) value_text("" s, sizeof(s) - 1)
#define BLOB(s) value_blob("" s, sizeof(s) - 1)

/* clang-format off */
static const struct {
        const char *label;
        struct value value;
        const char *text, *json;
} value_cases[] = {
        { "integer", { .type = VALUE_INTEGER, .integer = 42 }, "42", "42" },
        { "smallest", { .type = VALUE_INTEGER, .integer = INT64_MIN }, "-9223372036854775808", "-9223372036854775808" },
        { "real", { .type = VALUE_REAL, .real = 1.5 }, "1.5", "1.5" },
        { "whole real", { .type = VALUE_REAL, .real = 3 }, "3.0", "3.0" },
        { "17 digits", { .type = VALUE_REAL, .real = 0.1 + 0.2 }, "0.3", "0.30000000000000004" },
        { "large real", { .type = VALUE_REAL, .real = 1e300 }, "1.0e+300", "1.0e+300" },
        { "infinity", { .type = VALUE_REAL, .real = INFINITY }, "Inf", "1e999" },
        { "-infinity", { .type = VALUE_REAL, .real = -INFINITY }, "-Inf", "-1e999" },
        { "null", { .type = VALUE_NULL }, "", "null" },
};

static const struct {
        const char *label;
        const char *data;
        size_t n_bytes;
        const char *json, *csv, *cell;
        size_t width;
} text_cases[] = {
        { "plain", "abc", 3, "\"abc\"", "abc", "abc", 3 },
        { "empty", "", 0, "\"\"", "\"\"", "", 0 },
        { "blank", "a b", 3, "\"a b\"", "\"a b\"", "a b", 3 },
        { "comma", "a,b", 3, "\"a,b\"", "\"a,b\"", "a,b", 3 },
        { "quotes", "a\"b'", 4, "\"a\\\"b'\"", "\"a\"\"b'\"", "a\"b'", 4 },
        { "backslash", "a\\n", 3, "\"a\\\\n\"", "a\\n", "a\\n", 3 },
        { "line end", "a\r\nb\tc", 6, "\"a\\r\\nb\\tc\"", "\"a\r\nb\tc\"", "a\\r\\nb\\tc", 9 },
        { "controls", "\x01\x1b\x7f", 3, "\"\\u0001\\u001b\\u007f\"", "\"\x01\x1b\x7f\"", "\\x01\\x1b\\x7f", 12 },
        { "C1 control", "\xc2\x9b", 2, "\"\xc2\x9b\"", "\"\xc2\x9b\"", "\\xc2\\x9b", 8 },
        { "umlaut", "\xc3\xa4", 2, "\"\xc3\xa4\"", "\"\xc3\xa4\"", "\xc3\xa4", 1 },
        { "wide", "\xe6\xbc\xa2", 3, "\"\xe6\xbc\xa2\"", "\"\xe6\xbc\xa2\"", "\xe6\xbc\xa2", 2 },
        { "newer picture", "\xf0\x9f\xaa\xbc", 4, "\"\xf0\x9f\xaa\xbc\"", "\"\xf0\x9f\xaa\xbc\"", "\xf0\x9f\xaa\xbc", 2 },
        { "combining", "e\xcc\x81", 3, "\"e\xcc\x81\"", "\"e\xcc\x81\"", "e\xcc\x81", 1 },
        { "not UTF-8", "a\xff" "b", 3, "\"a\xef\xbf\xbd" "b\"", "\"a\xff" "b\"", "a\\xff" "b", 6 },
        { "cut short", "\xe6\xbc", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"", "\"\xe6\xbc\"", "\\xe6\\xbc", 8 },
};
/* clang-format on */

static void assert_text(const char *label, const char *what, struct buf *b, const char *want)
{
        cleanup_(freep) char *got = buf_take_str(b);

        ck_assert_msg(strcmp(got, want) == 0, "%s: %s is <%s>, not <%s>", label, what, got, want);
}

START_TEST(value_case)
{
        struct buf text = BUF_INIT(0), json = BUF_INIT(0);

        text_add_value(&text, &value_cases[_i].value);
        text_add_json(&json, &value_cases[_i].value);
        assert_text(value_cases[_i].label, "text", &text, value_cases[_i].text);
        assert_text(value_cases[_i].label, "JSON", &json, value_cases[_i].json);
}
END_TEST

START_TEST(text_case)
{
        const char *label = text_cases[_i].label, *data = text_cases[_i].data;
        size_t n = text_cases[_i].n_bytes, width;
        struct buf json = BUF_INIT(0), csv = BUF_INIT(0), cell = BUF_INIT(0);

        text_add_json_string(&json, data, n);
        text_add_csv(&csv, data, n);
        width = text_add_cell(&cell, data, n);
        assert_text(label, "JSON", &json, text_cases[_i].json);
        assert_text(label, "CSV", &csv, text_cases[_i].csv);
        assert_text(label, "cell", &cell, text_cases[_i].cell);
        ck_assert_msg(width == text_cases[_i].width, "%s: width %zu, not %zu", label, width,
                      text_cases[_i].width);
}
END_TEST

START_TEST(blobs_and_names)
{
        struct value blob = BLOB("\x00\xff'"), text = TEXT("a|b");
        struct buf b = BUF_INIT(0);

        text_add_value(&b, &blob);
        buf_add_byte(&b, ' ');
        text_add_json(&b, &blob);
        buf_add_byte(&b, ' ');
        text_add_value(&b, &text);
        buf_add_byte(&b, ' ');
        text_add_name(&b, "a\"b");
        assert_text("blobs", "text", &b, "x'00ff27' \"x'00ff27'\" a|b \"a\"\"b\"");
}
END_TEST

static void use_utf8(void)
{
        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

int main(void)
{
        Suite *s = suite_create("cli/text");
        TCase *t = tcase_create("text");

        tcase_add_checked_fixture(t, use_utf8, NULL);
        tcase_add_loop_test(t, value_case, 0, ARRAY_LEN(value_cases));
        tcase_add_loop_test(t, text_case, 0, ARRAY_LEN(text_cases));
        tcase_add_test(t, blobs_and_names);
        suite_add_tcase(s, t);
        return unit_run(s);
}
