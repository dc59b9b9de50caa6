/* plan.c - one statement to one plan: parse, let SQLite judge it on the shadow, choose a strategy.
 * Loop thread. */
#include "gate/plan.h"

#include <sqlite3.h>
#include <string.h>

#include "common/sqlite_err.h"
#include "common/wire.h"
#include "gate/plan_names.h"
#include "gate/plan_pragma.h"
#include "gate/plan_schema.h"
#include "gate/plan_views.h"
#include "gate/scratch.h"
#include "sql/parse.h"
#include "sql/plain_variables.h"

enum {
        MAX_PLAN_BYTES = 64 << 20,
        /* Expressions that are computed at the gate while planning have no clock of their own. */
        NOW_WHILE_PLANNING = 0,
        /* With more, their numbers are left out where they can be. */
        FEW_VARIABLES = 100,
};

const char *plan_kind_name(enum plan_kind kind)
{
        static const char *const names[] = {
                [PLAN_LOCAL] = "local",
                [PLAN_SINGLE_SHARD] = "single_shard",
                [PLAN_MULTI_SHARD] = "multi_shard",
                [PLAN_SCATTER] = "scatter",
                [PLAN_SCATTER_AGGREGATE] = "scatter_aggregate",
                [PLAN_REFERENCE] = "reference",
                [PLAN_UNSHARDED] = "unsharded",
                [PLAN_GATHER] = "gather",
                [PLAN_DDL] = "ddl",
                [PLAN_EXPLAIN] = "explain",
                [PLAN_ANALYZE] = "analyze",
                [PLAN_TRANSACTION] = "transaction",
        };

        return names[kind];
}

/* ---- life */

static struct plan *plan_new(struct catalog *c)
{
        struct arena *arena = arena_new(MAX_PLAN_BYTES);
        struct plan *p = arena_calloc(arena, 1, sizeof *p);

        if (!p) {
                arena_free(arena);
                return NULL;
        }
        p->refs = 1;
        p->arena = arena;
        p->catalog = catalog_ref(c);
        p->keyspace_id = catalog_id(c);
        p->schema_version = catalog_schema_version(c);
        return p;
}

struct plan *plan_ref(struct plan *p)
{
        p->refs++;
        return p;
}

struct plan *plan_unref(struct plan *p)
{
        if (!p || --p->refs > 0)
                return NULL;
        plan_unref(p->explained);
        catalog_unref(p->catalog);
        arena_free(p->arena);
        return NULL;
}

enum err_code planner_no_memory(struct planner *p)
{
        return err_set(p->reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                       "the statement is too large to be planned");
}

/* ---- slots */

enum err_code planner_add_slot(struct planner *p, const struct plan_slot *slot, int *ret_index)
{
        struct plan *plan = p->plan;

        if (!arena_room(p->arena, plan->slots, plan->n_slots, p->n_slots_allocated))
                return planner_no_memory(p);
        if (slot->kind == SLOT_EXPRESSION) {
                plan->n_expressions++;
                plan->costly_expressions |= slot->costly;
        }
        plan->slots[plan->n_slots] = *slot;
        *ret_index = (int)(plan->n_params + plan->n_literals + plan->n_slots++);
        return ERR_OK;
}

static bool is_literal(const struct sql_expr *e)
{
        if (e->kind == SQL_EXPR_NEGATE || e->kind == SQL_EXPR_PLUS)
                return e->left->kind == SQL_EXPR_INTEGER || e->left->kind == SQL_EXPR_FLOAT;
        return e->kind >= SQL_EXPR_NULL && e->kind <= SQL_EXPR_BLOB;
}

/* The same value is computed once. */
static bool find_slot(const struct plan *plan, const struct plan_slot *slot, int *ret_index)
{
        for (size_t i = 0; i < plan->n_slots; i++) {
                const struct plan_slot *have = &plan->slots[i];

                if (have->rowid || have->kind != slot->kind)
                        continue;
                if (slot->kind == SLOT_CONSTANT ? value_same(&have->constant, &slot->constant)
                                                : strcmp(have->expr, slot->expr) == 0) {
                        *ret_index = (int)(plan->n_params + plan->n_literals + i);
                        return true;
                }
        }
        return false;
}

enum err_code planner_value_slot(struct planner *p, const struct sql_expr *e, int *ret_index)
{
        struct plan_slot slot = { .kind = SLOT_EXPRESSION, .costly = !node_is_quick(e) };
        struct buf b = BUF_INIT(MAX_PLAN_BYTES);
        enum err_code rc;

