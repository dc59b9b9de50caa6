/* plan_views.c - views in queries: each reference becomes a derived table, the view's SELECT as its
 * stored SQL has it. Loop thread.
 *
 * Names in a view are those of the schema: it sees no CTE but its own. Where a CTE outside has the
 * name of one of its tables, the table's is written with "main.", which no CTE answers to.
 *
 * SQLite's parser takes few levels of subqueries, where its own views may nest as deep as they
 * like. A statement that has become too deep is expanded in another way: every view as a CTE of the
 * whole statement, used once, which SQLite treats as it does a subquery. */
#include "gate/plan_views.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "sql/parse.h"

enum {
        MAX_EXPANDED = 1000, /* in a statement: each may double what the one before it has */
        MAX_NESTED = 200,
        MAX_TEXT_BYTES = 64 << 20,
};

#define CTE_PREFIX "_shoal_v"

/* WITH clauses around a node, the innermost first. */
struct with_scope {
        const struct sql_with *with; /* may be NULL */
        const struct with_scope *outer;
};

/* Views around a node, the innermost first. */
struct view_chain {
        const Shoal__V1__SchemaObject *view;
        const struct view_chain *outer;
        unsigned depth;
};

struct views {
        struct planner *p;
        const struct view_chain *chain; /* NULL: in the statement itself */
        const struct with_scope *scope; /* of the statement, or of the view only */
        struct sql_names cte_names;     /* of the statement and of every view so far */
        struct sql_ctes hoisted;
        bool hoist;
        unsigned n_expanded;
        bool stripped; /* main.v.c was found, v a view … */
        bool hidden;   /* … and something else that is called as a view */
        enum err_code rc;
};

static enum sql_walk fail(struct views *w, enum err_code rc)
{
        w->rc = rc;
        return SQL_WALK_STOP;
}

static enum err_code too_complex(struct planner *p)
{
        return err_set(p->reterr, ERR_EXHAUSTED, "STATEMENT_TOO_COMPLEX",
                       "the statement uses more than %d views, those in views included, or more "
                       "than %d inside one another",
                       MAX_EXPANDED, MAX_NESTED);
}

/* ---- names */

static const Shoal__V1__SchemaObject *find_view(const struct views *w, const char *name)
{
        const Shoal__V1__SchemaObject *o = catalog_find_object(w->p->catalog, name);

        return o && strcmp(o->type, "view") == 0 ? o : NULL;
}

static bool is_cte(const struct views *w, const struct sql_name *name)
{
        for (const struct with_scope *s = w->scope; s; s = s->outer)
                for (uint32_t i = 0; s->with && i < s->with->ctes.n; i++)
                        if (sql_name_same(&s->with->ctes.items[i]->name, name))
                                return true;
        return false;
}

/* NULL: the name is not a view's. */
static const Shoal__V1__SchemaObject *resolve(const struct views *w, const struct sql_table_name *t)
{
        if (t->schema.text ? !sql_name_is(&t->schema, "main") : is_cte(w, &t->name))
                return NULL;
        return find_view(w, t->name.text);
}

/* Keeps a name of a view from meaning a CTE outside of it. */
static void qualify(const struct views *w, struct sql_table_name *t)
{
        if (!w->chain || t->schema.text || is_cte(w, &t->name))
                return;
        for (uint32_t i = 0; i < w->cte_names.n; i++)
                if (sql_name_same(&w->cte_names.items[i], &t->name)) {
                        t->schema = sql_name_of("main");
                        return;
                }
}

static enum sql_walk collect_cte(struct sql_node *node, void *ctx)
{
        struct views *w = ctx;

        if (node->kind == SQL_CTE &&
            !sql_names_add(w->p->scratch, &w->cte_names, &((struct sql_cte *)node)->name))
                return fail(w, planner_no_memory(w->p));
        return SQL_WALK_ON;
}

/* ---- the SELECT in a view's place */

/* Aliases say a view's column names where nothing in it can mistake them for something else. */
static bool can_alias(const struct sql_select *q, const struct sql_names *columns)
{
        const struct sql_arm *arm = q->arms.items[0];

        if (arm->is_values || arm->results.n != columns->n || q->order_by.n || arm->where ||
            arm->group_by.n || arm->having || arm->windows.n || arm->from.n > 1)
                return false;
        for (uint32_t i = 0; i < arm->results.n; i++)
                if (arm->results.items[i]->type != SQL_RESULT_EXPR)
                        return false;
        return true;
}

