/* test_plain_variables.c - numbers of variables are left out where SQLite gives the same. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"
#include "sql/plain_variables.h"
#include "tests/unit/unit.h"

static const struct {
        const char *text, *want;
} cases[] = {
        { "SELECT 1", "SELECT 1" },
        { "SELECT ?", "SELECT ?" },
        { "SELECT ?1,?2,?3", "SELECT ? ,? ,? " },
        { "SELECT ?2,?1,?3", "SELECT ?2,?1,? " },
        { "SELECT ?1,?1,?2", "SELECT ? ,?1,? " },
        { "SELECT ?,?2,?,?4", "SELECT ?,? ,?,? " },
        { "SELECT ?5,?6,?,?8", "SELECT ?5,? ,?,? " },
        { "SELECT ?001,?02", "SELECT ?   ,?  " },
        { "SELECT ?12,?13+1", "SELECT ?12,?  +1" },
        { "SELECT '?1', \"?1\", [?1], `?1`, ?1 /* ?2 */ -- ?2",
          "SELECT '?1', \"?1\", [?1], `?1`, ?  /* ?2 */ -- ?2" },
        { "SELECT ?1, :a, ?3", "SELECT ? , :a, ?3" },
        { "SELECT ?1, @a, ?3", "SELECT ? , @a, ?3" },
        { "SELECT ?1, $a, ?3", "SELECT ? , $a, ?3" },
        { "SELECT 'open ?1", "SELECT 'open ?1" },
        { "", "" },
};

START_TEST(texts)
{
        char *text = xstrdup(cases[_i].text);

        sql_plain_variables(text);
        ck_assert_msg(strcmp(text, cases[_i].want) == 0, "%s: %s", cases[_i].text, text);
        free(text);
}
END_TEST

/* The values of a row of all variables 1 to 9 where the text has them. */
static void show(sqlite3 *db, const char *sql, char *ret_text, size_t n_bytes)
{
        sqlite3_stmt *stmt = NULL;
        size_t n = 0;

        ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK, "%s: %s", sql,
                      sqlite3_errmsg(db));
        for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++)
                sqlite3_bind_int(stmt, i, i);
        ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
                n +=
                    (size_t)snprintf(ret_text + n, n_bytes - n, "%d ", sqlite3_column_int(stmt, i));
        sqlite3_finalize(stmt);
}

/* SQLite numbers them as before. */
START_TEST(same_numbers)
{
        unsigned seed = (unsigned)_i;
        char sql[200], plain[200], want[100], got[100];
        sqlite3 *db = NULL;
        int n = snprintf(sql, sizeof(sql), "SELECT ?%u", 1 + seed % 3);

        ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
        for (int i = 0; i < 8; i++) {
                seed = seed * 1103515245 + 12345;
                if (seed >> 16 & 3)
                        n += snprintf(sql + n, sizeof(sql) - (size_t)n, ",?%u",
                                      1 + (seed >> 20) % 9);
                else
                        n += snprintf(sql + n, sizeof(sql) - (size_t)n, ",?");
        }
        strcpy(plain, sql);
        sql_plain_variables(plain);
        show(db, sql, want, sizeof(want));
        show(db, plain, got, sizeof(got));
        ck_assert_msg(strcmp(want, got) == 0, "%s: %s, not %s", plain, got, want);
        sqlite3_close(db);
}
END_TEST

/* Odd ones have a value. */
static const char *value_of(void *ctx, size_t number)
{
        static const char *const names[] = { "", "'one'", NULL, "-3", NULL, "5.5" };

        (void)ctx;
        return number < ARRAY_LEN(names) ? names[number] : NULL;
}

static const struct {
        const char *text, *want;
} replaced_cases[] = {
        { "SELECT 1", "SELECT 1" },
        { "VALUES (?1, ?2, ?3)", "VALUES ('one', ?2, -3)" },
        { "VALUES (?,?,?)", "VALUES ('one',?,-3)" },
        { "VALUES (?3, ?, ?)", "VALUES (-3, ?, 5.5)" },
        { "SELECT '?1', \"?1\", ?1 /* ?1 */ -- ?3", "SELECT '?1', \"?1\", 'one' /* ?1 */ -- ?3" },
        { "SELECT ?99, ?1", "SELECT ?99, 'one'" },
};

START_TEST(replaced)
{
        struct buf b = BUF_INIT(0);
        char *got;

        sql_replace_variables(replaced_cases[_i].text, value_of, NULL, &b);
        got = buf_take_str(&b);
        ck_assert_str_eq(got, replaced_cases[_i].want);
        free(got);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("sql/plain_variables");
        TCase *t = tcase_create("plain_variables");

        tcase_add_loop_test(t, texts, 0, ARRAY_LEN(cases));
        tcase_add_loop_test(t, same_numbers, 0, 200);
        tcase_add_loop_test(t, replaced, 0, ARRAY_LEN(replaced_cases));
        suite_add_tcase(s, t);
        return unit_run(s);
}
