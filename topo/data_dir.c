/* data_dir.c - a lock file in the data folder. At the start, on the main thread. */
#include "topo/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum err_code data_dir_take(const char *path, int *ret_fd, struct err *reterr)
{
        cleanup_(freep) char *file = xasprintf("%s/LOCK", path);
        int fd;

        if (mkdir(path, 0700) && errno != EEXIST)
                return err_set(reterr, ERR_UNAVAILABLE, "DATA_DIR", "%s: %s", path,
                               strerror(errno));
        fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_set(reterr, ERR_UNAVAILABLE, "DATA_DIR", "%s: %s", file,
                               strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB)) {
                close(fd);
                return err_set(reterr, ERR_UNAVAILABLE, "DATA_DIR_LOCKED",
                               "%s: another process uses this folder", path);
        }
        *ret_fd = fd;
        return ERR_OK;
}
