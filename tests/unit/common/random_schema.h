/* random_schema.h - random tables with all that SQLite lets them have, and random statements that
 * change their rows. */
#pragma once

#include <stdint.h>

#include "common/buf.h"

enum { MAX_RANDOM_TABLES = 4, MAX_RANDOM_COLUMNS = 6 };

struct random_column {
        char name[16]; /* quoted */
        bool is_generated;
};

struct random_table {
        char name[16]; /* quoted */
        struct random_column columns[MAX_RANDOM_COLUMNS + 8];
        unsigned n_columns, n_plain;
        bool has_rowid;
        const char *rowid; /* a name for it; NULL: none */
        int integer_key;   /* the column that is INTEGER PRIMARY KEY; -1: none */
};

struct random_schema {
        uint64_t random;
        struct random_table tables[MAX_RANDOM_TABLES];
        unsigned n_tables;
};

unsigned random_pick(struct random_schema *s, unsigned n);
/* Chooses tables, and appends what makes them, with indexes and triggers. */
void random_schema_make(struct random_schema *s, struct buf *b);
/* One that changes rows, or tries to. */
void random_schema_statement(struct random_schema *s, struct buf *b);
/* Adds a column to a table. */
void random_schema_alter(struct random_schema *s, struct buf *b);
