/* plan_ddl.c - CREATE and DROP of tables, indexes and views: tried out on the shadow inside a
 * savepoint, so that SQLite says what is wrong and how it stores them; and by which columns a new
 * table is sharded. Loop thread. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/sqlite_err.h"
#include "gate/catalog_int.h"
#include "gate/plan_int.h"

static enum err_code unimplemented(struct planner *p, const char *reason, const char *what)
{
        return err_set(p->reterr, ERR_UNIMPLEMENTED, reason, "%s", what);
}

static void finalizep(sqlite3_stmt **stmt)
{
        sqlite3_finalize(*stmt);
}

/* ---- trying it out */

/* Everything between begin and end leaves no trace on the shadow. */
static enum err_code begin_trial(struct planner *p)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);

        if (sqlite3_exec(db, "SAVEPOINT trial", NULL, NULL, NULL) != SQLITE_OK)
                return sqlite_err_set(p->reterr, db, sqlite3_extended_errcode(db));
        return ERR_OK;
}

static void end_trial(struct planner *p)
{
        sqlite3_exec(catalog_shadow(p->catalog), "ROLLBACK TO trial; RELEASE trial", NULL, NULL,
                     NULL);
}

static enum err_code try_sql(struct planner *p, const char *sql)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);
        sqlite3_stmt *stmt = NULL;
        enum err_code rc = ERR_OK;

        if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK ||
            sqlite3_step(stmt) != SQLITE_DONE)
                rc = sqlite_err_set(p->reterr, db, sqlite3_extended_errcode(db));
        sqlite3_finalize(stmt);
        return rc;
}

/* The statement as SQLite has stored it; *ret_sql in the plan's arena. */
static enum err_code read_stored(struct planner *p, const char *name, const char **ret_sql)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;

        if (sqlite3_prepare_v2(db, "SELECT sql FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE",
                               -1, &stmt, NULL) != SQLITE_OK ||
            sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC) != SQLITE_OK ||
            sqlite3_step(stmt) != SQLITE_ROW)
                return err_set(p->reterr, ERR_INTERNAL, "BAD_SCHEMA", "%s was not stored", name);
        *ret_sql = arena_strdup(p->arena, (const char *)sqlite3_column_text(stmt, 0));
        return *ret_sql ? ERR_OK : planner_no_memory(p);
}

/* ---- names */

static enum err_code check_name(struct planner *p, const struct sql_table_name *name)
{
        if (name->schema.text && !sql_name_is(&name->schema, "main"))
                return sql_name_is(&name->schema, "temp")
                           ? unimplemented(p, "TEMP", "TEMP tables are not there yet")
                           : err_set(p->reterr, ERR_NOT_FOUND, "SQLITE_ERROR",
                                     "unknown database %s", name->schema.text);
        if (strncasecmp(name->name.text, "_shoal_", 7) == 0)
                return err_set(p->reterr, ERR_INVALID, "RESERVED_NAME",
                               "names beginning with _shoal_ are reserved");
        return ERR_OK;
}

static enum err_code quoted(struct planner *p, const char *before, const char *name,
                            const char **ret_sql)
{
        struct buf b = BUF_INIT(0);
        enum err_code rc;

        buf_add_str(&b, before);
        sql_quote_name(&b, name);
        rc = planner_keep(p, &b, ret_sql);
        buf_done(&b);
        return rc;
}

static enum err_code do_nothing(struct planner *p)
{
        p->plan->ddl->verb = DDL_NOTHING;
        return ERR_OK;
}

/* NULL: there is none, or it is something else. */
static const Shoal__V1__SchemaObject *find_object(const struct planner *p, const char *type,
                                                  const char *name)
{
        const Shoal__V1__SchemaObject *o = catalog_find_object(p->catalog, name);

        return o && strcmp(o->type, type) == 0 ? o : NULL;
}

/* Tables and views share their names. */
static bool is_relation(const struct planner *p, const char *name)
{
        return catalog_find_table(p->catalog, name) || find_object(p, "view", name);
}

/* ---- by what a new table is sharded */

