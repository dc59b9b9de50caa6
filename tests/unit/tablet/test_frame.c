/* test_frame.c - frames by hand against protobuf-c, and anything at all as input. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/wire.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "tablet/frame.h"
#include "tests/unit/unit.h"

typedef Shoal__V1__TabletRequest pb_request;

static uint8_t message[65536];
static struct frame_scratch scratch;

static void tear_down(void)
{
        frame_scratch_done(&scratch);
}

static ProtobufCBinaryData binary(const char *s)
{
        return (ProtobufCBinaryData){ strlen(s), (uint8_t *)s };
}

static bool is_text(struct bytes b, const char *s)
{
        return b.n_bytes == strlen(s) && memcmp(b.data, s, b.n_bytes) == 0;
}

/* An Execute with every field set; the structs it is made of are static. */
static size_t pack_execute(void)
{
        static Shoal__V1__Value values[5];
        static Shoal__V1__Value *params[5];
        static Shoal__V1__ShardRef refs[2];
        static Shoal__V1__ShardRef *shards[2] = { &refs[0], &refs[1] };
        Shoal__V1__Execute x = SHOAL__V1__EXECUTE__INIT;
        pb_request rq = SHOAL__V1__TABLET_REQUEST__INIT;

        for (int i = 0; i < 5; i++) {
                shoal__v1__value__init(&values[i]);
                params[i] = &values[i];
        }
        values[0].kind_case = SHOAL__V1__VALUE__KIND_INTEGER;
        values[0].integer = -5;
        values[1].kind_case = SHOAL__V1__VALUE__KIND_REAL;
        values[1].real = 2.5;
        values[2].kind_case = SHOAL__V1__VALUE__KIND_TEXT;
        values[2].text = (char *)"text";
        values[3].kind_case = SHOAL__V1__VALUE__KIND_BLOB;
        values[3].blob = binary("blob");
        shoal__v1__shard_ref__init(&refs[0]);
        shoal__v1__shard_ref__init(&refs[1]);
        refs[0].name = (char *)"-80";
        refs[0].epoch = 3;
        refs[1].name = (char *)"80-";
        refs[1].epoch = UINT64_MAX;
        x.keyspace_id = 7;
        x.n_shards = 2;
        x.shards = shards;
        x.schema_version = 8;
        x.sql = (char *)"SELECT 1";
        x.n_params = 5;
        x.params = params;
        x.write = x.cheap = x.probe_request_id = x.omit_columns = true;
        x.request_id = (char *)"id";
        x.now_ms = -9;
        x.read_ts = 10;
        x.window_bytes = 11;
        x.chunk_bytes = 12;
        x.max_rows = 13;
        x.max_bytes = 14;
        x.request_digest = binary("digest");
        x.request_note = binary("note");
        rq.id = 1;
        rq.timeout_us = 2;
        rq.hlc = UINT64_MAX;
        rq.body_case = SHOAL__V1__TABLET_REQUEST__BODY_EXECUTE;
        rq.execute = &x;
        return shoal__v1__tablet_request__pack(&rq, message);
}

static void check_execute(const struct frame *f)
{
        ck_assert_uint_eq(f->id, 1);
        ck_assert_uint_eq(f->timeout_us, 2);
        ck_assert_uint_eq(f->hlc, UINT64_MAX);
        ck_assert_int_eq(f->body, FRAME_EXECUTE);
        ck_assert_uint_eq(f->keyspace_id, 7);
        ck_assert_uint_eq(f->n_shards, 2);
        ck_assert(f->shards[0].n_name_bytes == 3 && memcmp(f->shards[0].name, "-80", 3) == 0);
        ck_assert_uint_eq(f->shards[0].epoch, 3);
        ck_assert(f->shards[1].n_name_bytes == 3 && memcmp(f->shards[1].name, "80-", 3) == 0);
        ck_assert_uint_eq(f->shards[1].epoch, UINT64_MAX);
        ck_assert_uint_eq(f->schema_version, 8);
        ck_assert(is_text(f->sql, "SELECT 1"));
        ck_assert_uint_eq(f->n_params, 5);
        ck_assert(f->params[0].type == VALUE_INTEGER && f->params[0].integer == -5);
        ck_assert(f->params[1].type == VALUE_REAL && f->params[1].real == 2.5);
        ck_assert(f->params[2].type == VALUE_TEXT && f->params[2].n_bytes == 4 &&
                  memcmp(f->params[2].data, "text", 4) == 0);
        ck_assert(f->params[3].type == VALUE_BLOB && memcmp(f->params[3].data, "blob", 4) == 0);
        ck_assert_int_eq(f->params[4].type, VALUE_NULL);
        ck_assert(f->write && f->cheap && f->probe && f->omit_columns);
        ck_assert_int_eq(f->now_ms, -9);
        ck_assert_uint_eq(f->read_ts, 10);
        ck_assert_uint_eq(f->window_bytes, 11);
        ck_assert_uint_eq(f->chunk_bytes, 12);
        ck_assert_uint_eq(f->max_rows, 13);
        ck_assert_uint_eq(f->max_bytes, 14);
        ck_assert(is_text(f->request_id, "id") && is_text(f->request_digest, "digest") &&
                  is_text(f->request_note, "note"));
}

