/* test_normalize.c - which literals leave the text, and that the statement does the same without
 * them. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sql/literal.h"
#include "sql/normalize.h"
#include "sql/parse.h"
#include "tests/unit/random.h"
#include "tests/unit/sql/oracle.h"
#include "tests/unit/sql/same_rows.h"
#include "tests/unit/unit.h"

/* clang-format off */
/* text: NULL if the statement is to be used as it is. values: as written below, parted by blanks. */
static const struct {
        const char *label, *sql, *text, *values;
} cases[] = {
        /* what is taken out */
        { "point", "SELECT b FROM t WHERE a = 5", "SELECT b FROM t WHERE a = ?1", "5" },
        { "string", "SELECT b FROM t WHERE a = 'it''s'", "SELECT b FROM t WHERE a = ?1", "'it's'" },
        { "quotes", "SELECT b FROM t WHERE a = '''' OR a = ''", "SELECT b FROM t WHERE a = ?1 OR a = ?2", "''' ''" },
        { "blob", "SELECT b FROM t WHERE a = x'00Ff'", "SELECT b FROM t WHERE a = ?1", "x00ff" },
        { "no blob", "SELECT b FROM t WHERE a = x''", "SELECT b FROM t WHERE a = ?1", "x" },
        { "real", "SELECT b FROM t WHERE a < 1.5", "SELECT b FROM t WHERE a < ?1", "1.5" },
        { "several", "SELECT b FROM t WHERE a = 1 AND (b = 'x' OR c BETWEEN 2 AND 3)",
          "SELECT b FROM t WHERE a = ?1 AND (b = ?2 OR c BETWEEN ?3 AND ?4)", "1 'x' 2 3" },
        { "in", "SELECT b FROM t WHERE a IN (1, 2,'x')", "SELECT b FROM t WHERE a IN (?1, ?2,?3)", "1 2 'x'" },
        { "row", "SELECT b FROM t WHERE (a, b) = (1, 2)", "SELECT b FROM t WHERE (a, b) = (?1, ?2)", "1 2" },
        { "minus", "SELECT b FROM t WHERE a = -5", "SELECT b FROM t WHERE a = ?1", "-5" },
        { "blank minus", "SELECT b FROM t WHERE a = - 5.5", "SELECT b FROM t WHERE a = ?1", "-5.5" },
        { "two minuses", "SELECT b FROM t WHERE a = - -5", "SELECT b FROM t WHERE a = - ?1", "-5" },
        { "minus minus", "SELECT b FROM t WHERE a = 7 - -5", "SELECT b FROM t WHERE a = ?1 - ?2", "7 -5" },
        { "difference", "SELECT b FROM t WHERE a = b - 5", "SELECT b FROM t WHERE a = b - ?1", "5" },
        { "difference of parentheses", "SELECT b FROM t WHERE a = (b)-5", "SELECT b FROM t WHERE a = (b)-?1", "5" },
        { "a column called key", "SELECT b FROM t WHERE a = key -5", "SELECT b FROM t WHERE a = key -?1", "5" },
        { "minus zero", "SELECT b FROM t WHERE a = -0", "SELECT b FROM t WHERE a = ?1", "0" },
        { "minus zero point zero", "SELECT b FROM t WHERE a = -0.0", "SELECT b FROM t WHERE a = -?1", "0" },
        { "smallest but one", "SELECT b FROM t WHERE a = -9223372036854775807", "SELECT b FROM t WHERE a = ?1",
          "-9223372036854775807" },
        { "limit", "SELECT b FROM t LIMIT 10 OFFSET 5", "SELECT b FROM t LIMIT ?1 OFFSET ?2", "10 5" },
        { "limit comma", "SELECT b FROM t LIMIT 10,5", "SELECT b FROM t LIMIT ?1,?2", "10 5" },
        { "limit -1", "SELECT b FROM t LIMIT -1", "SELECT b FROM t LIMIT ?1", "-1" },
        { "values", "INSERT INTO t VALUES (1, 'x', NULL), (2.5, x'01', -3)",
          "INSERT INTO t VALUES (?1, ?2, NULL), (?3, ?4, ?5)", "1 'x' 2.5 x01 -3" },
        { "values of an expression", "INSERT INTO t(a) VALUES (1 + (2 + a))", "INSERT INTO t(a) VALUES (?1 + (?2 + a))", "1 2" },
        { "replace", "REPLACE INTO t(a) VALUES (1)", "REPLACE INTO t(a) VALUES (?1)", "1" },
        { "set", "UPDATE t SET a = 1, b = b + 2 WHERE c = 3", "UPDATE t SET a = ?1, b = b + ?2 WHERE c = ?3", "1 2 3" },
        { "set row", "UPDATE t SET (a, b) = (1, 2)", "UPDATE t SET (a, b) = (?1, ?2)", "1 2" },
        { "set of names in quotes", "UPDATE t SET 'a' = 'x', 'b' = 'y'", "UPDATE t SET 'a' = ?1, 'b' = ?2", "'x' 'y'" },
        { "delete", "DELETE FROM t WHERE a = 1 LIMIT 2", "DELETE FROM t WHERE a = ?1 LIMIT ?2", "1 2" },
        { "upsert", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2 WHERE c < 3",
          "INSERT INTO t VALUES (?1) ON CONFLICT (a) DO UPDATE SET b = ?2 WHERE c < ?3", "1 2 3" },
        { "subquery in where", "SELECT b FROM t WHERE a IN (SELECT d FROM u WHERE a = 1 ORDER BY 1 LIMIT 2)",
          "SELECT b FROM t WHERE a IN (SELECT d FROM u WHERE a = ?1 ORDER BY 1 LIMIT ?2)", "1 2" },
        { "subquery in from", "SELECT * FROM (SELECT a+1 FROM t WHERE a = 1) WHERE `a+1` = 2",
          "SELECT * FROM (SELECT a+1 FROM t WHERE a = ?1) WHERE `a+1` = ?2", "1 2" },
        { "with", "WITH x(n) AS (SELECT a FROM t WHERE b = 1) SELECT n FROM x WHERE n = 2",
          "WITH x(n) AS (SELECT a FROM t WHERE b = ?1) SELECT n FROM x WHERE n = ?2", "1 2" },
        { "compound", "SELECT a FROM t WHERE a = 1 UNION SELECT 7 FROM u WHERE a = 2",
          "SELECT a FROM t WHERE a = ?1 UNION SELECT 7 FROM u WHERE a = ?2", "1 2" },
        { "is distinct from", "SELECT a FROM t WHERE a IS DISTINCT FROM 1 AND b = 2",
          "SELECT a FROM t WHERE a IS DISTINCT FROM ?1 AND b = ?2", "1 2" },
        { "exists", "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE d = 2)",
          "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE d = ?1)", "2" },
        { "case", "SELECT a FROM t WHERE CASE a WHEN 1 THEN -2 ELSE 'z' END = b",
          "SELECT a FROM t WHERE CASE a WHEN ?1 THEN ?2 ELSE ?3 END = b", "1 -2 'z'" },
        { "update from", "UPDATE t SET a = 1 FROM (SELECT 2 AS n) WHERE b = 3",
          "UPDATE t SET a = ?1 FROM (SELECT 2 AS n) WHERE b = ?2", "1 3" },
        /* blanks and comments */
        { "blanks", " SELECT\tb\n  FROM t -- x\nWHERE/**/a=1 ; ", "SELECT\tb\n  FROM t WHERE a=?1", "1" },
        { "no blanks", "SELECT b FROM t WHERE a=1AND", NULL, NULL },
        { "string and word", "SELECT b FROM t WHERE a='x'AND b='y'OR c", "SELECT b FROM t WHERE a=?1 AND b=?2 OR c", "'x' 'y'" },
        { "result columns keep their bytes", "SELECT  a +  1 /* x */ , ( b )  FROM t   WHERE a = 1",
          "SELECT  a +  1 /* x */ , ( b )  FROM t WHERE a = ?1", "1" },
        { "subqueries too", "SELECT (SELECT  d  FROM  u  WHERE  a = 1) FROM t WHERE a =  1",
          "SELECT (SELECT  d  FROM  u  WHERE  a = 1) FROM t WHERE a = ?1", "1" },
        { "returning", "DELETE FROM t WHERE a =  1 RETURNING a  +  1", "DELETE FROM t WHERE a = ?1 RETURNING a  +  1", "1" },
        /* what stays */
        { "result columns", "SELECT 1, a + 2 FROM t WHERE a = 3", "SELECT 1, a + 2 FROM t WHERE a = ?1", "3" },
        { "order by", "SELECT a, b FROM t WHERE a = 1 ORDER BY 2, a + 3", "SELECT a, b FROM t WHERE a = ?1 ORDER BY 2, a + 3", "1" },
        { "group by and having", "SELECT a + 1 FROM t WHERE a = 1 GROUP BY a + 1 HAVING count(*) > 2",
          "SELECT a + 1 FROM t WHERE a = ?1 GROUP BY a + 1 HAVING count(*) > 2", "1" },
        { "having with a subquery", "SELECT a FROM t WHERE a = 1 GROUP BY a HAVING a IN (SELECT d FROM u WHERE d = 2)",
          "SELECT a FROM t WHERE a = ?1 GROUP BY a HAVING a IN (SELECT d FROM u WHERE d = 2)", "1" },
        { "on", "SELECT t.a FROM t JOIN u ON u.d = 1 WHERE t.a = 2", "SELECT t.a FROM t JOIN u ON u.d = 1 WHERE t.a = ?1", "2" },
        { "arguments", "SELECT a FROM t WHERE substr(b, 1, 2) = 'x'", "SELECT a FROM t WHERE substr(b, 1, 2) = ?1", "'x'" },
        { "arguments of words", "SELECT a FROM t WHERE replace(b, 'x', 'y') = 'z'",
          "SELECT a FROM t WHERE replace(b, 'x', 'y') = ?1", "'z'" },
        { "cast", "SELECT a FROM t WHERE CAST(5 AS 'x'(1,2)) = 6", "SELECT a FROM t WHERE CAST(5 AS 'x'(1,2)) = ?1", "6" },
        { "collate", "SELECT a FROM t WHERE a COLLATE 'nocase' = 'x'", "SELECT a FROM t WHERE a COLLATE 'nocase' = ?1", "'x'" },
        { "names in quotes", "SELECT a FROM t WHERE 't'.a = 1 AND t.'b' = 2 AND a IN 'u' AND \"c\" = 3",
          "SELECT a FROM t WHERE 't'.a = ?1 AND t.'b' = ?2 AND a IN 'u' AND \"c\" = ?3", "1 2 3" },
        { "escape", "SELECT a FROM t WHERE a LIKE 'x' ESCAPE '\\'", "SELECT a FROM t WHERE a LIKE ?1 ESCAPE '\\'", "'x'" },
        { "arrows", "SELECT a FROM t WHERE a -> 'x' = 1 AND a ->> '$.y' = 2",
          "SELECT a FROM t WHERE a -> 'x' = ?1 AND a ->> '$.y' = ?2", "1 2" },
        { "target", "INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b = 2 DO UPDATE SET b = 3",
          "INSERT INTO t VALUES (?1) ON CONFLICT (a) WHERE b = 2 DO UPDATE SET b = ?2", "1 3" },
        { "conditions", "SELECT a FROM t WHERE 0 AND a = 1 OR 1 AND a BETWEEN 2 AND 3",
          "SELECT a FROM t WHERE 0 AND a = ?1 OR 1 AND a BETWEEN ?2 AND ?3", "1 2 3" },
        { "conditions in parentheses", "SELECT a FROM t WHERE (1) AND a = 1 OR (0) OR a IN (2)",
          "SELECT a FROM t WHERE (1) AND a = ?1 OR (0) OR a IN (?2)", "1 2" },
        { "known not to be null", "SELECT a FROM t WHERE 5 NOT NULL AND 6 ISNULL AND 7 IS NOT a AND a = 1",
          "SELECT a FROM t WHERE 5 NOT NULL AND 6 ISNULL AND 7 IS NOT a AND a = ?1", "1" },
        { "too large", "SELECT a FROM t WHERE a = 9223372036854775808 OR a = -9223372036854775808 OR a = 1",
          "SELECT a FROM t WHERE a = 9223372036854775808 OR a = -9223372036854775808 OR a = ?1", "1" },
        { "hexadecimal", "SELECT a FROM t WHERE a = 0x10 OR a = 2", "SELECT a FROM t WHERE a = 0x10 OR a = ?1", "2" },
        { "too exact", "SELECT a FROM t WHERE a = 1.2345678901234567890 OR a = 1e300 OR a = 2",
          "SELECT a FROM t WHERE a = 1.2345678901234567890 OR a = 1e300 OR a = ?1", "2" },
        { "filter", "SELECT a FROM t WHERE a = 1 ORDER BY count(*) FILTER (WHERE b = 2)",
          "SELECT a FROM t WHERE a = ?1 ORDER BY count(*) FILTER (WHERE b = 2)", "1" },
        { "windows", "SELECT sum(a) OVER w FROM t WHERE a = 1 WINDOW w AS (ORDER BY 2 ROWS 3 PRECEDING)",
          "SELECT sum(a) OVER w FROM t WHERE a = ?1 WINDOW w AS (ORDER BY 2 ROWS 3 PRECEDING)", "1" },
        { "table functions", "SELECT value FROM json_each('[1]') WHERE value = 1",
          "SELECT value FROM json_each('[1]') WHERE value = ?1", "1" },
        { "true and null", "SELECT a FROM t WHERE a IS TRUE AND b IS NULL AND c = 1",
          "SELECT a FROM t WHERE a IS TRUE AND b IS NULL AND c = ?1", "1" },
        /* the statement's own variables */
        { "plain before", "SELECT a FROM t WHERE a = ? AND b = 1", "SELECT a FROM t WHERE a = ? AND b = ?2", "1" },
        { "plain behind", "SELECT a FROM t WHERE a = 1 AND b = ? AND c = ?", "SELECT a FROM t WHERE a = ?3 AND b = ?1 AND c = ?2", "1" },
        { "numbered", "SELECT a FROM t WHERE a = 1 AND b = ?7", "SELECT a FROM t WHERE a = ?8 AND b = ?7", "1" },
        { "plain behind numbered", "SELECT a FROM t WHERE a = 1 AND b = ?7 AND c = ?",
          "SELECT a FROM t WHERE a = ?9 AND b = ?7 AND c = ?8", "1" },
        { "named", "SELECT a FROM t WHERE a = 1 AND b = :x AND c = 2 AND b = :x AND a = ?",
          "SELECT a FROM t WHERE a = 1 AND b = :x AND c = ?3 AND b = :x AND a = ?2", "2" },
        { "named last", "SELECT a FROM t WHERE a = 1 AND b = @x", NULL, NULL },
        { "no variable but a string", "SELECT a FROM t WHERE a = ':x ?9'", "SELECT a FROM t WHERE a = ?1", "':x ?9'" },
        /* what is left alone */
        { "nothing there", "SELECT a FROM t", NULL, NULL },
        { "nothing to take out", "SELECT 1", NULL, NULL },
        { "empty", "", NULL, NULL },
        { "blank", " /* */ ", NULL, NULL },
        { "two statements", "SELECT a FROM t WHERE a = 1; SELECT 2", NULL, NULL },
        { "indexed by", "SELECT a FROM t INDEXED BY t_a WHERE a = 1", NULL, NULL },
        { "explain", "EXPLAIN SELECT a FROM t WHERE a = 1", NULL, NULL },
        { "ddl", "CREATE TABLE x(a DEFAULT 1)", NULL, NULL },
        { "create table as", "CREATE TABLE x AS SELECT a FROM t WHERE a = 1", NULL, NULL },
        { "trigger", "CREATE TRIGGER x DELETE ON t BEGIN UPDATE t SET a = 1; END", NULL, NULL },
        { "pragma", "PRAGMA user_version = 1", NULL, NULL },
        { "illegal", "SELECT a FROM t WHERE a = 1 ! 2", NULL, NULL },
        { "open string", "SELECT a FROM t WHERE a = 'x", NULL, NULL },
        { "parentheses", "SELECT a FROM t WHERE (a = 1", NULL, NULL },
        { "more parentheses", "SELECT a FROM t WHERE a = 1)", NULL, NULL },
        /* stays the syntax error that it is */
        { "two terms", "SELECT a FROM t WHERE a = 'x'5", "SELECT a FROM t WHERE a = ?1 ?2", "'x' 5" },
        { "two terms, one stays", "SELECT a FROM t WHERE a = 'x'0x10", "SELECT a FROM t WHERE a = ?1 0x10", "'x'" },
        { "two terms, one begins with a point", "SELECT a FROM t WHERE a = 5 .1e99", "SELECT a FROM t WHERE a = ?1 .1e99", "5" },
};
/* clang-format on */

