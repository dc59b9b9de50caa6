/* main.c - the topo process: settings, start, end. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/http.h"
#include "common/log.h"
#include "topo/data_dir.h"
#include "topo/meters.h"
#include "topo/options.h"
#include "topo/service.h"
#include "topo/store_sqlite.h"
#include "topo/topo.h"

/* Owner: the loop thread, but for ready. */
struct process {
        struct topo_settings options;
        struct loop *loop;
        struct topo *topo;
        struct service *service;
        struct http *http;
        bool announced;
        atomic_bool ready; /* read by the HTTP thread */
};

static bool is_ready(void *arg, const char **ret_why)
{
        struct process *p = arg;

        *ret_why = "the store does not answer";
        return atomic_load(&p->ready);
}

/* The address as it was given, but for a port that was picked. */
static char *real_address(const struct process *p)
{
        const char *given = p->options.listen_address;
        size_t n = strlen(given);

        if (n < 2 || strcmp(given + n - 2, ":0"))
                return xstrdup(given);
        return xasprintf("%.*s%d", (int)n - 1, given, rpc_server_port(service_server(p->service)));
}

static void announce(struct process *p)
{
        cleanup_(freep) char *address = real_address(p);

        p->announced = true;
        log_event(LOG_INFO, "listening", "address=%s http=%s version=%s", address,
                  http_address(p->http), SHOAL_VERSION);
}

static void on_ready(void *arg, bool ready)
{
        struct process *p = arg;

        atomic_store(&p->ready, ready);
        if (!p->service)
                return;
        rpc_server_set_serving(service_server(p->service), ready);
        if (ready && !p->announced)
                announce(p);
}

static void on_closed(void *arg)
{
        struct process *p = arg;

        loop_stop(p->loop);
}

static void on_drained(void *arg)
{
        struct process *p = arg;

        p->service = service_free(p->service);
        topo_close(p->topo, on_closed, p);
}

static void on_terminate(void *arg)
{
        struct process *p = arg;

        log_event(LOG_INFO, "draining", "limit_ms=%llu", (unsigned long long)p->options.drain_ms);
        rpc_server_drain(service_server(p->service), p->options.drain_ms, on_drained, p);
}

static enum err_code start(struct process *p, struct err *reterr)
{
        cleanup_(freep) char *path = xasprintf("%s/topo.db", p->options.data_dir);
        struct store_sqlite_options so = { .path = path, .keep_revisions = p->options.history };
        struct topo_options to = { .heartbeat_ms = p->options.heartbeat_ms,
                                   .lease_ms = p->options.lease_ms,
                                   .max_skew_ms = p->options.max_skew_ms,
                                   .max_prepared_ms = p->options.max_prepared_ms,
                                   .keep_ms = p->options.keep_outcomes_ms,
                                   .on_ready = on_ready,
                                   .arg = p };
        struct store *store = NULL;
        int lock_fd;
        enum err_code rc = data_dir_take(p->options.data_dir, &lock_fd, reterr);

        if (!rc)
                rc = store_sqlite_open(p->loop, &so, &store, reterr);
        if (rc)
                return rc;
        p->topo = topo_new(p->loop, store, &to);
        rc = service_start(p->topo, p->options.listen_address, &p->service, reterr);
        return rc ? rc : http_start(p->options.http_address, is_ready, p, &p->http, reterr);
}

int main(int argc, char **argv)
{
        static struct process p;
        struct err err = ERR_INIT;
        enum log_level level = LOG_INFO;
        bool quit = false;

        if (conf_load(&topo_conf, argc, argv, &p.options, &quit, &err) ||
            (!quit && topo_settings_check(&p.options, &level, &err))) {
                fprintf(stderr, "topo: %s\n", err.msg);
                return 2;
        }
        if (quit)
                return 0;
        log_init(p.options.id, level);
        meters_init();
        p.loop = loop_new();
        if (start(&p, &err)) {
                log_event(LOG_ERROR, "start_failed", "reason=%s message=%s", err.reason,
                          log_quote(err.msg));
                return 1;
        }
        loop_on_terminate(p.loop, on_terminate, &p);
        loop_run(p.loop);
        http_stop(p.http);
        loop_free(p.loop);
        conf_done(&topo_conf, &p.options);
        log_event(LOG_INFO, "stopped", "code=OK");
        return 0;
}
