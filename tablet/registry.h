/* registry.h - which shards this tablet serves, as topo tells (topo_link.h). What it does not know
 * it does not serve; what it knows it goes on serving while topo is away. Loop thread, unless said
 * otherwise. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/pool.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "rpc/loop.h"
#include "tablet/engine.h"

struct registry;
struct served_shard;

struct registry_options {
        struct loop *loop;
        struct engine *engine;
        struct pool *pool;    /* for what touches the disk */
        const char *id;       /* of this tablet */
        const char *data_dir; /* both borrowed for ever */
};

/* Knows nothing yet. ERR_DATA_LOSS: what it noted on disk cannot be read. */
enum err_code registry_new(const struct registry_options *o, struct registry **ret_registry,
                           struct err *reterr) must_check_;
/* After registry_close(). Accepts NULL, returns NULL. */
struct registry *registry_free(struct registry *r);

/* Takes over a topology. One that is older than what was acted on before is passed over: topo was
 * restored from an old copy, and an operator has to decide (by removing DATA/topology). A keyspace
 * that is gone: its folder moves to DATA/dropped. */
void registry_apply(struct registry *r, const Shoal__V1__Topology *topology);

/* Has a topology come yet? Any thread. */
bool registry_is_ready(const struct registry *r);
uint64_t registry_version(const struct registry *r); /* any thread; 0: none */
uint32_t registry_n_shards(const struct registry *r);

/* ERR_UNAVAILABLE (reason SHARD_NOT_SERVED): not here, or not with this epoch. The result is held
 * until registry_let_go(). */
enum err_code registry_hold(struct registry *r, uint64_t keyspace_id, const char *name,
                            size_t n_name_bytes, uint64_t epoch, struct served_shard **ret_shard,
                            struct err *reterr) must_check_;
/* Once more, for another who holds it. */
void registry_hold_again(struct served_shard *s);
void registry_let_go(struct served_shard *s);
struct engine_shard *served_shard_engine(const struct served_shard *s);

/* Adds up the files of all shards on the pool, then runs done on the loop thread; one at a time. */
struct registry_sizes {
        uint64_t bytes_used;
        uint64_t bytes_capacity;
        uint32_t n_shards;
};
void registry_measure(struct registry *r,
                      void (*done)(void *arg, const struct registry_sizes *sizes), void *arg);

/* Nobody holds a shard any more, and none is asked for: closes all of them, then runs done. */
void registry_close(struct registry *r, void (*done)(void *arg), void *arg);
