/* test_faults.c - full disks, I/O errors, damaged and missing files: told as such, nothing lost,
 * the other shards serving on; and kill -9 at any time. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/metrics.h"
#include "tests/unit/tablet/faulty_disk.h"
#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

#define COUNT(n) "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT " #n ") "

static struct env env;
static struct engine_shard *other; /* of the same engine, where nothing is wrong */

static void open_all(void)
{
        env_open(&env);
        other = engine_shard_new(env.engine, 2, "-", false);
}

static void close_all(void)
{
        struct engine_shard *own = env.shard;
        struct write_try r;

        env.shard = other;
        request_init(&r, &env, ENGINE_WRITE_CLOSE, "");
        request_submit(&r);
        request_wait(&r);
        request_done(&r);
        other = engine_shard_free(other);
        env.shard = own;
        env_close(&env);
}

static void set_up(void)
{
        env_init(&env);
        open_all();
        ck_assert_str_eq(
            env_schema(&env, 1, NULL,
                       "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v); INSERT "
                       "INTO t " COUNT(2000) "SELECT x, printf('%0100d', x) FROM r",
                       "", false),
            "OK");
}

static void tear_down(void)
{
        faulty_disk_fail_writes("", 0, 0);
        faulty_disk_fail_syncs(0);
        close_all();
        env_done(&env);
}

/* The other shard does all that it did. */
static void check_other(void)
{
        struct engine_shard *own = env.shard;

        env.shard = other;
        ck_assert_str_eq(env_schema(&env, 1, NULL, "CREATE TABLE IF NOT EXISTS o(x)", "", false),
                         "OK");
        ck_assert_str_eq(env_write(&env, "INSERT INTO o VALUES (1)") + strlen("changes="),
                         "1 id=1 ");
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM o"), "1;");
        ck_assert_str_eq(env_write(&env, "DELETE FROM o"), "changes=1 ");
        env.shard = own;
}

/* ---- writes that fail. The log is small: its name tells which shard's. */

static const struct {
        const char *label;
        int error, n_good; /* writes that succeed first */
        const char *want;
        const char *reads; /* while it lasts */
} failures[] = {
        { "disk full at once", ENOSPC, 0, "RESOURCE_EXHAUSTED DISK_FULL", "2000;" },
        { "disk full half way", ENOSPC, 3, "RESOURCE_EXHAUSTED DISK_FULL", "2000;" },
        { "I/O error at once", EIO, 0, "UNKNOWN OUTCOME_UNKNOWN", "2000;" },
        { "I/O error half way", EIO, 3, "UNKNOWN OUTCOME_UNKNOWN", "2000;" },
};

START_TEST(a_commit_fails)
{
        struct write_try r[3];

        faulty_disk_fail_writes("/1/-.db-wal", failures[_i].error, failures[_i].n_good);
        env_hold(&env);
        for (int i = 0; i < 3; i++) {
                request_init(&r[i], &env, ENGINE_WRITE_EXECUTE,
                             i == 1 ? "INSERT INTO t VALUES (1, 2)"
                                    : "UPDATE t SET v = 'new' WHERE id % 100 = 7");
                request_submit(&r[i]);
        }
        env_release(&env);
        for (int i = 0; i < 3; i++) { /* all of them: their commit failed */
                ck_assert_msg(strcmp(request_wait(&r[i])->text, failures[_i].want) == 0, "%s: %s",
                              failures[_i].label, r[i].outcome.text);
                request_done(&r[i]);
        }
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), failures[_i].reads);
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t WHERE v = 'new'"), "0;");
        check_other();
        faulty_disk_fail_writes("", 0, 0);
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES ('after')"),
                         "changes=1 id=2001 ");
        close_all();
        open_all();
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t WHERE v = 'new'"), "0;");
        ck_assert_str_eq(env_read(&env, "SELECT id FROM t WHERE v = 'after'"), "2001;");
}
END_TEST

/* The commit is in the log, perhaps: with the last connection closed it is looked for there again.
 * Whatever is found then stays. */
START_TEST(a_sync_fails)
{
        char found[32];

        faulty_disk_fail_syncs(EIO);
        ck_assert_str_eq(env_write(&env, "DELETE FROM t"), "UNKNOWN OUTCOME_UNKNOWN");
        snprintf(found, sizeof found, "%s", env_read(&env, "SELECT count(*) FROM t"));
        ck_assert(strcmp(found, "2000;") == 0 || strcmp(found, "0;") == 0);
        faulty_disk_fail_syncs(0);
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(id) VALUES (-1)"), "changes=1 id=-1 ");
        check_other();
        close_all();
        open_all();
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t WHERE id > 0"), found);
}
END_TEST

