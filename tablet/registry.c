/* registry.c - the shards this tablet serves. Loop thread; files are touched on the pool. */
#include "tablet/registry.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "common/log.h"
#include "common/metrics.h"
#include "tablet/registry_int.h"

/* Compared as a whole: the name is padded with zeros. */
struct shard_key {
        uint64_t keyspace_id;
        char name[40];
};

/* Owner: the loop thread. */
struct served_shard {
        struct shard_key key;
        struct registry *registry;
        struct engine_shard *engine_shard;
        uint64_t epoch;
        uint64_t seen; /* in which topology, by a count of them */
        unsigned n_holders;
        bool is_leaving;                  /* no longer in the table; closed when nobody holds it */
        struct served_shard *prev, *next; /* of those that are leaving */
        struct engine_stmt no_stmt;
        struct engine_write closing;
        struct loop_task closed;
        UT_hash_handle hh;
};

struct registry {
        struct registry_options o;
        struct served_shard *shards;
        struct metric *n_served;
        _Atomic uint64_t version; /* of the last topology acted on, in this process or one before */
        atomic_bool is_ready;
        uint64_t n_applied;
        uint64_t *live_ids; /* of the keyspaces in the topology */
        size_t n_live_ids;
        struct served_shard *leaving; /* no longer in the table, not closed yet */
        unsigned n_leaving;
        struct disk_work *disk;

        void (*on_closed)(void *arg);
        void *on_closed_arg;
};

static void finish_close(struct registry *r)
{
        void (*fn)(void *arg) = r->on_closed;

        if (!fn || r->n_leaving || disk_work_is_busy(r->disk))
                return;
        r->on_closed = NULL;
        fn(r->on_closed_arg);
}

static void on_disk_idle(void *arg)
{
        finish_close(arg);
}

/* Is the folder of this keyspace in use, or will it be? */
static bool is_live(void *arg, uint64_t keyspace_id)
{
        struct registry *r = arg;
        struct served_shard *s;

        for (size_t i = 0; i < r->n_live_ids; i++)
                if (r->live_ids[i] == keyspace_id)
                        return true;
        DL_FOREACH(r->leaving, s)
        if (s->key.keyspace_id == keyspace_id)
                return true;
        return false;
}

enum err_code registry_new(const struct registry_options *o, struct registry **ret_registry,
                           struct err *reterr)
{
        struct registry *r = xcalloc(1, sizeof *r);
        uint64_t version;
        enum err_code rc;

        r->o = *o;
        rc = disk_read_version(o->data_dir, &version, reterr);
        if (rc) {
                free(r);
                return rc;
        }
        atomic_init(&r->version, version);
        r->disk = disk_work_new(&(struct disk_work_options){ .loop = o->loop,
                                                             .pool = o->pool,
                                                             .data_dir = o->data_dir,
                                                             .is_live = is_live,
                                                             .on_idle = on_disk_idle,
                                                             .arg = r });
        r->n_served = metric_gauge("shoal_tablet_shards_served", "",
                                   "Shards that topo has assigned to this tablet.");
        *ret_registry = r;
        return ERR_OK;
}

struct registry *registry_free(struct registry *r)
{
        if (!r)
                return NULL;
        assert(!r->shards && !r->n_leaving);
        disk_work_free(r->disk);
        free(r->live_ids);
        free(r);
        return NULL;
}

bool registry_is_ready(const struct registry *r)
{
        return atomic_load(&r->is_ready);
}

uint64_t registry_version(const struct registry *r)
{
        return atomic_load(&r->version);
}

uint32_t registry_n_shards(const struct registry *r)
{
        return HASH_COUNT(r->shards);
}

/* ---- closing */

static void on_closed(struct loop_task *task)
{
        struct served_shard *s = CONTAINER_OF(task, struct served_shard, closed);
        struct registry *r = s->registry;

        DL_DELETE(r->leaving, s);
        engine_write_done(&s->closing);
        engine_shard_free(s->engine_shard);
        free(s);
        r->n_leaving--;
        if (!r->on_closed)
                disk_work_request(r->disk, atomic_load(&r->version));
        finish_close(r);
}

