/* grammar.y - the statements of SQLite 3.40, after the diagrams and pages of sqlite.org, and Shoal's own words. Actions only
 * build the tree; build.c and build_ddl.c do the work. Runs on the thread that called sql_parse(). */

%name sql_grammar
%token_prefix TK_
%token_type {struct sql_token}
%default_type {struct sql_token}
%extra_context {struct sql_parser *p}
/* SQLite stops at 100 of its own grammar's states; ours needs a few more for the same text. */
%stack_size 250

%include {
#include <string.h>

#include "sql/grammar.h"
#include "sql/parser_int.h"

#define sql_grammar_ENGINEALWAYSONSTACK 1
#define YYNOERRORRECOVERY 1
#define YYPARSEFREENEVERNULL 1

/* Bytes up to where the token that is being looked at begins, or the last one taken ended. */
#define HERE (p->current.offset)
#define BEFORE (p->end_of_last)
}

%syntax_error { sql_fail_syntax(p, TOKEN); }
%stack_overflow { sql_fail_complex(p, "parser stack overflow"); }

/* Words that are names wherever they mean nothing else. The last line is Shoal's. */
%fallback ID
  ABORT ACTION AFTER ALWAYS ANALYZE ASC ATTACH BEFORE BEGIN BY CASCADE CAST COLUMNKW CONFLICT CTIME_KW
  CURRENT DATABASE DEFERRED DESC DETACH DO EACH END EXCLUDE EXCLUSIVE EXPLAIN FAIL FIRST
  FOLLOWING FOR GENERATED GROUPS IF IGNORE IMMEDIATE INITIALLY INSTEAD KEY LAST LIKE_KW MATCH
  MATERIALIZED NO NULLS OF OFFSET OTHERS PARTITION PLAN PRAGMA PRECEDING QUERY RAISE RANGE
  RECURSIVE REINDEX RELEASE RENAME REPLACE RESTRICT ROLLBACK ROW ROWS SAVEPOINT TEMP TIES
  TRIGGER UNBOUNDED VACUUM VIEW VIRTUAL WITH WITHOUT
  AT CONSISTENT_HASH EXPLAIN_ANALYZE GLOBAL HASH REFERENCE SHARD SPLIT UNSHARDED.
%wildcard ANY.

/* Loosest first, as the table of operators has it. */
%left OR.
%left AND.
%right NOT.
%left IS MATCH LIKE_KW BETWEEN IN ISNULL NOTNULL NE EQ.
%left GT LE LT GE.
%right ESCAPE.
%left BITAND BITOR LSHIFT RSHIFT.
%left PLUS MINUS.
%left STAR SLASH REM.
%left CONCAT ARROW LONG_ARROW.
%left COLLATE.
%right BITNOT.
%nonassoc ON.

%token_class word ID|INDEXED.
%token_class label ID|STRING.
%token_class numeral INTEGER|FLOAT.

/* ---------------- statements ---------------- */

input ::= statement SEMI.

statement ::= cmd(C). { sql_statement_done(p, SQL_EXPLAIN_NONE, C); }
statement ::= EXPLAIN cmd(C). { sql_statement_done(p, SQL_EXPLAIN_BYTECODE, C); }
statement ::= EXPLAIN QUERY PLAN cmd(C). { sql_statement_done(p, SQL_EXPLAIN_QUERY_PLAN, C); }
statement ::= EXPLAIN EXPLAIN_ANALYZE dml(C). { sql_statement_done(p, SQL_EXPLAIN_ANALYZE, C); }

%type cmd {struct sql_node *}
%type dml {struct sql_node *}
cmd(A) ::= dml(A).
dml(A) ::= select(S). { A = (struct sql_node *)S; }
dml(A) ::= insert(S). { A = (struct sql_node *)S; }
dml(A) ::= update(S). { A = (struct sql_node *)S; }
dml(A) ::= delete(S). { A = (struct sql_node *)S; }

/* ---------------- names ---------------- */

%type name {struct sql_name}
%type name_token {struct sql_token}
name_token(A) ::= word(A).
name_token(A) ::= STRING(A).
name_token(A) ::= JOIN_KW(A).
name(A) ::= name_token(T). { A = sql_name_from(p, T); }

%type label_name {struct sql_name}
label_name(A) ::= label(T). { A = sql_name_from(p, T); }

%type object {struct sql_table_name *}
object(A) ::= name(N). { A = sql_table_name_new(p, (struct sql_name){ 0 }, N); }
object(A) ::= name(S) DOT name(N). { A = sql_table_name_new(p, S, N); }

%type names {struct sql_names}
names(A) ::= name(N). { A = (struct sql_names){ 0 }; sql_names_push(p, &A, N); }
names(A) ::= names(A) COMMA name(N). { sql_names_push(p, &A, N); }

%type names_opt {struct sql_names}
names_opt(A) ::= . { A = (struct sql_names){ 0 }; }
names_opt(A) ::= LP names(N) RP. { A = N; }

/* Lists of columns in which SQLite reads COLLATE and ASC as well, only to refuse them. */
%type plain_names {struct sql_names}
plain_names(A) ::= plain_name(N). { A = (struct sql_names){ 0 }; sql_names_push(p, &A, N); }
plain_names(A) ::= plain_names(A) COMMA plain_name(N). { sql_names_push(p, &A, N); }
%type plain_name {struct sql_name}
plain_name(A) ::= name_token(T) collated(C) sort(S).
{
        A = sql_name_from(p, T);
        if (C || S != SQL_SORT_NONE)
                sql_fail(p, T.offset, "syntax error after column name \"%.*s\"", (int)T.n_bytes,
                         p->text + T.offset);
}
%type plain_names_opt {struct sql_names}
plain_names_opt(A) ::= . { A = (struct sql_names){ 0 }; }
plain_names_opt(A) ::= LP plain_names(N) RP. { A = N; }
%type collated {bool}
collated(A) ::= . { A = false; }
collated(A) ::= COLLATE label. { A = true; }

%type alias {struct sql_name}
alias(A) ::= . { A = (struct sql_name){ 0 }; }
alias(A) ::= AS name(N). { A = N; }
alias(A) ::= label_name(N). { A = N; }

%type alias_as {struct sql_name}
alias_as(A) ::= . { A = (struct sql_name){ 0 }; }
alias_as(A) ::= AS name(N). { A = N; }

/* ---------------- SELECT ---------------- */

%type select {struct sql_select *}
%type compound {struct sql_compound_state}
select(A) ::= compound(C). { A = sql_compound_end(p, C, NULL); }
select(A) ::= with(W) compound(C). { A = sql_compound_end(p, C, W); }
compound(A) ::= arm(B). { A = sql_compound_begin(p, &B); }
compound(A) ::= compound(A) compound_op(O) arm(B). { sql_compound_add(p, &A, O, &B); }

%type compound_op {enum sql_compound}
compound_op(A) ::= UNION. { A = SQL_COMPOUND_UNION; }
compound_op(A) ::= UNION ALL. { A = SQL_COMPOUND_UNION_ALL; }
compound_op(A) ::= EXCEPT. { A = SQL_COMPOUND_EXCEPT; }
compound_op(A) ::= INTERSECT. { A = SQL_COMPOUND_INTERSECT; }

%type arm {struct sql_arm_clauses}
arm(A) ::= core(C) order_by(O) limit(L).
{ A = (struct sql_arm_clauses){ C, O, L }; }
arm(A) ::= values(V). { A = (struct sql_arm_clauses){ .arm = V }; }

%type core {struct sql_arm *}
core(A) ::= SELECT(T) distinct(D) results(R) from(F) where(W) group_by(G) having(H) windows(N).
{
        A = sql_node_new(p, SQL_ARM);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->distinct = D;
        A->results = R;
        A->from = F;
        A->where = W;
        A->group_by = G;
        A->having = H;
        A->windows = N;
}

%type distinct {enum sql_distinct}
distinct(A) ::= . { A = SQL_DISTINCT_NONE; }
distinct(A) ::= DISTINCT. { A = SQL_DISTINCT_DISTINCT; }
distinct(A) ::= ALL. { A = SQL_DISTINCT_ALL; }

