/* rules_int.h - the rules that the protocol stands on, by name. Each can be suspended, one at a
 * time, by tests/sim and by nothing else, which has to notice: a rule that can be left out without
 * harm is none, and a simulator that does not see the harm is blind. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum txn_rule {
        /* clock.c */
        TXN_RULE_FLOOR_HOLDS = 0, /* commits exceed the floor that pins have raised */
        TXN_RULE_FLOOR_IS_KEPT,   /* and it is found again after a crash */
        TXN_RULE_PENDING_IS_TOLD, /* a pin is told of what is pending */
        /* cut.c */
        TXN_RULE_CUT_IS_EXACT, /* a cut is accepted by what its pins are exact on */
        /* participant*.c */
        TXN_RULE_INCARNATION,      /* requests name the incarnation they mean */
        TXN_RULE_COUNT,            /* and how many came before */
        TXN_RULE_EXPECT_C,         /* what was pinned has not changed when it is written */
        TXN_RULE_MAX_C,            /* what is written first fits what was pinned elsewhere */
        TXN_RULE_WAIT_DIE,         /* the younger one gives way */
        TXN_RULE_FENCE,            /* who was fenced does not commit */
        TXN_RULE_VOTE_IN_REDO,     /* a vote is pending again after a restart */
        TXN_RULE_ANSWERS_FIRST,    /* a shard serves when topo has answered for its redo */
        TXN_RULE_REDO_KEPT,        /* redo stays until its commit is durable */
        TXN_RULE_ROW_AFTER_REDO,   /* the row of a transaction stays until its redo is cut */
        TXN_RULE_REPORT_SYNCED,    /* durable is told of what was synced */
        TXN_RULE_VALIDATE_FLOOR,   /* a validation keeps later commits away */
        TXN_RULE_VALIDATE_PENDING, /* and minds those that are pending */
        /* coordinator*.c */
        TXN_RULE_LARGEST_VOTE,    /* the timestamp is the largest vote */
        TXN_RULE_VALIDATE_TO_END, /* validation reaches up to the commit's timestamp */
        TXN_RULE_VALIDATE_LONE,   /* also when only one shard is written */
        TXN_RULE_ASK_BEFORE_TELL, /* a decision without an answer is not taken for aborted */
        TXN_RULE_SESSION,         /* a session sees what it has seen */
        /* decision.c */
        TXN_RULE_WRITE_ONCE,  /* a record stands */
        TXN_RULE_LEASE,       /* nothing is committed after the lease has ended */
        TXN_RULE_MARK,        /* nor below the mark */
        TXN_RULE_ALL_DURABLE, /* a record goes when all participants are durable */
        TXN_RULE_TOMBSTONE,   /* and leaves a tombstone */
        TXN_RULE_FORGOTTEN,   /* "not there" does not tell the coordinator "aborted" */
        TXN_N_RULES,
};

/* A bit for each rule that is suspended. 0 but in tests/sim. */
extern uint64_t txn_suspended_rules;

static inline bool txn_rule(enum txn_rule rule)
{
        return !(txn_suspended_rules >> rule & 1);
}
