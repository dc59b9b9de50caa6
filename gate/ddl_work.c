/* ddl_work.c - one keyspace's schema change: what each state does, and what it makes of the answer.
 * Loop thread. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "gate/ddl_int.h"
#include "gate/scatter.h"

enum {
        MIN_RETRY_US = 20 * 1000,
        MAX_RETRY_US = 1000 * 1000,
        LATE_LOOK_US = 5 * 1000 * 1000,
};

#define PENDING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_PENDING
#define UNDOING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDOING
#define DONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE
#define UNDONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDONE

#define TO(state) (1U << (state))

static const struct {
        const char *name;
        unsigned next; /* states it may move to */
} states[DDL_N_STATES] = {
        // clang-format off
        [DDL_IDLE]       = { "idle",       TO(DDL_LOOKING) },
        [DDL_LOOKING]    = { "looking",    TO(DDL_IDLE) | TO(DDL_PROBING) | TO(DDL_APPLYING) | TO(DDL_UNDOING) },
        [DDL_PROBING]    = { "probing",    TO(DDL_IDLE) | TO(DDL_LOOKING) | TO(DDL_BEGINNING) },
        [DDL_BEGINNING]  = { "beginning",  TO(DDL_IDLE) | TO(DDL_LOOKING) | TO(DDL_APPLYING) | TO(DDL_SETTLING) },
        [DDL_APPLYING]   = { "applying",   TO(DDL_IDLE) | TO(DDL_LOOKING) | TO(DDL_PUBLISHING) | TO(DDL_TURNING) },
        [DDL_PUBLISHING] = { "publishing", TO(DDL_LOOKING) | TO(DDL_SETTLING) },
        [DDL_SETTLING]   = { "settling",   TO(DDL_IDLE) },
        [DDL_TURNING]    = { "turning",    TO(DDL_LOOKING) | TO(DDL_UNDOING) },
        [DDL_UNDOING]    = { "undoing",    TO(DDL_IDLE) | TO(DDL_LOOKING) | TO(DDL_CLOSING) },
        [DDL_CLOSING]    = { "closing",    TO(DDL_IDLE) | TO(DDL_LOOKING) },
        // clang-format on
};

/* ---- moving */

void ddl_change_done(struct ddl_change *c)
{
        free(c->id);
        free(c->sql);
        free(c->undo_sql);
        *c = (struct ddl_change){ 0 };
}

static void forget_applied(struct ddl_work *w)
{
        free(w->applied);
        w->applied = NULL;
        w->n_applied = 0;
}

/* The only writer of the state. The new one is entered by whoever runs the work. */
static void move(struct ddl_work *w, enum ddl_state to)
{
        assert(states[w->state].next & TO(to));
        if (w->change.id)
                log_event(LOG_INFO, "schema_change",
                          "keyspace_id=%" PRIu64 " change=%s version=%" PRIu64 " from=%s to=%s",
                          w->keyspace_id, w->change.id, w->change.version, states[w->state].name,
                          states[to].name);
        if (to == DDL_IDLE || (to >= DDL_APPLYING && w->state != DDL_LOOKING)) {
                w->stuck_since_us = 0; /* it moves on; merely looking again is none */
                w->n_retries = 0;
        }
        w->state = to;
        w->retry_at_us = ddl_now(w);
        forget_applied(w);
        if (to == DDL_IDLE) {
                ddl_change_done(&w->change);
                w->owner = NULL;
                w->unsure = false;
                w->cause = (struct err)ERR_INIT;
        }
}

/* The same state again, after a while that grows. */
static void retry(struct ddl_work *w)
{
        int64_t wait = MIN_RETRY_US << (w->n_retries < 10 ? w->n_retries : 10);

        w->n_retries++;
        w->retry_at_us = ddl_now(w) + (wait < MAX_RETRY_US ? wait : MAX_RETRY_US);
        if (!w->stuck_since_us)
                w->stuck_since_us = ddl_now(w);
}

void ddl_work_answer(struct ddl_work *w, struct ddl_request *r, const struct err *e)
{
        struct ddl_request **link = &w->first;
        struct ddl_request *before = NULL;

        while (*link != r) {
                before = *link;
                link = &before->next;
        }
        *link = r->next;
        if (w->last == r)
                w->last = before;
        if (w->owner == r) {
                w->owner = NULL;
                /* Whether topo has it or will have it is yet to be found out. */
                w->wants_look |= w->unsure || w->state == DDL_BEGINNING;
        }
        r->work = NULL;
        r->next = NULL;
        r->plan = plan_unref(r->plan);
        if (r->done)
                r->done(r, e);
}

