/* plan_select.c - which way a query goes: whole to one shard, whole to several, cut in two, or
 * gathered. Loop thread. */
#include "gate/plan_place.h"

/* A query over no table but what the gate's own SQLite has. */
static enum err_code plan_local(struct planner *p)
{
        p->plan->kind = PLAN_LOCAL;
        p->plan->quick_finish = node_is_quick(p->stmt);
        return planner_print(p, p->stmt, &p->plan->finish_sql);
}

/* The rows of the shards, one after the other, are the answer. */
static enum err_code concatenate(struct planner *p, const struct route *route)
{
        return planner_pass_through(p, route->kind == ROUTE_KEYS ? PLAN_MULTI_SHARD : PLAN_SCATTER,
                                    route);
}

/* A single row of a single table is looked up at once. */
static enum err_code plan_single_shard(struct planner *p, const struct query *q,
                                       const struct place *place)
{
        enum err_code rc = planner_pass_through(p, PLAN_SINGLE_SHARD, &place->route);
        const struct query_arm *arm = &q->arms[0];

        if (rc || arm->n_sources != 1 || !arm->sources[0].table || arm->subqueries ||
            !node_is_quick(q->node) || !reading_is_quick(arm->sources[0].table))
                return rc;
        return find_pins_row(p, &arm->sources[0], &place->filters, &p->plan->parts[0].cheap);
}

static enum plan_try plan_arm(struct planner *p, struct query *q)
{
        struct cut cut = { 0 };
        struct place place;
        enum plan_try tried;

        if (place_arm(p, &q->arms[0], &place))
                return TRY_ERROR;
        if (place.kind != PLACE_SHARDS)
                return TRY_NEXT;
        if (place.route.kind == ROUTE_KEYS && place.route.n_keys <= 1)
                return plan_single_shard(p, q, &place) ? TRY_ERROR : TRY_DONE;
        if (place.groups_whole && place.distinct_whole && !q->node->order_by.n && !q->node->limit)
                return concatenate(p, &place.route) ? TRY_ERROR : TRY_DONE;
        tried = plan_ordered(p, q, &place, &cut);
        if (tried == TRY_NEXT)
                tried = plan_aggregate(p, q, &place, &cut);
        p->plan->kind = cut.kind;
        p->plan->finish_sql = cut.sql;
        return tried;
}

static enum plan_try plan_arms(struct planner *p, struct query *q)
{
        struct cut cut = { 0 };
        struct place place;
        enum plan_try tried;

        if (place_unlimited(p, q, &place))
                return TRY_ERROR;
        if (place.kind != PLACE_SHARDS)
                return TRY_NEXT;
        if (place.route.kind == ROUTE_KEYS && place.route.n_keys <= 1)
                return planner_pass_through(p, PLAN_SINGLE_SHARD, &place.route) ? TRY_ERROR
                                                                                : TRY_DONE;
        if (!q->node->order_by.n && !q->node->limit)
                return concatenate(p, &place.route) ? TRY_ERROR : TRY_DONE;
        tried = plan_compound(p, q, &place, &cut);
        p->plan->kind = cut.kind;
        p->plan->finish_sql = cut.sql;
        return tried;
}

enum err_code plan_select(struct planner *p)
{
        static const struct route home = { .kind = ROUTE_HOME };
        struct table_uses uses;
        struct query *q = NULL;
        enum plan_try tried;
        enum err_code rc = find_tables(p, p->stmt, &uses);

        if (rc)
                return rc;
        if (uses.n == 0)
                return plan_local(p);
        if (!uses_sharded(p, &uses))
                return planner_pass_through(p, PLAN_UNSHARDED, &home);
        if (p->is_lazy)
                return plan_gather(p);
        tried = names_bind(p, p->stmt->select, &q);
        if (tried == TRY_DONE)
                tried = q->n_arms > 1 ? plan_arms(p, q) : plan_arm(p, q);
        if (tried == TRY_NEXT)
                return plan_split(p, q);
        return tried == TRY_DONE ? ERR_OK : p->reterr ? p->reterr->code : ERR_INTERNAL;
}
