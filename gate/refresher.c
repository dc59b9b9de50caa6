/* refresher.c - the clock and the shards for refresh.h. Loop thread. */
#include "gate/refresher.h"

#include "common/log.h"
#include "gate/analyze.h"
#include "gate/refresh.h"
#include "gate/stats.h"
#include "sql/print.h"

enum { TIMEOUT_MS = 60 * 1000 };

/* Owner: the loop thread. */
struct refresher {
        struct gate *gate;
        struct refresh *refresh;
        struct loop_timer timer;
        int64_t armed_us; /* INT64_MAX: not */
        struct analyze analyze;
        struct catalog *catalog; /* of what is under way; a reference */
};

static void look(struct refresher *r);

static double known_rows(void *arg, uint64_t keyspace_id, const char *table)
{
        struct refresher *r = arg;
        struct catalog *c = topology_find_id(r->gate->topology, keyspace_id);
        const struct catalog_table *t = c ? catalog_find_table(c, table) : NULL;

        if (!t)
                return REFRESH_GONE;
        return catalog_has_statistics(c, t) ? catalog_table_rows(c, t) : -1;
}

static void on_done(struct analyze *a, const struct err *e)
{
        struct refresher *r = CONTAINER_OF(a, struct refresher, analyze);
        struct gate_metrics *m = r->gate->metrics;

        metric_add(e->code ? m->refreshes_failed : m->refreshes_done, 1);
        if (e->code)
                log_event(LOG_WARN, "statistics_refresh_failed", "table=%s code=%s error=%s",
                          log_quote(a->table->name), err_code_name(e->code), log_quote(e->msg));
        refresh_done(r->refresh, e->code == ERR_OK, mono_us());
        r->catalog = catalog_unref(r->catalog);
        look(r);
}

static void start(struct refresher *r, const struct refresh_choice *choice)
{
        struct buf sql = BUF_INIT(0);
        cleanup_(freep) char *text = NULL;

        r->catalog = catalog_ref(topology_find_id(r->gate->topology, choice->keyspace_id));
        r->analyze = (struct analyze){
                .gate = r->gate, .catalog = r->catalog, .done = on_done, .only_if_changed = true
        };
        buf_add_str(&sql, "ANALYZE main.");
        sql_quote_name(&sql, choice->table);
        text = buf_take_str(&sql);
        analyze_start(&r->analyze, text, catalog_find_table(r->catalog, choice->table),
                      mono_us() + TIMEOUT_MS * 1000LL);
}

static void arm(struct refresher *r, int64_t at_us)
{
        if (at_us >= r->armed_us)
                return;
        r->armed_us = at_us;
        loop_timer_set(r->gate->loop, &r->timer, at_us);
}

static void look(struct refresher *r)
{
        struct refresh_choice c = refresh_choose(r->refresh, mono_us(), known_rows, r);

        if (c.table)
                start(r, &c);
        else if (c.again_us != INT64_MAX)
                arm(r, c.again_us);
}

static void on_timer(struct loop_timer *timer)
{
        struct refresher *r = CONTAINER_OF(timer, struct refresher, timer);

        r->armed_us = INT64_MAX;
        look(r);
}

void refresher_note(struct refresher *r, const struct catalog *c, const struct catalog_table *t,
                    uint64_t n_rows)
{
        int64_t now_us = mono_us();

        if (!r->refresh || !n_rows)
                return;
        refresh_note(r->refresh, catalog_id(c), t->name, n_rows, now_us);
        arm(r, now_us + (int64_t)r->gate->options.statistics_interval_ms * 1000);
}

struct refresher *refresher_new(struct gate *g)
{
        struct refresher *r = xcalloc(1, sizeof *r);
        int64_t interval_us = (int64_t)g->options.statistics_interval_ms * 1000;

        r->gate = g;
        r->timer.fn = on_timer;
        r->armed_us = INT64_MAX;
        if (interval_us)
                r->refresh = refresh_new(interval_us);
        return r;
}

struct refresher *refresher_free(struct refresher *r)
{
        if (!r)
                return NULL;
        loop_timer_cancel(r->gate->loop, &r->timer);
        analyze_cancel(&r->analyze);
        catalog_unref(r->catalog);
        refresh_free(r->refresh);
        free(r);
        return NULL;
}
