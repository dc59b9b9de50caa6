/* plan_gather.c - any other query: the rows that can matter of every table it names, with the
 * columns it names and their rowids, are loaded into tables of the same names, affinities and
 * collations at the gate, where the query itself runs. Loop thread. */
#include <string.h>
#include <strings.h>

#include "gate/plan_place.h"

/* ---- which columns */

struct needed {
        const struct catalog_table *table;
        bool *columns;              /* that are fetched */
        struct sql_expr **computed; /* see json_find_computed() */
};

static enum sql_walk note_names(struct sql_node *node, void *ctx)
{
        struct needed *n = ctx;
        const struct sql_expr *e = (const struct sql_expr *)node;
        const struct sql_source *source = (const struct sql_source *)node;
        int i;

        if (names_instead(node))
                return SQL_WALK_SKIP;
        if (node->kind == SQL_EXPR_COLUMN) {
                i = catalog_column_index(n->table, e->column.text);
                if (i >= 0)
                        n->columns[i] = true;
        } else if (node->kind == SQL_SOURCE) {
                for (uint32_t k = 0; k < source->using_columns.n; k++) {
                        i = catalog_column_index(n->table, source->using_columns.items[k].text);
                        if (i >= 0)
                                n->columns[i] = true;
                }
        }
        return SQL_WALK_ON;
}

/* What is computed of others is not fetched, but they are. */
static bool note_computed(struct needed *n)
{
        for (size_t i = 0; n->computed && i < n->table->n_columns; i++) {
                if (n->computed[i] && sql_walk(n->computed[i], note_names, NULL, n) != SQL_WALK_ON)
                        return false;
        }
        for (size_t i = 0; n->computed && i < n->table->n_columns; i++)
                n->columns[i] &= !n->computed[i];
        return true;
}

/* By name alone: a column of another table with that name costs a few bytes. */
static enum err_code find_needed(struct planner *p, const struct table_uses *uses,
                                 const struct catalog_table *t, struct needed *ret)
{
        enum err_code rc;

        *ret =
            (struct needed){ .table = t,
                             .columns = arena_calloc(p->scratch, t->n_columns + 1, sizeof(bool)) };
        if (!ret->columns)
                return planner_no_memory(p);
        if (uses->has_star)
                memset(ret->columns, true, t->n_columns);
        else if (sql_walk(p->stmt, note_names, NULL, ret) != SQL_WALK_ON)
                return planner_no_memory(p);
        rc = json_find_computed(p, t, &ret->computed);
        if (!rc && !note_computed(ret))
                rc = planner_no_memory(p);
        if (t->rowid_column >= 0)
                ret->columns[t->rowid_column] = false; /* it is the rowid */
        return rc;
}

/* ---- which rows */

/* Conjuncts of an arm's WHERE that speak of one source only. */
struct pushing {
        struct planner *p;
        const struct sql_arm *arm;
        const struct source *source;
        bool other; /* a name was found that is, or may be, somebody else's */
};

static bool source_may_have(const struct planner *p, const struct sql_source *source,
                            const char *column)
{
        const struct catalog_table *t;

        if (source->type != SQL_SOURCE_TABLE)
                return true;
        t = catalog_find_table(p->catalog, source->table->name.text);
        return !t || catalog_column_index(t, column) >= 0;
}

static enum sql_walk check_name(struct sql_node *node, void *ctx)
{
        struct pushing *w = ctx;
        const struct sql_expr *e = (const struct sql_expr *)node;
        int column;

        if (node->kind != SQL_EXPR_COLUMN)
                return SQL_WALK_ON;
        column = source_match_column(w->source, e);
        if (column == COLUMN_NONE && !(node_traits(e) & TRAIT_COLUMN))
                return SQL_WALK_ON; /* TRUE, FALSE */
        w->other = column == COLUMN_NONE;
        for (uint32_t i = 0; !e->table.text && !w->other && i < w->arm->from.n; i++)
                if (w->arm->from.items[i] != w->source->node)
                        w->other = column == COLUMN_ROWID ||
                                   source_may_have(w->p, w->arm->from.items[i], e->column.text);
        return w->other ? SQL_WALK_STOP : SQL_WALK_ON;
}

static bool can_push(struct pushing *w, struct sql_expr *e)
{
        unsigned traits = node_traits(e);

        if (traits & (TRAIT_SUBQUERY | TRAIT_VOLATILE | TRAIT_AGGREGATE | TRAIT_WINDOW))
                return false;
        w->other = false;
        return sql_walk(e, check_name, NULL, w) == SQL_WALK_ON && !w->other;
}

