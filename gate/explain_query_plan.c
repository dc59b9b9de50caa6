/* explain_query_plan.c - EXPLAIN QUERY PLAN: what SQLite says of the statements that a plan is made
 * of, in one tree. The rows are made with the plan, on databases without rows. Loop thread. */
#include <sqlite3.h>
#include <string.h>

#include "common/partial_agg.h"
#include "common/sqlite_err.h"
#include "common/wire.h"
#include "gate/finish_db.h"
#include "gate/plan_int.h"

enum {
        RESULT_ROWS = 2, /* of ResultSet, in api.proto … */
        ROW_VALUES = 1,  /* … and of Row */
        MAX_ROWS_BYTES = 16 << 20,
        /* The finish has no rows: its schema and one prepared statement are all it holds. */
        FINISH_BYTES = 64 << 20,
};

/* The tree so far. Ids are those of SQLite, moved behind those of the statements before. */
struct tree {
        struct planner *p;
        struct buf rows;
        int64_t first;  /* id that stands for 0, the root, of the statement being added */
        int64_t parent; /* of what has no parent in that statement */
        int64_t last;   /* the highest id in use */
};

static void add_node(struct tree *t, int64_t id, int64_t parent, int64_t notused,
                     const char *detail)
{
        size_t at = wire_begin(&t->rows, RESULT_ROWS);
        struct value v[] = { value_integer(id), value_integer(parent), value_integer(notused),
                             value_text(detail, strlen(detail)) };

        for (size_t i = 0; i < ARRAY_LEN(v); i++)
                value_add(&t->rows, ROW_VALUES, &v[i]);
        wire_end(&t->rows, at);
        if (id > t->last)
                t->last = id;
}

/* A node of ours; what is added next goes below it. */
static void add_heading(struct tree *t, const char *detail)
{
        int64_t id = t->last + 1;

        add_node(t, id, 0, 0, detail);
        t->first = t->parent = id;
}

/* What SQLite says of the statement in db. */
static enum err_code add_sql(struct tree *t, sqlite3 *db, const char *sql)
{
        char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql);
        sqlite3_stmt *stmt = NULL;
        enum err_code code = ERR_OK;
        int rc = explain ? sqlite3_prepare_v2(db, explain, -1, &stmt, NULL) : SQLITE_NOMEM;

        sqlite3_free(explain);
        while (rc == SQLITE_OK && stmt && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                int64_t parent = sqlite3_column_int64(stmt, 1);
                const char *detail = (const char *)sqlite3_column_text(stmt, 3);

                add_node(t, t->first + sqlite3_column_int64(stmt, 0),
                         parent ? t->first + parent : t->parent, sqlite3_column_int64(stmt, 2),
                         detail ? detail : "");
                rc = SQLITE_OK;
        }
        if (rc != SQLITE_OK && rc != SQLITE_DONE) {
                code = sqlite_err_set(t->p->reterr, db, rc);
                if (t->p->reterr)
                        t->p->reterr->offset = -1; /* of our statement, not the client's */
        }
        sqlite3_finalize(stmt);
        return code;
}

/* ---- parts and their finish */

static const char *describe_route(const struct route *r)
{
        static const char *const names[] = {
                [ROUTE_ALL] = "ALL SHARDS",
                [ROUTE_HOME] = "THE SHARD OF WHAT IS UNSHARDED",
                [ROUTE_ANY] = "ANY SHARD",
                [ROUTE_KEYS] = "THE SHARDS OF ITS KEYS",
        };

        return names[r->kind];
}

/* Of a part that waits, what it is with keys: any number of them is looked for in the same way. */
static enum err_code add_part(struct tree *t, const struct plan *plan, size_t i)
{
        const struct plan_part *part = &plan->parts[i];
        const struct plan_after *after = part->after;
        char *keys = after ? xasprintf(", %s IN (KEYS OF PART %zu)", after->name, after->part + 1)
                           : xasprintf("%s", "");
        char *heading = xasprintf("PART %zu ON %s%s", i + 1, describe_route(&part->route), keys);
        char *sql = after ? xasprintf("%s?, ?)", after->sql) : xasprintf("%s", part->sql);
        enum err_code rc;

        add_heading(t, heading);
        rc = add_sql(t, catalog_shadow(plan->catalog), sql);
        free(keys);
        free(heading);
        free(sql);
        return rc;
}

static enum err_code add_parts(struct tree *t, const struct plan *plan)
{
        enum err_code rc = ERR_OK;

        for (size_t i = 0; i < plan->n_parts && !rc; i++)
                rc = add_part(t, plan, i);
        return rc;
}

/* Parts may call what only shards know: the shadow knows it for as long as this takes. */
static enum err_code add_parts_of_finish(struct tree *t, const struct plan *plan)
{
        sqlite3 *db = catalog_shadow(plan->catalog);
        enum err_code rc = ERR_OK;

        if (partial_agg_register(db) != SQLITE_OK)
                rc = planner_no_memory(t->p);
        if (!rc)
                rc = add_parts(t, plan);
        partial_agg_unregister(db);
        return rc;
}

static enum err_code add_finish(struct tree *t, const struct plan *plan)
{
        static const struct finish_db_limits limits = {
                .memory_bytes = FINISH_BYTES,
                .total_memory_bytes = FINISH_BYTES,
                .disk_bytes = FINISH_BYTES,
                .value_bytes = FINISH_BYTES,
        };
        cleanup_(finish_db_closep) struct finish_db *d = NULL;
        enum err_code rc = finish_db_open(plan, &limits, &d, t->p->reterr);

        if (rc)
                return rc;
        add_heading(t, "FINISH AT THE GATE");
        return add_sql(t, finish_db_handle(d), plan->finish_sql);
}

static enum err_code add_plan(struct tree *t, const struct plan *plan)
{
        sqlite3 *shadow = catalog_shadow(plan->catalog);
        enum err_code rc;

        if (plan->kind == PLAN_DDL || t->p->stmt->type == SQL_PRAGMA)
                return ERR_OK; /* as SQLite */
        if (!plan->n_parts)
                return *plan->finish_sql ? add_sql(t, shadow, plan->finish_sql) : ERR_OK;
        if (plan->finish_sql) {
                rc = add_parts_of_finish(t, plan);
                return rc ? rc : add_finish(t, plan);
        }
        return plan->n_parts == 1 ? add_sql(t, shadow, plan->parts[0].sql) : add_parts(t, plan);
}

enum err_code plan_explain_query_plan(struct planner *p, const struct plan *explained)
{
        struct plan *plan = p->plan;
        struct tree t = { .p = p, .rows = BUF_INIT(MAX_ROWS_BYTES) };
        const char any[] = "EXPLAIN QUERY PLAN SELECT 1"; /* all have the same columns */
        enum err_code rc = planner_judge(p, any, strlen(any));

        if (!rc)
                rc = add_plan(&t, explained);
        plan->n_query_plan_bytes = t.rows.n_bytes;
        if (!rc && t.rows.n_bytes)
                plan->query_plan =
                    t.rows.failed ? NULL : arena_memdup(p->arena, t.rows.data, t.rows.n_bytes);
        else
                plan->query_plan = (const uint8_t *)"";
        buf_done(&t.rows);
        if (rc)
                return rc;
        return plan->query_plan ? ERR_OK : planner_no_memory(p);
}
