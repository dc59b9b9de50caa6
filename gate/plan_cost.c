/* plan_cost.c - which expressions may be computed on the loop thread. SQLite cannot be interrupted
 * inside of one call, and printf('%.*c', 200000000, 'x') is one call; so only what is known to take
 * about as long as its operands are large may run there, and not too often. Loop thread. */
#include <string.h>

#include "gate/plan_int.h"
#include "sql/parse.h"

/* Operators and calls in one expression that may look at every byte of their operands. */
enum { MAX_LINEAR = 64 };

/* They take time in proportion to their arguments' size at most, and give nothing larger than
 * those. Not here: what makes a little long (printf, zeroblob, replace, hex), looks at bytes again
 * and again (instr, LIKE, GLOB, trim of a set), parses (JSON), or that we do not know. */
static const char *const quick_calls[] = {
        "abs",
        "avg",
        "ceil",
        "ceiling",
        "changes",
        "char",
        "coalesce",
        "count",
        "date",
        "datetime",
        "floor",
        "ifnull",
        "iif",
        "julianday",
        "length",
        "last_insert_rowid",
        "likelihood",
        "likely",
        "lower",
        "max",
        "min",
        "mod",
        "nullif",
        "pow",
        "power",
        "random",
        "round",
        "sign",
        "sqlite_version",
        "sqrt",
        "strftime",
        "substr",
        "substring",
        "sum",
        "time",
        "total",
        "total_changes",
        "trunc",
        "typeof",
        "unicode",
        "unixepoch",
        "unlikely",
        "upper",
};

struct cost {
        unsigned n_linear;
};

static bool is_quick_call(const struct sql_expr *e)
{
        if (e->call.over)
                return false;
        for (size_t i = 0; i < ARRAY_LEN(quick_calls); i++)
                if (sql_name_is(&e->call.name, quick_calls[i]))
                        return true;
        return false;
}

/* Operators that SQLite makes calls of: what they do takes as long as the function, and may fail.
 */
static bool is_call_inside(const struct sql_node *node)
{
        switch (node->kind) {
        case SQL_EXPR_LIKE:
        case SQL_EXPR_GLOB:
        case SQL_EXPR_REGEXP:
        case SQL_EXPR_MATCH:
        case SQL_EXPR_ARROW:
        case SQL_EXPR_LONG_ARROW:
                return true;
        default:
                return false;
        }
}

static enum sql_walk add_cost(struct sql_node *node, void *ctx)
{
        const struct sql_source *source = (const struct sql_source *)node;
        struct cost *cost = ctx;

        switch (node->kind) {
        case SQL_EXPR_CALL:
                if (!is_quick_call((const struct sql_expr *)node))
                        return SQL_WALK_STOP;
                cost->n_linear++;
                break;
        case SQL_SOURCE:
                if (source->type == SQL_SOURCE_FUNCTION)
                        return SQL_WALK_STOP;
                break;
        default:
                if (is_call_inside(node))
                        return SQL_WALK_STOP;
                /* Whatever has operands: they may be converted, compared, copied. */
                cost->n_linear += node->kind >= SQL_EXPR_NEGATE && node->kind <= SQL_EXPR_LAST;
                break;
        }
        return cost->n_linear > MAX_LINEAR ? SQL_WALK_STOP : SQL_WALK_ON;
}

bool node_is_quick(const void *node)
{
        struct cost cost = { 0 };

        return !node || sql_walk((void *)(uintptr_t)node, add_cost, NULL, &cost) == SQL_WALK_ON;
}

static enum sql_walk find_failing(struct sql_node *node, void *ctx)
{
        (void)ctx;
        if (node->kind == SQL_EXPR_CALL || is_call_inside(node))
                return SQL_WALK_STOP;
        /* || for its size. */
        return node->kind == SQL_EXPR_CONCAT ? SQL_WALK_STOP : SQL_WALK_ON;
}

bool node_never_fails(const void *node)
{
        return sql_walk((void *)(uintptr_t)node, find_failing, NULL, NULL) == SQL_WALK_ON;
}

bool sql_is_quick(struct planner *p, const char *sql)
{
        struct sql_stmt *stmt;

        return sql_parse(p->scratch, sql, strlen(sql), &stmt, NULL, NULL) == ERR_OK &&
               node_is_quick(stmt);
}

bool reading_is_quick(const struct catalog_table *t)
{
        for (size_t i = 0; i < t->n_columns; i++)
                if (t->columns[i].generated)
                        return false;
        return true;
}
