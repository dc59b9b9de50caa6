/* test_checkpoint.c - the write-ahead log moves into the file between batches, and waits patiently
 * for readers. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/metrics.h"
#include "tests/unit/tablet/faulty_disk.h"
#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

enum { CHECKPOINT_BYTES = 64 << 10, MAX_WAL_BYTES = 512 << 10 };

static struct env env;

static void set_up(void)
{
        env_init(&env);
        env.o.checkpoint_bytes = CHECKPOINT_BYTES;
        env.o.max_wal_bytes = MAX_WAL_BYTES;
        env_open(&env);
        ck_assert_str_eq(
            env_schema(&env, 1, NULL, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "", false),
            "OK");
}

static void tear_down(void)
{
        faulty_disk_fail_writes("", 0, 0);
        env_done(&env);
}

static uint64_t n_checkpoints(const char *outcome)
{
        char labels[64];

        snprintf(labels, sizeof labels, "outcome=\"%s\"", outcome);
        return metric_value(metric_counter("shoal_tablet_checkpoints_total", labels, ""));
}

static size_t wal_bytes(void)
{
        char path[128];
        struct stat st;

        snprintf(path, sizeof path, "%s/1/-.db-wal", env.dir);
        return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

static void write_rows(int n)
{
        for (int i = 0; i < n; i++)
                ck_assert_int_eq(
                    strncmp(env_write(&env, "INSERT INTO t(v) VALUES (hex(randomblob(5000)))"),
                            "changes=1", 9),
                    0);
}

START_TEST(the_log_stays_short)
{
        write_rows(300); /* 3 MB */
        ck_assert_uint_ge(n_checkpoints("complete"), 10);
        ck_assert_uint_lt(wal_bytes(), 2 * CHECKPOINT_BYTES);
        ck_assert_uint_gt(metric_value(metric_gauge("shoal_tablet_wal_bytes", "", "")), 0);
        ck_assert_uint_lt(metric_value(metric_gauge("shoal_tablet_wal_bytes", "", "")),
                          2 * CHECKPOINT_BYTES);
}
END_TEST

/* A reader with an old snapshot: attempts get rarer, and when it ends the log is short again. */
START_TEST(a_reader_holds_it_back)
{
        struct engine_stmt st = { .sql = "SELECT id FROM t",
                                  .n_sql_bytes = 16,
                                  .deadline_us = INT64_MAX };
        struct buf out = BUF_INIT(0);
        struct engine_read r;
        uint64_t before;
        bool more;

        write_rows(10);
        engine_read_init(&r, env.shard, &st, NULL);
        ck_assert_int_eq(engine_read_run(&r, 1, &out, &more, NULL), ERR_OK);
        ck_assert(more);
        before = n_checkpoints("partial") + n_checkpoints("complete");
        write_rows(400); /* 60 times what makes a checkpoint worth while */
        ck_assert_uint_ge(n_checkpoints("partial"), 2);
        ck_assert_uint_le(n_checkpoints("partial") + n_checkpoints("complete") - before, 12);
        ck_assert_uint_gt(wal_bytes(), 400 * 5000);
        engine_read_done(&r);
        write_rows(400);
        ck_assert_uint_le(wal_bytes(), MAX_WAL_BYTES + 100000); /* the file has shrunk, too */
        buf_done(&out);
}
END_TEST

START_TEST(it_fails)
{
        faulty_disk_fail_writes("/1/-.db", ENOSPC, 0); /* the file itself; the log grows */
        write_rows(50);
        ck_assert_uint_ge(n_checkpoints("failed"), 1);
        ck_assert_uint_le(n_checkpoints("failed"), 6);
        faulty_disk_fail_writes("", 0, 0);
        write_rows(100);
        ck_assert_uint_ge(n_checkpoints("complete"), 1);
        env_crash(&env);
        env_open(&env);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "150;");
}
END_TEST

START_TEST(closing_leaves_an_empty_log)
{
        write_rows(3);
        ck_assert_uint_gt(wal_bytes(), 0);
        env_close(&env);
        ck_assert_uint_eq(wal_bytes(), 0);
        env_open(&env);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "3;");
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("checkpoint");
        TCase *t = tcase_create("log");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_test(t, the_log_stays_short);
        tcase_add_test(t, a_reader_holds_it_back);
        tcase_add_test(t, it_fails);
        tcase_add_test(t, closing_leaves_an_empty_log);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
