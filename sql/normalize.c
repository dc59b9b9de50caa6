/* normalize.c - one pass over the tokens with a small state machine: in which clause, in what
 * parentheses. Any thread. */
#include "sql/normalize.h"

#include <string.h>

#include "sql/grammar.h"
#include "sql/lexer_int.h"
#include "sql/literal.h"
#include "sql/parse.h"

enum {
        MAX_NESTING = 64, /* of parentheses; what is deeper is not normalised */
        MAX_NAMES = 32,   /* of named variables */
};

enum clause {
        CLAUSE_NONE = 0, /* nothing to take out here, but perhaps in parentheses */
        CLAUSE_RESULT, /* nothing here nor in parentheses; the bytes are kept: they name columns */
        CLAUSE_FROZEN, /* nothing here nor in parentheses */
        CLAUSE_EXPR,   /* WHERE, LIMIT, inside a row of VALUES */
        CLAUSE_VALUES, /* between the rows */
        CLAUSE_SET_NAME,  /* before a = of SET */
        CLAUSE_SET_VALUE, /* behind it */
};

struct level {
        enum clause clause;
        bool is_frozen; /* whatever the clause */
        bool is_raw;    /* inside a result column: the bytes are kept, whatever the clause */
        bool is_group;  /* parentheses around an expression, not a list */
        bool in_conflict_target; /* between ON CONFLICT and DO */
        uint32_t n_between;      /* BETWEENs whose AND is still to come */
};

struct normalizer {
        struct sql_normalized *n;
        const char *text;
        struct sql_token t;
        int code;
        int before;           /* code of the token before, 0 if none */
        uint32_t end_before;  /* where it ended */
        bool after_extracted; /* ?N was put in its place */
        bool minus_is_sign;   /* the token before is a minus that belongs to what follows */
        size_t minus_at;      /* where it stands in n->text */
        bool between_and;     /* the token before is a BETWEEN's AND */
        struct level levels[MAX_NESTING];
        uint32_t depth;
        /* the statement's own variables */
        uint32_t n_plain_seen; /* number that the next plain ? gets is this + 1 */
        struct sql_token names[MAX_NAMES];
        uint32_t n_names;
        uint32_t names_end; /* behind this, all names have been seen once */
};

void sql_normalized_done(struct sql_normalized *n)
{
        buf_done(&n->text);
        buf_done(&n->bytes);
        buf_done(&n->scratch);
        free(n->values);
        *n = (struct sql_normalized)SQL_NORMALIZED_INIT;
}

/* ---- the statement's own variables ---- */

static bool knows_name(struct normalizer *nz, struct sql_token t)
{
        for (uint32_t i = 0; i < nz->n_names; i++)
                if (nz->names[i].n_bytes == t.n_bytes &&
                    memcmp(nz->text + nz->names[i].offset, nz->text + t.offset, t.n_bytes) == 0)
                        return true;
        return false;
}

/* The number of ?N; 0 if it is not a good one. */
static uint32_t number_of(const struct normalizer *nz, struct sql_token t)
{
        uint32_t number = 0;

        for (uint32_t i = 1; i < t.n_bytes && number <= SQL_MAX_VARIABLE; i++)
                number = number * 10 + (uint32_t)(nz->text[t.offset + i] - '0');
        return number <= SQL_MAX_VARIABLE ? number : 0;
}

/* Counts a variable as SQLite would; *largest is the largest number so far. False: too much. */
static bool count_variable(struct normalizer *nz, struct sql_token t, uint32_t *largest)
{
        if (t.n_bytes == 1) {
                ++*largest;
                return true;
        }
        if (nz->text[t.offset] == '?') {
                uint32_t number = number_of(nz, t);

                if (number > *largest)
                        *largest = number;
                return number != 0;
        }
        if (knows_name(nz, t))
                return true;
        if (nz->n_names == MAX_NAMES)
                return false;
        nz->names[nz->n_names++] = t;
        ++*largest;
        return true;
}

/* The statement's own variables come first: how many there are must be known before any is added.
 */
