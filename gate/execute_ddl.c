/* execute_ddl.c - statements that change the schema. With a request_id they are done once: topo
 * keeps it with the change. Loop thread. */
#include <string.h>

#include "gate/execute_int.h"
#include "sql/parse.h"

static void on_ddl_done(struct ddl_request *r, const struct err *e)
{
        execute_settle(CONTAINER_OF(r, struct execution, ddl), e);
}

/* NUL-terminated, in the arena. NULL: out of memory. */
static const char *take_request_id(struct execution *x)
{
        return arena_strndup(x->arena, x->request.request_id, x->request.n_request_id_bytes);
}

static enum err_code no_memory(struct err *reterr)
{
        return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE", "out of the call's memory");
}

void execute_ddl(struct execution *x)
{
        struct err e = ERR_INIT;

        x->ddl = (struct ddl_request){ .done = on_ddl_done };
        if (x->request.n_request_id_bytes) {
                enum err_code rc = execute_check_request_id(x, &e);

                x->ddl.request_id = rc ? NULL : take_request_id(x);
                x->ddl.digest = x->digest;
                x->ddl.n_digest_bytes = sizeof x->digest;
                if (!rc && !x->ddl.request_id)
                        rc = no_memory(&e);
                if (rc) {
                        execute_fail(x, &e);
                        return;
                }
        }
        ddl_run(x->gate->ddl, &x->ddl, x->run, x->request.deadline_us);
}

/* ---- what cannot be done because it was */

static bool is_schema_change(struct execution *x)
{
        struct sql_stmt *st;

        if (sql_parse(x->arena, x->request.sql, x->request.n_sql_bytes, &st, NULL, NULL))
                return false;
        switch (st->type) {
        case SQL_CREATE_TABLE:
        case SQL_CREATE_INDEX:
        case SQL_CREATE_VIEW:
        case SQL_DROP:
                return st->explain == SQL_EXPLAIN_NONE;
        default:
                return false;
        }
}

/* It was done: what is left to do is nothing. */
static void succeed_with_nothing(struct execution *x)
{
        struct err e = ERR_INIT;

        if (plan_build(x->catalog, "", 0, 0, &x->plan, &e)) {
                execute_fail(x, &e);
                return;
        }
        x->run = x->plan;
        execute_succeed(x);
}

static void on_replay(struct ddl_replay *r, const struct err *e, bool made)
{
        struct execution *x = CONTAINER_OF(r, struct execution, replay);

        if (made)
                succeed_with_nothing(x);
        else
                execute_fail(x, e->code ? e : &x->unplanned);
}

void execute_unplanned(struct execution *x, const struct err *e)
{
        struct err failure = *e;
        const char *id;

        /* What SQLite says of it; only a name that is there, or gone, may have been ours. */
        if (!x->request.n_request_id_bytes || !e->extended_code || x->request.read_only ||
            !is_schema_change(x)) {
                execute_fail(x, &failure);
                return;
        }
        id = take_request_id(x);
        if (!id)
                (void)no_memory(&failure);
        if (!id || execute_check_request_id(x, &failure)) {
                execute_fail(x, &failure);
                return;
        }
        x->unplanned = failure;
        x->replay = (struct ddl_replay){ .done = on_replay };
        ddl_replay_start(&x->replay, x->gate, catalog_id(x->catalog), id, x->digest,
                         sizeof x->digest, x->request.deadline_us);
}
