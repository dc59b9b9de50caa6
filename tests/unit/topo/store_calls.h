/* store_calls.h - calls on a store that wait for their completion, for tests. */
#pragma once

#include <check.h>
#include <stdio.h>

#include "common/buf.h"
#include "rpc/loop.h"
#include "topo/store.h"

/* What a call came to. Items as text: "key=value@revision ". */
struct outcome {
        struct loop *loop;
        bool done;
        unsigned n_done;
        enum err_code code;
        char reason[ERR_REASON_BYTES];
        uint64_t revision;
        uint64_t lease;
        struct buf items;
};

static inline void note_items(struct buf *b, const struct store_item *items, size_t n)
{
        for (size_t i = 0; i < n; i++)
                buf_printf(b, "%s%s%.*s@%llu ", items[i].key, items[i].value ? "=" : " deleted",
                           (int)(items[i].n_bytes < 64 ? items[i].n_bytes : 64),
                           items[i].value ? (const char *)items[i].value : "",
                           (unsigned long long)items[i].mod_revision);
}

static inline void note_outcome(void *arg, const struct store_result *r)
{
        struct outcome *o = arg;

        o->done = true;
        o->n_done++;
        o->code = r->err->code;
        snprintf(o->reason, sizeof o->reason, "%s", r->err->reason);
        o->revision = r->revision;
        o->lease = r->lease;
        note_items(&o->items, r->items, r->n_items);
}

static inline void wait_outcome(struct loop *l, struct outcome *o)
{
        ck_assert_msg(!o->done, "completed inside the call");
        loop_run_until(l, &o->done);
        ck_assert_uint_eq(o->n_done, 1);
}

static inline void assert_ok(const struct outcome *o)
{
        ck_assert_msg(o->code == ERR_OK, "%s %s", err_code_name(o->code), o->reason);
}

/* Takes x. */
static inline struct outcome commit(struct loop *l, struct store *s, struct store_txn *x)
{
        struct outcome o = { 0 };

        store_commit(s, x, note_outcome, &o);
        wait_outcome(l, &o);
        return o;
}

static inline uint64_t put(struct loop *l, struct store *s, const char *key, const char *value,
                           uint64_t lease)
{
        struct store_txn *x = store_txn_new();
        struct outcome o;

        store_txn_put(x, key, value, strlen(value), lease);
        o = commit(l, s, x);
        assert_ok(&o);
        return o.revision;
}

static inline uint64_t erase(struct loop *l, struct store *s, const char *key)
{
        struct store_txn *x = store_txn_new();
        struct outcome o;

        store_txn_delete(x, key);
        o = commit(l, s, x);
        assert_ok(&o);
        return o.revision;
}

static inline void assert_items(struct outcome *o, const char *want)
{
        char *got = NULL;

        assert_ok(o);
        got = buf_take_str(&o->items);
        ck_assert_str_eq(got, want);
        free(got);
}

#define assert_list(l, s, prefix, want)                      \
        do {                                                 \
                struct outcome list_ = { 0 };                \
                store_list(s, prefix, note_outcome, &list_); \
                wait_outcome(l, &list_);                     \
                assert_items(&list_, want);                  \
        } while (0)

static inline uint64_t grant(struct loop *l, struct store *s, uint64_t ttl_ms)
{
        struct outcome o = { 0 };

        store_lease_grant(s, ttl_ms, note_outcome, &o);
        wait_outcome(l, &o);
        assert_ok(&o);
        ck_assert_uint_ne(o.lease, 0);
        return o.lease;
}

static inline enum err_code keepalive(struct loop *l, struct store *s, uint64_t lease)
{
        struct outcome o = { 0 };

        store_lease_keepalive(s, lease, note_outcome, &o);
        wait_outcome(l, &o);
        return o.code;
}

static inline void note_closed(void *arg)
{
        *(bool *)arg = true;
}

static inline void close_and_wait(struct loop *l, struct store *s)
{
        bool closed = false;

        store_close(s, note_closed, &closed);
        loop_run_until(l, &closed);
}

/* ---- watches: "[revision: items] " for each change */
struct seen {
        struct buf text;
        unsigned n;
        bool ended;
        struct err end;
        struct store_watch *free_at_once; /* freed in the first event */
};

static inline void see_change(void *arg, uint64_t revision, const struct store_item *items,
                              size_t n_items)
{
        struct seen *w = arg;

        w->n++;
        buf_printf(&w->text, "[%llu: ", (unsigned long long)revision);
        note_items(&w->text, items, n_items);
        buf_add_str(&w->text, "] ");
        w->free_at_once = store_watch_free(w->free_at_once);
}

static inline void see_end(void *arg, const struct err *err)
{
        struct seen *w = arg;

        ck_assert(!w->ended);
        w->ended = true;
        w->end = *err;
}

static const struct store_watch_events seen_events = { .on_change = see_change, .on_end = see_end };

static inline void assert_seen(struct seen *w, const char *want)
{
        char *got = buf_take_str(&w->text);

        ck_assert_str_eq(got, want);
        free(got);
}

/* A call and its answer: whatever was on its way before has arrived then. */
static inline void settle(struct loop *l, struct store *s)
{
        struct outcome o = { 0 };

        store_get(s, "settle", note_outcome, &o);
        wait_outcome(l, &o);
        buf_done(&o.items);
}
