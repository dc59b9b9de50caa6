/* route.c - keyspace ids and the shards that hold them. Loop thread. */
#include "gate/route.h"

#include <string.h>
#include <xxhash.h>

#include "gate/affinity.h"
#include "gate/shard_bits.h"

/* One column of a key, in a form in which values that SQLite's = calls equal have the same bytes.
 * The form is durable: rows lie where it put them. */
static void add_key(struct buf *b, const struct value *v, unsigned fold)
{
        static const char tags[] = { 0, 'i', 'r', 't', 'b', 'n' };
        const char *s = v->data;
        size_t n = v->n_bytes;
        uint32_t n_encoded;
        uint8_t *p;

        buf_add_byte(b, (uint8_t)tags[v->type]);
        switch (v->type) {
        case VALUE_INTEGER:
                buf_add(b, &v->integer, sizeof v->integer);
                return;
        case VALUE_REAL:
                buf_add(b, &v->real, sizeof v->real);
                return;
        case VALUE_NULL:
                return;
        case VALUE_TEXT:
                if (fold & FOLD_TRAILING_SPACES)
                        while (n && s[n - 1] == ' ')
                                n--;
                /* NOCASE looks no further than a NUL. */
                if ((fold & FOLD_CASE) && n)
                        n = strnlen(s, n);
                break;
        case VALUE_BLOB:
                fold = 0;
                break;
        }
        n_encoded = (uint32_t)n;
        buf_add(b, &n_encoded, sizeof n_encoded);
        p = buf_reserve(b, n);
        if (!p)
                return;
        for (size_t i = 0; i < n; i++)
                p[i] =
                    (uint8_t)((fold & FOLD_CASE) && s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
        b->n_bytes += n;
}

uint64_t route_keyspace_id(const struct catalog_table *t, const struct value *keys)
{
        struct buf b = BUF_INIT(0);
        uint64_t id;

        for (size_t i = 0; i < t->n_shard_columns; i++) {
                int column = t->shard_columns[i];
                char scratch[AFFINITY_SCRATCH_BYTES];
                struct value v = affinity_apply(
                    column < 0 ? AFFINITY_INTEGER : t->columns[column].affinity, &keys[i], scratch);

                add_key(&b, &v, column < 0 ? 0 : t->columns[column].fold);
        }
        id = XXH3_64bits(b.data, b.n_bytes);
        buf_done(&b);
        return id;
}

static void add_shard(uint64_t *bits, size_t i, size_t *n)
{
        if (!shard_bits_has(bits, i))
                ++*n;
        shard_bits_add(bits, i);
}

/* `=` with a NULL is never true. */
static bool key_can_match(const struct route *r, const struct value *key)
{
        for (size_t i = 0; i < r->table->n_shard_columns; i++)
                if (key[i].type == VALUE_NULL && !r->null_matches)
                        return false;
        return true;
}

static void read_key(const struct route *r, size_t k, const struct value *values, struct value *key)
{
        size_t width = r->table->n_shard_columns;

        for (size_t i = 0; i < width; i++)
                key[i] = values[r->slots[k * width + i]];
}

size_t route_find(const struct route *r, size_t k, const struct shard_map *shards,
                  const struct value *values)
{
        struct value key[ROUTE_MAX_KEY_COLUMNS];

        read_key(r, k, values, key);
        return shard_map_find(shards, route_keyspace_id(r->table, key));
}

static void resolve_keys(const struct route *r, const struct shard_map *shards,
                         const struct value *values, uint64_t *bits, size_t *n)
{
        for (size_t k = 0; k < r->n_keys; k++) {
                struct value key[ROUTE_MAX_KEY_COLUMNS];

                read_key(r, k, values, key);
                if (key_can_match(r, key))
                        add_shard(bits, shard_map_find(shards, route_keyspace_id(r->table, key)),
                                  n);
        }
}

/* False for 0 and NULL. Text and blobs may be true. */
static bool may_be_true(const struct value *v)
{
        switch (v->type) {
        case VALUE_NULL:
                return false;
        case VALUE_INTEGER:
                return v->integer != 0;
        case VALUE_REAL:
                return v->real != 0.0;
        default:
                return true;
        }
}

static bool can_match(const struct route *r, const struct value *values)
{
        for (size_t i = 0; i < r->n_conditions; i++)
                if (!may_be_true(&values[r->conditions[i]]))
                        return false;
        return true;
}

size_t route_resolve(const struct route *r, const struct shard_map *shards,
                     const struct value *values, uint64_t *ret_bits)
{
        size_t n_shards = shard_map_size(shards);
        size_t n = 0;

        memset(ret_bits, 0, shard_bits_words(n_shards) * sizeof *ret_bits);
        switch (r->kind) {
        case ROUTE_ALL:
                for (size_t i = 0; i < n_shards && can_match(r, values); i++)
                        add_shard(ret_bits, i, &n);
                break;
        case ROUTE_HOME:
        case ROUTE_ANY:
                add_shard(ret_bits, CATALOG_HOME_SHARD, &n);
                break;
        case ROUTE_KEYS:
                resolve_keys(r, shards, values, ret_bits, &n);
                break;
        }
        /* A statement that can match no row still has an answer, such as COUNT(*) = 0: any shard
         * gives it. */
        if (n == 0)
                add_shard(ret_bits, CATALOG_HOME_SHARD, &n);
        return n;
}
