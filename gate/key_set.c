/* key_set.c - see key_set.h. Loop thread. */
#include "gate/key_set.h"

#include <string.h>
#include <xxhash.h>

#include "common/wire.h"
#include "gate/route.h"
#include "gate/shard_bits.h"

enum { FIRST_ROOM = 16, RESULT_SET_ROWS = 2 };

static enum err_code fail_for_size(struct err *reterr)
{
        return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                       "the statement needs too much memory");
}

/* ---- collecting */

static bool has_bytes(const struct value *v)
{
        return v->type == VALUE_TEXT || v->type == VALUE_BLOB;
}

static uint64_t hash(const struct value *v)
{
        return has_bytes(v) ? XXH3_64bits_withSeed(v->data, v->n_bytes, v->type)
                            : XXH3_64bits_withSeed(&v->integer, sizeof v->integer, v->type);
}

/* Twice as many places as keys. */
static size_t n_places(const struct key_set *s)
{
        return s->n_allocated * 2;
}

/* Where the key is, or would be. */
static uint32_t *find_place(const struct key_set *s, const struct value *v)
{
        size_t i = hash(v) & (n_places(s) - 1);

        while (s->places[i] && !value_same(&s->keys[s->places[i] - 1], v))
                i = (i + 1) & (n_places(s) - 1);
        return &s->places[i];
}

static bool grow(struct key_set *s)
{
        size_t n_new = s->n_allocated ? s->n_allocated * 2 : FIRST_ROOM;
        struct value *keys = arena_alloc(s->arena, n_new * sizeof *keys);

        s->places = arena_calloc(s->arena, n_new * 2, sizeof *s->places);
        if (!keys || !s->places)
                return false;
        if (s->n)
                memcpy(keys, s->keys, s->n * sizeof *keys);
        s->keys = keys;
        s->n_allocated = n_new;
        for (size_t i = 0; i < s->n; i++)
                *find_place(s, &keys[i]) = (uint32_t)i + 1;
        return true;
}

static bool add_key(struct key_set *s, const struct value *v)
{
        struct value copy = *v;
        uint32_t *place;

        if (v->type == VALUE_NULL)
                return true;
        if (s->n == s->n_allocated && !grow(s))
                return false;
        place = find_place(s, v);
        if (*place)
                return true;
        if (has_bytes(v)) {
                copy.data = arena_memdup(s->arena, v->data, v->n_bytes);
                if (!copy.data)
                        return false;
                s->n_bytes += v->n_bytes;
        }
        if (s->n >= KEY_SET_MAX_KEYS || s->n_bytes > KEY_SET_MAX_BYTES) {
                s->overflowed = true;
                return true;
        }
        s->keys[s->n++] = copy;
        *place = (uint32_t)s->n;
        return true;
}

static enum err_code add_row(struct key_set *s, const struct plan_part *part,
                             const struct plan_after *a, const struct wire_field *row,
                             struct err *reterr)
{
        if (s->n_rows++ >= KEY_SET_MAX_ROWS) {
                s->overflowed = true;
                return ERR_OK;
        }
        if (value_decode_row(row->data, row->n_bytes, s->row, part->n_columns, NULL))
                return err_set(reterr, ERR_INTERNAL, "BAD_REPLY",
                               "a shard sent a row that does not decode");
        return add_key(s, &s->row[a->column]) ? ERR_OK : fail_for_size(reterr);
}

enum err_code key_set_add_rows(struct key_set *s, const struct plan *p, const struct plan_after *a,
                               const uint8_t *result, size_t n_bytes, struct err *reterr)
{
        const struct plan_part *part = &p->parts[a->part];
        struct wire_reader r = wire_reader(result, n_bytes);
        enum err_code rc = ERR_OK;
        struct wire_field f;

        if (!s->row)
                s->row = arena_alloc(s->arena, part->n_columns * sizeof *s->row);
        if (!s->row)
                return fail_for_size(reterr);
        while (!rc && !s->overflowed && wire_next(&r, &f))
                if (f.number == RESULT_SET_ROWS && f.type == WIRE_BYTES)
                        rc = add_row(s, part, a, &f, reterr);
        return rc;
}

