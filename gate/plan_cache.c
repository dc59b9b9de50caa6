/* plan_cache.c - see plan_cache.h. An entry is found by keyspace, schema version and text, so that
 * a changed schema leaves the old plans to be pushed out. Loop thread. */
#include "gate/plan_cache.h"

#include <string.h>
#include <utlist.h>
#include <xxhash.h>
/* Keys are whole statements: uthash's own function takes longer than the rest of a lookup. */
#define HASH_FUNCTION(key, n_bytes, hash) ((hash) = (unsigned)XXH3_64bits(key, n_bytes))
#include <uthash.h>

#include "sql/normalize.h"

/* Statements longer than this are not worth keeping: bulk inserts, mostly. */
enum { MAX_KEPT_TEXT_BYTES = 64 << 10 };

struct entry {
        UT_hash_handle hh;
        struct entry *prev, *next; /* least recently used first */
        struct plan *plan;
        uint64_t statistics_version; /* of the catalog when it was made */
        size_t n_bytes;
        size_t n_key_bytes;
        uint8_t key[];
};

/* Owner: the loop thread. */
struct plan_cache {
        struct entry *by_key;
        struct entry *by_use;
        size_t n_bytes, max_bytes;
        size_t n;
        struct sql_normalized normalized;
        struct buf key; /* the one being looked up */
};

struct plan_cache *plan_cache_new(size_t max_bytes)
{
        struct plan_cache *pc = xcalloc(1, sizeof *pc);

        pc->max_bytes = max_bytes;
        return pc;
}

static void drop_entry(struct plan_cache *pc, struct entry *e)
{
        HASH_DEL(pc->by_key, e);
        DL_DELETE(pc->by_use, e);
        pc->n_bytes -= e->n_bytes;
        pc->n--;
        plan_unref(e->plan);
        free(e);
}

struct plan_cache *plan_cache_free(struct plan_cache *pc)
{
        if (!pc)
                return NULL;
        while (pc->by_use)
                drop_entry(pc, pc->by_use);
        sql_normalized_done(&pc->normalized);
        buf_done(&pc->key);
        free(pc);
        return NULL;
}

/* n_literals: taken out of the text, which then may read just like one with parameters of the
 * client's own. */
static void make_key(struct plan_cache *pc, const struct catalog *c, const char *sql,
                     size_t n_bytes, size_t n_literals)
{
        uint64_t ids[] = { catalog_id(c), catalog_schema_version(c), n_literals };

        pc->key.n_bytes = 0;
        buf_add(&pc->key, ids, sizeof ids);
        buf_add(&pc->key, sql, n_bytes);
}

/* The plan of the key last made, a reference to it; NULL if there is none. */
static struct plan *find_plan(struct plan_cache *pc, const struct catalog *c)
{
        struct entry *e;

        HASH_FIND(hh, pc->by_key, pc->key.data, pc->key.n_bytes, e);
        if (!e)
                return NULL;
        /* Another shard map makes another catalog of the same version: the plan holds on to the one
         * it was made with. And what is known of the rows now may make another plan better. */
        if (e->plan->catalog != c || e->statistics_version != catalog_statistics_version(c)) {
                drop_entry(pc, e);
                return NULL;
        }
        DL_DELETE(pc->by_use, e);
        DL_APPEND(pc->by_use, e);
        return plan_ref(e->plan);
}

static void keep_plan(struct plan_cache *pc, const struct catalog *c, const char *sql,
                      size_t n_bytes, size_t n_literals, struct plan *plan)
{
        struct entry *e;

        if (plan->kind == PLAN_DDL || n_bytes > MAX_KEPT_TEXT_BYTES)
                return;
        make_key(pc, c, sql, n_bytes, n_literals);
        e = xcalloc(1, sizeof *e + pc->key.n_bytes);
        e->plan = plan_ref(plan);
        e->statistics_version = catalog_statistics_version(c);
        e->n_key_bytes = pc->key.n_bytes;
        memcpy(e->key, pc->key.data, pc->key.n_bytes);
        e->n_bytes = sizeof *e + e->n_key_bytes + arena_bytes(plan->arena);
        if (plan->explained)
                e->n_bytes += arena_bytes(plan->explained->arena);
        HASH_ADD_KEYPTR(hh, pc->by_key, e->key, e->n_key_bytes, e);
        DL_APPEND(pc->by_use, e);
        pc->n_bytes += e->n_bytes;
        pc->n++;
        while (pc->n_bytes > pc->max_bytes && pc->by_use)
                drop_entry(pc, pc->by_use);
}

/* The literals outlive the next normalisation: their bytes move to the arena. */
static enum err_code take_literals(const struct sql_normalized *n, struct arena *arena,
                                   const struct value **ret_literals, struct err *reterr)
{
        struct value *values = arena_memdup(arena, n->values, n->n_values * sizeof *values);
        uint8_t *bytes = arena_memdup(arena, n->bytes.data, n->bytes.n_bytes);

        if (!values || !bytes)
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement is too large");
        for (uint32_t i = 0; i < n->n_values; i++)
                if ((values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB) &&
                    values[i].n_bytes)
                        values[i].data = bytes + ((const uint8_t *)values[i].data - n->bytes.data);
        *ret_literals = values;
        return ERR_OK;
}

/* By the normalised text. ERR_NOT_FOUND without a message: planning it failed, the text as it was
 * may do better or fail with the right offset. */
static enum err_code get_normalized(struct plan_cache *pc, struct catalog *c, struct arena *arena,
                                    struct plan **ret_plan, const struct value **ret_literals,
                                    bool *ret_cached, struct err *reterr)
{
        const struct sql_normalized *n = &pc->normalized;
        const char *text = (const char *)n->text.data;
        cleanup_(plan_unrefp) struct plan *plan = NULL;
        enum err_code rc;

        make_key(pc, c, text, n->text.n_bytes, n->n_values);
        plan = find_plan(pc, c);
        *ret_cached = plan != NULL;
        if (!plan) {
                rc = plan_build(c, text, n->text.n_bytes, n->n_values, &plan, NULL);
                if (rc)
                        return ERR_NOT_FOUND;
                keep_plan(pc, c, text, n->text.n_bytes, n->n_values, plan);
        }
        rc = take_literals(n, arena, ret_literals, reterr);
        if (rc)
                return rc;
        *ret_plan = TAKE(plan);
        return ERR_OK;
}

enum err_code plan_cache_get(struct plan_cache *pc, struct catalog *c, const char *sql,
                             size_t n_bytes, struct arena *arena, struct plan **ret_plan,
                             const struct value **ret_literals, bool *ret_cached,
                             struct err *reterr)
{
        struct plan *plan;
        enum err_code rc;

        *ret_literals = NULL;
        make_key(pc, c, sql, n_bytes, 0);
        plan = find_plan(pc, c);
        if (plan) {
                *ret_plan = plan;
                *ret_cached = true;
                return ERR_OK;
        }
        if (sql_normalize(sql, n_bytes, &pc->normalized)) {
                rc = get_normalized(pc, c, arena, ret_plan, ret_literals, ret_cached, reterr);
                if (rc != ERR_NOT_FOUND)
                        return rc;
        }
        *ret_cached = false;
        rc = plan_build(c, sql, n_bytes, 0, &plan, reterr);
        if (rc)
                return rc;
        keep_plan(pc, c, sql, n_bytes, 0, plan);
        *ret_plan = plan;
        return ERR_OK;
}

size_t plan_cache_bytes(const struct plan_cache *pc)
{
        return pc->n_bytes;
}

size_t plan_cache_count(const struct plan_cache *pc)
{
        return pc->n;
}
