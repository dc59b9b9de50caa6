/* transactions_admin.c - Topo.ListTransactions and Topo.ResolveTransaction: what people see and may
 * do. Loop thread. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "topo/keys.h"
#include "topo/transactions_int.h"

#define STATE(name) SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_##name

/* ---------------------------------------------------------------- one record */

/* "KEYSPACE_ID/SHARD" with the keyspace's name, if that is there still. */
static char *participant_name(const struct topo *t, const char *participant)
{
        char *end;
        uint64_t id = strtoull(participant, &end, 10);
        const struct catalog_entry *e = *end == '/' ? catalog_find_keyspace(t->catalog, id) : NULL;

        return e ? xasprintf("%s%s", e->keyspace->name, end) : xstrdup(participant);
}

static Shoal__V1__TransactionRecord *new_message(uint64_t epoch, uint64_t counter, uint64_t start,
                                                 Shoal__V1__TransactionState state,
                                                 int64_t created_ms, size_t n_participants)
{
        Shoal__V1__TransactionRecord *m = xcalloc(1, sizeof *m);
        struct txn_id id = { epoch, start, counter };
        char text[TXN_ID_BYTES];

        shoal__v1__transaction_record__init(m);
        txn_id_print(&id, text);
        m->transaction_id = xstrdup(text);
        m->state = state;
        m->created_unix_ms = created_ms;
        m->participants = xcalloc(n_participants + 1, sizeof *m->participants);
        return m;
}

static Shoal__V1__TransactionState shown_state(enum decision_record state)
{
        return state == DECISION_COMMITTED ? STATE(COMMITTED)
               : state == DECISION_ABORTED ? STATE(ABORTED)
                                           : STATE(DONE);
}

static Shoal__V1__TransactionRecord *message_of_record(const struct topo *t, const struct record *e)
{
        Shoal__V1__TransactionRecord *m =
            new_message(e->epoch, e->counter, e->start, shown_state(e->state), e->created_ms,
                        e->n_participants);
        const char *name = NULL;

        while ((name = record_next_participant(e, name)))
                m->participants[m->n_participants++] = participant_name(t, name);
        return m;
}

/* Its gate is gone: nobody can commit it any more, and the participants are told so when they ask.
 */
static Shoal__V1__TransactionRecord *message_of_prepared(struct topo *t, const struct prepared *p)
{
        bool is_closed = !transactions_holder(t->transactions, p->epoch);
        int64_t age_ms = (topo_now_us(t) - p->since_us) / 1000;
        Shoal__V1__TransactionRecord *m = new_message(p->epoch, p->counter, p->start,
                                                      is_closed ? STATE(ABORTED) : STATE(PREPARING),
                                                      wall_us() / 1000 - age_ms, p->n_participants);

        for (size_t i = 0; i < p->n_participants; i++)
                m->participants[m->n_participants++] = participant_name(t, p->participants[i]);
        return m;
}

/* What is known of one transaction; NULL: nothing. */
static Shoal__V1__TransactionRecord *message_of_id(struct topo *t, const struct txn_id *id)
{
        struct transactions *all = t->transactions;
        const struct record *e = records_find(all->records, id->epoch, id->counter);
        const struct prepared *p = prepared_find(all->prepared, id->epoch, id->counter);
        struct decision_view view = transactions_view(all, id);

        if (e && e->start == id->start)
                return message_of_record(t, e);
        if (p && p->start == id->start)
                return message_of_prepared(t, p);
        if (e || decision_is_closed(&view))
                return new_message(id->epoch, id->counter, id->start, STATE(FORGOTTEN), 0, 0);
        return NULL;
}

/* ---------------------------------------------------------------- lists */

struct list {
        struct topo *topo;
        Shoal__V1__ListTransactionsResponse reply;
        size_t n_bytes;
};

static void free_list(struct list *list)
{
        for (size_t i = 0; i < list->reply.n_transactions; i++)
                shoal__v1__transaction_record__free_unpacked(list->reply.transactions[i], NULL);
        free(list->reply.transactions);
}

/* Takes m. False: the list is full. */
static bool add(struct list *list, Shoal__V1__TransactionRecord *m)
{
        list->n_bytes += shoal__v1__transaction_record__get_packed_size(m) + 8;
        if (list->reply.n_transactions < TRANSACTIONS_MAX_LISTED &&
            list->n_bytes <= TRANSACTIONS_MAX_LIST_BYTES) {
                list->reply.transactions[list->reply.n_transactions++] = m;
                return true;
        }
        shoal__v1__transaction_record__free_unpacked(m, NULL);
        list->reply.more = true;
        return false;
}