static bool index_covers(struct sqlite3 *db, const char *index, const char *column)
{
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;

        return sqlite3_prepare_v2(
                   db,
                   "SELECT 1 FROM pragma_index_xinfo(?1) WHERE key AND name = ?2 COLLATE NOCASE",
                   -1, &stmt, NULL) == SQLITE_OK &&
               sqlite3_bind_text(stmt, 1, index, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_bind_text(stmt, 2, column, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW;
}

/* Rows that a uniqueness constraint compares must lie on one shard: it has to contain the column.
 */
static bool unique_constraints_cover(struct planner *p, const struct catalog_table *t,
                                     const char *column)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;

        if (t->rowid_column >= 0 && strcasecmp(t->columns[t->rowid_column].name, column) != 0)
                return false;
        if (sqlite3_prepare_v2(db, "SELECT name FROM pragma_index_list(?1) WHERE \"unique\"", -1,
                               &stmt, NULL) != SQLITE_OK ||
            sqlite3_bind_text(stmt, 1, t->name, -1, SQLITE_STATIC) != SQLITE_OK)
                return false;
        while (sqlite3_step(stmt) == SQLITE_ROW)
                if (!index_covers(db, (const char *)sqlite3_column_text(stmt, 0), column))
                        return false;
        return true;
}

static bool has_unique_index(struct planner *p, const struct catalog_table *t)
{
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;

        return sqlite3_prepare_v2(catalog_shadow(p->catalog),
                                  "SELECT 1 FROM pragma_index_list(?1) WHERE \"unique\"", -1, &stmt,
                                  NULL) == SQLITE_OK &&
               sqlite3_bind_text(stmt, 1, t->name, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW;
}

/* The first column of the primary key; a later one, or without a primary key any, that every
 * uniqueness constraint contains; the rowid of a table without such constraints. NULL: there is
 * none. */
static const char *infer_column(struct planner *p, const struct catalog_table *t)
{
        bool has_key = false;

        for (size_t k = 1; k <= t->n_columns; k++)
                for (size_t i = 0; i < t->n_columns; i++) {
                        if (t->columns[i].primary_key != (int)k)
                                continue;
                        has_key = true;
                        if (unique_constraints_cover(p, t, t->columns[i].name))
                                return t->columns[i].name;
                }
        if (has_key)
                return NULL;
        if (!has_unique_index(p, t))
                return t->rowid_name;
        for (size_t i = 0; i < t->n_columns; i++)
                if (!t->columns[i].generated && unique_constraints_cover(p, t, t->columns[i].name))
                        return t->columns[i].name;
        return NULL;
}

static Shoal__V1__TableSharding *new_sharding(struct planner *p, const char *type,
                                              const char **columns, size_t n_columns)
{
        Shoal__V1__TableSharding *s = arena_alloc(p->arena, sizeof *s);
        Shoal__V1__ColumnVindex *v = arena_alloc(p->arena, sizeof *v);
        Shoal__V1__ColumnVindex **list = arena_alloc(p->arena, sizeof(Shoal__V1__ColumnVindex *));

        if (!s || !v || !list)
                return NULL;
        shoal__v1__table_sharding__init(s);
        shoal__v1__column_vindex__init(v);
        s->type = arena_strdup(p->arena, type);
        if (n_columns) {
                v->vindex = arena_strdup(p->arena, "hash");
                v->n_columns = n_columns;
                v->columns = arena_memdup(p->arena, columns, n_columns * sizeof *columns);
                list[0] = v;
                s->n_vindexes = 1;
                s->vindexes = list;
        }
        return s;
}

static enum err_code no_global_unique(struct planner *p, const struct catalog_table *t,
                                      const char *column)
{
        if (column)
                return err_set(
                    p->reterr, ERR_UNIMPLEMENTED, "GLOBAL_UNIQUE",
                    "table %s: a PRIMARY KEY or UNIQUE constraint without the sharding column %s "
                    "needs a global unique "
                    "index, which is not there yet; UNSHARDED keeps the table on one shard",
                    t->name, column);
        return err_set(p->reterr, ERR_UNIMPLEMENTED, "GLOBAL_UNIQUE",
                       "table %s: no column is in all of its PRIMARY KEY and UNIQUE constraints, "
                       "so some need a global unique "
                       "index, which is not there yet; UNSHARDED keeps the table on one shard",
                       t->name);
}

static enum err_code shard_by_hash(struct planner *p, const struct catalog_table *t,
                                   const struct sql_names *names,
                                   Shoal__V1__TableSharding **ret_sharding)
{
        const char *columns[ROUTE_MAX_KEY_COLUMNS];

        if (names->n == 0 || names->n > ROUTE_MAX_KEY_COLUMNS)
                return err_set(p->reterr, ERR_INVALID, "BAD_SHARDING",
                               "a table is sharded by 1 to %d columns", ROUTE_MAX_KEY_COLUMNS);
        for (uint32_t i = 0; i < names->n; i++) {
                int column = catalog_column_index(t, names->items[i].text);

                if (column < 0 &&
                    !(t->rowid_name && strcasecmp(names->items[i].text, t->rowid_name) == 0))
                        return err_set(p->reterr, ERR_INVALID, "BAD_SHARDING",
                                       "table %s has no column %s to be sharded by", t->name,
                                       names->items[i].text);
                if (column >= 0 && t->columns[column].generated)
                        return unimplemented(p, "BAD_SHARDING",
                                             "sharding by a generated column is not there yet");
                columns[i] = column < 0 ? t->rowid_name : t->columns[column].name;
                if (column < 0 ? has_unique_index(p, t)
                               : !unique_constraints_cover(p, t, columns[i]))
                        return no_global_unique(p, t, columns[i]);
        }
        *ret_sharding = new_sharding(p, "sharded", columns, names->n);
        return *ret_sharding ? ERR_OK : planner_no_memory(p);
}

static enum err_code infer_sharding(struct planner *p, const struct catalog_table *t,
                                    Shoal__V1__TableSharding **ret_sharding)
{
        const char *column = infer_column(p, t);

        if (!column)
                return no_global_unique(p, t, NULL);
        *ret_sharding = new_sharding(p, "sharded", &column, 1);
        return *ret_sharding ? ERR_OK : planner_no_memory(p);
}

static enum err_code choose_sharding(struct planner *p, const struct catalog_table *t,
                                     Shoal__V1__TableSharding **ret_sharding)
{
        const struct sql_table_options *options = &p->stmt->create_table->options;
        const struct sql_table_option *said = NULL;

        for (uint32_t i = 0; i < options->n; i++) {
                if (options->items[i]->type < SQL_OPTION_SHARD_BY_HASH)
                        continue;
                if (said)
                        return err_set(p->reterr, ERR_INVALID, "BAD_SHARDING",
                                       "table %s: how to shard it is said twice", t->name);
                said = options->items[i];
        }
        if (!said)
                return infer_sharding(p, t, ret_sharding);
        switch (said->type) {
        case SQL_OPTION_SHARD_BY_HASH:
                return shard_by_hash(p, t, &said->columns, ret_sharding);
        case SQL_OPTION_UNSHARDED:
                *ret_sharding = new_sharding(p, "unsharded", NULL, 0);
                return *ret_sharding ? ERR_OK : planner_no_memory(p);
        case SQL_OPTION_REFERENCE:
                return unimplemented(
                    p, "REFERENCE_TABLES",
                    "reference tables are not there yet: their writes span all shards");
        default:
                return unimplemented(p, "VINDEX", "only SHARD BY HASH is there yet");
        }
}

/* ---- CREATE TABLE */

static enum err_code keep_table(struct planner *p, const struct catalog_table *t,
                                const char *stored)
{
        struct plan_ddl *ddl = p->plan->ddl;
        Shoal__V1__Table *put = arena_alloc(p->arena, sizeof *put);
        enum err_code rc;

        if (!put)
                return planner_no_memory(p);
        shoal__v1__table__init(put);
        put->name = arena_strdup(p->arena, t->name);
        put->sql = (char *)(uintptr_t)stored;
        rc = choose_sharding(p, t, &put->sharding);
        if (rc)
                return rc;
        ddl->put_table = put;
        return put->name ? quoted(p, "DROP TABLE IF EXISTS ", put->name, &ddl->undo_sql)
                         : planner_no_memory(p);
}

static enum err_code try_table(struct planner *p, const char *name)
{
        struct catalog_table t;
        const char *stored;
        enum err_code rc = try_sql(p, p->plan->ddl->sql);

        if (!rc)
                rc = catalog_read_table(p->arena, catalog_shadow(p->catalog), name, &t, p->reterr);
        if (!rc)
                rc = read_stored(p, name, &stored);
        if (!rc)
                rc = keep_table(p, &t, stored);
        return rc;
}

static enum err_code plan_create_table(struct planner *p)
{
        const struct sql_create_table *ct = p->stmt->create_table;
        struct plan_ddl *ddl = p->plan->ddl;
        struct buf b = BUF_INIT(0);
        enum err_code rc = check_name(p, ct->table);

        if (rc)
                return rc;
        if (ct->is_temp)
                return unimplemented(p, "TEMP", "TEMP tables are not there yet");
        if (ct->if_not_exists && is_relation(p, ct->table->name.text))
                return do_nothing(p);
        if (ct->select)
                return unimplemented(p, "CREATE_TABLE_AS",
                                     "CREATE TABLE … AS is not there yet: transactions come first");
        ddl->verb = DDL_CREATE_TABLE;
        ddl->name = arena_strdup(p->arena, ct->table->name.text);
        sql_print_create_table(&b, p->stmt);
        rc = planner_keep(p, &b, &ddl->sql);
        buf_done(&b);
        if (!rc)
                rc = begin_trial(p);
        if (rc)
                return rc;
        rc = try_table(p, ct->table->name.text);
        end_trial(p);
        return rc;
}

/* ---- CREATE INDEX */

/* Equal keys must lie on one shard, by the index' own idea of equal. */
static enum err_code check_unique_index(struct planner *p, const struct catalog_table *t,
                                        const char *index)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);
        struct catalog_table after;
        enum err_code rc;

        if (t->sharding != SHARDING_HASH)
                return ERR_OK;
        for (size_t i = 0; i < t->n_shard_columns; i++) {
                int column = t->shard_columns[i];

                if (column < 0 || !index_covers(db, index, t->columns[column].name))
                        return no_global_unique(
                            p, t, column < 0 ? t->rowid_name : t->columns[column].name);
        }
        rc = catalog_read_table(p->scratch, db, t->name, &after, p->reterr);
        for (size_t i = 0; !rc && i < t->n_shard_columns; i++)
                if (after.columns[t->shard_columns[i]].fold != t->columns[t->shard_columns[i]].fold)
                        rc = unimplemented(p, "GLOBAL_UNIQUE",
                                           "a UNIQUE index whose collation is coarser than the "
                                           "sharding column's is not there yet");
        return rc;
}

