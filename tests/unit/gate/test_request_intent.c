/* test_request_intent.c - an INSERT with a request_id and a made-up rowid is done once: calls
 * repeated through several gates, with requests and answers lost and late, and rows of others in
 * the way. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "common/arena.h"
#include "common/key_range.h"
#include "gate/request_intent_int.h"
#include "tests/unit/gate/sequence_world.h"
#include "tests/unit/unit.h"

enum {
        N_SHARDS = 4,
        N_GATES = 3,
        MAX_CALLS = 8,
        MAX_SENT = 64,
        MAX_KEPT = 2048,
        MAX_REQUESTS = 48,
        MAX_ROWS = 4096,
        MAX_LATE = 40, /* steps until what nobody waits for has arrived, or never will */
};

/* What a shard keeps under a key. */
struct kept {
        char key[REQUEST_ID_MAX_BYTES + 8];
        size_t shard;
        uint8_t note[64];
        size_t n_note_bytes;
        int64_t reply; /* the rowid that was inserted */
        bool has_reply;
};

/* One attempt of a client to have its request done. */
struct call {
        bool live, sent;
        size_t gate;
        int request;
        struct sequence_use use;
        struct plan_values values;
        struct value elements[2];
        struct request_intent intent;
        char id[16];
        int serial; /* answers to an earlier life of the struct are nobody's */
};

struct sent {
        int call, serial;
        bool is_insert;
        size_t shard;
        int64_t id; /* rowid of the INSERT */
        int request;
        char key[REQUEST_ID_MAX_BYTES + 8];
        uint8_t note[64];
        size_t n_note_bytes;
        int age;
};

static struct {
        struct world rowids;
        struct arena *arena;
        struct catalog *catalog;
        struct plan *plan;
        struct call calls[MAX_CALLS];
        struct sent sent[MAX_SENT];
        size_t n_sent;
        struct kept kept[MAX_KEPT];
        size_t n_kept;
        int64_t rows[MAX_REQUESTS][4]; /* rowids inserted for each request */
        int n_rows[MAX_REQUESTS];
        int64_t acked[MAX_REQUESTS]; /* 0: not yet */
        int n_u;
        bool calm, one_gate;
} w;

static uint64_t seed;

static unsigned draw(unsigned n)
{
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return (unsigned)(seed >> 33) % n;
}

/* ---- the keyspace */

static void make_catalog(void)
{
        static char names[N_SHARDS][KEY_RANGE_NAME_BYTES];
        Shoal__V1__Keyspace k = SHOAL__V1__KEYSPACE__INIT;
        Shoal__V1__Shard shards[N_SHARDS], *shard_list[N_SHARDS];
        Shoal__V1__Table table = SHOAL__V1__TABLE__INIT, *table_list[] = { &table };
        Shoal__V1__TableSharding sharding = SHOAL__V1__TABLE_SHARDING__INIT;
        Shoal__V1__ColumnVindex vindex = SHOAL__V1__COLUMN_VINDEX__INIT, *vindexes[] = { &vindex };
        char *columns[] = { (char *)"id" };
        struct err e = ERR_INIT;

        for (uint32_t i = 0; i < N_SHARDS; i++) {
                struct key_range r = key_range_of_n(i, N_SHARDS);

                key_range_name(&r, names[i]);
                shoal__v1__shard__init(&shards[i]);
                shards[i].name = names[i];
                shards[i].epoch = 1;
                shard_list[i] = &shards[i];
        }
        k.name = (char *)"main";
        k.id = 7;
        k.schema_version = 1;
        k.shards = shard_list;
        k.n_shards = N_SHARDS;
        table.name = (char *)"t";
        table.sql = (char *)"CREATE TABLE t(id INTEGER PRIMARY KEY, u)";
        sharding.type = (char *)"sharded";
        vindex.vindex = (char *)"hash";
        vindex.columns = columns;
        vindex.n_columns = 1;
        sharding.vindexes = vindexes;
        sharding.n_vindexes = 1;
        table.sharding = &sharding;
        k.tables = table_list;
        k.n_tables = 1;
        ck_assert_msg(catalog_new(&k, &w.catalog, &e) == ERR_OK, "%s", e.msg);
}