static enum err_code decode(size_t n_bytes, struct frame *f, struct err *e)
{
        /* In memory of exactly this size, so that a byte too many is noticed. */
        uint8_t *exact = xmalloc(n_bytes);
        enum err_code rc;

        memcpy(exact, message, n_bytes);
        rc = frame_decode(exact, n_bytes, &scratch, f, e);
        free(exact);
        return rc;
}

START_TEST(execute)
{
        struct err e = ERR_INIT;
        struct frame f;
        size_t n = pack_execute();

        ck_assert_msg(frame_decode(message, n, &scratch, &f, &e) == ERR_OK, "%s", e.msg);
        check_execute(&f);
}
END_TEST

/* The copy owes nothing to the message. */
START_TEST(copied)
{
        struct frame f, copy;
        size_t n = pack_execute();
        void *memory;

        ck_assert_int_eq(frame_decode(message, n, &scratch, &f, NULL), ERR_OK);
        memory = xmalloc(frame_copy_bytes(&f, n));
        frame_copy(&f, message, n, memory, &copy);
        memset(message, 0xff, sizeof message);
        frame_scratch_done(&scratch);
        check_execute(&copy);
        free(memory);
}
END_TEST

START_TEST(change_schema)
{
        Shoal__V1__ChangeSchema x = SHOAL__V1__CHANGE_SCHEMA__INIT;
        pb_request rq = SHOAL__V1__TABLET_REQUEST__INIT;
        struct frame f;

        x.keyspace_id = 7;
        x.version = 9;
        x.change_id = (char *)"change";
        x.sql = (char *)"CREATE";
        x.undo_sql = (char *)"DROP";
        x.undo = true;
        rq.id = 1;
        rq.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CHANGE_SCHEMA;
        rq.change_schema = &x;
        ck_assert_int_eq(frame_decode(message, shoal__v1__tablet_request__pack(&rq, message),
                                      &scratch, &f, NULL),
                         ERR_OK);
        ck_assert_int_eq(f.body, FRAME_CHANGE_SCHEMA);
        ck_assert_uint_eq(f.keyspace_id, 7);
        ck_assert_uint_eq(f.version, 9);
        ck_assert(is_text(f.change_id, "change") && is_text(f.sql, "CREATE") &&
                  is_text(f.undo_sql, "DROP") && f.undo);
}
END_TEST

START_TEST(cancel_and_credit)
{
        Shoal__V1__Cancel cancel = SHOAL__V1__CANCEL__INIT;
        Shoal__V1__Credit credit = SHOAL__V1__CREDIT__INIT;
        pb_request rq = SHOAL__V1__TABLET_REQUEST__INIT;
        struct frame f;

        rq.id = 4;
        rq.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CANCEL;
        rq.cancel = &cancel;
        ck_assert_int_eq(frame_decode(message, shoal__v1__tablet_request__pack(&rq, message),
                                      &scratch, &f, NULL),
                         ERR_OK);
        ck_assert(f.body == FRAME_CANCEL && f.id == 4);
        credit.bytes = 500;
        rq.body_case = SHOAL__V1__TABLET_REQUEST__BODY_CREDIT;
        rq.credit = &credit;
        ck_assert_int_eq(frame_decode(message, shoal__v1__tablet_request__pack(&rq, message),
                                      &scratch, &f, NULL),
                         ERR_OK);
        ck_assert(f.body == FRAME_CREDIT && f.id == 4 && f.credit_bytes == 500);
}
END_TEST