static struct sql_select *new_select(struct arena *a, struct sql_source *from)
{
        struct sql_select *q = sql_new(a, SQL_SELECT);
        struct sql_arm *arm = sql_new(a, SQL_ARM);
        struct sql_result *star = sql_new(a, SQL_RESULT);

        if (!q || !arm || !star || !sql_list_add(a, &q->arms, arm) ||
            !sql_list_add(a, &arm->results, star) || !sql_list_add(a, &arm->from, from))
                return NULL;
        star->type = SQL_RESULT_STAR;
        return q;
}

static struct sql_source *new_table_source(struct arena *a, const char *name)
{
        struct sql_source *s = sql_new(a, SQL_SOURCE);

        if (!s)
                return NULL;
        s->type = SQL_SOURCE_TABLE;
        s->table = sql_new(a, SQL_TABLE_NAME);
        if (!s->table)
                return NULL;
        s->table->name = sql_name_of(name);
        return s;
}

/* WITH name(columns) AS (q) SELECT * FROM name */
static struct sql_select *name_columns(struct arena *a, struct sql_select *q,
                                       const struct sql_names *columns)
{
        struct sql_with *with = sql_new(a, SQL_WITH);
        struct sql_cte *cte = sql_new(a, SQL_CTE);
        struct sql_source *source = new_table_source(a, CTE_PREFIX);
        struct sql_select *outer = source ? new_select(a, source) : NULL;

        if (!outer || !with || !cte || !sql_list_add(a, &with->ctes, cte))
                return NULL;
        cte->name = sql_name_of(CTE_PREFIX);
        cte->columns = *columns;
        cte->select = q;
        outer->with = with;
        return outer;
}

static enum err_code parse_view(struct planner *p, const Shoal__V1__SchemaObject *view,
                                struct sql_select **ret_select)
{
        const struct sql_create_view *cv;
        struct sql_select *q = NULL;
        struct sql_stmt *st;
        enum err_code rc =
            sql_parse(p->scratch, view->sql, strlen(view->sql), &st, NULL, p->reterr);

        if (rc)
                return err_wrap(p->reterr, rc, "view %s", view->name);
        if (st->type != SQL_CREATE_VIEW)
                return err_set(p->reterr, ERR_INTERNAL, "BAD_SCHEMA", "view %s is none",
                               view->name);
        cv = st->create_view;
        q = cv->select;
        if (cv->columns.n && can_alias(q, &cv->columns)) {
                for (uint32_t i = 0; i < cv->columns.n; i++)
                        q->arms.items[0]->results.items[i]->alias = cv->columns.items[i];
        } else if (cv->columns.n) {
                q = name_columns(p->scratch, q, &cv->columns);
                if (!q)
                        return planner_no_memory(p);
        }
        *ret_select = q;
        return ERR_OK;
}

/* ---- expanding */

static enum err_code expand_tree(struct views *w, void *tree);

/* The view's SELECT, all views in it expanded; NULL: it is circular, or w->rc. */
static struct sql_select *expand_view(struct views *w, const Shoal__V1__SchemaObject *view)
{
        struct view_chain chain = { .view = view,
                                    .outer = w->chain,
                                    .depth = w->chain ? w->chain->depth + 1 : 1 };
        const struct with_scope *scope = w->scope;
        struct sql_select *q = NULL;

        for (const struct view_chain *c = w->chain; c; c = c->outer)
                if (c->view == view)
                        return NULL;
        if (++w->n_expanded > MAX_EXPANDED || chain.depth > MAX_NESTED) {
                w->rc = too_complex(w->p);
                return NULL;
        }
        w->rc = parse_view(w->p, view, &q);
        if (w->rc)
                return NULL;
        w->chain = &chain;
        w->scope = NULL;
        w->rc = expand_tree(w, q);
        w->chain = chain.outer;
        w->scope = scope;
        return w->rc ? NULL : q;
}

