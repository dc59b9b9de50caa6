/* service_int.h - the handlers of the service's methods; arg is the struct gate. Loop thread. */
#pragma once

#include "gate/execute.h"
#include "gate/request.h"
#include "gate/service.h"

void service_execute(struct rpc_call *call, void *arg);
void service_execute_stream(struct rpc_call *call, void *arg);
void service_execute_batch(struct rpc_call *call, void *arg);
void service_describe(struct rpc_call *call, void *arg);

/* What a statement may take of the arena. */
enum { SERVICE_ARENA_BYTES = 64 << 20 };

struct request_limits service_limits(const struct gate *g);
/* The code a call ends with that its client gave up. */
enum err_code service_cancel_code(const struct rpc_call *call);
void service_fail_cancelled(struct rpc_call *call);
