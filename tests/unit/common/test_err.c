/* test_err.c - errors and the context they gather on their way up. */
#include <check.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/unit.h"

START_TEST(set_makes_it_new)
{
        struct err e = { .code = ERR_INTERNAL, .extended_code = 7, .offset = 3, .shard = "main/-" };

        strcpy(e.sqlite_msg, "old");
        ck_assert_int_eq(err_set(&e, ERR_NOT_FOUND, "NO_SUCH_TABLE", "no such table: %s", "t"),
                         ERR_NOT_FOUND);
        ck_assert_int_eq(e.code, ERR_NOT_FOUND);
        ck_assert_str_eq(e.reason, "NO_SUCH_TABLE");
        ck_assert_str_eq(e.msg, "no such table: t");
        ck_assert_int_eq(e.extended_code, 0);
        ck_assert_int_eq(e.offset, -1);
        ck_assert_int_eq(e.statement_index, -1);
        ck_assert_str_eq(e.sqlite_msg, "");
        ck_assert_str_eq(e.shard, "");
}
END_TEST

START_TEST(wrap_keeps_all_else)
{
        struct err e = ERR_INIT;

        err_set(&e, ERR_UNAVAILABLE, "DISK_IO_ERROR", "refused");
        e.extended_code = 266;
        e.offset = 4;
        ck_assert_int_eq(err_wrap(&e, ERR_UNAVAILABLE, "connect %s", "10.0.0.1"), ERR_UNAVAILABLE);
        ck_assert_int_eq(err_wrap(&e, ERR_ABORTED, "shard %d", 3), ERR_ABORTED);
        ck_assert_str_eq(e.msg, "shard 3: connect 10.0.0.1: refused");
        ck_assert_str_eq(e.reason, "DISK_IO_ERROR");
        ck_assert_int_eq(e.code, ERR_ABORTED);
        ck_assert_int_eq(e.extended_code, 266);
        ck_assert_int_eq(e.offset, 4);
}
END_TEST

START_TEST(nobody_listens)
{
        ck_assert_int_eq(err_set(NULL, ERR_INVALID, "X", "%d", 1), ERR_INVALID);
        ck_assert_int_eq(err_wrap(NULL, ERR_INVALID, "%d", 1), ERR_INVALID);
}
END_TEST

START_TEST(long_messages_are_cut)
{
        char text[ERR_MSG_BYTES * 2];
        struct err e = ERR_INIT;

        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        err_set(&e, ERR_INVALID, text, "%s", text);
        ck_assert_uint_eq(strlen(e.msg), ERR_MSG_BYTES - 1);
        ck_assert_uint_eq(strlen(e.reason), ERR_REASON_BYTES - 1);
        err_wrap(&e, ERR_INVALID, "context");
        ck_assert_uint_eq(strlen(e.msg), ERR_MSG_BYTES - 1);
        ck_assert_msg(strncmp(e.msg, "context: xxx", 12) == 0, "%s", e.msg);
        err_wrap(&e, ERR_INVALID, "%s", text);
        ck_assert_uint_eq(strlen(e.msg), ERR_MSG_BYTES - 1);
}
END_TEST

/* A message cut in the middle of a character is still UTF-8: it goes into protobuf strings. */
START_TEST(cut_between_characters)
{
        for (size_t shift = 0; shift < 4; shift++) {
                char text[ERR_MSG_BYTES * 2] = "";
                struct err e = ERR_INIT;
                size_t n;

                memset(text, 'x', shift);
                while (strlen(text) < ERR_MSG_BYTES + 10)
                        strcat(text, "\xf0\x9f\x98\x80");
                err_set(&e, ERR_INVALID, "X", "%s", text);
                n = strlen(e.msg);
                ck_assert_msg(n >= ERR_MSG_BYTES - 4 && (n - shift) % 4 == 0,
                              "%zu bytes, %zu before", n, shift);
                err_wrap(&e, ERR_INVALID, "c");
                ck_assert_msg((strlen(e.msg) - 3 - shift) % 4 == 0, "wrapped, %zu before", shift);
        }
}
END_TEST

START_TEST(names)
{
        ck_assert_str_eq(err_code_name(ERR_OK), "OK");
        ck_assert_str_eq(err_code_name(ERR_CANCELLED), "CANCELLED");
        ck_assert_str_eq(err_code_name(ERR_INVALID), "INVALID_ARGUMENT");
        ck_assert_str_eq(err_code_name(ERR_DEADLINE), "DEADLINE_EXCEEDED");
        ck_assert_str_eq(err_code_name(ERR_EXHAUSTED), "RESOURCE_EXHAUSTED");
        ck_assert_str_eq(err_code_name(ERR_PRECONDITION), "FAILED_PRECONDITION");
        ck_assert_str_eq(err_code_name(ERR_UNAUTHENTICATED), "UNAUTHENTICATED");
        ck_assert_str_eq(err_code_name((enum err_code)17), "UNKNOWN");
        ck_assert_str_eq(err_code_name((enum err_code) - 1), "UNKNOWN");
}
END_TEST

static Suite *err_suite(void)
{
        Suite *s = suite_create("err");
        TCase *t = tcase_create("err");

        tcase_add_test(t, set_makes_it_new);
        tcase_add_test(t, wrap_keeps_all_else);
        tcase_add_test(t, nobody_listens);
        tcase_add_test(t, long_messages_are_cut);
        tcase_add_test(t, cut_between_characters);
        tcase_add_test(t, names);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(err_suite());
}
