/* tablet_client.c - channels and streams to tablets, and the requests on them. Everything on the
 * loop thread.
 *
 * A call is WAITING in its tablet's list until the stream of its lane is up, SENT while it has a
 * slot of the stream, or FAILING: its timer is about to deliver the error it has. A stream is up
 * once its first message, a cancel of nothing, has been taken by flow control: before that nothing
 * of ours can have reached the tablet. */
#include "gate/tablet_client.h"

#include <assert.h>
#include <string.h>
#include <uthash.h>

#include "common/log.h"
#include "gate/tablet_wire.h"
#include "rpc/client.h"
#include "rpc/server.h"

enum { CALL_IDLE = 0, CALL_WAITING, CALL_SENT, CALL_FAILING };

enum {
        BACKOFF_MIN_MS = 50,
        BACKOFF_MAX_MS = 1000,
        SETTLED_MS = 1000, /* a stream that lived this long starts the back-off afresh */
        FIRST_SLOTS = 64,
        GATHER_BYTES = 64 << 10, /* a message that is larger does not grow any more */
        NO_SLOT = UINT32_MAX,
};

/* What a stream may have queued that flow control does not take: a tablet that has stopped reading.
 */
static const size_t max_queued_bytes = (size_t)64 << 20;

static const struct err no_error = ERR_INIT;

struct slot {
        struct tablet_call *call; /* NULL: free */
        uint32_t generation;      /* the upper half of the id, so that late replies meet nobody */
        uint32_t next_free;
};

struct tablet_stream {
        struct tablet_client *tablet;
        struct rpc_stream *rpc; /* NULL: to be opened by the timer */
        struct buf held;        /* the next message: it waits for those before it, and grows */
        bool is_up;
        int64_t away_since_us; /* while it is not up */
        int64_t up_since_us;
        uint64_t backoff_ms;
        struct loop_timer reopen;
        struct slot *slots;
        uint32_t n_slots, first_free;
};

struct tablet_client {
        struct tablets *all;
        UT_hash_handle hh;
        char *id, *address;
        struct rpc_channel *channel;
        struct tablet_call *waiting; /* the last to come is first */
        unsigned n_streams;
        struct tablet_stream streams[];
};

/* Owner: the loop thread. */
struct tablets {
        struct tablets_options options;
        struct tablet_client *by_id;
};

/* ---- slots */

static bool take_slot(struct tablet_stream *s, struct tablet_call *c)
{
        uint32_t i = s->first_free;

        if (i == NO_SLOT) {
                uint32_t n = s->n_slots ? s->n_slots * 2 : FIRST_SLOTS;

                if (s->n_slots >= s->tablet->all->options.max_pending)
                        return false;
                s->slots = xrealloc(s->slots, n * sizeof(*s->slots));
                for (i = s->n_slots; i < n; i++)
                        s->slots[i] = (struct slot){ NULL, 1, i + 1 < n ? i + 1 : NO_SLOT };
                s->first_free = i = s->n_slots;
                s->n_slots = n;
        }
        s->first_free = s->slots[i].next_free;
        s->slots[i].call = c;
        c->id = (uint64_t)s->slots[i].generation << 32 | i;
        c->stream = s;
        c->state = CALL_SENT;
        return true;
}

static void free_slot(struct tablet_call *c)
{
        struct tablet_stream *s = c->stream;
        uint32_t i = (uint32_t)c->id;

        s->slots[i].call = NULL;
        if (++s->slots[i].generation == 0)
                s->slots[i].generation = 1;
        s->slots[i].next_free = s->first_free;
        s->first_free = i;
        c->stream = NULL;
}

static struct tablet_call *find_call(const struct tablet_stream *s, uint64_t id)
{
        uint32_t i = (uint32_t)id;

        if (i >= s->n_slots || s->slots[i].generation != id >> 32)
                return NULL;
        return s->slots[i].call;
}

/* ---- states of a call */

static void unlink_waiting(struct tablet_call *c)
{
        if (c->prev)
                c->prev->next = c->next;
        else
                c->tablet->waiting = c->next;
        if (c->next)
                c->next->prev = c->prev;
        c->prev = c->next = NULL;
}

