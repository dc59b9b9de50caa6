/* engine_int.h - what the files of the SQLite engine share. */
#pragma once

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "tablet/engine.h"
#include "tablet/stmt_cache_int.h"

struct metric;

/* ---- engine.c */
struct engine {
        struct engine_options o; /* immutable */
        pthread_mutex_t mu;      /* guards the following; never held across SQLite */
        struct conn *idle;       /* all idle connections, least recently used first */
        uint64_t n_connections;  /* open, idle or in use */
};

/* ---- connections (conn.c) */

/* Whose SQL a connection is running: decides what the authorizer lets through. */
enum guard_mode {
        GUARD_INTERNAL = 0,  /* our own */
        GUARD_STATEMENT = 1, /* a query or DML from outside */
        GUARD_SCHEMA = 2,    /* DDL from outside */
        GUARD_ANALYZE = 3,   /* ANALYZE from outside */
};

/* Why the progress handler stopped a statement. */
enum conn_stop {
        CONN_STOP_NONE = 0,
        CONN_STOP_CANCELLED = 1,
        CONN_STOP_DEADLINE = 2,
        CONN_STOP_TOO_OLD = 3, /* the read has held its snapshot for too long */
        CONN_STOP_BUDGET = 4,
};

/* Our own statements, prepared when first used. */
enum conn_sql {
        CONN_BEGIN = 0,
        CONN_BEGIN_IMMEDIATE,
        CONN_COMMIT,
        CONN_ROLLBACK,
        CONN_SAVEPOINT,
        CONN_RELEASE,
        CONN_ROLLBACK_TO,
        CONN_META_GET,
        CONN_META_PUT,
        CONN_META_DELETE,
        CONN_REQUEST_GET,
        CONN_REQUEST_PUT,
        CONN_REQUEST_TRIM,
        CONN_UNDONE_TRIM,
        CONN_N_SQL,
};

/* Limits of one run of a statement. */
struct conn_limits {
        int64_t deadline_us;
        int64_t too_old_us;
        const _Atomic bool *cancelled;
        unsigned n_ticks; /* of CONN_TICK_STEPS virtual machine steps; 0: no budget */
};

enum { CONN_TICK_STEPS = 1000, CONN_BUSY_MS = 5000 };

/* Owner: whoever has acquired it; while idle, the engine's list. */
struct conn {
        sqlite3 *db;
        struct engine_shard *shard;
        bool is_writer;
        bool is_broken;  /* an error may stick to it: closed instead of kept */
        int max_busy_ms; /* how long to wait for locks; 0: not at all */
        bool was_busy;   /* it did wait, or would have */
        struct stmt_cache cache;
        sqlite3_stmt *sql[CONN_N_SQL];
        enum guard_mode mode;
        char denied[128]; /* what the authorizer refused last */
        struct conn_limits limits;
        enum conn_stop stop;
        int wal_pages;                        /* after the last commit */
        struct conn *prev, *next;             /* engine's idle list */
        struct conn *shard_prev, *shard_next; /* the shard's idle readers */
};

/* Takes an idle connection or opens one; is_writer connections exist at most once a shard.
 * ERR_EXHAUSTED (TOO_MANY_READS): all are in use. */
enum err_code conn_acquire(struct engine_shard *s, bool is_writer, struct conn **ret_conn,
                           struct err *reterr) must_check_;
/* Only an idle reader; NULL if there is none. */
struct conn *conn_acquire_idle(struct engine_shard *s);
/* Makes it idle, or closes it if it is broken. No statement of it is running. */
void conn_release(struct conn *c);
/* Closes all idle connections of the shard. */
void conn_close_idle(struct engine_shard *s);

/* Our own statement i, reset; runs under GUARD_INTERNAL. NULL: it cannot be prepared,
 * sqlite3_errmsg tells. */
