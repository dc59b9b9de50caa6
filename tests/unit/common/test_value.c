/* test_value.c - values there and back, by hand and by protobuf-c, and whatever is not a value. */
#include <check.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "common/value.h"
#include "common/wire.h"
#include "proto/shoal/v1/api.pb-c.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define BYTES(s) (s), sizeof(s) - 1

/* ---- UTF-8 */

static const struct {
        const char *label;
        const char *data;
        size_t n_bytes;
        bool utf8, plain;
} utf8_cases[] = {
        { "empty", BYTES(""), true, true },
        { "ascii", BYTES("plain"), true, true },
        { "eight", BYTES("12345678"), true, true },
        { "long", BYTES("0123456789012345678901234567890123456789"), true, true },
        { "DEL", BYTES("12345678\x7f"), true, true },
        { "NUL", BYTES("\0"), true, false },
        { "NUL late", BYTES("0123456789012345678901234567890123456789\0"), true, false },
        { "NUL in a word",
          BYTES("1234\0"
                "678"),
          true, false },
        { "two", BYTES("\xc3\xa9"), true, true },
        { "three", BYTES("\xe2\x82\xac"), true, true },
        { "four", BYTES("\xf0\x9f\x98\x80"), true, true },
        { "mixed",
          BYTES("gr\xc3\xbc\xc3\x9f"
                "e 12345678 \xe2\x82\xac"),
          true, true },
        { "U+10FFFF", BYTES("\xf4\x8f\xbf\xbf"), true, true },
        { "U+110000", BYTES("\xf4\x90\x80\x80"), false, false },
        { "U+D7FF", BYTES("\xed\x9f\xbf"), true, true },
        { "surrogate", BYTES("\xed\xa0\x80"), false, false },
        { "overlong 2", BYTES("\xc0\xaf"), false, false },
        { "overlong 2b", BYTES("\xc1\xbf"), false, false },
        { "overlong 3", BYTES("\xe0\x9f\xbf"), false, false },
        { "overlong 4", BYTES("\xf0\x8f\xbf\xbf"), false, false },
        { "F5", BYTES("\xf5\x80\x80\x80"), false, false },
        { "FF", BYTES("1234567\xff"), false, false },
        { "lone tail", BYTES("12345678\x80"), false, false },
        { "cut 2", BYTES("\xc3"), false, false },
        { "cut 3", BYTES("12345678\xe2\x82"), false, false },
        { "cut 4", BYTES("\xf0\x9f\x98"), false, false },
        { "bad tail", BYTES("\xe2\x28\xac"), false, false },
        { "bad third", BYTES("\xe2\x82\x28"), false, false },
        { "bad fourth", BYTES("\xf0\x9f\x98\x28"), false, false },
};

START_TEST(utf8_case)
{
        size_t n = utf8_cases[_i].n_bytes;
        char *copy = malloc(n ? n : 1); /* exact size: ASan sees a read behind it */

        memcpy(copy, utf8_cases[_i].data, n);
        ck_assert_msg(utf8_is_valid(copy, n) == utf8_cases[_i].utf8, "%s", utf8_cases[_i].label);
        ck_assert_msg(utf8_is_plain(copy, n) == utf8_cases[_i].plain, "%s", utf8_cases[_i].label);
        free(copy);
}
END_TEST

static const struct {
        const char *bytes, *want;
} repairs[] = {
        { "", "" },
        { "plain", "plain" },
        { "\xc3\xa9", "\xc3\xa9" },
        { "a\xff", "a?" },
        { "a\x80z", "a?z" },
        { "\xc0\xaf", "??" },
        { "\xed\xa0\x80", "???" },
        { "cut \xc3", "cut " },
        { "cut \xe0\xa0", "cut " },
        { "cut \xe0", "cut " },
        { "cut \xf0\x90", "cut " },
        { "cut \xf4\x8f\xbf", "cut " },
        { "cut \xf4\x90\x80", "cut ???" },
        { "\xe2\x82x", "??x" },
};