START_TEST(further_frames)
{
        struct buf b = BUF_INIT(0);
        struct wire_reader r;
        struct bytes more;
        struct frame f;
        size_t n = pack_execute();

        buf_add(&b, message, n);
        for (int i = 0; i < 3; i++)
                wire_add_bytes(&b, 8, message, n);
        ck_assert_int_eq(frame_decode(b.data, b.n_bytes, &scratch, &f, NULL), ERR_OK);
        check_execute(&f);
        ck_assert_uint_eq(f.n_bytes, n);
        r = wire_reader(b.data + n, b.n_bytes - n);
        for (int i = 0; i < 3; i++) {
                ck_assert(frame_next_more(&r, &more));
                ck_assert_uint_eq(more.n_bytes, n);
                ck_assert_int_eq(frame_decode(more.data, more.n_bytes, &scratch, &f, NULL), ERR_OK);
                check_execute(&f);
        }
        ck_assert(!frame_next_more(&r, &more));
        buf_done(&b);
}
END_TEST

/* ---- refused */

static void add_request(struct buf *b, void (*fill)(struct buf *body))
{
        size_t at;

        wire_add_uint(b, 1, 77);
        at = wire_begin(b, FRAME_EXECUTE);
        fill(b);
        wire_end(b, at);
}

static void fill_nul(struct buf *b)
{
        wire_add_bytes(b, 4, "SELECT 1\0", 9);
}

static void fill_shards(struct buf *b)
{
        for (int i = 0; i <= FRAME_MAX_SHARDS; i++)
                wire_add_bytes(b, 2, NULL, 0);
}

static void fill_params(struct buf *b)
{
        for (int i = 0; i <= FRAME_MAX_PARAMS; i++)
                wire_add_bytes(b, 5, NULL, 0);
}

static void fill_bad_param(struct buf *b)
{
        wire_add_bytes(b, 5, "\x1a\x02\xff\xff", 4);
}

static void fill_bad_shard(struct buf *b)
{
        wire_add_bytes(b, 2, "\x0a\x7f", 2);
}

static void fill_long_id(struct buf *b)
{
        static const char id[FRAME_MAX_REQUEST_ID_BYTES + 1] = "x";

        wire_add_bytes(b, 8, id, sizeof id);
}

static const struct {
        const char *label;
        void (*fill)(struct buf *b);
        enum err_code want;
        const char *reason;
} refusals[] = {
        { "a NUL in the SQL", fill_nul, ERR_INVALID, "BAD_REQUEST" },
        { "too many shards", fill_shards, ERR_EXHAUSTED, "TOO_MANY_SHARDS" },
        { "too many parameters", fill_params, ERR_EXHAUSTED, "TOO_MANY_PARAMETERS" },
        { "text that is not UTF-8", fill_bad_param, ERR_INVALID, "BAD_VALUE" },
        { "a shard that is cut off", fill_bad_shard, ERR_INVALID, "BAD_REQUEST" },
        { "a long request_id", fill_long_id, ERR_INVALID, "BAD_REQUEST" },
};

START_TEST(refused)
{
        struct buf b = BUF_INIT(0);
        struct err e = ERR_INIT;
        struct frame f;

        add_request(&b, refusals[_i].fill);
        ck_assert_msg(frame_decode(b.data, b.n_bytes, &scratch, &f, &e) == refusals[_i].want,
                      "%s: %d", refusals[_i].label, e.code);
        ck_assert_str_eq(e.reason, refusals[_i].reason);
        ck_assert_uint_eq(f.id, 77); /* so that the request can be answered */
        buf_done(&b);
}
END_TEST

START_TEST(two_bodies)
{
        struct buf b = BUF_INIT(0);
        struct frame f;

        add_request(&b, fill_nul);
        wire_add_bytes(&b, FRAME_CANCEL, NULL, 0);
        ck_assert_int_eq(frame_decode(b.data, b.n_bytes, &scratch, &f, NULL), ERR_INVALID);
        buf_done(&b);
}
END_TEST

/* Cut anywhere, or with any byte changed, it is refused or means something else; it never reads
 * beyond its end. */
START_TEST(mutilated)
{
        size_t n = pack_execute();
        unsigned seed = 1;
        struct frame f;

        for (size_t i = 0; i < n; i++)
                (void)!decode(i, &f, NULL);
        for (int i = 0; i < 20000; i++) {
                uint8_t *p = &message[rand_r(&seed) % n];
                uint8_t before = *p;

                *p = (uint8_t)rand_r(&seed);
                (void)!decode(n, &f, NULL);
                if (i % 3)
                        *p = before;
                if (i % 100 == 0)
                        pack_execute();
        }
}
END_TEST

