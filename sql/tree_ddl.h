/* tree_ddl.h - nodes of the statements that are not queries: CREATE, ALTER, DROP, transactions,
 * PRAGMA and the rest. See tree.h for what holds of every node. */
#pragma once

#include "sql/tree.h"

/* ---- CREATE ---- */

enum sql_constraint_type {
        SQL_CONSTRAINT_NAME = 0, /* CONSTRAINT x with nothing behind it: SQLite takes that */
        SQL_CONSTRAINT_PRIMARY_KEY,
        SQL_CONSTRAINT_UNIQUE,
        SQL_CONSTRAINT_CHECK,       /* expr */
        SQL_CONSTRAINT_FOREIGN_KEY, /* REFERENCES */
        SQL_CONSTRAINT_NOT_NULL,    /* of columns only, as all below */
        SQL_CONSTRAINT_NULL,
        SQL_CONSTRAINT_DEFAULT, /* expr; a bare name stands for the string, TRUE and FALSE excepted
                                 */
        SQL_CONSTRAINT_COLLATE, /* collation */
        SQL_CONSTRAINT_GENERATED,  /* expr */
        SQL_CONSTRAINT_DEFERRABLE, /* DEFERRABLE apart from its REFERENCES: deferrable, initially */
};

enum sql_action {
        SQL_ACTION_NONE = 0, /* nothing written: means NO ACTION */
        SQL_ACTION_NO_ACTION,
        SQL_ACTION_RESTRICT,
        SQL_ACTION_SET_NULL,
        SQL_ACTION_SET_DEFAULT,
        SQL_ACTION_CASCADE,
};

enum sql_deferrable {
        SQL_DEFERRABLE_NONE = 0,
        SQL_DEFERRABLE_YES,
        SQL_DEFERRABLE_NOT,
};

enum sql_initially {
        SQL_INITIALLY_NONE = 0,
        SQL_INITIALLY_DEFERRED,
        SQL_INITIALLY_IMMEDIATE,
};

enum sql_storage {
        SQL_STORAGE_VIRTUAL = 0, /* also if nothing is written */
        SQL_STORAGE_STORED,
};

struct sql_constraint {
        SQL_NODE;
        enum sql_constraint_type type;
        struct sql_name name; /* CONSTRAINT name */
        enum sql_conflict conflict;
        /* PRIMARY KEY and UNIQUE of a table; of a column: none, and PRIMARY KEY has sort */
        struct sql_order_terms columns;
        enum sql_sort sort;
        bool autoincrement;
        struct sql_expr *expr;
        bool is_parenthesised; /* DEFAULT (expr) */
        enum sql_storage storage;
        struct sql_name collation;
        /* FOREIGN KEY */
        struct sql_names from_columns; /* of a table constraint */
        struct sql_name to_table;
        struct sql_names to_columns;
        enum sql_action on_delete, on_update;
        enum sql_deferrable deferrable;
        enum sql_initially initially;
};
struct sql_constraints SQL_LIST_OF(struct sql_constraint *);

struct sql_column_def {
        SQL_NODE;
        struct sql_name name;
        struct sql_str type; /* as written: "VARCHAR ( 10 )"; absent if none */
        struct sql_constraints constraints;
};
struct sql_column_defs SQL_LIST_OF(struct sql_column_def *);

enum sql_table_option_type {
        SQL_OPTION_WITHOUT_ROWID = 0,
        SQL_OPTION_STRICT,
        /* Shoal's own */
        SQL_OPTION_SHARD_BY_HASH, /* columns */
        SQL_OPTION_SHARD_BY_CONSISTENT_HASH,
        SQL_OPTION_SHARD_BY_RANGE, /* columns, split_at */
        SQL_OPTION_UNSHARDED,
        SQL_OPTION_REFERENCE,
};

struct sql_table_option {
        SQL_NODE;
        enum sql_table_option_type type;
        struct sql_names columns;
        struct sql_exprs split_at; /* with several columns: vectors */
};
struct sql_table_options SQL_LIST_OF(struct sql_table_option *);

struct sql_create_table {
        SQL_NODE;
        bool is_temp;
        bool if_not_exists;
        struct sql_table_name *table;
        struct sql_column_defs columns;
        struct sql_constraints constraints;
        struct sql_table_options options; /* in the order written */
        struct sql_select *select;        /* CREATE TABLE … AS; all three above are empty then */
        struct sql_span body; /* from the opening parenthesis behind the name to the closing one */
};