START_TEST(repair_case)
{
        char s[32];

        strcpy(s, repairs[_i].bytes);
        utf8_repair(s);
        ck_assert_str_eq(s, repairs[_i].want);
        ck_assert(utf8_is_plain(s, strlen(s)));
}
END_TEST

/* Every code point, placed at every offset to a word, is accepted; cut by a byte it is not. */
START_TEST(utf8_every_code_point)
{
        char s[32];

        for (uint32_t c = 0x80; c < 0x110000; c++) {
                size_t at = c % 11, n = 0;

                if (c == 0xd800)
                        c = 0xe000;
                memset(s, 'x', sizeof s);
                if (c < 0x800) {
                        s[at + n++] = (char)(0xc0 | c >> 6);
                } else if (c < 0x10000) {
                        s[at + n++] = (char)(0xe0 | c >> 12);
                        s[at + n++] = (char)(0x80 | (c >> 6 & 0x3f));
                } else {
                        s[at + n++] = (char)(0xf0 | c >> 18);
                        s[at + n++] = (char)(0x80 | (c >> 12 & 0x3f));
                        s[at + n++] = (char)(0x80 | (c >> 6 & 0x3f));
                }
                s[at + n++] = (char)(0x80 | (c & 0x3f));
                /* each ck_assert is a message to the parent process: too many of them here */
                if (!utf8_is_plain(s, at + n) || !utf8_is_plain(s, at + n + 9) ||
                    utf8_is_plain(s, at + n - 1))
                        ck_abort_msg("U+%04X", c);
        }
}
END_TEST

/* ---- one value there and back */

static const struct {
        const char *label;
        struct value value;
        Shoal__V1__Value__KindCase kind;
} values[] = {
        { "null", { .type = VALUE_NULL }, SHOAL__V1__VALUE__KIND__NOT_SET },
        { "0", { .type = VALUE_INTEGER, .integer = 0 }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "1", { .type = VALUE_INTEGER, .integer = 1 }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "-1", { .type = VALUE_INTEGER, .integer = -1 }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "max", { .type = VALUE_INTEGER, .integer = INT64_MAX }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "min", { .type = VALUE_INTEGER, .integer = INT64_MIN }, SHOAL__V1__VALUE__KIND_INTEGER },
        { "0.0", { .type = VALUE_REAL, .real = 0.0 }, SHOAL__V1__VALUE__KIND_REAL },
        { "-0.0", { .type = VALUE_REAL, .real = -0.0 }, SHOAL__V1__VALUE__KIND_REAL },
        { "1.5", { .type = VALUE_REAL, .real = 1.5 }, SHOAL__V1__VALUE__KIND_REAL },
        { "inf", { .type = VALUE_REAL, .real = INFINITY }, SHOAL__V1__VALUE__KIND_REAL },
        { "text", { .type = VALUE_TEXT, .data = "a", .n_bytes = 1 }, SHOAL__V1__VALUE__KIND_TEXT },
        { "empty text", { .type = VALUE_TEXT }, SHOAL__V1__VALUE__KIND_TEXT },
        { "blob",
          { .type = VALUE_BLOB, .data = "\0\xff", .n_bytes = 2 },
          SHOAL__V1__VALUE__KIND_BLOB },
        { "empty blob", { .type = VALUE_BLOB }, SHOAL__V1__VALUE__KIND_BLOB },
        { "NUL in text",
          { .type = VALUE_TEXT, .data = "a\0b", .n_bytes = 3 },
          SHOAL__V1__VALUE__KIND_RAW_TEXT },
        { "not UTF-8",
          { .type = VALUE_TEXT, .data = "\xff", .n_bytes = 1 },
          SHOAL__V1__VALUE__KIND_RAW_TEXT },
};