static struct loop *loop_of(const struct tablet_call *c)
{
        return c->all->options.loop;
}

/* Afterwards nothing knows of it but the caller. */
static void detach(struct tablet_call *c)
{
        if (c->state == CALL_WAITING)
                unlink_waiting(c);
        else if (c->state == CALL_SENT)
                free_slot(c);
        if (c->timer.heap_index)
                loop_timer_cancel(loop_of(c), &c->timer);
        if (c->unsent) {
                buf_done(c->unsent);
                free(c->unsent);
                c->unsent = NULL;
        }
        free(c->failure);
        c->failure = NULL;
        c->state = CALL_IDLE;
}

static void end_call(struct tablet_call *c, const struct err *e)
{
        struct err *failure = TAKE(c->failure); /* e may be it */

        detach(c);
        c->events->on_end(c, e);
        free(failure);
}

static void end_call_senseless(struct tablet_call *c, const char *tablet_id)
{
        struct err e = ERR_INIT;

        err_set(&e, c->write ? ERR_UNKNOWN : ERR_INTERNAL,
                c->write ? "OUTCOME_UNKNOWN" : "BAD_REPLY",
                "tablet %s sent a reply that makes no sense", tablet_id);
        end_call(c, &e);
}

static void end_call_away(struct tablet_call *c, const char *tablet_id, const char *why)
{
        struct err e = ERR_INIT;

        if (c->state == CALL_SENT && c->write)
                err_set(
                    &e, ERR_UNKNOWN, "OUTCOME_UNKNOWN",
                    "tablet %s went away before it answered (%s): the write may or may not have "
                    "been done",
                    tablet_id, why);
        else
                err_set(&e, ERR_UNAVAILABLE, "TABLET_AWAY", "tablet %s is away: %s", tablet_id,
                        why);
        end_call(c, &e);
}

/* Requests that are made while flow control has yet to take an earlier message share the next one.
 */
static void send_frame(struct tablet_stream *s, struct buf *b)
{
        if (!rpc_stream_queued_bytes(s->rpc)) {
                rpc_stream_write(s->rpc, rpc_from_buf(b));
                return;
        }
        if (s->held.n_bytes && s->held.n_bytes + b->n_bytes > GATHER_BYTES)
                rpc_stream_write(s->rpc, rpc_from_buf(&s->held));
        if (s->held.n_bytes) {
                tablet_wire_add_more(&s->held, b);
                return;
        }
        buf_done(&s->held);
        s->held = *b;
        *b = (struct buf)BUF_INIT(0);
}

static void send_cancel(struct tablet_call *c)
{
        struct buf b = BUF_INIT(0);

        if (!c->stream->is_up)
                return;
        tablet_wire_add_head(&b, c->id, 0, 0);
        tablet_wire_add_cancel(&b, NULL, 0);
        send_frame(c->stream, &b);
}

static void on_call_timer(struct loop_timer *timer)
{
        struct tablet_call *c = CONTAINER_OF(timer, struct tablet_call, timer);
        struct err e = ERR_INIT;

        if (c->state == CALL_FAILING) {
                end_call(c, c->failure);
        } else if (mono_us() >= c->deadline_us) {
                err_set(&e, ERR_DEADLINE, "DEADLINE_EXCEEDED", "the deadline has passed");
                if (c->state == CALL_SENT)
                        send_cancel(c);
                end_call(c, &e);
        } else {
                end_call_away(c, c->tablet->id, "no connection");
        }
}

static void fail_soon(struct tablet_call *c, enum err_code code, const char *reason,
                      const char *msg)
{
        c->failure = xcalloc(1, sizeof(*c->failure));
        *c->failure = (struct err)ERR_INIT;
        err_set(c->failure, code, reason, "%s", msg);
        c->state = CALL_FAILING;
        loop_timer_set(loop_of(c), &c->timer, 0);
}

/* Takes a slot and puts the head of the message into b, which gets room for n_body_bytes more.
 * False: the call is failing. */
