/* test_plan.c - plans run over simulated shards give SQLite's answers: the failures that shard
 * routers are known for, each by name, and which plan a statement gets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/normalize.h"
#include "tests/unit/gate/plan_sim.h"
#include "tests/unit/unit.h"

static const unsigned shard_counts[] = { 1, 3, 8 };

static const char *const setup[] = {
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL, d)",
        "CREATE TABLE k (name TEXT PRIMARY KEY, v INTEGER)",
        "CREATE TABLE n (name TEXT COLLATE NOCASE PRIMARY KEY, v INTEGER)",
        "CREATE TABLE two (x INTEGER, y TEXT, z, PRIMARY KEY (x, y)) WITHOUT ROWID",
        "CREATE TABLE plain (a, b)",
        "CREATE TABLE one (a INTEGER PRIMARY KEY, b) UNSHARDED",
        ("CREATE TABLE h (tenant INTEGER, id INTEGER, v, PRIMARY KEY (id, tenant)) "
         "SHARD BY HASH (tenant)"),
        "CREATE TABLE empty (id INTEGER PRIMARY KEY, a)",
        "CREATE INDEX t_a ON t (a)",
};

static void check_both(struct sim *s, const char *sql)
{
        sim_check(s, sql, false);
}

/* SQLite itself must not see Shoal's words. */
static void create(struct sim *s, const char *sql)
{
        struct sim_result r;
        char *plain = strdup(sql);
        char *cut;

        sim_run(s, sql, NULL, 0, &r);
        ck_assert_msg(r.code == ERR_OK, "%s: %s", sql, r.err.msg);
        sim_result_done(&r);
        cut = strstr(plain, " UNSHARDED");
        if (!cut)
                cut = strstr(plain, " SHARD BY");
        if (cut)
                *cut = '\0';
        sim_run_oracle(s, plain, NULL, 0, &r);
        ck_assert_msg(r.code == ERR_OK, "%s: %s", plain, r.err.msg);
        sim_result_done(&r);
        free(plain);
}

static struct sim *make(unsigned n_shards)
{
        struct sim *s = sim_new(n_shards);
        char sql[300];

        for (size_t i = 0; i < ARRAY_LEN(setup); i++)
                create(s, setup[i]);
        for (int i = 1; i <= 60; i++) {
                snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%d, %d, '%c%c', %d.5, %s)", i,
                         i % 7, 'a' + i % 5, i % 3 ? 'x' : 'Y', i % 11,
                         i % 4   ? "NULL"
                         : i % 8 ? "'12'"
                                 : "12");
                check_both(s, sql);
                snprintf(sql, sizeof sql, "INSERT INTO k VALUES ('%d', %d)", i, i);
                check_both(s, sql);
                snprintf(sql, sizeof sql, "INSERT INTO two VALUES (%d, 'y%d', %d)", i % 4, i, i);
                check_both(s, sql);
                snprintf(sql, sizeof sql, "INSERT INTO plain VALUES (%d, %d.25)", i % 6, i);
                check_both(s, sql);
                snprintf(sql, sizeof sql, "INSERT INTO h VALUES (%d, %d, 'v%d')", i % 9, i, i);
                check_both(s, sql);
        }
        check_both(s, "INSERT INTO t VALUES (100, NULL, NULL, NULL, NULL)");
        check_both(s, "INSERT INTO t VALUES (101, -3, '', -0.0, x'00ff')");
        check_both(s, "INSERT INTO n VALUES ('Berlin', 1)");
        check_both(s, "INSERT INTO n VALUES ('paris', 2)");
        check_both(s, "INSERT INTO one VALUES (1, 'x')");
        return s;
}

