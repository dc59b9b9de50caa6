/* plan_clusters.c - an arm whose FROM shards cannot join as a whole: sources that they can join
 * with each other, and derived tables, become one part each, with the conjuncts that speak of them
 * alone and the columns that are needed. Only inner joins are reordered so; a LEFT JOIN goes with
 * the cluster that its ON speaks of. Loop thread. */

#include "gate/plan_place.h"

struct cluster {
        struct source **members; /* in the order of the arm */
        uint32_t n_members;
        struct keys keys;
        struct sql_exprs conjuncts; /* of WHERE and ON, for the part */
        const char *table;
        struct key_column *columns; /* of the part's table */
        uint32_t n_columns, n_allocated;
        struct sql_with *with;
        bool is_used;
};

struct clusters {
        struct planner *p;
        struct query_arm *arm;
        struct place *sources;
        struct place all;
        struct cluster *items;
        uint32_t n;
        bool failed;
};

/* ---- which sources go together */

static bool is_left(const struct source *s)
{
        return s->index > 0 && (s->node->join & SQL_JOIN_LEFT);
}

static bool fits(const struct clusters *c, const struct source *s)
{
        if (c->sources[s->index].kind != PLACE_SHARDS)
                return false;
        if (!s->query)
                return s->table && !json_is_seen_of_table(c->p, s->table);
        /* What is ordered keeps its order: group_concat() shows it. */
        if (s->query->node->order_by.n || s->query->is_correlated || s->query->instead ||
            (s->query->cte && s->query->n_uses > 1) ||
            json_is_seen_of(c->p, s->query->columns, s->query->n_columns, s->query))
                return false;
        for (uint32_t i = 0; i < s->query->n_columns; i++)
                if (s->query->columns[i].type.is_unsure)
                        return false;
        return true;
}

static bool is_member(const struct cluster *k, const struct source *s)
{
        for (uint32_t i = 0; i < k->n_members; i++)
                if (k->members[i] == s)
                        return true;
        return false;
}

struct speaks {
        const struct cluster *cluster;
        const struct source *also;
        bool of_it, of_others;
};

static enum sql_walk note_source(struct sql_node *node, void *ctx)
{
        struct speaks *s = ctx;
        const struct sql_expr *e = (const struct sql_expr *)node;
        const struct bound_name *bound;

        if (node->kind != SQL_EXPR_COLUMN)
                return SQL_WALK_ON;
        bound = e->bound;
        if (bound && (bound->source == s->also || is_member(s->cluster, bound->source)))
                s->of_it = true;
        else if (bound || (node_traits(e) & TRAIT_COLUMN))
                s->of_others = true;
        return SQL_WALK_ON;
}

/* Does the expression speak of the cluster's rows alone, and may it be computed there? */
static bool speaks_of(const struct cluster *k, const struct source *also, const struct sql_expr *e)
{
        struct speaks s = { .cluster = k, .also = also };

        if (node_traits(e) & (TRAIT_SUBQUERY | TRAIT_VOLATILE | TRAIT_AGGREGATE | TRAIT_WINDOW))
                return false;
        return sql_walk((void *)(uintptr_t)e, note_source, NULL, &s) == SQL_WALK_ON && s.of_it &&
               !s.of_others;
}

static bool add_member(struct clusters *c, struct cluster *k, struct source *s)
{
        const struct keys *keys = &c->sources[s->index].keys;

        k->members[k->n_members++] = s;
        for (uint32_t i = 0; i < keys->n; i++)
                if (!sql_list_add(c->p->scratch, &k->keys, keys->items[i]))
                        return false;
        return true;
}

