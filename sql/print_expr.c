/* print_expr.c - expressions and windows, with as few parentheses as SQLite's precedences allow:
 * its parser's stack is short. Any thread. */
#include <stdio.h>
#include <string.h>

#include "sql/print_int.h"

/* Loosest first; the table of grammar.y. */
enum level {
        LEVEL_ANY = 0,
        LEVEL_OR,
        LEVEL_AND,
        LEVEL_NOT,
        LEVEL_EQUAL,
        LEVEL_COMPARE,
        LEVEL_ESCAPE,
        LEVEL_BIT,
        LEVEL_ADD,
        LEVEL_MULTIPLY,
        LEVEL_CONCAT,
        LEVEL_COLLATE,
        LEVEL_PREFIX,
        LEVEL_ATOM,
};

static const struct {
        const char *word;
        enum level level;
} binaries[] = {
        [SQL_EXPR_OR - SQL_EXPR_OR] = { "OR", LEVEL_OR },
        [SQL_EXPR_AND - SQL_EXPR_OR] = { "AND", LEVEL_AND },
        [SQL_EXPR_EQ - SQL_EXPR_OR] = { "=", LEVEL_EQUAL },
        [SQL_EXPR_NE - SQL_EXPR_OR] = { "<>", LEVEL_EQUAL },
        [SQL_EXPR_IS - SQL_EXPR_OR] = { "IS", LEVEL_EQUAL },
        [SQL_EXPR_IS_NOT - SQL_EXPR_OR] = { "IS NOT", LEVEL_EQUAL },
        [SQL_EXPR_IS_DISTINCT - SQL_EXPR_OR] = { "IS DISTINCT FROM", LEVEL_EQUAL },
        [SQL_EXPR_IS_NOT_DISTINCT - SQL_EXPR_OR] = { "IS NOT DISTINCT FROM", LEVEL_EQUAL },
        [SQL_EXPR_LT - SQL_EXPR_OR] = { "<", LEVEL_COMPARE },
        [SQL_EXPR_LE - SQL_EXPR_OR] = { "<=", LEVEL_COMPARE },
        [SQL_EXPR_GT - SQL_EXPR_OR] = { ">", LEVEL_COMPARE },
        [SQL_EXPR_GE - SQL_EXPR_OR] = { ">=", LEVEL_COMPARE },
        [SQL_EXPR_BIT_AND - SQL_EXPR_OR] = { "&", LEVEL_BIT },
        [SQL_EXPR_BIT_OR - SQL_EXPR_OR] = { "|", LEVEL_BIT },
        [SQL_EXPR_SHIFT_LEFT - SQL_EXPR_OR] = { "<<", LEVEL_BIT },
        [SQL_EXPR_SHIFT_RIGHT - SQL_EXPR_OR] = { ">>", LEVEL_BIT },
        [SQL_EXPR_ADD - SQL_EXPR_OR] = { "+", LEVEL_ADD },
        [SQL_EXPR_SUBTRACT - SQL_EXPR_OR] = { "-", LEVEL_ADD },
        [SQL_EXPR_MULTIPLY - SQL_EXPR_OR] = { "*", LEVEL_MULTIPLY },
        [SQL_EXPR_DIVIDE - SQL_EXPR_OR] = { "/", LEVEL_MULTIPLY },
        [SQL_EXPR_REMAINDER - SQL_EXPR_OR] = { "%", LEVEL_MULTIPLY },
        [SQL_EXPR_CONCAT - SQL_EXPR_OR] = { "||", LEVEL_CONCAT },
        [SQL_EXPR_ARROW - SQL_EXPR_OR] = { "->", LEVEL_CONCAT },
        [SQL_EXPR_LONG_ARROW - SQL_EXPR_OR] = { "->>", LEVEL_CONCAT },
};

static bool is_binary(enum sql_kind kind)
{
        return kind >= SQL_EXPR_OR && kind <= SQL_EXPR_LONG_ARROW;
}

