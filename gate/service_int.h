/* service_int.h - the handlers of the service's methods; arg is the struct gate. Loop thread. */
#pragma once

#include "gate/execute.h"
#include "gate/request.h"
#include "gate/service.h"

void service_execute(struct rpc_call *call, void *arg);
void service_execute_stream(struct rpc_call *call, void *arg);
void service_execute_batch(struct rpc_call *call, void *arg);
void service_describe(struct rpc_call *call, void *arg);
void service_open_session(struct rpc_call *call, void *arg);
void service_close_session(struct rpc_call *call, void *arg);
void service_begin(struct rpc_call *call, void *arg);
void service_commit(struct rpc_call *call, void *arg);
void service_rollback(struct rpc_call *call, void *arg);

/* The call enters the session of that name; 0 bytes: none, *ret_session is NULL. False: it has been
 * answered, or is answered by another gate; method: "/shoal.v1.Gate/Execute". over: as in
 * sessions_enter(). */
bool service_enter(struct rpc_call *call, struct gate *g, const char *method, const char *name,
                   size_t n_bytes, bool over, struct session **ret_session);
/* Fields 2 and 3 of an ExecuteResponse or ExecuteBatchResponse. s may be NULL. */
void service_add_session(struct buf *b, const struct session *s);

/* What a statement may take of the arena. */
enum { SERVICE_ARENA_BYTES = 64 << 20 };

struct request_limits service_limits(const struct gate *g);
/* The code a call ends with that its client gave up. */
enum err_code service_cancel_code(const struct rpc_call *call);
void service_fail_cancelled(struct rpc_call *call);
