/* split_insert.c - see split_insert.h. */
#include "cli/split_insert.h"

#include <string.h>

#include "cli/bulk.h"
#include "sql/normalize.h"
#include "sql/parse.h"

enum { ARENA_BYTES = 1 << 30, MAX_REPORTED = 5 };

bool split_insert_applies(const struct err *refusal)
{
        if (refusal->code == ERR_EXHAUSTED)
                return true;
        return refusal->code == ERR_UNIMPLEMENTED &&
               strcmp(refusal->reason, "WRITE_SPANS_SHARDS") == 0;
}

bool split_insert_parse(struct arena *a, const char *sql, size_t n_bytes,
                        struct split_insert *ret_split)
{
        const struct sql_insert *insert;
        const struct sql_rows *rows;
        struct sql_stmt *st;

        if (sql_parse(a, sql, n_bytes, &st, NULL, NULL) || st->type != SQL_INSERT || st->explain)
                return false;
        insert = st->insert;
        if (!insert->select || insert->returning.n || insert->select->arms.n != 1 ||
            !insert->select->arms.items[0]->is_values)
                return false;
        rows = &insert->select->arms.items[0]->rows;
        if (rows->n < 2)
                return false;
        ret_split->rows = arena_calloc(a, rows->n, sizeof *ret_split->rows);
        if (!ret_split->rows)
                return false;
        for (size_t i = 0; i < rows->n; i++)
                ret_split->rows[i] = rows->items[i]->span;
        ret_split->n_rows = rows->n;
        ret_split->head = (struct sql_span){ 0, ret_split->rows[0].start };
        ret_split->tail = (struct sql_span){ ret_split->rows[rows->n - 1].end, (uint32_t)n_bytes };
        return true;
}

static void add_span(struct buf *b, const char *sql, struct sql_span span)
{
        buf_add(b, sql + span.start, span.end - span.start);
}

void split_insert_row(struct buf *b, const char *sql, const struct split_insert *s, size_t i)
{
        add_span(b, sql, s->head);
        add_span(b, sql, s->rows[i]);
        add_span(b, sql, s->tail);
}

/* ---- sending them */

/* Owner: split_insert_run(). */
struct sending {
        struct shell *shell;
        const struct origin *from;
        const char *sql;
        const struct split_insert *split;
        long line; /* of the statement */
        uint64_t n_reported;
};

static long line_of(const struct sending *s, size_t at)
{
        long line = s->line;

        for (size_t i = 0; i < at; i++)
                line += s->sql[i] == '\n';
        return line;
}

static void on_failed(void *arg, long row, const struct err *e)
{
        struct sending *s = arg;

        if (s->n_reported++ < MAX_REPORTED)
                shell_fail(s->shell, s->from, line_of(s, s->split->rows[row].start), e);
}

static void tell_once(struct shell *sh, const struct origin *from)
{
        if (sh->told_row_by_row)
                return;
        sh->told_row_by_row = true;
        if (from->progress)
                progress_clear(from->progress);
        fputs("Note: INSERTs of several rows are loaded row by row, not atomically: they are too "
              "large for one statement, or their rows lie on several shards, and this version has "
              "no transactions over shards.\n",
              stderr);
}

/* With its literals as parameters the INSERTs of all rows have one text, which bulk.h asks for. */
static enum err_code send_row(struct bulk *bulk, const struct buf *row, struct sql_normalized *norm,
                              long tag, struct err *e)
{
        const char *sql = (const char *)row->data;

        if (sql_normalize(sql, row->n_bytes, norm))
                return bulk_add(bulk, tag, (const char *)norm->text.data, norm->text.n_bytes,
                                norm->values, norm->n_values, e);
        return bulk_add(bulk, tag, sql, row->n_bytes, NULL, 0, e);
}

static enum err_code send_rows(struct bulk *bulk, const char *sql, const struct split_insert *split,
                               struct err *e)
{
        struct sql_normalized norm = SQL_NORMALIZED_INIT;
        struct buf row = BUF_INIT(0);
        enum err_code rc = ERR_OK;

        for (size_t i = 0; i < split->n_rows && rc == ERR_OK; i++) {
                row.n_bytes = 0;
                split_insert_row(&row, sql, split, i);
                rc = send_row(bulk, &row, &norm, (long)i, e);
        }
        buf_done(&row);
        sql_normalized_done(&norm);
        return rc ? rc : bulk_finish(bulk, e);
}

enum err_code split_insert_run(struct shell *sh, const struct origin *from, const char *sql,
                               size_t n_bytes, long line, struct query_result *result,
                               struct err *e)
{
        cleanup_(arena_freep) struct arena *a = arena_new(ARENA_BYTES);
        cleanup_(bulk_freep) struct bulk *bulk = NULL;
        struct split_insert split;
        struct sending s = { .shell = sh, .from = from, .sql = sql, .split = &split, .line = line };
        struct remote *gate;
        enum err_code rc;

        if (!split_insert_parse(a, sql, n_bytes, &split))
                return e->code;
        *e = (struct err)ERR_INIT;
        rc = shell_gate(sh, &gate, e);
        if (rc)
                return rc;
        tell_once(sh, from);
        bulk = bulk_new(gate, sh->keyspace, on_failed, &s);
        rc = send_rows(bulk, sql, &split, e);
        result->rows_affected = (int64_t)bulk_n_rows(bulk);
        if (rc)
                return rc;
        if (bulk_n_failed(bulk))
                return err_set(e, ERR_ABORTED, "",
                               "%llu of %zu rows of the INSERT were not inserted",
                               (unsigned long long)bulk_n_failed(bulk), split.n_rows);
        return ERR_OK;
}
