/* plan_simple.c - a query of one arm in a form that can be cut in two: stars expanded, columns
 * spelled alike, aliases replaced by what they stand for. Loop thread. */
#include <stdlib.h>
#include <string.h>

#include "gate/plan_place.h"

struct simplifier {
        struct planner *p;
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

/* Columns take the catalogue's spelling, so that equal ones look equal; other names that are
 * aliases become copies of what they name; names in double quotes that are nothing are strings to
 * SQLite. Subqueries stay as they are. */
static enum sql_walk simplify_name(struct sql_node *node, void *ctx)
{
        struct simplifier *s = ctx;
        struct sql_expr *e = (struct sql_expr *)node;
        const struct bound_name *bound;
        const struct sql_result *alias;
        struct sql_expr *copy;
        int ignored;

        if (node->kind == SQL_SELECT)
                return SQL_WALK_SKIP;
        if (node->kind != SQL_EXPR_COLUMN)
                return SQL_WALK_ON;
        bound = e->bound;
        if (bound && bound->source->arm != s->q->of)
                return SQL_WALK_ON;
        if (bound) {
                copy = names_make_column(s->p, bound->source, bound->column);
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

static bool simplify_node(struct simplifier *s, void *node)
{
        return !node || (sql_walk(node, simplify_name, NULL, s) == SQL_WALK_ON && !s->failed);
}

bool add_result(struct planner *p, struct sql_results *list, struct sql_expr *e)
{
        struct sql_result *r = sql_new(p->scratch, SQL_RESULT);

        if (!r || !e)
                return false;
        r->expr = e;
        return sql_list_add(p->scratch, list, r);
}

/* In the order of the arm's columns: those that are written, and between them what stars stand for.
 */
static bool expand_results(struct simplifier *s)
{
        const struct sql_results *written = &s->q->arm->results;
        struct sql_results expanded = { 0 };
        uint32_t next = 0;

        for (uint32_t i = 0; i < s->q->of->n_columns; i++) {
                const struct query_column *c = &s->q->of->columns[i];

                if (!c->expr) {
                        if (!add_result(s->p, &expanded,
                                        names_make_column(s->p, c->source, c->column)))
                                return false;
                        continue;
                }
                while (written->items[next]->type != SQL_RESULT_EXPR)
                        next++;
                if (!simplify_node(s, written->items[next]->expr) ||
                    !sql_list_add(s->p->scratch, &expanded, written->items[next]))
                        return false;
                next++;
        }
        s->q->arm->results = expanded;
        return true;
}

/* A source without a name gets one. */
static bool name_sources(struct simplifier *s)
{
        for (uint32_t i = 0; i < s->q->of->n_sources; i++) {
                struct source *source = &s->q->of->sources[i];

                if (source->name)
                        continue;
                source->name = arena_numbered(s->p->scratch, "_shoal_s", i);
                if (!source->name)
                        return false;
                s->q->arm->from.items[i]->alias = sql_name_of(source->name);
                source->node->alias = s->q->arm->from.items[i]->alias;
        }
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
        } else if (!simplify_node(s, *inner)) {
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
                if (!*e || (k < 0 && !simplify_node(s, *e)))
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

        if (!name_sources(s) || !expand_results(s))
                return TRY_ERROR;
        s->aliases = &arm->results;
        if (!simplify_node(s, arm->where) || !simplify_node(s, arm->having))
                return TRY_ERROR;
        for (uint32_t i = 0; i < arm->windows.n; i++)
                if (!simplify_node(s, arm->windows.items[i]))
                        return TRY_ERROR;
        tried = simplify_group(s);
        return tried == TRY_DONE ? simplify_order(s) : tried;
}

enum plan_try simplify(struct planner *p, struct query *q, struct simple *ret_simple)
{
        struct sql_select *copy = sql_clone(p->scratch, q->node);
        struct simplifier s = { .p = p, .q = ret_simple };
        enum plan_try tried = TRY_ERROR;

        if (copy) {
                *ret_simple = (struct simple){
                        .of = &q->arms[0],
                        .with = copy->with,
                        .arm = copy->arms.items[0],
                        .order = copy->order_by,
                        .limit = copy->limit,
                        .offset = copy->offset,
                };
                tried = simplify_all(&s);
        }
        if (tried == TRY_ERROR)
                planner_no_memory(p);
        return tried;
}

enum err_code add_arm(struct planner *p, const struct simple *q, struct buf *b)
{
        enum err_code rc = ERR_OK;

        if (q->with) {
                rc = planner_print_to(p, q->with, b);
                buf_add_str(b, " ");
        }
        for (uint32_t i = 0; i < q->arm->results.n; i++)
                q->arm->results.items[i]->alias = (struct sql_name){ 0 };
        return rc ? rc : planner_print_to(p, q->arm, b);
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
        if (!rc && q->offset) {
                buf_printf(b,
                           " LIMIT CASE WHEN (%1$.*2$s) NOT BETWEEN 0 AND 4611686018427387904 OR "
                           "(%3$.*4$s) > 4611686018427387904 "
                           "THEN -1 ELSE (%1$.*2$s) + max(0, (%3$.*4$s)) END",
                           (char *)l.data, (int)l.n_bytes, (char *)o.data, (int)o.n_bytes);
        } else if (!rc) {
                buf_add_str(b, " LIMIT ");
                buf_add(b, l.data, l.n_bytes);
        }
        buf_done(&l);
        buf_done(&o);
        return rc;
}
