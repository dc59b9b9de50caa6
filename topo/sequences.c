/* sequences.c - AllocateIds by the rules of sequences.h. Loop thread. */
#include "topo/sequences.h"

#include <string.h>

#include "proto/shoal/v1/internal.pb-c.h"
#include "topo/gates.h"
#include "topo/keys.h"
#include "topo/keyspaces.h"
#include "topo/meters.h"

struct range {
        int64_t first, limit;
};

static int64_t add_capped(int64_t a, uint64_t n)
{
        return n > (uint64_t)INT64_MAX - (uint64_t)a ? INT64_MAX : (int64_t)((uint64_t)a + n);
}

/* How many ids to give: what is asked, or twice the last range if that was used up quickly. */
static uint64_t choose_block(const Shoal__V1__AllocateIdsRequest *rq,
                             const Shoal__V1__SequenceRecord *old, int64_t now_ms)
{
        uint64_t n = rq->count > SEQUENCES_MIN_BLOCK ? rq->count : SEQUENCES_MIN_BLOCK;

        if (old && now_ms - old->given_unix_ms < SEQUENCES_BUSY_MS && 2 * old->block > n)
                n = 2 * old->block;
        return n < SEQUENCES_MAX_BLOCK ? n : SEQUENCES_MAX_BLOCK;
}

/* Puts the holders other than the caller that live into list; returns their number. Who is dead
 * stays so: an epoch does not come back. */
static size_t list_others(const struct catalog *c, const Shoal__V1__SequenceRecord *old,
                          const char *caller, Shoal__V1__SequenceHolder **list)
{
        size_t n = 0;

        for (size_t i = 0; old && i < old->n_holders; i++) {
                Shoal__V1__SequenceHolder *holder = old->holders[i];

                if (strcmp(holder->gate, caller) && gates_is_alive(c, holder->gate, holder->epoch))
                        list[n++] = holder;
        }
        return n;
}

/* Does the record say already that the caller is the only holder? */
static bool is_only_holder(const Shoal__V1__SequenceRecord *old,
                           const Shoal__V1__AllocateIdsRequest *rq)
{
        return old && old->n_holders == 1 && !strcmp(old->holders[0]->gate, rq->gate) &&
               old->holders[0]->epoch == rq->gate_epoch;
}

/* The rules. high: what it is now, or above + 1 if that is more. */
static struct range choose_range(const Shoal__V1__AllocateIdsRequest *rq, int64_t high,
                                 bool others_live, uint64_t block)
{
        struct range r = { .first = others_live ? high : rq->above + 1, .limit = high };

        /* The only holder has what is left below high already. */
        if ((uint64_t)r.limit - (uint64_t)r.first < (rq->count ? rq->count : 1))
                r.limit = add_capped(r.first, block);
        if (r.limit < high)
                r.limit = high;
        return r;
}

static void put_record(struct store_txn *x, const struct catalog_entry *e,
                       const Shoal__V1__AllocateIdsRequest *rq, Shoal__V1__SequenceRecord *record)
{
        Shoal__V1__SequenceHolder self = SHOAL__V1__SEQUENCE_HOLDER__INIT;
        struct key key = key_sequence(rq->keyspace_id, rq->table);

        self.gate = rq->gate;
        self.epoch = rq->gate_epoch;
        record->holders[record->n_holders++] = &self;
        op_expect(x, key.s, e);
        op_put(x, key.s, &record->base, 0);
}

static enum err_code give(struct op *op, struct store_txn *x, const struct catalog_entry *e,
                          struct err *reterr)
{
        Shoal__V1__AllocateIdsRequest *rq = (Shoal__V1__AllocateIdsRequest *)op->request;
        const Shoal__V1__SequenceRecord *old = e ? e->sequence : NULL;
        cleanup_(freep) Shoal__V1__SequenceHolder **holders =
            xcalloc((old ? old->n_holders : 0) + 1, sizeof *holders);
        Shoal__V1__SequenceRecord record = SHOAL__V1__SEQUENCE_RECORD__INIT;
        Shoal__V1__AllocateIdsResponse reply = SHOAL__V1__ALLOCATE_IDS_RESPONSE__INIT;
        int64_t high = old && old->high > rq->above + 1 ? old->high : rq->above + 1;
        struct range r;

        record.given_unix_ms = wall_us() / 1000;
        record.block = choose_block(rq, old, record.given_unix_ms);
        record.holders = holders;
        record.n_holders = list_others(op->topo->catalog, old, rq->gate, holders);
        r = choose_range(rq, high, record.n_holders, record.block);
        if (r.first == INT64_MAX)
                return err_set(reterr, ERR_EXHAUSTED, "IDS_EXHAUSTED", "no id is left above %lld",
                               (long long)rq->above);
        op->given = (uint64_t)r.limit - (uint64_t)high;
        reply.first = r.first;
        reply.limit = record.high = r.limit;
        op_reply(op, &reply.base);
        if (record.n_holders || !is_only_holder(old, rq) || old->high != r.limit)
                put_record(x, e, rq, &record);
        return ERR_OK;
}

static enum err_code build_allocate(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__AllocateIdsRequest *rq = (Shoal__V1__AllocateIdsRequest *)op->request;
        const struct catalog *c = op->topo->catalog;
        const struct catalog_entry *keyspace;
        const struct catalog_entry *table =
            catalog_find(c, key_table(rq->keyspace_id, rq->table).s);
        enum err_code rc = gates_check_caller(c, rq->gate, rq->gate_epoch, reterr);

        if (!rc)
                rc = keyspaces_find_id(c, rq->keyspace_id, &keyspace, reterr);
        if (rc)
                return rc;
        if (!table)
                return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_TABLE", "no such table: %.64s",
                               rq->table);
        if (rq->above == INT64_MAX)
                return err_set(reterr, ERR_OUT_OF_RANGE, "IDS_EXHAUSTED",
                               "the largest id there is, is in use");
        op_expect(x, table->key, table);
        gates_expect(x, c, rq->gate);
        return give(op, x, catalog_find(c, key_sequence(rq->keyspace_id, rq->table).s), reterr);
}

static void count_ids(struct op *op)
{
        meters_count_ids(op->given);
}

const struct op_method sequences_allocate = {
        .name = "AllocateIds",
        .request = &shoal__v1__allocate_ids_request__descriptor,
        .build = build_allocate,
        .committed = count_ids,
};
