/* world.c - see world.h. */
#include "tests/unit/tablet/world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "rpc/server.h"
#include "tablet/meters.h"
#include "tests/unit/tablet/fixture.h"
#include "tests/unit/unit.h"

/* ---- the tablet */

void world_init(struct world *w)
{
        memset(w, 0, sizeof *w);
        unit_temp_template(w->dir, sizeof w->dir, "shoal-tablet");
        ck_assert(mkdtemp(w->dir) != NULL);
        hlc_init(&w->hlc, wall_us, 500 * 1000);
        w->so.address = "127.0.0.1:0";
        w->so.max_message_bytes = 4 << 20;
        w->so.max_requests = 1000;
        w->so.max_queued_bytes = 4 << 20;
}

void world_apply(struct world *w, uint64_t id, const char *const *names, size_t n, uint64_t epoch)
{
        Shoal__V1__Topology topology = SHOAL__V1__TOPOLOGY__INIT;
        Shoal__V1__Keyspace keyspace = SHOAL__V1__KEYSPACE__INIT, *keyspaces[] = { &keyspace };
        Shoal__V1__Shard shards[8], *refs[8];

        for (size_t i = 0; i < n; i++) {
                shoal__v1__shard__init(&shards[i]);
                refs[i] = &shards[i];
                shards[i].name = (char *)names[i];
                shards[i].tablet = (char *)"tablet-0";
                shards[i].epoch = epoch;
        }
        keyspace.id = id;
        keyspace.n_shards = n;
        keyspace.shards = refs;
        topology.version = ++w->topology_version;
        topology.n_keyspaces = id != 0;
        topology.keyspaces = keyspaces;
        registry_apply(w->registry, &topology);
}

static void make_table(struct world *w)
{
        static Shoal__V1__ChangeSchema change;
        struct line *l = line_open(w);
        struct answer answer;
        struct ask a;

        ask_init(&a, 2, "");
        shoal__v1__change_schema__init(&change);
        change.keyspace_id = 1;
        change.n_shards = 2;
        change.shards = a.shards;
        change.version = 1;
        change.change_id = (char *)"c1";
        change.sql = (char *)"CREATE TABLE t(id INTEGER PRIMARY KEY, v)";
        a.m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CHANGE_SCHEMA;
        a.m.change_schema = &change;
        line_wait(l, line_send(l, &a.m), &answer);
        ck_assert_str_eq(answer.text, "//");
        line_close(l);
}

void world_open(struct world *w)
{
        static const char *const names[] = { "-80", "80-" };
        struct registry_options ro = { .id = "tablet-0", .data_dir = w->dir };
        struct rpc_channel_options co = { .max_reply_bytes = 64 << 20 };
        struct err e = ERR_INIT;
        static char address[32];

        meters_init();
        w->loop = loop_new();
        w->readers = pool_new("reader", 4);
        w->pinners = pool_new("pinner", 1);
        w->writers = pool_new("writer", ENV_WRITER_THREADS);
        w->eo.data_dir = w->dir;
        w->eo.writers = w->writers;
        w->eo.hlc = &w->hlc;
        ck_assert_msg(engine_new(&w->eo, &w->engine, &e) == ERR_OK, "%s", e.msg);
        ro.loop = w->loop;
        ro.engine = w->engine;
        ro.pool = w->readers;
        ck_assert_msg(registry_new(&ro, &w->registry, &e) == ERR_OK, "%s", e.msg);
        w->so.loop = w->loop;
        w->so.registry = w->registry;
        w->so.hlc = &w->hlc;
        w->so.readers = w->readers;
        w->so.pinners = w->pinners;
        if (!w->so.read_parallelism)
                w->so.read_parallelism = 4;
        if (!w->so.max_pins)
                w->so.max_pins = 64;
        ck_assert_msg(service_start(&w->so, &w->service, &e) == ERR_OK, "%s", e.msg);
        snprintf(address, sizeof address, "127.0.0.1:%d",
                 rpc_server_port(service_server(w->service)));
        co.address = address;
        w->channel = rpc_channel_new(w->loop, &co);
        world_apply(w, 1, names, 2, 1);
        make_table(w);
}

static void on_drained(void *arg)
{
        struct world *w = arg;

        w->is_drained = true;
}

void world_drain(struct world *w, uint64_t grace_ms)
{
        w->is_draining = true;
        service_drain(w->service, grace_ms, on_drained, w);
}

