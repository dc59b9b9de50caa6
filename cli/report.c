/* report.c - errors on standard error. Any thread. */
#include "cli/report.h"

#include <string.h>

#include "cli/text.h"
#include "common/buf.h"

enum { CONTEXT_BEFORE = 50, CONTEXT_AFTER = 30 };

int report_exit_code(const struct err *e)
{
        switch (e->code) {
        case ERR_OK:
                return EXIT_OK;
        case ERR_UNAVAILABLE:
                return EXIT_UNAVAILABLE;
        case ERR_CANCELLED:
                return EXIT_INTERRUPTED;
        default:
                return EXIT_SQL;
        }
}

static bool is_continuation(char c)
{
        return ((unsigned char)c & 0xc0) == 0x80;
}

/* The line of the statement in which the error is, or the part of it around the error, and an
 * arrow. */
static void print_context(FILE *out, const char *sql, size_t n, size_t at)
{
        size_t start = at, end = at, before;
        struct buf head = BUF_INIT(0), tail = BUF_INIT(0);

        while (start > 0 && sql[start - 1] != '\n' &&
               (at - start < CONTEXT_BEFORE || is_continuation(sql[start])))
                start--;
        while (end < n && sql[end] != '\n' &&
               (end - at < CONTEXT_AFTER || is_continuation(sql[end])))
                end++;
        before = text_add_cell(&head, sql + start, at - start);
        text_add_cell(&tail, sql + at, end - at);
        fprintf(out, "  %.*s%.*s\n  %*s", (int)head.n_bytes, head.n_bytes ? (char *)head.data : "",
                (int)tail.n_bytes, tail.n_bytes ? (char *)tail.data : "", (int)before, "");
        fputs("^--- error here\n", out);
        buf_done(&head);
        buf_done(&tail);
}

void report_error(FILE *out, const struct err *e, const char *file, long line, const char *sql,
                  size_t n_bytes)
{
        bool has_offset = sql && e->offset >= 0 && (size_t)e->offset <= n_bytes;

        fputs(has_offset && e->code != ERR_UNIMPLEMENTED ? "Parse error"
              : e->extended_code                         ? "Runtime error"
                                                         : "Error",
              out);
        if (line > 0 && file)
                fprintf(out, " at %s:%ld", file, line);
        else if (line > 0)
                fprintf(out, " near line %ld", line);
        fprintf(out, ": %s", e->msg[0] ? e->msg : "no message");
        if (e->extended_code && !has_offset)
                fprintf(out, " (%d)", e->extended_code);
        /* The shell's own complaints have no reason to look up. */
        if (e->reason[0] || e->code != ERR_INVALID)
                fprintf(out, " [%s%s%s]", err_code_name(e->code), e->reason[0] ? " " : "",
                        e->reason);
        fputc('\n', out);
        if (has_offset)
                print_context(out, sql, n_bytes, (size_t)e->offset);
}
