/* plan_keyjoin.c - which parts of a gather are worth waiting for others: of `a JOIN b ON a.x =
 * b.y`, the rows of b whose y is among the x of the rows of a are all that can matter, once those
 * are there. The join itself runs at the gate, so what a shard picks by `y IN (…)` may be more than
 * is needed, but never less. Loop thread.
 *
 * IN applies y's affinity to the keys and nothing to y. That is what = does, unless x has a numeric
 * affinity and y none, or TEXT (then = makes numbers of y's texts: '01' = 1), or x has TEXT and y
 * none (then of y's numbers texts). The collation is that of the comparison. NULLs equal nothing.
 */
#include <strings.h>

#include "gate/plan_names.h"

/* A part of which keys are taken, or for which they are. */
struct end {
        const struct table_use *use;
        size_t part; /* of the plan */
        double rows; /* about how many it gives, keys or not */
        bool placed; /* in the order of the rounds */
};

/* a.x = b.y; either may be the one that waits. */
struct edge {
        struct end *from, *to;
        int from_column, to_column; /* COLUMN_ROWID, or the table's */
        const char *collation;
};
struct edges SQL_LIST_OF(struct edge *);

struct joins {
        struct planner *p;
        const struct table_uses *uses;
        struct end *ends; /* one for each use */
        struct edges edges;
        const struct sql_arm *arm; /* that is looked at */
        enum err_code rc;
};

/* ---- comparisons */

static bool is_numeric(const struct compare_type *t)
{
        return t->affinity != AFFINITY_TEXT && t->affinity != AFFINITY_BLOB;
}

/* y IN (values of x) is true of all y with x = y. */
static bool in_is_enough(const struct compare_type *x, const struct compare_type *y)
{
        if (!x->is_typed || !y->is_typed || x->is_unsure || y->is_unsure)
                return false;
        if (is_numeric(y))
                return true;
        if (y->affinity == AFFINITY_TEXT)
                return !is_numeric(x);
        return x->affinity == AFFINITY_BLOB;
}

static struct end *find_end(struct joins *j, const struct sql_source *node)
{
        for (size_t i = 0; i < j->uses->n; i++)
                if (j->ends[i].use && j->ends[i].use->source == node)
                        return &j->ends[i];
        return NULL;
}

/* Rows of the source that do not fulfil the condition are in no row that the arm joins, nor does
 * one come into it because they are not there. Of the condition of an outer join (on) that is true
 * of the side it may do without. The other column may be of a query around this one, which asks for
 * each of its rows what only the same row can be told. */
static bool may_wait(const struct joins *j, const struct end *e, const struct sql_source *on)
{
        if (e->use->arm != j->arm)
                return false;
        return on ? e->use->source == on : !(e->use->source->join & SQL_JOIN_LEFT);
}

static bool add_edge(struct joins *j, struct end *from, int from_column, struct end *to,
                     int to_column, const char *collation)
{
        struct source x = { .table = from->use->table }, y = { .table = to->use->table };
        struct compare_type x_type = source_column_type(&x, from_column);
        struct compare_type y_type = source_column_type(&y, to_column);
        struct edge *e;

        if (!in_is_enough(&x_type, &y_type))
                return true;
        e = arena_alloc(j->p->scratch, sizeof *e);
        if (!e)
                return false;
        *e = (struct edge){ .from = from,
                            .to = to,
                            .from_column = from_column,
                            .to_column = to_column,
                            .collation = collation };
        return sql_list_add(j->p->scratch, &j->edges, e);
}

/* Both ways. on: the source whose ON or USING says it, if that is an outer join's; else NULL. */
static bool add_equality(struct joins *j, struct end *a, int a_column, struct end *b, int b_column,
                         const struct sql_source *on)
{
        struct source left = { .table = a->use->table };
        const char *collation = source_column_type(&left, a_column).collation;
        bool ok = true;

        if (a == b)
                return true;
        if (may_wait(j, b, on))
                ok = add_edge(j, a, a_column, b, b_column, collation);
        if (ok && may_wait(j, a, on))
                ok = add_edge(j, b, b_column, a, a_column, collation);
        return ok;
}

static bool note_conjunct(struct joins *j, const struct sql_expr *e, const struct sql_source *on)
{
        const struct bound_name *left, *right;
        struct end *a, *b;

        if (e->kind != SQL_EXPR_EQ)
                return true;
        left = names_bound(e->left);
        right = names_bound(e->right);
        if (!left || !right || !left->source->table || !right->source->table)
                return true;
        a = find_end(j, left->source->node);
        b = find_end(j, right->source->node);
        if (!a || !b || a->use->table != left->source->table ||
            b->use->table != right->source->table)
                return true;
        return add_equality(j, a, left->column, b, right->column, on);
}

