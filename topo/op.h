/* op.h - a call on topo from its request to its reply: what it decides from the catalogue becomes
 * one transaction of the store; when another change came first, it decides again. Loop thread. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "common/buf.h"
#include "topo/store.h"
#include "topo/topo.h"

struct op;

struct op_method {
        const char *name;                          /* "CreateKeyspace" */
        const ProtobufCMessageDescriptor *request; /* NULL: topo's own, no call from outside */
        /* May be NULL. What must be asked of the store first; ends, now or later, with
         * op_continue() or op_fail(). */
        void (*prepare)(struct op *op);
        /* Decides from the catalogue as it is: adds expectations and changes to x and packs the
         * reply. Nothing is written if there are no changes. May run several times, so it must not
         * leave traces elsewhere. */
        enum err_code (*build)(struct op *op, struct store_txn *x, struct err *reterr);
        /* May be NULL. The change is durable (op->revision), or none was needed (0), and the
         * catalogue has it; may pack another reply. */
        void (*committed)(struct op *op);
};

/* err->code ERR_OK: op->reply is the packed answer. The op is freed afterwards. */
typedef void op_done_fn(struct op *op, const struct err *err);

struct op {
        struct topo *topo;
        const struct op_method *method;
        ProtobufCMessage *request; /* owned; NULL: topo's own */
        struct buf reply;
        op_done_fn *done;
        void *arg;
        uint64_t revision;
        uint64_t lease; /* for methods that need one */
        uint64_t given; /* for the method's own count */

        unsigned n_tries;
        int64_t started_us;   /* mono_us() */
        int64_t committed_us; /* when it was handed to the store */
        struct op *next;
        uint64_t wait_revision;
        void (*go_on)(struct op *op);
};

/* Takes request. done runs once, perhaps at once. */
void op_start(struct topo *t, const struct op_method *method, ProtobufCMessage *request,
              op_done_fn *done, void *arg);
void op_continue(struct op *op);
void op_fail(struct op *op, const struct err *err);
/* Packs the reply, in place of an earlier one. */
void op_reply(struct op *op, const ProtobufCMessage *m);
/* Adds a put of the packed message. */
void op_put(struct store_txn *x, const char *key, const ProtobufCMessage *m, uint64_t lease);
/* Adds the expectation that the entry is as it is; e NULL: that the key is absent. */
void op_expect(struct store_txn *x, const char *key, const struct catalog_entry *e);

/* The catalogue has moved on: those that waited for it do too. */
void op_wake(struct topo *t);
/* The catalogue no longer follows the store: nobody need wait for it. */
void op_abandon_waits(struct topo *t);
