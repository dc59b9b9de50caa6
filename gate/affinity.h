/* affinity.h - a value as a column of some affinity would hold it
 * (https://sqlite.org/datatype3.html section 3). */
#pragma once

#include "common/value.h"
#include "gate/catalog.h"

enum { AFFINITY_SCRATCH_BYTES = 64 };

/* The converted value; text made of a number lies in scratch. Numbers come back as an integer
 * whenever they are one that fits 64 bits, so that equal numbers are the same value. Text becomes a
 * number by SQLite's own conversion, in a private database a thread. */
struct value affinity_apply(enum affinity affinity, const struct value *v,
                            char scratch[AFFINITY_SCRATCH_BYTES]);
