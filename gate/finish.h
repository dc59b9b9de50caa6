/* finish.h - runs plans' finish statements on the pool: rows of shards go in as they arrive, chunks
 * of the answer come out on demand. The database of a plan that is used again is kept. Everything
 * on the loop thread but for the work itself. */
#pragma once

#include <grpc/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/pool.h"
#include "gate/finish_db.h"
#include "gate/plan.h"
#include "rpc/loop.h"

struct finishes;
struct finish;

struct finishes_options {
        struct loop *loop;
        struct pool *pool;
        struct finish_db_limits limits; /* of each */
        size_t max_running;             /* at a time; others wait for their turn */
        size_t max_kept;                /* databases kept for the next use */
};

struct finishes *finishes_new(const struct finishes_options *o); /* never NULL */
/* All finishes have been freed before. Work of freed ones that is still on the pool is waited for.
 * Accepts NULL, returns NULL. */
struct finishes *finishes_free(struct finishes *fs);

struct finish_events {
        /* Its turn has come: rows may be asked for and loaded. Only if it had to wait. */
        void (*on_turn)(void *arg);
        /* n_bytes that were loaded with this tag have been consumed. */
        void (*on_consumed)(void *arg, size_t tag, uint64_t n_bytes);
        /* A chunk of encoded rows, to be taken or left (buf_done() follows). */
        void (*on_rows)(void *arg, struct buf *rows);
        /* Once, last: all rows have been given, or why not. */
        void (*on_end)(void *arg, const struct err *e);
};

struct finish_options {
        struct finishes *finishes;
        struct plan *plan;          /* a reference is taken */
        const struct value *values; /* copied */
        size_t n_values;
        int64_t now_ms;
        int64_t deadline_us; /* mono_us(); INT64_MAX: none */
        uint64_t max_rows;  /* of the answer; beyond: ERR_EXHAUSTED (reason RESULT_TOO_LARGE); 0: no
                               limit */
        size_t chunk_bytes; /* what a chunk aims at */
        const struct finish_events *events;
        void *arg;
};

/* No event runs inside. Never NULL. */
struct finish *finish_new(const struct finish_options *o);
/* At any time; what is at work on the pool is told to stop. No event runs any more. Accepts NULL,
 * returns NULL. */
struct finish *finish_free(struct finish *f);

/* May rows be loaded already, or does on_turn come first? */
bool finish_has_turn(const struct finish *f);
/* On its turn. Adds a piece of an encoded ResultSet, which lies in slice, to the rows of a part.
 */
void finish_load(struct finish *f, size_t part, const uint8_t *result, size_t n_bytes,
                 const grpc_slice *slice, size_t tag);
/* All is loaded. The first chunk will come. */
void finish_run(struct finish *f);
/* The next chunk, please; once for each that on_rows has delivered. */
void finish_next(struct finish *f);

/* Bytes that have lain in temporary files so far, most at a time. After on_end or between events.
 */
uint64_t finish_spilled(const struct finish *f);
/* Likewise: rows of the answer so far, and how long it has worked on the pool, in µs. */
uint64_t finish_n_rows(const struct finish *f);
uint64_t finish_worked_us(const struct finish *f);
size_t finishes_n_running(const struct finishes *fs);

/* A plan without parts whose finish is quick, now, on the loop thread, if it takes few steps. */
struct finish_local {
        struct plan *plan;
        const struct value *values;
        size_t n_values;
        int64_t now_ms;
        uint64_t max_rows; /* 0: no limit */
};
/* All its rows are appended to rows, or *ret_code is the statement's error. False: it would take
 * longer, or give more than max_rows; rows is as it was, a finish is the way. */
bool finish_try_local(struct finishes *fs, const struct finish_local *l, struct buf *rows,
                      enum err_code *ret_code, struct err *reterr) must_check_;
