/* execute.c - the life of a statement: from its text to a plan, the choice of how to run it, trying
 * again, the end. Loop thread.
 *
 * An attempt runs from begin() to execute_succeed() or execute_fail(). Nothing of an attempt
 * outlives it: execute_stop() and execute_abandon_write() take all of it back, so that the next
 * finds x as the first one did. */
#include "gate/execute.h"

#include <assert.h>
#include <sqlite3.h>
#include <string.h>

#include "common/log.h"
#include "gate/execute_int.h"
#include "gate/session.h"
#include "gate/stats.h"

enum {
        FIRST_PAUSE_MS = 10, /* between two attempts, doubled each time … */
        MAX_PAUSE_MS = 500,  /* … up to this */
};

static void begin(struct execution *x);

/* ---- the end */

/* What an owner holds of an answer in one piece counts until it is done. */
static void uncount_bytes(struct execution *x)
{
        x->gate->n_result_bytes -= x->n_counted_bytes;
        x->n_counted_bytes = 0;
}

static void drop_plan(struct execution *x)
{
        plan_unref(x->plan);
        x->plan = x->run = NULL;
        x->catalog = catalog_unref(x->catalog);
}

void execute_stop(struct execution *x)
{
        execute_rounds_stop(x);
        execute_cut_stop(x);
        x->finish = finish_free(x->finish);
        for (size_t i = 0; i < x->n_parts; i++)
                x->parts[i].scatter = scatter_free(x->parts[i].scatter);
        x->n_parts = x->n_parts_ended = 0;
}

static void count_rows(struct execution *x)
{
        for (size_t i = 0; i < x->n_parts; i++) {
                const struct scatter *s = x->parts[i].scatter;

                for (size_t k = 0; s && k < scatter_n_shards(s); k++)
                        x->n_rows += scatter_shard_at(s, k)->rows;
        }
        if (x->finish)
                metric_add(x->gate->metrics->spilled, finish_spilled(x->finish));
}

/* x is the owner's again. */
static void leave(struct execution *x, const struct err *e)
{
        assert(x->active);
        x->active = false;
        x->gate->n_statements--;
        count_rows(x);
        stats_note_statement(x->gate->metrics, x->plan ? (int)x->plan->kind : -1, e,
                             mono_us() - x->started_us, x->n_rows, x->n_bytes);
        topology_wait_cancel(&x->wait);
        execute_stop(x);
        execute_abandon_write(x);
        execute_leave_transaction(x, x->is_cancelled);
        x->bind = bind_free(x->bind);
}

void execute_end(struct execution *x, const struct err *e)
{
        if (e->code == ERR_OK && x->request.with_stats)
                execute_add_stats(x);
        leave(x, e);
        x->events->on_end(x, e);
}

void execute_succeed(struct execution *x)
{
        static const struct err fine = ERR_INIT;

        execute_end(x, &fine);
}

void execution_cancel(struct execution *x, enum err_code code)
{
        struct err e = ERR_INIT;

        if (!x->active)
                return;
        e.code = code;
        x->is_cancelled = true;
        leave(x, &e);
}

void execution_done(struct execution *x)
{
        assert(!x->active);
        if (x->gate)
                uncount_bytes(x);
        drop_plan(x);
        buf_done(&x->stats);
}

const char *execution_plan_name(const struct execution *x)
{
        return plan_kind_name(x->plan->kind);
}

/* ---- trying again */

static void on_wait_over(struct topology_wait *w, bool reached)
{
        struct execution *x = CONTAINER_OF(w, struct execution, wait);

        (void)reached; /* if not, it is tried all the same: what was in the way may be gone */
        begin(x);
}

/* May the statement begin again after e? *ret_schema: its plan is out of date. */
static bool is_repeatable(const struct execution *x, const struct err *e, bool *ret_schema)
{
        *ret_schema = scatter_is_schema_changed(e);
        if (*ret_schema || scatter_is_not_served(e))
                return true;
        /* Whatever became of it, the shard does it once. */
        return e->code == ERR_UNKNOWN && x->request.n_request_id_bytes &&
               strcmp(e->reason, "OUTCOME_UNKNOWN") == 0;
}

