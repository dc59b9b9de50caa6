/* vschema.c - the VSchema document, derived from the tables. Loop thread. */
#include "topo/vschema.h"

#include <string.h>
#include <strings.h>

#include "proto/shoal/v1/api.pb-c.h"
#include "topo/keys.h"
#include "topo/keyspaces.h"
#include "topo/topology.h"

static const char sharded[] = "sharded";

static void *exhausted(struct err *reterr)
{
        err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "the document is too large");
        return NULL;
}

/* ---------------------------------------------------------------- the document */

/* Adds the vindex under its name, which is its type, unless it is there. False: the arena is
 * exhausted. */
static bool add_vindex(Shoal__V1__VSchema *v, char *name, struct arena *a)
{
        Shoal__V1__VSchema__VindexesEntry *entry;

        for (size_t i = 0; i < v->n_vindexes; i++)
                if (!strcmp(v->vindexes[i]->key, name))
                        return true;
        entry = arena_alloc(a, sizeof *entry);
        if (!entry)
                return false;
        shoal__v1__vschema__vindexes_entry__init(entry);
        entry->key = name;
        entry->value = arena_alloc(a, sizeof *entry->value);
        if (!entry->value)
                return false;
        shoal__v1__vindex_def__init(entry->value);
        entry->value->type = name;
        v->vindexes[v->n_vindexes++] = entry;
        return true;
}

static bool add_table(Shoal__V1__VSchema *v, Shoal__V1__Table *table, struct arena *a)
{
        Shoal__V1__VSchema__TablesEntry *entry = arena_alloc(a, sizeof *entry);

        if (!entry)
                return false;
        shoal__v1__vschema__tables_entry__init(entry);
        entry->key = table->name;
        entry->value = table->sharding;
        v->tables[v->n_tables++] = entry;
        v->sharded |= table->sharding && !strcmp(table->sharding->type, sharded);
        for (size_t i = 0; table->sharding && i < table->sharding->n_vindexes; i++)
                if (!add_vindex(v, table->sharding->vindexes[i]->vindex, a))
                        return false;
        return true;
}

/* All different vindexes that the tables could name. */
static size_t count_vindexes(const struct catalog *c, const char *tables)
{
        size_t n = 0;

        for (const struct catalog_entry *e = catalog_first(c, tables); e;
             e = catalog_next(c, e, tables))
                n += e->table->sharding ? e->table->sharding->n_vindexes : 0;
        return n;
}

static Shoal__V1__VSchema *build_document(const struct catalog *c,
                                          const struct catalog_entry *keyspace, struct arena *a,
                                          struct err *reterr)
{
        struct key tables = key_tables(keyspace->keyspace->id);
        Shoal__V1__VSchema *v = arena_alloc(a, sizeof *v);

        if (!v)
                return exhausted(reterr);
        shoal__v1__vschema__init(v);
        v->keyspace = keyspace->keyspace->name;
        v->vindexes = arena_calloc(a, count_vindexes(c, tables.s) + 1, sizeof *v->vindexes);
        v->tables = arena_calloc(a, catalog_count(c, tables.s) + 1, sizeof *v->tables);
        if (!v->vindexes || !v->tables)
                return exhausted(reterr);
        for (const struct catalog_entry *e = catalog_first(c, tables.s); e;
             e = catalog_next(c, e, tables.s))
                if (!add_table(v, e->table, a))
                        return exhausted(reterr);
        return v;
}

static enum err_code build_get(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__GetVSchemaRequest *rq = (Shoal__V1__GetVSchemaRequest *)op->request;
        cleanup_(arena_freep) struct arena *a = topology_arena();
        const struct catalog_entry *keyspace;
        Shoal__V1__VSchema *v;
        enum err_code rc = keyspaces_find(op->topo->catalog, rq->keyspace, &keyspace, reterr);

        if (rc)
                return rc;
        v = build_document(op->topo->catalog, keyspace, a, reterr);
        if (!v)
                return ERR_EXHAUSTED;
        op_reply(op, &v->base);
        return ERR_OK;
}

