/* ddl_io.c - a schema change's ways to topo, to the shards and to the clock. Loop thread. */
#include <string.h>

#include "gate/ddl_int.h"
#include "gate/gate.h"
#include "gate/scatter.h"
#include "gate/shard_bits.h"
#include "rpc/server.h"

enum {
        TOPO_TIMEOUT_US = 5 * 1000 * 1000,
        /* Building an index over a large shard takes its time; a tablet that is gone shows at once.
         */
        SHARDS_TIMEOUT_US = 60LL * 60 * 1000 * 1000,
        ASK_TIMEOUT_US = 5 * 1000 * 1000,
};

/* A question under way. It outlives the driver until topo's answer is in; then world is NULL. */
struct ddl_call {
        struct ddl_world *world;
        struct ddl_call *prev, *next;
        struct ddl_work *work;
        struct scatter *scatter; /* NULL: topo is asked */
};

/* Owner: the loop thread. */
struct ddl_world {
        struct gate *gate;
        struct ddl_driver *driver;
        struct loop_timer timer;
        struct topology_listener listener;
        struct ddl_call *calls;
        uint64_t *seen; /* keyspaces that were looked at for a pending change */
        size_t n_seen;
};

static int64_t now_us(void *arg)
{
        return mono_us();
}

static void on_timer(struct loop_timer *timer)
{
        ddl_tick(CONTAINER_OF(timer, struct ddl_world, timer)->driver);
}

static void wake_at(void *arg, int64_t at_us)
{
        struct ddl_world *world = arg;

        if (at_us == INT64_MAX)
                loop_timer_cancel(world->gate->loop, &world->timer);
        else
                loop_timer_set(world->gate->loop, &world->timer, at_us);
}

static bool identity(void *arg, char **ret_gate, uint64_t *ret_epoch)
{
        const struct topology *t = ((struct ddl_world *)arg)->gate->topology;

        *ret_gate = (char *)topology_gate_id(t);
        *ret_epoch = topology_epoch(t);
        return *ret_epoch != 0;
}

static bool keyspace(void *arg, uint64_t keyspace_id, uint64_t *ret_version, size_t *ret_n_shards)
{
        struct catalog *c =
            topology_find_id(((struct ddl_world *)arg)->gate->topology, keyspace_id);

        if (!c)
                return false;
        *ret_version = catalog_schema_version(c);
        *ret_n_shards = shard_map_size(catalog_shards(c));
        return true;
}

/* ---- calls */

static struct ddl_call *new_call(struct ddl_world *world, struct ddl_work *w)
{
        struct ddl_call *c = xcalloc(1, sizeof *c);

        c->world = world;
        c->work = w;
        c->next = world->calls;
        if (c->next)
                c->next->prev = c;
        world->calls = c;
        return c;
}

/* The work it was for; NULL: the driver is gone. */
static struct ddl_work *end_call(struct ddl_call *c)
{
        struct ddl_work *w = c->world ? c->work : NULL;

        if (c->world) {
                *(c->prev ? &c->prev->next : &c->world->calls) = c->next;
                if (c->next)
                        c->next->prev = c->prev;
        }
        scatter_free(c->scatter);
        free(c);
        return w;
}

static void abandon_calls(struct ddl_world *world)
{
        for (struct ddl_call *c = world->calls, *next; c; c = next) {
                next = c->next;
                if (c->scatter)
                        end_call(c);
                else
                        c->world = NULL;
        }
}

/* ---- topo */

static void on_topo_done(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct ddl_work *w = end_call(arg);
        Shoal__V1__SchemaChange *change = NULL;
        struct err malformed = ERR_INIT, failure = topology_call_error(e);

        if (!w)
                return;
        e = &failure;
        if (!e->code) {
                change = shoal__v1__schema_change__unpack(NULL, n_bytes, body);
                if (!change) {
                        err_set(&malformed, ERR_UNKNOWN, "BAD_REPLY", "topo's answer is malformed");
                        e = &malformed;
                }
        }
        ddl_topo_answered(w, e, change);
        if (change)
                shoal__v1__schema_change__free_unpacked(change, NULL);
}

static void call_topo(struct ddl_world *world, struct ddl_work *w, const char *path,
                      const ProtobufCMessage *m)
{
        rpc_unary(world->gate->topo, path, rpc_pack(m), mono_us() + TOPO_TIMEOUT_US, on_topo_done,
                  new_call(world, w));
}

static void look(void *arg, struct ddl_work *w, const Shoal__V1__GetSchemaChangeRequest *m)
{
        call_topo(arg, w, "/shoal.v1.TopoInternal/GetSchemaChange", &m->base);
}

static void begin(void *arg, struct ddl_work *w, const Shoal__V1__BeginSchemaChangeRequest *m)
{
        call_topo(arg, w, "/shoal.v1.TopoInternal/BeginSchemaChange", &m->base);
}

