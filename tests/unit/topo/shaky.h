/* shaky.h - fixture.h with a store in front that fails and dawdles when told to. */
#pragma once

#include "tests/unit/topo/fixture.h"
#include "topo/store_int.h"

/* The store in front. */
static struct {
        struct store base;
        struct store *inner;
        struct err fail;      /* of all calls; code ERR_OK: none */
        unsigned n_conflicts; /* that many commits more fail so */
        unsigned n_commits;   /* seen */
        unsigned n_lost; /* answers to that many commits more get lost: their outcome is unknown */
        bool hold_watch; /* changes are kept back */
        const struct store_watch_events *events;
        void *events_arg;
        struct store_watch *inner_watch;
        struct {
                uint64_t revision;
                struct store_item item;
        } held[32];
        size_t n_held;
} shaky;

static struct store_watch watch_handle;

struct pending {
        struct err err;
        store_done_fn *done;
        void *arg;
};

static inline void fail_now(void *arg, const struct store_result *result)
{
        struct pending *p = arg;

        if (p->done)
                p->done(p->arg,
                        &(struct store_result){ .err = &p->err, .revision = result->revision });
        free(p);
}

/* An error takes its time too. */
static inline void fail_later(const struct err *err, store_done_fn *done, void *arg)
{
        struct pending *p = xcalloc(1, sizeof *p);

        *p = (struct pending){ *err, done, arg };
        store_get(shaky.inner, "x", fail_now, p);
}

static inline void shaky_get(struct store *s, const char *key, store_done_fn *done, void *arg)
{
        (void)s;
        if (shaky.fail.code)
                fail_later(&shaky.fail, done, arg);
        else
                store_get(shaky.inner, key, done, arg);
}

static inline void shaky_list(struct store *s, const char *prefix, store_done_fn *done, void *arg)
{
        (void)s;
        if (shaky.fail.code)
                fail_later(&shaky.fail, done, arg);
        else
                store_list(shaky.inner, prefix, done, arg);
}

struct lost {
        store_done_fn *done;
        void *arg;
};

static inline void lose_answer(void *arg, const struct store_result *result)
{
        struct lost *l = arg;
        struct err err = ERR_INIT;

        err_set(&err, ERR_UNKNOWN, "OUTCOME_UNKNOWN", "made up");
        if (l->done)
                l->done(l->arg,
                        &(struct store_result){ .err = &err, .revision = result->revision });
        free(l);
}

static inline void shaky_commit(struct store *s, struct store_txn *x, store_done_fn *done,
                                void *arg)
{
        struct err conflict = ERR_INIT;

        (void)s;
        shaky.n_commits++;
        err_set(&conflict, ERR_ABORTED, "STORE_CONFLICT", "made up");
        if (shaky.n_lost) {
                struct lost *l = xcalloc(1, sizeof *l);

                shaky.n_lost--;
                *l = (struct lost){ done, arg };
                store_commit(shaky.inner, x, lose_answer, l);
                return;
        }
        if (!shaky.fail.code && !shaky.n_conflicts) {
                store_commit(shaky.inner, x, done, arg);
                return;
        }
        store_txn_free(x);
        if (shaky.fail.code) {
                fail_later(&shaky.fail, done, arg);
                return;
        }
        shaky.n_conflicts--;
        fail_later(&conflict, done, arg);
}

static inline void on_change(void *arg, uint64_t revision, const struct store_item *items, size_t n)
{
        (void)arg;
        if (!shaky.hold_watch) {
                shaky.events->on_change(shaky.events_arg, revision, items, n);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                ck_assert_uint_lt(shaky.n_held, ARRAY_LEN(shaky.held));
                shaky.held[shaky.n_held].revision = revision;
                shaky.held[shaky.n_held].item = items[i];
                shaky.held[shaky.n_held].item.key = xstrdup(items[i].key);
                if (items[i].value) {
                        void *copy = xmalloc(items[i].n_bytes);

                        memcpy(copy, items[i].value, items[i].n_bytes);
                        shaky.held[shaky.n_held].item.value = copy;
                }
                shaky.n_held++;
        }
}

static inline void on_inner_end(void *arg, const struct err *err)
{
        (void)arg;
        shaky.events->on_end(shaky.events_arg, err);
}

static const struct store_watch_events inner_events = { .on_change = on_change,
                                                        .on_end = on_inner_end };

static inline struct store_watch *shaky_watch(struct store *s, const char *prefix, uint64_t from,
                                              const struct store_watch_events *events, void *arg)
{
        (void)s;
        shaky.events = events;
        shaky.events_arg = arg;
        shaky.inner_watch = store_watch_new(shaky.inner, prefix, from, &inner_events, NULL);
        return &watch_handle;
}

static inline void shaky_unwatch(struct store_watch *w)
{
        (void)w;
        shaky.inner_watch = store_watch_free(shaky.inner_watch);
}

static inline void shaky_grant(struct store *s, uint64_t ttl_ms, store_done_fn *done, void *arg)
{
        (void)s;
        store_lease_grant(shaky.inner, ttl_ms, done, arg);
}

static inline void shaky_keepalive(struct store *s, uint64_t lease, store_done_fn *done, void *arg)
{
        (void)s;
        store_lease_keepalive(shaky.inner, lease, done, arg);
}

static inline void shaky_close(struct store *s, void (*done)(void *arg), void *arg)
{
        (void)s;
        store_close(shaky.inner, done, arg);
}

static const struct store_ops shaky_ops = { .kind = "shaky",
                                            .get = shaky_get,
                                            .list = shaky_list,
                                            .commit = shaky_commit,
                                            .watch_new = shaky_watch,
                                            .watch_free = shaky_unwatch,
                                            .lease_grant = shaky_grant,
                                            .lease_keepalive = shaky_keepalive,
                                            .close = shaky_close };

static inline void forget_held(size_t i)
{
        free((char *)(uintptr_t)shaky.held[i].item.key);
        free((void *)(uintptr_t)shaky.held[i].item.value);
}

/* The watch gets what was kept back. */
static inline void release_watch(void)
{
        shaky.hold_watch = false;
        for (size_t i = 0; i < shaky.n_held; i++) {
                shaky.events->on_change(shaky.events_arg, shaky.held[i].revision,
                                        &shaky.held[i].item, 1);
                forget_held(i);
        }
        shaky.n_held = 0;
}

static inline void set_failing(enum err_code code)
{
        shaky.fail = (struct err)ERR_INIT;
        if (code)
                err_set(&shaky.fail, code, "STORE_UNAVAILABLE", "made up");
}

static inline struct store *wrap_shaky(struct store *inner)
{
        memset(&shaky, 0, sizeof shaky);
        shaky.base.ops = watch_handle.ops = &shaky_ops;
        shaky.inner = inner;
        return &shaky.base;
}

static inline void open_shaky(void)
{
        fx_make(wrap_shaky);
}

static inline void shaky_start(void)
{
        fx_set_up(LOG_ERROR + 1);
        open_shaky();
        loop_run_until(fx.loop, &fx.ready);
}

static inline void shaky_stop(void)
{
        for (size_t i = 0; i < shaky.n_held; i++)
                forget_held(i);
        fx_stop();
}
