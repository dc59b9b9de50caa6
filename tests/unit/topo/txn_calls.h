/* txn_calls.h - calls about transactions, as gates and tablets make them. */
#pragma once

#include "tests/unit/topo/fixture.h"
#include "txn/id.h"

#define TXN_STATE(name) SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_##name

/* A decision that is asked for. */
struct ask {
        uint64_t epoch, counter;
        bool commit;
        uint64_t commit_ts; /* of a commit */
};

static char *two_participants[] = { (char *)(uintptr_t) "1/-80", (char *)(uintptr_t) "1/80-" };

/* What is told of one. */
struct told {
        Shoal__V1__TransactionState state;
        uint64_t commit_ts;
        bool never_decided; /* of find_record() */
};

static inline uint64_t start_of(uint64_t counter)
{
        return counter + 1000000;
}

static inline void set_txn_id(Shoal__V1__TransactionId *m, uint64_t epoch, uint64_t counter)
{
        shoal__v1__transaction_id__init(m);
        m->epoch = epoch;
        m->counter = counter;
        m->start = start_of(counter);
}

/* gate or tablet is "". */
static inline void send_decide(const char *gate, const char *tablet, const struct ask *asks,
                               size_t n, uint64_t oldest_counter, struct fx_answer *a)
{
        Shoal__V1__DecideTransactionsRequest rq = SHOAL__V1__DECIDE_TRANSACTIONS_REQUEST__INIT;
        Shoal__V1__TransactionDecision *items = xcalloc(n + 1, sizeof *items);
        Shoal__V1__TransactionDecision **pointers = xcalloc(n + 1, sizeof(void *));
        Shoal__V1__TransactionId *ids = xcalloc(n + 1, sizeof *ids);

        for (size_t i = 0; i < n; i++) {
                shoal__v1__transaction_decision__init(&items[i]);
                set_txn_id(&ids[i], asks[i].epoch, asks[i].counter);
                items[i].id = &ids[i];
                items[i].state = asks[i].commit ? TXN_STATE(COMMITTED) : TXN_STATE(ABORTED);
                items[i].commit_ts = asks[i].commit_ts;
                if (asks[i].commit) {
                        items[i].participants = two_participants;
                        items[i].n_participants = ARRAY_LEN(two_participants);
                }
                pointers[i] = &items[i];
        }
        rq.gate = (char *)(uintptr_t)gate;
        rq.tablet = (char *)(uintptr_t)tablet;
        rq.decisions = pointers;
        rq.n_decisions = n;
        rq.oldest_counter = oldest_counter;
        fx_send(&transactions_decide, &rq.base,
                &shoal__v1__decide_transactions_response__descriptor, a);
        free(items);
        free(pointers);
        free(ids);
}

/* What a single decision was told; frees the answer. */
static inline struct told take_decision(struct fx_answer *a)
{
        Shoal__V1__DecideTransactionsResponse *r;
        struct told told;

        fx_wait(a);
        fx_assert_ok(a);
        r = (Shoal__V1__DecideTransactionsResponse *)a->reply;
        ck_assert_uint_eq(r->n_decisions, 1);
        ck_assert_uint_eq(strlen(r->store_id), 32);
        ck_assert_uint_gt(r->store_revision, 0);
        told = (struct told){ r->decisions[0]->state, r->decisions[0]->commit_ts, false };
        fx_done(a);
        return told;
}

static inline struct told decide(const char *gate, const char *tablet, uint64_t epoch,
                                 uint64_t counter, uint64_t commit_ts, uint64_t oldest_counter)
{
        struct ask ask = { epoch, counter, commit_ts != 0, commit_ts };
        struct fx_answer a;

        send_decide(gate, tablet, &ask, 1, oldest_counter, &a);
        return take_decision(&a);
}

static inline void send_report(Shoal__V1__TransactionReport__Kind kind, uint64_t epoch,
                               uint64_t counter, const char *participant, int64_t prepared_ms,
                               struct fx_answer *a)
{
        Shoal__V1__ReportTransactionsRequest rq = SHOAL__V1__REPORT_TRANSACTIONS_REQUEST__INIT;
        Shoal__V1__TransactionReport report = SHOAL__V1__TRANSACTION_REPORT__INIT,
                                     *reports[] = { &report };
        Shoal__V1__TransactionId id;

