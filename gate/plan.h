/* plan.h - how a statement is run: parts sent to shards, and at most one statement over what they
 * return. Immutable, reference counted, used on the loop thread; its strings live in an arena of
 * its own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/value.h"
#include "gate/catalog.h"
#include "gate/route.h"
#include "gate/savepoints.h"

enum plan_kind {
        PLAN_LOCAL = 0, /* no table: the finish statement alone */
        PLAN_SINGLE_SHARD,
        PLAN_MULTI_SHARD,
        PLAN_SCATTER,
        PLAN_SCATTER_AGGREGATE,
        PLAN_REFERENCE,
        PLAN_UNSHARDED,
        PLAN_GATHER,
        PLAN_DDL,
        PLAN_EXPLAIN,
        PLAN_ANALYZE,     /* part 0 for the shards, `table` or all tables: gate/analyze.h */
        PLAN_TRANSACTION, /* BEGIN, COMMIT, ROLLBACK, savepoints */
        PLAN_N_KINDS,
};

/* "single_shard"; static storage. */
const char *plan_kind_name(enum plan_kind kind);

/* A part that is sent when another one's rows are there: only its rows that can meet them are
 * needed, if the keys are few enough (gate/key_set.h). */
struct plan_after {
        size_t part;                       /* whose rows name the keys … */
        size_t column;                     /* … in this column */
        const char *name;                  /* of the column that has to have one of them */
        const char *sql;                   /* "SELECT … IN (": keys and ")" follow */
        bool routes;                       /* the keys tell the shards: it alone shards `table` */
        const struct catalog_table *table; /* whose rows they are */
        double rows, rows_per_key;         /* how many there are, about; and for each key */
};

/* One statement for shards. It refers to the value vector as ?1 … ?N. */
struct plan_part {
        const char *sql;
        struct route route;
        bool cheap;           /* touches a handful of rows and computes little: Execute.cheap */
        const char *load_ddl; /* for the finish: creates the table its rows go into; NULL without a
                                 finish */
        const char *load_sql; /* "INSERT INTO … VALUES (?,…)", as many ? as the part has columns */
        size_t n_columns;
        const int *columns; /* of a gather: the table's columns, -1 for the rowid; else NULL */
        bool has_where;     /* sql ends in a WHERE clause */
        struct plan_after *after; /* NULL: sent at once */
};

/* How an element of the value vector behind the client's parameters and the extracted literals
 * comes about: a constant, a copy of an earlier element, or an expression. */
enum plan_slot_kind { SLOT_CONSTANT = 0, SLOT_COPY, SLOT_EXPRESSION, SLOT_CONNECTION };

/* What a session knows, and functions tell; all 0 outside of one. */
enum plan_connection {
        CONNECTION_CHANGES = 0,
        CONNECTION_TOTAL_CHANGES,
        CONNECTION_LAST_ROWID,
        CONNECTION_N,
};

struct plan_slot {
        enum plan_slot_kind kind;
        bool costly;           /* SLOT_EXPRESSION: it may take long, and is not run on the loop */
        bool rowid;            /* a NULL here becomes a new rowid of `table` */
        int from;              /* SLOT_COPY: index into the vector; SLOT_CONNECTION: which */
        const char *expr;      /* SLOT_EXPRESSION: "SELECT …" over the vector, run at the gate */
        struct value constant; /* SLOT_CONSTANT */
};

enum plan_ddl_verb {
        DDL_CREATE_TABLE = 0,
        DDL_DROP_TABLE,
        DDL_CREATE_INDEX,
        DDL_DROP_INDEX,
        DDL_CREATE_VIEW,
        DDL_DROP_VIEW,
        DDL_NOTHING
};

struct plan_ddl {
        enum plan_ddl_verb verb;     /* DDL_NOTHING: IF [NOT] EXISTS made it a no-op */
        const char *name;            /* of the table, index or view */
        const char *table;           /* of an index */
        const char *sql;             /* for the shards */
        const char *undo_sql;        /* takes it back on the shards; NULL: it can only go forward */
        Shoal__V1__Table *put_table; /* for BeginSchemaChange; borrowed from the plan */
        Shoal__V1__SchemaObject *put_object;
        const char *drop_table; /* NULL or the name */
        const char *drop_object;
};

/* The text of an INSERT: before its rows, each row "(…)", and behind them. */
struct plan_rows {
        const char *before, *behind;
        const char **rows;
        size_t n;
};

/* PLAN_TRANSACTION */
struct plan_control {
        enum savepoints_verb verb;
        const char *name; /* of the savepoint; NULL */
};

struct plan {
        enum plan_kind kind;
        bool read_only; /* as sqlite3_stmt_readonly */
        uint64_t keyspace_id;
        uint64_t schema_version;

        struct plan_part *parts;
        size_t n_parts;
        const char *finish_sql; /* over the parts' tables, or alone (PLAN_LOCAL); NULL: the rows of
                                   the only part are the answer */
        bool on_schema;         /* PLAN_LOCAL: runs where the catalog's schema is, without rows */
        bool plain_functions;   /* on_schema: SQLite's functions only, for they are listed */
        bool quick_finish;      /* PLAN_LOCAL: nothing in it takes long, it may run on the loop */

