/* tree.h - what a statement says: tagged nodes in an arena. Owner: whoever owns the arena; nothing
 * is freed singly. Every node opens with the same header (SQL_NODE), so that any of them may be
 * handed around as struct sql_node * and told apart by kind. Trees are meant to be changed: an
 * expression may be overwritten in place by another (*e = *other), whatever their kinds.
 *
 * Strings end in a NUL and live in the arena. Lists are arrays that only grow. An absent child is
 * NULL, an absent name has text NULL, an absent list n == 0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"

/* Bytes [start, end) of the text that was parsed (sql_stmt.text); 0, 0 for what was made later. */
struct sql_span {
        uint32_t start;
        uint32_t end;
};

/* Values are stable: new kinds go to the end of their group. */
enum sql_kind {
        SQL_NONE = 0,

        /* statements: sql_stmt.kind, and the kind of sql_stmt.body */
        SQL_EMPTY = 1, /* nothing but blanks, comments and semicolons; no body */
        SQL_SELECT,    /* struct sql_select; also as a subquery */
        SQL_INSERT,    /* struct sql_insert; REPLACE too */
        SQL_UPDATE,
        SQL_DELETE,
        SQL_CREATE_TABLE,
        SQL_CREATE_INDEX,
        SQL_CREATE_VIEW,
        SQL_CREATE_TRIGGER,
        SQL_CREATE_VIRTUAL_TABLE,
        SQL_ALTER_TABLE,
        SQL_DROP,
        SQL_TRANSACTION, /* BEGIN, COMMIT, END, ROLLBACK, SAVEPOINT, RELEASE */
        SQL_PRAGMA,
        SQL_ATTACH,
        SQL_DETACH,
        SQL_VACUUM,
        SQL_ANALYZE,
        SQL_REINDEX,

        /* parts of statements */
        SQL_STMT = 50, /* struct sql_stmt itself */
        SQL_WITH,
        SQL_CTE,
        SQL_ARM,        /* one SELECT or VALUES of a compound */
        SQL_RESULT,     /* one result column */
        SQL_SOURCE,     /* one item of FROM */
        SQL_ORDER_TERM, /* of ORDER BY, an index, PRIMARY KEY (…), UNIQUE (…), ON CONFLICT (…) */
        SQL_WINDOW,
        SQL_ROW, /* of VALUES */
        SQL_SET, /* of UPDATE and DO UPDATE */
        SQL_UPSERT,
        SQL_TABLE_NAME, /* schema.name of any object, alias apart */
        SQL_COLUMN_DEF,
        SQL_CONSTRAINT,
        SQL_TABLE_OPTION,

