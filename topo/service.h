/* service.h - topo's gRPC methods. Loop thread. */
#pragma once

#include "rpc/server.h"
#include "topo/topo.h"

struct service;

/* Listens and serves shoal.v1.Topo and shoal.v1.TopoInternal; errors as rpc_server_start(). t
 * outlives the service. */
enum err_code service_start(struct topo *t, const char *address, struct service **ret_service,
                            struct err *reterr) must_check_;
struct rpc_server *service_server(struct service *s);
/* After its server has drained. Accepts NULL, returns NULL. */
struct service *service_free(struct service *s);
