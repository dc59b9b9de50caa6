/* keyspaces.c - creating and dropping keyspaces, and showing them. Loop thread. */
#include "topo/keyspaces.h"

#include <string.h>

#include "common/key_range.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "topo/keys.h"
#include "topo/schema.h"
#include "topo/tablets.h"
#include "topo/topology.h"

enum { MAX_KEYSPACE_NAME_BYTES = 63, FIRST_EPOCH = 1 };

static const char default_keyspace[] = "main";
static const char sqlite_engine[] = "sqlite";

enum err_code keyspaces_find(const struct catalog *c, const char *name,
                             const struct catalog_entry **ret_keyspace, struct err *reterr)
{
        const struct catalog_entry *e =
            catalog_find(c, key_keyspace(*name ? name : default_keyspace).s);

        if (!e)
                return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE", "no such keyspace: %.64s",
                               *name ? name : default_keyspace);
        *ret_keyspace = e;
        return ERR_OK;
}

enum err_code keyspaces_find_id(const struct catalog *c, uint64_t id,
                                const struct catalog_entry **ret_keyspace, struct err *reterr)
{
        const struct catalog_entry *e = catalog_find_keyspace(c, id);

        if (!e)
                return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE",
                               "no keyspace has the id %llu", (unsigned long long)id);
        *ret_keyspace = e;
        return ERR_OK;
}

/* ---------------------------------------------------------------- creating */

static bool name_is_valid(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
        size_t n = strlen(name);

        return n > 0 && n <= MAX_KEYSPACE_NAME_BYTES && name[0] >= 'a' && name[0] <= 'z' &&
               strspn(name, letters) == n;
}

static enum err_code check_create(const struct topo *t, const Shoal__V1__CreateKeyspaceRequest *rq,
                                  struct err *reterr)
{
        if (!name_is_valid(rq->name))
                return err_set(reterr, ERR_INVALID, "BAD_KEYSPACE_NAME",
                               "a keyspace's name is a letter and up to %d letters, digits and "
                               "underscores, in lower "
                               "case",
                               MAX_KEYSPACE_NAME_BYTES - 1);
        if (*rq->engine && strcmp(rq->engine, sqlite_engine))
                return err_set(reterr, ERR_INVALID, "UNKNOWN_ENGINE",
                               "no such engine: %.64s; there is %s", rq->engine, sqlite_engine);
        if (rq->shard_count > TOPO_MAX_SHARDS)
                return err_set(reterr, ERR_INVALID, "TOO_MANY_SHARDS",
                               "a keyspace has 1 to %d shards, not %u", TOPO_MAX_SHARDS,
                               rq->shard_count);
        if (catalog_find(t->catalog, key_keyspace(rq->name).s))
                return err_set(reterr, ERR_EXISTS, "KEYSPACE_EXISTS", "keyspace %s exists",
                               rq->name);
        if (catalog_count(t->catalog, KEYS_KEYSPACES) >= TOPO_MAX_KEYSPACES)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "there are %d keyspaces",
                               TOPO_MAX_KEYSPACES);
        return ERR_OK;
}

/* Ids of the healthy tablets in order; malloc'ed array, ids borrowed from the catalogue. */
static char **list_healthy(const struct topo *t, size_t *ret_n)
{
        char **ids = xcalloc(catalog_count(t->catalog, KEYS_TABLETS), sizeof *ids);
        const struct catalog_entry *e = catalog_first(t->catalog, KEYS_TABLETS);

        *ret_n = 0;
        for (; e; e = catalog_next(t->catalog, e, KEYS_TABLETS)) {
                const struct tablet_state *state = tablets_find(t->tablets, e->tablet->id);

                if (state && state->healthy)
                        ids[(*ret_n)++] = e->tablet->id;
        }
        return ids;
}

/* NULL: exhausted. */
static Shoal__V1__ShardsRecord *assign_shards(uint32_t n, char **tablets, size_t n_tablets,
                                              struct arena *a)
{
        Shoal__V1__ShardsRecord *record = arena_alloc(a, sizeof *record);
        Shoal__V1__ShardRecord *shards = arena_calloc(a, n, sizeof *shards);
        Shoal__V1__ShardRecord **pointers = arena_calloc(a, n, sizeof *pointers);
        char name[KEY_RANGE_NAME_BYTES];

        if (!record || !shards || !pointers)
                return NULL;
        shoal__v1__shards_record__init(record);
        for (uint32_t i = 0; i < n; i++) {
                struct key_range range = key_range_of_n(i, n);

                key_range_name(&range, name);
                shoal__v1__shard_record__init(&shards[i]);
                shards[i].name = arena_strdup(a, name);
                shards[i].tablet = tablets[i % n_tablets];
                shards[i].epoch = FIRST_EPOCH;
                pointers[i] = &shards[i];
        }
        record->n_shards = n;
        record->shards = pointers;
        return arena_is_exhausted(a) ? NULL : record;
}

/* Takes the next id; never used again, because the counter stays when a keyspace goes. */
static uint64_t take_id(const struct topo *t, struct store_txn *x)
{
        struct key key = key_keyspace_counter();
        const struct catalog_entry *e = catalog_find(t->catalog, key.s);
        Shoal__V1__CounterRecord counter = SHOAL__V1__COUNTER_RECORD__INIT;

        counter.last = (e ? e->counter->last : 0) + 1;
        op_expect(x, key.s, e);
        op_put(x, key.s, &counter.base, 0);
        return counter.last;
}

