/* change_apply.c - see change_apply.h. */
#include "common/change_apply.h"

#include <sqlite3.h>
#include <string.h>
#include <strings.h>

#include "common/sqlite_err.h"

enum column_kind { COLUMN_PLAIN = 0, COLUMN_VIRTUAL = 2, COLUMN_STORED = 3 }; /* pragma's hidden */

struct column {
        char *name;
        enum column_kind kind;
        int pk; /* its place in the primary key, from 1; 0: none */
};

struct table {
        struct table *next;
        char *name;
        size_t n_name_bytes;
        struct column *columns; /* all of them */
        size_t n_columns, n_stored;
        bool has_rowid;
        const char *rowid; /* a name for it; NULL: there is none */
        size_t ipk;        /* the column that is the rowid; n_columns: none */
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
        for (size_t i = 0; i < t->n_columns; i++)
                free(t->columns[i].name);
        free(t->columns);
        free(t->name);
        free(t);
}
DEFINE_CLEANUP(struct table *, free_table);

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

/* ---- what a table looks like */

static enum err_code fail(struct change_apply *a, int rc, struct err *reterr)
{
        return sqlite_err_set(reterr, a->db, rc);
}

static enum err_code refuse(const struct table *t, const char *why, struct err *reterr)
{
        return err_set(reterr, ERR_DATA_LOSS, "BAD_ROW_CHANGES", "changes of table %s: %s", t->name,
                       why);
}

static enum err_code query(struct change_apply *a, const char *sql, const struct table *t,
                           sqlite3_stmt **ret_stmt, struct err *reterr)
{
        int rc = sqlite3_prepare_v2(a->db, sql, -1, ret_stmt, NULL);

        if (rc != SQLITE_OK)
                return fail(a, rc, reterr);
        sqlite3_bind_text(*ret_stmt, 1, t->name, (int)t->n_name_bytes, SQLITE_STATIC);
        return ERR_OK;
}

static enum err_code read_columns(struct change_apply *a, struct table *t, bool *ret_may_alias,
                                  struct err *reterr)
{
        sqlite3_stmt *q;
        unsigned n_pk = 0;
        int rc;
        enum err_code code =
            query(a, "SELECT name, hidden, pk, type FROM pragma_table_xinfo(?1)", t, &q, reterr);

        if (code)
                return code;
        *ret_may_alias = false;
        while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
                const char *type = (const char *)sqlite3_column_text(q, 3);
                struct column *c;

                t->columns = xrealloc(t->columns, (t->n_columns + 1) * sizeof *t->columns);
                c = &t->columns[t->n_columns];
                *c = (struct column){ .name = xstrdup((const char *)sqlite3_column_text(q, 0)),
                                      .kind = (enum column_kind)sqlite3_column_int(q, 1),
                                      .pk = sqlite3_column_int(q, 2) };
                if (c->pk && ++n_pk == 1 && type && strcasecmp(type, "INTEGER") == 0)
                        t->ipk = t->n_columns;
                t->n_columns++;
                t->n_stored += c->kind != COLUMN_VIRTUAL;
        }
        sqlite3_finalize(q);
        if (rc != SQLITE_DONE)
                return fail(a, rc, reterr);
        *ret_may_alias = n_pk == 1 && t->ipk != SIZE_MAX;
        return t->n_columns ? ERR_OK : refuse(t, "there is no such table", reterr);
}

/* One row with a number, or none. */
static enum err_code read_number(struct change_apply *a, const char *sql, const struct table *t,
                                 int *ret_number, struct err *reterr)
{
        sqlite3_stmt *q;
        enum err_code code = query(a, sql, t, &q, reterr);
        int rc;

        if (code)
                return code;
        rc = sqlite3_step(q);
        *ret_number = rc == SQLITE_ROW ? sqlite3_column_int(q, 0) : 0;
        sqlite3_finalize(q);
        return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : fail(a, rc, reterr);
}

static bool has_column(const struct table *t, const char *name)
{
        for (size_t i = 0; i < t->n_columns; i++)
                if (sqlite3_stricmp(t->columns[i].name, name) == 0)
                        return true;
        return false;
}

static const char *choose_rowid(const struct table *t)
{
        static const char *const names[] = { "_rowid_", "rowid", "oid" };

        if (t->ipk < t->n_columns)
                return t->columns[t->ipk].name;
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (!has_column(t, names[i]))
                        return names[i];
        return NULL;
}

/* A primary key of the type INTEGER is the rowid unless it has an index of its own (DESC). */
static enum err_code read_rowid(struct change_apply *a, struct table *t, bool may_alias,
                                struct err *reterr)
{
        int without_rowid = 0, n_pk_indexes = 0;
        enum err_code code;

