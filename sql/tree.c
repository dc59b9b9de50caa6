/* tree.c - names, lists, new nodes. Any thread. */
#include "sql/tree.h"

#include <string.h>
#include <strings.h>

#include "sql/shape_int.h"

struct sql_name sql_name_of(const char *text)
{
        return (struct sql_name){ .text = text, .n_bytes = (uint32_t)strlen(text) };
}

static char fold(char c)
{
        return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool same_folded(const char *a, const char *b, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (fold(a[i]) != fold(b[i]))
                        return false;
        return true;
}

bool sql_name_same(const struct sql_name *a, const struct sql_name *b)
{
        if (!a->text || !b->text)
                return !a->text && !b->text;
        return a->n_bytes == b->n_bytes && same_folded(a->text, b->text, a->n_bytes);
}

bool sql_name_is_(const struct sql_name *a, const char *text)
{
        return strlen(text) == a->n_bytes && same_folded(a->text, text, a->n_bytes);
}

bool sql_name_is_rowid(const struct sql_name *n)
{
        return sql_name_is(n, "rowid") || sql_name_is(n, "_rowid_") || sql_name_is(n, "oid");
}

bool sql_name_is_own(const struct sql_name *a)
{
        if (!a->text)
                return false;
        switch (fold(a->text[0])) {
        case 's':
                return a->n_bytes >= 7 && same_folded(a->text, "sqlite_", 7);
        case 'p':
                return a->n_bytes >= 7 && same_folded(a->text, "pragma_", 7);
        case 'd':
                return sql_name_is(a, "dbstat");
        case 'b':
                return sql_name_is(a, "bytecode");
        case 't':
                return sql_name_is(a, "tables_used");
        default:
                return false;
        }
}

bool sql_name_is_truth(const struct sql_name *n)
{
        return sql_name_is(n, "true") || sql_name_is(n, "false");
}

bool sql_expr_is_column(const struct sql_expr *e)
{
        return e->kind == SQL_EXPR_COLUMN && (e->table.text || e->column.quote != SQL_QUOTE_NONE ||
                                              !sql_name_is_truth(&e->column));
}

bool sql_list_add_(struct arena *a, struct sql_nodes *list, struct sql_node *item)
{
        if (!arena_room(a, list->items, list->n, list->n_allocated))
                return false;
        list->items[list->n++] = item;
        return true;
}

bool sql_names_add(struct arena *a, struct sql_names *list, const struct sql_name *name)
{
        if (!arena_room(a, list->items, list->n, list->n_allocated))
                return false;
        list->items[list->n++] = *name;
        return true;
}

bool sql_strs_add(struct arena *a, struct sql_strs *list, struct sql_str s)
{
        if (!arena_room(a, list->items, list->n, list->n_allocated))
                return false;
        list->items[list->n++] = s;
        return true;
}

bool sql_variables_add(struct arena *a, struct sql_variables *list, struct sql_variable v)
{
        if (!arena_room(a, list->items, list->n, list->n_allocated))
                return false;
        list->items[list->n++] = v;
        return true;
}

void *sql_new(struct arena *a, enum sql_kind kind)
{
        struct sql_node *n = arena_calloc(a, 1, sql_shape_of(kind)->n_bytes);

        if (n)
                n->kind = kind;
        return n;
}
