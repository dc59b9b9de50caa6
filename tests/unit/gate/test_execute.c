/* Statements through a whole gate, with tablets that say what the test tells them: what is sent,
 * what comes back, and what happens when something goes wrong on the way. */
#include <semaphore.h>

#include "tests/unit/gate/gate_fixture.h"

static struct gate_fixture fx;

/* What the fake tablets do with a request; the same for both. */
static struct {
        uint64_t schema_version; /* other requests than of this are SCHEMA_CHANGED; 0: none */
        int n_not_served;
        int n_broken;  /* break the stream for so many */
        int64_t value; /* else each shard answers one row with this */
        bool silent;
        size_t n_seen, n_writes;
} script;

static void follow_script(struct fake *f, struct fake_request *r)
{
        Shoal__V1__Execute *x = r->m->execute;

        (void)f;
        script.n_seen++;
        script.n_writes += x->write;
        if (script.silent)
                return;
        if (script.n_broken > 0) {
                script.n_broken--;
                fake_break(r->conn);
                return;
        }
        for (uint32_t i = 0; i < x->n_shards; i++) {
                bool last = i + 1 == x->n_shards;

                if (script.schema_version && x->schema_version != script.schema_version)
                        fake_fail(r, i, ERR_ABORTED, "SCHEMA_CHANGED", last);
                else if (script.n_not_served > 0)
                        fake_fail(r, i, ERR_UNAVAILABLE, "SHARD_NOT_SERVED", last);
                else
                        answer_integers(r, i, &script.value, 1, true, last);
        }
        script.n_not_served -= script.n_not_served > 0;
}

static void setup(void)
{
        static const char *const args[] = { "--retry=1s",
                                            "--schema-wait=2s",
                                            "--connect-wait=500ms",
                                            "--max-result-rows=1000",
                                            "--max-result-bytes=64KiB",
                                            NULL };

        memset(&script, 0, sizeof(script));
        script.value = 7;
        gate_fixture_start(&fx, args);
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fx.fakes[i].on_request = follow_script;
        gate_fixture_publish(&fx, 4, 1);
}

static void teardown(void)
{
        gate_fixture_stop(&fx);
}

static int64_t in_ms(int64_t ms)
{
        return mono_us() + ms * 1000;
}

static size_t n_requests(void)
{
        return fx.fakes[0].n_requests + fx.fakes[1].n_requests;
}

static Shoal__V1__Execute *only_request(void)
{
        ck_assert_uint_eq(n_requests(), 1);
        return (fx.fakes[0].n_requests ? fx.fakes[0] : fx.fakes[1]).requests[0].m->execute;
}

static void run(struct client_answer *a, const char *sql, const Shoal__V1__ExecuteOptions *o)
{
        const int64_t five = 5;

        client_execute(&fx, a, sql, strchr(sql, '?') != NULL, &five, o, NULL, INT64_MAX);
        client_wait(&fx, a);
}

START_TEST(one_shard)
{
        Shoal__V1__ExecuteOptions o = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        struct client_answer a;
        Shoal__V1__Execute *x;

        o.with_stats = true;
        run(&a, "SELECT a FROM t WHERE id = ?", &o);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        ck_assert_str_eq(a.rows, "7;");
        ck_assert_str_eq(a.r->result->columns[0]->name, "a");
        ck_assert_str_eq(a.r->stats->plan, "single_shard");
        ck_assert_uint_eq(a.r->stats->n_shards, 1);
        ck_assert_uint_gt(a.r->stats->total_us, 0);
        x = only_request();
        ck_assert(!x->write && x->cheap && x->omit_columns);
        ck_assert_uint_eq(x->keyspace_id, 1);
        ck_assert_uint_eq(x->schema_version, 1);
        ck_assert_uint_eq(x->n_shards, 1);
        ck_assert_str_eq(x->shards[0]->name, a.r->stats->shards[0]->shard);
        ck_assert_int_gt(x->now_ms, 1500000000000);
        ck_assert_uint_eq(x->max_rows, 1000);
        ck_assert_uint_eq(x->max_bytes, 64 << 10);
        client_done(&a);
}
END_TEST

/* Keeps a thread of the pool until it is let go. */
static struct blocker {
        struct pool_job job;
        sem_t go;
} blockers[8];

