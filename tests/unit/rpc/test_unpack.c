/* Requests as messages: what is too deep, too many, not UTF-8 or not protobuf at all is refused
 * before it can do harm. */
#include "common/wire.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "tests/unit/rpc/fixture.h"

/* message Tree { Tree child = 1; string name = 2; } - ours have no recursive message. */
struct tree {
        ProtobufCMessage base;
        struct tree *child;
        char *name;
};
static const ProtobufCMessageDescriptor tree_descriptor;
static const ProtobufCFieldDescriptor tree_fields[] = {
        { .name = "child",
          .id = 1,
          .label = PROTOBUF_C_LABEL_NONE,
          .type = PROTOBUF_C_TYPE_MESSAGE,
          .offset = offsetof(struct tree, child),
          .descriptor = &tree_descriptor },
        { .name = "name",
          .id = 2,
          .label = PROTOBUF_C_LABEL_NONE,
          .type = PROTOBUF_C_TYPE_STRING,
          .offset = offsetof(struct tree, name),
          .default_value = protobuf_c_empty_string },
};
static const ProtobufCIntRange tree_ranges[] = { { 1, 0 }, { 0, 2 } };
static const unsigned tree_names[] = { 0, 1 };
static const ProtobufCMessageDescriptor tree_descriptor = {
        .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
        .name = "Tree",
        .sizeof_message = sizeof(struct tree),
        .n_fields = 2,
        .fields = tree_fields,
        .fields_sorted_by_name = tree_names,
        .n_field_ranges = 1,
        .field_ranges = tree_ranges,
};

static struct err last;
static bool was_unpacked;

static void serve_unpack(struct rpc_call *c, void *arg)
{
        ProtobufCMessage *m = NULL;

        last = (struct err)ERR_INIT;
        was_unpacked = !rpc_call_unpack(c, arg, &m, &last);
        if (!was_unpacked) {
                ck_assert_ptr_null(m);
                rpc_call_fail(c, &last);
                return;
        }
        rpc_call_reply_message(c, m);
        protobuf_c_message_free_unpacked(m, NULL);
}

enum { MAX_DEPTH = 4, MAX_FIELDS = 1000 };

static const struct rpc_method methods[] = {
        { .path = "/t.T/Tree", .on_start = serve_unpack, .arg = (void *)&tree_descriptor },
        { .path = "/t.T/Execute",
          .on_start = serve_unpack,
          .arg = (void *)&shoal__v1__execute_request__descriptor },
        { .path = "/t.T/VSchema",
          .on_start = serve_unpack,
          .arg = (void *)&shoal__v1__vschema__descriptor },
};

static struct fixture fx;

static void setup(void)
{
        fixture_start(&fx, methods, ARRAY_LEN(methods),
                      &(struct rpc_server_options){ .max_request_depth = MAX_DEPTH,
                                                    .max_request_fields = MAX_FIELDS });
}

static void teardown(void)
{
        fixture_stop(&fx);
}

static struct answer call_buf(const char *path, struct buf *b)
{
        ck_assert(!b->failed);
        return call_and_wait(&fx, path, rpc_from_buf(b), in_ms(60000));
}

static void assert_bad(const struct answer *a, const char *part)
{
        ck_assert_msg(a->e.code == ERR_INVALID, "%s: %s", err_code_name(a->e.code), a->e.msg);
        ck_assert_str_eq(a->e.reason, "BAD_REQUEST");
        ck_assert_msg(strstr(a->e.msg, part), "%s", a->e.msg);
}

/* n messages, each in the one before, without building them one by one. */
static void add_nested(struct buf *b, unsigned n)
{
        size_t *ends = xcalloc(n + 1, sizeof(*ends));

        for (unsigned i = 1; i <= n; i++)
                ends[i] = ends[i - 1] + wire_varint_size(ends[i - 1]) + 1;
        for (unsigned i = n; i > 0; i--) {
                wire_add_varint(b, 1 << 3 | WIRE_BYTES);
                wire_add_varint(b, ends[i - 1]);
        }
        free(ends);
}

static const struct {
        unsigned depth;
        bool fits;
} depths[] = { { 0, true },    { MAX_DEPTH, true }, { MAX_DEPTH + 1, false },
               { 900, false }, { 10000, false },    { 100000, false } };

