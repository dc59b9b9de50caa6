/* shape.c - the tables of shape_int.h: one for each kind of node, its members in the order in which
 * they are written in SQL. A member that is missing here is neither visited nor copied nor
 * compared. */
#include "sql/shape_int.h"

#include <assert.h>

#include "common/util.h"
#include "sql/tree_ddl.h"

enum { MAX_CHILDREN = 512 }; /* of all kinds */

#define FIELD(kind, type, member)                                     \
        {                                                             \
                SQL_FIELD_##kind, offsetof(struct sql_##type, member) \
        }
#define END                      \
        {                        \
                SQL_FIELD_END, 0 \
        }

/* clang-format off */
static const struct sql_field select_fields[] = {
        FIELD(NODE, select, with), FIELD(NODES, select, arms), FIELD(NODES, select, order_by),
        FIELD(NODE, select, limit), FIELD(NODE, select, offset), FIELD(BOOL, select, limit_comma), END,
};
static const struct sql_field insert_fields[] = {
        FIELD(NODE, insert, with), FIELD(BOOL, insert, is_replace), FIELD(NUMBER, insert, conflict),
        FIELD(NODE, insert, table), FIELD(NAME, insert, alias), FIELD(NAMES, insert, columns),
        FIELD(NODE, insert, select), FIELD(NODES, insert, upserts), FIELD(NODES, insert, returning), END,
};
static const struct sql_field update_fields[] = {
        FIELD(NODE, update, with), FIELD(NUMBER, update, conflict), FIELD(NODE, update, table),
        FIELD(NAME, update, alias), FIELD(NAME, update, indexed_by), FIELD(BOOL, update, not_indexed),
        FIELD(NODES, update, sets), FIELD(NODES, update, from), FIELD(NODE, update, where),
        FIELD(NODES, update, returning), FIELD(NODES, update, order_by), FIELD(NODE, update, limit),
        FIELD(NODE, update, offset), FIELD(BOOL, update, limit_comma), END,
};
static const struct sql_field delete_fields[] = {
        FIELD(NODE, delete, with), FIELD(NODE, delete, table), FIELD(NAME, delete, alias),
        FIELD(NAME, delete, indexed_by), FIELD(BOOL, delete, not_indexed), FIELD(NODE, delete, where),
        FIELD(NODES, delete, returning), FIELD(NODES, delete, order_by), FIELD(NODE, delete, limit),
        FIELD(NODE, delete, offset), FIELD(BOOL, delete, limit_comma), END,
};
static const struct sql_field create_table_fields[] = {
        FIELD(BOOL, create_table, is_temp), FIELD(BOOL, create_table, if_not_exists),
        FIELD(NODE, create_table, table), FIELD(NODES, create_table, columns),
        FIELD(NODES, create_table, constraints), FIELD(NODES, create_table, options),
        FIELD(NODE, create_table, select), END,
};
static const struct sql_field create_index_fields[] = {
        FIELD(BOOL, create_index, is_unique), FIELD(BOOL, create_index, is_global),
        FIELD(BOOL, create_index, if_not_exists), FIELD(NODE, create_index, index),
        FIELD(NAME, create_index, table), FIELD(NODES, create_index, columns),
        FIELD(NODE, create_index, where), END,
};
static const struct sql_field create_view_fields[] = {
        FIELD(BOOL, create_view, is_temp), FIELD(BOOL, create_view, if_not_exists),
        FIELD(NODE, create_view, view), FIELD(NAMES, create_view, columns),
        FIELD(NODE, create_view, select), END,
};
static const struct sql_field create_trigger_fields[] = {
        FIELD(BOOL, create_trigger, is_temp), FIELD(BOOL, create_trigger, if_not_exists),
        FIELD(NODE, create_trigger, trigger), FIELD(NUMBER, create_trigger, time),
        FIELD(NUMBER, create_trigger, event), FIELD(NAMES, create_trigger, update_of),
        FIELD(NODE, create_trigger, table), FIELD(BOOL, create_trigger, for_each_row),
        FIELD(NODE, create_trigger, when), FIELD(NODES, create_trigger, body), END,
};
static const struct sql_field create_virtual_table_fields[] = {
        FIELD(BOOL, create_virtual_table, if_not_exists), FIELD(NODE, create_virtual_table, table),
        FIELD(NAME, create_virtual_table, module), FIELD(STRS, create_virtual_table, args),
        FIELD(BOOL, create_virtual_table, has_args), END,
};
static const struct sql_field alter_table_fields[] = {
        FIELD(NODE, alter_table, table), FIELD(NUMBER, alter_table, type), FIELD(NAME, alter_table, column),
        FIELD(NAME, alter_table, new_name), FIELD(NODE, alter_table, column_def), END,
};
static const struct sql_field drop_fields[] = {
        FIELD(NUMBER, drop, object), FIELD(BOOL, drop, if_exists), FIELD(NODE, drop, name), END,
};
static const struct sql_field transaction_fields[] = {
        FIELD(NUMBER, transaction, type), FIELD(NAME, transaction, savepoint), END,
};
static const struct sql_field pragma_fields[] = {
        FIELD(NODE, pragma, name), FIELD(NUMBER, pragma, form), FIELD(BOOL, pragma, is_number),
        FIELD(NAME, pragma, value), END,
};
static const struct sql_field attach_fields[] = {
        FIELD(NODE, attach, file), FIELD(NODE, attach, schema), FIELD(NODE, attach, key), END,
};
static const struct sql_field detach_fields[] = { FIELD(NODE, detach, schema), END };
static const struct sql_field vacuum_fields[] = {
        FIELD(NAME, vacuum, schema), FIELD(NODE, vacuum, into), END,
};
static const struct sql_field maintenance_fields[] = { FIELD(NODE, maintenance, name), END };

