/* run.c - what reads and writes have in common: a client's statement made ready on a connection,
 * and its rows encoded. */
#include "tablet/engine_int.h"

#include <inttypes.h>

static enum err_code check_count(int count, struct err *reterr)
{
        if (count == 1)
                return ERR_OK;
        return err_set(reterr, ERR_INVALID, count ? "SEVERAL_STATEMENTS" : "EMPTY_STATEMENT",
                       count ? "more than one statement" : "no statement");
}

static enum err_code bind_params(struct conn *c, const struct cached_stmt *cs,
                                 const struct engine_stmt *st, struct err *reterr)
{
        int rc;

        if ((size_t)cs->n_params > st->n_params)
                return err_set(reterr, ERR_INVALID, "BAD_PARAMETERS",
                               "the statement has %d parameters, %zu are given", cs->n_params,
                               st->n_params);
        /* There may be more values than this statement uses: the parts of a plan share one vector.
         */
        for (int i = 0; i < cs->n_params; i++) {
                rc = value_bind(cs->stmt, i + 1, &st->params[i]);
                if (rc != SQLITE_OK)
                        return conn_fail(c, rc, reterr);
        }
        return ERR_OK;
}

enum err_code run_prepare(struct conn *c, const struct engine_stmt *st,
                          struct cached_stmt **ret_stmt, struct err *reterr)
{
        struct cached_stmt *cs = stmt_cache_find(&c->cache, st->sql, st->n_sql_bytes);
        enum err_code code;
        int rc, count;

        if (!cs) {
                rc = stmt_cache_prepare(&c->cache, st->sql, st->n_sql_bytes, &cs, &count);
                if (rc != SQLITE_OK)
                        return conn_fail(c, rc, reterr);
                code = check_count(count, reterr);
                if (code)
                        return code;
        }
        stmt_cache_take(cs);
        code = bind_params(c, cs, st, reterr);
        if (code) {
                stmt_cache_put(&c->cache, cs);
                return code;
        }
        *ret_stmt = cs;
        return ERR_OK;
}

static enum err_code refuse_size(const char *what, uint64_t limit, struct err *reterr)
{
        return err_set(reterr, ERR_EXHAUSTED, "RESULT_TOO_LARGE",
                       "the result has more than %" PRIu64 " %s", limit, what);
}

enum err_code run_add_row(const struct engine_stmt *st, sqlite3_stmt *stmt, uint64_t max_bytes,
                          struct run_count *count, struct buf *out, struct err *reterr)
{
        size_t n_before = out->n_bytes;

        if (st->max_rows && count->n_rows >= st->max_rows)
                return refuse_size("rows", st->max_rows, reterr);
        value_add_row(out, stmt, sqlite3_data_count(stmt));
        count->n_rows++;
        count->n_bytes += out->n_bytes - n_before;
        if (st->max_bytes && count->n_bytes > st->max_bytes)
                return refuse_size("bytes", st->max_bytes, reterr);
        if (out->failed || (max_bytes && count->n_bytes > max_bytes))
                return refuse_size("bytes", max_bytes ? max_bytes : out->max_bytes, reterr);
        return ERR_OK;
}
