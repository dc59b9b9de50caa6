/* table_shape.c - see table_shape.h. */
#include "common/table_shape.h"

#include <sqlite3.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/sqlite_err.h"

enum { HIDDEN_NOT = 0, HIDDEN_VIRTUAL = 2 }; /* pragma table_xinfo's column "hidden" */

struct table_shape *table_shape_free(struct table_shape *t)
{
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_columns; i++)
                free(t->columns[i].name);
        free(t->columns);
        free(t->name);
        free(t);
        return NULL;
}

static enum err_code query(sqlite3 *db, const char *sql, const struct table_shape *t,
                           sqlite3_stmt **ret_stmt, struct err *reterr)
{
        int rc = sqlite3_prepare_v2(db, sql, -1, ret_stmt, NULL);
        enum err_code code;

        if (rc == SQLITE_OK)
                rc = sqlite3_bind_text(*ret_stmt, 1, t->name, (int)t->n_name_bytes, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                return ERR_OK;
        code = sqlite_err_set(reterr, db, rc);
        sqlite3_finalize(*ret_stmt);
        return code;
}

/* Source: "Datatypes In SQLite", 3.1 Determination Of Column Affinity. */
static bool is_real_type(const char *type)
{
        static const char *const before[] = { "INT", "CHAR", "CLOB", "TEXT", "BLOB" };
        static const char *const real[] = { "REAL", "FLOA", "DOUB" };

        for (size_t i = 0; i < ARRAY_LEN(before); i++)
                if (strcasestr(type, before[i]))
                        return false;
        for (size_t i = 0; i < ARRAY_LEN(real); i++)
                if (strcasestr(type, real[i]))
                        return true;
        return false;
}

/* What a row of the query says: name, hidden, pk, type. */
static void add_column(struct table_shape *t, sqlite3_stmt *q)
{
        int hidden = sqlite3_column_int(q, 1);
        const char *type = (const char *)sqlite3_column_text(q, 3);

        t->columns = xrealloc(t->columns, (t->n_columns + 1) * sizeof *t->columns);
        t->columns[t->n_columns++] = (struct table_column){
                .name = xstrdup((const char *)sqlite3_column_text(q, 0)),
                .is_stored = hidden != HIDDEN_VIRTUAL,
                .is_settable = hidden == HIDDEN_NOT,
                .is_real = type && is_real_type(type),
                .pk = sqlite3_column_int(q, 2),
        };
        t->n_stored += hidden != HIDDEN_VIRTUAL;
}

/* ret_integer_key: the column that is the primary key by itself and of the type INTEGER; SIZE_MAX:
 * none. */
static enum err_code read_columns(sqlite3 *db, struct table_shape *t, size_t *ret_integer_key,
                                  struct err *reterr)
{
        sqlite3_stmt *q;
        unsigned n_pk = 0;
        int rc;
        enum err_code code = query(
            db, "SELECT name, hidden, pk, type FROM pragma_table_xinfo(?1, 'main')", t, &q, reterr);

        if (code)
                return code;
        *ret_integer_key = SIZE_MAX;
        while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
                const char *type = (const char *)sqlite3_column_text(q, 3);

                if (sqlite3_column_int(q, 2) && n_pk++ == 0 && type &&
                    strcasecmp(type, "INTEGER") == 0)
                        *ret_integer_key = t->n_columns;
                add_column(t, q);
        }
        if (n_pk != 1)
                *ret_integer_key = SIZE_MAX;
        if (rc != SQLITE_DONE)
                code = sqlite_err_set(reterr, db, rc);
        sqlite3_finalize(q);
        if (!code && !t->n_columns)
                code = err_set(reterr, ERR_DATA_LOSS, "BAD_ROW_CHANGES",
                               "changes of table %s: there is no such table", t->name);
        return code;
}

/* One row with a number, or none. */
static enum err_code read_number(sqlite3 *db, const char *sql, const struct table_shape *t,
                                 int *ret_number, struct err *reterr)
{
        sqlite3_stmt *q;
        enum err_code code = query(db, sql, t, &q, reterr);
        int rc;

        if (code)
                return code;
        rc = sqlite3_step(q);
        *ret_number = rc == SQLITE_ROW ? sqlite3_column_int(q, 0) : 0;
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
                code = sqlite_err_set(reterr, db, rc);
        sqlite3_finalize(q);
        return code;
}

static bool has_column(const struct table_shape *t, const char *name)
{
        for (size_t i = 0; i < t->n_columns; i++)
                if (sqlite3_stricmp(t->columns[i].name, name) == 0)
                        return true;
        return false;
}

static const char *choose_rowid(const struct table_shape *t)
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
static enum err_code read_rowid(sqlite3 *db, struct table_shape *t, size_t integer_key,
                                struct err *reterr)
{
        int without_rowid = 0, n_pk_indexes = 0;
        enum err_code code;

        code =
            read_number(db, "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1",
                        t, &without_rowid, reterr);
        if (!code)
                code = read_number(
                    db, "SELECT count(*) FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'", t,
                    &n_pk_indexes, reterr);
        if (code)
                return code;
        t->has_rowid = !without_rowid;
        t->ipk =
            t->has_rowid && integer_key != SIZE_MAX && !n_pk_indexes ? integer_key : t->n_columns;
        t->rowid = t->has_rowid ? choose_rowid(t) : NULL;
        return ERR_OK;
}

enum err_code table_shape_read(struct sqlite3 *db, const char *name, size_t n_name_bytes,
                               struct table_shape **ret_shape, struct err *reterr)
{
        cleanup_(table_shape_freep) struct table_shape *t = xcalloc(1, sizeof *t);
        size_t integer_key = SIZE_MAX;
        enum err_code code;

        t->name = xstrndup(name, n_name_bytes);
        t->n_name_bytes = n_name_bytes;
        code = read_columns(db, t, &integer_key, reterr);
        if (!code)
                code = read_rowid(db, t, integer_key, reterr);
        if (!code)
                *ret_shape = TAKE(t);
        return code;
}

enum err_code table_shape_refuse(const struct table_shape *t, const char *why, struct err *reterr)
{
        return err_set(reterr, ERR_UNIMPLEMENTED, "ROW_CHANGES",
                       "table %s %s, which transactions over several shards cannot do", t->name,
                       why);
}

enum err_code table_shape_check(const struct table_shape *t, struct err *reterr)
{
        if (sqlite3_stricmp(t->name, "sqlite_sequence") == 0)
                return table_shape_refuse(t, "has been written to", reterr);
        /* SQLite 3.40 takes the key's number among all columns for that among those that are
         * stored, and gives its value in place of another column's. */
        for (size_t i = 0; t->ipk < t->n_columns && i < t->ipk; i++)
                if (!t->columns[i].is_stored)
                        return table_shape_refuse(
                            t, "has a generated column before its INTEGER PRIMARY KEY", reterr);
        if (t->has_rowid && !t->rowid)
                return table_shape_refuse(t, "leaves no name for its rowid", reterr);
        return ERR_OK;
}
