/* redo_log.c - see redo_log.h.
 *
 * A segment, "0000000000000001.redo", begins with a header; records follow (redo_record.c), and
 * zeros, since its space is taken at once. Numbers have no gaps.
 *
 * Whoever appends while nobody writes becomes the writer of all that is waiting; the others wait
 * for the outcome. */
#include "tablet/redo_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "common/log.h"
#include "common/metrics.h"
#include "tablet/redo_log_int.h"

static const char magic[8] = "SHOALRE1";

struct segment {
        struct segment *prev, *next;
        uint64_t number;
        uint64_t n_live; /* records that somebody needs */
};

/* Someone who waits for a record to be written. On its stack. */
struct append {
        struct append *prev, *next;
        struct buf b; /* the record's fields */
        struct redo_ref ref;
        bool is_done;
        int error; /* errno; 0: it is durable */
};

struct redo_log {
        struct redo_log_options o;
        int dir_fd;
        struct metric *n_segments, *n_syncs, *n_appends;

        pthread_mutex_t mu; /* guards the following */
        pthread_cond_t cond;
        struct segment *segments; /* oldest first; the last is the current one */
        uint64_t first_number;    /* what is below is durably gone */
        struct append *waiting;
        bool is_writing;
        bool is_cutting;

        /* Owner: the one who writes. */
        int fd;
        uint64_t next_number;
        uint64_t n_bytes; /* of the current segment */
        bool is_broken;   /* the current one took an error: another is begun */
};

/* ---- errors */

static enum err_code fail_disk(int error, const char *what, struct err *reterr)
{
        if (error == ENOSPC || error == EDQUOT)
                return err_set(reterr, ERR_EXHAUSTED, "DISK_FULL", "redo log: %s: %s", what,
                               strerror(error));
        return err_set(reterr, ERR_UNAVAILABLE, "DISK_IO_ERROR", "redo log: %s: %s", what,
                       strerror(error));
}

static enum err_code refuse(const char *name, const char *why, struct err *reterr)
{
        return err_set(reterr, ERR_DATA_LOSS, "REDO_DAMAGED", "redo log, %s: %s", name, why);
}

/* ---- files */

static char *segment_path(const struct redo_log *log, uint64_t number)
{
        return xasprintf("%s/%016" PRIx64 ".redo", log->o.dir, number);
}

/* ---- opening */

struct finding {
        void (*found)(void *arg, const struct redo_record *rec, struct redo_ref ref);
        void *arg;
};

static enum err_code read_segment(struct redo_log *log, struct segment *s, const struct finding *f,
                                  struct err *reterr)
{
        cleanup_(freep) char *path = segment_path(log, s->number);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct redo_ref ref = { s->number, sizeof magic };
        struct buf b = BUF_INIT(0);
        struct redo_record rec;
        const char *why = NULL;
        bool is_damaged = false, blank = false;
        bool whole = true;
        char head[sizeof magic];
        int error = fd < 0 ? errno : 0;
        ssize_t n = fd < 0 ? -1 : redo_read_all(fd, (uint8_t *)head, sizeof head, 0);

        if (!error && n < 0)
                error = errno;
        /* Shorter: nothing was ever promised in it. */
        if (!error && n == sizeof head && memcmp(head, magic, sizeof head) != 0) {
                error = redo_file_is_blank(fd, &blank);
                if (!error && !blank)
                        why = "not a redo log of this version";
                n = 0;
        }
        while (!error && !why && whole && n == sizeof head) {
                error = redo_record_read(fd, ref, &b, &whole);
                if (!error && !whole)
                        error = redo_record_is_followed(fd, ref, &is_damaged);
                if (is_damaged)
                        why = "a record in the middle is damaged";
                if (error || !whole)
                        break;
                if (!redo_record_decode(b.data, b.n_bytes, &rec)) {
                        why = "a record that this version does not know";
                        break;
                }
                s->n_live++;
                f->found(f->arg, &rec, ref);
                ref.at += REDO_HEAD_BYTES + b.n_bytes;
        }
        buf_done(&b);
        if (fd >= 0)
                close(fd);
        if (why)
                return refuse(path, why, reterr);
        return error ? fail_disk(error, path, reterr) : ERR_OK;
}

