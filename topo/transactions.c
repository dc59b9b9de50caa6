/* transactions.c - what is known of transactions, and the answers to gates and tablets. Loop
 * thread. */
#include "topo/transactions.h"

#include <string.h>

#include "common/log.h"
#include "topo/gates.h"
#include "topo/keys.h"
#include "topo/meters.h"
#include "topo/transactions_int.h"

/* ---------------------------------------------------------------- life */

struct transactions *transactions_new(struct topo *t)
{
        struct transactions *all = xcalloc(1, sizeof *all);

        all->topo = t;
        all->records = records_new();
        all->prepared = prepared_new();
        all->leases_are_stale = true;
        STAILQ_INIT(&all->decisions);
        STAILQ_INIT(&all->reports);
        return all;
}

static void clear_leases(struct transactions *all)
{
        for (size_t i = 0; i < all->n_leases; i++)
                free(all->leases[i].gate);
        free(all->leases);
        all->leases = NULL;
        all->n_leases = 0;
}

struct transactions *transactions_free(struct transactions *all)
{
        if (!all)
                return NULL;
        clear_leases(all);
        records_free(all->records);
        prepared_free(all->prepared);
        free(all);
        return NULL;
}

/* ---------------------------------------------------------------- following the store */

static void show_sizes(const struct transactions *all)
{
        meters_set_transactions(records_count(all->records, DECISION_COMMITTED),
                                records_count(all->records, DECISION_ABORTED),
                                records_count(all->records, DECISION_DONE),
                                prepared_count(all->prepared));
}

enum err_code transactions_replace(struct transactions *all, const struct store_item *items,
                                   size_t n_items, struct err *reterr)
{
        all->leases_are_stale = true;
        return records_replace(all->records, items, n_items, topo_now_us(all->topo), reterr);
}

enum err_code transactions_apply(struct transactions *all, const struct store_item *items,
                                 size_t n_items, struct err *reterr)
{
        enum err_code rc =
            records_apply(all->records, items, n_items, topo_now_us(all->topo), reterr);

        for (size_t i = 0; !rc && i < n_items; i++) {
                uint64_t epoch, counter;

                if (!strncmp(items[i].key, KEYS_GATES, strlen(KEYS_GATES)))
                        all->leases_are_stale = true;
                else if (prepared_count(all->prepared) && items[i].value &&
                         key_parse_transaction(items[i].key, &epoch, &counter))
                        prepared_remove(all->prepared, epoch, counter);
        }
        show_sizes(all);
        return rc;
}

/* ---------------------------------------------------------------- what is known */

static int compare_leases(const void *a, const void *b)
{
        const struct txn_lease *x = a, *y = b;

        return (x->epoch > y->epoch) - (x->epoch < y->epoch);
}

static void list_leases(struct transactions *all)
{
        const struct catalog *c = all->topo->catalog;

        clear_leases(all);
        all->leases = xcalloc(catalog_count(c, KEYS_GATES) + 1, sizeof *all->leases);
        for (const struct catalog_entry *e = catalog_first(c, KEYS_GATES); e;
             e = catalog_next(c, e, KEYS_GATES))
                all->leases[all->n_leases++] =
                    (struct txn_lease){ e->mod_revision, xstrdup(e->gate->id) };
        qsort(all->leases, all->n_leases, sizeof *all->leases, compare_leases);
        all->leases_are_stale = false;
}

const char *transactions_holder(struct transactions *all, uint64_t epoch)
{
        struct txn_lease wanted = { .epoch = epoch }, *found;

        if (all->leases_are_stale)
                list_leases(all);
        found = bsearch(&wanted, all->leases, all->n_leases, sizeof wanted, compare_leases);
        return found ? found->gate : NULL;
}

struct decision_view transactions_view(struct transactions *all, const struct txn_id *id)
{
        const struct record *record = records_find(all->records, id->epoch, id->counter);
        struct decision_view view = { .counter = id->counter,
                                      .mark = records_mark(all->records, id->epoch).counter,
                                      .lease_lasts = transactions_holder(all, id->epoch) };

        if (record) {
                view.record = record->state;
                view.commit_ts = record->commit_ts;
                view.n_left = record->n_left;
        }
        return view;
}

