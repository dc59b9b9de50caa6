/* main.c - the gate process: settings, start, end. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/http.h"
#include "common/log.h"
#include "gate/options.h"
#include "gate/service.h"
#include "gate/stats.h"

enum { REFRESH_US = 1000 * 1000 };

/* Owner: the loop thread, but for ready. */
struct process {
        struct gate gate;
        struct rpc_server *server;
        struct http *http;
        char *address; /* where the server listens */
        struct topology_listener listener;
        struct loop_timer refresh;
        atomic_bool ready; /* read by the HTTP thread */
};

static bool is_ready(void *arg, const char **ret_why)
{
        struct process *p = arg;

        *ret_why = "topo has not been heard of yet";
        return atomic_load(&p->ready);
}

static void on_topology(struct topology_listener *l)
{
        struct process *p = CONTAINER_OF(l, struct process, listener);

        if (!topology_epoch(p->gate.topology) || atomic_exchange(&p->ready, true))
                return;
        rpc_server_set_serving(p->server, true);
        log_event(LOG_INFO, "ready", "topology_version=%llu",
                  (unsigned long long)topology_version(p->gate.topology));
}

static void on_refresh(struct loop_timer *timer)
{
        struct process *p = CONTAINER_OF(timer, struct process, refresh);

        stats_refresh(&p->gate);
        loop_timer_set(p->gate.loop, timer, mono_us() + REFRESH_US);
}

static void on_drained(void *arg)
{
        struct process *p = arg;

        loop_stop(p->gate.loop);
}

static void on_terminate(void *arg)
{
        struct process *p = arg;

        log_event(LOG_INFO, "draining", "limit_ms=%llu",
                  (unsigned long long)p->gate.options.drain_ms);
        atomic_store(&p->ready, false);
        rpc_server_drain(p->server, p->gate.options.drain_ms, on_drained, p);
}

static enum err_code start(struct process *p, struct err *reterr)
{
        struct gate_options *o = &p->gate.options;
        const char *colon = strrchr(o->listen_address, ':');
        enum err_code rc = service_start(&p->gate, &p->server, reterr);

        if (!rc)
                rc = http_start(o->http_address, is_ready, p, &p->http, reterr);
        if (rc)
                return rc;
        rpc_server_set_serving(p->server, false);
        p->address = xasprintf("%.*s:%d", (int)(colon ? colon - o->listen_address : 0),
                               o->listen_address, rpc_server_port(p->server));
        gate_start(&p->gate, *o->advertise_address ? o->advertise_address : p->address);
        p->listener.on_change = on_topology;
        topology_listen(p->gate.topology, &p->listener);
        p->refresh.fn = on_refresh;
        loop_timer_set(p->gate.loop, &p->refresh, 0);
        log_event(LOG_INFO, "listening", "address=%s http=%s version=%s", p->address,
                  http_address(p->http), SHOAL_VERSION);
        return ERR_OK;
}

static void stop(struct process *p)
{
        p->http = http_stop(p->http);
        p->server = rpc_server_free(p->server);
        loop_timer_cancel(p->gate.loop, &p->refresh);
        topology_unlisten(p->gate.topology, &p->listener);
        gate_stop(&p->gate);
        service_stop(&p->gate);
        p->gate.loop = loop_free(p->gate.loop);
        free(p->address);
}

int main(int argc, char **argv)
{
        static struct process p;
        struct err err = ERR_INIT;
        enum log_level level = LOG_INFO;
        bool quit = false;

        if (conf_load(&gate_conf, argc, argv, &p.gate.options, &quit, &err) ||
            (!quit && log_level_parse(p.gate.options.log_level, &level, &err))) {
                fprintf(stderr, "gate: %s\n", err.msg);
                return 2;
        }
        if (quit)
                return 0;
        log_init(p.gate.options.id, level);
        p.gate.loop = loop_new();
        /* Runs on the loop, that is when all is started. */
        loop_on_terminate(p.gate.loop, on_terminate, &p);
        if (start(&p, &err)) {
                log_event(LOG_ERROR, "start_failed", "reason=%s error=%s", err.reason,
                          log_quote(err.msg));
                return 1;
        }
        loop_run(p.gate.loop);
        stop(&p);
        conf_done(&gate_conf, &p.gate.options);
        log_event(LOG_INFO, "stopped", "code=OK");
        return 0;
}
