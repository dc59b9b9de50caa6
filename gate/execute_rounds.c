/* execute_rounds.c - parts that wait for the rows of others: when those are there, they are sent
 * with the keys to look for, in as many requests as it takes; or for all their rows, if the keys
 * are too many to be of use. Loop thread.
 *
 * x->parts has a slot for each part of the plan and behind them one for each further request. */
#include <string.h>

#include "gate/execute_int.h"

size_t execute_rounds_room(const struct plan *p)
{
        size_t n = p->n_parts;

        for (size_t i = 0; i < p->n_parts; i++)
                if (p->parts[i].after)
                        n += KEY_SET_MAX_REQUESTS - 1;
        return n;
}

/* How often the cut may be lost before a statement does without rounds. In a transaction, all that
 * a statement reads for the first time is pinned at once. */
enum { MAX_LOST = 2 };

bool execute_has_rounds(const struct execution *x)
{
        if (x->n_lost >= MAX_LOST || x->transaction)
                return false;
        for (size_t i = 0; i < x->run->n_parts; i++)
                if (x->run->parts[i].after)
                        return true;
        return false;
}

bool execute_rounds_waits(const struct execution *x, size_t part)
{
        return x->run->parts[part].after && execute_has_rounds(x);
}

enum err_code execute_rounds_note(struct execution *x, size_t part, const uint8_t *result,
                                  size_t n_bytes, struct err *reterr)
{
        for (size_t i = 0; i < x->run->n_parts; i++) {
                const struct plan_after *a = x->run->parts[i].after;
                struct execution_part *waiting = &x->parts[i];
                enum err_code rc;

                if (!a || a->part != part || !execute_rounds_waits(x, i))
                        continue;
                waiting->keys.arena = x->arena;
                rc = key_set_add_rows(&waiting->keys, x->run, a, result, n_bytes, reterr);
                if (rc)
                        return rc;
        }
        return ERR_OK;
}

static enum err_code send_requests(struct execution *x, size_t part,
                                   const struct key_request *requests, size_t n, struct err *reterr)
{
        x->parts[part].n_open = n;
        for (size_t i = 0; i < n; i++) {
                size_t slot = i ? x->n_parts++ : part;
                struct execution_part *s = &x->parts[slot];
                enum err_code rc;

                s->x = x;
                s->index = part;
                s->keyed = &requests[i];
                s->bits = requests[i].bits;
                s->n_shards = requests[i].n_shards;
                rc = execute_send_read(x, slot, reterr);
                if (rc)
                        return rc;
        }
        return ERR_OK;
}

static enum err_code start_part(struct execution *x, size_t part, struct err *reterr)
{
        const struct plan_after *a = x->run->parts[part].after;
        struct execution_part *s = &x->parts[part];
        struct key_request *requests;
        enum err_code rc;
        size_t n;

        s->is_started = true;
        s->keys.arena = x->arena; /* also if there was no row */
        if (!key_set_pays(&s->keys, a)) {
                s->n_open = 1;
                return execute_send_read(x, part, reterr);
        }
        rc = key_set_split(&s->keys, a, catalog_shards(x->catalog), s->bits, &x->values, &requests,
                           &n, reterr);
        if (rc)
                return rc;
        if (arena_is_exhausted(x->arena))
                return execute_no_memory(reterr);
        /* No shard may have a row of it. */
        if (!n)
                x->n_parts_ended++;
        s->n_open = n;
        return n ? send_requests(x, part, requests, n, reterr) : ERR_OK;
}

/* Until nothing more can be sent: a part without keys is over at once. */
static enum err_code start_parts(struct execution *x, struct err *reterr)
{
        bool again = true;

        while (again) {
                again = false;
                for (size_t i = 0; i < x->run->n_parts; i++) {
                        const struct plan_after *a = x->run->parts[i].after;
                        enum err_code rc;

                        if (!a || x->parts[i].is_started || x->parts[a->part].n_open)
                                continue;
                        if (x->run->parts[a->part].after && !x->parts[a->part].is_started)
                                continue;
                        rc = start_part(x, i, reterr);
                        if (rc)
                                return rc;
                        again = true;
                }
        }
        return ERR_OK;
}

/* Not where a scatter has ended: that may be one of several that are being told of the cut. */
static void on_timer(struct loop_timer *timer)
{
        struct execution *x = CONTAINER_OF(timer, struct execution, rounds);
        struct err e;

        if (start_parts(x, &e))
                execute_fail(x, &e);
        else if (x->n_parts_ended == x->n_parts)
                execute_end_parts(x);
}

void execute_rounds_ended(struct execution *x, size_t part)
{
        if (--x->parts[part].n_open)
                return;
        x->rounds.fn = on_timer;
        loop_timer_set(x->gate->loop, &x->rounds, 0);
}

void execute_rounds_stop(struct execution *x)
{
        loop_timer_cancel(x->gate->loop, &x->rounds);
}
