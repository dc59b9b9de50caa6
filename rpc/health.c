/* health.c - grpc.health.v1: Check answers, Watch pushes every change. Loop thread. */
#include <string.h>

#include "common/util.h"
#include "proto/health.pb-c.h"
#include "rpc/built_in_int.h"

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;

/* One Watch. Owner: the loop thread. Lives until its call is finished. */
struct watcher {
        struct health *health;
        struct rpc_call *call;
        bool is_known; /* the service it asks about */
        bool is_writing;
        bool is_ending;
        serving_status sent;
        struct watcher *prev;
        struct watcher *next;
};

/* Owner: the loop thread. */
struct health {
        const char *const *services;
        bool is_serving;
        struct watcher watchers; /* head of the ring */
};

static bool is_known(const struct health *h, const char *service)
{
        if (!*service)
                return true;
        for (const char *const *s = h->services; s && *s; s++)
                if (!strcmp(*s, service))
                        return true;
        return false;
}

static serving_status status_of(const struct health *h, bool known)
{
        if (!known)
                return STATUS(SERVICE_UNKNOWN);
        return h->is_serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

/* False: the call has been failed. */
static bool read_service(struct rpc_call *c, struct health *h, bool *ret_known)
{
        ProtobufCMessage *m;
        struct err e = ERR_INIT;

        if (rpc_call_unpack(c, &grpc__health__v1__health_check_request__descriptor, &m, &e)) {
                rpc_call_fail(c, &e);
                return false;
        }
        *ret_known = is_known(h, ((Grpc__Health__V1__HealthCheckRequest *)m)->service);
        protobuf_c_message_free_unpacked(m, NULL);
        return true;
}

static void check(struct rpc_call *c, void *arg)
{
        Grpc__Health__V1__HealthCheckResponse r = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
        struct health *h = arg;
        bool known;
        struct err e;

        if (!read_service(c, h, &known))
                return;
        if (!known) {
                err_set(&e, ERR_NOT_FOUND, "SERVICE_NOT_FOUND", "this server has no such service");
                rpc_call_fail(c, &e);
                return;
        }
        r.status = status_of(h, known);
        rpc_call_reply_message(c, &r.base);
}

static void forget(struct watcher *w)
{
        w->prev->next = w->next;
        w->next->prev = w->prev;
        free(w);
}

static void tell(struct watcher *w);

/* With OK, for behind any other status a client may drop the message before. */
static void end_if_told(struct watcher *w)
{
        struct rpc_call *c = w->call;

        if (!w->is_ending || w->is_writing)
                return;
        forget(w);
        rpc_call_end(c);
}

static void on_told(struct rpc_call *c, bool ok)
{
        struct watcher *w = rpc_call_data(c);

        w->is_writing = false;
        if (!ok)
                return; /* on_cancelled is near */
        tell(w);        /* it may have changed meanwhile */
        end_if_told(w);
}

static void tell(struct watcher *w)
{
        Grpc__Health__V1__HealthCheckResponse r = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

        r.status = status_of(w->health, w->is_known);
        if (w->is_writing || r.status == w->sent)
                return;
        w->is_writing = true;
        w->sent = r.status;
        rpc_call_write(w->call, rpc_pack(&r.base), on_told);
}

static void on_cancelled(struct rpc_call *c)
{
        struct err e;

        forget(rpc_call_data(c));
        err_set(&e, ERR_CANCELLED, "CANCELLED", "the client watches no more");
        rpc_call_fail(c, &e);
}

static void end_on_drain(struct rpc_call *c, void *arg)
{
        struct watcher *w = rpc_call_data(c);

        (void)arg;
        w->is_ending = true;
        end_if_told(w);
}

static void watch(struct rpc_call *c, void *arg)
{
        struct health *h = arg;
        struct watcher *w;
        bool known;

        if (!read_service(c, h, &known))
                return;
        w = xcalloc(1, sizeof(*w));
        *w = (struct watcher){ .health = h, .call = c, .is_known = known, .sent = STATUS(UNKNOWN) };
        w->prev = h->watchers.prev;
        w->next = &h->watchers;
        w->prev->next = w->next->prev = w;
        rpc_call_set_data(c, w);
        rpc_call_on_cancel(c, on_cancelled);
        tell(w);
}

struct health *health_new(const char *const *services, struct rpc_method *methods)
{
        struct health *h = xcalloc(1, sizeof(*h));

        h->services = services;
        h->is_serving = true;
        h->watchers.prev = h->watchers.next = &h->watchers;
        methods[0] = (struct rpc_method){
                .path = "/grpc.health.v1.Health/Check",
                .on_start = check,
                .arg = h,
        };
        methods[1] = (struct rpc_method){
                .path = "/grpc.health.v1.Health/Watch",
                .on_start = watch,
                .arg = h,
                .on_drain = end_on_drain,
        };
        return h;
}

void health_set(struct health *h, bool serving)
{
        h->is_serving = serving;
        /* A write never ends inside the function that starts it: the ring stays as it is. */
        for (struct watcher *w = h->watchers.next; w != &h->watchers; w = w->next)
                tell(w);
}

struct health *health_free(struct health *h)
{
        free(h);
        return NULL;
}
