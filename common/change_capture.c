/* change_capture.c - see change_capture.h. */
#define SQLITE_ENABLE_PREUPDATE_HOOK
#include "common/change_capture.h"

#include <assert.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "common/table_shape.h"

enum { MAX_COLUMNS = 2000 }; /* SQLite's limit */

typedef int image_fn(sqlite3 *db, int i, sqlite3_value **ret_value);

/* ---- the hook */

static bool take_value(sqlite3_value *from, struct value *to)
{
        int type = sqlite3_value_type(from);

        to->type = (enum value_type)type;
        switch (type) {
        case SQLITE_INTEGER:
                to->integer = sqlite3_value_int64(from);
                return true;
        case SQLITE_FLOAT:
                to->real = sqlite3_value_double(from);
                return true;
        case SQLITE_TEXT:
                to->data = sqlite3_value_text(from);
                break;
        case SQLITE_BLOB:
                to->data = sqlite3_value_blob(from);
                break;
        default:
                return true;
        }
        to->n_bytes = (size_t)sqlite3_value_bytes(from);
        return to->data || !to->n_bytes;
}

/* The stored columns of one image, at most max_values of them. Among the n that SQLite counts are
 * those that are computed, which it then has no value for: the last ones of a table with a rowid
 * and of the row after an UPDATE, each in its place otherwise. */
static bool take_image(sqlite3 *db, image_fn *fn, int n, size_t max_values, struct value *values,
                       size_t *ret_n)
{
        sqlite3_value *v;
        size_t n_values = 0;

        for (int i = 0; i < n && n_values < max_values; i++) {
                int rc = fn(db, i, &v);

                if (rc == SQLITE_RANGE)
                        continue;
                if (rc != SQLITE_OK || !take_value(v, &values[n_values++]))
                        return false;
        }
        *ret_n = n_values;
        return true;
}

static bool take_images(sqlite3 *db, struct row_change *change, struct value *before,
                        struct value *after)
{
        int n = sqlite3_preupdate_count(db);
        size_t n_before = MAX_COLUMNS, n_after;

        if (n > MAX_COLUMNS)
                return false;
        if (change->op != ROW_INSERT) {
                if (!take_image(db, sqlite3_preupdate_old, n, MAX_COLUMNS, before, &n_before))
                        return false;
                change->before = before;
                change->n_columns = n_before;
        }
        if (change->op != ROW_DELETE) {
                if (!take_image(db, sqlite3_preupdate_new, n, n_before, after, &n_after))
                        return false;
                if (change->before && n_after != n_before)
                        return false;
                change->after = after;
                change->n_columns = n_after;
        }
        return true;
}

static void on_change(void *arg, sqlite3 *db, int op, const char *schema, const char *table,
                      sqlite3_int64 old_rowid, sqlite3_int64 new_rowid)
{
        struct change_capture *c = arg;
        struct value before[MAX_COLUMNS], after[MAX_COLUMNS];
        struct row_change change = { .op = op == SQLITE_INSERT   ? ROW_INSERT
                                           : op == SQLITE_DELETE ? ROW_DELETE
                                                                 : ROW_UPDATE,
                                     .table = table,
                                     .n_table_bytes = strlen(table),
                                     .old_rowid = old_rowid,
                                     .new_rowid = new_rowid };

        if (strcmp(schema, "main") != 0 || (c->is_left_out && c->is_left_out(table)))
                return;
        if (take_images(db, &change, before, after))
                row_changes_add(&c->changes, &change);
        else
                c->failed = c->changes.bytes.failed = true;
}

void change_capture_begin(struct change_capture *c, struct sqlite3 *db, size_t max_bytes,
                          bool (*is_left_out)(const char *table))
{
        *c = (struct change_capture){ .db = db,
                                      .changes.bytes = BUF_INIT(max_bytes),
                                      .is_left_out = is_left_out };
        sqlite3_preupdate_hook(db, on_change, c);
}

void change_capture_end(struct change_capture *c)
{
        if (c->db)
                sqlite3_preupdate_hook(c->db, NULL, NULL);
        c->db = NULL;
        row_changes_done(&c->changes);
}

/* ---- looking at it once more */

/* Is it a real in place of an integer that it may not be equal to? */
static bool may_be_rounded(const struct value *v)
{
        static const double exact = 9007199254740992.0, largest = 9223372036854775808.0;

        return v->type == VALUE_REAL && fabs(v->real) >= exact && fabs(v->real) <= largest;
}

/* Without a rowid the row is found by the key before the change. Column n of the definition decides
 * whether column n of the key is given as a real. */
static enum err_code check_key(const struct table_shape *t, const struct row_change *c,
                               struct err *reterr)
{
        size_t at = 0;

        for (size_t i = 0; i < t->n_columns && at < c->n_columns; i++) {
                const struct table_column *column = &t->columns[i];

                if (column->pk && !column->is_real && t->columns[column->pk - 1].is_real &&
                    may_be_rounded(&c->before[at]))
                        return table_shape_refuse(
                            t,
                            "has a large number in its primary key and another column "
                            "of type REAL before that",
                            reterr);
                at += column->is_stored;
        }
        return ERR_OK;
}

/* The tables of a list. Their names are those that the reader gives: each its own, at one place. */
struct check {
        sqlite3 *db;
        struct {
                const char *name;
                struct table_shape *shape;
        } * tables;
        size_t n_tables;
};

static enum err_code find_shape(struct check *k, const struct row_change *c,
                                const struct table_shape **ret_shape, struct err *reterr)
{
        struct table_shape *shape;
        enum err_code code;

        for (size_t i = k->n_tables; i--;) {
                if (k->tables[i].name == c->table) {
                        *ret_shape = k->tables[i].shape;
                        return ERR_OK;
                }
        }
        code = table_shape_read(k->db, c->table, c->n_table_bytes, &shape, reterr);
        if (code)
                return code;
        k->tables = xrealloc(k->tables, (k->n_tables + 1) * sizeof *k->tables);
        k->tables[k->n_tables].name = c->table;
        k->tables[k->n_tables++].shape = shape;
        *ret_shape = shape;
        return table_shape_check(shape, reterr);
}

static enum err_code check_change(struct check *k, const struct row_change *c, struct err *reterr)
{
        const struct table_shape *t;
        enum err_code code = find_shape(k, c, &t, reterr);

        if (code)
                return code;
        if (c->n_columns != t->n_stored)
                return table_shape_refuse(t, "has been altered", reterr);
        return t->has_rowid || !c->before ? ERR_OK : check_key(t, c, reterr);
}

enum err_code change_capture_check(const struct change_capture *c, struct err *reterr)
{
        const struct buf *b = &c->changes.bytes;
        struct check k = { .db = c->db };
        struct row_changes_reader r;
        struct row_change change;
        enum err_code code = ERR_OK;

        if (b->failed)
                return err_set(reterr, ERR_EXHAUSTED, "TRANSACTION_TOO_LARGE",
                               "the changes of the transaction's rows take more than %zu bytes, or "
                               "memory is gone",
                               b->max_bytes);
        row_changes_reader_init(&r, b->data, b->n_bytes);
        while (!code && row_changes_next(&r, &change))
                code = check_change(&k, &change, reterr);
        assert(code || !r.failed);
        row_changes_reader_done(&r);
        for (size_t i = 0; i < k.n_tables; i++)
                table_shape_free(k.tables[i].shape);
        free(k.tables);
        return code;
}
