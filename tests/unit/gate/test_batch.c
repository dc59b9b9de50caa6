/* ExecuteBatch: every statement's own outcome, in order, also where several are under way. */
#include "tests/unit/gate/gate_fixture.h"

static struct gate_fixture fx;

static struct {
        size_t n_seen;
        size_t n_held; /* requests kept back, in order */
        struct fake_request *held[1000];
        bool hold;
        int break_at; /* the n-th request breaks its stream; 0: none */
        size_t max_held;
} script;

/* A write of row `id` affects one row; id 13 is there already. */
static void answer(struct fake_request *r)
{
        static const uint8_t one[] = { 0x18, 1 }; /* rows_affected: 1 */
        Shoal__V1__Execute *x = r->m->execute;

        if (!x->write)
                for (uint32_t i = 0; i < x->n_shards; i++)
                        answer_integers(r, i, &(int64_t){ 1 }, 1, true, i + 1 == x->n_shards);
        else if (x->n_params && x->params[0]->integer == 13)
                fake_fail(r, 0, ERR_PRECONDITION, "SQLITE_CONSTRAINT_PRIMARYKEY", true);
        else
                fake_reply(r, 0, one, sizeof(one), true, true);
}

static void on_request(struct fake *f, struct fake_request *r)
{
        (void)f;
        script.n_seen++;
        if (script.break_at && script.n_seen == (size_t)script.break_at) {
                fake_break(r->conn);
                return;
        }
        if (script.hold && r->m->execute->write)
                script.held[script.n_held++] = r;
        else
                answer(r);
}

static void setup(void)
{
        static const char *const args[] = { "--retry=1s", "--connect-wait=500ms",
                                            "--max-batch-statements=300",
                                            "--max-result-bytes=64KiB", NULL };

        memset(&script, 0, sizeof(script));
        gate_fixture_start(&fx, args);
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fx.fakes[i].on_request = on_request;
        gate_fixture_publish(&fx, 4, 1);
}

static void teardown(void)
{
        gate_fixture_stop(&fx);
}

/* ---- batches */
struct batch_text {
        Shoal__V1__ExecuteBatchRequest m;
        Shoal__V1__Statement s[301];
        Shoal__V1__Statement *ps[301];
        Shoal__V1__Value v[301];
        Shoal__V1__Value *pv[301];
};

static struct batch_text text;

static void begin_batch(void)
{
        memset(&text, 0, sizeof(text));
        shoal__v1__execute_batch_request__init(&text.m);
        text.m.statements = text.ps;
}

static void add(const char *sql, int64_t param)
{
        size_t i = text.m.n_statements++;

        shoal__v1__statement__init(&text.s[i]);
        shoal__v1__value__init(&text.v[i]);
        text.v[i].kind_case = SHOAL__V1__VALUE__KIND_INTEGER;
        text.v[i].integer = param;
        text.pv[i] = &text.v[i];
        text.ps[i] = &text.s[i];
        text.s[i].sql = (char *)sql;
        if (strchr(sql, '?')) {
                text.s[i].params = &text.pv[i];
                text.s[i].n_params = 1;
        }
}

static void send(struct client_answer *a)
{
        *a = (struct client_answer){ .is_batch = true };
        client_send(&fx, a, "/shoal.v1.Gate/ExecuteBatch", &text.m.base, INT64_MAX);
}

static const char insert[] = "INSERT INTO t (id, a) VALUES (?1, 'x')";

