/* row_change.c - the bytes of row changes: records that begin with what they are. A table's name
 * comes once, in a record of its own, and is a number from then on.
 *
 *   TABLE   length, name
 *   INSERT  table, new rowid, n, n values
 *   DELETE  table, old rowid, n, n values
 *   UPDATE  table, old rowid, new rowid, n, n values, n values or SAME
 *
 * Numbers are varints, signed ones zigzag; a value is its type and what it holds. */
#include "common/row_change.h"

#include <stdlib.h>
#include <string.h>

#include "common/wire.h"

enum { RECORD_TABLE = 1, VALUE_SAME = 0 };
enum { MAX_COLUMNS = 32767, REAL_BYTES = 8 };

struct row_changes_table {
        size_t at; /* of its record */
        char *name;
        size_t n_bytes;
};

static uint64_t zigzag(int64_t v)
{
        return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
        return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void forget_table(struct row_changes_table *t)
{
        free(t->name);
}

/* ---- writing */

void row_changes_done(struct row_changes *c)
{
        size_t max_bytes = c->bytes.max_bytes;

        for (size_t i = 0; i < c->n_tables; i++)
                forget_table(&c->tables[i]);
        free(c->tables);
        buf_done(&c->bytes);
        *c = (struct row_changes){ .bytes = BUF_INIT(max_bytes) };
}

static void add_value(struct buf *b, const struct value *v)
{
        buf_add_byte(b, (uint8_t)v->type);
        switch (v->type) {
        case VALUE_INTEGER:
                wire_add_varint(b, zigzag(v->integer));
                break;
        case VALUE_REAL:
                buf_add(b, &v->real, REAL_BYTES);
                break;
        case VALUE_TEXT:
        case VALUE_BLOB:
                wire_add_varint(b, v->n_bytes);
                buf_add(b, v->data, v->n_bytes);
                break;
        case VALUE_NULL:
                break;
        }
}

static size_t number_of_table(struct row_changes *c, const struct row_change *change)
{
        struct row_changes_table *t;

        /* Changes of one table come in a row. */
        for (size_t i = c->n_tables; i--;) {
                t = &c->tables[i];
                if (t->n_bytes == change->n_table_bytes &&
                    memcmp(t->name, change->table, t->n_bytes) == 0)
                        return i;
        }
        c->tables = xrealloc(c->tables, (c->n_tables + 1) * sizeof *c->tables);
        t = &c->tables[c->n_tables];
        *t = (struct row_changes_table){ .at = c->bytes.n_bytes,
                                         .name = xstrndup(change->table, change->n_table_bytes),
                                         .n_bytes = change->n_table_bytes };
        buf_add_byte(&c->bytes, RECORD_TABLE);
        wire_add_varint(&c->bytes, t->n_bytes);
        buf_add(&c->bytes, t->name, t->n_bytes);
        return c->n_tables++;
}

void row_changes_add(struct row_changes *c, const struct row_change *change)
{
        size_t table = number_of_table(c, change);
        struct buf *b = &c->bytes;

        buf_add_byte(b, (uint8_t)change->op);
        wire_add_varint(b, table);
        if (change->before)
                wire_add_varint(b, zigzag(change->old_rowid));
        if (change->after)
                wire_add_varint(b, zigzag(change->new_rowid));
        wire_add_varint(b, change->n_columns);
        for (size_t i = 0; change->before && i < change->n_columns; i++)
                add_value(b, &change->before[i]);
        for (size_t i = 0; change->after && i < change->n_columns; i++) {
                if (change->before && value_same(&change->before[i], &change->after[i]))
                        buf_add_byte(b, VALUE_SAME);
                else
                        add_value(b, &change->after[i]);
        }
        c->n_changes++;
}

struct row_changes_mark row_changes_mark(const struct row_changes *c)
{
        return (struct row_changes_mark){ c->bytes.n_bytes, c->n_changes };
}

void row_changes_cut(struct row_changes *c, struct row_changes_mark mark)
{
        while (c->n_tables && c->tables[c->n_tables - 1].at >= mark.n_bytes)
                forget_table(&c->tables[--c->n_tables]);
        c->bytes.n_bytes = mark.n_bytes;
        c->bytes.failed = false;
        c->n_changes = mark.n_changes;
}

/* ---- reading */

void row_changes_reader_init(struct row_changes_reader *r, const void *p, size_t n_bytes)
{
        *r = (struct row_changes_reader){ .p = p,
                                          .end = n_bytes ? (const uint8_t *)p + n_bytes : p };
}

void row_changes_reader_done(struct row_changes_reader *r)
{
        free(r->tables);
        free(r->values);
        *r = (struct row_changes_reader){ 0 };
}

static uint64_t take_number(struct row_changes_reader *r)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64; shift += 7) {
                uint8_t byte;

                if (r->p == r->end)
                        break;
                byte = *r->p++;
                v |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80))
                        return v;
        }
        r->failed = true;
        return 0;
}