static void start(void)
{
        struct err e = ERR_INIT;
        static const char sql[] = "INSERT INTO t(u) VALUES (?1)";

        memset(&w, 0, sizeof w);
        w.arena = arena_new(64 << 20);
        world_init(&w.rowids, false, true);
        for (size_t i = 0; i < N_GATES; i++)
                world_start_gate(&w.rowids, i);
        make_catalog();
        ck_assert_msg(plan_build(w.catalog, sql, strlen(sql), 0, &w.plan, &e) == ERR_OK, "%s",
                      e.msg);
}

/* ---- shards */

static struct kept *find_kept(size_t shard, const char *key)
{
        for (size_t i = 0; i < w.n_kept; i++)
                if (w.kept[i].shard == shard && strcmp(w.kept[i].key, key) == 0)
                        return &w.kept[i];
        return NULL;
}

/* The tablet: what is kept under the key, or the write and its record in one step. */
static void execute(const struct sent *m, struct err *ret_err, struct kept *ret_reply,
                    bool *ret_replayed)
{
        struct kept *k = find_kept(m->shard, m->key);

        *ret_err = (struct err)ERR_INIT;
        *ret_replayed = k != NULL;
        if (!k) {
                if (m->is_insert) {
                        world_sql(w.rowids.db, ret_err, "INSERT INTO t VALUES(%lld, %d)",
                                  (long long)m->id, ++w.n_u);
                        if (ret_err->code)
                                return;
                        ck_assert_int_lt(w.n_rows[m->request], 4);
                        w.rows[m->request][w.n_rows[m->request]++] = m->id;
                }
                ck_assert_uint_lt(w.n_kept, MAX_KEPT);
                k = &w.kept[w.n_kept++];
                *k = (struct kept){ .shard = m->shard, .reply = m->id, .has_reply = m->is_insert };
                snprintf(k->key, sizeof k->key, "%s", m->key);
                memcpy(k->note, m->note, m->n_note_bytes);
                k->n_note_bytes = m->n_note_bytes;
        }
        *ret_reply = *k;
}

/* ---- calls */

static void send_insert(struct call *c);

static void end_call(struct call *c, const struct err *e, int64_t rowid)
{
        struct err copy = *e;

        request_intent_done(&c->intent);
        ck_assert(!sequence_note_result(w.rowids.gates[c->gate].sequences, &c->use, &copy));
        c->live = false;
        if (copy.code) {
                ck_assert_msg(copy.code != ERR_INTERNAL, "%s", copy.msg);
                return;
        }
        if (w.acked[c->request])
                ck_assert_msg(w.acked[c->request] == rowid,
                              "request %d: told rowid %lld, before %lld", c->request,
                              (long long)rowid, (long long)w.acked[c->request]);
        w.acked[c->request] = rowid;
}

static void follow(struct call *c, int verdict, const struct err *e)
{
        int64_t rowid;

        switch (verdict) {
        case INTENT_WAIT:
                break;
        case INTENT_SEND:
                send_insert(c);
                break;
        case INTENT_REPLAYED:
                ck_assert_uint_eq(c->intent.n_reply_bytes, sizeof rowid);
                memcpy(&rowid, c->intent.reply, sizeof rowid);
                end_call(c, e, rowid);
                break;
        default:
                end_call(c, e, 0);
                break;
        }
}

static void on_intent(struct request_intent *ri, const struct err *e, int verdict)
{
        struct call *c = CONTAINER_OF(ri, struct call, intent);

        follow(c, verdict, e);
}

static struct sent *send(struct call *c, size_t shard)
{
        struct sent *m = &w.sent[w.n_sent++];

        ck_assert_uint_le(w.n_sent, MAX_SENT);
        *m = (struct sent){ .call = (int)(c - w.calls),
                            .serial = c->serial,
                            .shard = shard,
                            .request = c->request };
        return m;
}

