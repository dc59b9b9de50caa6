/* ddl_world.c - see the header. */
#include "tests/unit/gate/ddl_world.h"

#include <assert.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

#define PENDING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_PENDING
#define UNDOING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDOING
#define DONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE
#define UNDONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDONE

/* What nobody waits for any more does not arrive later than this. */
enum { MAX_LATE_US = 3 * 1000 * 1000 };

unsigned ddl_world_draw(struct ddl_world *w, unsigned n)
{
        w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return (unsigned)(w->seed >> 33) % n;
}

bool ddl_world_refuses(int sql, size_t shard)
{
        return (sql % 5 == 3 && shard == 2) || sql % 11 == 4;
}

/* ---- topo */

static bool is_alive(const struct ddl_world *w, const char *gate, uint64_t epoch)
{
        for (size_t i = 0; i < WORLD_GATES; i++)
                if (strcmp(w->gates[i].name, gate) == 0)
                        return w->gates[i].epoch == epoch;
        return false;
}

static struct world_change *last_change(struct ddl_world *w)
{
        return w->n_changes ? &w->changes[w->n_changes - 1] : NULL;
}

static bool is_open(const struct world_change *c)
{
        return c && (c->state == PENDING || c->state == UNDOING);
}

static struct world_change *topo_look(struct ddl_world *w, const struct world_sent *m,
                                      struct err *e)
{
        static struct world_change none;
        struct world_change *c = last_change(w);
        const char *gate = w->gates[m->gate].name;

        if (!is_alive(w, gate, m->epoch)) {
                err_set(e, ERR_UNAVAILABLE, "GATE_LEASE_ENDED", "not alive");
                return NULL;
        }
        if (!is_open(c))
                return &none;
        if ((strcmp(c->gate, gate) || c->epoch != m->epoch) && is_alive(w, c->gate, c->epoch)) {
                err_set(e, ERR_UNAVAILABLE, "SCHEMA_CHANGE_PENDING", "driven by %s", c->gate);
                return NULL;
        }
        strcpy(c->gate, gate);
        c->epoch = m->epoch;
        return c;
}

static struct world_change *topo_begin(struct ddl_world *w, const struct world_sent *m,
                                       struct err *e)
{
        struct world_change *c = last_change(w);
        const char *gate = w->gates[m->gate].name;

        if (!is_alive(w, gate, m->epoch)) {
                err_set(e, ERR_UNAVAILABLE, "GATE_LEASE_ENDED", "not alive");
                return NULL;
        }
        for (size_t i = 0; i < w->n_changes; i++)
                if (w->changes[i].state == DONE && !strcmp(w->changes[i].request_id, m->request_id))
                        return &w->changes[i];
        if (is_open(c) && c->state == PENDING && c->epoch == m->epoch && !strcmp(c->gate, gate) &&
            !strcmp(c->sql, m->sql) && c->version == m->version + 1)
                return c;
        if (is_open(c)) {
                err_set(e, ERR_ABORTED, "SCHEMA_CHANGE_PENDING", "%s is pending", c->id);
                return NULL;
        }
        if (m->version != w->version) {
                err_set(e, ERR_ABORTED, "SCHEMA_CHANGED", "at another version");
                return NULL;
        }
        ck_assert_uint_lt(w->n_changes, WORLD_MAX_CHANGES);
        c = &w->changes[w->n_changes++];
        *c =
            (struct world_change){ .state = PENDING, .version = m->version + 1, .epoch = m->epoch };
        snprintf(c->id, sizeof c->id, "c%zu", w->n_changes);
        strcpy(c->gate, gate);
        strcpy(c->sql, m->sql);
        strcpy(c->undo_sql, m->undo_sql);
        strcpy(c->request_id, m->request_id);
        return c;
}

static struct world_change *topo_end(struct ddl_world *w, const struct world_sent *m, struct err *e)
{
        size_t i = w->n_changes;
        struct world_change *c;

