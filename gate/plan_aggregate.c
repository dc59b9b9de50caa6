/* plan_aggregate.c - aggregates over several shards: each shard groups and sends partial results,
 * the gate's SQLite groups these again and computes the answer's columns, HAVING, ORDER BY and
 * LIMIT from them. What needs the single rows (DISTINCT inside an aggregate, GROUP_CONCAT, columns
 * that are not grouped by) is left to gather. Loop thread. */
#include <string.h>

#include "gate/plan_place.h"

enum { MAX_AGGREGATES = 500 };

/* The part's table has columns g0 … for the group's expressions and a0 … for the partial
 * aggregates. */
struct aggregate {
        struct planner *p;
        struct simple q;
        const char *table; /* the part's */
        struct cut *cut;
        struct sql_exprs partials; /* calls, as they go to the shards */
        bool unfit;
};

/* How a partial result is computed at the shards and merged at the gate. */
static const struct function {
        const char *name, *partial, *merge;
        bool shows_value;
} functions[] = {
        { "count", "count", "sum", false },
        { "sum", "_shoal_sum_part", "_shoal_sum", false },
        { "total", "_shoal_sum_part", "_shoal_total", false },
        { "avg", "_shoal_sum_part", "_shoal_avg", false },
        { "min", "min", "min", true },
        { "max", "max", "max", true },
};

static const struct function *find_function(const struct aggregate *g, const struct sql_expr *e)
{
        struct compare_type type;

        if (e->call.is_distinct)
                return NULL;
        for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
                if (!sql_name_is(&e->call.name, functions[i].name))
                        continue;
                if (!functions[i].shows_value)
                        return &functions[i];
                /* Of equal values that look different MIN and MAX show the first they meet. */
                type = expr_type(e->call.args.items[0]);
                return type.is_canonical && !(type.may_be_json && json_is_seen(g->p, NULL))
                           ? &functions[i]
                           : NULL;
        }
        return NULL;
}

static struct sql_expr *make_column(struct aggregate *g, const char *letter, size_t number)
{
        struct sql_expr *e = sql_new(g->p->scratch, SQL_EXPR_COLUMN);
        char *name = arena_numbered(g->p->scratch, letter, number);

        if (!e || !name)
                return NULL;
        e->column = sql_name_of(name);
        return e;
}

/* A column that compares like the group's expression: one without a type has an affinity, which an
 * expression has not, nor a column below unary plus. */
static struct sql_expr *make_group(struct aggregate *g, int group, const struct sql_expr *e)
{
        struct compare_type type = expr_type(e);
        struct sql_expr *column = make_column(g, "g", (size_t)group), *outer = column;

        if (column && !type.is_typed) {
                outer = sql_new(g->p->scratch, SQL_EXPR_PLUS);
                if (outer)
                        outer->left = column;
        }
        if (outer && type.is_collated) {
                struct sql_expr *collate = sql_new(g->p->scratch, SQL_EXPR_COLLATE);

                if (!collate)
                        return NULL;
                collate->left = outer;
                collate->name = sql_name_of(type.collation);
                outer = collate;
        }
        return outer;
}

/* Index of the partial call, added if it is not there yet. */
static bool find_partial(struct aggregate *g, struct sql_expr *call, size_t *ret_index)
{
        for (uint32_t i = 0; i < g->partials.n; i++)
                if (sql_equal(g->partials.items[i], call, true)) {
                        *ret_index = i;
                        return true;
                }
        *ret_index = g->partials.n;
        return g->partials.n < MAX_AGGREGATES && sql_list_add(g->p->scratch, &g->partials, call);
}

static bool replace_call(struct aggregate *g, struct sql_expr *e)
{
        const struct function *f = find_function(g, e);
        struct sql_expr *partial, *merged, *column;
        size_t i;

        if (!f)
                return false;
        partial = sql_clone(g->p->scratch, e);
        merged = sql_new(g->p->scratch, SQL_EXPR_CALL);
        if (!partial || !merged)
                return false;
        partial->call.name = sql_name_of(f->partial);
        if (!find_partial(g, partial, &i))
                return false;
        column = make_column(g, "a", i);
        merged->call.name = sql_name_of(f->merge);
        if (!column || !sql_list_add(g->p->scratch, &merged->call.args, column))
                return false;
        *e = *merged;
        return true;
}

