/* import.c - CSV records as parameters of one INSERT, in batches (cli/bulk.h). */
#include "cli/import.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/bulk.h"
#include "cli/csv.h"
#include "cli/query.h"
#include "cli/report.h"
#include "cli/text.h"

enum { MAX_REPORTED = 10 };

/* Owner: import_run(). */
struct importing {
        struct shell *shell;
        const struct import *what;
        struct csv csv;
        struct progress progress;
        size_t n_columns;
        struct buf insert; /* INSERT INTO … VALUES (?, …) */
        struct value *params;
        uint64_t n_reported;
        uint64_t n_records;
};

static void say(struct importing *im, long line, const char *fmt, ...) printf_(3, 4);
static void say(struct importing *im, long line, const char *fmt, ...)
{
        va_list ap;

        if (im->n_reported++ >= MAX_REPORTED)
                return;
        progress_clear(&im->progress);
        fprintf(stderr, "%s:%ld: ", im->what->file, line);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputs(im->n_reported == MAX_REPORTED ? "\n(further messages are left out)\n" : "\n",
              stderr);
}

static void on_failed(void *arg, long line, const struct err *e)
{
        say(arg, line, "INSERT failed: %s [%s%s%s]", e->msg, err_code_name(e->code),
            e->reason[0] ? " " : "", e->reason);
}

/* ---- the table */

/* A name for column i: the header's, made different from those before it. */
static char *column_name(char **names, size_t i, const char *header)
{
        char *name = *header ? xstrdup(header) : xasprintf("c%zu", i + 1);

        for (size_t k = 0, suffix = 2; k < i; k++) {
                if (strcasecmp(names[k], name) != 0)
                        continue;
                free(name);
                name = xasprintf("%s_%zu", *header ? header : "c", suffix++);
                k = (size_t)-1; /* from the start again */
        }
        return name;
}

static char *create_statement(struct importing *im)
{
        char **names = xcalloc(im->csv.n_fields, sizeof *names);
        struct buf sql = BUF_INIT(0);
        size_t n;

        buf_add_str(&sql, "CREATE TABLE ");
        text_add_name(&sql, im->what->table);
        for (size_t i = 0; i < im->csv.n_fields; i++) {
                names[i] = column_name(names, i, csv_field(&im->csv, i, &n));
                buf_add_str(&sql, i ? ", " : " (");
                text_add_name(&sql, names[i]);
                buf_add_str(&sql, " TEXT");
        }
        buf_add_str(&sql, ")");
        query_names_free(names, im->csv.n_fields);
        return buf_take_str(&sql);
}

static void ignore_columns(void *arg, const char *const *names, size_t n)
{
}

static void ignore_row(void *arg, const struct value *values, size_t n)
{
}

static enum err_code create_table(struct importing *im, struct err *reterr)
{
        static const struct query_events ignore = { .columns = ignore_columns, .row = ignore_row };
        cleanup_(freep) char *sql = NULL;
        bool has_header;
        enum err_code rc = csv_next(&im->csv, &has_header, reterr);

        if (rc)
                return rc;
        if (!has_header)
                return err_set(reterr, ERR_INVALID, "",
                               "%s is empty: no header to create table %s from", im->what->file,
                               im->what->table);
        sql = create_statement(im);
        im->n_columns = im->csv.n_fields;
        return shell_ask(im->shell, sql, &ignore, NULL, reterr);
}

/* Asks for the table's columns, creates the table if it is not there. */
static enum err_code prepare_table(struct importing *im, struct remote *gate, struct err *reterr)
{
        struct buf sql = BUF_INIT(0);
        cleanup_(freep) char *select = NULL;
        char **names = NULL;
        enum err_code rc;

        buf_add_str(&sql, "SELECT * FROM ");
        text_add_name(&sql, im->what->table);
        select = buf_take_str(&sql);
        rc = query_describe(gate, im->shell->keyspace, select, &names, &im->n_columns, reterr);
        if (rc == ERR_OK)
                query_names_free(names, im->n_columns);
        else if (rc == ERR_NOT_FOUND)
                rc = create_table(im, reterr);
        return rc;
}

