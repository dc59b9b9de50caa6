/* The store's file when things go wrong: crashes, full disks, damage. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/buf.h"
#include "tests/unit/topo/temp_dir.h"
#include "tests/unit/unit.h"
#include "topo/kv_db_int.h"

static struct temp_dir dir;

/* SQLite's calls come here instead of to the C library. */
static _Atomic unsigned n_flushes;

int fdatasync(int fd)
{
        n_flushes++;
        return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
        n_flushes++;
        return (int)syscall(SYS_fsync, fd);
}

static void set_up(void)
{
        temp_dir_make(&dir);
}

static void tear_down(void)
{
        temp_dir_remove(&dir);
}

static struct kv_db *open_db(const char *name)
{
        cleanup_(freep) char *path = xasprintf("%s/%s", dir.path, name);
        struct kv_db *db = NULL;
        struct err err = ERR_INIT;

        ck_assert_msg(!kv_db_open(path, 100, &db, &err), "%s", err.msg);
        return db;
}

static enum err_code put(struct kv_db *db, const char *key, const void *value, size_t n_bytes,
                         struct err *err)
{
        cleanup_(store_txn_freep) struct store_txn *x = store_txn_new();
        struct kv_items changes = { 0 };
        enum err_code rc;

        store_txn_put(x, key, value, n_bytes, 0);
        rc = kv_db_commit(db, x, &changes, err);
        kv_items_done(&changes);
        return rc;
}

static void put_ok(struct kv_db *db, const char *key, const char *value)
{
        struct err err = ERR_INIT;

        ck_assert_msg(!put(db, key, value, strlen(value), &err), "%s", err.msg);
}

/* "key=first byte of the value@revision " for each item. */
static char *read_all(struct kv_db *db)
{
        struct kv_items items = { 0 };
        struct buf b = BUF_INIT(0);
        struct err err = ERR_INIT;

        ck_assert_msg(!kv_db_read(db, "", true, &items, &err), "%s", err.msg);
        for (size_t i = 0; i < items.n; i++)
                buf_printf(&b, "%s=%c@%llu ", items.items[i].key,
                           *(const char *)items.items[i].value,
                           (unsigned long long)items.items[i].mod_revision);
        kv_items_done(&items);
        return buf_take_str(&b);
}

static void assert_all(struct kv_db *db, const char *want)
{
        cleanup_(freep) char *got = read_all(db);

        ck_assert_str_eq(got, want);
}

static void copy_file(const char *from_name, const char *to_name)
{
        cleanup_(freep) char *from = xasprintf("%s/%s", dir.path, from_name);
        cleanup_(freep) char *to = xasprintf("%s/%s", dir.path, to_name);
        char bytes[65536];
        int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ssize_t n;

        ck_assert_int_ge(in, 0);
        ck_assert_int_ge(out, 0);
        while ((n = read(in, bytes, sizeof bytes)) > 0)
                ck_assert_int_eq(write(out, bytes, (size_t)n), n);
        close(in);
        close(out);
}

/* What a crash leaves is what is in the files at that moment. */
START_TEST(every_commit_is_in_the_files)
{
        struct kv_db *db = open_db("a");

        for (int i = 0; i < 20; i++) {
                struct kv_db *copy;
                cleanup_(freep) char *want = NULL;

                put_ok(db, i % 2 ? "odd" : "even", "x");
                want = read_all(db);
                copy_file("a", "b");
                copy_file("a-wal", "b-wal");
                copy = open_db("b");
                assert_all(copy, want);
                ck_assert_uint_eq(kv_db_revision(copy), (unsigned)i + 1);
                kv_db_close(copy);
        }
        kv_db_close(db);
}
END_TEST

/* A log that was cut anywhere holds a whole number of commits. */
START_TEST(torn_log_loses_whole_commits)
{
        struct kv_db *db = open_db("a");
        cleanup_(freep) char *log = xasprintf("%s/b-wal", dir.path);
        struct stat st;
        uint64_t last = 0;

        for (int i = 0; i < 5; i++)
                put_ok(db, i % 2 ? "odd" : "even", "x");
        copy_file("a-wal", "b-wal");
        ck_assert_int_eq(stat(log, &st), 0);
        for (off_t n = 0; n < st.st_size; n += 997) {
                struct kv_db *copy;
                uint64_t revision;
                struct kv_items items = { 0 };
                struct err err = ERR_INIT;

                copy_file("a", "b");
                copy_file("a-wal", "b-wal");
                ck_assert_int_eq(truncate(log, n), 0);
                copy = open_db("b");
                revision = kv_db_revision(copy);
                ck_assert_uint_ge(revision, last);
                ck_assert_int_eq(kv_db_read(copy, "", true, &items, &err), ERR_OK);
                ck_assert_uint_eq(items.n, revision < 2 ? revision : 2);
                for (size_t i = 0; i < items.n; i++)
                        ck_assert_uint_ge(items.items[i].mod_revision + 1, revision);
                last = revision;
                kv_items_done(&items);
                kv_db_close(copy);
        }
        kv_db_close(db);
}
END_TEST

