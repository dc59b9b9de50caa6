/* service.h - the gate's gRPC service, shoal.v1.Gate. Loop thread. */
#pragma once

#include "gate/gate.h"
#include "rpc/server.h"

/* ERR_UNAVAILABLE: the address is taken. */
enum err_code service_start(struct gate *g, struct rpc_server **ret_server,
                            struct err *reterr) must_check_;

/* Frees what is kept for later calls; when no call is under way any more. */
void service_stop(struct gate *g);
