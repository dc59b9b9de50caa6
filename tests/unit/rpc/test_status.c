/* struct err as google.rpc.Status and back. */
#include <grpc/slice.h>

#include "common/value.h"
#include "common/wire.h"
#include "rpc/status.h"
#include "tests/unit/rpc/fixture.h"

static struct err round_trip(const struct err *e)
{
        struct buf b = BUF_INIT(0);
        struct err back;

        status_encode(&b, e);
        ck_assert(!b.failed);
        status_decode(b.data, b.n_bytes, e->code, e->msg, &back);
        buf_done(&b);
        return back;
}

static const struct {
        const char *label;
        struct err e;
} cases[] = {
        { "plain",
          { .code = ERR_NOT_FOUND,
            .reason = "X",
            .msg = "no",
            .offset = -1,
            .statement_index = -1 } },
        { "nothing known", { .code = ERR_UNAVAILABLE, .offset = -1, .statement_index = -1 } },
        { "zeroes",
          { .code = ERR_INVALID,
            .reason = "SYNTAX",
            .msg = "m",
            .offset = 0,
            .statement_index = 0 } },
        { "everything",
          { .code = ERR_PRECONDITION,
            .reason = "CONSTRAINT_UNIQUE",
            .msg = "ümlaut",
            .extended_code = 2067,
            .sqlite_msg = "UNIQUE constraint failed: t.a",
            .offset = 2147483647,
            .statement_index = 99,
            .shard = "main/c0-" } },
};

START_TEST(there_and_back)
{
        const struct err *e = &cases[_i].e;
        struct err back = round_trip(e);

        ck_assert_msg(back.code == e->code, "%s", cases[_i].label);
        ck_assert_str_eq(back.reason, e->reason);
        ck_assert_str_eq(back.msg, e->msg);
        ck_assert_int_eq(back.extended_code, e->extended_code);
        ck_assert_str_eq(back.sqlite_msg, e->sqlite_msg);
        ck_assert_int_eq(back.offset, e->offset);
        ck_assert_int_eq(back.statement_index, e->statement_index);
        ck_assert_str_eq(back.shard, e->shard);
}
END_TEST

/* As other languages' libraries read it: google.rpc.Status { code, message, details { Any {
 * type_url, value } } }. */
START_TEST(bytes)
{
        struct err e;
        struct buf b = BUF_INIT(0);

        err_set(&e, ERR_OUT_OF_RANGE, "R", "m");
        e.offset = 5;
        status_encode(&b, &e);
        ck_assert_mem_eq(b.data, "\x08\x0b\x12\x01m\x1a", 6);
        ck_assert_ptr_nonnull(
            memmem(b.data, b.n_bytes, "\x0a\x28type.googleapis.com/google.rpc.ErrorInfo", 42));
        ck_assert_ptr_nonnull(memmem(b.data, b.n_bytes,
                                     "\x0a\x01R\x12\x05shoal\x1a\x0b\x0a\x06offset\x12\x01"
                                     "5",
                                     23));
        buf_done(&b);
}
END_TEST

/* Both codes of SQLite are there for clients, though one says it all. */
START_TEST(sqlite_code)
{
        struct err e;
        struct buf b = BUF_INIT(0);

        err_set(&e, ERR_PRECONDITION, "R", "m");
        e.extended_code = 2067;
        status_encode(&b, &e);
        ck_assert_ptr_nonnull(memmem(b.data, b.n_bytes,
                                     "\x0a\x0bsqlite_code\x12\x02"
                                     "19",
                                     17));
        ck_assert_ptr_nonnull(memmem(b.data, b.n_bytes,
                                     "\x0a\x0d"
                                     "extended_code\x12\x04"
                                     "2067",
                                     21));
        buf_done(&b);
}
END_TEST