static void send_note(struct request_intent *ri, size_t shard, const struct tablet_execute *x)
{
        struct sent *m = send(CONTAINER_OF(ri, struct call, intent), shard);

        ck_assert_uint_eq(x->n_sql_bytes, 0);
        ck_assert(x->write);
        memcpy(m->key, x->request_id, x->n_request_id_bytes);
        memcpy(m->note, x->request_note, x->n_note_bytes);
        m->n_note_bytes = x->n_note_bytes;
}

static void abandon(struct request_intent *ri)
{
        CONTAINER_OF(ri, struct call, intent)->serial++;
}

static const struct request_intent_io io = { .send = send_note, .abandon = abandon };

static void send_insert(struct call *c)
{
        uint64_t bits[1];
        struct err e = ERR_INIT;
        struct sent *m;
        size_t n;

        ck_assert_msg(plan_route(w.plan, 0, c->use.values, bits, &n, &e) == ERR_OK, "%s", e.msg);
        ck_assert_uint_eq(n, 1);
        m = send(c, (size_t)__builtin_ctzll(bits[0]));
        m->is_insert = true;
        m->id = c->values.values[w.plan->insert_ids[0]].integer;
        memcpy(m->key, c->intent.key, c->intent.n_key_bytes);
        if (c->intent.n_note_bytes)
                memcpy(m->note, c->intent.note, c->intent.n_note_bytes);
        m->n_note_bytes = c->intent.n_note_bytes;
}

static void on_filled(struct sequence_use *u, const struct err *e)
{
        struct call *c = CONTAINER_OF(u, struct call, use);
        static const struct err ok = ERR_INIT;

        if (e->code)
                c->live = false;
        else
                follow(c, request_intent_start(&c->intent), &ok);
}

static void begin_call(struct call *c, int request)
{
        const struct plan_arg arg = { .value = value_integer(request) };
        struct err e = ERR_INIT;
        int serial = c->serial + 1;

        *c = (struct call){ .live = true,
                            .gate = w.one_gate ? 0 : draw(N_GATES),
                            .request = request,
                            .serial = serial };
        snprintf(c->id, sizeof c->id, "r%d", request);
        ck_assert_int_eq(plan_bind(w.plan, &arg, 1, NULL, NULL, 0, w.arena, &c->values, &e),
                         ERR_OK);
        ck_assert(request_intent_is_needed(w.plan, &c->values));
        c->use = (struct sequence_use){
                .plan = w.plan, .values = &c->values, .deadline_us = INT64_MAX, .done = on_filled
        };
        c->intent = (struct request_intent){
                .io = &io,
                .use = &c->use,
                .request_id = c->id,
                .n_request_id_bytes = strlen(c->id),
                .done = on_intent,
        };
        if (sequence_fill(w.rowids.gates[c->gate].sequences, &c->use, &e) == SEQUENCE_FILLED)
                on_filled(&c->use, &e);
}

/* The client has gone, or its gate has: what is under way may arrive. */
static void drop_call(struct call *c)
{
        request_intent_done(&c->intent);
        sequence_cancel(w.rowids.gates[c->gate].sequences, &c->use);
        c->serial++;
        c->live = false;
}

/* ---- the schedule */

static void answer(const struct sent *m, const struct err *e, const struct kept *reply,
                   bool replayed)
{
        struct call *c = &w.calls[m->call];
        struct err failure = ERR_INIT;
        enum request_intent_verdict verdict;

        if (!c->live || c->serial != m->serial)
                return;
        if (!m->is_insert) {
                request_intent_answered(&c->intent, e, replayed, reply->note, reply->n_note_bytes,
                                        (const uint8_t *)&reply->reply, reply->has_reply ? 8 : 0);
                return;
        }
        verdict = request_intent_result(&c->intent, e, replayed, reply->note, reply->n_note_bytes,
                                        &failure);
        if (verdict == INTENT_FINAL)
                end_call(c, e, reply->reply);
        else
                follow(c, verdict, &failure);
}

