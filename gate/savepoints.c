/* savepoints.c - the statements that begin, end and divide transactions. */
#include "gate/savepoints.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum err_code savepoints_error(struct err *reterr, const char *fmt, ...)
{
        char text[ERR_MSG_BYTES];
        struct err e = ERR_INIT;
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        err_set(&e, ERR_PRECONDITION, "SQLITE_ERROR", "%s", text);
        e.extended_code = SQLITE_ERROR;
        memcpy(e.sqlite_msg, text, sizeof(text));
        if (reterr)
                *reterr = e;
        return ERR_PRECONDITION;
}

static void drop_above(struct savepoints *s, size_t n)
{
        while (s->n > n)
                free(s->items[--s->n].name);
}

void savepoints_done(struct savepoints *s)
{
        drop_above(s, 0);
        free(s->items);
        *s = (struct savepoints){ 0 };
}

void savepoints_end(struct savepoints *s)
{
        drop_above(s, 0);
        s->is_open = s->by_savepoint = false;
}

uint64_t savepoints_next(struct savepoints *s)
{
        return ++s->last_number;
}

uint64_t savepoints_innermost(const struct savepoints *s)
{
        return s->n ? s->items[s->n - 1].number : 0;
}

/* The innermost of that name; s->n: none. */
static size_t find(const struct savepoints *s, const char *name)
{
        size_t i = s->n;

        while (i && sqlite3_stricmp(s->items[i - 1].name, name) != 0)
                i--;
        return i ? i - 1 : s->n;
}

static enum err_code add(struct savepoints *s, const char *name, enum savepoints_step *ret_step,
                         struct err *reterr)
{
        if (s->n == SAVEPOINTS_MAX)
                return err_set(reterr, ERR_EXHAUSTED, "TOO_MANY_SAVEPOINTS",
                               "%d savepoints are open, which is the limit", SAVEPOINTS_MAX);
        if (s->n == s->n_allocated) {
                s->n_allocated = s->n_allocated ? s->n_allocated * 2 : 4;
                s->items = xrealloc(s->items, s->n_allocated * sizeof(*s->items));
        }
        *ret_step = s->is_open ? SAVEPOINTS_DONE : SAVEPOINTS_OPENED;
        s->by_savepoint = s->by_savepoint || !s->is_open;
        s->is_open = true;
        s->items[s->n++] = (struct savepoint){ xstrdup(name), savepoints_next(s) };
        return ERR_OK;
}

static enum err_code release(struct savepoints *s, const char *name, enum savepoints_step *ret_step,
                             struct err *reterr)
{
        size_t i = find(s, name);

        if (i == s->n)
                return savepoints_error(reterr, "no such savepoint: %s", name);
        if (i == 0 && s->by_savepoint) {
                *ret_step = SAVEPOINTS_TO_COMMIT;
                return ERR_OK;
        }
        drop_above(s, i);
        *ret_step = SAVEPOINTS_DONE;
        return ERR_OK;
}

static enum err_code roll_back_to(struct savepoints *s, const char *name,
                                  enum savepoints_step *ret_step, uint64_t *ret_number,
                                  struct err *reterr)
{
        size_t i = find(s, name);

        if (i == s->n)
                return savepoints_error(reterr, "no such savepoint: %s", name);
        drop_above(s, i + 1);
        *ret_number = s->items[i].number;
        s->items[i].number = savepoints_next(s);
        *ret_step = SAVEPOINTS_TO_UNDO;
        return ERR_OK;
}

enum err_code savepoints_apply(struct savepoints *s, enum savepoints_verb verb, const char *name,
                               enum savepoints_step *ret_step, uint64_t *ret_number,
                               struct err *reterr)
{
        switch (verb) {
        case SAVEPOINTS_BEGIN:
                if (s->is_open)
                        return savepoints_error(reterr,
                                                "cannot start a transaction within a transaction");
                s->is_open = true;
                *ret_step = SAVEPOINTS_OPENED;
                return ERR_OK;
        case SAVEPOINTS_COMMIT:
                if (!s->is_open)
                        return savepoints_error(reterr, "cannot commit - no transaction is active");
                *ret_step = SAVEPOINTS_TO_COMMIT;
                return ERR_OK;
        case SAVEPOINTS_ROLLBACK:
                if (!s->is_open)
                        return savepoints_error(reterr,
                                                "cannot rollback - no transaction is active");
                *ret_step = SAVEPOINTS_TO_ROLL_BACK;
                return ERR_OK;
        case SAVEPOINTS_SAVEPOINT:
                return add(s, name, ret_step, reterr);
        case SAVEPOINTS_RELEASE:
                return release(s, name, ret_step, reterr);
        case SAVEPOINTS_ROLLBACK_TO:
                return roll_back_to(s, name, ret_step, ret_number, reterr);
        }
        return err_set(reterr, ERR_INTERNAL, "INTERNAL", "no such verb");
}
