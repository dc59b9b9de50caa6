/* Parts that wait for the keys of others: which do, and that no row is lost by it, whatever types
 * and collations the two columns have. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "gate/plan_cache.h"
#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

enum { N_SHARDS = 3 };

static struct sim *sim;

static void set_up(void)
{
        sim = sim_new(N_SHARDS);
}

static void tear_down(void)
{
        sim = sim_free(sim);
}

static void run(const char *sql)
{
        sim_check(sim, sql, false);
}

/* The table has so many rows, and its index so many different values. */
static void tell(const char *table, uint64_t rows, const char *index, uint64_t distinct)
{
        Shoal__V1__TableStatistics t = SHOAL__V1__TABLE_STATISTICS__INIT;
        Shoal__V1__IndexStatistics i = SHOAL__V1__INDEX_STATISTICS__INIT, *list[] = { &i };

        t.table = (char *)(uintptr_t)table;
        t.rows = rows;
        i.name = (char *)(uintptr_t)index;
        i.rows = rows;
        i.distinct = &distinct;
        i.n_distinct = 1;
        t.indexes = list;
        t.n_indexes = index ? 1 : 0;
        catalog_set_statistics(sim_catalog(sim), &t);
}

/* ---- types and collations */

static const char *const types[] = {
        "INTEGER",
        "REAL",
        "NUMERIC",
        "TEXT",
        "",
        "BLOB",
        "TEXT COLLATE NOCASE",
        "TEXT COLLATE RTRIM",
        "COLLATE NOCASE",
        "NUMERIC COLLATE NOCASE",
};

static const char *const values[] = {
        "NULL",
        "1",
        "1.0",
        "'1'",
        "'01'",
        "'1.0'",
        "' 1'",
        "2",
        "2.5",
        "'2.5'",
        "'a'",
        "'A'",
        "'a '",
        "'A '",
        "x'61'",
        "x'31'",
        "''",
        "x''",
        "9007199254740993",
        "9007199254740992.0",
        "'9007199254740993'",
        "9223372036854775807",
        "9.3e18",
        "-0.0",
        "'1e2'",
        "100",
};

static const char *const joins[] = {
        "SELECT a.id, b.id FROM a JOIN b ON a.x = b.y WHERE a.id < 90",
        "SELECT a.id, b.id FROM a JOIN b ON b.y = a.x WHERE a.id < 90",
        "SELECT a.id, b.id FROM a, b WHERE a.x = b.y AND a.id < 90",
        "SELECT a.id, b.id FROM b JOIN a ON a.x = b.y WHERE a.id < 90",
        "SELECT a.id, b.id FROM a LEFT JOIN b ON a.x = b.y WHERE a.id < 90",
        "SELECT a.id, b.id FROM a LEFT JOIN b ON b.y = a.x AND b.id > 7 WHERE a.id < 90",
        "SELECT a.id, b.id FROM b LEFT JOIN a ON a.x = b.y AND a.id < 90",
        "SELECT a.id, b.id FROM a FULL JOIN b ON a.x = b.y",
        "SELECT a.id, b.id FROM a RIGHT JOIN b ON a.x = b.y",
        "SELECT a.id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.y = a.x)",
        "SELECT a.id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE a.x = b.y)",
        "SELECT a.id, (SELECT count(*) FROM b WHERE b.y = a.x) FROM a",
        "SELECT b.id FROM b WHERE NOT EXISTS (SELECT 1 FROM a WHERE a.x = b.y AND a.id < 20)",
        "SELECT b.y, count(*) FROM a JOIN b ON a.x = b.y GROUP BY b.id",
        "SELECT a.id, b.id FROM a JOIN b ON a.x = b.y OR a.id = 3",
        "SELECT a.id, b.id FROM a JOIN b ON NOT (a.x = b.y)",
        "SELECT a.id, b.id FROM a JOIN b ON a.x IS b.y",
};