static void block(struct pool_job *job)
{
        struct blocker *b = CONTAINER_OF(job, struct blocker, job);

        while (sem_wait(&b->go))
                ;
        sem_destroy(&b->go);
}

static void block_pool(void)
{
        size_t n = fx.gate.options.pool_threads;

        ck_assert_uint_le(n, ARRAY_LEN(blockers));
        for (size_t i = 0; i < n; i++) {
                blockers[i].job = (struct pool_job){ .run = block };
                sem_init(&blockers[i].go, 0, 0);
                pool_submit(fx.gate.pool, &blockers[i].job);
        }
}

static void release_pool(void)
{
        for (size_t i = 0; i < fx.gate.options.pool_threads; i++)
                sem_post(&blockers[i].go);
}

static const char *const long_statements[] = {
        "SELECT length(printf('%.*c', 1000, 'x'))",
        "SELECT a FROM (SELECT replace(replace('x', 'x', 'xx'), 'x', 'xx') AS a)",
        "SELECT count(*) FROM json_each('[1,2]')",
        "SELECT 'aaa' LIKE '%a%a%'",
        "INSERT INTO t(id, a) VALUES (length(printf('%.*c', 1000, 'x')), 1)",
        "INSERT INTO t(id, a) VALUES (instr('aab', 'b'), 1)",
};

/* Nothing of it runs on the loop, where it would keep others waiting. */
START_TEST(long_call_is_not_run_on_the_loop)
{
        struct client_answer slow, quick;

        block_pool();
        client_execute(&fx, &slow, long_statements[_i], 0, NULL, NULL, NULL, INT64_MAX);
        run(&quick, "SELECT a FROM t WHERE id = ?", NULL);
        ck_assert_str_eq(quick.rows, "7;");
        ck_assert_msg(!slow.n_done, "%s", long_statements[_i]);
        release_pool();
        client_wait(&fx, &slow);
        ck_assert_msg(!slow.e.code, "%s: %s", long_statements[_i], slow.e.msg);
        client_done(&quick);
        client_done(&slow);
}
END_TEST

/* The client goes while its values are being computed. */
START_TEST(given_up_while_binding)
{
        struct client_answer a;

        block_pool();
        client_execute(&fx, &a, "INSERT INTO t(id, a) VALUES (instr('aab', 'b'), 1)", 0, NULL, NULL,
                       NULL, in_ms(50));
        client_wait(&fx, &a);
        ck_assert_int_eq(a.e.code, ERR_DEADLINE);
        ck_assert_uint_eq(n_requests(), 0);
        client_done(&a);
        release_pool();
}
END_TEST

static const struct {
        const char *sql;
        bool cheap; /* the tablet may run it on its loop */
} point_reads[] = {
        { "SELECT upper(a) || 'x', a + 1, abs(a) FROM t WHERE id = 2", true },
        { "SELECT count(*), max(a) FROM t WHERE id = 2 AND a > 3", true },
        { "SELECT length(printf('%.*c', 200000000, 'x')) FROM t WHERE id = 2", false },
        { "SELECT hex(zeroblob(a)) FROM t WHERE id = 2", false },
        { "SELECT a FROM t WHERE id = 2 AND a LIKE '%a%a%'", false },
        { "SELECT a FROM t WHERE id = 2 AND replace(a, 'x', 'xx') = 'y'", false },
        { "SELECT a -> '$.x' FROM t WHERE id = 2", false },
        { "SELECT group_concat(a) FROM t WHERE id = 2", false },
        { "SELECT a FROM t WHERE id = 2 ORDER BY instr(a, 'aab')", false },
};

START_TEST(what_takes_long_is_not_cheap)
{
        struct client_answer a;

        run(&a, point_reads[_i].sql, NULL);
        ck_assert_msg(!a.e.code, "%s: %s", point_reads[_i].sql, a.e.msg);
        ck_assert_msg(only_request()->cheap == point_reads[_i].cheap, "%s", point_reads[_i].sql);
        client_done(&a);
}
END_TEST

START_TEST(all_shards)
{
        struct client_answer a;

        run(&a, "SELECT a FROM t", NULL);
        ck_assert_str_eq(a.rows, "7;7;7;7;");
        ck_assert_uint_eq(n_requests(), 2);
        client_done(&a);
}
END_TEST

/* What these tablets say is no partial sum. SQLite does not get to see that but in a plan in which
 * shards compute: the rows are asked for, once. */