static bool note_conjuncts(struct joins *j, struct sql_expr *e, const struct sql_source *on)
{
        struct sql_exprs list = { 0 };

        if (!add_conjuncts(j->p, e, &list))
                return false;
        for (uint32_t i = 0; i < list.n; i++)
                if (!note_conjunct(j, list.items[i], on))
                        return false;
        return true;
}

/* Right and full joins, and joins in parentheses, are left alone. */
static bool is_plain_join(const struct sql_arm *arm)
{
        for (uint32_t i = 0; i < arm->from.n; i++)
                if ((arm->from.items[i]->join & SQL_JOIN_RIGHT) ||
                    arm->from.items[i]->type == SQL_SOURCE_JOIN)
                        return false;
        return true;
}

static enum sql_walk note_arm(struct sql_node *node, void *ctx)
{
        struct sql_arm *arm = (struct sql_arm *)node;
        struct joins *j = ctx;
        bool ok;

        if (node->kind != SQL_ARM || !is_plain_join(arm))
                return SQL_WALK_ON;
        j->arm = arm;
        ok = note_conjuncts(j, arm->where, NULL);
        for (uint32_t i = 0; ok && i < arm->from.n; i++) {
                const struct sql_source *s = arm->from.items[i];

                ok = note_conjuncts(j, s->on, s->join & SQL_JOIN_LEFT ? s : NULL);
        }
        if (!ok)
                j->rc = planner_no_memory(j->p);
        return ok ? SQL_WALK_ON : SQL_WALK_STOP;
}

/* ---- how many rows */

/* Equal to something that is no column of the source itself. */
static double share(const struct joins *j, const struct end *e, const struct sql_expr *c)
{
        enum { OTHER_SHARE = 4 };
        const struct catalog *catalog = j->p->catalog;
        const struct catalog_table *t = e->use->table;
        const struct sql_expr *column = NULL;
        double rows = catalog_table_rows(catalog, t), n = 1;

        if (c->kind == SQL_EXPR_EQ)
                column = names_bound(c->left) ? c->left : c->right;
        else if (c->kind == SQL_EXPR_IN_LIST && !c->is_not) {
                column = c->left;
                n = c->args.n;
        }
        if (!column || !names_bound(column))
                return 1.0 / OTHER_SHARE;
        n *= catalog_equal_rows(catalog, t, names_bound(column)->column);
        return n >= rows ? 1 : n / (rows > 1 ? rows : 1);
}

static double estimate_rows(const struct joins *j, const struct end *e,
                            const struct sql_exprs *pushed)
{
        double rows = catalog_table_rows(j->p->catalog, e->use->table), best = 1, others = 1;

        for (uint32_t i = 0; i < pushed->n; i++) {
                double s = share(j, e, pushed->items[i]);

                if (s < best) {
                        others *= best;
                        best = s;
                } else {
                        others *= s;
                }
        }
        /* Conditions are rarely independent of each other. */
        rows *= best * (others < 1 ? (others + 1) / 2 : 1);
        return rows < 1 ? 1 : rows;
}

/* ---- the order */

static double rows_with(const struct joins *j, const struct edge *e)
{
        double rows =
            e->from->rows * catalog_equal_rows(j->p->catalog, e->to->use->table, e->to_column);

        return rows < e->to->rows ? rows : e->to->rows;
}

/* The best way to get the rows of e that begins with what is placed; NULL: all at once. */
static const struct edge *best_edge(const struct joins *j, const struct end *e)
{
        const struct edge *best = NULL;
        double rows = e->rows / 2; /* a round costs time: it has to be worth it */

        for (uint32_t i = 0; i < j->edges.n; i++) {
                const struct edge *edge = j->edges.items[i];

                if (edge->to != e || !edge->from->placed || rows_with(j, edge) > rows)
                        continue;
                rows = rows_with(j, edge);
                best = edge;
        }
        return best;
}

static bool shards_by(const struct catalog_table *t, int column)
{
        int shard_column = t->n_shard_columns == 1 ? t->shard_columns[0] : COLUMN_NONE;

        if (t->sharding != SHARDING_HASH || t->n_shard_columns != 1)
                return false;
        if (shard_column >= 0 && shard_column == t->rowid_column)
                shard_column = COLUMN_ROWID;
        if (column >= 0 && column == t->rowid_column)
                column = COLUMN_ROWID;
        return shard_column == column;
}