static void answer_owner(struct ddl_work *w, const struct err *e)
{
        if (w->owner)
                ddl_work_answer(w, w->owner, e);
}

/* ---- errors */

/* It may work, or may have worked, or turn out otherwise, when it is tried again. */
static bool is_transient(const struct err *e)
{
        switch (e->code) {
        case ERR_UNAVAILABLE:
        case ERR_DEADLINE:
        case ERR_CANCELLED:
        case ERR_UNKNOWN:
        case ERR_ABORTED:
                return true;
        case ERR_EXHAUSTED:
                return !e->extended_code; /* of the way there, not of the shard */
        default:
                return false;
        }
}

static bool is_reason(const struct err *e, const char *reason)
{
        return strcmp(e->reason, reason) == 0;
}

static void take_change(struct ddl_work *w, const Shoal__V1__SchemaChange *c)
{
        ddl_change_done(&w->change);
        w->change = (struct ddl_change){
                .id = xstrdup(c->id),
                .sql = xstrdup(c->sql),
                .undo_sql = xstrdup(c->undo_sql),
                .version = c->version,
        };
}

/* This gate is not the driver any more: its lease had ended. Either nobody has taken its place, or
 * another gate has and may be through. */
static void lose(struct ddl_work *w, const struct err *why)
{
        log_event(LOG_WARN, "schema_change_lost", "keyspace_id=%" PRIu64 " change=%s why=%s",
                  w->keyspace_id, w->change.id, log_quote(why->msg));
        w->unsure = w->wants_look = true;
        move(w, DDL_LOOKING);
        retry(w);
}

/* ---- IDLE and LOOKING */

