/* parser_int.h - what lexer, grammar and tree builder share while one statement is parsed. */
#pragma once

#include "common/arena.h"
#include "common/err.h"
#include "sql/lexer_int.h"
#include "sql/tree.h"
#include "sql/tree_ddl.h"

/* Stands in for any node once the arena is exhausted, so that the grammar's actions need not look:
 * what is built then is thrown away. */
union sql_any_node {
        struct sql_node node;
        struct sql_expr expr;
        struct sql_select select;
        struct sql_arm arm;
        struct sql_source source;
        struct sql_insert insert;
        struct sql_update update;
        struct sql_delete delete_;
        struct sql_create_table create_table;
        struct sql_constraint constraint;
        struct sql_window window;
        char room[512];
};

/* Owner: the call of sql_parse() on whose stack it is. */
struct sql_parser {
        struct arena *arena;
        const char *text; /* the arena's copy, a NUL behind it */
        uint32_t n_bytes;
        struct sql_stmt *stmt;
        struct sql_token current; /* what is being given to the grammar */
        int current_code;
        uint32_t end_of_last; /* end of the token before */
        bool done;            /* a whole command has been read */
        bool failed;
        bool is_incomplete; /* failed because the text ends too early */
        struct err err;     /* valid once failed; offset counts from text */
        bool in_trigger;
        bool last_option_is_shoal;
        struct sql_name column; /* of a table, being defined */
        uint32_t *slots;        /* numbers of the named variables, an open hash table; 0: free */
        uint32_t n_slots;
        uint32_t n_named;
        union sql_any_node spare;
};

/* Drives the grammar over the text until a command is complete or something is wrong. */
void sql_grammar_run(struct sql_parser *p);

/* ---- errors; a later one replaces an earlier one, as in SQLite ---- */

/* near "X": syntax error, or incomplete input at the end of the text. */
void sql_fail_syntax(struct sql_parser *p, struct sql_token at);
/* SQLite's own words for what else it finds while parsing. */
void sql_fail(struct sql_parser *p, uint32_t offset, const char *fmt, ...) printf_(3, 4);
/* Nested too deeply. */
void sql_fail_complex(struct sql_parser *p, const char *sqlite_msg);

/* ---- building. None returns NULL. The end of a new node is where the last token ended. ---- */

void *sql_node_new(struct sql_parser *p, enum sql_kind kind);
struct sql_name sql_name_from(struct sql_parser *p, struct sql_token t);
bool sql_token_is(const struct sql_parser *p, struct sql_token t, const char *word);
struct sql_str sql_text_between(struct sql_parser *p, uint32_t start, uint32_t end);
/* What lies between, blanks at either end left out. */
struct sql_str sql_trimmed_text(struct sql_parser *p, uint32_t start, uint32_t end);
struct sql_table_name *sql_table_name_new(struct sql_parser *p, struct sql_name schema,
                                          struct sql_name name);

/* Appends to any list of nodes; an exhausted arena is noticed elsewhere. */
#define sql_push(p, list, item) ((void)!sql_list_add((p)->arena, (list), (item)))
void sql_names_push(struct sql_parser *p, struct sql_names *list, struct sql_name name);
void sql_strs_push(struct sql_parser *p, struct sql_strs *list, struct sql_span span);

/* ---- expressions ---- */

struct sql_expr *sql_expr_new(struct sql_parser *p, enum sql_kind kind, uint32_t start);
/* Works out the depth of what hangs below, which may be too much. */
struct sql_expr *sql_expr_finish(struct sql_parser *p, struct sql_expr *e);
struct sql_expr *sql_expr_literal(struct sql_parser *p, enum sql_kind kind, struct sql_token t);
struct sql_expr *sql_expr_clock(struct sql_parser *p, struct sql_token t);
struct sql_expr *sql_expr_variable(struct sql_parser *p, struct sql_token t);
struct sql_expr *sql_expr_column(struct sql_parser *p, struct sql_name schema,
                                 struct sql_name table, struct sql_name column);
struct sql_expr *sql_expr_unary(struct sql_parser *p, enum sql_kind kind, struct sql_expr *left,
                                uint32_t start);
struct sql_expr *sql_expr_binary(struct sql_parser *p, enum sql_kind kind, struct sql_expr *left,
                                 struct sql_expr *right);
/* IS and its kin: IS NULL and IS NOT NULL become kinds of their own. */
struct sql_expr *sql_expr_is(struct sql_parser *p, enum sql_kind kind, struct sql_expr *left,
                             struct sql_expr *right);
struct sql_expr *sql_expr_like(struct sql_parser *p, struct sql_token word, bool is_not,
                               struct sql_expr *left, struct sql_expr *right,
                               struct sql_expr *escape);
struct sql_expr *sql_expr_in(struct sql_parser *p, enum sql_kind kind, bool is_not,
                             struct sql_expr *left);
struct sql_expr *sql_expr_call(struct sql_parser *p, struct sql_token name,
                               enum sql_distinct distinct, struct sql_exprs args, bool is_star);
struct sql_expr *sql_expr_call_finish(struct sql_parser *p, struct sql_expr *call,
                                      struct sql_expr *filter, struct sql_window *over);

