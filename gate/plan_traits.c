/* plan_traits.c - what expressions are made of, which tables a statement uses. Loop thread. */
#include <strings.h>

#include "gate/plan_names.h"

/* ---- traits */

bool call_is_aggregate(const struct sql_expr *e)
{
        static const char *const names[] = { "avg",
                                             "count",
                                             "group_concat",
                                             "sum",
                                             "total",
                                             "json_group_array",
                                             "json_group_object" };

        if (e->call.over)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (sql_name_is(&e->call.name, names[i]))
                        return true;
        return (sql_name_is(&e->call.name, "min") || sql_name_is(&e->call.name, "max")) &&
               e->call.args.n == 1;
}

static bool call_is_volatile(const struct sql_expr *e)
{
        return sql_name_is(&e->call.name, "random") || sql_name_is(&e->call.name, "randomblob");
}

static bool is_boolean_name(const struct sql_expr *e)
{
        return !e->table.text && e->column.quote == SQL_QUOTE_NONE &&
               (sql_name_is(&e->column, "true") || sql_name_is(&e->column, "false"));
}

static enum sql_walk collect_traits(struct sql_node *node, void *ctx)
{
        struct sql_expr *e = (struct sql_expr *)node;
        unsigned *traits = ctx;

        switch (node->kind) {
        case SQL_SELECT:
        case SQL_EXPR_IN_TABLE:
                *traits |= TRAIT_SUBQUERY;
                break;
        case SQL_EXPR_COLUMN:
                if (!is_boolean_name(e))
                        *traits |= TRAIT_COLUMN;
                break;
        case SQL_EXPR_CALL:
                if (e->call.over)
                        *traits |= TRAIT_WINDOW;
                else if (call_is_aggregate(e))
                        *traits |= TRAIT_AGGREGATE;
                if (call_is_volatile(e))
                        *traits |= TRAIT_VOLATILE;
                break;
        default:
                break;
        }
        return SQL_WALK_ON;
}

unsigned node_traits(const void *node)
{
        unsigned traits = 0;

        /* What is too deep to be looked at is taken to be anything. */
        if (node && sql_walk((void *)(uintptr_t)node, collect_traits, NULL, &traits) != SQL_WALK_ON)
                return ~0u;
        return traits;
}

/* ---- tables */

struct table_walk {
        struct planner *p;
        struct table_uses *uses;
        enum err_code rc;
};

/* Common table expressions hide tables of their name. Scopes are not told apart: a name that is
 * both a table and a CTE somewhere in the statement is taken for a table too, which costs rows but
 * no rightness. */
static bool add_use(struct table_walk *w, const struct sql_table_name *name,
                    const struct sql_source *source)
{
        const struct catalog_table *t = catalog_find_table(w->p->catalog, name->name.text);
        struct table_uses *u = w->uses;

        if (!t)
                return true;
        for (size_t i = 0; i < u->n; i++)
                if (u->items[i].table == t) {
                        u->items[i].n_uses++;
                        u->items[i].source = NULL;
                        u->items[i].arm = NULL;
                        return true;
                }
        if (!arena_room(w->p->scratch, u->items, u->n, u->n_allocated))
                return false;
        u->items[u->n++] = (struct table_use){ .table = t, .n_uses = 1, .source = source };
        return true;
}

static enum sql_walk refuse_own(struct table_walk *w, const struct sql_table_name *name)
{
        w->rc = err_set(w->p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                        "reading %s is not there yet", name->name.text);
        return SQL_WALK_STOP;
}

/* Tables that only SQLite has. */
static bool is_own_name(const struct table_walk *w, const struct sql_table_name *name)
{
        return sql_name_is_own(&name->name) && !catalog_find_table(w->p->catalog, name->name.text);
}

static enum sql_walk visit_table(struct sql_node *node, void *ctx)
{
        struct table_walk *w = ctx;
        struct sql_source *source = (struct sql_source *)node;
        struct sql_expr *e = (struct sql_expr *)node;
        bool ok = true;

        if (names_instead(node))
                return SQL_WALK_SKIP;
        switch (node->kind) {
        case SQL_CTE:
                w->uses->has_cte = true;
                break;
        case SQL_RESULT:
                if (((struct sql_result *)node)->type != SQL_RESULT_EXPR)
                        w->uses->has_star = true;
                break;
        case SQL_SOURCE:
                if (source->join & SQL_JOIN_NATURAL)
                        w->uses->has_star = true;
                if ((source->type == SQL_SOURCE_TABLE || source->type == SQL_SOURCE_FUNCTION) &&
                    source->table) {
                        if (is_own_name(w, source->table))
                                return refuse_own(w, source->table);
                        if (source->type == SQL_SOURCE_TABLE)
                                ok = add_use(w, source->table, source);
                }
                break;
        case SQL_EXPR_IN_TABLE:
                if (is_own_name(w, e->in_table))
                        return refuse_own(w, e->in_table);
                w->uses->has_star = true;
                ok = add_use(w, e->in_table, NULL);
                break;
        default:
                break;
        }
        if (!ok) {
                w->rc = planner_no_memory(w->p);
                return SQL_WALK_STOP;
        }
        return SQL_WALK_ON;
}

/* Behind all that is in an arm: tells each source its arm. */
static enum sql_walk note_arm(struct sql_node *node, void *ctx)
{
        struct table_walk *w = ctx;
        const struct sql_arm *arm = (const struct sql_arm *)node;

        if (node->kind != SQL_ARM || names_instead(node))
                return SQL_WALK_ON;
        for (size_t i = 0; i < w->uses->n; i++)
                for (size_t k = 0; w->uses->items[i].source && k < arm->from.n; k++)
                        if (arm->from.items[k] == w->uses->items[i].source)
                                w->uses->items[i].arm = arm;
        return SQL_WALK_ON;
}

static enum err_code find(struct planner *p, const void *node, sql_walk_fn *post,
                          struct table_uses *ret_uses)
{
        struct table_uses uses = { 0 };
        struct table_walk w = { .p = p, .uses = &uses };
        enum sql_walk end = sql_walk((void *)(uintptr_t)node, visit_table, post, &w);

        if (w.rc)
                return w.rc;
        if (end != SQL_WALK_ON)
                return err_set(p->reterr, ERR_EXHAUSTED, "STATEMENT_TOO_COMPLEX",
                               "the statement is nested too deeply");
        *ret_uses = uses;
        return ERR_OK;
}

enum err_code find_tables(struct planner *p, const void *node, struct table_uses *ret_uses)
{
        return find(p, node, NULL, ret_uses);
}

enum err_code find_tables_and_arms(struct planner *p, const void *node, struct table_uses *ret_uses)
{
        return find(p, node, note_arm, ret_uses);
}

bool is_spread(const struct planner *p, const struct catalog_table *t)
{
        return t->sharding == SHARDING_HASH && shard_map_size(catalog_shards(p->catalog)) > 1;
}

bool uses_sharded(const struct planner *p, const struct table_uses *u)
{
        for (size_t i = 0; i < u->n; i++)
                if (is_spread(p, u->items[i].table))
                        return true;
        return false;
}
