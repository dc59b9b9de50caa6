/* The redo log: what was promised is found again, what was torn is not, files go when they may. */
#include "tablet/redo_log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/metrics.h"
#include "tests/unit/tablet/faulty_disk.h"
#include "tests/unit/unit.h"

enum { MAX_FOUND = 4096, SEGMENT_BYTES = 4096 };

struct world {
        char folder[64], dir[80];
        struct redo_log *log;
        struct redo_ref refs[MAX_FOUND]; /* found at the last start */
        char text[8192];                 /* "kind keyspace/shard ts id changes;" of each */
        size_t n_found;
        bool seen[MAX_FOUND]; /* by the counter of its id */
};

static void found(void *arg, const struct redo_record *rec, struct redo_ref ref)
{
        struct world *w = arg;
        char id[TXN_ID_BYTES];
        size_t n = strlen(w->text);

        ck_assert_uint_lt(w->n_found, MAX_FOUND);
        w->refs[w->n_found++] = ref;
        if (rec->id.counter < MAX_FOUND)
                w->seen[rec->id.counter] = true;
        txn_id_print(&rec->id, id);
        snprintf(w->text + n, sizeof w->text - n, "%d %" PRIu64 "/%.*s %" PRIu64 " %s %.*s;",
                 (int)rec->kind, rec->keyspace_id, (int)rec->shard.n_bytes,
                 (const char *)rec->shard.data, rec->ts, id,
                 (int)(rec->changes.n_bytes < 16 ? rec->changes.n_bytes : 16),
                 (const char *)rec->changes.data);
}

static enum err_code try_open(struct world *w, struct err *e)
{
        const struct redo_log_options o = { .dir = w->dir, .segment_bytes = SEGMENT_BYTES };

        w->n_found = 0;
        memset(w->seen, 0, sizeof w->seen);
        w->text[0] = '\0';
        return redo_log_open(&o, found, w, &w->log, e);
}

static void start(struct world *w)
{
        struct err e = ERR_INIT;

        ck_assert_msg(try_open(w, &e) == ERR_OK, "%s", e.msg);
}

static void stop(struct world *w)
{
        w->log = redo_log_close(w->log);
}

static void restart(struct world *w)
{
        stop(w);
        start(w);
}

static void set_up(struct world *w)
{
        memset(w, 0, sizeof *w);
        unit_temp_template(w->folder, sizeof w->folder, "shoal-redo");
        ck_assert(mkdtemp(w->folder) != NULL);
        snprintf(w->dir, sizeof w->dir, "%s/redo", w->folder);
        start(w);
}

static void tear_down(struct world *w)
{
        cleanup_(freep) char *command = xasprintf("rm -rf '%s'", w->folder);

        stop(w);
        ck_assert_int_eq(system(command), 0);
}

static struct bytes bytes_of(const char *s)
{
        return (struct bytes){ s, strlen(s) };
}

static enum err_code append(struct world *w, uint64_t counter, const char *changes,
                            struct redo_ref *ret_ref, struct err *e)
{
        const struct redo_record rec = {
                .kind = REDO_PREPARED,
                .keyspace_id = 7,
                .shard = bytes_of("-80"),
                .ts = 100 + counter,
                .id = { 1, 2, counter },
                .age = 3,
                .schema_version = 9,
                .participants = { "7/-80\0"
                                  "7/80-",
                                  12 },
                .changes = bytes_of(changes),
        };

        return redo_log_append(w->log, &rec, ret_ref, e);
}

static struct redo_ref put(struct world *w, uint64_t counter, const char *changes)
{
        struct err e = ERR_INIT;
        struct redo_ref ref = { 0 };

        ck_assert_msg(append(w, counter, changes, &ref, &e) == ERR_OK, "%s", e.msg);
        return ref;
}

static char *segment_path(const struct world *w, uint64_t number)
{
        return xasprintf("%s/%016" PRIx64 ".redo", w->dir, number);
}

static bool has_segment(const struct world *w, uint64_t number)
{
        cleanup_(freep) char *path = segment_path(w, number);

        return access(path, F_OK) == 0;
}

/* ---- what was promised */

