/* print.c - the printer's tokens, and which file prints what. Any thread. */
#include "sql/print.h"

#include <string.h>

#include "sql/grammar.h"
#include "sql/lexer_int.h"
#include "sql/print_int.h"
#include "sql/shape_int.h"

/* ---- tokens ---- */

/* No blank goes before it. */
static bool closes(char c)
{
        return c == ')' || c == ',' || c == ' ' || c == ';' || c == '(' || c == '\0';
}

static bool wants_blank(const struct sql_printer *pr, char next)
{
        char last;

        if (pr->b->n_bytes == pr->start)
                return false;
        last = (char)pr->b->data[pr->b->n_bytes - 1];
        if (pr->glue)
                return last == '-' && next == '-'; /* two of them begin a comment */
        return last != '(' && last != ' ' && !closes(next);
}

void sql_emit_n(struct sql_printer *pr, const char *text, size_t n_bytes)
{
        if (!n_bytes)
                return;
        if (wants_blank(pr, text[0]))
                buf_add_byte(pr->b, ' ');
        pr->glue = false;
        buf_add(pr->b, text, n_bytes);
}

void sql_print_text(struct sql_printer *pr, const char *text)
{
        sql_emit(pr, text);
}

void sql_emit_dot(struct sql_printer *pr)
{
        buf_add_byte(pr->b, '.');
        pr->glue = true;
}

void sql_emit_list_open(struct sql_printer *pr)
{
        if (pr->b->n_bytes > pr->start && pr->b->data[pr->b->n_bytes - 1] != '(' &&
            pr->b->data[pr->b->n_bytes - 1] != ' ')
                buf_add_byte(pr->b, ' ');
        buf_add_byte(pr->b, '(');
        pr->glue = false;
}

/* ---- names ---- */

/* at: the first of the quotes inside. */
static void add_doubling(struct buf *b, const char *s, const char *end, const char *at)
{
        for (; at; at = memchr(s, *at, (size_t)(end - s))) {
                buf_add(b, s, (size_t)(at + 1 - s));
                buf_add_byte(b, (uint8_t)*at);
                s = at + 1;
        }
        buf_add(b, s, (size_t)(end - s));
}

static void add_quoted(struct buf *b, const char *s, size_t n_bytes, char quote)
{
        const char *at = n_bytes ? memchr(s, quote, n_bytes) : NULL;
        uint8_t *q = at ? NULL : buf_reserve(b, n_bytes + 2);

        if (q) {
                q[0] = q[n_bytes + 1] = (uint8_t)quote;
                if (n_bytes)
                        memcpy(q + 1, s, n_bytes);
                b->n_bytes += n_bytes + 2;
                return;
        }
        buf_add_byte(b, (uint8_t)quote);
        add_doubling(b, s, s + n_bytes, at);
        buf_add_byte(b, (uint8_t)quote);
}

void sql_quote_string(struct buf *b, const char *s, size_t n_bytes)
{
        add_quoted(b, s, n_bytes, '\'');
}

void sql_quote_name(struct buf *b, const char *name)
{
        add_quoted(b, name, strlen(name), '`');
}

/* A name may stand bare wherever it is if it is no keyword: not all keywords that may be names may
 * be so everywhere. */
static bool can_be_bare(const struct sql_name *n)
{
        struct sql_token t;

        return n->n_bytes && !strchr("\"`[", n->text[0]) && sql_lex(n->text, 0, &t) == TK_ID &&
               t.offset == 0 && t.n_bytes == n->n_bytes;
}

static enum sql_quote quote_for(const struct sql_name *n)
{
        switch (n->quote) {
        case SQL_QUOTE_AUTO:
                if (sql_name_is_truth(n))
                        return SQL_QUOTE_BACKTICK;
                return can_be_bare(n) ? SQL_QUOTE_NONE : SQL_QUOTE_BACKTICK;
        case SQL_QUOTE_NONE:
                return can_be_bare(n) ? SQL_QUOTE_NONE : SQL_QUOTE_BACKTICK;
        case SQL_QUOTE_BRACKET:
                return memchr(n->text, ']', n->n_bytes) ? SQL_QUOTE_BACKTICK : SQL_QUOTE_BRACKET;
        default:
                return n->quote;
        }
}

void sql_print_name(struct sql_printer *pr, const struct sql_name *name)
{
        static const char quotes[] = {
                [SQL_QUOTE_DOUBLE] = '"',
                [SQL_QUOTE_BACKTICK] = '`',
                [SQL_QUOTE_SINGLE] = '\'',
        };
        enum sql_quote quote;

        if (!name->text)
                return;
        quote = quote_for(name);
        if (quote == SQL_QUOTE_NONE) {
                sql_emit_n(pr, name->text, name->n_bytes);
        } else if (quote == SQL_QUOTE_BRACKET) {
                sql_emit(pr, "[");
                buf_add(pr->b, name->text, name->n_bytes);
                buf_add_byte(pr->b, ']');
        } else {
                if (wants_blank(pr, quotes[quote]))
                        buf_add_byte(pr->b, ' ');
                pr->glue = false;
                add_quoted(pr->b, name->text, name->n_bytes, quotes[quote]);
        }
}

