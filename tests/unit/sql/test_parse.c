/* test_parse.c - which statements are taken and what is said of the others: a table, and SQLite
 * beside it. */
#include <check.h>
#include <pthread.h>
#include <string.h>

#include "common/arena.h"
#include "common/buf.h"
#include "sql/parse.h"
#include "sql/tree_ddl.h"
#include "tests/unit/sql/oracle.h"
#include "tests/unit/unit.h"

/* clang-format off */
/* msg: NULL if the statement is taken. offset: -1 if SQLite does not tell. */
static const struct {
        const char *sql, *msg;
        int offset;
} cases[] = {
        { "select left.a", NULL, -1 },
        { "select indexed(1)", NULL, -1 },
        { "create table t(a int constraint foo)", NULL, -1 },
        { "create table t(a int, constraint foo, constraint bar)", NULL, -1 },
        { "create table t2(a int constraint foo unique constraint bar, unique(a) unique(a) check(1))", NULL, -1 },
        { "create table t3(a int, constraint foo check(1), constraint foo, check(2) constraint x unique(a))", NULL, -1 },
        { "create table t4(a int default foo)", NULL, -1 },
        { "create table t5(a int default - 1 default +'a' default current_time)", NULL, -1 },
        { "create table t(a int) strict, without rowid", NULL, -1 },
        { "create table t6(a int generated always as (1),b)", NULL, -1 },
        { "create table t7(a int generated always)", NULL, -1 },
        { "create table t8(a generated always as (1) stored, b)", NULL, -1 },
        { "create table t9(a b c d 'e' (1,2))", NULL, -1 },
        { "create table t10(a b(-1,+2.5))", NULL, -1 },
        { "values(1),(2,3)", NULL, -1 },
        { "select * from (a, b) x", NULL, -1 },
        { "select * from (((a join b)))", NULL, -1 },
        { "select * from a indexed by x, b not indexed", NULL, -1 },
        { "select #a", NULL, -1 },
        { "select $a(b)", NULL, -1 },
        { "select $a()", NULL, -1 },
        { "select :a::b", NULL, -1 },
        { "select ?250000", NULL, -1 },
        { "select 0x1g", NULL, -1 },
        { "select 1 /* foo", NULL, -1 },
        { "select 1 -- x", NULL, -1 },
        { "select 1 <> 2 != 3 == 4 = 5", NULL, -1 },
        { "select 1;;;select 2", NULL, -1 },
        { ";;;", NULL, -1 },
        { ";; select 1 ; select 2", NULL, -1 },
        { "/* x */", NULL, -1 },
        { "explain analyze", NULL, -1 },
        { "explain analyze main.t", NULL, -1 },
        { "explain select 1; select 2", NULL, -1 },
        { "explain query plan select 1", NULL, -1 },
        { "select count(*) filter (where 1) over ()", NULL, -1 },
        { "select count(*) filter", NULL, -1 },
        { "select count(*) over", NULL, -1 },
        { "select sum(1) over (rows 1 preceding exclude ties)", NULL, -1 },
        { "select sum(1) over (x partition by y)", NULL, -1 },
        { "select cast(1 as)", NULL, -1 },
        { "select cast(1 as int(1,2))", NULL, -1 },
        { "select not exists(select 1)", NULL, -1 },
        { "select 1 in ()", NULL, -1 },
        { "select 1 in main.t(1,2)", NULL, -1 },
        { "select 1 in (select 1)", NULL, -1 },
        { "select (1,2) in (values(1,2))", NULL, -1 },
        { "select 1 not in t()", NULL, -1 },
        { "select 1 isnull notnull not null", NULL, -1 },
        { "select 1 is not distinct from 2", NULL, -1 },
        { "select all 1", NULL, -1 },
        { "select 1 not like 2 escape 3", NULL, -1 },
        { "select 1 between 2 and 3 and 4", NULL, -1 },
        { "select case when 1 then 2 end", NULL, -1 },
        { "select - - 1", NULL, -1 },
        { "select 1 -> 2 ->> 3", NULL, -1 },
        { "select ~ - + 1", NULL, -1 },
        { "select not not 1", NULL, -1 },
        { "select 1 + not 1", NULL, -1 },
        { "select 1 = not 1 + 2", NULL, -1 },
        { "select true, false, null", NULL, -1 },
        { "with a(x) as materialized (select 1), b as not materialized (select 2) select * from a", NULL, -1 },
        { "with recursive a as (select 1) values(1)", NULL, -1 },
        { "with recursive recursive as (select 1) select 1", NULL, -1 },
        { "insert into t(a) values(1) on conflict(a) do update set a=1 where 2 on conflict do nothing returning *", NULL, -1 },
        { "insert into t select 1 from b where true on conflict do nothing", NULL, -1 },
        { "insert into t select 1 from b join c on 1 on conflict do nothing", NULL, -1 },
        { "insert into t(rowid) with a as (select 1) select 1", NULL, -1 },
        { "update t set a=1, (b,c)=(1,2), (d)=3 from x,y where 1 returning * order by 1 limit 1", NULL, -1 },
        { "update t set a==1", NULL, -1 },
        { "delete from t as x where 1 returning 1 limit 1 offset 2", NULL, -1 },
        { "create index i on t(a, b desc, c collate x, lower(d)) where 1", NULL, -1 },
        { "create view v as select 1", NULL, -1 },
        { "create temp view if not exists v(a,b) as select 1", NULL, -1 },
        { "create virtual table v using m", NULL, -1 },
        { "create virtual table v using m()", NULL, -1 },
        { "create virtual table v using m(a b, (c,d) 'e', ,)", NULL, -1 },
        { "create virtual table if not exists main.v using m(a;b)", NULL, -1 },
        { "alter table t rename column column to column", NULL, -1 },
        { "begin immediate transaction foo", NULL, -1 },
        { "commit transaction foo", NULL, -1 },
        { "rollback transaction to savepoint x", NULL, -1 },
        { "pragma x=-1.5", NULL, -1 },
        { "pragma x=+1", NULL, -1 },
        { "pragma x=on", NULL, -1 },
        { "pragma x(delete)", NULL, -1 },
        { "pragma x=default", NULL, -1 },
        { "pragma x='a'", NULL, -1 },
        { "pragma x=full", NULL, -1 },
        { "attach 'a' as b", NULL, -1 },
        { "attach database 'a'||'b' as c key 'x'", NULL, -1 },
        { "attach key as key key key", NULL, -1 },
        { "vacuum main into 'a'||'b'", NULL, -1 },
        { "analyze main", NULL, -1 },
        { "reindex main.t", NULL, -1 },
        { "create table t(a integer null on conflict abort)", NULL, -1 },
        { "create table t11(a integer null on conflict abort)", NULL, -1 },
        { "create table t12(a integer default x'12' default null default 1.5)", NULL, -1 },
        { "create table t13(a integer references b deferrable)", NULL, -1 },
        { "create table t14(a integer deferrable)", NULL, -1 },
        { "create table t15(a integer not deferrable initially deferred not null)", NULL, -1 },
        { "create table t16('a' 'b' 'c')", NULL, -1 },
        { "create table t(key)", NULL, -1 },
        { "create trigger x delete on t begin update t set a=1 from b where 1; end", NULL, -1 },
        { "create temp trigger x after update of a on t begin insert into t values(1) on conflict do nothing; select 1; end", NULL, -1 },
        { "select left(1)", "near \"(\": syntax error", 11 },
        { "select 1 left", "near \"left\": syntax error", 9 },
        { "select 1 from t left", "incomplete input", -1 },
        { "create table t(constraint a)", "near \"constraint\": syntax error", 15 },
        { "create table t(a int default -foo)", "near \"foo\": syntax error", 30 },
        { "create table t(a int) strict without rowid", "near \"without\": syntax error", 29 },
        { "create table t(a int) strict,", "incomplete input", -1 },
        { "create table t(a int) foo", "unknown table option: foo", -1 },
        { "create table t(a int) without foo", "unknown table option: foo", -1 },
        { "create table t(a int) 'strict'", "unknown table option: 'strict'", -1 },
        { "create table t(a int primary key) without \"rowid\"", "unknown table option: \"rowid\"", -1 },
        { "create table t(a as (1) foo)", "error in generated column \"a\"", -1 },
        { "create table t(a, b, )", "near \")\": syntax error", 21 },
        { "create table t()", "near \")\": syntax error", 15 },
        { "create table t(a (1))", "near \"(\": syntax error", 17 },
        { "create table t(a b(1,2,3))", "near \",\": syntax error", 22 },
        { "create table t(a b(x))", "near \"x\": syntax error", 19 },
        { "select 1 union select 2 order by 1 union select 3", "ORDER BY clause should come after UNION not before", -1 },
        { "select 1 limit 1 union select 2", "LIMIT clause should come after UNION not before", -1 },
        { "values(1) order by 1", "near \"order\": syntax error", 10 },
        { "values(1) limit 1", "near \"limit\": syntax error", 10 },
        { "select * from a foo bar join b", "near \"bar\": syntax error", 20 },
        { "select * from a left outer cross join b", "unknown join type: left outer cross", 16 },
        { "select * from a on 1", "a JOIN clause is required before ON", -1 },
        { "select * from a, b on 1 using(x)", "near \"using\": syntax error", 24 },
        { "select * from a left b", "incomplete input", -1 },
        { "select * from a(1,2) as x indexed by y", "near \"indexed\": syntax error", 26 },
        { "select #1", "near \"#1\": syntax error", 7 },
        { "select #", "unrecognized token: \"#\"", 7 },
        { "select @", "unrecognized token: \"@\"", 7 },
        { "select $a::b(c d)", "unrecognized token: \"$a::b(c\"", 7 },
        { "select $(a)", "unrecognized token: \"$\"", 7 },
        { "select ?0", "variable number must be between ?1 and ?250000", 7 },
        { "select ?250001", "variable number must be between ?1 and ?250000", 7 },
        { "select ?99999999999", "variable number must be between ?1 and ?250000", 7 },
        { "select x'1'", "unrecognized token: \"x'1'\"", 7 },
        { "select x'12", "unrecognized token: \"x'12\"", 7 },
        { "select 'a", "unrecognized token: \"'a\"", 7 },
        { "select \"a", "unrecognized token: \"\"a\"", 7 },
        { "select `a", "unrecognized token: \"`a\"", 7 },
        { "select [a", "unrecognized token: \"[a\"", 7 },
        { "select 12a", "unrecognized token: \"12a\"", 7 },
        { "select 12e", "unrecognized token: \"12e\"", 7 },
        { "select 1e5x", "unrecognized token: \"1e5x\"", 7 },
        { "select .5.5", "near \".5\": syntax error", 9 },
        { "select 0x", "unrecognized token: \"0x\"", 7 },
        { "select 0xg", "unrecognized token: \"0xg\"", 7 },
        { "select 1 /*", "near \"*\": syntax error", 10 },
        { "select 1 /", "incomplete input", -1 },
        { "select !1", "unrecognized token: \"!\"", 7 },
        { "select 1 ! 2", "unrecognized token: \"!\"", 9 },
        { "select \\", "unrecognized token: \"\\\"", 7 },
        { "select {", "unrecognized token: \"{\"", 7 },
        { "explain;", "near \";\": syntax error", 7 },
        { "explain query select 1", "near \"select\": syntax error", 14 },
        { "select count(*) filter over from t", "near \"over\": syntax error", 23 },
        { "select window from t window as ()", "near \"as\": syntax error", 28 },
        { "select sum(1) over (order by 1 rows unbounded following)", "near \"following\": syntax error", 46 },
        { "select sum(1) over (order by 1 rows between current row and 1 preceding)", "unsupported frame specification", -1 },
        { "select sum(1) over (order by 1 rows between unbounded preceding and unbounded preceding)", "near \"preceding\": syntax error", 78 },
        { "select sum(1) over (rows 1 following)", "unsupported frame specification", -1 },
        { "select sum(1) over (partition)", "near \")\": syntax error", 29 },
        { "select sum(1) over (rows)", "near \")\": syntax error", 24 },
        { "select cast as int", "near \"as\": syntax error", 12 },
        { "select cast", "incomplete input", -1 },
        { "select raise(abort, 'x' || 'y')", "near \"||\": syntax error", 24 },
        { "select raise", "incomplete input", -1 },
        { "select exists", "incomplete input", -1 },
        { "select exists(1)", "near \"1\": syntax error", 14 },
        { "select 1 in (1,)", "near \")\": syntax error", 15 },
        { "select 1 is distinct", "incomplete input", -1 },
        { "select distinct from t", "near \"from\": syntax error", 16 },
        { "select distinct distinct 1", "near \"distinct\": syntax error", 16 },
        { "select 1 like 2 escape 3 escape 4", "near \"escape\": syntax error", 25 },
        { "select case 1 end", "near \"end\": syntax error", 14 },
        { "select case else 1 end", "near \"else\": syntax error", 12 },
        { "select --1", "incomplete input", -1 },
        { "select a collate left", "near \"left\": syntax error", 17 },
        { "select null.a", "near \".\": syntax error", 11 },
        { "select t.*.* from t", "near \".\": syntax error", 10 },
        { "select main.t.* from t", "near \"*\": syntax error", 14 },
        { "select f(distinct a, b), f(all a), f(*), f(), f(distinct *)", "near \"*\": syntax error", 57 },
        { "select f(a order by b)", "near \"order\": syntax error", 11 },
        { "select 1 limit 1,2 offset 3", "near \"offset\": syntax error", 19 },
        { "select 1 offset 2", "near \"2\": syntax error", 16 },
        { "with a(x collate nocase) as (select 1) select 1", "syntax error after column name \"x\"", -1 },
        { "with a(x desc) as (select 1) select 1", "syntax error after column name \"x\"", -1 },
        { "with select 1", "near \"select\": syntax error", 5 },
        { "with a as (select 1) create table t(a)", "near \"create\": syntax error", 21 },
        { "with a as (select 1) with b as (select 1) select 1", "near \"with\": syntax error", 21 },
        { "with a as (insert into t values(1)) select 1", "near \"insert\": syntax error", 11 },
        { "with recursive as (select 1) select 1", "near \"as\": syntax error", 15 },
        { "with a as materialized as (select 1) select 1", "near \"as\": syntax error", 23 },
        { "insert into t values(1) on conflict do nothing on conflict do nothing", "near \"on\": syntax error", 47 },
        { "insert into t select 1 from b on conflict do nothing", "near \"do\": syntax error", 42 },
        { "replace or ignore into t values(1)", "near \"or\": syntax error", 8 },
        { "insert into t default values on conflict do nothing", "near \"on\": syntax error", 29 },
        { "insert into t as values values(1)", "near \"values\": syntax error", 17 },
        { "insert into t", "incomplete input", -1 },
        { "insert into t values", "incomplete input", -1 },
        { "insert into t(a,) values(1)", "near \")\": syntax error", 16 },
        { "insert into t() values(1)", "near \")\": syntax error", 14 },
        { "insert into t(a desc) values(1)", "near \"desc\": syntax error", 16 },
        { "update t x set a=1", "near \"x\": syntax error", 9 },
        { "update t not indexed set t.a=1", "near \".\": syntax error", 26 },
        { "update t set ", "incomplete input", -1 },
        { "delete from t x", "near \"x\": syntax error", 14 },
        { "delete t", "near \"t\": syntax error", 7 },
        { "delete from t, u", "near \",\": syntax error", 13 },
        { "create index i on main.t(a)", "near \".\": syntax error", 22 },
        { "create index i on t(a nulls first)", NULL, -1 },
        { "create index i on t()", "near \")\": syntax error", 20 },
        { "create view v(a desc) as select 1", "syntax error after column name \"a\"", -1 },
        { "create view v() as select 1", "near \")\": syntax error", 14 },
        { "create virtual table v using m(a(b)", "incomplete input", -1 },
        { "create virtual table v using m(a)) ", "near \")\": syntax error", 33 },
        { "create virtual table v using m(a) x", "near \"x\": syntax error", 34 },
        { "create temp virtual table v using m(a)", "near \"virtual\": syntax error", 12 },
        { "alter table t rename column to b", "near \"to\": syntax error", 28 },
        { "alter table t drop column", "incomplete input", -1 },
        { "drop table t, u", "near \",\": syntax error", 12 },
        { "drop database x", "near \"database\": syntax error", 5 },
        { "begin foo", "near \"foo\": syntax error", 6 },
        { "end foo", "near \"foo\": syntax error", 4 },
        { "rollback foo", "near \"foo\": syntax error", 9 },
        { "release savepoint", "incomplete input", -1 },
        { "pragma x(1", "incomplete input", -1 },
        { "pragma x=x'12'", "near \"x'12'\": syntax error", 9 },
        { "pragma x=a.b", "near \".\": syntax error", 10 },
        { "pragma x(-a)", "near \"a\": syntax error", 10 },
        { "attach a", "incomplete input", -1 },
        { "attach database as b", "near \"as\": syntax error", 16 },
        { "detach database", "incomplete input", -1 },
        { "vacuum into", "incomplete input", -1 },
        { "create table t(a integer check(1) on conflict abort)", "near \"on\": syntax error", 34 },
        { "create table t(a integer default (1)(2))", "near \"(\": syntax error", 36 },
        { "create table t(a integer default 1+2)", "near \"+\": syntax error", 34 },
        { "create table t(a integer default left)", "near \"left\": syntax error", 33 },
        { "create table t(a integer default :x)", "near \":x\": syntax error", 33 },
        { "create table t(a references b(c desc))", "syntax error after column name \"c\"", -1 },
        { "create table t(a, foreign key(a) references b on conflict abort)", "near \"conflict\": syntax error", 49 },
        { "create table t(a) as select 1", "near \"as\": syntax error", 18 },
        { "create table a.b.c(d)", "near \".\": syntax error", 16 },
        { "create table t(a left)", "near \"left\": syntax error", 17 },
        { "create table t(left right)", "near \"right\": syntax error", 20 },
        { "create table t(check)", "near \"check\": syntax error", 15 },
        { "create table t(unique)", "near \"unique\": syntax error", 15 },
        { "create table t(a unique(b))", "near \"(\": syntax error", 23 },
        { "create table t(check(1))", "near \"check\": syntax error", 15 },
        { "create table t(a b default 1 c)", "near \"c\": syntax error", 29 },
        { "select 1 from t t2 t3", "near \"t3\": syntax error", 19 },
        { "select 1 from t indexed", "incomplete input", -1 },
        { "select 1 from t indexed by", "incomplete input", -1 },
        { "select 1 from t not indexed x", "near \"x\": syntax error", 28 },
        { "select 1 from t using(a)", "a JOIN clause is required before USING", -1 },
        { "select 1 from t join u using()", "near \")\": syntax error", 29 },
        { "create trigger x delete on t for each statement begin select 1; end", "near \"statement\": syntax error", 38 },
        { "create trigger x delete on t begin delete from t limit 1; end", "near \"limit\": syntax error", 49 },
        { "create trigger x delete on t begin insert into main.t values(1); end", "qualified table names are not allowed on INSERT, UPDATE, and DELETE statements within triggers", -1 },
        { "create trigger x delete on t begin delete from t indexed by i; end", "the INDEXED BY clause is not allowed on UPDATE or DELETE statements within triggers", -1 },
        { "create trigger x delete on t begin insert into t values(1) returning 1; end", "cannot use RETURNING in a trigger", -1 },
        { "create trigger x delete on t begin select 1 end", "incomplete input", -1 },
        { "create trigger x delete on t begin end", "near \"end\": syntax error", 35 },
};
/* clang-format on */