START_TEST(found_again_test)
{
        const struct redo_record floor = {
                .kind = REDO_FLOOR, .keyspace_id = 8, .shard = bytes_of("-"), .ts = 55
        };
        struct buf b = BUF_INIT(0);
        struct redo_record rec;
        struct err e = ERR_INIT;
        struct redo_ref first, ref;
        struct world w;

        set_up(&w);
        ck_assert_uint_eq(w.n_found, 0);
        first = put(&w, 1, "one");
        ck_assert_int_eq(redo_log_append(w.log, &floor, &ref, &e), ERR_OK);
        put(&w, 2, "");
        restart(&w);
        ck_assert_str_eq(w.text, "1 7/-80 101 1-2-1 one;2 8/- 55 0-0-0 ;1 7/-80 102 1-2-2 ;");
        put(&w, 3, "three");
        restart(&w);
        ck_assert_uint_eq(w.n_found, 4);
        ck_assert_int_eq(redo_log_read(w.log, first, &b, &rec, &e), ERR_OK);
        ck_assert_uint_eq(rec.schema_version, 9);
        ck_assert_uint_eq(rec.age, 3);
        ck_assert_mem_eq(rec.participants.data,
                         "7/-80\0"
                         "7/80-",
                         12);
        ck_assert_mem_eq(rec.changes.data, "one", 3);
        buf_done(&b);
        tear_down(&w);
}
END_TEST

/* A record of which any number of bytes at the end is missing, or one is another, ends the segment;
 * those before it are whole. */
START_TEST(torn_test)
{
        cleanup_(freep) char *path = NULL;
        struct redo_ref first, last;
        struct world w;
        uint64_t end;
        uint8_t byte;
        int fd;

        set_up(&w);
        first = put(&w, 1, "one");
        last = put(&w, 2, "two");
        /* Of the same length. */
        end = last.at + (last.at - first.at);
        stop(&w);
        path = segment_path(&w, first.segment);
        fd = open(path, O_RDWR);
        for (uint64_t at = last.at; at < end; at++) {
                ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
                byte ^= 0x10;
                ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
                start(&w);
                ck_assert_msg(w.n_found == 1, "byte %" PRIu64, at - last.at);
                stop(&w);
                byte ^= 0x10;
                ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
        }
        for (uint64_t at = end + 1; at--;) {
                ck_assert_int_eq(ftruncate(fd, (off_t)at), 0);
                start(&w);
                ck_assert_uint_eq(w.n_found, at == end ? 2 : at >= last.at ? 1 : 0);
                stop(&w);
                /* It has gone with all that was in it. */
                if (at < last.at)
                        break;
        }
        close(fd);
        start(&w);
        tear_down(&w);
}
END_TEST

/* Any byte of what others were promised behind is another: that is no torn record. */
START_TEST(damaged_test)
{
        cleanup_(freep) char *path = NULL;
        struct err e = ERR_INIT;
        struct redo_ref first, second;
        struct world w;
        uint8_t byte;
        int fd;

        set_up(&w);
        first = put(&w, 1, "one");
        second = put(&w, 2, "two");
        stop(&w);
        path = segment_path(&w, first.segment);
        fd = open(path, O_RDWR);
        for (uint64_t at = 0; at < second.at; at++) {
                ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
                byte ^= 0x10;
                ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
                ck_assert_msg(try_open(&w, &e) == ERR_DATA_LOSS, "byte %" PRIu64, at);
                ck_assert_str_eq(e.reason, "REDO_DAMAGED");
                byte ^= 0x10;
                ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
        }
        close(fd);
        start(&w);
        ck_assert_uint_eq(w.n_found, 2);
        tear_down(&w);
}
END_TEST

/* The power went while a segment was begun; or it was not so. */
START_TEST(blank_test)
{
        cleanup_(freep) char *path = NULL;
        struct err e = ERR_INIT;
        struct redo_ref ref;
        struct world w;
        int fd;

        set_up(&w);
        ref = put(&w, 1, "one");
        stop(&w);
        path = segment_path(&w, ref.segment + 1);
        fd = open(path, O_RDWR | O_CREAT, 0600);
        ck_assert_int_eq(ftruncate(fd, 2 * SEGMENT_BYTES), 0);
        start(&w);
        ck_assert_str_eq(w.text, "1 7/-80 101 1-2-1 one;");
        stop(&w);
        ck_assert_int_eq(pwrite(fd, "x", 1, SEGMENT_BYTES + 5), 1);
        ck_assert_int_eq(try_open(&w, &e), ERR_DATA_LOSS);
        ck_assert_str_eq(e.reason, "REDO_DAMAGED");
        close(fd);
        tear_down(&w);
}
END_TEST