bool key_set_pays(const struct key_set *s, const struct plan_after *a)
{
        return !s->overflowed && (double)s->n * a->rows_per_key <= a->rows / 2;
}

/* ---- requests */

struct sorting {
        struct value key;
        size_t shard;
};

static int compare_shards(const void *a, const void *b)
{
        const struct sorting *x = a, *y = b;

        return (x->shard > y->shard) - (x->shard < y->shard);
}

/* Neighbours share requests, so that each goes to few shards. */
static struct sorting *sort_keys(const struct key_set *s, const struct plan_after *a,
                                 const struct shard_map *shards)
{
        struct sorting *list = arena_calloc(s->arena, s->n + 1, sizeof *list);

        for (size_t i = 0; list && i < s->n; i++) {
                list[i].key = s->keys[i];
                if (a->routes)
                        list[i].shard =
                            shard_map_find(shards, route_keyspace_id(a->table, &s->keys[i]));
        }
        if (list && a->routes)
                qsort(list, s->n, sizeof *list, compare_shards);
        return list;
}

/* Few different texts, so that tablets find them prepared: the last key is said again. */
static size_t round_up(size_t n)
{
        size_t room = 1;

        while (room < n)
                room *= 2;
        return room;
}

static enum err_code print_request(struct key_set *s, const struct plan_after *a, size_t n_before,
                                   size_t n, const char **ret_sql, struct err *reterr)
{
        struct buf b = BUF_INIT(0);

        buf_add_str(&b, a->sql);
        for (size_t i = 0; i < n; i++)
                buf_printf(&b, "%s?%zu", i ? "," : "", n_before + i + 1);
        buf_add_byte(&b, ')');
        *ret_sql = arena_strndup(s->arena, (const char *)b.data, b.n_bytes);
        buf_done(&b);
        return *ret_sql ? ERR_OK : fail_for_size(reterr);
}

static enum err_code make_request(struct key_set *s, const struct plan_after *a,
                                  const struct sorting *keys, size_t n, const uint64_t *mask,
                                  size_t n_words, const struct plan_values *values,
                                  struct key_request *ret, struct err *reterr)
{
        size_t room = round_up(n);
        struct value *all = arena_alloc(s->arena, (values->n + room) * sizeof *all);

        ret->bits = arena_calloc(s->arena, n_words, sizeof *ret->bits);
        if (!all || !ret->bits)
                return fail_for_size(reterr);
        if (values->n)
                memcpy(all, values->values, values->n * sizeof *all);
        for (size_t i = 0; i < room; i++) {
                const struct sorting *k = &keys[i < n ? i : n - 1];

                all[values->n + i] = k->key;
                shard_bits_add(ret->bits, k->shard);
        }
        for (size_t i = 0; i < n_words; i++)
                ret->bits[i] = a->routes ? ret->bits[i] & mask[i] : mask[i];
        ret->n_shards = shard_bits_count(ret->bits, n_words);
        ret->values = all;
        ret->n_values = values->n + room;
        return print_request(s, a, values->n, room, &ret->sql, reterr);
}

enum err_code key_set_split(struct key_set *s, const struct plan_after *a,
                            const struct shard_map *shards, const uint64_t *mask,
                            const struct plan_values *values, struct key_request **ret_requests,
                            size_t *ret_n, struct err *reterr)
{
        size_t n_words = shard_bits_words(shard_map_size(shards)), n = 0;
        struct sorting *keys = sort_keys(s, a, shards);
        struct key_request *list = arena_calloc(s->arena, KEY_SET_MAX_REQUESTS, sizeof *list);

        if (!keys || !list)
                return fail_for_size(reterr);
        for (size_t i = 0; i < s->n; i += KEY_SET_REQUEST_KEYS) {
                size_t n_keys = s->n - i < KEY_SET_REQUEST_KEYS ? s->n - i : KEY_SET_REQUEST_KEYS;
                enum err_code rc =
                    make_request(s, a, keys + i, n_keys, mask, n_words, values, &list[n], reterr);

                if (rc)
                        return rc;
                if (list[n].n_shards)
                        n++;
        }
        *ret_requests = list;
        *ret_n = n;
        return ERR_OK;
}
