/* print_query.c - SELECT and its parts, INSERT, UPDATE, DELETE. Any thread. */
#include <string.h>

#include "sql/print_int.h"

static void print_table_name(struct sql_printer *pr, const struct sql_table_name *t)
{
        if (t->schema.text) {
                sql_print_name(pr, &t->schema);
                sql_emit_dot(pr);
        }
        sql_print_name(pr, &t->name);
}

static void print_order_term(struct sql_printer *pr, const struct sql_order_term *t)
{
        static const char *const sorts[] = { "", "ASC", "DESC" };
        static const char *const nulls[] = { "", "NULLS FIRST", "NULLS LAST" };

        sql_print_node(pr, t->expr);
        sql_emit(pr, sorts[t->sort]);
        sql_emit(pr, nulls[t->nulls]);
}

static void print_order_by(struct sql_printer *pr, const struct sql_order_terms *terms)
{
        if (!terms->n)
                return;
        sql_emit(pr, "ORDER BY");
        sql_emit_nodes(pr, terms);
}

static void print_limit(struct sql_printer *pr, const struct sql_expr *limit,
                        const struct sql_expr *offset, bool comma)
{
        if (!limit)
                return;
        sql_emit(pr, "LIMIT");
        if (offset && comma) {
                sql_print_node(pr, offset);
                sql_emit(pr, ",");
                sql_print_node(pr, limit);
                return;
        }
        sql_print_node(pr, limit);
        sql_emit_clause(pr, "OFFSET", offset);
}

/* ---- WITH ---- */

static void print_subselect(struct sql_printer *pr, const struct sql_select *s,
                            enum sql_keep_names keep)
{
        sql_emit_list_open(pr);
        pr->keep_names = keep;
        sql_print_node(pr, s);
        pr->keep_names = SQL_KEEP_NONE;
        sql_emit(pr, ")");
}

static void print_cte(struct sql_printer *pr, const struct sql_cte *c)
{
        static const char *const words[] = { "AS", "AS MATERIALIZED", "AS NOT MATERIALIZED" };

        sql_print_name(pr, &c->name);
        if (c->columns.n)
                sql_emit_names(pr, &c->columns);
        sql_emit(pr, words[c->materialized]);
        print_subselect(pr, c->select, c->columns.n ? SQL_KEEP_NONE : SQL_KEEP_INNER);
}

static void print_with(struct sql_printer *pr, const struct sql_with *w)
{
        sql_emit(pr, w->is_recursive ? "WITH RECURSIVE" : "WITH");
        sql_emit_nodes(pr, &w->ctes);
}

/* ---- SELECT ---- */

/* Inside a statement, COLLATE and LIKELY() leave a column its name. */
static bool is_named_by_column(const struct sql_expr *e)
{
        for (;;) {
                const struct sql_call *c = &e->call;

                if (e->kind == SQL_EXPR_COLLATE)
                        e = e->left;
                else if (e->kind == SQL_EXPR_CALL && c->args.n &&
                         (sql_name_is(&c->name, "likely") || sql_name_is(&c->name, "unlikely") ||
                          sql_name_is(&c->name, "likelihood")))
                        e = c->args.items[0];
                else
                        return e->kind == SQL_EXPR_COLUMN; /* TRUE is "column1", say */
        }
}

/* An expression without an alias names its column by its text, which may have changed; then the
 * old text becomes the alias, for someone around may refer to it. */
static void print_result(struct sql_printer *pr, const struct sql_result *r,
                         enum sql_keep_names keep)
{
        size_t start;

        if (r->type == SQL_RESULT_STAR) {
                sql_emit(pr, "*");
                return;
        }
        if (r->type == SQL_RESULT_TABLE_STAR) {
                sql_print_name(pr, &r->table);
                sql_emit_dot(pr);
                sql_emit(pr, "*");
                return;
        }
        start = pr->b->n_bytes;
        sql_print_node(pr, r->expr);
        if (r->alias.text) {
                sql_emit_as(pr, &r->alias);
                return;
        }
        if (!keep || !r->text.data || pr->b->failed ||
            (keep == SQL_KEEP_INNER && is_named_by_column(r->expr)))
                return;
        while (start < pr->b->n_bytes && pr->b->data[start] == ' ')
                start++;
        if (pr->b->n_bytes - start != r->text.n_bytes ||
            memcmp(pr->b->data + start, r->text.data, r->text.n_bytes) != 0) {
                sql_emit(pr, "AS");
                sql_emit_alias(pr, r->text);
        }
}

static void print_results(struct sql_printer *pr, const struct sql_results *list,
                          enum sql_keep_names keep)
{
        for (uint32_t i = 0; i < list->n; i++) {
                if (i)
                        sql_emit(pr, ",");
                pr->keep_names = keep;
                sql_print_node(pr, list->items[i]);
                pr->keep_names = SQL_KEEP_NONE;
        }
}