%type values {struct sql_arm *}
values(A) ::= VALUES(T) row(R).
{
        A = sql_node_new(p, SQL_ARM);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->is_values = true;
        sql_push(p, &A->rows, R);
}
values(A) ::= values(A) COMMA row(R). { A->span.end = BEFORE; sql_push(p, &A->rows, R); }
%type row {struct sql_row *}
row(A) ::= LP(T) exprs(E) RP.
{
        A = sql_node_new(p, SQL_ROW);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->values = E;
}

%type results {struct sql_results}
%type result {struct sql_result *}
results(A) ::= result(R). { A = (struct sql_results){ 0 }; sql_push(p, &A, R); }
results(A) ::= results(A) COMMA result(R). { sql_push(p, &A, R); }
result(A) ::= expr(E) here(H) alias(N). { A = sql_result_new(p, E, H, N); }
result(A) ::= STAR(T).
{
        A = sql_node_new(p, SQL_RESULT);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->type = SQL_RESULT_STAR;
}
result(A) ::= name(N) DOT STAR.
{
        A = sql_node_new(p, SQL_RESULT);
        A->span = (struct sql_span){ N.offset, BEFORE };
        A->type = SQL_RESULT_TABLE_STAR;
        A->table = N;
}
%type here {uint32_t}
here(A) ::= . { A = HERE; }

%type from {struct sql_sources}
from(A) ::= . { A = (struct sql_sources){ 0 }; }
from(A) ::= FROM sources(S). { A = S; }

%type sources {struct sql_sources}
%type joined {struct sql_from_prefix}
joined(A) ::= . { A = (struct sql_from_prefix){ 0 }; }
joined(A) ::= sources(S) join(J). { A = (struct sql_from_prefix){ S, J }; }
sources(A) ::= joined(J) object(T) alias(N) on_using(C).
{
        struct sql_source *s = sql_source_new(p, SQL_SOURCE_TABLE, T->span.start, N);

        s->table = T;
        A = sql_from_add(p, &J, s, &C);
}
sources(A) ::= joined(J) object(T) alias(N) indexed(I) on_using(C).
{
        struct sql_source *s = sql_source_new(p, SQL_SOURCE_TABLE, T->span.start, N);

        s->table = T;
        s->indexed_by = I;
        s->not_indexed = !I.text;
        p->stmt->has_index_hints = true;
        A = sql_from_add(p, &J, s, &C);
}
sources(A) ::= joined(J) object(T) LP exprs_opt(E) RP alias(N) on_using(C).
{
        struct sql_source *s = sql_source_new(p, SQL_SOURCE_FUNCTION, T->span.start, N);

        s->table = T;
        s->args = E;
        A = sql_from_add(p, &J, s, &C);
}
sources(A) ::= joined(J) LP(T) select(S) RP alias(N) on_using(C).
{
        struct sql_source *s = sql_source_new(p, SQL_SOURCE_SELECT, T.offset, N);

        s->select = S;
        A = sql_from_add(p, &J, s, &C);
}
sources(A) ::= joined(J) LP(T) sources(S) RP alias(N) on_using(C).
{
        struct sql_source *s = sql_source_new(p, SQL_SOURCE_JOIN, T.offset, N);

        s->sources = S;
        A = sql_from_add(p, &J, s, &C);
}

%type join {uint32_t}
join(A) ::= COMMA. { A = SQL_JOIN_COMMA | SQL_JOIN_INNER; }
join(A) ::= JOIN. { A = SQL_JOIN_INNER; }
join(A) ::= JOIN_KW(T) JOIN.
{ A = sql_join_type(p, T, (struct sql_token){ 0 }, (struct sql_token){ 0 }); }
join(A) ::= JOIN_KW(T) name_token(U) JOIN.
{ A = sql_join_type(p, T, U, (struct sql_token){ 0 }); }
join(A) ::= JOIN_KW(T) name_token(U) name_token(V) JOIN. { A = sql_join_type(p, T, U, V); }

/* A table may be followed by ON, which always is the join's, though ON CONFLICT might be meant. */
%type on_using {struct sql_join_constraint}
on_using(A) ::= . [OR] { A = (struct sql_join_constraint){ 0 }; }
on_using(A) ::= ON expr(E). { A = (struct sql_join_constraint){ .on = E }; }
on_using(A) ::= USING LP names(N) RP. { A = (struct sql_join_constraint){ .using_columns = N }; }

%type indexed {struct sql_name}
indexed(A) ::= INDEXED BY name(N). { A = N; }
indexed(A) ::= NOT INDEXED. { A = (struct sql_name){ 0 }; }

%type where {struct sql_expr *}
where(A) ::= . { A = NULL; }
where(A) ::= WHERE expr(E). { A = E; }

%type group_by {struct sql_exprs}
group_by(A) ::= . { A = (struct sql_exprs){ 0 }; }
group_by(A) ::= GROUP BY exprs(E). { A = E; }

%type having {struct sql_expr *}
having(A) ::= . { A = NULL; }
having(A) ::= HAVING expr(E). { A = E; }

%type order_by {struct sql_order_terms}
order_by(A) ::= . { A = (struct sql_order_terms){ 0 }; }
order_by(A) ::= ORDER BY order_terms(T). { A = T; }

%type order_terms {struct sql_order_terms}
%type order_term {struct sql_order_term *}
order_terms(A) ::= order_term(T). { A = (struct sql_order_terms){ 0 }; sql_push(p, &A, T); }
order_terms(A) ::= order_terms(A) COMMA order_term(T). { sql_push(p, &A, T); }
order_term(A) ::= expr(E) sort(S) nulls(N).
{
        A = sql_node_new(p, SQL_ORDER_TERM);
        A->span = (struct sql_span){ E->span.start, BEFORE };
        A->expr = E;
        A->sort = S;
        A->nulls = N;
}
%type sort {enum sql_sort}
sort(A) ::= . { A = SQL_SORT_NONE; }
sort(A) ::= ASC. { A = SQL_SORT_ASC; }
sort(A) ::= DESC. { A = SQL_SORT_DESC; }
%type nulls {enum sql_nulls}
nulls(A) ::= . { A = SQL_NULLS_NONE; }
nulls(A) ::= NULLS FIRST. { A = SQL_NULLS_FIRST; }
nulls(A) ::= NULLS LAST. { A = SQL_NULLS_LAST; }

%type limit {struct sql_limit}
limit(A) ::= . { A = (struct sql_limit){ 0 }; }
limit(A) ::= LIMIT expr(L). { A = (struct sql_limit){ .limit = L }; }
limit(A) ::= LIMIT expr(L) OFFSET expr(O). { A = (struct sql_limit){ L, O, false }; }
limit(A) ::= LIMIT expr(O) COMMA expr(L). { A = (struct sql_limit){ L, O, true }; }

/* ---------------- WITH ---------------- */

%type with {struct sql_with *}
%type with_opt {struct sql_with *}
%type ctes {struct sql_ctes}
%type cte {struct sql_cte *}
with_opt(A) ::= . { A = NULL; }
with_opt(A) ::= with(A).
with(A) ::= WITH(T) ctes(C).
{
        A = sql_node_new(p, SQL_WITH);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->ctes = C;
}
with(A) ::= WITH(T) RECURSIVE ctes(C).
{
        A = sql_node_new(p, SQL_WITH);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->is_recursive = true;
        A->ctes = C;
}
ctes(A) ::= cte(C). { A = (struct sql_ctes){ 0 }; sql_push(p, &A, C); }
ctes(A) ::= ctes(A) COMMA cte(C). { sql_push(p, &A, C); }
cte(A) ::= name(N) plain_names_opt(L) cte_as(M) LP select(S) RP.
{
        A = sql_node_new(p, SQL_CTE);
        A->span = (struct sql_span){ N.offset, BEFORE };
        A->name = N;
        A->columns = L;
        A->materialized = M;
        A->select = S;
}
%type cte_as {enum sql_materialized}
cte_as(A) ::= AS. { A = SQL_MATERIALIZED_ANY; }
cte_as(A) ::= AS MATERIALIZED. { A = SQL_MATERIALIZED_YES; }
cte_as(A) ::= AS NOT MATERIALIZED. { A = SQL_MATERIALIZED_NO; }

/* ---------------- windows ---------------- */