        if (e->kind == SQL_EXPR_VARIABLE) {
                *ret_index = (int)e->number - 1;
                return ERR_OK;
        }
        buf_add_str(&b, "SELECT ");
        rc = planner_print_to(p, e, &b);
        if (!rc) {
                /* With their numbers: by these the values are told that need to be bound. */
                slot.expr =
                    b.failed ? NULL : arena_strndup(p->arena, (const char *)b.data, b.n_bytes);
                rc = slot.expr ? ERR_OK : planner_no_memory(p);
        }
        buf_done(&b);
        if (!rc && is_literal(e)) {
                slot.kind = SLOT_CONSTANT;
                rc = scratch_eval(slot.expr, NULL, 0, NOW_WHILE_PLANNING, p->arena, &slot.constant,
                                  p->reterr);
        }
        if (rc || (!(node_traits(e) & TRAIT_VOLATILE) && find_slot(p->plan, &slot, ret_index)))
                return rc;
        return planner_add_slot(p, &slot, ret_index);
}

/* ---- text */

/* Functions that speak of the connection. */
static bool is_connection_call(const struct sql_expr *e, enum plan_connection *ret_which)
{
        static const char *const names[] = {
                [CONNECTION_CHANGES] = "changes",
                [CONNECTION_TOTAL_CHANGES] = "total_changes",
                [CONNECTION_LAST_ROWID] = "last_insert_rowid",
        };

        if (e->kind != SQL_EXPR_CALL || e->call.args.n)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                *ret_which = (enum plan_connection)i;
                if (sql_name_is(&e->call.name, names[i]))
                        return true;
        }
        return false;
}

/* The element that has what the function tells. */
static bool connection_slot(struct planner *p, enum plan_connection which, int *ret_index)
{
        const struct plan_slot slot = { .kind = SLOT_CONNECTION, .from = (int)which };
        const struct plan *plan = p->plan;

        for (size_t i = 0; i < plan->n_slots; i++) {
                *ret_index = (int)(plan->n_params + plan->n_literals + i);
                if (plan->slots[i].kind == SLOT_CONNECTION && plan->slots[i].from == (int)which)
                        return true;
        }
        return planner_add_slot(p, &slot, ret_index) == ERR_OK;
}

static bool print_for_shards(struct sql_printer *pr, const struct sql_node *node, void *ctx)
{
        const struct sql_expr *e = (const struct sql_expr *)node;
        struct planner *p = ctx;
        enum plan_connection which;
        int slot;
        const char *instead = p->is_finishing ? names_instead(node) : NULL;

        if (instead) {
                sql_print_text(pr, instead);
                return true;
        }
        if (node->kind == SQL_EXPR_VARIABLE) {
                sql_print_variable(pr, e->number);
                return true;
        }
        if (is_connection_call(e, &which) && connection_slot(p, which, &slot)) {
                sql_print_variable(pr, (uint32_t)slot + 1);
                return true;
        }
        return false;
}

enum err_code planner_print_to(struct planner *p, const void *node, struct buf *b)
{
        struct sql_print_options o = { .hook = print_for_shards, .ctx = p, .plain_sqlite = true };

        return sql_print(b, node, &o, p->reterr);
}

enum err_code planner_print_where(struct planner *p, const struct sql_exprs *conjuncts,
                                  struct buf *b)
{
        enum err_code rc = ERR_OK;

        for (uint32_t i = 0; !rc && i < conjuncts->n; i++) {
                buf_add_str(b, i ? " AND (" : " WHERE (");
                rc = planner_print_to(p, conjuncts->items[i], b);
                buf_add_str(b, ")");
        }
        return rc;
}

static bool has_many_variables(const struct plan *plan)
{
        return plan->n_params + plan->n_literals + plan->n_slots > FEW_VARIABLES;
}

enum err_code planner_keep(struct planner *p, struct buf *b, const char **ret_sql)
{
        char *s = b->failed ? NULL : arena_strndup(p->arena, (const char *)b->data, b->n_bytes);

        if (!s)
                return planner_no_memory(p);
        if (has_many_variables(p->plan))
                sql_plain_variables(s);
        *ret_sql = s;
        return ERR_OK;
}

enum err_code planner_print(struct planner *p, const void *node, const char **ret_sql)
{
        struct buf b = BUF_INIT(MAX_PLAN_BYTES);
        enum err_code rc = planner_print_to(p, node, &b);

        if (!rc)
                rc = planner_keep(p, &b, ret_sql);
        buf_done(&b);
        return rc;
}

/* ---- parts */

enum err_code planner_add_part(struct planner *p, struct plan_part **ret_part)
{
        struct plan_part *parts = arena_calloc(p->arena, p->plan->n_parts + 1, sizeof *parts);

        if (!parts)
                return planner_no_memory(p);
        if (p->plan->n_parts)
                memcpy(parts, p->plan->parts, p->plan->n_parts * sizeof *parts);
        p->plan->parts = parts;
        *ret_part = &parts[p->plan->n_parts++];
        return ERR_OK;
}