static void arrive(size_t i)
{
        struct sent m = w.sent[i];
        struct kept reply = { 0 };
        struct err e = ERR_INIT;
        bool replayed = false;
        unsigned fate = w.calm ? 9 : draw(10);
        bool orphan = !w.calls[m.call].live || w.calls[m.call].serial != m.serial;

        w.sent[i] = w.sent[--w.n_sent];
        if (orphan && m.age > MAX_LATE)
                return;
        if (fate == 0 && !orphan) {
                err_set(&e, ERR_UNAVAILABLE, "TABLET_AWAY", "lost");
        } else {
                execute(&m, &e, &reply, &replayed);
                if (fate == 1) {
                        e = (struct err)ERR_INIT;
                        err_set(&e, ERR_UNKNOWN, "OUTCOME_UNKNOWN", "no answer");
                }
        }
        answer(&m, &e, &reply, replayed);
}

/* A row through a gate that knows nothing of the others' ids, in the way of the next; or gone
 * again. */
static void interfere(void)
{
        struct err e;

        if (draw(2))
                world_sql(w.rowids.db, &e,
                          "INSERT INTO t SELECT max(id) + 1 + abs(random() %% 3), %d FROM t",
                          ++w.n_u);
        else
                world_sql(w.rowids.db, &e,
                          "DELETE FROM t WHERE u IN (SELECT u FROM t WHERE u %% 3 = 1 ORDER BY id "
                          "DESC LIMIT 1)");
}

static void step(int n_requests)
{
        struct call *c = &w.calls[draw(MAX_CALLS)];

        for (size_t i = 0; i < w.n_sent; i++)
                w.sent[i].age++;
        if (w.rowids.n_questions && draw(2))
                world_answer(&w.rowids, draw((unsigned)w.rowids.n_questions));
        if (w.n_sent && draw(4))
                arrive(draw((unsigned)w.n_sent));
        else if (!c->live && n_requests && w.n_sent < MAX_SENT - 2 * MAX_CALLS)
                begin_call(c, (int)draw((unsigned)n_requests));
        else if (c->live && draw(6) == 0 && !w.calm)
                drop_call(c);
        if (!w.calm && draw(10) == 0)
                interfere();
}

static void settle(void)
{
        w.calm = true;
        for (int n = 0, busy = 1; busy; n++) {
                ck_assert_int_lt(n, 100000);
                step(0);
                busy = w.n_sent || w.rowids.n_questions;
        }
        for (int i = 0; i < MAX_CALLS; i++)
                ck_assert_msg(!w.calls[i].live, "a call does not end");
}

static void finish(void)
{
        for (int i = 0; i < MAX_CALLS; i++)
                if (w.calls[i].live)
                        drop_call(&w.calls[i]);
        plan_unref(w.plan);
        catalog_unref(w.catalog);
        world_done(&w.rowids);
        w.arena = arena_free(w.arena);
}

static void check_rows(int n_requests)
{
        for (int r = 0; r < n_requests; r++) {
                ck_assert_msg(w.n_rows[r] <= 1, "seed %llu: request %d was done %d times",
                              (unsigned long long)seed, r, w.n_rows[r]);
                if (w.acked[r])
                        ck_assert_msg(w.n_rows[r] == 1 && w.rows[r][0] == w.acked[r],
                                      "request %d was told rowid %lld, which was not inserted", r,
                                      (long long)w.acked[r]);
        }
}

START_TEST(done_once_whatever_happens)
{
        enum { N_REQUESTS = 6 };

        for (uint64_t s = 0; s < 120; s++) {
                start();
                seed = s * 4 + (uint64_t)_i;
                for (int i = 0; i < 300; i++)
                        step(N_REQUESTS);
                settle();
                check_rows(N_REQUESTS);
                /* And in the end each is done, by a call that nothing disturbs. */
                for (int r = 0; r < N_REQUESTS; r++) {
                        begin_call(&w.calls[0], r);
                        settle();
                        ck_assert_msg(w.acked[r], "request %d is never done", r);
                }
                check_rows(N_REQUESTS);
                finish();
        }
}
END_TEST

/* ---- in single steps */