static const struct sql_field stmt_fields[] = {
        FIELD(NUMBER, stmt, type), FIELD(NUMBER, stmt, explain), FIELD(NODE, stmt, body), END,
};
static const struct sql_field with_fields[] = {
        FIELD(BOOL, with, is_recursive), FIELD(NODES, with, ctes), END,
};
static const struct sql_field cte_fields[] = {
        FIELD(NAME, cte, name), FIELD(NAMES, cte, columns), FIELD(NUMBER, cte, materialized),
        FIELD(NODE, cte, select), END,
};
static const struct sql_field arm_fields[] = {
        FIELD(NUMBER, arm, compound), FIELD(BOOL, arm, is_values), FIELD(NUMBER, arm, distinct),
        FIELD(NODES, arm, results), FIELD(NODES, arm, from), FIELD(NODE, arm, where),
        FIELD(NODES, arm, group_by), FIELD(NODE, arm, having), FIELD(NODES, arm, windows),
        FIELD(NODES, arm, rows), END,
};
static const struct sql_field result_fields[] = {
        FIELD(NUMBER, result, type), FIELD(NODE, result, expr), FIELD(NAME, result, table),
        FIELD(NAME, result, alias), FIELD(STR, result, text), END,
};
static const struct sql_field source_fields[] = {
        FIELD(NUMBER, source, type), FIELD(NUMBER, source, join), FIELD(NODE, source, table),
        FIELD(NODES, source, args), FIELD(NODE, source, select), FIELD(NODES, source, sources),
        FIELD(NAME, source, alias), FIELD(NAME, source, indexed_by), FIELD(BOOL, source, not_indexed),
        FIELD(NODE, source, on), FIELD(NAMES, source, using_columns), END,
};
static const struct sql_field order_term_fields[] = {
        FIELD(NODE, order_term, expr), FIELD(NUMBER, order_term, sort), FIELD(NUMBER, order_term, nulls), END,
};
static const struct sql_field window_fields[] = {
        FIELD(NAME, window, name), FIELD(NAME, window, base), FIELD(BOOL, window, is_reference),
        FIELD(NODES, window, partition), FIELD(NODES, window, order), FIELD(NUMBER, window, frame),
        FIELD(NUMBER, window, start), FIELD(NODE, window, start_expr), FIELD(NUMBER, window, end),
        FIELD(NODE, window, end_expr), FIELD(NUMBER, window, exclude), END,
};
static const struct sql_field row_fields[] = { FIELD(NODES, row, values), END };
static const struct sql_field set_fields[] = {
        FIELD(NAMES, set, columns), FIELD(BOOL, set, is_row), FIELD(NODE, set, expr), END,
};
static const struct sql_field upsert_fields[] = {
        FIELD(NODES, upsert, target), FIELD(NODE, upsert, target_where), FIELD(BOOL, upsert, do_update),
        FIELD(NODES, upsert, sets), FIELD(NODE, upsert, where), END,
};
static const struct sql_field table_name_fields[] = {
        FIELD(NAME, table_name, schema), FIELD(NAME, table_name, name), END,
};
static const struct sql_field column_def_fields[] = {
        FIELD(NAME, column_def, name), FIELD(STR, column_def, type),
        FIELD(NODES, column_def, constraints), END,
};
static const struct sql_field constraint_fields[] = {
        FIELD(NUMBER, constraint, type), FIELD(NAME, constraint, name), FIELD(NUMBER, constraint, conflict),
        FIELD(NODES, constraint, columns), FIELD(NUMBER, constraint, sort),
        FIELD(BOOL, constraint, autoincrement), FIELD(NODE, constraint, expr),
        FIELD(BOOL, constraint, is_parenthesised),
        FIELD(NUMBER, constraint, storage), FIELD(NAME, constraint, collation),
        FIELD(NAMES, constraint, from_columns), FIELD(NAME, constraint, to_table),
        FIELD(NAMES, constraint, to_columns), FIELD(NUMBER, constraint, on_delete),
        FIELD(NUMBER, constraint, on_update), FIELD(NUMBER, constraint, deferrable),
        FIELD(NUMBER, constraint, initially), END,
};
static const struct sql_field table_option_fields[] = {
        FIELD(NUMBER, table_option, type), FIELD(NAMES, table_option, columns),
        FIELD(NODES, table_option, split_at), END,
};

