/* test_hold.c - transactions on one tablet as a gate sees them: over streams, beside autocommit
 * writes and reads. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/hlc.h"
#include "tests/unit/tablet/world.h"
#include "tests/unit/unit.h"

static struct world w;
static struct line *l;
static uint64_t counter;

static void set_up(void)
{
        world_init(&w);
        w.eo.foreign_keys = true;
}

static void open_world(void)
{
        world_open(&w);
        l = line_open(&w);
}

static void tear_down(void)
{
        if (l)
                l = line_close(l);
        world_done(&w);
}

/* A transaction on the shard "-80", as its gate knows it. */
struct txn {
        struct line *line;
        Shoal__V1__TransactionId id;
        uint64_t age;
        Shoal__V1__ShardPart part;
        uint64_t last_ts, commit_ts;
        char text[256];
};

static struct txn begin(struct line *line)
{
        struct txn t = { .line = line };

        shoal__v1__transaction_id__init(&t.id);
        shoal__v1__shard_part__init(&t.part);
        t.id.epoch = 1;
        t.id.start = t.age = hlc_tick(&w.hlc);
        t.id.counter = ++counter;
        return t;
}

static const Shoal__V1__ShardReply *last_piece(const struct line *line, uint64_t id)
{
        const Shoal__V1__ShardReply *last = NULL;

        for (size_t i = 0; i < line->n_replies; i++)
                for (size_t k = 0; line->replies[i]->id == id && k < line->replies[i]->n_shards;
                     k++)
                        last = line->replies[i]->shards[k];
        return last;
}

/* The answer to one of its requests; what the gate learns of it. */
static const char *hear(struct txn *t, uint64_t id)
{
        const Shoal__V1__ShardReply *s;
        struct answer a;

        line_wait(t->line, id, &a);
        s = last_piece(t->line, id);
        ck_assert(s);
        if (s->n_statements) {
                t->part.incarnation = s->incarnation;
                t->part.n_statements = s->n_statements;
        }
        if (s->last_ts)
                t->last_ts = s->last_ts;
        t->commit_ts = s->commit_ts;
        snprintf(t->text, sizeof t->text, "%.*s", (int)strcspn(a.text, "/"), a.text);
        return t->text;
}

static uint64_t send_sql(struct txn *t, bool write, uint64_t savepoint, const char *sql)
{
        Shoal__V1__Participation p = SHOAL__V1__PARTICIPATION__INIT;
        Shoal__V1__ShardPart *parts = &t->part;
        struct ask a;

        ask_init(&a, 1, sql);
        a.x.write = write;
        a.x.transaction = &p;
        p.id = &t->id;
        p.age = t->age;
        p.parts = &parts;
        p.n_parts = 1;
        p.savepoint = savepoint;
        return line_send(t->line, &a.m);
}

static const char *run(struct txn *t, const char *sql)
{
        return hear(t, send_sql(t, true, 0, sql));
}

static const char *run_in(struct txn *t, uint64_t savepoint, const char *sql)
{
        return hear(t, send_sql(t, true, savepoint, sql));
}

static const char *read_in(struct txn *t, const char *sql)
{
        return hear(t, send_sql(t, false, 0, sql));
}

static const char *undo(struct txn *t, uint64_t savepoint)
{
        Shoal__V1__Savepoint m = SHOAL__V1__SAVEPOINT__INIT;
        Shoal__V1__ShardPart *parts = &t->part;
        struct ask a;

        ask_init(&a, 1, "");
        a.m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_SAVEPOINT;
        a.m.savepoint = &m;
        m.keyspace_id = 1;
        m.shards = a.shards;
        m.n_shards = 1;
        m.id = &t->id;
        m.parts = &parts;
        m.n_parts = 1;
        m.savepoint = savepoint;
        return hear(t, line_send(t->line, &a.m));
}

