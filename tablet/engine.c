/* engine.c - the engine as a whole: its options and its counters. */
#include "tablet/engine_int.h"

#include <assert.h>
#include <limits.h>
#include <utlist.h>

#include "common/metrics.h"
#include "common/sqlite_now.h"

enum { REDO_SEGMENT_BYTES = 16 << 20 };

#define DEFAULT(option, value)              \
        do {                                \
                if (!(option))              \
                        (option) = (value); \
        } while (0)

static void set_defaults(struct engine_options *o)
{
        DEFAULT(o->max_connections, 1024);
        DEFAULT(o->cache_bytes, 2 << 20);
        DEFAULT(o->max_statements, 128);
        DEFAULT(o->max_statement_bytes, 4 << 20);
        DEFAULT(o->max_value_bytes, 64 << 20);
        DEFAULT(o->max_result_bytes, 64 << 20);
        DEFAULT(o->max_batch, 256);
        DEFAULT(o->max_batch_ms, 5);
        DEFAULT(o->max_queue, 10000);
        DEFAULT(o->max_queue_bytes, 64 << 20);
        DEFAULT(o->checkpoint_bytes, 4 << 20);
        DEFAULT(o->max_wal_bytes, 64 << 20);
        DEFAULT(o->max_read_ms, 5 * 60 * 1000);
        DEFAULT(o->request_keep_ms, 24 * 3600 * 1000);
        DEFAULT(o->floor_block_ms, 1000);
        DEFAULT(o->hold_idle_ms, 2 * 60 * 1000);
        DEFAULT(o->hold_total_ms, 10 * 60 * 1000);
        DEFAULT(o->applied_keep_ms, 24 * 3600 * 1000);
}

enum err_code engine_new(const struct engine_options *o, struct engine **ret_engine,
                         struct err *reterr)
{
        struct redo_log_options ro = { .segment_bytes = REDO_SEGMENT_BYTES };
        struct engine *e;
        enum err_code code;
        int rc;

        if (o->max_value_bytes > INT_MAX || o->checkpoint_bytes > INT_MAX)
                return err_set(reterr, ERR_INVALID, "BAD_CONFIGURATION",
                               "an option of the engine is out of range");
        rc = sqlite_now_register();
        if (rc != SQLITE_OK)
                return err_set(reterr, ERR_INTERNAL, "SQLITE_VFS", "register the VFS: %s",
                               sqlite3_errstr(rc));
        e = xcalloc(1, sizeof *e);
        e->o = *o;
        set_defaults(&e->o);
        pthread_mutex_init(&e->mu, NULL);
        ro.dir = e->redo_dir = xasprintf("%s/redo", o->data_dir);
        code = redo_log_open(&ro, promise_found, e, &e->log, reterr);
        if (code) {
                engine_free(e);
                return code;
        }
        *ret_engine = e;
        return ERR_OK;
}

struct engine *engine_free(struct engine *e)
{
        struct promise *p, *tmp;

        if (!e)
                return NULL;
        assert(e->n_connections == 0);
        LL_FOREACH_SAFE(e->promises, p, tmp)
        free(p);
        redo_log_close(e->log);
        free(e->redo_dir);
        pthread_mutex_destroy(&e->mu);
        free(e);
        return NULL;
}