        /* expressions: all struct sql_expr. Leaves first. */
        SQL_EXPR_NULL = 100,
        SQL_EXPR_INTEGER, /* text as written: decimal or 0x… */
        SQL_EXPR_FLOAT,   /* text as written */
        SQL_EXPR_STRING,  /* text without quotes */
        SQL_EXPR_BLOB,    /* text: the hexadecimal digits between the quotes */
        SQL_EXPR_CURRENT_DATE,
        SQL_EXPR_CURRENT_TIME,
        SQL_EXPR_CURRENT_TIMESTAMP,
        SQL_EXPR_VARIABLE,
        SQL_EXPR_COLUMN, /* a name, perhaps qualified; TRUE and FALSE too */
        /* one operand: left */
        SQL_EXPR_NEGATE,
        SQL_EXPR_PLUS,
        SQL_EXPR_BIT_NOT,
        SQL_EXPR_NOT,
        SQL_EXPR_IS_NULL,  /* ISNULL */
        SQL_EXPR_NOT_NULL, /* NOTNULL, NOT NULL */
        SQL_EXPR_COLLATE,  /* name */
        SQL_EXPR_CAST,     /* text: the type's name as written, perhaps empty */
        /* two operands: left, right */
        SQL_EXPR_OR,
        SQL_EXPR_AND,
        SQL_EXPR_EQ,
        SQL_EXPR_NE,
        SQL_EXPR_IS,
        SQL_EXPR_IS_NOT,
        SQL_EXPR_IS_DISTINCT,     /* IS DISTINCT FROM: means IS NOT */
        SQL_EXPR_IS_NOT_DISTINCT, /* IS NOT DISTINCT FROM: means IS */
        SQL_EXPR_LT,
        SQL_EXPR_LE,
        SQL_EXPR_GT,
        SQL_EXPR_GE,
        SQL_EXPR_BIT_AND,
        SQL_EXPR_BIT_OR,
        SQL_EXPR_SHIFT_LEFT,
        SQL_EXPR_SHIFT_RIGHT,
        SQL_EXPR_ADD,
        SQL_EXPR_SUBTRACT,
        SQL_EXPR_MULTIPLY,
        SQL_EXPR_DIVIDE,
        SQL_EXPR_REMAINDER,
        SQL_EXPR_CONCAT,
        SQL_EXPR_ARROW,      /* -> */
        SQL_EXPR_LONG_ARROW, /* ->> */
        /* more */
        SQL_EXPR_LIKE, /* left LIKE right [ESCAPE third]; is_not; the four in this order */
        SQL_EXPR_GLOB,
        SQL_EXPR_REGEXP,
        SQL_EXPR_MATCH,
        SQL_EXPR_BETWEEN,   /* left BETWEEN right AND third; is_not */
        SQL_EXPR_IN_LIST,   /* left IN (args…); is_not */
        SQL_EXPR_IN_SELECT, /* left IN (select); is_not */
        SQL_EXPR_IN_TABLE,  /* left IN table [(args…)]; is_not */
        SQL_EXPR_EXISTS,    /* select */
        SQL_EXPR_SUBQUERY,  /* (select) */
        SQL_EXPR_VECTOR,    /* (args…), two at least */
        SQL_EXPR_CASE, /* left: operand or NULL; args: WHEN, THEN, WHEN, THEN…; right: ELSE or NULL
                        */
        SQL_EXPR_CALL,
        SQL_EXPR_RAISE, /* conflict: IGNORE, ROLLBACK, ABORT, FAIL; name: the message */
        SQL_EXPR_LAST = SQL_EXPR_RAISE,
};

/* depth: levels of expressions and subqueries below, as the parser found them; later changes need
 * not keep it. */
#define SQL_NODE              \
        enum sql_kind kind;   \
        struct sql_span span; \
        uint32_t depth

struct sql_node {
        SQL_NODE;
};

/* ---- names, text, lists ---- */

enum sql_quote {
        SQL_QUOTE_AUTO =
            0, /* printed bare if it can be, else in backticks. For names made by programs */
        SQL_QUOTE_NONE,   /* was written bare */
        SQL_QUOTE_DOUBLE, /* "x": as an expression may be a string to SQLite if no column is called
                             so */
        SQL_QUOTE_BACKTICK, /* `x` */
        SQL_QUOTE_BRACKET,  /* [x] */
        SQL_QUOTE_SINGLE,   /* 'x', where SQLite takes a string for a name */
};

struct sql_name {
        const char *text; /* without quotes; NULL: there is no name */
        uint32_t n_bytes;
        uint32_t offset; /* where it was written */
        enum sql_quote quote;
};

/* A name of a program's own making. text must live as long as the tree. */
struct sql_name sql_name_of(const char *text);
/* Same name to SQLite: ASCII letters alike in either case. Both absent: true. */
bool sql_name_same(const struct sql_name *a, const struct sql_name *b);
bool sql_name_is_(const struct sql_name *a, const char *text);
static inline bool sql_name_is(const struct sql_name *a, const char *text)
{
        /* Most are told apart by their first letter. */
        return a->text && ((a->text[0] ^ text[0]) & ~0x20) == 0 && sql_name_is_(a, text);
}
/* One that the rowid answers to where no column has it. */
bool sql_name_is_rowid(const struct sql_name *n);
/* A table that only SQLite has, if there is none of that name: sqlite_…, pragma_… and what tells of
 * one connection. */
