/* vschema.h - the sharding of a keyspace's tables as one document. Loop thread. */
#pragma once

#include "topo/op.h"

extern const struct op_method vschema_get; /* Topo.GetVSchema */
extern const struct op_method
    vschema_apply; /* Topo.ApplyVSchema: what would change; to change it is not possible yet */
