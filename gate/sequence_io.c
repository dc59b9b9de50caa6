/* sequence_io.c - what new rowids have to ask: shards for the largest, topo for ranges. Loop
 * thread. */
#include <string.h>
#include <sys/random.h>

#include "common/wire.h"
#include "gate/gate.h"
#include "gate/scatter.h"
#include "gate/sequence_int.h"
#include "gate/shard_bits.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "rpc/server.h"
#include "sql/print.h"

/* A question under way. One to topo outlives the sequences until it is answered; then world is
 * NULL. */
struct question {
        struct world *world;
        struct question *prev, *next;
        struct sequence *sequence;
        struct scatter *scatter; /* NULL: topo is asked */
        struct plan *plan;
        bool has_largest;
        int64_t largest;
        struct err error; /* of an answer that is none */
        uint64_t epoch;   /* when topo was asked */
};

/* Owner: the loop thread. */
struct world {
        struct gate *gate;
        struct question *questions;
};

static struct question *new_question(struct world *world, struct sequence *q)
{
        struct question *a = xcalloc(1, sizeof *a);

        a->world = world;
        a->sequence = q;
        a->error = (struct err)ERR_INIT;
        a->next = world->questions;
        if (a->next)
                a->next->prev = a;
        world->questions = a;
        return a;
}

static void free_question(struct question *a)
{
        if (a->world) {
                *(a->prev ? &a->prev->next : &a->world->questions) = a->next;
                if (a->next)
                        a->next->prev = a->prev;
        }
        scatter_free(a->scatter);
        plan_unref(a->plan);
        free(a);
}

static void free_world(void *arg)
{
        struct world *world = arg;

        for (struct question *a = world->questions, *next; a; a = next) {
                next = a->next;
                if (a->scatter)
                        free_question(a);
                else
                        a->world = NULL;
        }
        free(world);
}

static int64_t now_us(void *arg)
{
        return mono_us();
}

static uint64_t epoch(void *arg)
{
        return topology_epoch(((struct world *)arg)->gate->topology);
}

static uint64_t random_bits(void *arg)
{
        uint64_t bits = 0;

        while (getrandom(&bits, sizeof bits, 0) != sizeof bits)
                ;
        return bits;
}

/* ---- the largest rowid */

/* What a shard's own sqlite_sequence has seen is not lost when its rows are deleted. */
static char *largest_sql(const struct catalog_table *t)
{
        struct buf b = BUF_INIT(0);

        buf_add_str(&b, t->autoincrement ? "SELECT max(m) FROM (SELECT max(" : "SELECT max(");
        sql_quote_name(&b, t->rowid_name);
        buf_add_str(&b, t->autoincrement ? ") AS m FROM " : ") FROM ");
        sql_quote_name(&b, t->name);
        if (t->autoincrement)
                buf_add_str(&b, " UNION ALL SELECT seq FROM sqlite_sequence WHERE name = ?1)");
        return buf_take_str(&b);
}

/* The one value of the rows in a piece of a ResultSet. */
static enum err_code read_row(struct question *a, const struct wire_field *row)
{
        struct value v;
        enum err_code rc = value_decode_row(row->data, row->n_bytes, &v, 1, &a->error);

        if (rc)
                return rc;
        if (v.type == VALUE_INTEGER && (!a->has_largest || v.integer > a->largest)) {
                a->has_largest = true;
                a->largest = v.integer;
        }
        return ERR_OK;
}

static void on_result(void *arg, struct scatter *s, size_t i, const uint8_t *result, size_t n_bytes,
                      const grpc_slice *slice)
{
        struct question *a = arg;
        struct wire_reader r = wire_reader(result, n_bytes);
        struct wire_field f;

        while (!a->error.code && wire_next(&r, &f))
                if (f.number == 2 && f.type == WIRE_BYTES && read_row(a, &f))
                        return;
}

