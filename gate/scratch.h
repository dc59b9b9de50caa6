/* scratch.h - a small private SQLite a thread, for what only SQLite can answer right: conversions
 * and constant expressions. */
#pragma once

#include <stdint.h>

#include "common/arena.h"
#include "common/err.h"
#include "common/value.h"

/* Text as a column of NUMERIC affinity would hold it: an integer, a real, or the text as it was. */
struct value scratch_to_number(const struct value *text);

/* Runs `sql`, a SELECT of one value without tables, with values as ?1 … ?n and now_ms as 'now'
 * (milliseconds since 1970 UTC). The result's bytes lie in the arena. Errors are SQLite's;
 * ERR_EXHAUSTED also when it takes too many steps. */
enum err_code scratch_eval(const char *sql, const struct value *values, size_t n_values,
                           int64_t now_ms, struct arena *arena, struct value *ret_value,
                           struct err *reterr) must_check_;
