/* pin.c - a snapshot of a shard that is open on a connection of its own, and what it is exact on
 * (DESIGN, "Commit timestamps"): c is the last commit in it, and all commits that it does not hold
 * are later than E. */
#include "tablet/engine_int.h"

#include <inttypes.h>

int snapshot_begin(struct conn *c, bool *ret_begun, uint64_t *ret_last_ts,
                   uint64_t *ret_schema_version)
{
        int rc = conn_exec(c, CONN_BEGIN);

        *ret_begun = rc == SQLITE_OK;
        if (rc == SQLITE_OK)
                rc = meta_get(c, "last_ts", ret_last_ts);
        if (rc == SQLITE_OK)
                rc = meta_get(c, "schema_version", ret_schema_version);
        return rc;
}

bool engine_pin_is_ready(struct engine_shard *s, uint64_t read_ts, bool settled)
{
        return atomic_load(&s->open) && (!settled || clock_settle(s, read_ts));
}

/* On p->conn. The floor is raised before the snapshot is opened: what it does not hold either has a
 * timestamp above the floor or was pending then. */
static enum err_code open_pin(struct engine_pin *p, uint64_t read_ts, struct err *reterr)
{
        uint64_t last_ts = 0, pending_ts, floor;
        int rc;

        p->started_us = mono_us();
        floor = clock_pin(p->shard, read_ts, &pending_ts);
        rc = snapshot_begin(p->conn, &p->in_transaction, &last_ts, &p->schema_version);
        if (rc != SQLITE_OK) {
                enum err_code code = conn_fail(p->conn, rc, reterr);

                engine_pin_close(p);
                return code;
        }
        p->cut_c = last_ts;
        p->cut_e = last_ts > floor ? last_ts : floor;
        if (pending_ts > last_ts && p->cut_e >= pending_ts)
                p->cut_e = pending_ts - 1;
        return ERR_OK;
}

enum err_code engine_pin_open(struct engine_pin *p, struct engine_shard *s, uint64_t read_ts,
                              struct err *reterr)
{
        enum err_code code;

        *p = (struct engine_pin){ .shard = s };
        code = conn_acquire(s, false, &p->conn, reterr);
        return code ? code : open_pin(p, read_ts, reterr);
}

bool engine_pin_try(struct engine_pin *p, struct engine_shard *s, uint64_t read_ts)
{
        *p = (struct engine_pin){ .shard = s };
        if (!engine_pin_is_ready(s, read_ts, false))
                return false;
        p->conn = conn_acquire_idle(s);
        if (!p->conn)
                return false;
        p->conn->max_busy_ms = 0;
        return open_pin(p, read_ts, NULL) == ERR_OK;
}

void engine_pin_close(struct engine_pin *p)
{
        if (!p->conn)
                return;
        if (p->in_transaction && conn_exec(p->conn, CONN_COMMIT) != SQLITE_OK)
                p->conn->is_broken = true;
        p->in_transaction = false;
        conn_release(TAKE(p->conn));
}

bool engine_pin_is_too_old(const struct engine_pin *p, int64_t now_us)
{
        return p->conn && now_us >= p->started_us + (int64_t)p->shard->engine->o.max_read_ms * 1000;
}