static void describe(struct buf *b, const struct value *v)
{
        switch (v->type) {
        case VALUE_INTEGER:
                buf_printf(b, "%lld", (long long)v->integer);
                break;
        case VALUE_REAL:
                buf_printf(b, "%.15g", v->real);
                break;
        case VALUE_TEXT:
                buf_printf(b, "'%.*s'", (int)v->n_bytes, (const char *)v->data);
                break;
        case VALUE_BLOB:
                buf_add_byte(b, 'x');
                for (size_t i = 0; i < v->n_bytes; i++)
                        buf_printf(b, "%02x", ((const uint8_t *)v->data)[i]);
                break;
        case VALUE_NULL:
                buf_add_str(b, "null");
                break;
        }
}

START_TEST(taken_out)
{
        cleanup_(sql_normalized_done) struct sql_normalized n = SQL_NORMALIZED_INIT;
        cleanup_(buf_done) struct buf values = BUF_INIT(0);
        bool done = sql_normalize(cases[_i].sql, strlen(cases[_i].sql), &n);

        ck_assert_msg(done == (cases[_i].text != NULL), "%s: normalised: %d", cases[_i].label,
                      done);
        if (!done)
                return;
        buf_add_byte(&n.text, 0);
        ck_assert_msg(strcmp((const char *)n.text.data, cases[_i].text) == 0, "%s: %s",
                      cases[_i].label, (const char *)n.text.data);
        for (uint32_t i = 0; i < n.n_values; i++) {
                if (i)
                        buf_add_byte(&values, ' ');
                describe(&values, &n.values[i]);
        }
        buf_add_byte(&values, 0);
        ck_assert_msg(strcmp((const char *)values.data, cases[_i].values) == 0, "%s: %s",
                      cases[_i].label, (const char *)values.data);
}
END_TEST

