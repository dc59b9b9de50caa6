/* build.c - the tree of queries and expressions, called from the grammar's actions. Runs on the
 * thread that called sql_parse(). */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "sql/parse.h"
#include "sql/parser_int.h"
#include "sql/shape_int.h"

void *sql_node_new(struct sql_parser *p, enum sql_kind kind)
{
        struct sql_node *n = sql_new(p->arena, kind);

        if (!n) {
                memset(&p->spare, 0, sizeof p->spare);
                n = &p->spare.node;
                n->kind = kind;
        }
        n->span.end = p->end_of_last;
        return n;
}

/* ---- names and text ---- */

/* What stands between quotes, doubled ones once; q is the closing quote. */
static char *unquote(struct arena *a, const char *s, uint32_t n_bytes, char q, uint32_t *ret_n)
{
        char *out = arena_alloc(a, n_bytes);
        uint32_t n = 0;

        if (!out)
                return NULL;
        for (uint32_t i = 1; i + 1 < n_bytes; i++) {
                out[n++] = s[i];
                if (s[i] == q && q != ']')
                        i++;
        }
        out[n] = '\0';
        *ret_n = n;
        return out;
}

static enum sql_quote quote_of(char c)
{
        switch (c) {
        case '"':
                return SQL_QUOTE_DOUBLE;
        case '`':
                return SQL_QUOTE_BACKTICK;
        case '[':
                return SQL_QUOTE_BRACKET;
        case '\'':
                return SQL_QUOTE_SINGLE;
        default:
                return SQL_QUOTE_NONE;
        }
}

struct sql_name sql_name_from(struct sql_parser *p, struct sql_token t)
{
        const char *s = p->text + t.offset;
        struct sql_name n = { .offset = t.offset, .n_bytes = t.n_bytes, .quote = quote_of(s[0]) };

        if (n.quote == SQL_QUOTE_NONE)
                n.text = arena_strndup(p->arena, s, t.n_bytes);
        else
                n.text = unquote(p->arena, s, t.n_bytes, s[0] == '[' ? ']' : s[0], &n.n_bytes);
        if (!n.text)
                n.n_bytes = 0;
        return n;
}

bool sql_token_is(const struct sql_parser *p, struct sql_token t, const char *word)
{
        return strlen(word) == t.n_bytes && strncasecmp(p->text + t.offset, word, t.n_bytes) == 0;
}

struct sql_str sql_text_between(struct sql_parser *p, uint32_t start, uint32_t end)
{
        char *s = end > start ? arena_strndup(p->arena, p->text + start, end - start) : NULL;

        return (struct sql_str){ s, s ? end - start : 0 };
}

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

struct sql_str sql_trimmed_text(struct sql_parser *p, uint32_t start, uint32_t end)
{
        while (start < end && is_blank(p->text[start]))
                start++;
        while (start < end && is_blank(p->text[end - 1]))
                end--;
        return sql_text_between(p, start, end);
}

struct sql_table_name *sql_table_name_new(struct sql_parser *p, struct sql_name schema,
                                          struct sql_name name)
{
        struct sql_table_name *t = sql_node_new(p, SQL_TABLE_NAME);

        t->span.start = schema.text ? schema.offset : name.offset;
        t->schema = schema;
        t->name = name;
        p->stmt->names_own |= sql_name_is_own(&name);
        return t;
}

void sql_names_push(struct sql_parser *p, struct sql_names *list, struct sql_name name)
{
        (void)!sql_names_add(p->arena, list, &name);
}

void sql_strs_push(struct sql_parser *p, struct sql_strs *list, struct sql_span span)
{
        (void)!sql_strs_add(p->arena, list, sql_trimmed_text(p, span.start, span.end));
}

/* ---- expressions ---- */

struct sql_expr *sql_expr_new(struct sql_parser *p, enum sql_kind kind, uint32_t start)
{
        struct sql_expr *e = sql_node_new(p, kind);

