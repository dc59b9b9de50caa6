/* redo_log.h - DATA/redo: what has to be found again after a crash and is not in a shard's file
 * yet, of all shards of the tablet: prepared transactions, and floors promised while a transaction
 * held its shard's writer (docs/transactions.md). Records are appended to segments, many at a time
 * with one fsync; a segment goes when nobody needs any of its records, oldest first.
 *
 * Any thread; redo_log_append() waits for the disk. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "tablet/engine.h"
#include "txn/id.h"

struct redo_log;

enum redo_kind {
        REDO_PREPARED = 1,
        REDO_FLOOR = 2,
};

/* Everything is borrowed. */
struct redo_record {
        enum redo_kind kind;
        uint64_t keyspace_id;
        struct bytes shard; /* its name */
        uint64_t ts;        /* the vote; the floor */
        /* Of REDO_PREPARED. */
        struct txn_id id;
        uint64_t age; /* start of its first attempt */
        uint64_t schema_version;
        struct bytes participants; /* "KEYSPACE_ID/SHARD", each with a NUL behind it */
        struct bytes changes;      /* common/row_change.h */
};

/* Where a record is. segment 0: nowhere. */
struct redo_ref {
        uint64_t segment;
        uint64_t at;
};

struct redo_log_options {
        const char *dir;        /* made if it is not there; its parent is; borrowed for ever */
        uint64_t segment_bytes; /* a new one is begun when the current one is as long */
};

/* Reads what is there: found() is told of every whole record, in order, and each has to be
 * released in the end. A torn record at the end of a segment was never promised, nor those that
 * were to be made durable together with it. ERR_DATA_LOSS (REDO_DAMAGED): what was promised cannot
 * be read: a record with later ones behind it, or a file, is damaged or gone, or not ours.
 * ERR_UNAVAILABLE (DISK_IO_ERROR). */
enum err_code redo_log_open(const struct redo_log_options *o,
                            void (*found)(void *arg, const struct redo_record *rec,
                                          struct redo_ref ref),
                            void *arg, struct redo_log **ret_log, struct err *reterr) must_check_;
/* Nobody uses it any more. Accepts NULL, returns NULL. */
struct redo_log *redo_log_close(struct redo_log *log);

/* Makes the record durable. After an error it is not there, unless the disk could not take it back
 * either (it is logged), when a restart may find it. ERR_EXHAUSTED (DISK_FULL), ERR_UNAVAILABLE
 * (DISK_IO_ERROR). */
enum err_code redo_log_append(struct redo_log *log, const struct redo_record *rec,
                              struct redo_ref *ret_ref, struct err *reterr) must_check_;
/* Reads a record again; it points into bytes, which the caller empties. */
enum err_code redo_log_read(struct redo_log *log, struct redo_ref ref, struct buf *bytes,
                            struct redo_record *ret_rec, struct err *reterr) must_check_;
/* Nobody needs the record any more. Twice or nowhere: nothing happens the second time if the
 * caller forgets the ref, which this sets to nowhere. */
void redo_log_release(struct redo_log *log, struct redo_ref *ref);
/* Is the record gone for good? True of nowhere. */
bool redo_log_is_cut(struct redo_log *log, struct redo_ref ref);
/* Is the segment not the current one, so that it goes once nobody needs it? */
bool redo_log_is_full(struct redo_log *log, struct redo_ref ref);
/* Records that wait for the one who writes. */
size_t redo_log_n_waiting(struct redo_log *log);