%type windows {struct sql_windows}
windows(A) ::= . { A = (struct sql_windows){ 0 }; }
windows(A) ::= WINDOW window_definitions(W). { A = W; }
%type window_definitions {struct sql_windows}
%type window_definition {struct sql_window *}
window_definitions(A) ::= window_definition(W). { A = (struct sql_windows){ 0 }; sql_push(p, &A, W); }
window_definitions(A) ::= window_definitions(A) COMMA window_definition(W). { sql_push(p, &A, W); }
window_definition(A) ::= name(N) AS LP window(W) RP.
{
        A = W;
        A->name = N;
        A->span = (struct sql_span){ N.offset, BEFORE };
}

%type window {struct sql_window *}
window(A) ::= frame(F). { A = F; }
window(A) ::= ORDER BY order_terms(O) frame(F). { A = F; A->order = O; }
window(A) ::= PARTITION BY exprs(E) order_by(O) frame(F).
{ A = F; A->partition = E; A->order = O; }
window(A) ::= name(N) frame(F). { A = F; A->base = N; }
window(A) ::= name(N) ORDER BY order_terms(O) frame(F). { A = F; A->base = N; A->order = O; }
window(A) ::= name(N) PARTITION BY exprs(E) order_by(O) frame(F).
{ A = F; A->base = N; A->partition = E; A->order = O; }

%type frame {struct sql_window *}
frame(A) ::= . { A = sql_node_new(p, SQL_WINDOW); }
frame(A) ::= frame_type(T) frame_start(S) exclude(X).
{
        A = sql_node_new(p, SQL_WINDOW);
        sql_window_frame(p, A, T, S, (struct sql_frame_bound){ 0 }, X);
}
frame(A) ::= frame_type(T) BETWEEN frame_start(S) AND frame_end(E) exclude(X).
{
        A = sql_node_new(p, SQL_WINDOW);
        sql_window_frame(p, A, T, S, E, X);
}
%type frame_type {enum sql_frame_type}
frame_type(A) ::= ROWS. { A = SQL_FRAME_ROWS; }
frame_type(A) ::= RANGE. { A = SQL_FRAME_RANGE; }
frame_type(A) ::= GROUPS. { A = SQL_FRAME_GROUPS; }
%type frame_start {struct sql_frame_bound}
%type frame_end {struct sql_frame_bound}
%type frame_bound {struct sql_frame_bound}
frame_start(A) ::= frame_bound(A).
frame_start(A) ::= UNBOUNDED PRECEDING.
{ A = (struct sql_frame_bound){ SQL_BOUND_UNBOUNDED_PRECEDING, NULL }; }
frame_end(A) ::= frame_bound(A).
frame_end(A) ::= UNBOUNDED FOLLOWING.
{ A = (struct sql_frame_bound){ SQL_BOUND_UNBOUNDED_FOLLOWING, NULL }; }
frame_bound(A) ::= expr(E) PRECEDING. { A = (struct sql_frame_bound){ SQL_BOUND_PRECEDING, E }; }
frame_bound(A) ::= CURRENT ROW. { A = (struct sql_frame_bound){ SQL_BOUND_CURRENT_ROW, NULL }; }
frame_bound(A) ::= expr(E) FOLLOWING. { A = (struct sql_frame_bound){ SQL_BOUND_FOLLOWING, E }; }
%type exclude {enum sql_exclude}
exclude(A) ::= . { A = SQL_EXCLUDE_NONE; }
exclude(A) ::= EXCLUDE NO OTHERS. { A = SQL_EXCLUDE_NO_OTHERS; }
exclude(A) ::= EXCLUDE CURRENT ROW. { A = SQL_EXCLUDE_CURRENT_ROW; }
exclude(A) ::= EXCLUDE GROUP. { A = SQL_EXCLUDE_GROUP; }
exclude(A) ::= EXCLUDE TIES. { A = SQL_EXCLUDE_TIES; }

%type filter {struct sql_expr *}
filter(A) ::= FILTER LP WHERE expr(E) RP. { A = E; }
%type over {struct sql_window *}
over(A) ::= OVER(T) LP window(W) RP.
{
        A = W;
        A->span = (struct sql_span){ T.offset, BEFORE };
}
over(A) ::= OVER(T) name(N).
{
        A = sql_node_new(p, SQL_WINDOW);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->base = N;
        A->is_reference = true;
}

/* ---------------- expressions ---------------- */

%type expr {struct sql_expr *}
%type term {struct sql_expr *}
%type exprs {struct sql_exprs}
%type exprs_opt {struct sql_exprs}
exprs_opt(A) ::= . { A = (struct sql_exprs){ 0 }; }
exprs_opt(A) ::= exprs(A).
exprs(A) ::= expr(E). { A = (struct sql_exprs){ 0 }; sql_push(p, &A, E); }
exprs(A) ::= exprs(A) COMMA expr(E). { sql_push(p, &A, E); }

expr(A) ::= term(A).
term(A) ::= NULL(T). { A = sql_expr_literal(p, SQL_EXPR_NULL, T); }
term(A) ::= INTEGER(T). { A = sql_expr_literal(p, SQL_EXPR_INTEGER, T); }
term(A) ::= FLOAT(T). { A = sql_expr_literal(p, SQL_EXPR_FLOAT, T); }
term(A) ::= STRING(T). { A = sql_expr_literal(p, SQL_EXPR_STRING, T); }
term(A) ::= BLOB(T). { A = sql_expr_literal(p, SQL_EXPR_BLOB, T); }
term(A) ::= CTIME_KW(T). { A = sql_expr_clock(p, T); }
expr(A) ::= VARIABLE(T). { A = sql_expr_variable(p, T); }

expr(A) ::= word(C).
{ A = sql_expr_column(p, (struct sql_name){ 0 }, (struct sql_name){ 0 }, sql_name_from(p, C)); }
expr(A) ::= JOIN_KW(C).
{ A = sql_expr_column(p, (struct sql_name){ 0 }, (struct sql_name){ 0 }, sql_name_from(p, C)); }
expr(A) ::= name(T) DOT name(C). { A = sql_expr_column(p, (struct sql_name){ 0 }, T, C); }
expr(A) ::= name(S) DOT name(T) DOT name(C). { A = sql_expr_column(p, S, T, C); }

expr(A) ::= LP(T) expr(E) RP. { A = E; A->span = (struct sql_span){ T.offset, BEFORE }; }
expr(A) ::= LP(T) exprs(L) COMMA expr(E) RP.
{
        A = sql_expr_new(p, SQL_EXPR_VECTOR, T.offset);
        sql_push(p, &L, E);
        A->args = L;
        sql_expr_finish(p, A);
}
expr(A) ::= LP(T) select(S) RP.
{
        A = sql_expr_new(p, SQL_EXPR_SUBQUERY, T.offset);
        A->select = S;
        sql_expr_finish(p, A);
}
expr(A) ::= EXISTS(T) LP select(S) RP.
{
        A = sql_expr_new(p, SQL_EXPR_EXISTS, T.offset);
        A->select = S;
        sql_expr_finish(p, A);
}

expr(A) ::= PLUS(T) expr(E). [BITNOT] { A = sql_expr_unary(p, SQL_EXPR_PLUS, E, T.offset); }
expr(A) ::= MINUS(T) expr(E). [BITNOT] { A = sql_expr_unary(p, SQL_EXPR_NEGATE, E, T.offset); }
expr(A) ::= BITNOT(T) expr(E). { A = sql_expr_unary(p, SQL_EXPR_BIT_NOT, E, T.offset); }
expr(A) ::= NOT(T) expr(E). { A = sql_expr_unary(p, SQL_EXPR_NOT, E, T.offset); }
expr(A) ::= expr(E) ISNULL. { A = sql_expr_unary(p, SQL_EXPR_IS_NULL, E, E->span.start); }
expr(A) ::= expr(E) NOTNULL. { A = sql_expr_unary(p, SQL_EXPR_NOT_NULL, E, E->span.start); }
expr(A) ::= expr(E) NOT NULL. { A = sql_expr_unary(p, SQL_EXPR_NOT_NULL, E, E->span.start); }
expr(A) ::= expr(E) COLLATE label_name(N).
{
        A = sql_expr_unary(p, SQL_EXPR_COLLATE, E, E->span.start);
        A->name = N;
}
expr(A) ::= CAST(T) LP expr(E) AS type(Y) RP.
{
        A = sql_expr_unary(p, SQL_EXPR_CAST, E, T.offset);
        A->text = sql_text_between(p, Y.start, Y.end);
}

