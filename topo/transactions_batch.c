/* transactions_batch.c - writing decisions and what participants report: all that arrives while the
 * store is busy shares its next transaction. Loop thread. */
#include <string.h>

#include "topo/keys.h"
#include "topo/meters.h"
#include "topo/transactions_int.h"

enum {
        STEPS_OF_RECORD = 2, /* it is expected, and put */
        STEPS_OF_EPOCH = 2,  /* its mark and its gate are expected */
        /* Decisions go first, for clients wait for them, but reports have their share. */
        REPORT_STEPS = STORE_MAX_TXN_STEPS / 4,
        MAX_ENTRIES = STORE_MAX_TXN_STEPS / STEPS_OF_RECORD,
        MAX_BATCH_BYTES = STORE_MAX_TXN_BYTES / 2,
};

/* A transaction as it will be after the batch. */
struct entry {
        struct txn_id id;
        struct decision_view view;
        uint64_t mod_revision; /* of the record as it is; 0: none */
        int64_t created_ms;
        const char **names; /* of the participants */
        bool *is_durable;   /* for each of them */
        size_t n_names;
};

struct epoch {
        uint64_t epoch;
        bool needs_lease;
};

struct batch {
        struct transactions *all;
        struct entry entries[MAX_ENTRIES];
        size_t n_entries;
        struct epoch epochs[MAX_ENTRIES];
        size_t n_epochs;
        size_t n_bytes;
        size_t max_steps;
};

/* ---------------------------------------------------------------- entries */

static struct entry *find_entry(struct batch *b, const struct txn_id *id)
{
        for (size_t i = 0; i < b->n_entries; i++)
                if (b->entries[i].id.counter == id->counter && b->entries[i].id.epoch == id->epoch)
                        return &b->entries[i];
        return NULL;
}

static struct epoch *find_epoch(struct batch *b, uint64_t epoch)
{
        for (size_t i = 0; i < b->n_epochs; i++)
                if (b->epochs[i].epoch == epoch)
                        return &b->epochs[i];
        return NULL;
}

static void set_names(struct entry *e, char *const *names, size_t n)
{
        e->names = xcalloc(n + 1, sizeof *e->names);
        e->is_durable = xcalloc(n + 1, sizeof *e->is_durable);
        e->n_names = n;
        for (size_t i = 0; names && i < n; i++)
                e->names[i] = names[i];
}

static void copy_record(struct entry *e, const struct record *record)
{
        const char *name = NULL;

        e->mod_revision = record->mod_revision;
        e->created_ms = record->created_ms;
        set_names(e, NULL, record->n_participants);
        for (size_t i = 0; (name = record_next_participant(record, name)); i++) {
                e->names[i] = name;
                e->is_durable[i] = record_is_durable_at(name);
        }
}

static bool has_room(struct batch *b, const struct txn_item *item)
{
        size_t n_epochs = b->n_epochs + !find_epoch(b, item->id.epoch);

        return (b->n_entries + 1) * STEPS_OF_RECORD + n_epochs * STEPS_OF_EPOCH <= b->max_steps &&
               b->n_bytes < MAX_BATCH_BYTES;
}

static struct entry *add_entry(struct batch *b, const struct txn_item *item,
                               const struct decision_view *view)
{
        const struct record *record =
            records_find(b->all->records, item->id.epoch, item->id.counter);
        struct entry *e = &b->entries[b->n_entries++];

        *e = (struct entry){ .id = item->id, .view = *view, .created_ms = wall_us() / 1000 };
        if (record)
                copy_record(e, record);
        else
                set_names(e, item->participants, item->n_participants);
        for (size_t i = 0; i < e->n_names; i++)
                b->n_bytes += strlen(e->names[i]) + 8;
        b->n_bytes += 256;
        if (!find_epoch(b, item->id.epoch))
                b->epochs[b->n_epochs++] = (struct epoch){ .epoch = item->id.epoch };
        return e;
}

/* Index of the participant if it has not reported; n_names: it has, or takes no part. */
static size_t find_left(const struct entry *e, const char *participant)
{
        size_t i = 0;

        while (i < e->n_names && (e->is_durable[i] || strcmp(e->names[i], participant)))
                i++;
        return i;
}

