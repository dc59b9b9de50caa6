/* hlc.h - hybrid logical clock: timestamps that follow the wall clock and never go back.
 * Source: Kulkarni et al., "Logical Physical Clocks", 2014. A timestamp is microseconds since 1970
 * UTC shifted left by HLC_LOGICAL_BITS, plus a counter; 0 is "none". The clock is handed in, so
 * that a simulator can own it. */
#pragma once

#include <stdint.h>

#include "common/err.h"

enum { HLC_LOGICAL_BITS = 10 };

/* Lock-free; any thread. */
struct hlc {
        _Atomic uint64_t last;
        int64_t (*now_us)(void); /* wall clock */
        uint64_t max_skew_us;    /* what a peer may be ahead of our clock */
};

void hlc_init(struct hlc *h, int64_t (*now_us)(void), uint64_t max_skew_us);
/* A timestamp larger than all before it, given out or observed. */
uint64_t hlc_tick(struct hlc *h);
/* The largest timestamp so far, or the wall clock's if that is larger; not unique. */
uint64_t hlc_now(struct hlc *h);
/* Takes note of a peer's timestamp. ERR_OUT_OF_RANGE (reason CLOCK_SKEW): it lies further than
 * max_skew_us ahead of our clock; it is not taken then. 0 is ignored. */
enum err_code hlc_observe(struct hlc *h, uint64_t ts, struct err *reterr) must_check_;

/* The same check without taking note of it. */
enum err_code hlc_check(const struct hlc *h, uint64_t ts, struct err *reterr) must_check_;

static inline uint64_t hlc_from_us(int64_t us)
{
        return (uint64_t)us << HLC_LOGICAL_BITS;
}
static inline int64_t hlc_to_us(uint64_t ts)
{
        return (int64_t)(ts >> HLC_LOGICAL_BITS);
}