/* The numbers of all variables, old and new, are SQLite's own, and a syntax error stays one. */
START_TEST(means_the_same)
{
        cleanup_(sql_normalized_done) struct sql_normalized n = SQL_NORMALIZED_INIT;
        sqlite3 *db = oracle_open();
        const char *sql = cases[_i].sql;
        sqlite3_stmt *before = NULL;
        sqlite3_stmt *after = NULL;
        int rc_before = sqlite3_prepare_v2(db, sql, -1, &before, NULL);
        int rc_after;

        if (!sql_normalize(sql, strlen(sql), &n))
                goto done;
        rc_after =
            sqlite3_prepare_v2(db, (const char *)n.text.data, (int)n.text.n_bytes, &after, NULL);
        ck_assert_msg(rc_before == rc_after, "%s: %s", cases[_i].label, sqlite3_errmsg(db));
        if (rc_after)
                goto done;
        ck_assert_uint_eq((unsigned)sqlite3_bind_parameter_count(before) + 1, n.first_number);
        ck_assert_uint_eq((unsigned)sqlite3_bind_parameter_count(after),
                          n.first_number - 1 + n.n_values);
        for (int i = 1; i < (int)n.first_number; i++) {
                const char *name = sqlite3_bind_parameter_name(before, i);

                if (name && name[0] != '?')
                        ck_assert_str_eq(name, sqlite3_bind_parameter_name(after, i));
        }
        for (int i = 0; i < sqlite3_column_count(before); i++)
                ck_assert_str_eq(sqlite3_column_name(before, i), sqlite3_column_name(after, i));
done:
        sqlite3_finalize(before);
        sqlite3_finalize(after);
        sqlite3_close(db);
}
END_TEST