static bool same_message(const Shoal__V1__Value *m, const struct value *v)
{
        switch (m->kind_case) {
        case SHOAL__V1__VALUE__KIND_INTEGER:
                return v->type == VALUE_INTEGER && m->integer == v->integer;
        case SHOAL__V1__VALUE__KIND_REAL:
                return v->type == VALUE_REAL && memcmp(&m->real, &v->real, sizeof v->real) == 0;
        case SHOAL__V1__VALUE__KIND_TEXT:
                return v->type == VALUE_TEXT && strlen(m->text) == v->n_bytes &&
                       (v->n_bytes == 0 || memcmp(m->text, v->data, v->n_bytes) == 0);
        case SHOAL__V1__VALUE__KIND_BLOB:
                return v->type == VALUE_BLOB && m->blob.len == v->n_bytes &&
                       (v->n_bytes == 0 || memcmp(m->blob.data, v->data, v->n_bytes) == 0);
        case SHOAL__V1__VALUE__KIND_RAW_TEXT:
                return v->type == VALUE_TEXT && m->raw_text.len == v->n_bytes &&
                       (v->n_bytes == 0 || memcmp(m->raw_text.data, v->data, v->n_bytes) == 0);
        default:
                return v->type == VALUE_NULL;
        }
}

START_TEST(value_there_and_back)
{
        const struct value *v = &values[_i].value;
        size_t n = value_encoded_size(v);
        uint8_t *p = malloc(n ? n : 1), *packed = malloc(n ? n : 1);
        Shoal__V1__Value *m;
        struct value back;

        ck_assert_ptr_eq(value_encode(p, v), p + n);
        ck_assert_int_eq(value_decode(p, n, &back, NULL), ERR_OK);
        ck_assert_msg(value_same(v, &back), "%s", values[_i].label);

        /* protobuf-c reads the same and writes the same bytes */
        m = shoal__v1__value__unpack(NULL, n, p);
        ck_assert_msg(m && m->kind_case == values[_i].kind, "%s", values[_i].label);
        ck_assert_msg(same_message(m, v), "%s", values[_i].label);
        ck_assert_msg(shoal__v1__value__get_packed_size(m) == n, "%s", values[_i].label);
        shoal__v1__value__pack(m, packed);
        ck_assert_msg(memcmp(packed, p, n) == 0, "%s", values[_i].label);
        shoal__v1__value__free_unpacked(m, NULL);
        free(packed);
        free(p);
}
END_TEST

START_TEST(values_differ)
{
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
                for (size_t j = 0; j < ARRAY_LEN(values); j++)
                        ck_assert_msg(value_same(&values[i].value, &values[j].value) == (i == j),
                                      "%s and %s", values[i].label, values[j].label);
        }
}
END_TEST

/* ---- malformed */

static const struct {
        const char *label;
        const char *data;
        size_t n_bytes;
        const char *msg;
} bad_values[] = {
        { "no value", BYTES("\x08"), "malformed value" },
        { "cut",
          BYTES("\x1a\x05"
                "abc"),
          "malformed value" },
        { "group", BYTES("\x0b\x0c"), "malformed value" },
        { "good, then cut", BYTES("\x08\x01\x11"), "malformed value" },
        { "unknown kind", BYTES("\x30\x01"), "value of an unknown kind (field 6)" },
        { "integer as bytes", BYTES("\x0a\x01x"), "value of an unknown kind (field 1)" },
        { "real as fixed32", BYTES("\x15\0\0\0\0"), "value of an unknown kind (field 2)" },
        { "text not UTF-8", BYTES("\x1a\x01\xff"),
          "text is not valid UTF-8 (raw_text carries such bytes)" },
};

START_TEST(bad_value)
{
        struct value v = value_integer(7);
        struct err e = ERR_INIT;

        ck_assert_int_eq(value_decode(bad_values[_i].data, bad_values[_i].n_bytes, &v, &e),
                         ERR_INVALID);
        ck_assert_str_eq(e.msg, bad_values[_i].msg);
        ck_assert_str_eq(e.reason, "BAD_VALUE");
        ck_assert_msg(v.type == VALUE_INTEGER && v.integer == 7, "%s: wrote its result",
                      bad_values[_i].label);
}
END_TEST

