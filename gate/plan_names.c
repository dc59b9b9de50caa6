/* plan_names.c - binds names as SQLite does (its lookupName): the sources of the arm first, then
 * aliases of its results, then the arms around it. What it does not know it leaves alone. Loop
 * thread. */
#include "gate/plan_names.h"

#include <string.h>
#include <strings.h>

/* Queries inside one another; deeper ones are gathered. */
enum { MAX_QUERY_DEPTH = 50, MAX_SOURCES = 64 };

/* The common table expressions in sight. */
struct with_scope {
        struct with_scope *outer;
        const struct sql_with *with;
        struct query **queries; /* NULL: not bound yet */
        bool *is_busy;
        struct query *query; /* that they belong to */
};

struct binder {
        struct planner *p;
        struct query_arm *arm;
        struct with_scope *with;
        unsigned depth;
        bool hides_aliases; /* result columns cannot name each other */
        bool unknown;       /* give up */
        bool failed;        /* out of memory */
};

static bool bind_query(struct binder *b, struct query *q);

static bool give_up(struct binder *b)
{
        b->unknown = true;
        return false;
}

static void *allocate(struct binder *b, size_t n, size_t n_bytes)
{
        void *p = arena_calloc(b->p->scratch, n ? n : 1, n_bytes);

        if (!p)
                b->failed = true;
        return p;
}

/* ---- names of columns */

static bool is_merged_at(const struct source *s, const struct sql_name *name)
{
        if (s->node->join & SQL_JOIN_NATURAL)
                return true;
        for (uint32_t i = 0; i < s->node->using_columns.n; i++)
                if (sql_name_same(&s->node->using_columns.items[i], name))
                        return true;
        return false;
}

/* In the arm's own sources. False: not there. */
static bool find_in_arm(struct binder *b, const struct query_arm *arm, const struct sql_expr *e,
                        struct bound_name *ret)
{
        bool found = false;

        for (uint32_t i = 0; i < arm->n_sources; i++) {
                struct source *s = &arm->sources[i];
                int column;

                if (e->table.text && (!s->name || strcasecmp(s->name, e->table.text) != 0))
                        continue;
                if (e->schema.text && (!s->table || !sql_name_is(&e->schema, "main")))
                        continue;
                column = source_find_column(s, &e->column);
                if (column == COLUMN_NONE)
                        continue;
                if (column == COLUMN_ROWID && !e->table.text && arm->n_sources > 1 &&
                    (s->table->rowid_column < 0 ||
                     !sql_name_is(&e->column, s->table->columns[s->table->rowid_column].name)))
                        continue;
                if (found && !is_merged_at(s, &e->column))
                        return give_up(b);
                if (!found)
                        *ret = (struct bound_name){ .source = s, .column = column };
                found = true;
        }
        return found;
}

static bool has_alias(const struct query_arm *arm, const struct sql_name *name)
{
        for (uint32_t i = 0; i < arm->node->results.n; i++)
                if (arm->node->results.items[i]->alias.text &&
                    sql_name_same(&arm->node->results.items[i]->alias, name))
                        return true;
        return false;
}

static bool may_be_no_column(const struct sql_expr *e)
{
        return !e->table.text &&
               (e->column.quote == SQL_QUOTE_DOUBLE || sql_name_is(&e->column, "true") ||
                sql_name_is(&e->column, "false"));
}

static void bind_column(struct binder *b, struct sql_expr *e)
{
        struct bound_name found, *bound;

        e->bound = NULL;
        for (struct query_arm *a = b->arm; a; a = a->query->outer) {
                if (find_in_arm(b, a, e, &found)) {
                        bound = allocate(b, 1, sizeof *bound);
                        if (!bound)
                                return;
                        *bound = found;
                        e->bound = bound;
                        for (struct query *in = b->arm->query; in != a->query; in = in->within)
                                in->is_correlated = true;
                        return;
                }
                if (b->unknown)
                        return;
                if (e->table.text || !has_alias(a, &e->column))
                        continue;
                if (a != b->arm)
                        give_up(b);
                else if (b->hides_aliases)
                        continue;
                return;
        }
        if (!may_be_no_column(e))
                give_up(b);
}

/* ---- expressions */

static struct query *new_query(struct binder *b, struct sql_select *select, struct query_arm *outer,
                               struct query *within)
{
        struct query *q = allocate(b, 1, sizeof *q);

