/* walk.c - visiting, copying and comparing trees by their shapes. Nothing here recurses deeper than
 * SQL_MAX_WALK_DEPTH. Any thread. */
#include <assert.h>
#include <string.h>

#include "sql/shape_int.h"

static const void *field_at(const void *node, const struct sql_field *f)
{
        return (const char *)node + f->offset;
}

static struct sql_node *child_at(const void *node, const struct sql_field *f)
{
        return *(struct sql_node *const *)field_at(node, f);
}

/* ---- visiting ---- */

struct walker {
        sql_walk_fn *pre, *post;
        void *ctx;
        uint32_t depth;
};

static enum sql_walk visit(struct walker *w, struct sql_node *n);

static enum sql_walk visit_children(struct walker *w, struct sql_node *n)
{
        enum sql_walk rc = SQL_WALK_ON;

        const struct sql_shape *shape = sql_shape_of(n->kind);
        const struct sql_field *end = shape->children + shape->n_children;

        for (const struct sql_field *f = shape->children; f < end && !rc; f++) {
                if (f->type == SQL_FIELD_NODE) {
                        struct sql_node *child = child_at(n, f);

                        if (child)
                                rc = visit(w, child);
                } else {
                        const struct sql_nodes *list = field_at(n, f);

                        for (uint32_t i = 0; i < list->n && !rc; i++)
                                rc = visit(w, list->items[i]);
                }
        }
        return rc;
}

static enum sql_walk visit(struct walker *w, struct sql_node *n)
{
        enum sql_walk rc;

        if (w->depth >= SQL_MAX_WALK_DEPTH)
                return SQL_WALK_TOO_DEEP;
        rc = w->pre ? w->pre(n, w->ctx) : SQL_WALK_ON;
        if (rc == SQL_WALK_ON) {
                w->depth++;
                rc = visit_children(w, n);
                w->depth--;
        } else if (rc == SQL_WALK_SKIP) {
                rc = SQL_WALK_ON;
        }
        if (rc == SQL_WALK_ON && w->post)
                rc = w->post(n, w->ctx);
        return rc == SQL_WALK_SKIP ? SQL_WALK_ON : rc;
}

enum sql_walk sql_walk(void *node, sql_walk_fn *pre, sql_walk_fn *post, void *ctx)
{
        struct walker w = { .pre = pre, .post = post, .ctx = ctx };

        return visit(&w, node);
}

/* ---- copying ---- */

struct cloner {
        struct arena *arena;
        uint32_t depth;
        bool failed;
};

static void *clone_node(struct cloner *c, const struct sql_node *n);

/* Gives the list an array of its own with the same items; false if it has none. */
static bool clone_array(struct cloner *c, struct sql_nodes *list, size_t item_bytes)
{
        void *items = list->n ? arena_memdup(c->arena, list->items, list->n * item_bytes) : NULL;

        if (list->n && !items)
                c->failed = true;
        list->items = items;
        list->n = items ? list->n : 0;
        list->n_allocated = list->n;
        return items;
}

static void clone_nodes(struct cloner *c, struct sql_nodes *list)
{
        if (!clone_array(c, list, sizeof *list->items))
                return;
        for (uint32_t i = 0; i < list->n; i++)
                list->items[i] = clone_node(c, list->items[i]);
}

static void clone_field(struct cloner *c, void *copy, const struct sql_field *f)
{
        void *field = (char *)copy + f->offset;

        switch ((enum sql_field_type)f->type) {
        case SQL_FIELD_NODE:
                *(void **)field = clone_node(c, *(struct sql_node **)field);
                break;
        case SQL_FIELD_NODES:
                clone_nodes(c, field);
                break;
        case SQL_FIELD_NAMES:
                (void)clone_array(c, field, sizeof(struct sql_name));
                break;
        case SQL_FIELD_STRS:
                (void)clone_array(c, field, sizeof(struct sql_str));
                break;
        case SQL_FIELD_NAME:
        case SQL_FIELD_STR:
        case SQL_FIELD_END:
        case SQL_FIELD_BOOL:
        case SQL_FIELD_NUMBER:
                break;
        }
}

/* What a statement has besides its body. */
static void clone_stmt(struct cloner *c, struct sql_stmt *st)
{
        (void)clone_array(c, (struct sql_nodes *)(void *)&st->variables,
                          sizeof *st->variables.items);
}

static void *clone_node(struct cloner *c, const struct sql_node *n)
{
        const struct sql_shape *shape;
        struct sql_node *copy;

        if (!n || c->failed)
                return NULL;
        shape = sql_shape_of(n->kind);
        copy = c->depth < SQL_MAX_WALK_DEPTH ? arena_memdup(c->arena, n, shape->n_bytes) : NULL;
        if (!copy) {
                c->failed = true;
                return NULL;
        }
        c->depth++;
        for (const struct sql_field *f = shape->fields; f->type && !c->failed; f++)
                clone_field(c, copy, f);
        if (n->kind == SQL_STMT)
                clone_stmt(c, (struct sql_stmt *)copy);
        c->depth--;
        return copy;
}

