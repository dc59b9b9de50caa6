/* topology.c - putting the Topology message together. Loop thread. */
#include "topo/topology.h"

#include "topo/keys.h"
#include "topo/meters.h"
#include "topo/tablets.h"

/* Pointers and message structs take more room than the packed message. */
enum { MAX_ARENA_BYTES = 1 << 30 };

struct arena *topology_arena(void)
{
        return arena_new(MAX_ARENA_BYTES);
}

/* An array of pointers for all entries with the prefix. NULL: exhausted. */
static void *alloc_array(const struct topo *t, const char *prefix, struct arena *a)
{
        return arena_calloc(a, catalog_count(t->catalog, prefix) + 1, sizeof(void *));
}

/* A tablet that is not known to be dead may serve: after a start of topo nobody has been heard of
 * yet. */
static bool may_serve(const struct topo *t, const char *tablet)
{
        const struct tablet_state *state = tablets_find(t->tablets, tablet);

        return *tablet && (!state || state->healthy);
}

static bool add_shards(const struct topo *t, Shoal__V1__Keyspace *ks, struct arena *a)
{
        const struct catalog_entry *e = catalog_find(t->catalog, key_shards(ks->id).s);
        size_t n = e ? e->shards->n_shards : 0;
        Shoal__V1__Shard *shards = arena_calloc(a, n + 1, sizeof *shards);

        ks->shards = arena_calloc(a, n + 1, sizeof *ks->shards);
        if (!shards || !ks->shards)
                return false;
        for (size_t i = 0; i < n; i++) {
                const Shoal__V1__ShardRecord *record = e->shards->shards[i];

                shoal__v1__shard__init(&shards[i]);
                shards[i].name = record->name;
                shards[i].tablet = record->tablet;
                shards[i].epoch = record->epoch;
                shards[i].serving = may_serve(t, record->tablet);
                ks->shards[i] = &shards[i];
        }
        ks->n_shards = n;
        return true;
}

static bool add_tables(const struct topo *t, Shoal__V1__Keyspace *ks, struct arena *a)
{
        struct key tables = key_tables(ks->id);
        struct key objects = key_objects(ks->id);
        const struct catalog_entry *e;

        ks->tables = alloc_array(t, tables.s, a);
        ks->objects = alloc_array(t, objects.s, a);
        if (!ks->tables || !ks->objects)
                return false;
        for (e = catalog_first(t->catalog, tables.s); e; e = catalog_next(t->catalog, e, tables.s))
                ks->tables[ks->n_tables++] = e->table;
        for (e = catalog_first(t->catalog, objects.s); e;
             e = catalog_next(t->catalog, e, objects.s))
                ks->objects[ks->n_objects++] = e->object;
        return true;
}

Shoal__V1__Keyspace *topology_build_keyspace(const struct topo *t,
                                             const struct catalog_entry *keyspace, struct arena *a)
{
        Shoal__V1__Keyspace *ks = arena_alloc(a, sizeof *ks);

        if (!ks)
                return NULL;
        shoal__v1__keyspace__init(ks);
        ks->name = keyspace->keyspace->name;
        ks->id = keyspace->keyspace->id;
        ks->engine = keyspace->keyspace->engine;
        ks->schema_version = keyspace->keyspace->schema_version;
        return add_shards(t, ks, a) && add_tables(t, ks, a) ? ks : NULL;
}

static Shoal__V1__TabletInfo *build_tablet(const struct topo *t,
                                           const Shoal__V1__TabletRecord *record, struct arena *a)
{
        const struct tablet_state *state = tablets_find(t->tablets, record->id);
        Shoal__V1__TabletInfo *info = arena_alloc(a, sizeof *info);

        if (!info)
                return NULL;
        shoal__v1__tablet_info__init(info);
        info->id = record->id;
        info->address = record->address;
        if (state) {
                info->healthy = state->healthy;
                info->bytes_used = state->bytes_used;
                info->bytes_capacity = state->bytes_capacity;
                info->shard_count = state->shard_count;
        }
        return info;
}

Shoal__V1__Topology *topology_build(const struct topo *t, struct arena *a)
{
        Shoal__V1__Topology *topology = arena_alloc(a, sizeof *topology);
        const struct catalog *c = t->catalog;
        const struct catalog_entry *e;

        if (!topology)
                return NULL;
        shoal__v1__topology__init(topology);
        topology->version = topo_version(t);
        topology->keyspaces = alloc_array(t, KEYS_KEYSPACES, a);
        topology->tablets = alloc_array(t, KEYS_TABLETS, a);
        if (!topology->keyspaces || !topology->tablets)
                return NULL;
        for (e = catalog_first(c, KEYS_KEYSPACES); e; e = catalog_next(c, e, KEYS_KEYSPACES))
                topology->keyspaces[topology->n_keyspaces++] = topology_build_keyspace(t, e, a);
        for (e = catalog_first(c, KEYS_TABLETS); e; e = catalog_next(c, e, KEYS_TABLETS))
                topology->tablets[topology->n_tablets++] = build_tablet(t, e->tablet, a);
        return arena_is_exhausted(a) ? NULL : topology;
}

enum err_code topology_check_room(const struct topo *t, size_t n_more_bytes, struct err *reterr)
{
        cleanup_(arena_freep) struct arena *a = topology_arena();
        Shoal__V1__Topology *topology = topology_build(t, a);
        size_t n = topology ? shoal__v1__topology__get_packed_size(topology) : SIZE_MAX / 2;

        if (n + n_more_bytes <= TOPO_MAX_TOPOLOGY_BYTES)
                return ERR_OK;
        return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT",
                       "the topology would be larger than %d bytes", TOPO_MAX_TOPOLOGY_BYTES);
}

void topology_count(const struct topo *t)
{
        const struct catalog *c = t->catalog;
        size_t n_shards = 0;
        size_t n_tables = 0;

        for (const struct catalog_entry *e = catalog_first(c, KEYS_KEYSPACES); e;
             e = catalog_next(c, e, KEYS_KEYSPACES)) {
                const struct catalog_entry *shards = catalog_find(c, key_shards(e->keyspace->id).s);

                n_shards += shards ? shards->shards->n_shards : 0;
                n_tables += catalog_count(c, key_tables(e->keyspace->id).s);
        }
        meters_set_sizes(catalog_count(c, KEYS_KEYSPACES), n_shards, n_tables);
}
