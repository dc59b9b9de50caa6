/* schema.c - recording, publishing and taking back schema changes. Loop thread. */
#include "topo/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "topo/gates.h"
#include "topo/keys.h"
#include "topo/keyspaces.h"
#include "topo/meters.h"
#include "topo/topology.h"

enum {
        MAX_CHANGE_BYTES =
            1 << 20,        /* of a request: two of them must fit into a transaction of the store */
        KEPT_CHANGES = 256, /* of a keyspace, ended ones included: what a request_id is good for */
        CHANGE_ID_BYTES = 48,
        MAX_REQUEST_ID_BYTES = 256, /* gates add to those of clients */
};

#define PENDING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_PENDING
#define UNDOING SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDOING
#define DONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE
#define UNDONE SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_UNDONE

#define TO(state) (1U << (state))

static const struct {
        const char *name;
        unsigned to; /* a set of TO(state) */
} states[] = {
        [PENDING] = { "pending", TO(DONE) | TO(UNDOING) },
        [UNDOING] = { "undoing", TO(UNDONE) },
        [DONE] = { "done", 0 },
        [UNDONE] = { "undone", 0 },
};

static const char *state_name(Shoal__V1__SchemaChangeState state)
{
        return (unsigned)state < ARRAY_LEN(states) && states[state].name ? states[state].name
                                                                         : "unspecified";
}

static bool has_ended(const Shoal__V1__SchemaChange *change)
{
        return !states[change->state].to;
}

const struct catalog_entry *schema_find_pending(const struct catalog *c, uint64_t keyspace_id)
{
        const struct catalog_entry *e = catalog_last(c, key_changes(keyspace_id).s);

        return e && !has_ended(e->change->change) ? e : NULL;
}

/* What gates are told of it: the SQL is kept only once, in the request. Borrows from the record. */
static Shoal__V1__SchemaChange full_change(const Shoal__V1__SchemaChangeRecord *record)
{
        Shoal__V1__SchemaChange change = *record->change;

        if (record->request) {
                change.sql = record->request->sql;
                change.undo_sql = record->request->undo_sql;
        }
        return change;
}

/* Puts the change in the place of e, which must not have been changed meanwhile. The request is
 * kept while it is needed. */
static void put_change(struct store_txn *x, const char *key, const struct catalog_entry *e,
                       uint64_t number, Shoal__V1__SchemaChange *change,
                       Shoal__V1__BeginSchemaChangeRequest *request)
{
        Shoal__V1__SchemaChangeRecord record = SHOAL__V1__SCHEMA_CHANGE_RECORD__INIT;
        Shoal__V1__SchemaChange kept = *change;

        kept.sql = (char *)(uintptr_t)protobuf_c_empty_string;
        kept.undo_sql = (char *)(uintptr_t)protobuf_c_empty_string;
        record.number = number;
        record.change = &kept;
        record.request = has_ended(change) ? NULL : request;
        op_expect(x, key, e);
        op_put(x, key, &record.base, 0);
}

/* ---------------------------------------------------------------- beginning */

static enum err_code check_name(const char *name, struct err *reterr)
{
        if (*name && strlen(name) <= KEYS_MAX_NAME_BYTES)
                return ERR_OK;
        return err_set(reterr, ERR_INVALID, "BAD_NAME",
                       "names of tables, indexes, views and triggers have 1 to %d bytes",
                       KEYS_MAX_NAME_BYTES);
}

static const struct catalog_entry *find_object(const struct catalog *c, uint64_t keyspace_id,
                                               const char *name)
{
        struct key objects = key_objects(keyspace_id);
        const struct catalog_entry *e = catalog_first(c, objects.s);

        while (e && strcasecmp(e->object->name, name))
                e = catalog_next(c, e, objects.s);
        return e;
}

static enum err_code check_drops(const struct catalog *c,
                                 const Shoal__V1__BeginSchemaChangeRequest *rq, struct err *reterr)
{
        if (*rq->drop_table && !catalog_find(c, key_table(rq->keyspace_id, rq->drop_table).s))
                return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_TABLE", "no such table: %.64s",
                               rq->drop_table);
        if (*rq->drop_object && !find_object(c, rq->keyspace_id, rq->drop_object))
                return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_OBJECT",
                               "no such index, view or trigger: %.64s", rq->drop_object);
        return ERR_OK;
}