expr(A) ::= expr(L) OR expr(R). { A = sql_expr_binary(p, SQL_EXPR_OR, L, R); }
expr(A) ::= expr(L) AND expr(R). { A = sql_expr_binary(p, SQL_EXPR_AND, L, R); }
expr(A) ::= expr(L) EQ expr(R). { A = sql_expr_binary(p, SQL_EXPR_EQ, L, R); }
expr(A) ::= expr(L) NE expr(R). { A = sql_expr_binary(p, SQL_EXPR_NE, L, R); }
expr(A) ::= expr(L) LT expr(R). { A = sql_expr_binary(p, SQL_EXPR_LT, L, R); }
expr(A) ::= expr(L) LE expr(R). { A = sql_expr_binary(p, SQL_EXPR_LE, L, R); }
expr(A) ::= expr(L) GT expr(R). { A = sql_expr_binary(p, SQL_EXPR_GT, L, R); }
expr(A) ::= expr(L) GE expr(R). { A = sql_expr_binary(p, SQL_EXPR_GE, L, R); }
expr(A) ::= expr(L) BITAND expr(R). { A = sql_expr_binary(p, SQL_EXPR_BIT_AND, L, R); }
expr(A) ::= expr(L) BITOR expr(R). { A = sql_expr_binary(p, SQL_EXPR_BIT_OR, L, R); }
expr(A) ::= expr(L) LSHIFT expr(R). { A = sql_expr_binary(p, SQL_EXPR_SHIFT_LEFT, L, R); }
expr(A) ::= expr(L) RSHIFT expr(R). { A = sql_expr_binary(p, SQL_EXPR_SHIFT_RIGHT, L, R); }
expr(A) ::= expr(L) PLUS expr(R). { A = sql_expr_binary(p, SQL_EXPR_ADD, L, R); }
expr(A) ::= expr(L) MINUS expr(R). { A = sql_expr_binary(p, SQL_EXPR_SUBTRACT, L, R); }
expr(A) ::= expr(L) STAR expr(R). { A = sql_expr_binary(p, SQL_EXPR_MULTIPLY, L, R); }
expr(A) ::= expr(L) SLASH expr(R). { A = sql_expr_binary(p, SQL_EXPR_DIVIDE, L, R); }
expr(A) ::= expr(L) REM expr(R). { A = sql_expr_binary(p, SQL_EXPR_REMAINDER, L, R); }
expr(A) ::= expr(L) CONCAT expr(R). { A = sql_expr_binary(p, SQL_EXPR_CONCAT, L, R); }
expr(A) ::= expr(L) ARROW expr(R). { A = sql_expr_binary(p, SQL_EXPR_ARROW, L, R); }
expr(A) ::= expr(L) LONG_ARROW expr(R). { A = sql_expr_binary(p, SQL_EXPR_LONG_ARROW, L, R); }
expr(A) ::= expr(L) IS expr(R). { A = sql_expr_is(p, SQL_EXPR_IS, L, R); }
expr(A) ::= expr(L) IS NOT expr(R). { A = sql_expr_is(p, SQL_EXPR_IS_NOT, L, R); }
expr(A) ::= expr(L) IS DISTINCT FROM expr(R). { A = sql_expr_is(p, SQL_EXPR_IS_DISTINCT, L, R); }
expr(A) ::= expr(L) IS NOT DISTINCT FROM expr(R).
{ A = sql_expr_is(p, SQL_EXPR_IS_NOT_DISTINCT, L, R); }

%type like {struct sql_token}
like(A) ::= LIKE_KW(A).
like(A) ::= MATCH(A).
%type not_like {struct sql_token}
not_like(A) ::= NOT LIKE_KW(T). { A = T; }
not_like(A) ::= NOT MATCH(T). { A = T; }
expr(A) ::= expr(L) like(T) expr(R). [LIKE_KW] { A = sql_expr_like(p, T, false, L, R, NULL); }
expr(A) ::= expr(L) not_like(T) expr(R). [LIKE_KW] { A = sql_expr_like(p, T, true, L, R, NULL); }
expr(A) ::= expr(L) like(T) expr(R) ESCAPE expr(E). [LIKE_KW]
{ A = sql_expr_like(p, T, false, L, R, E); }
expr(A) ::= expr(L) not_like(T) expr(R) ESCAPE expr(E). [LIKE_KW]
{ A = sql_expr_like(p, T, true, L, R, E); }

%type between {bool}
between(A) ::= BETWEEN. { A = false; }
between(A) ::= NOT BETWEEN. { A = true; }
expr(A) ::= expr(L) between(N) expr(R) AND expr(T). [BETWEEN]
{
        A = sql_expr_new(p, SQL_EXPR_BETWEEN, L->span.start);
        A->is_not = N;
        A->left = L;
        A->right = R;
        A->third = T;
        sql_expr_finish(p, A);
}

%type in {bool}
in(A) ::= IN. { A = false; }
in(A) ::= NOT IN. { A = true; }
expr(A) ::= expr(L) in(N) LP exprs_opt(E) RP. [IN]
{
        A = sql_expr_in(p, SQL_EXPR_IN_LIST, N, L);
        A->args = E;
        sql_expr_finish(p, A);
}
expr(A) ::= expr(L) in(N) LP select(S) RP. [IN]
{
        A = sql_expr_in(p, SQL_EXPR_IN_SELECT, N, L);
        A->select = S;
        sql_expr_finish(p, A);
}
expr(A) ::= expr(L) in(N) object(T) in_args(E). [IN]
{
        A = sql_expr_in(p, SQL_EXPR_IN_TABLE, N, L);
        A->in_table = T;
        A->args = E;
        sql_expr_finish(p, A);
}
%type in_args {struct sql_exprs}
in_args(A) ::= . { A = (struct sql_exprs){ 0 }; }
in_args(A) ::= LP exprs_opt(E) RP. { A = E; }

expr(A) ::= CASE(T) case_operand(O) whens(W) case_else(E) END.
{
        A = sql_expr_new(p, SQL_EXPR_CASE, T.offset);
        A->left = O;
        A->args = W;
        A->right = E;
        sql_expr_finish(p, A);
}
%type case_operand {struct sql_expr *}
case_operand(A) ::= . { A = NULL; }
case_operand(A) ::= expr(A).
%type whens {struct sql_exprs}
whens(A) ::= WHEN expr(W) THEN expr(T).
{
        A = (struct sql_exprs){ 0 };
        sql_push(p, &A, W);
        sql_push(p, &A, T);
}
whens(A) ::= whens(A) WHEN expr(W) THEN expr(T).
{
        sql_push(p, &A, W);
        sql_push(p, &A, T);
}
%type case_else {struct sql_expr *}
case_else(A) ::= . { A = NULL; }
case_else(A) ::= ELSE expr(E). { A = E; }

%type call {struct sql_expr *}
call(A) ::= word(T) LP distinct(D) exprs_opt(E) RP. { A = sql_expr_call(p, T, D, E, false); }
call(A) ::= word(T) LP STAR RP.
{ A = sql_expr_call(p, T, SQL_DISTINCT_NONE, (struct sql_exprs){ 0 }, true); }
expr(A) ::= call(C). { A = sql_expr_finish(p, C); }
expr(A) ::= call(C) filter(F). { A = sql_expr_call_finish(p, C, F, NULL); }
expr(A) ::= call(C) over(W). { A = sql_expr_call_finish(p, C, NULL, W); }
expr(A) ::= call(C) filter(F) over(W). { A = sql_expr_call_finish(p, C, F, W); }

expr(A) ::= RAISE(T) LP IGNORE RP.
{
        A = sql_expr_new(p, SQL_EXPR_RAISE, T.offset);
        A->conflict = SQL_CONFLICT_IGNORE;
        sql_expr_finish(p, A);
}
expr(A) ::= RAISE(T) LP raise_type(C) COMMA name(N) RP.
{
        A = sql_expr_new(p, SQL_EXPR_RAISE, T.offset);
        A->conflict = C;
        A->name = N;
        sql_expr_finish(p, A);
}
%type raise_type {enum sql_conflict}
raise_type(A) ::= ROLLBACK. { A = SQL_CONFLICT_ROLLBACK; }
raise_type(A) ::= ABORT. { A = SQL_CONFLICT_ABORT; }
raise_type(A) ::= FAIL. { A = SQL_CONFLICT_FAIL; }

/* ---------------- INSERT, UPDATE, DELETE ---------------- */