static size_t result_column(const struct plan_part *part, const struct catalog_table *t, int column)
{
        if (column >= 0 && column == t->rowid_column)
                column = COLUMN_ROWID;
        for (size_t i = 0; i < part->n_columns; i++)
                if (part->columns[i] == column)
                        return i;
        return SIZE_MAX;
}

static enum err_code print_after(struct planner *p, const struct edge *e,
                                 const struct plan_part *part, struct plan_after *after)
{
        const struct catalog_table *t = e->to->use->table;
        const struct sql_source *s = e->to->use->source;
        struct source y = { .table = t };
        const char *own = source_column_type(&y, e->to_column).collation;
        const char *called = s->alias.text ? s->alias.text : t->name;
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        after->name = e->to_column == COLUMN_ROWID ? t->rowid_name : t->columns[e->to_column].name;
        buf_printf(&b, "%s %s ", part->sql, part->has_where ? "AND" : "WHERE");
        sql_quote_name(&b, called);
        buf_add_str(&b, ".");
        sql_quote_name(&b, after->name);
        if (strcasecmp(own, e->collation) != 0) {
                buf_add_str(&b, " COLLATE ");
                sql_quote_name(&b, e->collation);
        }
        buf_add_str(&b, " IN (");
        rc = planner_keep(p, &b, &after->sql);
        buf_done(&b);
        after->routes = shards_by(t, e->to_column) && strcasecmp(own, e->collation) == 0;
        return rc;
}

static enum err_code place(struct joins *j, struct end *e, const struct edge *edge)
{
        struct plan_part *part = &j->p->plan->parts[e->part];
        struct plan_after *after;
        size_t column;

        e->placed = true;
        if (!edge)
                return ERR_OK;
        column = result_column(&j->p->plan->parts[edge->from->part], edge->from->use->table,
                               edge->from_column);
        if (column == SIZE_MAX || (edge->to_column == COLUMN_ROWID && !e->use->table->rowid_name))
                return ERR_OK;
        after = arena_calloc(j->p->arena, 1, sizeof *after);
        if (!after)
                return planner_no_memory(j->p);
        after->part = edge->from->part;
        after->column = column;
        after->table = e->use->table;
        after->rows = e->rows;
        after->rows_per_key = catalog_equal_rows(j->p->catalog, e->use->table, edge->to_column);
        e->rows = rows_with(j, edge);
        part->after = after;
        return print_after(j->p, edge, part, after);
}

/* The smallest first; each next is the one that then needs the fewest rows. */
static enum err_code place_all(struct joins *j)
{
        for (;;) {
                const struct edge *edge = NULL;
                struct end *next = NULL;
                double rows = 0;
                enum err_code rc;

                for (size_t i = 0; i < j->uses->n; i++) {
                        struct end *e = &j->ends[i];
                        const struct edge *best;
                        double n;

                        if (!e->use || e->placed)
                                continue;
                        best = best_edge(j, e);
                        n = best ? rows_with(j, best) : e->rows;
                        if (next && n >= rows)
                                continue;
                        next = e;
                        edge = best;
                        rows = n;
                }
                if (!next)
                        return ERR_OK;
                rc = place(j, next, edge);
                if (rc)
                        return rc;
        }
}

enum err_code plan_key_joins(struct planner *p, const struct table_uses *uses,
                             const struct gathered *gathered)
{
        struct joins j = { .p = p, .uses = uses };
        size_t n_ends = 0;

        j.ends = arena_calloc(p->scratch, uses->n + 1, sizeof *j.ends);
        if (!j.ends)
                return planner_no_memory(p);
        for (size_t i = 0; i < uses->n; i++) {
                if (uses->items[i].n_uses != 1 || !uses->items[i].source)
                        continue;
                j.ends[i] = (struct end){ .use = &uses->items[i], .part = gathered[i].part };
                j.ends[i].rows = estimate_rows(&j, &j.ends[i], gathered[i].pushed);
                n_ends++;
        }
        if (n_ends < 2)
                return ERR_OK;
        if (sql_walk(p->stmt, note_arm, NULL, &j) != SQL_WALK_ON)
                return j.rc ? j.rc : planner_no_memory(p);
        return j.edges.n ? place_all(&j) : ERR_OK;
}