static const struct sql_field no_fields[] = { END };
static const struct sql_field text_fields[] = { FIELD(STR, expr, text), END };
static const struct sql_field variable_fields[] = {
        FIELD(NUMBER, expr, number), FIELD(STR, expr, variable_name), END,
};
static const struct sql_field column_fields[] = {
        FIELD(NAME, expr, schema), FIELD(NAME, expr, table), FIELD(NAME, expr, column), END,
};
static const struct sql_field unary_fields[] = { FIELD(NODE, expr, left), END };
static const struct sql_field collate_fields[] = { FIELD(NODE, expr, left), FIELD(NAME, expr, name), END };
static const struct sql_field cast_fields[] = { FIELD(NODE, expr, left), FIELD(STR, expr, text), END };
static const struct sql_field binary_fields[] = { FIELD(NODE, expr, left), FIELD(NODE, expr, right), END };
static const struct sql_field ternary_fields[] = {
        FIELD(NODE, expr, left), FIELD(BOOL, expr, is_not), FIELD(NODE, expr, right),
        FIELD(NODE, expr, third), END,
};
static const struct sql_field in_list_fields[] = {
        FIELD(NODE, expr, left), FIELD(BOOL, expr, is_not), FIELD(NODES, expr, args), END,
};
static const struct sql_field in_select_fields[] = {
        FIELD(NODE, expr, left), FIELD(BOOL, expr, is_not), FIELD(NODE, expr, select), END,
};
static const struct sql_field in_table_fields[] = {
        FIELD(NODE, expr, left), FIELD(BOOL, expr, is_not), FIELD(NODE, expr, in_table),
        FIELD(NODES, expr, args), END,
};
static const struct sql_field subquery_fields[] = { FIELD(NODE, expr, select), END };
static const struct sql_field vector_fields[] = { FIELD(NODES, expr, args), END };
static const struct sql_field case_fields[] = {
        FIELD(NODE, expr, left), FIELD(NODES, expr, args), FIELD(NODE, expr, right), END,
};
static const struct sql_field call_fields[] = {
        FIELD(NAME, expr, call.name), FIELD(BOOL, expr, call.is_distinct), FIELD(BOOL, expr, call.is_star),
        FIELD(NODES, expr, call.args), FIELD(NODE, expr, call.filter), FIELD(NODE, expr, call.over), END,
};
static const struct sql_field raise_fields[] = {
        FIELD(NUMBER, expr, conflict), FIELD(NAME, expr, name), END,
};

