/* plan_views.h - views in queries: each reference becomes the view's SELECT. Loop thread. */
#pragma once

#include "gate/plan_int.h"

/* In p->stmt, a SELECT, INSERT, UPDATE or DELETE. *ret_expanded: there was one. A view that is
 * circular stays as it is: SQLite says so. ERR_EXHAUSTED (reason STATEMENT_TOO_COMPLEX): too many
 * views, or too deep in one another. */
enum err_code expand_views(struct planner *p, bool *ret_expanded) must_check_;
/* Behind expand_views() when it has expanded some and SQLite has accepted the statement: sees to it
 * that SQLite can also parse it as it is now. p->stmt may be another tree afterwards. */
enum err_code settle_views(struct planner *p) must_check_;