static bool has_time(const struct execution *x, bool schema)
{
        uint64_t ms = schema ? x->gate->options.schema_wait_ms : x->gate->options.retry_ms;
        int64_t now_us = mono_us();

        return now_us < x->request.deadline_us && now_us < x->started_us + (int64_t)ms * 1000;
}

/* Waits for the topology to change, or a little, and begins again. */
static void begin_again(struct execution *x, bool schema)
{
        struct topology *t = x->gate->topology;
        uint64_t pause_ms = FIRST_PAUSE_MS;
        int64_t until_us;

        for (unsigned i = 0; i < x->n_tries && pause_ms < MAX_PAUSE_MS; i++)
                pause_ms *= 2;
        x->n_tries++;
        until_us = mono_us() + (int64_t)pause_ms * 1000;
        if (until_us > x->request.deadline_us)
                until_us = x->request.deadline_us;
        metric_add(schema ? x->gate->metrics->retries_schema : x->gate->metrics->retries_away, 1);
        x->wait.fn = on_wait_over;
        if (schema && x->plan) {
                ddl_nudge(x->gate->ddl, x->plan->keyspace_id);
                topology_wait_schema(t, &x->wait, x->plan->keyspace_id, x->plan->schema_version + 1,
                                     until_us);
        } else {
                topology_wait_version(t, &x->wait, topology_version(t) + 1, until_us);
        }
}

/* Forgets what has come so far. */
static void give_up_attempt(struct execution *x)
{
        count_rows(x);
        execute_stop(x);
        execute_abandon_write(x);
        x->bind = bind_free(x->bind);
        x->n_bytes = 0;
        uncount_bytes(x);
}

/* May shards have computed what SQLite would never have got to: beyond a LIMIT, of rows that are
 * joined with nothing, in a branch not taken? */
static bool may_be_eager(const struct execution *x, const struct err *e)
{
        int primary = e->extended_code & 0xff;

        return !x->eager && x->run && x->run == x->plan && x->run->read_only && x->run->n_parts &&
               x->run->finish_sql && (primary == SQLITE_ERROR || primary == SQLITE_TOOBIG) &&
               mono_us() < x->request.deadline_us;
}

static void begin_lazily(struct execution *x)
{
        struct topology *t = x->gate->topology;

        metric_add(x->gate->metrics->retries_lazy, 1);
        x->wait.fn = on_wait_over;
        topology_wait_version(t, &x->wait, topology_version(t) + 1, mono_us());
}

void execute_fail(struct execution *x, const struct err *e)
{
        struct err copy = *e;
        bool schema, is_free, again;

        if (execute_must_wait(x, &copy))
                return;
        is_free = execute_is_free(x);
        again = is_repeatable(x, &copy, &schema);
        again = execute_gave_up(x, &copy) || again;
        if (is_free && again && has_time(x, schema) && x->events->on_restart(x)) {
                give_up_attempt(x);
                begin_again(x, schema);
                return;
        }
        if (may_be_eager(x, &copy) && x->events->on_restart(x)) {
                x->eager = arena_memdup(x->arena, &copy, sizeof copy);
                if (x->eager) {
                        give_up_attempt(x);
                        begin_lazily(x);
                        return;
                }
        }
        /* That it could not be tried otherwise is no news to whom it concerns. */
        if (x->eager && !copy.extended_code)
                copy = *x->eager;
        execute_end(x, &copy);
}

void execute_settle(struct execution *x, const struct err *e)
{
        if (e->code)
                execute_fail(x, e);
        else if (x->discard_rows)
                execute_explain(x, true);
        else
                execute_succeed(x);
}

/* ---- rows */

enum err_code execute_no_memory(struct err *reterr)
{
        return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                       "the statement needs too much memory");
}