static int find_group(const struct aggregate *g, const struct sql_expr *e)
{
        for (uint32_t i = 0; i < g->q.arm->group_by.n; i++)
                if (sql_equal(g->q.arm->group_by.items[i], e, true))
                        return (int)i;
        return -1;
}

/* Rewrites an expression over the table into one over the part's table. */
static enum sql_walk rewrite(struct sql_node *node, void *ctx)
{
        struct aggregate *g = ctx;
        struct sql_expr *e = (struct sql_expr *)node, *column;
        int group;

        /* A subquery would look for the rows that have been grouped. */
        if (node->kind == SQL_SELECT)
                goto unfit;
        if (!sql_is_expr(node))
                return SQL_WALK_ON;
        group = find_group(g, e);
        if (group >= 0) {
                column = make_group(g, group, e);
                if (!column)
                        goto unfit;
                *e = *column;
                return SQL_WALK_SKIP;
        }
        if (e->kind == SQL_EXPR_CALL && call_is_aggregate(e)) {
                if (!replace_call(g, e))
                        goto unfit;
                return SQL_WALK_SKIP;
        }
        if (names_bound(e))
                goto unfit;
        return SQL_WALK_ON;

unfit:
        g->unfit = true;
        return SQL_WALK_STOP;
}

static bool rewrite_expr(struct aggregate *g, struct sql_expr *e)
{
        return !e || (sql_walk(e, rewrite, NULL, g) == SQL_WALK_ON && !g->unfit);
}

/* A constant integer would be read as a position. */
static bool is_constant_term(const struct sql_expr *e)
{
        return !(node_traits(e) & (TRAIT_COLUMN | TRAIT_AGGREGATE));
}

static bool rewrite_all(struct aggregate *g)
{
        struct sql_arm *arm = g->q.arm;

        for (uint32_t i = 0; i < arm->results.n; i++)
                if (!rewrite_expr(g, arm->results.items[i]->expr))
                        return false;
        for (uint32_t i = 0; i < g->q.order.n; i++)
                if (is_constant_term(g->q.order.items[i]->expr) ||
                    !rewrite_expr(g, g->q.order.items[i]->expr))
                        return false;
        return rewrite_expr(g, arm->having);
}

static bool groups_fit(const struct aggregate *g)
{
        for (uint32_t i = 0; i < g->q.arm->group_by.n; i++) {
                const struct sql_expr *e = g->q.arm->group_by.items[i];
                struct compare_type type = expr_type(e);

                if (!type.is_canonical || (type.may_be_json && json_is_seen(g->p, NULL)) ||
                    (node_traits(e) & (TRAIT_VOLATILE | TRAIT_AGGREGATE)) || is_constant_term(e))
                        return false;
        }
        return true;
}

/* The position of a result column, as GROUP BY takes it. */
static struct sql_expr *make_position(struct aggregate *g, uint32_t number)
{
        struct sql_expr *e = sql_new(g->p->scratch, SQL_EXPR_INTEGER);

        if (!e)
                return NULL;
        e->text.data = arena_numbered(g->p->scratch, "", number);
        e->text.n_bytes = e->text.data ? (uint32_t)strlen(e->text.data) : 0;
        return e->text.data ? e : NULL;
}

static bool make_arm(struct aggregate *g, struct sql_arm *arm)
{
        const struct sql_exprs *groups = &g->q.arm->group_by;

        *arm = *g->q.arm;
        arm->distinct = SQL_DISTINCT_NONE;
        arm->having = NULL;
        arm->results = (struct sql_results){ 0 };
        arm->group_by = (struct sql_exprs){ 0 };
        for (uint32_t i = 0; i < groups->n; i++)
                if (!add_result(g->p, &arm->results, groups->items[i]) ||
                    !sql_list_add(g->p->scratch, &arm->group_by, make_position(g, i + 1)))
                        return false;
        for (uint32_t i = 0; i < g->partials.n; i++)
                if (!add_result(g->p, &arm->results, g->partials.items[i]))
                        return false;
        return true;
}

