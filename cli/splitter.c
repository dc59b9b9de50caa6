/* splitter.c - sql_split() over what has come so far, but only when a semicolon has come that can
 * end a statement: looking at a long statement again after each of its lines would cost the square
 * of its length. */
#include "cli/splitter.h"

#include <string.h>

#include "sql/parse.h"

void splitter_init(struct splitter *s)
{
        *s = (struct splitter){ .pending = BUF_INIT(SPLITTER_MAX_BYTES),
                                .line = 1,
                                .is_blank = true };
}

void splitter_done(struct splitter *s)
{
        buf_done(&s->pending);
}

static long count_lines(const uint8_t *p, size_t n)
{
        long lines = 0;

        for (size_t i = 0; i < n; i++)
                lines += p[i] == '\n';
        return lines;
}

static void take(struct splitter *s, size_t n)
{
        s->line += count_lines(s->pending.data + s->n_taken, n);
        s->n_taken += n;
}

static void drop_taken(struct splitter *s)
{
        if (s->n_taken == 0)
                return;
        memmove(s->pending.data, s->pending.data + s->n_taken, s->pending.n_bytes - s->n_taken);
        s->pending.n_bytes -= s->n_taken;
        s->n_taken = 0;
}

void splitter_reset(struct splitter *s)
{
        if (s->pending.data)
                take(s, s->pending.n_bytes - s->n_taken);
        s->pending.n_bytes = 0;
        s->pending.failed = false;
        s->n_taken = 0;
        s->state = SPLITTER_PLAIN;
        s->previous = '\0';
        s->has_end = false;
        s->is_blank = true;
}

static void scan_plain(struct splitter *s, char c)
{
        if (c == '\'' || c == '"' || c == '`' || c == '[') {
                s->state = SPLITTER_QUOTE;
                s->closing = c == '[' ? ']' : c;
        } else if (c == '-' && s->previous == '-') {
                s->state = SPLITTER_LINE;
        } else if (c == '*' && s->previous == '/') {
                s->state = SPLITTER_BLOCK;
                s->previous = '\0'; /* the star is not the one that closes it */
                return;
        } else if (c == ';') {
                s->has_end = true;
        }
        s->previous = c;
}

/* Takes note of what the bytes begin and end. */
static void scan(struct splitter *s, const char *p, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                char c = p[i];

                if (s->state == SPLITTER_PLAIN) {
                        if (s->is_blank && !strchr(" \t\r\n\f;-/*", c))
                                s->is_blank = false;
                        scan_plain(s, c);
                        continue;
                }
                if ((s->state == SPLITTER_QUOTE && c == s->closing) ||
                    (s->state == SPLITTER_LINE && c == '\n') ||
                    (s->state == SPLITTER_BLOCK && c == '/' && s->previous == '*')) {
                        s->state = SPLITTER_PLAIN;
                        c = '\0';
                }
                s->previous = c;
        }
}

enum err_code splitter_add(struct splitter *s, const char *line, size_t n_bytes, struct err *reterr)
{
        long first_line;

        drop_taken(s);
        first_line = s->line;
        buf_add(&s->pending, line, n_bytes);
        if (s->pending.failed) {
                splitter_reset(s);
                s->line += count_lines((const uint8_t *)line, n_bytes);
                return err_set(reterr, ERR_EXHAUSTED, "",
                               "the statement that begins in line %ld is longer than %d MiB",
                               first_line, SPLITTER_MAX_BYTES >> 20);
        }
        scan(s, line, n_bytes);
        return ERR_OK;
}

/* Bytes of what stands before the next statement: blanks, semicolons, comments that end. */
static size_t blank_length(const char *p, size_t n)
{
        size_t i = 0;

        while (i < n) {
                const char *end = NULL;

                if (p[i] && strchr(" \t\r\n\f;", p[i])) {
                        i++;
                        continue;
                }
                if (n - i >= 2 && memcmp(p + i, "--", 2) == 0)
                        end = memchr(p + i, '\n', n - i);
                else if (n - i >= 4 && memcmp(p + i, "/*", 2) == 0)
                        end = memmem(p + i + 2, n - i - 2, "*/", 2);
                if (!end)
                        break;
                i = (size_t)(end - p) + (*end == '\n' ? 1 : 2);
        }
        return i;
}

static void skip_blanks(struct splitter *s)
{
        if (s->n_taken < s->pending.n_bytes)
                take(s, blank_length((const char *)s->pending.data + s->n_taken,
                                     s->pending.n_bytes - s->n_taken));
}

static void hand_out(struct splitter *s, size_t n, const char **ret_sql, size_t *ret_n_bytes,
                     long *ret_line)
{
        *ret_sql = (const char *)s->pending.data + s->n_taken;
        *ret_n_bytes = n;
        *ret_line = s->line;
        take(s, n);
}

bool splitter_next(struct splitter *s, const char **ret_sql, size_t *ret_n_bytes, long *ret_line)
{
        bool is_blank = true;
        size_t n;

        if (splitter_is_idle(s))
                skip_blanks(s); /* a script may begin with pages of comments */
        while (s->has_end) {
                skip_blanks(s);
                if (s->n_taken == s->pending.n_bytes)
                        break;
                n = sql_split((const char *)s->pending.data + s->n_taken,
                              s->pending.n_bytes - s->n_taken, &is_blank);
                if (n == 0)
                        break;
                if (!is_blank) {
                        hand_out(s, n, ret_sql, ret_n_bytes, ret_line);
                        return true;
                }
                take(s, n);
        }
        if (s->has_end)
                s->is_blank = is_blank || s->n_taken == s->pending.n_bytes;
        s->has_end = false;
        return false;
}

bool splitter_rest(struct splitter *s, const char **ret_sql, size_t *ret_n_bytes, long *ret_line)
{
        bool is_blank = true;
        size_t n;

        skip_blanks(s);
        n = s->pending.n_bytes - s->n_taken;
        if (n == 0 ||
            (sql_split((const char *)s->pending.data + s->n_taken, n, &is_blank) == 0 && is_blank))
                return false;
        hand_out(s, n, ret_sql, ret_n_bytes, ret_line);
        return true;
}

bool splitter_is_idle(const struct splitter *s)
{
        return s->is_blank && s->state != SPLITTER_BLOCK;
}

long splitter_skip_line(struct splitter *s)
{
        splitter_reset(s);
        return s->line++;
}