START_TEST(asked_again_without_computing)
{
        struct client_answer a;

        run(&a, "SELECT sum(a) FROM t", NULL);
        ck_assert_uint_eq(n_requests(), 4);
        ck_assert_ptr_nonnull(strstr(fx.fakes[0].requests[0].m->execute->sql, "_shoal_sum_part"));
        ck_assert_ptr_null(strstr(fx.fakes[0].requests[1].m->execute->sql, "_shoal_sum_part"));
        client_done(&a);
}
END_TEST

START_TEST(finished_at_the_gate)
{
        struct client_answer a;

        script.value = 3;
        run(&a, "SELECT count(*) FROM t", NULL);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        ck_assert_str_eq(a.rows, "12;");
        client_done(&a);
        run(&a, "SELECT 1 + ?", NULL);
        ck_assert_str_eq(a.rows, "6;");
        client_done(&a);
}
END_TEST

/* The schema moves on: the gate waits for topo to say so, plans again, and the client does not
 * notice. */
START_TEST(schema_changes)
{
        static const char *const texts[] = { "SELECT a FROM t WHERE id = ?", "SELECT a FROM t",
                                             "SELECT count(*) FROM t",
                                             "DELETE FROM t WHERE id = ?" };
        const int64_t five = 5;
        struct client_answer a;

        script.schema_version = 2;
        client_execute(&fx, &a, texts[_i], strchr(texts[_i], '?') != NULL, &five, NULL, NULL,
                       INT64_MAX);
        fake_wait(fx.loop, &script.n_seen, 1);
        gate_fixture_publish(&fx, 4, 2);
        client_wait(&fx, &a);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        for (size_t i = 0; i < GATE_TABLETS; i++) {
                struct fake *f = &fx.fakes[i];

                if (f->n_requests)
                        ck_assert_uint_eq(f->requests[f->n_requests - 1].m->execute->schema_version,
                                          2);
        }
        client_done(&a);
}
END_TEST

/* It never settles: the client hears of it in the end. */
START_TEST(schema_keeps_changing)
{
        struct client_answer a;

        script.schema_version = 9;
        run(&a, "SELECT a FROM t WHERE id = ?", NULL);
        ck_assert_int_eq(a.e.code, ERR_ABORTED);
        ck_assert_str_eq(a.e.reason, "SCHEMA_CHANGED");
        ck_assert_uint_gt(script.n_seen, 2);
        client_done(&a);
}
END_TEST

START_TEST(shard_is_elsewhere)
{
        struct client_answer a;

        script.n_not_served = 3;
        run(&a, "SELECT a FROM t WHERE id = ?", NULL);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        ck_assert_uint_eq(script.n_seen, 4);
        client_done(&a);
        /* For good: told with the shard's name, after a while. */
        script.n_not_served = 1000000;
        run(&a, "DELETE FROM t WHERE id = ?", NULL);
        ck_assert_int_eq(a.e.code, ERR_UNAVAILABLE);
        ck_assert_str_eq(a.e.reason, "SHARD_NOT_SERVED");
        ck_assert_str_ne(a.e.shard, "");
        client_done(&a);
}
END_TEST

/* The stream breaks with the answer on it. */
static const struct {
        const char *label, *sql, *request_id;
        enum err_code code;
        size_t n_sent;
} breaks[] = {
        { "a read is sent again", "SELECT a FROM t WHERE id = ?", NULL, ERR_OK, 2 },
        { "a write is not", "DELETE FROM t WHERE id = ?", NULL, ERR_UNKNOWN, 1 },
        { "unless it is done once", "DELETE FROM t WHERE id = ?", "rid", ERR_OK, 2 },
};

START_TEST(broken_stream)
{
        const int64_t five = 5;
        struct client_answer a;

        script.n_broken = 1;
        client_execute(&fx, &a, breaks[_i].sql, 1, &five, NULL, breaks[_i].request_id, INT64_MAX);
        client_wait(&fx, &a);
        ck_assert_msg(a.e.code == breaks[_i].code, "%s: %s", breaks[_i].label, a.e.msg);
        ck_assert_msg(script.n_seen == breaks[_i].n_sent, "%s", breaks[_i].label);
        if (a.e.code)
                ck_assert_str_eq(a.e.reason, "OUTCOME_UNKNOWN");
        client_done(&a);
}
END_TEST

