/* change_capture.c - see change_capture.h. */
#define SQLITE_ENABLE_PREUPDATE_HOOK
#include "common/change_capture.h"

#include <sqlite3.h>
#include <string.h>

enum { MAX_COLUMNS = 2000 }; /* SQLite's limit */

typedef int image_fn(sqlite3 *db, int i, sqlite3_value **ret_value);

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

/* The stored columns of one image; the count says those that are computed, too, which come last
 * then and are out of range. */
static bool take_image(sqlite3 *db, image_fn *fn, int n, struct value *values, size_t *ret_n)
{
        sqlite3_value *v;
        int i, rc;

        for (i = 0; i < n; i++) {
                rc = fn(db, i, &v);
                if (rc == SQLITE_RANGE)
                        break;
                if (rc != SQLITE_OK || !take_value(v, &values[i]))
                        return false;
        }
        *ret_n = (size_t)i;
        return true;
}

static void on_change(void *arg, sqlite3 *db, int op, const char *schema unused_, const char *table,
                      sqlite3_int64 old_rowid, sqlite3_int64 new_rowid)
{
        struct change_capture *c = arg;
        struct value before[MAX_COLUMNS], after[MAX_COLUMNS];
        struct row_change change = { .table = table,
                                     .n_table_bytes = strlen(table),
                                     .old_rowid = old_rowid,
                                     .new_rowid = new_rowid };
        int n = sqlite3_preupdate_count(db);
        size_t n_after = 0;

        if (c->is_left_out && c->is_left_out(table))
                return;
        change.op = op == SQLITE_INSERT   ? ROW_INSERT
                    : op == SQLITE_DELETE ? ROW_DELETE
                                          : ROW_UPDATE;
        if (n > MAX_COLUMNS) {
                c->failed = true;
                return;
        }
        if (op != SQLITE_INSERT) {
                c->failed |= !take_image(db, sqlite3_preupdate_old, n, before, &change.n_columns);
                change.before = before;
        }
        if (op != SQLITE_DELETE) {
                c->failed |= !take_image(db, sqlite3_preupdate_new, n, after, &n_after);
                c->failed |= change.before && n_after != change.n_columns;
                change.n_columns = n_after;
                change.after = after;
        }
        if (!c->failed)
                row_changes_add(&c->changes, &change);
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