        /* The answer's columns: n fields 1 (columns) of a ResultSet, encoded; goes before the rows'
         * bytes. Empty for statements without rows. */
        const uint8_t *columns;
        size_t n_columns_bytes;
        size_t n_columns;

        /* The value vector: the client's parameters by SQLite's numbers, then the literals the
         * normaliser took out, then slots. */
        size_t n_params;
        const char *
            *param_names; /* n_params + n_literals; ":a", "?3", or "" for a plain ? (and gaps) */
        size_t n_literals;
        struct plan_slot *slots;
        size_t n_slots;
        size_t n_expressions;              /* slots that are */
        bool costly_expressions;           /* one of them is */
        const struct catalog_table *table; /* target of a write, or of ANALYZE; NULL for reads */
        int *insert_ids; /* INSERT: slots that hold the rowids of its rows, in order; NULL if it
                            gives none */
        size_t n_insert_ids;

        const struct plan_rows *rows; /* INSERT of several rows: in pieces; else NULL */
        bool keeps_rows; /* OR FAIL, OR ROLLBACK: a failure does not undo the statement alone */
        struct plan_ddl *ddl; /* PLAN_DDL */
        const struct plan_control *control;
        struct plan *explained;    /* PLAN_EXPLAIN: rows are made by gate/explain.h */
        bool analyze;              /* EXPLAIN ANALYZE */
        const uint8_t *query_plan; /* EXPLAIN QUERY PLAN: its rows, fields 2 of a ResultSet;
                                      explained is NULL */
        size_t n_query_plan_bytes;
        struct catalog *catalog; /* a reference */
        /* What a success of this write does to the rowids of `table`. The default is always right.
         */
        enum plan_rowids {
                ROWIDS_ANY = 0, /* anything */
                ROWIDS_KEPT,    /* nothing: an UPDATE that assigns none */
                ROWIDS_ADDED,   /* puts exactly those of insert_ids (indexes into the value vector)
                                   into it:   INSERT of VALUES without OR IGNORE, OR REPLACE, ON
                                   CONFLICT */
                ROWIDS_REMOVED, /* takes some away: DELETE */
        } rowids;
        struct arena *arena; /* holds the plan itself and all it points to */
        unsigned refs;
};

struct plan *plan_ref(struct plan *p);
struct plan *plan_unref(struct plan *p); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct plan *, plan_unref);

/* Plans one statement. ERR_INVALID, ERR_NOT_FOUND, …: what SQLite says of it, with offset;
 * ERR_UNIMPLEMENTED: with the reason; ERR_EXHAUSTED: too large. n_literals: how many of the
 * parameters at the end the normaliser took out. Loop thread. */
enum err_code plan_build(struct catalog *c, const char *sql, size_t n_bytes, size_t n_literals,
                         struct plan **ret_plan, struct err *reterr) must_check_;

/* The same for a query of which shards have computed too much: an error that SQLite would have come
 * upon only in rows, or branches, that it never gets to. Here shards compare columns with values
 * and no more; all the rest is done at the gate, by SQLite in its own order. For any other
 * statement it is plan_build(). */
enum err_code plan_build_lazily(struct catalog *c, const char *sql, size_t n_bytes,
                                struct plan **ret_plan, struct err *reterr) must_check_;

/* ---- the value vector of one execution */

struct plan_values {
        struct value
            *values; /* n_params + n_literals + n_slots; text and blobs borrowed or in the arena */
        size_t n;
};

/* A parameter of the client: name NULL for positional ones. */
struct plan_arg {
        const char *name;
        struct value value;
};

/* Binds positional and named arguments (names with or without the sigil), literals, and computes
 * slots except new rowids. connection: CONNECTION_N numbers, or NULL. ERR_INVALID (reason
 * BAD_PARAMETERS): too many, a name that is not in the statement or is ambiguous. Missing ones are
 * NULL, as in SQLite. A slot's expression may fail as SQLite fails. Any thread. */
enum err_code plan_bind(const struct plan *p, const struct plan_arg *args, size_t n_args,
                        const struct value *literals, const int64_t *connection, int64_t now_ms,
                        struct arena *arena, struct plan_values *ret_values,
                        struct err *reterr) must_check_;
/* The statement for one shard: with the rows whose element of slots is slot, over values of its
 * own. NULL: the arena is full. */
const char *plan_rows_print(const struct plan_rows *rows, const uint32_t *slots, uint32_t slot,
                            const struct plan_values *values, struct arena *arena,
                            struct plan_values *ret_values);
/* May plan_bind() with these run on the loop thread? If not, gate/bind.h runs it elsewhere. */
bool plan_binds_quickly(const struct plan *p, const struct plan_arg *args, size_t n_args,
                        const struct value *literals);
/* Slots that still need a new rowid (slot.rowid and the value is NULL): how many. */
size_t plan_n_new_rowids(const struct plan *p, const struct plan_values *v);

/* Shards of a part, as in route_resolve. For a write, more than one shard is ERR_UNIMPLEMENTED
 * (reason WRITE_SPANS_SHARDS). */
enum err_code plan_route(const struct plan *p, size_t part, const struct plan_values *v,
                         uint64_t *ret_bits, size_t *ret_n_shards, struct err *reterr) must_check_;