        code =
            read_number(a, "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1",
                        t, &without_rowid, reterr);
        if (!code)
                code =
                    read_number(a, "SELECT count(*) FROM pragma_index_list(?1) WHERE origin = 'pk'",
                                t, &n_pk_indexes, reterr);
        if (code)
                return code;
        t->has_rowid = !without_rowid;
        if (!t->has_rowid || !may_alias || n_pk_indexes)
                t->ipk = t->n_columns;
        t->rowid = t->has_rowid ? choose_rowid(t) : NULL;
        return ERR_OK;
}

static struct table *known_table(const struct change_apply *a, const char *name, size_t n_bytes)
{
        for (struct table *t = a->tables; t; t = t->next)
                if (t->n_name_bytes == n_bytes && memcmp(t->name, name, n_bytes) == 0)
                        return t;
        return NULL;
}

static enum err_code find_table(struct change_apply *a, const char *name, size_t n_bytes,
                                struct table **ret_table, struct err *reterr)
{
        cleanup_(free_tablep) struct table *t = NULL;
        bool may_alias;
        enum err_code code;

        *ret_table = known_table(a, name, n_bytes);
        if (*ret_table)
                return ERR_OK;
        t = xcalloc(1, sizeof *t);
        t->name = xstrndup(name, n_bytes);
        t->n_name_bytes = n_bytes;
        t->ipk = SIZE_MAX;
        code = read_columns(a, t, &may_alias, reterr);
        if (!code)
                code = read_rowid(a, t, may_alias, reterr);
        if (code)
                return code;
        t->next = a->tables;
        a->tables = t;
        *ret_table = TAKE(t);
        return ERR_OK;
}

enum err_code change_apply_check(struct change_apply *a, const char *table, size_t n_table_bytes,
                                 struct err *reterr)
{
        struct table *t;
        enum err_code code = find_table(a, table, n_table_bytes, &t, reterr);

        if (code)
                return code;
        for (size_t i = 0; t->ipk < t->n_columns && i < t->ipk; i++)
                if (t->columns[i].kind == COLUMN_VIRTUAL)
                        return err_set(reterr, ERR_UNIMPLEMENTED, "ROW_CHANGES",
                                       "table %s has a generated column before its INTEGER PRIMARY "
                                       "KEY, which transactions over several shards cannot do",
                                       t->name);
        if (t->has_rowid && !t->rowid)
                return err_set(reterr, ERR_UNIMPLEMENTED, "ROW_CHANGES",
                               "table %s leaves no name for its rowid, which transactions over "
                               "several shards need",
                               t->name);
        return ERR_OK;
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
static void add_settable(const struct table *t, struct buf *b, bool with_name, bool with_number)
{
        size_t at = 0;

        for (size_t i = 0; i < t->n_columns; i++) {
                if (t->columns[i].kind == COLUMN_VIRTUAL)
                        continue;
                if (t->columns[i].kind == COLUMN_PLAIN && i != t->ipk) {
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

static void add_where(const struct table *t, struct buf *b)
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
                at += t->columns[i].kind != COLUMN_VIRTUAL;
        }
}

static void write_insert(const struct table *t, struct buf *b)
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

static void write_update(const struct table *t, struct buf *b)
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

static void write_delete(const struct table *t, struct buf *b)
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
                        write_insert(t, &b);
                else if (op == ROW_UPDATE)
                        write_update(t, &b);
                else
                        write_delete(t, &b);
                rc = sqlite3_prepare_v2(a->db, (const char *)b.data, (int)b.n_bytes, stmt, NULL);
                buf_done(&b);
        }
        *ret_stmt = *stmt;
        return rc == SQLITE_OK ? ERR_OK : fail(a, rc, reterr);
}

static int bind(sqlite3_stmt *stmt, const struct table *t, const struct row_change *c)
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

static enum err_code apply_one(struct change_apply *a, const struct row_change *c,
                               struct err *reterr)
{
        sqlite3_stmt *stmt = NULL;
        struct table *t;
        enum err_code code;
        int rc;

        code = find_table(a, c->table, c->n_table_bytes, &t, reterr);
        if (!code && c->n_columns != t->n_stored)
                return refuse(t, "it has other columns", reterr);
        if (!code && t->has_rowid && !t->rowid)
                return refuse(t, "it has no name for the rowid", reterr);
        if (!code)
                code = choose_stmt(a, t, c->op, &stmt, reterr);
        if (code)
                return code;
        rc = bind(stmt, t, c);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        if (rc != SQLITE_DONE)
                code = fail(a, rc, reterr);
        else if (sqlite3_changes64(a->db) != 1)
                code = refuse(t, "a row is not there", reterr);
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        return code;
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
