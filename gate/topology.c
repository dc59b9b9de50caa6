/* topology.c - the watch on topo, the picture it gives, and who waits for it to change. */
#include "gate/topology.h"

#include <assert.h>
#include <string.h>

#include "common/log.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/server.h"

enum {
        BACKOFF_MIN_MS = 50,
        BACKOFF_MAX_MS = 1000,
        HEARTBEAT_TIMEOUT_MS = 2000,
        HEARTBEAT_DEFAULT_MS = 1000,
};

/* A keyspace as topo last told of it. */
struct keyspace {
        uint64_t id;
        uint64_t schema_version;
        char *name;
        uint8_t *packed; /* the message, to notice whether anything changed */
        size_t n_packed_bytes;
        struct catalog *catalog; /* NULL: it cannot be built, broken says why */
        struct err *broken;
};

struct tablet {
        struct topology_tablet info;
        char *id, *address;
};

/* Owner: the loop thread; version may be read on any. */
struct topology {
        struct topology_options options;
        _Atomic uint64_t version;

        struct rpc_stream *stream;
        struct loop_timer reopen;
        uint64_t backoff_ms;

        struct rpc_request *heartbeat;
        struct loop_timer next_heartbeat;
        uint64_t epoch;
        int64_t heartbeat_sent_us, lease_until_us;
        bool is_freed; /* but for the heartbeat that is still under way */

        struct keyspace **keyspaces;
        size_t n_keyspaces;
        struct tablet **tablets;
        size_t n_tablets;
        struct topology_listener *listeners;
        struct topology_wait *waits;
        struct statistics *statistics;
};

/* ---- the picture */

static struct keyspace *free_keyspace(struct keyspace *k)
{
        catalog_unref(k->catalog);
        free(k->broken);
        free(k->packed);
        free(k->name);
        free(k);
        return NULL;
}

static struct tablet *free_tablet(struct tablet *t)
{
        free(t->id);
        free(t->address);
        free(t);
        return NULL;
}

static size_t find_keyspace(const struct topology *t, uint64_t id)
{
        size_t i = 0;

        while (i < t->n_keyspaces && t->keyspaces[i]->id != id)
                i++;
        return i;
}

static size_t find_tablet(const struct topology *t, const char *id)
{
        size_t i = 0;

        while (i < t->n_tablets && strcmp(t->tablets[i]->id, id) != 0)
                i++;
        return i;
}

static void remove_keyspace(struct topology *t, size_t i)
{
        statistics_forget(t->statistics, t->keyspaces[i]->id);
        free_keyspace(t->keyspaces[i]);
        t->keyspaces[i] = t->keyspaces[--t->n_keyspaces];
}

static void remove_tablet(struct topology *t, size_t i)
{
        free_tablet(t->tablets[i]);
        t->tablets[i] = t->tablets[--t->n_tablets];
}

static struct keyspace *make_keyspace(const Shoal__V1__Keyspace *m, uint8_t *packed, size_t n_bytes)
{
        struct keyspace *k = xcalloc(1, sizeof(*k));
        struct err e = ERR_INIT;

        k->id = m->id;
        k->schema_version = m->schema_version;
        k->name = xstrdup(m->name);
        k->packed = packed;
        k->n_packed_bytes = n_bytes;
        if (catalog_new(m, &k->catalog, &e)) {
                log_event(LOG_ERROR, "keyspace_unusable",
                          "keyspace=%s schema_version=%llu error=%s", m->name,
                          (unsigned long long)m->schema_version, log_quote(e.msg));
                k->broken = xmalloc(sizeof(*k->broken));
                *k->broken = e;
        }
        return k;
}

static void put_keyspace(struct topology *t, const Shoal__V1__Keyspace *m)
{
        size_t i = find_keyspace(t, m->id);
        size_t n_bytes = shoal__v1__keyspace__get_packed_size(m);
        uint8_t *packed = xmalloc(n_bytes + 1);
        struct keyspace *old = i < t->n_keyspaces ? t->keyspaces[i] : NULL;

        shoal__v1__keyspace__pack(m, packed);
        if (old && old->n_packed_bytes == n_bytes && memcmp(old->packed, packed, n_bytes) == 0) {
                free(packed);
                return;
        }
        if (!old) {
                t->keyspaces = xrealloc(t->keyspaces, (t->n_keyspaces + 1) * sizeof(*t->keyspaces));
                t->n_keyspaces++;
        }
        t->keyspaces[i] = make_keyspace(m, packed, n_bytes);
        if (t->keyspaces[i]->catalog)
                statistics_fill(t->statistics, t->keyspaces[i]->catalog);
        if (old)
                free_keyspace(old);
}

