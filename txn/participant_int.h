/* participant_int.h - what the files of the participant share. */
#pragma once

#include "txn/participant.h"
#include "txn/rules_int.h"

/* The transaction that holds the writer. */
struct participant_hold {
        struct txn_age age;
        uint64_t stream; /* that it belongs to; 0: it was found in the redo */
        uint64_t incarnation;
        uint64_t n_statements;
        bool is_doomed;  /* to be undone as soon as no job is under way */
        bool is_lone;    /* being committed without redo */
        bool has_vote;   /* the clock has its timestamp as pending */
        uint64_t vote;   /* of what is VOTED, PREPARED, COMMITTING */
        bool is_decided; /* the outcome is known, and to be carried out: */
        bool is_commit;  /* at commit_ts, or to be undone */
        uint64_t commit_ts;
        int64_t begun_us;
        int64_t used_us; /* the end of its last job */
        int64_t prepared_us;
        int64_t retry_us; /* PREPARED: when topo is asked; REAPPLYING without a job: when to try */
        struct participant_request *running; /* whose job is under way; NULL: nobody's */
        struct participant_request *queue;   /* of the transaction, in the order they came */
};

struct participant {
        struct participant_options o;
        struct txn_clock *clock; /* borrowed */
        struct hlc *hlc;         /* borrowed */
        enum participant_state state;
        bool is_serving;
        bool has_job; /* under way */
        uint64_t next_incarnation;
        uint64_t horizon;
        struct participant_hold hold;

        struct participant_request *waiting; /* first EXECUTEs, the youngest first */
        struct participant_request *fences;
        struct participant_request *validating;
        uint64_t n_waiting; /* in these three */
        bool wants_batch;
        int64_t doubt_us;     /* a commit is in doubt: when to try another one in its place */
        bool was_batch;       /* the writer's last turn */
        uint64_t floor_asked; /* the largest that DO_RAISE_FLOOR was asked for; 0: all are done */

        struct participant_redo *redo; /* in order of the log */
        size_t n_redo, n_redo_allocated;
        uint64_t n_unsettled; /* not ENDED */
        uint64_t seq;         /* of the last commit that its redo covers */
        uint64_t seq_syncing; /* the last that DO_SYNC was asked for */
        int64_t sync_us;      /* when to sync; INT64_MAX: nothing to */

        struct participant_action *actions; /* a ring would do; they are taken at once */
        size_t i_action, n_actions, n_actions_allocated;
};

/* ---- participant.c */
void participant_move(struct participant *p, enum participant_state to);
struct participant_action *participant_add_action(struct participant *p, enum participant_act act);
/* A job begins; its action is to be filled in. r: whose it is; NULL: nobody's. */
struct participant_action *participant_begin_job(struct participant *p, enum participant_act act,
                                                 enum participant_state state,
                                                 struct participant_request *r);
void participant_answer(struct participant *p, struct participant_request *r,
                        enum txn_result result);
void participant_look_again(struct participant *p, int64_t now_us);
void participant_ask(struct participant *p, int64_t now_us);
/* As if it had just come. */
void participant_dispatch(struct participant *p, struct participant_request *r, int64_t now_us);
static inline bool participant_has_holder(const struct participant *p)
{
        return p->state >= PARTICIPANT_IS_OPENING || p->state == PARTICIPANT_IS_REAPPLYING;
}

/* ---- participant_queue.c: who gets the writer */
void participant_wait_first(struct participant *p, struct participant_request *r, int64_t now_us);
void participant_give_turn(struct participant *p, int64_t now_us);
/* A waiting first EXECUTE of the transaction; NULL: none. */
struct participant_request *participant_find_waiting(struct participant *p,
                                                     const struct txn_id *id);
void participant_stop_waiting(struct participant *p, struct participant_request *r,
                              enum txn_result result);
/* The shard's last commit is this; may the transaction's first write be based on it? */
enum txn_result participant_check_first(const struct participant *p,
                                        const struct participant_request *r, uint64_t last_ts);
void participant_fence(struct participant *p, struct participant_request *r, int64_t now_us);

/* ---- participant_hold.c: the transaction that holds the writer */
/* r belongs to the holder, no job is under way. */
void participant_serve(struct participant *p, struct participant_request *r, int64_t now_us);
/* Goes on with the holder's next request, or what else is due, if no job is under way. */
void participant_continue(struct participant *p, int64_t now_us);
void participant_undo(struct participant *p, int64_t now_us);
void participant_commit_decided(struct participant *p, int64_t now_us);
/* It is gone: nobody holds the writer. */
void participant_release(struct participant *p, int64_t now_us);

/* ---- participant_redo.c */
struct participant_redo *participant_find_redo(struct participant *p, const struct txn_id *id);
void participant_add_redo(struct participant *p, uint64_t position);
void participant_end_redo(struct participant *p, struct participant_redo *e);
/* The holder was committed, its redo covers it. */
void participant_note_commit(struct participant *p, int64_t now_us);
/* Something was committed with a sync: so is all before it. */
void participant_note_sync(struct participant *p, uint64_t seq, int64_t now_us);
void participant_recover_next(struct participant *p, int64_t now_us);
void participant_reapply(struct participant *p, struct participant_redo *e, int64_t now_us);
void participant_reapplied(struct participant *p, const struct participant_outcome *o,
                           int64_t now_us);
int64_t participant_redo_deadline(const struct participant *p);
void participant_redo_tick(struct participant *p, int64_t now_us);

/* ---- participant_validate.c */
void participant_validate(struct participant *p, struct participant_request *r, int64_t now_us);
/* The clock has moved. */
void participant_judge_validations(struct participant *p, int64_t now_us);
void participant_raise_floor(struct participant *p, uint64_t ts, int64_t now_us);
