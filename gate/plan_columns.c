/* plan_columns.c - the columns of sources, and how SQLite compares what expressions over them give:
 * https://sqlite.org/datatype3.html sections 3.2, 3.3 and 7.1. Loop thread. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gate/catalog_int.h"
#include "gate/plan_names.h"

/* ---- columns of sources */

int source_n_columns(const struct source *s)
{
        int n = 0;

        if (s->table)
                return (int)s->table->n_columns;
        if (s->query)
                return (int)s->query->n_columns;
        while (s->function_columns[n])
                n++;
        return n;
}

const char *source_column_name(const struct source *s, int column)
{
        if (s->table)
                return column == COLUMN_ROWID ? s->table->rowid_name
                                              : s->table->columns[column].name;
        return s->query ? s->query->columns[column].name : s->function_columns[column];
}

bool source_column_is_hidden(const struct source *s, int column)
{
        return s->table && s->table->columns[column].hidden;
}

int source_find_column(const struct source *s, const struct sql_name *name)
{
        int n = source_n_columns(s);

        for (int i = 0; i < n; i++)
                if (strcasecmp(source_column_name(s, i), name->text) == 0)
                        return s->table && i == s->table->rowid_column ? COLUMN_ROWID : i;
        return s->table && !s->table->without_rowid && sql_name_is_rowid(name) ? COLUMN_ROWID
                                                                               : COLUMN_NONE;
}

int source_match_column(const struct source *s, const struct sql_expr *e)
{
        if (e->kind != SQL_EXPR_COLUMN || (e->schema.text && !sql_name_is(&e->schema, "main")) ||
            (e->table.text && strcasecmp(e->table.text, s->name) != 0))
                return COLUMN_NONE;
        return source_find_column(s, &e->column);
}

struct compare_type source_column_type(const struct source *s, int column)
{
        const struct catalog_column *c;

        if (s->query) {
                struct compare_type type = s->query->columns[column].type;

                type.is_collated = false;
                return type;
        }
        if (!s->table)
                return (struct compare_type){ .collation = "BINARY",
                                              .is_unsure = true,
                                              .may_be_json = true };
        if (column == COLUMN_ROWID)
                return (struct compare_type){ .affinity = AFFINITY_INTEGER,
                                              .is_typed = true,
                                              .is_canonical = true,
                                              .not_null = true,
                                              .collation = "BINARY" };
        c = &s->table->columns[column];
        return (struct compare_type){
                .affinity = c->affinity,
                .is_typed = true,
                /* A column of another affinity turns 2.0 into 2, or 2 into 2.0. */
                .is_canonical =
                    c->affinity != AFFINITY_BLOB && strcasecmp(c->collation, "BINARY") == 0,
                .not_null = c->not_null,
                .may_be_json = c->computed,
                .collation = c->collation,
        };
}

bool source_column_is_merged(const struct source *s, int column)
{
        struct sql_name name = sql_name_of(source_column_name(s, column));

        for (uint32_t i = 0; i < s->node->using_columns.n; i++)
                if (sql_name_same(&s->node->using_columns.items[i], &name))
                        return true;
        if (!(s->node->join & SQL_JOIN_NATURAL))
                return false;
        for (uint32_t i = 0; i < s->index; i++) {
                const struct source *left = &s->arm->sources[i];
                int n = source_n_columns(left);

                for (int k = 0; k < n; k++)
                        if (!source_column_is_hidden(left, k) &&
                            strcasecmp(source_column_name(left, k), name.text) == 0)
                                return true;
        }
        return false;
}

struct sql_expr *names_make_column(struct planner *p, struct source *s, int column)
{
        struct sql_expr *e = sql_new(p->scratch, SQL_EXPR_COLUMN);
        struct bound_name *bound = arena_calloc(p->scratch, 1, sizeof *bound);

        if (!e || !bound)
                return NULL;
        *bound = (struct bound_name){ .source = s, .column = column };
        e->bound = bound;
        e->column = sql_name_of(source_column_name(s, column));
        if (s->arm && s->arm->n_sources > 1)
                e->table = sql_name_of(s->name);
        return e;
}

/* ---- binding to one table */

static enum sql_walk bind_to_table(struct sql_node *node, void *ctx)
{
        void **pair = ctx;
        struct planner *p = pair[0];
        struct source *s = pair[1];
        struct sql_expr *e = (struct sql_expr *)node;
        int column;

        if (node->kind != SQL_EXPR_COLUMN)
                return node->kind == SQL_SELECT ? SQL_WALK_SKIP : SQL_WALK_ON;
        e->bound = NULL;
        column = source_match_column(s, e);
        if (column != COLUMN_NONE) {
                struct bound_name *bound = arena_calloc(p->scratch, 1, sizeof *bound);

                if (bound)
                        *bound = (struct bound_name){ .source = s, .column = column };
                e->bound = bound;
        }
        return SQL_WALK_ON;
}

void names_bind_table(struct planner *p, struct source *s, struct sql_expr *e)
{
        void *pair[] = { p, s };

        /* What is not bound says nothing of the table, and that is all that may follow. */
        if (e && sql_walk(e, bind_to_table, NULL, pair) != SQL_WALK_ON)
                e->bound = NULL;
}

/* ---- types of expressions */

static bool is_hint(const struct sql_expr *e)
{
        return e->kind == SQL_EXPR_CALL && e->call.args.n &&
               (sql_name_is(&e->call.name, "likely") || sql_name_is(&e->call.name, "unlikely") ||
                sql_name_is(&e->call.name, "likelihood"));
}

