/* service.h - shoal.v1.Tablet: requests from gates over streams, run on shards. Loop thread. */
#pragma once

#include "common/hlc.h"
#include "common/pool.h"
#include "rpc/server.h"
#include "tablet/registry.h"

struct service;

struct service_options {
        struct loop *loop;
        struct registry *registry;
        struct hlc *hlc;
        struct pool *readers;       /* reads that are not answered on the loop thread */
        struct pool *pinners;       /* opens snapshots, and does nothing else */
        uint64_t read_parallelism;  /* reads of one request that run at a time; not 0 */
        uint64_t max_pins;          /* snapshots kept open at a time over all streams */
        const char *address;        /* "127.0.0.1:0" picks a free port */
        uint64_t max_message_bytes; /* of a request */
        uint64_t max_requests;      /* under way on one stream */
        uint64_t max_queued_bytes;  /* of replies of one stream that wait for the gate to read */
};

/* ERR_UNAVAILABLE: cannot listen there. */
enum err_code service_start(const struct service_options *o, struct service **ret_service,
                            struct err *reterr) must_check_;
struct rpc_server *service_server(struct service *s);

/* Takes no more requests (SHARD_NOT_SERVED), lets those under way end for grace_ms, ends the
 * streams, and runs done when nothing is under way any more. */
void service_drain(struct service *s, uint64_t grace_ms, void (*done)(void *arg), void *arg);
/* After done. Accepts NULL, returns NULL. */
struct service *service_free(struct service *s);