static bool find_variables(struct normalizer *nz)
{
        uint32_t largest = 0;

        if (strpbrk(nz->text, "?:@$#")) {
                struct sql_token t = { 0, 0 };
                int code;

                while ((code = sql_lex(nz->text, t.offset + t.n_bytes, &t)) != 0)
                        if (code == TK_VARIABLE && !count_variable(nz, t, &largest))
                                return false;
                if (nz->n_names)
                        nz->names_end = nz->names[nz->n_names - 1].offset;
                nz->n_names = 0; /* they are counted once more as they are written */
        }
        nz->n->first_number = largest + 1;
        return largest + SQL_MAX_LITERALS <= SQL_MAX_VARIABLE;
}

/* ---- writing ---- */

static bool is_raw(const struct normalizer *nz)
{
        const struct level *l = &nz->levels[nz->depth];

        return l->is_raw || l->clause == CLAUSE_RESULT;
}

static bool is_word_char(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_' || c == '.' || c == '$' || (c & 0x80);
}

/* What lies before the token: as it was in result columns, else one blank for any. */
static void write_gap(struct normalizer *nz, bool raw)
{
        struct buf *b = &nz->n->text;
        uint32_t n = nz->t.offset - nz->end_before;

        if (!b->n_bytes)
                return;
        if (n && raw)
                buf_add(b, nz->text + nz->end_before, n);
        else if (n || (nz->after_extracted && is_word_char(nz->text[nz->t.offset])))
                buf_add_byte(b, ' ');
}

static void write_number(struct normalizer *nz, uint32_t number)
{
        buf_add_byte(&nz->n->text, '?');
        buf_add_number(&nz->n->text, number);
}

static void write_token(struct normalizer *nz, bool raw)
{
        write_gap(nz, raw);
        nz->minus_at = nz->n->text.n_bytes;
        if (nz->code == TK_VARIABLE) {
                bool is_plain = nz->t.n_bytes == 1;

                (void)count_variable(nz, nz->t, &nz->n_plain_seen);
                if (is_plain && nz->n->n_values) {
                        write_number(nz, nz->n_plain_seen);
                        return;
                }
        }
        buf_add(&nz->n->text, nz->text + nz->t.offset, nz->t.n_bytes);
}

/* ---- taking out ---- */

static struct value *add_value(struct sql_normalized *n)
{
        if (n->n_values == n->n_values_allocated) {
                uint32_t n_new = n->n_values_allocated ? n->n_values_allocated * 2 : 16;
                struct value *p = realloc(n->values, n_new * sizeof *p);

                if (!p)
                        return NULL;
                n->values = p;
                n->n_values_allocated = n_new;
        }
        return &n->values[n->n_values++];
}

/* Until the end, data of texts and blobs is an offset into bytes. */
static void *offset_pointer(size_t offset)
{
        return (void *)(uintptr_t)offset;
}

static struct value read_string(struct normalizer *nz)
{
        struct buf *b = &nz->n->bytes;
        const char *s = nz->text + nz->t.offset + 1;
        const char *end = nz->text + nz->t.offset + nz->t.n_bytes - 1;
        size_t start = b->n_bytes;

        while (s < end) {
                const char *quote = memchr(s, '\'', (size_t)(end - s));
                const char *stop = quote ? quote + 1 : end;

                buf_add(b, s, (size_t)(stop - s));
                s = quote ? quote + 2 : end;
        }
        return value_text(offset_pointer(start), b->n_bytes - start);
}

static struct value read_blob(struct normalizer *nz)
{
        struct buf *b = &nz->n->bytes;
        size_t n = (nz->t.n_bytes - 3) / 2;
        size_t start = b->n_bytes;
        uint8_t *p = buf_reserve(b, n);

        if (p) {
                sql_literal_blob(nz->text + nz->t.offset + 2, n * 2, p);
                b->n_bytes += n;
        }
        return value_blob(offset_pointer(start), n);
}