static void change_entry(struct entry *e, const struct txn_item *item,
                         const struct decision_outcome *o)
{
        switch (o->change) {
        case DECISION_KEEP:
                break;
        case DECISION_PUT_COMMITTED:
                e->view.record = DECISION_COMMITTED;
                e->view.commit_ts = o->commit_ts;
                e->view.n_left = e->n_names;
                break;
        case DECISION_PUT_ABORTED:
                e->view.record = DECISION_ABORTED;
                break;
        case DECISION_PUT_LEFT:
                e->is_durable[find_left(e, item->participant)] = true;
                e->view.n_left--;
                break;
        case DECISION_PUT_DONE:
        case DECISION_DELETE: /* it stays for a while, for clients that ask how it ended */
                e->view.record = DECISION_DONE;
                e->view.n_left = 0;
                break;
        }
}

/* False: it has to wait for the next batch. */
static bool add_item(struct batch *b, const struct txn_item *item, bool *ret_is_settled)
{
        struct entry *e = find_entry(b, &item->id);
        struct decision_view view;
        struct decision_outcome o;

        if (!e) {
                o = transactions_judge_now(b->all, item);
                *ret_is_settled = o.change == DECISION_KEEP;
                if (*ret_is_settled)
                        return true;
                if (!has_room(b, item))
                        return false;
                view = transactions_view(b->all, &item->id);
                e = add_entry(b, item, &view);
        } else {
                *ret_is_settled = false;
                if (e->id.start != item->id.start)
                        return true; /* settled once the entry is written */
                o = transactions_judge(b->all, item, &e->view,
                                       item->kind == TXN_DURABLE &&
                                           find_left(e, item->participant) < e->n_names);
        }
        change_entry(e, item, &o);
        find_epoch(b, item->id.epoch)->needs_lease |= o.needs_lease;
        return true;
}

/* ---------------------------------------------------------------- into the store */

static Shoal__V1__TransactionState stored_state(enum decision_record record)
{
        switch (record) {
        case DECISION_COMMITTED:
                return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_COMMITTED;
        case DECISION_ABORTED:
                return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_ABORTED;
        case DECISION_DONE:
                return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_DONE;
        case DECISION_NONE:
                break;
        }
        return SHOAL__V1__TRANSACTION_STATE__TRANSACTION_STATE_UNSPECIFIED;
}

static void put_entry(struct store_txn *x, const struct entry *e)
{
        Shoal__V1__DecisionRecord record = SHOAL__V1__DECISION_RECORD__INIT;
        cleanup_(freep) uint32_t *durable = xcalloc(e->n_names + 1, sizeof *durable);
        struct key key = key_transaction(e->id.epoch, e->id.counter);

        record.start = e->id.start;
        record.state = stored_state(e->view.record);
        record.commit_ts = e->view.commit_ts;
        record.participants = (char **)(uintptr_t)e->names;
        record.n_participants = e->n_names;
        record.created_unix_ms = e->created_ms;
        record.durable = durable;
        for (uint32_t i = 0; i < e->n_names; i++)
                if (e->is_durable[i])
                        durable[record.n_durable++] = i;
        store_txn_expect(x, key.s, e->mod_revision);
        op_put(x, key.s, &record.base, 0);
}

static void expect_epoch(struct store_txn *x, struct transactions *all, const struct epoch *e)
{
        const char *gate = e->needs_lease ? transactions_holder(all, e->epoch) : NULL;

        store_txn_expect(x, key_transaction_mark(e->epoch).s,
                         records_mark(all->records, e->epoch).mod_revision);
        if (gate)
                store_txn_expect(x, key_gate(gate).s, e->epoch);
}

static void fill_from(struct batch *b, struct txn_calls *queue)
{
        struct txn_call *call;

        STAILQ_FOREACH(call, queue, link)
        {
                bool is_first = true;

                for (size_t i = call->n_settled; i < call->n_items; i++) {
                        struct txn_item item;
                        bool is_settled;

                        call->item(call->op, i, &item);
                        if (!add_item(b, &item, &is_settled))
                                return;
                        is_first &= is_settled;
                        if (is_first)
                                call->n_settled = i + 1;
                        call->is_in_batch |= !is_settled;
                }
        }
}

