/* log.c - one line an event, written with one write(2). Any thread. */
#include "common/log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
        MAX_LINE_BYTES = 4096, /* PIPE_BUF: up to here a write to a pipe is not torn */
        MAX_LINES_A_SECOND = 10,
        N_QUOTE_BUFFERS = 4,
        QUOTE_BYTES = 600,
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* Immutable after log_init(). */
static char process_name[64] = "shoal";
static enum log_level min_level_shown = LOG_INFO;

void log_init(const char *process, enum log_level min_level)
{
        snprintf(process_name, sizeof process_name, "%s", process);
        signal(SIGPIPE, SIG_IGN);
        min_level_shown = min_level;
}

enum err_code log_level_parse(const char *s, enum log_level *ret_level, struct err *reterr)
{
        for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
                if (strcmp(s, level_names[i]) == 0) {
                        *ret_level = (enum log_level)i;
                        return ERR_OK;
                }
        }
        return err_set(reterr, ERR_INVALID, "BAD_CONFIG",
                       "log level \"%s\" is none of debug, info, warn, error", s);
}

/* False: the line is over its limit. On true, *ret_suppressed lines were left out before it. */
static bool pass_limit(struct log_limit *l, unsigned *ret_suppressed)
{
        long now = (long)(mono_us() / 1000000) + 1; /* 0 is a limit never used */
        long second = atomic_load(&l->second);

        if (second != now && atomic_compare_exchange_strong(&l->second, &second, now))
                atomic_store(&l->n_in_second, 0);
        if (atomic_fetch_add(&l->n_in_second, 1) >= MAX_LINES_A_SECOND) {
                atomic_fetch_add(&l->n_suppressed, 1);
                return false;
        }
        *ret_suppressed = atomic_exchange(&l->n_suppressed, 0);
        return true;
}

/* "2024-05-01T12:00:00.123456Z" */
static void format_time(char *s, size_t n_bytes)
{
        int64_t us = wall_us();
        time_t seconds = (time_t)(us / 1000000);
        struct tm tm;
        size_t n;

        gmtime_r(&seconds, &tm);
        n = strftime(s, n_bytes, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(s + n, n_bytes - n, ".%06dZ", (int)(us % 1000000));
}

/* Appends; returns the new length, at most MAX_LINE_BYTES - 1. */
static size_t append(char *line, size_t n, const char *fmt, va_list ap)
{
        int added = vsnprintf(line + n, MAX_LINE_BYTES - n, fmt, ap);

        if (added < 0)
                return n;
        return n + (size_t)added < MAX_LINE_BYTES ? n + (size_t)added : MAX_LINE_BYTES - 1;
}

static size_t printf_(3, 4) append_printf(char *line, size_t n, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        n = append(line, n, fmt, ap);
        va_end(ap);
        return n;
}

/* Whatever a caller passed unquoted: an event stays one line. */
static void blank_controls(char *s, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
                        s[i] = ' ';
        }
}

static void write_all(const char *s, size_t n)
{
        while (n) {
                ssize_t done = write(STDERR_FILENO, s, n);

                if (done <= 0)
                        return; /* there is nowhere to say so */
                s += done;
                n -= (size_t)done;
        }
}

void log_write(struct log_limit *limit, enum log_level level, const char *event, const char *fmt,
               ...)
{
        char line[MAX_LINE_BYTES], at[40];
        unsigned n_suppressed;
        va_list ap;
        size_t n;

        if (level < min_level_shown || !pass_limit(limit, &n_suppressed))
                return;
        format_time(at, sizeof at);
        n = append_printf(line, 0, "ts=%s level=%s process=%s event=%s", at, level_names[level],
                          process_name, event);
        if (n_suppressed)
                n = append_printf(line, n, " suppressed=%u", n_suppressed);
        if (strcmp(fmt, " ") != 0) {
                va_start(ap, fmt);
                n = append(line, n, fmt, ap);
                va_end(ap);
        }
        blank_controls(line, n);
        line[n] = '\n'; /* in place of the NUL */
        write_all(line, n + 1);
}

/* Writes c, escaped if it needs to be, at p; returns the bytes written, at most 4. */
static size_t put_quoted(char *p, unsigned char c)
{
        static const char hex[] = "0123456789abcdef";

        switch (c) {
        case '"':
        case '\\':
                p[0] = '\\';
                p[1] = (char)c;
                return 2;
        case '\n':
                memcpy(p, "\\n", 2);
                return 2;
        case '\t':
                memcpy(p, "\\t", 2);
                return 2;
        default:
                if (c >= 0x20 && c != 0x7f) {
                        p[0] = (char)c;
                        return 1;
                }
                p[0] = '\\';
                p[1] = 'x';
                p[2] = hex[c >> 4];
                p[3] = hex[c & 15];
                return 4;
        }
}

const char *log_quote(const char *s)
{
        static _Thread_local char buffers[N_QUOTE_BUFFERS][QUOTE_BYTES];
        static _Thread_local unsigned next;
        char *q = buffers[next++ % N_QUOTE_BUFFERS];
        size_t n = 0;

        if (!s)
                s = "";
        q[n++] = '"';
        /* Room for one more escape, the ellipsis, the quote and the NUL. */
        while (*s && n + 4 + 3 + 2 <= QUOTE_BYTES)
                n += put_quoted(q + n, (unsigned char)*s++);
        if (*s) {
                memcpy(q + n, "...", 3);
                n += 3;
        }
        q[n++] = '"';
        q[n] = '\0';
        return q;
}
