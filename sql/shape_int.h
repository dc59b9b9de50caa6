/* shape_int.h - what each kind of node consists of, for what is done to all kinds alike: visiting,
 * copying, comparing. Immutable. */
#pragma once

#include <assert.h>

#include "sql/tree.h"

enum sql_field_type {
        SQL_FIELD_END = 0,
        SQL_FIELD_NODE,  /* struct sql_… *, perhaps NULL */
        SQL_FIELD_NODES, /* SQL_LIST_OF(struct sql_… *) */
        SQL_FIELD_NAME,
        SQL_FIELD_NAMES,
        SQL_FIELD_STR,
        SQL_FIELD_STRS,
        SQL_FIELD_BOOL,
        SQL_FIELD_NUMBER, /* an enum or uint32_t */
};

struct sql_field {
        uint16_t type; /* of enum sql_field_type */
        uint16_t offset;
};

struct sql_shape {
        size_t n_bytes;
        size_t n_children;                /* of the fields, those that are … */
        const struct sql_field *children; /* … SQL_FIELD_NODE or SQL_FIELD_NODES */
        const struct sql_field *fields;   /* in the order in which they are written in SQL */
};

extern struct sql_shape sql_shapes_[SQL_EXPR_LAST + 1]; /* immutable once main() has begun */

/* Of any kind but SQL_NONE and SQL_EMPTY. */
static inline const struct sql_shape *sql_shape_of(enum sql_kind kind)
{
        assert((size_t)kind <= SQL_EXPR_LAST && sql_shapes_[kind].n_bytes);
        return &sql_shapes_[kind];
}

/* TRUE and FALSE, which are values when they stand bare. */
bool sql_name_is_truth(const struct sql_name *n);
/* A column's name, but not bare TRUE and FALSE. */
bool sql_expr_is_column(const struct sql_expr *e);

bool sql_strs_add(struct arena *a, struct sql_strs *list, struct sql_str s);
bool sql_variables_add(struct arena *a, struct sql_variables *list, struct sql_variable v);