static bool begin_send(struct tablet_call *c, struct tablet_stream *s, struct buf *b,
                       size_t n_body_bytes)
{
        enum { HEAD_BYTES = 40 };
        uint64_t timeout_us = 0;

        if (rpc_stream_queued_bytes(s->rpc) + s->held.n_bytes > max_queued_bytes ||
            !take_slot(s, c)) {
                fail_soon(c, ERR_EXHAUSTED, "TOO_MANY_REQUESTS",
                          "too many requests are waiting for the tablet");
                return false;
        }
        if (c->deadline_us != INT64_MAX) {
                int64_t left_us = c->deadline_us - mono_us();

                timeout_us = left_us > 0 ? (uint64_t)left_us : 1;
                loop_timer_set(loop_of(c), &c->timer, c->deadline_us);
        }
        buf_reserve(b, n_body_bytes + HEAD_BYTES);
        tablet_wire_add_head(b, c->id, timeout_us, hlc_now(c->all->options.hlc));
        return true;
}

/* Until the stream is up, or the tablet has been away for too long. */
static void begin_wait(struct tablet_call *c, const struct tablet_stream *s)
{
        int64_t until_us = s->away_since_us + (int64_t)c->all->options.connect_wait_ms * 1000;

        c->state = CALL_WAITING;
        c->prev = NULL;
        c->next = c->tablet->waiting;
        if (c->next)
                c->next->prev = c;
        c->tablet->waiting = c;
        loop_timer_set(loop_of(c), &c->timer,
                       until_us < c->deadline_us ? until_us : c->deadline_us);
}

/* The stream that the call is to go by now, or NULL: it waits, or fails. */
static struct tablet_stream *begin_call(struct tablet_call *c, struct tablets *all,
                                        struct tablet_client *tablet, unsigned lane,
                                        size_t n_shards, bool write, int64_t deadline_us)
{
        struct tablet_stream *s;

        assert(c->state == CALL_IDLE);
        *c = (struct tablet_call){
                .events = c->events,
                .all = all,
                .tablet = tablet,
                .timer.fn = on_call_timer,
                .deadline_us = deadline_us,
                .n_shards = (uint32_t)n_shards,
                .write = write,
        };
        if (!tablet) {
                fail_soon(c, ERR_UNAVAILABLE, "TABLET_AWAY", "no tablet serves the shard now");
                return NULL;
        }
        s = &tablet->streams[lane % tablet->n_streams];
        c->lane = lane;
        if (s->is_up)
                return s;
        begin_wait(c, s);
        c->unsent = xcalloc(1, sizeof(*c->unsent));
        return NULL;
}

void tablet_call_execute(struct tablet_call *c, struct tablets *all, struct tablet_client *tablet,
                         unsigned lane, const struct tablet_shard *shards, size_t n_shards,
                         const struct tablet_execute *x, int64_t deadline_us)
{
        bool write = x->write && !x->transaction;
        struct tablet_stream *s = begin_call(c, all, tablet, lane, n_shards, write, deadline_us);
        struct buf b = BUF_INIT(0);

        if (c->unsent)
                tablet_wire_add_execute(c->unsent, shards, n_shards, x);
        if (!s || !begin_send(c, s, &b, tablet_wire_execute_size(shards, n_shards, x)))
                return;
        tablet_wire_add_execute(&b, shards, n_shards, x);
        send_frame(s, &b);
}

void tablet_call_change_schema(struct tablet_call *c, struct tablets *all,
                               struct tablet_client *tablet, const struct tablet_shard *shards,
                               size_t n_shards, const struct tablet_change_schema *x,
                               int64_t deadline_us)
{
        struct tablet_stream *s = begin_call(c, all, tablet, 0, n_shards, true, deadline_us);
        struct buf b = BUF_INIT(0);

        if (c->unsent)
                tablet_wire_add_change_schema(c->unsent, shards, n_shards, x);
        if (!s || !begin_send(c, s, &b, 0))
                return;
        tablet_wire_add_change_schema(&b, shards, n_shards, x);
        send_frame(s, &b);
}

