/* fixture.h - a topo on a SQLite store in a folder of its own, whose clock the test owns. */
#pragma once

#include "common/log.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "tests/unit/topo/temp_dir.h"
#include "tests/unit/unit.h"
#include "topo/gates.h"
#include "topo/keyspaces.h"
#include "topo/meters.h"
#include "topo/op.h"
#include "topo/schema.h"
#include "topo/sequences.h"
#include "topo/store_sqlite.h"
#include "topo/tablets.h"
#include "topo/topo.h"
#include "topo/transactions.h"
#include "topo/vschema.h"

enum { HEARTBEAT_MS = 1000, LEASE_MS = 5000, MAX_PREPARED_MS = 20000, KEEP_MS = 60000 };

static struct {
        struct temp_dir dir;
        struct loop *loop;
        struct store *store;
        struct topo *topo;
        int64_t clock_us;
        bool ready;
} fx;

/* What a call came to; reply is freed by fx_done(). */
struct fx_answer {
        bool done;
        struct err err;
        const ProtobufCMessageDescriptor *descriptor;
        ProtobufCMessage *reply;
};

static inline int64_t fx_read_clock(void)
{
        return fx.clock_us;
}

static inline void fx_note_ready(void *arg, bool ready)
{
        (void)arg;
        fx.ready = ready;
}

static inline void fx_note_true(void *arg)
{
        *(bool *)arg = true;
}

/* The store, and a topo on it, or on what wrap() puts in front of it. Does not wait. */
static inline void fx_make(struct store *(*wrap)(struct store *inner))
{
        cleanup_(freep) char *path = xasprintf("%s/topo.db", fx.dir.path);
        struct store_sqlite_options so = { .path = path,
                                           .keep_revisions = 1000,
                                           .now_us = fx_read_clock };
        struct topo_options to = { .heartbeat_ms = HEARTBEAT_MS,
                                   .lease_ms = LEASE_MS,
                                   .max_skew_ms = 500,
                                   .max_prepared_ms = MAX_PREPARED_MS,
                                   .keep_ms = KEEP_MS,
                                   .now_us = fx_read_clock,
                                   .on_ready = fx_note_ready };
        struct err err = ERR_INIT;

        ck_assert_msg(!store_sqlite_open(fx.loop, &so, &fx.store, &err), "%s", err.msg);
        fx.topo = topo_new(fx.loop, wrap ? wrap(fx.store) : fx.store, &to);
}

static inline void fx_open(void)
{
        fx_make(NULL);
        if (!fx.ready)
                loop_run_until(fx.loop, &fx.ready);
}

static inline void fx_close(void)
{
        bool closed = false;

        topo_close(fx.topo, fx_note_true, &closed);
        loop_run_until(fx.loop, &closed);
        ck_assert(!fx.ready);
}

/* All but the store and the topo. */
static inline void fx_set_up(enum log_level level)
{
        log_init("test", level);
        meters_init();
        temp_dir_make(&fx.dir);
        fx.clock_us = 1000000000;
        fx.ready = false;
        fx.loop = loop_new();
}

static inline void fx_start(void)
{
        fx_set_up(LOG_ERROR);
        fx_open();
}

static inline void fx_stop(void)
{
        fx_close();
        fx.loop = loop_free(fx.loop);
        temp_dir_remove(&fx.dir);
}

static inline void fx_restart(void)
{
        fx_close();
        fx_open();
}

/* ---------------------------------------------------------------- calls */

static inline ProtobufCMessage *fx_copy(const ProtobufCMessage *m)
{
        size_t n = protobuf_c_message_get_packed_size(m);
        uint8_t *bytes = xmalloc(n);
        ProtobufCMessage *copy;

        protobuf_c_message_pack(m, bytes);
        copy = protobuf_c_message_unpack(m->descriptor, NULL, n, bytes);
        ck_assert_ptr_nonnull(copy);
        free(bytes);
        return copy;
}

static inline void fx_note_answer(struct op *op, const struct err *err)
{
        struct fx_answer *a = op->arg;

        ck_assert(!a->done);
        a->done = true;
        a->err = *err;
        if (!err->code)
                a->reply = protobuf_c_message_unpack(a->descriptor, NULL, op->reply.n_bytes,
                                                     op->reply.data);
}

