/* plan_simple.c - a query of one arm over one table, in a form that can be cut in two: stars
 * expanded, columns without qualifiers, aliases replaced by what they stand for. Loop thread. */
#include <string.h>

#include "gate/plan_int.h"

struct simplifier {
        struct planner *p;
        const struct scope *scope;
        struct simple *q;
        const struct sql_results
            *aliases; /* the result columns whose aliases may be meant; NULL: none */
        bool failed;
};

static const struct sql_result *find_alias(const struct sql_results *results,
                                           const struct sql_name *name, int *ret_index)
{
        for (uint32_t i = 0; results && i < results->n; i++)
                if (results->items[i]->alias.text &&
                    sql_name_same(&results->items[i]->alias, name)) {
                        *ret_index = (int)i;
                        return results->items[i];
                }
        return NULL;
}

/* Columns lose their qualifiers and take the catalogue's spelling, so that equal ones look equal;
 * other names that are aliases become copies of what they name; names in double quotes that are
 * nothing are strings to SQLite. */
static enum sql_walk simplify_name(struct sql_node *node, void *ctx)
{
        struct simplifier *s = ctx;
        struct sql_expr *e = (struct sql_expr *)node;
        const struct sql_result *alias;
        struct sql_expr *copy;
        int column, ignored;

        if (node->kind != SQL_EXPR_COLUMN)
                return SQL_WALK_ON;
        column = scope_find_column(s->scope, e);
        if (column != COLUMN_NONE) {
                copy = scope_make_column(s->p, s->scope->table, column);
        } else {
                alias = e->table.text ? NULL : find_alias(s->aliases, &e->column, &ignored);
                if (!alias)
                        return SQL_WALK_ON;
                copy = sql_clone(s->p->scratch, alias->expr);
        }
        if (!copy) {
                s->failed = true;
                return SQL_WALK_STOP;
        }
        *e = *copy;
        return SQL_WALK_SKIP;
}

static bool simplify_expr(struct simplifier *s, struct sql_expr *e)
{
        return !e || (sql_walk(e, simplify_name, NULL, s) == SQL_WALK_ON && !s->failed);
}

static bool add_result(struct simplifier *s, struct sql_results *list, struct sql_expr *e)
{
        struct sql_result *r = sql_new(s->p->scratch, SQL_RESULT);

        if (!r || !e)
                return false;
        r->expr = e;
        return sql_list_add(s->p->scratch, list, r);
}

static bool expand_results(struct simplifier *s)
{
        const struct catalog_table *t = s->scope->table;
        struct sql_results expanded = { 0 };

        for (uint32_t i = 0; i < s->q->arm->results.n; i++) {
                struct sql_result *r = s->q->arm->results.items[i];

                if (r->type == SQL_RESULT_EXPR) {
                        if (!simplify_expr(s, r->expr) ||
                            !sql_list_add(s->p->scratch, &expanded, r))
                                return false;
                        continue;
                }
                for (size_t k = 0; k < t->n_columns; k++)
                        if (!t->columns[k].hidden &&
                            !add_result(s, &expanded,
                                        scope_make_column(s->p, t,
                                                          (int)k == t->rowid_column ? COLUMN_ROWID
                                                                                    : (int)k)))
                                return false;
        }
        s->q->arm->results = expanded;
        return true;
}

static bool is_position(const struct sql_expr *e)
{
        while (e->kind == SQL_EXPR_COLLATE || e->kind == SQL_EXPR_PLUS ||
               e->kind == SQL_EXPR_NEGATE)
                e = e->left;
        return e->kind == SQL_EXPR_INTEGER;
}

/* The result column that a plain integer names; -1: it is no such integer. SQLite has checked its
 * range. */
static int position_of(const struct sql_expr *e, uint32_t n_results)
{
        unsigned long k;

        if (e->kind != SQL_EXPR_INTEGER)
                return -1;
        k = strtoul(e->text.data, NULL, 0);
        return k >= 1 && k <= n_results ? (int)k - 1 : -1;
}

/* COLLATE around a position or an alias applies to what they stand for. */
static struct sql_expr **below_collate(struct sql_expr **e)
{
        while ((*e)->kind == SQL_EXPR_COLLATE)
                e = &(*e)->left;
        return e;
}

/* A term of ORDER BY names a result column by position, by alias (which goes before a column's name
 * here), or by being the same expression. */
static enum plan_try simplify_term(struct simplifier *s, struct sql_order_term *term,
                                   int *ret_result)
{
        const struct sql_results *results = &s->q->arm->results;
        struct sql_expr **inner = below_collate(&term->expr);
        int k = position_of(*inner, results->n);

        if (k < 0 && (*inner)->kind == SQL_EXPR_COLUMN && !(*inner)->table.text)
                find_alias(results, &(*inner)->column, &k);
        if (k >= 0) {
                *inner = sql_clone(s->p->scratch, results->items[k]->expr);
                if (!*inner)
                        return TRY_ERROR;
        } else if (is_position(*inner)) {
                return TRY_NEXT;
        } else if (!simplify_expr(s, *inner)) {
                return TRY_ERROR;
        }
        for (uint32_t i = 0; k < 0 && i < results->n; i++)
                if (sql_equal(results->items[i]->expr, *inner, true))
                        k = (int)i;
        *ret_result = k;
        return TRY_DONE;
}

