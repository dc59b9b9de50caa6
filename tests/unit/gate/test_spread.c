/* Writes over several shards: what a gate says to tablets that take part in a transaction, and to
 * topo, and what it makes of their answers. */
#include "common/buf.h"
#include "common/wire.h"
#include "gate/session.h"
#include "tests/unit/gate/gate_fixture.h"

static struct gate_fixture fx;

enum { VOTE = 1000, INCARNATION = 77 };

/* What the fake tablets do; the same for both. */
static struct {
        const char *fail_sql; /* a statement that holds this fails on the last of its shards … */
        int fail_code;
        const char *fail_reason;
        bool has_failed; /* … for as long as this is not set */
        bool is_plain;   /* autocommit */
        uint64_t read_ts;
        size_t n_executes, n_prepares, n_commits, n_aborts, n_undone;
        uint64_t last_savepoint, commit_ts, n_votes;
        char sql[8][200];
} script;

static void reply_part(struct fake_request *r, uint32_t shard, const Shoal__V1__ShardPart *part,
                       uint64_t n_changes, uint64_t commit_ts, bool end)
{
        Shoal__V1__TabletReply m = SHOAL__V1__TABLET_REPLY__INIT;
        Shoal__V1__ShardReply s = SHOAL__V1__SHARD_REPLY__INIT, *list = &s;
        struct buf b = BUF_INIT(0);

        wire_add_uint_nz(&b, 3, n_changes);
        m.id = r->m->id;
        m.shards = &list;
        m.n_shards = 1;
        m.end = end;
        s.shard = shard;
        s.end = true;
        s.result = (ProtobufCBinaryData){ b.n_bytes, b.data };
        s.commit_ts = commit_ts;
        s.incarnation = INCARNATION;
        s.n_statements = part ? part->n_statements + 1 : 1;
        fake_send(r->conn, &m);
        buf_done(&b);
}

static void serve_execute(struct fake_request *r)
{
        Shoal__V1__Execute *x = r->m->execute;
        Shoal__V1__Participation *t = x->transaction;

        if (script.is_plain) {
                script.read_ts = x->read_ts;
                reply_part(r, 0, NULL, 1, 99999, true);
                return;
        }
        ck_assert_msg(t, "%s is not in a transaction", x->sql);
        ck_assert_uint_eq(t->n_parts, x->n_shards);
        ck_assert_uint_eq(t->id->epoch, fx.fakes[0].epoch);
        snprintf(script.sql[script.n_executes++ % 8], sizeof(script.sql[0]), "%s", x->sql);
        script.last_savepoint = t->savepoint;
        for (uint32_t i = 0; i < x->n_shards; i++) {
                bool last = i + 1 == x->n_shards;

                if (last && script.fail_sql && !script.has_failed &&
                    strstr(x->sql, script.fail_sql)) {
                        script.has_failed = true;
                        fake_fail(r, i, script.fail_code, script.fail_reason, true);
                } else {
                        reply_part(r, i, t->parts[i], 1, 0, last);
                }
        }
}

static void serve(struct fake *f, struct fake_request *r)
{
        Shoal__V1__TabletRequest *m = r->m;

        (void)f;
        switch (m->body_case) {
        case SHOAL__V1__TABLET_REQUEST__BODY_EXECUTE:
                serve_execute(r);
                break;
        case SHOAL__V1__TABLET_REQUEST__BODY_PREPARE:
                script.n_prepares++;
                for (uint32_t i = 0; i < m->prepare->n_shards; i++)
                        reply_part(r, i, m->prepare->parts[i], 0, VOTE + script.n_votes++,
                                   i + 1 == m->prepare->n_shards);
                break;
        case SHOAL__V1__TABLET_REQUEST__BODY_SAVEPOINT:
                script.n_undone += m->savepoint->n_shards;
                for (uint32_t i = 0; i < m->savepoint->n_shards; i++)
                        reply_part(r, i, m->savepoint->parts[i], 0, 0,
                                   i + 1 == m->savepoint->n_shards);
                break;
        case SHOAL__V1__TABLET_REQUEST__BODY_END_TRANSACTION:
                *(m->end_transaction->commit ? &script.n_commits : &script.n_aborts) += 1;
                if (m->end_transaction->commit)
                        script.commit_ts = m->end_transaction->commit_ts;
                for (uint32_t i = 0; i < m->end_transaction->n_shards; i++)
                        reply_part(r, i, NULL, 0, 5000, i + 1 == m->end_transaction->n_shards);
                break;
        default:
                break;
        }
}