bool sql_name_is_own(const struct sql_name *a);

struct sql_str {
        const char *data; /* NULL: absent */
        uint32_t n_bytes;
};

#define SQL_LIST_OF(type)             \
        {                             \
                type *items;          \
                uint32_t n;           \
                uint32_t n_allocated; \
        }

struct sql_names SQL_LIST_OF(struct sql_name);
struct sql_strs SQL_LIST_OF(struct sql_str);
struct sql_exprs SQL_LIST_OF(struct sql_expr *);
struct sql_nodes SQL_LIST_OF(struct sql_node *); /* what every list of pointers looks like */

/* Appends to a list of pointers (any SQL_LIST_OF(struct sql_… *)). False: the arena is exhausted;
 * the list is as it was. */
#define sql_list_add(arena, list, item)                                    \
        ({                                                                 \
                __typeof__((list)->items[0]) item_ = (item);               \
                sql_list_add_((arena), (struct sql_nodes *)(void *)(list), \
                              (struct sql_node *)(void *)item_);           \
        })
bool sql_list_add_(struct arena *a, struct sql_nodes *list, struct sql_node *item);
bool sql_names_add(struct arena *a, struct sql_names *list, const struct sql_name *name);

/* ---- expressions ---- */

enum sql_conflict {
        SQL_CONFLICT_NONE = 0,
        SQL_CONFLICT_ROLLBACK,
        SQL_CONFLICT_ABORT,
        SQL_CONFLICT_FAIL,
        SQL_CONFLICT_IGNORE,
        SQL_CONFLICT_REPLACE,
};

struct sql_call {
        struct sql_name name;
        struct sql_exprs args;
        struct sql_expr *filter;
        struct sql_window *over; /* NULL: not a window function */
        bool is_distinct;
        bool is_star; /* f(*) */
};

struct sql_expr {
        SQL_NODE;                   /* the span takes in parentheses around the expression */
        bool is_not;                /* NOT LIKE, NOT BETWEEN, NOT IN … */
        enum sql_conflict conflict; /* RAISE */
        struct sql_expr *left, *right, *third;
        void *bound; /* the binder's; the parser leaves it NULL, sql_clone copies the pointer */
        union {
                struct sql_str text;  /* literals, CAST */
                struct sql_name name; /* COLLATE, RAISE */
                struct {
                        struct sql_name schema, table, column;
                };
                struct {
                        uint32_t number; /* from 1, as SQLite numbers it */
                        struct sql_str
                            variable_name; /* "?7", ":a", "@a", "$a::b(c)"; absent for a plain ? */
                };
                struct sql_call call;
                struct {
                        struct sql_exprs args; /* VECTOR, CASE, IN_LIST, IN_TABLE */
                        struct sql_select *select;
                        struct sql_table_name *in_table; /* its alias is absent */
                };
        };
};

/* ---- SELECT ---- */

enum sql_sort {
        SQL_SORT_NONE = 0,
        SQL_SORT_ASC,
        SQL_SORT_DESC,
};

enum sql_nulls {
        SQL_NULLS_NONE = 0,
        SQL_NULLS_FIRST,
        SQL_NULLS_LAST,
};

struct sql_order_term {
        SQL_NODE;
        struct sql_expr *expr; /* COLLATE is part of it */
        enum sql_sort sort;
        enum sql_nulls nulls;
};
struct sql_order_terms SQL_LIST_OF(struct sql_order_term *);

enum sql_frame_type {
        SQL_FRAME_NONE = 0,
        SQL_FRAME_ROWS,
        SQL_FRAME_RANGE,
        SQL_FRAME_GROUPS,
};