static void print_returning(struct sql_printer *pr, const struct sql_results *list,
                            enum sql_keep_names keep)
{
        if (!list->n)
                return;
        sql_emit(pr, "RETURNING");
        print_results(pr, list, keep);
}

static void print_join(struct sql_printer *pr, uint32_t join)
{
        if (join & SQL_JOIN_COMMA) {
                sql_emit(pr, ",");
                return;
        }
        if (join & SQL_JOIN_NATURAL)
                sql_emit(pr, "NATURAL");
        if ((join & SQL_JOIN_LEFT) && (join & SQL_JOIN_RIGHT))
                sql_emit(pr, "FULL");
        else if (join & SQL_JOIN_LEFT)
                sql_emit(pr, "LEFT");
        else if (join & SQL_JOIN_RIGHT)
                sql_emit(pr, "RIGHT");
        else if (join & SQL_JOIN_CROSS)
                sql_emit(pr, "CROSS");
        else if ((join & SQL_JOIN_NATURAL) && (join & SQL_JOIN_INNER))
                sql_emit(pr, "INNER");
        sql_emit(pr, "JOIN");
}

static void print_from(struct sql_printer *pr, const struct sql_sources *from)
{
        for (uint32_t i = 0; i < from->n; i++) {
                if (i)
                        print_join(pr, from->items[i]->join);
                sql_print_node(pr, from->items[i]);
        }
}

static void print_index_hint(struct sql_printer *pr, const struct sql_name *name, bool not_indexed)
{
        if (name->text) {
                sql_emit(pr, "INDEXED BY");
                sql_print_name(pr, name);
        } else if (not_indexed) {
                sql_emit(pr, "NOT INDEXED");
        }
}

static void print_source(struct sql_printer *pr, const struct sql_source *s)
{
        switch (s->type) {
        case SQL_SOURCE_TABLE:
                sql_print_node(pr, s->table);
                break;
        case SQL_SOURCE_FUNCTION:
                sql_print_node(pr, s->table);
                sql_emit(pr, "(");
                sql_emit_nodes(pr, &s->args);
                sql_emit(pr, ")");
                break;
        case SQL_SOURCE_SELECT:
                print_subselect(pr, s->select, SQL_KEEP_INNER);
                break;
        case SQL_SOURCE_JOIN:
                sql_emit_list_open(pr);
                print_from(pr, &s->sources);
                sql_emit(pr, ")");
                break;
        }
        sql_emit_as(pr, &s->alias);
        print_index_hint(pr, &s->indexed_by, s->not_indexed);
        sql_emit_clause(pr, "ON", s->on);
        if (s->using_columns.n) {
                sql_emit(pr, "USING");
                sql_emit_names(pr, &s->using_columns);
        }
}

static void print_row(struct sql_printer *pr, const struct sql_row *r)
{
        sql_emit_list_open(pr);
        sql_emit_nodes(pr, &r->values);
        sql_emit(pr, ")");
}

static void print_arm(struct sql_printer *pr, const struct sql_arm *a, enum sql_keep_names keep)
{
        static const char *const distincts[] = { "", "DISTINCT", "ALL" };

        if (a->is_values) {
                sql_emit(pr, "VALUES");
                sql_emit_nodes(pr, &a->rows);
                return;
        }
        sql_emit(pr, "SELECT");
        sql_emit(pr, distincts[a->distinct]);
        print_results(pr, &a->results, keep);
        if (a->from.n) {
                sql_emit(pr, "FROM");
                print_from(pr, &a->from);
        }
        sql_emit_clause(pr, "WHERE", a->where);
        if (a->group_by.n) {
                sql_emit(pr, "GROUP BY");
                sql_emit_nodes(pr, &a->group_by);
        }
        sql_emit_clause(pr, "HAVING", a->having);
        if (a->windows.n) {
                sql_emit(pr, "WINDOW");
                sql_emit_nodes(pr, &a->windows);
        }
}

static void print_select(struct sql_printer *pr, const struct sql_select *s,
                         enum sql_keep_names keep)
{
        static const char *const compounds[] = { "", "UNION", "UNION ALL", "EXCEPT", "INTERSECT" };

        sql_print_node(pr, s->with);
        for (uint32_t i = 0; i < s->arms.n; i++) {
                if (i)
                        sql_emit(pr, compounds[s->arms.items[i]->compound]);
                pr->keep_names = i ? SQL_KEEP_NONE : keep;
                sql_print_node(pr, s->arms.items[i]);
                pr->keep_names = SQL_KEEP_NONE;
        }
        print_order_by(pr, &s->order_by);
        print_limit(pr, s->limit, s->offset, s->limit_comma);
}

/* ---- INSERT, UPDATE, DELETE ---- */

static void print_conflict(struct sql_printer *pr, enum sql_conflict c)
{
        if (c) {
                sql_emit(pr, "OR");
                sql_emit(pr, sql_conflict_word(c));
        }
}