/* What is asked, whether its order is fixed, and the plan on several shards. */
static const struct {
        const char *label, *sql;
        bool ordered;
        enum plan_kind kind;
} queries[] = {
        { "point", "SELECT * FROM t WHERE id = 7", true, PLAN_SINGLE_SHARD },
        { "point by rowid", "SELECT a FROM t WHERE rowid = 7", true, PLAN_SINGLE_SHARD },
        { "point reversed", "SELECT a FROM t AS x WHERE 7 = x.id AND a < 100", true,
          PLAN_SINGLE_SHARD },
        { "in list", "SELECT id FROM t WHERE id IN (1, 2, 3, 99)", false, PLAN_MULTI_SHARD },
        { "or of keys", "SELECT id FROM t WHERE id = 1 OR id = 2", false, PLAN_MULTI_SHARD },
        { "or with another column", "SELECT id FROM t WHERE id = 1 OR a = 2", false, PLAN_SCATTER },
        { "contradiction", "SELECT id FROM t WHERE id = 1 AND id = 2", false, PLAN_SINGLE_SHARD },
        { "null key", "SELECT count(*), max(a) FROM t WHERE id = NULL", true, PLAN_SINGLE_SHARD },
        { "composite key", "SELECT z FROM two WHERE x = 1 AND y = 'y5'", true, PLAN_SINGLE_SHARD },
        { "prefix of key", "SELECT z FROM two WHERE x = 1", false, PLAN_SINGLE_SHARD },
        { "other half of key", "SELECT z FROM two WHERE y = 'y5'", false, PLAN_SCATTER },
        { "said sharding", "SELECT v FROM h WHERE tenant = 4 AND id > 10", false,
          PLAN_SINGLE_SHARD },
        { "text for an integer key", "SELECT a FROM t WHERE id = '07'", true, PLAN_SINGLE_SHARD },
        { "real for an integer key", "SELECT a FROM t WHERE id = 7.0", true, PLAN_SINGLE_SHARD },
        { "integer for a text key", "SELECT v FROM k WHERE name = 7", true, PLAN_SINGLE_SHARD },
        { "text key cast to number", "SELECT v FROM k WHERE name = CAST('07' AS INTEGER)", true,
          PLAN_SCATTER },
        { "text key plus 0", "SELECT v FROM k WHERE name + 0 = 7", true, PLAN_SCATTER },
        { "nocase key", "SELECT v FROM n WHERE name = 'BERLIN'", true, PLAN_SINGLE_SHARD },
        { "nocase key, binary comparison", "SELECT v FROM n WHERE name = 'BERLIN' COLLATE BINARY",
          true, PLAN_SCATTER },
        { "scatter", "SELECT id, b FROM t WHERE a > 3", false, PLAN_SCATTER },
        { "order by", "SELECT id FROM t ORDER BY a DESC, id", true, PLAN_SCATTER },
        { "order by position", "SELECT b, id FROM t ORDER BY 1, 2 DESC", true, PLAN_SCATTER },
        { "order by alias", "SELECT id, a * 2 AS q FROM t ORDER BY q, id", true, PLAN_SCATTER },
        { "order by alias that is a column", "SELECT id, -a AS c FROM t ORDER BY c, id", true,
          PLAN_SCATTER },
        { "order by expression of alias", "SELECT id, a AS q FROM t ORDER BY q + 1, id", true,
          PLAN_SCATTER },
        { "order by hidden column", "SELECT b FROM t ORDER BY c, id", true, PLAN_SCATTER },
        { "order by collation", "SELECT b FROM t ORDER BY b COLLATE NOCASE, id", true,
          PLAN_SCATTER },
        { "order by nulls last", "SELECT a FROM t ORDER BY a NULLS LAST, id", true, PLAN_SCATTER },
        { "order by desc nulls first", "SELECT a FROM t ORDER BY a DESC NULLS FIRST, id", true,
          PLAN_SCATTER },
        { "order by mixed types", "SELECT d, id FROM t ORDER BY d, id", true, PLAN_SCATTER },
        { "star", "SELECT * FROM t ORDER BY id", true, PLAN_SCATTER },
        { "table star", "SELECT u.*, id + 1 FROM t AS u ORDER BY u.id DESC", true, PLAN_SCATTER },
        { "limit", "SELECT id FROM t ORDER BY id LIMIT 5", true, PLAN_SCATTER },
        { "limit and offset", "SELECT id FROM t ORDER BY id LIMIT 5 OFFSET 7", true, PLAN_SCATTER },
        { "offset comma", "SELECT id FROM t ORDER BY id LIMIT 7, 5", true, PLAN_SCATTER },
        { "limit 0", "SELECT id FROM t ORDER BY id LIMIT 0", true, PLAN_SCATTER },
        { "limit negative", "SELECT id FROM t ORDER BY id LIMIT -1 OFFSET 50", true, PLAN_SCATTER },
        { "offset negative", "SELECT id FROM t ORDER BY id LIMIT 3 OFFSET -5", true, PLAN_SCATTER },
        { "limit huge", "SELECT id FROM t ORDER BY id LIMIT 9223372036854775807 OFFSET 58", true,
          PLAN_SCATTER },
        { "offset huge", "SELECT id FROM t ORDER BY id LIMIT 5 OFFSET 9223372036854775807", true,
          PLAN_SCATTER },
        { "limit text", "SELECT id FROM t ORDER BY id LIMIT '3'", true, PLAN_SCATTER },
        { "limit not a number", "SELECT id FROM t ORDER BY id LIMIT 'x'", true, PLAN_SCATTER },
        { "limit expression", "SELECT id FROM t ORDER BY id LIMIT 1 + 2 OFFSET 2 * 2", true,
          PLAN_SCATTER },
        { "distinct", "SELECT DISTINCT a FROM t", false, PLAN_SCATTER },
        { "distinct ordered", "SELECT DISTINCT a, b FROM t ORDER BY b, a LIMIT 9", true,
          PLAN_SCATTER },
        { "distinct nulls and types", "SELECT DISTINCT d FROM t", false, PLAN_GATHER },
        { "distinct by other key",
          "SELECT DISTINCT a % 2 FROM t WHERE a IS NOT NULL ORDER BY a % 2", true, PLAN_GATHER },
        { "count", "SELECT count(*) FROM t", true, PLAN_SCATTER_AGGREGATE },
        { "count of nothing", "SELECT count(*), count(a) FROM t WHERE a > 1000", true,
          PLAN_SCATTER_AGGREGATE },
        { "sum of nothing is null",
          "SELECT sum(a), total(a), avg(a), min(a), max(a) FROM t WHERE a > 1000", true,
          PLAN_SCATTER_AGGREGATE },
        { "aggregates of an empty table", "SELECT sum(a), count(*), avg(a) FROM empty", true,
          PLAN_SCATTER_AGGREGATE },
        { "avg is not of averages", "SELECT avg(a), avg(c), avg(id) FROM t", true,
          PLAN_SCATTER_AGGREGATE },
        { "sum of reals", "SELECT sum(c), total(a), typeof(sum(c)), typeof(sum(a)) FROM t", true,
          PLAN_SCATTER_AGGREGATE },
        { "sum of text and blobs", "SELECT sum(d), sum(b), total(d), avg(b) FROM t", true,
          PLAN_SCATTER_AGGREGATE },
        { "min max of text", "SELECT min(b), max(b), min(a), max(c) FROM t", true,
          PLAN_SCATTER_AGGREGATE },
        { "min max without type", "SELECT min(d), max(d) FROM t", true, PLAN_GATHER },
        { "count distinct", "SELECT count(DISTINCT a), count(DISTINCT b) FROM t", true,
          PLAN_GATHER },
        { "sum distinct", "SELECT sum(DISTINCT a) FROM t", true, PLAN_GATHER },
        { "group_concat", "SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)", true,
          PLAN_SCATTER },
        { "group by", "SELECT a, count(*), sum(c) FROM t GROUP BY a", false,
          PLAN_SCATTER_AGGREGATE },
        { "group by ordered", "SELECT a, count(*) FROM t GROUP BY a ORDER BY 2 DESC, 1", true,
          PLAN_SCATTER_AGGREGATE },
        { "group by expression not selected",
          "SELECT count(*) FROM t GROUP BY length(b) ORDER BY 1", true, PLAN_SCATTER_AGGREGATE },
        { "group by position", "SELECT substr(b, 1, 1), max(id) FROM t GROUP BY 1 ORDER BY 1", true,
          PLAN_SCATTER_AGGREGATE },
        { "group by alias", "SELECT a & 1 AS g, min(id) FROM t GROUP BY g ORDER BY g", true,
          PLAN_SCATTER_AGGREGATE },
        { "having", "SELECT a FROM t GROUP BY a HAVING count(*) > 8 ORDER BY a", true,
          PLAN_SCATTER_AGGREGATE },
        { "having alias", "SELECT a, sum(id) AS s FROM t GROUP BY a HAVING s > 250 ORDER BY s",
          true, PLAN_SCATTER_AGGREGATE },
        { "having compares by affinity", "SELECT a FROM t GROUP BY a HAVING a > '3' ORDER BY a",
          true, PLAN_SCATTER_AGGREGATE },
        { "aggregate in expression", "SELECT 1 + count(*) * 2 || 'x', coalesce(max(a), 0) FROM t",
          true, PLAN_SCATTER_AGGREGATE },
        { "filter",
          "SELECT count(*) FILTER (WHERE a > 3), sum(a) FILTER (WHERE b LIKE 'a%') FROM t", true,
          PLAN_SCATTER_AGGREGATE },
        { "group limit", "SELECT a, count(*) FROM t GROUP BY a ORDER BY a LIMIT 2 OFFSET 1", true,
          PLAN_SCATTER_AGGREGATE },
        { "distinct of groups", "SELECT DISTINCT count(*) FROM t GROUP BY a", false,
          PLAN_SCATTER_AGGREGATE },
        { "bare column with max", "SELECT b, max(id) FROM t", true, PLAN_GATHER },
        { "bare column", "SELECT a, id, max(c) FROM t WHERE id < 6 GROUP BY a ORDER BY a", true,
          PLAN_GATHER },
        { "group by nocase", "SELECT count(*) FROM n GROUP BY name", false, PLAN_SCATTER },
        { "window", "SELECT id, row_number() OVER (ORDER BY id DESC) FROM t ORDER BY id", true,
          PLAN_GATHER },
        { "window sum", "SELECT id, sum(a) OVER (PARTITION BY b ORDER BY id) FROM t ORDER BY id",
          true, PLAN_GATHER },
        { "scalar subquery", "SELECT id FROM t WHERE a > (SELECT avg(a) FROM t) ORDER BY id", true,
          PLAN_GATHER },
        { "correlated subquery",
          "SELECT id, (SELECT count(*) FROM t AS x WHERE x.a < t.a) FROM t ORDER BY 1", true,
          PLAN_GATHER },
        { "outer name two levels down",
          "SELECT (SELECT count(*) FROM (SELECT o.x AS y, k.v FROM k) AS d WHERE d.v < 4) FROM "
          "(SELECT 1 AS x UNION ALL SELECT 2) AS o LEFT JOIN t ON t.a = o.x",
          false, PLAN_GATHER },
        { "outer name in a subquery's CTE",
          "SELECT t.id, (WITH c AS (SELECT k.v, t.a AS y FROM k) SELECT sum(y) FROM (SELECT y FROM "
          "c)) FROM t ORDER BY 1",
          true, PLAN_GATHER },
        { "exists", "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM k WHERE k.v = t.a) ORDER BY id",
          true, PLAN_GATHER },
        { "join", "SELECT t.id, k.name FROM t JOIN k ON k.v = t.id WHERE t.a = 3 ORDER BY 1", true,
          PLAN_GATHER },
        { "left join",
          "SELECT t.id, n.name FROM t LEFT JOIN n ON n.v = t.id WHERE n.v IS NULL ORDER BY 1 LIMIT "
          "4",
          true, PLAN_GATHER },
        { "natural join", "SELECT count(*) FROM k NATURAL JOIN n", true, PLAN_GATHER },
        { "compound", "SELECT id FROM t WHERE a = 1 UNION SELECT v FROM k WHERE v < 5 ORDER BY 1",
          true, PLAN_GATHER },
        { "compound, first rows by number",
          "SELECT id, b FROM t UNION ALL SELECT id, a || '' FROM empty ORDER BY 2 DESC, 1 LIMIT 7",
          true, PLAN_SCATTER },
        { "compound, by name",
          "SELECT * FROM t UNION SELECT *, 1, 2, 3 FROM empty ORDER BY b, id LIMIT 9", true,
          PLAN_SCATTER },
        { "compound, alias before column",
          "SELECT id AS a, a AS id FROM t UNION ALL SELECT id, a FROM t ORDER BY id, a LIMIT 5",
          true, PLAN_SCATTER },
        { "compound, offset",
          "SELECT id, a FROM t WHERE id > 5 EXCEPT SELECT id, a FROM t WHERE a = 3 ORDER BY 1 "
          "LIMIT 4 OFFSET 3",
          true, PLAN_SCATTER },
        { "compound, offset and no limit",
          "SELECT id FROM t INTERSECT SELECT id FROM t WHERE a > 2 ORDER BY id LIMIT -1 OFFSET 11",
          true, PLAN_SCATTER },
        { "compound, collation of a term",
          "SELECT id, b FROM t UNION ALL SELECT id, b FROM t ORDER BY b COLLATE NOCASE DESC NULLS "
          "LAST, id LIMIT 8",
          true, PLAN_SCATTER },
        { "compound, collation of the column",
          "SELECT name FROM n UNION ALL SELECT name FROM n ORDER BY name LIMIT 8", true,
          PLAN_SCATTER },
        { "compound, collations that differ",
          "SELECT k.name FROM k UNION ALL SELECT n.name FROM n ORDER BY name, 1 LIMIT 8", true,
          PLAN_GATHER },
        { "compound, collation of the second arm",
          "SELECT name || '' AS x FROM n UNION ALL SELECT name FROM n ORDER BY x LIMIT 8", true,
          PLAN_GATHER },
        { "compound, name of the second arm",
          "SELECT id FROM t UNION ALL SELECT a FROM t ORDER BY a LIMIT 8", true, PLAN_GATHER },
        { "compound, qualified name",
          "SELECT t.a, t.id FROM t UNION ALL SELECT a, id FROM empty ORDER BY t.a, t.id LIMIT 8",
          true, PLAN_SCATTER },
        { "compound, qualified name of an arm that is cut out",
          "SELECT t.a + 1, t.b FROM t UNION SELECT a, a || '' FROM empty ORDER BY t.a + 1, t.b "
          "COLLATE NOCASE LIMIT 8",
          true, PLAN_GATHER },
        { "compound, an expression of the second arm",
          "SELECT a, id FROM t UNION ALL SELECT a + 1, id FROM t ORDER BY a + 1, 2 LIMIT 8", true,
          PLAN_GATHER },
        { "compound, whose name it is depends on the arm",
          "SELECT t.a, k.v FROM t JOIN k ON t.id = k.v UNION ALL SELECT v, 5 FROM k ORDER BY v, a "
          "LIMIT 8",
          true, PLAN_GATHER },
        { "compound, expression",
          "SELECT a + 1, id FROM t UNION ALL SELECT a, id FROM t ORDER BY a + 1, id LIMIT 8", true,
          PLAN_SCATTER },
        { "compound inside",
          "SELECT max(id), count(*) FROM (SELECT id, b FROM t UNION ALL SELECT id, b FROM t ORDER "
          "BY b, id LIMIT 11) WHERE b > 'a'",
          true, PLAN_SCATTER },
        { "compound of keys",
          "SELECT a FROM t WHERE id = 3 UNION ALL SELECT a FROM t WHERE id = 3 ORDER BY 1 LIMIT 1",
          true, PLAN_MULTI_SHARD },
        { "cte", "WITH q AS (SELECT a, count(*) AS c FROM t GROUP BY a) SELECT max(c) FROM q", true,
          PLAN_SCATTER_AGGREGATE },
        { "recursive cte over table",
          "WITH RECURSIVE r(i) AS (SELECT min(id) FROM t UNION ALL SELECT i + 1 FROM r WHERE i < "
          "9) "
          "SELECT count(*) FROM r JOIN t ON t.id = r.i",
          true, PLAN_GATHER },
        { "unsharded", "SELECT * FROM one", true, PLAN_UNSHARDED },
        { "sharded with unsharded", "SELECT t.id FROM t, one WHERE one.a = t.id", true,
          PLAN_GATHER },
        { "no table", "SELECT 1 + 1, 'x' || 'y'", true, PLAN_LOCAL },
        { "values", "VALUES (1, 2), (3, 4)", true, PLAN_LOCAL },
        { "rowid of plain table", "SELECT rowid, a FROM plain WHERE rowid = 5", true,
          PLAN_SINGLE_SHARD },
        { "quoted string", "SELECT \"no such column\" FROM t WHERE id = 1", true,
          PLAN_SINGLE_SHARD },
        { "between", "SELECT count(*) FROM t WHERE id BETWEEN 10 AND 20", true,
          PLAN_SCATTER_AGGREGATE },
        { "changes", "SELECT changes(), last_insert_rowid(), id FROM t WHERE a = 6", false,
          PLAN_SCATTER },
};