sqlite3_stmt *conn_sql(struct conn *c, enum conn_sql i);
/* Runs one that returns no row. SQLite's result code. */
int conn_exec(struct conn *c, enum conn_sql i) must_check_;
/* From here on the progress handler and the authorizer treat what runs as somebody else's SQL. */
void conn_enter(struct conn *c, enum guard_mode mode, const struct conn_limits *limits,
                int64_t now_ms);
void conn_leave(struct conn *c);
/* Turns the failure rc of the statement that has just run into an error. */
enum err_code conn_fail(struct conn *c, int rc, struct err *reterr);

/* ---- pin.c */
/* Opens a read transaction and tells what the shard is at in it. SQLite's result code; on failure
 * *ret_begun tells whether there is a transaction to end. */
int snapshot_begin(struct conn *c, bool *ret_begun, uint64_t *ret_last_ts,
                   uint64_t *ret_schema_version) must_check_;

/* ---- run.c */
/* The statement, prepared and bound; put back with stmt_cache_put(). Between conn_enter() and
 * conn_leave(). */
enum err_code run_prepare(struct conn *c, const struct engine_stmt *st,
                          struct cached_stmt **ret_stmt, struct err *reterr) must_check_;
/* Appends the current row and counts it. ERR_EXHAUSTED (RESULT_TOO_LARGE): beyond the statement's
 * limits, or max_bytes (0: none). */
enum err_code run_add_row(const struct engine_stmt *st, sqlite3_stmt *stmt, uint64_t max_bytes,
                          struct run_count *count, struct buf *out, struct err *reterr) must_check_;

/* ---- guard.c: what SQL from outside may touch */
void guard_install(struct conn *c);
/* Of a statement from outside. */
enum guard_mode guard_choose_mode(const char *sql, size_t n_bytes);
/* ERR_DENIED: the text of a schema change names something of ours ("_shoal_…"), be it in a
 * trigger's body. */
enum err_code guard_check_names(const char *sql, struct err *reterr) must_check_;

/* ---- checkpoint.c: when the write-ahead log goes into the file. Owner: the writer's job. */
struct checkpointer {
        int at_pages;    /* the next one is tried when the log is as long; 0: not set yet */
        int step_pages;  /* doubles while nothing comes of it */
        int n_log_pages; /* as seen last */
        int n_moved_pages;
        int64_t n_reported_bytes; /* counted in the metric */
};
/* Between two batches, when the log is long enough. */
void checkpoint_maybe(struct engine_shard *s, struct conn *c);
/* The whole log, before the shard is closed. */
void checkpoint_all(struct engine_shard *s, struct conn *c);

/* ---- shards (shard.c) */
struct engine_shard {
        struct engine *engine;
        uint64_t keyspace_id;
        char name[40];
        char label[64];
        char *path;
        _Atomic bool must_exist;
        _Atomic bool damaged;
        _Atomic bool open; /* its file has been prepared and what follows is known */
        /* Odd while a schema change commits; raised by two with each. */
        _Atomic uint64_t schema_seq;
        _Atomic uint64_t schema_version;

        pthread_mutex_t mu; /* guards the following; never held across SQLite */
        struct engine_write *queue;
        size_t n_queued;
        size_t n_queued_bytes;
        bool scheduled;
        uint64_t floor;         /* every later commit is larger */
        uint64_t floor_durable; /* the floor never exceeds this, which the file says too */
        uint64_t last_ts;       /* of the last commit */
        uint64_t committing_ts; /* of the commit under way; 0: none */
        uint64_t doubtful_ts;   /* of one that failed with an unknown outcome, no other having
                                   followed; 0: none */

        struct conn *idle_readers; /* guarded by engine->mu */
        struct conn *idle_writer;  /* guarded by engine->mu */

        /* Owner: the writer's job. */
        struct pool_job job;
        struct engine_write *redo; /* to be run before what is queued */
        struct engine_write *closing;
        struct checkpointer checkpointer;
        int64_t trim_at_us; /* when old request ids are next looked for */
};

