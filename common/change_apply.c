/* change_apply.c - see change_apply.h. */
#include "common/change_apply.h"

#include <sqlite3.h>
#include <string.h>

#include "common/sqlite_err.h"
#include "common/table_shape.h"

struct table {
        struct table *next;
        struct table_shape *shape;
        sqlite3_stmt *insert, *update, *delete;
};

struct change_apply {
        sqlite3 *db;
        struct table *tables;
        int had_triggers, had_foreign_keys, had_defensive;
};

/* ---- life */

static int switch_to(sqlite3 *db, int what, int on)
{
        int was = 0;

        sqlite3_db_config(db, what, -1, &was);
        sqlite3_db_config(db, what, on, NULL);
        return was;
}

struct change_apply *change_apply_new(struct sqlite3 *db)
{
        struct change_apply *a = xcalloc(1, sizeof *a);

        a->db = db;
        a->had_triggers = switch_to(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0);
        a->had_foreign_keys = switch_to(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0);
        a->had_defensive = switch_to(db, SQLITE_DBCONFIG_DEFENSIVE, 0);
        /* Works within a transaction, too. */
        sqlite3_exec(db, "PRAGMA ignore_check_constraints = 1", NULL, NULL, NULL);
        return a;
}

static void free_table(struct table *t)
{
        sqlite3_finalize(t->insert);
        sqlite3_finalize(t->update);
        sqlite3_finalize(t->delete);
        table_shape_free(t->shape);
        free(t);
}

struct change_apply *change_apply_free(struct change_apply *a)
{
        struct table *t;

        if (!a)
                return NULL;
        while ((t = a->tables)) {
                a->tables = t->next;
                free_table(t);
        }
        sqlite3_exec(a->db, "PRAGMA ignore_check_constraints = 0", NULL, NULL, NULL);
        switch_to(a->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, a->had_triggers);
        switch_to(a->db, SQLITE_DBCONFIG_ENABLE_FKEY, a->had_foreign_keys);
        switch_to(a->db, SQLITE_DBCONFIG_DEFENSIVE, a->had_defensive);
        free(a);
        return NULL;
}

/* ---- tables */

static enum err_code fail(struct change_apply *a, int rc, struct err *reterr)
{
        return sqlite_err_set(reterr, a->db, rc);
}

static enum err_code refuse(const struct table_shape *t, const char *why, struct err *reterr)
{
        return err_set(reterr, ERR_DATA_LOSS, "BAD_ROW_CHANGES", "changes of table %s: %s", t->name,
                       why);
}

static enum err_code find_table(struct change_apply *a, const char *name, size_t n_bytes,
                                struct table **ret_table, struct err *reterr)
{
        struct table_shape *shape;
        struct table *t;
        enum err_code code;

        for (t = a->tables; t; t = t->next)
                if (t->shape->n_name_bytes == n_bytes && memcmp(t->shape->name, name, n_bytes) == 0)
                        break;
        if (!t) {
                code = table_shape_read(a->db, name, n_bytes, &shape, reterr);
                if (code)
                        return code;
                t = xcalloc(1, sizeof *t);
                t->shape = shape;
                t->next = a->tables;
                a->tables = t;
        }
        *ret_table = t;
        return ERR_OK;
}

enum err_code change_apply_check(struct change_apply *a, const char *table, size_t n_table_bytes,
                                 struct err *reterr)
{
        struct table *t;
        enum err_code code = find_table(a, table, n_table_bytes, &t, reterr);

        return code ? code : table_shape_check(t->shape, reterr);
}

/* ---- statements. Parameter 1 is the old rowid, 2 the new one; then the stored columns after the
 * change, and those before it. */

enum { OLD_ROWID = 1, NEW_ROWID = 2, FIRST_AFTER = 3 };

static void add_name(struct buf *b, const char *name)
{
        buf_add_byte(b, '"');
        for (; *name; name++) {
                if (*name == '"')
                        buf_add_byte(b, '"');
                buf_add_byte(b, (uint8_t)*name);
        }
        buf_add_byte(b, '"');
}

/* The columns that a statement may set: their names, or numbers, or both. */
static void add_settable(const struct table_shape *t, struct buf *b, bool with_name,
                         bool with_number)
{
        size_t at = 0;

        for (size_t i = 0; i < t->n_columns; i++) {
                if (!t->columns[i].is_stored)
                        continue;
                if (t->columns[i].is_settable && i != t->ipk) {
                        buf_add_str(b, b->data[b->n_bytes - 1] == '(' ? "" : ", ");
                        if (with_name)
                                add_name(b, t->columns[i].name);
                        if (with_name && with_number)
                                buf_add_str(b, " = ");
                        if (with_number)
                                buf_printf(b, "?%zu", FIRST_AFTER + at);
                }
                at++;
        }
}

static void add_where(const struct table_shape *t, struct buf *b)
{
        const char *separator = " WHERE ";
        size_t at = 0;

        if (t->has_rowid) {
                buf_add_str(b, separator);
                add_name(b, t->rowid);
                buf_printf(b, " = ?%d", OLD_ROWID);
                return;
        }
        for (size_t i = 0; i < t->n_columns; i++) {
                if (t->columns[i].pk) {
                        buf_add_str(b, separator);
                        add_name(b, t->columns[i].name);
                        buf_printf(b, " IS ?%zu", FIRST_AFTER + t->n_stored + at);
                        separator = " AND ";
                }
                at += t->columns[i].is_stored;
        }
}

