/* The frames between gate and tablet, against protobuf-c. */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "gate/tablet_wire.h"
#include "proto/shoal/v1/internal.pb-c.h"
#include "tests/unit/unit.h"

static const struct tablet_shard shards[] = { { "-80", 3 }, { "80-", UINT64_MAX } };

START_TEST(execute_is_what_protobuf_reads)
{
        const struct value params[] = { value_integer(-5), value_null(), value_text("a", 1),
                                        value_blob("\0b", 2), value_real(1.5) };
        const struct tablet_execute x = {
                .keyspace_id = 7,
                .schema_version = 9,
                .sql = "SELECT ?1",
                .n_sql_bytes = 9,
                .params = params,
                .n_params = ARRAY_LEN(params),
                .write = true,
                .cheap = true,
                .request_id = "rid",
                .n_request_id_bytes = 3,
                .now_ms = -12,
                .window_bytes = 1000,
                .chunk_bytes = 2000,
                .max_rows = 3000,
                .max_bytes = 4000,
                .request_digest = (const uint8_t *)"digest",
                .n_digest_bytes = 6,
                .probe_request_id = true,
                .request_note = (const uint8_t *)"note",
                .n_note_bytes = 4,
        };
        struct buf b = BUF_INIT(0);
        Shoal__V1__TabletRequest *m;
        Shoal__V1__Execute *e;

        tablet_wire_add_head(&b, 11, 22, 33);
        tablet_wire_add_execute(&b, shards, 2, &x);
        ck_assert_uint_le(b.n_bytes, tablet_wire_execute_size(shards, 2, &x) + 40);
        m = shoal__v1__tablet_request__unpack(NULL, b.n_bytes, b.data);
        ck_assert(m && m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_EXECUTE);
        ck_assert_uint_eq(m->id, 11);
        ck_assert_uint_eq(m->timeout_us, 22);
        ck_assert_uint_eq(m->hlc, 33);
        e = m->execute;
        ck_assert_uint_eq(e->keyspace_id, 7);
        ck_assert_uint_eq(e->n_shards, 2);
        ck_assert_str_eq(e->shards[0]->name, "-80");
        ck_assert_uint_eq(e->shards[1]->epoch, UINT64_MAX);
        ck_assert_uint_eq(e->schema_version, 9);
        ck_assert_str_eq(e->sql, "SELECT ?1");
        ck_assert_uint_eq(e->n_params, 5);
        ck_assert_int_eq(e->params[0]->integer, -5);
        ck_assert_int_eq(e->params[1]->kind_case, SHOAL__V1__VALUE__KIND__NOT_SET);
        ck_assert_str_eq(e->params[2]->text, "a");
        ck_assert_uint_eq(e->params[3]->blob.len, 2);
        ck_assert_double_eq(e->params[4]->real, 1.5);
        ck_assert(e->write && e->cheap && e->probe_request_id && e->omit_columns);
        ck_assert_str_eq(e->request_id, "rid");
        ck_assert_int_eq(e->now_ms, -12);
        ck_assert_uint_eq(e->window_bytes, 1000);
        ck_assert_uint_eq(e->chunk_bytes, 2000);
        ck_assert_uint_eq(e->max_rows, 3000);
        ck_assert_uint_eq(e->max_bytes, 4000);
        ck_assert_mem_eq(e->request_digest.data, "digest", 6);
        ck_assert_mem_eq(e->request_note.data, "note", 4);
        shoal__v1__tablet_request__free_unpacked(m, NULL);
        buf_done(&b);
}
END_TEST

START_TEST(other_bodies)
{
        const struct tablet_change_schema x = {
                .keyspace_id = 1, .version = 2, .change_id = "c", .sql = "s", .undo = true
        };
        struct buf b = BUF_INIT(0);
        Shoal__V1__TabletRequest *m;

        tablet_wire_add_change_schema(&b, shards, 1, &x);
        m = shoal__v1__tablet_request__unpack(NULL, b.n_bytes, b.data);
        ck_assert(m && m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_CHANGE_SCHEMA);
        ck_assert_uint_eq(m->change_schema->version, 2);
        ck_assert_str_eq(m->change_schema->change_id, "c");
        ck_assert_str_eq(m->change_schema->sql, "s");
        ck_assert(m->change_schema->undo);
        shoal__v1__tablet_request__free_unpacked(m, NULL);

        b.n_bytes = 0;
        tablet_wire_add_head(&b, 5, 0, 0);
        tablet_wire_add_cancel(&b, NULL, 0);
        m = shoal__v1__tablet_request__unpack(NULL, b.n_bytes, b.data);
        ck_assert(m && m->id == 5 && m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_CANCEL);
        ck_assert_uint_eq(m->cancel->n_shards, 0);
        shoal__v1__tablet_request__free_unpacked(m, NULL);

        b.n_bytes = 0;
        tablet_wire_add_cancel(&b, (const uint32_t[]){ 0, 300 }, 2);
        m = shoal__v1__tablet_request__unpack(NULL, b.n_bytes, b.data);
        ck_assert(m && m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_CANCEL);
        ck_assert_uint_eq(m->cancel->n_shards, 2);
        ck_assert(m->cancel->shards[0] == 0 && m->cancel->shards[1] == 300);
        shoal__v1__tablet_request__free_unpacked(m, NULL);

        b.n_bytes = 0;
        tablet_wire_add_release(&b, 77);
        m = shoal__v1__tablet_request__unpack(NULL, b.n_bytes, b.data);
        ck_assert(m && m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_RELEASE);
        ck_assert_uint_eq(m->release->pin, 77);
        shoal__v1__tablet_request__free_unpacked(m, NULL);

        b.n_bytes = 0;
        tablet_wire_add_credit(&b, 1 << 20);
        m = shoal__v1__tablet_request__unpack(NULL, b.n_bytes, b.data);
        ck_assert(m && m->body_case == SHOAL__V1__TABLET_REQUEST__BODY_CREDIT);
        ck_assert_uint_eq(m->credit->bytes, 1 << 20);
        shoal__v1__tablet_request__free_unpacked(m, NULL);
        buf_done(&b);
}
END_TEST

