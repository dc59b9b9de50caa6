/* fake_cluster.h - topologies for tests, as the fake topo hands them out. */
#pragma once

#include "common/key_range.h"
#include "tests/unit/gate/fake_tablet.h"

static inline void cluster_make(struct fake *f, uint64_t version)
{
        f->topology = xcalloc(1, sizeof(*f->topology));
        shoal__v1__topology__init(f->topology);
        f->topology->version = version;
}

static inline void cluster_add_tablet(struct fake *f, const char *id, const char *address)
{
        Shoal__V1__Topology *t = f->topology;
        Shoal__V1__TabletInfo *m = xcalloc(1, sizeof(*m));

        shoal__v1__tablet_info__init(m);
        m->id = xstrdup(id);
        m->address = xstrdup(address);
        m->healthy = true;
        t->tablets = xrealloc(t->tablets, (t->n_tablets + 1) * sizeof(*t->tablets));
        t->tablets[t->n_tablets++] = m;
}

/* Its shards are served by t-0, t-1, … in turn: as many tablets as the topology has then, or t-0.
 */
static inline void cluster_add_keyspace(struct fake *f, uint64_t id, const char *name,
                                        uint32_t n_shards, uint64_t schema_version)
{
        Shoal__V1__Topology *t = f->topology;
        Shoal__V1__Keyspace *k = xcalloc(1, sizeof(*k));

        shoal__v1__keyspace__init(k);
        k->id = id;
        k->name = xstrdup(name);
        k->engine = xstrdup("sqlite");
        k->schema_version = schema_version;
        k->n_shards = n_shards;
        k->shards = xcalloc(n_shards, sizeof(*k->shards));
        for (uint32_t i = 0; i < n_shards; i++) {
                struct key_range r = key_range_of_n(i, n_shards);
                char range[KEY_RANGE_NAME_BYTES];

                key_range_name(&r, range);
                k->shards[i] = xcalloc(1, sizeof(**k->shards));
                shoal__v1__shard__init(k->shards[i]);
                k->shards[i]->name = xstrdup(range);
                k->shards[i]->tablet =
                    xasprintf("t-%zu", t->n_tablets ? i % t->n_tablets : (size_t)0);
                k->shards[i]->epoch = 1;
                k->shards[i]->serving = true;
        }
        t->keyspaces = xrealloc(t->keyspaces, (t->n_keyspaces + 1) * sizeof(*t->keyspaces));
        t->keyspaces[t->n_keyspaces++] = k;
}

/* column: it is sharded by; NULL: it is not. */
static inline void cluster_add_table(struct fake *f, size_t keyspace, const char *name,
                                     const char *sql, const char *column)
{
        Shoal__V1__Keyspace *k = f->topology->keyspaces[keyspace];
        Shoal__V1__Table *m = xcalloc(1, sizeof(*m));

        shoal__v1__table__init(m);
        m->name = xstrdup(name);
        m->sql = xstrdup(sql);
        if (column) {
                Shoal__V1__ColumnVindex *v = xcalloc(1, sizeof(*v));

                shoal__v1__column_vindex__init(v);
                v->vindex = xstrdup("hash");
                v->columns = xcalloc(1, sizeof(*v->columns));
                v->columns[v->n_columns++] = xstrdup(column);
                m->sharding = xcalloc(1, sizeof(*m->sharding));
                shoal__v1__table_sharding__init(m->sharding);
                m->sharding->type = xstrdup("sharded");
                m->sharding->vindexes = xcalloc(1, sizeof(*m->sharding->vindexes));
                m->sharding->vindexes[m->sharding->n_vindexes++] = v;
        }
        k->tables = xrealloc(k->tables, (k->n_tables + 1) * sizeof(*k->tables));
        k->tables[k->n_tables++] = m;
}

static inline void cluster_free(struct fake *f)
{
        if (f->topology)
                shoal__v1__topology__free_unpacked(f->topology, NULL);
        f->topology = NULL;
}
