/* store_sqlite.c - the asynchronous side of the SQLite store. The loop thread keeps watches and
 * leases; kv_db.c is called by one worker, in the order of the requests, and what it did comes back
 * in that order too. So when an answer arrives, all that was changed before it has been told to the
 * watches. */
#include "topo/store_sqlite.h"

#include <string.h>

#include "common/log.h"
#include "common/pool.h"
#include "topo/kv_db_int.h"

enum { HISTORY_CHUNK_BYTES = 4 << 20 };

struct lease {
        uint64_t id;
        uint64_t ttl_ms;
        int64_t ends_us;
        struct lease *next;
};

/* Owner: the loop thread, but db is the worker's once it has been started. */
struct sqlite_store {
        struct store base;
        struct loop *loop;
        struct pool *pool;
        struct kv_db *db;
        uint64_t revision; /* the last that was told to the watches */
        struct sqlite_watch *watches;
        struct lease *leases;
        int64_t (*now_us)(void);
        struct loop_timer timer; /* unarmed when a test owns the clock */
        bool owns_clock;
        bool closing;
};

/* Owner: the loop thread. */
struct sqlite_watch {
        struct store_watch base;
        struct sqlite_store *store;
        struct sqlite_watch *next;
        char *prefix;
        uint64_t next_revision; /* while it reads history */
        bool live;              /* told of changes as they happen */
        bool busy; /* a request holds it, so that one that is freed stays until that is back */
        bool freed;
        bool ended;
        const struct store_watch_events *events;
        void *arg;
};

/* A request on its way to the worker and back. */
struct request {
        struct pool_job job;
        struct loop_task task;
        struct sqlite_store *store;
        void (*work)(struct request *r);     /* worker; NULL: there is nothing to do there */
        void (*complete)(struct request *r); /* loop thread */
        store_done_fn *done;
        void *arg;
        char *key;
        bool is_prefix;
        struct store_txn *txn;
        uint64_t lease;
        uint64_t ttl_ms;
        struct sqlite_watch *watch;
        uint64_t from;
        /* what came of it */
        struct err err;
        struct kv_items items;
        struct kv_items changes;
        uint64_t revision;
        uint64_t next_revision;
};

/* ---------------------------------------------------------------- requests */

static struct request *new_request(struct sqlite_store *s, store_done_fn *done, void *arg)
{
        struct request *r = xcalloc(1, sizeof *r);

        r->store = s;
        r->done = done;
        r->arg = arg;
        r->err = (struct err)ERR_INIT;
        return r;
}

static void free_request(struct request *r)
{
        kv_items_done(&r->items);
        kv_items_done(&r->changes);
        store_txn_free(r->txn);
        free(r->key);
        free(r);
}

static void tell_watches(struct sqlite_store *s, const struct kv_items *changes, uint64_t revision);
static void end_watches(struct sqlite_store *s, const struct err *err);

static void complete_request(struct loop_task *task)
{
        struct request *r = CONTAINER_OF(task, struct request, task);
        struct sqlite_store *s = r->store;

        if (!r->err.code && r->revision > s->revision)
                tell_watches(s, &r->changes, r->revision);
        else if (r->err.code == ERR_UNKNOWN)
                end_watches(s, &r->err); /* they may have missed a change */
        if (r->complete)
                r->complete(r);
        if (r->done)
                r->done(r->arg, &(struct store_result){ .err = &r->err,
                                                        .revision = r->revision,
                                                        .items = r->items.items,
                                                        .n_items = r->items.n,
                                                        .lease = r->lease });
        free_request(r);
}

static void work_request(struct pool_job *job)
{
        struct request *r = CONTAINER_OF(job, struct request, job);

        if (!r->err.code && r->work)
                r->work(r);
        r->revision = kv_db_revision(r->store->db);
        loop_post(r->store->loop, &r->task);
}

static void submit(struct request *r)
{
        r->job.run = work_request;
        r->task.fn = complete_request;
        pool_submit(r->store->pool, &r->job);
}

/* ---------------------------------------------------------------- reading and writing */

static void work_read(struct request *r)
{
        enum err_code rc = kv_db_read(r->store->db, r->key, r->is_prefix, &r->items, &r->err);

        if (rc)
                kv_items_done(&r->items);
}

