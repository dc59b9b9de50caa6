/* fixture.h - an engine with a shard in a folder of its own, and requests that wait for their
 * outcome. */
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include "common/hlc.h"
#include "common/pool.h"
#include "tablet/engine.h"

enum { ENV_WRITER_THREADS = 2 };

struct env {
        char dir[64];
        struct pool *writers;
        struct hlc hlc;
        struct engine_options o; /* may be changed before env_open() */
        struct engine *engine;
        struct engine_shard *shard; /* "-" of keyspace 1 */
        uint64_t schema_version;    /* requests are planned with; 0: any */
        struct blocker {
                struct pool_job job;
                sem_t started, go, ended;
        } blockers[ENV_WRITER_THREADS];
};

/* A folder in /tmp (or in where) and the options' defaults. */
void env_init(struct env *env);
void env_init_in(struct env *env, const char *where);
void env_open(struct env *env);
/* Closes the shard as a drain does. */
void env_close(struct env *env);
/* Closes if need be, and removes the folder. */
void env_done(struct env *env);
/* What a crash now would leave: the folder becomes a copy of the files as they are on disk; not
 * opened. */
void env_crash(struct env *env);

/* What came of a request. */
struct outcome {
        struct err err;    /* code ERR_OK: it worked */
        char text[4096];   /* rows "1|a;2|NULL;", then "changes=1 id=7" of writes; an error: "CODE
                              REASON" */
        char columns[256]; /* "id:INTEGER,name:TEXT," */
        uint64_t n_rows, commit_ts, cut_c, cut_e;
        bool replayed;
        char note[64];
};

/* One write that can be waited for. */
struct write_try {
        struct engine_write w;
        struct engine_stmt st;
        struct outcome outcome;
        pthread_mutex_t mu;
        pthread_cond_t cond;
        bool is_done;
        _Atomic unsigned *n_done; /* may be NULL: raised as well */
};

/* sql and what the struct then points to are borrowed until request_wait(). */
void request_init(struct write_try *r, struct env *env, enum engine_write_kind kind,
                  const char *sql);
void request_submit(struct write_try *r);
const struct outcome *request_wait(struct write_try *r); /* valid until request_done() */
void request_done(struct write_try *r);

/* Keeps the writers from running until env_release(), so that what is submitted meanwhile makes one
 * batch. */
void env_hold(struct env *env);
void env_release(struct env *env);

/* These wait. The texts are in static storage, until the next call of the same function. */
const char *env_message(void); /* of this thread's last error; "" if there was none */
const char *env_write(struct env *env, const char *sql);
const char *env_read(struct env *env, const char *sql);
void env_write_with(struct env *env, const char *sql, const struct value *params, size_t n,
                    struct outcome *ret);
void env_read_with(struct env *env, const struct engine_stmt *st, uint64_t read_ts,
                   struct outcome *ret);
/* Opens the shard and makes min_ts durable in its floor. */
void env_ready(struct env *env, uint64_t min_ts);
/* A schema change to `version`; id "c<version>" if NULL. "OK", or "CODE REASON". */
const char *env_schema(struct env *env, uint64_t version, const char *id, const char *sql,
                       const char *undo_sql, bool undo);

/* The encoded ResultSet as in outcome.text, appended. */
void describe_result(const void *p, size_t n_bytes, char *text, size_t n_text, char *columns,
                     size_t n_columns);
