/* sequence_int.h - new rowids without I/O: what shards and topo are asked goes through struct
 * sequence_io, so that tests can play the world. */
#pragma once

#include "gate/sequence.h"

/* No answer is given inside ask() or allocate(); each is answered exactly once. One of them at a
 * time is under way for a sequence. */
struct sequence_io {
        void *arg;
        void (*free)(void *arg);      /* with the sequences; may be NULL */
        int64_t (*now_us)(void *arg); /* mono_us() */
        uint64_t (*epoch)(void *arg); /* this gate's at topo; 0: it has none now */
        uint64_t (*random)(void *arg);
        /* The largest rowid on any shard, with AUTOINCREMENT also the largest of sqlite_sequence.
         */
        void (*ask)(void *arg, struct sequence *q, struct plan *p, int64_t deadline_us);
        /* Ids of which the first is above `above`, for this gate alone. */
        void (*allocate)(void *arg, struct sequence *q, uint64_t keyspace_id, const char *table,
                         int64_t above, uint64_t count, int64_t deadline_us);
};

struct sequences *sequences_new_io(const struct sequence_io *io); /* copied; never NULL */
void sequence_asked(struct sequence *q, const struct err *e, bool has_largest, int64_t largest);
/* epoch: the gate's when it asked. */
void sequence_allocated(struct sequence *q, const struct err *e, uint64_t epoch, int64_t first,
                        int64_t limit);
/* The rowids given to u cannot be used; its slots are NULL again. False: often enough, they stay.
 */
bool sequence_try_again(struct sequence_use *u) must_check_;
/* Does e say that a rowid which u was given is taken? */
bool sequence_is_collision(const struct sequence_use *u, const struct err *e);
size_t sequences_count(const struct sequences *s);

enum {
        SEQUENCE_MAX_TABLES = 4096, /* idle ones are forgotten beyond */
        SEQUENCE_MAX_COLLISIONS = 4,
        /* How long after its deadline an INSERT may still arrive at a shard. */
        SEQUENCE_GHOST_US = 10 * 1000 * 1000,
};
