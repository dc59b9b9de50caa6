/* test_splitter.c - scripts cut into statements, whatever the lines are cut like. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/splitter.h"
#include "common/util.h"
#include "tests/unit/unit.h"

/* clang-format off */
static const struct {
        const char *label, *text;
        const char *want; /* "line:statement|", and behind a "~" what is left at the end */
} cases[] = {
        { "empty", "", "" },
        { "one", "SELECT 1;", "1:SELECT 1;|" },
        { "two in a line", "a; b;\nc;", "1:a;|1:b;|2:c;|" },
        { "over lines", "SELECT\n1\n;\nb;", "1:SELECT\n1\n;|4:b;|" },
        { "unfinished", "a;\nSELECT", "1:a;|~2:SELECT" },
        { "blank rest", "a;\n -- b\n", "1:a;|" },
        { "only semicolons", ";;\n;", "" },
        { "comments before", "-- one;\n/* two;\n */ a;\n--x\n\nb;", "3:a;|6:b;|" },
        { "comments inside", "a -- ;\n/* ; */ b;", "1:a -- ;\n/* ; */ b;|" },
        { "strings", "a ';''' \";\" `;` [;] ;b", "1:a ';''' \";\" `;` [;] ;|~1:b" },
        { "string over lines", "a '\n;\n';\nb;", "1:a '\n;\n';|4:b;|" },
        { "slash star slash", "/*/ a; */ b;", "1:b;|" },
        { "division, minus", "a / b - c;", "1:a / b - c;|" },
        { "trigger", "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\n SELECT 2;\nEND;\nb;",
          "1:CREATE TRIGGER t AFTER INSERT ON a BEGIN\n SELECT 1;\n SELECT 2;\nEND;|5:b;|" },
        { "open string", "a;\nb ';\n;", "1:a;|~2:b ';\n;" },
        { "open comment", "a;\n/* b;", "1:a;|" },
};
/* clang-format on */

static void drain(struct splitter *s, struct buf *b)
{
        const char *sql;
        size_t n;
        long line;

        while (splitter_next(s, &sql, &n, &line))
                buf_printf(b, "%ld:%.*s|", line, (int)n, sql);
}

/* The text in pieces of n_piece bytes, or line by line for 0. */
static char *split(const char *text, size_t n_piece)
{
        struct buf b = BUF_INIT(0);
        struct splitter s;
        struct err e = ERR_INIT;
        const char *sql;
        size_t n;
        long line;

        splitter_init(&s);
        while (*text) {
                n = n_piece ? strnlen(text, n_piece) : strcspn(text, "\n");
                n += !n_piece && text[n];
                ck_assert_int_eq(splitter_add(&s, text, n, &e), ERR_OK);
                drain(&s, &b);
                text += n;
        }
        if (splitter_rest(&s, &sql, &n, &line))
                buf_printf(&b, "~%ld:%.*s", line, (int)n, sql);
        splitter_done(&s);
        return buf_take_str(&b);
}

START_TEST(split_case)
{
        static const size_t pieces[] = { 0, 1, 2, 7, 1000 };

        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
                cleanup_(freep) char *got = split(cases[_i].text, pieces[i]);

                ck_assert_msg(strcmp(got, cases[_i].want) == 0,
                              "%s in pieces of %zu: <%s>, not <%s>", cases[_i].label, pieces[i],
                              got, cases[_i].want);
        }
}
END_TEST

/* clang-format off */
static const struct {
        const char *text;
        bool idle;
} idle_cases[] = {
        { "", true }, { "a;\n", true }, { "a; \n-- x\n", true }, { "/* x */\n", true }, { ";\n", true },
        { "a\n", false }, { "a; b\n", false }, { "/* x\n", false }, { "a; /* x\n", false }, { "'\n", false },
        { "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n", false },
        { "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;\n", false },
        { "a;\nb;\n\n", true },
};
/* clang-format on */

START_TEST(idle_case)
{
        const char *text = idle_cases[_i].text;
        struct buf b = BUF_INIT(0);
        struct splitter s;
        struct err e = ERR_INIT;

        splitter_init(&s);
        ck_assert_int_eq(splitter_add(&s, text, strlen(text), &e), ERR_OK);
        drain(&s, &b);
        ck_assert_msg(splitter_is_idle(&s) == idle_cases[_i].idle, "<%s>", text);
        splitter_reset(&s);
        ck_assert(splitter_is_idle(&s));
        splitter_done(&s);
        buf_done(&b);
}
END_TEST

/* What is too long is refused and forgotten; the script goes on behind it, and lines are still
 * counted. */
START_TEST(limit)
{
        size_t n = 1 << 20, i = 0, n_sql;
        cleanup_(freep) char *piece = xmalloc(n);
        struct err e = ERR_INIT;
        struct splitter s;
        const char *sql;
        long line;

        memset(piece, 'a', n);
        piece[n - 1] = '\n';
        splitter_init(&s);
        while (splitter_add(&s, piece, n, &e) == ERR_OK)
                i++;
        ck_assert_int_eq(e.code, ERR_EXHAUSTED);
        ck_assert_uint_eq(i, SPLITTER_MAX_BYTES / n);
        ck_assert_int_eq(splitter_add(&s, "SELECT 1;", 9, &e), ERR_OK);
        ck_assert(splitter_next(&s, &sql, &n_sql, &line));
        ck_assert_int_eq(line, (long)i + 2);
        ck_assert_uint_eq(n_sql, 9);
        splitter_done(&s);
}
END_TEST

START_TEST(lines_of_others)
{
        struct splitter s;
        struct err e = ERR_INIT;
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *got = NULL;

        splitter_init(&s);
        ck_assert_int_eq(splitter_skip_line(&s), 1);
        ck_assert_int_eq(splitter_add(&s, "a;\n", 3, &e), ERR_OK);
        drain(&s, &b);
        ck_assert_int_eq(splitter_skip_line(&s), 3);
        ck_assert_int_eq(splitter_add(&s, "b;\n", 3, &e), ERR_OK);
        drain(&s, &b);
        got = buf_take_str(&b);
        ck_assert_str_eq(got, "2:a;|4:b;|");
        splitter_done(&s);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("cli/splitter");
        TCase *t = tcase_create("splitter");

        tcase_add_loop_test(t, split_case, 0, ARRAY_LEN(cases));
        tcase_add_loop_test(t, idle_case, 0, ARRAY_LEN(idle_cases));
        tcase_add_test(t, limit);
        tcase_add_test(t, lines_of_others);
        suite_add_tcase(s, t);
        return unit_run(s);
}