/* The equality may follow from conjuncts over others, which stay behind. */
static bool add_equality(struct clusters *c, struct cluster *k, const struct key *a,
                         const struct key *b)
{
        for (size_t i = 0; i < a->table->n_shard_columns; i++) {
                struct sql_expr *e = sql_new(c->p->scratch, SQL_EXPR_EQ);

                if (!e)
                        return false;
                e->left = names_make_column(c->p, a->columns[i].source, a->columns[i].column);
                e->right = names_make_column(c->p, b->columns[i].source, b->columns[i].column);
                if (!e->left || !e->right || !sql_list_add(c->p->scratch, &k->conjuncts, e))
                        return false;
        }
        return true;
}

static enum err_code find_cluster(struct clusters *c, struct source *s, struct cluster **ret)
{
        const struct key *a, *b;
        struct equals eq;
        enum err_code rc = place_matching(c->p, c->arm, c->sources, &c->all, s->index, &eq);

        *ret = NULL;
        for (uint32_t i = 0; !rc && i < c->n; i++) {
                struct cluster *k = &c->items[i];

                if (!keys_meet(&eq, &k->keys, &c->sources[s->index].keys, &a, &b))
                        continue;
                if (is_left(s) && !(s->node->on && speaks_of(k, s, s->node->on)))
                        continue;
                if (!is_left(s) && !add_equality(c, k, a, b))
                        return planner_no_memory(c->p);
                *ret = k;
                return ERR_OK;
        }
        return rc;
}

static enum err_code place_source_in(struct clusters *c, struct source *s)
{
        struct cluster *k;
        enum err_code rc;

        if (!fits(c, s))
                return ERR_OK;
        rc = find_cluster(c, s, &k);
        if (rc || (!k && is_left(s)))
                return rc;
        if (!k) {
                k = &c->items[c->n++];
                k->members =
                    arena_calloc(c->p->scratch, c->arm->n_sources, sizeof(struct source *));
                if (!k->members)
                        return planner_no_memory(c->p);
        }
        if (is_left(s))
                for (uint32_t i = 0; i < c->sources[s->index].keys.n; i++)
                        c->sources[s->index].keys.items[i]->padded = true;
        return add_member(c, k, s) ? ERR_OK : planner_no_memory(c->p);
}

/* A single table is loaded under its own name, with its rowids: nothing is gained by another. */
static enum err_code choose_clusters(struct clusters *c, bool *ret_any)
{
        for (uint32_t i = 0; i < c->n; i++) {
                struct cluster *k = &c->items[i];

                k->is_used = k->n_members > 1 || k->members[0]->query;
                if (!k->is_used)
                        continue;
                switch (with_for_sources(c->p, k->members, k->n_members, &k->with)) {
                case TRY_ERROR:
                        return ERR_EXHAUSTED;
                case TRY_NEXT:
                        k->is_used = false;
                        break;
                case TRY_DONE:
                        *ret_any = true;
                        break;
                }
        }
        return ERR_OK;
}

/* Inner rows that the filters leave lie on these shards alone. */
static enum err_code find_cluster_route(struct clusters *c, const struct cluster *k,
                                        struct route *ret)
{
        *ret = (struct route){ .kind = ROUTE_ALL };
        for (uint32_t i = 0; i < k->keys.n; i++) {
                struct route route;
                enum err_code rc;

                if (k->keys.items[i]->padded)
                        continue;
                rc = find_route(c->p, k->keys.items[i], &c->all.equals, &c->all.filters, &route);
                if (rc)
                        return rc;
                narrow_route(ret, &route);
        }
        for (uint32_t i = 0; i < k->n_members; i++)
                if (!is_left(k->members[i]))
                        narrow_route(ret, &c->sources[k->members[i]->index].route);
        return ERR_OK;
}

/* ---- the arm without them */

/* Stars are written out, and columns that others know by their names keep these. */
static bool write_results(struct clusters *c, bool is_named)
{
        struct sql_results *results = &c->arm->node->results, written = { 0 };
        uint32_t next = 0;

        for (uint32_t i = 0; i < c->arm->n_columns; i++) {
                const struct query_column *column = &c->arm->columns[i];
                struct sql_result *r;

                if (!column->expr) {
                        if (!add_result(c->p, &written,
                                        names_make_column(c->p, column->source, column->column)))
                                return false;
                        r = written.items[written.n - 1];
                } else {
                        while (results->items[next]->type != SQL_RESULT_EXPR)
                                next++;
                        r = results->items[next++];
                        if (!sql_list_add(c->p->scratch, &written, r))
                                return false;
                }
                if (is_named && !r->alias.text && column->source)
                        r->alias = sql_name_of(column->name);
        }
        *results = written;
        return true;
}