/* The same statement and parameters have the same digest, whatever order the names come in. */
static void digest_of(const char *sql, const char *first, const char *second,
                      uint8_t ret_digest[16])
{
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;
        Shoal__V1__Value one = SHOAL__V1__VALUE__INIT, two = SHOAL__V1__VALUE__INIT;
        Shoal__V1__ExecuteRequest__NamedParamsEntry a =
            SHOAL__V1__EXECUTE_REQUEST__NAMED_PARAMS_ENTRY__INIT;
        Shoal__V1__ExecuteRequest__NamedParamsEntry b = a;
        Shoal__V1__ExecuteRequest__NamedParamsEntry *entries[] = { &a, &b };
        struct client_answer c = { 0 };
        Shoal__V1__Execute *x = NULL;

        one.kind_case = two.kind_case = SHOAL__V1__VALUE__KIND_INTEGER;
        one.integer = *first == 'x' ? 1 : 2;
        two.integer = *second == 'x' ? 1 : 2;
        a.key = (char *)first;
        a.value = &one;
        b.key = (char *)second;
        b.value = &two;
        m.sql = (char *)sql;
        m.request_id = (char *)"rid";
        m.named_params = entries;
        m.n_named_params = 2;
        client_send(&fx, &c, "/shoal.v1.Gate/Execute", &m.base, INT64_MAX);
        client_wait(&fx, &c);
        ck_assert_msg(!c.e.code, "%s", c.e.msg);
        for (size_t i = 0; i < GATE_TABLETS; i++) {
                struct fake *f = &fx.fakes[i];

                if (f->n_requests && f->requests[f->n_requests - 1].m)
                        x = f->requests[f->n_requests - 1].m->execute;
        }
        ck_assert_ptr_nonnull(x);
        ck_assert_str_eq(x->request_id, "rid");
        ck_assert_uint_eq(x->request_digest.len, 16);
        memcpy(ret_digest, x->request_digest.data, 16);
        client_done(&c);
}

START_TEST(digests)
{
        uint8_t a[16], b[16], c[16];

        /* All go to the same shard: the last request of its tablet is the one. */
        gate_fixture_publish(&fx, 1, 1);
        digest_of("UPDATE t SET a = :x WHERE id = :y", "x", "y", a);
        digest_of("UPDATE t SET a = :x WHERE id = :y", "y", "x", b);
        digest_of("UPDATE t SET a = :x  WHERE id = :y", "x", "y", c);
        ck_assert_mem_eq(a, b, 16);
        ck_assert_mem_ne(a, c, 16);
}
END_TEST

START_TEST(limits)
{
        Shoal__V1__ExecuteOptions o = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        struct client_answer a;

        o.max_rows = 4;
        run(&a, "SELECT a FROM t", &o);
        ck_assert_int_eq(a.e.code, ERR_OK);
        client_done(&a);
        fx.fakes[0].on_request = fx.fakes[1].on_request = follow_script;
        o.max_rows = 3;
        run(&a, "SELECT a FROM t ORDER BY a", &o);
        ck_assert_int_eq(a.e.code, ERR_EXHAUSTED);
        ck_assert_str_eq(a.e.reason, "RESULT_TOO_LARGE");
        client_done(&a);
        run(&a, "SELECT a FROM t ORDER BY a LIMIT 3", &o);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        client_done(&a);
}
END_TEST

/* Shards that each keep to the limit may break it together. */
static void answer_counted(struct fake *f, struct fake_request *r)
{
        Shoal__V1__TabletReply m = SHOAL__V1__TABLET_REPLY__INIT;
        Shoal__V1__ShardReply pieces[8];
        Shoal__V1__ShardReply *pointers[8];

        (void)f;
        m.id = r->m->id;
        m.end = true;
        m.shards = pointers;
        m.n_shards = r->m->execute->n_shards;
        for (uint32_t i = 0; i < m.n_shards; i++) {
                shoal__v1__shard_reply__init(&pieces[i]);
                pieces[i].shard = i;
                pieces[i].end = true;
                pieces[i].rows = 2;
                pieces[i].pinned = true;
                pointers[i] = &pieces[i];
        }
        fake_send(r->conn, &m);
}