bool transactions_is_other(const struct transactions *all, const struct txn_id *id)
{
        const struct record *record = records_find(all->records, id->epoch, id->counter);

        return record && record->start != id->start;
}

/* Nobody has decided it, and nobody can any more. */
static bool was_never_decided(struct transactions *all, const struct txn_id *id)
{
        struct decision_view view = transactions_view(all, id);

        /* The record of one that was forgotten went together with a mark above it. */
        return view.record == DECISION_NONE && decision_is_closed(&view) &&
               id->counter >= view.mark && id->epoch >= records_mark(all->records, 0).counter;
}

enum err_code transactions_check_id(const struct transactions *all, const struct txn_id *id,
                                    struct err *reterr)
{
        if (!id->epoch || !id->counter)
                return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION",
                               "a transaction's id has an epoch and a counter");
        if (id->epoch > catalog_revision(all->topo->catalog))
                return err_set(reterr, ERR_UNAVAILABLE, "STORE_BEHIND",
                               "epoch %llx is later than all that the store holds: was it restored "
                               "from an old copy?",
                               (unsigned long long)id->epoch);
        return ERR_OK;
}

struct decision_outcome transactions_judge(const struct transactions *all,
                                           const struct txn_item *item,
                                           const struct decision_view *view, bool is_left)
{
        switch (item->kind) {
        case TXN_DECIDE:
                break;
        case TXN_PREPARED:
                return decision_on_prepared(view, item->prepared_ms,
                                            all->topo->options.max_prepared_ms);
        case TXN_DURABLE:
                return decision_on_durable(view, is_left);
        }
        return decision_decide(view, item->asker, item->commit, item->commit_ts);
}

static bool has_left(const struct transactions *all, const struct txn_item *item)
{
        const struct record *record = records_find(all->records, item->id.epoch, item->id.counter);
        const char *name = NULL;

        while (record && (name = record_next_participant(record, name)))
                if (!strcmp(name, item->participant))
                        return !record_is_durable_at(name);
        return false;
}

struct decision_outcome transactions_judge_now(struct transactions *all,
                                               const struct txn_item *item)
{
        struct decision_view view = transactions_view(all, &item->id);

        /* An id that was made up: it tells nothing of the transaction that is there. */
        if (transactions_is_other(all, &item->id))
                return (struct decision_outcome){ .answer = item->kind == TXN_DECIDE
                                                                ? DECISION_TELL_FORGOTTEN
                                                                : DECISION_TELL_UNDECIDED };
        return transactions_judge(all, item, &view,
                                  item->kind == TXN_DURABLE && has_left(all, item));
}

/* ---------------------------------------------------------------- requests */

static struct txn_id id_of(const Shoal__V1__TransactionId *m)
{
        return m ? (struct txn_id){ m->epoch, m->start, m->counter } : (struct txn_id){ 0 };
}

static enum err_code check_participants(char *const *names, size_t n, struct err *reterr)
{
        if (n > TRANSACTIONS_MAX_PARTICIPANTS)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT",
                               "a transaction has at most %d participants",
                               TRANSACTIONS_MAX_PARTICIPANTS);
        for (size_t i = 0; i < n; i++)
                if (strlen(names[i]) > TRANSACTIONS_MAX_NAME_BYTES || !strchr(names[i], '/') ||
                    names[i][strspn(names[i], "0123456789abcdef-/")])
                        return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION",
                                       "a participant is called KEYSPACE_ID/SHARD");
        return ERR_OK;
}

static enum err_code check_count(size_t n, struct err *reterr)
{
        if (n <= TRANSACTIONS_MAX_ITEMS)
                return ERR_OK;
        return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "at most %d transactions at a time",
                       TRANSACTIONS_MAX_ITEMS);
}

static void decision_item(const struct op *op, size_t i, struct txn_item *ret_item)
{
        const Shoal__V1__DecideTransactionsRequest *rq =
            (const Shoal__V1__DecideTransactionsRequest *)op->request;
        const Shoal__V1__TransactionDecision *d = rq->decisions[i];

        *ret_item = (struct txn_item){
                .id = id_of(d->id),
                .kind = TXN_DECIDE,
                .asker = *rq->tablet ? DECISION_HOLDER : DECISION_COORDINATOR,
                .commit = d->state == SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED,
                .commit_ts = d->commit_ts,
                .participants = d->participants,
                .n_participants = d->n_participants,
        };
}

