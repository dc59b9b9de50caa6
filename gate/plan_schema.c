/* plan_schema.c - queries of the schema. One that reads nothing else runs as it is in a database of
 * the gate's that has the schema and no rows. In one that reads tables too, each source becomes the
 * rows it has, written out: SELECT … FROM (VALUES …). Loop thread. */
#include "gate/plan_schema.h"

#include <sqlite3.h>
#include <strings.h>

#include "common/sqlite_err.h"
#include "gate/plan_pragma.h"
#include "sql/parse.h"

enum { MAX_ROWS_BYTES = 16 << 20 };

struct schema_walk {
        struct planner *p;
        unsigned n_sources; /* of the schema */
        bool has_tables;    /* of the keyspace */
        bool has_function_list;
        bool names_rowid, names_hidden;
        bool has_values;
        bool replace;        /* second walk: every source, … */
        bool replace_values; /* … or only pragmas that are no matter of the schema */
        enum err_code rc;
};

static void finalizep(sqlite3_stmt **stmt)
{
        sqlite3_finalize(*stmt);
}

static enum sql_walk fail(struct schema_walk *w, enum err_code rc)
{
        w->rc = rc;
        return SQL_WALK_STOP;
}

static enum err_code refuse(struct planner *p, const char *what)
{
        return err_set(p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                       "the schema together with tables: %s", what);
}

static bool is_schema_table(const char *name)
{
        static const char *const names[] = { "sqlite_schema", "sqlite_master", "sqlite_temp_schema",
                                             "sqlite_temp_master" };

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (strcasecmp(names[i], name) == 0)
                        return true;
        return false;
}

static const char *pragma_of(const char *name)
{
        return strncasecmp(name, "pragma_", 7) == 0 ? name + 7 : NULL;
}

/* ---- rows in a source's place */

static bool is_literal(const struct sql_expr *e)
{
        return e->kind == SQL_EXPR_STRING || e->kind == SQL_EXPR_INTEGER ||
               e->kind == SQL_EXPR_NULL;
}

static void add_value(struct buf *b, sqlite3_stmt *stmt, int i)
{
        const char *text = (const char *)sqlite3_column_text(stmt, i);

        if (sqlite3_column_type(stmt, i) == SQLITE_TEXT)
                sql_quote_string(b, text, (size_t)sqlite3_column_bytes(stmt, i));
        else
                buf_add_str(b, text ? text : "NULL"); /* a number */
}

/* "SELECT CAST(column1 AS TEXT) AS name, … FROM (VALUES (…), …)": the columns of the schema's
 * tables have a type, those of pragmas have none. */
static void add_columns(struct buf *b, sqlite3_stmt *stmt)
{
        buf_add_str(b, "SELECT ");
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
                const char *type = sqlite3_column_decltype(stmt, i);
                const char *name = sqlite3_column_name(stmt, i);

                if (type && *type)
                        buf_printf(b, "%sCAST(column%d AS %s) AS ", i ? ", " : "", i + 1, type);
                else
                        buf_printf(b, "%scolumn%d AS ", i ? ", " : "", i + 1);
                sql_quote_name(b, name);
        }
        buf_add_str(b, " FROM (VALUES ");
}

/* The rows of a SELECT on the shadow, as a SELECT. */
static enum err_code write_out(struct planner *p, const char *sql, struct buf *b)
{
        struct sqlite3 *db = catalog_shadow(p->catalog);
        cleanup_(finalizep) sqlite3_stmt *stmt = NULL;
        size_t n_rows = 0;
        int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

        if (rc == SQLITE_OK)
                add_columns(b, stmt);
        while (rc == SQLITE_OK && !b->failed && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
                for (int i = 0; i < sqlite3_column_count(stmt); i++) {
                        buf_add_str(b, i ? "," : n_rows ? "),(" : "(");
                        add_value(b, stmt, i);
                }
                n_rows++;
                rc = SQLITE_OK;
        }
        if (rc != SQLITE_DONE && !b->failed)
                return sqlite_err_set(p->reterr, db, sqlite3_extended_errcode(db));
        for (int i = 0; !n_rows && i < sqlite3_column_count(stmt); i++)
                buf_add_str(b, i ? ",NULL" : "(NULL");
        buf_add_str(b, n_rows ? "))" : ")) WHERE 0");
        return b->failed ? planner_no_memory(p) : ERR_OK;
}

