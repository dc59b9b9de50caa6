/* test_id.c - names of transactions, and who is older. */
#include <check.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/unit.h"
#include "txn/id.h"

static bool parses(const char *text, struct txn_id *ret_id)
{
        return txn_id_parse(text, strlen(text), ret_id);
}

START_TEST(printed_and_read_again)
{
        static const struct txn_id ids[] = {
                { 1, 2, 3 },
                { 0, 0, 0 },
                { UINT64_MAX, UINT64_MAX, UINT64_MAX },
                { 0x10, 0xabcdef, 0x9 },
        };
        char text[TXN_ID_BYTES];
        struct txn_id id;

        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
                txn_id_print(&ids[i], text);
                ck_assert(parses(text, &id));
                ck_assert(txn_id_equal(&id, &ids[i]));
        }
        txn_id_print(&ids[3], text);
        ck_assert_str_eq(text, "10-abcdef-9");
}
END_TEST

START_TEST(nothing_else_is_read)
{
        static const char *const texts[] = {
                "",       "-",       "1",      "1-2",    "1-2-",
                "1-2-3-", "1-2-3-4", "1-2-3 ", " 1-2-3", "01-2-3",
                "1--3",   "1-2-g",   "1-2-A",  "1-2-00", "10000000000000000-2-3",
                "+1-2-3", "0x1-2-3",
        };
        struct txn_id id;

        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                ck_assert_msg(!parses(texts[i], &id), "%s", texts[i]);
        ck_assert(!txn_id_parse("1-2-3\0", 6, &id));
}
END_TEST

START_TEST(age_is_a_total_order)
{
        static const struct txn_age ages[] = {
                { 5, { 9, 7, 1 } },  { 5, { 9, 8, 1 } }, { 5, { 10, 8, 1 } },
                { 5, { 10, 8, 2 } }, { 6, { 1, 6, 1 } },
        };

        for (size_t i = 0; i < ARRAY_LEN(ages); i++)
                for (size_t j = 0; j < ARRAY_LEN(ages); j++)
                        ck_assert_int_eq(txn_is_older(&ages[i], &ages[j]), i < j);
}
END_TEST

static Suite *suite(void)
{
        Suite *s = suite_create("id");
        TCase *t = tcase_create("id");

        tcase_add_test(t, printed_and_read_again);
        tcase_add_test(t, nothing_else_is_read);
        tcase_add_test(t, age_is_a_total_order);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(suite());
}