/* Two sources of one name: a qualified column could be either's. */
static bool is_name_unique(const struct sql_arm *arm, const struct sql_source *source,
                           const char *name)
{
        for (uint32_t i = 0; i < arm->from.n; i++) {
                const struct sql_source *other = arm->from.items[i];
                const char *called = other->alias.text ? other->alias.text
                                     : other->table && other->table->name.text
                                         ? other->table->name.text
                                         : "";

                if (other != source && strcasecmp(called, name) == 0)
                        return false;
        }
        return true;
}

/* Rows of the source that WHERE drops are in no row of the join: not so on the far side of an outer
 * join. */
static bool where_filters(const struct sql_arm *arm, const struct sql_source *source)
{
        if (source->join & (SQL_JOIN_LEFT | SQL_JOIN_RIGHT))
                return false;
        for (uint32_t i = 0; i < arm->from.n; i++)
                if ((arm->from.items[i]->join & SQL_JOIN_RIGHT) ||
                    arm->from.items[i]->type == SQL_SOURCE_JOIN)
                        return false;
        return true;
}

static enum err_code find_pushed(struct planner *p, const struct table_use *use,
                                 const struct source *source, struct sql_exprs *ret_list)
{
        struct pushing w = { .p = p, .arm = use->arm, .source = source };
        struct sql_exprs all = { 0 };

        if (!use->arm || !use->source || !where_filters(use->arm, use->source))
                return ERR_OK;
        if (!is_name_unique(use->arm, use->source, source->name))
                return ERR_OK;
        if (!add_conjuncts(p, use->arm->where, &all))
                return planner_no_memory(p);
        for (uint32_t i = 0; i < all.n; i++)
                if (can_push(&w, all.items[i]) && (!p->is_lazy || node_never_fails(all.items[i])) &&
                    !sql_list_add(p->scratch, ret_list, all.items[i]))
                        return planner_no_memory(p);
        return ERR_OK;
}

/* ---- the part */

static enum err_code print_part(struct planner *p, const struct source *s, const bool *columns,
                                const struct sql_exprs *pushed, struct plan_part *part)
{
        const struct catalog_table *t = s->table;
        int *indexes = arena_alloc(p->arena, (t->n_columns + 1) * sizeof *indexes);
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        if (!indexes)
                return planner_no_memory(p);
        buf_add_str(&b, "SELECT ");
        part->n_columns = 0;
        if (!t->without_rowid && t->rowid_name) {
                sql_quote_name(&b, t->rowid_name);
                indexes[part->n_columns++] = COLUMN_ROWID;
        }
        for (size_t i = 0; i < t->n_columns; i++) {
                if (!columns[i])
                        continue;
                buf_add_str(&b, part->n_columns ? ", " : "");
                sql_quote_name(&b, t->columns[i].name);
                indexes[part->n_columns++] = (int)i;
        }
        if (part->n_columns == 0) { /* rows are counted, nothing of them is looked at */
                buf_add_str(&b, "NULL");
                indexes[part->n_columns++] = COLUMN_NONE;
        }
        part->columns = indexes;
        part->has_where = pushed->n > 0;
        buf_add_str(&b, " FROM ");
        sql_quote_name(&b, t->name);
        buf_add_str(&b, " AS ");
        sql_quote_name(&b, s->name);
        rc = planner_print_where(p, pushed, &b);
        if (!rc)
                rc = planner_keep(p, &b, &part->sql);
        buf_done(&b);
        return rc;
}

/* Some column that can be written. */
static const char *any_column(const struct needed *needed)
{
        size_t i = 0;

        while (needed->computed && needed->computed[i])
                i++;
        return needed->table->columns[i].name;
}

/* The table at the gate: all columns by name and order, so that * and positions mean the same;
 * those that were not fetched stay NULL. Constraints and indexes are left behind: the rows have
 * passed them. */
static enum err_code print_load(struct planner *p, const struct needed *needed,
                                struct plan_part *part)
{
        const struct catalog_table *t = needed->table;
        struct buf ddl = BUF_INIT(0), load = BUF_INIT(0);
        size_t n = 0;
        enum err_code rc = ERR_OK;