/* Answers those at the front of the queue that need nothing from anybody. */
static void answer_easy(struct ddl_work *w)
{
        const struct ddl_io *io = &w->driver->io;

        while (w->first && !w->unsure) {
                struct ddl_request *r = w->first;
                struct err e = ERR_INIT;
                uint64_t version;
                size_t n_shards;

                if (!io->keyspace(io->arg, w->keyspace_id, &version, &n_shards))
                        err_set(&e, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE", "the keyspace is gone");
                else if (r->plan->ddl->verb == DDL_NOTHING)
                        e.code = ERR_OK;
                else if (version != r->plan->schema_version)
                        err_set(&e, ERR_ABORTED, "SCHEMA_CHANGED",
                                "the schema has changed meanwhile");
                else
                        return;
                ddl_work_answer(w, r, &e);
        }
}

static void enter_idle(struct ddl_work *w)
{
        w->retry_at_us = INT64_MAX;
        answer_easy(w);
        if (w->first || w->wants_look)
                move(w, DDL_LOOKING);
}

/* Nothing was done, for whoever is first. */
static void refuse_first(struct ddl_work *w, const struct err *e)
{
        w->wants_look = false;
        if (w->first)
                ddl_work_answer(w, w->first, e);
        move(w, DDL_IDLE);
}

static void enter_looking(struct ddl_work *w)
{
        const struct ddl_io *io = &w->driver->io;
        Shoal__V1__GetSchemaChangeRequest m = SHOAL__V1__GET_SCHEMA_CHANGE_REQUEST__INIT;
        struct err e = ERR_INIT;

        answer_easy(w);
        if (!w->first && !w->wants_look) {
                move(w, DDL_IDLE);
                return;
        }
        m.keyspace_id = w->keyspace_id;
        m.take_over = true;
        if (io->identity(io->arg, &m.gate, &m.gate_epoch)) {
                w->busy = true;
                io->look(io->arg, w, &m);
        } else if (w->unsure || !w->first) {
                retry(w);
        } else {
                err_set(&e, ERR_UNAVAILABLE, "NO_TOPOLOGY",
                        "topo cannot be reached: nothing was done");
                refuse_first(w, &e);
        }
}

/* Is this the change that the owner asked for, with no answer? */
static bool is_owners(const struct ddl_work *w, const Shoal__V1__SchemaChange *c)
{
        const struct ddl_io *io = &w->driver->io;
        char *gate;
        uint64_t epoch;

        return w->owner && w->unsure && io->identity(io->arg, &gate, &epoch) &&
               strcmp(c->gate, gate) == 0 && c->version == w->owner->plan->schema_version + 1 &&
               strcmp(c->sql, w->owner->plan->ddl->sql) == 0;
}

static void none_is_pending(struct ddl_work *w)
{
        const struct ddl_io *io = &w->driver->io;
        struct err e = ERR_INIT;
        uint64_t version;
        size_t n_shards;

        w->wants_look = false;
        if (w->unsure && w->owner &&
            (!io->keyspace(io->arg, w->keyspace_id, &version, &n_shards) ||
             version != w->owner->plan->schema_version)) {
                err_set(&e, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                        "topo did not answer whether the schema change began, and the schema has "
                        "changed");
                answer_owner(w, &e);
        }
        if (!w->owner && w->unsure) {
                w->unsure = false;
                w->late_look_us = ddl_now(w) + LATE_LOOK_US;
        }
        answer_easy(w);
        move(w, w->first ? DDL_PROBING : DDL_IDLE);
}

/* Goes on with the change that topo has given to this gate. */
static void adopt(struct ddl_work *w, const Shoal__V1__SchemaChange *c)
{
        if (!is_owners(w, c)) {
                w->owner = NULL;
                w->cause = (struct err)ERR_INIT;
        }
        w->unsure = w->wants_look = false;
        take_change(w, c);
        if (c->state == UNDOING && !w->cause.code)
                err_set(&w->cause, ERR_ABORTED, "SCHEMA_CHANGED",
                        "another gate has taken the change back");
        move(w, c->state == PENDING ? DDL_APPLYING : DDL_UNDOING);
}

static void looked(struct ddl_work *w, const struct err *e, const Shoal__V1__SchemaChange *c)
{
        /* It may still arrive, and make this gate the driver of a change it knows nothing of. */
        if (e->code && is_transient(e))
                w->late_look_us = ddl_now(w) + LATE_LOOK_US;
        if (e->code == ERR_NOT_FOUND) { /* the keyspace: no other driver will ever come */
                refuse_first(w, e);
        } else if (e->code && is_reason(e, "SCHEMA_CHANGE_PENDING")) {
                w->wants_look = false; /* later, its driver may end before it does */
                if (w->first || w->unsure)
                        retry(w);
                else
                        move(w, DDL_IDLE);
        } else if (e->code && !w->unsure && w->first) {
                refuse_first(w, e);
        } else if (e->code) {
                retry(w);
        } else if (c->state == PENDING || c->state == UNDOING) {
                adopt(w, c);
        } else {
                none_is_pending(w);
        }
}

/* ---- PROBING and BEGINNING */

static void ask_shards(struct ddl_work *w, const struct ddl_shards_call *c)
{
        w->busy = true;
        w->driver->io.shards(w->driver->io.arg, w, c);
}

static void enter_probing(struct ddl_work *w)
{
        struct ddl_shards_call c = { .keyspace_id = w->keyspace_id, .what = DDL_ASK_SHARDS };

        if (!w->first) {
                move(w, DDL_IDLE);
                return;
        }
        w->owner = w->first;
        c.version = w->owner->plan->schema_version;
        ask_shards(w, &c);
}

static void probed(struct ddl_work *w, const struct err *errs, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct err e = errs[i];

                if (!e.code)
                        continue;
                if (scatter_is_schema_changed(&e)) {
                        move(w, DDL_LOOKING); /* the shard is ahead of topo, or topo of this gate */
                        retry(w);
                        return;
                }
                if (w->unsure) {
                        retry(w);
                        return;
                }
                if (is_transient(&e))
                        err_set(&e, ERR_UNAVAILABLE, "TABLET_AWAY",
                                "a schema change needs all shards, nothing was done: %s",
                                errs[i].msg);
                refuse_first(w, &e);
                return;
        }
        move(w, w->owner ? DDL_BEGINNING : DDL_IDLE);
}

static void enter_beginning(struct ddl_work *w)
{
        const struct ddl_io *io = &w->driver->io;
        Shoal__V1__BeginSchemaChangeRequest m = SHOAL__V1__BEGIN_SCHEMA_CHANGE_REQUEST__INIT;
        const struct plan_ddl *ddl;

        if (!w->owner) {
                move(w, w->unsure ? DDL_LOOKING : DDL_IDLE);
                return;
        }
        if (!io->identity(io->arg, &m.gate, &m.gate_epoch)) {
                retry(w);
                return;
        }
        ddl = w->owner->plan->ddl;
        m.keyspace_id = w->keyspace_id;
        m.expected_version = w->owner->plan->schema_version;
        m.sql = (char *)ddl->sql;
        if (ddl->undo_sql)
                m.undo_sql = (char *)ddl->undo_sql;
        m.put_table = ddl->put_table;
        m.put_object = ddl->put_object;
        if (ddl->drop_table)
                m.drop_table = (char *)ddl->drop_table;
        if (ddl->drop_object)
                m.drop_object = (char *)ddl->drop_object;
        if (w->owner->request_id) {
                m.request_id = (char *)w->owner->request_id;
                m.request_digest.data = (uint8_t *)w->owner->digest;
                m.request_digest.len = w->owner->n_digest_bytes;
        }
        w->busy = true;
        io->begin(io->arg, w, &m);
}

