/* statistics.c - PutStatistics and GetStatistics. Loop thread. */
#include "topo/statistics.h"

#include <string.h>
#include <strings.h>

#include "topo/keys.h"
#include "topo/keyspaces.h"
#include "topo/meters.h"

/* ---------------------------------------------------------------- much the same? */

static bool is_similar_number(uint64_t a, uint64_t b)
{
        double low = a < b ? (double)a : (double)b, high = a < b ? (double)b : (double)a;

        return (high - low) * 100 <= high * STATISTICS_SIMILAR_PERCENT;
}

static bool is_similar_index(const Shoal__V1__IndexStatistics *a,
                             const Shoal__V1__IndexStatistics *b)
{
        if (strcasecmp(a->name, b->name) || a->n_distinct != b->n_distinct ||
            !is_similar_number(a->rows, b->rows))
                return false;
        for (size_t i = 0; i < a->n_distinct; i++)
                if (!is_similar_number(a->distinct[i], b->distinct[i]))
                        return false;
        return true;
}

static bool is_similar(const Shoal__V1__TableStatistics *a, const Shoal__V1__TableStatistics *b)
{
        if (!is_similar_number(a->rows, b->rows) || a->n_indexes != b->n_indexes)
                return false;
        for (size_t i = 0; i < a->n_indexes; i++)
                if (!is_similar_index(a->indexes[i], b->indexes[i]))
                        return false;
        return true;
}

/* ---------------------------------------------------------------- putting */

static enum err_code check_put(const Shoal__V1__PutStatisticsRequest *rq, struct err *reterr)
{
        if (rq->n_tables > STATISTICS_MAX_TABLES ||
            shoal__v1__put_statistics_request__get_packed_size(rq) > STATISTICS_MAX_BYTES)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT",
                               "statistics of at most %d tables and %d bytes at a time",
                               STATISTICS_MAX_TABLES, STATISTICS_MAX_BYTES);
        for (size_t i = 0; i < rq->n_tables; i++)
                for (size_t k = 0; k < i; k++)
                        if (!strcasecmp(rq->tables[i]->table, rq->tables[k]->table))
                                return err_set(reterr, ERR_INVALID, "BAD_STATISTICS",
                                               "table %.64s comes twice", rq->tables[i]->table);
        return ERR_OK;
}

/* Tables that are gone meanwhile are passed over. */
static enum err_code build_put(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__PutStatisticsRequest *rq = (Shoal__V1__PutStatisticsRequest *)op->request;
        const struct catalog *c = op->topo->catalog;
        const struct catalog_entry *keyspace;
        enum err_code rc = check_put(rq, reterr);

        if (!rc)
                rc = keyspaces_find_id(c, rq->keyspace_id, &keyspace, reterr);
        if (rc)
                return rc;
        for (size_t i = 0; i < rq->n_tables; i++) {
                Shoal__V1__TableStatistics *s = rq->tables[i];
                Shoal__V1__StatisticsRecord record = SHOAL__V1__STATISTICS_RECORD__INIT;
                struct key key = key_statistics(rq->keyspace_id, s->table);
                const struct catalog_entry *old = catalog_find(c, key.s);

                if (!catalog_find(c, key_table(rq->keyspace_id, s->table).s) ||
                    (rq->only_if_changed && old && is_similar(old->statistics->statistics, s)))
                        continue;
                record.keyspace_id = rq->keyspace_id;
                record.statistics = s;
                record.taken_unix_ms = wall_us() / 1000;
                op_put(x, key.s, &record.base, 0);
        }
        /* A table that goes at the same time takes its statistics along. */
        if (store_txn_n_changes(x))
                op_expect(x, keyspace->key, keyspace);
        return ERR_OK;
}

static void reply_put(struct op *op)
{
        Shoal__V1__PutStatisticsResponse reply = SHOAL__V1__PUT_STATISTICS_RESPONSE__INIT;

        reply.version = catalog_statistics_version(op->topo->catalog);
        meters_count_statistics(op->revision != 0);
        op_reply(op, &reply.base);
}

const struct op_method statistics_put = {
        .name = "PutStatistics",
        .request = &shoal__v1__put_statistics_request__descriptor,
        .build = build_put,
        .committed = reply_put,
};

/* ---------------------------------------------------------------- getting */

static int compare_revisions(const void *a, const void *b)
{
        const struct catalog_entry *const *x = a, *const *y = b;

        return ((*x)->mod_revision > (*y)->mod_revision) -
               ((*x)->mod_revision < (*y)->mod_revision);
}

/* Those newer than since, oldest first; malloc'ed array. */
static const struct catalog_entry **list_newer(const struct catalog *c, uint64_t since,
                                               size_t *ret_n)
{
        const struct catalog_entry **list =
            xcalloc(catalog_count(c, KEYS_STATISTICS) + 1, sizeof(const struct catalog_entry *));
        const struct catalog_entry *e = catalog_first(c, KEYS_STATISTICS);

        *ret_n = 0;
        for (; e; e = catalog_next(c, e, KEYS_STATISTICS))
                if (e->mod_revision > since)
                        list[(*ret_n)++] = e;
        qsort(list, *ret_n, sizeof *list, compare_revisions);
        return list;
}

/* What one revision wrote goes together: as many of the list as make about a full answer. */
static size_t choose_page(const struct catalog_entry **list, size_t n)
{
        size_t n_bytes = 0, i = 0;

        while (i < n && (n_bytes < STATISTICS_MAX_BYTES ||
                         list[i]->mod_revision == list[i - 1]->mod_revision)) {
                n_bytes += protobuf_c_message_get_packed_size(list[i]->message) + 16;
                i++;
        }
        return i;
}

static enum err_code build_get(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__GetStatisticsRequest *rq = (Shoal__V1__GetStatisticsRequest *)op->request;
        Shoal__V1__GetStatisticsResponse reply = SHOAL__V1__GET_STATISTICS_RESPONSE__INIT;
        const struct catalog *c = op->topo->catalog;
        size_t n;
        cleanup_(freep) const struct catalog_entry **list = list_newer(c, rq->since_version, &n);
        size_t n_page = choose_page(list, n);
        cleanup_(freep) Shoal__V1__KeyspaceTableStatistics *items =
            xcalloc(n_page + 1, sizeof *items);
        cleanup_(freep) Shoal__V1__KeyspaceTableStatistics **pointers =
            xcalloc(n_page + 1, sizeof(Shoal__V1__KeyspaceTableStatistics *));

        for (size_t i = 0; i < n_page; i++) {
                shoal__v1__keyspace_table_statistics__init(&items[i]);
                items[i].keyspace_id = list[i]->statistics->keyspace_id;
                items[i].statistics = list[i]->statistics->statistics;
                pointers[i] = &items[i];
        }
        reply.more = n_page < n;
        reply.version = reply.more ? list[n_page - 1]->mod_revision : catalog_statistics_version(c);
        reply.n_tables = n_page;
        reply.tables = pointers;
        op_reply(op, &reply.base);
        return ERR_OK;
}

const struct op_method statistics_get = {
        .name = "GetStatistics",
        .request = &shoal__v1__get_statistics_request__descriptor,
        .build = build_get,
};