        while (i > 0 && strcmp(w->changes[i - 1].id, m->id))
                i--;
        ck_assert_uint_gt(i, 0);
        c = &w->changes[i - 1];
        if (strcmp(c->gate, w->gates[m->gate].name) || c->epoch != m->epoch) {
                err_set(e, ERR_PRECONDITION, "NOT_THE_DRIVER", "driven by %s", c->gate);
                return NULL;
        }
        if (c->state == m->state)
                return c;
        if (!is_alive(w, c->gate, c->epoch)) {
                err_set(e, ERR_UNAVAILABLE, "GATE_LEASE_ENDED", "not alive");
                return NULL;
        }
        ck_assert_msg((c->state == PENDING && (m->state == DONE || m->state == UNDOING)) ||
                          (c->state == UNDOING && m->state == UNDONE),
                      "change %s moves from %d to %d", c->id, c->state, m->state);
        c->state = m->state;
        if (c->state == DONE) {
                for (size_t k = 0; k < WORLD_SHARDS; k++)
                        ck_assert_msg(w->shards[k].version == c->version,
                                      "change %s is published, shard %zu does not have it", c->id,
                                      k);
                w->published[w->version++] = atoi(c->sql);
        }
        if (c->state == UNDONE)
                for (size_t k = 0; k < WORLD_SHARDS; k++)
                        ck_assert_msg(w->shards[k].version == c->version - 1,
                                      "change %s is closed, shard %zu has it", c->id, k);
        return c;
}

/* ---- shards */

static void shard_ask(struct world_shard *s, const struct world_sent *m, struct err *e)
{
        if (s->version != m->version)
                err_set(e, ERR_ABORTED, "SCHEMA_CHANGED", "at another version");
}

static void shard_apply(struct world_shard *s, size_t i, const struct world_sent *m, struct err *e)
{
        if (s->version == m->version && strcmp(s->change_id, m->id) == 0)
                return;
        for (size_t k = 0; k < s->n_undone; k++)
                if (strcmp(s->undone[k], m->id) == 0) {
                        err_set(e, ERR_ABORTED, "SCHEMA_CHANGE_UNDONE", "taken back");
                        return;
                }
        if (s->version != m->version - 1) {
                err_set(e, ERR_ABORTED, "SCHEMA_CHANGED", "at another version");
                return;
        }
        if (ddl_world_refuses(atoi(m->sql), i)) {
                err_set(e, ERR_PRECONDITION, "SQLITE_CONSTRAINT_UNIQUE", "shard %zu refuses", i);
                e->extended_code = 2067;
                return;
        }
        s->version = m->version;
        strcpy(s->change_id, m->id);
        s->done[s->n_done++] = atoi(m->sql);
}

static void shard_undo(struct world_shard *s, const struct world_sent *m, struct err *e)
{
        bool has = s->version == m->version && strcmp(s->change_id, m->id) == 0;

        if (!has && s->version >= m->version) {
                err_set(e, ERR_ABORTED, "SCHEMA_CHANGED", "at another version");
                return;
        }
        if (has) {
                ck_assert_msg(*m->undo_sql, "%s cannot be undone", m->sql);
                s->version--;
                s->n_done--;
                *s->change_id = '\0';
        }
        strcpy(s->undone[s->n_undone++ % ARRAY_LEN(s->undone)], m->id);
        if (s->n_undone > ARRAY_LEN(s->undone))
                s->n_undone = ARRAY_LEN(s->undone);
}

static void shard_run(struct ddl_world *w, size_t i, const struct world_sent *m, struct err *e)
{
        if (m->what == DDL_ASK_SHARDS)
                shard_ask(&w->shards[i], m, e);
        else if (m->what == DDL_APPLY_SHARDS)
                shard_apply(&w->shards[i], i, m, e);
        else
                shard_undo(&w->shards[i], m, e);
}

/* ---- arrivals and answers */

static void lose(struct ddl_world *w, struct err *e, bool executed)
{
        *e = (struct err)ERR_INIT;
        if (executed || ddl_world_draw(w, 2))
                err_set(e, ERR_UNKNOWN, "OUTCOME_UNKNOWN", "no answer");
        else
                err_set(e, ERR_UNAVAILABLE, "AWAY", "away");
}

