/* test_printer.c - the same rows in every mode, and results of all sizes. */
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/printer.h"
#include "common/util.h"
#include "tests/unit/unit.h"

static struct value text(const char *s)
{
        return value_text(s, strlen(s));
}

/* What printing n_rows of three rows gives; malloc'ed. */
static char *print(enum print_mode mode, bool headers, bool color, const char *null_text,
                   size_t n_rows)
{
        static const char *const names[] = { "id", "name", "x,y" };
        const struct value rows[][3] = {
                { value_integer(1), text("\xc3\xa4pfel"), value_real(0.5) },
                { value_integer(1000), text("NULL"), value_null() },
                { value_null(), text("a\nb"), value_blob("\x01", 1) },
        };
        const struct print_settings settings = {
                .mode = mode, .headers = headers, .color = color, .null_text = null_text
        };
        char *out = NULL;
        size_t n;
        FILE *f = open_memstream(&out, &n);
        struct printer *p = printer_new(f, &settings);

        printer_columns(p, names, ARRAY_LEN(names));
        for (size_t i = 0; i < n_rows; i++)
                printer_row(p, rows[i]);
        printer_end(p);
        printer_free(p);
        fclose(f);
        return out;
}

/* clang-format off */
static const struct {
        const char *label;
        enum print_mode mode;
        bool headers, color;
        const char *null_text;
        size_t n_rows;
        const char *want;
} cases[] = {
        { "list", PRINT_LIST, false, false, "", 3,
          "1|\xc3\xa4pfel|0.5\n1000|NULL|\n|a\nb|x'01'\n" },
        { "list with headers", PRINT_LIST, true, false, "(null)", 2,
          "id|name|x,y\n1|\xc3\xa4pfel|0.5\n1000|NULL|(null)\n" },
        { "list of nothing", PRINT_LIST, true, false, "", 0, "id|name|x,y\n" },
        { "csv", PRINT_CSV, false, false, "", 3,
          "1,\"\xc3\xa4pfel\",0.5\n1000,NULL,\n,\"a\nb\",x'01'\n" },
        { "csv with headers", PRINT_CSV, true, false, "", 1,
          "id,name,\"x,y\"\n1,\"\xc3\xa4pfel\",0.5\n" },
        { "json", PRINT_JSON, true, true, "-", 3,
          "[{\"id\":1,\"name\":\"\xc3\xa4pfel\",\"x,y\":0.5},\n"
          "{\"id\":1000,\"name\":\"NULL\",\"x,y\":null},\n"
          "{\"id\":null,\"name\":\"a\\nb\",\"x,y\":\"x'01'\"}]\n" },
        { "json of nothing", PRINT_JSON, true, false, "", 0, "[]\n" },
        { "table", PRINT_TABLE, false, false, "NULL", 3,
          "+------+-------+-------+\n"
          "|   id | name  | x,y   |\n"
          "+------+-------+-------+\n"
          "|    1 | \xc3\xa4pfel |   0.5 |\n"
          "| 1000 | NULL  | NULL  |\n"
          "| NULL | a\\nb  | x'01' |\n"
          "+------+-------+-------+\n" },
        { "table in colour", PRINT_TABLE, false, true, "NULL", 2,
          "+------+-------+------+\n"
          "|   id | name  |  x,y |\n"
          "+------+-------+------+\n"
          "|    1 | \xc3\xa4pfel |  0.5 |\n"
          "| 1000 | NULL  | \x1b[2mNULL\x1b[0m |\n"
          "+------+-------+------+\n" },
        { "table of nothing", PRINT_TABLE, false, false, "NULL", 0,
          "+----+------+-----+\n"
          "| id | name | x,y |\n"
          "+----+------+-----+\n" },
};
/* clang-format on */

START_TEST(mode_case)
{
        cleanup_(freep) char *got = print(cases[_i].mode, cases[_i].headers, cases[_i].color,
                                          cases[_i].null_text, cases[_i].n_rows);

        ck_assert_msg(strcmp(got, cases[_i].want) == 0, "%s:\n%s\nnot:\n%s", cases[_i].label, got,
                      cases[_i].want);
}
END_TEST

/* A table holds back no more than its first rows: what is wider later sticks out, and is all there.
 */
START_TEST(long_table)
{
        static const char *const names[] = { "n" };
        const struct print_settings settings = { .mode = PRINT_TABLE, .null_text = "" };
        char *out = NULL;
        size_t n, n_lines = 0;
        FILE *f = open_memstream(&out, &n);
        struct printer *p = printer_new(f, &settings);

        printer_columns(p, names, 1);
        for (int64_t i = 0; i < 5000; i++) {
                struct value v = value_integer(i);

                printer_row(p, &v);
                if (i == 1500) {
                        fflush(f);
                        ck_assert_msg(strstr(out, "| 1000 |\n"), "row 1000 is not printed yet");
                }
        }
        printer_end(p);
        printer_free(p);
        fclose(f);
        for (const char *c = out; (c = strchr(c, '\n')); c++)
                n_lines++;
        ck_assert_uint_eq(n_lines, 5000 + 4);
        ck_assert_ptr_nonnull(strstr(out, "\n| 998 |\n| 999 |\n| 1000 |\n"));
        ck_assert_ptr_nonnull(strstr(out, "| 4999 |\n+-----+\n"));
        free(out);
}
END_TEST

START_TEST(modes_by_name)
{
        enum print_mode mode = PRINT_JSON;

        for (int m = PRINT_LIST; m <= PRINT_JSON; m++) {
                ck_assert(print_mode_parse(print_mode_name((enum print_mode)m), &mode));
                ck_assert_int_eq(mode, m);
        }
        ck_assert(!print_mode_parse("tables", &mode));
        ck_assert(!print_mode_parse("", &mode));
}
END_TEST

static void use_utf8(void)
{
        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

int main(void)
{
        Suite *s = suite_create("cli/printer");
        TCase *t = tcase_create("printer");

        tcase_add_checked_fixture(t, use_utf8, NULL);
        tcase_add_loop_test(t, mode_case, 0, ARRAY_LEN(cases));
        tcase_add_test(t, long_table);
        tcase_add_test(t, modes_by_name);
        suite_add_tcase(s, t);
        return unit_run(s);
}