/* The minus before a number joins it, but not before a zero, for -0.0 is not 0.0. */
static bool join_minus(struct normalizer *nz, struct value *v)
{
        if (!nz->minus_is_sign)
                return false;
        if (v->type == VALUE_INTEGER) {
                v->integer = -v->integer;
                return true;
        }
        if (v->real == 0)
                return false;
        v->real = -v->real;
        return true;
}

static bool ends_expression(int code)
{
        switch (code) {
        case 0:
        case TK_SEMI:
        case TK_RP:
        case TK_AND:
        case TK_OR:
        case TK_GROUP:
        case TK_ORDER:
        case TK_LIMIT:
        case TK_RETURNING:
        case TK_UNION:
        case TK_EXCEPT:
        case TK_INTERSECT:
        case TK_ON:
                return true;
        default:
                return false;
        }
}

/* A literal that is a condition all by itself: SQLite makes more of WHERE 0 than of WHERE ?1. */
static bool is_condition(const struct normalizer *nz, int next)
{
        switch (nz->before) {
        case TK_WHERE:
        case TK_OR:
        case TK_NOT:
                return ends_expression(next);
        case TK_AND:
                return !nz->between_and && ends_expression(next);
        case TK_LP:
                return nz->levels[nz->depth].is_group && next == TK_RP;
        default:
                return false;
        }
}

/* Whether the token, a literal, may go as far as its neighbours are concerned. */
static bool may_go(const struct normalizer *nz)
{
        struct sql_token t = nz->t;
        int next;

        if (nz->t.offset < nz->names_end || nz->n->n_values == SQL_MAX_LITERALS)
                return false;
        switch (nz->before) {
        case TK_DOT:
        case TK_COLLATE:
        case TK_ESCAPE:
        case TK_IN:
        case TK_AS:
        case TK_OVER:
        case TK_ARROW:
        case TK_LONG_ARROW:
                return false;
        default:
                break;
        }
        next = sql_lex(nz->text, t.offset + t.n_bytes, &t);
        switch (next) {
        case TK_DOT: /* 'name'.column */
        case TK_IS:  /* a literal is known not to be NULL */
        case TK_ISNULL:
        case TK_NOTNULL:
        case TK_NOT:
                return false;
        default:
                return !is_condition(nz, next);
        }
}

/* Puts a variable in the place of the token. False: it has to stay. */
static bool take_out(struct normalizer *nz)
{
        bool with_minus = false;
        struct value v;
        struct value *slot;

        if (!may_go(nz))
                return false;
        if (nz->code == TK_STRING)
                v = read_string(nz);
        else if (nz->code == TK_BLOB)
                v = read_blob(nz);
        else if (!sql_literal_number(nz->text + nz->t.offset, nz->t.n_bytes, &v))
                return false;
        else
                with_minus = join_minus(nz, &v);
        slot = add_value(nz->n);
        if (!slot)
                return false;
        *slot = v;
        if (with_minus)
                nz->n->text.n_bytes = nz->minus_at;
        else
                write_gap(nz, false);
        write_number(nz, nz->n->first_number + nz->n->n_values - 1);
        return true;
}

/* ---- clauses ---- */

static bool is_literal(int code)
{
        return code == TK_INTEGER || code == TK_FLOAT || code == TK_STRING || code == TK_BLOB;
}

/* Whether an expression must begin behind the token, so that a minus there is a sign. */
static bool wants_operand(int code)
{
        switch (code) {
        case TK_LP:
        case TK_COMMA:
        case TK_EQ:
        case TK_NE:
        case TK_LT:
        case TK_LE:
        case TK_GT:
        case TK_GE:
        case TK_PLUS:
        case TK_MINUS:
        case TK_STAR:
        case TK_SLASH:
        case TK_REM:
        case TK_CONCAT:
        case TK_BITAND:
        case TK_BITOR:
        case TK_LSHIFT:
        case TK_RSHIFT:
        case TK_WHERE:
        case TK_AND:
        case TK_OR:
        case TK_NOT:
        case TK_BETWEEN:
        case TK_WHEN:
        case TK_THEN:
        case TK_ELSE:
        case TK_LIMIT:
                return true;
        default:
                return false;
        }
}

