/* topo_link.c - watching the topology and sending heartbeats. Loop thread. */
#include "tablet/topo_link.h"

#include <inttypes.h>

#include "common/log.h"
#include "common/metrics.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/client.h"
#include "rpc/server.h"

enum {
        RETRY_HEARTBEAT_US =
            1000 * 1000, /* after one that failed; topo tells the rhythm with each answer */
        MAX_HEARTBEAT_MS = 60 * 1000,
        CALL_TIMEOUT_US = 5 * 1000 * 1000,
        RETRY_MIN_US = 50 * 1000,
        RETRY_MAX_US = 1000 * 1000,
};

struct topo_link {
        struct topo_link_options o;
        struct rpc_channel *channel;

        struct rpc_stream *watch;
        struct loop_timer watch_timer;
        int64_t retry_us;

        struct beat *beat; /* under way, or NULL */
        struct loop_timer beat_timer;
        struct metric *n_sent, *n_failed;
};

/* One heartbeat: shards are measured, then topo is told. Outlives the link if that is freed
 * meanwhile. */
struct beat {
        struct topo_link *link; /* NULL: nobody wants to know any more */
};

/* ---- the topology */

static void open_watch(struct topo_link *l);

static void on_watch_timer(struct loop_timer *t)
{
        open_watch(CONTAINER_OF(t, struct topo_link, watch_timer));
}

static void on_topology(void *arg, const grpc_slice *slice)
{
        struct topo_link *l = arg;
        Shoal__V1__Topology *topology;

        topology = shoal__v1__topology__unpack(NULL, GRPC_SLICE_LENGTH(*slice),
                                               GRPC_SLICE_START_PTR(*slice));
        if (!topology) {
                log_event(LOG_ERROR, "bad_topology", "bytes=%zu", GRPC_SLICE_LENGTH(*slice));
                rpc_stream_cancel(l->watch);
                return;
        }
        l->retry_us = RETRY_MIN_US;
        registry_apply(l->o.registry, topology);
        shoal__v1__topology__free_unpacked(topology, NULL);
        if (l->o.on_topology)
                l->o.on_topology(l->o.arg);
}

static void on_watch_end(void *arg, const struct err *e)
{
        struct topo_link *l = arg;

        log_event(LOG_WARN, "watch_ended", "topo=%s code=%s error=%s", l->o.topo_address,
                  err_code_name(e->code), log_quote(e->msg));
        l->watch = rpc_stream_free(l->watch);
        loop_timer_set(l->o.loop, &l->watch_timer, mono_us() + l->retry_us);
        l->retry_us = l->retry_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : l->retry_us * 2;
}

static void open_watch(struct topo_link *l)
{
        static const struct rpc_stream_events events = { .on_message = on_topology,
                                                         .on_end = on_watch_end };
        Shoal__V1__GetTopologyRequest rq = SHOAL__V1__GET_TOPOLOGY_REQUEST__INIT;

        l->watch = rpc_stream_open(l->channel, "/shoal.v1.Topo/WatchTopology", &events, l);
        rpc_stream_write(l->watch, rpc_pack(&rq.base));
        rpc_stream_close_send(l->watch);
}

/* ---- heartbeats */

static void schedule_beat(struct topo_link *l, int64_t in_us)
{
        loop_timer_set(l->o.loop, &l->beat_timer, mono_us() + in_us);
}

static bool take_answer(struct topo_link *l, const uint8_t *body, size_t n_bytes,
                        int64_t *ret_next_us)
{
        Shoal__V1__TabletHeartbeatResponse *rs;
        struct err e = ERR_INIT;

        rs = shoal__v1__tablet_heartbeat_response__unpack(NULL, n_bytes, body);
        if (!rs)
                return false;
        if (rs->heartbeat_ms && rs->heartbeat_ms <= MAX_HEARTBEAT_MS)
                *ret_next_us = (int64_t)rs->heartbeat_ms * 1000;
        if (hlc_observe(l->o.hlc, rs->hlc, &e))
                log_event(LOG_WARN, "clock_skew", "peer=topo error=%s", log_quote(e.msg));
        shoal__v1__tablet_heartbeat_response__free_unpacked(rs, NULL);
        return true;
}

static void on_beat_done(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct beat *beat = arg;
        struct topo_link *l = beat->link;
        int64_t next_us = RETRY_HEARTBEAT_US;

        free(beat);
        if (!l)
                return;
        l->beat = NULL;
        if (!e->code && take_answer(l, body, n_bytes, &next_us)) {
                metric_add(l->n_sent, 1);
        } else {
                metric_add(l->n_failed, 1);
                log_event(LOG_WARN, "heartbeat_failed", "topo=%s code=%s error=%s",
                          l->o.topo_address, err_code_name(e->code), log_quote(e->msg));
        }
        schedule_beat(l, next_us);
}

static void on_measured(void *arg, const struct registry_sizes *sizes)
{
        Shoal__V1__TabletHeartbeatRequest rq = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;
        struct beat *beat = arg;
        struct topo_link *l = beat->link;

        if (!l) {
                free(beat);
                return;
        }
        rq.id = (char *)l->o.id;
        rq.address = (char *)l->o.address;
        rq.incarnation = l->o.incarnation;
        rq.bytes_used = sizes->bytes_used;
        rq.bytes_capacity = sizes->bytes_capacity;
        rq.shard_count = sizes->n_shards;
        rq.hlc = hlc_now(l->o.hlc);
        rpc_unary(l->channel, "/shoal.v1.TopoInternal/TabletHeartbeat", rpc_pack(&rq.base),
                  mono_us() + CALL_TIMEOUT_US, on_beat_done, beat);
}

static void on_beat_timer(struct loop_timer *t)
{
        struct topo_link *l = CONTAINER_OF(t, struct topo_link, beat_timer);

        l->beat = xmalloc(sizeof *l->beat);
        l->beat->link = l;
        registry_measure(l->o.registry, on_measured, l->beat);
}

/* ---- life */

struct topo_link *topo_link_new(const struct topo_link_options *o)
{
        static const char help[] = "Heartbeats to topo, by outcome.";
        struct topo_link *l = xcalloc(1, sizeof *l);
        struct rpc_channel_options co = {
                .address = o->topo_address,
                .keepalive_ms = 10000,
                .keepalive_timeout_ms = 5000,
                .max_reply_bytes = o->max_topology_bytes,
        };

        l->o = *o;
        l->retry_us = RETRY_MIN_US;
        l->watch_timer.fn = on_watch_timer;
        l->beat_timer.fn = on_beat_timer;
        l->n_sent = metric_counter("shoal_tablet_heartbeats_total", "outcome=\"sent\"", help);
        l->n_failed = metric_counter("shoal_tablet_heartbeats_total", "outcome=\"failed\"", help);
        l->channel = rpc_channel_new(o->loop, &co);
        open_watch(l);
        schedule_beat(l, 0);
        return l;
}

struct topo_link *topo_link_free(struct topo_link *l)
{
        if (!l)
                return NULL;
        loop_timer_cancel(l->o.loop, &l->watch_timer);
        loop_timer_cancel(l->o.loop, &l->beat_timer);
        if (l->beat)
                l->beat->link = NULL;
        if (l->watch)
                rpc_stream_free(l->watch);
        rpc_channel_free(l->channel);
        free(l);
        return NULL;
}
