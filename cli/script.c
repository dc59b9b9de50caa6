/* script.c - text that does not come from a person: standard input, files, arguments. */
#include <errno.h>
#include <string.h>

#include "cli/report.h"
#include "cli/shell.h"
#include "cli/splitter.h"

/* Whether there is a point in going on after this. */
static bool must_stop(const struct shell *sh, enum err_code rc)
{
        return sh->quit || (rc && sh->bail) || rc == ERR_UNAVAILABLE || rc == ERR_CANCELLED;
}

static enum err_code run_complete(struct shell *sh, struct splitter *s, const struct origin *from)
{
        enum err_code rc = ERR_OK;
        const char *sql;
        size_t n;
        long line;

        while (!must_stop(sh, rc) && splitter_next(s, &sql, &n, &line))
                rc = shell_statement(sh, from, sql, n, line);
        return rc;
}

static enum err_code run_line(struct shell *sh, struct splitter *s, const struct origin *from,
                              const char *text, size_t n)
{
        struct err e = ERR_INIT;

        if (splitter_is_idle(s) && text[0] == '.') {
                cleanup_(freep) char *command = xstrndup(text, n);

                return shell_dot(sh, from, command, splitter_skip_line(s));
        }
        if (splitter_add(s, text, n, &e))
                return shell_fail(sh, from, 0, &e);
        return run_complete(sh, s, from);
}

static enum err_code run_rest(struct shell *sh, struct splitter *s, const struct origin *from)
{
        const char *sql;
        size_t n;
        long line;
        enum err_code rc = run_complete(sh, s, from);

        if (must_stop(sh, rc) || !splitter_rest(s, &sql, &n, &line))
                return rc;
        return shell_statement(sh, from, sql, n, line);
}

enum err_code shell_run_file(struct shell *sh, FILE *in, const struct origin *from)
{
        struct splitter s;
        char *text = NULL;
        size_t n_allocated = 0, n_done = 0, n_lines = 0;
        enum err_code rc = ERR_OK;
        ssize_t n = 0;

        splitter_init(&s);
        while (!must_stop(sh, rc) && (n = getline(&text, &n_allocated, in)) >= 0) {
                rc = run_line(sh, &s, from, text, (size_t)n);
                n_done += (size_t)n;
                if (from->progress)
                        progress_show(from->progress, n_done, ++n_lines, "lines");
        }
        if (n < 0 && ferror(in)) {
                struct err e = ERR_INIT;

                err_set(&e, ERR_INVALID, "", "cannot read: %s", strerror(errno));
                rc = shell_fail(sh, from, s.line, &e);
        } else if (!must_stop(sh, rc)) {
                rc = run_rest(sh, &s, from);
        }
        free(text);
        splitter_done(&s);
        return rc;
}

enum err_code shell_run_text(struct shell *sh, const char *text)
{
        struct origin from = { 0 };
        struct splitter s;
        enum err_code rc = ERR_OK;

        splitter_init(&s);
        while (*text && !must_stop(sh, rc)) {
                size_t n = strcspn(text, "\n");

                n += text[n] == '\n';
                rc = run_line(sh, &s, &from, text, n);
                text += n;
        }
        if (!must_stop(sh, rc))
                rc = run_rest(sh, &s, &from);
        splitter_done(&s);
        return rc;
}