enum sql_bound {
        SQL_BOUND_NONE = 0, /* end of a frame without BETWEEN: CURRENT ROW is meant */
        SQL_BOUND_UNBOUNDED_PRECEDING,
        SQL_BOUND_PRECEDING,
        SQL_BOUND_CURRENT_ROW,
        SQL_BOUND_FOLLOWING,
        SQL_BOUND_UNBOUNDED_FOLLOWING,
};

enum sql_exclude {
        SQL_EXCLUDE_NONE = 0,
        SQL_EXCLUDE_NO_OTHERS,
        SQL_EXCLUDE_CURRENT_ROW,
        SQL_EXCLUDE_GROUP,
        SQL_EXCLUDE_TIES,
};

struct sql_window {
        SQL_NODE;
        struct sql_name name; /* WINDOW name AS …; absent behind OVER */
        struct sql_name base; /* OVER base, OVER (base …) */
        bool is_reference;    /* OVER base, without parentheses; all below is empty */
        struct sql_exprs partition;
        struct sql_order_terms order;
        enum sql_frame_type frame;
        enum sql_bound start, end;
        struct sql_expr *start_expr, *end_expr; /* of PRECEDING and FOLLOWING */
        enum sql_exclude exclude;
};
struct sql_windows SQL_LIST_OF(struct sql_window *);

enum sql_result_type {
        SQL_RESULT_EXPR = 0,
        SQL_RESULT_STAR,       /* * */
        SQL_RESULT_TABLE_STAR, /* table.* */
};

struct sql_result {
        SQL_NODE;
        enum sql_result_type type;
        struct sql_expr *expr;
        struct sql_name table;
        struct sql_name alias; /* printed with AS, if that was written or not */
        /* The expression as written: SQLite names the column after it if there is no alias and the
         * expression is not a column. */
        struct sql_str text;
};
struct sql_results SQL_LIST_OF(struct sql_result *);

struct sql_table_name {
        SQL_NODE;
        struct sql_name schema;
        struct sql_name name;
};

/* How a source is joined to those on its left; 0 for the first. */
enum sql_join {
        SQL_JOIN_COMMA = 1 << 0,
        SQL_JOIN_INNER = 1 << 1, /* plain JOIN and comma too */
        SQL_JOIN_CROSS = 1 << 2, /* with INNER; keeps the order of the tables */
        SQL_JOIN_NATURAL = 1 << 3,
        SQL_JOIN_LEFT = 1 << 4, /* LEFT, RIGHT and FULL (both) come with OUTER */
        SQL_JOIN_RIGHT = 1 << 5,
        SQL_JOIN_OUTER = 1 << 6,
};

enum sql_source_type {
        SQL_SOURCE_TABLE = 0,
        SQL_SOURCE_FUNCTION, /* table (args…) */
        SQL_SOURCE_SELECT,   /* (select) */
        SQL_SOURCE_JOIN,     /* (a JOIN b …) */
};

struct sql_sources SQL_LIST_OF(struct sql_source *);

struct sql_source {
        SQL_NODE;
        enum sql_source_type type;
        uint32_t join; /* of enum sql_join */
        struct sql_table_name *table;
        struct sql_exprs args;
        struct sql_select *select;
        struct sql_sources sources; /* SQL_SOURCE_JOIN */
        struct sql_name alias;
        struct sql_name indexed_by;
        bool not_indexed;
        struct sql_expr *on;
        struct sql_names using_columns;
        void *bound; /* the binder's, as in sql_expr */
};

struct sql_row {
        SQL_NODE;
        struct sql_exprs values;
};
struct sql_rows SQL_LIST_OF(struct sql_row *);

enum sql_compound {
        SQL_COMPOUND_NONE = 0, /* the first arm */
        SQL_COMPOUND_UNION,
        SQL_COMPOUND_UNION_ALL,
        SQL_COMPOUND_EXCEPT,
        SQL_COMPOUND_INTERSECT,
};