START_TEST(row_limit_over_shards)
{
        Shoal__V1__ExecuteOptions o = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        struct client_answer a;

        fx.fakes[0].on_request = fx.fakes[1].on_request = answer_counted;
        for (o.max_rows = 7; o.max_rows <= 8; o.max_rows++) {
                run(&a, "SELECT a FROM t", &o);
                ck_assert_int_eq(a.e.code, o.max_rows == 8 ? ERR_OK : ERR_EXHAUSTED);
                client_done(&a);
        }
}
END_TEST

/* ---- one moment */

/* Shards at c = 100 whose pins are exact up to 100; but "-40" is at 200 and goes on to 300. */
static size_t n_first, n_again;

static void answer_at_odds(struct fake *f, struct fake_request *r)
{
        Shoal__V1__Execute *x = r->m->execute;
        int64_t value = x->pin_round ? 2 : 1;

        (void)f;
        ck_assert_uint_gt(x->read_ts, 0);
        for (uint32_t i = 0; i < x->n_shards; i++) {
                bool ahead = strcmp(x->shards[i]->name, "-40") == 0;

                n_first += !x->pin_round;
                n_again += x->pin_round > 0;
                ck_assert(!x->pin_round || !ahead);
                r->cut_c = ahead ? 200 : 100;
                r->cut_e = x->pin_round ? x->read_ts : ahead ? 300 : 100;
                ck_assert_uint_ge(x->read_ts, 200);
                answer_integers(r, i, &value, 1, true, i + 1 == x->n_shards);
        }
}

static const struct {
        const char *label, *sql, *rows;
} moments[] = {
        { "as they come", "SELECT a FROM t", "1;2;2;2;" },
        { "with a finish", "SELECT a FROM t ORDER BY a", "1;2;2;2;" },
};

static int compare_rows(const void *a, const void *b)
{
        return memcmp(a, b, 2);
}

START_TEST(shards_behind_are_read_again)
{
        struct client_answer a;

        n_first = n_again = 0;
        fx.fakes[0].on_request = fx.fakes[1].on_request = answer_at_odds;
        run(&a, moments[_i].sql, NULL);
        ck_assert_msg(!a.e.code, "%s: %s", moments[_i].label, a.e.msg);
        qsort(a.rows, strlen(a.rows) / 2, 2, compare_rows);
        ck_assert_str_eq(a.rows, moments[_i].rows);
        ck_assert_uint_eq(n_first, 4);
        ck_assert_uint_eq(n_again, 3);
        client_done(&a);
}
END_TEST

/* One part on one shard asks for no time. */
static void answer_unpinned(struct fake *f, struct fake_request *r)
{
        int64_t value = 7;

        (void)f;
        ck_assert_uint_eq(r->m->execute->read_ts, 0);
        ck_assert_uint_eq(r->m->execute->pin, 0);
        answer_integers(r, 0, &value, 1, true, true);
}

START_TEST(one_shard_is_not_pinned)
{
        struct client_answer a;

        fx.fakes[0].on_request = fx.fakes[1].on_request = answer_unpinned;
        run(&a, "SELECT a FROM t WHERE id = ?", NULL);
        ck_assert_str_eq(a.rows, "7;");
        client_done(&a);
}
END_TEST

/* A tablet that does not say what its rows show is not believed; one that is too far ahead neither.
 */
static void answer_wrongly(struct fake *f, struct fake_request *r)
{
        int64_t value = 7;

        r->is_unpinned = script.value == 0;
        r->cut_c = script.value ? hlc_from_us(wall_us() + 60 * 1000 * 1000) : 0;
        (void)f;
        for (uint32_t i = 0; i < r->m->execute->n_shards; i++)
                answer_integers(r, i, &value, 1, true, i + 1 == r->m->execute->n_shards);
}

START_TEST(pins_have_to_make_sense)
{
        static const char *const reasons[] = { "BAD_REPLY", "CLOCK_SKEW" };
        struct client_answer a;

        script.value = _i;
        fx.fakes[0].on_request = fx.fakes[1].on_request = answer_wrongly;
        run(&a, "SELECT a FROM t", NULL);
        ck_assert_str_eq(a.e.reason, reasons[_i]);
        client_done(&a);
}
END_TEST

static void answer_large(struct fake *f, struct fake_request *r)
{
        static uint8_t rows[17 << 10] = { 0x12, 0xfd, 0x87, 0x01, 0x0a, 0xf9, 0x87, 0x01 };

        (void)f;
        for (uint32_t i = 0; i < r->m->execute->n_shards; i++)
                fake_reply(r, i, rows, sizeof(rows), true, i + 1 == r->m->execute->n_shards);
}

