/* plan_json.c - the JSON subtype: json_array('[1]') holds a text, json_array(json('[1]')) an array,
 * for SQLite remembers of a value which function has made it, until the value is stored somewhere.
 * What shards send has been stored. So a value that may be JSON is not cut out from under a
 * function that would see it. https://sqlite.org/json1.html section 3. Loop thread. */
#include <string.h>

#include "gate/plan_names.h"
#include "sql/parse.h"

static bool is_one_of(const struct sql_name *name, const char *const *names)
{
        while (*names && !sql_name_is(name, *names))
                names++;
        return *names;
}

/* ---- what is JSON */

/* Functions that say that their result is JSON, if only of some. */
static const char *const makers[] = { "json",        "json_array",       "json_extract",
                                      "json_insert", "json_group_array", "json_group_object",
                                      "json_object", "json_patch",       "json_quote",
                                      "json_remove", "json_replace",     "json_set",
                                      NULL };
/* Functions whose result is one of their arguments as it is. */
static const char *const choosers[] = { "coalesce", "first_value", "ifnull", "iif",
                                        "lag",      "last_value",  "lead",   "likelihood",
                                        "likely",   "max",         "min",    "nth_value",
                                        "nullif",   "unlikely",    NULL };

static bool any_may_be_json(const struct sql_exprs *list)
{
        for (uint32_t i = 0; i < list->n; i++)
                if (expr_may_be_json(list->items[i]))
                        return true;
        return false;
}

static bool subquery_may_be_json(const struct sql_expr *e)
{
        const struct query *q = e->select ? e->select->bound : NULL;

        return !q || q->n_columns == 0 || q->columns[0].type.may_be_json;
}

bool expr_may_be_json(const struct sql_expr *e)
{
        const struct bound_name *bound;

        while (e && (e->kind == SQL_EXPR_COLLATE || e->kind == SQL_EXPR_PLUS ||
                     e->kind == SQL_EXPR_CAST))
                e = e->left;
        if (!e)
                return false;
        bound = names_bound(e);
        if (bound)
                return source_column_type(bound->source, bound->column).may_be_json;
        switch (e->kind) {
        case SQL_EXPR_ARROW:
                return true;
        case SQL_EXPR_CALL:
                return is_one_of(&e->call.name, makers) ||
                       (is_one_of(&e->call.name, choosers) && any_may_be_json(&e->call.args));
        case SQL_EXPR_CASE:
                return any_may_be_json(&e->args) || expr_may_be_json(e->right);
        case SQL_EXPR_SUBQUERY:
                return subquery_may_be_json(e);
        default:
                return false;
        }
}

/* ---- who sees it */

static enum sql_walk find_viewer(struct sql_node *node, void *ctx)
{
        static const char *const viewers[] = {
                "json_array", "json_group_array", "json_group_object", "json_insert", "json_object",
                "json_quote", "json_replace",     "json_set",          NULL
        };

        if (node == ctx)
                return SQL_WALK_SKIP;
        if (node->kind != SQL_EXPR_CALL)
                return SQL_WALK_ON;
        return is_one_of(&((const struct sql_expr *)node)->call.name, viewers) ? SQL_WALK_STOP
                                                                               : SQL_WALK_ON;
}

bool json_is_seen(const struct planner *p, const void *except)
{
        return sql_walk(p->stmt, find_viewer, NULL, (void *)(uintptr_t)except) != SQL_WALK_ON;
}

bool json_is_seen_of(const struct planner *p, const struct query_column *columns, uint32_t n,
                     const struct query *query)
{
        for (uint32_t i = 0; i < n; i++)
                if (columns[i].type.may_be_json)
                        return json_is_seen(p, query->node);
        return false;
}

/* ---- columns of tables that may be JSON */

static bool has_computed(const struct catalog_table *t)
{
        for (size_t i = 0; i < t->n_columns; i++)
                if (t->columns[i].computed)
                        return true;
        return false;
}

bool json_is_seen_of_table(const struct planner *p, const struct catalog_table *t)
{
        return has_computed(t) && json_is_seen(p, NULL);
}

static struct sql_expr *find_generated(const struct sql_column_def *def)
{
        for (uint32_t i = 0; i < def->constraints.n; i++)
                if (def->constraints.items[i]->type == SQL_CONSTRAINT_GENERATED)
                        return def->constraints.items[i]->expr;
        return NULL;
}

enum err_code json_find_computed(struct planner *p, const struct catalog_table *t,
                                 struct sql_expr ***ret_exprs)
{
        const struct sql_column_defs *defs;
        struct sql_expr **exprs;
        struct sql_stmt *st;
        enum err_code rc;

        *ret_exprs = NULL;
        if (!json_is_seen_of_table(p, t))
                return ERR_OK;
        exprs = arena_calloc(p->scratch, t->n_columns, sizeof(struct sql_expr *));
        if (!exprs)
                return planner_no_memory(p);
        rc = sql_parse(p->scratch, t->sql, strlen(t->sql), &st, NULL, p->reterr);
        if (rc)
                return err_wrap(p->reterr, rc, "table %s", t->name);
        defs = &st->create_table->columns;
        for (uint32_t i = 0; i < defs->n; i++) {
                int column = catalog_column_index(t, defs->items[i]->name.text);

                if (column >= 0 && t->columns[column].computed)
                        exprs[column] = find_generated(defs->items[i]);
        }
        *ret_exprs = exprs;
        return ERR_OK;
}
