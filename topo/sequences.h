/* sequences.h - who may give out which ids of a table, for rowids that SQLite would have chosen
 * itself. Loop thread.
 *
 * A gate asks with `above`, the largest id it knows to be in use, and gets a range [first, limit)
 * that is its own for as long as it lives. Per table topo keeps high      every id below may have
 * been given to somebody, holders   the gates, with their epochs, that have been given a range. A
 * holder whose lease has ended, or whose id has come back with another epoch, is dead: its ranges
 * are void, and it is dropped from the list. The rules:
 *   1. No other holder lives. The caller becomes the only one. It gets [above + 1, high'), where
 * high' leaves room for what it asks: nobody else has an id above `above` that is in use or could
 * come to be. So with one client through one gate ids are SQLite's max + 1, also after restarts and
 * explicit ids.
 *   2. Another holder lives. The caller is added to them and gets a fresh range [max(high, above +
 * 1), …), and high rises past it. Ranges of gates that live never overlap; ids are unique and have
 * gaps. This goes on until only one lives.
 *
 * A gate must stop using its range when its lease ends by its own clock, counted from when it sent
 * the last heartbeat that was answered: by topo's clock it ends later, so nobody else has the ids
 * before.
 *
 * Every answer is durable before it is given. Ranges grow from what is asked to MAX_BLOCK while a
 * gate asks often. They end before 2^63 - 1, since limit is exclusive: near there less is given
 * than asked, then ERR_EXHAUSTED (IDS_EXHAUSTED). When that largest id itself is in use:
 * ERR_OUT_OF_RANGE (IDS_EXHAUSTED).
 *
 * A sequence goes with its table. Errors besides: ERR_NOT_FOUND (UNKNOWN_KEYSPACE, UNKNOWN_TABLE),
 * ERR_UNAVAILABLE (GATE_LEASE_ENDED): the caller holds no lease with this epoch. */
#pragma once

#include "topo/op.h"

enum {
        SEQUENCES_MIN_BLOCK = 1,
        SEQUENCES_MAX_BLOCK = 1 << 20,
        SEQUENCES_BUSY_MS = 1000, /* asked again within this time: twice as much is given */
};

extern const struct op_method sequences_allocate; /* TopoInternal.AllocateIds */