struct sql_frame_bound {
        enum sql_bound type;
        struct sql_expr *expr;
};
void sql_window_frame(struct sql_parser *p, struct sql_window *w, enum sql_frame_type type,
                      struct sql_frame_bound start, struct sql_frame_bound end,
                      enum sql_exclude exclude);

/* ---- SELECT ---- */

struct sql_limit {
        struct sql_expr *limit, *offset;
        bool comma;
};

/* One arm with the clauses that belong to the whole compound if it is the last. */
struct sql_arm_clauses {
        struct sql_arm *arm;
        struct sql_order_terms order_by;
        struct sql_limit limit;
};

/* A compound being read. */
struct sql_compound_state {
        struct sql_select *select;
        const char *misplaced;      /* "ORDER BY" or "LIMIT" of an arm that is not the last */
        enum sql_compound compound; /* the operator behind it */
};

struct sql_compound_state sql_compound_begin(struct sql_parser *p,
                                             const struct sql_arm_clauses *first);
void sql_compound_add(struct sql_parser *p, struct sql_compound_state *c, enum sql_compound op,
                      const struct sql_arm_clauses *next);
struct sql_select *sql_compound_end(struct sql_parser *p, struct sql_compound_state c,
                                    struct sql_with *with);
/* here: where the token behind the expression begins. */
struct sql_result *sql_result_new(struct sql_parser *p, struct sql_expr *e, uint32_t here,
                                  struct sql_name alias);

struct sql_from_prefix {
        struct sql_sources sources;
        uint32_t join;
};

struct sql_join_constraint {
        struct sql_expr *on;
        struct sql_names using_columns;
};

struct sql_source *sql_source_new(struct sql_parser *p, enum sql_source_type type, uint32_t start,
                                  struct sql_name alias);
struct sql_sources sql_from_add(struct sql_parser *p, struct sql_from_prefix *prefix,
                                struct sql_source *s, const struct sql_join_constraint *c);
/* Up to three words before JOIN; those absent have n_bytes 0. */
uint32_t sql_join_type(struct sql_parser *p, struct sql_token a, struct sql_token b,
                       struct sql_token c);

/* ---- INSERT, UPDATE, DELETE ---- */

struct sql_insert_tail {
        struct sql_upserts upserts;
        struct sql_results returning;
};

struct sql_index_hint {
        struct sql_name name;
        bool not_indexed;
};

struct sql_insert *sql_insert_finish(struct sql_parser *p, struct sql_insert *s,
                                     struct sql_with *with, struct sql_table_name *table,
                                     struct sql_names columns, struct sql_select *select,
                                     const struct sql_insert_tail *tail);

/* ---- DDL and the rest: build_ddl.c ---- */

struct sql_index_flags {
        bool is_unique;
        bool is_global;
};

struct sql_trigger_event {
        enum sql_kind kind;
        struct sql_names columns;
};

struct sql_pragma_value {
        struct sql_token token;
        bool is_number;
        bool is_negative;
};

struct sql_column_def *sql_column_def_new(struct sql_parser *p, struct sql_name name,
                                          struct sql_span type);
struct sql_constraint *sql_constraint_new(struct sql_parser *p, enum sql_constraint_type type,
                                          uint32_t start);
/* joined: not parted by a comma from what is before, whose CONSTRAINT name it then takes. */
void sql_constraint_push(struct sql_parser *p, struct sql_constraints *list,
                         struct sql_constraint *c, bool joined);
void sql_generated_storage(struct sql_parser *p, struct sql_constraint *c, struct sql_token word);
struct sql_table_option *sql_option_new(struct sql_parser *p, enum sql_table_option_type type,
                                        uint32_t start);
struct sql_table_option *sql_option_word(struct sql_parser *p, struct sql_token word);
struct sql_table_option *sql_option_without(struct sql_parser *p, struct sql_token first,
                                            struct sql_token word);
void sql_option_push(struct sql_parser *p, struct sql_table_options *list,
                     struct sql_table_option *o);
struct sql_node *sql_alter_finish(struct sql_parser *p, struct sql_alter_table *s,
                                  enum sql_alter_type type, struct sql_name column,
                                  struct sql_name new_name);
struct sql_node *sql_drop_new(struct sql_parser *p, struct sql_token first, enum sql_object object,
                              bool if_exists, struct sql_table_name *name);
struct sql_node *sql_transaction_new(struct sql_parser *p, struct sql_token first,
                                     enum sql_transaction_type type, struct sql_name savepoint);
struct sql_node *sql_pragma_finish(struct sql_parser *p, struct sql_pragma *s,
                                   enum sql_pragma_form form, struct sql_pragma_value value);
struct sql_node *sql_vacuum_new(struct sql_parser *p, struct sql_token first,
                                struct sql_name schema, struct sql_expr *into);
struct sql_node *sql_maintenance_new(struct sql_parser *p, enum sql_kind kind,
                                     struct sql_token first, struct sql_table_name *name);
void sql_statement_done(struct sql_parser *p, enum sql_explain explain, struct sql_node *body);
