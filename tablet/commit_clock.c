/* commit_clock.c - timestamps of a shard's commits, and the floor below which none will come any
 * more (DESIGN, "Commit timestamps"). A floor is promised only up to what the file says, so that it
 * holds after a crash, too: that value moves ahead in blocks, with a commit that happens anyway or
 * with an ENGINE_WRITE_READY. A pin that is not asked to wait takes what is promised already. Any
 * thread; guarded by the shard's mutex. */
#include "tablet/engine_int.h"

#include "common/log.h"

static uint64_t block(const struct engine_shard *s)
{
        return hlc_from_us((int64_t)s->engine->o.floor_block_ms * 1000);
}

/* As far as the file promises it. */
static void raise_floor_locked(struct engine_shard *s, uint64_t ts)
{
        if (ts > s->floor_durable)
                ts = s->floor_durable;
        if (ts > s->floor)
                s->floor = ts;
}

/* The smallest timestamp that may yet become visible and was chosen already; 0: none. */
static uint64_t pending_locked(const struct engine_shard *s)
{
        return s->doubtful_ts ? s->doubtful_ts : s->committing_ts;
}

bool clock_settle(struct engine_shard *s, uint64_t read_ts)
{
        uint64_t pending;
        bool settled;

        pthread_mutex_lock(&s->mu);
        raise_floor_locked(s, read_ts);
        pending = pending_locked(s);
        settled = read_ts <= s->floor && (!pending || pending > read_ts);
        pthread_mutex_unlock(&s->mu);
        return settled;
}

uint64_t clock_pin(struct engine_shard *s, uint64_t read_ts, uint64_t *ret_pending_ts)
{
        uint64_t floor;

        /* One critical section with clock_begin_commit(): a commit either chose its timestamp
         * before, and is told of here, or chooses it later, above the floor. */
        pthread_mutex_lock(&s->mu);
        raise_floor_locked(s, read_ts);
        floor = s->floor;
        *ret_pending_ts = pending_locked(s);
        pthread_mutex_unlock(&s->mu);
        return floor;
}

uint64_t clock_begin_commit(struct engine_shard *s, uint64_t min_ts)
{
        uint64_t ts = hlc_tick(s->engine->o.hlc);

        pthread_mutex_lock(&s->mu);
        if (ts <= s->floor)
                ts = s->floor + 1;
        if (ts <= s->last_ts)
                ts = s->last_ts + 1;
        if (ts <= min_ts)
                ts = min_ts + 1;
        s->committing_ts = ts;
        pthread_mutex_unlock(&s->mu);
        return ts;
}

uint64_t clock_floor_due(struct engine_shard *s, uint64_t wanted, bool commits_anyway)
{
        uint64_t now = hlc_now(s->engine->o.hlc);
        uint64_t durable, doubtful;

        pthread_mutex_lock(&s->mu);
        durable = s->floor_durable;
        doubtful = s->doubtful_ts;
        pthread_mutex_unlock(&s->mu);
        /* Whoever waits for a commit in doubt needs another one in its place. */
        if (wanted <= durable && !(wanted && doubtful) &&
            !(commits_anyway && now + block(s) / 2 > durable))
                return 0;
        return (wanted > now ? wanted : now) + block(s);
}

void clock_end_commit(struct engine_shard *s, uint64_t ts, uint64_t floor, uint64_t floor_durable,
                      enum commit_outcome outcome)
{
        pthread_mutex_lock(&s->mu);
        if (outcome == COMMIT_DONE)
                s->doubtful_ts = 0;
        else if (outcome == COMMIT_IN_DOUBT && !s->doubtful_ts)
                s->doubtful_ts = ts;
        s->committing_ts = 0;
        if (outcome == COMMIT_DONE && ts)
                s->last_ts = ts;
        if (outcome == COMMIT_DONE && floor_durable > s->floor_durable)
                s->floor_durable = floor_durable;
        /* Before the next commit begins: what waits for this floor would have to wait for that,
         * too. */
        raise_floor_locked(s, floor);
        pthread_mutex_unlock(&s->mu);
        /* The process's clock is to be past all its commits. If the file was written by a clock
         * that is refused as too far ahead, commits still must not go back, so the answer does not
         * matter. */
        if (outcome == COMMIT_DONE && hlc_observe(s->engine->o.hlc, ts, NULL))
                log_event(LOG_WARN, "commit_ahead_of_clock", "shard=%s", s->label);
}