/* A crash of the machine loses what was not flushed. */
START_TEST(every_commit_is_flushed)
{
        struct kv_db *db = open_db("a");

        for (int i = 0; i < 10; i++) {
                unsigned before = n_flushes;

                put_ok(db, "a", "x");
                ck_assert_uint_gt(n_flushes, before);
        }
        kv_db_close(db);
}
END_TEST

static void kill_while_writing(int report)
{
        struct kv_db *db = open_db("a");

        for (uint64_t i = 0; i < 100000; i++) {
                uint64_t revision;

                put_ok(db, "k", "x");
                revision = kv_db_revision(db);
                if (write(report, &revision, sizeof revision) != sizeof revision)
                        break;
        }
        _exit(1);
}

START_TEST(acknowledged_commits_survive_kill)
{
        uint64_t acknowledged = 0, got;
        struct kv_db *db;
        int pipes[2];

        for (int round = 0; round < 5; round++) {
                pid_t pid;

                ck_assert_int_eq(pipe(pipes), 0);
                pid = fork();
                if (!pid)
                        kill_while_writing(pipes[1]);
                close(pipes[1]);
                for (int i = 0; i < 30 + round; i++)
                        ck_assert_int_eq(read(pipes[0], &acknowledged, sizeof acknowledged),
                                         sizeof acknowledged);
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                while (read(pipes[0], &got, sizeof got) == sizeof got)
                        acknowledged = got;
                close(pipes[0]);
                db = open_db("a");
                ck_assert_uint_ge(kv_db_revision(db), acknowledged);
                kv_db_close(db);
        }
        ck_assert_uint_ge(acknowledged, 150);
}
END_TEST

/* ---------------------------------------------------------------- writes that fail */

static rlim_t limit_file_size(rlim_t n_bytes)
{
        struct rlimit r;
        rlim_t before;

        ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &r), 0);
        before = r.rlim_cur;
        r.rlim_cur = n_bytes;
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
        return before;
}

/* However far a commit gets before the disk is full, it happened or not, as the answer says, and
 * the store goes on. */
START_TEST(full_disk_changes_nothing)
{
        static char value[100000];
        struct kv_db *db = open_db("a");
        rlim_t before;
        int n_failed = 0;

        signal(SIGXFSZ, SIG_IGN);
        put_ok(db, "k", "first");
        for (rlim_t limit = 20000; limit < 400000; limit += 9973) {
                uint64_t revision = kv_db_revision(db);
                cleanup_(freep) char *held = read_all(db);
                struct err err = ERR_INIT;
                enum err_code rc;

                memset(value, 'A' + (int)(limit % 26), sizeof value);
                before = limit_file_size(limit);
                rc = put(db, "k", value, sizeof value, &err);
                limit_file_size(before);
                if (!rc) {
                        ck_assert_uint_eq(kv_db_revision(db), revision + 1);
                        continue;
                }
                n_failed++;
                ck_assert_int_eq(rc, ERR_UNAVAILABLE);
                assert_all(db, held);
                ck_assert_uint_eq(kv_db_revision(db), revision);
        }
        ck_assert_int_gt(n_failed, 3);
        put_ok(db, "k", "last");
        kv_db_close(db);
        db = open_db("a");
        kv_db_close(db);
}
END_TEST

/* ---------------------------------------------------------------- files that are not right */

static enum err_code try_open(const char *name, struct err *err)
{
        cleanup_(freep) char *path = xasprintf("%s/%s", dir.path, name);
        struct kv_db *db = NULL;
        enum err_code rc = kv_db_open(path, 100, &db, err);

        kv_db_close(db);
        return rc;
}