START_TEST(byte_limit)
{
        struct client_answer a;

        fx.fakes[0].on_request = fx.fakes[1].on_request = answer_large;
        run(&a, "SELECT a FROM t", NULL); /* 4 times 17 KiB; the gate gives 64 */
        ck_assert_int_eq(a.e.code, ERR_EXHAUSTED);
        ck_assert_str_eq(a.e.reason, "RESULT_TOO_LARGE");
        client_done(&a);
}
END_TEST

/* What all answers in one piece hold together is bounded too, and freed with them. */
START_TEST(memory_of_all_results)
{
        static const char *const args[] = { "--results-memory=60KiB", NULL };
        struct client_answer a;

        gate_fixture_stop(&fx);
        gate_fixture_start(&fx, args);
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fx.fakes[i].on_request = answer_large;
        gate_fixture_publish(&fx, 4, 1);
        for (int i = 0; i < 2; i++) {
                run(&a, "SELECT a FROM t", NULL);
                ck_assert_int_eq(a.e.code, ERR_EXHAUSTED);
                ck_assert_str_eq(a.e.reason, "RESULTS_MEMORY");
                ck_assert_uint_eq(fx.gate.n_result_bytes, 0);
                client_done(&a);
        }
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fx.fakes[i].on_request = follow_script;
        for (int i = 0; i < 100; i++) {
                run(&a, "SELECT a FROM t", NULL);
                ck_assert_int_eq(a.e.code, ERR_OK);
                client_done(&a);
        }
}
END_TEST

/* The client goes away, or its time is up: the tablets hear of it. */
START_TEST(given_up)
{
        static const char *const texts[] = { "SELECT a FROM t WHERE id = ?",
                                             "SELECT count(*) FROM t",
                                             "DELETE FROM t WHERE id = ?" };
        const int64_t five = 5;
        struct client_answer a;
        const char *sql = texts[_i % 3];
        bool by_deadline = _i >= 3;
        size_t n_cancels = 0;

        script.silent = true;
        client_execute(&fx, &a, sql, strchr(sql, '?') != NULL, &five, NULL, NULL,
                       by_deadline ? in_ms(100) : INT64_MAX);
        fake_wait(fx.loop, &script.n_seen, 1);
        if (!by_deadline)
                rpc_request_cancel(a.request);
        client_wait(&fx, &a);
        ck_assert_int_eq(a.e.code, by_deadline ? ERR_DEADLINE : ERR_CANCELLED);
        while (n_cancels < n_requests()) {
                fake_linger(fx.loop, 1);
                n_cancels = fx.fakes[0].n_cancels + fx.fakes[1].n_cancels;
        }
        client_done(&a);
}
END_TEST

static const struct {
        const char *label, *sql;
        int isolation;
        bool read_only;
        const char *session, *keyspace;
        enum err_code code;
        const char *reason;
} refusals[] = {
        { "session", "SELECT 1", 0, false, "s", "", ERR_NOT_FOUND, "SESSION_NOT_FOUND" },
        { "COMMIT", "COMMIT", 0, false, "", "", ERR_PRECONDITION, "SQLITE_ERROR" },
        { "isolation", "SELECT 1", 5, false, "", "", ERR_OK, "" },
        { "lower isolation", "SELECT 1", 2, false, "", "", ERR_OK, "" },
        { "keyspace", "SELECT 1", 0, false, "", "nope", ERR_NOT_FOUND, "UNKNOWN_KEYSPACE" },
        { "nothing", " -- at all", 0, false, "", "", ERR_OK, "" },
        { "syntax", "SELEC 1", 0, false, "", "", ERR_INVALID, "SYNTAX_ERROR" },
        { "table", "SELECT * FROM nope", 0, false, "", "", ERR_NOT_FOUND, "NO_SUCH_TABLE" },
        { "read only", "DELETE FROM t WHERE id = 1", 0, true, "", "", ERR_PRECONDITION,
          "READ_ONLY" },
        { "read only DDL", "CREATE TABLE u (a)", 0, true, "", "", ERR_PRECONDITION, "READ_ONLY" },
        { "EXPLAIN of a write", "EXPLAIN DELETE FROM t WHERE id = 1", 0, true, "", "", ERR_OK, "" },
        { "ANALYZE of a write", "EXPLAIN ANALYZE DELETE FROM t WHERE id = 1", 0, true, "", "",
          ERR_PRECONDITION, "READ_ONLY" },
};

