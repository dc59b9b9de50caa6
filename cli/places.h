/* places.h - where gate and topo are: flags, variables, a local cluster's directory. */
#pragma once

#include <stdbool.h>

#include "common/err.h"

struct places {
        char *gate; /* "host:port"; NULL: not known */
        char *topo;
};

/* What is not NULL in gate and topo is taken; the rest comes from cluster.json of directory, if
 * that is not NULL, else from SHOAL_GATE and SHOAL_TOPO. If then nothing is known: from
 * cluster.json of SHOAL_CLUSTER, or of .shoal if that is there. ERR_INVALID: a cluster.json that
 * was named is missing, or is not one. *ret_places is to be given to places_done() in any case. */
enum err_code places_find(const char *gate, const char *topo, const char *directory,
                          struct places *ret_places, struct err *reterr) must_check_;
void places_done(struct places *p);
