/* gates.h - gates hold leases of the store. A gate's record is there while its lease lasts, and the
 * revision that wrote it is the gate's epoch: it is larger than that of every gate before, and a
 * gate that comes back after its lease has ended has another one. Loop thread. */
#pragma once

#include "topo/op.h"

/* Is the gate alive with just this epoch? Once it is not, it never will be again. */
bool gates_is_alive(const struct catalog *c, const char *id, uint64_t epoch);
/* ERR_UNAVAILABLE (GATE_LEASE_ENDED) if the caller is not: it sends a heartbeat, and tries again
 * with its new epoch. */
enum err_code gates_check_caller(const struct catalog *c, const char *id, uint64_t epoch,
                                 struct err *reterr) must_check_;
/* Expects in x that the gate is alive still. */
void gates_expect(struct store_txn *x, const struct catalog *c, const char *id);

extern const struct op_method gates_heartbeat; /* TopoInternal.GateHeartbeat */
extern const struct op_method gates_find;      /* TopoInternal.FindGate */