START_TEST(refused)
{
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;
        Shoal__V1__ExecuteOptions o = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        struct client_answer a = { 0 };

        m.sql = (char *)refusals[_i].sql;
        m.session = (char *)refusals[_i].session;
        m.keyspace = (char *)refusals[_i].keyspace;
        m.options = &o;
        o.isolation = (Shoal__V1__Isolation)refusals[_i].isolation;
        o.read_only = refusals[_i].read_only;
        client_send(&fx, &a, "/shoal.v1.Gate/Execute", &m.base, INT64_MAX);
        client_wait(&fx, &a);
        ck_assert_msg(a.e.code == refusals[_i].code, "%s: %d %s", refusals[_i].label, a.e.code,
                      a.e.msg);
        ck_assert_msg(strcmp(a.e.reason, refusals[_i].reason) == 0, "%s: %s", refusals[_i].label,
                      a.e.reason);
        ck_assert_uint_eq(n_requests(), 0);
        client_done(&a);
}
END_TEST

START_TEST(explained)
{
        struct client_answer a;

        run(&a, "EXPLAIN SELECT a FROM t WHERE id = 5", NULL);
        ck_assert_msg(!a.e.code && strstr(a.rows, "single_shard"), "%s %s", a.e.msg, a.rows);
        ck_assert_uint_eq(n_requests(), 0);
        client_done(&a);
        run(&a, "EXPLAIN ANALYZE SELECT a FROM t", NULL);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        ck_assert(strstr(a.rows, "scatter") && strstr(a.rows, "t-0") && strstr(a.rows, "t-1"));
        ck_assert_uint_eq(n_requests(), 2);
        client_done(&a);
        run(&a, "EXPLAIN ANALYZE SELECT count(*) FROM t", NULL);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        ck_assert_uint_eq(n_requests(), 4);
        client_done(&a);
        run(&a, "EXPLAIN ANALYZE SELECT 1", NULL);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        client_done(&a);
        run(&a, "EXPLAIN ANALYZE DELETE FROM t WHERE id = 5", NULL);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        ck_assert_uint_eq(script.n_writes, 1);
        client_done(&a);
}
END_TEST

static const struct {
        const char *sql, *want;
} literal_cases[] = {
        { "INSERT INTO t VALUES (5, 6)", "VALUES (5, 6)" },
        { "INSERT INTO t VALUES (-5, '?7')", "VALUES (-5, '?7')" },
        { "INSERT INTO t VALUES (?, 6)", "VALUES (?2, 6)" },
        { "INSERT INTO t VALUES (NULL, 6)", "VALUES (?2, 6)" },
};

START_TEST(explained_with_literals)
{
        struct client_answer a;
        char sql[100];

        snprintf(sql, sizeof(sql), "EXPLAIN %s", literal_cases[_i].sql);
        run(&a, sql, NULL);
        ck_assert_msg(!a.e.code && strstr(a.rows, literal_cases[_i].want), "%s: %s", a.e.msg,
                      a.rows);
        client_done(&a);
}
END_TEST

START_TEST(without_topo)
{
        struct client_answer a;

        gate_fixture_stop(&fx);
        gate_fixture_start(&fx, (const char *const[]){ "--retry=50ms", NULL });
        run(&a, "SELECT 1", NULL);
        ck_assert_int_eq(a.e.code, ERR_UNAVAILABLE);
        ck_assert_str_eq(a.e.reason, "NO_TOPOLOGY");
        client_done(&a);
}
END_TEST