        if (q) {
                q->node = select;
                q->outer = outer;
                q->within = within;
                select->bound = q;
        }
        return q;
}

static bool add_subquery(struct binder *b, struct sql_expr *e)
{
        struct subquery *s = allocate(b, 1, sizeof *s);
        struct query_arm *arm = b->arm;

        if (!s)
                return false;
        s->expr = e;
        s->query = new_query(b, e->select, arm, arm->query);
        s->next = arm->subqueries;
        arm->subqueries = s;
        return s->query && bind_query(b, s->query);
}

struct columns_of {
        const struct query_arm *arm;
        bool has_own, has_other;
};

static enum sql_walk note_column(struct sql_node *node, void *ctx)
{
        struct columns_of *c = ctx;
        const struct sql_expr *e = (const struct sql_expr *)node;

        if (node->kind == SQL_EXPR_COLUMN && e->bound) {
                if (names_bound(e)->source->arm == c->arm)
                        c->has_own = true;
                else
                        c->has_other = true;
        }
        return SQL_WALK_ON;
}

/* An aggregate over columns of an outer query alone is computed out there. */
static void note_call(struct binder *b, struct sql_expr *e)
{
        struct columns_of c = { .arm = b->arm };

        if (e->call.over) {
                b->arm->has_windows = true;
                return;
        }
        if (!call_is_aggregate(e))
                return;
        if (sql_walk(e, note_column, NULL, &c) != SQL_WALK_ON || (c.has_other && !c.has_own))
                give_up(b);
        b->arm->has_aggregates = true;
}

static enum sql_walk bind_node(struct sql_node *node, void *ctx);
static enum sql_walk leave_node(struct sql_node *node, void *ctx);

static bool bind_expr(struct binder *b, void *node)
{
        enum sql_walk end;

        if (!node)
                return true;
        end = sql_walk(node, bind_node, leave_node, b);
        if (end != SQL_WALK_ON && !b->failed)
                b->unknown = true;
        return end == SQL_WALK_ON && !b->unknown && !b->failed;
}

static enum sql_walk bind_node(struct sql_node *node, void *ctx)
{
        struct binder *b = ctx;
        struct sql_expr *e = (struct sql_expr *)node;

        switch (node->kind) {
        case SQL_EXPR_COLUMN:
                bind_column(b, e);
                break;
        case SQL_EXPR_EXISTS:
        case SQL_EXPR_SUBQUERY:
        case SQL_EXPR_IN_SELECT:
                if (!bind_expr(b, e->left) || !add_subquery(b, e))
                        return SQL_WALK_STOP;
                return SQL_WALK_SKIP;
        case SQL_EXPR_IN_TABLE:
        case SQL_EXPR_RAISE:
        case SQL_SELECT:
                give_up(b);
                break;
        default:
                break;
        }
        return b->unknown || b->failed ? SQL_WALK_STOP : SQL_WALK_ON;
}

static enum sql_walk leave_node(struct sql_node *node, void *ctx)
{
        struct binder *b = ctx;

        if (node->kind == SQL_EXPR_CALL)
                note_call(b, (struct sql_expr *)node);
        return b->unknown || b->failed ? SQL_WALK_STOP : SQL_WALK_ON;
}

/* ---- sources */

static bool bind_cte(struct binder *b, struct with_scope *w, uint32_t i)
{
        struct sql_cte *cte = w->with->ctes.items[i];
        struct binder in = { .p = b->p, .with = w, .depth = b->depth };
        struct query *q = new_query(b, cte->select, w->query->outer, w->query);
        bool ok;

        if (!q)
                return false;
        q->cte = cte;
        w->queries[i] = q;
        w->is_busy[i] = true;
        ok = bind_query(&in, q);
        w->is_busy[i] = false;
        b->unknown |= in.unknown;
        b->failed |= in.failed;
        return ok;
}

/* False: give up, or it is no CTE (*ret_query is NULL then). */
static bool find_cte(struct binder *b, struct source *s, const struct sql_name *name)
{
        for (struct with_scope *w = b->with; w; w = w->outer)
                for (uint32_t i = 0; i < w->with->ctes.n; i++) {
                        if (!sql_name_same(&w->with->ctes.items[i]->name, name))
                                continue;
                        if (!w->queries[i] && !bind_cte(b, w, i))
                                return false;
                        s->query = w->queries[i];
                        s->query->n_uses++;
                        if (w->is_busy[i])
                                s->is_recursive = s->query->is_recursive = true;
                        return true;
                }
        return true;
}