static void start_read(struct store *base, const char *key, bool is_prefix, store_done_fn *done,
                       void *arg)
{
        struct request *r = new_request(CONTAINER_OF(base, struct sqlite_store, base), done, arg);

        r->work = work_read;
        r->key = xstrdup(key);
        r->is_prefix = is_prefix;
        submit(r);
}

static void start_get(struct store *base, const char *key, store_done_fn *done, void *arg)
{
        start_read(base, key, false, done, arg);
}

static void start_list(struct store *base, const char *prefix, store_done_fn *done, void *arg)
{
        start_read(base, prefix, true, done, arg);
}

static void work_commit(struct request *r)
{
        enum err_code rc = store_txn_check(r->txn, &r->err);

        if (!rc)
                rc = kv_db_commit(r->store->db, r->txn, &r->changes, &r->err);
        r->err.code = rc; /* ERR_OK when a failed COMMIT turned out to have worked */
}

static void start_commit(struct store *base, struct store_txn *x, store_done_fn *done, void *arg)
{
        struct request *r = new_request(CONTAINER_OF(base, struct sqlite_store, base), done, arg);

        r->work = work_commit;
        r->txn = x;
        submit(r);
}

/* ---------------------------------------------------------------- watches */

static bool has_prefix(const char *s, const char *prefix)
{
        return !strncmp(s, prefix, strlen(prefix));
}

/* Tells w of items of one revision. The callback may free w. */
static void tell_watch(struct sqlite_watch *w, uint64_t revision, const struct store_item *items,
                       size_t n)
{
        struct store_item *wanted = xcalloc(n, sizeof *wanted);
        size_t n_wanted = 0;

        for (size_t i = 0; i < n; i++)
                if (has_prefix(items[i].key, w->prefix))
                        wanted[n_wanted++] = items[i];
        if (n_wanted)
                w->events->on_change(w->arg, revision, wanted, n_wanted);
        free(wanted);
}

/* Removes the watches that were freed while callbacks could be under way. */
static void sweep_watches(struct sqlite_store *s)
{
        struct sqlite_watch **at = &s->watches;

        while (*at) {
                struct sqlite_watch *w = *at;

                if (!w->freed || w->busy) {
                        at = &w->next;
                        continue;
                }
                *at = w->next;
                free(w->prefix);
                free(w);
        }
}

static void tell_watches(struct sqlite_store *s, const struct kv_items *changes, uint64_t revision)
{
        s->revision = revision;
        for (struct sqlite_watch *w = s->watches; w; w = w->next)
                if (w->live && !w->freed && revision >= w->next_revision)
                        tell_watch(w, revision, changes->items, changes->n);
        sweep_watches(s);
}

static void end_watch(struct sqlite_watch *w, const struct err *err)
{
        w->live = false;
        w->ended = true;
        if (!w->freed)
                w->events->on_end(w->arg, err);
}

static void end_watches(struct sqlite_store *s, const struct err *err)
{
        struct err away = ERR_INIT;

        err_set(&away, ERR_UNAVAILABLE, "STORE_UNAVAILABLE", "%s", err->msg);
        for (struct sqlite_watch *w = s->watches; w; w = w->next)
                if (!w->ended)
                        end_watch(w, &away);
        sweep_watches(s);
}

static void work_history(struct request *r)
{
        enum err_code rc = kv_db_history(r->store->db, r->key, r->from, HISTORY_CHUNK_BYTES,
                                         &r->items, &r->next_revision, &r->err);

        if (rc)
                kv_items_done(&r->items);
}

static void read_history(struct sqlite_watch *w);

static void complete_history(struct request *r)
{
        struct sqlite_watch *w = r->watch;
        const struct store_item *items = r->items.items;

        w->busy = false;
        if (r->err.code && !w->ended)
                end_watch(w, &r->err);
        for (size_t i = 0, n; i < r->items.n && !w->freed && !w->ended; i += n) {
                for (n = 1;
                     i + n < r->items.n && items[i + n].mod_revision == items[i].mod_revision;)
                        n++;
                w->events->on_change(w->arg, items[i].mod_revision, &items[i], n);
        }
        if (!w->ended && !w->freed) {
                w->next_revision =
                    r->next_revision > w->next_revision ? r->next_revision : w->next_revision;
                w->live = r->next_revision > r->revision;
                if (!w->live)
                        read_history(w);
        }
        sweep_watches(r->store);
}