static enum err_code build_create(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__CreateKeyspaceRequest *rq = (Shoal__V1__CreateKeyspaceRequest *)op->request;
        Shoal__V1__KeyspaceRecord keyspace = SHOAL__V1__KEYSPACE_RECORD__INIT;
        cleanup_(arena_freep) struct arena *a = topology_arena();
        cleanup_(freep) char **tablets = NULL;
        Shoal__V1__ShardsRecord *shards;
        size_t n_tablets;
        enum err_code rc = check_create(op->topo, rq, reterr);

        if (rc)
                return rc;
        tablets = list_healthy(op->topo, &n_tablets);
        if (!n_tablets)
                return err_set(reterr, ERR_UNAVAILABLE, "NO_TABLETS",
                               "no healthy tablet has registered yet");
        shards = assign_shards(rq->shard_count ? rq->shard_count : TOPO_DEFAULT_SHARDS, tablets,
                               n_tablets, a);
        if (!shards)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "out of memory");
        rc = topology_check_room(op->topo, shoal__v1__shards_record__get_packed_size(shards) + 1024,
                                 reterr);
        if (rc)
                return rc;
        keyspace.name = rq->name;
        keyspace.engine = (char *)(uintptr_t)sqlite_engine;
        keyspace.id = take_id(op->topo, x);
        op->given = keyspace.id;
        store_txn_expect(x, key_keyspace(rq->name).s, 0);
        op_put(x, key_keyspace(rq->name).s, &keyspace.base, 0);
        op_put(x, key_shards(keyspace.id).s, &shards->base, 0);
        return ERR_OK;
}

/* It may have been dropped again, by another call, before this one's answer. */
static void reply_create(struct op *op)
{
        const struct catalog_entry *e = catalog_find_keyspace(op->topo->catalog, op->given);
        cleanup_(arena_freep) struct arena *a = topology_arena();
        Shoal__V1__Keyspace gone = SHOAL__V1__KEYSPACE__INIT;
        Shoal__V1__Keyspace *ks = e ? topology_build_keyspace(op->topo, e, a) : NULL;

        gone.id = op->given;
        gone.name = ((Shoal__V1__CreateKeyspaceRequest *)op->request)->name;
        op_reply(op, ks ? &ks->base : &gone.base);
        topology_count(op->topo);
}

const struct op_method keyspaces_create = {
        .name = "CreateKeyspace",
        .request = &shoal__v1__create_keyspace_request__descriptor,
        .build = build_create,
        .committed = reply_create,
};

/* ---------------------------------------------------------------- dropping */

static enum err_code build_drop(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__DropKeyspaceRequest *rq = (Shoal__V1__DropKeyspaceRequest *)op->request;
        Shoal__V1__DropKeyspaceResponse reply = SHOAL__V1__DROP_KEYSPACE_RESPONSE__INIT;
        const struct catalog *c = op->topo->catalog;
        const struct catalog_entry *e, *pending;
        enum err_code rc;
        uint64_t id;

        if (!*rq->name)
                return err_set(reterr, ERR_INVALID, "BAD_KEYSPACE_NAME",
                               "the keyspace to drop must be named");
        rc = keyspaces_find(c, rq->name, &e, reterr);
        if (rc)
                return rc;
        id = e->keyspace->id;
        if (!rq->force && catalog_count(c, key_tables(id).s))
                return err_set(reterr, ERR_PRECONDITION, "KEYSPACE_NOT_EMPTY",
                               "keyspace %s has %zu tables; say force", rq->name,
                               catalog_count(c, key_tables(id).s));
        pending = schema_find_pending(c, id);
        if (!rq->force && pending)
                return err_set(reterr, ERR_ABORTED, "SCHEMA_CHANGE_PENDING",
                               "schema change %s is pending", pending->change->change->id);
        op_expect(x, e->key, e);
        store_txn_delete(x, e->key);
        store_txn_delete(x, key_shards(id).s);
        store_txn_delete_prefix(x, key_tables(id).s);
        store_txn_delete_prefix(x, key_objects(id).s);
        store_txn_delete_prefix(x, key_sequences(id).s);
        store_txn_delete_prefix(x, key_changes(id).s);
        store_txn_delete_prefix(x, key_statistics_all(id).s);
        op_reply(op, &reply.base);
        return ERR_OK;
}

static void count_topology(struct op *op)
{
        topology_count(op->topo);
}

const struct op_method keyspaces_drop = {
        .name = "DropKeyspace",
        .request = &shoal__v1__drop_keyspace_request__descriptor,
        .build = build_drop,
        .committed = count_topology,
};

/* ---------------------------------------------------------------- showing */

/* A caller that has this version is only told so. */
static enum err_code build_topology(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__GetTopologyRequest *rq = (Shoal__V1__GetTopologyRequest *)op->request;
        Shoal__V1__Topology unchanged = SHOAL__V1__TOPOLOGY__INIT;
        cleanup_(arena_freep) struct arena *a = topology_arena();
        Shoal__V1__Topology *topology;

        unchanged.version = topo_version(op->topo);
        topology =
            rq->since_version == unchanged.version ? &unchanged : topology_build(op->topo, a);
        if (!topology)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "the topology is too large");
        op_reply(op, &topology->base);
        return ERR_OK;
}

const struct op_method keyspaces_get_topology = {
        .name = "GetTopology",
        .request = &shoal__v1__get_topology_request__descriptor,
        .build = build_topology,
};
