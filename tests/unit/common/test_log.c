/* test_log.c - lines as they come out of stderr. */
#include <check.h>
#include <pthread.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/unit.h"

static FILE *captured;

/* From here on stderr goes into a file. */
static void capture(void)
{
        captured = tmpfile();
        ck_assert_ptr_nonnull(captured);
        ck_assert_int_ge(dup2(fileno(captured), STDERR_FILENO), 0);
}

/* All that was written; owned by the caller. */
static char *output(void)
{
        char *s;
        long n;

        fseek(captured, 0, SEEK_END);
        n = ftell(captured);
        s = xcalloc((size_t)n + 1, 1);
        rewind(captured);
        ck_assert_uint_eq(fread(s, 1, (size_t)n, captured), (size_t)n);
        return s;
}

static size_t count_lines(const char *s)
{
        size_t n = 0;

        for (; *s; s++)
                n += *s == '\n';
        return n;
}

static void assert_matches(const char *s, const char *pattern)
{
        regex_t r;

        ck_assert_int_eq(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB), 0);
        ck_assert_msg(regexec(&r, s, 0, NULL, 0) == 0, "\"%s\" does not match \"%s\"", s, pattern);
        regfree(&r);
}

START_TEST(line)
{
        cleanup_(freep) char *s = NULL;

        capture();
        log_init("tablet-0", LOG_INFO);
        log_event(LOG_INFO, "shard_opened", "shard=%s bytes=%d", log_quote("main/-80"), 7);
        s = output();
        assert_matches(
            s, "^ts=20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z "
               "level=info process=tablet-0 event=shard_opened shard=\"main/-80\" bytes=7\n$");
}
END_TEST

START_TEST(line_without_fields)
{
        cleanup_(freep) char *s = NULL;

        capture();
        log_event(LOG_ERROR, "gone");
        s = output();
        assert_matches(s, " level=error process=shoal event=gone\n$");
}
END_TEST

START_TEST(levels)
{
        for (int min = LOG_DEBUG; min <= LOG_ERROR; min++) {
                cleanup_(freep) char *s = NULL;

                capture();
                log_init("x", (enum log_level)min);
                log_event(LOG_DEBUG, "a");
                log_event(LOG_INFO, "a");
                log_event(LOG_WARN, "a");
                log_event(LOG_ERROR, "a");
                s = output();
                ck_assert_uint_eq(count_lines(s), (size_t)(LOG_ERROR - min + 1));
        }
}
END_TEST

static const struct {
        const char *s;
        enum err_code want;
        enum log_level level;
} level_cases[] = {
        { "debug", ERR_OK, LOG_DEBUG },        { "info", ERR_OK, LOG_INFO },
        { "warn", ERR_OK, LOG_WARN },          { "error", ERR_OK, LOG_ERROR },
        { "warning", ERR_INVALID, LOG_DEBUG }, { "", ERR_INVALID, LOG_DEBUG },
        { "INFO", ERR_INVALID, LOG_DEBUG },
};

START_TEST(level_case)
{
        enum log_level level = LOG_DEBUG;

        ck_assert_msg(log_level_parse(level_cases[_i].s, &level, NULL) == level_cases[_i].want,
                      "%s", level_cases[_i].s);
        ck_assert_int_eq(level, level_cases[_i].level);
}
END_TEST

static const struct {
        const char *s, *want;
} quotes[] = {
        { "", "\"\"" },
        { NULL, "\"\"" },
        { "a b=c", "\"a b=c\"" },
        { "say \"hi\" \\", "\"say \\\"hi\\\" \\\\\"" },
        { "a\nb\tc\r\x1b\x7f", "\"a\\nb\\tc\\x0d\\x1b\\x7f\"" },
        { "gr\xc3\xbcn", "\"gr\xc3\xbcn\"" },
};

START_TEST(quote_case)
{
        ck_assert_str_eq(log_quote(quotes[_i].s), quotes[_i].want);
}
END_TEST