START_TEST(query_like_sqlite)
{
        unsigned n_shards = shard_counts[_i % (int)ARRAY_LEN(shard_counts)];
        struct sim *s = make(n_shards);

        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
                enum plan_kind kind;

                if (strcmp(queries[i].label, "changes") == 0)
                        continue; /* plain SQLite has a connection that has changed something */
                kind = sim_check(s, queries[i].sql, queries[i].ordered);
                if (n_shards > 1)
                        ck_assert_msg(kind == queries[i].kind, "%s: %s, not %s", queries[i].label,
                                      plan_kind_name(kind), plan_kind_name(queries[i].kind));
        }
        sim_free(s);
}
END_TEST

START_TEST(rows_are_spread)
{
        static const char *const tables[] = { "t", "k", "two", "plain", "h" };
        struct sim *s = make(8);

        for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
                unsigned n = 0;

                for (unsigned k = 0; k < 8; k++)
                        n += sim_count(s, k, tables[i]) > 0;
                ck_assert_msg(n >= 2, "%s lies on %u shards", tables[i], n);
        }
        ck_assert_uint_eq(sim_count(s, 0, "one"), 1);
        sim_free(s);
}
END_TEST

START_TEST(sum_overflow)
{
        struct sim *s = sim_new(8);
        struct sim_result r;

        create(s, "CREATE TABLE o (id INTEGER PRIMARY KEY, v INTEGER)");
        check_both(s, "INSERT INTO o VALUES (1, 9223372036854775807)");
        check_both(s, "INSERT INTO o VALUES (2, 1)");
        sim_check(s, "SELECT sum(v) FROM o", true);
        sim_check(s, "SELECT avg(v), total(v) FROM o", true);
        /* The true total fits: SQLite's answer depends on the order of its rows, ours does not. */
        check_both(s, "INSERT INTO o VALUES (3, -1)");
        sim_run(s, "SELECT sum(v) FROM o", NULL, 0, &r);
        ck_assert_int_eq(r.code, ERR_OK);
        ck_assert_str_eq(r.rows[0], "i9223372036854775807");
        sim_result_done(&r);
        sim_free(s);
}
END_TEST