        e->span.start = start;
        e->depth = 1;
        return e;
}

static uint32_t deepest(uint32_t depth, const void *node)
{
        const struct sql_node *n = node;

        return n && n->depth > depth ? n->depth : depth;
}

static uint32_t deepest_of(uint32_t depth, const struct sql_exprs *list)
{
        for (uint32_t i = 0; i < list->n; i++)
                depth = deepest(depth, list->items[i]);
        return depth;
}

static uint32_t deepest_term(uint32_t depth, const struct sql_order_terms *terms)
{
        for (uint32_t i = 0; i < terms->n; i++)
                depth = deepest(depth, terms->items[i]->expr);
        return depth;
}

static uint32_t deepest_in_window(uint32_t depth, const struct sql_window *w)
{
        depth = deepest_term(deepest_of(depth, &w->partition), &w->order);
        return deepest(deepest(depth, w->start_expr), w->end_expr);
}

static void check_depth(struct sql_parser *p, uint32_t depth)
{
        if (depth > SQL_MAX_DEPTH)
                sql_fail_complex(p, "Expression tree is too large (maximum depth 1000)");
}

struct sql_expr *sql_expr_finish(struct sql_parser *p, struct sql_expr *e)
{
        uint32_t depth = deepest(deepest(deepest(0, e->left), e->right), e->third);

        switch (e->kind) {
        case SQL_EXPR_CALL:
                depth = deepest(deepest_of(depth, &e->call.args), e->call.filter);
                if (e->call.over)
                        depth = deepest_in_window(depth, e->call.over);
                break;
        case SQL_EXPR_IN_LIST:
        case SQL_EXPR_IN_TABLE:
        case SQL_EXPR_VECTOR:
        case SQL_EXPR_CASE:
                depth = deepest_of(depth, &e->args);
                break;
        case SQL_EXPR_IN_SELECT:
        case SQL_EXPR_EXISTS:
        case SQL_EXPR_SUBQUERY:
                depth = deepest(depth, e->select);
                break;
        default:
                break;
        }
        e->depth = depth + 1;
        check_depth(p, e->depth);
        return e;
}

struct sql_expr *sql_expr_literal(struct sql_parser *p, enum sql_kind kind, struct sql_token t)
{
        struct sql_expr *e = sql_expr_new(p, kind, t.offset);
        const char *s = p->text + t.offset;
        uint32_t n = t.n_bytes;

        if (kind == SQL_EXPR_STRING) {
                e->text.data = unquote(p->arena, s, n, '\'', &n);
                e->text.n_bytes = e->text.data ? n : 0;
        } else if (kind == SQL_EXPR_BLOB) {
                e->text.data = arena_strndup(p->arena, s + 2, n - 3);
                e->text.n_bytes = n - 3;
        } else if (kind != SQL_EXPR_NULL) {
                e->text = sql_text_between(p, t.offset, t.offset + n);
        }
        return e;
}

struct sql_expr *sql_expr_clock(struct sql_parser *p, struct sql_token t)
{
        enum sql_kind kind = SQL_EXPR_CURRENT_TIMESTAMP;

        if (sql_token_is(p, t, "CURRENT_DATE"))
                kind = SQL_EXPR_CURRENT_DATE;
        else if (sql_token_is(p, t, "CURRENT_TIME"))
                kind = SQL_EXPR_CURRENT_TIME;
        return sql_expr_new(p, kind, t.offset);
}

struct sql_expr *sql_expr_column(struct sql_parser *p, struct sql_name schema,
                                 struct sql_name table, struct sql_name column)
{
        struct sql_expr *e = sql_expr_new(p, SQL_EXPR_COLUMN, column.offset);

        if (table.text)
                e->span.start = table.offset;
        if (schema.text)
                e->span.start = schema.offset;
        e->schema = schema;
        e->table = table;
        e->column = column;
        return e;
}

