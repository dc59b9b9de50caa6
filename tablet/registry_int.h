/* registry_int.h - the registry's dealings with the data folder: disk.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/pool.h"
#include "rpc/loop.h"

/* Can it be the name of a shard's file? Any thread. */
bool disk_is_shard_name(const char *name);
uint64_t disk_free_bytes(const char *path); /* any thread, asks the file system */

/* The version of the last topology acted on, from DATA/topology; 0 if there is none. At the start.
 */
enum err_code disk_read_version(const char *data_dir, uint64_t *ret_version,
                                struct err *reterr) must_check_;

/* Keeps DATA/topology, and moves the folders of keyspaces that are gone to DATA/dropped. Loop
 * thread; the work is done on the pool, in two steps with a question between them: a keyspace that
 * is made meanwhile must not be taken for one that is gone. */
struct disk_work;
struct disk_work_options {
        struct loop *loop;
        struct pool *pool;
        const char *data_dir;
        bool (*is_live)(void *arg, uint64_t keyspace_id); /* the folder is in use, or will be */
        void (*on_idle)(void *arg);
        void *arg;
};
struct disk_work *disk_work_new(const struct disk_work_options *o);
struct disk_work *
disk_work_free(struct disk_work *w); /* while not busy; accepts NULL, returns NULL */
/* The topology is at `version`, or a folder has fallen out of use. */
void disk_work_request(struct disk_work *w, uint64_t version);
bool disk_work_is_busy(const struct disk_work *w);
