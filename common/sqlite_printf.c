/* sqlite_printf.c - see sqlite_printf.h.
 *
 * SQLite gives no way to its own function once another has its name. So each thread keeps a
 * connection where it still has it, and asks that, with the same limit. NULL may be an empty result
 * there, or one that is too large; so an x goes before the format, with which nothing is empty, and
 * is taken off the result again. */
#include "common/sqlite_printf.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/util.h"

enum { MAX_ARGS = 127 }; /* SQLite's SQLITE_MAX_FUNCTION_ARG */

/* Owner: the thread. */
static _Thread_local struct {
        sqlite3 *db;
        sqlite3_stmt *calls[MAX_ARGS + 1]; /* by number of arguments */
} helper;

static pthread_key_t thread_end;

static void close_helper(void *db)
{
        for (size_t i = 0; i < ARRAY_LEN(helper.calls); i++) {
                sqlite3_finalize(helper.calls[i]);
                helper.calls[i] = NULL;
        }
        sqlite3_close(db);
        helper.db = NULL;
}

static void make_key(void)
{
        int rc = pthread_key_create(&thread_end, close_helper);

        assert(rc == 0);
}

static int open_helper(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        int rc;

        if (helper.db)
                return SQLITE_OK;
        pthread_once(&once, make_key);
        rc =
            sqlite3_open_v2(":memory:", &helper.db,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc != SQLITE_OK) {
                sqlite3_close(helper.db);
                helper.db = NULL;
                return rc;
        }
        pthread_setspecific(thread_end, helper.db);
        return SQLITE_OK;
}

static int find_call(int n_args, sqlite3_stmt **ret_stmt)
{
        struct buf b = BUF_INIT(0);
        cleanup_(freep) char *sql = NULL;
        int rc = open_helper();

        if (rc != SQLITE_OK)
                return rc;
        assert(n_args <= MAX_ARGS);
        *ret_stmt = helper.calls[n_args];
        if (*ret_stmt)
                return SQLITE_OK;
        buf_add_str(&b, "SELECT printf(");
        for (int i = 0; i < n_args; i++)
                buf_add_str(&b, i ? ",?" : "?");
        buf_add_str(&b, ")");
        sql = buf_take_str(&b);
        if (!sql)
                return SQLITE_NOMEM;
        rc = sqlite3_prepare_v3(helper.db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_stmt, NULL);
        helper.calls[n_args] = *ret_stmt;
        return rc;
}

/* x and the format. */
static char *make_longer(sqlite3_value *format)
{
        const char *text = (const char *)sqlite3_value_text(format);
        size_t n = text ? strlen(text) : 0;
        char *longer = text ? malloc(n + 2) : NULL;

        if (longer) {
                longer[0] = 'x';
                memcpy(longer + 1, text, n + 1);
        }
        return longer;
}

/* SQLITE_ROW or the error. */
static int step(sqlite3_stmt *call, int n_args, sqlite3_value **args)
{
        int rc = SQLITE_OK;

        for (int i = 1; i < n_args && rc == SQLITE_OK; i++)
                rc = sqlite3_bind_value(call, i + 1, args[i]);
        return rc == SQLITE_OK ? sqlite3_step(call) : rc;
}

/* The result has no bytes: NULL or '', as SQLite has it. */
static int step_empty(sqlite3_context *ctx, sqlite3_stmt *call, sqlite3_value *format)
{
        int rc;

        sqlite3_reset(call);
        rc = sqlite3_bind_value(call, 1, format);
        if (rc == SQLITE_OK)
                rc = sqlite3_step(call);
        if (rc != SQLITE_ROW)
                return rc;
        sqlite3_result_value(ctx, sqlite3_column_value(call, 0));
        return SQLITE_OK;
}

static int run_call(sqlite3_context *ctx, sqlite3_stmt *call, int n_args, sqlite3_value **args)
{
        cleanup_(freep) char *longer = make_longer(args[0]);
        const char *text;
        int rc, n;

        if (!longer)
                return SQLITE_NOMEM;
        rc = sqlite3_bind_text(call, 1, longer, -1, SQLITE_STATIC);
        if (rc == SQLITE_OK)
                rc = step(call, n_args, args);
        if (rc != SQLITE_ROW)
                return rc;
        text = (const char *)sqlite3_column_text(call, 0);
        n = sqlite3_column_bytes(call, 0);
        if (!text)
                return SQLITE_TOOBIG;
        if (n > 1)
                sqlite3_result_text(ctx, text + 1, n - 1, SQLITE_TRANSIENT);
        rc = n > 1 ? SQLITE_OK : step_empty(ctx, call, args[0]);
        sqlite3_reset(call);
        sqlite3_bind_null(call, 1);
        return rc;
}

static void call_printf(sqlite3_context *ctx, int n_args, sqlite3_value **args)
{
        sqlite3_stmt *call = NULL;
        int limit = sqlite3_limit(sqlite3_context_db_handle(ctx), SQLITE_LIMIT_LENGTH, -1);
        int rc;

        if (!n_args || sqlite3_value_type(args[0]) == SQLITE_NULL)
                return;
        rc = find_call(n_args, &call);
        if (rc == SQLITE_OK) {
                /* Room for the x and a NUL; what is then still too long is refused with us. */
                sqlite3_limit(helper.db, SQLITE_LIMIT_LENGTH,
                              limit < INT_MAX - 2 ? limit + 2 : limit);
                rc = run_call(ctx, call, n_args, args);
                sqlite3_reset(call);
                sqlite3_clear_bindings(call);
        }
        if (rc == SQLITE_TOOBIG)
                sqlite3_result_error_toobig(ctx);
        else if (rc == SQLITE_NOMEM)
                sqlite3_result_error_nomem(ctx);
        else if (rc != SQLITE_OK)
                sqlite3_result_error_code(ctx, rc);
}

int sqlite_printf_register(struct sqlite3 *db)
{
        static const char *const names[] = { "printf", "format" };

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                int rc = sqlite3_create_function_v2(
                    db, names[i], -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
                    call_printf, NULL, NULL, NULL);

                if (rc != SQLITE_OK)
                        return rc;
        }
        return SQLITE_OK;
}
