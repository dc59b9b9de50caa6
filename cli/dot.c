/* dot.c - the shell's own commands: a table, and a function each. */
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/import.h"
#include "cli/query.h"
#include "cli/report.h"
#include "cli/shell.h"
#include "cli/topology.h"

enum { MAX_WORDS = 8, MAX_READ_DEPTH = 16 };

struct dot_command {
        const char *name;
        const char *arguments;
        size_t n_min, n_max;
        const char *help;
        enum err_code (*run)(struct shell *sh, char **words, size_t n_words, struct err *reterr);
};

static enum err_code bad_usage(struct err *reterr, const char *what)
{
        return err_set(reterr, ERR_INVALID, "", "%s", what);
}

static enum err_code parse_switch(const char *word, bool *ret_on, struct err *reterr)
{
        if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)
                return err_set(reterr, ERR_INVALID, "", "on or off, not \"%s\"", word);
        *ret_on = strcmp(word, "on") == 0;
        return ERR_OK;
}

/* ---- settings */

static enum err_code run_bail(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        return parse_switch(words[0], &sh->bail, reterr);
}

static enum err_code run_headers(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        sh->headers_were_set = true;
        return parse_switch(words[0], &sh->print.headers, reterr);
}

static enum err_code run_timer(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        return parse_switch(words[0], &sh->timer, reterr);
}

static enum err_code run_stats(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        return parse_switch(words[0], &sh->stats, reterr);
}

static enum err_code run_nullvalue(struct shell *sh, char **words, size_t n_words,
                                   struct err *reterr)
{
        shell_set_null_text(sh, words[0]);
        return ERR_OK;
}

static enum err_code run_mode(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        enum print_mode mode;

        if (n_words == 0) {
                fprintf(sh->out, "%s\n", print_mode_name(sh->print.mode));
                return ERR_OK;
        }
        if (!print_mode_parse(words[0], &mode))
                return bad_usage(reterr, "the modes are list, table, csv and json");
        shell_set_mode(sh, mode);
        return ERR_OK;
}

static enum err_code run_keyspace(struct shell *sh, char **words, size_t n_words,
                                  struct err *reterr)
{
        if (n_words == 0) {
                fprintf(sh->out, "%s\n", sh->keyspace);
                return ERR_OK;
        }
        if (sh->in_transaction)
                return bad_usage(reterr, "a transaction is open: COMMIT or ROLLBACK first");
        free(sh->keyspace);
        sh->keyspace = xstrdup(words[0]);
        return ERR_OK;
}

static enum err_code run_output(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        FILE *out = n_words ? fopen(words[0], "we") : stdout;

        if (!out)
                return err_set(reterr, ERR_INVALID, "", "cannot write %s: %s", words[0],
                               strerror(errno));
        if (sh->out != stdout)
                fclose(sh->out);
        sh->out = out;
        return ERR_OK;
}

/* ---- the schema */

static bool matches(const char *name, char **words, size_t n_words)
{
        return n_words == 0 || sqlite3_strlike(words[0], name, 0) == 0;
}

