/* temp_dir.h - a folder for one test. */
#pragma once

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/unit.h"

struct temp_dir {
        char path[64];
};

static inline void temp_dir_make(struct temp_dir *d)
{
        unit_temp_template(d->path, sizeof d->path, "shoal-unit");
        ck_assert_ptr_nonnull(mkdtemp(d->path));
}

static inline int temp_dir_remove_one(const char *path, const struct stat *st, int flag,
                                      struct FTW *ftw)
{
        (void)st;
        (void)flag;
        (void)ftw;
        return remove(path);
}

static inline void temp_dir_remove(struct temp_dir *d)
{
        nftw(d->path, temp_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