static void answer_topo(struct world_sent *m, const struct err *e, const struct world_change *c)
{
        Shoal__V1__SchemaChange reply = SHOAL__V1__SCHEMA_CHANGE__INIT;

        if (!m->work)
                return;
        if (c && *c->id) {
                reply.id = (char *)c->id;
                reply.keyspace_id = WORLD_KEYSPACE;
                reply.version = c->version;
                reply.state = c->state;
                reply.sql = (char *)c->sql;
                reply.undo_sql = (char *)c->undo_sql;
                reply.gate = (char *)c->gate;
                reply.gate_epoch = c->epoch;
        }
        ddl_topo_answered(m->work, e, c ? &reply : NULL);
}

static struct world_change *run_topo(struct ddl_world *w, const struct world_sent *m, struct err *e)
{
        switch (m->kind) {
        case SENT_LOOK:
                return topo_look(w, m, e);
        case SENT_BEGIN:
                return topo_begin(w, m, e);
        default:
                return topo_end(w, m, e);
        }
}

/* Loses the request or its answer, or neither. A request whose loss was reported may arrive yet. */
static void arrive_topo(struct ddl_world *w, struct world_sent m)
{
        struct world_change *c = NULL;
        struct err e = ERR_INIT;
        unsigned fate = w->calm ? 9 : ddl_world_draw(w, 10);

        if (w->topo_away || fate < 2) {
                if (fate == 1 && !w->calm && w->n_sent < WORLD_MAX_SENT) {
                        w->sent[w->n_sent] = m;
                        w->sent[w->n_sent++].work = NULL;
                        fate = 0;
                }
                lose(w, &e, false);
        } else {
                c = run_topo(w, &m, &e);
                if (fate == 2) {
                        lose(w, &e, true);
                        c = NULL;
                }
        }
        /* A copy: what is told may end the change that the reply speaks of. */
        struct world_change copy;

        if (c)
                copy = *c;
        answer_topo(&m, &e, c ? &copy : NULL);
}

static void arrive_shards(struct ddl_world *w, struct world_sent m)
{
        struct err errs[WORLD_SHARDS];

        for (size_t i = 0; i < WORLD_SHARDS; i++) {
                unsigned fate = w->calm ? 9 : ddl_world_draw(w, 10);

                errs[i] = (struct err)ERR_INIT;
                if (m.what != DDL_ASK_SHARDS && m.skip[i])
                        continue;
                if (w->shards[i].away || fate == 0)
                        lose(w, &errs[i], false);
                else
                        shard_run(w, i, &m, &errs[i]);
                if (fate == 1)
                        lose(w, &errs[i], true);
        }
        if (!w->calm && ddl_world_draw(w, 10) == 0 && w->n_sent < WORLD_MAX_SENT) {
                w->sent[w->n_sent] = m; /* comes a second time */
                w->sent[w->n_sent++].work = NULL;
        }
        if (m.work)
                ddl_shards_answered(m.work, errs, WORLD_SHARDS);
}

static void arrive(struct ddl_world *w, size_t i)
{
        struct world_sent m = w->sent[i];

        w->sent[i] = w->sent[--w->n_sent];
        if (!m.work && w->now_us > m.at_us + MAX_LATE_US)
                return;
        if (m.kind == SENT_SHARDS)
                arrive_shards(w, m);
        else
                arrive_topo(w, m);
}

/* ---- what drivers ask */

static int64_t now_us(void *arg)
{
        return ((struct world_gate *)arg)->world->now_us;
}

static void wake_at(void *arg, int64_t at_us)
{
        ((struct world_gate *)arg)->wake_us = at_us;
}

static bool identity(void *arg, char **ret_gate, uint64_t *ret_epoch)
{
        struct world_gate *g = arg;

        *ret_gate = g->name;
        *ret_epoch = g->epoch;
        return g->epoch != 0;
}

static bool keyspace(void *arg, uint64_t keyspace_id, uint64_t *ret_version, size_t *ret_n_shards)
{
        ck_assert_uint_eq(keyspace_id, WORLD_KEYSPACE);
        *ret_version = ((struct world_gate *)arg)->version;
        *ret_n_shards = WORLD_SHARDS;
        return true;
}

static struct world_sent *send(struct world_gate *g, struct ddl_work *work)
{
        struct ddl_world *w = g->world;
        struct world_sent *m;

        ck_assert_uint_lt(w->n_sent, WORLD_MAX_SENT);
        m = &w->sent[w->n_sent++];
        *m =
            (struct world_sent){ .work = work, .gate = (size_t)(g - w->gates), .at_us = w->now_us };
        return m;
}

