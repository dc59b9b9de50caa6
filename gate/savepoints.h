/* savepoints.h - what BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE and ROLLBACK TO mean, one after
 * the other, as SQLite takes them: a state machine without I/O. Owner: the session it belongs to.
 *
 *               BEGIN, SAVEPOINT            COMMIT, ROLLBACK, RELEASE of the SAVEPOINT that began
 * it closed ───────────────────▶ open ───────────────────▶ closed
 *
 * What ends a transaction may fail, and the transaction then stays as it was; so it is closed by
 * savepoints_end(), when that has been done. Savepoints are told to shards as numbers that rise and
 * are never used again: one that was rolled back to goes on under a new number. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum savepoints_verb {
        SAVEPOINTS_BEGIN = 0,
        SAVEPOINTS_COMMIT,
        SAVEPOINTS_ROLLBACK,
        SAVEPOINTS_SAVEPOINT,
        SAVEPOINTS_RELEASE,
        SAVEPOINTS_ROLLBACK_TO,
};

enum savepoints_step {
        SAVEPOINTS_DONE = 0, /* nothing more is to be done */
        SAVEPOINTS_OPENED,   /* there is a transaction now */
        SAVEPOINTS_TO_COMMIT,
        SAVEPOINTS_TO_ROLL_BACK,
        SAVEPOINTS_TO_UNDO, /* what was done since the number was given */
};

enum { SAVEPOINTS_MAX = 1000 }; /* open at a time */

struct savepoint {
        char *name;
        uint64_t number;
};

/* Zeroed: closed. */
struct savepoints {
        struct savepoint *items; /* the innermost is last */
        size_t n, n_allocated;
        uint64_t last_number;
        bool is_open;
        bool by_savepoint; /* the first one began the transaction */
};

void savepoints_done(struct savepoints *s);
/* name: of the savepoint, else NULL; borrowed. ret_number: with SAVEPOINTS_TO_UNDO. Fails as SQLite
 * does (FAILED_PRECONDITION, SQLITE_ERROR), and leaves all as it was; ERR_EXHAUSTED (reason
 * TOO_MANY_SAVEPOINTS). */
enum err_code savepoints_apply(struct savepoints *s, enum savepoints_verb verb, const char *name,
                               enum savepoints_step *ret_step, uint64_t *ret_number,
                               struct err *reterr) must_check_;
/* The transaction is over. */
void savepoints_end(struct savepoints *s);
/* A number of its own for a statement that may have to be undone. */
uint64_t savepoints_next(struct savepoints *s);
/* Of the innermost; 0: none. */
uint64_t savepoints_innermost(const struct savepoints *s);
/* An error as SQLite gives it for a statement, SQLITE_ERROR. */
enum err_code savepoints_error(struct err *reterr, const char *fmt, ...) printf_(2, 3);
