/* arena.h - memory of one statement: taken piece by piece, freed in one call. Not thread-safe: one
 * owner at a time. An arena has a limit, so that a hostile statement is refused instead of eating
 * the process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

struct arena;

/* max_bytes bounds all that is ever allocated from it, block overhead included. Never NULL. */
struct arena *arena_new(size_t max_bytes) must_check_;
struct arena *arena_free(struct arena *a); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct arena *, arena_free);

/* Forgets all that was allocated, keeping one block for reuse. */
void arena_reset(struct arena *a);

/* n_bytes aligned for any type, not initialised. NULL once the limit is reached, or memory is gone;
 * the arena then says so for ever (arena_is_exhausted), so that a caller may check once at the end.
 */
void *arena_alloc(struct arena *a, size_t n_bytes) must_check_;
void *arena_calloc(struct arena *a, size_t n, size_t n_bytes) must_check_;
/* Copies; NUL-terminated. NULL like arena_alloc. */
char *arena_strndup(struct arena *a, const char *s, size_t n_bytes) must_check_;
char *arena_strdup(struct arena *a, const char *s) must_check_;
void *arena_memdup(struct arena *a, const void *p, size_t n_bytes) must_check_;
/* The prefix with the number behind it. */
char *arena_numbered(struct arena *a, const char *prefix, uint64_t number) must_check_;
char *arena_printf(struct arena *a, const char *fmt, ...) printf_(2, 3) must_check_;

/* Room for one more behind the n items of an array that has room for n_allocated (0: there is none
 * yet; a uint32_t). If that is taken, items becomes a larger copy, what is behind the n in it is
 * zero, and the old one is left to the arena. False like arena_alloc: the array is as it was. */
#define arena_room(a, items, n, n_allocated) \
        ((n) < (n_allocated) || arena_grow_((a), &(items), (n), &(n_allocated), sizeof *(items)))
bool arena_grow_(struct arena *a, void *items, size_t n, uint32_t *n_allocated,
                 size_t item_bytes) must_check_;

bool arena_is_exhausted(const struct arena *a);
size_t arena_bytes(const struct arena *a);
