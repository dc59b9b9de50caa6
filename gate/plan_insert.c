/* plan_insert.c - INSERT … VALUES: the values of the sharding columns say where each row goes, and
 * rowids that SQLite would make up are given out by the gate, since they must be unique over all
 * shards. Loop thread. */
#include <string.h>

#include "gate/plan_names.h"
#include "sql/parse.h"

struct insert {
        struct planner *p;
        const struct catalog_table *table;
        struct sql_insert *stmt; /* changed in place: rowids become an explicit column */
        struct sql_row **rows;
        uint32_t n_rows;
        int *column_at; /* per column of the statement: index in the table, COLUMN_ROWID */
        uint32_t n_columns;
        bool all_columns; /* the statement lists none */
};

static enum err_code unimplemented(struct insert *in, const char *reason, const char *what)
{
        return err_set(in->p->reterr, ERR_UNIMPLEMENTED, reason, "%s", what);
}

static bool is_replacing(const struct insert *in)
{
        return in->stmt->is_replace || in->stmt->conflict == SQL_CONFLICT_REPLACE;
}

/* ---- which value stands for which column */

static enum err_code read_columns(struct insert *in)
{
        const struct catalog_table *t = in->table;
        const struct source s = { .table = t, .name = t->name };
        uint32_t n = in->stmt->columns.n;

        in->all_columns = n == 0;
        in->column_at = arena_calloc(in->p->scratch, n + t->n_columns + 1, sizeof *in->column_at);
        if (!in->column_at)
                return planner_no_memory(in->p);
        for (uint32_t i = 0; i < n; i++)
                in->column_at[in->n_columns++] =
                    source_find_column(&s, &in->stmt->columns.items[i]);
        for (size_t i = 0; in->all_columns && i < t->n_columns; i++)
                if (!t->columns[i].generated && !t->columns[i].hidden)
                        in->column_at[in->n_columns++] =
                            (int)i == t->rowid_column ? COLUMN_ROWID : (int)i;
        return ERR_OK;
}

/* Position of the table's column among the statement's; -1: it is not given. The first of doubles
 * counts for SQLite. */
static int position_of(const struct insert *in, int column)
{
        for (uint32_t i = 0; i < in->n_columns; i++)
                if (in->column_at[i] == column)
                        return (int)i;
        return -1;
}

static bool is_computable(const struct sql_expr *e)
{
        return !(node_traits(e) & (TRAIT_SUBQUERY | TRAIT_COLUMN | TRAIT_AGGREGATE | TRAIT_WINDOW));
}

static enum err_code default_slot(struct insert *in, int column, int *ret_slot)
{
        const char *fallback = in->table->columns[column].fallback;
        struct plan_slot slot = { .kind = SLOT_CONSTANT, .constant = value_null() };

        if (fallback) {
                slot.kind = SLOT_EXPRESSION;
                slot.expr = arena_printf(in->p->arena, "SELECT %s", fallback);
                if (!slot.expr)
                        return planner_no_memory(in->p);
                slot.costly = !sql_is_quick(in->p, slot.expr);
        }
        return planner_add_slot(in->p, &slot, ret_slot);
}

/* In place of an expression: the element of the value vector that has its value. */
static struct sql_expr *make_variable(struct insert *in, int slot)
{
        struct sql_expr *e = sql_new(in->p->scratch, SQL_EXPR_VARIABLE);

        if (e)
                e->number = (uint32_t)slot + 1;
        return e;
}

/* A sharding column that the statement leaves to its default: the value is sent, since a shard that
 * computed random() again would keep the row under a key that leads elsewhere. */
static enum err_code default_key(struct insert *in, struct sql_row *row, int column, int *ret_slot)
{
        const struct catalog_column *c = &in->table->columns[column];
        struct sql_name name = sql_name_of(c->name);
        struct sql_expr *e;
        enum err_code rc = default_slot(in, column, ret_slot);

