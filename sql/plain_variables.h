/* plain_variables.h - SQLite takes time with the square of the number of ?N in a statement, and not
 * of plain ?. Any thread. */
#pragma once

#include <stddef.h>

#include "common/buf.h"

/* Writes ? and blanks over each ?N that SQLite would number N without being told, so that offsets
 * stay as they are. From the first named variable on nothing is changed. Ends in a NUL. */
void sql_plain_variables(char *text);

/* Appends text, a whole statement whose variables are ? and ?N, with what value() says in the place
 * of the variable of a number, from 1; where it says NULL, the variable stays. */
void sql_replace_variables(const char *text, const char *(*value)(void *ctx, size_t number),
                           void *ctx, struct buf *b);
