/* promise.c - floors that are wanted while a transaction holds the shard's writer: they are made
 * durable in the redo log, so that reads need not wait for its end. Of each shard the latest such
 * promise counts, until a commit has written a floor as high into the shard's file. */
#include "tablet/engine_int.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "common/log.h"

enum { RETRY_US = 250 * 1000 };

/* ---- what the log had when it was opened, and what closed shards have left there */

void promise_found(void *arg, const struct redo_record *rec, struct redo_ref ref)
{
        struct engine *e = arg;
        struct promise *p;

        p = xcalloc(1, sizeof *p);
        *p = (struct promise){ .keyspace_id = rec->keyspace_id, .floor = rec->ts, .ref = ref };
        snprintf(p->name, sizeof p->name, "%.*s", (int)rec->shard.n_bytes,
                 (const char *)rec->shard.data);
        LL_PREPEND(e->promises, p);
}

void promise_take(struct engine_shard *s)
{
        struct engine *e = s->engine;
        struct promise *p, *tmp;

        pthread_mutex_lock(&e->mu);
        LL_FOREACH_SAFE(e->promises, p, tmp)
        {
                struct redo_ref lesser = p->ref;

                if (p->keyspace_id != s->keyspace_id || strcmp(p->name, s->name) != 0)
                        continue;
                LL_DELETE(e->promises, p);
                if (p->floor > s->promised_floor) {
                        lesser = s->promise;
                        s->promise = p->ref;
                        s->promised_floor = p->floor;
                }
                redo_log_release(e->log, &lesser);
                free(p);
        }
        pthread_mutex_unlock(&e->mu);
}

void promise_leave(struct engine_shard *s)
{
        struct promise *p;

        if (!s->promise.segment)
                return;
        p = xcalloc(1, sizeof *p);
        *p = (struct promise){ .keyspace_id = s->keyspace_id,
                               .floor = s->promised_floor,
                               .ref = s->promise };
        snprintf(p->name, sizeof p->name, "%s", s->name);
        pthread_mutex_lock(&s->engine->mu);
        LL_PREPEND(s->engine->promises, p);
        pthread_mutex_unlock(&s->engine->mu);
}

/* ---- making one */

static enum err_code append(struct engine_shard *s, uint64_t floor, struct redo_ref *ret_ref)
{
        const struct redo_record rec = {
                .kind = REDO_FLOOR,
                .keyspace_id = s->keyspace_id,
                .shard = { s->name, strlen(s->name) },
                .ts = floor,
        };
        struct err e = ERR_INIT;
        enum err_code rc = redo_log_append(s->engine->log, &rec, ret_ref, &e);

        if (rc)
                log_event(LOG_ERROR, "floor_not_promised", "shard=%s error=%s", s->label,
                          log_quote(e.msg));
        return rc;
}

/* On the writers' pool. */
static void raise(struct pool_job *job)
{
        struct engine_shard *s = CONTAINER_OF(job, struct engine_shard, floor_job);
        uint64_t now = hlc_now(s->engine->o.hlc), wanted, floor;
        struct redo_ref ref = { 0 }, old = { 0 };
        enum err_code rc = ERR_OK;

        pthread_mutex_lock(&s->mu);
        wanted = s->floor_wanted;
        floor = txn_clock_due(&s->clock, wanted, now, clock_block(s), false);
        pthread_mutex_unlock(&s->mu);
        if (floor)
                rc = append(s, floor, &ref);
        pthread_mutex_lock(&s->mu);
        s->raise_at_us = rc ? mono_us() + RETRY_US : 0;
        if (!rc && floor) {
                old = s->promise;
                s->promise = ref;
                s->promised_floor = floor;
        }
        pthread_mutex_unlock(&s->mu);
        redo_log_release(s->engine->log, &old);
        pthread_mutex_lock(&s->mu);
        s->is_raising = false;
        if (!rc)
                participant_floor_raised(s->participant, floor, wanted, mono_us());
        participate_pump(s, false);
}

bool promise_is_due(struct engine_shard *s, int64_t now_us)
{
        if (s->floor_wanted <= s->clock.floor_durable || s->is_raising || now_us < s->raise_at_us)
                return false;
        s->is_raising = true;
        s->floor_job.run = raise;
        return true;
}

void promise_kept(struct engine_shard *s, uint64_t floor)
{
        struct redo_ref ref = { 0 };

        pthread_mutex_lock(&s->mu);
        if (s->promise.segment && floor >= s->promised_floor) {
                ref = s->promise;
                s->promise = (struct redo_ref){ 0 };
        }
        pthread_mutex_unlock(&s->mu);
        redo_log_release(s->engine->log, &ref);
}