static enum level level_of(const struct sql_expr *e)
{
        if (is_binary(e->kind))
                return binaries[e->kind - SQL_EXPR_OR].level;
        switch (e->kind) {
        case SQL_EXPR_NOT:
                return LEVEL_NOT;
        case SQL_EXPR_IS_NULL:
        case SQL_EXPR_NOT_NULL:
        case SQL_EXPR_LIKE:
        case SQL_EXPR_GLOB:
        case SQL_EXPR_REGEXP:
        case SQL_EXPR_MATCH:
        case SQL_EXPR_BETWEEN:
        case SQL_EXPR_IN_LIST:
        case SQL_EXPR_IN_SELECT:
        case SQL_EXPR_IN_TABLE:
                return LEVEL_EQUAL;
        case SQL_EXPR_COLLATE:
                return LEVEL_COLLATE;
        case SQL_EXPR_NEGATE:
        case SQL_EXPR_PLUS:
        case SQL_EXPR_BIT_NOT:
                return LEVEL_PREFIX;
        case SQL_EXPR_INTEGER:
        case SQL_EXPR_FLOAT:
                /* Programs may make literals with a sign. */
                return e->text.n_bytes && e->text.data[0] == '-' ? LEVEL_PREFIX : LEVEL_ATOM;
        default:
                return LEVEL_ATOM;
        }
}

static void print_operand(struct sql_printer *pr, const struct sql_expr *e, enum level least)
{
        bool parens = level_of(e) < least;

        if (parens) {
                bool glue = pr->glue;

                if (glue)
                        sql_emit(pr, "(");
                else
                        sql_emit_list_open(pr);
        }
        sql_print_node(pr, e);
        if (parens)
                sql_emit(pr, ")");
}

static void print_prefix(struct sql_printer *pr, const struct sql_expr *e, const char *sign)
{
        sql_emit(pr, sign);
        pr->glue = true;
        print_operand(pr, e->left, LEVEL_PREFIX);
}

static void print_literal(struct sql_printer *pr, const struct sql_expr *e)
{
        switch (e->kind) {
        case SQL_EXPR_STRING:
                sql_print_name(pr, &(struct sql_name){ .text = e->text.data ? e->text.data : "",
                                                       .n_bytes = e->text.n_bytes,
                                                       .quote = SQL_QUOTE_SINGLE });
                break;
        case SQL_EXPR_BLOB:
                sql_emit(pr, "x'");
                buf_add(pr->b, e->text.data, e->text.n_bytes);
                buf_add_byte(pr->b, '\'');
                break;
        case SQL_EXPR_NULL:
                sql_emit(pr, "NULL");
                break;
        case SQL_EXPR_CURRENT_DATE:
                sql_emit(pr, "CURRENT_DATE");
                break;
        case SQL_EXPR_CURRENT_TIME:
                sql_emit(pr, "CURRENT_TIME");
                break;
        case SQL_EXPR_CURRENT_TIMESTAMP:
                sql_emit(pr, "CURRENT_TIMESTAMP");
                break;
        default:
                sql_emit_n(pr, e->text.data, e->text.n_bytes);
                break;
        }
}

/* A plain ? stays one as long as SQLite would give it the same number. */
static void print_variable(struct sql_printer *pr, const struct sql_expr *e)
{
        bool is_next = e->number == pr->n_variables + 1;

        if (pr->options->numbered_variables || (!e->variable_name.data && !is_next)) {
                sql_print_variable(pr, e->number);
                return;
        }
        if (e->variable_name.data)
                sql_emit_n(pr, e->variable_name.data, e->variable_name.n_bytes);
        else
                sql_emit(pr, "?");
        if (e->number > pr->n_variables)
                pr->n_variables = e->number;
}

static void print_column(struct sql_printer *pr, const struct sql_expr *e)
{
        if (e->schema.text) {
                sql_print_name(pr, &e->schema);
                sql_emit_dot(pr);
        }
        if (e->table.text) {
                sql_print_name(pr, &e->table);
                sql_emit_dot(pr);
        }
        sql_print_name(pr, &e->column);
}

static void print_like(struct sql_printer *pr, const struct sql_expr *e)
{
        static const char *const words[] = { "LIKE", "GLOB", "REGEXP", "MATCH" };

        print_operand(pr, e->left, LEVEL_EQUAL);
        if (e->is_not)
                sql_emit(pr, "NOT");
        sql_emit(pr, words[e->kind - SQL_EXPR_LIKE]);
        print_operand(pr, e->right, LEVEL_COMPARE);
        if (e->third) {
                sql_emit(pr, "ESCAPE");
                print_operand(pr, e->third, LEVEL_BIT);
        }
}

