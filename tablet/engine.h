/* engine.h - the storage engine behind the tablet: shards that run SQL. SQLite is the first one;
 * nothing here knows of it, nor of gRPC. A shard has one writer, which runs what is queued for it
 * in batches with one commit each, and any number of reads, each on a snapshot of its own.
 *
 * Threads: engine_write_submit(), engine_pin_try() and engine_read_try() never wait and may be
 * called on the loop thread. engine_pin_open(), engine_read_run() and their ends may block and
 * belong on a pool; a read is used by one thread at a time, not always the same one, and so is a
 * pin with all its reads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/hlc.h"
#include "common/pool.h"
#include "common/value.h"

struct engine;
struct engine_shard;

/* Zero means: the default of tablet/options.c's table, given in brackets. */
struct engine_options {
        const char *data_dir;         /* exists, and is ours alone; borrowed */
        struct pool *writers;         /* the shards' writers run here; borrowed */
        struct hlc *hlc;              /* gives the commits their timestamps; borrowed */
        uint64_t max_connections;     /* open at a time over all shards, [1024] */
        uint64_t cache_bytes;         /* pages one connection keeps in memory, [2 MiB] */
        uint64_t max_statements;      /* prepared statements a connection keeps, [128] */
        uint64_t max_statement_bytes; /* what they may take together, [4 MiB] */
        uint64_t max_value_bytes;     /* of one value or row, [64 MiB] */
        uint64_t max_result_bytes;    /* of one result that is not read in chunks, [64 MiB] */
        uint64_t max_batch;           /* writes in one commit, [256] */
        uint64_t max_batch_ms;        /* no further write joins a batch that is older, [5] */
        uint64_t max_queue;           /* writes waiting for one shard, [10000] */
        uint64_t max_queue_bytes;     /* statements and parameters of those, [64 MiB] */
        uint64_t
            checkpoint_bytes;   /* of write-ahead log that make a checkpoint worth while, [4 MiB] */
        uint64_t max_wal_bytes; /* what a log file shrinks to after a checkpoint, [64 MiB] */
        uint64_t
            max_read_ms; /* a read that is older is ended, so that checkpoints can go on, [5 min] */
        uint64_t request_keep_ms; /* how long request ids are kept, [24 h] */
        uint64_t floor_block_ms;  /* how far ahead the floor is made durable, [1 s] */
        bool foreign_keys;        /* constraints are enforced */
};

/* Creates nothing but the structure: files come with the first request. ERR_INVALID: an option is
 * out of range. */
enum err_code engine_new(const struct engine_options *o, struct engine **ret_engine,
                         struct err *reterr) must_check_;
/* Every shard has been closed. Accepts NULL, returns NULL. */
struct engine *engine_free(struct engine *e);

/* ---- shards */

/* The shard stored as DATA/<keyspace_id>/<name>.db. must_exist: its file was there before, so that
 * a missing one is a loss and not the shard's first use. Never NULL; name is a key range's name. */
struct engine_shard *engine_shard_new(struct engine *e, uint64_t keyspace_id, const char *name,
                                      bool must_exist);
void engine_shard_set_must_exist(struct engine_shard *s);
/* After an ENGINE_WRITE_CLOSE, or if it was never used. Accepts NULL, returns NULL. */
struct engine_shard *engine_shard_free(struct engine_shard *s);

/* "7/-80", for messages and logs. */
const char *engine_shard_label(const struct engine_shard *s);
/* A page was found damaged: writes are refused. */
bool engine_shard_is_damaged(const struct engine_shard *s);
/* What its files take on disk; asks the file system. */
uint64_t engine_shard_bytes(const struct engine_shard *s);

/* ---- what both kinds of request run. Everything is borrowed until the read or write is over. */
struct engine_stmt {
        const char *sql; /* exactly one statement; parameters ?1 … ?n_params */
        size_t n_sql_bytes;
        const struct value *params;
        size_t n_params;
        uint64_t schema_version; /* it was planned with; 0: any */
        bool omit_columns;       /* the result has rows only */
        int64_t now_ms;          /* 'now', milliseconds since 1970 UTC */
        uint64_t max_rows;       /* 0: no limit; one more is ERR_EXHAUSTED */
        uint64_t max_bytes;      /* of encoded rows, likewise */
        int64_t deadline_us;     /* mono_us(); INT64_MAX: none */
        const _Atomic bool
            *cancelled; /* set by another thread to end it with ERR_CANCELLED; may be NULL */
};

/* ---- pins: snapshots that reads share, and what they are exact on */
struct engine_pin {
        struct engine_shard *shard;
        uint64_t cut_c,
            cut_e; /* the snapshot is what was committed up to any time of [cut_c, cut_e] */
        uint64_t schema_version;
        int64_t started_us; /* mono_us() */
        /* The engine's own. */
        struct conn *conn; /* NULL: not open */
        bool in_transaction;
};

/* May it be opened at once? Otherwise an ENGINE_WRITE_READY (with read_ts, if settled) has to pass
 * first. settled: it has to be exact at read_ts or later, whatever is under way or not durable yet.
 * Any thread, does not wait. */
bool engine_pin_is_ready(struct engine_shard *s, uint64_t read_ts, bool settled);
/* Borrows s. Later commits exceed read_ts, or what is durable of it; 0: they need not. On failure
 * it is closed. */
