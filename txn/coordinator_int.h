/* coordinator_int.h - what the files of the coordinator share. */
#pragma once

#include "txn/coordinator.h"
#include "txn/rules_int.h"

struct coordinator_shard {
        uint64_t key;
        bool has_pin, is_validated_always;
        uint64_t pin_c, pin_e;
        bool is_participant;
        uint64_t incarnation; /* 0: not known yet */
        uint64_t n_sent;      /* requests that name it, or began it */
        uint64_t n_open;      /* of them: Executes and Savepoints without an answer */
        uint64_t savepoint;   /* the largest it was told of */
        bool owes;            /* an answer, of the present state */
        bool is_done;         /* has given the one that counts */
        int64_t retry_us;     /* when to ask again; INT64_MAX: not */
};

struct coordinator {
        int64_t retry_us; /* option */
        struct txn_age age;
        enum coordinator_isolation isolation;
        enum coordinator_state state;
        uint64_t seen_ts; /* the largest commit that it, or its session, has seen */
        uint64_t n_savepoints;
        enum txn_result doom;
        size_t doom_shard;

        struct coordinator_shard *shards;
        size_t n_shards, n_allocated;

        bool is_awaited; /* somebody is to be told the outcome */
        int64_t deadline_us;
        uint64_t commit_ts;
        int64_t decide_us; /* DECIDING: when to ask again; INT64_MAX: it is being asked */
        bool has_prepared; /* several shards were asked to: somebody may ask topo */
        bool is_lost;      /* somebody may not have heard of the abort */
        /* Of ENDED and ABORTING. */
        enum coordinator_outcome outcome;
        enum txn_result result;
        size_t result_shard;

        struct coordinator_action *actions;
        size_t i_action, n_actions, n_actions_allocated;
};

/* ---- coordinator.c */
void coordinator_move(struct coordinator *c, enum coordinator_state to);
struct coordinator_action *coordinator_add(struct coordinator *c, enum coordinator_act act,
                                           size_t shard);
/* ---- coordinator_end.c */
/* On to the end of what will not be committed; nothing was decided, nor will be by us. */
void coordinator_give_up(struct coordinator *c, enum txn_result result, size_t shard,
                         int64_t now_us);
