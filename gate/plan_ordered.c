/* plan_ordered.c - ORDER BY, DISTINCT, LIMIT and OFFSET over rows of several shards: every shard
 * sends the result columns and the sort keys of the rows that can be among the answer's; the gate's
 * SQLite sorts, removes doubles and cuts. Loop thread. */
#include <stdio.h>

#include "gate/plan_place.h"

/* Column i of the part's table is result column i; keys that are no result column come behind them.
 */
struct ordered {
        struct planner *p;
        bool is_distinct; /* doubles on different shards are to be removed */
        struct simple q;
        int *key_column; /* per term of ORDER BY: its column in the part */
        size_t n_columns;
        const char *table; /* the part's */
        struct cut *cut;
};

/* Where equal values may look different, which of them is shown depends on the order in which
 * SQLite meets them. */
static bool shows_any_of_equals(const struct ordered *o)
{
        for (uint32_t i = 0; o->is_distinct && i < o->q.arm->results.n; i++)
                if (!expr_type(o->q.arm->results.items[i]->expr).is_canonical)
                        return true;
        return false;
}

static bool place_keys(struct ordered *o)
{
        uint32_t n_results = o->q.arm->results.n;

        o->key_column = arena_calloc(o->p->scratch, o->q.order.n + 1, sizeof *o->key_column);
        if (!o->key_column)
                return false;
        o->n_columns = n_results;
        for (uint32_t i = 0; i < o->q.order.n; i++)
                o->key_column[i] =
                    o->q.order_result[i] >= 0 ? o->q.order_result[i] : (int)o->n_columns++;
        return true;
}

static const struct sql_expr *without_collate(const struct sql_expr *e)
{
        while (e->kind == SQL_EXPR_COLLATE)
                e = e->left;
        return e;
}

/* "3 COLLATE NOCASE DESC NULLS LAST", with the given name or number of the column. */
static void add_term(struct ordered *o, uint32_t i, const char *prefix, int number, struct buf *b)
{
        const struct sql_order_term *term = o->q.order.items[i];
        const char *collation = expr_type(term->expr).collation;

        buf_add_str(b, i ? ", " : " ORDER BY ");
        buf_add_str(b, prefix);
        buf_add_number(b, (uint64_t)number);
        buf_add_str(b, " COLLATE ");
        sql_quote_name(b, collation);
        if (term->sort == SQL_SORT_DESC)
                buf_add_str(b, " DESC");
        if (term->nulls != SQL_NULLS_NONE)
                buf_add_str(b, term->nulls == SQL_NULLS_FIRST ? " NULLS FIRST" : " NULLS LAST");
}

static enum err_code print_part(struct ordered *o, struct plan_part *part)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc = ERR_OK;

        for (uint32_t i = 0; i < o->q.order.n; i++)
                if (o->q.order_result[i] < 0 &&
                    !add_result(o->p, &o->q.arm->results,
                                (void *)(uintptr_t)without_collate(o->q.order.items[i]->expr)))
                        return planner_no_memory(o->p);
        rc = add_arm(o->p, &o->q, &b);
        if (!rc && o->q.limit) {
                for (uint32_t i = 0; i < o->q.order.n; i++)
                        add_term(o, i, "", o->key_column[i] + 1, &b);
                rc = add_shard_limit(o->p, &o->q, &b);
        }
        if (!rc)
                rc = planner_keep(o->p, &b, &part->sql);
        buf_done(&b);
        return rc;
}

/* Alone, columns of no affinity: what comes from the shards stays what it is. */
static enum err_code set_load(struct ordered *o, struct plan_part *part)
{
        struct part_column *columns =
            arena_calloc(o->p->scratch, o->n_columns + 1, sizeof *columns);

        if (!columns)
                return planner_no_memory(o->p);
        for (uint32_t i = 0; i < o->n_columns; i++) {
                columns[i].name = arena_numbered(o->p->scratch, "c", i);
                if (!columns[i].name)
                        return planner_no_memory(o->p);
                if (o->cut->is_nested && i < o->q.of->n_columns)
                        columns[i].type = &o->q.of->columns[i].type;
        }
        return part_set_load(o->p, part, o->table, columns, o->n_columns);
}

static enum err_code print_finish(struct ordered *o)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        buf_add_str(&b, o->is_distinct ? "SELECT DISTINCT " : "SELECT ");
        for (uint32_t i = 0; i < o->q.of->n_columns; i++) {
                const struct query_column *c = &o->q.of->columns[i];
                char column[16];

                snprintf(column, sizeof column, "c%u", i);
                buf_add_str(&b, i ? ", " : "");
                if (o->cut->is_nested)
                        part_add_column(&b, column, &c->type, c->name);
                else
                        buf_add_str(&b, column);
        }
        buf_add_str(&b, " FROM ");
        buf_add_str(&b, o->table);
        for (uint32_t i = 0; i < o->q.order.n; i++)
                add_term(o, i, "c", o->key_column[i], &b);
        rc = add_limit(o->p, &o->q, &b);
        if (!rc)
                rc = planner_keep(o->p, &b, &o->cut->sql);
        buf_done(&b);
        return rc;
}

/* How the columns of a query compare is to be known if somebody else may compare them. */
static bool is_sure(const struct query_arm *arm)
{
        for (uint32_t i = 0; i < arm->n_columns; i++)
                if (arm->columns[i].type.is_unsure)
                        return false;
        return true;
}

enum plan_try plan_ordered(struct planner *p, struct query *q, const struct place *place,
                           struct cut *cut)
{
        bool has_distinct = q->arms[0].node->distinct == SQL_DISTINCT_DISTINCT;
        struct ordered o = { .p = p,
                             .is_distinct = has_distinct && !place->distinct_whole,
                             .table = part_table(p),
                             .cut = cut };
        struct plan_part *part;
        enum plan_try tried;

        if (!place->groups_whole || !q->arms[0].columns ||
            (cut->is_nested && !is_sure(&q->arms[0])))
                return TRY_NEXT;
        tried = simplify(p, q, &o.q);
        if (tried != TRY_DONE)
                return tried;
        if (shows_any_of_equals(&o))
                return TRY_NEXT;
        if (cut->with)
                o.q.with = cut->with;
        if (!o.table || !place_keys(&o)) {
                planner_no_memory(p);
                return TRY_ERROR;
        }
        /* With DISTINCT, which row's key counts for a result is SQLite's secret. */
        if (has_distinct && o.n_columns > o.q.arm->results.n)
                return TRY_NEXT;
        if (planner_add_part(p, &part) || print_part(&o, part) || set_load(&o, part) ||
            print_finish(&o))
                return TRY_ERROR;
        part->route = place->route;
        cut->kind = place->route.kind == ROUTE_KEYS ? PLAN_MULTI_SHARD : PLAN_SCATTER;
        return TRY_DONE;
}