START_TEST(own_outcomes)
{
        struct client_answer a;

        begin_batch();
        add("SELECT a FROM t WHERE id = ?", 1);
        add("nonsense", 0);
        add(insert, 13);
        add(insert, 14);
        add("SELECT 1 + ?", 1);
        add("VACUUM", 0);
        add("SELECT count(*) FROM t", 0);
        send(&a);
        client_wait(&fx, &a);
        ck_assert_int_eq(a.e.code, ERR_OK);
        ck_assert_uint_eq(a.b->n_results, 7);
        ck_assert_int_eq(a.b->results[0]->result->rows[0]->values[0]->integer, 1);
        ck_assert_str_eq(a.b->results[0]->result->columns[0]->name, "a");
        ck_assert_int_eq(a.b->results[1]->code, ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(a.b->results[1]->message, "syntax error"));
        ck_assert_int_eq(a.b->results[2]->code, ERR_PRECONDITION);
        ck_assert_int_eq(a.b->results[3]->code, 0);
        ck_assert_int_eq(a.b->results[3]->result->rows_affected, 1);
        ck_assert_int_eq(a.b->results[4]->result->rows[0]->values[0]->integer, 2);
        ck_assert_int_eq(a.b->results[5]->code, ERR_UNIMPLEMENTED);
        ck_assert_int_eq(a.b->results[6]->result->rows[0]->values[0]->integer, 4);
        client_done(&a);
        begin_batch();
        send(&a);
        client_wait(&fx, &a);
        ck_assert_uint_eq(a.b->n_results, 0);
        client_done(&a);
}
END_TEST

/* What a shard is sent, it is sent in the order of the batch. */
static void check_order(void)
{
        for (size_t i = 0; i < GATE_TABLETS; i++) {
                struct fake *f = &fx.fakes[i];

                for (size_t k = 0; k < f->n_requests; k++) {
                        Shoal__V1__Execute *x = f->requests[k].m->execute;

                        for (size_t j = 0; j < k; j++) {
                                Shoal__V1__Execute *y = f->requests[j].m->execute;

                                if (x->write && y->write &&
                                    strcmp(x->shards[0]->name, y->shards[0]->name) == 0)
                                        ck_assert_int_ge(x->params[0]->integer,
                                                         y->params[0]->integer);
                        }
                }
        }
}

static void answer_held(void)
{
        for (size_t i = 0; i < script.n_held; i++)
                answer(script.held[script.n_held - 1 - i]); /* the last first */
        script.n_held = 0;
}

/* Plain INSERTs of one text are under way together; anything else waits for them. */
START_TEST(inserts_together)
{
        struct client_answer a;

        script.hold = true;
        begin_batch();
        for (int i = 100; i < 120; i++)
                add(insert, i);
        add("DELETE FROM t WHERE id = ?", 200);
        for (int i = 300; i < 305; i++)
                add("INSERT INTO t VALUES (?1, 1)", i);
        send(&a);
        fake_wait(fx.loop, &script.n_held, 20);
        fake_linger(fx.loop, 10);
        ck_assert_uint_eq(script.n_seen, 20);
        answer_held();
        fake_wait(fx.loop, &script.n_held, 1);
        fake_linger(fx.loop, 10);
        ck_assert_uint_eq(script.n_seen, 21);
        answer_held();
        fake_wait(fx.loop, &script.n_held, 5);
        answer_held();
        client_wait(&fx, &a);
        check_order();
        for (size_t i = 0; i < a.b->n_results; i++)
                ck_assert_int_eq(a.b->results[i]->code, 0);
        client_done(&a);
}
END_TEST

/* Not more than so many at a time. */
START_TEST(bounded)
{
        struct client_answer a;

        script.hold = true;
        begin_batch();
        for (int i = 0; i < 300; i++)
                add(insert, 1000 + i);
        send(&a);
        fake_wait(fx.loop, &script.n_held, 64);
        fake_linger(fx.loop, 10);
        ck_assert_uint_eq(script.n_held, 64);
        script.hold = false;
        answer_held();
        client_wait(&fx, &a);
        check_order();
        ck_assert_uint_eq(script.n_seen, 300);
        client_done(&a);
}
END_TEST

/* A stream breaks under INSERTs. Those whose fate is not known say so; where a request_id makes it
 * safe they are done again, in order, each once. */