static void put_tablet(struct topology *t, const Shoal__V1__TabletInfo *m)
{
        size_t i = find_tablet(t, m->id);
        struct tablet *n;

        if (i == t->n_tablets) {
                t->tablets = xrealloc(t->tablets, (t->n_tablets + 1) * sizeof(*t->tablets));
                t->tablets[t->n_tablets++] = xcalloc(1, sizeof(**t->tablets));
        }
        n = t->tablets[i];
        free(n->id);
        free(n->address);
        n->id = xstrdup(m->id);
        n->address = xstrdup(m->address);
        n->info = (struct topology_tablet){ n->id, n->address, m->healthy };
}

/* Every message is the whole: what it does not name is gone. */
static void drop_unnamed(struct topology *t, const Shoal__V1__Topology *m)
{
        for (size_t i = t->n_keyspaces; i-- > 0;) {
                size_t j = 0;

                while (j < m->n_keyspaces && m->keyspaces[j]->id != t->keyspaces[i]->id)
                        j++;
                if (j == m->n_keyspaces)
                        remove_keyspace(t, i);
        }
        for (size_t i = t->n_tablets; i-- > 0;) {
                size_t j = 0;

                while (j < m->n_tablets && strcmp(m->tablets[j]->id, t->tablets[i]->id) != 0)
                        j++;
                if (j == m->n_tablets)
                        remove_tablet(t, i);
        }
}

/* ---- waiting */

static void unlink_wait(struct topology_wait *w)
{
        if (w->prev)
                w->prev->next = w->next;
        else
                w->topology->waits = w->next;
        if (w->next)
                w->next->prev = w->prev;
        loop_timer_cancel(w->topology->options.loop, &w->timer);
        w->topology = NULL;
}

static bool is_reached(const struct topology_wait *w)
{
        const struct topology *t = w->topology;
        size_t i;

        if (!t->version)
                return false;
        if (!w->keyspace_id)
                return t->version >= w->at_least;
        i = find_keyspace(t, w->keyspace_id);
        return i == t->n_keyspaces || t->keyspaces[i]->schema_version >= w->at_least;
}

static void on_wait_timer(struct loop_timer *timer)
{
        struct topology_wait *w = CONTAINER_OF(timer, struct topology_wait, timer);
        bool reached = is_reached(w);

        unlink_wait(w);
        w->fn(w, reached);
}

static void begin_wait(struct topology *t, struct topology_wait *w, int64_t deadline_us)
{
        assert(!w->topology);
        w->topology = t;
        w->prev = NULL;
        w->next = t->waits;
        if (t->waits)
                t->waits->prev = w;
        t->waits = w;
        w->timer = (struct loop_timer){ .fn = on_wait_timer };
        loop_timer_set(t->options.loop, &w->timer, is_reached(w) ? 0 : deadline_us);
}

void topology_wait_schema(struct topology *t, struct topology_wait *w, uint64_t keyspace_id,
                          uint64_t at_least, int64_t deadline_us)
{
        w->keyspace_id = keyspace_id;
        w->at_least = at_least;
        begin_wait(t, w, deadline_us);
}

void topology_wait_version(struct topology *t, struct topology_wait *w, uint64_t at_least,
                           int64_t deadline_us)
{
        w->keyspace_id = 0;
        w->at_least = at_least;
        begin_wait(t, w, deadline_us);
}

void topology_wait_cancel(struct topology_wait *w)
{
        if (w->topology)
                unlink_wait(w);
}

/* Their functions run from timers, so that none of them sees the list change under its feet. */
static void wake_waits(struct topology *t)
{
        for (struct topology_wait *w = t->waits; w; w = w->next) {
                if (is_reached(w))
                        loop_timer_set(t->options.loop, &w->timer, 0);
        }
}

/* ---- the watch */

static void tell_listeners(struct topology *t)
{
        for (struct topology_listener *l = t->listeners, *next; l; l = next) {
                next = l->next;
                l->on_change(l);
        }
}