        if (rc || !c->fallback)
                return rc;
        e = make_variable(in, *ret_slot);
        if (!e || !sql_list_add(in->p->scratch, &row->values, e) ||
            (row == in->rows[0] && !sql_names_add(in->p->scratch, &in->stmt->columns, &name)))
                return planner_no_memory(in->p);
        return ERR_OK;
}

/* Where NULL is not allowed, REPLACE takes the default in its place. It may be the constraint's own
 * ON CONFLICT that says so; of all else such a NULL is refused or ignored, wherever it goes. */
static enum err_code unless_null(struct insert *in, int column, int *slot)
{
        const struct catalog_column *c = &in->table->columns[column];
        struct plan_slot instead = { .kind = SLOT_EXPRESSION };

        if (!c->not_null || !c->fallback)
                return ERR_OK;
        instead.expr =
            arena_printf(in->p->arena, "SELECT ifnull(?%d, (%s))", *slot + 1, c->fallback);
        if (!instead.expr)
                return planner_no_memory(in->p);
        instead.costly = !sql_is_quick(in->p, instead.expr);
        return planner_add_slot(in->p, &instead, slot);
}

/* The slot that has the value of a sharding column in one row. What the gate computes once must not
 * be computed again. */
static enum err_code key_slot(struct insert *in, struct sql_row *row, int column, int *ret_slot)
{
        int at = position_of(in, column);
        int value;
        struct sql_expr **e;
        enum err_code rc;

        if (at < 0)
                return default_key(in, row, column, ret_slot);
        e = &row->values.items[at];
        if (!is_computable(*e))
                return unimplemented(
                    in, "WRITE_READS_SHARDS",
                    "the value of a sharding column must not need a query: not there yet");
        rc = planner_value_slot(in->p, *e, &value);
        *ret_slot = value;
        if (!rc)
                rc = unless_null(in, column, ret_slot);
        if (rc)
                return rc;
        *e = make_variable(in, is_replacing(in) ? *ret_slot : value);
        return *e ? ERR_OK : planner_no_memory(in->p);
}

/* ---- rowids */

static bool sharded_by_rowid(const struct catalog_table *t)
{
        return t->n_shard_columns == 1 &&
               (t->shard_columns[0] < 0 || t->shard_columns[0] == t->rowid_column);
}

/* Would a rowid that was made up, and is taken, go unnoticed? Rows with explicit ones come in
 * through other gates; what is in the way is then ignored, overwritten or updated, or rows before
 * it stay. */
static bool hides_taken_rowids(const struct insert *in)
{
        return sharded_by_rowid(in->table) && (is_replacing(in) || in->stmt->upserts.n ||
                                               in->stmt->conflict == SQL_CONFLICT_IGNORE ||
                                               in->stmt->conflict == SQL_CONFLICT_FAIL);
}

/* The slot's value as it is sent, which makes the shard refuse a made-up rowid that is taken: text
 * is no rowid, whatever ON CONFLICT says (gate/sequence.c knows the error). given: the element that
 * is NULL if the rowid was made up; -1: it always is. */
static struct sql_expr *make_guarded(struct insert *in, int slot, int given)
{
        struct arena *a = in->p->scratch;
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *sql = NULL;
        struct sql_stmt *stmt;

        buf_add_str(&b, "SELECT CASE WHEN ");
        if (given >= 0)
                buf_printf(&b, "?%d IS NULL AND ", given + 1);
        buf_add_str(&b, "EXISTS (SELECT 1 FROM ");
        sql_quote_name(&b, in->table->name);
        buf_add_str(&b, " WHERE ");
        sql_quote_name(&b, in->table->rowid_name);
        buf_printf(&b, " = ?%d) THEN 'taken' ELSE ?%d END", slot + 1, slot + 1);
        sql = buf_take_str(&b);
        if (!sql || sql_parse(a, sql, strlen(sql), &stmt, NULL, NULL))
                return NULL;
        return stmt->select->arms.items[0]->results.items[0]->expr;
}

/* The row's rowid as a slot of its own: what the statement gives, or NULL, which becomes a new one.
 */