static void begun(struct ddl_work *w, const struct err *e, const Shoal__V1__SchemaChange *c)
{
        if (!e->code) {
                w->unsure = w->wants_look = false;
                take_change(w, c);
                /* Done: by an earlier call with the same request_id. */
                move(w, c->state == DONE ? DDL_SETTLING : DDL_APPLYING);
                return;
        }
        if (is_transient(e)) {
                w->unsure |= e->code != ERR_ABORTED && !is_reason(e, "SCHEMA_CHANGE_PENDING");
                move(w, DDL_LOOKING);
                retry(w);
                return;
        }
        answer_owner(w, e);
        move(w, DDL_IDLE);
}

/* ---- APPLYING, UNDOING */

/* Shards that have answered OK are not asked again. */
static void enter_change(struct ddl_work *w)
{
        const struct ddl_io *io = &w->driver->io;
        struct ddl_shards_call c = {
                .keyspace_id = w->keyspace_id,
                .version = w->change.version,
                .change_id = w->change.id,
                .sql = w->change.sql,
                .undo_sql = w->change.undo_sql,
                .what = w->state == DDL_APPLYING ? DDL_APPLY_SHARDS : DDL_UNDO_SHARDS,
        };
        uint64_t version;
        size_t n_shards;

        if (!io->keyspace(io->arg, w->keyspace_id, &version, &n_shards)) {
                struct err e = ERR_INIT;

                err_set(&e, ERR_NOT_FOUND, "UNKNOWN_KEYSPACE", "the keyspace is gone");
                answer_owner(w, &e);
                move(w, DDL_IDLE);
                return;
        }
        if (n_shards != w->n_applied) {
                forget_applied(w);
                w->applied = xcalloc(n_shards, sizeof *w->applied);
                w->n_applied = n_shards;
        }
        c.skip = w->applied;
        ask_shards(w, &c);
}

/* Notes who has it. True: all of them. *ret_cause: a refusal that will not go away; else NULL. */
static bool note_answers(struct ddl_work *w, const struct err *errs, size_t n,
                         const struct err **ret_cause, const struct err **ret_transient)
{
        bool all = n == w->n_applied;

        *ret_cause = *ret_transient = NULL;
        for (size_t i = 0; i < n; i++) {
                if (!errs[i].code) {
                        if (i < w->n_applied)
                                w->applied[i] = true;
                        continue;
                }
                all = false;
                if (!is_transient(&errs[i])) {
                        if (!*ret_cause)
                                *ret_cause = &errs[i];
                } else if (!*ret_transient) {
                        *ret_transient = &errs[i];
                }
        }
        return all;
}

static bool any_applied(const struct ddl_work *w)
{
        for (size_t i = 0; i < w->n_applied; i++)
                if (w->applied[i])
                        return true;
        return false;
}

/* Does a shard know of what only another gate can have done? Then this one is not the driver. */
static bool lost_shard(struct ddl_work *w, const struct err *errs, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (scatter_is_schema_changed(&errs[i]) ||
                    is_reason(&errs[i], "SCHEMA_CHANGE_UNDONE")) {
                        lose(w, &errs[i]);
                        return true;
                }
        return false;
}

/* Without SQL to undo it, it can be given up only while no shard has it. */
static bool can_turn(const struct ddl_work *w, const struct err *transient)
{
        return *w->change.undo_sql || (!any_applied(w) && !transient);
}

static void applied(struct ddl_work *w, const struct err *errs, size_t n)
{
        const struct err *cause, *transient;
        struct err e = ERR_INIT;

        if (note_answers(w, errs, n, &cause, &transient)) {
                w->cause = (struct err)ERR_INIT;
                move(w, DDL_PUBLISHING);
                return;
        }
        if (lost_shard(w, errs, n))
                return;
        if (cause)
                log_event(LOG_WARN, "schema_change_refused",
                          "keyspace_id=%" PRIu64 " change=%s why=%s", w->keyspace_id, w->change.id,
                          log_quote(cause->msg));
        if (cause && can_turn(w, transient)) {
                w->cause = *cause;
                move(w, DDL_TURNING);
                return;
        }
        w->cause = cause ? *cause : transient ? *transient : w->cause;
        if (cause) { /* other shards have it already, and it cannot be undone there */
                err_set(&e, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                        "the schema change is not through on all shards, and is tried again: %s",
                        cause->msg);
                answer_owner(w, &e);
        }
        retry(w);
}

