/* slow_sync.c - a library to be preloaded: fsync and fdatasync take SHOAL_SYNC_US microseconds
 * longer, so that a fast disk can stand for a slower one. Any thread. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void take_time(void)
{
        const char *us = getenv("SHOAL_SYNC_US");
        long n = us ? atol(us) : 0;
        struct timespec t = { .tv_sec = n / 1000000, .tv_nsec = n % 1000000 * 1000 };

        if (n > 0)
                nanosleep(&t, NULL);
}

int fsync(int fd)
{
        take_time();
        return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd)
{
        take_time();
        return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