static void add_unresolved(struct list *list)
{
        const struct transactions *all = list->topo->transactions;
        const struct prepared *p;
        const struct record *e;

        TAILQ_FOREACH(p, prepared_list(all->prepared), link)
        if (!add(list, message_of_prepared(list->topo, p)))
                return;
        TAILQ_FOREACH(e, records_list(all->records, DECISION_COMMITTED), link)
        if (!add(list, message_of_record(list->topo, e)))
                return;
}

/* Those that have ended, the youngest first. */
static void add_ended(struct list *list)
{
        const struct records *records = list->topo->transactions->records;
        const struct record *done = TAILQ_LAST(records_list(records, DECISION_DONE), record_list);
        const struct record *aborted =
            TAILQ_LAST(records_list(records, DECISION_ABORTED), record_list);

        while (!list->reply.more && (done || aborted)) {
                const struct record **at =
                    !done || (aborted && aborted->created_ms > done->created_ms) ? &aborted : &done;

                add(list, message_of_record(list->topo, *at));
                *at = TAILQ_PREV(*at, record_list, link);
        }
}

static enum err_code parse_id(const struct transactions *all, const char *text,
                              struct txn_id *ret_id, struct err *reterr)
{
        if (!txn_id_parse(text, strlen(text), ret_id))
                return err_set(reterr, ERR_INVALID, "BAD_TRANSACTION",
                               "a transaction's id looks like 1f-18c2a3d4e5f60000-7, not %.64s",
                               text);
        return transactions_check_id(all, ret_id, reterr);
}

static enum err_code build_list(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__ListTransactionsRequest *rq = (Shoal__V1__ListTransactionsRequest *)op->request;
        cleanup_(free_list) struct list list = { .topo = op->topo,
                                                 .reply =
                                                     SHOAL__V1__LIST_TRANSACTIONS_RESPONSE__INIT };
        Shoal__V1__TransactionRecord *m;
        struct txn_id id;

        (void)x;
        list.reply.transactions = xcalloc(TRANSACTIONS_MAX_LISTED, sizeof m);
        if (*rq->transaction_id) {
                enum err_code rc =
                    parse_id(op->topo->transactions, rq->transaction_id, &id, reterr);

                if (rc)
                        return rc;
                m = message_of_id(op->topo, &id);
                if (m)
                        add(&list, m);
        } else {
                add_unresolved(&list);
                if (!rq->unresolved_only)
                        add_ended(&list);
        }
        op_reply(op, &list.reply.base);
        return ERR_OK;
}

const struct op_method transactions_list = {
        .name = "ListTransactions",
        .request = &shoal__v1__list_transactions_request__descriptor,
        .build = build_list,
};

/* ---------------------------------------------------------------- ResolveTransaction */

/* What has been decided is told. What has not is its gate's to decide as long as the gate's lease
 * lasts; after that nobody can commit it, and nothing need be written to make it so: participants
 * that ask are told ABORTED. */
static enum err_code build_resolve(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__ResolveTransactionRequest *rq =
            (Shoal__V1__ResolveTransactionRequest *)op->request;
        struct transactions *all = op->topo->transactions;
        Shoal__V1__TransactionRecord *m;
        const char *gate;
        struct txn_id id;
        enum err_code rc = parse_id(all, rq->transaction_id, &id, reterr);

        (void)x;
        if (rc)
                return rc;
        m = message_of_id(op->topo, &id);
        gate = transactions_holder(all, id.epoch);
        if (gate && (!m || m->state == STATE(PREPARING)))
                rc = err_set(reterr, ERR_PRECONDITION, "TRANSACTION_UNDECIDED",
                             "gate %s, which lives, has not decided the transaction; it is aborted "
                             "when the gate ends or the participants have waited for %llu ms",
                             gate, (unsigned long long)op->topo->options.max_prepared_ms);
        else
                op_reply(op, &m->base);
        if (m)
                shoal__v1__transaction_record__free_unpacked(m, NULL);
        return rc;
}

const struct op_method transactions_resolve = {
        .name = "ResolveTransaction",
        .request = &shoal__v1__resolve_transaction_request__descriptor,
        .build = build_resolve,
};
