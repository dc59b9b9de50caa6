/* catalog.h - what a gate knows of one keyspace at one schema version: tables, their sharding, the
 * shard map, and an in-memory SQLite with the schema and no rows (the shadow), which answers
 * whether a statement is valid, what its columns and parameters are. Reference counted; immutable
 * but for the shadow and the statistics, which belong to the loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/shard_map.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "proto/shoal/v1/internal.pb-c.h"

struct arena;
struct sqlite3;

/* Column affinities as in https://sqlite.org/datatype3.html section 3.1. */
enum affinity {
        AFFINITY_BLOB = 0,
        AFFINITY_TEXT,
        AFFINITY_NUMERIC,
        AFFINITY_INTEGER,
        AFFINITY_REAL
};

/* What of a text is looked at when it is hashed: the coarsest of the collations in use on the
 * column. */
enum { FOLD_CASE = 1, FOLD_TRAILING_SPACES = 2 };

struct catalog_column {
        const char *name;
        const char *declared_type; /* "" if none */
        const char *collation;     /* "BINARY", "NOCASE", "RTRIM" */
        const char *fallback;      /* DEFAULT expression as SQL; NULL if none */
        enum affinity affinity;
        unsigned fold;   /* of the column and every uniqueness constraint on it */
        int primary_key; /* position in the primary key from 1; 0: not in it */
        bool not_null;
        bool generated;
        bool computed; /* generated anew wherever it is read: VIRTUAL */
        bool hidden;
};

enum sharding_type { SHARDING_HASH = 0, SHARDING_UNSHARDED, SHARDING_REFERENCE };

struct catalog_table {
        const char *name;
        const char *sql; /* as SQLite stores it */
        struct catalog_column *columns;
        size_t n_columns;
        int rowid_column; /* index of the INTEGER PRIMARY KEY column; -1: the rowid has no column */
        const char *rowid_name; /* a name under which the rowid can be read and written; NULL:
                                   WITHOUT ROWID, or all hidden by columns */
        bool without_rowid;
        bool autoincrement;
        bool strict;
        enum sharding_type sharding;
        int *shard_columns; /* indexes into columns; -1 stands for the rowid */
        size_t n_shard_columns;
};

struct catalog;

/* Builds a catalog from a keyspace of the topology. ERR_INTERNAL: its SQL does not run, or the
 * shards do not cover the range. Loop thread. */
enum err_code catalog_new(const Shoal__V1__Keyspace *k, struct catalog **ret_catalog,
                          struct err *reterr) must_check_;
struct catalog *catalog_ref(struct catalog *c);
struct catalog *catalog_unref(struct catalog *c); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct catalog *, catalog_unref);

const char *catalog_name(const struct catalog *c);
uint64_t catalog_id(const struct catalog *c);
uint64_t catalog_schema_version(const struct catalog *c);
struct shard_map *catalog_shards(const struct catalog *c); /* borrowed */
/* Case-insensitive; a leading "main." is the caller's business. NULL if absent. */
const struct catalog_table *catalog_find_table(const struct catalog *c, const char *name);
size_t catalog_n_tables(const struct catalog *c);
const struct catalog_table *catalog_table_at(const struct catalog *c, size_t i);
/* An index, view or trigger; NULL if absent. */
const Shoal__V1__SchemaObject *catalog_find_object(const struct catalog *c, const char *name);
size_t catalog_n_objects(const struct catalog *c);
/* In the order in which they were created. */
const Shoal__V1__SchemaObject *catalog_object_at(const struct catalog *c, size_t i);
int catalog_column_index(const struct catalog_table *t, const char *name); /* -1 if absent */

/* ---- what is known of the rows (topo/statistics.h): estimates, for the choice of plans and
 * nothing else. Loop thread. */

/* Takes over what topo tells of a table; nothing if there is no such table here. */
void catalog_set_statistics(struct catalog *c, const Shoal__V1__TableStatistics *m);
/* Rises when an estimate changes: plans of an older version may be worth making anew. */
uint64_t catalog_statistics_version(const struct catalog *c);
bool catalog_has_statistics(const struct catalog *c, const struct catalog_table *t);
/* How many rows t has; a guess if nobody has looked. */
double catalog_table_rows(const struct catalog *c, const struct catalog_table *t);
/* How many of them have one and the same value of the column (an index into t->columns, or -1 for
 * the rowid). */
double catalog_equal_rows(const struct catalog *c, const struct catalog_table *t, int column);

/* The statements that make the schema, in order; immutable. */
const char *const *catalog_creates(const struct catalog *c, size_t *ret_n);

/* The shadow; schema only. Loop thread. */
struct sqlite3 *catalog_shadow(struct catalog *c);

/* An arena for what goes when a statement has been planned: given back, it is there for the next
 * one, its memory still warm. Loop thread. */
struct arena *catalog_take_scratch(struct catalog *c) must_check_;
void catalog_give_scratch(struct catalog *c, struct arena *scratch);

/* Where tables that are not sharded live: the shard with index 0. */
enum { CATALOG_HOME_SHARD = 0 };