enum err_code execute_check_size(const struct execution *x, size_t n_more, size_t n_new,
                                 struct err *reterr)
{
        const struct gate *g = x->gate;

        if (x->max_bytes && x->n_bytes + n_more > x->max_bytes)
                return err_set(reterr, ERR_EXHAUSTED, "RESULT_TOO_LARGE",
                               "the result is larger than %llu bytes; ExecuteStream has no such "
                               "limit",
                               (unsigned long long)x->max_bytes);
        if (x->request.streaming)
                return ERR_OK;
        if (g->n_result_bytes + n_new > g->options.results_memory)
                return err_set(reterr, ERR_EXHAUSTED, "RESULTS_MEMORY",
                               "answers in one piece take all the memory this gate has for them; "
                               "ExecuteStream needs little");
        return ERR_OK;
}

/* n_bytes more, in x->n_bytes already. Streams hold little, and what they hold is bounded
 * elsewhere; what a write gives was limited by the shard, which has committed it: too late to
 * refuse. */
static enum err_code count_size(struct execution *x, size_t n_bytes, struct err *reterr)
{
        enum err_code rc;

        if (x->run && !x->run->read_only)
                return ERR_OK;
        rc = execute_check_size(x, 0, n_bytes, reterr);
        if (rc || x->request.streaming)
                return rc;
        x->gate->n_result_bytes += n_bytes;
        x->n_counted_bytes += n_bytes;
        return ERR_OK;
}

bool execute_give(struct execution *x, grpc_slice rows, size_t tag)
{
        struct err e = ERR_INIT;
        size_t n_bytes = GRPC_SLICE_LENGTH(rows);

        if (x->discard_rows) {
                grpc_slice_unref(rows);
                execution_consumed(x, tag, n_bytes);
                return true;
        }
        x->n_bytes += n_bytes;
        if (count_size(x, n_bytes, &e)) {
                grpc_slice_unref(rows);
                execute_fail(x, &e);
                return false;
        }
        x->events->on_rows(x, rows, tag);
        return x->active;
}

/* ---- an attempt */

static enum err_code check_allowed(const struct execution *x, struct err *reterr)
{
        const struct plan *p = x->run ? x->run : x->plan;

        if (!x->request.read_only || p->read_only || p->kind == PLAN_EXPLAIN)
                return ERR_OK;
        return err_set(reterr, ERR_PRECONDITION, "READ_ONLY",
                       "the statement writes, and read_only was asked for");
}

/* A session is of one keyspace. */
static enum err_code find_catalog(struct execution *x, struct err *reterr)
{
        const struct execute_request *r = &x->request;
        const char *name = r->keyspace;
        size_t n_bytes = r->n_keyspace_bytes;

        if (x->session && !n_bytes) {
                name = x->session->keyspace;
                n_bytes = strlen(name);
        } else if (x->session && !session_is_of(x->session, name, n_bytes)) {
                return err_set(reterr, ERR_INVALID, "SESSION_KEYSPACE",
                               "the session is of another keyspace");
        }
        return topology_find(x->gate->topology, name, n_bytes, &x->catalog, reterr);
}

static enum err_code make_plan(struct execution *x, struct err *reterr)
{
        const struct execute_request *r = &x->request;
        struct gate_metrics *m = x->gate->metrics;
        enum err_code rc;

        drop_plan(x);
        rc = find_catalog(x, reterr);
        if (rc)
                return rc;
        if (x->eager) {
                x->literals = NULL;
                x->cached = false;
                rc = plan_build_lazily(x->catalog, r->sql, r->n_sql_bytes, &x->plan, reterr);
        } else {
                rc = plan_cache_get(x->gate->plans, x->catalog, r->sql, r->n_sql_bytes, x->arena,
                                    &x->plan, &x->literals, &x->cached, reterr);
        }
        metric_add(!rc && x->cached ? m->cache_hits : m->cache_misses, 1);
        if (rc)
                return rc;
        x->run = x->plan;
        if (x->plan->kind == PLAN_EXPLAIN)
                x->run = x->plan->analyze ? x->plan->explained : NULL;
        x->discard_rows = x->run != x->plan;
        return check_allowed(x, reterr);
}

