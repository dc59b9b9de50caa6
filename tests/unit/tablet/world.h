/* world.h - a tablet's service in this process, told what it serves by the test, and a gate's end
 * of streams to it. One thread: the loop runs while something is waited for. Requests are made with
 * protobuf-c. */
#pragma once

#include "common/hlc.h"
#include "common/pool.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/client.h"
#include "tablet/engine.h"
#include "tablet/registry.h"
#include "tablet/service.h"

struct world {
        char dir[64];
        struct loop *loop;
        struct hlc hlc;
        struct pool *readers, *writers, *pinners;
        struct engine_options eo;  /* may be changed before world_open() */
        struct service_options so; /* likewise */
        struct engine *engine;
        struct registry *registry;
        struct service *service;
        struct rpc_channel *channel;
        uint64_t topology_version;
        bool is_draining, is_drained;
};

/* A folder and the defaults. */
void world_init(struct world *w);
/* Serves; keyspace 1 has the shards "-80" and "80-" here, with epoch 1, both with a table t(id
 * INTEGER PRIMARY KEY, v) of schema version 1. */
void world_open(struct world *w);
/* Drains, closes, and removes the folder. Streams have been closed. */
void world_done(struct world *w);
/* Tells the registry that keyspace `id` (0: there is none) has these shards here. */
void world_apply(struct world *w, uint64_t id, const char *const *names, size_t n, uint64_t epoch);
/* Runs the loop until cond(arg). */
void world_until(struct world *w, bool (*cond)(void *arg), void *arg);
/* Begins to drain; world_done() is still to come. */
void world_drain(struct world *w, uint64_t grace_ms);

/* ---- a stream */

enum { LINE_MAX_REPLIES = 20000 };

struct line {
        struct world *world;
        struct rpc_stream *stream;
        uint64_t next_id;
        Shoal__V1__TabletReply *replies[LINE_MAX_REPLIES]; /* all that have come */
        size_t in_message[LINE_MAX_REPLIES];               /* the number of the message, from 1 */
        size_t n_replies;
        size_t n_bytes;    /* of results in them */
        size_t n_messages; /* that they came in */
        bool has_ended;
        struct err end;
        bool stop; /* for loop_run_until */
        bool (*cond)(void *arg);
        void *cond_arg;
};

struct line *line_open(struct world *w);
/* Cancels the stream if it has not ended, and waits until it has. Returns NULL. */
struct line *line_close(struct line *l);
void line_send_bytes(struct line *l, const void *p, size_t n_bytes);
/* Returns the request's id. */
uint64_t line_send(struct line *l, Shoal__V1__TabletRequest *m);
void line_credit(struct line *l, uint64_t id, uint64_t n_bytes);
void line_cancel(struct line *l, uint64_t id);

/* An Execute on shards 0 … n_shards - 1, which may be changed before it is sent. */
struct ask {
        Shoal__V1__TabletRequest m;
        Shoal__V1__Execute x;
        Shoal__V1__ShardRef refs[2];
        Shoal__V1__ShardRef *shards[2];
        Shoal__V1__Value values[2];
        Shoal__V1__Value *params[2];
};
struct ask *ask_init(struct ask *a, unsigned n_shards, const char *sql);

/* Everything that was said of one request, once its end has come; waits for that. */
struct answer {
        char
            text[8192]; /* of each shard in order: "rows…" or "CODE REASON", each followed by "/" */
        size_t n_messages, n_pieces;
        uint32_t last_shard; /* that ended */
        size_t message;      /* the number of the one that the end came in */
        uint64_t hlc;
        bool is_replayed;
        uint64_t commit_ts, cut_c, cut_e, n_rows; /* of the shard that said so last */
        char note[64];
};
void line_wait(struct line *l, uint64_t id, struct answer *ret_answer);
/* Sends and waits; text in static storage. */
const char *line_ask(struct line *l, unsigned n_shards, bool write, const char *sql);
bool line_has_end(const struct line *l, uint64_t id);
/* Bytes of results that have come for it. */
size_t line_bytes(const struct line *l, uint64_t id);