/* n_bytes of them, or NULL. */
static const uint8_t *take_bytes(struct row_changes_reader *r, uint64_t n_bytes)
{
        const uint8_t *p = r->p;

        if (r->failed || n_bytes > (uint64_t)(r->end - r->p)) {
                r->failed = true;
                return NULL;
        }
        r->p += n_bytes;
        return p;
}

static struct value take_value(struct row_changes_reader *r, const struct value *same)
{
        const uint8_t *p = take_bytes(r, 1);
        struct value v = value_null();
        uint64_t n_bytes;

        if (!p)
                return v;
        switch (*p) {
        case VALUE_SAME:
                if (same)
                        return *same;
                r->failed = true;
                break;
        case VALUE_INTEGER:
                v = value_integer(unzigzag(take_number(r)));
                break;
        case VALUE_REAL:
                p = take_bytes(r, REAL_BYTES);
                v = value_real(0);
                if (p)
                        memcpy(&v.real, p, REAL_BYTES);
                break;
        case VALUE_TEXT:
        case VALUE_BLOB:
                v.type = (enum value_type) * p;
                n_bytes = take_number(r);
                v.data = take_bytes(r, n_bytes);
                v.n_bytes = v.data ? (size_t)n_bytes : 0;
                break;
        case VALUE_NULL:
                break;
        default:
                r->failed = true;
                break;
        }
        return v;
}

static void take_table(struct row_changes_reader *r)
{
        size_t at = r->n_tables;
        uint64_t n_bytes = take_number(r);
        const uint8_t *name = take_bytes(r, n_bytes);

        if (!name)
                return;
        r->tables = xrealloc(r->tables, (at + 1) * sizeof *r->tables);
        /* Borrowed: readers free no names. */
        r->tables[at] =
            (struct row_changes_table){ .name = (char *)name, .n_bytes = (size_t)n_bytes };
        r->n_tables++;
}

static void take_images(struct row_changes_reader *r, struct row_change *c)
{
        bool before = c->op != ROW_INSERT, after = c->op != ROW_DELETE;
        size_t n = c->n_columns;

        if (2 * n > r->max_values) {
                r->max_values = 2 * n;
                r->values = xrealloc(r->values, r->max_values * sizeof *r->values);
        }
        for (size_t i = 0; before && i < n; i++)
                r->values[i] = take_value(r, NULL);
        for (size_t i = 0; after && i < n; i++)
                r->values[n + i] = take_value(r, before ? &r->values[i] : NULL);
        c->before = before ? r->values : NULL;
        c->after = after ? r->values + n : NULL;
}

static void take_change(struct row_changes_reader *r, uint8_t op, struct row_change *ret)
{
        uint64_t table = take_number(r);
        uint64_t n_columns;

        *ret = (struct row_change){ .op = (enum row_change_op)op };
        if (op != ROW_INSERT)
                ret->old_rowid = unzigzag(take_number(r));
        if (op != ROW_DELETE)
                ret->new_rowid = unzigzag(take_number(r));
        n_columns = take_number(r);
        if (r->failed || table >= r->n_tables || !n_columns || n_columns > MAX_COLUMNS) {
                r->failed = true;
                return;
        }
        ret->table = r->tables[table].name;
        ret->n_table_bytes = r->tables[table].n_bytes;
        ret->n_columns = (size_t)n_columns;
        take_images(r, ret);
}

bool row_changes_next(struct row_changes_reader *r, struct row_change *ret_change)
{
        while (!r->failed && r->p < r->end) {
                uint8_t op = *r->p++;

                if (op == RECORD_TABLE) {
                        take_table(r);
                        continue;
                }
                if (op != ROW_INSERT && op != ROW_DELETE && op != ROW_UPDATE)
                        r->failed = true;
                else
                        take_change(r, op, ret_change);
                return !r->failed;
        }
        return false;
}