/* Whether parentheses behind the token are those of a function or of something else that is no
 * plain expression. A word that may be a name is taken for one. */
static bool opens_call(int before)
{
        return before == TK_ID || before == TK_STRING || before == TK_JOIN_KW ||
               before == TK_INDEXED || before == TK_OVER || before == TK_FILTER ||
               (before && sql_grammar_fallback(before) == TK_ID);
}

static bool is_open(const struct level *l)
{
        return !l->is_frozen && (l->clause == CLAUSE_EXPR || l->clause == CLAUSE_SET_VALUE);
}

static bool push_level(struct normalizer *nz)
{
        const struct level *outer = &nz->levels[nz->depth];
        struct level inner = { .is_frozen = outer->is_frozen, .is_raw = is_raw(nz) };

        if (nz->depth + 1 == MAX_NESTING)
                return false;
        switch (outer->clause) {
        case CLAUSE_RESULT:
        case CLAUSE_FROZEN:
        case CLAUSE_SET_NAME:
                inner.is_frozen = true;
                break;
        case CLAUSE_NONE:
                break;
        case CLAUSE_VALUES:
                inner.clause = CLAUSE_EXPR;
                break;
        case CLAUSE_EXPR:
        case CLAUSE_SET_VALUE:
                inner.clause = CLAUSE_EXPR;
                inner.is_group = nz->before != TK_IN;
                break;
        }
        if (opens_call(nz->before))
                inner.is_frozen = true;
        nz->levels[++nz->depth] = inner;
        return true;
}

/* What the keyword makes of its level. */
static void move_on(struct normalizer *nz, struct level *l)
{
        switch (nz->code) {
        case TK_SELECT:
        case TK_RETURNING:
                l->clause = CLAUSE_RESULT;
                break;
        case TK_FROM:
                if (nz->before != TK_DISTINCT) /* IS DISTINCT FROM */
                        l->clause = CLAUSE_NONE;
                break;
        case TK_UNION:
        case TK_EXCEPT:
        case TK_INTERSECT:
        case TK_ON:
                l->clause = CLAUSE_NONE;
                break;
        case TK_VALUES:
                l->clause = CLAUSE_VALUES;
                break;
        case TK_WHERE:
                l->clause = l->in_conflict_target ? CLAUSE_FROZEN : CLAUSE_EXPR;
                break;
        case TK_LIMIT:
                l->clause = CLAUSE_EXPR;
                break;
        case TK_GROUP:
        case TK_HAVING:
        case TK_ORDER:
        case TK_WINDOW:
                l->clause = CLAUSE_FROZEN;
                break;
        case TK_SET:
                l->clause = CLAUSE_SET_NAME;
                break;
        case TK_EQ:
                if (l->clause == CLAUSE_SET_NAME)
                        l->clause = CLAUSE_SET_VALUE;
                break;
        case TK_COMMA:
                if (l->clause == CLAUSE_SET_VALUE)
                        l->clause = CLAUSE_SET_NAME;
                break;
        case TK_CONFLICT:
                if (nz->before == TK_ON) {
                        l->clause = CLAUSE_FROZEN;
                        l->in_conflict_target = true;
                }
                break;
        case TK_DO:
                l->in_conflict_target = false;
                break;
        case TK_BETWEEN:
                l->n_between++;
                break;
        default:
                break;
        }
}

/* One token that stays. False: this is nothing for us. */
static bool keep(struct normalizer *nz, struct level *l)
{
        bool raw =
            is_raw(nz); /* so that the gap before the word that ends result columns is theirs */

        if (nz->code == TK_LP) {
                if (!push_level(nz))
                        return false;
        } else if (nz->code == TK_RP) {
                if (!nz->depth)
                        return false;
                nz->depth--;
        } else {
                move_on(nz, l);
        }
        write_token(nz, raw);
        return true;
}