/* A name that becomes an alias must not be one already: ORDER BY would take it for the other. */
static bool aliases_clash(const struct query_arm *arm)
{
        for (uint32_t i = 0; i < arm->n_columns; i++)
                for (uint32_t k = 0; k < arm->node->results.n; k++) {
                        const struct sql_result *r = arm->node->results.items[k];
                        struct sql_name name = sql_name_of(arm->columns[i].name);

                        if (arm->columns[i].source && r->alias.text &&
                            arm->columns[i].expr != r->expr && sql_name_same(&r->alias, &name))
                                return true;
                }
        return false;
}

static struct cluster *cluster_of(struct clusters *c, const struct source *s)
{
        for (uint32_t i = 0; i < c->n; i++)
                if (c->items[i].is_used && is_member(&c->items[i], s))
                        return &c->items[i];
        return NULL;
}

static bool write_where(struct clusters *c)
{
        struct sql_expr *where = NULL;

        for (uint32_t i = 0; i < c->all.filters.n; i++) {
                struct sql_expr *e = c->all.filters.items[i], *both;
                bool taken = false;

                for (uint32_t k = 0; !taken && k < c->n; k++) {
                        taken = c->items[k].is_used && speaks_of(&c->items[k], NULL, e);
                        if (taken && !sql_list_add(c->p->scratch, &c->items[k].conjuncts, e))
                                return false;
                }
                if (taken)
                        continue;
                both = where ? sql_new(c->p->scratch, SQL_EXPR_AND) : e;
                if (!both)
                        return false;
                if (where) {
                        both->left = where;
                        both->right = e;
                }
                where = both;
        }
        c->arm->node->where = where;
        return true;
}

/* The part's rows in FROM; its text comes when its columns are known. */
static struct sql_source *make_source(struct clusters *c, struct cluster *k, struct query **ret)
{
        struct sql_source *s = sql_new(c->p->scratch, SQL_SOURCE);
        struct sql_select *select = sql_new(c->p->scratch, SQL_SELECT);
        struct query *q = arena_calloc(c->p->scratch, 1, sizeof *q);

        if (!s || !select || !q)
                return NULL;
        s->type = SQL_SOURCE_SELECT;
        s->select = select;
        s->alias = sql_name_of(k->table);
        s->join = k->members[0]->node->join;
        select->bound = q;
        *ret = q;
        return s;
}

static bool write_from(struct clusters *c, struct query **stand_ins)
{
        struct sql_sources *from = &c->arm->node->from, written = { 0 };

        for (uint32_t i = 0; i < c->arm->n_sources; i++) {
                struct source *s = &c->arm->sources[i];
                struct sql_source *node = from->items[i];
                struct cluster *k = cluster_of(c, s);

                if (!is_left(s))
                        node->on = NULL;
                if (k) {
                        s->is_cut = true;
                        if (k->members[0] != s)
                                continue;
                        node = make_source(c, k, &stand_ins[k - c->items]);
                        if (!node)
                                return false;
                }
                if (!sql_list_add(c->p->scratch, &written, node))
                        return false;
        }
        *from = written;
        return true;
}

/* ---- columns */

static int part_column_of(struct clusters *c, struct cluster *k, struct source *s, int column)
{
        for (uint32_t i = 0; i < k->n_columns; i++)
                if (k->columns[i].source == s && k->columns[i].column == column)
                        return (int)i;
        if (!arena_room(c->p->scratch, k->columns, k->n_columns, k->n_allocated))
                return -1;
        k->columns[k->n_columns] = (struct key_column){ .source = s, .column = column };
        return (int)k->n_columns++;
}

