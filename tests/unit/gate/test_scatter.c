/* One statement on many shards of several tablets. */
#include "gate/scatter.h"
#include "tests/unit/gate/fake_cluster.h"

enum { N_SHARDS = 8, N_TABLETS = 3 };

static struct loop *loop;
static struct fake fakes[N_TABLETS];
static struct hlc hlc;
static struct tablets *tablets;
static struct catalog *catalog;

static void setup(void)
{
        struct tablets_options o = {
                .hlc = &hlc, .n_streams = 2, .connect_wait_ms = 2000, .max_pending = 1000
        };
        struct err e = ERR_INIT;

        memset(fakes, 0, sizeof(fakes));
        loop = loop_new();
        hlc_init(&hlc, wall_us, 1000000);
        o.loop = loop;
        tablets = tablets_new(&o);
        cluster_make(&fakes[0], 1);
        for (size_t i = 0; i < N_TABLETS; i++) {
                char id[8];

                fake_start(&fakes[i], loop, NULL);
                snprintf(id, sizeof(id), "t-%zu", i);
                cluster_add_tablet(&fakes[0], id, fakes[i].address);
                tablets_put(tablets, id, fakes[i].address);
        }
        cluster_add_keyspace(&fakes[0], 7, "main", N_SHARDS, 3);
        ck_assert_msg(!catalog_new(fakes[0].topology->keyspaces[0], &catalog, &e), "%s", e.msg);
}

static void teardown(void)
{
        catalog = catalog_unref(catalog);
        tablets = tablets_free(tablets);
        for (size_t i = 0; i < N_TABLETS; i++)
                fake_stop(&fakes[i]);
        loop_free(loop);
        cluster_free(&fakes[0]);
}

struct seen {
        size_t n_ends, n_pieces;
        struct err e;
        char rows[N_SHARDS][16]; /* by index in the shard map */
        bool free_on_rows, keep;
        struct scatter *kept;
};

static void on_result(void *arg, struct scatter *s, size_t i, const uint8_t *result, size_t n_bytes,
                      const grpc_slice *slice)
{
        struct seen *x = arg;
        char *rows = x->rows[scatter_shard_at(s, i)->index];

        ck_assert(result >= GRPC_SLICE_START_PTR(*slice));
        ck_assert(result + n_bytes <= GRPC_SLICE_END_PTR(*slice));
        x->n_pieces++;
        strncat(rows, (const char *)result, n_bytes);
        if (x->free_on_rows)
                scatter_free(s);
}

static void on_end(void *arg, struct scatter *s, const struct err *e)
{
        struct seen *x = arg;

        x->n_ends++;
        x->e = *e;
        if (x->keep)
                x->kept = s;
        else
                scatter_free(s);
}

static struct scatter *start(struct seen *x, uint64_t bits, bool keep_going)
{
        static const struct scatter_events events = { on_result, on_end };
        const struct tablet_execute request = {
                .keyspace_id = 7, .sql = "SELECT 1", .n_sql_bytes = 8, .window_bytes = 100
        };
        const struct scatter_options o = {
                .tablets = tablets,
                .catalog = catalog,
                .shard_bits = &bits,
                .deadline_us = INT64_MAX,
                .keep_going = keep_going,
                .events = &events,
                .arg = x,
        };

        return scatter_execute(&o, &request);
}

/* Answers each shard of each request with its name. */
static void answer_with_names(struct fake *f, struct fake_request *r)
{
        Shoal__V1__Execute *e = r->m->execute;

        (void)f;
        for (uint32_t i = 0; i < e->n_shards; i++)
                fake_reply(r, i, e->shards[i]->name, strlen(e->shards[i]->name), true,
                           i + 1 == e->n_shards);
}

START_TEST(all_shards)
{
        const struct shard_map *map = catalog_shards(catalog);
        struct seen x = { .keep = true };

        for (size_t i = 0; i < N_TABLETS; i++)
                fakes[i].on_request = answer_with_names;
        start(&x, (1 << N_SHARDS) - 1, false);
        fake_wait(loop, &x.n_ends, 1);
        ck_assert_int_eq(x.e.code, ERR_OK);
        ck_assert_uint_eq(scatter_n_shards(x.kept), N_SHARDS);
        for (size_t i = 0; i < N_SHARDS; i++) {
                const struct scatter_shard *sh = scatter_shard_at(x.kept, i);

                ck_assert_str_eq(x.rows[i], shard_map_at(map, i)->name);
                ck_assert(sh->ended && !sh->failure);
                ck_assert_uint_eq(sh->bytes, strlen(sh->entry->name));
        }
        for (size_t i = 0; i < N_TABLETS; i++) {
                ck_assert_uint_eq(fakes[i].n_requests, 1);
                for (size_t k = 0; k < fakes[i].requests[0].m->execute->n_shards; k++)
                        ck_assert_uint_eq(fakes[i].requests[0].m->execute->shards[k]->epoch, 1);
        }
        scatter_free(x.kept);
}
END_TEST

START_TEST(some_shards)
{
        struct seen x = { 0 };

        fakes[1].on_request = answer_with_names;
        start(&x, 1 << 1 | 1 << 4, false); /* both on t-1 */
        fake_wait(loop, &x.n_ends, 1);
        ck_assert_uint_eq(fakes[0].n_requests + fakes[2].n_requests, 0);
        ck_assert_uint_eq(fakes[1].requests[0].m->execute->n_shards, 2);
        ck_assert_uint_eq(x.n_pieces, 2);
}
END_TEST

static void fail_second(struct fake *f, struct fake_request *r)
{
        (void)f;
        fake_reply(r, 0, "x", 1, true, false);
        fake_fail(r, 1, ERR_PRECONDITION, "SQLITE_CONSTRAINT_UNIQUE", true);
}

