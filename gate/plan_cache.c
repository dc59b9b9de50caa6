/* plan_cache.c - see plan_cache.h. An entry is found by keyspace, schema version and text, so that
 * a changed schema leaves the old plans to be pushed out. Loop thread. */
#include "gate/plan_cache.h"

#include <string.h>
#include <utlist.h>
#include <xxhash.h>

#include "sql/normalize.h"

enum {
        MAX_KEPT_TEXT_BYTES = 64 << 10, /* what is longer is a bulk insert, mostly */
        /* Of a text that is kept together with its literals: what has more is data. */
        MAX_AGAIN_TEXT_BYTES = 4 << 10,
        MAX_AGAIN_LITERALS = 64,
        N_SEEN = 1024, /* a power of two */
        MIN_SLOTS = 64,
};

/* What a plan is found by. */
struct key {
        const char *text;
        size_t n_bytes;
        uint64_t keyspace_id, schema_version;
        size_t n_literals; /* taken out of the text, which then may read just like one with
                              parameters of the client's own */
        uint64_t hash;
};

/* Texts and blobs lie in bytes. */
struct literals {
        const struct value *values;
        size_t n;
        const uint8_t *bytes;
        size_t n_bytes;
};

struct entry {
        struct entry *prev, *next; /* least recently used first */
        struct key key;            /* its text lies behind the entry */
        struct plan *plan;
        struct literals literals; /* of a text as it came; its plan is that of the normalised one */
        uint64_t statistics_version; /* of the catalog when it was made */
        size_t n_bytes;
        bool is_in_plan; /* it lies in the plan's arena, and goes with that */
};

/* Entries lie all over the memory: only the one that is meant is looked at. */
struct slot {
        uint64_t hash;
        struct entry *entry; /* NULL: free */
};

/* Owner: the loop thread. */
struct plan_cache {
        struct slot *slots; /* an open hash table, at most half full */
        size_t n_slots;     /* a power of two */
        struct entry *by_use;
        size_t n_bytes, max_bytes;
        size_t n;
        struct sql_normalized normalized;
        uint32_t
            seen[N_SEEN]; /* what of the hashes of texts with literals does not tell the index */
};

struct plan_cache *plan_cache_new(size_t max_bytes)
{
        struct plan_cache *pc = xcalloc(1, sizeof *pc);

        pc->max_bytes = max_bytes;
        pc->n_slots = MIN_SLOTS;
        pc->slots = xcalloc(pc->n_slots, sizeof *pc->slots);
        return pc;
}

/* ---- the hash table */

/* The entry's slot, or the free one where it would be. */
static size_t find_slot(const struct plan_cache *pc, const struct key *k)
{
        size_t i = k->hash & (pc->n_slots - 1);

        for (;; i = (i + 1) & (pc->n_slots - 1)) {
                const struct entry *e = pc->slots[i].entry;

                if (!e)
                        return i;
                if (pc->slots[i].hash == k->hash && e->key.n_bytes == k->n_bytes &&
                    e->key.keyspace_id == k->keyspace_id &&
                    e->key.schema_version == k->schema_version &&
                    e->key.n_literals == k->n_literals &&
                    memcmp(e->key.text, k->text, k->n_bytes) == 0)
                        return i;
        }
}

/* The slot of an entry that is there; the entry itself is not looked at. */
static size_t slot_of(const struct plan_cache *pc, const struct entry *e, uint64_t hash)
{
        size_t i = hash & (pc->n_slots - 1);

        while (pc->slots[i].entry != e)
                i = (i + 1) & (pc->n_slots - 1);
        return i;
}

static void put_slot(struct slot *slots, size_t n_slots, struct slot s)
{
        size_t i = s.hash & (n_slots - 1);

        while (slots[i].entry)
                i = (i + 1) & (n_slots - 1);
        slots[i] = s;
}

static void add_slot(struct plan_cache *pc, struct entry *e)
{
        if (pc->n >= pc->n_slots / 2) {
                struct slot *grown = xcalloc(pc->n_slots * 2, sizeof *grown);

                for (size_t i = 0; i < pc->n_slots; i++)
                        if (pc->slots[i].entry)
                                put_slot(grown, pc->n_slots * 2, pc->slots[i]);
                free(pc->slots);
                pc->slots = grown;
                pc->n_slots *= 2;
        }
        put_slot(pc->slots, pc->n_slots, (struct slot){ .hash = e->key.hash, .entry = e });
        pc->n++;
}