/* Creates or checks the file and reads what it says. Writer only. */
enum err_code shard_prepare(struct engine_shard *s, struct conn *c, struct err *reterr) must_check_;
/* Does the file have to be there, and is missing? ERR_DATA_LOSS. Creates the folder otherwise. */
enum err_code shard_check_file(struct engine_shard *s, struct err *reterr) must_check_;
/* Notes one of SQLite's result codes that tells of damage. */
void shard_note_error(struct engine_shard *s, int rc);

/* ---- meta.c: rows of _shoal_meta */
/* SQLite's result code; *ret_value 0 if there is no such row. */
int meta_get(struct conn *c, const char *key, uint64_t *ret_value) must_check_;
int meta_put(struct conn *c, const char *key, uint64_t value) must_check_;
int meta_get_text(struct conn *c, const char *key,
                  char **ret_value) must_check_; /* malloc'ed or NULL */
int meta_put_text(struct conn *c, const char *key, const char *value) must_check_;
int meta_delete(struct conn *c, const char *key) must_check_;

/* ---- commit_clock.c: floor and timestamps of a shard */
enum commit_outcome {
        COMMIT_DONE = 0,
        COMMIT_NOT_DONE = 1,
        COMMIT_IN_DOUBT =
            2, /* an I/O error: it may come back after a crash, unless another commit follows */
};
/* Raises the floor to read_ts, or as far as the file promises. True: it is there, and no commit at
 * or below read_ts is under way or in doubt, so that a pin now will be exact at read_ts or later.
 */
bool clock_settle(struct engine_shard *s, uint64_t read_ts);
/* Raises the floor likewise and tells where it is, and the smallest timestamp that is being
 * committed or in doubt (0: none). */
uint64_t clock_pin(struct engine_shard *s, uint64_t read_ts, uint64_t *ret_pending_ts);
/* Chooses the timestamp of a commit, above min_ts, and notes it as under way. */
uint64_t clock_begin_commit(struct engine_shard *s, uint64_t min_ts);
/* What the commit is to write as the floor so that `wanted` is covered; 0: nothing. */
uint64_t clock_floor_due(struct engine_shard *s, uint64_t wanted, bool commits_anyway);
/* ts 0: the commit had no timestamp; floor_durable 0: it wrote no floor. floor: what later commits
 * are to exceed, as far as it is durable now. */
void clock_end_commit(struct engine_shard *s, uint64_t ts, uint64_t floor, uint64_t floor_durable,
                      enum commit_outcome outcome);

/* ---- request_log.c: request ids */
enum err_code request_log_find(struct conn *c, struct engine_write *w, bool *ret_found,
                               struct err *reterr) must_check_;
enum err_code request_log_keep(struct conn *c, const struct engine_write *w,
                               struct err *reterr) must_check_;
/* Removes some of what is older than is promised; *ret_more: there is probably more. */
enum err_code request_log_trim(struct conn *c, bool *ret_more, struct err *reterr) must_check_;

/* ---- schema.c */
/* Applies or takes back a change in the open transaction. *ret_version: what the shard is at then.
 */
enum err_code schema_change(struct conn *c, const struct engine_write *w, uint64_t *ret_version,
                            struct err *reterr) must_check_;
/* ERR_ABORTED (SCHEMA_CHANGED). */
enum err_code schema_mismatch(const struct engine_shard *s, uint64_t planned, uint64_t actual,
                              struct err *reterr);

/* ---- writer.c */
void writer_run(struct pool_job *job);

/* ---- engine_metrics.c */
struct engine_metrics {
        struct metric *batch_size;
        struct metric *commit_seconds;
        struct metric *wal_bytes;
        struct metric *connections;
        struct metric *checkpoints_done;
        struct metric *checkpoints_partial;
        struct metric *checkpoints_failed;
        struct metric *replays;
        struct metric *poisoned;
        struct metric *damaged;
        struct metric *prepares;
};
/* Registered when first asked for. Any thread. */
const struct engine_metrics *engine_metrics(void);