        set_txn_id(&id, epoch, counter);
        report.id = &id;
        report.kind = kind;
        report.participant = (char *)(uintptr_t)participant;
        report.prepared_ms = prepared_ms;
        report.participants = two_participants;
        report.n_participants = ARRAY_LEN(two_participants);
        rq.tablet = (char *)(uintptr_t) "t0";
        rq.reports = reports;
        rq.n_reports = 1;
        fx_send(&transactions_report, &rq.base,
                &shoal__v1__report_transactions_response__descriptor, a);
}

static inline struct told take_report(struct fx_answer *a)
{
        Shoal__V1__ReportTransactionsResponse *r;
        struct told told;

        fx_wait(a);
        fx_assert_ok(a);
        r = (Shoal__V1__ReportTransactionsResponse *)a->reply;
        ck_assert_uint_eq(r->n_decisions, 1);
        told = (struct told){ r->decisions[0]->state, r->decisions[0]->commit_ts, false };
        fx_done(a);
        return told;
}

static inline struct told report_prepared(uint64_t epoch, uint64_t counter, const char *participant,
                                          int64_t prepared_ms)
{
        struct fx_answer a;

        send_report(SHOAL__V1__TRANSACTION_REPORT__KIND__PREPARED, epoch, counter, participant,
                    prepared_ms, &a);
        return take_report(&a);
}

static inline struct told report_durable(uint64_t epoch, uint64_t counter, const char *participant)
{
        struct fx_answer a;

        send_report(SHOAL__V1__TRANSACTION_REPORT__KIND__DURABLE, epoch, counter, participant, 0,
                    &a);
        return take_report(&a);
}

static inline struct told find_record(uint64_t epoch, uint64_t counter)
{
        Shoal__V1__FindTransactionRecordRequest rq =
            SHOAL__V1__FIND_TRANSACTION_RECORD_REQUEST__INIT;
        Shoal__V1__TransactionId id;
        struct fx_answer a;
        struct told told;

        set_txn_id(&id, epoch, counter);
        rq.id = &id;
        a = fx_call(&transactions_find, &rq.base, &shoal__v1__transaction_decision__descriptor);
        fx_assert_ok(&a);
        told = (struct told){ ((Shoal__V1__TransactionDecision *)a.reply)->state,
                              ((Shoal__V1__TransactionDecision *)a.reply)->commit_ts,
                              ((Shoal__V1__TransactionDecision *)a.reply)->never_decided };
        fx_done(&a);
        return told;
}

/* To be freed with free_unpacked(). */
static inline Shoal__V1__ListTransactionsResponse *list_transactions(bool unresolved_only)
{
        Shoal__V1__ListTransactionsRequest rq = SHOAL__V1__LIST_TRANSACTIONS_REQUEST__INIT;
        struct fx_answer a;

        rq.unresolved_only = unresolved_only;
        a = fx_call(&transactions_list, &rq.base,
                    &shoal__v1__list_transactions_response__descriptor);
        fx_assert_ok(&a);
        return (Shoal__V1__ListTransactionsResponse *)a.reply;
}

static inline struct fx_answer resolve(uint64_t epoch, uint64_t counter)
{
        Shoal__V1__ResolveTransactionRequest rq = SHOAL__V1__RESOLVE_TRANSACTION_REQUEST__INIT;
        struct txn_id id = { epoch, start_of(counter), counter };
        char text[TXN_ID_BYTES];

        txn_id_print(&id, text);
        rq.transaction_id = text;
        return fx_call(&transactions_resolve, &rq.base, &shoal__v1__transaction_record__descriptor);
}

#define assert_told(told_, state_, ts)                                                            \
        do {                                                                                      \
                struct told got_ = (told_);                                                       \
                ck_assert_msg(got_.state == TXN_STATE(state_) && got_.commit_ts == (ts),          \
                              "told %d at %llu", got_.state, (unsigned long long)got_.commit_ts); \
        } while (0)
