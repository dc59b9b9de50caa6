/* scratch.c - see scratch.h. Any thread; each has its own database, which lives as long as the
 * thread. */
#include "gate/scratch.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>

#include "common/sqlite_err.h"
#include "common/sqlite_now.h"
#include "common/sqlite_printf.h"

/* Steps of SQLite's machine between looks at the budget, and how many looks an expression gets:
 * some 100 ms. */
enum { STEPS_PER_LOOK = 10000, MAX_LOOKS = 200, MAX_VALUE_BYTES = 64 << 20 };

/* Owner: the thread. */
static _Thread_local struct {
        struct sqlite3 *db;
        sqlite3_stmt *to_number;
        int n_looks;
} scratch;

static int count_looks(void *arg)
{
        return ++scratch.n_looks > MAX_LOOKS;
}

static pthread_key_t thread_end;

static void close_scratch(void *db)
{
        sqlite3_finalize(scratch.to_number);
        scratch.to_number = NULL;
        sqlite3_close(db);
        scratch.db = NULL;
}

static void make_key(void)
{
        int rc = pthread_key_create(&thread_end, close_scratch);

        assert(rc == 0);
}

static struct sqlite3 *open_scratch(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        int rc;

        if (scratch.db)
                return scratch.db;
        pthread_once(&once, make_key);
        rc = sqlite_now_register();
        assert(rc == SQLITE_OK);
        rc = sqlite3_open_v2(":memory:", &scratch.db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                             SQLITE_NOW_VFS);
        if (rc == SQLITE_OK)
                rc =
                    sqlite3_exec(scratch.db, "CREATE TABLE a (n NUMERIC); INSERT INTO a VALUES (0)",
                                 NULL, NULL, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_prepare_v3(scratch.db, "UPDATE a SET n = ?1 RETURNING n", -1,
                                        SQLITE_PREPARE_PERSISTENT, &scratch.to_number, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite_printf_register(scratch.db);
        /* Nothing but memory can be missing. */
        assert(rc == SQLITE_OK);
        pthread_setspecific(thread_end, scratch.db);
        sqlite3_extended_result_codes(scratch.db, 1);
        sqlite3_limit(scratch.db, SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES);
        sqlite3_limit(scratch.db, SQLITE_LIMIT_ATTACHED, 0);
        sqlite3_progress_handler(scratch.db, STEPS_PER_LOOK, count_looks, NULL);
        return scratch.db;
}

struct value scratch_to_number(const struct value *text)
{
        struct value number = *text;
        sqlite3_stmt *stmt;

        open_scratch();
        stmt = scratch.to_number;
        scratch.n_looks = 0;
        if (value_bind(stmt, 1, text) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
                if (sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
                        number = value_integer(sqlite3_column_int64(stmt, 0));
                else if (sqlite3_column_type(stmt, 0) == SQLITE_FLOAT)
                        number = value_real(sqlite3_column_double(stmt, 0));
        }
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        return number;
}

static enum err_code take_value(sqlite3_stmt *stmt, struct arena *arena, struct value *ret_value,
                                struct err *reterr)
{
        struct value v = value_of_column(stmt, 0);

        if (v.type == VALUE_TEXT || v.type == VALUE_BLOB) {
                v.data = arena_memdup(arena, v.data, v.n_bytes);
                if (!v.data)
                        return err_set(reterr, ERR_EXHAUSTED, "TOO_LARGE",
                                       "a computed value is too large");
        }
        *ret_value = v;
        return ERR_OK;
}

enum err_code scratch_eval(const char *sql, const struct value *values, size_t n_values,
                           int64_t now_ms, struct arena *arena, struct value *ret_value,
                           struct err *reterr)
{
        struct sqlite3 *db = open_scratch();
        sqlite3_stmt *stmt = NULL;
        enum err_code rc = ERR_OK;
        int n, step;

        scratch.n_looks = 0;
        if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
                return sqlite_err_set(reterr, db, sqlite3_extended_errcode(db));
        n = sqlite3_bind_parameter_count(stmt);
        step = SQLITE_ROW;
        for (int i = 0; i < n && (size_t)i < n_values && step == SQLITE_ROW; i++)
                if (sqlite3_bind_parameter_name(stmt, i + 1) &&
                    value_bind(stmt, i + 1, &values[i]) != SQLITE_OK)
                        step = SQLITE_ERROR;
        if (step == SQLITE_ROW) {
                sqlite_now_set(now_ms);
                step = sqlite3_step(stmt);
                sqlite_now_set(0);
        }
        if (step == SQLITE_ROW)
                rc = take_value(stmt, arena, ret_value, reterr);
        else if (step == SQLITE_INTERRUPT)
                rc = err_set(reterr, ERR_EXHAUSTED, "EXPRESSION_TOO_COSTLY",
                             "a constant expression takes too long");
        else
                rc = sqlite_err_set(reterr, db, sqlite3_extended_errcode(db));
        sqlite3_finalize(stmt);
        return rc;
}
