/* checkpoint.c - moves the write-ahead log into the file, in the writer between two batches: while
 * nothing is written, a log that has been moved whole starts from its beginning with the next
 * commit. A reader that holds an old snapshot makes the attempt futile, and costly for every page
 * of log: then the next one waits for twice as many pages. */
#include "tablet/engine_int.h"

#include <limits.h>

#include "common/log.h"
#include "common/metrics.h"
#include "common/sqlite_err.h"

enum { PAGE_BYTES = 4096, RESTART_WAIT_MS = 20 };

static int min_pages(const struct engine_shard *s)
{
        return (int)(s->engine->o.checkpoint_bytes / PAGE_BYTES);
}

static void report_size(struct engine_shard *s, int n_pages)
{
        int64_t n_bytes = (int64_t)n_pages * PAGE_BYTES;

        metric_move(engine_metrics()->wal_bytes, n_bytes - s->checkpointer.n_reported_bytes);
        s->checkpointer.n_reported_bytes = n_bytes;
}

static void back_off(struct checkpointer *cp, int n_log_pages)
{
        if (cp->step_pages < INT_MAX / 4)
                cp->step_pages *= 2;
        cp->at_pages = n_log_pages + cp->step_pages;
}

/* Short of a limit, whoever reads is left alone. Beyond, the writer waits a moment for short reads
 * to end, so that the log can start again. */
static int try_checkpoint(struct engine_shard *s, struct conn *c, int *ret_n_log, int *ret_n_moved)
{
        bool is_long = (uint64_t)c->wal_pages * PAGE_BYTES > s->engine->o.max_wal_bytes;
        int rc;

        c->max_busy_ms = is_long ? RESTART_WAIT_MS : 0;
        rc = sqlite3_wal_checkpoint_v2(
            c->db, NULL, is_long ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, ret_n_log,
            ret_n_moved);
        c->max_busy_ms = CONN_BUSY_MS;
        return rc;
}

void checkpoint_maybe(struct engine_shard *s, struct conn *c)
{
        struct checkpointer *cp = &s->checkpointer;
        int rc, n_log = 0, n_moved = 0;

        if (c->is_broken || c->wal_pages == 0)
                return;
        report_size(s, c->wal_pages);
        if (!cp->at_pages || c->wal_pages < cp->n_log_pages) { /* the log has started again */
                cp->step_pages = cp->at_pages = min_pages(s);
                cp->n_moved_pages = 0;
        }
        cp->n_log_pages = c->wal_pages;
        if (c->wal_pages < cp->at_pages)
                return;
        rc = try_checkpoint(s, c, &n_log, &n_moved);
        if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY) {
                metric_add(engine_metrics()->checkpoints_failed, 1);
                log_event(LOG_WARN, "checkpoint_failed", "shard=%s sqlite=%s error=%s", s->label,
                          sqlite_err_name(rc), log_quote(sqlite3_errmsg(c->db)));
                shard_note_error(s, rc);
                back_off(cp, c->wal_pages);
                return;
        }
        if (n_moved == n_log || n_moved > cp->n_moved_pages) {
                cp->step_pages = min_pages(s);
                cp->at_pages = n_log + cp->step_pages;
        } else {
                back_off(cp, n_log);
        }
        cp->n_moved_pages = n_moved;
        metric_add(n_moved == n_log ? engine_metrics()->checkpoints_done
                                    : engine_metrics()->checkpoints_partial,
                   1);
}

void checkpoint_all(struct engine_shard *s, struct conn *c)
{
        int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

        /* The log stays then, and is read when the shard is opened next. */
        if (rc != SQLITE_OK)
                log_event(LOG_WARN, "checkpoint_failed", "shard=%s sqlite=%s error=%s", s->label,
                          sqlite_err_name(rc), log_quote(sqlite3_errmsg(c->db)));
        else
                report_size(s, 0);
}
