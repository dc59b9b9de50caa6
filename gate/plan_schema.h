/* plan_schema.h - sqlite_schema and the pragma_… functions in FROM. Loop thread. */
#pragma once

#include "gate/plan_int.h"

/* p->stmt is a SELECT, INSERT, UPDATE or DELETE that SQLite has accepted, with its views expanded.
 * *ret_planned: it reads nothing but the schema, and the plan is made. Else what it reads of the
 * schema has become rows in the tree, if there was any. Errors: a pragma's refusal; UNIMPLEMENTED
 * (reason SCHEMA_TABLES) where schema and tables are joined in a way that rows cannot stand for. */
enum err_code plan_schema(struct planner *p, bool *ret_planned) must_check_;
/* Runs finish_sql, alone, in a database with the keyspace's schema and no rows. */
void plan_on_schema(struct planner *p, const char *finish_sql);
