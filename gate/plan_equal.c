/* plan_equal.c - which columns must hold the same value, by the equalities a query demands. Only
 * columns of one affinity and one collation are put together: for them = is transitive and means
 * the same wherever it is written. Loop thread. */
#include <strings.h>

#include "gate/plan_place.h"

/* More is not looked at. */
enum { MAX_EQUAL_ITEMS = 500 };

bool equals_copy(struct planner *p, const struct equals *from, struct equals *ret)
{
        *ret = (struct equals){ 0 };
        if (!from->n)
                return true;
        ret->items = arena_memdup(p->scratch, from->items, from->n * sizeof *from->items);
        ret->n = ret->n_allocated = ret->items ? from->n : 0;
        return ret->items;
}

static const struct equal_item *find_item(const struct equals *eq, const struct source *s,
                                          int column)
{
        for (uint32_t i = 0; i < eq->n; i++)
                if (eq->items[i].source == s && eq->items[i].column == column)
                        return &eq->items[i];
        return NULL;
}

static const struct equal_item *find_constant(const struct equals *eq,
                                              const struct equal_item *like)
{
        for (uint32_t i = 0; i < eq->n; i++)
                if (!eq->items[i].source && eq->items[i].column == like->column &&
                    eq->items[i].affinity == like->affinity &&
                    strcasecmp(eq->items[i].collation, like->collation) == 0)
                        return &eq->items[i];
        return NULL;
}

static bool add_item(struct planner *p, struct equals *eq, const struct equal_item *item,
                     uint32_t *ret_class)
{
        const struct equal_item *have =
            item->source ? find_item(eq, item->source, item->column) : find_constant(eq, item);

        if (have) {
                *ret_class = have->class;
                return true;
        }
        if (!arena_room(p->scratch, eq->items, eq->n, eq->n_allocated))
                return false;
        eq->items[eq->n] = *item;
        *ret_class = eq->items[eq->n].class = eq->n;
        eq->n++;
        return true;
}

static bool join_items(struct planner *p, struct equals *eq, const struct equal_item *a,
                       const struct equal_item *b)
{
        uint32_t x, y;

        if (eq->n + 2 > MAX_EQUAL_ITEMS)
                return true;
        if (!add_item(p, eq, a, &x) || !add_item(p, eq, b, &y))
                return false;
        for (uint32_t i = 0; i < eq->n; i++)
                if (eq->items[i].class == y)
                        eq->items[i].class = x;
        return true;
}

static bool make_item(struct source *s, int column, struct equal_item *ret)
{
        struct compare_type type = source_column_type(s, column);

        *ret = (struct equal_item){
                .source = s,
                .column = column,
                .affinity = type.affinity,
                .collation = type.collation,
        };
        return type.is_typed && !type.is_unsure;
}

static bool add_columns(struct planner *p, struct equals *eq, struct source *a, int a_column,
                        struct source *b, int b_column)
{
        struct equal_item x, y;

        if (!make_item(a, a_column, &x) || !make_item(b, b_column, &y) ||
            x.affinity != y.affinity || strcasecmp(x.collation, y.collation) != 0)
                return true;
        return join_items(p, eq, &x, &y);
}

bool equals_add_conjunct(struct planner *p, struct equals *eq, const struct sql_expr *e)
{
        const struct bound_name *left, *right;

        if (e->kind != SQL_EXPR_EQ)
                return true;
        if (e->left->kind == SQL_EXPR_VECTOR && e->right->kind == SQL_EXPR_VECTOR) {
                for (uint32_t i = 0; i < e->left->args.n && i < e->right->args.n; i++) {
                        struct sql_expr one = { .kind = SQL_EXPR_EQ,
                                                .left = e->left->args.items[i],
                                                .right = e->right->args.items[i] };

                        if (!equals_add_conjunct(p, eq, &one))
                                return false;
                }
                return true;
        }
        left = names_bound(e->left);
        right = names_bound(e->right);
        return !left || !right ||
               add_columns(p, eq, left->source, left->column, right->source, right->column);
}

bool equals_add_merged(struct planner *p, struct equals *eq, struct source *s)
{
        for (int k = 0; k < source_n_columns(s); k++) {
                struct sql_name name = sql_name_of(source_column_name(s, k));

                if (source_column_is_hidden(s, k) || !source_column_is_merged(s, k))
                        continue;
                /* The leftmost column of that name is the one that is compared. */
                for (uint32_t i = 0; i < s->index; i++) {
                        struct source *left = &s->arm->sources[i];
                        int column = source_find_column(left, &name);

                        if (column == COLUMN_NONE ||
                            (column == COLUMN_ROWID && left->table->rowid_column < 0))
                                continue;
                        if (!add_columns(p, eq, left, column, s, source_find_column(s, &name)))
                                return false;
                        break;
                }
        }
        return true;
}

bool equals_add_constant(struct planner *p, struct equals *eq, struct source *s, int column,
                         int slot)
{
        struct equal_item item, value;

        if (!make_item(s, column, &item))
                return true;
        value = item;
        value.source = NULL;
        value.column = slot;
        return join_items(p, eq, &item, &value);
}

bool equals_has(const struct equals *eq, const struct source *a, int a_column,
                const struct source *b, int b_column)
{
        const struct equal_item *x, *y;

        if (a == b && a_column == b_column)
                return true;
        x = find_item(eq, a, a_column);
        y = find_item(eq, b, b_column);
        return x && y && x->class == y->class;
}

bool equals_names(const struct equals *eq, const struct sql_expr *e, const struct source *s,
                  int column)
{
        const struct bound_name *bound = names_bound(e);

        return bound && equals_has(eq, bound->source, bound->column, s, column);
}