void tablet_call_transaction(struct tablet_call *c, struct tablets *all,
                             struct tablet_client *tablet, unsigned lane,
                             const struct tablet_shard *shards, size_t n_shards,
                             const struct tablet_transaction *x, int64_t deadline_us)
{
        bool write = x->verb == TABLET_END;
        struct tablet_stream *s = begin_call(c, all, tablet, lane, n_shards, write, deadline_us);
        struct buf b = BUF_INIT(0);

        if (c->unsent)
                tablet_wire_add_transaction(c->unsent, shards, n_shards, x);
        if (!s || !begin_send(c, s, &b, 0))
                return;
        tablet_wire_add_transaction(&b, shards, n_shards, x);
        send_frame(s, &b);
}

void tablet_call_credit(struct tablet_call *c, uint64_t n_bytes)
{
        struct buf b = BUF_INIT(0);

        if (c->state != CALL_SENT || !c->stream->is_up || !n_bytes)
                return;
        tablet_wire_add_head(&b, c->id, 0, 0);
        tablet_wire_add_credit(&b, n_bytes);
        send_frame(c->stream, &b);
}

void tablet_call_abandon(struct tablet_call *c)
{
        if (c->state == CALL_IDLE)
                return;
        if (c->state == CALL_SENT)
                send_cancel(c);
        detach(c);
}

void tablet_call_cancel_shards(struct tablet_call *c, const uint32_t *shards, size_t n)
{
        struct buf b = BUF_INIT(0);

        if (c->state != CALL_SENT || !c->stream->is_up || !n)
                return;
        tablet_wire_add_head(&b, c->id, 0, 0);
        tablet_wire_add_cancel(&b, shards, n);
        send_frame(c->stream, &b);
}

void tablet_release_pin(struct tablet_client *tablet, unsigned lane, uint64_t pin)
{
        struct tablet_stream *s = tablet ? &tablet->streams[lane % tablet->n_streams] : NULL;
        struct buf b = BUF_INIT(0);

        if (!s || !s->is_up)
                return;
        tablet_wire_add_release(&b, pin);
        send_frame(s, &b);
}

bool tablet_call_is_active(const struct tablet_call *c)
{
        return c->state != CALL_IDLE;
}

/* ---- streams */

/* In the order in which they came. */
static void send_waiting(struct tablet_stream *s)
{
        struct tablet_client *t = s->tablet;
        struct tablet_call *c = t->waiting;

        while (c && c->next)
                c = c->next;
        while (c) {
                struct tablet_call *prev = c->prev;
                struct buf b = BUF_INIT(0);

                if (&t->streams[c->lane % t->n_streams] == s) {
                        struct buf *body = TAKE(c->unsent);

                        unlink_waiting(c);
                        if (begin_send(c, s, &b, body->n_bytes)) {
                                buf_add(&b, body->data, body->n_bytes);
                                send_frame(s, &b);
                        }
                        buf_done(body);
                        free(body);
                }
                c = prev;
        }
}

static void on_stream_drained(void *arg)
{
        struct tablet_stream *s = arg;

        if (s->held.n_bytes)
                rpc_stream_write(s->rpc, rpc_from_buf(&s->held));
        if (s->is_up)
                return;
        s->is_up = true;
        s->up_since_us = mono_us();
        log_event(LOG_INFO, "tablet_connected", "tablet=%s address=%s", s->tablet->id,
                  s->tablet->address);
        send_waiting(s);
}

/* The pieces for the call with this id; it may end, or be abandoned, on the way. */
static void deliver(struct tablet_stream *s, const struct tablet_wire_reply *reply,
                    const grpc_slice *slice)
{
        struct wire_reader r = wire_reader(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
        struct tablet_call *c;
        struct tablet_reply piece;
        struct err failure;
        bool malformed = false;

        while ((c = find_call(s, reply->id)) &&
               tablet_wire_next_piece(&r, &piece, &failure, &malformed)) {
                if (piece.shard >= c->n_shards) {
                        malformed = true;
                        break;
                }
                c->n_ended += piece.end;
                piece.slice = slice;
                c->events->on_reply(c, &piece);
        }
        if (!c || (!malformed && !reply->end))
                return;
        if (malformed)
                send_cancel(c);
        if (malformed || c->n_ended < c->n_shards)
                end_call_senseless(c, s->tablet->id);
        else
                end_call(c, &no_error);
}

static void observe(struct tablet_stream *s, uint64_t hlc)
{
        if (hlc_observe(s->tablet->all->options.hlc, hlc, NULL))
                log_event(LOG_WARN, "clock_skew", "peer=%s hlc=%llu", s->tablet->id,
                          (unsigned long long)hlc);
}

/* False: malformed. */
static bool take_reply(struct tablet_stream *s, const grpc_slice *slice, bool *ret_has_more)
{
        struct tablet_wire_reply reply;

        if (!tablet_wire_read_reply(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice),
                                    &reply))
                return false;
        *ret_has_more = reply.has_more;
        observe(s, reply.hlc);
        deliver(s, &reply, slice);
        return true;
}

