/* plan_int.h - what the files of the planner share. A planner lives for one plan_build(); loop
 * thread. */
#pragma once

#include <stdbool.h>

#include "gate/plan.h"
#include "sql/print.h"
#include "sql/tree.h"
#include "sql/tree_ddl.h"

struct planner {
        struct catalog *catalog;
        struct plan *plan;
        struct arena *arena;   /* the plan's own: what stays */
        struct arena *scratch; /* trees and what else goes with the planner */
        struct sql_stmt *stmt;
        struct err *reterr;
        uint32_t n_slots_allocated;
        bool has_views;    /* some were expanded: the tree is not what was parsed any more */
        bool is_lazy;      /* shards compute nothing that may fail */
        bool is_finishing; /* what is printed is for the gate: of what was cut out, what is left of
                              it */
};

/* Results that every step may give besides an error: this strategy does not fit, try the next. */
enum plan_try { TRY_DONE = 0, TRY_NEXT, TRY_ERROR };

struct cut;
struct equals;
struct key;
struct place;
struct query;
struct query_arm;
struct source;

enum err_code planner_no_memory(struct planner *p);

/* What stands for a column of a table where it is none of those that it lists. */
enum { COLUMN_ROWID = -1, COLUMN_NONE = -2 };

/* ---- what statements are made of (plan_traits.c) */

/* What an expression or statement is made of. */
enum trait {
        TRAIT_SUBQUERY = 1 << 0,
        TRAIT_AGGREGATE = 1 << 1,
        TRAIT_WINDOW = 1 << 2,
        TRAIT_VOLATILE = 1 << 3, /* random() and its kin: another value each time */
        TRAIT_COLUMN = 1 << 4,   /* a name that is not TRUE or FALSE */
};
unsigned node_traits(const void *node); /* of everything below too; NULL has none */
bool call_is_aggregate(const struct sql_expr *call);

/* ---- may it run on a loop thread? (plan_cost.c) */

/* No operator or call below takes long while SQLite cannot be interrupted. NULL is. */
bool node_is_quick(const void *node);
bool sql_is_quick(struct planner *p, const char *sql); /* of a statement's text */
/* Whatever values its columns have, it has a value. */
bool node_never_fails(const void *node);
/* Rows of the table are read without computing anything: no generated columns. */
bool reading_is_quick(const struct catalog_table *t);

/* Base tables named anywhere in a statement. */
struct table_use {
        const struct catalog_table *table;
        unsigned n_uses;
        const struct sql_source
            *source; /* the only one, if n_uses is 1 and it is in a FROM clause; else NULL */
        const struct sql_arm *arm; /* where that is, after find_tables_and_arms() */
};
struct table_uses {
        struct table_use *items;
        size_t n;
        uint32_t n_allocated;
        bool has_star; /* * or t.*, or NATURAL: any column may be needed */
        bool has_cte;
};
/* ERR_UNIMPLEMENTED: tables that are SQLite's own. */
enum err_code find_tables(struct planner *p, const void *node, struct table_uses *ret_uses);
enum err_code find_tables_and_arms(struct planner *p, const void *node,
                                   struct table_uses *ret_uses);
bool uses_sharded(const struct planner *p, const struct table_uses *u);
bool is_spread(const struct planner *p,
               const struct catalog_table *t); /* its rows lie on several shards */

/* ---- slots (plan.c) */

/* Adds an element to the value vector; *ret_index counts from 0. */
enum err_code planner_add_slot(struct planner *p, const struct plan_slot *slot, int *ret_index);
/* Index of the element that has the value of e, a literal, variable or expression without columns
 * and subqueries; new if need be. */
enum err_code planner_value_slot(struct planner *p, const struct sql_expr *e, int *ret_index);

/* ---- text (plan.c) */

/* The node's SQL for shards or the finish, in the plan's arena: variables as ?N, Shoal's words left
 * out. */
