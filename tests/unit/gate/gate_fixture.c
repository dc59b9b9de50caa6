/* gate_fixture.c - see gate_fixture.h. */
#include "tests/unit/gate/gate_fixture.h"

#include "common/wire.h"
#include "gate/ddl.h"
#include "gate/options.h"
#include "gate/sequence.h"
#include "gate/service.h"

void gate_fixture_start(struct gate_fixture *fx, const char *const *args)
{
        char *argv[32] = { (char *)"gate", (char *)"--topo-address=x" };
        struct rpc_channel_options co = { .address = fx->address };
        int argc = 2;
        struct err e = ERR_INIT;
        bool quit = false;

        memset(fx, 0, sizeof(*fx));
        fx->loop = loop_new();
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fake_start(&fx->fakes[i], fx->loop, NULL);
        fx->fakes[0].epoch = 1;
        fx->fakes[0].lease_ms = 60000;
        while (args && *args)
                argv[argc++] = (char *)*args++;
        ck_assert_msg(!conf_load(&gate_conf, argc, argv, &fx->gate.options, &quit, &e), "%s",
                      e.msg);
        free(fx->gate.options.topo_address);
        fx->gate.options.topo_address = xstrdup(fx->fakes[0].address);
        free(fx->gate.options.listen_address);
        fx->gate.options.listen_address = xstrdup("127.0.0.1:0");
        fx->gate.loop = fx->loop;
        ck_assert_msg(!service_start(&fx->gate, &fx->server, &e), "%s", e.msg);
        snprintf(fx->address, sizeof(fx->address), "127.0.0.1:%d", rpc_server_port(fx->server));
        gate_start(&fx->gate, fx->address);
        fx->client = rpc_channel_new(fx->loop, &co);
}

void gate_fixture_publish(struct gate_fixture *fx, uint32_t n_shards, uint64_t schema_version)
{
        static uint64_t version;
        char id[8];

        cluster_free(&fx->fakes[0]);
        cluster_make(&fx->fakes[0], ++version);
        for (size_t i = 0; i < GATE_TABLETS; i++) {
                snprintf(id, sizeof(id), "t-%zu", i);
                cluster_add_tablet(&fx->fakes[0], id, fx->fakes[i].address);
        }
        cluster_add_keyspace(&fx->fakes[0], 1, "main", n_shards, schema_version);
        cluster_add_table(&fx->fakes[0], 0, "t", "CREATE TABLE t (id INTEGER PRIMARY KEY, a)",
                          "id");
        fake_publish(&fx->fakes[0]);
        while (topology_version(fx->gate.topology) != version ||
               tablets_n_connected(fx->gate.tablets) <
                   GATE_TABLETS * fx->gate.options.tablet_streams ||
               !topology_epoch(fx->gate.topology))
                fake_linger(fx->loop, 1);
}

static void note_true(void *arg)
{
        *(bool *)arg = true;
}

void gate_fixture_stop(struct gate_fixture *fx)
{
        bool drained = false;

        fx->client = rpc_channel_free(fx->client);
        rpc_server_drain(fx->server, 5000, note_true, &drained);
        loop_run_until(fx->loop, &drained);
        fx->server = rpc_server_free(fx->server);
        ck_assert_uint_eq(fx->gate.n_statements, 0);
        ck_assert_uint_eq(fx->gate.n_result_bytes, 0);
        gate_stop(&fx->gate);
        service_stop(&fx->gate);
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fake_stop(&fx->fakes[i]);
        fx->loop = loop_free(fx->loop);
        cluster_free(&fx->fakes[0]);
        conf_done(&gate_conf, &fx->gate.options);
}

/* ---- the client */

char *rows_text(Shoal__V1__ResultSet *rs)
{
        struct buf b = BUF_INIT(0);

        for (size_t i = 0; rs && i < rs->n_rows; i++) {
                for (size_t k = 0; k < rs->rows[i]->n_values; k++) {
                        const Shoal__V1__Value *v = rs->rows[i]->values[k];

                        if (k)
                                buf_add_byte(&b, ',');
                        if (v->kind_case == SHOAL__V1__VALUE__KIND_INTEGER)
                                buf_printf(&b, "%lld", (long long)v->integer);
                        else if (v->kind_case == SHOAL__V1__VALUE__KIND_TEXT)
                                buf_add_str(&b, v->text);
                        else if (v->kind_case == SHOAL__V1__VALUE__KIND_REAL)
                                buf_printf(&b, "%g", v->real);
                }
                buf_add_byte(&b, ';');
        }
        return buf_take_str(&b);
}

static void on_answer(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct client_answer *a = arg;

        a->n_done++;
        a->e = *e;
        if (e->code)
                return;
        if (a->is_batch) {
                a->b = shoal__v1__execute_batch_response__unpack(NULL, n_bytes, body);
                ck_assert(a->b);
        } else {
                a->r = shoal__v1__execute_response__unpack(NULL, n_bytes, body);
                ck_assert(a->r);
                a->rows = rows_text(a->r->result);
        }
}

void client_send(struct gate_fixture *fx, struct client_answer *a, const char *method,
                 const ProtobufCMessage *m, int64_t deadline_us)
{
        bool is_batch = a->is_batch;

        *a = (struct client_answer){ .is_batch = is_batch };
        a->request = rpc_unary(fx->client, method, rpc_pack(m), deadline_us, on_answer, a);
}

void client_execute(struct gate_fixture *fx, struct client_answer *a, const char *sql,
                    size_t n_params, const int64_t *params, const Shoal__V1__ExecuteOptions *o,
                    const char *request_id, int64_t deadline_us)
{
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;
        Shoal__V1__Value values[8];
        Shoal__V1__Value *pointers[8];

        ck_assert_uint_le(n_params, 8);
        for (size_t i = 0; i < n_params; i++) {
                shoal__v1__value__init(&values[i]);
                values[i].kind_case = SHOAL__V1__VALUE__KIND_INTEGER;
                values[i].integer = params[i];
                pointers[i] = &values[i];
        }
        m.sql = (char *)sql;
        m.params = pointers;
        m.n_params = n_params;
        m.options = (Shoal__V1__ExecuteOptions *)o;
        if (request_id)
                m.request_id = (char *)request_id;
        a->is_batch = false;
        client_send(fx, a, "/shoal.v1.Gate/Execute", &m.base, deadline_us);
}

void client_wait(struct gate_fixture *fx, struct client_answer *a)
{
        fake_wait(fx->loop, &a->n_done, 1);
}

void client_done(struct client_answer *a)
{
        if (a->r)
                shoal__v1__execute_response__free_unpacked(a->r, NULL);
        if (a->b)
                shoal__v1__execute_batch_response__free_unpacked(a->b, NULL);
        free(a->rows);
        *a = (struct client_answer){ 0 };
}

void answer_integers(struct fake_request *r, uint32_t shard, const int64_t *values, size_t n,
                     bool shard_end, bool end)
{
        struct buf b = BUF_INIT(0);

        for (size_t i = 0; i < n; i++) {
                struct value v = value_integer(values[i]);
                size_t at = wire_begin(&b, 2);

                value_add(&b, 1, &v);
                wire_end(&b, at);
        }
        fake_reply(r, shard, b.data, b.n_bytes, shard_end, end);
        buf_done(&b);
}
