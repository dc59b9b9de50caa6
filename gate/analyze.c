/* analyze.c - the steps of analyze.h, one after the other: the shards write their statistics, the
 * shards are asked for them, topo is given the sums, some tables at a time. Loop thread. */
#include "gate/analyze.h"

#include <assert.h>
#include <string.h>

#include "common/wire.h"
#include "gate/route.h"
#include "rpc/server.h"

enum {
        MAX_BYTES = 64 << 20, /* of all that the shards say */
        TABLES_IN_A_PUT = 32, /* fewer than topo takes */
        MAX_SHARD_BYTES = 8 << 20,
        TOPO_TIMEOUT_MS = 5000,
        RESULT_ROWS = 2, /* field of ResultSet */
};

/* A call to topo outlives the analysis until it is answered; then owner is NULL. */
struct analyze_put {
        struct analyze *owner;
};

static void put_next(struct analyze *a);

static void release(struct analyze *a)
{
        a->scatter = scatter_free(a->scatter);
        if (a->put)
                a->put->owner = NULL;
        a->put = NULL;
        a->arena = arena_free(a->arena);
        a->stat1 = NULL;
}

static void finish(struct analyze *a, const struct err *e)
{
        struct err copy = *e;

        release(a);
        a->done(a, &copy);
}

static void fail_for_size(struct analyze *a)
{
        struct err e = ERR_INIT;

        err_set(&e, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE", "the statistics are too large");
        finish(a, &e);
}

/* ---- topo */

static void on_put(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct analyze_put *put = arg;
        struct analyze *a = put->owner;

        free(put);
        if (!a)
                return;
        a->put = NULL;
        if (e->code) {
                struct err failure = topology_call_error(e);

                finish(a, &failure);
                return;
        }
        put_next(a);
}

/* The next tables; a's own gate knows without being told. */
static bool add_tables(struct analyze *a, Shoal__V1__PutStatisticsRequest *m)
{
        struct statistics *known = topology_statistics(a->gate->topology);

        while (a->next_table < catalog_n_tables(a->catalog) && m->n_tables < TABLES_IN_A_PUT) {
                const struct catalog_table *t = catalog_table_at(a->catalog, a->next_table++);

                if (a->table && t != a->table)
                        continue;
                m->tables[m->n_tables] = stat1_combine(a->stat1, t);
                if (!m->tables[m->n_tables])
                        return false;
                statistics_keep(known, m->keyspace_id, m->tables[m->n_tables++]);
        }
        return true;
}

static void put_next(struct analyze *a)
{
        Shoal__V1__TableStatistics *tables[TABLES_IN_A_PUT];
        Shoal__V1__PutStatisticsRequest m = SHOAL__V1__PUT_STATISTICS_REQUEST__INIT;
        int64_t patience_us = mono_us() + TOPO_TIMEOUT_MS * 1000;
        static const struct err fine = ERR_INIT;

        m.keyspace_id = catalog_id(a->catalog);
        m.tables = tables;
        m.only_if_changed = a->only_if_changed;
        if (!add_tables(a, &m)) {
                fail_for_size(a);
                return;
        }
        if (!m.n_tables) {
                finish(a, &fine);
                return;
        }
        a->put = xcalloc(1, sizeof *a->put);
        a->put->owner = a;
        rpc_unary(a->gate->topo, "/shoal.v1.TopoInternal/PutStatistics", rpc_pack(&m.base),
                  a->deadline_us < patience_us ? a->deadline_us : patience_us, on_put, a->put);
}

/* ---- the shards */

static void start_scatter(struct analyze *a, const struct tablet_execute *x,
                          const struct scatter_events *events)
{
        const struct scatter_options options = {
                .tablets = a->gate->tablets,
                .catalog = a->catalog,
                .shard_bits = a->bits,
                .deadline_us = a->deadline_us,
                .events = events,
                .arg = a,
        };

        a->scatter = scatter_execute(&options, x);
}

/* With a NUL behind it, in the arena; NULL is NULL. */
static bool keep_text(struct analyze *a, const struct value *v, const char **ret_text)
{
        *ret_text = NULL;
        if (v->type != VALUE_TEXT)
                return true;
        *ret_text = arena_strndup(a->arena, (const char *)v->data, v->n_bytes);
        return *ret_text != NULL;
}

/* tbl, idx, stat */
static enum err_code add_row(struct analyze *a, size_t shard, const struct wire_field *row)
{
        struct value v[3];
        const char *text[3];
        enum err_code rc = value_decode_row(row->data, row->n_bytes, v, 3, &a->failure);

        if (rc)
                return rc;
        for (size_t i = 0; i < 3; i++)
                if (!keep_text(a, &v[i], &text[i]))
                        return err_set(&a->failure, ERR_EXHAUSTED, "STATEMENT_TOO_LARGE",
                                       "the statistics are too large");
        if (!text[0] || !text[2])
                return ERR_OK;
        return stat1_add(a->stat1, shard, text[0], text[1], text[2], &a->failure);
}

static void on_rows(void *arg, struct scatter *s, size_t i, const uint8_t *result, size_t n_bytes,
                    const grpc_slice *slice)
{
        struct analyze *a = arg;
        struct wire_reader r = wire_reader(result, n_bytes);
        struct wire_field f;

        while (!a->failure.code && wire_next(&r, &f))
                if (f.number == RESULT_ROWS && f.type == WIRE_BYTES &&
                    add_row(a, scatter_shard_at(s, i)->index, &f))
                        return;
}

static void on_rows_end(void *arg, struct scatter *s, const struct err *e)
{
        struct analyze *a = arg;

        if (e->code || a->failure.code) {
                finish(a, e->code ? e : &a->failure);
                return;
        }
        a->scatter = scatter_free(a->scatter);
        put_next(a);
}

static void ask_shards(struct analyze *a)
{
        static const struct scatter_events events = { on_rows, on_rows_end };
        static const char all[] = "SELECT tbl, idx, stat FROM sqlite_stat1";
        static const char one[] =
            "SELECT tbl, idx, stat FROM sqlite_stat1 WHERE tbl = ?1 COLLATE NOCASE";
        const struct value name =
            a->table ? value_text(a->table->name, strlen(a->table->name)) : value_null();
        const struct tablet_execute x = {
                .keyspace_id = catalog_id(a->catalog),
                .schema_version = catalog_schema_version(a->catalog),
                .sql = a->table ? one : all,
                .n_sql_bytes = strlen(a->table ? one : all),
                .params = &name,
                .n_params = a->table != NULL,
                .max_bytes = MAX_SHARD_BYTES,
        };

        start_scatter(a, &x, &events);
}

static void on_analyzed(void *arg, struct scatter *s, const struct err *e)
{
        struct analyze *a = arg;

        if (e->code) {
                finish(a, e);
                return;
        }
        a->scatter = scatter_free(a->scatter);
        ask_shards(a);
}

void analyze_start(struct analyze *a, const char *sql, const struct catalog_table *table,
                   int64_t deadline_us)
{
        static const struct scatter_events events = { .on_end = on_analyzed };
        const struct tablet_execute x = {
                .keyspace_id = catalog_id(a->catalog),
                .schema_version = catalog_schema_version(a->catalog),
                .sql = sql,
                .n_sql_bytes = strlen(sql),
                .write = true,
        };
        const struct route route = { .kind = table && table->sharding == SHARDING_UNSHARDED
                                                 ? ROUTE_HOME
                                                 : ROUTE_ALL };

        a->table = table;
        a->deadline_us = deadline_us;
        a->failure = (struct err)ERR_INIT;
        a->next_table = 0;
        a->arena = arena_new(MAX_BYTES);
        a->stat1 = stat1_new(a->catalog, a->arena);
        a->bits = arena_calloc(a->arena, scatter_n_words(a->catalog), sizeof *a->bits);
        assert(a->stat1 && a->bits); /* a new arena has room for them */
        route_resolve(&route, catalog_shards(a->catalog), NULL, a->bits);
        start_scatter(a, &x, &events);
}

void analyze_cancel(struct analyze *a)
{
        release(a);
}