/* What was put further on because of it moves up. */
static void free_slot(struct plan_cache *pc, size_t hole)
{
        size_t mask = pc->n_slots - 1;

        for (size_t i = (hole + 1) & mask; pc->slots[i].entry; i = (i + 1) & mask) {
                size_t n_moved = (i - pc->slots[i].hash) & mask;

                if (n_moved < ((i - hole) & mask))
                        continue;
                pc->slots[hole] = pc->slots[i];
                hole = i;
        }
        pc->slots[hole].entry = NULL;
        pc->n--;
}

/* ---- entries */

static void drop_entry(struct plan_cache *pc, struct entry *e)
{
        struct plan *plan = e->plan;

        free_slot(pc, slot_of(pc, e, e->key.hash));
        DL_DELETE(pc->by_use, e);
        pc->n_bytes -= e->n_bytes;
        if (!e->is_in_plan)
                free(e);
        plan_unref(plan);
}

/* While the next plan is made, the processor fetches what pushing out the oldest for it will touch:
 * after so long they are in none of its caches. What is behind a pointer waits for the next time,
 * when the pointer is there. */
static void fetch_oldest(const struct plan_cache *pc)
{
        const struct entry *e = pc->by_use;

        if (!e || pc->n_bytes < pc->max_bytes / 8 * 7)
                return;
        __builtin_prefetch(e->plan->arena, 1);
        e = e->next;
        if (!e)
                return;
        __builtin_prefetch(&pc->slots[e->key.hash & (pc->n_slots - 1)], 1);
        __builtin_prefetch(e->plan, 1);
        __builtin_prefetch(&e->plan->refs, 1);
        e = e->next;
        if (!e)
                return;
        __builtin_prefetch(e, 1);
        __builtin_prefetch(&e->plan, 1);
}

struct plan_cache *plan_cache_free(struct plan_cache *pc)
{
        if (!pc)
                return NULL;
        while (pc->by_use)
                drop_entry(pc, pc->by_use);
        sql_normalized_done(&pc->normalized);
        free(pc->slots);
        free(pc);
        return NULL;
}

static struct key make_key(const struct catalog *c, const char *sql, size_t n_bytes,
                           size_t n_literals)
{
        struct key k = { .text = sql,
                         .n_bytes = n_bytes,
                         .keyspace_id = catalog_id(c),
                         .schema_version = catalog_schema_version(c),
                         .n_literals = n_literals };

        k.hash = XXH3_64bits_withSeed(sql, n_bytes, k.keyspace_id ^ k.schema_version << 32);
        return k;
}

/* NULL if there is none. */
static struct entry *find_entry(struct plan_cache *pc, const struct catalog *c, const struct key *k)
{
        struct entry *e = pc->slots[find_slot(pc, k)].entry;

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
        return e;
}

/* A copy with the bytes behind it, at `to`; room for both is there. */
static void copy_literals(const struct literals *from, struct value *to)
{
        uint8_t *bytes = (uint8_t *)(to + from->n);

        if (from->n)
                memcpy(to, from->values, from->n * sizeof *to);
        if (from->n_bytes)
                memcpy(bytes, from->bytes, from->n_bytes);
        for (size_t i = 0; i < from->n; i++)
                if ((to[i].type == VALUE_TEXT || to[i].type == VALUE_BLOB) && to[i].n_bytes)
                        to[i].data = bytes + ((const uint8_t *)to[i].data - from->bytes);
}

static size_t literals_bytes(const struct literals *l)
{
        return l->n * sizeof *l->values + l->n_bytes;
}

/* literals: NULL, or of the text of k, whose plan is for another text. */
static void keep_plan(struct plan_cache *pc, const struct catalog *c, const struct key *k,
                      struct plan *plan, const struct literals *literals)
{
        size_t n_literals_bytes = literals ? literals_bytes(literals) : 0;
        size_t n_bytes = sizeof(struct entry) + n_literals_bytes + k->n_bytes;
        struct entry *e;
        char *text;