static void look(void *arg, struct ddl_work *work, const Shoal__V1__GetSchemaChangeRequest *r)
{
        struct world_sent *m = send(arg, work);

        ck_assert(r->take_over);
        m->kind = SENT_LOOK;
        m->epoch = r->gate_epoch;
}

static void begin(void *arg, struct ddl_work *work, const Shoal__V1__BeginSchemaChangeRequest *r)
{
        struct world_sent *m = send(arg, work);

        m->kind = SENT_BEGIN;
        m->epoch = r->gate_epoch;
        m->version = r->expected_version;
        strcpy(m->sql, r->sql);
        strcpy(m->undo_sql, r->undo_sql);
        strcpy(m->request_id, r->request_id);
}

static void end(void *arg, struct ddl_work *work, const Shoal__V1__EndSchemaChangeRequest *r)
{
        struct world_sent *m = send(arg, work);

        m->kind = SENT_END;
        m->epoch = r->gate_epoch;
        m->state = r->state;
        strcpy(m->id, r->id);
}

static void shards(void *arg, struct ddl_work *work, const struct ddl_shards_call *c)
{
        struct world_sent *m = send(arg, work);

        m->kind = SENT_SHARDS;
        m->version = c->version;
        m->what = c->what;
        if (c->skip)
                memcpy(m->skip, c->skip, sizeof m->skip);
        if (c->what == DDL_ASK_SHARDS)
                return;
        strcpy(m->id, c->change_id);
        strcpy(m->sql, c->sql);
        strcpy(m->undo_sql, c->undo_sql);
}

/* ---- gates and clients */

void ddl_world_restart_gate(struct ddl_world *w, size_t gate)
{
        struct world_gate *g = &w->gates[gate];
        const struct ddl_io io = {
                .arg = g,
                .now_us = now_us,
                .wake_at = wake_at,
                .identity = identity,
                .keyspace = keyspace,
                .look = look,
                .begin = begin,
                .end = end,
                .shards = shards,
                .patience_us = 2 * 1000 * 1000,
        };

        for (size_t i = 0; i < w->n_sent; i++)
                if (w->sent[i].gate == gate)
                        w->sent[i].work = NULL;
        for (size_t i = 0; i < w->n_requests; i++)
                if (w->requests[i]->gate == gate && !w->requests[i]->answered)
                        w->requests[i]->abandoned = true;
        ddl_driver_free(g->driver);
        g->world = w;
        snprintf(g->name, sizeof g->name, "g%zu", gate);
        g->epoch = ++w->last_epoch;
        g->version = w->version;
        g->wake_us = INT64_MAX;
        g->driver = ddl_driver_new_io(&io);
        ddl_nudge(g->driver, WORLD_KEYSPACE);
}

void ddl_world_end_lease(struct ddl_world *w, size_t gate)
{
        w->gates[gate].epoch = w->calm || ddl_world_draw(w, 2) ? ++w->last_epoch : 0;
}

static void on_done(struct ddl_request *r, const struct err *e)
{
        struct world_request *x = CONTAINER_OF(r, struct world_request, request);

        ck_assert_msg(!x->answered && !x->abandoned, "statement %s is answered twice", x->sql);
        x->answered = true;
        x->answer = *e;
        if (e->code == ERR_OK)
                ck_assert_msg(ddl_world_is_published(x->world, x), "statement %s is not done",
                              x->sql);
}

static struct world_request *run(struct ddl_world *w, int sql, size_t gate, int64_t timeout_us)
{
        struct world_request *x = calloc(1, sizeof *x);

