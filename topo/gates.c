/* gates.c - heartbeats of gates keep their leases. Loop thread. */
#include "topo/gates.h"

#include <string.h>

#include "common/log.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "topo/keys.h"
#include "topo/meters.h"
#include "topo/tablets.h"

bool gates_is_alive(const struct catalog *c, const char *id, uint64_t epoch)
{
        const struct catalog_entry *e = catalog_find(c, key_gate(id).s);

        return e && e->mod_revision == epoch;
}

enum err_code gates_check_caller(const struct catalog *c, const char *id, uint64_t epoch,
                                 struct err *reterr)
{
        if (gates_is_alive(c, id, epoch))
                return ERR_OK;
        return err_set(reterr, ERR_UNAVAILABLE, "GATE_LEASE_ENDED",
                       "gate %.64s holds no lease with epoch %llu", id, (unsigned long long)epoch);
}

void gates_expect(struct store_txn *x, const struct catalog *c, const char *id)
{
        struct key key = key_gate(id);

        op_expect(x, key.s, catalog_find(c, key.s));
}

/* ---------------------------------------------------------------- heartbeats */

static bool is_same(const struct catalog_entry *e, const Shoal__V1__GateHeartbeatRequest *rq)
{
        return e && e->gate->incarnation == rq->incarnation &&
               !strcmp(e->gate->address, rq->address);
}

static void on_grant(void *arg, const struct store_result *result)
{
        struct op *op = arg;

        if (result->err->code) {
                op_fail(op, result->err);
                return;
        }
        op->lease = result->lease;
        op_continue(op);
}

static void on_keepalive(void *arg, const struct store_result *result)
{
        struct op *op = arg;

        if (result->err->code == ERR_NOT_FOUND) {
                store_lease_grant(op->topo->store, op->topo->options.lease_ms, on_grant, op);
                return;
        }
        if (result->err->code)
                op_fail(op, result->err);
        else
                op_continue(op);
}

static void prepare_heartbeat(struct op *op)
{
        Shoal__V1__GateHeartbeatRequest *rq = (Shoal__V1__GateHeartbeatRequest *)op->request;
        const struct catalog_entry *e = catalog_find(op->topo->catalog, key_gate(rq->id).s);
        struct err err = ERR_INIT;

        if (tablets_check_identity(rq->id, rq->address, &err)) {
                op_fail(op, &err);
        } else if (is_same(e, rq)) {
                op->lease = e->lease;
                store_lease_keepalive(op->topo->store, op->lease, on_keepalive, op);
        } else {
                store_lease_grant(op->topo->store, op->topo->options.lease_ms, on_grant, op);
        }
}

static enum err_code build_heartbeat(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__GateHeartbeatRequest *rq = (Shoal__V1__GateHeartbeatRequest *)op->request;
        Shoal__V1__GateRecord record = SHOAL__V1__GATE_RECORD__INIT;
        const struct catalog *c = op->topo->catalog;
        struct key key = key_gate(rq->id);
        const struct catalog_entry *e = catalog_find(c, key.s);

        if (is_same(e, rq) && e->lease == op->lease)
                return ERR_OK;
        if (e && e->gate->replaced == rq->incarnation && e->gate->incarnation != rq->incarnation)
                return err_set(reterr, ERR_PRECONDITION, "REPLACED",
                               "another process has taken the id %s, at %s", rq->id,
                               e->gate->address);
        if (!e && catalog_count(c, KEYS_GATES) >= TOPO_MAX_GATES)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "there are %d gates",
                               TOPO_MAX_GATES);
        record.id = rq->id;
        record.address = rq->address;
        record.incarnation = rq->incarnation;
        if (e)
                record.replaced = e->gate->incarnation == rq->incarnation ? e->gate->replaced
                                                                          : e->gate->incarnation;
        op_expect(x, key.s, e);
        op_put(x, key.s, &record.base, op->lease);
        return ERR_OK;
}

static void reply_heartbeat(struct op *op)
{
        struct topo *t = op->topo;
        Shoal__V1__GateHeartbeatRequest *rq = (Shoal__V1__GateHeartbeatRequest *)op->request;
        Shoal__V1__GateHeartbeatResponse reply = SHOAL__V1__GATE_HEARTBEAT_RESPONSE__INIT;
        const struct catalog_entry *e = catalog_find(t->catalog, key_gate(rq->id).s);

        meters_count_heartbeat("gate");
        meters_set_gates(catalog_count(t->catalog, KEYS_GATES));
        reply.heartbeat_ms = t->options.heartbeat_ms;
        reply.lease_ms = t->options.lease_ms;
        reply.epoch = op->revision ? op->revision : e->mod_revision;
        reply.hlc = topo_observe_clock(t, rq->hlc, rq->id);
        reply.statistics_version = catalog_statistics_version(t->catalog);
        if (op->revision)
                log_event(LOG_INFO, "gate_registered", "gate=%s address=%s epoch=%llu", rq->id,
                          rq->address, (unsigned long long)reply.epoch);
        op_reply(op, &reply.base);
}

const struct op_method gates_heartbeat = {
        .name = "GateHeartbeat",
        .request = &shoal__v1__gate_heartbeat_request__descriptor,
        .prepare = prepare_heartbeat,
        .build = build_heartbeat,
        .committed = reply_heartbeat,
};

/* ---------------------------------------------------------------- finding */

static enum err_code build_find(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__FindGateRequest *rq = (Shoal__V1__FindGateRequest *)op->request;
        Shoal__V1__FindGateResponse reply = SHOAL__V1__FIND_GATE_RESPONSE__INIT;
        const struct catalog_entry *e = catalog_find(op->topo->catalog, key_gate(rq->gate).s);

        (void)x;
        if (!e)
                return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_GATE", "no gate %.64s is alive",
                               rq->gate);
        reply.address = e->gate->address;
        reply.epoch = e->mod_revision;
        op_reply(op, &reply.base);
        return ERR_OK;
}

const struct op_method gates_find = {
        .name = "FindGate",
        .request = &shoal__v1__find_gate_request__descriptor,
        .build = build_find,
};