static void end(void *arg, struct ddl_work *w, const Shoal__V1__EndSchemaChangeRequest *m)
{
        call_topo(arg, w, "/shoal.v1.TopoInternal/EndSchemaChange", &m->base);
}

/* ---- shards */

static void on_shards_end(void *arg, struct scatter *s, const struct err *e)
{
        struct ddl_call *call = arg;
        struct ddl_work *w = call->work;
        size_t n_shards = 0;
        struct err *errs;

        for (size_t i = 0; i < scatter_n_shards(s); i++)
                if (scatter_shard_at(s, i)->index >= n_shards)
                        n_shards = scatter_shard_at(s, i)->index + 1;
        if (w->n_applied > n_shards)
                n_shards = w->n_applied;
        errs = xcalloc(n_shards, sizeof *errs);
        for (size_t i = 0; i < scatter_n_shards(s); i++) {
                const struct scatter_shard *sh = scatter_shard_at(s, i);

                if (sh->failure)
                        errs[sh->index] = *sh->failure;
                else if (!sh->ended)
                        err_set(&errs[sh->index], ERR_UNKNOWN, "OUTCOME_UNKNOWN", "%s", e->msg);
        }
        end_call(call);
        ddl_shards_answered(w, errs, n_shards);
        free(errs);
}

static const struct scatter_events shards_events = { .on_end = on_shards_end };

static void shards(void *arg, struct ddl_work *w, const struct ddl_shards_call *c)
{
        struct ddl_world *world = arg;
        struct gate *g = world->gate;
        struct ddl_call *call = new_call(world, w);
        struct catalog *catalog = topology_find_id(g->topology, c->keyspace_id);
        cleanup_(freep) uint64_t *bits = xcalloc(scatter_n_words(catalog), sizeof *bits);
        const struct tablet_change_schema change = {
                .keyspace_id = c->keyspace_id,
                .version = c->version,
                .change_id = c->change_id,
                .sql = c->sql,
                .undo_sql = c->undo_sql,
                .undo = c->what == DDL_UNDO_SHARDS,
        };
        const struct tablet_execute ask = {
                .keyspace_id = c->keyspace_id,
                .schema_version = c->version,
                .sql = "SELECT 1",
                .n_sql_bytes = strlen("SELECT 1"),
                .cheap = true,
        };
        const struct scatter_options options = {
                .tablets = g->tablets,
                .catalog = catalog,
                .shard_bits = bits,
                .deadline_us =
                    mono_us() + (c->what == DDL_ASK_SHARDS ? ASK_TIMEOUT_US : SHARDS_TIMEOUT_US),
                .keep_going = true,
                .events = &shards_events,
                .arg = call,
        };

        for (size_t i = 0; i < shard_map_size(catalog_shards(catalog)); i++)
                if (!c->skip || !c->skip[i])
                        shard_bits_add(bits, i);
        if (c->what == DDL_ASK_SHARDS)
                call->scatter = scatter_execute(&options, &ask);
        else
                call->scatter = scatter_change_schema(&options, &change);
}

/* ---- the topology */

static bool is_seen(struct ddl_world *world, uint64_t keyspace_id)
{
        for (size_t i = 0; i < world->n_seen; i++)
                if (world->seen[i] == keyspace_id)
                        return true;
        return false;
}

/* A change may be pending since before this gate began, or knew of the keyspace. */
static void look_at_new_keyspaces(struct ddl_world *world)
{
        const struct topology *t = world->gate->topology;
        size_t n = topology_n_keyspaces(t);
        uint64_t *seen = xcalloc(n + 1, sizeof *seen);

        for (size_t i = 0; i < n; i++) {
                seen[i] = topology_keyspace_id_at(t, i);
                if (!is_seen(world, seen[i]))
                        ddl_nudge(world->driver, seen[i]);
        }
        free(world->seen);
        world->seen = seen;
        world->n_seen = n;
}

static void on_topology_change(struct topology_listener *l)
{
        struct ddl_world *world = CONTAINER_OF(l, struct ddl_world, listener);

        look_at_new_keyspaces(world);
        ddl_topology_changed(world->driver);
}

static void free_world(void *arg)
{
        struct ddl_world *world = arg;

        loop_timer_cancel(world->gate->loop, &world->timer);
        topology_unlisten(world->gate->topology, &world->listener);
        abandon_calls(world);
        free(world->seen);
        free(world);
}

struct ddl_driver *ddl_driver_new(struct gate *g)
{
        struct ddl_world *world = xcalloc(1, sizeof *world);
        const struct ddl_io io = {
                .arg = world,
                .free = free_world,
                .now_us = now_us,
                .wake_at = wake_at,
                .identity = identity,
                .keyspace = keyspace,
                .look = look,
                .begin = begin,
                .end = end,
                .shards = shards,
                .patience_us = g->options.retry_ms * 1000,
        };

        world->gate = g;
        world->timer.fn = on_timer;
        world->listener.on_change = on_topology_change;
        world->driver = ddl_driver_new_io(&io);
        topology_listen(g->topology, &world->listener);
        return world->driver;
}