static enum err_code check_puts(const struct catalog *c,
                                const Shoal__V1__BeginSchemaChangeRequest *rq, struct err *reterr)
{
        size_t n = catalog_count(c, key_tables(rq->keyspace_id).s) +
                   catalog_count(c, key_objects(rq->keyspace_id).s);
        enum err_code rc = ERR_OK;

        if (rq->put_table)
                rc = check_name(rq->put_table->name, reterr);
        if (!rc && rq->put_object)
                rc = check_name(rq->put_object->name, reterr);
        if (!rc && rq->put_object)
                rc = check_name(rq->put_object->table, reterr);
        if (!rc && (rq->put_table || rq->put_object) && n >= TOPO_MAX_RELATIONS)
                rc = err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT",
                             "the keyspace has %zu tables, indexes, views and "
                             "triggers",
                             n);
        return rc;
}

static bool is_empty(const Shoal__V1__BeginSchemaChangeRequest *rq)
{
        return !rq->put_table && !rq->put_object && !*rq->drop_table && !*rq->drop_object;
}

static bool is_same_digest(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
        return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

/* The change that was begun with the same request_id and is done, newest first; *ret is NULL if
 * none is kept. One that was taken back has not been. */
static enum err_code find_by_request(const struct catalog *c, uint64_t keyspace_id,
                                     const char *request_id, const ProtobufCBinaryData *digest,
                                     const struct catalog_entry **ret, struct err *reterr)
{
        struct key changes = key_changes(keyspace_id);
        const struct catalog_entry *e = *request_id ? catalog_first(c, changes.s) : NULL;

        *ret = NULL;
        for (; e; e = catalog_next(c, e, changes.s))
                if (e->change->change->state == DONE &&
                    !strcmp(e->change->change->request_id, request_id))
                        *ret = e;
        if (*ret && !is_same_digest(&(*ret)->change->change->request_digest, digest))
                return err_set(reterr, ERR_INVALID, "REQUEST_ID_REUSED",
                               "this request_id was used for another statement or other "
                               "parameters");
        return ERR_OK;
}

/* What does not depend on the schema's version. */
static enum err_code check_request(const struct topo *t,
                                   const Shoal__V1__BeginSchemaChangeRequest *rq,
                                   struct err *reterr)
{
        size_t n_bytes = shoal__v1__begin_schema_change_request__get_packed_size(rq);

        if (is_empty(rq))
                return err_set(reterr, ERR_INVALID, "BAD_SCHEMA_CHANGE",
                               "the change changes nothing");
        if (strlen(rq->request_id) > MAX_REQUEST_ID_BYTES)
                return err_set(reterr, ERR_INVALID, "BAD_REQUEST",
                               "a request_id has at most %d bytes", MAX_REQUEST_ID_BYTES);
        if (n_bytes > MAX_CHANGE_BYTES)
                return err_set(reterr, ERR_EXHAUSTED, "TOPO_LIMIT",
                               "a schema change takes at most %d bytes, not %zu", MAX_CHANGE_BYTES,
                               n_bytes);
        return topology_check_room(t, n_bytes, reterr);
}

/* The gate may not have heard that its Begin worked. */
static bool is_repetition(const Shoal__V1__SchemaChangeRecord *pending,
                          const Shoal__V1__BeginSchemaChangeRequest *rq)
{
        struct buf a = BUF_INIT(0), b = BUF_INIT(0);
        bool same;

        if (!pending->request || pending->change->state != PENDING)
                return false;
        buf_reserve(&a,
                    shoal__v1__begin_schema_change_request__get_packed_size(pending->request) + 1);
        buf_reserve(&b, shoal__v1__begin_schema_change_request__get_packed_size(rq) + 1);
        a.n_bytes = shoal__v1__begin_schema_change_request__pack(pending->request, a.data);
        b.n_bytes = shoal__v1__begin_schema_change_request__pack(rq, b.data);
        same = a.n_bytes == b.n_bytes && !memcmp(a.data, b.data, a.n_bytes);
        buf_done(&a);
        buf_done(&b);
        return same;
}

static enum err_code begin_change(struct op *op, struct store_txn *x,
                                  const struct catalog_entry *keyspace)
{
        Shoal__V1__BeginSchemaChangeRequest *rq =
            (Shoal__V1__BeginSchemaChangeRequest *)op->request;
        Shoal__V1__SchemaChange change = SHOAL__V1__SCHEMA_CHANGE__INIT;
        const struct catalog *c = op->topo->catalog;
        struct key changes = key_changes(rq->keyspace_id);
        const struct catalog_entry *last = catalog_last(c, changes.s);
        uint64_t number = last ? last->change->number + 1 : 1;
        char id[CHANGE_ID_BYTES];

        snprintf(id, sizeof id, "%" PRIu64 ".%" PRIu64, rq->keyspace_id, number);
        change.id = id;
        change.keyspace_id = rq->keyspace_id;
        change.version = rq->expected_version + 1;
        change.state = PENDING;
        change.sql = rq->sql;
        change.undo_sql = rq->undo_sql;
        change.gate = rq->gate;
        change.gate_epoch = rq->gate_epoch;
        change.request_id = rq->request_id;
        change.request_digest = rq->request_digest;
        op_expect(x, keyspace->key, keyspace);
        gates_expect(x, c, rq->gate);
        put_change(x, key_change(rq->keyspace_id, number).s, NULL, number, &change, rq);
        if (catalog_count(c, changes.s) >= KEPT_CHANGES)
                store_txn_delete(x, catalog_first(c, changes.s)->key);
        op_reply(op, &change.base);
        return ERR_OK;
}

static enum err_code build_begin(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__BeginSchemaChangeRequest *rq =
            (Shoal__V1__BeginSchemaChangeRequest *)op->request;
        const struct catalog *c = op->topo->catalog;
        const struct catalog_entry *keyspace, *pending, *done;
        Shoal__V1__SchemaChange change;
        enum err_code rc = gates_check_caller(c, rq->gate, rq->gate_epoch, reterr);

        if (!rc)
                rc = keyspaces_find_id(c, rq->keyspace_id, &keyspace, reterr);
        if (!rc)
                rc = check_request(op->topo, rq, reterr);
        if (!rc)
                rc = find_by_request(c, rq->keyspace_id, rq->request_id, &rq->request_digest, &done,
                                     reterr);
        if (rc)
                return rc;
        if (done) {
                op_reply(op, &done->change->change->base);
                return ERR_OK;
        }
        pending = schema_find_pending(c, rq->keyspace_id);
        if (pending && is_repetition(pending->change, rq)) {
                change = full_change(pending->change);
                op_reply(op, &change.base);
                return ERR_OK;
        }
        if (pending)
                return err_set(reterr, ERR_ABORTED, "SCHEMA_CHANGE_PENDING",
                               "schema change %s is pending", pending->change->change->id);
        if (rq->expected_version != keyspace->keyspace->schema_version)
                return err_set(reterr, ERR_ABORTED, "SCHEMA_CHANGED",
                               "the schema is at version %" PRIu64 ", not %" PRIu64,
                               keyspace->keyspace->schema_version, rq->expected_version);
        rc = check_drops(c, rq, reterr);
        if (!rc)
                rc = check_puts(c, rq, reterr);
        return rc ? rc : begin_change(op, x, keyspace);
}

static void note_begin(struct op *op)
{
        Shoal__V1__BeginSchemaChangeRequest *rq =
            (Shoal__V1__BeginSchemaChangeRequest *)op->request;

        if (!op->revision)
                return;
        meters_count_change(state_name(PENDING));
        log_event(LOG_INFO, "schema_change",
                  "keyspace=%" PRIu64 " version=%" PRIu64 " state=pending gate=%s", rq->keyspace_id,
                  rq->expected_version + 1, rq->gate);
}

const struct op_method schema_begin = {
        .name = "BeginSchemaChange",
        .request = &shoal__v1__begin_schema_change_request__descriptor,
        .build = build_begin,
        .committed = note_begin,
};

/* ---------------------------------------------------------------- ending */

/* Deletes all objects of the table, but for one whose key is to be written. */
static void unpublish_objects_of(const struct catalog *c, struct store_txn *x, uint64_t keyspace_id,
                                 const char *table, const char *written)
{
        struct key objects = key_objects_of(keyspace_id, table);
        const struct catalog_entry *e = catalog_first(c, objects.s);

        /* The whole prefix is one step, but may not hold what is written. */
        if (strncmp(written, objects.s, strlen(objects.s))) {
                store_txn_delete_prefix(x, objects.s);
                return;
        }
        for (; e; e = catalog_next(c, e, objects.s))
                if (strcmp(e->key, written))
                        store_txn_delete(x, e->key);
}

/* What takes another's place keeps its place in the order of creation, too. */
static uint64_t created(const Shoal__V1__BeginSchemaChangeRequest *rq,
                        const struct catalog_entry *replaced)
{
        uint64_t before = !replaced                         ? 0
                          : replaced->kind == CATALOG_TABLE ? replaced->table->created
                                                            : replaced->object->created;

        return before ? before : rq->expected_version + 1;
}

static void publish_table(const struct catalog *c, struct store_txn *x,
                          const Shoal__V1__BeginSchemaChangeRequest *rq, const char *written)
{
        uint64_t id = rq->keyspace_id;
        bool replaced = rq->put_table && !strcasecmp(rq->put_table->name, rq->drop_table);

        if (*rq->drop_table) {
                if (!replaced)
                        store_txn_delete(x, key_table(id, rq->drop_table).s);
                store_txn_delete(x, key_sequence(id, rq->drop_table).s);
                store_txn_delete(x, key_statistics(id, rq->drop_table).s);
                unpublish_objects_of(c, x, id, rq->drop_table, written);
        }
        if (rq->put_table) {
                Shoal__V1__Table table = *rq->put_table;

                table.created = created(rq, catalog_find(c, key_table(id, table.name).s));
                op_put(x, key_table(id, table.name).s, &table.base, 0);
        }
}

/* Deletes the object with the name, unless it goes with its table or its key is to be written. */
static void unpublish_object(const struct catalog *c, struct store_txn *x,
                             const Shoal__V1__BeginSchemaChangeRequest *rq, const char *name,
                             const char *written)
{
        const struct catalog_entry *e = *name ? find_object(c, rq->keyspace_id, name) : NULL;

        if (e && strcmp(e->key, written) &&
            !(*rq->drop_table && !strcasecmp(e->object->table, rq->drop_table)))
                store_txn_delete(x, e->key);
}

/* The catalogue takes the change. */
static void publish(const struct catalog *c, struct store_txn *x,
                    const struct catalog_entry *keyspace,
                    const Shoal__V1__BeginSchemaChangeRequest *rq)
{
        Shoal__V1__KeyspaceRecord record = *keyspace->keyspace;
        const Shoal__V1__SchemaObject *object = rq->put_object;
        struct key written = { "" };

        if (object)
                written = key_object(rq->keyspace_id, object->table, object->name);
        publish_table(c, x, rq, written.s);
        if (object) {
                Shoal__V1__SchemaObject put = *object;

                put.created = created(rq, find_object(c, rq->keyspace_id, object->name));
                op_put(x, written.s, &put.base, 0);
                /* One of that name may have been another table's. */
                unpublish_object(c, x, rq, object->name, written.s);
        }
        if (!object || strcasecmp(object->name, rq->drop_object))
                unpublish_object(c, x, rq, rq->drop_object, written.s);
        record.schema_version++;
        op_expect(x, keyspace->key, keyspace);
        op_put(x, keyspace->key, &record.base, 0);
}

static const struct catalog_entry *find_change(const struct catalog *c, uint64_t keyspace_id,
                                               const char *id)
{
        struct key changes = key_changes(keyspace_id);
        const struct catalog_entry *e = catalog_first(c, changes.s);

        while (e && strcmp(e->change->change->id, id))
                e = catalog_next(c, e, changes.s);
        return e;
}

static enum err_code check_end(const struct catalog *c, const Shoal__V1__EndSchemaChangeRequest *rq,
                               const Shoal__V1__SchemaChange *change, struct err *reterr)
{
        if (strcmp(change->gate, rq->gate) || change->gate_epoch != rq->gate_epoch)
                return err_set(reterr, ERR_PRECONDITION, "NOT_THE_DRIVER",
                               "schema change %s is driven by gate %s with epoch %" PRIu64,
                               change->id, change->gate, change->gate_epoch);
        if (change->state == rq->state)
                return ERR_OK;
        if ((unsigned)rq->state >= ARRAY_LEN(states) || !(states[change->state].to & TO(rq->state)))
                return err_set(reterr, ERR_PRECONDITION, "BAD_SCHEMA_CHANGE",
                               "schema change %s is %s, it cannot become %s", change->id,
                               state_name(change->state), state_name(rq->state));
        return gates_check_caller(c, rq->gate, rq->gate_epoch, reterr);
}

static enum err_code build_end(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__EndSchemaChangeRequest *rq = (Shoal__V1__EndSchemaChangeRequest *)op->request;
        const struct catalog *c = op->topo->catalog;
        const struct catalog_entry *keyspace, *e;
        Shoal__V1__SchemaChange change;
        enum err_code rc = keyspaces_find_id(c, rq->keyspace_id, &keyspace, reterr);

        if (rc)
                return rc;
        e = find_change(c, rq->keyspace_id, rq->id);
        if (!e)
                return err_set(reterr, ERR_NOT_FOUND, "UNKNOWN_SCHEMA_CHANGE",
                               "no such schema change: %.64s", rq->id);
        change = full_change(e->change);
        rc = check_end(c, rq, &change, reterr);
        if (rc)
                return rc;
        if (change.state != rq->state) {
                change.state = rq->state;
                gates_expect(x, c, rq->gate);
                put_change(x, e->key, e, e->change->number, &change, e->change->request);
                if (change.state == DONE)
                        publish(c, x, keyspace, e->change->request);
        }
        op_reply(op, &change.base);
        return ERR_OK;
}

static void note_end(struct op *op)
{
        Shoal__V1__EndSchemaChangeRequest *rq = (Shoal__V1__EndSchemaChangeRequest *)op->request;

        if (!op->revision)
                return;
        meters_count_change(state_name(rq->state));
        topology_count(op->topo);
        log_event(LOG_INFO, "schema_change", "keyspace=%" PRIu64 " change=%s state=%s gate=%s",
                  rq->keyspace_id, rq->id, state_name(rq->state), rq->gate);
}

const struct op_method schema_end = {
        .name = "EndSchemaChange",
        .request = &shoal__v1__end_schema_change_request__descriptor,
        .build = build_end,
        .committed = note_end,
};

/* ---------------------------------------------------------------- asking, taking over */

static enum err_code take_over(struct op *op, struct store_txn *x, const struct catalog_entry *e,
                               Shoal__V1__SchemaChange *change, struct err *reterr)
{
        Shoal__V1__GetSchemaChangeRequest *rq = (Shoal__V1__GetSchemaChangeRequest *)op->request;
        const struct catalog *c = op->topo->catalog;
        enum err_code rc = gates_check_caller(c, rq->gate, rq->gate_epoch, reterr);

        if (rc || (!strcmp(change->gate, rq->gate) && change->gate_epoch == rq->gate_epoch))
                return rc;
        if (gates_is_alive(c, change->gate, change->gate_epoch))
                return err_set(reterr, ERR_UNAVAILABLE, "SCHEMA_CHANGE_PENDING",
                               "schema change %s is driven by gate %s", change->id, change->gate);
        change->gate = rq->gate;
        change->gate_epoch = rq->gate_epoch;
        gates_expect(x, c, rq->gate);
        put_change(x, e->key, e, e->change->number, change, e->change->request);
        return ERR_OK;
}

static enum err_code build_get(struct op *op, struct store_txn *x, struct err *reterr)
{
        Shoal__V1__GetSchemaChangeRequest *rq = (Shoal__V1__GetSchemaChangeRequest *)op->request;
        Shoal__V1__SchemaChange change = SHOAL__V1__SCHEMA_CHANGE__INIT;
        const struct catalog_entry *keyspace, *e;
        enum err_code rc = keyspaces_find_id(op->topo->catalog, rq->keyspace_id, &keyspace, reterr);

        if (rc)
                return rc;
        change.keyspace_id = rq->keyspace_id;
        if (*rq->request_id)
                rc = find_by_request(op->topo->catalog, rq->keyspace_id, rq->request_id,
                                     &rq->request_digest, &e, reterr);
        else
                e = schema_find_pending(op->topo->catalog, rq->keyspace_id);
        if (!rc && e)
                change = full_change(e->change);
        if (!rc && e && rq->take_over && !*rq->request_id)
                rc = take_over(op, x, e, &change, reterr);
        if (!rc)
                op_reply(op, &change.base);
        return rc;
}

static void note_get(struct op *op)
{
        Shoal__V1__GetSchemaChangeRequest *rq = (Shoal__V1__GetSchemaChangeRequest *)op->request;

        if (op->revision)
                log_event(LOG_INFO, "schema_change_taken_over", "keyspace=%" PRIu64 " gate=%s",
                          rq->keyspace_id, rq->gate);
}

const struct op_method schema_get = {
        .name = "GetSchemaChange",
        .request = &shoal__v1__get_schema_change_request__descriptor,
        .build = build_get,
        .committed = note_get,
};