static void report_item(const struct op *op, size_t i, struct txn_item *ret_item)
{
        const Shoal__V1__ReportTransactionsRequest *rq =
            (const Shoal__V1__ReportTransactionsRequest *)op->request;
        const Shoal__V1__TransactionReport *r = rq->reports[i];

        *ret_item = (struct txn_item){
                .id = id_of(r->id),
                .kind = r->kind == SHOAL__V1__TRANSACTION_REPORT__KIND__DURABLE ? TXN_DURABLE
                                                                                : TXN_PREPARED,
                .prepared_ms = r->prepared_ms > 0 ? (uint64_t)r->prepared_ms : 0,
                .participant = r->participant,
                .participants = r->participants,
                .n_participants = r->n_participants,
        };
}

/* ---------------------------------------------------------------- answers */

static Shoal__V1__TransactionState told_state(enum decision_answer answer)
{
        switch (answer) {
        case DECISION_TELL_COMMITTED:
                return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED;
        case DECISION_TELL_ABORTED:
                return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_ABORTED;
        case DECISION_TELL_FORGOTTEN:
                return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_FORGOTTEN;
        case DECISION_TELL_UNDECIDED:
                break;
        }
        return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_PREPARING;
}

struct answers {
        Shoal__V1__TransactionDecision *items;
        Shoal__V1__TransactionDecision **pointers;
        Shoal__V1__TransactionId *ids;
};

static void free_answers(struct answers *a)
{
        free(a->items);
        free(a->pointers);
        free(a->ids);
}

static void set_answer(Shoal__V1__TransactionDecision *answer, Shoal__V1__TransactionId *id,
                       const struct txn_item *item, const struct decision_outcome *o)
{
        shoal__v1__transaction_decision__init(answer);
        shoal__v1__transaction_id__init(id);
        id->epoch = item->id.epoch;
        id->start = item->id.start;
        id->counter = item->id.counter;
        answer->id = id;
        answer->state = told_state(o->answer);
        answer->commit_ts = o->commit_ts;
        if (item->kind == TXN_DURABLE && o->answer == DECISION_TELL_FORGOTTEN)
                answer->state = SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_DONE;
}

static void make_answers(struct op *op, size_t n,
                         void (*get_item)(const struct op *op, size_t i, struct txn_item *ret_item),
                         struct answers *ret_answers)
{
        struct answers a = { xcalloc(n + 1, sizeof *a.items),
                             xcalloc(n + 1, sizeof(Shoal__V1__TransactionDecision *)),
                             xcalloc(n + 1, sizeof *a.ids) };

        for (size_t i = 0; i < n; i++) {
                struct txn_item item;
                struct decision_outcome o;

                get_item(op, i, &item);
                o = transactions_judge_now(op->topo->transactions, &item);
                set_answer(&a.items[i], &a.ids[i], &item, &o);
                a.pointers[i] = &a.items[i];
        }
        *ret_answers = a;
}

static char *store_id(const struct topo *t)
{
        const struct catalog_entry *e = catalog_find(t->catalog, key_store().s);

        return e ? e->store->id : (char *)(uintptr_t) "";
}

/* ---------------------------------------------------------------- DecideTransactions */

static enum err_code check_caller(const Shoal__V1__DecideTransactionsRequest *rq,
                                  struct err *reterr)
{
        if (!*rq->gate == !*rq->tablet)
                return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION",
                               "either a gate decides or a tablet");
        return check_count(rq->n_decisions, reterr);
}

/* The gate may have lost its lease, which the rules see to; but nobody decides for another. */
static enum err_code check_gate(struct transactions *all, const char *gate, uint64_t epoch,
                                struct err *reterr)
{
        const char *holder = transactions_holder(all, epoch);

        if (!*gate || !holder || !strcmp(gate, holder))
                return ERR_OK;
        return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION", "epoch %llx is gate %s's",
                       (unsigned long long)epoch, holder);
}

