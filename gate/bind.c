/* bind.c - see bind.h. While the job is on the pool the arena and what lies in it are the pool
 * thread's, the rest is the loop's. */
#include "gate/bind.h"

#include <string.h>

#include "common/arena.h"

enum { MAX_ARENA_BYTES = 256 << 20 };

struct bind {
        struct bind_options options;
        struct arena *arena;
        struct plan_arg *args;
        struct value *literals;
        int64_t connection[CONNECTION_N];
        struct plan_values values;
        struct err err;
        struct pool_job job;
        struct loop_task done;
        bool is_running, is_freed;
};

static void run_job(struct pool_job *job)
{
        struct bind *b = CONTAINER_OF(job, struct bind, job);
        const struct bind_options *o = &b->options;

        if (!b->err.code)
                (void)!plan_bind(o->plan, b->args, o->n_args, b->literals, b->connection, o->now_ms,
                                 b->arena, &b->values, &b->err);
        loop_post(o->loop, &b->done);
}

static void destroy(struct bind *b)
{
        plan_unref(b->options.plan);
        arena_free(b->arena);
        free(b);
}

static void on_job_done(struct loop_task *task)
{
        struct bind *b = CONTAINER_OF(task, struct bind, done);
        struct binds *all = b->options.all;

        all->no_jobs = --all->n_jobs == 0;
        b->is_running = false;
        if (b->is_freed)
                destroy(b);
        else
                b->options.done(b->options.arg, &b->values, &b->err);
}

static void copy_value(struct bind *b, struct value *to, const struct value *from)
{
        *to = *from;
        if ((from->type == VALUE_TEXT || from->type == VALUE_BLOB) && from->n_bytes)
                to->data = arena_memdup(b->arena, from->data, from->n_bytes);
}

/* What is borrowed from the client's message, which may go before the job is done. */
static void copy_input(struct bind *b)
{
        const struct bind_options *o = &b->options;
        size_t n_literals = o->plan->n_literals;

        b->args = arena_calloc(b->arena, o->n_args + 1, sizeof(*b->args));
        b->literals = arena_calloc(b->arena, n_literals + 1, sizeof(*b->literals));
        for (size_t i = 0; i < o->n_args && b->args; i++) {
                if (o->args[i].name)
                        b->args[i].name = arena_strdup(b->arena, o->args[i].name);
                copy_value(b, &b->args[i].value, &o->args[i].value);
        }
        for (size_t i = 0; i < n_literals && b->literals; i++)
                copy_value(b, &b->literals[i], &o->literals[i]);
        if (arena_is_exhausted(b->arena))
                err_set(&b->err, ERR_EXHAUSTED, "TOO_LARGE", "the parameters are too large");
}

struct bind *bind_new(const struct bind_options *o)
{
        struct bind *b = xcalloc(1, sizeof(*b));

        b->options = *o;
        b->options.plan = plan_ref(o->plan);
        b->arena = arena_new(MAX_ARENA_BYTES);
        b->err = (struct err)ERR_INIT;
        b->job.run = run_job;
        b->done.fn = on_job_done;
        copy_input(b);
        for (size_t i = 0; o->connection && i < CONNECTION_N; i++)
                b->connection[i] = o->connection[i];
        b->is_running = true;
        o->all->n_jobs++;
        o->all->no_jobs = false;
        pool_submit(o->pool, &b->job);
        return b;
}

struct bind *bind_free(struct bind *b)
{
        if (!b)
                return NULL;
        b->is_freed = true;
        if (!b->is_running)
                destroy(b);
        return NULL;
}

bool bind_is_running(const struct bind *b)
{
        return b && b->is_running;
}

void binds_finish(struct binds *all, struct loop *loop)
{
        all->no_jobs = all->n_jobs == 0;
        loop_run_until(loop, &all->no_jobs);
}