/* 1, 1.0, '1' and '01' are one key of an INTEGER column. */
START_TEST(equal_keys_lie_together)
{
        struct sim *s = sim_new(8);

        create(s, "CREATE TABLE e (k INTEGER, v, PRIMARY KEY (k, v)) WITHOUT ROWID");
        check_both(s, "INSERT INTO e VALUES (1, 'a')");
        check_both(s, "INSERT INTO e VALUES (1.0, 'b')");
        check_both(s, "INSERT INTO e VALUES ('1', 'c')");
        check_both(s, "INSERT INTO e VALUES ('01', 'd')");
        check_both(s, "INSERT INTO e VALUES (' 1e0 ', 'e')");
        ck_assert_int_eq(sim_check(s, "SELECT v FROM e WHERE k = 1", false), PLAN_SINGLE_SHARD);
        ck_assert_int_eq(sim_check(s, "SELECT v FROM e WHERE k = '1.0'", false), PLAN_SINGLE_SHARD);
        create(s, "CREATE TABLE nc (k TEXT COLLATE NOCASE, v, PRIMARY KEY (k, v)) WITHOUT ROWID");
        check_both(s, "INSERT INTO nc VALUES ('Key', 1)");
        check_both(s, "INSERT INTO nc VALUES ('KEY', 2)");
        check_both(s, "INSERT INTO nc VALUES ('key', 3)");
        ck_assert_int_eq(sim_check(s, "SELECT v FROM nc WHERE k = 'kEY'", false),
                         PLAN_SINGLE_SHARD);
        create(s, "CREATE TABLE rt (k TEXT, v, PRIMARY KEY (k COLLATE RTRIM, v)) WITHOUT ROWID");
        check_both(s, "INSERT INTO rt VALUES ('a', 1)");
        check_both(s, "INSERT INTO rt VALUES ('a  ', 2)");
        check_both(s, "INSERT INTO rt VALUES ('a ', 2)");
        sim_check(s, "SELECT v FROM rt WHERE k = 'a  '", false);
        /* A key without affinity tells '1' from 1, but not 1 from 1.0. */
        create(s, "CREATE TABLE na (k PRIMARY KEY, v)");
        check_both(s, "INSERT INTO na VALUES (1, 'integer')");
        check_both(s, "INSERT INTO na VALUES ('1', 'text')");
        check_both(s, "INSERT INTO na VALUES (1.0, 'twice')");
        check_both(s, "INSERT INTO na VALUES (x'31', 'blob')");
        sim_check(s, "SELECT v FROM na WHERE k = 1.0", false);
        sim_check(s, "SELECT v FROM na WHERE k = '1'", false);
        /* A real column: what is inserted as text is found as the number it became. */
        create(s, "CREATE TABLE re (k REAL PRIMARY KEY, v)");
        check_both(s, "INSERT INTO re VALUES ('0.1234567890123456789', 1)");
        check_both(s, "INSERT INTO re VALUES (3, 2)");
        sim_check(s, "SELECT v FROM re WHERE k = 0.1234567890123456789", false);
        sim_check(s, "SELECT v FROM re WHERE k = '3.0'", false);
        sim_free(s);
}
END_TEST