%type conflict {enum sql_conflict}
%type conflict_type {enum sql_conflict}
conflict_type(A) ::= raise_type(A).
conflict_type(A) ::= IGNORE. { A = SQL_CONFLICT_IGNORE; }
conflict_type(A) ::= REPLACE. { A = SQL_CONFLICT_REPLACE; }
conflict(A) ::= . { A = SQL_CONFLICT_NONE; }
conflict(A) ::= OR conflict_type(C). { A = C; }
%type on_conflict {enum sql_conflict}
on_conflict(A) ::= . { A = SQL_CONFLICT_NONE; }
on_conflict(A) ::= ON CONFLICT conflict_type(C). { A = C; }

/* Statement or trigger step: what follows INTO, FROM and UPDATE differs, see below. */
%type insert_word {struct sql_insert *}
insert_word(A) ::= INSERT(T) conflict(C).
{
        A = sql_node_new(p, SQL_INSERT);
        A->span.start = T.offset;
        A->conflict = C;
}
insert_word(A) ::= REPLACE(T).
{
        A = sql_node_new(p, SQL_INSERT);
        A->span.start = T.offset;
        A->is_replace = true;
}

%type insert {struct sql_insert *}
insert(A) ::= with_opt(W) insert_word(I) INTO object(T) alias_as(N) names_opt(C) select(S)
              insert_tail(R).
{
        A = sql_insert_finish(p, I, W, T, C, S, &R);
        A->alias = N;
}
insert(A) ::= with_opt(W) insert_word(I) INTO object(T) alias_as(N) names_opt(C) DEFAULT VALUES
              returning(R).
{
        A = sql_insert_finish(p, I, W, T, C, NULL, &(struct sql_insert_tail){ .returning = R });
        A->alias = N;
}

%type insert_tail {struct sql_insert_tail}
%type upserts {struct sql_upserts}
insert_tail(A) ::= upserts(U) returning(R). { A = (struct sql_insert_tail){ U, R }; }
insert_tail(A) ::= upserts(U) ON(T) CONFLICT upsert_action(X) returning(R).
{
        A = (struct sql_insert_tail){ U, R };
        X->span.start = T.offset;
        sql_push(p, &A.upserts, X);
}
upserts(A) ::= . { A = (struct sql_upserts){ 0 }; }
upserts(A) ::= upserts(A) ON(T) CONFLICT LP order_terms(C) RP where(W) upsert_action(X).
{
        X->span.start = T.offset;
        X->target = C;
        X->target_where = W;
        sql_push(p, &A, X);
}
%type upsert_action {struct sql_upsert *}
upsert_action(A) ::= DO NOTHING.
{
        A = sql_node_new(p, SQL_UPSERT);
        A->span.end = BEFORE;
}
upsert_action(A) ::= DO UPDATE SET sets(S) where(W).
{
        A = sql_node_new(p, SQL_UPSERT);
        A->span.end = BEFORE;
        A->do_update = true;
        A->sets = S;
        A->where = W;
}

%type returning {struct sql_results}
returning(A) ::= . { A = (struct sql_results){ 0 }; }
returning(A) ::= RETURNING(T) results(R).
{
        A = R;
        if (p->in_trigger)
                sql_fail(p, T.offset, "cannot use RETURNING in a trigger");
}

%type sets {struct sql_sets}
%type set {struct sql_set *}
sets(A) ::= set(S). { A = (struct sql_sets){ 0 }; sql_push(p, &A, S); }
sets(A) ::= sets(A) COMMA set(S). { sql_push(p, &A, S); }
set(A) ::= name(N) EQ expr(E).
{
        A = sql_node_new(p, SQL_SET);
        A->span = (struct sql_span){ N.offset, BEFORE };
        sql_names_push(p, &A->columns, N);
        A->expr = E;
}
set(A) ::= LP(T) names(N) RP EQ expr(E).
{
        A = sql_node_new(p, SQL_SET);
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->columns = N;
        A->is_row = true;
        A->expr = E;
}

%type update {struct sql_update *}
update(A) ::= with_opt(W) UPDATE(K) conflict(C) object(T) alias_as(N) indexed_opt(I) SET sets(S)
              from(F) where(X) returning(R) order_by(O) limit(L).
{
        A = sql_node_new(p, SQL_UPDATE);
        A->span = (struct sql_span){ W ? W->span.start : K.offset, BEFORE };
        A->with = W;
        A->conflict = C;
        A->table = T;
        A->alias = N;
        A->indexed_by = I.name;
        A->not_indexed = I.not_indexed;
        A->sets = S;
        A->from = F;
        A->where = X;
        A->returning = R;
        A->order_by = O;
        A->limit = L.limit;
        A->offset = L.offset;
        A->limit_comma = L.comma;
}

%type delete {struct sql_delete *}
delete(A) ::= with_opt(W) DELETE(K) FROM object(T) alias_as(N) indexed_opt(I) where(X) returning(R)
              order_by(O) limit(L).
{
        A = sql_node_new(p, SQL_DELETE);
        A->span = (struct sql_span){ W ? W->span.start : K.offset, BEFORE };
        A->with = W;
        A->table = T;
        A->alias = N;
        A->indexed_by = I.name;
        A->not_indexed = I.not_indexed;
        A->where = X;
        A->returning = R;
        A->order_by = O;
        A->limit = L.limit;
        A->offset = L.offset;
        A->limit_comma = L.comma;
}
%type indexed_opt {struct sql_index_hint}
indexed_opt(A) ::= . { A = (struct sql_index_hint){ 0 }; }
indexed_opt(A) ::= indexed(N). { A = (struct sql_index_hint){ N, !N.text }; }

/* ---------------- CREATE TABLE ---------------- */

%type temp {bool}
temp(A) ::= . { A = false; }
temp(A) ::= TEMP. { A = true; }
%type if_not_exists {bool}
if_not_exists(A) ::= . { A = false; }
if_not_exists(A) ::= IF NOT EXISTS. { A = true; }

%type table_head {struct sql_create_table *}
table_head(A) ::= CREATE(K) temp(T) TABLE if_not_exists(I) object(N).
{
        A = sql_node_new(p, SQL_CREATE_TABLE);
        A->span.start = K.offset;
        A->is_temp = T;
        A->if_not_exists = I;
        A->table = N;
}
cmd(A) ::= table_head(H) LP(L) columns(C) table_constraints_opt(T) RP(R) table_options_opt(O).
{
        A = (struct sql_node *)H;
        H->span.end = BEFORE;
        H->columns = C;
        H->constraints = T;
        H->options = O;
        H->body = (struct sql_span){ L.offset, R.offset + 1 };
}
cmd(A) ::= table_head(H) AS select(S).
{
        A = (struct sql_node *)H;
        H->span.end = BEFORE;
        H->select = S;
}

%type table_options_opt {struct sql_table_options}
%type table_options {struct sql_table_options}
%type table_option {struct sql_table_option *}
table_options_opt(A) ::= . { A = (struct sql_table_options){ 0 }; }
table_options_opt(A) ::= table_options(A).
table_options(A) ::= table_option(O).
{
        A = (struct sql_table_options){ 0 };
        sql_option_push(p, &A, O);
}
/* SQLite takes this comma, too. */
table_options(A) ::= COMMA table_option(O).
{
        A = (struct sql_table_options){ 0 };
        sql_option_push(p, &A, O);
}
table_options(A) ::= table_options(A) COMMA table_option(O). { sql_option_push(p, &A, O); }
table_options(A) ::= table_options(A) no_comma table_option(O). { sql_option_push(p, &A, O); }
/* Only beside one of Shoal's. */
no_comma ::= .
{
        int c = p->current_code;

        if (c != TK_SHARD && c != TK_UNSHARDED && c != TK_REFERENCE && !p->last_option_is_shoal)
                sql_fail_syntax(p, p->current);
}
table_option(A) ::= name_token(T). { A = sql_option_word(p, T); }
table_option(A) ::= WITHOUT(K) name_token(T). { A = sql_option_without(p, K, T); }
table_option(A) ::= UNSHARDED(T). { A = sql_option_new(p, SQL_OPTION_UNSHARDED, T.offset); }
table_option(A) ::= REFERENCE(T). { A = sql_option_new(p, SQL_OPTION_REFERENCE, T.offset); }
table_option(A) ::= SHARD(T) BY HASH LP names(N) RP.
{
        A = sql_option_new(p, SQL_OPTION_SHARD_BY_HASH, T.offset);
        A->columns = N;
}
table_option(A) ::= SHARD(T) BY CONSISTENT_HASH LP names(N) RP.
{
        A = sql_option_new(p, SQL_OPTION_SHARD_BY_CONSISTENT_HASH, T.offset);
        A->columns = N;
}
table_option(A) ::= SHARD(T) BY RANGE LP names(N) RP SPLIT AT LP exprs(E) RP.
{
        A = sql_option_new(p, SQL_OPTION_SHARD_BY_RANGE, T.offset);
        A->columns = N;
        A->split_at = E;
}