static void read_history(struct sqlite_watch *w)
{
        struct request *r = new_request(w->store, NULL, NULL);

        r->work = work_history;
        r->complete = complete_history;
        r->key = xstrdup(w->prefix);
        r->from = w->next_revision;
        r->watch = w;
        w->busy = true;
        submit(r);
}

static const struct store_ops sqlite_ops;

static struct store_watch *start_watch(struct store *base, const char *prefix,
                                       uint64_t from_revision,
                                       const struct store_watch_events *events, void *arg)
{
        struct sqlite_store *s = CONTAINER_OF(base, struct sqlite_store, base);
        struct sqlite_watch *w = xcalloc(1, sizeof *w);

        w->base.ops = &sqlite_ops;
        w->store = s;
        w->prefix = xstrdup(prefix);
        w->next_revision = from_revision;
        w->events = events;
        w->arg = arg;
        w->next = s->watches;
        s->watches = w;
        read_history(w);
        return &w->base;
}

static void stop_watch(struct store_watch *base)
{
        struct sqlite_watch *w = CONTAINER_OF(base, struct sqlite_watch, base);

        struct request *r;

        w->freed = true;
        w->live = false;
        if (w->busy)
                return;
        /* It may be freed from within one of its callbacks, so a later round takes it off the list.
         */
        r = new_request(w->store, NULL, NULL);
        r->complete = complete_history;
        r->watch = w;
        w->busy = true;
        submit(r);
}

/* ---------------------------------------------------------------- leases */

static void add_lease(struct sqlite_store *s, uint64_t id, uint64_t ttl_ms)
{
        struct lease *lease = xcalloc(1, sizeof *lease);

        *lease = (struct lease){ id, ttl_ms, s->now_us() + (int64_t)ttl_ms * 1000, s->leases };
        s->leases = lease;
}

static void arm_timer(struct sqlite_store *s)
{
        int64_t at_us = INT64_MAX;

        for (const struct lease *lease = s->leases; lease; lease = lease->next)
                if (lease->ends_us < at_us)
                        at_us = lease->ends_us;
        if (s->owns_clock && !s->closing && at_us != INT64_MAX)
                loop_timer_set(s->loop, &s->timer, at_us);
}

static struct lease **find_lease(struct sqlite_store *s, uint64_t id)
{
        struct lease **at = &s->leases;

        while (*at && (*at)->id != id)
                at = &(*at)->next;
        return at;
}

static void forget_lease(struct lease **at)
{
        struct lease *lease = *at;

        *at = lease->next;
        free(lease);
}

static void complete_grant(struct request *r)
{
        if (!r->err.code)
                add_lease(r->store, r->lease, r->ttl_ms);
        arm_timer(r->store);
}

static void work_grant(struct request *r)
{
        r->err.code = kv_db_lease_add(r->store->db, r->ttl_ms, &r->lease, &r->err);
}

static void start_grant(struct store *base, uint64_t ttl_ms, store_done_fn *done, void *arg)
{
        struct request *r = new_request(CONTAINER_OF(base, struct sqlite_store, base), done, arg);

        r->work = work_grant;
        r->complete = complete_grant;
        r->ttl_ms = ttl_ms;
        submit(r);
}

static void fail_lease(struct request *r)
{
        err_set(&r->err, ERR_NOT_FOUND, "LEASE_NOT_FOUND", "lease %llu has ended",
                (unsigned long long)r->lease);
}

/* Goes by way of the worker only to keep its place in the order. */
static void start_keepalive(struct store *base, uint64_t id, store_done_fn *done, void *arg)
{
        struct sqlite_store *s = CONTAINER_OF(base, struct sqlite_store, base);
        struct request *r = new_request(s, done, arg);
        struct lease *lease = *find_lease(s, id);

        r->lease = id;
        if (lease)
                lease->ends_us = s->now_us() + (int64_t)lease->ttl_ms * 1000;
        else
                fail_lease(r);
        submit(r);
}

static void work_lease_end(struct request *r)
{
        r->err.code = kv_db_lease_end(r->store->db, r->lease, &r->changes, &r->err);
}