enum err_code planner_print(struct planner *p, const void *node, const char **ret_sql);
enum err_code planner_print_to(struct planner *p, const void *node, struct buf *b);
/* Appends " WHERE (…) AND (…)"; nothing without conjuncts. */
enum err_code planner_print_where(struct planner *p, const struct sql_exprs *conjuncts,
                                  struct buf *b);
/* The buf's text, moved to the plan's arena. ERR_EXHAUSTED. */
enum err_code planner_keep(struct planner *p, struct buf *b, const char **ret_sql);

/* ---- what SQLite says (plan.c) */

/* Prepares the statement where the schema is and no rows are: what is wrong with it is wrong in
 * SQLite's words. Its columns are the plan's. */
enum err_code planner_judge(struct planner *p, const char *sql, size_t n_bytes);

/* ---- parts */

enum err_code planner_add_part(struct planner *p, struct plan_part **ret_part);
/* The whole statement, unchanged, on the shards of the route. */
enum err_code planner_pass_through(struct planner *p, enum plan_kind kind,
                                   const struct route *route);

/* ---- keys (plan_keys.c) */

/* The route that the conjuncts leave: to the shards of the keys they pin these columns to, or to
 * all.
 */
enum err_code find_route(struct planner *p, const struct key *key, const struct equals *equals,
                         const struct sql_exprs *conjuncts, struct route *ret_route);
/* Takes the other route to the same rows if it names fewer keys. */
void narrow_route(struct route *route, const struct route *other);
/* They pin the whole primary key or the rowid of a table, so that few rows can match. */
enum err_code find_pins_row(struct planner *p, const struct source *s,
                            const struct sql_exprs *conjuncts, bool *ret_pins_row);
/* No affinity, no collation, no row to depend on: SQLite converts it as the column on the other
 * side wants. */
bool is_plain_value(const struct sql_expr *e);
/* Splits at the top-level ANDs; appends. */
bool add_conjuncts(struct planner *p, struct sql_expr *where, struct sql_exprs *list);

/* ---- strategies */

enum err_code plan_select(struct planner *p);
/* What is left at the gate of a query, or of one of its arms, that goes to the shards as a part. */
struct cut {
        bool
            is_nested; /* its columns are seen by others: they keep names, affinities, collations */
        struct sql_with *with; /* before the part, for what is defined around the query; NULL */
        const char *sql;       /* out: the SELECT over the part's table */
        enum plan_kind kind;   /* out: what it would be on its own */
};
/* Over the rows of one arm that shards join, each for itself. */
enum plan_try plan_ordered(struct planner *p, struct query *q, const struct place *place,
                           struct cut *cut);
enum plan_try plan_aggregate(struct planner *p, struct query *q, const struct place *place,
                             struct cut *cut);
/* The same over the rows of a compound. */
enum plan_try plan_compound(struct planner *p, struct query *q, const struct place *place,
                            struct cut *cut);
/* Makes numbers of the terms of its ORDER BY, so that they mean the same when its arms look
 * otherwise. TRY_NEXT: it is not known what they mean; nothing was changed. */
enum plan_try compound_number_terms(struct planner *p, struct query *q);
/* The query as it is; the shards' rows are its own. */
enum plan_try plan_verbatim(struct planner *p, struct query *q, const struct place *place,
                            struct cut *cut);
/* Joins that shards can make, and derived tables, each with what WHERE says of them alone, become
 * parts; source.is_cut tells of which sources. */
enum plan_try plan_clusters(struct planner *p, struct query_arm *arm, const struct query *top);
/* A WITH clause for q, or for one source of a query, on its own; *ret_with stays NULL if its own
 * will do. TRY_NEXT: there is none. */
enum plan_try with_for(struct planner *p, const struct query *q, struct sql_with **ret_with);
enum plan_try with_for_sources(struct planner *p, struct source *const *sources, uint32_t n,
                               struct sql_with **ret_with);