/* Moves q to a CTE of the whole statement; *ret_name is its name. */
static bool hoist(struct views *w, struct sql_select *q, const char **ret_name)
{
        struct arena *a = w->p->scratch;
        struct sql_cte *cte = sql_new(a, SQL_CTE);
        char name[32];

        snprintf(name, sizeof name, CTE_PREFIX "%u", w->hoisted.n + 1);
        *ret_name = arena_strdup(a, name);
        if (!cte || !*ret_name || !sql_list_add(a, &w->hoisted, cte))
                return false;
        cte->name = sql_name_of(*ret_name);
        cte->select = q;
        return true;
}

/* Turns a source, whose alias says how it is called, into the view's rows. */
static bool fill_source(struct views *w, struct sql_source *s, struct sql_select *q)
{
        const char *name;

        s->indexed_by = (struct sql_name){ 0 };
        s->not_indexed = false;
        if (!w->hoist) {
                s->type = SQL_SOURCE_SELECT;
                s->select = q;
                s->table = NULL;
                return true;
        }
        if (!hoist(w, q, &name))
                return false;
        s->table->schema = (struct sql_name){ 0 };
        s->table->name = sql_name_of(name);
        return true;
}

static enum sql_walk expand_source(struct views *w, struct sql_source *s)
{
        const Shoal__V1__SchemaObject *view = resolve(w, s->table);
        struct sql_select *q = view ? expand_view(w, view) : NULL;

        if (w->rc)
                return SQL_WALK_STOP;
        if (!q) {
                qualify(w, s->table);
                return SQL_WALK_ON;
        }
        if (!s->alias.text)
                s->alias = s->table->name;
        return fill_source(w, s, q) ? SQL_WALK_ON : fail(w, planner_no_memory(w->p));
}

/* x IN v is x IN (SELECT * FROM v). */
static enum sql_walk expand_in(struct views *w, struct sql_expr *e)
{
        const Shoal__V1__SchemaObject *view = e->args.n ? NULL : resolve(w, e->in_table);
        struct sql_select *q = view ? expand_view(w, view) : NULL;
        struct sql_source *source;

        if (w->rc)
                return SQL_WALK_STOP;
        if (!q) {
                qualify(w, e->in_table);
                return SQL_WALK_ON;
        }
        source = new_table_source(w->p->scratch, view->name);
        if (!source || !fill_source(w, source, q))
                return fail(w, planner_no_memory(w->p));
        source->alias = sql_name_of(view->name);
        e->select = new_select(w->p->scratch, source);
        if (!e->select)
                return fail(w, planner_no_memory(w->p));
        e->kind = SQL_EXPR_IN_SELECT;
        e->in_table = NULL;
        return SQL_WALK_ON;
}

/* Where the WITH clause of a node is, or would be; NULL: it can have none. */
static struct sql_with **with_place(struct sql_node *node)
{
        switch (node->kind) {
        case SQL_SELECT:
                return &((struct sql_select *)node)->with;
        case SQL_INSERT:
                return &((struct sql_insert *)node)->with;
        case SQL_UPDATE:
                return &((struct sql_update *)node)->with;
        case SQL_DELETE:
                return &((struct sql_delete *)node)->with;
        default:
                return NULL;
        }
}

/* A derived table is of no schema: main.v.c becomes v.c. */
static void strip_schema(struct views *w, struct sql_expr *e)
{
        if (!sql_name_is(&e->schema, "main") || !find_view(w, e->table.text))
                return;
        e->schema = (struct sql_name){ 0 };
        w->stripped = true;
}

static void note_alias(struct views *w, const struct sql_source *s)
{
        if (s->alias.text && find_view(w, s->alias.text) &&
            !(s->table && sql_name_same(&s->table->name, &s->alias)))
                w->hidden = true;
}

static enum sql_walk enter(struct sql_node *node, void *ctx)
{
        struct views *w = ctx;
        struct sql_with **with = with_place(node);

        if (with) {
                struct with_scope *s = arena_alloc(w->p->scratch, sizeof *s);

                if (!s)
                        return fail(w, planner_no_memory(w->p));
                *s = (struct with_scope){ .with = *with, .outer = w->scope };
                w->scope = s;
        } else if (node->kind == SQL_SOURCE) {
                note_alias(w, (const struct sql_source *)node);
        } else if (node->kind == SQL_CTE) {
                w->hidden |= find_view(w, ((const struct sql_cte *)node)->name.text) != NULL;
        } else if (node->kind == SQL_EXPR_COLUMN) {
                strip_schema(w, (struct sql_expr *)node);
        }
        return SQL_WALK_ON;
}