static enum sql_walk rename_column(struct sql_node *node, void *ctx)
{
        struct clusters *c = ctx;
        struct sql_expr *e = (struct sql_expr *)node;
        const struct bound_name *bound;
        struct cluster *k;
        const char *name;
        int i;

        if (names_instead(node))
                return SQL_WALK_SKIP;
        if (node->kind != SQL_EXPR_COLUMN || !e->bound)
                return SQL_WALK_ON;
        bound = e->bound;
        k = bound->source->arm == c->arm ? cluster_of(c, bound->source) : NULL;
        if (!k)
                return SQL_WALK_ON;
        i = part_column_of(c, k, bound->source, bound->column);
        name = i < 0 ? NULL : arena_numbered(c->p->scratch, "_shoal_c", (uint64_t)i);
        if (!name) {
                c->failed = true;
                return SQL_WALK_STOP;
        }
        e->schema = (struct sql_name){ 0 };
        e->table = sql_name_of(k->table);
        e->column = sql_name_of(name);
        return SQL_WALK_ON;
}

static bool rename_columns(struct clusters *c)
{
        const struct query *q = c->arm->query;

        if (sql_walk(c->arm->node, rename_column, NULL, c) != SQL_WALK_ON)
                return false;
        for (uint32_t i = 0; q->n_arms == 1 && i < q->node->order_by.n; i++)
                if (sql_walk(q->node->order_by.items[i], rename_column, NULL, c) != SQL_WALK_ON)
                        return false;
        return true;
}

/* ---- the part */

static enum err_code print_members(struct clusters *c, const struct cluster *k, struct buf *b)
{
        enum err_code rc = ERR_OK;

        buf_add_str(b, " FROM ");
        for (uint32_t i = 0; !rc && i < k->n_members; i++) {
                if (i)
                        buf_add_str(b, is_left(k->members[i]) ? " LEFT JOIN " : " JOIN ");
                rc = planner_print_to(c->p, k->members[i]->node, b);
        }
        return rc ? rc : planner_print_where(c->p, &k->conjuncts, b);
}

static enum err_code print_cluster(struct clusters *c, const struct cluster *k,
                                   struct plan_part *part)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc = ERR_OK;

        if (k->with) {
                rc = planner_print_to(c->p, k->with, &b);
                buf_add_str(&b, " ");
        }
        buf_add_str(&b, k->n_columns ? "SELECT " : "SELECT NULL");
        for (uint32_t i = 0; i < k->n_columns; i++) {
                const struct key_column *column = &k->columns[i];

                buf_add_str(&b, i ? ", " : "");
                sql_quote_name(&b, column->source->name);
                buf_add_str(&b, ".");
                sql_quote_name(&b, source_column_name(column->source, column->column));
        }
        if (!rc)
                rc = print_members(c, k, &b);
        if (!rc)
                rc = planner_keep(c->p, &b, &part->sql);
        buf_done(&b);
        return rc;
}

static enum err_code load_cluster(struct clusters *c, const struct cluster *k,
                                  struct plan_part *part, struct query *stand_in)
{
        size_t n = k->n_columns ? k->n_columns : 1;
        struct part_column *columns = arena_calloc(c->p->scratch, n, sizeof *columns);
        struct compare_type *types = arena_calloc(c->p->scratch, n, sizeof *types);
        struct buf b = BUF_INIT(0);
        enum err_code rc = ERR_OK;

