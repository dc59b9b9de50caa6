/* ddl_world.h - topo, shards and gates for schema changes under test, in one process under a seeded
 * schedule: what is sent is lost, arrives late, is answered or not; gates die and lose their
 * leases. The rules of topo and of the shards are those of topo/schema.c and tablet/schema.c. */
#pragma once

#include "gate/ddl_int.h"

enum {
        WORLD_GATES = 3,
        WORLD_SHARDS = 4,
        WORLD_MAX_SENT = 64,
        WORLD_MAX_CHANGES = 4096,
        WORLD_MAX_REQUESTS = 512,
        WORLD_KEYSPACE = 7,
};

struct ddl_world;

/* A statement of a client. Its SQL is its number, its request_id likewise. */
struct world_request {
        struct ddl_world *world;
        struct ddl_request request;
        struct plan plan;
        struct plan_ddl ddl;
        char sql[16], undo_sql[16];
        size_t gate;
        bool answered, abandoned;
        bool is_repeat; /* of another one: what is true of its change is true of both */
        struct err answer;
};

struct world_gate {
        struct ddl_world *world;
        struct ddl_driver *driver;
        char name[8];
        uint64_t epoch;   /* 0: none now */
        uint64_t version; /* of its topology */
        int64_t wake_us;
};

/* A change as topo keeps it. */
struct world_change {
        Shoal__V1__SchemaChangeState state;
        uint64_t version, epoch;
        char id[16], sql[16], undo_sql[16], gate[8], request_id[16];
};

struct world_shard {
        bool away;
        uint64_t version;
        char change_id[16];
        int done[WORLD_MAX_CHANGES]; /* the SQL it has, in order */
        size_t n_done;
        char undone[64][16]; /* ids of changes taken back */
        size_t n_undone;
};

/* On its way. */
struct world_sent {
        enum { SENT_LOOK = 0, SENT_BEGIN, SENT_END, SENT_SHARDS } kind;
        struct ddl_work *work; /* NULL: nobody waits for the answer any more */
        size_t gate;
        uint64_t epoch, version;
        int64_t at_us;
        char id[16], sql[16], undo_sql[16], request_id[16];
        Shoal__V1__SchemaChangeState state;
        int what;
        bool skip[WORLD_SHARDS];
};

struct ddl_world {
        struct world_gate gates[WORLD_GATES];
        struct world_shard shards[WORLD_SHARDS];
        struct world_change changes[WORLD_MAX_CHANGES];
        size_t n_changes;
        uint64_t version, last_epoch;
        int published[WORLD_MAX_CHANGES]; /* SQL of the changes that are done, in order */
        bool topo_away, calm;             /* calm: nothing is lost any more */
        struct world_sent sent[WORLD_MAX_SENT];
        size_t n_sent;
        int64_t now_us;
        uint64_t seed;
        struct world_request *requests[WORLD_MAX_REQUESTS];
        size_t n_requests;
};

void ddl_world_init(struct ddl_world *w, uint64_t seed);
void ddl_world_done(struct ddl_world *w);
unsigned ddl_world_draw(struct ddl_world *w, unsigned n);
/* The gate's process dies, if it lives, and comes back with nothing. */
void ddl_world_restart_gate(struct ddl_world *w, size_t gate);
/* Its lease has ended; the next heartbeat gives it another epoch. */
void ddl_world_end_lease(struct ddl_world *w, size_t gate);
/* A client's statement through the gate, as its topology is now. */
struct world_request *ddl_world_run(struct ddl_world *w, size_t gate, int64_t timeout_us);
/* The same statement sent again, with its request_id. */
struct world_request *ddl_world_repeat(struct ddl_world *w, const struct world_request *of,
                                       size_t gate, int64_t timeout_us);
/* Something that can happen happens: an arrival, an answer, a loss, time. */
void ddl_world_step(struct ddl_world *w);
/* Nothing is lost any more, and all that is under way comes to its end. */
void ddl_world_settle(struct ddl_world *w);
/* Is the statement's change done? */
bool ddl_world_is_published(const struct ddl_world *w, const struct world_request *r);
/* Shards that refuse the SQL for good. */
bool ddl_world_refuses(int sql, size_t shard);
