/* statistics.h - what is known of the rows of tables, for the gates' planning: how many there are,
 * and how many different values an index has. Gates find it out (gate/analyze.h) and put it here;
 * the others learn by their heartbeats that there is something new, and ask for it.
 *
 * The version of a table's statistics is the store's revision that wrote them. Statistics go with
 * their table. They are hints: nothing but the choice of a plan depends on them. Loop thread. */
#pragma once

#include "topo/op.h"

enum {
        STATISTICS_MAX_TABLES = 64,     /* in one request */
        STATISTICS_MAX_BYTES = 1 << 20, /* of them in one request, and about as much in an answer */
        /* Numbers that differ by less, in percent, are much the same. */
        STATISTICS_SIMILAR_PERCENT = 20,
};

extern const struct op_method statistics_put; /* TopoInternal.PutStatistics */
extern const struct op_method statistics_get; /* TopoInternal.GetStatistics */
