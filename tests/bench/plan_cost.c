/* plan_cost - what parsing and planning cost at the gate: of statements never seen before, of the
 * same texts again, and of texts that are new only in their literals. Prints a line of JSON a
 * statement; plain_plans prints what SQLite takes. */
#include "gate/plan_cache.h"

#include <string.h>

#include "common/arena.h"
#include "common/key_range.h"
#include "tests/bench/plan_texts.h"

enum { N_SHARDS = 16 };

static struct {
        Shoal__V1__Keyspace keyspace;
        Shoal__V1__Shard shards[N_SHARDS], *shard_list[N_SHARDS];
        Shoal__V1__Table *tables[N_TABLES];
        struct plan *kept[N_TABLES]; /* the tables' messages lie in them */
        char names[N_SHARDS][KEY_RANGE_NAME_BYTES];
        struct catalog *catalog;
        struct plan_cache *plans;
} world;

static void fail(const char *what, const char *why)
{
        fprintf(stderr, "plan_cost: %s: %s\n", what, why);
        exit(1);
}

static void refresh_catalog(void)
{
        struct err e = ERR_INIT;

        world.catalog = catalog_unref(world.catalog);
        if (catalog_new(&world.keyspace, &world.catalog, &e))
                fail("catalog", e.msg);
}

static void make_table(const char *sql)
{
        struct plan **p = &world.kept[world.keyspace.n_tables];
        struct err e = ERR_INIT;

        if (plan_build(world.catalog, sql, strlen(sql), 0, p, &e))
                fail(sql, e.msg);
        world.tables[world.keyspace.n_tables++] = (*p)->ddl->put_table;
        world.keyspace.schema_version++;
        refresh_catalog();
}

static void open_world(void)
{
        Shoal__V1__Keyspace *k = &world.keyspace;

        shoal__v1__keyspace__init(k);
        k->name = (char *)"main";
        k->id = k->schema_version = 1;
        for (unsigned i = 0; i < N_SHARDS; i++) {
                struct key_range r = key_range_of_n(i, N_SHARDS);

                key_range_name(&r, world.names[i]);
                shoal__v1__shard__init(&world.shards[i]);
                world.shards[i].name = world.names[i];
                world.shards[i].epoch = 1;
                world.shard_list[i] = &world.shards[i];
        }
        k->shards = world.shard_list;
        k->n_shards = N_SHARDS;
        k->tables = world.tables;
        world.plans = plan_cache_new(16 << 20);
        refresh_catalog();
        for (unsigned i = 0; i < N_TABLES; i++)
                make_table(bench_tables[i]);
}

static void close_world(void)
{
        plan_cache_free(world.plans);
        catalog_unref(world.catalog);
        for (unsigned i = 0; i < N_TABLES; i++)
                plan_unref(world.kept[i]);
}

/* ---- blocks */

/* Microseconds a statement; want_cached: where all of them have to come from. */
static double time_block(bench_text *texts, size_t n, bool want_cached)
{
        double began_us = bench_cpu_us();

        for (size_t i = 0; i < n; i++) {
                cleanup_(arena_freep) struct arena *arena = arena_new(1 << 20);
                cleanup_(plan_unrefp) struct plan *plan = NULL;
                const struct value *literals;
                struct err e = ERR_INIT;
                bool cached;

                if (plan_cache_get(world.plans, world.catalog, texts[i], strlen(texts[i]), arena,
                                   &plan, &literals, &cached, &e))
                        fail(texts[i], e.msg);
                if (cached != want_cached)
                        fail(texts[i], cached ? "was in the cache" : "was not in the cache");
        }
        return (bench_cpu_us() - began_us) / (double)n;
}

static void measure(unsigned i, unsigned n_rounds)
{
        static double fresh[MAX_ROUNDS], same[MAX_ROUNDS], literals[MAX_ROUNDS];
        static bench_text texts[N_BLOCK];

        for (unsigned r = 0; r < n_rounds; r++) {
                bench_make_texts(bench_statements[i].fresh, texts);
                fresh[r] = time_block(texts, N_BLOCK, false);
                same[r] = time_block(texts, N_BLOCK, true);
        }
        bench_make_texts(bench_statements[i].again, texts);
        (void)time_block(texts, 1, false); /* makes the plan */
        for (unsigned r = 0; r < n_rounds; r++) {
                bench_make_texts(bench_statements[i].again, texts);
                literals[r] = time_block(texts, N_BLOCK, true);
        }
        printf("{\"statement\": \"%s\", \"fresh_us\": %.3f, \"same_us\": %.3f, "
               "\"literals_us\": %.3f}\n",
               bench_statements[i].label, bench_median(fresh, n_rounds),
               bench_median(same, n_rounds), bench_median(literals, n_rounds));
}

int main(int argc, char **argv)
{
        unsigned n_rounds = bench_rounds(argc, argv);

        if (!n_rounds)
                return 2;
        open_world();
        for (unsigned i = 0; i < ARRAY_LEN(bench_statements); i++)
                measure(i, n_rounds);
        close_world();
        return 0;
}
