/* lexer.re - SQLite 3.40's tokens. No state, any thread. The text ends in a NUL, which no pattern crosses, so that nothing
 * behind it is read. */
#include "sql/lexer_int.h"

#include <string.h>

#include "sql/grammar.h"

/*!re2c
        re2c:yyfill:enable = 0;
        re2c:define:YYCTYPE = "unsigned char";
        re2c:define:YYCURSOR = cursor;
        re2c:define:YYMARKER = marker;

        any = [^\x00];
        blank = [ \t\n\f\r];
        space = [ \t\n\v\f\r];
        digit = [0-9];
        hex = [0-9a-fA-F];
        start = [a-zA-Z_\x80-\xff];
        part = [a-zA-Z0-9_$\x80-\xff];
        number = (digit+ ("." digit*)? | "." digit+) ([eE] [+-]? digit+)?;
        parameter = [$@#:] "::"* part (part | "::")*;
*/

/* At a slash and a star: the comment reaches to its end or that of the text. Right at the end of the text they are
 * operators. */
static int end_of_comment(const unsigned char *s, const unsigned char **ret_end)
{
        const char *end;

        if (!s[2]) {
                *ret_end = s + 1;
                return TK_SLASH;
        }
        end = strstr((const char *)s + 2, "*/");
        *ret_end = end ? (const unsigned char *)end + 2 : s + strlen((const char *)s);
        return 0;
}

/* Digits with letters right behind are no token, unless they are 0x…, which ends at the first that is no digit. */
static int end_of_number(const unsigned char *s, const unsigned char *end,
                         const unsigned char **ret_end)
{
        size_t n = 0;

        if (s[0] == '0' && (s[1] | 0x20) == 'x')
                n = strspn((const char *)s + 2, "0123456789abcdefABCDEF");
        *ret_end = n ? s + 2 + n : end;
        return n ? TK_INTEGER : TK_ILLEGAL;
}