START_TEST(odd_values)
{
        struct value v;

        /* of a oneof that is there twice the last counts, as with protobuf */
        ck_assert_int_eq(value_decode(BYTES("\x08\x01\x1a\x01x\x08\x05"), &v, NULL), ERR_OK);
        ck_assert(v.type == VALUE_INTEGER && v.integer == 5);
        ck_assert_int_eq(value_decode(BYTES("\x1a\x03"
                                            "a\0b"),
                                      &v, NULL),
                         ERR_OK);
        ck_assert(v.type == VALUE_TEXT && v.n_bytes == 3);
        ck_assert_int_eq(value_decode(BYTES("\x2a\x01x"), &v, NULL), ERR_OK);
        ck_assert(v.type == VALUE_TEXT && v.n_bytes == 1);
}
END_TEST

START_TEST(rows_have_their_width)
{
        static const char row[] =
            "\x0a\x02\x08\x01\x0a\x00\x12\x01x\x0a\x03\x1a\x01y"; /* field 2 is unknown */
        struct value v[4];
        struct err e = ERR_INIT;

        ck_assert_int_eq(value_decode_row(BYTES(row), v, 3, &e), ERR_OK);
        ck_assert(v[0].type == VALUE_INTEGER && v[1].type == VALUE_NULL && v[2].type == VALUE_TEXT);
        ck_assert_int_eq(value_decode_row(BYTES(row), v, 2, &e), ERR_INVALID);
        ck_assert_str_eq(e.msg, "row of more than 2 values");
        ck_assert_int_eq(value_decode_row(BYTES(row), v, 4, &e), ERR_INVALID);
        ck_assert_str_eq(e.msg, "row of 3 values where 4 belong");
        ck_assert_int_eq(value_decode_row(NULL, 0, NULL, 0, &e), ERR_OK);
        ck_assert_int_eq(value_decode_row(BYTES("\x0a\x05"), v, 1, &e), ERR_INVALID);
        ck_assert_str_eq(e.msg, "malformed row");
        ck_assert_int_eq(value_decode_row(BYTES("\x0a\x00\x0a\x01\x30"), v, 2, &e), ERR_INVALID);
        ck_assert_str_eq(e.msg, "value 1: malformed value");
}
END_TEST

/* Encoded values with bytes changed, cut and doubled: never a read out of bounds, and what is taken
 * is what protobuf-c reads. */
START_TEST(mutated_values)
{
        uint64_t state = 2;
        int n_taken = 0;

        for (int round = 0; round < 300000; round++) {
                const struct value *v = &values[random_next(&state) % ARRAY_LEN(values)].value;
                size_t n = value_encoded_size(v), at = n ? random_next(&state) % n : 0;
                uint8_t bytes[64], *p;
                struct value back;

                value_encode(bytes, v);
                for (uint64_t i = random_next(&state) % 3; n && i; i--)
                        bytes[random_next(&state) % n] = (uint8_t)random_next(&state);
                if (random_next(&state) % 4 == 0)
                        n = at;
                if (random_next(&state) % 4 == 0) {
                        memcpy(bytes + n, bytes, n);
                        n *= 2;
                }
                p = malloc(n ? n : 1);
                memcpy(p, bytes, n);
                if (value_decode(p, n, &back, NULL) == ERR_OK) {
                        Shoal__V1__Value *m = shoal__v1__value__unpack(NULL, n, p);
                        bool nul = back.type == VALUE_TEXT && back.n_bytes &&
                                   memchr(back.data, 0, back.n_bytes);

                        if (!m || (!nul && !same_message(m, &back)))
                                ck_abort_msg("round %d: not what protobuf-c reads", round);
                        shoal__v1__value__free_unpacked(m, NULL);
                        n_taken++;
                }
                free(p);
        }
        ck_assert_int_gt(n_taken, 50000);
}
END_TEST

