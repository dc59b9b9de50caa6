/* plan_whole.c - which groups, partitions and distinct rows of an arm lie on one shard, because a
 * key is among what they have in common. Loop thread. */
#include <stdlib.h>

#include "gate/plan_place.h"

struct whole {
        const struct query_arm *arm;
        const struct place *place; /* of its rows */
};

/* What a term of GROUP BY or PARTITION BY stands for: a result by number or alias. */
static const struct sql_expr *meant(const struct query_arm *arm, const struct sql_expr *e,
                                    bool by_number)
{
        const struct sql_results *results = &arm->node->results;

        if (by_number && e->kind == SQL_EXPR_INTEGER) {
                unsigned long k = strtoul(e->text.data, NULL, 0);

                return k >= 1 && k <= arm->n_columns && results->n == arm->n_columns
                           ? results->items[k - 1]->expr
                           : NULL;
        }
        if (e->kind != SQL_EXPR_COLUMN || e->bound || e->table.text)
                return e;
        for (uint32_t i = 0; i < results->n; i++)
                if (results->items[i]->alias.text &&
                    sql_name_same(&results->items[i]->alias, &e->column))
                        return results->items[i]->expr;
        return e;
}

static bool names_key(const struct whole *w, const struct key *key, const struct sql_exprs *list,
                      bool by_number)
{
        for (size_t i = 0; i < key->table->n_shard_columns; i++) {
                bool found = false;

                for (uint32_t k = 0; !found && k < list->n; k++) {
                        const struct sql_expr *e = meant(w->arm, list->items[k], by_number);

                        found = e && equals_names(&w->place->equals, e, key->columns[i].source,
                                                  key->columns[i].column);
                }
                if (!found)
                        return false;
        }
        return true;
}

static bool has_key(const struct whole *w, const struct sql_exprs *list, bool by_number)
{
        for (uint32_t i = 0; i < w->place->keys.n; i++)
                if (!w->place->keys.items[i]->padded &&
                    names_key(w, w->place->keys.items[i], list, by_number))
                        return true;
        return false;
}

static const struct sql_exprs *partition_of(const struct query_arm *arm,
                                            const struct sql_window *over)
{
        for (int depth = 0; over && depth < 20; depth++) {
                const struct sql_window *named = NULL;

                if (!over->base.text)
                        return &over->partition;
                for (uint32_t i = 0; i < arm->node->windows.n; i++)
                        if (sql_name_same(&arm->node->windows.items[i]->name, &over->base))
                                named = arm->node->windows.items[i];
                over = named;
        }
        return NULL;
}

static enum sql_walk check_window(struct sql_node *node, void *ctx)
{
        const struct whole *w = ctx;
        const struct sql_expr *e = (const struct sql_expr *)node;
        const struct sql_exprs *partition;

        if (node->kind == SQL_SELECT)
                return SQL_WALK_SKIP;
        if (node->kind != SQL_EXPR_CALL || !e->call.over)
                return SQL_WALK_ON;
        partition = partition_of(w->arm, e->call.over);
        return partition && has_key(w, partition, false) ? SQL_WALK_ON : SQL_WALK_STOP;
}

static bool windows_are_whole(struct whole *w)
{
        const struct sql_select *select = w->arm->query->node;

        if (!w->arm->has_windows)
                return true;
        for (uint32_t i = 0; i < w->arm->node->results.n; i++)
                if (sql_walk(w->arm->node->results.items[i], check_window, NULL, w) != SQL_WALK_ON)
                        return false;
        for (uint32_t i = 0; i < select->order_by.n; i++)
                if (sql_walk(select->order_by.items[i], check_window, NULL, w) != SQL_WALK_ON)
                        return false;
        return true;
}

/* The column of the arm's results that holds that of a key; -1. */
static int find_result(const struct whole *w, const struct key_column *c)
{
        for (uint32_t i = 0; w->arm->columns && i < w->arm->n_columns; i++) {
                const struct query_column *have = &w->arm->columns[i];

                if (have->source &&
                    equals_has(&w->place->equals, have->source, have->column, c->source, c->column))
                        return (int)i;
        }
        return -1;
}

bool place_shows_key(const struct query_arm *arm, const struct place *place, const struct key *key,
                     struct key_column *ret)
{
        const struct whole w = { .arm = arm, .place = place };

        for (size_t i = 0; i < key->table->n_shard_columns; i++) {
                ret[i] = (struct key_column){ .column = find_result(&w, &key->columns[i]) };
                if (ret[i].column < 0)
                        return false;
        }
        return true;
}

bool place_groups_are_whole(const struct query_arm *arm, const struct place *place)
{
        struct whole whole = { .arm = arm, .place = place }, *w = &whole;
        const struct sql_arm *node = arm->node;

        if (node->group_by.n ? !has_key(w, &node->group_by, true)
                             : w->arm->has_aggregates || node->having)
                return false;
        return windows_are_whole(w);
}

bool place_distinct_is_whole(const struct query_arm *arm, const struct place *place)
{
        struct key_column shown[ROUTE_MAX_KEY_COLUMNS];
        bool whole = arm->node->distinct != SQL_DISTINCT_DISTINCT;

        for (uint32_t i = 0; !whole && i < place->keys.n; i++)
                whole = !place->keys.items[i]->padded &&
                        place_shows_key(arm, place, place->keys.items[i], shown);
        return whole;
}