/* A record that lies where it was not written is none. */
START_TEST(place_test)
{
        cleanup_(freep) char *from = NULL;
        cleanup_(freep) char *to = NULL;
        struct redo_ref ref;
        struct world w;

        set_up(&w);
        ref = put(&w, 1, "one");
        stop(&w);
        from = segment_path(&w, ref.segment);
        to = segment_path(&w, ref.segment + 1);
        ck_assert_int_eq(rename(from, to), 0);
        start(&w);
        ck_assert_uint_eq(w.n_found, 0);
        tear_down(&w);
}
END_TEST

START_TEST(foreign_file_test)
{
        cleanup_(freep) char *path = NULL;
        struct err e = ERR_INIT;
        struct world w;
        int fd;

        set_up(&w);
        stop(&w);
        path = segment_path(&w, 1);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        ck_assert_int_eq(write(fd, "SOMEBODY ELSE'S", 15), 15);
        close(fd);
        ck_assert_int_eq(try_open(&w, &e), ERR_DATA_LOSS);
        ck_assert_str_eq(e.reason, "REDO_DAMAGED");
        tear_down(&w);
}
END_TEST

/* ---- cutting */

static const char long_text[] = "012345678901234567890123456789012345678901234567890123456789012345"
                                "6789012345678901234567890123";

START_TEST(cut_test)
{
        enum { N = 120 };
        struct redo_ref refs[N], kept;
        struct world w;

        set_up(&w);
        for (int i = 0; i < N; i++)
                refs[i] = put(&w, (uint64_t)i, long_text);
        ck_assert_uint_gt(refs[N - 1].segment, 3);
        ck_assert(redo_log_is_full(w.log, refs[0]));
        ck_assert(!redo_log_is_full(w.log, refs[N - 1]));
        kept = refs[0];
        /* One that is needed holds back all behind it. */
        for (int i = 1; i < N; i++)
                redo_log_release(w.log, &refs[i]);
        ck_assert(has_segment(&w, kept.segment));
        ck_assert(has_segment(&w, kept.segment + 1));
        ck_assert(!redo_log_is_cut(w.log, kept));
        refs[0] = kept;
        redo_log_release(w.log, &refs[0]);
        ck_assert_uint_eq(refs[0].segment, 0);
        redo_log_release(w.log, &refs[0]);
        ck_assert(redo_log_is_cut(w.log, kept));
        ck_assert(!has_segment(&w, kept.segment));
        ck_assert(!has_segment(&w, kept.segment + 1));
        restart(&w);
        /* The current one is left. */
        ck_assert_uint_lt(w.n_found, 30);
        ck_assert_uint_gt(w.n_found, 0);
        for (size_t i = 0; i < w.n_found; i++)
                redo_log_release(w.log, &w.refs[i]);
        put(&w, 500, "after");
        restart(&w);
        ck_assert_str_eq(w.text, "1 7/-80 600 1-2-1f4 after;");
        tear_down(&w);
}
END_TEST

/* A segment in which nothing is needed by the time it is full goes with the next append. */
START_TEST(cut_when_full_test)
{
        struct redo_ref first, ref;
        struct world w;

        set_up(&w);
        first = ref = put(&w, 1, long_text);
        redo_log_release(w.log, &ref);
        for (int i = 0; i < 100; i++) {
                ref = put(&w, 2, long_text);
                redo_log_release(w.log, &ref);
        }
        ck_assert(redo_log_is_cut(w.log, first));
        ck_assert(!has_segment(&w, first.segment));
        tear_down(&w);
}
END_TEST

/* A file between others is not missed by chance. */
START_TEST(gap_test)
{
        cleanup_(freep) char *path = NULL;
        struct err e = ERR_INIT;
        struct redo_ref first, ref;
        struct world w;

        set_up(&w);
        first = put(&w, 1, long_text);
        do {
                ref = put(&w, 2, long_text);
        } while (ref.segment < first.segment + 2);
        stop(&w);
        path = segment_path(&w, first.segment + 1);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(try_open(&w, &e), ERR_DATA_LOSS);
        ck_assert_str_eq(e.reason, "REDO_DAMAGED");
        tear_down(&w);
}
END_TEST

