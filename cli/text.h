/* text.h - values and names as text for people and for scripts. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/value.h"

/* As SQLite's shell prints it: integers in decimal, reals with 15 significant digits, text as it
 * is; blobs as x'..'. Nothing for NULL. */
void text_add_value(struct buf *b, const struct value *v);

/* As JSON: text that is not UTF-8 has U+FFFD in place of what is wrong, reals have the digits that
 * bring the same real back, infinities are 1e999, blobs are strings like "x'00ff'". */
void text_add_json(struct buf *b, const struct value *v);
void text_add_json_string(struct buf *b, const char *s, size_t n_bytes);

/* One field of CSV, in double quotes where SQLite's shell puts them: the empty text too, which
 * tells it from NULL. */
void text_add_csv(struct buf *b, const void *p, size_t n_bytes);

/* On one line, whatever is in it: control characters as \n, \t, \x1b, bytes that are not UTF-8 as
 * \xff. Returns the columns it takes on a terminal. */
size_t text_add_cell(struct buf *b, const void *p, size_t n_bytes);

/* An SQL name in double quotes. */
void text_add_name(struct buf *b, const char *name);