START_TEST(depth)
{
        struct buf b = BUF_INIT(0);
        struct answer a;

        add_nested(&b, depths[_i].depth);
        a = call_buf("/t.T/Tree", &b);
        if (depths[_i].fits)
                ck_assert_msg(!a.e.code, "%u: %s", depths[_i].depth, a.e.msg);
        else
                assert_bad(&a, "deep");
        buf_done(&a.body);
}
END_TEST

/* Empty sub-messages cost two bytes on the wire and a hundred here. */
static const struct {
        unsigned n;
        bool fits;
} counts[] = { { MAX_FIELDS, true }, { MAX_FIELDS + 1, false }, { 2000000, false } };

START_TEST(amplification)
{
        struct buf b = BUF_INIT(0);
        struct answer a;

        for (unsigned i = 0; i < counts[_i].n; i++)
                wire_add_bytes(&b, 3, "", 0); /* params */
        a = call_buf("/t.T/Execute", &b);
        if (counts[_i].fits) {
                ck_assert_msg(!a.e.code, "%s", a.e.msg);
                ck_assert_uint_eq(a.body.n_bytes, 2 * counts[_i].n);
        } else {
                assert_bad(&a, "fields");
        }
        buf_done(&a.body);
}
END_TEST

/* Those of sub-messages count too, as do fields nobody knows. */
START_TEST(fields_everywhere)
{
        struct buf b = BUF_INIT(0);
        struct answer a;
        size_t at = wire_begin(&b, 7); /* options */

        for (int i = 0; i < MAX_FIELDS / 2; i++)
                wire_add_uint(&b, 999, 1);
        wire_end(&b, at);
        for (int i = 0; i < MAX_FIELDS / 2; i++)
                wire_add_uint(&b, 1000, 1);
        a = call_buf("/t.T/Execute", &b);
        assert_bad(&a, "fields");
}
END_TEST

static const struct {
        const char *label, *text;
        size_t n_bytes;
        bool fits;
} texts[] = {
        { "plain", "SELECT 1", 8, true },
        { "empty", "", 0, true },
        { "utf-8", "'\xc3\xbc'", 4, true },
        { "latin-1", "'\xfc'", 3, false },
        { "cut", "'\xc3", 2, false },
        { "NUL", "SELECT 1\0; DROP TABLE t", 23, false },
        { "surrogate", "\xed\xa0\x80", 3, false },
};

START_TEST(text)
{
        struct buf b = BUF_INIT(0);
        struct answer a;

        wire_add_bytes(&b, 2, texts[_i].text, texts[_i].n_bytes);
        a = call_buf("/t.T/Execute", &b);
        if (texts[_i].fits)
                ck_assert_msg(!a.e.code, "%s: %s", texts[_i].label, a.e.msg);
        else
                assert_bad(&a, "shoal.v1.ExecuteRequest.sql is not valid UTF-8");
        buf_done(&a.body);
}
END_TEST

/* In messages of messages, and in maps; blobs are not text and hold what they like, also what looks
 * like messages. */
START_TEST(text_inside)
{
        struct buf b = BUF_INIT(0), deep = BUF_INIT(0);
        struct answer a;
        size_t at, at_value;

        add_nested(&deep, 500);
        at = wire_begin(&b, 4); /* named_params */
        wire_add_str(&b, 1, ":a");
        at_value = wire_begin(&b, 2);
        wire_add_bytes(&b, 4, deep.data, deep.n_bytes); /* blob */
        wire_end(&b, at_value);
        wire_end(&b, at);
        a = call_buf("/t.T/Execute", &b);
        ck_assert_msg(!a.e.code, "%s", a.e.msg);
        buf_done(&a.body);
        buf_done(&deep);

        at = wire_begin(&b, 4);
        wire_add_bytes(&b, 1, "\xff", 1);
        wire_end(&b, at);
        a = call_buf("/t.T/Execute", &b);
        assert_bad(&a, "key");

        at = wire_begin(&b, 3);
        wire_add_bytes(&b, 3, "\xff", 1); /* text */
        wire_end(&b, at);
        a = call_buf("/t.T/Execute", &b);
        assert_bad(&a, "shoal.v1.Value.text");
}
END_TEST

