/* disk.c - the data folder as the registry sees it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/key_range.h"
#include "common/log.h"
#include "tablet/registry_int.h"

bool disk_is_shard_name(const char *name)
{
        struct key_range range;

        return key_range_parse(name, &range, NULL) == ERR_OK;
}

uint64_t disk_free_bytes(const char *path)
{
        struct statvfs st;

        return statvfs(path, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : 0;
}

/* ---- DATA/topology */

enum err_code disk_read_version(const char *data_dir, uint64_t *ret_version, struct err *reterr)
{
        cleanup_(freep) char *path = xasprintf("%s/topology", data_dir);
        uint64_t version = 0;
        FILE *f = fopen(path, "re");
        int n;

        if (!f && errno == ENOENT) {
                *ret_version = 0;
                return ERR_OK;
        }
        n = f ? fscanf(f, "version %" SCNu64, &version) : 0;
        if (f)
                fclose(f);
        if (n != 1)
                return err_set(reterr, ERR_DATA_LOSS, "DATA_DIR", "%s cannot be read: %s", path,
                               f ? "malformed" : strerror(errno));
        *ret_version = version;
        return ERR_OK;
}

static bool sync_folder(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bool ok = fd >= 0 && fsync(fd) == 0;

        if (fd >= 0)
                close(fd);
        return ok;
}

static bool write_version(const char *data_dir, uint64_t version)
{
        cleanup_(freep) char *path = xasprintf("%s/topology", data_dir);
        cleanup_(freep) char *fresh = xasprintf("%s/topology.new", data_dir);
        FILE *f = fopen(fresh, "we");
        bool ok;

        if (!f)
                return false;
        ok = fprintf(f, "version %" PRIu64 "\n", version) > 0 && fflush(f) == 0 &&
             fsync(fileno(f)) == 0;
        ok = fclose(f) == 0 && ok;
        return ok && rename(fresh, path) == 0 && sync_folder(data_dir);
}

/* ---- folders of keyspaces that are gone */

static bool is_keyspace_folder(const char *name, uint64_t *ret_id)
{
        uint64_t id = 0;

        for (const char *p = name; *p; p++) {
                if (*p < '0' || *p > '9' || p - name > 18)
                        return false;
                id = id * 10 + (uint64_t)(*p - '0');
        }
        *ret_id = id;
        return name[0] && name[0] != '0';
}

static void drop_folder(const char *data_dir, const char *name)
{
        cleanup_(freep) char *from = xasprintf("%s/%s", data_dir, name);
        cleanup_(freep) char *dropped = xasprintf("%s/dropped", data_dir);
        cleanup_(freep) char *to = xasprintf("%s/%s-%" PRId64, dropped, name, wall_us());

        if ((mkdir(dropped, 0700) != 0 && errno != EEXIST) || rename(from, to) != 0) {
                log_event(LOG_ERROR, "drop_failed", "folder=%s error=%s", log_quote(from),
                          log_quote(strerror(errno)));
                return;
        }
        log_event(LOG_INFO, "keyspace_dropped", "keyspace=%s moved_to=%s", name, log_quote(to));
        if (!sync_folder(dropped) || !sync_folder(data_dir))
                log_event(LOG_WARN, "sync_failed", "folder=%s", log_quote(data_dir));
}

/* ---- the job */

/* Owner: the loop thread; what is below is the job's while is_busy. */
struct disk_work {
        struct disk_work_options o;
        uint64_t version; /* is to be noted */
        bool is_wanted;   /* again, once it is through */
        bool is_busy;

        struct pool_job job;
        struct loop_task task;
        uint64_t noting_version;
        uint64_t *ids; /* of folders; of those to be dropped in the second step */
        size_t n_ids;
};

static void list_folders(struct disk_work *w)
{
        DIR *dir = opendir(w->o.data_dir);
        struct dirent *entry;
        uint64_t id;

        w->n_ids = 0;
        while (dir && (entry = readdir(dir))) {
                if (!is_keyspace_folder(entry->d_name, &id))
                        continue;
                w->ids = xrealloc(w->ids, (w->n_ids + 1) * sizeof *w->ids);
                w->ids[w->n_ids++] = id;
        }
        if (dir)
                closedir(dir);
}

static void note_and_list(struct pool_job *job)
{
        struct disk_work *w = CONTAINER_OF(job, struct disk_work, job);

        if (write_version(w->o.data_dir, w->noting_version))
                list_folders(w);
        else
                log_event(LOG_WARN, "topology_not_noted", "folder=%s error=%s",
                          log_quote(w->o.data_dir), log_quote(strerror(errno)));
        loop_post(w->o.loop, &w->task);
}

static void drop_listed(struct pool_job *job)
{
        struct disk_work *w = CONTAINER_OF(job, struct disk_work, job);
        char name[24];

        for (size_t i = 0; i < w->n_ids; i++) {
                snprintf(name, sizeof name, "%" PRIu64, w->ids[i]);
                drop_folder(w->o.data_dir, name);
        }
        loop_post(w->o.loop, &w->task);
}

static void start(struct disk_work *w);

static void finish(struct disk_work *w)
{
        free(TAKE(w->ids));
        w->n_ids = 0;
        w->is_busy = false;
        if (w->is_wanted)
                start(w);
        else
                w->o.on_idle(w->o.arg);
}

static void on_dropped(struct loop_task *task)
{
        finish(CONTAINER_OF(task, struct disk_work, task));
}

static void on_listed(struct loop_task *task)
{
        struct disk_work *w = CONTAINER_OF(task, struct disk_work, task);
        size_t n = 0;

        for (size_t i = 0; i < w->n_ids; i++)
                if (!w->o.is_live(w->o.arg, w->ids[i]))
                        w->ids[n++] = w->ids[i];
        w->n_ids = n;
        if (!n) {
                finish(w);
                return;
        }
        w->job.run = drop_listed;
        w->task.fn = on_dropped;
        pool_submit(w->o.pool, &w->job);
}

static void start(struct disk_work *w)
{
        w->is_busy = true;
        w->is_wanted = false;
        w->noting_version = w->version;
        w->job.run = note_and_list;
        w->task.fn = on_listed;
        pool_submit(w->o.pool, &w->job);
}

struct disk_work *disk_work_new(const struct disk_work_options *o)
{
        struct disk_work *w = xcalloc(1, sizeof *w);

        w->o = *o;
        return w;
}

struct disk_work *disk_work_free(struct disk_work *w)
{
        free(w);
        return NULL;
}

void disk_work_request(struct disk_work *w, uint64_t version)
{
        w->version = version;
        w->is_wanted = true;
        if (!w->is_busy)
                start(w);
}

bool disk_work_is_busy(const struct disk_work *w)
{
        return w->is_busy;
}