/* Behind a node's children, so that what it becomes is not walked again. */
static enum sql_walk leave(struct sql_node *node, void *ctx)
{
        struct views *w = ctx;
        struct sql_source *s = (struct sql_source *)node;

        if (with_place(node))
                w->scope = w->scope->outer;
        else if (node->kind == SQL_SOURCE && s->type == SQL_SOURCE_TABLE)
                return expand_source(w, s);
        else if (node->kind == SQL_SOURCE && s->type == SQL_SOURCE_FUNCTION)
                qualify(w, s->table);
        else if (node->kind == SQL_EXPR_IN_TABLE)
                return expand_in(w, (struct sql_expr *)node);
        return SQL_WALK_ON;
}

static enum err_code expand_tree(struct views *w, void *tree)
{
        enum sql_walk end = sql_walk(tree, collect_cte, NULL, w);

        if (end == SQL_WALK_ON)
                end = sql_walk(tree, enter, leave, w);
        if (w->rc)
                return w->rc;
        return end == SQL_WALK_ON ? ERR_OK : too_complex(w->p);
}

/* ---- the statement */

static bool has_views(const struct catalog *c)
{
        for (size_t i = 0; i < catalog_n_objects(c); i++)
                if (strcmp(catalog_object_at(c, i)->type, "view") == 0)
                        return true;
        return false;
}

static enum err_code add_hoisted(struct views *w)
{
        struct sql_with **with = with_place(w->p->stmt->body);

        if (!w->hoisted.n)
                return ERR_OK;
        if (!*with)
                *with = sql_new(w->p->scratch, SQL_WITH);
        for (uint32_t i = 0; i < w->hoisted.n; i++)
                if (!*with || !sql_list_add(w->p->scratch, &(*with)->ctes, w->hoisted.items[i]))
                        return planner_no_memory(w->p);
        return ERR_OK;
}

static enum err_code expand(struct planner *p, bool hoist, bool *ret_expanded)
{
        struct views w = { .p = p, .hoist = hoist };
        enum err_code rc = expand_tree(&w, p->stmt->body);

        if (!rc && w.n_expanded && w.stripped && w.hidden)
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "VIEWS",
                               "a column called main.view.column where another source is called "
                               "as the view is not there yet");
        if (!rc)
                rc = add_hoisted(&w);
        *ret_expanded = w.n_expanded > 0;
        return rc;
}

enum err_code expand_views(struct planner *p, bool *ret_expanded)
{
        *ret_expanded = false;
        return has_views(p->catalog) ? expand(p, false, ret_expanded) : ERR_OK;
}

/* Two levels more than now are left to the planner. */
static bool is_too_deep(struct planner *p)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);
        struct buf b = BUF_INIT(MAX_TEXT_BYTES);
        bool is_select = p->stmt->type == SQL_SELECT;
        sqlite3_stmt *stmt = NULL;
        bool too_deep;

        buf_add_str(&b, is_select ? "SELECT 1 FROM (SELECT 1 FROM (" : "");
        too_deep = planner_print_to(p, p->stmt, &b) != ERR_OK;
        buf_add_str(&b, is_select ? "))" : "");
        if (!too_deep && !b.failed &&
            sqlite3_prepare_v2(db, (const char *)b.data, (int)b.n_bytes, &stmt, NULL) != SQLITE_OK)
                too_deep = strstr(sqlite3_errmsg(db), "stack overflow") != NULL;
        sqlite3_finalize(stmt);
        buf_done(&b);
        return too_deep;
}

enum err_code settle_views(struct planner *p)
{
        const struct sql_stmt *st = p->stmt;
        bool expanded;
        enum err_code rc;

        if (!is_too_deep(p))
                return ERR_OK;
        rc = sql_parse(p->scratch, st->text, st->n_bytes, &p->stmt, NULL, p->reterr);
        return rc ? rc : expand(p, true, &expanded);
}
