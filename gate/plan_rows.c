/* plan_rows.c - an INSERT of several rows in pieces, so that each shard gets a statement with its
 * own. Loop thread. */
#include "gate/plan_int.h"

#include <stdio.h>
#include <string.h>

/* A row of this one variable stands for the rows while the rest is printed; no statement has so
 * many variables. */
enum { MARK_NUMBER = 99999 };

/* What has to be cut has a "?" that is not in quotes. Returns the bytes up to the end of what *p
 * points at: a quoted text, a variable (*ret_number), or one character. */
static size_t next_token(const char *p, uint32_t *ret_number)
{
        const char *q = p + 1;
        char close = *p == '[' ? ']' : *p;

        *ret_number = 0;
        if (*p == '?') {
                for (; *q >= '0' && *q <= '9'; q++)
                        *ret_number = *ret_number * 10 + (uint32_t)(*q - '0');
                return (size_t)(q - p);
        }
        if (*p != '\'' && *p != '"' && *p != '`' && *p != '[')
                return 1;
        while (*q && *q != close)
                q++;
        return (size_t)(q - p) + (*q != '\0');
}

static enum err_code print_row(struct planner *p, struct sql_row *row, const char **ret_sql)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc = ERR_OK;

        for (uint32_t i = 0; !rc && i < row->values.n; i++) {
                buf_add_str(&b, i ? "," : "(");
                rc = planner_print_to(p, row->values.items[i], &b);
        }
        buf_add_str(&b, row->values.n ? ")" : "()");
        if (!rc)
                *ret_sql = arena_strndup(p->arena, (const char *)b.data, b.n_bytes);
        buf_done(&b);
        return rc || *ret_sql ? rc : planner_no_memory(p);
}

/* Where the row that stands for the rows is printed, and how long it is; NULL: nowhere. */
static const char *find_mark(const char *sql, size_t *ret_n_bytes)
{
        uint32_t number;
        size_t n;

        for (; *sql; sql += n) {
                n = next_token(sql, &number);
                if (number != MARK_NUMBER)
                        continue;
                *ret_n_bytes = n + strlen("()");
                return sql - strlen("(");
        }
        return NULL;
}

/* The statement with the mark in place of the rows, cut there. */
static enum err_code print_frame(struct planner *p, struct sql_arm *arm, struct plan_rows *rows)
{
        struct sql_row *mark = sql_new(p->scratch, SQL_ROW);
        struct sql_expr *e = sql_new(p->scratch, SQL_EXPR_VARIABLE);
        __typeof__(arm->rows) kept = arm->rows;
        struct buf b = BUF_INIT(0);
        size_t n_mark = 0;
        const char *at;
        enum err_code rc;

        if (!mark || !e || !sql_list_add(p->scratch, &mark->values, e))
                return planner_no_memory(p);
        e->number = MARK_NUMBER;
        memset(&arm->rows, 0, sizeof(arm->rows));
        if (!sql_list_add(p->scratch, &arm->rows, mark))
                return planner_no_memory(p);
        rc = planner_print_to(p, p->stmt, &b);
        arm->rows = kept;
        buf_add_byte(&b, 0);
        at = rc ? NULL : find_mark((const char *)b.data, &n_mark);
        if (!rc && !at)
                rc = err_set(p->reterr, ERR_INTERNAL, "INTERNAL", "an INSERT cannot be cut");
        if (!rc) {
                rows->before = arena_strndup(p->arena, (const char *)b.data,
                                             (size_t)(at - (const char *)b.data));
                rows->behind = arena_strndup(p->arena, at + n_mark, strlen(at) - n_mark);
                if (!rows->before || !rows->behind)
                        rc = planner_no_memory(p);
        }
        buf_done(&b);
        return rc;
}

enum err_code plan_rows_cut(struct planner *p, struct sql_arm *arm)
{
        struct plan_rows *rows = arena_calloc(p->arena, 1, sizeof *rows);
        enum err_code rc;

        if (rows)
                rows->rows = arena_calloc(p->arena, arm->rows.n, sizeof *rows->rows);
        if (!rows || !rows->rows)
                return planner_no_memory(p);
        rows->n = arm->rows.n;
        rc = print_frame(p, arm, rows);
        for (uint32_t i = 0; !rc && i < arm->rows.n; i++)
                rc = print_row(p, arm->rows.items[i], &rows->rows[i]);
        if (!rc)
                p->plan->rows = rows;
        return rc;
}

/* ---- one shard's statement */

struct renumber {
        struct buf sql;
        const struct plan_values *from;
        struct value *to;
        uint32_t *numbers; /* of each element of from, in to; 0: not there yet */
        uint32_t n;
};

static void add_text(struct renumber *r, const char *text)
{
        while (*text) {
                uint32_t number;
                size_t n = next_token(text, &number);

                if (!number) {
                        buf_add(&r->sql, text, n);
                } else {
                        if (!r->numbers[number - 1]) {
                                r->to[r->n] = r->from->values[number - 1];
                                r->numbers[number - 1] = ++r->n;
                        }
                        buf_printf(&r->sql, "?%u", r->numbers[number - 1]);
                }
                text += n;
        }
}

const char *plan_rows_print(const struct plan_rows *rows, const uint32_t *slots, uint32_t slot,
                            const struct plan_values *values, struct arena *arena,
                            struct plan_values *ret_values)
{
        struct renumber r = { .sql = BUF_INIT(0), .from = values };
        bool is_first = true;
        char *sql;

        r.to = arena_calloc(arena, values->n + 1, sizeof *r.to);
        r.numbers = arena_calloc(arena, values->n + 1, sizeof *r.numbers);
        if (!r.to || !r.numbers)
                return NULL;
        add_text(&r, rows->before);
        for (size_t i = 0; i < rows->n; i++) {
                if (slots[i] != slot)
                        continue;
                if (!is_first)
                        buf_add_str(&r.sql, ",");
                is_first = false;
                add_text(&r, rows->rows[i]);
        }
        add_text(&r, rows->behind);
        sql = arena_strndup(arena, (const char *)r.sql.data, r.sql.n_bytes);
        buf_done(&r.sql);
        *ret_values = (struct plan_values){ .values = r.to, .n = r.n };
        return sql;
}
