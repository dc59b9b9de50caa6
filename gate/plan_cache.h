/* plan_cache.h - plans by statement text, bounded in bytes, least recently used first out. Loop
 * thread. */
#pragma once

#include "common/arena.h"
#include "gate/plan.h"

struct plan_cache;

struct plan_cache *plan_cache_new(size_t max_bytes);
struct plan_cache *plan_cache_free(struct plan_cache *pc);

/* The plan of a statement in a keyspace: from the cache by its text, by its normalised text, or
 * built and kept. A plan of another schema version is not found. *ret_plan holds a reference;
 * *ret_literals (n = plan->n_literals) lie in the arena. *ret_cached: was it there? */
enum err_code plan_cache_get(struct plan_cache *pc, struct catalog *c, const char *sql,
                             size_t n_bytes, struct arena *arena, struct plan **ret_plan,
                             const struct value **ret_literals, bool *ret_cached,
                             struct err *reterr) must_check_;
/* For metrics. */
size_t plan_cache_bytes(const struct plan_cache *pc);
size_t plan_cache_count(const struct plan_cache *pc);
