/* commit_clock.c - a shard's clock (txn/clock.h) as its commits and pins use it: under the shard's
 * mutex, with the process's clock. A floor is promised only up to what is durable: in the shard's
 * file, where that value moves ahead in blocks with a commit that happens anyway or with an
 * ENGINE_WRITE_READY, or in the redo log while a transaction holds the writer (promise.c). Any
 * thread. */
#include "tablet/engine_int.h"

#include "common/log.h"

uint64_t clock_block(const struct engine_shard *s)
{
        return hlc_from_us((int64_t)s->engine->o.floor_block_ms * 1000);
}

bool clock_settle(struct engine_shard *s, uint64_t read_ts)
{
        bool settled;

        pthread_mutex_lock(&s->mu);
        settled = txn_clock_settle(&s->clock, read_ts);
        pthread_mutex_unlock(&s->mu);
        return settled;
}

uint64_t clock_pin(struct engine_shard *s, uint64_t read_ts, uint64_t *ret_pending_ts)
{
        uint64_t floor;

        pthread_mutex_lock(&s->mu);
        txn_clock_pin(&s->clock, read_ts, &floor, ret_pending_ts);
        pthread_mutex_unlock(&s->mu);
        return floor;
}

uint64_t clock_begin_commit(struct engine_shard *s, uint64_t min_ts)
{
        uint64_t ts = hlc_tick(s->engine->o.hlc);

        pthread_mutex_lock(&s->mu);
        ts = txn_clock_begin(&s->clock, ts, min_ts, NULL);
        pthread_mutex_unlock(&s->mu);
        return ts;
}

uint64_t clock_floor_due(struct engine_shard *s, uint64_t wanted, bool commits_anyway)
{
        uint64_t now = hlc_now(s->engine->o.hlc), due;

        pthread_mutex_lock(&s->mu);
        due = txn_clock_due(&s->clock, wanted, now, clock_block(s), commits_anyway);
        pthread_mutex_unlock(&s->mu);
        return due;
}

void clock_note_commit(struct engine_shard *s, uint64_t ts)
{
        /* The process's clock is to be past all its commits. If the file was written by a clock
         * that is refused as too far ahead, commits still must not go back, so the answer does not
         * matter. */
        if (hlc_observe(s->engine->o.hlc, ts, NULL))
                log_event(LOG_WARN, "commit_ahead_of_clock", "shard=%s", s->label);
}

void clock_promise(struct engine_shard *s, uint64_t floor)
{
        if (!floor)
                return;
        pthread_mutex_lock(&s->mu);
        txn_clock_promised(&s->clock, floor, 0);
        pthread_mutex_unlock(&s->mu);
        promise_kept(s, floor);
}

void clock_end_commit(struct engine_shard *s, uint64_t ts, uint64_t floor, uint64_t floor_durable,
                      enum txn_commit outcome)
{
        pthread_mutex_lock(&s->mu);
        txn_clock_end(&s->clock, ts, outcome);
        /* Before the next commit begins: what waits for this floor would have to wait for that,
         * too. */
        txn_clock_promised(&s->clock, outcome == TXN_COMMIT_DONE ? floor_durable : 0, floor);
        pthread_mutex_unlock(&s->mu);
        if (outcome != TXN_COMMIT_DONE)
                return;
        clock_note_commit(s, ts);
        if (floor_durable)
                promise_kept(s, floor_durable);
}