static bool is_segment(const char *name, uint64_t *ret_number)
{
        int n = 0;

        return sscanf(name, "%16" SCNx64 ".redo%n", ret_number, &n) == 1 && n == 21 && !name[n];
}

static int by_number(const struct segment *a, const struct segment *b)
{
        return a->number < b->number ? -1 : a->number > b->number;
}

static enum err_code list_segments(struct redo_log *log, struct err *reterr)
{
        DIR *dir = opendir(log->o.dir);
        struct dirent *entry;
        uint64_t number;

        if (!dir)
                return fail_disk(errno, log->o.dir, reterr);
        while ((entry = readdir(dir))) {
                struct segment *s;

                if (!is_segment(entry->d_name, &number))
                        continue;
                s = xcalloc(1, sizeof *s);
                s->number = number;
                DL_APPEND(log->segments, s);
                metric_move(log->n_segments, 1);
        }
        closedir(dir);
        DL_SORT(log->segments, by_number);
        return ERR_OK;
}

/* A new current segment. errno, or 0. */
static int begin_segment(struct redo_log *log)
{
        uint64_t number = log->next_number;
        cleanup_(freep) char *path = segment_path(log, number);
        struct segment *s;
        int error, fd;

        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno;
        error = redo_write_all(fd, (const uint8_t *)magic, sizeof magic, 0);
        /* Space that is there is not missing later, and appending within it changes no size. */
        if (!error && fallocate(fd, 0, 0, (off_t)log->o.segment_bytes) != 0 && errno == ENOSPC)
                error = ENOSPC;
        if (!error && (fdatasync(fd) != 0 || fsync(log->dir_fd) != 0))
                error = errno;
        if (error) {
                close(fd);
                unlink(path);
                return error;
        }
        s = xcalloc(1, sizeof *s);
        s->number = number;
        pthread_mutex_lock(&log->mu);
        DL_APPEND(log->segments, s);
        metric_move(log->n_segments, 1);
        pthread_mutex_unlock(&log->mu);
        if (log->fd >= 0)
                close(log->fd);
        log->next_number = number + 1;
        log->fd = fd;
        log->n_bytes = sizeof magic;
        log->is_broken = false;
        return 0;
}

static void cut(struct redo_log *log);

static int sync_parent(const char *dir)
{
        cleanup_(freep) char *parent = xasprintf("%s/..", dir);
        int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int rc = fd < 0 ? -1 : fsync(fd);

        if (fd >= 0)
                close(fd);
        return rc;
}

static enum err_code open_all(struct redo_log *log, const struct finding *f, struct err *reterr)
{
        struct segment *s;
        enum err_code rc;

        if (mkdir(log->o.dir, 0700) == 0 ? sync_parent(log->o.dir) != 0 : errno != EEXIST)
                return fail_disk(errno, log->o.dir, reterr);
        log->dir_fd = open(log->o.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (log->dir_fd < 0)
                return fail_disk(errno, log->o.dir, reterr);
        rc = list_segments(log, reterr);
        DL_FOREACH(log->segments, s)
        {
                if (!rc && s != log->segments && s->number != s->prev->number + 1)
                        rc = refuse(log->o.dir, "a file in the middle is gone", reterr);
                if (rc)
                        break;
                rc = read_segment(log, s, f, reterr);
        }
        if (rc)
                return rc;
        log->first_number = log->segments ? log->segments->number : 1;
        log->next_number = log->segments ? log->segments->prev->number + 1 : 1;
        /* The first append begins a segment: a full disk is no reason not to start. */
        cut(log);
        return ERR_OK;
}

enum err_code redo_log_open(const struct redo_log_options *o,
                            void (*found)(void *arg, const struct redo_record *rec,
                                          struct redo_ref ref),
                            void *arg, struct redo_log **ret_log, struct err *reterr)
{
        const struct finding f = { found, arg };
        struct redo_log *log = xcalloc(1, sizeof *log);
        enum err_code rc;

        log->o = *o;
        log->fd = log->dir_fd = -1;
        pthread_mutex_init(&log->mu, NULL);
        pthread_cond_init(&log->cond, NULL);
        log->n_segments = metric_gauge("shoal_tablet_redo_segments", "", "Files of the redo log.");
        log->n_syncs = metric_counter("shoal_tablet_redo_syncs_total", "",
                                      "Times the redo log was made durable.");
        log->n_appends = metric_counter("shoal_tablet_redo_records_total", "",
                                        "Records made durable in the redo log.");
        rc = open_all(log, &f, reterr);
        if (rc) {
                redo_log_close(log);
                return rc;
        }
        *ret_log = log;
        return ERR_OK;
}

struct redo_log *redo_log_close(struct redo_log *log)
{
        struct segment *s, *tmp;