static enum err_code rowid_slot(struct insert *in, struct sql_row *row, int at, int *ret_slot)
{
        struct plan_slot slot = { .kind = SLOT_CONSTANT, .constant = value_null(), .rowid = true };
        struct sql_expr *e;
        enum err_code rc;

        if (at >= 0) {
                e = row->values.items[at];
                if (!is_computable(e))
                        return unimplemented(in, "WRITE_READS_SHARDS",
                                             "a rowid must not need a query: not there yet");
                slot.kind = SLOT_COPY;
                rc = planner_value_slot(in->p, e, &slot.from);
                if (rc)
                        return rc;
        }
        rc = planner_add_slot(in->p, &slot, ret_slot);
        if (rc)
                return rc;
        e = hides_taken_rowids(in) ? make_guarded(in, *ret_slot, at >= 0 ? slot.from : -1)
                                   : make_variable(in, *ret_slot);
        if (!e)
                return planner_no_memory(in->p);
        if (at >= 0)
                row->values.items[at] = e;
        else if (!sql_list_add(in->p->scratch, &row->values, e))
                return planner_no_memory(in->p);
        return ERR_OK;
}

/* The statement's column list with the rowid behind it. */
static enum err_code name_rowid(struct insert *in)
{
        const struct catalog_table *t = in->table;
        struct sql_name name = sql_name_of(t->rowid_name);

        for (uint32_t i = 0; in->all_columns && i < in->n_columns; i++) {
                struct sql_name column = sql_name_of(t->columns[in->column_at[i]].name);

                if (!sql_names_add(in->p->scratch, &in->stmt->columns, &column))
                        return planner_no_memory(in->p);
        }
        return sql_names_add(in->p->scratch, &in->stmt->columns, &name) ? ERR_OK
                                                                        : planner_no_memory(in->p);
}

static enum err_code give_rowids(struct insert *in)
{
        struct plan *plan = in->p->plan;
        int at = position_of(in, COLUMN_ROWID);
        enum err_code rc = ERR_OK;

        if (in->table->without_rowid)
                return ERR_OK;
        if (!in->table->rowid_name)
                return unimplemented(
                    in, "HIDDEN_ROWID",
                    "the table's columns hide its rowid, which must be given: not there yet");
        if (at >= 0 && !sharded_by_rowid(in->table))
                return unimplemented(in, "GLOBAL_UNIQUE",
                                     "a rowid that is not the sharding column cannot be given: it "
                                     "must be unique over all shards, "
                                     "which is not there yet");
        if (at < 0)
                rc = name_rowid(in);
        plan->insert_ids = arena_calloc(in->p->arena, in->n_rows, sizeof *plan->insert_ids);
        if (!plan->insert_ids)
                return planner_no_memory(in->p);
        for (uint32_t i = 0; !rc && i < in->n_rows; i++)
                rc = rowid_slot(in, in->rows[i], at, &plan->insert_ids[i]);
        plan->n_insert_ids = in->n_rows;
        return rc;
}

/* ---- the route */

static enum err_code route_rows(struct insert *in, struct route *ret_route)
{
        const struct catalog_table *t = in->table;
        struct route r = {
                .kind = ROUTE_KEYS, .table = t, .n_keys = in->n_rows, .null_matches = true
        };
        bool by_rowid = sharded_by_rowid(t);
        enum err_code rc;

        r.slots = arena_calloc(in->p->arena, in->n_rows * t->n_shard_columns, sizeof *r.slots);
        if (!r.slots)
                return planner_no_memory(in->p);
        for (uint32_t i = 0; i < in->n_rows; i++) {
                for (size_t k = 0; k < t->n_shard_columns; k++) {
                        int *slot = &r.slots[i * t->n_shard_columns + k];

                        if (by_rowid) {
                                *slot = in->p->plan->insert_ids[i];
                                continue;
                        }
                        rc = key_slot(in, in->rows[i], t->shard_columns[k], slot);
                        if (rc)
                                return rc;
                }
        }
        *ret_route = r;
        return ERR_OK;
}

/* ---- the statement */

