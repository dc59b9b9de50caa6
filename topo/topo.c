/* topo.c - loading the catalogue and keeping it in step with the store, the clock, the end. Loop
 * thread. */
#include "topo/topo.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/log.h"
#include "topo/keys.h"
#include "topo/meters.h"
#include "topo/op.h"
#include "topo/tablets.h"
#include "topo/transactions.h"
#include "topo/watch.h"

/* Bits of a version below the revision. */
enum { HEALTH_BITS = 16 };

int64_t topo_now_us(const struct topo *t)
{
        return t->options.now_us ? t->options.now_us() : mono_us();
}

uint64_t topo_version(const struct topo *t)
{
        return t->shown_revision << HEALTH_BITS | t->n_health_changes;
}

uint64_t topo_observe_clock(struct topo *t, uint64_t ts, const char *who)
{
        struct err err = ERR_INIT;

        if (hlc_observe(&t->hlc, ts, &err))
                log_event(LOG_WARN, "clock_skew", "peer=%s message=%s", log_quote(who),
                          log_quote(err.msg));
        return hlc_now(&t->hlc);
}

static void show(struct topo *t)
{
        meters_set_version(topo_version(t));
        watchers_publish(t->watchers);
}

/* ---------------------------------------------------------------- loading */

static void start_loading(struct topo *t);

static void set_ready(struct topo *t, bool ready)
{
        if (t->ready == ready)
                return;
        t->ready = ready;
        if (!ready)
                op_abandon_waits(t);
        if (t->options.on_ready)
                t->options.on_ready(t->options.arg, ready);
}

/* The next tick loads again. */
static void lose_store(struct topo *t, const struct err *err)
{
        log_event(LOG_ERROR, "store_away", "code=%s reason=%s message=%s", err_code_name(err->code),
                  err->reason, log_quote(err->msg));
        t->trouble = (struct err)ERR_INIT;
        err_set(&t->trouble, err->code == ERR_DATA_LOSS ? ERR_DATA_LOSS : ERR_UNAVAILABLE,
                err->code == ERR_DATA_LOSS ? err->reason : "STORE_UNAVAILABLE", "%s", err->msg);
        t->watch = store_watch_free(t->watch);
        t->loading = false;
        set_ready(t, false);
}

static void on_change(void *arg, uint64_t revision, const struct store_item *items, size_t n_items)
{
        struct topo *t = arg;
        struct err err = ERR_INIT;
        bool visible = false;

        if (catalog_apply(t->catalog, revision, items, n_items, &visible, &err) ||
            transactions_apply(t->transactions, items, n_items, &err)) {
                lose_store(t, &err);
                return;
        }
        if (visible) {
                t->shown_revision = revision;
                t->n_health_changes = 0;
                show(t);
        }
        op_wake(t);
}

static void on_watch_end(void *arg, const struct err *err)
{
        lose_store(arg, err);
}

static const struct store_watch_events watch_events = { .on_change = on_change,
                                                        .on_end = on_watch_end };

static void on_list(void *arg, const struct store_result *result)
{
        struct topo *t = arg;
        struct err err = *result->err;

        if (t->closing)
                return;
        if (!err.code)
                err.code = catalog_replace(t->catalog, result->revision, result->items,
                                           result->n_items, &err);
        if (!err.code)
                err.code =
                    transactions_replace(t->transactions, result->items, result->n_items, &err);
        if (err.code) {
                lose_store(t, &err);
                return;
        }
        t->loading = false;
        t->shown_revision = result->revision;
        t->n_health_changes = 0;
        t->watch = store_watch_new(t->store, "", result->revision + 1, &watch_events, t);
        set_ready(t, true);
        op_wake(t);
        show(t);
}

static void on_boot(void *arg, const struct store_result *result)
{
        struct topo *t = arg;

        if (t->closing)
                return;
        if (result->err->code) {
                lose_store(t, result->err);
                return;
        }
        t->booted = true;
        store_list(t->store, "", on_list, t);
}

static void draw(void *p, size_t n_bytes)
{
        if (getrandom(p, n_bytes, 0) != (ssize_t)n_bytes)
                abort();
}

static void add_store_id(struct store_txn *x)
{
        Shoal__V1__StoreRecord record = SHOAL__V1__STORE_RECORD__INIT;
        uint64_t random[2];
        char id[2 * 16 + 1];

        draw(random, sizeof random);
        snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)random[0],
                 (unsigned long long)random[1]);
        record.id = id;
        op_expect(x, key_store().s, NULL);
        op_put(x, key_store().s, &record.base, 0);
}