/* A lease that could not be ended is tried again a ttl later. */
static void complete_lease_end(struct request *r)
{
        if (r->err.code)
                add_lease(r->store, r->lease, r->ttl_ms);
        arm_timer(r->store);
}

/* *at is taken off the list: from now on it cannot be kept alive. */
static void end_lease(struct sqlite_store *s, struct lease **at, store_done_fn *done, void *arg)
{
        struct request *r = new_request(s, done, arg);

        r->lease = (*at)->id;
        r->ttl_ms = (*at)->ttl_ms;
        r->work = work_lease_end;
        r->complete = complete_lease_end;
        forget_lease(at);
        submit(r);
}

static void start_revoke(struct store *base, uint64_t id, store_done_fn *done, void *arg)
{
        struct sqlite_store *s = CONTAINER_OF(base, struct sqlite_store, base);
        struct lease **at = find_lease(s, id);
        struct request *r;

        if (*at) {
                end_lease(s, at, done, arg);
                return;
        }
        r = new_request(s, done, arg);
        r->lease = id;
        fail_lease(r);
        submit(r);
}

void store_sqlite_end_leases(struct store *base)
{
        struct sqlite_store *s = CONTAINER_OF(base, struct sqlite_store, base);
        int64_t now_us = s->now_us();
        struct lease **at = &s->leases;

        while (*at)
                if ((*at)->ends_us <= now_us)
                        end_lease(s, at, NULL, NULL);
                else
                        at = &(*at)->next;
        arm_timer(s);
}

static void run_timer(struct loop_timer *timer)
{
        store_sqlite_end_leases(&CONTAINER_OF(timer, struct sqlite_store, timer)->base);
}

/* ---------------------------------------------------------------- life */

struct closing {
        void (*done)(void *arg);
        void *arg;
        struct sqlite_store *store;
};

static void free_store(struct sqlite_store *s)
{
        pool_free(s->pool);
        kv_db_close(s->db);
        while (s->leases)
                forget_lease(&s->leases);
        free(s);
}

/* The worker has nothing left to do. */
static void finish_close(void *arg, const struct store_result *result)
{
        struct closing *c = arg;

        free_store(c->store);
        c->done(c->arg);
        free(c);
}

static void start_close(struct store *base, void (*done)(void *arg), void *arg)
{
        struct sqlite_store *s = CONTAINER_OF(base, struct sqlite_store, base);
        struct closing *c = xcalloc(1, sizeof *c);

        *c = (struct closing){ done, arg, s };
        s->closing = true;
        loop_timer_cancel(s->loop, &s->timer);
        submit(new_request(s, finish_close, c));
}

static const struct store_ops sqlite_ops = {
        .kind = "sqlite",
        .get = start_get,
        .list = start_list,
        .commit = start_commit,
        .watch_new = start_watch,
        .watch_free = stop_watch,
        .lease_grant = start_grant,
        .lease_keepalive = start_keepalive,
        .lease_revoke = start_revoke,
        .close = start_close,
};

enum err_code store_sqlite_open(struct loop *l, const struct store_sqlite_options *o,
                                struct store **ret_store, struct err *reterr)
{
        cleanup_(kv_db_closep) struct kv_db *db = NULL;
        cleanup_(freep) struct kv_lease *leases = NULL;
        struct sqlite_store *s;
        size_t n_leases = 0;
        enum err_code rc;

        rc = kv_db_open(o->path, o->keep_revisions, &db, reterr);
        if (!rc)
                rc = kv_db_leases(db, &leases, &n_leases, reterr);
        if (rc)
                return rc;
        s = xcalloc(1, sizeof *s);
        s->base.ops = &sqlite_ops;
        s->loop = l;
        s->db = TAKE(db);
        s->revision = kv_db_revision(s->db);
        s->now_us = o->now_us ? o->now_us : mono_us;
        s->owns_clock = !o->now_us;
        s->timer.fn = run_timer;
        s->pool = pool_new("store", 1);
        for (size_t i = 0; i < n_leases; i++)
                add_lease(s, leases[i].id, leases[i].ttl_ms);
        arm_timer(s);
        *ret_store = &s->base;
        return ERR_OK;
}