START_TEST(newer_format_is_refused)
{
        cleanup_(freep) char *path = xasprintf("%s/a", dir.path);
        struct err err = ERR_INIT;
        sqlite3 *db;

        kv_db_close(open_db("a"));
        ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
        ck_assert_int_eq(
            sqlite3_exec(db, "UPDATE meta SET value = 99 WHERE name = 'format'", NULL, NULL, NULL),
            SQLITE_OK);
        sqlite3_close(db);
        ck_assert_int_eq(try_open("a", &err), ERR_PRECONDITION);
        ck_assert_str_eq(err.reason, "STORE_FORMAT");
}
END_TEST

START_TEST(other_files_are_refused)
{
        cleanup_(freep) char *path = xasprintf("%s/a", dir.path);
        struct err err = ERR_INIT;
        int fd = open(path, O_WRONLY | O_CREAT, 0600);

        for (int i = 0; i < 1000; i++)
                ck_assert_int_eq(write(fd, "this is no database", 19), 19);
        close(fd);
        ck_assert_int_eq(try_open("a", &err), ERR_DATA_LOSS);
        ck_assert_str_eq(err.reason, "STORE_DAMAGED");
        ck_assert_int_eq(try_open("no/such/folder", &err), ERR_UNAVAILABLE);
}
END_TEST

START_TEST(history_is_cut_at_whole_revisions)
{
        struct kv_db *db = open_db("a");
        uint64_t next = 1;
        unsigned n = 0;

        for (int i = 0; i < 10; i++) {
                cleanup_(store_txn_freep) struct store_txn *x = store_txn_new();
                struct kv_items changes = { 0 };
                struct err err = ERR_INIT;

                store_txn_put(x, "a", "0123456789", 10, 0);
                store_txn_put(x, "b", "0123456789", 10, 0);
                ck_assert_int_eq(kv_db_commit(db, x, &changes, &err), ERR_OK);
                kv_items_done(&changes);
        }
        while (next <= kv_db_revision(db)) {
                struct kv_items items = { 0 };
                struct err err = ERR_INIT;

                ck_assert_int_eq(kv_db_history(db, "", next, 30, &items, &next, &err), ERR_OK);
                ck_assert_uint_eq(items.n, 4);
                n += items.n;
                kv_items_done(&items);
        }
        ck_assert_uint_eq(n, 20);
        kv_db_close(db);
}
END_TEST

static void put_large(struct kv_db *db, size_t n_bytes)
{
        cleanup_(store_txn_freep) struct store_txn *x = store_txn_new();
        cleanup_(freep) char *value = xcalloc(1, n_bytes);
        struct kv_items changes = { 0 };
        struct err err = ERR_INIT;

        store_txn_put(x, "large", value, n_bytes, 0);
        ck_assert_msg(!kv_db_commit(db, x, &changes, &err), "%s", err.msg);
        kv_items_done(&changes);
}

/* Is the revision remembered still? */
static bool has_history(struct kv_db *db, uint64_t from)
{
        struct kv_items items = { 0 };
        struct err err = ERR_INIT;
        uint64_t next;
        enum err_code rc = kv_db_history(db, "", from, 1, &items, &next, &err);

        kv_items_done(&items);
        return !rc;
}

/* The older half goes when there are more than 64 MiB of it, also if they were there at the start.
 */
START_TEST(history_has_a_size)
{
        struct kv_db *db = open_db("a");
        uint64_t last;

        while (kv_db_revision(db) < 40)
                put_large(db, 1 << 20);
        ck_assert(has_history(db, 1));
        kv_db_close(db);
        db = open_db("a");
        while (kv_db_revision(db) < 72)
                put_large(db, 1 << 20);
        last = kv_db_revision(db);
        ck_assert(!has_history(db, 1));
        ck_assert(!has_history(db, last / 2));
        ck_assert(has_history(db, last / 2 + 1));
        while (kv_db_revision(db) < last + 16)
                put_large(db, 1);
        ck_assert(has_history(db, last / 2 + 1));
        kv_db_close(db);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("topo/kv_db");
        TCase *t = tcase_create("kv_db");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, every_commit_is_in_the_files);
        tcase_add_test(t, torn_log_loses_whole_commits);
        tcase_add_test(t, every_commit_is_flushed);
        tcase_add_test(t, acknowledged_commits_survive_kill);
        tcase_add_test(t, full_disk_changes_nothing);
        tcase_add_test(t, newer_format_is_refused);
        tcase_add_test(t, other_files_are_refused);
        tcase_add_test(t, history_is_cut_at_whole_revisions);
        tcase_add_test(t, history_has_a_size);
        suite_add_tcase(s, t);
        return unit_run(s);
}