static void print_between(struct sql_printer *pr, const struct sql_expr *e)
{
        print_operand(pr, e->left, LEVEL_EQUAL);
        sql_emit(pr, e->is_not ? "NOT BETWEEN" : "BETWEEN");
        print_operand(pr, e->right, LEVEL_COMPARE);
        sql_emit(pr, "AND");
        print_operand(pr, e->third, LEVEL_COMPARE);
}

static void print_args(struct sql_printer *pr, const struct sql_exprs *args)
{
        sql_emit_nodes(pr, args);
        sql_emit(pr, ")");
}

static void print_in(struct sql_printer *pr, const struct sql_expr *e)
{
        print_operand(pr, e->left, LEVEL_EQUAL);
        sql_emit(pr, e->is_not ? "NOT IN" : "IN");
        if (e->kind == SQL_EXPR_IN_TABLE) {
                sql_print_node(pr, e->in_table);
                if (e->args.n) {
                        sql_emit(pr, "(");
                        print_args(pr, &e->args);
                }
                return;
        }
        sql_emit_list_open(pr);
        if (e->kind == SQL_EXPR_IN_SELECT) {
                sql_print_node(pr, e->select);
                sql_emit(pr, ")");
        } else {
                print_args(pr, &e->args);
        }
}

static void print_case(struct sql_printer *pr, const struct sql_expr *e)
{
        sql_emit(pr, "CASE");
        sql_print_node(pr, e->left);
        for (uint32_t i = 0; i + 1 < e->args.n; i += 2) {
                sql_emit_clause(pr, "WHEN", e->args.items[i]);
                sql_emit_clause(pr, "THEN", e->args.items[i + 1]);
        }
        sql_emit_clause(pr, "ELSE", e->right);
        sql_emit(pr, "END");
}

static void print_call(struct sql_printer *pr, const struct sql_expr *e)
{
        const struct sql_call *c = &e->call;

        sql_print_name(pr, &c->name);
        sql_emit(pr, "(");
        if (c->is_distinct)
                sql_emit(pr, "DISTINCT");
        if (c->is_star)
                sql_emit(pr, "*");
        print_args(pr, &c->args);
        if (c->filter) {
                sql_emit(pr, "FILTER");
                sql_emit_list_open(pr);
                sql_emit_clause(pr, "WHERE", c->filter);
                sql_emit(pr, ")");
        }
        if (c->over) {
                sql_emit(pr, "OVER");
                sql_print_node(pr, c->over);
        }
}

static void print_raise(struct sql_printer *pr, const struct sql_expr *e)
{
        sql_emit(pr, "RAISE");
        sql_emit(pr, "(");
        sql_emit(pr, sql_conflict_word(e->conflict));
        if (e->name.text) {
                sql_emit(pr, ",");
                sql_print_name(pr, &e->name);
        }
        sql_emit(pr, ")");
}

static void print_subquery(struct sql_printer *pr, const struct sql_expr *e)
{
        if (e->kind == SQL_EXPR_EXISTS)
                sql_emit(pr, "EXISTS");
        if (pr->glue)
                sql_emit(pr, "(");
        else
                sql_emit_list_open(pr);
        if (e->kind == SQL_EXPR_VECTOR)
                sql_emit_nodes(pr, &e->args);
        else
                sql_print_node(pr, e->select);
        sql_emit(pr, ")");
}

static void print_postfix(struct sql_printer *pr, const struct sql_expr *e)
{
        if (e->kind == SQL_EXPR_CAST) {
                sql_emit(pr, "CAST");
                sql_emit(pr, "(");
                sql_print_node(pr, e->left);
                sql_emit(pr, "AS");
                sql_emit_n(pr, e->text.data, e->text.n_bytes);
                sql_emit(pr, ")");
                return;
        }
        print_operand(pr, e->left, level_of(e));
        if (e->kind == SQL_EXPR_COLLATE) {
                sql_emit(pr, "COLLATE");
                sql_print_name(pr, &e->name);
        } else {
                sql_emit(pr, e->kind == SQL_EXPR_IS_NULL ? "IS NULL" : "IS NOT NULL");
        }
}

