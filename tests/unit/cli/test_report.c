/* test_report.c - how errors look, and which exit code they give. */
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "common/util.h"
#include "tests/unit/unit.h"

/* clang-format off */
static const struct {
        const char *label;
        struct err err;
        const char *file;
        long line;
        const char *sql;
        const char *want;
} cases[] = {
        { "of SQLite", { .code = ERR_PRECONDITION, .reason = "CONSTRAINT", .msg = "UNIQUE constraint failed: t.a",
                         .extended_code = 2067, .offset = -1 }, NULL, 3, "INSERT",
          "Runtime error near line 3: UNIQUE constraint failed: t.a (2067) [FAILED_PRECONDITION CONSTRAINT]\n" },
        { "with its place", { .code = ERR_INVALID, .reason = "SYNTAX_ERROR", .msg = "near \"x\": syntax error",
                              .extended_code = 1, .offset = 9 }, "f.sql", 7, "SELECT 1\nx FROM t",
          "Parse error at f.sql:7: near \"x\": syntax error [INVALID_ARGUMENT SYNTAX_ERROR]\n"
          "  x FROM t\n"
          "  ^--- error here\n" },
        { "behind wide letters", { .code = ERR_INVALID, .reason = "R", .msg = "m", .offset = 8 }, NULL, 0,
          "\xe6\xbc\xa2\xc3\xa4\tx y",
          "Parse error: m [INVALID_ARGUMENT R]\n"
          "  \xe6\xbc\xa2\xc3\xa4\\tx y\n"
          "         ^--- error here\n" },
        { "what is not there yet", { .code = ERR_UNIMPLEMENTED, .reason = "VIEWS", .msg = "not yet", .offset = 7 }, NULL, 0,
          "CREATE VIEW v",
          "Error: not yet [UNIMPLEMENTED VIEWS]\n"
          "  CREATE VIEW v\n"
          "         ^--- error here\n" },
        { "at the end", { .code = ERR_INVALID, .reason = "R", .msg = "incomplete input", .offset = 6 }, NULL, 0, "SELECT",
          "Parse error: incomplete input [INVALID_ARGUMENT R]\n"
          "  SELECT\n"
          "        ^--- error here\n" },
        { "offset beyond", { .code = ERR_INVALID, .reason = "R", .msg = "m", .offset = 7 }, NULL, 0, "SELECT",
          "Error: m [INVALID_ARGUMENT R]\n" },
        { "from afar", { .code = ERR_UNAVAILABLE, .msg = "refused", .offset = -1 }, NULL, 0, NULL,
          "Error: refused [UNAVAILABLE]\n" },
        { "the shell's own", { .code = ERR_INVALID, .msg = "usage", .offset = -1 }, NULL, 2, NULL,
          "Error near line 2: usage\n" },
};

static const struct {
        enum err_code code;
        int exit_code;
} exits[] = {
        { ERR_OK, 0 }, { ERR_INVALID, 1 }, { ERR_UNKNOWN, 1 }, { ERR_DEADLINE, 1 }, { ERR_UNAVAILABLE, 3 },
        { ERR_CANCELLED, 130 },
};
/* clang-format on */

static char *report(const struct err *e, const char *file, long line, const char *sql)
{
        static char *out; /* gcc 12 sees a dangling pointer where a local one is returned */
        static size_t n;
        FILE *f = open_memstream(&out, &n);

        report_error(f, e, file, line, sql, sql ? strlen(sql) : 0);
        fclose(f);
        return out;
}

START_TEST(report_case)
{
        cleanup_(freep) char *got =
            report(&cases[_i].err, cases[_i].file, cases[_i].line, cases[_i].sql);

        ck_assert_msg(strcmp(got, cases[_i].want) == 0, "%s:\n%s\nnot\n%s", cases[_i].label, got,
                      cases[_i].want);
}
END_TEST

/* Of a long line only what is around the error is shown. */
START_TEST(long_line)
{
        struct err e = { .code = ERR_INVALID, .reason = "R", .msg = "m", .offset = 5000 };
        cleanup_(freep) char *sql = xmalloc(10001), *got = NULL;
        const char *context, *arrow;

        memset(sql, 'a', 10000);
        sql[10000] = '\0';
        sql[5000] = 'X';
        got = report(&e, NULL, 0, sql);
        ck_assert_uint_lt(strlen(got), 250);
        ck_assert_ptr_nonnull(strchr(got, 'X'));
        /* The arrow stands under it. */
        context = strchr(got, '\n') + 1;
        arrow = strchr(context, '\n') + 1;
        ck_assert_uint_eq(strcspn(context, "X"), strcspn(arrow, "^"));
}
END_TEST

START_TEST(exit_case)
{
        struct err e = { .code = exits[_i].code };

        ck_assert_int_eq(report_exit_code(&e), exits[_i].exit_code);
}
END_TEST

static void use_utf8(void)
{
        ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

int main(void)
{
        Suite *s = suite_create("cli/report");
        TCase *t = tcase_create("report");

        tcase_add_checked_fixture(t, use_utf8, NULL);
        tcase_add_loop_test(t, report_case, 0, ARRAY_LEN(cases));
        tcase_add_test(t, long_line);
        tcase_add_loop_test(t, exit_case, 0, ARRAY_LEN(exits));
        suite_add_tcase(s, t);
        return unit_run(s);
}