static bool take_message(struct tablet_stream *s, const grpc_slice *slice)
{
        const uint8_t *start = GRPC_SLICE_START_PTR(*slice), *p;
        struct wire_reader r = wire_reader(start, GRPC_SLICE_LENGTH(*slice));
        bool has_more, ignored;
        size_t n_bytes;

        if (!take_reply(s, slice, &has_more))
                return false;
        while (has_more && s->rpc && tablet_wire_next_more(&r, &p, &n_bytes)) {
                size_t at = (size_t)(p - start);
                grpc_slice part = grpc_slice_sub_no_ref(*slice, at, at + n_bytes);

                if (!take_reply(s, &part, &ignored))
                        return false;
        }
        return true;
}

static void on_stream_message(void *arg, const grpc_slice *slice)
{
        struct tablet_stream *s = arg;

        if (take_message(s, slice))
                return;
        log_event(LOG_ERROR, "tablet_reply_malformed", "tablet=%s bytes=%zu", s->tablet->id,
                  GRPC_SLICE_LENGTH(*slice));
        if (s->rpc)
                rpc_stream_cancel(s->rpc);
}

/* Ends all that was sent on it. What their events start anew waits, for the stream is not up. */
static void break_stream(struct tablet_stream *s, const char *why)
{
        if (s->rpc)
                s->rpc = rpc_stream_free(s->rpc);
        buf_done(&s->held);
        if (s->is_up)
                s->away_since_us = mono_us();
        s->is_up = false;
        for (uint32_t i = 0; i < s->n_slots; i++) {
                if (s->slots[i].call)
                        end_call_away(s->slots[i].call, s->tablet->id, why);
        }
}

static void on_stream_end(void *arg, const struct err *e)
{
        struct tablet_stream *s = arg;
        struct err copy = *e;
        int64_t now_us = mono_us();

        if (s->is_up) {
                log_event(LOG_WARN, "tablet_stream_ended", "tablet=%s code=%s error=%s",
                          s->tablet->id, err_code_name(e->code), log_quote(e->msg));
                if (now_us - s->up_since_us > SETTLED_MS * 1000)
                        s->backoff_ms = BACKOFF_MIN_MS;
        }
        loop_timer_set(s->tablet->all->options.loop, &s->reopen,
                       now_us + (int64_t)s->backoff_ms * 1000);
        s->backoff_ms = s->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : s->backoff_ms * 2;
        break_stream(s, copy.code == ERR_OK ? "it ended the stream" : copy.msg);
}

static void open_stream(struct loop_timer *timer)
{
        static const struct rpc_stream_events events = {
                .on_message = on_stream_message,
                .on_end = on_stream_end,
                .on_drained = on_stream_drained,
        };
        struct tablet_stream *s = CONTAINER_OF(timer, struct tablet_stream, reopen);
        struct buf b = BUF_INIT(0);

        s->rpc = rpc_stream_open(s->tablet->channel, "/shoal.v1.Tablet/Connect", &events, s);
        tablet_wire_add_head(&b, 0, 0, hlc_now(s->tablet->all->options.hlc));
        tablet_wire_add_cancel(&b, NULL, 0);
        rpc_stream_write(s->rpc, rpc_from_buf(&b));
}

/* ---- tablets */

