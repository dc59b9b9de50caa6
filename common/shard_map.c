/* shard_map.c - shards in order of their ranges, found by halving. Immutable once made; any thread.
 */
#include "common/shard_map.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

/* Immutable but for n_refs. The strings of the entries lie behind starts, in the same allocation.
 */
struct shard_map {
        _Atomic unsigned n_refs;
        size_t n;
        struct shard_map_entry *entries;
        uint64_t starts[]; /* of the entries, close together for the search */
};

static int compare_starts(const void *a, const void *b)
{
        const struct shard_map_entry *x = a, *y = b;

        return (x->range.start > y->range.start) - (x->range.start < y->range.start);
}

/* The entries are in order of their starts. */
static enum err_code check_coverage(const struct shard_map_entry *entries, size_t n,
                                    struct err *reterr)
{
        uint64_t at = 0;

        for (size_t i = 0; i < n; i++) {
                const struct key_range *r = &entries[i].range;

                if (r->end && r->end <= r->start)
                        return err_set(reterr, ERR_INVALID, "BAD_SHARD_MAP", "shard %s is empty",
                                       entries[i].name);
                if (i > 0 && (at == 0 || r->start < at))
                        return err_set(reterr, ERR_INVALID, "BAD_SHARD_MAP",
                                       "shards %s and %s overlap", entries[i - 1].name,
                                       entries[i].name);
                if (r->start > at)
                        return err_set(reterr, ERR_INVALID, "BAD_SHARD_MAP",
                                       "no shard holds keyspace id %016" PRIx64, at);
                at = r->end;
        }
        if (at != 0)
                return err_set(reterr, ERR_INVALID, "BAD_SHARD_MAP",
                               "no shard holds keyspace id %016" PRIx64, at);
        return ERR_OK;
}

static char *copy_str(char **at, const char *s)
{
        size_t n = strlen(s) + 1;
        char *copy = memcpy(*at, s, n);

        *at += n;
        return copy;
}

static struct shard_map *copy_map(const struct shard_map_entry *entries, size_t n)
{
        size_t n_bytes = sizeof(struct shard_map) + n * (sizeof(uint64_t) + sizeof *entries);
        struct shard_map *m;
        char *strings;

        for (size_t i = 0; i < n; i++)
                n_bytes += strlen(entries[i].name) + 1 + strlen(entries[i].tablet) + 1;
        m = xmalloc(n_bytes);
        atomic_init(&m->n_refs, 1);
        m->n = n;
        m->entries = (struct shard_map_entry *)(void *)(m->starts + n);
        strings = (char *)(m->entries + n);
        for (size_t i = 0; i < n; i++) {
                m->entries[i] = entries[i];
                m->entries[i].name = copy_str(&strings, entries[i].name);
                m->entries[i].tablet = copy_str(&strings, entries[i].tablet);
                m->starts[i] = entries[i].range.start;
        }
        return m;
}

enum err_code shard_map_new(const struct shard_map_entry *entries, size_t n,
                            struct shard_map **ret_map, struct err *reterr)
{
        cleanup_(freep) struct shard_map_entry *sorted = NULL;
        enum err_code rc;

        if (n == 0)
                return err_set(reterr, ERR_INVALID, "BAD_SHARD_MAP", "there is no shard");
        sorted = xmalloc(n * sizeof *sorted);
        memcpy(sorted, entries, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_starts);
        rc = check_coverage(sorted, n, reterr);
        if (rc)
                return rc;
        *ret_map = copy_map(sorted, n);
        return ERR_OK;
}

struct shard_map *shard_map_ref(struct shard_map *m)
{
        atomic_fetch_add_explicit(&m->n_refs, 1, memory_order_relaxed);
        return m;
}

struct shard_map *shard_map_unref(struct shard_map *m)
{
        if (m && atomic_fetch_sub_explicit(&m->n_refs, 1, memory_order_acq_rel) == 1)
                free(m);
        return NULL;
}

size_t shard_map_size(const struct shard_map *m)
{
        return m->n;
}

const struct shard_map_entry *shard_map_at(const struct shard_map *m, size_t i)
{
        return &m->entries[i];
}

size_t shard_map_find(const struct shard_map *m, uint64_t keyspace_id)
{
        size_t at = 0;

        /* The answer lies in [at, at + n); starts[0] is 0. */
        for (size_t n = m->n; n > 1;) {
                size_t half = n / 2;

                if (m->starts[at + half] <= keyspace_id)
                        at += half;
                n -= half;
        }
        return at;
}