START_TEST(mutated_rows)
{
        uint64_t state = 3;
        int n_taken = 0;

        for (int round = 0; round < 200000; round++) {
                struct buf b = BUF_INIT(0);
                struct value back[4];
                uint8_t *p;
                size_t n;

                for (int i = 0; i < 3; i++)
                        value_add(&b, 1, &values[random_next(&state) % ARRAY_LEN(values)].value);
                for (uint64_t i = random_next(&state) % 3; i; i--)
                        b.data[random_next(&state) % b.n_bytes] = (uint8_t)random_next(&state);
                n = random_next(&state) % 4 ? b.n_bytes : random_next(&state) % b.n_bytes;
                p = malloc(n ? n : 1);
                memcpy(p, b.data, n);
                n_taken += value_decode_row(p, n, back, 3, NULL) == ERR_OK;
                free(p);
                buf_done(&b);
        }
        ck_assert_int_gt(n_taken, 50000);
}
END_TEST

/* ---- SQLite */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
        sqlite3_stmt *stmt = NULL;

        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                      sqlite3_errmsg(db));
        return stmt;
}

static sqlite3 *open_memory(void)
{
        sqlite3 *db = NULL;

        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        return db;
}

static const char *const type_names[] = { NULL, "integer", "real", "text", "blob", "null" };

/* Bound to a parameter and read back as a column, each value is the same; text and blobs are not
 * copied. */
START_TEST(through_sqlite)
{
        const struct value *v = &values[_i].value;
        sqlite3 *db = open_memory();
        sqlite3_stmt *stmt = prepare(db, "SELECT ?1, typeof(?1)");
        struct value back;

        ck_assert_int_eq(value_bind(stmt, 1, v), SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        back = value_of_column(stmt, 0);
        ck_assert_msg(value_same(&back, v), "%s", values[_i].label);
        ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 1), type_names[v->type]);
        sqlite3_finalize(stmt);
        sqlite3_close(db);
}
END_TEST

/* NaN is NULL in SQLite, whoever brings it. */
START_TEST(nan_is_null)
{
        sqlite3 *db = open_memory();
        sqlite3_stmt *stmt = prepare(db, "SELECT typeof(?1)");
        struct value v = value_real(NAN);

        ck_assert_int_eq(value_bind(stmt, 1, &v), SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "null");
        ck_assert_int_eq(value_bind(stmt, 2, &v), SQLITE_MISUSE); /* while it runs */
        sqlite3_finalize(stmt);
        sqlite3_close(db);
}
END_TEST

static void add_result(struct buf *b, sqlite3_stmt *stmt)
{
        int n = sqlite3_column_count(stmt);

        value_add_columns(b, stmt);
        while (sqlite3_step(stmt) == SQLITE_ROW)
                value_add_row(b, stmt, n);
        sqlite3_reset(stmt);
}

/* protobuf-c reads the encoded ResultSet, writes the same bytes, and finds what SQLite had. */
START_TEST(result_sets)
{
        sqlite3 *db = open_memory();
        struct buf b = BUF_INIT(0);
        Shoal__V1__ResultSet *m;
        sqlite3_stmt *stmt;
        uint8_t *packed;

        ck_assert_int_eq(
            sqlite3_exec(
                db,
                "CREATE TABLE t (a INTEGER, \"b c\" VARCHAR(10), d);"
                "INSERT INTO t VALUES (1, 'x', NULL), (-1, CAST(x'ff' AS TEXT), 1.5),"
                " (NULL, CAST(x'610062' AS TEXT), zeroblob(3)), (4, printf('%.200c', 'y'), x'');",
                NULL, NULL, NULL),
            SQLITE_OK);
        stmt = prepare(db, "SELECT a, \"b c\", d, d || '' FROM t");
        add_result(&b, stmt);
        ck_assert(!b.failed);
        m = shoal__v1__result_set__unpack(NULL, b.n_bytes, b.data);
        ck_assert_ptr_nonnull(m);
        ck_assert_uint_eq(m->n_columns, 4);
        ck_assert_str_eq(m->columns[0]->name, "a");
        ck_assert_str_eq(m->columns[0]->declared_type, "INTEGER");
        ck_assert_str_eq(m->columns[1]->name, "b c");
        ck_assert_str_eq(m->columns[1]->declared_type, "VARCHAR(10)");
        ck_assert_str_eq(m->columns[2]->declared_type, "");
        ck_assert_str_eq(m->columns[3]->name, "d || ''");
        ck_assert_uint_eq(m->n_rows, 4);
        for (size_t i = 0; i < 4; i++) {
                ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
                ck_assert_uint_eq(m->rows[i]->n_values, 4);
                for (int j = 0; j < 4; j++) {
                        struct value v = value_of_column(stmt, j);

                        ck_assert_msg(same_message(m->rows[i]->values[j], &v), "row %zu column %d",
                                      i, j);
                }
        }
        ck_assert_uint_eq(shoal__v1__result_set__get_packed_size(m), b.n_bytes);
        packed = malloc(b.n_bytes);
        shoal__v1__result_set__pack(m, packed);
        ck_assert_mem_eq(packed, b.data, b.n_bytes);
        free(packed);
        shoal__v1__result_set__free_unpacked(m, NULL);
        buf_done(&b);
        sqlite3_finalize(stmt);
        sqlite3_close(db);
}
END_TEST