/* Is there an id already? If another process makes one at the same time, the next tick finds it. */
static void on_store_id(void *arg, const struct store_result *result)
{
        Shoal__V1__BootRecord boot = SHOAL__V1__BOOT_RECORD__INIT;
        struct topo *t = arg;
        struct store_txn *x;

        if (t->closing)
                return;
        if (result->err->code) {
                lose_store(t, result->err);
                return;
        }
        x = store_txn_new();
        draw(&boot.incarnation, sizeof boot.incarnation);
        op_put(x, key_boot().s, &boot.base, 0);
        if (!result->n_items)
                add_store_id(x);
        store_commit(t->store, x, on_boot, t);
}

static void start_loading(struct topo *t)
{
        t->loading = true;
        if (t->booted)
                store_list(t->store, "", on_list, t);
        else
                store_get(t->store, key_store().s, on_store_id, t);
}

/* ---------------------------------------------------------------- time */

/* Health has been told so often without any change in the store that the version runs out of bits:
 * make a change. */
static void renew_version(struct topo *t)
{
        const struct catalog_entry *boot = catalog_find(t->catalog, key_boot().s);
        struct store_txn *x = store_txn_new();

        op_put(x, key_boot().s, boot->message, 0);
        store_commit(t->store, x, NULL, NULL);
}

void topo_health_changed(struct topo *t)
{
        if (t->n_health_changes < (1U << HEALTH_BITS) - 1)
                t->n_health_changes++;
        else
                renew_version(t);
        show(t);
}

static void on_probe(void *arg, const struct store_result *result)
{
        struct topo *t = arg;

        t->probing = false;
        if (result->err->code && t->ready)
                lose_store(t, result->err);
}

void topo_tick(struct topo *t)
{
        if (t->closing)
                return;
        if (!t->ready && !t->loading)
                start_loading(t);
        if (t->ready && !t->probing) {
                t->probing = true;
                store_get(t->store, key_boot().s, on_probe, t);
        }
        if (t->ready)
                tablets_check(t->tablets);
        if (t->ready)
                transactions_tick(t->transactions);
}

static void arm_tick(struct topo *t)
{
        uint64_t period_ms = t->options.heartbeat_ms / 2;

        loop_timer_set(t->loop, &t->tick,
                       mono_us() + (int64_t)(period_ms > 10 ? period_ms : 10) * 1000);
}

static void on_tick(struct loop_timer *timer)
{
        struct topo *t = CONTAINER_OF(timer, struct topo, tick);

        topo_tick(t);
        arm_tick(t);
}

/* ---------------------------------------------------------------- life */

struct topo *topo_new(struct loop *l, struct store *s, const struct topo_options *o)
{
        struct topo *t = xcalloc(1, sizeof *t);

        t->loop = l;
        t->store = s;
        t->options = *o;
        if (!t->options.max_watchers)
                t->options.max_watchers = TOPO_MAX_WATCHERS;
        if (!t->options.max_prepared_ms)
                t->options.max_prepared_ms = TRANSACTIONS_MAX_PREPARED_MS;
        if (!t->options.max_records)
                t->options.max_records = TRANSACTIONS_MAX_RECORDS;
        if (!t->options.max_kept)
                t->options.max_kept = TRANSACTIONS_MAX_KEPT;
        if (!t->options.keep_ms)
                t->options.keep_ms = TRANSACTIONS_KEEP_MS;
        t->started_us = topo_now_us(t);
        hlc_init(&t->hlc, wall_us, o->max_skew_ms * 1000);
        err_set(&t->trouble, ERR_UNAVAILABLE, "STORE_UNAVAILABLE",
                "topo has not read its store yet");
        t->catalog = catalog_new();
        t->tablets = tablets_new(t);
        t->transactions = transactions_new(t);
        t->watchers = watchers_new(t);
        t->tick.fn = on_tick;
        if (!o->now_us)
                arm_tick(t);
        start_loading(t);
        return t;
}

static void on_closed(void *arg)
{
        struct topo *t = arg;
        void (*closed)(void *arg) = t->closed;
        void *closed_arg = t->closed_arg;

        assert(!t->n_ops);
        catalog_free(t->catalog);
        tablets_free(t->tablets);
        transactions_free(t->transactions);
        watchers_free(t->watchers);
        free(t);
        closed(closed_arg);
}

void topo_close(struct topo *t, void (*closed)(void *arg), void *arg)
{
        t->closing = true;
        t->closed = closed;
        t->closed_arg = arg;
        loop_timer_cancel(t->loop, &t->tick);
        t->watch = store_watch_free(t->watch);
        err_set(&t->trouble, ERR_UNAVAILABLE, "SHUTTING_DOWN", "topo is shutting down");
        set_ready(t, false);
        store_close(t->store, on_closed, t);
}
