/* bind.h - plan_bind() on the pool, for values whose expressions may take long. Loop thread, but
 * for the work itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/pool.h"
#include "gate/plan.h"
#include "rpc/loop.h"

/* All that are under way in a gate. Embedded, zeroed. */
struct binds {
        size_t n_jobs; /* on the pool, freed ones included */
        bool no_jobs;
};

/* Waits for the work of binds that have been freed. Before the pool goes. */
void binds_finish(struct binds *all, struct loop *loop);

struct bind;

struct bind_options {
        struct binds *all;
        struct loop *loop;
        struct pool *pool;
        struct plan *plan;           /* a reference is taken */
        const struct plan_arg *args; /* copied, like the literals */
        size_t n_args;
        const struct value *literals;
        const int64_t *connection; /* copied; NULL: none */
        int64_t now_ms;
        /* Once, never inside bind_new(). The values live as long as the bind. */
        void (*done)(void *arg, const struct plan_values *values, const struct err *e);
        void *arg;
};

/* Never NULL. */
struct bind *bind_new(const struct bind_options *o);
/* At any time; done does not run any more. Accepts NULL, returns NULL. */
struct bind *bind_free(struct bind *b);
/* Has done not run yet? NULL: false. */
bool bind_is_running(const struct bind *b);