static const struct {
        const char *label, *sql;
        enum err_code code;
        const char *reason;
} refused[] = {
        { "rows on several shards",
          "INSERT INTO t (id) VALUES (1001), (1002), (1003), (1004), (1005)", ERR_UNIMPLEMENTED,
          "WRITE_SPANS_SHARDS" },
        { "update of all", "UPDATE t SET a = 1", ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS" },
        { "delete of all", "DELETE FROM t", ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS" },
        { "update by several keys", "UPDATE t SET a = 1 WHERE id IN (1, 2, 3, 4, 5, 6)",
          ERR_UNIMPLEMENTED, "WRITE_SPANS_SHARDS" },
        { "insert select", "INSERT INTO t SELECT * FROM t", ERR_UNIMPLEMENTED,
          "WRITE_READS_SHARDS" },
        { "update from subquery", "UPDATE t SET a = (SELECT max(v) FROM k) WHERE id = 1",
          ERR_UNIMPLEMENTED, "WRITE_READS_SHARDS" },
        { "key changes", "UPDATE t SET id = 5 WHERE id = 6", ERR_UNIMPLEMENTED,
          "WRITE_MOVES_ROWS" },
        { "upsert changes key",
          "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2", ERR_UNIMPLEMENTED,
          "WRITE_MOVES_ROWS" },
        { "unique elsewhere", "CREATE TABLE u (id INTEGER PRIMARY KEY, mail UNIQUE)",
          ERR_UNIMPLEMENTED, "GLOBAL_UNIQUE" },
        { "unique index elsewhere", "CREATE UNIQUE INDEX t_b ON t (b)", ERR_UNIMPLEMENTED,
          "GLOBAL_UNIQUE" },
        { "explain begin", "EXPLAIN BEGIN", ERR_UNIMPLEMENTED, "TRANSACTIONS" },
        { "no such table", "SELECT * FROM nowhere", ERR_NOT_FOUND, "NO_SUCH_TABLE" },
        { "no such column", "SELECT nil FROM t", ERR_INVALID, "SQLITE_ERROR" },
        { "syntax", "SELECT FROM t", ERR_INVALID, "SYNTAX_ERROR" },
        { "two statements", "SELECT 1; SELECT 2", ERR_INVALID, "SEVERAL_STATEMENTS" },
        { "table exists", "CREATE TABLE t (a)", ERR_EXISTS, "ALREADY_EXISTS" },
        { "reserved name", "CREATE TABLE _shoal_x (a)", ERR_INVALID, "RESERVED_NAME" },
        { "our functions", "SELECT _shoal_sum_part(a) FROM t", ERR_INVALID, "SQLITE_ERROR" },
};

START_TEST(refuse)
{
        struct sim *s = make(8);
        struct sim_result r;

        for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
                sim_run(s, refused[i].sql, NULL, 0, &r);
                ck_assert_msg(r.code == refused[i].code, "%s: %s %s", refused[i].label,
                              err_code_name(r.code), r.err.msg);
                ck_assert_msg(strcmp(r.err.reason, refused[i].reason) == 0, "%s: %s",
                              refused[i].label, r.err.reason);
                sim_result_done(&r);
        }
        sim_free(s);
}
END_TEST

START_TEST(writes_like_sqlite)
{
        struct sim *s = make(shard_counts[_i % (int)ARRAY_LEN(shard_counts)]);
        static const char *const writes[] = {
                "INSERT INTO t (a, b) VALUES (1, 'new')",
                "INSERT INTO t (a, id) VALUES (2, NULL)",
                "INSERT INTO t DEFAULT VALUES",
                "INSERT INTO plain VALUES (7, 8)",
                "INSERT INTO k VALUES ('new', 1) RETURNING rowid, *",
                "INSERT INTO t (id) VALUES (7)",
                "INSERT OR IGNORE INTO t (id) VALUES (7)",
                "INSERT OR REPLACE INTO t (id, a) VALUES (7, 70)",
                "INSERT INTO k VALUES ('7', 1) ON CONFLICT (name) DO UPDATE SET v = excluded.v + v",
                "UPDATE t SET a = a + 1 WHERE id = 9 RETURNING a",
                "DELETE FROM t WHERE id = 10",
                "UPDATE t SET b = 'q' WHERE id = 11 AND a > 1000",
                "INSERT INTO one SELECT 2, 'y'",
                "UPDATE one SET b = 'z'",
                "INSERT INTO two VALUES (NULL, 'x', 1)",
                "INSERT INTO t VALUES ('abc', 1, 2, 3, 4)",
                "INSERT INTO t (id, a) VALUES (1 + 500, abs(-3))",
                "DELETE FROM two WHERE x = 1 AND y = 'y5'",
        };

        for (size_t i = 0; i < ARRAY_LEN(writes); i++)
                sim_check(s, writes[i], false);
        sim_check(s, "SELECT * FROM t ORDER BY id", true);
        sim_check(s, "SELECT rowid, * FROM k ORDER BY rowid", true);
        sim_check(s, "SELECT rowid, * FROM plain ORDER BY rowid", true);
        sim_check(s, "SELECT * FROM one", false);
        sim_check(s, "SELECT * FROM two", false);
        sim_free(s);
}
END_TEST

/* A text whose literals were taken out reads like one with the client's own parameters. */
START_TEST(literals_and_parameters_are_told_apart)
{
        static const char literal[] = "SELECT a, b FROM t WHERE id = 7";
        struct plan_arg seven = { NULL, value_integer(7) };
        struct sql_normalized n = { 0 };
        char parameter[100];

        ck_assert(sql_normalize(literal, strlen(literal), &n));
        snprintf(parameter, sizeof parameter, "%.*s", (int)n.text.n_bytes,
                 (const char *)n.text.data);
        ck_assert_ptr_nonnull(strchr(parameter, '?'));
        sql_normalized_done(&n);
        for (int first = 0; first < 2; first++) {
                struct sim *s = make(3);

                for (int i = 0; i < 4; i++) {
                        if ((first + i) % 2)
                                sim_check(s, literal, false);
                        else
                                sim_check_args(s, parameter, &seven, 1, false, false, NULL);
                }
                sim_free(s);
        }
}
END_TEST

START_TEST(parameters)
{
        struct sim *s = make(8);
        struct plan_arg args[] = { { NULL, value_integer(7) }, { NULL, value_text("a", 1) } };
        struct plan_arg named[] = { { ":id", value_integer(8) } };
        struct plan_arg unsigiled[] = { { "id", value_integer(8) } };
        struct sim_result r;

        ck_assert_int_eq(
            sim_check_args(s, "SELECT * FROM t WHERE id = ?", args, 1, true, false, NULL),
            PLAN_SINGLE_SHARD);
        sim_check_args(s, "SELECT * FROM t WHERE id = ?1 OR a = ?1 AND b >= ?2 ORDER BY id", args,
                       2, true, false, NULL);
        sim_check_args(s, "SELECT ?2, id FROM t WHERE id IN (?1, 9, 10) ORDER BY 2", args, 2, true,
                       false, NULL);
        sim_run(s, "SELECT id FROM t WHERE id = :id", named, 1, &r);
        ck_assert_msg(r.code == ERR_OK && r.n_rows == 1, "%s", r.err.msg);
        ck_assert_str_eq(r.rows[0], "i8");
        sim_result_done(&r);
        sim_run(s, "SELECT id FROM t WHERE id = :id", unsigiled, 1, &r);
        ck_assert_msg(r.code == ERR_OK && r.n_rows == 1, "%s", r.err.msg);
        sim_result_done(&r);
        sim_run(s, "SELECT id, :id, ?1 FROM t WHERE id = ?1", named, 1, &r);
        ck_assert_msg(r.code == ERR_OK && r.n_rows == 1, "%s", r.err.msg);
        sim_result_done(&r);
        sim_run(s, "SELECT id FROM t WHERE id = ?", args, 2, &r);
        ck_assert_int_eq(r.code, ERR_INVALID);
        ck_assert_str_eq(r.err.reason, "BAD_PARAMETERS");
        sim_result_done(&r);
        sim_run(s, "SELECT :id, @id", unsigiled, 1, &r);
        ck_assert_int_eq(r.code, ERR_INVALID);
        sim_result_done(&r);
        sim_free(s);
}
END_TEST

/* Writes that no row can match go to no shard but the one that says so. */
static const char *const nothing[] = {
        "UPDATE t SET a = 1 WHERE 0",
        "UPDATE t SET a = 1 WHERE b = 2 AND 0",
        "UPDATE t SET a = 1 WHERE NULL",
        "UPDATE t SET a = 1 WHERE 0.0",
        "UPDATE t SET a = 1 WHERE false",
        "DELETE FROM t WHERE id IS NULL",
        "DELETE FROM t WHERE rowid IS NULL AND a = 5",
        "DELETE FROM t WHERE 0 AND id > 3",
        "DELETE FROM t WHERE false AND id IN (1, 2, 3)",
};

START_TEST(writes_that_match_nothing)
{
        struct sim *s = make(8);

        sim_check(s, nothing[_i], false);
        sim_check(s, "SELECT count(*), sum(id), sum(a) FROM t", true);
        sim_check(s, "SELECT count(*), sum(id) FROM t WHERE 0", true);
        sim_check(s, "SELECT a, count(*) FROM t WHERE NULL GROUP BY a", true);
        sim_check(s, "SELECT id FROM t WHERE 0 ORDER BY id", true);
        sim_check(s, "SELECT id FROM t WHERE 1 ORDER BY id", true);
        sim_check(s, "SELECT id FROM t WHERE '1' ORDER BY id", true);
        sim_check(s, "SELECT id FROM t WHERE 'x' ORDER BY id", true);
        sim_check(s, "SELECT id FROM t WHERE -0.5 ORDER BY id", true);
        sim_check(s, "SELECT id FROM t WHERE id IS NULL OR id < 9 ORDER BY id", true);
        sim_check(s, "SELECT count(*) FROM t WHERE NOT (id IS NULL)", true);
        sim_free(s);
}
END_TEST

static const struct {
        const char *head, *tail;
        bool ordered;
        const char *write; /* the plan of a write is only looked at */
} many[] = {
        { "SELECT count(*), sum(id) FROM t WHERE id IN (", ")", true, NULL },
        { "SELECT id FROM t WHERE id IN (", ")", false, NULL },
        { "SELECT id, a FROM t WHERE id IN (", ") ORDER BY id LIMIT 20", true, NULL },
        { "SELECT a, count(*) FROM t WHERE id IN (", ") GROUP BY a ORDER BY a", true, NULL },
        { "SELECT x.id FROM t AS x JOIN t AS y ON x.id = y.id WHERE x.id IN (", ")", false, NULL },
        { "DELETE FROM t WHERE id = 5 AND id IN (", ")", false, "" },
};

static char *repeat(const char *head, const char *tail, size_t n, bool numbered)
{
        struct buf b = BUF_INIT(0);

        buf_add_str(&b, head);
        for (size_t i = 1; i <= n; i++) {
                buf_add_str(&b, i > 1 ? ",?" : "?");
                if (numbered)
                        buf_printf(&b, "%zu", i);
        }
        buf_add_str(&b, tail);
        return buf_take_str(&b);
}

/* SQLite takes time with the square of the number of numbered parameters: the shards and the finish
 * get plain ones. As many as SQLite is usually built for. */
START_TEST(many_parameters)
{
        enum { N = 32766 };
        struct sim *s = make(3);
        struct plan_arg *args = xcalloc(N, sizeof *args);
        struct err e = ERR_INIT;

        for (size_t i = 0; i < N; i++)
                args[i].value = value_integer((int64_t)i * 3);
        for (int numbered = 0; numbered < 2; numbered++) {
                char *sql = repeat(many[_i].head, many[_i].tail, N, numbered);
                struct plan *plan = NULL;

                ck_assert_msg(!plan_build(sim_catalog(s), sql, strlen(sql), 0, &plan, &e), "%s",
                              e.msg);
                ck_assert_uint_eq(plan->n_params, N);
                for (size_t i = 0; i < plan->n_parts; i++)
                        ck_assert_ptr_null(strstr(plan->parts[i].sql, "?777"));
                if (plan->finish_sql)
                        ck_assert_ptr_null(strstr(plan->finish_sql, "?777"));
                plan_unref(plan);
                if (!many[_i].write && !numbered)
                        sim_check_args(s, sql, args, N, many[_i].ordered, false, NULL);
                free(sql);
        }
        free(args);
        sim_free(s);
}
END_TEST

/* Names of columns are made of the text as it was written. */
START_TEST(many_parameters_in_result)
{
        struct sim *s = make(3);
        char *sql = repeat("SELECT ", " FROM t WHERE id = 1", 200, true);
        struct plan *plan = NULL;
        struct err e = ERR_INIT;

        ck_assert_msg(!plan_build(sim_catalog(s), sql, strlen(sql), 0, &plan, &e), "%s", e.msg);
        ck_assert_uint_eq(plan->n_columns, 200);
        ck_assert_ptr_nonnull(memmem(plan->columns, plan->n_columns_bytes, "?77", 3));
        plan_unref(plan);
        free(sql);
        sim_free(s);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan");
        TCase *tc = tcase_create("plan");

        tcase_set_timeout(tc, 60);
        tcase_add_loop_test(tc, query_like_sqlite, 0, ARRAY_LEN(shard_counts));
        tcase_add_loop_test(tc, writes_like_sqlite, 0, ARRAY_LEN(shard_counts));
        tcase_add_test(tc, rows_are_spread);
        tcase_add_test(tc, sum_overflow);
        tcase_add_test(tc, equal_keys_lie_together);
        tcase_add_test(tc, refuse);
        tcase_add_test(tc, literals_and_parameters_are_told_apart);
        tcase_add_test(tc, parameters);
        tcase_add_loop_test(tc, writes_that_match_nothing, 0, ARRAY_LEN(nothing));
        tcase_add_loop_test(tc, many_parameters, 0, ARRAY_LEN(many));
        tcase_add_test(tc, many_parameters_in_result);
        suite_add_tcase(suite, tc);
        return unit_run(suite);
}
