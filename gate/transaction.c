/* transaction.c - the gate's transactions: their life, and what each knows of its shards. Loop
 * thread. */
#include "gate/transaction_int.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "gate/gate.h"

/* ---- all of them */

struct transactions *transactions_new(struct gate *g)
{
        struct transactions *all = xcalloc(1, sizeof(*all));

        all->gate = g;
        return all;
}

struct transactions *transactions_free(struct transactions *all)
{
        if (!all)
                return NULL;
        while (all->open)
                transaction_destroy(all->open);
        free(all);
        return NULL;
}

struct transaction *transactions_find(const struct transactions *all, const struct txn_id *id)
{
        struct transaction *t;

        DL_FOREACH(all->open, t)
        {
                if (txn_id_equal(&t->id, id))
                        return t;
        }
        return NULL;
}

uint64_t transactions_oldest(const struct transactions *all)
{
        uint64_t oldest = all->last_counter + 1;
        const struct transaction *t;

        DL_FOREACH(all->open, t)
        {
                if (t->id.epoch == all->epoch && t->id.counter < oldest &&
                    coordinator_may_decide(t->coordinator))
                        oldest = t->id.counter;
        }
        return oldest;
}

static enum err_code next_id(struct transactions *all, struct txn_id *ret_id, struct err *reterr)
{
        uint64_t epoch = topology_epoch(all->gate->topology);

        if (!epoch)
                return err_set(reterr, ERR_UNAVAILABLE, "TOPO_AWAY",
                               "topo is away, and without it no transaction can begin");
        if (epoch != all->epoch)
                all->last_counter = 0;
        all->epoch = epoch;
        *ret_id = (struct txn_id){
                .epoch = epoch,
                .start = hlc_tick(&all->gate->hlc),
                .counter = ++all->last_counter,
        };
        return ERR_OK;
}

/* ---- life */

static int64_t choose_deadline(const struct transaction_options *o)
{
        uint64_t ms = o->gate->options.transaction_limit_ms;

        return o->is_limited && ms ? mono_us() + (int64_t)ms * 1000 : INT64_MAX;
}

enum err_code transaction_new(const struct transaction_options *o, struct transaction **ret_txn,
                              struct err *reterr)
{
        static const struct coordinator_options defaults;
        struct transactions *all = o->gate->transactions;
        struct transaction *t;
        struct txn_id id;
        enum err_code rc = next_id(all, &id, reterr);

        if (rc)
                return rc;
        t = xcalloc(1, sizeof(*t));
        t->all = all;
        t->gate = o->gate;
        t->id = id;
        t->age = (struct txn_age){ o->first_start ? o->first_start : id.start, id };
        t->isolation = o->isolation;
        t->read_only = o->read_only;
        t->coordinator = coordinator_new(&defaults, &t->age, o->isolation, o->session_ts);
        t->catalog = catalog_ref(o->catalog);
        t->keyspace_id = catalog_id(o->catalog);
        t->n_shards = shard_map_size(catalog_shards(o->catalog));
        t->shards = xcalloc(t->n_shards, sizeof(*t->shards));
        t->lane = (unsigned)(id.counter * UINT64_C(0x9e3779b97f4a7c15) >> 40);
        t->deadline_us = choose_deadline(o);
        DL_APPEND(all->open, t);
        *ret_txn = t;
        return ERR_OK;
}

bool transaction_has_parts(const struct transaction *t)
{
        return coordinator_n_participants(t->coordinator) > 0;
}

bool transaction_is_untouched(const struct transaction *t)
{
        for (size_t i = 0; i < t->n_shards; i++)
                if (t->shards[i].pin)
                        return false;
        return !transaction_has_parts(t);
}

enum err_code transaction_enter(struct transaction *t, struct catalog *c, struct err *reterr)
{
        enum txn_result doom = coordinator_doom(t->coordinator);