static bool bind_function(struct binder *b, struct source *s)
{
        static const char *const json_columns[] = { "key",    "value",   "type", "atom", "id",
                                                    "parent", "fullkey", "path", NULL };

        if (!sql_name_is(&s->node->table->name, "json_each") &&
            !sql_name_is(&s->node->table->name, "json_tree"))
                return give_up(b);
        s->function_columns = json_columns;
        for (uint32_t i = 0; i < s->node->args.n; i++)
                if (!bind_expr(b, s->node->args.items[i]))
                        return false;
        return true;
}

static bool bind_table(struct binder *b, struct source *s)
{
        const struct sql_table_name *name = s->node->table;

        s->name = name->name.text;
        if (!name->schema.text && !find_cte(b, s, &name->name))
                return false;
        if (s->query)
                return true;
        if (name->schema.text && !sql_name_is(&name->schema, "main"))
                return give_up(b);
        s->table = catalog_find_table(b->p->catalog, name->name.text);
        /* A table that hides its rowid cannot name it in a part. */
        if (!s->table || (!s->table->without_rowid && !s->table->rowid_name))
                return give_up(b);
        return true;
}

static bool bind_source(struct binder *b, struct source *s)
{
        bool ok = false;

        switch (s->node->type) {
        case SQL_SOURCE_TABLE:
                ok = bind_table(b, s);
                break;
        case SQL_SOURCE_FUNCTION:
                s->name = s->node->table->name.text;
                ok = bind_function(b, s);
                break;
        case SQL_SOURCE_SELECT:
                s->query = new_query(b, s->node->select, b->arm->query->outer, b->arm->query);
                if (s->query) {
                        s->query->n_uses = 1;
                        ok = bind_query(b, s->query);
                }
                break;
        case SQL_SOURCE_JOIN:
                return give_up(b);
        }
        if (s->node->alias.text)
                s->name = s->node->alias.text;
        return ok;
}

/* Two sources of one name: a column could be either's. */
static bool names_are_unique(const struct query_arm *arm)
{
        for (uint32_t i = 0; i < arm->n_sources; i++)
                for (uint32_t k = 0; arm->sources[i].name && k < i; k++)
                        if (arm->sources[k].name &&
                            strcasecmp(arm->sources[k].name, arm->sources[i].name) == 0)
                                return false;
        return true;
}

static bool bind_from(struct binder *b, struct query_arm *arm)
{
        const struct sql_sources *from = &arm->node->from;

        if (from->n > MAX_SOURCES)
                return give_up(b);
        arm->sources = allocate(b, from->n, sizeof *arm->sources);
        if (!arm->sources)
                return false;
        for (uint32_t i = 0; i < from->n; i++) {
                struct source *s = &arm->sources[i];

                s->node = from->items[i];
                from->items[i]->bound = s;
                s->arm = arm;
                s->index = i;
                /* A function's arguments see what is on its left. */
                arm->n_sources = i;
                if (!bind_source(b, s))
                        return false;
                b->arm = arm;
                if (s->node->join & SQL_JOIN_RIGHT)
                        arm->has_right = true;
                if ((s->node->join & SQL_JOIN_NATURAL) || s->node->using_columns.n)
                        arm->has_merging = true;
        }
        arm->n_sources = from->n;
        if (!names_are_unique(arm) || (arm->has_right && arm->has_merging))
                return give_up(b);
        return true;
}

/* ---- the columns of a query */

static void set_column(struct query_column *c, const struct sql_result *r)
{
        const struct bound_name *bound = names_bound(r->expr);

        *c = (struct query_column){ .expr = r->expr, .type = expr_type(r->expr) };
        c->name = r->alias.text                      ? r->alias.text
                  : r->expr->kind == SQL_EXPR_COLUMN ? r->expr->column.text
                  : r->text.data                     ? r->text.data
                                                     : "";
        if (bound) {
                c->source = bound->source;
                c->column = bound->column;
        }
}