struct sql_create_index {
        SQL_NODE;
        bool is_unique;
        bool is_global; /* Shoal's own */
        bool if_not_exists;
        struct sql_table_name *index;
        struct sql_name table;
        struct sql_order_terms columns;
        struct sql_expr *where;
};

struct sql_create_view {
        SQL_NODE;
        bool is_temp;
        bool if_not_exists;
        struct sql_table_name *view;
        struct sql_names columns;
        struct sql_select *select;
};

enum sql_trigger_time {
        SQL_TRIGGER_TIME_NONE = 0, /* means BEFORE */
        SQL_TRIGGER_BEFORE,
        SQL_TRIGGER_AFTER,
        SQL_TRIGGER_INSTEAD_OF,
};

struct sql_create_trigger {
        SQL_NODE;
        bool is_temp;
        bool if_not_exists;
        bool for_each_row;
        struct sql_table_name *trigger;
        enum sql_trigger_time time;
        enum sql_kind event; /* SQL_INSERT, SQL_UPDATE or SQL_DELETE */
        struct sql_names update_of;
        struct sql_table_name *table;
        struct sql_expr *when;
        struct sql_nodes body; /* sql_select, sql_insert, sql_update, sql_delete */
};

struct sql_create_virtual_table {
        SQL_NODE;
        bool if_not_exists;
        struct sql_table_name *table;
        struct sql_name module;
        struct sql_strs args; /* as written, without the blanks around them */
        bool has_args;        /* parentheses were written */
};

/* ---- the rest ---- */

enum sql_alter_type {
        SQL_ALTER_RENAME_TABLE = 0, /* to new_name */
        SQL_ALTER_RENAME_COLUMN,    /* column to new_name */
        SQL_ALTER_ADD_COLUMN,       /* column_def */
        SQL_ALTER_DROP_COLUMN,      /* column */
};

struct sql_alter_table {
        SQL_NODE;
        enum sql_alter_type type;
        struct sql_table_name *table;
        struct sql_name column;
        struct sql_name new_name;
        struct sql_column_def *column_def;
};

enum sql_object {
        SQL_OBJECT_TABLE = 0,
        SQL_OBJECT_INDEX,
        SQL_OBJECT_VIEW,
        SQL_OBJECT_TRIGGER,
};

struct sql_drop {
        SQL_NODE;
        enum sql_object object;
        bool if_exists;
        struct sql_table_name *name;
};

enum sql_transaction_type {
        SQL_TRANSACTION_BEGIN = 0,
        SQL_TRANSACTION_BEGIN_DEFERRED,
        SQL_TRANSACTION_BEGIN_IMMEDIATE,
        SQL_TRANSACTION_BEGIN_EXCLUSIVE,
        SQL_TRANSACTION_COMMIT, /* END too */
        SQL_TRANSACTION_ROLLBACK,
        SQL_TRANSACTION_ROLLBACK_TO, /* savepoint, as the two below */
        SQL_TRANSACTION_SAVEPOINT,
        SQL_TRANSACTION_RELEASE,
};

struct sql_transaction {
        SQL_NODE;
        enum sql_transaction_type type;
        struct sql_name savepoint;
};

enum sql_pragma_form {
        SQL_PRAGMA_GET = 0, /* PRAGMA name */
        SQL_PRAGMA_SET,     /* PRAGMA name = value */
        SQL_PRAGMA_CALL,    /* PRAGMA name (value) */
};

struct sql_pragma {
        SQL_NODE;
        struct sql_table_name *name;
        enum sql_pragma_form form;
        bool is_number;        /* value is a number, sign included */
        struct sql_name value; /* a name, string, keyword or number */
};

struct sql_attach {
        SQL_NODE;
        struct sql_expr *file;
        struct sql_expr *schema;
        struct sql_expr *key;
};

struct sql_detach {
        SQL_NODE;
        struct sql_expr *schema;
};

struct sql_vacuum {
        SQL_NODE;
        struct sql_name schema;
        struct sql_expr *into;
};

/* ANALYZE and REINDEX. */
struct sql_maintenance {
        SQL_NODE;
        struct sql_table_name *name; /* NULL: of everything */
};