        ck_assert_uint_lt(w->n_requests, WORLD_MAX_REQUESTS);
        w->requests[w->n_requests++] = x;
        x->world = w;
        x->gate = gate;
        snprintf(x->sql, sizeof x->sql, "%d", sql);
        if (sql % 7 != 2 && sql % 11 != 4)
                snprintf(x->undo_sql, sizeof x->undo_sql, "-%d", sql);
        else if (ddl_world_refuses(sql, 2) && sql % 11 != 4)
                snprintf(x->undo_sql, sizeof x->undo_sql, "-%d", sql); /* else it would never end */
        x->ddl = (struct plan_ddl){ .sql = x->sql, .undo_sql = *x->undo_sql ? x->undo_sql : NULL };
        x->plan = (struct plan){ .kind = PLAN_DDL,
                                 .keyspace_id = WORLD_KEYSPACE,
                                 .schema_version = w->gates[gate].version,
                                 .ddl = &x->ddl,
                                 .refs = 1000000 };
        x->request.done = on_done;
        x->request.request_id = x->sql;
        ddl_run(w->gates[gate].driver, &x->request, &x->plan,
                timeout_us ? w->now_us + timeout_us : INT64_MAX);
        return x;
}

struct world_request *ddl_world_run(struct ddl_world *w, size_t gate, int64_t timeout_us)
{
        return run(w, (int)w->n_requests, gate, timeout_us);
}

struct world_request *ddl_world_repeat(struct ddl_world *w, const struct world_request *of,
                                       size_t gate, int64_t timeout_us)
{
        struct world_request *x = run(w, atoi(of->sql), gate, timeout_us);

        x->is_repeat = true;
        return x;
}

bool ddl_world_is_published(const struct ddl_world *w, const struct world_request *r)
{
        int n = 0;

        for (uint64_t i = 0; i < w->version; i++)
                n += w->published[i] == atoi(r->sql);
        ck_assert_msg(n <= 1, "statement %s is done twice", r->sql);
        return n;
}

/* ---- time */

static void tell_gate(struct ddl_world *w, size_t i)
{
        struct world_gate *g = &w->gates[i];

        if (g->epoch == 0)
                g->epoch = ++w->last_epoch;
        if (g->version == w->version)
                return;
        g->version = w->version;
        ddl_topology_changed(g->driver);
}

static void let_time_pass(struct ddl_world *w)
{
        int64_t next = INT64_MAX;

        for (size_t i = 0; i < WORLD_GATES; i++)
                if (w->gates[i].wake_us < next)
                        next = w->gates[i].wake_us;
        if (next == INT64_MAX)
                return;
        if (next > w->now_us)
                w->now_us = next;
        for (size_t i = 0; i < WORLD_GATES; i++)
                if (w->gates[i].wake_us <= w->now_us) {
                        w->gates[i].wake_us = INT64_MAX;
                        ddl_tick(w->gates[i].driver);
                }
}

void ddl_world_step(struct ddl_world *w)
{
        unsigned what = ddl_world_draw(w, 8);

        if (what < 4 && w->n_sent)
                arrive(w, ddl_world_draw(w, (unsigned)w->n_sent));
        else if (what < 6)
                tell_gate(w, ddl_world_draw(w, WORLD_GATES));
        else if (!w->n_sent || ddl_world_draw(w, 8) == 0)
                let_time_pass(w);
}

void ddl_world_settle(struct ddl_world *w)
{
        int n = 0;

        w->calm = true;
        w->topo_away = false;
        for (size_t i = 0; i < WORLD_SHARDS; i++)
                w->shards[i].away = false;
        for (bool idle = false; !idle; n++) {
                ck_assert_msg(n < 100000, "it does not come to an end");
                idle = w->n_sent == 0;
                for (size_t i = 0; i < WORLD_GATES; i++) {
                        idle &= ddl_driver_is_idle(w->gates[i].driver);
                        tell_gate(w, i);
                }
                /* What a statement does that meets a shard ahead of topo. */
                for (size_t i = 0; idle && is_open(last_change(w)) && i < WORLD_GATES; i++)
                        ddl_nudge(w->gates[i].driver, WORLD_KEYSPACE);
                idle &= !is_open(last_change(w));
                ddl_world_step(w);
        }
}

void ddl_world_init(struct ddl_world *w, uint64_t seed)
{
        memset(w, 0, sizeof *w);
        w->seed = seed;
        w->now_us = 1000000;
        for (size_t i = 0; i < WORLD_GATES; i++)
                ddl_world_restart_gate(w, i);
}

void ddl_world_done(struct ddl_world *w)
{
        for (size_t i = 0; i < WORLD_GATES; i++)
                ddl_driver_free(w->gates[i].driver);
        for (size_t i = 0; i < w->n_requests; i++)
                free(w->requests[i]);
}