static inline void fx_send(const struct op_method *method, const ProtobufCMessage *request,
                           const ProtobufCMessageDescriptor *reply, struct fx_answer *a)
{
        *a = (struct fx_answer){ .descriptor = reply, .err = ERR_INIT };
        op_start(fx.topo, method, fx_copy(request), fx_note_answer, a);
}

static inline void fx_wait(struct fx_answer *a)
{
        if (!a->done)
                loop_run_until(fx.loop, &a->done);
}

static inline struct fx_answer fx_call(const struct op_method *method,
                                       const ProtobufCMessage *request,
                                       const ProtobufCMessageDescriptor *reply)
{
        struct fx_answer a;

        fx_send(method, request, reply, &a);
        fx_wait(&a);
        return a;
}

static inline void fx_done(struct fx_answer *a)
{
        if (a->reply)
                protobuf_c_message_free_unpacked(a->reply, NULL);
        a->reply = NULL;
}

static inline void fx_assert_ok(const struct fx_answer *a)
{
        ck_assert_msg(!a->err.code, "%s %s: %s", err_code_name(a->err.code), a->err.reason,
                      a->err.msg);
        ck_assert_ptr_nonnull(a->reply);
}

/* The call has failed just so. */
#define fx_assert_failed(a, code_, reason_)                                                  \
        do {                                                                                 \
                ck_assert_msg((a)->err.code == (code_) && !strcmp((a)->err.reason, reason_), \
                              "%s %s: %s, not %s %s", err_code_name((a)->err.code),          \
                              (a)->err.reason, (a)->err.msg, err_code_name(code_), reason_); \
                fx_done(a);                                                                  \
        } while (0)

/* ---------------------------------------------------------------- time */

static inline void fx_note_settled(void *arg, const struct store_result *result)
{
        (void)result;
        *(bool *)arg = true;
}

/* Lets everything that is on its way arrive. */
static inline void fx_settle(void)
{
        bool done = false;

        store_get(fx.store, "settle", fx_note_settled, &done);
        loop_run_until(fx.loop, &done);
}

static inline void fx_pass_ms(uint64_t ms)
{
        fx.clock_us += (int64_t)ms * 1000;
        store_sqlite_end_leases(fx.store);
        fx_settle();
        topo_tick(fx.topo);
        fx_settle();
}

/* ---------------------------------------------------------------- tablets, gates, keyspaces */

static inline struct fx_answer fx_beat(const char *id, const char *address, uint64_t incarnation)
{
        Shoal__V1__TabletHeartbeatRequest rq = SHOAL__V1__TABLET_HEARTBEAT_REQUEST__INIT;

        rq.id = (char *)(uintptr_t)id;
        rq.address = (char *)(uintptr_t)address;
        rq.incarnation = incarnation;
        rq.bytes_used = 100;
        rq.bytes_capacity = 1000;
        rq.shard_count = 3;
        return fx_call(&tablets_heartbeat, &rq.base,
                       &shoal__v1__tablet_heartbeat_response__descriptor);
}

static inline void fx_tablet(const char *id)
{
        struct fx_answer a = fx_beat(id, "127.0.0.1:1", 1);

        fx_assert_ok(&a);
        fx_done(&a);
}

static inline struct fx_answer fx_gate_beat(const char *id, const char *address,
                                            uint64_t incarnation)
{
        Shoal__V1__GateHeartbeatRequest rq = SHOAL__V1__GATE_HEARTBEAT_REQUEST__INIT;

        rq.id = (char *)(uintptr_t)id;
        rq.address = (char *)(uintptr_t)address;
        rq.incarnation = incarnation;
        return fx_call(&gates_heartbeat, &rq.base, &shoal__v1__gate_heartbeat_response__descriptor);
}

/* Its epoch. */
static inline uint64_t fx_gate(const char *id, uint64_t incarnation)
{
        struct fx_answer a = fx_gate_beat(id, "127.0.0.1:9", incarnation);
        uint64_t epoch;

        fx_assert_ok(&a);
        epoch = ((Shoal__V1__GateHeartbeatResponse *)a.reply)->epoch;
        fx_done(&a);
        return epoch;
}