static enum err_code find_keyspace(struct shell *sh, Shoal__V1__Topology **ret_topology,
                                   Shoal__V1__Keyspace **ret_keyspace, struct err *reterr)
{
        struct remote *topo;
        enum err_code rc = shell_topo(sh, &topo, reterr);

        rc = rc ? rc : topology_get(topo, ret_topology, reterr);
        return rc ? rc : topology_find(*ret_topology, sh->keyspace, ret_keyspace, reterr);
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum err_code run_tables(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        cleanup_(freep) const char **names = NULL;
        Shoal__V1__Keyspace *k;
        size_t n = 0;
        enum err_code rc = find_keyspace(sh, &t, &k, reterr);

        if (rc)
                return rc;
        names = xcalloc(k->n_tables + k->n_objects, sizeof *names);
        for (size_t i = 0; i < k->n_tables; i++)
                names[n++] = k->tables[i]->name;
        for (size_t i = 0; i < k->n_objects; i++) {
                if (strcmp(k->objects[i]->type, "view") == 0)
                        names[n++] = k->objects[i]->name;
        }
        qsort(names, n, sizeof *names, compare_names);
        for (size_t i = 0; i < n; i++) {
                if (matches(names[i], words, n_words))
                        fprintf(sh->out, "%s\n", names[i]);
        }
        return ERR_OK;
}

static enum err_code run_schema(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        cleanup_(topology_freep) Shoal__V1__Topology *t = NULL;
        Shoal__V1__Keyspace *k;
        enum err_code rc = find_keyspace(sh, &t, &k, reterr);

        if (rc)
                return rc;
        for (size_t i = 0; i < k->n_tables; i++) {
                cleanup_(freep) char *sql = topology_create_sql(k->tables[i]);

                if (matches(k->tables[i]->name, words, n_words))
                        fprintf(sh->out, "%s;\n", sql);
        }
        for (size_t i = 0; i < k->n_objects; i++) {
                if (matches(k->objects[i]->table, words, n_words) && *k->objects[i]->sql)
                        fprintf(sh->out, "%s;\n", k->objects[i]->sql);
        }
        return ERR_OK;
}

/* ---- files */

static enum err_code run_import(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        struct import im = { 0 };
        size_t at = 0;

        if (strcmp(words[0], "--csv") == 0)
                at = 1; /* as in SQLite's shell; there is nothing else here */
        if (n_words > at && strcmp(words[at], "--skip") == 0) {
                char *end;

                im.n_skip = n_words > at + 1 ? strtoul(words[at + 1], &end, 10) : 0;
                if (n_words <= at + 1 || end == words[at + 1] || *end)
                        return bad_usage(reterr, "--skip takes a number");
                at += 2;
        }
        if (n_words != at + 2)
                return bad_usage(reterr, "usage: .import [--skip N] FILE TABLE");
        im.file = words[at];
        im.table = words[at + 1];
        return import_run(sh, &im, reterr);
}

static enum err_code run_read(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        struct progress progress;
        struct origin from = { .file = words[0], .is_script = true, .progress = &progress };
        struct stat st;
        FILE *in;
        enum err_code rc;

        if (sh->read_depth >= MAX_READ_DEPTH)
                return bad_usage(reterr, ".read is nested too deeply");
        in = fopen(words[0], "re");
        if (!in)
                return err_set(reterr, ERR_INVALID, "", "cannot open %s: %s", words[0],
                               strerror(errno));
        if (fstat(fileno(in), &st) || !S_ISREG(st.st_mode))
                st.st_size = 0;
        progress_init(&progress, words[0], (uint64_t)st.st_size, isatty(STDERR_FILENO));
        sh->read_depth++;
        rc = shell_run_file(sh, in, &from);
        sh->read_depth--;
        progress_clear(&progress);
        fclose(in);
        /* What went wrong has been told; whoever reads on wants to know if there is no point in it.
         */
        reterr->msg[0] = '\0';
        return rc == ERR_UNAVAILABLE || rc == ERR_CANCELLED || sh->bail ? rc : ERR_OK;
}

static enum err_code run_help(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        shell_dot_help(sh->out);
        return ERR_OK;
}

static enum err_code run_quit(struct shell *sh, char **words, size_t n_words, struct err *reterr)
{
        sh->quit = true;
        return ERR_OK;
}

/* clang-format off */
static const struct dot_command commands[] = {
        { "bail", "on|off", 1, 1, "stop a script at its first error (off)", run_bail },
        { "exit", "", 0, 0, "leave the shell", run_quit },
        { "headers", "on|off", 1, 1, "column names in list and csv", run_headers },
        { "help", "", 0, 0, "this text", run_help },
        { "import", "[--skip N] FILE TABLE", 2, 5,
          "rows of a CSV file into a table; one that is missing is created with the first row as names", run_import },
        { "keyspace", "[NAME]", 0, 1, "which database statements go to, or change it", run_keyspace },
        { "mode", "[list|table|csv|json]", 0, 1, "how results look", run_mode },
        { "nullvalue", "TEXT", 1, 1, "what is shown for NULL", run_nullvalue },
        { "output", "[FILE]", 0, 1, "results go to FILE, or to standard output again", run_output },
        { "quit", "", 0, 0, "leave the shell", run_quit },
        { "read", "FILE", 1, 1, "run the SQL and the dot commands of a file", run_read },
        { "schema", "[PATTERN]", 0, 1, "CREATE statements of the tables like PATTERN and of their indexes", run_schema },
        { "stats", "on|off", 1, 1, "plan, shards, rows and time of each statement", run_stats },
        { "tables", "[PATTERN]", 0, 1, "names of tables and views like PATTERN", run_tables },
        { "timer", "on|off", 1, 1, "how long each statement took", run_timer },
};
/* clang-format on */

void shell_dot_help(FILE *out)
{
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
                cleanup_(freep) char *usage =
                    xasprintf(".%s %s", commands[i].name, commands[i].arguments);

                fprintf(out, "%-32s %s\n", usage, commands[i].help);
        }
}

/* Cuts the text into words: blanks part them unless in '…' or "…", where "…" knows \n, \t, \\ and
 * \". */
static size_t split_words(char *text, char **words, size_t n_max)
{
        char *to = text;
        size_t n = 0;

        while (n < n_max) {
                char quote;

                text += strspn(text, " \t\r\n");
                if (!*text)
                        break;
                quote = *text == '\'' || *text == '"' ? *text++ : '\0';
                words[n++] = to;
                while (*text && (quote ? *text != quote : !strchr(" \t\r\n", *text))) {
                        if (quote == '"' && *text == '\\' && text[1])
                                text++, *text = *text == 'n' ? '\n' : *text == 't' ? '\t' : *text;
                        *to++ = *text++;
                }
                if (*text)
                        text++;
                *to++ = '\0';
        }
        return n;
}

/* A command by its name or the beginning of one; the first that fits, as in SQLite's shell. */
static const struct dot_command *find_command(const char *name)
{
        for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
                if (*name && strncmp(commands[i].name, name, strlen(name)) == 0)
                        return &commands[i];
        }
        return NULL;
}

enum err_code shell_dot(struct shell *sh, const struct origin *from, const char *text, long line)
{
        cleanup_(freep) char *copy = xstrdup(text + 1);
        char *words[MAX_WORDS];
        size_t n = split_words(copy, words, ARRAY_LEN(words));
        const struct dot_command *c = n ? find_command(words[0]) : NULL;
        struct err e = ERR_INIT;
        enum err_code rc;

        remote_take_interrupt();
        if (!c)
                rc = err_set(&e, ERR_INVALID, "", "unknown command .%s; try .help",
                             n ? words[0] : "");
        else if (n - 1 < c->n_min || n - 1 > c->n_max)
                rc = err_set(&e, ERR_INVALID, "", "usage: .%s %s", c->name, c->arguments);
        else
                rc = c->run(sh, words + 1, n - 1, &e);
        fflush(sh->out);
        if (rc && e.msg[0])
                shell_fail(sh, from, line, &e);
        return rc;
}