/* What cannot be removed may be found again, and is not said to be gone. */
START_TEST(not_removed_test)
{
        cleanup_(freep) char *path = NULL;
        struct redo_ref first, second = { 0 }, ref, kept;
        struct world w;

        set_up(&w);
        first = ref = put(&w, 1, long_text);
        path = segment_path(&w, first.segment);
        while (ref.segment < first.segment + 2) {
                ref = put(&w, 2, long_text);
                if (ref.segment == first.segment + 1 && !second.segment)
                        second = ref;
                else
                        redo_log_release(w.log, &(struct redo_ref){ ref.segment, ref.at });
        }
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        kept = first;
        redo_log_release(w.log, &first);
        ck_assert(!redo_log_is_cut(w.log, kept));
        ck_assert_int_eq(rmdir(path), 0);
        redo_log_release(w.log, &second);
        ck_assert(redo_log_is_cut(w.log, kept));
        ck_assert(!has_segment(&w, kept.segment + 1));
        ck_assert(has_segment(&w, kept.segment + 2));
        tear_down(&w);
}
END_TEST

/* ---- a disk that fails */

START_TEST(full_disk_test)
{
        struct err e = ERR_INIT;
        struct redo_ref ref = { 0 };
        struct world w;

        set_up(&w);
        put(&w, 1, "before");
        faulty_disk_fail_writes(".redo", ENOSPC, 0);
        ck_assert_int_eq(append(&w, 2, "no", &ref, &e), ERR_EXHAUSTED);
        ck_assert_str_eq(e.reason, "DISK_FULL");
        ck_assert_uint_eq(ref.segment, 0);
        faulty_disk_fail_writes("", 0, 0);
        put(&w, 3, "after");
        restart(&w);
        ck_assert_str_eq(w.text, "1 7/-80 101 1-2-1 before;1 7/-80 103 1-2-3 after;");
        tear_down(&w);
}
END_TEST

START_TEST(failed_sync_test)
{
        struct err e = ERR_INIT;
        struct redo_ref ref = { 0 };
        struct world w;

        set_up(&w);
        put(&w, 1, "before");
        faulty_disk_fail_syncs(EIO);
        ck_assert_int_eq(append(&w, 2, "no", &ref, &e), ERR_UNAVAILABLE);
        ck_assert_str_eq(e.reason, "DISK_IO_ERROR");
        faulty_disk_fail_syncs(0);
        ref = put(&w, 3, "after");
        ck_assert_uint_eq(ref.segment, 2); /* what the disk has of the first is not built on */
        restart(&w);
        ck_assert_str_eq(w.text, "1 7/-80 101 1-2-1 before;1 7/-80 103 1-2-3 after;");
        tear_down(&w);
}
END_TEST

/* ---- many at a time */

enum { N_THREADS = 8, N_EACH = 50 };

struct appender {
        pthread_t thread;
        struct world *w;
        uint64_t first;
        enum err_code code;
};

static void *append_many(void *arg)
{
        struct appender *a = arg;

        for (uint64_t i = 0; i < N_EACH; i++) {
                struct redo_ref ref = put(a->w, a->first + i, "x");

                if (i % 2)
                        redo_log_release(a->w->log, &ref);
        }
        return NULL;
}

START_TEST(threads_test)
{
        struct appender appenders[N_THREADS];
        struct world w;

        set_up(&w);
        for (uint64_t i = 0; i < N_THREADS; i++) {
                appenders[i] = (struct appender){ .w = &w, .first = i * N_EACH };
                ck_assert_int_eq(
                    pthread_create(&appenders[i].thread, NULL, append_many, &appenders[i]), 0);
        }
        for (int i = 0; i < N_THREADS; i++)
                pthread_join(appenders[i].thread, NULL);
        restart(&w);
        /* Those that were released may have gone. */
        for (uint64_t i = 0; i < (uint64_t)N_THREADS * N_EACH; i++)
                ck_assert_msg(w.seen[i] || i % 2, "%" PRIu64, i);
        tear_down(&w);
}
END_TEST

