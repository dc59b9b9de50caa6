/* generate.c - see generate.h. The grammar is a table of its own, written apart from sql/grammar.y.
 *
 * In a rule: <name> another rule, [x] perhaps x, {x} x any number of times, | between alternatives
 * of the rule or the bracket, \ before a character that is meant itself. The first alternative must
 * end soon: it is taken when nesting has become deep. */
#include "tests/unit/sql/generate.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/random.h"

enum { MAX_DEPTH = 9 };

/* clang-format off */
static const struct {
        const char *name, *body;
} rules[] = {
        { "statement", "<select> | <select> | <select> | <insert> | <update> | <delete> | <create> | <create> | <small> "
                "| EXPLAIN <select> | EXPLAIN QUERY PLAN <dml> | EXPLAIN <small>" },
        { "dml", "<select> | <insert> | <update> | <delete>" },
        { "small", "<drop> | <alter> | <transaction> | <pragma> | <other>" },

        /* names */
        { "name", "a | b | c | d | x | y | t | <name-odd>" },
        { "name-odd", "a | \"a\" | `b` | \\[c\\] | 'a' | rowid | <word> | \xc3\xa9t\xc3\xa9 | a$b | _x | \"a\"\"b\" | <joinword>" },
        { "word", "abort | action | after | always | analyze | asc | attach | before | begin | by | cascade | cast | column | "
                "conflict | current | current_date | current_time | current_timestamp | database | deferred | desc | "
                "detach | do | each | end | exclude | exclusive | explain | fail | filter | first | following | for | "
                "generated | glob | groups | if | ignore | immediate | indexed | initially | instead | key | last | like | match "
                "| materialized | no | nulls | of | offset | others | over | partition | plan | pragma | preceding | query "
                "| raise | range | recursive | regexp | reindex | release | rename | replace | restrict | rollback | row "
                "| rows | savepoint | temp | temporary | ties | trigger | unbounded | vacuum | view | virtual | window | "
                "with | without | shard | hash | consistent_hash | split | at | unsharded | reference | global" },
        { "joinword", "left | right | full | outer | inner | cross | natural" },
        { "bare", "a | b | c | x | <word>" },
        { "table", "t | u | v | w | t | main.t | <name> | temp.<name>" },
        { "column", "a | b | c | t.a | main.t.b | <name> | <name>.<name> | <name>.<name>.<name>" },
        { "names", "<name> {, <name>}" },
        { "alias", "AS <name> | x | \"x\" | 'y' | <bare>" },
        { "collation", "nocase | 'binary' | rtrim | \"nocase\"" },

        /* expressions */
        { "literal", "1 | 0 | 'x' | 'it''s' | 2.5 | .5 | 5. | 1e5 | 1.5E-3 | x'00ff' | X'' | 0x1F | 9223372036854775807 "
                "| 9223372036854775808 | NULL | current_date | CURRENT_TIME | current_timestamp | true" },
        { "variable", "? | ?1 | ?12 | :a | @b | $c | $d::e | $f(g) | #h" },
        { "binary", "= | == | <> | != | < | <= | > | >= | + | - | * | / | % | \\|\\| | & | \\| | << | >> | -> | ->> | "
                "AND | OR | IS | IS NOT | IS DISTINCT FROM | IS NOT DISTINCT FROM | LIKE | NOT LIKE | GLOB | MATCH | NOT REGEXP" },
        { "expr", "<leaf> | <leaf> | <leaf> | <expr> <binary> <expr> | <expr> <binary> <expr> | <expr> <binary> <expr> | "
                "<unary> <expr> | <postfix> | <call> | ( <expr> ) | <compound-expr>" },
        { "leaf", "<column> | <literal> | <literal> | <variable> | a | b" },
        { "unary", "- | + | ~ | NOT | - -" },
        { "postfix", "<expr> ISNULL | <expr> NOTNULL | <expr> NOT NULL | <expr> IS NULL | <expr> COLLATE <collation> | "
                "<expr> [NOT] BETWEEN <expr> AND <expr> | <expr> [NOT] LIKE <expr> ESCAPE <expr> | <expr> [NOT] IN ( [<exprs>] ) "
                "| <expr> [NOT] IN ( <select> ) | <expr> [NOT] IN <table> | <expr> IN <table> ( [<exprs>] )" },
        { "compound-expr", "CAST ( <expr> AS [<type>] ) | CASE [<expr>] WHEN <expr> THEN <expr> {WHEN <expr> THEN <expr>} [ELSE <expr>] END "
                "| ( <expr> , <exprs> ) | ( <select> ) | [NOT] EXISTS ( <select> ) | RAISE ( IGNORE ) | RAISE ( <raise> , <name> )" },
        { "raise", "ROLLBACK | ABORT | FAIL" },
        { "exprs", "<expr> {, <expr>}" },
        { "call", "abs ( <expr> ) | count ( * ) [<filter>] [<over>] | max ( [<distinct>] <exprs> ) [<filter>] [<over>] | f ( ) | "
                "sum ( <expr> ) <over> | <bare> ( [<exprs>] )" },
        { "distinct", "DISTINCT | ALL" },
        { "filter", "FILTER ( WHERE <expr> )" },
        { "over", "OVER x | OVER ( <window> ) | OVER \"x\"" },
        { "window", "[<name>] [PARTITION BY <exprs>] [ORDER BY <terms>] [<frame>]" },
        { "frame", "ROWS <start> [<exclude>] | <frame-type> <start> [<exclude>] | <frame-type> BETWEEN <start> AND <stop> [<exclude>]" },
        { "frame-type", "ROWS | RANGE | GROUPS" },
        { "start", "UNBOUNDED PRECEDING | CURRENT ROW | <expr> PRECEDING | <expr> FOLLOWING" },
        { "stop", "UNBOUNDED FOLLOWING | CURRENT ROW | <expr> PRECEDING | <expr> FOLLOWING" },
        { "exclude", "EXCLUDE NO OTHERS | EXCLUDE CURRENT ROW | EXCLUDE GROUP | EXCLUDE TIES" },
        { "type", "int | INTEGER | varchar ( 10 ) | decimal ( 10 , -2 ) | long \"x\" 'y' | <bare> text | int ( +1.5 )" },

        /* SELECT */
        { "select", "SELECT 1 | <core> [<order>] [<limit>] | <core> [<order>] [<limit>] | <with> <core> [<order>] [<limit>] | "
                "<arm> {<compound> <arm>} <compound> <core> [<order>] [<limit>] | <values> | <arm> <compound> <values> | <with> <values>" },
        { "compound", "UNION | UNION ALL | EXCEPT | INTERSECT" },
        { "arm", "<core> | <values> | <core> <limit>" },
        { "values", "VALUES ( <exprs> ) {, ( <exprs> )}" },
        { "core", "SELECT [<distinct>] <results> [FROM <sources>] [WHERE <expr>] [GROUP BY <exprs>] [HAVING <expr>] "
                "[WINDOW <name> AS ( <window> ) {, <name> AS ( <window> )}] | SELECT a FROM t WHERE <expr>" },
        { "results", "<result> {, <result>}" },
        { "result", "<expr> | <expr> <alias> | * | t.* | <name>.*" },
        { "sources", "<source> | <source> {<join>}" },
        { "source", "<table> | <table> <alias> | <table> [<alias>] INDEXED BY t_a | <table> [<alias>] NOT INDEXED | "
                "json_each ( [<exprs>] ) [<alias>] | ( <select> ) [<alias>] | ( <sources> ) [<alias>]" },
        { "join", ", <source> | <joiner> <source> | <joiner> <source> ON <expr> | <joiner> <source> USING ( <names> )" },
        { "joiner", "JOIN | LEFT JOIN | LEFT OUTER JOIN | INNER JOIN | CROSS JOIN | NATURAL JOIN | NATURAL LEFT OUTER JOIN | "
                "RIGHT JOIN | FULL OUTER JOIN | OUTER LEFT NATURAL JOIN | LEFT INNER JOIN | CROSS NATURAL INNER JOIN" },
        { "terms", "<term> {, <term>}" },
        { "term", "<expr> | <expr> ASC | <expr> DESC | <expr> [ASC] NULLS FIRST | <expr> NULLS LAST" },
        { "order", "ORDER BY <terms>" },
        { "limit", "LIMIT <expr> | LIMIT <expr> OFFSET <expr> | LIMIT <expr> , <expr>" },
        { "with", "WITH [RECURSIVE] <cte> {, <cte>}" },
        { "cte", "<name> [( <names> )] AS [<materialized>] ( <select> )" },
        { "materialized", "MATERIALIZED | NOT MATERIALIZED" },

        /* INSERT, UPDATE, DELETE */
        { "or", "OR ROLLBACK | OR ABORT | OR FAIL | OR IGNORE | OR REPLACE" },
        { "insert", "[<with>] <insert-word> INTO <table> [AS <name>] [( <names> )] <insert-what>" },
        { "insert-word", "INSERT | INSERT <or> | REPLACE" },
        { "insert-what", "DEFAULT VALUES [<returning>] | <values> <upserts> [<returning>] | <select> [<returning>] | "
                "SELECT a FROM t WHERE true <upserts> [<returning>]" },
        { "upserts", "{ON CONFLICT ( <terms> ) [WHERE <expr>] <do>} [ON CONFLICT <do>]" },
        { "do", "DO NOTHING | DO UPDATE SET <sets> [WHERE <expr>]" },
        { "sets", "<set> {, <set>}" },
        { "set", "<name> = <expr> | ( <names> ) = <expr>" },
        { "returning", "RETURNING <results>" },
        { "hint", "INDEXED BY t_a | NOT INDEXED" },
        { "update", "[<with>] UPDATE [<or>] <table> [AS <name>] [<hint>] SET <sets> [FROM <sources>] [WHERE <expr>] [<returning>] "
                "[<order>] [<limit>]" },
        { "delete", "[<with>] DELETE FROM <table> [AS <name>] [<hint>] [WHERE <expr>] [<returning>] [<order>] [<limit>]" },

        /* CREATE */
        { "temp", "TEMP | TEMPORARY" },
        { "not-exists", "IF NOT EXISTS" },
        { "new", "n | main.n | \"n n\" | n | <name>" },
        { "create", "CREATE [<temp>] TABLE [<not-exists>] <new> ( <columns> <table-constraints> ) [<options>] | "
                "CREATE TABLE n ( <columns> <table-constraints> ) [<options>] | "
                "CREATE [<temp>] TABLE [<not-exists>] <new> AS <select> | "
                "CREATE [UNIQUE] INDEX [<not-exists>] <new> ON t ( <terms> ) [WHERE <expr>] | "
                "CREATE [<temp>] VIEW [<not-exists>] <new> [( <names> )] AS <select> | "
                "<trigger> | CREATE VIRTUAL TABLE [<not-exists>] <new> USING <name> [( <module-args> )]" },
        { "options", "STRICT | WITHOUT rowid | without ROWID , strict | <name>" },
        { "columns", "<column-def> {, <column-def>}" },
        { "column-def", "<name> [<type>] {<column-constraint>}" },
        { "on-conflict", "ON CONFLICT ROLLBACK | ON CONFLICT FAIL | ON CONFLICT REPLACE" },
        { "column-constraint", "NOT NULL [<on-conflict>] | CONSTRAINT <name> | NULL [<on-conflict>] | UNIQUE [<on-conflict>] | "
                "PRIMARY KEY [<sort>] [<on-conflict>] [AUTOINCREMENT] | CHECK ( <expr> ) | COLLATE <collation> | DEFAULT <default> | "
                "<references> | <deferrable> | [GENERATED ALWAYS] AS ( <expr> ) [<storage>]" },
        { "sort", "ASC | DESC" },
        { "storage", "STORED | VIRTUAL | <bare>" },
        { "default", "<literal> | - <literal> | + 1 | ( <expr> ) | <bare>" },
        { "references", "REFERENCES <name> [( <names> )] {<reference>}" },
        { "reference", "ON DELETE <action> | ON UPDATE <action> | ON INSERT <action> | MATCH <name>" },
        { "action", "SET NULL | SET DEFAULT | CASCADE | RESTRICT | NO ACTION" },
        { "deferrable", "[NOT] DEFERRABLE | [NOT] DEFERRABLE INITIALLY DEFERRED | DEFERRABLE INITIALLY IMMEDIATE" },
        { "table-constraints", "{, <table-constraint> {<table-constraint>}}" },
        { "table-constraint", "CHECK ( <expr> ) [<on-conflict>] | CONSTRAINT <name> | PRIMARY KEY ( <terms> [AUTOINCREMENT] ) [<on-conflict>] | "
                "UNIQUE ( <terms> ) [<on-conflict>] | FOREIGN KEY ( <names> ) <references> [<deferrable>]" },
        { "trigger", "CREATE [<temp>] TRIGGER [<not-exists>] <new> [<time>] <event> ON t [FOR EACH ROW] [WHEN <expr>] BEGIN "
                "<step> ; {<step> ;} END" },
        { "time", "BEFORE | AFTER | INSTEAD OF" },
        { "event", "DELETE | INSERT | UPDATE | UPDATE OF <names>" },
        { "step", "<select> | <insert-word> INTO t [( <names> )] <values> <upserts> | UPDATE [<or>] t SET <sets> [FROM <sources>] [WHERE <expr>] | "
                "DELETE FROM t [WHERE <expr>] | DELETE FROM <table> [<hint>] | REPLACE INTO <table> <select> [<returning>]" },
        { "module-args", "a | <anything> {, <anything>}" },
        { "anything", "a b | x = 'y' | ( a , ( b ) ) | SELECT ; 1 | 1.5 = <word> | x'00'" },

        /* in place of the rules of that name without tame- */
        { "tame-name", "a | b | c | d" },
        { "tame-column", "a | b | a | b | t.a | x" },
        { "tame-table", "t | u | t | v | w" },
        { "tame-alias", "AS p | q | AS `r s` | \"s t\"" },
        { "tame-collation", "nocase | 'binary' | rtrim" },
        { "tame-literal", "1 | 2 | 'x' | 'it''s' | -3 | 2.5 | .5 | 5. | 1e1 | x'00ff' | X'' | 0x2 | '2' | 9223372036854775807 "
                "| -9223372036854775808 | NULL | true" },
        { "tame-variable", "1 | 'y' | - 2" },
        { "tame-binary", "= | == | <> | < | <= | > | + | - | * | / | % | \\|\\| | & | \\| | << | -> | ->> | AND | OR | IS | IS NOT | "
                "IS DISTINCT FROM | LIKE | NOT LIKE | GLOB" },
        { "tame-compound-expr", "CAST ( <expr> AS text ) | CASE [<expr>] WHEN <expr> THEN <expr> {WHEN <expr> THEN <expr>} [ELSE <expr>] END "
                "| ( SELECT max ( <expr> ) FROM t ) | [NOT] EXISTS ( <select> ) | ( <expr> , <expr> ) = ( <expr> , <expr> )" },
        { "tame-call", "abs ( <expr> ) | length ( <expr> ) | substr ( <expr> , 1 , 2 ) | coalesce ( <expr> , <expr> ) | typeof ( <expr> )" },
        { "tame-postfix", "<expr> ISNULL | <expr> NOT NULL | <expr> IS NULL | <expr> COLLATE <collation> | "
                "<expr> [NOT] BETWEEN <expr> AND <expr> | <expr> [NOT] LIKE <expr> ESCAPE '!' | <expr> [NOT] IN ( [<exprs>] ) "
                "| <expr> [NOT] IN ( SELECT a FROM t WHERE <expr> ) | <expr> [NOT] IN ( VALUES ( <expr> ) , ( <expr> ) )" },
        { "tame-select", "SELECT a FROM t WHERE <expr> | <core> [<limit>] | <core> ORDER BY 1 [<limit>] | WITH cte AS ( <core> ) SELECT * FROM cte | "
                "SELECT a + b FROM t WHERE <expr> <compound> SELECT a FROM u WHERE <expr> ORDER BY 1 [<limit>] | "
                "WITH cte ( p ) AS ( VALUES ( <expr> ) , ( 2 ) ) SELECT p FROM cte WHERE p > <literal>" },
        { "tame-core", "SELECT <results> FROM <sources> [WHERE <expr>] | SELECT DISTINCT <results> FROM <sources> [WHERE <expr>] | "
                "SELECT <expr> , count ( * ) , sum ( 1 ) FROM t [WHERE <expr>] GROUP BY 1 [HAVING count ( * ) >= <literal>] | "
                "SELECT max ( <expr> ) FROM t [WHERE <expr>]" },
        { "tame-source", "t | u | t AS z | ( SELECT a + 1 , b FROM t [WHERE <expr>] ) AS p | ( SELECT a , b \\|\\| 'x' AS c FROM t WHERE <expr> )" },
        { "tame-join", "<joiner> v ON x = <expr> | , v" },
        { "tame-joiner", "JOIN | LEFT JOIN | CROSS JOIN | INNER JOIN" },
        { "tame-results", "<result> {, <result>}" },
        { "tame-result", "<expr> | <expr> <alias> | *" },
        { "tame-limit", "LIMIT 100 | LIMIT 100 OFFSET 0 | LIMIT 0 , 100 | LIMIT -1" },
        { "tame-with", "WITH cte AS ( SELECT 1 )" },
        { "tame-insert", "<insert-word> INTO t ( a , b ) VALUES ( <value> , <value> ) {, ( <value> , <value> )} [<returning>] | "
                "<insert-word> INTO u SELECT <expr> , <literal> FROM t WHERE <expr> | "
                "INSERT INTO v VALUES ( <small> , <value> ) ON CONFLICT ( x ) DO UPDATE SET y = <literal> \\|\\| y [WHERE x < <literal>] | "
                "INSERT OR IGNORE INTO v VALUES ( <small> , <literal> ) , ( 7 , 'z' )" },
        { "tame-small", "1 | 2 | 7 | '3' | 2.0 | 'x' | -5" },
        { "tame-value", "<literal> | <literal> | <literal> \\|\\| 'x' | ( SELECT max ( a ) FROM t WHERE <expr> ) | 1 + <literal>" },
        { "tame-update", "UPDATE [<or>] t SET <sets> WHERE <expr> [RETURNING a , b \\|\\| 'r'] | UPDATE v SET y = <literal> WHERE x = <literal>" },
        { "tame-set", "a = <value> | b = <value> | ( b , c ) = ( <value> , <value> )" },
        { "tame-delete", "DELETE FROM t WHERE <expr> AND <expr> AND a = <literal> | DELETE FROM v WHERE x = <literal> RETURNING x + 1" },
        { "tame-returning", "RETURNING a , b \\|\\| 'r'" },

        /* the rest */
        { "drop", "DROP TABLE [IF EXISTS] <table> | DROP INDEX [IF EXISTS] <table> | DROP VIEW [IF EXISTS] <table> | DROP TRIGGER [IF EXISTS] <table>" },
        { "alter", "ALTER TABLE t RENAME TO <name> | ALTER TABLE <table> RENAME [COLUMN] <name> TO <name> | "
                "ALTER TABLE t ADD [COLUMN] <column-def> | ALTER TABLE <table> DROP [COLUMN] <name>" },
        { "transaction", "BEGIN [<begin>] [<tx>] | COMMIT [<tx>] | END [<tx>] | ROLLBACK [<tx>] | ROLLBACK [<tx>] TO [SAVEPOINT] <name> | "
                "SAVEPOINT <name> | RELEASE [SAVEPOINT] <name>" },
        { "begin", "DEFERRED | IMMEDIATE | EXCLUSIVE" },
        { "tx", "TRANSACTION | TRANSACTION <name>" },
        { "pragma", "PRAGMA zz | PRAGMA main.zz = <pragma-value> | PRAGMA zz ( <pragma-value> )" },
        { "pragma-value", "1 | -1 | + 2.5 | on | delete | default | 'x' | <name>" },
        { "other", "ATTACH [DATABASE] <expr> AS <expr> [KEY <expr>] | DETACH [DATABASE] <expr> | VACUUM [<name>] [INTO <expr>] | "
                "ANALYZE [<table>] | REINDEX [<table>]" },
};
/* clang-format on */

