/* generate.h - random SQL: statements of the whole grammar, and such with something wrong. */
#pragma once

#include <stdint.h>

#include "common/buf.h"

/* Replaces what b holds by a statement that SQLite's grammar allows, names and types apart.
 * NUL-terminated; the NUL is not counted. */
void generate_statement(uint64_t *seed, struct buf *b);

/* The same, but a query or a change whose names are likely to exist in the database of
 * oracle_open() and that gives the same rows however it is run. */
void generate_tame(uint64_t *seed, struct buf *b);

/* Does something to the text, token by token, that is likely to break it. */
void generate_damage(uint64_t *seed, struct buf *b);