void sql_print_expr_(struct sql_printer *pr, const struct sql_expr *e)
{
        if (is_binary(e->kind)) {
                enum level level = level_of(e);

                print_operand(pr, e->left, level);
                sql_emit(pr, binaries[e->kind - SQL_EXPR_OR].word);
                print_operand(pr, e->right, level + 1);
                return;
        }
        switch (e->kind) {
        case SQL_EXPR_VARIABLE:
                print_variable(pr, e);
                break;
        case SQL_EXPR_COLUMN:
                print_column(pr, e);
                break;
        case SQL_EXPR_NEGATE:
                print_prefix(pr, e, "-");
                break;
        case SQL_EXPR_PLUS:
                print_prefix(pr, e, "+");
                break;
        case SQL_EXPR_BIT_NOT:
                print_prefix(pr, e, "~");
                break;
        case SQL_EXPR_NOT:
                sql_emit(pr, "NOT");
                print_operand(pr, e->left, LEVEL_NOT);
                break;
        case SQL_EXPR_IS_NULL:
        case SQL_EXPR_NOT_NULL:
        case SQL_EXPR_COLLATE:
        case SQL_EXPR_CAST:
                print_postfix(pr, e);
                break;
        case SQL_EXPR_LIKE:
        case SQL_EXPR_GLOB:
        case SQL_EXPR_REGEXP:
        case SQL_EXPR_MATCH:
                print_like(pr, e);
                break;
        case SQL_EXPR_BETWEEN:
                print_between(pr, e);
                break;
        case SQL_EXPR_IN_LIST:
        case SQL_EXPR_IN_SELECT:
        case SQL_EXPR_IN_TABLE:
                print_in(pr, e);
                break;
        case SQL_EXPR_EXISTS:
        case SQL_EXPR_SUBQUERY:
        case SQL_EXPR_VECTOR:
                print_subquery(pr, e);
                break;
        case SQL_EXPR_CASE:
                print_case(pr, e);
                break;
        case SQL_EXPR_CALL:
                print_call(pr, e);
                break;
        case SQL_EXPR_RAISE:
                print_raise(pr, e);
                break;
        default:
                print_literal(pr, e);
                break;
        }
}

/* ---- windows ---- */

static void print_bound(struct sql_printer *pr, enum sql_bound bound, const struct sql_expr *e)
{
        static const char *const words[] = {
                [SQL_BOUND_NONE] = "",
                [SQL_BOUND_UNBOUNDED_PRECEDING] = "UNBOUNDED PRECEDING",
                [SQL_BOUND_PRECEDING] = "PRECEDING",
                [SQL_BOUND_CURRENT_ROW] = "CURRENT ROW",
                [SQL_BOUND_FOLLOWING] = "FOLLOWING",
                [SQL_BOUND_UNBOUNDED_FOLLOWING] = "UNBOUNDED FOLLOWING",
        };

        sql_print_node(pr, e);
        sql_emit(pr, words[bound]);
}

static void print_frame(struct sql_printer *pr, const struct sql_window *w)
{
        static const char *const types[] = { "", "ROWS", "RANGE", "GROUPS" };
        static const char *const excludes[] = {
                [SQL_EXCLUDE_NONE] = "",
                [SQL_EXCLUDE_NO_OTHERS] = "EXCLUDE NO OTHERS",
                [SQL_EXCLUDE_CURRENT_ROW] = "EXCLUDE CURRENT ROW",
                [SQL_EXCLUDE_GROUP] = "EXCLUDE GROUP",
                [SQL_EXCLUDE_TIES] = "EXCLUDE TIES",
        };

        sql_emit(pr, types[w->frame]);
        if (w->end == SQL_BOUND_NONE) {
                print_bound(pr, w->start, w->start_expr);
        } else {
                sql_emit(pr, "BETWEEN");
                print_bound(pr, w->start, w->start_expr);
                sql_emit(pr, "AND");
                print_bound(pr, w->end, w->end_expr);
        }
        sql_emit(pr, excludes[w->exclude]);
}

void sql_print_window_(struct sql_printer *pr, const struct sql_window *w)
{
        if (w->is_reference) {
                sql_print_name(pr, &w->base);
                return;
        }
        if (w->name.text) {
                sql_print_name(pr, &w->name);
                sql_emit(pr, "AS");
        }
        sql_emit_list_open(pr);
        sql_print_name(pr, &w->base);
        if (w->partition.n) {
                sql_emit(pr, "PARTITION BY");
                sql_emit_nodes(pr, &w->partition);
        }
        if (w->order.n) {
                sql_emit(pr, "ORDER BY");
                sql_emit_nodes(pr, &w->order);
        }
        if (w->frame)
                print_frame(pr, w);
        sql_emit(pr, ")");
}