static void setup(void)
{
        static const char *const args[] = { "--retry=1s", "--connect-wait=500ms", NULL };

        memset(&script, 0, sizeof(script));
        gate_fixture_start(&fx, args);
        for (size_t i = 0; i < GATE_TABLETS; i++)
                fx.fakes[i].on_request = serve;
        gate_fixture_publish(&fx, 4, 1);
        while (!topology_epoch(fx.gate.topology))
                fake_linger(fx.loop, 5);
}

static void teardown(void)
{
        gate_fixture_stop(&fx);
}

static void run(struct client_answer *a, const char *sql)
{
        client_execute(&fx, a, sql, 0, NULL, NULL, "", INT64_MAX);
        client_wait(&fx, a);
}

START_TEST(update_of_all_shards)
{
        struct client_answer a;

        run(&a, "UPDATE t SET a = 1");
        ck_assert_msg(!a.e.code, "%s: %s", a.e.reason, a.e.msg);
        ck_assert_int_eq(a.r->result->rows_affected, 4);
        ck_assert_uint_eq(script.n_executes, 2);
        ck_assert_uint_eq(script.n_prepares, 4);
        ck_assert_uint_eq(fx.fakes[0].n_commits, 1);
        ck_assert_uint_eq(fx.fakes[0].n_last_participants, 4);
        ck_assert_uint_eq(fx.fakes[0].last_commit_ts, VOTE + 3);
        ck_assert_uint_eq(script.n_commits, 4);
        ck_assert_uint_eq(script.commit_ts, VOTE + 3);
        ck_assert_uint_eq(script.n_aborts, 0);
        client_done(&a);
}
END_TEST

START_TEST(rows_go_to_their_shards)
{
        struct client_answer a;
        size_t n_rows = 0;

        run(&a, "INSERT INTO t (id, a) VALUES (1, '?1'), (2, 'b'), (3, 'c'), (4, NULL), (5, 'e'), "
                "(6, 'f')");
        ck_assert_msg(!a.e.code, "%s: %s", a.e.reason, a.e.msg);
        ck_assert_uint_gt(script.n_executes, 1);
        ck_assert_int_eq(a.r->result->rows_affected, (int64_t)script.n_executes);
        for (size_t i = 0; i < script.n_executes; i++)
                for (const char *p = strchr(script.sql[i], ')'); (p = strchr(p + 1, '(')); p++)
                        n_rows++;
        ck_assert_uint_eq(n_rows, 6);
        ck_assert_uint_eq(script.n_commits, script.n_executes);
        client_done(&a);
}
END_TEST

/* The statement is cut where its rows are, not where something looks like them. */
START_TEST(name_like_the_mark_of_the_rows)
{
        struct client_answer a;

        run(&a,
            "INSERT INTO t AS \"(?99999)\" (id, a) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), "
            "(5, 'e'), (6, 'f')");
        ck_assert_msg(!a.e.code, "%s: %s", a.e.reason, a.e.msg);
        ck_assert_uint_gt(script.n_executes, 1);
        for (size_t i = 0; i < script.n_executes; i++)
                ck_assert_ptr_nonnull(strstr(script.sql[i], "\"(?99999)\""));
        client_done(&a);
}
END_TEST

START_TEST(failure_commits_nothing)
{
        struct client_answer a;

        script.fail_sql = "UPDATE";
        script.fail_code = ERR_PRECONDITION;
        script.fail_reason = "SQLITE_CONSTRAINT_CHECK";
        run(&a, "UPDATE t SET a = 1");
        ck_assert_str_eq(a.e.reason, "SQLITE_CONSTRAINT_CHECK");
        ck_assert_uint_eq(script.n_prepares, 0);
        ck_assert_uint_eq(fx.fakes[0].n_commits, 0);
        while (script.n_aborts < 3)
                fake_linger(fx.loop, 5);
        ck_assert_uint_eq(script.n_commits, 0);
        client_done(&a);
}
END_TEST

