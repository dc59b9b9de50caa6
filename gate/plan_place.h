/* plan_place.h - which shards can answer a query, or what it joins, each on its own. Rows are
 * co-located if every row that SQLite would make of the whole database is made by exactly one shard
 * of what lies there, and no shard makes others. In the planner's scratch arena; loop thread. */
#pragma once

#include "gate/plan_names.h"

enum place_kind {
        PLACE_NOWHERE = 0, /* not by shards alone */
        PLACE_ANYWHERE,    /* no table, or reference tables: the same on every shard */
        PLACE_HOME,        /* on the shard of unsharded tables */
        PLACE_SHARDS,      /* every shard has rows of its own */
};

/* ---- columns that hold the same value (plan_equal.c) */

/* A column, or (source NULL) the value of a slot as compared with a column of that type. */
struct equal_item {
        struct source *source;
        int column; /* or the slot */
        enum affinity affinity;
        const char *collation;
        uint32_t class; /* the same in items that are equal */
};

struct equals {
        struct equal_item *items;
        uint32_t n, n_allocated;
};

bool equals_copy(struct planner *p, const struct equals *from, struct equals *ret);
/* Adds what a conjunct says: column = column, column by column of row values. False: out of
 * memory. */
bool equals_add_conjunct(struct planner *p, struct equals *eq, const struct sql_expr *e);
/* The columns that USING or NATURAL of source s compares. */
bool equals_add_merged(struct planner *p, struct equals *eq, struct source *s);
/* Adds that the column has the value of the slot. */
bool equals_add_constant(struct planner *p, struct equals *eq, struct source *s, int column,
                         int slot);
/* Always true of a column and itself. */
bool equals_has(const struct equals *eq, const struct source *a, int a_column,
                const struct source *b, int b_column);
/* e is a column that equals this one and compares like it. */
bool equals_names(const struct equals *eq, const struct sql_expr *e, const struct source *s,
                  int column);

/* ---- keys and places (plan_place.c) */

struct key_column {
        struct source *source;
        int column; /* COLUMN_ROWID, or the source's; of a query's rows: its column, source NULL */
};

/* Columns whose values, put into the sharding columns of `table`, say on which shard a row is. */
struct key {
        const struct catalog_table *table;
        struct key_column *columns; /* table->n_shard_columns */
        bool padded; /* an outer join may have put NULL in their place: then they say nothing */
};
struct keys SQL_LIST_OF(struct key *);

struct place {
        enum place_kind kind;
        struct keys keys;
        struct equals equals; /* true of every row that is left; of an arm only */
        struct sql_exprs
            filters;        /* conjuncts that every row that is left fulfils; of an arm only */
        struct route route; /* ROUTE_ALL, or ROUTE_KEYS: only these shards have any; PLACE_SHARDS */
        /* Of an arm: each of its groups, and each partition of its windows, lies on one shard; so
         * do rows that DISTINCT takes for one. */
        bool groups_whole, distinct_whole;
};

/* The rows that an arm joins and filters, before it groups them, with all subqueries of its
 * expressions; and whether what it makes of them can be made shard by shard. Errors: out of
 * memory. */
enum err_code place_arm(struct planner *p, struct query_arm *arm, struct place *ret);
/* The rows of a query. */
enum err_code place_query(struct planner *p, struct query *q, struct place *ret);
/* Those of a query that is not recursive, before its LIMIT. */
enum err_code place_unlimited(struct planner *p, struct query *q, struct place *ret);
/* The sources of an arm, each on its own, and of ret_all what is true of every row that is left:
 * for those who look for the largest groups of them that shards can join. */
enum err_code place_each(struct planner *p, struct query_arm *arm, struct place **ret_sources,
                         struct place *ret_all);
/* What is equal in a row of the sources on the left that matches one of source i. */
enum err_code place_matching(struct planner *p, struct query_arm *arm, struct place *sources,
                             struct place *all, uint32_t i, struct equals *ret);
/* Two keys of tables sharded alike whose columns are equal, so that their rows are on one shard. */
bool keys_meet(const struct equals *eq, const struct keys *left, const struct keys *right,
               const struct key **ret_left, const struct key **ret_right);
/* The columns of the table that shard it, as struct key. NULL: out of memory. */
struct key *key_of_table(struct planner *p, struct source *s);

/* ---- what lies on one shard (plan_whole.c), of an arm whose joined rows are at place */

/* Each group, and each partition of its windows. */
bool place_groups_are_whole(const struct query_arm *arm, const struct place *place);
/* Rows that DISTINCT takes for one; true without DISTINCT. */
bool place_distinct_is_whole(const struct query_arm *arm, const struct place *place);
/* The key as columns of the arm's results, one for each sharding column; false: they do not have
 * it. */
bool place_shows_key(const struct query_arm *arm, const struct place *place, const struct key *key,
                     struct key_column *ret);
