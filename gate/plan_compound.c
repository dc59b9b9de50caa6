/* plan_compound.c - ORDER BY and LIMIT over a compound whose arms shards can answer together: every
 * shard sends its rows, with a LIMIT no more than can be among the answer's; the gate's SQLite
 * sorts and cuts. Loop thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gate/plan_place.h"

struct compound {
        struct planner *p;
        struct query *q;
        struct cut *cut;
        const char *table; /* the part's */
        uint32_t *columns; /* per term of ORDER BY: the column of the rows */
};

/* Index of the first arm's column that is this result. */
static bool find_result(const struct query_arm *arm, const struct sql_result *r,
                        uint32_t *ret_column)
{
        for (uint32_t i = 0; i < arm->n_columns; i++)
                if (arm->columns[i].expr && arm->columns[i].expr == r->expr) {
                        *ret_column = i;
                        return true;
                }
        return false;
}

/* The column that a name stands for, as SQLite looks for it in the first arm: aliases go before
 * columns. Of several sources it could be anybody's. */
static bool find_name(const struct query_arm *arm, const struct sql_name *name,
                      uint32_t *ret_column)
{
        for (uint32_t i = 0; i < arm->node->results.n; i++) {
                const struct sql_result *r = arm->node->results.items[i];

                if (r->alias.text && sql_name_same(&r->alias, name))
                        return find_result(arm, r, ret_column);
        }
        for (uint32_t i = 0; arm->n_sources == 1 && i < arm->n_columns; i++) {
                const struct query_column *c = &arm->columns[i];

                if (c->source == &arm->sources[0] &&
                    source_find_column(c->source, name) == c->column) {
                        *ret_column = i;
                        return true;
                }
        }
        return false;
}

static bool find_expr(const struct query_arm *arm, const struct sql_expr *e, uint32_t *ret_column)
{
        for (uint32_t i = 0; i < arm->n_columns; i++)
                if (arm->columns[i].expr && sql_equal(arm->columns[i].expr, e, true)) {
                        *ret_column = i;
                        return true;
                }
        return false;
}

/* The column of the rows that a term stands for. False: none that the first arm shows. */
static bool find_column(const struct query *q, const struct sql_expr *e, uint32_t *ret_column)
{
        unsigned long k;

        while (e->kind == SQL_EXPR_COLLATE)
                e = e->left;
        if (e->kind == SQL_EXPR_COLUMN && !e->table.text)
                return find_name(&q->arms[0], &e->column, ret_column);
        if (e->kind != SQL_EXPR_INTEGER)
                return find_expr(&q->arms[0], e, ret_column);
        k = strtoul(e->text.data, NULL, 0);
        *ret_column = (uint32_t)k - 1;
        return k >= 1 && k <= q->n_columns;
}

/* The collation by which SQLite sorts is that of the first arm that has one. */
static bool sorts_alike(const struct query *q, uint32_t column)
{
        for (uint32_t i = 1; i < q->n_arms; i++)
                if (strcasecmp(q->arms[i].columns[column].type.collation,
                               q->arms[0].columns[column].type.collation) != 0)
                        return false;
        return true;
}

/* Every term names a column, and how the columns compare is known. */
static enum plan_try find_columns(struct compound *c)
{
        const struct sql_order_terms *order = &c->q->node->order_by;

        c->columns = arena_calloc(c->p->scratch, order->n + 1, sizeof *c->columns);
        if (!c->columns) {
                planner_no_memory(c->p);
                return TRY_ERROR;
        }
        for (uint32_t i = 0; i < c->q->n_columns; i++)
                if (c->cut->is_nested && c->q->columns[i].type.is_unsure)
                        return TRY_NEXT;
        for (uint32_t i = 0; i < order->n; i++)
                if (!find_column(c->q, order->items[i]->expr, &c->columns[i]) ||
                    !sorts_alike(c->q, c->columns[i]))
                        return TRY_NEXT;
        return TRY_DONE;
}

/* The terms with their columns' names, or numbers, behind the prefix. */
static void add_order(const struct compound *c, const char *prefix, uint32_t first, struct buf *b)
{
        const struct sql_order_terms *order = &c->q->node->order_by;

        for (uint32_t i = 0; i < order->n; i++) {
                const struct sql_order_term *term = order->items[i];
                const char *collation = term->expr->kind == SQL_EXPR_COLLATE
                                            ? term->expr->name.text
                                            : c->q->columns[c->columns[i]].type.collation;

                buf_printf(b, "%s%s%u COLLATE ", i ? ", " : " ORDER BY ", prefix,
                           c->columns[i] + first);
                sql_quote_name(b, collation);
                if (term->sort == SQL_SORT_DESC)
                        buf_add_str(b, " DESC");
                if (term->nulls != SQL_NULLS_NONE)
                        buf_add_str(b, term->nulls == SQL_NULLS_FIRST ? " NULLS FIRST"
                                                                      : " NULLS LAST");
        }
}

