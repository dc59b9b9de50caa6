/* loop_timer.c - timers of a loop: a binary heap, the soonest on top. Loop thread. */
#include <assert.h>

#include "common/util.h"
#include "rpc/loop_int.h"

static void place(struct loop *l, size_t i, struct loop_timer *t)
{
        l->timers[i] = t;
        t->heap_index = i;
}

static void sift_up(struct loop *l, size_t i, struct loop_timer *t)
{
        for (; i > 1 && l->timers[i / 2]->at_us > t->at_us; i /= 2)
                place(l, i, l->timers[i / 2]);
        place(l, i, t);
}

static void sift_down(struct loop *l, size_t i, struct loop_timer *t)
{
        size_t child;

        while ((child = 2 * i) <= l->n_timers) {
                if (child < l->n_timers && l->timers[child + 1]->at_us < l->timers[child]->at_us)
                        child++;
                if (l->timers[child]->at_us >= t->at_us)
                        break;
                place(l, i, l->timers[child]);
                i = child;
        }
        place(l, i, t);
}

static void settle(struct loop *l, size_t i, struct loop_timer *t)
{
        if (i > 1 && l->timers[i / 2]->at_us > t->at_us)
                sift_up(l, i, t);
        else
                sift_down(l, i, t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_us)
{
        assert(loop_is_current(l));
        t->at_us = at_us;
        if (t->heap_index) {
                settle(l, t->heap_index, t);
                return;
        }
        if (l->n_timers + 2 > l->n_timers_allocated) {
                l->n_timers_allocated = l->n_timers_allocated ? 2 * l->n_timers_allocated : 64;
                l->timers = xrealloc(l->timers, l->n_timers_allocated * sizeof(*l->timers));
        }
        l->n_timers++;
        sift_up(l, l->n_timers, t);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
        size_t i = t->heap_index;
        struct loop_timer *last;

        if (!i)
                return;
        assert(loop_is_current(l) && l->timers[i] == t);
        t->heap_index = 0;
        last = l->timers[l->n_timers--];
        if (last != t)
                settle(l, i, last);
}

bool loop_timers_run(struct loop *l)
{
        int64_t now_us = mono_us();
        bool has_run = false;

        l->n_since_timers = 0;
        /* Not more than there are now: one that arms itself for a time long past must not keep the
         * loop to itself. */
        for (size_t n = l->n_timers; n && l->n_timers && l->timers[1]->at_us <= now_us; n--) {
                struct loop_timer *t = l->timers[1];

                loop_timer_cancel(l, t);
                t->fn(t);
                has_run = true;
        }
        return has_run;
}

int64_t loop_timers_next(const struct loop *l)
{
        return l->n_timers ? l->timers[1]->at_us : INT64_MAX;
}
