/* transactions_collect.c - forgetting, by txn/decision.h's rules. What they allow to go stays for a
 * while nevertheless, for clients that ask how their transaction ended. Loop thread. */
#include "topo/keys.h"
#include "topo/meters.h"
#include "topo/transactions_int.h"

enum {
        MAX_ROUNDS = 16, /* transactions of the store between two ticks */
        /* Each removal expects the record and deletes it; an epoch's mark and lease are expected,
         * and the mark may be put. */
        STEPS_OF_REMOVAL = 2,
        STEPS_OF_EPOCH = 3,
        MAX_EPOCHS = 8,
        MAX_LOOKED_AT = 4096, /* in a round */
        MAX_MARKS = 10000,
};

/* An epoch in a round. */
struct epoch {
        uint64_t epoch;
        struct record_mark old;
        const char *gate; /* that holds the lease; NULL: it has ended */
        uint64_t mark;    /* after this round */
};

struct round {
        struct transactions *all;
        struct store_txn *x;
        struct epoch epochs[MAX_EPOCHS];
        size_t n_epochs, n_removals, n_looked_at;
};

/* The mark follows what the gate has told. NULL: no room. */
static struct epoch *find_epoch(struct round *r, uint64_t epoch)
{
        struct epoch *e;

        for (size_t i = 0; i < r->n_epochs; i++)
                if (r->epochs[i].epoch == epoch)
                        return &r->epochs[i];
        if (r->n_epochs == MAX_EPOCHS)
                return NULL;
        e = &r->epochs[r->n_epochs++];
        *e = (struct epoch){ .epoch = epoch, .old = records_mark(r->all->records, epoch) };
        e->gate = transactions_holder(r->all, epoch);
        e->mark = e->old.counter;
        if (e->gate)
                e->mark = decision_advance_mark(e->mark, e->old.oldest);
        return e;
}

/* Where there is no lease any more, the mark tells up to where something has been forgotten: what
 * is not below was never decided. */
static void finish_epoch(struct round *r, const struct epoch *e)
{
        Shoal__V1__DecisionMarkRecord record = SHOAL__V1__DECISION_MARK_RECORD__INIT;
        struct key key = key_transaction_mark(e->epoch);

        store_txn_expect(r->x, key.s, e->old.mod_revision);
        if (e->mark <= e->old.counter)
                return;
        if (e->gate)
                store_txn_expect(r->x, key_gate(e->gate).s, e->epoch);
        record.counter = e->mark;
        op_put(r->x, key.s, &record.base, 0);
}

static bool has_room(const struct round *r)
{
        return (r->n_removals + 1) * STEPS_OF_REMOVAL + MAX_EPOCHS * STEPS_OF_EPOCH <=
               STORE_MAX_TXN_STEPS;
}

/* False: the round is full. */
static bool collect(struct round *r, const struct record *e)
{
        struct txn_id id = { e->epoch, e->start, e->counter };
        struct decision_view view = transactions_view(r->all, &id);
        struct epoch *epoch = find_epoch(r, e->epoch);
        struct key key = key_transaction(e->epoch, e->counter);

        if (!epoch || !has_room(r))
                return false;
        view.mark = epoch->mark;
        if (decision_collect(&view).change != DECISION_DELETE)
                return true;
        store_txn_expect(r->x, key.s, e->mod_revision);
        store_txn_delete(r->x, key.s);
        r->n_removals++;
        epoch->mark = decision_advance_mark(epoch->mark, e->counter + 1);
        return true;
}

/* Ended ones in a state, oldest first, but for those that are to be kept. What cannot go yet is put
 * behind the others, so that it is not looked at each time. */
static bool collect_list(struct round *r, enum decision_record state)
{
        struct records *records = r->all->records;
        size_t n = records_count(records, state);
        size_t max_kept = r->all->topo->options.max_kept;
        size_t n_over = n > max_kept ? n - max_kept : 0;
        int64_t limit_us =
            topo_now_us(r->all->topo) - (int64_t)r->all->topo->options.keep_ms * 1000;
        const struct record *e, *next;

        for (e = TAILQ_FIRST(records_list(records, state)); e && n--; e = next) {
                size_t n_before = r->n_removals;

                next = TAILQ_NEXT(e, link);
                if ((e->since_us > limit_us && !n_over) || r->n_looked_at++ == MAX_LOOKED_AT)
                        break;
                if (!collect(r, e))
                        return false;
                n_over -= n_over && r->n_removals > n_before;
                if (r->n_removals == n_before)
                        records_put_off(records, e->epoch, e->counter);
        }
        return true;
}

static bool is_in_round(const struct round *r, uint64_t epoch)
{
        for (size_t i = 0; i < r->n_epochs; i++)
                if (r->epochs[i].epoch == epoch)
                        return true;
        return false;
}

/* Of epochs whose lease has ended: what gates have told is of no use any more, and of the marks
 * only the youngest stay. Below the mark of epoch 0, which no gate has, all epochs are forgotten.
 */
static void collect_marks(struct round *r)
{
        struct records *records = r->all->records;
        size_t n_over = records_count_marks(records);
        struct epoch *all;
        struct record_mark mark;

        n_over -= n_over < MAX_MARKS ? n_over : MAX_MARKS;
        for (uint64_t from = 1; from && records_find_mark(records, from, &mark);
             from = mark.epoch + 1) {
                if (transactions_holder(r->all, mark.epoch))
                        continue;
                if (!mark.mod_revision)
                        records_forget_mark(records, mark.epoch);
                if (!mark.mod_revision || !n_over || is_in_round(r, mark.epoch) || !has_room(r))
                        continue;
                all = find_epoch(r, 0);
                if (!all)
                        return;
                n_over--;
                all->mark = decision_advance_mark(all->mark, mark.epoch + 1);
                store_txn_delete(r->x, key_transaction_mark(mark.epoch).s);
                r->n_removals++;
        }
}

static enum err_code build_round(struct op *op, struct store_txn *x, struct err *reterr)
{
        struct transactions *all = op->arg;
        struct round r = { .all = all, .x = x };

        (void)reterr;
        if (collect_list(&r, DECISION_DONE))
                collect_list(&r, DECISION_ABORTED);
        all->n_collected = r.n_removals;
        collect_marks(&r);
        for (size_t i = 0; i < r.n_epochs; i++)
                finish_epoch(&r, &r.epochs[i]);
        return ERR_OK;
}

static void start_round(struct transactions *all);

static void on_round(struct op *op, const struct err *err)
{
        struct transactions *all = op->arg;

        all->is_collecting = false;
        if (err->code)
                return;
        meters_count_decisions("forgotten", all->n_collected);
        if (all->n_collected && all->topo->ready && ++all->n_rounds < MAX_ROUNDS)
                start_round(all);
}

static const struct op_method collect_round = { .name = "ForgetTransactions",
                                                .build = build_round };

static void start_round(struct transactions *all)
{
        all->is_collecting = true;
        op_start(all->topo, &collect_round, NULL, on_round, all);
}

void transactions_tick(struct transactions *all)
{
        prepared_check(all->prepared, topo_now_us(all->topo));
        all->n_rounds = 0;
        if (!all->is_collecting)
                start_round(all);
}