/* The first failure ends it; the others are told to stop. */
START_TEST(failure_stops_the_rest)
{
        struct seen x = { .keep = true };

        start(&x, (1 << N_SHARDS) - 1, false);
        for (size_t i = 0; i < N_TABLETS; i++)
                fake_wait(loop, &fakes[i].n_requests, 1);
        fail_second(NULL, &fakes[1].requests[0]);
        fake_wait(loop, &x.n_ends, 1);
        ck_assert_int_eq(x.e.code, ERR_PRECONDITION);
        ck_assert_str_eq(x.e.reason, "SQLITE_CONSTRAINT_UNIQUE");
        ck_assert_str_eq(x.e.shard, "main/80-a0"); /* the second of 1, 4, 7 */
        ck_assert_int_eq(x.e.extended_code, 2067);
        fake_wait(loop, &fakes[0].n_cancels, 1);
        fake_wait(loop, &fakes[2].n_cancels, 1);
        answer_with_names(NULL, &fakes[0].requests[0]);
        fake_linger(loop, 10);
        ck_assert_uint_eq(x.n_ends, 1);
        scatter_free(x.kept);
}
END_TEST

/* Asked to go on, every shard's own outcome is told. */
START_TEST(failure_lets_others_go_on)
{
        struct seen x = { .keep = true };
        size_t n_failed = 0, n_well = 0;

        start(&x, (1 << N_SHARDS) - 1, true);
        for (size_t i = 0; i < N_TABLETS; i++)
                fake_wait(loop, &fakes[i].n_requests, 1);
        fake_fail(&fakes[0].requests[0], 0, ERR_PRECONDITION, "A", false);
        fake_fail(&fakes[0].requests[0], 1, ERR_PRECONDITION, "B", false);
        fake_reply(&fakes[0].requests[0], 2, "z", 1, true, true);
        fake_break(fakes[1].requests[0].conn); /* all of its shards */
        answer_with_names(NULL, &fakes[2].requests[0]);
        fake_wait(loop, &x.n_ends, 1);
        for (size_t i = 0; i < N_SHARDS; i++) {
                const struct scatter_shard *sh = scatter_shard_at(x.kept, i);

                ck_assert(sh->ended);
                n_failed += sh->failure != NULL;
                n_well += sh->failure == NULL;
                if (sh->failure)
                        ck_assert_str_ne(sh->failure->shard, "");
        }
        ck_assert_uint_eq(n_failed, 2 + 3);
        ck_assert_uint_eq(n_well, 3);
        scatter_free(x.kept);
}
END_TEST

START_TEST(freed_while_rows_come)
{
        struct seen x = { .free_on_rows = true };

        for (size_t i = 0; i < N_TABLETS; i++)
                fakes[i].on_request = answer_with_names;
        start(&x, (1 << N_SHARDS) - 1, false);
        fake_wait(loop, &x.n_pieces, 1);
        fake_linger(loop, 20);
        ck_assert_uint_eq(x.n_pieces, 1);
        ck_assert_uint_eq(x.n_ends, 0);
}
END_TEST

START_TEST(credit_goes_to_the_tablet)
{
        struct seen x = { 0 };
        struct scatter *s = start(&x, (1 << N_SHARDS) - 1, false);

        for (size_t i = 0; i < N_TABLETS; i++)
                fake_wait(loop, &fakes[i].n_requests, 1);
        for (size_t i = 0; i < N_SHARDS; i++)
                scatter_credit(s, i, 10 + scatter_shard_at(s, i)->index);
        for (size_t i = 0; i < N_TABLETS; i++)
                fake_wait(loop, &fakes[i].n_credits, i == 2 ? 2 : 3);
        ck_assert_uint_eq(fakes[0].credited_bytes, 30 + 0 + 3 + 6);
        ck_assert_uint_eq(fakes[1].credited_bytes, 30 + 1 + 4 + 7);
        ck_assert_uint_eq(fakes[2].credited_bytes, 20 + 2 + 5);
        scatter_free(s);
}
END_TEST

/* A shard that nobody serves. */
START_TEST(no_tablet)
{
        struct seen x = { 0 };

        tablets_drop(tablets, "t-0");
        start(&x, 1, false);
        fake_wait(loop, &x.n_ends, 1);
        ck_assert(scatter_is_not_served(&x.e));
        ck_assert_str_eq(x.e.shard, "main/-20");
}
END_TEST

START_TEST(reasons)
{
        struct err e = ERR_INIT;

        err_set(&e, ERR_ABORTED, "SCHEMA_CHANGED", "x");
        ck_assert(scatter_is_schema_changed(&e) && !scatter_is_not_served(&e));
        err_set(&e, ERR_UNAVAILABLE, "SHARD_NOT_SERVED", "x");
        ck_assert(!scatter_is_schema_changed(&e) && scatter_is_not_served(&e));
        err_set(&e, ERR_ABORTED, "OTHER", "x");
        ck_assert(!scatter_is_schema_changed(&e) && !scatter_is_not_served(&e));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/scatter");
        TCase *t = tcase_create("scatter");

        tcase_set_timeout(t, 30);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, all_shards);
        tcase_add_test(t, some_shards);
        tcase_add_test(t, failure_stops_the_rest);
        tcase_add_test(t, failure_lets_others_go_on);
        tcase_add_test(t, freed_while_rows_come);
        tcase_add_test(t, credit_goes_to_the_tablet);
        tcase_add_test(t, no_tablet);
        tcase_add_test(t, reasons);
        suite_add_tcase(s, t);
        return unit_run(s);
}