/* A schema change in doubt: the shard says of itself what it finds in its file, not what it
 * remembers. */
START_TEST(a_schema_change_in_doubt)
{
        const char *got;
        bool is_there;

        faulty_disk_fail_syncs(EIO);
        ck_assert_str_eq(env_schema(&env, 2, NULL, "CREATE TABLE fresh(x)", "", false),
                         "UNKNOWN OUTCOME_UNKNOWN");
        faulty_disk_fail_syncs(0);
        is_there = strcmp(env_read(&env, "SELECT count(*) FROM fresh"), "0;") == 0;
        env.schema_version = is_there ? 2 : 1;
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "2000;");
        ck_assert_str_eq(env_write(&env, "DELETE FROM t WHERE id = 1"), "changes=1 ");
        env.schema_version = is_there ? 1 : 2;
        ck_assert_str_eq(env_read(&env, "SELECT count(*) FROM t"), "ABORTED SCHEMA_CHANGED");
        got = env_schema(&env, 2, NULL, "CREATE TABLE fresh(x)", "", false);
        ck_assert_str_eq(got, "OK");
}
END_TEST

/* What stopped a statement of the batch is not what its commit fails of. */
START_TEST(a_full_disk_after_a_deadline)
{
        struct write_try r[2];

        faulty_disk_fail_writes("/1/-.db-wal", ENOSPC, 0);
        env_hold(&env);
        request_init(&r[0], &env, ENGINE_WRITE_EXECUTE, "INSERT INTO t(v) VALUES (1)");
        request_init(&r[1], &env, ENGINE_WRITE_EXECUTE, "SELECT count(*) FROM t a, t b, t c");
        r[1].st.deadline_us = mono_us() + 200 * 1000;
        request_submit(&r[0]);
        request_submit(&r[1]);
        env_release(&env);
        ck_assert_str_eq(request_wait(&r[0])->text, "RESOURCE_EXHAUSTED DISK_FULL");
        request_wait(&r[1]);
        request_done(&r[0]);
        request_done(&r[1]);
}
END_TEST

/* The page cache overflows into the log in the middle of a statement: that statement ends the
 * transaction. */
START_TEST(a_large_statement_fills_the_disk)
{
        static const char *const sql[] = {
                "INSERT INTO t VALUES (5000, 'small')",
                "INSERT INTO t(v) " COUNT(30000) "SELECT hex(zeroblob(200)) FROM r",
                "INSERT INTO t VALUES (5001, 'small')",
        };
        struct write_try r[3];

        /* Beyond what the small ones need: the disk has room for them. */
        faulty_disk_fail_writes("/1/-.db-wal", ENOSPC, 100);
        env_hold(&env);
        for (int i = 0; i < 3; i++) {
                request_init(&r[i], &env, ENGINE_WRITE_EXECUTE, sql[i]);
                request_submit(&r[i]);
        }
        env_release(&env);
        request_wait(&r[0]);
        faulty_disk_fail_writes("/1/-.db-wal", ENOSPC, 100);
        ck_assert_str_eq(request_wait(&r[1])->text, "RESOURCE_EXHAUSTED DISK_FULL");
        request_wait(&r[2]);
        faulty_disk_fail_writes("", 0, 0);
        /* With the disk as it was, whoever was told it worked is there, and nobody else. */
        for (int i = 0; i < 3; i += 2)
                ck_assert_str_eq(r[i].outcome.err.code ? "RESOURCE_EXHAUSTED DISK_FULL"
                                                       : "changes=1 ",
                                 r[i].outcome.err.code ? r[i].outcome.text : "changes=1 ");
        close_all();
        open_all();
        for (int i = 0; i < 3; i += 2) {
                char query[64];

                snprintf(query, sizeof query, "SELECT count(*) FROM t WHERE id = %d", 5000 + i / 2);
                ck_assert_str_eq(env_read(&env, query), r[i].outcome.err.code ? "0;" : "1;");
        }
        for (int i = 0; i < 3; i++)
                request_done(&r[i]);
        ck_assert_str_eq(
            env_read(&env, "SELECT count(*) FROM t WHERE v LIKE '0000%' AND length(v) = 400"),
            "0;");
}
END_TEST

