/* faulty_disk.h - what SQLite gets from the operating system in this test program: writes that
 * fail, and syncs that wait or fail. Linking faulty_disk.c puts it in place; nothing is wrong until
 * it is asked for. Any thread. */
#pragma once

#include <stdbool.h>

/* From now on, writes to files whose name ends with `suffix` fail with this errno; 0: no longer.
 * n_good: that many succeed first. */
void faulty_disk_fail_writes(const char *suffix, int error, int n_good);
/* The next write to a file whose name ends with `suffix` writes n_bytes only, the one after it
 * fails with ENOSPC. */
void faulty_disk_tear_write(const char *suffix, int n_bytes);
/* fdatasync() fails with this errno; 0: no longer. */
void faulty_disk_fail_syncs(int error);
/* The next fdatasync() waits in faulty_disk until it is let go. */
void faulty_disk_hold_sync(void);
void faulty_disk_await_sync(void); /* returns when one waits */
void faulty_disk_release_sync(void);