enum sql_distinct {
        SQL_DISTINCT_NONE = 0,
        SQL_DISTINCT_DISTINCT,
        SQL_DISTINCT_ALL,
};

struct sql_arm {
        SQL_NODE;
        enum sql_compound compound; /* how it is joined to the arms before it */
        bool is_values;             /* VALUES rows; all else is empty then */
        enum sql_distinct distinct;
        struct sql_results results;
        struct sql_sources from;
        struct sql_expr *where;
        struct sql_exprs group_by;
        struct sql_expr *having;
        struct sql_windows windows; /* WINDOW name AS (…), … */
        struct sql_rows rows;
        void *bound;
};
struct sql_arms SQL_LIST_OF(struct sql_arm *);

enum sql_materialized {
        SQL_MATERIALIZED_ANY = 0,
        SQL_MATERIALIZED_YES,
        SQL_MATERIALIZED_NO,
};

struct sql_cte {
        SQL_NODE;
        struct sql_name name;
        struct sql_names columns;
        enum sql_materialized materialized;
        struct sql_select *select;
};
struct sql_ctes SQL_LIST_OF(struct sql_cte *);

struct sql_with {
        SQL_NODE;
        bool is_recursive;
        struct sql_ctes ctes;
};

/* SQLite takes no ORDER BY or LIMIT directly behind VALUES: they are empty if the last arm is one.
 */
struct sql_select {
        SQL_NODE;
        struct sql_with *with;
        struct sql_arms arms; /* one at least */
        struct sql_order_terms order_by;
        struct sql_expr *limit;
        struct sql_expr *offset;
        bool limit_comma; /* LIMIT offset, limit: the variables are numbered in that order */
        void *bound;
};

/* ---- INSERT, UPDATE, DELETE ---- */

/* column = expr, or (columns…) = expr. */
struct sql_set {
        SQL_NODE;
        struct sql_names columns;
        bool is_row; /* parenthesised, perhaps around one */
        struct sql_expr *expr;
};
struct sql_sets SQL_LIST_OF(struct sql_set *);

/* ON CONFLICT [(target) [WHERE …]] DO NOTHING | DO UPDATE SET … [WHERE …] */
struct sql_upsert {
        SQL_NODE;
        struct sql_order_terms target; /* n == 0: any conflict */
        struct sql_expr *target_where;
        bool do_update;
        struct sql_sets sets;
        struct sql_expr *where;
};
struct sql_upserts SQL_LIST_OF(struct sql_upsert *);

struct sql_insert {
        SQL_NODE;
        struct sql_with *with;
        bool is_replace; /* REPLACE INTO: means INSERT OR REPLACE; conflict is NONE */
        enum sql_conflict conflict;
        struct sql_table_name *table;
        struct sql_name alias;
        struct sql_names columns;
        struct sql_select *select; /* VALUES too; NULL: DEFAULT VALUES */
        struct sql_upserts upserts;
        struct sql_results returning;
};

struct sql_update {
        SQL_NODE;
        struct sql_with *with;
        enum sql_conflict conflict;
        struct sql_table_name *table;
        struct sql_name alias;
        struct sql_name indexed_by;
        bool not_indexed;
        struct sql_sets sets;
        struct sql_sources from;
        struct sql_expr *where;
        struct sql_results returning;
        struct sql_order_terms order_by;
        struct sql_expr *limit;
        struct sql_expr *offset;
        bool limit_comma;
};

struct sql_delete {
        SQL_NODE;
        struct sql_with *with;
        struct sql_table_name *table;
        struct sql_name alias;
        struct sql_name indexed_by;
        bool not_indexed;
        struct sql_expr *where;
        struct sql_results returning;
        struct sql_order_terms order_by;
        struct sql_expr *limit;
        struct sql_expr *offset;
        bool limit_comma;
};

/* ---- the statement ---- */