enum err_code engine_pin_open(struct engine_pin *p, struct engine_shard *s, uint64_t read_ts,
                              struct err *reterr) must_check_;
/* Without waiting; false: it did not work out, and nothing is open. */
bool engine_pin_try(struct engine_pin *p, struct engine_shard *s, uint64_t read_ts) must_check_;
/* All its reads are done. May be called again. */
void engine_pin_close(struct engine_pin *p);
/* Open for longer than max_read_ms. now_us: mono_us(). */
bool engine_pin_is_too_old(const struct engine_pin *p, int64_t now_us);

/* ---- reads */
struct run_count {
        uint64_t n_rows;
        uint64_t n_bytes; /* encoded */
};

struct engine_read {
        struct engine_shard *shard;
        const struct engine_stmt *stmt;
        struct engine_pin *pin;        /* it reads in; NULL: a snapshot of its own */
        const _Atomic bool *cancelled; /* like stmt->cancelled, of this read alone; may be NULL */
        struct run_count count;        /* so far */
        /* The engine's own. */
        struct conn *conn;
        struct cached_stmt *cached;
        int64_t started_us;
        uint64_t schema_seq;
        bool in_transaction;
        bool is_begun; /* the snapshot is open, and the columns were added */
};

/* Borrows shard, stmt and pin until engine_read_done(). pin: open, or NULL. */
void engine_read_init(struct engine_read *r, struct engine_shard *shard,
                      const struct engine_stmt *stmt, struct engine_pin *pin);
/* May the read run at once? Otherwise an ENGINE_WRITE_READY has to pass first: the shard is not
 * open yet. Any thread, does not wait. */
bool engine_read_is_ready(const struct engine_read *r);

/* Runs the whole read within a small budget and without waiting. The encoded ResultSet is appended
 * to out. *ret_done false: it did not work out, out is as it was and engine_read_run() must be
 * used. */
enum err_code engine_read_try(struct engine_read *r, struct buf *out, bool *ret_done,
                              struct err *reterr) must_check_;
/* Appends a piece of the encoded ResultSet (columns in the first) to out, of chunk_bytes and at
 * most a row more; chunk_bytes 0: all of it. *ret_more: call again for the rest. After an error the
 * read is over. */
enum err_code engine_read_run(struct engine_read *r, uint64_t chunk_bytes, struct buf *out,
                              bool *ret_more, struct err *reterr) must_check_;
/* Gives back what it holds; may be called again. */
void engine_read_done(struct engine_read *r);
/* It has kept its snapshot for longer than max_read_ms: engine_read_run() will say so. now_us:
 * mono_us(). */
bool engine_read_is_too_old(const struct engine_read *r, int64_t now_us);

/* ---- writes */
enum engine_write_kind {
        ENGINE_WRITE_EXECUTE =
            0, /* stmt; with a request id and no SQL only the id and its note are kept */
        ENGINE_WRITE_PROBE = 1,  /* looks up the request id: its reply, or ERR_NOT_FOUND */
        ENGINE_WRITE_SCHEMA = 2, /* change */
        ENGINE_WRITE_READY = 3,  /* opens the shard; later commits exceed min_ts, durably, and none
                                    at or below it is under way */
        ENGINE_WRITE_CLOSE = 4,  /* nothing follows: checkpoint, close the files */
};

/* From schema version - 1 to version, or back (undo). */
struct engine_schema_change {
        uint64_t version;
        const char *change_id;
        const char *sql; /* one or more statements */
        const char *undo_sql;
        bool undo;
};

struct bytes {
        const void *data;
        size_t n_bytes;
};

struct engine_write {
        enum engine_write_kind kind;
        struct engine_shard *shard;
        const struct engine_stmt *stmt;            /* of every kind: deadline, cancelled, now */
        const struct engine_schema_change *change; /* of ENGINE_WRITE_SCHEMA */
        struct bytes request_id;                   /* empty: none */
        struct bytes request_digest;
        struct bytes request_note;
        uint64_t min_ts; /* the commit's timestamp is larger */
        /* Runs once on a writer's thread when the outcome is durable (or there is none); may free
         * the write. */
        void (*done)(struct engine_write *w);

        /* The outcome. */
        struct err *failure; /* malloc'ed; NULL: it is committed */
        struct buf result;   /* encoded ResultSet */
        struct buf note;     /* of a probe or a replay */
        uint64_t n_rows;
        uint64_t commit_ts;
        bool replayed;

        /* The engine's own. */
        struct engine_write *next;
        struct engine_write *prev;
        size_t n_bytes;
        bool alone; /* in a transaction of its own */
        bool wrote;
};

void engine_write_init(struct engine_write *w, enum engine_write_kind kind,
                       struct engine_shard *shard, const struct engine_stmt *stmt,
                       void (*done)(struct engine_write *w));
/* Frees what the outcome holds. */
void engine_write_done(struct engine_write *w);
/* Queues it. ERR_EXHAUSTED (reason WRITE_QUEUE_FULL): not queued, done does not run. */
enum err_code engine_write_submit(struct engine_write *w, struct err *reterr) must_check_;
/* Takes it out of the queue if it has not begun: true, and done does not run. Otherwise false. */
bool engine_write_withdraw(struct engine_write *w);
