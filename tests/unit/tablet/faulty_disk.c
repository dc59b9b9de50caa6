/* faulty_disk.c - see faulty_disk.h. fdatasync() and pwrite64() here come before those of the C
 * library. */
#include "tests/unit/tablet/faulty_disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static struct {
        pthread_mutex_t mu;
        pthread_cond_t cond;
        char suffix[32];
        int write_error, n_good;
        char torn_suffix[32];
        int n_torn_bytes,
            n_torn_writes; /* of the next one; 2: it and the one after are not right */
        int sync_error;
        bool hold, holding;
} disk = { .mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

void faulty_disk_fail_writes(const char *suffix, int error, int n_good)
{
        pthread_mutex_lock(&disk.mu);
        snprintf(disk.suffix, sizeof disk.suffix, "%s", suffix);
        disk.write_error = error;
        disk.n_good = n_good;
        pthread_mutex_unlock(&disk.mu);
}

void faulty_disk_tear_write(const char *suffix, int n_bytes)
{
        pthread_mutex_lock(&disk.mu);
        snprintf(disk.torn_suffix, sizeof disk.torn_suffix, "%s", suffix);
        disk.n_torn_bytes = n_bytes;
        disk.n_torn_writes = 2;
        pthread_mutex_unlock(&disk.mu);
}

void faulty_disk_fail_syncs(int error)
{
        pthread_mutex_lock(&disk.mu);
        disk.sync_error = error;
        pthread_mutex_unlock(&disk.mu);
}

void faulty_disk_hold_sync(void)
{
        pthread_mutex_lock(&disk.mu);
        disk.hold = true;
        pthread_mutex_unlock(&disk.mu);
}

void faulty_disk_await_sync(void)
{
        pthread_mutex_lock(&disk.mu);
        while (!disk.holding)
                pthread_cond_wait(&disk.cond, &disk.mu);
        pthread_mutex_unlock(&disk.mu);
}

void faulty_disk_release_sync(void)
{
        pthread_mutex_lock(&disk.mu);
        disk.hold = false;
        pthread_cond_broadcast(&disk.cond);
        pthread_mutex_unlock(&disk.mu);
}

int fdatasync(int fd)
{
        int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
        int error;

        pthread_mutex_lock(&disk.mu);
        disk.holding = disk.hold;
        pthread_cond_broadcast(&disk.cond);
        while (disk.hold)
                pthread_cond_wait(&disk.cond, &disk.mu);
        disk.holding = false;
        error = disk.sync_error;
        pthread_mutex_unlock(&disk.mu);
        if (!error)
                return real(fd);
        errno = error;
        return -1;
}

static bool is_named(int fd, const char *suffix)
{
        char link[64], path[512];
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        return n >= (ssize_t)strlen(suffix) &&
               memcmp(path + n - strlen(suffix), suffix, strlen(suffix)) == 0;
}

ssize_t pwrite64(int fd, const void *p, size_t n_bytes, off64_t at)
{
        ssize_t (*real)(int, const void *, size_t, off64_t) =
            (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
        int error;

        pthread_mutex_lock(&disk.mu);
        error = disk.write_error;
        if (error && (!is_named(fd, disk.suffix) || disk.n_good-- > 0))
                error = 0;
        if (!error && disk.n_torn_writes && is_named(fd, disk.torn_suffix)) {
                if (--disk.n_torn_writes == 0)
                        error = ENOSPC;
                else if (n_bytes > (size_t)disk.n_torn_bytes)
                        n_bytes = (size_t)disk.n_torn_bytes;
        }
        pthread_mutex_unlock(&disk.mu);
        if (!error)
                return real(fd, p, n_bytes, at);
        errno = error;
        return -1;
}