static void on_close_written(struct engine_write *w)
{
        struct served_shard *s = CONTAINER_OF(w, struct served_shard, closing);

        loop_post(s->registry->o.loop, &s->closed);
}

static void close_shard(struct served_shard *s)
{
        struct err e = ERR_INIT;

        s->no_stmt = (struct engine_stmt){ .deadline_us = INT64_MAX };
        s->closed.fn = on_closed;
        engine_write_init(&s->closing, ENGINE_WRITE_CLOSE, s->engine_shard, &s->no_stmt,
                          on_close_written);
        if (engine_write_submit(&s->closing, &e) != ERR_OK)
                assert(!"a close is never refused");
}

static void remove_shard(struct registry *r, struct served_shard *s)
{
        HASH_DEL(r->shards, s);
        DL_APPEND(r->leaving, s);
        r->n_leaving++;
        s->is_leaving = true;
        if (!s->n_holders)
                close_shard(s);
}

void registry_close(struct registry *r, void (*done)(void *arg), void *arg)
{
        struct served_shard *s, *tmp;

        r->on_closed = done;
        r->on_closed_arg = arg;
        HASH_ITER(hh, r->shards, s, tmp)
        remove_shard(r, s);
        finish_close(r);
}

/* ---- looking up */

/* False: no shard can have this name. */
static bool make_key(uint64_t keyspace_id, const char *name, size_t n_name_bytes,
                     struct shard_key *ret_key)
{
        if (n_name_bytes >= sizeof ret_key->name)
                return false;
        memset(ret_key, 0, sizeof *ret_key);
        ret_key->keyspace_id = keyspace_id;
        memcpy(ret_key->name, name, n_name_bytes);
        return true;
}

static struct served_shard *find(struct registry *r, const struct shard_key *key)
{
        struct served_shard *s;

        HASH_FIND(hh, r->shards, key, sizeof *key, s);
        return s;
}

enum err_code registry_hold(struct registry *r, uint64_t keyspace_id, const char *name,
                            size_t n_name_bytes, uint64_t epoch, struct served_shard **ret_shard,
                            struct err *reterr)
{
        struct served_shard *s = NULL;
        struct shard_key key;

        if (make_key(keyspace_id, name, n_name_bytes, &key))
                s = find(r, &key);
        if (!s)
                return err_set(reterr, ERR_UNAVAILABLE, "SHARD_NOT_SERVED",
                               "tablet %s does not serve shard %.*s of keyspace %" PRIu64, r->o.id,
                               (int)(n_name_bytes < 40 ? n_name_bytes : 40), name, keyspace_id);
        if (s->epoch != epoch)
                return err_set(reterr, ERR_UNAVAILABLE, "SHARD_NOT_SERVED",
                               "tablet %s serves shard %s with epoch %" PRIu64 ", not %" PRIu64,
                               r->o.id, engine_shard_label(s->engine_shard), s->epoch, epoch);
        s->n_holders++;
        *ret_shard = s;
        return ERR_OK;
}

void registry_hold_again(struct served_shard *s)
{
        s->n_holders++;
}

void registry_let_go(struct served_shard *s)
{
        if (!--s->n_holders && s->is_leaving)
                close_shard(s);
}

struct engine_shard *served_shard_engine(const struct served_shard *s)
{
        return s->engine_shard;
}

/* ---- topologies */

static void put_shard(struct registry *r, const Shoal__V1__Keyspace *ks,
                      const Shoal__V1__Shard *shard)
{
        bool must_exist = ks->schema_version > 0; /* that took a commit on every shard */
        struct served_shard *s;
        struct shard_key key;

        if (!disk_is_shard_name(shard->name) ||
            !make_key(ks->id, shard->name, strlen(shard->name), &key)) {
                log_event(LOG_ERROR, "bad_shard_name", "keyspace=%" PRIu64 " shard=%s", ks->id,
                          log_quote(shard->name));
                return;
        }
        s = find(r, &key);
        if (!s) {
                s = xcalloc(1, sizeof *s);
                s->key = key;
                s->registry = r;
                s->engine_shard = engine_shard_new(r->o.engine, ks->id, shard->name, must_exist);
                HASH_ADD(hh, r->shards, key, sizeof s->key, s);
        }
        if (must_exist)
                engine_shard_set_must_exist(s->engine_shard);
        s->epoch = shard->epoch;
        s->seen = r->n_applied;
}

