/* plan_select.c - which way a query goes: whole to one shard, whole to several, cut in two, or
 * gathered. Loop thread. */
#include "gate/plan_int.h"

/* A query over no table but what the gate's own SQLite has. */
static enum err_code plan_local(struct planner *p)
{
        p->plan->kind = PLAN_LOCAL;
        p->plan->quick_finish = node_is_quick(p->stmt);
        return planner_print(p, p->stmt, &p->plan->finish_sql);
}

/* One arm that reads one table, once, and nothing else. */
static bool is_one_table(const struct planner *p, const struct table_uses *uses)
{
        const struct sql_select *q = p->stmt->select;

        return uses->n == 1 && uses->items[0].n_uses == 1 && q->arms.n == 1 && !q->with &&
               q->arms.items[0]->from.n == 1 &&
               uses->items[0].source == q->arms.items[0]->from.items[0];
}

static struct scope scope_of(const struct table_use *use)
{
        return (struct scope){
                .table = use->table,
                .name = use->source->alias.text ? use->source->alias.text : use->table->name,
        };
}

/* Rows of the shards, one after the other, are the answer. */
static bool is_concatenation(const struct sql_select *q)
{
        const struct sql_arm *arm = q->arms.items[0];

        return arm->distinct != SQL_DISTINCT_DISTINCT && arm->group_by.n == 0 && !arm->having &&
               q->order_by.n == 0 && !q->limit &&
               !(node_traits(q) & (TRAIT_AGGREGATE | TRAIT_WINDOW));
}

/* The query's own nodes; itself, it is a SELECT and would count as a subquery. */
static bool has_subquery(const struct sql_select *q)
{
        const struct sql_arm *arm = q->arms.items[0];
        unsigned traits = node_traits(arm->where) | node_traits(arm->having) |
                          node_traits(q->limit) | node_traits(q->offset);

        for (uint32_t i = 0; i < arm->results.n; i++)
                traits |= node_traits(arm->results.items[i]);
        for (uint32_t i = 0; i < arm->group_by.n; i++)
                traits |= node_traits(arm->group_by.items[i]);
        for (uint32_t i = 0; i < arm->windows.n; i++)
                traits |= node_traits(arm->windows.items[i]);
        for (uint32_t i = 0; i < q->order_by.n; i++)
                traits |= node_traits(q->order_by.items[i]);
        return traits & TRAIT_SUBQUERY;
}

static enum err_code plan_one_table(struct planner *p, const struct table_uses *uses)
{
        struct scope s = scope_of(&uses->items[0]);
        const struct sql_select *q = p->stmt->select;
        struct sql_exprs conjuncts = { 0 };
        struct route route;
        bool pins_row;
        enum plan_try tried;
        enum err_code rc;

        if (!add_conjuncts(p, q->arms.items[0]->where, &conjuncts))
                return planner_no_memory(p);
        rc = find_route(p, &s, conjuncts.items, conjuncts.n, &route, &pins_row);
        if (rc)
                return rc;
        if (route.kind == ROUTE_KEYS && route.n_keys <= 1) {
                rc = planner_pass_through(p, PLAN_SINGLE_SHARD, &route);
                if (!rc)
                        p->plan->parts[0].cheap =
                            pins_row && node_is_quick(q) && reading_is_quick(s.table);
                return rc;
        }
        if (is_concatenation(q))
                return planner_pass_through(
                    p, route.kind == ROUTE_KEYS ? PLAN_MULTI_SHARD : PLAN_SCATTER, &route);
        tried = plan_ordered(p, &s, &route);
        if (tried == TRY_NEXT)
                tried = plan_aggregate(p, &s, &route);
        if (tried == TRY_NEXT)
                return plan_gather(p, uses);
        return tried == TRY_DONE ? ERR_OK : p->reterr ? p->reterr->code : ERR_INTERNAL;
}

enum err_code plan_select(struct planner *p)
{
        static const struct route home = { .kind = ROUTE_HOME };
        struct table_uses uses;
        enum err_code rc = find_tables(p, p->stmt, &uses);

        if (rc)
                return rc;
        if (uses.n == 0)
                return plan_local(p);
        if (!uses_sharded(p, &uses))
                return planner_pass_through(p, PLAN_UNSHARDED, &home);
        if (is_one_table(p, &uses) && !has_subquery(p->stmt->select))
                return plan_one_table(p, &uses);
        return plan_gather(p, &uses);
}
