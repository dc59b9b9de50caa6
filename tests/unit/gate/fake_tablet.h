/* fake_tablet.h - a tablet and a topo that say what a test tells them to, on one real gRPC server,
 * in the test's own loop. */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hlc.h"
#include "common/util.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/client.h"
#include "rpc/loop.h"
#include "rpc/server.h"
#include "tests/unit/unit.h"

enum { FAKE_MAX_REQUESTS = 20000 };

/* One Connect stream. */
struct fake_conn {
        struct fake *fake;
        struct rpc_call *call; /* NULL once it is over */
        grpc_byte_buffer **queue;
        size_t n_queued, n_sent;
        bool is_writing;
        struct fake_conn *next;
};

/* A request as it came. */
struct fake_request {
        struct fake_conn *conn;
        Shoal__V1__TabletRequest *m;
        /* What replies tell of its pin, if it asks for one; cut_e 0: exact for ever. */
        uint64_t cut_c, cut_e;
        bool is_unpinned; /* nothing */
};

struct fake {
        struct loop *loop;
        struct rpc_server *server;
        char address[64];
        struct fake_conn *conns;
        size_t n_conns;
        struct fake_request requests[FAKE_MAX_REQUESTS]; /* Execute and ChangeSchema */
        size_t n_requests;
        size_t n_messages; /* that requests, cancels and credits came in */
        size_t n_cancels, n_credits;
        uint64_t last_cancelled, credited_bytes;
        /* May be NULL. Runs for each Execute and ChangeSchema. */
        void (*on_request)(struct fake *f, struct fake_request *r);
        void *arg;

        Shoal__V1__Topology *topology; /* what watchers get; NULL: nothing yet */
        struct rpc_call *watcher;
        bool watcher_writing, watcher_stale;
        size_t n_watches, n_heartbeats;
        uint64_t epoch, lease_ms;
        /* Of DecideTransactions, which does what it is asked for. */
        size_t n_decisions, n_commits, n_last_participants;
        uint64_t last_commit_ts;

        bool is_drained;
};

void fake_start(struct fake *f, struct loop *l, const char *address);
/* Everything it has going breaks. It may be started again. */
void fake_stop(struct fake *f);

/* A piece of a reply for shard index `shard`; end: the shard's last, and the request's if it has
 * one shard. */
void fake_reply(struct fake_request *r, uint32_t shard, const void *result, size_t n_bytes,
                bool shard_end, bool end);
void fake_fail(struct fake_request *r, uint32_t shard, int code, const char *reason, bool end);
void fake_send(struct fake_conn *c, const Shoal__V1__TabletReply *m);
/* Ends the stream. */
void fake_break(struct fake_conn *c);
/* Sends f->topology to the watcher. */
void fake_publish(struct fake *f);

/* Polls until *n >= at_least. */
void fake_wait(struct loop *l, const size_t *n, size_t at_least);
/* Polls for a while: for things that must not happen. */
void fake_linger(struct loop *l, unsigned ms);