/* What the source gives on the shadow; a pragma's value that is no matter of the schema is ours. */
static enum err_code source_sql(struct planner *p, const struct sql_source *s, struct buf *b)
{
        struct sql_source bare = *s;
        const char *pragma = pragma_of(s->table->name.text);
        const char *value = pragma ? pragma_value_sql(pragma) : NULL;

        if (value) {
                buf_add_str(b, value);
                return ERR_OK;
        }
        bare.alias = (struct sql_name){ 0 };
        bare.on = NULL;
        bare.using_columns = (struct sql_names){ 0 };
        bare.join = 0;
        buf_add_str(b, "SELECT * FROM ");
        return planner_print_to(p, &bare, b);
}

static enum err_code replace_source(struct planner *p, struct sql_source *s)
{
        struct buf from = BUF_INIT(0), rows = BUF_INIT(MAX_ROWS_BYTES);
        struct sql_stmt *st;
        enum err_code rc = source_sql(p, s, &from);

        if (!rc)
                rc = from.failed ? planner_no_memory(p) : ERR_OK;
        if (!rc) {
                buf_add(&from, "", 1);
                rc = write_out(p, (const char *)from.data, &rows);
        }
        if (!rc)
                rc = sql_parse(p->scratch, (const char *)rows.data, rows.n_bytes, &st, NULL,
                               p->reterr);
        buf_done(&from);
        buf_done(&rows);
        if (rc)
                return rc;
        if (!s->alias.text)
                s->alias = s->table->name;
        s->type = SQL_SOURCE_SELECT;
        s->select = st->select;
        s->table = NULL;
        s->args = (struct sql_exprs){ 0 };
        s->not_indexed = false;
        return ERR_OK;
}

/* ---- finding them */

/* Tables of SQLite's own that tell of more than the schema. */
static enum err_code check_own(struct planner *p, const char *name)
{
        static const char *const names[] = { "dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode",
                                             "tables_used" };

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (strcasecmp(names[i], name) == 0)
                        return err_set(p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                                       "reading %s is refused: it tells of one file or connection",
                                       name);
        if (strcasecmp(name, "sqlite_sequence") == 0)
                return err_set(p->reterr, ERR_UNIMPLEMENTED, "SCHEMA_TABLES",
                               "reading %s is not there yet: what was given out is not kept as "
                               "rows",
                               name);
        return ERR_OK;
}

static enum sql_walk visit_source(struct schema_walk *w, struct sql_source *s)
{
        const char *name = s->table->name.text;
        const char *pragma = pragma_of(name);

        if (catalog_find_table(w->p->catalog, name)) {
                w->has_tables = true;
                return SQL_WALK_ON;
        }
        if (!pragma && !is_schema_table(name)) {
                w->rc = check_own(w->p, name);
                return w->rc ? SQL_WALK_STOP : SQL_WALK_ON;
        }
        w->n_sources++;
        if (pragma)
                w->rc = pragma_check_function(w->p, pragma);
        if (w->rc)
                return SQL_WALK_STOP;
        w->has_function_list |= pragma && strcasecmp(pragma, "function_list") == 0;
        w->has_values |= pragma && pragma_value_sql(pragma);
        if (w->replace_values ? !pragma || !pragma_value_sql(pragma) : !w->replace)
                return SQL_WALK_ON;
        for (uint32_t i = 0; i < s->args.n; i++)
                if (!is_literal(s->args.items[i]))
                        return fail(w, refuse(w->p, "a pragma function with an argument that is "
                                                    "no literal is not there yet"));
        w->rc = replace_source(w->p, s);
        return w->rc ? SQL_WALK_STOP : SQL_WALK_ON;
}