        if (!log)
                return NULL;
        DL_FOREACH_SAFE(log->segments, s, tmp)
        {
                DL_DELETE(log->segments, s);
                metric_move(log->n_segments, -1);
                free(s);
        }
        if (log->fd >= 0)
                close(log->fd);
        if (log->dir_fd >= 0)
                close(log->dir_fd);
        pthread_mutex_destroy(&log->mu);
        pthread_cond_destroy(&log->cond);
        free(log);
        return NULL;
}

/* ---- appending */

/* Gives all of a group their places, one behind the other, and their bytes to out. */
static void lay_out(struct redo_log *log, struct append *group, struct buf *out)
{
        struct append *a;

        DL_FOREACH(group, a)
        {
                a->ref =
                    (struct redo_ref){ log->segments->prev->number, log->n_bytes + out->n_bytes };
                redo_record_place(&a->b, a->ref, out->n_bytes);
                buf_add(out, a->b.data, a->b.n_bytes);
        }
}

/* Nobody was promised what is behind the end, and nobody is to find it: not at once, and not behind
 * a record of the same length as one of those, which would lead to the next. */
static void take_back(struct redo_log *log, int error)
{
        bool ok = ftruncate(log->fd, (off_t)log->n_bytes) == 0 && fdatasync(log->fd) == 0;

        if (!ok)
                log_event(LOG_WARN, "redo_not_taken_back", "error=%s", log_quote(strerror(errno)));
        log->is_broken = !ok || error != ENOSPC;
}

/* errno, or 0: the group is durable. */
static int write_group(struct redo_log *log, struct append *group)
{
        struct buf out = BUF_INIT(0);
        int error = 0;

        if (log->fd < 0 || log->is_broken || log->n_bytes >= log->o.segment_bytes)
                error = begin_segment(log);
        if (error)
                return error;
        lay_out(log, group, &out);
        error = out.failed ? ENOMEM : redo_write_all(log->fd, out.data, out.n_bytes, log->n_bytes);
        if (!error && fdatasync(log->fd) != 0)
                error = errno;
        if (error) {
                take_back(log, error);
        } else {
                log->n_bytes += out.n_bytes;
                metric_add(log->n_syncs, 1);
        }
        buf_done(&out);
        return error;
}

/* Writes all that wait, its own among them. */
static void write_waiting(struct redo_log *log)
{
        struct append *group = log->waiting, *a, *tmp;
        int error;

        log->waiting = NULL;
        log->is_writing = true;
        pthread_mutex_unlock(&log->mu);
        error = write_group(log, group);
        pthread_mutex_lock(&log->mu);
        log->is_writing = false;
        DL_FOREACH_SAFE(group, a, tmp)
        {
                a->error = error;
                a->is_done = true;
                if (!error)
                        log->segments->prev->n_live++;
        }
        pthread_cond_broadcast(&log->cond);
}

enum err_code redo_log_append(struct redo_log *log, const struct redo_record *rec,
                              struct redo_ref *ret_ref, struct err *reterr)
{
        struct append a = { .b = BUF_INIT(REDO_MAX_RECORD_BYTES) };
        bool is_dead;