static void apply(struct topology *t, const Shoal__V1__Topology *m)
{
        drop_unnamed(t, m);
        for (size_t i = 0; i < m->n_keyspaces; i++)
                put_keyspace(t, m->keyspaces[i]);
        for (size_t i = 0; i < m->n_tablets; i++)
                put_tablet(t, m->tablets[i]);
        t->version = m->version;
        tell_listeners(t);
        wake_waits(t);
}

static void on_watch_message(void *arg, const grpc_slice *slice)
{
        struct topology *t = arg;
        Shoal__V1__Topology *m = shoal__v1__topology__unpack(NULL, GRPC_SLICE_LENGTH(*slice),
                                                             GRPC_SLICE_START_PTR(*slice));

        if (!m) {
                log_event(LOG_ERROR, "topology_malformed", "bytes=%zu", GRPC_SLICE_LENGTH(*slice));
                return;
        }
        t->backoff_ms = BACKOFF_MIN_MS;
        apply(t, m);
        shoal__v1__topology__free_unpacked(m, NULL);
}

static void on_watch_end(void *arg, const struct err *e)
{
        struct topology *t = arg;

        log_event(LOG_WARN, "topology_watch_ended", "code=%s error=%s", err_code_name(e->code),
                  log_quote(e->msg));
        t->stream = rpc_stream_free(t->stream);
        loop_timer_set(t->options.loop, &t->reopen, mono_us() + (int64_t)t->backoff_ms * 1000);
        t->backoff_ms = t->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : t->backoff_ms * 2;
}

static void open_watch(struct loop_timer *timer)
{
        static const struct rpc_stream_events events = {
                .on_message = on_watch_message,
                .on_end = on_watch_end,
        };
        struct topology *t = CONTAINER_OF(timer, struct topology, reopen);
        Shoal__V1__GetTopologyRequest request = SHOAL__V1__GET_TOPOLOGY_REQUEST__INIT;

        t->stream = rpc_stream_open(t->options.topo, "/shoal.v1.Topo/WatchTopology", &events, t);
        rpc_stream_write(t->stream, rpc_pack(&request.base));
        rpc_stream_close_send(t->stream);
}

/* ---- the heartbeat */

static void on_heartbeat_done(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct topology *t = arg;
        Shoal__V1__GateHeartbeatResponse *r = NULL;
        uint64_t again_ms = HEARTBEAT_DEFAULT_MS;
        struct err ignored = ERR_INIT;
        bool is_first = false;

        t->heartbeat = NULL;
        if (t->is_freed) {
                free(t);
                return;
        }
        if (e->code == ERR_OK)
                r = shoal__v1__gate_heartbeat_response__unpack(NULL, n_bytes, body);
        if (!r) {
                log_event(LOG_WARN, "gate_heartbeat_failed", "code=%s error=%s",
                          err_code_name(e->code), log_quote(e->msg));
        } else {
                is_first = !t->epoch;
                t->epoch = r->epoch;
                t->lease_until_us =
                    r->lease_ms ? t->heartbeat_sent_us + (int64_t)r->lease_ms * 1000 : INT64_MAX;
                if (r->heartbeat_ms)
                        again_ms = r->heartbeat_ms;
                if (t->version)
                        statistics_note_version(t->statistics, r->statistics_version);
                if (hlc_observe(t->options.hlc, r->hlc, &ignored))
                        log_event(LOG_WARN, "clock_skew", "peer=topo error=%s",
                                  log_quote(ignored.msg));
                shoal__v1__gate_heartbeat_response__free_unpacked(r, NULL);
        }
        loop_timer_set(t->options.loop, &t->next_heartbeat, mono_us() + (int64_t)again_ms * 1000);
        if (is_first && t->version)
                tell_listeners(t);
}

static void send_heartbeat(struct loop_timer *timer)
{
        struct topology *t = CONTAINER_OF(timer, struct topology, next_heartbeat);
        Shoal__V1__GateHeartbeatRequest m = SHOAL__V1__GATE_HEARTBEAT_REQUEST__INIT;

        m.id = (char *)t->options.gate_id;
        m.address = (char *)t->options.advertise_address;
        m.incarnation = t->options.incarnation;
        m.hlc = hlc_now(t->options.hlc);
        t->heartbeat_sent_us = mono_us();
        t->heartbeat =
            rpc_unary(t->options.topo, "/shoal.v1.TopoInternal/GateHeartbeat", rpc_pack(&m.base),
                      t->heartbeat_sent_us + HEARTBEAT_TIMEOUT_MS * 1000, on_heartbeat_done, t);
}