/* It has its values. */
static void run(struct execution *x)
{
        if (!x->run->n_parts)
                execute_run_local(x);
        else if (x->run->read_only)
                execute_run_parts(x);
        else
                execute_write(x);
}

static void on_bound(void *arg, const struct plan_values *values, const struct err *e)
{
        struct execution *x = arg;

        if (e->code) {
                execute_fail(x, e);
        } else {
                x->values = *values;
                run(x);
        }
}

/* What the session's functions tell. */
static void fill_connection(const struct execution *x, int64_t *ret_connection)
{
        const struct session *s = x->session;

        ret_connection[CONNECTION_CHANGES] = s ? s->changes : 0;
        ret_connection[CONNECTION_TOTAL_CHANGES] = s ? s->total_changes : 0;
        ret_connection[CONNECTION_LAST_ROWID] = s ? s->last_insert_rowid : 0;
}

static void bind_on_pool(struct execution *x, const int64_t *connection)
{
        struct bind_options o = {
                .all = &x->gate->binds,
                .loop = x->gate->loop,
                .pool = x->gate->pool,
                .plan = x->run,
                .args = x->request.args,
                .n_args = x->request.n_args,
                .literals = x->literals,
                .connection = connection,
                .now_ms = x->now_ms,
                .done = on_bound,
                .arg = x,
        };

        x->bind = bind_new(&o);
}

bool execution_is_binding(const struct execution *x)
{
        return bind_is_running(x->bind);
}

static void bind_and_run(struct execution *x)
{
        const struct execute_request *r = &x->request;
        int64_t connection[CONNECTION_N];
        struct err e = ERR_INIT;

        fill_connection(x, connection);
        if (!plan_binds_quickly(x->run, r->args, r->n_args, x->literals))
                bind_on_pool(x, connection);
        else if (plan_bind(x->run, r->args, r->n_args, x->literals, connection, x->now_ms, x->arena,
                           &x->values, &e))
                execute_fail(x, &e);
        else
                run(x);
}

static void begin(struct execution *x)
{
        struct err e = ERR_INIT;

        if (make_plan(x, &e))
                execute_unplanned(x, &e);
        else if (execute_enter(x, &e))
                execute_fail(x, &e);
        else if (x->run && x->run->kind == PLAN_TRANSACTION)
                execute_control(x);
        else if (!x->run)
                execute_explain(x, false);
        else if (x->run->kind == PLAN_DDL)
                execute_ddl(x);
        else if (x->run->kind == PLAN_ANALYZE)
                execute_analyze(x);
        else
                bind_and_run(x);
}

static void set_limits(struct execution *x)
{
        const struct gate_options *o = &x->gate->options;
        uint64_t max_rows = x->request.max_rows;

        if (!x->request.streaming && !max_rows)
                max_rows = o->max_result_rows;
        x->max_rows = max_rows;
        x->max_bytes = x->request.max_bytes;
        if (!x->request.streaming && !x->max_bytes)
                x->max_bytes = o->max_result_bytes;
}

void execution_start(struct execution *x)
{
        struct gate *g = x->gate;
        struct err e = ERR_INIT;

        x->started_us = mono_us();
        x->now_ms = wall_us() / 1000;
        x->active = true;
        set_limits(x);
        if (g->n_statements++ >= g->options.max_statements) {
                err_set(&e, ERR_EXHAUSTED, "TOO_MANY_REQUESTS",
                        "this gate runs %llu statements already",
                        (unsigned long long)g->options.max_statements);
                execute_end(x, &e);
        } else if (x->request.deadline_us <= x->started_us) {
                err_set(&e, ERR_DEADLINE, "DEADLINE_EXCEEDED", "the deadline has passed");
                execute_end(x, &e);
        } else {
                begin(x);
        }
}