/* What is to be known of an index or view; it goes to the shards as SQLite has stored it. */
static enum err_code put_object(struct planner *p, const char *type, const char *name,
                                const char *table)
{
        struct plan_ddl *ddl = p->plan->ddl;
        Shoal__V1__SchemaObject *put = arena_alloc(p->arena, sizeof *put);
        enum err_code rc = read_stored(p, name, &ddl->sql);

        if (rc)
                return rc;
        if (!put)
                return planner_no_memory(p);
        shoal__v1__schema_object__init(put);
        put->type = arena_strdup(p->arena, type);
        put->name = arena_strdup(p->arena, name);
        put->table = arena_strdup(p->arena, table);
        put->sql = (char *)(uintptr_t)ddl->sql;
        ddl->put_object = put;
        ddl->name = put->name;
        ddl->table = put->table;
        return put->type && put->name && put->table ? ERR_OK : planner_no_memory(p);
}

static enum err_code try_index(struct planner *p, const struct catalog_table *t, const char *name)
{
        const struct sql_create_index *ci = p->stmt->create_index;
        enum err_code rc = try_sql(p, p->stmt->text);

        if (!rc && !t)
                rc = err_set(p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                             "an index on %s is refused", ci->table.text);
        if (!rc && ci->is_unique)
                rc = check_unique_index(p, t, name);
        if (!rc)
                rc = put_object(p, "index", name, t->name);
        return rc ? rc : quoted(p, "DROP INDEX IF EXISTS ", name, &p->plan->ddl->undo_sql);
}