static uint64_t send_prepare(struct txn *t, size_t n_participants)
{
        static char *const names[] = { (char *)"1/-80", (char *)"1/80-" };
        Shoal__V1__Prepare m = SHOAL__V1__PREPARE__INIT;
        Shoal__V1__ShardPart *parts = &t->part;
        struct ask a;

        ask_init(&a, 1, "");
        a.m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_PREPARE;
        a.m.prepare = &m;
        m.keyspace_id = 1;
        m.shards = a.shards;
        m.n_shards = 1;
        m.id = &t->id;
        m.parts = &parts;
        m.n_parts = 1;
        m.participants = (char **)names;
        m.n_participants = n_participants;
        return line_send(t->line, &a.m);
}

static uint64_t send_end(struct txn *t, bool commit, uint64_t min_ts)
{
        Shoal__V1__EndTransaction m = SHOAL__V1__END_TRANSACTION__INIT;
        Shoal__V1__ShardPart *parts = &t->part;
        struct ask a;

        ask_init(&a, 1, "");
        a.m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_END_TRANSACTION;
        a.m.end_transaction = &m;
        m.keyspace_id = 1;
        m.shards = a.shards;
        m.n_shards = 1;
        m.id = &t->id;
        m.parts = &parts;
        m.n_parts = 1;
        m.commit = commit;
        m.min_ts = min_ts;
        return line_send(t->line, &a.m);
}

static const char *commit(struct txn *t)
{
        return hear(t, send_end(t, true, 0));
}

static const char *roll_back(struct txn *t)
{
        return hear(t, send_end(t, false, 0));
}

static const char *find(struct txn *t, bool fence)
{
        Shoal__V1__FindTransaction m = SHOAL__V1__FIND_TRANSACTION__INIT;
        struct ask a;

        ask_init(&a, 1, "");
        a.m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_FIND_TRANSACTION;
        a.m.find_transaction = &m;
        m.keyspace_id = 1;
        m.shards = a.shards;
        m.n_shards = 1;
        m.id = &t->id;
        m.fence = fence;
        return hear(t, line_send(t->line, &a.m));
}

static const char *look(const char *sql)
{
        return line_ask(l, 1, false, sql);
}

static const char *write_row(const char *sql)
{
        return line_ask(l, 1, true, sql);
}

/* ---- */

START_TEST(commits_what_it_did)
{
        struct txn t;
        uint64_t ts;

        open_world();
        t = begin(l);
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (1, 'a')"), "changes=1 id=1 ");
        ck_assert_uint_ne(t.part.incarnation, 0);
        ck_assert_uint_eq(t.part.n_statements, 1);
        ck_assert_str_eq(read_in(&t, "SELECT v FROM t"), "a;");
        ck_assert_str_eq(look("SELECT count(*) FROM t"), "0;//");
        ck_assert_str_eq(find(&t, false), "UNAVAILABLE UNDECIDED");
        ck_assert_str_eq(hear(&t, send_end(&t, true, t.age + hlc_from_us(1000))), "");
        ts = t.commit_ts;
        ck_assert_uint_gt(ts, t.age + hlc_from_us(1000));
        ck_assert_uint_eq(t.part.incarnation, 0);
        ck_assert_str_eq(look("SELECT v FROM t"), "a;//");
        /* Repeated, and asked for. */
        ck_assert_str_eq(commit(&t), "");
        ck_assert_uint_eq(t.commit_ts, ts);
        ck_assert_str_eq(find(&t, true), "");
        ck_assert_uint_eq(t.commit_ts, ts);
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (2, 'b')"), "ABORTED PARTICIPANT_LOST");
        ck_assert_str_eq(look("SELECT count(*) FROM t"), "1;//");
}
END_TEST

START_TEST(rolls_back)
{
        struct txn t;

        open_world();
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        ck_assert_str_eq(roll_back(&t), "");
        ck_assert_str_eq(roll_back(&t), "");
        ck_assert_str_eq(look("SELECT count(*) FROM t"), "0;//");
        ck_assert_str_eq(find(&t, false), "NOT_FOUND UNKNOWN_TRANSACTION");
        ck_assert_str_eq(commit(&t), "ABORTED PARTICIPANT_LOST");
}
END_TEST

/* What a statement that fails has done is undone, and nothing else; in SQLite some failures end the
 * transaction. */