START_TEST(conflict_is_tried_again)
{
        struct client_answer a;

        script.fail_sql = "UPDATE";
        script.fail_code = ERR_ABORTED;
        script.fail_reason = "WRITE_CONFLICT";
        run(&a, "UPDATE t SET a = 1");
        ck_assert_msg(!a.e.code, "%s: %s", a.e.reason, a.e.msg);
        ck_assert_int_eq(a.r->result->rows_affected, 4);
        ck_assert_uint_ge(script.n_executes, 3);
        ck_assert_uint_eq(fx.fakes[0].n_commits, 1);
        ck_assert_uint_eq(script.n_commits, 4);
        client_done(&a);
}
END_TEST

static void run_in(struct client_answer *a, const char *sql, const char *session)
{
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;

        m.sql = (char *)sql;
        m.session = (char *)session;
        a->is_batch = false;
        client_send(&fx, a, "/shoal.v1.Gate/Execute", &m.base, INT64_MAX);
        client_wait(&fx, a);
}

/* What a session has seen is told to shards: later commits, and reads, are not before it. */
START_TEST(session_remembers_its_writes)
{
        struct client_answer a = { 0 };
        struct session *s;
        struct err e;

        ck_assert(!sessions_open(fx.gate.sessions, "", 0, 1, &s, &e));
        session_note_seen(s, 12345);
        session_leave(s);
        script.is_plain = true;
        run_in(&a, "INSERT INTO t (id, a) VALUES (1, 1)", s->name);
        ck_assert_msg(!a.e.code, "%s: %s", a.e.reason, a.e.msg);
        ck_assert_uint_eq(script.read_ts, 12345);
        ck_assert_uint_eq(s->seen_ts, 99999);
        client_done(&a);
        run_in(&a, "INSERT INTO t (id, a) VALUES (2, 1)", s->name);
        ck_assert_uint_eq(script.read_ts, 99999);
        client_done(&a);
}
END_TEST

START_TEST(statement_in_a_transaction_is_undone)
{
        struct client_answer begun, a;

        run_in(&begun, "BEGIN", "");
        ck_assert_msg(!begun.e.code, "%s: %s", begun.e.reason, begun.e.msg);
        run_in(&a, "INSERT INTO t (id, a) VALUES (1, 1)", begun.r->session);
        ck_assert_msg(!a.e.code, "%s: %s", a.e.reason, a.e.msg);
        ck_assert_int_eq(a.r->result->last_insert_id, 0);
        client_done(&a);
        script.fail_sql = "UPDATE";
        script.fail_code = ERR_PRECONDITION;
        script.fail_reason = "SQLITE_CONSTRAINT_CHECK";
        run_in(&a, "UPDATE t SET a = 1", begun.r->session);
        ck_assert_str_eq(a.e.reason, "SQLITE_CONSTRAINT_CHECK");
        ck_assert_uint_ge(script.n_undone, 3);
        client_done(&a);
        run_in(&a, "COMMIT", begun.r->session);
        ck_assert_msg(!a.e.code, "%s: %s", a.e.reason, a.e.msg);
        ck_assert(!a.r->in_transaction);
        ck_assert_uint_eq(fx.fakes[0].n_commits, 1);
        client_done(&a);
        client_done(&begun);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/spread");
        TCase *t = tcase_create("all");

        tcase_set_timeout(t, 30);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, update_of_all_shards);
        tcase_add_test(t, rows_go_to_their_shards);
        tcase_add_test(t, name_like_the_mark_of_the_rows);
        tcase_add_test(t, failure_commits_nothing);
        tcase_add_test(t, conflict_is_tried_again);
        tcase_add_test(t, session_remembers_its_writes);
        tcase_add_test(t, statement_in_a_transaction_is_undone);
        suite_add_tcase(s, t);
        return unit_run(s);
}