static enum err_code plan_create_index(struct planner *p)
{
        const struct sql_create_index *ci = p->stmt->create_index;
        struct plan_ddl *ddl = p->plan->ddl;
        enum err_code rc = check_name(p, ci->index);

        if (rc)
                return rc;
        if (ci->is_global)
                return unimplemented(p, "GLOBAL_UNIQUE", "global indexes are not there yet");
        if (ci->if_not_exists && find_object(p, "index", ci->index->name.text) &&
            !is_relation(p, ci->index->name.text))
                return do_nothing(p);
        ddl->verb = DDL_CREATE_INDEX;
        rc = begin_trial(p);
        if (rc)
                return rc;
        rc = try_index(p, catalog_find_table(p->catalog, ci->table.text), ci->index->name.text);
        end_trial(p);
        return rc;
}

/* ---- CREATE VIEW */

static enum err_code plan_create_view(struct planner *p)
{
        const struct sql_create_view *cv = p->stmt->create_view;
        const char *name = cv->view->name.text;
        struct plan_ddl *ddl = p->plan->ddl;
        enum err_code rc = check_name(p, cv->view);

        if (rc)
                return rc;
        if (cv->is_temp)
                return unimplemented(p, "TEMP", "TEMP views are not there yet: they need sessions");
        if (cv->if_not_exists && is_relation(p, name))
                return do_nothing(p);
        ddl->verb = DDL_CREATE_VIEW;
        rc = begin_trial(p);
        if (rc)
                return rc;
        rc = try_sql(p, p->stmt->text);
        if (!rc)
                rc = put_object(p, "view", name, name);
        end_trial(p);
        return rc ? rc : quoted(p, "DROP VIEW IF EXISTS ", name, &ddl->undo_sql);
}

