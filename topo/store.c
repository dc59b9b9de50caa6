/* store.c - transactions as lists of steps, and the way to the kind of store in use. Loop thread.
 */
#include "topo/store.h"

#include <string.h>

#include "topo/store_int.h"

struct store_txn *store_txn_new(void)
{
        return xcalloc(1, sizeof(struct store_txn));
}

struct store_txn *store_txn_free(struct store_txn *x)
{
        if (!x)
                return NULL;
        for (size_t i = 0; i < x->n_steps; i++) {
                free(x->steps[i].key);
                free(x->steps[i].value);
        }
        free(x->steps);
        free(x);
        return NULL;
}

static struct store_step *add_step(struct store_txn *x, enum store_step_kind kind, const char *key)
{
        struct store_step *step;

        if (x->n_steps == x->n_allocated) {
                x->n_allocated = x->n_allocated ? 2 * x->n_allocated : 8;
                x->steps = xrealloc(x->steps, x->n_allocated * sizeof *x->steps);
        }
        step = &x->steps[x->n_steps++];
        *step = (struct store_step){ .kind = kind, .key = xstrdup(key) };
        x->n_bytes += strlen(key);
        if (kind != STORE_EXPECT)
                x->n_changes++;
        return step;
}

void store_txn_expect(struct store_txn *x, const char *key, uint64_t mod_revision)
{
        add_step(x, STORE_EXPECT, key)->number = mod_revision;
}

void store_txn_put(struct store_txn *x, const char *key, const void *value, size_t n_bytes,
                   uint64_t lease)
{
        struct store_step *step = add_step(x, STORE_PUT, key);

        step->value = xmalloc(n_bytes);
        if (n_bytes)
                memcpy(step->value, value, n_bytes);
        step->n_bytes = n_bytes;
        step->number = lease;
        x->n_bytes += n_bytes;
}

void store_txn_delete(struct store_txn *x, const char *key)
{
        add_step(x, STORE_DELETE, key);
}

void store_txn_delete_prefix(struct store_txn *x, const char *prefix)
{
        add_step(x, STORE_DELETE_PREFIX, prefix);
}

size_t store_txn_n_changes(const struct store_txn *x)
{
        return x->n_changes;
}

/* Do two changes of a transaction touch the same key? etcd refuses that too. */
static bool steps_overlap(const struct store_step *a, const struct store_step *b)
{
        if (a->kind == STORE_EXPECT || b->kind == STORE_EXPECT)
                return false;
        if (a->kind == STORE_DELETE_PREFIX && !strncmp(a->key, b->key, strlen(a->key)))
                return true;
        if (b->kind == STORE_DELETE_PREFIX && !strncmp(a->key, b->key, strlen(b->key)))
                return true;
        return !strcmp(a->key, b->key);
}

static bool key_is_valid(const char *key)
{
        size_t n = 0;

        for (; key[n]; n++)
                if (key[n] <= ' ' || key[n] > '~' || n == STORE_MAX_KEY_BYTES)
                        return false;
        return n > 0;
}

enum err_code store_txn_check(const struct store_txn *x, struct err *reterr)
{
        if (x->n_steps > STORE_MAX_TXN_STEPS || x->n_bytes > STORE_MAX_TXN_BYTES)
                return err_set(reterr, ERR_EXHAUSTED, "STORE_LIMIT",
                               "the change has %zu steps and %zu bytes; the store takes %d and %d",
                               x->n_steps, x->n_bytes, STORE_MAX_TXN_STEPS, STORE_MAX_TXN_BYTES);
        for (size_t i = 0; i < x->n_steps; i++) {
                const struct store_step *step = &x->steps[i];

                if (!key_is_valid(step->key))
                        return err_set(reterr, ERR_INVALID, "STORE_KEY", "not a key of the store");
                for (size_t j = 0; j < i; j++)
                        if (steps_overlap(step, &x->steps[j]))
                                return err_set(reterr, ERR_INVALID, "STORE_KEY",
                                               "%s is changed twice", step->key);
        }
        return ERR_OK;
}

void store_get(struct store *s, const char *key, store_done_fn *done, void *arg)
{
        s->ops->get(s, key, done, arg);
}

void store_list(struct store *s, const char *prefix, store_done_fn *done, void *arg)
{
        s->ops->list(s, prefix, done, arg);
}

void store_commit(struct store *s, struct store_txn *x, store_done_fn *done, void *arg)
{
        s->ops->commit(s, x, done, arg);
}

struct store_watch *store_watch_new(struct store *s, const char *prefix, uint64_t from_revision,
                                    const struct store_watch_events *events, void *arg)
{
        return s->ops->watch_new(s, prefix, from_revision, events, arg);
}

struct store_watch *store_watch_free(struct store_watch *w)
{
        if (w)
                w->ops->watch_free(w);
        return NULL;
}

void store_lease_grant(struct store *s, uint64_t ttl_ms, store_done_fn *done, void *arg)
{
        s->ops->lease_grant(s, ttl_ms, done, arg);
}

void store_lease_keepalive(struct store *s, uint64_t lease, store_done_fn *done, void *arg)
{
        s->ops->lease_keepalive(s, lease, done, arg);
}

void store_lease_revoke(struct store *s, uint64_t lease, store_done_fn *done, void *arg)
{
        s->ops->lease_revoke(s, lease, done, arg);
}

void store_close(struct store *s, void (*done)(void *arg), void *arg)
{
        s->ops->close(s, done, arg);
}