static void undone(struct ddl_work *w, const struct err *errs, size_t n)
{
        const struct err *cause, *transient;

        if (note_answers(w, errs, n, &cause, &transient)) {
                move(w, DDL_CLOSING);
                return;
        }
        if (lost_shard(w, errs, n))
                return;
        if (cause)
                log_event(LOG_ERROR, "schema_change_not_undone",
                          "keyspace_id=%" PRIu64 " change=%s why=%s", w->keyspace_id, w->change.id,
                          log_quote(cause->msg));
        retry(w);
}

/* ---- PUBLISHING, TURNING, CLOSING */

static void enter_ending(struct ddl_work *w)
{
        const struct ddl_io *io = &w->driver->io;
        Shoal__V1__EndSchemaChangeRequest m = SHOAL__V1__END_SCHEMA_CHANGE_REQUEST__INIT;

        if (!io->identity(io->arg, &m.gate, &m.gate_epoch)) {
                retry(w);
                return;
        }
        m.keyspace_id = w->keyspace_id;
        m.id = w->change.id;
        m.state = w->state == DDL_PUBLISHING ? DONE : w->state == DDL_TURNING ? UNDOING : UNDONE;
        w->busy = true;
        io->end(io->arg, w, &m);
}

static void ended(struct ddl_work *w, const struct err *e, const Shoal__V1__SchemaChange *c)
{
        struct err cause;

        if (e->code && is_transient(e) && e->code != ERR_ABORTED) {
                retry(w);
                return;
        }
        if (e->code) {
                lose(w, e);
                return;
        }
        switch (w->state) {
        case DDL_PUBLISHING:
                move(w, DDL_SETTLING);
                break;
        case DDL_TURNING:
                move(w, DDL_UNDOING);
                break;
        default:
                cause = w->cause;
                answer_owner(w, &cause);
                move(w, DDL_IDLE);
                break;
        }
}

/* ---- SETTLING */

static void enter_settling(struct ddl_work *w)
{
        const struct ddl_io *io = &w->driver->io;
        struct err ok = ERR_INIT;
        uint64_t version;
        size_t n_shards;

        w->retry_at_us = INT64_MAX; /* the topology's change runs it */
        if (io->keyspace(io->arg, w->keyspace_id, &version, &n_shards) &&
            version < w->change.version)
                return;
        answer_owner(w, &ok);
        move(w, DDL_IDLE);
}

/* ---- running */

static const struct {
        void (*enter)(struct ddl_work *w);
        void (*on_topo)(struct ddl_work *w, const struct err *e, const Shoal__V1__SchemaChange *c);
        void (*on_shards)(struct ddl_work *w, const struct err *errs, size_t n);
} handlers[DDL_N_STATES] = {
        // clang-format off
        [DDL_IDLE]       = { enter_idle },
        [DDL_LOOKING]    = { enter_looking, .on_topo = looked },
        [DDL_PROBING]    = { enter_probing, .on_shards = probed },
        [DDL_BEGINNING]  = { enter_beginning, .on_topo = begun },
        [DDL_APPLYING]   = { enter_change, .on_shards = applied },
        [DDL_PUBLISHING] = { enter_ending, .on_topo = ended },
        [DDL_SETTLING]   = { enter_settling },
        [DDL_TURNING]    = { enter_ending, .on_topo = ended },
        [DDL_UNDOING]    = { enter_change, .on_shards = undone },
        [DDL_CLOSING]    = { enter_ending, .on_topo = ended },
        // clang-format on
};

void ddl_work_run(struct ddl_work *w)
{
        enum ddl_state before;

        do {
                before = w->state;
                w->retry_at_us = INT64_MAX;
                handlers[before].enter(w);
        } while (!w->busy && w->state != before);
}

static void answered(struct ddl_work *w)
{
        if (!w->busy && w->retry_at_us <= ddl_now(w))
                ddl_work_run(w);
        ddl_driver_wake(w->driver);
}

void ddl_topo_answered(struct ddl_work *w, const struct err *e,
                       const Shoal__V1__SchemaChange *change)
{
        assert(w->busy && handlers[w->state].on_topo);
        w->busy = false;
        handlers[w->state].on_topo(w, e, change);
        answered(w);
}

void ddl_shards_answered(struct ddl_work *w, const struct err *errs, size_t n_shards)
{
        assert(w->busy && handlers[w->state].on_shards);
        w->busy = false;
        handlers[w->state].on_shards(w, errs, n_shards);
        answered(w);
}
