/* test_csv.c - records as SQLite's shell reads them, and input that is none. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/csv.h"
#include "common/util.h"
#include "tests/unit/unit.h"

/* clang-format off */
static const struct {
        const char *label, *text;
        const char *want; /* fields in <>, a newline behind each record; the code's name behind an error */
} cases[] = {
        { "empty", "", "" },
        { "one", "a\n", "<a>\n" },
        { "no line end", "a,b", "<a><b>\n" },
        { "two records", "a,b\nc,d\n", "<a><b>\n<c><d>\n" },
        { "CRLF", "a,b\r\nc,d\r\n", "<a><b>\n<c><d>\n" },
        { "CR at the end of the file", "a\r", "<a>\n" },
        { "CR inside", "a\rb\n", "<a\rb>\n" },
        { "empty fields", ",,\n", "<><><>\n" },
        { "comma at the end of the file", "a,", "<a><>\n" },
        { "empty line", "a\n\nb\n", "<a>\n<>\n<b>\n" },
        { "quoted", "\"a,b\",\"c\"\n", "<a,b><c>\n" },
        { "quoted empty", "\"\",\"\"\n", "<><>\n" },
        { "quote in quotes", "\"a\"\"b\"\n", "<a\"b>\n" },
        { "line end in quotes", "\"a\r\nb\",c\nd\n", "<a\r\nb><c>\n<d>\n" },
        { "quoted CR", "\"a\r\"\n", "<a\r>\n" },
        { "quote inside", "a\"b\n", "<a\"b>\n" },
        { "text behind quotes", "\"a\"b,c\n", "<ab><c>\n" },
        { "quotes at the end of the file", "\"a\"", "<a>\n" },
        { "byte order mark", "\xef\xbb\xbf" "a\n", "<a>\n" },
        { "no byte order mark", "\xef\xbb\xbd" "a\n", "<\xef\xbb\xbd" "a>\n" },
        { "open quote", "a\n\"b\nc", "<a>\nINVALID_ARGUMENT" },
};
/* clang-format on */

static void show(struct buf *b, FILE *in)
{
        struct csv c;
        bool more = true;
        struct err e = ERR_INIT;

        csv_init(&c, in);
        while (csv_next(&c, &more, &e) == ERR_OK && more) {
                for (size_t i = 0; i < c.n_fields; i++) {
                        size_t n;
                        const char *field = csv_field(&c, i, &n);

                        ck_assert_uint_eq(strlen(field), n);
                        buf_printf(b, "<%s>", field);
                }
                buf_add_byte(b, '\n');
        }
        if (e.code)
                buf_add_str(b, err_code_name(e.code));
        csv_done(&c);
}

START_TEST(record_case)
{
        const char *text = cases[_i].text;
        FILE *in = fmemopen((void *)(*text ? text : "x"), *text ? strlen(text) : 1, "r");
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *got = NULL;

        if (!*text)
                (void)getc(in);
        show(&b, in);
        fclose(in);
        got = buf_take_str(&b);
        ck_assert_msg(strcmp(got, cases[_i].want) == 0, "%s: <%s>, not <%s>", cases[_i].label, got,
                      cases[_i].want);
}
END_TEST

START_TEST(lines_are_counted)
{
        static const char text[] = "a\n\"b\nb\"\nc\n";
        FILE *in = fmemopen((void *)text, strlen(text), "r");
        long want[] = { 1, 2, 4 };
        struct err e = ERR_INIT;
        struct csv c;
        bool more;

        csv_init(&c, in);
        for (size_t i = 0; i < ARRAY_LEN(want); i++) {
                ck_assert_int_eq(csv_next(&c, &more, &e), ERR_OK);
                ck_assert(more);
                ck_assert_int_eq(c.line, want[i]);
        }
        csv_done(&c);
        fclose(in);
}
END_TEST

/* n fields, or one of n bytes. */
static enum err_code read_large(size_t n, char byte)
{
        char *text = NULL;
        size_t n_text;
        FILE *f = open_memstream(&text, &n_text);
        struct err e = ERR_INIT;
        struct csv c;
        enum err_code rc;
        bool more;

        for (size_t i = 0; i < n; i++)
                fputc(byte, f);
        fclose(f);
        f = fmemopen(text, n_text, "r");
        csv_init(&c, f);
        rc = csv_next(&c, &more, &e);
        csv_done(&c);
        fclose(f);
        free(text);
        return rc;
}

START_TEST(limits)
{
        ck_assert_int_eq(read_large(CSV_MAX_RECORD_BYTES - 1, 'x'), ERR_OK);
        ck_assert_int_eq(read_large(CSV_MAX_RECORD_BYTES, 'x'), ERR_EXHAUSTED);
        ck_assert_int_eq(read_large(CSV_MAX_FIELDS - 1, ','), ERR_OK);
        ck_assert_int_eq(read_large(CSV_MAX_FIELDS, ','), ERR_EXHAUSTED);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("cli/csv");
        TCase *t = tcase_create("csv");

        tcase_add_loop_test(t, record_case, 0, ARRAY_LEN(cases));
        tcase_add_test(t, lines_are_counted);
        tcase_add_test(t, limits);
        suite_add_tcase(s, t);
        return unit_run(s);
}
