/* tablets.c - registration and heartbeats of tablets. A heartbeat writes to the store only when it
 * says something new about where the tablet is. Loop thread. */
#include "topo/tablets.h"

#include <string.h>

#include "common/log.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "topo/keys.h"
#include "topo/meters.h"

struct live_tablet {
        char *id;
        struct tablet_state state;
        int64_t heard_us;
        struct live_tablet *next;
};

struct tablets {
        struct topo *topo;
        struct live_tablet *first;
};

struct tablets *tablets_new(struct topo *t)
{
        struct tablets *list = xcalloc(1, sizeof *list);

        list->topo = t;
        return list;
}

struct tablets *tablets_free(struct tablets *list)
{
        while (list && list->first) {
                struct live_tablet *tablet = list->first;

                list->first = tablet->next;
                free(tablet->id);
                free(tablet);
        }
        free(list);
        return NULL;
}

static struct live_tablet *find(const struct tablets *list, const char *id)
{
        struct live_tablet *tablet = list->first;

        while (tablet && strcmp(tablet->id, id))
                tablet = tablet->next;
        return tablet;
}

const struct tablet_state *tablets_find(const struct tablets *list, const char *id)
{
        struct live_tablet *tablet = find(list, id);

        return tablet ? &tablet->state : NULL;
}

static struct live_tablet *find_or_add(struct tablets *list, const char *id)
{
        struct live_tablet *tablet = find(list, id);

        if (tablet)
                return tablet;
        tablet = xcalloc(1, sizeof *tablet);
        tablet->id = xstrdup(id);
        tablet->next = list->first;
        list->first = tablet;
        return tablet;
}

static void count_healthy(const struct tablets *list)
{
        size_t n_healthy = 0;

        for (const struct live_tablet *tablet = list->first; tablet; tablet = tablet->next)
                n_healthy += tablet->state.healthy;
        meters_set_tablets(n_healthy, catalog_count(list->topo->catalog, KEYS_TABLETS));
}

static int64_t silence_us(const struct topo *t)
{
        return (int64_t)(TABLETS_MISSED_BEATS * t->options.heartbeat_ms) * 1000;
}

void tablets_check(struct tablets *list)
{
        struct topo *t = list->topo;
        int64_t limit_us = topo_now_us(t) - silence_us(t);
        const struct catalog_entry *e = catalog_first(t->catalog, KEYS_TABLETS);
        bool changed = false;

        for (; e; e = catalog_next(t->catalog, e, KEYS_TABLETS)) {
                struct live_tablet *tablet = find(list, e->tablet->id);

                if (tablet ? tablet->state.healthy && tablet->heard_us < limit_us
                           : t->started_us < limit_us) {
                        find_or_add(list, e->tablet->id)->state.healthy = false;
                        log_event(LOG_WARN, "tablet_unhealthy", "tablet=%s address=%s",
                                  e->tablet->id, e->tablet->address);
                        changed = true;
                }
        }
        count_healthy(list);
        if (changed)
                topo_health_changed(t);
}

/* ---------------------------------------------------------------- heartbeats */

static bool id_is_valid(const char *id)
{
        static const char letters[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        size_t n = strlen(id);

        return n > 0 && n <= TABLETS_MAX_ID_BYTES && strspn(id, letters) == n;
}

static bool address_is_valid(const char *address)
{
        const char *colon = strrchr(address, ':');
        size_t n = strlen(address);

        for (const char *p = address; *p; p++)
                if (*p <= ' ' || *p > '~')
                        return false;
        return n <= TABLETS_MAX_ADDRESS_BYTES && colon && colon != address && colon[1];
}

enum err_code tablets_check_identity(const char *id, const char *address, struct err *reterr)
{
        if (!id_is_valid(id))
                return err_set(reterr, ERR_INVALID, "BAD_ID",
                               "id must be 1 to %d of letters, digits, '.', '_' and '-'",
                               TABLETS_MAX_ID_BYTES);
        if (!address_is_valid(address))
                return err_set(reterr, ERR_INVALID, "BAD_ADDRESS",
                               "address must be host:port, at most %d bytes",
                               TABLETS_MAX_ADDRESS_BYTES);
        return ERR_OK;
}

static void reply_heartbeat(struct op *op)
{
        struct topo *t = op->topo;
        Shoal__V1__TabletHeartbeatRequest *rq = (Shoal__V1__TabletHeartbeatRequest *)op->request;
        Shoal__V1__TabletHeartbeatResponse reply = SHOAL__V1__TABLET_HEARTBEAT_RESPONSE__INIT;

        reply.heartbeat_ms = t->options.heartbeat_ms;
        reply.topology_version = topo_version(t);
        reply.hlc = topo_observe_clock(t, rq->hlc, rq->id);
        op_reply(op, &reply.base);
}

static enum err_code build_heartbeat(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__TabletHeartbeatRequest *rq = (Shoal__V1__TabletHeartbeatRequest *)op->request;
        Shoal__V1__TabletRecord record = SHOAL__V1__TABLET_RECORD__INIT;
        const struct catalog *c = op->topo->catalog;
        struct key key = key_tablet(rq->id);
        const struct catalog_entry *e = catalog_find(c, key.s);
        enum err_code rc = tablets_check_identity(rq->id, rq->address, reterr);

        if (rc)
                return rc;
        if (e && e->tablet->incarnation == rq->incarnation &&
            !strcmp(e->tablet->address, rq->address))
                return ERR_OK;
        if (e && e->tablet->replaced == rq->incarnation &&
            e->tablet->incarnation != rq->incarnation)
                return err_set(reterr, ERR_PRECONDITION, "REPLACED",
                               "another process has taken the id %s, at %s", rq->id,
                               e->tablet->address);
        if (!e && catalog_count(c, KEYS_TABLETS) >= TOPO_MAX_TABLETS)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT", "there are %d tablets",
                               TOPO_MAX_TABLETS);
        record.id = rq->id;
        record.address = rq->address;
        record.incarnation = rq->incarnation;
        if (e)
                record.replaced = e->tablet->incarnation == rq->incarnation
                                      ? e->tablet->replaced
                                      : e->tablet->incarnation;
        op_expect(x, key.s, e);
        op_put(x, key.s, &record.base, 0);
        return ERR_OK;
}

static void note_heartbeat(struct op *op)
{
        Shoal__V1__TabletHeartbeatRequest *rq = (Shoal__V1__TabletHeartbeatRequest *)op->request;
        struct live_tablet *tablet = find_or_add(op->topo->tablets, rq->id);
        bool was_healthy = tablet->state.healthy;

        meters_count_heartbeat("tablet");
        tablet->heard_us = topo_now_us(op->topo);
        tablet->state =
            (struct tablet_state){ true, rq->bytes_used, rq->bytes_capacity, rq->shard_count };
        if (op->revision)
                log_event(LOG_INFO, "tablet_registered", "tablet=%s address=%s", rq->id,
                          rq->address);
        if (!was_healthy) {
                log_event(LOG_INFO, "tablet_healthy", "tablet=%s address=%s", rq->id, rq->address);
                count_healthy(op->topo->tablets);
                topo_health_changed(op->topo);
        }
        reply_heartbeat(op);
}

const struct op_method tablets_heartbeat = {
        .name = "TabletHeartbeat",
        .request = &shoal__v1__tablet_heartbeat_request__descriptor,
        .build = build_heartbeat,
        .committed = note_heartbeat,
};