static void write_insert(const struct table_shape *t, struct buf *b)
{
        buf_add_str(b, "INSERT OR ABORT INTO main.");
        add_name(b, t->name);
        buf_add_str(b, "(");
        if (t->has_rowid)
                add_name(b, t->rowid);
        add_settable(t, b, true, false);
        buf_add_str(b, ") VALUES (");
        if (t->has_rowid)
                buf_printf(b, "?%d", NEW_ROWID);
        add_settable(t, b, false, true);
        buf_add_str(b, ")");
}

static void write_update(const struct table_shape *t, struct buf *b)
{
        size_t at;

        buf_add_str(b, "UPDATE OR ABORT main.");
        add_name(b, t->name);
        buf_add_str(b, " SET ");
        at = b->n_bytes;
        if (t->has_rowid) {
                add_name(b, t->rowid);
                buf_printf(b, " = ?%d", NEW_ROWID);
        }
        add_settable(t, b, true, true);
        if (!t->has_rowid) /* the comma before the first */
                b->data[at] = ' ';
        add_where(t, b);
}

static void write_delete(const struct table_shape *t, struct buf *b)
{
        buf_add_str(b, "DELETE FROM main.");
        add_name(b, t->name);
        add_where(t, b);
}

static enum err_code choose_stmt(struct change_apply *a, struct table *t, enum row_change_op op,
                                 sqlite3_stmt **ret_stmt, struct err *reterr)
{
        sqlite3_stmt **stmt = op == ROW_INSERT   ? &t->insert
                              : op == ROW_UPDATE ? &t->update
                                                 : &t->delete;
        struct buf b = BUF_INIT(0);
        int rc = SQLITE_OK;

        if (!*stmt) {
                if (op == ROW_INSERT)
                        write_insert(t->shape, &b);
                else if (op == ROW_UPDATE)
                        write_update(t->shape, &b);
                else
                        write_delete(t->shape, &b);
                rc = sqlite3_prepare_v2(a->db, (const char *)b.data, (int)b.n_bytes, stmt, NULL);
                buf_done(&b);
        }
        *ret_stmt = *stmt;
        return rc == SQLITE_OK ? ERR_OK : fail(a, rc, reterr);
}

static int bind(sqlite3_stmt *stmt, const struct table_shape *t, const struct row_change *c)
{
        int n_params = sqlite3_bind_parameter_count(stmt);
        int rc = SQLITE_OK;

        if (t->has_rowid && c->before)
                rc = sqlite3_bind_int64(stmt, OLD_ROWID, c->old_rowid);
        if (rc == SQLITE_OK && c->after && n_params >= NEW_ROWID)
                rc = sqlite3_bind_int64(stmt, NEW_ROWID, c->new_rowid);
        for (size_t i = 0; rc == SQLITE_OK && c->after && i < t->n_stored; i++)
                if ((int)(FIRST_AFTER + i) <= n_params)
                        rc = value_bind(stmt, (int)(FIRST_AFTER + i), &c->after[i]);
        for (size_t i = 0; rc == SQLITE_OK && c->before && i < t->n_stored; i++)
                if ((int)(FIRST_AFTER + t->n_stored + i) <= n_params)
                        rc = value_bind(stmt, (int)(FIRST_AFTER + t->n_stored + i), &c->before[i]);
        return rc;
}

static enum err_code run(struct change_apply *a, struct table *t, const struct row_change *c,
                         struct err *reterr)
{
        sqlite3_stmt *stmt;
        enum err_code code = choose_stmt(a, t, c->op, &stmt, reterr);
        int rc;

        if (code)
                return code;
        rc = bind(stmt, t->shape, c);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        if (rc != SQLITE_DONE)
                code = fail(a, rc, reterr);
        else if (sqlite3_changes64(a->db) != 1)
                code = refuse(t->shape, "a row is not there", reterr);
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        return code;
}

static enum err_code apply_one(struct change_apply *a, const struct row_change *c,
                               struct err *reterr)
{
        struct table *t;
        enum err_code code = find_table(a, c->table, c->n_table_bytes, &t, reterr);

        if (code)
                return code;
        if (c->n_columns != t->shape->n_stored)
                return refuse(t->shape, "it has other columns", reterr);
        if (t->shape->has_rowid && !t->shape->rowid)
                return refuse(t->shape, "it has no name for the rowid", reterr);
        return run(a, t, c, reterr);
}

enum err_code change_apply_all(struct change_apply *a, const void *p, size_t n_bytes,
                               struct err *reterr)
{
        struct row_changes_reader r;
        struct row_change c;
        enum err_code code = ERR_OK;

        row_changes_reader_init(&r, p, n_bytes);
        while (!code && row_changes_next(&r, &c))
                code = apply_one(a, &c, reterr);
        if (!code && r.failed)
                code = err_set(reterr, ERR_DATA_LOSS, "BAD_ROW_CHANGES",
                               "the changes of rows are malformed");
        row_changes_reader_done(&r);
        return code;
}