/* ---- DROP */

static enum err_code drop_object(struct planner *p, const Shoal__V1__SchemaObject *o)
{
        struct plan_ddl *ddl = p->plan->ddl;
        bool is_view = strcmp(o->type, "view") == 0;

        ddl->verb = is_view ? DDL_DROP_VIEW : DDL_DROP_INDEX;
        ddl->name = ddl->drop_object = arena_strdup(p->arena, o->name);
        ddl->table = arena_strdup(p->arena, o->table);
        ddl->undo_sql = arena_strdup(p->arena, o->sql);
        if (!ddl->name || !ddl->table || !ddl->undo_sql)
                return planner_no_memory(p);
        return quoted(p, is_view ? "DROP VIEW IF EXISTS " : "DROP INDEX IF EXISTS ", o->name,
                      &ddl->sql);
}

static enum err_code try_drop(struct planner *p)
{
        enum err_code rc = begin_trial(p);

        if (rc)
                return rc;
        rc = try_sql(p, p->plan->ddl->sql);
        end_trial(p);
        return rc;
}

static enum err_code plan_drop(struct planner *p)
{
        const struct sql_drop *d = p->stmt->drop;
        struct plan_ddl *ddl = p->plan->ddl;
        const char *name = d->name->name.text;
        const struct catalog_table *t = catalog_find_table(p->catalog, name);
        const Shoal__V1__SchemaObject *o =
            find_object(p, d->object == SQL_OBJECT_INDEX ? "index" : "view", name);
        enum err_code rc = check_name(p, d->name);

        if (rc)
                return rc;
        if (d->object == SQL_OBJECT_TRIGGER)
                return d->if_exists ? do_nothing(p)
                                    : unimplemented(p, "TRIGGERS", "triggers are not there yet");
        if (d->if_exists && (d->object == SQL_OBJECT_INDEX ? !o : !is_relation(p, name)))
                return do_nothing(p);
        rc = planner_print(p, p->stmt, &ddl->sql);
        if (!rc)
                rc = try_drop(p);
        if (rc)
                return rc;
        if (d->object == SQL_OBJECT_TABLE && t) {
                ddl->verb = DDL_DROP_TABLE;
                ddl->name = ddl->drop_table = arena_strdup(p->arena, t->name);
                return quoted(p, "DROP TABLE IF EXISTS ", t->name, &ddl->sql);
        }
        if (d->object == SQL_OBJECT_TABLE || !o)
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                               "dropping %s is refused", name);
        return drop_object(p, o);
}

enum err_code plan_ddl(struct planner *p)
{
        p->plan->kind = PLAN_DDL;
        p->plan->columns = (const uint8_t *)"";
        p->plan->ddl = arena_calloc(p->arena, 1, sizeof *p->plan->ddl);
        if (!p->plan->ddl)
                return planner_no_memory(p);
        switch (p->stmt->type) {
        case SQL_CREATE_TABLE:
                return plan_create_table(p);
        case SQL_CREATE_INDEX:
                return plan_create_index(p);
        case SQL_CREATE_VIEW:
                return plan_create_view(p);
        default:
                return plan_drop(p);
        }
}
