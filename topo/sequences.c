/* sequences.c - AllocateIds by the rules of sequences.h. Loop thread. */
#include "topo/sequences.h"

#include <string.h>

#include "proto/shoal/v1/internal.pb-c.h"
#include "topo/gates.h"
#include "topo/keys.h"
#include "topo/keyspaces.h"
#include "topo/meters.h"

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

/* Puts the holders other than the caller that live into list, and expects in x that those left out
 * stay as they are; returns their number. */
static size_t list_others(const struct catalog *c, const Shoal__V1__SequenceRecord *old,
                          const char *caller, Shoal__V1__SequenceHolder **list, struct store_txn *x)
{
        size_t n = 0;

        for (size_t i = 0; old && i < old->n_holders; i++) {
                Shoal__V1__SequenceHolder *holder = old->holders[i];

                if (!strcmp(holder->gate, caller))
                        continue;
                if (gates_is_alive(c, holder->gate, holder->epoch))
                        list[n++] = holder;
                else
                        gates_expect(x, c, holder->gate);
        }
        return n;
}

/* Is the record as good as what would be written? Then nothing need be. */
static bool is_settled(const Shoal__V1__SequenceRecord *old,
                       const Shoal__V1__AllocateIdsRequest *rq, int64_t limit)
{
        return old && old->n_holders == 1 && !strcmp(old->holders[0]->gate, rq->gate) &&
               old->holders[0]->epoch == rq->gate_epoch && old->high == limit;
}

static enum err_code give(struct op *op, struct store_txn *x, const struct catalog_entry *sequence,
                          struct err *reterr)
{
        Shoal__V1__AllocateIdsRequest *rq = (Shoal__V1__AllocateIdsRequest *)op->request;
        const Shoal__V1__SequenceRecord *old = sequence ? sequence->sequence : NULL;
        cleanup_(freep) Shoal__V1__SequenceHolder **holders =
            xcalloc((old ? old->n_holders : 0) + 1, sizeof *holders);
        Shoal__V1__SequenceRecord record = SHOAL__V1__SEQUENCE_RECORD__INIT;
        Shoal__V1__SequenceHolder self = SHOAL__V1__SEQUENCE_HOLDER__INIT;
        Shoal__V1__AllocateIdsResponse reply = SHOAL__V1__ALLOCATE_IDS_RESPONSE__INIT;
        struct key key = key_sequence(rq->keyspace_id, rq->table);
        size_t n_others = list_others(op->topo->catalog, old, rq->gate, holders, x);
        int64_t now_ms = wall_us() / 1000;
        uint64_t block = choose_block(rq, old, now_ms);
        int64_t high = old && old->high > rq->above + 1 ? old->high : rq->above + 1;

        reply.first = n_others ? high : rq->above + 1;
        /* The only holder already has what is left below high. */
        reply.limit = add_capped(reply.first, block);
        if (reply.limit < high)
                reply.limit = high;
        if (reply.first == INT64_MAX)
                return err_set(reterr, ERR_EXHAUSTED, "IDS_EXHAUSTED", "no id is left above %lld",
                               (long long)rq->above);
        op->given = (uint64_t)reply.limit - (uint64_t)high;
        op_reply(op, &reply.base);
        if (!n_others && is_settled(old, rq, reply.limit))
                return ERR_OK;
        self.gate = rq->gate;
        self.epoch = rq->gate_epoch;
        holders[n_others] = &self;
        record.high = reply.limit;
        record.holders = holders;
        record.n_holders = n_others + 1;
        record.block = block;
        record.given_unix_ms = now_ms;
        op_expect(x, key.s, sequence);
        op_put(x, key.s, &record.base, 0);
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
