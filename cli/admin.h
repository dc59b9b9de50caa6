/* admin.h - shoal keyspace|tablet|shard|table|transaction …: what topo knows, and changing it.
 * Owner: the main thread. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "cli/options.h"
#include "cli/remote.h"
#include "common/err.h"

struct admin_command;

/* The command that the words begin with; NULL if the first is no noun of ours (then it is SQL).
 * ERR_INVALID: the noun is known, the rest is wrong. */
enum err_code admin_find(const struct options *o, const struct admin_command **ret_command,
                         struct err *reterr) must_check_;
/* True if the word is "keyspace", "tablet", "shard", "table" or "transaction". */
bool admin_is_noun(const char *word);
/* Help for a noun. */
void admin_help(FILE *out, const char *noun);

enum err_code admin_run(const struct admin_command *c, const struct options *o, struct remote *topo,
                        FILE *out, struct err *reterr) must_check_;