static void connect(struct tablet_client *t, const char *address)
{
        const struct tablets_options *o = &t->all->options;
        struct rpc_channel_options co = {
                .address = address,
                .keepalive_ms = o->keepalive_ms,
                .keepalive_timeout_ms = o->keepalive_timeout_ms,
                .max_reply_bytes = o->max_reply_bytes,
        };

        t->address = xstrdup(address);
        t->channel = rpc_channel_new(o->loop, &co);
        for (unsigned i = 0; i < t->n_streams; i++) {
                t->streams[i].backoff_ms = BACKOFF_MIN_MS;
                t->streams[i].away_since_us = mono_us();
                loop_timer_set(o->loop, &t->streams[i].reopen, 0);
        }
}

static void disconnect(struct tablet_client *t, const char *why)
{
        for (unsigned i = 0; i < t->n_streams; i++) {
                loop_timer_cancel(t->all->options.loop, &t->streams[i].reopen);
                break_stream(&t->streams[i], why);
        }
        t->channel = rpc_channel_free(t->channel);
        free(t->address);
        t->address = NULL;
}

void tablets_put(struct tablets *all, const char *id, const char *address)
{
        struct tablet_client *t = tablets_find(all, id);
        unsigned n = all->options.n_streams;

        if (t) {
                if (strcmp(t->address, address) == 0)
                        return;
                disconnect(t, "its address has changed");
                connect(t, address);
                return;
        }
        t = xcalloc(1, sizeof(*t) + n * sizeof(t->streams[0]));
        t->all = all;
        t->id = xstrdup(id);
        t->n_streams = n;
        for (unsigned i = 0; i < n; i++) {
                t->streams[i].tablet = t;
                t->streams[i].first_free = NO_SLOT;
                t->streams[i].reopen.fn = open_stream;
        }
        HASH_ADD_KEYPTR(hh, all->by_id, t->id, strlen(t->id), t);
        connect(t, address);
}

static void free_tablet(struct tablet_client *t)
{
        for (unsigned i = 0; i < t->n_streams; i++)
                free(t->streams[i].slots);
        free(t->id);
        free(t);
}

void tablets_drop(struct tablets *all, const char *id)
{
        struct tablet_client *t = tablets_find(all, id);

        if (!t)
                return;
        HASH_DEL(all->by_id, t);
        disconnect(t, "it has left the cluster");
        while (t->waiting)
                end_call_away(t->waiting, t->id, "it has left the cluster");
        free_tablet(t);
}

static bool is_listed(const char *id, const struct tablet_address *list, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (strcmp(list[i].id, id) == 0)
                        return true;
        }
        return false;
}

void tablets_set(struct tablets *all, const struct tablet_address *list, size_t n)
{
        struct tablet_client *t, *next;

        HASH_ITER(hh, all->by_id, t, next)
        {
                if (!is_listed(t->id, list, n))
                        tablets_drop(all, t->id);
        }
        for (size_t i = 0; i < n; i++)
                tablets_put(all, list[i].id, list[i].address);
}

struct tablet_client *tablets_find(struct tablets *all, const char *id)
{
        struct tablet_client *t;

        HASH_FIND_STR(all->by_id, id, t);
        return t;
}

size_t tablets_n_connected(const struct tablets *all)
{
        const struct tablet_client *t;
        size_t n = 0;

        for (t = all->by_id; t; t = t->hh.next) {
                for (unsigned i = 0; i < t->n_streams; i++)
                        n += t->streams[i].is_up;
        }
        return n;
}

struct loop *tablets_loop(const struct tablets *all)
{
        return all->options.loop;
}

struct tablets *tablets_new(const struct tablets_options *o)
{
        struct tablets *all = xcalloc(1, sizeof(*all));

        all->options = *o;
        return all;
}

struct tablets *tablets_free(struct tablets *all)
{
        struct tablet_client *t, *next;

        if (!all)
                return NULL;
        HASH_ITER(hh, all->by_id, t, next)
        {
                HASH_DEL(all->by_id, t);
                for (unsigned i = 0; i < t->n_streams; i++) {
                        struct tablet_stream *s = &t->streams[i];

                        for (uint32_t j = 0; j < s->n_slots; j++) {
                                if (s->slots[j].call)
                                        detach(s->slots[j].call);
                        }
                }
                while (t->waiting)
                        detach(t->waiting);
                disconnect(t, "");
                free_tablet(t);
        }
        free(all);
        return NULL;
}