static const struct {
        const char *sql, *want;
        bool ends;
} failures[] = {
        { "INSERT INTO t VALUES (5, 'x'), (1, 'y')",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_PRIMARYKEY", false },
        { "INSERT OR FAIL INTO t VALUES (6, 'x'), (1, 'y')",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_PRIMARYKEY", false },
        { "INSERT OR ROLLBACK INTO t VALUES (5, 'x'), (1, 'y')",
          "FAILED_PRECONDITION SQLITE_CONSTRAINT_PRIMARYKEY", true },
        { "nonsense", "INVALID_ARGUMENT SYNTAX_ERROR", false },
        { "DELETE FROM _shoal_meta", "PERMISSION_DENIED NOT_ALLOWED", false },
};

START_TEST(a_failure)
{
        struct txn t;

        open_world();
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        ck_assert_str_eq(run(&t, failures[_i].sql), failures[_i].want);
        if (failures[_i].ends) {
                ck_assert_uint_eq(t.part.incarnation, 0);
                ck_assert_str_eq(commit(&t), "ABORTED PARTICIPANT_LOST");
                ck_assert_str_eq(look("SELECT count(*) FROM t"), "0;//");
                return;
        }
        ck_assert_uint_eq(t.part.n_statements, 2);
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (9, 'z')"), "changes=1 id=9 ");
        ck_assert_str_eq(commit(&t), "");
        ck_assert_str_eq(look("SELECT id FROM t ORDER BY id"),
                         strstr(failures[_i].sql, "OR FAIL") ? "1;6;9;//" : "1;9;//");
}
END_TEST

START_TEST(savepoints)
{
        struct txn t;

        open_world();
        t = begin(l);
        run_in(&t, 0, "INSERT INTO t VALUES (1, 'a')");
        run_in(&t, 3, "INSERT INTO t VALUES (2, 'a')");
        run_in(&t, 3, "INSERT INTO t VALUES (3, 'a')");
        run_in(&t, 7, "INSERT INTO t VALUES (4, 'a')");
        ck_assert_str_eq(undo(&t, 5), "");
        ck_assert_str_eq(read_in(&t, "SELECT id FROM t ORDER BY id"), "1;2;3;");
        run_in(&t, 8, "INSERT INTO t VALUES (5, 'a')");
        ck_assert_str_eq(undo(&t, 9), "");
        ck_assert_str_eq(read_in(&t, "SELECT id FROM t ORDER BY id"), "1;2;3;5;");
        ck_assert_str_eq(undo(&t, 2), "");
        ck_assert_str_eq(read_in(&t, "SELECT id FROM t ORDER BY id"), "1;");
        run_in(&t, 3, "INSERT INTO t VALUES (6, 'a')");
        ck_assert_str_eq(undo(&t, 3), "");
        run_in(&t, 0, "INSERT INTO t VALUES (7, 'a')");
        ck_assert_str_eq(commit(&t), "");
        ck_assert_str_eq(look("SELECT id FROM t ORDER BY id"), "1;7;//");
}
END_TEST

static void make_family(void)
{
        Shoal__V1__ChangeSchema m = SHOAL__V1__CHANGE_SCHEMA__INIT;
        struct answer answer;
        struct ask a;

        ask_init(&a, 1, "");
        a.m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CHANGE_SCHEMA;
        a.m.change_schema = &m;
        m.keyspace_id = 1;
        m.shards = a.shards;
        m.n_shards = 1;
        m.version = 2;
        m.change_id = (char *)"c2";
        m.sql = (char *)"CREATE TABLE c(t REFERENCES t DEFERRABLE INITIALLY DEFERRED)";
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "//");
}

/* As in SQLite, what is deferred counts at the end, and the transaction goes on. */
START_TEST(deferred_constraints)
{
        static const char want[] = "FAILED_PRECONDITION SQLITE_CONSTRAINT_FOREIGNKEY";
        struct txn t;

        open_world();
        make_family();
        t = begin(l);
        ck_assert_str_eq(run(&t, "INSERT INTO c VALUES (1)"), "changes=1 id=1 ");
        ck_assert_str_eq(commit(&t), want);
        ck_assert_str_eq(hear(&t, send_prepare(&t, 1)), want);
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (1, 'a')"), "changes=1 id=1 ");
        ck_assert_str_eq(commit(&t), "");
        ck_assert_str_eq(look("SELECT count(*) FROM c"), "1;//");
}
END_TEST

/* After a vote there is nothing but the end. */
START_TEST(votes)
{
        struct txn t, u;
        uint64_t vote;

        open_world();
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        ck_assert_str_eq(hear(&t, send_prepare(&t, 2)), "UNIMPLEMENTED WRITE_SPANS_SHARDS");
        ck_assert_str_eq(hear(&t, send_prepare(&t, 1)), "");
        vote = t.commit_ts;
        ck_assert_uint_gt(vote, t.last_ts);
        ck_assert_str_eq(commit(&t), "");
        ck_assert_uint_eq(t.commit_ts, vote);
        u = begin(l);
        run(&u, "INSERT INTO t VALUES (2, 'a')");
        ck_assert_str_eq(hear(&u, send_prepare(&u, 1)), "");
        ck_assert_str_eq(run(&u, "INSERT INTO t VALUES (3, 'a')"), "ABORTED PARTICIPANT_LOST");
        ck_assert_str_eq(roll_back(&u), "");
        ck_assert_str_eq(look("SELECT id FROM t"), "1;//");
}
END_TEST

/* Of two, the older waits, and the younger is told. */
START_TEST(older_and_younger)
{
        struct txn old, mid, young;
        uint64_t waiting;

        open_world();
        old = begin(l);
        mid = begin(l);
        young = begin(l);
        run(&mid, "INSERT INTO t VALUES (1, 'mid')");
        ck_assert_str_eq(run(&young, "INSERT INTO t VALUES (2, 'young')"),
                         "ABORTED WRITE_CONFLICT");
        waiting = send_sql(&old, true, 0, "INSERT INTO t VALUES (3, 'old')");
        read_in(&mid, "SELECT 1");
        ck_assert(!line_has_end(l, waiting));
        ck_assert_str_eq(commit(&mid), "");
        ck_assert_str_eq(hear(&old, waiting), "changes=1 id=3 ");
        ck_assert_uint_eq(old.last_ts, mid.commit_ts);
        ck_assert_str_eq(commit(&old), "");
        ck_assert_uint_gt(old.commit_ts, mid.commit_ts);
        ck_assert_str_eq(look("SELECT v FROM t ORDER BY id"), "mid;old;//");
}
END_TEST

START_TEST(based_on_what_was_read)
{
        struct txn t;

        open_world();
        ck_assert_str_eq(write_row("INSERT INTO t VALUES (1, 'a')"), "changes=1 id=1 //");
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (2, 'b')");
        roll_back(&t);
        t.part = begin(l).part;
        t.id.counter = ++counter;
        t.part.expect_c = t.last_ts - 1;
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (2, 'b')"), "ABORTED WRITE_CONFLICT");
        t.part = begin(l).part;
        t.id.counter = ++counter;
        t.part.expect_c = t.part.max_c = t.last_ts;
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (2, 'b')"), "changes=1 id=2 ");
        ck_assert_str_eq(commit(&t), "");
}
END_TEST

/* Writes outside of transactions wait for it; a pin that has to be exact later does not. */
START_TEST(beside_others)
{
        struct txn t;
        struct answer a;
        struct ask x;
        uint64_t write, r;

        w.eo.floor_block_ms = 50;
        open_world();
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        ask_init(&x, 1, "INSERT INTO t VALUES (2, 'b')");
        x.x.write = true;
        write = line_send(l, &x.m);
        for (int i = 0; i < 3; i++) {
                r = hlc_now(&w.hlc) + hlc_from_us(100 * 1000 * (i + 1));
                ask_init(&x, 1, "SELECT count(*) FROM t");
                x.x.read_ts = r;
                x.x.pin = (uint64_t)i + 1;
                x.x.pin_round = 1;
                line_wait(l, line_send(l, &x.m), &a);
                ck_assert_str_eq(a.text, "0;//");
                ck_assert_uint_ge(a.cut_e, r);
        }
        ck_assert(!line_has_end(l, write));
        ck_assert_str_eq(commit(&t), "");
        ck_assert_uint_gt(t.commit_ts, r);
        line_wait(l, write, &a);
        ck_assert_uint_gt(a.commit_ts, t.commit_ts);
        ck_assert_str_eq(look("SELECT count(*) FROM t"), "2;//");
}
END_TEST

START_TEST(a_stream_breaks)
{
        struct line *other;
        struct txn t;

        open_world();
        other = line_open(&w);
        t = begin(other);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        line_close(other);
        ck_assert_str_eq(write_row("INSERT INTO t VALUES (2, 'b')"), "changes=1 id=2 //");
        ck_assert_str_eq(look("SELECT id FROM t"), "2;//");
        t.line = l;
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (3, 'c')"), "ABORTED PARTICIPANT_LOST");
}
END_TEST

START_TEST(fenced)
{
        struct txn t, u;

        open_world();
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        ck_assert_str_eq(find(&t, true), "NOT_FOUND UNKNOWN_TRANSACTION");
        ck_assert_str_eq(commit(&t), "ABORTED TRANSACTION_FENCED");
        u = begin(l);
        ck_assert_str_eq(find(&u, true), "NOT_FOUND UNKNOWN_TRANSACTION");
        ck_assert_str_eq(run(&u, "INSERT INTO t VALUES (1, 'a')"), "ABORTED TRANSACTION_FENCED");
        ck_assert_str_eq(look("SELECT count(*) FROM t"), "0;//");
}
END_TEST

START_TEST(silent_for_too_long)
{
        struct txn t;

        w.eo.hold_idle_ms = 100;
        open_world();
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        /* It waits until the other has been undone. */
        ck_assert_str_eq(write_row("INSERT INTO t VALUES (2, 'b')"), "changes=1 id=2 //");
        ck_assert_str_eq(commit(&t), "ABORTED PARTICIPANT_LOST");
        ck_assert_str_eq(look("SELECT id FROM t"), "2;//");
}
END_TEST

/* Sent as a read, a write is refused; counted all the same. */
START_TEST(reads_do_not_write)
{
        struct txn t;

        open_world();
        t = begin(l);
        ck_assert_str_eq(read_in(&t, "SELECT 1"), "1;");
        ck_assert_str_eq(read_in(&t, "DELETE FROM t"), "INVALID_ARGUMENT NOT_READ_ONLY");
        ck_assert_str_eq(run(&t, "INSERT INTO t VALUES (1, 'a') RETURNING v"), "a;changes=1 id=1 ");
        ck_assert_str_eq(commit(&t), "");
}
END_TEST

static bool is_gone(void *arg)
{
        return registry_n_shards(w.registry) == 0;
}

/* The shard leaves the tablet while a transaction is open on it. */
START_TEST(shard_leaves)
{
        struct txn t;

        open_world();
        t = begin(l);
        run(&t, "INSERT INTO t VALUES (1, 'a')");
        world_apply(&w, 0, NULL, 0, 1);
        world_until(&w, is_gone, NULL);
        ck_assert_str_eq(commit(&t), "UNAVAILABLE SHARD_NOT_SERVED");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("hold");
        TCase *tc = tcase_create("transactions");

        tcase_set_timeout(tc, 30);
        tcase_add_checked_fixture(tc, set_up, tear_down);
        tcase_add_test(tc, commits_what_it_did);
        tcase_add_test(tc, rolls_back);
        tcase_add_loop_test(tc, a_failure, 0, ARRAY_LEN(failures));
        tcase_add_test(tc, savepoints);
        tcase_add_test(tc, deferred_constraints);
        tcase_add_test(tc, votes);
        tcase_add_test(tc, older_and_younger);
        tcase_add_test(tc, based_on_what_was_read);
        tcase_add_test(tc, beside_others);
        tcase_add_test(tc, a_stream_breaks);
        tcase_add_test(tc, fenced);
        tcase_add_test(tc, silent_for_too_long);
        tcase_add_test(tc, reads_do_not_write);
        tcase_add_test(tc, shard_leaves);
        suite_add_tcase(s, tc);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