static void print_set(struct sql_printer *pr, const struct sql_set *s)
{
        if (s->is_row)
                sql_emit_names(pr, &s->columns);
        else
                sql_print_name(pr, &s->columns.items[0]);
        sql_emit_clause(pr, "=", s->expr);
}

static void print_upsert(struct sql_printer *pr, const struct sql_upsert *u)
{
        sql_emit(pr, "ON CONFLICT");
        if (u->target.n) {
                sql_emit_list_open(pr);
                sql_emit_nodes(pr, &u->target);
                sql_emit(pr, ")");
                sql_emit_clause(pr, "WHERE", u->target_where);
        }
        if (!u->do_update) {
                sql_emit(pr, "DO NOTHING");
                return;
        }
        sql_emit(pr, "DO UPDATE SET");
        sql_emit_nodes(pr, &u->sets);
        sql_emit_clause(pr, "WHERE", u->where);
}

/* Behind a table in FROM, ON would be read as the join's: SQLite's own advice is WHERE true. */
static bool ends_in_table(const struct sql_select *s)
{
        const struct sql_arm *arm = s->arms.items[s->arms.n - 1];
        const struct sql_source *source = arm->from.n ? arm->from.items[arm->from.n - 1] : NULL;

        return source && !source->on && !source->using_columns.n && !arm->where &&
               !arm->group_by.n && !arm->having && !arm->windows.n && !s->order_by.n && !s->limit;
}

static void print_insert(struct sql_printer *pr, const struct sql_insert *s,
                         enum sql_keep_names keep)
{
        sql_print_node(pr, s->with);
        sql_emit(pr, s->is_replace ? "REPLACE" : "INSERT");
        print_conflict(pr, s->conflict);
        sql_emit(pr, "INTO");
        sql_print_node(pr, s->table);
        sql_emit_as(pr, &s->alias);
        if (s->columns.n)
                sql_emit_names(pr, &s->columns);
        if (!s->select) {
                sql_emit(pr, "DEFAULT VALUES");
        } else {
                sql_print_node(pr, s->select);
                if (s->upserts.n && ends_in_table(s->select))
                        sql_emit(pr, "WHERE true");
        }
        for (uint32_t i = 0; i < s->upserts.n; i++)
                sql_print_node(pr, s->upserts.items[i]);
        print_returning(pr, &s->returning, keep);
}

static void print_update(struct sql_printer *pr, const struct sql_update *s,
                         enum sql_keep_names keep)
{
        sql_print_node(pr, s->with);
        sql_emit(pr, "UPDATE");
        print_conflict(pr, s->conflict);
        sql_print_node(pr, s->table);
        sql_emit_as(pr, &s->alias);
        print_index_hint(pr, &s->indexed_by, s->not_indexed);
        sql_emit(pr, "SET");
        sql_emit_nodes(pr, &s->sets);
        if (s->from.n) {
                sql_emit(pr, "FROM");
                print_from(pr, &s->from);
        }
        sql_emit_clause(pr, "WHERE", s->where);
        print_returning(pr, &s->returning, keep);
        print_order_by(pr, &s->order_by);
        print_limit(pr, s->limit, s->offset, s->limit_comma);
}

static void print_delete(struct sql_printer *pr, const struct sql_delete *s,
                         enum sql_keep_names keep)
{
        sql_print_node(pr, s->with);
        sql_emit(pr, "DELETE FROM");
        sql_print_node(pr, s->table);
        sql_emit_as(pr, &s->alias);
        print_index_hint(pr, &s->indexed_by, s->not_indexed);
        sql_emit_clause(pr, "WHERE", s->where);
        print_returning(pr, &s->returning, keep);
        print_order_by(pr, &s->order_by);
        print_limit(pr, s->limit, s->offset, s->limit_comma);
}

void sql_print_query_(struct sql_printer *pr, const struct sql_node *n)
{
        const void *node = n;
        enum sql_keep_names keep = pr->keep_names;

        pr->keep_names = SQL_KEEP_NONE;
        switch (n->kind) {
        case SQL_SELECT:
                print_select(pr, node, keep);
                break;
        case SQL_INSERT:
                print_insert(pr, node, keep);
                break;
        case SQL_UPDATE:
                print_update(pr, node, keep);
                break;
        case SQL_DELETE:
                print_delete(pr, node, keep);
                break;
        case SQL_WITH:
                print_with(pr, node);
                break;
        case SQL_CTE:
                print_cte(pr, node);
                break;
        case SQL_ARM:
                print_arm(pr, node, keep);
                break;
        case SQL_RESULT:
                print_result(pr, node, keep);
                break;
        case SQL_SOURCE:
                print_source(pr, node);
                break;
        case SQL_ORDER_TERM:
                print_order_term(pr, node);
                break;
        case SQL_ROW:
                print_row(pr, node);
                break;
        case SQL_SET:
                print_set(pr, node);
                break;
        case SQL_UPSERT:
                print_upsert(pr, node);
                break;
        default:
                print_table_name(pr, node);
                break;
        }
}
