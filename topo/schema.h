/* schema.h - schema changes of a keyspace, one at a time, driven by a gate (see internal.proto).
 *
 *   PENDING --> DONE
 *      |
 *      v
 *   UNDOING --> UNDONE
 *
 * PENDING: the driver is bringing the change to the shards; the catalogue and the schema's version
 * are as before. UNDOING: some shard refused it; the driver is taking it back everywhere. DONE:
 * every shard has it; in the same transaction the catalogue has taken it and the version has risen
 * by one. UNDONE: no shard has it; as if it had never been. Only the driver moves it on, repeating
 * a move is harmless, and when the driver's lease has ended another gate may take its place. The
 * last changes are kept, so that a repeated end finds its own. Loop thread. */
#pragma once

#include "topo/op.h"

/* The keyspace's change that has not ended; NULL: none. */
const struct catalog_entry *schema_find_pending(const struct catalog *c, uint64_t keyspace_id);

extern const struct op_method schema_begin; /* TopoInternal.BeginSchemaChange */
extern const struct op_method schema_end;   /* TopoInternal.EndSchemaChange */
extern const struct op_method schema_get;   /* TopoInternal.GetSchemaChange */
