/* plan_analyze.c - ANALYZE: what of the keyspace it is about. The shards run it under a name of
 * their own schema, whatever the client called that. Loop thread. */
#include <sqlite3.h>
#include <strings.h>

#include "gate/plan_int.h"

/* The table of the name, or the one whose index has it; NULL: it is a view, or SQLite's own. */
static const struct catalog_table *find_target(struct planner *p, const char *name)
{
        const struct catalog_table *t = NULL;
        sqlite3_stmt *stmt = NULL;

        if (sqlite3_prepare_v2(catalog_shadow(p->catalog),
                               "SELECT tbl_name FROM sqlite_schema "
                               "WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'index')",
                               -1, &stmt, NULL) == SQLITE_OK &&
            sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
            sqlite3_step(stmt) == SQLITE_ROW)
                t = catalog_find_table(p->catalog, (const char *)sqlite3_column_text(stmt, 0));
        sqlite3_finalize(stmt);
        return t;
}

static enum err_code add_part(struct planner *p, const char *name)
{
        struct buf b = BUF_INIT(0);
        struct plan_part *part;
        enum err_code rc;

        buf_add_str(&b, "ANALYZE");
        if (name) {
                buf_add_str(&b, " main.");
                sql_quote_name(&b, name);
        }
        rc = planner_add_part(p, &part);
        if (!rc)
                rc = planner_keep(p, &b, &part->sql);
        buf_done(&b);
        if (rc)
                return rc;
        part->route.kind = p->plan->table && p->plan->table->sharding == SHARDING_UNSHARDED
                               ? ROUTE_HOME
                               : ROUTE_ALL;
        p->plan->kind = PLAN_ANALYZE;
        return ERR_OK;
}

enum err_code plan_analyze(struct planner *p)
{
        const struct sql_maintenance *m = p->stmt->maintenance;
        const char *name = m->name ? m->name->name.text : NULL;
        bool is_schema = name && !m->name->schema.text;

        if (!name || (is_schema && strcasecmp(name, "main") == 0))
                return add_part(p, NULL);
        if (is_schema && strcasecmp(name, "temp") == 0)
                return plan_nothing(p);
        p->plan->table = find_target(p, name);
        return p->plan->table ? add_part(p, name) : plan_nothing(p);
}
