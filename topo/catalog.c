/* catalog.c - a sorted array of decoded records. Loop thread. */
#include "topo/catalog.h"

#include <string.h>

#include "common/log.h"
#include "topo/keys.h"

/* Entries are allocated one by one, so that a pointer to one stays good while others come and go.
 */
struct catalog {
        struct catalog_entry **entries;
        size_t n;
        size_t n_allocated;
        uint64_t revision;
        uint64_t statistics_version;
};

static const struct {
        const char *prefix;
        const ProtobufCMessageDescriptor *descriptor;
        bool visible; /* in the Topology */
} kinds[CATALOG_N_KINDS] = {
        [CATALOG_BOOT] = { "boot", &shoal__v1__boot_record__descriptor, true },
        [CATALOG_STORE] = { "store", &shoal__v1__store_record__descriptor, false },
        [CATALOG_COUNTER] = { "counter/", &shoal__v1__counter_record__descriptor, false },
        [CATALOG_KEYSPACE] = { KEYS_KEYSPACES, &shoal__v1__keyspace_record__descriptor, true },
        [CATALOG_SHARDS] = { "shards/", &shoal__v1__shards_record__descriptor, true },
        [CATALOG_TABLE] = { "table/", &shoal__v1__table__descriptor, true },
        [CATALOG_OBJECT] = { "object/", &shoal__v1__schema_object__descriptor, true },
        [CATALOG_SEQUENCE] = { "sequence/", &shoal__v1__sequence_record__descriptor, false },
        [CATALOG_CHANGE] = { "change/", &shoal__v1__schema_change_record__descriptor, false },
        [CATALOG_STATISTICS] = { KEYS_STATISTICS, &shoal__v1__statistics_record__descriptor,
                                 false },
        [CATALOG_TABLET] = { KEYS_TABLETS, &shoal__v1__tablet_record__descriptor, true },
        [CATALOG_GATE] = { KEYS_GATES, &shoal__v1__gate_record__descriptor, false },
};

static bool has_prefix(const char *s, const char *prefix)
{
        return !strncmp(s, prefix, strlen(prefix));
}

static enum catalog_kind kind_of(const char *key)
{
        unsigned kind = 0;

        while (kind < CATALOG_N_KINDS && !has_prefix(key, kinds[kind].prefix))
                kind++;
        return (enum catalog_kind)kind;
}

struct catalog *catalog_new(void)
{
        return xcalloc(1, sizeof(struct catalog));
}

static void free_entry(struct catalog_entry *e)
{
        protobuf_c_message_free_unpacked(e->message, NULL);
        free(e->key);
        free(e);
}

static void clear(struct catalog *c)
{
        for (size_t i = 0; i < c->n; i++)
                free_entry(c->entries[i]);
        free(c->entries);
        *c = (struct catalog){ 0 };
}

struct catalog *catalog_free(struct catalog *c)
{
        if (c) {
                clear(c);
                free(c);
        }
        return NULL;
}

uint64_t catalog_revision(const struct catalog *c)
{
        return c->revision;
}

uint64_t catalog_statistics_version(const struct catalog *c)
{
        return c->statistics_version;
}