struct generator {
        uint64_t *seed;
        struct buf *b;
        uint32_t depth;
        bool is_tame;
};

static uint32_t pick(struct generator *g, uint32_t n)
{
        return (uint32_t)(random_next(g->seed) % n);
}

static const char *find_rule(const struct generator *g, const char *name, size_t n)
{
        static const char tame[] = "tame-";
        const char *body = NULL;

        for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
                const char *s = rules[i].name;
                bool is_tame = strncmp(s, tame, strlen(tame)) == 0;

                s += is_tame ? strlen(tame) : 0;
                if (strlen(s) == n && memcmp(s, name, n) == 0 && (!is_tame || g->is_tame))
                        body = rules[i].body; /* the tame ones come last */
        }
        assert(body);
        return body;
}

static void generate(struct generator *g, const char *s, const char *end);

/* The bracket that closes the one at s. */
static const char *closing(const char *s)
{
        int depth = 0;

        for (;; s++) {
                if (*s == '\\')
                        s++;
                else if (*s == '[' || *s == '{')
                        depth++;
                else if ((*s == ']' || *s == '}') && --depth == 0)
                        return s;
        }
}

static void add_blank(struct generator *g)
{
        uint32_t r = pick(g, 40);

        if (r > 2 && g->b->n_bytes && g->b->data[g->b->n_bytes - 1] == ' ')
                return;
        buf_add_str(g->b, r == 0 ? "\n" : r == 1 ? " /* ; */ " : r == 2 ? " -- '\n" : " ");
}

