/* plan_write.c - UPDATE and DELETE: whole to the shard that their predicate names. Loop thread. */
#include "gate/plan_place.h"

enum err_code write_reads_shards(struct planner *p)
{
        return err_set(p->reterr, ERR_UNIMPLEMENTED, "WRITE_READS_SHARDS",
                       "a write that reads sharded tables is not there yet");
}

/* What the three writes have in common: the tables besides the target. */
static enum err_code check_tables(struct planner *p, const struct catalog_table *target,
                                  unsigned n_target_uses)
{
        struct table_uses uses;
        enum err_code rc = find_tables(p, p->stmt, &uses);

        for (size_t i = 0; !rc && i < uses.n; i++)
                if (uses.items[i].table != target || uses.items[i].n_uses > n_target_uses)
                        rc = write_reads_shards(p);
        return rc;
}

static bool sets_column(const struct source *s, const struct sql_sets *sets, int column)
{
        for (uint32_t i = 0; i < sets->n; i++)
                for (uint32_t k = 0; k < sets->items[i]->columns.n; k++)
                        if (source_find_column(s, &sets->items[i]->columns.items[k]) == column)
                                return true;
        return false;
}

enum err_code check_sets(struct planner *p, const struct catalog_table *t,
                         const struct sql_sets *sets)
{
        const struct source s = { .table = t, .name = t->name };

        for (size_t i = 0; i < t->n_shard_columns; i++) {
                int column =
                    t->shard_columns[i] == t->rowid_column ? COLUMN_ROWID : t->shard_columns[i];

                if (sets_column(&s, sets, column))
                        return err_set(p->reterr, ERR_UNIMPLEMENTED, "WRITE_MOVES_ROWS",
                                       "changing %s, by which table %s is sharded, would move rows "
                                       "between shards: not there yet",
                                       column < 0 ? t->rowid_name : t->columns[column].name,
                                       t->name);
        }
        if (!t->without_rowid && sets_column(&s, sets, COLUMN_ROWID))
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "WRITE_MOVES_ROWS",
                               "changing rowids, which are unique over all shards of table %s, is "
                               "not there yet",
                               t->name);
        return ERR_OK;
}

/* FALSE, and the rowid, as which an INTEGER PRIMARY KEY is read too, being NULL. */
static bool is_never_true(const struct sql_expr *e)
{
        const struct bound_name *bound;

        if (e->kind == SQL_EXPR_COLUMN)
                return !(node_traits(e) & TRAIT_COLUMN) && sql_name_is(&e->column, "false");
        bound = e->kind == SQL_EXPR_IS_NULL ? names_bound(e->left) : NULL;
        return bound && bound->column == COLUMN_ROWID;
}

/* What of the conjuncts says that no row can match: then no shard has to be asked, but for the
 * answer that there was none. Of values, as in WHERE 0, that is known when the statement runs. */
static enum err_code find_conditions(struct planner *p, const struct sql_exprs *conjuncts,
                                     struct route *r)
{
        r->conditions = arena_alloc(p->arena, (conjuncts->n + 1) * sizeof *r->conditions);
        if (!r->conditions)
                return planner_no_memory(p);
        for (uint32_t i = 0; i < conjuncts->n; i++) {
                const struct sql_expr *e = conjuncts->items[i];
                enum err_code rc;

                if (is_never_true(e)) {
                        r->kind = ROUTE_KEYS;
                        r->n_keys = 0;
                        return ERR_OK;
                }
                if (!is_plain_value(e))
                        continue;
                rc = planner_value_slot(p, e, &r->conditions[r->n_conditions]);
                if (rc)
                        return rc;
                r->n_conditions++;
        }
        return ERR_OK;
}

static enum err_code plan_filtered(struct planner *p, const struct sql_table_name *name,
                                   const struct sql_name *alias, struct sql_expr *where,
                                   const struct sql_sets *sets)
{
        static const struct route home = { .kind = ROUTE_HOME };
        static const struct equals none;
        const struct catalog_table *t = catalog_find_table(p->catalog, name->name.text);
        struct source target = { .table = t, .name = alias->text ? alias->text : name->name.text };
        struct sql_exprs conjuncts = { 0 };
        struct route route;
        struct table_uses uses;
        const struct key *key;
        enum err_code rc;

        if (!t)
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                               "writing to %s is refused", name->name.text);
        p->plan->table = t;
        rc = find_tables(p, p->stmt, &uses);
        if (rc)
                return rc;
        if (!is_spread(p, t)) {
                if (uses_sharded(p, &uses))
                        return write_reads_shards(p);
                return planner_pass_through(
                    p, t->sharding == SHARDING_UNSHARDED ? PLAN_UNSHARDED : PLAN_SINGLE_SHARD,
                    &home);
        }
        rc = check_tables(p, t, 0);
        if (!rc && sets)
                rc = check_sets(p, t, sets);
        if (rc)
                return rc;
        names_bind_table(p, &target, where);
        key = key_of_table(p, &target);
        if (!key || !add_conjuncts(p, where, &conjuncts))
                return planner_no_memory(p);
        rc = find_route(p, key, &none, &conjuncts, &route);
        if (!rc)
                rc = find_conditions(p, &conjuncts, &route);
        if (rc)
                return rc;
        return planner_pass_through(p,
                                    route.kind == ROUTE_ALL ? PLAN_SCATTER
                                    : route.n_keys <= 1     ? PLAN_SINGLE_SHARD
                                                            : PLAN_MULTI_SHARD,
                                    &route);
}

enum err_code plan_update(struct planner *p)
{
        const struct sql_update *u = p->stmt->update;

        p->plan->keeps_rows =
            u->conflict == SQL_CONFLICT_FAIL || u->conflict == SQL_CONFLICT_ROLLBACK;
        /* check_sets() has refused those that change rowids of tables that are spread. */
        if (u->conflict == SQL_CONFLICT_NONE || u->conflict == SQL_CONFLICT_ABORT)
                p->plan->rowids = ROWIDS_KEPT;
        return plan_filtered(p, u->table, &u->alias, u->where, &u->sets);
}

enum err_code plan_delete(struct planner *p)
{
        const struct sql_delete *d = p->stmt->delete_;

        p->plan->rowids = ROWIDS_REMOVED;
        return plan_filtered(p, d->table, &d->alias, d->where, NULL);
}