#define SHAPE(type) { .n_bytes = sizeof(struct sql_##type), .fields = type##_fields }
#define EXPR(type) { .n_bytes = sizeof(struct sql_expr), .fields = type##_fields }
struct sql_shape sql_shapes_[SQL_EXPR_LAST + 1] = {
        [SQL_SELECT] = SHAPE(select), [SQL_INSERT] = SHAPE(insert), [SQL_UPDATE] = SHAPE(update),
        [SQL_DELETE] = SHAPE(delete), [SQL_CREATE_TABLE] = SHAPE(create_table),
        [SQL_CREATE_INDEX] = SHAPE(create_index), [SQL_CREATE_VIEW] = SHAPE(create_view),
        [SQL_CREATE_TRIGGER] = SHAPE(create_trigger),
        [SQL_CREATE_VIRTUAL_TABLE] = SHAPE(create_virtual_table),
        [SQL_ALTER_TABLE] = SHAPE(alter_table), [SQL_DROP] = SHAPE(drop),
        [SQL_TRANSACTION] = SHAPE(transaction), [SQL_PRAGMA] = SHAPE(pragma),
        [SQL_ATTACH] = SHAPE(attach), [SQL_DETACH] = SHAPE(detach), [SQL_VACUUM] = SHAPE(vacuum),
        [SQL_ANALYZE] = SHAPE(maintenance), [SQL_REINDEX] = SHAPE(maintenance),

        [SQL_STMT] = SHAPE(stmt), [SQL_WITH] = SHAPE(with), [SQL_CTE] = SHAPE(cte), [SQL_ARM] = SHAPE(arm),
        [SQL_RESULT] = SHAPE(result), [SQL_SOURCE] = SHAPE(source),
        [SQL_ORDER_TERM] = SHAPE(order_term), [SQL_WINDOW] = SHAPE(window), [SQL_ROW] = SHAPE(row),
        [SQL_SET] = SHAPE(set), [SQL_UPSERT] = SHAPE(upsert), [SQL_TABLE_NAME] = SHAPE(table_name),
        [SQL_COLUMN_DEF] = SHAPE(column_def), [SQL_CONSTRAINT] = SHAPE(constraint),
        [SQL_TABLE_OPTION] = SHAPE(table_option),

        [SQL_EXPR_NULL] = EXPR(no),
        [SQL_EXPR_INTEGER ... SQL_EXPR_BLOB] = EXPR(text),
        [SQL_EXPR_CURRENT_DATE ... SQL_EXPR_CURRENT_TIMESTAMP] = EXPR(no),
        [SQL_EXPR_VARIABLE] = EXPR(variable), [SQL_EXPR_COLUMN] = EXPR(column),
        [SQL_EXPR_NEGATE ... SQL_EXPR_NOT_NULL] = EXPR(unary),
        [SQL_EXPR_COLLATE] = EXPR(collate), [SQL_EXPR_CAST] = EXPR(cast),
        [SQL_EXPR_OR ... SQL_EXPR_LONG_ARROW] = EXPR(binary),
        [SQL_EXPR_LIKE ... SQL_EXPR_BETWEEN] = EXPR(ternary),
        [SQL_EXPR_IN_LIST] = EXPR(in_list), [SQL_EXPR_IN_SELECT] = EXPR(in_select),
        [SQL_EXPR_IN_TABLE] = EXPR(in_table),
        [SQL_EXPR_EXISTS ... SQL_EXPR_SUBQUERY] = EXPR(subquery),
        [SQL_EXPR_VECTOR] = EXPR(vector), [SQL_EXPR_CASE] = EXPR(case),
        [SQL_EXPR_CALL] = EXPR(call), [SQL_EXPR_RAISE] = EXPR(raise),
};
/* clang-format on */

/* Trees are visited all the time, and most fields are no nodes. */
static void find_children(struct sql_shape *s, struct sql_field *room, size_t *n_used)
{
        s->children = room + *n_used;
        for (const struct sql_field *f = s->fields; f && f->type; f++)
                if (f->type == SQL_FIELD_NODE || f->type == SQL_FIELD_NODES) {
                        assert(*n_used < MAX_CHILDREN);
                        room[(*n_used)++] = *f;
                        s->n_children++;
                }
}

__attribute__((constructor)) static void find_all_children(void)
{
        static struct sql_field room[MAX_CHILDREN];
        size_t n_used = 0;

        for (size_t i = 0; i < ARRAY_LEN(sql_shapes_); i++)
                find_children(&sql_shapes_[i], room, &n_used);
}
