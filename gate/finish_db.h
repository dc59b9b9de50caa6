/* finish_db.h - the private SQLite database in which the rows of shards become the answer: one
 * table for each part of a plan, the plan's finish statement over them. It spills to temporary
 * files beyond a bounded cache. One thread at a time, not always the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/value.h"
#include "gate/plan.h"

struct finish_db;
struct sqlite3;

struct finish_db_limits {
        uint64_t memory_bytes;       /* of pages in memory */
        uint64_t total_memory_bytes; /* with values and all else; beyond: ERR_EXHAUSTED (reason
                                        FINISH_MEMORY) */
        uint64_t disk_bytes;  /* of temporary files; beyond: ERR_EXHAUSTED (reason SPILL_LIMIT) */
        uint64_t value_bytes; /* of one value or row; beyond: SQLITE_TOOBIG */
};

/* For p's finish; the plan's strings are borrowed for as long as it lives. The errors are SQLite's.
 */
enum err_code finish_db_open(const struct plan *p, const struct finish_db_limits *limits,
                             struct finish_db **ret_db, struct err *reterr) must_check_;
/* Accepts NULL, returns NULL. */
struct finish_db *finish_db_close(struct finish_db *d);
DEFINE_CLEANUP(struct finish_db *, finish_db_close);

/* Asked every so often while it works; true: it stops (ERR_CANCELLED). */
void finish_db_set_stop(struct finish_db *d, bool (*stop)(void *arg), void *arg);
void finish_db_set_value_limit(struct finish_db *d, uint64_t n_bytes);

/* Adds the rows of a piece of an encoded ResultSet to the table of a part. ERR_INTERNAL (reason
 * BAD_REPLY): they do not decode. */
enum err_code finish_db_load(struct finish_db *d, size_t part, const uint8_t *result,
                             size_t n_bytes, struct err *reterr) must_check_;
/* All is loaded: begins the finish statement with these values (borrowed until finish_db_reset()),
 * and this instant as 'now'. */
enum err_code finish_db_start(struct finish_db *d, const struct value *values, size_t n_values,
                              int64_t now_ms, struct err *reterr) must_check_;
/* Appends rows (fields 2 of a ResultSet) until b holds chunk_bytes, max_rows rows have been added,
 * or there is none left
 * (*ret_done). ERR_EXHAUSTED (reason RESULT_TOO_LARGE): b is full. */
enum err_code finish_db_step(struct finish_db *d, struct buf *b, size_t chunk_bytes,
                             uint64_t max_rows, uint64_t *ret_n_rows, bool *ret_done,
                             struct err *reterr) must_check_;
/* Empties it for the next use. On an error it must be closed. */
enum err_code finish_db_reset(struct finish_db *d, struct err *reterr) must_check_;

/* Its database, with the tables of the parts; for statements about the finish. */
struct sqlite3 *finish_db_handle(struct finish_db *d);
/* The most that has lain in temporary files since it was opened. */
uint64_t finish_db_spilled(const struct finish_db *d);
/* What it has in memory and on disk now, about. */
uint64_t finish_db_bytes(const struct finish_db *d);
