/* statistics.c - keeps what topo tells of tables, by keyspace and name. Loop thread. */
#include "gate/statistics.h"

#include <inttypes.h>
#include <uthash.h>

#include "common/log.h"
#include "rpc/server.h"

enum { TIMEOUT_MS = 5000 };

struct known {
        UT_hash_handle hh;
        uint64_t keyspace_id;
        Shoal__V1__TableStatistics *m;
        char key[]; /* "7/name", in lower case */
};

/* Owner: the loop thread. */
struct statistics {
        struct statistics_options options;
        struct known *all;
        uint64_t version; /* what is known is of this version */
        struct rpc_request *request;
        bool is_freed; /* but for the request that is still under way */
};

static void ask(struct statistics *s);

/* malloc'ed */
static char *make_key(uint64_t keyspace_id, const char *table)
{
        char *key = xasprintf("%" PRIu64 "/%s", keyspace_id, table);

        for (char *p = key; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
        return key;
}

static void drop(struct statistics *s, struct known *k)
{
        HASH_DEL(s->all, k);
        shoal__v1__table_statistics__free_unpacked(k->m, NULL);
        free(k);
}

static Shoal__V1__TableStatistics *copy(const Shoal__V1__TableStatistics *m)
{
        size_t n = shoal__v1__table_statistics__get_packed_size(m);
        cleanup_(freep) uint8_t *packed = xmalloc(n + 1);

        shoal__v1__table_statistics__pack(m, packed);
        return shoal__v1__table_statistics__unpack(NULL, n, packed);
}

void statistics_keep(struct statistics *s, uint64_t keyspace_id,
                     const Shoal__V1__TableStatistics *m)
{
        struct catalog *c = s->options.find_catalog(s->options.arg, keyspace_id);
        cleanup_(freep) char *key = make_key(keyspace_id, m->table);
        size_t n = strlen(key);
        struct known *k;

        HASH_FIND(hh, s->all, key, n, k);
        if (k)
                drop(s, k);
        k = xcalloc(1, sizeof *k + n + 1);
        k->keyspace_id = keyspace_id;
        k->m = copy(m);
        memcpy(k->key, key, n + 1);
        HASH_ADD_KEYPTR(hh, s->all, k->key, n, k);
        if (c)
                catalog_set_statistics(c, m);
}

void statistics_fill(struct statistics *s, struct catalog *c)
{
        struct known *k, *next;

        HASH_ITER(hh, s->all, k, next)
        {
                if (k->keyspace_id != catalog_id(c))
                        continue;
                if (catalog_find_table(c, k->m->table))
                        catalog_set_statistics(c, k->m);
                else
                        drop(s, k);
        }
}

void statistics_forget(struct statistics *s, uint64_t keyspace_id)
{
        struct known *k, *next;

        HASH_ITER(hh, s->all, k, next)
        {
                if (k->keyspace_id == keyspace_id)
                        drop(s, k);
        }
}

size_t statistics_count(const struct statistics *s)
{
        return HASH_COUNT(s->all);
}

/* ---- asking topo */

/* True: there is more. */
static bool take(struct statistics *s, const Shoal__V1__GetStatisticsResponse *r)
{
        bool moves = r->version != s->version;

        for (size_t i = 0; i < r->n_tables; i++)
                if (r->tables[i]->statistics)
                        statistics_keep(s, r->tables[i]->keyspace_id, r->tables[i]->statistics);
        s->version = r->version;
        return r->more && moves;
}

static void on_answer(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct statistics *s = arg;
        Shoal__V1__GetStatisticsResponse *r = NULL;
        bool more = false;

        s->request = NULL;
        if (s->is_freed) {
                free(s);
                return;
        }
        if (e->code == ERR_OK)
                r = shoal__v1__get_statistics_response__unpack(NULL, n_bytes, body);
        if (r) {
                more = take(s, r);
                shoal__v1__get_statistics_response__free_unpacked(r, NULL);
        } else {
                /* The next heartbeat tries again. */
                log_event(LOG_WARN, "statistics_failed", "code=%s error=%s", err_code_name(e->code),
                          log_quote(e->msg));
        }
        if (more)
                ask(s);
}

static void ask(struct statistics *s)
{
        Shoal__V1__GetStatisticsRequest m = SHOAL__V1__GET_STATISTICS_REQUEST__INIT;

        m.since_version = s->version;
        s->request = rpc_unary(s->options.topo, "/shoal.v1.TopoInternal/GetStatistics",
                               rpc_pack(&m.base), mono_us() + TIMEOUT_MS * 1000, on_answer, s);
}

void statistics_note_version(struct statistics *s, uint64_t version)
{
        if (version != s->version && !s->request)
                ask(s);
}

/* ---- life */

struct statistics *statistics_new(const struct statistics_options *o)
{
        struct statistics *s = xcalloc(1, sizeof *s);

        s->options = *o;
        return s;
}

struct statistics *statistics_free(struct statistics *s)
{
        struct known *k, *next;

        if (!s)
                return NULL;
        HASH_ITER(hh, s->all, k, next)
        {
                drop(s, k);
        }
        s->is_freed = true;
        if (s->request)
                rpc_request_cancel(s->request);
        else
                free(s);
        return NULL;
}