static void drop_unseen(struct registry *r)
{
        struct served_shard *s, *tmp;

        HASH_ITER(hh, r->shards, s, tmp)
        {
                if (s->seen == r->n_applied)
                        continue;
                log_event(LOG_INFO, "shard_left", "shard=%s", engine_shard_label(s->engine_shard));
                remove_shard(r, s);
        }
}

static void keep_ids(struct registry *r, const Shoal__V1__Topology *topology)
{
        free(r->live_ids);
        r->n_live_ids = topology->n_keyspaces;
        r->live_ids = xcalloc(r->n_live_ids, sizeof *r->live_ids);
        for (size_t i = 0; i < r->n_live_ids; i++)
                r->live_ids[i] = topology->keyspaces[i]->id;
}

void registry_apply(struct registry *r, const Shoal__V1__Topology *topology)
{
        uint64_t version = atomic_load(&r->version);

        if (topology->version < version) {
                log_event(LOG_ERROR, "topology_went_back",
                          "version=%" PRIu64 " acted_on=%" PRIu64 " remedy=%s", topology->version,
                          version,
                          log_quote("if topo was restored from an old copy on purpose, remove "
                                    "DATA/topology and restart"));
                return;
        }
        r->n_applied++;
        for (size_t i = 0; i < topology->n_keyspaces; i++) {
                const Shoal__V1__Keyspace *ks = topology->keyspaces[i];

                for (size_t k = 0; k < ks->n_shards; k++)
                        if (strcmp(ks->shards[k]->tablet, r->o.id) == 0)
                                put_shard(r, ks, ks->shards[k]);
        }
        drop_unseen(r);
        keep_ids(r, topology);
        metric_set(r->n_served, HASH_COUNT(r->shards));
        atomic_store(&r->version, topology->version);
        atomic_store(&r->is_ready, true);
        disk_work_request(r->disk, topology->version);
}

/* ---- sizes */

struct measuring {
        struct pool_job job;
        struct loop_task task;
        struct registry *registry;
        void (*done)(void *arg, const struct registry_sizes *sizes);
        void *arg;
        struct registry_sizes sizes;
        struct served_shard **held;
};

static void on_measured(struct loop_task *task)
{
        struct measuring *m = CONTAINER_OF(task, struct measuring, task);

        for (uint32_t i = 0; i < m->sizes.n_shards; i++)
                registry_let_go(m->held[i]);
        m->done(m->arg, &m->sizes);
        free(m->held);
        free(m);
}

static void measure(struct pool_job *job)
{
        struct measuring *m = CONTAINER_OF(job, struct measuring, job);

        for (uint32_t i = 0; i < m->sizes.n_shards; i++)
                m->sizes.bytes_used += engine_shard_bytes(m->held[i]->engine_shard);
        m->sizes.bytes_capacity = m->sizes.bytes_used + disk_free_bytes(m->registry->o.data_dir);
        loop_post(m->registry->o.loop, &m->task);
}

void registry_measure(struct registry *r,
                      void (*done)(void *arg, const struct registry_sizes *sizes), void *arg)
{
        struct measuring *m = xcalloc(1, sizeof *m);
        struct served_shard *s, *tmp;
        uint32_t n = 0;

        *m = (struct measuring){
                .job.run = measure, .task.fn = on_measured, .registry = r, .done = done, .arg = arg
        };
        m->held = xcalloc(HASH_COUNT(r->shards), sizeof(struct served_shard *));
        HASH_ITER(hh, r->shards, s, tmp)
        {
                s->n_holders++;
                m->held[n++] = s;
        }
        m->sizes.n_shards = n;
        pool_submit(r->o.pool, &m->job);
}
