/* gate_fixture.h - a whole gate in the test's own loop: its service, with fake tablets and a fake
 * topo behind, and a client. */
#pragma once

#include "gate/gate.h"
#include "tests/unit/gate/fake_cluster.h"

enum { GATE_TABLETS = 2 };

struct gate_fixture {
        struct loop *loop;
        struct fake fakes[GATE_TABLETS]; /* the first is topo too */
        struct gate gate;
        struct rpc_server *server;
        struct rpc_channel *client;
        char address[64];
};

/* A gate that has not heard of any topology; args: flags, NULL at the end. */
void gate_fixture_start(struct gate_fixture *fx, const char *const *args);
/* Keyspace main of n_shards on all tablets, with table t (id INTEGER PRIMARY KEY, a); waits until
 * the gate knows it and is connected. */
void gate_fixture_publish(struct gate_fixture *fx, uint32_t n_shards, uint64_t schema_version);
void gate_fixture_stop(struct gate_fixture *fx);

/* ---- a client's call */
struct client_answer {
        struct rpc_request *request;
        size_t n_done;
        struct err e;
        Shoal__V1__ExecuteResponse *r;      /* of Execute */
        Shoal__V1__ExecuteBatchResponse *b; /* of ExecuteBatch */
        bool is_batch;
        char *rows; /* "1,x;2,y;" of Execute */
};

/* Sends Execute with these parameters of type integer. */
void client_execute(struct gate_fixture *fx, struct client_answer *a, const char *sql,
                    size_t n_params, const int64_t *params, const Shoal__V1__ExecuteOptions *o,
                    const char *request_id, int64_t deadline_us);
void client_send(struct gate_fixture *fx, struct client_answer *a, const char *method,
                 const ProtobufCMessage *m, int64_t deadline_us);
void client_wait(struct gate_fixture *fx, struct client_answer *a);
void client_done(struct client_answer *a);

/* Answers a shard with rows of one integer each. */
void answer_integers(struct fake_request *r, uint32_t shard, const int64_t *values, size_t n,
                     bool shard_end, bool end);
/* Rows of a ResultSet as text. */
char *rows_text(Shoal__V1__ResultSet *rs);