static enum sql_walk find_collate(struct sql_node *node, void *ctx)
{
        (void)ctx;
        if (node->kind == SQL_SELECT)
                return SQL_WALK_SKIP;
        return node->kind == SQL_EXPR_COLLATE ? SQL_WALK_STOP : SQL_WALK_ON;
}

/* COLLATE somewhere below counts for what is around it. */
static bool has_collate(const struct sql_expr *e)
{
        return e && e->kind > SQL_EXPR_COLUMN &&
               sql_walk((void *)(uintptr_t)e, find_collate, NULL, NULL) == SQL_WALK_STOP;
}

static const struct sql_expr *first_with_collate(const struct sql_exprs *list)
{
        for (uint32_t i = 0; i < list->n; i++)
                if (has_collate(list->items[i]))
                        return list->items[i];
        return NULL;
}

/* The operand from which the collation of e comes; NULL: from none. */
static const struct sql_expr *collated_part(const struct sql_expr *e)
{
        if (!has_collate(e))
                return NULL;
        if (has_collate(e->left) && e->kind != SQL_EXPR_CALL)
                return e->left;
        if (has_collate(e->right) && e->kind != SQL_EXPR_CALL)
                return e->right;
        if (e->kind == SQL_EXPR_CALL)
                return first_with_collate(&e->call.args);
        if (e->kind == SQL_EXPR_CASE || e->kind == SQL_EXPR_IN_LIST || e->kind == SQL_EXPR_VECTOR)
                return first_with_collate(&e->args);
        return NULL;
}

static const char *collation_of(const struct sql_expr *e)
{
        while (e) {
                const struct bound_name *bound = names_bound(e);

                if (bound)
                        return source_column_type(bound->source, bound->column).collation;
                if (e->kind == SQL_EXPR_COLLATE)
                        return e->name.text;
                if (e->kind == SQL_EXPR_CAST || e->kind == SQL_EXPR_PLUS)
                        e = e->left;
                else if (is_hint(e))
                        e = e->call.args.items[0];
                else
                        e = collated_part(e);
        }
        return "BINARY";
}

static void set_affinity(const struct sql_expr *e, struct compare_type *type)
{
        const struct bound_name *bound;
        char text[256];

        while (e->kind == SQL_EXPR_COLLATE || is_hint(e))
                e = e->kind == SQL_EXPR_COLLATE ? e->left : e->call.args.items[0];
        bound = names_bound(e);
        if (bound) {
                struct compare_type of = source_column_type(bound->source, bound->column);

                type->affinity = of.affinity;
                type->is_typed = of.is_typed;
                type->is_unsure |= of.is_unsure;
                type->not_null = of.not_null;
        } else if (e->kind == SQL_EXPR_CAST) {
                snprintf(text, sizeof text, "%.*s", (int)e->text.n_bytes,
                         e->text.data ? e->text.data : "");
                type->affinity = catalog_affinity(text);
                type->is_typed = true;
        } else if (e->kind == SQL_EXPR_SUBQUERY || e->kind == SQL_EXPR_VECTOR) {
                type->is_unsure = true;
        }
}

/* Functions whose result is text or an integer whatever they are given. */
static bool call_is_canonical(const struct sql_expr *e)
{
        static const char *const names[] = { "char",  "count",    "date",    "datetime",  "format",
                                             "glob",  "hex",      "instr",   "length",    "like",
                                             "lower", "ltrim",    "printf",  "quote",     "replace",
                                             "rtrim", "strftime", "substr",  "substring", "time",
                                             "trim",  "typeof",   "unicode", "upper" };

        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (sql_name_is(&e->call.name, names[i]))
                        return true;
        return false;
}

static bool is_canonical(const struct sql_expr *e, const struct compare_type *type)
{
        const struct bound_name *bound = names_bound(e);

        if (strcasecmp(type->collation, "BINARY") != 0 || type->is_unsure)
                return false;
        if (bound)
                return source_column_type(bound->source, bound->column).is_canonical;
        switch (e->kind) {
        case SQL_EXPR_CAST:
                return type->affinity == AFFINITY_TEXT || type->affinity == AFFINITY_INTEGER;
        case SQL_EXPR_COLLATE: {
                struct compare_type inner = expr_type(e->left);

                return inner.is_canonical || (inner.is_typed && inner.affinity == AFFINITY_TEXT);
        }
        case SQL_EXPR_CALL:
                return call_is_canonical(e);
        case SQL_EXPR_INTEGER:
        case SQL_EXPR_STRING:
        case SQL_EXPR_BLOB:
        case SQL_EXPR_NULL:
        case SQL_EXPR_NOT:
        case SQL_EXPR_IS_NULL:
        case SQL_EXPR_NOT_NULL:
        case SQL_EXPR_BIT_NOT:
        case SQL_EXPR_BIT_AND:
        case SQL_EXPR_BIT_OR:
        case SQL_EXPR_CONCAT:
                return true;
        default:
                return (e->kind >= SQL_EXPR_OR && e->kind <= SQL_EXPR_GE) ||
                       (e->kind >= SQL_EXPR_LIKE && e->kind <= SQL_EXPR_EXISTS);
        }
}

struct compare_type expr_type(const struct sql_expr *e)
{
        struct compare_type type = { .collation = collation_of(e), .is_collated = has_collate(e) };

        set_affinity(e, &type);
        type.is_canonical = is_canonical(e, &type);
        type.may_be_json = expr_may_be_json(e);
        return type;
}
