/* Clients' requests from the wire, and answers onto it. */
#include <check.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <string.h>

#include "common/wire.h"
#include "gate/request.h"
#include "gate/result.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "tests/unit/unit.h"

static struct arena *arena;
static const struct request_limits limits = { .max_statement_bytes = 20,
                                              .max_batch_statements = 3 };

static void setup(void)
{
        arena = arena_new(1 << 16);
}

static void teardown(void)
{
        arena = arena_free(arena);
}

/* Decodes what protobuf-c has packed; the bytes lie in the arena. */
static enum err_code decode(const Shoal__V1__ExecuteRequest *m, struct execute_request *q,
                            struct err *e)
{
        size_t n = shoal__v1__execute_request__get_packed_size(m);
        uint8_t *p = arena_alloc(arena, n + 1);

        shoal__v1__execute_request__pack(m, p);
        memset(q, 0, sizeof(*q));
        return request_decode_execute(p, n, &limits, arena, q, e);
}

START_TEST(whole_request)
{
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;
        Shoal__V1__ExecuteOptions o = SHOAL__V1__EXECUTE_OPTIONS__INIT;
        Shoal__V1__Value null = SHOAL__V1__VALUE__INIT, text = SHOAL__V1__VALUE__INIT;
        Shoal__V1__Value *params[] = { &null, &text };
        Shoal__V1__ExecuteRequest__NamedParamsEntry named =
            SHOAL__V1__EXECUTE_REQUEST__NAMED_PARAMS_ENTRY__INIT;
        Shoal__V1__ExecuteRequest__NamedParamsEntry *entries[] = { &named };
        struct execute_request q;
        struct err e = ERR_INIT;

        text.kind_case = SHOAL__V1__VALUE__KIND_TEXT;
        text.text = (char *)"x";
        named.key = (char *)":a";
        named.value = &text;
        m.keyspace = (char *)"k";
        m.sql = (char *)"SELECT 1";
        m.params = params;
        m.n_params = 2;
        m.named_params = entries;
        m.n_named_params = 1;
        m.request_id = (char *)"rid";
        m.options = &o;
        o.max_rows = 5;
        o.with_stats = true;
        o.read_only = true;
        o.isolation = SHOAL__V1__ISOLATION__ISOLATION_READ_COMMITTED;
        ck_assert_msg(!decode(&m, &q, &e), "%s", e.msg);
        ck_assert(q.n_keyspace_bytes == 1 && q.keyspace[0] == 'k');
        ck_assert(q.n_sql_bytes == 8 && memcmp(q.sql, "SELECT 1", 8) == 0);
        ck_assert_uint_eq(q.n_args, 3);
        ck_assert(!q.args[0].name && q.args[0].value.type == VALUE_NULL);
        ck_assert(!q.args[1].name && q.args[1].value.type == VALUE_TEXT);
        ck_assert_str_eq(q.args[2].name, ":a");
        ck_assert_uint_eq(q.args[2].value.n_bytes, 1);
        ck_assert(q.n_request_id_bytes == 3 && memcmp(q.request_id, "rid", 3) == 0);
        ck_assert(q.max_rows == 5 && q.with_stats && q.read_only);
}
END_TEST

START_TEST(statement_limit)
{
        Shoal__V1__ExecuteRequest m = SHOAL__V1__EXECUTE_REQUEST__INIT;
        struct execute_request q;
        struct err e = ERR_INIT;

        m.sql = (char *)"12345678901234567890";
        ck_assert_int_eq(decode(&m, &q, &e), ERR_OK);
        m.sql = (char *)"123456789012345678901";
        ck_assert_int_eq(decode(&m, &q, &e), ERR_EXHAUSTED);
        ck_assert_str_eq(e.reason, "STATEMENT_TOO_LARGE");
}
END_TEST