        if (!columns || !types)
                return planner_no_memory(c->p);
        buf_add_str(&b, "SELECT ");
        for (uint32_t i = 0; !rc && i < n; i++) {
                columns[i].name = arena_numbered(c->p->scratch, "_shoal_c", i);
                types[i] = (struct compare_type){ .collation = "BINARY", .is_typed = true };
                if (k->n_columns)
                        types[i] = source_column_type(k->columns[i].source, k->columns[i].column);
                columns[i].type = &types[i];
                if (!columns[i].name)
                        rc = planner_no_memory(c->p);
                buf_add_str(&b, i ? ", " : "");
                if (!rc)
                        part_add_column(&b, columns[i].name, &types[i],
                                        types[i].is_typed ? NULL : columns[i].name);
        }
        buf_add_str(&b, " FROM ");
        buf_add_str(&b, k->table);
        if (!rc)
                rc = planner_keep(c->p, &b, &stand_in->instead);
        buf_done(&b);
        return rc ? rc : part_set_load(c->p, part, k->table, columns, n);
}

static enum err_code add_cluster(struct clusters *c, struct cluster *k, struct plan_part *part,
                                 struct query *stand_in)
{
        enum err_code rc = find_cluster_route(c, k, &part->route);

        if (!rc)
                rc = print_cluster(c, k, part);
        if (!rc)
                rc = load_cluster(c, k, part, stand_in);
        for (uint32_t i = 0; i < k->n_members; i++)
                if (k->members[i]->query && k->members[i]->query->cte)
                        k->members[i]->query->instead =
                            "SELECT NULL"; /* nobody reads it any more */
        return rc;
}

static enum err_code name_members(struct clusters *c, struct cluster *k)
{
        k->table = arena_numbered(c->p->scratch, PART_TABLE, c->p->plan->n_parts + 1);
        for (uint32_t i = 0; k->table && i < k->n_members; i++) {
                struct source *s = k->members[i];

                if (s->name)
                        continue;
                s->name = arena_numbered(c->p->scratch, "_shoal_s", s->index);
                if (!s->name)
                        return planner_no_memory(c->p);
                s->node->alias = sql_name_of(s->name);
        }
        return k->table ? ERR_OK : planner_no_memory(c->p);
}

static enum err_code cut_clusters(struct clusters *c, bool is_named)
{
        struct query **stand_ins = arena_calloc(c->p->scratch, c->n, sizeof(struct query *));
        size_t first = c->p->plan->n_parts;
        uint32_t n = 0;
        enum err_code rc = ERR_OK;

        for (uint32_t i = 0; !rc && i < c->n; i++) {
                struct plan_part *part;

                if (!c->items[i].is_used)
                        continue;
                rc = name_members(c, &c->items[i]);
                if (!rc)
                        rc = planner_add_part(c->p, &part);
        }
        if (rc)
                return rc;
        if (!stand_ins || !write_results(c, is_named) || !write_where(c) ||
            !write_from(c, stand_ins) || !rename_columns(c))
                return planner_no_memory(c->p);
        for (uint32_t i = 0; !rc && i < c->n; i++)
                if (c->items[i].is_used)
                        rc = add_cluster(c, &c->items[i], &c->p->plan->parts[first + n++],
                                         stand_ins[i]);
        return rc;
}

enum plan_try plan_clusters(struct planner *p, struct query_arm *arm, const struct query *top)
{
        struct clusters c = { .p = p, .arm = arm };
        bool any = false, is_named = arm->query != top || arm->query->n_arms > 1;

        if (arm->has_right || arm->has_merging || arm->query->is_correlated || !arm->columns ||
            arm->n_sources == 0 || (is_named && aliases_clash(arm)))
                return TRY_NEXT;
        c.items = arena_calloc(p->scratch, arm->n_sources, sizeof *c.items);
        if (!c.items) {
                planner_no_memory(p);
                return TRY_ERROR;
        }
        if (place_each(p, arm, &c.sources, &c.all))
                return TRY_ERROR;
        for (uint32_t i = 0; i < arm->n_sources; i++)
                if (place_source_in(&c, &arm->sources[i]))
                        return TRY_ERROR;
        if (choose_clusters(&c, &any))
                return TRY_ERROR;
        if (!any)
                return TRY_NEXT;
        return cut_clusters(&c, is_named) ? TRY_ERROR : TRY_DONE;
}