static bool has_drained(void *arg)
{
        return ((struct world *)arg)->is_drained;
}

static void on_closed(void *arg)
{
        *(bool *)arg = true;
}

void world_done(struct world *w)
{
        bool is_closed = false;
        char command[128];

        rpc_channel_free(w->channel);
        if (!w->is_draining)
                world_drain(w, 1000);
        world_until(w, has_drained, w);
        registry_close(w->registry, on_closed, &is_closed);
        loop_run_until(w->loop, &is_closed);
        service_free(w->service);
        registry_free(w->registry);
        pool_free(w->readers);
        pool_free(w->pinners);
        engine_free(w->engine);
        pool_free(w->writers);
        loop_free(w->loop);
        snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
        ck_assert_int_eq(system(command), 0);
}

/* ---- waiting: asked again every few milliseconds of the loop */

struct waiting {
        struct loop_timer timer;
        struct world *world;
        bool (*cond)(void *arg);
        void *arg;
        bool is_true;
};

static void look_again(struct loop_timer *t)
{
        struct waiting *x = CONTAINER_OF(t, struct waiting, timer);

        x->is_true = x->cond(x->arg);
        if (!x->is_true)
                loop_timer_set(x->world->loop, t, mono_us() + 2000);
}

void world_until(struct world *w, bool (*cond)(void *arg), void *arg)
{
        struct waiting x = { .timer.fn = look_again, .world = w, .cond = cond, .arg = arg };

        look_again(&x.timer);
        loop_run_until(w->loop, &x.is_true);
}

/* ---- a stream */

static void keep_reply(struct line *l, const uint8_t *p, size_t n_bytes)
{
        Shoal__V1__TabletReply *r = shoal__v1__tablet_reply__unpack(NULL, n_bytes, p);

        ck_assert(r != NULL);
        ck_assert_uint_lt(l->n_replies, LINE_MAX_REPLIES);
        l->in_message[l->n_replies] = l->n_messages;
        l->replies[l->n_replies++] = r;
        for (size_t i = 0; i < r->n_shards; i++)
                l->n_bytes += r->shards[i]->result.len;
        for (size_t i = 0; i < r->n_more; i++)
                keep_reply(l, r->more[i].data, r->more[i].len);
}