/* ---- life */

static struct catalog *find_catalog(void *arg, uint64_t keyspace_id)
{
        return topology_find_id(arg, keyspace_id);
}

struct topology *topology_new(const struct topology_options *o)
{
        struct topology *t = xcalloc(1, sizeof(*t));
        const struct statistics_options so = { .topo = o->topo,
                                               .find_catalog = find_catalog,
                                               .arg = t };

        t->options = *o;
        t->statistics = statistics_new(&so);
        t->backoff_ms = BACKOFF_MIN_MS;
        t->reopen.fn = open_watch;
        t->next_heartbeat.fn = send_heartbeat;
        loop_timer_set(o->loop, &t->reopen, 0);
        loop_timer_set(o->loop, &t->next_heartbeat, 0);
        return t;
}

struct topology *topology_free(struct topology *t)
{
        if (!t)
                return NULL;
        while (t->waits)
                unlink_wait(t->waits);
        t->stream = rpc_stream_free(t->stream);
        loop_timer_cancel(t->options.loop, &t->reopen);
        loop_timer_cancel(t->options.loop, &t->next_heartbeat);
        while (t->n_keyspaces)
                remove_keyspace(t, 0);
        while (t->n_tablets)
                remove_tablet(t, 0);
        free(t->keyspaces);
        free(t->tablets);
        t->statistics = statistics_free(t->statistics);
        t->is_freed = true;
        if (t->heartbeat)
                rpc_request_cancel(t->heartbeat);
        else
                free(t);
        return NULL;
}

/* ---- looking things up */

enum err_code topology_find(struct topology *t, const char *keyspace, size_t n_bytes,
                            struct catalog **ret_catalog, struct err *reterr)
{
        if (!n_bytes) {
                keyspace = "main";
                n_bytes = 4;
        }
        if (!t->version)
                return err_set(reterr, ERR_UNAVAILABLE, "NO_TOPOLOGY",
                               "this gate has not heard from topo yet");
        for (size_t i = 0; i < t->n_keyspaces; i++) {
                const struct keyspace *k = t->keyspaces[i];

                if (strlen(k->name) != n_bytes || memcmp(k->name, keyspace, n_bytes) != 0)
                        continue;
                if (!k->catalog)
                        return err_set(reterr, ERR_INTERNAL, "BAD_SCHEMA",
                                       "keyspace %s cannot be used: %s", k->name, k->broken->msg);
                *ret_catalog = catalog_ref(k->catalog);
                return ERR_OK;
        }
        return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE", "no keyspace %.*s",
                       (int)(n_bytes > 100 ? 100 : n_bytes), keyspace);
}

struct catalog *topology_find_id(struct topology *t, uint64_t keyspace_id)
{
        size_t i = find_keyspace(t, keyspace_id);

        return i < t->n_keyspaces ? t->keyspaces[i]->catalog : NULL;
}

struct statistics *topology_statistics(struct topology *t)
{
        return t->statistics;
}

size_t topology_n_keyspaces(const struct topology *t)
{
        return t->n_keyspaces;
}

uint64_t topology_keyspace_id_at(const struct topology *t, size_t i)
{
        return t->keyspaces[i]->id;
}

uint64_t topology_version(const struct topology *t)
{
        return t->version;
}

uint64_t topology_epoch(const struct topology *t)
{
        return mono_us() < t->lease_until_us ? t->epoch : 0;
}

const char *topology_gate_id(const struct topology *t)
{
        return t->options.gate_id;
}

size_t topology_n_tablets(const struct topology *t)
{
        return t->n_tablets;
}

const struct topology_tablet *topology_tablet_at(const struct topology *t, size_t i)
{
        return &t->tablets[i]->info;
}

void topology_listen(struct topology *t, struct topology_listener *l)
{
        l->next = t->listeners;
        t->listeners = l;
}

void topology_unlisten(struct topology *t, struct topology_listener *l)
{
        struct topology_listener **p = &t->listeners;

        while (*p && *p != l)
                p = &(*p)->next;
        if (*p)
                *p = l->next;
}

struct err topology_call_error(const struct err *e)
{
        struct err told = *e;

        if (!e->reason[0] && (e->code == ERR_UNAVAILABLE || e->code == ERR_DEADLINE))
                err_set(&told, ERR_UNAVAILABLE, "TOPO_AWAY", "topo is away: %s", e->msg);
        return told;
}