void *sql_clone(struct arena *a, const void *node)
{
        struct cloner c = { .arena = a };
        void *copy = clone_node(&c, node);

        return c.failed ? NULL : copy;
}

/* ---- comparing ---- */

struct comparer {
        bool fold_names;
        uint32_t depth;
};

static bool same_node(struct comparer *c, const struct sql_node *a, const struct sql_node *b);

/* Quotes that make no string of a name are all the same, but bare TRUE and FALSE are no names. */
static bool same_quote(const struct sql_name *a, const struct sql_name *b)
{
        enum sql_quote x = a->quote;
        enum sql_quote y = b->quote;

        if (x == y)
                return true;
        if (x == SQL_QUOTE_DOUBLE || y == SQL_QUOTE_DOUBLE || x == SQL_QUOTE_SINGLE ||
            y == SQL_QUOTE_SINGLE)
                return false;
        return (x != SQL_QUOTE_NONE && y != SQL_QUOTE_NONE) || !sql_name_is_truth(a);
}

static bool same_name(const struct comparer *c, const struct sql_name *a, const struct sql_name *b)
{
        if (!a->text || !b->text)
                return !a->text && !b->text;
        if (!same_quote(a, b))
                return false;
        return c->fold_names
                   ? sql_name_same(a, b)
                   : a->n_bytes == b->n_bytes && memcmp(a->text, b->text, a->n_bytes) == 0;
}

static bool same_names(const struct comparer *c, const struct sql_names *a,
                       const struct sql_names *b)
{
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!same_name(c, &a->items[i], &b->items[i]))
                        return false;
        return true;
}

static bool same_str(const struct sql_str *a, const struct sql_str *b)
{
        return !a->data == !b->data && a->n_bytes == b->n_bytes &&
               (!a->data || memcmp(a->data, b->data, a->n_bytes) == 0);
}

static bool same_strs(const struct sql_strs *a, const struct sql_strs *b)
{
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!same_str(&a->items[i], &b->items[i]))
                        return false;
        return true;
}

static bool same_nodes(struct comparer *c, const struct sql_nodes *a, const struct sql_nodes *b)
{
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!same_node(c, a->items[i], b->items[i]))
                        return false;
        return true;
}

static bool same_field(struct comparer *c, const void *a, const void *b, const struct sql_field *f)
{
        const void *x = field_at(a, f);
        const void *y = field_at(b, f);

        switch ((enum sql_field_type)f->type) {
        case SQL_FIELD_NODE:
                return same_node(c, child_at(a, f), child_at(b, f));
        case SQL_FIELD_NODES:
                return same_nodes(c, x, y);
        case SQL_FIELD_NAME:
                return same_name(c, x, y);
        case SQL_FIELD_NAMES:
                return same_names(c, x, y);
        case SQL_FIELD_STR:
                return same_str(x, y);
        case SQL_FIELD_STRS:
                return same_strs(x, y);
        case SQL_FIELD_BOOL:
                return *(const bool *)x == *(const bool *)y;
        case SQL_FIELD_NUMBER:
                return *(const uint32_t *)x == *(const uint32_t *)y;
        case SQL_FIELD_END:
                break;
        }
        return true;
}

/* sql_print() may make an alias of the text after which a column was named: they are the same then.
 * Without any alias the text does not count. */
static bool same_alias(const struct comparer *c, const struct sql_result *a,
                       const struct sql_result *b)
{
        struct sql_str x = { a->alias.text, a->alias.n_bytes };
        struct sql_str y = { b->alias.text, b->alias.n_bytes };

        if (!x.data == !y.data)
                return same_name(c, &a->alias, &b->alias);
        return x.data ? same_str(&x, &b->text) : same_str(&y, &a->text);
}

static bool same_result(struct comparer *c, const struct sql_result *a, const struct sql_result *b)
{
        return a->type == b->type && same_name(c, &a->table, &b->table) && same_alias(c, a, b) &&
               same_node(c, (const void *)a->expr, (const void *)b->expr);
}

static bool same_node(struct comparer *c, const struct sql_node *a, const struct sql_node *b)
{
        bool same = true;

        if (!a || !b)
                return a == b;
        if (a->kind != b->kind || c->depth >= SQL_MAX_WALK_DEPTH)
                return false;
        c->depth++;
        if (a->kind == SQL_RESULT) {
                same = same_result(c, (const void *)a, (const void *)b);
        } else {
                for (const struct sql_field *f = sql_shape_of(a->kind)->fields; f->type && same;
                     f++)
                        same = same_field(c, a, b, f);
        }
        c->depth--;
        return same;
}

bool sql_equal(const void *a, const void *b, bool fold_names)
{
        struct comparer c = { .fold_names = fold_names };

        return same_node(&c, a, b);
}