START_TEST(limits)
{
        cleanup_(sql_normalized_done) struct sql_normalized n = SQL_NORMALIZED_INIT;
        cleanup_(buf_done) struct buf sql = BUF_INIT(0);
        cleanup_(buf_done) struct buf deep = BUF_INIT(0);

        buf_add_str(&sql, "SELECT a FROM t WHERE a IN (0");
        for (int i = 1; i < SQL_MAX_LITERALS; i++)
                buf_printf(&sql, ",%d", i);
        buf_add_str(&sql, ",'stays')");
        ck_assert(sql_normalize((const char *)sql.data, sql.n_bytes, &n));
        ck_assert_uint_eq(n.n_values, SQL_MAX_LITERALS);
        ck_assert_ptr_nonnull(memmem(n.text.data, n.text.n_bytes, "'stays'", 7));
        ck_assert_ptr_nonnull(memmem(n.text.data, n.text.n_bytes, "?4096,", 6));

        buf_add_str(&deep, "SELECT a FROM t WHERE a = 1 AND ");
        for (int i = 0; i < 100; i++)
                buf_add_byte(&deep, '(');
        ck_assert(!sql_normalize((const char *)deep.data, deep.n_bytes, &n));
        ck_assert(!sql_normalize("SELECT a FROM t WHERE a = ?250000 AND b = 1", 43, &n));
        ck_assert(!sql_normalize("SELECT a FROM t WHERE a = ?250001 AND b = 1", 43, &n));
        ck_assert(!sql_normalize("SELECT a FROM t WHERE a = 1\0", 28, &n));
        ck_assert(sql_normalize("SELECT a FROM t WHERE a = 1", 27, &n));
}
END_TEST

