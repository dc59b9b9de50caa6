/* catalog_int.h - reading a table's shape back from an SQLite that has it; shared with the planning
 * of DDL. Loop thread. */
#pragma once

#include <stdbool.h>

#include "common/arena.h"
#include "gate/catalog.h"

/* An empty in-memory database, guarded, in which schemas are tried out. */
enum err_code catalog_open_shadow(struct sqlite3 **ret_db, struct err *reterr) must_check_;
/* Everything but the sharding. Strings lie in the arena. */
enum err_code catalog_read_table(struct arena *a, struct sqlite3 *db, const char *name,
                                 struct catalog_table *ret_table, struct err *reterr) must_check_;
/* The primary key has an index of its own, so it is not the rowid. */
bool catalog_has_primary_key_index(struct sqlite3 *db, const char *table);
enum affinity catalog_affinity(const char *declared_type);
unsigned catalog_fold(const char *collation);

/* ---- statistics (catalog_statistics.c) */
struct table_estimate {
        bool is_known;
        double rows;
        double *equal_rows; /* per column; 0: not known. malloc'ed, NULL while nothing is known */
};
/* Of a table of c; the catalog's own. */
struct table_estimate *catalog_estimate(const struct catalog *c, const struct catalog_table *t);
void catalog_estimates_changed(struct catalog *c); /* the version rises */

enum { CATALOG_NO_COLUMN = -2 };
/* Indexes of the columns of an index of t, in order; -1: the rowid; CATALOG_NO_COLUMN: an
 * expression. The result is their number; 0: no such index. The primary key of a table WITHOUT
 * ROWID goes by the table's name. */
size_t catalog_index_columns(const struct catalog *c, const struct catalog_table *t,
                             const char *index, int *ret_columns, size_t max_columns);
