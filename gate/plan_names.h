/* plan_names.h - what the names in a query stand for. names_bind() finds the sources, columns and
 * subqueries of a SELECT that SQLite has accepted and leaves a struct bound_name at every column's
 * sql_expr.bound. All of it lies in the planner's scratch arena; loop thread. */
#pragma once

#include <stdbool.h>

#include "gate/plan_int.h"

struct query;
struct query_arm;
struct place;

/* An item of a FROM clause. */
struct source {
        struct sql_source *node;           /* NULL: the target of a write */
        const char *name;                  /* as columns are qualified; NULL: it has none */
        const struct catalog_table *table; /* NULL: no base table */
        struct query *query; /* of a derived table or common table expression; else NULL */
        const char *const *function_columns; /* of a table-valued function, NULL at the end */
        bool is_recursive;                   /* a recursive CTE within itself */
        struct query_arm *arm;
        uint32_t index; /* in the arm */
        bool is_cut;    /* it is in a part, and no longer in the tree */
};

/* sql_expr.bound of a column: which one it is. */
struct bound_name {
        struct source *source;
        int column; /* COLUMN_ROWID, or an index into the source's columns */
};

/* How SQLite compares a column or an expression, and what is known of its values. */
struct compare_type {
        enum affinity affinity; /* if is_typed */
        bool is_typed;          /* it has an affinity; AFFINITY_BLOB is one, none is another */
        bool is_canonical; /* values that = calls equal are one and the same: no text equal under
                            * a collation, no 2 beside 2.0 */
        bool not_null;
        bool may_be_json;      /* with SQLite's JSON subtype, which some functions see */
        bool is_unsure;        /* what it compares like is not known */
        bool is_collated;      /* by a COLLATE that is written, which goes before others */
        const char *collation; /* never NULL */
};

/* A column of a query's rows. */
struct query_column {
        const char *name;
        struct sql_expr *expr; /* NULL: comes of a star */
        struct source *source; /* it is a column of a source: which; else NULL */
        int column;
        struct compare_type type;
};

/* A query in an expression. */
struct subquery {
        struct subquery *next;
        struct query *query;
        struct sql_expr *expr; /* EXISTS, (SELECT …), or IN (SELECT …); NULL: not an expression's */
};

/* One SELECT of a compound. */
struct query_arm {
        struct sql_arm *node;
        struct query *query;
        struct source *sources;
        uint32_t n_sources;
        struct query_column *columns; /* NULL: VALUES */
        uint32_t n_columns;
        struct subquery *subqueries; /* of its expressions, not of those inside them */
        const char *instead;         /* what is run at the gate in its place; NULL: itself */
        bool has_aggregates;         /* calls of its own, outside of subqueries */
        bool has_windows;
        bool has_right;   /* a RIGHT or FULL JOIN */
        bool has_merging; /* USING or NATURAL */
};

struct query {
        struct sql_select *node;
        struct query_arm *outer; /* where names are looked for that are not found inside; NULL */
        struct query *within;    /* the one it is written in; NULL */
        struct query_arm *arms;
        uint32_t n_arms;
        struct query_column *columns; /* of its rows: named by the CTE or its first arm */
        uint32_t n_columns;
        bool is_correlated;        /* names something outside of it */
        bool is_recursive;         /* a CTE that reads itself */
        const struct sql_cte *cte; /* whose body it is; NULL: none's */
        unsigned n_uses;           /* as a source */
        struct place *place;       /* where its rows are made; NULL: not asked yet */
        const char *instead;       /* what is run at the gate in its place; NULL: itself */
        bool is_visited;           /* by who cuts it up */
};

/* TRY_NEXT: something in it is not understood; it is left as it was but for sql_expr.bound. */
enum plan_try names_bind(struct planner *p, struct sql_select *select, struct query **ret_query);
/* Binds the columns of an expression without subqueries to a table, by name. */
void names_bind_table(struct planner *p, struct source *s, struct sql_expr *e);

/* What is run at the gate in the place of a node, which then is nobody else's business; NULL:
 * itself. The bound of a SELECT and an arm is its struct query and query_arm. */
const char *names_instead(const struct sql_node *node);

/* NULL: e is no column of a source. */
static inline const struct bound_name *names_bound(const struct sql_expr *e)
{
        return e->kind == SQL_EXPR_COLUMN ? e->bound : NULL;
}

/* Columns that * stands for, and those that it does not. */
int source_n_columns(const struct source *s);
const char *source_column_name(const struct source *s, int column);
bool source_column_is_hidden(const struct source *s, int column);
/* The column that the name stands for; COLUMN_NONE. The rowid has names of its own only if no
 * column has. */
int source_find_column(const struct source *s, const struct sql_name *name);
/* Likewise of an expression, which may be qualified: COLUMN_NONE also if it is no column, or of
 * another source. s has a name. */
int source_match_column(const struct source *s, const struct sql_expr *e);
struct compare_type source_column_type(const struct source *s, int column);
struct compare_type expr_type(const struct sql_expr *e);
/* ---- the JSON subtype, which is lost on the way from shards (plan_json.c) */

/* Its value may have the subtype. */
bool expr_may_be_json(const struct sql_expr *e);
/* A function that sees it is called in the statement, not counting what is below `except`. */
bool json_is_seen(const struct planner *p, const void *except);
/* Such a function may see that of one of the columns: they must not come from shards. query: whose
 * columns they are. */
bool json_is_seen_of(const struct planner *p, const struct query_column *columns, uint32_t n,
                     const struct query *query);
/* The same of a table's columns that are computed where they are read. */
bool json_is_seen_of_table(const struct planner *p, const struct catalog_table *t);
/* By column, what the gate is to compute of the rows it has got; NULL: it is sent like all others.
 * *ret_exprs is NULL if nothing is. */
enum err_code json_find_computed(struct planner *p, const struct catalog_table *t,
                                 struct sql_expr ***ret_exprs);

/* Is it left out of *, for USING or NATURAL shows it once? */
bool source_column_is_merged(const struct source *s, int column);
/* A column as an expression, qualified if its arm has several sources. NULL: out of memory. */
struct sql_expr *names_make_column(struct planner *p, struct source *s, int column);