/* Every double that we make of a literal is the one that SQLite makes of it. */
START_TEST(reals_are_sqlites)
{
        uint64_t seed = 7;
        sqlite3 *db = oracle_open();
        int n_ours = 0;

        for (int i = 0; i < 20000; i++) {
                char sql[96] = "SELECT ";
                char *number = sql + 7;
                uint64_t r = random_next(&seed);
                uint64_t digits = random_next(&seed) >> (r % 60);
                int point = (int)((r >> 8) % 20);
                int n = snprintf(number, 64, "%llu", (unsigned long long)digits);
                sqlite3_stmt *stmt;
                struct value v;

                if (point < n) {
                        memmove(number + point + 1, number + point, (size_t)(n - point) + 1);
                        number[point] = '.';
                        n++;
                }
                if (r >> 16 & 1)
                        n += snprintf(number + n, 16, "e%d", (int)((r >> 20) % 60) - 30);
                if (!sql_literal_number(number, (size_t)n, &v))
                        continue;
                n_ours++;
                ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
                ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
                ck_assert_int_eq(sqlite3_column_type(stmt, 0), (int)v.type);
                if (v.type == VALUE_REAL) {
                        double theirs = sqlite3_column_double(stmt, 0);

                        ck_assert_msg(memcmp(&theirs, &v.real, sizeof theirs) == 0,
                                      "%s: %a, SQLite %a", number, v.real, theirs);
                } else {
                        ck_assert_int_eq(sqlite3_column_int64(stmt, 0), v.integer);
                }
                sqlite3_finalize(stmt);
        }
        ck_assert_int_gt(n_ours, 10000);
        sqlite3_close(db);
}
END_TEST