/* Encodes a reply of two pieces, rows and a failure. */
static uint8_t *pack_reply(size_t *ret_n)
{
        Shoal__V1__TabletReply m = SHOAL__V1__TABLET_REPLY__INIT;
        Shoal__V1__ShardReply rows = SHOAL__V1__SHARD_REPLY__INIT;
        Shoal__V1__ShardReply failed = SHOAL__V1__SHARD_REPLY__INIT;
        Shoal__V1__ShardReply *pieces[] = { &rows, &failed };
        Shoal__V1__Failure failure = SHOAL__V1__FAILURE__INIT;
        uint8_t *p;

        rows.result.data = (uint8_t *)"rows";
        rows.result.len = 4;
        rows.end = true;
        rows.rows = 12;
        rows.elapsed_us = 34;
        rows.commit_ts = 56;
        rows.replayed = true;
        rows.request_note.data = (uint8_t *)"n";
        rows.request_note.len = 1;
        failed.shard = 1;
        failed.failure = &failure;
        failure.code = ERR_PRECONDITION;
        failure.reason = (char *)"R";
        failure.message = (char *)"M";
        failure.extended_code = 2067;
        failure.sqlite_message = (char *)"S";
        failure.offset = 8;
        m.id = UINT64_MAX;
        m.hlc = 77;
        m.end = true;
        m.shards = pieces;
        m.n_shards = 2;
        *ret_n = shoal__v1__tablet_reply__get_packed_size(&m);
        p = xmalloc(*ret_n);
        shoal__v1__tablet_reply__pack(&m, p);
        return p;
}

START_TEST(replies)
{
        size_t n;
        uint8_t *p = pack_reply(&n);
        struct wire_reader r = wire_reader(p, n);
        struct tablet_wire_reply reply;
        struct tablet_reply piece;
        struct err e;
        bool malformed;

        ck_assert(tablet_wire_read_reply(p, n, &reply));
        ck_assert(reply.id == UINT64_MAX && reply.hlc == 77 && reply.end);
        ck_assert(tablet_wire_next_piece(&r, &piece, &e, &malformed));
        ck_assert(piece.shard == 0 && piece.end && !piece.failure && piece.replayed);
        ck_assert_uint_eq(piece.n_result_bytes, 4);
        ck_assert_mem_eq(piece.result, "rows", 4);
        ck_assert(piece.rows == 12 && piece.elapsed_us == 34 && piece.commit_ts == 56);
        ck_assert_uint_eq(piece.n_note_bytes, 1);
        ck_assert(tablet_wire_next_piece(&r, &piece, &e, &malformed));
        ck_assert(piece.shard == 1 && piece.end && piece.failure == &e);
        ck_assert(e.code == ERR_PRECONDITION && e.extended_code == 2067 && e.offset == 7);
        ck_assert_str_eq(e.reason, "R");
        ck_assert_str_eq(e.msg, "M");
        ck_assert_str_eq(e.sqlite_msg, "S");
        ck_assert(!tablet_wire_next_piece(&r, &piece, &e, &malformed));
        ck_assert(!malformed);
        free(p);
}
END_TEST

static void read_all(const uint8_t *p, size_t n)
{
        /* Behind the end lies nothing that may be read. */
        uint8_t *copy = xmalloc(n + 1);
        struct wire_reader r;
        struct tablet_wire_reply reply;
        struct tablet_reply piece;
        struct err e;
        bool malformed;

        memcpy(copy, p, n);
        copy = xrealloc(copy, n ? n : 1);
        r = wire_reader(copy, n);
        if (tablet_wire_read_reply(copy, n, &reply)) {
                while (tablet_wire_next_piece(&r, &piece, &e, &malformed)) {
                        if (piece.failure)
                                ck_assert(e.code != ERR_OK && e.code <= ERR_UNAUTHENTICATED);
                }
        }
        free(copy);
}

/* Whatever a tablet sends, nothing is read that is not there. */
START_TEST(damaged_replies)
{
        size_t n;
        uint8_t *p = pack_reply(&n);
        unsigned seed = 1;

        for (size_t cut = 0; cut <= n; cut++)
                read_all(p, cut);
        for (unsigned i = 0; i < 20000; i++) {
                size_t at = (size_t)rand_r(&seed) % n;
                uint8_t was = p[at];

                p[at] = (uint8_t)rand_r(&seed);
                read_all(p, n);
                if (rand_r(&seed) % 4)
                        p[at] = was;
        }
        free(p);
}
END_TEST

/* A failure without a code, or with one that is none, still is a failure. */
START_TEST(failure_without_code)
{
        static const uint8_t message[] = { 0x1a, 4, 0x22, 2, 0x08, 99 };
        struct wire_reader r = wire_reader(message, sizeof(message));
        struct tablet_reply piece;
        struct err e;
        bool malformed;

        ck_assert(tablet_wire_next_piece(&r, &piece, &e, &malformed));
        ck_assert(piece.failure && e.code == ERR_UNKNOWN);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/tablet_wire");
        TCase *t = tcase_create("wire");

        tcase_set_timeout(t, 30);
        tcase_add_test(t, execute_is_what_protobuf_reads);
        tcase_add_test(t, other_bodies);
        tcase_add_test(t, replies);
        tcase_add_test(t, damaged_replies);
        tcase_add_test(t, failure_without_code);
        suite_add_tcase(s, t);
        return unit_run(s);
}