static void make_insert(struct importing *im)
{
        buf_add_str(&im->insert, "INSERT INTO ");
        text_add_name(&im->insert, im->what->table);
        buf_add_str(&im->insert, " VALUES (");
        for (size_t i = 0; i < im->n_columns; i++)
                buf_add_str(&im->insert, i ? ", ?" : "?");
        buf_add_str(&im->insert, ")");
        im->params = xcalloc(im->n_columns, sizeof *im->params);
}

/* ---- the rows */

static enum err_code add_record(struct importing *im, struct bulk *bulk, struct err *reterr)
{
        const struct csv *c = &im->csv;

        if (c->n_fields < im->n_columns)
                say(im, c->line, "expected %zu columns but found %zu - filling the rest with NULL",
                    im->n_columns, c->n_fields);
        else if (c->n_fields > im->n_columns)
                say(im, c->line, "expected %zu columns but found %zu - extras ignored",
                    im->n_columns, c->n_fields);
        for (size_t i = 0; i < im->n_columns; i++) {
                size_t n;
                const char *field = i < c->n_fields ? csv_field(c, i, &n) : NULL;

                im->params[i] = field ? value_text(field, n) : value_null();
        }
        im->n_records++;
        return bulk_add(bulk, c->line, (const char *)im->insert.data, im->insert.n_bytes,
                        im->params, im->n_columns, reterr);
}

static enum err_code send_records(struct importing *im, struct bulk *bulk, struct err *reterr)
{
        bool more = true;
        enum err_code rc = ERR_OK;

        while (rc == ERR_OK) {
                rc = csv_next(&im->csv, &more, reterr);
                if (rc || !more)
                        break;
                rc = add_record(im, bulk, reterr);
                progress_show(&im->progress, (uint64_t)ftello(im->csv.in), im->n_records, "rows");
        }
        return rc ? rc : bulk_finish(bulk, reterr);
}

static enum err_code run(struct importing *im, struct err *reterr)
{
        cleanup_(bulk_freep) struct bulk *bulk = NULL;
        struct remote *gate;
        bool more = true;
        enum err_code rc = shell_gate(im->shell, &gate, reterr);

        for (unsigned long i = 0; i < im->what->n_skip && more && rc == ERR_OK; i++)
                rc = csv_next(&im->csv, &more, reterr);
        if (rc == ERR_OK)
                rc = prepare_table(im, gate, reterr);
        if (rc)
                return rc;
        make_insert(im);
        bulk = bulk_new(gate, im->shell->keyspace, on_failed, im);
        rc = send_records(im, bulk, reterr);
        progress_clear(&im->progress);
        if (rc)
                return err_wrap(reterr, rc, "%s: stopped after %llu rows", im->what->file,
                                (unsigned long long)bulk_n_done(bulk));
        if (im->shell->interactive)
                fprintf(im->shell->out, "(%llu rows imported)\n",
                        (unsigned long long)bulk_n_done(bulk));
        if (bulk_n_failed(bulk))
                return err_set(reterr, ERR_ABORTED, "", "%s: %llu of %llu rows were not inserted",
                               im->what->file, (unsigned long long)bulk_n_failed(bulk),
                               (unsigned long long)im->n_records);
        return ERR_OK;
}

enum err_code import_run(struct shell *sh, const struct import *i, struct err *reterr)
{
        struct importing im = { .shell = sh, .what = i, .insert = BUF_INIT(0) };
        FILE *in = fopen(i->file, "re");
        struct stat st;
        enum err_code rc;

        if (!in)
                return err_set(reterr, ERR_INVALID, "", "cannot open %s: %s", i->file,
                               strerror(errno));
        if (fstat(fileno(in), &st) || !S_ISREG(st.st_mode))
                st.st_size = 0;
        progress_init(&im.progress, i->file, (uint64_t)st.st_size, isatty(STDERR_FILENO));
        csv_init(&im.csv, in);
        rc = run(&im, reterr);
        csv_done(&im.csv);
        buf_done(&im.insert);
        free(im.params);
        fclose(in);
        return rc;
}
