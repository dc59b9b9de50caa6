/* plan_part.c - the tables at the gate into which the rows of parts are loaded. Loop thread. */
#include <strings.h>

#include "gate/plan_place.h"

const char *affinity_type_name(enum affinity a)
{
        static const char *const names[] = {
                [AFFINITY_BLOB] = "",           [AFFINITY_TEXT] = "TEXT",
                [AFFINITY_NUMERIC] = "NUMERIC", [AFFINITY_INTEGER] = "INTEGER",
                [AFFINITY_REAL] = "REAL",
        };

        return names[a];
}

const char *part_table(struct planner *p)
{
        if (p->plan->n_parts == 0)
                return PART_TABLE;
        return arena_numbered(p->scratch, PART_TABLE, p->plan->n_parts + 1);
}

enum err_code part_set_load(struct planner *p, struct plan_part *part, const char *table,
                            const struct part_column *columns, size_t n)
{
        struct buf ddl = BUF_INIT(0), load = BUF_INIT(0);
        enum err_code rc;

        buf_add_str(&ddl, "CREATE TABLE ");
        buf_add_str(&ddl, table);
        buf_add_str(&ddl, " (");
        buf_add_str(&load, "INSERT INTO ");
        buf_add_str(&load, table);
        buf_add_str(&load, " VALUES (");
        for (size_t i = 0; i < n; i++) {
                const struct compare_type *type = columns[i].type;

                buf_add_str(&ddl, i ? ", " : "");
                buf_add_str(&ddl, columns[i].name);
                if (type && type->is_typed && type->affinity != AFFINITY_BLOB) {
                        buf_add_str(&ddl, " ");
                        buf_add_str(&ddl, affinity_type_name(type->affinity));
                }
                if (type && strcasecmp(type->collation, "BINARY") != 0) {
                        buf_add_str(&ddl, " COLLATE ");
                        sql_quote_name(&ddl, type->collation);
                }
                buf_add_str(&load, i ? ", ?" : "?");
        }
        buf_add_str(&ddl, ")");
        buf_add_str(&load, ")");
        part->n_columns = n;
        rc = planner_keep(p, &ddl, &part->load_ddl);
        if (!rc)
                rc = planner_keep(p, &load, &part->load_sql);
        buf_done(&ddl);
        buf_done(&load);
        return rc;
}

/* A column without a type has an affinity, too, which an expression has not; unary plus takes it
 * away and leaves the collation. A COLLATE that was written goes before that of the other side of a
 * comparison, as one that a column brings may not. */
void part_add_column(struct buf *b, const char *column, const struct compare_type *type,
                     const char *name)
{
        buf_add_str(b, type->is_typed ? "" : "+");
        buf_add_str(b, column);
        if (type->is_collated) {
                buf_add_str(b, " COLLATE ");
                sql_quote_name(b, type->collation);
        }
        if (name) {
                buf_add_str(b, " AS ");
                sql_quote_name(b, name);
        }
}

static enum err_code print_verbatim(struct planner *p, struct query *q, const struct cut *cut,
                                    struct plan_part *part)
{
        struct sql_select select = *q->node;

        if (cut->with)
                select.with = cut->with;
        return planner_print(p, &select, &part->sql);
}

/* Rows come from one shard in the order that the query says, if it says one. */
static enum err_code print_rest(struct planner *p, struct query *q, const char *table,
                                const struct part_column *columns, struct cut *cut)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        buf_add_str(&b, "SELECT ");
        for (uint32_t i = 0; i < q->n_columns; i++) {
                buf_add_str(&b, i ? ", " : "");
                part_add_column(&b, columns[i].name, columns[i].type, q->columns[i].name);
        }
        buf_add_str(&b, " FROM ");
        buf_add_str(&b, table);
        buf_add_str(&b, q->node->order_by.n ? " ORDER BY rowid" : "");
        rc = planner_keep(p, &b, &cut->sql);
        buf_done(&b);
        return rc;
}

enum plan_try plan_verbatim(struct planner *p, struct query *q, const struct place *place,
                            struct cut *cut)
{
        const char *table = part_table(p);
        struct part_column *columns = arena_calloc(p->scratch, q->n_columns + 1, sizeof *columns);
        struct plan_part *part;

        for (uint32_t i = 0; i < q->n_columns; i++)
                if (q->columns[i].type.is_unsure)
                        return TRY_NEXT;
        if (!columns || !table) {
                planner_no_memory(p);
                return TRY_ERROR;
        }
        for (uint32_t i = 0; i < q->n_columns; i++) {
                columns[i].type = &q->columns[i].type;
                columns[i].name = arena_numbered(p->scratch, "c", i);
                if (!columns[i].name)
                        planner_no_memory(p);
        }
        if (arena_is_exhausted(p->scratch) || planner_add_part(p, &part) ||
            print_verbatim(p, q, cut, part) ||
            part_set_load(p, part, table, columns, q->n_columns) ||
            print_rest(p, q, table, columns, cut))
                return TRY_ERROR;
        part->route =
            place->kind == PLACE_HOME ? (struct route){ .kind = ROUTE_HOME } : place->route;
        cut->kind = place->kind == PLACE_HOME         ? PLAN_UNSHARDED
                    : place->route.kind == ROUTE_KEYS ? PLAN_MULTI_SHARD
                                                      : PLAN_SCATTER;
        return TRY_DONE;
}
