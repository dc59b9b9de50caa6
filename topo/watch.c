/* watch.c - pushing the topology to those who watch it. Loop thread. */
#include "topo/watch.h"

#include <grpc/slice.h>

#include "proto/shoal/v1/api.pb-c.h"
#include "topo/meters.h"
#include "topo/topology.h"

/* Lives until its call is finished. */
struct watcher {
        struct watchers *all;
        struct rpc_call *call;
        uint64_t version; /* what it has, or is being sent */
        bool writing;
        bool over; /* the call is to be finished when the write has come back */
        struct watcher *prev, *next;
};

struct watchers {
        struct topo *topo;
        struct watcher *first;
        size_t n;
        struct loop_task task;
        bool posted;
        bool freed;        /* while posted: the task frees it */
        grpc_slice packed; /* the topology, when has_packed */
        bool has_packed;
        uint64_t packed_version;
};

/* ---------------------------------------------------------------- the message */

static void drop_packed(struct watchers *all)
{
        if (all->has_packed)
                grpc_slice_unref(all->packed);
        all->has_packed = false;
}

/* Packs the topology once for all watchers. False: too large. */
static bool pack_topology(struct watchers *all)
{
        cleanup_(arena_freep) struct arena *a = NULL;
        uint64_t version = topo_version(all->topo);
        Shoal__V1__Topology *topology;

        if (all->has_packed && all->packed_version == version)
                return true;
        drop_packed(all);
        a = topology_arena();
        topology = topology_build(all->topo, a);
        if (!topology)
                return false;
        all->packed = grpc_slice_malloc(shoal__v1__topology__get_packed_size(topology));
        shoal__v1__topology__pack(topology, GRPC_SLICE_START_PTR(all->packed));
        all->packed_version = version;
        all->has_packed = true;
        return true;
}

/* ---------------------------------------------------------------- watchers */

static void remove_watcher(struct watcher *w)
{
        struct watchers *all = w->all;

        if (w->prev)
                w->prev->next = w->next;
        else
                all->first = w->next;
        if (w->next)
                w->next->prev = w->prev;
        meters_set_watchers(--all->n);
        free(w);
}

static void finish(struct watcher *w, enum err_code code, const char *reason, const char *msg)
{
        struct rpc_call *call = w->call;
        struct err err = ERR_INIT;

        err_set(&err, code, reason, "%s", msg);
        remove_watcher(w);
        rpc_call_fail(call, &err);
}

static void send_newest(struct watcher *w);

static void on_written(struct rpc_call *call, bool ok)
{
        struct watcher *w = rpc_call_data(call);

        w->writing = false;
        if (!ok || rpc_call_is_cancelled(call))
                finish(w, ERR_CANCELLED, "CANCELLED", "the watcher has gone");
        else if (w->over)
                finish(w, ERR_UNAVAILABLE, "SHUTTING_DOWN", "topo is shutting down");
        else
                send_newest(w);
}

static void on_cancel(struct rpc_call *call)
{
        struct watcher *w = rpc_call_data(call);

        if (!w->writing)
                finish(w, ERR_CANCELLED, "CANCELLED", "the watcher has gone");
}

static void send_newest(struct watcher *w)
{
        struct watchers *all = w->all;

        if (w->writing || !all->topo->ready || w->version == topo_version(all->topo))
                return;
        if (!pack_topology(all)) {
                finish(w, ERR_EXHAUSTED, "TOPO_LIMIT", "the topology is too large");
                return;
        }
        w->version = all->packed_version;
        w->writing = true;
        rpc_call_write(w->call, grpc_raw_byte_buffer_create(&all->packed, 1), on_written);
}

void watchers_add(struct rpc_call *call, void *arg)
{
        struct topo *t = arg;
        struct watchers *all = t->watchers;
        ProtobufCMessage *message;
        struct err err = ERR_INIT;
        struct watcher *w;

        if (all->n >= t->options.max_watchers)
                err_set(&err, ERR_EXHAUSTED, "TOPO_LIMIT", "there are %zu watchers", all->n);
        else
                err.code = rpc_call_unpack(call, &shoal__v1__get_topology_request__descriptor,
                                           &message, &err);
        if (err.code) {
                meters_count_call("WatchTopology", err.code, 0);
                rpc_call_fail(call, &err);
                return;
        }
        w = xcalloc(1, sizeof *w);
        w->all = all;
        w->call = call;
        w->version = ((Shoal__V1__GetTopologyRequest *)message)->since_version;
        protobuf_c_message_free_unpacked(message, NULL);
        w->next = all->first;
        if (w->next)
                w->next->prev = w;
        all->first = w;
        meters_set_watchers(++all->n);
        rpc_call_set_data(call, w);
        rpc_call_on_cancel(call, on_cancel);
        send_newest(w);
}

/* ---------------------------------------------------------------- all of them */

static void free_watchers(struct watchers *all)
{
        drop_packed(all);
        free(all);
}

static void send_to_all(struct loop_task *task)
{
        struct watchers *all = CONTAINER_OF(task, struct watchers, task);
        struct watcher *next;

        all->posted = false;
        if (all->freed) {
                free_watchers(all);
                return;
        }
        for (struct watcher *w = all->first; w; w = next) {
                next = w->next;
                send_newest(w);
        }
}

void watchers_publish(struct watchers *all)
{
        if (all->posted)
                return;
        all->posted = true;
        loop_post(all->topo->loop, &all->task);
}

void watchers_drain(struct rpc_call *call, void *arg)
{
        struct watcher *w = rpc_call_data(call);

        w->over = true;
        if (!w->writing)
                finish(w, ERR_UNAVAILABLE, "SHUTTING_DOWN", "topo is shutting down");
}

size_t watchers_count(const struct watchers *all)
{
        return all->n;
}

struct watchers *watchers_new(struct topo *t)
{
        struct watchers *all = xcalloc(1, sizeof *all);

        all->topo = t;
        all->task.fn = send_to_all;
        return all;
}

struct watchers *watchers_free(struct watchers *all)
{
        if (!all)
                return NULL;
        all->freed = true;
        if (!all->posted)
                free_watchers(all);
        return NULL;
}
