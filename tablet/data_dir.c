/* data_dir.c - a lock file and the tablet's id in the data folder. At the start, on the main
 * thread. */
#include "tablet/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code refuse(const char *path, struct err *reterr)
{
        return err_set(reterr, ERR_UNAVAILABLE, "DATA_DIR", "%s: %s", path, strerror(errno));
}

/* The id is in the lock file, whose name is there before anything else: no folder has shards but no
 * id. */
static enum err_code check_id(int fd, const char *path, const char *tablet_id, struct err *reterr)
{
        char found[256] = "";
        ssize_t n = pread(fd, found, sizeof found - 1, 0);

        if (n < 0)
                return refuse(path, reterr);
        found[strcspn(found, "\n")] = '\0';
        if (n > 0 && strcmp(found, tablet_id) == 0)
                return ERR_OK;
        if (n > 0)
                return err_set(reterr, ERR_PRECONDITION, "DATA_DIR_OF_ANOTHER",
                               "%s: this folder belongs to tablet %.64s, not %.64s", path, found,
                               tablet_id);
        if (dprintf(fd, "%s\n", tablet_id) < 0 || fsync(fd) != 0)
                return refuse(path, reterr);
        return ERR_OK;
}

static enum err_code take(int fd, const char *path, const char *tablet_id, struct err *reterr)
{
        if (flock(fd, LOCK_EX | LOCK_NB) != 0)
                return err_set(reterr, ERR_UNAVAILABLE, "DATA_DIR_LOCKED",
                               "%s: another process uses this folder", path);
        return check_id(fd, path, tablet_id, reterr);
}

enum err_code data_dir_take(const char *path, const char *tablet_id, int *ret_fd,
                            struct err *reterr)
{
        cleanup_(freep) char *file = xasprintf("%s/tablet.id", path);
        enum err_code rc;
        int fd;

        if (mkdir(path, 0700) != 0 && errno != EEXIST)
                return refuse(path, reterr);
        fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return refuse(file, reterr);
        rc = take(fd, path, tablet_id, reterr);
        if (rc) {
                close(fd);
                return rc;
        }
        *ret_fd = fd;
        return ERR_OK;
}