enum err_code planner_pass_through(struct planner *p, enum plan_kind kind,
                                   const struct route *route)
{
        struct plan_part *part;
        enum err_code rc = planner_add_part(p, &part);

        if (rc)
                return rc;
        p->plan->kind = kind;
        part->route = *route;
        part->n_columns = p->plan->n_columns;
        return planner_print(p, p->stmt, &part->sql);
}

/* ---- what SQLite says of the statement */

static enum err_code encode_columns(struct planner *p, sqlite3_stmt *stmt)
{
        struct plan *plan = p->plan;
        struct buf b = BUF_INIT(MAX_PLAN_BYTES);

        plan->n_columns = (size_t)sqlite3_column_count(stmt);
        if (plan->n_columns)
                value_add_columns(&b, stmt);
        plan->n_columns_bytes = b.n_bytes;
        plan->columns = b.failed ? NULL : arena_memdup(p->arena, b.data, b.n_bytes);
        buf_done(&b);
        return plan->columns ? ERR_OK : planner_no_memory(p);
}

static enum err_code name_params(struct planner *p, size_t n_literals)
{
        struct plan *plan = p->plan;
        size_t n = p->stmt->n_variables;

        plan->n_literals = n_literals;
        plan->n_params = n - n_literals;
        plan->param_names = arena_alloc(p->arena, (n ? n : 1) * sizeof *plan->param_names);
        if (!plan->param_names)
                return planner_no_memory(p);
        for (size_t i = 0; i < n; i++)
                plan->param_names[i] = "";
        for (size_t i = 0; i < p->stmt->variables.n; i++) {
                const struct sql_variable *v = &p->stmt->variables.items[i];

                /* ?1 may be another name of :a. */
                if (!v->name.data || (*plan->param_names[v->number - 1] && v->name.data[0] == '?'))
                        continue;
                plan->param_names[v->number - 1] =
                    arena_strndup(p->arena, v->name.data, v->name.n_bytes);
                if (!plan->param_names[v->number - 1])
                        return planner_no_memory(p);
        }
        return ERR_OK;
}

/* Does the name of a column come from a text with variables in it? */
static bool names_show_variables(sqlite3_stmt *stmt)
{
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
                if (strchr(sqlite3_column_name(stmt, i), '?'))
                        return true;
        return false;
}

/* NULL: it is to be prepared as it is. */
static sqlite3_stmt *prepare_plain(struct planner *p, const char *sql, size_t n_bytes)
{
        char *plain = arena_strndup(p->scratch, sql, n_bytes);
        sqlite3_stmt *stmt = NULL;

        if (!plain)
                return NULL;
        sql_plain_variables(plain);
        (void)sqlite3_prepare_v2(catalog_shadow(p->catalog), plain, (int)n_bytes, &stmt, NULL);
        if (stmt && names_show_variables(stmt)) {
                sqlite3_finalize(stmt);
                stmt = NULL;
        }
        return stmt;
}

enum err_code planner_judge(struct planner *p, const char *sql, size_t n_bytes)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);
        sqlite3_stmt *stmt = NULL;
        enum err_code rc;

        if (has_many_variables(p->plan))
                stmt = prepare_plain(p, sql, n_bytes);
        if (!stmt && sqlite3_prepare_v2(db, sql, (int)n_bytes, &stmt, NULL) != SQLITE_OK)
                return sqlite_err_set(p->reterr, db, sqlite3_extended_errcode(db));
        p->plan->read_only = sqlite3_stmt_readonly(stmt);
        rc = encode_columns(p, stmt);
        sqlite3_finalize(stmt);
        return rc;
}

enum err_code plan_nothing(struct planner *p)
{
        p->plan->kind = PLAN_LOCAL;
        p->plan->read_only = true;
        p->plan->columns = (const uint8_t *)"";
        p->plan->finish_sql = "";
        return ERR_OK;
}

static enum err_code refuse(struct planner *p)
{
        static const struct {
                enum sql_kind type;
                const char *reason;
                const char *msg;
        } refusals[] = {
                { SQL_ATTACH, "ATTACH", "ATTACH is refused: a keyspace is one database" },
                { SQL_DETACH, "ATTACH", "DETACH is refused: a keyspace is one database" },
                { SQL_VACUUM, "VACUUM",
                  "VACUUM is refused: it rebuilds, or writes, a file, and the files of shards are "
                  "their tablets' business" },
                { SQL_REINDEX, "REINDEX",
                  "REINDEX is refused: the collations never change, and a shard that is damaged is "
                  "restored" },
                { SQL_CREATE_TRIGGER, "TRIGGERS", "triggers are not there yet" },
                { SQL_CREATE_VIRTUAL_TABLE, "VIRTUAL_TABLES", "virtual tables are not there yet" },
                { SQL_ALTER_TABLE, "ALTER_TABLE", "ALTER TABLE is not there yet" },
        };