static void fill(const char *x, const char *y)
{
        char *a = xasprintf("CREATE TABLE a (id INTEGER PRIMARY KEY, x %s)", x);
        char *b = xasprintf("CREATE TABLE b (id INTEGER PRIMARY KEY, y %s)", y);

        run(a);
        run(b);
        run("CREATE INDEX by ON b (y)");
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
                char *sql = xasprintf("INSERT INTO a VALUES (%zu, %s)", i, values[i]);

                run(sql);
                free(sql);
                for (size_t k = 0; k < 2; k++) {
                        sql = xasprintf("INSERT INTO b VALUES (%zu, %s)", i * 2 + k, values[i]);
                        run(sql);
                        free(sql);
                }
        }
        tell("a", 30, NULL, 0);
        tell("b", 100000, "by", 100000);
        free(a);
        free(b);
}

START_TEST(no_row_is_lost)
{
        const char *x = types[_i / (int)ARRAY_LEN(types)], *y = types[_i % (int)ARRAY_LEN(types)];

        fill(x, y);
        for (size_t i = 0; i < ARRAY_LEN(joins); i++)
                run(joins[i]);
}
END_TEST

/* In which of the pairs above the keys may be used. */
START_TEST(keys_are_used_where_they_may)
{
        static const struct {
                const char *x, *y;
                bool used;
        } pairs[] = {
                { "INTEGER", "INTEGER", true }, { "TEXT", "INTEGER", true },
                { "", "INTEGER", true },        { "REAL", "NUMERIC", true },
                { "TEXT", "TEXT", true },       { "BLOB", "TEXT", true },
                { "INTEGER", "TEXT", false },   { "REAL", "TEXT", false },
                { "BLOB", "BLOB", true },       { "TEXT", "BLOB", false },
                { "INTEGER", "BLOB", false },
        };

        for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
                size_t before;

                tear_down();
                set_up();
                fill(pairs[i].x, pairs[i].y);
                before = sim_n_keyed(sim);
                run(joins[0]);
                ck_assert_msg((sim_n_keyed(sim) > before) == pairs[i].used, "%s = %s", pairs[i].x,
                              pairs[i].y);
        }
}
END_TEST

/* ---- which way, and when */

static void make_tables(void)
{
        run("CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INTEGER, t TEXT)");
        run("CREATE TABLE b (id INTEGER PRIMARY KEY, c_id INTEGER, name TEXT COLLATE NOCASE)");
        run("CREATE TABLE c (code TEXT PRIMARY KEY, b_id INTEGER) WITHOUT ROWID");
        run("CREATE TABLE o (id INTEGER PRIMARY KEY, v)");
        run("CREATE INDEX ab ON a (b_id)");
        run("CREATE INDEX cb ON c (b_id)");
        for (int i = 0; i < 60; i++) {
                static const char *const rows[] = {
                        "INSERT INTO a VALUES (%d, %d %% 7, 'x%d')",
                        "INSERT INTO b VALUES (%d, %d, 'n%d')",
                        "INSERT INTO c (b_id, code) VALUES (%d / 2, '%d-%d')",
                        "INSERT INTO o VALUES (%d, %d + %d)",
                };

                for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
                        char sql[200];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                        snprintf(sql, sizeof sql, rows[k], i, i, i);
#pragma GCC diagnostic pop
                        run(sql);
                }
        }
        tell("a", 100000, "ab", 5000);
        tell("b", 50000, NULL, 0);
        tell("c", 80000, "cb", 40000);
        tell("o", 10, NULL, 0);
}

