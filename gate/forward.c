/* forward.c - topo tells where the gate is, a channel to it is kept, and the request goes there
 * with the client's deadline. Rows of a stream come one message at a time. Loop thread. */
#include "gate/forward.h"

#include <string.h>
#include <utlist.h>

#include "common/buf.h"
#include "gate/gate.h"
#include "gate/service_int.h"
#include "proto/shoal/v1/internal.pb-c.h"

enum { FIND_MS = 5000, MAX_PEERS = 256, REPLY_MARGIN_BYTES = 16 << 20 };

/* Another gate. */
struct peer {
        struct peer *prev, *next; /* the last to be used is last */
        char *address;
        struct rpc_channel *channel;
        size_t n_calls;
};

/* Owner: the loop thread. */
struct forwards {
        struct gate *gate;
        struct peer *peers;
        size_t n_peers;
};

/* One call; goes when both ends are done with it. */
struct forward {
        struct forwards *all;
        struct rpc_call *call; /* NULL: it has been answered */
        const char *method;
        bool is_stream;
        struct session_place place;
        struct rpc_request *request; /* to topo, then to the peer */
        struct peer *peer;
        struct rpc_stream *stream;
        bool is_writing, has_ended;
        struct err end;
};

struct forwards *forwards_new(struct gate *g)
{
        struct forwards *all = xcalloc(1, sizeof(*all));

        all->gate = g;
        return all;
}

static void free_peer(struct forwards *all, struct peer *p)
{
        DL_DELETE(all->peers, p);
        all->n_peers--;
        rpc_channel_free(p->channel);
        free(p->address);
        free(p);
}

struct forwards *forwards_free(struct forwards *all)
{
        if (!all)
                return NULL;
        while (all->peers)
                free_peer(all, all->peers);
        free(all);
        return NULL;
}

static void make_room(struct forwards *all)
{
        struct peer *p, *next;

        DL_FOREACH_SAFE(all->peers, p, next)
        {
                if (all->n_peers >= MAX_PEERS && !p->n_calls)
                        free_peer(all, p);
        }
}

static struct peer *get_peer(struct forwards *all, const char *address)
{
        const struct gate_options *o = &all->gate->options;
        const struct rpc_channel_options co = {
                .address = address,
                .keepalive_ms = o->keepalive_ms,
                .keepalive_timeout_ms = o->keepalive_timeout_ms,
                .max_reply_bytes = o->max_result_bytes + REPLY_MARGIN_BYTES,
        };
        struct peer *p;

        DL_FOREACH(all->peers, p)
        {
                if (strcmp(p->address, address) == 0)
                        break;
        }
        if (p) {
                DL_DELETE(all->peers, p);
        } else {
                make_room(all);
                p = xcalloc(1, sizeof(*p));
                p->address = xstrdup(address);
                p->channel = rpc_channel_new(all->gate->loop, &co);
                all->n_peers++;
        }
        DL_APPEND(all->peers, p);
        return p;
}

/* ---- the end */

static void free_forward(struct forward *f)
{
        if (f->peer)
                f->peer->n_calls--;
        rpc_stream_free(f->stream);
        free(f);
}

static void fail(struct forward *f, const struct err *e)
{
        struct rpc_call *call = TAKE(f->call);

        if (call)
                rpc_call_fail(call, e);
}

static grpc_byte_buffer *copy_bytes(const uint8_t *p, size_t n_bytes)
{
        struct buf b = BUF_INIT(0);

        buf_add(&b, p, n_bytes);
        return rpc_from_buf(&b);
}

static void on_cancel(struct rpc_call *call)
{
        struct forward *f = rpc_call_data(call);

        f->call = NULL;
        service_fail_cancelled(call);
        if (f->request)
                rpc_request_cancel(f->request);
        else
                free_forward(f);
}

/* ---- the other gate */

static void on_answer(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct forward *f = arg;
        struct rpc_call *call;

        f->request = NULL;
        if (e->code) {
                fail(f, e);
        } else {
                call = TAKE(f->call);
                if (call)
                        rpc_call_reply(call, copy_bytes(body, n_bytes));
        }
        free_forward(f);
}