/* DEFAULT VALUES is one row of no values. */
static enum err_code make_empty_row(struct insert *in)
{
        struct sql_select *q = sql_new(in->p->scratch, SQL_SELECT);
        struct sql_arm *arm = sql_new(in->p->scratch, SQL_ARM);
        struct sql_row *row = sql_new(in->p->scratch, SQL_ROW);

        if (!q || !arm || !row || !sql_list_add(in->p->scratch, &q->arms, arm) ||
            !sql_list_add(in->p->scratch, &arm->rows, row))
                return planner_no_memory(in->p);
        arm->is_values = true;
        in->stmt->select = q;
        in->n_columns = 0;
        in->all_columns = false;
        return ERR_OK;
}

static bool is_values(const struct sql_select *q)
{
        return q->arms.n == 1 && q->arms.items[0]->is_values && !q->with;
}

static enum err_code check_statement(struct insert *in, const struct table_uses *uses)
{
        struct sql_insert *stmt = in->stmt;
        enum err_code rc;

        if (uses->n)
                return write_reads_shards(in->p);
        if (stmt->select && !is_values(stmt->select))
                return unimplemented(in, "WRITE_SPANS_SHARDS",
                                     "INSERT … SELECT into a sharded table is not there yet: "
                                     "transactions come first");
        if (!stmt->select && in->table->without_rowid)
                return unimplemented(
                    in, "DEFAULT_VALUES",
                    "DEFAULT VALUES into a sharded table WITHOUT ROWID is not there yet");
        for (uint32_t i = 0; i < stmt->upserts.n; i++) {
                rc = check_sets(in->p, in->table, &stmt->upserts.items[i]->sets);
                if (rc)
                        return rc;
        }
        return ERR_OK;
}

static enum err_code plan_spread(struct planner *p, const struct table_uses *uses)
{
        struct insert in = { .p = p, .table = p->plan->table, .stmt = p->stmt->insert };
        struct route route;
        enum err_code rc = check_statement(&in, uses);

        if (!rc)
                rc = read_columns(&in);
        if (!rc && !in.stmt->select)
                rc = make_empty_row(&in);
        if (rc)
                return rc;
        in.rows = in.stmt->select->arms.items[0]->rows.items;
        in.n_rows = in.stmt->select->arms.items[0]->rows.n;
        rc = give_rowids(&in);
        if (!rc)
                rc = route_rows(&in, &route);
        if (rc)
                return rc;
        if (!in.stmt->is_replace && in.stmt->upserts.n == 0 &&
            (in.stmt->conflict == SQL_CONFLICT_NONE || in.stmt->conflict == SQL_CONFLICT_ABORT))
                p->plan->rowids = ROWIDS_ADDED;
        p->plan->keeps_rows =
            in.stmt->conflict == SQL_CONFLICT_FAIL || in.stmt->conflict == SQL_CONFLICT_ROLLBACK;
        if (in.n_rows > 1) {
                rc = plan_rows_cut(p, in.stmt->select->arms.items[0]);
                if (rc)
                        return rc;
        }
        return planner_pass_through(p, in.n_rows == 1 ? PLAN_SINGLE_SHARD : PLAN_MULTI_SHARD,
                                    &route);
}

enum err_code plan_insert(struct planner *p)
{
        static const struct route home = { .kind = ROUTE_HOME };
        const struct sql_table_name *name = p->stmt->insert->table;
        struct table_uses uses;
        enum err_code rc;

        p->plan->table = catalog_find_table(p->catalog, name->name.text);
        if (!p->plan->table)
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                               "writing to %s is refused", name->name.text);
        rc = find_tables(p, p->stmt, &uses);
        if (rc)
                return rc;
        if (is_spread(p, p->plan->table))
                return plan_spread(p, &uses);
        if (uses_sharded(p, &uses))
                return write_reads_shards(p);
        return planner_pass_through(
            p, p->plan->table->sharding == SHARDING_UNSHARDED ? PLAN_UNSHARDED : PLAN_SINGLE_SHARD,
            &home);
}