%type columns {struct sql_column_defs}
%type column {struct sql_column_def *}
%type column_head {struct sql_column_def *}
columns(A) ::= column(C). { A = (struct sql_column_defs){ 0 }; sql_push(p, &A, C); }
columns(A) ::= columns(A) COMMA column(C). { sql_push(p, &A, C); }
column(A) ::= column_head(A) column_constraints(C).
{
        A->constraints = C;
        A->span.end = BEFORE;
}
column_head(A) ::= name(N) type(Y). { A = sql_column_def_new(p, N, Y); }

%type type {struct sql_span}
%type type_words {struct sql_span}
type(A) ::= . { A = (struct sql_span){ 0, 0 }; }
type(A) ::= type_words(A).
type(A) ::= type_words(W) LP signed RP. { A = (struct sql_span){ W.start, BEFORE }; }
type(A) ::= type_words(W) LP signed COMMA signed RP. { A = (struct sql_span){ W.start, BEFORE }; }
type_words(A) ::= label(T). { A = (struct sql_span){ T.offset, BEFORE }; }
type_words(A) ::= type_words(W) label. { A = (struct sql_span){ W.start, BEFORE }; }
signed ::= plus_number.
signed ::= minus_number.
plus_number(A) ::= numeral(A).
plus_number(A) ::= PLUS numeral(T). { A = T; }
minus_number(A) ::= MINUS numeral(T). { A = T; }

%type column_constraints {struct sql_constraints}
%type column_constraint {struct sql_constraint *}
column_constraints(A) ::= . { A = (struct sql_constraints){ 0 }; }
column_constraints(A) ::= column_constraints(A) column_constraint(C).
{ sql_constraint_push(p, &A, C, true); }

%type constraint_name {struct sql_constraint *}
constraint_name(A) ::= CONSTRAINT(T) name(N).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_NAME, T.offset);
        A->name = N;
}
column_constraint(A) ::= constraint_name(A).
column_constraint(A) ::= DEFAULT(T) term(E).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_DEFAULT, T.offset);
        A->expr = E;
}
column_constraint(A) ::= DEFAULT(T) LP expr(E) RP.
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_DEFAULT, T.offset);
        A->expr = E;
        A->is_parenthesised = true;
}
column_constraint(A) ::= DEFAULT(T) PLUS(S) term(E).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_DEFAULT, T.offset);
        A->expr = sql_expr_unary(p, SQL_EXPR_PLUS, E, S.offset);
}
column_constraint(A) ::= DEFAULT(T) MINUS(S) term(E).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_DEFAULT, T.offset);
        A->expr = sql_expr_unary(p, SQL_EXPR_NEGATE, E, S.offset);
}
column_constraint(A) ::= DEFAULT(T) word(W).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_DEFAULT, T.offset);
        A->expr = sql_expr_column(p, (struct sql_name){ 0 }, (struct sql_name){ 0 },
                                  sql_name_from(p, W));
}
column_constraint(A) ::= NULL(T) on_conflict(C).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_NULL, T.offset);
        A->conflict = C;
}
column_constraint(A) ::= NOT(T) NULL on_conflict(C).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_NOT_NULL, T.offset);
        A->conflict = C;
}
column_constraint(A) ::= PRIMARY(T) KEY sort(S) on_conflict(C) autoincrement(I).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_PRIMARY_KEY, T.offset);
        A->sort = S;
        A->conflict = C;
        A->autoincrement = I;
}
column_constraint(A) ::= UNIQUE(T) on_conflict(C).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_UNIQUE, T.offset);
        A->conflict = C;
}
column_constraint(A) ::= CHECK(T) LP expr(E) RP.
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_CHECK, T.offset);
        A->expr = E;
}
column_constraint(A) ::= references(A).
column_constraint(A) ::= deferrable(A).
column_constraint(A) ::= COLLATE(T) label_name(N).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_COLLATE, T.offset);
        A->collation = N;
}
column_constraint(A) ::= GENERATED ALWAYS generated(G). { A = G; }
column_constraint(A) ::= generated(A).
%type generated {struct sql_constraint *}
generated(A) ::= AS(T) LP expr(E) RP.
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_GENERATED, T.offset);
        A->expr = E;
}
generated(A) ::= AS(T) LP expr(E) RP ID(W).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_GENERATED, T.offset);
        A->expr = E;
        sql_generated_storage(p, A, W);
}

%type autoincrement {bool}
autoincrement(A) ::= . { A = false; }
autoincrement(A) ::= AUTOINCREMENT. { A = true; }

%type references {struct sql_constraint *}
references(A) ::= REFERENCES(T) name(N) plain_names_opt(C) reference_actions(R).
{
        A = R;
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->to_table = N;
        A->to_columns = C;
}
%type reference_actions {struct sql_constraint *}
reference_actions(A) ::= . { A = sql_constraint_new(p, SQL_CONSTRAINT_FOREIGN_KEY, 0); }
reference_actions(A) ::= reference_actions(A) MATCH name. /* means nothing to SQLite, as ON INSERT */
reference_actions(A) ::= reference_actions(A) ON INSERT reference_action.
reference_actions(A) ::= reference_actions(A) ON DELETE reference_action(X). { A->on_delete = X; }
reference_actions(A) ::= reference_actions(A) ON UPDATE reference_action(X). { A->on_update = X; }
%type reference_action {enum sql_action}
reference_action(A) ::= SET NULL. { A = SQL_ACTION_SET_NULL; }
reference_action(A) ::= SET DEFAULT. { A = SQL_ACTION_SET_DEFAULT; }
reference_action(A) ::= CASCADE. { A = SQL_ACTION_CASCADE; }
reference_action(A) ::= RESTRICT. { A = SQL_ACTION_RESTRICT; }
reference_action(A) ::= NO ACTION. { A = SQL_ACTION_NO_ACTION; }

%type deferrable {struct sql_constraint *}
deferrable(A) ::= NOT(T) DEFERRABLE initially(I).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_DEFERRABLE, T.offset);
        A->deferrable = SQL_DEFERRABLE_NOT;
        A->initially = I;
}
deferrable(A) ::= DEFERRABLE(T) initially(I).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_DEFERRABLE, T.offset);
        A->deferrable = SQL_DEFERRABLE_YES;
        A->initially = I;
}
%type initially {enum sql_initially}
initially(A) ::= . { A = SQL_INITIALLY_NONE; }
initially(A) ::= INITIALLY DEFERRED. { A = SQL_INITIALLY_DEFERRED; }
initially(A) ::= INITIALLY IMMEDIATE. { A = SQL_INITIALLY_IMMEDIATE; }

%type table_constraints_opt {struct sql_constraints}
%type table_constraints {struct sql_constraints}
%type table_constraint {struct sql_constraint *}
table_constraints_opt(A) ::= . { A = (struct sql_constraints){ 0 }; }
table_constraints_opt(A) ::= COMMA table_constraints(C). { A = C; }
table_constraints(A) ::= table_constraint(C).
{
        A = (struct sql_constraints){ 0 };
        sql_constraint_push(p, &A, C, false);
}
table_constraints(A) ::= table_constraints(A) COMMA table_constraint(C).
{ sql_constraint_push(p, &A, C, false); }
table_constraints(A) ::= table_constraints(A) table_constraint(C).
{ sql_constraint_push(p, &A, C, true); }
table_constraint(A) ::= constraint_name(A).
table_constraint(A) ::= PRIMARY(T) KEY LP order_terms(C) autoincrement(I) RP on_conflict(X).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_PRIMARY_KEY, T.offset);
        A->columns = C;
        A->autoincrement = I;
        A->conflict = X;
}
table_constraint(A) ::= UNIQUE(T) LP order_terms(C) RP on_conflict(X).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_UNIQUE, T.offset);
        A->columns = C;
        A->conflict = X;
}
table_constraint(A) ::= CHECK(T) LP expr(E) RP on_conflict(X).
{
        A = sql_constraint_new(p, SQL_CONSTRAINT_CHECK, T.offset);
        A->expr = E;
        A->conflict = X;
}
table_constraint(A) ::= FOREIGN(T) KEY LP plain_names(F) RP references(R) deferrable_opt(D).
{
        A = R;
        A->span = (struct sql_span){ T.offset, BEFORE };
        A->from_columns = F;
        if (D) {
                A->deferrable = D->deferrable;
                A->initially = D->initially;
        }
}
%type deferrable_opt {struct sql_constraint *}
deferrable_opt(A) ::= . { A = NULL; }
deferrable_opt(A) ::= deferrable(A).

