/* process.c - the tablet's parts: data folder, engine, registry, service, line to topo, second
 * port. */
#include "tablet/process.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/hlc.h"
#include "common/http.h"
#include "common/log.h"
#include "tablet/data_dir.h"
#include "tablet/engine.h"
#include "tablet/meters.h"
#include "tablet/registry.h"
#include "tablet/service.h"
#include "tablet/topo_link.h"

enum { MAX_TOPOLOGY_BYTES = 64 << 20, FDS_PER_CONNECTION = 3, OTHER_FDS = 1024 };

struct process {
        const struct tablet_settings *o;
        struct loop *loop;
        int data_fd;
        struct hlc hlc;
        struct pool *readers, *writers, *pinners;
        struct engine *engine;
        struct registry *registry;
        struct service *service;
        struct topo_link *link;
        struct http *http;
        char *address; /* where gates reach us */
        void (*drained)(void *arg);
        void *drained_arg;
};

static struct engine_options engine_options(struct process *p)
{
        const struct tablet_settings *o = p->o;

        return (struct engine_options){
                .data_dir = o->data_dir,
                .writers = p->writers,
                .hlc = &p->hlc,
                .max_connections = o->max_connections,
                .cache_bytes = o->cache_bytes,
                .max_statements = o->max_statements,
                .max_statement_bytes = o->max_statement_bytes,
                .max_value_bytes = o->max_value_bytes,
                .max_result_bytes = o->max_result_bytes,
                .max_batch = o->max_batch,
                .max_batch_ms = o->max_batch_ms,
                .max_queue = o->max_queue,
                .max_queue_bytes = o->max_queue_bytes,
                .checkpoint_bytes = o->checkpoint_bytes,
                .max_wal_bytes = o->max_wal_bytes,
                .max_read_ms = o->max_read_ms,
                .request_keep_ms = o->request_keep_ms,
                /* After a crash commits may begin this far ahead of the clock, which others must
                   not refuse. */
                .floor_block_ms = o->max_skew_ms > 1 ? o->max_skew_ms / 2 : 1,
        };
}

/* Each connection has its file, its log and sometimes a temporary file open. */
static void raise_fd_limit(uint64_t max_connections)
{
        struct rlimit limit;
        rlim_t want = max_connections * FDS_PER_CONNECTION + OTHER_FDS;

        if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= want)
                return;
        limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < want)
                log_event(LOG_WARN, "few_file_descriptors", "limit=%" PRIu64 " wanted=%" PRIu64,
                          (uint64_t)limit.rlim_cur, (uint64_t)want);
}

static bool is_ready(void *arg, const char **ret_why)
{
        struct process *p = arg;

        *ret_why = "no topology has come from topo yet";
        return registry_is_ready(p->registry);
}

static void on_topology(void *arg)
{
        struct process *p = arg;

        if (registry_is_ready(p->registry) && !p->drained)
                rpc_server_set_serving(service_server(p->service), true);
}

static enum err_code start_storage(struct process *p, struct err *reterr)
{
        struct engine_options eo;
        struct registry_options ro = { .loop = p->loop,
                                       .id = p->o->id,
                                       .data_dir = p->o->data_dir };
        enum err_code rc;

        rc = data_dir_take(p->o->data_dir, p->o->id, &p->data_fd, reterr);
        if (rc)
                return rc;
        /* What SQLite would count about its memory costs more than it tells. */
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        raise_fd_limit(p->o->max_connections);
        hlc_init(&p->hlc, wall_us, p->o->max_skew_ms * 1000);
        p->readers = pool_new("reader", (unsigned)p->o->pool_threads);
        p->pinners = pool_new("pinner", 1);
        p->writers = pool_new("writer", (unsigned)p->o->writer_threads);
        eo = engine_options(p);
        rc = engine_new(&eo, &p->engine, reterr);
        if (rc)
                return rc;
        ro.engine = p->engine;
        ro.pool = p->readers;
        return registry_new(&ro, &p->registry, reterr);
}