static void leave_batch(struct txn_calls *queue)
{
        struct txn_call *call;

        STAILQ_FOREACH(call, queue, link)
        call->is_in_batch = false;
}

static enum err_code build_batch(struct op *op, struct store_txn *x, struct err *reterr)
{
        struct transactions *all = op->arg;
        struct batch b = { .all = all, .max_steps = STORE_MAX_TXN_STEPS };

        (void)reterr;
        leave_batch(&all->decisions);
        leave_batch(&all->reports);
        memset(all->n_written, 0, sizeof all->n_written);
        if (!STAILQ_EMPTY(&all->reports))
                b.max_steps -= REPORT_STEPS;
        fill_from(&b, &all->decisions);
        b.max_steps = STORE_MAX_TXN_STEPS;
        fill_from(&b, &all->reports);
        for (size_t i = 0; i < b.n_epochs; i++)
                expect_epoch(x, all, &b.epochs[i]);
        for (size_t i = 0; i < b.n_entries; i++) {
                struct entry *e = &b.entries[i];

                put_entry(x, e);
                if (!e->mod_revision || e->view.record == DECISION_DONE)
                        all->n_written[e->view.record]++;
                free(e->names);
                free(e->is_durable);
        }
        return ERR_OK;
}

/* ---------------------------------------------------------------- calls */

static void start_batch(struct transactions *all);

static bool is_settled(struct transactions *all, struct txn_call *call)
{
        while (call->n_settled < call->n_items) {
                struct txn_item item;

                call->item(call->op, call->n_settled, &item);
                if (transactions_judge_now(all, &item).change != DECISION_KEEP)
                        return false;
                call->n_settled++;
        }
        return true;
}

/* Goes on with the calls that need nothing any more, or cannot have it. */
static void settle(struct transactions *all, struct txn_calls *queue, const struct err *err)
{
        struct txn_calls rest = STAILQ_HEAD_INITIALIZER(rest);
        struct txn_call *call;

        STAILQ_CONCAT(&rest, queue);
        while ((call = STAILQ_FIRST(&rest))) {
                bool has_failed = err->code && call->is_in_batch;

                STAILQ_REMOVE_HEAD(&rest, link);
                if (!has_failed && all->topo->ready && !is_settled(all, call)) {
                        STAILQ_INSERT_TAIL(queue, call, link);
                        continue;
                }
                if (has_failed)
                        op_fail(call->op, err);
                else
                        op_continue(call->op);
                free(call);
        }
}

static void on_written(struct op *op, const struct err *err)
{
        struct transactions *all = op->arg;

        all->is_writing = false;
        if (!err->code) {
                meters_count_decisions("committed", all->n_written[DECISION_COMMITTED]);
                meters_count_decisions("aborted", all->n_written[DECISION_ABORTED]);
                meters_count_decisions("done", all->n_written[DECISION_DONE]);
        }
        settle(all, &all->decisions, err);
        settle(all, &all->reports, err);
        if (!STAILQ_EMPTY(&all->decisions) || !STAILQ_EMPTY(&all->reports))
                start_batch(all);
}

static const struct op_method write_batch = { .name = "WriteDecisions", .build = build_batch };

static void start_batch(struct transactions *all)
{
        all->is_writing = true;
        op_start(all->topo, &write_batch, NULL, on_written, all);
}

void transactions_write(struct op *op, struct txn_calls *queue, size_t n_items,
                        void (*item)(const struct op *op, size_t i, struct txn_item *ret_item))
{
        struct transactions *all = op->topo->transactions;
        struct txn_call *call = xcalloc(1, sizeof *call);

        *call = (struct txn_call){ .op = op, .item = item, .n_items = n_items };
        if (is_settled(all, call)) {
                free(call);
                op_continue(op);
                return;
        }
        STAILQ_INSERT_TAIL(queue, call, link);
        if (!all->is_writing)
                start_batch(all);
}