START_TEST(broken_stream)
{
        struct client_answer a;
        size_t n_unknown = 0, n_fine = 0;

        script.break_at = 10;
        begin_batch();
        if (_i)
                text.m.request_id = (char *)"rid";
        for (int i = 0; i < 40; i++)
                add(insert, 1000 + i);
        send(&a);
        client_wait(&fx, &a);
        ck_assert_int_eq(a.e.code, ERR_OK);
        for (size_t i = 0; i < 40; i++) {
                n_fine += a.b->results[i]->code == 0;
                n_unknown += a.b->results[i]->code == ERR_UNKNOWN;
        }
        ck_assert_uint_eq(n_fine + n_unknown, 40);
        ck_assert_uint_eq(n_unknown > 0, !_i);
        ck_assert_uint_ge(n_fine, 9);
        client_done(&a);
}
END_TEST

START_TEST(request_ids_are_told_apart)
{
        struct client_answer a;
        static bool seen[10];

        memset(seen, 0, sizeof(seen));
        begin_batch();
        text.m.request_id = (char *)"rid";
        for (int i = 0; i < 10; i++)
                add(insert, 1000 + i);
        send(&a);
        client_wait(&fx, &a);
        for (size_t i = 0; i < GATE_TABLETS; i++) {
                for (size_t k = 0; k < fx.fakes[i].n_requests; k++) {
                        Shoal__V1__Execute *x = fx.fakes[i].requests[k].m->execute;
                        int n = -1;

                        ck_assert_int_eq(sscanf(x->request_id, "rid#%d", &n), 1);
                        ck_assert(n >= 0 && n < 10 && !seen[n]);
                        ck_assert_int_eq(x->params[0]->integer, 1000 + n);
                        seen[n] = true;
                }
        }
        client_done(&a);
}
END_TEST

START_TEST(refused)
{
        struct client_answer a;

        begin_batch();
        add("SELECT 1", 0);
        text.m.atomic = true;
        send(&a);
        client_wait(&fx, &a);
        ck_assert_int_eq(a.e.code, ERR_UNIMPLEMENTED);
        ck_assert_str_eq(a.e.reason, "TRANSACTIONS");
        client_done(&a);

        begin_batch();
        for (int i = 0; i < 301; i++)
                add("SELECT 1", 0);
        send(&a);
        client_wait(&fx, &a);
        ck_assert_int_eq(a.e.code, ERR_EXHAUSTED);
        ck_assert_str_eq(a.e.reason, "BATCH_TOO_LARGE");
        client_done(&a);
}
END_TEST

/* Results count together. */
START_TEST(too_large_together)
{
        struct client_answer a;

        begin_batch();
        for (int i = 0; i < 5; i++)
                add("SELECT printf('%.20000c', 'x')", 0);
        send(&a);
        client_wait(&fx, &a);
        for (size_t i = 0; i < 5; i++)
                ck_assert_int_eq(a.b->results[i]->code, i < 3 ? ERR_OK : ERR_EXHAUSTED);
        client_done(&a);
}
END_TEST

START_TEST(given_up)
{
        struct client_answer a;

        script.hold = true;
        begin_batch();
        for (int i = 0; i < 100; i++)
                add(insert, 1000 + i);
        send(&a);
        fake_wait(fx.loop, &script.n_held, 64);
        rpc_request_cancel(a.request);
        client_wait(&fx, &a);
        ck_assert_int_eq(a.e.code, ERR_CANCELLED);
        while (fx.gate.n_statements || fx.fakes[0].n_cancels + fx.fakes[1].n_cancels < 64)
                fake_linger(fx.loop, 1);
        ck_assert_uint_eq(script.n_seen, 64);
        client_done(&a);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/batch");
        TCase *t = tcase_create("batch");

        tcase_set_timeout(t, 50);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, own_outcomes);
        tcase_add_test(t, inserts_together);
        tcase_add_test(t, bounded);
        tcase_add_loop_test(t, broken_stream, 0, 2);
        tcase_add_test(t, request_ids_are_told_apart);
        tcase_add_test(t, refused);
        tcase_add_test(t, too_large_together);
        tcase_add_test(t, given_up);
        suite_add_tcase(s, t);
        return unit_run(s);
}