/* ---- replies */

static Shoal__V1__TabletReply *unpack(const struct buf *b)
{
        Shoal__V1__TabletReply *r = shoal__v1__tablet_reply__unpack(NULL, b->n_bytes, b->data);

        ck_assert(r != NULL);
        return r;
}

START_TEST(reply)
{
        struct err e = ERR_INIT;
        struct frame_piece pieces[] = {
                { .shard = 0, .result = (const uint8_t *)"\x18\x05", .n_result_bytes = 2 },
                { .shard = 1,
                  .result = (const uint8_t *)"\x18\x05",
                  .n_result_bytes = 2,
                  .end = true,
                  .elapsed_us = 10,
                  .rows = 11,
                  .commit_ts = 12,
                  .cut_c = 13,
                  .cut_e = 14,
                  .note = { "note", 4 },
                  .replayed = true },
                { .shard = 2, .end = true, .failure = &e },
        };
        struct buf b = BUF_INIT(0);
        Shoal__V1__TabletReply *r;
        Shoal__V1__ShardReply *s;

        err_set(&e, ERR_PRECONDITION, "REASON", "message");
        e.extended_code = 2067;
        snprintf(e.sqlite_msg, sizeof e.sqlite_msg, "sqlite");
        e.offset = 3;
        frame_add_head(&b, 5, 6);
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
                frame_add_piece(&b, &pieces[i]);
        frame_add_end(&b);
        r = unpack(&b);
        ck_assert(r->id == 5 && r->hlc == 6 && r->end && r->n_shards == 3);
        s = r->shards[0];
        ck_assert(s->shard == 0 && !s->end && s->result.len == 2 && !s->failure);
        s = r->shards[1];
        ck_assert(s->shard == 1 && s->end && s->elapsed_us == 10 && s->rows == 11 &&
                  s->commit_ts == 12);
        ck_assert(s->cut_c == 13 && s->cut_e == 14 && s->replayed && s->request_note.len == 4);
        s = r->shards[2];
        ck_assert(s->shard == 2 && s->end && s->failure && s->failure->code == ERR_PRECONDITION);
        ck_assert_str_eq(s->failure->reason, "REASON");
        ck_assert_str_eq(s->failure->message, "message");
        ck_assert_str_eq(s->failure->sqlite_message, "sqlite");
        ck_assert(s->failure->extended_code == 2067 && s->failure->offset == 4);
        shoal__v1__tablet_reply__free_unpacked(r, NULL);
        buf_done(&b);
}
END_TEST

/* A result that is appended between begin and end, small or so large that the lengths before it
 * grow. */
START_TEST(open_piece)
{
        static const size_t sizes[] = { 0, 10, 200, 20000, 3000000 };
        uint8_t *bytes = xcalloc(1, 3000000);
        struct frame_piece piece = { .end = true, .rows = 9 };
        struct buf b = BUF_INIT(0);
        struct frame_open_piece at;
        Shoal__V1__TabletReply *r;

        frame_add_head(&b, 5, 6);
        at = frame_begin_piece(&b, 3);
        buf_add(&b, bytes, sizes[_i]);
        frame_end_piece(&b, at, &piece);
        frame_add_end(&b);
        r = unpack(&b);
        ck_assert(r->end && r->n_shards == 1 && r->shards[0]->shard == 3 &&
                  r->shards[0]->rows == 9);
        ck_assert_uint_eq(r->shards[0]->result.len, sizes[_i]);
        shoal__v1__tablet_reply__free_unpacked(r, NULL);
        buf_done(&b);
        free(bytes);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("frame");
        TCase *t = tcase_create("frames");

        tcase_add_checked_fixture(t, NULL, tear_down);
        tcase_add_test(t, execute);
        tcase_add_test(t, copied);
        tcase_add_test(t, change_schema);
        tcase_add_test(t, cancel_and_credit);
        tcase_add_test(t, further_frames);
        tcase_add_loop_test(t, refused, 0, ARRAY_LEN(refusals));
        tcase_add_test(t, two_bodies);
        tcase_add_test(t, mutilated);
        tcase_add_test(t, reply);
        tcase_add_loop_test(t, open_piece, 0, 5);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