static enum err_code check_commit(const struct transactions *all, const struct txn_item *item,
                                  struct err *reterr)
{
        if (item->asker == DECISION_HOLDER)
                return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION",
                               "a participant decides ABORTED only");
        if (!item->n_participants || !item->commit_ts)
                return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION",
                               "a commit has participants and a timestamp");
        if (records_count_all(all->records) >= all->topo->options.max_records &&
            !records_find(all->records, item->id.epoch, item->id.counter))
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT",
                               "there are %zu transactions that cannot be forgotten yet",
                               all->topo->options.max_records);
        return ERR_OK;
}

static enum err_code check_decision(struct transactions *all, const struct op *op, size_t i,
                                    struct err *reterr)
{
        const Shoal__V1__DecideTransactionsRequest *rq =
            (const Shoal__V1__DecideTransactionsRequest *)op->request;
        struct txn_item item;
        enum err_code rc;

        decision_item(op, i, &item);
        rc = transactions_check_id(all, &item.id, reterr);
        if (!rc)
                rc = check_gate(all, rq->gate, item.id.epoch, reterr);
        if (!rc)
                rc = check_participants(item.participants, item.n_participants, reterr);
        if (rc)
                return rc;
        if (item.commit)
                return check_commit(all, &item, reterr);
        if (rq->decisions[i]->state != SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_ABORTED)
                return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION",
                               "a decision is COMMITTED or ABORTED");
        return ERR_OK;
}

/* Of the epoch that the gate has now: it goes with the request's decisions in that epoch. */
static void note_oldest(struct transactions *all, const Shoal__V1__DecideTransactionsRequest *rq)
{
        for (size_t i = 0; *rq->gate && rq->oldest_counter && i < rq->n_decisions; i++) {
                uint64_t epoch = rq->decisions[i]->id->epoch;

                if (gates_is_alive(all->topo->catalog, rq->gate, epoch)) {
                        records_tell_oldest(all->records, epoch, rq->oldest_counter);
                        return;
                }
        }
}

static void prepare_decide(struct op *op)
{
        struct transactions *all = op->topo->transactions;
        const Shoal__V1__DecideTransactionsRequest *rq =
            (const Shoal__V1__DecideTransactionsRequest *)op->request;
        struct err err = ERR_INIT;
        enum err_code rc = check_caller(rq, &err);

        for (size_t i = 0; !rc && i < rq->n_decisions; i++)
                rc = check_decision(all, op, i, &err);
        if (rc) {
                op_fail(op, &err);
                return;
        }
        note_oldest(all, rq);
        transactions_write(op, &all->decisions, rq->n_decisions, decision_item);
}

static enum err_code build_decide(struct op *op, struct store_txn *x, struct err *reterr)
{
        const Shoal__V1__DecideTransactionsRequest *rq =
            (const Shoal__V1__DecideTransactionsRequest *)op->request;
        Shoal__V1__DecideTransactionsResponse reply = SHOAL__V1__DECIDE_TRANSACTIONS_RESPONSE__INIT;
        cleanup_(free_answers) struct answers answers = { 0 };

        (void)x;
        (void)reterr;
        make_answers(op, rq->n_decisions, decision_item, &answers);
        reply.n_decisions = rq->n_decisions;
        reply.decisions = answers.pointers;
        reply.store_id = store_id(op->topo);
        reply.store_revision = catalog_revision(op->topo->catalog);
        op_reply(op, &reply.base);
        return ERR_OK;
}

const struct op_method transactions_decide = {
        .name = "DecideTransactions",
        .request = &shoal__v1__decide_transactions_request__descriptor,
        .prepare = prepare_decide,
        .build = build_decide,
};

/* ---------------------------------------------------------------- ReportTransactions */

static enum err_code check_report(struct transactions *all, const struct op *op, size_t i,
                                  struct err *reterr)
{
        struct txn_item item;
        enum err_code rc;

        report_item(op, i, &item);
        rc = transactions_check_id(all, &item.id, reterr);
        if (!rc)
                rc = check_participants(item.participants, item.n_participants, reterr);
        if (!rc)
                rc = check_participants((char *const[]){ (char *)(uintptr_t)item.participant }, 1,
                                        reterr);
        return rc;
}