static char *own_address(const struct process *p)
{
        const char *colon = strrchr(p->o->listen_address, ':');

        if (p->o->advertise_address[0])
                return xstrdup(p->o->advertise_address);
        return xasprintf("%.*s:%d", (int)(colon - p->o->listen_address), p->o->listen_address,
                         rpc_server_port(service_server(p->service)));
}

/* Reads that take long are busy, not waiting for the disk: more of them than processors only drive
 * each other's rows out of the caches. */
static uint64_t choose_parallelism(const struct tablet_settings *o)
{
        long n_processors = sysconf(_SC_NPROCESSORS_ONLN);

        if (o->read_parallelism)
                return o->read_parallelism;
        return n_processors > 0 ? (uint64_t)n_processors : 1;
}

static enum err_code start_serving(struct process *p, struct err *reterr)
{
        struct service_options so = {
                .loop = p->loop,
                .registry = p->registry,
                .hlc = &p->hlc,
                .readers = p->readers,
                .pinners = p->pinners,
                .read_parallelism = choose_parallelism(p->o),
                /* The rest is for writers and for reads that need no pin. */
                .max_pins = p->o->max_connections - p->o->max_connections / 4,
                .address = p->o->listen_address,
                .max_message_bytes = p->o->max_message_bytes,
                .max_requests = p->o->max_requests,
                .max_queued_bytes = p->o->max_queued_bytes,
        };
        struct topo_link_options lo = {
                .loop = p->loop,
                .registry = p->registry,
                .hlc = &p->hlc,
                .topo_address = p->o->topo_address,
                .id = p->o->id,
                .max_topology_bytes = MAX_TOPOLOGY_BYTES,
                .on_topology = on_topology,
                .arg = p,
        };
        enum err_code rc;

        if (!strrchr(p->o->listen_address, ':'))
                return err_set(reterr, ERR_INVALID, "BAD_CONFIG", "listen-address: not HOST:PORT");
        if (getrandom(&lo.incarnation, sizeof lo.incarnation, 0) != sizeof lo.incarnation)
                return err_set(reterr, ERR_INTERNAL, "RANDOM", "getrandom: %s", strerror(errno));
        rc = http_start(p->o->http_address, is_ready, p, &p->http, reterr);
        if (!rc)
                rc = service_start(&so, &p->service, reterr);
        if (rc)
                return rc;
        rpc_server_set_serving(service_server(p->service), false);
        p->address = own_address(p);
        lo.address = p->address;
        p->link = topo_link_new(&lo);
        log_event(LOG_INFO, "listening", "grpc=%s http=%s version=%s", p->address,
                  http_address(p->http), SHOAL_VERSION);
        return ERR_OK;
}

/* ---- the end */

static void on_shards_closed(void *arg)
{
        struct process *p = arg;

        p->drained(p->drained_arg);
}

static void on_service_drained(void *arg)
{
        struct process *p = arg;

        registry_close(p->registry, on_shards_closed, p);
}

void process_drain(struct process *p, void (*done)(void *arg), void *arg)
{
        log_event(LOG_INFO, "draining", "limit_ms=%" PRIu64, p->o->drain_ms);
        p->drained = done;
        p->drained_arg = arg;
        p->link = topo_link_free(p->link);
        rpc_server_set_serving(service_server(p->service), false);
        service_drain(p->service, p->o->drain_ms, on_service_drained, p);
}

struct process *process_free(struct process *p)
{
        if (!p)
                return NULL;
        http_stop(p->http);
        service_free(p->service);
        registry_free(p->registry);
        pool_free(p->readers);
        pool_free(p->pinners);
        engine_free(p->engine);
        pool_free(p->writers);
        if (p->data_fd >= 0)
                close(p->data_fd);
        free(p->address);
        free(p);
        return NULL;
}

enum err_code process_start(struct loop *l, const struct tablet_settings *settings,
                            struct process **ret_process, struct err *reterr)
{
        struct process *p = xcalloc(1, sizeof *p);
        enum err_code rc;

        p->o = settings;
        p->loop = l;
        p->data_fd = -1;
        meters_init();
        rc = start_storage(p, reterr);
        if (!rc)
                rc = start_serving(p, reterr);
        if (rc) {
                process_free(p);
                return rc;
        }
        *ret_process = p;
        return ERR_OK;
}
