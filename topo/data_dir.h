/* data_dir.h - the folder that one process owns. */
#pragma once

#include "common/err.h"

/* Makes the folder (not its parents) if it is not there, and takes it for this process until that
 * ends. *ret_fd need not be closed. ERR_UNAVAILABLE: it cannot be made (DATA_DIR), or another
 * process has it (DATA_DIR_LOCKED). */
enum err_code data_dir_take(const char *path, int *ret_fd, struct err *reterr) must_check_;