/* Statements that change and read a small database: original, printed and normalised side by side.
 */
START_TEST(same_rows)
{
        /* clang-format off */
        static const char *const statements[] = {
                "INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', -2.5), (-3, 'three', NULL), (4, 'four', x'0102')",
                "INSERT INTO u VALUES (1, 'x'), (2, 'y'), (2, 'z'), (NULL, 'n')",
                "INSERT INTO v VALUES (10, 'ten'), (20, 'TWENTY'), (-30, '')",
                "INSERT INTO v(y) VALUES ('auto') RETURNING x + 1, y",
                "INSERT INTO v VALUES (10, 'again') ON CONFLICT (x) DO UPDATE SET y = 'again ' || y WHERE x < 15",
                "INSERT INTO v VALUES ('no number', 1)",
                "INSERT INTO v VALUES (10, 1)",
                "SELECT * FROM t WHERE a = 1",
                "SELECT * FROM t WHERE a = '1'",
                "SELECT * FROM t WHERE a = 1.0",
                "SELECT * FROM t WHERE a = -3 OR b = 'two' ORDER BY 1 DESC",
                "SELECT * FROM v WHERE x = '10'",
                "SELECT * FROM v WHERE y = 'twenty' COLLATE NOCASE",
                "SELECT * FROM v WHERE y LIKE 'tw%' AND x BETWEEN 5 AND 25",
                "SELECT a+1, count(*) FROM t WHERE a > 0 GROUP BY a+1 HAVING count(*) = 1 ORDER BY 1 LIMIT 2 OFFSET 1",
                "SELECT a FROM t WHERE a IN (1, 4, 'x') AND c IS NOT NULL ORDER BY a",
                "SELECT (SELECT d FROM u WHERE u.a = t.a AND d > 'w'  ORDER BY d LIMIT 1)  , b FROM t WHERE a > 0 ORDER BY 2",
                "SELECT * FROM (SELECT a * 2, count(*) FROM t WHERE a <> 4 GROUP BY 1) WHERE \"a * 2\" > 1 ORDER BY 1",
                "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n WHERE i > 2 ORDER BY i",
                "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) WHERE column1 = 2",
                "SELECT c FROM t WHERE c = x'0102'",
                "SELECT c FROM t WHERE c = 1.5 OR c = -2.5 ORDER BY c",
                "SELECT a FROM t WHERE typeof(5) = 'integer' AND a = 5 - 1",
                "SELECT a FROM t WHERE (a, b) IN (VALUES (1, 'one'), (2, 'zwei'))",
                "SELECT 0x10, a FROM t WHERE a = 0x1",
                "UPDATE t SET b = 'eins', c = c + 1 WHERE a = 1 RETURNING a, b, c + 0.5",
                "UPDATE t SET (b, c) = ('zwei', 22) WHERE a = 2",
                "UPDATE t SET b = d FROM u WHERE t.a = u.a AND d = 'z'",
                "UPDATE t SET c = 7 WHERE a IN (SELECT a FROM u WHERE d = 'x')",
                "DELETE FROM t WHERE a = - 3",
                "DELETE FROM u WHERE a IS 2 AND d = 'y'",
                "SELECT * FROM t ORDER BY a",
                "SELECT * FROM u ORDER BY d LIMIT 1, 2",
                "SELECT * FROM v ORDER BY x LIMIT -1 OFFSET 1",
                "SELECT a FROM t LIMIT 'x'",
                "SELECT a FROM t WHERE a = 9223372036854775807 OR a = 9223372036854775808 OR a > -9223372036854775808 ORDER BY a",
                "SELECT a FROM t WHERE abs(-9223372036854775808) = 1",
        };
        /* clang-format on */
        struct same_rows s;

        same_rows_init(&s);
        for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
                const char *wrong = same_rows_check(&s, statements[i], strlen(statements[i]));

                ck_assert_msg(!wrong, "%s: %s", statements[i], wrong);
        }
        ck_assert_uint_gt(s.n_normalized, ARRAY_LEN(statements) / 2);
        same_rows_done(&s);
}
END_TEST

static Suite *normalize_suite(void)
{
        Suite *s = suite_create("normalize");
        TCase *t = tcase_create("normalize");

        tcase_add_loop_test(t, taken_out, 0, ARRAY_LEN(cases));
        tcase_add_loop_test(t, means_the_same, 0, ARRAY_LEN(cases));
        tcase_add_test(t, limits);
        tcase_add_test(t, reals_are_sqlites);
        tcase_add_test(t, same_rows);
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(normalize_suite());
}