        buf_add_str(&ddl, "CREATE TABLE ");
        sql_quote_name(&ddl, t->name);
        buf_add_str(&load, "INSERT INTO ");
        sql_quote_name(&load, t->name);
        buf_add_str(&load, " (");
        if (!t->without_rowid && t->rowid_name) {
                sql_quote_name(&load, t->rowid_name);
                n++;
        }
        for (size_t i = 0; !rc && i < t->n_columns; i++) {
                const struct catalog_column *c = &t->columns[i];

                buf_add_str(&ddl, i ? ", " : " (");
                sql_quote_name(&ddl, c->name);
                buf_add_str(&ddl, " ");
                buf_add_str(&ddl, affinity_type_name(c->affinity));
                if ((int)i == t->rowid_column)
                        buf_add_str(&ddl, " PRIMARY KEY");
                buf_add_str(&ddl, " COLLATE ");
                sql_quote_name(&ddl, c->collation);
                if (needed->computed && needed->computed[i]) {
                        buf_add_str(&ddl, " AS (");
                        rc = planner_print_to(p, needed->computed[i], &ddl);
                        buf_add_str(&ddl, ")");
                }
                if (needed->columns[i]) {
                        buf_add_str(&load, n++ ? ", " : "");
                        sql_quote_name(&load, c->name);
                }
        }
        buf_add_str(&ddl, ")");
        if (n == 0)
                sql_quote_name(&load, any_column(needed));
        buf_add_str(&load, ") VALUES (");
        for (size_t i = 0; i < part->n_columns; i++)
                buf_add_str(&load, i ? ", ?" : "?");
        buf_add_str(&load, ")");
        if (!rc)
                rc = planner_keep(p, &ddl, &part->load_ddl);
        if (!rc)
                rc = planner_keep(p, &load, &part->load_sql);
        buf_done(&ddl);
        buf_done(&load);
        return rc;
}

static enum err_code route_table(struct planner *p, struct source *s,
                                 const struct sql_exprs *pushed, struct route *ret_route,
                                 bool *ret_cheap)
{
        static const struct equals none;
        const struct key *key;
        enum err_code rc;

        *ret_route = (struct route){ .kind = ROUTE_HOME, .table = s->table };
        for (uint32_t i = 0; i < pushed->n; i++)
                names_bind_table(p, s, pushed->items[i]);
        rc = find_pins_row(p, s, pushed, ret_cheap);
        if (rc || !is_spread(p, s->table))
                return rc;
        key = key_of_table(p, s);
        return key ? find_route(p, key, &none, pushed, ret_route) : planner_no_memory(p);
}

/* The use as what columns are looked up in. NULL: out of memory. */
static struct source *make_source(struct planner *p, const struct table_use *use)
{
        struct source *s = arena_calloc(p->scratch, 1, sizeof *s);

        if (!s)
                return NULL;
        s->node = (struct sql_source *)(uintptr_t)use->source;
        s->table = use->table;
        s->name =
            use->source && use->source->alias.text ? use->source->alias.text : use->table->name;
        return s;
}

static enum err_code add_table(struct planner *p, const struct table_uses *uses,
                               const struct table_use *use, struct gathered *ret_gathered)
{
        struct sql_exprs *pushed = arena_calloc(p->scratch, 1, sizeof *pushed);
        struct source *source = make_source(p, use);
        struct plan_part *part;
        struct needed needed;
        enum err_code rc = find_needed(p, uses, use->table, &needed);

        if (!rc && (!pushed || !source))
                rc = planner_no_memory(p);
        if (!rc)
                rc = find_pushed(p, use, source, pushed);
        if (!rc)
                rc = planner_add_part(p, &part);
        if (!rc)
                rc = route_table(p, source, pushed, &part->route, &part->cheap);
        if (!rc)
                rc = print_part(p, source, needed.columns, pushed, part);
        if (!rc)
                rc = print_load(p, &needed, part);
        *ret_gathered = (struct gathered){ .part = p->plan->n_parts - 1, .pushed = pushed };
        return rc;
}

/* The gate's tables have no indexes to be told to use. */
static enum sql_walk forget_index(struct sql_node *node, void *ctx)
{
        if (node->kind == SQL_SOURCE) {
                ((struct sql_source *)node)->indexed_by = (struct sql_name){ 0 };
                ((struct sql_source *)node)->not_indexed = false;
        }
        return SQL_WALK_ON;
}

enum err_code plan_gather(struct planner *p)
{
        struct gathered *gathered;
        struct table_uses uses;
        enum err_code rc = find_tables_and_arms(p, p->stmt, &uses);

        if (rc)
                return rc;
        gathered = arena_calloc(p->scratch, uses.n + 1, sizeof *gathered);
        if (!gathered)
                return planner_no_memory(p);
        for (size_t i = 0; !rc && i < uses.n; i++)
                rc = add_table(p, &uses, &uses.items[i], &gathered[i]);
        if (!rc)
                rc = plan_key_joins(p, &uses, gathered);
        if (rc)
                return rc;
        if ((p->stmt->has_index_hints || p->has_views) &&
            sql_walk(p->stmt, forget_index, NULL, NULL) != SQL_WALK_ON)
                return planner_no_memory(p);
        p->plan->kind = PLAN_GATHER;
        p->is_finishing = true;
        return planner_print(p, p->stmt, &p->plan->finish_sql);
}