static bool is_starred(const struct query_arm *arm, const struct sql_result *r, uint32_t i)
{
        const struct source *s = &arm->sources[i];

        return r->type == SQL_RESULT_STAR || (s->name && strcasecmp(s->name, r->table.text) == 0);
}

static uint32_t add_star(struct query_arm *arm, const struct sql_result *r,
                         struct query_column *columns)
{
        uint32_t n = 0;

        for (uint32_t i = 0; i < arm->n_sources; i++) {
                struct source *s = &arm->sources[i];

                if (!is_starred(arm, r, i))
                        continue;
                for (int k = 0; k < source_n_columns(s); k++) {
                        int column = s->table && k == s->table->rowid_column ? COLUMN_ROWID : k;

                        if (source_column_is_hidden(s, k) ||
                            (r->type == SQL_RESULT_STAR && source_column_is_merged(s, k)))
                                continue;
                        if (columns)
                                columns[n] = (struct query_column){
                                        .name = source_column_name(s, k),
                                        .source = s,
                                        .column = column,
                                        .type = source_column_type(s, column),
                                };
                        n++;
                }
        }
        return n;
}

static bool list_columns(struct binder *b, struct query_arm *arm)
{
        const struct sql_results *results = &arm->node->results;
        uint32_t n = 0;

        for (uint32_t i = 0; i < results->n; i++)
                n += results->items[i]->type == SQL_RESULT_EXPR
                         ? 1
                         : add_star(arm, results->items[i], NULL);
        arm->columns = allocate(b, n, sizeof *arm->columns);
        if (!arm->columns)
                return false;
        arm->n_columns = 0;
        for (uint32_t i = 0; i < results->n; i++) {
                if (results->items[i]->type == SQL_RESULT_EXPR)
                        set_column(&arm->columns[arm->n_columns++], results->items[i]);
                else
                        arm->n_columns +=
                            add_star(arm, results->items[i], &arm->columns[arm->n_columns]);
        }
        return true;
}

/* ---- queries */

static bool bind_values(struct binder *b, struct query_arm *arm)
{
        for (uint32_t i = 0; i < arm->node->rows.n; i++)
                if (!bind_expr(b, arm->node->rows.items[i]))
                        return false;
        arm->n_columns = arm->node->rows.n ? arm->node->rows.items[0]->values.n : 0;
        return true;
}

static bool bind_arm(struct binder *b, struct query_arm *arm)
{
        struct sql_arm *node = arm->node;
        bool hides = b->hides_aliases, ok;

        b->arm = arm;
        if (node->is_values)
                return bind_values(b, arm);
        b->hides_aliases = true;
        if (!bind_from(b, arm))
                return false;
        for (uint32_t i = 0; i < node->results.n; i++)
                if (node->results.items[i]->expr && !bind_expr(b, node->results.items[i]->expr))
                        return false;
        for (uint32_t i = 0; i < node->windows.n; i++)
                if (!bind_expr(b, node->windows.items[i]))
                        return false;
        b->hides_aliases = false;
        for (uint32_t i = 0; i < node->from.n; i++)
                if (!bind_expr(b, node->from.items[i]->on))
                        return false;
        ok = bind_expr(b, node->where) && bind_expr(b, node->having);
        for (uint32_t i = 0; ok && i < node->group_by.n; i++)
                ok = bind_expr(b, node->group_by.items[i]);
        b->hides_aliases = hides;
        return ok && list_columns(b, arm);
}

/* A term that is nothing but a name is an alias before it is a column. */
static bool names_result(const struct query_arm *arm, const struct sql_expr *e)
{
        while (e->kind == SQL_EXPR_COLLATE)
                e = e->left;
        return e->kind == SQL_EXPR_COLUMN && !e->table.text && has_alias(arm, &e->column);
}

/* Of a compound, ORDER BY names results, which need no binding. */
static bool bind_ends(struct binder *b, struct query *q)
{
        b->arm = &q->arms[0];
        for (uint32_t i = 0; i < q->node->order_by.n; i++) {
                if (q->n_arms > 1) {
                        if (node_traits(q->node->order_by.items[i]) & TRAIT_SUBQUERY)
                                return give_up(b);
                } else if (!names_result(b->arm, q->node->order_by.items[i]->expr) &&
                           !bind_expr(b, q->node->order_by.items[i]->expr)) {
                        return false;
                }
        }
        return bind_expr(b, q->node->limit) && bind_expr(b, q->node->offset);
}