static const char *generate_one(struct generator *g, const char *s)
{
        const char *close;

        switch (*s) {
        case '<':
                close = strchr(s, '>');
                if (close == s + 1 || s[1] == ' ' || s[1] == '=' || s[1] == '<')
                        break; /* an operator */
                {
                        const char *body = find_rule(g, s + 1, (size_t)(close - s - 1));

                        g->depth++;
                        generate(g, body, body + strlen(body));
                        g->depth--;
                }
                return close + 1;
        case '[':
                close = closing(s);
                if (pick(g, 2) && g->depth < MAX_DEPTH)
                        generate(g, s + 1, close);
                return close + 1;
        case '{':
                close = closing(s);
                while (pick(g, 3) == 0 && g->depth < MAX_DEPTH)
                        generate(g, s + 1, close);
                return close + 1;
        default:
                break;
        }
        for (; *s && *s != ' ' && (*s != '[' && *s != ']' && *s != '}'); s++) {
                if (*s == '<' && s[1] >= 'a' && s[1] <= 'z')
                        break;
                if (*s == '\\')
                        s++;
                buf_add_byte(g->b, (uint8_t)*s);
        }
        return s;
}

/* One of the alternatives between s and end. */
static void generate(struct generator *g, const char *s, const char *end)
{
        uint32_t n = 1;
        uint32_t chosen;

        for (const char *p = s; p < end; p++) {
                if (*p == '\\')
                        p++;
                else if (*p == '[' || *p == '{')
                        p = closing(p);
                else if (*p == '|')
                        n++;
        }
        chosen = g->depth >= MAX_DEPTH ? 0 : pick(g, n);
        while (chosen) {
                if (*s == '\\')
                        s++;
                else if (*s == '[' || *s == '{')
                        s = closing(s);
                else if (*s == '|')
                        chosen--;
                s++;
        }
        while (s < end && *s != '|') {
                if (*s == ' ') {
                        add_blank(g);
                        s++;
                } else {
                        s = generate_one(g, s);
                }
        }
}

