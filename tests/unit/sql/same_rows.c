/* same_rows.c - see same_rows.h. */
#include "tests/unit/sql/same_rows.h"

#include <stdio.h>
#include <string.h>

#include "common/arena.h"
#include "sql/parse.h"
#include "sql/print.h"
#include "tests/unit/sql/oracle.h"

void same_rows_init(struct same_rows *s)
{
        *s = (struct same_rows){ .norm = SQL_NORMALIZED_INIT };
        s->original = oracle_open();
        s->printed = oracle_open();
        s->normalized = oracle_open();
}

void same_rows_done(struct same_rows *s)
{
        sqlite3_close(s->original);
        sqlite3_close(s->printed);
        sqlite3_close(s->normalized);
        sql_normalized_done(&s->norm);
}

static int bind(sqlite3_stmt *stmt, int i, const struct value *v)
{
        switch (v->type) {
        case VALUE_INTEGER:
                return sqlite3_bind_int64(stmt, i, v->integer);
        case VALUE_REAL:
                return sqlite3_bind_double(stmt, i, v->real);
        case VALUE_TEXT:
                return sqlite3_bind_text(stmt, i, v->n_bytes ? v->data : "", (int)v->n_bytes,
                                         SQLITE_STATIC);
        case VALUE_BLOB:
                return v->n_bytes
                           ? sqlite3_bind_blob(stmt, i, v->data, (int)v->n_bytes, SQLITE_STATIC)
                           : sqlite3_bind_zeroblob(stmt, i, 0);
        case VALUE_NULL:
                break;
        }
        return SQLITE_MISUSE;
}

/* Rows are compared as lines of text. */
static void add_readable(struct buf *b, uint8_t c)
{
        if (c < ' ')
                buf_printf(b, "\\%02x", c);
        else
                buf_add_byte(b, c);
}

static void add_row(struct buf *b, sqlite3_stmt *stmt)
{
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
                int type = sqlite3_column_type(stmt, i);
                const void *p = type == SQLITE_NULL ? NULL : sqlite3_column_blob(stmt, i);
                int n = sqlite3_column_bytes(stmt, i);

                buf_add_byte(b, (uint8_t)('0' + type));
                for (int k = 0; p && k < n; k++)
                        add_readable(b, ((const uint8_t *)p)[k]);
                buf_add_byte(b, '|');
        }
        buf_add_byte(b, '\n');
}

/* Everything a client sees of it. Names only where keep_names. */
static void run(sqlite3 *db, const char *sql, size_t n_bytes, const struct sql_normalized *norm,
                bool keep_names, struct buf *b)
{
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(db, sql, (int)n_bytes, &stmt, NULL);

        b->n_bytes = 0;
        for (uint32_t i = 0; norm && rc == SQLITE_OK && i < norm->n_values; i++)
                rc = bind(stmt, (int)(norm->first_number + i), &norm->values[i]);
        for (int i = 0; keep_names && i < sqlite3_column_count(stmt); i++) {
                buf_add_str(b, sqlite3_column_name(stmt, i));
                buf_add_byte(b, ';');
        }
        buf_add_byte(b, '\n');
        while (rc == SQLITE_OK && stmt && sqlite3_step(stmt) == SQLITE_ROW)
                add_row(b, stmt);
        sqlite3_finalize(stmt);
        buf_printf(b, "%d changes, %d %s", sqlite3_changes(db), sqlite3_extended_errcode(db),
                   sqlite3_errcode(db) ? sqlite3_errmsg(db) : "");
        buf_add_byte(b, 0);
}

static const char *differ(const char *how, const struct buf *text, const struct buf *a,
                          const struct buf *b)
{
        static char problem[8192];

        snprintf(problem, sizeof problem, "%s as %.*s\n--- gives %.2000s\n--- instead of %.2000s",
                 how, (int)(text->n_bytes < 2000 ? text->n_bytes : 2000), (const char *)text->data,
                 (const char *)b->data, (const char *)a->data);
        return problem;
}

static int compare_lines(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Splits the text into its lines, sorted; malloc'ed, the lines point into text. */
static char **sorted_lines(char *text, size_t *ret_n)
{
        char **lines = NULL;
        size_t n = 0;
        char *save;

        for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
                lines = xrealloc(lines, (n + 1) * sizeof *lines);
                lines[n++] = l;
        }
        qsort(lines, n, sizeof *lines, compare_lines);
        *ret_n = n;
        return lines;
}

/* Whether a and b, which are destroyed, consist of the same lines. */
static bool same_lines(struct buf *a, struct buf *b)
{
        size_t n_a, n_b;
        char **x = sorted_lines((char *)a->data, &n_a);
        char **y = sorted_lines((char *)b->data, &n_b);
        bool same = n_a == n_b;

        for (size_t i = 0; same && i < n_a; i++)
                same = strcmp(x[i], y[i]) == 0;
        free(x);
        free(y);
        return same;
}

static const char *check_printed(struct same_rows *s, const char *sql, size_t n_bytes,
                                 const struct buf *expected)
{
        const struct sql_print_options options = { .keep_names = true };
        cleanup_(arena_freep) struct arena *a = arena_new(64 << 20);
        cleanup_(buf_done) struct buf text = BUF_INIT(0);
        cleanup_(buf_done) struct buf got = BUF_INIT(0);
        struct sql_stmt *st;
        struct err err = ERR_INIT;

        if (sql_parse(a, sql, n_bytes, &st, NULL, &err)) {
                run(s->printed, sql, n_bytes, NULL, true, &got);
                return NULL;
        }
        s->n_parsed++;
        if (st->type == SQL_EMPTY)
                return NULL;
        if (sql_print(&text, st, &options, &err))
                return "cannot be printed";
        run(s->printed, (const char *)text.data, text.n_bytes, NULL, true, &got);
        if (strcmp((const char *)got.data, (const char *)expected->data) != 0)
                return differ("printed", &text, expected, &got);
        return NULL;
}

static const char *check_normalized(struct same_rows *s, const char *sql, size_t n_bytes,
                                    struct buf *expected)
{
        cleanup_(buf_done) struct buf got = BUF_INIT(0);
        const char *problem;

        if (!sql_normalize(sql, n_bytes, &s->norm)) {
                run(s->normalized, sql, n_bytes, NULL, true, &got);
                return NULL;
        }
        s->n_normalized++;
        s->n_values += s->norm.n_values;
        run(s->normalized, (const char *)s->norm.text.data, s->norm.text.n_bytes, &s->norm, true,
            &got);
        if (strcmp((const char *)got.data, (const char *)expected->data) == 0)
                return NULL;
        /* The words of a syntax error are the text's. */
        if (strstr((const char *)expected->data, "syntax error") &&
            strstr((const char *)got.data, "syntax error"))
                return NULL;
        problem = differ("normalised", &s->norm.text, expected, &got);
        if (memmem(sql, n_bytes, "ORDER BY", 8) || !same_lines(&got, expected))
                return problem;
        s->n_reordered++;
        return NULL;
}

const char *same_rows_check(struct same_rows *s, const char *sql, size_t n_bytes)
{
        cleanup_(buf_done) struct buf expected = BUF_INIT(0);
        const char *wrong;
        const char *too;

        s->n_statements++;
        run(s->original, sql, n_bytes, NULL, true, &expected);
        s->n_done += sqlite3_errcode(s->original) == SQLITE_OK ||
                     sqlite3_errcode(s->original) == SQLITE_DONE;
        wrong = check_printed(s, sql, n_bytes, &expected);
        too = check_normalized(s, sql, n_bytes, &expected);
        return wrong ? wrong : too;
}
