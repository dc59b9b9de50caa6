/* gate.c - puts the gate's parts together and takes them apart. Loop thread. */
#include "gate/gate.h"

#include <sqlite3.h>
#include <sys/random.h>

#include "gate/ddl.h"
#include "gate/finish.h"
#include "gate/forward.h"
#include "gate/refresher.h"
#include "gate/sequence.h"
#include "gate/session.h"
#include "gate/stats.h"
#include "gate/transaction.h"

enum {
        MAX_PENDING = 65536,           /* requests under way on one stream */
        MAX_KEPT_FINISHES = 32,        /* databases of finishes kept for the next use */
        REPLY_MARGIN_BYTES = 16 << 20, /* what a reply holds besides rows */
        MAX_TOPOLOGY_BYTES = 64 << 20,
};

static void on_topology_change(struct topology_listener *l)
{
        struct gate *g = CONTAINER_OF(l, struct gate, listener);
        size_t n = topology_n_tablets(g->topology);
        cleanup_(freep) struct tablet_address *list = xcalloc(n + 1, sizeof(*list));

        for (size_t i = 0; i < n; i++) {
                const struct topology_tablet *t = topology_tablet_at(g->topology, i);

                list[i] = (struct tablet_address){ t->id, t->address };
        }
        tablets_set(g->tablets, list, n);
        metric_add(g->metrics->topology_updates, 1);
        stats_refresh(g);
}

static uint64_t random_u64(void)
{
        uint64_t v = 0;

        while (getrandom(&v, sizeof(v), 0) != sizeof(v))
                ;
        return v;
}

static void start_tablets(struct gate *g)
{
        const struct gate_options *o = &g->options;
        struct tablets_options to = {
                .loop = g->loop,
                .hlc = &g->hlc,
                .n_streams = (unsigned)o->tablet_streams,
                .connect_wait_ms = o->connect_wait_ms,
                .keepalive_ms = o->keepalive_ms,
                .keepalive_timeout_ms = o->keepalive_timeout_ms,
                .max_reply_bytes = o->max_result_bytes + REPLY_MARGIN_BYTES,
                .max_pending = MAX_PENDING,
        };

        g->tablets = tablets_new(&to);
}

static void start_topology(struct gate *g, const char *address)
{
        const struct gate_options *o = &g->options;
        struct rpc_channel_options co = {
                .address = o->topo_address,
                .keepalive_ms = o->keepalive_ms,
                .keepalive_timeout_ms = o->keepalive_timeout_ms,
                .max_reply_bytes = MAX_TOPOLOGY_BYTES,
        };
        struct topology_options to = {
                .loop = g->loop,
                .hlc = &g->hlc,
                .gate_id = o->id,
                .advertise_address = address,
                .incarnation = random_u64(),
        };

        g->topo = rpc_channel_new(g->loop, &co);
        to.topo = g->topo;
        g->topology = topology_new(&to);
        g->listener.on_change = on_topology_change;
}

static void start_sessions(struct gate *g)
{
        const struct gate_options *o = &g->options;
        const struct sessions_options so = {
                .gate = g,
                .loop = g->loop,
                .gate_id = o->id,
                .max_sessions = o->max_sessions,
                .idle_ms = o->session_idle_ms,
                .transaction_idle_ms = o->transaction_idle_ms,
        };

        g->transactions = transactions_new(g);
        g->sessions = sessions_new(&so);
        g->forwards = forwards_new(g);
}

void gate_start(struct gate *g, const char *address)
{
        const struct gate_options *o = &g->options;
        struct finishes_options fo = {
                .loop = g->loop,
                .limits = { .memory_bytes = o->finish_memory,
                            .total_memory_bytes = o->finish_total_memory,
                            .disk_bytes = o->finish_disk,
                            .value_bytes = o->max_result_bytes },
                .max_running = o->max_finishes,
                .max_kept = MAX_KEPT_FINISHES,
        };

        if (o->spill_dir && *o->spill_dir)
                sqlite3_temp_directory = sqlite3_mprintf("%s", o->spill_dir);
        hlc_init(&g->hlc, wall_us, o->max_skew_ms * 1000);
        g->metrics = stats_register();
        g->pool = pool_new("finish", (unsigned)o->pool_threads);
        fo.pool = g->pool;
        g->finishes = finishes_new(&fo);
        g->plans = plan_cache_new(o->plan_cache_bytes);
        start_tablets(g);
        start_topology(g, address);
        g->sequences = sequences_new(g);
        start_sessions(g);
        g->ddl = ddl_driver_new(g);
        g->refresher = refresher_new(g);
        /* Listeners run the last to come first: tablets are known before anyone asks for them. */
        topology_listen(g->topology, &g->listener);
}

void gate_stop(struct gate *g)
{
        topology_unlisten(g->topology, &g->listener);
        g->refresher = refresher_free(g->refresher);
        g->ddl = ddl_driver_free(g->ddl);
        g->finishes = finishes_free(g->finishes);
        binds_finish(&g->binds, g->loop);
        g->pool = pool_free(g->pool);
        g->forwards = forwards_free(g->forwards);
        g->sessions = sessions_free(g->sessions);
        g->transactions = transactions_free(g->transactions);
        g->sequences = sequences_free(g->sequences);
        g->tablets = tablets_free(g->tablets);
        g->plans = plan_cache_free(g->plans);
        g->topology = topology_free(g->topology);
        g->topo = rpc_channel_free(g->topo);
}
