/* ddl_replay.c - asks topo for a schema change by its request_id. Loop thread. */
#include "gate/ddl_replay.h"

#include <assert.h>

#include "gate/gate.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/server.h"

enum { TOPO_TIMEOUT_US = 5 * 1000 * 1000 };

/* The question under way; it outlives who asked, then replay is NULL. */
struct ddl_replay_call {
        struct ddl_replay *replay;
};

static void on_shown(struct topology_wait *w, bool reached)
{
        struct ddl_replay *r = CONTAINER_OF(w, struct ddl_replay, wait);
        struct err e = ERR_INIT;

        if (!reached)
                err_set(&e, ERR_UNAVAILABLE, "NO_TOPOLOGY",
                        "the schema change is done, but this gate has not been told of it");
        r->done(r, &e, reached);
}

/* Statements that follow are to see it. */
static void await_version(struct ddl_replay *r, const Shoal__V1__SchemaChange *c)
{
        struct err fine = ERR_INIT;
        struct catalog *catalog = topology_find_id(r->gate->topology, c->keyspace_id);

        if (catalog && catalog_schema_version(catalog) >= c->version) {
                r->done(r, &fine, true);
                return;
        }
        r->wait.fn = on_shown;
        topology_wait_schema(r->gate->topology, &r->wait, c->keyspace_id, c->version,
                             r->deadline_us);
}

static void on_answer(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct ddl_replay_call *call = arg;
        struct ddl_replay *r = call->replay;
        struct err failure = topology_call_error(e);
        Shoal__V1__SchemaChange *change = NULL;

        free(call);
        if (!r)
                return;
        r->call = NULL;
        if (!failure.code) {
                change = shoal__v1__schema_change__unpack(NULL, n_bytes, body);
                if (!change)
                        err_set(&failure, ERR_UNAVAILABLE, "BAD_REPLY",
                                "topo's answer is malformed");
        }
        if (change && change->state == SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE)
                await_version(r, change);
        else
                r->done(r, &failure, false);
        if (change)
                shoal__v1__schema_change__free_unpacked(change, NULL);
}

void ddl_replay_start(struct ddl_replay *r, struct gate *g, uint64_t keyspace_id,
                      const char *request_id, const uint8_t *digest, size_t n_digest_bytes,
                      int64_t deadline_us)
{
        Shoal__V1__GetSchemaChangeRequest m = SHOAL__V1__GET_SCHEMA_CHANGE_REQUEST__INIT;
        int64_t at_us = mono_us() + TOPO_TIMEOUT_US;

        assert(!r->call);
        r->gate = g;
        r->deadline_us = deadline_us < at_us ? deadline_us : at_us;
        r->call = xcalloc(1, sizeof *r->call);
        r->call->replay = r;
        m.keyspace_id = keyspace_id;
        m.request_id = (char *)(uintptr_t)request_id;
        m.request_digest.data = (uint8_t *)(uintptr_t)digest;
        m.request_digest.len = n_digest_bytes;
        rpc_unary(g->topo, "/shoal.v1.TopoInternal/GetSchemaChange", rpc_pack(&m.base),
                  r->deadline_us, on_answer, r->call);
}

void ddl_replay_cancel(struct ddl_replay *r)
{
        if (r->call)
                r->call->replay = NULL;
        r->call = NULL;
        topology_wait_cancel(&r->wait);
}