/* Messages that protobuf-c would not make. */
static const struct {
        const char *label;
        const char *bytes;
        size_t n_bytes;
        enum err_code code;
} raw[] = {
        { "nothing", "", 0, ERR_OK },
        { "unknown field", "\x7a\x01x", 3, ERR_OK },
        { "sql as a number", "\x10\x01", 2, ERR_OK },
        { "cut short",
          "\x12\x05"
          "abc",
          5, ERR_INVALID },
        { "no UTF-8", "\x12\x02\xc3\x28", 4, ERR_INVALID },
        { "NUL in the statement", "\x12\x03x\0y", 5, ERR_INVALID },
        { "keyspace is no UTF-8", "\x0a\x01\xff", 3, ERR_INVALID },
        { "request_id is no UTF-8", "\x32\x01\xff", 3, ERR_INVALID },
        { "value of no kind", "\x1a\x00", 2, ERR_OK },
        { "value of a new kind", "\x1a\x02\x48\x01", 4, ERR_INVALID },
        { "value's text is no UTF-8", "\x1a\x03\x1a\x01\xff", 5, ERR_INVALID },
        { "entry without value", "\x22\x03\x0a\x01x", 5, ERR_OK },
        { "entry without key", "\x22\x02\x12\x00", 4, ERR_OK },
        { "key is no UTF-8", "\x22\x03\x0a\x01\xff", 5, ERR_INVALID },
        { "entry cut short", "\x22\x02\x0a\x05", 4, ERR_INVALID },
        { "options cut short", "\x3a\x01\x08", 3, ERR_INVALID },
        { "isolation", "\x3a\x02\x20\x05", 4, ERR_OK },
        { "isolation beyond all", "\x3a\x03\x20\xff\x01", 5, ERR_UNIMPLEMENTED },
        { "session", "\x2a\x01s", 3, ERR_OK },
        { "no session", "\x2a\x00", 2, ERR_OK },
};

START_TEST(raw_requests)
{
        struct execute_request q;
        struct err e = ERR_INIT;
        uint8_t *p = xmalloc(raw[_i].n_bytes + 1);
        enum err_code rc;

        memcpy(p, raw[_i].bytes, raw[_i].n_bytes);
        p = xrealloc(p, raw[_i].n_bytes ? raw[_i].n_bytes : 1);
        rc = request_decode_execute(p, raw[_i].n_bytes, &limits, arena, &q, &e);
        ck_assert_msg(rc == raw[_i].code, "%s: %d", raw[_i].label, rc);
        free(p);
}
END_TEST

/* More parameters than the arena has room for. */
START_TEST(arena_is_full)
{
        struct buf b = BUF_INIT(0);
        struct execute_request q;
        struct err e = ERR_INIT;

        for (int i = 0; i < 5000; i++)
                wire_add_bytes(&b, 3, "", 0);
        ck_assert_int_eq(request_decode_execute(b.data, b.n_bytes, &limits, arena, &q, &e),
                         ERR_EXHAUSTED);
        buf_done(&b);
}
END_TEST

START_TEST(batches)
{
        Shoal__V1__ExecuteBatchRequest m = SHOAL__V1__EXECUTE_BATCH_REQUEST__INIT;
        Shoal__V1__Statement s = SHOAL__V1__STATEMENT__INIT;
        Shoal__V1__Statement *statements[] = { &s, &s, &s, &s };
        Shoal__V1__Value v = SHOAL__V1__VALUE__INIT;
        Shoal__V1__Value *params[] = { &v };
        struct request_batch b;
        struct err e = ERR_INIT;
        uint8_t p[200];
        size_t n;

        s.sql = (char *)"x";
        s.params = params;
        s.n_params = 1;
        m.statements = statements;
        m.n_statements = 3;
        m.keyspace = (char *)"k";
        n = shoal__v1__execute_batch_request__pack(&m, p);
        ck_assert_int_eq(request_decode_batch(p, n, &limits, arena, &b, &e), ERR_OK);
        ck_assert_uint_eq(b.n_statements, 3);
        ck_assert_uint_eq(b.common.n_keyspace_bytes, 1);
        for (size_t i = 0; i < 3; i++) {
                struct execute_request q = b.common;

                ck_assert_int_eq(request_decode_statement(&b.statements[i], &limits, arena, &q, &e),
                                 ERR_OK);
                ck_assert(q.n_sql_bytes == 1 && q.n_args == 1 && q.n_keyspace_bytes == 1);
        }
        m.n_statements = 4;
        n = shoal__v1__execute_batch_request__pack(&m, p);
        ck_assert_int_eq(request_decode_batch(p, n, &limits, arena, &b, &e), ERR_EXHAUSTED);
        ck_assert_str_eq(e.reason, "BATCH_TOO_LARGE");
        ck_assert_int_eq(request_decode_batch(p, n - 1, &limits, arena, &b, &e), ERR_INVALID);
}
END_TEST