/* Cuts out all that shards can answer; the rest is gathered. q: what is bound of the statement;
 * NULL: nothing is. */
enum err_code plan_split(struct planner *p, struct query *q);
/* The finish: the statement as it is now, over the parts so far and over tables with the rows of
 * those that it names still. */
enum err_code plan_gather(struct planner *p);
/* What became of a use of a table in a gather. */
struct gathered {
        size_t part;
        const struct sql_exprs *pushed; /* conditions that the shards filter by */
};
/* Lets parts wait for the keys of others where that saves rows: plan_part.after. One of gathered
 * for each of the uses. */
enum err_code plan_key_joins(struct planner *p, const struct table_uses *uses,
                             const struct gathered *gathered);
enum err_code plan_insert(struct planner *p);
/* Of an INSERT that is complete: plan.rows. */
enum err_code plan_rows_cut(struct planner *p, struct sql_arm *arm);
enum err_code plan_update(struct planner *p);
enum err_code plan_delete(struct planner *p);
/* A write's SET must not move rows between shards. */
enum err_code check_sets(struct planner *p, const struct catalog_table *t,
                         const struct sql_sets *sets);
enum err_code write_reads_shards(struct planner *p); /* the refusal */
enum err_code plan_ddl(struct planner *p);
enum err_code plan_analyze(struct planner *p);
enum err_code plan_control(struct planner *p);
enum err_code plan_nothing(struct planner *p); /* the statement does nothing */
enum err_code plan_explain(struct planner *p);
/* Makes p the EXPLAIN QUERY PLAN of the plan of its body. */
enum err_code plan_explain_query_plan(struct planner *p, const struct plan *explained);

/* ---- the simple SELECT that plan_ordered and plan_aggregate start from (plan_simple.c): one arm
 */

struct simple {
        struct query_arm *of;
        struct sql_with *with;
        struct sql_arm *arm; /* a copy: stars expanded, columns spelled alike, aliases replaced,
                                positions of ORDER BY and GROUP BY resolved */
        struct sql_order_terms order;
        int *order_result; /* per term of order: the result column it stands for; -1: another
                              expression */
        struct sql_expr *limit, *offset;
};
/* TRY_NEXT: it is not that simple. */
enum plan_try simplify(struct planner *p, struct query *q, struct simple *ret_simple);
/* Appends " LIMIT …" that gives a shard's rows enough for LIMIT and OFFSET at the gate; nothing
 * without LIMIT. */
enum err_code add_shard_limit(struct planner *p, const struct simple *q, struct buf *b);
/* Appends " LIMIT … OFFSET …" as it was. */
enum err_code add_limit(struct planner *p, const struct simple *q, struct buf *b);
/* Appends the copy as it is now, WITH included, without ORDER BY and LIMIT. */
enum err_code add_arm(struct planner *p, const struct simple *q, struct buf *b);
/* Appends a result column. False: out of memory. */
bool add_result(struct planner *p, struct sql_results *list, struct sql_expr *e);

/* ---- the tables into which parts are loaded (plan_part.c) */

struct compare_type;

const char *affinity_type_name(enum affinity a); /* a type with that affinity: "", "TEXT", … */

struct part_column {
        const char *name;
        const struct compare_type *type; /* NULL: none; what comes from the shards stays as it is */
};
/* Sets n_columns, load_ddl and load_sql. */
enum err_code part_set_load(struct planner *p, struct plan_part *part, const char *table,
                            const struct part_column *columns, size_t n);
/* The table of the first part, if the finish has no tables of its own beside it. */
#define PART_TABLE "_shoal_p"
/* The name of the table of the next part. NULL: out of memory. */
const char *part_table(struct planner *p);
/* Appends a column of a part's table so that it compares like an expression of that type, under a
 * name that others know it by. */
void part_add_column(struct buf *b, const char *column, const struct compare_type *type,
                     const char *name);
