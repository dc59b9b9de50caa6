/* data_dir.h - the folder that one tablet owns. */
#pragma once

#include "common/err.h"

/* Makes the folder (not its parents) if it is not there, takes it for this process until that ends,
 * and notes in it whose it is. *ret_fd need not be closed. ERR_UNAVAILABLE: it cannot be made
 * (DATA_DIR), or another process has it (DATA_DIR_LOCKED). ERR_PRECONDITION (DATA_DIR_OF_ANOTHER):
 * it is that of another tablet. */
enum err_code data_dir_take(const char *path, const char *tablet_id, int *ret_fd,
                            struct err *reterr) must_check_;
