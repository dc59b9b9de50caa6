/* catalog_statistics.c - what is known of the rows of a catalog's tables, and what is guessed where
 * nothing is. Loop thread. */
#include <sqlite3.h>
#include <string.h>
#include <strings.h>

#include "gate/catalog_int.h"

enum {
        /* Of a table that nobody has looked at: it may well be large. */
        GUESSED_ROWS = 100 * 1000,
        /* A value of a column without an index is that of one row in so many. */
        GUESSED_DISTINCT = 10,
};

static int key_column(const struct catalog_table *t, size_t place)
{
        for (size_t i = 0; i < t->n_columns; i++)
                if (t->columns[i].primary_key == (int)place + 1)
                        return (int)i;
        return CATALOG_NO_COLUMN;
}

size_t catalog_index_columns(const struct catalog *c, const struct catalog_table *t,
                             const char *index, int *ret_columns, size_t max_columns)
{
        sqlite3_stmt *stmt = NULL;
        size_t n = 0;

        if (t->without_rowid && strcasecmp(index, t->name) == 0) {
                while (n < max_columns && key_column(t, n) >= 0) {
                        ret_columns[n] = key_column(t, n);
                        n++;
                }
                return n;
        }
        if (sqlite3_prepare_v2(catalog_shadow((struct catalog *)(uintptr_t)c),
                               "SELECT cid FROM pragma_index_info(?1) ORDER BY seqno", -1, &stmt,
                               NULL) == SQLITE_OK &&
            sqlite3_bind_text(stmt, 1, index, -1, SQLITE_STATIC) == SQLITE_OK)
                while (n < max_columns && sqlite3_step(stmt) == SQLITE_ROW) {
                        int cid = sqlite3_column_int(stmt, 0);

                        ret_columns[n++] = cid < -1 ? CATALOG_NO_COLUMN : cid;
                }
        sqlite3_finalize(stmt);
        return n;
}

/* ---- taking them over */

/* The index tells how many rows have the same value of its first column. */
static void note_index(const struct catalog *c, const struct catalog_table *t,
                       const Shoal__V1__IndexStatistics *m, struct table_estimate *e)
{
        int column;
        double equal;

        if (!m->n_distinct || !m->distinct[0] ||
            catalog_index_columns(c, t, m->name, &column, 1) != 1 || column < 0)
                return;
        equal = (double)m->rows / (double)m->distinct[0];
        if (equal < 1)
                equal = 1;
        if (!e->equal_rows[column] || equal < e->equal_rows[column])
                e->equal_rows[column] = equal;
}

static bool same_estimate(const struct catalog_table *t, const struct table_estimate *a,
                          const struct table_estimate *b)
{
        return a->is_known == b->is_known && a->rows == b->rows && a->equal_rows && b->equal_rows &&
               memcmp(a->equal_rows, b->equal_rows, t->n_columns * sizeof *a->equal_rows) == 0;
}

void catalog_set_statistics(struct catalog *c, const Shoal__V1__TableStatistics *m)
{
        const struct catalog_table *t = catalog_find_table(c, m->table);
        struct table_estimate *old, fresh = { .is_known = true, .rows = (double)m->rows };

        if (!t)
                return;
        fresh.equal_rows = xcalloc(t->n_columns + 1, sizeof *fresh.equal_rows);
        for (size_t i = 0; i < m->n_indexes; i++)
                note_index(c, t, m->indexes[i], &fresh);
        old = catalog_estimate(c, t);
        if (same_estimate(t, old, &fresh)) {
                free(fresh.equal_rows);
                return;
        }
        free(old->equal_rows);
        *old = fresh;
        catalog_estimates_changed(c);
}

/* ---- asking */

bool catalog_has_statistics(const struct catalog *c, const struct catalog_table *t)
{
        return catalog_estimate(c, t)->is_known;
}

double catalog_table_rows(const struct catalog *c, const struct catalog_table *t)
{
        const struct table_estimate *e = catalog_estimate(c, t);

        return e->is_known ? e->rows : GUESSED_ROWS;
}

/* The column alone is the primary key. */
static bool is_whole_key(const struct catalog_table *t, int column)
{
        return t->columns[column].primary_key == 1 && key_column(t, 1) == CATALOG_NO_COLUMN;
}

double catalog_equal_rows(const struct catalog *c, const struct catalog_table *t, int column)
{
        const struct table_estimate *e = catalog_estimate(c, t);
        double rows = catalog_table_rows(c, t);
        double equal = rows / GUESSED_DISTINCT;

        if (column < 0 || column == t->rowid_column || is_whole_key(t, column))
                equal = 1;
        else if (e->equal_rows && e->equal_rows[column])
                equal = e->equal_rows[column];
        return equal < rows ? equal : rows;
}
