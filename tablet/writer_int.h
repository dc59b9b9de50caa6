/* writer_int.h - a batch of writes under way. Owner: the shard's writer job. */
#pragma once

#include "tablet/engine_int.h"

struct batch {
        struct engine_shard *shard;
        struct conn *c;
        struct engine_write *members; /* that have run in the open transaction, in order */
        size_t n;
        int64_t started_us;
        bool is_open;        /* the transaction */
        bool is_closed;      /* nobody joins any more */
        bool is_committing;  /* COMMIT itself has been started */
        bool is_transaction; /* of a transaction that holds the writer: there is no commit */
        bool has_written;    /* there is something to commit */
        bool changes_schema; /* to schema_version */
        bool has_analyzed;   /* SQLite's statistics may be others than readers know */
        uint64_t schema_version;
        uint64_t min_ts;       /* the commit's timestamp is larger */
        uint64_t floor_wanted; /* is to be durable with the commit */
        uint64_t ts;           /* the commit's; 0: none */
        uint64_t floor;        /* written with it; 0: none */
        uint64_t horizon;      /* likewise */
        enum txn_commit outcome;
};

/* Tells a write its outcome; e NULL or ERR_OK: as it stands in w. w may be gone afterwards. */
void batch_finish(struct engine_write *w, const struct err *e);

/* Runs what is queued, up to one commit. */
enum txn_commit writer_batch(struct engine_shard *s);
/* The writer's connection; the shard's file has been opened. */
enum err_code writer_open(struct engine_shard *s, struct conn **ret_conn,
                          struct err *reterr) must_check_;
/* The file cannot be opened: everybody who waits is told so. */
void writer_refuse_all(struct engine_shard *s, const struct err *e);
/* Nothing was ever asked of the shard: no file is made only to be closed. */
bool writer_closes_unopened(struct engine_shard *s);
/* What became of a commit that failed with rc. is_committing: COMMIT itself had been started. */
enum txn_commit writer_judge(bool is_committing, int rc);
/* Takes w out of the queue, under the mutex. */
void writer_unlink(struct engine_shard *s, struct engine_write *w);

/* ---- hold.c: jobs of a transaction that holds the writer */
void hold_open(struct engine_shard *s, const struct participant_action *a,
               struct participant_outcome *o);
void hold_run(struct engine_shard *s, const struct participant_action *a,
              struct participant_outcome *o);
void hold_undo(struct engine_shard *s, const struct participant_action *a,
               struct participant_outcome *o);
void hold_prepare(struct engine_shard *s, const struct participant_action *a,
                  struct participant_outcome *o);
void hold_commit(struct engine_shard *s, const struct participant_action *a,
                 struct participant_outcome *o);
void hold_roll_back(struct engine_shard *s, struct participant_outcome *o);
void hold_fence(struct engine_shard *s, const struct participant_action *a,
                struct participant_outcome *o);
/* On a connection of its own; any thread that may wait. */
enum err_code hold_look_up(struct engine_shard *s, const struct txn_id *id, bool *ret_applied,
                           uint64_t *ret_ts, struct err *reterr) must_check_;

/* ---- member.c: one write of a batch */
/* Before it starts: cancelled, past its deadline, or the shard takes no writes. */
enum err_code member_check(const struct engine_write *w, struct err *reterr) must_check_;
/* Runs it in a savepoint of the open transaction; after an error nothing of it is left. The
 * transaction may be gone afterwards, which sqlite3_get_autocommit() tells. */
enum err_code member_run(struct batch *b, struct engine_write *w, struct err *reterr) must_check_;
/* Is a deferred constraint violated now? */
enum err_code member_check_foreign_keys(struct conn *c, struct err *reterr) must_check_;
