/* service.c - between the gRPC server and the methods: unpacks requests, packs replies. Loop
 * thread. */
#include "topo/service.h"

#include "proto/descriptors.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "topo/gates.h"
#include "topo/keyspaces.h"
#include "topo/meters.h"
#include "topo/op.h"
#include "topo/schema.h"
#include "topo/sequences.h"
#include "topo/statistics.h"
#include "topo/tablets.h"
#include "topo/transactions.h"
#include "topo/vschema.h"
#include "topo/watch.h"

/* What a method's handler is given. */
struct binding {
        struct topo *topo;
        const struct op_method *method;
};

static void on_done(struct op *op, const struct err *err)
{
        struct rpc_call *call = op->arg;

        if (err->code)
                rpc_call_fail(call, err);
        else
                rpc_call_reply(call, rpc_from_buf(&op->reply));
}

static void start_unary(struct rpc_call *call, void *arg)
{
        const struct binding *b = arg;
        ProtobufCMessage *request = NULL;
        struct err err = ERR_INIT;

        if (rpc_call_unpack(call, b->method->request, &request, &err)) {
                meters_count_call(b->method->name, err.code, 0);
                rpc_call_fail(call, &err);
                return;
        }
        op_start(b->topo, b->method, request, on_done, call);
}

#define TOPO "/shoal.v1.Topo/"
#define INTERNAL "/shoal.v1.TopoInternal/"

static const struct {
        const char *path;
        const struct op_method *method;
} unary[] = {
        { TOPO "CreateKeyspace", &keyspaces_create },
        { TOPO "DropKeyspace", &keyspaces_drop },
        { TOPO "GetTopology", &keyspaces_get_topology },
        { TOPO "GetVSchema", &vschema_get },
        { TOPO "ApplyVSchema", &vschema_apply },
        { TOPO "ListTransactions", &transactions_list },
        { TOPO "ResolveTransaction", &transactions_resolve },
        { INTERNAL "TabletHeartbeat", &tablets_heartbeat },
        { INTERNAL "GateHeartbeat", &gates_heartbeat },
        { INTERNAL "AllocateIds", &sequences_allocate },
        { INTERNAL "BeginSchemaChange", &schema_begin },
        { INTERNAL "EndSchemaChange", &schema_end },
        { INTERNAL "GetSchemaChange", &schema_get },
        { INTERNAL "PutStatistics", &statistics_put },
        { INTERNAL "GetStatistics", &statistics_get },
        { INTERNAL "DecideTransactions", &transactions_decide },
        { INTERNAL "ReportTransactions", &transactions_report },
        { INTERNAL "FindTransactionRecord", &transactions_find },
        { INTERNAL "FindGate", &gates_find },
};

enum { N_OTHERS = 1 };

struct service {
        struct rpc_server *server;
        struct binding bindings[ARRAY_LEN(unary)];
        struct rpc_method methods[ARRAY_LEN(unary) + N_OTHERS];
};

static size_t list_methods(struct service *s, struct topo *t)
{
        size_t n = 0;

        for (; n < ARRAY_LEN(unary); n++) {
                s->bindings[n] = (struct binding){ t, unary[n].method };
                s->methods[n] = (struct rpc_method){ .path = unary[n].path,
                                                     .on_start = start_unary,
                                                     .arg = &s->bindings[n] };
        }
        s->methods[n++] = (struct rpc_method){ .path = TOPO "WatchTopology",
                                               .on_start = watchers_add,
                                               .arg = t,
                                               .on_drain = watchers_drain };
        return n;
}

enum err_code service_start(struct topo *t, const char *address, struct service **ret_service,
                            struct err *reterr)
{
        static const char *const names[] = { "shoal.v1.Topo", "shoal.v1.TopoInternal", NULL };
        struct service *s = xcalloc(1, sizeof *s);
        struct rpc_server_options o = { .address = address,
                                        .methods = s->methods,
                                        .services = names };
        enum err_code rc;

        o.n_methods = list_methods(s, t);
        o.descriptors = proto_descriptors;
        o.n_descriptor_bytes = proto_n_descriptor_bytes;
        rc = rpc_server_start(t->loop, &o, &s->server, reterr);
        if (rc) {
                free(s);
                return rc;
        }
        rpc_server_set_serving(s->server, t->ready);
        *ret_service = s;
        return ERR_OK;
}

struct rpc_server *service_server(struct service *s)
{
        return s->server;
}

struct service *service_free(struct service *s)
{
        if (s)
                rpc_server_free(s->server);
        free(s);
        return NULL;
}