/* ---------------- other CREATE ---------------- */

%type index_flags {struct sql_index_flags}
index_flags(A) ::= . { A = (struct sql_index_flags){ false, false }; }
index_flags(A) ::= UNIQUE. { A = (struct sql_index_flags){ true, false }; }
index_flags(A) ::= GLOBAL. { A = (struct sql_index_flags){ false, true }; }
index_flags(A) ::= GLOBAL UNIQUE. { A = (struct sql_index_flags){ true, true }; }
cmd(A) ::= CREATE(K) index_flags(F) INDEX if_not_exists(I) object(N) ON name(T) LP order_terms(C) RP
           where(W).
{
        struct sql_create_index *x = sql_node_new(p, SQL_CREATE_INDEX);

        x->span = (struct sql_span){ K.offset, BEFORE };
        x->is_unique = F.is_unique;
        x->is_global = F.is_global;
        x->if_not_exists = I;
        x->index = N;
        x->table = T;
        x->columns = C;
        x->where = W;
        A = (struct sql_node *)x;
}

cmd(A) ::= CREATE(K) temp(T) VIEW if_not_exists(I) object(N) plain_names_opt(C) AS select(S).
{
        struct sql_create_view *v = sql_node_new(p, SQL_CREATE_VIEW);

        v->span = (struct sql_span){ K.offset, BEFORE };
        v->is_temp = T;
        v->if_not_exists = I;
        v->view = N;
        v->columns = C;
        v->select = S;
        A = (struct sql_node *)v;
}

%type virtual_table {struct sql_create_virtual_table *}
virtual_table(A) ::= CREATE(K) VIRTUAL TABLE if_not_exists(I) object(N) USING name(M).
{
        A = sql_node_new(p, SQL_CREATE_VIRTUAL_TABLE);
        A->span = (struct sql_span){ K.offset, BEFORE };
        A->if_not_exists = I;
        A->table = N;
        A->module = M;
}
cmd(A) ::= virtual_table(V). { A = (struct sql_node *)V; }
cmd(A) ::= virtual_table(V) LP module_args(L) RP.
{
        V->span.end = BEFORE;
        V->has_args = true;
        V->args = L;
        A = (struct sql_node *)V;
}
/* Anything goes between the parentheses as long as they match. */
%type module_args {struct sql_strs}
%type module_arg {struct sql_span}
module_args(A) ::= module_arg(S).
{
        A = (struct sql_strs){ 0 };
        sql_strs_push(p, &A, S);
}
module_args(A) ::= module_args(A) COMMA module_arg(S). { sql_strs_push(p, &A, S); }
module_arg(A) ::= . { A = (struct sql_span){ HERE, HERE }; }
module_arg(A) ::= module_arg(A) module_arg_part. { A.end = BEFORE; }
module_arg_part ::= ANY.
module_arg_part ::= LP anything RP.
anything ::= .
anything ::= anything LP anything RP.
anything ::= anything ANY.

/* ---------------- triggers ---------------- */

%type trigger_head {struct sql_create_trigger *}
trigger_head(A) ::= CREATE(K) temp(T) TRIGGER if_not_exists(I) object(N) trigger_time(M)
                    trigger_event(E) ON object(O) for_each_row(R) trigger_when(W).
{
        A = sql_node_new(p, SQL_CREATE_TRIGGER);
        A->span = (struct sql_span){ K.offset, BEFORE };
        A->is_temp = T;
        A->if_not_exists = I;
        A->trigger = N;
        A->time = M;
        A->event = E.kind;
        A->update_of = E.columns;
        A->table = O;
        A->for_each_row = R;
        A->when = W;
        p->in_trigger = true;
}
cmd(A) ::= trigger_head(H) BEGIN trigger_steps(S) END.
{
        H->span.end = BEFORE;
        H->body = S;
        A = (struct sql_node *)H;
}
%type trigger_time {enum sql_trigger_time}
trigger_time(A) ::= . { A = SQL_TRIGGER_TIME_NONE; }
trigger_time(A) ::= BEFORE. { A = SQL_TRIGGER_BEFORE; }
trigger_time(A) ::= AFTER. { A = SQL_TRIGGER_AFTER; }
trigger_time(A) ::= INSTEAD OF. { A = SQL_TRIGGER_INSTEAD_OF; }
%type trigger_event {struct sql_trigger_event}
trigger_event(A) ::= DELETE. { A = (struct sql_trigger_event){ .kind = SQL_DELETE }; }
trigger_event(A) ::= INSERT. { A = (struct sql_trigger_event){ .kind = SQL_INSERT }; }
trigger_event(A) ::= UPDATE. { A = (struct sql_trigger_event){ .kind = SQL_UPDATE }; }
trigger_event(A) ::= UPDATE OF names(N). { A = (struct sql_trigger_event){ SQL_UPDATE, N }; }
%type for_each_row {bool}
for_each_row(A) ::= . { A = false; }
for_each_row(A) ::= FOR EACH ROW. { A = true; }
%type trigger_when {struct sql_expr *}
trigger_when(A) ::= . { A = NULL; }
trigger_when(A) ::= WHEN expr(E). { A = E; }

%type trigger_steps {struct sql_nodes}
%type trigger_step {struct sql_node *}
trigger_steps(A) ::= trigger_step(S) SEMI. { A = (struct sql_nodes){ 0 }; sql_push(p, &A, S); }
trigger_steps(A) ::= trigger_steps(A) trigger_step(S) SEMI. { sql_push(p, &A, S); }
trigger_step(A) ::= select(S). { A = (struct sql_node *)S; }
trigger_step(A) ::= insert_word(I) INTO trigger_table(T) names_opt(C) select(S) insert_tail(R).
{ A = (struct sql_node *)sql_insert_finish(p, I, NULL, T, C, S, &R); }
trigger_step(A) ::= UPDATE(K) conflict(C) trigger_table(T) trigger_indexed SET sets(S) from(F)
                    where(W).
{
        struct sql_update *u = sql_node_new(p, SQL_UPDATE);

        u->span = (struct sql_span){ K.offset, BEFORE };
        u->conflict = C;
        u->table = T;
        u->sets = S;
        u->from = F;
        u->where = W;
        A = (struct sql_node *)u;
}
trigger_step(A) ::= DELETE(K) FROM trigger_table(T) trigger_indexed where(W).
{
        struct sql_delete *d = sql_node_new(p, SQL_DELETE);

        d->span = (struct sql_span){ K.offset, BEFORE };
        d->table = T;
        d->where = W;
        A = (struct sql_node *)d;
}
%type trigger_table {struct sql_table_name *}
trigger_table(A) ::= object(N).
{
        A = N;
        if (N->schema.text)
                sql_fail(p, N->span.start,
                         "qualified table names are not allowed on INSERT, UPDATE, and DELETE "
                         "statements within triggers");
}
trigger_indexed ::= .
trigger_indexed ::= INDEXED(T) BY name.
{
        sql_fail(p, T.offset,
                 "the INDEXED BY clause is not allowed on UPDATE or DELETE statements within "
                 "triggers");
}
trigger_indexed ::= NOT(T) INDEXED.
{
        sql_fail(p, T.offset,
                 "the NOT INDEXED clause is not allowed on UPDATE or DELETE statements within "
                 "triggers");
}

/* ---------------- ALTER, DROP ---------------- */

