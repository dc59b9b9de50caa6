/* hlc.c - the hybrid logical clock. Lock-free: one compare-and-swap a step; any thread. */
#include "common/hlc.h"

#include <inttypes.h>
#include <stdatomic.h>

void hlc_init(struct hlc *h, int64_t (*now_us)(void), uint64_t max_skew_us)
{
        atomic_init(&h->last, 0);
        h->now_us = now_us;
        h->max_skew_us = max_skew_us;
}

static uint64_t wall(const struct hlc *h)
{
        int64_t us = h->now_us();

        return us < 0 ? 0 : hlc_from_us(us);
}

uint64_t hlc_tick(struct hlc *h)
{
        uint64_t last = atomic_load_explicit(&h->last, memory_order_relaxed);
        uint64_t now = wall(h);
        uint64_t next;

        /* A counter that runs over carries into the microseconds: the clock is then ahead by one,
         * which is harmless. */
        do {
                next = now > last ? now : last + 1;
        } while (!atomic_compare_exchange_weak_explicit(&h->last, &last, next, memory_order_acq_rel,
                                                        memory_order_relaxed));
        return next;
}

uint64_t hlc_now(struct hlc *h)
{
        uint64_t last = atomic_load_explicit(&h->last, memory_order_acquire);
        uint64_t now = wall(h);

        return now > last ? now : last;
}

enum err_code hlc_check(const struct hlc *h, uint64_t ts, struct err *reterr)
{
        int64_t now_us, ts_us = hlc_to_us(ts);

        if (ts <= atomic_load_explicit(&h->last, memory_order_relaxed))
                return ERR_OK;
        now_us = h->now_us();
        if (ts_us > now_us && (uint64_t)(ts_us - now_us) > h->max_skew_us)
                return err_set(reterr, ERR_OUT_OF_RANGE, "CLOCK_SKEW",
                               "timestamp is %" PRId64
                               " us ahead of the local clock, more than the %" PRIu64 " us allowed",
                               ts_us - now_us, h->max_skew_us);
        return ERR_OK;
}

enum err_code hlc_observe(struct hlc *h, uint64_t ts, struct err *reterr)
{
        uint64_t last = atomic_load_explicit(&h->last, memory_order_relaxed);
        enum err_code rc = hlc_check(h, ts, reterr);

        if (rc)
                return rc;
        while (ts > last && !atomic_compare_exchange_weak_explicit(
                                &h->last, &last, ts, memory_order_acq_rel, memory_order_relaxed))
                ;
        return ERR_OK;
}
