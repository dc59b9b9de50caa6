/* ddl.c - schema changes: who waits for what, and the clock. Loop thread. */
#include "gate/ddl.h"

#include <assert.h>

#include "gate/ddl_int.h"

enum {
        /* What is left of the client's deadline for the answer to travel: a tenth, at most this. */
        ANSWER_MARGIN_US = 100 * 1000,
};

struct ddl_driver *ddl_driver_new_io(const struct ddl_io *io)
{
        struct ddl_driver *d = xcalloc(1, sizeof *d);

        d->io = *io;
        return d;
}

static void free_work(struct ddl_work *w)
{
        for (struct ddl_request *r = w->first, *next; r; r = next) {
                next = r->next;
                r->work = NULL;
                r->plan = plan_unref(r->plan);
        }
        ddl_change_done(&w->change);
        free(w->applied);
        free(w);
}

struct ddl_driver *ddl_driver_free(struct ddl_driver *d)
{
        if (!d)
                return NULL;
        for (struct ddl_work *w = d->works, *next; w; w = next) {
                next = w->next;
                free_work(w);
        }
        if (d->io.free)
                d->io.free(d->io.arg);
        free(d);
        return NULL;
}

int64_t ddl_now(const struct ddl_work *w)
{
        return w->driver->io.now_us(w->driver->io.arg);
}

static int64_t min_us(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* When a request is to be answered whatever the state. */
static int64_t give_up_at(const struct ddl_work *w, const struct ddl_request *r)
{
        int64_t stuck = w->stuck_since_us;

        if (!stuck)
                return r->give_up_us;
        if (stuck < r->since_us)
                stuck = r->since_us;
        return min_us(r->give_up_us, stuck + (int64_t)w->driver->io.patience_us);
}

void ddl_driver_wake(struct ddl_driver *d)
{
        int64_t at = INT64_MAX;

        if (d->ticking)
                return;
        for (const struct ddl_work *w = d->works; w; w = w->next) {
                if (!w->busy)
                        at = min_us(at, w->retry_at_us);
                if (w->state == DDL_IDLE)
                        at = min_us(at, w->late_look_us);
                for (const struct ddl_request *r = w->first; r; r = r->next)
                        at = min_us(at, give_up_at(w, r));
        }
        d->io.wake_at(d->io.arg, at);
}

/* What is true of r now, when it is not waited for any longer. */
static void describe_outcome(const struct ddl_work *w, const struct ddl_request *r,
                             struct err *ret_err)
{
        const char *why = w->cause.code ? w->cause.msg : "";

        *ret_err = (struct err)ERR_INIT;
        if (r == w->owner && w->state >= DDL_TURNING)
                *ret_err = w->cause;
        else if (r == w->owner && w->state == DDL_SETTLING)
                ret_err->code = ERR_OK;
        else if (r == w->owner &&
                 (w->state >= DDL_APPLYING || w->unsure || (w->state == DDL_BEGINNING && w->busy)))
                err_set(ret_err, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                        "the schema change goes on as soon as it can%s%s", *why ? ": " : "", why);
        else
                err_set(ret_err, ERR_UNAVAILABLE, "SCHEMA_CHANGE_PENDING",
                        "the keyspace's schema is being changed, nothing was done");
}

void ddl_work_give_up(struct ddl_work *w, int64_t now_us)
{
        struct ddl_request *r = w->first;

        while (r) {
                struct err e;

                if (give_up_at(w, r) > now_us) {
                        r = r->next;
                        continue;
                }
                describe_outcome(w, r, &e);
                ddl_work_answer(w, r, &e);
                r = w->first; /* others may have gone with it */
        }
}

/* Keyspaces that are gone take their work with them. */
static void forget_works(struct ddl_driver *d)
{
        for (struct ddl_work **link = &d->works; *link;) {
                struct ddl_work *w = *link;
                uint64_t version;
                size_t n_shards;

                if (w->busy || w->first || w->state != DDL_IDLE ||
                    d->io.keyspace(d->io.arg, w->keyspace_id, &version, &n_shards)) {
                        link = &w->next;
                } else {
                        *link = w->next;
                        free_work(w);
                }
        }
}

void ddl_tick(struct ddl_driver *d)
{
        d->ticking = true;
        for (struct ddl_work *w = d->works; w; w = w->next) {
                ddl_work_give_up(w, ddl_now(w));
                if (w->state == DDL_IDLE && w->late_look_us <= ddl_now(w)) {
                        w->late_look_us = INT64_MAX;
                        w->wants_look = true;
                        w->retry_at_us = ddl_now(w);
                }
                if (!w->busy && w->retry_at_us <= ddl_now(w))
                        ddl_work_run(w);
        }
        forget_works(d);
        d->ticking = false;
        ddl_driver_wake(d);
}

void ddl_topology_changed(struct ddl_driver *d)
{
        d->ticking = true;
        for (struct ddl_work *w = d->works; w; w = w->next)
                if (!w->busy)
                        ddl_work_run(w);
        forget_works(d);
        d->ticking = false;
        ddl_driver_wake(d);
}

bool ddl_driver_is_idle(const struct ddl_driver *d)
{
        for (const struct ddl_work *w = d->works; w; w = w->next)
                if (w->busy || w->first || w->wants_look || w->state != DDL_IDLE ||
                    w->late_look_us != INT64_MAX)
                        return false;
        return true;
}

static struct ddl_work *get_work(struct ddl_driver *d, uint64_t keyspace_id)
{
        struct ddl_work **link = &d->works;

        while (*link && (*link)->keyspace_id != keyspace_id)
                link = &(*link)->next;
        if (!*link) {
                *link = xcalloc(1, sizeof **link);
                (*link)->driver = d;
                (*link)->keyspace_id = keyspace_id;
                (*link)->retry_at_us = (*link)->late_look_us = INT64_MAX;
        }
        return *link;
}

/* Has the work run by the clock, so that nothing is answered inside the caller. */
static void run_soon(struct ddl_work *w)
{
        if (!w->busy && w->state == DDL_IDLE)
                w->retry_at_us = ddl_now(w);
        ddl_driver_wake(w->driver);
}

void ddl_run(struct ddl_driver *d, struct ddl_request *r, struct plan *p, int64_t deadline_us)
{
        struct ddl_work *w = get_work(d, p->keyspace_id);
        int64_t now = ddl_now(w);

        assert(!r->work);
        r->work = w;
        r->next = NULL;
        r->plan = plan_ref(p);
        r->since_us = now;
        r->give_up_us = deadline_us;
        if (deadline_us != INT64_MAX)
                r->give_up_us -= min_us((deadline_us - now) / 10, ANSWER_MARGIN_US);
        *(w->last ? &w->last->next : &w->first) = r;
        w->last = r;
        run_soon(w);
}

void ddl_abandon(struct ddl_request *r)
{
        struct ddl_work *w = r->work;

        if (!w)
                return;
        r->done = NULL;
        ddl_work_answer(w, r, NULL);
        ddl_driver_wake(w->driver);
}

void ddl_nudge(struct ddl_driver *d, uint64_t keyspace_id)
{
        struct ddl_work *w = get_work(d, keyspace_id);

        if (w->state != DDL_IDLE)
                return;
        w->wants_look = true;
        run_soon(w);
}