START_TEST(quotes_are_cut_and_take_turns)
{
        char longer[2000];
        const char *q, *four[4];

        memset(longer, '\1', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        q = log_quote(longer);
        ck_assert_uint_lt(strlen(q), 600);
        ck_assert_str_eq(q + strlen(q) - 8, "\\x01...\"");
        for (int i = 0; i < 4; i++)
                four[i] = log_quote((const char *[]){ "a", "b", "c", "d" }[i]);
        ck_assert_str_eq(four[0], "\"a\"");
        ck_assert_str_eq(four[3], "\"d\"");
}
END_TEST

/* Whatever a field holds, an event stays one line, of at most 4096 bytes. */
START_TEST(one_line)
{
        cleanup_(freep) char *s = NULL;
        char longer[10000];

        memset(longer, 'x', sizeof longer - 1);
        longer[sizeof longer - 1] = '\0';
        capture();
        log_event(LOG_WARN, "a", "text=%s", "two\nlines\r\x1b[31m");
        log_event(LOG_WARN, "b", "text=%s", longer);
        s = output();
        ck_assert_uint_eq(count_lines(s), 2);
        ck_assert_ptr_nonnull(strstr(s, "event=a text=two lines  [31m\n"));
        ck_assert_uint_eq(strlen(strchr(s, '\n') + 1), 4096);
}
END_TEST

/* Ten lines a second from one place; the next that gets through tells how many did not. */
START_TEST(limited)
{
        cleanup_(freep) char *s = NULL;
        struct log_limit l = { 0 };
        size_t n;

        capture();
        for (int i = 0; i < 35; i++)
                log_write(&l, LOG_INFO, "often", " i=%d", i);
        s = output();
        n = count_lines(s);
        ck_assert_msg(n >= 10 && n <= 20, "%zu lines",
                      n); /* the second may have changed in between */
        ck_assert_uint_le(l.n_suppressed, 25);
        ck_assert_uint_ge(l.n_suppressed, 5);
}
END_TEST

START_TEST(suppressed_are_counted)
{
        cleanup_(freep) char *s = NULL;
        /* of a second long past, in which five were left out */
        struct log_limit l = { .second = 1, .n_in_second = 15, .n_suppressed = 5 };

        capture();
        log_write(&l, LOG_INFO, "often", " ");
        log_write(&l, LOG_INFO, "often", " ");
        s = output();
        assert_matches(s, "event=often suppressed=5\nts=[^\n]* event=often\n$");
        ck_assert_uint_eq(l.n_suppressed, 0);
}
END_TEST

enum { N_THREADS = 4, N_LINES = 50 };

static void *write_lines(void *arg)
{
        for (int i = 0; i < N_LINES; i++) {
                struct log_limit l = { 0 };

                log_write(&l, LOG_INFO, "threaded", " text=%s", log_quote(arg));
        }
        return NULL;
}

START_TEST(lines_do_not_mix)
{
        char texts[N_THREADS][501];
        pthread_t threads[N_THREADS];
        cleanup_(freep) char *s = NULL;
        char *rest, *one;

        capture();
        for (int i = 0; i < N_THREADS; i++) {
                memset(texts[i], 'a' + i, 500);
                texts[i][500] = '\0';
                ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, texts[i]), 0);
        }
        for (int i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        s = rest = output();
        ck_assert_uint_eq(count_lines(s), N_THREADS * N_LINES);
        while ((one = strsep(&rest, "\n")) && *one) {
                const char *text = strstr(one, "event=threaded text=\"");

                ck_assert_msg(text, "%s", one);
                text += strlen("event=threaded text=\"");
                for (size_t i = 0; i < 500; i++) {
                        if (text[i] != text[0])
                                ck_abort_msg("mixed: %s", one);
                }
                ck_assert_str_eq(text + 500, "\"");
        }
}
END_TEST

START_TEST(reader_goes_away)
{
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
        close(ends[0]);
        close(ends[1]);
        log_init("x", LOG_INFO);
        log_event(LOG_INFO, "unheard");
}
END_TEST

static Suite *log_suite(void)
{
        Suite *s = suite_create("log");
        TCase *t = tcase_create("log");

        tcase_add_test(t, line);
        tcase_add_test(t, line_without_fields);
        tcase_add_test(t, levels);
        tcase_add_loop_test(t, level_case, 0, ARRAY_LEN(level_cases));
        tcase_add_loop_test(t, quote_case, 0, ARRAY_LEN(quotes));
        tcase_add_test(t, quotes_are_cut_and_take_turns);
        tcase_add_test(t, one_line);
        tcase_add_test(t, limited);
        tcase_add_test(t, suppressed_are_counted);
        tcase_add_test(t, lines_do_not_mix);
        tcase_add_test(t, reader_goes_away);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(log_suite());
}