void sql_emit_alias(struct sql_printer *pr, struct sql_str name)
{
        sql_print_name(pr, &(struct sql_name){ .text = name.data,
                                               .n_bytes = name.n_bytes,
                                               .quote = SQL_QUOTE_DOUBLE });
}

void sql_emit_as(struct sql_printer *pr, const struct sql_name *alias)
{
        if (!alias->text)
                return;
        sql_emit(pr, "AS");
        sql_print_name(pr, alias);
}

void sql_emit_names(struct sql_printer *pr, const struct sql_names *names)
{
        sql_emit_list_open(pr);
        for (uint32_t i = 0; i < names->n; i++) {
                if (i)
                        sql_emit(pr, ",");
                sql_print_name(pr, &names->items[i]);
        }
        sql_emit(pr, ")");
}

void sql_print_variable(struct sql_printer *pr, uint32_t number)
{
        sql_emit(pr, "?");
        buf_add_number(pr->b, number);
        if (number > pr->n_variables)
                pr->n_variables = number;
}

/* ---- nodes ---- */

void sql_emit_list(struct sql_printer *pr, const struct sql_nodes *list)
{
        for (uint32_t i = 0; i < list->n; i++) {
                if (i)
                        sql_emit(pr, ",");
                sql_print_node(pr, list->items[i]);
        }
}

void sql_emit_clause(struct sql_printer *pr, const char *word, const struct sql_expr *e)
{
        if (!e)
                return;
        sql_emit(pr, word);
        sql_print_node(pr, e);
}

static void print_stmt(struct sql_printer *pr, const struct sql_stmt *st)
{
        static const char *const words[] = {
                [SQL_EXPLAIN_NONE] = "",
                [SQL_EXPLAIN_BYTECODE] = "EXPLAIN",
                [SQL_EXPLAIN_QUERY_PLAN] = "EXPLAIN QUERY PLAN",
                [SQL_EXPLAIN_ANALYZE] = "EXPLAIN ANALYZE",
        };

        if (st->explain != SQL_EXPLAIN_ANALYZE || !pr->options->plain_sqlite)
                sql_emit(pr, words[st->explain]);
        if (st->body)
                sql_print_node(pr, st->body);
}

static bool is_query_part(enum sql_kind kind)
{
        switch (kind) {
        case SQL_SELECT:
        case SQL_INSERT:
        case SQL_UPDATE:
        case SQL_DELETE:
        case SQL_WITH:
        case SQL_CTE:
        case SQL_ARM:
        case SQL_RESULT:
        case SQL_SOURCE:
        case SQL_ORDER_TERM:
        case SQL_ROW:
        case SQL_SET:
        case SQL_UPSERT:
        case SQL_TABLE_NAME:
                return true;
        default:
                return false;
        }
}

static bool is_hooked(const struct sql_node *n)
{
        return n->kind == SQL_SELECT || n->kind > SQL_STMT;
}

void sql_print_node(struct sql_printer *pr, const void *node)
{
        const struct sql_node *n = node;

        if (!n || pr->is_too_deep)
                return;
        if (pr->depth >= SQL_MAX_WALK_DEPTH) {
                pr->is_too_deep = true;
                return;
        }
        pr->depth++;
        if (pr->options->hook && is_hooked(n) && pr->options->hook(pr, n, pr->options->ctx))
                pr->keep_names = SQL_KEEP_NONE;
        else if (sql_is_expr(n))
                sql_print_expr_(pr, node);
        else if (n->kind == SQL_WINDOW)
                sql_print_window_(pr, node);
        else if (n->kind == SQL_STMT)
                print_stmt(pr, node);
        else if (is_query_part(n->kind))
                sql_print_query_(pr, n);
        else
                sql_print_ddl_(pr, n);
        pr->depth--;
}

enum err_code sql_print(struct buf *b, const void *node, const struct sql_print_options *options,
                        struct err *reterr)
{
        static const struct sql_print_options none;
        struct sql_printer pr = {
                .b = b,
                .options = options ? options : &none,
                .start = b->n_bytes,
        };

        pr.keep_names = pr.options->keep_names ? SQL_KEEP_OUTER : SQL_KEEP_NONE;
        sql_print_node(&pr, node);
        if (pr.is_too_deep)
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_COMPLEX",
                               "the statement is nested too deeply");
        if (b->failed)
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement's text is too long");
        return ERR_OK;
}

const char *sql_conflict_word(enum sql_conflict c)
{
        static const char *const words[] = {
                [SQL_CONFLICT_NONE] = "",         [SQL_CONFLICT_ROLLBACK] = "ROLLBACK",
                [SQL_CONFLICT_ABORT] = "ABORT",   [SQL_CONFLICT_FAIL] = "FAIL",
                [SQL_CONFLICT_IGNORE] = "IGNORE", [SQL_CONFLICT_REPLACE] = "REPLACE",
        };

        return words[c];
}