const struct op_method vschema_get = {
        .name = "GetVSchema",
        .request = &shoal__v1__get_vschema_request__descriptor,
        .build = build_get,
};

/* ---------------------------------------------------------------- comparing */

/* "sharded by hash(a, b)". NULL: exhausted. */
static char *describe(const Shoal__V1__TableSharding *s, struct arena *a)
{
        char *text = arena_strdup(a, s && *s->type ? s->type : "without sharding");

        for (size_t i = 0; text && s && i < s->n_vindexes; i++) {
                const Shoal__V1__ColumnVindex *vindex = s->vindexes[i];

                text = arena_printf(a, "%s%s %s(", text, i ? "," : " by", vindex->vindex);
                for (size_t j = 0; text && j < vindex->n_columns; j++)
                        text = arena_printf(a, "%s%s%s", text, j ? ", " : "", vindex->columns[j]);
                if (text)
                        text = arena_printf(a, "%s)", text);
        }
        return text;
}

static const Shoal__V1__TableSharding *find_table(const Shoal__V1__VSchema *v, const char *name)
{
        for (size_t i = 0; i < v->n_tables; i++)
                if (!strcasecmp(v->tables[i]->key, name))
                        return v->tables[i]->value;
        return NULL;
}

/* Fills changes with a line for each table of `wanted` that is otherwise in `now`. Tables that
 * `wanted` leaves out stay as they are. */
static enum err_code compare(const Shoal__V1__VSchema *now, const Shoal__V1__VSchema *wanted,
                             struct arena *a, char **changes, size_t *ret_n, struct err *reterr)
{
        *ret_n = 0;
        for (size_t i = 0; i < wanted->n_tables; i++) {
                const char *name = wanted->tables[i]->key;
                const Shoal__V1__TableSharding *sharding = find_table(now, name);
                char *before, *after;

                if (!sharding)
                        return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_TABLE",
                                       "no such table: %.64s", name);
                before = describe(sharding, a);
                after = describe(wanted->tables[i]->value, a);
                if (before && after && strcasecmp(before, after))
                        changes[(*ret_n)++] =
                            arena_printf(a, "table %s: %s becomes %s", name, before, after);
        }
        if (arena_is_exhausted(a))
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "the document is too large");
        return ERR_OK;
}

static enum err_code build_apply(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__ApplyVSchemaRequest *rq = (Shoal__V1__ApplyVSchemaRequest *)op->request;
        Shoal__V1__ApplyVSchemaResponse reply = SHOAL__V1__APPLY_VSCHEMA_RESPONSE__INIT;
        cleanup_(arena_freep) struct arena *a = topology_arena();
        const struct catalog_entry *keyspace;
        enum err_code rc;

        if (!rq->vschema)
                return err_set(reterr, ERR_INVALID, "BAD_VSCHEMA", "vschema is missing");
        rc = keyspaces_find(op->topo->catalog, rq->vschema->keyspace, &keyspace, reterr);
        if (rc)
                return rc;
        reply.vschema = build_document(op->topo->catalog, keyspace, a, reterr);
        if (!reply.vschema)
                return ERR_EXHAUSTED;
        reply.changes = arena_calloc(a, rq->vschema->n_tables + 1, sizeof *reply.changes);
        if (!reply.changes)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "the document is too large");
        rc = compare(reply.vschema, rq->vschema, a, reply.changes, &reply.n_changes, reterr);
        if (rc)
                return rc;
        if (reply.n_changes && !rq->dry_run)
                return err_set(reterr, ERR_UNIMPLEMENTED, "NO_RESHARDING",
                               "the sharding of a table that exists cannot be "
                               "changed yet: %s",
                               reply.changes[0]);
        op_reply(op, &reply.base);
        return ERR_OK;
}

const struct op_method vschema_apply = {
        .name = "ApplyVSchema",
        .request = &shoal__v1__apply_vschema_request__descriptor,
        .build = build_apply,
};