static inline struct fx_answer fx_create(const char *name, uint32_t n_shards, const char *engine)
{
        Shoal__V1__CreateKeyspaceRequest rq = SHOAL__V1__CREATE_KEYSPACE_REQUEST__INIT;

        rq.name = (char *)(uintptr_t)name;
        rq.shard_count = n_shards;
        rq.engine = (char *)(uintptr_t)engine;
        return fx_call(&keyspaces_create, &rq.base, &shoal__v1__keyspace__descriptor);
}

/* Its id. */
static inline uint64_t fx_keyspace(const char *name)
{
        struct fx_answer a = fx_create(name, 2, "");
        uint64_t id;

        fx_assert_ok(&a);
        id = ((Shoal__V1__Keyspace *)a.reply)->id;
        fx_done(&a);
        return id;
}

static inline struct fx_answer fx_drop(const char *name, bool force)
{
        Shoal__V1__DropKeyspaceRequest rq = SHOAL__V1__DROP_KEYSPACE_REQUEST__INIT;

        rq.name = (char *)(uintptr_t)name;
        rq.force = force;
        return fx_call(&keyspaces_drop, &rq.base, &shoal__v1__drop_keyspace_response__descriptor);
}

/* The whole topology; to be freed with shoal__v1__topology__free_unpacked(). */
static inline Shoal__V1__Topology *fx_topology(void)
{
        Shoal__V1__GetTopologyRequest rq = SHOAL__V1__GET_TOPOLOGY_REQUEST__INIT;
        struct fx_answer a =
            fx_call(&keyspaces_get_topology, &rq.base, &shoal__v1__topology__descriptor);

        fx_assert_ok(&a);
        return (Shoal__V1__Topology *)a.reply;
}

/* ---------------------------------------------------------------- schema changes */

static inline struct fx_answer fx_begin(uint64_t keyspace, uint64_t version, const char *gate,
                                        uint64_t epoch, const char *table)
{
        Shoal__V1__BeginSchemaChangeRequest rq = SHOAL__V1__BEGIN_SCHEMA_CHANGE_REQUEST__INIT;
        Shoal__V1__TableSharding sharding = SHOAL__V1__TABLE_SHARDING__INIT;
        Shoal__V1__Table t = SHOAL__V1__TABLE__INIT;

        sharding.type = (char *)(uintptr_t) "unsharded";
        t.name = (char *)(uintptr_t)table;
        t.sharding = &sharding;
        rq.keyspace_id = keyspace;
        rq.expected_version = version;
        rq.gate = (char *)(uintptr_t)gate;
        rq.gate_epoch = epoch;
        rq.sql = (char *)(uintptr_t) "CREATE";
        rq.undo_sql = (char *)(uintptr_t) "DROP";
        rq.put_table = &t;
        return fx_call(&schema_begin, &rq.base, &shoal__v1__schema_change__descriptor);
}

static inline struct fx_answer fx_end(uint64_t keyspace, const char *id, const char *gate,
                                      uint64_t epoch, Shoal__V1__SchemaChangeState state)
{
        Shoal__V1__EndSchemaChangeRequest rq = SHOAL__V1__END_SCHEMA_CHANGE_REQUEST__INIT;

        rq.keyspace_id = keyspace;
        rq.id = (char *)(uintptr_t)id;
        rq.gate = (char *)(uintptr_t)gate;
        rq.gate_epoch = epoch;
        rq.state = state;
        return fx_call(&schema_end, &rq.base, &shoal__v1__schema_change__descriptor);
}

/* Begins and ends the creation of a table. */
static inline void fx_table(uint64_t keyspace, uint64_t version, const char *gate, uint64_t epoch,
                            const char *table)
{
        struct fx_answer begun = fx_begin(keyspace, version, gate, epoch, table);
        struct fx_answer ended;

        fx_assert_ok(&begun);
        ended = fx_end(keyspace, ((Shoal__V1__SchemaChange *)begun.reply)->id, gate, epoch,
                       SHOAL__V1__SCHEMA_CHANGE_STATE__SCHEMA_CHANGE_STATE_DONE);
        fx_assert_ok(&ended);
        fx_done(&begun);
        fx_done(&ended);
}