static enum sql_walk visit(struct sql_node *node, void *ctx)
{
        struct schema_walk *w = ctx;
        struct sql_source *s = (struct sql_source *)node;
        const struct sql_expr *e = (const struct sql_expr *)node;

        if (node->kind == SQL_SOURCE &&
            (s->type == SQL_SOURCE_TABLE || s->type == SQL_SOURCE_FUNCTION))
                return visit_source(w, s);
        if (node->kind == SQL_EXPR_IN_TABLE &&
            catalog_find_table(w->p->catalog, e->in_table->name.text))
                w->has_tables = true;
        if (node->kind == SQL_EXPR_IN_TABLE && is_schema_table(e->in_table->name.text))
                w->n_sources++;
        if (node->kind == SQL_EXPR_IN_TABLE && pragma_of(e->in_table->name.text))
                return fail(w, refuse(w->p, "IN with a pragma's name is not there yet; IN (SELECT "
                                            "…) is"));
        if (node->kind == SQL_EXPR_COLUMN) {
                w->names_rowid |= sql_name_is_rowid(&e->column);
                w->names_hidden |=
                    sql_name_is(&e->column, "arg") || sql_name_is(&e->column, "schema");
        }
        return SQL_WALK_ON;
}

/* A name of ours that a CTE has too would be taken for what it is not. */
static enum sql_walk check_cte(struct sql_node *node, void *ctx)
{
        struct schema_walk *w = ctx;
        const struct sql_cte *cte = (const struct sql_cte *)node;

        if (node->kind == SQL_CTE && (is_schema_table(cte->name.text) || pragma_of(cte->name.text)))
                return fail(w, refuse(w->p, "a common table expression with the name of a table of "
                                            "the schema is not there yet"));
        return SQL_WALK_ON;
}

static enum err_code walk(struct schema_walk *w, sql_walk_fn *pre, sql_walk_fn *post)
{
        enum sql_walk end = sql_walk(w->p->stmt, pre, post, w);

        if (w->rc)
                return w->rc;
        return end == SQL_WALK_ON ? ERR_OK
                                  : err_set(w->p->reterr, ERR_EXHAUSTED, "STATEMENT_TOO_COMPLEX",
                                            "the statement is nested too deeply");
}

/* ---- the two ways */

void plan_on_schema(struct planner *p, const char *finish_sql)
{
        p->plan->kind = PLAN_LOCAL;
        p->plan->read_only = true;
        p->plan->on_schema = true;
        p->plan->finish_sql = finish_sql;
}

static enum err_code replace_all(struct schema_walk *w)
{
        enum err_code rc;

        if (w->names_rowid)
                return refuse(w->p, "a rowid in such a statement is not there yet");
        if (w->names_hidden)
                return refuse(w->p, "a column called arg or schema in such a statement is not "
                                    "there yet");
        w->replace = true;
        rc = walk(w, check_cte, NULL);
        /* Behind the children: what a source becomes is not walked. */
        return rc ? rc : walk(w, NULL, visit);
}

enum err_code plan_schema(struct planner *p, bool *ret_planned)
{
        struct schema_walk w = { .p = p };
        const char *sql;
        enum err_code rc;

        *ret_planned = false;
        if (!p->stmt->names_own && !p->has_views)
                return ERR_OK;
        rc = walk(&w, visit, NULL);
        if (rc || !w.n_sources)
                return rc;
        if (w.has_tables || p->stmt->type != SQL_SELECT)
                return replace_all(&w);
        w.replace_values = true;
        if (w.has_values)
                rc = walk(&w, NULL, visit);
        if (!rc)
                rc = planner_print(p, p->stmt, &sql);
        if (rc)
                return rc;
        plan_on_schema(p, sql);
        p->plan->plain_functions = w.has_function_list;
        *ret_planned = true;
        return ERR_OK;
}