static enum err_code print_part(const struct compound *c, const struct simple *ends,
                                struct plan_part *part)
{
        struct sql_select select = *c->q->node;
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        if (c->cut->with)
                select.with = c->cut->with;
        select.order_by = (struct sql_order_terms){ 0 };
        select.limit = select.offset = NULL;
        rc = planner_print_to(c->p, &select, &b);
        if (!rc && ends->limit) {
                add_order(c, "", 1, &b);
                rc = add_shard_limit(c->p, ends, &b);
        }
        if (!rc)
                rc = planner_keep(c->p, &b, &part->sql);
        buf_done(&b);
        return rc;
}

static enum err_code set_load(const struct compound *c, struct plan_part *part)
{
        uint32_t n = c->q->n_columns;
        struct part_column *columns = arena_calloc(c->p->scratch, n + 1, sizeof *columns);

        if (!columns)
                return planner_no_memory(c->p);
        for (uint32_t i = 0; i < n; i++) {
                columns[i].type = c->cut->is_nested ? &c->q->columns[i].type : NULL;
                columns[i].name = arena_printf(c->p->scratch, "c%u", i);
                if (!columns[i].name)
                        return planner_no_memory(c->p);
        }
        return part_set_load(c->p, part, c->table, columns, n);
}

static enum err_code print_finish(const struct compound *c, const struct simple *ends)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        for (uint32_t i = 0; i < c->q->n_columns; i++) {
                const struct query_column *column = &c->q->columns[i];
                char name[16];

                snprintf(name, sizeof name, "c%u", i);
                buf_add_str(&b, i ? ", " : "SELECT ");
                if (c->cut->is_nested)
                        part_add_column(&b, name, &column->type, column->name);
                else
                        buf_add_str(&b, name);
        }
        buf_printf(&b, " FROM %s", c->table);
        add_order(c, "c", 0, &b);
        rc = add_limit(c->p, ends, &b);
        if (!rc)
                rc = planner_keep(c->p, &b, &c->cut->sql);
        buf_done(&b);
        return rc;
}

enum plan_try plan_compound(struct planner *p, struct query *q, const struct place *place,
                            struct cut *cut)
{
        struct compound c = { .p = p, .q = q, .cut = cut, .table = part_table(p) };
        const struct simple ends = { .limit = q->node->limit, .offset = q->node->offset };
        struct plan_part *part;
        enum plan_try tried = find_columns(&c);

        if (tried != TRY_DONE)
                return tried;
        if (!c.table) {
                planner_no_memory(p);
                return TRY_ERROR;
        }
        if (planner_add_part(p, &part) || print_part(&c, &ends, part) || set_load(&c, part) ||
            print_finish(&c, &ends))
                return TRY_ERROR;
        part->route = place->route;
        cut->kind = place->route.kind == ROUTE_KEYS ? PLAN_MULTI_SHARD : PLAN_SCATTER;
        return TRY_DONE;
}

/* ---- a compound that is cut up */

static bool write_number(struct planner *p, struct sql_expr **term, uint32_t column)
{
        struct sql_expr *number = sql_new(p->scratch, SQL_EXPR_INTEGER);
        char *text = arena_printf(p->scratch, "%u", column + 1);

        if (!number || !text)
                return false;
        number->text = (struct sql_str){ .data = text, .n_bytes = (uint32_t)strlen(text) };
        while ((*term)->kind == SQL_EXPR_COLLATE)
                term = &(*term)->left;
        *term = number;
        return true;
}

enum plan_try compound_number_terms(struct planner *p, struct query *q)
{
        const struct sql_order_terms *order = &q->node->order_by;
        uint32_t column;

        for (uint32_t i = 0; i < order->n; i++)
                if (!q->arms[0].columns || !find_column(q, order->items[i]->expr, &column))
                        return TRY_NEXT;
        for (uint32_t i = 0; i < order->n; i++)
                if (!find_column(q, order->items[i]->expr, &column) ||
                    !write_number(p, &order->items[i]->expr, column)) {
                        planner_no_memory(p);
                        return TRY_ERROR;
                }
        return TRY_DONE;
}