static void start(struct generator *g, const char *rule)
{
        const char *body = find_rule(g, rule, strlen(rule));

        g->b->n_bytes = 0;
        generate(g, body, body + strlen(body));
        buf_add_byte(g->b, 0);
        g->b->n_bytes--;
}

void generate_statement(uint64_t *seed, struct buf *b)
{
        start(&(struct generator){ .seed = seed, .b = b }, "statement");
}

void generate_tame(uint64_t *seed, struct buf *b)
{
        start(&(struct generator){ .seed = seed, .b = b, .is_tame = true }, "dml");
}

/* ---- damage ---- */

/* Start of the n-th run of anything but blanks, and its length; false if there are fewer. */
static bool find_piece(const struct buf *b, uint32_t n, size_t *ret_start, size_t *ret_n)
{
        size_t i = 0;

        for (;;) {
                size_t start;

                while (i < b->n_bytes && b->data[i] == ' ')
                        i++;
                start = i;
                while (i < b->n_bytes && b->data[i] != ' ')
                        i++;
                if (start == i)
                        return false;
                if (n-- == 0) {
                        *ret_start = start;
                        *ret_n = i - start;
                        return true;
                }
        }
}

static void replace_piece(struct buf *b, size_t start, size_t n, const char *text)
{
        struct buf out = BUF_INIT(0);

        buf_add(&out, b->data, start);
        buf_add_str(&out, text);
        buf_add(&out, b->data + start + n, b->n_bytes - start - n);
        buf_done(b);
        *b = out;
}

