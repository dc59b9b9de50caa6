/* participant_fixture.h - one participant, and what it wants, as words. */
#pragma once

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/unit.h"
#include "txn/participant.h"

enum { MS = 1000, START = 1000 };

static struct hlc hlc;
static struct txn_clock clock_;
static struct participant *p;
static int64_t now;
/* The actions since the last look, as words. */
static char log_[2048];
static struct participant_action last;
static struct participant_request requests[40];
static size_t n_requests;

static inline int64_t wall_now(void)
{
        return now;
}

static const char *const names[] = {
        [PARTICIPANT_DO_ANSWER] = "answer",
        [PARTICIPANT_DO_OPEN] = "open",
        [PARTICIPANT_DO_RUN] = "run",
        [PARTICIPANT_DO_UNDO] = "undo",
        [PARTICIPANT_DO_PREPARE] = "prepare",
        [PARTICIPANT_DO_COMMIT] = "commit",
        [PARTICIPANT_DO_ROLL_BACK] = "roll_back",
        [PARTICIPANT_DO_BATCH] = "batch",
        [PARTICIPANT_DO_FENCE] = "fence",
        [PARTICIPANT_DO_REAPPLY] = "reapply",
        [PARTICIPANT_DO_LOOK_UP] = "look_up",
        [PARTICIPANT_DO_RAISE_FLOOR] = "raise_floor",
        [PARTICIPANT_DO_SYNC] = "sync",
        [PARTICIPANT_DO_ASK] = "ask",
        [PARTICIPANT_DO_REPORT] = "report",
        [PARTICIPANT_DO_LOOK_AGAIN] = NULL,
        [PARTICIPANT_DO_ALARM] = "alarm",
};

/* Answers are "answer COUNTER RESULT", all else "NAME COUNTER"; pins that look again are left out.
 */
static inline const char *happens(void)
{
        struct participant_action a;
        size_t n = 0;

        log_[0] = '\0';
        while (participant_next(p, &a)) {
                if (!names[a.act])
                        continue;
                last = a;
                n += (size_t)snprintf(log_ + n, sizeof log_ - n, "%s%s", n ? ", " : "",
                                      names[a.act]);
                if (a.act == PARTICIPANT_DO_ANSWER)
                        n += (size_t)snprintf(log_ + n, sizeof log_ - n, " %" PRIu64 " %s",
                                              a.request->age.id.counter,
                                              txn_result_name(a.request->result));
                else if (a.age.id.counter)
                        n += (size_t)snprintf(log_ + n, sizeof log_ - n, " %" PRIu64,
                                              a.age.id.counter);
                ck_assert(n < sizeof log_);
        }
        return log_;
}

#define expect(words) ck_assert_str_eq(happens(), words)

/* Transactions are told by their counter; smaller ones are older. */
static inline struct participant_request *request(enum participant_kind kind, uint64_t counter)
{
        struct participant_request *r = &requests[n_requests++];

        ck_assert(n_requests <= sizeof requests / sizeof requests[0]);
        *r = (struct participant_request){
                .kind = kind,
                .age = { START + counter, { 1, START + counter, counter } },
                .stream = counter,
        };
        return r;
}

static inline struct participant_request *send(struct participant_request *r)
{
        participant_request(p, r, now);
        return r;
}

static inline void done(void)
{
        now++;
        participant_job_done(
            p,
            &(struct participant_outcome){ .last_ts = clock_.last_ts, .position = (uint64_t)now },
            now);
}

static inline void done_with(struct participant_outcome o)
{
        participant_job_done(p, &o, now);
}

static inline void set_up_with(const struct participant_redo *redo, size_t n)
{
        struct participant_options o = { .idle_us = 100 * MS, .total_us = 150 * MS };

        now = 50 * MS;
        n_requests = 0;
        hlc_init(&hlc, wall_now, 60 * 1000 * MS);
        txn_clock_init(&clock_, 500, 600);
        p = participant_new(&o, &clock_, &hlc, 7);
        participant_recover(p, redo, n, 0, now);
}

static inline void set_up(void)
{
        set_up_with(NULL, 0);
        expect("");
        ck_assert(participant_is_serving(p));
}

static inline void tear_down(void)
{
        p = participant_free(p);
}

/* The transaction holds the writer, its first statement has run. */
static inline struct participant_request *hold(uint64_t counter)
{
        struct participant_request *r = send(request(PARTICIPANT_EXECUTE, counter));

        ck_assert_str_eq(happens(), log_);
        ck_assert_int_eq(last.act, PARTICIPANT_DO_OPEN);
        done();
        happens();
        ck_assert_int_eq(last.act, PARTICIPANT_DO_RUN);
        done();
        happens();
        ck_assert_int_eq(r->result, TXN_OK);
        ck_assert_int_eq(participant_state(p), PARTICIPANT_IS_ACTIVE);
        return r;
}

/* The next request of what r was answered for. */
static inline struct participant_request *next(enum participant_kind kind,
                                               const struct participant_request *r)
{
        struct participant_request *n = request(kind, r->age.id.counter);

        n->incarnation = r->ret_incarnation;
        n->n_statements = r->ret_n_statements;
        return n;
}

static inline struct participant_request *end(uint64_t counter, bool commit, uint64_t commit_ts)
{
        struct participant_request *r = request(PARTICIPANT_END, counter);

        r->commit = commit;
        r->commit_ts = commit_ts;
        return r;
}

/* It has prepared, with others. */
static inline struct participant_request *prepare(uint64_t counter)
{
        struct participant_request *r = send(next(PARTICIPANT_PREPARE, hold(counter)));

        happens();
        ck_assert_int_eq(last.act, PARTICIPANT_DO_PREPARE);
        ck_assert_uint_eq(last.commit_ts, txn_clock_pending(&clock_));
        done();
        happens();
        ck_assert_int_eq(r->result, TXN_OK);
        ck_assert_uint_eq(r->ret_commit_ts, txn_clock_pending(&clock_));
        return r;
}
