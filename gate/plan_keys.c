/* plan_keys.c - which rows a predicate can be true of, as far as the sharding columns tell. Only
 * comparisons that use the column's own affinity and collation count: with a literal, a variable or
 * a constant expression that has neither. Loop thread. */
#include <string.h>

#include "gate/plan_place.h"

/* An IN list, or a product of several, may name so many keys; beyond that all shards are asked. */
enum { MAX_KEYS = 4096 };

/* What one sharding column is pinned to: any of some values. */
struct pins {
        int *slots;
        size_t n;
        bool pinned;
};

/* The column that is looked for, and others that are as good. */
struct wanted {
        const struct source *source;
        int column;
        const struct equals *equals;
};

bool add_conjuncts(struct planner *p, struct sql_expr *where, struct sql_exprs *list)
{
        if (!where)
                return true;
        if (where->kind == SQL_EXPR_AND)
                return add_conjuncts(p, where->left, list) && add_conjuncts(p, where->right, list);
        return sql_list_add(p->scratch, list, where);
}

bool is_plain_value(const struct sql_expr *e)
{
        switch (e->kind) {
        case SQL_EXPR_INTEGER:
        case SQL_EXPR_FLOAT:
        case SQL_EXPR_STRING:
        case SQL_EXPR_BLOB:
        case SQL_EXPR_NULL:
        case SQL_EXPR_VARIABLE:
                return true;
        case SQL_EXPR_NEGATE:
                return e->left->kind == SQL_EXPR_INTEGER || e->left->kind == SQL_EXPR_FLOAT ||
                       e->left->kind == SQL_EXPR_VARIABLE;
        default:
                return false;
        }
}

static bool is_wanted(const struct wanted *w, const struct sql_expr *e)
{
        return equals_names(w->equals, e, w->source, w->column);
}

static enum err_code add_pin(struct planner *p, struct pins *pins, const struct sql_expr *value)
{
        int *slots = arena_alloc(p->scratch, (pins->n + 1) * sizeof *slots);
        int slot;
        enum err_code rc = planner_value_slot(p, value, &slot);

        if (rc)
                return rc;
        if (!slots)
                return planner_no_memory(p);
        if (pins->n)
                memcpy(slots, pins->slots, pins->n * sizeof *slots);
        slots[pins->n++] = slot;
        pins->slots = slots;
        pins->pinned = true;
        return ERR_OK;
}

static enum err_code pin_list(struct planner *p, const struct sql_exprs *values, struct pins *pins)
{
        struct pins all = { .slots =
                                arena_alloc(p->scratch, (values->n ? values->n : 1) * sizeof(int)),
                            .pinned = true };

        if (!all.slots)
                return planner_no_memory(p);
        for (uint32_t i = 0; i < values->n; i++) {
                enum err_code rc = planner_value_slot(p, values->items[i], &all.slots[all.n]);

                if (rc)
                        return rc;
                all.n++;
        }
        *pins = all;
        return ERR_OK;
}

static bool is_plain_list(const struct sql_exprs *values)
{
        for (uint32_t i = 0; i < values->n; i++)
                if (!is_plain_value(values->items[i]))
                        return false;
        return values->n <= MAX_KEYS;
}

/* Values that the column must have one of for e to be true. pins->pinned stays false if e does not
 * say. */
static enum err_code find_pins(struct planner *p, const struct wanted *w, const struct sql_expr *e,
                               struct pins *pins)
{
        struct pins left = { 0 }, right = { 0 };
        enum err_code rc;

        switch (e->kind) {
        case SQL_EXPR_EQ:
                if (is_wanted(w, e->left) && is_plain_value(e->right))
                        return add_pin(p, pins, e->right);
                if (is_wanted(w, e->right) && is_plain_value(e->left))
                        return add_pin(p, pins, e->left);
                return ERR_OK;
        case SQL_EXPR_IN_LIST:
                if (!e->is_not && is_wanted(w, e->left) && is_plain_list(&e->args))
                        return pin_list(p, &e->args, pins);
                return ERR_OK;
        case SQL_EXPR_AND:
                rc = find_pins(p, w, e->left, pins);
                return rc || pins->pinned ? rc : find_pins(p, w, e->right, pins);
        case SQL_EXPR_OR:
                rc = find_pins(p, w, e->left, &left);
                if (!rc && left.pinned)
                        rc = find_pins(p, w, e->right, &right);
                if (rc || !left.pinned || !right.pinned || left.n + right.n > MAX_KEYS)
                        return rc;
                pins->slots = arena_alloc(p->scratch, (left.n + right.n + 1) * sizeof(int));
                if (!pins->slots)
                        return planner_no_memory(p);
                if (left.n)
                        memcpy(pins->slots, left.slots, left.n * sizeof(int));
                if (right.n)
                        memcpy(pins->slots + left.n, right.slots, right.n * sizeof(int));
                pins->n = left.n + right.n;
                pins->pinned = true;
                return ERR_OK;
        default:
                return ERR_OK;
        }
}