static bool feed(struct normalizer *nz)
{
        struct level *l = &nz->levels[nz->depth];
        bool extracted = is_literal(nz->code) && is_open(l) && take_out(nz);

        if (!extracted && !keep(nz, l))
                return false;
        nz->between_and = nz->code == TK_AND && l->n_between > 0;
        l->n_between -= nz->between_and;
        nz->minus_is_sign = nz->code == TK_MINUS && wants_operand(nz->before);
        nz->after_extracted = extracted;
        nz->end_before = nz->t.offset + nz->t.n_bytes;
        nz->before = nz->code;
        return true;
}

static bool begins_well(int code)
{
        switch (code) {
        case TK_SELECT:
        case TK_VALUES:
        case TK_INSERT:
        case TK_REPLACE:
        case TK_UPDATE:
        case TK_DELETE:
        case TK_WITH:
                return true;
        default:
                return false;
        }
}

/* A comment at the end may belong to the name of the last result column. */
static bool end(struct normalizer *nz)
{
        struct sql_token rest = nz->t;

        if (is_raw(nz))
                write_gap(nz, true);
        return nz->depth == 0 && sql_lex(nz->text, rest.offset + rest.n_bytes, &rest) == 0;
}

static bool feed_all(struct normalizer *nz)
{
        for (;;) {
                nz->code = sql_lex_context(nz->text, nz->end_before, nz->before, &nz->t);
                if (!nz->before && !begins_well(nz->code))
                        return false;
                if (nz->code == 0 || nz->code == TK_SEMI)
                        return end(nz);
                if (nz->code == TK_ILLEGAL || (nz->code == TK_BY && nz->before == TK_INDEXED))
                        return false;
                if (!feed(nz))
                        return false;
        }
}

/* Is there anything that could be taken out? A string, a blob, or a digit that is no part of a word
 * or of ?N. */
static bool may_have_literals(const char *sql, size_t n_bytes)
{
        enum { DIGIT = 1, IN_WORD = 2, QUOTE = 4 };
        static const uint8_t kinds[256] = {
                ['0' ... '9'] = DIGIT | IN_WORD,
                ['a' ... 'z'] = IN_WORD,
                ['A' ... 'Z'] = IN_WORD,
                ['_'] = IN_WORD,
                ['$'] = IN_WORD,
                ['?'] = IN_WORD,
                [0x80 ... 0xff] = IN_WORD,
                ['\''] = QUOTE,
        };
        unsigned before = 0;

        for (size_t i = 0; i < n_bytes; i++) {
                unsigned kind = kinds[(unsigned char)sql[i]];

                if ((kind & QUOTE) || ((kind & DIGIT) && !(before & IN_WORD)))
                        return true;
                before = kind;
        }
        return false;
}

bool sql_normalize(const char *sql, size_t n_bytes, struct sql_normalized *ret_norm)
{
        struct sql_normalized *n = ret_norm;
        struct normalizer nz;

        if (n_bytes > SQL_MAX_STMT_BYTES || !may_have_literals(sql, n_bytes) ||
            memchr(sql, '\0', n_bytes))
                return false;
        n->text.n_bytes = 0;
        n->bytes.n_bytes = 0;
        n->scratch.n_bytes = 0;
        n->n_values = 0;
        buf_add(&n->scratch, sql, n_bytes);
        buf_add_byte(&n->scratch, 0);
        if (n->scratch.failed)
                return false;
        memset(&nz, 0, offsetof(struct normalizer, levels));
        memset(&nz.levels[0], 0, sizeof nz.levels[0]);
        nz.depth = nz.n_plain_seen = nz.n_names = nz.names_end = 0;
        nz.n = n;
        nz.text = (const char *)n->scratch.data;
        if (!find_variables(&nz) || !feed_all(&nz) || !n->n_values || n->text.failed ||
            n->bytes.failed)
                return false;
        for (uint32_t i = 0; i < n->n_values; i++) {
                struct value *v = &n->values[i];

                if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
                        v->data = n->bytes.data ? n->bytes.data + (uintptr_t)v->data : NULL;
        }
        return true;
}
