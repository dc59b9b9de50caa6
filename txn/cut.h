/* cut.h - do the snapshots of several shards show one moment? (DESIGN, "Commit timestamps"). A
 * state machine without I/O: the shards' pins go in, what to do comes out.
 *
 * A pin tells c, the last commit in its snapshot, and E: every commit that is not in it is later
 * than E. So it shows the shard as of any time in [c, E], and all shards show the time max(c) if
 * max(c) <= min(E). Otherwise those with E < max(c) have to be pinned again, with a read_ts of
 * max(c) or more, which they see to it that E reaches. Meanwhile commits elsewhere may have raised
 * nothing: the other pins stay as they are. A new pin's own c may lie above another's E again, when
 * a commit came in between; so the read_ts of later rounds lies ahead of the clock, further each
 * time: commits that are stamped before all have been pinned stay below it. It does not in the
 * first round, so as not to drive commit timestamps ahead of the clock without need. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cut_pin {
        uint64_t c, e;
        bool is_known;
};

/* Owner: the loop thread, as everything of a statement. Times are hybrid logical (common/hlc.h). */
struct cut {
        struct cut_pin *pins; /* one for each shard */
        size_t n_pins, n_unknown;
        uint64_t read_ts; /* of the round under way; 0: a single shard, which needs none */
        uint32_t round;   /* 0: the first */
        uint64_t max_ahead_us;
        bool is_accepted;
};

enum cut_step {
        CUT_WAIT = 0, /* for pins that are not known yet */
        CUT_ACCEPTED, /* the snapshots are one moment; once */
        CUT_AGAIN, /* a new round, with a new read_ts: those with !is_known are to be pinned again
                    */
        CUT_LOST,  /* a snapshot is not the one it was; or there were too many rounds */
};

enum { CUT_MAX_ROUNDS = 200 };

/* pins: room for n_pins shards, borrowed. now: the clock. max_ahead_us: how far ahead of it a
 * read_ts may lie. */
void cut_init(struct cut *cut, struct cut_pin *pins, size_t n_pins, uint64_t now,
              uint64_t max_ahead_us);
/* A shard has been pinned in the round under way (pins of earlier rounds are not to be told). May
 * come several times for one shard, and after the cut was accepted, when several requests use the
 * pin. wall: the wall clock, which may be behind now: max_ahead_us holds from there, or else clocks
 * would chase each other away. */
enum cut_step cut_on_pin(struct cut *cut, size_t shard, uint64_t c, uint64_t e, uint64_t now,
                         uint64_t wall);
/* Of an accepted cut: one more shard has been pinned; pins has room for it. CUT_WAIT: it shows the
 * same moment. CUT_LOST: it does not. */
enum cut_step cut_on_late_pin(struct cut *cut, uint64_t c, uint64_t e);
/* The moment, once accepted. */
uint64_t cut_time(const struct cut *cut);