static enum plan_try simplify_order(struct simplifier *s)
{
        s->q->order_result =
            arena_calloc(s->p->scratch, s->q->order.n + 1, sizeof *s->q->order_result);
        if (!s->q->order_result)
                return TRY_ERROR;
        for (uint32_t i = 0; i < s->q->order.n; i++) {
                enum plan_try tried =
                    simplify_term(s, s->q->order.items[i], &s->q->order_result[i]);

                if (tried != TRY_DONE)
                        return tried;
        }
        return TRY_DONE;
}

static enum plan_try simplify_group(struct simplifier *s)
{
        for (uint32_t i = 0; i < s->q->arm->group_by.n; i++) {
                struct sql_expr **e = &s->q->arm->group_by.items[i];
                int k = position_of(*e, s->q->arm->results.n);

                if (k >= 0)
                        *e = sql_clone(s->p->scratch, s->q->arm->results.items[k]->expr);
                if (!*e || (k < 0 && !simplify_expr(s, *e)))
                        return TRY_ERROR;
                if (is_position(*e))
                        return TRY_NEXT;
        }
        return TRY_DONE;
}

static enum plan_try simplify_all(struct simplifier *s)
{
        struct sql_arm *arm = s->q->arm;
        enum plan_try tried;

        if (!expand_results(s))
                return TRY_ERROR;
        s->aliases = &arm->results;
        if (!simplify_expr(s, arm->where) || !simplify_expr(s, arm->having))
                return TRY_ERROR;
        tried = simplify_group(s);
        return tried == TRY_DONE ? simplify_order(s) : tried;
}

enum plan_try simplify(struct planner *p, const struct scope *scope, struct simple *ret_simple)
{
        struct sql_select *copy = sql_clone(p->scratch, p->stmt->select);
        struct simplifier s = { .p = p, .scope = scope, .q = ret_simple };
        enum plan_try tried = TRY_ERROR;

        if (copy) {
                *ret_simple = (struct simple){
                        .arm = copy->arms.items[0],
                        .order = copy->order_by,
                        .limit = copy->limit,
                        .offset = copy->offset,
                        .source = copy->arms.items[0]->from.items[0],
                };
                /* A table that hides its rowid cannot name it in a part. */
                if (!scope->table->without_rowid && !scope->table->rowid_name)
                        return TRY_NEXT;
                tried = simplify_all(&s);
        }
        if (tried == TRY_ERROR)
                planner_no_memory(p);
        return tried;
}

enum err_code add_from_where(struct planner *p, const struct simple *q, struct buf *b)
{
        enum err_code rc;

        buf_add_str(b, " FROM ");
        rc = planner_print_to(p, q->source, b);
        if (!rc && q->arm->where) {
                buf_add_str(b, " WHERE ");
                rc = planner_print_to(p, q->arm->where, b);
        }
        return rc;
}

enum err_code add_limit(struct planner *p, const struct simple *q, struct buf *b)
{
        enum err_code rc;

        if (!q->limit)
                return ERR_OK;
        buf_add_str(b, " LIMIT ");
        rc = planner_print_to(p, q->limit, b);
        if (!rc && q->offset) {
                buf_add_str(b, " OFFSET ");
                rc = planner_print_to(p, q->offset, b);
        }
        return rc;
}

/* LIMIT l OFFSET o at the gate needs l + o rows of each shard. A negative l is no limit, a negative
 * o is none, and sums that would not fit are no limit either; what is not a number fails at the
 * gate as it must. */
enum err_code add_shard_limit(struct planner *p, const struct simple *q, struct buf *b)
{
        struct buf l = BUF_INIT(0), o = BUF_INIT(0);
        enum err_code rc;

        if (!q->limit)
                return ERR_OK;
        rc = planner_print_to(p, q->limit, &l);
        if (!rc && q->offset)
                rc = planner_print_to(p, q->offset, &o);
        if (!rc && q->offset)
                buf_printf(b,
                           " LIMIT CASE WHEN (%1$.*2$s) NOT BETWEEN 0 AND 4611686018427387904 OR "
                           "(%3$.*4$s) > 4611686018427387904 "
                           "THEN -1 ELSE (%1$.*2$s) + max(0, (%3$.*4$s)) END",
                           (char *)l.data, (int)l.n_bytes, (char *)o.data, (int)o.n_bytes);
        else if (!rc)
                buf_printf(b, " LIMIT %.*s", (int)l.n_bytes, (char *)l.data);
        buf_done(&l);
        buf_done(&o);
        return rc;
}