/* With any limit below what is needed the buf fails; with what is needed it does not. */
START_TEST(rows_within_limits)
{
        sqlite3 *db = open_memory();
        sqlite3_stmt *stmt =
            prepare(db, "SELECT 1 AS a, printf('%.150c', 'x') AS b, NULL AS c, x'00' AS d");
        struct buf all = BUF_INIT(0);

        add_result(&all, stmt);
        for (size_t max = 1; max <= all.n_bytes; max++) {
                struct buf b = BUF_INIT(max);

                add_result(&b, stmt);
                ck_assert_msg(b.failed == (max < all.n_bytes) && b.n_bytes <= max, "%zu", max);
                buf_done(&b);
        }
        buf_done(&all);
        sqlite3_finalize(stmt);
        sqlite3_close(db);
}
END_TEST

/* Memory gone inside SQLite is no value, neither NULL nor an empty text. In UTF-16 reading a column
 * allocates. */
START_TEST(sqlite_without_memory)
{
        sqlite3 *db = open_memory();
        struct buf b = BUF_INIT(0);
        sqlite3_stmt *stmt;

        ck_assert_int_eq(sqlite3_exec(db, "PRAGMA encoding = 'UTF-16'", NULL, NULL, NULL),
                         SQLITE_OK);
        stmt = prepare(db, "SELECT printf('%.100000c', 'x')");
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1000);
        ck_assert_int_eq(value_of_column(stmt, 0).type, 0);
        value_add_row(&b, stmt, 1);
        ck_assert(b.failed);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_NOMEM);
        buf_done(&b);
        sqlite3_finalize(stmt);
        sqlite3_close(db);
}
END_TEST

static Suite *value_suite(void)
{
        Suite *s = suite_create("value");
        TCase *t = tcase_create("value");

        tcase_set_timeout(t, 30);
        tcase_add_loop_test(t, utf8_case, 0, ARRAY_LEN(utf8_cases));
        tcase_add_loop_test(t, repair_case, 0, ARRAY_LEN(repairs));
        tcase_add_test(t, utf8_every_code_point);
        tcase_add_loop_test(t, value_there_and_back, 0, ARRAY_LEN(values));
        tcase_add_test(t, values_differ);
        tcase_add_loop_test(t, bad_value, 0, ARRAY_LEN(bad_values));
        tcase_add_test(t, odd_values);
        tcase_add_test(t, rows_have_their_width);
        tcase_add_test(t, mutated_values);
        tcase_add_test(t, mutated_rows);
        tcase_add_loop_test(t, through_sqlite, 0, ARRAY_LEN(values));
        tcase_add_test(t, nan_is_null);
        tcase_add_test(t, result_sets);
        tcase_add_test(t, rows_within_limits);
        tcase_add_test(t, sqlite_without_memory);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(value_suite());
}
