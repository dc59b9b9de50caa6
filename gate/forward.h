/* forward.h - calls of sessions that live in another gate are passed on to it, as they came. Loop
 * thread. */
#pragma once

#include "gate/session.h"
#include "rpc/server.h"

struct gate;
struct forwards; /* the gates that were asked */

struct forwards *forwards_new(struct gate *g); /* never NULL */
/* No call is being passed on. Accepts NULL, returns NULL. */
struct forwards *forwards_free(struct forwards *all);

/* Answers the call with what that gate answers, or fails it: NOT_FOUND (reason SESSION_NOT_FOUND)
 * if the gate, or the process that it was, is gone. method: "/shoal.v1.Gate/Execute"; static. */
void forward_call(struct forwards *all, struct rpc_call *call, const char *method, bool is_stream,
                  const struct session_place *place);
