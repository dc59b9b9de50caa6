/* shell.c - one statement: asked, printed, measured. */
#include "cli/shell.h"

#include <string.h>

#include "cli/query.h"
#include "cli/report.h"
#include "cli/split_insert.h"

static const char default_null[] = "NULL";

void shell_init(struct shell *sh, struct loop *l, const struct places *places)
{
        *sh = (struct shell){ .loop = l, .places = places, .out = stdout };
        sh->keyspace = xstrdup("main");
        sh->session = xstrdup("");
        sh->print.null_text = "";
}

void shell_done(struct shell *sh)
{
        remote_free(sh->gate);
        remote_free(sh->topo);
        free(sh->keyspace);
        free(sh->session);
        free(sh->null_text);
        if (sh->out != stdout)
                fclose(sh->out);
}

static enum err_code connect_to(struct shell *sh, const char *address, const char *what,
                                struct remote **remote, struct err *reterr)
{
        if (!*remote && !address)
                return err_set(reterr, ERR_INVALID, "",
                               "the address of a %s is not known: give --%s HOST:PORT, set %s, or "
                               "name a local "
                               "cluster with --cluster DIR",
                               what, what, strcmp(what, "gate") == 0 ? "SHOAL_GATE" : "SHOAL_TOPO");
        if (!*remote)
                *remote = remote_new(sh->loop, address, sh->timeout_ms);
        return ERR_OK;
}

enum err_code shell_gate(struct shell *sh, struct remote **ret_gate, struct err *reterr)
{
        enum err_code rc = connect_to(sh, sh->places->gate, "gate", &sh->gate, reterr);

        *ret_gate = sh->gate;
        return rc;
}

enum err_code shell_topo(struct shell *sh, struct remote **ret_topo, struct err *reterr)
{
        enum err_code rc = connect_to(sh, sh->places->topo, "topo", &sh->topo, reterr);

        *ret_topo = sh->topo;
        return rc;
}

void shell_set_mode(struct shell *sh, enum print_mode mode)
{
        sh->print.mode = mode;
        if (!sh->null_was_set)
                sh->print.null_text = mode == PRINT_TABLE ? default_null : "";
        if (!sh->headers_were_set)
                sh->print.headers = mode == PRINT_CSV && sh->interactive;
}

void shell_set_null_text(struct shell *sh, const char *text)
{
        free(sh->null_text);
        sh->null_text = xstrdup(text);
        sh->print.null_text = sh->null_text;
        sh->null_was_set = true;
}

/* ---- one statement */

/* Owner: shell_statement(). */
struct answer {
        struct shell *shell;
        struct printer *printer;
        struct progress *progress;
        struct query_result result;
};

static void on_columns(void *arg, const char *const *names, size_t n)
{
        struct answer *a = arg;

        if (a->progress)
                progress_clear(a->progress);
        printer_columns(a->printer, names, n);
}

static void on_row(void *arg, const struct value *values, size_t n)
{
        struct answer *a = arg;

        printer_row(a->printer, values);
}

static const struct query_events print_events = { .columns = on_columns, .row = on_row };

static void remember_session(struct shell *sh, struct query_result *r)
{
        sh->in_transaction = r->in_transaction;
        free(sh->session);
        sh->session = r->in_transaction ? TAKE(r->session) : xstrdup("");
}

static enum err_code ask_gate(struct shell *sh, const char *sql, size_t n_bytes,
                              const struct query_events *ev, void *arg,
                              struct query_result *ret_result, struct err *reterr)
{
        struct remote *gate;
        struct query q = {
                .keyspace = sh->keyspace,
                .session = sh->session,
                .sql = sql,
                .n_bytes = n_bytes,
                .with_stats = sh->stats,
        };
        enum err_code rc = shell_gate(sh, &gate, reterr);

        if (rc)
                return rc;
        rc = query_run(gate, &q, ev, arg, ret_result, reterr);
        if (rc == ERR_OK)
                remember_session(sh, ret_result);
        return rc;
}

enum err_code shell_ask(struct shell *sh, const char *sql, const struct query_events *ev, void *arg,
                        struct err *reterr)
{
        struct query_result result = { 0 };
        enum err_code rc = ask_gate(sh, sql, strlen(sql), ev, arg, &result, reterr);

        query_result_done(&result);
        return rc;
}

static void print_stats(FILE *out, const Shoal__V1__QueryStats *stats)
{
        fprintf(out, "plan: %s%s, %zu shard%s, %.3f ms\n", stats->plan,
                stats->plan_cached ? " (cached)" : "", stats->n_shards,
                stats->n_shards == 1 ? "" : "s", (double)stats->total_us / 1000);
        for (size_t i = 0; i < stats->n_shards; i++) {
                const Shoal__V1__ShardStats *s = stats->shards[i];

                fprintf(out, "  %-10s %-12s %8llu row%s %10llu bytes %10.3f ms\n", s->shard,
                        s->tablet, (unsigned long long)s->rows, s->rows == 1 ? " " : "s",
                        (unsigned long long)s->bytes, (double)s->elapsed_us / 1000);
        }
}

/* What a person wants to know beyond the rows. */
static void print_footer(struct shell *sh, const struct query_result *r, int64_t elapsed_us)
{
        if (sh->interactive && sh->print.mode == PRINT_TABLE && r->n_columns)
                fprintf(sh->out, "(%llu row%s)\n", (unsigned long long)r->n_rows,
                        r->n_rows == 1 ? "" : "s");
        else if (sh->interactive && r->rows_affected)
                fprintf(sh->out, "(%lld row%s changed)\n", (long long)r->rows_affected,
                        r->rows_affected == 1 ? "" : "s");
        if (sh->stats && r->stats)
                print_stats(sh->out, r->stats);
        if (sh->timer)
                fprintf(sh->out, "Run Time: real %.3f\n", (double)elapsed_us / 1e6);
}

static void fail_statement(struct shell *sh, const struct origin *from, const struct err *e,
                           const char *sql, size_t n_bytes, long line)
{
        if (from->progress)
                progress_clear(from->progress);
        fflush(sh->out);
        report_error(stderr, e, from->file, from->is_script ? line : 0, sql, n_bytes);
        if (sh->exit_code == EXIT_OK || report_exit_code(e) != EXIT_SQL)
                sh->exit_code = report_exit_code(e);
}

enum err_code shell_fail(struct shell *sh, const struct origin *from, long line,
                         const struct err *e)
{
        fail_statement(sh, from, e, NULL, 0, line);
        return e->code;
}

enum err_code shell_statement(struct shell *sh, const struct origin *from, const char *sql,
                              size_t n_bytes, long line)
{
        struct answer a = { .shell = sh, .progress = from->progress };
        struct err e = ERR_INIT;
        int64_t begun_us = mono_us();
        enum err_code rc;

        remote_take_interrupt();
        a.printer = printer_new(sh->out, &sh->print);
        rc = ask_gate(sh, sql, n_bytes, &print_events, &a, &a.result, &e);
        if (rc && from->is_script && split_insert_applies(&e))
                rc = split_insert_run(sh, from, sql, n_bytes, line, &a.result, &e);
        printer_end(a.printer);
        if (rc)
                fail_statement(sh, from, &e, sql, n_bytes, line);
        else
                print_footer(sh, &a.result, mono_us() - begun_us);
        fflush(sh->out);
        printer_free(a.printer);
        query_result_done(&a.result);
        return rc;
}
