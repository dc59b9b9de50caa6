/* built_in_int.h - the services every server has: health and reflection. Loop thread. */
#pragma once

#include "rpc/server.h"

struct health;
struct reflection;

enum { HEALTH_METHODS = 2, REFLECTION_METHODS = 2 };

/* services is borrowed for the health's life. Its methods are written to methods[0 … HEALTH_METHODS
 * - 1]. Never NULL. */
struct health *health_new(const char *const *services, struct rpc_method *methods);
void health_set(struct health *h, bool serving); /* tells all who watch */
/* No call is under way any more. Accepts NULL, returns NULL. */
struct health *health_free(struct health *h);

/* o: descriptors and methods, borrowed for the reflection's life but for the array of methods
 * itself. */
struct reflection *reflection_new(const struct rpc_server_options *o, struct rpc_method *methods);
struct reflection *reflection_free(struct reflection *r);