/* The conjunct that leaves the fewest values. */
static enum err_code pin_column(struct planner *p, const struct wanted *w,
                                const struct sql_exprs *conjuncts, struct pins *ret_pins)
{
        struct pins best = { 0 };

        for (uint32_t i = 0; i < conjuncts->n; i++) {
                struct pins pins = { 0 };
                enum err_code rc = find_pins(p, w, conjuncts->items[i], &pins);

                if (rc)
                        return rc;
                if (pins.pinned && (!best.pinned || pins.n < best.n))
                        best = pins;
        }
        *ret_pins = best;
        return ERR_OK;
}

enum err_code find_pins_row(struct planner *p, const struct source *s,
                            const struct sql_exprs *conjuncts, bool *ret_pins_row)
{
        static const struct equals none;
        const struct catalog_table *t = s->table;
        struct wanted w = { .source = s, .column = COLUMN_ROWID, .equals = &none };
        struct pins pins = { 0 };
        enum err_code rc = ERR_OK;
        bool has_key = false;

        *ret_pins_row = false;
        if (!t->without_rowid) {
                rc = pin_column(p, &w, conjuncts, &pins);
                if (rc || pins.pinned) {
                        *ret_pins_row = pins.pinned;
                        return rc;
                }
        }
        for (size_t i = 0; i < t->n_columns; i++) {
                if (!t->columns[i].primary_key || (int)i == t->rowid_column)
                        continue;
                has_key = true;
                w.column = (int)i;
                rc = pin_column(p, &w, conjuncts, &pins);
                if (rc || !pins.pinned)
                        return rc;
        }
        *ret_pins_row = has_key;
        return ERR_OK;
}

/* Every combination of the columns' values. */
static enum err_code multiply(struct planner *p, const struct pins *pins, size_t width,
                              size_t n_keys, struct route *r)
{
        r->slots = arena_alloc(p->arena, (n_keys * width + 1) * sizeof *r->slots);
        if (!r->slots)
                return planner_no_memory(p);
        for (size_t k = 0; k < n_keys; k++) {
                size_t rest = k;

                for (size_t i = 0; i < width; i++) {
                        r->slots[k * width + i] = pins[i].slots[rest % pins[i].n];
                        rest /= pins[i].n;
                }
        }
        r->n_keys = n_keys;
        return ERR_OK;
}

enum err_code find_route(struct planner *p, const struct key *key, const struct equals *equals,
                         const struct sql_exprs *conjuncts, struct route *ret_route)
{
        const struct catalog_table *t = key->table;
        struct pins pins[ROUTE_MAX_KEY_COLUMNS];
        size_t n_keys = 1;

        *ret_route = (struct route){ .kind = ROUTE_ALL, .table = t };
        for (size_t i = 0; i < t->n_shard_columns; i++) {
                struct wanted w = { .source = key->columns[i].source,
                                    .column = key->columns[i].column,
                                    .equals = equals };
                enum err_code rc = pin_column(p, &w, conjuncts, &pins[i]);

                if (rc || !pins[i].pinned)
                        return rc;
                n_keys *= pins[i].n;
                if (n_keys > MAX_KEYS)
                        return ERR_OK;
        }
        ret_route->kind = ROUTE_KEYS;
        return multiply(p, pins, t->n_shard_columns, n_keys, ret_route);
}

void narrow_route(struct route *route, const struct route *other)
{
        if (other->kind == ROUTE_KEYS &&
            (route->kind == ROUTE_ALL || other->n_keys < route->n_keys))
                *route = *other;
}