        if (doom)
                return txn_result_err(doom, "the transaction cannot go on", reterr);
        if (catalog_id(c) != t->keyspace_id || shard_map_size(catalog_shards(c)) != t->n_shards)
                return err_set(reterr, ERR_ABORTED, "KEYSPACE_CHANGED",
                               "the keyspace is not the one the transaction began in");
        catalog_ref(c);
        catalog_unref(t->catalog);
        t->catalog = c;
        return ERR_OK;
}

/* ---- its snapshots */

static const char *tablet_of(const struct transaction *t, size_t shard)
{
        return shard_map_at(catalog_shards(t->catalog), shard)->tablet;
}

/* Has an earlier shard's tablet been told of the pin? */
static bool is_told(const struct transaction *t, size_t shard)
{
        for (size_t i = 0; i < shard; i++)
                if (t->shards[i].pin == t->shards[shard].pin &&
                    strcmp(tablet_of(t, i), tablet_of(t, shard)) == 0)
                        return true;
        return false;
}

void transaction_release_pins(struct transaction *t)
{
        for (size_t i = 0; i < t->n_shards; i++)
                if (t->shards[i].pin && !is_told(t, i))
                        tablet_release_pin(tablets_find(t->gate->tablets, tablet_of(t, i)), t->lane,
                                           t->shards[i].pin);
        for (size_t i = 0; i < t->n_shards; i++)
                t->shards[i].pin = 0;
}

static size_t number_of(struct transaction *t, uint32_t shard)
{
        struct transaction_shard *s = &t->shards[shard];

        if (!s->number)
                s->number = coordinator_shard(t->coordinator, shard) + 1;
        return s->number - 1;
}

void transaction_note_pin(struct transaction *t, uint32_t shard, uint64_t pin, uint32_t round,
                          uint64_t c, uint64_t e)
{
        struct transaction_shard *s = &t->shards[shard];

        coordinator_on_pin(t->coordinator, number_of(t, shard), c, e, false);
        if (t->isolation == COORDINATOR_READ_COMMITTED)
                return;
        s->pin = pin;
        s->round = round;
        s->pin_c = c;
}

/* ---- its parts */

bool transaction_takes_part(const struct transaction *t, uint32_t shard)
{
        const struct transaction_shard *s = &t->shards[shard];

        return s->number && coordinator_is_participant(t->coordinator, s->number - 1);
}

struct tablet_part transaction_take_part(struct transaction *t, uint32_t shard, uint64_t savepoint)
{
        struct coordinator_part p;

        coordinator_take_part(t->coordinator, number_of(t, shard), savepoint, &p);
        return transaction_part(&p);
}

struct tablet_part transaction_part(const struct coordinator_part *p)
{
        return (struct tablet_part){ p->incarnation, p->n_statements, p->expect_c, p->max_c };
}

enum txn_result transaction_result(const struct err *failure)
{
        if (!failure || !failure->code)
                return TXN_OK;
        for (int r = TXN_WRITE_CONFLICT; r < TXN_NO_ANSWER; r++)
                if (strcmp(failure->reason, txn_result_name((enum txn_result)r)) == 0)
                        return (enum txn_result)r;
        return TXN_FAILED;
}

void transaction_note_reply(struct transaction *t, uint32_t shard, const struct tablet_reply *r,
                            const struct err *failure)
{
        coordinator_on_part(t->coordinator, number_of(t, shard), transaction_result(failure),
                            r->incarnation, r->n_statements, r->last_ts);
}

void transaction_note_lost(struct transaction *t, uint32_t shard)
{
        coordinator_on_lost(t->coordinator, number_of(t, shard), mono_us());
}

bool transaction_is_fatal(const struct err *e)
{
        switch (e->code) {
        case ERR_ABORTED:
        case ERR_UNAVAILABLE:
        case ERR_UNKNOWN:
        case ERR_DEADLINE:
        case ERR_CANCELLED:
        case ERR_INTERNAL:
        case ERR_DATA_LOSS:
        case ERR_OUT_OF_RANGE:
                return true;
        default:
                return false;
        }
}