/* The token at s, 0 for what is to be skipped and for the end of the text (*ret_end is s then). */
static int scan(const unsigned char *s, const unsigned char **ret_end)
{
        const unsigned char *cursor = s;
        const unsigned char *marker;

#define END(code) return *ret_end = cursor, (code)
        *ret_end = cursor;
        /*!re2c
        "\x00" { return 0; }
        * { END(TK_ILLEGAL); }
        blank space* { END(0); }
        "\xef\xbb\xbf" { END(0); }
        "--" [^\n\x00]* { END(0); }
        "/*" { return end_of_comment(s, ret_end); }

        "(" { END(TK_LP); }
        ")" { END(TK_RP); }
        ";" { END(TK_SEMI); }
        "," { END(TK_COMMA); }
        "." { END(TK_DOT); }
        "+" { END(TK_PLUS); }
        "-" { END(TK_MINUS); }
        "->" { END(TK_ARROW); }
        "->>" { END(TK_LONG_ARROW); }
        "*" { END(TK_STAR); }
        "/" { END(TK_SLASH); }
        "%" { END(TK_REM); }
        "=" "="? { END(TK_EQ); }
        "<>" | "!=" { END(TK_NE); }
        "<" { END(TK_LT); }
        "<=" { END(TK_LE); }
        "<<" { END(TK_LSHIFT); }
        ">" { END(TK_GT); }
        ">=" { END(TK_GE); }
        ">>" { END(TK_RSHIFT); }
        "||" { END(TK_CONCAT); }
        "|" { END(TK_BITOR); }
        "&" { END(TK_BITAND); }
        "~" { END(TK_BITNOT); }

        "'" (any \ "'" | "''")* "'" { END(TK_STRING); }
        "'" (any \ "'" | "''")* { END(TK_ILLEGAL); }
        "\"" (any \ "\"" | "\"\"")* "\"" { END(TK_ID); }
        "\"" (any \ "\"" | "\"\"")* { END(TK_ILLEGAL); }
        "`" (any \ "`" | "``")* "`" { END(TK_ID); }
        "`" (any \ "`" | "``")* { END(TK_ILLEGAL); }
        "[" (any \ "]")* "]" { END(TK_ID); }
        "[" (any \ "]")* { END(TK_ILLEGAL); }
        [xX] "'" (hex hex)* "'" { END(TK_BLOB); }
        [xX] "'" (any \ "'")* "'"? { END(TK_ILLEGAL); }

        digit+ { END(TK_INTEGER); }
        "0" [xX] hex+ { END(TK_INTEGER); }
        number { END(TK_FLOAT); }
        number part+ { return end_of_number(s, cursor, ret_end); }

        "?" digit* { END(TK_VARIABLE); }
        parameter { END(TK_VARIABLE); }
        parameter "(" (any \ [)] \ space)* ")" { END(TK_VARIABLE); }
        parameter "(" (any \ [)] \ space)* { END(TK_ILLEGAL); }
        [$@#:] "::"* { END(TK_ILLEGAL); }

        'abort'              { END(TK_ABORT); }
        'action'             { END(TK_ACTION); }
        'add'                { END(TK_ADD); }
        'after'              { END(TK_AFTER); }
        'all'                { END(TK_ALL); }
        'alter'              { END(TK_ALTER); }
        'always'             { END(TK_ALWAYS); }
        'analyze'            { END(TK_ANALYZE); }
        'and'                { END(TK_AND); }
        'as'                 { END(TK_AS); }
        'asc'                { END(TK_ASC); }
        'at'                 { END(TK_AT); }
        'attach'             { END(TK_ATTACH); }
        'autoincrement'      { END(TK_AUTOINCREMENT); }
        'before'             { END(TK_BEFORE); }
        'begin'              { END(TK_BEGIN); }
        'between'            { END(TK_BETWEEN); }
        'by'                 { END(TK_BY); }
        'cascade'            { END(TK_CASCADE); }
        'case'               { END(TK_CASE); }
        'cast'               { END(TK_CAST); }
        'check'              { END(TK_CHECK); }
        'collate'            { END(TK_COLLATE); }
        'column'             { END(TK_COLUMNKW); }
        'commit'             { END(TK_COMMIT); }
        'conflict'           { END(TK_CONFLICT); }
        'consistent_hash'    { END(TK_CONSISTENT_HASH); }
        'constraint'         { END(TK_CONSTRAINT); }
        'create'             { END(TK_CREATE); }
        'cross'              { END(TK_JOIN_KW); }
        'current'            { END(TK_CURRENT); }
        'current_date'       { END(TK_CTIME_KW); }
        'current_time'       { END(TK_CTIME_KW); }
        'current_timestamp'  { END(TK_CTIME_KW); }
        'database'           { END(TK_DATABASE); }
        'default'            { END(TK_DEFAULT); }
        'deferrable'         { END(TK_DEFERRABLE); }
        'deferred'           { END(TK_DEFERRED); }
        'delete'             { END(TK_DELETE); }
        'desc'               { END(TK_DESC); }
        'detach'             { END(TK_DETACH); }
        'distinct'           { END(TK_DISTINCT); }
        'do'                 { END(TK_DO); }
        'drop'               { END(TK_DROP); }
        'each'               { END(TK_EACH); }
        'else'               { END(TK_ELSE); }
        'end'                { END(TK_END); }
        'escape'             { END(TK_ESCAPE); }
        'except'             { END(TK_EXCEPT); }
        'exclude'            { END(TK_EXCLUDE); }
        'exclusive'          { END(TK_EXCLUSIVE); }
        'exists'             { END(TK_EXISTS); }
        'explain'            { END(TK_EXPLAIN); }
        'fail'               { END(TK_FAIL); }
        'filter'             { END(TK_FILTER); }
        'first'              { END(TK_FIRST); }
        'following'          { END(TK_FOLLOWING); }
        'for'                { END(TK_FOR); }
        'foreign'            { END(TK_FOREIGN); }
        'from'               { END(TK_FROM); }
        'full'               { END(TK_JOIN_KW); }
        'generated'          { END(TK_GENERATED); }
        'glob'               { END(TK_LIKE_KW); }
        'global'             { END(TK_GLOBAL); }
        'group'              { END(TK_GROUP); }
        'groups'             { END(TK_GROUPS); }
        'hash'               { END(TK_HASH); }
        'having'             { END(TK_HAVING); }
        'if'                 { END(TK_IF); }
        'ignore'             { END(TK_IGNORE); }
        'immediate'          { END(TK_IMMEDIATE); }
        'in'                 { END(TK_IN); }
        'index'              { END(TK_INDEX); }
        'indexed'            { END(TK_INDEXED); }
        'initially'          { END(TK_INITIALLY); }
        'inner'              { END(TK_JOIN_KW); }
        'insert'             { END(TK_INSERT); }
        'instead'            { END(TK_INSTEAD); }
        'intersect'          { END(TK_INTERSECT); }
        'into'               { END(TK_INTO); }
        'is'                 { END(TK_IS); }
        'isnull'             { END(TK_ISNULL); }
        'join'               { END(TK_JOIN); }
        'key'                { END(TK_KEY); }
        'last'               { END(TK_LAST); }
        'left'               { END(TK_JOIN_KW); }
        'like'               { END(TK_LIKE_KW); }
        'limit'              { END(TK_LIMIT); }
        'match'              { END(TK_MATCH); }
        'materialized'       { END(TK_MATERIALIZED); }
        'natural'            { END(TK_JOIN_KW); }
        'no'                 { END(TK_NO); }
        'not'                { END(TK_NOT); }
        'nothing'            { END(TK_NOTHING); }
        'notnull'            { END(TK_NOTNULL); }
        'null'               { END(TK_NULL); }
        'nulls'              { END(TK_NULLS); }
        'of'                 { END(TK_OF); }
        'offset'             { END(TK_OFFSET); }
        'on'                 { END(TK_ON); }
        'or'                 { END(TK_OR); }
        'order'              { END(TK_ORDER); }
        'others'             { END(TK_OTHERS); }
        'outer'              { END(TK_JOIN_KW); }
        'over'               { END(TK_OVER); }
        'partition'          { END(TK_PARTITION); }
        'plan'               { END(TK_PLAN); }
        'pragma'             { END(TK_PRAGMA); }
        'preceding'          { END(TK_PRECEDING); }
        'primary'            { END(TK_PRIMARY); }
        'query'              { END(TK_QUERY); }
        'raise'              { END(TK_RAISE); }
        'range'              { END(TK_RANGE); }
        'recursive'          { END(TK_RECURSIVE); }
        'reference'          { END(TK_REFERENCE); }
        'references'         { END(TK_REFERENCES); }
        'regexp'             { END(TK_LIKE_KW); }
        'reindex'            { END(TK_REINDEX); }
        'release'            { END(TK_RELEASE); }
        'rename'             { END(TK_RENAME); }
        'replace'            { END(TK_REPLACE); }
        'restrict'           { END(TK_RESTRICT); }
        'returning'          { END(TK_RETURNING); }
        'right'              { END(TK_JOIN_KW); }
        'rollback'           { END(TK_ROLLBACK); }
        'row'                { END(TK_ROW); }
        'rows'               { END(TK_ROWS); }
        'savepoint'          { END(TK_SAVEPOINT); }
        'select'             { END(TK_SELECT); }
        'set'                { END(TK_SET); }
        'shard'              { END(TK_SHARD); }
        'split'              { END(TK_SPLIT); }
        'table'              { END(TK_TABLE); }
        'temp'               { END(TK_TEMP); }
        'temporary'          { END(TK_TEMP); }
        'then'               { END(TK_THEN); }
        'ties'               { END(TK_TIES); }
        'to'                 { END(TK_TO); }
        'transaction'        { END(TK_TRANSACTION); }
        'trigger'            { END(TK_TRIGGER); }
        'unbounded'          { END(TK_UNBOUNDED); }
        'union'              { END(TK_UNION); }
        'unique'             { END(TK_UNIQUE); }
        'unsharded'          { END(TK_UNSHARDED); }
        'update'             { END(TK_UPDATE); }
        'using'              { END(TK_USING); }
        'vacuum'             { END(TK_VACUUM); }
        'values'             { END(TK_VALUES); }
        'view'               { END(TK_VIEW); }
        'virtual'            { END(TK_VIRTUAL); }
        'when'               { END(TK_WHEN); }
        'where'              { END(TK_WHERE); }
        'window'             { END(TK_WINDOW); }
        'with'               { END(TK_WITH); }
        'without'            { END(TK_WITHOUT); }
        start part* { END(TK_ID); }
        */
#undef END
}