        for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
                if (refusals[i].type == p->stmt->type) {
                        err_set(p->reterr, ERR_UNIMPLEMENTED, refusals[i].reason, "%s",
                                refusals[i].msg);
                        if (p->reterr)
                                p->reterr->offset = (int)p->stmt->body->span.start;
                        return ERR_UNIMPLEMENTED;
                }
        return err_set(p->reterr, ERR_UNIMPLEMENTED, "STATEMENT",
                       "this kind of statement is not there yet");
}

/* Views first: how many there are is bounded before SQLite goes through all of them. */
static enum err_code expand_and_judge(struct planner *p, const char *sql, size_t n_bytes)
{
        enum err_code rc = expand_views(p, &p->has_views);

        if (!rc)
                rc = planner_judge(p, sql, n_bytes);
        return !rc && p->has_views ? settle_views(p) : rc;
}

static enum err_code choose(struct planner *p, const char *sql, size_t n_bytes)
{
        bool planned;
        enum err_code rc;

        if (p->stmt->type == SQL_EMPTY)
                return plan_nothing(p);
        if (p->stmt->explain != SQL_EXPLAIN_NONE)
                return plan_explain(p);
        switch (p->stmt->type) {
        case SQL_SELECT:
        case SQL_INSERT:
        case SQL_UPDATE:
        case SQL_DELETE:
                rc = expand_and_judge(p, sql, n_bytes);
                if (!rc)
                        rc = plan_schema(p, &planned);
                if (rc || planned)
                        return rc;
                break;
        case SQL_ANALYZE:
                rc = planner_judge(p, sql, n_bytes);
                return rc ? rc : plan_analyze(p);
        case SQL_PRAGMA:
                return plan_pragma(p);
        case SQL_TRANSACTION:
                return plan_control(p);
        case SQL_CREATE_TABLE:
        case SQL_CREATE_INDEX:
        case SQL_CREATE_VIEW:
        case SQL_DROP:
                return plan_ddl(p);
        default:
                return refuse(p);
        }
        switch (p->stmt->type) {
        case SQL_SELECT:
                return plan_select(p);
        case SQL_INSERT:
                return plan_insert(p);
        case SQL_UPDATE:
                return plan_update(p);
        default:
                return plan_delete(p);
        }
}

/* One statement is one statement: what follows it may only be blank. */
static enum err_code check_tail(struct planner *p, const char *sql, size_t n_bytes, size_t tail)
{
        struct sql_stmt *next;
        enum err_code rc;

        if (tail >= n_bytes)
                return ERR_OK;
        rc = sql_parse(p->scratch, sql + tail, n_bytes - tail, &next, NULL, NULL);
        if (!rc && next->type == SQL_EMPTY)
                return ERR_OK;
        err_set(p->reterr, ERR_INVALID, "SEVERAL_STATEMENTS",
                "one statement at a time: there is another behind the first");
        if (p->reterr)
                p->reterr->offset = (int)tail;
        return ERR_INVALID;
}

static enum err_code parse_and_choose(struct planner *p, const char *sql, size_t n_bytes,
                                      size_t n_literals)
{
        size_t tail = 0;
        enum err_code rc = sql_parse(p->scratch, sql, n_bytes, &p->stmt, &tail, p->reterr);

        if (!rc)
                rc = check_tail(p, sql, n_bytes, tail);
        if (!rc)
                rc = name_params(p, n_literals);
        return rc ? rc : choose(p, sql, tail);
}

static enum err_code build(struct catalog *c, const char *sql, size_t n_bytes, size_t n_literals,
                           bool is_lazy, struct plan **ret_plan, struct err *reterr)
{
        cleanup_(plan_unrefp) struct plan *plan = plan_new(c);
        struct planner p = { .catalog = c, .plan = plan, .reterr = reterr, .is_lazy = is_lazy };
        enum err_code rc;

        if (!plan)
                return planner_no_memory(&p);
        p.arena = plan->arena;
        p.scratch = catalog_take_scratch(c);
        rc = parse_and_choose(&p, sql, n_bytes, n_literals);
        catalog_give_scratch(c, p.scratch);
        if (rc)
                return rc;
        *ret_plan = TAKE(plan);
        return ERR_OK;
}

enum err_code plan_build(struct catalog *c, const char *sql, size_t n_bytes, size_t n_literals,
                         struct plan **ret_plan, struct err *reterr)
{
        return build(c, sql, n_bytes, n_literals, false, ret_plan, reterr);
}

enum err_code plan_build_lazily(struct catalog *c, const char *sql, size_t n_bytes,
                                struct plan **ret_plan, struct err *reterr)
{
        return build(c, sql, n_bytes, 0, true, ret_plan, reterr);
}