static const char *const pieces[] = {
        "SELECT",
        "FROM",
        "WHERE",
        "(",
        ")",
        ",",
        ".",
        ";",
        "1",
        "'x'",
        "x",
        "*",
        "=",
        "-",
        "NOT",
        "NULL",
        "AS",
        "ON",
        "BY",
        "ORDER",
        "GROUP",
        "LIMIT",
        "VALUES",
        "SET",
        "INTO",
        "TABLE",
        "INDEX",
        "AND",
        "OR",
        "IN",
        "IS",
        "LIKE",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "END",
        "UNION",
        "ALL",
        "DISTINCT",
        "JOIN",
        "LEFT",
        "CROSS",
        "USING",
        "CREATE",
        "UPDATE",
        "DELETE",
        "INSERT",
        "REPLACE",
        "WITH",
        "RECURSIVE",
        "OVER",
        "FILTER",
        "WINDOW",
        "PARTITION",
        "ROWS",
        "RANGE",
        "UNBOUNDED",
        "PRECEDING",
        "FOLLOWING",
        "CURRENT",
        "ROW",
        "EXCLUDE",
        "PRIMARY",
        "KEY",
        "UNIQUE",
        "CHECK",
        "REFERENCES",
        "DEFAULT",
        "COLLATE",
        "GENERATED",
        "ALWAYS",
        "CONSTRAINT",
        "FOREIGN",
        "DEFERRABLE",
        "INITIALLY",
        "CONFLICT",
        "DO",
        "NOTHING",
        "RETURNING",
        "INDEXED",
        "ESCAPE",
        "EXISTS",
        "CAST",
        "RAISE",
        "IGNORE",
        "TEMP",
        "IF",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "TO",
        "SAVEPOINT",
        "RELEASE",
        "PRAGMA",
        "EXPLAIN",
        "QUERY",
        "PLAN",
        "ANALYZE",
        "NULLS",
        "FIRST",
        "LAST",
        "ASC",
        "DESC",
        "ISNULL",
        "NOTNULL",
        "MATERIALIZED",
        "VIRTUAL",
        "STORED",
        "WITHOUT",
        "ROWID",
        "STRICT",
        "TRIGGER",
        "BEFORE",
        "AFTER",
        "INSTEAD",
        "OF",
        "FOR",
        "EACH",
        "VIEW",
        "COLUMN",
        "ADD",
        "DROP",
        "RENAME",
        "->",
        "->>",
        "||",
        "<<",
        "!",
        "'",
        "\"",
        "[",
        "`",
        "/*",
        "--",
        "x'1'",
        "1a",
        "$",
        "@",
        "?0",
        "#1",
        "\\",
        "\x0b",
        "\xef\xbb\xbf",
        "{",
        "NATURAL",
        "OUTER",
        "ABORT",
        "OTHERS",
        "TIES",
        "GROUPS",
        "CURRENT_TIME",
        "~",
        "+",
};

void generate_damage(uint64_t *seed, struct buf *b)
{
        struct generator g = { .seed = seed, .b = b };
        const char *piece = pieces[pick(&g, ARRAY_LEN(pieces))];
        uint32_t n_pieces = 0;
        size_t start, n;

        while (find_piece(b, n_pieces, &start, &n))
                n_pieces++;
        if (!n_pieces || !find_piece(b, pick(&g, n_pieces), &start, &n))
                return;
        switch (pick(&g, 6)) {
        case 0:
                replace_piece(b, start, n, "");
                break;
        case 1:
                replace_piece(b, start, n, piece);
                break;
        case 2:
                replace_piece(b, start, 0, " ");
                replace_piece(b, start, 0, piece);
                break;
        case 3:
                b->n_bytes = start;
                break;
        case 4:
                b->data[start + pick(&g, (uint32_t)n)] = (uint8_t)piece[0];
                break;
        default:
                replace_piece(b, start, 0, " ");
                replace_piece(b, start + 1 + n, 0, " ;");
                break;
        }
        buf_add_byte(b, 0);
        b->n_bytes--;
}
