/* utf8.h - text that may go into protobuf's strings. Pure functions; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool utf8_is_valid(const void *p, size_t n_bytes);
/* The same, and without a NUL. */
bool utf8_is_plain(const void *p, size_t n_bytes);
/* Makes a string valid where it stands: a character cut at the end is dropped, each other byte that
 * does not belong becomes '?'. */
void utf8_repair(char *s);
