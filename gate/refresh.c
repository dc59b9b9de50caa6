/* refresh.c - counts written rows by table. Loop thread. */
#include "gate/refresh.h"

#include <string.h>
#include <uthash.h>

#include "common/util.h"

struct written {
        UT_hash_handle hh;
        uint64_t n_rows;    /* since it was chosen last */
        uint64_t n_before;  /* of what is being refreshed: counted again if that fails */
        int64_t since_us;   /* the first of them */
        int64_t done_us;    /* INT64_MIN: never */
        size_t n_key_bytes; /* keyspace id and name */
        struct {
                uint64_t keyspace_id;
                char table[];
        } key;
};

/* Owner: the loop thread. */
struct refresh {
        int64_t interval_us;
        struct written *all;
        struct written *running;
};

struct refresh *refresh_new(int64_t interval_us)
{
        struct refresh *r = xcalloc(1, sizeof *r);

        r->interval_us = interval_us;
        return r;
}

static void drop(struct refresh *r, struct written *w)
{
        HASH_DEL(r->all, w);
        free(w);
}

struct refresh *refresh_free(struct refresh *r)
{
        struct written *w, *next;

        if (!r)
                return NULL;
        HASH_ITER(hh, r->all, w, next)
        {
                drop(r, w);
        }
        free(r);
        return NULL;
}

static struct written *get(struct refresh *r, uint64_t keyspace_id, const char *table)
{
        size_t n = strlen(table);
        struct written *fresh = xcalloc(1, sizeof *fresh + n + 1), *w;

        fresh->key.keyspace_id = keyspace_id;
        memcpy(fresh->key.table, table, n + 1);
        fresh->n_key_bytes = sizeof fresh->key + n;
        fresh->done_us = INT64_MIN;
        HASH_FIND(hh, r->all, &fresh->key, fresh->n_key_bytes, w);
        if (w) {
                free(fresh);
                return w;
        }
        HASH_ADD_KEYPTR(hh, r->all, &fresh->key, fresh->n_key_bytes, fresh);
        return fresh;
}

void refresh_note(struct refresh *r, uint64_t keyspace_id, const char *table, uint64_t n_rows,
                  int64_t now_us)
{
        struct written *w;

        if (!n_rows)
                return;
        w = get(r, keyspace_id, table);
        if (!w->n_rows)
                w->since_us = now_us;
        w->n_rows += n_rows;
}

static bool is_enough(const struct written *w, double rows)
{
        return rows < 0 || (double)w->n_rows >= REFRESH_MIN_CHANGES + rows / REFRESH_SHARE;
}

static int64_t due_at(const struct refresh *r, const struct written *w)
{
        return (w->done_us > w->since_us ? w->done_us : w->since_us) + r->interval_us;
}

struct refresh_choice refresh_choose(struct refresh *r, int64_t now_us, refresh_rows_fn *rows,
                                     void *arg)
{
        struct refresh_choice c = { .again_us = INT64_MAX };
        struct written *w, *next, *best = NULL;

        if (r->running)
                return c;
        HASH_ITER(hh, r->all, w, next)
        {
                double n = rows(arg, w->key.keyspace_id, w->key.table);

                if (n == REFRESH_GONE)
                        drop(r, w);
                else if (w->n_rows && is_enough(w, n) && (!best || due_at(r, w) < due_at(r, best)))
                        best = w;
        }
        if (best && due_at(r, best) > now_us) {
                c.again_us = due_at(r, best);
        } else if (best) {
                c.keyspace_id = best->key.keyspace_id;
                c.table = best->key.table;
                best->n_before = best->n_rows;
                best->n_rows = 0;
                r->running = best;
        }
        return c;
}

void refresh_done(struct refresh *r, bool ok, int64_t now_us)
{
        struct written *w = TAKE(r->running);

        w->done_us = now_us;
        if (ok)
                return;
        if (!w->n_rows)
                w->since_us = now_us;
        w->n_rows += w->n_before;
}