/* A real limit of the operating system, in a process of its own. */
START_TEST(a_limit_of_file_size)
{
        struct rlimit limit = { 4 << 20, 4 << 20 };
        char last[64] = "";
        int n = 0;

        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        do {
                snprintf(last, sizeof last, "%s",
                         env_write(&env, "INSERT INTO t(v) VALUES (hex(randomblob(50000)))"));
                n++;
        } while (strncmp(last, "changes=1", 9) == 0 && n < 1000);
        ck_assert_msg(strcmp(last, "UNKNOWN OUTCOME_UNKNOWN") == 0 ||
                          strcmp(last, "UNAVAILABLE DISK_IO_ERROR") == 0 ||
                          strcmp(last, "RESOURCE_EXHAUSTED DISK_FULL") == 0,
                      "%s after %d", last, n);
        ck_assert_int_eq(atoi(env_read(&env, "SELECT count(*) FROM t")), 2000 + n - 1);
        check_other();
}
END_TEST

/* ---- damage */

static void damage(const char *path, off_t at, size_t n_bytes)
{
        int fd = open(path, O_RDWR | O_CLOEXEC);
        char junk[4096];

        memset(junk, 0x5a, sizeof junk);
        ck_assert_int_ge(fd, 0);
        for (size_t i = 0; i < n_bytes; i += sizeof junk)
                ck_assert_int_eq(pwrite(fd, junk, sizeof junk, at + (off_t)i), sizeof junk);
        close(fd);
}

static const char *db_path(void)
{
        static char path[128];

        snprintf(path, sizeof path, "%s/1/-.db", env.dir);
        return path;
}

static uint64_t n_damaged(void)
{
        return metric_value(metric_gauge("shoal_tablet_damaged_shards", "", ""));
}

START_TEST(a_damaged_page)
{
        close_all();
        damage(db_path(), 4096 * 8, 4096 * 80);
        open_all();
        ck_assert_uint_eq(n_damaged(), 0);
        ck_assert_str_eq(env_read(&env, "SELECT sum(length(v)) FROM t NOT INDEXED"),
                         "DATA_LOSS SQLITE_CORRUPT");
        ck_assert_uint_eq(n_damaged(), 1);
        ck_assert(engine_shard_is_damaged(env.shard));
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES (1)"), "DATA_LOSS SHARD_DAMAGED");
        ck_assert_str_eq(env_read(&env, "SELECT 1"), "1;"); /* what can be read is served */
        check_other();
}
END_TEST

START_TEST(not_a_database)
{
        close_all();
        damage(db_path(), 0, 4096);
        open_all();
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES (1)"), "DATA_LOSS SQLITE_NOTADB");
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES (1)"), "DATA_LOSS SQLITE_NOTADB");
        ck_assert_uint_eq(n_damaged(), 1);
        check_other();
}
END_TEST

START_TEST(a_truncated_file)
{
        close_all();
        ck_assert_int_eq(truncate(db_path(), 4096 * 9), 0);
        open_all();
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES (1)"),
                         "DATA_LOSS SQLITE_CORRUPT");
        ck_assert(engine_shard_is_damaged(env.shard));
        check_other();
}
END_TEST

static const struct {
        const char *label;
        bool leave_empty;
} losses[] = { { "gone", false }, { "empty", true } };

/* A file that was there must not be replaced by an empty one. */
START_TEST(a_missing_file)
{
        close_all();
        ck_assert_int_eq(losses[_i].leave_empty ? truncate(db_path(), 0) : unlink(db_path()), 0);
        open_all();
        engine_shard_set_must_exist(env.shard);
        for (int i = 0; i < 2; i++)
                ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES (1)"),
                                 "DATA_LOSS SHARD_FILE_MISSING");
        check_other();
}
END_TEST

START_TEST(a_file_of_another_format)
{
        char command[256];

        close_all();
        snprintf(command, sizeof command,
                 "sqlite3 '%s' \"UPDATE _shoal_meta SET value = 2 WHERE key = 'format'\"",
                 db_path());
        ck_assert_int_eq(system(command), 0);
        open_all();
        ck_assert_str_eq(env_write(&env, "INSERT INTO t(v) VALUES (1)"),
                         "FAILED_PRECONDITION FILE_FORMAT");
        check_other();
}
END_TEST

