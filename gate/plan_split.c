/* plan_split.c - a query that shards cannot answer as a whole: everything in it that they can
 * (whole subqueries, common table expressions, arms of compounds) is cut out and becomes a part.
 * Loop thread. */
#include "gate/plan_place.h"

struct splitter {
        struct planner *p;
        const struct query *top;
        unsigned n_cut;
        enum plan_kind kind; /* of the only cut */
};

static enum plan_try cut_query(struct splitter *w, struct query *q);

/* ---- units */

static bool is_one_shard(const struct place *place)
{
        return place->kind == PLACE_HOME ||
               (place->kind == PLACE_SHARDS && place->route.kind == ROUTE_KEYS &&
                place->route.n_keys <= 1);
}

static enum plan_try cut_arm_of(struct planner *p, struct query *q, struct cut *cut)
{
        struct place place;
        enum plan_try tried;

        if (place_arm(p, &q->arms[0], &place))
                return TRY_ERROR;
        if (is_one_shard(&place))
                return plan_verbatim(p, q, &place, cut);
        if (place.kind != PLACE_SHARDS)
                return TRY_NEXT;
        tried = plan_ordered(p, q, &place, cut);
        return tried == TRY_NEXT ? plan_aggregate(p, q, &place, cut) : tried;
}

static enum plan_try cut_whole(struct planner *p, struct query *q, struct cut *cut)
{
        struct place place;

        if (q->n_arms == 1)
                return cut_arm_of(p, q, cut);
        if (place_unlimited(p, q, &place))
                return TRY_ERROR;
        if (is_one_shard(&place))
                return plan_verbatim(p, q, &place, cut);
        if (place.kind != PLACE_SHARDS)
                return TRY_NEXT;
        return q->node->order_by.n || q->node->limit ? plan_compound(p, q, &place, cut)
                                                     : plan_verbatim(p, q, &place, cut);
}

static void note_cut(struct splitter *w, const struct cut *cut)
{
        w->n_cut++;
        w->kind = cut->kind;
}

static enum plan_try try_unit(struct splitter *w, struct query *q)
{
        struct cut cut = { .is_nested = true };
        enum plan_try tried;

        if (q->is_correlated || q->is_recursive ||
            json_is_seen_of(w->p, q->columns, q->n_columns, q))
                return TRY_NEXT;
        tried = with_for(w->p, q, &cut.with);
        if (tried == TRY_DONE)
                tried = cut_whole(w->p, q, &cut);
        if (tried != TRY_DONE)
                return tried;
        q->instead = cut.sql;
        note_cut(w, &cut);
        return TRY_DONE;
}

/* One arm of a compound as if it were a query. Its rows are compared like those of the first arm,
 * whatever their own types. */
static enum plan_try try_arm(struct splitter *w, struct query_arm *arm)
{
        struct sql_select *select = sql_new(w->p->scratch, SQL_SELECT);
        struct query q = { .arms = arm, .n_arms = 1, .columns = arm->columns };
        struct cut cut = { .is_nested = true };
        enum plan_try tried;

        if (!select || !sql_list_add(w->p->scratch, &select->arms, arm->node)) {
                planner_no_memory(w->p);
                return TRY_ERROR;
        }
        q.node = select;
        q.n_columns = arm->n_columns;
        if (arm->query->is_correlated || !arm->columns ||
            json_is_seen_of(w->p, arm->columns, arm->n_columns, arm->query))
                return TRY_NEXT;
        tried = with_for(w->p, &q, &cut.with);
        if (tried == TRY_DONE)
                tried = cut_arm_of(w->p, &q, &cut);
        if (tried != TRY_DONE)
                return tried;
        arm->instead = cut.sql;
        note_cut(w, &cut);
        return TRY_DONE;
}

/* ---- what is inside */

static enum plan_try cut_inside_arm(struct splitter *w, struct query_arm *arm)
{
        size_t n_parts = w->p->plan->n_parts;

        if (plan_clusters(w->p, arm, w->top) == TRY_ERROR)
                return TRY_ERROR;
        if (w->p->plan->n_parts > n_parts)
                w->n_cut += 2;
        for (uint32_t i = 0; i < arm->n_sources; i++)
                if (arm->sources[i].query && !arm->sources[i].is_recursive &&
                    !arm->sources[i].is_cut && cut_query(w, arm->sources[i].query) == TRY_ERROR)
                        return TRY_ERROR;
        for (struct subquery *s = arm->subqueries; s; s = s->next)
                if (cut_query(w, s->query) == TRY_ERROR)
                        return TRY_ERROR;
        return TRY_DONE;
}

static enum plan_try cut_inside(struct splitter *w, struct query *q)
{
        /* Its terms are found by what the arms look like. */
        if (q->n_arms > 1) {
                enum plan_try tried = compound_number_terms(w->p, q);

                if (tried != TRY_DONE)
                        return tried == TRY_NEXT ? TRY_DONE : tried;
        }
        for (uint32_t i = 0; i < q->n_arms; i++) {
                enum plan_try tried = q->n_arms > 1 ? try_arm(w, &q->arms[i]) : TRY_NEXT;

                if (tried == TRY_NEXT)
                        tried = cut_inside_arm(w, &q->arms[i]);
                if (tried == TRY_ERROR)
                        return TRY_ERROR;
        }
        return TRY_DONE;
}

static enum plan_try cut_query(struct splitter *w, struct query *q)
{
        enum plan_try tried;

        if (q->instead || q->is_visited)
                return TRY_DONE;
        q->is_visited = true;
        tried = try_unit(w, q);
        return tried == TRY_NEXT ? cut_inside(w, q) : tried;
}

enum err_code plan_split(struct planner *p, struct query *q)
{
        struct splitter w = { .p = p, .top = q };
        enum err_code rc;

        if (q && cut_inside(&w, q) == TRY_ERROR)
                return p->reterr ? p->reterr->code : ERR_INTERNAL;
        rc = plan_gather(p);
        /* All that is left to do at the gate is done over one part. */
        if (!rc && w.n_cut == 1 && p->plan->n_parts == 1)
                p->plan->kind = w.kind;
        return rc;
}
