/* affinity.c - conversions before hashing. Any thread; each has its own scratch database. */
#include "gate/affinity.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* Owner: the thread. Lives until the process ends. */
static _Thread_local struct {
        struct sqlite3 *db;
        sqlite3_stmt *to_number;
} scratch_db;

static sqlite3_stmt *number_statement(void)
{
        if (!scratch_db.to_number) {
                int rc = sqlite3_open(":memory:", &scratch_db.db);

                if (rc == SQLITE_OK)
                        rc = sqlite3_exec(scratch_db.db,
                                          "CREATE TABLE a (n NUMERIC); INSERT INTO a VALUES (0)",
                                          NULL, NULL, NULL);
                if (rc == SQLITE_OK)
                        rc = sqlite3_prepare_v3(scratch_db.db, "UPDATE a SET n = ?1 RETURNING n",
                                                -1, SQLITE_PREPARE_PERSISTENT,
                                                &scratch_db.to_number, NULL);
                assert(rc == SQLITE_OK);
        }
        return scratch_db.to_number;
}

/* Short texts of digits alone need no SQLite. */
static bool parse_digits(const struct value *v, int64_t *ret)
{
        const char *s = v->data;
        int64_t i = 0;

        if (v->n_bytes == 0 || v->n_bytes > 18)
                return false;
        for (size_t k = 0; k < v->n_bytes; k++) {
                if (s[k] < '0' || s[k] > '9')
                        return false;
                i = i * 10 + (s[k] - '0');
        }
        *ret = i;
        return true;
}

static struct value text_to_number(const struct value *v)
{
        sqlite3_stmt *stmt;
        struct value number = *v;
        int64_t i;

        if (parse_digits(v, &i))
                return value_integer(i);
        stmt = number_statement();
        if (value_bind(stmt, 1, v) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
                if (sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
                        number = value_integer(sqlite3_column_int64(stmt, 0));
                else if (sqlite3_column_type(stmt, 0) == SQLITE_FLOAT)
                        number = value_real(sqlite3_column_double(stmt, 0));
        }
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        return number;
}

static struct value number_to_text(const struct value *v, char *scratch)
{
        if (v->type == VALUE_INTEGER)
                sqlite3_snprintf(AFFINITY_SCRATCH_BYTES, scratch, "%lld", (long long)v->integer);
        else
                sqlite3_snprintf(AFFINITY_SCRATCH_BYTES, scratch, "%!.15g", v->real);
        return value_text(scratch, strlen(scratch));
}

/* SQLite compares integers and reals by value, so one that is both must look the same. */
static struct value canonical_number(struct value v)
{
        if (v.type == VALUE_REAL && v.real >= -9223372036854775808.0 &&
            v.real < 9223372036854775808.0 && (double)(int64_t)v.real == v.real)
                return value_integer((int64_t)v.real);
        return v;
}

struct value affinity_apply(enum affinity affinity, const struct value *v,
                            char scratch[AFFINITY_SCRATCH_BYTES])
{
        struct value r = *v;

        if (affinity == AFFINITY_TEXT && (v->type == VALUE_INTEGER || v->type == VALUE_REAL))
                r = number_to_text(v, scratch);
        else if (affinity != AFFINITY_TEXT && affinity != AFFINITY_BLOB && v->type == VALUE_TEXT)
                r = text_to_number(v);
        return canonical_number(r);
}