/* Index of the first entry whose key is not less than key. */
static size_t lower_bound(const struct catalog *c, const char *key)
{
        size_t low = 0, high = c->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(c->entries[middle]->key, key) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static const struct catalog_entry *at(const struct catalog *c, size_t i, const char *prefix)
{
        return i < c->n && has_prefix(c->entries[i]->key, prefix) ? c->entries[i] : NULL;
}

const struct catalog_entry *catalog_find(const struct catalog *c, const char *key)
{
        size_t i = lower_bound(c, key);

        return i < c->n && !strcmp(c->entries[i]->key, key) ? c->entries[i] : NULL;
}

const struct catalog_entry *catalog_first(const struct catalog *c, const char *prefix)
{
        return at(c, lower_bound(c, prefix), prefix);
}

const struct catalog_entry *catalog_next(const struct catalog *c, const struct catalog_entry *e,
                                         const char *prefix)
{
        return at(c, lower_bound(c, e->key) + 1, prefix);
}

const struct catalog_entry *catalog_last(const struct catalog *c, const char *prefix)
{
        size_t n = catalog_count(c, prefix);

        return n ? c->entries[lower_bound(c, prefix) + n - 1] : NULL;
}

size_t catalog_count(const struct catalog *c, const char *prefix)
{
        size_t first = lower_bound(c, prefix);
        size_t low = first, high = c->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (has_prefix(c->entries[middle]->key, prefix))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low - first;
}

const struct catalog_entry *catalog_find_keyspace(const struct catalog *c, uint64_t id)
{
        const struct catalog_entry *e = catalog_first(c, KEYS_KEYSPACES);

        while (e && e->keyspace->id != id)
                e = catalog_next(c, e, KEYS_KEYSPACES);
        return e;
}

/* ---------------------------------------------------------------- changes */

static void remove_key(struct catalog *c, const char *key)
{
        size_t i = lower_bound(c, key);

        if (i == c->n || strcmp(c->entries[i]->key, key))
                return;
        free_entry(c->entries[i]);
        c->n--;
        memmove(&c->entries[i], &c->entries[i + 1], (c->n - i) * sizeof *c->entries);
}

static void insert_entry(struct catalog *c, struct catalog_entry *e)
{
        size_t i = lower_bound(c, e->key);

        if (i < c->n && !strcmp(c->entries[i]->key, e->key)) {
                free_entry(c->entries[i]);
                c->entries[i] = e;
                return;
        }
        if (c->n == c->n_allocated) {
                c->n_allocated = c->n_allocated ? 2 * c->n_allocated : 64;
                c->entries = xrealloc(c->entries, c->n_allocated * sizeof(struct catalog_entry *));
        }
        memmove(&c->entries[i + 1], &c->entries[i], (c->n - i) * sizeof *c->entries);
        c->entries[i] = e;
        c->n++;
}

static enum err_code put_item(struct catalog *c, enum catalog_kind kind,
                              const struct store_item *item, struct err *reterr)
{
        ProtobufCMessage *message =
            protobuf_c_message_unpack(kinds[kind].descriptor, NULL, item->n_bytes, item->value);
        struct catalog_entry *e;

        if (!message)
                return err_set(reterr, ERR_DATA_LOSS, "STORE_DAMAGED",
                               "the record of %s cannot be read", item->key);
        e = xcalloc(1, sizeof *e);
        e->key = xstrdup(item->key);
        e->kind = kind;
        e->mod_revision = item->mod_revision;
        e->lease = item->lease;
        e->message = message;
        insert_entry(c, e);
        if (kind == CATALOG_STATISTICS && e->mod_revision > c->statistics_version)
                c->statistics_version = e->mod_revision;
        return ERR_OK;
}

enum err_code catalog_apply(struct catalog *c, uint64_t revision, const struct store_item *items,
                            size_t n_items, bool *ret_visible, struct err *reterr)
{
        bool visible = false;

        for (size_t i = 0; i < n_items; i++) {
                enum catalog_kind kind = kind_of(items[i].key);
                enum err_code rc;

                if (kind == CATALOG_N_KINDS)
                        continue;
                visible |= kinds[kind].visible;
                if (!items[i].value) {
                        remove_key(c, items[i].key);
                        continue;
                }
                rc = put_item(c, kind, &items[i], reterr);
                if (rc)
                        return rc;
        }
        c->revision = revision;
        *ret_visible = visible;
        return ERR_OK;
}

enum err_code catalog_replace(struct catalog *c, uint64_t revision, const struct store_item *items,
                              size_t n_items, struct err *reterr)
{
        struct catalog fresh = { 0 };
        bool visible;
        enum err_code rc = catalog_apply(&fresh, revision, items, n_items, &visible, reterr);

        if (rc) {
                clear(&fresh);
                return rc;
        }
        clear(c);
        *c = fresh;
        return ERR_OK;
}
