/* plan_with.c - the common table expressions that a piece of a query needs from around it. Loop
 * thread. */
#include "gate/plan_place.h"

struct gathering_ctes {
        struct planner *p;
        const struct sql_node *inside; /* what is defined in here is there anyway */
        struct sql_with *with;
        bool unfit;
};

static enum sql_walk find_node(struct sql_node *node, void *ctx)
{
        return node == ctx ? SQL_WALK_STOP : SQL_WALK_ON;
}

static bool contains(const struct sql_node *node, const void *wanted)
{
        return sql_walk((void *)(uintptr_t)node, find_node, NULL, (void *)(uintptr_t)wanted) ==
               SQL_WALK_STOP;
}

static bool find_outer_ctes(struct gathering_ctes *g, const struct query *q);

static bool add_outer_cte(struct gathering_ctes *g, const struct query *q)
{
        struct sql_cte *cte = (struct sql_cte *)(uintptr_t)q->cte;

        for (uint32_t i = 0; i < g->with->ctes.n; i++)
                if (g->with->ctes.items[i] == cte)
                        return true;
        if (g->inside && contains(g->inside, cte))
                return find_outer_ctes(g, q);
        /* What is random is the same wherever the CTE is used. */
        if (q->instead || q->is_correlated || (node_traits(cte->select) & TRAIT_VOLATILE)) {
                g->unfit = true;
                return true;
        }
        if (q->is_recursive)
                g->with->is_recursive = true;
        return sql_list_add(g->p->scratch, &g->with->ctes, cte) && find_outer_ctes(g, q);
}

static bool add_source_ctes(struct gathering_ctes *g, const struct source *s)
{
        if (!s->query || s->is_recursive)
                return true;
        return s->query->cte ? add_outer_cte(g, s->query) : find_outer_ctes(g, s->query);
}

static bool find_outer_ctes(struct gathering_ctes *g, const struct query *q)
{
        for (uint32_t i = 0; i < q->n_arms; i++) {
                const struct query_arm *arm = &q->arms[i];

                for (uint32_t k = 0; k < arm->n_sources; k++)
                        if (!add_source_ctes(g, &arm->sources[k]))
                                return false;
                for (const struct subquery *s = arm->subqueries; s; s = s->next)
                        if (!find_outer_ctes(g, s->query))
                                return false;
        }
        return true;
}

static enum sql_walk find_same_name(struct sql_node *node, void *ctx)
{
        const struct sql_with *with = ctx;
        const struct sql_cte *cte = (const struct sql_cte *)node;

        for (uint32_t i = 0; node->kind == SQL_CTE && i < with->ctes.n; i++)
                if (with->ctes.items[i] != cte &&
                    sql_name_same(&with->ctes.items[i]->name, &cte->name))
                        return SQL_WALK_STOP;
        return SQL_WALK_ON;
}

/* Names that two of them have, or one of them and something defined inside, would be taken for each
 * other. */
static bool names_clash(const struct sql_with *with, const void *node)
{
        return sql_walk((void *)(uintptr_t)node, find_same_name, NULL, (void *)(uintptr_t)with) !=
               SQL_WALK_ON;
}

static bool ctes_clash(const struct sql_with *with)
{
        for (uint32_t i = 0; i < with->ctes.n; i++)
                if (names_clash(with, with->ctes.items[i]))
                        return true;
        return false;
}

enum plan_try with_for(struct planner *p, const struct query *q, struct sql_with **ret_with)
{
        struct sql_with *with = sql_new(p->scratch, SQL_WITH);
        struct gathering_ctes g = { .p = p, .inside = (const void *)q->node, .with = with };
        const struct sql_with *own = q->node->with;

        *ret_with = NULL;
        if (!with || !find_outer_ctes(&g, q)) {
                planner_no_memory(p);
                return TRY_ERROR;
        }
        if (g.unfit)
                return TRY_NEXT;
        if (!with->ctes.n)
                return TRY_DONE;
        if (ctes_clash(with) || names_clash(with, q->node))
                return TRY_NEXT;
        for (uint32_t i = 0; own && i < own->ctes.n; i++)
                if (!sql_list_add(p->scratch, &with->ctes, own->ctes.items[i])) {
                        planner_no_memory(p);
                        return TRY_ERROR;
                }
        if (own && own->is_recursive)
                with->is_recursive = true;
        *ret_with = with;
        return TRY_DONE;
}

enum plan_try with_for_sources(struct planner *p, struct source *const *sources, uint32_t n,
                               struct sql_with **ret_with)
{
        struct sql_with *with = sql_new(p->scratch, SQL_WITH);
        struct gathering_ctes g = { .p = p, .with = with };

        *ret_with = NULL;
        for (uint32_t i = 0; with && i < n; i++) {
                g.inside = (const void *)sources[i]->node;
                if (!add_source_ctes(&g, sources[i])) {
                        planner_no_memory(p);
                        return TRY_ERROR;
                }
        }
        if (!with) {
                planner_no_memory(p);
                return TRY_ERROR;
        }
        if (g.unfit || ctes_clash(with))
                return TRY_NEXT;
        for (uint32_t i = 0; with->ctes.n && i < n; i++)
                if (names_clash(with, sources[i]->node))
                        return TRY_NEXT;
        if (with->ctes.n)
                *ret_with = with;
        return TRY_DONE;
}
