/* plan_control.c - BEGIN, COMMIT, ROLLBACK and savepoints: nothing for shards. Loop thread. */
#include "gate/plan_int.h"

enum err_code plan_control(struct planner *p)
{
        static const enum savepoints_verb verbs[] = {
                [SQL_TRANSACTION_BEGIN] = SAVEPOINTS_BEGIN,
                [SQL_TRANSACTION_BEGIN_DEFERRED] = SAVEPOINTS_BEGIN,
                [SQL_TRANSACTION_BEGIN_IMMEDIATE] = SAVEPOINTS_BEGIN,
                [SQL_TRANSACTION_BEGIN_EXCLUSIVE] = SAVEPOINTS_BEGIN,
                [SQL_TRANSACTION_COMMIT] = SAVEPOINTS_COMMIT,
                [SQL_TRANSACTION_ROLLBACK] = SAVEPOINTS_ROLLBACK,
                [SQL_TRANSACTION_ROLLBACK_TO] = SAVEPOINTS_ROLLBACK_TO,
                [SQL_TRANSACTION_SAVEPOINT] = SAVEPOINTS_SAVEPOINT,
                [SQL_TRANSACTION_RELEASE] = SAVEPOINTS_RELEASE,
        };
        const struct sql_transaction *t = p->stmt->transaction;
        struct plan_control *c = arena_calloc(p->arena, 1, sizeof *c);

        if (!c)
                return planner_no_memory(p);
        c->verb = verbs[t->type];
        if (t->savepoint.text) {
                c->name = arena_printf(p->arena, "%s", t->savepoint.text);
                if (!c->name)
                        return planner_no_memory(p);
        }
        p->plan->kind = PLAN_TRANSACTION;
        p->plan->read_only = true;
        p->plan->columns = (const uint8_t *)"";
        p->plan->control = c;
        return ERR_OK;
}