/* ---- answers */

/* The bytes of the buffer, and how many slices it has. */
static struct buf bytes_of(grpc_byte_buffer *bb, size_t *ret_n_slices)
{
        struct buf b = BUF_INIT(0);
        grpc_byte_buffer_reader r;
        grpc_slice slice;

        *ret_n_slices = bb->data.raw.slice_buffer.count;
        ck_assert(grpc_byte_buffer_reader_init(&r, bb));
        while (grpc_byte_buffer_reader_next(&r, &slice)) {
                buf_add(&b, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
                grpc_slice_unref(slice);
        }
        grpc_byte_buffer_reader_destroy(&r);
        grpc_byte_buffer_destroy(bb);
        return b;
}

static grpc_slice row_of(size_t n_bytes)
{
        char *text = xmalloc(n_bytes + 1);
        struct value v = value_text(text, n_bytes);
        struct buf b = BUF_INIT(0);
        grpc_slice slice;
        size_t at = wire_begin(&b, 2);

        memset(text, 'x', n_bytes);
        value_add(&b, 1, &v);
        wire_end(&b, at);
        slice = grpc_slice_from_copied_buffer((const char *)b.data, b.n_bytes);
        buf_done(&b);
        free(text);
        return slice;
}

/* Small results become one run of bytes, large ones keep their slices. */
START_TEST(results)
{
        static const uint8_t columns[] = { 0x0a, 0x03, 0x0a, 0x01, 'c' };
        static const size_t sizes[][3] = { { 0, 5, 10 }, { 10, 100000, 20 }, { 5000, 5000, 5000 } };
        static const size_t n_slices[] = { 1, 3, 5 };
        struct result r = { .columns = columns, .n_columns_bytes = sizeof(columns) };
        struct message m = { 0 };
        Shoal__V1__ExecuteResponse *x;
        struct buf b;
        size_t n;

        grpc_init();
        for (size_t i = 0; i < 3; i++)
                result_add(&r, row_of(sizes[_i][i]));
        message_add_result(&m, 1, &r);
        ck_assert_uint_eq(result_size(&r), 0);
        wire_add_str(&m.head, 2, "session");
        b = bytes_of(message_take(&m), &n);
        ck_assert_uint_eq(n, n_slices[_i]);
        x = shoal__v1__execute_response__unpack(NULL, b.n_bytes, b.data);
        ck_assert_ptr_nonnull(x);
        ck_assert_str_eq(x->session, "session");
        ck_assert_uint_eq(x->result->n_rows, 3);
        ck_assert_str_eq(x->result->columns[0]->name, "c");
        for (size_t i = 0; i < 3; i++)
                ck_assert_uint_eq(strlen(x->result->rows[i]->values[0]->text), sizes[_i][i]);
        shoal__v1__execute_response__free_unpacked(x, NULL);
        buf_done(&b);
        result_add(&r, row_of(5000));
        message_add_result(&m, 1, &r);
        message_clear(&m); /* never sent */
        grpc_shutdown();
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/request");
        TCase *t = tcase_create("request");

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, whole_request);
        tcase_add_test(t, statement_limit);
        tcase_add_loop_test(t, raw_requests, 0, ARRAY_LEN(raw));
        tcase_add_test(t, arena_is_full);
        tcase_add_test(t, batches);
        tcase_add_loop_test(t, results, 0, 3);
        suite_add_tcase(s, t);
        return unit_run(s);
}
