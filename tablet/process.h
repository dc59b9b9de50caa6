/* process.h - the tablet as a whole: its parts put together, and taken apart again. Loop thread. */
#pragma once

#include "common/err.h"
#include "rpc/loop.h"
#include "tablet/options.h"

struct process;

/* Takes the data folder and serves. settings are borrowed. */
enum err_code process_start(struct loop *l, const struct tablet_settings *settings,
                            struct process **ret_process, struct err *reterr) must_check_;
/* Lets what is under way end, checkpoints and closes the shards, then runs done. */
void process_drain(struct process *p, void (*done)(void *arg), void *arg);
/* After done. Accepts NULL, returns NULL. */
struct process *process_free(struct process *p);