struct sql_expr *sql_expr_unary(struct sql_parser *p, enum sql_kind kind, struct sql_expr *left,
                                uint32_t start)
{
        struct sql_expr *e = sql_expr_new(p, kind, start);

        e->left = left;
        return sql_expr_finish(p, e);
}

struct sql_expr *sql_expr_binary(struct sql_parser *p, enum sql_kind kind, struct sql_expr *left,
                                 struct sql_expr *right)
{
        struct sql_expr *e = sql_expr_new(p, kind, left->span.start);

        e->left = left;
        e->right = right;
        return sql_expr_finish(p, e);
}

struct sql_expr *sql_expr_is(struct sql_parser *p, enum sql_kind kind, struct sql_expr *left,
                             struct sql_expr *right)
{
        bool is_not = kind == SQL_EXPR_IS_NOT || kind == SQL_EXPR_IS_DISTINCT;

        if (right->kind != SQL_EXPR_NULL)
                return sql_expr_binary(p, kind, left, right);
        return sql_expr_unary(p, is_not ? SQL_EXPR_NOT_NULL : SQL_EXPR_IS_NULL, left,
                              left->span.start);
}

struct sql_expr *sql_expr_like(struct sql_parser *p, struct sql_token word, bool is_not,
                               struct sql_expr *left, struct sql_expr *right,
                               struct sql_expr *escape)
{
        static const char *const words[] = { "LIKE", "GLOB", "REGEXP", "MATCH" };
        struct sql_expr *e;
        uint32_t i = 0;

        while (i + 1 < ARRAY_LEN(words) && !sql_token_is(p, word, words[i]))
                i++;
        e = sql_expr_new(p, SQL_EXPR_LIKE + i, left->span.start);
        e->is_not = is_not;
        e->left = left;
        e->right = right;
        e->third = escape;
        return sql_expr_finish(p, e);
}

struct sql_expr *sql_expr_in(struct sql_parser *p, enum sql_kind kind, bool is_not,
                             struct sql_expr *left)
{
        struct sql_expr *e = sql_expr_new(p, kind, left->span.start);

        e->is_not = is_not;
        e->left = left;
        return e;
}

struct sql_expr *sql_expr_call(struct sql_parser *p, struct sql_token name,
                               enum sql_distinct distinct, struct sql_exprs args, bool is_star)
{
        struct sql_expr *e = sql_expr_new(p, SQL_EXPR_CALL, name.offset);

        e->call.name = sql_name_from(p, name);
        e->call.args = args;
        e->call.is_distinct = distinct == SQL_DISTINCT_DISTINCT;
        e->call.is_star = is_star;
        return e;
}

struct sql_expr *sql_expr_call_finish(struct sql_parser *p, struct sql_expr *call,
                                      struct sql_expr *filter, struct sql_window *over)
{
        call->span.end = p->end_of_last;
        call->call.filter = filter;
        call->call.over = over;
        if (over && call->call.is_distinct)
                sql_fail(p, call->span.start, "DISTINCT is not supported for window functions");
        return sql_expr_finish(p, call);
}

void sql_window_frame(struct sql_parser *p, struct sql_window *w, enum sql_frame_type type,
                      struct sql_frame_bound start, struct sql_frame_bound end,
                      enum sql_exclude exclude)
{
        enum sql_bound last = end.type ? end.type : SQL_BOUND_CURRENT_ROW;

        if ((start.type == SQL_BOUND_CURRENT_ROW && last == SQL_BOUND_PRECEDING) ||
            (start.type == SQL_BOUND_FOLLOWING &&
             (last == SQL_BOUND_PRECEDING || last == SQL_BOUND_CURRENT_ROW)))
                sql_fail(p, p->end_of_last, "unsupported frame specification");
        w->frame = type;
        w->start = start.type;
        w->start_expr = start.expr;
        w->end = end.type;
        w->end_expr = end.expr;
        w->exclude = exclude;
}