static enum err_code print_part(struct aggregate *g, struct plan_part *part)
{
        struct simple q = g->q;
        struct sql_arm arm;
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        if (!make_arm(g, &arm))
                return planner_no_memory(g->p);
        q.arm = &arm;
        rc = add_arm(g->p, &q, &b);
        if (!rc)
                rc = planner_keep(g->p, &b, &part->sql);
        buf_done(&b);
        return rc;
}

/* The group's columns keep the affinity of their expressions, so that HAVING compares as it would
 * have. */
static enum err_code set_load(struct aggregate *g, struct plan_part *part)
{
        const struct sql_exprs *groups = &g->q.arm->group_by;
        size_t n = groups->n + g->partials.n;
        struct part_column *columns = arena_calloc(g->p->scratch, n + 1, sizeof *columns);
        struct compare_type *types = arena_calloc(g->p->scratch, groups->n + 1, sizeof *types);

        if (!columns || !types)
                return planner_no_memory(g->p);
        for (uint32_t i = 0; i < n; i++) {
                columns[i].name = i < groups->n ? arena_numbered(g->p->scratch, "g", i)
                                                : arena_numbered(g->p->scratch, "a", i - groups->n);
                if (!columns[i].name)
                        return planner_no_memory(g->p);
                if (i >= groups->n)
                        continue;
                types[i] = expr_type(groups->items[i]);
                columns[i].type = &types[i];
        }
        return part_set_load(g->p, part, g->table, columns, n);
}

static enum err_code print_finish(struct aggregate *g)
{
        const struct sql_arm *arm = g->q.arm;
        struct buf b = BUF_INIT(0);
        enum err_code rc = ERR_OK;

        buf_add_str(&b, arm->distinct == SQL_DISTINCT_DISTINCT ? "SELECT DISTINCT " : "SELECT ");
        for (uint32_t i = 0; !rc && i < arm->results.n; i++) {
                buf_add_str(&b, i ? ", " : "");
                rc = planner_print_to(g->p, arm->results.items[i]->expr, &b);
                if (g->cut->is_nested) {
                        const char *name = g->q.of->columns[i].name;

                        buf_add_str(&b, " AS ");
                        sql_quote_name(&b, name);
                }
        }
        buf_add_str(&b, " FROM ");
        buf_add_str(&b, g->table);
        for (uint32_t i = 0; i < arm->group_by.n; i++) {
                buf_add_str(&b, i ? ", g" : " GROUP BY g");
                buf_add_number(&b, i);
        }
        if (!rc && arm->having) {
                buf_add_str(&b, " HAVING ");
                rc = planner_print_to(g->p, arm->having, &b);
        }
        for (uint32_t i = 0; !rc && i < g->q.order.n; i++) {
                buf_add_str(&b, i ? ", " : " ORDER BY ");
                rc = planner_print_to(g->p, g->q.order.items[i], &b);
        }
        if (!rc)
                rc = add_limit(g->p, &g->q, &b);
        if (!rc)
                rc = planner_keep(g->p, &b, &g->cut->sql);
        buf_done(&b);
        return rc;
}

enum plan_try plan_aggregate(struct planner *p, struct query *q, const struct place *place,
                             struct cut *cut)
{
        struct aggregate g = { .p = p, .table = part_table(p), .cut = cut };
        struct plan_part *part;
        enum plan_try tried;

        if (q->arms[0].has_windows || !q->arms[0].columns)
                return TRY_NEXT;
        tried = simplify(p, q, &g.q);
        if (tried != TRY_DONE)
                return tried;
        if (!g.table) {
                planner_no_memory(p);
                return TRY_ERROR;
        }
        if (cut->with)
                g.q.with = cut->with;
        if (!groups_fit(&g) || !rewrite_all(&g) || g.partials.n + g.q.arm->group_by.n == 0)
                return TRY_NEXT;
        if (planner_add_part(p, &part) || print_part(&g, part) || set_load(&g, part) ||
            print_finish(&g))
                return TRY_ERROR;
        part->route = place->route;
        cut->kind = place->route.kind == ROUTE_KEYS ? PLAN_MULTI_SHARD : PLAN_SCATTER_AGGREGATE;
        return TRY_DONE;
}
