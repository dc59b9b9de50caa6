/* engine.c - the engine as a whole: its options and its counters. */
#include "tablet/engine_int.h"

#include <assert.h>
#include <limits.h>

#include "common/metrics.h"
#include "common/sqlite_now.h"

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
}

enum err_code engine_new(const struct engine_options *o, struct engine **ret_engine,
                         struct err *reterr)
{
        struct engine *e;
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
        *ret_engine = e;
        return ERR_OK;
}

struct engine *engine_free(struct engine *e)
{
        if (!e)
                return NULL;
        assert(e->n_connections == 0);
        pthread_mutex_destroy(&e->mu);
        free(e);
        return NULL;
}
