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
        bool has_written;    /* there is something to commit */
        bool changes_schema; /* to schema_version */
        bool has_analyzed;   /* SQLite's statistics may be others than readers know */
        uint64_t schema_version;
        uint64_t min_ts;       /* the commit's timestamp is larger */
        uint64_t floor_wanted; /* is to be durable with the commit */
        uint64_t ts;           /* the commit's; 0: none */
        uint64_t floor;        /* written with it; 0: none */
};

/* Tells a write its outcome; e NULL or ERR_OK: as it stands in w. w may be gone afterwards. */
void batch_finish(struct engine_write *w, const struct err *e);

/* ---- member.c: one write of a batch */
/* Before it starts: cancelled, past its deadline, or the shard takes no writes. */
enum err_code member_check(const struct engine_write *w, struct err *reterr) must_check_;
/* Runs it in a savepoint of the open transaction; after an error nothing of it is left. The
 * transaction may be gone afterwards, which sqlite3_get_autocommit() tells. */
enum err_code member_run(struct batch *b, struct engine_write *w, struct err *reterr) must_check_;