/* More at a time than the gate takes. */
START_TEST(too_many_statements)
{
        static const char *const args[] = { "--max-statements=3", NULL };
        struct client_answer a[4];
        const int64_t five = 5;

        gate_fixture_stop(&fx);
        gate_fixture_start(&fx, args);
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fx.fakes[i].on_request = follow_script;
        gate_fixture_publish(&fx, 4, 1);
        script.silent = true;
        for (size_t i = 0; i < 3; i++)
                client_execute(&fx, &a[i], "SELECT a FROM t WHERE id = ?", 1, &five, NULL, NULL,
                               INT64_MAX);
        fake_wait(fx.loop, &script.n_seen, 3);
        run(&a[3], "SELECT a FROM t WHERE id = ?", NULL);
        ck_assert_int_eq(a[3].e.code, ERR_EXHAUSTED);
        ck_assert_str_eq(a[3].e.reason, "TOO_MANY_REQUESTS");
        for (size_t i = 0; i < 4; i++) {
                if (i < 3)
                        rpc_request_cancel(a[i].request);
                client_wait(&fx, &a[i]);
                client_done(&a[i]);
        }
        while (fx.gate.n_statements)
                fake_linger(fx.loop, 1);
        script.silent = false;
        run(&a[0], "SELECT a FROM t WHERE id = ?", NULL);
        ck_assert_int_eq(a[0].e.code, ERR_OK);
        client_done(&a[0]);
}
END_TEST

static void count_answer(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        (void)body;
        (void)n_bytes;
        ck_assert_msg(e->code != ERR_INTERNAL, "%s %s", e->reason, e->msg);
        ++*(size_t *)arg;
}

/* Bytes that are no request, in every method: an error or an answer, and the gate goes on. */
START_TEST(nonsense)
{
        static const char *const methods[] = { "/shoal.v1.Gate/Execute",
                                               "/shoal.v1.Gate/ExecuteBatch",
                                               "/shoal.v1.Gate/Describe",
                                               "/shoal.v1.Gate/OpenSession" };
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;
        uint8_t good[200];
        size_t n_good;
        unsigned seed = (unsigned)_i + 1;
        struct client_answer a;
        size_t n_answers = 0;

        m.sql = (char *)"SELECT a FROM t WHERE id = 5";
        m.keyspace = (char *)"main";
        n_good = shoal__v1__execute_request__pack(&m, good);
        for (int i = 0; i < 300; i++) {
                struct buf b = BUF_INIT(0);
                size_t n = (size_t)rand_r(&seed) % n_good;

                for (size_t k = 0; k < n; k++)
                        buf_add_byte(&b, rand_r(&seed) % 8 ? good[k] : (uint8_t)rand_r(&seed));
                rpc_unary(fx.client, methods[i % 4], rpc_from_buf(&b), in_ms(60000), count_answer,
                          &n_answers);
        }
        fake_wait(fx.loop, &n_answers, 300);
        run(&a, "SELECT a FROM t WHERE id = ?", NULL);
        ck_assert_int_eq(a.e.code, ERR_OK);
        client_done(&a);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/execute");
        TCase *t = tcase_create("execute");

        tcase_set_timeout(t, 50);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, one_shard);
        tcase_add_loop_test(t, long_call_is_not_run_on_the_loop, 0, ARRAY_LEN(long_statements));
        tcase_add_test(t, given_up_while_binding);
        tcase_add_loop_test(t, what_takes_long_is_not_cheap, 0, ARRAY_LEN(point_reads));
        tcase_add_test(t, all_shards);
        tcase_add_test(t, asked_again_without_computing);
        tcase_add_test(t, finished_at_the_gate);
        tcase_add_loop_test(t, schema_changes, 0, 4);
        tcase_add_test(t, schema_keeps_changing);
        tcase_add_test(t, shard_is_elsewhere);
        tcase_add_loop_test(t, broken_stream, 0, ARRAY_LEN(breaks));
        tcase_add_test(t, digests);
        tcase_add_test(t, limits);
        tcase_add_test(t, row_limit_over_shards);
        tcase_add_loop_test(t, shards_behind_are_read_again, 0, ARRAY_LEN(moments));
        tcase_add_test(t, one_shard_is_not_pinned);
        tcase_add_loop_test(t, pins_have_to_make_sense, 0, 2);
        tcase_add_test(t, byte_limit);
        tcase_add_test(t, memory_of_all_results);
        tcase_add_loop_test(t, given_up, 0, 6);
        tcase_add_loop_test(t, refused, 0, ARRAY_LEN(refusals));
        tcase_add_test(t, explained);
        tcase_add_loop_test(t, explained_with_literals, 0, ARRAY_LEN(literal_cases));
        tcase_add_test(t, without_topo);
        tcase_add_test(t, too_many_statements);
        tcase_add_loop_test(t, nonsense, 0, 3);
        suite_add_tcase(s, t);
        return unit_run(s);
}