START_TEST(as_the_table_says)
{
        cleanup_(arena_freep) struct arena *a = arena_new(1 << 20);
        const char *sql = cases[_i].sql;
        struct sql_stmt *st = NULL;
        struct err err = ERR_INIT;
        enum err_code rc = sql_parse(a, sql, strlen(sql), &st, NULL, &err);

        if (!cases[_i].msg) {
                ck_assert_msg(!rc, "%s: refused: %s", sql, err.msg);
                return;
        }
        ck_assert_msg(rc == ERR_INVALID, "%s: %s instead of an error", sql, err_code_name(rc));
        ck_assert_msg(strcmp(err.sqlite_msg, cases[_i].msg) == 0, "%s: %s", sql, err.sqlite_msg);
        ck_assert_str_eq(err.reason, "SYNTAX_ERROR");
        ck_assert_int_eq(err.extended_code, 1);
        if (cases[_i].offset >= 0)
                ck_assert_msg(err.offset == cases[_i].offset, "%s: offset %d", sql, err.offset);
}
END_TEST

/* Else the table proves nothing. */
START_TEST(as_sqlite_says)
{
        sqlite3 *db = oracle_open();
        const char *wrong = oracle_compare(db, cases[_i].sql, strlen(cases[_i].sql));

        ck_assert_msg(!wrong, "%s: %s", cases[_i].sql, wrong);
        sqlite3_close(db);
}
END_TEST

static Suite *parse_suite(void)
{
        Suite *s = suite_create("parse");
        TCase *t = tcase_create("parse");

        tcase_add_loop_test(t, as_the_table_says, 0, ARRAY_LEN(cases));
        tcase_add_loop_test(t, as_sqlite_says, 0, ARRAY_LEN(cases));
        suite_add_tcase(s, t);
        return s;
}

int main(void)
{
        return unit_run(parse_suite());
}
