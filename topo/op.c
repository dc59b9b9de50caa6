/* op.c - the way of a call through the store. Loop thread. */
#include "topo/op.h"

#include "topo/meters.h"

enum { MAX_TRIES = 32 };

static void finish(struct op *op, const struct err *err)
{
        struct topo *t = op->topo;

        if (op->request)
                meters_count_call(op->method->name, err->code, mono_us() - op->started_us);
        op->done(op, err);
        if (op->request)
                protobuf_c_message_free_unpacked(op->request, NULL);
        buf_done(&op->reply);
        free(op);
        t->n_ops--;
}

void op_fail(struct op *op, const struct err *err)
{
        finish(op, err);
}

static void succeed(struct op *op)
{
        struct err ok = ERR_INIT;

        if (op->method->committed)
                op->method->committed(op);
        finish(op, &ok);
}

/* ---------------------------------------------------------------- waiting for the catalogue */

static void wait_for(struct op *op, uint64_t revision, void (*go_on)(struct op *op))
{
        struct topo *t = op->topo;

        if (!t->ready || catalog_revision(t->catalog) >= revision) {
                go_on(op);
                return;
        }
        op->wait_revision = revision;
        op->go_on = go_on;
        op->next = t->waiting;
        t->waiting = op;
}

static void wake(struct topo *t, uint64_t revision)
{
        struct op *rest = t->waiting;

        t->waiting = NULL;
        while (rest) {
                struct op *op = rest;

                rest = op->next;
                if (op->wait_revision <= revision) {
                        op->go_on(op);
                        continue;
                }
                op->next = t->waiting;
                t->waiting = op;
        }
}

void op_wake(struct topo *t)
{
        wake(t, catalog_revision(t->catalog));
}

void op_abandon_waits(struct topo *t)
{
        wake(t, UINT64_MAX);
}

/* ---------------------------------------------------------------- deciding and writing */

static void run(struct op *op);
static void prepare(struct op *op);

static void fail_busy(struct op *op)
{
        struct err err = ERR_INIT;

        err_set(&err, ERR_UNAVAILABLE, "STORE_BUSY", "%s: other changes came first %u times",
                op->method->name, op->n_tries);
        finish(op, &err);
}

static void on_commit(void *arg, const struct store_result *result)
{
        struct op *op = arg;

        meters_count_commit(result->err->code, mono_us() - op->committed_us);
        if (!result->err->code) {
                op->revision = result->revision;
                wait_for(op, result->revision, succeed);
        } else if (result->err->code != ERR_ABORTED && result->err->code != ERR_NOT_FOUND) {
                finish(op, result->err);
        } else if (++op->n_tries >= MAX_TRIES) {
                fail_busy(op);
        } else {
                /* ERR_NOT_FOUND: the lease has ended meanwhile. */
                wait_for(op, result->revision, result->err->code == ERR_ABORTED ? run : prepare);
        }
}

static void run(struct op *op)
{
        cleanup_(store_txn_freep) struct store_txn *x = store_txn_new();
        struct err err = ERR_INIT;
        struct topo *t = op->topo;

        if (!t->ready) {
                finish(op, &t->trouble);
                return;
        }
        op->reply.n_bytes = 0;
        err.code = op->method->build(op, x, &err);
        if (err.code)
                finish(op, &err);
        else if (!store_txn_n_changes(x))
                succeed(op);
        else {
                op->committed_us = mono_us();
                store_commit(t->store, TAKE(x), on_commit, op);
        }
}

void op_continue(struct op *op)
{
        run(op);
}

static void prepare(struct op *op)
{
        if (!op->topo->ready)
                finish(op, &op->topo->trouble);
        else if (op->method->prepare)
                op->method->prepare(op);
        else
                run(op);
}

void op_start(struct topo *t, const struct op_method *method, ProtobufCMessage *request,
              op_done_fn *done, void *arg)
{
        struct op *op = xcalloc(1, sizeof *op);

        op->topo = t;
        op->method = method;
        op->request = request;
        op->done = done;
        op->arg = arg;
        op->started_us = mono_us();
        t->n_ops++;
        prepare(op);
}

/* ---------------------------------------------------------------- for the methods */

static void pack(struct buf *b, const ProtobufCMessage *m)
{
        size_t n = protobuf_c_message_get_packed_size(m);
        uint8_t *p = buf_reserve(b, n ? n : 1);

        if (!p)
                abort(); /* no limit is set, so memory is gone */
        b->n_bytes += protobuf_c_message_pack(m, p);
}

void op_reply(struct op *op, const ProtobufCMessage *m)
{
        op->reply.n_bytes = 0;
        pack(&op->reply, m);
}

void op_put(struct store_txn *x, const char *key, const ProtobufCMessage *m, uint64_t lease)
{
        struct buf b = BUF_INIT(0);

        pack(&b, m);
        store_txn_put(x, key, b.data, b.n_bytes, lease);
        buf_done(&b);
}

void op_expect(struct store_txn *x, const char *key, const struct catalog_entry *e)
{
        store_txn_expect(x, key, e ? e->mod_revision : 0);
}
