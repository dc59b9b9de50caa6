/* Commits that are not synced, syncs that make up for it, and room in the log. fdatasync() and
 * pwrite64() here come before those of the C library. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sqlite_now.h"
#include "common/sqlite_wal.h"
#include "tests/unit/unit.h"

static _Atomic int n_syncs;
static _Atomic bool disk_is_full;

int fdatasync(int fd)
{
        int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

        n_syncs++;
        return real(fd);
}

/* A full disk takes what has blocks already, and nothing else. */
static bool has_blocks(int fd, off64_t end)
{
        struct stat st;

        return fstat(fd, &st) == 0 && end <= (off64_t)st.st_blocks * 512;
}

ssize_t pwrite64(int fd, const void *p, size_t n_bytes, off64_t at)
{
        ssize_t (*real)(int, const void *, size_t, off64_t) =
            (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");

        if (disk_is_full && !has_blocks(fd, at + (off64_t)n_bytes)) {
                errno = ENOSPC;
                return -1;
        }
        return real(fd, p, n_bytes, at);
}

struct world {
        char folder[64], path[80];
        sqlite3 *db;
};

static int exec(struct world *w, const char *sql)
{
        return sqlite3_exec(w->db, sql, NULL, NULL, NULL);
}

static void set_up(struct world *w)
{
        unit_temp_template(w->folder, sizeof w->folder, "shoal-wal");
        ck_assert(mkdtemp(w->folder) != NULL);
        snprintf(w->path, sizeof w->path, "%s/db", w->folder);
        ck_assert_int_eq(sqlite_now_register(), SQLITE_OK);
        ck_assert_int_eq(sqlite3_open_v2(w->path, &w->db,
                                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                         SQLITE_NOW_VFS),
                         SQLITE_OK);
        ck_assert_int_eq(exec(w, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                 "PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(a)"),
                         SQLITE_OK);
        disk_is_full = false;
}

static void tear_down(struct world *w)
{
        cleanup_(freep) char *command = xasprintf("rm -rf '%s'", w->folder);

        disk_is_full = false;
        ck_assert_int_eq(sqlite3_close(w->db), SQLITE_OK);
        ck_assert_int_eq(system(command), 0);
}

static int syncs_of(struct world *w, const char *sql)
{
        int before = n_syncs;

        ck_assert_msg(exec(w, sql) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(w->db));
        return n_syncs - before;
}

static void *commit_elsewhere(void *arg)
{
        static int n;

        n = syncs_of(arg, "INSERT INTO t VALUES (9)");
        return &n;
}

START_TEST(sync_test)
{
        pthread_t thread;
        struct world w;
        void *n = NULL;
        int before;

        set_up(&w);
        ck_assert_int_eq(syncs_of(&w, "INSERT INTO t VALUES (1)"), 1);
        ck_assert_int_eq(syncs_of(&w, "BEGIN; INSERT INTO t VALUES (2)"), 0);
        sqlite_wal_skip_syncs(true);
        ck_assert_int_eq(syncs_of(&w, "COMMIT"), 0);
        /* This thread only. */
        ck_assert_int_eq(pthread_create(&thread, NULL, commit_elsewhere, &w), 0);
        pthread_join(thread, &n);
        ck_assert_int_eq(*(int *)n, 1);
        sqlite_wal_skip_syncs(false);
        before = n_syncs;
        ck_assert_int_eq(sqlite_wal_sync(w.db), SQLITE_OK);
        ck_assert_int_eq(n_syncs - before, 1);
        ck_assert_int_eq(syncs_of(&w, "INSERT INTO t VALUES (3)"), 1);
        /* The log of before is synced before its pages go into the file, and the file behind. */
        ck_assert_int_eq(syncs_of(&w, "PRAGMA wal_checkpoint(TRUNCATE)"), 2);
        tear_down(&w);
}
END_TEST

static off_t log_size(const struct world *w)
{
        cleanup_(freep) char *path = xasprintf("%s-wal", w->path);
        struct stat st;

        ck_assert_int_eq(stat(path, &st), 0);
        return st.st_size;
}

/* A transaction that was flushed while there was room; then the disk fills. */
static int commit_when_full(struct world *w, bool reserves)
{
        off_t size;
        int rc;

        ck_assert_int_eq(exec(w, "BEGIN IMMEDIATE; INSERT INTO t VALUES (randomblob(20000))"),
                         SQLITE_OK);
        ck_assert_int_eq(sqlite3_db_cacheflush(w->db), SQLITE_OK);
        size = log_size(w);
        if (reserves)
                ck_assert_int_eq(sqlite_wal_reserve(w->db, 1 << 20), SQLITE_OK);
        ck_assert_int_eq(log_size(w), size);
        disk_is_full = true;
        /* Pages that were flushed are written to once more. */
        rc = exec(w, "UPDATE t SET a = 7 WHERE rowid = 1");
        sqlite_wal_skip_syncs(true);
        if (rc == SQLITE_OK)
                rc = exec(w, "COMMIT");
        sqlite_wal_skip_syncs(false);
        disk_is_full = false;
        return rc;
}

START_TEST(reserve_test)
{
        struct world w;
        sqlite3_stmt *q;

        set_up(&w);
        /* What is to be shown can go wrong. */
        ck_assert_int_eq(commit_when_full(&w, false) & 0xff, SQLITE_FULL);
        ck_assert_int_ne(sqlite3_get_autocommit(w.db), 0);
        ck_assert_int_eq(commit_when_full(&w, true), SQLITE_OK);
        ck_assert_int_eq(sqlite3_prepare_v2(w.db, "SELECT a FROM t WHERE rowid = 1", -1, &q, NULL),
                         SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
        ck_assert_int_eq(sqlite3_column_int(q, 0), 7);
        sqlite3_finalize(q);
        tear_down(&w);
}
END_TEST

START_TEST(no_room_test)
{
        struct world w;

        set_up(&w);
        /* More than any disk has. */
        ck_assert_int_ne(sqlite_wal_reserve(w.db, UINT64_C(1) << 60), SQLITE_OK);
        ck_assert_int_eq(exec(&w, "INSERT INTO t VALUES (1)"), SQLITE_OK);
        tear_down(&w);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("sqlite_wal");
        TCase *t = tcase_create("sqlite_wal");

        tcase_set_timeout(t, 60);
        tcase_add_test(t, sync_test);
        tcase_add_test(t, reserve_test);
        tcase_add_test(t, no_room_test);
        suite_add_tcase(s, t);
        return unit_run(s);
}