        if (plan->kind == PLAN_DDL || k->n_bytes > MAX_KEPT_TEXT_BYTES)
                return;
        e = literals ? xmalloc(n_bytes) : arena_alloc(plan->arena, n_bytes);
        if (!e)
                return;
        *e = (struct entry){ .is_in_plan = !literals };
        text = (char *)(e + 1) + n_literals_bytes;
        memcpy(text, k->text, k->n_bytes);
        e->key = *k;
        e->key.text = text;
        if (literals) {
                struct value *values = (struct value *)(e + 1);

                copy_literals(literals, values);
                e->literals = (struct literals){ .values = values,
                                                 .n = literals->n,
                                                 .bytes = (uint8_t *)(values + literals->n),
                                                 .n_bytes = literals->n_bytes };
        }
        e->plan = plan_ref(plan);
        e->statistics_version = catalog_statistics_version(c);
        /* A plan that two texts have is counted twice: either may be dropped first. */
        e->n_bytes = (literals ? n_bytes : 0) + arena_bytes(plan->arena);
        if (plan->explained)
                e->n_bytes += arena_bytes(plan->explained->arena);
        add_slot(pc, e);
        DL_APPEND(pc->by_use, e);
        pc->n_bytes += e->n_bytes;
        while (pc->n_bytes > pc->max_bytes && pc->by_use)
                drop_entry(pc, pc->by_use);
}

/* The literals outlive the next normalisation: their bytes move to the arena. */
static enum err_code take_literals(const struct literals *l, struct arena *arena,
                                   const struct value **ret_literals, struct err *reterr)
{
        struct value *values = arena_alloc(arena, literals_bytes(l));

        if (!values)
                return err_set(reterr, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                               "the statement is too large");
        copy_literals(l, values);
        *ret_literals = values;
        return ERR_OK;
}

/* Has the text come before, as far as one remembers? From now on it has. */
static bool was_seen(struct plan_cache *pc, const struct key *k)
{
        uint32_t *mark = &pc->seen[k->hash & (N_SEEN - 1)];
        uint32_t rest = (uint32_t)(k->hash >> 32);
        bool seen = *mark == rest;

        *mark = rest;
        return seen;
}

/* A text that comes again and again need not be normalised every time. One with a plan of its own
 * may be such; of those that differ from others in literals only, most are not. */
static bool may_come_again(struct plan_cache *pc, const struct key *as_it_came, bool is_first,
                           const struct plan *plan, const struct sql_normalized *n)
{
        if (!plan->read_only || as_it_came->n_bytes > MAX_AGAIN_TEXT_BYTES ||
            n->n_values > MAX_AGAIN_LITERALS)
                return false;
        return was_seen(pc, as_it_came) || is_first;
}

/* By the normalised text. ERR_NOT_FOUND without a message: planning it failed, the text as it was
 * may do better or fail with the right offset. */
static enum err_code get_normalized(struct plan_cache *pc, struct catalog *c, struct arena *arena,
                                    const struct key *as_it_came, struct plan **ret_plan,
                                    const struct value **ret_literals, bool *ret_cached,
                                    struct err *reterr)
{
        const struct sql_normalized *n = &pc->normalized;
        const struct literals literals = {
                .values = n->values, .n = n->n_values, .bytes = n->bytes.data, n->bytes.n_bytes
        };
        const struct key k = make_key(c, (const char *)n->text.data, n->text.n_bytes, n->n_values);
        struct entry *e = find_entry(pc, c, &k);
        cleanup_(plan_unrefp) struct plan *plan = e ? plan_ref(e->plan) : NULL;
        enum err_code rc;

        *ret_cached = plan != NULL;
        if (!plan) {
                fetch_oldest(pc);
                rc = plan_build(c, k.text, k.n_bytes, n->n_values, &plan, NULL);
                if (rc)
                        return ERR_NOT_FOUND;
                keep_plan(pc, c, &k, plan, NULL);
        }
        if (may_come_again(pc, as_it_came, !*ret_cached, plan, n))
                keep_plan(pc, c, as_it_came, plan, &literals);
        rc = take_literals(&literals, arena, ret_literals, reterr);
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
        const struct key k = make_key(c, sql, n_bytes, 0);
        struct entry *e = find_entry(pc, c, &k);
        struct plan *plan;
        enum err_code rc;

        *ret_literals = NULL;
        if (e) {
                rc = e->literals.n ? take_literals(&e->literals, arena, ret_literals, reterr)
                                   : ERR_OK;
                if (rc)
                        return rc;
                *ret_plan = plan_ref(e->plan);
                *ret_cached = true;
                return ERR_OK;
        }
        if (sql_normalize(sql, n_bytes, &pc->normalized)) {
                rc = get_normalized(pc, c, arena, &k, ret_plan, ret_literals, ret_cached, reterr);
                if (rc != ERR_NOT_FOUND)
                        return rc;
        }
        *ret_cached = false;
        fetch_oldest(pc);
        rc = plan_build(c, sql, n_bytes, 0, &plan, reterr);
        if (rc)
                return rc;
        keep_plan(pc, c, &k, plan, NULL);
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