static const struct {
        const char *label, *sql;
        const char *want; /* per part, as planned: what it waits for */
} plans[] = {
        { "one row by key to another by key",
          "SELECT b.name FROM a JOIN b ON b.id = a.b_id WHERE a.id = 5", "- 1:id!" },
        { "whichever comes first", "SELECT b.name FROM b JOIN a ON b.id = a.b_id WHERE a.id = 5",
          "2:id! -" },
        { "a chain",
          "SELECT c.code FROM a, b, c WHERE a.id = 5 AND b.id = a.b_id AND c.b_id = b.id",
          "- 1:id! 2:b_id" },
        { "to a key that another table's condition gives",
          "SELECT a.t FROM a, b WHERE a.b_id = b.id AND b.id = 3", "2:b_id -" },
        { "a small table first", "SELECT b.name FROM o JOIN b ON b.id = o.v", "- 1:id!" },
        { "large ones need no keys", "SELECT b.name FROM a JOIN b ON b.id = a.b_id", "- -" },
        { "the far side of an outer join",
          "SELECT b.name FROM a LEFT JOIN b ON b.id = a.b_id WHERE a.id = 5", "- 1:id!" },
        { "the far side under another name",
          "SELECT y.name FROM a AS x LEFT JOIN b AS y ON y.id = x.b_id WHERE x.id = 5", "- 1:id!" },
        { "not the near one", "SELECT b.name FROM b LEFT JOIN a ON b.id = a.b_id AND a.id = 5",
          "- -" },
        { "full joins are left alone", "SELECT b.name FROM o FULL JOIN b ON b.id = o.v", "- -" },
        { "used twice", "SELECT 1 FROM o, b, b AS z WHERE b.id = o.v AND z.id < b.id", "- -" },
        { "a correlated subquery",
          "SELECT o.id FROM o WHERE EXISTS (SELECT 1 FROM b WHERE id = o.v)", "- 1:id!" },
        { "not the outer table",
          "SELECT b.id FROM b WHERE NOT EXISTS (SELECT 1 FROM o WHERE b.id = o.v)", "- -" },
        { "not under OR", "SELECT 1 FROM o, b WHERE b.id = o.v OR b.id = 3", "- -" },
        { "a text key", "SELECT 1 FROM o JOIN c ON o.v = c.code", "- 1:code!" },
        { "another collation than the key's does not route",
          "SELECT 1 FROM b JOIN c ON b.name = c.code WHERE b.id = 4", "- 1:code" },
        { "other expressions", "SELECT 1 FROM o JOIN b ON b.id = o.v + 1", "- -" },
};

START_TEST(who_waits_for_whom)
{
        struct plan *plan = NULL;
        struct err e = ERR_INIT;
        char got[200] = "";

        make_tables();
        ck_assert_msg(plan_build(sim_catalog(sim), plans[_i].sql, strlen(plans[_i].sql), 0, &plan,
                                 &e) == ERR_OK,
                      "%s", e.msg);
        for (size_t i = 0; i < plan->n_parts; i++) {
                const struct plan_after *a = plan->parts[i].after;
                size_t at = strlen(got);

                snprintf(got + at, sizeof got - at, a ? "%s%zu:%s%s" : "%s-", i ? " " : "",
                         a ? a->part + 1 : 0, a ? a->name : "", a && a->routes ? "!" : "");
        }
        ck_assert_msg(strcmp(got, plans[_i].want) == 0, "%s: %s, not %s", plans[_i].label, got,
                      plans[_i].want);
        plan_unref(plan);
        run(plans[_i].sql);
}
END_TEST

/* Any number of keys gives the same rows; beyond some it is all rows that are fetched. */
START_TEST(many_keys)
{
        static const int numbers[] = { 0, 1, 2, 511, 512, 513, 1025, 4000, 4001 };

        run("CREATE TABLE k (id INTEGER PRIMARY KEY, v)");
        run("CREATE TABLE big (id INTEGER PRIMARY KEY, w TEXT)");
        for (int i = 0, n = 0; i < (int)ARRAY_LEN(numbers); i++) {
                size_t before;

                for (; n < numbers[i]; n++) {
                        char sql[100];

                        snprintf(sql, sizeof sql, "INSERT INTO k VALUES (%d, %d)", n, n * 3);
                        run(sql);
                        if (n % 5 == 0) {
                                snprintf(sql, sizeof sql, "INSERT INTO big VALUES (%d, 'w%d')",
                                         n * 3, n);
                                run(sql);
                        }
                }
                tell("k", (uint64_t)n, NULL, 0);
                tell("big", 1000000, NULL, 0);
                before = sim_n_keyed(sim);
                run("SELECT k.id, w FROM k JOIN big ON big.id = k.v");
                ck_assert_msg((sim_n_keyed(sim) > before) == (n <= 4000), "%d", n);
                run("SELECT k.id, w FROM k LEFT JOIN big ON big.id = k.v");
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("gate/plan_keyjoin");
        TCase *t = tcase_create("keyjoin");

        tcase_set_timeout(t, 100);
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_loop_test(t, no_row_is_lost, 0, (int)(ARRAY_LEN(types) * ARRAY_LEN(types)));
        tcase_add_test(t, keys_are_used_where_they_may);
        tcase_add_loop_test(t, who_waits_for_whom, 0, ARRAY_LEN(plans));
        tcase_add_test(t, many_keys);
        suite_add_tcase(s, t);
        return unit_run(s);
}