int sql_lex(const char *text, uint32_t offset, struct sql_token *ret_token)
{
        const unsigned char *s = (const unsigned char *)text + offset;
        const unsigned char *end;
        int code;

        for (;;) {
                /* For speed; a vertical tab is a blank only behind one. */
                while (s[0] == ' ' && s[1] != '\v')
                        s++;
                /* A byte order mark is a blank wherever a token may begin, even before a letter. */
                if (s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf) {
                        s += 3;
                        continue;
                }
                code = scan(s, &end);
                if (code || end == s)
                        break;
                s = end;
        }
        ret_token->offset = (uint32_t)(s - (const unsigned char *)text);
        ret_token->n_bytes = (uint32_t)(end - s);
        return code;
}

/* Where a name may stand, as far as one token tells. */
static bool may_be_name(int code)
{
        return code == TK_ID || code == TK_STRING || code == TK_JOIN_KW || code == TK_WINDOW ||
               code == TK_OVER || sql_grammar_fallback(code) == TK_ID;
}

static int peek(const char *text, struct sql_token *t)
{
        return sql_lex(text, t->offset + t->n_bytes, t);
}

/* EXPLAIN ANALYZE before SELECT and the like is ours; else it is SQLite's EXPLAIN of an ANALYZE, whose
 * table may be called "with" or "replace". */
static bool begins_explained(const char *text, struct sql_token t)
{
        switch (peek(text, &t)) {
        case TK_SELECT:
        case TK_VALUES:
        case TK_INSERT:
        case TK_UPDATE:
        case TK_DELETE:
                return true;
        case TK_WITH:
        case TK_REPLACE: {
                int code = peek(text, &t);

                return code != 0 && code != TK_SEMI && code != TK_DOT;
        }
        default:
                return false;
        }
}

int sql_lex_context(const char *text, uint32_t offset, int before, struct sql_token *ret_token)
{
        int code = sql_lex(text, offset, ret_token);
        struct sql_token t = *ret_token;

        switch (code) {
        case TK_WINDOW:
                return may_be_name(peek(text, &t)) && peek(text, &t) == TK_AS ? TK_WINDOW : TK_ID;
        case TK_OVER:
                if (before != TK_RP)
                        return TK_ID;
                code = peek(text, &t);
                return code == TK_LP || may_be_name(code) ? TK_OVER : TK_ID;
        case TK_FILTER:
                return before == TK_RP && peek(text, &t) == TK_LP ? TK_FILTER : TK_ID;
        case TK_ANALYZE:
                return before == TK_EXPLAIN && begins_explained(text, t) ? TK_EXPLAIN_ANALYZE
                                                                         : TK_ANALYZE;
        default:
                return code;
        }
}