        redo_record_encode(&a.b, rec);
        if (a.b.failed) {
                buf_done(&a.b);
                return err_set(reterr, ERR_EXHAUSTED, "TRANSACTION_TOO_LARGE",
                               "the changes of the transaction take more than %d bytes",
                               REDO_MAX_RECORD_BYTES);
        }
        pthread_mutex_lock(&log->mu);
        DL_APPEND(log->waiting, &a);
        while (!a.is_done) {
                if (log->is_writing)
                        pthread_cond_wait(&log->cond, &log->mu);
                else
                        write_waiting(log);
        }
        /* Nobody needs the oldest segment, which was the current one when it was last asked. */
        is_dead = log->segments && log->segments != log->segments->prev && !log->segments->n_live;
        pthread_mutex_unlock(&log->mu);
        buf_done(&a.b);
        if (is_dead)
                cut(log);
        if (a.error)
                return fail_disk(a.error, "append", reterr);
        metric_add(log->n_appends, 1);
        *ret_ref = a.ref;
        return ERR_OK;
}

enum err_code redo_log_read(struct redo_log *log, struct redo_ref ref, struct buf *bytes,
                            struct redo_record *ret_rec, struct err *reterr)
{
        cleanup_(freep) char *path = segment_path(log, ref.segment);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool whole = false;
        int error;

        if (fd < 0)
                return fail_disk(errno, path, reterr);
        error = redo_record_read(fd, ref, bytes, &whole);
        close(fd);
        if (error)
                return fail_disk(error, path, reterr);
        if (!whole || !redo_record_decode(bytes->data, bytes->n_bytes, ret_rec))
                return refuse(path, "a record that was there is damaged", reterr);
        return ERR_OK;
}

/* ---- cutting */

/* Can the oldest segment go? Not the one that is written to. */
static bool is_dead_locked(const struct redo_log *log)
{
        const struct segment *s = log->segments;

        return s && !s->n_live && !log->is_writing && (log->fd < 0 || s != s->prev);
}

/* Durable before the next one goes: a gap in the numbers is a file that has been lost. */
static bool remove_segment(struct redo_log *log, uint64_t number)
{
        cleanup_(freep) char *path = segment_path(log, number);

        if ((unlink(path) == 0 || errno == ENOENT) && fsync(log->dir_fd) == 0)
                return true;
        log_event(LOG_WARN, "redo_cut_failed", "file=%s error=%s", log_quote(path),
                  log_quote(strerror(errno)));
        return false;
}

/* Removes the oldest segments that nobody needs. One that cannot be removed may be found again, and
 * is tried again when the next one is due. */
static void cut(struct redo_log *log)
{
        struct segment *s;
        bool ok = true;

        pthread_mutex_lock(&log->mu);
        if (log->is_cutting) {
                pthread_mutex_unlock(&log->mu);
                return;
        }
        log->is_cutting = true;
        while (ok && is_dead_locked(log)) {
                s = log->segments; /* nobody else removes it, or needs it again */
                pthread_mutex_unlock(&log->mu);
                ok = remove_segment(log, s->number);
                pthread_mutex_lock(&log->mu);
                if (!ok)
                        break;
                log->first_number = s->number + 1;
                DL_DELETE(log->segments, s);
                free(s);
                metric_move(log->n_segments, -1);
        }
        log->is_cutting = false;
        pthread_mutex_unlock(&log->mu);
}

void redo_log_release(struct redo_log *log, struct redo_ref *ref)
{
        bool is_dead = false;
        struct segment *s;

        if (!ref->segment)
                return;
        pthread_mutex_lock(&log->mu);
        DL_FOREACH(log->segments, s)
        {
                if (s->number != ref->segment)
                        continue;
                is_dead = --s->n_live == 0;
                break;
        }
        pthread_mutex_unlock(&log->mu);
        *ref = (struct redo_ref){ 0 };
        if (is_dead)
                cut(log);
}

bool redo_log_is_cut(struct redo_log *log, struct redo_ref ref)
{
        bool is_cut;

        pthread_mutex_lock(&log->mu);
        is_cut = ref.segment < log->first_number;
        pthread_mutex_unlock(&log->mu);
        return is_cut;
}

bool redo_log_is_full(struct redo_log *log, struct redo_ref ref)
{
        bool is_full;

        pthread_mutex_lock(&log->mu);
        is_full = log->segments && ref.segment < log->segments->prev->number;
        pthread_mutex_unlock(&log->mu);
        return is_full;
}

size_t redo_log_n_waiting(struct redo_log *log)
{
        const struct append *a;
        size_t n = 0;

        pthread_mutex_lock(&log->mu);
        DL_FOREACH(log->waiting, a)
        n++;
        pthread_mutex_unlock(&log->mu);
        return n;
}