START_TEST(a_folder_that_cannot_be_made)
{
        char path[128];
        int fd;

        close_all();
        snprintf(path, sizeof path, "%s/1", env.dir);
        ck_assert_int_eq(rename(path, db_path()) == 0, 0);
        snprintf(path, sizeof path, "rm -r '%s/1'", env.dir);
        ck_assert_int_eq(system(path), 0);
        snprintf(path, sizeof path, "%s/1", env.dir);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* in its place */
        ck_assert_int_ge(fd, 0);
        close(fd);
        open_all();
        ck_assert_int_eq(strncmp(env_write(&env, "INSERT INTO t(v) VALUES (1)"), "UNAVAILABLE", 11),
                         0);
        check_other();
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_str_eq(env_schema(&env, 1, NULL, "CREATE TABLE t(v)", "", false),
                         "OK"); /* and it works */
}
END_TEST

/* ---- kill -9 */

enum { N_KILLS = 6, N_SLOTS = 4, MAX_KEYS = 10000 };

/* In the child: writes as fast as it can with several under way, and says of each which are
 * acknowledged. */
static void write_until_killed(int fd, int round)
{
        static char sql[N_SLOTS][128];
        struct write_try r[N_SLOTS];
        int n = 0;

        env_open(&env);
        for (int i = 0; i < N_SLOTS; i++)
                r[i].is_done = true, r[i].w.kind = ENGINE_WRITE_CLOSE;
        for (;; n++) {
                struct write_try *x = &r[n % N_SLOTS];

                if (x->w.kind == ENGINE_WRITE_EXECUTE) {
                        int key = (round << 20) + n - N_SLOTS;

                        if (request_wait(x)->err.code == ERR_OK &&
                            write(fd, &key, sizeof key) != sizeof key)
                                _exit(1);
                        request_done(x);
                }
                snprintf(sql[n % N_SLOTS], sizeof sql[0], "INSERT INTO k VALUES (%d, %d)",
                         (round << 20) + n, n);
                request_init(x, &env, ENGINE_WRITE_EXECUTE, sql[n % N_SLOTS]);
                request_submit(x);
        }
}

static void check_acked(int key)
{
        char query[64];

        snprintf(query, sizeof query, "SELECT count(*) FROM k WHERE id = %d", key);
        ck_assert_msg(strcmp(env_read(&env, query), "1;") == 0, "%d was acknowledged", key);
}

START_TEST(killed_while_writing)
{
        static int keys[MAX_KEYS];

        close_all();
        env_open(&env);
        ck_assert_str_eq(
            env_schema(&env, 2, NULL, "CREATE TABLE k(id INTEGER PRIMARY KEY, v)", "", false),
            "OK");
        for (int round = 1; round <= N_KILLS; round++) {
                int fds[2], n;
                pid_t pid;

                env_close(&env);
                ck_assert_int_eq(pipe(fds), 0);
                pid = fork();
                if (pid == 0) {
                        close(fds[0]);
                        write_until_killed(fds[1], round);
                }
                close(fds[1]);
                for (n = 0; n < 10 * round; n++) /* so that it is in the middle of it */
                        ck_assert_int_eq(read(fds[0], &keys[n], sizeof keys[n]), sizeof keys[n]);
                kill(pid, SIGKILL);
                ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
                while (n < MAX_KEYS && read(fds[0], &keys[n], sizeof keys[n]) == sizeof keys[n])
                        n++;
                close(fds[0]);
                env_open(&env);
                for (int i = 0; i < n; i++)
                        check_acked(keys[i]);
                /* Not a hole in front of what is there: one writer commits in order. */
                ck_assert_str_eq(
                    env_read(
                        &env,
                        "SELECT count(*) = max(v) + 1 FROM k GROUP BY id >> 20 ORDER BY 1 LIMIT 1"),
                    "1;");
        }
        other = engine_shard_new(env.engine, 2, "-", false);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("faults");
        TCase *t = tcase_create("disk");

        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_set_timeout(t, 50);
        tcase_add_loop_test(t, a_commit_fails, 0, ARRAY_LEN(failures));
        tcase_add_test(t, a_sync_fails);
        tcase_add_test(t, a_schema_change_in_doubt);
        tcase_add_test(t, a_full_disk_after_a_deadline);
        tcase_add_test(t, a_large_statement_fills_the_disk);
        tcase_add_test(t, a_limit_of_file_size);
        tcase_add_test(t, a_damaged_page);
        tcase_add_test(t, not_a_database);
        tcase_add_test(t, a_truncated_file);
        tcase_add_loop_test(t, a_missing_file, 0, ARRAY_LEN(losses));
        tcase_add_test(t, a_file_of_another_format);
        tcase_add_test(t, a_folder_that_cannot_be_made);
        tcase_add_test(t, killed_while_writing);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