enum sql_explain {
        SQL_EXPLAIN_NONE = 0,
        SQL_EXPLAIN_BYTECODE,   /* EXPLAIN */
        SQL_EXPLAIN_QUERY_PLAN, /* EXPLAIN QUERY PLAN */
        SQL_EXPLAIN_ANALYZE, /* EXPLAIN ANALYZE, Shoal's own: of SELECT, INSERT, UPDATE, DELETE */
};

struct sql_variable {
        uint32_t number;
        struct sql_str name;
};
struct sql_variables SQL_LIST_OF(struct sql_variable);

struct sql_stmt {
        SQL_NODE;           /* kind is SQL_STMT */
        enum sql_kind type; /* SQL_EMPTY … SQL_REINDEX */
        enum sql_explain explain;
        const char *text; /* what was parsed, which spans and offsets count in; NUL behind it */
        uint32_t n_bytes;
        uint32_t n_variables; /* the largest number */
        bool names_own;       /* sql_name_is_own() of some table's name */
        bool has_index_hints; /* INDEXED BY, NOT INDEXED in a FROM clause */
        /* Those that have a name (":a", "?7", not "?"), each once, in the order in which they were
         * written. */
        struct sql_variables variables;
        union {
                struct sql_node *body; /* of kind type; NULL if SQL_EMPTY */
                struct sql_select *select;
                struct sql_insert *insert;
                struct sql_update *update;
                struct sql_delete *delete_;
                struct sql_create_table *create_table;
                struct sql_create_index *create_index;
                struct sql_create_view *create_view;
                struct sql_create_trigger *create_trigger;
                struct sql_create_virtual_table *create_virtual_table;
                struct sql_alter_table *alter_table;
                struct sql_drop *drop;
                struct sql_transaction *transaction;
                struct sql_pragma *pragma;
                struct sql_attach *attach;
                struct sql_detach *detach;
                struct sql_vacuum *vacuum;
                struct sql_maintenance *maintenance;
        };
};

/* ---- making, visiting, copying, comparing ---- */

static inline bool sql_is_expr(const struct sql_node *n)
{
        return n->kind >= SQL_EXPR_NULL && n->kind <= SQL_EXPR_LAST;
}

/* A node of that kind, all zero but its kind; cast it to its struct. NULL: the arena is exhausted.
 */
void *sql_new(struct arena *a, enum sql_kind kind) must_check_;

enum {
        SQL_MAX_DEPTH =
            1000, /* of what sql_parse() accepts, counted as SQLite counts expressions */
        SQL_MAX_WALK_DEPTH = 2500, /* nodes inside one another that the functions below follow */
};

enum sql_walk {
        SQL_WALK_ON = 0,
        SQL_WALK_SKIP, /* from pre: not into this node's children; post is still called for it */
        SQL_WALK_STOP,
        SQL_WALK_TOO_DEEP, /* only from sql_walk(): over SQL_MAX_WALK_DEPTH */
};

typedef enum sql_walk sql_walk_fn(struct sql_node *node, void *ctx);

/* Visits node and all below it, children in the order in which they are written: pre before a
 * node's children, post behind them, either may be NULL. A callback may change the node, also
 * overwrite it; children are read after pre. Returns SQL_WALK_ON when done, SQL_WALK_STOP if a
 * callback said so. */
enum sql_walk sql_walk(void *node, sql_walk_fn *pre, sql_walk_fn *post, void *ctx) must_check_;

/* A copy into the arena that shares nothing with the original but `bound` and the bytes of names
 * and texts, so that the original's arena has to live as long. NULL: the arena is exhausted, or the
 * tree is deeper than SQL_MAX_WALK_DEPTH. NULL gives NULL. */
void *sql_clone(struct arena *a, const void *node) must_check_;

/* The same tree, spans, offsets, depths, `bound` and the texts of result columns apart, and quotes
 * of names where they mean nothing ("x" may be a string; bare TRUE is a value). fold_names: names
 * are the same regardless of ASCII case. */
bool sql_equal(const void *a, const void *b, bool fold_names);