static void on_message(void *arg, const grpc_slice *slice)
{
        struct line *l = arg;

        l->n_messages++;
        keep_reply(l, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

static void on_end(void *arg, const struct err *e)
{
        struct line *l = arg;

        l->has_ended = true;
        l->end = *e;
}

struct line *line_open(struct world *w)
{
        static const struct rpc_stream_events events = { .on_message = on_message,
                                                         .on_end = on_end };
        struct line *l = xcalloc(1, sizeof *l);

        l->world = w;
        l->next_id = 1;
        l->stream = rpc_stream_open(w->channel, "/shoal.v1.Tablet/Connect", &events, l);
        return l;
}

static bool has_ended(void *arg)
{
        return ((struct line *)arg)->has_ended;
}

struct line *line_close(struct line *l)
{
        if (!l->has_ended)
                rpc_stream_cancel(l->stream);
        world_until(l->world, has_ended, l);
        rpc_stream_free(l->stream);
        for (size_t i = 0; i < l->n_replies; i++)
                shoal__v1__tablet_reply__free_unpacked(l->replies[i], NULL);
        free(l);
        return NULL;
}

void line_send_bytes(struct line *l, const void *p, size_t n_bytes)
{
        struct buf b = BUF_INIT(0);

        buf_add(&b, p, n_bytes);
        rpc_stream_write(l->stream, rpc_from_buf(&b));
}

uint64_t line_send(struct line *l, Shoal__V1__TabletRequest *m)
{
        if (!m->id)
                m->id = l->next_id++;
        rpc_stream_write(l->stream, rpc_pack(&m->base));
        return m->id;
}

void line_credit(struct line *l, uint64_t id, uint64_t n_bytes)
{
        Shoal__V1__TabletRequest m = SHOAL__V1__TABLET_REQUEST__INIT;
        Shoal__V1__Credit credit = SHOAL__V1__CREDIT__INIT;

        credit.bytes = n_bytes;
        m.id = id;
        m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CREDIT;
        m.credit = &credit;
        line_send(l, &m);
}

void line_cancel(struct line *l, uint64_t id)
{
        Shoal__V1__TabletRequest m = SHOAL__V1__TABLET_REQUEST__INIT;
        Shoal__V1__Cancel cancel = SHOAL__V1__CANCEL__INIT;

        m.id = id;
        m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CANCEL;
        m.cancel = &cancel;
        line_send(l, &m);
}

struct ask *ask_init(struct ask *a, unsigned n_shards, const char *sql)
{
        static const char *const names[] = { "-80", "80-" };

        shoal__v1__tablet_request__init(&a->m);
        shoal__v1__execute__init(&a->x);
        for (unsigned i = 0; i < 2; i++) {
                shoal__v1__shard_ref__init(&a->refs[i]);
                a->refs[i].name = (char *)names[i];
                a->refs[i].epoch = 1;
                a->shards[i] = &a->refs[i];
                shoal__v1__value__init(&a->values[i]);
                a->params[i] = &a->values[i];
        }
        a->m.body_case = SHOAL__V1__TABLET_REQUEST__BODY_EXECUTE;
        a->m.execute = &a->x;
        a->x.keyspace_id = 1;
        a->x.shards = a->shards;
        a->x.n_shards = n_shards;
        a->x.sql = (char *)sql;
        a->x.params = a->params;
        return a;
}

bool line_has_end(const struct line *l, uint64_t id)
{
        for (size_t i = 0; i < l->n_replies; i++)
                if (l->replies[i]->id == id && l->replies[i]->end)
                        return true;
        return false;
}

size_t line_bytes(const struct line *l, uint64_t id)
{
        size_t n = 0;

        for (size_t i = 0; i < l->n_replies; i++)
                for (size_t k = 0; l->replies[i]->id == id && k < l->replies[i]->n_shards; k++)
                        n += l->replies[i]->shards[k]->result.len;
        return n;
}

struct end_of {
        struct line *l;
        uint64_t id;
};

static bool is_answered(void *arg)
{
        struct end_of *e = arg;

        ck_assert_msg(!e->l->has_ended, "the stream has ended: %s", e->l->end.msg);
        return line_has_end(e->l, e->id);
}

static void note_piece(struct answer *a, const Shoal__V1__ShardReply *s, char *text, size_t n_text)
{
        char columns[256] = "";

        a->n_pieces++;
        if (s->end)
                a->last_shard = s->shard;
        if (s->failure)
                snprintf(text, n_text, "%s %s", err_code_name((enum err_code)s->failure->code),
                         s->failure->reason);
        else
                describe_result(s->result.data, s->result.len, text, n_text, columns,
                                sizeof columns);
        a->is_replayed = a->is_replayed || s->replayed;
        if (s->pinned) {
                a->cut_c = s->cut_c;
                a->cut_e = s->cut_e;
        }
        if (!s->end)
                return;
        a->commit_ts = s->commit_ts;
        a->n_rows = s->rows;
        snprintf(a->note, sizeof a->note, "%.*s", (int)s->request_note.len,
                 (const char *)s->request_note.data);
}

void line_wait(struct line *l, uint64_t id, struct answer *ret_answer)
{
        struct end_of e = { l, id };
        static char texts[2][4096];

        world_until(l->world, is_answered, &e);
        memset(ret_answer, 0, sizeof *ret_answer);
        texts[0][0] = texts[1][0] = '\0';
        for (size_t i = 0; i < l->n_replies; i++) {
                const Shoal__V1__TabletReply *r = l->replies[i];

                if (r->id != id)
                        continue;
                ret_answer->n_messages++;
                ret_answer->message = l->in_message[i];
                ret_answer->hlc = r->hlc;
                for (size_t k = 0; k < r->n_shards; k++) {
                        ck_assert_uint_lt(r->shards[k]->shard, 2);
                        note_piece(ret_answer, r->shards[k], texts[r->shards[k]->shard],
                                   sizeof texts[0]);
                }
        }
        snprintf(ret_answer->text, sizeof ret_answer->text, "%s/%s/", texts[0], texts[1]);
}

const char *line_ask(struct line *l, unsigned n_shards, bool write, const char *sql)
{
        static struct answer answer;
        struct ask a;

        ask_init(&a, n_shards, sql);
        a.x.write = write;
        line_wait(l, line_send(l, &a.m), &answer);
        return answer.text;
}
