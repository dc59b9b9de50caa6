/* variants.c - mistakes, each of which must be noticed. */
#include "common/util.h"
#include "tests/sim/sim.h"

#define RULE(name, rule)                                \
        {                                               \
                name, TXN_RULE_##rule, FLAW_NONE, false \
        }
#define SERIALIZABLE(name, rule)                       \
        {                                              \
                name, TXN_RULE_##rule, FLAW_NONE, true \
        }
#define FLAW(name, flaw)                              \
        {                                             \
                name, TXN_N_RULES, FLAW_##flaw, false \
        }

const struct variant variants[] = {
        RULE("floor-not-raised", FLOOR_HOLDS),
        RULE("floor-lost-in-restart", FLOOR_IS_KEPT),
        RULE("pending-not-told", PENDING_IS_TOLD),
        RULE("cut-by-read-ts", CUT_IS_EXACT),
        RULE("restarted-participant-let-through", INCARNATION),
        RULE("requests-not-counted", COUNT),
        RULE("lost-update", EXPECT_C),
        RULE("first-write-beyond-the-cut", MAX_C),
        RULE("everybody-waits", WAIT_DIE),
        RULE("fence-ignored", FENCE),
        RULE("redo-without-vote", VOTE_IN_REDO),
        RULE("served-before-topo-answered", ANSWERS_FIRST),
        RULE("redo-cut-too-early", REDO_KEPT),
        RULE("row-gone-before-redo", ROW_AFTER_REDO),
        RULE("durable-before-sync", REPORT_SYNCED),
        SERIALIZABLE("validation-without-floor", VALIDATE_FLOOR),
        SERIALIZABLE("validation-ignores-pending", VALIDATE_PENDING),
        RULE("any-vote", LARGEST_VOTE),
        SERIALIZABLE("validated-up-to-the-read", VALIDATE_TO_END),
        SERIALIZABLE("lone-writer-not-validated", VALIDATE_LONE),
        RULE("no-answer-is-aborted", ASK_BEFORE_TELL),
        RULE("session-ignored", SESSION),
        RULE("decision-overwritten", WRITE_ONCE),
        RULE("late-coordinator-after-lease", LEASE),
        RULE("decided-below-mark", MARK),
        RULE("forgotten-before-durable", ALL_DURABLE),
        RULE("no-tombstone", TOMBSTONE),
        RULE("forgotten-is-aborted", FORGOTTEN),
        FLAW("decision-not-durable", DECISION_NOT_DURABLE),
        FLAW("not-found-is-committed", NOT_FOUND_IS_COMMITTED),
        FLAW("commit-not-synced", COMMIT_NOT_SYNCED),
        FLAW("redo-not-synced", REDO_NOT_SYNCED),
        FLAW("opened-without-sync", OPENED_UNSYNCED),
        FLAW("record-not-compared", EXPECT_NOTHING),
        FLAW("request-ids-ignored", REQUEST_IDS),
};
const size_t n_variants = ARRAY_LEN(variants);