static const struct {
        const char *label, *bytes;
        size_t n_bytes;
} garbage[] = {
        { "cut tag", "\x80", 1 },
        { "cut length", "\x12\x80", 2 },
        { "longer than there is",
          "\x12\x05"
          "abc",
          5 },
        { "field 0", "\x00\x00", 2 },
        { "group", "\x13\x14", 2 },
        { "wire type 7", "\x17", 1 },
        { "string sent as a number", "\x10\x01", 2 },
        { "message sent as a number", "\x38\x01", 2 },
        { "eleven bytes of number", "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 },
        { "cut inside a message", "\x3a\x02\x08\x80", 4 },
        { "text", "Hello, is this a database?", 26 },
};

START_TEST(not_protobuf)
{
        struct answer a = call_and_wait(
            &fx, "/t.T/Execute", bytes_of(garbage[_i].bytes, garbage[_i].n_bytes), INT64_MAX);

        ck_assert_msg(a.e.code == ERR_INVALID, "%s: %s", garbage[_i].label, a.e.msg);
        assert_bad(&a, "malformed");
}
END_TEST

/* A good request with bytes changed, taken out and put in: a refusal or an answer, never anything
 * else. */
static void mutate(struct buf *b, unsigned *seed)
{
        unsigned n = 1 + (unsigned)rand_r(seed) % 4;

        while (n-- && b->n_bytes > 1) {
                size_t at = (size_t)rand_r(seed) % b->n_bytes;
                size_t cut = (size_t)rand_r(seed) % 8;

                switch (rand_r(seed) % 3) {
                case 0:
                        b->data[at] = (uint8_t)rand_r(seed);
                        break;
                case 1:
                        b->data[at] ^= (uint8_t)(1 << rand_r(seed) % 8);
                        break;
                default:
                        if (cut > b->n_bytes - at)
                                cut = b->n_bytes - at;
                        memmove(b->data + at, b->data + at + cut, b->n_bytes - at - cut);
                        b->n_bytes -= cut;
                }
        }
}

static void add_good(struct buf *b)
{
        size_t at, at_value;

        wire_add_str(b, 1, "main");
        wire_add_str(b, 2, "SELECT * FROM t WHERE a = ?1 AND b = :b");
        at = wire_begin(b, 3);
        wire_add_uint(b, 1, UINT64_MAX);
        wire_end(b, at);
        at = wire_begin(b, 4);
        wire_add_str(b, 1, ":b");
        at_value = wire_begin(b, 2);
        wire_add_str(b, 3, "a text that is long enough to be cut somewhere");
        wire_end(b, at_value);
        wire_end(b, at);
        at = wire_begin(b, 7);
        wire_add_uint(b, 1, 1000);
        wire_end(b, at);
}

START_TEST(random_bytes)
{
        unsigned seed = 42, n_good = 0, n_bad = 0;

        for (int i = 0; i < 4000; i++) {
                struct buf b = BUF_INIT(0);
                struct answer a;

                if (i % 4 == 0) {
                        size_t n = (size_t)rand_r(&seed) % 200;

                        while (n--)
                                buf_add_byte(&b, (uint8_t)rand_r(&seed));
                } else {
                        add_good(&b);
                        mutate(&b, &seed);
                }
                a = call_buf(i % 2 ? "/t.T/Execute" : "/t.T/VSchema", &b);
                ck_assert_msg(a.e.code == ERR_OK || a.e.code == ERR_INVALID, "%s", a.e.msg);
                n_good += a.e.code == ERR_OK;
                n_bad += a.e.code != ERR_OK;
                buf_done(&a.body);
        }
        ck_assert_uint_gt(n_good, 100);
        ck_assert_uint_gt(n_bad, 1000);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("rpc/unpack");
        TCase *t = tcase_create("unpack");

        tcase_set_timeout(t, 60);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, depth, 0, ARRAY_LEN(depths));
        tcase_add_loop_test(t, amplification, 0, ARRAY_LEN(counts));
        tcase_add_test(t, fields_everywhere);
        tcase_add_loop_test(t, text, 0, ARRAY_LEN(texts));
        tcase_add_test(t, text_inside);
        tcase_add_loop_test(t, not_protobuf, 0, ARRAY_LEN(garbage));
        tcase_add_test(t, random_bytes);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return run_suite(suite());
}