/* A request whose home is, or is not, where the row goes. */
static int find_request(bool at_home)
{
        for (int r = 0; r < MAX_REQUESTS; r++) {
                struct call *c = &w.calls[0];
                bool direct;

                begin_call(c, r);
                world_settle(&w.rowids);
                ck_assert_uint_eq(w.n_sent, 1);
                direct = w.sent[0].is_insert;
                drop_call(c);
                w.n_sent = 0;
                w.rowids.now_us += 3 * SEQUENCE_GHOST_US;
                if (direct == at_home)
                        return r;
        }
        ck_abort_msg("no such request");
}

START_TEST(one_write_at_home_two_elsewhere)
{
        int r;

        start();
        w.one_gate = true;
        r = find_request(true);
        begin_call(&w.calls[0], r);
        settle();
        ck_assert_uint_eq(w.n_kept, 1);
        ck_assert_int_eq(w.acked[r], 1);
        finish();
        start();
        w.one_gate = true;
        r = find_request(false);
        begin_call(&w.calls[0], r);
        settle();
        ck_assert_uint_eq(w.n_kept, 2);
        ck_assert_int_eq(w.kept[0].note[0], 'I');
        ck_assert(!w.kept[0].has_reply && w.kept[1].has_reply);
        ck_assert_int_eq(w.acked[r], 1);
        /* The repeat draws another rowid, and is told the first; that other one is not used up. */
        begin_call(&w.calls[1], r);
        settle();
        begin_call(&w.calls[2], r + 1);
        settle();
        check_rows(MAX_REQUESTS);
        ck_assert_int_eq(w.acked[r + 1], 2);
        finish();
}
END_TEST

START_TEST(rowid_that_is_taken_is_left)
{
        struct err e;
        int r;

        for (int at_home = 0; at_home < 2; at_home++) {
                start();
                w.one_gate = true;
                r = find_request(at_home);
                begin_call(&w.calls[0], r);
                world_settle(&w.rowids);
                world_sql(w.rowids.db, &e, "INSERT INTO t VALUES(1, -1), (2, -2)");
                settle();
                ck_assert_int_eq(w.acked[r], 3);
                /* Although rowid 1 has become free, a repeat does not take it. */
                world_sql(w.rowids.db, &e, "DELETE FROM t WHERE u < 0");
                begin_call(&w.calls[1], r);
                settle();
                check_rows(MAX_REQUESTS);
                finish();
        }
}
END_TEST

static const struct {
        const char *label, *id;
        size_t n_bytes;
        enum err_code want;
} id_cases[] = {
        { "usual", "3f1c-77", 7, ERR_OK },
        { "not ASCII", "\xc3\xa4", 2, ERR_OK },
        { "separator",
          "a\x1f"
          "1",
          3, ERR_INVALID },
        { "NUL", "a\0b", 3, ERR_INVALID },
        { "delete", "\x7f", 1, ERR_INVALID },
};

START_TEST(ids_that_clients_may_use)
{
        struct err e = ERR_INIT;
        char text[REQUEST_ID_MAX_BYTES + 1];

        for (size_t i = 0; i < ARRAY_LEN(id_cases); i++)
                ck_assert_msg(request_id_check(id_cases[i].id, id_cases[i].n_bytes, &e) ==
                                  id_cases[i].want,
                              "%s", id_cases[i].label);
        memset(text, 'x', sizeof text);
        ck_assert_int_eq(request_id_check(text, REQUEST_ID_MAX_BYTES, &e), ERR_OK);
        ck_assert_int_eq(request_id_check(text, REQUEST_ID_MAX_BYTES + 1, &e), ERR_INVALID);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/request_intent");
        TCase *t = tcase_create("request_intent");

        tcase_set_timeout(t, 60);
        tcase_add_test(t, one_write_at_home_two_elsewhere);
        tcase_add_test(t, rowid_that_is_taken_is_left);
        tcase_add_test(t, ids_that_clients_may_use);
        tcase_add_loop_test(t, done_once_whatever_happens, 0, 4);
        suite_add_tcase(s, t);
        return unit_run(s);
}