static void on_end(void *arg, struct scatter *s, const struct err *e)
{
        struct question *a = arg;

        sequence_asked(a->sequence, e->code ? e : &a->error, a->has_largest, a->largest);
        free_question(a);
}

static const struct scatter_events ask_events = { .on_result = on_result, .on_end = on_end };

static void ask(void *arg, struct sequence *q, struct plan *p, int64_t deadline_us)
{
        struct world *world = arg;
        struct question *a = new_question(world, q);
        cleanup_(freep) char *sql = largest_sql(p->table);
        size_t n_words = scatter_n_words(p->catalog);
        cleanup_(freep) uint64_t *bits = xcalloc(n_words, sizeof *bits);
        const struct value name = value_text(p->table->name, strlen(p->table->name));
        const struct tablet_execute x = {
                .keyspace_id = p->keyspace_id,
                .schema_version = p->schema_version,
                .sql = sql,
                .n_sql_bytes = strlen(sql),
                .params = &name,
                .n_params = p->table->autoincrement,
                .cheap = true,
        };
        const struct scatter_options options = {
                .tablets = world->gate->tablets,
                .catalog = p->catalog,
                .shard_bits = bits,
                .deadline_us = deadline_us,
                .events = &ask_events,
                .arg = a,
        };

        for (size_t i = 0; i < shard_map_size(catalog_shards(p->catalog)); i++)
                shard_bits_add(bits, i);
        a->plan = plan_ref(p);
        a->scatter = scatter_execute(&options, &x);
}

/* ---- ranges */

enum {
        RANGE_IDS = 1000, /* at least: one request to topo for so many rows */
        TOPO_TIMEOUT_US = 5 * 1000 * 1000,
};

static void on_allocated(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct question *a = arg;
        Shoal__V1__AllocateIdsResponse *m = NULL;
        struct err other = ERR_INIT, failure = topology_call_error(e);

        if (!a->world) {
                free_question(a);
                return;
        }
        e = &failure;
        if (!e->code) {
                m = shoal__v1__allocate_ids_response__unpack(NULL, n_bytes, body);
                if (!m) {
                        err_set(&other, ERR_INTERNAL, "BAD_REPLY", "topo's answer is other");
                        e = &other;
                }
        }
        if (e->code == ERR_DEADLINE) { /* nobody's own: others wait for the same */
                other = *e;
                other.code = ERR_UNAVAILABLE;
                e = &other;
        }
        sequence_allocated(a->sequence, e, a->epoch, m ? m->first : 0, m ? m->limit : 0);
        if (m)
                shoal__v1__allocate_ids_response__free_unpacked(m, NULL);
        free_question(a);
}

static void allocate(void *arg, struct sequence *q, uint64_t keyspace_id, const char *table,
                     int64_t above, uint64_t count, int64_t deadline_us)
{
        struct world *world = arg;
        struct gate *g = world->gate;
        struct question *a = new_question(world, q);
        Shoal__V1__AllocateIdsRequest m = SHOAL__V1__ALLOCATE_IDS_REQUEST__INIT;
        int64_t patience = mono_us() + TOPO_TIMEOUT_US;

        a->epoch = topology_epoch(g->topology);
        m.keyspace_id = keyspace_id;
        m.table = (char *)table;
        m.gate = (char *)topology_gate_id(g->topology);
        m.gate_epoch = a->epoch;
        m.above = above;
        m.count = count > RANGE_IDS ? count : RANGE_IDS;
        rpc_unary(g->topo, "/shoal.v1.TopoInternal/AllocateIds", rpc_pack(&m.base),
                  deadline_us < patience ? deadline_us : patience, on_allocated, a);
}

struct sequences *sequences_new(struct gate *g)
{
        struct world *world = xcalloc(1, sizeof *world);
        const struct sequence_io io = {
                .arg = world,
                .free = free_world,
                .now_us = now_us,
                .epoch = epoch,
                .random = random_bits,
                .ask = ask,
                .allocate = allocate,
        };

        world->gate = g;
        return sequences_new_io(&io);
}
