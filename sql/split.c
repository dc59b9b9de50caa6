/* split.c - where the first statement of a script ends. Reads bytes, not tokens: the script need
 * not end in a NUL. Any thread. */
#include <string.h>
#include <strings.h>

#include "sql/parse.h"

enum part {
        PART_END = 0,
        PART_BLANK,
        PART_SEMICOLON,
        PART_WORD,
        PART_OTHER,
        PART_OPEN, /* a string or name whose closing quote is missing */
};

struct scanner {
        const char *s;
        size_t n_bytes;
        size_t start; /* of the part */
        size_t end;
};

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool is_word_part(char c)
{
        return is_word(c) || is_digit(c) || c == '$';
}

static bool has(const struct scanner *sc, size_t at, const char *text)
{
        size_t n = strlen(text);

        return at <= sc->n_bytes && sc->n_bytes - at >= n && memcmp(sc->s + at, text, n) == 0;
}

static enum part skip_quoted(struct scanner *sc, char quote)
{
        for (; sc->end < sc->n_bytes; sc->end++) {
                if (sc->s[sc->end] != quote)
                        continue;
                sc->end++;
                if (quote == ']' || sc->end >= sc->n_bytes || sc->s[sc->end] != quote)
                        return PART_OTHER;
        }
        return PART_OPEN;
}

static enum part skip_comment(struct scanner *sc)
{
        const char *end = memmem(sc->s + sc->end, sc->n_bytes - sc->end, "*/", 2);

        sc->end = end ? (size_t)(end - sc->s) + 2 : sc->n_bytes;
        return PART_BLANK;
}

static enum part skip_line(struct scanner *sc)
{
        const char *end = memchr(sc->s + sc->end, '\n', sc->n_bytes - sc->end);

        sc->end = end ? (size_t)(end - sc->s) : sc->n_bytes;
        return PART_BLANK;
}

/* $name::part(anything but blanks): what is in the parentheses may be a semicolon. */
static enum part skip_variable(struct scanner *sc)
{
        bool has_name = false;

        for (;;) {
                if (has(sc, sc->end, "::")) {
                        sc->end += 2;
                } else if (sc->end < sc->n_bytes && is_word_part(sc->s[sc->end])) {
                        has_name = true;
                        sc->end++;
                } else {
                        break;
                }
        }
        if (has_name && has(sc, sc->end, "(")) {
                size_t i = sc->end + 1;

                while (i < sc->n_bytes && sc->s[i] != ')' && !is_blank(sc->s[i]))
                        i++;
                if (i < sc->n_bytes && sc->s[i] == ')')
                        sc->end = i + 1;
        }
        return PART_OTHER;
}

static enum part skip_word(struct scanner *sc)
{
        while (sc->end < sc->n_bytes && is_word_part(sc->s[sc->end]))
                sc->end++;
        return PART_WORD;
}

static enum part next_part(struct scanner *sc)
{
        char c;

        sc->start = sc->end;
        if (sc->end >= sc->n_bytes)
                return PART_END;
        if (has(sc, sc->end, "\xef\xbb\xbf")) {
                sc->end += 3;
                return PART_BLANK;
        }
        c = sc->s[sc->end++];
        switch (c) {
        case ';':
                return PART_SEMICOLON;
        case '\'':
        case '"':
        case '`':
                return skip_quoted(sc, c);
        case '[':
                return skip_quoted(sc, ']');
        case '-':
                return has(sc, sc->end, "-") ? skip_line(sc) : PART_OTHER;
        case '/':
                if (!has(sc, sc->end, "*"))
                        return PART_OTHER;
                sc->end++;
                return skip_comment(sc);
        case '$':
        case '@':
        case '#':
        case ':':
                return skip_variable(sc);
        default:
                if (is_blank(c))
                        return PART_BLANK;
                return is_word(c) ? skip_word(sc) : PART_OTHER;
        }
}

static bool is(const struct scanner *sc, const char *word)
{
        return sc->end - sc->start == strlen(word) &&
               strncasecmp(sc->s + sc->start, word, sc->end - sc->start) == 0;
}

/* What has been read of a statement, as far as it tells whether its first semicolon ends it. */
enum state {
        STATE_BLANK = 0,
        STATE_EXPLAIN,   /* EXPLAIN [QUERY PLAN] */
        STATE_CREATE,    /* … CREATE [TEMP] */
        STATE_PLAIN,     /* no trigger: ends at the next semicolon */
        STATE_TRIGGER,   /* … TRIGGER … */
        STATE_STEP_DONE, /* behind a semicolon in a trigger */
        STATE_TRIGGER_END,
};

static enum state move_on(enum state state, enum part part, const struct scanner *sc)
{
        bool is_prefix = is(sc, "QUERY") || is(sc, "PLAN");

        switch (state) {
        case STATE_BLANK:
                if (part == PART_WORD && is(sc, "EXPLAIN"))
                        return STATE_EXPLAIN;
                return part == PART_WORD && is(sc, "CREATE") ? STATE_CREATE : STATE_PLAIN;
        case STATE_EXPLAIN:
                if (part == PART_WORD && is_prefix)
                        return STATE_EXPLAIN;
                return part == PART_WORD && is(sc, "CREATE") ? STATE_CREATE : STATE_PLAIN;
        case STATE_CREATE:
                if (part == PART_WORD && (is(sc, "TEMP") || is(sc, "TEMPORARY")))
                        return STATE_CREATE;
                return part == PART_WORD && is(sc, "TRIGGER") ? STATE_TRIGGER : STATE_PLAIN;
        case STATE_STEP_DONE:
                return part == PART_WORD && is(sc, "END") ? STATE_TRIGGER_END : STATE_TRIGGER;
        case STATE_TRIGGER_END:
                return STATE_TRIGGER;
        case STATE_PLAIN:
        case STATE_TRIGGER:
                break;
        }
        return state;
}

size_t sql_split(const char *sql, size_t n_bytes, bool *ret_is_blank)
{
        struct scanner sc = { .s = sql, .n_bytes = n_bytes };
        enum state state = STATE_BLANK;
        bool is_blank_so_far = true;
        size_t n = 0;

        for (;;) {
                enum part part = next_part(&sc);

                if (part == PART_END || part == PART_OPEN) {
                        is_blank_so_far = is_blank_so_far && part == PART_END;
                        break;
                }
                if (part == PART_BLANK)
                        continue;
                if (part == PART_SEMICOLON) {
                        if (state != STATE_TRIGGER && state != STATE_STEP_DONE) {
                                n = sc.end;
                                break;
                        }
                        state = STATE_STEP_DONE;
                        continue;
                }
                is_blank_so_far = false;
                state = move_on(state, part, &sc);
        }
        if (ret_is_blank)
                *ret_is_blank = is_blank_so_far;
        return n;
}
