/* plan_pragma.h - PRAGMA, and what becomes of each. Loop thread. */
#pragma once

#include "gate/plan_int.h"

enum err_code plan_pragma(struct planner *p) must_check_;
/* pragma_NAME in FROM: may it be used? ERR_UNIMPLEMENTED: the pragma's refusal. */
enum err_code pragma_check_function(struct planner *p, const char *name) must_check_;
/* "SELECT 0 AS foreign_keys", for pragmas whose value is the same everywhere; else NULL. Static
 * storage. */
const char *pragma_value_sql(const char *name);