static void prepare_report(struct op *op)
{
        struct transactions *all = op->topo->transactions;
        const Shoal__V1__ReportTransactionsRequest *rq =
            (const Shoal__V1__ReportTransactionsRequest *)op->request;
        struct err err = ERR_INIT;
        enum err_code rc = check_count(rq->n_reports, &err);

        for (size_t i = 0; !rc && i < rq->n_reports; i++)
                rc = check_report(all, op, i, &err);
        if (rc)
                op_fail(op, &err);
        else
                transactions_write(op, &all->reports, rq->n_reports, report_item);
}

static enum err_code build_report(struct op *op, struct store_txn *x, struct err *reterr)
{
        const Shoal__V1__ReportTransactionsRequest *rq =
            (const Shoal__V1__ReportTransactionsRequest *)op->request;
        Shoal__V1__ReportTransactionsResponse reply = SHOAL__V1__REPORT_TRANSACTIONS_RESPONSE__INIT;
        cleanup_(free_answers) struct answers answers = { 0 };

        (void)x;
        (void)reterr;
        make_answers(op, rq->n_reports, report_item, &answers);
        reply.n_decisions = rq->n_reports;
        reply.decisions = answers.pointers;
        reply.store_id = store_id(op->topo);
        reply.store_revision = catalog_revision(op->topo->catalog);
        op_reply(op, &reply.base);
        return ERR_OK;
}

/* What stays undecided is remembered for people to see; what cannot be is said aloud. */
static void note_report(struct transactions *all, const struct txn_item *item)
{
        struct decision_outcome o = transactions_judge_now(all, item);

        if (item->kind == TXN_PREPARED && o.answer == DECISION_TELL_UNDECIDED)
                prepared_note(all->prepared, item->id.epoch, item->id.counter, item->id.start,
                              (int64_t)item->prepared_ms, item->participants, item->n_participants,
                              topo_now_us(all->topo));
        else
                prepared_remove(all->prepared, item->id.epoch, item->id.counter);
        if (item->kind == TXN_DURABLE &&
            (o.answer == DECISION_TELL_ABORTED || o.answer == DECISION_TELL_UNDECIDED)) {
                char id[TXN_ID_BYTES];

                txn_id_print(&item->id, id);
                log_event(LOG_ERROR, "transaction_contradicted",
                          "transaction=%s participant=%s committed=there known=%s", id,
                          log_quote(item->participant),
                          o.answer == DECISION_TELL_ABORTED ? "aborted" : "undecided");
                meters_count_contradiction();
        }
}

static void note_reports(struct op *op)
{
        const Shoal__V1__ReportTransactionsRequest *rq =
            (const Shoal__V1__ReportTransactionsRequest *)op->request;

        for (size_t i = 0; i < rq->n_reports; i++) {
                struct txn_item item;

                report_item(op, i, &item);
                note_report(op->topo->transactions, &item);
        }
        show_sizes(op->topo->transactions);
}

const struct op_method transactions_report = {
        .name = "ReportTransactions",
        .request = &shoal__v1__report_transactions_request__descriptor,
        .prepare = prepare_report,
        .build = build_report,
        .committed = note_reports,
};

/* ---------------------------------------------------------------- FindTransactionRecord */

static enum err_code build_find(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__FindTransactionRecordRequest *rq =
            (Shoal__V1__FindTransactionRecordRequest *)op->request;
        Shoal__V1__TransactionDecision reply = SHOAL__V1__TRANSACTION_DECISION__INIT;
        struct transactions *all = op->topo->transactions;
        struct txn_id id = id_of(rq->id);
        struct decision_view view = transactions_view(all, &id);
        struct decision_outcome o = decision_find(&view);
        enum err_code rc = transactions_check_id(all, &id, reterr);

        (void)x;
        if (rc)
                return rc;
        reply.id = rq->id;
        reply.never_decided = was_never_decided(all, &id);
        reply.state =
            told_state(transactions_is_other(all, &id) ? DECISION_TELL_FORGOTTEN : o.answer);
        if (reply.state == SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED)
                reply.commit_ts = o.commit_ts;
        op_reply(op, &reply.base);
        return ERR_OK;
}

const struct op_method transactions_find = {
        .name = "FindTransactionRecord",
        .request = &shoal__v1__find_transaction_record_request__descriptor,
        .build = build_find,
};