static const struct {
        const char *label, *msg, *want;
} texts[] = {
        { "ascii", "abc", "abc" },
        { "utf-8", "a\xc3\xbc\xf0\x9f\x98\x80", "a\xc3\xbc\xf0\x9f\x98\x80" },
        { "cut within a character", "abc\xc3", "abc\xef\xbf\xbd" },
        { "cut within four bytes", "\xf0\x9f\x98", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "latin-1", "f\xfcr \xc3\xbc", "f\xef\xbf\xbdr \xc3\xbc" },
        { "surrogate", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
};

START_TEST(not_utf8)
{
        struct err e, back;
        struct buf b = BUF_INIT(0);
        grpc_slice s;

        err_set(&e, ERR_INVALID, "R", "%s", "");
        snprintf(e.msg, sizeof(e.msg), "%s", texts[_i].msg);
        snprintf(e.sqlite_msg, sizeof(e.sqlite_msg), "%s", texts[_i].msg);
        status_encode(&b, &e);
        status_decode(b.data, b.n_bytes, e.code, "", &back);
        ck_assert_msg(!strcmp(back.sqlite_msg, texts[_i].want), "%s", texts[_i].label);
        ck_assert_ptr_nonnull(memmem(b.data, b.n_bytes, texts[_i].want, strlen(texts[_i].want)));
        s = status_message(&e);
        ck_assert_uint_eq(GRPC_SLICE_LENGTH(s), strlen(texts[_i].want));
        ck_assert_mem_eq(GRPC_SLICE_START_PTR(s), texts[_i].want, strlen(texts[_i].want));
        grpc_slice_unref(s);
        buf_done(&b);
}
END_TEST

/* Whatever a peer sends, the code and the message are the ones given. */
START_TEST(malformed)
{
        struct err e, back;
        struct buf b = BUF_INIT(0);
        unsigned seed = 1;

        err_set(&e, ERR_PRECONDITION, "REASON", "message");
        e.extended_code = 2067;
        e.offset = 5;
        snprintf(e.shard, sizeof(e.shard), "main/-");
        status_encode(&b, &e);
        for (size_t n = 0; n < b.n_bytes; n++) {
                status_decode(b.data, n, ERR_ABORTED, "given", &back);
                ck_assert_int_eq(back.code, ERR_ABORTED);
                ck_assert_str_eq(back.msg, "given");
        }
        for (int i = 0; i < 20000; i++) {
                size_t at = (size_t)rand_r(&seed) % b.n_bytes;
                uint8_t saved = b.data[at];

                b.data[at] = (uint8_t)rand_r(&seed);
                status_decode(b.data, b.n_bytes, ERR_ABORTED, "given", &back);
                ck_assert_int_eq(back.code, ERR_ABORTED);
                ck_assert_str_eq(back.msg, "given");
                b.data[at] = saved;
        }
        status_decode(NULL, 0, (enum err_code)17, "given", &back);
        ck_assert_int_eq(back.code, ERR_UNKNOWN);
        buf_done(&b);
}
END_TEST

static void add_number(struct buf *b, const char *key, const char *value)
{
        size_t any = wire_begin(b, 3), info, entry;

        wire_add_str(b, 1, "type.googleapis.com/google.rpc.ErrorInfo");
        info = wire_begin(b, 2);
        entry = wire_begin(b, 3);
        wire_add_str(b, 1, key);
        wire_add_str(b, 2, value);
        wire_end(b, entry);
        wire_end(b, info);
        wire_end(b, any);
}

static const struct {
        const char *value;
        int want;
} numbers[] = {
        { "7", 7 },   { "-1", -1 },          { "", -1 },
        { "7x", -1 }, { "99999999999", -1 }, { "12345678901234567890", -1 },
};

START_TEST(odd_numbers)
{
        struct buf b = BUF_INIT(0);
        struct err e;

        add_number(&b, "offset", numbers[_i].value);
        status_decode(b.data, b.n_bytes, ERR_INVALID, "", &e);
        ck_assert_msg(e.offset == numbers[_i].want, "%s: %d", numbers[_i].value, e.offset);
        buf_done(&b);
}
END_TEST

/* Longer than there is room for. */
START_TEST(long_strings)
{
        struct buf b = BUF_INIT(0);
        struct err e;
        char text[2000];

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        add_number(&b, "shard", text);
        add_number(&b, "sqlite_message", text);
        status_decode(b.data, b.n_bytes, ERR_INVALID, text, &e);
        ck_assert_uint_eq(strlen(e.shard), sizeof(e.shard) - 1);
        ck_assert_uint_eq(strlen(e.sqlite_msg), sizeof(e.sqlite_msg) - 1);
        ck_assert_uint_eq(strlen(e.msg), sizeof(e.msg) - 1);
        buf_done(&b);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/status");
        TCase *t = tcase_create("status");

        tcase_add_loop_test(t, there_and_back, 0, ARRAY_LEN(cases));
        tcase_add_test(t, bytes);
        tcase_add_test(t, sqlite_code);
        tcase_add_loop_test(t, not_utf8, 0, ARRAY_LEN(texts));
        tcase_add_test(t, malformed);
        tcase_add_loop_test(t, odd_numbers, 0, ARRAY_LEN(numbers));
        tcase_add_test(t, long_strings);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