/* f may be gone afterwards. */
static void end_stream(struct forward *f)
{
        if (!f->has_ended || f->is_writing)
                return;
        if (f->end.code)
                fail(f, &f->end);
        else if (f->call)
                rpc_call_end(TAKE(f->call));
        free_forward(f);
}

static void on_written(struct rpc_call *call, bool ok)
{
        struct forward *f = rpc_call_data(call);

        f->is_writing = false;
        if (!ok)
                return; /* on_cancel follows, or has been */
        rpc_stream_pause(f->stream, false);
        end_stream(f);
}

static void on_message(void *arg, const grpc_slice *slice)
{
        struct forward *f = arg;

        f->is_writing = true;
        rpc_stream_pause(f->stream, true);
        rpc_call_write(f->call, copy_bytes(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)),
                       on_written);
}

static void on_stream_end(void *arg, const struct err *e)
{
        struct forward *f = arg;

        f->has_ended = true;
        f->end = *e;
        end_stream(f);
}

static void pass_on(struct forward *f)
{
        static const struct rpc_stream_events events = { .on_message = on_message,
                                                         .on_end = on_stream_end };
        size_t n_bytes;
        const uint8_t *p = rpc_call_request(f->call, &n_bytes);

        f->peer->n_calls++;
        if (f->is_stream) {
                f->stream = rpc_stream_open(f->peer->channel, f->method, &events, f);
                rpc_stream_write(f->stream, copy_bytes(p, n_bytes));
                rpc_stream_close_send(f->stream);
        } else {
                f->request = rpc_unary(f->peer->channel, f->method, copy_bytes(p, n_bytes),
                                       rpc_call_deadline_us(f->call), on_answer, f);
        }
}

/* ---- where it is */

/* ERR_NOT_FOUND: it is gone, and its sessions with it. */
static enum err_code read_address(struct forward *f, const struct err *e, const uint8_t *body,
                                  size_t n_bytes, struct err *reterr)
{
        Shoal__V1__FindGateResponse *m = NULL;
        bool is_here;

        if (e->code && e->code != ERR_NOT_FOUND) {
                *reterr = topology_call_error(e);
                return reterr->code;
        }
        if (!e->code)
                m = shoal__v1__find_gate_response__unpack(NULL, n_bytes, body);
        is_here = m && m->epoch == f->place.epoch;
        if (is_here)
                f->peer = get_peer(f->all, m->address);
        if (m)
                shoal__v1__find_gate_response__free_unpacked(m, NULL);
        return is_here ? ERR_OK
                       : err_set(reterr, ERR_NOT_FOUND, "SESSION_NOT_FOUND",
                                 "the gate that had the session is gone");
}

static void on_found(void *arg, const struct err *e, const uint8_t *body, size_t n_bytes)
{
        struct forward *f = arg;
        struct err failure;

        f->request = NULL;
        if (!f->call) {
                free_forward(f);
        } else if (read_address(f, e, body, n_bytes, &failure)) {
                fail(f, &failure);
                free_forward(f);
        } else {
                pass_on(f);
        }
}

void forward_call(struct forwards *all, struct rpc_call *call, const char *method, bool is_stream,
                  const struct session_place *place)
{
        Shoal__V1__FindGateRequest m = SHOAL__V1__FIND_GATE_REQUEST__INIT;
        struct forward *f = xcalloc(1, sizeof(*f));

        f->all = all;
        f->call = call;
        f->method = method;
        f->is_stream = is_stream;
        f->place = *place;
        rpc_call_set_data(call, f);
        rpc_call_on_cancel(call, on_cancel);
        m.gate = f->place.gate;
        f->request = rpc_unary(all->gate->topo, "/shoal.v1.TopoInternal/FindGate",
                               rpc_pack(&m.base), mono_us() + FIND_MS * 1000, on_found, f);
}