/* What is true of the values of all arms. */
static void merge_types(const struct query *q, uint32_t column, struct compare_type *type)
{
        for (uint32_t i = 1; i < q->n_arms; i++) {
                const struct query_arm *arm = &q->arms[i];
                struct compare_type other = { .is_unsure = true, .may_be_json = true };

                if (arm->columns && column < arm->n_columns)
                        other = arm->columns[column].type;
                if (!other.is_canonical || other.affinity != type->affinity ||
                    other.is_typed != type->is_typed || !other.is_typed)
                        type->is_canonical = false;
                if (!other.not_null)
                        type->not_null = false;
                if (other.may_be_json)
                        type->may_be_json = true;
                /* The first arm's affinity counts when values are compared, but they keep theirs.
                 */
                if (other.is_typed != type->is_typed || other.affinity != type->affinity ||
                    other.is_unsure || other.is_collated != type->is_collated ||
                    strcasecmp(other.collation, type->collation) != 0)
                        type->is_unsure = true;
        }
}

static bool name_columns(struct binder *b, struct query *q)
{
        const struct query_arm *first = &q->arms[0];

        q->n_columns = first->n_columns;
        q->columns = allocate(b, q->n_columns, sizeof *q->columns);
        if (!q->columns)
                return false;
        for (uint32_t i = 0; i < q->n_columns; i++) {
                struct query_column *c = &q->columns[i];

                if (first->columns)
                        *c = first->columns[i];
                else
                        *c = (struct query_column){
                                .name = arena_numbered(b->p->scratch, "column", i + 1),
                                .type = { .collation = "BINARY",
                                          .is_unsure = true,
                                          .may_be_json = true },
                        };
                if (q->cte && i < q->cte->columns.n)
                        c->name = q->cte->columns.items[i].text;
                if (!c->name) {
                        b->failed = true;
                        return false;
                }
        }
        return true;
}

static bool bind_arms(struct binder *b, struct query *q)
{
        q->arms = allocate(b, q->node->arms.n, sizeof *q->arms);
        if (!q->arms)
                return false;
        for (uint32_t i = 0; i < q->node->arms.n; i++) {
                q->arms[i] = (struct query_arm){ .node = q->node->arms.items[i], .query = q };
                q->arms[i].node->bound = &q->arms[i];
                q->n_arms = i + 1;
                if (!bind_arm(b, &q->arms[i]))
                        return false;
                if (i == 0 && !name_columns(b, q))
                        return false;
        }
        for (uint32_t i = 0; i < q->n_columns; i++)
                merge_types(q, i, &q->columns[i].type);
        return bind_ends(b, q);
}

static bool bind_query(struct binder *b, struct query *q)
{
        struct query_arm *arm = b->arm;
        struct with_scope with = { .outer = b->with, .with = q->node->with, .query = q };
        bool hides = b->hides_aliases, ok;

        if (b->depth >= MAX_QUERY_DEPTH)
                return give_up(b);
        if (with.with) {
                with.queries = allocate(b, with.with->ctes.n, sizeof(struct query *));
                with.is_busy = allocate(b, with.with->ctes.n, sizeof(bool));
                if (!with.queries || !with.is_busy)
                        return false;
                b->with = &with;
        }
        b->depth++;
        b->hides_aliases = false;
        ok = bind_arms(b, q);
        b->depth--;
        b->with = with.outer;
        b->arm = arm;
        b->hides_aliases = hides;
        return ok && !b->unknown && !b->failed;
}

const char *names_instead(const struct sql_node *node)
{
        const struct query *q = NULL;
        const struct query_arm *arm = NULL;

        if (node->kind == SQL_SELECT)
                q = ((const struct sql_select *)node)->bound;
        else if (node->kind == SQL_ARM)
                arm = ((const struct sql_arm *)node)->bound;
        return q ? q->instead : arm ? arm->instead : NULL;
}

enum plan_try names_bind(struct planner *p, struct sql_select *select, struct query **ret_query)
{
        struct binder b = { .p = p };
        struct query *q = new_query(&b, select, NULL, NULL);

        if (q && bind_query(&b, q)) {
                *ret_query = q;
                return TRY_DONE;
        }
        if (!b.failed)
                return TRY_NEXT;
        planner_no_memory(p);
        return TRY_ERROR;
}
