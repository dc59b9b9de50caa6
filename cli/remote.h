/* remote.h - calls that wait for their answer, for a program that does one thing at a time. Owner:
 * the main thread, which is also the loop's. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "rpc/client.h"
#include "rpc/loop.h"

enum { REMOTE_MAX_REPLY_BYTES = 256 << 20 };

struct remote;

/* address: "host:port". timeout_ms: of each call; 0: none. Never NULL; nothing is connected yet. */
struct remote *remote_new(struct loop *l, const char *address, uint64_t timeout_ms);
struct remote *remote_free(struct remote *r); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(struct remote *, remote_free);

struct rpc_channel *remote_channel(struct remote *r); /* borrowed */
struct loop *remote_loop(struct remote *r);
/* When a call that is begun now must have ended, mono_us(). */
int64_t remote_deadline_us(const struct remote *r);

/* A unary call. The reply is freed with protobuf_c_message_free_unpacked(reply, NULL).
 * ERR_CANCELLED: Ctrl-C was pressed. */
enum err_code remote_call(struct remote *r, const char *path, const ProtobufCMessage *request,
                          const ProtobufCMessageDescriptor *reply_type,
                          ProtobufCMessage **ret_reply, struct err *reterr) must_check_;

/* A server-streaming call: fn takes in each message (borrowed); its error ends the call and is the
 * result. */
typedef enum err_code remote_message_fn(void *arg, const uint8_t *p, size_t n_bytes,
                                        struct err *reterr);
enum err_code remote_stream(struct remote *r, const char *path, const ProtobufCMessage *request,
                            remote_message_fn *fn, void *arg, struct err *reterr) must_check_;

/* From now on Ctrl-C does not end the process but the call under way. Once, at start. */
void remote_catch_interrupts(void);
/* Was Ctrl-C pressed since the last question? */
bool remote_take_interrupt(void);
/* The same, without forgetting it. */
bool remote_is_interrupted(void);
