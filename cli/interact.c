/* interact.c - the shell in front of a person: libedit for the line, a history file, Ctrl-C. */
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/shell.h"
#include "cli/splitter.h"

enum { HISTORY_LINES = 2000, PROMPT_BYTES = 64 };

/* Owner: shell_interact(). */
struct terminal {
        struct shell *shell;
        struct splitter splitter;
        EditLine *el;
        History *history;
        char *history_path; /* NULL: none is kept */
        char prompt[PROMPT_BYTES];
        bool cancelled; /* Ctrl-C while typing */
};

static char *show_prompt(EditLine *el)
{
        struct terminal *t;

        el_get(el, EL_CLIENTDATA, (void **)&t);
        return t->prompt;
}

/* "main> ", and for the further lines of a statement dots under it. */
static void make_prompt(struct terminal *t)
{
        int n = snprintf(t->prompt, sizeof t->prompt, "%.40s%s> ", t->shell->keyspace,
                         t->shell->in_transaction ? "*" : "");

        if (splitter_is_idle(&t->splitter))
                return;
        memset(t->prompt, ' ', (size_t)n);
        for (int i = 2; i <= 5 && i <= n; i++)
                t->prompt[n - i] = i == 2 ? '>' : '.';
}

/* Ctrl-C: the line is ended, and what was typed so far is dropped by read_line(). */
static unsigned char cancel_line(EditLine *el, int ch)
{
        struct terminal *t;

        el_get(el, EL_CLIENTDATA, (void **)&t);
        t->cancelled = true;
        return CC_NEWLINE;
}

static void open_history(struct terminal *t)
{
        const char *path = getenv("SHOAL_HISTORY");
        const char *home = getenv("HOME");
        HistEvent event;

        t->history = history_init();
        history(t->history, &event, H_SETSIZE, HISTORY_LINES);
        history(t->history, &event, H_SETUNIQUE, 1);
        if (path)
                t->history_path = *path ? xstrdup(path) : NULL;
        else if (home)
                t->history_path = xasprintf("%s/.shoal_history", home);
        if (t->history_path)
                history(t->history, &event, H_LOAD, t->history_path);
        el_set(t->el, EL_HIST, history, t->history);
}

static void save_history(struct terminal *t)
{
        HistEvent event;
        int fd;

        if (!t->history_path)
                return;
        /* Statements may hold secrets: the file is its owner's alone from the start. */
        fd = open(t->history_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return;
        close(fd);
        history(t->history, &event, H_SAVE, t->history_path);
}

static void open_terminal(struct terminal *t, struct shell *sh)
{
        t->shell = sh;
        splitter_init(&t->splitter);
        t->el = el_init("shoal", stdin, stdout, stderr);
        el_set(t->el, EL_CLIENTDATA, t);
        el_set(t->el, EL_PROMPT, show_prompt);
        el_set(t->el, EL_EDITOR, "emacs");
        open_history(t);
        /* While a line is edited Ctrl-C is a key, not a signal; otherwise it stops the statement
         * that runs. */
        el_set(t->el, EL_SETTY, "-d", "-isig", NULL);
        /* Wide, since el_set() would leak copies of the two strings. */
        el_wset(t->el, EL_ADDFN, L"cancel-line", L"Drop the statement", cancel_line);
        el_set(t->el, EL_BIND, "^C", "cancel-line", NULL);
        el_set(t->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
        el_source(t->el, NULL);
}

static void close_terminal(struct terminal *t)
{
        save_history(t);
        history_end(t->history);
        el_end(t->el);
        splitter_done(&t->splitter);
        free(t->history_path);
}

static void remember_line(struct terminal *t, const char *line, int n)
{
        cleanup_(freep) char *text = xstrndup(line, (size_t)n);
        HistEvent event;

        text[strcspn(text, "\n")] = '\0';
        if (text[strspn(text, " \t")])
                history(t->history, &event, H_ENTER, text);
}

static void run_line(struct terminal *t, const char *line, size_t n)
{
        struct origin from = { 0 };
        struct err e = ERR_INIT;
        const char *sql;
        size_t n_sql;
        long number;

        if (splitter_is_idle(&t->splitter) && line[0] == '.') {
                cleanup_(freep) char *command = xstrndup(line, n);

                splitter_skip_line(&t->splitter);
                shell_dot(t->shell, &from, command, 0);
                return;
        }
        if (splitter_add(&t->splitter, line, n, &e)) {
                shell_fail(t->shell, &from, 0, &e);
                return;
        }
        while (!t->shell->quit && splitter_next(&t->splitter, &sql, &n_sql, &number)) {
                if (shell_statement(t->shell, &from, sql, n_sql, number) == ERR_CANCELLED)
                        splitter_reset(&t->splitter);
        }
}

void shell_interact(struct shell *sh)
{
        struct terminal t = { 0 };

        open_terminal(&t, sh);
        while (!sh->quit) {
                const char *line;
                int n = 0;

                make_prompt(&t);
                t.cancelled = false;
                line = el_gets(t.el, &n);
                if (t.cancelled) {
                        puts("^C");
                        splitter_reset(&t.splitter);
                        continue;
                }
                if (!line || n <= 0) {
                        if (n < 0 && errno == EINTR)
                                continue;
                        break;
                }
                remember_line(&t, line, n);
                run_line(&t, line, (size_t)n);
        }
        if (!sh->quit)
                fputc('\n', stdout);
        /* A person has seen what went wrong. */
        sh->exit_code = EXIT_OK;
        close_terminal(&t);
}