static void *append_one(void *arg)
{
        struct appender *a = arg;
        struct redo_ref ref;
        struct err e = ERR_INIT;

        a->code = append(a->w, a->first, "x", &ref, &e);
        return NULL;
}

/* One by itself, and then all others together. */
static void append_group(struct world *w, struct appender appenders[N_THREADS])
{
        faulty_disk_hold_sync();
        for (uint64_t i = 0; i < N_THREADS; i++) {
                appenders[i] = (struct appender){ .w = w, .first = i };
                ck_assert_int_eq(
                    pthread_create(&appenders[i].thread, NULL, append_one, &appenders[i]), 0);
                if (i == 0)
                        faulty_disk_await_sync();
        }
        while (redo_log_n_waiting(w->log) < N_THREADS - 1)
                sched_yield();
}

static void await_group(struct appender appenders[N_THREADS])
{
        faulty_disk_release_sync();
        for (int i = 0; i < N_THREADS; i++)
                pthread_join(appenders[i].thread, NULL);
}

/* Those that come while one is being made durable share the next fsync. */
START_TEST(group_test)
{
        struct appender appenders[N_THREADS];
        struct metric *n_syncs = metric_counter("shoal_tablet_redo_syncs_total", "",
                                                "Times the redo log was made durable.");
        uint64_t before;
        struct world w;

        set_up(&w);
        put(&w, 1000, "first");
        before = metric_value(n_syncs);
        append_group(&w, appenders);
        await_group(appenders);
        for (int i = 0; i < N_THREADS; i++)
                ck_assert_int_eq(appenders[i].code, ERR_OK);
        ck_assert_uint_eq(metric_value(n_syncs) - before, 2);
        restart(&w);
        ck_assert_uint_eq(w.n_found, N_THREADS + 1);
        tear_down(&w);
}
END_TEST

/* Of those that are made durable together any may be torn. */
START_TEST(torn_group_test)
{
        struct appender appenders[N_THREADS];
        cleanup_(freep) char *path = NULL;
        struct redo_ref ref;
        struct world w;
        uint8_t byte;
        int fd;

        set_up(&w);
        append_group(&w, appenders);
        await_group(appenders);
        restart(&w);
        ref = w.refs[1]; /* the first of the group */
        path = segment_path(&w, ref.segment);
        stop(&w);
        fd = open(path, O_RDWR);
        ck_assert_int_eq(pread(fd, &byte, 1, (off_t)ref.at), 1);
        byte ^= 1;
        ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)ref.at), 1);
        close(fd);
        start(&w);
        ck_assert_uint_eq(w.n_found, 1);
        tear_down(&w);
}
END_TEST

/* The disk is full when some of a group have been written: none of them is found, also behind a
 * record that takes the place of the first. */
START_TEST(torn_write_test)
{
        struct appender appenders[N_THREADS];
        struct world w;

        set_up(&w);
        put(&w, 1000, "x");
        append_group(&w, appenders);
        faulty_disk_tear_write(".redo", 300);
        await_group(appenders);
        ck_assert_int_eq(appenders[0].code, ERR_OK);
        for (int i = 1; i < N_THREADS; i++)
                ck_assert_int_eq(appenders[i].code, ERR_EXHAUSTED);
        put(&w, 9, "x");
        restart(&w);
        ck_assert_uint_eq(w.n_found, 3);
        ck_assert(w.seen[0] && w.seen[9]);
        tear_down(&w);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("redo_log");
        TCase *t = tcase_create("redo_log");

        tcase_set_timeout(t, 60);
        tcase_add_test(t, found_again_test);
        tcase_add_test(t, torn_test);
        tcase_add_test(t, damaged_test);
        tcase_add_test(t, blank_test);
        tcase_add_test(t, place_test);
        tcase_add_test(t, foreign_file_test);
        tcase_add_test(t, cut_test);
        tcase_add_test(t, cut_when_full_test);
        tcase_add_test(t, gap_test);
        tcase_add_test(t, not_removed_test);
        tcase_add_test(t, full_disk_test);
        tcase_add_test(t, failed_sync_test);
        tcase_add_test(t, threads_test);
        tcase_add_test(t, group_test);
        tcase_add_test(t, torn_group_test);
        tcase_add_test(t, torn_write_test);
        suite_add_tcase(s, t);
        return unit_run(s);
}