%type alter_head {struct sql_alter_table *}
alter_head(A) ::= ALTER(K) TABLE object(T).
{
        A = sql_node_new(p, SQL_ALTER_TABLE);
        A->span.start = K.offset;
        A->table = T;
}
cmd(A) ::= alter_head(H) RENAME TO name(N).
{ A = sql_alter_finish(p, H, SQL_ALTER_RENAME_TABLE, (struct sql_name){ 0 }, N); }
cmd(A) ::= alter_head(H) RENAME column_word name(C) TO name(N).
{ A = sql_alter_finish(p, H, SQL_ALTER_RENAME_COLUMN, C, N); }
cmd(A) ::= alter_head(H) DROP column_word name(C).
{ A = sql_alter_finish(p, H, SQL_ALTER_DROP_COLUMN, C, (struct sql_name){ 0 }); }
cmd(A) ::= alter_head(H) ADD column_word column(C).
{
        H->column_def = C;
        A = sql_alter_finish(p, H, SQL_ALTER_ADD_COLUMN, (struct sql_name){ 0 },
                             (struct sql_name){ 0 });
}
column_word ::= .
column_word ::= COLUMNKW.

%type if_exists {bool}
if_exists(A) ::= . { A = false; }
if_exists(A) ::= IF EXISTS. { A = true; }
cmd(A) ::= DROP(K) TABLE if_exists(I) object(N).
{ A = sql_drop_new(p, K, SQL_OBJECT_TABLE, I, N); }
cmd(A) ::= DROP(K) VIEW if_exists(I) object(N).
{ A = sql_drop_new(p, K, SQL_OBJECT_VIEW, I, N); }
cmd(A) ::= DROP(K) INDEX if_exists(I) object(N).
{ A = sql_drop_new(p, K, SQL_OBJECT_INDEX, I, N); }
cmd(A) ::= DROP(K) TRIGGER if_exists(I) object(N).
{ A = sql_drop_new(p, K, SQL_OBJECT_TRIGGER, I, N); }

/* ---------------- transactions ---------------- */

%type begin_type {enum sql_transaction_type}
begin_type(A) ::= . { A = SQL_TRANSACTION_BEGIN; }
begin_type(A) ::= DEFERRED. { A = SQL_TRANSACTION_BEGIN_DEFERRED; }
begin_type(A) ::= IMMEDIATE. { A = SQL_TRANSACTION_BEGIN_IMMEDIATE; }
begin_type(A) ::= EXCLUSIVE. { A = SQL_TRANSACTION_BEGIN_EXCLUSIVE; }
transaction_word ::= .
transaction_word ::= TRANSACTION.
transaction_word ::= TRANSACTION name.
savepoint_word ::= .
savepoint_word ::= SAVEPOINT.
cmd(A) ::= BEGIN(K) begin_type(T) transaction_word.
{ A = sql_transaction_new(p, K, T, (struct sql_name){ 0 }); }
cmd(A) ::= COMMIT(K) transaction_word.
{ A = sql_transaction_new(p, K, SQL_TRANSACTION_COMMIT, (struct sql_name){ 0 }); }
cmd(A) ::= END(K) transaction_word.
{ A = sql_transaction_new(p, K, SQL_TRANSACTION_COMMIT, (struct sql_name){ 0 }); }
cmd(A) ::= ROLLBACK(K) transaction_word.
{ A = sql_transaction_new(p, K, SQL_TRANSACTION_ROLLBACK, (struct sql_name){ 0 }); }
cmd(A) ::= ROLLBACK(K) transaction_word TO savepoint_word name(N).
{ A = sql_transaction_new(p, K, SQL_TRANSACTION_ROLLBACK_TO, N); }
cmd(A) ::= SAVEPOINT(K) name(N). { A = sql_transaction_new(p, K, SQL_TRANSACTION_SAVEPOINT, N); }
cmd(A) ::= RELEASE(K) savepoint_word name(N).
{ A = sql_transaction_new(p, K, SQL_TRANSACTION_RELEASE, N); }

/* ---------------- the rest ---------------- */

%type pragma_head {struct sql_pragma *}
pragma_head(A) ::= PRAGMA(K) object(N).
{
        A = sql_node_new(p, SQL_PRAGMA);
        A->span = (struct sql_span){ K.offset, BEFORE };
        A->name = N;
}
cmd(A) ::= pragma_head(H). { A = (struct sql_node *)H; }
cmd(A) ::= pragma_head(H) EQ pragma_value(V).
{ A = sql_pragma_finish(p, H, SQL_PRAGMA_SET, V); }
cmd(A) ::= pragma_head(H) LP pragma_value(V) RP.
{ A = sql_pragma_finish(p, H, SQL_PRAGMA_CALL, V); }
%type pragma_value {struct sql_pragma_value}
pragma_value(A) ::= plus_number(T). { A = (struct sql_pragma_value){ T, true, false }; }
pragma_value(A) ::= minus_number(T). { A = (struct sql_pragma_value){ T, true, true }; }
pragma_value(A) ::= name_token(T). { A = (struct sql_pragma_value){ T, false, false }; }
pragma_value(A) ::= ON(T). { A = (struct sql_pragma_value){ T, false, false }; }
pragma_value(A) ::= DELETE(T). { A = (struct sql_pragma_value){ T, false, false }; }
pragma_value(A) ::= DEFAULT(T). { A = (struct sql_pragma_value){ T, false, false }; }

database_word ::= .
database_word ::= DATABASE.
%type attach_key {struct sql_expr *}
attach_key(A) ::= . { A = NULL; }
attach_key(A) ::= KEY expr(E). { A = E; }
cmd(A) ::= ATTACH(K) database_word expr(F) AS expr(S) attach_key(Y).
{
        struct sql_attach *a = sql_node_new(p, SQL_ATTACH);

        a->span = (struct sql_span){ K.offset, BEFORE };
        a->file = F;
        a->schema = S;
        a->key = Y;
        A = (struct sql_node *)a;
}
cmd(A) ::= DETACH(K) database_word expr(S).
{
        struct sql_detach *d = sql_node_new(p, SQL_DETACH);

        d->span = (struct sql_span){ K.offset, BEFORE };
        d->schema = S;
        A = (struct sql_node *)d;
}

%type vacuum_into {struct sql_expr *}
vacuum_into(A) ::= . { A = NULL; }
vacuum_into(A) ::= INTO expr(E). { A = E; }
cmd(A) ::= VACUUM(K) vacuum_into(I). { A = sql_vacuum_new(p, K, (struct sql_name){ 0 }, I); }
cmd(A) ::= VACUUM(K) name(N) vacuum_into(I). { A = sql_vacuum_new(p, K, N, I); }

cmd(A) ::= ANALYZE(K). { A = sql_maintenance_new(p, SQL_ANALYZE, K, NULL); }
cmd(A) ::= ANALYZE(K) object(N). { A = sql_maintenance_new(p, SQL_ANALYZE, K, N); }
cmd(A) ::= REINDEX(K). { A = sql_maintenance_new(p, SQL_REINDEX, K, NULL); }
cmd(A) ::= REINDEX(K) object(N). { A = sql_maintenance_new(p, SQL_REINDEX, K, N); }

/* Tokens that only the lexer makes. */
%token ILLEGAL.

%code {
int sql_grammar_fallback(int code)
{
        return sql_grammarFallback(code);
}

static int next_code(struct sql_parser *p, int before)
{
        int code = sql_lex_context(p->text, p->current.offset + p->current.n_bytes, before, &p->current);

        if (code)
                return code;
        /* As SQLite: the end of the text counts as a semicolon, and only behind one as the end. */
        return before == TK_SEMI ? 0 : TK_SEMI;
}

void sql_grammar_run(struct sql_parser *p)
{
        struct yyParser engine;
        int before = 0;

        sql_grammarInit(&engine, p);
        while (!p->done && !p->failed) {
                int code = next_code(p, before);

                if (before == 0 && code == TK_SEMI) {
                        if (p->current.n_bytes == 0)
                                break;
                        continue;
                }
                if (code == TK_ILLEGAL) {
                        sql_fail(p, p->current.offset, "unrecognized token: \"%.*s\"",
                                 (int)p->current.n_bytes, p->text + p->current.offset);
                        break;
                }
                p->current_code = code;
                sql_grammar(&engine, code, p->current);
                p->end_of_last = p->current.offset + p->current.n_bytes;
                before = code;
                if (arena_is_exhausted(p->arena))
                        break;
        }
        sql_grammarFinalize(&engine);
}
}
